"""Questions about whole columns."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from twin.columns import in_order

SMALL = st.integers(-2, 2) | st.sampled_from([-(2**63), 2**63 - 1])


@given(st.lists(st.tuples(SMALL, SMALL, SMALL), max_size=12), st.booleans())
def test_rows_in_order_are_those_that_sorting_leaves(rows: list[tuple[int, int, int]], sort: bool) -> None:
    rows = sorted(rows) if sort else rows
    columns = np.array(rows, np.int64).reshape(-1, 3).T
    assert in_order(list(columns)) == (rows == sorted(rows))
