"""Compaction (`twin.audit.compact`) of a root in object storage, beside running workers.

Neighbours of a day are copied into a folder, merged there as in any root, and put. Then the change is written down and
done (`twin.audit.store_changes`). Who is killed before that leaves objects that nobody lists: the next run makes the
same, and finds them there.
"""

import functools
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from twin.audit import AuditError, fetch, filelist, store_changes
from twin.audit.compact import About, Compacted, groups_of, merged, neighbours, staged_path, together
from twin.audit.filelist import Entry, ListedFile
from twin.audit.intervals import Interval
from twin.audit.objects import encoded, object_key
from twin.audit.store_changes import Change
from twin.store import FILES_TOGETHER, Store, check_conditions, each, put_same

_ATTEMPTS: Final = 20


def run(store: Store, before: str, *, by: str, at: str, keep_from: Mapping[int, int] | None = None) -> list[Compacted]:
    """As `twin.audit.compact.compact`; the newest entries stay, too (`twin.audit.fetch.NEWEST`). Raises AuditError,
    StoreError.
    """
    found = store_changes.partitions(store)
    check_conditions(store, filelist.WHOLE)
    done = []
    for partition in found:
        mine: list[Entry] = []
        for _ in range(_ATTEMPTS):
            if _partition(store, partition, before, by, at, keep_from or {}, mine):
                break
        else:
            raise AuditError(f"{store.url}: others change partition {partition} each time; try again")
        done.append(together(partition, mine))
    return done


def _partition(
    store: Store, partition: int, before: str, by: str, at: str, keep_from: Mapping[int, int], done: list[Entry]
) -> bool:
    """False: another one has changed what this was planned by."""
    number = store_changes.settle(store, partition)
    listed, _ = store_changes.entries(store, partition)
    if not listed:
        return True
    stays = min(keep_from.get(partition, listed[-1].first_offset), listed[-fetch.NEWEST :][0].first_offset)

    def about(one: Entry) -> About:
        """As far as the list says: of those that may become one the footers are looked at."""
        files = filelist.published_files([one], Path())
        return About(files, sum(file.rows for file in one.files), not one.replaces and one.next_offset <= stays)

    for group in neighbours(listed, before, about):
        for entry in _merged(store, group, before, by, at):
            change = Change(store_changes.FORMAT, partition, number, compacted=entry)
            if entry is None or not store_changes.make(store, change):
                return False
            done.append(entry)
            number += 1
    return True


def _merged(store: Store, entries: Sequence[Entry], before: str, by: str, at: str) -> Iterator[Entry | None]:
    """Entries whose objects are there; None: what was listed is not there any more."""
    with tempfile.TemporaryDirectory(prefix="taktwin-compact-") as name:
        root = Path(name)
        try:
            each(
                lambda file: _copy(store, root, file),
                [file for one in entries for file in one.files],
                FILES_TOGETHER,
            )
        except FileNotFoundError as error:
            if all(_is_listed(store, one) for one in entries):
                raise AuditError(f"{error.filename}: is listed, but is not there: restore it") from error
            yield None
            return
        for one in entries:
            path = root / one.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encoded(one))
        intervals = [
            Interval(one.partition, one.first_offset, one.next_offset, tuple(filelist.published_files([one], root)))
            for one in entries
        ]
        try:
            for group in groups_of(intervals, before):
                entry = merged(root, group, by, at)
                each(functools.partial(_put, store, root, entry), entry.files, FILES_TOGETHER)
                yield entry
        except AuditError as error:
            raise AuditError(str(error).replace(name, store.url)) from error


def _copy(store: Store, root: Path, file: ListedFile) -> None:
    target = root / file.path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(store.get(object_key(file))[0])


def _is_listed(store: Store, entry: Entry) -> bool:
    try:
        return store.get(entry.name)[0] == encoded(entry)
    except FileNotFoundError:
        return False


def _put(store: Store, root: Path, entry: Entry, file: ListedFile) -> None:
    key, path = object_key(file), staged_path(root, file, entry)
    if not put_same(store, key, path.read_bytes()):
        raise AuditError(f"{store.url}/{key}: holds other bytes than its name says: it was changed; restore it")
    path.unlink()
