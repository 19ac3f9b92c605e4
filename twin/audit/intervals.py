"""The published files of a root as its partitions wrote them: interval by interval, in the order of the chain."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from twin.audit import AuditError, filelist, layout, waiting
from twin.audit.layout import BASES, KINDS, PublishedFile, published

# Each time, rows have to be published while their pieces are read: every quarter of an hour, in a root at work.
_ATTEMPTS = 20

_RANK = {set_name: rank for rank, set_name in enumerate(KINDS)}


@dataclass(frozen=True, slots=True)
class Interval:
    """The files of offsets [first_offset, next_offset) of a partition: in the order of the sets, then of the dates.

    One of no offsets is a base.
    """

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

    @property
    def base(self) -> PublishedFile | None:
        return next((file for file in self.files if file.set == BASES), None)

    def of(self, set_name: str) -> list[PublishedFile]:
        return [file for file in self.files if file.set == set_name]


@dataclass(frozen=True, slots=True)
class Contents:
    """What a reader sees of a root at one moment: what is published, and the committed rows that wait behind it."""

    published: dict[int, list[Interval]] = field(default_factory=dict)
    missing: tuple[PublishedFile, ...] = ()  # listed, but not there
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


def contents(root: Path, *, partly: bool = False) -> Contents:
    """Published and waiting rows that belong together, though workers go on.

    Raises AuditError, also where a listed file is not there, unless `partly`: no rows are left out in silence.
    """
    gone: tuple[PublishedFile, ...] = ()
    for _ in range(_ATTEMPTS):
        # Listed before the files: what waits no more when it is read is in a file then.
        pieces: dict[int, list[Path]] = {}
        for path in waiting.visible(root):
            pieces.setdefault(waiting.offsets_of(path)[0], []).append(path)
        found, missing = _listed(root)
        if missing and not partly and gone != tuple(missing):
            gone = tuple(missing)  # a compaction may just have put another in its place
            continue
        if missing and not partly:
            raise AuditError(
                f"{missing[0].path}: is listed in {root / layout.FILES}, but is not there ({len(missing)} such "
                "files): restore it; `twin audit verify` says more"
            )
        try:
            waits = {p: w for p, mine in pieces.items() if (w := _behind(found.get(p, ()), mine))}
            return Contents(found, tuple(missing), waits)
        except FileNotFoundError:
            continue
    raise AuditError(f"{root / layout.WAITING}: rows were published each time they were to be read; try again")


def _listed(root: Path) -> tuple[dict[int, list[Interval]], list[PublishedFile]]:
    """The intervals of the list, before them those of older versions; and what is listed but not there."""
    entries = filelist.entries(root)
    found = {} if filelist.is_whole(root) else intervals(root)
    missing = []
    for partition, mine in entries.items():
        older = [one for one in found.get(partition, ()) if one.next_offset <= mine[0].first_offset]
        listed = []
        for entry in mine:
            files = tuple(filelist.published_files([entry], root))
            there = tuple(file for file in files if file.path.exists())
            missing += [file for file in files if file not in there]
            listed.append(Interval(partition, entry.first_offset, entry.next_offset, there))
        found[partition] = [*older, *(one for one in listed if one.files)]
    stays = {partition: kept(root, partition, mine) for partition, mine in sorted(found.items())}
    begins = {partition: record.first_offset for partition, record in filelist.pruned(root).items()}
    return stays, [file for file in missing if file.first_offset >= begins.get(file.partition, 0)]


def kept(root: Path, partition: int, found: Sequence[Interval]) -> list[Interval]:
    """Those of a partition's intervals that were not taken away by a `prune` that was perhaps cut off."""
    record = filelist.pruned(root).get(partition)
    return [one for one in found if record is None or one.first_offset >= record.first_offset]


def unlisted(root: Path, partition: int) -> list[Interval]:
    """What lies behind the end of a partition's list, in a root that has one: a worker was just publishing it."""
    mine = filelist.entries(root, partition).get(partition, [])
    if not mine and not filelist.is_whole(root):
        return []
    end = max((entry.next_offset for entry in mine), default=0)
    known = {file.path for file in filelist.published_files(mine, root)}
    behind = [one for one in listed(root, partition).get(partition, []) if one.first_offset >= end]
    return [one for one in behind if not known.issuperset(file.path for file in one.files)]  # a base has no length


def with_unlisted(root: Path, partition: int) -> list[Interval]:
    """A partition's intervals, those included that `unlisted` gives, or that are there in part. Raises AuditError."""
    raw = listed(root, partition).get(partition, [])
    mine = filelist.entries(root, partition).get(partition, [])
    known = {file.path for file in filelist.published_files(mine, root)}
    begin, end = (mine[0].first_offset, max(entry.next_offset for entry in mine)) if mine else (0, 0)
    whole = filelist.is_whole(root)

    def counts(one: Interval) -> bool:
        older = not whole and one.next_offset <= begin
        return older or one.first_offset >= end or any(file.path in known for file in one.files)

    return kept(root, partition, [one for one in raw if counts(one)])


def _behind(found: Sequence[Interval], pieces: Sequence[Path]) -> list[Interval]:
    return waiting_intervals(pieces, found[-1].next_offset if found else 0)


def waiting_intervals(pieces: Sequence[Path], end: int) -> list[Interval]:
    """Those of one partition's pieces that go on from the end of what is published. Raises FileNotFoundError."""
    read = waiting.following(pieces, end)
    return [Interval(one.piece.partition, one.piece.first_offset, one.piece.next_offset, (), one) for one in read]


def intervals(root: Path) -> dict[int, list[Interval]]:
    """Partition -> its intervals by rising offsets, as the folders have them, listed or not.

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

    files = sorted((file for set_name in KINDS for file in published(root, set_name, of)), key=place)
    found: dict[int, list[Interval]] = {}
    key: Callable[[PublishedFile], tuple[int, int, int]] = where
    for (partition, first, following), group in itertools.groupby(files, key):
        found.setdefault(partition, []).append(Interval(partition, first, following, tuple(group)))
    return found
