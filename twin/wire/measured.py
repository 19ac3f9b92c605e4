"""Values of measure events: from what a source wrote to integers of the last declared decimal, and back.

One rule for all readers: each hands over the text of a value, and what it means follows from the plant.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from kernels.codes import MEASURE, NONE
from twin.decimals import fitted, scaled, text_of
from twin.events.block import EventBlock
from twin.measures.catalogue import PASSED_AT_ONCE, declared, numbers, owner
from twin.plant.model import Measure, Plant, says_n
from twin.wire.lookup import I32, I64, Lookup, by_pair

_BAD: Final = -(1 << 63)


def value_of(measure: Measure, text: str) -> int:
    """In the last decimal place. ValueError, with a sentence for people: it is no value of the measure."""
    return _possible(measure, scaled(text, measure.decimals, rounds=bool(measure.rounds)))


def value_of_number(measure: Measure, number: Fraction) -> int:
    """As `value_of`, of a number that is exact already."""
    return _possible(measure, fitted(number, measure.decimals, rounds=bool(measure.rounds)))


def _possible(measure: Measure, value: int) -> int:
    if measure.kind == "integral":
        raise ValueError(f"cannot be sent: it is made of the gauge {measure.of}")
    if measure.kind == PASSED_AT_ONCE:
        raise ValueError("cannot be sent: it is made of counts that name a `unit`")
    if measure.kind == "meter":
        if value < 0:
            raise ValueError("is below 0, and a meter is not")
        if measure.modulus is not None and value >= measure.modulus:
            raise ValueError(f"is not below {text_of(measure.modulus, measure.decimals)}, where the meter wraps")
    return value


def fill(filled: dict[str, npt.NDArray[Any]], line: I32, station: I32, lookup: Lookup, texts: Sequence[str]) -> Any:
    """Put the values of measure events where their texts' numbers are (column `a`). Returns which are sound."""
    plant = lookup.plant
    number = by_pair(_owners(plant, line, station), filled["y"].astype(np.int32), _number_of(plant, texts))
    all_measures = declared(plant)

    def get(k: int, word: int) -> int:
        if k < 0 or word < 0:
            return _BAD
        try:
            return value_of(all_measures[k].measure, texts[word])
        except ValueError:
            return _BAD

    values = by_pair(number.astype(np.int32), np.maximum(filled["a"], NONE).astype(np.int32), get)
    filled["a"] = values
    sound = values != _BAD
    if any(says_n(one.measure.chart) for one in all_measures):
        for k in np.flatnonzero(sound).tolist():
            measure = all_measures[int(number[k])].measure
            sound[k] = not problem_of_n(measure, int(values[k]), int(filled["b"][k]))
    return sound


def problem_of_n(measure: Measure, value: int, n: int) -> str:
    """What is wrong with the units that a value is of (-1: not said), for people."""
    if not says_n(measure.chart):
        return ""
    if n < 1:
        return "has a chart of shares: n, the units that were looked at, is at least 1"
    if measure.chart is not None and measure.chart.type == "p" and not 0 <= value <= n:
        return f"are defective units, and {value} of {n} there cannot be"
    return ""


def texts_of(block: EventBlock, rows: I64, plant: Plant) -> list[str]:
    """The values of these events, all of them measures, with all their decimals."""
    number = by_pair(
        _owners(plant, block.line[rows], block.station[rows]), block.y[rows], _number_of(plant, block.words)
    )
    all_measures = declared(plant)
    places = [all_measures[k].measure.decimals for k in number.tolist()]
    return [text_of(value, decimals) for value, decimals in zip(block.a[rows].tolist(), places, strict=True)]


def has_measures(block: EventBlock) -> bool:
    return bool((block.type == MEASURE).any())


def _owners(plant: Plant, line: I32, station: I32) -> I32:
    """Places in `twin.measures.catalogue.numbers`; -1 where the line is not known."""
    of_line = np.where(line >= 0, owner(plant, 0, -1) + line, NONE)
    return np.where(station >= 0, station, of_line).astype(np.int32)


def _number_of(plant: Plant, texts: Sequence[str]) -> Any:
    tables = numbers(plant)

    def get(owned_by: int, word: int) -> int:
        return tables[owned_by].get(texts[word], NONE) if owned_by >= 0 and word >= 0 else NONE

    return get
