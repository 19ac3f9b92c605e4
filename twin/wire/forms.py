"""The forms of Arrow streams that were read: tables by which `kernels.read.arrow_stream` reads others of the same form.

What a stream says is taken from the stream that Arrow itself has read and found sound. Another one whose messages are
the same, but for the numbers that say how many rows there are and where buffers stand, is then as sound as its numbers.
"""

from collections.abc import Iterator, Sequence
from struct import Struct, error
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kernels.codes import NONE
from kernels.read import arrow_stream as ar
from twin.events.declare import ENTRY_FIELDS, INT64_MAX, WIRE, YEAR_2200_NS
from twin.wire.lookup import I64

FIELDS: Final = tuple(WIRE)
UNIT_NS: Final = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}

_U16, _I32, _U32, _I64 = Struct("<H"), Struct("<i"), Struct("<I"), Struct("<q")
_MOST_FORMS: Final = 256
_MOST_SCHEMAS: Final = 1024
_MOST_SCHEMA_BYTES: Final = 1 << 16
# A schema is learned from so many streams: their forms may differ, and a stream that is left again teaches nothing new.
_MOST_STREAMS: Final = 32
_DICTIONARY, _BATCH = 2, 3
_NEEDED: Final = {"type", "ts", "line"}  # without one of these every event is refused, and the kernel finds no place

Span = tuple[int, int]


class _OddError(Exception):
    """A stream that is sound, but not plain."""


class _Table:
    """A flatbuffer table: where its fields stand (0: absent), and the bytes that say so."""

    def __init__(self, data: bytes, start: int) -> None:
        self._data = data
        vtable = start - _I32.unpack_from(data, start)[0]
        size = _U16.unpack_from(data, vtable)[0]
        self.slots: list[int] = []
        for k in range(4, size, 2):
            offset = _U16.unpack_from(data, vtable + k)[0]
            self.slots.append(start + offset if offset else 0)
        self.spans: list[Span] = [(start, start + 4), (vtable, vtable + size)]

    def __getitem__(self, k: int) -> int:
        return self.slots[k] if k < len(self.slots) else 0

    def only(self, *widths: int) -> None:
        """Raise `_OddError` where there are other fields than the first few, of so many bytes."""
        if any(self.slots[len(widths) :]):
            raise _OddError
        self.spans += [(slot, slot + width) for slot, width in zip(self.slots, widths, strict=False) if slot]

    def table(self, k: int) -> "_Table":
        return _Table(self._data, self._behind(k))

    def tables(self, k: int) -> "Iterator[_Table]":
        first, count = self.vector(k)
        for place in range(first, first + 4 * count, 4):
            yield _Table(self._data, place + _U32.unpack_from(self._data, place)[0])

    def vector(self, k: int) -> tuple[int, int]:
        """Where its elements begin, and how many there are."""
        start = self._behind(k)
        return start + 4, _U32.unpack_from(self._data, start)[0]

    def _behind(self, k: int) -> int:
        if not self[k]:
            raise _OddError
        return self[k] + int(_U32.unpack_from(self._data, self[k])[0])


def _root(message: bytes) -> _Table:
    return _Table(message, 8 + _U32.unpack_from(message, 8)[0])


class _Message(NamedTuple):
    """A dictionary or a batch without its body."""

    data: bytes
    fixed: npt.NDArray[np.bool_]  # the bytes that are no numbers
    dictionary: int | None  # its number, None: a batch
    body: int  # bytes
    places: tuple[int, int, int, int]  # of the numbers: MESSAGE_BODY, ROWS, NODES, BUFFERS
    counts: tuple[int, int]  # of nodes and buffers


def _message(value: bytes, start: int, end: int) -> _Message:
    data = value[start:end]
    message = _root(data)
    message.only(2, 1, 4, 0)
    spans: list[Span] = [(0, 12), *message.spans]
    kind = data[message[1]]
    header = message.table(2)
    number = None
    if kind == _DICTIONARY:
        header.only(8, 4, 1)
        spans += header.spans
        number = _I64.unpack_from(data, header[0])[0] if header[0] else 0
        if header[2] and data[header[2]]:
            raise _OddError  # a delta
        header = header.table(1)
    elif kind != _BATCH:
        raise _OddError
    header.only(0, 4, 4)  # neither compressed nor with views
    (nodes, n_nodes), (buffers, n_buffers) = header.vector(1), header.vector(2)
    spans += [*header.spans, (nodes - 4, nodes), (buffers - 4, buffers)]
    free = [(place, place + 8) for place in (message[3], header[0]) if place]
    free += [(nodes, nodes + 16 * n_nodes), (buffers, buffers + 16 * n_buffers)]
    return _Message(
        data,
        _fixed(len(data), free, spans),
        number,
        _I64.unpack_from(data, message[3])[0] if message[3] else 0,
        (message[3] or NONE, header[0] or NONE, nodes, buffers),
        (n_nodes, n_buffers),
    )


def _fixed(size: int, free: list[Span], taken: list[Span]) -> npt.NDArray[np.bool_]:
    """All bytes but the free ones. Raises `_OddError` where these are not whole words of their own."""
    used, fixed = np.zeros(size, np.bool_), np.ones(size, np.bool_)
    for start, end in taken:
        used[start:end] = True
    for start, end in free:
        if start % 8 or end > size or used[start:end].any():
            raise _OddError
        used[start:end] = True
        fixed[start:end] = False
    return fixed


def _messages(value: bytes, start: int) -> list[_Message]:
    """Those behind the schema: any dictionaries, then one batch."""
    messages: list[_Message] = []
    while size := _I32.unpack_from(value, start + 4)[0]:
        body = start + 8 + size
        if body % 8 or start % 8:
            raise _OddError
        messages.append(_message(value, start, body))
        start = body + messages[-1].body
    numbers = [m.dictionary for m in messages]
    if not numbers or numbers.pop() is not None or None in numbers or len(set(numbers)) < len(numbers):
        raise _OddError
    return messages


def _dictionaries(schema: bytes) -> list[int | None]:
    """The dictionary of each field."""
    message = _root(schema)
    header = message.table(2)
    if (message[3] and _I64.unpack_from(schema, message[3])[0]) or (header[0] and schema[header[0]]):
        raise _OddError  # bytes of its own, or numbers whose high byte comes first
    found: list[int | None] = []
    for field in header.tables(1):
        number = field.table(4)[0] if field[4] else None
        found.append(_I64.unpack_from(schema, number)[0] if number else number)
    return found


def _column(name: str, kind: pa.DataType, buffer: int, dictionaries: list[int | None], own: int | None) -> list[int]:
    """A row of `Forms.columns`. Raises `_OddError` for a type that is not plain."""
    if name not in FIELDS or name in ENTRY_FIELDS or name in ("measure", "measured"):
        raise _OddError
    column = dict.fromkeys(range(ar.N_COLUMN), 0)
    column |= {ar.COLUMN_FIELD: FIELDS.index(name), ar.COLUMN_BUFFER: buffer}
    if pa.types.is_int64(kind):
        column |= {ar.COLUMN_KIND: ar.INTEGER, ar.COLUMN_WIDTH: 8, ar.COLUMN_SCALE: 1, ar.COLUMN_MOST: INT64_MAX}
    elif pa.types.is_timestamp(kind):
        scale = UNIT_NS[kind.unit]
        most = YEAR_2200_NS // scale - 1 if scale > 1 else INT64_MAX
        column |= {ar.COLUMN_KIND: ar.INTEGER, ar.COLUMN_WIDTH: 8, ar.COLUMN_SCALE: scale, ar.COLUMN_MOST: most}
    elif pa.types.is_string(kind):
        column |= {ar.COLUMN_KIND: ar.TEXT, ar.COLUMN_WIDTH: 4}
    elif pa.types.is_dictionary(kind) and pa.types.is_string(kind.value_type) and own in dictionaries:
        width = {pa.int8(): 1, pa.int16(): 2, pa.int32(): 4}.get(kind.index_type)
        if width is None:
            raise _OddError
        column |= {ar.COLUMN_KIND: ar.INDEX, ar.COLUMN_WIDTH: width, ar.COLUMN_DICTIONARY: dictionaries.index(own)}
    else:
        raise _OddError
    return [column[k] for k in range(ar.N_COLUMN)]


class Form(NamedTuple):
    """What streams have in common that have the same schema and the same messages."""

    key: bytes  # the schema message
    messages: list[_Message]
    columns: list[list[int]]

    def pattern(self) -> tuple[I64, I64]:
        """All messages, and the bits of them that do not change."""
        fixed = np.concatenate([np.where(m.fixed, np.uint8(255), np.uint8(0)) for m in self.messages]).view(np.int64)
        return np.frombuffer(b"".join(m.data for m in self.messages), np.int64) & fixed, fixed


def _form(value: bytes, key: bytes, schema: pa.Schema) -> Form:
    """The form of a sound stream. Raises `_OddError` where it is not plain."""
    messages = _messages(value, len(key))
    known = [m.dictionary for m in messages[:-1]]
    of_fields = _dictionaries(key)
    if not set(known) <= set(of_fields) or not set(schema.names) >= _NEEDED:
        raise _OddError
    if any(m.counts != (1, 3) for m in messages[:-1]):
        raise _OddError
    columns: list[list[int]] = []
    buffer = 0
    for name, kind, own in zip(schema.names, schema.types, of_fields, strict=True):
        columns.append(_column(name, kind, buffer, known, own))
        buffer += 3 if columns[-1][ar.COLUMN_KIND] == ar.TEXT else 2
    if messages[-1].counts != (len(columns), buffer):
        raise _OddError
    return Form(key, messages, columns)


def _arrays(forms: Sequence[Form], following: Sequence[int]) -> ar.Forms:
    """`following`: the next form with the same schema, of each."""
    words = 0
    patterns: list[tuple[I64, I64]] = [(np.empty(0, np.int64), np.empty(0, np.int64))]
    rows: list[list[int]] = []
    messages: list[list[int]] = []
    columns: list[list[int]] = []
    for form, other in zip(forms, following, strict=True):
        fields = sum(1 << column[ar.COLUMN_FIELD] for column in form.columns)
        row = [len(form.key), len(messages), len(form.messages), len(columns), len(form.columns), fields, other]
        rows.append(row)
        patterns.append(form.pattern())
        columns += form.columns
        for m in form.messages:
            messages.append([words, len(m.data), *m.places])
            words += len(m.data) // 8
    return ar.Forms(
        np.concatenate([pattern for pattern, _ in patterns]),
        np.concatenate([fixed for _, fixed in patterns]),
        np.array(rows, np.int64).reshape(-1, ar.N_FORM),
        np.array(messages, np.int64).reshape(-1, ar.N_MESSAGE),
        np.array(columns, np.int64).reshape(-1, ar.N_COLUMN),
    )


class Sizes(NamedTuple):
    """What each form has."""

    row_bytes: I64  # in the buffers, at least
    texts: I64  # in each row, beside those of dictionaries


def _sizes(forms: Sequence[Form]) -> Sizes:
    row_bytes = [sum(column[ar.COLUMN_WIDTH] for column in form.columns) for form in forms]
    texts = [sum(column[ar.COLUMN_KIND] == ar.TEXT for column in form.columns) for form in forms]
    return Sizes(*(np.array(values, np.int64) for values in (row_bytes, texts)))


class Forms:
    """The forms that are known. They become more up to a limit, and then begin anew."""

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._forms: list[Form] = []
        self._following: list[int] = []
        self._first: dict[bytes, int] = {}
        self._patterns: set[tuple[bytes, ...]] = set()
        self._streams: dict[bytes, int] = {}
        self._newest = b""
        self._add()

    def _add(self, *forms: Form) -> None:
        self._forms += forms
        self.sizes = _sizes(self._forms)
        self.arrays = _arrays(self._forms, self._following)

    def first(self, value: bytes) -> int:
        """The first form with the schema of a stream, -1 if there is none."""
        # Many in a row are alike, and to compare is quicker than to hash.
        if self._newest and value.startswith(self._newest):
            return self._first[self._newest]
        size = int.from_bytes(value[4:8], "little") + 8
        key = value[:size] if size <= _MOST_SCHEMA_BYTES else b""
        found = self._first.get(key, NONE)
        if found >= 0:
            self._newest = key
        return found

    def learn(self, value: bytes, key: bytes, schema: pa.Schema) -> None:
        """Look at a stream that Arrow has read and found sound. `key` is its schema message."""
        streams = self._streams.get(key, 0)
        if streams == _MOST_STREAMS or len(key) > _MOST_SCHEMA_BYTES:
            return
        if len(self._forms) == _MOST_FORMS or len(self._streams) == _MOST_SCHEMAS:
            self._forget()
        self._streams[key] = streams + 1
        try:
            form = _form(value, key, schema)
        except (_OddError, error, IndexError):
            return
        pattern = (key, *(part.tobytes() for part in form.pattern()))
        if pattern in self._patterns:
            return
        self._patterns.add(pattern)
        self._following.append(self._first.get(key, NONE))
        self._first[key] = len(self._forms)
        self._add(form)
