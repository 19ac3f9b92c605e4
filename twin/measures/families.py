"""The families of a partition (`twin.measures.protocol` says what one is): those that there are, and their states."""

from collections.abc import Callable, Iterable
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from kernels.fold import layout as at
from twin.measures.budgets import Budgets
from twin.measures.catalogue import declared
from twin.measures.charts import Charts
from twin.measures.protocol import Family, Make, Observed, Rows, Told
from twin.measures.totals import Totals
from twin.measures.units import Units
from twin.plant.calendar import NO_SHIFT
from twin.plant.model import Plant

I64 = npt.NDArray[np.int64]

# The name stands in snapshots. Whoever adds a family adds a module and a line here; that is all.
FAMILIES: Final[dict[str, Make]] = {
    "totals": Totals.of,
    "charts": Charts.of,
    "budgets": Budgets.of,
    "units": Units.of,
}


class Families:
    """Those of one partition. A plant without measures has none, and pays nothing."""

    def __init__(self, plant: Plant, publish_ns: I64) -> None:
        self._measures = measures = declared(plant)
        made = {name: make(measures, publish_ns) for name, make in FAMILIES.items()} if measures else {}
        self._all: dict[str, Family] = {name: family for name, family in made.items() if family is not None}

    def __bool__(self) -> bool:
        return bool(self._all)

    def take(self, observed: Observed, text: Callable[[int], str | None]) -> tuple[I64, list[Told]]:
        """Rows of N_AO: what casts doubt on the observations; and alerts."""
        taken = [family.take(observed, text) for family in self._all.values()]
        doubts = [row for one in taken for row in one.doubts]
        return np.array(doubts, np.int64).reshape(-1, at.N_AO), [told for one in taken for told in one.alerts]

    def warm(self) -> Rows:
        """Compile, or load, what a fold needs, by a value of every measure of a line, for a state that nobody needs.

        Returns the rows of that, of which the caller makes tables.
        """
        some = [(k, one) for k, one in enumerate(self._measures) if one.line == self._measures[0].line]
        rows = np.zeros((len(some), at.N_MO), np.int64)
        rows[:, [at.MO_ORDER, at.MO_PRODUCT]] = -1
        for row, (number, one) in zip(rows, some, strict=True):
            row[[at.MO_LINE, at.MO_STATION, at.MO_MEASURE]] = one.line, one.station, number
        if not some:
            return {}
        line = some[0][1].line
        shift, day = np.full(len(rows), NO_SHIFT), np.zeros(len(rows), np.int64)
        self.take(Observed(rows, lambda _: (shift, day)), lambda _: None)
        self.load(line, self.save(line))
        return self.rows([(line, at.FAR)])

    def rows(self, lines: Iterable[tuple[int, int]]) -> Rows:
        """Rows of these lines (number, until)."""
        found: Rows = {}
        for line, until in lines:
            for family in self._all.values():
                for name, rows in family.rows(line, until).items():
                    found.setdefault(name, []).extend(rows)
        return {name: rows for name, rows in found.items() if rows}

    def go_on(self, other: "Families", measures: dict[int, int]) -> None:
        """What goes on of lines that are others now, and whose open rows were written; `measures` there and here."""
        for name, family in self._all.items():
            if name in other._all:
                family.go_on(other._all[name], measures)

    def save(self, line: int) -> dict[str, bytes]:
        saved = {name: family.save(line) for name, family in self._all.items()}
        return {name: data for name, data in saved.items() if data}

    def load(self, line: int, saved: dict[str, bytes]) -> None:
        """ValueError: damaged, or of a family that is not known."""
        if unknown := sorted(set(saved) - set(self._all)):
            raise ValueError(f"holds the state of a family {unknown[0]}, which this version or plant does not have")
        for name, family in self._all.items():
            try:
                family.load(line, saved.get(name, b""))
            except (ValueError, msgspec.MsgspecError) as fault:
                raise ValueError(f"family {name}: {fault}") from fault
