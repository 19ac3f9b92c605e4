"""Several logs as one stream: merged by time, numbered, and ended."""

from collections.abc import Iterator, Sequence
from copy import copy

import numpy as np
import numpy.typing as npt

from kernels.codes import HEARTBEAT, STATE
from twin.events.block import EventBlock, Rejected, pick
from twin.events.declare import END_OF_LOG
from twin.plant.model import Plant
from twin.sources.blocks import compact, empty, join
from twin.sources.chain import Link, without_begun
from twin.sources.drafts import draft
from twin.sources.ending import Ends
from twin.sources.intervals import LAST, Intervals
from twin.sources.overlap import Overlap
from twin.sources.parquet import EventsParquet
from twin.sources.share import Share
from twin.sources.source import BLOCK_EVENTS, Batch, Source
from twin.sources.summary import Summary, merged

I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


class Logs:
    """Logs as one stream of blocks. Can be iterated once.

    Events follow each other by time as far as their logs are in order: a late event of a log comes right behind what
    stood before it there. At equal times the log named first goes first. `offset` numbers the events from 0; a refused
    input has the number of the event it stands before. Logs whose events carry no numbers get `seq` per station. Where
    a log has an end of its own (all but `events` Parquet), each of its lines ends with a heartbeat that says so, and
    whatever can be closed is closed (`twin.sources.ending`); not with `ends` False, for a piece that another follows at
    once. `numbers` may be set before each block: those it gets. Of a `share` only its lines come, in the same order and
    with numbers of their own; the summary then is of what had to be read for it (`shared`).
    """

    def __init__(self, sources: Sequence[Source], plant: Plant, ends: bool = True, share: Share | None = None) -> None:
        self._sources = list(sources)
        self._plant = plant
        self._ends = Summary()
        self._overlaps = Summary()
        self._own = share.lines(plant) if share is not None else None
        self._share = share
        # Only one log alone may leave other lines out as it reads: where several merge, their events decide the order.
        self._early = len(self._sources) == 1 and isinstance(self._sources[0], EventsParquet)
        if self._early and share is not None:
            self._sources[0].only(share)  # type: ignore[attr-defined]  # it is one of those
        self.numbers = Numbers(len(plant.stations) + len(plant.lines))
        self._closes = np.array([source.closes for source in sources], bool)
        self._numbers_of = np.array([not source.numbered for source in sources], bool)
        self._ending = Ends(plant) if ends and self._closes.any() else None

    @property
    def summary(self) -> Summary:
        """What has become of the logs so far."""
        return merged([*(source.summary for source in self._sources), self._overlaps, self._ends])

    @property
    def shared(self) -> Summary:
        """The part of the summary that is this share's alone; the rest is the same for every share."""
        return self.summary if self._early else self._ends

    @property
    def position(self) -> int:
        """Bytes read, of all logs."""
        return sum(source.position for source in self._sources)

    @property
    def size(self) -> int:
        """Bytes in all."""
        return sum(source.size for source in self._sources)

    def __iter__(self) -> Iterator[Batch]:
        offset = 0
        for whole, logs_of, all_refused in self._merged():
            block, own, refused = self._of_share(whole, logs_of, all_refused)
            if not len(block) and not refused:
                continue
            block.offset = np.arange(offset, offset + len(block), dtype=np.int64)
            refused = [_at(one, offset) for one in refused]
            offset += len(block)
            for i in range(0, max(len(block), 1), BLOCK_EVENTS):
                part = block if len(block) <= BLOCK_EVENTS else compact(pick(block, slice(i, i + BLOCK_EVENTS)))
                logs = own[i : i + BLOCK_EVENTS]
                if self._ending:
                    self._ending.add(part, self._closes[logs])
                self._number(part, logs)
                yield part, refused
                refused = []
        block = self._end()
        if len(block):
            self._ends.count_events(block)
            block.offset = np.arange(offset, offset + len(block), dtype=np.int64)
            yield block, []

    def _of_share(self, block: EventBlock, own: I64, refused: list[Rejected]) -> tuple[EventBlock, I64, list[Rejected]]:
        if self._share is None or self._own is None or self._early:
            return block, own, refused
        rows = np.flatnonzero(self._own[block.line])
        refused = [one for one in refused if self._share.owns(one.line)]
        return (block if len(rows) == len(block) else compact(pick(block, rows))), own[rows], refused

    def _merged(self) -> Iterator[tuple[EventBlock, I64, list[Rejected]]]:
        """Blocks in order of time, per event the log it is from, and what was refused meanwhile."""
        if len(self._sources) == 1:
            for block, refused in self._sources[0]:
                yield copy(block), np.zeros(len(block), np.int64), refused
            return
        tracks = [Track(source) for source in self._sources]
        links = [getattr(source, "link", None) for source in self._sources]
        lists = self._lists()
        for track in tracks:  # how each log begins, before any of them ends
            track.extend()
        overlap = Overlap(
            [source.name for source in self._sources], [source.named for source in self._sources], self._overlaps
        )
        while True:
            for track in tracks:
                track.fill()
            refused = [one for track in tracks for one in track.take_refused()]
            running = [track for track in tracks if not track.finished]
            if not running:
                block, own = self._woven([track.take(None) for track in tracks], links, lists, LAST)
                overlap.look(block, own)
                if len(block) or refused:
                    yield block, own, refused
                return
            # Up to here every log is known. Not the time itself: its log may go on with more of the same time.
            horizon = min(track.newest for track in running)
            block, own = self._woven([track.take(horizon) for track in tracks], links, lists, horizon - 1)
            overlap.look(block, own)
            if len(block) or refused:
                yield block, own, refused
            for track in running:
                if track.newest == horizon:
                    track.extend()

    def _lists(self) -> list[tuple[Intervals, list[int]]]:
        """The intervals of each mapping that several logs have, and which logs these are."""
        found: dict[int, tuple[Intervals, list[int]]] = {}
        for log, source in enumerate(self._sources):
            link, otherwise = getattr(source, "link", None), getattr(source, "otherwise", None)
            if link is not None and otherwise is not None and link.chain.several:
                found.setdefault(id(link.chain), (Intervals(otherwise), []))[1].append(log)
        return list(found.values())

    def _woven(
        self,
        parts: list[tuple[EventBlock, I64]],
        links: Sequence[Link | None],
        lists: Sequence[tuple[Intervals, list[int]]],
        until: int,
    ) -> tuple[EventBlock, I64]:
        """Parts of several logs by time, without the starts of orders that another log has begun; each event's log."""
        for intervals, logs in lists:
            block, own = _woven([parts[log] for log in logs])
            block.offset = np.array(logs)[own]
            swept = intervals.swept(block, until)
            told, states = (np.bincount(one.offset[one.type == STATE], minlength=len(parts)) for one in (block, swept))
            for log in np.flatnonzero(states - told).tolist():
                self._sources[log].summary.events["state"] += int(states[log] - told[log])
            for log in logs:
                parts[log] = empty(), np.empty(0, np.int64)
            parts[logs[0]] = swept, swept.ts
        whole, own = _woven(parts)
        for _, logs in lists:
            own = np.where(own == logs[0], whole.offset, own)
        block, own, left = without_begun(whole, own, links)
        for log in left.tolist():
            self._sources[log].summary.events["order"] -= 1
        return block, own

    def _number(self, block: EventBlock, own: I64) -> None:
        rows = np.flatnonzero(self._numbers_of[own])
        if len(rows):
            self.numbers.give(block, rows, len(self._plant.stations))

    def _end(self) -> EventBlock:
        """Where a line ends here: a heartbeat that says so, late enough to close what waits for later events.

        It has no number: who feeds the next log goes on as if there were none.
        """
        ends = self._ending.ends() if self._ending else []
        if not ends:
            return empty()
        ts, lines = np.array(ends, np.int64).T
        at = np.zeros(len(ts), np.int64)
        return draft((END_OF_LOG,), at, ts, lines, 0, type=HEARTBEAT, station=-1, seq=-1, y=0).block


class Numbers:
    """Epoch and next number of each station, and behind the stations of each line's own events."""

    def __init__(self, slots: int) -> None:
        self.epoch = np.zeros(slots, np.int64)
        self.next = np.zeros(slots, np.int64)

    def copy(self) -> "Numbers":
        found = Numbers(0)
        found.epoch, found.next = self.epoch.copy(), self.next.copy()
        return found

    @staticmethod
    def slots(block: EventBlock, stations: int) -> I64:
        """Of each event, whose number it has; `stations` of the plant."""
        return np.where(block.station >= 0, block.station, stations + block.line).astype(np.int64)

    def give(self, block: EventBlock, rows: I64, stations: int) -> None:
        """The next numbers to these events of a block, per station in their order."""
        slots = self.slots(block, stations)[rows]
        order = np.argsort(slots, kind="stable")
        used, first, count = np.unique(slots[order], return_index=True, return_counts=True)
        within = np.arange(len(rows)) - np.repeat(first, count)
        block.seq, block.epoch, block.rows = block.seq.copy(), block.epoch.copy(), None
        block.seq[rows[order]] = np.repeat(self.next[used], count) + within
        block.epoch[rows] = self.epoch[slots]
        self.next[used] += count


class Track:
    """One log on its way into the merge: the events read and not yet taken, with the newest time before each."""

    def __init__(self, source: Source) -> None:
        self._batches = iter(source)
        self._block = empty()
        self._keys = np.empty(0, np.int64)
        self._refused: list[Rejected] = []
        self._last = -(2**63)
        self.finished = False

    @property
    def newest(self) -> int:
        return self._last

    def fill(self) -> None:
        """Have events to take, unless the log is at its end."""
        while not len(self._block) and not self.finished:
            self.extend()

    def extend(self) -> None:
        """Read on."""
        batch = next(self._batches, None)
        if batch is None:
            self.finished = True
            return
        block, refused = batch
        self._refused += refused
        if not len(block):
            return
        keys = np.maximum(np.maximum.accumulate(block.ts), self._last)
        self._last = int(keys[-1])
        self._block = join([self._block, block]) if len(self._block) else block
        self._keys = np.concatenate([self._keys, keys])

    def take(self, horizon: int | None) -> tuple[EventBlock, I64]:
        """The events before `horizon` (None: all), and their keys."""
        cut = len(self._keys) if horizon is None else int(np.searchsorted(self._keys, horizon))
        block, keys = pick(self._block, slice(0, cut)), self._keys[:cut]
        self._block, self._keys = pick(self._block, slice(cut, None)), self._keys[cut:]
        return block, keys

    def take_refused(self) -> list[Rejected]:
        refused, self._refused = self._refused, []
        return refused


def _woven(parts: Sequence[tuple[EventBlock, I64]]) -> tuple[EventBlock, I64]:
    """Parts of several logs by time; at equal times by log. Also each event's log."""
    if not parts:
        return empty(), np.empty(0, np.int64)
    keys = np.concatenate([keys for _, keys in parts])
    own = np.repeat(np.arange(len(parts)), [len(keys) for _, keys in parts])
    order = np.argsort(keys, kind="stable")
    filled = [block for block, _ in parts if len(block)]
    if not filled:
        return empty(), own
    return compact(pick(join(filled), order)), own[order]


def _at(one: Rejected, offset: int) -> Rejected:
    return Rejected(one.reason, one.detail, offset, one.value, one.line, one.ts)
