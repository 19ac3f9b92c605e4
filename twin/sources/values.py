"""How the cells of a file write numbers: decimal mark, thousands, units, and what stands for nothing.

A text that could be two numbers is none. Without a declared decimal mark `1.000` may be one or a thousand; whoever
reads it asks `unsure` first.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

# What historians and spreadsheets write where there is no number.
NO_VALUE: Final = frozenset({"-", "--", "---", "\u2013", "\u2014", "?"}) | frozenset(
    {"n/a", "#n/a", "na", "null", "none", "nan", "nil", "no data", "bad", "#value!", "#ref!", "#div/0!", "#name?"}
)
_HASHES: Final = re.compile(r"#{2,}")
_PLAIN: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)", re.ASCII)
_EXPONENT: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)[eE][+-]?\d{1,3}", re.ASCII)
# A group of three behind a number that may begin one: 1.000, but neither 0.500 nor 1.00.
_EITHER: Final = re.compile(r"[+-]?[1-9]\d{0,2}\.\d{3}", re.ASCII)
_SPACES: Final = "\u00a0\u2009\u202f "
_MOST: Final = 40  # digits; longer is no count


def stands_for_nothing(text: str) -> bool:
    """Whether a cell says that there is no number: empty, N/A, -, #### (a column too narrow), ..."""
    return not text or text.lower() in NO_VALUE or bool(_HASHES.fullmatch(text))


def to_number(text: str) -> Fraction | None:
    """A plain decimal number with a point, exactly."""
    return Fraction(text) if _PLAIN.fullmatch(text) and len(text) <= _MOST else None


@dataclass(frozen=True, slots=True)
class Numbers:
    """The number format of a file. `decimal` "" is a point that nobody declared."""

    decimal: str = ""
    thousands: str = ""
    _grouped: re.Pattern[str] | None = field(default=None, init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.thousands and self.thousands in ".," and not self.decimal:
            object.__setattr__(self, "decimal", "," if self.thousands == "." else ".")
        if self.thousands:
            mark = f"[{_SPACES}]" if self.thousands in _SPACES else re.escape(self.thousands)
            if self.thousands in "'\u2019":
                mark = "['\u2019]"
            rest = rf"(?:{re.escape(self.decimal or '.')}\d*)?"
            form = re.compile(rf"[+-]?\d{{1,3}}(?:({mark})\d{{3}})(?:\1\d{{3}})*{rest}", re.ASCII)
            object.__setattr__(self, "_grouped", form)

    def read(self, text: str) -> Fraction | None:
        """The number a text is, exactly; None where it is none."""
        number = to_number(text) if not self.decimal or self.decimal == "." else None
        if number is not None:
            return number
        text = text.replace("\u2212", "-")
        if text.endswith("-") and text[:1].isdigit():
            text = "-" + text[:-1].rstrip()  # as SAP writes what is below zero
        if self._grouped is not None and self._grouped.fullmatch(text):
            marks = (
                _SPACES if self.thousands in _SPACES else "'\u2019" if self.thousands in "'\u2019" else self.thousands
            )
            text = "".join(c for c in text if c not in marks)
        if self.decimal == ",":
            if "." in text:
                return None
            text = text.replace(",", ".")
        return to_number(text)

    def unsure(self, text: str) -> bool:
        """Whether a text may be another number as well: nobody has said what its point is."""
        return not self.decimal and not self.thousands and bool(_EITHER.fullmatch(text))

    def measure(self, text: str) -> tuple[Fraction, ...]:
        """The numbers a text may be, for a comparison: none, one, or two where its point is not declared.

        Here an exponent is a number, too (`1.2e-05`); in a count it has lost digits.
        """
        number = self.read(text)
        if number is None:
            plain = text.replace(",", ".") if self.decimal == "," else text
            return (Fraction(plain),) if _EXPONENT.fullmatch(plain) and len(plain) <= _MOST else ()
        return (number, Fraction(text.replace(".", ""))) if self.unsure(text) else (number,)


PLAIN: Final = Numbers()


def without_unit(text: str, units: Mapping[str, Fraction]) -> tuple[str, Fraction] | None:
    """The text before its unit, and what one of it is worth; None: a unit that nobody declared."""
    for unit in sorted(units, key=len, reverse=True):
        if unit and text.endswith(unit):
            return text[: -len(unit)].rstrip(_SPACES), units[unit]
    worth = units.get("")
    return None if worth is None else (text, worth)
