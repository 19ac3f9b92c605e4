"""What stands after all revisions is what the events in their true order give."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kernels import codes
from kernels.codes import BELIEVED_JUMP_NS
from tests.naive_twin import phase
from tests.random_logs import LATENESS, START, ended, late, logs, small_plant
from tests.support.fold import Ev, S, block, dicts, heartbeat
from twin.events.declare import STOP, UNDO
from twin.line import PartitionTwin, Results
from twin.line.doubts import FACTS
from twin.plant.model import Plant
from twin.results import IDENTITY

REVISE: Final = 40_000 * S  # longer than any log here
AFTER: Final = 80_000 * S


# Of the revision, and the hash of the line: the two plants compared are not one.
_APART = ("revision", "revised", "retracted", "line_model")
# What admission tells is never folded again: a late event stays one.
_OF_ADMISSION = {subject for subject, _ in FACTS.values()}


def believed(results: Sequence[Results], until: int) -> dict[str, list[tuple[Any, ...]]]:
    """Of every row that ends by `until` the highest revision, unless it was retracted."""
    found = {}
    for name, identity in IDENTITY.items():
        newest: dict[tuple[Any, ...], dict[str, Any]] = {}
        for row in dicts(results, name):
            if name == "alerts" and row["subject"] in _OF_ADMISSION:
                continue
            key = tuple(row[column] for column in identity)
            assert row["revision"] or row["revised"] is None
            rank = row["revision"], not row["retracted"]
            if key in newest:
                assert rank > (newest[key]["revision"], not newest[key]["retracted"]), f"{name} {key} twice"
            newest[key] = row
        found[name] = sorted(
            tuple(str(value) for column, value in row.items() if column not in _APART)
            for row in newest.values()
            if not row["retracted"] and row["end" if "end" in row else "ts"] <= until
        )
    return found


def corrected(events: Sequence[Ev], lateness: int, every: int) -> list[Ev]:
    """The log as if it had been right at once: slow and obvious. For one line.

    A correction is applied at the publishing tick behind the newest event when it came, to what is known there: all
    that came in time and lies before that tick, and what came late and is due by then.
    """
    newest, due, late = 0, list[int](), list[bool]()
    for e in events:
        late.append(e.ts < newest - lateness)
        newest = max(newest, e.ts)
        due.append((newest // every + 1) * every)
    told: dict[int, list[int]] = {k: [] for k in range(len(events))}  # corrections of each event that stand
    for place, one in enumerate(events):
        if not corrects(one):
            continue
        known = [
            k for k in told if not corrects(events[k]) and (due[k] if late[k] else events[k].ts) < due[place] + late[k]
        ]
        now = {k: event for k in known if (event := amended(events, k, told[k])) is not None}
        newest_first = sorted(now, key=lambda k: (now[k].ts, phase(now[k]), now[k].epoch, now[k].seq, k))[::-1]
        mine = [k for k in newest_first if now[k].station == one.station]
        of_line = [k for k in newest_first if now[k].station < 0]
        if one.type == codes.CORRECTION and one.code == UNDO:
            stand = {c for those in told.values() for c in those}
            named = [c for c in sorted(stand) if names(one, events[c])]
            own = [c for c in named if events[c].station == one.station]
            named = own or [c for c in named if events[c].station < 0]
            if named:
                for those in told.values():
                    those[:] = [c for c in those if c != named[-1]]
                continue
        undo = one.type == codes.CORRECTION and one.code == UNDO
        for k in meant(one, mine, now) or (meant(one, of_line, now) if undo else []):
            told[k].append(place)
    found = []
    for k, e in enumerate(events):
        if corrects(e):
            # A sign of life of the station, no more.
            found += [heartbeat(e.ts, e.line)._replace(station=e.station)] if e.station >= 0 else []
        elif (event := amended(events, k, told[k])) is not None:
            found.append(event)
    return found


def corrects(e: Ev) -> bool:
    return e.type == codes.CORRECTION or bool(e.y if e.type == codes.COUNT else e.z if e.type == codes.ORDER else None)


def names(one: Ev, event: Ev) -> bool:
    said = {codes.COUNT: one.y, codes.ORDER: one.z}.get(one.type, one.x)
    return said in (str(event.ts), f"{event.epoch}/{event.seq}")


def meant(one: Ev, mine: list[int], now: dict[int, Ev]) -> list[int]:
    """Which of the station's events, the newest first, it corrects."""
    stops = codes.STOPPED, codes.MINOR_STOP, codes.DOWN
    if one.type == codes.CORRECTION and one.code == STOP:
        states = [k for k in mine if now[k].type == codes.STATE]
        said = one.x or ""
        if said.isdecimal():
            begin = next((i for i, k in enumerate(states) if now[k].ts <= int(said)), None)
        else:
            begin = next((i for i, k in enumerate(states) if names(one, now[k])), None)
        if begin is None or now[states[begin]].code not in stops:
            return []
        older = itertools.takewhile(lambda k: now[k].code in stops, states[begin:])
        newer = itertools.takewhile(lambda k: now[k].code in stops, states[:begin][::-1])
        return [*older, *newer]
    if one.type == codes.ORDER:
        fits = [k for k in mine if (now[k].type, now[k].code) == (codes.ORDER, one.code)]
    elif one.type == codes.COUNT:
        fits = [k for k in mine if (now[k].type, now[k].code, now[k].x) == (codes.COUNT, one.code, one.x)]
    elif one.code == UNDO:
        fits = [k for k in mine if now[k].type != codes.HEARTBEAT]
    elif one.y:
        fits = [k for k in mine if now[k].type == codes.STATE]
    else:
        fits = [k for k in mine if (now[k].type, now[k].code) == (codes.COUNT, codes.PARTS)]
    return [k for k in fits if names(one, now[k])][:1]


def amended(events: Sequence[Ev], k: int, told: Sequence[int]) -> Ev | None:
    """The event after all that was said of it; None: it never was."""
    event = events[k]
    for one in (events[c] for c in told):
        if one.type == codes.ORDER:
            event = event._replace(ts=one.ts, a=one.a, b=one.b, x=one.x, y=one.y)
        elif one.type == codes.COUNT:
            event = event._replace(ts=one.ts, a=one.a, b=one.b, c=one.c, z=one.z)
        elif one.code == UNDO:
            return None
        elif one.y:
            event = event._replace(y=one.y)
        else:
            event = event._replace(a=one.a, c=one.c)
    return event


def changed(plant: Plant, **line: Any) -> Plant:
    return replace(plant, lines=tuple(replace(one, **line) for one in plant.lines))


def jumps(events: Sequence[Ev]) -> bool:
    """Whether an event is so far ahead of its line that it is held, whatever `max_jump` says."""
    newest: dict[int, int] = {}
    held = False
    for e in events:
        held = held or e.ts - newest.get(e.line, e.ts) > BELIEVED_JUMP_NS
        newest[e.line] = max(e.ts, newest.get(e.line, e.ts))
    return held


@settings(max_examples=150)
@given(st.data(), st.booleans(), st.booleans(), st.booleans(), st.booleans(), st.integers(1, 2))
def test_late_events_end_where_they_belong(
    data: st.DataObject, links: bool, cycles: bool, calendar: bool, requires_order: bool, lines: int
) -> None:
    first = [heartbeat(START - 100 * S, line) for line in range(lines)]
    events = data.draw(late(data.draw(logs(links, cycles, lines)), corrections=False))
    assume(not jumps(first + events))
    log = ended(first + events, AFTER)
    until = max(e.ts for e in events) + 100 * S
    # Late events neither confirm nor refute a jump, sorted ones do: there are none here.
    plant = changed(small_plant(links, calendar, requires_order, lines, REVISE), max_jump_ns=10**6 * S)
    got = [PartitionTwin(plant, 0).fold(block(log))]
    expected = [PartitionTwin(changed(plant, revise_ns=None, lateness_ns=REVISE), 0).fold(block(log))]
    assert got[0].late == expected[0].late
    assert believed(got, until) == believed(expected, until)


@settings(max_examples=100)
@given(st.data(), st.booleans(), st.booleans())
def test_corrections_end_where_they_belong(data: st.DataObject, links: bool, cycles: bool) -> None:
    # Each event has a number of its own: a repeat would be named by a correction, and is not there to be corrected.
    drawn = [e._replace(epoch=0, seq=k + 1) for k, e in enumerate(data.draw(logs(links, cycles)))]
    first = [heartbeat(START - 100 * S)._replace(station=s, seq=0) for s in (-1, 0, 1, 2)]
    events = first + data.draw(late(drawn))
    assume(not jumps(events))
    log = ended(events, AFTER)
    until = max(e.ts for e in events) + 100 * S
    plant = changed(small_plant(links, False, False, 1, REVISE), max_jump_ns=10**6 * S)
    got = [PartitionTwin(plant, 0).fold(block(log))]
    right = corrected(log, LATENESS, 10 * S)
    expected = [PartitionTwin(changed(plant, revise_ns=None, lateness_ns=REVISE), 0).fold(block(right))]
    assert believed(got, until) == believed(expected, until)
