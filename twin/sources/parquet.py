"""The audited set `events`, read back in the order in which the events once arrived."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from twin.columns import in_order, value_range
from twin.plant.model import Plant
from twin.results import INDEX, ORIGIN
from twin.sources.blocks import empty, slices
from twin.sources.source import BLOCK_EVENTS, Batch, SourceError
from twin.sources.summary import Summary
from twin.wire.decode import Decoder

_PARTITION, _OFFSET = ORIGIN[1], ORIGIN[2]


@dataclass(frozen=True, slots=True, order=True)
class _File:
    partition: int
    first: int
    last: int
    name: str
    path: Path
    size: int


class EventsParquet:
    """The events of an audit root (a folder with `events/`), of any folder of its files, or of single files.

    Partition by partition, by offset, and within a record as the file has it. Nothing is added at the end: what closed
    the rows then closes them again. Raises SourceError when a file is not readable: a replay must not skip silently.
    """

    numbered = True
    closes = False

    def __init__(self, path: Path, plant: Plant) -> None:
        self.name = str(path)
        self.summary = Summary()
        self.position = 0
        self._decoder = Decoder(plant)
        self._files = sorted(_ranged(file) for file in _files(path))
        self.size = sum(file.size for file in self._files)

    def __iter__(self) -> Iterator[Batch]:
        for group in _overlapping(self._files):
            table = pa.concat_tables([_read(file.path) for file in group], promote_options="permissive")
            partition, offset = _integers(table, _PARTITION), _integers(table, _OFFSET)
            index = _integers(table, INDEX) if INDEX in table.column_names else np.zeros_like(offset)
            if not in_order([partition, offset, index]):
                order = np.lexsort((index, offset, partition))
                table, offset = table.take(order), offset[order]
            for i in range(0, len(offset), BLOCK_EVENTS):
                rows = slice(i, i + BLOCK_EVENTS)
                yield from self._decoded(table.slice(i, BLOCK_EVENTS), offset[rows], group[0].path)
            self.position += sum(file.size for file in group)

    def _decoded(self, table: pa.Table, offsets: "np.ndarray[Any, np.dtype[np.int64]]", path: Path) -> Iterator[Batch]:
        self.summary.rows += table.num_rows
        try:
            block, refused = self._decoder.decode_table(table, offsets)
        except ValueError as error:
            raise SourceError(f"{path}: {error}; is it a file of the set events?") from error
        for one in refused:
            self.summary.reject(one.reason, f"{path}: offset {one.offset}: {one.detail}")
        for part in slices(block, BLOCK_EVENTS) or [empty()]:
            self.summary.count_events(part)
            if len(part) or refused:
                yield part, refused
            refused = []


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    folder = path / "events" if (path / "events").is_dir() else path
    found = sorted(
        file
        for file in folder.rglob("*.parquet")
        if not any(part[0] in "._" for part in file.relative_to(folder).parts)
    )
    if not found:
        raise SourceError(f"{path}: no events in this folder; name an audit root, its events/ or a Parquet file")
    return found


def _ranged(path: Path) -> _File:
    """A file with the range of its offsets."""
    try:
        with pq.ParquetFile(path) as parquet:
            names = parquet.schema_arrow.names
            if _PARTITION not in names or _OFFSET not in names:
                raise SourceError(f"{path}: has no {_PARTITION} and {_OFFSET}; name files of the set events")
            partitions = value_range(parquet, _PARTITION) or (0, 0)
            offsets = value_range(parquet, _OFFSET) or (0, 0)
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        raise SourceError(f"{path}: cannot be read ({error}); restore it from a copy") from error
    return _File(partitions[0], offsets[0], offsets[1], str(path), path, path.stat().st_size)


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


def _read(path: Path) -> pa.Table:
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as parquet:
            return parquet.read()
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        raise SourceError(f"{path}: cannot be read ({error}); restore it from a copy") from error


def _integers(table: pa.Table, column: str) -> "np.ndarray[Any, np.dtype[np.int64]]":
    values: Any = table.column(column).cast(pa.int64()).combine_chunks()
    return np.asarray(values.to_numpy(zero_copy_only=False), np.int64)
