from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from tests.support.audit import NOON_NS, plain, rows, table, write, writer
from twin.audit import AuditError, layout
from twin.audit.read import SetListing, ls, open_set
from twin.results import SETS

NOTHING = SetListing(0, 0, 0, None, None, {}, (), ())


def test_an_empty_root(tmp_path: Path) -> None:
    assert ls(tmp_path) == dict.fromkeys(SETS, NOTHING)
    for set_name in SETS:
        found = open_set(tmp_path, set_name)
        assert found.count_rows() == 0
        assert found.schema.names == [*SETS[set_name].names, "date"]


def test_a_missing_root_and_an_unknown_set(tmp_path: Path) -> None:
    for use in (lambda: ls(tmp_path / "no"), lambda: open_set(tmp_path / "no", "events")):
        with pytest.raises(AuditError, match="no such audit root"):
            use()
    with pytest.raises(AuditError, match="no such set"):
        open_set(tmp_path, "../events")


def test_a_half_written_root_shows_committed_rows_only(tmp_path: Path) -> None:
    audit = writer(tmp_path)
    audit.add("events", table("events", rows("events", 10)))
    audit.stage(0, 5)
    (tmp_path / "kpis" / "date=2025-06-16").mkdir(parents=True)
    (tmp_path / "states" / "date=2025-99-99").mkdir(parents=True)
    (tmp_path / "states" / "date=2025-99-99" / f"p00000-{0:020d}-{1:020d}.parquet").write_text("not ours either")
    (tmp_path / "states" / "notes.txt").write_text("not ours")
    assert ls(tmp_path) == dict.fromkeys(SETS, NOTHING)
    assert open_set(tmp_path, "events").count_rows() == 0


def test_listing(tmp_path: Path) -> None:
    made = rows("events", 40, days=3)
    write(tmp_path, {"events": table("events", made[:20])}, 0, 10)
    write(tmp_path, {"events": table("events", made[20:30])}, 10, 15)
    write(tmp_path, {"events": table("events", made[30:])}, 40, 45)
    other = writer(tmp_path, 5, plant_hash="aa", topic="other")
    other.add("events", table("events", [made[0] | {"ts": NOON_NS - 1}]))
    other.publish(other.stage(0, 1))
    found = ls(tmp_path)["events"]
    files = layout.published(tmp_path, "events")
    assert (found.files, found.rows) == (len(files), 41)
    assert found.bytes == sum(file.path.stat().st_size for file in files)
    assert (found.first_ns, found.last_ns) == (NOON_NS - 1, max(row["ts"] for row in made))
    assert found.partitions == (3, 5)
    assert found.offsets == {3: ((0, 15), (40, 45)), 5: ((0, 1),)}
    assert found.models == ("00ff00ff00ff00ff", "aa")
    assert found.topics == ("other", "twin.events")


def test_rows_without_a_time_have_no_first_and_last(tmp_path: Path) -> None:
    write(tmp_path, {"rejected": table("rejected", [row | {"ts": None} for row in rows("rejected", 5)])})
    found = ls(tmp_path)["rejected"]
    assert (found.rows, found.first_ns, found.last_ns) == (5, None, None)


def test_open_set_reads_back_every_row_and_prunes_by_date(tmp_path: Path) -> None:
    made = rows("states", 60, days=3)
    write(tmp_path, {"states": table("states", made)})
    found = open_set(tmp_path, "states").to_table()
    names = SETS["states"].names
    assert sorted(map(repr, plain(found.select(names)))) == sorted(map(repr, plain(table("states", made))))
    dates = found.column("date").to_pylist()
    assert len(set(dates)) >= 3
    one = open_set(tmp_path, "states").to_table(filter=ds.field("date") == pa.scalar(dates[0]))
    assert one.num_rows == dates.count(dates[0])
    assert pc.all(pc.equal(one.column("date"), pa.scalar(dates[0]))).as_py()


def test_a_file_of_another_writer_is_named(tmp_path: Path) -> None:
    manifest = write(tmp_path, {"alerts": table("alerts", rows("alerts", 5))})
    path = tmp_path / manifest.files[0].path
    pq.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(AuditError, match=rf"{path.name}: no taktwin footer"):
        ls(tmp_path)
    path.write_bytes(b"")
    with pytest.raises(AuditError, match=rf"{path.name}: not readable as published.*offsets 0 to 100 of partition 3"):
        ls(tmp_path)


def test_a_set_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "events").write_text("?")
    with pytest.raises(AuditError, match="events: cannot be listed"):
        ls(tmp_path)


def test_a_folder_of_other_things_is_no_root(tmp_path: Path) -> None:
    assert ls(tmp_path)["kpis"].files == 0
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(AuditError, match=r"is no audit root \(notes\.txt is none of its sets\)"):
        ls(tmp_path)
