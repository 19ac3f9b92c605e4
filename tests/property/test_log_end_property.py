"""However a log ends and whatever its line's times are: its end closes what waits, and is itself never doubted."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.codes import STOPPED
from kernels.fold import layout as at
from tests.property.test_revision_property import changed
from tests.random_logs import START, late, logs, small_plant
from tests.support.fold import Ev, S, block, multisets
from twin.line import PartitionTwin, Results
from twin.plant.model import Plant
from twin.sources.merge import Logs
from twin.sources.source import Batch
from twin.sources.summary import Summary

DURATIONS = (0, 1, S, 7 * S, 60 * S, 3_600 * S, 90_000 * S)


class Events:
    """A log in memory, with an end of its own."""

    name = "made"
    closes = True
    named = True
    position = size = 0

    def __init__(self, events: list[Ev], cut: int, numbered: bool = True) -> None:
        self.summary = Summary()
        self.numbered = numbered
        self._pieces = [events[:cut], events[cut:]]

    def __iter__(self) -> Iterator[Batch]:
        for piece in self._pieces:
            yield block(piece), []


def closed(plant: Plant, events: list[Ev], cut: int = 0) -> tuple[PartitionTwin, list[Results], int]:
    """The twin of a whole log, its results, and the newest time before the end."""
    twin, results, newest = PartitionTwin(plant, 0), [], 0
    blocks = [one for one, _ in Logs([Events(events, cut)], plant)]
    results += [twin.fold(one) for one in blocks[:-1]]
    newest = int(twin.engine.state.lines[0, at.L_NEWEST])
    results.append(twin.fold(blocks[-1]))
    return twin, results, newest


@st.composite
def plants(draw: st.DrawFn) -> Plant:
    plant = small_plant(draw(st.booleans()), draw(st.booleans()), draw(st.booleans()))
    line = plant.lines[0]
    minor = draw(st.sampled_from(DURATIONS))
    # An event far behind needs its place in a window: long lateness and steps of seconds would take all the memory.
    publish = draw(st.sampled_from((10 * S, 60 * S, 3_600 * S)))
    line = replace(
        line,
        lateness_ns=draw(st.sampled_from(DURATIONS)),
        max_jump_ns=draw(st.sampled_from(DURATIONS)),
        revise_ns=draw(st.sampled_from((None, 60 * S, 90_000 * S))),
        publish_every_ns=publish if minor < 3_600 * S else 3_600 * S,
        stations=tuple(replace(station, minor_stop_ns=minor) for station in line.stations),
    )
    return replace(plant, lines=(line,))


@settings(max_examples=200)
@given(st.data(), plants())
def test_the_end_of_a_log_closes_what_waits(data: st.DataObject, plant: Plant) -> None:
    events = data.draw(logs(bool(plant.lines[0].buffers), True))
    if plant.lines[0].revise_ns is not None:
        events = data.draw(late(events))
    twin, results, newest = closed(plant, events, data.draw(st.integers(0, len(events))))
    row = twin.engine.state.lines[0]
    newest = newest or int(row[at.L_OLDEST])  # one event, or several that nothing but the end confirms
    assert row[at.L_ADMITTED] > 0
    assert not len(twin.admission.held)
    assert not len(twin.waiting.rows())
    assert row[at.L_REVISING] == 0
    assert row[at.L_EMIT_TICK] > newest
    # No row waits for a stop, unless it began when the log was over.
    stations = twin.engine.state.stations
    waits = (stations[:, at.S_CLASS] == STOPPED) | (stations[:, at.S_HIDDEN] == STOPPED)
    assert np.all(stations[waits, at.S_STOP_START] >= newest)
    for result in results:
        for reason, *_, value, _ in multisets([result]).get("rejected", {}):
            assert b"end of log" not in value, reason


@settings(max_examples=100)
@given(st.data(), st.booleans(), st.booleans())
def test_a_log_in_two_pieces_gives_the_rows_of_the_whole(data: st.DataObject, links: bool, calendar: bool) -> None:
    """The end of the first piece is no event: where none of the second lies before it, nothing is different."""
    # A suspect event at the end of a piece could be confirmed by the next one.
    plant = changed(small_plant(links, calendar, False), max_jump_ns=10**6 * S)
    drawn = [e._replace(epoch=0, seq=-1) for e in data.draw(logs(links, True))]
    events = sorted(drawn, key=lambda e: e.ts)
    first, second = events, [e._replace(ts=e.ts - START + events[-1].ts + 200 * S) for e in events]
    whole, parts = PartitionTwin(plant, 0), PartitionTwin(plant, 0)
    ended = [one for one, _ in Logs([Events(second, 0)], plant)]
    together = [one for one, _ in Logs([Events(first + second, 0)], plant)]
    apart = [one for one, _ in Logs([Events(first, 0)], plant)] + ended
    assert multisets(whole.fold(one) for one in together) == multisets(parts.fold(one) for one in apart)
