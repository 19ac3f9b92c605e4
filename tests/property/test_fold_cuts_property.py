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

from kernels import codes
from tests.random_logs import ended, late, logs, small_plant
from tests.support.fold import Ev, S, block, multisets, rows, sequences
from twin.line import PartitionTwin, Results, engine, partition
from twin.plant.model import Plant, Window

COARSE = (Window("10s", 10 * S, 10 * S), Window("60s", 60 * S, 10 * S))


def folded_with(name: str, value: int, plant: Plant, events: list[Ev]) -> tuple[bytes, list[Results]]:
    """One block, with another number in `twin.line.partition`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(partition, name, value)
        return in_blocks(plant, events, [], False)


def folded_at_a_time(plant: Plant, events: list[Ev], size: int) -> tuple[bytes, list[Results]]:
    """Of which `size` events are in the cache at a time."""
    return folded_with("_CACHED", size, plant, events)


def folded_as_rows(plant: Plant, events: list[Ev]) -> tuple[bytes, list[Results]]:
    """Of which no event goes the short way of those that come in order."""
    return folded_with("_FEW_EVENTS", len(events) + 1, plant, events)


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
    by_rows, long_way = folded_as_rows(plant, events)
    expected = multisets(once)
    assert multisets(parts) == expected
    assert multisets(more) == expected
    assert multisets(within) == multisets(long_way) == expected
    assert sequences(parts) == sequences(more) == sequences(within) == sequences(long_way) == sequences(once)
    for name in ("events", "duplicates", "late", "revising"):
        assert sum(getattr(r, name) for r in parts) == getattr(once[0], name)
    assert saved == whole
    assert unsaved == cached == by_rows == whole


def in_order(events: list[Ev], numbered: bool, together: bool) -> list[Ev]:
    """As sources send them that are never late: by time, numbered through. `together`: whole seconds, as many do.

    Behind two heartbeats of every source: of a line's first event nothing is known, nor of a source's first number.
    """
    numbers: Counter[tuple[int, int]] = Counter()
    found = []
    begin = min((one.ts for one in events), default=0)
    sources = sorted({(one.line, one.station) for one in events})
    beats = [Ev(begin - k * S, codes.HEARTBEAT, station, line=line) for k in (2, 1) for line, station in sources]
    for one in beats + sorted(events, key=lambda e: e.ts):
        place = one.line, one.station
        ts = one.ts // S * S if together else one.ts
        found.append(one._replace(ts=ts, epoch=0, seq=numbers[place] if numbered else -1))
        numbers[place] += 1
    return found


def disordered(draw: st.DrawFn, events: list[Ev], line: int) -> int:
    """One event of the line is not as the others: late, a repeat, ahead of its time, or of a number far ahead. Returns
    the place behind it."""
    k = draw(st.sampled_from([k for k, one in enumerate(events) if one.line == line]))
    how = draw(st.sampled_from(("late", "repeat", "ahead", "leap")))
    one = events[k]
    if how == "repeat":
        events.insert(k, one)
    elif how == "leap":
        events[k] = one._replace(seq=one.seq + 2_000 if one.seq >= 0 else -1)
    else:
        events[k] = one._replace(ts=one.ts + (3_600 * S if how == "ahead" else -2 * S))
    return k + 1


@settings(max_examples=250)
@given(st.data(), *[st.booleans()] * 6, st.integers(1, 3))
def test_the_short_way(
    data: st.DataObject,
    links: bool,
    cycles: bool,
    calendar: bool,
    requires_order: bool,
    numbered: bool,
    together: bool,
    lines: int,
) -> None:
    plant = small_plant(links, calendar, requires_order, lines)
    events = in_order(data.draw(logs(links, cycles, lines)), numbered, together)
    sources = len({(one.line, one.station) for one in events})
    there = sorted({one.line for one in events})
    cuts = [2 * sources]
    for line in data.draw(st.sets(st.sampled_from(there))) if there else ():
        behind = disordered(data.draw, events, line)
        cuts += [behind] if data.draw(st.booleans()) else []
    events = ended(events)
    cuts += data.draw(st.lists(st.integers(0, len(events)), max_size=3))
    saved, found = in_blocks(plant, events, cuts, False)
    by_rows, long_way = folded_as_rows(plant, events)
    assert multisets(found) == multisets(long_way)
    assert sequences(found) == sequences(long_way)
    assert sum(r.events for r in found) == sum(r.events for r in long_way)
    assert saved == by_rows


@settings(max_examples=100)
@given(st.data(), *[st.booleans()] * 4, st.integers(1, 3), st.sampled_from([None, 30 * S]))
def test_key_figures_alone(
    data: st.DataObject,
    links: bool,
    cycles: bool,
    calendar: bool,
    requires_order: bool,
    lines: int,
    revise_ns: int | None,
) -> None:
    """Rows that wait for each other are made later, of windows that are cut at their ticks only."""
    plant = small_plant(links, calendar, requires_order, lines, revise_ns)
    events = ended(data.draw(logs(links, cycles, lines)))
    cuts = data.draw(st.lists(st.integers(0, len(events)), max_size=6))
    whole = PartitionTwin(plant, 0)
    expected = multisets([whole.fold(block(events))])
    twin = PartitionTwin(plant, 0)
    twin.leave_out((set(expected) | {"states", "alerts"}) - {"kpis"} if data.draw(st.booleans()) else {"states"})
    found: Counter[Any] = Counter()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "_ENOUGH_ROWS", data.draw(st.integers(1, 40)))
        for begin, end in itertools.pairwise([0, *sorted(cuts), len(events)]):
            results = twin.fold(block(events[begin:end], begin))
            for one in (results.tables.get("kpis"), *(held.table() for held in results.held)):
                found.update(rows(one) if one is not None else [])
        for held in twin.held():
            found.update(rows(held.table()))
    assert found == expected.get("kpis", Counter())
    assert twin.doubts() == whole.doubts()


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
        for name, found in without_offsets(multisets(in_blocks(plant, mine, [], False)[1])).items():
            apart[name] = apart.get(name, type(found)()) + found
    assert together == apart
