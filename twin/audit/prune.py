"""Retention: the oldest days of a root go, and what is left says so and can still be proven.

    ROOT/_files/p{partition}/pruned.json      where the partition begins since, what stood before, who and when

Only whole intervals go, from the front, as long as every row is older than asked; and only up to a base, so that what
stays can be computed again from there. The record is written first, durably: from then on nobody reads what is before
it. The first file that stays names the SHA-256 of the last one that went: a record that somebody made up does not fit.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from twin.audit import AuditError, filelist, layout
from twin.audit.filelist import Entry, Pruned
from twin.audit.intervals import Interval, contents, intervals
from twin.audit.layout import PublishedFile
from twin.audit.read import chain_end, footer_of


@dataclass(frozen=True, slots=True)
class Cut:
    """What goes of one partition: up to, not including, `offset`."""

    partition: int
    offset: int
    files: int
    bytes: int
    first_date: str
    last_date: str
    left: str = ""  # why nothing goes, or less than is older


def plan(
    root: Path | str, before: str, *, without_base: bool = False, keep_from: Mapping[int, int] | None = None
) -> list[Cut]:
    """What `prune` would take away. Raises AuditError."""
    found = contents(layout.existing_root(root))
    return [cut_of(mine, before, without_base, keep_from or {}) for mine in found.published.values() if mine]


def prune(
    root: Path | str,
    before: str,
    *,
    by: str,
    at: str,
    without_base: bool = False,
    keep_from: Mapping[int, int] | None = None,
) -> list[Cut]:
    """Take away the intervals whose rows are all of UTC dates before this one. May be repeated after a kill.

    `by` and `at` (a time, RFC 3339) are kept for those who ask later. `without_base`: also where nothing that stays can
    be computed again. `keep_from`: partition -> offset from which a worker may need its files; the newest interval
    always stays. Workers only add; a reader at work may find a file gone, and says so. Raises AuditError.
    """
    base = layout.existing_root(root)
    found = contents(base)
    cuts = []
    try:
        for partition, mine in found.published.items():
            cut = cut_of(mine, before, without_base, keep_from or {})
            cuts.append(cut)
            if cut.files:
                _record(base, partition, mine, cut, before, by, at)
        for record in filelist.pruned(base).values():
            _remove(base, record)
    except OSError as error:
        raise AuditError(f"{error.filename or base}: {error.strerror}; call prune again when it is mended") from error
    return cuts


def _size(file: PublishedFile) -> int:
    return file.path.stat().st_size


def cut_of(
    mine: Sequence[Interval],
    before: str,
    without_base: bool,
    keep_from: Mapping[int, int],
    size: Callable[[PublishedFile], int] = _size,
) -> Cut:
    """The newest interval always stays: without it nothing would say where the chain stands."""
    begin, stays = mine[0].first_offset, keep_from.get(mine[0].partition, mine[-1].next_offset)
    old = [one for one in mine[:-1] if one.next_offset <= stays]
    older = list(itertools.takewhile(lambda one: all(date < before for date in _dates(one)), old))
    while older and not _dates(older[-1]):
        older.pop()  # of no date that can be trusted: as new as what follows
    end, left = (older[-1].next_offset if older else begin), ""
    if older and not without_base:
        usable = [one.first_offset for one in mine if one.first_offset == one.next_offset <= end]
        left = "" if usable else "there is no base, so nothing that stays could be computed again"
        end = max(usable, default=begin)
    files = [file for one in mine if goes(one, end) for file in one.files]
    dates = sorted(date for one in mine if goes(one, end) for date in _dates(one))
    first, last = (dates[0], dates[-1]) if dates else ("", "")
    return Cut(mine[0].partition, end, len(files), sum(map(size, files)), first, last, left)


def _dates(one: Interval) -> set[str]:
    """Of its rows. What was refused may claim any time at all, and goes with the rows it came among."""
    return {file.date for file in one.files if file.set != "rejected"}


def goes(one: Interval | Entry, offset: int) -> bool:
    """Whether an interval, or its entry in the list, goes at a cut; the base at the cut stays."""
    return one.first_offset < offset and one.next_offset <= offset


def _record(root: Path, partition: int, mine: Sequence[Interval], cut: Cut, before: str, by: str, at: str) -> None:
    gone = [file for one in mine if goes(one, cut.offset) for file in one.files]
    stays = [file for one in mine if not goes(one, cut.offset) for file in one.files]
    last = chain_end(gone[-1])
    check_names(footer_of(stays[0]), last, stays[0].path, gone[-1].path)
    filelist.put_pruned(root, record_of(cut, last, before, by, at, filelist.pruned(root).get(partition)))


def check_names(keys: Mapping[str, str], last: str, first: Path | str, gone: Path | str) -> None:
    """The footer of the `first` file that stays names the last one that goes. Raises AuditError."""
    if keys.get("previous_sha256") != last:
        raise AuditError(
            f"{first}: does not name {gone} as the file before it; see what twin audit verify says before anything is "
            "taken away"
        )


def record_of(cut: Cut, last: str, before: str, by: str, at: str, old: Pruned | None) -> Pruned:
    """What is said of a cut, and of those before it; `last`: SHA-256 of the last file that goes."""
    files, size = (old.files, old.bytes) if old is not None else (0, 0)
    files, size = files + cut.files, size + cut.bytes
    return Pruned(filelist.FORMAT, cut.partition, cut.offset, last, before, by, at, files, size)


def _remove(root: Path, record: Pruned) -> None:
    """Entries first: then whoever comes in between knows that the files are no loss."""
    for entry in filelist.entries(root, record.partition).get(record.partition, []):
        if goes(entry, record.first_offset):
            (root / entry.name).unlink(missing_ok=True)
    folders = set()
    for one in intervals(root).get(record.partition, []):
        if goes(one, record.first_offset):
            for file in one.files:
                file.path.unlink(missing_ok=True)
                folders.add(file.path.parent)
    for folder in folders:
        if not any(folder.iterdir()):
            folder.rmdir()
