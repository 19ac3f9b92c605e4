"""A stop is one stop: one that a break cuts, one with several reasons, one that goes on when its shift is over."""

import random
from pathlib import Path
from typing import Any

import pytest

from tests.support.replayed import replayed
from twin.audit.query import query
from twin.audit.views import statements
from twin.report.build import report
from twin.report.losses import joined, pareto
from twin.time.rfc3339 import parse_rfc3339

SIX = parse_rfc3339("2026-03-16T06:00:00Z")
MIN = 60 * 10**9
PLANT = """
site = "S"
[[area]]
id = "A"
[[line]]
id = "L"
area = "A"
type = "cell"
lateness = "0s"
minor_stop = "5min"
staleness = "5h"
publish_every = "5min"
windows = ["5min/5min", "1h/5min"]
[[line.station]]
id = "m"
ideal_cycle = "1s"
[line.states]
RUN = "running"
STOP = "stopped"
NONE = "unknown"
SETUP = "setup"
[line.calendar]
zone = "UTC"
day_start = "06:00"
[[line.calendar.shift]]
id = "early"
hours = "06:00-14:00"
[[line.calendar.shift]]
id = "late"
hours = "14:00-20:00"
[[line.calendar.planned_stop]]
id = "break"
hours = "08:30-08:45"
"""
EARLY, LATE = "2026-03-16 early", "2026-03-16 late"


def audited(folder: Path, *said: tuple[int, str, str | None], until: int = 24 * 60) -> Path:
    """States of `m` in minutes from 06:00 on, with their reasons; heartbeats all the time."""
    events: list[dict[str, Any]] = [
        {"type": "state", "station": "m", "state": state, "ts": SIX + at * MIN}
        | ({} if reason is None else {"reason": reason})
        for at, state, reason in said
    ]
    events += [{"type": "heartbeat", "ts": SIX + k * MIN + 1} for k in range(-2, until, 4)]
    replayed(folder, events, PLANT)
    return folder / "audit"


def losses(found: dict[str, Any], name: str = "pareto") -> list[tuple[Any, ...]]:
    """Without time that nobody was there: class, reason, minutes, count, longest in minutes."""
    keys = ("ns", "count", "longest_ns")
    rows = [(one["class"], one["reason"], *(one[key] for key in keys)) for one in found[name]]
    return sorted((c, r, ns // MIN, n, longest // MIN) for c, r, ns, n, longest in rows if c != "unknown")


CUT = {
    "by a break": [(0, "RUN", None), (145, "STOP", "film"), (170, "RUN", None)],
    "by not knowing": [(0, "RUN", None), (10, "STOP", "film"), (15, "NONE", None), (20, "STOP", "film"),
                       (25, "RUN", None)],
}  # fmt: skip


@pytest.mark.parametrize("name", CUT)
def test_a_stop_that_is_cut_counts_once(tmp_path: Path, name: str) -> None:
    pytest.importorskip("duckdb")
    root = audited(tmp_path, *CUT[name])
    found = report(root, "L", "shift", EARLY)
    assert losses(found) == losses(found, "charged") == [("down", "film", 10, 1, 10)]
    assert found["stations"][0]["downs"] == 1
    (row,) = query(root, "SELECT count, ns, longest_ns FROM pareto WHERE class = 'down'").to_pylist()
    assert row == {"count": 1, "ns": 10 * MIN, "longest_ns": 10 * MIN}
    (stop,) = query(root, "SELECT reason, ns, shift FROM stops").to_pylist()
    assert stop == {"reason": "film", "ns": 10 * MIN, "shift": EARLY}


def test_each_reason_counts_where_it_is_first_given(tmp_path: Path) -> None:
    root = audited(
        tmp_path, (0, "RUN", None), (10, "STOP", "a"), (20, "STOP", "b"), (26, "STOP", "a"), (33, "RUN", None)
    )
    assert losses(report(root, "L", "shift", EARLY)) == [("down", "a", 17, 1, 17), ("down", "b", 6, 1, 6)]


def test_a_stop_over_the_night_counts_in_the_shift_in_which_it_begins(tmp_path: Path) -> None:
    root = audited(tmp_path, (0, "RUN", None), (13 * 60 + 50, "STOP", "a"), (24 * 60 + 20, "RUN", None), until=48 * 60)
    counts = {name: losses(report(root, "L", "shift", name)) for name in (LATE, "2026-03-17 early")}
    assert counts == {LATE: [("down", "a", 10, 1, 10)], "2026-03-17 early": [("down", "a", 20, 0, 20)]}
    assert losses(report(root, "L", "week", "2026-W12"))[0] == ("down", "a", 30, 1, 30)


def test_a_stop_that_goes_on_is_in_the_report_of_the_shift_that_is_over(tmp_path: Path) -> None:
    goes_on = [(0, "RUN", None), (240, "STOP", "jam")]
    root = audited(tmp_path / "open", *goes_on, until=13 * 60)
    ended = audited(tmp_path / "ended", *goes_on, (13 * 60, "RUN", None))
    for label, minutes, count in ((EARLY, 240, 1), (LATE, 300, 0)):
        found = report(root, "L", "shift", label)
        again = report(ended, "L", "shift", label)
        if label == EARLY:  # all of it is known: as it will be when the stop has ended
            assert found["health"] == again["health"] and found["hours"] == again["hours"]
            assert losses(found) == losses(again)
        assert losses(found)[0][:4] == losses(found, "charged")[0][:4] == ("down", "jam", losses(found)[0][2], count)
        assert losses(found)[0][2] >= minutes and found["health"]["down_without_reason_ns"] == 0
        station = found["stations"][0]
        assert found["timeline"][0]["totals_ns"] == {
            name.removesuffix("_ns"): station[name]
            for name in ("running_ns", "down_ns", "planned_stop_ns")
            if station[name]
        }
        (one,) = [row for row in found["lost"] if row["class"] == "down"]
        assert (one["reason"], one["goes_on"], one["ns"]) == ("jam", True, station["down_ns"])
        assert not any(row["goes_on"] for row in again["lost"] if label == EARLY)


def test_a_reason_that_is_given_when_the_shift_is_over_is_that_of_all_of_the_stop(tmp_path: Path) -> None:
    root = audited(tmp_path, (0, "RUN", None), (240, "STOP", None), (500, "STOP", "jam"), until=13 * 60)
    assert losses(report(root, "L", "shift", EARLY)) == [("down", "jam", 240, 1, 240)]


def test_the_views_and_the_report_count_alike() -> None:
    duckdb = pytest.importorskip("duckdb")
    dice = random.Random(4)  # noqa: S311 -- worlds, no secrets
    classes = ("running", "down", "down", "minor_stop", "setup", "planned_stop", "off_shift", "no_order", "unknown")
    several = 0
    for _ in range(150):
        states, now = [], 0
        for _ in range(dice.randint(1, 20)):
            now += dice.choice((0, 0, 0, 0, 7))  # a gap now and then
            end = now + dice.randint(1, 9)
            about = {"station": "m", "class": dice.choice(classes), "reason": dice.choice((None, "a", "a", "b"))}
            states.append({**about, "start": now, "end": end})
            now = end
        with duckdb.connect() as connection:
            connection.execute(
                "CREATE TABLE states (line VARCHAR, station VARCHAR, class VARCHAR, state VARCHAR, reason VARCHAR, "
                'production_date DATE, shift VARCHAR, "order" VARCHAR, start TIMESTAMP_NS, "end" TIMESTAMP_NS, '
                "revision INTEGER)"
            )
            for row in states:
                connection.execute(
                    "INSERT INTO states VALUES ('l', ?, ?, NULL, ?, NULL, 's', NULL, make_timestamp_ns(?), "
                    "make_timestamp_ns(?), 0)",
                    [row[name] for name in ("station", "class", "reason", "start", "end")],
                )
            for statement in statements({"states"}, exact=True):
                connection.execute(statement)
            of_view = connection.execute("SELECT class, reason, ns, count, longest_ns FROM pareto").fetchall()
            stops = connection.execute("SELECT class, reason, epoch_ns(start), ns FROM stops").fetchall()
        found = pareto(joined(states), 0, now, "iso22400")
        mine = {(one.klass, one.reason, one.ns, one.count, one.longest_ns) for one in found}
        assert mine | {one for one in of_view if one[0] == "maintenance"} == set(of_view)
        assert len(stops) == sum(one.count for one in found if one.klass in ("down", "minor_stop"))
        assert sum(stop[3] for stop in stops) == sum(one.ns for one in found if one.klass in ("down", "minor_stop"))
        several += len(stops) < sum(row["class"] in ("down", "minor_stop") for row in states)
    assert several > 20


def test_hours_that_no_row_lies_in_are_not_to_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "PLANT", PLANT.replace('"5min/5min", "1h/5min"', '"8h/5min"'))
    root = audited(tmp_path, (0, "RUN", None), (600, "STOP", "a"), (700, "RUN", None), until=40 * 60)
    found = report(root, "L", "day", "2026-03-16")
    assert (found["total"]["no_rows_ns"], found["total"]["ahead_ns"]) == (0, 0) and len(found["hours"]) == 24
    assert [one["biggest"] for one in found["hours"]][10:12] == [
        {"class": "down", "reason": "a", "ns": minutes * MIN} for minutes in (60, 40)
    ]
    assert len(report(root, "L", "shift", "2026-03-17 late")["hours"]) == 6
    assert len(report(root, "L", "day", "2026-03-17")["hours"]) < 24  # the rest is to come
