"""What casts doubt on the figures: counted by line, station and subject, and told as alerts of kind `data_quality`.

The fold says each time that it met one (kernels.fold.layout DOUBT_*). Raised is the first, the tenth, the hundredth of
a subject: a source that is always wrong must not drown what else is wrong.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np
import numpy.typing as npt

from kernels.fold import layout as at
from twin.line.remembered import LineMemory, doubts_in_order
from twin.line.texts import Texts
from twin.measures.integral import DOUBT_GAP
from twin.plant.model import Plant
from twin.plant.shared import once_a_plant

I64 = npt.NDArray[np.int64]

# Subjects of a line that are counted one by one; more of them are counted together.
MAX_SUBJECTS: Final = 1_000
# Orders that a line remembers to have ended.
MAX_ENDED: Final = 1_000
_BETWEEN: Final = "\0"

WHAT: Final = {
    at.DOUBT_READING: "a reading of counter {} was not believed and not counted: nothing could have made it, and the "
    "reading after it did not confirm it; look at the gateway",
    at.DOUBT_STEP: "counter {} rose faster than the ideal cycle allows, and was believed after a second reading; "
    "correct `ideal_cycle`, or say `fastest_cycle`",
    at.DOUBT_BASELINE: "counter {} went on from a value that nothing could have made since the reading before: that "
    "step was not counted; if it was made, correct `ideal_cycle` or say `fastest_cycle`",
    at.DOUBT_ORDER_NAMED: "parts of order {} were counted while their station did not work on it: they are in no "
    "order's figures; send the order's start before them, or an event that is late to a line that revises",
    at.DOUBT_ORDER_END: "order {} ended and was not open",
    at.DOUBT_ORDER_REPEATED: "order {} began while it was open: taken as the same start sent again",
    at.DOUBT_PRODUCT: "product {} is not in the plant file: the station's own ideal cycle counts; add the product, or "
    "correct its name",
    at.DOUBT_DECLARED: "product {} was declared otherwise than the plant file has it: the file counts; take the "
    "product out of it where the events are to say it, or correct either",
    at.DOUBT_FACTOR: "product {} was declared with a factor on a line without units: it does not count; give the "
    "line a unit and its stations their factors",
    at.DOUBT_FORGOTTEN: "product {} was declared, and of very many it was not used for longest: it is forgotten; send "
    "its ideal cycle with its orders, or put it into the plant file",
    at.DOUBT_GOOD: "good parts were counted at a station whose cycles, or counter of all parts, count them already: "
    "they were left out; send scrap and rework only",
    at.DOUBT_CYCLES: "cycle events contradict the buffers (a start without a part or before the last end, an end "
    "without a start): blocked, starved and the critical path are doubtful; check capacities and initial levels in the "
    "plant file, and that every station between buffers sends its cycles",
    at.DOUBT_UNHEARD: "never heard of, so it is unknown all the time; check how its source names it, or take it out of "
    "the plant file",
    at.DOUBT_UNITS: "stations most likely count different things, so constraint and OTE are doubtful; `twin plant "
    "check` says which: give the line a unit and each station its unit and factor",
    at.DOUBT_METER: "a reading of meter {} was not believed and not counted: it fell, or rose faster than "
    "`most_per_hour` allows, and the reading after it did not confirm it; look at the gateway",
    at.DOUBT_METER_LEFT: "meter {} went on from another reading, as one does that was exchanged or set: what it "
    "measured in between is not known and not counted",
    DOUBT_GAP: "the gauge of {} was not read for longer than its `gap`: of that time nothing is in it; look for "
    "what holds its readings up, or raise `gap`",
    at.NOTE_ORDER_STARTED: "order {} began again after it had ended: it has a row for each time",
}
# What admission counts of a source, by kernels.fold.layout TOLD_*: the subject, and the sentence.
FACTS: Final = {
    at.TOLD_LATE: (
        "late",
        "events came later than `lateness` allows, or under an old epoch: they are refused, or revise where the line "
        "has a `revise` time; raise `lateness`, or look for what holds them up",
    ),
    at.TOLD_REPEATS: (
        "repeats",
        "sequence numbers came again, and their events are not counted: sent again after a break, which is well, or by "
        "two senders, which is not",
    ),
    at.TOLD_GAPS: (
        "gaps",
        "sequence numbers are missing: events were lost between the source and the twin; look at its gateway",
    ),
    at.TOLD_SKEW: (
        "skew",
        "events always lie behind the line's newest one: its clock is late by so many seconds, or another one of the "
        "line is early; set the clocks, or raise `lateness`",
    ),
}
# Whose AO_SINCE is the number of a counter; that of the others is the number of a text, -1 none.
_OF_COUNTER: Final = frozenset({at.DOUBT_READING, at.DOUBT_STEP, at.DOUBT_BASELINE})


@dataclass(frozen=True, slots=True)
class Doubt:
    """How often one thing was met, where first (ns since 1970 UTC), and the sentence that says what and what to do."""

    line: str
    station: str | None
    what: str
    count: int
    first_ns: int

    def __str__(self) -> str:
        place = self.line if self.station is None else f"{self.line}/{self.station}"
        times = "once" if self.count == 1 else f"{self.count:,} times, first"
        return f"{place}: {self.what} ({times} at {instant(self.first_ns)})"


def instant(ts_ns: int) -> str:
    """UTC to the second, for people."""
    return datetime.fromtimestamp(ts_ns // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@once_a_plant
def _counters(plant: Plant) -> list[str]:
    """Id of every counter, as the rows of `State.counters` are numbered."""
    return [c.id for station in plant.stations for c in station.counters]


class Doubts:
    """Counts what the fold says, in the memory of the lines."""

    def __init__(self, plant: Plant, texts: Texts) -> None:
        self._plant = plant
        self._texts = texts
        self._counters = _counters(plant)

    def met(self, rows: I64, memory: dict[int, LineMemory]) -> Iterator[tuple[int, int, int, list[Doubt]]]:
        """Of rows (n, N_AO) of the DOUBT_* kinds: line, station (-1 the line), instant, what is to be told there."""
        told: dict[tuple[int, int, int], list[Doubt]] = {}
        for row in rows.tolist():
            number, station, ts = row[at.AO_LINE], row[at.AO_STATION], row[at.AO_TS]
            mine = memory.setdefault(number, LineMemory())
            local = self._plant.stations[station].id if station >= 0 else ""
            key = _BETWEEN.join((str(row[at.AO_KIND]), local, self._subject(row[at.AO_KIND], row[at.AO_SINCE])))
            note = row[at.AO_KIND] in (at.NOTE_ORDER_STARTED, at.NOTE_ORDER_ENDED)
            if note and not self._again(mine, row[at.AO_KIND], key.split(_BETWEEN, 1)[1]):
                continue
            if key not in mine.doubts and len(mine.doubts) >= MAX_SUBJECTS:
                key = _BETWEEN.join((str(row[at.AO_KIND]), "", "(others)"))
            before, first = mine.doubts.get(key, (0, ts))
            count = before + (row[at.AO_SINCE] if row[at.AO_KIND] == at.DOUBT_CYCLES else 1)
            mine.doubts[key] = (count, first)
            if len(str(count)) > (len(str(before)) if before else 0):
                told.setdefault((number, station, ts), []).append(self._doubt(number, key, count, first))
        for (number, station, ts), doubts in told.items():
            yield number, station, ts, doubts

    def _again(self, mine: LineMemory, kind: int, order: str) -> bool:
        """Whether an order begins that has ended before; of the last ones it is remembered."""
        if kind == at.NOTE_ORDER_STARTED:
            return order in mine.ended
        if order not in mine.ended:
            mine.ended.append(order)
            del mine.ended[:-MAX_ENDED]
        return False

    def _subject(self, kind: int, about: int) -> str:
        if kind == at.DOUBT_CYCLES:
            return ""
        return self._counters[about] if kind in _OF_COUNTER else self._texts.text(about) or ""

    def _doubt(self, line: int, key: str, count: int, first: int) -> Doubt:
        kind, station, subject = key.split(_BETWEEN, 2)
        return Doubt(self._plant.lines[line].id, station or None, WHAT[int(kind)].format(subject), count, first)

    def all(self, memory: dict[int, LineMemory]) -> list[Doubt]:
        """Everything that was met so far, line by line, but what `twin.line.quality` sees at the end."""
        return [
            self._doubt(line, key, *counted)
            for line, mine in sorted(memory.items())
            for key, counted in doubts_in_order(mine.doubts)
            if int(key.split(_BETWEEN, 1)[0]) not in (at.DOUBT_UNHEARD, at.DOUBT_UNITS)
        ]
