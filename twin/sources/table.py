"""What every table gives, be it a file of lines, a sheet or Parquet: columns of text, row by row of the file."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twin.sources.source import SourceError

# Of a table's column names those to read; one that is not among them stands for what is missing.
Choose = Callable[[Sequence[str]], list[str]]
I64 = npt.NDArray[np.int64]


@dataclass(slots=True)
class TextRows:
    """Columns of text of equal length and, per row, its line in the file (from 1). `lost`: lines of rows among and
    before them that could not be read."""

    columns: dict[str, "pa.Array[Any]"]
    lines: I64
    lost: I64 = field(default_factory=lambda: np.empty(0, np.int64))


class Table(Protocol):
    """Can be iterated once. `names` are the columns, known with the first rows.

    `typed` tells that the file knows numbers and times of its own: they come as ISO times and plain decimals.
    """

    names: list[str]
    typed: bool

    @property
    def position(self) -> int: ...

    @property
    def size(self) -> int: ...

    def __iter__(self) -> Iterator[TextRows]: ...


def missing_column(place: str, name: str, names: Sequence[str], document: str) -> SourceError:
    """A column that the mapping names and the table does not have once."""
    why = "stands twice in" if name in names else "is not in"
    shown = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
    return SourceError(
        f'{place}: column "{name}" of {document} {why} the file ({shown}); correct the mapping, or its delimiter'
    )
