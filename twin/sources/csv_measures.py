"""Cells that are values of measures: exact decimals of the plant's unit, or a word about why they are none."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from twin.measures.catalogue import declared, numbers, owner
from twin.plant.model import Plant, says_n
from twin.sources.blocks import by_pair
from twin.sources.template import Template, decimals
from twin.wire.measured import problem_of_n, value_of_number

if TYPE_CHECKING:
    from twin.sources.csv_rules import Rows

I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Report = Callable[["Rows", Mask, str, str, "I64 | None"], None]
_NONE, _BLANK, _REFUSED = -(2**63), -(2**63) + 1, -(2**63) + 2  # no value is so small


@dataclass(frozen=True, slots=True)
class Measured:
    values: I64  # in the last decimal place of the measure
    sound: Mask


def measures(rows: "Rows", mask: Mask, name: I64, template: Template, n: I64, plant: Plant, report: Report) -> Measured:
    """The values that rule gives for the rows of `mask`, whose measures are the words `name`; the others are told. `n`:
    units that each is of, -1 not said."""
    words, known, every = rows.words.list, numbers(plant), declared(plant)
    owners = np.where(rows.station >= 0, rows.station, owner(plant, 0, -1) + rows.line)
    number = by_pair(
        np.where(mask, owners, -1), name, lambda of, word: known[of].get(words[word], -1) if min(of, word) >= 0 else -1
    )
    report(rows, mask & (number < 0), "unknown_measure", "measure not declared there", name)
    mask = mask & (number >= 0)
    where = f"value (column {template.column})" if template.column else "value"
    found: list[Fraction | str | None]
    if template.column is None:
        found, index = [Fraction(int(template.constant or 0)) * template.scale], np.zeros(len(rows), np.int64)
        texts = [str(template.constant)]
    else:
        column = rows.columns[template.column]
        found, index, texts = decimals(template, column), column.index.astype(np.int64), column.texts
    told: dict[str, str] = {}

    def value(k: int, text: int) -> int:
        read = found[text]
        if k < 0 or isinstance(read, str):
            return _NONE
        if read is None:
            return _BLANK
        try:
            return value_of_number(every[k].measure, read)
        except ValueError as error:
            told.setdefault(
                "impossible_value", f"{where} {texts[text][:60]!r} of measure {every[k].measure.id} {error}"
            )
            return _REFUSED

    values = by_pair(np.where(mask, number, -1), index, value)
    for reason, why in (
        ("unsure_number", "{} {!r} may be one number or a thousand times as much: declare csv.decimal"),
        ("unreadable_number", "{} {!r} is not a number"),
    ):
        wrong = np.array([one == reason for one in found], bool)
        if wrong.any() and (bad := mask & wrong[index]).any():
            report(rows, bad, reason, why.format(where, texts[index[int(np.argmax(bad))]][:60]), None)
    refused = mask & (values == _REFUSED)
    if refused.any():
        report(rows, refused, "impossible_value", told["impossible_value"], None)
    sound = mask & (values > _REFUSED)
    for k in np.flatnonzero([says_n(one.measure.chart) for one in every]).tolist():
        mine = np.flatnonzero(sound & (number == k))
        faults = [problem_of_n(every[k].measure, value, of) for value, of in zip(values[mine], n[mine], strict=True)]
        wrong = np.zeros(len(rows), bool)
        wrong[mine] = [bool(fault) for fault in faults]
        if wrong.any():
            why = next(fault for fault in faults if fault)
            report(rows, wrong, "impossible_value", f"measure {every[k].measure.id} {why}", None)
            sound &= ~wrong
    return Measured(np.where(sound, values, 0), sound)
