"""The audited set `events`, read back in the order in which the events once arrived."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from twin.audit import filelist, intervals, layout
from twin.columns import in_order
from twin.events.declare import WIRE
from twin.plant.model import Plant
from twin.results import INDEX, ORIGIN, SETS
from twin.sources.blocks import empty, slices
from twin.sources.share import Share
from twin.sources.source import BLOCK_EVENTS, Batch, SourceError
from twin.sources.summary import Summary
from twin.wire.decode import Decoder

_PARTITION, _OFFSET = ORIGIN[1], ORIGIN[2]
# What orders events by arrival, the place within the record where a file has it.
_KEYS = (_PARTITION, _OFFSET, INDEX)
_LINE = "line"
_PLACES = 48  # bits of an offset: partition and offset as one number, in the order of reading


@dataclass(frozen=True, slots=True, order=True)
class _File:
    partition: int
    first: int
    last: int
    name: str
    path: Path
    size: int
    rises: bool  # its rows stand in order of arrival


class EventsParquet:
    """The events of an audit root (a folder with `events/`), of any folder of its files, or of single files.

    Partition by partition, by offset, and within a record as the file has it. Nothing is added at the end: what closed
    the rows then closes them again. Raises SourceError when a file is not readable: a replay must not skip silently.
    """

    numbered = True
    named = False
    closes = False

    def __init__(self, path: Path, plant: Plant) -> None:
        self.name = str(path)
        self.summary = Summary()
        self.position = 0
        self._decoder = Decoder(plant)
        listed = _listed(path)
        self._files = sorted(listed.get(file) or _ranged(file) for file in event_files(path))
        self._share: Share | None = None
        self.size = sum(file.size for file in self._files)
        for told in (*_waiting(path), *_states(path)):
            self.summary.note(told)

    def only(self, share: Share) -> None:
        """Leave out what is not of this share, before it is decoded."""
        self._share = share

    def __iter__(self) -> Iterator[Batch]:
        for group in _overlapping(self._files):
            for table in _in_order(group, self._share):
                offset = _integers(table, _OFFSET)
                for i in range(0, len(offset), BLOCK_EVENTS):
                    rows = slice(i, i + BLOCK_EVENTS)
                    yield from self._decoded(table.slice(i, BLOCK_EVENTS), offset[rows], group[0])
            self.position += sum(file.size for file in group)

    def _decoded(self, table: pa.Table, offsets: "np.ndarray[Any, np.dtype[np.int64]]", file: _File) -> Iterator[Batch]:
        path = file.path
        self.summary.rows += table.num_rows
        try:
            rows = table.drop_columns([name for name in table.column_names if name in ORIGIN])
            block, refused = self._decoder.decode_rows(rows, offsets)
        except ValueError as error:
            raise SourceError(f"{path}: {error}; is it a file of the set events?") from error
        self.summary.told += len(block)
        self.summary.unusable += table.num_rows - len(block)
        for one in refused:
            at = (file.partition << _PLACES) + one.offset
            self.summary.reject(one.reason, f"{path}: offset {one.offset}: {one.detail}", at)
        for part in slices(block, BLOCK_EVENTS) or [empty()]:
            self.summary.count_events(part)
            if len(part) or refused:
                yield part, refused
            refused = []


def event_files(path: Path) -> list[Path]:
    """The files of an audit root, of a folder, or the one that is named. Raises SourceError: there are none;
    AuditError: one that is listed is not there."""
    if not path.is_dir():
        return [path]
    if (path / layout.FILES).is_dir():  # what is not listed is none of it, and what is listed and not there is told
        listed = [file.path for file in intervals.contents(path).files("events")]
        if not listed:
            raise SourceError(f"{path}: no events are published in this audit root")
        return listed
    folder = path / "events" if (path / "events").is_dir() else path
    found = sorted(
        file
        for file in folder.rglob("*.parquet")
        if not any(part[0] in "._" for part in file.relative_to(folder).parts)
        and layout.columns_of(f"events/{file.parent.name}/{file.name}") is None
    )
    if not found:
        raise SourceError(f"{path}: no events in this folder; name an audit root, its events/ or a Parquet file")
    return found


def _listed(root: Path) -> dict[Path, _File]:
    """The files of an audit root that its list names. Their names say what is in them, and their rows stand in order of
    arrival: to find that out from their rows took longer than to read all that follows from them.
    """
    found = {}
    for partition, entries in (filelist.entries(root) if root.is_dir() else {}).items():
        for entry in entries:
            for file in filelist.published_files([entry], root):
                if file.set == "events" and file.path.exists():
                    last = max(entry.next_offset - 1, entry.first_offset)
                    size = file.path.stat().st_size
                    found[file.path] = _File(
                        partition, entry.first_offset, last, str(file.path), file.path, size, rises=True
                    )
    return found


def _waiting(root: Path) -> Iterator[str]:
    """A word about committed events that are in no file yet: a worker publishes them later, and they are not read."""
    if not (root / layout.WAITING).is_dir():
        return
    for partition, pieces in sorted(intervals.contents(root).waiting.items()):
        first, following = min(one.first_offset for one in pieces), max(one.next_offset for one in pieces)
        if following > first:
            yield (
                f"{root}: rows of offsets {first} to {following - 1} of partition {partition} wait for a file and are "
                "not read; wait for TAKTWIN_PUBLISH_AFTER_S, or stop the worker, and replay again"
            )


def _states(root: Path) -> Iterator[str]:
    """A word about partitions that begin with a state, behind a prune or a move: a replay begins without it."""
    for partition, entries in sorted((filelist.entries(root) if root.is_dir() else {}).items()):
        first = min(entry.first_offset for entry in entries)
        if any(entry.next_offset == first for entry in entries):
            yield (
                f"{root}: partition {partition} begins at offset {first} with a state whose events are not in this "
                "root, and the replay without it: rows that rest on what was before come out as others"
            )


def _ranged(path: Path) -> _File:
    """A file with the range of its offsets."""
    try:
        with pq.ParquetFile(path) as parquet:
            names = parquet.schema_arrow.names
            if _PARTITION not in names or _OFFSET not in names:
                raise SourceError(f"{path}: has no {_PARTITION} and {_OFFSET}; name files of the set events")
            partitions, offsets, rises = _ranges(parquet, [name for name in _KEYS if name in names])
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        raise SourceError(f"{path}: cannot be read ({error}); restore it from a copy") from error
    return _File(partitions[0], offsets[0], offsets[1], str(path), path, path.stat().st_size, rises)


def _ranges(parquet: pq.ParquetFile, keys: list[str]) -> tuple[tuple[int, int], tuple[int, int], bool]:
    """Least and greatest partition and offset of a file, and whether its rows stand in order of arrival.

    Not from the statistics of the footer, which would be quicker: over damaged ones Arrow 26 ends the process (an
    exception of C++ that nobody catches, found by fuzzing).
    """
    limits: list[list[int]] = [[], []]
    rises, last = True, [-(2**63)] * len(keys)
    for group in range(parquet.num_row_groups):
        table = parquet.read_row_group(group, columns=keys)
        if not table.num_rows:
            continue
        columns = [_integers(table, name) for name in keys]
        for found, column in zip(limits, columns, strict=False):
            found += [int(column.min()), int(column.max())]
        rises = rises and last <= [int(column[0]) for column in columns] and in_order(columns)
        last = [int(column[-1]) for column in columns]
    partitions, offsets = ((min(found), max(found)) if found else (0, 0) for found in limits)
    return partitions, offsets, rises


def _overlapping(files: Sequence[_File]) -> Iterator[list[_File]]:
    """Files that share offsets belong together: one interval writes a file per date."""
    group: list[_File] = []
    for file in files:
        if group and (file.partition != group[0].partition or file.first > max(one.last for one in group)):
            yield group
            group = []
        group.append(file)
    if group:
        yield group


def _in_order(group: Sequence[_File], share: Share | None) -> Iterator[pa.Table]:
    """The rows of files that belong together, in order of arrival."""
    if len(group) == 1 and group[0].rises:
        before = -1
        for table in _row_groups(group[0].path, (_OFFSET,), share):
            offset = _integers(table, _OFFSET)
            if len(offset) and (offset[0] < before or not in_order([offset])):
                raise SourceError(
                    f"{group[0].path}: its rows do not stand in order of arrival, so no twin wrote it as it is; "
                    "`twin audit verify` says more"
                )
            before = int(offset[-1]) if len(offset) else before
            yield table
        return
    parts = [part for file in group for part in _row_groups(file.path, _KEYS, share)]
    if not parts:
        return
    table = pa.concat_tables(parts, promote_options="permissive")
    keys = [_integers(table, name) for name in _KEYS if name in table.column_names]
    if not in_order(keys):
        table = table.take(np.lexsort(keys[::-1]))
    yield table


def _row_groups(path: Path, origin: Sequence[str], share: Share | None) -> Iterator[pa.Table]:
    """A file's events, or those of a share; of the columns that say where they came from only `origin`."""
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as parquet:
            unread = set(ORIGIN).difference(origin)
            there = {field.name: field for field in parquet.schema_arrow if field.name not in unread}
            said = _said(parquet)
            # In the order of the set, what the file leaves out among them.
            fields = [there.get(f.name, f) for f in SETS["events"] if f.name in there or f.name in said]
            schema = pa.schema([*fields, *(f for name, f in there.items() if name not in SETS["events"].names)])
            absent = said.intersection(schema.names)
            read = [name for name in schema.names if name not in absent]
            for group in range(parquet.num_row_groups):
                mine = _mine(parquet, group, share, _LINE in read) if share is not None else None
                if mine is not None and not mine.any():
                    continue
                # Arrow's threads would take the time from the steps that run beside this one.
                table = parquet.read_row_group(group, columns=read, use_threads=False)
                if mine is not None and not mine.all():
                    table = table.filter(pa.array(mine))
                yield _complete(table, schema) if absent else table
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        raise SourceError(f"{path}: cannot be read ({error}); restore it from a copy") from error


def _mine(parquet: pq.ParquetFile, group: int, share: Share, said: bool) -> "np.ndarray[Any, np.dtype[np.bool_]]":
    """Which rows of a row group are of the share. To read this one column first costs little, and often spares all."""
    if not said:  # rows without a line
        return np.full(parquet.metadata.row_group(group).num_rows, share.owns(None))
    return share.rows(parquet.read_row_group(group, columns=[_LINE], use_threads=False).column(0))


def _said(parquet: pq.ParquetFile) -> set[str]:
    """Columns of which the footer says that they have no value: to read them takes half of the time of all."""
    pairs: dict[bytes, bytes] = parquet.metadata.metadata or {}
    said = pairs.get(b"taktwin.absent", b"").decode(errors="replace").split(",")
    there = {field.name: field.nullable for field in parquet.schema_arrow}
    return {f.name for f in SETS["events"] if f.name in WIRE and f.name in said and there.get(f.name, f.nullable)}


def _complete(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """With the columns that were not read, null throughout."""
    there = set(table.column_names)
    columns: list[Any] = [table.column(f.name) if f.name in there else _nulls(f.type, table.num_rows) for f in schema]
    return pa.Table.from_arrays(columns, schema=schema)


@lru_cache(maxsize=16)
def _nulls(kind: pa.DataType, rows: int) -> "pa.Array[Any]":
    """The same ones for every row group of one length: memory that is new is cleared by the system first."""
    return cast("pa.Array[Any]", pa.nulls(rows, cast(Any, kind)))


def _integers(table: pa.Table, column: str) -> "np.ndarray[Any, np.dtype[np.int64]]":
    values: Any = table.column(column).cast(pa.int64())
    if values.null_count:
        values = values.fill_null(0)
    return np.asarray(values.to_numpy(), np.int64)
