"""Every run of the tests draws the same examples, whatever else is loaded."""

from hypothesis import given, seed, settings
from hypothesis import strategies as st
from hypothesis.internal.conjecture import providers

from tests.conftest import TIMES


def test_numbers_of_loaded_modules_are_not_drawn() -> None:
    asked: list[int] = []
    kept = providers._get_local_constants

    def counted() -> providers.Constants:
        asked.append(1)
        return kept()

    providers._get_local_constants = counted
    try:

        @settings(max_examples=100, database=None)
        @seed(1)
        @given(st.integers(0, 10**12), st.floats(0, 1))
        def draws(_whole: int, _part: float) -> None:
            pass

        draws()
    finally:
        providers._get_local_constants = kept
    assert asked, "this version of hypothesis takes the numbers of loaded modules from elsewhere: see tests/conftest.py"
    assert TIMES or not len(kept())
