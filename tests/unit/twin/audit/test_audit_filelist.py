"""The list of what is published: what is on it is read, what is not is neither read nor sound."""

import json
import shutil
from pathlib import Path

import pytest

from streams.cli import main
from tests.support.audit import rows, table, write, writer
from twin.audit import AuditError, durable, filelist, layout
from twin.audit.digest import digest
from twin.audit.filelist import Entry, ListedFile
from twin.audit.intervals import contents, unlisted
from twin.audit.query import query
from twin.audit.read import ls, open_set, published_files
from twin.audit.verify import verify

SETS = ("events", "states", "kpis")


def made(root: Path, *, intervals: int = 3, days: int = 2) -> list[Entry]:
    """Intervals of 10 offsets, each with rows of two days."""
    for number in range(intervals):
        some = {name: table(name, rows(name, 20, seed=number, days=days)) for name in SETS}
        write(root, {name: moved(one, 10 * number) for name, one in some.items()}, 10 * number, 10 * number + 10)
    return filelist.entries(root).get(3, [])


def moved(one: "table", by: int) -> "table":  # type: ignore[valid-type]  # a table of Arrow
    import pyarrow as pa
    import pyarrow.compute as pc

    at = one.schema.get_field_index("source_offset")
    return one.set_column(at, one.schema.field(at), pc.add(one.column(at), pa.scalar(by, pa.int64())))


def told(root: Path) -> list[str]:
    """What `verify` says of the list. The random rows have models and orders that no twin gives."""
    words = ("listed", "was published with", "_files")
    return [one for one in map(str, verify(root, every=True).differences) if any(word in one for word in words)]


def test_an_interval_is_an_entry(tmp_path: Path) -> None:
    entries = made(tmp_path)
    assert [(one.first_offset, one.next_offset) for one in entries] == [(0, 10), (10, 20), (20, 30)]
    assert filelist.is_whole(tmp_path)
    for entry in entries:
        for file in entry.files:
            path = tmp_path / file.path
            assert (file.bytes, file.sha256) == (path.stat().st_size, layout.sha256_of(path))
    assert sum(file.rows for entry in entries for file in entry.files) == 180
    assert told(tmp_path) == []
    assert [file.path for file in published_files(tmp_path)] == [
        file.path for name in SETS for file in layout.published(tmp_path, name)
    ]
    assert not list((tmp_path / ".staging").iterdir())


def test_a_file_that_nobody_listed_is_neither_read_nor_sound(tmp_path: Path) -> None:
    made(tmp_path)
    before = digest(tmp_path), ls(tmp_path)
    sound = layout.published(tmp_path, "kpis")[0]
    for partition, first, following in ((3, 0, 5), (3, 12, 14), (9, 0, 10)):
        shutil.copy(sound.path, tmp_path / layout.final_name("kpis", sound.date, partition, first, following))
    assert (digest(tmp_path), ls(tmp_path)) == before
    assert query(tmp_path, "SELECT count(*) AS n FROM kpis")["n"].to_pylist() == [60]
    assert open_set(tmp_path, "kpis").count_rows() == 60
    strange = [one for one in told(tmp_path) if "is not listed" in one]
    assert len(strange) == 2  # that of another partition may be one that a worker is just publishing, ...
    report = verify(tmp_path, every=True)
    assert "1 files behind the end of the list" in " ".join(report.notes)


def test_a_listed_file_that_is_missing_is_no_sum_without_it(tmp_path: Path) -> None:
    made(tmp_path)
    gone = layout.published(tmp_path, "kpis")[2].path
    gone.unlink()
    for use in (digest, ls, lambda root: query(root, "SELECT 1"), lambda root: open_set(root, "events")):
        with pytest.raises(AuditError, match=r"is listed in .*_files, but is not there"):
            use(tmp_path)
    assert any("is listed as published, but is not there" in one for one in told(tmp_path))
    assert contents(tmp_path, partly=True).missing[0].path == gone


def test_a_changed_file_is_not_what_was_listed(tmp_path: Path) -> None:
    entry = made(tmp_path, intervals=1)[0]
    path = tmp_path / entry.files[-1].path
    path.write_bytes(path.read_bytes() + b"x")  # the last: no later file names its hash
    assert any(f"was published with SHA-256 {entry.files[-1].sha256}" in one for one in told(tmp_path))


def test_what_is_cut_off_before_its_entry_is_not_there_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path, intervals=1)
    before = digest(tmp_path)
    audit = writer(tmp_path, chain=filelist.entries(tmp_path)[3][0].files[-1].sha256)
    audit.add("events", moved(table("events", rows("events", 20, seed=8)), 10))
    manifest = audit.stage(10, 20)
    with monkeypatch.context() as patched:
        patched.setattr(filelist, "put", lambda *_: (_ for _ in ()).throw(RuntimeError("power cut")))
        with pytest.raises(RuntimeError, match="power cut"):
            audit.publish(manifest)
    assert digest(tmp_path) == before
    assert told(tmp_path) == []
    assert [one.first_offset for one in unlisted(tmp_path, 3)] == [10]
    audit.publish(manifest)
    audit.publish(manifest)
    assert digest(tmp_path)["events"].rows == 40
    assert told(tmp_path) == []


def test_an_entry_that_a_disk_has_damaged_is_put_anew(tmp_path: Path) -> None:
    """By who publishes the same again, as after a kill: the commit names the files, and they are whole."""
    made(tmp_path, intervals=1)
    before = digest(tmp_path)
    audit = writer(tmp_path, chain=filelist.entries(tmp_path)[3][0].files[-1].sha256)
    audit.add("events", moved(table("events", rows("events", 20, seed=8)), 10))
    manifest = audit.stage(10, 20)
    audit.publish(manifest)
    after = digest(tmp_path)
    assert after != before
    path = tmp_path / filelist.entries(tmp_path)[3][1].name
    whole = path.read_bytes()
    for at in range(0, len(whole), 5):
        for bit in (0x01, 0x10):
            data = bytearray(whole)
            data[at] ^= bit
            path.write_bytes(data)
            audit.publish(manifest)
            assert path.read_bytes() == whole, (at, bit)
            assert audit.mended.pop() == path.relative_to(tmp_path).as_posix()
    path.write_bytes(whole[:40])
    audit.publish(manifest)
    assert digest(tmp_path) == after
    assert told(tmp_path) == []


def test_an_entry_that_a_disk_does_not_keep_gets_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that goes on would find it never: every reader of the root would."""
    (entry,) = made(tmp_path, intervals=1)
    (tmp_path / entry.name).unlink()
    write_ = durable.write

    def lying(path: Path, data: bytes) -> None:
        write_(path, data[:10] + b"?" + data[11:])

    monkeypatch.setattr(durable, "write", lying)
    with pytest.raises(OSError, match="did not keep what was written"):
        filelist.put(tmp_path, entry)
    assert not (tmp_path / entry.name).exists()
    assert not list((tmp_path / ".staging").iterdir())
    monkeypatch.setattr(durable, "write", write_)
    assert not filelist.put(tmp_path, entry)
    assert filelist.entries(tmp_path)[3] == [entry]


def test_two_histories_do_not_share_a_place(tmp_path: Path) -> None:
    (entry,) = made(tmp_path, intervals=1)
    filelist.put(tmp_path, entry)
    other = Entry(1, 3, 0, 10, (ListedFile(entry.files[0].path, 1, 1, "0" * 64),))
    with pytest.raises(AuditError, match="two twins share this root"):
        filelist.put(tmp_path, other)
    assert filelist.entries(tmp_path)[3] == [entry]


@pytest.mark.parametrize("how", ["cut", "renamed", "another format", "another's files", "another partition"])
def test_a_damaged_entry_is_never_read(tmp_path: Path, how: str) -> None:
    entry = made(tmp_path)[1]
    path = tmp_path / entry.name
    text = path.read_text()
    if how == "renamed":
        path.rename(path.with_name(f"{11:020d}.json"))
    elif how == "another partition":
        (tmp_path / "_files" / "p00004").mkdir()
        path.rename(tmp_path / "_files" / "p00004" / path.name)
    else:
        changed = {
            "cut": text[:-9],
            "another format": text.replace('"format": 1', '"format": 2'),
            "another's files": text.replace("events/date", "../date", 1),
        }
        path.write_text(changed[how])
    with pytest.raises(AuditError, match=r"restore it from a copy|of format 2|was renamed or changed"):
        digest(tmp_path)
    assert any(one.startswith("_files") for one in told(tmp_path))


def test_a_root_of_a_version_before_is_read_by_its_folders_and_goes_on_with_a_list(tmp_path: Path) -> None:
    made(tmp_path / "one", intervals=4)
    made(tmp_path / "two", intervals=2)
    filelist.remove(tmp_path / "two")
    (tmp_path / "two" / "_files" / "p00003").rmdir()
    (tmp_path / "two" / "_files").rmdir()
    assert digest(tmp_path / "two")["kpis"].rows == 40
    assert told(tmp_path / "two") == []
    chain = layout.sha256_of(tmp_path / "one" / filelist.entries(tmp_path / "one")[3][1].files[-1].path)
    for number in (2, 3):
        audit = writer(tmp_path / "two", chain=chain)
        for name in SETS:
            audit.add(name, moved(table(name, rows(name, 20, seed=number, days=2)), 10 * number))
        manifest = audit.stage(10 * number, 10 * number + 10)
        audit.publish(manifest)
        chain = manifest.chain
    assert not filelist.is_whole(tmp_path / "two")
    assert [one.first_offset for one in filelist.entries(tmp_path / "two")[3]] == [20, 30]
    assert digest(tmp_path / "two") == digest(tmp_path / "one")
    assert told(tmp_path / "two") == []
    sound = layout.published(tmp_path / "two", "kpis")[0]
    shutil.copy(sound.path, tmp_path / "two" / layout.final_name("kpis", sound.date, 3, 20, 25))
    assert digest(tmp_path / "two") == digest(tmp_path / "one")


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(tmp_path, intervals=1)
    assert main(["audit", "files", str(tmp_path), "--set", "kpis"]) == 0
    kpis = [str(file.path) for file in layout.published(tmp_path, "kpis")]
    assert capsys.readouterr().out.split() == kpis
    assert main(["audit", "files", str(tmp_path), "--set", "kpis", "--sql"]) == 0
    assert capsys.readouterr().out.strip() == ", ".join(f"'{path}'" for path in kpis)
    assert main(["audit", "files", str(tmp_path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["path"] for one in found if one["set"] == "kpis"] == kpis
    assert {(one["partition"], one["first_offset"], one["next_offset"]) for one in found} == {(3, 0, 10)}
