"""Continuous processes: data reconciliation, mass balance, totalisers, performance by product, run lengths, giveaway.

Sources: Narasimhan and Jordache, Data Reconciliation and Gross Error Detection; VDI 2048. Amounts in the unit given,
times in seconds, all exact but for roots.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from twin.figures.exact import Number, exact, exacts, mean, not_negative, optional, positive, ratio
from twin.figures.linear import multiply, solve, transpose
from twin.figures.special import chi2_ppf
from twin.figures.usage import increment


@dataclass(frozen=True, slots=True)
class Reconciled:
    """Values that close every balance exactly; the better meter moves less."""

    reconciled: list[Fraction]
    sd_after: list[float]
    residuals: list[Fraction]  # A y, before
    global_test: Fraction  # r' (A V A')^-1 r
    dof: int
    chi2_critical: float
    gross_error: bool  # the test is above the critical value
    node_test_z: list[float | None]  # residual / its deviation


def reconcile(
    measured: Sequence[Number], sd: Sequence[Number], balances: Sequence[Sequence[Number]], confidence: Number = "0.95"
) -> Reconciled:
    """x = y - V A' (A V A')^-1 A y: least weighted squares with A x = 0; V has the squares of `sd`.

    ValueError where balances depend on each other, or where nothing can move because its meters have no deviation.
    """
    y, deviations = exacts(measured), [not_negative(one, "a deviation") for one in sd]
    a = [exacts(row) for row in balances]
    if len(y) != len(deviations) or any(len(row) != len(y) for row in a) or not a:
        raise ValueError(f"{len(y)} measured values, {len(deviations)} deviations, balances of {len(a[0]) if a else 0}")
    va = [[s * s * row[i] for row in a] for i, s in enumerate(deviations)]
    covariance = multiply(a, va)
    residuals = [sum((one * value for one, value in zip(row, y, strict=True)), Fraction()) for row in a]
    weights = solve(covariance, [[one] for one in residuals])
    moved = [row[0] for row in multiply(va, weights)]
    gain = multiply(va, solve(covariance, transpose(va)))
    test = sum((r * w[0] for r, w in zip(residuals, weights, strict=True)), Fraction())
    critical = chi2_ppf(float(exact(confidence)), len(a))
    return Reconciled(
        [value - step for value, step in zip(y, moved, strict=True)],
        [math.sqrt(max(Fraction(), s * s - gain[i][i])) for i, s in enumerate(deviations)],
        residuals,
        test,
        len(a),
        critical,
        float(test) > critical,
        [float(r) / math.sqrt(covariance[i][i]) if covariance[i][i] else None for i, r in enumerate(residuals)],
    )


@dataclass(frozen=True, slots=True)
class Balance:
    """in - product - waste - change of inventory, and the shares of the input, which sum to 1."""

    residual: Fraction
    residual_sd: float | None
    z: float | None
    signal_3s: bool | None
    integrated_goods_ratio: Fraction | None
    loss_ratio: Fraction | None
    unexplained_ratio: Fraction | None
    inventory_ratio: Fraction | None


def mass_balance(
    inflow: Number,
    product: Number,
    waste: Number,
    inventory_start: Number,
    inventory_end: Number,
    sd: Sequence[Number] | None = None,
) -> Balance:
    """`sd` are the deviations of the five amounts. Without the inventory every fill or drain looks like a loss."""
    fed, made, lost = exact(inflow), exact(product), exact(waste)
    stored = exact(inventory_end) - exact(inventory_start)
    rest = fed - made - lost - stored
    spread = None if sd is None else math.sqrt(sum((exact(one) ** 2 for one in sd), Fraction()))
    z = float(rest) / spread if spread else None
    return Balance(
        rest,
        spread,
        z,
        None if z is None else abs(z) > 3,
        ratio(made, fed),
        ratio(lost, fed),
        ratio(rest, fed),
        ratio(stored, fed),
    )


@dataclass(frozen=True, slots=True)
class Totalised:
    increments: list[Fraction | None]  # in the unit of conversion
    suspect: list[int]

    @property
    def known(self) -> Fraction:
        return sum((one for one in self.increments if one is not None), Fraction())


def totalise(
    readings: Sequence[tuple[str, str, Number | None]], factors: Mapping[str, Number], modulus: Number | None = None
) -> Totalised:
    """A flow totaliser (epoch, unit, total): a new epoch begins at 0, a step back is a rollover or an error.

    `factors` convert units. Another unit in the same epoch makes the step meaningless: suspect, not converted; later
    readings count from it. See `usage.meter` for steps back.
    """
    wrap = None if modulus is None else positive(modulus, "the modulus")
    found = Totalised([], [])
    last: tuple[str, str] | None = None
    base: Fraction | None = None
    held: Fraction | None = None
    for i, (epoch, unit, value) in enumerate(readings):
        total = optional(value)
        if unit not in factors:
            raise ValueError(f"reading {i} is in {unit!r}: no factor for it")
        step: Fraction | None = None
        if total is not None:
            if last is not None and epoch != last[0]:
                step, base, held = total, total, None
            elif last is not None and unit != last[1]:
                found.suspect.append(i)
                base, held = total, None
            elif base is None:
                base = total
            elif (step := increment(total, (base, held), wrap)) is not None:
                base, held = total, None
            else:
                held = total
                found.suspect.append(i)
            last = (epoch, unit)
        if i:
            found.increments.append(None if step is None else step * exact(factors[unit]))
    return found


@dataclass(frozen=True, slots=True)
class Performance:
    made: dict[str, Fraction]
    run_s: dict[str, Fraction]
    performance: dict[str, Fraction | None]  # made / (rated x run time); None without run time
    performance_all: Fraction | None  # by standard time: sum(made / rated) / run time, not by mass
    availability: Fraction | None


RUN_STATES = frozenset({"running", "reduced"})


def rate_performance(
    segments: Sequence[tuple[str, Number, str, Number]],
    rated: Mapping[str, Number],
    run_states: frozenset[str] = RUN_STATES,
) -> Performance:
    """Segments (product, seconds, state, amount per second) against each product's rated amount per second."""
    made: dict[str, Fraction] = {}
    run: dict[str, Fraction] = {}
    total = Fraction()
    for product, seconds, state, rate in segments:
        if product not in rated:
            raise ValueError(f"no rated speed of {product}")
        span = not_negative(seconds, "seconds")
        total += span
        made[product] = made.get(product, Fraction()) + span * exact(rate)
        run[product] = run.get(product, Fraction()) + (span if state in run_states else 0)
    speeds = {product: positive(rated[product], f"the rated speed of {product}") for product in made}
    running = sum(run.values(), Fraction())
    return Performance(
        made,
        run,
        {product: ratio(made[product], speeds[product] * run[product]) for product in made},
        ratio(sum((made[product] / speeds[product] for product in made), Fraction()), running),
        ratio(running, total),
    )


@dataclass(frozen=True, slots=True)
class Runs:
    runs_s: list[Fraction]  # completed
    open_run_s: Fraction | None  # the last one, still on at the end: right-censored
    mean_completed_s: Fraction | None
    stops_counted: int
    stops_ignored: int

    @property
    def censored(self) -> bool:
        return self.open_run_s is not None


def run_lengths(states: Sequence[tuple[Number, str]], min_stop_s: Number = 0) -> Runs:
    """Runs between stops. States `run`, `stop`, `end`; any other (a grade change) ends a run at its start.

    A stop shorter than `min_stop_s` does not end a run, its time stays in it.
    """
    least = not_negative(min_stop_s, "the least stop")
    timed = [(exact(t), state) for t, state in states]
    if any(after < before for (before, _), (after, _) in itertools.pairwise(timed)):
        raise ValueError("the states are not in order of time")
    completed: list[Fraction] = []
    counted = ignored = 0
    began: Fraction | None = None
    for i, (t, state) in enumerate(timed):
        after = timed[i + 1][0] if i + 1 < len(timed) else t
        if state == "run":
            began = t if began is None else began
        elif state == "stop" and after - t < least:
            ignored += 1
        elif state != "end":
            counted += state == "stop"
            if began is not None:
                completed.append(t - began)
                began = None
    still = None if began is None or not timed else timed[-1][0] - began
    return Runs(completed, still, mean(completed), counted, ignored)


@dataclass(frozen=True, slots=True)
class Giveaway:
    """Of one product, against nominal. A sum hides packs below nominal: they are counted too."""

    net: list[Fraction]
    total: Fraction  # may be negative
    share: Fraction | None  # of nominal x packs
    missing: int
    below_nominal: int


def giveaway(packs: Sequence[tuple[str, Number | None, Number]], nominal: Mapping[str, Number]) -> dict[str, Giveaway]:
    """Packs (product, gross, tare) in one unit; a gross of None is a missing weight: no zero."""
    net: dict[str, list[Fraction]] = {}
    missing: dict[str, int] = {}
    for product, gross, tare in packs:
        if product not in nominal:
            raise ValueError(f"no nominal quantity of {product}")
        weights = net.setdefault(product, [])
        if gross is None:
            missing[product] = missing.get(product, 0) + 1
        else:
            weights.append(exact(gross) - exact(tare))
    found = {}
    for product, weights in net.items():
        wanted = positive(nominal[product], f"the nominal quantity of {product}")
        total = sum(weights, Fraction()) - wanted * len(weights)
        found[product] = Giveaway(
            weights,
            total,
            ratio(total, wanted * len(weights)),
            missing.get(product, 0),
            sum(one < wanted for one in weights),
        )
    return found
