"""A file of lines as text columns with the line number of every row. What cannot be a row is reported."""

import csv
import re
from collections.abc import Iterator, Sequence
from typing import IO, Any, Final, Literal, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pc

from twin.sources.files import UNREADABLE, LogFile, OfFile
from twin.sources.mapping_model import TableForm
from twin.sources.records import joined
from twin.sources.source import SourceError
from twin.sources.summary import Summary
from twin.sources.table import Choose, TextRows, missing_column

I64 = npt.NDArray[np.int64]
_LONE_CR = re.compile(rb"\r(?!\n)")
_BLANKS_AROUND_LINES = re.compile(rb"[ \t]*(\r?\n)[ \t]*")
_BLANKS = re.compile(rb"[ \t]+")
_SHOWN: Final = 60
_HEADER_WITHIN: Final = 100  # lines in which a header is looked for


class CsvTable(OfFile):
    """Turns one file, piece by piece, into text columns. `wanted` says of the header's names which are needed."""

    typed = False

    def __init__(
        self,
        file: LogFile,
        form: TableForm,
        wanted: Choose,
        summary: Summary,
        document: str,
        ends: bool = True,
    ) -> None:
        """`ends` False: more may follow what is there, such as the end of a quoted cell."""
        self.names: list[str] = list(form.columns)
        self._file = file
        self._form = form
        self._delimiter = " " if form.delimiter == "spaces" else form.delimiter
        self._nothing = f"{self._delimiter}{form.quote} \t\r\n"
        self._choose = wanted
        self._wanted: list[str] = []
        self._summary = summary
        self._document = document
        self._ends = ends
        self._line = 1
        self._held = b""
        self._lost: list[int] = []  # lines of rows that could not be read, since the last rows
        self._begun = False

    def __iter__(self) -> Iterator[TextRows]:
        """The rows, piece by piece. Raises SourceError when the header lacks a column."""
        for piece in self._file.pieces():
            rows = self._read(piece, final=False)
            if len(rows.lines):
                yield rows
        if self._ends and (self._held or not self._begun):
            rows = self._read(b"", final=True)
            if len(rows.lines):
                yield rows

    def _read(self, piece: bytes, final: bool) -> TextRows:
        """The rows of the next piece; lines at its end that belong to what follows are held."""
        piece = self._utf8(piece, self._line + _count_lines(self._held))
        if not self._begun:
            self._begun = True
            piece = self._after_header(piece)
        if piece.count(b"\r") != piece.count(b"\r\n"):
            piece = _LONE_CR.sub(b" ", piece)
        if self._form.comment:
            mark = re.escape(self._form.comment.encode())
            piece = re.sub(rb"(?m)^[ \t]*" + mark + rb".*$", b"", piece)
        piece, self._held = self._held + piece, b""
        n_lines = _count_lines(piece)
        first = self._line
        if not n_lines:
            return TextRows({name: pa.array([], pa.string()) for name in self._wanted}, np.empty(0, np.int64))
        if self._form.widths:
            self._line += n_lines
            return self._fixed(piece, first)
        if self._form.delimiter == "spaces":
            piece = _BLANKS.sub(b" ", _BLANKS_AROUND_LINES.sub(rb"\1", piece)).strip(b" ")
        starts = np.arange(n_lines)
        table, bad = (None, []) if self._ends_open(piece) else self._parse(piece)
        if table is None or table.num_rows + len(bad) != n_lines:
            piece, starts = self._joined(piece, first, final)
            table, bad = self._parse(piece)
        self._line += n_lines - _count_lines(self._held)
        places = [first + int(starts[(row.number or 1) - 1]) for row in bad]
        # Lines of nothing but delimiters are empty lines of a spreadsheet, however wide it once was.
        told = [(place, row) for place, row in zip(places, bad, strict=True) if row.text.strip(self._nothing)]
        for place, row in told:
            fields = f"{row.actual_columns} fields, not {row.expected_columns}"
            self._lose("wrong_fields", place, fields, row.text)
        lines = first + starts
        lines = lines[~np.isin(lines, places)] if places else lines
        columns = {name: table.column(name).combine_chunks() for name in self._wanted}
        return self._made(columns, lines)

    def _parse(self, piece: bytes) -> tuple[pa.Table, list[pc.InvalidRow]]:
        bad: list[pc.InvalidRow] = []

        def keep(row: pc.InvalidRow) -> Literal["skip"]:
            bad.append(row)
            return "skip"

        # Names of our own: those of the file may repeat among the columns nobody reads.
        own = [name if name in self._wanted else f"\0{i}" for i, name in enumerate(self.names)]
        if not piece:
            return pa.table({name: pa.array([], pa.string()) for name in self._wanted}), bad
        table = pc.read_csv(
            cast(IO[Any], pa.BufferReader(piece)),
            # One block, one thread: only then does an invalid row know its number.
            read_options=pc.ReadOptions(column_names=own, use_threads=False, block_size=len(piece) + 1),
            parse_options=pc.ParseOptions(
                delimiter=self._delimiter,
                quote_char=self._form.quote,
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

    def _fixed(self, piece: bytes, first: int) -> TextRows:
        """Columns of fixed width: cells are cut by place, and what is shorter is blank."""
        texts = piece.decode().split("\n")
        if not texts[-1]:
            texts.pop()
        whole = pa.array(texts, pa.string())
        ends = np.cumsum(self._form.widths).tolist()
        columns: dict[str, pa.Array[Any]] = {}
        for name in self._wanted:
            i = self.names.index(name)
            begin = ends[i] - self._form.widths[i]
            columns[name] = pa.compute.utf8_slice_codeunits(whole, begin, ends[i])
        return self._made(columns, np.arange(first, first + len(texts)))

    def _made(self, columns: "dict[str, pa.Array[Any]]", lines: npt.NDArray[np.int64]) -> TextRows:
        lost = np.array(sorted(self._lost), np.int64)
        if len(lines):  # else nobody will see it
            self._lost.clear()
        return TextRows(columns, lines, lost)

    def _utf8(self, piece: bytes, first: int) -> bytes:
        encoding = "utf-8" if self._file.unicode else self._form.encoding
        if encoding == "utf-8" and piece.isascii():
            return piece
        spoilt = self._file.unicode and UNREADABLE in piece
        if not spoilt:
            try:
                return piece.decode(encoding).encode()
            except UnicodeDecodeError:
                pass
        lines = piece.split(b"\n")
        for i, line in enumerate(lines):
            try:
                if spoilt and UNREADABLE in line:
                    raise UnicodeDecodeError("utf-16", line, 0, 1, "damaged")
                lines[i] = line.decode(encoding).encode()
            except UnicodeDecodeError as error:
                self._lose("bad_encoding", first + i, f"not {error.encoding} ({error.reason})", repr(line))
                lines[i] = b""
        return b"\n".join(lines)

    def _ends_open(self, piece: bytes) -> bool:
        """Whether the last line of a piece may hold a quote that closes later."""
        last = piece[piece.rfind(b"\n", 0, len(piece) - 1) + 1 :]
        return bool(last.count(self._form.quote.encode()) % 2)

    def _joined(self, piece: bytes, first: int, final: bool) -> tuple[bytes, npt.NDArray[np.intp]]:
        """One line per record and the line each began at; the last ones are held where their quote may yet close."""
        lines = piece.split(b"\n")
        if not lines[-1]:
            lines.pop()
        found = joined(lines, self._delimiter, self._form.quote, len(self.names), final)
        for at, line in found.open:
            text = line.decode("utf-8", "replace")
            self._lose("open_quote", first + at, "a quote that does not close within its record", text)
        self._held = b"\n".join(found.rest) + (b"\n" if found.rest and piece.endswith(b"\n") else b"")
        return b"".join(line + b"\n" for line in found.lines), np.array(found.starts, np.intp)

    def _after_header(self, piece: bytes) -> bytes:
        """Find the header, or take the names given; what follows it."""
        piece = piece.removeprefix(b"\xef\xbb\xbf")
        form = self._form
        at = form.skip or 0
        lines = piece.split(b"\n", _HEADER_WITHIN + at)
        if not form.header:
            self._line += at
            self._take(self.names)
            return _from_line(piece, at)
        if not piece.strip():
            return b""  # an empty file
        lines = lines[: -1 if len(lines) > _HEADER_WITHIN + at else None][at:]
        heads: list[list[str] | None] = []
        chosen, found = 0, form.skip is not None
        for line in lines[:1] if found else lines:
            heads.append(names := self._header(line))
            if not found and names is not None and not self._lacking(names):
                chosen, found = len(heads) - 1, True
                break
        if not found and heads:
            # What is told to be missing is missing in the line that is most like the header asked for.
            best = max(range(len(heads)), key=lambda i: self._alike(heads[i]))
            chosen = best if self._alike(heads[best])[0] else 0
        elif chosen:
            self._summary.note(f"{self._file.name}: the header is line {chosen + 1}; the lines before it were left out")
        names = heads[chosen] if chosen < len(heads) else []
        if names is None:
            raise SourceError(f"{self._file.name}:{at + chosen + 1}: the header cannot be read; restore the file")
        self.names = names
        self._line += at + chosen + 1
        self._take(names, at + chosen + 1)
        return _from_line(piece, at + chosen + 1)

    def _header(self, line: bytes) -> list[str] | None:
        # As in the rows: a carriage return that ends no line is a space.
        text = line.rstrip(b"\r").decode("utf-8", "replace").replace("\r", " ")
        if self._form.widths:
            ends = np.cumsum(self._form.widths).tolist()
            return [text[end - width : end].strip() for end, width in zip(ends, self._form.widths, strict=True)]
        if self._form.delimiter == "spaces":
            text = " ".join(text.split())
        try:
            return [
                name.strip()
                for name in next(csv.reader([text], delimiter=self._delimiter, quotechar=self._form.quote), [])
            ]
        except csv.Error:
            return None

    def _alike(self, names: Sequence[str] | None) -> tuple[int, int]:
        """How many of the columns asked for a line names, and how many cells it has."""
        wanted = self._choose(names) if names else []
        return sum((names or []).count(name) == 1 for name in wanted), len(set(names or []) - {""})

    def _lacking(self, names: Sequence[str]) -> bool:
        return any(names.count(name) != 1 for name in self._choose(names))

    def _take(self, names: Sequence[str], line: int = 1) -> None:
        self._wanted = list(dict.fromkeys(self._choose(names)))
        for name in self._wanted:
            if names.count(name) != 1:
                raise missing_column(f"{self._file.name}:{line}", name, names, self._document)

    def _lose(self, reason: str, line: int, message: str, text: str) -> None:
        """A row that cannot be read."""
        self._lost.append(line)
        self._summary.rows += 1
        self._summary.unusable += 1
        shown = text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
        self._summary.problem(reason, f"{self._file.name}:{line}: {message}: {shown}")


def _count_lines(piece: bytes) -> int:
    return piece.count(b"\n") + (not piece.endswith(b"\n") and piece != b"")


def _from_line(piece: bytes, at: int) -> bytes:
    """What stands from this line on (counted from 0)."""
    place = 0
    for _ in range(at):
        place = piece.find(b"\n", place) + 1
        if not place:
            return b""
    return piece[place:]
