"""Use of energy and other media: sampled powers, running meters, states, carriers, factors, demand.

Powers in kW, energies in kWh (kJ where a name says so), times in seconds, all exact: kW x s is kJ, no float sums.
Sources: ISO 22400-2 (comprehensive energy consumption), GHG Protocol, tariffs of demand in fixed clock blocks.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from twin.figures.exact import Number, exact, exacts, mean, not_negative, optional, positive, ratio, whole

Samples = Sequence[tuple[Number, Number | None]]
"""(time, value), in any order; None says that the value is unknown from then on. Of equal times the last counts."""


@dataclass(frozen=True, slots=True)
class Integral:
    """Value x seconds where the value is known, and how long it is."""

    amount: Fraction
    known_s: Fraction
    window_s: Fraction

    @property
    def gap_s(self) -> Fraction:
        return self.window_s - self.known_s

    @property
    def coverage(self) -> Fraction | None:
        return ratio(self.known_s, self.window_s)


def hold(samples: Samples, gap_limit_s: Number, window: Sequence[Number]) -> Integral:
    """Zero-order hold, for values sent on change: each holds until the next, at most `gap_limit_s`, then unknown.

    The value of before the window holds into it.
    """
    limit, (start, end) = positive(gap_limit_s, "the gap limit"), _window(window)
    ordered = _ordered(samples)
    amount = known = Fraction()
    for i, (t, value) in enumerate(ordered):
        until = t + limit if i + 1 == len(ordered) else min(t + limit, ordered[i + 1][0])
        span = min(until, end) - max(t, start)
        if value is not None and span > 0:
            amount += value * span
            known += span
    return Integral(amount, known, end - start)


def trapezoid(samples: Samples, gap_limit_s: Number, window: Sequence[Number]) -> Integral:
    """Linear between polled values at most `gap_limit_s` apart; nothing across a longer gap or an unknown value.

    At the ends of the window the value is interpolated.
    """
    limit, (start, end) = positive(gap_limit_s, "the gap limit"), _window(window)
    ordered = _ordered(samples)
    amount = known = Fraction()
    for (t, value), (after, then) in itertools.pairwise(ordered):
        first, last = max(t, start), min(after, end)
        if value is None or then is None or after - t > limit or last <= first:
            continue
        slope = (then - value) / (after - t)
        amount += (value + slope * ((first + last) / 2 - t)) * (last - first)
        known += last - first
    return Integral(amount, known, end - start)


def _ordered(samples: Samples) -> list[tuple[Fraction, Fraction | None]]:
    by_time = {exact(t): optional(value) for t, value in samples}
    return sorted(by_time.items())


def _window(window: Sequence[Number]) -> tuple[Fraction, Fraction]:
    start, end = exacts(window)
    if end < start:
        raise ValueError(f"the window [{window[0]}, {window[1]}) ends before it starts")
    return start, end


@dataclass(frozen=True, slots=True)
class Meter:
    """`increments` between neighbours: None where unknown. `suspect` are indices of readings not believed."""

    increments: list[Fraction | None]
    suspect: list[int]

    @property
    def known(self) -> Fraction:
        return sum((one for one in self.increments if one is not None), Fraction())


def meter(readings: Sequence[tuple[str, Number | None]], modulus: Number | None = None) -> Meter:
    """A running meter (meter's name, register), in order of time.

    A step back of at least half the modulus is a rollover; a smaller one is an error, and the reading before it stays
    the base until a reading fits either: the base again (the error was one), or the suspect (the register fell; what
    passed between is unknown). Another name is another register: the step to its first reading is unknown. A reading
    of None is none: the next one counts from the last.
    """
    wrap = None if modulus is None else positive(modulus, "the modulus")
    found = Meter([], [])
    name: str | None = None
    base: Fraction | None = None
    held: Fraction | None = None
    for i, (meter_name, value) in enumerate(readings):
        register = optional(value)
        if register is not None and (register < 0 or (wrap is not None and register >= wrap)):
            raise ValueError(f"reading {i} is {value}: outside 0 to the modulus {modulus}")
        step: Fraction | None = None
        if register is not None:
            if meter_name != name or base is None:
                name, base, held = meter_name, register, None
            elif (step := increment(register, (base, held), wrap)) is not None:
                base, held = register, None
            else:
                held = register
                found.suspect.append(i)
        if i:
            found.increments.append(step)
    return found


def increment(now: Fraction, bases: Sequence[Fraction | None], modulus: Fraction | None) -> Fraction | None:
    """From the first of the bases that `now` fits: no step back, or one that is a rollover. None if it fits none."""
    for before in bases:
        if before is not None and now >= before:
            return now - before
        if before is not None and modulus is not None and 2 * (before - now) >= modulus:
            return now - before + modulus
    return None


@dataclass(frozen=True, slots=True)
class StateEnergy:
    """Energy by what the station was doing."""

    kwh: dict[str, Fraction]
    total_kwh: Fraction
    idle_share: Fraction | None  # of the total
    non_value_share: Fraction | None  # all but running, the unknown included
    kwh_per_good: Fraction | None
    kwh_per_produced: Fraction | None


def energy_by_state(
    segments: Sequence[tuple[str, Number, Number]], good: Number | None = None, scrap: Number = 0
) -> StateEnergy:
    """Segments (state, seconds, kW). Energy of an unknown state is a state of its own. No good unit: None per unit."""
    kwh: dict[str, Fraction] = {}
    for state, seconds, kw in segments:
        kwh[state] = kwh.get(state, Fraction()) + not_negative(seconds, "seconds") * exact(kw) / 3600
    total = sum(kwh.values(), Fraction())
    units = None if good is None else not_negative(good, "good units")
    produced = None if units is None else units + not_negative(scrap, "scrap")
    return StateEnergy(
        kwh,
        total,
        ratio(kwh.get("idle", Fraction()), total),
        ratio(total - kwh.get("running", Fraction()), total),
        None if units is None else ratio(total, units),
        None if produced is None else ratio(total, produced),
    )


@dataclass(frozen=True, slots=True)
class CarrierEnergy:
    """ISO 22400-2 divides by all units produced (PQ); both are given by name."""

    total: Fraction
    per_produced: Fraction | None
    per_good: Fraction | None


def comprehensive_energy(
    carriers: Sequence[tuple[Number, Number]], exchanged: Number, produced: Number, good: Number | None = None
) -> CarrierEnergy:
    """E = sum M_i R_i + Q: amounts with their conversion factors and the energy exchanged (sold is negative)."""
    total = sum((exact(amount) * exact(factor) for amount, factor in carriers), exact(exchanged))
    return CarrierEnergy(
        total,
        ratio(total, whole(produced, "produced units")),
        None if good is None else ratio(total, whole(good, "good units")),
    )


def co2e_of_gases(kg: Mapping[str, Number], potentials: Mapping[str, Number]) -> Fraction:
    """kg CO2e: each gas by its global warming potential. CO2 itself is 1. ValueError for a gas without one."""
    total = Fraction()
    for gas, amount in kg.items():
        if gas not in potentials and gas != "CO2":
            raise ValueError(f"no potential for {gas}: it is not in the set")
        total += exact(amount) * exact(potentials.get(gas, 1))
    return total


@dataclass(frozen=True, slots=True)
class Emission:
    """By period; a missing factor leaves its period and the sum None, never the last factor."""

    kg_by_period: list[Fraction | None]
    kg: Fraction | None
    kg_known: Fraction
    kg_with_mean_factor: Fraction | None  # for comparison: the mean of the known factors
    effective_g_per_kwh: Fraction | None  # where known
    coverage: Fraction | None  # share of the energy that has a factor


def co2e_by_period(kwh: Sequence[Number], g_per_kwh: Sequence[Number | None]) -> Emission:
    """Energy of each period by the factor of that period."""
    if len(kwh) != len(g_per_kwh):
        raise ValueError(f"{len(kwh)} amounts of energy and {len(g_per_kwh)} factors")
    amounts, factors = exacts(kwh), [optional(factor) for factor in g_per_kwh]
    by_period = [
        None if factor is None else amount * factor / 1000 for amount, factor in zip(amounts, factors, strict=True)
    ]
    known = sum((one for one in by_period if one is not None), Fraction())
    covered = sum((a for a, factor in zip(amounts, factors, strict=True) if factor is not None), Fraction())
    average = mean([factor for factor in factors if factor is not None])
    return Emission(
        by_period,
        None if None in by_period else known,
        known,
        None if average is None else sum(amounts, Fraction()) * average / 1000,
        ratio(known * 1000, covered),
        ratio(covered, sum(amounts, Fraction())),
    )


@dataclass(frozen=True, slots=True)
class Embedded:
    """kg CO2e that stand in scrap."""

    per_piece: list[Fraction]  # spent up to and with each step
    scrap: Fraction
    net_of_credit: Fraction
    per_good: Fraction | None  # everything spent: scrap is inside, not to be added again


def embedded_in_scrap(
    steps: Sequence[tuple[Number, Number]],
    kg_per_kwh: Number,
    scrap: Sequence[Number],
    good: Number,
    credit_per_piece: Number = 0,
) -> Embedded:
    """Steps of (kWh, kg CO2e of material) per piece, and the pieces scrapped after each."""
    if len(steps) != len(scrap):
        raise ValueError(f"{len(steps)} steps and {len(scrap)} numbers of scrap")
    factor, running, per_piece = exact(kg_per_kwh), Fraction(), []
    for kwh, material in steps:
        running += exact(kwh) * factor + exact(material)
        per_piece.append(running)
    lost = [Fraction(whole(one, "scrap")) for one in scrap]
    total = sum((n * each for n, each in zip(lost, per_piece, strict=True)), Fraction())
    made = whole(good, "good units")
    return Embedded(
        per_piece,
        total,
        total - exact(credit_per_piece) * sum(lost, Fraction()),
        ratio(total + made * running, made),
    )


@dataclass(frozen=True, slots=True)
class Demand:
    """Mean power of fixed clock blocks, as billed, and the greatest of any block's length (sliding)."""

    blocks_kw: list[Fraction | None]
    open_block: list[Fraction | None]  # the values of a block that has not ended: no demand yet
    peak_kw: Fraction | None
    sliding_max_kw: Fraction | None


def demand(kw: Sequence[Number | None], per_block: int, first: int = 0) -> Demand:
    """Mean powers of equal periods, `per_block` of them in a block; `first` periods of the first block are missing.

    A block with an unknown period is None.
    """
    if per_block < 1 or not 0 <= first < per_block:
        raise ValueError(f"blocks of {per_block} periods beginning with period {first}")
    values = [optional(one) for one in kw]
    padded = [None] * first + values
    blocks = [padded[i : i + per_block] for i in range(0, len(padded), per_block)]
    still_open = blocks.pop() if blocks and len(blocks[-1]) < per_block else []
    means = [_mean_of_all(block) for block in blocks]
    sliding = [_mean_of_all(values[i : i + per_block]) for i in range(len(values) - per_block + 1)]
    return Demand(
        means,
        still_open,
        max((one for one in means if one is not None), default=None),
        max((one for one in sliding if one is not None), default=None),
    )


def _mean_of_all(values: Sequence[Fraction | None]) -> Fraction | None:
    known = [one for one in values if one is not None]
    return mean(known) if len(known) == len(values) else None
