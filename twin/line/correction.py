"""Corrections: an operator's later word on an earlier event of the same station.

`corrects` names that event by its time (RFC 3339, or ns since 1970) or by its number: `seq`, or `epoch/seq` where that
is not the epoch of the correction itself.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from kernels import layout as at
from kernels.codes import COUNT, PARTS, STATE
from twin.events.declare import Correction as Declared
from twin.line.engine import Engine
from twin.wire.time import parse_rfc3339

I64 = npt.NDArray[np.int64]

_NUMBER: Final = re.compile(r"(?:(\d{1,18})/)?(\d{1,19})", re.ASCII)
# A number from here on is a time (a second after 1970 in ns), below it a `seq`: no source counts that far.
_FIRST_TIME: Final = 1_000_000_000_000_000
_PARTS: Final = (("good", at.E_A), ("scrap", at.E_B), ("rework", at.E_C))


@dataclass(slots=True)
class Correction:
    """One correction and the instant at which it was made."""

    ts: int
    value: bytes  # JSON, as it came in
    offset: int  # of its record
    event: Declared


@dataclass(slots=True)
class Corrected:
    rows: I64
    changed: list[int] = field(default_factory=list)  # times of the events that were changed


def parse(value: bytes, offset: int) -> Correction:
    """`value` is the canonical JSON of an event that was decoded before."""
    event = msgspec.json.decode(value, type=Declared)
    return Correction(event.ts if isinstance(event.ts, int) else parse_rfc3339(event.ts), value, offset, event)


def apply_all(
    rows: I64, corrections: Sequence[Correction], engine: Engine, line: int
) -> tuple[Corrected, list[tuple[Correction, int]]]:
    """`rows` of one line with the corrections applied in their order, and those that are refused, with the verdict."""
    result = Corrected(rows.copy() if corrections else rows)
    refused = []
    stations = {station.id: k for k, station in enumerate(engine.plant.lines[line].stations)}
    first = int(engine.numbers.lines[line, at.LC_STATION])
    for one in corrections:
        local = stations[one.event.station]
        found = _find(result.rows, one.event, first + local)
        if found is None:
            refused.append((one, at.UNCORRECTED))
            continue
        row = result.rows[found]
        if row[at.E_TYPE] == STATE:
            if one.event.state is not None:
                row[at.E_CODE] = engine.plant.lines[line].stations[local].states[one.event.state]
                row[at.E_X] = engine.texts.number(one.event.state)
            if one.event.reason is not None:
                row[at.E_Y] = engine.texts.number(one.event.reason)
        else:
            told = {column: getattr(one.event, name) for name, column in _PARTS}
            parts = {column: int(row[column]) if value is None else value for column, value in told.items()}
            if sum(parts.values()) > engine.numbers.stations[first + local, at.SC_MAX_PARTS]:
                refused.append((one, at.IMPOSSIBLE))
                continue
            row[list(parts)] = list(parts.values())
        result.changed.append(int(row[at.E_TS]))
    return result, refused


def _find(rows: I64, event: Declared, station: int) -> int | None:
    """The newest event of the station that `corrects` names and that has what is corrected."""
    told = event.reason is not None or event.state is not None
    counted = any(getattr(event, name) is not None for name, _ in _PARTS)
    kinds = rows[:, at.E_TYPE]
    fits = (kinds == STATE) if told else (kinds == COUNT) & (rows[:, at.E_CODE] == PARTS)
    if told and counted:
        return None
    match = _NUMBER.fullmatch(event.corrects)
    if match is None or (match[1] is None and int(match[2]) >= _FIRST_TIME):
        try:
            ts = int(match[2]) if match else parse_rfc3339(event.corrects)
        except ValueError:
            return None
        fits &= rows[:, at.E_TS] == ts
    else:
        epoch = int(match[1]) if match[1] else (event.epoch or 0)
        seq = int(match[2])
        fits &= (rows[:, at.E_EPOCH] == epoch) & (rows[:, at.E_SEQ] == seq)
    found = np.flatnonzero(fits & (rows[:, at.E_STATION] == station))
    return int(found[-1]) if found.size else None
