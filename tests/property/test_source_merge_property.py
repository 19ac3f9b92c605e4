"""Merging logs: nothing is lost, every log keeps its order, and blocks do not matter."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kernels.codes import CYCLE
from tests.support.sources import EPOCH, plant
from twin.events.block import EventBlock
from twin.sources.drafts import draft
from twin.sources.merge import Logs
from twin.sources.source import Batch
from twin.sources.summary import Summary

Events = list[tuple[int, int]]  # time, station
PLANT = plant()


class Made:
    """A log in memory: events cut into blocks of given sizes."""

    name = "made"
    closes = False
    position = size = 0

    def __init__(self, number: int, events: Events, cuts: list[int], numbered: bool) -> None:
        self.summary = Summary()
        self.numbered = numbered
        self.named = numbered
        self._number = number
        self._events = events
        self._cuts = cuts

    def __iter__(self) -> Iterator[Batch]:
        bounds = [0, *sorted(min(cut, len(self._events)) for cut in self._cuts), len(self._events)]
        for first, last in pairwise(bounds):
            yield self._block(first, last), []

    def _block(self, first: int, last: int) -> EventBlock:
        part = self._events[first:last]
        ts = np.array([EPOCH + t for t, _ in part], np.int64)
        stations = np.array([station for _, station in part], np.int64)
        words = [f"{self._number}:{i}" for i in range(first, last)]
        x = np.arange(len(part))
        return draft(words, x, ts, stations // 2, 0, station=stations, type=CYCLE, x=x, seq=-1).block


logs = st.lists(
    st.tuples(
        st.lists(st.tuples(st.integers(0, 20), st.integers(0, 2)), max_size=25),
        st.lists(st.integers(0, 25), max_size=4),
        st.booleans(),
    ),
    min_size=1,
    max_size=4,
)


def merge(made: list[tuple[Events, list[int], bool]]) -> list[tuple[str, int, int, int]]:
    """Name, time, station and seq of every event, in the order of the merge."""
    sources = [Made(i, events, cuts, numbered) for i, (events, cuts, numbered) in enumerate(made)]
    found: list[tuple[str, int, int, int]] = []
    for block, _ in Logs(sources, PLANT):
        names = [block.words[i] for i in block.x]
        found += zip(names, block.ts.tolist(), block.station.tolist(), block.seq.tolist(), strict=True)
    return found


@given(logs)
def test_nothing_is_lost_and_every_log_keeps_its_order(made: list[tuple[Events, list[int], bool]]) -> None:
    found = [name for name, *_ in merge(made)]
    for number, (events, _, _) in enumerate(made):
        own = [name for name in found if name.startswith(f"{number}:")]
        assert own == [f"{number}:{i}" for i in range(len(events))]
    assert len(found) == sum(len(events) for events, _, _ in made)


@given(logs)
def test_the_order_is_that_of_the_naive_merge_wherever_blocks_end(made: list[tuple[Events, list[int], bool]]) -> None:
    keyed = []
    for number, (events, _, _) in enumerate(made):
        newest = 0
        for i, (time, _) in enumerate(events):
            newest = max(newest, time)
            keyed.append((newest, number, i))
    assert [name for name, *_ in merge(made)] == [f"{number}:{i}" for _, number, i in sorted(keyed)]


@given(logs)
def test_seq_rises_by_one_per_station(made: list[tuple[Events, list[int], bool]]) -> None:
    following = dict.fromkeys(range(3), 0)
    for name, _, station, seq in merge(made):
        if made[int(name.partition(":")[0])][2]:
            assert seq == -1
        else:
            assert seq == following[station]
            following[station] += 1
