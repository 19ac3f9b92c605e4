"""Reliability and maintenance: MTBF by both conventions, Weibull, Crow-AMSAA, P-F interval, remaining life, drift.

Sources: ISO 22400-2 (MTBF with failures + 1, recalled); NIST/SEMATECH 8.1 and 8.4; Crow 1974; Saxena et al. 2008 (PHM08
score); Page 1954. Times in one unit. Open repairs and running units are censored.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from twin.figures.exact import Number, exact, exacts, mean, not_negative, positive, probability, ratio, whole
from twin.figures.special import chi2_ppf, confidence_level


@dataclass(frozen=True, slots=True)
class Mtbf:
    failures: int
    up: Fraction
    down: Fraction
    mtbf: Fraction | None  # up / failures; None without a failure
    mtbf_iso: Fraction  # up / (failures + 1)
    mttr: Fraction | None  # of completed repairs
    availability: Fraction | None  # up / (up + down)
    between_starts_of_failures: Fraction | None
    open_repair: Fraction | None  # how long a repair has been open at the end


def mtbf(states: Sequence[tuple[Number, str]]) -> Mtbf:
    """States (time, up | down | end) in order of time; any other state (waiting, no order) does not age the machine."""
    timed = [(exact(t), state) for t, state in states]
    if any(after[0] < before[0] for before, after in itertools.pairwise(timed)):
        raise ValueError("the states are not in order of time")
    up = down = Fraction()
    starts: list[Fraction] = []
    repairs: list[Fraction] = []
    since: Fraction | None = None
    for (t, state), (after, _) in itertools.pairwise(timed):
        if state == "up":
            up += after - t
        elif state == "down":
            down += after - t
        if state == "down" and since is None:
            since = t
            starts.append(t)
        elif state != "down" and since is not None:
            repairs.append(t - since)
            since = None
    if timed and timed[-1][1] == "down" and since is None:
        starts.append(timed[-1][0])
        since = timed[-1][0]
    elif timed and timed[-1][1] not in ("down", "end") and since is not None:
        repairs.append(timed[-1][0] - since)
        since = None
    n = len(starts)
    return Mtbf(
        n,
        up,
        down,
        ratio(up, n),
        up / (n + 1),
        mean(repairs),
        ratio(up, up + down),
        ratio(starts[-1] - starts[0], n - 1) if n > 1 else None,
        None if since is None else timed[-1][0] - since,
    )


def mtbf_bounds(
    time: Number, failures: Number, confidence: Number = "0.9", failure_terminated: bool = False
) -> tuple[tuple[float, float | None], float]:
    """Two-sided bounds and the one-sided lower bound of exponential lives: 2 T / chi2.

    Time terminated: lower 2 (r + 1), upper 2 r degrees of freedom; failure terminated 2 r for both. Without a failure
    there is a lower bound only.
    """
    total, r, level = float(positive(time, "the time")), whole(failures, "failures"), confidence_level(confidence)
    if failure_terminated and not r:
        raise ValueError("a test ended by a failure has at least one")
    below = 2 * r if failure_terminated else 2 * r + 2
    tail = (1 - level) / 2
    upper = 2 * total / chi2_ppf(float(tail), 2 * r) if r else None
    return (2 * total / chi2_ppf(float(1 - tail), below), upper), 2 * total / chi2_ppf(float(level), below)


def pf_chances(pf_interval: Number, inspection: Number, response: Number = 0) -> int:
    """Inspections sure to fall between the first sign and the failure: floor((P-F - response) / interval)."""
    usable = max(Fraction(), positive(pf_interval, "the P-F interval") - not_negative(response, "the response"))
    return math.floor(usable / positive(inspection, "the inspection interval"))


def pf_miss(chances: int, detect: Number) -> Fraction:
    """The probability that none of the inspections sees it."""
    return (1 - probability(detect, "the probability of detection")) ** chances


@dataclass(frozen=True, slots=True)
class Crow:
    """A power law of failures over time; below 1 beta means growth."""

    beta: float
    lam: float
    beta_unbiased: float | None
    intensity: float  # at the end
    mtbf_instantaneous: float
    mtbf_cumulative: float
    laplace_u: float | None


def crow_amsaa(failures: Sequence[Number], end: Number, failure_terminated: bool) -> Crow | None:
    """beta = n / sum ln(T / t_i), lambda = n / T^beta. Unbiased: (n-2)/n if ended by a failure, (n-1)/n by time.

    Times are cumulative over all machines. None without a failure that says anything. ValueError for a time outside
    0 to T, or a failure-terminated test whose last failure is not at T.
    """
    times, total = sorted(positive(one, "a failure time") for one in failures), positive(end, "T")
    if times and times[-1] > total:
        raise ValueError(f"a failure at {times[-1]}, after the end at {total}")
    if failure_terminated and (not times or times[-1] != total):
        raise ValueError(f"a test ended by a failure ends at the last one, not at {total}")
    n = len(times)
    logs = math.fsum(math.log(total / one) for one in times)
    if not logs:
        return None
    beta = n / logs
    lam = n / float(total) ** beta
    intensity = lam * beta * float(total) ** (beta - 1)
    used = times[:-1] if failure_terminated else times
    u = None
    if used:
        average = float(sum(used, Fraction()) / len(used))
        u = (average - float(total) / 2) / (float(total) * math.sqrt(1 / (12 * len(used))))
    less = 2 if failure_terminated else 1
    return Crow(
        beta,
        lam,
        (n - less) / n * beta if n > less else None,
        intensity,
        1 / intensity,
        float(total) / n,
        u,
    )


@dataclass(frozen=True, slots=True)
class LifeScore:
    """Of estimates of remaining life, d = estimate - true. The sum grows with the number of units: publish the mean."""

    score: float
    mean_score: float | None
    rmse: float | None
    mae: Fraction | None
    late: int
    early: int


def life_score(estimated: Sequence[Number], true: Sequence[Number]) -> LifeScore:
    """PHM08: sum exp(-d / 13) - 1 where early (d < 0), exp(d / 10) - 1 where late."""
    if len(estimated) != len(true):
        raise ValueError(f"{len(estimated)} estimates of {len(true)} units")
    away = [one - other for one, other in zip(exacts(estimated), exacts(true), strict=True)]
    if any(abs(d) > 7000 for d in away):
        raise ValueError("an estimate is so far off that its score exceeds every float")
    score = math.fsum(math.expm1(float(-d) / 13 if d < 0 else float(d) / 10) for d in away)
    squares = mean([d * d for d in away])
    return LifeScore(
        score,
        score / len(away) if away else None,
        None if squares is None else math.sqrt(squares),
        mean([abs(d) for d in away]),
        sum(d > 0 for d in away),
        sum(d < 0 for d in away),
    )


def pinball(true: Sequence[Number], quantile: Sequence[Number], p: Number) -> Fraction | None:
    """The mean pinball loss of a quantile forecast: p above it, 1 - p below."""
    share = probability(p, "p")
    losses = [
        share * (t - q) if t >= q else (1 - share) * (q - t)
        for t, q in zip(exacts(true), exacts(quantile), strict=True)
    ]
    return mean(losses)


def coverage(true: Sequence[Number], low: Sequence[Number], high: Sequence[Number]) -> Fraction | None:
    """The share of values inside their band, ends included."""
    inside = [a <= t <= b for t, a, b in zip(exacts(true), exacts(low), exacts(high), strict=True)]
    return ratio(sum(inside), len(inside))


@dataclass(frozen=True, slots=True)
class Drift:
    """0-based indices. `behind_extreme` is the test's own idea of where the change began: `change_point` is better."""

    first_signal: int | None
    behind_extreme: int | None
    side: str | None  # up or down


def page_hinkley(
    values: Sequence[Number], delta: Number, threshold: Number, min_instances: int = 30, mode: str = "both"
) -> Drift:
    """Page-Hinkley in exact fractions; the running mean includes the current value, without forgetting.

    Up: sum(x - mean - delta) exceeds its least by more than the threshold; down: sum(x - mean + delta) its greatest.
    Nothing signals before `min_instances` values. `mode` is up, down or both.
    """
    if mode not in ("up", "down", "both"):
        raise ValueError(f"mode is {mode!r}: expected up, down or both")
    slack, limit = not_negative(delta, "delta"), not_negative(threshold, "the threshold")
    total = rise = fall = Fraction()
    least: tuple[Fraction, int] | None = None
    most: tuple[Fraction, int] | None = None
    for i, x in enumerate(exacts(values)):
        total += x
        average = total / (i + 1)
        rise += x - average - slack
        fall += x - average + slack
        least = (rise, i) if least is None or rise < least[0] else least
        most = (fall, i) if most is None or fall > most[0] else most
        if i + 1 < min_instances:
            continue
        if mode != "down" and rise - least[0] > limit:
            return Drift(i, least[1] + 1, "up")
        if mode != "up" and most[0] - fall > limit:
            return Drift(i, most[1] + 1, "down")
    return Drift(None, None, None)


def change_point(values: Sequence[Number]) -> int | None:
    """The first value of the new level: one shift of the mean by least squares over the whole series, exactly.

    Hinkley 1970: the k that maximises S_k^2 / (k (n - k)), S the running sum of deviations from the mean of all; the
    first of equals. None where no split explains anything.
    """
    numbers = exacts(values)
    average = mean(numbers)
    if average is None:
        return None
    n, running = len(numbers), Fraction()
    best, found = Fraction(), None
    for k, x in enumerate(numbers[:-1], 1):
        running += x - average
        explained = running * running / (k * (n - k))
        if explained > best:
            best, found = explained, k
    return found
