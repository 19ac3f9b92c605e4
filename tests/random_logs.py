"""Logs of a small line that has everything at once: disorder, repeats, gaps, resets, silence, stops at ticks."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from hypothesis import strategies as st

from kernels import codes
from tests.support.fold import Ev, S, heartbeat, one_line
from twin.events.declare import STOP, UNDO
from twin.plant.model import (
    Buffer,
    Calendar,
    Chart,
    Counter,
    FrozenLimits,
    Limits,
    Line,
    Measure,
    PlannedStop,
    Plant,
    Product,
    Shift,
    Specification,
    Station,
    Window,
)

START: Final = 1_699_941_600 * S  # Tuesday 2023-11-14 06:00 UTC
LATENESS: Final = 3 * S
JUMP: Final = 300 * S
STALE: Final = 20 * S
MINOR: Final = 7 * S
ALL_DAYS: Final = tuple(range(7))
SIX: Final = 6 * 3_600
CALENDAR: Final = Calendar(
    shifts=(
        Shift("a", ALL_DAYS, SIX + 20, SIX + 90),
        Shift("b", ALL_DAYS, SIX + 90, SIX + 300),
    ),
    planned_stops=(PlannedStop("break", weekly=(86_400 + SIX + 50, 86_400 + SIX + 60)),),
    day_start_s=SIX + 120,
)
MEASURES: Final = (
    Measure("m", "meter", "kWh", "energy", 1, modulus=40),
    Measure("b", "meter", "l", "water", 0, most_per_hour=3_600),
    Measure("u", "amount", "g", decimals=2),
    Measure("g", "gauge", "C", chart=Chart("xbar_r", 2, ("western_electric",), baseline=2), histogram=True),
    Measure(
        *("c", "characteristic", "g"),
        decimals=3,
        nominal=3_000_500,
        chart=Chart("i_mr", limits=FrozenLimits("v", "3e6", "1.5e6")),
        histogram=True,
        average_weight=True,
    ),
    Measure("h", "integral", "Cs", decimals=1, of="g", between="hold", per_ns=3 * S, gap_ns=30 * S),
    Measure("s", "integral", "Ch", "heat", decimals=4, of="g", between="straight", per_ns=3_600 * S, gap_ns=15 * S),
)
# What is watched of them at stations: budgets, and what is drawn while they are idle.
_WATCHED: Final[dict[str, dict[str, Any]]] = {
    "m": {
        "budget": "0.5",
        "budget_over_ns": 10 * S,
        "idle_for_ns": 4 * S,
        "products": (Specification("p", budget="0.125"),),
    },
    "b": {"budget": "1.5", "budget_over_ns": 7 * S, "products": (Specification("p", budget="3"),)},
    "u": {"idle_for_ns": 3 * S},
    "h": {"budget": "0.75", "budget_over_ns": 15 * S, "idle_for_ns": 5 * S, "idle_draw": "3600"},
}
OF_STATION: Final = tuple(replace(one, **_WATCHED.get(one.id, {})) for one in MEASURES)
# Parts of the first station may name a defect and a unit.
FOUND: Final = (Measure("d", "amount", "defect", "defect"), Measure("f", "first_pass", "unit", "first_pass"))
OF_LINE: Final = (
    *(MEASURES[0], MEASURES[2], Measure("g", "gauge", "C")),
    Measure("l", "integral", "Cmin", decimals=1, of="g", between="hold", per_ns=60 * S, gap_ns=25 * S),
)
_WINDOWS: Final = (Window("10s", 10 * S, S), Window("60s", 60 * S, 5 * S))


def small_line(
    links: bool, calendar: bool, requires_order: bool, name: str = "L", revise_ns: int | None = None
) -> Line:
    return Line(
        name,
        "hall",
        "flow",
        tuple(
            Station(
                f"{name}{i}",
                ideal_cycle_ns=2 * S,
                inputs=(f"{name}b{i - 1 if i else 2}",) if links else (),
                output=f"{name}b{i}" if links and i < 2 else None,
                counters=(
                    Counter("n", "total" if i else "good", 2, 10),
                    Counter("r", "rework", 1, None, None if i else "cycles"),
                ),
                cycle_parts=2 if i == 1 else None,
                parts_from="cycle" if i == 1 else "count",
                minor_stop_ns=(MINOR, 30 * S, MINOR)[i],
                staleness_ns=(STALE, STALE, 5 * S)[i],
                places=(None, None, 2)[i],
                measures=OF_STATION if i else (*OF_STATION[:3], *FOUND),
            )
            for i in range(3)
        ),
        (Buffer(f"{name}b0", 1), Buffer(f"{name}b1", 0), Buffer(f"{name}b2", None)) if links else (),
        (Product("p", {f"{name}0": S, "*": 3 * S}, parts_per_cycle=3),),
        calendar=CALENDAR if calendar else Calendar(),
        windows=_WINDOWS,
        publish_every_ns=10 * S,
        lateness_ns=LATENESS,
        max_jump_ns=JUMP,
        revise_ns=revise_ns,
        pane_ns=15 * S,
        panes=4,
        requires_order=requires_order,
        limits=Limits(down_ns=12 * S, oee_below=0.5, oee_window="10s"),
        measures=OF_LINE,
    )


def small_plant(
    links: bool, calendar: bool, requires_order: bool, lines: int = 1, revise_ns: int | None = None
) -> Plant:
    every = [small_line(links, calendar, requires_order, name, revise_ns) for name in ("L", "M", "N")[:lines]]
    return replace(one_line(every[0].stations), lines=tuple(every))


# By value: its word is that of the parity, its reason that of value % 3 (stops of one word with every reason).
_STATES: Final = (
    codes.RUNNING,
    codes.STARVED,
    codes.STOPPED,
    codes.STOPPED,
    codes.DOWN,
    codes.SETUP,
    codes.BLOCKED,
    codes.STOPPED,
    codes.MINOR_STOP,
    codes.RUNNING,
    codes.MAINTENANCE,
    codes.STOPPED,
    codes.UNKNOWN,
    codes.WAITING,
)
_GAPS: Final = (0, 0, 0, 1, S // 2, S, S, 2 * S, 3 * S, 5 * S, 7 * S, 10 * S, 13 * S)
_LONG: Final = (20 * S, 25 * S, 71 * S, 150 * S, 299 * S, 301 * S, 700 * S)
_BACK: Final = (0, 0, 0, 0, S, 2 * S, LATENESS, LATENESS + 1, 5 * S)
_KINDS: Final = (
    "state",
    "state",
    "state",
    "count",
    "counter",
    "cycle",
    "cycle",
    "order",
    "own",
    "buffer",
    "beat",
    "all",
)
# What is used goes on while parts are made, and while a station waits.
USED: Final = ("meter", "meter", "meter", "level", "level", "count", "wait", "own")
MEASURED: Final = (
    ("measure", "measure", "whole", "state", "order", "own"),
    ("measure", "whole", "all", "cycle"),
    ("measure", "state"),
    ("found", "found", "measure", "state", "order", "own"),
    ("found", "measure", "count", "state"),
    USED,
    USED,
    USED,
)
# Products that no plant file knows, and one that it does.
DECLARED: Final = ("order", "own", "count", "counter", "cycle", "cycle", "product", "product", "priced", "state")
_PACES: Final = (
    ("4s", None, None),
    (None, "1/s", None),
    ("500ms", None, None),
    ("2s", None, "3"),
    (None, None, "1/2"),
    ("3s", None, None),
)
# What a log is about: a little of everything, stops, orders over cycles, counters.
_TOPICS: Final = (
    _KINDS,
    _KINDS,
    ("state",),
    ("state", "all"),
    ("order", "cycle", "cycle", "cycle"),
    ("counter", "order"),
    ("count", "counter", "cycle", "order", "order"),
    ("count", "cycle", "state", "order", "own", "own"),
    ("own", "own", "order", "beat"),
    ("state", "state", "order", "own"),
    ("together", "order", "own", "cycle"),
    DECLARED,
    DECLARED,
    *MEASURED,
)
_SEQS: Final = ("next", "next", "next", "none", "same", "gap", "old", "restart", "back", "leap", "broken")


@st.composite
def logs(
    draw: st.DrawFn,
    links: bool,
    cycles: bool,
    lines: int = 1,
    size: int = 40,
    topics: Sequence[Sequence[str]] = _TOPICS,
) -> list[Ev]:
    """Events in order of arrival."""
    topic = draw(st.sampled_from(topics))
    brief = draw(st.booleans())
    # Parts of these values name their order.
    named = draw(st.sampled_from([(), (), (1, 2, 6, 7), range(14)]))
    # Lists are short on the whole unless they must not be.
    least = draw(st.sampled_from((1, size // 2)))
    step = st.tuples(
        st.sampled_from((0, 0, S, 5 * S, 7 * S) if brief else _GAPS + (_LONG if draw(st.booleans()) else ())),
        st.sampled_from(_BACK if draw(st.booleans()) else (0,)),
        st.integers(0, lines - 1),
        st.integers(0, 2),
        st.sampled_from(topic),
        st.integers(0, 13),
        st.sampled_from(_SEQS if draw(st.booleans()) else ("none",)),
    )
    times = [START + draw(st.integers(0, 12)) * S // 2] * lines
    seqs: dict[tuple[int, int], tuple[int, int]] = {}
    events: list[Ev] = []
    for gap, back, line, local, kind, value, numbered in draw(st.lists(step, min_size=least, max_size=size)):
        times[line] += gap
        if kind == "together" and cycles:
            events += _together(value, times[line], line)
            times[line] += S
            continue
        if kind in ("cycle", "together") and not cycles:
            kind = "count"
        if kind == "buffer" and not links:
            kind = "beat"
        whole = kind in ("order", "buffer", "all", "whole") or (kind in ("product", "priced") and value % 4)
        station = -1 if whole else 3 * line + local
        event = _event(kind, value, times[line] - back, station, line)
        epoch, seq = seqs.get((line, station), (0, 0))
        if numbered == "restart":
            epoch, seq = epoch + 1, 0
        elif numbered in ("next", "gap", "leap"):
            seq += {"next": 1, "gap": 400 + value, "leap": 1_048_570 + 2 * value}[numbered]
        if numbered in ("next", "gap", "leap", "restart"):
            seqs[line, station] = epoch, seq
        if numbered == "old":
            seq = max(0, seq - 300 * value)
        if numbered == "broken":
            seq += 10**12 + 600 * value
        if numbered == "back":
            epoch = max(0, epoch - 1)
        if event.type in (codes.COUNT, codes.CYCLE, codes.MEASURE) and value in named:
            event = event._replace(z=f"o{value % 3 % 2}")
        events.append(event if numbered == "none" else event._replace(epoch=epoch, seq=seq))
    return events


def _together(value: int, ts: int, line: int) -> list[Ev]:
    """Cycles of one station that begin together, of different products, and end together where an order begins."""
    station = 3 * line + 1
    units = (("u", "p"), ("v", None), ("w", "other"))[: 2 + value % 2]
    units = units[::-1] if value % 3 else units
    begin = [Ev(ts, codes.CYCLE, station, codes.START, x=unit, y=product, line=line) for unit, product in units]
    end = [Ev(ts + S, codes.CYCLE, station, codes.END, x=unit, line=line) for unit, _ in units]
    order = _event("order", value, ts + S, -1 if value % 4 else station, line)
    return [*begin, *end, order]


def _event(kind: str, value: int, ts: int, station: int, line: int) -> Ev:
    if kind == "state":
        word = f"w{value % 2}"
        return Ev(ts, codes.STATE, station, _STATES[value], x=word, y=(None, "why", "because")[value % 3], line=line)
    if kind == "count":
        return Ev(ts, codes.COUNT, station, codes.PARTS, value, value % 3, value % 2, line=line)
    if kind == "meter":
        a = ((ts - START) // S * (1 + value % 3) // 2) % 40
        return Ev(ts, codes.MEASURE, station, 0, a, x=f"part {value}", y="m", line=line)
    if kind == "level":
        name, a = ("u", value - 2) if station % 3 == 0 or value % 3 == 0 else ("g", value)
        return Ev(ts, codes.MEASURE, station, 0, a, x=f"part {value}", y=name, line=line)
    if kind == "wait":
        code = (codes.WAITING, codes.WAITING, codes.STARVED, codes.RUNNING)[value % 4]
        return Ev(ts, codes.STATE, station, code, x="w0", line=line)
    if kind == "found":
        bad = (value % 3 == 0, value % 5 == 0)
        defect = "d" if any(bad) and value % 4 else None
        unit = (None, "u", "v", "w")[value % 4]
        first = 3 * line
        return Ev(ts, codes.COUNT, first, codes.PARTS, value % 2, *map(int, bad), x=unit, defect=defect, line=line)
    if kind == "counter":
        name = "n" if value % 4 else "r"
        return Ev(ts, codes.COUNT, station, codes.COUNTER, value % 10, x=name, line=line)
    if kind == "cycle":
        code = codes.START if value % 2 else codes.END
        unit = (None, None, "u", "v", "w")[value // 2 % 5]
        return Ev(
            ts, codes.CYCLE, station, code, x=unit, y={3: "p", 5: "p", 7: "other", 8: "new"}.get(value), line=line
        )
    if kind == "product":
        name = ("other", "new", "p")[value % 3 if value < 12 else 0]
        return Ev(ts, codes.PRODUCT, station, y=name, line=line, pace=_PACES[value % len(_PACES)])
    if kind == "priced":
        name = ("other", "new")[value % 2]
        pace = _PACES[value // 2 % len(_PACES)]
        return Ev(ts, codes.ORDER, station, codes.START, -1, x=f"o{value % 3 % 2}", y=name, line=line, pace=pace)
    if kind in ("order", "own"):
        code = codes.END if value % 3 == 0 else codes.START
        product = (None, "p", "other")[value % 3]
        quantity = (-1, 7, 0, 5)[value // 3 % 4]
        return Ev(ts, codes.ORDER, station, code, quantity, x=f"o{value % 2}", y=product, line=line)
    if kind in ("measure", "whole"):
        # What a measure of the line is called is one of its stations', too.
        known = (
            ("m", "u", "g", "g")
            if station < 0
            else ("m", "m", "b", "u")
            if station % 3 == 0
            else ("m", "b", "u", "g", "c")
        )
        name = known[value % len(known)]
        a = {"m": value * 5 % 40, "b": value * value, "u": value - 5, "g": 3 - value}.get(name, value * 10**9)
        a = 2_900_000 + 10_000 * value if name == "c" and value % 2 == 0 else a
        return Ev(ts, codes.MEASURE, station, 0, a, x=f"part {value}", y=name, line=line)
    if kind == "buffer":
        return Ev(ts, codes.BUFFER, -1, 0, value % 2, x=f"{'LMN'[line]}b{value % 3}", line=line)
    return heartbeat(ts, line)._replace(station=station)


@st.composite
def late(draw: st.DrawFn, events: list[Ev], corrections: bool = True) -> list[Ev]:
    """The log with some events delayed, and corrections of some others."""
    found = list(events)
    for _ in range(draw(st.integers(0, 6))):
        k = draw(st.integers(0, len(found) - 1))
        found.insert(min(len(found), k + draw(st.integers(1, 12))), found.pop(k))
    for _ in range(draw(st.integers(0, 4)) if corrections else 0):
        k = draw(st.integers(0, len(found) - 1))
        newest = max(e.ts for e in found[: k + 1] if e.line == found[k].line)
        made = draw(_corrections(found[k], newest))
        if made is not None:
            found.insert(draw(st.integers(k + 1, len(found))), made)
    return found


@st.composite
def _corrections(draw: st.DrawFn, about: Ev, newest: int) -> Ev | None:
    """A later word on an event, or on a correction."""
    named = str(about.ts) if about.seq < 0 or draw(st.booleans()) else f"{about.epoch}/{about.seq}"
    what = draw(st.sampled_from(("parts", "reason", "stop", "stop", "undo", "instead", "instead")))
    by = Ev(newest, codes.CORRECTION, about.station, -1, -1, -1, -1, x=named, line=about.line)
    moved = min(newest, about.ts + draw(st.sampled_from((0, 0, S, -S, 20 * S, -7 * S))))
    if what == "undo":
        # Of an event of the line any station says it.
        station = about.station if about.station >= 0 else 3 * about.line + draw(st.integers(0, 2))
        return by._replace(code=UNDO, station=station)
    if what == "instead" and about.type == codes.ORDER:
        product = draw(st.sampled_from((None, "p", "other")))
        code, order = about.code, draw(st.sampled_from((about.x, "o1")))
        return by._replace(ts=moved, type=codes.ORDER, code=code, a=about.a + 1, x=order, y=product, z=named)
    if what == "instead" and about.type == codes.COUNT:
        parts = (draw(st.integers(0, 5)), 1, 2) if about.code == codes.PARTS else (draw(st.integers(0, 9)), 0, 0)
        given = dict(zip("abc", parts, strict=True))
        return by._replace(ts=moved, type=codes.COUNT, code=about.code, x=about.x, y=named, z=about.z, **given)
    if about.station < 0:
        return None
    if what == "parts":
        return by._replace(a=draw(st.integers(0, 5)), c=2)
    if what == "stop":
        by = by._replace(code=STOP, x=draw(st.sampled_from((named, str(about.ts + 2 * S)))))
    return by._replace(y=draw(st.sampled_from(("operator", "other"))))


def ended(events: list[Ev], after: int = 100 * S) -> list[Ev]:
    """The log with the two heartbeats of every line that end it: time passes to `after` behind its newest event."""
    found = list(events)
    for line in sorted({e.line for e in events}):
        newest = max(e.ts for e in events if e.line == line)
        found += [heartbeat(newest + after, line), heartbeat(newest + after + S, line)]
    return found
