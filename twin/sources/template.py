"""Where a field of an event comes from, and when a rule holds: the small language of a mapping, evaluated by column.

A column arrives dictionary-encoded. Whatever is asked of it is worked out once per distinct text, in exact arithmetic,
and spread over the rows by index: so nothing here needs a faster, less exact, second way.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twin.sources.blocks import Words

I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

BAD: Final = -2  # beside -1 (absent): there is a text, but it cannot be used
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)", re.ASCII)
_INT64: Final = 2**63


@dataclass(frozen=True, slots=True)
class Template:
    """A constant, or a column's text: looked up, or scaled, or put into a format.

    Blank (or looked up as "") means that the field is absent. `format` is text with one `{}`.
    """

    constant: str | int | None = None
    column: str | None = None
    format: str | None = None
    lookup: Mapping[str, str] | None = None
    default: str | None = None
    scale: Fraction = Fraction(1)

    def text(self, text: str) -> str | None:
        """What a text becomes; None: it is not in the table."""
        if self.lookup is not None:
            found = self.lookup.get(text, self.default)
            if not found:
                return found
            text = found
        return self.format.replace("{}", text) if self.format and text else text


@dataclass(frozen=True, slots=True)
class Condition:
    """A test on one column. All that are given must hold."""

    column: str
    equals: str | Fraction | None = None
    among: tuple[str | Fraction, ...] | None = None
    blank: bool | None = None
    above: Fraction | None = None
    at_least: Fraction | None = None
    below: Fraction | None = None
    at_most: Fraction | None = None

    @property
    def numeric(self) -> bool:
        """Whether a text that is no number is a mistake here rather than merely unequal."""
        return any(limit is not None for limit in (self.above, self.at_least, self.below, self.at_most))

    def holds(self, text: str) -> bool:
        if self.blank is not None and self.blank != (not text):
            return False
        number = to_number(text)
        if self.equals is not None and not _same(self.equals, text, number):
            return False
        if self.among is not None and not any(_same(one, text, number) for one in self.among):
            return False
        if not self.numeric:
            return True
        return (
            number is not None
            and (self.above is None or number > self.above)
            and (self.at_least is None or number >= self.at_least)
            and (self.below is None or number < self.below)
            and (self.at_most is None or number <= self.at_most)
        )


@dataclass(slots=True)
class Column:
    """A column's distinct texts (without the space around them) and, per row, which one it holds."""

    texts: list[str]
    index: npt.NDArray[np.int32]

    @classmethod
    def of(cls, array: "pa.Array[Any]") -> "Column":
        encoded = array.dictionary_encode()
        return cls([str(text).strip() for text in encoded.dictionary.to_pylist()], encoded.indices.to_numpy())

    def rows(self, keep: npt.NDArray[np.intp]) -> "Column":
        return Column(self.texts, self.index[keep])

    def spread(self, of_text: Callable[[str], int]) -> I64:
        return np.array([of_text(text) for text in self.texts], np.int64)[self.index]


Columns = Mapping[str, Column]


def words_of(template: Template | None, columns: Columns, n: int, words: Words) -> I64:
    """Per row the number of the field's text in `words`; -1 absent, BAD not in the table."""
    if template is None:
        return np.full(n, -1, np.int64)
    if template.column is None:
        return np.full(n, words.add(str(template.constant)), np.int64)

    def number(text: str) -> int:
        word = template.text(text)
        return BAD if word is None else words.add(word) if word else -1

    return columns[template.column].spread(number)


def numbers_of(template: Template, columns: Columns, n: int) -> tuple[I64, Mask, Mask]:
    """Per row the field's whole number, where there is one, and where a text is none (after scaling)."""
    if template.column is None:
        return np.full(n, template.constant, np.int64), np.ones(n, bool), np.zeros(n, bool)
    column = columns[template.column]
    values, present, bad = [], [], []
    plain = template.scale == 1
    for text in column.texts:
        if plain and len(text) < 19 and text.isascii() and text.isdigit():
            values.append(int(text))  # what nearly every counter shows; the rest below is ten times slower
            present.append(True)
            bad.append(False)
            continue
        number = to_number(text)
        scaled = number * template.scale if number is not None else Fraction(0)
        usable = number is not None and scaled.denominator == 1 and -_INT64 <= scaled < _INT64
        values.append(int(scaled) if usable else 0)
        present.append(usable)
        bad.append(not usable and text != "")
    return (
        np.array(values, np.int64)[column.index],
        np.array(present, bool)[column.index],
        np.array(bad, bool)[column.index],
    )


def matches(conditions: tuple[Condition, ...], columns: Columns, n: int) -> Mask:
    """The rows for which every condition holds."""
    mask = np.ones(n, bool)
    for condition in conditions:
        mask &= columns[condition.column].spread(condition.holds).astype(bool)
    return mask


def unreadable(condition: Condition, columns: Columns) -> Mask:
    """The rows whose text should be compared as a number and is none."""
    column = columns[condition.column]
    if not condition.numeric:
        return np.zeros(len(column.index), bool)
    return column.spread(lambda text: text != "" and to_number(text) is None).astype(bool)


def to_number(text: str) -> Fraction | None:
    return Fraction(text) if _NUMBER.fullmatch(text) and len(text) <= 40 else None


def _same(wanted: str | Fraction, text: str, number: Fraction | None) -> bool:
    return number == wanted if isinstance(wanted, Fraction) else text == wanted
