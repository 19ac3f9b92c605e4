"""Text to event time, exactly: integer ns since 1970 UTC, whole columns at once."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute

from twin.events.declare import YEAR_2000_NS
from twin.sources.time_format import (
    DAY_NS,
    DAY_NUMBERS,
    FILETIME,
    FILETIME_1970,
    NS,
    SECONDS_NS,
    UNITS,
    TimeFormat,
    to_month,
)
from twin.time.zone import zone

I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
# The stubs do not follow text through nested calls.
pc: Any = pyarrow.compute

_YEAR_2100_NS: Final = 4_102_444_800 * NS
# Years whose nanoseconds fit in int64, with room for lateness and jumps.
_YEARS: Final = (1700, 2250)
_MOST_DAYS: Final = 120_000  # 2228, counted from 1899
# Back by more than the lateness of the lines, within these bounds, inside the repeated hour of autumn: its second pass.
_LEAST_DISORDER_NS: Final = 60 * NS
_MOST_DISORDER_NS: Final = 600 * NS
_LONG_AGO: Final = -(2**62)


class Beside(NamedTuple):
    """Times that others stand beside in their rows; below `_LONG_AGO`: none. `after`: the others follow them."""

    ts: I64
    after: bool


class TimeReader:
    """Reads the columns of one log in order: what came before tells apart the repeated hour of autumn."""

    def __init__(self, form: TimeFormat, lateness_ns: int = 0) -> None:
        """`lateness_ns`: how far out of order its rows may be."""
        self._form = form
        self._disorder_ns = min(max(lateness_ns, _LEAST_DISORDER_NS), _MOST_DISORDER_NS)
        self._zone = zone(form.zone) if form.zone else None
        self._newest = _LONG_AGO
        self._second_until = _LONG_AGO
        self.unsure = 0  # times so far that the clock showed twice
        self._unsure_from_the_start = False  # and no row before the first of them
        self._clocks: list[tuple[int, int]] = []  # the last two times, and how many rows in turn had each
        self.by_the_hour: list[int] = []  # rows of the last reading that begin a second pass by nothing but their step

    @property
    def first_pass_is_a_guess(self) -> bool:
        """Whether the rows began in the repeated hour, and none before or behind them says in which pass of it."""
        return self._unsure_from_the_start and self._second_until == _LONG_AGO

    def read(self, texts: "pa.Array[Any]", days: int = 0, beside: Beside | None = None) -> tuple[I64, Mask]:
        """ns and a mask of the rows that are a time; the others hold 0. `days` later by the wall clock (of dates).

        `beside`: the times that these stand beside, row by row; of two passes they tell which it can be.
        """
        form = self._form
        self.by_the_hour.clear()
        if not form.patterns:
            texts = pc.replace_substring(texts, ",", ".") if form.decimal == "," else texts
            if form.unit in DAY_NUMBERS:
                local, ok = _day_numbers(texts, form.unit)
                return self._localized(local, ok, ok, beside)
            if form.unit == SECONDS_NS:
                return _seconds_ns(texts, form.origin_ns)
            return _filetime(texts) if form.unit == FILETIME else numbers(texts, form.unit, form.origin_ns)
        ts, ok, wall = self._dates(texts, form.patterns[0], days)
        for expression in form.patterns[1:]:
            rest = np.flatnonzero(~ok)
            if not len(rest):
                break
            ts[rest], ok[rest], wall[rest] = self._dates(texts.take(rest), expression, days)
        # Of all forms together: what tells the passes of the repeated hour apart is the order of the rows.
        return self._localized(ts, ok, wall, beside)

    def _dates(self, texts: "pa.Array[Any]", expression: str, days: int) -> tuple[I64, Mask, Mask]:
        """ns, which rows are a time, and which of those are one of the wall clock, not yet of UTC."""
        found = pc.extract_regex(pc.utf8_trim_whitespace(texts), expression)
        ok = np.array(pc.is_valid(found).to_numpy(zero_copy_only=False), bool)
        groups = {field.name: pc.fill_null(found.field(i), "") for i, field in enumerate(found.type)}
        local, valid = _civil(groups)
        local += days * DAY_NS
        ok &= valid
        if "Z" in groups:
            return *self._of_names(local, ok, groups["Z"]), np.zeros(len(ok), bool)
        zones = groups.get("z")
        offsets = pc.dictionary_encode(zones) if zones is not None else None
        if offsets is None or offsets.dictionary.to_pylist() in ([""], []):
            return local, ok, ok.copy()
        index = offsets.indices.to_numpy()
        table = offsets.dictionary.to_pylist()
        shifts = np.array([_offset_ns(text) for text in table], np.int64)
        bare = ok & (index == table.index("")) if "" in table else np.zeros(len(ok), bool)
        return np.where(ok, local - shifts[index], 0), ok, bare

    def _of_names(self, local: I64, ok: Mask, names: "pa.Array[Any]") -> tuple[I64, Mask]:
        """Times with the short name of their zone: UTC, or what `zone` calls its own summer and winter."""
        encoded = names.dictionary_encode()
        index = encoded.indices.to_numpy()
        ts, good = np.zeros_like(local), np.zeros_like(ok)
        for year in np.unique(local[ok] // (366 * DAY_NS)).tolist():  # within a year of this one
            known = self._short_names(1970 + year)
            offsets = [known.get(str(name).upper()) for name in encoded.dictionary.to_pylist()]
            fine = ok & (local // (366 * DAY_NS) == year) & np.array([one is not None for one in offsets], bool)[index]
            ts = np.where(fine, local - np.array([one or 0 for one in offsets], np.int64)[index], ts)
            good |= fine
        return ts, good

    def _short_names(self, year: int) -> dict[str, int]:
        """Short name -> ns it is ahead of UTC, about this year."""
        found = dict.fromkeys(("UTC", "GMT", "Z"), 0)
        for month in range(1, 13) if self._zone is not None else ():
            at = datetime(year, month, 15, tzinfo=self._zone)
            found[(at.tzname() or "").upper()] = round((at.utcoffset() or timedelta()).total_seconds()) * NS
        return found

    def _localized(self, ts: I64, ok: Mask, wall: Mask, beside: Beside | None) -> tuple[I64, Mask]:
        """Times of the wall clock become UTC; the others (`ok` and not `wall`) are already."""
        if not wall.any():
            return np.where(ok, ts, 0), ok
        if self._zone is None:
            return np.where(ok & ~wall, ts, 0), ok & ~wall
        # Offsets change at quarter hours, so one look-up serves all rows of a quarter.
        quarter = 900 * NS
        slots, index = np.unique(ts // quarter, return_inverse=True)
        pairs = np.array([self._offsets(int(slot) * 900) for slot in slots], np.int64).reshape(-1, 2)
        first, second = pairs[index, 0], pairs[index, 1]
        ok = ok & (~wall | (first >= second))  # the other way round: a local time the clocks jump over in spring
        wall = wall & ok
        ts = np.where(ok, ts - np.where(wall, first, 0), 0)
        unsure = np.flatnonzero(wall & (first > second))
        if beside is not None and beside.after:
            late = unsure[ts[unsure] < beside.ts[unsure]]
            ts[late] += (first - second)[late]
            return ts, ok
        if len(unsure):
            ts = self._second_pass(ts, wall, unsure, first - second, beside)
        else:
            self._follow(ts[wall])
        if wall.any():
            self._newest = max(self._newest, int(ts[wall].max()))
        return ts, ok

    def _offsets(self, local_s: int) -> tuple[int, int]:
        wall = datetime(1970, 1, 1) + timedelta(seconds=local_s)  # noqa: DTZ001 # a wall time: the zone is put on next
        both = (wall.replace(tzinfo=self._zone, fold=fold).utcoffset() or timedelta() for fold in (0, 1))
        first, second = (round(offset.total_seconds()) * NS for offset in both)
        return first, second

    def _second_pass(self, ts: I64, ok: Mask, unsure: npt.NDArray[np.intp], repeat: I64, beside: Beside | None) -> I64:
        """The first pass, unless it lies further back than rows are out of order: then the second. So it is where rows
        that come by the hour show one clock again.
        """
        newest = self._newest
        self.unsure += len(unsure)
        self._unsure_from_the_start |= newest == _LONG_AGO and not ok[: unsure[0]].any()
        done = 0
        for row in unsure.tolist():
            before = ts[done:row][ok[done:row]]
            if len(before):
                newest = max(newest, int(before.max()))
                self._follow(before)
            done = row
            if beside is not None and ts[row] + repeat[row] > beside.ts[row] > _LONG_AGO:
                continue  # such as the beginning of what has ended then
            # Once begun, the second pass goes on to the end of the repeated time.
            begun = newest - ts[row] > self._disorder_ns or ts[row] < self._second_until
            if not begun and self._again(int(ts[row]), int(repeat[row])):
                self.by_the_hour.append(row)
                begun = True
            if begun:
                ts[row] += repeat[row]
                self._second_until = int(ts[row]) + int(repeat[row])
        self._follow(ts[done:][ok[done:]])
        return ts

    def _again(self, ts: int, repeat: int) -> bool:
        """Whether this time was there already, as often as the one before it, and as long after that as is repeated."""
        if len(self._clocks) < 2:
            return False
        (before, usual), (last, n) = self._clocks
        return ts == last and last - before == repeat and n >= usual

    def _follow(self, ts: I64) -> None:
        """Remember the last two times of rows in their order."""
        if not len(ts):
            return
        starts = np.concatenate([[0], np.flatnonzero(np.diff(ts)) + 1])
        counts = np.diff(np.append(starts, len(ts)))
        for one, n in zip(ts[starts[-2:]].tolist(), counts[-2:].tolist(), strict=True):
            more = self._clocks.pop()[1] if self._clocks and self._clocks[-1][0] == one else 0
            self._clocks = [*self._clocks[-1:], (one, n + more)]


def _day_numbers(texts: "pa.Array[Any]", unit: str) -> tuple[I64, Mask]:
    """Days of a wall clock; their last digits are rounding, so the nearest millisecond is meant."""
    origin, digits = DAY_NUMBERS[unit]
    parts, ok = numbers(texts, "ns", 0, digits)  # 10**-9 day, 86 us: their product below fits in 64 bits
    days, rest = parts // 10**9, parts % 10**9
    ok &= (days >= 0) & (days < _MOST_DAYS)
    local = instant(origin) + np.where(ok, days, 0) * DAY_NS + (rest * 864 + 5_000) // 10_000 * 1_000_000
    return np.where(ok, local, 0), ok


def numbers(texts: "pa.Array[Any]", unit: str, origin_ns: int, digits: int | None = None) -> tuple[I64, Mask]:
    """Decimal numbers of `unit` after `origin_ns`; what is finer than a nanosecond is cut off.

    `digits` asks for that many decimal places instead of those that make nanoseconds.
    """
    places, factor = UNITS[unit]
    digits = places if digits is None else digits
    limit = ((2**63 - 1) - abs(origin_ns)) // (10**digits * factor) - 1
    found = pc.extract_regex(
        pc.utf8_trim_whitespace(texts), r"^(?P<sign>[+-]?)0*(?P<whole>\d{1,18})(?:\.(?P<part>\d*))?$"
    )
    ok = np.array(pc.is_valid(found).to_numpy(zero_copy_only=False), bool)
    sign, whole, part = (pc.fill_null(found.field(i), "") for i in range(3))
    value = _integers(whole)
    ok &= value <= limit
    value = np.where(ok, value, 0) * 10**digits
    if digits:
        value += _integers(pc.utf8_slice_codeunits(pc.utf8_rpad(part, digits, "0"), 0, digits))
    negative = np.array(pc.equal(sign, "-").to_numpy(zero_copy_only=False), bool)
    ts = np.where(negative, -value, value) * factor + origin_ns
    return np.where(ok, ts, 0), ok


def _filetime(texts: "pa.Array[Any]") -> tuple[I64, Mask]:
    """100 ns since 1601: 1970 taken off before they become nanoseconds, which would not fit."""
    ticks, ok = numbers(texts, "ns", 0)
    since = ticks - FILETIME_1970
    ok &= np.abs(since) < 2**62 // 100
    return np.where(ok, since * 100, 0), ok


def _seconds_ns(texts: "pa.Array[Any]", origin_ns: int) -> tuple[I64, Mask]:
    """1601890328:76000000 is 76 ms after that second: what stands behind the colon is a number, no fraction."""
    found = pc.extract_regex(pc.utf8_trim_whitespace(texts), r"^(?P<whole>\d{1,10}):(?P<part>\d{1,9})$")
    ok = np.array(pc.is_valid(found).to_numpy(zero_copy_only=False), bool)
    whole, part = (_integers(pc.fill_null(found.field(i), "")) for i in range(2))
    return np.where(ok, whole * NS + part + origin_ns, 0), ok


def instant(text: str) -> int:
    """One RFC 3339 time with its offset, in ns. Raises ValueError."""
    ts, ok = TimeReader(TimeFormat()).read(pa.array([text]))
    if not ok[0]:
        raise ValueError(f"{text!r} is not a time like 2026-01-01T00:00:00Z")
    return int(ts[0])


def _civil(groups: "dict[str, pa.StringArray]") -> tuple[I64, Mask]:
    day = _integers(groups["d"])
    year = _integers(groups["Y"]) if "Y" in groups else _integers(groups["y"])
    if "y" in groups:
        year += np.where(year < 69, 2000, 1900)  # as POSIX has it
    month = _integers(groups["m"]) if "m" in groups else _looked_up(groups["b"], to_month)
    zero = np.zeros_like(year)
    hour = _integers(groups["H"]) if "H" in groups else zero
    minute, second = (_integers(groups[name]) if name in groups else zero for name in "MS")
    ok = np.ones(len(year), bool)
    if "I" in groups:
        twelve = _integers(groups["I"])
        ok &= (twelve >= 1) & (twelve <= 12)
        afternoon = _looked_up(groups["p"], lambda word: int(word[:1] in ("p", "P")))
        hour = twelve % 12 + 12 * afternoon
    ok &= (year >= _YEARS[0]) & (year <= _YEARS[1]) & (month >= 1) & (month <= 12) & (day >= 1)
    ok &= (hour < 24) & (minute < 60) & (second < 60)
    months = np.where(ok, (year - 1970) * 12 + month - 1, 0)
    first = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    following = (months + 1).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    ok &= first + day <= following
    seconds = (first + day - 1) * 86_400 + hour * 3600 + minute * 60 + second
    local = np.where(ok, seconds, 0) * NS
    if "f" in groups:
        local += _integers(pc.utf8_rpad(groups["f"], 9, "0"))
    if "L" in groups:
        local += _integers(groups["L"]) * 1_000_000
    return local, ok


def _looked_up(texts: "pa.Array[Any]", of_word: Callable[[str], int]) -> I64:
    encoded = texts.dictionary_encode()
    table = np.array([of_word(str(word)) for word in encoded.dictionary.to_pylist()] or [0], np.int64)
    found: I64 = table[encoded.indices.to_numpy()]
    return found


def _integers(texts: "pa.Array[Any]") -> I64:
    filled = pc.if_else(pc.equal(texts, ""), "0", texts)
    return np.array(pc.cast(filled, pa.int64()).to_numpy(zero_copy_only=False), np.int64)


def _offset_ns(text: str) -> int:
    if text in ("", "Z", "z"):
        return 0
    seconds = int(text[1:3]) * 3600 + (int(text[-2:]) * 60 if len(text) > 3 else 0)
    return (-seconds if text[0] == "-" else seconds) * NS


def likely_unit(text: str, form: TimeFormat, earliest_ns: int) -> str | None:
    """Of a number that is no time in its unit: the unit in which it would be one of these days."""
    for unit in () if form.patterns or form.unit not in UNITS else UNITS:
        ts, ok = numbers(pa.array([text.replace(",", ".")]), unit, form.origin_ns)
        if ok[0] and max(earliest_ns, YEAR_2000_NS) <= ts[0] < _YEAR_2100_NS:
            return unit
    return None


def iso(ts: int) -> str:
    """A time for people's eyes, to the second."""
    try:
        return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=ts // NS)).strftime("%Y-%m-%dT%H:%M:%SZ")
    except OverflowError:
        return f"{ts} ns"
