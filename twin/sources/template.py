"""Where a field of an event comes from, and when a rule holds: the small language of a mapping, evaluated by column.

A column arrives dictionary-encoded. Whatever is asked of it is worked out once per distinct text, in exact arithmetic,
and spread over the rows by index: so nothing here needs a faster, less exact, second way.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twin.sources.blocks import Words
from twin.sources.values import PLAIN, Numbers, stands_for_nothing, without_unit

I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

BAD: Final = -2  # beside -1 (absent): there is a text, but it cannot be used
_INT64: Final = 2**63


@dataclass(frozen=True, slots=True)
class Template:
    """A constant, or a column's text: cut out of it, looked up, or scaled, or put into a format.

    Blank (or looked up as "") means that the field is absent. `format` is text with one `{}`. So is `pattern`, which
    is what the text must look like: `{}` is the part that counts, `*` is anything; a text that does not is absent.
    """

    constant: str | int | None = None
    column: str | None = None
    format: str | None = None
    lookup: Mapping[str, str] | None = None
    default: str | None = None
    scale: Fraction = Fraction(1)
    pattern: str | None = None
    units: Mapping[str, Fraction] | None = None  # of a number: the unit behind it, and what one is worth
    words: Mapping[str, int] | None = None  # of a number: words that stand for one
    time_unit: str | None = None  # of an ideal cycle or a rate: numbers count this; None: texts, as in the plant file

    def text(self, text: str) -> str | None:
        """What a text becomes; None: it is not in the table."""
        if self.pattern is not None and text:
            found = shape(self.pattern).fullmatch(text)
            if found is None:
                return ""
            text = found[1]
        if self.lookup is not None:
            looked_up = self.lookup.get(text, self.default)
            if not looked_up:
                return looked_up
            text = looked_up
        return self.format.replace("{}", text) if self.format and text else text


@cache
def shape(pattern: str) -> re.Pattern[str]:
    """`{}` as a group, `*` as anything, the rest as it stands."""
    parts = re.split(r"(\{\}|\*)", pattern)
    return re.compile("".join({"{}": "(.+?)", "*": ".*"}.get(part, re.escape(part)) for part in parts), re.DOTALL)


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
    like: str | None = None  # `*` is anything
    units: Mapping[str, Fraction] | None = None

    def judge(self, text: str, numbers: Numbers = PLAIN) -> tuple[bool, bool]:
        """Whether the test holds for this text, and whether the text is none it can judge.

        That is one that should be a number and is none, or one that may be two numbers of which only one would do.
        """
        limited = any(limit is not None for limit in (self.above, self.at_least, self.below, self.at_most))
        counted = limited or isinstance(self.equals, Fraction)
        if not counted and not (self.among and any(isinstance(one, Fraction) for one in self.among)):
            return self._holds(text, None), False
        measured = self._measured(text, numbers)
        if not measured:
            return self._holds(text, None), limited and not stands_for_nothing(text)
        verdicts = {self._holds(text, number) for number in measured}
        return verdicts == {True}, len(verdicts) > 1

    def _measured(self, text: str, numbers: Numbers) -> tuple[Fraction, ...]:
        if self.units is None:
            return numbers.measure(text)
        found = without_unit(text, self.units)
        return tuple(number * found[1] for number in numbers.measure(found[0])) if found else ()

    def _holds(self, text: str, number: Fraction | None) -> bool:
        if self.blank is not None and self.blank != stands_for_nothing(text):
            return False
        if self.equals is not None and not _same(self.equals, text, number):
            return False
        if self.among is not None and not any(_same(one, text, number) for one in self.among):
            return False
        if self.like is not None and not shape(self.like).fullmatch(text):
            return False
        if self.above is self.at_least is self.below is self.at_most is None:
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
    numbers: Numbers = PLAIN

    @classmethod
    def of(cls, array: "pa.Array[Any]", numbers: Numbers = PLAIN, blank: frozenset[str] = frozenset()) -> "Column":
        """`blank` are texts that stand for nothing in this file."""
        encoded = array.dictionary_encode()
        texts = [str(text).strip() for text in encoded.dictionary.to_pylist()]
        if blank:
            texts = ["" if text in blank else text for text in texts]
        return cls(texts, encoded.indices.to_numpy(), numbers)

    def rows(self, keep: npt.NDArray[np.intp]) -> "Column":
        return Column(self.texts, self.index[keep], self.numbers)

    def spread(self, of_text: Callable[[str], int]) -> I64:
        return np.array([of_text(text) for text in self.texts], np.int64)[self.index]


Columns = Mapping[str, Column]


@dataclass(slots=True)
class Whole:
    """A field's whole numbers: per row the value, where there is one, and where a text is none.

    `unsure` are those of `bad` that may be two numbers.
    """

    values: I64
    present: Mask
    bad: Mask
    unsure: Mask


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


def whole_numbers(template: Template, columns: Columns, n: int) -> Whole:
    """Per row the field's whole number (after scaling)."""
    if template.column is None:
        nothing = np.zeros(n, bool)
        return Whole(np.full(n, template.constant, np.int64), np.ones(n, bool), nothing, nothing)
    column = columns[template.column]
    values, states = [], []
    plain = template.scale == 1 and template.units is None and template.words is None
    for text in column.texts:
        if plain and len(text) < 19 and text.isascii() and text.isdigit():
            values.append(int(text))  # what nearly every counter shows; the rest below is ten times slower
            states.append(_PRESENT)
            continue
        value, state = _whole(text, template, column.numbers)
        values.append(value)
        states.append(state)
    of_row = np.array(states, np.int8)[column.index]
    return Whole(np.array(values, np.int64)[column.index], of_row == _PRESENT, of_row >= _UNUSABLE, of_row == _UNSURE)


def decimals(template: Template, column: Column) -> list[Fraction | str | None]:
    """Of each text of a column the decimal that it is (after scaling), exactly; None: blank; else why it is none."""
    return [_decimal(text, template, column.numbers) for text in column.texts]


def _decimal(text: str, template: Template, numbers: Numbers) -> Fraction | str | None:
    if template.words is not None and text in template.words:
        return Fraction(template.words[text])
    if stands_for_nothing(text):
        return None
    scale = template.scale
    if template.units is not None:
        found = without_unit(text, template.units)
        if found is None:
            return "unreadable_number"
        text, scale = found[0], scale * found[1]
    # As in a comparison, and unlike in a count, an exponent is a number: meters and scales write them.
    readings = numbers.measure(text)
    if len(readings) != 1:
        return "unsure_number" if readings else "unreadable_number"
    return readings[0] * scale


_BLANK, _PRESENT, _UNUSABLE, _UNSURE = range(4)


def _whole(text: str, template: Template, numbers: Numbers) -> tuple[int, int]:
    """A text's whole number, and which of the four it is."""
    if template.words is not None and text in template.words:
        return template.words[text], _PRESENT
    if stands_for_nothing(text):
        return 0, _BLANK
    scale = template.scale
    if template.units is not None:
        found = without_unit(text, template.units)
        if found is None:
            return 0, _UNUSABLE
        text, scale = found[0], scale * found[1]
    if numbers.unsure(text):
        return 0, _UNSURE
    number = numbers.read(text)
    scaled = number * scale if number is not None else Fraction(0)
    usable = number is not None and scaled.denominator == 1 and -_INT64 <= scaled < _INT64
    return (int(scaled), _PRESENT) if usable else (0, _UNUSABLE)


def judged(condition: Condition, columns: Columns) -> tuple[Mask, Mask]:
    """The rows for which a condition holds, and those whose text it cannot judge."""
    column = columns[condition.column]
    verdicts = np.array([condition.judge(text, column.numbers) for text in column.texts], bool).reshape(-1, 2)
    return verdicts[column.index, 0], verdicts[column.index, 1]


def _same(wanted: str | Fraction, text: str, number: Fraction | None) -> bool:
    return number == wanted if isinstance(wanted, Fraction) else text == wanted
