"""Tables that know the types of their cells: Parquet, and sheets of a workbook (the extra `excel`)."""

import datetime as dt
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from twin.sources.mapping_model import TableForm
from twin.sources.source import SourceError
from twin.sources.summary import Summary
from twin.sources.table import Choose, TextRows, missing_column

WORKBOOKS: Final = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
_ROWS: Final = 65_536
_UNIT_NS: Final = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_HEADER_WITHIN: Final = 100


class ParquetTable:
    """A Parquet file of any columns; times become ISO text, lengths of time h:mm:ss, numbers decimals."""

    typed = True

    def __init__(self, path: Path, form: TableForm, wanted: Choose, document: str) -> None:
        self.position = 0
        self.size = path.stat().st_size
        self._path = path
        self._decimal = form.numbers.decimal or "."
        self._document = document
        try:
            self._file = pq.ParquetFile(path)
            self.names = list(self._file.schema_arrow.names)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise SourceError(f"{path}: is no Parquet file ({_first(error)}); copy it again") from None
        self._choose = wanted

    def __iter__(self) -> Iterator[TextRows]:
        wanted = list(dict.fromkeys(self._choose(self.names)))
        for name in wanted:
            if self.names.count(name) != 1:
                raise missing_column(str(self._path), name, self.names, self._document)
        rows = 0
        try:
            for batch in self._file.iter_batches(_ROWS, columns=wanted):
                columns = {name: texts(batch.column(name), self._decimal) for name in wanted}
                yield TextRows(columns, np.arange(rows + 1, rows + 1 + batch.num_rows))
                rows += batch.num_rows
                self.position = self.size * rows // max(self._file.metadata.num_rows, 1)
        except (pa.ArrowException, OSError) as error:
            raise SourceError(f"{self._path}: cannot be read behind row {rows} ({_first(error)})") from None


def texts(array: "pa.Array[Any]", decimal: str = ".") -> "pa.Array[Any]":
    """Any column as text: as a person would write its values, with `decimal` as decimal mark; null is blank."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        array = array.cast(kind.value_type)
        kind = array.type
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        found: pa.Array[Any] = pa.array([number_text(one, decimal) for one in array.to_pylist()], pa.string())
    elif pa.types.is_date(kind):
        found = array.cast(pa.date32()).cast(pa.string())  # as in a workbook, and beside a time of day
    elif pa.types.is_duration(kind):
        unit_ns = _UNIT_NS[kind.unit]
        lengths = array.cast(pa.int64()).to_pylist()
        found = pa.array([None if one is None else length_text(one * unit_ns) for one in lengths], pa.string())
    elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        found = pa.array([None if one is None else bytes(one).decode("utf-8", "replace") for one in array.to_pylist()])
    else:
        found = array.cast(pa.string())
    return found.fill_null("")


def length_text(ns: int) -> str:
    """A length of time as h:mm:ss, of any number of hours: what knows its unit needs none of the mapping's."""
    seconds, rest = divmod(abs(ns), 10**9)
    minutes, second = divmod(seconds, 60)
    text = f"{'-' if ns < 0 else ''}{minutes // 60:02}:{minutes % 60:02}:{second:02}"
    return f"{text}.{rest:09}".rstrip("0") if rest else text


def number_text(number: float | Decimal | None, decimal: str = ".") -> str:
    """A number's shortest text without an exponent; never one whose point may be taken for thousands. NaN is blank, as
    tables of numbers have no other; infinity is there, and is no number."""
    if number is None or number != number:
        return ""
    text = format(Decimal(repr(number)) if isinstance(number, float) else number, "f")
    whole, _, part = text.partition(".")
    part = part.rstrip("0")
    if not part:
        return whole
    return f"{whole}{decimal}{part}" + ("0" if len(part) == 3 else "")


class DamagedSheetError(SourceError):
    """A sheet of which nothing can be said, not even whether it has the columns that are asked for."""


class SheetTable:
    """One sheet of a workbook. Its header is the first row that has all columns."""

    typed = True

    def __init__(
        self, path: Path, sheet: str, form: TableForm, wanted: Choose, summary: Summary, document: str
    ) -> None:
        self.names: list[str] = []
        self.position = 0
        self.size = path.stat().st_size
        self._name = f"{path}/{sheet}"
        self._path, self._sheet, self._form = path, sheet, form
        self._choose = wanted
        self._summary = summary
        self._document = document

    def __iter__(self) -> Iterator[TextRows]:
        decimal = self._form.numbers.decimal or "."
        book = open_book(self._path)
        try:
            cells = book.get_sheet_by_name(self._sheet).to_python(skip_empty_area=False)
        except Exception as error:  # as for a whole workbook
            raise DamagedSheetError(
                f"{self._name}: is no sheet that can be read ({_first(error)}); save it again"
            ) from None
        rows = [[cell_text(cell, decimal) for cell in row] for row in cells]
        self.position = self.size
        at = self._header(rows)
        wanted = list(dict.fromkeys(self._choose(self.names)))
        for name in wanted:
            if self.names.count(name) != 1:
                raise missing_column(self._name, name, self.names, self._document)
        for begin in range(at, len(rows), _ROWS):
            part = rows[begin : begin + _ROWS]
            columns: dict[str, pa.Array[Any]] = {}
            for name in wanted:
                i = self.names.index(name)
                columns[name] = pa.array([row[i] if i < len(row) else "" for row in part], pa.string())
            yield TextRows(columns, np.arange(begin + 1, begin + 1 + len(part)))

    def _header(self, rows: Sequence[list[str]]) -> int:
        """Set the names; gives the first row of data."""
        form = self._form
        if not form.header:
            self.names = list(form.columns)
            return form.skip or 0
        first = form.skip or 0
        candidates = range(first, min(len(rows), first + (_HEADER_WITHIN if form.skip is None else 1)))
        chosen = next((i for i in candidates if self._fits(rows[i])), first)
        if chosen > first:
            self._summary.note(f"{self._name}: the header is row {chosen + 1}; the rows before it were left out")
        self.names = [name.strip() for name in rows[chosen]] if chosen < len(rows) else []
        return chosen + 1

    def _fits(self, row: list[str]) -> bool:
        names = [name.strip() for name in row]
        return all(names.count(name) == 1 for name in self._choose(names))


def cell_text(cell: object, decimal: str) -> str:
    """A cell as text: times and lengths to the millisecond, as ISO 8601 and h:mm:ss; whole numbers without a point."""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float | int):
        return number_text(float(cell), decimal) if isinstance(cell, float) else str(cell)
    if isinstance(cell, dt.datetime):
        rounded = cell + dt.timedelta(microseconds=500)
        return rounded.replace(microsecond=rounded.microsecond // 1000 * 1000).isoformat(" ", "milliseconds")
    if isinstance(cell, dt.timedelta):
        return length_text(round(cell / dt.timedelta(milliseconds=1)) * 10**6)
    if isinstance(cell, dt.time):
        return cell_text(dt.datetime.combine(dt.date(1970, 1, 1), cell), decimal)[11:]
    return "" if cell is None else str(cell)


def open_book(path: Path) -> Any:
    """A workbook. SourceError where the extra is missing or the file is none."""
    try:
        from python_calamine import CalamineWorkbook
    except ImportError:
        raise SourceError(
            f"{path}: workbooks need the extra `excel` (`uv sync --locked --extra excel` in a checkout); or save the "
            "sheet as CSV"
        ) from None
    try:
        return CalamineWorkbook.from_path(str(path))
    except Exception as error:  # it raises classes of its own for each way a file can be broken
        raise SourceError(f"{path}: is no workbook that can be read ({_first(error)}); save it again") from None


def sheets(path: Path) -> list[str]:
    """The names of a workbook's sheets, in its order."""
    return list(open_book(path).sheet_names)


def _first(error: Exception) -> str:
    return str(error).split("\n")[0][:200]
