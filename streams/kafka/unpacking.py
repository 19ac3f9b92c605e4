"""Fetched record batches to runs of records, in place of aiokafka's parser, which makes an object of each record.

That, and what it takes to carry the objects on, was three fifths of the time a worker holds the interpreter's lock.
What is plain is read by `kernels.read.kafka_batches`; here is what is not: compressed batches, those of transactions,
old formats.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from aiokafka import codec
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import READ_COMMITTED, PartitionRecords
from aiokafka.errors import CorruptRecordException, UnsupportedCodecError
from aiokafka.record.control_record import ABORT_MARKER, ControlRecord
from aiokafka.record.memory_records import MemoryRecords

from kernels.read import kafka_batches as kb
from streams.kafka.records import Records, moved

U8 = npt.NDArray[np.uint8]
I64 = npt.NDArray[np.int64]

# A run ends with the batch that brings it to so many bytes: compressed ones hold a thousand times what was fetched.
# What is not compressed is bounded by the fetch.
MOST_BYTES: Final = 4 << 20

_CODECS: Final[dict[int, tuple[str, Callable[[], bool], Callable[[bytes], Any]]]] = {
    1: ("gzip", codec.has_gzip, codec.gzip_decode),
    2: ("snappy", codec.has_snappy, codec.snappy_decode),
    3: ("lz4", codec.has_lz4, codec.lz4_decode),
    4: ("zstd", codec.has_zstd, codec.zstd_decode),
}


class Fetched:
    """In place of aiokafka's `MemoryRecords`: the bytes of one partition in an answer to a fetch."""

    def __init__(self, data: bytes) -> None:
        self.data: Final = data
        self._parsed: Final = MemoryRecords(data)

    def has_next(self) -> bool:
        return bool(self._parsed.has_next())

    def size_in_bytes(self) -> int:
        return int(self._parsed.size_in_bytes())


class Run:
    """Consecutive records of one partition that are folded together.

    `base` is the fetch position before it, so the log holds nothing in [base, first offset); None: unknown.
    """

    __slots__ = ("base", "offset", "records")

    def __init__(self, records: Records, base: int | None = None) -> None:
        self.records: Final = records
        self.base = base
        self.offset: Final = int(records.offsets[-1])  # of the last record: aiokafka and Faust take a run for one

    @property
    def first(self) -> int:
        return int(self.records.offsets[0])


class Unpacking:
    """One fetched answer of one partition, batch by batch. Raises CorruptRecordException and UnsupportedCodecError."""

    def __init__(self, fetched: PartitionRecords, most_records: int) -> None:
        self._fetched = fetched
        self._most_records = most_records
        # The kernel writes into it.
        self._data: U8 = np.frombuffer(bytearray(fetched._records.data), np.uint8)
        fetched._records = None  # the bytes as they came: a second time the memory
        self._at = 0
        self._behind = fetched.next_fetch_offset  # all that was read so far

    def runs(self) -> Iterator[Run]:
        """Before each run is given, `next_fetch_offset` is set to what follows it, as aiokafka does with a record."""
        parts: list[Records] = []
        number = size = 0
        while True:
            try:
                part = self._next(self._most_records - number)
            except (CorruptRecordException, UnsupportedCodecError):
                if parts:  # what came before it is sound: fetched once more, it would meet the same end
                    self._fetched.next_fetch_offset = self._behind
                    yield Run(Records.joined(parts))
                raise
            if part is None:
                break
            records, batch_behind = part
            records = records[records.first_at(self._behind) :]
            if len(records):
                parts.append(records)
                number += len(records)
                size += len(records.data)
            self._behind = max(self._behind, batch_behind)
            if number >= self._most_records or size >= MOST_BYTES:
                self._fetched.next_fetch_offset = self._behind
                yield Run(Records.joined(parts))
                parts, number, size = [], 0, 0
        self._fetched.next_fetch_offset = self._behind
        if parts:
            yield Run(Records.joined(parts))

    def _next(self, room: int) -> tuple[Records, int] | None:
        """Records of one or more batches, and the offset behind them; None at the end."""
        begin = self._at
        possible = (len(self._data) - begin) // kb.LEAST_RECORD_BYTES
        rows = np.empty((kb.N_RECORD, min(room, possible)), np.int64)
        self._at, n, behind, why = kb.walk(self._data, begin, rows)
        if n or behind >= 0:
            return Records(self._data[begin : self._at], moved(np.ascontiguousarray(rows[:, :n]), -begin)), behind
        if why == kb.NO_MORE:
            return None
        if why == kb.DAMAGED:
            raise self._damaged()
        if why == kb.NO_ROOM:  # in all that a run may hold: a batch is not divided
            return self._next(self._number(begin + kb.COUNT))
        return self._unusual()

    def _number(self, begin: int) -> int:
        return int.from_bytes(self._data[begin : begin + 4].tobytes(), "big")

    def _unusual(self) -> tuple[Records, int]:
        begin = self._at
        self._at = end = begin + kb.BEFORE_LENGTH + self._number(begin + kb.LENGTH)
        raw = self._data[begin:end].tobytes()
        old = raw[kb.MAGIC] < 2
        if not old and len(raw) < kb.RECORDS:
            raise self._damaged()
        try:
            batch: Any = MemoryRecords(raw).next_batch()
            sound = batch.validate_crc()
            if sound and old:
                return Records.of(batch), batch.next_offset
        except UnsupportedCodecError:
            raise
        except Exception as error:  # of many kinds
            raise self._damaged() from error
        if not sound:
            raise self._damaged()
        fetched = self._fetched
        if fetched._isolation_level == READ_COMMITTED:
            fetched._consume_aborted_up_to(batch.base_offset)
        aborted = batch.is_transactional and batch.producer_id in fetched._aborted_producers
        if aborted and not batch.is_control_batch:
            return Records.of([]), batch.next_offset
        payload = self._decompressed(batch.compression_type, raw[kb.RECORDS :])
        records = self._records(batch, self._number(begin + kb.COUNT), payload)
        if batch.is_control_batch:
            if len(records) and ControlRecord.parse(records[0].key) == ABORT_MARKER:
                fetched._aborted_producers.discard(batch.producer_id)
            return records[:0], batch.next_offset
        return records, batch.next_offset

    def _decompressed(self, kind: int, payload: bytes) -> Any:
        if not kind:
            return payload
        name, known, decode = _CODECS.get(kind, (f"with the number {kind}", lambda: False, bytes))
        if not known():
            raise UnsupportedCodecError(f"Libraries for {name} compression codec not found")
        try:
            return decode(payload)
        except Exception as error:  # each library has its own
            raise self._damaged() from error

    def _records(self, batch: Any, count: int, payload: Any) -> Records:
        data: U8 = np.frombuffer(bytearray(payload), np.uint8)
        if count > len(data) // kb.LEAST_RECORD_BYTES:
            raise self._damaged()
        rows = np.empty((kb.N_RECORD, count), np.int64)
        if not kb.records(data, 0, len(data), count, batch.base_offset, batch.next_offset - 1, rows, 0):
            raise self._damaged()
        return Records(data, rows)

    def _damaged(self) -> CorruptRecordException:
        tp = self._fetched._tp
        return CorruptRecordException(
            f"{tp.topic}/{tp.partition}: the batch at or behind offset {self._behind} is damaged: "
            "check the broker's disk; a worker goes on when the batch can be read or retention has removed it"
        )


def warm() -> None:
    """Compile what unpacking needs."""
    data, rows = np.zeros(0, np.uint8), np.empty((kb.N_RECORD, 0), np.int64)
    kb.walk(data, 0, rows)
    kb.records(data, 0, kb.crc32c(data, 0, 0), 0, 0, 0, rows, 0)


def install(most_records: int) -> None:
    """Make aiokafka's consumers give a `Run` of at most about so many records for a record: all of this process."""

    def unpack(self: PartitionRecords) -> Iterator[Run]:
        yield from Unpacking(self, most_records).runs()

    fetcher.MemoryRecords = Fetched
    PartitionRecords._unpack_records = unpack
