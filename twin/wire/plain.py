"""Plain JSON events, most of all there are, to columns: `kernels.read.plain_json` with the tables of the declarations.

What it takes it reads as the decoder of `twin.wire.json` does; whatever is out of the ordinary it leaves to that one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from kernels.codes import NONE
from kernels.read import plain_json as pj
from twin.events.declare import EVENTS, FIELDS, MAX_RECORD_BYTES, PAYLOAD, WIRE, Field
from twin.wire import explain
from twin.wire.lookup import I64, Lookup, Words
from twin.wire.part import EVENT_BYTES, Offsets, Part
from twin.wire.sound import Rows, finish
from twin.wire.values import Values

_FIELDS: Final = tuple(WIRE)
assert [_FIELDS[f] for f in (pj.F_TYPE, pj.F_LINE, pj.F_STATION)] == ["type", "line", "station"]
# A decimal is left to the other decoder: with no number from `least` to `most`, no event that has one is taken.
_KIND: Final = {
    "integer": pj.INTEGER, "text": pj.TEXT, "time": pj.TIME, "choice": pj.CHOICE, "decimal": pj.INTEGER,
}  # fmt: skip
_HEADS: Final = {"ts": pj.ROW_OWN, "epoch": pj.ROW_OWN + 1, "seq": pj.ROW_OWN + 2}
_OWN: Final = pj.ROW_OWN + len(_HEADS)  # the first field of a type's own stands here
_N_ROW: Final = _OWN + max(map(len, PAYLOAD))
_TEXTS_EACH: Final = max(sum(f.kind == "text" for f in payload) for payload in PAYLOAD)


def names_of(texts: Iterable[str]) -> tuple[npt.NDArray[np.uint8], list[tuple[int, int]]]:
    """The bytes of texts, a NUL behind each, and where they stand."""
    encoded = [text.encode() for text in texts]
    ends = np.cumsum([len(text) + 1 for text in encoded]).tolist()
    joined = np.frombuffer(b"".join(text + b"\0" for text in encoded), np.uint8)
    return joined, [(end - 1 - len(text), end - 1) for end, text in zip(ends, encoded, strict=True)]


def spans_of(spans: Sequence[tuple[int, ...]], rows: int) -> I64:
    return np.ascontiguousarray(np.array(spans, np.int64).reshape(-1, rows).T)


def hash_table(entries: int) -> npt.NDArray[np.int32]:
    """An empty hash table, at most half full with so many entries."""
    return np.full(1 << (2 * entries + 1).bit_length(), NONE, np.int32)


def _form(code: int, field: Field) -> list[int]:
    heads = {**_HEADS, **{f.name: _OWN + k for k, f in enumerate(PAYLOAD[code])}}
    assert field.kind != "text" or field.minimum <= 1, "the kernel counts bytes, not characters"
    return [
        _FIELDS.index(field.name),
        _KIND[field.kind],
        int(field.required),
        heads.get(field.name, NONE),
        field.minimum,
        0 if field.kind == "decimal" else field.maximum,
    ]


def _grammar() -> pj.Grammar:
    words = sorted({*_FIELDS, *(choice for f in WIRE.values() for choice in f.choices)})
    names, spans = names_of(words)
    choice = [[f.choices.index(word) if word in f.choices else NONE for word in words] for f in WIRE.values()]
    forms = np.full((len(EVENTS), max(map(len, FIELDS)), pj.N_FORM), NONE, np.int64)
    for code, fields in enumerate(FIELDS):
        forms[code, : len(fields)] = [_form(code, f) for f in fields]
    grammar = pj.Grammar(
        names=names,
        spans=spans_of(spans, 2),
        table=hash_table(len(words)),
        field_of=np.array([_FIELDS.index(word) if word in WIRE else NONE for word in words], np.int64),
        choice=np.array(choice, np.int64),
        forms=forms,
    )
    pj.enter_words(grammar.names, grammar.spans, grammar.table)
    return grammar


def _places(lookup: Lookup) -> pj.Places:
    """The plant's places in the order of their numbers."""
    distinct = dict.fromkeys(name for pair in lookup.places for name in pair if name is not None)
    names, spans = names_of(distinct)
    span_of: dict[str | None, tuple[int, int]] = dict(zip(distinct, spans, strict=True))
    span_of[None] = (NONE, NONE)
    pairs = [(*span_of[line], *span_of[station]) for line, station in lookup.places]
    places = pj.Places(names, spans_of(pairs, 4), hash_table(len(pairs)))
    pj.enter_places(*places)
    return places


@dataclass(slots=True)
class Plain:
    """The plain events among some records: rows of `kernels.read.plain_json`, its words, and the records it left."""

    rows: I64
    words: list[str]
    records: int  # how many were looked at
    rest: list[int]  # those that are not plain
    decoded_bytes: int  # about what the plain ones take in memory

    @property
    def record(self) -> I64:
        record: I64 = self.rows[pj.ROW_RECORD]
        return record

    def before(self, record: int) -> "Plain":
        """Without this record and those behind it."""
        return replace(self, rows=self.rows[:, self.record < record])

    def part(self, values: Sequence[bytes], offsets: Offsets, lookup: Lookup, words: Words) -> Part:
        """The sound events as columns, the others refused."""
        if not len(self.record):
            return Part.of_refusals([])
        rows = self.decoded(words)
        columns, ok = finish(rows, lookup, words)
        bad = [] if ok.all() else self.record[~ok].tolist()
        refused = [(i, 0, explain.json_event(values[i], int(offsets[i]), lookup)) for i in bad]
        return Part(columns, rows.record, refused).keep(ok)

    def decoded(self, words: Words) -> Rows:
        known = np.array([*(words[word] for word in self.words), NONE], np.int64)
        types = self.rows[pj.ROW_TYPE].astype(np.int32)
        ts, epoch, seq = self.rows[pj.ROW_OWN : _OWN]
        rows = Rows(self.record, types, self.rows[pj.ROW_PLACE], ts, epoch, seq)
        for code in np.flatnonzero(np.bincount(types, minlength=len(EVENTS))).tolist():
            where = np.flatnonzero(types == code)
            every = len(where) == len(types)
            fields: dict[str, npt.NDArray[Any]] = {}
            for k, field in enumerate(PAYLOAD[code]):
                values = self.rows[_OWN + k] if every else self.rows[_OWN + k].take(where)
                if field.kind == "text":
                    values = known.take(values).astype(np.int32)
                fields[field.name] = values
            rows.payload[code] = (None if every else where, fields)
        return rows


class PlainReader:
    """Finds the plain events of one plant."""

    def __init__(self, lookup: Lookup) -> None:
        self._grammar: Final = _grammar()
        self._places: Final = _places(lookup)

    def read(self, values: Values, most_bytes: int) -> Plain:
        """Look at so many records that `most_bytes` hold them if all are plain: at least one."""
        sizes = values.sizes
        n = max(int(np.searchsorted(np.cumsum(sizes + EVENT_BYTES), most_bytes, "right")), 1)
        rows = np.full((_N_ROW, n), NONE, np.int64)
        words = np.empty((pj.N_WORD, n * _TEXTS_EACH), np.int64)
        rest = np.empty(n, np.int64)
        scratch = np.empty((pj.N_AT, len(_FIELDS) + 1), np.int64)
        found, known, left = pj.scan(
            values.data,
            values.starts[:n],
            values.ends[:n],
            MAX_RECORD_BYTES,
            self._grammar,
            self._places,
            scratch,
            rows,
            words,
            hash_table(words.shape[1]),
            rest,
        )
        spans = words[: pj.WORD_HASH, :known].T.tolist()
        taken = rows[:, :found]
        size = int(sizes[taken[pj.ROW_RECORD]].sum()) + EVENT_BYTES * found
        return Plain(taken, [values.data[a:b].tobytes().decode() for a, b in spans], n, rest[:left].tolist(), size)


def nothing_plain(records: int) -> Plain:
    """All records left, none looked at."""
    return Plain(np.empty((_N_ROW, 0), np.int64), [], records, list(range(records)), 0)
