"""What a family is: what follows from events behind the fold, with a state of its own.

The fold says what was observed, in each line's order (kernels.fold.layout MO), and how far a line's time has come. A
family turns that into rows. Its state of a line is saved and loaded as bytes, in snapshots and in the bases of
revisions alike: a late event is folded again from a base, so a family needs no code for it. It must not matter how the
observations are cut: rows follow from their order and from the times alone.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from twin.measures.catalogue import Declared

I64 = npt.NDArray[np.int64]


class Span(NamedTuple):
    """The instants from `low` on and before `high` (ns) have one shift and production day, of all lines."""

    low: int
    high: int
    shift: int
    day: int


class Observed:
    """What the fold saw, rows (.., N_MO), in each line's order; and of each the shift and production day that end
    there."""

    def __init__(self, rows: I64, dates: Callable[[I64], tuple[I64, I64]], span: Span | None = None) -> None:
        """`dates`: shift and day of each row, asked where a family needs them. `span`: a guess, by the first row."""
        self.rows, self.span, self._ask = rows, span, dates

    @cached_property
    def _dates(self) -> tuple[I64, I64]:
        return self._ask(self.rows)

    @property
    def shift(self) -> I64:
        return self._dates[0]

    @property
    def day(self) -> I64:
        return self._dates[1]

    def some(self, places: npt.NDArray[np.intp]) -> tuple[I64, I64, I64]:
        """Rows, shifts and days of these."""
        if not len(places):
            return self.rows[:0], _NOTHING, _NOTHING
        return self.rows[places], self.shift[places], self.day[places]


_NOTHING: Final = np.empty(0, np.int64)
RAISED: Final = "raised"
CLEARED: Final = "cleared"


class Told(NamedTuple):
    """What a family says beside its rows: an alert, by event time. `subject` tells those of one instant apart."""

    line: int
    station: int
    kind: str
    ts: int
    since: int
    subject: str
    detail: str
    value: float | None = None
    limit: float | None = None
    action: str = RAISED


class Taken(NamedTuple):
    """What a family says at once of observations: doubts as rows of kernels.fold.layout AO, with the measure's number
    as AO_SINCE, and alerts."""

    doubts: list[list[int]]
    alerts: list[Told]


Rows = dict[str, list[Any]]
"""Rows by set: `measures` (twin.measures.rows: Row or Block) and `samples` (twin.measures.points.Point)."""


class Family(Protocol):
    """One family of a partition: the state of all its lines."""

    def take(self, observed: Observed, text: Callable[[int], str | None]) -> Taken:
        """Observations of any lines, in each line's order; `text` of the numbers in them."""

    def rows(self, line: int, until: int) -> Rows:
        """What became certain, all before `until` being observed: each row once, all of one `end` in one call and in an
        order of their own."""

    def go_on(self, other: Any, measures: dict[int, int]) -> None:
        """Take from the same family of another plant what goes on, of measures that are the same: by their numbers."""

    def save(self, line: int) -> bytes:
        """A line's state; equal states give equal bytes, and a line without one none."""

    def load(self, line: int, data: bytes) -> None:
        """Set a line back to what `save` gave; empty: to its beginning, as of a state from before the family was.
        Raises ValueError or msgspec.MsgspecError."""


Make = Callable[[Sequence[Declared], I64], Family | None]
"""Of a plant's measures and of each line's publishing interval (ns): the family, or None where no measure is its."""
