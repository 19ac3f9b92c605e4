"""A week in which the plant changes while it runs: a product added, a station added, a line removed, overtime on
Saturday, a worker with a wrong file, kills in between. Against sums over the plain list of what was sent."""

import json
import random
from collections import defaultdict
from pathlib import Path
from typing import Any, Final, cast

import pytest

from streams.kafka.records import Record, Records
from tests.support.checkpoint import TP0, World
from tests.support.proof import check
from twin.audit import AuditError, models
from twin.audit.query import query
from twin.audit.recompute import recompute
from twin.line import PartitionTwin
from twin.plant import loads
from twin.plant.model import Plant
from twin.report.rows import dicts, select

Row = dict[str, Any]
S: Final = 1_000_000_000
HOUR: Final = 3_600
DAY: Final = 86_400
MONDAY: Final = 1_767_571_200  # 2026-01-05 00:00 UTC
LATENESS: Final = 60
# When, by event time, and what comes with the file then.
PRODUCT_ADDED: Final = MONDAY + DAY + 10 * HOUR + 1_000
STATION_ADDED: Final = MONDAY + 2 * DAY + 11 * HOUR + 2_000
LINE_REMOVED: Final = MONDAY + 3 * DAY + 9 * HOUR + 500
OVERTIME_SAID: Final = MONDAY + 4 * DAY + 20 * HOUR
END: Final = MONDAY + 7 * DAY
STATIONS: Final = {"A": ["a0", "a1"], "B": ["b0", "b1"], "C": ["c0"]}
IDEAL_S: Final = 10
PRODUCT_S: Final = 4


def plant(
    revision: int, *, product: bool = False, station: bool = False, c: bool = True, saturday: bool = False
) -> Plant:
    text = f'revision = {revision}\nsite = "test"\narea = [{{ id = "h" }}]\n'
    for line, stations in STATIONS.items():
        if line == "C" and not c:
            continue
        text += f"""[[line]]
id = "{line}"
area = "h"
type = "flow"
lateness = "{LATENESS}s"
publish_every = "1h"
windows = ["8h/1h"]
staleness = "9d"
minor_stop = "5min"
{'revise = "6h"' if line == "A" else ""}
[line.states]
RUN = "running"
HALT = "stopped"
[line.calendar]
zone = "UTC"
shift = [
  {{ id = "early", days = "Mon-Fri", hours = "06:00-14:00" }},
  {{ id = "late", days = "Mon-Fri", hours = "14:00-22:00" }},
]
{'exception = [{ on = "2026-01-10", shift = "early", hours = "06:00-14:00" }]' if saturday else ""}
"""
        if product and line == "B":
            text += f'[[line.product]]\nid = "new"\nideal_cycle = "{PRODUCT_S}s"\n'
        added = ["b2"] if station and line == "B" else []
        text += "".join(f'[[line.station]]\nid = "{s}"\nideal_cycle = "{IDEAL_S}s"\n' for s in [*added, *stations])
    return loads(text, f"plant-{revision}.toml")


PLANTS: Final = (
    (MONDAY, plant(1)),
    (PRODUCT_ADDED, plant(2, product=True)),
    (STATION_ADDED, plant(3, product=True, station=True)),
    (LINE_REMOVED, plant(4, product=True, station=True, c=False)),
    (OVERTIME_SAID, plant(5, product=True, station=True, c=False, saturday=True)),
)


def sent(chance: random.Random) -> list[tuple[int, Row]]:
    """(when it arrives, event), in seconds, by arrival. On line A some counts are hours late."""
    found: list[tuple[int, Row]] = []
    for line, stations in STATIONS.items():
        for station in [*stations, *(["b2"] if line == "B" else [])]:
            begin = STATION_ADDED + 700 if station == "b2" else MONDAY + 5 * HOUR
            until = LINE_REMOVED if line == "C" else END
            now, running = begin + chance.randrange(1, 50), True
            while now < until:
                state = "RUN" if running else "HALT"
                found.append((now, {"type": "state", "ts": now, "line": line, "station": station, "state": state}))
                now += chance.randrange(1_200, 9_000) if running else chance.randrange(20, 1_500)
                running = not running
            now = begin + 77
            while now < until:
                late = chance.randrange(600, 5 * HOUR) if line == "A" and chance.random() < 0.06 else 0
                event = {"type": "count", "ts": now, "line": line, "station": station, "good": chance.randrange(1, 30)}
                found.append((now + late, event))
                now += chance.randrange(300, 1_700)  # a gap of half an hour would be a suspect jump
        now = MONDAY + 6 * HOUR + 300
        number = 0
        while now < (LINE_REMOVED if line == "C" else END) - 9 * HOUR:
            length = chance.randrange(4 * HOUR, 20 * HOUR)
            product = "new" if line == "B" else None
            order = {
                "type": "order",
                "line": line,
                "order": f"{line}{number}",
                **({"product": product} if product else {}),
            }
            found.append((now, {**order, "action": "start", "ts": now}))
            if now + length < (LINE_REMOVED if line == "C" else END):
                found.append((now + length, {**order, "action": "end", "ts": now + length}))
            now += length + chance.randrange(60, 3_000)
            number += 1
        if line != "C":
            found += [(END + k, {"type": "heartbeat", "ts": END + k, "line": line}) for k in (7 * HOUR, 7 * HOUR + 100)]
    return sorted(found, key=lambda one: one[0])


class Week(World):
    """The real twin, and the log of the week."""

    twin = cast("type[Any]", PartitionTwin)
    log: list[bytes]

    def records(self, first: int, number: int) -> Records:
        return Records.of(Record(o, None, self.log[o], []) for o in range(first, min(first + number, len(self.log))))


def overlap(intervals: list[tuple[int, int]], start: int, end: int) -> int:
    return sum(max(0, min(end, b) - max(start, a)) for a, b in intervals)


class Truth:
    """What was made and when it ran: of what was sent, without a twin."""

    def __init__(self, log: list[tuple[int, Row]]) -> None:
        self.counts: dict[tuple[str, str], list[tuple[int, int, int]]] = defaultdict(list)  # ts, good, arrival
        self.runs: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
        self.orders: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
        began: dict[Any, int] = {}
        for arrival, event in log:
            place = event["line"], event.get("station")
            if event["type"] == "count":
                self.counts[place].append((event["ts"], event["good"], arrival))
            elif event["type"] == "state" and event["state"] == "RUN":
                began[place] = event["ts"]
            elif event["type"] == "state":
                self.runs[place].append((began.pop(place), event["ts"]))
            elif event["type"] == "order" and event["action"] == "start":
                began[event["order"]] = event["ts"]
            elif event["type"] == "order":
                self.orders[event["line"]].append((began.pop(event["order"]), event["ts"], event["order"]))
        self.newest_of_c = max(event["ts"] for _, event in log if event["line"] == "C")
        for place, start in began.items():
            if isinstance(place, str):  # an order of the line that is removed, or that nobody ends
                if place[0] == "C":
                    self.orders["C"].append((start, self.newest_of_c, place))
            else:
                self.runs[place].append((start, self.newest_of_c if place[0] == "C" else 1 << 40))

    def good(self, line: str, station: str, start: int, end: int, *, order: bool = False) -> int:
        """Of a shift or day those in [start, end), of an order those in (start, end]; to a line's last instant."""
        until = end + 1 if order or (line == "C" and end == self.newest_of_c) else end
        return sum(n for ts, n, _ in self.counts[line, station] if start + order <= ts < until)

    def windows(self, line: str, first: int) -> set[tuple[str, int, int]]:
        """(kind, start, end) of every shift, day and order of the line that has ended."""
        last = self.newest_of_c if line == "C" else END
        found = set()
        for day in range(7):
            midnight = MONDAY + day * DAY
            if midnight <= last:
                found.add(("day", max(midnight, first), min(midnight + DAY, last)))
            shifts = [(6, 14), (14, 22)] if day < 5 else [(6, 14)] if day == 5 and line != "C" else []
            for begin, finish in shifts:
                start, end = midnight + begin * HOUR, midnight + finish * HOUR
                if start <= last:
                    found.add(("shift", max(start, first), min(end, last)))
        return found | {("order", start, end) for start, end, _ in self.orders[line]}


async def folded(world: Week, log: list[tuple[int, Row]], chance: random.Random) -> tuple[int, int]:
    """The week through workers that are killed, and given another file at its time. How many kills, and wrong files."""
    world.log = [json.dumps({**row, "ts": row["ts"] * S}).encode() for _, row in log]
    arrivals = [arrival for arrival, _ in log]
    bounds = [next(k for k, at in enumerate(arrivals) if at >= since) for since, _ in PLANTS] + [len(log)]
    kills = wrong = turn = 0
    for (_, model), until in zip(PLANTS, bounds[1:], strict=True):
        world.plant, before = model, world.plant
        if model.revision and model.revision > 1:
            # One of two workers has a file of the same number and another content, or still the old one.
            for other in (before, plant(model.revision, saturday=model.revision < 5)):
                turn += 1
                world.group.now = turn, f"w{turn}"
                world.plant = model
                await world.worker()
                world.plant = other
                with pytest.raises(AuditError, match=r"older file|one number, two contents"):
                    await world.worker()
                wrong += 1
            world.plant = model
        turn += 1
        world.group.now = turn, f"w{turn}"
        worker = await world.worker()
        while (state := worker.states[TP0]).next < until:
            world.feed(state, min(chance.randrange(1, 150), until - state.next))
            if chance.random() < 0.4:
                turn, kills = turn + 1, kills + 1
                world.group.now = turn, f"w{turn}"
                worker = await world.worker()  # what was folded since the last commit is gone
            elif chance.random() < 0.7 or state.next >= until:
                await worker.checkpoint(world.group)
        while worker.states[TP0].next < until or worker.states[TP0].moved:
            world.feed(worker.states[TP0], until - worker.states[TP0].next)
            await worker.checkpoint(world.group)
    await worker.checkpoint(world.group, publish=True)
    return kills, wrong


@pytest.mark.parametrize("seed", range(3))
async def test_shifts_days_and_orders_go_on_through_every_change(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311  a seeded plan
    log = sent(chance)
    world = Week(tmp_path)
    kills, wrong = await folded(world, log, chance)
    assert (kills > 5, wrong) == (True, 8)
    assert models.stored(world.audit) == sorted(model.hash for _, model in PLANTS)
    truth = Truth(log)
    known_from, came = (_stood(log, "B", since) for since in (PRODUCT_ADDED, STATION_ADDED))
    rows = defaultdict(set)
    for row in dicts(select(world.audit, "kpis")):
        if row["window"] not in ("shift", "day", "order") or row["station"] is None:
            continue
        line, station, kind = row["line"], row["station"], row["window"]
        start, end = (row[name] // S for name in ("start", "end"))
        assert (kind, start, end) not in rows[line, station], "a row twice"
        rows[line, station].add((kind, start, end))
        what = f"{line}/{station} {kind} from {start} to {end}, revision {row['revision']}"
        assert row["good"] == truth.good(line, station, start, end, order=kind == "order"), what
        assert row["running_ns"] == overlap(truth.runs[line, station], start, end) * S, what
        ideal = row["good"] * IDEAL_S * S
        if line == "B" and kind == "order":
            known = sum(n for ts, n, _ in truth.counts[line, station] if start < ts <= end and ts >= known_from)
            assert row["ideal_ns"] == (known * PRODUCT_S + (row["good"] - known) * IDEAL_S) * S, what
        elif line != "B":
            assert row["ideal_ns"] == ideal, what
        if station != "b2" and kind == "shift" and start != min(ts for ts, _ in _first(log, line)):
            assert row["running_ns"] + row["minor_stop_ns"] + row["down_ns"] == (end - start) * S, what
    for line, stations in STATIONS.items():
        first = min(ts for ts, _ in _first(log, line))
        for station in stations:
            assert rows[line, station] == truth.windows(line, first), f"{line}/{station}"
    # The new station has a row of each that was open when it came, or has begun since.
    expected = {one for one in truth.windows("B", MONDAY + 5 * HOUR) if one[2] > came}
    assert rows["B", "b2"] == expected
    _sound(world.audit)


def _stood(log: list[tuple[int, Row]], line: str, since: int) -> int:
    """Where the time of a line stands when the file changes: what is not folded by then is under the new model."""
    return max(event["ts"] for arrival, event in log if event["line"] == line and arrival < since) - LATENESS


def _first(log: list[tuple[int, Row]], line: str) -> list[tuple[int, Row]]:
    return [(event["ts"], event) for _, event in log if event["line"] == line][:50]


def _sound(root: Path) -> None:
    report = check(root, every=True)
    assert report.sound, report.differences
    again = recompute(root, every=True)
    assert again.differences == []
    assert again.checked["changes of the plant"] == 4
    assert again.checked["fresh starts"] == 1
    for line in STATIONS:
        alone = recompute(root, line=line, every=True)
        assert alone.differences == [], line
    part = recompute(root, period=((LINE_REMOVED - 2 * HOUR) * S, (LINE_REMOVED + 5 * HOUR) * S), every=True)
    assert part.differences == []
    assert part.checked["bases begun from"] == 1
    asked = "SELECT line, detail FROM alerts WHERE kind = 'plant_changed' ORDER BY ts, line"
    told = query(root, asked).to_pylist()
    assert [row["line"] for row in told] == ["B", "B", "C"]  # overtime is no change of a line
    assert "b2: new, unknown until now" in told[1]["detail"]
    assert "its open rows end here" in told[2]["detail"]
    # As of: what a late event changed afterwards is not yet in what was believed before, across all changes.
    asked = "SELECT start, good, revision FROM kpis WHERE \"window\" = 'shift' AND station = 'a0'"
    every = query(root, "SELECT * FROM kpis_revisions WHERE \"window\" = 'shift' AND station = 'a0'")
    seen = 0
    for row in (row for row in dicts(every) if row["revised"] is not None):
        after, before = (
            {one["start"]: one for one in dicts(query(root, asked, as_of_ns=as_of))}
            for as_of in (row["revised"], row["revised"] - 1)
        )
        now, then = after[row["start"]], before.get(row["start"])
        assert (now["good"], now["revision"]) == (row["good"], row["revision"])
        seen += then is not None
        assert then is None or then["revision"] < row["revision"]
    assert seen > 2
