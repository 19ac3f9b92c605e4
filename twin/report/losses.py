"""What time was lost to: reasons by minutes and by count, changeovers from one product to the next, the bottleneck."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby
from operator import itemgetter
from typing import Any, Final

from kernels.codes import CLASS_NAMES
from kernels.figures.oee import AVAILABILITY_LOSS, PERFORMANCE_LOSS, POLICIES
from twin.audit.views import BEGUN_NS, THROUGH
from twin.report.parts import CUT
from twin.report.rows import Row
from twin.report.said import lasting
from twin.report.words import word

STOP: Final = "stop"  # of a row of states, `joined`: the number of its stop
BEGINS: Final = "begins"  # it is the first in its stop that has its reason
_RUNNING: Final = "running"
_PLACE: Final = itemgetter("station", "start")
Key = tuple[str, str, str | None]


@dataclass(frozen=True, slots=True)
class Loss:
    """Stops of one station, class and reason. `ns` is cut at the span; a stop counts where it begins, and of several
    reasons each where it is first given. `longest_ns`: of a stop, all of its time for this reason."""

    station: str
    klass: str
    reason: str | None
    ns: int
    count: int
    longest_ns: int
    longest_start_ns: int


def clipped(row: Row, start_ns: int, end_ns: int) -> int:
    """How much of a row of states lies in [start_ns, end_ns)."""
    start, end = int(row["start"]), int(row["end"])
    return max(0, min(end, end_ns) - max(start, start_ns))


def loss_classes(policy: str) -> frozenset[str]:
    """The classes that a policy holds against availability or performance, and unknown time beside them."""
    roles = POLICIES[policy].roles
    lost = {CLASS_NAMES[c] for c, role in enumerate(roles) if role in (AVAILABILITY_LOSS, PERFORMANCE_LOSS)}
    return frozenset(lost | {"unknown"})


def joined(states: Iterable[Row]) -> list[Row]:
    """Rows by station and time, each with the number of the stop that it is of (`STOP`), and whether it is the first
    of its reason in it (`BEGINS`): a break, the night, the time between two orders and silence end no stop, another
    reason begins none. The rule is that of the views `stops` and `pareto`."""
    found: list[Row] = []
    number = last = 0
    for _, rows in groupby(sorted(states, key=_PLACE), key=itemgetter("station")):
        klass, end, reasons = None, None, set[str | None]()
        for row in rows:
            goes_on = row["start"] == end and row["class"] == klass
            if row["start"] != end:
                klass = None
            end = row["end"]
            if row["class"] in THROUGH:
                last += 1
                found.append({**row, STOP: last, BEGINS: True})
                continue
            if not goes_on:
                number = last = last + 1
                klass, reasons = row["class"], set()
            found.append({**row, STOP: number, BEGINS: row["reason"] not in reasons})
            reasons.add(row["reason"])
    return found


class Losses:
    """Time by station, class and reason, of pieces that are added."""

    def __init__(self) -> None:
        self._sums: dict[Key, list[int]] = {}  # ns and count
        self._stops: dict[Key, dict[int, list[int]]] = {}  # of each stop ns and start

    def add(self, row: Row, ns: int, counts: bool, stop: int) -> None:
        key = row["station"], row["class"], row["reason"]
        sums = self._sums.setdefault(key, [0, 0])
        sums[0], sums[1] = sums[0] + ns, sums[1] + counts
        one = self._stops.setdefault(key, {}).setdefault(stop, [0, int(row["start"])])
        one[0], one[1] = one[0] + ns, min(one[1], int(row["start"]))

    def all(self) -> list[Loss]:
        """By time, the longest first."""
        made = []
        for key, (ns, count) in self._sums.items():
            longest, start = max(self._stops[key].values(), key=itemgetter(0))
            made.append(Loss(*key, ns, count, longest, start))
        return sorted(made, key=lambda one: (-one.ns, one.station, one.klass, one.reason or ""))


def counts(row: Row, start_ns: int, end_ns: int) -> bool:
    """Whether a stop, or its reason, begins with this row in [start_ns, end_ns)."""
    return bool(row[BEGINS] and start_ns <= row["start"] < end_ns and not row.get(CUT))


def pareto(states: Sequence[Row], start_ns: int, end_ns: int, policy: str) -> list[Loss]:
    """By time, the longest first. `states`: rows of one line that reach into the span, `joined`."""
    wanted, found = loss_classes(policy), Losses()
    for row in states:
        if row["class"] in wanted:
            found.add(row, clipped(row, start_ns, end_ns), counts(row, start_ns, end_ns), row[STOP])
    return found.all()


@dataclass(frozen=True, slots=True)
class Changeover:
    """Setup of a station between two orders. `before` and `after`: their products; None: not known or none."""

    station: str
    start_ns: int
    end_ns: int
    ns: int  # in class setup, between the first and the last of it
    before: str | None
    after: str | None
    order: str | None  # the one that follows


class _Runs:
    """The running of one station; `states` in order of time, none over another."""

    def __init__(self, states: Sequence[Row]) -> None:
        self._runs = [(int(row["start"]), int(row["end"])) for row in states if row["class"] == _RUNNING]
        self._before = [0, *accumulate(end - start for start, end in self._runs)]  # ns, up to each

    def ns(self, start_ns: int, end_ns: int) -> int:
        """How long it ran in [start, end)."""
        return self._until(end_ns) - self._until(start_ns)

    def _until(self, at_ns: int) -> int:
        k = bisect_left(self._runs, (at_ns,))
        return self._before[k] - (max(0, self._runs[k - 1][1] - at_ns) if k else 0)


def changeovers(states: Sequence[Row], orders: Sequence[Row]) -> list[Changeover]:
    """Setup between a station's running of one order and that of the next.

    `states`: running and setup of one line, of whole orders; `orders`: their rows of orders (kpis, window `order`). A
    station that has run for less than a minute of an order has not begun it: a trial piece, or a machine that runs on
    for a moment behind the change. Setup behind its last minute of an order is that of the next one: orders are often
    changed when setup is already under way. Setup in the midst of an order is no changeover; neither is setup whose
    order has no row yet.
    """
    found: list[Changeover] = []
    for station in sorted({row["station"] for row in states}):
        own = (row for row in orders if row["station"] == station)
        sequence = sorted(own, key=lambda row: (row["start"], row["end"]))
        mine = sorted((row for row in states if row["station"] == station), key=lambda row: int(row["start"]))
        runs = _Runs(mine)
        groups: dict[int, list[Row]] = {}
        for row in mine:
            after = None if row["class"] != "setup" else _order_of(row, runs, sequence)
            if after is not None:
                groups.setdefault(after, []).append(row)
        for after, rows in groups.items():
            before = sequence[after - 1]["product"] if after else None
            ns = sum(row["end"] - row["start"] for row in rows)
            following = sequence[after]
            found.append(
                Changeover(
                    station, rows[0]["start"], rows[-1]["end"], ns, before, following["product"], following["order"]
                )
            )
    return sorted(found, key=lambda one: (one.start_ns, one.station))


def _order_of(setup: Row, runs: _Runs, sequence: Sequence[Row]) -> int | None:
    """Which order of `sequence` a station is set up for; None: for the one that it is in the midst of, or not known."""
    within = next((k for k, one in enumerate(sequence) if one["end"] > setup["start"]), None)
    if within is None:
        return None
    order = sequence[within]
    if runs.ns(order["start"], setup["start"]) < BEGUN_NS:
        return within
    if runs.ns(setup["start"], order["end"]) >= BEGUN_NS or within + 1 == len(sequence):
        return None
    return within + 1


def other_setup(states: Sequence[Row], found: Sequence[Changeover], start_ns: int, end_ns: int) -> tuple[int, int]:
    """(intervals, ns) of setup that begins in the span and lies in no changeover; `found`: all of these rows."""
    rows = [
        row
        for row in states
        if row["class"] == "setup"
        and start_ns <= row["start"] < end_ns
        and not any(one.station == row["station"] and one.start_ns <= row["start"] < one.end_ns for one in found)
    ]
    return len(rows), sum(int(row["end"] - row["start"]) for row in rows)


def bottleneck(rows: Sequence[Row]) -> dict[str, Any] | None:
    """The newest statement among rows of bottlenecks of one line: shares with their intervals, and the verdict."""
    whole = [row for row in rows if row["window"] == "panes"] or [row for row in rows if row["window"] == "order"]
    if not whole:
        return None
    end = max(row["end"] for row in whole)
    newest = [row for row in whole if row["end"] == end]
    start = max(row["start"] for row in newest)  # of two that end together, the later one
    newest = sorted((row for row in newest if row["start"] == start), key=lambda row: str(row["station"]))
    return {"window": newest[0]["window"], "start": start, "end": end, "verdict": newest[0]["verdict"], "rows": newest}


def changeover_texts(report: dict[str, Any], language: str) -> list[str]:
    """Per station and pair of products the shortest and the usual (median; of an even number the shorter one); and what
    setup is counted to none of them."""
    found: dict[tuple[str, ...], list[int]] = {}
    for one in report["changeovers"]:
        found.setdefault((one["station"], str(one["from"] or "–"), str(one["to"] or "–")), []).append(one["ns"])
    said = []
    for (station, before, after), ns in sorted(found.items()):
        best, usual = (lasting(one, language) for one in (min(ns), sorted(ns)[(len(ns) - 1) // 2]))
        times = f"{word('best', language)} {best}, {word('usual', language)} {usual}"
        said.append(f"{station}: {before} → {after}: {len(ns)}×, {times}")
    other = report["other_setup"]
    if other["intervals"]:
        said.append(word("other_setup", language).format(other["intervals"], lasting(other["ns"], language)))
    return said
