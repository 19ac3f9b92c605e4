"""The end of a log: where each line stands by the twin's own admission, and how long it takes to close what is open."""

from typing import Final

import numpy as np
import numpy.typing as npt

from kernels.codes import BEGIN_WITHIN_NS, END, HEARTBEAT, STATE, STOPPED, UNKNOWN
from kernels.fold import layout as at
from kernels.fold.admit import admit
from twin.events.block import EventBlock
from twin.line.admission import room
from twin.line.events import Preparation
from twin.line.numbers import numbers
from twin.line.texts import Texts
from twin.plant.model import Line, Plant

I64 = npt.NDArray[np.int64]

_FOLDED: Final = (at.ADMITTED, at.REVISES)


class Ends:
    """Follows logs as the twin will take them, to say where the heartbeat stands that closes a line.

    Every verdict is the kernel's own: of a line's newest time, of what is held at its end, and of the last word of each
    station, which says whether it may stand in a stop of undecided length. Of a line that the twin has begun already
    nothing is known here; its end is then at most too early, never too late.
    """

    def __init__(self, plant: Plant) -> None:
        self._plant = plant
        self._numbers = numbers(plant)
        self._preparation = Preparation(plant, Texts())
        self._lines = np.zeros((len(plant.lines), at.N_L), np.int64)
        self._seqs = np.zeros((len(plant.stations) + len(plant.lines), at.N_Q), np.int64)
        self._wrapped = np.zeros((self._numbers.wrapped_rows, at.N_W), np.int64)
        self._held = np.empty((0, at.N_E), np.int64)
        self._words: dict[int, tuple[tuple[int, int, int], bool]] = {}  # per station: when, whether it stands
        self._open = np.zeros(len(plant.lines), bool)

    def add(self, block: EventBlock, closes: npt.NDArray[np.bool_]) -> None:
        """The next events of all logs; `closes`: of each, whether its log has an end of its own."""
        self._open[block.line[closes]] = True
        rows = self._preparation.rows(block, 0)
        held = len(self._held)
        events = np.concatenate([self._held, rows]) if held else rows
        verdict = self._admit(events, held, self._lines, self._seqs, self._wrapped)
        self._held = events[verdict == at.HELD]
        _note(self._words, events, verdict)

    def ends(self) -> list[tuple[int, int]]:
        """(ts, line) of the heartbeat that ends each line: everything before it is closed, and it is never doubted."""
        lines = np.flatnonzero(self._open).tolist()
        tries = {line: self._candidates(line) for line in lines}
        found = {line: self._closing(line, tries[line].pop(0), self._words) for line in lines}
        left = lines
        while left:
            left = [line for line in left if not self._stands(line, found, tries[line])]
        return sorted((ts, line) for line, ts in found.items())

    def _candidates(self, line: int) -> list[int]:
        """What the end may lie behind, the likeliest first: what is held and at most a day (or `max_jump`) ahead, for
        nothing has refuted it, and where the line stands; of a line that nothing has begun, what came last."""
        row, held = self._lines[line], self._held[self._held[:, at.E_LINE] == line, at.E_TS]
        if not row[at.L_ADMITTED]:
            return [int(ts) for ts in held[::-1]]
        newest = int(row[at.L_NEWEST])
        most = newest + max(self._plant.lines[line].max_jump_ns, BEGIN_WITHIN_NS)
        return [*sorted(held[held <= most].tolist(), reverse=True), newest]

    def _stands(self, line: int, found: dict[int, int], others: list[int]) -> bool:
        """Whether the twin takes the end of the line that was found; else there is another one to try."""
        held = self._held[self._held[:, at.E_LINE] == line]
        end = np.zeros((1, at.N_E), np.int64)
        end[0, [at.E_LINE, at.E_TS, at.E_STATION, at.E_SEQ]] = line, found[line], -1, -1
        end[0, [at.E_TYPE, at.E_CODE]] = HEARTBEAT, END
        events = np.concatenate([held, end])
        verdict = self._admit(events, len(held), self._lines.copy(), self._seqs.copy(), self._wrapped.copy())
        if verdict[-1] != at.ADMITTED:
            if not others:
                return True
            found[line] = self._closing(line, others.pop(0), self._words)
            return False
        newest, words = int(self._lines[line, at.L_NEWEST]), dict(self._words)
        _note(words, events, verdict)
        borne_out = events[:-1][verdict[:-1] == at.ADMITTED, at.E_TS]
        closing = self._closing(line, max([newest, *borne_out.tolist()]), words)
        if closing <= found[line]:
            return True
        # It bears out what lies further on than was thought.
        found[line] = closing
        return False

    def _closing(self, line: int, newest: int, words: dict[int, tuple[tuple[int, int, int], bool]]) -> int:
        first, count = self._numbers.lines[line, [at.LC_STATION, at.LC_STATIONS]].tolist()
        stopped = [k for k in range(count) if (word := words.get(first + k)) and word[1]]
        return closing_ns(self._plant.lines[line], newest, stopped)

    def _admit(self, events: I64, held: int, lines: I64, seqs: I64, wrapped: I64) -> npt.NDArray[np.int8]:
        verdict, told = np.zeros(len(events), np.int8), room(len(events))
        following, due, offset = np.zeros((3, len(events)), np.int64)
        head = np.full(len(lines), -1, np.int64)
        n = self._numbers
        admit(
            events, held, lines, n.lines, n.stations, seqs, wrapped, offset, verdict, told, head, following, due
        )  # fmt: skip
        return verdict


def _note(words: dict[int, tuple[tuple[int, int, int], bool]], events: I64, verdict: npt.NDArray[np.int8]) -> None:
    """The last words of the stations that these events speak of. Who does not know says nothing new."""
    told = (events[:, at.E_TYPE] == STATE) & (events[:, at.E_CODE] != UNKNOWN) & np.isin(verdict, _FOLDED)
    said = events[told]
    if not len(said):
        return
    said = said[np.lexsort((said[:, at.E_SEQ], said[:, at.E_EPOCH], said[:, at.E_TS]))]
    # Of a station's words the last one stays.
    stations, last = np.unique(said[::-1, at.E_STATION], return_index=True)
    for station, k in zip(stations.tolist(), (len(said) - 1 - last).tolist(), strict=True):
        when = int(said[k, at.E_TS]), int(said[k, at.E_EPOCH]), int(said[k, at.E_SEQ])
        if station not in words or when >= words[station][0]:
            words[station] = when, bool(said[k, at.E_CODE] == STOPPED)


def closing_ns(line: Line, newest: int, stopped: list[int]) -> int:
    """Where the heartbeat stands that closes a log of the line: when its time has passed to there, less the lateness,

    the rows of the next publishing tick are out, what waits for that tick is applied, and a stop is decided that began
    by then. What was measured in an interval is out when the line's time has passed its end, not at the end itself.
    """
    tick = (newest // line.publish_every_ns + 1) * line.publish_every_ns
    measured = bool(line.measures or any(one.measures for one in line.stations)) and newest % line.publish_every_ns > 0
    return int(measured) + tick + max((line.stations[k].minor_stop_ns for k in stopped), default=0) + line.lateness_ns
