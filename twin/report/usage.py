"""What was used in a span, by measure: by what the station was doing, per unit, base load and peak, CO2e and money.

Amounts are sums of rows of the set `measures`, exact. Every ratio is made of such sums here. What needs a reading more
often than there is one is null.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final

from twin.figures.exact import ratio
from twin.report.factors import Factor, Factors
from twin.report.rows import Row, dicts, select
from twin.report.spans import Span

COUNTED: Final = ("defect", "first_pass")  # quantities that are counted, not used
QUARTER_NS: Final = 900 * 10**9
# What the station was doing, of time classes: running, could have run, stood, was not planned to run.
GROUPS: Final[dict[str, tuple[str, ...]]] = {
    "running": ("running",),
    "setup": ("setup",),
    "idle": ("starved", "blocked", "waiting"),
    "stopped": ("minor_stop", "down", "stopped", "maintenance"),
    "off": ("off_shift", "planned_stop", "no_order"),
    "unknown": ("unknown",),
}
_GROUP_OF: Final = {name: group for group, names in GROUPS.items() for name in names}


@dataclass(slots=True)
class Use:
    """One measure of a station (None: of the line) in a span. `amounts`: (start, end] and how much, in order."""

    station: str | None
    measure: str
    quantity: str | None
    unit: str
    by_group: dict[str, Fraction] = field(default_factory=dict)  # nothing of a line, which has no classes
    amounts: list[tuple[int, int, Fraction]] = field(default_factory=list)
    before: int | None = None  # where the last amount before the span ended

    @property
    def total(self) -> Fraction:
        return sum((amount for _, _, amount in self.amounts), Fraction())

    def quarters(self, publish_ns: int) -> dict[int, Fraction]:
        """Amount by the end of each clock quarter hour of which all is known: one was read at its start and its end, to
        one publishing interval. Nothing where quarters do not consist of publishing intervals."""
        if QUARTER_NS % publish_ns:
            return {}
        sums: dict[int, Fraction] = {}
        ends = {self.before} if self.before is not None else set()
        for _, end, amount in self.amounts:
            quarter = -(-end // QUARTER_NS) * QUARTER_NS
            sums[quarter] = sums.get(quarter, Fraction()) + amount
            ends.add(end)
        return {end: amount for end, amount in sums.items() if {end, end - QUARTER_NS} <= ends}

    def by(self, factor: Factor | None, publish_ns: int) -> Fraction | None:
        """The sum of amounts x factor; None where a time has none, or where one amount is of times with several."""
        if factor is None:
            return None
        total, last = Fraction(), self.before
        for start, end, amount in self.amounts:
            if last is None:  # nobody knows since when the amount is: it must not matter
                value = None if factor.at(end) is None else factor.always
            elif start > last:  # farther apart than an interval: it is of all the time since the one before
                value = factor.over(last, end)
            else:  # a change within one publishing interval counts where it is read
                value = factor.at(end)
            if value is None and amount:
                return None
            total, last = total + amount * (value or 0), end
        return total


def uses_of(rows: Iterable[Row], span: Span) -> list[Use]:
    """By station and measure, of rows of `measures`; those before the span say where its first amount begins."""
    found: dict[tuple[str | None, str, str], Use] = {}
    for row in sorted(rows, key=lambda row: (row["end"], row["start"])):
        key = (row["station"], row["measure"], row["unit"])
        if row["quantity"] in COUNTED or (row["amount"] is None and row["least"] is not None):
            continue  # a level, or a property of a part
        use = found.setdefault(key, Use(row["station"], row["measure"], row["quantity"], row["unit"]))
        if row["amount"] is None:
            if use.before is None and not use.amounts:
                use.before = row["end"]  # the first reading of a meter
            continue
        if not within(row, span):
            if row["end"] <= span.start_ns:
                use.before = row["end"]
            continue
        amount = Fraction(row["amount"], 10 ** row["decimals"])
        if use.amounts and use.amounts[-1][:2] == (row["start"], row["end"]):
            amount_before = use.amounts.pop()[2]
            use.amounts.append((row["start"], row["end"], amount_before + amount))
        else:
            use.amounts.append((row["start"], row["end"], amount))
        if row["during"] is not None:
            group = _GROUP_OF[row["during"]]
            use.by_group[group] = use.by_group.get(group, Fraction()) + amount
    return [
        found[key]
        for key in sorted(found, key=lambda key: (key[0] is None, key[0] or "", *key[1:]))
        if found[key].amounts
    ]


def within(row: Row, span: Span) -> bool:
    """A value ends the time it is of: rows of a shift, day or order name it, any others count by their end."""
    if span.kind == "order":
        return bool(row["order"] == span.label)
    if span.kind == "shift":
        return bool(row["shift"] == span.label)
    return bool(span.start_ns < row["end"] <= span.end_ns)


def figures(use: Use, good: int, produced: int, publish_ns: int, factors: Factors | None = None) -> dict[str, Any]:
    """Plain values; exact ratios as Fractions. Names as in docs/figures.md and docs/kpis.md; None: not known.

    `per_produced` is the ISO 22400-2 energy consumption per unit where all of its energy is one measure.
    """
    total, groups = use.total, use.by_group
    quarters = use.quarters(publish_ns).values()
    per_hour = Fraction(3_600 * 10**9, QUARTER_NS)
    made: dict[str, Any] = {
        "station": use.station,
        "measure": use.measure,
        "quantity": use.quantity,
        "unit": use.unit,
        "amount": total,
        **{group: groups.get(group, Fraction()) if use.station is not None else None for group in GROUPS},
        "idle_share": ratio(groups.get("idle", Fraction()), total) if use.station is not None else None,
        "non_value_share": ratio(total - groups.get("running", Fraction()), total) if use.station is not None else None,
        "per_good": ratio(total, good),
        "per_produced": ratio(total, produced),
        "in_not_good": None if not produced else total * (produced - good) / produced,
        "base_load": min((one * per_hour for one in quarters), default=None),
        "peak": max((one * per_hour for one in quarters), default=None),
        "quarters": len(quarters),
    }
    for gives, _ in factors.gives if factors is not None else ():
        assert factors is not None
        value = use.by(factors.of(gives, use.measure, use.quantity, use.unit), publish_ns)
        made[gives] = value
        made[f"{gives}_per_good"] = None if value is None else ratio(value, good)
    return made


def usage(sheet: Any, factors: Factors | None = None) -> list[dict[str, Any]]:
    """Of all measures of a line in the span of a `twin.report.build.Sheet`; counts are those of their station."""
    span, publish_ns = sheet.span, sheet.line.publish_every_ns
    # A day before it: where the first amount of the span begins.
    start = max(span.start_ns - 86_400 * 10**9, 0)
    end = span.end_ns + publish_ns
    table = select(sheet.root, "measures", start, end, line=sheet.line.id, as_of_ns=sheet.as_of_ns)
    found = []
    for use in uses_of(dicts(table), span):
        parts = sheet.figures(use.station)
        found.append(figures(use, parts.good, parts.made, publish_ns, factors))
    return found


def plain(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """With floats, each made of one exact ratio."""
    return [{key: float(value) if isinstance(value, Fraction) else value for key, value in row.items()} for row in rows]


def by_factor(sheet: Any) -> list[dict[str, Any]]:
    """Rows of the report's section: what amounts come to by each factor of the set, which each row names. Null where a
    time has no factor."""
    factors: Factors | None = sheet.factors
    if factors is None:
        return []
    return [
        {
            **{key: row[key] for key in ("station", "measure")},
            "gives": gives,
            "value": row[gives],
            "in_unit": unit,
            "per_good": row[f"{gives}_per_good"],
            "factors": f"{factors.version} ({factors.hash})",
        }
        for row in plain(usage(sheet, factors))
        for gives, unit in factors.gives
    ]


def section(sheet: Any) -> list[dict[str, Any]]:
    """Rows of the report's section."""
    return plain(usage(sheet))
