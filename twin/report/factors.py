"""Factors by which amounts become CO2e, money or coal equivalent: a versioned set of their own, outside of the audit.

Amounts are audited; a factor is somebody's statement about them, and is revised. So figures made with factors are made
when they are read, name the set's version and hash, and are null where the set has no factor.
"""

import hashlib
import tomllib
from bisect import bisect_right
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from twin.report import ReportError
from twin.sources.values import to_number
from twin.time.rfc3339 import parse_rfc3339

_DIGITS: Final = 16
_KEYS: Final = {"gives", "unit", "per", "quantity", "measure", "values", "until"}


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


def load(path: Path | str) -> Factors:
    """Raises ReportError, with the place of the first mistake."""
    path = Path(path)
    try:
        data = path.read_bytes()
        document = tomllib.loads(data.decode())
    except OSError as error:
        raise ReportError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ReportError(f"{path}: is not valid TOML: {error}") from error
    version = document.get("version")
    if not isinstance(version, str) or not version:
        raise ReportError(f'{path}: version: missing; name the set, such as version = "2026-1"')
    tables = document.get("factor")
    if not isinstance(tables, list) or not tables or set(document) != {"version", "factor"}:
        raise ReportError(f"{path}: holds `version` and tables [[factor]], and nothing else")
    every = tuple(_factor(f"{path}: factor[{i}]", one) for i, one in enumerate(tables, 1))
    units: dict[str, str] = {}
    for i, one in enumerate(every, 1):
        if units.setdefault(one.gives, one.unit) != one.unit:
            raise ReportError(f"{path}: factor[{i}].unit: {one.gives} is in {units[one.gives]} elsewhere; use one unit")
        if [(o.gives, o.measure, o.quantity, o.per) for o in every].count(
            (one.gives, one.measure, one.quantity, one.per)
        ) > 1:
            raise ReportError(f"{path}: factor[{i}]: stands twice; put its `values` into one table")
    return Factors(version, hashlib.sha256(data).hexdigest()[:_DIGITS], every)


def _factor(where: str, table: Any) -> Factor:
    if not isinstance(table, dict):
        raise ReportError(f"{where}: must be a table [[factor]]")
    for key in sorted(set(table) - _KEYS):
        raise ReportError(f"{where}.{key}: unknown key")
    texts = {key: table.get(key) for key in ("gives", "unit", "per", "quantity", "measure")}
    for key, value in texts.items():
        if value is None and key in ("quantity", "measure"):
            continue
        if not isinstance(value, str) or not value:
            raise ReportError(f"{where}.{key}: must be a text")
    if (texts["quantity"] is None) == (texts["measure"] is None):
        raise ReportError(f"{where}: names either a `quantity` or a `measure`")
    rows = table.get("values")
    if not isinstance(rows, list) or not rows:
        raise ReportError(f'{where}.values: missing; write [["2026-01-01T00:00:00Z", "0.38"], ...]')
    pairs = []
    for k, row in enumerate(rows, 1):
        if not isinstance(row, list) or len(row) != 2 or not all(isinstance(cell, str) for cell in row):
            raise ReportError(
                f'{where}.values[{k}]: must be an instant and a decimal, such as ["2026-01-01T00:00:00Z", "0.38"]'
            )
        number = to_number(row[1])
        if number is None:
            raise ReportError(f"{where}.values[{k}]: {row[1]!r} is not a decimal such as 0.38")
        pairs.append((_instant(f"{where}.values[{k}]", row[0]), number))
    since = [ts for ts, _ in pairs]
    if since != sorted(set(since)):
        raise ReportError(f"{where}.values: must rise in time, each instant once")
    until = table.get("until")
    if until is not None and not isinstance(until, str):
        raise ReportError(f"{where}.until: must be an instant such as 2027-01-01T00:00:00Z")
    return Factor(
        str(texts["gives"]),
        str(texts["unit"]),
        str(texts["per"]),
        texts["quantity"],
        texts["measure"],
        tuple(since),
        tuple(number for _, number in pairs),
        None if until is None else _instant(f"{where}.until", until),
    )


def _instant(where: str, text: str) -> int:
    try:
        return parse_rfc3339(text)
    except ValueError as error:
        raise ReportError(f"{where}: {text}: {error}") from error
