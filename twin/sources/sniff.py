"""The form of a log nobody has described: its delimiter, header, number and time formats, guessed from its beginning.

A guess is written down for a person to look at; nothing is read by one.
"""

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twin.sources.bind import LogPath
from twin.sources.csv_table import CsvTable
from twin.sources.files import LogFile
from twin.sources.mapping_model import TableForm
from twin.sources.roles import counts_on, role_of, tokens
from twin.sources.source import SourceError
from twin.sources.summary import Summary
from twin.sources.table import Table, TextRows
from twin.sources.time_format import DAY_NUMBERS, SECONDS_NS, UNITS, TimeFormat, pattern
from twin.sources.times import TimeReader
from twin.sources.typed_tables import ParquetTable, SheetTable, open_book
from twin.sources.values import Numbers, to_number

I64 = npt.NDArray[np.int64]
_LINES: Final = 200
_DELIMITERS: Final = (";", "\t", ",", "|")
_SHDR: Final = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z?(@[^|]*)?\|[^|]+\|")
_GROUPED: Final = re.compile(r"[+-]?[1-9]\d{0,2}([.,'\u2019\u00a0\u202f])\d{3}(\1\d{3})*")
_BOTH: Final = re.compile(r"[+-]?\d{1,3}(?:([.,'\u2019\u00a0\u202f ])\d{3})+([.,])\d+")
_COMMA: Final = re.compile(r"[+-]?\d+,\d+")
_RULE: Final = re.compile(r"([-=_*#])\1{9,}")  # a line that lists draw between their rows
_POINT: Final = re.compile(r"[+-]?\d+\.\d+")
_DATES: Final = (
    "%d.%m.%Y",
    "%d.%m.%y",
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%m/%d/%y",
    "%d/%m/%y",
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%d-%m-%Y",
    "%Y.%m.%d",
    "%Y%m%d",
    "%d-%b-%y",
    "%d-%b-%Y",
    "%d %b %Y",
    "%d. %B %Y",
    "%b %d, %Y",
    "%a %b %d %Y",
)
_CLOCKS: Final = (
    "%H:%M:%S",
    "%H:%M",
    "%I:%M:%S %p",
    "%I:%M %p",
    "%H:%M:%S.%f",
    "%H:%M:%S,%f",
    "%H:%M:%S:%f",
    "%I:%M:%S.%f %p",
    "%H%M%S",
    "%H.%M.%S",
)
_WHOLE: Final = ("%a %b %d %H:%M:%S %Z %Y", "%a %b %d %H:%M:%S %Y", "%a, %d %b %Y %H:%M:%S %Z")
# 12.07 is a number; of a clock with points there are three parts.
_CLOCK: Final = r"(\d{1,2}:\d{2}(:\d{2}.*)?|\d{1,2}\.\d{2}\.\d{2}|([01]\d|2[0-3])([0-5]\d){2})( ?[AaPp]\.?[Mm])?"
# What a column is by its name, whatever its cells look like: a length, a number of parts or of a row.
_NO_CLOCK: Final = ("duration", "good", "scrap", "rework", "seq", "order")
_TIME_NAMES: Final = r"t|time|zeit|ts|timestamp|time_?stamp|sim_?time|seconds|sec|epoch\w*"
_TODAY: Final = (946_684_800, 4_102_444_800)  # s: 2000 to 2100
_ENOUGH: Final = 0.9  # of the cells must be times; the rest may be totals and blanks


@dataclass(frozen=True, slots=True)
class TimeGuess:
    """How a time is written: the keys for a mapping, and the times as read."""

    columns: tuple[str, ...]
    keys: str  # TOML without the columns
    ts: I64
    ok: npt.NDArray[np.bool_]
    local: bool = False  # without an offset: a zone is needed
    doubt: str = ""


@dataclass(slots=True)
class Sniffed:
    form: TableForm
    keys: str  # TOML of [csv]
    names: list[str]
    rows: TextRows
    typed: bool
    shdr: bool = False
    doubts: tuple[str, ...] = ()

    def cells(self, name: str) -> list[str]:
        return [str(cell).strip() for cell in self.rows.columns[name].to_pylist()]


def is_shdr(text: str) -> bool:
    lines = [line for line in text.splitlines()[:_LINES] if line.strip()]
    return bool(lines) and sum(bool(_SHDR.match(line)) for line in lines) > 0.6 * len(lines)


def beginning(log: LogPath) -> str:
    """The first lines of a file of lines."""
    file = LogFile(log.path, Summary(), log.member)
    data = next(file.pieces(1 << 18), b"")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def sniff(log: LogPath, sheet: bool) -> Sniffed:
    """The form of a table. SourceError where there is none."""
    if sheet:
        return _read(log, TableForm(skip=header_of(log)) if log.sheet is not None else TableForm(), "", typed=True)
    text = beginning(log)
    if is_shdr(text):
        empty = TextRows({}, np.empty(0, np.int64))
        return Sniffed(TableForm(), "", [], empty, False, shdr=True)
    numbered = [(i, line) for i, line in enumerate(text.split("\n")[:_LINES]) if line.strip()]
    if not numbered:
        raise SourceError(f"{log.name}: is empty; nothing can be suggested")
    comment = next((mark for mark in map(_mark, (line for _, line in numbered)) if mark), "")
    numbered = [(i, line) for i, line in numbered if not comment or not line.lstrip().startswith(comment)]
    delimiter, cells = _delimiter([line for _, line in numbered])
    form, keys = TableForm(delimiter=delimiter, comment=comment), []
    if comment:
        keys.append(f"comment = {quoted(comment)}")
    if delimiter != ",":
        keys.append(f"delimiter = {quoted(delimiter)}")
    if "\ufffd" in text or not _is_utf8(log):
        form, keys = replace(form, encoding="cp1252"), [*keys, 'encoding = "cp1252"']
    width = _width(cells)
    at = next((i for i, row in enumerate(cells) if len(row) == width and sum(map(bool, row)) > width // 2), 0)
    if any(_is_value(cell) for cell in cells[at]):
        names = tuple(f"c{i}" for i in range(1, width + 1))
        form = replace(form, header=False, columns=names, skip=numbered[at][0])
        keys += ["header = false", f"columns = [{', '.join(map(quoted, names))}]"]
        if numbered[at][0]:
            keys.append(f"skip = {numbered[at][0]}")
    else:
        # The mapping's own columns will find it again.
        form = replace(form, skip=numbered[at][0])
    return _read(log, form, "\n".join(keys), typed=False)


def header_of(log: LogPath) -> int:
    """The row of a sheet that most likely names its columns: the first that is as wide as most are."""
    rows = open_book(log.path).get_sheet_by_name(log.sheet).to_python(skip_empty_area=False)[:_LINES]
    filled = [sum(cell not in ("", None) for cell in row) for row in rows]
    usual = Counter(n for n in filled if n > 1).most_common(1)
    wide = usual[0][0] if usual else 1
    texts = [sum(isinstance(cell, str) and cell != "" for cell in row) for row in rows]
    fitting = (i for i, n in enumerate(filled) if n >= max(2, wide - 1) and texts[i] == n)
    return next(fitting, next((i for i, n in enumerate(filled) if n), 0))


def _mark(line: str) -> str:
    """How lines begin that are none of the table: rules of a list, marks of the program that wrote it."""
    text = line.strip()
    if _RULE.fullmatch(text):
        return text[0]
    return next((mark for mark in ('"$RT_', "$RT_", "//") if text.startswith(mark)), "")


def _is_utf8(log: LogPath) -> bool:
    file = LogFile(log.path, Summary(), log.member)
    try:
        next(file.pieces(1 << 18), b"").decode()
    except UnicodeDecodeError:
        return False
    return True


def _read(log: LogPath, form: TableForm, keys: str, typed: bool) -> Sniffed:
    def once(names: Sequence[str]) -> list[str]:
        return [name for name in names if name and names.count(name) == 1] or ["\0"]

    table: Table
    if log.sheet is not None:
        table = SheetTable(log.path, log.sheet, form, once, Summary(), "the draft")
    elif typed:
        table = ParquetTable(log.path, form, once, "the draft")
    else:
        table = CsvTable(LogFile(log.path, Summary(), log.member), form, once, Summary(), "the draft")
    rows = next(iter(table), None)
    if rows is None:
        raise SourceError(f"{log.name}: has no rows; nothing can be suggested")
    names = [name for name in table.names if name in rows.columns]
    return _with_numbers(Sniffed(form, keys, names, rows, typed))


def _delimiter(lines: Sequence[str]) -> tuple[str, list[list[str]]]:
    """The delimiter that cuts most lines into the same number of cells, and those."""
    best: tuple[float, int, str, list[list[str]]] = (0.0, 0, ",", [[line] for line in lines])
    for mark in _DELIMITERS:
        cells = list(csv.reader(lines, delimiter=mark))
        width = _width(cells)
        share = sum(len(row) == width for row in cells) / max(len(cells), 1)
        if width > 1 and (share, width) > best[:2]:
            best = (share, width, mark, cells)
    if best[1] < 2:
        cells = [line.split() for line in lines]
        if _width(cells) > 1:
            return "spaces", cells
    return best[2], best[3]


def _width(cells: Sequence[Sequence[str]]) -> int:
    return Counter(len(row) for row in cells).most_common(1)[0][0] if cells else 1


def _is_value(cell: str) -> bool:
    """Whether a cell is no name: a number, or what a time looks like."""
    text = cell.strip()
    return bool(text) and (_number(text) or bool(re.match(r"\d{1,4}[-./]\d{1,2}[-./]\d{1,4}|\d{1,2}:\d{2}", text)))


def _number(text: str) -> bool:
    return bool(Numbers().measure(text) or _COMMA.fullmatch(text) or _GROUPED.fullmatch(text))


def _with_numbers(found: Sniffed) -> Sniffed:
    """Which mark is the decimal one, where the cells tell."""
    if found.typed:
        return found
    marks: Counter[str] = Counter()
    unsure: set[str] = set()
    decided: set[tuple[str, str]] = set()
    for name in found.names:
        decided |= _decided([cell for cell in found.cells(name)[:5000] if cell])
        for cell in set(found.cells(name)[:5000]):
            if (match := _BOTH.fullmatch(cell)) and match[1] != match[2]:
                marks["thousands" + match[1]] += 1
                marks["decimal" + match[2]] += 1
            elif match := _GROUPED.fullmatch(cell):
                if match[1] in ".," and cell.count(match[1]) == 1:
                    unsure.add(match[1])
                else:
                    marks["thousands" + match[1]] += 1
            elif _COMMA.fullmatch(cell):
                marks["decimal,"] += 1
            elif _POINT.fullmatch(cell):
                marks["decimal."] += 1
    keys, doubts = [], []
    decimal = "," if marks["decimal,"] > marks["decimal."] else "." if marks["decimal."] else ""
    thousands = next((mark[9:] for mark in marks if mark.startswith("thousands") and mark[9:] != decimal), "")
    if thousands and not decimal and thousands in ".,":
        decimal = "," if thousands == "." else "."
    if len(decided) == 1 and not decimal and not thousands:
        kind, mark = decided.pop()
        decimal, thousands = (mark, "") if kind == "decimal" else ("." if mark == "," else ",", mark)
    if "." in unsure and decimal == ",":
        thousands = thousands or "."
    if thousands in ("\u00a0", "\u202f"):
        thousands = " "
    if thousands == "\u2019":
        thousands = "'"
    if unsure and not decimal and not thousands and found.form.delimiter == ";":
        # Spreadsheets put a semicolon between cells where the comma is their decimal mark.
        if "." in unsure:
            thousands = "."
            doubts.append("[csv] thousands: whether 1.000 is a thousand in this file, as it is now read, or one")
        if "," in unsure:
            decimal = ","
            doubts.append("[csv] decimal: whether 1,000 is one in this file, as it is now read, or a thousand")
    elif unsure and not decimal and not thousands:
        doubts.append('[csv]: a cell such as 1.000 may be one or a thousand; declare decimal = "." or thousands = "."')
    elif decimal and (decimal == "," or unsure or thousands):
        keys.append(f"decimal = {quoted(decimal)}")
    if thousands:
        keys.append(f"thousands = {quoted(thousands)}")
    form = replace(found.form, numbers=Numbers(decimal if keys else "", thousands))
    text = "\n".join(filter(None, (found.keys, *keys)))
    return Sniffed(form, text, found.names, found.rows, found.typed, found.shdr, tuple(doubts))


def _decided(cells: Sequence[str]) -> set[tuple[str, str]]:
    """What a column says of a mark as in 12.007: ("thousands", ".") or ("decimal", "."); nothing where both may be.

    A column is of one kind: a program that writes 12007 groups no digits, and a counter hardly ever falls.
    """
    marks = {match[1] for cell in cells if (match := _GROUPED.fullmatch(cell)) and cell.count(match[1]) == 1}
    if len(marks) != 1 or (mark := marks.pop()) not in ".,":
        return set()
    grouped = [cell for cell in cells if re.fullmatch(rf"[1-9]\d{{0,2}}{re.escape(mark)}\d{{3}}|\d+", cell)]
    if len(grouped) < len(cells):
        return set()
    if any(len(cell) > 3 and cell.isdigit() for cell in cells):
        return {("decimal", mark)}
    as_thousands = counts_on(np.array([int(cell.replace(mark, "")) for cell in cells]))
    as_decimals = counts_on(np.array([round(1000 * float(cell.replace(mark, "."))) for cell in cells]))
    if as_thousands == as_decimals:
        return set()
    return {("thousands" if as_thousands else "decimal", mark)}


def times(found: Sniffed, zone: str | None) -> list[TimeGuess]:
    """The columns that are times, the likeliest first; a date and a time of day apart are one."""
    guesses = [guess for name in found.names if (guess := _time(found, (name,), zone)) is not None]
    if all("origin" in guess.keys for guess in guesses):  # a clock of its own, by its name: or one beside a date
        days = [name for name in found.names if _day_form(found.cells(name)) is not None]
        clocks = [name for name in found.names if name not in days and _is_clock(name, found.cells(name))]
        pairs = [(_day_of(clock, days, found.names), clock) for clock in clocks] if days else []
        beside = [guess for pair in pairs if (guess := _time(found, pair, zone)) is not None]
        guesses = beside or guesses
        if not guesses and days:
            guesses = [_day_alone(found, days[0], zone or "UTC")]
    return guesses


def _day_form(cells: Sequence[str]) -> str | None:
    """The form of a date that most cells of a column have, all of them the same; None: they are no dates.

    12.007 beside 05.03.2026 is none, whatever stands between its digits.
    """
    filled = _values(cells[:500])
    texts: pa.Array[Any] = pa.array(filled, pa.string())
    for form in _DATES if filled else ():
        if TimeReader(TimeFormat((pattern(form, date_only=True),), "UTC")).read(texts)[1].sum() >= _ENOUGH * len(
            filled
        ):
            return form
    return None


def _is_clock(name: str, cells: Sequence[str]) -> bool:
    return _mostly(cells, _CLOCK) and role_of(name, _NO_CLOCK) is None


def _day_alone(found: Sniffed, name: str, zone: str) -> TimeGuess:
    """A table with a date a row and no time of day."""
    form = str(_day_form(found.cells(name)))
    texts: pa.Array[Any] = pa.array(found.cells(name)[:20_000], pa.string())
    clocked = f"{form} %H:%M:%S"
    ts, ok = TimeReader(TimeFormat((pattern(clocked), pattern(form, date_only=True)), zone)).read(texts)
    keys = f"format = [{quoted(clocked)}, {quoted(form)}]\nzone = {quoted(zone)}"
    doubt = (
        f"[time]: rows have the date {name} and no time of day; what they say counts at midnight, which is another "
        "shift, and the day before where days begin later: name a column with the time, or make times of the shifts"
    )
    return TimeGuess((name,), keys, ts, ok, True, doubt)


def _day_of(clock: str, days: Sequence[str], names: Sequence[str]) -> str:
    """The date that belongs to a time of day: the one whose name says the same of it (von and von), or begins alike,
    else the nearest before it."""

    at = names.index(clock)

    def fits(day: str) -> tuple[int, int, bool, int]:
        pairs = zip(day.lower(), clock.lower(), strict=False)
        begin = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        return len(set(tokens(day)) & set(tokens(clock))), begin, names.index(day) < at, -abs(names.index(day) - at)

    return max(days, key=fits)


def _mostly(cells: Sequence[str], form: str) -> bool:
    shape = re.compile(form)
    return sum(bool(shape.fullmatch(cell)) for cell in cells) >= _ENOUGH * max(1, len(_values(cells)))


def _values(cells: Sequence[str]) -> list[str]:
    """The cells that hold something; where most of them have digits, those: words beside them are of totals."""
    filled = [cell for cell in cells if cell]
    with_digits = [cell for cell in filled if any(map(str.isdigit, cell))]
    return with_digits if 2 * len(with_digits) > len(filled) else filled


def _time(found: Sniffed, names: tuple[str, ...], zone: str | None) -> TimeGuess | None:
    cells = list(zip(*(found.cells(name)[:20_000] for name in names), strict=True))
    texts: pa.Array[Any] = pa.array([" ".join(parts) for parts in cells], pa.string())
    filled = len(_values([" ".join(parts).strip() for parts in cells]))
    if not filled:
        return None
    sample = texts.slice(0, 500)
    needed = _ENOUGH * len(_values([" ".join(parts).strip() for parts in cells[:500]]))
    best: list[tuple[int, float, TimeGuess]] = []

    def attempt(form: TimeFormat, keys: str, local: bool, doubt: str = "") -> None:
        if TimeReader(form).read(sample)[1].sum() < needed:
            return
        ts, ok = TimeReader(form).read(texts)
        steps = np.diff(ts[ok])
        back = float((steps < 0).mean()) if len(steps) else 0.0
        best.append((int(ok.sum()), -min(back, 1 - back), TimeGuess(names, keys, ts, ok, local, doubt)))

    if any(to_number(str(text)) is not None for text in sample.to_pylist()):
        return _counted(found, names, texts, zone, filled)
    local = zone or "UTC"
    attempt(TimeFormat(), "", False)
    attempt(TimeFormat(zone=local), f"zone = {quoted(local)}", True)
    counted = TimeReader(TimeFormat((), unit=SECONDS_NS)).read(sample)
    if counted[1].any() and _TODAY[0] <= np.median(counted[0][counted[1]]) / 1e9 < _TODAY[1]:
        attempt(TimeFormat((), unit=SECONDS_NS), f"unit = {quoted(SECONDS_NS)}", False)
    for form in _WHOLE if len(names) == 1 else ():
        attempt(TimeFormat((pattern(form),), local), f"format = {quoted(form)}\nzone = {quoted(local)}", True)
    for day in _DATES:
        if not pc.any(pc.match_substring_regex(sample, pattern(day, date_only=True).removesuffix("$"))).as_py():
            continue
        for clock in _CLOCKS:
            for between in (" ", "T"):
                if between == "T" and len(names) > 1:
                    continue
                form = f"{day}{between}{clock}"
                attempt(TimeFormat((pattern(form),), local), f"format = {quoted(form)}\nzone = {quoted(local)}", True)
    if not best:
        return None
    most = max(best, key=lambda one: one[:2])
    ties = [one for one in best if one[:2] == most[:2] and not (one[2].ts == most[2].ts).all()]
    guess = most[2]
    if ties:
        guess = replace(guess, doubt=f"[time] format: {ties[0][2].keys.splitlines()[0]} fits as well")
    return guess


def _counted(
    found: Sniffed, names: tuple[str, ...], texts: "pa.Array[Any]", zone: str | None, filled: int
) -> TimeGuess | None:
    """A column of numbers that are times: of these days in some unit, or, by its name, of a clock of its own."""
    decimal = found.form.numbers.decimal or "."
    values = TimeReader(TimeFormat((), None, "ns", 0, decimal)).read(texts)
    if len(names) != 1 or values[1].sum() < _ENOUGH * filled:
        return None
    seconds = np.median(values[0][values[1]])
    named = re.fullmatch(_TIME_NAMES, names[0], re.IGNORECASE)
    for unit in ("s", "ms", "us", "ns"):
        digits, factor = UNITS[unit]
        per_s = 10**9 // (10**digits * factor)
        if _TODAY[0] * per_s <= seconds < _TODAY[1] * per_s:
            ts, ok = TimeReader(TimeFormat((), None, unit, 0, decimal)).read(texts)
            return TimeGuess(names, f"unit = {quoted(unit)}", ts, ok)
    by_day = {"excel": (36_526, 73_051), "wincc": (36_526_000_000, 73_051_000_000)}
    for unit, (low, high) in by_day.items():
        whole = all("." not in str(text) and "," not in str(text) for text in texts.slice(0, 500).to_pylist())
        if low <= seconds < high and not whole and unit in DAY_NUMBERS:
            ts, ok = TimeReader(TimeFormat((), zone or "UTC", unit, 0, decimal)).read(texts)
            return TimeGuess(names, f'unit = "{unit}"\nzone = {quoted(zone or "UTC")}', ts, ok, True)
    if not named:
        return None
    origin = 1_767_225_600 * 10**9
    ts, ok = TimeReader(TimeFormat((), None, "s", origin, decimal)).read(texts)
    keys = 'unit = "s"\norigin = "2026-01-01T00:00:00Z"'
    return TimeGuess(names, keys, ts, ok, doubt="[time] unit and origin: what the numbers count, and from when on")


def quoted(text: str) -> str:
    """A TOML string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t")
    return f'"{escaped}"'
