"""Records of one partition as columns: an object for each would be what a worker does most of its time."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple, Self, overload

import numpy as np
import numpy.typing as npt

from kernels import batches as at
from twin.wire.values import Values

U8 = npt.NDArray[np.uint8]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]

Headers = list[tuple[str, bytes | None]]


class Record(NamedTuple):
    """One of them, for what happens seldom."""

    offset: int
    key: bytes | None
    value: bytes
    headers: Headers


class Records(Sequence[Record]):
    """Consecutive records of one partition; a slice of them is a view.

    A record without a value (a tombstone) has an empty one: on a topic of events it means nothing.
    """

    __slots__ = ("data", "rows")

    def __init__(self, data: U8, rows: I64) -> None:
        """`rows` (kernels.batches.N_RECORD, records): offsets and places in `data`, a NUL behind each value."""
        self.data: Final = data
        self.rows: Final = rows

    @classmethod
    def of(cls, records: Iterable[Any]) -> Self:
        """From objects with an offset, a key, a value and headers."""
        data = bytearray()
        rows = []
        for record in records:
            key, value = record.key, record.value or b""
            key_at = len(data)
            data += key or b""
            value_at = len(data)
            data += value + b"\0"
            headers = list(record.headers or ())
            headers_at = len(data)
            for name, content in headers:
                encoded = name.encode()
                data += _varint(len(encoded)) + encoded
                data += _varint(-1) if content is None else _varint(len(content)) + content
            key_end = -1 if key is None else value_at
            end = value_at + len(value)
            rows.append((record.offset, key_at, key_end, value_at, end, len(headers), headers_at))
        table = np.array(rows, np.int64).reshape(-1, at.N_RECORD).T
        return cls(np.frombuffer(data, np.uint8), np.ascontiguousarray(table))

    @classmethod
    def joined(cls, several: Sequence[Self]) -> Self:
        """All of them, in this order."""
        if len(several) == 1:
            return several[0]
        rows = [one.rows.copy() for one in several]
        begin = 0
        for one, mine in zip(several, rows, strict=True):
            mine[at.KEY] += begin
            mine[at.KEY_END, mine[at.KEY_END] >= 0] += begin
            for row in (at.VALUE, at.VALUE_END, at.HEADERS_AT):
                mine[row] += begin
            begin += len(one.data)
        return cls(np.concatenate([one.data for one in several]), np.concatenate(rows, axis=1))

    def __len__(self) -> int:
        return int(self.rows.shape[1])

    @overload
    def __getitem__(self, i: int) -> Record: ...
    @overload
    def __getitem__(self, i: slice) -> "Records": ...
    def __getitem__(self, i: "int | slice") -> "Record | Records":
        if isinstance(i, slice):
            return Records(self.data, self.rows[:, i])
        offset, key, key_end, value, value_end, *_ = self.rows[:, i].tolist()
        data = self.data
        return Record(
            offset,
            None if key_end < 0 else data[key:key_end].tobytes(),
            data[value:value_end].tobytes(),
            self.headers(i),
        )

    @property
    def offsets(self) -> I64:
        offsets: I64 = self.rows[at.OFFSET]
        return offsets

    @property
    def values(self) -> Values:
        return Values(self.data, self.rows[at.VALUE], self.rows[at.VALUE_END])

    def first_at(self, offset: int) -> int:
        """The first record at this offset or behind it."""
        return int(np.searchsorted(self.offsets, offset))

    def headers(self, i: int) -> Headers:
        """Of one record, without its value."""
        return list(_headers(self.data, int(self.rows[at.HEADERS_AT, i]), int(self.rows[at.HEADERS, i])))

    @property
    def with_headers(self) -> list[int]:
        """Which have headers: mostly none."""
        return np.flatnonzero(self.rows[at.HEADERS]).tolist()


class Keys:
    """Names that records may be keyed by."""

    def __init__(self, names: Sequence[str]) -> None:
        encoded = [name.encode() for name in names]
        self._names: Final = np.frombuffer(bytearray().join(encoded) or bytearray(1), np.uint8)
        self._ends: Final = np.cumsum(np.array(list(map(len, encoded)), np.int64))
        self._table: Final = np.full(1 << (2 * len(encoded) + 1).bit_length(), -1, np.int32)
        at.enter(self._names, self._ends, self._table)

    def of(self, records: Records) -> I32:
        """The number of each record's key; -1: it has none, or another."""
        found = np.empty(len(records), np.int32)
        rows = records.rows
        at.find(records.data, rows[at.KEY], rows[at.KEY_END], self._names, self._ends, self._table, found)
        return found


def _varint(value: int) -> bytes:
    """In zigzag, as the headers of a record have it."""
    left = (value << 1) ^ (value >> 63)
    out = bytearray()
    while left > 0x7F:
        out.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes([*out, left])


def _headers(data: U8, begin: int, number: int) -> Iterator[tuple[str, bytes | None]]:
    """The kernel has found them sound."""
    for _ in range(number):
        size, begin = _read_varint(data, begin)
        name = data[begin : begin + size].tobytes().decode("utf-8", "replace")
        size, begin = _read_varint(data, begin + size)
        yield name, None if size < 0 else data[begin : begin + size].tobytes()
        begin += max(size, 0)


def _read_varint(data: U8, begin: int) -> tuple[int, int]:
    raw = shift = 0
    while True:
        byte = int(data[begin])
        begin += 1
        raw |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return (raw >> 1) ^ -(raw & 1), begin
