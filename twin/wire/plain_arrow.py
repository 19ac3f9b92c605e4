"""Arrow records of known forms straight to columns: `kernels.read.arrow_stream` with the forms that were learned.

What it takes it reads as `twin.wire.arrow` does; whatever is out of the ordinary it leaves to that one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from typing import Final

import numpy as np

from kernels.codes import BUFFER, CORRECTION, COUNT, COUNTER, INVALID, NONE, ORDER, STATE
from kernels.read import arrow_stream as ar
from kernels.read import payload as to
from kernels.read.plain_json import WORD_HASH
from twin.events.declare import (
    EVENTS,
    MAX_ARROW_BYTES,
    MAX_ARROW_DECODED_BYTES,
    MAX_EVENTS_PER_RECORD,
    NEEDS_STATION,
    PAYLOAD,
    TYPE_CODE,
    Field,
)
from twin.wire.arrow import SMALL_BYTES, Texts
from twin.wire.forms import FIELDS, Forms
from twin.wire.lookup import I32, I64, Lookup, Words
from twin.wire.part import EVENT_BYTES, Part
from twin.wire.plain import hash_table
from twin.wire.sound import DEFAULTS, Bools, Columns, Rows, heads, named

# Words of all the dictionaries of a run. A record for whose words there is no room is left.
_MOST_WORDS: Final = 4_096
_MOST_PLACES: Final = 65_536


_NEEDS_STATION: Final = np.array(NEEDS_STATION)


def _types(rows: Mapping[tuple[int, str], tuple[int, int]]) -> to.Types:
    """The declarations as `kernels.read.payload` wants them: without optional fields that no event has."""
    fields = np.full((len(EVENTS), max(map(len, PAYLOAD)), to.N_FIELD), NONE, np.int64)
    absent = np.array([[DEFAULTS[name] for name in to.COLUMNS]] * len(EVENTS), np.int64)
    for code, payload in enumerate(PAYLOAD):
        forms = {f.form for f in payload if rows.get((code, f.name), (NONE, NONE))[0] >= 0}
        k = 0
        for f in payload:
            assert f.column is not None
            if f.column == "entry":
                continue
            column = to.COLUMNS.index(f.column)
            if f.form is None:
                absent[code, column] = f.absent
            if f.required or (rows[code, f.name][0] >= 0 if f.form is None else f.form in forms):
                form = NONE if f.form is None else f.form
                fields[code, k] = *rows[code, f.name], f.required, column, f.absent, form
                k += 1
    return to.Types(fields, absent, np.array([any(f.form is not None for f in payload) for payload in PAYLOAD]))


@dataclass(slots=True)
class PlainArrow:
    """The events of the records that have a known form, as the kernel wrote them: until it writes the next."""

    rows: I64  # as long as all events or longer
    row_of: list[int]  # of each field, -1: no record has it
    record: I64
    place: I64
    places: I64  # (2, places) the texts of line and station, -1: none
    texts: list[str]
    fields: I64  # which name each text, as bits
    sizes: dict[int, int]  # bytes that each record takes once decoded

    def before(self, record: int) -> "PlainArrow":
        """Without this record and those behind it."""
        n = int(np.searchsorted(self.record, record))
        return replace(self, record=self.record[:n], place=self.place[:n])

    def compiled(self) -> None:
        """Compile what `part` needs."""
        self._laid_out(np.empty(0, np.int32), Words())

    def part(self, lookup: Lookup, words: Words) -> tuple[Part, list[int]]:
        """The events as columns, and the records left out: those with an event that is not sound."""
        if not len(self.record):
            return Part.of_refusals([]), []
        columns, ok = self._columns(lookup, words)
        part = Part(columns, self.record, [])
        if ok.all():
            return part, []
        left = np.unique(self.record[~ok])
        return part.keep(~np.isin(self.record, left)), left.tolist()

    def _columns(self, lookup: Lookup, words: Words) -> tuple[Columns, Bools]:
        """What `twin.wire.sound.finish` makes of the same events."""
        texts: Texts = [*self.texts, None]
        line_names, station_names = (map(texts.__getitem__, column.tolist()) for column in self.places)
        places = map(lookup.places.get, zip(line_names, station_names, strict=True), repeat(NONE))
        types = self._numbers("type", lambda text: TYPE_CODE.get(text, INVALID)).take(self._row("type"))
        rows = Rows(
            self.record,
            types,
            np.fromiter(places, np.int64, self.places.shape[1]).take(self.place),
            # Copies: a block that kept these would keep all rows.
            self._row("ts").copy(),
            self._row("epoch").copy(),
            self._row("seq").copy(),
        )
        columns, ok = heads(rows, lookup)
        laid, sound = self._laid_out(types, words)
        ok &= sound
        if columns["station"].min() < 0:
            ok &= (columns["station"] >= 0) | ~_NEEDS_STATION.take(types)
        for code in (STATE, COUNT, ORDER, BUFFER, CORRECTION):
            mine = types == code
            if code == COUNT:
                mine &= laid["code"] == COUNTER  # parts name nothing
            where = np.flatnonzero(mine)
            if not len(where):
                continue
            filled = {name: values.take(where) for name, values in laid.items() if name != "entry"}
            line, station = columns["line"].take(where), columns["station"].take(where)
            ok[where] &= named(code, filled, line, station, lookup, words)
            laid["code"][where] = filled["code"]
        return columns | laid, ok

    def _laid_out(self, types: I32, words: Words) -> tuple[Columns, Bools]:
        """What events of each type have of their own."""
        meaning: list[I32] = []
        rows: dict[tuple[int, str], tuple[int, int]] = {}
        for code, payload in enumerate(PAYLOAD):
            for f in payload:
                if f.column == "entry":  # no plain form has any
                    continue
                row = self.row_of[FIELDS.index(f.name)]
                rows[code, f.name] = row, NONE if f.kind in ("integer", "time") or row < 0 else len(meaning)
                if rows[code, f.name][1] >= 0:
                    meaning.append(self._numbers(f.name, _meaning(f, words)))
        n = len(types)
        wide, narrow = np.empty((to.CODE, n), np.int64), np.empty((len(to.COLUMNS) - to.CODE, n), np.int32)
        ok = np.ones(n, np.bool_)
        table = np.array(meaning, np.int32).reshape(-1, len(self.texts) + 1)
        to.lay_out(types, self.rows, table, _types(rows), wide, narrow, ok)
        return dict(zip(to.COLUMNS, [*wide, *narrow], strict=True)) | {"entry": np.full(n, NONE, np.int32)}, ok

    def _row(self, name: str) -> I64:
        row = self.row_of[FIELDS.index(name)]
        return np.full(len(self.record), NONE, np.int64) if row < 0 else self.rows[row, : len(self.record)]

    def _numbers(self, name: str, get: Callable[[str], int]) -> I32:
        """What `get` has for each text that the field names, -1 for others and for the last, where no text is."""
        found = np.full(len(self.texts) + 1, NONE, np.int32)
        used = np.flatnonzero(self.fields >> FIELDS.index(name) & 1)
        found[used] = [get(self.texts[k]) for k in used.tolist()]
        return found


def _meaning(field: Field, words: Words) -> Callable[[str], int]:
    """From the texts of a field to what a block has for them."""
    if field.kind == "choice":
        choices = {choice: number for number, choice in enumerate(field.choices)}
        return lambda text: choices.get(text, INVALID)
    return lambda text: words[text] if field.minimum <= len(text) <= field.maximum else INVALID


class PlainArrowReader:
    """Reads records of the forms that are known."""

    def __init__(self, forms: Forms) -> None:
        self._forms: Final = forms

    def warm(self) -> None:
        """Compile the kernels."""
        self._read([], [], [], 0).compiled()

    def read(self, records: Sequence[int], values: Sequence[bytes], most_bytes: int) -> PlainArrow:
        """Look at records `values[i]` for i in `records`, so many that `most_bytes` hold them if all are plain."""
        mine: list[int] = []
        forms: list[int] = []
        size = 0
        for i in records:
            value = values[i]
            if size > most_bytes:
                break
            if len(value) % 8 == 0 and len(value) <= MAX_ARROW_BYTES and (form := self._forms.first(value)) >= 0:
                mine.append(i)
                forms.append(form)
                size += len(value)
        return self._read(mine, [values[i] for i in mine], forms, most_bytes) if mine else nothing_plain_arrow()

    def _read(self, records: list[int], values: list[bytes], forms: list[int], most_bytes: int) -> PlainArrow:
        joined = b"".join(values)
        sizes = np.fromiter(map(len, values), np.int64, len(values))
        form_of = np.array(forms, np.int64)
        known = self._forms.sizes
        # No more than their bytes may hold, nor than are taken at once.
        rows = np.minimum(sizes // known.row_bytes[form_of], MAX_EVENTS_PER_RECORD)
        most_rows = min(int(rows.sum()), max(most_bytes, 0) // EVENT_BYTES + MAX_EVENTS_PER_RECORD)
        most_words = _MOST_WORDS + int((rows * known.texts[form_of]).sum())
        most_places = min(most_rows, _MOST_PLACES)
        row_of = _row_of(int(np.bitwise_or.reduce(self._forms.arrays.forms[form_of, ar.FORM_FIELDS], initial=0)))
        columns = np.empty((int(row_of.max()) + 1, most_rows), np.int64)
        record, place = np.empty(most_rows, np.int64), np.empty(most_rows, np.int64)
        words = np.empty((ar.N_NAMED, most_words), np.int64)
        places = np.empty((ar.N_PLACE, most_places), np.int64)
        out = ar.Out(
            rows=columns,
            record=record,
            place=place,
            words=words,
            table=hash_table(most_words),
            places=places,
            place_table=hash_table(most_places),
            known=np.zeros(2, np.int64),
            names=np.empty((ar.N_PLACE, MAX_EVENTS_PER_RECORD), np.int64),
            codes=np.empty(int(sizes.max(initial=0)) // 4, np.int32),
            dictionaries=np.empty((len(FIELDS), ar.N_DICTIONARY), np.int64),
        )
        data = np.frombuffer(joined, np.uint8)
        decoded = np.empty(len(values), np.int64)
        n = ar.read(
            ar.Data(data, data.view(np.int8), data.view(np.int16), data.view(np.int32), data.view(np.int64)),
            np.cumsum(sizes),
            form_of,
            np.array(records, np.int64),
            self._forms.arrays,
            ar.Limits(MAX_EVENTS_PER_RECORD, MAX_ARROW_DECODED_BYTES, SMALL_BYTES, most_bytes, EVENT_BYTES),
            row_of,
            out,
            decoded,
        )
        n_words, n_places = out.known.tolist()
        spans = words[:WORD_HASH, :n_words].T.tolist()
        return PlainArrow(
            columns,
            row_of.tolist(),
            record[:n],
            place[:n],
            places[:, :n_places],
            [joined[a:b].decode() for a, b in spans],
            words[ar.WORD_FIELDS, :n_words],
            {i: size for i, size in zip(records, decoded.tolist(), strict=True) if size},
        )


def _row_of(fields: int) -> I64:
    """A row for each of these fields, -1 for the others. Lines and stations are read as places."""
    asked = np.array([name not in ("line", "station") and fields >> k & 1 for k, name in enumerate(FIELDS)], np.bool_)
    return np.where(asked, np.cumsum(asked) - 1, NONE)


def nothing_plain_arrow() -> PlainArrow:
    """All records left."""
    empty = np.empty(0, np.int64)
    return PlainArrow(np.empty((0, 0), np.int64), [], empty, empty, np.empty((2, 0), np.int64), [], empty, {})
