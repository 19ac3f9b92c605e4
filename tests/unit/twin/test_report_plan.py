"""Plans, and when an order is done: against SQL of its own, and against the calendar counted by hand."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.support import floor
from tests.support.replayed import replayed
from twin import plant as plants
from twin.audit.query import query
from twin.audit.rows import integers
from twin.plant.model import Target
from twin.replay import replay
from twin.report.build import report
from twin.report.cover import cover
from twin.report.figures import Figures
from twin.report.plan import HOUR_NS, done_at, plan_of, rate_of, rolling
from twin.report.rows import select
from twin.report.spans import shift_of, site_of
from twin.sources import open_logs
from twin.time.rfc3339 import parse_rfc3339, rfc3339

pytest.importorskip("duckdb")
END_S = 1_773_700_800  # 2026-03-16 23:40 in Berlin
PLANNED = ("running", "setup", "starved", "blocked", "minor_stop", "down", "waiting", "maintenance")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plan")
    plant_file, log = floor.write(folder, END_S)
    plant = plants.load(plant_file)
    replay(plant, open_logs([log], plant), folder / "audit")
    return folder / "audit"


@pytest.mark.parametrize("line", ["oven-1", "choc-1", "case-1", "glaze-1"])
def test_a_plan_is_that_of_independent_sql(root: Path, line: str) -> None:
    site = site_of(root)
    span = shift_of(site.line(line), "2026-03-16 late")
    first, last = span.start_ns, span.end_ns
    # By the nanosecond at which each order begins and ends; rows of a minute name the product at their end.
    text = f"""WITH o AS (SELECT product, action, epoch_ns(ts) AS a,
                          coalesce(lead(epoch_ns(ts)) OVER (ORDER BY ts), {last}) AS b
                          FROM events WHERE line = '{line}' AND "type" = 'order'),
               s AS (SELECT greatest(epoch_ns(start), {first}) AS a, least(epoch_ns("end"), {last}) AS b
                     FROM states WHERE line = '{line}' AND station = 'main' AND "class" IN {PLANNED})
               SELECT product, sum(least(s.b, o.b) - greatest(s.a, o.a)) AS ns FROM s JOIN o
               ON action = 'start' AND s.a < o.b AND s.b > o.a AND s.a < s.b GROUP BY product"""
    by = {row["product"]: int(row["ns"]) for row in query(root, text).to_pylist()}
    text = f"""SELECT sum(least(epoch_ns("end"), {last}) - greatest(epoch_ns(start), {first})) AS ns FROM states
               WHERE line = '{line}' AND station = 'main' AND "class" IN {PLANNED}
               AND start < '{rfc3339(last)}' AND "end" > '{rfc3339(first)}'"""
    planned = query(root, text).to_pylist()[0]["ns"]
    exact = sum(Fraction(by.get(name, 0) * rate, HOUR_NS) for name, rate in (("butter", 2500), ("choc", 2400)))
    found = report(root, line, "shift", span.label)
    rows = rolling(select(root, "kpis", span.start_ns, span.end_ns, line=line))
    mine = rows.filter([one is None for one in rows.column("station").to_pylist()])
    plan = plan_of(site.line(line), site.target(line), mine, span.start_ns, span.end_ns)
    assert plan.parts is not None and plan.planned_ns == planned
    changes = sum(one["window"] == "order" for one in found["orders"]) * 2
    assert abs(plan.parts - exact) <= changes * Fraction(2500, 60)
    assert found["total"]["plan_parts"] == float(plan.parts)
    assert found["total"]["plan_difference"] == float(found["total"]["good"] - plan.parts)
    hours = found["hours"]
    assert sum(one["plan_parts"] for one in hours) == pytest.approx(float(plan.parts))
    assert hours[-1]["plan_so_far"] == pytest.approx(found["total"]["plan_difference"])


SIX = parse_rfc3339("2026-03-16T06:00:00Z")
MIN = 60 * 10**9
TWO_PRODUCTS = """
site = "S"
[[area]]
id = "A"
[[line]]
id = "L"
area = "A"
type = "cell"
lateness = "0s"
staleness = "300h"
publish_every = "5min"
windows = ["5min/5min", "1h/5min"]
[[line.station]]
id = "m"
ideal_cycle = "1s"
[[line.product]]
id = "p1"
[[line.product]]
id = "p2"
[line.target]
parts_per_hour = { p1 = 1000, p2 = 100 }
[line.states]
RUN = "running"
"""


@pytest.mark.parametrize("silent", [50, 150, 65 * 60])
def test_a_gap_at_the_beginning_is_of_what_was_made_before(tmp_path: Path, silent: int) -> None:
    # p1 until the gap is over, then p2; nothing is heard meanwhile, and the span begins in the gap, 50 minutes before.
    begins = SIX + (120 + silent) * MIN
    events: list[dict[str, Any]] = [
        {"type": "order", "order": "A", "product": "p1", "action": "start", "ts": SIX},
        {"type": "state", "station": "m", "state": "RUN", "ts": SIX},
        *({"type": "heartbeat", "ts": SIX + k * MIN} for k in range(1, 120)),
        {"type": "order", "order": "B", "product": "p2", "action": "start", "ts": begins},
        *({"type": "heartbeat", "ts": begins + k * MIN} for k in range(1, 180)),
    ]
    replayed(tmp_path, events, TWO_PRODUCTS)
    span = f"{rfc3339(begins - 50 * MIN)}/{rfc3339(begins + 10 * MIN)}"
    total = report(tmp_path / "audit", "L", "span", span)["total"]
    assert total["plan_parts"] == pytest.approx(1000 * 50 / 60 + 100 * 10 / 60)


def test_without_a_target_there_is_no_plan(root: Path) -> None:
    line = site_of(root).line("oven-1")
    rows = rolling(select(root, "kpis", line="oven-1"))
    mine = rows.filter([one is None for one in rows.column("station").to_pylist()])
    every = (mine, 0, END_S * 10**9)
    assert plan_of(line, Target("oven-1"), *every).parts is None
    # A product that is not named leaves the whole plan open: half a plan would be a wrong one.
    assert plan_of(line, Target("oven-1", parts_per_hour={"butter": 2500}), *every).parts is None
    assert plan_of(line, Target("oven-1", parts_per_hour={"*": 100}), *every).parts is not None


def test_rates() -> None:
    target = Target("L", parts_per_hour={"a": 5, "*": 7})
    assert [rate_of(target, name) for name in ("a", "b", None)] == [5, 7, 7]
    target = Target("L", parts_per_hour={"a": 5})
    assert [rate_of(target, name) for name in ("a", "b", None)] == [5, None, 0]


def test_an_order_ends_in_planned_time() -> None:
    text = """site = "S"
[[area]]
id = "a"
[calendar]
zone = "Europe/Berlin"
[[calendar.shift]]
id = "early"
days = "Mon-Fri"
hours = "06:00 - 14:00"
[[calendar.planned_stop]]
id = "break"
days = "Mon-Fri"
hours = "09:00 - 09:30"
[[line]]
id = "L"
area = "a"
type = "flow"
[[line.station]]
id = "A"
"""
    line = plants.loads(text).lines[0]
    start = parse_rfc3339("2026-03-27T08:00:00+01:00")  # a Friday; the clock changes on Sunday
    pace = (100, HOUR_NS)  # parts, in an hour

    def at(rest: int) -> int | None:
        return done_at(line, rest, *pace, start)

    assert at(100) == parse_rfc3339("2026-03-27T09:00:00+01:00")
    assert at(101) == parse_rfc3339("2026-03-27T09:30:36+01:00")
    assert at(550) == parse_rfc3339("2026-03-27T14:00:00+01:00")
    assert at(650) == parse_rfc3339("2026-03-30T07:00:00+02:00")
    assert at(0) == at(-5) == start
    assert done_at(line, 5, 0, HOUR_NS, start) is None and done_at(line, 10**9, *pace, start) is None


def test_a_plan_is_over_the_planned_time_that_is_shown(root: Path) -> None:
    """Of a shift that goes on, wherever it stands: also where its last minutes stand in longer rows only, or beside a
    change of the constraint, where no way leads through the short ones."""
    tried = wider = 0
    for name, (line, _) in site_of(root).lines.items():
        span = shift_of(line, "2026-03-16 late")
        rows = rolling(select(root, "kpis", span.start_ns - HOUR_NS, span.end_ns, line=name))
        mine = rows.filter([one is None for one in rows.column("station").to_pylist()])
        ends, windows = integers(mine.column("end")), mine.column("window").to_pylist()
        for minutes in range(25, 480, 45):
            end = span.start_ns + minutes * 60 * 10**9
            for dropped in (0, 9):  # minutes without a short row, as of a station that says nothing
                kept = (ends <= end) & ~((ends > end - dropped * 60 * 10**9) & np.array([w == "1min" for w in windows]))
                known = mine.filter(pa.array(kept))
                laid = cover(known, span.start_ns, span.end_ns)
                plus, minus = (known.take(pa.array(some, pa.int64())) for some in (laid.rows, laid.minus))
                planned = Figures.of(plus, minus, line.policy).planned_ns
                plan = plan_of(line, site_of(root).target(name), known, span.start_ns, span.end_ns)
                assert plan.planned_ns == planned, (name, minutes, dropped)
                if plan.parts is not None:
                    assert Fraction(planned * 2400, HOUR_NS) <= plan.parts <= Fraction(planned * 2500, HOUR_NS)
                tried, wider = tried + 1, wider + (dropped > 0 and planned > 0)
    assert tried > 150 and wider > 50
