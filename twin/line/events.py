"""Event columns into the rows the kernels fold, and the order they are folded in."""

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from kernels import codes
from kernels.fold import layout as at
from kernels.fold.arrays import Columns
from kernels.fold.order import count_due, fill_rows, note, sort_line, sort_lines, take_due
from kernels.read.parquet_cells import tally
from twin.events.block import I8, I32, I64, EventBlock, pick
from twin.events.declare import END_OF_LOG
from twin.events.pace import pace_of
from twin.line.texts import EVERYWHERE, Owned, Texts, by_owner, unit_hashes, worded
from twin.measures.catalogue import defects, first_pass, numbers, owner
from twin.plant.model import Plant
from twin.plant.shared import once_a_plant
from twin.wire.entries import defects as defects_of
from twin.wire.entries import read

# Phase within an instant by (type, is END).
PHASES: Final = np.full((len(codes.EVENT_NAMES), 2), at.PHASE_OTHER, np.int64)
PHASES[codes.CYCLE] = at.PHASE_CYCLE_START, at.PHASE_COMPLETION
PHASES[codes.ORDER] = at.PHASE_ORDER_START, at.PHASE_ORDER_END
PHASES[codes.STATE] = at.PHASE_STATE
PHASES[codes.COUNT] = at.PHASE_COUNT
PHASES[codes.BUFFER] = at.PHASE_BUFFER
# What is measured at the instant of an order's end belongs to that order, and at that of its start not yet to it.
PHASES[codes.MEASURE] = at.PHASE_COMPLETION
# It is looked at before all else of its instant (twin.line.declared), and never folded itself.
PHASES[codes.PRODUCT] = at.PHASE_COMPLETION


@once_a_plant
def _by_id(plant: Plant) -> tuple[list[dict[str, int]], list[dict[str, int]], list[dict[str, int]]]:
    """Numbers by id: counters of each station, buffers and products of each line."""
    counters = [c.id for station in plant.stations for c in station.counters]
    buffers = [b.id for line in plant.lines for b in line.buffers]
    return (
        _numbered([[c.id for c in s.counters] for s in plant.stations], len(counters)),
        _numbered([[b.id for b in line.buffers] for line in plant.lines], len(buffers)),
        [{p.id: k for k, p in enumerate(line.products)} for line in plant.lines],
    )


@once_a_plant
def _measures(plant: Plant) -> Owned:
    return Owned(numbers(plant))


class Preparation:
    """Turns blocks into rows: block words into text, counter, buffer and product numbers of the plant."""

    def __init__(self, plant: Plant, texts: Texts) -> None:
        self._texts, self._plant = texts, plant
        self._counters, self._buffers, self._products = _by_id(plant)
        self._measures, self._first_line = _measures(plant), owner(plant, 0, -1)
        self._defects, self._passing = defects(plant), np.array(first_pass(plant)) >= 0

    def rows(self, block: EventBlock, arrival: int) -> I64:
        """int64 (events, N_E); `arrival` is the number of the first."""
        return self.named(block).rows(0, len(block), arrival)

    def named(self, block: EventBlock) -> "Named":
        """The block with its words looked up, for rows of a part of it at a time."""
        x, y, product = (np.full(len(block), -1, np.int64) for _ in range(3))
        given, block = block, _without_empty(block)
        words, kind = block.words, _kinds(block)
        there = np.zeros(len(codes.EVENT_NAMES), np.int64)
        tally(kind, there)
        named = there[[codes.COUNT, codes.CYCLE, codes.MEASURE]].any() and (block.z >= 0).any()
        if there[codes.STATE] or there[codes.ORDER] or named:
            both_named = (kind == codes.STATE) | (kind == codes.ORDER)
            first, second = np.where(both_named, block.x, -1), np.where(both_named, block.y, -1)
            if named:  # parts and measures may say whose they are
                theirs = (kind == codes.COUNT) | (kind == codes.CYCLE) | (kind == codes.MEASURE)
                second = np.where(theirs, block.z, second)
            told = np.flatnonzero((first >= 0) | (second >= 0))
            both = self._texts.numbers(words, np.stack([first[told], second[told]], axis=1).ravel())
            x[told], y[told] = both[0::2], both[1::2]
        if there[codes.CYCLE] or there[codes.ORDER] or there[codes.PRODUCT]:
            made = np.flatnonzero((kind == codes.CYCLE) | (kind == codes.ORDER) | (kind == codes.PRODUCT))
            product[made] = by_owner(block.line[made], block.y[made], words, self._products)
            # It may be declared.
            other = made[(kind[made] == codes.CYCLE) & (block.y[made] >= 0) & (product[made] < 0)]
            if other.size:
                x[other] = self._texts.numbers(words, block.y[other])
            if there[codes.PRODUCT] or (block.entry[made] >= 0).any():
                self._declared(block, made[kind[made] != codes.CYCLE], y)
        a = block.a
        if there[codes.CYCLE]:
            cycles = np.flatnonzero((kind == codes.CYCLE) & (block.x >= 0))
            if len(cycles):
                a = a.copy()
                a[cycles] = unit_hashes(words, block.x[cycles])
        if there[codes.COUNT] and block.code.any():
            counted = np.flatnonzero((kind == codes.COUNT) & (block.code == codes.COUNTER))
            x[counted] = by_owner(block.station[counted], block.x[counted], words, self._counters)
        if there[codes.COUNT] and ((block.entry >= 0).any() or self._passing.any()):
            self._observed(block, kind, x, product)
        if there[codes.BUFFER]:
            stored = np.flatnonzero(kind == codes.BUFFER)
            x[stored] = by_owner(block.line[stored], block.x[stored], words, self._buffers)
        if there[codes.MEASURE]:
            told = np.flatnonzero(kind == codes.MEASURE)
            owners = block.station[told]
            if owners.min() < 0:  # of a line
                owners = np.where(owners >= 0, owners, self._first_line + block.line[told])
            x[told] = self._measures.numbers(owners, block.y[told], words)
        code = block.code
        if there[codes.HEARTBEAT] and END_OF_LOG in words:
            code = np.where((kind == codes.HEARTBEAT) & (block.y == words.index(END_OF_LOG)), codes.END, code)
        return Named(given, kind, code.astype(np.int32, copy=False), a, x, y, product)

    def _observed(self, block: EventBlock, kind: I8, x: I64, product: I64) -> None:
        """Say of parts which defect they have, and of which unit they are, where that is observed."""
        parts = (kind == codes.COUNT) & (block.code == codes.PARTS)
        told = np.flatnonzero(parts & (block.entry >= 0))
        for row, name in zip(told.tolist(), defects_of(block.entry[told], block.words), strict=True):
            if name is not None:
                x[row] = self._defects[block.station[row]][name]
                product[row] = 0
        units = np.flatnonzero(parts & (block.x >= 0) & self._passing[block.station])
        if len(units):
            product[units] = unit_hashes(block.words, block.x[units])

    def _declared(self, block: EventBlock, rows: I64, y: I64) -> None:
        """Give products the texts that say what the events declare of them; an order's end declares nothing."""
        ends = (block.type[rows] == codes.ORDER) & (block.code[rows] == codes.END)
        for row in rows[(block.entry[rows] >= 0) & ~ends].tolist():
            said = read(block.words[block.entry[row]])
            if said.declares:
                station = int(block.station[row])
                where = EVERYWHERE if station < 0 else self._plant.stations[station].id
                pace = pace_of(said.ideal_cycle, said.rate, said.factor)
                y[row] = self._texts.raw_number(worded(block.words[block.y[row]], {where: pace}))


def _without_empty(block: EventBlock) -> EventBlock:
    """The block without reasons, products and units of parts that are empty: some gateways fill every field."""
    if "" not in block.words:
        return block
    empty, kind = block.words.index(""), block.type
    unit = (kind == codes.CYCLE) | ((kind == codes.COUNT) & (block.code == codes.PARTS))
    named = (kind == codes.STATE) | (kind == codes.ORDER) | (kind == codes.CYCLE)
    x = np.where(unit & (block.x == empty), np.int32(-1), block.x)
    return replace(block, x=x, y=np.where(named & (block.y == empty), np.int32(-1), block.y))


def _kinds(block: EventBlock) -> I8:
    """Types, but for counts and orders that correct an earlier one: these are not folded themselves."""
    corrects = ((block.type == codes.COUNT) & (block.y >= 0)) | ((block.type == codes.ORDER) & (block.z >= 0))
    return np.where(corrects, np.int8(codes.CORRECTION), block.type) if corrects.any() else block.type


@dataclass(frozen=True, slots=True)
class Named:
    """A block, and the numbers of its words: units in `a`, texts or counters or buffers in `x`, `y`, and products."""

    block: EventBlock
    type: I8  # that of the block; CORRECTION: a count or an order that stands in the place of another
    code: I32  # that of the block; END: a heartbeat that ends a log
    a: I64
    x: I64
    y: I64
    product: I64

    def columns(self) -> Columns:
        """All of it as the kernels take it."""
        of = self.block
        return Columns(
            _own(of.line),
            _own(of.station),
            _own(self.type),
            _own(of.ts),
            _own(of.epoch),
            _own(of.seq),
            _own(self.code),
            _own(self.a),
            _own(of.b),
            _own(of.c),
            self.x,
            self.y,
            self.product,
            PHASES,
        )

    def some(self, chosen: I64, arrival: int) -> I64:
        """As `rows`, of the chosen events; `arrival` is the number of the block's first."""
        some = Named(
            pick(self.block, chosen),
            self.type[chosen],
            self.code[chosen],
            self.a[chosen],
            self.x[chosen],
            self.y[chosen],
            self.product[chosen],
        )
        rows = some.rows(0, len(chosen), 0)
        rows[:, at.E_ARRIVAL] = arrival + chosen
        return rows

    def rows(self, begin: int, end: int, arrival: int) -> I64:
        """int64 (events, N_E) of the events from `begin` up to `end`; `arrival` is the number of the first."""
        of = pick(self.block, slice(begin, end))
        whose: tuple[npt.NDArray[Any], ...] = (of.line, of.station, self.type[begin:end], of.ts, of.epoch, of.seq)
        what: tuple[npt.NDArray[Any], ...] = (self.code[begin:end], self.a[begin:end], of.b, of.c)
        named: tuple[npt.NDArray[Any], ...] = (self.x[begin:end], self.y[begin:end], self.product[begin:end])
        rows = np.empty((end - begin, at.N_E), np.int64)
        fill_rows(rows, PHASES, arrival, *(_own(one) for one in (*whose, *what, *named)))
        return rows


def _own(column: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Where it is Arrow's, a copy: an array that must not be written is another type, and the kernel would be compiled
    anew for every combination of the two, in the middle of a fold."""
    return column if column.flags.writeable else column.copy()


def _numbered(ids: list[list[str]], total: int) -> list[dict[str, int]]:
    numbers = iter(range(total))
    return [{one: next(numbers) for one in group} for group in ids]


def in_order(rows: I64) -> I64:
    """Rows of one line, copied, by ts, phase, station, epoch, seq, arrival. Cycles start from the last station up."""
    found = rows.copy()
    order = np.empty(len(rows), np.int64)
    sort_line(found, 0, len(rows), order, np.empty_like(order), np.empty_like(found))
    return found


@dataclass(slots=True)
class _Piece:
    """Events that came together: their rows, the places of those that wait, and of each of these its line and time."""

    rows: I64
    places: I64
    lines: I32
    times: I64
    oldest: int

    @classmethod
    def of(cls, rows: I64, places: I64) -> "_Piece":
        lines, times = np.empty(len(places), np.int32), np.empty(len(places), np.int64)
        return cls(rows, places, lines, times, int(note(rows, places, lines, times)))

    def left(self, n: int) -> "_Piece":
        """With the first `n` places only."""
        rows, places = self.rows, self.places[:n]
        # A few stragglers would keep a whole block in memory.
        if 4 * n < len(rows):
            rows, places = rows[places], np.arange(n)
        return _Piece(rows, places, self.lines[:n], self.times[:n], int(self.times[:n].min()))


class Waiting:
    """Events that wait for their line's watermark, in the pieces they came in.

    A piece is looked at only when its oldest event may be due, and what is due is copied once, line by line, into the
    order of folding. Copying all that waits with every block took a fifth of the time, sorting by seven keys a fifth.
    """

    def __init__(self) -> None:
        self._pieces: list[_Piece] = []
        # Room of the last call: the system clears new memory page by page, which took a third of the time.
        self._room = np.empty((0, at.N_E), np.int64)

    def add(self, rows: I64, places: I64) -> None:
        if len(places):
            self._pieces.append(_Piece.of(rows, places))

    def take_due(self, watermarks: I64) -> I64:
        """The rows that lie before their line's watermark (one per line), by line and then in the order of folding.

        They stand until the next call.
        """
        highest = int(watermarks.max(initial=0))
        counts = np.zeros(len(watermarks), np.int64)
        found = [
            one.oldest < highest and count_due(one.lines, one.times, watermarks, counts) > 0 for one in self._pieces
        ]
        bounds = np.concatenate([[0], np.cumsum(counts)])
        if len(self._room) < bounds[-1]:
            self._room = np.empty((int(bounds[-1]), at.N_E), np.int64)
        due = self._room[: bounds[-1]]
        place, mixed = bounds[:-1].copy(), np.zeros(len(watermarks), np.int8)
        pieces = []
        for one, some in zip(self._pieces, found, strict=True):
            if not some:
                pieces.append(one)
            elif n := take_due(one.rows, one.places, one.lines, one.times, watermarks, due, bounds, place, mixed):
                pieces.append(one.left(n))
        self._pieces = pieces
        if mixed.any():
            order = np.empty(len(due), np.int64)
            sort_lines(due, bounds, mixed, order, np.empty_like(order), np.empty_like(due))
        return due

    def rows(self) -> I64:
        """All that wait, in order of arrival."""
        none = np.empty((0, at.N_E), np.int64)
        found = np.concatenate([none, *(one.rows[one.places] for one in self._pieces)])
        # An event that was held came before its piece.
        return found[np.argsort(found[:, at.E_ARRIVAL])]

    def replace(self, rows: I64) -> None:
        self._pieces = []
        self.add(rows, np.arange(len(rows)))
