"""What stands after all revisions is what the events in their true order give."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kernels import codes
from kernels.codes import BELIEVED_JUMP_NS
from tests.random_logs import START, ended, late, logs, small_plant
from tests.support_fold import Ev, S, block, dicts, heartbeat
from twin.line import PartitionTwin, Results
from twin.plant.model import Plant
from twin.results import IDENTITY

REVISE: Final = 40_000 * S  # longer than any log here
AFTER: Final = 80_000 * S


# Of the revision, and the hash of the line: the two plants compared are not one.
_APART = ("revision", "revised", "retracted", "line_model")


def believed(results: Sequence[Results], until: int) -> dict[str, list[tuple[Any, ...]]]:
    """Of every row that ends by `until` the highest revision, unless it was retracted."""
    found = {}
    for name, identity in IDENTITY.items():
        newest: dict[tuple[Any, ...], dict[str, Any]] = {}
        for row in dicts(results, name):
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


def corrected(events: Sequence[Ev]) -> list[Ev]:
    """The log as if it had been right at once: slow and obvious."""
    found = list(events)
    newest_first = sorted(range(len(events)), key=lambda k: (events[k].ts, events[k].epoch, events[k].seq, k))[::-1]
    for place, one in enumerate(events):
        if one.type != codes.CORRECTION:
            continue
        # A sign of life of the station, no more.
        found[place] = heartbeat(one.ts, one.line)._replace(station=one.station)
        for k in newest_first:
            event = found[k]
            named = one.x in (str(event.ts), f"{event.epoch}/{event.seq}")
            fits = event.type == codes.STATE if one.y else (event.type, event.code) == (codes.COUNT, codes.PARTS)
            if named and fits and event.station == one.station:
                found[k] = event._replace(y=one.y) if one.y else event._replace(a=one.a, c=one.c)
                break
    return found


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
    right = corrected(log)
    expected = [PartitionTwin(changed(plant, revise_ns=None, lateness_ns=REVISE), 0).fold(block(right))]
    assert believed(got, until) == believed(expected, until)
