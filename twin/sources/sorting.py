"""Sorting what does not fit in memory: runs on disk, merged. Equal keys keep the order in which they came."""

import io
import tempfile
from collections.abc import Iterator
from typing import IO, Any, Final, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.ipc

from twin.events.block import DTYPES, INTEGER_COLUMNS, EventBlock
from twin.sources.blocks import WORD_COLUMNS, Words
from twin.sources.table import TextRows

I64 = npt.NDArray[np.int64]
RUN_BYTES: Final = 64 << 20  # sorted in memory at once
_BATCH: Final = 16_384  # rows of a run held while runs are merged
_KEY: Final = "\0key"
_LINE: Final = "\0line"


class Sorter:
    """Tables of one schema in, the same rows in the order of their keys out. Memory: about two runs."""

    def __init__(self, run_bytes: int = RUN_BYTES) -> None:
        self._limit = run_bytes
        self._tables: list[pa.Table] = []
        self._bytes = 0
        self._files: list[IO[bytes]] = []

    def add(self, table: pa.Table, keys: I64) -> None:
        table = table.append_column(_KEY, pa.array(keys))
        self._tables.append(table)
        self._bytes += table.nbytes
        if self._bytes >= self._limit:
            self._spill()

    def rows(self) -> Iterator[pa.Table]:
        """Everything added, sorted, piece by piece."""
        if not self._files:
            if self._tables:
                yield from _pieces(self._take(), _BATCH * 4)
            return
        if self._tables:
            self._spill()
        try:
            yield from _merged([_Run(file) for file in self._files])
        finally:
            for file in self._files:
                file.close()

    def _take(self) -> pa.Table:
        whole = pa.concat_tables(self._tables).combine_chunks()
        self._tables, self._bytes = [], 0
        order = np.argsort(whole.column(_KEY).to_numpy(), kind="stable")
        return whole.take(order)

    def _spill(self) -> None:
        run = self._take()
        # Without a name: gone when the process is.
        file = tempfile.TemporaryFile(prefix="twin-sort-")  # noqa: SIM115 # closed when the rows have been read
        with pa.ipc.new_file(file, run.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
            writer.write_table(run, max_chunksize=_BATCH)
        self._files.append(file)


class _Run:
    """A sorted run on disk, read batch by batch."""

    def __init__(self, file: IO[bytes]) -> None:
        file.seek(0)
        self._reader = pa.ipc.open_file(cast(io.IOBase, file))
        self._next = 0
        self.table: pa.Table | None = None
        self.keys = np.empty(0, np.int64)

    @property
    def finished(self) -> bool:
        return self._next >= self._reader.num_record_batches

    def extend(self) -> None:
        more = pa.Table.from_batches([self._reader.get_batch(self._next)])
        self._next += 1
        self.table = more if self.table is None or not len(self.keys) else pa.concat_tables([self.table, more])
        self.keys = self.table.column(_KEY).to_numpy()

    def take(self, below: int | None) -> pa.Table | None:
        cut = len(self.keys) if below is None else int(np.searchsorted(self.keys, below))
        if not cut or self.table is None:
            return None
        part, self.table = self.table.slice(0, cut), self.table.slice(cut)
        self.keys = self.keys[cut:]
        return part


def _merged(runs: list[_Run]) -> Iterator[pa.Table]:
    while True:
        for run in runs:
            while not len(run.keys) and not run.finished:
                run.extend()
        running = [run for run in runs if not run.finished]
        # Not the last key itself: its run may go on with more of it.
        horizon = min((int(run.keys[-1]) for run in running), default=None)
        parts = [part for run in runs if (part := run.take(horizon)) is not None]
        if parts:
            whole = pa.concat_tables(parts).combine_chunks()
            order = np.argsort(whole.column(_KEY).to_numpy(), kind="stable")
            yield from _pieces(whole.take(order), _BATCH * 4)
        if horizon is None:
            return
        for run in running:
            if len(run.keys) and run.keys[-1] == horizon:
                run.extend()


def _pieces(table: pa.Table, rows: int) -> Iterator[pa.Table]:
    for i in range(0, table.num_rows, rows):
        yield table.slice(i, rows).drop_columns([_KEY])


def add_rows(sorter: Sorter, rows: TextRows, keys: I64) -> None:
    """Rows of text, each with its line in the file."""
    sorter.add(pa.table(rows.columns | {_LINE: pa.array(rows.lines)}), keys)


def sorted_rows(sorter: Sorter) -> Iterator[TextRows]:
    for table in sorter.rows():
        columns = {name: table.column(name).combine_chunks() for name in table.column_names if name != _LINE}
        yield TextRows(columns, table.column(_LINE).to_numpy().copy())


def add_block(sorter: Sorter, block: EventBlock) -> None:
    """Events by their time."""
    columns: dict[str, Any] = {}
    words = pa.array(list(block.words), pa.string())
    for name in INTEGER_COLUMNS:
        values = getattr(block, name)
        if name in WORD_COLUMNS:
            index = pa.array(values, pa.int32(), mask=values < 0)
            columns[name] = pa.DictionaryArray.from_arrays(index, words).cast(pa.string())
        else:
            columns[name] = pa.array(values)
    sorter.add(pa.table(columns), block.ts.astype(np.int64))


def sorted_blocks(sorter: Sorter) -> Iterator[EventBlock]:
    for table in sorter.rows():
        words = Words()
        columns: dict[str, Any] = {}
        for name in INTEGER_COLUMNS:
            column = table.column(name).combine_chunks()
            if name in WORD_COLUMNS:
                encoded = column.dictionary_encode()
                index = words.table([str(word) for word in encoded.dictionary.to_pylist()])
                columns[name] = index[encoded.indices.fill_null(-1).to_numpy()].astype(DTYPES[name])
            else:
                columns[name] = column.to_numpy().astype(DTYPES[name])
        yield EventBlock(**columns, words=words.list)
