"""A piece of a CSV file as text columns with the line number of every row. What cannot be a row is reported."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Any, Literal, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pc

from twin.sources.mapping import CsvMapping
from twin.sources.source import SourceError
from twin.sources.summary import Summary

I64 = npt.NDArray[np.int64]
_LONE_CR = re.compile(rb"\r(?!\n)")
_SHOWN = 60


@dataclass(slots=True)
class TextRows:
    """Columns of text of equal length and, per row, its line in the file (from 1)."""

    columns: dict[str, "pa.Array[Any]"]
    lines: I64


class TableReader:
    """Turns the pieces of one file, in order, into text columns. `wanted` are the columns to read."""

    def __init__(self, name: str, mapping: CsvMapping, wanted: Sequence[str], summary: Summary) -> None:
        self._name = name
        self._mapping = mapping
        self._wanted = list(dict.fromkeys(wanted))
        self._summary = summary
        self._names: list[str] = list(mapping.columns)
        self._line = 1

    def read(self, piece: bytes) -> TextRows:
        """The rows of the next piece. Raises SourceError when the header lacks a column."""
        piece = self._utf8(piece)
        if self._line == 1:
            piece = piece.removeprefix(b"\xef\xbb\xbf")
            if self._mapping.header:
                head, _, piece = piece.partition(b"\n")
                self._names = self._header(head.rstrip(b"\r").decode())
                self._line = 2
            self._check()
        n_lines = piece.count(b"\n") + (not piece.endswith(b"\n") and piece != b"")
        first, self._line = self._line, self._line + n_lines
        if not n_lines:
            return TextRows({name: pa.array([], pa.string()) for name in self._wanted}, np.empty(0, np.int64))
        if piece.count(b"\r") != piece.count(b"\r\n"):
            piece = _LONE_CR.sub(b" ", piece)
        table, bad = self._parse(piece)
        if table.num_rows + len(bad) != n_lines:
            table, bad = self._parse(self._without_open_quotes(piece, first))
        places = [first + (row.number or 1) - 1 for row in bad]
        for place, row in zip(places, bad, strict=True):
            fields = f"{row.actual_columns} fields, not {row.expected_columns}"
            self._problem("wrong_fields", place, fields, row.text)
        lines = np.setdiff1d(np.arange(first, first + n_lines), places)
        columns = {name: table.column(name).combine_chunks() for name in self._wanted}
        self._summary.rows += len(bad)
        return TextRows(columns, lines)

    def _parse(self, piece: bytes) -> tuple[pa.Table, list[pc.InvalidRow]]:
        bad: list[pc.InvalidRow] = []

        def keep(row: pc.InvalidRow) -> Literal["skip"]:
            bad.append(row)
            return "skip"

        # Names of our own: those of the file may repeat among the columns nobody reads.
        own = [name if name in self._wanted else f"\0{i}" for i, name in enumerate(self._names)]
        table = pc.read_csv(
            cast(IO[Any], pa.BufferReader(piece)),
            # One block, one thread: only then does an invalid row know its number.
            read_options=pc.ReadOptions(column_names=own, use_threads=False, block_size=len(piece) + 1),
            parse_options=pc.ParseOptions(
                delimiter=self._mapping.delimiter,
                quote_char=self._mapping.quote,
                ignore_empty_lines=False,
                invalid_row_handler=keep,
            ),
            convert_options=pc.ConvertOptions(
                column_types={name: pa.string() for name in self._wanted},
                include_columns=self._wanted,
                strings_can_be_null=False,
            ),
        )
        return table, bad

    def _utf8(self, piece: bytes) -> bytes:
        encoding = self._mapping.encoding
        if encoding == "utf-8" and piece.isascii():
            return piece
        try:
            return piece.decode(encoding).encode()
        except UnicodeDecodeError:
            lines = piece.split(b"\n")
        for i, line in enumerate(lines):
            try:
                lines[i] = line.decode(encoding).encode()
            except UnicodeDecodeError as error:
                self._summary.rows += 1
                self._problem("bad_encoding", self._line + i, f"not {encoding} ({error.reason})", repr(line))
                lines[i] = b""
        return b"\n".join(lines)

    def _without_open_quotes(self, piece: bytes, first: int) -> bytes:
        """Blank the lines whose quote never closes: they would swallow the lines after them."""
        lines = piece.split(b"\n")
        quote = self._mapping.quote.encode()
        for i, line in enumerate(lines):
            if line.count(quote) % 2 == 0:
                continue
            text = line.decode()
            try:
                next(csv.reader([text], delimiter=self._mapping.delimiter, quotechar=self._mapping.quote, strict=True))
            except csv.Error:
                self._summary.rows += 1
                self._problem("open_quote", first + i, "a quote that does not close on its line", text)
                lines[i] = b""
        return b"\n".join(lines)

    def _header(self, line: str) -> list[str]:
        # As in the rows: a carriage return that ends no line is a space.
        reader = csv.reader([line.replace("\r", " ")], delimiter=self._mapping.delimiter, quotechar=self._mapping.quote)
        try:
            return [name.strip() for name in next(reader, [])]
        except csv.Error as error:
            raise SourceError(f"{self._name}:1: the header cannot be read ({error}); restore the file") from None

    def _check(self) -> None:
        for name in self._wanted:
            if self._names.count(name) == 1:
                continue
            why = "stands twice in" if name in self._names else "is not in"
            raise SourceError(
                f'{self._name}:1: column "{name}" of {self._mapping.document.name} {why} the file '
                f"({', '.join(self._names[:20])}); correct the mapping, or its delimiter"
            )

    def _problem(self, reason: str, line: int, message: str, text: str) -> None:
        shown = text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
        self._summary.problem(reason, f"{self._name}:{line}: {message}: {shown}")
