"""An instant settles what it touched; settling the whole line as well would change nothing."""

import itertools
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import codes
from kernels.fold import layout as at
from kernels.fold.arrays import State
from kernels.fold.classes import settle_line
from kernels.fold.fold import fold
from tests.property.test_fold_flow_property import Log, nonsense, plant_of
from tests.random_logs import ended, logs, small_plant
from tests.support.fold import Ev, block, heartbeat
from twin.line import PartitionTwin, engine
from twin.line.events import Preparation, Waiting
from twin.line.texts import Texts
from twin.plant.model import Plant

ROWS = 4_096
KINDS = {"start": codes.START, "end": codes.END}


def instants(plant: Plant, events: list[Ev]) -> list[Any]:
    """Rows in the order of folding, instant by instant, whatever admission would say of them."""
    waiting = Waiting()
    waiting.add(Preparation(plant, Texts()).rows(block(events), 0), np.arange(len(events)))
    rows = waiting.take_due(np.full(len(plant.lines), 1 << 62))
    edges = np.flatnonzero(np.diff(rows[:, at.E_LINE]) | np.diff(rows[:, at.E_TS])) + 1
    return [rows[i:j] for i, j in itertools.pairwise([0, *edges.tolist(), len(rows)])]


def check(plant: Plant, events: list[Ev]) -> None:
    twin = PartitionTwin(plant, 0).engine
    m = twin._cover(np.array([min(e.ts for e in events)]), np.array([max(e.ts for e in events)]))
    x, o = twin.state, engine._out(ROWS, plant, len(twin.numbers.places))
    for rows in instants(plant, events):
        o.n[:] = 0
        assert fold(m, x, o, rows, 0, len(rows)) == len(rows)
        assert not o.pending.any()
        assert not o.touched.any()
        other = State(*(array.copy() for array in x))
        written = o.n.copy()
        settle_line(m, other, o, int(rows[0, at.E_LINE]), int(rows[0, at.E_TS]))
        assert (o.n == written).all()
        other.stations[:, at.S_ACCRUED] = x.stations[:, at.S_ACCRUED]
        for name in set(x._fields) - {"total"}:
            assert (getattr(x, name) == getattr(other, name)).all(), name


@settings(max_examples=100)
@given(st.data(), st.booleans(), st.booleans())
def test_all_kinds_of_events(data: st.DataObject, calendar: bool, requires_order: bool) -> None:
    check(small_plant(True, calendar, requires_order), ended(data.draw(logs(True, True))))


@settings(max_examples=100)
@given(nonsense(), st.lists(st.tuples(st.integers(0, 60), st.integers(0, 3), st.sampled_from([4, 9, 12])), max_size=8))
def test_all_kinds_of_lines(case: tuple[Any, Log], states: list[tuple[int, int, int]]) -> None:
    """Assembly, shared buffers, hand-over; cycles that contradict the books, and stops reported in between."""
    topology, log = case
    begin = log[0][0]
    last = len(topology.stations) - 1
    events = [Ev(t, codes.CYCLE, s, KINDS[kind], x=unit) for t, s, kind, unit in log]
    events += [Ev(begin + t, codes.STATE, min(s, last), code, x="w") for t, s, code in states]
    check(plant_of(topology), [*sorted(events, key=lambda e: e[:4]), heartbeat(max(e.ts for e in events) + 100)])
