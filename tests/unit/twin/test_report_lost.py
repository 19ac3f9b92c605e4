"""Good parts lost, by cause, of a shift that goes on: who made the line wait is told before the wait has ended."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.replayed import replayed
from twin.report.build import report
from twin.report.lost import greatest
from twin.time.rfc3339 import parse_rfc3339

SIX = parse_rfc3339("2026-03-16T06:00:00Z")
MIN = 60 * 10**9
PLANT = """
site = "S"
[[reason]]
id = "jam"
label = { en = "Jam", de = "Stau" }
[[area]]
id = "A"
[[line]]
id = "L"
area = "A"
type = "flow"
lateness = "0s"
revise = "8h"
windows = ["1min/1min"]
[[line.station]]
id = "before"
ideal_cycle = "1s"
[[line.station]]
id = "slow"
ideal_cycle = "2s"
[[line.buffer]]
id = "B"
after = "before"
before = "slow"
capacity = 10
[line.states]
RUN = "running"
STOP = "stopped"
WAIT = "starved"
[line.calendar]
zone = "UTC"
day_start = "06:00"
[[line.calendar.shift]]
id = "early"
hours = "06:00-14:00"
"""


def the_report(folder: Path, *more: dict[str, Any]) -> dict[str, Any]:
    """Both run from 06:00 on; `before` stands for a jam from 06:50 and `slow` waits from 07:00, to 08:00 at least."""
    events: list[dict[str, Any]] = [
        {"type": "state", "station": name, "state": "RUN", "ts": SIX} for name in ("before", "slow")
    ]
    events += [{"type": "count", "station": "slow", "good": 30, "ts": SIX + k * MIN - 1} for k in range(1, 61)]
    events.append({"type": "state", "station": "before", "state": "STOP", "reason": "jam", "ts": SIX + 50 * MIN})
    events.append({"type": "state", "station": "slow", "state": "WAIT", "ts": SIX + 60 * MIN})
    events += [{"type": "heartbeat", "ts": SIX + k * MIN} for k in range(61, 121)]
    replayed(folder, [*events, *more], PLANT)
    return report(folder / "audit", "L", "shift", "2026-03-16 early")


def test_a_wait_that_goes_on_is_that_of_the_station_that_stands(tmp_path: Path) -> None:
    found = the_report(tmp_path)
    until = parse_rfc3339(found["settled"]["known_until"])
    assert until >= SIX + 120 * MIN
    (one,) = [row for row in found["lost"] if row["class"] != "speed"]
    assert (one["station"], one["class"], one["reason"], one["goes_on"]) == ("before", "down", "jam", True)
    assert one["ns"] == until - SIX - 60 * MIN and one["parts"] == pytest.approx(one["ns"] / 2e9)
    assert found["total"]["lost_parts"] == pytest.approx(sum(row["parts"] for row in found["lost"]))
    assert greatest(found, "de")[0].startswith("1.830 Teile ")
    assert greatest(found, "de")[0].endswith(" before: Stau (Stillstand), 1 h 01 min, dauert an")


def test_what_people_said_of_it_counts_and_what_they_took_back_does_not(tmp_path: Path) -> None:
    said = {"type": "correction", "station": "before", "corrects": str(SIX + 50 * MIN), "ts": SIX + 119 * MIN}
    assert the_report(tmp_path, {**said, "reason": "no film"})["lost"][0]["reason"] == "no film"
    (tmp_path / "undone").mkdir()
    undo = {**said, "corrects": str(SIX + 119 * MIN), "verb": "undo", "ts": SIX + 120 * MIN}
    assert the_report(tmp_path / "undone", {**said, "reason": "no film"}, undo)["lost"][0]["reason"] == "jam"
