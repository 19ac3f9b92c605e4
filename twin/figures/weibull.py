"""Weibull lives by maximum likelihood with right censoring.

Rank regression gives other numbers, in small samples much so: say which estimator. A unit replaced before it fails is
censored, a running unit is censored at its age. Source: NIST/SEMATECH 8.4.1; Meeker and Escobar, chapter 8.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from twin.figures.exact import Number, not_negative, positive


@dataclass(frozen=True, slots=True)
class Weibull:
    """R(t) = exp(-(t / eta)^beta)."""

    beta: float
    eta: float
    loglik: float | None = None

    def __post_init__(self) -> None:
        if not (0 < self.beta < math.inf and 0 < self.eta < math.inf):
            raise ValueError(f"a Weibull life of beta {self.beta}, eta {self.eta}: expected numbers above 0")

    @property
    def mttf(self) -> float:
        return self.eta * math.gamma(1 + 1 / self.beta)

    def life(self, failed: Number) -> float:
        """The age by which a share `failed` has failed: B10 of 1/10."""
        return self.eta * math.pow(-math.log1p(-_share(failed)), 1 / self.beta)

    def hazard(self, t: Number) -> float:
        age = float(not_negative(t, "an age"))
        if age == 0 and self.beta < 1:
            raise ValueError("the hazard at age 0 is infinite for a beta below 1")
        return self.beta / self.eta * math.pow(age / self.eta, self.beta - 1)

    def reliability(self, t: Number) -> float:
        return math.exp(-((float(not_negative(t, "an age")) / self.eta) ** self.beta))

    def conditional(self, t: Number, mission: Number) -> float:
        """The probability to survive a mission at age t."""
        age, more = float(not_negative(t, "an age")), float(not_negative(mission, "a mission"))
        return math.exp((age / self.eta) ** self.beta - ((age + more) / self.eta) ** self.beta)

    def remaining(self, t: Number, failed: Number = "1/2") -> float:
        """The time from age t by which a share `failed` of the survivors has failed: the median by default."""
        age = float(not_negative(t, "an age"))
        more = -math.log1p(-_share(failed))
        return self.eta * math.pow(math.pow(age / self.eta, self.beta) + more, 1 / self.beta) - age


def _share(value: Number) -> float:
    share = float(positive(value, "a share"))
    if share >= 1:
        raise ValueError(f"a share of {value}: expected below 1")
    return share


def fit(failures: Sequence[Number], right_censored: Sequence[Number] = ()) -> Weibull | None:
    """Beta is the root of sum(t^b ln t) / sum(t^b) - 1/b = mean of ln t of failures; eta = (sum(t^b) / r)^(1/b).

    None without a failure, and where the likelihood grows without end: all failures at one time and nothing beyond it.
    """
    failed = [float(positive(one, "a failure time")) for one in failures]
    ages = failed + [float(positive(one, "a censored age")) for one in right_censored]
    if not failed or min(failed) == max(ages):
        return None
    top = max(ages)
    logs = [math.log(one / top) for one in ages]  # at most 0: powers do not overflow
    goal = math.fsum(logs[: len(failed)]) / len(failed)

    def excess(beta: float) -> float:
        powers = [math.exp(beta * one) for one in logs]
        return math.fsum(p * one for p, one in zip(powers, logs, strict=True)) / math.fsum(powers) - 1 / beta - goal

    low = high = 1.0
    while excess(low) > 0:
        low /= 2
    while excess(high) < 0:
        high *= 2
    while True:
        beta = (low + high) / 2
        if not low < beta < high:
            break
        low, high = (beta, high) if excess(beta) < 0 else (low, beta)
    total = math.fsum(math.exp(beta * one) for one in logs)
    eta = top * (total / len(failed)) ** (1 / beta)
    r = len(failed)
    loglik = (
        r * math.log(beta)
        - r * beta * math.log(eta)
        + (beta - 1) * math.fsum(math.log(one) for one in failed)
        - math.fsum((one / eta) ** beta for one in ages)
    )
    return Weibull(beta, eta, loglik)
