"""Many small files become few: with the same rows, the same chain, and over a kill at every step."""

import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from streams.cli import main
from streams.state import catch_up
from tests.support.audit import rows, table, writer
from tests.unit.twin.audit.test_audit_prune import DATES, SETS, WHO, _of_day, offsets
from tests.unit.twin.audit.test_old_roots import DATA, DIGESTS, LINE, NAMES
from twin.audit import AuditError, durable, filelist, layout
from twin.audit import compact as compacting
from twin.audit.bundle import opened
from twin.audit.compact import compact
from twin.audit.compactcheck import ends
from twin.audit.digest import digest
from twin.audit.export import export
from twin.audit.intervals import contents, listed
from twin.audit.prune import prune
from twin.audit.query import query
from twin.audit.read import chain_end, footer_of, open_file, schema_version
from twin.audit.recompute import recompute
from twin.audit.verify import verify
from twin.audit.writer import AuditWriter
from twin.time.rfc3339 import parse_rfc3339

ALWAYS = "9999-12-31"


def made(root: Path, per_day: int = 3, days: int = 4, bases: tuple[int, ...] = ()) -> Path:
    """Intervals of 10 offsets; `bases`: offsets of intervals without one."""
    audit = writer(root)
    for number in range(per_day * days):
        first = 10 * number
        for name in SETS:
            audit.add(name, _of_day(table(name, rows(name, 20, seed=number)), first, number // per_day))
        audit.publish(audit.stage(first, first + 10))
        if first + 10 in bases:
            audit.add("alerts", _of_day(table("alerts", rows("alerts", 1, seed=number)), first + 9, number // per_day))
            audit.publish(audit.stage(first + 10, first + 10))
    return root


def told(root: Path) -> list[str]:
    """What `verify` says of chain, list and folders: the random rows are of no twin."""
    words = ("chain", "SHA-256", "missing", "listed", "begins at", "written", "compact", "replace", "there twice")
    found = [str(one) for one in verify(root, every=True).differences if not one.file.startswith("_models")]
    return [one for one in found if any(word in one for word in words)]


def content(root: Path) -> Any:
    every = digest(root)
    counts = query(root, "SELECT count(*) AS n, sum(good) AS good, max(source_offset) AS last FROM kpis").to_pylist()
    return every, counts


def test_the_intervals_of_a_day_become_one(tmp_path: Path) -> None:
    root = made(tmp_path)
    before, tail = content(root), verify(root, every=True).heads[0].sha256
    (done,) = compact(root, DATES[2], **WHO)
    assert offsets(root) == [(0, 30), (30, 60), *((first, first + 10) for first in range(60, 120, 10))]
    assert (done.first_date, done.last_date) == (DATES[0], DATES[1])
    assert done.files > 2 * done.into > 0
    assert content(root) == before
    assert told(root) == []
    report = verify(root, every=True, tails={3: tail})
    assert report.heads[0].sha256 == tail
    assert report.checked["compacted intervals"] == 2
    assert not (root / "_files/p00003/00000000000000000010.json").exists()
    assert [path.name for path in (root / layout.STAGING).iterdir()] == []
    assert filelist.intents(root) == []
    # As other readers of the folders see it.
    files = [str(path) for path in (root / "kpis").rglob("*.parquet")]
    assert len(files) == 8
    assert compact(root, DATES[2], **WHO)[0].files == 0  # nothing is left to do


def test_the_newest_interval_and_what_a_worker_needs_stay(tmp_path: Path) -> None:
    root = made(tmp_path, per_day=6, days=1)
    assert compact(root, ALWAYS, keep_from={3: 20}, **WHO)[0].files
    assert offsets(root) == [(0, 20), (20, 30), (30, 40), (40, 50), (50, 60)]
    compact(root, ALWAYS, **WHO)
    assert offsets(root) == [(0, 20), (20, 50), (50, 60)]
    assert catch_up.last_sha256(contents(root).published[3][:2]) == chain_end(contents(root).published[3][1].files[-1])
    # A worker goes on after it.
    last = contents(root).published[3][-1]
    audit = writer(root)
    audit.chain = catch_up.last_sha256([last])
    audit.add("kpis", _of_day(table("kpis", rows("kpis", 5)), 60, 0))
    audit.publish(audit.stage(60, 70))
    assert told(root) == []


def test_a_base_another_kind_and_another_day_are_not_crossed(tmp_path: Path) -> None:
    root = made(tmp_path, per_day=4, days=2, bases=(20,))
    last = contents(root).published[3][-1]
    audit = writer(root)
    audit.chain = catch_up.last_sha256([last])
    audit.footer["taktwin.rules"] = "1"
    for first in (80, 90, 100):
        audit.add("kpis", _of_day(table("kpis", rows("kpis", 5)), first, 1))
        audit.publish(audit.stage(first, first + 10))
    before = content(root)
    compact(root, ALWAYS, **WHO)
    assert offsets(root) == [(0, 20), (20, 20), (20, 40), (40, 80), (80, 100), (100, 110)]
    assert content(root) == before
    assert told(root) == []


def test_an_interval_is_as_long_as_it_needs_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compacting, "MOST_ROWS", 170)  # 80 in an interval
    root = made(tmp_path, per_day=6, days=1)
    compact(root, ALWAYS, **WHO)
    assert offsets(root) == [(0, 20), (20, 40), (40, 50), (50, 60)]


STEPS = (
    "put_intent",
    "put_compacted",
    "replaced_entries",
    "replace",
    "unlink",
    "write",
    "sync_folders",
    "sync_folder",
    "_compare",
)


@pytest.mark.parametrize("step", STEPS)
def test_a_kill_at_every_step(tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before each call of each step, in turn, until a run comes through: who reads the list always sees every row once,
    and calling it again brings it to its end."""
    original = made(tmp_path / "made", days=2)
    before = content(original)
    reached = 0
    for n in range(400):
        root = tmp_path / f"run{n}"
        shutil.copytree(original, root)
        with monkeypatch.context() as patch:
            _dies_before(patch, step, n)
            try:
                compact(root, DATES[1], **WHO)
            except KilledError:
                reached += 1
            else:
                break
            finally:
                patch.undo()
        assert content(root) == before
        said = told(root)
        assert not said or all("compact" in one for one in said), said
        compact(root, DATES[1], **WHO)
        assert content(root) == before
        assert told(root) == []
        assert [path.name for path in (root / layout.STAGING).iterdir()] == []
        assert offsets(root)[:2] == [(0, 30), (30, 40)]
        shutil.rmtree(root)
    assert reached


class KilledError(BaseException):
    """As SIGKILL: nothing behind it runs but what a `finally` does in this process."""


def _dies_before(patch: pytest.MonkeyPatch, step: str, n: int) -> None:
    calls = iter(range(10_000))
    owner, name = {
        "put_intent": (filelist, step),
        "put_compacted": (filelist, step),
        "replaced_entries": (filelist, step),
        "replace": (Path, step),
        "unlink": (Path, step),
        "write": (AuditWriter, "_write"),
        "sync_folders": (durable, step),
        "sync_folder": (durable, step),
        "_compare": (compacting, step),
    }[step]
    whole = getattr(owner, name)

    def dies(*args: Any, **kwargs: Any) -> Any:
        if next(calls) == n:
            raise KilledError
        return whole(*args, **kwargs)

    patch.setattr(owner, name, dies)
    patch.setattr(compacting, "unstage", lambda *_: None)  # who is killed tidies nothing


def test_a_second_one_waits_for_nobody(tmp_path: Path) -> None:
    root = made(tmp_path)
    with compacting._alone(root), pytest.raises(AuditError, match="another compact is at work"):
        compact(root, ALWAYS, **WHO)


def test_what_was_changed_is_not_merged(tmp_path: Path) -> None:
    root = made(tmp_path)
    path = contents(root).published[3][1].of("kpis")[0].path
    data = path.read_bytes()
    path.write_bytes(data[:200] + bytes([data[200] ^ 1]) + data[201:])
    with pytest.raises(AuditError, match="is not what was published"):
        compact(root, ALWAYS, **WHO)
    assert (root / "_files/p00003/00000000000000000010.json").exists()
    path.write_bytes(data)
    assert told(root) == []


def compacted(root: Path) -> Path:
    made(root)
    compact(root, ALWAYS, **WHO)
    return root


def test_a_replaced_file_that_came_back_is_a_difference(tmp_path: Path) -> None:
    other = made(tmp_path / "other")
    root = compacted(tmp_path / "root")
    back = contents(other).published[3][1].of("kpis")[0].path.relative_to(other)
    shutil.copyfile(other / back, root / back)
    assert [one for one in told(root) if f"{back}: is there beside the file that a compaction made of it" in one]


def test_hashes_that_were_replaced_are_compared_with_the_footers(tmp_path: Path) -> None:
    root = compacted(tmp_path)
    path = root / "_files/p00003/00000000000000000000.json"
    entry = filelist.entries(root)[3][0]
    path.write_text(path.read_text().replace(entry.replaces[0].sha256, "0" * 64))
    assert [one for one in told(root) if "replaces other files than" in one]


def test_a_file_that_says_it_replaces_others_is_believed_only_by_the_list(tmp_path: Path) -> None:
    root = made(tmp_path)
    first = contents(root).published[3][1]
    keys = {f"taktwin.{key}": value for key, value in footer_of(first.files[0]).items()}
    for file in first.files:
        file.path.unlink()
    audit = writer(root)
    audit.chain = keys["taktwin.previous_sha256"]
    audit.add("kpis", _of_day(table("kpis", rows("kpis", 5)), 10, 0))
    after = footer_of(contents(root, partly=True).published[3][2].files[0])["previous_sha256"]
    more = {"taktwin.replaces": after, "taktwin.replaced": "4", "taktwin.replaced_sha256": "0" * 64}
    kept = {key: value for key, value in keys.items() if key in audit.footer}
    (root / "_files/p00003/00000000000000000010.json").unlink()
    audit.publish(audit.stage(10, 20, kept | more))
    assert [one for one in told(root) if "says that it replaces other files, but the list names none" in one]


def test_what_verify_says_to_be_noted_finds_a_merged_file_that_was_made_anew(tmp_path: Path) -> None:
    root = compacted(tmp_path)
    (note,) = [note for note in verify(root, every=True).notes if "were merged into" in note]
    assert "by the works council at 2025-07-01T00:00:00Z" in note
    noted = note.split("--tail: 3:")[1]
    assert [end[2] for end in ends(root)] == [verify(root, every=True).heads[0].sha256, noted]
    assert not [one for one in verify(root, every=True, tails={3: noted}).differences if "noted" in one.what]
    path = root / "_files/p00003/00000000000000000000.json"
    path.write_text(path.read_text().replace("works council", "works kouncil"))
    assert [one for one in verify(root, every=True, tails={3: noted}).differences if noted in one.what]


def test_a_compacted_root_is_pruned(tmp_path: Path) -> None:
    root = made(tmp_path, bases=(60, 90))
    compact(root, ALWAYS, **WHO)
    (cut,) = prune(root, DATES[3], **WHO)
    assert cut.offset == 90
    assert told(root) == []
    assert offsets(root)[:2] == [(90, 90), (90, 110)]


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = made(tmp_path)
    assert main(["audit", "compact", str(root), "--before", DATES[1], "--by", "me"]) == 0
    assert "2025-06-16 to 2025-06-16, merged into 5" in capsys.readouterr().out
    assert offsets(root)[0] == (0, 30)
    assert main(["audit", "compact", str(root)]) == 0
    assert "merged" in capsys.readouterr().out or offsets(root)[1] == (30, 60)


# Old roots


def split(root: Path, every: int) -> None:
    """An old root as a worker that committed often would have written it: without a list, and of its own version."""
    (partition,) = contents(root).published
    (one,) = contents(root).published[partition]
    keys = footer_of(one.files[0])
    footer = {f"taktwin.{key}": value for key, value in keys.items()}
    footer = {key: value for key, value in footer.items() if key.split(".")[1] not in compacting._OWN}
    tables: dict[str, list[pa.Table]] = {}
    for file in one.files:
        with open_file(file) as parquet:
            tables.setdefault(file.set, []).append(parquet.read())
        file.path.unlink()
    audit = AuditWriter(root, partition, topic=keys["topic"], plant_hash=keys["model"], policies="", code_version="")
    for first in range(0, one.next_offset, every):
        for name, some in tables.items():
            whole = pa.concat_tables(some).unify_dictionaries()
            column = whole.column("source_offset")
            audit.add(
                name,
                whole.filter(pc.and_(pc.greater_equal(column, first), pc.less(column, first + every))),
                checked=True,
            )
        audit.publish(audit.stage(first, min(first + every, one.next_offset), footer))
    filelist.remove(root)


@pytest.fixture(scope="module", params=NAMES)
def old(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("old")
    with tarfile.open(DATA / f"{request.param}.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    yield folder / str(request.param)


def test_an_old_root_of_one_interval_stays_as_it_is(old: Path) -> None:
    before = sorted(path for path in old.rglob("*.parquet"))
    compact(old, ALWAYS, **WHO)
    assert sorted(path for path in old.rglob("*.parquet")) == before
    assert verify(old, every=True).sound
    assert {name: one.sha256[:8] for name, one in digest(old).items()} == DIGESTS


def test_an_old_root_of_many_files(old: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(old, root)
    filelist.remove(root)
    split(root, 500)
    assert not filelist.entries(root)
    many = sum(len(one.files) for mine in listed(root).values() for one in mine)
    assert verify(root, every=True).sound
    said = query(root, "SELECT line, count(*) AS n, sum(good) AS good FROM kpis GROUP BY line ORDER BY line")
    (done,) = compact(root, ALWAYS, **WHO)
    assert many > 200
    assert done.files - done.into > many // 8
    report = verify(root, every=True)
    assert report.sound, report.differences
    assert {name: one.sha256[:8] for name, one in digest(root).items()} == DIGESTS
    assert query(root, "SELECT line, count(*) AS n, sum(good) AS good FROM kpis GROUP BY line ORDER BY line") == said
    report = recompute(root, every=True, line=LINE)
    assert report.sound, report.differences
    (mine,) = contents(root).published.values()
    assert {schema_version(footer_of(one.files[0])) for one in mine} == {2}
    times = query(root, f"SELECT min(start)::VARCHAR, max(\"end\")::VARCHAR FROM kpis WHERE line = '{LINE}'")  # noqa: S608
    start, end = (parse_rfc3339(str(column[0]).replace(" ", "T").replace("+00", "Z")) for column in times.columns)
    export(root, LINE, start, (start + end) // 2, tmp_path / "part")
    with opened(tmp_path / "part") as place:
        report = verify(place.root, every=True, starts=place.starts, anchors=place.anchors)
        assert report.sound, report.differences
        assert recompute(place.root, every=True, line=LINE).sound
