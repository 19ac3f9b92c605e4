"""An order that is put aside for another one and taken up again; parts of which no ideal cycle is known."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.support.replayed import replayed
from twin.audit.query import query
from twin.line.still_open import told
from twin.report import ReportError
from twin.report.build import report
from twin.report.html import doubts, ratios
from twin.report.parts import cut, merged, within
from twin.time.rfc3339 import parse_rfc3339, rfc3339

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
windows = ["1min/1min"]
[[line.station]]
id = "m"
ideal_cycle = "1s"
[line.states]
RUN = "running"
STOP = "stopped"
"""


def test_what_was_made_meanwhile_is_not_the_orders(tmp_path: Path) -> None:
    # Stands 5 to 15 (into the pause), 25 to 35 (over the end of the pause); good parts each minute, more in the pause.
    begins = {"one": (0, 30), "two": (10,)}
    events: list[dict[str, Any]] = [
        {"type": "order", "order": order, "action": "start", "ts": SIX + at * MIN}
        for order, starts in begins.items()
        for at in starts
    ]
    events.append({"type": "order", "order": "one", "action": "end", "ts": SIX + 40 * MIN})
    states = {0: "RUN", 5: "STOP", 15: "RUN", 25: "STOP", 35: "RUN", 50: "STOP"}
    events += [{"type": "state", "station": "m", "state": word, "ts": SIX + at * MIN} for at, word in states.items()]
    running = [k for a, b in pairwise(states) if states[a] == "RUN" for k in range(a, b)]
    events += [
        {"type": "count", "station": "m", "good": 7 if 10 <= k < 30 else 2, "ts": SIX + k * MIN + MIN // 2}
        for k in running
    ]
    replayed(tmp_path, events, PLANT)
    found = report(tmp_path / "audit", "L", "order", "one")
    total, station = found["total"], found["stations"][0]
    assert (total["good"], station["good"]) == (20, 20)  # 5 + 5 minutes of 2; 70 parts were those of the other order
    assert (total["running_ns"], total["down_ns"], found["span"]["ns"]) == (10 * MIN, 10 * MIN, 20 * MIN)
    assert (total["no_rows_ns"], found["gaps"]) == (0, [])
    assert sum(step["ns"] for step in found["waterfall"]) == 20 * MIN
    assert [(one["ns"], one["count"]) for one in found["pareto"]] == [(10 * MIN, 1)]  # the second began in the pause
    assert found["timeline"][0]["totals_ns"] == {"running": 10 * MIN, "down": 10 * MIN}
    pause = {"start": rfc3339(SIX + 10 * MIN), "end": rfc3339(SIX + 30 * MIN)}
    assert found["span"]["pauses"] == [pause]
    assert any(one.startswith("one was put aside") for one in doubts(found, "en"))
    assert report(tmp_path / "audit", "L", "order", "two")["span"]["pauses"] == []


@pytest.mark.parametrize("ideal", ['ideal_cycle = "1s"\n', ""])
def test_an_oee_without_an_ideal_cycle_is_said(tmp_path: Path, ideal: str) -> None:
    events: list[dict[str, Any]] = [{"type": "state", "station": "m", "state": "RUN", "ts": SIX}]
    events += [{"type": "count", "station": "m", "good": 2, "ts": SIX + k * MIN} for k in range(1, 90)]
    said = told(replayed(tmp_path, events, PLANT.replace('ideal_cycle = "1s"\n', ideal)).open)
    assert ("OEE not known so far" in said[0]) == (not ideal)
    span = f"{rfc3339(SIX)}/{rfc3339(SIX + 60 * MIN)}"
    found = doubts(report(tmp_path / "audit", "L", "span", span), "en")
    assert any(one.startswith("no ideal cycle is known") for one in found) == (not ideal)


def test_parts_counted_outside_running_time_are_not_called_without_an_ideal_cycle() -> None:
    for no_ideal, told_of in ((False, "nothing made"), (True, "no ideal cycle is known")):
        assert ratios({"oee": None, "planned_ns": 1, "no_ideal": no_ideal}, "en") == f"OEE: {told_of}"


def test_orders_of_stations_have_changeovers_too(tmp_path: Path) -> None:
    text = PLANT.replace("[line.states]", '[[line.station]]\nid = "k"\n[line.states]\nSETUP = "setup"')
    states = [(name, at, word) for name in "mk" for at, word in ((0, "RUN"), (30, "SETUP"), (40, "RUN"), (60, "STOP"))]
    events: list[dict[str, Any]] = [
        {"type": "state", "station": name, "state": word, "ts": SIX + at * MIN} for name, at, word in states
    ]
    events += [
        {"type": "order", "station": "m", "order": order, "product": order, "action": action, "ts": SIX + at * MIN}
        for order, action, at in (("A", "start", 0), ("B", "start", 35), ("B", "end", 60))
    ]
    replayed(tmp_path, [*events, {"type": "heartbeat", "ts": SIX + 90 * MIN}], text)
    root = tmp_path / "audit"
    span = f"{rfc3339(SIX)}/{rfc3339(SIX + 60 * MIN)}"
    (one,) = report(root, "L", "span", span)["changeovers"]
    assert (one["station"], one["from"], one["to"], one["ns"]) == ("m", "A", "B", 10 * MIN)
    pytest.importorskip("duckdb")
    assert query(root, "SELECT station, from_product, to_product, order_id, ns FROM changeovers").to_pylist() == [
        {"station": "m", "from_product": "A", "to_product": "B", "order_id": "B", "ns": 10 * MIN}
    ]
    with pytest.raises(ReportError, match="order 'B' is one of m, not of the line"):
        report(root, "L", "order", "B")


def test_parts() -> None:
    assert merged([(5, 7), (0, 2), (2, 3), (6, 9)]) == ((0, 3), (5, 9))
    assert within([(1, 6)], [(0, 3), (5, 9)]) == [(1, 3), (5, 6)]
    states = [{"start": -1, "end": 6}, {"start": 3, "end": 5}, {"start": 8, "end": 12}]
    assert [(one["start"], one["end"], one["cut"]) for one in cut(states, ((0, 3), (5, 9)))] == [
        (-1, 3, False),
        (5, 6, True),
        (8, 12, False),
    ]
    assert cut(states, ((0, 9),)) == states
