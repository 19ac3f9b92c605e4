"""Texts that nothing names any more are forgotten: orders and reasons come and go for years."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from kernels.codes import COUNT, CYCLE, MEASURE, ORDER, PRODUCT, STATE
from kernels.fold import layout as at
from kernels.fold.arrays import State
from twin.line.numbers import Numbers
from twin.line.remembered import LineMemory, doubts_in_order
from twin.line.snapshot import part, spans
from twin.line.untouched import untouched

I64 = npt.NDArray[np.int64]
Cells = tuple[I64, I64]  # an array seen flat, and the places in it that hold numbers of texts

_OF_LINE: Final = np.array((at.L_ORDER, at.L_PRODUCT_TEXT))
_OF_STATION: Final = np.array(
    (
        at.S_WORD,
        at.S_REASON,
        at.S_ORDER,
        at.S_INTERVAL_WORD,
        at.S_INTERVAL_REASON,
        at.S_OWN_ORDER,
        at.S_OWN_PRODUCT_TEXT,
        at.S_PRODUCT,
    )
)
_OF_CLOSING: Final = np.array((at.X_ORDER, at.X_PRODUCT))
_OF_OWN_TICK: Final = np.array((at.TO_ORDER, at.TO_PRODUCT))
_OF_OWN_CLOSING: Final = np.array((at.CO_ORDER, at.CO_PRODUCT))
_OF_TICK: Final = np.array((at.T_ORDER, at.T_PRODUCT))
_OF_EVENT: Final = np.array((at.E_X, at.E_Y))
_OF_STOP: Final = (at.IO_WORD, at.IO_REASON, at.IO_ORDER, at.IO_PRODUCT)
# The arrays that hold them; further places lie behind the stations.
_NAMING: Final = ("lines", "stations", "closings", "ticks", "tick_orders", "closing_orders")
# Of fewer lines of the plant than this part only their rows are copied.
_FEW: Final = 1 / 8


@dataclass(slots=True)
class Compacted:
    """What names texts, by their new numbers. Arrays of the state that name none are shared with the old one."""

    state: State
    events: list[I64]
    memory: dict[int, LineMemory]
    texts: list[str]


def compacted(
    x: State,
    n: Numbers,
    lines: Sequence[int],
    events: Sequence[I64],
    memory: dict[int, LineMemory],
    texts: Sequence[str],
    *,
    only: bool = False,
) -> Compacted:
    """Number the texts that are still named from 0, in a fixed order of the places that name them.

    So equal states give equal numbers, whatever else their partition has seen. `lines`: the lines to look at; rows of
    others are left as they are, or, with `only`, may be 0. Nothing given is changed.
    """
    few = only and len(lines) < _FEW * len(x.lines)
    state = _rows_of(x, n, lines) if few else x._replace(**{name: getattr(x, name).copy() for name in _NAMING})
    copies = [array.copy() for array in events]
    stops = {number: [list(row) for row in mine.stops] for number, mine in sorted(memory.items())}
    cells = [*state_cells(state, n, lines), *map(event_cells, copies)]
    named = [flat[places] for flat, places in cells]
    named += [np.array([row[k] for row in rows for k in _OF_STOP], np.int64) for rows in stops.values()]
    used, first = np.unique(np.concatenate(named or [np.zeros(0, np.int64)]), return_index=True)
    kept = used[np.argsort(first, kind="stable")]
    kept = kept[kept >= 0]
    mapping = np.full(len(texts) + 1, -1, np.int64)  # the last one: -1 stays -1
    mapping[kept] = np.arange(len(kept))
    for flat, places in cells:
        flat[places] = mapping[flat[places]]
    remembered = {}
    for number, mine in memory.items():
        rows = stops[number]
        for row in rows:
            for k in _OF_STOP:
                row[k] = int(mapping[row[k]])
        remembered[number] = replace_stops(mine, rows)
    return Compacted(state, copies, remembered, [texts[k] for k in kept.tolist()])


def _rows_of(x: State, n: Numbers, lines: Sequence[int]) -> State:
    """The arrays that name texts, with the rows of these lines copied and zeros for all others: to copy the whole
    plant's for each partition of it, or for each line that is kept for a revision, costs lines x lines.
    """
    state = x._replace(**{name: untouched(getattr(x, name).shape, len(x.lines)) for name in _NAMING})
    for line in lines:
        of = spans(n, line)
        for name in (*_NAMING, "places"):
            part(name, getattr(state, name), of[name])[...] = part(name, getattr(x, name), of[name])
    return state


def replace_stops(mine: LineMemory, rows: list[list[int]]) -> LineMemory:
    """A copy of `mine` with other stops. What its lists hold never changes, so it is shared; the lists do."""
    fields = {name: getattr(mine, name) for name in mine.__struct_fields__}
    copied = {name: value.copy() for name, value in fields.items() if isinstance(value, list | dict)}
    # The order in which they were met depends on how many events came at once.
    copied["doubts"] = dict(doubts_in_order(mine.doubts))
    return LineMemory(**{**fields, **copied, "stops": rows})


def renumber(x: State, n: Numbers, line: int, mine: LineMemory, mapping: I64) -> None:
    """Change the numbers of texts of one line in place; `mapping` has one place more than texts, for -1."""
    for flat, places in state_cells(x, n, [line]):
        flat[places] = mapping[flat[places]]
    for row in mine.stops:
        for k in _OF_STOP:
            row[k] = int(mapping[row[k]])


def state_cells(x: State, n: Numbers, lines: Sequence[int]) -> Iterator[Cells]:
    """The places of a state that name texts, line by line; of lines that have begun."""
    for line in lines:
        row = x.lines[line]
        if not row[at.L_SEEN]:
            continue
        yield x.lines.reshape(-1), line * at.N_L + _OF_LINE
        lo, count = int(n.lines[line, at.LC_STATION]), int(n.lines[line, at.LC_STATIONS])
        yield x.stations.reshape(-1), _crossed(np.arange(lo, lo + count) * at.N_S, _OF_STATION)
        closings = np.arange(int(row[at.L_CLOSINGS])) + line * x.closings.shape[1]
        yield x.closings.reshape(-1), _crossed(closings * at.N_X, _OF_CLOSING)
        every, slots = int(n.lines[line, at.LC_PUBLISH_NS]), int(n.lines[line, at.LC_TICK_SLOTS])
        waiting = np.arange(int(row[at.L_EMIT_TICK]), int(row[at.L_NEXT_TICK]), every) // every % slots
        yield x.ticks.reshape(-1), _crossed((n.lines[line, at.LC_TICKS] + waiting) * at.N_T, _OF_TICK)
        own = n.lines[line, at.LC_OWN_TICKS] + (np.arange(count)[:, None] * slots + waiting).reshape(-1)
        yield x.tick_orders.reshape(-1), _crossed(own * at.N_TO, _OF_OWN_TICK)
        places = np.arange(lo, lo + count)[:, None] * x.closing_orders.shape[1] + np.arange(int(row[at.L_CLOSINGS]))
        yield x.closing_orders.reshape(-1), _crossed(places.reshape(-1) * at.N_CO, _OF_OWN_CLOSING)


def event_cells(events: I64) -> Cells:
    """The places of event rows that name texts."""
    kinds = events[:, at.E_TYPE]
    told = np.flatnonzero((kinds == STATE) | (kinds == ORDER) | (kinds == CYCLE))
    made = np.flatnonzero((kinds == COUNT) | (kinds == MEASURE) | (kinds == PRODUCT))
    places = np.concatenate([_crossed(told * at.N_E, _OF_EVENT), made * at.N_E + at.E_Y])
    # In the order of the events, whatever of them name texts.
    return events.reshape(-1), np.sort(places)


def _crossed(rows: I64, columns: I64) -> I64:
    return (rows[:, None] + columns[None, :]).reshape(-1).astype(np.int64)
