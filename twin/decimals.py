"""Measured values: decimals with a declared number of places, as exact integers of the last of them.

No float on the way: a text is read digit by digit, and a float that a source sends is taken by its shortest text.
"""

import re
from fractions import Fraction
from typing import Any, Final

MAX_DECIMALS: Final = 9
# Of a value in its last decimal place: sums of 90,000 of them stay inside int64, of their squares inside 128 bits.
MAX_SCALED: Final = 10**14
MAX_DIGITS: Final = 64  # characters of one value
_TOO_FINE: Final = "has more than {} decimals: declare more, or `round = true`, in the plant file"
_NUMBER: Final = re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]{1,3}))?", re.ASCII)


def scaled(text: str, decimals: int, *, rounds: bool = False) -> int:
    """`text` (JSON's form of a number) times 10**decimals. `rounds`: further places are rounded, half to even.

    ValueError, with a sentence for people: it is no number, has further places that are not 0, or is too large.
    """
    match = _NUMBER.fullmatch(text) if len(text) <= MAX_DIGITS else None
    if match is None:
        raise ValueError("is not a decimal number such as -12.5")
    sign, whole, fraction, exponent = match.groups()
    digits = int(whole + (fraction or ""))
    shift = decimals - len(fraction or "") + int(exponent or 0)
    if digits and shift > MAX_DIGITS:
        raise ValueError(_too_large(decimals))
    if shift >= 0 or not digits:
        value = digits * 10 ** max(shift, 0) if digits else 0
    else:
        value, rest = divmod(digits, 10**-shift)
        if rest and not rounds:
            raise ValueError(_TOO_FINE.format(decimals))
        half = 2 * rest - 10**-shift
        value += half > 0 or (half == 0 and value % 2)
    if value > MAX_SCALED:
        raise ValueError(_too_large(decimals))
    return -value if sign else value


def fitted(number: Fraction, decimals: int, *, rounds: bool = False) -> int:
    """As `scaled`, of a number that is exact already."""
    exact = number * 10**decimals
    value: int = round(exact)  # half to even
    if value != exact and not rounds:
        raise ValueError(_TOO_FINE.format(decimals))
    if abs(value) > MAX_SCALED:
        raise ValueError(_too_large(decimals))
    return value


def _too_large(decimals: int) -> str:
    return f"is larger than {text_of(MAX_SCALED, decimals)}, the most with {decimals} decimals"


def text_of(value: int, decimals: int) -> str:
    """The one form of a value: all its decimals, no exponent."""
    digits = str(abs(value)).rjust(decimals + 1, "0")
    sign = "-" if value < 0 else ""
    return f"{sign}{digits[:-decimals]}.{digits[-decimals:]}" if decimals else sign + digits


def written(value: Any) -> str | None:
    """What a source wrote, where it is a number or the text of one; None for anything else."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return repr(value)
