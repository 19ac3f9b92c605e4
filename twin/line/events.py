"""Event columns into the rows the kernels fold, and the order they are folded in."""

from typing import Final

import numpy as np
import numpy.typing as npt

from kernels import codes
from kernels import layout as at
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
        rows[:, at.E_LINE] = block.line
        rows[:, at.E_TS] = block.ts
        rows[:, at.E_PHASE] = _PHASE[block.type, (block.code == codes.END).astype(np.int8)]
        rows[:, at.E_STATION] = block.station
        rows[:, at.E_EPOCH] = block.epoch
        rows[:, at.E_SEQ] = block.seq
        rows[:, at.E_TYPE] = block.type
        rows[:, at.E_CODE] = block.code
        rows[:, at.E_A] = block.a
        rows[:, at.E_B] = block.b
        rows[:, at.E_C] = block.c
        rows[:, at.E_X] = -1
        rows[:, at.E_Y] = -1
        rows[:, at.E_PRODUCT] = -1
        rows[:, at.E_ARRIVAL] = np.arange(arrival, arrival + n)
        self._name(rows, block)
        return rows

    def _name(self, rows: I64, block: EventBlock) -> None:
        words = block.words
        kind = block.type
        told = np.flatnonzero((kind == codes.STATE) | (kind == codes.ORDER))
        if told.size:
            both = self._texts.numbers(words, np.stack([block.x[told], block.y[told]], axis=1).ravel())
            rows[told, at.E_X], rows[told, at.E_Y] = both[0::2], both[1::2]
        made = np.flatnonzero((kind == codes.CYCLE) | (kind == codes.ORDER))
        if made.size:
            rows[made, at.E_PRODUCT] = by_owner(block.line[made], block.y[made], words, self._products)
        counted = np.flatnonzero((kind == codes.COUNT) & (block.code == codes.COUNTER))
        if counted.size:
            rows[counted, at.E_X] = by_owner(block.station[counted], block.x[counted], words, self._counters)
        stored = np.flatnonzero(kind == codes.BUFFER)
        if stored.size:
            rows[stored, at.E_X] = by_owner(block.line[stored], block.x[stored], words, self._buffers)


def _numbered(ids: list[list[str]], total: int) -> list[dict[str, int]]:
    numbers = iter(range(total))
    return [{one: next(numbers) for one in group} for group in ids]


def in_order(rows: I64) -> I64:
    """Rows sorted by line, ts, phase, station, epoch, seq, arrival. Cycles start from the last station up."""
    station = np.where(rows[:, at.E_PHASE] == at.PHASE_CYCLE_START, -rows[:, at.E_STATION], rows[:, at.E_STATION])
    keys: tuple[npt.NDArray[np.int64], ...] = (
        rows[:, at.E_ARRIVAL],
        rows[:, at.E_SEQ],
        rows[:, at.E_EPOCH],
        station,
        rows[:, at.E_PHASE],
        rows[:, at.E_TS],
        rows[:, at.E_LINE],
    )
    return rows[np.lexsort(keys)]
