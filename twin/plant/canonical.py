"""The plant as text that does not move: what the hashes of plant and lines are made of, and what audit roots keep.

JSON, keys sorted, no space, times in ns. What is absent (None, or an empty list or table) is left out; so is a field
that came later (`twin.plant.model.later`) where it has the value that its absence means. Hence a new optional key
leaves the hash of every plant that does not use it. The other numbers always stand: a model says all that its figures
depend on, whatever the defaults are by then (`twin.plant.load.kept` says what becomes of a plant when one changes).

Time classes are written by the numbers of form 1, whatever their numbers are now; later ones by name, and left out
where a word that is a later class's own name means that class.
"""

import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, Final

from kernels.codes import CLASS_NAMES
from twin.plant.model import ABSENT, Line, Plant, Station
from twin.plant.shared import once_a_plant

# Part of every hash: raise it when the same model begins to mean something else.
_FORM: Final = 1
_HASH_DIGITS: Final = 16
_EMPTY: Final[tuple[object, ...]] = ((), {}, "")
_NOTHING: Final = object()  # equal to no value
_CLASSES: Final = (
    "unknown",
    "off_shift",
    "planned_stop",
    "no_order",
    "running",
    "setup",
    "starved",
    "blocked",
    "minor_stop",
    "down",
    "maintenance",
    "waiting",
    "stopped",
)


def model_hash(plant: Plant) -> str:
    """First 16 hex digits of the SHA-256 of the canonical model."""
    return _hash(canonical_text(plant))


def line_hash(line: Line) -> str:
    """As `model_hash`, of one line with its calendar: another line's change leaves it, and so does an exception of the
    calendar."""
    return _hash(_text(replace(line, calendar=replace(line.calendar, exceptions=()))))


@once_a_plant
def line_hashes(plant: Plant) -> tuple[str, ...]:
    """`line_hash` of every line, in the plant's order."""
    return tuple(map(line_hash, plant.lines))


def canonical_text(plant: Plant) -> str:
    """The model without hash and source."""
    return _text(replace(plant, hash="", source=""))


def states_of(written: Mapping[str, int | str]) -> dict[str, int]:
    """Word -> time class of today, from what the canonical text says. ValueError: there is no such class."""
    own = {name: code for code, name in enumerate(CLASS_NAMES) if name not in _CLASSES}
    return {**own, **{word: _class(said) for word, said in written.items()}}


def _class(said: int | str) -> int:
    name = _CLASSES[said] if isinstance(said, int) and 0 <= said < len(_CLASSES) else said
    if name not in CLASS_NAMES:
        raise ValueError(f"time class {said!r} is not known")
    return CLASS_NAMES.index(str(name))


def _states(states: Mapping[str, int]) -> dict[str, int | str]:
    named = {word: CLASS_NAMES[code] for word, code in states.items()}
    return {
        word: _CLASSES.index(name) if name in _CLASSES else name
        for word, name in named.items()
        if name != word or name in _CLASSES
    }


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH_DIGITS]


def _text(value: Line | Plant) -> str:
    form = {"form": _FORM, **_plain(value)}
    return json.dumps(form, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def _plain(value: Any) -> Any:
    known = _fields_of(type(value))  # type: ignore[arg-type]  # classes are hashable
    if known is not None:
        pairs = {}
        for name, unsaid, states in known:
            item = getattr(value, name)
            if states:
                item = _states(item)
            if item is not None and item not in _EMPTY and item != unsaid:
                pairs[name] = _plain(item)
        return pairs
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


@functools.cache
def _fields_of(kind: type) -> tuple[tuple[str, Any, bool], ...] | None:
    """Of a dataclass, each field's name, the value that its absence means, and whether it holds states. Asked anew of
    each station, that was half of reading a large plant."""
    if not is_dataclass(kind):
        return None
    return tuple(
        (one.name, one.metadata.get(ABSENT, _NOTHING), kind is Station and one.name == "states") for one in fields(kind)
    )
