"""Revisions: late events and corrections are folded in where they belong, and rows that change are written again.

A line with a `revise` time keeps its folded events and, every quarter of that time, a copy of its state (a base). At
the publishing tick after a late event or a correction, the line goes back to the last base before it and folds again
what followed, once as it was and once as it is now known. Rows that differ leave with the line's next revision number;
rows that are no more are retracted. So a revised row is by construction what the events in their true order would have
given.

Rejected: correcting the sums in place. Every window, cut, path and stop that a late event touches would need code of
its own that is right only if it does what folding does anyway.

All that is late until a tick is revised together, so the work is bounded: two folds of the kept time per line and tick.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from kernels.codes import CORRECTION
from kernels.fold import layout as at
from twin.line.admission import Admission, Admitted, Late
from twin.line.correction import Amended, Correction, apply_all, parse
from twin.line.engine import Engine, Tables
from twin.line.events import in_order
from twin.line.remembered import SavedHistory
from twin.line.revised import changes, stamped
from twin.line.shape import Translation
from twin.plant.model import Plant

I64 = npt.NDArray[np.int64]

# Events that a line keeps at most: beyond it the oldest bases go early, and what is older is refused as late.
MAX_KEPT: Final = 1 << 20
_BASES: Final = 4  # per revise time
_NEVER: Final = 1 << 62


@dataclass(slots=True)
class Base:
    """The line before any event at or after ts; 0: before its first."""

    ts: int
    state: bytes


@dataclass(slots=True)
class History:
    bases: list[Base]
    before: I64  # folded events from the first base up to the last, in order
    since: list[I64] = field(default_factory=list)  # and from the last base on
    late: list[Late] = field(default_factory=list)
    corrections: list[Late] = field(default_factory=list)
    amended: list[Amended] = field(default_factory=list)  # kept events that were corrected

    def events(self) -> I64:
        """All folded events that are kept."""
        return np.concatenate([self.before, *self.since])

    def add(self, events: I64) -> None:
        if len(events):
            self.since.append(events)

    def keep(self, events: I64) -> None:
        """These and no others, in their order."""
        before, since = _split(events, self.bases[-1].ts)
        self.before, self.since = before, [since] if len(since) else []

    def due(self) -> int:
        """The first tick at which there is something to revise."""
        return min((one.due for one in (*self.late, *self.corrections)), default=_NEVER)


class Revisions:
    """The histories of all lines that keep one."""

    def __init__(self, engine: Engine, admission: Admission) -> None:
        self._engine = engine
        self._admission = admission
        self._lines = engine.numbers.lines
        self.keeping = self._lines[:, at.LC_REVISE_NS] > 0
        self.any = bool(self.keeping.any())
        self.histories: dict[int, History] = {}
        # What was refused only when it was to have an effect: of late events, and of corrections that came in time and
        # were folded as signs of life.
        self.refused_late = self.refused_folded = 0

    def take(self, admitted: Admitted) -> None:
        """Note what is late and what corrects, before the block's events are folded."""
        for late in admitted.revising:
            self._history(int(late.row[at.E_LINE])).late.append(late)
        for correction in admitted.corrections:
            self._history(int(correction.row[at.E_LINE])).corrections.append(correction)

    def advance(self, events: I64, lines: I64, until: I64) -> Iterator[Tables]:
        """Fold the events of the lines that keep a history and let their time pass, with the revisions that fall due.

        `events` (sorted) and `lines` hold such lines only. Lines that meet neither a base nor a revision are folded in
        one go.
        """
        plain_events, plain_lines, plain_until = [], [], []
        for line, limit in zip(lines.tolist(), until.tolist(), strict=True):
            lo, hi = np.searchsorted(events[:, at.E_LINE], [line, line + 1])
            mine = events[lo:hi]
            history = self.histories.get(line)
            if history is None and len(mine):
                history = self._history(line)
            if history is None:
                continue
            if self._next_cut(line, history, mine) <= limit:
                yield from self._stepwise(line, history, mine, limit, revise=True)
                continue
            history.add(mine)
            plain_events.append(mine)
            plain_lines.append(line)
            plain_until.append(limit)
        if plain_lines:
            tables = self._engine.run(np.concatenate(plain_events), np.array(plain_lines), np.array(plain_until))
            yield self._stamped(tables, plain_lines)

    def at_once(self, line: int, ts: int) -> Iterator[Tables]:
        """Revise what waits for a tick; the line's time stands at `ts`."""
        history = self.histories.get(line)
        if history is None:
            return
        for one in (*history.late, *history.corrections):
            one.due = min(one.due, ts)
        if history.due() <= ts:
            yield from self._revise(line, history, ts)

    def to_the_end(self, line: int, events: I64, ts: int) -> Iterator[Tables]:
        """Fold the line's last events, and revise at `ts` what waits."""
        history = self.histories[line]
        yield from self._stepwise(line, history, events, ts, revise=True)
        yield from self.at_once(line, ts)

    def _history(self, line: int) -> History:
        """The line's history; it begins before the line's first event is folded."""
        history = self.histories.get(line)
        if history is None:
            nothing = np.empty((0, at.N_E), np.int64)
            history = self.histories[line] = History([Base(0, self._engine.save_line(line))], nothing)
        return history

    def _next_cut(self, line: int, history: History, coming: I64) -> int:
        """The next instant at which a base is made or something is revised."""
        return min(history.due(), self._boundary(line, history, coming))

    def _boundary(self, line: int, history: History, coming: I64) -> int:
        """Where the next base is due: on a grid, behind the first event since the last base; sooner if events crowd."""
        since = [*history.since, coming] if len(coming) else history.since
        if not since:
            return _NEVER
        step = max(int(self._lines[line, at.LC_REVISE_NS]) // _BASES, int(self._lines[line, at.LC_PUBLISH_NS]))
        boundary = (int(since[0][0, at.E_TS]) // step + 1) * step
        if sum(map(len, since)) > MAX_KEPT // _BASES:
            ts = np.concatenate([piece[:, at.E_TS] for piece in since])
            crowded = int(np.searchsorted(ts, ts[MAX_KEPT // _BASES - 1], side="right"))
            if crowded < len(ts):
                boundary = min(boundary, int(ts[crowded]))
        return boundary

    def _stepwise(self, line: int, history: History, events: I64, until: int, *, revise: bool) -> Iterator[Tables]:
        following = self._next_cut if revise else self._boundary
        while (cut := following(line, history, events)) <= until:
            n = int(np.searchsorted(events[:, at.E_TS], cut))
            yield self._stamped(self._fold(line, history, events[:n], cut), [line])
            events = events[n:]
            if revise and history.due() <= cut:
                yield from self._revise(line, history, cut)
            if self._boundary(line, history, events) <= cut:
                self._new_base(line, history, cut)
        yield self._stamped(self._fold(line, history, events, until), [line])

    def _stamped(self, tables: Tables, lines: Sequence[int]) -> Tables:
        numbers = self._engine.state.lines[:, at.L_REVISION]
        return stamped(tables, {self._engine.plant.lines[k].id: int(numbers[k]) for k in lines if numbers[k]})

    def _fold(self, line: int, history: History, events: I64, until: int) -> Tables:
        history.add(events)
        return self._engine.run(events, np.array([line]), np.array([until]))

    def _new_base(self, line: int, history: History, ts: int) -> None:
        """A late event, as old as `revise` when it comes, waits for the tick behind the line's newest event."""
        events = history.events()
        times = events[:, at.E_TS]
        history.bases.append(Base(ts, self._engine.save_line(line)))
        oldest = ts - int(self._lines[line, [at.LC_REVISE_NS, at.LC_LATENESS_NS, at.LC_PUBLISH_NS]].sum())
        kept = history.bases
        while len(kept) > 1 and (
            kept[1].ts <= oldest or len(times) - int(np.searchsorted(times, kept[0].ts)) > MAX_KEPT
        ):
            kept = kept[1:]
        history.bases = kept
        history.keep(_split(events, kept[0].ts)[1].copy())
        history.amended = [one for one in history.amended if one.row[at.E_TS] >= kept[0].ts]

    def _revise(self, line: int, history: History, tick: int) -> Iterator[Tables]:
        """Fold again from before the oldest change up to `tick`; the rows that differ."""
        late = [one for one in history.late if one.due <= tick]
        # The last word counts.
        told = sorted((one for one in history.corrections if one.due <= tick), key=_arrival)
        corrections = [parse(one.value, one.offset, _arrival(one)) for one in told]
        # A correction that came late is both, and was counted once.
        waited = {_arrival(one) for one in (*late, *told)}
        self._engine.state.lines[line, at.L_REVISING] -= len(waited)
        history.late = [one for one in history.late if one.due > tick]
        history.corrections = [one for one in history.corrections if one.due > tick]
        oldest = history.bases[0].ts
        # A correction of the line's is no sign of life of any station: there is nothing of it to fold.
        in_time = [
            one
            for one in late
            if one.row[at.E_TS] >= oldest and not (one.row[at.E_TYPE] == CORRECTION and one.row[at.E_STATION] < 0)
        ]
        too_old = [one for one in corrections if one.ts < oldest and one.arrival in map(_arrival, late)]
        corrections = [one for one in corrections if one not in too_old]
        was = history.events()
        rows = in_order(np.concatenate([was, *(one.row[None, :] for one in in_time)]))
        now, refused = apply_all(rows, history.amended, corrections, self._engine, line)
        history.amended = now.amended
        changed = np.concatenate([[one.row[at.E_TS] for one in in_time], now.changed]).astype(np.int64)
        forgotten = [one for one in late if one.row[at.E_TS] < oldest]
        came_late = {_arrival(one) for one in late}
        in_vain = sum(one.arrival in came_late for one, _ in refused)
        self.refused_late += len(forgotten) + in_vain
        self.refused_folded += len(refused) - in_vain
        yield self._refused(line, forgotten, refused)
        if not changed.size:
            return
        k = max(k for k, base in enumerate(history.bases) if base.ts <= changed.min())
        base = history.bases[k]
        before, after = _split(was, base.ts)
        self._engine.load_line(line, base.state)
        stood = self._engine.run(after, np.array([line]), np.array([tick]))
        self._engine.load_line(line, base.state)
        history.bases = history.bases[: k + 1]
        history.keep(before)
        _, again = _split(now.rows, base.ts)
        stands = list(self._stepwise(line, history, again, tick, revise=False))
        self._engine.state.lines[line, at.L_REVISION] += 1
        yield changes([stood], stands, int(self._engine.state.lines[line, at.L_REVISION]), tick)

    def _refused(self, line: int, late: list[Late], corrections: list[tuple[Correction, int]]) -> Tables:
        if not late and not corrections:
            return {}
        rows = np.zeros((len(late) + len(corrections), at.N_E), np.int64)
        rows[:, at.E_LINE] = line
        rows[:, at.E_TS] = [*(one.row[at.E_TS] for one in late), *(one.ts for one, _ in corrections)]
        verdict = np.array([*(at.LATE for _ in late), *(why for _, why in corrections)], np.int8)
        values = [*(one.value for one in late), *(one.value for one, _ in corrections)]
        offsets = np.array([*(one.offset for one in late), *(one.offset for one, _ in corrections)], np.int64)
        return {"rejected": self._admission.rejected(rows, verdict, values, offsets)}

    def event_arrays(self) -> list[I64]:
        """Every array of event rows, in a fixed order; `set_event_arrays` takes them back."""
        arrays = []
        for line in sorted(self.histories):
            history = self.histories[line]
            none = np.empty((0, at.N_E), np.int64)
            late = [one.row[None, :] for one in history.late]
            amended = [one.row[None, :] for one in history.amended]
            arrays += [history.events(), np.concatenate([none, *late]), np.concatenate([none, *amended])]
        return arrays

    def set_event_arrays(self, arrays: list[I64]) -> None:
        for k, line in enumerate(sorted(self.histories)):
            history = self.histories[line]
            history.keep(arrays[3 * k])
            for one, row in zip(history.late, arrays[3 * k + 1], strict=True):
                one.row = row
            for about, row in zip(history.amended, arrays[3 * k + 2], strict=True):
                about.row = row

    def save(self, arrays: list[I64]) -> dict[int, SavedHistory]:
        """`arrays` as `event_arrays` gives them, perhaps with other numbers of texts."""
        saved = {}
        for k, line in enumerate(sorted(self.histories)):
            history = self.histories[line]
            late = zip(history.late, arrays[3 * k + 1], strict=True)
            saved[line] = SavedHistory(
                [(base.ts, base.state) for base in history.bases],
                arrays[3 * k].tobytes(),
                [(one.due, row.tobytes(), one.value, one.offset) for one, row in late],
                [
                    (one.due, one.row.tobytes(), one.value, one.offset)
                    for one in sorted(history.corrections, key=_arrival)
                ],
                arrays[3 * k + 2].tobytes(),
                [[(one.value, one.offset, one.arrival) for one in about.told] for about in history.amended],
            )
        return saved

    def load(self, saved: dict[int, SavedHistory]) -> None:
        for line, one in saved.items():
            events = np.frombuffer(one.events, np.int64).reshape(-1, at.N_E).copy()
            history = self.histories[line] = History([Base(ts, state) for ts, state in one.bases], events)
            history.keep(events)
            history.late = [_late(*late) for late in one.late]
            history.corrections = [_late(*correction) for correction in one.corrections]
            history.amended = _amended(one)


def translated(saved: dict[int, SavedHistory], plant: Plant, written: Translation) -> dict[int, SavedHistory]:
    """Histories that were written in the names of another version, in today's. Raises SnapshotError and ValueError."""
    engine = Engine(plant)
    return {line: _translated(line, history, engine, written) for line, history in saved.items()}


def _translated(line: int, history: SavedHistory, engine: Engine, written: Translation) -> SavedHistory:
    bases = []
    for ts, state in history.bases:
        engine.load_line(line, state, written)
        bases.append((ts, engine.save_line(line)))

    def events(data: bytes, *, ordered: bool = False) -> bytes:
        return written.events(np.frombuffer(data, np.int64), ordered=ordered).tobytes()

    return SavedHistory(
        bases,
        events(history.events, ordered=True),
        [(due, events(row), value, offset) for due, row, value, offset in history.late],
        [(due, events(row), value, offset) for due, row, value, offset in history.corrections],
        events(history.amended),
        history.told,
    )


def _split(rows: I64, ts: int) -> tuple[I64, I64]:
    """Rows before ts, and those at or after it."""
    n = int(np.searchsorted(rows[:, at.E_TS], ts))
    return rows[:n], rows[n:]


def _amended(saved: SavedHistory) -> list[Amended]:
    """A correction of several events (of a whole stop) is one."""
    parsed: dict[int, Correction] = {}
    rows = np.frombuffer(saved.amended, np.int64).reshape(-1, at.N_E)
    found = []
    for row, told in zip(rows, saved.told, strict=True):
        each = [parsed.setdefault(arrival, parse(value, offset, arrival)) for value, offset, arrival in told]
        found.append(Amended(row.copy(), each))
    return found


def _late(due: int, row: bytes, value: bytes, offset: int) -> Late:
    return Late(due, np.frombuffer(row, np.int64).copy(), value, offset)


def _arrival(one: Late) -> int:
    return int(one.row[at.E_ARRIVAL])
