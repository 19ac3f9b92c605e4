"""Mutations: of bytes whatever they are, of JSON by its fields, of Arrow by its columns."""

import json
import random
import re
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

MOST_BYTES = 1 << 17
_NUMBERS = (0, 1, -1, 127, 128, 255, 256, 32767, 65535, 65536, 2**31 - 1, 2**31, 2**32, 2**62, 2**63 - 1, -(2**63))
_TOKENS = (
    b"null", b"true", b"NaN", b"-0", b"1e400", b"1e-400", b"5.0", b'"', b"\\", b"\\ud800", b"\\u0000", b"[", b"]", b"{",
    b"}", b",", b":", b"\x00", b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\n", b"\r", b"|", b"9" * 40,
    b"[" * 200, b'{"type":' * 40, b"=", b"#", b"[[", b"]]", b"'''", b"\xff\xff\xff\xff", b"PAR1", b"ARROW1",
)  # fmt: skip
_DIGITS = re.compile(rb"\d+")

Chance = random.Random


def mutated(value: bytes, others: Sequence[bytes], chance: Chance) -> bytes:
    """`value` with one to a few mutations; `others` lend pieces."""
    for _ in range(chance.choice((1, 1, 1, 2, 4, 16))):
        value = chance.choice(_BYTES)(value, others, chance)[:MOST_BYTES]
    return value


def _flip(value: bytes, _: Sequence[bytes], chance: Chance) -> bytes:
    if not value:
        return value
    at = chance.randrange(len(value))
    return value[:at] + bytes([value[at] ^ 1 << chance.randrange(8)]) + value[at + 1 :]


def _byte(value: bytes, _: Sequence[bytes], chance: Chance) -> bytes:
    at = chance.randrange(len(value) + 1)
    return value[:at] + bytes([chance.randrange(256)]) + value[at + 1 :]


def _cut(value: bytes, _: Sequence[bytes], chance: Chance) -> bytes:
    return value[: chance.randrange(len(value) + 1)]


def _span(value: bytes, chance: Chance) -> tuple[int, int]:
    at = chance.randrange(len(value) + 1)
    return at, min(len(value), at + chance.choice((1, 4, 8, 16, 64, 1000)))


def _drop(value: bytes, _: Sequence[bytes], chance: Chance) -> bytes:
    a, b = _span(value, chance)
    return value[:a] + value[b:]


def _repeat(value: bytes, _: Sequence[bytes], chance: Chance) -> bytes:
    a, b = _span(value, chance)
    return value[:b] + value[a:b] * chance.choice((1, 2, 50)) + value[b:]


def _splice(value: bytes, others: Sequence[bytes], chance: Chance) -> bytes:
    other = chance.choice(others)
    a, b = _span(other, chance)
    at = chance.randrange(len(value) + 1)
    return value[:at] + other[a:b] + value[at + chance.choice((0, b - a)) :]


def _join(value: bytes, others: Sequence[bytes], chance: Chance) -> bytes:
    other = chance.choice(others)
    return value[: chance.randrange(len(value) + 1)] + other[chance.randrange(len(other) + 1) :]


def _token(value: bytes, _: Sequence[bytes], chance: Chance) -> bytes:
    at = chance.randrange(len(value) + 1)
    return value[:at] + chance.choice(_TOKENS) + value[at + chance.choice((0, 0, 1, 8)) :]


def _number(value: bytes, _: Sequence[bytes], chance: Chance) -> bytes:
    """A binary integer where one may stand: aligned, as lengths and offsets are."""
    width = chance.choice((1, 2, 4, 8))
    at = chance.randrange(len(value) // width + 1) * width
    number = chance.choice(_NUMBERS) % (1 << 8 * width)
    return value[:at] + number.to_bytes(width, "little") + value[at + width :]


def _digits(value: bytes, _: Sequence[bytes], chance: Chance) -> bytes:
    found = list(_DIGITS.finditer(value))
    if not found:
        return value
    match = chance.choice(found)
    return value[: match.start()] + str(chance.choice(_NUMBERS)).encode() + value[match.end() :]


_BYTES: tuple[Callable[[bytes, Sequence[bytes], Chance], bytes], ...] = (
    _flip, _flip, _byte, _cut, _drop, _repeat, _splice, _join, _token, _number, _number, _digits,
)  # fmt: skip


def odd(chance: Chance) -> Any:
    """A JSON value that a field may not expect."""
    return chance.choice(
        (None, True, 0, -1, 1.5, 5.0, 1e308, "", "x", "a" * 257, "\x00", "\ud800", "2026-01-01T00:00:00Z", "yesterday",
         "9999-12-31T23:59:59Z", [], [1], {}, {"a": [[]]}, [[[[]]]], *_NUMBERS, 10**30, -(10**40))
    )  # fmt: skip


def json_mutated(value: bytes, names: Sequence[str], chance: Chance) -> bytes:
    """Fields renamed, swapped, taken away, given another type; the value itself where it is no JSON."""
    try:
        found = json.loads(value)
    except ValueError:
        return value
    events = found if isinstance(found, list) else [found]
    for _ in range(chance.choice((1, 1, 2, 3))):
        event = chance.choice(events) if events else None
        if not isinstance(event, dict) or not event:
            continue
        name = chance.choice(list(event))
        match chance.randrange(5):
            case 0:
                del event[name]
            case 1:
                event[chance.choice(names)] = event.pop(name)
            case 2:
                event[chance.choice(names)] = event[name]
            case 3:
                event[name] = odd(chance)
            case _:
                event[chance.choice(names)] = odd(chance)
    if chance.random() < 0.1:
        events.append(odd(chance))
        found = events
    return json.dumps(found, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")


def arrow_mutated(value: bytes, names: Sequence[str], chance: Chance) -> bytes:
    """The same for a sound Arrow record, written again in another form; the value itself where it is none."""
    try:
        table = pa.ipc.open_stream(value).read_all()
    except (pa.ArrowException, OSError):
        return value
    for _ in range(chance.choice((0, 1, 1, 2))):
        at = chance.randrange(table.num_columns) if table.num_columns else 0
        match chance.randrange(5):
            case 0 if table.num_columns > 1:
                table = table.remove_column(at)
            case 1:
                table = table.rename_columns(
                    [chance.choice(names) if i == at else n for i, n in enumerate(table.column_names)]
                )
            case 2:
                table = table.append_column(chance.choice(names), _column(table.num_rows, chance))
            case 3 if table.num_columns:
                table = table.set_column(at, table.column_names[at], _column(table.num_rows, chance))
            case _ if table.num_columns:
                table = table.set_column(at, table.column_names[at], _recast(table.column(at), chance))
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(
        compression=chance.choice((None, None, "zstd", "lz4")), emit_dictionary_deltas=chance.random() < 0.3
    )
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=chance.choice((1, 7, 1000)))
    return sink.getvalue().to_pybytes()


def _recast(column: Any, chance: Chance) -> Any:
    kind = chance.choice(
        (pa.int8(), pa.uint64(), pa.float64(), pa.string(), pa.large_string(), pa.string_view(), pa.binary(),
         pa.dictionary(pa.int8(), pa.string()), pa.dictionary(pa.uint32(), pa.large_string()), pa.timestamp("s", "UTC"),
         pa.timestamp("ns"), pa.int32())
    )  # fmt: skip
    try:
        return column.cast(kind)
    except (pa.ArrowException, OSError):
        return column


def _column(rows: int, chance: Chance) -> Any:
    odd_text = [chance.choice((None, "", "x", "a" * 300, "L1", "state")) for _ in range(rows)]
    number = [chance.choice((None, *_NUMBERS)) for _ in range(rows)]
    match chance.randrange(7):
        case 0:
            return pa.array(odd_text, pa.string())
        case 1:
            return pa.array(odd_text, pa.string()).dictionary_encode()
        case 2:
            return pa.array([None if n is None else max(min(n, 2**63 - 1), -(2**63)) for n in number], pa.int64())
        case 3:
            return pa.array([None if n is None else n % 2**64 for n in number], pa.uint64())
        case 4:
            return pa.nulls(rows, chance.choice((pa.null(), pa.string(), pa.int64(), pa.list_(pa.int8()))))
        case 5:
            return pa.array([[1]] * rows, pa.list_(pa.int64()))
        case _:
            ends = pa.array([rows] if rows else [], pa.int32())
            return pa.RunEndEncodedArray.from_arrays(ends, pa.array(["x"] if rows else [], pa.string()))
