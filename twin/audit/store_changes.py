"""What prunings and compactions do to a root in object storage: written down whole, one after the other, then done.

    PREFIX/_changes/p{partition}/{number}.json   what is to be done, put if absent; stays for ever

A store knows no lock that goes with its process. So nobody holds one: a change is planned from the list as it is when
all changes before it are done, and counts when it is put under the next number, of which there is one. Whoever finds
one does what is left of it, whether he who wrote it was killed, sleeps or is just doing it. Each step may be done twice
and late: entries are replaced only as they were read, and what is deleted are names that never come back.

Workers do not know of it. They add behind the end of the list, and touch nothing before the newest entries of theirs
(`twin.audit.fetch.NEWEST`), which no change touches.
"""

from typing import Final

import msgspec

from twin.audit import AuditError, filelist, layout, objects
from twin.audit.filelist import Entry, Pruned
from twin.audit.objects import encoded, first_of, object_key
from twin.store import Store, each

FORMAT: Final = 1
_ATTEMPTS: Final = 20


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One of the two; JSON by msgspec."""

    format: int
    partition: int
    number: int
    compacted: Entry | None = None  # the entry that stands for those which it replaces; its objects are there
    pruned: Pruned | None = None

    @property
    def name(self) -> str:
        """Its key."""
        return layout.change_name(self.partition, self.number)


_CHANGE: Final = msgspec.json.Decoder(Change)
_PRUNED: Final = msgspec.json.Decoder(Pruned)


def partitions(store: Store) -> list[int]:
    """Those that have a list. Raises AuditError, StoreError."""
    keys = objects.known(store, [one.key for one in store.listed(layout.FILES)])
    if not keys:
        raise AuditError(f"{store.url}: no such audit root; name the bucket and the prefix that a worker has")
    return sorted({number for key in keys if (number := layout.partition_of(key.split("/")[1])) is not None})


def settle(store: Store, partition: int) -> int:
    """Do what is left of what was written down. Returns the next change's number. Raises AuditError, StoreError."""
    keys = [one.key for one in store.listed(layout.partition_folder(layout.CHANGES, partition))]
    if not keys:
        return 0
    data = store.get(keys[-1])[0]
    try:
        change = _CHANGE.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise AuditError(f"{store.url}/{keys[-1]}: cannot be read ({error}); restore it") from error
    if change.format != FORMAT or change.name != keys[-1]:
        raise AuditError(
            f"{store.url}/{keys[-1]}: is of another version, or was renamed; use the version that wrote it"
        )
    _carry_out(store, change)
    return change.number + 1


def make(store: Store, change: Change) -> bool:
    """Write a change down and do it. False: another one has this number; plan again. Raises AuditError, StoreError."""
    data = msgspec.json.format(msgspec.json.encode(change), indent=1)
    # A lost answer: the one that is there may be ours. One that says the same is as good.
    if not store.put_new(change.name, data) and store.get(change.name)[0] != data:
        return False
    _carry_out(store, change)
    return True


def entries(store: Store, partition: int) -> tuple[list[Entry], Pruned | None]:
    """The entries that count, by offset, and what was pruned before them. Raises AuditError, StoreError."""
    for _ in range(_ATTEMPTS):
        try:
            record, _ = pruned(store, partition)
            keys = objects.known(
                store, [one.key for one in store.listed(layout.partition_folder(layout.FILES, partition))]
            )
            found = each(lambda key: objects.read_entry(store, key), keys)
        except FileNotFoundError:
            continue  # a change is being made
        begin = record.first_offset if record is not None else 0
        ordered = sorted(found, key=lambda entry: (entry.first_offset, entry.next_offset))
        return [entry for entry in filelist.counting(ordered) if entry.first_offset >= begin], record
    raise AuditError(f"{store.url}/{layout.FILES}: entries go each time they are to be read; try again")


def pruned(store: Store, partition: int) -> tuple[Pruned | None, str]:
    """What says where a partition begins since, and its version. Raises AuditError, StoreError."""
    key = f"{layout.partition_folder(layout.FILES, partition)}/{filelist.PRUNED}"
    try:
        data, version = store.get(key)
    except FileNotFoundError:
        return None, ""
    try:
        record = _PRUNED.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise AuditError(f"{store.url}/{key}: cannot be read ({error}); restore it") from error
    if record.format != filelist.FORMAT or record.partition != partition:
        raise AuditError(f"{store.url}/{key}: is of another partition or version; restore it")
    return record, version


def _carry_out(store: Store, change: Change) -> None:
    if change.compacted is not None:
        _compact(store, change.compacted)
    if change.pruned is not None:
        _prune(store, change.pruned)


def _compact(store: Store, entry: Entry) -> None:
    """The entry takes the place of that of the first interval, and from then on counts alone; then the others go."""
    data = encoded(entry)
    for _ in range(_ATTEMPTS):
        try:
            there, version = store.get(entry.name)
        except FileNotFoundError:
            return  # pruned since
        if there == data:
            break
        if problem := _problem(store, entry, there):
            if _is_still(store, entry.name, there):
                raise AuditError(problem)
            continue
        if store.replace(entry.name, data, version):
            break
    else:
        raise AuditError(f"{store.url}/{entry.name}: is another one each time it is to be replaced; try again")
    behind = store.listed(layout.partition_folder(layout.FILES, entry.partition), entry.name)
    keys = [one.key for one in behind if filelist.is_entry(one.key)]
    store.delete([key for key in keys if entry.first_offset < first_of(key) < entry.next_offset])
    store.delete([object_key(file) for file in entry.replaces])


def _problem(store: Store, entry: Entry, there: bytes) -> str:
    """Before it counts: it stands for what is there, and all that it names is there."""
    first = filelist.decoded(entry.name, there, entry.partition, f"{store.url}/{entry.name}")
    if first.replaces or first.files != entry.replaces[: len(first.files)]:
        return (
            f"{store.url}/{entry.name}: is not what was to be merged, as {layout.CHANGES} says: it was changed; see "
            "what twin audit verify says"
        )
    sizes = each(lambda file: store.size(object_key(file)), entry.files)
    for file, size in zip(entry.files, sizes, strict=True):
        if size != file.bytes:
            return (
                f"{store.url}/{object_key(file)}: is not what was put to stand for {len(entry.replaces)} files, and "
                "these are there yet: restore it"
            )
    return ""


def _is_still(store: Store, key: str, data: bytes) -> bool:
    try:
        return store.get(key)[0] == data
    except FileNotFoundError:
        return False


def _prune(store: Store, record: Pruned) -> None:
    """First it is said: from then on nobody reads what is before it. Entries go before the objects that they name."""
    key = f"{layout.partition_folder(layout.FILES, record.partition)}/{filelist.PRUNED}"
    data = msgspec.json.format(msgspec.json.encode(record), indent=1)
    for _ in range(_ATTEMPTS):
        there, version = pruned(store, record.partition)
        if there is not None and there.first_offset >= record.first_offset:
            break
        if store.put_new(key, data) if there is None else store.replace(key, data, version):
            break
    else:
        raise AuditError(f"{store.url}/{key}: is another one each time it is to be replaced; try again")
    listed = [one.key for one in store.listed(layout.partition_folder(layout.FILES, record.partition))]
    store.delete([one for one in listed if filelist.is_entry(one) and first_of(one) < record.first_offset])
    rows = [one.key for one in store.listed(layout.partition_folder(layout.OBJECTS, record.partition))]
    store.delete([one for one in rows if _goes(one, record.first_offset)])


def _goes(key: str, offset: int) -> bool:
    """The base at the cut stays."""
    first, following = layout.object_offsets(key)
    return first < offset and following <= offset
