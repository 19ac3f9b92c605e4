"""Rows, what is due, and the order of folding against their naive twins."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.fold import layout as at
from tests.naive_order import naive_order
from twin.line.events import Waiting, in_order

SMALL = st.integers(0, 3)
EVENT = st.tuples(SMALL, st.integers(0, 12), st.sampled_from([0, 3, at.PHASE_CYCLE_START]), SMALL, SMALL, SMALL)


def rows_of(events: list[tuple[int, ...]], nearly: bool) -> "np.ndarray[tuple[int, int], np.dtype[np.int64]]":
    rows = np.zeros((len(events), at.N_E), np.int64)
    columns = (at.E_LINE, at.E_TS, at.E_PHASE, at.E_STATION, at.E_EPOCH, at.E_SEQ)
    for k, event in enumerate(events):
        rows[k, list(columns)] = event
        if nearly:
            rows[k, at.E_TS] += 5 * k
    rows[:, at.E_ARRIVAL] = np.arange(len(events))
    return rows


@settings(max_examples=200)
@given(st.lists(EVENT, max_size=150), st.booleans(), st.integers(0, 300), st.lists(st.integers(0, 150), max_size=4))
def test_what_is_due_in_order(events: list[tuple[int, ...]], nearly: bool, limit: int, cuts: list[int]) -> None:
    rows = rows_of(events, nearly)
    watermarks = np.array([limit, limit + 3, 0, 10**6], np.int64)
    waiting = Waiting()
    edges = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    for begin, end in itertools.pairwise(edges):
        waiting.add(rows[begin:end].copy(), np.arange(end - begin))
    due = [row for row in rows.tolist() if row[at.E_TS] < watermarks[row[at.E_LINE]]]
    still = [row for row in rows.tolist() if row[at.E_TS] >= watermarks[row[at.E_LINE]]]
    assert waiting.take_due(watermarks).tolist() == naive_order(due)
    assert waiting.rows().tolist() == still
    assert waiting.take_due(watermarks).tolist() == []
    assert waiting.take_due(np.full(4, 10**9, np.int64)).tolist() == naive_order(still)
    assert waiting.rows().tolist() == []


@given(st.lists(EVENT, max_size=200), st.booleans())
def test_one_line(events: list[tuple[int, ...]], nearly: bool) -> None:
    rows = rows_of([(0, *event[1:]) for event in events], nearly)
    before = rows.copy()
    assert in_order(rows).tolist() == naive_order(rows.tolist())
    assert (rows == before).all()
