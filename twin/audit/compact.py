"""Many small files of a day become few: for roots whose writers made a file for every commit.

    ROOT/_files/p{partition}/{first_offset}.json             the new interval; `replaces` names the files it stands for
    ROOT/_files/p{partition}/{first_offset}-compacting.json  the same, until all of it is done

Neighbouring intervals of one kind (columns, rules, model, version) and one day are written again as one, as a worker
that commits more rarely would have done. The chain stays what it was: the first new file names the file before the
first that it replaces, and the file behind them still names the last of these. What stands between is in the list, by
name and SHA-256 in the order of the chain, and the footers of the new files name these hashes, too.

Steps, each durable before the next, each of which may be repeated: new files are staged, read back and compared; the
intent is written; the files take their names; the entry takes the place of that of the first interval, and from then
on counts alone; old entries, then old files, then the intent go. Until then who reads folders, not the list, sees rows
twice.
"""

import contextlib
import fcntl
import hashlib
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, Protocol, TypeVar

import msgspec
import numpy as np
import pyarrow as pa

from twin.audit import AuditError, durable, filelist, layout, left_out
from twin.audit.digest import HASH_BYTES, row_hashes
from twin.audit.filelist import Entry, ListedFile, agrees, hashes_in_order
from twin.audit.intervals import Interval, contents, intervals
from twin.audit.layout import PublishedFile
from twin.audit.read import UNREADABLE, completed, damaged, footer, keys_of, listed_as, open_file, schema_version
from twin.audit.writer import AuditWriter, Manifest, entry_of, unstage
from twin.results import SETS, schema_of

# Rows in an interval that is as long as it needs to be: five of a day of 60 events a second.
MOST_ROWS: Final = 1 << 20
# Of a file's own place in the chain; all else in a footer must be alike in what becomes one interval.
_OWN: Final = frozenset({"set", "first_offset", "next_offset", "previous_sha256", "absent", "date"})


@dataclass(frozen=True, slots=True)
class Compacted:
    """What became of one partition's files."""

    partition: int
    files: int  # that went
    into: int  # that came
    bytes: int  # of those that went
    into_bytes: int
    first_date: str = ""
    last_date: str = ""


def compact(
    root: Path | str, before: str, *, by: str, at: str, keep_from: Mapping[int, int] | None = None
) -> list[Compacted]:
    """Merge small files whose rows are all of UTC dates before this one. May be repeated after a kill.

    `by` and `at` (a time, RFC 3339) are kept for those who ask later. `keep_from`: partition -> offset from which a
    worker may need its files as they are; the newest interval always stays. Raises AuditError.
    """
    base = layout.existing_root(root)
    try:
        with _alone(base):
            for intent in filelist.intents(base):
                _finish(base, intent)
            _tidy(base)
            done = []
            for partition in sorted(intervals(base)):
                _adopt(base, partition)
                mine = contents(base).published.get(partition, [])
                stays = (keep_from or {}).get(partition, mine[-1].first_offset if mine else 0)
                groups = list(groups_of([one for one in mine[:-1] if one.next_offset <= stays], before))
                done.append(together(partition, [_one(base, group, by, at) for group in groups]))
    except OSError as error:
        raise AuditError(f"{error.filename or base}: {error.strerror}; call compact again when it is mended") from error
    return done


@contextlib.contextmanager
def _alone(root: Path) -> Iterator[None]:
    """One at a time. The lock goes with its process."""
    durable.make_folder(root / layout.FILES)
    folder = os.open(root / layout.FILES, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise AuditError(f"{root}: another compact is at work; let it end") from None
    finally:
        os.close(folder)


def _adopt(root: Path, partition: int) -> None:
    """List what versions before the list published: the newest first, so that at any time all behind the list's
    beginning is listed. Raises AuditError, OSError."""
    entries = filelist.entries(root, partition).get(partition, [])
    if filelist.is_whole(root):
        return
    before = intervals(root).get(partition, [])
    if layout.staged(root, partition) and not entries:
        raise AuditError(f"{root}: partition {partition}: rows are being published; stop its worker, or try again")
    found = intervals(root).get(partition, [])
    if found != before and not entries:
        raise AuditError(f"{root}: partition {partition}: rows are being published; stop its worker, or try again")
    begin = entries[0].first_offset if entries else found[-1].next_offset if found else 0
    for one in reversed([one for one in found if one.next_offset <= begin]):
        filelist.put(root, _as_it_is(root, one))


def _as_it_is(root: Path, one: Interval) -> Entry:
    return Entry(filelist.FORMAT, one.partition, one.first_offset, one.next_offset, tuple(_named(root, one.files)))


def _named(root: Path, files: Sequence[PublishedFile]) -> Iterator[ListedFile]:
    return (listed_as(root, file) for file in files)


class _HasOffsets(Protocol):
    @property
    def first_offset(self) -> int: ...
    @property
    def next_offset(self) -> int: ...


_One = TypeVar("_One", bound=_HasOffsets)


class About(NamedTuple):
    """What decides whether an interval may become one with its neighbours."""

    files: Iterable[PublishedFile]
    rows: int
    may: bool  # nothing but its date or offsets keeps it as it is
    kind: Mapping[str, str] = {}  # alike in what becomes one


def neighbours(mine: Iterable[_One], before: str, about: Callable[[_One], About]) -> Iterator[list[_One]]:
    """Those that become one: of one day before this date and one kind, without a base between."""
    group: list[_One] = []
    kind: Mapping[str, str] = {}
    day, rows = "", 0
    for one in mine:
        found = about(one)
        newest = max((file.date for file in found.files if file.set != "rejected"), default="")
        fits = (
            group
            and kind == found.kind
            and one.first_offset == group[-1].next_offset
            and (newest in ("", day) or not day)
            and rows + found.rows <= MOST_ROWS
        )
        may = found.may and one.first_offset < one.next_offset and newest < before
        if not (fits and may):
            if len(group) > 1:
                yield group
            group, day, rows = [], "", 0
        if may:
            group, day, kind, rows = [*group, one], max(day, newest), found.kind, rows + found.rows
    if len(group) > 1:
        yield group


def groups_of(mine: Sequence[Interval], before: str) -> Iterator[list[Interval]]:
    """The same of intervals that lie in a root, by what their footers say."""
    return neighbours(mine, before, _about)


def _about(one: Interval) -> About:
    keys = {key: value for key, value in keys_of(one).items() if key not in _OWN}
    return About(one.files, sum(map(_rows, one.files)), "replaces" not in keys, keys)


def _rows(file: PublishedFile) -> int:
    with open_file(file) as parquet:
        return int(parquet.metadata.num_rows)


def _one(root: Path, group: Sequence[Interval], by: str, at: str) -> Entry:
    entry = merged(root, group, by, at)
    filelist.put_intent(root, entry)
    _finish(root, entry)
    return entry


def merged(root: Path, group: Sequence[Interval], by: str, at: str) -> Entry:
    """Make the files that stand for those of a group: staged (`staged_path`), read back and compared.

    Raises AuditError, OSError.
    """
    replaced = tuple(_named(root, [file for one in group for file in one.files]))
    _check_listed(root, group[0].partition, replaced)
    first, last = group[0], group[-1]
    keys = keys_of(first)
    footer = {f"taktwin.{key}": value for key, value in keys.items() if key not in _OWN}
    footer |= {
        "taktwin.replaces": replaced[-1].sha256,
        "taktwin.replaced": str(len(replaced)),
        "taktwin.replaced_sha256": hashes_in_order(replaced),
    }
    writer = AuditWriter(
        root,
        first.partition,
        topic=keys["topic"],
        plant_hash=keys["model"],
        policies=keys.get("policies", ""),
        code_version=keys.get("code_version", ""),
        chain=keys["previous_sha256"],
        apart=True,
    )
    before = {}
    for set_name in SETS:
        tables = [_read(file) for one in group for file in one.of(set_name)]
        if tables:
            before[set_name] = pa.concat_tables(tables)
            writer.add(set_name, before[set_name], checked=True)
    manifest = writer.stage(first.first_offset, last.next_offset, footer)
    try:
        _compare(root, manifest, before, schema_version(keys))
    except BaseException:
        unstage(root, manifest.files)
        raise
    return msgspec.structs.replace(entry_of(manifest), replaces=replaced, by=by, at=at)


def _check_listed(root: Path, partition: int, found: Sequence[ListedFile]) -> None:
    """Nothing is merged that is no longer what was published. Raises AuditError."""
    listed = {file.path: file for entry in filelist.entries(root, partition)[partition] for file in entry.files}
    for file in found:
        known = listed.get(file.path)
        if known is None or not agrees(known, file):
            raise AuditError(f"{root / file.path}: is not what was published; see what twin audit verify says")


def _read(file: PublishedFile) -> pa.Table:
    try:
        with open_file(file) as parquet:
            table = parquet.read()
            version = schema_version(footer(parquet))
    except UNREADABLE as error:
        raise damaged(file, error) from error
    return left_out.whole(file.set, version, table)  # what one file leaves out another may have


def _compare(root: Path, manifest: Manifest, before: Mapping[str, pa.Table], version: int) -> None:
    """The new files, read back, hold the rows of the old ones. Raises AuditError."""
    for set_name in SETS:
        files = [file for file in manifest.files if file.set == set_name]
        places = [PublishedFile(set_name, "", 0, 0, 0, root / file.staged) for file in files]
        old = [before[set_name]] if set_name in before else []
        new = [_read(place) for place in places]
        if _content(set_name, old, version) != _content(set_name, new, version):
            raise AuditError(
                f"{root}: the merged rows of {set_name} are not those that were there: nothing was changed"
            )


def _content(set_name: str, tables: Sequence[pa.Table], version: int) -> bytes:
    """Equal for equal rows, whatever their order."""
    names = schema_of(set_name, version).names
    full = [SETS[set_name].empty_table(), *(completed(set_name, table) for table in tables)]
    table = pa.concat_tables(full).unify_dictionaries().combine_chunks()
    found = b"".join(row_hashes(set_name, batch, names) for batch in table.to_batches())
    return hashlib.sha256(np.sort(np.frombuffer(found, f"S{HASH_BYTES}")).tobytes()).digest()


def _finish(root: Path, entry: Entry) -> None:
    """From the intent on. May be repeated."""
    folders = set()
    for file in entry.files:
        staged, target = staged_path(root, file, entry), root / file.path
        if staged.exists():
            durable.make_folder(target.parent)
            staged.replace(target)
        folders.add(target.parent)
        if not target.exists() or layout.sha256_of(target) != file.sha256:
            raise AuditError(
                f"{target}: is not what was written to stand for {len(entry.replaces)} files, and these are there yet: "
                f"remove {filelist.intent_name(entry)} and call compact again"
            )
    durable.sync_folders(root, folders)
    filelist.put_compacted(root, entry)
    for old in filelist.replaced_entries(root, entry):
        old.unlink(missing_ok=True)
    durable.sync_folder(filelist.folder_of(root, entry.partition))
    emptied = set()
    for file in entry.replaces:
        (root / file.path).unlink(missing_ok=True)
        emptied.add((root / file.path).parent)
    for folder in emptied:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    (root / filelist.intent_name(entry)).unlink(missing_ok=True)


def staged_path(root: Path, file: ListedFile, entry: Entry) -> Path:
    """Where a file lies that `merged` has made."""
    one, offsets = layout.published_file(Path(), file.path), (entry.first_offset, entry.next_offset)
    return root / layout.staged_name(one.set, one.date, entry.partition, *offsets, 0, apart=True)


def _tidy(root: Path) -> None:
    """What was staged and never came to an intent."""
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(root / layout.STAGING):  # noqa: PTH208  as elsewhere
            if name.startswith(layout.APART):
                (root / layout.STAGING / name).unlink()


def together(partition: int, done: Sequence[Entry]) -> Compacted:
    """What the entries of a partition's compactions come to."""
    old = list(itertools.chain.from_iterable(entry.replaces for entry in done))
    new = list(itertools.chain.from_iterable(entry.files for entry in done))
    files = [layout.published_file(Path(), file.path) for file in new]
    dates = sorted(file.date for file in files if file.set != "rejected")
    first, last = (dates[0], dates[-1]) if dates else ("", "")
    sizes = sum(file.bytes for file in old), sum(file.bytes for file in new)
    return Compacted(partition, len(old), len(new), *sizes, first, last)
