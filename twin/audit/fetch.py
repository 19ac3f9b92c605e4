"""An audit root in object storage as a folder: what every reader reads.

A reader of a root opens most of its files, the proof all of them, DuckDB wants names of files: so the listed objects
are copied, each once. They never change, and their keys hold their SHA-256: what was copied once is good for good
(`Cache`). A proof takes no cache, and looks at what the store holds now.

Rows that wait are listed first, entries second: what becomes a file in between is then in both, which readers know.
Where a compaction or a pruning takes away what was just listed, the list is read again.
"""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Final

import msgspec

from twin.audit import AuditError, filelist, layout, left_out, marker, objects, waiting
from twin.audit.filelist import Entry, ListedFile
from twin.audit.writer import StagedFile
from twin.store import FILES_TOGETHER, Found, Store, each, missing

# Each time, rows became a file while they were read: every quarter of an hour, in a root at work; or were merged.
ATTEMPTS: Final = 20
# Entries that a worker reads which takes a partition over: the end of the list is what its state follows. Nothing of
# them, and no object behind the first of them, is touched by anybody else (`twin.audit.store_compact`).
NEWEST: Final = 64


class Cache:
    """A folder of objects that were copied, by key and version. May be used by several processes; the oldest may be
    deleted at any time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, store: Store, key: str, version: str, target: Path, sha256: str = "") -> None:
        """Put an object at `target`, from the folder if it is there. Raises StoreError, FileNotFoundError, and
        AuditError where its SHA-256 is not the one that is said."""
        with contextlib.suppress(OSError):
            os.link(self._kept(store, key, version), target)
            return
        data, found = store.get(key)
        if sha256 and hashlib.sha256(data).hexdigest() != sha256:
            raise AuditError(
                f"{store.url}/{key}: its SHA-256 is not the one that is listed: it was changed; restore it"
            )
        write(target, data)
        with contextlib.suppress(OSError):  # no more than a help
            kept = self._kept(store, key, version if sha256 else found)  # it may have been replaced since
            kept.parent.mkdir(parents=True, exist_ok=True)
            os.link(target, kept)

    def get_log(self, store: Store, one: Found, target: Path) -> None:
        """As `get`, of an object of any size. Raises StoreError, FileNotFoundError: it is gone, or another one."""
        kept = self._kept(store, one.key, one.version)
        with contextlib.suppress(OSError):
            os.link(kept, target)
            return
        kept.parent.mkdir(parents=True, exist_ok=True)
        half = target.with_name(f".{target.name}.tmp")
        with half.open("wb") as file:
            version = store.get_into(one.key, file)
        if version != one.version or half.stat().st_size != one.size:
            raise missing(store, one.key)
        half.replace(target)
        with contextlib.suppress(OSError):
            os.link(target, kept)

    def _kept(self, store: Store, key: str, version: str) -> Path:
        name = hashlib.sha256(f"{store.url}/{key} {version}".encode()).hexdigest()
        return self._folder / name[:2] / name


def copy(store: Store, root: Path, cache: Cache | None = None, *, sets: Collection[str] = ()) -> None:
    """Make `root` (a new, empty folder) what the store holds; `sets`: a root of these alone. Raises AuditError,
    StoreError.

    Without a cache nothing is taken for what its name says: `twin.audit.verify` looks at the copy as at any root. A
    listed object that is not there is not there in the copy either.
    """
    had: dict[str, str] = {}
    for _ in range(ATTEMPTS):
        with contextlib.suppress(FileNotFoundError):
            replays = _copy(store, root, cache, sets, had)
            break
    else:
        raise AuditError(f"{store.url}: what is listed goes each time it is to be read; try again")
    listed = [file for mine in filelist.entries(root).values() for entry in mine for file in entry.files]
    for set_name in {file.path.split("/")[0] for file in listed if file.left_out}:
        left_out.place(root, set_name)
    others = [one.key for one in store.listed(layout.MODELS)] + [filelist.WHOLE, marker.NAME]
    found = [get_optional(store, key, root) for key in others if is_plain(key)]
    if not any([*found, replays]):
        raise AuditError(f"{store.url}: no such audit root; name the bucket and the prefix that a worker or replay has")


def _copy(store: Store, root: Path, cache: Cache | None, sets: Collection[str], had: dict[str, str]) -> bool:
    """By one listing. Whether a replay says something of itself. Raises FileNotFoundError where it no longer holds."""
    for folder in (layout.FILES, layout.WAITING, layout.REPLAY):
        shutil.rmtree(root / folder, ignore_errors=True)
    # What a replay says of itself first: rows never fall behind it.
    said = store.listed(layout.REPLAY)
    replays = [get_optional(store, one.key, root) for one in said if is_plain(one.key)]
    shown = [one.key for one in store.listed(layout.WAITING)]
    listed = entries_listed(store)
    names = set(objects.known(store, [one.key for one in listed]))
    for one in listed:
        if one.key not in names:  # what was pruned
            write(root / one.key, store.get(one.key)[0])
    entries = each(lambda one: _entry(store, one, root, cache), [one for one in listed if one.key in names])
    if sets:
        entries = [_only(root, entry, sets) for entry in entries]
    behind = rows_behind(shown, entries)
    each(lambda key: write(root / key, store.get(objects.rows_key(key))[0]), behind)
    files = [file for entry in entries for file in entry.files]
    there = each(lambda file: get_file(store, file, root, cache, had), files, FILES_TOGETHER)
    if not all(there) and entries_listed(store) != listed:
        raise missing(store, layout.FILES)
    known = {root / file.path for file in files}
    for path in layout.dated(root):
        if path not in known:  # of an attempt before, and merged or pruned since
            path.unlink()
    if store.listed(layout.REPLAY) != said:  # another one is just taking its place
        raise missing(store, layout.REPLAY)
    return any(replays)


def _only(root: Path, entry: Entry, sets: Collection[str]) -> Entry:
    """An entry without the files of other sets, also in the copy."""
    files = tuple(file for file in entry.files if file.path.split("/")[0] in sets)
    part = msgspec.structs.replace(entry, files=files)
    if files:
        write(root / entry.name, objects.encoded(part))
    else:
        (root / entry.name).unlink()
    return part


def entries_listed(store: Store, partition: int | None = None, after: str = "") -> list[Found]:
    """What lies in the list but for what says that there is one, of all partitions or of one. Raises StoreError."""
    place = layout.FILES if partition is None else layout.partition_folder(layout.FILES, partition)
    return [one for one in store.listed(place, after) if one.key != filelist.WHOLE]


def rows_behind(shown: Iterable[str], entries: Iterable[Entry]) -> list[str]:
    """Those of the visible rows that lie behind the end of their partition's entries."""
    ends: dict[int, int] = {}
    for entry in entries:
        ends[entry.partition] = max(ends.get(entry.partition, 0), entry.next_offset)
    return [key for key in shown if _is_behind(key, ends)]


def copy_state(store: Store, root: Path, folder: str = "") -> None:
    """The snapshots of a folder of the store, all groups': what a proof is held against. Raises StoreError."""
    keys = [one.key for one in store.listed(folder) if is_plain(one.key) and one.key.endswith(".snapshot")]
    each(lambda key: get_optional(store, key, root), keys)


def copy_staged(store: Store, root: Path, files: Iterable[StagedFile]) -> None:
    """To a copy what a worker has put and perhaps not committed: files that snapshots name, and rows that wait. They
    lie where those of a folder would that are staged. Raises StoreError.
    """

    def staged(file: StagedFile) -> None:
        if layout.is_staged(file.staged) and layout.is_final(file.path) and not (root / file.path).exists():
            with contextlib.suppress(FileNotFoundError):
                write(root / file.staged, store.get(objects.object_key(file))[0])

    def piece(key: str) -> None:
        name = Path(key).name
        visible = root / layout.WAITING / Path(key).parent.name / name
        if waiting.is_visible(visible.relative_to(root).as_posix()) and not visible.exists():
            with contextlib.suppress(FileNotFoundError):
                write(root / layout.staged_piece_name(Path(name).stem), store.get(key)[0])

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


def get_file(store: Store, file: ListedFile, root: Path, cache: Cache | None, had: dict[str, str]) -> bool:
    """Whether it is there. `had`: of each file that was put there what the list said of its bytes."""
    target = root / file.path
    if had.get(file.path) == file.sha256:
        return True
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    with contextlib.suppress(FileNotFoundError):
        _get(store, objects.object_key(file), file.sha256, target, cache, file.sha256)
        had[file.path] = file.sha256
        return True
    return False


def _get(store: Store, key: str, version: str, target: Path, cache: Cache | None, sha256: str = "") -> None:
    if cache is None:
        write(target, store.get(key)[0])
    else:
        cache.get(store, key, version, target, sha256)


def get_optional(store: Store, key: str, root: Path) -> bool:
    """Whether it is there."""
    with contextlib.suppress(FileNotFoundError):
        write(root / key, store.get(key)[0])
        return True
    return False


def is_plain(key: str) -> bool:
    """Whether a key leads nowhere else when it becomes a path."""
    return not any(part in ("", ".", "..") for part in key.split("/"))


def write(target: Path, data: bytes) -> None:
    """Whole, or not at all. Raises OSError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    half = target.with_name(f".{target.name}.tmp")
    half.write_bytes(data)
    half.replace(target)


class Partition:
    """One partition of a root in object storage, as a worker takes it over: into the folder that is its alone."""

    def __init__(self, store: Store, root: Path, partition: int) -> None:
        self._store, self._root, self._partition = store, root, partition

    def take(self) -> list[Entry]:
        """The newest entries of the list and the rows that wait, in place of whatever was there before. Returns the
        entries. Raises AuditError, StoreError.
        """
        for _ in range(ATTEMPTS):
            self._clear(layout.FILES, layout.WAITING)
            for path in self._root.glob(f"{layout.STAGING}/{layout.partition_name(self._partition)}-*"):
                path.unlink(missing_ok=True)
            with contextlib.suppress(FileNotFoundError):
                return self._take()
        raise AuditError(f"{self._store.url}: rows of partition {self._partition} go each time they are to be read")

    def _take(self) -> list[Entry]:
        shown = {one.key for one in self._store.listed(layout.partition_folder(layout.WAITING, self._partition))}
        pieces = self._store.listed(layout.partition_folder(layout.PIECES, self._partition))
        entries = self._entries(NEWEST)
        get_optional(self._store, filelist.WHOLE, self._root)
        end = max((entry.next_offset for entry in entries), default=0)

        def piece(one: Found) -> None:
            name = one.key.rpartition("/")[2]
            stem = name.removesuffix(".rows")
            visible, staged = layout.piece_name(self._partition, stem), layout.staged_piece_name(stem)
            target = self._root / (visible if visible in shown else staged)
            write(target, self._store.get(one.key)[0])
            os.utime(target, ns=(one.changed_ns, one.changed_ns))  # since when they wait

        of = {one.key: layout.piece_of(one.key.rpartition("/")[2]) for one in pieces}
        each(piece, [one for one in pieces if (offsets := of[one.key]) is not None and offsets[2] > end])
        return entries

    def _entries(self, most: int = 0) -> list[Entry]:
        keys = [one.key for one in entries_listed(self._store, self._partition)]
        for key in keys:
            if key.endswith(f"/{filelist.PRUNED}"):
                get_optional(self._store, key, self._root)
        entries = each(lambda key: objects.read_entry(self._store, key), objects.known(self._store, keys)[-most:])
        for entry in entries:
            write(self._root / entry.name, objects.encoded(entry))
        return sorted(entries, key=lambda entry: (entry.first_offset, entry.next_offset))

    def take_files(self, begin: int) -> None:
        """All entries, and the files that reach beyond an offset, with the last one: what a replay is compared with.
        Raises AuditError, StoreError.
        """
        for _ in range(ATTEMPTS):
            self._clear(layout.FILES)
            listed = entries_listed(self._store, self._partition)
            with contextlib.suppress(FileNotFoundError):
                entries = self._entries()
                files = [file for entry in entries[-1:] for file in entry.files]
                files += [file for entry in entries[:-1] if entry.next_offset > begin for file in entry.files]
                had: dict[str, str] = {}
                there = each(lambda file: get_file(self._store, file, self._root, None, had), files, FILES_TOGETHER)  # noqa: B023
                if all(there) or entries_listed(self._store, self._partition) == listed:
                    return
        raise AuditError(f"{self._store.url}: files of partition {self._partition} go each time they are to be read")

    def _clear(self, *folders: str) -> None:
        """Files, and what lies in these folders of the partition."""
        mine = layout.partition_name(self._partition)
        for folder in folders:
            shutil.rmtree(self._root / folder / mine, ignore_errors=True)
        for path in layout.dated(self._root, f"{mine}-"):
            path.unlink(missing_ok=True)
