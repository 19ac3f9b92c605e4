"""Damage of every kind, at every kind of place: found, with the place named."""

import itertools
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from streams.state.snapshot_files import Head, Snapshot, SnapshotStore
from tests.support.audit import flip
from tests.support.proof import TOPIC, chain, check, example, forge, name, rewrite, with_cell, without
from twin.audit import AuditError, filelist, layout
from twin.audit.intervals import contents
from twin.audit.layout import PublishedFile, published, sha256_of
from twin.audit.read import footer_of, open_file
from twin.audit.verify import verify
from twin.audit.writer import AuditWriter, Manifest, StagedFile
from twin.plant.model import Plant
from twin.results import SCHEMA_VERSION, SETS


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Plant]:
    root = tmp_path_factory.mktemp("proof") / "audit"
    return root, example(root)


@pytest.fixture
def root(made: tuple[Path, Plant], tmp_path: Path) -> Path:
    return Path(shutil.copytree(made[0], tmp_path / "audit"))


def of(root: Path, set_name: str, partition: int = 0) -> PublishedFile:
    """A file of the set in the middle of the chain."""
    files = [file for file in chain(root, partition) if file.set == set_name]
    return files[len(files) // 2]


def found(root: Path, **options: object) -> str:
    report = check(root, **options)
    assert len(report.differences) == 1
    return str(report.differences[0])


def test_a_root_as_it_was_written_is_sound(root: Path) -> None:
    report = check(root, every=True)
    assert report.differences == []
    assert report.notes == []
    assert {head.partition: head.sha256 for head in report.heads} == {
        partition: sha256_of(chain(root, partition)[-1].path) for partition in (0, 1)
    }
    assert all(head.proven_by for head in report.heads)
    files = [*chain(root, 0), *chain(root, 1)]
    assert report.checked["files"] == report.checked["links of the chain"] == len(files)
    assert report.checked["bytes"] == sum(file.path.stat().st_size for file in files)
    assert {file.set for file in files} == set(SETS)
    for what in (
        "rows",
        "class sums",
        "critical path sums",
        "row identities",
        "named ends",
        "plant models",
        "offsets",
    ):
        assert report.checked[what] > 0, what


@pytest.mark.parametrize("set_name", SETS)
def test_a_bit_flipped_in_a_page_of_each_set(root: Path, set_name: str) -> None:
    file = of(root, set_name)
    flip(file.path, 40)  # behind the magic number and the head of the first page
    assert found(root).startswith(f"{name(root, file)}: ")


def test_a_bit_flipped_anywhere_in_a_file(root: Path) -> None:
    """Whatever the place: by the file's own checks, or by the chain, which names it."""
    file = of(root, "kpis")
    size = file.path.stat().st_size
    for position in [*range(0, size, size // 40), *range(size - 12, size)]:
        flip(file.path, position)
        assert name(root, file) in found(root), position
        flip(file.path, position)
    assert check(root).sound


def test_a_bit_flipped_in_the_last_file_of_a_chain(root: Path) -> None:
    last = chain(root, 0)[-1]
    for position in (20, last.path.stat().st_size - 60):
        flip(last.path, position)
        text = found(root)
        assert name(root, last) in text or text.startswith("partition 0: _state/g/p00000-")
        flip(last.path, position)


def test_a_bit_flipped_in_a_snapshot(root: Path) -> None:
    snapshot = sorted((root / "_state" / "g").iterdir())[-1]
    flip(snapshot, 200)
    assert found(root) == f"_state/g/{snapshot.name}: checksum does not match: the file is damaged"


def test_a_bit_flipped_in_a_model_and_a_model_taken_away(root: Path, made: tuple[Path, Plant]) -> None:
    path = root / layout.model_name(made[1].hash)
    flip(path, 100)
    assert found(root).startswith(f"{layout.model_name(made[1].hash)}: its SHA-256 begins with ")
    path.unlink()
    assert found(root).startswith(f"{layout.model_name(made[1].hash)}: the plant model is missing")


@pytest.mark.parametrize("set_name", SETS)
def test_a_row_less_in_a_sound_parquet_file(root: Path, set_name: str) -> None:
    file = of(root, set_name)
    rewrite(file.path, lambda table: without(table, table.num_rows // 2))
    assert name(root, file) in found(root)


def test_a_row_changed_with_its_sums_kept(root: Path) -> None:
    file = of(root, "kpis")
    rewrite(file.path, lambda table: with_cell(table, "good", 1, 7777))
    text = found(root)
    assert text.startswith(f"{name(root, file)}: has SHA-256 ")
    assert "changed or replaced" in text


def test_a_file_taken_away(root: Path) -> None:
    files = chain(root, 0)
    for k, file in enumerate(files):
        hidden = root / "_hidden"
        file.path.rename(hidden)
        text = found(root)
        before = name(root, files[k - 1]) if k else ""
        if k == len(files) - 1:
            assert text.startswith("partition 0: _state/g/p00000-"), text
            assert "taken away" in text
        else:
            after = name(root, files[k + 1])
            assert (before and before in text) or after in text, text
        hidden.rename(file.path)
    assert check(root).sound


def test_the_last_interval_taken_away(root: Path) -> None:
    files = chain(root, 0)
    gone = [file for file in files if file.next_offset == files[-1].next_offset]
    for file in gone:
        file.path.unlink()
    text = found(root)
    assert text.startswith(f"{name(root, gone[0])}: is missing: the published files end at offset ")
    assert "_state/g/p00000-" in text


def test_an_interval_taken_away(root: Path) -> None:
    files = chain(root, 1)
    middle = files[len(files) // 2]
    gone = [file for file in files if file.first_offset == middle.first_offset]
    for file in gone:
        file.path.unlink()
    text = found(root)
    assert f"the files of offsets {middle.first_offset} to {middle.next_offset} of partition 1 are missing" in text


def test_without_snapshots_the_end_is_told_as_unproven(root: Path) -> None:
    noted, other = (head.sha256 for head in check(root).heads)
    shutil.rmtree(root / "_state")
    report = check(root)
    assert report.sound
    assert [head.proven_by for head in report.heads] == ["", ""]
    assert "cannot be proven" in report.notes[0]
    last = chain(root, 0)[-1]
    assert check(root, tails={0: noted, 1: other}).heads[0].proven_by == "the end that was noted"
    last.path.unlink()
    assert "is listed as published, but is not there" in found(root)
    filelist.remove(root)
    assert check(root).sound  # as said above: nothing shows that it was there
    assert f"no file has the SHA-256 {noted} that was noted" in found(root, tails={0: noted, 1: other})


def test_an_end_that_was_noted_earlier_still_proves_what_came_before(root: Path) -> None:
    noted, other = sha256_of(chain(root, 0)[3].path), sha256_of(chain(root, 1)[2].path)
    assert check(root, tails={0: noted, 1: other}).sound
    assert check(root, tails={0: [noted, sha256_of(chain(root, 0)[1].path)], 1: other}).sound
    assert "was noted" in found(root, tails={0: other, 1: noted})
    assert found(root, tails={0: noted}).startswith("partition 1: no end was noted of it, but of others")


def test_a_snapshot_that_was_never_committed_proves_nothing_and_disturbs_nothing(root: Path) -> None:
    """A worker that died between snapshot and commit leaves one behind; the next one cuts elsewhere."""
    store = SnapshotStore(root / "_state" / "g")
    for offset in (100, 400, 1000):
        store.save(Snapshot(Head(TOPIC, 0, offset, "m", "0" * 64), b"state"))
    report = check(root)
    assert report.sound
    assert report.heads[0].proven_by
    store.save(Snapshot(Head(TOPIC, 0, 1_000_000, "m", "0" * 64), b"state"))
    assert found(root).startswith("partition 0: is missing: the published files end at offset ")


@pytest.mark.parametrize("outside", ["../../secret", "/etc/hostname", "events/date=2026-01-01/../../../secret"])
def test_names_in_a_snapshot_cannot_lead_out_of_the_root(root: Path, outside: str) -> None:
    """Not even to be hashed: a file that matches there does not count as published."""
    secret = root.parent / "secret"
    secret.write_bytes(b"x")
    file = StagedFile("events", outside, outside, 1, 1, sha256_of(secret))
    head = Head(TOPIC, 0, 1_000_000, "m", file.sha256, (Manifest(0, 1844, 1_000_000, file.sha256, (file,)),))
    SnapshotStore(root / "_state" / "g").save(Snapshot(head, b"state"))
    assert found(root).startswith(f"{outside}: is missing")


def test_an_interval_that_is_just_being_published_is_left_out(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    last = chain(root, 0)[-1].next_offset
    calls = itertools.count()

    def listed(base: Path, set_name: str, of: int | None) -> list[PublishedFile]:
        files = published(base, set_name, of)
        first_listing = next(calls) < len(SETS)
        half = {"kpis", "alerts", "rejected"} if first_listing else {"alerts"}
        return [file for file in files if file.next_offset != last or file.set not in half]

    monkeypatch.setattr("twin.audit.intervals.published", listed)
    shutil.rmtree(root / "_state")
    report = check(root)
    assert report.sound
    assert report.heads[0].next_offset < last


def test_a_file_swapped_with_another_partitions(root: Path) -> None:
    one, other = of(root, "kpis", 0), of(root, "kpis", 1)
    _swap(one.path, other.path)
    assert "its footer says partition 1, its name 0" in found(root)
    assert found(root).startswith(name(root, one))


def test_two_files_of_a_partition_swapped(root: Path) -> None:
    files = [file for file in chain(root, 0) if file.set == "events"]
    _swap(files[0].path, files[1].path)
    text = found(root)
    assert text.startswith(name(root, files[0]))
    assert "its footer says first_offset" in text


def test_swapped_files_with_footers_to_match(root: Path) -> None:
    files = [file for file in chain(root, 0) if file.set == "events"]
    one, other = files[0], files[1]
    _swap(one.path, other.path)
    for file in (one, other):
        rewrite(file.path, lambda t: t, first_offset=str(file.first_offset), next_offset=str(file.next_offset))
    text = found(root)
    assert text.startswith(name(root, one))
    assert "outside those of the file" in text


def test_a_file_renamed(root: Path) -> None:
    file = of(root, "states")
    wrong = file.path.with_name(file.path.name.replace("p00000-", "p00007-"))
    file.path.rename(wrong)
    report = check(root, every=True)
    texts = [str(one) for one in report.differences]
    assert any(text.startswith(wrong.relative_to(root).as_posix()) and "its name 7" in text for text in texts)
    odd = wrong.with_name("copy.parquet")
    wrong.rename(odd)
    assert found(root).startswith(f"{odd.relative_to(root).as_posix()}: no twin gives a file such a name")


@pytest.mark.parametrize("name", [".x.parquet", "_x.parquet", "x.parquet", ".hidden/x.parquet", "_later/x.parquet"])
def test_a_copy_that_some_readers_read(root: Path, name: str) -> None:
    """DuckDB and Polars read all of these; `verify` said sound."""
    file = of(root, "kpis")
    beside = file.path.parent / name
    beside.parent.mkdir(exist_ok=True)
    shutil.copyfile(file.path, beside)
    assert found(root) == (
        f"{beside.relative_to(root).as_posix()}: no twin gives a file such a name, but other readers of this folder "
        "read it; move it out of the root"
    )


def test_links_within_the_folder_of_a_set(root: Path, tmp_path: Path) -> None:
    file = of(root, "kpis")
    shutil.copytree(file.path.parent, tmp_path / "elsewhere")
    for link, target in (
        (file.path.parent.parent / "date=2031-01-01", tmp_path / "elsewhere"),
        (file.path.parent / "more", tmp_path / "elsewhere"),
        (file.path.parent / "copy.parquet", file.path),
    ):
        link.symlink_to(target)
        said = {str(one) for one in check(root, every=True).differences}
        assert any(one.startswith(f"{link.relative_to(root).as_posix()}: a twin makes no links") for one in said)
        link.unlink()
    # Also in the place of a file itself: what it leads to may change.
    moved = tmp_path / "moved.parquet"
    file.path.rename(moved)
    file.path.symlink_to(moved)
    assert found(root).startswith(f"{f'{file.path.relative_to(root).as_posix()}'}: a twin makes no links")


def forged(root: Path, partition: int, line: str | None = None) -> None:
    """The first interval of partition 0 once more, with other figures, as a whole partition of its own: its chain, its
    footers and its list are as a twin writes them. `line`: the name of its lines."""
    first = contents(root).published[0][0]
    keys = {f"taktwin.{key}": value for key, value in footer_of(first.files[0]).items()}
    topic, model = keys["taktwin.topic"], keys["taktwin.model"]
    audit = AuditWriter(root, partition, topic=topic, plant_hash=model, policies="", code_version="")
    kept = {key: keys[key] for key in audit.footer} | {"taktwin.partition": str(partition)}
    for file in first.files:
        with open_file(file) as parquet:
            made = parquet.read()
        columns = {"source_partition": pa.array([partition] * made.num_rows, pa.int32())}
        if "good" in made.column_names:
            columns["good"] = pc.add(made.column("good"), 1000)
        if line is not None:
            columns["line"] = pa.array([line] * made.num_rows).dictionary_encode()
        for column, values in columns.items():
            k = made.schema.get_field_index(column)
            if k >= 0:
                made = made.set_column(k, made.schema.field(k), values.cast(made.schema.field(k).type))
        audit.add(file.set, made, checked=True)
    audit.publish(audit.stage(first.first_offset, first.next_offset, kept))


def test_a_forged_partition_beside_the_true_ones(root: Path) -> None:
    """It passed with every end that was noted, and its figures stood beside the true ones in every query."""
    tails = {head.partition: head.sha256 for head in check(root).heads}
    forged(root, 7)
    lines = {one.file for one in check(root, every=True).differences if "more than one partition" in one.what}
    assert lines and all(line.startswith("line ") for line in lines)
    texts = [str(one) for one in check(root, every=True, tails=tails).differences]
    assert [one for one in texts if one.startswith("partition 7: no end was noted of it, but of others")]


def test_a_forged_partition_of_a_line_that_nobody_has(root: Path) -> None:
    tails = {head.partition: head.sha256 for head in check(root).heads}
    forged(root, 7, "ghost")
    texts = [str(one) for one in check(root, every=True, tails=tails).differences]
    assert [one for one in texts if one.startswith("partition 7: no end was noted of it, but of others")]
    assert not [one for one in texts if "more than one partition" in one]


def test_a_file_in_the_folder_of_another_date(root: Path) -> None:
    file = of(root, "alerts")
    target = file.path.parent.parent / "date=2027-01-01" / file.path.name
    target.parent.mkdir()
    file.path.rename(target)
    assert found(root).startswith(target.relative_to(root).as_posix())


def test_columns_called_absent_that_are_not(root: Path) -> None:
    """A replay would leave them out."""
    path = of(root, "events").path
    said = footer_of(of(root, "events"))["absent"]
    rewrite(path, lambda table: table, absent=f"good,{said}")
    assert any(one.what.startswith("its footer says that good,") for one in check(root).differences)


def test_columns_that_are_left_out_and_not_called_absent(root: Path) -> None:
    """A value that was there is taken out with its column."""
    path = of(root, "events").path
    rewrite(path, lambda table: table.drop_columns("good"))
    what = "has no column good, of which its footer does not say that it has no value"
    assert [one.what for one in check(root).differences] == [what]


def test_the_file_of_all_columns_holds_nothing_else(root: Path) -> None:
    path = root / layout.columns_name("events", SCHEMA_VERSION)
    assert pq.read_metadata(path).num_rows == 0
    assert check(root).sound
    with pq.ParquetFile(of(root, "events").path) as parquet:
        events = parquet.read()
    pq.write_table(events.slice(0, 1), path)
    assert [one.what for one in check(root).differences] == ["has 1 rows, but is only to name the columns of events"]
    pq.write_table(events.schema.empty_table(), path)
    assert [one.what for one in check(root).differences] == ["names other columns than events has"]
    path.write_bytes(b"PAR1")
    assert "is not readable" in check(root).differences[0].what
    path.unlink()
    assert check(root).sound, "it says nothing that the version does not say"


@pytest.mark.parametrize(
    ("set_name", "change", "what"),
    [
        ("kpis", lambda t: with_cell(t, "running_ns", 2, 5), "time classes sum to "),
        ("kpis", lambda t: with_cell(t, "source_offset", 2, 1_000_000), "came from offset 1000000"),
        ("kpis", lambda t: with_cell(t, "source_partition", 2, 9), "is of partition 9"),
        ("kpis", lambda t: with_cell(t, "source_topic", 2, "x"), "source_topic x, but the footer says twin.events"),
        ("kpis", lambda t: with_cell(t, "model", 2, "beef"), "model beef, but the footer says "),
        ("states", lambda t: t.take([1, 0, *range(2, t.num_rows)]), "is not in the order of the file"),
        ("states", lambda t: t.select(t.column_names[1:]), "its columns are not those of the set states"),
        (
            "events",
            lambda t: t.take([0, 0, *range(1, t.num_rows)]),
            "has the source_offset and source_index of the row",
        ),
        ("kpis", lambda t: t.take([0, 0, *range(1, t.num_rows)]), "says again, under the same revision, what row 0"),
        ("bottlenecks", lambda t: with_cell(t, "critical_path_ns", 0, 5), "critical_path_ns of line line-"),
    ],
)
def test_a_forged_chain_does_not_help_against_what_rows_say(
    root: Path, set_name: str, change: Callable[..., object], what: str
) -> None:
    """All hashes made anew, snapshots taken away: the rows must still be rows a twin writes."""
    file = of(root, set_name)
    rewrite(file.path, change)  # type: ignore[arg-type]  # tables in, tables out
    forge(root, 0)
    shutil.rmtree(root / "_state")
    text = found(root)
    assert text.startswith(name(root, file)), text
    assert what in text


def test_a_forged_chain_is_found_by_the_snapshot(root: Path) -> None:
    rewrite(of(root, "kpis").path, lambda table: with_cell(table, "good", 1, 7777))
    end = forge(root, 0)
    text = found(root)
    assert text.startswith("partition 0: _state/g/p00000-")
    assert text.find(end) > 0


def test_every_difference_is_listed_when_asked(root: Path) -> None:
    for set_name in ("events", "kpis", "alerts"):
        flip(of(root, set_name).path, 40)
    report = check(root, every=True)
    assert {of(root, set_name).path.relative_to(root).as_posix() for set_name in ("events", "kpis", "alerts")} <= {
        one.file for one in report.differences
    }


def test_a_root_without_files_and_no_root(tmp_path: Path) -> None:
    report = verify(tmp_path)
    assert report.sound
    assert report.notes == ["no file is published here: there is nothing to check"]
    with pytest.raises(AuditError, match="no such audit root"):
        verify(tmp_path / "no")


def test_nothing_in_a_root_may_be_written_by_others_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        example(tmp_path / "audit")
    finally:
        os.umask(before)
    paths = [path for path in (tmp_path / "audit").rglob("*") if "_state" not in path.parts]  # the process's umask
    assert len(paths) > 50
    open_to_all = [path for path in paths if path.stat().st_mode & 0o022]
    assert open_to_all == []


def _swap(one: Path, other: Path) -> None:
    spare = one.with_name("_spare")
    one.rename(spare)
    other.rename(one)
    spare.rename(other)
