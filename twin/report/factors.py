"""Factors by which amounts become CO2e, money or coal equivalent: a versioned set of their own, outside of the audit.

Amounts are audited; a factor is somebody's statement about them, and is revised. So figures made with factors are made
when they are read, name the set's version and hash, and are null where the set has no factor.
"""

import hashlib
import json
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from twin.plant.kinds import Scalar, as_text
from twin.plant.problem import PlantError, Report
from twin.plant.read import Node, read
from twin.plant.shape import Key, List, Table, Tables
from twin.plant.toml_file import parsed, text_of
from twin.report import ReportError
from twin.sources.mapping_kinds import TEXT
from twin.sources.values import to_number
from twin.time.rfc3339 import parse_rfc3339

_DIGITS: Final = 16
_MOST: Final = 100_000


@dataclass(frozen=True, slots=True)
class Factor:
    """What one unit `per` of a quantity (or of one measure) comes to: values by the instant from which each holds."""

    gives: str
    unit: str
    per: str
    quantity: str | None
    measure: str | None
    since: tuple[int, ...]
    values: tuple[Fraction, ...]
    until: int | None

    def at(self, ts: int) -> Fraction | None:
        """The factor of the time just before an instant; None: there is none."""
        if self.until is not None and ts > self.until:
            return None
        place = bisect_right(self.since, ts - 1) - 1
        return self.values[place] if place >= 0 else None

    def over(self, start: int, end: int) -> Fraction | None:
        """The factor of a whole time (start, end]; None: there is none, or several."""
        found = {self.at(start + 1), self.at(end), *(self.at(ts + 1) for ts in self.since if start < ts < end)}
        return found.pop() if len(found) == 1 else None

    @property
    def always(self) -> Fraction | None:
        """The factor of any time; None: it changes, or ends."""
        return self.values[0] if len(self.values) == 1 and self.until is None else None

    def fits(self, measure: str, quantity: str | None, unit: str) -> bool:
        named = measure == self.measure if self.measure is not None else quantity == self.quantity
        return named and unit == self.per


@dataclass(frozen=True, slots=True)
class Factors:
    version: str
    hash: str  # of the file: two sets of one version are told apart
    every: tuple[Factor, ...]

    def of(self, gives: str, measure: str, quantity: str | None, unit: str) -> Factor | None:
        """That of a measure before that of its quantity."""
        fit = [one for one in self.every if one.gives == gives and one.fits(measure, quantity, unit)]
        return min(fit, key=lambda one: one.measure is None, default=None)

    @property
    def gives(self) -> tuple[tuple[str, str], ...]:
        """What the set gives, with its unit."""
        return tuple(dict.fromkeys((one.gives, one.unit) for one in self.every))


def _instant(value: Any) -> int:
    text = as_text(value, _EXAMPLE[0])
    try:
        return parse_rfc3339(text)
    except ValueError as error:
        raise ValueError(f"{text}: {error}; write such as {_EXAMPLE[0]}") from None


def _pair(value: Any) -> tuple[int, Fraction]:
    if not isinstance(value, list) or len(value) != 2 or not all(isinstance(cell, str) for cell in value):
        raise ValueError(f"must be an instant and a decimal, such as {json.dumps(_EXAMPLE)}")
    number = to_number(value[1])
    if number is None:
        raise ValueError(f"{value[1]!r} is not a decimal such as {_EXAMPLE[1]}")
    return _instant(value[0]), number


_EXAMPLE: Final = ["2026-01-01T00:00:00Z", "0.38"]
_FACTOR: Final = Table(
    "A factor",
    (
        Key("gives", TEXT, "What it gives.", required=True),
        Key("unit", TEXT, "The unit of that.", required=True),
        Key("per", TEXT, "The unit of the amount.", required=True),
        Key("quantity", TEXT, "Of all measures of this quantity."),
        Key("measure", TEXT, "Of this measure."),
        Key("values", List(Scalar("instant and decimal", _pair), _MOST), "Each holds until the next.", required=True),
        Key("until", Scalar("instant", _instant), "The end of the last."),
    ),
)
_FACTORS: Final = Table(
    "A set of factors",
    (
        Key("version", TEXT, "Its name.", required=True),
        Key("factor", Tables(_FACTOR, _MOST, unique=False), "The factors.", required=True),
    ),
)


def load(path: Path | str) -> Factors:
    """Raises ReportError, with every mistake and its line."""
    try:
        return _loaded(Path(path))
    except PlantError as error:
        raise ReportError(str(error)) from error


def _loaded(path: Path) -> Factors:
    text = text_of(path, "set of factors")
    document, report = parsed(text, str(path)), Report()
    root = read(_FACTORS, document, (), report)
    for node in root["factor"]:
        if ("quantity" in node.given) == ("measure" in node.given):
            node.problem("", "names either a `quantity` or a `measure`; write one of them")
        since = [pair[0] for pair in node["values"] if pair is not None]
        if since != sorted(set(since)):
            node.problem("values", "must rise in time, each instant once")
    report.raise_if_any(text, document, str(path))
    every = tuple(map(_factor, root["factor"]))
    units: dict[str, str] = {}
    named = Counter((one.gives, one.measure, one.quantity, one.per) for one in every)
    for node, one in zip(root["factor"], every, strict=True):
        if units.setdefault(one.gives, one.unit) != one.unit:
            node.problem("unit", f"{one.gives} is in {units[one.gives]} elsewhere; use one unit")
        if named[one.gives, one.measure, one.quantity, one.per] > 1:
            node.problem("", "stands twice; put its `values` into one table")
    report.raise_if_any(text, document, str(path))
    return Factors(root["version"], hashlib.sha256(path.read_bytes()).hexdigest()[:_DIGITS], every)


def _factor(node: Node) -> Factor:
    since, values = zip(*node["values"], strict=True)
    named = {key: node[key] for key in ("gives", "unit", "per", "quantity", "measure", "until")}
    return Factor(**named, since=since, values=values)
