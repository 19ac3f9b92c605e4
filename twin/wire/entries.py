"""What few events have: what a person adds (who, when it was entered, the hash of a note, the station at fault), what
is declared of a product (its ideal cycle or rate, its factor), and the defect of parts.

A block holds it as one word (`EventBlock.entry`): a JSON array of all of them.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from kernels.codes import NONE
from twin.events.declare import ENTRY_FIELDS
from twin.events.pace import pace_of
from twin.wire.lookup import I32, I64, Lookup, Words

_NOTE: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)


class Said(NamedTuple):
    """In the order of `ENTRY_FIELDS`."""

    by: str | None = None
    entered: int | None = None  # ns
    note: str | None = None
    cause: str | None = None
    ideal_cycle: str | None = None
    rate: str | None = None
    factor: str | None = None
    defect: str | None = None

    @property
    def declares(self) -> bool:
        return self.ideal_cycle is not None or self.rate is not None or self.factor is not None


assert Said._fields == ENTRY_FIELDS
_NOTHING: Final = Said()
_ENTERED: Final = ENTRY_FIELDS.index("entered")


def pack(fields: Mapping[str, npt.NDArray[Any]], rows: int, words: Words) -> I32 | None:
    """The column `entry` of events with these fields (texts as indices into `words`); None: no event has any."""
    given = [fields[name] for name in ENTRY_FIELDS if name in fields]
    if not any(len(values) and values.max() >= 0 for values in given):
        return None
    empty = np.full(rows, NONE, np.int64)
    told = np.stack([np.maximum(fields.get(name, empty), NONE).astype(np.int64) for name in ENTRY_FIELDS])
    distinct, index = np.unique(told, axis=1, return_inverse=True)
    texts = [*words.texts, None]
    found = []
    for cells in distinct.T.tolist():
        each = (texts[cell] if k != _ENTERED else cell if cell >= 0 else None for k, cell in enumerate(cells))
        said = Said(*each)
        found.append(NONE if said == _NOTHING else word(said, words))
    return np.array(found, np.int32)[index.reshape(-1)]


def word(said: Said, words: Words) -> int:
    """The word of what was said."""
    return words[text_of(said)]


def text_of(said: Said) -> str:
    """The text of that word."""
    return msgspec.json.encode(tuple(said)).decode()


def read(text: str) -> Said:
    return Said(*msgspec.json.decode(text))


def unpack(words: Sequence[str], entry: I32 | I64) -> list[Said]:
    """What was said of each event."""
    found = {NONE: _NOTHING} | {k: read(words[k]) for k in np.unique(entry).tolist() if k >= 0}
    return [found[index] for index in entry.tolist()]


def is_note(text: str) -> bool:
    """Whether it is a hash: a text that somebody wrote must not get into what cannot forget."""
    return _NOTE.fullmatch(text) is not None


def is_pace(said: Said) -> bool:
    try:
        pace_of(said.ideal_cycle, said.rate, said.factor)
    except ValueError:
        return False
    return True


def sound(line: I32, entry: I32, lookup: Lookup, words: Words) -> npt.NDArray[np.bool_]:
    """Whether the note is a hash, the station at fault one of the line, and a product's pace one."""
    found = np.ones(len(entry), np.bool_)
    for k in np.flatnonzero(entry >= 0).tolist():
        said = read(words.texts[entry[k]])
        of = lookup.plant.lines[line[k]].id if line[k] >= 0 else None
        found[k] = (said.note is None or is_note(said.note)) and is_pace(said)
        found[k] &= said.cause is None or (of, said.cause) in lookup.places
    return found


def defects(entry: npt.NDArray[Any], texts: Sequence[str]) -> list[str | None]:
    """The defect that each event names."""
    known = {k: read(texts[k]).defect for k in np.unique(entry).tolist() if k >= 0}
    return [known.get(k) for k in entry.tolist()]


def declare(entry: I32, words: Words) -> npt.NDArray[np.bool_]:
    """Whether each declares something of a product."""
    return np.array([k >= 0 and read(words.texts[k]).declares for k in entry.tolist()], np.bool_)
