"""One hash per set that says whether two audit roots hold the same rows.

The digest of a set is the SHA-256 of a head (set name, column names and kinds) and of its rows' SHA-256 hashes in
rising order. A row's hash is taken over its cells (without `ORIGIN`), each of fixed width, in the order of
`twin.results`:

- first one byte per column: 1 where the cell is null (its other bytes are then 0);
- integers, times (ns), dates (days since 1970) and booleans: int64, little-endian;
- floats: the bits of the IEEE double, little-endian. Every NaN counts as one NaN (its sign and payload depend on the
  processor); -0.0 and 0.0 differ (another sign is another computation);
- text and binary: the SHA-256 of the bytes.

So neither order nor files, dates, partitions, row groups or dictionaries matter, but every cell and every repetition of
a row does. Sorting the rows themselves by all columns would say the same and need all columns in memory; their hashes
need 32 bytes per row. A sum of hashes would need no sort, but is easier to forge.
"""

import hashlib
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twin.audit import AuditError, left_out
from twin.audit.intervals import Contents, contents
from twin.audit.layout import check_set, existing_root
from twin.audit.read import UNREADABLE, completed, damaged, keys_of, open_file, schema_version
from twin.columns import filled
from twin.results import ORIGIN, SCHEMA_VERSION, SETS, schema_of

_BATCH_ROWS: Final = 65_536
HASH_BYTES: Final = 32
_NAN: Final = struct.unpack("<q", struct.pack("<d", float("nan")))[0] & 0x7FF8_0000_0000_0000

Cells = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class SetDigest:
    rows: int
    sha256: str


def digest(root: Path | str, version: int | None = None) -> dict[str, SetDigest]:
    """The digest of every set, also of empty ones, over published rows and those that wait. Page checksums are
    verified. Raises AuditError.

    It is taken over the columns of this version of the schemas; None: of the oldest version that a file here has. So
    the digest of old files stays what it was, and rows that several versions wrote have one digest together.
    Memory: 32 bytes per row of the largest set and some 100 MB; time: 1 to 2 us per row.
    """
    found = contents(existing_root(root))
    taken = _oldest_version(found) if version is None else version
    return {set_name: digest_tables(set_name, _batches(found, set_name, taken), taken) for set_name in SETS}


def oldest_version(root: Path | str) -> int:
    """The oldest version of the schemas that a root's rows name. Raises AuditError."""
    return _oldest_version(contents(existing_root(root)))


def _oldest_version(found: Contents) -> int:
    oldest = SCHEMA_VERSION
    for one in (one for partition in found.partitions for one in found.of(partition)):
        keys = keys_of(one)  # one version wrote all files of an interval
        try:
            oldest = min(oldest, schema_version(keys) if keys else SCHEMA_VERSION)
        except AuditError as error:
            raise AuditError(f"{one.path}: {error}") from error
    return oldest


def columns_of(set_name: str, version: int = SCHEMA_VERSION) -> list[str]:
    """The columns a digest is taken over, in order."""
    check_set(set_name)
    return [name for name in schema_of(set_name, version).names if name not in ORIGIN]


def digest_tables(
    set_name: str, tables: Iterable[pa.Table | pa.RecordBatch], version: int = SCHEMA_VERSION
) -> SetDigest:
    """The digest of a set's rows given as tables in any order. Raises AuditError when a column is missing or of
    another kind."""
    names = columns_of(set_name, version)
    hashes = bytearray()  # grows in place and is sorted in place: 32 bytes per row are all that is kept
    for table in tables:
        for batch in table.to_batches(_BATCH_ROWS) if isinstance(table, pa.Table) else [table]:
            hashes += row_hashes(set_name, batch, names)
    rows = np.frombuffer(hashes, f"S{HASH_BYTES}")
    rows.sort()
    head = "\n".join([set_name, *(f"{name} {_kind(SETS[set_name].field(name).type)}" for name in names), ""])
    total = hashlib.sha256(head.encode())
    total.update(hashes)
    return SetDigest(len(rows), total.hexdigest())


def _batches(found: Contents, set_name: str, version: int) -> Iterator[pa.Table | pa.RecordBatch]:
    names = columns_of(set_name, version)
    for table in found.waiting_tables(set_name):
        yield from completed(set_name, table).to_batches(_BATCH_ROWS)
    for file in found.files(set_name):
        with open_file(file) as parquet:
            there = parquet.schema_arrow.names
            without = left_out.of_file(set_name, version, there)
            if missing := sorted(set(names) - set(there) - set(without)):
                raise AuditError(f"{file.path}: no column {', '.join(missing)}; use the version that wrote this file")
            schema = pa.schema([SETS[set_name].field(name) for name in names])
            try:
                for batch in parquet.iter_batches(_BATCH_ROWS, columns=[name for name in names if name in there]):
                    yield filled(pa.table(batch), schema) if without else batch
            except UNREADABLE as error:
                raise damaged(file, error) from error


def _kind(kind: pa.DataType) -> str:
    if isinstance(kind, pa.DictionaryType):
        kind = kind.value_type
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return "int"
    if pa.types.is_timestamp(kind):
        return f"time {kind.unit}"
    if pa.types.is_date32(kind):
        return "date"
    if pa.types.is_floating(kind):
        return "float"
    return "text" if pa.types.is_string(kind) or pa.types.is_large_string(kind) else "binary"


def row_hashes(set_name: str, batch: pa.RecordBatch, names: list[str], salt: bytes = b"") -> bytes:
    """SHA-256 of `salt` and the cells of these columns, row by row, one behind the other. Raises AuditError."""
    rows = batch.num_rows
    if not rows:
        return b""
    nulls = np.zeros((rows, len(names)), np.uint8)
    parts: list[Cells] = [nulls]
    for index, name in enumerate(names):
        expected = SETS[set_name].field(name).type
        column: Any = batch.column(name) if name in batch.schema.names else None
        if column is None or _kind(column.type) != _kind(expected):
            found = "missing" if column is None else f"of type {column.type}"
            raise AuditError(
                f"set {set_name}: column {name} is {found}, not {expected}; read it with the version that wrote it"
            )
        if isinstance(column, pa.DictionaryArray) and column.dictionary.null_count:
            column = column.cast(column.type.value_type)  # a null may also hide in the dictionary
        parts.append(_cells(column))
        if column.null_count:
            nulls[:, index] = column.is_null().to_numpy(zero_copy_only=False)
            parts[-1][nulls[:, index] != 0] = 0
    data = np.concatenate(parts, axis=1).data.cast("B")
    width = len(data) // rows
    sha256 = hashlib.sha256
    if salt:
        return b"".join([sha256(salt + data[start : start + width]).digest() for start in range(0, len(data), width)])
    return b"".join([sha256(data[start : start + width]).digest() for start in range(0, len(data), width)])


def _cells(column: Any) -> Cells:
    """uint8[rows, width]: the canonical bytes of a column (what stands in a null is overwritten by the caller)."""
    kind = _kind(column.type)
    rows = len(column)
    if kind in ("text", "binary"):
        return _text_cells(column)
    if kind == "float":
        values = pc.fill_null(column, 0.0).to_numpy(zero_copy_only=False).astype("<f8")
        bits = values.view("<i8")
        bits[np.isnan(values)] = _NAN
    else:
        whole = column.cast(pa.int32()) if kind == "date" else column  # days since 1970
        bits = pc.fill_null(whole.cast(pa.int64()), 0).to_numpy(zero_copy_only=False).astype("<i8")
    return np.ascontiguousarray(bits).view(np.uint8).reshape(rows, 8)


def _text_cells(column: Any) -> Cells:
    """Hash every distinct value once: names repeat, and a dictionary longer than the batch is not worth reading."""
    if isinstance(column, pa.DictionaryArray) and len(column.dictionary) > len(column):
        column = column.cast(column.type.value_type)
    if not isinstance(column, pa.DictionaryArray):
        column = column.dictionary_encode()
    values = column.dictionary.cast(pa.binary()).to_pylist()
    known = b"".join([hashlib.sha256(value or b"").digest() for value in values])
    table = np.frombuffer(known + bytes(HASH_BYTES), np.uint8).reshape(-1, HASH_BYTES)
    codes = pc.fill_null(column.indices.cast(pa.int64()), len(values)).to_numpy(zero_copy_only=False)
    return cast(Cells, table[codes])
