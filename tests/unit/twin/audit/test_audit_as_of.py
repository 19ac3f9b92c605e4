"""What was believed, and when: the views over rows that were revised and retracted."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.audit import DAY_NS, NOON_NS, rows, table, writer
from twin.audit.query import query
from twin.results import CLASS_COLUMNS

pytest.importorskip("duckdb")

HOUR_NS = 3_600 * 10**9
T0 = NOON_NS  # with a part below the microsecond


def _kpi(
    window: int, good: int, revision: int = 0, *, retracted: bool = False, station: str | None = "a"
) -> dict[str, Any]:
    """Row of hour `window`; revision n was made n hours after the end of hour 3."""
    row = rows("kpis", 1)[0]
    row |= dict.fromkeys(CLASS_COLUMNS, 0)
    row |= {"line": "L", "station": station, "window": "1h", "policy": "p", "model": "m", "good": good}
    row |= {"start": T0 + window * HOUR_NS, "end": T0 + (window + 1) * HOUR_NS, "unknown_ns": HOUR_NS}
    revised = T0 + (3 + revision) * HOUR_NS if revision else None
    return row | {"revision": revision, "revised": revised, "retracted": retracted}


def _write(root: Path, *intervals: list[dict[str, Any]]) -> None:
    audit = writer(root)
    for k, made in enumerate(intervals):
        audit.add("kpis", table("kpis", made))
        audit.publish(audit.stage(100 * k, 100 * (k + 1)))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Hours 0, 1, 2; then revision 1 of hour 0, revision 2 of hours 0 and 1 (1 retracted), 3 of hour 0 (retracted)."""
    _write(
        tmp_path,
        [_kpi(0, 10), _kpi(1, 11), _kpi(2, 12), _kpi(0, 5, station=None)],
        [_kpi(0, 20, 1)],
        [_kpi(0, 30, 2), _kpi(1, 11, 2, retracted=True)],
        [_kpi(0, 30, 3, retracted=True)],
    )
    return tmp_path


def _good(root: Path, at: int | None, view: str = "kpis") -> list[int]:
    sql = f"SELECT good FROM {view} WHERE station = 'a' ORDER BY start, revision"  # noqa: S608 -- our own names
    return list(query(root, sql, as_of_ns=at).column("good").to_pylist())


def test_without_a_time_the_newest_belief(root: Path) -> None:
    assert _good(root, None) == [12]
    assert query(root, "SELECT good FROM kpis WHERE station IS NULL").column("good").to_pylist() == [5]


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (T0, []),
        (T0 + HOUR_NS - 1, []),
        (T0 + HOUR_NS, [10]),
        (T0 + 3 * HOUR_NS, [10, 11, 12]),
        (T0 + 4 * HOUR_NS - 1, [10, 11, 12]),
        (T0 + 4 * HOUR_NS, [20, 11, 12]),
        (T0 + 5 * HOUR_NS, [30, 12]),
        (T0 + 6 * HOUR_NS, [12]),
        (T0 + 1000 * DAY_NS, [12]),
    ],
)
def test_at_a_time_what_was_believed_then(root: Path, at: int, expected: list[int]) -> None:
    """To the nanosecond: the revision counts at its instant, not one before it."""
    assert _good(root, at) == expected


@pytest.mark.parametrize("at", [None, T0])
def test_all_revisions_are_there_to_be_seen(root: Path, at: int | None) -> None:
    assert _good(root, at, "kpis_revisions") == [10, 20, 30, 30, 11, 11, 12]


def test_the_views_have_the_columns_of_the_set(root: Path) -> None:
    sql = "SELECT * FROM kpis"
    names = query(root, sql).column_names
    assert names == query(root, sql, as_of_ns=T0).column_names == query(root, "FROM kpis_revisions").column_names
    assert names[-1] == "date"


def test_events_and_rejected_end_at_the_time(tmp_path: Path) -> None:
    audit = writer(tmp_path)
    for set_name in ("events", "rejected"):
        audit.add(set_name, table(set_name, rows(set_name, 40, days=2)))
    audit.publish(audit.stage(0, 100))
    for set_name in ("events", "rejected"):
        times = [row["ts"] for row in rows(set_name, 40, days=2)]
        at = sorted(ts for ts in times if ts is not None)[10]
        found = query(tmp_path, f"SELECT ts FROM {set_name}", as_of_ns=at).num_rows  # noqa: S608 -- our own names
        assert found == sum(ts is None or ts <= at for ts in times) < 40


def test_a_revision_under_another_plant_that_leaves_the_line_is_one_of_the_row(tmp_path: Path) -> None:
    """Another line has changed: it is the hash of its own line that a row is known by."""
    _write(tmp_path, [_kpi(0, 10)], [_kpi(0, 99, 1) | {"model": "n"}])
    assert sorted(_good(tmp_path, None)) == [99]


def test_a_revision_of_another_model_or_policy_is_another_row(tmp_path: Path) -> None:
    other = _kpi(0, 99, 1) | {"model": "n", "line_model": "n"}
    _write(tmp_path, [_kpi(0, 10)], [other])
    assert sorted(_good(tmp_path, None)) == [10, 99]


def test_a_row_that_came_back_before_the_next_revision_stands(tmp_path: Path) -> None:
    again = _kpi(0, 21, 1) | {"revised": None}
    _write(tmp_path, [_kpi(0, 10)], [_kpi(0, 10, 1, retracted=True), _kpi(1, 11, 1, retracted=True)], [again])
    assert _good(tmp_path, None) == [21]


@pytest.mark.parametrize(
    ("at", "expected"), [(T0 + 3 * HOUR_NS, [10]), (T0 + 5 * HOUR_NS - 1, [10]), (T0 + 5 * HOUR_NS, [21])]
)
@pytest.mark.parametrize("number", [2, 3])
def test_a_row_that_came_back_is_not_believed_before_its_retraction(
    tmp_path: Path, number: int, at: int, expected: list[int]
) -> None:
    """`number`: of the row that came back; above that of its retraction where the line was revised elsewhere since."""
    again = _kpi(0, 21, number) | {"revised": None}
    _write(tmp_path, [_kpi(0, 10)], [_kpi(0, 10, 2, retracted=True)], [again])
    assert _good(tmp_path, at) == expected


def test_a_first_row_of_a_line_that_was_revised_counts_from_its_end(tmp_path: Path) -> None:
    _write(tmp_path, [_kpi(0, 10)], [_kpi(0, 20, 1)], [_kpi(4, 14, 1) | {"revised": None}])
    assert _good(tmp_path, T0 + 5 * HOUR_NS - 1) == [20]
    assert _good(tmp_path, T0 + 5 * HOUR_NS) == [20, 14]


def test_an_empty_root_has_the_same_views(tmp_path: Path) -> None:
    for at in (None, T0):
        assert query(tmp_path, "SELECT * FROM alerts, alerts_revisions", as_of_ns=at).num_rows == 0
