"""Families: what follows from events behind the fold, each with a state of its own.

The fold says what was observed, in each line's order (kernels.fold.layout MO), and how far a line's time has come. A
family turns that into rows. Its state of a line is saved and loaded as bytes, in snapshots and in the bases of
revisions alike: a late event is folded again from a base, so a family needs no code for it. It must not matter how the
observations are cut: rows follow from their order and from the times alone.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from kernels.fold import layout as at
from twin.measures.catalogue import declared
from twin.measures.totals import Observed, Row, Totals
from twin.plant.model import Plant

I64 = npt.NDArray[np.int64]
TOTALS: Final = "totals"


class Family(Protocol):
    """One family of a partition: the state of all its lines."""

    def take(self, observed: Observed, text: Callable[[int], str | None]) -> list[list[int]]:
        """Observations of any lines, in each line's order; `text` of the numbers in them. Returns what casts doubt on
        them: rows of kernels.fold.layout AO, with the measure's number as AO_SINCE."""

    def rows(self, line: int, until: int) -> list[Row]:
        """What became certain, all before `until` being observed; each row once."""

    def go_on(self, other: Any, measures: dict[int, int]) -> None:
        """Take from the same family of another plant what goes on, of measures that are the same: by their numbers."""

    def save(self, line: int) -> bytes:
        """A line's state; equal states give equal bytes, and a line without one none."""

    def load(self, line: int, data: bytes) -> None:
        """Set a line back to what `save` gave."""


class Families:
    """Those of one partition. A plant without measures has none, and pays nothing."""

    def __init__(self, plant: Plant, publish_ns: I64) -> None:
        measures = declared(plant)
        self._all: dict[str, Family] = {TOTALS: Totals(measures, publish_ns)} if measures else {}

    def __bool__(self) -> bool:
        return bool(self._all)

    def take(self, observed: Observed, text: Callable[[int], str | None]) -> I64:
        """Rows of N_AO: what casts doubt on the observations."""
        doubts = [row for family in self._all.values() for row in family.take(observed, text)]
        return np.array(doubts, np.int64).reshape(-1, at.N_AO)

    def rows(self, lines: Iterable[tuple[int, int]]) -> list[Row]:
        """Rows of these lines (number, until)."""
        return [row for line, until in lines for family in self._all.values() for row in family.rows(line, until)]

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
            except msgspec.MsgspecError as fault:
                raise ValueError(f"family {name}: {fault}") from fault
