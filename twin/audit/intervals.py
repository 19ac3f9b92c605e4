"""The published files of a root as its partitions wrote them: interval by interval, in the order of the chain."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from twin.audit import AuditError, waiting
from twin.audit.layout import PublishedFile, published
from twin.results import SETS

# Each time, rows have to be published while their pieces are read: every quarter of an hour, in a root at work.
_ATTEMPTS = 20

_RANK = {set_name: rank for rank, set_name in enumerate(SETS)}


@dataclass(frozen=True, slots=True)
class Interval:
    """The files of offsets [first_offset, next_offset) of a partition: in the order of the sets, then of the dates."""

    partition: int
    first_offset: int
    next_offset: int
    files: tuple[PublishedFile, ...] = ()
    rows: waiting.Rows | None = None  # committed, and not yet a file

    @property
    def path(self) -> Path:
        """Its first file, or that of its rows that wait."""
        assert self.files or self.rows is not None
        return self.files[0].path if self.rows is None else self.rows.where

    def name(self, root: Path) -> str:
        """Of its first file, relative to the root."""
        return self.path.relative_to(root).as_posix()

    def of(self, set_name: str) -> list[PublishedFile]:
        return [file for file in self.files if file.set == set_name]


@dataclass(frozen=True, slots=True)
class Contents:
    """What a reader sees of a root at one moment: what is published, and the committed rows that wait behind it."""

    published: dict[int, list[Interval]] = field(default_factory=dict)
    waiting: dict[int, list[Interval]] = field(default_factory=dict)

    @property
    def partitions(self) -> list[int]:
        return sorted({*self.published, *self.waiting})

    def of(self, partition: int) -> list[Interval]:
        return [*self.published.get(partition, ()), *self.waiting.get(partition, ())]

    def waiting_tables(self, set_name: str) -> Iterator[pa.Table]:
        """The rows of a set that wait, in the order in which they came. Raises AuditError."""
        for group in self.waiting.values():
            for one in group:
                table = one.rows.table(set_name) if one.rows is not None else None
                if table is not None:
                    yield table

    def files(self, set_name: str) -> list[PublishedFile]:
        """By date, partition and offset."""
        return sorted(file for group in self.published.values() for one in group for file in one.of(set_name))


def contents(root: Path) -> Contents:
    """Published and waiting rows that belong together, though workers go on. Raises AuditError."""
    for _ in range(_ATTEMPTS):
        # Listed before the files: what waits no more when it is read is in a file then.
        pieces: dict[int, list[Path]] = {}
        for path in waiting.visible(root):
            pieces.setdefault(waiting.offsets_of(path)[0], []).append(path)
        found = intervals(root)
        try:
            return Contents(found, {p: w for p, mine in pieces.items() if (w := _behind(found.get(p, ()), mine))})
        except FileNotFoundError:
            continue
    raise AuditError(f"{root / waiting.FOLDER}: rows were published each time they were to be read; try again")


def _behind(found: Sequence[Interval], pieces: Sequence[Path]) -> list[Interval]:
    return waiting_intervals(pieces, found[-1].next_offset if found else 0)


def waiting_intervals(pieces: Sequence[Path], end: int) -> list[Interval]:
    """Those of one partition's pieces that go on from the end of what is published. Raises FileNotFoundError."""
    read = waiting.following(pieces, end)
    return [Interval(one.piece.partition, one.piece.first_offset, one.piece.next_offset, (), one) for one in read]


def intervals(root: Path) -> dict[int, list[Interval]]:
    """Partition -> its intervals by rising offsets.

    An interval that a worker is just publishing may be there in part. The root is listed twice, and what was not
    complete the first time is left out: it is not wrong, it is not there yet.
    """
    before = listed(root)
    settled = {}
    for partition, now in listed(root).items():
        known = set(before.get(partition, ()))
        settled[partition] = [one for one in now if one in known]
    return settled


def listed(root: Path, of: int | None = None) -> dict[int, list[Interval]]:
    """As `intervals`, of all partitions or one, with those that are there in part."""

    def where(file: PublishedFile) -> tuple[int, int, int]:
        return file.partition, file.first_offset, file.next_offset

    def place(file: PublishedFile) -> tuple[tuple[int, int, int], int, str]:
        return where(file), _RANK[file.set], file.date

    files = sorted((file for set_name in SETS for file in published(root, set_name, of)), key=place)
    found: dict[int, list[Interval]] = {}
    key: Callable[[PublishedFile], tuple[int, int, int]] = where
    for (partition, first, following), group in itertools.groupby(files, key):
        found.setdefault(partition, []).append(Interval(partition, first, following, tuple(group)))
    return found
