"""The marker of a worker's root: whose it is, and that it is there at all.

    ROOT/_root.json      JSON: format, id, prefix and group of its workers, Kafka's id of their events topic

A folder that is there may be the empty place where a disk was to be mounted; the marker tells the one from the other.
It is written when the first worker starts; the topic's id is added when one has asked Kafka for it. Nothing of it is
ever changed. A replay has none: its root is nobody's.
"""

from pathlib import Path
from typing import Final

import msgspec

from twin.audit import AuditError, durable, layout, waiting
from twin.audit.intervals import listed
from twin.audit.read import footer_of

NAME: Final = layout.MARKER
FORMAT: Final = 1


class Marker(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """JSON by msgspec."""

    format: int
    id: str
    prefix: str
    group: str
    topic_id: str = ""  # 32 hex digits; "": not known yet, or the broker gives none


# Made here, not at the first use: two threads that make msgspec learn a type at the same time end the process.
_DECODER: Final = msgspec.json.Decoder(Marker)


class NotOursError(AuditError):
    """The root is another one, or another's."""


def read(root: Path) -> Marker:
    """Raises FileNotFoundError, other OSError, AuditError."""
    path = root / NAME
    return decoded(path.read_bytes(), str(path))


def decoded(data: bytes, where: str) -> Marker:
    """Raises AuditError, which says `where` it lies."""
    try:
        found = _DECODER.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise AuditError(f"{where}: cannot be read ({error}); restore it from a copy") from error
    if found.format != FORMAT:
        raise AuditError(f"{where}: of format {found.format}, this version reads {FORMAT}; use the one that wrote it")
    return found


def claim(root: Path, prefix: str, group: str, topic: str, identity: str) -> Marker:
    """The marker of a root, which is given one (`identity`) if it has none and is empty, or holds rows of our `topic`.

    Of two that begin at once one is first. Raises NotOursError, AuditError, OSError.
    """
    try:
        found = read(root)
    except FileNotFoundError:
        _check_topic(root, topic)
        found = _begin(root, Marker(FORMAT, identity, prefix, group))
    check_owner(str(root / NAME), found, prefix, group)
    return found


def check_owner(where: str, found: Marker, prefix: str, group: str) -> None:
    """Raises NotOursError."""
    if (found.prefix, found.group) != (prefix, group):
        raise NotOursError(
            f"{where}: the root is that of prefix {found.prefix} and group {found.group}, this worker is of "
            f"prefix {prefix} and group {group}: give each plant and group a TAKTWIN_AUDIT of its own"
        )


def id_of(root: Path) -> str:
    """The id of a root; "": it has no marker. Raises AuditError, OSError."""
    try:
        return read(root).id
    except FileNotFoundError:
        return ""


def is_bare(root: Path) -> bool:
    """Whether nothing was ever written there. Raises AuditError."""
    return not (root / NAME).exists() and not listed(root) and not waiting.visible(root)


def check(root: Path, identity: str) -> None:
    """Raises FileNotFoundError where the marker is missing, as a disk that is gone; NotOursError where it is another;
    AuditError, OSError."""
    try:
        found = read(root)
    except FileNotFoundError as error:
        error.strerror = "the marker of the audit root is not there: is it mounted, or was it moved?"
        raise
    if found.id != identity:
        raise NotOursError(
            f"{root / NAME}: the root is another one than when this worker started ({found.id}, it was {identity}): "
            "mount the former one, or start the worker again"
        )


def bind(root: Path, topic: str, topic_id: str, attempt: str) -> None:
    """Keep with the root which topic its rows come from: the first one that is given. `attempt`: like no other.

    Raises NotOursError where it is another one by now; AuditError, OSError. Does nothing where there is no marker.
    """
    try:
        found = read(root)
    except FileNotFoundError:
        return
    if not found.topic_id:
        _put(root, msgspec.structs.replace(found, topic_id=topic_id), attempt)
        found = read(root)  # of two workers that do so at once, the later one's
    if found.topic_id != topic_id:
        raise NotOursError(anew(topic, found.topic_id, topic_id, f"when {root / NAME} was bound to it"))


def anew(topic: str, before: str, now: str, when: str) -> str:
    """What to say of a topic that is another one than before."""
    return (
        f"topic {topic} was deleted and made anew, or is that of another Kafka: its id was {before} {when}, it is "
        f"{now} now, so its offsets are those of other records. To read it from its beginning take a new group "
        "(TAKTWIN_GROUP), a new audit root and an empty state folder; the old root stays as it is, and provable"
    )


def _put(root: Path, marker: Marker, attempt: str) -> None:
    staged = root / f".{attempt}.tmp"
    durable.write(staged, encoded(marker))
    staged.replace(root / NAME)
    durable.sync_folder(root)


def encoded(marker: Marker) -> bytes:
    """As it lies in a root."""
    return msgspec.json.format(msgspec.json.encode(marker), indent=1)


def _begin(root: Path, mine: Marker) -> Marker:
    durable.make_folder(root)
    durable.create(root / NAME, encoded(mine), root / f".{mine.id}.tmp")
    return read(root)


def _check_topic(root: Path, topic: str) -> None:
    """What versions before the marker left must be ours."""
    for mine in listed(root).values():
        last = mine[-1].files[-1]
        if (theirs := footer_of(last).get("topic")) != topic:
            raise NotOursError(
                f"{last.path}: is of topic {theirs}, this worker reads {topic}: name another folder as TAKTWIN_AUDIT"
            )
