"""Retention (`twin.audit.prune`) of a root in object storage: planned by the list alone, beside running workers."""

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from twin.audit import AuditError, store_changes
from twin.audit.filelist import Entry, Pruned, published_files
from twin.audit.intervals import Interval
from twin.audit.layout import PublishedFile
from twin.audit.objects import object_key
from twin.audit.prune import Cut, check_names, cut_of, goes, record_of
from twin.audit.read import UNREADABLE, footer
from twin.audit.store_changes import Change
from twin.store import Store

_ATTEMPTS = 20


def plan(
    store: Store, before: str, *, without_base: bool = False, keep_from: Mapping[int, int] | None = None
) -> list[Cut]:
    """What `prune` would take away. Raises AuditError, StoreError."""
    found = [store_changes.entries(store, partition)[0] for partition in store_changes.partitions(store)]
    return [_cut(mine, before, without_base, keep_from or {}) for mine in found if mine]


def prune(
    store: Store,
    before: str,
    *,
    by: str,
    at: str,
    without_base: bool = False,
    keep_from: Mapping[int, int] | None = None,
) -> list[Cut]:
    """As `twin.audit.prune.prune`. Raises AuditError, StoreError."""
    cuts = []
    for partition in store_changes.partitions(store):
        for _ in range(_ATTEMPTS):
            number = store_changes.settle(store, partition)
            mine, old = store_changes.entries(store, partition)
            if not mine:
                break
            cut = _cut(mine, before, without_base, keep_from or {})
            record = _record(store, mine, cut, before, by, at, old) if cut.files else None
            if record is None or store_changes.make(
                store, Change(store_changes.FORMAT, partition, number, pruned=record)
            ):
                cuts.append(cut)
                break
        else:
            raise AuditError(f"{store.url}: others change partition {partition} each time; try again")
    return cuts


def _cut(mine: list[Entry], before: str, without_base: bool, keep_from: Mapping[int, int]) -> Cut:
    sizes: dict[PublishedFile, int] = {}
    intervals = []
    for entry in mine:
        files = tuple(published_files([entry], Path()))
        sizes.update(zip(files, (file.bytes for file in entry.files), strict=True))
        intervals.append(Interval(entry.partition, entry.first_offset, entry.next_offset, files))
    return cut_of(intervals, before, without_base, keep_from, sizes.__getitem__)


def _record(store: Store, mine: list[Entry], cut: Cut, before: str, by: str, at: str, old: Pruned | None) -> Pruned:
    gone = [one for one in mine if goes(one, cut.offset)]
    first = mine[len(gone)].files[0]
    last, key = (gone[-1].replaces or gone[-1].files)[-1], object_key(first)
    try:
        keys = footer(pq.ParquetFile(pa.BufferReader(store.get(key)[0])))
    except FileNotFoundError as error:
        raise AuditError(f"{store.url}/{key}: is listed, but is not there; see what twin audit verify says") from error
    except UNREADABLE as error:
        raise AuditError(f"{store.url}/{key}: not readable as published ({error}); restore it") from error
    check_names(keys, last.sha256, f"{store.url}/{key}", gone[-1].files[-1].path)
    return record_of(cut, last.sha256, before, by, at, old)
