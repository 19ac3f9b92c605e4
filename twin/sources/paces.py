"""Cells that say what a part of a product takes: an ideal cycle, a rate, a factor, as an event declares them."""

from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from twin.events.pace import pace_of
from twin.sources.event_times import length_ns
from twin.sources.template import Column, Template
from twin.sources.time_format import UNITS
from twin.sources.values import PLAIN, Numbers, stands_for_nothing
from twin.time.duration import duration_text
from twin.wire.entries import Said, text_of

if TYPE_CHECKING:
    from twin.sources.csv_rules import Rows, Rules

I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

PACES: Final = ("ideal_cycle", "rate", "factor")
# The key that says what the numbers of a column count: time per part, parts per time.
UNIT_KEY: Final = {"ideal_cycle": "unit", "rate": "per"}


class UnusableError(ValueError):
    """A cell that says nothing of the kind; `reason` is that of the summary."""

    def __init__(self, reason: str, why: str) -> None:
        super().__init__(why)
        self.reason = reason


def say(name: str, text: str, template: Template, numbers: Numbers = PLAIN) -> tuple[str, str] | None:
    """The field of an event, and what it says, for the text of a cell of field `name`; None: nothing. UnusableError.

    A number of `time_unit` becomes an ideal cycle, exact up to the nanosecond that it is rounded to (half to even).
    """
    if template.time_unit is None and name != "factor":
        if stands_for_nothing(text) and text not in (template.lookup or {}):
            return None
        found = template.text(text)
        if found is None:
            raise UnusableError("unknown_field_value", f"{name} has no use for {text[:60]!r}")
        return (name, found) if found else None
    if stands_for_nothing(text):
        return None
    if name == "factor" and "/" in text:
        return name, text
    if name == "ideal_cycle" and ":" in text:
        ns = round(length_ns(text, "s", numbers) * template.scale)
    else:
        number = _number(name, text, numbers) * template.scale
        if template.time_unit is None:
            return name, str(number)
        digits, factor = UNITS[template.time_unit]
        unit_ns = 10**digits * factor
        ns = round(unit_ns / number if name == "rate" else number * unit_ns)
    if ns < 1:
        raise UnusableError("impossible_value", f"{name} {text[:60]!r} is no length of at least 1 ns")
    return "ideal_cycle", duration_text(ns)


def _number(name: str, text: str, numbers: Numbers) -> Fraction:
    readings = numbers.measure(text)
    if len(readings) != 1:
        why = "may be one number or a thousand times as much: declare csv.decimal" if readings else "is not a number"
        raise UnusableError("unsure_number" if readings else "unreadable_number", f"{name} {text[:60]!r} {why}")
    if readings[0] <= 0:
        raise UnusableError("impossible_value", f"{name} {text[:60]!r} is not above 0")
    return readings[0]


def said_of(said: Mapping[str, str]) -> Said | None:
    """What was said, None: nothing. Raises UnusableError."""
    if not said:
        return None
    try:
        cycle, rate, factor = (said.get(name) for name in PACES)
        pace_of(cycle, rate, factor)
    except ValueError as error:
        raise UnusableError("impossible_value", str(error)) from None
    return Said(ideal_cycle=cycle, rate=rate, factor=factor)


def declared(rules: "Rules", rows: "Rows", product: I64, mask: Mask, templates: Mapping[str, Template]) -> I64:
    """Per row of `mask` the word of what is said of its `product` (a word, too); -1: nothing.

    What cannot be used is reported, and so is a value without a product.
    """
    if not templates or not len(rows):
        return np.full(len(rows), -1, np.int64)
    columns = {name: _column(template, rows) for name, template in templates.items()}
    sizes = [len(column.texts) for column in columns.values()]
    keys = np.ravel_multi_index([column.index for column in columns.values()], sizes)
    different, of_row = np.unique(keys, return_inverse=True)
    words = np.full(len(different), -1, np.int64)
    wrong: dict[int, UnusableError] = {}
    for k, cells in enumerate(zip(*np.unravel_index(different, sizes), strict=True)):
        try:
            told = (
                say(name, column.texts[cell], templates[name], column.numbers)
                for (name, column), cell in zip(columns.items(), cells, strict=True)
            )
            said = said_of(dict(one for one in told if one is not None))
        except UnusableError as error:
            wrong[k] = error
            continue
        if said is not None:
            words[k] = rows.words.add(text_of(said))
    for reason in dict.fromkeys(error.reason for error in wrong.values()):
        bad = mask & np.isin(of_row, [k for k, error in wrong.items() if error.reason == reason])
        if bad.any():
            rules.report(rows, bad, reason, str(wrong[int(of_row[int(np.argmax(bad))])]))
    found = words[of_row]
    nameless = mask & (found >= 0) & (product < 0)
    rules.report(rows, nameless, "missing_field", "what is said of a product needs the product")
    return np.where(mask & (product >= 0), found, -1)


def _column(template: Template, rows: "Rows") -> Column:
    if template.column is not None:
        return rows.columns[template.column]
    return Column([str(template.constant)], np.zeros(len(rows), np.int32))
