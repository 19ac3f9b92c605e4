import errno
import os
import resource
import stat
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tests.support.audit import DAY_NS, NOON_NS, flip, plain, rows, table, write, writer
from twin.audit import AuditError, digest, durable, layout, read
from twin.audit.rows import MAX_REJECTED_DATES, events_with_origin, rejected_table, with_origin
from twin.audit.writer import Manifest
from twin.events.block import Rejected
from twin.results import ORIGIN, REJECTED, SCHEMA_VERSION, SETS, TIME_COLUMN
from twin.rules import RULES
from twin.time import zone


@pytest.mark.parametrize("set_name", SETS)
def test_round_trip_of_every_set(tmp_path: Path, set_name: str) -> None:
    made = rows(set_name, 500, seed=1, days=3)
    original = table(set_name, made)
    manifest = write(tmp_path, {set_name: original})
    files = layout.published(tmp_path, set_name)
    assert len(files) == len(manifest.files) == len({file.date for file in files}) >= 3
    found = [pq.read_table(file.path, partitioning=None, page_checksum_verification=True) for file in files]
    assert all(one.schema.equals(SETS[set_name]) for one in found)
    got = [row for one in found for row in plain(one)]
    assert sorted(map(repr, got)) == sorted(map(repr, plain(original)))
    for file, one in zip(files, found, strict=True):
        times = one.column(TIME_COLUMN[set_name])
        assert {date[:10] for date in times.cast(pa.string()).to_pylist() if date} <= {file.date}


@pytest.mark.parametrize("set_name", ["events", "rejected"])
def test_order_of_arrival_is_kept(tmp_path: Path, set_name: str) -> None:
    made = rows(set_name, 200, seed=2)
    made = [row | {"ts": NOON_NS - n} for n, row in enumerate(made)]  # time runs backwards, arrival does not
    parts = [table(set_name, made[:90]), table(set_name, made[90:])]
    audit = writer(tmp_path)
    for part in parts:
        audit.add(set_name, part)
    audit.publish(audit.stage(0, 100))
    (file,) = layout.published(tmp_path, set_name)
    assert plain(pq.read_table(file.path, partitioning=None)) == plain(pa.concat_tables(parts))


def test_results_are_sorted_within_the_file(tmp_path: Path) -> None:
    write(tmp_path, {"kpis": table("kpis", rows("kpis", 300, seed=3))})
    (file,) = layout.published(tmp_path, "kpis")
    names = ["line", "station", "window", "end", "start", "revision"]
    keys = plain(pq.read_table(file.path, columns=names, partitioning=None).select(names))
    ordered = [
        tuple((value is not None, value or 0 if not isinstance(value, str) else value) for value in key) for key in keys
    ]
    assert ordered == sorted(ordered)


def test_names_footer_and_chain(tmp_path: Path) -> None:
    made = {name: table(name, rows(name, 20, seed=4)) for name in ("events", "kpis")}
    first = write(tmp_path, made, 0, 10)
    audit = writer(tmp_path, chain=first.chain)
    audit.add("states", table("states", rows("states", 5)))
    second = audit.stage(10, 20)
    audit.publish(second)
    previous = ""
    for file in (*first.files, *second.files):
        path = tmp_path / file.path
        assert layout.sha256_of(path) == file.sha256
        assert path.stat().st_size == file.bytes
        with pq.ParquetFile(path) as parquet:
            assert parquet.metadata.num_rows == file.rows
            footer, whole = read.footer(parquet), parquet.read()
            column = parquet.metadata.row_group(0).column(parquet.schema_arrow.get_field_index(TIME_COLUMN[file.set]))
            assert "DELTA_BINARY_PACKED" in column.encodings
            assert column.compression == "ZSTD"
            assert "RLE_DICTIONARY" in parquet.metadata.row_group(0).column(0).encodings
        assert footer == {
            "schema_version": str(SCHEMA_VERSION),
            "set": file.set,
            "topic": "twin.events",
            "partition": "3",
            "first_offset": "10" if file.set == "states" else "0",
            "next_offset": "20" if file.set == "states" else "10",
            "model": "00ff00ff00ff00ff",
            "policies": "iso22400",
            "code_version": "0.1.0",
            "rules": str(RULES),
            "zone_rules": zone.RULES,
            "previous_sha256": previous,
            "absent": ",".join(name for name in whole.column_names if whole.column(name).null_count == file.rows),
        }
        previous = file.sha256
    assert second.chain == audit.chain == previous
    assert first.files[0].path == f"events/date=2025-06-16/p00003-{0:020d}-{10:020d}.parquet"
    assert msgspec.json.decode(msgspec.json.encode(second), type=Manifest) == second


def test_nothing_is_visible_before_publish_and_publish_may_be_repeated(tmp_path: Path) -> None:
    audit = writer(tmp_path)
    audit.add("events", table("events", rows("events", 30)))
    assert audit.rows == 30
    assert audit.bytes > 0
    manifest = audit.stage(0, 15)
    assert (audit.rows, audit.bytes) == (0, 0)
    assert layout.published(tmp_path, "events") == []
    for _ in range(2):
        writer(tmp_path).publish(manifest)
        assert len(layout.published(tmp_path, "events")) == 1
        assert layout.staged(tmp_path, 3) == []


def test_an_interval_without_rows_leaves_a_file_that_says_so(tmp_path: Path) -> None:
    audit = writer(tmp_path / "new", chain="abc")
    audit.add("events", SETS["events"].empty_table())
    manifest = audit.stage(5, 9)
    audit.publish(manifest)
    assert [(file.set, file.rows) for file in manifest.files] == [("rejected", 0)]
    assert manifest.chain == audit.chain == manifest.files[0].sha256
    (file,) = layout.published(tmp_path / "new", "rejected")
    assert (file.date, file.first_offset, file.next_offset) == ("1970-01-01", 5, 9)
    with read.open_file(file) as parquet:
        assert read.footer(parquet)["previous_sha256"] == "abc"
    assert read.open_set(tmp_path / "new", "rejected").to_table().num_rows == 0
    (tmp_path / "empty").mkdir()
    assert digest.digest(tmp_path / "new") == digest.digest(tmp_path / "empty")


def test_an_interval_without_offsets_writes_nothing(tmp_path: Path) -> None:
    audit = writer(tmp_path / "new", chain="abc")
    assert audit.stage(9, 9) == Manifest(3, 9, 9, "abc", ())
    assert not (tmp_path / "new").exists()


def test_a_cut_publish_is_finished(tmp_path: Path) -> None:
    audit = writer(tmp_path)
    for name in ("events", "kpis", "states"):
        audit.add(name, table(name, rows(name, 30)))
    manifest = audit.stage(0, 15)
    done = manifest.files[1]
    (tmp_path / done.path).parent.mkdir(parents=True)
    (tmp_path / done.staged).rename(tmp_path / done.path)
    again = writer(tmp_path)
    again.discard_foreign(manifest)
    again.publish(manifest)
    assert all((tmp_path / file.path).exists() for file in manifest.files)


@pytest.mark.parametrize("died", [False, True])
def test_a_rename_that_was_not_made_durable_is_made_so_by_the_next_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, died: bool
) -> None:
    """After the rename nothing is left to be moved; a power cut would still undo it."""
    audit = writer(tmp_path / "root")
    audit.add("events", table("events", rows("events", 30)))
    manifest = audit.stage(0, 15)
    folder = (tmp_path / "root" / manifest.files[0].path).parent

    def fail(path: Path) -> None:
        if path == folder:
            raise KeyboardInterrupt if died else OSError(errno.EIO, "")

    with monkeypatch.context() as patched:
        patched.setattr(durable, "sync_folder", fail)
        with pytest.raises(KeyboardInterrupt if died else AuditError):
            audit.publish(manifest)
    synced: list[Path] = []
    monkeypatch.setattr(durable, "sync_folder", synced.append)
    writer(tmp_path / "root").publish(manifest)
    assert {folder, folder.parent, folder.parent.parent} <= set(synced)


def test_the_files_of_one_partition_are_those_of_all(tmp_path: Path) -> None:
    for partition in (3, 30_003, 4, 123_456):
        write(tmp_path, {"events": table("events", rows("events", 30))}, 0, 15, partition=partition)
    for partition in (3, 30_003, 4, 123_456, 0):
        mine = [file for file in layout.published(tmp_path, "events") if file.partition == partition]
        assert layout.published(tmp_path, "events", partition) == mine
        assert bool(mine) == (partition != 0)


def test_a_missing_staged_file_publishes_nothing(tmp_path: Path) -> None:
    audit = writer(tmp_path)
    for name in ("events", "kpis"):
        audit.add(name, table(name, rows(name, 30)))
    manifest = audit.stage(0, 15)
    (tmp_path / manifest.files[1].staged).unlink()
    with pytest.raises(AuditError, match=r"kpis.*neither staged nor published"):
        audit.publish(manifest)
    assert layout.published(tmp_path, "events") == []


def test_a_staged_file_cut_short_is_found(tmp_path: Path) -> None:
    audit = writer(tmp_path)
    audit.add("events", table("events", rows("events", 30)))
    manifest = audit.stage(0, 15)
    os.truncate(tmp_path / manifest.files[0].staged, 100)
    with pytest.raises(AuditError, match="100 bytes"):
        audit.publish(manifest)


def test_a_published_file_is_never_replaced(tmp_path: Path) -> None:
    manifest = write(tmp_path, {"events": table("events", rows("events", 30))}, 0, 15)
    audit = writer(tmp_path)
    audit.add("events", table("events", rows("events", 30, seed=9)))
    with pytest.raises(AuditError, match="already published"):
        audit.stage(0, 15)
    assert layout.staged(tmp_path, 3) == []
    flip(tmp_path / manifest.files[0].path, 50)
    with pytest.raises(AuditError, match="other bytes"):
        audit.publish(manifest)


def test_only_foreign_staging_of_the_own_partition_is_discarded(tmp_path: Path) -> None:
    manifests = {}
    for partition in (3, 30_003, 4):
        audit = writer(tmp_path, partition)
        audit.add("events", table("events", rows("events", 10)))
        manifests[partition] = audit.stage(0, 5)
        audit.add("events", table("events", rows("events", 10)))
        audit.stage(5, 10)
    (tmp_path / ".staging" / "notes.txt").write_text("p00003 of a person")
    writer(tmp_path, 3).discard_foreign(manifests[3])
    assert layout.staged(tmp_path, 3) == [manifests[3].files[0].staged]
    writer(tmp_path, 3).discard_foreign(None)
    assert layout.staged(tmp_path, 3) == []
    assert len(layout.staged(tmp_path, 4)) == len(layout.staged(tmp_path, 30_003)) == 2
    assert (tmp_path / ".staging" / "notes.txt").exists()
    writer(tmp_path / "absent").discard_foreign(None)


def test_two_owners_never_write_into_one_staged_file(tmp_path: Path) -> None:
    old, new = writer(tmp_path), writer(tmp_path)
    old.add("events", table("events", rows("events", 10, seed=1)))
    new.add("events", table("events", rows("events", 10, seed=2)))
    fenced, committed = old.stage(0, 5), new.stage(0, 5)
    assert fenced.files[0].staged != committed.files[0].staged
    new.publish(committed)
    (file,) = layout.published(tmp_path, "events")
    assert layout.sha256_of(file.path) == committed.files[0].sha256
    with pytest.raises(AuditError, match="other bytes"):
        old.publish(fenced)


def test_a_manifest_with_strange_paths_is_refused(tmp_path: Path) -> None:
    audit = writer(tmp_path)
    audit.add("events", table("events", rows("events", 10)))
    manifest = audit.stage(0, 5)
    for change in ({"path": "../out.parquet"}, {"staged": ".staging/../../x"}, {"path": "/etc/passwd"}):
        file = msgspec.structs.replace(manifest.files[0], **change)
        with pytest.raises(AuditError, match="no writer made"):
            audit.publish(msgspec.structs.replace(manifest, files=(file,)))
    with pytest.raises(AuditError, match="partition 3"):
        writer(tmp_path, 4).publish(manifest)


def test_no_one_else_may_write_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write(tmp_path / "root", {name: table(name, rows(name, 5)) for name in SETS})
    finally:
        os.umask(before)
    for path in [tmp_path / "root", *(tmp_path / "root").rglob("*")]:
        assert not path.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH), path


def test_names_in_the_data_never_become_paths(tmp_path: Path) -> None:
    made = [row | {"line": "../../evil", "station": "/abs"} for row in rows("states", 5)]
    write(tmp_path / "root", {"states": table("states", made)})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["root"]
    assert sorted(path.name for path in (tmp_path / "root").iterdir()) == [".staging", "_files", "states"]


def test_classes_must_sum_to_the_interval(tmp_path: Path) -> None:
    made = rows("kpis", 10, seed=5)
    made[7] |= {
        "running_ns": made[7]["running_ns"] + 1,
        "line": "L7",
        "station": None,
        "window": "1h",
        "start": made[7]["start"],
    }
    audit = writer(tmp_path)
    with pytest.raises(AuditError, match=r"line L7, station \(line\), window 1h, start 2025-06-16T"):
        audit.add("kpis", table("kpis", made))
    assert audit.rows == 0


def test_rows_of_another_shape_are_refused(tmp_path: Path) -> None:
    audit = writer(tmp_path)
    good = table("alerts", rows("alerts", 5))
    with pytest.raises(AuditError, match="value: int64"):
        audit.add("alerts", good.set_column(7, "value", pa.array([1] * 5)))
    with pytest.raises(AuditError, match="no such set"):
        audit.add("../alerts", good)
    kind = pa.array([None, *"abcd"], pa.string()).dictionary_encode().cast(good.schema.field("kind").type)
    with pytest.raises(AuditError, match="kind holds a null"):
        audit.add("alerts", pa.Table.from_arrays([*good.columns[:2], kind, *good.columns[3:]], schema=good.schema))
    hidden = pa.DictionaryArray.from_arrays([0] * 5, pa.array([None], pa.string())).cast(kind.type)
    with pytest.raises(AuditError, match="dictionary of column kind"):
        audit.add("alerts", pa.Table.from_arrays([*good.columns[:2], hidden, *good.columns[3:]], schema=good.schema))
    with pytest.raises(AuditError, match="not a range"):
        audit.stage(5, 4)
    with pytest.raises(AuditError, match="local"):
        writer("s3://bucket/audit")  # type: ignore[arg-type]  # a wrong root is the point


def _root_with_events(tmp_path: Path) -> Path:
    write(tmp_path, {"events": table("events", rows("events", 5000, seed=6))})
    (file,) = layout.published(tmp_path, "events")
    return file.path


def test_a_file_cut_short_is_found(tmp_path: Path) -> None:
    path = _root_with_events(tmp_path)
    os.truncate(path, path.stat().st_size - 1)
    for use in (digest.digest, read.ls):
        with pytest.raises(AuditError, match=path.name):
            use(tmp_path)


def test_a_flipped_bit_in_any_page_is_found_by_its_checksum(tmp_path: Path) -> None:
    path = _root_with_events(tmp_path)
    whole = path.read_bytes()
    with pq.ParquetFile(path) as parquet:
        group = parquet.metadata.row_group(0)
        pages = [(c.data_page_offset, c.total_compressed_size) for c in map(group.column, range(group.num_columns))]
        own = [index for index, name in enumerate(parquet.schema_arrow.names) if name not in ORIGIN]
    for index in own:
        start, size = pages[index]
        if size > 200:
            flip(path, start + size // 2)
            with pytest.raises(AuditError, match=path.name):
                digest.digest(tmp_path)
            with pytest.raises(OSError, match="CRC"):
                read.open_set(tmp_path, "events").to_table()
            path.write_bytes(whole)
    assert digest.digest(tmp_path)["events"].rows == 5000


def test_a_write_that_the_system_refuses(tmp_path: Path) -> None:
    """A real limit of the system, which strikes in the middle of the second file."""
    audit = writer(tmp_path)
    audit.add("events", table("events", rows("events", 10)))
    audit.add("rejected", table("rejected", [row | {"value": os.urandom(400)} for row in rows("rejected", 500)]))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        with pytest.raises(AuditError, match=r"rejected.*EFBIG.*make room"):
            audit.stage(0, 5)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list((tmp_path / ".staging").iterdir()) == []
    assert audit.rows == 510
    audit.publish(audit.stage(0, 5))
    assert digest.digest(tmp_path)["rejected"].rows == 500


@pytest.mark.parametrize(
    ("call", "number", "advice"),
    [
        ("write", errno.ENOSPC, "make room"),
        ("fsync", errno.EIO, "check the disk"),
        ("open", errno.EACCES, "the right to write"),
    ],
)
def test_every_failing_call_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int, advice: str
) -> None:
    audit = writer(tmp_path)
    audit.add("events", table("events", rows("events", 10)))
    audit.stage(100, 105)  # the folders exist from here on
    audit.add("events", table("events", rows("events", 10)))
    chain = audit.chain

    def refuse(where: object, *_: object) -> int:
        raise OSError(number, os.strerror(number), where if call == "open" else None)

    with monkeypatch.context() as patched:
        patched.setattr(os, call, refuse)
        with pytest.raises(AuditError, match=rf"p00003.*{errno.errorcode[number]}.*{advice}"):
            audit.stage(105, 110)
    assert len(layout.staged(tmp_path, 3)) == 1
    assert audit.chain == chain
    assert audit.stage(105, 110).files[0].rows == 10


def test_rejected_rows(tmp_path: Path) -> None:
    refused = [
        Rejected("not_json", "line 1: what is this?", 7, b"\xff\x00", None, None),
        Rejected("late", "half a pair: \ud800", 8, b"{}", "L1", NOON_NS),
        Rejected("bad_time", "far away", 9, b"[]", "L\udfff", 1 << 70),
    ]
    made = rejected_table(refused, "twin.events", 3)
    assert made.schema.equals(REJECTED)
    assert plain(made)[1] == ("late", "half a pair: ?", "L1", NOON_NS, b"{}", "twin.events", 3, 8)
    write(tmp_path, {"rejected": made})
    assert [file.date for file in layout.published(tmp_path, "rejected")] == ["1970-01-01", "2025-06-16"]
    assert rejected_table([], "twin.events", 3).schema.equals(REJECTED)


def test_broken_clocks_do_not_make_a_file_per_row(tmp_path: Path) -> None:
    made = [row | {"ts": n * DAY_NS} for n, row in enumerate(rows("rejected", MAX_REJECTED_DATES + 1))]
    assert len(write(tmp_path, {"rejected": table("rejected", made)}).files) == 1
    extremes = [made[0] | {"ts": -(1 << 63)}, made[1] | {"ts": (1 << 63) - 1}]
    write(tmp_path, {"rejected": table("rejected", extremes)}, 100, 200)
    assert {file.date for file in layout.published(tmp_path, "rejected")} == {"1677-09-21", "1970-01-01", "2262-04-11"}
    assert digest.digest(tmp_path)["rejected"].rows == MAX_REJECTED_DATES + 3


def test_origin_columns() -> None:
    own = table("events", rows("events", 4), origin=False)
    offsets = pc.cast(pa.array([5, 5, 6, 8]), pa.int64()).to_numpy()
    each = events_with_origin(own, "t", 2, offsets)
    assert each.schema.equals(SETS["events"])
    assert each.column("source_index").to_pylist() == [0, 1, 0, 0]
    assert each.column("source_offset").to_pylist() == [5, 5, 6, 8]
    assert events_with_origin(own.slice(0, 0), "t", 2, offsets[:0]).schema.equals(SETS["events"])
    alerts = table("alerts", rows("alerts", 3), origin=False)
    assert with_origin(alerts, "t", 2, 9).schema.equals(SETS["alerts"])
    assert with_origin(alerts, "t", 2, 9).column("source_offset").to_pylist() == [9] * 3


def in_pieces(root: Path, set_name: str) -> None:
    """Publish sixty rows that came in tables of seven, and find them all."""
    made = rows(set_name, 60, seed=8)
    audit = writer(root)
    for start in range(0, 60, 7):
        audit.add(set_name, table(set_name, made[start : start + 7]))
    audit.publish(audit.stage(0, 60))
    assert digest.digest(root)[set_name] == digest.digest_tables(set_name, [table(set_name, made)])


def test_dictionaries_of_different_blocks_meet_in_one_file(tmp_path: Path) -> None:
    in_pieces(tmp_path, "states")


def test_events_of_different_blocks_meet_in_one_row_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows in order of arrival get one dictionary per row group, whatever the pieces they came in had."""
    monkeypatch.setattr("twin.audit.writer.ROW_GROUP_ROWS", 25)
    in_pieces(tmp_path, "events")
    for file in layout.published(tmp_path, "events"):
        metadata = pq.read_metadata(file.path)
        line = SETS["events"].get_field_index("line")
        for group in range(metadata.num_row_groups):
            # A second dictionary would have ended the first one: what follows would be plain.
            assert metadata.row_group(group).column(line).encodings == ("PLAIN", "RLE", "RLE_DICTIONARY")


def test_columns_without_a_value_are_not_compressed(tmp_path: Path) -> None:
    made = [row | {"reason": None} for row in rows("states", 30, seed=1)]
    audit = writer(tmp_path)
    audit.add("states", table("states", made))
    audit.publish(audit.stage(0, 30))
    for file in layout.published(tmp_path, "states"):
        group = pq.read_metadata(file.path).row_group(0)
        packed = {group.column(i).path_in_schema: group.column(i).compression for i in range(group.num_columns)}
        assert (packed["reason"], packed["line"]) == ("UNCOMPRESSED", "ZSTD")
    assert digest.digest(tmp_path)["states"] == digest.digest_tables("states", [table("states", made)])


def test_columns_without_a_value_are_no_columns_of_a_file_of_events(tmp_path: Path) -> None:
    made = [row | {"reason": None, "note": None} for row in rows("events", 30, seed=1)]
    audit = writer(tmp_path)
    audit.add("events", table("events", made))
    manifest = audit.stage(0, 30)
    audit.publish(manifest)
    for file in manifest.files:
        names = pq.read_schema(tmp_path / file.path).names
        assert {"reason", "note"} <= set(file.left_out)
        assert sorted((*names, *file.left_out)) == sorted(SETS["events"].names)
    assert pq.read_schema(tmp_path / layout.columns_name("events", SCHEMA_VERSION)).equals(SETS["events"])
    assert digest.digest(tmp_path)["events"] == digest.digest_tables("events", [table("events", made)])
    assert read.open_set(tmp_path, "events").to_table().select(SETS["events"].names).num_rows == 30
