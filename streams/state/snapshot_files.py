"""Immutable snapshot files: a partition's state, the offset it stands at, and the audit files staged with it.

    "TWINSNAP" | version u16 | length of head u32 | length of state u64 | head (JSON) | state | SHA-256 of all before

Numbers are little-endian. The name, `p{partition}-{next_offset}-{start of the SHA-256}.snapshot`, is the snapshot's id
and goes into the metadata of the offset's commit. Because the content is part of the name, a worker that lost its
partition and does not know it yet can write what it likes: it never touches a file that somebody else's commit names.
"""

import hashlib
import os
import re
import struct
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from streams.state import files
from twin.audit import layout
from twin.audit.waiting import Piece
from twin.audit.writer import Manifest

MAGIC: Final = b"TWINSNAP"
VERSION: Final = 3
# Version 1 had no number of partitions in its head, version 2 no rows that wait, no bases and no partitioner.
READABLE: Final = (1, 2, 3)
_FIXED: Final = struct.Struct("<8sHIQ")
_SHA_BYTES: Final = 32
_ANY_OFFSET: Final = (1 << 63) - 1
_NAME: Final = re.compile(rf"{layout.PARTITION}-{layout.OFFSET}-([0-9a-f]{{16}})", re.ASCII)
SUFFIX: Final = ".snapshot"
_TEMPORARY: Final = re.compile(rf"{layout.PARTITION}-{layout.OFFSET}-.*\.tmp", re.ASCII)
_NOTE: Final = re.compile(rf"note-{layout.PARTITION}\.(\d+)\.tmp", re.ASCII)  # of streams/worker/poison.py, with a pid


class SnapshotError(RuntimeError):
    """A snapshot that cannot be read or written: says which file, what is wrong, and what to do."""


class NewerSnapshotError(SnapshotError):
    """Written by a later version. No reason to take an older one: that version's rows are published."""


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a snapshot says of itself."""

    topic: str
    partition: int
    next_offset: int
    model: str  # hash of the plant model the state belongs to
    chain: str  # SHA-256 of the partition's last audit file
    manifests: tuple[Manifest, ...] = ()  # staged with this snapshot or before it, and not yet published
    partitions: int = 0  # of the topic when it was written; 0: unknown
    waiting: Piece | None = None  # the last of the rows that are no file yet, which names those before it
    base: str = ""  # of what kind (twin.audit.bases.kind_of) what is written behind the last base is
    base_day: str = ""  # of event time, of the last daily base
    partitioner: str = (
        ""  # by which its records were checked (streams/kafka/partitioner.py); "": not at all, it is older
    )
    topic_id: str = ""  # Kafka's own; "": the broker gave none
    writer: str = ""  # id of the process that wrote it, so that no two write the same file and each may remove its own


# Made here, not at the first use: msgspec learns a type when it first decodes it, and threads that do so at the same
# time (the partitions of a worker, loading) crash the process.
_HEAD: Final = msgspec.json.Decoder(Head)


@dataclass(frozen=True, slots=True)
class Snapshot:
    head: Head
    state: bytes


def encode(snapshot: Snapshot) -> bytes:
    head = msgspec.json.encode(snapshot.head)
    body = _FIXED.pack(MAGIC, VERSION, len(head), len(snapshot.state)) + head + snapshot.state
    return body + hashlib.sha256(body).digest()


def decode(data: bytes, name: str) -> Snapshot:
    """Raises SnapshotError: not a snapshot, another version, cut off, or damaged."""
    if len(data) < _FIXED.size + _SHA_BYTES or not data.startswith(MAGIC):
        raise SnapshotError(f"{name}: not a snapshot, or cut off within its first bytes")
    _, version, head_size, state_size = _FIXED.unpack_from(data)
    if version not in READABLE:
        kind, age = (NewerSnapshotError, "newer") if version > VERSION else (SnapshotError, "older")
        raise kind(
            f"{name}: written by {age} software (format {version}, this one reads {READABLE[0]} to {VERSION}); "
            "start the version that wrote it, or replay the events into a new audit root"
        )
    if len(data) != _FIXED.size + head_size + state_size + _SHA_BYTES:
        raise SnapshotError(f"{name}: {len(data)} bytes, but its head promises another length: cut off or mixed up")
    if hashlib.sha256(data[:-_SHA_BYTES]).digest() != data[-_SHA_BYTES:]:
        raise SnapshotError(f"{name}: checksum does not match: the file is damaged")
    at = _FIXED.size + head_size
    try:
        head = _HEAD.decode(data[_FIXED.size : at])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise SnapshotError(f"{name}: head cannot be read: {error}") from error
    return Snapshot(head, data[at:-_SHA_BYTES])


@dataclass(slots=True)
class Listing:
    """What of one partition lies in the folder."""

    ids: set[str] = field(default_factory=set)
    temporary: list[Path] = field(default_factory=list)  # half-written; of a killed writer, or of one at work


class SnapshotStore:
    """A folder of snapshots. Methods block on the disk, and may be called from several threads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.where = str(folder)
        self._listed: defaultdict[int, Listing] | None = None
        self._noting = threading.Lock()

    def look(self) -> None:
        """List the folder once for all partitions that are taken over together.

        From then on `collect` goes by this and by what is saved here: to list what 1,000 partitions have for each of
        their commits took most of a minute. What another owner leaves later is found at the next look.
        """
        with self._noting:
            self._listed = self._look()

    def _look(self) -> "defaultdict[int, Listing]":
        found = defaultdict[int, Listing](Listing)
        try:
            paths = list(self.folder.iterdir())
        except FileNotFoundError:
            return found
        for path in paths:
            if path.suffix == SUFFIX and (match := _NAME.fullmatch(path.stem)):
                found[int(match[1])].ids.add(path.stem)
            elif path.suffix == ".tmp" and (match := _TEMPORARY.fullmatch(path.name) or _NOTE.fullmatch(path.name)):
                found[int(match[1])].temporary.append(path)
        return found

    def _of(self, partition: int) -> Listing:
        """What is known to lie there; who has not looked looks each time."""
        return (self._look() if self._listed is None else self._listed)[partition]

    def save(self, snapshot: Snapshot) -> str:
        """Write, fsync, rename, fsync the folder. Returns the id. The same content again is the same file."""
        data, head = encode(snapshot), snapshot.head
        digest = hashlib.sha256(data).hexdigest()[:16]
        identity = "-".join((layout.partition_name(head.partition), layout.offset_name(head.next_offset), digest))
        self._put(identity, data)
        with self._noting:
            if self._listed is not None:
                self._listed[snapshot.head.partition].ids.add(identity)
        return identity

    def remove(self, identity: str) -> None:
        """Of one's own, which was refused: no commit names it, and no other process can have written it."""
        with self._noting:
            if self._listed is not None:
                self._listed[int(identity[1 : identity.index("-")])].ids.discard(identity)
        self._delete([identity])

    def load(self, identity: str) -> Snapshot:
        """The snapshot of an id. Raises SnapshotError."""
        match = _NAME.fullmatch(identity)
        if match is None:
            raise SnapshotError(f"{identity!r} is not a snapshot's id; was the offset committed by another program?")
        path = f"{self.where}/{identity}{SUFFIX}"
        try:
            data = self._get(identity)
        except FileNotFoundError:
            raise SnapshotError(f"{path}: missing; do all workers see the same state folder?") from None
        snapshot = decode(data, path)
        if (snapshot.head.partition, snapshot.head.next_offset) != (int(match[1]), int(match[2])):
            raise SnapshotError(f"{path}: holds another partition or offset than its name says: it was renamed")
        return snapshot

    def any(self) -> bool:
        """Whether there is one of any partition."""
        return any(listed.ids for listed in self._look().values())

    def ids(self, partition: int) -> list[str]:
        """Ids of a partition by rising offset."""
        return sorted(self._look()[partition].ids)

    def newest_first(self, partition: int, highest_offset: int) -> Iterator[tuple[str, Snapshot]]:
        """(id, snapshot) of those at or below an offset that can be read. Raises NewerSnapshotError."""
        for identity in reversed(self.ids(partition)):
            if offset_of(identity) <= highest_offset:
                try:
                    found = self.load(identity)
                except NewerSnapshotError:
                    raise
                except SnapshotError:
                    continue
                yield identity, found

    def of_another(self, partition: int) -> Snapshot | None:
        """A readable snapshot of any other partition; None: there is none."""
        others = {other for other, listed in self._look().items() if listed.ids} - {partition}
        return next((found for other in sorted(others) for _, found in self.newest_first(other, _ANY_OFFSET)), None)

    def collect(self, partition: int, committed: str, keep: int) -> list[str]:
        """Delete snapshots below the committed one but for the newest `keep`. Returns the deleted ids.

        Only below it: the committed offset never goes back, so no owner, present or future, can need those. The same
        holds for the half-written files of killed writers.
        """
        with self._noting:
            listed = self._of(partition)
            older = sorted(i for i in listed.ids if offset_of(i) < offset_of(committed))
            deleted = older[: max(0, len(older) - keep)]
            listed.ids.difference_update(deleted)
        self._delete(deleted)
        self.remove_temporary(partition, offset_of(committed))
        return deleted

    def remove_temporary(self, partition: int, next_offset: int) -> None:
        """Delete half-written files up to an offset; above may be those of an owner at work.

        Notes name no offset. One that another owner is just writing may go with them: he says so in his log, and a
        note is no more than a help.
        """
        with self._noting:
            listed = self._of(partition)
            # Not our own notes: the event loop writes them while this runs in a thread.
            gone = [path for path in listed.temporary if _left(path.name, next_offset)]
            listed.temporary = [path for path in listed.temporary if path not in gone]
        for path in gone:
            path.unlink(missing_ok=True)

    def _put(self, identity: str, data: bytes) -> None:
        path = self._path(identity)
        try:
            files.replace(path, data)
        except OSError as error:
            raise SnapshotError(f"{path}: cannot be written ({error.strerror}); make room or fix the folder") from error

    def _get(self, identity: str) -> bytes:
        """Raises FileNotFoundError, SnapshotError."""
        path = self._path(identity)
        try:
            return path.read_bytes()
        except FileNotFoundError:
            raise
        except OSError as error:
            raise SnapshotError(f"{path}: cannot be read ({error.strerror})") from error

    def _delete(self, identities: Sequence[str]) -> None:
        for identity in identities:
            self._path(identity).unlink(missing_ok=True)

    def _path(self, identity: str) -> Path:
        return self.folder / f"{identity}{SUFFIX}"


def _left(name: str, next_offset: int) -> bool:
    """Whether a half-written file is nobody's any more."""
    note = _NOTE.fullmatch(name)
    if note is not None:
        return int(note[2]) != os.getpid()
    match = _TEMPORARY.fullmatch(name)
    return match is not None and int(match[2]) <= next_offset


def is_id(text: str) -> bool:
    """Whether a commit's metadata can only be ours."""
    return _NAME.fullmatch(text) is not None


def offset_of(identity: str) -> int:
    """The next offset in a snapshot's id."""
    match = _NAME.fullmatch(identity)
    if match is None:
        raise SnapshotError(f"{identity!r} is not a snapshot's id")
    return int(match[2])


def partition_of(identity: str) -> int:
    """The partition in a snapshot's id."""
    match = _NAME.fullmatch(identity)
    if match is None:
        raise SnapshotError(f"{identity!r} is not a snapshot's id")
    return int(match[1])
