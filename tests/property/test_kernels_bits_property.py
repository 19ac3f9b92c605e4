"""Bits in words against Python's sets."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kernels.fold import bits

SIZE = 200
PLACES = st.integers(0, SIZE - 1)


@given(st.sets(PLACES), st.sets(PLACES), st.integers(0, SIZE), st.integers(0, SIZE))
def test_sets(added: set[int], discarded: set[int], lo: int, hi: int) -> None:
    members = np.zeros(bits.words(SIZE), np.int64)
    for i in added:
        bits.add(members, i)
    for i in discarded:
        bits.discard(members, i)
    expected = added - discarded
    assert {i for i in range(SIZE) if bits.has(members, i)} == expected
    within = [i for i in expected if lo <= i < hi]
    assert bits.lowest(members, lo, hi) == min(within, default=-1)
    assert bits.highest(members, lo, hi) == max(within, default=-1)
    lo, hi = min(expected, default=lo), max(expected, default=lo) + 1
    assert bits.last(members, lo, hi) == max(expected, default=-1)


def test_words() -> None:
    assert [bits.words(size) for size in (0, 1, 64, 65, 128)] == [0, 1, 1, 2, 2]
