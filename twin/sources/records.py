"""Records that go over several lines: a quoted cell may hold line breaks.

Text alone cannot tell such a cell from a quote that somebody forgot to close. So lines are joined only where the whole
is one record: the quote closes at a cell's end, soon enough, and the number of cells is the table's.
"""

import csv
import re
from dataclasses import dataclass, field
from functools import cache
from typing import Final

MOST_LINES: Final = 200
MOST_BYTES: Final = 64 << 10


@dataclass(slots=True)
class Records:
    """One record per entry, and the line each begins at (counted from 0); `open` quotes that never close."""

    lines: list[bytes] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    open: list[tuple[int, bytes]] = field(default_factory=list)
    rest: list[bytes] = field(default_factory=list)  # the last lines, whose quote may close in what follows


def joined(lines: list[bytes], delimiter: str, quote: str, cells: int, final: bool) -> Records:
    """Lines to records. A line break within quotes becomes a blank, an open quote's line an empty one."""
    found, mark = Records(), quote.encode()
    at = 0
    while at < len(lines):
        line, last = lines[at], at
        if mark in line:
            verdict, cut = _record([line], delimiter, quote)
            size = len(line)
            while verdict is None and last + 1 < len(lines) and last - at < MOST_LINES and size < MOST_BYTES:
                last += 1
                size += len(lines[last])
                if mark in lines[last]:
                    verdict, cut = _record(lines[at : last + 1], delimiter, quote)
            too_long = last - at >= MOST_LINES or size >= MOST_BYTES
            if verdict is None and not final and not too_long:
                found.rest = lines[at:]
                return found
            if verdict is False and last == at and not stays_open(line, delimiter, quote):
                verdict = True  # odd quotes, but none that swallows the next line
            if verdict is True and last == at:
                pass
            elif verdict is True and cut == cells:
                line = b" ".join(one.rstrip(b"\r") for one in lines[at : last + 1])
            else:
                found.open.append((at, line))
                line, last = b"", at
        found.lines.append(line)
        found.starts.append(at)
        at = last + 1
    return found


@cache
def _cells(delimiter: str, quote: str) -> re.Pattern[bytes]:
    """Cells as the reader of CSV takes them: a quote counts at a cell's beginning, and closes where it stands alone."""
    cut, mark = re.escape(delimiter.encode()), re.escape(quote.encode())
    cell = rb"(?:%b(?:[^%b]|%b%b)*+%b[^%b]*+|(?!%b)[^%b]*+)" % (mark, mark, mark, mark, mark, cut, mark, cut)
    return re.compile(rb"%b(?:%b%b)*+" % (cell, cut, cell), re.DOTALL)


def stays_open(line: bytes, delimiter: str, quote: str) -> bool:
    """Whether a line ends within a quote, so that the lines behind it would be read as its own."""
    return _cells(delimiter, quote).fullmatch(line) is None


def _record(lines: list[bytes], delimiter: str, quote: str) -> tuple[bool | None, int]:
    """Whether the lines are a whole record (None: its last quote is open), and how many cells it has."""
    texts = [line.decode("utf-8", "replace") + "\n" for line in lines]
    try:
        rows = list(csv.reader(texts, delimiter=delimiter, quotechar=quote, strict=True))
    except csv.Error as error:
        return (None if "unexpected end of data" in str(error) else False), 0
    # A quote that closes and one that opens anew on the lines joined makes two records, or none.
    return len(rows) == 1, len(rows[0]) if rows else 0
