"""The plant models an audit root was made with, stored in it: without them nobody could compute its rows again.

    ROOT/_models/{hash}.json

The file is the canonical text of which the hash is the SHA-256 (its first 16 digits): `sha256sum` alone shows that it
was not changed. The plant's own TOML would say more to a person, but one model has many texts.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import threading
import types
import typing
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec

from twin.audit import AuditError, durable, layout
from twin.plant.canonical import canonical_text, line_hash, model_hash, states_of
from twin.plant.model import ABSENT, Plant, Station
from twin.plant.shared import once_a_plant

# Far above any plant; a file that claims to be a model is not read whole before that is known.
MAX_MODEL_BYTES: Final = 64 << 20

# msgspec learns a class when it is first used and keeps what it learned on it; two threads that do so at once end the
# process (partitions load in threads; found by a fault plan). So the plant's classes are learned here.
_LEARNED: Final = msgspec.json.Decoder(Plant)


def is_model(name: str) -> bool:
    """Whether a path relative to the root is that of a model."""
    folder, _, file = name.rpartition("/")
    return folder == layout.MODELS and layout.model_of(file) is not None


def store(root: Path | str, plant: Plant) -> None:
    """Make the root hold the model, durably and under its hash, before any file names it. Raises AuditError.

    May be called by several workers at once: they write the same bytes.
    """
    data = _text(plant)
    digest = _digest(data)
    if digest != plant.hash:
        raise AuditError(f"plant {plant.source or plant.site}: hash {plant.hash} is not its model's ({digest})")
    path = layout.root_path(root) / layout.model_name(digest)
    if path.exists():
        if _bytes(path) != data:  # bytes that are ours need no reading: each partition of a worker comes here
            load(root, digest)
        _remove_temporary(path.parent, digest)
        return
    temporary = path.with_name(f".{digest}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        durable.make_folder(path.parent)
        temporary.unlink(missing_ok=True)  # of a process with our number that was killed right here
        durable.write(temporary, data)
        try:
            temporary.replace(path)
        except FileNotFoundError:
            if not path.exists():  # otherwise another worker was quicker, and has cleaned up
                raise
        durable.sync_folder(path.parent)
        _remove_temporary(path.parent, digest)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise AuditError(
            f"{path}: cannot be written ({error.strerror}); make room or give this user the right to write there"
        ) from error


def _remove_temporary(folder: Path, digest: str) -> None:
    """What writers left that were killed; the model is stored, so those still at it need theirs no more."""
    for left in folder.glob(f".{digest}.*.tmp"):
        left.unlink(missing_ok=True)


def stored(root: Path) -> list[str]:
    """Hashes of the models a root holds."""
    try:
        names = [path.name for path in (root / layout.MODELS).iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(digest for digest in map(layout.model_of, names) if digest is not None)


def revision_of(root: Path | str, digest: str) -> int | None:
    """The revision that a stored model says; None: none. Raises AuditError."""
    path = layout.root_path(root) / layout.model_name(digest)
    try:
        found = json.loads(_bytes(path)).get("revision")
    except (ValueError, AttributeError, RecursionError) as error:
        raise AuditError(f"{path}: is no plant model ({error}); restore it") from error
    return found if isinstance(found, int) else None


def line_models(root: Path | str) -> dict[tuple[str, str], str]:
    """(hash of a stored model, line) -> hash of the line, which rows of version 2 do not say.

    What cannot be read is left out.
    """
    found = {}
    for digest in stored(layout.root_path(root)):
        with contextlib.suppress(AuditError):
            plant = load(root, digest)
            found.update({(digest, line.id): line_hash(line) for line in plant.lines})
    return found


def load(root: Path | str, digest: str) -> Plant:
    """The stored model of a hash. Raises AuditError: missing, changed, or of another version of the model's form."""
    name = layout.model_name(digest)
    path = layout.root_path(root) / name
    if not is_model(name):
        raise AuditError(f"{digest!r}: is not the hash of a plant model")
    data = _bytes(path)
    if _digest(data) != digest:
        raise AuditError(
            f"{path}: its SHA-256 begins with {_digest(data)}, not with its name: the model was changed; restore it"
        )
    try:
        form = json.loads(data)
        plant = msgspec.convert(_whole(Plant, form, "plant"), Plant)
    except (ValueError, TypeError, RecursionError) as error:
        raise AuditError(f"{path}: {error}; use the version of taktwin that wrote it") from error
    if canonical_text(plant).encode() != data:
        raise AuditError(f"{path}: means another model to this version; use the version of taktwin that wrote it")
    return dataclasses.replace(plant, hash=model_hash(plant))


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_MODEL_BYTES + 1)
    except FileNotFoundError:
        raise AuditError(
            f"{path}: the plant model is missing; files written with it cannot be computed again: restore it, or load "
            "the plant file of then and let a replay into a new folder write it"
        ) from None
    except OSError as error:
        raise AuditError(f"{path}: cannot be read ({error.strerror})") from error


@once_a_plant
def _text(plant: Plant) -> bytes:
    return canonical_text(plant).encode()


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[: layout.HASH_DIGITS]


@cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _whole(kind: Any, value: Any, where: str) -> Any:
    """`value` with the fields that the canonical text leaves out: they are empty, or say what their absence means."""
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return None if value is None else _whole(next(p for p in parts if p is not types.NoneType), value, where)
    if origin is tuple and len(parts) == 2 and parts[1] is Ellipsis and isinstance(value, list):
        return [_whole(parts[0], one, f"{where}[{i}]") for i, one in enumerate(value)]
    if not dataclasses.is_dataclass(kind) or not isinstance(value, dict):
        return value
    hints = _hints(typing.cast(type, kind))
    if unknown := sorted(set(value) - set(hints) - {"form"}):
        raise ValueError(f"{where}: unknown field {unknown[0]}")
    absent = {one.name: one.metadata[ABSENT] for one in dataclasses.fields(kind) if ABSENT in one.metadata}
    whole = {
        name: _whole(hint, value[name], f"{where}.{name}")
        if name in value
        else absent[name]
        if name in absent
        else _empty(hint, f"{where}.{name}")
        for name, hint in hints.items()
    }
    if kind is Station and isinstance(value.get("states"), dict):
        whole["states"] = states_of(value["states"])
    return whole


def _empty(kind: Any, where: str) -> Any:
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if types.NoneType in parts:
        return None
    if origin in (tuple, dict):
        return origin()
    if kind is str:
        return ""
    raise ValueError(f"{where}: is missing")
