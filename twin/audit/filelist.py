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
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from twin.audit import AuditError, layout
from twin.audit.layout import PublishedFile
from twin.results import SETS

FOLDER: Final = "_files"  # the underscore hides it from readers of data sets
WHOLE: Final = f"{FOLDER}/whole.json"
PRUNED: Final = "pruned.json"
FORMAT: Final = 1
_PARTITION: Final = re.compile(r"p(\d{5,10})", re.ASCII)
_NAME: Final = re.compile(r"(\d{20})(?:\.\w+)?\.json", re.ASCII)
_INTENT: Final = re.compile(r"(\d{20})-compacting\.json", re.ASCII)
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
        kind = "" if self.first_offset < self.next_offset else f".{self.files[0].path.split('/')[0].strip('_')}"
        return f"{FOLDER}/p{self.partition:05d}/{self.first_offset:020d}{kind}.json"


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
    if any(True for kind in (FOLDER, *SETS) for _ in _names(root / kind)):
        return
    layout.make_folder(root / FOLDER)
    layout.make_folder(root / layout.STAGING)
    _put(root, WHOLE, msgspec.json.encode({"format": FORMAT}), "whole", 0)
    for name in _names(root / layout.STAGING):
        if name.startswith("whole-"):
            (root / layout.STAGING / name).unlink(missing_ok=True)


def put(root: Path, entry: Entry) -> None:
    """Publish an interval whose files are all there. May be repeated. Raises AuditError, OSError."""
    if not entry.files:
        return
    target, data = root / entry.name, msgspec.json.format(msgspec.json.encode(entry), indent=1)
    if target.exists():
        if target.read_bytes() != data:
            raise AuditError(
                f"{target}: lists other files than the committed manifest: two twins share this root, or a group began "
                "anew: keep both and find out which"
            )
        return
    layout.make_folder(target.parent)
    _put(root, entry.name, data, f"p{entry.partition:05d}-{entry.first_offset:020d}", entry.next_offset)


def hashes_in_order(files: Sequence[ListedFile]) -> str:
    """What the footers of new files say of the hashes of those that they stand for."""
    return hashlib.sha256("".join(file.sha256 for file in files).encode()).hexdigest()


def intent_name(entry: Entry) -> str:
    """Relative to the root."""
    return f"{FOLDER}/p{entry.partition:05d}/{entry.first_offset:020d}-compacting.json"


def put_intent(root: Path, entry: Entry) -> None:
    """Say what a compaction is about to do. Raises OSError."""
    _put_apart(root, intent_name(entry), entry)


def put_compacted(root: Path, entry: Entry) -> None:
    """Put one entry in the place of those of the intervals that it covers: at once, as these no longer count then."""
    _put_apart(root, entry.name, entry)


def _put_apart(root: Path, name: str, entry: Entry) -> None:
    staged = root / layout.STAGING / f"{layout.APART}p{entry.partition:05d}-{entry.first_offset:020d}.json"
    layout.make_folder(staged.parent)
    layout.make_folder((root / name).parent)
    staged.unlink(missing_ok=True)
    layout.write_durably(staged, msgspec.json.format(msgspec.json.encode(entry), indent=1))
    staged.replace(root / name)
    layout.sync_folder((root / name).parent)


def intents(root: Path) -> list[Entry]:
    """Compactions at work, or cut off. Raises AuditError."""
    found = []
    for folder in _names(root / FOLDER):
        match = _PARTITION.fullmatch(folder)
        for name in _names(root / FOLDER / folder) if match is not None else ():
            if _INTENT.fullmatch(name):
                path = root / FOLDER / folder / name
                with contextlib.suppress(FileNotFoundError):  # it has come to its end
                    found.append(_checked(root, path, path.read_bytes(), int(folder[1:])))
    return sorted(found, key=lambda entry: (entry.partition, entry.first_offset))


def replaced_entries(root: Path, entry: Entry) -> list[Path]:
    """The entries that no longer count beside that of a compaction."""
    found = []
    for name in _names(root / FOLDER / f"p{entry.partition:05d}"):
        path = root / FOLDER / f"p{entry.partition:05d}" / name
        if _NAME.fullmatch(name) and path != root / entry.name:
            other = _read(root, path, entry.partition)
            if _covers(entry, other):
                found.append(path)
    return found


def _covers(entry: Entry, other: Entry) -> bool:
    inside = entry.first_offset <= other.first_offset < other.next_offset <= entry.next_offset
    return bool(entry.replaces) and not other.replaces and inside


def put_pruned(root: Path, record: Pruned) -> None:
    """Say where a partition begins since. Raises OSError."""
    name = f"{FOLDER}/p{record.partition:05d}/{PRUNED}"
    layout.make_folder((root / name).parent)
    layout.make_folder(root / layout.STAGING)
    data = msgspec.json.format(msgspec.json.encode(record), indent=1)
    _put(root, name, data, f"p{record.partition:05d}-{record.first_offset:020d}", record.first_offset)


def pruned(root: Path) -> dict[int, Pruned]:
    """Partition -> what was taken away of it. Raises AuditError."""
    found = {}
    for folder in _names(root / FOLDER):
        path = root / FOLDER / folder / PRUNED
        if _PARTITION.fullmatch(folder) and path.exists():
            try:
                record = _PRUNED.decode(path.read_bytes())
            except (msgspec.MsgspecError, UnicodeDecodeError, OSError) as error:
                raise AuditError(f"{path}: cannot be read ({error}); restore it from a copy") from error
            if record.format != FORMAT or f"p{record.partition:05d}" != folder:
                raise AuditError(f"{path}: is of another partition or version; restore it from a copy")
            found[record.partition] = record
    return dict(sorted(found.items()))


def _put(root: Path, name: str, data: bytes, stem: str, end: int) -> None:
    """Whole and durable, or not there. Two that put the same do not meet before the name."""
    attempt = 0
    while True:
        staged = root / layout.STAGING / f"{stem}-{end:020d}-list-{attempt}.json"
        try:
            layout.write_durably(staged, data)
            break
        except FileExistsError:
            attempt += 1
        except OSError:
            staged.unlink(missing_ok=True)
            raise
    try:
        staged.replace(root / name)
    except FileNotFoundError:
        if not (root / name).exists():  # else another has put the same, and has cleaned up
            raise
    layout.sync_folder((root / name).parent)


def remove(root: Path) -> None:
    """Take the whole list away: of a root whose files go, too."""
    for folder in _names(root / FOLDER):
        for name in _names(root / FOLDER / folder):
            (root / FOLDER / folder / name).unlink()
    (root / WHOLE).unlink(missing_ok=True)


def is_whole(root: Path) -> bool:
    """Whether the root has had a list since it was begun."""
    return (root / WHOLE).exists()


def entries(root: Path, of: int | None = None) -> dict[int, list[Entry]]:
    """Partition -> its entries by offset, of all partitions or one. Raises AuditError."""
    for _ in range(_ATTEMPTS):
        with contextlib.suppress(FileNotFoundError):
            return _entries(root, of)
    raise AuditError(f"{root / FOLDER}: entries go each time they are to be read; try again")


def _entries(root: Path, of: int | None) -> dict[int, list[Entry]]:
    found: dict[int, list[Entry]] = {}
    try:
        for folder in _names(root / FOLDER):
            match = _PARTITION.fullmatch(folder)
            if match is None or of not in (None, int(match[1])):
                continue
            names = sorted(name for name in _names(root / FOLDER / folder) if _NAME.fullmatch(name))
            read = [_read(root, root / FOLDER / folder / name, int(match[1])) for name in names]
            if read:
                found[int(match[1])] = _counting(
                    sorted(read, key=lambda entry: (entry.first_offset, entry.next_offset))
                )
    except FileNotFoundError:
        raise
    except OSError as error:
        raise AuditError(f"{error.filename}: cannot be read ({error.strerror}); check its permissions") from error
    return dict(sorted(found.items()))


def _counting(found: list[Entry]) -> list[Entry]:
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
    return len(parts) == 3 and parts[0] == FOLDER and bool(_PARTITION.fullmatch(parts[1]) and _NAME.fullmatch(parts[2]))


def ends_with(root: Path, partition: int, offset: int, chain: str) -> bool:
    """Whether what is listed up to `offset` ends with a file of this SHA-256, or with what replaces it. True where
    nothing can be said: nothing was published, or by a version before the list.

    Reads the names of one folder and the entries at its end: each load of a partition asks. Raises AuditError.
    """
    folder = root / FOLDER / f"p{partition:05d}"
    names = [name for name in _names(folder) if _NAME.fullmatch(name)]
    if not chain:
        return True
    if not names and not is_whole(root):
        return any(layout.published(root, kind, partition) for kind in layout.KINDS)
    firsts = {int(name[:20]) for name in names if int(name[:20]) < offset}
    near = {max(firsts, default=offset), offset}
    for name in names:
        if int(name[:20]) in near:
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
            yield layout.published_file(root, file.path, file.schema, file.revised)
