"""The audited events read back: in order of arrival, nothing added, damage noticed."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kernels.codes import STATE
from tests.support.sources import EPOCH, S, plant, run
from twin.audit.rows import events_with_origin
from twin.events.block import EventBlock
from twin.results import EVENTS
from twin.sources import SourceError, open_log, open_logs
from twin.sources.drafts import draft
from twin.wire.encode import events_table


def block(times: list[int]) -> EventBlock:
    ts = np.array([EPOCH + t * S for t in times], np.int64)
    return draft(["on"], np.arange(len(ts)), ts, 0, 0, station=0, type=STATE, code=4, x=0, seq=np.arange(len(ts))).block


def save(
    folder: Path, name: str, times: list[int], offsets: list[int], partition: int = 0, numbered: bool = True
) -> Path:
    events = block(times)
    if not numbered:
        events.seq = np.full(len(events), -1, np.int64)
    table = events_table(events, plant())
    table = events_with_origin(table, "t", partition, np.array(offsets, np.int64))
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.cast(EVENTS), path, write_page_checksum=True, compression="none")
    return path


def times(path: Path) -> list[float]:
    blocks, refused = run(open_logs([path], plant()))
    assert not refused
    return [(ts - EPOCH) / S for one in blocks for ts in one.ts.tolist()]


def test_files_of_an_audit_root_in_order_of_arrival(tmp_path: Path) -> None:
    # One interval wrote two dates; the next interval's events are older; staging is nobody's business.
    save(tmp_path, "events/date=2026-01-02/p0-0-5.parquet", [90_000, 90_002], [1, 3])
    save(tmp_path, "events/date=2026-01-01/p0-0-5.parquet", [5, 4, 3], [0, 2, 2])
    save(tmp_path, "events/date=2026-01-01/p0-5-9.parquet", [2, 1], [6, 5])
    save(tmp_path, "events/date=2026-01-01/p1-0-1.parquet", [7], [0], partition=1)
    save(tmp_path, "events/.staging/x.parquet", [99], [4])
    assert times(tmp_path) == [5, 90_000, 4, 3, 90_002, 1, 2, 7]
    assert times(tmp_path / "events") == times(tmp_path)


def test_nothing_is_added_and_seq_is_kept(tmp_path: Path) -> None:
    path = save(tmp_path, "a.parquet", [0, 1], [4, 5])
    logs = open_logs([path], plant())
    (got,), _ = run(logs)
    assert got.seq.tolist() == [0, 1]
    assert got.offset.tolist() == [0, 1]
    assert logs.summary.events == {"state": 2}
    assert logs.position == logs.size == path.stat().st_size
    for name in ("ts", "line", "station", "type", "code", "a", "x"):
        assert (getattr(got, name) == getattr(block([0, 1]), name)).all()


def test_damage_is_noticed(tmp_path: Path) -> None:
    path = save(tmp_path, "a.parquet", list(range(1000)), list(range(1000)))
    data = bytearray(path.read_bytes())
    group = pq.read_metadata(path).row_group(0)
    data[group.column(EVENTS.get_field_index("ts")).data_page_offset + 100] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(SourceError, match="restore it from a copy"):
        times(path)
    path.write_bytes(b"PAR1")
    with pytest.raises(SourceError, match=r"a\.parquet: cannot be read"):
        times(path)


def test_what_is_no_events_set(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1]}), tmp_path / "x.parquet")
    with pytest.raises(SourceError, match="name files of the set events"):
        open_log(tmp_path / "x.parquet", plant())
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="no events in this folder"):
        open_log(tmp_path / "empty", plant())


def carried(table: pa.Table, path: Path) -> list[bool]:
    pq.write_table(table, path, row_group_size=2)
    blocks, _ = run(open_logs([path], plant()))
    for one in blocks:
        if one.rows is not None:
            assert events_table(replace(one), plant()).to_pylist() == one.rows.to_pylist()
    return [one.rows is not None for one in blocks]


def test_rows_come_with_the_block_where_they_are_what_it_gives(tmp_path: Path) -> None:
    path = save(tmp_path, "a.parquet", [0, 1, 2, 3], [0, 1, 2, 3])
    rows = pq.read_table(path)
    assert carried(rows, path) == [True, True]

    def put(column: str, values: "pa.Array[Any]") -> pa.Table:
        position = rows.schema.get_field_index(column)
        return rows.set_column(position, pa.field(column, values.type), values)

    assert carried(put("good", pa.array([None, None, 5, None], pa.int64())), path) == [True, False]  # of a state
    assert carried(put("epoch", pa.array([0, None, 0, 0], pa.int64())), path) == [False, False]  # another schema
    assert carried(put("state", rows.column("state").combine_chunks().cast(pa.string())), path) == [False, False]
    wrong = pa.array(["on", "no such word", "on", "on"]).dictionary_encode()
    assert carried(put("state", wrong), path) == [False, True]  # one is refused


def test_rows_out_of_order_over_row_groups(tmp_path: Path) -> None:
    path = save(tmp_path, "a.parquet", [0, 1, 2, 3, 4], [4, 5, 1, 2, 3])
    pq.write_table(pq.read_table(path), path, row_group_size=2)
    assert times(path) == [2, 3, 4, 0, 1]
    pq.write_table(pq.read_table(path).slice(0, 0), path)
    assert times(path) == []


def test_columns_that_a_footer_calls_absent_are_null(tmp_path: Path) -> None:
    """What the twin's own files say saves reading; whatever a footer says, columns that every event has are read."""
    path = save(tmp_path, "a.parquet", [0, 1], [0, 1])
    rows = pq.read_table(path)

    def saying(absent: str) -> list[EventBlock]:
        with pq.ParquetWriter(path, rows.schema) as writer:
            writer.write_table(rows)
            writer.add_key_value_metadata({"taktwin.absent": absent})
        return run(open_logs([path], plant()))[0]

    (got,) = saying("reason,good,unit,no such column,ts,source_offset")
    assert got.rows is not None
    assert got.rows.to_pylist() == rows.select(got.rows.column_names).to_pylist()
    assert got.ts.tolist() == block([0, 1]).ts.tolist()


def test_two_audits_of_one_export_without_numbers_are_told(tmp_path: Path) -> None:
    for numbered in (True, False):
        paths = [
            save(tmp_path, f"{name}{numbered}.parquet", [0, 1, 2], [0, 1, 2], numbered=numbered) for name in ("a", "b")
        ]
        logs = open_logs(paths, plant())
        run(logs)
        assert [(name, one.count) for name, one in logs.summary.problems.items()] == [("overlap", 3)] * (not numbered)
