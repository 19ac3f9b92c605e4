"""Event columns into the rows the kernels fold, and the order they are folded in."""

from typing import Final

import numpy as np

from kernels import codes
from kernels import layout as at
from kernels.order import count_due, fill_rows, sort_line, sort_lines, take_due
from twin.events.block import I64, EventBlock
from twin.line.texts import Texts, by_owner
from twin.plant.model import Plant

# Phase within an instant by (type, is END).
_PHASE: Final = np.full((7, 2), at.PHASE_OTHER, np.int64)
_PHASE[codes.CYCLE] = at.PHASE_CYCLE_START, at.PHASE_COMPLETION
_PHASE[codes.ORDER] = at.PHASE_ORDER_START, at.PHASE_ORDER_END
_PHASE[codes.STATE] = at.PHASE_STATE
_PHASE[codes.COUNT] = at.PHASE_COUNT
_PHASE[codes.BUFFER] = at.PHASE_BUFFER


class Preparation:
    """Turns blocks into rows: block words into text, counter, buffer and product numbers of the plant."""

    def __init__(self, plant: Plant, texts: Texts) -> None:
        self._texts = texts
        counters = [c.id for station in plant.stations for c in station.counters]
        buffers = [b.id for line in plant.lines for b in line.buffers]
        self._counters = _numbered([[c.id for c in s.counters] for s in plant.stations], len(counters))
        self._buffers = _numbered([[b.id for b in line.buffers] for line in plant.lines], len(buffers))
        self._products = [{p.id: k for k, p in enumerate(line.products)} for line in plant.lines]

    def rows(self, block: EventBlock, arrival: int) -> I64:
        """int64 (events, N_E); `arrival` is the number of the first."""
        n = len(block)
        rows = np.empty((n, at.N_E), np.int64)
        x, y, product = (np.full(n, -1, np.int64) for _ in range(3))
        self._name(block, x, y, product)
        fill_rows(
            rows,
            _PHASE,
            arrival,
            block.line,
            block.station,
            block.type,
            block.ts,
            block.epoch,
            block.seq,
            block.code,
            block.a,
            block.b,
            block.c,
            x,
            y,
            product,
        )
        return rows

    def _name(self, block: EventBlock, x: I64, y: I64, product: I64) -> None:
        words = block.words
        kind = block.type
        told = np.flatnonzero((kind == codes.STATE) | (kind == codes.ORDER))
        if told.size:
            both = self._texts.numbers(words, np.stack([block.x[told], block.y[told]], axis=1).ravel())
            x[told], y[told] = both[0::2], both[1::2]
        made = np.flatnonzero((kind == codes.CYCLE) | (kind == codes.ORDER))
        if made.size:
            product[made] = by_owner(block.line[made], block.y[made], words, self._products)
        counted = np.flatnonzero((kind == codes.COUNT) & (block.code == codes.COUNTER))
        if counted.size:
            x[counted] = by_owner(block.station[counted], block.x[counted], words, self._counters)
        stored = np.flatnonzero(kind == codes.BUFFER)
        if stored.size:
            x[stored] = by_owner(block.line[stored], block.x[stored], words, self._buffers)


def _numbered(ids: list[list[str]], total: int) -> list[dict[str, int]]:
    numbers = iter(range(total))
    return [{one: next(numbers) for one in group} for group in ids]


def in_order(rows: I64) -> I64:
    """Rows of one line, copied, by ts, phase, station, epoch, seq, arrival. Cycles start from the last station up."""
    found = rows.copy()
    order = np.empty(len(rows), np.int64)
    sort_line(found, 0, len(rows), order, np.empty_like(order), np.empty_like(found))
    return found


class Waiting:
    """Events that wait for their line's watermark, in the pieces they came in.

    A piece is looked at only when its oldest event may be due, and what is due is copied once, line by line, into the
    order of folding. Copying all that waits with every block took a fifth of the time, sorting by seven keys a fifth.
    """

    def __init__(self) -> None:
        self._pieces: list[tuple[I64, I64, int]] = []  # rows, places of those that wait, their oldest ts
        # Room of the last call: the system clears new memory page by page, which took a third of the time.
        self._room = np.empty((0, at.N_E), np.int64)

    def add(self, rows: I64, places: I64) -> None:
        if len(places):
            self._pieces.append((rows, places, int(rows[places, at.E_TS].min())))

    def take_due(self, watermarks: I64) -> I64:
        """The rows that lie before their line's watermark (one per line), by line and then in the order of folding.

        They stand until the next call.
        """
        highest = int(watermarks.max(initial=0))
        counts = np.zeros(len(watermarks), np.int64)
        found = [
            rows.size and oldest < highest and count_due(rows, places, watermarks, counts)
            for rows, places, oldest in self._pieces
        ]
        bounds = np.concatenate([[0], np.cumsum(counts)])
        if len(self._room) < bounds[-1]:
            self._room = np.empty((int(bounds[-1]), at.N_E), np.int64)
        due = self._room[: bounds[-1]]
        place = bounds[:-1].copy()
        pieces = []
        for (rows, places, oldest), some in zip(self._pieces, found, strict=True):
            if some:
                places = places[: take_due(rows, places, watermarks, due, place)]
                if not len(places):
                    continue
                # A few stragglers would keep a whole block in memory.
                if 4 * len(places) < len(rows):
                    rows, places = rows[places], np.arange(len(places))
                oldest = int(rows[places, at.E_TS].min())
            pieces.append((rows, places, oldest))
        self._pieces = pieces
        order = np.empty(len(due), np.int64)
        sort_lines(due, bounds, order, np.empty_like(order), np.empty_like(due))
        return due

    def rows(self) -> I64:
        """All that wait, in order of arrival."""
        found = np.concatenate([np.empty((0, at.N_E), np.int64), *(rows[places] for rows, places, _ in self._pieces)])
        # An event that was held came before its piece.
        return found[np.argsort(found[:, at.E_ARRIVAL])]

    def replace(self, rows: I64) -> None:
        self._pieces = []
        self.add(rows, np.arange(len(rows)))
