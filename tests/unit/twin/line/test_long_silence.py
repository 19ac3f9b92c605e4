"""A line that says nothing for very long: a broken clock must not cost hundreds of thousands of rows."""

from collections import Counter
from itertools import pairwise
from typing import Any

import pytest

from kernels import codes
from tests.random_logs import START, small_plant
from tests.support.fold import Ev, S, block, dicts, heartbeat, multisets
from twin.events.declare import END_OF_LOG
from twin.line import PartitionTwin

DAY = 86_400 * S


def log(gap: int) -> list[Ev]:
    """Two minutes of one station, nothing for `gap`, two minutes again; and its end."""
    events = []
    for begin in (START, START + 120 * S + gap):
        events += [Ev(begin + k * 10 * S, codes.STATE, 0, codes.RUNNING, x="on") for k in range(12)]
    return [*events, heartbeat(events[-1].ts + 20 * S)._replace(y=END_OF_LOG)]


def fold(events: list[Ev], pieces: int = 1) -> list[Any]:
    twin, results = PartitionTwin(small_plant(False, True, False), 0), []
    size = -(-len(events) // pieces)
    for begin in range(0, len(events), size):
        twin = PartitionTwin.restore(twin.plant, 0, twin.snapshot())
        results.append(twin.fold(block(events[begin : begin + size], begin)))
    return results


@pytest.mark.parametrize("days", [91, 93, 400, 170 * 365])
def test_the_schedule_is_followed_for_a_quarter_only(days: int) -> None:
    events = log(days * DAY)
    results = fold(events)
    states = sorted((row for row in dicts(results, "states") if row["station"] == "L0"), key=lambda row: row["start"])
    assert len(states) < 7 * 93
    assert all(one["end"] == two["start"] for one, two in pairwise(states))
    if days > 92:
        # What nobody follows is unknown, up to the next event.
        longest = max(states, key=lambda row: row["end"] - row["start"])
        assert longest["class"] == "unknown"
        assert longest["end"] == events[12].ts
        assert longest["end"] - longest["start"] > (days - 93) * DAY
    # Behind it the line is what it would be without anything before it.
    again = [row for row in dicts(results, "kpis") if row["start"] > events[12].ts]
    alone = [row for row in dicts(fold(events[12:]), "kpis") if row["start"] > events[12].ts]
    assert again
    assert [row | {"shift": None} for row in again] == [row | {"shift": None} for row in alone]


@pytest.mark.parametrize("pieces", [2, 3, 7, 25])
def test_wherever_the_log_is_cut(pieces: int) -> None:
    whole = multisets(fold(log(1_000 * DAY)))
    assert multisets(fold(log(1_000 * DAY), pieces)) == whole
    assert isinstance(whole["states"], Counter)
