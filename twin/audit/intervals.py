"""The published files of a root as its partitions wrote them: interval by interval, in the order of the chain."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from twin.audit.layout import PublishedFile, published
from twin.results import SETS

_RANK = {set_name: rank for rank, set_name in enumerate(SETS)}


@dataclass(frozen=True, slots=True)
class Interval:
    """The files of offsets [first_offset, next_offset) of a partition: in the order of the sets, then of the dates."""

    partition: int
    first_offset: int
    next_offset: int
    files: tuple[PublishedFile, ...] = ()

    def of(self, set_name: str) -> list[PublishedFile]:
        return [file for file in self.files if file.set == set_name]


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
