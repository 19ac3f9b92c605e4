"""What the numbers of a state are called: the names by which a snapshot outlives the version that wrote it.

A column is called by its constant in `kernels.fold.layout` in small letters, a component of a vector or a time class by
its name in `kernels.codes`. A snapshot holds the names of all axes of its writer. Where they differ from today's, the
arrays are read by name: a column that was not there yet is neutral (0, or what NEUTRAL says), one that is no more
is refused unless DROPPED says that nothing needs it. So columns may be appended and time classes put in between
without a word here; a renamed constant is another column.

What is not named: which rows an array has (`spans` and the needed cuts in `twin.line.snapshot`, the slots of rings
and ticks). A change of those is a new `twin.line.snapshot.VERSION`, with a reader for the former one.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from kernels import codes
from kernels.fold import layout as at
from kernels.fold.arrays import State
from kernels.fold.work_order import order_of, product_text_of, stretch_start
from kernels.jit import plain
from twin.line.events import PHASES, in_order
from twin.line.numbers import Numbers
from twin.line.untouched import untouched
from twin.plant.model import Plant

I64 = npt.NDArray[np.int64]
Names = Mapping[str, Sequence[str]]
Neutral = int | Callable[[State, Numbers, int], I64]

ROWS: Final = ""  # in the axes of an array: the rows of its lines
ROOM: Final = "*"  # places without names: closings, of which a snapshot says how many
CLOSINGS: Final = 8  # grows when more shifts and orders end within one stop of undecided length


class SnapshotError(Exception):
    """A snapshot that cannot be read; says why."""


class Array(NamedTuple):
    """One array of `kernels.fold.arrays.State`."""

    of: str  # what a row belongs to: a key of `twin.line.snapshot.spans`
    axes: tuple[str, ...]  # outermost first; keys of NAMES, ROWS or ROOM


def _numbered(prefix: str, without: Sequence[str] = ()) -> tuple[str, ...]:
    """The names of the constants of `kernels.fold.layout` that begin so, by their numbers."""
    found = {
        number: name.removeprefix(prefix).lower()
        for name, number in vars(at).items()
        if name.startswith(prefix) and name not in without
    }
    return tuple(found[k] for k in range(len(found)))


# Every axis that a snapshot names.
NAMES: Final[dict[str, tuple[str, ...]]] = {
    "line": _numbered("L_"),
    "station": _numbered("S_"),
    "vector": codes.COLUMN_NAMES,
    "delta": (*codes.COLUMN_NAMES, "undecided"),
    "scope": _numbered("SCOPE_"),
    "closing": _numbered("X_"),
    "tick": _numbered("T_"),
    "own tick": _numbered("TO_"),
    "own closing": _numbered("CO_"),
    "path": _numbered("V_"),
    "pane": tuple(codes.COLUMN_NAMES[k] for k in at.PANE_COLUMNS),
    "buffer": _numbered("B_"),
    "counter": _numbered("K_"),
    "event": _numbered("E_"),
    "sequence": (*_numbered("Q_", ("Q_BITS", "Q_WORDS")), *(f"bits{k}" for k in range(at.Q_WORDS))),
    "interval": _numbered("IO_"),
    # Numbers that are values, not places.
    "class": codes.CLASS_NAMES,
    "type": codes.EVENT_NAMES,
    "phase": _numbered("PHASE_"),
    "array": (*State._fields, "places"),
}

ARRAYS: Final[dict[str, Array]] = {
    "lines": Array("line", (ROWS, "line")),
    "stations": Array("station", (ROWS, "station")),
    "total": Array("station", (ROWS, "vector")),
    "rings": Array("cut", (ROWS, "vector")),
    "steps": Array("window", (ROWS,)),
    "base": Array("station", (ROWS, "scope", "vector")),
    "closings": Array("line", (ROWS, ROOM, "closing")),
    "deltas": Array("station", (ROWS, ROOM, "delta")),
    "ticks": Array("tick", (ROWS, "tick")),
    "tick_deltas": Array("tick of window", (ROWS, "delta")),
    "tick_orders": Array("tick of station", (ROWS, "own tick")),
    "closing_orders": Array("station", (ROWS, ROOM, "own closing")),
    "vectors": Array("pair of stations", ("path", ROWS)),
    "pane_base": Array("station", (ROWS, "pane")),
    "buffers": Array("buffer", (ROWS, "buffer")),
    "counters": Array("counter", (ROWS, "counter")),
    # The last rows of `stations` (`State.places`).
    "places": Array("place", (ROWS, "station")),
}


_order_of, _stretch_start, _product_text_of = plain(order_of), plain(stretch_start), plain(product_text_of)


def _worked(x: State, _n: Numbers, line: int) -> I64:
    """Whether the line has had an order, where that was not noted of its stations."""
    row = x.lines[line]
    return np.array(row[at.L_ORDER] >= 0 or row[at.L_ORDER_START] > row[at.L_T0], np.int64)


def _product(x: State, n: Numbers, line: int) -> I64:
    """Text of the product of the order at the start of what each station is in, where it is still that order."""
    lo, count = int(n.lines[line, at.LC_STATION]), int(n.lines[line, at.LC_STATIONS])
    found = np.full(count, -1, np.int64)
    for k, s in enumerate(range(lo, lo + count)):
        same = x.stations[s, at.S_ORDER] == _order_of(x, line, s)
        if same and _stretch_start(x, line, s) <= x.stations[s, at.S_SINCE]:
            found[k] = _product_text_of(x, line, s)
    return found


# What a column (axis, name) that a snapshot does not have holds in lines that were seen, where that is not 0: a number,
# or what a function makes of the state that was read, the plant and the line. ("array", name): an array as a whole.
NEUTRAL: Final[dict[tuple[str, str], Neutral]] = {
    ("station", "own_order"): -1,
    ("station", "worked"): _worked,
    ("station", "own_product"): -1,
    ("station", "own_product_text"): -1,
    ("station", "own_quantity"): -1,
    ("station", "product"): _product,
    ("line", "quantity"): -1,
    ("closing", "quantity"): -1,
    ("own closing", "quantity"): -1,
    ("interval", "product"): -1,
    # Rows with the context of their line: no text.
    ("array", "tick_orders"): lambda *_: np.array([0, -1, -1]),
    ("array", "closing_orders"): lambda *_: np.array([0, -1, -1, 0, -1]),
}
# Columns (axis, name) and arrays ("array", name) of older versions that nothing needs any more.
DROPPED: Final[frozenset[tuple[str, str]]] = frozenset()
# Columns that hold the number of a time class; an event's `code` does if it is a state.
_CLASSES: Final = {
    "line": (at.L_CALENDAR,),
    "station": (at.S_CLASS, at.S_REPORTED, at.S_HIDDEN),
    "interval": (at.IO_CLASS,),
}


def empty_state(plant: Plant, n: Numbers) -> State:
    """Zeros everywhere: the operating system gives memory to a row when a line is first seen."""
    rows = {
        "line": len(n.lines),
        "station": len(n.stations),
        "window": len(n.windows),
        "cut": n.ring_rows,
        "tick": n.tick_rows,
        "tick of window": n.tick_delta_rows,
        "tick of station": n.own_tick_rows,
        "pair of stations": n.vector_cells,
        "buffer": len(n.buffers),
        "counter": len(n.counters),
        "place": len(n.places),
    }
    zeros = {}
    for name, array in ARRAYS.items():
        sizes = {ROWS: rows[array.of], ROOM: CLOSINGS}
        shape = [sizes[axis] if axis in sizes else len(NAMES[axis]) for axis in array.axes]
        if name == "stations":
            shape[0] += rows["place"]
        if name in State._fields:
            zeros[name] = untouched(shape, len(n.lines))
    state = State(**zeros)
    state.buffers[:, at.B_LEVEL] = [b.initial for line in plant.lines for b in line.buffers]
    state.buffers[:, at.B_LAST_PUT] = -1
    state.buffers[:, at.B_LAST_TAKE] = -1
    return state


class Translation:
    """Reads what a version with other names wrote."""

    def __init__(self, names: Names) -> None:
        """Raises SnapshotError: there is a name that this version does not know."""
        for axis, theirs in names.items():
            known = NAMES.get(axis, ())
            unknown = [one for one in theirs if one not in known and (axis, one) not in DROPPED]
            if unknown:
                raise SnapshotError(f"holds `{unknown[0]}` of a {axis}, which this version does not know")
            if len(set(theirs)) != len(theirs):
                raise SnapshotError(f"names something of a {axis} twice")
        self.names = {axis: tuple(names.get(axis, ())) for axis in NAMES}
        self.same = self.names == NAMES
        self._resort = self.names["phase"] != NAMES["phase"]
        self._classes, self._types = self._numbers("class"), self._numbers("type")

    def array(self, name: str, data: I64, rows: int, room: int) -> I64:
        """One line's part of an array in today's shape. Raises SnapshotError and ValueError."""
        axes = ARRAYS[name].axes
        free = {ROWS: rows, ROOM: room}
        old = data.reshape([free[axis] if axis in free else len(self.names[axis]) for axis in axes])
        return self._moved(old, axes)

    def size(self, name: str, rows: int, room: int) -> int:
        """Cells of one line in an array as it was written."""
        sizes = [{ROWS: rows, ROOM: room}.get(axis, len(self.names.get(axis, ()))) for axis in ARRAYS[name].axes]
        return int(np.prod(sizes))

    def rows(self, axis: str, data: I64) -> I64:
        """Rows of an axis, (n, columns). Raises SnapshotError and ValueError."""
        return self._moved(data.reshape(-1, len(self.names[axis])), (ROWS, axis))

    def events(self, data: I64, *, ordered: bool = False) -> I64:
        """Event rows; `ordered`: they stand in the order of folding, and are to do so again."""
        rows = self.rows("event", data)
        rows[:, at.E_TYPE] = _looked_up(self._types, rows[:, at.E_TYPE], "event type")
        states = rows[:, at.E_TYPE] == codes.STATE
        rows[states, at.E_CODE] = _looked_up(self._classes, rows[states, at.E_CODE], "time class")
        if self._resort:
            rows[:, at.E_PHASE] = PHASES[rows[:, at.E_TYPE], (rows[:, at.E_CODE] == codes.END).astype(np.int64)]
            rows = in_order(rows) if ordered else rows
        return rows

    def complete(self, x: State, n: Numbers, line: int, parts: Mapping[str, I64], arrays: Mapping[str, bytes]) -> None:
        """Compute what is missing and has no number in NEUTRAL. `parts`: the line's part of every array, to be written;
        `arrays`: those that were there."""
        for name, part in parts.items():
            whole = NEUTRAL.get(("array", name), 0)
            if name not in arrays and callable(whole):
                part[...] = whole(x, n, line)
            for k, axis in enumerate(ARRAYS[name].axes):
                for column in set(NAMES.get(axis, ())).difference(self.names.get(axis, ())):
                    neutral = NEUTRAL.get((axis, column), 0)
                    # A further place has a cycle of its own, and nothing of what is computed here.
                    if callable(neutral) and name != "places":
                        np.moveaxis(part, k, 0)[NAMES[axis].index(column)] = neutral(x, n, line)

    def _moved(self, old: I64, axes: Sequence[str]) -> I64:
        new = old
        for k, axis in enumerate(axes):
            if axis in (ROWS, ROOM):
                continue
            theirs = self.names[axis]
            if theirs != NAMES[axis]:
                before, new = new, np.zeros((*new.shape[:k], len(NAMES[axis]), *new.shape[k + 1 :]), np.int64)
                for place, column in enumerate(NAMES[axis]):
                    target = np.moveaxis(new, k, 0)[place]
                    neutral = NEUTRAL.get((axis, column), 0)
                    if column in theirs:
                        target[...] = np.moveaxis(before, k, 0)[theirs.index(column)]
                    elif not callable(neutral):
                        target[...] = neutral
            if axis in _CLASSES and self.names["class"] != NAMES["class"]:
                new = new.copy() if new is old else new
                for place in _CLASSES[axis]:
                    cells = np.moveaxis(new, k, 0)[place]
                    cells[...] = _looked_up(self._classes, cells, "time class")
        return new.copy() if new is old else new

    def _numbers(self, axis: str) -> I64:
        """Today's number of each of theirs, -1 (none) behind them; -2: there is none any more."""
        known = NAMES[axis]
        numbers = [known.index(one) if one in known else -2 for one in self.names[axis]]
        return np.array([*numbers, -1], np.int64)


def _looked_up(numbers: I64, cells: I64, what: str) -> I64:
    """Raises SnapshotError: a number that nobody gave."""
    if cells.size and not (int(cells.min()) >= -1 and int(cells.max()) < len(numbers) - 1):
        raise SnapshotError(f"holds the number of a {what} that its writer did not have")
    found: I64 = numbers[cells]
    if (found == -2).any():
        raise SnapshotError(f"holds a {what} that this version does not know")
    return found
