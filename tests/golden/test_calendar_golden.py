"""Night shifts over both changes of the clock, with their known lengths."""

import json
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from twin.plant import loads
from twin.plant.calendar import table
from twin.time.zone import to_utc_ns

GOLDEN = Path(__file__).parents[1] / "data/golden/oee.json"
CASES: list[dict[str, Any]] = json.loads(GOLDEN.read_text(encoding="utf-8"))["calendar"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_length_of_the_shift(case: dict[str, Any]) -> None:
    start, end = case["shift"]
    plant = loads(
        f"""
        site = "s"
        area = [{{ id = "a" }}]
        [[line]]
        id = "l"
        area = "a"
        type = "flow"
        station = [{{ id = "x" }}]
        [line.calendar]
        zone = "{case["zone"]}"
        day_start = "{end}"
        shift = [{{ id = "night", hours = "{start} - {end}" }}]
        """
    )
    noon = to_utc_ns(case["zone"], datetime.fromisoformat(f"{case['date']}T12:00:00"))
    got = table(plant.lines[0].calendar, noon, noon + 24 * 3_600 * 10**9)
    index = [got.shift_name(int(number)) for number in got.shift].index(f"{case['date']} night")
    assert got.ts[index + 1] - got.ts[index] == case["hours"] * 3_600 * 10**9
    # The whole shift belongs to the production day on which it began.
    assert got.day[index] == date.fromisoformat(case["date"]).toordinal() - date(1970, 1, 1).toordinal()
