"""Fetched record batches to runs of records, in place of aiokafka's parser, which makes an object of each record.

That, and what it takes to carry the objects on, was three fifths of the time a worker holds the interpreter's lock.
What is plain is read by `kernels.batches`; here is what is not: compressed batches, those of transactions, old formats.
"""

import struct
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from aiokafka import codec
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import READ_COMMITTED, PartitionRecords
from aiokafka.errors import CorruptRecordException, UnsupportedCodecError
from aiokafka.record.control_record import ABORT_MARKER, ControlRecord
from aiokafka.record.memory_records import MemoryRecords

from kernels import batches as at
from streams.records import Records

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
_HEADER: Final = struct.Struct(">qiibIhiqqqhii")


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


class _Batch(NamedTuple):
    """The header of a batch of format 2."""

    base_offset: int
    length: int
    leader_epoch: int
    magic: int
    crc: int
    attributes: int
    last_delta: int
    first_timestamp: int
    max_timestamp: int
    producer: int
    producer_epoch: int
    base_sequence: int
    records: int

    @property
    def behind(self) -> int:
        return self.base_offset + self.last_delta + 1


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
        possible = (len(self._data) - begin) // at.LEAST_RECORD_BYTES
        rows = np.empty((at.N_RECORD, min(room, possible)), np.int64)
        self._at, n, behind, why = at.walk(self._data, begin, rows, 0)
        if n or behind >= 0:
            return Records(self._data[begin : self._at], _moved(np.ascontiguousarray(rows[:, :n]), -begin)), behind
        if why == at.NO_MORE:
            return None
        if why == at.DAMAGED:
            raise self._damaged()
        if why == at.NO_ROOM:  # in all that a run may hold: a batch is not divided
            return self._next(self._number(begin + at.COUNT))
        return self._unusual()

    def _number(self, begin: int) -> int:
        return int.from_bytes(self._data[begin : begin + 4].tobytes(), "big")

    def _unusual(self) -> tuple[Records, int]:
        begin = self._at
        self._at = end = begin + at.BEFORE_LENGTH + self._number(begin + at.LENGTH)
        raw = self._data[begin:end].tobytes()
        if raw[at.MAGIC] < 2:
            return self._old(raw)
        if (
            len(raw) < _HEADER.size
            or at.crc32c(self._data, begin + at.ATTRIBUTES, end) != struct.unpack_from(">I", raw, at.CRC)[0]
        ):
            raise self._damaged()
        batch = _Batch(*_HEADER.unpack_from(raw))
        fetched = self._fetched
        if fetched._isolation_level == READ_COMMITTED:
            fetched._consume_aborted_up_to(batch.base_offset)
        control = batch.attributes & at.CONTROL
        aborted = batch.attributes & at.TRANSACTIONAL and batch.producer in fetched._aborted_producers
        if aborted and not control:
            return Records.of([]), batch.behind
        records = self._records(batch, self._decompressed(batch, raw[_HEADER.size :]))
        if control:
            if len(records) and ControlRecord.parse(records[0].key) == ABORT_MARKER:
                fetched._aborted_producers.discard(batch.producer)
            return records[:0], batch.behind
        return records, batch.behind

    def _decompressed(self, batch: _Batch, payload: bytes) -> Any:
        kind = batch.attributes & at.CODEC
        if not kind:
            return payload
        name, known, decode = _CODECS.get(kind, (f"with the number {kind}", lambda: False, bytes))
        if not known():
            raise UnsupportedCodecError(f"Libraries for {name} compression codec not found")
        try:
            return decode(payload)
        except Exception as error:  # each library has its own
            raise self._damaged() from error

    def _records(self, batch: _Batch, payload: Any) -> Records:
        data: U8 = np.frombuffer(bytearray(payload), np.uint8)
        if not 0 <= batch.records <= len(data) // at.LEAST_RECORD_BYTES:
            raise self._damaged()
        rows = np.empty((at.N_RECORD, batch.records), np.int64)
        if not at.records(data, 0, len(data), batch.records, batch.base_offset, batch.behind - 1, rows, 0):
            raise self._damaged()
        return Records(data, rows)

    def _old(self, raw: bytes) -> tuple[Records, int]:
        """A batch of format 0 or 1, read by aiokafka."""
        try:
            batch: Any = MemoryRecords(raw).next_batch()
            if batch.validate_crc():
                return Records.of(batch), batch.next_offset
        except UnsupportedCodecError:
            raise
        except Exception as error:  # of many kinds
            raise self._damaged() from error
        raise self._damaged()

    def _damaged(self) -> CorruptRecordException:
        tp = self._fetched._tp
        return CorruptRecordException(
            f"{tp.topic}/{tp.partition}: the batch at or behind offset {self._behind} is damaged: "
            "check the broker's disk; a worker goes on when the batch can be read or retention has removed it"
        )


def _moved(rows: I64, by: int) -> I64:
    """The same places in a buffer that begins elsewhere."""
    rows[at.KEY : at.VALUE_END + 1] += by
    rows[at.KEY_END, rows[at.KEY_END] < 0] = -1
    rows[at.HEADERS_AT] += by
    return rows


def warm() -> None:
    """Compile what unpacking needs."""
    data, rows = np.zeros(0, np.uint8), np.empty((at.N_RECORD, 0), np.int64)
    at.walk(data, 0, rows, 0)
    at.records(data, 0, at.crc32c(data, 0, 0), 0, 0, 0, rows, 0)


def install(most_records: int) -> None:
    """Make aiokafka's consumers give a `Run` of at most about so many records for a record: all of this process."""

    def unpack(self: PartitionRecords) -> Iterator[Run]:
        yield from Unpacking(self, most_records).runs()

    fetcher.MemoryRecords = Fetched
    PartitionRecords._unpack_records = unpack
