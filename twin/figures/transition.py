"""Planning a line: pieces to start, machines, stations from takt, ramp-up, the smallest buffer for a target.

Exact, but for the buffer, which comes from a Markov chain. Yield counts once: availability x performance without
quality goes with scrap pieces, OEE does not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from twin.figures.exact import Number, ceiling, exacts, not_negative, positive, ratio
from twin.figures.simulation import Machine, two_machines

MOST_PLACES = 400


@dataclass(frozen=True, slots=True)
class Step:
    """Cycle in seconds, yield and availability x performance as shares above 0."""

    cycle_s: Number
    good_share: Number
    availability_x_performance: Number = 1


@dataclass(frozen=True, slots=True)
class Need:
    """For one step. Keep the exact number: 1.02 machines is a target for improvement, not a purchase."""

    start: Fraction  # pieces to begin there
    machines_exact: Fraction
    machines: int
    utilisation: Fraction | None


def machines_needed(good: Number, net_s: Number, steps: Sequence[Step]) -> list[Need]:
    """Back from the good pieces wanted: starts = next / yield, x cycle / (net time x availability x performance)."""
    pieces, time = not_negative(good, "good pieces"), positive(net_s, "the net time")
    found = []
    for step in reversed(steps):
        share = positive(step.good_share, "a yield")
        speed = positive(step.availability_x_performance, "availability x performance")
        if share > 1:
            raise ValueError(f"a yield of {step.good_share}: at most 1")
        pieces /= share
        needed = pieces * positive(step.cycle_s, "a cycle") / (time * speed)
        found.append(Need(pieces, needed, ceiling(needed), ratio(needed, ceiling(needed))))
    return found[::-1]


@dataclass(frozen=True, slots=True)
class RampUp:
    cum_plan: list[Fraction]
    cum_good: list[Fraction]
    behind_pieces: Fraction | None
    behind_days: Fraction | None  # since the plan had today's figure; negative ahead; None beyond the plan
    attainment: Fraction | None
    total_hours: Fraction | None


def ramp_up(plan: Sequence[Number], good: Sequence[Number], hours_per_piece: Sequence[Number] | None = None) -> RampUp:
    """Good pieces by day against the plan; the lag is read from the plan's running total, not from mean rates.

    ValueError for more days of good pieces than are planned, or for another number of hours.
    """
    planned, made = [not_negative(one, "a plan") for one in plan], [not_negative(one, "good pieces") for one in good]
    if len(made) > len(planned):
        raise ValueError(f"{len(made)} days of good pieces, {len(planned)} planned")
    cum_plan, cum_good = _running(planned), _running(made)
    hours = None
    if hours_per_piece is not None:
        each = exacts(hours_per_piece)
        if len(each) != len(made):
            raise ValueError(f"{len(made)} days of good pieces, {len(each)} of hours")
        hours = sum((n * one for n, one in zip(made, each, strict=True)), Fraction())
    if not made:
        return RampUp(cum_plan, cum_good, None, None, None, hours)
    today, done = len(made), cum_good[-1]
    reached = _reached(cum_plan, done)
    return RampUp(
        cum_plan,
        cum_good,
        cum_plan[today - 1] - done,
        None if reached is None else today - reached,
        ratio(done, cum_plan[today - 1]),
        hours,
    )


def _running(values: Sequence[Fraction]) -> list[Fraction]:
    total, found = Fraction(), []
    for one in values:
        total += one
        found.append(total)
    return found


def _reached(cum_plan: Sequence[Fraction], pieces: Fraction) -> Fraction | None:
    """When the plan has `pieces`, in days from its start, linear within a day; the latest such instant."""
    points = [Fraction(), *cum_plan]
    if pieces > points[-1]:
        return None
    day = max(i for i, total in enumerate(points) if total <= pieces)
    if points[day] == pieces:
        return Fraction(day)
    return day + (pieces - points[day]) / (points[day + 1] - points[day])


@dataclass(frozen=True, slots=True)
class BufferPlan:
    smallest_buffer: int | None  # None: no buffer reaches the target
    throughput_at_it: float | None
    throughput_one_less: float | None
    infinite_limit: float


def smallest_buffer(first: Machine, second: Machine, target: Number) -> BufferPlan:
    """The fewest places between two machines that reach a throughput. ValueError above MOST_PLACES."""
    wanted, limit = float(positive(target, "the target")), min(first.alone, second.alone)
    if wanted >= limit:
        return BufferPlan(None, None, None, limit)
    before: float | None = None
    for places in range(1, MOST_PLACES + 1):
        now = two_machines(first, second, places).throughput
        if now >= wanted:
            return BufferPlan(places, now, before, limit)
        before = now
    raise ValueError(f"the target {target} needs more than {MOST_PLACES} places")
