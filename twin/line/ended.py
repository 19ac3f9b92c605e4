"""The rows that are open when a line, or a station of it, leaves the plant: what they are up to then.

A copy of the line is brought to its end by the fold itself: at one instant the calendar names no shift and another day,
the orders end, and each station says something else. So the last rows are made as all others are, and stops that are
still undecided are what they have been so far.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from kernels import codes
from kernels.fold import layout as at
from kernels.fold.arrays import Model
from twin.line.engine import Engine, Tables
from twin.line.events import PHASES, in_order

I64 = npt.NDArray[np.int64]
# No source can say it: words of sources are not empty.
_LAST_WORD: Final = ""


def last_rows(engine: Engine, line: int, ts: int) -> Tables:
    """Rows of `line` as if all of it ended at `ts`, at which or before which its time stands. The line goes on."""
    scratch = Engine(engine.plant)
    scratch.load_line(line, engine.save_line(line))
    row = scratch.state.lines[line]
    if not row[at.L_SEEN]:
        return {}
    scratch.fold_with(_ending(scratch, line, ts))
    row[at.L_NEXT_CALENDAR] = row[at.L_NEXT_PANE] = ts
    row[at.L_NEXT] = min(int(row[at.L_NEXT]), ts)
    tables = scratch.run(_farewell(scratch, line, ts), np.array([line]), np.array([ts]))
    return {name: table for name, table in tables.items() if name != "alerts"}


def _ending(engine: Engine, line: int, ts: int) -> Model:
    """The model with a calendar of the line's own, in which no shift holds at `ts` and another day begins."""
    engine.compile_with(ts, ts + 1)
    made = engine.model
    assert made is not None
    lines = made.lines.copy()
    lines[line, at.LC_CALENDAR] = len(made.calendar_end)
    day = int(engine.state.lines[line, at.L_DAY]) + 1

    def behind(column: I64, value: int) -> I64:
        return np.append(column, np.int64(value))

    return made._replace(
        lines=lines,
        calendar_row=behind(made.calendar_row, len(made.calendar_ts) + 1),
        calendar_ts=behind(made.calendar_ts, ts),
        calendar_class=behind(made.calendar_class, -1),
        calendar_shift=behind(made.calendar_shift, -1),
        calendar_day=behind(made.calendar_day, day),
        calendar_end=behind(made.calendar_end, at.FAR - 1),
    )


def _farewell(engine: Engine, line: int, ts: int) -> I64:
    """Events of the line's last instant: the ends of its orders, and another word of every station."""
    x, lo = engine.state, int(engine.numbers.lines[line, at.LC_STATION])
    stations = range(lo, lo + int(engine.numbers.lines[line, at.LC_STATIONS]))
    own = [s for s in stations if x.stations[s, at.S_STRETCH] == at.STRETCH_OWN]
    ends = [(s, int(x.stations[s, at.S_OWN_ORDER])) for s in own]
    if x.lines[line, at.L_ORDER] >= 0:
        ends.append((-1, int(x.lines[line, at.L_ORDER])))
    word = engine.texts.number(_LAST_WORD)
    told = [(s, codes.ORDER, codes.END, order) for s, order in ends]
    told += [(s, codes.STATE, codes.RUNNING, word) for s in stations]
    rows = np.full((len(told), at.N_E), -1, np.int64)
    rows[:, at.E_LINE], rows[:, at.E_TS] = line, ts
    rows[:, [at.E_EPOCH, at.E_A, at.E_B, at.E_C]] = 0
    for row, (station, kind, code, text) in zip(rows, told, strict=True):
        row[at.E_STATION], row[at.E_TYPE], row[at.E_CODE], row[at.E_X] = station, kind, code, text
        row[at.E_PHASE] = PHASES[kind, int(code == codes.END and kind == codes.ORDER)]
    rows[:, at.E_ARRIVAL] = np.arange(len(rows))
    return in_order(rows)
