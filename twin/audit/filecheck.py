"""One published file by itself: its pages, its footer, and every row that must be true without knowing any other."""

import datetime
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from twin.audit import AuditError, bases, left_out
from twin.audit.layout import BASES, PublishedFile
from twin.audit.left_out import absent
from twin.audit.read import footer, open_file, schema_version
from twin.audit.report import Report
from twin.audit.rows import ORDER, class_sums, days_of, has_revisions, integers, sort_key
from twin.results import INDEX, ORIGIN

_TOPIC, _PARTITION, _OFFSET = ORIGIN[:3]


@dataclass(frozen=True, slots=True)
class Checked:
    """What the chain needs to know of a file."""

    name: str  # relative to the root
    sha256: str
    footer: dict[str, str]


class FileCheck:
    """Checks files one by one into a report."""

    def __init__(self, root: Path, report: Report) -> None:
        self._root = root
        self._report = report
        self.unreadable: set[Path] = set()
        self.sha256: dict[str, str] = {}  # file -> what was found
        # File -> version of its columns, whether a row is a revision, and the columns that it leaves out.
        self.said: dict[str, tuple[int, bool, tuple[str, ...]]] = {}
        self.replays: dict[str, str] = {}  # file -> SHA-256 of the plan of its replay; empty: it is of none
        self.lines: dict[str, dict[int, str]] = {}  # line -> partitions that have rows of it, each with a file

    def check(self, file: PublishedFile, sha256: str) -> Checked:
        """Everything that shows in the file alone."""
        name = file.path.relative_to(self._root).as_posix()
        self.sha256[name] = sha256
        report = self._report
        report.checked["files"] += 1
        report.checked["bytes"] += file.path.stat().st_size
        try:
            parquet = open_file(file)
        except AuditError as error:
            self.unreadable.add(file.path)
            report.differs(name, f"is no Parquet file any more ({error.__cause__})")
            return Checked(name, sha256, {})
        with parquet:
            keys = footer(parquet)
            report.checked["footers"] += 1
            self.replays[name] = keys.get("replay", "")
            self.unreadable.add(file.path)
            if self._footer(name, file, keys, parquet.schema_arrow):
                table = self._pages(name, parquet)
                if table is not None:
                    self.unreadable.remove(file.path)
                    version = schema_version(keys)
                    without = left_out.of_file(file.set, version, table.column_names)
                    self.said[name] = version, has_revisions(table), without
                    table = left_out.whole(file.set, version, table)
                    if file.set == BASES:
                        report.checked["bases"] += 1
                    else:
                        self._rows(name, file, keys, table)
        return Checked(name, sha256, keys)

    def _footer(self, name: str, file: PublishedFile, keys: dict[str, str], schema: pa.Schema) -> bool:
        """Whether the rows are worth reading."""
        try:
            version = schema_version(keys)
        except AuditError as error:
            self._report.differs(name, str(error))
            return False
        expected = {
            "set": file.set,
            "partition": str(file.partition),
            "first_offset": str(file.first_offset),
            "next_offset": str(file.next_offset),
        }
        if file.set == BASES:
            expected["date"] = file.date
        for key, value in expected.items():
            if keys.get(key) != value:
                self._report.differs(
                    name, f"its footer says {key} {keys.get(key)}, its name {value}: it was renamed or moved"
                )
        without = left_out.of_file(file.set, version, schema.names)
        right = bases.SCHEMA if file.set == BASES else left_out.schema_without(file.set, version, without)
        if not schema.equals(right):
            self._report.differs(name, f"its columns are not those of the set {file.set} in version {version}")
            return False
        if gone := sorted(set(without).difference(keys.get("absent", "").split(","))):
            self._report.differs(
                name, f"has no column {', '.join(gone)}, of which its footer does not say that it has no value"
            )
            return False
        return True

    def _pages(self, name: str, parquet: pq.ParquetFile) -> pa.Table | None:
        """All rows, every page compared with its checksum."""
        metadata = parquet.metadata
        try:
            table = parquet.read()
        except (OSError, pa.ArrowException, ValueError) as error:
            self._report.differs(name, f"{_damaged_part(parquet)}: {str(error).splitlines()[0]}")
            return None
        self._report.checked["rows"] += table.num_rows
        self._report.checked["column chunks"] += metadata.num_row_groups * metadata.num_columns
        if table.num_rows != metadata.num_rows:
            self._report.differs(name, f"holds {table.num_rows} rows, its footer says {metadata.num_rows}")
        return table

    def _rows(self, name: str, file: PublishedFile, keys: dict[str, str], table: pa.Table) -> None:
        self._nulls(name, table)
        without, said = ",".join(absent(table)), keys.get("absent")
        if said is not None and said != without:
            self._report.differs(name, f"its footer says that {said or 'no column'} has no value, but it is {without}")
        offset = integers(table.column(_OFFSET))
        # What was held, or waited for a revision, may be refused in a later interval than it came in.
        first = 0 if file.set == "rejected" else file.first_offset
        self._first(
            name,
            (offset < first) | (offset >= file.next_offset),
            lambda row: f"came from offset {offset[row]}, outside those of the file",
        )
        partition = integers(table.column(_PARTITION))
        self._first(name, partition != file.partition, lambda row: f"is of partition {partition[row]}")
        self._same(name, table, _TOPIC, keys.get("topic"))
        if "model" in table.column_names:
            self._same(name, table, "model", keys.get("model"))
        if file.set != "rejected":
            note_lines(self.lines, file.partition, name, table)
        days = days_of(file.set, table)
        own = (datetime.date.fromisoformat(file.date) - datetime.date(1970, 1, 1)).days
        # Refused rows of too many dates, or of none, are together in the first folder.
        if file.set != "rejected" or own:
            self._first(
                name, days != own, lambda row: f"is of {np.datetime64(int(days[row]), 'D')}, in the folder of another"
            )
        self._order(name, file, table)
        if file.set == "kpis":
            self._classes(name, table)

    def _nulls(self, name: str, table: pa.Table) -> None:
        for field in table.schema:
            if not field.nullable and table.column(field.name).null_count:
                row = int(np.flatnonzero(np.asarray(table.column(field.name).is_null()))[0])
                self._report.differs(name, f"column {field.name} is null", row)

    def _order(self, name: str, file: PublishedFile, table: pa.Table) -> None:
        keys = [sort_key(table.column(column)) for column in ORDER[file.set]]
        self._report.checked["rows in order"] += table.num_rows
        order = np.lexsort(keys[::-1])
        self._first(name, np.concatenate([[False], np.diff(order) < 0]), lambda _: "is not in the order of the file")
        if file.set == "events":
            twice = np.concatenate([[False], np.all([np.diff(key) == 0 for key in keys], axis=0)])
            self._first(name, twice, lambda _: f"has the {_OFFSET} and {INDEX} of the row before")

    def _same(self, name: str, table: pa.Table, column: str, expected: str | None) -> None:
        values: Any = table.column(column).cast(pa.string()).to_numpy()
        self._first(name, values != expected, lambda row: f"{column} {values[row]}, but the footer says {expected}")

    def _classes(self, name: str, table: pa.Table) -> None:
        total, length = class_sums(table)
        self._report.checked["class sums"] += table.num_rows
        self._first(
            name,
            total != length,
            lambda row: f"time classes sum to {total[row]} ns, the interval is {length[row]} ns long",
        )

    def _first(self, name: str, wrong: Any, what: Any) -> None:
        """Report the first row that is wrong, and how many more there are."""
        rows = np.flatnonzero(wrong)
        if rows.size:
            more = f" ({rows.size - 1:,} more such rows)" if rows.size > 1 else ""
            self._report.differs(name, f"{what(int(rows[0]))}{more}", int(rows[0]))


def note_lines(where: dict[str, dict[int, str]], partition: int, name: str, table: pa.Table) -> None:
    """Which lines the rows of a file are of."""
    for line in table.column("line").unique().to_pylist():
        where.setdefault(str(line), {}).setdefault(partition, name)


def _damaged_part(parquet: pq.ParquetFile) -> str:
    """Which row group and column cannot be read: one at a time."""
    for group in range(parquet.metadata.num_row_groups):
        for column in parquet.schema_arrow.names:
            try:
                parquet.read_row_group(group, [column])
            except (OSError, pa.ArrowException, ValueError):
                return f"row group {group}, column {column} is damaged"
    return "is damaged"
