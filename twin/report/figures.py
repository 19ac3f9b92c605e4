"""Sums of rows, and what is divided only after summing: ratios, the waterfall from calendar time to good parts."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kernels.codes import CLASS_NAMES, COLUMN_NAMES, GOOD, IDEAL_NS, N_CLASSES, N_COLUMNS, REWORK, SCRAP
from kernels.figures.oee import (
    AVAILABILITY_LOSS,
    NO_DATA,
    NOT_SCHEDULED,
    PERFORMANCE_LOSS,
    PLANNED_DOWN,
    POLICIES,
    PRODUCTION,
    policy_matrix,
    ratios,
)
from twin.audit.rows import integers

I64 = npt.NDArray[np.int64]
COUNTS: Final = ("good", "scrap", "rework", "ideal_ns", "cycles", "cycle_ns", "minor_stops", "downs")
_RATIOS: Final = ("availability", "performance", "quality", "oee")
# The order in which time is lost on its way from the calendar to good parts.
_STEPS: Final = (NOT_SCHEDULED, PLANNED_DOWN, AVAILABILITY_LOSS, PERFORMANCE_LOSS)


def vectors(table: pa.Table) -> I64:
    """int64 (rows, N_COLUMNS) of rows of kpis, in the order of `kernels.codes`; what rows do not have is 0."""
    made = np.zeros((table.num_rows, N_COLUMNS), np.int64)
    for k, name in enumerate(COLUMN_NAMES):
        column = f"{name}_ns" if k < N_CLASSES else name
        if column in table.column_names:
            made[:, k] = integers(table.column(column))
    return made


@dataclass(frozen=True, slots=True)
class Step:
    """One step down: time in ns, and the parts that it would have been at ideal speed; None: that is not known."""

    id: str
    kind: str  # unknown, out, availability, performance, quality, good
    ns: int
    parts: Fraction | None


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one station or line over a span. `vector`: ns per time class and counts, summed; `ns` what rows cover."""

    ns: int
    rows: int
    vector: tuple[int, ...]
    policy: str
    ideal_cycle_ns: int = 0  # of the plant model: to tell parts by where nothing was made; 0: not known

    @classmethod
    def of(cls, plus: pa.Table, minus: pa.Table, policy: str, ideal_cycle_ns: int = 0) -> "Figures":
        """Of rows of kpis as `twin.report.cover` lays them."""
        total = vectors(plus).sum(axis=0) - vectors(minus).sum(axis=0)
        rows = plus.num_rows + minus.num_rows
        return cls(int(total[:N_CLASSES].sum()), rows, tuple(total.tolist()), policy, ideal_cycle_ns)

    @property
    def good(self) -> int:
        return self.vector[GOOD]

    @property
    def made(self) -> int:
        return self.vector[GOOD] + self.vector[SCRAP] + self.vector[REWORK]

    @property
    def ideal_ns(self) -> int:
        return self.vector[IDEAL_NS]

    @property
    def no_ideal(self) -> bool:
        """Whether nobody says how fast what was made should have been."""
        return self.made > 0 and not self.ideal_ns

    @property
    def planned_ns(self) -> int:
        """Planned time of the policy: what availability is a share of."""
        return self._of(AVAILABILITY_LOSS, PERFORMANCE_LOSS, PRODUCTION)

    @property
    def operating_ns(self) -> int:
        return self._of(PERFORMANCE_LOSS, PRODUCTION)

    @property
    def unknown_ns(self) -> int:
        return self._of(NO_DATA)

    def _of(self, *roles: int) -> int:
        return sum(self.vector[c] for c, role in enumerate(POLICIES[self.policy].roles) if role in roles)

    def ratios(self, policy: str | None = None) -> dict[str, float | bool | None]:
        """The four ratios and `suspect`, by the kernel that makes those of the rows. None: nothing to divide by."""
        return ratios_of(self.vector, policy or self.policy)

    def parts_in(self, ns: int) -> Fraction | None:
        """Parts that this time would have made at the ideal speed of what was made, or else of the plant model.

        None: neither is known.
        """
        if self.made > 0 and self.ideal_ns > 0:
            return Fraction(ns * self.made, self.ideal_ns)
        return Fraction(ns, self.ideal_cycle_ns) if self.ideal_cycle_ns else None

    @property
    def lost_parts(self) -> Fraction | None:
        """Good parts that planned time at ideal speed would have made beyond those that it did."""
        ideal = self.parts_in(self.planned_ns)
        return None if ideal is None else ideal - self.good

    def waterfall(self, without_rows_ns: int = 0, ahead_ns: int = 0) -> list[Step]:
        """Every step from calendar time to good parts. Their ns sum to `ns` + `without_rows_ns` + `ahead_ns`.

        `speed` is what remains of the time of production beyond parts x ideal time; below zero: an ideal time that is
        too long, and the row is suspect. `quality` is the ideal time of parts that are not good.
        """
        roles = POLICIES[self.policy].roles
        found = [
            ("ahead", "out", ahead_ns),
            ("no_rows", "unknown", without_rows_ns),
            ("unknown", "unknown", self.unknown_ns),
        ]
        for role in _STEPS:
            kind = {AVAILABILITY_LOSS: "availability", PERFORMANCE_LOSS: "performance"}.get(role, "out")
            found += [(CLASS_NAMES[c], kind, self.vector[c]) for c in range(N_CLASSES) if roles[c] == role]
        found.append(("speed", "performance", self._of(PRODUCTION) - self.ideal_ns))
        bad = self.ideal_ns * (self.made - self.good) // self.made if self.made > 0 else 0
        found += [("quality", "quality", bad), ("good", "good", self.ideal_ns - bad)]
        return [Step(name, kind, ns, self.parts_in(ns)) for name, kind, ns in found]

    def as_dict(self) -> dict[str, Any]:
        classes = {f"{CLASS_NAMES[c]}_ns": self.vector[c] for c in range(N_CLASSES)}
        counts = {name: self.vector[N_CLASSES + 1 + k] for k, name in enumerate(COUNTS)}
        lost = self.lost_parts
        return {
            "covered_ns": self.ns,
            "rows": self.rows,
            "policy": self.policy,
            "planned_ns": self.planned_ns,
            "operating_ns": self.operating_ns,
            "parts": self.made,
            "no_ideal": self.no_ideal,
            "lost_parts": None if lost is None else float(lost),
            **classes,
            **counts,
            **self.ratios(),
        }


def ratios_of(vector: Sequence[int], policy: str) -> dict[str, float | bool | None]:
    """Of one vector; see `kernels.figures.oee.ratios`."""
    found, suspect = ratios(np.array([vector], np.int64), policy_matrix((policy,))[0])
    named: dict[str, float | bool | None] = {
        name: None if np.isnan(value) else float(value) for name, value in zip(_RATIOS, found[0], strict=True)
    }
    return {**named, "suspect": bool(suspect[0])}
