"""Products that come with the data: an `order` that says how long a part takes, or a `product` event.

What is declared of a product travels in its text: state, waiting rows and results name `cola\x1f{"*":[300000000,0,0]}`
where the line made it at that ideal cycle, and tables of results show `cola`. So an order keeps the ideal cycle that it
began with, a row that waits is written with that of its own time, and nothing that is declared later changes either.

Which declaration counts is found in event time, here, just before events are folded: what is late and revises, or was
corrected, is looked up anew. A product that the plant file names is what the file says.

Bounded: a line knows the last MAX_DECLARED products (and MAX_CELLS numbers) that were declared or used, and forgets the
one that was not for longest, which is told. What an open order or a cycle is made of is kept with it.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from kernels.codes import CYCLE, END, ORDER, PRODUCT
from kernels.fold import layout as at
from twin.events.pace import Pace
from twin.line.numbers import Numbers, ideal_of, worth
from twin.line.remembered import LineMemory
from twin.line.texts import EVERYWHERE, declaration_of, worded
from twin.plant.model import Line, Plant, Product

if TYPE_CHECKING:
    from twin.line.engine import Engine

I64 = npt.NDArray[np.int64]

MAX_DECLARED: Final = 1_024  # products that a line remembers to be declared
MAX_CELLS: Final = 4_096  # and what was said of them, of the line and of single stations
MAX_SLOTS: Final = 1_024  # products as declared that open orders and cycles are made of at once


@lru_cache(maxsize=4_096)
def product_of(name: str) -> Product:
    """A product as the plant file would have it, from its text."""
    cells = declaration_of(name)
    ideal = {station: ns for station, (ns, _, _) in cells.items() if ns}
    factor = {station: (top, bottom) for station, (_, top, bottom) in cells.items() if bottom}
    return Product("", ideal, factor, None)


class Declarations:
    """What the lines of a partition have declared, and the numbers by which the fold knows it.

    A product as it was declared has a slot of its line: the number behind those of the plant file's products. The
    tables by number (`Model.ideal`, `Model.made`) grow with the slots.
    """

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine
        self._plant: Plant = engine.plant
        self._known = [{one.id: k for k, one in enumerate(line.products)} for line in engine.plant.lines]
        self._room: dict[int, int] = {}  # slots that the tables of a line have room for
        self.any = False  # whether any line has declared anything so far

    # Numbers

    def load(self, line: int) -> None:
        """Fit the tables to the slots that the line's memory holds now."""
        mine = self._engine.memory.get(line, LineMemory())
        self.any |= bool(mine.declared)
        slots = mine.slots
        if not slots and line not in self._room:
            return
        self._make_room(line, len(slots))
        for slot in range(self._room[line]):
            self._fill(line, slot, slots[slot] if slot < len(slots) else "")
        self._set_fastest(line, slots)

    def text(self, line: int, number: int) -> str | None:
        """The text of a product by its number, None: one of the plant file, or none."""
        slot = number - len(self._plant.lines[line].products)
        return self._engine.memory[line].slots[slot] if number >= 0 and slot >= 0 else None

    def _make_room(self, line: int, slots: int) -> None:
        """Lay the tables of a line out anew, behind all others, where they are too small."""
        room = self._room.get(line, 0)
        if slots <= room and line in self._room:
            return
        wider = max(8, 2 * room, slots)
        n = self._engine.own_numbers()
        of, known = self._plant.lines[line], 1 + len(self._plant.lines[line].products)
        first = int(n.lines[line, at.LC_STATION])
        for k in range(len(of.stations)):
            start = int(n.stations[first + k, at.SC_IDEAL])
            n.stations[first + k, at.SC_IDEAL] = len(n.ideal)
            # What is not declared is made as without a product.
            for name in ("ideal", "made"):
                table: I64 = getattr(n, name)
                mine = np.full(known + wider, table[start])
                mine[: known + room] = table[start : start + known + room]
                setattr(n, name, np.concatenate([table, mine]))
        self._room[line] = wider
        self._engine.renew_model()

    def _fill(self, line: int, slot: int, name: str) -> None:
        n, of = self._engine.numbers, self._plant.lines[line]
        first, number = int(n.lines[line, at.LC_STATION]), 1 + len(of.products) + slot
        for k, station in enumerate(of.stations):
            start = int(n.stations[first + k, at.SC_IDEAL])
            n.ideal[start + number] = ideal_of(station, product_of(name)) if name else n.ideal[start]

    def _set_fastest(self, line: int, slots: list[str]) -> None:
        n, of = self._engine.own_numbers(), self._plant.lines[line]
        first = int(n.lines[line, at.LC_STATION])
        for k in range(len(of.stations)):
            n.stations[first + k, at.SC_FASTEST_NS] = self._fastest(line, k, slots)

    def _fastest(self, line: int, k: int, slots: list[str]) -> int:
        """What no part takes less than at a station: half the shortest ideal cycle, also of what was declared."""
        station = self._plant.lines[line].stations[k]
        known = int(self._engine.plant_numbers.stations[station_of(self._engine.numbers, line, k), at.SC_FASTEST_NS])
        if station.fastest_cycle_ns is not None or not known:
            return known
        paces = [ideal_of(station, product_of(name)) for name in slots if name]
        return min([known, *(max(1, ns // 2) for ns in paces if ns)])

    # Events

    def pieces(self, events: I64) -> Iterator[I64]:
        """`events` (sorted) as they are folded: orders and cycles with what is declared of their products, and without
        the declarations. In several pieces where the tables have to change between two: fold each before the next."""
        kind, end = events[:, at.E_TYPE], events[:, at.E_CODE] == END
        told = (kind == PRODUCT) | ((kind == ORDER) & ~end & (events[:, at.E_Y] >= 0))
        told |= (kind == CYCLE) & (events[:, at.E_X] >= 0)
        places = np.flatnonzero(told)
        if not places.size:
            yield events
            return
        rows, begin = events.copy(), 0
        kept = kind != PRODUCT
        lines, times = rows[places, at.E_LINE], rows[places, at.E_TS]
        heads = np.flatnonzero(np.append(True, (lines[1:] != lines[:-1]) | (times[1:] != times[:-1])))
        for i, j in zip(heads.tolist(), [*heads[1:].tolist(), len(places)], strict=True):
            instant = _Instant(self, int(lines[i]), int(times[i]), rows, places[i:j].tolist())
            instant.declare()
            if instant.needs_fold():
                first = int(np.searchsorted(rows[:, at.E_LINE], instant.line))
                last = int(np.searchsorted(rows[:, at.E_LINE], instant.line, side="right"))
                cut = first + int(np.searchsorted(rows[first:last, at.E_TS], instant.ts))
                yield rows[begin:cut][kept[begin:cut]]
                begin = cut
            instant.use()
        yield rows[begin:][kept[begin:]]


def station_of(n: Numbers, line: int, k: int) -> int:
    return int(n.lines[line, at.LC_STATION]) + k


class _Instant:
    """What is declared at one instant of a line, and then what is made from then on."""

    def __init__(self, all_of: Declarations, line: int, ts: int, rows: I64, places: list[int]) -> None:
        self.line, self.ts = line, ts
        self._all, self._engine, self._rows = all_of, all_of._engine, rows
        self._of: Line = all_of._plant.lines[line]
        self._known: Mapping[str, int] = all_of._known[line]
        self._mine = self._engine.memory.setdefault(line, LineMemory())
        self._places = places
        self._wanted: dict[str, str] = {}  # text by name, of what is used now

    def declare(self) -> None:
        """Take the declarations, those of the line first; and find what the others are made of."""
        texts = self._engine.texts
        for k in self._places:
            row = self._rows[k]
            if row[at.E_TYPE] == CYCLE:
                continue
            name, cells = texts.names[row[at.E_Y]], declaration_of(texts.all[row[at.E_Y]])
            if row[at.E_TYPE] == PRODUCT or cells:
                self._take(name, int(row[at.E_STATION]), cells)
        for k in self._places:
            row = self._rows[k]
            if row[at.E_TYPE] == PRODUCT:
                continue
            name = texts.names[row[at.E_X if row[at.E_TYPE] == CYCLE else at.E_Y]]
            cells = self._mine.declared.get(name, {})
            if name not in self._known and cells:
                self._mine.declared[name] = self._mine.declared.pop(name)  # used last
                self._wanted[name] = worded(name, cells)

    def needs_fold(self) -> bool:
        """Whether all before this instant has to be folded first: the tables change in a way that it would see."""
        slots = self._mine.slots
        new = [text for text in self._wanted.values() if text not in slots]
        if not new:
            return False
        free = slots.count("") + MAX_SLOTS - len(slots)
        full = len(new) > free
        faster = any(
            self._all._fastest(self.line, k, [*slots, *new]) < self._all._fastest(self.line, k, slots)
            for k in range(len(self._of.stations))
        )
        return full or faster

    def use(self) -> None:
        """Give orders and cycles the numbers and texts of what they are made of."""
        texts, slots = self._engine.texts, self._mine.slots
        new = [one for one in self._wanted.values() if one not in slots]
        if len(new) > slots.count("") + MAX_SLOTS - len(slots):
            self._free()
        for one in new:
            self._slot(one)
        if new:
            self._all.load(self.line)
        for k in self._places:
            row = self._rows[k]
            if row[at.E_TYPE] == PRODUCT:
                continue
            column = at.E_X if row[at.E_TYPE] == CYCLE else at.E_Y
            name = texts.names[row[column]]
            text = self._wanted.get(name)
            if text is not None and text in slots:
                row[at.E_PRODUCT] = len(self._of.products) + slots.index(text)
                if row[at.E_TYPE] == ORDER:
                    row[at.E_Y] = texts.raw_number(text)
            else:
                if row[at.E_TYPE] == ORDER:
                    row[at.E_Y] = texts.number(name)
                if name not in self._known and self._mine.declared and not self._of.products:
                    self._engine.doubt(self.line, int(row[at.E_STATION]), at.DOUBT_PRODUCT, self.ts, name)

    def _take(self, name: str, station: int, cells: Mapping[str, Pace]) -> None:
        engine, mine = self._engine, self._mine
        units = any(station.factor is not None for station in self._of.stations)
        if not units and any(bottom for _, _, bottom in cells.values()):
            engine.doubt(self.line, station, at.DOUBT_FACTOR, self.ts, name)
            cells = {where: (ns, 0, 0) for where, (ns, _, _) in cells.items() if ns}
        if name in self._known:
            if not self._agrees(name, cells):
                engine.doubt(self.line, station, at.DOUBT_DECLARED, self.ts, name)
            return
        if not cells:
            return
        self._all.any = True
        before = mine.declared.pop(name, {})
        mine.declared[name] = {**before, **cells}
        while len(mine.declared) > MAX_DECLARED or sum(map(len, mine.declared.values())) > MAX_CELLS:
            oldest = next(iter(mine.declared))
            del mine.declared[oldest]
            engine.doubt(self.line, -1, at.DOUBT_FORGOTTEN, self.ts, oldest)

    def _agrees(self, name: str, cells: Mapping[str, Pace]) -> bool:
        """Whether the plant file says the same of its product."""
        known = self._of.products[self._known[name]]
        for station in self._of.stations:
            ns, top, bottom = cells.get(station.id, cells.get(EVERYWHERE, (0, 0, 0)))
            if ns and ns != ideal_of(station, known):
                return False
            if bottom and worth(station, known) != worth(station, Product("", {}, {station.id: (top, bottom)}, None)):
                return False
        return True

    def _slot(self, text: str) -> None:
        slots = self._mine.slots
        if "" in slots:
            slots[slots.index("")] = text
        elif len(slots) < MAX_SLOTS:
            slots.append(text)

    def _free(self) -> None:
        """Forget the slots that nothing is made of any more, as of before this instant."""
        x, n, products = self._engine.state, self._engine.numbers, len(self._of.products)
        first = int(n.lines[self.line, at.LC_STATION])
        stations = np.arange(first, first + len(self._of.stations))
        # How many places a station uses only grows, and what a place was last made of stays: no timer is asked.
        extra = zip(n.stations[stations, at.SC_ROW], x.stations[stations, at.S_EXTRA], strict=True)
        places = [stations, *(np.arange(row, row + used) for row, used in extra)]
        used = {
            int(x.lines[self.line, at.L_PRODUCT]) - products,
            *(x.stations[stations, at.S_OWN_PRODUCT] - products).tolist(),
            *(x.stations[np.concatenate(places), at.S_CYCLE_PRODUCT] - products).tolist(),
        }
        slots = self._mine.slots
        for slot, text in enumerate(slots):
            if slot not in used and text not in self._wanted.values():
                slots[slot] = ""
