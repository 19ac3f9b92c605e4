"""What replaces a snapshot that is lost or damaged: an older one, and a replay that has to agree with the audit.

A state is a function of the log before its offset, whoever wrote it. So any older snapshot, or none, leads to the same
state again; only the rows that are published already must not be published twice. They are made again all the same,
interval by interval as the files say, and compared with the files by digest: so the state that goes on from there is
known to be the one that wrote them, and an interval that is not whole cannot pass unnoticed. Where the plant has
changed since, each interval is replayed under the model that its footer names, and the state goes over where they do.

Rejected: to believe the published offsets without the comparison. It costs a read of what is replayed anyway, and is
the difference between "it should be the same" and "it is".
"""

import contextlib
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from twin import rules
from twin.audit import AuditError, durable, filelist, layout, waiting
from twin.audit.compare import hashes_of, unmatched
from twin.audit.filelist import Entry
from twin.audit.intervals import Interval, unlisted, waiting_intervals, with_unlisted
from twin.audit.layout import PublishedFile
from twin.audit.read import UNREADABLE, chain_end, completed, footer, keys_of, listed_as, open_file, schema_version
from twin.audit.rows import integers
from twin.audit.writer import GENESIS
from twin.events.reasons import INTERNAL_ERROR
from twin.results import ORIGIN, SCHEMA_VERSION, SETS

log = logging.getLogger(__name__)

_OFFSET: Final = ORIGIN[2]


class DisagreementError(Exception):
    """A replay made other rows than are published: says of which offsets and set."""


def intervals(audit: Path, partition: int) -> list[Interval]:
    """The published intervals of a partition by rising offset, the gaps between them (no rows) included."""
    found: list[Interval] = []
    record = filelist.pruned(audit).get(partition)
    end = record.first_offset if record is not None else 0
    for one in with_unlisted(audit, partition):
        if one.first_offset > end:
            found.append(Interval(partition, end, one.first_offset))
        found.append(one)
        end = one.next_offset
    return found


def with_waiting(audit: Path, partition: int, published: list[Interval]) -> tuple[list[Interval], list[waiting.Rows]]:
    """The intervals and behind them the committed rows that wait: whoever reads the root sees both. And these alone.

    What is damaged of them is set aside, as a damaged staged file is: its rows are made again. Raises AuditError.
    """
    end = published[-1].next_offset if published else 0
    try:
        for path in waiting.visible(audit, partition):
            try:
                waiting.read(path)
            except AuditError as error:
                if isinstance(error.__cause__, OSError):
                    raise
                log.warning("%s; it is set aside", error)
                waiting.set_aside(path)
        behind = waiting_intervals(waiting.visible(audit, partition), end)
    except FileNotFoundError as error:
        raise AuditError(f"{error.filename}: taken away meanwhile: does another worker use this root?") from error
    return [*published, *behind], [one.rows for one in behind if one.rows is not None]


def list_behind(audit: Path, partition: int) -> None:
    """List what was published but for its entry, and is known to be whole by now. Raises AuditError, OSError."""
    for one in unlisted(audit, partition):
        files = tuple(listed_as(audit, file) for file in one.files)
        filelist.put(audit, Entry(filelist.FORMAT, partition, one.first_offset, one.next_offset, files))


def from_offset(published: list[Interval], offset: int) -> list[Interval] | None:
    """Those that begin at `offset` or later; None when one reaches over it, so that it cannot be compared."""
    if any(one.first_offset < offset < one.next_offset for one in published):
        return None
    if published and published[0].first_offset > offset:
        return None  # what was between was taken away (`twin audit prune`)
    return [one for one in published if one.first_offset >= offset and one.base is None]


def changes(published: list[Interval], offset: int, model: str) -> list[tuple[int, str]]:
    """Where, from `offset` on, the files are of another plant model than before, and of which; up to there of `model`.

    Raises AuditError.
    """
    found = []
    for one in published:
        if one.first_offset < offset or not (one.files or one.rows):
            continue
        if (of := keys_of(one).get("model", model)) != model:
            found.append((one.first_offset, of))
            model = of
    return found


def last_sha256(published: list[Interval]) -> str:
    """Where the chain goes on behind the published intervals."""
    files = [file for one in published for file in one.files]
    return chain_end(files[-1]) if files else GENESIS


def finish(audit: Path, partition: int, last: Interval) -> bool:
    """Publish what is left of an interval that a worker was just publishing when it died. True: there was something.

    The snapshot that named its files is lost, but each file names the hash of the one before it. Raises AuditError,
    OSError.
    """
    folders = {file.path.parent for file in last.files}
    finished = False
    known = {layout.sha256_of(file.path) for file in last.files}
    ends = known - {_previous(file.path) for file in last.files}
    moved = True
    while moved:
        moved = False
        for name in layout.staged(audit, partition):
            path = audit / name
            if path.suffix != ".parquet":
                continue
            _, first, following, set_name, *date, _attempt = path.stem.split("-")
            if (int(first), int(following)) != (last.first_offset, last.next_offset) or _previous(path) not in ends:
                continue
            target = audit / layout.final_name(set_name, "-".join(date), partition, last.first_offset, last.next_offset)
            if not target.exists():
                ends = {layout.sha256_of(path)}
                durable.make_folder(target.parent)
                path.replace(target)
                folders.add(target.parent)
                moved = finished = True
    durable.sync_folders(audit, folders)
    return finished


def _previous(path: Path) -> str | None:
    """SHA-256 of the file before this one, as its footer says; None: no footer can be read."""
    with contextlib.suppress(*UNREADABLE):
        return footer(pq.ParquetFile(path)).get("previous_sha256")
    return None


class CatchUp:
    """The way from an older snapshot to the end of what is published. `boundary` is the next offset to compare at,
    `set_aside` the offsets that were not folded. Raises AuditError.
    """

    def __init__(self, where: str, due: list[Interval], changes: Sequence[tuple[int, str]] = ()) -> None:
        """changes: offsets at which the state goes over to another plant model, each the end of one that is due."""
        self._where = where
        self._due = due
        self._changes = changes
        # What was set aside was not folded, and must not be now, though its fault may have been mended since.
        refused = [table for one in due for table in _rows(one, "rejected", ["reason", _OFFSET])]
        self.set_aside: frozenset[int] = frozenset().union(
            *(
                integers(one.filter(pc.equal(one.column("reason"), pa.scalar(INTERNAL_ERROR)))[_OFFSET]).tolist()
                for one in refused
            )
        )

    @property
    def boundary(self) -> int:
        return self._due[0].next_offset

    @property
    def end(self) -> int:
        return self._due[-1].next_offset

    @property
    def models(self) -> list[str]:
        """The plant models to which the state goes over at `boundary`, one after the other."""
        return [model for at, model in self._changes if at == self.boundary]

    def compare(self, rows: list[tuple[str, pa.Table]]) -> bool:
        """Compare the rows replayed up to `boundary` with what is published. True: that was the last interval.

        Raises DisagreementError, AuditError.
        """
        interval = self._due.pop(0)
        for set_name in SETS:
            # As `recompute` compares: the sentence of a refusal may be put better by the next version.
            # In the columns of the files: they may be of an older version.
            version = _version(interval)
            made = _hashes(set_name, [table for name, table in rows if name == set_name], version)
            there = _hashes(set_name, [completed(set_name, table) for table in _rows(interval, set_name)], version)
            if any(unmatched(there, made)):
                raise DisagreementError(
                    f"{self._where}: offsets {interval.first_offset} to {interval.next_offset} give {len(made)} rows "
                    f"of {set_name} when they are replayed, {len(there)} are published "
                    f"({len(interval.of(set_name))} files), and they differ{_why(interval)}"
                )
        return not self._due


def _why(interval: Interval) -> str:
    """The rules that have changed since an interval was made, if any: it cannot be replayed with today's."""
    try:
        later = rules.since(rules.version(keys_of(interval))) if interval.files or interval.rows else ()
    except ValueError as error:
        return f": they were {error}"
    if not later:
        return ""
    return (
        f". Since they were made these rules have changed: {', '.join(rule.name for rule in later)}. Let the version "
        "that made them write a snapshot, or restore one, before this version goes on"
    )


def _hashes(set_name: str, tables: list[pa.Table], version: int) -> "np.typing.NDArray[np.bytes_]":
    table = pa.concat_tables([SETS[set_name].empty_table(), *tables]).unify_dictionaries()
    return hashes_of(set_name, table, version)


def _version(interval: Interval) -> int:
    if not interval.files and interval.rows is None:
        return SCHEMA_VERSION
    try:
        return schema_version(keys_of(interval))
    except AuditError as error:
        raise AuditError(f"{interval.path}: {error}") from error


def _rows(interval: Interval, set_name: str, columns: list[str] | None = None) -> Iterator[pa.Table]:
    """The rows of a set that an interval holds, as files or waiting."""
    for file in interval.of(set_name):
        yield _read(file, columns)
    table = interval.rows.table(set_name) if interval.rows is not None else None
    if table is not None:
        yield table.select(columns) if columns is not None else table


def _read(file: PublishedFile, columns: list[str] | None = None) -> pa.Table:
    try:
        with open_file(file) as parquet:
            return parquet.read(columns)
    except UNREADABLE as error:
        raise AuditError(f"{file.path}: cannot be read ({error}); restore it from a copy") from error
