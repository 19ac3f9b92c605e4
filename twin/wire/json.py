"""JSON records to columns: one event per record, or an array of events."""

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from kernels.codes import INVALID, NONE
from twin.decimals import MAX_DIGITS
from twin.events.block import Rejected
from twin.events.declare import (
    EVENTS,
    MAX_EVENTS_PER_RECORD,
    MAX_NESTING,
    MAX_RECORD_BYTES,
    PAYLOAD,
    AnyEvent,
    Event,
    Field,
)
from twin.time.rfc3339 import parse_rfc3339
from twin.wire import explain
from twin.wire.lookup import I64, Lookup, Words
from twin.wire.part import EVENT_BYTES, Offsets, Part, Refusal
from twin.wire.sound import Rows, finish

_RECORD: Final = msgspec.json.Decoder(AnyEvent | list[AnyEvent])
_EVENT: Final = msgspec.json.Decoder(AnyEvent)
_TEXT: Final = msgspec.json.Decoder(str)
_NO_NUMBER: Final = (b"{", b"[", b"t", b"f", b"")
_ELEMENTS: Final = msgspec.json.Decoder(list[msgspec.Raw])
# Everything msgspec raises for bytes it does not take.
_UNDECODABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_CODE: Final[dict[type, int]] = {event: code for code, event in enumerate(EVENTS)}
# Records that are decoded in one go.
_TOGETHER: Final = 512
_STEP: Final = np.zeros(256, np.int8)
_STEP[list(b"[{")] = 1
_STEP[list(b"]}")] = -1
_PLACE: Final = attrgetter("line", "station")
_TS: Final = attrgetter("ts")
_EPOCH: Final = attrgetter("epoch")
_SEQ: Final = attrgetter("seq")
_GETTERS: Final = tuple(tuple((f, attrgetter(f.name)) for f in fields) for fields in PAYLOAD)


class JsonRun:
    """The JSON records of one run: `add` each, then `part`."""

    def __init__(self, lookup: Lookup, words: Words) -> None:
        self._lookup = lookup
        self._words = words
        self._events: list[Any] = []
        self._record: list[int] = []
        self._first: dict[int, int] = {}  # record that is an array -> row of its first event
        self._raw: dict[int, tuple[int, bytes]] = {}  # row -> element of an array read piece by piece
        self._refused: list[Refusal] = []
        self.decoded_bytes = 0  # about what it all takes in memory

    def add(self, records: Sequence[int], values: Sequence[bytes], offsets: Offsets, most_bytes: int) -> int:
        """Decode `values[i]` for i in `records` until all that was added takes `most_bytes`. Returns how many were."""
        done = 0
        while done < len(records):
            some = records[done : done + _TOGETHER]
            if self._add_plain(some, values, most_bytes):
                done += len(some)
                continue
            taken = self._add_each(some, values, offsets, most_bytes)
            done += taken
            if taken < len(some):
                break
        return done

    def _add_plain(self, records: Sequence[int], values: Sequence[bytes], most_bytes: int) -> bool:
        """Decode records of one plain event each, all or none: what most of them are, and three times as quick.

        False, and nothing added, when one of them is anything else.
        """
        mine = [values[i] for i in records]
        joined = b"\n".join(mine)  # between two records, so that half a character at the end of one stays half
        size = self.decoded_bytes + len(joined) + EVENT_BYTES * len(mine)
        # Few enough brackets that each event can have but its own: nothing is nested.
        if size > most_bytes or b"[" in joined or joined.count(b"{") != len(mine):
            return False
        if max(map(len, mine), default=0) > MAX_RECORD_BYTES:
            return False
        try:
            # msgspec does not look into texts it skips; a record is UTF-8 as a whole or not at all.
            if not joined.isascii():
                joined.decode()
            self._events += list(map(_EVENT.decode, mine))
        except _UNDECODABLE:
            return False
        self._record += records
        self.decoded_bytes = size
        return True

    def _add_each(self, records: Sequence[int], values: Sequence[bytes], offsets: Offsets, most_bytes: int) -> int:
        decode, events, record = _RECORD.decode, self._events, self._record
        size = self.decoded_bytes
        for done, i in enumerate(records):
            if size > most_bytes:
                self.decoded_bytes = size
                return done
            value = values[i]
            size += len(value) + EVENT_BYTES
            try:
                if not value.isascii():
                    value.decode()
                found = decode(value) if len(value) <= MAX_RECORD_BYTES else None
            except _UNDECODABLE:
                found = None
            if len(value) > MAX_NESTING and _too_deep(value, len(found) if type(found) is list else 0):
                found = None
            if type(found) is list and len(found) <= MAX_EVENTS_PER_RECORD:
                self._first[i] = len(events)
                size += EVENT_BYTES * len(found)
                events += found
                record += [i] * len(found)
            elif found is None or type(found) is list:
                size += EVENT_BYTES * self._slow(i, value, int(offsets[i]))
            else:
                events.append(found)
                record.append(i)
        self.decoded_bytes = size
        return len(records)

    def _slow(self, i: int, value: bytes, offset: int) -> int:
        """A record that is not sound as a whole: refuse it, or the elements that are not. Returns how many it has."""
        if len(value) > MAX_RECORD_BYTES:
            self._refuse(i, 0, Rejected("too_large", _too_long(value), offset, value))
            return 1
        if _too_deep(value, 0):
            detail = f"nested deeper than {MAX_NESTING} levels"
            self._refuse(i, 0, Rejected("too_large", detail, offset, value))
            return 1
        pieces = _pieces(value)
        if pieces is None:
            self._refuse(i, 0, explain.json_event(value, offset, self._lookup))
            return 1
        if len(pieces) > MAX_EVENTS_PER_RECORD:
            detail = f"{len(pieces)} events in one record, at most {MAX_EVENTS_PER_RECORD} are taken: send several"
            self._refuse(i, 0, Rejected("too_large", detail, offset, value))
            return 1
        for element, piece in enumerate(pieces):
            try:
                event = _EVENT.decode(piece)
            except _UNDECODABLE:
                self._refuse(i, element, explain.json_event(piece, offset, self._lookup))
                continue
            self._raw[len(self._events)] = (element, piece)
            self._events.append(event)
            self._record.append(i)
        return len(pieces)

    def _refuse(self, record: int, element: int, rejected: Rejected) -> None:
        self._refused.append((record, element, rejected))

    def part(self, values: Sequence[bytes], offsets: Offsets) -> Part:
        """The sound events as columns, the others refused."""
        rows = _rows(self._events, self._record, self._lookup, self._words)
        columns, ok = finish(rows, self._lookup, self._words)
        for row in np.flatnonzero(~ok).tolist():
            i = self._record[row]
            element, value = self._source(row, i, values[i])
            self._refuse(i, element, explain.json_event(value, int(offsets[i]), self._lookup))
        return Part(columns, rows.record, self._refused).keep(ok)

    def _source(self, row: int, record: int, value: bytes) -> tuple[int, bytes]:
        if row in self._raw:
            return self._raw[row]
        if record not in self._first:
            return 0, value
        first = self._first[record]
        # The array decoded as a whole; read it again in pieces, once.
        for element, piece in enumerate(_ELEMENTS.decode(value)):
            self._raw[first + element] = (element, bytes(piece))
        return self._raw[row]


def _too_long(value: bytes) -> str:
    return f"{len(value)} bytes in one JSON record, at most {MAX_RECORD_BYTES} are taken: send several, or Arrow"


def _too_deep(value: bytes, events: int) -> bool:
    """Whether brackets nest deeper than MAX_NESTING (also those inside texts: simple, and the same everywhere).

    Where the decoder itself gives up depends on the depth of the call stack, so it must never come to that: one log
    gives the same numbers everywhere. An array of `events` objects that nest nothing is told by counting.
    """
    if value.count(b"{") + value.count(b"[") <= MAX_NESTING + events:
        return False
    return int(_STEP[np.frombuffer(value, np.uint8)].cumsum(dtype=np.int64).max()) > MAX_NESTING


def _pieces(value: bytes) -> list[bytes] | None:
    """The elements of an array as bytes; None for anything else."""
    if not value.lstrip(b" \t\r\n").startswith(b"["):
        return None
    try:
        value.decode()
        return [bytes(piece) for piece in _ELEMENTS.decode(value)]
    except (UnicodeDecodeError, RecursionError):
        return None
    except msgspec.DecodeError:
        pass
    try:
        return explain.elements(value)
    except (ValueError, RecursionError):
        return None


def _rows(events: list[Any], record: list[int], lookup: Lookup, words: Words) -> Rows:
    n = len(events)
    types = np.fromiter(map(_CODE.__getitem__, map(type, events)), np.int32, n)
    place = lookup.places.get
    rows = Rows(
        record=np.array(record, np.int64),
        type=types,
        place=np.array([place(where, NONE) for where in map(_PLACE, events)], np.int64),
        ts=_times(list(map(_TS, events))),
        epoch=_integers(list(map(_EPOCH, events)), 0),
        seq=_integers(list(map(_SEQ, events)), NONE),
    )
    for code in np.flatnonzero(np.bincount(types, minlength=len(EVENTS))).tolist():
        where = np.flatnonzero(types == code)
        of_type = events if len(where) == n else [events[i] for i in where.tolist()]
        fields = {f.name: _column(f, get, of_type, words) for f, get in _GETTERS[code]}
        rows.payload[code] = (None if len(where) == n else where, fields)
    return rows


def _column(field: Field, get: Callable[[Event], Any], events: list[Event], words: Words) -> npt.NDArray[Any]:
    values = map(get, events)
    if field.kind == "text":
        return np.fromiter(map(words.__getitem__, values), np.int32, len(events))
    if field.kind == "choice":
        chosen = {choice: k for k, choice in enumerate(field.choices)} | {None: NONE}
        return np.fromiter(map(chosen.__getitem__, values), np.int32, len(events))
    if field.kind == "decimal":
        return np.fromiter(
            (words[text] if (text := _written(raw)) != "" else INVALID for raw in values), np.int32, len(events)
        )
    if field.kind == "time":
        return _times([NONE if value is None else value for value in values])
    return _integers(list(values), NONE)


def _written(raw: Any) -> str | None:
    """A number as it was written, or the text of one; None: null, empty: anything else."""
    value = bytes(raw)
    if value == b"null":
        return None
    if len(value) > MAX_DIGITS or value[:1] in _NO_NUMBER:
        return ""
    if value[:1] != b'"':
        return value.decode()
    try:
        return _TEXT.decode(value)
    except _UNDECODABLE:
        return ""


def _integers(values: list[Any], absent: int) -> I64:
    """Most columns are full or empty, and then need no look at each value."""
    missing = values.count(None)
    if not missing:
        return np.array(values, np.int64)
    if missing == len(values):
        return np.full(len(values), absent, np.int64)
    return np.array([absent if value is None else value for value in values], np.int64)


def _times(values: list[int | str]) -> I64:
    if set(map(type, values)) <= {int}:
        return np.array(values, np.int64)
    return np.array([v if isinstance(v, int) else _time(v) for v in values], np.int64)


def _time(text: str) -> int:
    try:
        ns = parse_rfc3339(text)
    except ValueError:
        return INVALID
    return ns if 0 <= ns < 2**63 else INVALID
