"""Numbers as columns of rows: texts by index, times, what has no value."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twin.results import ORIGIN, TS

I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]
_FEW_TEXTS: Final = 64
_MOST_ALIKE: Final = 16_384  # rows of a column that is kept


def own(schema: pa.Schema) -> pa.Schema:
    """A set's schema without the columns that say where a row came from."""
    return pa.schema([field for field in schema if field.name not in ORIGIN])


class Labels:
    """Texts that rows name by index, some of them alike; laid out once, not with every table."""

    def __init__(self, texts: Sequence[str]) -> None:
        distinct = list(dict.fromkeys(texts))
        place = {text: k for k, text in enumerate(distinct)}
        self.texts = pa.array(distinct, pa.string())
        self.codes = np.array([place[text] for text in texts] + [0], np.int32)  # of each, and of index -1

    def array(self, indices: npt.NDArray[Any]) -> "pa.Array[Any]":
        """Dictionary array of texts[indices]; null where the index is negative."""
        codes = pa.array(self.codes[indices], pa.int32(), mask=np.asarray(indices) < 0)
        return pa.DictionaryArray.from_arrays(codes, self.texts)


def names_of(columns: Sequence[npt.NDArray[Any]], texts: Sequence[str]) -> "list[pa.Array[Any]]":
    """As `Labels.array`, of several columns, for texts that differ from table to table. Few are laid out once; of many
    only those that a column uses: a partition remembers every order it has seen."""
    if len(texts) <= _FEW_TEXTS:
        labels = Labels(texts)
        return [labels.array(column) for column in columns]
    made = []
    for column in columns:
        used = np.unique(column[column >= 0])
        place = np.where(column < 0, -1, np.searchsorted(used, column))
        made.append(Labels([texts[k] for k in used.tolist()]).array(place))
    return made


def names(indices: npt.NDArray[Any], texts: Sequence[str]) -> "pa.Array[Any]":
    """As `names_of`, of one column."""
    return names_of([indices], texts)[0]


def constant(text: str, rows: int) -> "pa.Array[Any]":
    return pa.DictionaryArray.from_arrays(np.zeros(rows, np.int32), pa.array([text], pa.string()))


def times(values: I64) -> "pa.Array[Any]":
    return pa.array(values, pa.int64()).view(TS)


def first_revision(rows: int) -> "list[pa.Array[Any]]":
    """Columns revision, revised and retracted of rows that replace nothing."""
    return [pa.array(np.zeros(rows, np.int32)), pa.nulls(rows, TS), pa.array(np.zeros(rows, np.bool_))]


def told(values: I64) -> "pa.Array[Any]":
    """int64 with null for -1."""
    return pa.array(values, pa.int64(), mask=values < 0)


def ratio_array(values: F64) -> "pa.Array[Any]":
    """float64 with null for NaN."""
    return pa.array(values, pa.float64(), mask=np.isnan(values))


class Alike:
    """A column that says one thing, cut from a longer one that is kept."""

    def __init__(self, make: Callable[[int], "pa.Array[Any]"]) -> None:
        """`make`: of so many rows."""
        self._make, self._kept = make, make(0)

    def of(self, rows: int) -> "pa.Array[Any]":
        kept = self._kept
        if rows > len(kept):
            if rows > _MOST_ALIKE:
                return self._make(rows)
            kept = self._kept = self._make(min(2 * rows, _MOST_ALIKE))
        return kept.slice(0, rows)
