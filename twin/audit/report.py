"""What a check of an audit root found: how much was looked at, what differs, what cannot be said."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it was written: where (a file, as far as there is one), which row, and what."""

    file: str  # relative to the root; a partition or the root itself where no single file is meant
    what: str
    row: int | None = None  # from 0 within the file

    def __str__(self) -> str:
        return f"{self.file}{'' if self.row is None else f', row {self.row}'}: {self.what}"


@dataclass(slots=True)
class Head:
    """The end of a partition's chain: written down elsewhere, it proves later that nothing before it was changed."""

    partition: int
    next_offset: int
    sha256: str
    proven_by: str = ""  # what outside the chain names this end; empty: nothing does
    waiting_to: int = 0  # committed rows up to this offset are no file yet, so not in the chain; 0: none wait


class EnoughError(Exception):
    """The first difference was found and no more were asked for."""


@dataclass(slots=True)
class Report:
    """Differences in the order in which they were found, and how much was checked."""

    every: bool = False  # go on after the first difference
    checked: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # what could not be checked, and why
    heads: list[Head] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        return not self.differences

    def differs(self, file: str, what: str, row: int | None = None) -> None:
        """Raises EnoughError unless every difference is wanted."""
        self.differences.append(Difference(file, what, row))
        if not self.every:
            raise EnoughError
