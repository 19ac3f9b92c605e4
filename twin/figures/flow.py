"""Flow: Factory Physics, Little on a sample path, kanban, EPEI, lead time, sequence adherence.

Source: Hopp and Spearman, Factory Physics, chapters 7 and 8; Rother and Shook, Learning to See. All exact; a rate has
the reciprocal unit of its time.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from twin.figures.exact import Number, ceiling, exact, exacts, mean, not_negative, positive, probability, ratio, whole


@dataclass(frozen=True, slots=True)
class LineCase:
    throughput: Fraction
    cycle_time: Fraction | None  # None at no WIP


@dataclass(frozen=True, slots=True)
class LineCases:
    """A line with w pieces: best, worst and practical worst case."""

    critical_wip: Fraction
    best: list[LineCase]
    worst: list[LineCase]
    practical_worst: list[LineCase]


def line_cases(bottleneck_rate: Number, raw_process_time: Number, wip: Iterable[Number]) -> LineCases:
    """W0 = rb T0; TH best min(w / T0, rb), worst 1 / T0, practical worst w / (W0 + w - 1) rb; CT = w / TH."""
    rb, t0 = positive(bottleneck_rate, "the bottleneck rate"), positive(raw_process_time, "the raw process time")
    critical = rb * t0
    found = LineCases(critical, [], [], [])
    for level in wip:
        w = not_negative(level, "WIP")
        for cases, throughput in (
            (found.best, min(w / t0, rb)),
            (found.worst, 1 / t0 if w else Fraction()),
            (found.practical_worst, w / (critical + w - 1) * rb if w else Fraction()),
        ):
            cases.append(LineCase(throughput, w / throughput if throughput else None))
    return found


@dataclass(frozen=True, slots=True)
class Station:
    """Parallel machines of one time per piece; availability and yield as shares; visits of each finished piece."""

    machines: Number
    time: Number
    availability: Number = 1
    good_share: Number = 1
    visits: Number = 1


def bottleneck(stations: Sequence[Station]) -> tuple[list[Fraction], int]:
    """Capacity of each station in good finished pieces per time unit, and the index of the least (the first of equals).

    What a station makes shrinks by its own yield and by the yield of everything behind it.
    """
    if not stations:
        raise ValueError("a line without stations has no bottleneck")
    capacity = []
    left = Fraction(1)
    for station in reversed(stations):
        left *= probability(station.good_share, "a yield")
        speed = whole(station.machines, "machines", 1) / positive(station.time, "a time per piece")
        available = probability(station.availability, "an availability")
        capacity.append(speed * available / positive(station.visits, "visits") * left)
    capacity.reverse()
    return capacity, capacity.index(min(capacity))


@dataclass(frozen=True, slots=True)
class Queue:
    """One station, times in the unit of its process time. With u at 1 or more there is no finite queue: None."""

    availability: Fraction
    te: Fraction  # effective process time
    ce_sq: Fraction
    u: Fraction
    v: Fraction
    u_factor: Fraction | float | None
    ct_queue: Fraction | float | None
    ct: Fraction | float | None
    wip_queue: Fraction | float | None
    cd_sq: Fraction | float | None  # of departures


def vut(
    te: Number, ce_sq: Number, rate: Number, ca_sq: Number = 1, machines: int = 1, availability: Number = 1
) -> Queue:
    """Kingman: CTq = (ca^2 + ce^2) / 2 x u / (1 - u) x te, exact for Poisson arrivals at one machine.

    m machines: u^(sqrt(2 (m + 1)) - 1) / (m (1 - u)); cd^2 = 1 + (1 - u^2) (ca^2 - 1) + u^2 (ce^2 - 1) / sqrt(m).
    """
    time, arrivals = positive(te, "the process time"), not_negative(rate, "the arrival rate")
    ce, ca, m = not_negative(ce_sq, "ce squared"), not_negative(ca_sq, "ca squared"), whole(machines, "machines", 1)
    u, v = arrivals * time / m, (ca + ce) / 2
    factor: Fraction | float | None = None
    if u < 1:
        factor = u / (1 - u) if m == 1 else float(u) ** (math.sqrt(2 * (m + 1)) - 1) / (m * float(1 - u))
    queue = None if factor is None else v * factor * time
    root_m: Fraction | float = Fraction(1) if m == 1 else math.sqrt(m)
    return Queue(
        exact(availability),
        time,
        ce,
        u,
        v,
        factor,
        queue,
        None if queue is None else queue + time,
        None if queue is None else queue * arrivals,
        1 + (1 - u * u) * (ca - 1) + u * u * (ce - 1) / root_m if u < 1 else None,
    )


def vut_breakdowns(
    t0: Number,
    c0_sq: Number,
    mttf: Number,
    mttr: Number,
    cr_sq: Number,
    rate: Number,
    ca_sq: Number = 1,
    machines: int = 1,
) -> Queue:
    """With breakdowns: A = mttf / (mttf + mttr), te = t0 / A, ce^2 = c0^2 + (1 + cr^2) A (1 - A) mttr / t0."""
    natural, up, down = positive(t0, "the natural time"), positive(mttf, "MTTF"), not_negative(mttr, "MTTR")
    a = up / (up + down)
    ce = not_negative(c0_sq, "c0 squared") + (1 + not_negative(cr_sq, "cr squared")) * a * (1 - a) * down / natural
    return vut(natural / a, ce, rate, ca_sq, machines, a)


@dataclass(frozen=True, slots=True)
class SamplePath:
    """Little on a sample path: the integral of WIP is the sum of times in the system inside the window, exactly.

    WIP = TH x CT with the departed alone has a residual from pieces that are in the line at the window's ends: an
    indicator, not an error.
    """

    wip_time_integral: Fraction
    wip_mean: Fraction | None
    arrivals: int
    departures: int
    th_out: Fraction | None
    mean_time_of_departed: Fraction | None
    little_residual: Fraction | None
    in_system_at_end: list[int]
    oldest_age_at_end: Fraction | None


def sample_path(jobs: Sequence[tuple[Number, Number | None]], window: Sequence[Number]) -> SamplePath:
    """Jobs (enter, leave; None: still inside) over the half-open window [start, end)."""
    start, end = exacts(window)
    if end < start:
        raise ValueError(f"the window [{window[0]}, {window[1]}) ends before it starts")
    area = Fraction()
    arrivals = 0
    departed: list[Fraction] = []
    inside: list[int] = []
    ages: list[Fraction] = []
    for i, (enters, leaves) in enumerate(jobs):
        enter, leave = exact(enters), None if leaves is None else exact(leaves)
        if leave is not None and leave < enter:
            raise ValueError(f"job {i} leaves at {leaves} before it enters at {enters}")
        arrivals += start <= enter < end
        area += max(Fraction(), (end if leave is None else min(leave, end)) - max(enter, start))
        if leave is not None and start <= leave < end:
            departed.append(leave - enter)
        if enter < end and (leave is None or leave >= end):
            inside.append(i)
            ages.append(end - enter)
    wip, rate, time = ratio(area, end - start), ratio(len(departed), end - start), mean(departed)
    return SamplePath(
        area,
        wip,
        arrivals,
        len(departed),
        rate,
        time,
        None if wip is None or rate is None or time is None else wip - rate * time,
        inside,
        max(ages, default=None),
    )


def kanbans(
    demand_per_day: Number, lead_time_days: Number, box: Number, safety: Number = 0, safety_pieces: Number = 0
) -> tuple[Fraction, int]:
    """(D L (1 + safety) + safety pieces) / box, and rounded up, once, at the end."""
    need = not_negative(demand_per_day, "demand") * not_negative(lead_time_days, "the lead time")
    raw = need * (1 + not_negative(safety, "safety")) + not_negative(safety_pieces, "safety pieces")
    raw /= positive(box, "the box")
    return raw, ceiling(raw)


@dataclass(frozen=True, slots=True)
class Epei:
    """Every part every interval, in days; None where no time is left for changeovers: the mix can not be made."""

    run_s_per_day: Fraction
    free_s_per_day: Fraction
    epei_days: Fraction | None
    batch: list[Fraction] | None


def epei(available_s_per_day: Number, variants: Sequence[tuple[Number, Number, Number]]) -> Epei:
    """Sum of changeovers of one cycle / (available - run) per day; variants (demand per day, cycle s, changeover s)."""
    numbers = [exacts(variant) for variant in variants]
    if any(one < 0 for variant in numbers for one in variant):
        raise ValueError("a variant has a negative demand or time")
    run = sum((demand * cycle for demand, cycle, _ in numbers), Fraction())
    free = not_negative(available_s_per_day, "the available time") - run
    days = sum((changeover for _, _, changeover in numbers), Fraction()) / free if free > 0 else None
    return Epei(run, free, days, None if days is None else [demand * days for demand, _, _ in numbers])


@dataclass(frozen=True, slots=True)
class ValueStream:
    days: list[Fraction | None]
    lead_time_days: Fraction | None
    value_added_s: Fraction
    value_added_share: Fraction | None  # of the lead time in days of `day_s`


def value_stream(
    inventories: Sequence[Number],
    demand_per_day: Number,
    process_s: Sequence[Number],
    raw_days: Number = 0,
    day_s: Number = 86_400,
) -> ValueStream:
    """Days of each inventory = pieces / demand; the lead time is their sum and the raw material's days."""
    days = [ratio(not_negative(one, "an inventory"), not_negative(demand_per_day, "demand")) for one in inventories]
    known = [one for one in days if one is not None]
    lead = sum(known, exact(raw_days)) if len(known) == len(days) else None
    added = sum(exacts(process_s), Fraction())
    return ValueStream(days, lead, added, None if lead is None else ratio(added, lead * exact(day_s)))


@dataclass(frozen=True, slots=True)
class Adherence:
    """Right volume and right sequence are different questions."""

    volume_ok: bool
    sequence_hits: int
    sequence_adherence: Fraction | None
    variant_runs_plan: int
    variant_runs_made: int
    max_cumulative_deviation: int


def sequence_adherence(plan: Sequence[str], made: Sequence[str]) -> Adherence:
    """What was made against a levelled plan, slot by slot; the deviation is that of any variant's running total."""
    hits = sum(one == other for one, other in zip(plan, made, strict=False))
    difference: Counter[str] = Counter()
    worst = 0
    for slot in range(max(len(plan), len(made))):
        if slot < len(plan):
            difference[plan[slot]] -= 1
        if slot < len(made):
            difference[made[slot]] += 1
        worst = max(worst, *(abs(one) for one in difference.values()))
    return Adherence(
        Counter(plan) == Counter(made), hits, ratio(hits, len(plan)), len(runs(plan)), len(runs(made)), worst
    )


def runs(of: Sequence[str]) -> list[tuple[str, int]]:
    """Equal neighbours as (variant, pieces)."""
    found: list[tuple[str, int]] = []
    for one in of:
        if found and found[-1][0] == one:
            found[-1] = (one, found[-1][1] + 1)
        else:
            found.append((one, 1))
    return found
