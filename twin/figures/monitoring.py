"""Process monitoring against a normal reference: Shewhart and CUSUM of single columns, Hotelling's T2 of all.

Source: Montgomery, chapter 11; Chiang, Russell and Braatz, Fault Detection and Diagnosis. Detection delays depend on
columns, limits and rules: state them with the number.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from twin.figures.special import f_ppf

F64 = npt.NDArray[np.float64]


def z_scores(reference: F64, test: F64) -> F64:
    """(x - mean) / s of the reference (n - 1), one column."""
    s = float(np.std(reference, ddof=1))
    if s == 0:
        raise ValueError("the reference has no spread: no z")
    return np.asarray((test - np.mean(reference)) / s, np.float64)


def beyond(z: F64, limit: float = 3.0) -> list[int]:
    """Indices strictly outside +- limit."""
    return [int(i) for i in np.flatnonzero(np.abs(z) > limit)]


def cusum_signals(z: F64, k: float, h: float, reset: bool = True) -> list[int]:
    """Indices at which either side is strictly above h; with `reset` both sums begin anew behind a signal."""
    above = below = 0.0
    found = []
    for i, value in enumerate(z.tolist()):
        above = max(0.0, value - k + above)
        below = max(0.0, -value - k + below)
        if above > h or below > h:
            found.append(i)
            if reset:
                above = below = 0.0
    return found


@dataclass(frozen=True, slots=True)
class Hotelling:
    t2: F64
    limit: float

    def hits(self) -> list[int]:
        return [int(i) for i in np.flatnonzero(self.t2 > self.limit)]


def hotelling(reference: F64, test: F64, p: float = 0.99) -> Hotelling:
    """T2 of each test row; limit m (n - 1) (n + 1) / (n (n - m)) F(p; m, n - m) for new observations."""
    n, m = reference.shape
    if n <= m:
        raise ValueError(f"{n} reference rows of {m} columns: more rows than columns are needed")
    centre = reference.mean(axis=0)
    covariance = np.cov(reference, rowvar=False, ddof=1)
    away = test - centre
    t2 = np.einsum("ij,ij->i", away, np.linalg.solve(covariance, away.T).T)
    return Hotelling(t2, m * (n - 1) * (n + 1) / (n * (n - m)) * f_ppf(p, m, n - m))


def first_run(hits: list[int], length: int, start: int = 0) -> int | None:
    """The first index of the first `length` hits in a row at or after `start`."""
    found = set(hits)
    return next((i for i in hits if i >= start and all(i + j in found for j in range(length))), None)
