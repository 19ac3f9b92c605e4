"""The plant's rules on decoded events, whatever they came in: JSON and Arrow meet here.

A decoder hands over `Rows`; `finish` turns them into the columns of an `EventBlock` and says which rows are sound.
Nothing is explained here: a row that is not sound goes to `twin.wire.explain`.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from kernels.codes import BUFFER, CORRECTION, COUNT, COUNTER, MEASURE, NONE, ORDER, PARTS, PRODUCT, STATE
from twin.events.block import DTYPES
from twin.events.declare import NEEDS_STATION, PAYLOAD, STOP, UNDO, YEAR_2200_NS
from twin.measures.catalogue import defects
from twin.wire import entries, measured
from twin.wire.lookup import I32, I64, Lookup, Tables, Words

Columns = dict[str, npt.NDArray[Any]]
Fields = dict[str, npt.NDArray[Any]]
Bools = npt.NDArray[np.bool_]

DEFAULTS = dict.fromkeys(("code", "a", "b", "c"), 0) | dict.fromkeys(("x", "y", "z", "entry"), NONE)


@dataclass(slots=True)
class Rows:
    """Events as decoded, columns of one length: -1 is absent, below that is invalid.

    `payload[type]` holds which rows are of that type (None: all) and their fields by name: numbers as they are (int64),
    texts and decimals as indices into the words of the run, choices as the index of the choice (int32).
    """

    record: I64  # position of the event's record in the run
    type: I32
    place: I64
    ts: I64
    epoch: I64
    seq: I64
    payload: dict[int, tuple[I64 | None, Fields]] = field(default_factory=dict)


def heads(rows: Rows, lookup: Lookup) -> tuple[Columns, Bools]:
    """The block's columns that every event has (without `offset`), and which of these are sound."""
    n = len(rows.ts)
    ok = np.ones(n, np.bool_)
    earliest = lookup.earliest_ns
    for values, least in ((rows.type, 0), (rows.place, 0), (rows.ts, earliest), (rows.epoch, NONE), (rows.seq, NONE)):
        _at_least(values, least, ok)
    if n and rows.ts.max() >= YEAR_2200_NS:
        ok &= rows.ts < YEAR_2200_NS
    columns: Columns = {
        "line": lookup.line_of.take(rows.place),
        "station": lookup.station_of.take(rows.place),
        "type": rows.type.astype(np.int8),
        "ts": rows.ts,
        "epoch": np.maximum(rows.epoch, 0) if n and rows.epoch.min() < 0 else rows.epoch,
        "seq": rows.seq,
    }
    return columns, ok


def finish(rows: Rows, lookup: Lookup, words: Words) -> tuple[Columns, Bools]:
    """The block's columns (without `offset`), and which rows are sound."""
    n = len(rows.ts)
    columns, ok = heads(rows, lookup)
    line, station = columns["line"], columns["station"]
    for code, (where, fields) in rows.payload.items():
        at = slice(None) if where is None else where
        filled, sound = _payload(code, fields, station[at], words)
        sound &= named(code, filled, line[at], station[at], lookup, words)
        if not sound.all():
            ok[at] &= sound
        if where is None:
            columns |= filled
            continue
        for name, values in filled.items():
            if name not in columns:
                columns[name] = np.full(n, DEFAULTS[name], DTYPES[name])
            columns[name][at] = values
    for name, default in DEFAULTS.items():
        if name not in columns:
            columns[name] = np.full(n, default, DTYPES[name])
    return columns, ok


def _at_least(values: npt.NDArray[Any], least: int, ok: Bools) -> None:
    """Clear `ok` where a value is below. The minimum tells most columns off in one pass."""
    if len(values) and values.min() < least:
        ok &= values >= least


def _payload(code: int, fields: Fields, station: I32, words: Words) -> tuple[Columns, Bools]:
    """The block columns of the events of one type, and which of them have what they need."""
    ok = np.ones(len(station), np.bool_)
    _at_least(station, 0 if NEEDS_STATION[code] else NONE, ok)
    for f in PAYLOAD[code]:
        _at_least(fields[f.name], 0 if f.required else NONE, ok)
    filled: Columns = {}
    if code == COUNT:
        filled["code"], sound = _count_form(fields)
        ok &= sound
    for f in PAYLOAD[code]:
        assert f.column is not None
        if f.column == "entry":
            continue
        values = fields[f.name]
        if f.absent != NONE and len(values) and values.min() < 0:
            values = np.where(values < 0, f.absent, values)
        if f.form is not None and f.column in filled:
            mine = filled["code"] == f.form
            if not mine.any():  # a block's counts are mostly all of one form
                continue
            values = np.where(mine, values, filled[f.column])
        filled[f.column] = values
    entry = entries.pack(fields, len(station), words)
    if entry is not None:
        filled["entry"] = entry
    return filled, ok


def named(code: int, filled: Columns, line: I32, station: I32, lookup: Lookup, words: Words) -> Bools:
    """Whether what the events of one type name is there, and allows their values. Fills in the code of a state."""
    ok = entries.sound(line, filled["entry"], lookup, words) if "entry" in filled else np.ones(len(station), np.bool_)
    if code == STATE:
        filled["code"] = _named(lookup.states, station, filled["x"], words)
        ok &= filled["code"] >= 0
    elif code == COUNT:
        counter = filled["code"] == COUNTER
        if counter.any():
            most = _named(lookup.counter_max, station, filled["x"], words)
            ok &= ~counter | ((filled["a"] >= 0) & (filled["a"] <= most))
        if "entry" in filled:
            ok &= _of_defects(filled, station, lookup, words)
    elif code == BUFFER:
        ok &= filled["a"] <= _named(lookup.buffer_max, line, filled["x"], words)
    elif code == ORDER:
        ok &= filled["b"] < YEAR_2200_NS
        if "entry" in filled:  # what is declared is declared of a product
            ok &= (filled["y"] >= 0) | ~entries.declare(filled["entry"], words)
    elif code == PRODUCT:
        ok &= entries.declare(filled["entry"], words) if "entry" in filled else np.False_
    elif code == MEASURE:
        ok &= measured.fill(filled, line, station, lookup, words.texts)
    elif code == CORRECTION:
        ok &= (filled["z"] < 0) | (_named(lookup.states, station, filled["z"], words) >= 0)
        parts = np.any([filled[name] >= 0 for name in ("a", "b", "c")], axis=0)
        told = (filled["y"] >= 0) | (filled["z"] >= 0)
        undo = filled["code"] == UNDO
        # A stop has no parts; of what never was nothing else is said.
        ok &= np.where(undo, ~parts & ~told, np.where(filled["code"] == STOP, told & ~parts, parts | told))
    return ok


def _of_defects(filled: Columns, station: I32, lookup: Lookup, words: Words) -> Bools:
    """Whether each defect is one of the station's, and there are parts that have it."""
    ok = np.ones(len(station), np.bool_)
    known = defects(lookup.plant)
    for k, name in enumerate(entries.defects(filled["entry"], words.texts)):
        if name is not None:
            bad = filled["code"][k] == PARTS and (filled["b"][k] > 0 or filled["c"][k] > 0)
            ok[k] = bad and station[k] >= 0 and name in known[station[k]]
    return ok


def _named(tables: Tables, owner: I32, word: npt.NDArray[Any], words: Words) -> I64:
    """`tables[owner][word]`, -1 where there is none."""
    return tables.find(owner, np.maximum(word, NONE), words.texts)


def _count_form(fields: Fields) -> tuple[npt.NDArray[Any], Bools]:
    """PARTS or COUNTER (their codes are 0 and 1), and whether the event is exactly one of the two."""
    parts = (fields["good"] != NONE) | (fields["scrap"] != NONE) | (fields["rework"] != NONE)
    counter = (fields["counter"] != NONE) | (fields["value"] != NONE)
    return counter.astype(np.int32), parts ^ counter
