"""Drafts of tables with one station a row: states, counts, cycles, work with a beginning and an end, orders."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from twin.sources.draft_plant import Drafter
from twin.sources.draft_rows import MANY, DraftRows
from twin.sources.draft_tags import count, sampled
from twin.sources.roles import ALONE, counts_on, good_rank, role_of, tokens
from twin.sources.sniff import TimeGuess, quoted
from twin.sources.values import to_number

Mask = npt.NDArray[np.bool_]
DAY_NS: Final = 86_400 * 10**9
_STARTS: Final = ("start", "started", "begin", "in", "beginn", "anfang", "enter")
_ENDS: Final = ("end", "finish", "finished", "stop", "out", "done", "ende", "complete", "completed", "exit", "fertig")
_UNITS: Final = {
    "ms": "ms",
    "s": "s",
    "sec": "s",
    "secs": "s",
    "seconds": "s",
    "min": "min",
    "minutes": "min",
    "h": "h",
}


@dataclass(frozen=True, slots=True)
class Span:
    """The times at which the work of a row begins and ends. `over`: an end before its beginning is of the next day.

    The rows' own time is then the beginning, else the end.
    """

    begin: TimeGuess
    end: TimeGuess
    over: bool

    @property
    def starts(self) -> str:
        return f"time = {{ {_inline(self.begin)} }}"

    @property
    def until(self) -> str:
        return f"until = {{ {_inline(self.end)}{', over_midnight = true' if self.over else ''} }}"

    @property
    def at_end(self) -> list[str]:
        """The time of what is known when the row ends."""
        return [f"time = {{ {_inline(self.end)}, over_midnight = true }}"] if self.over else []

    @property
    def all_lengths(self) -> npt.NDArray[np.int64]:
        """ns of every row; 0 where it has no end."""
        lengths = self.end.ts - self.begin.ts
        lengths = np.where(lengths < 0, lengths + DAY_NS, lengths) if self.over else lengths
        return np.where(self.begin.ok & self.end.ok, lengths, 0)

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        return self.all_lengths[self.begin.ok & self.end.ok]


def span_of(guesses: Sequence[TimeGuess]) -> Span | None:
    """Beginning and end among the times: by their names, else of two the one that comes first in every row."""
    named = {
        role: next((guess for guess in guesses if role_of(" ".join(guess.columns), ("begin", "end")) == role), None)
        for role in ("begin", "end")
    }
    begin, end = named["begin"], named["end"]
    if (begin is None or end is None) and len(guesses) == 2:
        first, second = guesses
        both = first.ok & second.ok
        if both.any() and (first.ts <= second.ts)[both].all() and (first.ts < second.ts)[both].mean() > 0.5:
            begin, end = first, second
        elif both.any() and (second.ts <= first.ts)[both].all() and (second.ts < first.ts)[both].mean() > 0.5:
            begin, end = second, first
    if begin is None or end is None:
        return None
    both = begin.ok & end.ok
    back = (end.ts < begin.ts) & both
    day = set(begin.columns) & set(end.columns)
    over = bool(day) and bool(back.any()) and bool((begin.ts - end.ts < DAY_NS)[back].all())
    return Span(begin, end, over)


def columns_key(guess: TimeGuess) -> str:
    if len(guess.columns) == 1:
        return f"column = {quoted(guess.columns[0])}"
    return f"columns = [{', '.join(map(quoted, guess.columns))}]"


def _inline(guess: TimeGuess) -> str:
    return ", ".join([columns_key(guess), *guess.keys.splitlines()])


@dataclass(frozen=True, slots=True)
class Alike:
    """Sheets or files of one form, each of a station of its own, and the constant that stands for their names."""

    names: tuple[str, ...] = ()
    constant: str = ""


def draft_table(drafter: Drafter, rows: DraftRows, name: str, span: Span | None, alike: Alike) -> None:
    """One station a row, named by a column, by the sheet or by the file."""
    column = rows.role("station", fits="few")
    station = name
    if column:
        rows.used.add(column)
        for word in sorted(set(rows.cells(column)) - {""}):
            drafter.station(word)
        drafter.head.append(f"station = {{ column = {quoted(column)} }}")
        station = next(iter(drafter.stations))
    elif len(alike.names) > 1:
        for word in alike.names:
            drafter.station(word)
        mark = "  # look: is each file of one machine?" if alike.constant == "{file}" else ""
        drafter.head.append(f"station = {quoted(alike.constant)}{mark}")
        station = alike.names[0]
    else:
        drafter.station(station)
        drafter.head.append(f"station = {quoted(station)}")
    _Table(drafter, rows, station, column, span).draft()
    first = drafter.stations[station]
    for other in drafter.stations.values():
        other.words.update(first.words)
        other.counters.update(first.counters)
        other.cycle_s = other.cycle_s or first.cycle_s


class _Table:
    def __init__(self, drafter: Drafter, rows: DraftRows, station: str, column: str | None, span: Span | None) -> None:
        self.drafter, self.rows, self.station, self.column, self.span = drafter, rows, station, column, span

    def draft(self) -> None:
        drafter, rows, span = self.drafter, self.rows, self.span
        unit = rows.role("unit")
        cycles = self._phases(unit)
        state = self._in_words(rows.role("state", fits="few")) if not cycles else None
        reason = rows.role("reason", fits="text")
        words = drafter.station(self.station).words
        if span is not None and not cycles:
            self._spans(span, state, reason, unit)
        elif (
            not cycles
            and (result := state or rows.role("result", fits="few"))
            and any(map(_is_done, rows.cells(result)))
            and (duration := self._duration())
        ):
            self._by_length(duration, result, unit)
        elif state is not None and not cycles:
            rows.used.add(state)
            words.update(filter(None, rows.cells(state)))
            why = [f"reason = {{ column = {quoted(reason)} }}"] if reason else []
            drafter.event("state", f"state = {{ column = {quoted(state)} }}", *why)
        elif not cycles:
            self._by_speed()
        for quality in ("good", "scrap", "rework"):
            fitting = wholes_of(rows, quality)
            if fitting and not drafter.by_cycle:
                counted = fitting[0]
                rows.used.add(counted)
                if quality == "good" and len(fitting) > 1 and good_rank(counted) == good_rank(fitting[1]):
                    drafter.edit.append(
                        f"mapping.toml: which of the columns {', '.join(fitting)} has the good parts; "
                        f"{counted} is a guess"
                    )
                # A row with a beginning and an end says what was made between them.
                ends = span.at_end if span is not None else []
                whose = self._by_station() if self.column is not None else ()
                # What is called a total holds the scrap that is counted beside it.
                total = quality == "good" and good_rank(counted) == 2 and bool(wholes_of(rows, "scrap"))
                what = "total" if total else quality
                count(drafter, rows, self.station, counted, counted, what, *ends, running=span is None, stations=whose)
                if quality == "good" and span is not None:
                    self._pace(span, counted)
        self._order()
        if span is None and not drafter.by_cycle and any('"state"' in rule for rule in drafter.rules):
            sampled(drafter, rows, self.column)
        written = "\n".join((*drafter.head, *drafter.rules))
        drafter.left_out([name for name in rows.names if name not in rows.used and quoted(name) not in written])

    def _by_station(self) -> list[tuple[str, Mask]]:
        """Each station of the draft and its rows."""
        if self.column is None:
            return [(name, np.ones(len(self.rows.times()), bool)) for name in self.drafter.stations]
        cells = np.array(self.rows.cells(self.column))
        return [(name, cells == name) for name in self.drafter.stations]

    def _in_words(self, state: str | None) -> str | None:
        """Beside a column of codes the one that has a word for each of them, such as Statustext beside Status."""
        rows = self.rows
        if state is None or not all(to_number(cell) is not None for cell in rows.cells(state) if cell):
            return state
        codes = rows.cells(state)
        for name in rows.names:
            words = rows.cells(name)
            pairs = set(zip(codes, words, strict=True))
            told = name != state and name not in rows.used and 1 < len(set(words)) == len(set(codes)) == len(pairs)
            if told and all(word and to_number(word) is None for word in words):
                rows.used.add(state)
                return name
        return state

    def _phases(self, unit: str | None) -> bool:
        """A column that says whether a row is the start or the end of something."""
        rows, drafter = self.rows, self.drafter
        phase = rows.role("phase", "state", fits="few")
        pairs = _pairs(rows.cells(phase)) if phase else None
        if not phase or not pairs:
            return False
        rows.used |= {phase, unit or ""}
        table = ", ".join(f"{quoted(word)} = {quoted(which)}" for word, which in pairs.items())
        phases = [f"phase = {{ column = {quoted(phase)}, lookup = {{ {table} }} }}"]
        drafter.event("cycle", *phases, *([f"unit = {{ column = {quoted(unit)} }}"] if unit else []))
        drafter.by_cycle = True
        words = np.array([pairs.get(word, "") for word in rows.cells(phase)])
        for name, own in self._by_station():
            ts = rows.times()
            drafter.station(name).cycle_s = rows.cycle_s(
                np.sort(ts[own & (words == "start")]), np.sort(ts[own & (words == "end")])
            )
        return True

    def _spans(self, span: Span, state: str | None, reason: str | None, unit: str | None) -> None:
        """Rows with a beginning and an end: states, stops, what was worked, or single cycles."""
        drafter, rows = self.drafter, self.rows
        words = drafter.station(self.station).words
        lines = [span.starts, span.until]
        good = wholes_of(rows, "good")
        if state is not None:
            rows.used.add(state)
            words.update(rows.cells(state))
            drafter.event("state", *lines, f"state = {{ column = {quoted(state)} }}")
        elif good or (reason is None and rows.role("order") and not unit):
            # A confirmation: what was made from the one time to the other.
            words.update({"RUN": 1})
            drafter.event("state", *lines, 'state = "RUN"')
            drafter.edit.append(
                "mapping.toml [[event]]: whether the machine ran from the beginning of a row to its end"
            )
        elif reason is not None:
            # A list of stops: what is not in it was running.
            words.update({"STOP": 1, "RUN": 1})
            why = f"reason = {{ column = {quoted(reason)} }}"
            drafter.event("state", *lines, 'state = "STOP"', 'otherwise = "RUN"', why)
            drafter.edit.append("mapping.toml [[event]]: whether the rows are stops, and the machine runs between them")
        else:
            units = [f"unit = {{ column = {quoted(unit)} }}"] if unit else []
            drafter.event("cycle", 'phase = "start"', span.starts, *units)
            drafter.event("cycle", 'phase = "end"', *span.at_end, *units)
            drafter.by_cycle = True
            lengths = span.lengths[span.lengths > 0]
            if len(lengths) >= 5:
                drafter.station(self.station).cycle_s = float(f"{np.quantile(lengths, 0.1) / 1e9:.3g}")

    def _pace(self, span: Span, counted: str) -> None:
        """The time of a part where it goes fast, of what each row made in its time."""
        made = np.array([float(self.rows.found.form.numbers.read(cell) or 0) for cell in self.rows.cells(counted)])
        lengths = span.all_lengths[self.rows.ok] / 1e9
        for name, own in self._by_station():
            fine = own & (made > 0) & (lengths > 0)
            paces = lengths[fine] / made[fine]
            self.drafter.station(name).cycle_s = float(f"{np.quantile(paces, 0.1):.3g}") if len(paces) >= 5 else None

    def _duration(self) -> tuple[str, str, bool] | None:
        """A column with the length of what ended at the row's time, its unit, and whether that is known."""
        for name in self.rows.names:
            parts = tokens(name)
            bare = " ".join(part for part in parts if part not in _UNITS)
            if name in self.rows.used or not self.rows.numbers(name):
                continue
            if "duration" in (role_of(name, ("duration",)), role_of(bare, ("duration",))):
                unit = next((_UNITS[part] for part in reversed(parts) if part in _UNITS), None)
                return name, unit or self._unit_of(name), unit is not None
        return None

    def _unit_of(self, name: str) -> str:
        """The unit in which lengths come nearest to the time between rows without being longer."""
        steps = np.concatenate([np.diff(np.sort(self.rows.times()[own])) for _, own in self._by_station()])
        numbers = self.rows.found.form.numbers
        lengths = [float(number) for cell in self.rows.cells(name) if (number := numbers.read(cell))]
        if not lengths or not (steps > 0).any():
            return "s"
        usual = float(np.median(steps[steps > 0])) / 1e9 / float(np.median(lengths))  # s, if it took all the time
        return next((unit for unit, seconds in (("h", 3600), ("min", 60), ("s", 1)) if seconds <= 1.05 * usual), "ms")

    def _by_length(self, duration: tuple[str, str, bool], state: str, unit: str | None) -> None:
        """Rows that say what was done when it is done, and how long it took: cycles, where the state is no stop."""
        drafter, rows = self.drafter, self.rows
        name, length, sure = duration
        rows.used |= {name, state}
        done = [word for word in sorted(set(rows.cells(state)) - {""}) if _is_done(word)]
        more = [f"when = {{ column = {quoted(state)}, in = [{', '.join(map(quoted, done))}] }}"] if done else []
        units = [f"unit = {{ column = {quoted(unit)} }}"] if unit else []
        mark = "" if sure else "  # look: the unit"
        minus = f"time = {{ minus = {{ column = {quoted(name)}, unit = {quoted(length)} }} }}{mark}"
        if not sure:
            drafter.edit.append(f"mapping.toml [[event]]: the unit of {name}, of which {length} is a guess")
        drafter.event("cycle", 'phase = "start"', minus, *more, *units)
        drafter.event("cycle", 'phase = "end"', *more, *units)
        drafter.by_cycle = True
        drafter.edit.append(f"mapping.toml [[event]]: what rows with another {state} mean; they give no event")

    def _by_speed(self) -> None:
        speed = self.rows.role("speed")
        if speed is None:
            return
        self.drafter.station(self.station).words.update({"running": 1, "stopped": 1})
        for test, state in (("blank = true", "unknown"), ("above = 0", "running"), ("at_most = 0", "stopped")):
            self.drafter.event("state", f"when = {{ column = {quoted(speed)}, {test} }}", f'state = "{state}"')

    def _order(self) -> None:
        drafter, rows, span = self.drafter, self.rows, self.span
        order, product = rows.role("order"), rows.role("product", fits="few")
        if order is None or (drafter.by_cycle and len(set(rows.cells(order))) > MANY):
            return
        lines = [f"id = {{ column = {quoted(order)} }}"]
        if product:
            lines.append(f"product = {{ column = {quoted(product)} }}")
            drafter.products = sorted(set(filter(None, rows.cells(product))))[:MANY]
        if len(drafter.stations) > 1 and (self.column is None or self._apart(order)):
            lines.append('of = "station"')
        if span is not None and not drafter.by_cycle:
            lines += [span.starts, span.until]
        drafter.rules.insert(0, "\n".join(["", "[order]", *lines]))
        drafter.orders = True

    def _apart(self, order: str) -> bool:
        """Whether the stations of the line work on orders of their own, so that those of the line would take turns."""
        ts = self.span.begin.ts[self.rows.ok] if self.span is not None else self.rows.times()
        cells = [self.rows.cells(order)[k] for k in np.argsort(ts, kind="stable")]
        changes = sum(a != b for a, b in pairwise(cells))
        return bool(changes > 2 * len(set(cells)))


def wholes_of(rows: DraftRows, role: str) -> list[str]:
    """The columns of whole numbers that tell this role, the likeliest first."""
    named = [name for name in rows.names if name not in rows.used and role_of(name, (role,)) == role]
    named.sort(key=lambda name: (name.lower() in ALONE, good_rank(name) if role == "good" else 0))
    found = []
    for name in named:
        values = rows.whole(name)
        if values is not None and (
            name.lower() not in ALONE or ((values[1:] > values[:-1]).any() and counts_on(values))
        ):
            found.append(name)
    return found


def _is_done(word: str) -> bool:
    return any(part in _ENDS or part in ("ok", "good", "pass", "passed", "success") for part in tokens(word))


def _pairs(cells: Sequence[str]) -> dict[str, str] | None:
    """Words that begin and end something, where the column holds both and little else."""
    pairs = {}
    for word in sorted(set(filter(None, cells))):
        last = tokens(word)
        which = {"start" for part in last if part in _STARTS} | {"end" for part in last if part in _ENDS}
        if len(which) == 1:
            pairs[word] = which.pop()
    words = set(filter(None, cells))
    return pairs if set(pairs.values()) == {"start", "end"} and len(pairs) == len(words) else None
