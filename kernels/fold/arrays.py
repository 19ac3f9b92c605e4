"""The matrices of a partition as named tuples: what the kernels of the fold take and give."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

I8 = npt.NDArray[np.int8]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]


class Model(NamedTuple):
    """The plant in numbers (kernels.fold.layout LC, SC, WC, BC, KC) and its calendars. Never written."""

    lines: I64
    stations: I64
    windows: I64
    buffers: I64
    counters: I64
    inputs: I64  # buffers, station by station
    producers: I64  # stations, buffer by buffer
    consumers: I64
    ideal: I64  # ns per part
    places: I64  # (further places, N_PC)
    made: I64  # parts per cycle, in the places of `ideal`
    calendar_row: I64  # (calendars + 1,) offsets into the next four
    calendar_ts: I64
    calendar_class: I64
    calendar_shift: I64
    calendar_day: I64
    calendar_end: I64  # (calendars,) nothing is known from here on


class State(NamedTuple):
    """All that a partition knows: rows of lines that were seen, zeros elsewhere (twin.line.shape says more)."""

    lines: I64  # (lines, N_L)
    stations: I64  # (stations and further places, N_S)
    total: I64  # (stations, N_COLUMNS) cumulative vectors
    rings: I64  # (slots, N_COLUMNS) cumulative vectors at the steps of the windows
    steps: I64  # (windows,) next step
    base: I64  # (stations, N_SCOPES, N_COLUMNS) cumulative vectors at the start of shift, day, order
    closings: I64  # (lines, closings, N_X)
    deltas: I64  # (stations, closings, N_COLUMNS + 1); the last: 1 where an undecided stop began inside
    ticks: I64  # (tick slots, N_T)
    tick_deltas: I64  # (windows x stations x tick slots, N_COLUMNS + 1) as deltas: windows that end at a tick
    tick_orders: I64  # (stations x tick slots, N_TO)
    closing_orders: I64  # (stations, closings, N_CO)
    vectors: I64  # (2, sum of places x stations) critical paths
    pane_base: I64  # (stations, PANE_COLUMNS)
    buffers: I64  # (buffers, N_B)
    counters: I64  # (counters, N_K)

    @property
    def places(self) -> I64:
        """(further places, N_S): a view of the last rows of `stations`."""
        return self.stations[len(self.total) :]


class Out(NamedTuple):
    """Rows that leave a call, and how many."""

    kpis: I64
    intervals: I64
    paths: I64
    alerts: I64
    active: I64
    measured: I64
    n: I64  # (N_OUT,)
    path: I64  # scratch: a station each of the longest line
    mix: I64  # scratch: (N_MIX, stations and further places), see kernels.fold.path
    pane: I64  # scratch: (PANE_COLUMNS,)
    pending: (
        I64  # scratch, empty between instants: bits of the stations whose completed part may move (kernels.fold.bits)
    )
    touched: I64  # the same: bits of the stations whose class may change at this instant
    begun: I64  # scratch: an event of the instant each, the product with which the cycle was begun that it ends
    before: I64  # scratch: a station each, the order before the instant


class Columns(NamedTuple):
    """Events as columns, in the order in which they came; what an `E` of kernels.fold.layout says of each."""

    line: I32
    station: I32
    type: I8
    ts: I64
    epoch: I64
    seq: I64
    code: I32
    a: I64
    b: I64
    c: I64
    x: I64
    y: I64
    product: I64
    phases: I64  # (types, 2): phase of a type, and of its END


class Gathered(NamedTuple):
    """Rows of events that go in order, a few thousand at a time."""

    rows: I64  # (2, rows, N_E): those at hand, and those before
    begin: I64  # (lines,) first row of a line that is not folded
    to: I64  # (lines,) behind the last that is to be
    end: I64  # (lines,) behind the last of its rows
    turn: I64  # (N_G,)
