"""However the log is cut into blocks, and whenever the twin is saved and read again: the same rows, the same bytes.

And in one sequence: results are sent at least once, and behind what a killed worker had sent of a long run another one
sends the same rows again out of other runs. Whoever removes repeats has each line's rows as they became certain.
"""

import itertools
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.random_logs import ended, late, logs, small_plant
from tests.support.fold import Ev, S, block, multisets, sequences
from twin.line import PartitionTwin, Results, partition
from twin.plant.model import Plant, Window

COARSE = (Window("10s", 10 * S, 10 * S), Window("60s", 60 * S, 10 * S))


def folded_at_a_time(plant: Plant, events: list[Ev], size: int) -> tuple[bytes, list[Results]]:
    """One block, of which `size` events are in the cache at a time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(partition, "_CACHED", size)
        return in_blocks(plant, events, [], False)


def in_blocks(plant: Plant, events: list[Ev], cuts: list[int], save: bool) -> tuple[bytes, list[Results]]:
    twin = PartitionTwin(plant, 0)
    results = []
    edges = [0, *sorted(cuts), len(events)]
    for begin, end in itertools.pairwise(edges):
        results.append(twin.fold(block(events[begin:end], begin)))
        if save:
            saved = twin.snapshot()
            twin = PartitionTwin.restore(plant, 0, saved)
            assert twin.snapshot() == saved
    return twin.snapshot(), results


@settings(max_examples=150)
@given(
    st.data(),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.integers(1, 3),
    st.sampled_from([None, S, 30 * S, 500 * S]),
)
def test_any_cut(
    data: st.DataObject,
    links: bool,
    cycles: bool,
    calendar: bool,
    requires_order: bool,
    lines: int,
    revise_ns: int | None,
) -> None:
    plant = small_plant(links, calendar, requires_order, lines, revise_ns)
    if data.draw(st.booleans()):  # nothing falls due between two ticks, so rows of orders may wait for the next one
        plant = replace(plant, lines=tuple(replace(line, windows=COARSE) for line in plant.lines))
    events = data.draw(logs(links, cycles, lines))
    if revise_ns is not None:
        events = data.draw(late(events))
    events = ended(events)
    cuts = data.draw(st.lists(st.integers(0, len(events)), max_size=6) | st.just(list(range(1, len(events)))))
    whole, once = in_blocks(plant, events, [], False)
    saved, parts = in_blocks(plant, events, cuts, True)
    unsaved, more = in_blocks(plant, events, cuts, False)
    cached, within = folded_at_a_time(plant, events, data.draw(st.integers(1, 9)))
    expected = multisets(once)
    assert multisets(parts) == expected
    assert multisets(more) == expected
    assert multisets(within) == expected
    assert sequences(parts) == sequences(more) == sequences(within) == sequences(once)
    for name in ("events", "duplicates", "late", "revising"):
        assert sum(getattr(r, name) for r in parts) == getattr(once[0], name)
    assert saved == whole
    assert unsaved == cached == whole


def without_offsets(found: dict[str, Any]) -> dict[str, Any]:
    """Alone, a line's events have other places in the log."""
    refused = found.get("rejected", {})
    bare: Counter[Any] = Counter()
    for row, number in refused.items():
        bare[row[:-1]] += number
    return found | ({"rejected": bare} if refused else {})


@settings(max_examples=60)
@given(st.data(), st.booleans(), st.booleans())
def test_other_lines_change_nothing(data: st.DataObject, links: bool, calendar: bool) -> None:
    plant = small_plant(links, calendar, False, 3)
    events = ended(data.draw(logs(links, True, 3)))
    together = without_offsets(multisets(in_blocks(plant, events, [], False)[1]))
    apart: dict[str, Any] = {}
    for line in range(3):
        mine = [e for e in events if e.line == line]
        for name, rows in without_offsets(multisets(in_blocks(plant, mine, [], False)[1])).items():
            apart[name] = apart.get(name, type(rows)()) + rows
    assert together == apart
