"""Published rows only: what a reader sees of an audit root."""

import contextlib
import datetime
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.fs as fs
import pyarrow.parquet as pq

from twin.audit import AuditError, left_out
from twin.audit.filelist import ListedFile
from twin.audit.intervals import Contents, Interval, contents
from twin.audit.layout import PublishedFile, check_set, existing_root, sha256_of
from twin.audit.rows import days_of, integers
from twin.columns import filled, value_range
from twin.results import OLDEST_SCHEMA, SCHEMA_VERSION, SETS, TIME_COLUMN

# What pyarrow raises over a damaged file; texts that are not UTF-8 are found only when they are looked at.
UNREADABLE: Final = (OSError, pa.ArrowException, UnicodeDecodeError)
_DATE: Final = pa.field("date", pa.date32())


@dataclass(frozen=True, slots=True)
class SetListing:
    """What one set holds. Times are ns since 1970 UTC of the set's time column, None when no row has one."""

    files: int
    rows: int
    bytes: int
    first_ns: int | None
    last_ns: int | None
    # Partition -> offset ranges [first, next), touching ones joined. A hole may be natural: an interval without a row
    # of the set writes no file.
    offsets: dict[int, tuple[tuple[int, int], ...]]
    models: tuple[str, ...]
    topics: tuple[str, ...]
    waiting: int = 0  # of the rows: committed, and no file yet

    @property
    def partitions(self) -> tuple[int, ...]:
        return tuple(self.offsets)


_LISTING: ContextVar[dict[Path, Contents] | None] = ContextVar("listing", default=None)


@contextlib.contextmanager
def one_listing() -> Iterator[None]:
    """Within it every set of a root is read by one listing: rows of several sets belong together though workers go on,
    and a root of many files is listed once. Within another one it is that one."""
    if _LISTING.get() is not None:
        yield
        return
    token = _LISTING.set({})
    try:
        yield
    finally:
        _LISTING.reset(token)


def listed(base: Path) -> Contents:
    """As `contents`, by the listing that is at hand. Raises AuditError."""
    known = _LISTING.get()
    if known is None:
        return contents(base)
    if base not in known:
        known[base] = contents(base)
    return known[base]


def open_set(root: Path | str, set_name: str) -> ds.Dataset:
    """The rows of a set, published or waiting for a file, with their `date` as last column. Page checksums are verified
    on reading.

    What appears later is not in it. Raises AuditError.
    """
    check_set(set_name)
    base = existing_root(root)
    schema = SETS[set_name].append(_DATE)
    found = listed(base)
    options = ds.ParquetFragmentScanOptions(page_checksum_verification=True)
    parquet = ds.ParquetFileFormat(default_fragment_scan_options=options)
    date, local = ds.field("date"), fs.LocalFileSystem()
    fragments = [
        parquet.make_fragment(
            str(file.path), local, partition_expression=date == pa.scalar(datetime.date.fromisoformat(file.date))
        )
        for file in found.files(set_name)
    ]
    files = ds.FileSystemDataset(fragments, schema, parquet)
    waits = waiting_table(found, set_name)
    return files if waits is None else ds.dataset([files, ds.dataset(waits)])


def waiting_table(found: Contents, set_name: str) -> pa.Table | None:
    """The rows of a set that wait, with their `date` as last column; None: there are none. Raises AuditError."""
    tables = [completed(set_name, table) for table in found.waiting_tables(set_name)]
    if not tables:
        return None
    table = pa.concat_tables(tables).unify_dictionaries().combine_chunks()
    return table.append_column(_DATE, pa.array(days_of(set_name, table).astype("datetime64[D]")))


def open_file(file: PublishedFile) -> pq.ParquetFile:
    """A published file whose pages are checked against their checksums when read. Raises AuditError."""
    try:
        return pq.ParquetFile(file.path, page_checksum_verification=True)
    except UNREADABLE as error:
        raise damaged(file, error) from error


def damaged(file: PublishedFile, error: Exception) -> AuditError:
    return AuditError(
        f"{file.path}: not readable as published ({error}); the file was cut or changed: restore it from a copy, or "
        f"replay offsets {file.first_offset} to {file.next_offset} of partition {file.partition} into a new root"
    )


def footer(parquet: pq.ParquetFile) -> dict[str, str]:
    """The `taktwin.*` keys of a file's footer, without that prefix. What is not UTF-8 there agrees with nothing."""
    broken = "backslashreplace"
    pairs = cast("dict[bytes, bytes]", parquet.metadata.metadata or {})
    prefix = b"taktwin."
    return {
        key[len(prefix) :].decode(errors=broken): value.decode(errors=broken)
        for key, value in pairs.items()
        if key.startswith(prefix)
    }


def schema_version(keys: dict[str, str]) -> int:
    """Version of a file's columns, from its footer. Raises AuditError: none, or one that this code cannot read."""
    said = keys.get("schema_version", "")
    if not said:
        raise AuditError("has no taktwin footer: no twin wrote it")
    if not said.isdecimal() or not OLDEST_SCHEMA <= int(said) <= SCHEMA_VERSION:
        raise AuditError(
            f"has schema version {said}, this code reads {OLDEST_SCHEMA} to {SCHEMA_VERSION}; use the version of "
            "taktwin that wrote it, or a newer one"
        )
    return int(said)


def completed(set_name: str, table: pa.Table) -> pa.Table:
    """A table of any version with all columns of today, null where its version had none or its file left them out.

    Raises AuditError: it is of no version of the set.
    """
    for version in range(SCHEMA_VERSION, OLDEST_SCHEMA - 1, -1):
        without = left_out.of_file(set_name, version, table.column_names)
        if table.schema.equals(left_out.schema_without(set_name, version, without)):
            break
    else:
        raise AuditError(f"its columns are not those of the set {set_name}")
    schema = SETS[set_name]
    return table if len(table.schema) == len(schema) else filled(table, schema)


def footer_of(file: PublishedFile) -> dict[str, str]:
    """As `footer`, of a published file. Raises AuditError."""
    with open_file(file) as parquet:
        return footer(parquet)


def has_revisions(file: PublishedFile) -> bool:
    """Whether a row is a revision, or takes one back: as the list says, else as the file does. Raises AuditError."""
    if file.revised is not None:
        return file.revised
    with open_file(file) as parquet:
        return _has_revisions(file, parquet)


def _has_revisions(file: PublishedFile, parquet: pq.ParquetFile) -> bool:
    if "revision" not in parquet.schema_arrow.names:
        return False
    try:
        limits = value_range(parquet, "revision")
    except UNREADABLE as error:
        raise damaged(file, error) from error
    return limits is not None and limits[1] > 0


def listed_as(root: Path, file: PublishedFile) -> ListedFile:
    """What the list says of a file that lies there: as whoever wrote it has it. Raises AuditError, OSError."""
    with open_file(file) as parquet:
        rows, revised = parquet.metadata.num_rows, _has_revisions(file, parquet)
        schema = schema_version(footer(parquet))
        without = left_out.of_file(file.set, schema, parquet.schema_arrow.names)
    name = file.path.relative_to(root).as_posix()
    return ListedFile(name, rows, file.path.stat().st_size, sha256_of(file.path), schema, revised, without)


def chain_end(file: PublishedFile) -> str:
    """Where a partition's chain stands behind an interval whose last file this is. Raises OSError.

    What a compaction wrote stands where the files stood that it replaces.
    """
    with contextlib.suppress(AuditError):  # whatever it is by now, it is not what the next file names
        if replaced := footer_of(file).get("replaces"):
            return replaced
    return sha256_of(file.path)


def keys_of(interval: Interval) -> dict[str, str]:
    """As `footer`, of an interval's first file or of its rows that wait. Raises AuditError."""
    if interval.rows is None:
        return footer_of(interval.files[0])
    return {key.removeprefix("taktwin."): value for key, value in interval.rows.head.footer.items()}


def published_files(root: Path | str, set_name: str | None = None) -> list[PublishedFile]:
    """What is published, or of one set: by set, date, partition and offset. Raises AuditError."""
    if set_name is not None:
        check_set(set_name)
    found = contents(existing_root(root))
    return [file for name in SETS if set_name in (None, name) for file in found.files(name)]


def ls(root: Path | str) -> dict[str, SetListing]:
    """Every set's listing, from footers and times; no other page is read. Rows that wait are counted, but are no files.

    Raises AuditError.
    """
    found = contents(existing_root(root))
    return {set_name: _list(set_name, found) for set_name in SETS}


def _list(set_name: str, found: Contents) -> SetListing:
    rows = size = waits = 0
    files = found.files(set_name)
    times: list[int] = []
    ranges: dict[int, set[tuple[int, int]]] = {}
    models, topics = set(), set()
    for file in files:
        with open_file(file) as parquet:
            rows += parquet.metadata.num_rows
            size += file.path.stat().st_size
            keys = footer(parquet)
            if "model" not in keys or "topic" not in keys:
                raise AuditError(f"{file.path}: no taktwin footer, so no twin wrote it; move it out of the audit root")
            try:
                times += value_range(parquet, TIME_COLUMN[set_name]) or ()
            except UNREADABLE as error:
                raise damaged(file, error) from error
        models.add(keys["model"])
        topics.add(keys["topic"])
        ranges.setdefault(file.partition, set()).add((file.first_offset, file.next_offset))
    for one in (one for group in found.waiting.values() for one in group):
        table = one.rows.table(set_name) if one.rows is not None else None
        if table is None:
            continue
        waits += table.num_rows
        if len(when := integers(table.column(TIME_COLUMN[set_name]).drop_null())):
            times += [int(when.min()), int(when.max())]
        keys = keys_of(one)
        models.add(keys.get("model", ""))
        topics.add(keys.get("topic", ""))
        ranges.setdefault(one.partition, set()).add((one.first_offset, one.next_offset))
    return SetListing(
        files=len(files),
        rows=rows + waits,
        bytes=size,
        first_ns=min(times, default=None),
        last_ns=max(times, default=None),
        offsets={partition: _joined(found) for partition, found in sorted(ranges.items())},
        models=tuple(sorted(models)),
        topics=tuple(sorted(topics)),
        waiting=waits,
    )


def _joined(ranges: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    joined: list[tuple[int, int]] = []
    for first, following in sorted(ranges):
        if joined and first <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], following)
        else:
            joined.append((first, following))
    return tuple(joined)
