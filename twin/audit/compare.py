"""Rows that were written against rows computed again: equal as multisets, or the first cell that differs."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twin.audit.digest import HASH_BYTES, columns_of, row_hashes
from twin.results import IDENTITY, SCHEMA_VERSION

# A refusal's sentence for people may be put better by the next version; its reason may not.
_REFUSAL: Final = ["reason", "line", "ts", "value"]
_MOST_CANDIDATES: Final = 100_000
_HASHED_ROWS: Final = 32_768


@dataclass(frozen=True, slots=True)
class Stored:
    """Rows of one published file, and the row of the file each is."""

    name: str
    table: pa.Table
    rows: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A stored row that was not computed (`computed` None: nor one of its identity), or the other way round."""

    file: str | None
    row: int | None
    what: str


def names_of(set_name: str, version: int = SCHEMA_VERSION) -> list[str]:
    """The columns that are compared: those that rows of this version of the schemas have."""
    return _REFUSAL if set_name == "rejected" else columns_of(set_name, version)


def hashes_of(set_name: str, table: pa.Table, version: int = SCHEMA_VERSION) -> npt.NDArray[np.bytes_]:
    """One hash per row, over the columns that are compared: equal for equal cells, floats bit by bit."""
    names = names_of(set_name, version)
    # In pieces: the cells of a row are some 900 bytes, twice.
    batches = table.combine_chunks().to_batches(_HASHED_ROWS)
    found = b"".join(row_hashes(set_name, batch, names) for batch in batches)
    return np.frombuffer(found, f"S{HASH_BYTES}")


def unmatched(stored: npt.NDArray[np.bytes_], computed: npt.NDArray[np.bytes_]) -> tuple[list[int], list[int]]:
    """Indices of stored rows without a computed one, of computed rows without a stored one; each counts once."""
    if len(stored) == len(computed) and np.array_equal(np.sort(stored), np.sort(computed)):
        return [], []
    return _beyond(stored, computed), _beyond(computed, stored)


def _beyond(rows: npt.NDArray[np.bytes_], others: npt.NDArray[np.bytes_]) -> list[int]:
    left = Counter(others.tolist())
    found = []
    for index, row in enumerate(rows.tolist()):
        if left[row]:
            left[row] -= 1
        else:
            found.append(index)
    return found


def mismatches(
    names: Sequence[str], set_name: str, stored: Sequence[Stored], extra: list[int], computed: pa.Table, lost: list[int]
) -> Iterator[Mismatch]:
    """What to say of the unmatched rows: stored ones in their order, each beside the computed row of its identity.

    `names`: the columns that were compared. `extra` counts along the rows of `stored` one file after the other, `lost`
    along those of `computed`.
    """
    left: dict[tuple[object, ...], list[int]] = {}
    if extra:
        for row in lost[:_MOST_CANDIDATES]:
            left.setdefault(_key(set_name, computed, row), []).append(row)
    paired = set()
    for index in extra:
        one, row = _at(stored, index)
        at = int(one.rows[row])
        candidates = left.get(_key(set_name, one.table, row))
        if candidates:
            other = candidates.pop(0)
            paired.add(other)
            yield Mismatch(one.name, at, _cells(names, one.table, row, computed, other))
        else:
            yield Mismatch(one.name, at, f"does not follow from the events: {_named(set_name, one.table, row)}")
    for row in lost:
        if row not in paired:
            named = _named(set_name, computed, row)
            yield Mismatch(None, None, f"a row that follows from the events is missing: {named}")


def _at(stored: Sequence[Stored], index: int) -> tuple[Stored, int]:
    for one in stored:
        if index < one.table.num_rows:
            return one, index
        index -= one.table.num_rows
    raise IndexError(index)


def _key(set_name: str, table: pa.Table, row: int) -> tuple[object, ...]:
    names = (*IDENTITY[set_name], "revision") if set_name in IDENTITY else ("line", "ts", "value")
    return tuple(cell(table, name, row) for name in names)


def cell(table: pa.Table, name: str, row: int) -> Any:
    """A value as it is compared: times as ns, floats with their sign and all. Null where the rows are older."""
    if name not in table.column_names:
        return None
    column = table.column(name)
    if pa.types.is_timestamp(column.type):
        column = column.slice(row, 1).cast(pa.int64())
        return column[0].as_py()
    return column[row].as_py()


def _shown(value: Any) -> str:
    return "null" if value is None else repr(value)


def _cells(names: Sequence[str], stored: pa.Table, row: int, computed: pa.Table, other: int) -> str:
    parts = []
    for name in names:
        one, two = cell(stored, name, row), cell(computed, name, other)
        if repr(one) != repr(two):
            parts.append(f"column {name}: stored {_shown(one)}, recomputed {_shown(two)}")
    return "; ".join(parts)


def _named(set_name: str, table: pa.Table, row: int) -> str:
    names = (*IDENTITY[set_name], "revision") if set_name in IDENTITY else ("reason", "line", "ts")
    return ", ".join(f"{name} {_text(name, cell(table, name, row))}" for name in names)


def _text(name: str, value: Any) -> str:
    if name in ("start", "end", "ts") and value is not None:
        return f"{np.datetime64(value, 'ns')}Z"
    return "null" if value is None else str(value)
