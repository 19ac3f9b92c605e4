"""Records of one partition as columns: an object for each would be what a worker does most of its time."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple, Self, overload

import numpy as np
import numpy.typing as npt
from aiokafka.record.util import decode_varint, encode_varint

from kernels.read import kafka_batches as kb
from twin.wire.plain import hash_table, names_of, spans_of
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
        """`rows` (kafka_batches.N_RECORD, records): offsets and places in `data`, a NUL after each value."""
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
                encode_varint(len(encoded), data.append)
                data += encoded
                encode_varint(-1 if content is None else len(content), data.append)
                data += content or b""
            key_end = -1 if key is None else value_at
            end = value_at + len(value)
            rows.append((record.offset, key_at, key_end, value_at, end, len(headers), headers_at))
        table = np.array(rows, np.int64).reshape(-1, kb.N_RECORD).T
        return cls(np.frombuffer(data, np.uint8), np.ascontiguousarray(table))

    @classmethod
    def joined(cls, several: Sequence[Self]) -> Self:
        """All of them, in this order."""
        if len(several) == 1:
            return several[0]
        begins = np.cumsum([0, *(len(one.data) for one in several)]).tolist()
        rows = [moved(one.rows.copy(), begin) for one, begin in zip(several, begins, strict=False)]
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
        offsets: I64 = self.rows[kb.OFFSET]
        return offsets

    @property
    def values(self) -> Values:
        return Values(self.data, self.rows[kb.VALUE], self.rows[kb.VALUE_END])

    def first_at(self, offset: int) -> int:
        """The first record at this offset or behind it."""
        return int(np.searchsorted(self.offsets, offset))

    def headers(self, i: int) -> Headers:
        """Of one record, without its value."""
        return list(_headers(self.data, int(self.rows[kb.HEADERS_AT, i]), int(self.rows[kb.HEADERS, i])))

    @property
    def with_headers(self) -> list[int]:
        """Which have headers: mostly none."""
        return np.flatnonzero(self.rows[kb.HEADERS]).tolist()


class Keys:
    """Names that records may be keyed by."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names, spans = names_of(names)
        self._spans: Final = spans_of(spans, 2)
        self._table: Final = hash_table(len(names))
        kb.enter(self._names, self._spans, self._table)

    def of(self, records: Records) -> I32:
        """The number of each record's key; -1: it has none, or another."""
        found = np.empty(len(records), np.int32)
        rows = records.rows
        kb.find(records.data, rows[kb.KEY], rows[kb.KEY_END], self._names, self._spans, self._table, found)
        return found


def moved(rows: I64, by: int) -> I64:
    """The same places in a buffer where what they are of begins so much later; in place."""
    keyless = rows[kb.KEY_END] < 0
    rows[kb.KEY : kb.VALUE_END + 1] += by
    rows[kb.KEY_END, keyless] = -1
    rows[kb.HEADERS_AT] += by
    return rows


def _headers(data: U8, begin: int, number: int) -> Iterator[tuple[str, bytes | None]]:
    """The kernel has found them sound."""
    for _ in range(number):
        size, begin = decode_varint(data, begin)
        name = data[begin : begin + size].tobytes().decode("utf-8", "replace")
        size, begin = decode_varint(data, begin + size)
        yield name, None if size < 0 else data[begin : begin + size].tobytes()
        begin += max(size, 0)
