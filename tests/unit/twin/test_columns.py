"""Questions about whole columns."""

import datetime

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from twin.columns import in_order, listed

SMALL = st.integers(-2, 2) | st.sampled_from([-(2**63), 2**63 - 1])


@given(st.lists(st.tuples(SMALL, SMALL, SMALL), max_size=12), st.booleans())
def test_rows_in_order_are_those_that_sorting_leaves(rows: list[tuple[int, int, int]], sort: bool) -> None:
    rows = sorted(rows) if sort else rows
    columns = np.array(rows, np.int64).reshape(-1, 3).T
    assert in_order(list(columns)) == (rows == sorted(rows))


COLUMNS = {
    "texts": (pa.dictionary(pa.int32(), pa.string()), st.sampled_from(["", "a", "press-1", "ü"])),
    "times": (pa.timestamp("ns", "UTC"), st.integers(-(2**62), 2**62)),
    "dates": (pa.date32(), st.dates()),
    "numbers": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
}


@given(st.sampled_from(sorted(COLUMNS)), st.data())
def test_listed_is_what_was_put_in(kind: str, data: st.DataObject) -> None:
    of_type, values = COLUMNS[kind]
    put = data.draw(st.lists(values | st.none(), max_size=8))
    column = pa.chunked_array([pa.array(put[:3], of_type), pa.array(put[3:], of_type)])
    days = [v if v is None else (v - datetime.date(1970, 1, 1)).days for v in put] if kind == "dates" else put
    assert listed(column) == days
    assert listed(column.slice(2)) == days[2:]
