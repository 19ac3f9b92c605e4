"""Decimals: digit by digit, no float on the way."""

from decimal import ROUND_HALF_EVEN, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.decimals import MAX_SCALED, scaled, text_of


@given(st.integers(-MAX_SCALED, MAX_SCALED), st.integers(0, 9))
def test_round_trip(value: int, decimals: int) -> None:
    text = text_of(value, decimals)
    assert scaled(text, decimals) == value
    assert Decimal(text) == Decimal(value).scaleb(-decimals)
    assert len(text.partition(".")[2]) == decimals


@given(
    st.decimals(-10_000, 10_000, allow_nan=False, allow_infinity=False) | st.floats(-10_000, 10_000).map(repr),
    st.integers(0, 9),
    st.booleans(),
)
def test_as_decimal_does(number: Decimal | str, decimals: int, rounds: bool) -> None:
    text = str(number)
    exact = Decimal(text)
    whole = exact.scaleb(decimals).quantize(Decimal(1), rounding=ROUND_HALF_EVEN)
    if rounds or whole == exact.scaleb(decimals):
        assert scaled(text, decimals, rounds=rounds) == int(whole)
    else:
        with pytest.raises(ValueError, match="has more than"):
            scaled(text, decimals)


@pytest.mark.parametrize(
    "text", ["", ".5", "5.", "1,5", "+1", " 1", "1 ", "1_0", "NaN", "inf", "0x1", "1e", "1e1000", "\u0661", "1" * 65]
)
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(ValueError, match="is not a decimal number"):
        scaled(text, 3)


@pytest.mark.parametrize("text", ["100000000000.001", "1e12", "-1e999", "9" * 60])
def test_too_large(text: str) -> None:
    with pytest.raises(ValueError, match=r"is larger than 100000000000\.000"):
        scaled(text, 3)


def test_an_exponent_of_nothing_is_nothing() -> None:
    assert scaled("0e999", 3) == scaled("-0.0000", 0) == scaled("1e-999", 3, rounds=True) == 0
