"""Values in one buffer are the values they were made of, and slices of them too."""

from hypothesis import given
from hypothesis import strategies as st

from twin.wire.values import Values


@given(st.lists(st.binary(max_size=12), max_size=8), st.integers(0, 8), st.integers(0, 8))
def test_values(given: list[bytes], first: int, last: int) -> None:
    values = Values.of(given)
    assert (list(values), values.sizes.tolist()) == (given, list(map(len, given)))
    assert [values[i] for i in range(len(values))] == given
    some = values[first:last]
    assert list(some) == given[first:last]
    assert not some.data[some.ends].any()  # a NUL behind each
