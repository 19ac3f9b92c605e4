"""Admission against its naive twin: wild times, long silences, numbers in any order, numbers that wrap."""

from collections import Counter
from typing import Any, Final

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kernels import codes
from tests.naive_twin import Admission
from tests.support.fold import Ev, S, block, dicts, heartbeat, one_line, rows
from twin.events.declare import END_OF_LOG
from twin.line import PartitionTwin
from twin.plant.model import Counter as Running
from twin.plant.model import Measure, Plant, Station
from twin.sources.ending import Ends

T: Final = 1_700_000_000 * S
MINUTE: Final = 60 * S
HOUR: Final = 60 * MINUTE
# Numbered alike: the first counter, the first measure.
STATIONS: Final = tuple(
    Station(name, counters=(Running("c", "good", 1, None),), measures=(Measure("e", "meter", "kWh", "energy"),))
    for name in "AB"
)
STEPS: Final = (0, 1, S, 5 * S, MINUTE, 29 * MINUTE, 31 * MINUTE, 90 * MINUTE, 26 * HOUR)
WILD: Final = (0, 0, 0, 0, 0, S, 20 * MINUTE, 30 * MINUTE, 31 * MINUTE, 2 * HOUR, 36 * HOUR, -2 * HOUR, -S)
NUMBERS: Final = st.integers(0, 40) | st.sampled_from([250, 255, 256, 1_000, 1_024, 1_064, 1_100, 10**12, 2**63 - 1])


@st.composite
def arrivals(draw: st.DrawFn) -> list[Ev]:
    """Events of a line with two stations: its time goes on, some events lie off it."""
    steps, wild = draw(st.sampled_from([(STEPS[:5], WILD), (STEPS, (0,)), (STEPS, WILD)]))
    numbered = draw(st.booleans())
    now, events = T, []
    for step, off, station, epoch, seq, kind in draw(
        st.lists(
            st.tuples(
                st.sampled_from(steps),
                st.sampled_from(wild),
                st.integers(-1, 1),
                st.sampled_from((0, 0, 0, 1)),
                NUMBERS,
                st.sampled_from(("beat", "parts", "counter", "meter")),
            ),
            min_size=1,
            max_size=25,
        )
    ):
        now += step
        event = Ev(now + off, codes.HEARTBEAT, station)
        if numbered:
            event = event._replace(epoch=epoch, seq=seq)
        if station >= 0 and kind == "parts":
            event = event._replace(type=codes.COUNT, code=codes.PARTS, a=seq % 2, b=seq % 5 % 2, c=0)
        elif station >= 0 and kind == "counter":
            event = event._replace(type=codes.COUNT, code=codes.COUNTER, a=seq % 7, x="c")
        elif station >= 0 and kind == "meter":
            event = event._replace(type=codes.MEASURE, a=seq % 7, b=-1, y="e")
        events.append(event)
    return events


def plant(lateness_ns: int, max_jump_ns: int, modulus: int | None) -> Plant:
    return one_line(STATIONS, lateness_ns=lateness_ns, max_jump_ns=max_jump_ns, seq_modulus=modulus)


@settings(max_examples=400)
@given(
    arrivals(),
    st.sampled_from([0, 5 * S, HOUR]),
    st.sampled_from([10 * MINUTE, 30 * MINUTE, 24 * HOUR]),
    st.sampled_from([None, None, 2, 256]),
    st.integers(0, 25),
)
def test_every_verdict(events: list[Ev], lateness: int, max_jump: int, modulus: int | None, cut: int) -> None:
    model = plant(lateness, max_jump, modulus)
    expected = Admission(model.lines[0])
    for event in events:
        expected.offer(event)
    twin = PartitionTwin(model, 0)
    results = [twin.fold(block(events[:cut]))]
    twin = PartitionTwin.restore(model, 0, twin.snapshot())
    results.append(twin.fold(block(events[cut:], cut)))
    assert Counter((r["reason"], r["ts"]) for r in dicts(results, "rejected")) == Counter(expected.rejected)
    assert sum(r.duplicates for r in results) == expected.duplicates
    waiting = twin.waiting.rows()
    assert sum(r.events for r in results) + len(waiting) == len(expected.admitted)
    newest = twin.engine.state.lines[0, 2]
    assert newest == (expected.newest or 0)
    whole = PartitionTwin(model, 0)
    whole.fold(block(events))
    assert whole.snapshot() == twin.snapshot()
    facts = twin.facts()
    assert sum(fact.repeats for fact in facts) == expected.duplicates
    told = Counter(reason for reason, _ in expected.rejected)
    assert sum(fact.late for fact in facts) == told["late"] + told["stale_epoch"]
    # Each tally is told at 1, 10, 100, ..., and where it leapt over one of them.
    counts = [r for r in dicts(results, "alerts") if r["subject"] in ("late", "repeats")]
    raised = Counter((r["station"], r["subject"]) for r in counts)
    wanted: Counter[tuple[str | None, str]] = Counter()
    for fact in facts:
        station = None if fact.station is None else STATIONS[fact.station].id
        counted = {"late": fact.late, "repeats": fact.repeats}
        wanted.update({(station, subject): len(str(n)) for subject, n in counted.items() if n})
        most = [r["value"] for r in dicts(results, "alerts") if (r["station"], r["subject"]) == (station, "gaps")]
        assert bool(most) == bool(fact.gaps)
        assert not most or max(most) == 10 ** (len(str(fact.gaps)) - 1)
    assert raised == wanted


LAST = 2**63 - 1


def count_of(ts: int, seq: int) -> Ev:
    return Ev(ts, codes.COUNT, 0, a=1, seq=seq)


@settings(max_examples=200)
@example([count_of(T, LAST)], 0, 0, None, 0)
@example([count_of(T, LAST), count_of(T + 20 * MINUTE, 0), count_of(T, 0)], 0, 0, None, 0)
@given(
    arrivals(),
    st.sampled_from([0, 5 * S, HOUR, 26 * HOUR]),
    st.sampled_from([0, 10 * MINUTE, 30 * MINUTE, 24 * HOUR]),
    st.sampled_from([None, None, 2, 256]),
    st.integers(0, 25),
)
def test_the_end_of_a_log_is_behind_what_the_twin_believes(
    events: list[Ev], lateness: int, max_jump: int, modulus: int | None, cut: int
) -> None:
    """The closing heartbeat is believed, whatever came before it, and nothing is held behind it."""
    model = plant(lateness, max_jump, modulus)
    ending, expected = Ends(model), Admission(model.lines[0])
    for part in (events[:cut], events[cut:]):
        ending.add(block(part), np.full(len(part), True))
    for event in events:
        expected.offer(event)
    before, held = expected.newest, list(expected.held)
    ((ts, _),) = ending.ends()
    expected.offer(heartbeat(ts)._replace(y=END_OF_LOG))
    if expected.newest is None:  # each was refused by its number: the line has not begun, and nothing is open
        assert not expected.admitted
        return
    assert expected.newest == ts
    assert not expected.held
    behind = [e.ts for e in expected.admitted[:-1]]
    assert ts > max(behind) + lateness
    assert ts <= max(behind) + lateness + 2 * model.lines[0].publish_every_ns
    # What nothing has refuted and lies within a day is there.
    if before is not None and modulus is None and all(e.seq < 0 for e in held):
        assert all(h.ts in behind for h in held if h.ts <= before + 24 * HOUR)


def made(events: list[Ev], model: Plant) -> list[tuple[Any, ...]]:
    """Key figures of the hour, and what was refused."""
    twin = PartitionTwin(model, 0)
    results = [
        twin.fold(block([heartbeat(T - HOUR), heartbeat(T), *events, heartbeat(T + 2 * HOUR), heartbeat(T + 3 * HOUR)]))
    ]
    table = results[0].tables["kpis"]
    return [*rows(table, ["station", "window", "start", "end", "good"]), *dicts(results, "rejected")]


@settings(max_examples=50)
@given(st.permutations(range(14)), st.sampled_from([0, 990, 10**12]), st.sampled_from([None, 16]))
def test_the_order_of_arrival_does_not_matter_within_lateness(
    order: list[int], first: int, modulus: int | None
) -> None:
    """The first number to arrive may be any, in an epoch that is new as well."""
    model = plant(HOUR, 24 * HOUR, modulus)
    events = [
        Ev(T + k * MINUTE, codes.COUNT, 0, codes.PARTS, 10**k % 9_973, epoch=k // 7, seq=first + k % 7)
        for k in range(14)
    ]
    # Epochs one after the other: an event of the old one is refused once the new one began.
    arrived = sorted((events[k] for k in order), key=lambda event: event.epoch)
    assert made(arrived, model) == made(events, model)
    # Each once more, at once: repeats.
    assert made([event for event in arrived for _ in range(2)], model) == made(events, model)


@settings(max_examples=50)
@given(st.integers(0, 59), st.integers(31, 3_000), st.booleans(), st.sampled_from([10 * MINUTE, 24 * HOUR]))
def test_one_event_ahead_moves_nothing(place: int, minutes: int, numbered: bool, max_jump: int) -> None:
    """Wherever it stands, also at the very beginning: the others count as if it were not there."""
    model = plant(5 * S, max_jump, None)
    events = [Ev(T + k * S, codes.COUNT, k % 2, codes.PARTS, 1, seq=k if numbered else -1) for k in range(60)]
    ahead = Ev(events[place].ts + minutes * MINUTE, codes.COUNT, 0, codes.PARTS, 1, seq=place if numbered else -1)
    twin = PartitionTwin(model, 0)
    results = [twin.fold(block([*events[:place], ahead, *events[place:]]))]
    assert [(r["reason"], r["ts"]) for r in dicts(results, "rejected")] == [("jump_unconfirmed", ahead.ts)]
    assert results[0].events + len(twin.waiting.rows()) == 60


@settings(max_examples=50)
@given(st.lists(st.integers(31, 30 * 60), min_size=3, max_size=12), st.sampled_from([10 * MINUTE, 24 * HOUR]))
def test_a_line_that_sends_seldom_goes_on(minutes: list[int], max_jump: int) -> None:
    """One event in 90 minutes, or in a day: each is confirmed by the next."""
    times = [T, T + S]
    for gap in minutes:
        times.append(times[-1] + gap * MINUTE)
    twin = PartitionTwin(plant(5 * S, max_jump, None), 0)
    results = [twin.fold(block([Ev(ts, codes.COUNT, 0, codes.PARTS, 1) for ts in [*times, times[-1] + S]]))]
    assert dicts(results, "rejected") == []
    assert results[0].events + len(twin.waiting.rows()) == len(times) + 1
