"""OEE from additive integers: loss policies as data, factors, ratios, and throughput effectiveness of a line.

A loss policy gives each time class one role. Nothing else tells the four policies apart, so one set of sums serves
them all, and a changed policy can be applied to rows written years ago.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from kernels.codes import (
    BLOCKED,
    GOOD,
    IDEAL_NS,
    MAINTENANCE,
    MINOR_STOP,
    N_CLASSES,
    NO_ORDER,
    OFF_SHIFT,
    PLANNED_STOP,
    REWORK,
    RUNNING,
    SCRAP,
    SETUP,
    STARVED,
    UNKNOWN,
    WAITING,
)
from kernels.jit import kernel

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
I8 = npt.NDArray[np.int8]
B1 = npt.NDArray[np.bool_]

# Roles. Planned (busy) time is the sum of the last three.
NO_DATA: Final = 0  # unknown time: outside planned time, and reported beside it
NOT_SCHEDULED: Final = 1
PLANNED_DOWN: Final = 2  # scheduled, but not planned for production
AVAILABILITY_LOSS: Final = 3
PERFORMANCE_LOSS: Final = 4
PRODUCTION: Final = 5
ROLE_NAMES: Final = (
    "no data",
    "not scheduled",
    "planned down",
    "availability loss",
    "performance loss",
    "production",
)


@dataclass(frozen=True, slots=True)
class Policy:
    """One role per time class, in the order of `kernels.codes`, and where the reading comes from."""

    id: str
    source: str
    roles: tuple[int, ...]


def _policy(id: str, source: str, *, not_scheduled: set[int], planned_down: set[int], performance: set[int]) -> Policy:
    """Every class not named is an availability loss: time nobody can explain away counts against the station."""
    roles = [AVAILABILITY_LOSS] * N_CLASSES
    roles[UNKNOWN] = NO_DATA
    roles[RUNNING] = PRODUCTION
    for classes, role in (
        (not_scheduled, NOT_SCHEDULED),
        (planned_down, PLANNED_DOWN),
        (performance, PERFORMANCE_LOSS),
    ):
        for time_class in classes:
            roles[time_class] = role
    return Policy(id, source, tuple(roles))


POLICIES: Final[dict[str, Policy]] = {
    policy.id: policy
    for policy in (
        _policy(
            "iso22400",
            "ISO 22400-2: availability = actual production time / planned busy time",
            not_scheduled={OFF_SHIFT},
            planned_down={PLANNED_STOP, NO_ORDER},
            performance=set(),
        ),
        _policy(
            "nakajima",
            "Nakajima 1988 (TPM): loading time; idling and minor stoppages are speed losses",
            not_scheduled={OFF_SHIFT},
            planned_down={PLANNED_STOP, NO_ORDER, MAINTENANCE},
            performance={STARVED, BLOCKED, MINOR_STOP, WAITING},
        ),
        _policy(
            "semi_e10",
            "SEMI E10/E79-like: standby time is uptime not used, over operations time",
            not_scheduled={OFF_SHIFT, PLANNED_STOP},
            planned_down=set(),
            performance={NO_ORDER, STARVED, BLOCKED, WAITING},
        ),
        _policy(
            "changeover_performance",
            "vendor-like: as iso22400, but changeovers and minor stops are performance losses",
            not_scheduled={OFF_SHIFT},
            planned_down={PLANNED_STOP, NO_ORDER},
            performance={SETUP, MINOR_STOP},
        ),
    )
}


def policy_matrix(names: tuple[str, ...] = tuple(POLICIES)) -> I8:
    """Roles as int8 (policies, 12), a row per name. KeyError for a name that is not shipped."""
    return np.array([POLICIES[name].roles for name in names], dtype=np.int8)


@kernel
def factors(vectors: I64, roles: I8) -> tuple[I64, I64, I64, I64]:
    """Integers from which every ratio is made, for each row: planned_ns, operating_ns, total, unknown_ns.

    `vectors` int64 (rows, >= 17): ns per time class, then the counts, as in `kernels.codes`. `roles` int8 (12,).

    - planned_ns: production + performance losses + availability losses (ISO 22400-2 planned busy time, Nakajima's
      loading time). Denominator of availability.
    - operating_ns: production + performance losses. Numerator of availability and denominator of performance, under
      each policy the same time: otherwise OEE would not be the share of planned time that made good parts.
    - total: good + scrap + rework. Denominator of quality.
    - unknown_ns: time without data, in none of the others.
    """
    rows = vectors.shape[0]
    planned = np.zeros(rows, np.int64)
    operating = np.zeros(rows, np.int64)
    total = np.zeros(rows, np.int64)
    unknown = np.zeros(rows, np.int64)
    for i in range(rows):
        for c in range(N_CLASSES):
            role = roles[c]
            if role >= AVAILABILITY_LOSS:
                planned[i] += vectors[i, c]
                if role >= PERFORMANCE_LOSS:
                    operating[i] += vectors[i, c]
            elif role == NO_DATA:
                unknown[i] += vectors[i, c]
        total[i] = vectors[i, GOOD] + vectors[i, SCRAP] + vectors[i, REWORK]
    return planned, operating, total, unknown


# Columns of `ratios`.
AVAILABILITY: Final = 0
PERFORMANCE: Final = 1
QUALITY: Final = 2
OEE: Final = 3


@kernel
def ratios(vectors: I64, roles: I8) -> tuple[F64, B1]:
    """Availability, performance, quality and OEE as float64 (rows, 4), and per row whether it is suspect.

    For several stations or panes: sum their vectors first. The mean of ratios is not the ratio of the whole.

    availability = operating_ns / planned_ns, performance = ideal_ns / operating_ns, quality = good / total
    (ISO 22400-2; Nakajima 1988), OEE their product. NaN where the denominator is zero, and OEE is NaN where a factor
    is: a station that made nothing has no performance, and 0 would be an invented value; so it would be where parts
    have no ideal time at all: nobody says how fast they should have been made. Performance over 1 is
    left as it is and the row is suspect: an ideal cycle time is too long, or parts were counted outside running time.
    Good parts below zero (scrap that was reported later than it was made) make a suspect row without a quality.
    """
    planned, operating, total, _ = factors(vectors, roles)
    rows = vectors.shape[0]
    out = np.full((rows, 4), np.nan)
    suspect = np.zeros(rows, np.bool_)
    for i in range(rows):
        if planned[i] > 0:
            out[i, AVAILABILITY] = operating[i] / planned[i]
        if operating[i] > 0 and (vectors[i, IDEAL_NS] != 0 or total[i] <= 0):
            out[i, PERFORMANCE] = vectors[i, IDEAL_NS] / operating[i]
        if total[i] > 0 and vectors[i, GOOD] >= 0:
            out[i, QUALITY] = vectors[i, GOOD] / total[i]
        out[i, OEE] = out[i, AVAILABILITY] * out[i, PERFORMANCE] * out[i, QUALITY]
        suspect[i] = vectors[i, IDEAL_NS] > operating[i] or vectors[i, GOOD] < 0
    return out, suspect
