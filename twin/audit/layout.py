"""Names and folders of an audit root; `twin.audit.durable` makes them.

    ROOT/{set}/date=YYYY-MM-DD/p{partition}-{first_offset}-{next_offset}.parquet      published
    ROOT/_bases/date=YYYY-MM-DD/p{partition}-{offset}-{offset}.parquet                published (twin.audit.bases)
    ROOT/_files/p{partition}/{first_offset}.json                                      the list (twin.audit.filelist)
    ROOT/_waiting/p{partition}/p{partition}-{first_offset}-{next_offset}-{sha}.rows   rows that wait
    ROOT/{set}/date=1970-01-01/columns-{version}.parquet                              no rows (twin.audit.left_out)
    ROOT/.staging/p{partition}-{first_offset}-{next_offset}-{set}-{date}-{attempt}.parquet

Every name is made and taken apart here: numbers of partitions, offsets and dates are spelled nowhere else. Paths are
made of set names, dates, numbers and hashes only, never of words that came with the data.
"""

import contextlib
import datetime
import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import Final

from twin.audit import AuditError
from twin.results import SETS

STAGING: Final = ".staging"
# Staged by `twin.audit.compact`, of which no worker knows.
APART: Final = "compact-"
# The underscore hides these folders from readers of data sets.
BASES: Final = "_bases"
FILES: Final = "_files"  # twin.audit.filelist
WAITING: Final = "_waiting"  # twin.audit.waiting
MODELS: Final = "_models"  # twin.audit.models
REPLAY: Final = "_replay"  # twin.audit.replayed
STATE: Final = "_state"  # snapshots, unless they are kept elsewhere
# In object storage alone (twin.audit.objects): the bytes of files, what is done to them, the bytes of rows that wait.
OBJECTS: Final = "_objects"
CHANGES: Final = "_changes"  # twin.audit.store_changes
PIECES: Final = "_pieces"  # few, and apart: who takes a partition over looks through them
MARKER: Final = "_root.json"  # twin.audit.marker
# Whose files are links of the chain, in its order within an interval.
KINDS: Final = (*SETS, BASES)

HASH_DIGITS: Final = 16  # of a SHA-256 in a name
# How names spell a partition and an offset: also those of snapshots (streams/state).
PARTITION: Final = r"p(\d{5,10})"
OFFSET: Final = r"(\d{20})"
_DATE: Final = r"\d{4}-\d{2}-\d{2}"
_HASH: Final = rf"[0-9a-f]{{{HASH_DIGITS}}}"
_FOLDER: Final = re.compile(rf"date=({_DATE})", re.ASCII)
_PARTITION: Final = re.compile(PARTITION, re.ASCII)
_FILE: Final = re.compile(rf"{PARTITION}-{OFFSET}-{OFFSET}\.parquet", re.ASCII)
_STAGED: Final = re.compile(rf"{PARTITION}-{OFFSET}-{OFFSET}-({'|'.join(KINDS)})-{_DATE}-\d+\.parquet", re.ASCII)
# Of rows that wait, and of the list.
_STAGED_ROWS: Final = re.compile(rf"{PARTITION}-{OFFSET}-{OFFSET}-(?:{_HASH}-\d+\.rows|list-\d+\.json)", re.ASCII)
_ENTRY: Final = re.compile(rf"{OFFSET}(?:\.\w+)?\.json", re.ASCII)
_INTENT: Final = re.compile(rf"{OFFSET}-compacting\.json", re.ASCII)
_PIECE: Final = re.compile(rf"{PARTITION}-{OFFSET}-{OFFSET}-{_HASH}\.rows", re.ASCII)
_OBJECT: Final = re.compile(rf"{OFFSET}-{OFFSET}-", re.ASCII)
_MODEL: Final = re.compile(rf"({_HASH})\.json", re.ASCII)
_COLUMNS: Final = re.compile(r"columns-(\d{1,4})\.parquet", re.ASCII)
_COLUMNS_DATE: Final = "1970-01-01"  # sorts before every row's, and has the key that readers of data sets expect
_SHARE: Final = re.compile(r"share-(\d{5})\.json", re.ASCII)


# A fifth of what comparing the files themselves costs.
_PLACE: Final = attrgetter("date", "partition", "first_offset", "next_offset")


@dataclass(frozen=True, slots=True, order=True)
class PublishedFile:
    set: str
    date: str
    partition: int
    first_offset: int
    next_offset: int
    path: Path
    # As the list says, so that nobody has to open the file for it.
    schema: int = field(default=0, compare=False)  # version of its columns; 0: not said
    revised: bool | None = field(default=None, compare=False)  # a row of it is a revision; None: not said
    left_out: tuple[str, ...] = field(default=(), compare=False)  # columns that it does not have, as no row fills them


def root_path(root: Path | str) -> Path:
    """The local folder `root` names. Raises AuditError for a URL: of those `twin.audit.fetch` makes a folder."""
    if isinstance(root, str) and "://" in root:
        raise AuditError(
            f"{root}: this needs a local or mounted folder; of an audit in object storage make one (twin audit copy)"
        )
    return Path(root)


def partition_name(partition: int) -> str:
    """As it begins every name of the partition, and names its folders."""
    return f"p{partition:05d}"


def partition_folder(folder: str, partition: int) -> str:
    """The folder of a partition within FILES, WAITING, OBJECTS or PIECES, relative to the root."""
    return f"{folder}/{partition_name(partition)}"


def partition_of(name: str) -> int | None:
    """The partition of a folder's name; None: it is none."""
    match = _PARTITION.fullmatch(name)
    return int(match[1]) if match is not None else None


def offset_name(offset: int) -> str:
    return f"{offset:020d}"


def _interval(partition: int, first_offset: int, next_offset: int) -> str:
    return f"{partition_name(partition)}-{offset_name(first_offset)}-{offset_name(next_offset)}"


def final_name(set_name: str, date: str, partition: int, first_offset: int, next_offset: int) -> str:
    """Published path relative to the root."""
    return f"{set_name}/date={date}/{_interval(partition, first_offset, next_offset)}.parquet"


def staged_name(
    set_name: str, date: str, partition: int, first_offset: int, next_offset: int, attempt: int, *, apart: bool = False
) -> str:
    """Staged path relative to the root. The partition leads, so that no other partition's files are ever matched.

    `apart`: of files that are no worker's, and that no worker tidies away.
    """
    prefix = APART if apart else ""
    return f"{STAGING}/{prefix}{_interval(partition, first_offset, next_offset)}-{set_name}-{date}-{attempt}.parquet"


def columns_name(set_name: str, version: int) -> str:
    """The file of no rows that has all columns of a set, relative to the root."""
    return f"{set_name}/date={_COLUMNS_DATE}/columns-{version}.parquet"


def staged_columns_name(set_name: str, whose: str = "") -> str:
    """Before it is there, relative to the root. `whose`: nobody else's at the same time; empty: how all of them
    begin."""
    return f"{STAGING}/{set_name}-columns-{whose}"


def columns_of(name: str) -> tuple[str, int] | None:
    """Set and version of the columns of a path relative to the root; None: it is no such file."""
    set_name, _, rest = name.partition("/")
    match = _COLUMNS.fullmatch(rest.removeprefix(f"date={_COLUMNS_DATE}/"))
    if match is None or set_name not in SETS or name != columns_name(set_name, int(match[1])):
        return None
    return set_name, int(match[1])


def entry_name(partition: int, first_offset: int, kind: str = "") -> str:
    """An entry of the list, relative to the root. `kind`: of one without offsets of its own."""
    name = offset_name(first_offset) + (f".{kind}" if kind else "")
    return f"{partition_folder(FILES, partition)}/{name}.json"


def entry_offset(name: str) -> int | None:
    """The first offset in an entry's file name; None: it is none."""
    match = _ENTRY.fullmatch(name)
    return int(match[1]) if match is not None else None


def intent_name(partition: int, first_offset: int) -> str:
    """What a compaction is about to do, relative to the root."""
    return f"{partition_folder(FILES, partition)}/{offset_name(first_offset)}-compacting.json"


def is_intent(name: str) -> bool:
    return _INTENT.fullmatch(name) is not None


def staged_entry_name(partition: int, first_offset: int, next_offset: int, attempt: int) -> str:
    """An entry before it is there, relative to the root; and what else is put into the list of a partition."""
    return f"{STAGING}/{_interval(partition, first_offset, next_offset)}-list-{attempt}.json"


def entry_name_apart(partition: int, first_offset: int) -> str:
    """The same of a compaction."""
    return f"{STAGING}/{APART}{partition_name(partition)}-{offset_name(first_offset)}.json"


def piece_stem(partition: int, first_offset: int, next_offset: int, sha256: str) -> str:
    return f"{_interval(partition, first_offset, next_offset)}-{sha256[:HASH_DIGITS]}"


def piece_name(partition: int, stem: str, folder: str = WAITING) -> str:
    """Rows that wait, relative to the root; in object storage also their bytes, in PIECES."""
    return f"{partition_folder(folder, partition)}/{stem}.rows"


def piece_of(name: str) -> tuple[int, int, int] | None:
    """Partition, first and next offset of the file name of rows that wait; None: it is none."""
    match = _PIECE.fullmatch(name)
    return (int(match[1]), int(match[2]), int(match[3])) if match is not None else None


def staged_piece_name(stem: str, attempt: int = 0) -> str:
    """Rows that wait before they are committed, relative to the root."""
    return f"{STAGING}/{stem}-{attempt}.rows"


def follows_on(offset: int, previous_sha256: str) -> str:
    """What stands in the name of the rows that end at this offset with this hash."""
    return f"-{offset_name(offset)}-{previous_sha256[:HASH_DIGITS]}"


def object_name(file: PublishedFile, sha256: str) -> str:
    """Key of the bytes of a published file in object storage."""
    offsets = f"{offset_name(file.first_offset)}-{offset_name(file.next_offset)}"
    return f"{partition_folder(OBJECTS, file.partition)}/{offsets}-{file.set}-{file.date}-{sha256}.parquet"


def object_offsets(key: str) -> tuple[int, int]:
    """First and next offset in such a key. Raises ValueError."""
    match = _OBJECT.match(key.rpartition("/")[2])
    if match is None:
        raise ValueError(f"{key}: is no name of an object")
    return int(match[1]), int(match[2])


def change_name(partition: int, number: int) -> str:
    """What a pruning or a compaction does, in object storage."""
    return f"{partition_folder(CHANGES, partition)}/{number:08d}.json"


def model_name(digest: str) -> str:
    """A plant model, relative to the root."""
    return f"{MODELS}/{digest}.json"


def model_of(name: str) -> str | None:
    """The hash of a model's file name; None: it is none."""
    match = _MODEL.fullmatch(name)
    return match[1] if match is not None else None


def share_name(number: int) -> str:
    """What says that a share of a replay is done, relative to the root."""
    return f"{REPLAY}/share-{number:05d}.json"


def share_of(name: str) -> int | None:
    """The share of such a file name; None: it is none."""
    match = _SHARE.fullmatch(name)
    return int(match[1]) if match is not None else None


def is_final(name: str) -> bool:
    parts = name.split("/")
    return (
        len(parts) == 3
        and parts[0] in KINDS
        and _FOLDER.fullmatch(parts[1]) is not None
        and _FILE.fullmatch(parts[2]) is not None
    )


def published_file(
    root: Path, name: str, schema: int = 0, revised: bool | None = None, left_out: tuple[str, ...] = ()
) -> PublishedFile:
    """The file of a path relative to the root of which `is_final` is true."""
    set_name, folder, file = name.split("/")
    match = _FILE.fullmatch(file)
    assert match is not None
    partition, first, following = map(int, match.groups())
    date = folder.removeprefix("date=")
    return PublishedFile(set_name, date, partition, first, following, root / name, schema, revised, left_out)


def is_staged(name: str) -> bool:
    folder, _, file = name.partition("/")
    return folder == STAGING and _STAGED.fullmatch(file) is not None


def existing_root(root: Path | str) -> Path:
    """`root`, if it is a folder that is empty or holds something of an audit. Raises AuditError."""
    path = root_path(root)
    if not path.is_dir():
        raise AuditError(f"{path}: no such audit root; name the folder that holds events/, kpis/ and the other sets")
    names = [entry.name for entry in os.scandir(path)]
    if names and not any(name in SETS or name.startswith(("_", ".")) for name in names):
        raise AuditError(
            f"{path}: is no audit root ({min(names)} is none of its sets); name the folder that holds events/, kpis/ "
            "and the other sets"
        )
    return path


def check_set(set_name: str) -> None:
    if set_name not in SETS:
        raise AuditError(f"{set_name!r}: no such set; the sets are {', '.join(SETS)}")


def published(root: Path, set_name: str, of: int | None = None) -> list[PublishedFile]:
    """Published files of a set, or the bases, by date, partition and offset, or those of one partition.

    Names of any other shape are not the audit's: skipped.
    """
    if set_name != BASES:
        check_set(set_name)
    found = []
    # A root at work gets a hundred thousand files a day: what is not asked for costs next to nothing.
    begin = "p" if of is None else f"{partition_name(of)}-"
    try:
        for folder in (root / set_name).iterdir():
            date = _date_of(folder.name)
            if date is None:
                continue
            for name in os.listdir(folder):  # noqa: PTH208  a Path for each would cost more than listing them
                match = _FILE.fullmatch(name) if name.startswith(begin) else None
                if match is not None:
                    partition, first, following = map(int, match.groups())
                    found.append(PublishedFile(set_name, date, partition, first, following, folder / name))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise AuditError(f"{error.filename}: cannot be listed ({error.strerror}); check its permissions") from error
    return sorted(found, key=_PLACE)


def _date_of(folder: str) -> str | None:
    match = _FOLDER.fullmatch(folder)
    with contextlib.suppress(ValueError):  # 2025-99-99
        return datetime.date.fromisoformat(match[1]).isoformat() if match is not None else None
    return None


def columns_files(root: Path, set_name: str) -> dict[Path, int]:
    """The files of no rows that have all columns of a set, each with the version of these."""
    folder = (root / columns_name(set_name, 0)).parent
    matches = {path: _COLUMNS.fullmatch(path.name) for path in sorted(folder.glob("columns-*.parquet"))}
    found = {path: int(match[1]) for path, match in matches.items() if match is not None}
    return {path: version for path, version in found.items() if path == root / columns_name(set_name, version)}


def dated(root: Path, begin: str = "") -> Iterator[Path]:
    """What lies in the folders of dates, of all sets; `begin` of its name."""
    return root.glob(f"*/date=*/{begin}*")


def strange(root: Path) -> list[Path]:
    """What lies in the folders of sets and is no file that a twin gives such a name; links, whatever their name.

    Names that begin with a dot or an underscore, too, and links: pyarrow skips the ones, DuckDB and Polars read both.
    """
    found = []
    for set_name in KINDS:
        known = {file.path for file in published(root, set_name)}
        named = set(columns_files(root, set_name))
        for folder, folders, names in os.walk(root / set_name):
            paths = [Path(folder) / name for name in names]
            found += [path for path in paths if (path not in known and path not in named) or path.is_symlink()]
            found += [path for name in folders if (path := Path(folder) / name).is_symlink()]
    return sorted(found)


def staged(root: Path, partition: int) -> list[str]:
    """Staged paths of one partition, relative to the root: files, rows that wait, entries of the list."""
    return all_staged(root).get(partition, [])


def all_staged(root: Path) -> dict[int, list[str]]:
    """The same of every partition that has some: of many together the folder is listed once."""
    found: dict[int, list[str]] = {}
    try:
        names = os.listdir(root / STAGING)  # noqa: PTH208  as above
    except FileNotFoundError:
        return found
    for name in sorted(names):
        match = _STAGED.fullmatch(name) or _STAGED_ROWS.fullmatch(name)
        if match is not None:
            found.setdefault(int(match[1]), []).append(f"{STAGING}/{name}")
    return found


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
