"""Who made a station wait: starved and blocked time charged to the station that stood, over the buffers of the plant.

At each instant of a wait the way is followed from station to station, upstream where one is starved, downstream where
it is blocked, as long as that one waits the same way. Where it comes to a station that stands (down, minor stop, setup
or maintenance), the time is that one's; where it comes to one that runs, or out of the line, it stays with the one that
waited. Nothing is added or lost: what is charged and what stays sums to what was waited.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, pairwise
from typing import Final

from twin.plant.model import Line
from twin.report.losses import STOP, Loss, Losses, clipped, counts, loss_classes
from twin.report.rows import Row

STANDS: Final = ("down", "minor_stop", "setup", "maintenance")
WAITS: Final = ("starved", "blocked")


@dataclass(frozen=True, slots=True)
class Charge:
    """[start, end) of a wait of `victim`. `cause`: the row of the station that stood; None: there was none."""

    victim: Row
    start_ns: int
    end_ns: int
    cause: Row | None


class Lanes:
    """Rows of states of one line, by station and time, and who stands before and behind whom."""

    def __init__(self, line: Line, states: Sequence[Row]) -> None:
        self._rows: dict[str, list[Row]] = {one.id: [] for one in line.stations}
        for row in sorted(states, key=lambda one: int(one["start"])):
            self._rows.setdefault(row["station"], []).append(row)
        self._starts = {name: [int(row["start"]) for row in rows] for name, rows in self._rows.items()}
        feeds: dict[str, list[str]] = {}
        takes: dict[str, list[str]] = {}
        for one in line.stations:
            if one.output is not None:
                feeds.setdefault(one.output, []).append(one.id)
            for buffer in one.inputs:
                takes.setdefault(buffer, []).append(one.id)
        self._before = {one.id: [name for b in one.inputs for name in feeds.get(b, ())] for one in line.stations}
        self._behind = {one.id: takes.get(one.output, []) if one.output else [] for one in line.stations}

    def _at(self, station: str, ns: int) -> Row | None:
        place = bisect_right(self._starts[station], ns) - 1
        row = self._rows[station][place] if place >= 0 else None
        return row if row is not None and row["end"] > ns else None

    def _edges(self, station: str, start_ns: int, end_ns: int) -> Iterator[int]:
        starts, rows = self._starts[station], self._rows[station]
        for k in range(max(0, bisect_right(starts, start_ns) - 1), len(rows)):
            if starts[k] >= end_ns:
                return
            yield from (ns for ns in (starts[k], int(rows[k]["end"])) if start_ns < ns < end_ns)

    def charges(self, victim: Row, start_ns: int, end_ns: int) -> list[Charge]:
        """A wait within [start_ns, end_ns), cut where its cause changes; those alike side by side are put together."""
        first, last = max(int(victim["start"]), start_ns), min(int(victim["end"]), end_ns)
        way = self._before if victim["class"] == "starved" else self._behind
        found: list[Charge] = []
        if first >= last:
            return found
        for a, b, cause in self._causes(victim["station"], victim["class"], way, first, last, {victim["station"]}):
            if found and found[-1].cause is cause and found[-1].end_ns == a:
                found[-1] = Charge(victim, found[-1].start_ns, b, cause)
            else:
                found.append(Charge(victim, a, b, cause))
        return found

    def _causes(
        self, station: str, klass: str, way: dict[str, list[str]], start_ns: int, end_ns: int, seen: set[str]
    ) -> Iterator[tuple[int, int, Row | None]]:
        near = [name for name in way.get(station, ()) if name not in seen]
        edges = sorted({start_ns, end_ns, *(ns for name in near for ns in self._edges(name, start_ns, end_ns))})
        for a, b in pairwise(edges):
            rows = [(name, self._at(name, a)) for name in near]
            stands = next((row for _, row in rows if row is not None and row["class"] in STANDS), None)
            waits = next((name for name, row in rows if row is not None and row["class"] == klass), None)
            if stands is not None or waits is None:
                yield a, b, stands
            else:
                yield from self._causes(waits, klass, way, a, b, seen | {waits})


def charged(line: Line, states: Sequence[Row], start_ns: int, end_ns: int, policy: str) -> list[Loss]:
    """As `twin.report.losses.pareto`, but waits are those of the stations that stood. `count`: own stops that begin in
    the span, and beside them waits that have no cause."""
    wanted, lanes, found, pieces = loss_classes(policy), Lanes(line, states), Losses(), count(-1, -1)
    for row in states:
        if row["class"] not in wanted:
            continue
        begins = counts(row, start_ns, end_ns)
        if row["class"] not in WAITS:
            found.add(row, clipped(row, start_ns, end_ns), begins, row[STOP])
            continue
        for k, one in enumerate(lanes.charges(row, start_ns, end_ns)):
            mine = one.cause is None
            found.add(
                one.cause or row,
                one.end_ns - one.start_ns,
                begins and k == 0 and mine,
                row[STOP] if mine else next(pieces),
            )
    return found.all()


def chains(
    line: Line, states: Sequence[Row], station: str | None, start_ns: int, end_ns: int
) -> list[dict[str, object]]:
    """What a station (the constraint) waited for, by cause, the longest first."""
    lanes = Lanes(line, states)
    sums: dict[tuple[str, str | None, str | None, str | None], int] = {}
    for row in states:
        if row["station"] == station and row["class"] in WAITS:
            for one in lanes.charges(row, start_ns, end_ns):
                by = one.cause
                cause = (None, None, None) if by is None else (by["station"], by["class"], by["reason"])
                sums[row["class"], *cause] = sums.get((row["class"], *cause), 0) + one.end_ns - one.start_ns
    order = sorted(sums.items(), key=lambda one: (-one[1], str(one[0])))
    return [
        {"station": station, "class": key[0], "ns": ns, "by": key[1], "by_class": key[2], "by_reason": key[3]}
        for key, ns in order
        if ns
    ]
