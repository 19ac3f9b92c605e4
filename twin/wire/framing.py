"""The frame of an Arrow IPC stream, read before Arrow itself touches the bytes.

Arrow's reader takes a stream that ends between two messages for complete, and allocates whatever size a compressed
buffer claims to have. Both are looked at here: the messages must reach the end-of-stream marker exactly, and the
sizes claimed must stay within the limit. Every batch but the first counts the dictionaries it shares with those before
it, and a delta all that it extends: both are copied when they are read. The layout is that of Message.fbs and
Schema.fbs (Arrow columnar format 1.x).
"""

from struct import Struct, error
from typing import Final, NamedTuple

import numpy as np

from kernels.read.arrow_frames import walk
from twin.events.declare import MAX_ARROW_BYTES, MAX_ARROW_DECODED_BYTES, MAX_ARROW_MESSAGES
from twin.events.reasons import Name

# A stream with more of them goes the slow way.
_DICTIONARIES: Final = 64

CONTINUATION: Final = b"\xff\xff\xff\xff"
_SCHEMA, _DICTIONARY, _RECORD_BATCH = 1, 2, 3
_U16, _I32, _U32, _I64 = Struct("<H"), Struct("<i"), Struct("<I"), Struct("<q")
_SLOTS: Final = Struct("<4H")
_BUFFER: Final = Struct("<qq")


class UnreadableError(Exception):
    """A record that cannot be taken as a whole: `reason` code and a sentence."""

    def __init__(self, reason: Name, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class Frame(NamedTuple):
    """The schema message, which tells streams of one form apart from others, and sizes once decompressed."""

    schema: bytes
    decoded_bytes: int  # of all messages but the schema
    dictionary_bytes: int  # of all dictionaries


def _broken(what: str) -> UnreadableError:
    return UnreadableError("not_arrow", f"not an Arrow IPC stream: {what}")


def check(value: bytes) -> Frame:
    """Walk the messages. Raises `UnreadableError` when the frame is broken or too large."""
    if len(value) > MAX_ARROW_BYTES:
        detail = f"{len(value)} bytes in one Arrow record, at most {MAX_ARROW_BYTES} are taken: send several"
        raise UnreadableError("too_large", detail)
    sizes = np.empty((2, _DICTIONARIES), np.int64)
    first, last, decoded, shared = walk(
        np.frombuffer(value, np.uint8), MAX_ARROW_MESSAGES, MAX_ARROW_DECODED_BYTES, sizes
    )
    return Frame(value[first:last], decoded, shared) if last else read_slowly(value)


def read_slowly(value: bytes) -> Frame:
    """What the kernel does, for streams it does not take: says what is wrong."""
    try:
        return _walk(value)
    except (error, IndexError):
        raise _broken("message metadata points outside of the record") from None


def _walk(value: bytes) -> Frame:
    schema = b""
    decoded = at = messages = batches = 0
    dictionaries: dict[int, int] = {}
    while True:
        if value[at : at + 4] != CONTINUATION:
            if at >= len(value):
                raise _broken("cut off, no end-of-stream marker (close the writer before sending, one for each record)")
            raise _broken(_no_message(value, at))
        (size,) = _I32.unpack_from(value, at + 4)
        start = at + 8
        if size == 0:
            if start != len(value):
                raise _broken(f"{len(value) - start} bytes after the end of the stream")
            if not schema:
                raise _broken("no schema")
            return Frame(schema, decoded, sum(dictionaries.values()))
        body = start + size
        if size < 0 or body > len(value):
            raise _broken("cut off inside a message")
        kind, header, length = _message(value, start)
        if length < 0 or body + length > len(value):
            raise _broken("cut off inside a message body")
        if not schema and kind in (_DICTIONARY, _RECORD_BATCH):
            raise _broken("it begins without its schema: use a new writer for each record, and close it before sending")
        if (kind == _SCHEMA) == bool(schema) or kind not in (_SCHEMA, _DICTIONARY, _RECORD_BATCH):
            raise _broken("messages in the wrong order or of an unknown kind")
        if kind == _SCHEMA:
            schema = value[at:body]
        else:
            messages += 1
            if messages > MAX_ARROW_MESSAGES:
                detail = f"over {MAX_ARROW_MESSAGES} batches and dictionaries in one record: write larger batches"
                raise UnreadableError("too_large", detail)
            size = _decoded_bytes(value, kind, header, body, length)
            if kind == _DICTIONARY:
                number, extends = _dictionary(value, header)
                size += dictionaries.get(number, 0) if extends else 0
                dictionaries[number] = size
            else:
                size += sum(dictionaries.values()) if batches else 0
                batches += 1
            decoded += size
            if decoded > MAX_ARROW_DECODED_BYTES:
                detail = f"over {MAX_ARROW_DECODED_BYTES} bytes when decompressed: send several records"
                raise UnreadableError("too_large", detail)
        at = body + length


def _no_message(value: bytes, at: int) -> str:
    """What stands where a message should begin."""
    if value.startswith(b"ARROW1"):
        return "it is an Arrow file (begins with ARROW1): write with the stream writer, not the file writer"
    # Before Arrow 0.15 the size of a message stood alone.
    if at == 0 and len(value) >= 8 and 0 < _I32.unpack_from(value, 0)[0] <= len(value) - 4:
        return "framed as before Arrow 0.15: switch the writer's legacy format off"
    return f"no message at byte {at}"


def _message(value: bytes, start: int) -> tuple[int, int, int]:
    """Kind of the header, position of the header table, length of the body."""
    _, kind, header, length = _slots(value, start + _U32.unpack_from(value, start)[0])
    return (
        value[kind] if kind else 0,
        header + _U32.unpack_from(value, header)[0] if header else 0,
        _I64.unpack_from(value, length)[0] if length else 0,
    )


def _slots(value: bytes, table: int) -> tuple[int, int, int, int]:
    """Positions of a flatbuffer table's first four fields, 0 where absent."""
    vtable = table - _I32.unpack_from(value, table)[0]
    # `unpack_from` would count a negative position from the end.
    if vtable < 0:
        raise error
    # A vtable holds its own size, the size of the table, then where each field stands.
    size = _U16.unpack_from(value, vtable)[0]
    if size < 12:
        a, b, c, d = (_U16.unpack_from(value, vtable + at)[0] if at + 2 <= size else 0 for at in (4, 6, 8, 10))
    else:
        a, b, c, d = _SLOTS.unpack_from(value, vtable + 4)
    return a and table + a, b and table + b, c and table + c, d and table + d


def _dictionary(value: bytes, header: int) -> tuple[int, bool]:
    """The number of a dictionary, and whether it extends the one before it (a delta)."""
    number, _, extends, _ = _slots(value, header)
    return _I64.unpack_from(value, number)[0] if number else 0, bool(extends and value[extends])


def _decoded_bytes(value: bytes, kind: int, header: int, body: int, length: int) -> int:
    """Bytes of the message's buffers once decompressed, as they claim."""
    if not header:
        raise _broken("a message without its header")
    batch = header
    if kind == _DICTIONARY:
        data = _slots(value, header)[1]
        if not data:
            raise _broken("a dictionary without values")
        batch = data + _U32.unpack_from(value, data)[0]
    _, _, buffers, compression = _slots(value, batch)
    if not compression or not buffers:
        return length
    vector = buffers + _U32.unpack_from(value, buffers)[0]
    total = 0
    count = _U32.unpack_from(value, vector)[0]
    if vector + 4 + 16 * count > body:
        # Each message has buffers of its own. Thousands that share one long list would take hours to read.
        raise error
    for n in range(count):
        offset, size = _BUFFER.unpack_from(value, vector + 4 + 16 * n)
        if size < 0 or offset < 0 or offset + size > length:
            raise _broken("a buffer outside of its message")
        if size >= 8:
            claimed = _I64.unpack_from(value, body + offset)[0]
            total += size if claimed < 0 else claimed
    return total
