"""An audit root in object storage as a folder: what every reader reads.

A reader of a root opens most of its files, the proof all of them, DuckDB wants names of files: so the listed objects
are copied, each once. They never change, and their keys hold their SHA-256: what was copied once is good for good
(`Cache`). A proof takes no cache, and looks at what the store holds now.

Rows that wait are listed first, entries second: what becomes a file in between is then in both, which readers know.
"""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from twin.audit import AuditError, filelist, layout, marker, objects, waiting
from twin.audit.filelist import Entry, ListedFile
from twin.audit.writer import StagedFile
from twin.store import FILES_TOGETHER, Found, Store, each

# Each time, rows became a file while they were read: every quarter of an hour, in a root at work.
_ATTEMPTS: Final = 20
# Entries that a worker reads which takes a partition over: the end of the list is what its state follows.
_NEWEST: Final = 64


class Cache:
    """A folder of objects that were copied, by key and version. May be used by several processes; the oldest may be
    deleted at any time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, store: Store, key: str, version: str, target: Path, sha256: str = "") -> None:
        """Put an object at `target`, from the folder if it is there. Raises StoreError, FileNotFoundError, and
        AuditError where its SHA-256 is not the one that is said."""
        name = hashlib.sha256(f"{store.url}/{key} {version}".encode()).hexdigest()
        kept = self._folder / name[:2] / name
        with contextlib.suppress(OSError):
            os.link(kept, target)
            return
        data = store.get(key)[0]
        if sha256 and hashlib.sha256(data).hexdigest() != sha256:
            raise AuditError(
                f"{store.url}/{key}: its SHA-256 is not the one that is listed: it was changed; restore it"
            )
        _write(target, data)
        with contextlib.suppress(OSError):  # no more than a help
            kept.parent.mkdir(parents=True, exist_ok=True)
            os.link(target, kept)


def copy(store: Store, root: Path, cache: Cache | None = None) -> None:
    """Make `root` (a new, empty folder) what the store holds. Raises AuditError, StoreError.

    Without a cache nothing is taken for what its name says: `twin.audit.verify` looks at the copy as at any root. A
    listed object that is not there is not there in the copy either.
    """
    # What a replay says of itself first: rows never fall behind it.
    replays = [_optional(store, one.key, root) for one in store.listed(layout.REPLAY) if _is_plain(one.key)]
    for _ in range(_ATTEMPTS):
        with contextlib.suppress(FileNotFoundError):
            shown = [one.key for one in store.listed(layout.WAITING)]
            listed = [one for one in store.listed(layout.FILES) if one.key != filelist.WHOLE]
            objects.known(store, [one.key for one in listed])
            entries = each(lambda one: _entry(store, one, root, cache), listed)
            ends: dict[int, int] = {}
            for entry in entries:
                ends[entry.partition] = max(ends.get(entry.partition, 0), entry.next_offset)
            behind = [key for key in shown if _is_behind(key, ends)]
            each(lambda key: _write(root / key, store.get(objects.rows_key(key))[0]), behind)
            break
    else:
        raise AuditError(f"{store.url}/{layout.WAITING}: rows that wait are not there each time; try again")
    files = [file for entry in entries for file in entry.files]
    each(lambda file: _file(store, file, root, cache), files, FILES_TOGETHER)
    others = [one.key for one in store.listed(layout.MODELS)] + [filelist.WHOLE, marker.NAME]
    found = [_optional(store, key, root) for key in others if _is_plain(key)]
    if not any([*found, *replays]):
        raise AuditError(f"{store.url}: no such audit root; name the bucket and the prefix that a worker or replay has")


def copy_state(store: Store, root: Path, folder: str = "") -> None:
    """The snapshots of a folder of the store, all groups': what a proof is held against. Raises StoreError."""
    keys = [one.key for one in store.listed(folder) if _is_plain(one.key) and one.key.endswith(".snapshot")]
    each(lambda key: _optional(store, key, root), keys)


def copy_staged(store: Store, root: Path, files: Iterable[StagedFile]) -> None:
    """To a copy what a worker has put and perhaps not committed: files that snapshots name, and rows that wait. They
    lie where those of a folder would that are staged. Raises StoreError.
    """

    def staged(file: StagedFile) -> None:
        if layout.is_staged(file.staged) and layout.is_final(file.path) and not (root / file.path).exists():
            with contextlib.suppress(FileNotFoundError):
                _write(root / file.staged, store.get(objects.object_key(file))[0])

    def piece(key: str) -> None:
        name = Path(key).name
        visible = root / layout.WAITING / Path(key).parent.name / name
        if waiting.is_visible(visible.relative_to(root).as_posix()) and not visible.exists():
            with contextlib.suppress(FileNotFoundError):
                _write(root / layout.staged_piece_name(Path(name).stem), store.get(key)[0])

    each(staged, files, FILES_TOGETHER)
    each(piece, [one.key for one in store.listed(layout.PIECES)])


def _entry(store: Store, one: Found, root: Path, cache: Cache | None) -> Entry:
    target = root / one.key
    if target.exists():  # of an attempt before; entries do not change
        target.unlink()
    target.parent.mkdir(parents=True, exist_ok=True)
    _get(store, one.key, one.version, target, cache)
    partition = int(one.key.split("/")[1].removeprefix("p"))
    return filelist.decoded(one.key, target.read_bytes(), partition, f"{store.url}/{one.key}")


def _is_behind(key: str, ends: dict[int, int]) -> bool:
    """Whether rows of this name may wait still."""
    path = Path(key)
    if not waiting.is_visible(key):
        return False
    partition, first, _ = waiting.offsets_of(path)
    return first >= ends.get(partition, 0)


def _file(store: Store, file: ListedFile, root: Path, cache: Cache | None) -> None:
    target = root / file.path
    target.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        _get(store, objects.object_key(file), file.sha256, target, cache, file.sha256)


def _get(store: Store, key: str, version: str, target: Path, cache: Cache | None, sha256: str = "") -> None:
    if cache is None:
        _write(target, store.get(key)[0])
    else:
        cache.get(store, key, version, target, sha256)


def _optional(store: Store, key: str, root: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        _write(root / key, store.get(key)[0])
        return True
    return False


def _is_plain(key: str) -> bool:
    """Whether a key leads nowhere else when it becomes a path."""
    return not any(part in ("", ".", "..") for part in key.split("/"))


def _write(target: Path, data: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)


class Partition:
    """One partition of a root in object storage, as a worker takes it over: into the folder that is its alone."""

    def __init__(self, store: Store, root: Path, partition: int) -> None:
        self._store, self._root, self._partition = store, root, partition

    def take(self) -> list[Entry]:
        """The newest entries of the list and the rows that wait, in place of whatever was there before. Returns the
        entries. Raises AuditError, StoreError.
        """
        for _ in range(_ATTEMPTS):
            self._clear()
            with contextlib.suppress(FileNotFoundError):
                return self._take()
        raise AuditError(f"{self._store.url}: rows of partition {self._partition} go each time they are to be read")

    def _take(self) -> list[Entry]:
        shown = {one.key for one in self._store.listed(layout.partition_folder(layout.WAITING, self._partition))}
        pieces = self._store.listed(layout.partition_folder(layout.PIECES, self._partition))
        entries = self._entries(_NEWEST)
        _optional(self._store, filelist.WHOLE, self._root)
        end = max((entry.next_offset for entry in entries), default=0)

        def piece(one: Found) -> None:
            name = one.key.rpartition("/")[2]
            stem = name.removesuffix(".rows")
            visible, staged = layout.piece_name(self._partition, stem), layout.staged_piece_name(stem)
            target = self._root / (visible if visible in shown else staged)
            _write(target, self._store.get(one.key)[0])
            os.utime(target, ns=(one.changed_ns, one.changed_ns))  # since when they wait

        of = {one.key: layout.piece_of(one.key.rpartition("/")[2]) for one in pieces}
        each(piece, [one for one in pieces if (offsets := of[one.key]) is not None and offsets[2] > end])
        return entries

    def _entries(self, most: int = 0) -> list[Entry]:
        keys = [one.key for one in self._store.listed(layout.partition_folder(layout.FILES, self._partition))]
        entries = each(lambda key: objects.read_entry(self._store, key), objects.known(self._store, keys)[-most:])
        for entry in entries:
            _write(self._root / entry.name, objects.encoded(entry))
        return sorted(entries, key=lambda entry: (entry.first_offset, entry.next_offset))

    def take_files(self, begin: int) -> None:
        """All entries, and the files that reach beyond an offset, with the last one: what a replay is compared with.
        Raises AuditError, StoreError.
        """
        entries = self._entries()
        files = [file for entry in entries[-1:] for file in entry.files]
        files += [file for entry in entries[:-1] if entry.next_offset > begin for file in entry.files]
        each(lambda file: _file(self._store, file, self._root, None), files, FILES_TOGETHER)

    def _clear(self) -> None:
        mine = layout.partition_name(self._partition)
        for folder in (layout.FILES, layout.WAITING):
            shutil.rmtree(self._root / folder / mine, ignore_errors=True)
        for path in [*self._root.glob(f"{layout.STAGING}/{mine}-*"), *self._root.glob(f"*/date=*/{mine}-*")]:
            path.unlink(missing_ok=True)
