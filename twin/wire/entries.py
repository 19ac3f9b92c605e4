"""What a person adds to an event: who, when it was entered, the hash of a note, the station at fault.

Few events have any of it, so a block holds it as one word (`EventBlock.entry`): a JSON array of the four.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from kernels.codes import NONE
from twin.events.declare import ENTRY_FIELDS
from twin.wire.lookup import I32, I64, Lookup, Words

Said = tuple[str | None, int | None, str | None, str | None]  # by, entered (ns), note, cause
_NOTHING: Final[Said] = (None, None, None, None)
_NOTE: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)


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
    for by, entered, note, cause in distinct.T.tolist():
        said = (texts[by], entered if entered >= 0 else None, texts[note], texts[cause])
        found.append(NONE if said == _NOTHING else words[msgspec.json.encode(said).decode()])
    return np.array(found, np.int32)[index.reshape(-1)]


def unpack(words: Sequence[str], entry: I32 | I64) -> list[Said]:
    """What was said of each event."""
    found: dict[int, Said] = {NONE: _NOTHING}
    for index in np.unique(entry).tolist():
        if index >= 0:
            by, entered, note, cause = msgspec.json.decode(words[index])
            found[index] = (by, entered, note, cause)
    return [found[index] for index in entry.tolist()]


def is_note(text: str) -> bool:
    """Whether it is a hash: a text that somebody wrote must not get into what cannot forget."""
    return _NOTE.fullmatch(text) is not None


def sound(line: I32, entry: I32, lookup: Lookup, words: Words) -> npt.NDArray[np.bool_]:
    """Whether the note is a hash, and the station at fault one of the line."""
    found = np.ones(len(entry), np.bool_)
    for k in np.flatnonzero(entry >= 0).tolist():
        _, _, note, cause = msgspec.json.decode(words.texts[entry[k]])
        of = lookup.plant.lines[line[k]].id if line[k] >= 0 else None
        found[k] = (note is None or is_note(note)) and (cause is None or (of, cause) in lookup.places)
    return found
