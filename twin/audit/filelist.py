"""The list of what is published: one entry per interval of a partition, written when all its files are there.

    ROOT/_files/p{partition}/{first_offset}.json      JSON: offsets, and of each file path, rows, bytes and SHA-256
    ROOT/_files/p{partition}/pruned.json              what was taken away before the first entry (`twin.audit.prune`)
    ROOT/_files/p{partition}/{first_offset}-compacting.json   a compaction at work (`twin.audit.compact`)
    ROOT/_files/whole.json                            the root has had a list since it was begun

An interval is published when its entry is: at once, and never twice, as the name is its first offset (an entry that is
there is compared, never replaced; but a compaction puts one in the place of several). So a file that nobody listed is
neither read nor taken for sound, and the same layout works where renaming does not exist. Roots of versions before are
read by their folders, and so is what was published in them before their list begins.
"""

import contextlib
import errno
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from twin.audit import AuditError, durable, layout
from twin.audit.layout import PublishedFile
from twin.results import SETS

WHOLE: Final = f"{layout.FILES}/whole.json"
PRUNED: Final = "pruned.json"
FORMAT: Final = 1
_STAGED_WHOLE: Final = f"whole-{layout.offset_name(0)}-list-"
# Listing and reading are two: each time, a compaction or a pruning took an entry away in between.
_ATTEMPTS: Final = 20


class ListedFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One published file; path relative to the root. What a reader needs to know of files that it need not open."""

    path: str
    rows: int
    bytes: int
    sha256: str
    schema: int = 0  # version of its columns; 0: listed by a version that did not say so
    revised: bool | None = None  # a row of it has a revision above 0; None: likewise
    left_out: tuple[str, ...] = ()  # columns of the set that it does not have, as no row fills them


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The files of offsets [first_offset, next_offset) of a partition, in the order of the chain; JSON by msgspec."""

    format: int
    partition: int
    first_offset: int
    next_offset: int
    files: tuple[ListedFile, ...]
    replaces: tuple[ListedFile, ...] = ()  # what they were made of and stand for, in the order of the chain
    by: str = ""
    at: str = ""

    @property
    def name(self) -> str:
        """Relative to the root. What has no offsets of its own has its kind in its name."""
        kind = "" if self.first_offset < self.next_offset else self.files[0].path.split("/")[0].strip("_")
        return layout.entry_name(self.partition, self.first_offset, kind)


class Pruned(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stands in for the oldest intervals of a partition; JSON by msgspec."""

    format: int
    partition: int
    first_offset: int  # where the partition begins since
    previous_sha256: str  # of the last file that went
    before: str  # UTC date: all rows that went are older
    by: str
    at: str
    files: int  # that went, ever
    bytes: int


# Made here, not at the first use: two threads that make msgspec learn a type at the same time end the process.
_ENTRY: Final = msgspec.json.Decoder(Entry)
_PRUNED: Final = msgspec.json.Decoder(Pruned)


def begin(root: Path) -> None:
    """Before the first file of a root is published: from then on nothing counts that is not listed. Raises OSError."""
    # An empty folder is that of one who was killed before he could say so.
    if any(True for kind in (layout.FILES, *SETS) for _ in _names(root / kind)):
        return
    durable.make_folder(root / layout.FILES)
    durable.make_folder(root / layout.STAGING)
    _put(root, WHOLE, msgspec.json.encode({"format": FORMAT}), _staged_whole)
    for name in _names(root / layout.STAGING):
        if name.startswith(_STAGED_WHOLE):
            (root / layout.STAGING / name).unlink(missing_ok=True)


def put(root: Path, entry: Entry) -> bool:
    """Publish an interval whose files are all there. May be repeated. True: what was there was damaged, and is mended.

    Raises AuditError, OSError.
    """
    if not entry.files:
        return False
    damaged = False
    target, data = root / entry.name, msgspec.json.format(msgspec.json.encode(entry), indent=1)
    if target.exists():
        if target.read_bytes() == data:
            return False
        other = _readable(root, target, entry.partition)
        damaged = _is_true(root, entry) and (_hashes(other) == _hashes(entry) or not _is_true(root, other))
        if not damaged:
            raise AuditError(
                f"{target}: lists other files than the committed manifest: two twins share this root, or a group began "
                "anew: keep both and find out which"
            )
    durable.make_folder(target.parent)
    offsets = entry.partition, entry.first_offset, entry.next_offset
    _put(root, entry.name, data, lambda attempt: layout.staged_entry_name(*offsets, attempt))
    return damaged


def _readable(root: Path, path: Path, partition: int) -> Entry | None:
    try:
        return _read(root, path, partition)
    except AuditError:
        return None


def _hashes(entry: Entry | None) -> list[tuple[str, str]] | None:
    return None if entry is None or entry.replaces else [(file.path, file.sha256) for file in entry.files]


def _is_true(root: Path, entry: Entry | None) -> bool:
    """Whether the files that an entry lists lie there as it says: those of another twin do, whatever a disk made of the
    entry of ours."""
    there = [root / file.path for file in entry.files] if entry is not None else []
    if entry is None or not all(path.is_file() for path in there):
        return False
    return all(layout.sha256_of(path) == file.sha256 for path, file in zip(there, entry.files, strict=True))


def hashes_in_order(files: Sequence[ListedFile]) -> str:
    """What the footers of new files say of the hashes of those that they stand for."""
    return hashlib.sha256("".join(file.sha256 for file in files).encode()).hexdigest()


def intent_name(entry: Entry) -> str:
    """Relative to the root."""
    return layout.intent_name(entry.partition, entry.first_offset)


def put_intent(root: Path, entry: Entry) -> None:
    """Say what a compaction is about to do. Raises OSError."""
    _put_apart(root, intent_name(entry), entry)


def put_compacted(root: Path, entry: Entry) -> None:
    """Put one entry in the place of those of the intervals that it covers: at once, as these no longer count then."""
    _put_apart(root, entry.name, entry)


def _put_apart(root: Path, name: str, entry: Entry) -> None:
    staged = root / layout.entry_name_apart(entry.partition, entry.first_offset)
    durable.make_folder(staged.parent)
    durable.make_folder((root / name).parent)
    staged.unlink(missing_ok=True)
    durable.write(staged, msgspec.json.format(msgspec.json.encode(entry), indent=1))
    staged.replace(root / name)
    durable.sync_folder((root / name).parent)


def intents(root: Path) -> list[Entry]:
    """Compactions at work, or cut off. Raises AuditError."""
    found = []
    for folder in _names(root / layout.FILES):
        partition = layout.partition_of(folder)
        if partition is None:
            continue
        for name in _names(root / layout.FILES / folder):
            if layout.is_intent(name):
                path = root / layout.FILES / folder / name
                with contextlib.suppress(FileNotFoundError):  # it has come to its end
                    found.append(_checked(root, path, path.read_bytes(), partition))
    return sorted(found, key=lambda entry: (entry.partition, entry.first_offset))


def replaced_entries(root: Path, entry: Entry) -> list[Path]:
    """The entries that no longer count beside that of a compaction."""
    found = []
    folder = folder_of(root, entry.partition)
    for name in _names(folder):
        path = folder / name
        if layout.entry_offset(name) is not None and path != root / entry.name:
            other = _read(root, path, entry.partition)
            if _covers(entry, other):
                found.append(path)
    return found


def _covers(entry: Entry, other: Entry) -> bool:
    inside = entry.first_offset <= other.first_offset < other.next_offset <= entry.next_offset
    return bool(entry.replaces) and not other.replaces and inside


def put_pruned(root: Path, record: Pruned) -> None:
    """Say where a partition begins since. Raises OSError."""
    path = folder_of(root, record.partition) / PRUNED
    durable.make_folder(path.parent)
    durable.make_folder(root / layout.STAGING)
    data = msgspec.json.format(msgspec.json.encode(record), indent=1)
    offsets = record.partition, record.first_offset, record.first_offset
    name = path.relative_to(root).as_posix()
    _put(root, name, data, lambda attempt: layout.staged_entry_name(*offsets, attempt))


def pruned(root: Path) -> dict[int, Pruned]:
    """Partition -> what was taken away of it. Raises AuditError."""
    found = {}
    for folder in _names(root / layout.FILES):
        path = root / layout.FILES / folder / PRUNED
        partition = layout.partition_of(folder)
        if partition is not None and path.exists():
            try:
                record = _PRUNED.decode(path.read_bytes())
            except (msgspec.MsgspecError, UnicodeDecodeError, OSError) as error:
                raise AuditError(f"{path}: cannot be read ({error}); restore it from a copy") from error
            if record.format != FORMAT or layout.partition_name(record.partition) != folder:
                raise AuditError(f"{path}: is of another partition or version; restore it from a copy")
            found[record.partition] = record
    return dict(sorted(found.items()))


def folder_of(root: Path, partition: int) -> Path:
    """The folder of a partition's entries."""
    return root / layout.partition_folder(layout.FILES, partition)


def _staged_whole(attempt: int) -> str:
    return f"{layout.STAGING}/{_STAGED_WHOLE}{attempt}.json"


def _put(root: Path, name: str, data: bytes, staged_name: Callable[[int], str]) -> None:
    """Whole and durable, or not there. Two that put the same do not meet before the name."""
    staged = durable.stage(root, data, staged_name)
    try:
        # As the files themselves are read before they get their names: with a damaged entry nothing of a root is read.
        if staged.read_bytes() != data:
            staged.unlink()
            raise OSError(errno.EIO, "the disk did not keep what was written", str(staged))
        staged.replace(root / name)
    except FileNotFoundError:
        if not (root / name).exists():  # else another has put the same, and has cleaned up
            raise
    durable.sync_folder((root / name).parent)


def remove(root: Path) -> None:
    """Take the whole list away: of a root whose files go, too."""
    for folder in _names(root / layout.FILES):
        for name in _names(root / layout.FILES / folder):
            (root / layout.FILES / folder / name).unlink()
    (root / WHOLE).unlink(missing_ok=True)


def is_whole(root: Path) -> bool:
    """Whether the root has had a list since it was begun."""
    return (root / WHOLE).exists()


def entries(root: Path, of: int | None = None) -> dict[int, list[Entry]]:
    """Partition -> its entries by offset, of all partitions or one. Raises AuditError."""
    for _ in range(_ATTEMPTS):
        with contextlib.suppress(FileNotFoundError):
            return _entries(root, of)
    raise AuditError(f"{root / layout.FILES}: entries go each time they are to be read; try again")


def _entries(root: Path, of: int | None) -> dict[int, list[Entry]]:
    found: dict[int, list[Entry]] = {}
    try:
        for folder in _names(root / layout.FILES):
            partition = layout.partition_of(folder)
            if partition is None or of not in (None, partition):
                continue
            names = sorted(
                name for name in _names(root / layout.FILES / folder) if layout.entry_offset(name) is not None
            )
            read = [_read(root, root / layout.FILES / folder / name, partition) for name in names]
            if read:
                found[partition] = counting(sorted(read, key=lambda entry: (entry.first_offset, entry.next_offset)))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise AuditError(f"{error.filename}: cannot be read ({error.strerror}); check its permissions") from error
    return dict(sorted(found.items()))


def counting(found: Sequence[Entry]) -> list[Entry]:
    """Without those that a compaction has put another in the place of, and has not taken away yet."""
    stays: list[Entry] = []
    over: Entry | None = None
    for entry in found:
        if over is None or not _covers(over, entry):
            stays.append(entry)
        if entry.replaces:
            over = entry
    return stays


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208  a Path for each would cost more than listing them
    except (FileNotFoundError, NotADirectoryError):
        return []


def _read(root: Path, path: Path, partition: int) -> Entry:
    return _checked(root, path, path.read_bytes(), partition)


def _checked(root: Path, path: Path, data: bytes, partition: int) -> Entry:
    return decoded(path.relative_to(root).as_posix(), data, partition, str(path))


def decoded(name: str, data: bytes, partition: int, where: str) -> Entry:
    """An entry of this name, relative to the root. Raises AuditError, which says `where` it lies."""
    try:
        entry = _ENTRY.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise AuditError(f"{where}: cannot be read ({error}); restore it from a copy") from error
    if entry.format != FORMAT:
        raise AuditError(f"{where}: of format {entry.format}, this version reads {FORMAT}; use the one that wrote it")
    files = list(published_files([entry], Path())) if all(layout.is_final(file.path) for file in entry.files) else []
    replaced = list(map(layout.is_final, (file.path for file in entry.replaces)))
    if (
        name not in (entry.name, intent_name(entry))
        or entry.partition != partition
        or not files
        or not all(replaced)
        or any(
            (file.partition, file.first_offset, file.next_offset)
            != (entry.partition, entry.first_offset, entry.next_offset)
            for file in files
        )
    ):
        raise AuditError(f"{where}: lists files that are not those of its name: it was renamed or changed")
    return entry


def is_entry(name: str) -> bool:
    """Whether a path relative to the root is that of an entry."""
    parts = name.split("/")
    return (
        len(parts) == 3
        and parts[0] == layout.FILES
        and layout.partition_of(parts[1]) is not None
        and layout.entry_offset(parts[2]) is not None
    )


def ends_with(root: Path, partition: int, offset: int, chain: str) -> bool:
    """Whether what is listed up to `offset` ends with a file of this SHA-256, or with what replaces it. True where
    nothing can be said: nothing was published, or by a version before the list.

    Reads the names of one folder and the entries at its end: each load of a partition asks. Raises AuditError.
    """
    folder = folder_of(root, partition)
    first_of = {name: first for name in _names(folder) if (first := layout.entry_offset(name)) is not None}
    if not chain:
        return True
    if not first_of and not is_whole(root):
        return any(layout.published(root, kind, partition) for kind in layout.KINDS)
    firsts = {first for first in first_of.values() if first < offset}
    near = {max(firsts, default=offset), offset}
    for name, first in first_of.items():
        if first in near:
            entry = _read(root, folder / name, partition)
            last = (entry.replaces or entry.files)[-1]
            if entry.next_offset == offset and last.sha256 == chain:
                return True
    return not is_whole(root) and (not firsts or min(firsts) >= offset)


def agrees(listed: ListedFile, found: ListedFile) -> bool:
    """Whether a file is as it is listed; what an older list does not say cannot be wrong."""
    unsaid: dict[str, object] = {} if listed.schema else {"schema": 0}
    if listed.revised is None:
        unsaid["revised"] = None
    return msgspec.structs.replace(found, **unsaid) == listed


def published_files(listed: Iterable[Entry], root: Path) -> Iterator[PublishedFile]:
    """The files that entries name."""
    for entry in listed:
        for file in entry.files:
            yield layout.published_file(root, file.path, file.schema, file.revised, file.left_out)
