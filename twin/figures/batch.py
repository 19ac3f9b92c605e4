"""Batches: ISA-88 times, yield, right first time, golden batch, genealogy, cleaning, first principles.

Sources: ISA-88.00.01 (procedural model, Held); Nomikos and MacGregor 1995 (envelopes on phase progress). Times in
seconds, masses in kg, exact but for deviations.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from twin.figures.exact import (
    Number,
    Span,
    deviation,
    exact,
    exacts,
    length,
    mean,
    not_negative,
    positive,
    ratio,
    spans,
    union,
    without,
)


@dataclass(frozen=True, slots=True)
class Times:
    """By element's path (`P/R/C/1`). An element that has not ended is in `open` and has no times."""

    elapsed_s: dict[str, Fraction]
    held_s: dict[str, Fraction]  # of elements that were held
    running_s: dict[str, Fraction]  # of the same: elapsed - held
    union_of_phases_s: dict[str, Fraction]  # of elements below the procedure with several phases: they may overlap
    sum_of_phases_s: dict[str, Fraction]
    gap_inside_s: dict[str, Fraction]  # elapsed - union of the direct children, where there is one
    open: list[str]


def isa88_times(events: Sequence[tuple[str, str, Number]]) -> Times:
    """Events (path, start | hold | restart | end, time) of one batch. Phases are the elements without children."""
    started: dict[str, Fraction] = {}
    ended: dict[str, Fraction] = {}
    held: dict[str, Fraction] = {}
    since: dict[str, Fraction] = {}
    for i, (path, what, time) in sorted(enumerate(events), key=lambda one: exact(one[1][2])):
        t = exact(time)
        if what == "start":
            started.setdefault(path, t)
        elif path not in started:
            raise ValueError(f"event {i}: {path} has a {what} before its start")
        elif what == "hold":
            since.setdefault(path, t)
        elif what in ("restart", "end"):
            if path in since:
                held[path] = held.get(path, Fraction()) + t - since.pop(path)
            if what == "end":
                ended[path] = t
        else:
            raise ValueError(f"event {i} is {what!r}: expected start, hold, restart or end")
    paths = list(started)
    parents = {path.rpartition("/")[0] for path in paths}
    closed = {path: (started[path], ended[path]) for path in paths if path in ended}
    elapsed = {path: end - start for path, (start, end) in closed.items()}
    together: dict[str, Fraction] = {}
    added: dict[str, Fraction] = {}
    gaps: dict[str, Fraction] = {}
    for path in closed:
        below = [other for other in closed if other.startswith(f"{path}/")]
        phases = [closed[other] for other in below if other not in parents]
        children = [closed[other] for other in below if "/" not in other[len(path) + 1 :]]
        if "/" in path and len(phases) > 1:
            together[path] = length(phases)
            added[path] = sum((end - start for start, end in phases), Fraction())
        gap = length(without([closed[path]], children)) if children else Fraction()
        if gap:
            gaps[path] = gap
    return Times(
        elapsed,
        {path: time for path, time in held.items() if path in closed},
        {path: elapsed[path] - time for path, time in held.items() if path in closed},
        together,
        added,
        gaps,
        [path for path in paths if path not in closed],
    )


@dataclass(frozen=True, slots=True)
class BatchYield:
    """Above 1 is legal in the record (moisture, heel): flag it. A yield belongs to the window of the batch's end."""

    mass_yield: Fraction | None
    yield_of_theory: Fraction | None
    accountability: Fraction | None
    unaccounted: Fraction


def batch_yield(
    charged: Mapping[str, Number],
    product: Number,
    limiting: str,
    product_per_limiting: Number,
    samples: Number = 0,
    waste: Number = 0,
    in_process: Number = 0,
) -> BatchYield:
    """Product / all charged; product / (limiting charge x stoichiometric product); all found again / all charged."""
    if limiting not in charged:
        raise ValueError(f"the limiting substance {limiting} was not charged")
    total, made = sum(exacts(charged.values()), Fraction()), exact(product)
    found = made + exact(samples) + exact(waste) + exact(in_process)
    theory = exact(charged[limiting]) * exact(product_per_limiting)
    return BatchYield(ratio(made, total), ratio(made, theory), ratio(found, total), total - found)


@dataclass(frozen=True, slots=True)
class RightFirstTime:
    completed: int
    right_first_time: int
    rft_ratio: Fraction | None
    release_ratio: Fraction | None
    pending: int


def right_first_time(batches: Sequence[tuple[str, Sequence[str]]]) -> RightFirstTime:
    """Batches (released | rejected | pending, flags): released without a flag / completed. Pending ones are apart."""
    done = [(disposition, flags) for disposition, flags in batches if disposition != "pending"]
    for disposition, _ in done:
        if disposition not in ("released", "rejected"):
            raise ValueError(f"a disposition {disposition!r}: expected released, rejected or pending")
    released = [flags for disposition, flags in done if disposition == "released"]
    right = sum(not flags for flags in released)
    return RightFirstTime(
        len(done), right, ratio(right, len(done)), ratio(len(released), len(done)), len(batches) - len(done)
    )


@dataclass(frozen=True, slots=True)
class Envelope:
    """mean +- max(k s, floor) at each grid point of phase progress."""

    mean: list[Fraction]
    s: list[float]
    lower: list[float]
    upper: list[float]

    def outside(self, profile: Sequence[Number]) -> list[int]:
        """Grid points strictly outside."""
        values = exacts(profile)
        if len(values) != len(self.mean):
            raise ValueError(f"a profile of {len(values)} points against an envelope of {len(self.mean)}")
        return [
            i
            for i, (value, low, high) in enumerate(zip(values, self.lower, self.upper, strict=True))
            if value != self.mean[i] and not low <= value <= high
        ]

    def deviation_rms(self, profile: Sequence[Number]) -> float | None:
        squares = [(value - at) ** 2 for value, at in zip(exacts(profile), self.mean, strict=True)]
        average = mean(squares)
        return None if average is None else math.sqrt(average)


def envelope(reference: Sequence[Sequence[Number]], k: Number = 3, floor: Number = 0) -> Envelope:
    """Of reference batches on one grid. The floor (the instrument's resolution) keeps points without spread usable."""
    if len(reference) < 2 or len({len(batch) for batch in reference}) > 1:
        raise ValueError("an envelope needs at least two reference batches on one grid")
    found = Envelope([], [], [], [])
    for values in zip(*(exacts(batch) for batch in reference), strict=True):
        centre, s = mean(values), deviation(values)
        assert centre is not None and s is not None
        width = max(float(exact(k)) * float(s), float(not_negative(floor, "the floor")))
        found.mean.append(centre)
        found.s.append(float(s))
        found.lower.append(float(centre) - width)
        found.upper.append(float(centre) + width)
    return found


def resample(
    t_s: Sequence[Number], x: Sequence[Number], progress: Sequence[Number], how: Literal["linear", "hold"] = "linear"
) -> tuple[list[Fraction], list[Fraction]]:
    """Times and values at shares of the phase: linear for measured values, hold for set points.

    ValueError for times that do not rise or a progress outside 0 to 1: samples after the end belong to the next phase.
    """
    times, values = exacts(t_s), exacts(x)
    if len(times) != len(values) or not times:
        raise ValueError(f"{len(times)} times and {len(values)} values")
    if any(after <= before for before, after in itertools.pairwise(times)):
        raise ValueError("the times do not rise")
    at, found = [], []
    for share in exacts(progress):
        if not 0 <= share <= 1:
            raise ValueError(f"a progress of {share}: expected 0 to 1")
        t = times[0] + share * (times[-1] - times[0])
        i = max(k for k, time in enumerate(times) if time <= t)
        value = values[i]
        if how == "linear" and i + 1 < len(times):
            value += (t - times[i]) / (times[i + 1] - times[i]) * (values[i + 1] - values[i])
        at.append(t)
        found.append(value)
    return at, found


class Genealogy:
    """Which lots went into which. Sharing assumes mixing; a recall uses what is contained. ValueError for a circle."""

    def __init__(self, consumed: Sequence[tuple[str, str, Number]]) -> None:
        """(into, from, amount) in one unit."""
        self.into: dict[str, dict[str, Fraction]] = {}
        for product, source, amount in consumed:
            lots = self.into.setdefault(product, {})
            lots[source] = lots.get(source, Fraction()) + not_negative(amount, f"what {product} took of {source}")
        self._shares: dict[tuple[str, str], Fraction] = {}
        self._check()

    def _check(self) -> None:
        left = {product: set(sources) & set(self.into) for product, sources in self.into.items()}
        while ready := [product for product, sources in left.items() if not sources & set(left)]:
            for product in ready:
                del left[product]
        if left:
            raise ValueError(f"lots that contain themselves: {', '.join(sorted(left))}")

    @property
    def raw(self) -> list[str]:
        """Lots that nothing went into."""
        return sorted({source for sources in self.into.values() for source in sources} - set(self.into))

    def sources(self, product: str) -> list[str]:
        """Every lot in it, at any depth."""
        found: set[str] = set()
        ahead = list(self.into.get(product, {}))
        while ahead:
            source = ahead.pop()
            if source not in found:
                found.add(source)
                ahead.extend(self.into.get(source, {}))
        return sorted(found)

    def contains(self, lot: str) -> list[str]:
        """Every product that has some of it."""
        return sorted(product for product in self.into if lot in self.sources(product))

    def share(self, product: str, lot: str) -> Fraction | None:
        """Of the mass of `product`; None if nothing went into it."""
        if product == lot:
            return Fraction(1)
        if product not in self.into:
            return Fraction()
        if (product, lot) not in self._shares:
            total = sum(self.into[product].values(), Fraction())
            if not total:
                return None
            parts = [(amount, self.share(source, lot)) for source, amount in self.into[product].items()]
            mixed = sum((amount * (part or 0) for amount, part in parts), Fraction())
            self._shares[product, lot] = mixed / total
        return self._shares[product, lot]


def heating_time(mass: Number, heat_capacity: Number, rise: Number, power: Number) -> Fraction:
    """m cp dT / P in seconds, of kg, kJ/(kg K), K, kW: a bound. Actual below it means a wrong input: keep and flag."""
    energy = not_negative(mass, "the mass") * not_negative(heat_capacity, "cp") * not_negative(rise, "the rise")
    return energy / positive(power, "the power")


@dataclass(frozen=True, slots=True)
class Cleaning:
    cip_s: Fraction
    cip_share: Fraction | None
    processing_s: Fraction
    other_s: Fraction


def cleaning(window_s: Number, cip: Sequence[Sequence[Number]], processing: Sequence[Sequence[Number]]) -> Cleaning:
    """Cleaning in place as a share of the unit's window [0, window_s); overlapping records are united."""
    end = not_negative(window_s, "the window")

    def inside(of: Sequence[Sequence[Number]]) -> list[Span]:
        return union((max(start, Fraction()), min(stop, end)) for start, stop in spans(of))

    wash, work = inside(cip), inside(processing)
    return Cleaning(length(wash), ratio(length(wash), end), length(work), end - length([*wash, *work]))
