"""The state of one line under another plant model: what still has a place in it goes on.

A line that is the same only takes other numbers (`twin.line.ways`). Of one that is not, time is accounted up to where
the line stands; then stations, buffers, counters and windows are found again by what they are called, a new station was
`unknown` until now, a new window counts the time before as unknown, and all that is due is looked at anew under the new
model. So the classes of every row still sum to its length: nothing is cut.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from kernels.codes import CYCLES, STOPPED, UNKNOWN
from kernels.fold import layout as at
from kernels.fold.classes import accrue, accrue_causal
from kernels.fold.stops import standing
from kernels.fold.timers import align_up
from kernels.jit import plain
from twin.line.engine import Engine
from twin.line.remembered import LineMemory, PathFrom
from twin.line.texts import name_of
from twin.line.ways import Ways, common_stations, first_station
from twin.plant.calendar import NO_SHIFT, shift_id, shift_number
from twin.plant.model import Calendar, Station
from twin.plant.topology import same_flow

I64 = npt.NDArray[np.int64]
_IDLE = (at.CYCLE_READY, at.CYCLE_STARVED)
_PANE = np.array(at.PANE_COLUMNS)
# A change is rare, and its numbers are few: no worker should wait for these to be compiled.
_accrue = plain(accrue)
_accrue_causal = plain(accrue_causal)
_align_up = plain(align_up)
_standing = plain(standing)


@dataclass(slots=True)
class Changed:
    """What a person should know of it."""

    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    windows: list[str] = field(default_factory=list)
    path: bool = False  # the critical path begins anew
    shift: bool = False  # the new calendar does not know the shift that is on
    ticks: int = 0  # instants whose rows of windows were waiting, and are not written


class ChangedLine:
    """One line that has begun, from its old engine into its place in the new one, at the instant where it stands."""

    def __init__(self, old: Engine, i: int, new: Engine, j: int, found: Ways, ts: int) -> None:
        self._old, self._i, self._new, self._j, self._ts, self._ways = old, i, new, j, ts, found
        self._x, self._y = old.state, new.state
        self._was, self._is = old.plant.lines[i], new.plant.lines[j]
        self._theirs, self._ours = old.numbers.lines[i], new.numbers.lines[j]
        self._stations = range(first_station(new, j), first_station(new, j) + len(self._is.stations))
        self._from = {t: s for s, t in common_stations(old, i, new, j)}  # old number of a station by its new one
        self.told = Changed(
            [one.id for k, one in enumerate(self._is.stations) if self._stations[k] not in self._from],
            [one.id for one in self._was.stations if one.id not in {s.id for s in self._is.stations}],
        )
        self._memory = old.memory.get(i, LineMemory())

    def take(self) -> Changed:
        """Fill the new line's rows, which hold zeros, and its memory."""
        x, y, i, j = self._x, self._y, self._i, self._j
        first = first_station(self._old, i)
        for s in range(first, first + len(self._was.stations)):
            _accrue(x, s, self._ts)
        _accrue_causal(x, i, self._ts)
        y.lines[j] = x.lines[i]
        self._products()
        self._places()
        self._closings()
        self._buffers_and_counters()
        self._ticks()
        self._windows()
        self._path()
        self._waits()
        self._timers()
        self._remember()
        return self.told

    def _products(self) -> None:
        row = self._y.lines[self._j]
        row[at.L_PRODUCT], row[at.L_PRODUCT_TEXT] = self._product(int(row[at.L_PRODUCT]), int(row[at.L_PRODUCT_TEXT]))

    def _product(self, number: int, text: int) -> tuple[int, int]:
        """Number and text of what an order makes: what the plant file knows is what it says, whatever was declared."""
        name = self._old.texts.text(text)
        known = next((k for k, one in enumerate(self._is.products) if one.id == name), -1)
        if known >= 0 and name is not None:
            return known, self._old.texts.number(name)
        return self._slot(number), text

    def _slot(self, number: int) -> int:
        """The number of a product that was declared, behind those of the new plant file; -1 of another."""
        slot = number - len(self._was.products)
        return len(self._is.products) + slot if number >= 0 and slot >= 0 else -1

    def _cycle_product(self, number: int) -> int:
        text = self._old.declarations.text(self._i, number)
        if text is None:
            return int(self._ways.products[self._i][number])
        known = next((k for k, one in enumerate(self._is.products) if one.id == name_of(text)), -1)
        return known if known >= 0 else self._slot(number)

    def _places(self) -> None:
        """Stations with their totals; what is new was unknown since the line began."""
        x, y, row = self._x, self._y, self._y.lines[self._j]
        for t in self._stations:
            s = self._from.get(t)
            if s is None:
                self._new_station(t)
                continue
            y.stations[t], y.total[t], y.base[t], y.pane_base[t] = x.stations[s], x.total[s], x.base[s], x.pane_base[s]
            station = y.stations[t]
            own = self._product(int(station[at.S_OWN_PRODUCT]), int(station[at.S_OWN_PRODUCT_TEXT]))
            station[at.S_OWN_PRODUCT], station[at.S_OWN_PRODUCT_TEXT] = own
            theirs, ours = self._old.numbers.stations[s], self._new.numbers.stations[t]
            for k in range(min(int(theirs[at.SC_ROWS]), int(ours[at.SC_ROWS]))):
                y.stations[ours[at.SC_ROW] + k] = x.stations[theirs[at.SC_ROW] + k]
            station[at.S_EXTRA] = min(station[at.S_EXTRA], ours[at.SC_ROWS])
            if ours[at.SC_PLACES] == 1:
                for k in range(int(station[at.S_EXTRA])):
                    place = y.stations[ours[at.SC_ROW] + k]
                    if place[at.S_CYCLE] in _IDLE:  # an undeclared place is there while a part is in it
                        place[at.S_CYCLE] = at.CYCLE_UNSEEN
            else:
                for k in range(int(station[at.S_EXTRA]), int(ours[at.SC_PLACES]) - 1):
                    self._idle(int(ours[at.SC_ROW]) + k, t)
                station[at.S_EXTRA] = max(int(station[at.S_EXTRA]), int(ours[at.SC_PLACES]) - 1)
            rows = [t, *(int(ours[at.SC_ROW]) + k for k in range(int(station[at.S_EXTRA])))]
            for place in rows:
                y.stations[place, at.S_CYCLE_PRODUCT] = self._cycle_product(int(y.stations[place, at.S_CYCLE_PRODUCT]))
        since = np.array([y.stations[t, at.S_ACTIVE_SINCE] for t in self._stations])
        active = np.flatnonzero(since >= 0)
        row[at.L_CAUSAL] = self._stations[int(active[since[active].argmin()])] if active.size else -1
        row[at.L_CAUSAL_TS], row[at.L_DIRTY] = self._ts, 0
        row[at.L_UNDECIDED] = sum(_standing(y, t) == STOPPED for t in self._stations)

    def _new_station(self, t: int) -> None:
        y, ts, row = self._y, self._ts, self._y.lines[self._j]
        station = y.stations[t]
        station[[at.S_ACCRUED, at.S_SEEN_TS, at.S_SINCE]] = ts
        for column in (
            at.S_REPORTED, at.S_WORD, at.S_REASON, at.S_INTERVAL_WORD, at.S_INTERVAL_REASON, at.S_STOP_START,
            at.S_ACTIVE_SINCE, at.S_OWN_ORDER, at.S_OWN_PRODUCT, at.S_OWN_PRODUCT_TEXT, at.S_OWN_QUANTITY,
        ):  # fmt: skip
            station[column] = -1
        station[at.S_ORDER], station[at.S_PRODUCT] = row[at.L_ORDER], row[at.L_PRODUCT_TEXT]
        station[at.S_WORKED] = int(row[at.L_ORDER] >= 0)
        y.total[t, UNKNOWN] = ts - row[at.L_T0]
        starts = {at.SCOPE_SHIFT: at.L_SHIFT_START, at.SCOPE_DAY: at.L_DAY_START, at.SCOPE_ORDER: at.L_ORDER_START}
        for scope, start in starts.items():
            y.base[t, scope, UNKNOWN] = row[start] - row[at.L_T0]
        y.base[t, at.SCOPE_STRETCH] = y.total[t]
        config = self._new.numbers.stations[t]
        station[at.S_EXTRA] = config[at.SC_PLACES] - 1
        for place in [t, *(int(config[at.SC_ROW]) + k for k in range(int(station[at.S_EXTRA])))]:
            self._idle(place, t)

    def _idle(self, place: int, t: int) -> None:
        """A place of station `t` that nobody has told of yet: with cycles it waits for a part, else it works."""
        row = self._y.stations[place]
        derived = self._y.lines[self._j, at.L_CYCLES] != 0
        inputs = self._new.numbers.stations[t, at.SC_INPUTS] > 0
        row[at.S_CYCLE] = (at.CYCLE_STARVED if inputs else at.CYCLE_READY) if derived else at.CYCLE_BUSY
        row[at.S_CYCLE_TS], row[at.S_CYCLE_PRODUCT] = self._ts, -1

    def _closings(self) -> None:
        """Shifts, days and orders that have ended, and wait for a stop to be decided."""
        x, y, i, j = self._x, self._y, self._i, self._j
        n, width = int(x.lines[i, at.L_CLOSINGS]), x.closings.shape[1]
        y.closings[j, :width] = x.closings[i]
        for head in y.closings[j, :n]:
            head[at.X_SHIFT] = self._shift(int(head[at.X_SHIFT]))
        for t in self._stations:
            s = self._from.get(t)
            if s is not None:
                y.deltas[t, :width], y.closing_orders[t, :width] = x.deltas[s], x.closing_orders[s]
                continue
            for k, head in enumerate(y.closings[j, :n]):
                y.deltas[t, k, UNKNOWN] = head[at.X_END] - head[at.X_START]
                alone = head[at.X_SCOPE] == at.SCOPE_STRETCH
                about = y.closing_orders[t, k]
                about[at.CO_ROW] = at.ROW_NONE if alone else at.ROW_OF_LINE
                about[at.CO_ORDER] = about[at.CO_PRODUCT] = about[at.CO_QUANTITY] = -1
                about[at.CO_START] = head[at.X_START]

    def _shift(self, number: int) -> int:
        return shift_under(self._was.calendar, number, self._is.calendar)

    def _buffers_and_counters(self) -> None:
        x, y, found = self._x, self._y, self._ways
        for b in range(*self._old.numbers.buffer_bounds[self._i : self._i + 2]):
            to = found.buffers[b]
            if to >= 0:
                y.buffers[to] = x.buffers[b]
                for column in (at.B_LAST_PUT, at.B_LAST_TAKE):
                    y.buffers[to, column] = found.stations[x.buffers[b, column]]
        for c in range(*self._old.numbers.counter_bounds[self._i : self._i + 2]):
            if found.counters[c] >= 0:
                y.counters[found.counters[c]] = x.counters[c]

    def _ticks(self) -> None:
        """Publishing ticks whose rows wait for a stop: they go on if there is room for them under the new model."""
        x, y, row = self._x, self._y, self._y.lines[self._j]
        every, slots = int(self._ours[at.LC_PUBLISH_NS]), int(self._ours[at.LC_TICK_SLOTS])
        before = int(self._theirs[at.LC_PUBLISH_NS])
        waiting = range(int(row[at.L_EMIT_TICK]), int(row[at.L_NEXT_TICK]), before)
        if every != before:
            row[at.L_NEXT_TICK] = _align_up(self._ts + 1, every)
        if every != before or len(waiting) > slots - 2:
            self.told.ticks = len(waiting)
            row[at.L_EMIT_TICK] = row[at.L_NEXT_TICK]
            return
        was = int(self._theirs[at.LC_TICK_SLOTS])
        for tick in waiting:
            theirs, ours = tick // every % was, tick // every % slots
            about = y.ticks[self._ours[at.LC_TICKS] + ours]
            about[:] = x.ticks[self._theirs[at.LC_TICKS] + theirs]
            about[at.T_SHIFT] = self._shift(int(about[at.T_SHIFT]))
            for local, t in enumerate(self._stations):
                to = y.tick_orders[self._ours[at.LC_OWN_TICKS] + local * slots + ours]
                s = self._from.get(t)
                if s is None:
                    to[:] = 0, -1, -1
                else:
                    of = s - first_station(self._old, self._i)
                    to[:] = x.tick_orders[self._theirs[at.LC_OWN_TICKS] + of * was + theirs]
            self._tick_of_windows(tick, theirs, ours)

    def _tick_of_windows(self, tick: int, theirs: int, ours: int) -> None:
        was, slots = int(self._theirs[at.LC_TICK_SLOTS]), int(self._ours[at.LC_TICK_SLOTS])
        t0 = int(self._y.lines[self._j, at.L_T0])
        for w, v in self._pairs():
            window = self._new.numbers.windows[w]
            for local, t in enumerate(self._stations):
                to = self._y.tick_deltas[window[at.WC_TICKS] + local * slots + ours]
                s = self._from.get(t)
                if s is None or v is None:
                    to[:] = 0
                    to[UNKNOWN] = tick - max(tick - int(window[at.WC_LENGTH]), t0)
                else:
                    of = s - first_station(self._old, self._i)
                    to[:] = self._x.tick_deltas[self._old.numbers.windows[v, at.WC_TICKS] + of * was + theirs]

    def _pairs(self) -> list[tuple[int, int | None]]:
        """Of each new window its number, and that of the old one that is the same."""
        old = {(w.length_ns, w.step_ns): int(self._theirs[at.LC_WINDOW]) + k for k, w in enumerate(self._was.windows)}
        new = enumerate(self._is.windows, int(self._ours[at.LC_WINDOW]))
        return [(w, old.get((window.length_ns, window.step_ns))) for w, window in new]

    def _windows(self) -> None:
        x, y, t0 = self._x, self._y, int(self._y.lines[self._j, at.L_T0])
        for w, v in self._pairs():
            length, step, ring, slots = (
                int(self._new.numbers.windows[w, k]) for k in (at.WC_LENGTH, at.WC_STEP, at.WC_RING, at.WC_SLOTS)
            )
            if v is None:
                self.told.windows.append(self._is.windows[w - int(self._ours[at.LC_WINDOW])].id)
            y.steps[w] = _align_up(self._ts + 1, step) if v is None else x.steps[v]
            newest = int(y.steps[w]) - step
            first = max(newest - length, t0 + 1)
            cuts = np.arange(-(-first // step) * step, newest + 1, step)
            for local, t in enumerate(self._stations):
                s = self._from.get(t)
                target = y.rings[ring + local * slots : ring + (local + 1) * slots]
                if v is not None and s is not None:
                    of = int(self._old.numbers.windows[v, at.WC_RING]) + (s - first_station(self._old, self._i)) * slots
                    target[:] = x.rings[of : of + slots]
                    continue
                # As if all before now had been unknown.
                target[cuts // step % slots] = y.total[t]
                target[cuts // step % slots, UNKNOWN] -= self._ts - cuts

    def _path(self) -> None:
        """The critical path goes on where the flow of parts is the same; else it begins anew."""
        x, y, row, ts = self._x, self._y, self._y.lines[self._j], self._ts
        if same_flow(self._was, self._is):
            cells = int(self._ours[at.LC_CELLS])
            a, b = int(self._theirs[at.LC_VECTOR]), int(self._ours[at.LC_VECTOR])
            y.vectors[:, b : b + cells] = x.vectors[:, a : a + cells]
            return
        self.told.path = True
        row[at.L_PANE_START] = row[at.L_TOTAL_START] = ts
        row[at.L_NEXT_PANE] = _align_up(ts + 1, int(self._ours[at.LC_PANE_NS]))
        for t in self._stations:
            y.pane_base[t] = y.total[t, _PANE]
            y.stations[t, [at.S_PANE_CYCLES, at.S_TOTAL_CYCLES]] = y.total[t, CYCLES]

    def _waits(self) -> None:
        """Where buffers or places are others, what a station waits for may be no more."""
        y, row = self._y, self._y.lines[self._j]
        for t in self._stations:
            s = self._from.get(t)
            mine = self._is.stations[t - self._stations[0]]
            if s is None or row[at.L_CYCLES] == 0:
                continue
            was = self._was.stations[s - first_station(self._old, self._i)]
            for place in self._rows_of(t):
                cycle = int(y.stations[place, at.S_CYCLE])
                if (cycle == at.CYCLE_DONE and _ends(was) != _ends(mine)) or (
                    cycle in _IDLE and set(was.inputs) != set(mine.inputs)
                ):
                    self._idle(place, t)
        places = [place for t in self._stations for place in self._rows_of(t)]
        if row[at.L_CYCLES] != 0:
            row[at.L_DONE] = sum(int(y.stations[place, at.S_CYCLE]) == at.CYCLE_DONE for place in places)

    def _rows_of(self, t: int) -> list[int]:
        first = int(self._new.numbers.stations[t, at.SC_ROW])
        return [t, *range(first, first + int(self._y.stations[t, at.S_EXTRA]))]

    def _timers(self) -> None:
        """All is looked at when time next moves on: schedule, silence, stops; every station is settled."""
        row, ts = self._y.lines[self._j], self._ts
        row[at.L_NEXT] = row[at.L_NEXT_STOP] = ts
        row[at.L_NEXT_STALE] = ts + 1  # as of ts
        if row[at.L_NEXT_CALENDAR] != at.FAR:
            # No calendar says UNKNOWN: what it does say is news.
            row[at.L_NEXT_CALENDAR], row[at.L_CALENDAR] = ts, UNKNOWN
        shift = int(row[at.L_SHIFT])
        row[at.L_SHIFT] = self._shift(shift)
        self.told.shift = shift != NO_SHIFT and row[at.L_SHIFT] == NO_SHIFT
        # Behind a longer lateness time would go back.
        row[at.L_NEWEST] = max(int(row[at.L_NEWEST]), ts + int(self._ours[at.LC_LATENESS_NS]))

    def _remember(self) -> None:
        mine, there = self._memory, {one.id for one in self._is.stations}
        stops = []
        for stop in mine.stops:
            if (to := int(self._ways.stations[stop[at.IO_STATION]])) >= 0:
                moved = list(stop)
                moved[at.IO_LINE], moved[at.IO_STATION] = self._j, to
                stops.append(moved)
        path_from = mine.path_from
        if self.told.path and self._y.lines[self._j, at.L_ORDER] >= 0:
            before = [(self._y.total[t] - self._y.base[t, at.SCOPE_ORDER])[_PANE].tolist() for t in self._stations]
            path_from = PathFrom(self._ts, before)
        self._new.memory[self._j] = LineMemory(
            periods=[] if self.told.path else list(mine.periods),
            panes=[] if self.told.path else list(mine.panes),
            order_panes=[] if self.told.path else list(mine.order_panes),
            verdict=mine.verdict if mine.verdict in there else None,
            leader=mine.leader if mine.leader is not None and mine.leader[0] in there else None,
            shown=None if self.told.path else mine.shown,
            oee_low=mine.oee_low,
            suspects=[one for one in mine.suspects if one in there],
            stops=stops,
            ended=list(mine.ended),
            doubts=dict(mine.doubts),
            path_from=path_from,
            declared=dict(mine.declared),
            slots=list(mine.slots),
        )


def _ends(station: Station) -> tuple[str | None, int | None]:
    return station.output, station.places


def shift_under(was: Calendar, number: int, now: Calendar) -> int:
    """The number of a shift instance under another calendar, NO_SHIFT where that has no shift of this name."""
    if number == NO_SHIFT:
        return NO_SHIFT
    name, day = shift_id(was, number)
    index = next((k for k, one in enumerate(now.shifts) if one.id == name), None)
    return NO_SHIFT if index is None else shift_number(now, index, day)
