"""Kafka's record batches (format 2), walked without an object for each record.

A stretch of batches is read as long as they are plain: whole, sound, not compressed, of no transaction. The first that
is not is left to whoever called. Layout: KIP-98, and `DefaultRecordBatch` and `DefaultRecord` of Kafka's clients.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from kernels.jit import bare, hot
from kernels.read.plain_json import find_word, octet

U8 = npt.NDArray[np.uint8]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]

# Where a batch has its parts.
BASE_OFFSET, LENGTH, MAGIC, CRC, ATTRIBUTES, LAST_DELTA, COUNT, RECORDS = 0, 8, 16, 17, 21, 23, 57, 61
BEFORE_LENGTH: Final = 12  # bytes that LENGTH does not count
CODEC, TRANSACTIONAL, CONTROL = 0x07, 0x10, 0x20
# A record without key, value and headers.
LEAST_RECORD_BYTES: Final = 7

# Rows of what is known of each record. Positions are of the buffer; KEY_END -1: no key.
OFFSET, KEY, KEY_END, VALUE, VALUE_END, HEADERS, HEADERS_AT = range(7)
N_RECORD: Final = 7

# Why a walk ended.
NO_MORE, NO_ROOM, UNUSUAL, DAMAGED = range(4)

_BAD: Final = -1


def _tables() -> I64:
    """Of the CRC with Castagnoli's polynomial, eight bytes at a time."""
    tables = np.zeros((8, 256), np.int64)
    tables[0] = np.arange(256)
    for _ in range(8):
        tables[0] = np.where(tables[0] & 1, (tables[0] >> 1) ^ 0x82F63B78, tables[0] >> 1)
    for k in range(1, 8):
        tables[k] = tables[0][tables[k - 1] & 0xFF] ^ (tables[k - 1] >> 8)
    return tables


_CRC: Final = _tables()


@hot
def _number(data: U8, at: int, width: int) -> int:
    """A big-endian number, of 8 bytes with its sign."""
    value = 0
    for k in range(width):
        value = (value << 8) | octet(data, at + k)
    return value


@hot
def _varint(data: U8, at: int, end: int) -> tuple[int, int]:
    """A number of up to ten bytes in zigzag, and where it ends; -1: it does not end in time."""
    raw = shift = 0
    while at < end and shift < 70:
        byte = octet(data, at)
        at += 1
        raw |= (byte & 0x7F) << shift
        if byte < 0x80:
            # Of a negative raw value the sign is a bit like the others.
            return ((raw >> 1) & 0x7FFF_FFFF_FFFF_FFFF) ^ -(raw & 1), at
        shift += 7
    return 0, _BAD


@bare
def crc32c(data: U8, begin: int, end: int) -> int:
    """CRC-32C of data[begin:end] (RFC 3720, B.4)."""
    crc = 0xFFFF_FFFF
    at = begin
    while at + 8 <= end:
        low = crc ^ (octet(data, at) | octet(data, at + 1) << 8 | octet(data, at + 2) << 16 | octet(data, at + 3) << 24)
        crc = (
            _CRC[7, np.uintp(low & 0xFF)]
            ^ _CRC[6, np.uintp(low >> 8 & 0xFF)]
            ^ _CRC[5, np.uintp(low >> 16 & 0xFF)]
            ^ _CRC[4, np.uintp(low >> 24)]
            ^ _CRC[3, np.uintp(octet(data, at + 4))]
            ^ _CRC[2, np.uintp(octet(data, at + 5))]
            ^ _CRC[1, np.uintp(octet(data, at + 6))]
            ^ _CRC[0, np.uintp(octet(data, at + 7))]
        )
        at += 8
    while at < end:
        crc = _CRC[0, np.uintp((crc ^ octet(data, at)) & 0xFF)] ^ (crc >> 8)
        at += 1
    return int(crc ^ 0xFFFF_FFFF)


@hot
def _field(data: U8, at: int, end: int) -> tuple[int, int]:
    """Bytes with their length before them: where they begin and end. An end of -1: none; a begin of -1: damaged."""
    length, at = _varint(data, at, end)
    if at < 0 or length > end - at:
        return _BAD, _BAD
    return at, (_BAD if length < 0 else at + length)


@bare
def records(data: U8, begin: int, end: int, count: int, base: int, last: int, rows: I64, n: int) -> bool:
    """Read the `count` records that data[begin:end] must hold, no more and no less, into rows[:, n:].

    Their offsets ascend from `base` or above it to `last` or below it.

    Behind each value a NUL is written, where the number of headers stood, which is in `rows` then: a buffer can be read
    once. False: they are damaged.
    """
    at = begin
    before = base - 1
    for k in range(n, n + count):
        length, at = _varint(data, at, end)
        if at < 0 or length < LEAST_RECORD_BYTES - 1 or length > end - at:
            return False
        stop = at + length
        _, at = _varint(data, at + 1, stop)  # behind the attributes: the time
        if at < 0:
            return False
        delta, at = _varint(data, at, stop)
        offset = base + delta
        if at < 0 or delta < 0 or offset <= before or offset > last:
            return False
        before = offset
        key, key_end = _field(data, at, stop)
        if key < 0:
            return False
        value, value_end = _field(data, max(key, key_end), stop)
        if value < 0:
            return False
        value_end = max(value, value_end)  # without a value as with an empty one
        headers, at = _varint(data, value_end, stop)
        if at < 0 or headers < 0 or headers > stop - at:
            return False
        rows[OFFSET, k] = offset
        rows[KEY, k] = key
        rows[KEY_END, k] = key_end
        rows[VALUE, k] = value
        rows[VALUE_END, k] = value_end
        rows[HEADERS, k] = headers
        rows[HEADERS_AT, k] = at
        for _ in range(headers):
            name, name_end = _field(data, at, stop)
            if name < 0 or name_end < 0:
                return False
            start, at = _field(data, name_end, stop)
            if start < 0:
                return False
            at = max(start, at)
        if at != stop:
            return False
        data[value_end] = 0
    return at == end


@bare
def walk(data: U8, at: int, rows: I64) -> tuple[int, int, int, int]:
    """Read plain batches from `at` on into `rows`.

    Gives where the next batch begins, how many records there are, the offset behind them (-1: nothing was read),
    and why it ended there: NO_MORE (nothing, or a batch that was cut off), NO_ROOM (in `rows`, or for a batch that goes
    back), UNUSUAL, DAMAGED.
    """
    n, behind = 0, _BAD
    while True:
        if len(data) - at < BEFORE_LENGTH:
            return at, n, behind, NO_MORE
        length = _number(data, at + LENGTH, 4)
        if length >= 1 << 31:
            return at, n, behind, DAMAGED
        end = at + BEFORE_LENGTH + length
        if end > len(data):
            return at, n, behind, NO_MORE
        if end <= at + MAGIC:
            return at, n, behind, DAMAGED
        if octet(data, at + MAGIC) != 2:
            return at, n, behind, UNUSUAL
        if end < at + RECORDS:
            return at, n, behind, DAMAGED
        if _number(data, at + ATTRIBUTES, 2) & (CODEC | TRANSACTIONAL | CONTROL):
            return at, n, behind, UNUSUAL
        count = _number(data, at + COUNT, 4)
        base, delta = _number(data, at + BASE_OFFSET, 8), _number(data, at + LAST_DELTA, 4)
        if count > (end - at - RECORDS) // LEAST_RECORD_BYTES or base < 0 or delta >= 1 << 31:
            return at, n, behind, DAMAGED
        if base < behind or n + count > rows.shape[1]:
            return at, n, behind, NO_ROOM
        if crc32c(data, at + ATTRIBUTES, end) != _number(data, at + CRC, 4):
            return at, n, behind, DAMAGED
        if not records(data, at + RECORDS, end, count, base, base + delta, rows, n):
            return at, n, behind, DAMAGED
        behind = base + delta + 1
        n += count
        at = end


@hot
def _hash(data: U8, at: int, end: int) -> int:
    """FNV-1a."""
    h = -3750763034362895579
    while at < end:
        h = (h ^ octet(data, at)) * 1099511628211
        at += 1
    return h ^ (h >> 32)


@bare
def enter(names: U8, spans: I64, table: I32) -> None:
    """Put names (`spans`: (2, names) their starts and ends) into an empty hash table (-1 throughout).

    Its length is a power of two and more than their number.
    """
    mask = len(table) - 1
    for name in range(spans.shape[1]):
        slot = _hash(names, int(spans[0, name]), int(spans[1, name])) & mask
        while table[np.uintp(slot)] >= 0:
            slot = (slot + 1) & mask
        table[np.uintp(slot)] = name


@bare
def find(data: U8, starts: I64, stops: I64, names: U8, spans: I64, table: I32, found: I32) -> None:
    """The number of the name that data[starts[i]:stops[i]] is, -1 where it is none, or where stops[i] is negative."""
    for i in range(len(starts)):
        start, stop = int(starts[i]), int(stops[i])
        found[i] = find_word(data, start, stop, _hash(data, start, stop), names, spans, table) if stop >= 0 else _BAD
