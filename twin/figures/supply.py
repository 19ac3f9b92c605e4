"""Material and stock: reorder points, EOQ, newsvendor, days of supply, stock-out, traceability, starvation, turns.

Sources: Heizer and Render, Operations Management; Snyder and Shen, Fundamentals of Supply Chain Theory. Usable stock is
on hand less blocked and reserved. Demand and lead time have one unit of time (working or calendar days).
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from twin.figures.exact import (
    Number,
    Span,
    exact,
    exacts,
    length,
    not_negative,
    positive,
    ratio,
    root,
    spans,
    union,
    without,
)
from twin.figures.exact import common as in_both
from twin.figures.special import normal_pdf, normal_ppf


def service_z(service: Number) -> float:
    """z of a cycle service level: 1.644854 for 0.95 (books round to 1.65)."""
    level = exact(service)
    if not 0 < level < 1:
        raise ValueError(f"the service level is {service}: expected a share between 0 and 1")
    return -normal_ppf(float(1 - level))


@dataclass(frozen=True, slots=True)
class Reorder:
    z: float
    variance: Fraction  # of the demand in the lead time
    safety_stock: float
    reorder_point: float


def reorder(mean_lead_demand: Number, variance: Number, service: Number) -> Reorder:
    """ROP = mean demand in the lead time + z times its deviation."""
    spread, z = not_negative(variance, "the variance"), service_z(service)
    stock = z * math.sqrt(spread)
    return Reorder(z, spread, stock, float(exact(mean_lead_demand)) + stock)


def reorder_varying(demand: Number, sd_demand: Number, lead: Number, sd_lead: Number, service: Number) -> Reorder:
    """ROP = d L + z sqrt(L sd^2 + d^2 sL^2): demand per period and lead time vary independently."""
    d, time = not_negative(demand, "demand"), not_negative(lead, "the lead time")
    variance = time * not_negative(sd_demand, "sd of demand") ** 2 + d * d * not_negative(sd_lead, "sd of lead") ** 2
    return reorder(d * time, variance, service)


@dataclass(frozen=True, slots=True)
class OrderQuantity:
    eoq: Fraction | float
    orders_per_year: Fraction | float | None
    days_between: Fraction | float | None
    total_cost: Fraction | float  # of ordering and holding


def eoq(demand: Number, order_cost: Number, holding: Number, working_days: Number = 365) -> OrderQuantity:
    """sqrt(2 D S / H), per year."""
    d, s, h = (
        not_negative(demand, "demand"),
        not_negative(order_cost, "the order cost"),
        positive(holding, "holding cost"),
    )
    quantity = root(2 * d * s / h)
    orders = d / quantity if quantity else None
    return OrderQuantity(quantity, orders, exact(working_days) / orders if orders else None, root(2 * d * s * h))


@dataclass(frozen=True, slots=True)
class Newsvendor:
    base_stock: float
    expected_cost: float


def newsvendor(holding: Number, stock_out: Number, mean: Number, sd: Number) -> Newsvendor:
    """Normal demand: S = mean + z sd with z at p / (p + h); cost (h + p) sd phi(z)."""
    h, p = positive(holding, "the holding cost"), positive(stock_out, "the stock-out cost")
    spread, z = float(not_negative(sd, "sd")), -normal_ppf(float(h / (p + h)))
    return Newsvendor(float(exact(mean)) + z * spread, float(h + p) * spread * normal_pdf(z))


@dataclass(frozen=True, slots=True)
class Cover:
    """Against the plan still to come. Without any demand nothing runs out: None, not 0."""

    usable: Fraction
    full_days_covered: int | None  # calendar days: those without demand count; all of the plan at most
    working_days_covered: int | None
    days_by_mean_demand: Fraction | None
    stock_after_each_day: list[Fraction]
    stock_out_day_index: int | None


def days_of_supply(
    stock: Number, daily_plan: Sequence[Number], blocked: Number = 0, reserved: Number = 0, unit_factor: Number = 1
) -> Cover:
    """`unit_factor` converts the stock's unit into the plan's."""
    plan = [not_negative(one, "the plan of a day") for one in daily_plan]
    usable = (exact(stock) - exact(blocked) - exact(reserved)) * positive(unit_factor, "the unit factor")
    left, after = usable, []
    for need in plan:
        left -= need
        after.append(left)
    total = sum(plan, Fraction())
    out = next((i for i, one in enumerate(after) if one < 0), None)
    covered = plan[:out]
    return Cover(
        usable,
        len(covered) if total else None,
        sum(need > 0 for need in covered) if total else None,
        ratio(usable * len(plan), total),
        after,
        out,
    )


@dataclass(frozen=True, slots=True)
class Projection:
    stock_out: Fraction | None  # when the first shortage begins
    shortage: Fraction  # time without stock while it is wanted
    stock_end: Fraction


def project_stock(
    stock: Number, rate: Sequence[tuple[Number, Number]], receipts: Sequence[tuple[Number, Number]], horizon: Number
) -> Projection:
    """Consumption (from, per time unit) against receipts (time, amount). What is missed is not made up.

    ValueError for a negative rate or receipt.
    """
    end, left = not_negative(horizon, "the horizon"), not_negative(stock, "the stock")
    speeds = sorted((exact(t), not_negative(speed, "a rate")) for t, speed in rate)
    arriving = sorted((exact(t), not_negative(amount, "a receipt")) for t, amount in receipts)
    times = sorted({Fraction(), end, *(t for t, _ in [*speeds, *arriving] if 0 < t < end)})
    out: Fraction | None = None
    shortage = Fraction()
    for t, after in itertools.pairwise(times):
        left += sum((amount for at, amount in arriving if at == t or (t == 0 and at < 0)), Fraction())
        speed = next((speed for at, speed in reversed(speeds) if at <= t), Fraction())
        need = speed * (after - t)
        if need > left:
            empty = t + left / speed
            out = empty if out is None else out
            shortage += after - empty
        left = max(Fraction(), left - need)
    left += sum((amount for at, amount in arriving if at == end and end > 0), Fraction())
    return Projection(out, shortage, left)


@dataclass(frozen=True, slots=True)
class Trace:
    """Which lots each consumer took, first in first out: two around a change of lot. None is what no load explains."""

    by_serial: dict[str, dict[str | None, Fraction]]
    remaining: dict[str, Fraction]

    def contains(self, lot: str) -> list[str]:
        return [serial for serial, lots in self.by_serial.items() if lot in lots]


def trace_lots(loads: Sequence[tuple[Number, str, Number]], takes: Sequence[tuple[Number, str, Number]]) -> Trace:
    """Loads (time, lot, amount) of a bin and takes (time, serial, amount), in order of time; a load goes before a take.

    A late take reassigns everything behind it: trace again.
    """
    events = [(exact(t), 0, i, lot, not_negative(q, "a load")) for i, (t, lot, q) in enumerate(loads)]
    events += [(exact(t), 1, i, serial, not_negative(q, "a take")) for i, (t, serial, q) in enumerate(takes)]
    stock: list[tuple[str, Fraction]] = []
    found = Trace({}, {})
    for _, kind, _, name, amount in sorted(events):
        if kind == 0:
            stock.append((name, amount))
            continue
        lots = found.by_serial.setdefault(name, {})
        left = amount
        while left > 0:
            lot: str | None = stock[0][0] if stock else None
            taken = min(left, stock[0][1]) if stock else left
            if taken:
                lots[lot] = lots.get(lot, Fraction()) + taken
            left -= taken
            if stock:
                rest = stock[0][1] - taken
                stock[:1] = [(stock[0][0], rest)] if rest else []
    for lot_name, rest in stock:
        if rest:
            found.remaining[lot_name] = found.remaining.get(lot_name, Fraction()) + rest
    return found


def starvation_causes(
    starved: Sequence[Sequence[Number]],
    material_empty: Mapping[str, Sequence[Sequence[Number]]],
    upstream_empty: Sequence[Sequence[Number]],
) -> tuple[dict[str, Fraction], Fraction]:
    """Starved time by cause, and all of it: missing material first (in the order given), then upstream, then neither.

    Material that is empty while the station still runs is no loss.
    """
    left = union(spans(starved))
    total = length(left)
    causes: list[tuple[str, list[Span]]] = [(f"material:{name}", spans(of)) for name, of in material_empty.items()]
    causes.append(("upstream", spans(upstream_empty)))
    found = {}
    for name, when in causes:
        found[name] = length(in_both(left, when))
        left = without(left, when)
    return {**found, "unexplained": length(left)}, total


def inventory_turns(throughput: Number, inventory: Sequence[Number]) -> Fraction | None:
    """Throughput / mean inventory, in one period. None without inventory."""
    return ratio(throughput, sum(exacts(inventory), Fraction()))
