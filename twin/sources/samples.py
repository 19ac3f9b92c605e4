"""Sample and hold: rows that are samples of a station, each true for a while, become changes of state.

A sample holds for `hold`. When the next sample of the station comes later than `hold + tolerance` the time between is
a gap, and the state is unknown from the end of `hold` on. The clock of that decision is the line's own newest row, so
that a station that went silent is closed while the others go on, and wherever a piece of the file ends.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from kernels.codes import STATE, UNKNOWN
from twin.sources.blocks import Words
from twin.sources.chain import Link
from twin.sources.drafts import END, RULE, Draft, draft, draft_between
from twin.sources.drafts import UNKNOWN as RANK_UNKNOWN
from twin.sources.summary import Summary
from twin.sources.times import iso

I64 = npt.NDArray[np.int64]
Index = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]
UNKNOWN_WORD = "unknown"
NEVER = -(2**63)  # no time
LONG_AGO = -(2**60)  # further back, and what lies between it and a late year is no int64
_NOTHING: tuple[str | None, ...] = (UNKNOWN_WORD, None, None)


@dataclass(slots=True)
class LineRows:
    """A line's rows that may still get an event between them: their newest time so far, and where they stand."""

    newest: I64 = field(default_factory=lambda: np.empty(0, np.int64))
    at: I64 = field(default_factory=lambda: np.empty(0, np.int64))
    seen: int | None = None  # newest time of all rows

    def add(self, ts: I64, at: I64) -> I64:
        """The newest time of the line at each of these rows, itself included."""
        if not len(ts):
            return ts
        newest = np.maximum.accumulate(ts)
        if self.seen is not None:
            newest = np.maximum(newest, self.seen)
        self.newest = np.concatenate([self.newest, newest])
        self.at = np.concatenate([self.at, at])
        self.seen = int(newest[-1])
        return newest

    def place(self, ts: I64) -> I64:
        """The first row with a later time than this; END where there is none yet."""
        return np.append(self.at, END)[np.searchsorted(self.newest, ts, side="right")]

    def forget(self, before: int) -> None:
        keep = self.at >= before
        self.newest, self.at = self.newest[keep], self.at[keep]


@dataclass(slots=True)
class Station:
    """What is known of a station between two pieces of the file."""

    line: int
    newest: int | None = None
    row: int = -1  # where its last row stands
    state: tuple[str | None, ...] = _NOTHING
    counters: dict[str, int] = field(default_factory=dict)
    gaps: Index = field(default_factory=lambda: np.empty(0, np.intp))  # rows of this piece that follow a gap
    missed: set[str] = field(default_factory=set)  # counters not read since a gap in this piece
    due: set[str] = field(default_factory=set)  # and since one in an earlier piece


@dataclass(slots=True)
class StateRows:
    """The state each row reports: numbers into the words, -1 absent; `known` where there is one at all."""

    known: npt.NDArray[np.bool_]
    code: I64
    ids: I64  # shape (rows, 3): state, reason, mode
    ts: I64  # since when
    ends: I64  # until when, where the row says so; else NEVER
    outside: I64  # class of the state outside of such an interval


class Samples:
    """The changes of state of every station of one log."""

    def __init__(self, name: str, hold_ns: int, tolerance_ns: int, summary: Summary, link: Link | None = None) -> None:
        self._link = link
        self._name = name
        self._hold = hold_ns
        self._limit = hold_ns + tolerance_ns
        self._summary = summary
        self._stations: dict[int, Station] = {}

    def changes(
        self,
        station: int,
        line: int,
        rows: Index,
        at: I64,
        ts: I64,
        newest: I64,
        states: StateRows,
        around: LineRows,
        words: Words,
        where: I64,
    ) -> list[Draft]:
        """The state events of one station's rows (`rows` indexes the arrays beside it; `where` is for messages)."""
        carry = self._stations.setdefault(station, Station(line))
        t = ts[rows]
        begin = int(t[0]) if carry.newest is None else carry.newest
        before = np.maximum.accumulate(np.concatenate([[begin], t]))
        carry.newest, before = int(before[-1]), before[:-1]
        gaps = np.flatnonzero(newest[rows] - before > self._limit)
        if self._link is not None:
            spans = zip([begin, *t[gaps].tolist()], [*before[gaps].tolist(), carry.newest], strict=True)
            self._link.see_rows((line, station), spans)
        ends = before[gaps] + self._hold
        behind = np.concatenate([[carry.row], at[rows]])[gaps]
        carry.row = int(at[rows[-1]])
        carry.due |= carry.missed
        carry.gaps, carry.missed = rows[gaps], set(carry.counters) if len(gaps) else set()
        for gap, end in zip(gaps.tolist(), ends.tolist(), strict=True):
            length = max(0, int(t[gap]) - end)
            self._summary.gap(length, f"{self._name}:{where[rows[gap]]}: {length / 1e9:g} s without a sample")
        told = np.flatnonzero(states.known[rows])
        # Gaps and samples in the order of the rows, a gap before its row.
        order = np.argsort(np.concatenate([gaps * 2, told * 2 + 1]), kind="stable")
        nothing = words.table([UNKNOWN_WORD])[0]
        ids = np.concatenate([np.tile([nothing, -1, -1], (len(gaps), 1)), states.ids[rows[told]]])[order]
        if not len(ids):
            return []
        carried = [words.add(word) if word is not None else -1 for word in carry.state]
        changed = (ids != np.concatenate([[carried], ids[:-1]])).any(axis=1)
        carry.state = tuple(words.list[i] if i >= 0 else None for i in ids[-1])
        of_gap = order < len(gaps)
        closing = order[changed & of_gap]
        telling = rows[told[order[changed & ~of_gap] - len(gaps)]]
        return [
            self._unknown(station, line, ends[closing], behind[closing], around, words),
            draft(
                words.list,
                at[telling],
                ts[telling],
                line,
                RULE,
                station=station,
                type=STATE,
                code=states.code[telling],
                x=states.ids[telling, 0],
                y=states.ids[telling, 1],
                z=states.ids[telling, 2],
            ),
        ]

    def close(self, lines: dict[int, LineRows], words: Words, final: bool) -> tuple[list[Draft], int]:
        """Close the stations whose last sample no longer holds (`final`: all), at the end of a piece.

        Also the first row that must wait: an end of hold not yet certain may still come before it. None is certain
        before it is known how the other logs begin.
        """
        drafts, wait = [], END
        certain = self._link is None or self._link.begun
        if final and self._link is not None:
            self._tell_overlaps(self._link)
        for station, carry in self._stations.items():
            around = lines[carry.line]
            if carry.state == _NOTHING or carry.newest is None or around.seen is None:
                continue
            end, behind = np.array([carry.newest + self._hold], np.int64), np.array([carry.row], np.int64)
            if final or (certain and around.seen - carry.newest > self._limit):
                if not self._goes_on(station, carry):
                    drafts.append(self._unknown(station, carry.line, end, behind, around, words))
                carry.state = _NOTHING
            else:
                wait = min(wait, int(_between(end, behind, around)[0]))
        if self._link is not None:
            self._link.closes = {(carry.line, i) for i, carry in self._stations.items() if carry.state != _NOTHING}
        return drafts, wait

    def _goes_on(self, station: int, carry: Station) -> bool:
        """Whether another log has the station's next sample before there is a gap."""
        if self._link is None or carry.newest is None:
            return False
        return self._link.goes_on_by((carry.line, station), carry.newest, self._limit)

    def _tell_overlaps(self, link: Link) -> None:
        """Rows of several logs count by their time: right where they are the same ones, and nobody knows that."""
        for station, carry in self._stations.items():
            for other, first_ns, last_ns in link.overlapping((carry.line, station)):
                self._summary.problem(
                    "overlap",
                    f"{other.name}: has samples of a station from {iso(first_ns)} on, and {self._name} until "
                    f"{iso(last_ns)}; where they differ, both count",
                )

    def counter_changes(self, station: int, counter: str, rows: Index, values: I64) -> Mask:
        """Which readings of a running counter tell something: another value than before, or the first after a gap."""
        carry = self._stations[station]
        changed = np.ones(len(rows), bool)
        changed[1:] = values[1:] != values[:-1]
        changed[0] = counter in carry.due or carry.counters.get(counter) != values[0]
        after = np.searchsorted(rows, carry.gaps)
        changed[after[after < len(rows)]] = True
        carry.due.discard(counter)
        carry.missed.discard(counter)
        if len(carry.gaps) and carry.gaps[-1] > rows[-1]:
            carry.missed.add(counter)
        carry.counters[counter] = int(values[-1])
        return changed

    def _unknown(self, station: int, line: int, ts: I64, behind: I64, around: LineRows, words: Words) -> Draft:
        unknown = words.add(UNKNOWN_WORD)
        return draft_between(
            words.list,
            _between(ts, behind, around),
            ts,
            line,
            RANK_UNKNOWN,
            station=station,
            type=STATE,
            code=UNKNOWN,
            x=unknown,
        )


def _between(ts: I64, behind: I64, around: LineRows) -> I64:
    """Where the end of a hold stands: by its time, and never before the row that is held (`behind`)."""
    return np.maximum(around.place(ts), behind + 1)
