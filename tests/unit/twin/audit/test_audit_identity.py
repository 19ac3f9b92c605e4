"""What shows only across files: over intervals, revisions, partitions and changes of the model."""

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.support.audit import NOON_NS, rows, table, writer
from twin.audit import identity
from twin.audit.identity import check_identities
from twin.audit.intervals import intervals
from twin.audit.report import Report
from twin.audit.writer import AuditWriter

HOUR_NS = 3_600 * 10**9
HOUR_0 = np.datetime64(NOON_NS, "ns")


def _row(
    station: str, path: int, elapsed: int, revision: int = 0, *, retracted: bool = False, hour: int = 0
) -> dict[str, Any]:
    row = rows("bottlenecks", 1)[0] | {"line": "L", "station": station, "window": "1h", "policy": "p", "model": "m"}
    row |= {"start": NOON_NS + hour * HOUR_NS, "end": NOON_NS + (hour + 1) * HOUR_NS}
    revised = NOON_NS + (9 + revision) * HOUR_NS if revision else None
    row |= {"critical_path_ns": path, "elapsed_ns": elapsed}
    return row | {"revision": revision, "revised": revised, "retracted": retracted}


def _add(audit: AuditWriter, number: int, made: list[dict[str, Any]]) -> None:
    audit.add("bottlenecks", table("bottlenecks", made))
    audit.publish(audit.stage(100 * number, 100 * (number + 1)))


def _checked(root: Path) -> Report:
    report = Report(every=True)
    check_identities(root, intervals(root), report)
    return report


_FIRST = [_row("a", 60, 100), _row("b", 40, 100), _row("a", 30, 30, hour=1), _row("b", 0, 30, hour=1)]


@pytest.mark.parametrize(
    ("later", "sums", "wrong"),
    [
        ([], 2, None),
        # A revision may say something new of one station only, but then the sum must still be right.
        ([[_row("a", 50, 100, 1), _row("b", 50, 100, 1)]], 2, None),
        ([[_row("a", 50, 100, 1)]], 2, "sums to 90 ns over its stations, elapsed_ns is 100"),
        ([[_row("a", 50, 90, 1)]], 2, "sums to 90 ns over its stations, elapsed_ns is 90 and 100"),
        ([[_row("a", 60, 90, 1), _row("b", 30, 90, 1)], [_row("b", 40, 90, 2)]], 2, "sums to 100 ns"),
        ([[_row("a", 60, 100, 1, retracted=True)]], 2, "sums to 40 ns"),
        ([[_row("a", 60, 100, 1, retracted=True), _row("b", 40, 100, 1, retracted=True)]], 1, None),
        # Retracted, and certain again before the next revision: in any order of the files.
        ([[_row("a", 60, 100, 1, retracted=True)], [_row("a", 60, 100, 1)]], 2, None),
        ([[_row("a", 60, 100, 1)], [_row("a", 60, 100, 1, retracted=True)]], 2, None),
    ],
)
def test_the_newest_rows_of_an_interval_sum(
    tmp_path: Path, later: list[list[dict[str, Any]]], sums: int, wrong: str | None
) -> None:
    audit = writer(tmp_path)
    for number, made in enumerate([_FIRST, *later]):
        _add(audit, number, made)
    report = _checked(tmp_path)
    assert report.checked["critical path sums"] == sums
    assert report.checked["row identities"] == len(_FIRST) + sum(map(len, later))
    if wrong is None:
        assert report.differences == []
        return
    (difference,) = report.differences
    assert difference.what.startswith(f"critical_path_ns of line L, window 1h, from {HOUR_0}Z ")
    assert wrong in difference.what
    assert difference.file.startswith("bottlenecks/date=")


def test_a_row_said_again_is_found_in_its_partition_and_epoch_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another partition, or another model in between where lines began anew with it, may come to the same rows; the
    same twin may not."""
    monkeypatch.setattr(identity.rules, "begins_anew", lambda _made: True)
    for partition in (3, 4):
        _add(writer(tmp_path, partition), 0, _FIRST)
    for number, plant_hash in ((1, "0000000000000001"), (2, "00ff00ff00ff00ff")):
        _add(writer(tmp_path, plant_hash=plant_hash), number, _FIRST)
    assert _checked(tmp_path).differences == []
    _add(writer(tmp_path), 3, [_row("c", 7, 7, hour=2), _row("b", 7, 100)])
    twice, summed = _checked(tmp_path).differences
    assert (twice.row, "what row 2 of bottlenecks/" in twice.what) == (0, True), str(twice)
    assert twice.file.endswith(f"-{300:020d}-{400:020d}.parquet")
    assert f"-{200:020d}-{300:020d}.parquet says" in twice.what
    assert "window 1h" in summed.what


def test_a_line_that_goes_on_under_another_plant_says_no_row_again(tmp_path: Path) -> None:
    for number, plant_hash in ((0, "0000000000000001"), (1, "00ff00ff00ff00ff")):
        _add(writer(tmp_path, plant_hash=plant_hash), number, _FIRST)
    assert len([one for one in _checked(tmp_path).differences if "says again" in one.what]) == len(_FIRST)


def test_memory_is_what_the_documentation_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one partition and date, not of all; bytes per row as numpy and Python allocate them."""
    monkeypatch.setattr(identity, "_BATCH_ROWS", 1_000)  # what a batch takes is the same however many rows there are
    count = 50_000
    base = table("bottlenecks", [_row("a", 1, 1)])
    starts = NOON_NS + np.arange(count)
    one = base.take(np.zeros(count, np.int64))
    for name, values in (("start", starts), ("end", starts + 1)):
        at = one.schema.get_field_index(name)
        one = one.set_column(at, one.schema.field(at), pa.array(values).cast(one.schema.field(at).type))
    peaks = []
    for partitions in (1, 3):
        audit = writer(tmp_path, partitions)
        audit.add("bottlenecks", one)
        audit.publish(audit.stage(0, 100))
        found = intervals(tmp_path)
        tracemalloc.start()
        report = Report()
        check_identities(tmp_path, found, report)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert report.checked["critical path sums"] == count * len(found)
    assert peaks[0] < 250 * count
    assert peaks[1] < 1.1 * peaks[0]
