"""The messages of an Arrow IPC stream, walked without looking at what they hold (see `twin.wire.framing`).

A stream is either sound, and then measured here, or left to whoever called, who reads it again and says why. Every
read is told from one beyond the bytes: the positions come from the stream itself.
"""

import numpy as np
import numpy.typing as npt

from kernels.jit import bare, hot

U8 = npt.NDArray[np.uint8]
I64 = npt.NDArray[np.int64]

_SCHEMA, _DICTIONARY, _RECORD_BATCH = 1, 2, 3
# What was read beyond the bytes. As a position, or added to one, it is beyond them again.
_BEYOND = -(1 << 62)
_NOT_SOUND = (0, 0, 0, 0)


@hot
def _unsigned(data: U8, at: int, width: int) -> int:
    """A little-endian number of 1, 2 or 4 bytes."""
    if at < 0 or at + width > len(data):
        return _BEYOND
    value = 0
    for k in range(width):
        value |= int(np.int64(data[at + k])) << (8 * k)
    return value


@hot
def _signed(data: U8, at: int) -> int:
    """The same of 4 bytes with a sign."""
    value = _unsigned(data, at, 4)
    return value - (1 << 32) if value >= 1 << 31 else value


@hot
def _long(data: U8, at: int) -> int:
    """The same of 8 bytes with a sign."""
    low, high = _unsigned(data, at, 4), _signed(data, at + 4)
    return _BEYOND if low < 0 or high == _BEYOND else (high << 32) | low


@bare
def _slot(data: U8, table: int, k: int) -> int:
    """Where one of the first four fields of a flatbuffer table stands, 0 where it is absent."""
    offset = _signed(data, table)
    vtable = table - offset
    if offset == _BEYOND or vtable < 0:
        return _BEYOND
    size = _unsigned(data, vtable, 2)
    if size < 0 or vtable + min(size, 12) > len(data):
        return _BEYOND
    if 6 + 2 * k > size:
        return 0
    field = _unsigned(data, vtable + 4 + 2 * k, 2)
    return table + field if field else 0


@bare
def _decoded_bytes(data: U8, batch: int, body: int, length: int, most_bytes: int) -> int:
    """Bytes of a batch's buffers once decompressed, as they claim; -1: not sound, or over `most_bytes`."""
    buffers, compression = _slot(data, batch, 2), _slot(data, batch, 3)
    if buffers < 0 or compression < 0:
        return -1
    if not compression or not buffers:
        return length
    vector = buffers + _unsigned(data, buffers, 4)
    total = 0
    count = _unsigned(data, vector, 4)
    if count < 0 or vector + 4 + 16 * count > body:  # each message has buffers of its own
        return -1
    for n in range(count):
        offset, size = _long(data, vector + 4 + 16 * n), _long(data, vector + 12 + 16 * n)
        if size < 0 or offset < 0 or size > length or offset > length - size:
            return -1
        if size >= 8:
            claimed = _long(data, body + offset)
            total += size if claimed < 0 else min(claimed, most_bytes + 1)
            if claimed == _BEYOND or total > most_bytes:
                return -1
    return total


@bare
def walk(data: U8, most_messages: int, most_bytes: int, sizes: I64) -> tuple[int, int, int, int]:
    """Start and end of the schema message, bytes of all others once decompressed, and those of the dictionaries.

    All 0: not sound, or over a limit. `sizes` (2, dictionaries) is scratch: a stream with more of them is left too.
    """
    at = first = last = decoded = messages = batches = known = shared = 0
    while True:
        size = _signed(data, at + 4)
        if _unsigned(data, at, 4) != 0xFFFFFFFF or size < 0:
            return _NOT_SOUND
        start = at + 8
        if size == 0:
            return (first, last, decoded, shared) if start == len(data) and last else _NOT_SOUND
        body = start + size
        if body > len(data):
            return _NOT_SOUND
        table = start + _unsigned(data, start, 4)
        kind_at, header_at, length_at = _slot(data, table, 1), _slot(data, table, 2), _slot(data, table, 3)
        if kind_at < 0 or header_at <= 0 or length_at < 0:
            return _NOT_SOUND
        kind = _unsigned(data, kind_at, 1) if kind_at else 0
        header = header_at + _unsigned(data, header_at, 4)
        length = _long(data, length_at) if length_at else 0
        if header < 0 or length < 0 or length > len(data) - body:
            return _NOT_SOUND
        if (kind == _SCHEMA) == (last > 0) or kind < _SCHEMA or kind > _RECORD_BATCH:
            return _NOT_SOUND
        if kind == _SCHEMA:
            first, last = at, body
        else:
            messages += 1
            batch = header
            if kind == _DICTIONARY:
                values = _slot(data, header, 1)
                batch = values + _unsigned(data, values, 4)
                if values <= 0 or batch < 0:
                    return _NOT_SOUND
            size = _decoded_bytes(data, batch, body, length, most_bytes)
            if size < 0 or messages > most_messages:
                return _NOT_SOUND
            if kind == _DICTIONARY:
                number_at, delta_at = _slot(data, header, 0), _slot(data, header, 2)
                number = _long(data, number_at) if number_at else 0
                delta = _unsigned(data, delta_at, 1) if delta_at else 0
                if number == _BEYOND or delta < 0:
                    return _NOT_SOUND
                k = 0
                while k < known and sizes[0, k] != number:
                    k += 1
                if k == known:
                    if known == sizes.shape[1]:
                        return _NOT_SOUND
                    sizes[0, k], sizes[1, k] = number, 0
                    known += 1
                size += sizes[1, k] if delta else 0
                shared += size - sizes[1, k]
                sizes[1, k] = size
            else:
                size += shared if batches else 0
                batches += 1
            decoded += size
            if decoded > most_bytes:
                return _NOT_SOUND
        at = body + length
