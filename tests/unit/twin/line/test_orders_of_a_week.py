"""A week of three shifts and forty orders, a controller with whole seconds, an MES that confirms and repeats itself:
against sums over the plain list of what was sent, in time and late."""

import json
import random
from collections import defaultdict
from itertools import pairwise
from typing import Any, Final

import pytest

from twin.line import PartitionTwin
from twin.plant import loads
from twin.plant.model import Plant
from twin.wire.decode import Decoder

Row = dict[str, Any]
S: Final = 1_000_000_000
DAY: Final = 86_400
MONDAY: Final = 1_767_571_200  # 2026-01-05 00:00 UTC
IDEAL_S: Final = {None: 10, "slow": 20, "fast": 5}
STATIONS: Final = ("s0", "s1", "s2")
PLANT: Final = """
site = "test"
area = [{ id = "a" }]
[calendar]
zone = "UTC"
[[calendar.shift]]
id = "early"
days = "Mon-Sun"
hours = "06:00 - 14:00"
[[calendar.shift]]
id = "late"
days = "Mon-Sun"
hours = "14:00 - 22:00"
[[calendar.shift]]
id = "night"
days = "Mon-Sun"
hours = "22:00 - 06:00"
[[line]]
id = "L"
area = "a"
type = "flow"
lateness = "1s"
publish_every = "1h"
windows = ["8h/1h"]
staleness = "7d"
minor_stop = "5min"
revise = "12h"
[line.states]
RUN = "running"
HALT = "stopped"
[[line.product]]
id = "slow"
ideal_cycle = "20s"
[[line.product]]
id = "fast"
ideal_cycle = "5s"
""" + "".join(f'[[line.station]]\nid = "{name}"\nideal_cycle = "10s"\n' for name in STATIONS)


def sent(chance: random.Random) -> tuple[list[Row], list[tuple[int, int, str, str | None, int]]]:
    """Events by time, in whole seconds, and the line's orders: start, end, id, product, quantity.

    Half of the orders begin at the second at which the one before ends; the count of the last parts has that time, and
    comes with the end in one record of the MES.
    """
    orders, t = [], MONDAY + 6 * 3600 + 600
    for number in range(40):
        length = chance.randrange(1_800, 6 * 3600)
        product = chance.choice((None, "slow", "fast"))
        orders.append((t, t + length, f"PO-{number}", product, chance.randrange(50, 5_000)))
        t += length + chance.choice((0, chance.randrange(60, 1_800)))
    events: list[Row] = []
    for station in STATIONS:
        now, running = MONDAY + 6 * 3600, True
        while now < t:
            events.append({"type": "state", "ts": now, "station": station, "state": "RUN" if running else "HALT"})
            now += chance.randrange(600, 7_200) if running else chance.randrange(20, 1_200)
            running = not running
        times = sorted(chance.sample(range(MONDAY + 6 * 3600 + 1, t), 400))
        head = {"type": "count", "station": station, "scrap": 1}
        events += [{**head, "ts": now, "good": chance.randrange(20)} for now in times]
    for start, end, name, product, quantity in orders:
        order = {"type": "order", "order": name}
        more = {"product": product} if product else {}
        events.append({**order, "ts": start, "action": "start", "quantity": quantity, **more})
        events.append({**order, "ts": end, "action": "end"})
        for station in STATIONS:  # confirmed with the end; half of them say whose it is
            named = {"order": name} if chance.random() < 0.5 else {}
            events.append({"type": "count", "ts": end, "station": station, "good": chance.randrange(1, 9), **named})
            if chance.random() < 0.5:
                events.append({"type": "count", "ts": start, "station": station, "good": 1})
    chance.shuffle(events)  # what has one second comes as it comes
    events.sort(key=lambda e: e["ts"])
    # The source numbers what it sends of each station, and of the line.
    numbers: dict[str | None, int] = defaultdict(int)
    for event in events:
        event["seq"] = numbers[event.get("station")]
        numbers[event.get("station")] += 1
    return events, orders


def expected(events: list[Row], orders: list[tuple[int, int, str, str | None, int]]) -> dict[Any, Row]:
    """Rows of orders and shifts by station, window and start (s), summed over the plain list."""
    found: dict[Any, Row] = {}
    ends = {end for _, end, *_ in orders}
    cuts = [*(MONDAY + 6 * 3600 + k * 8 * 3600 for k in range(40))]
    for station in STATIONS:
        mine = [e for e in events if e.get("station") == station]
        counts = [e for e in mine if e["type"] == "count"]
        states = [e for e in mine if e["type"] == "state"]
        runs = [(a["ts"], b["ts"]) for a, b in pairwise([*states, {"ts": 2 * MONDAY}]) if a["state"] == "RUN"]

        def running(start: int, end: int, runs: list[tuple[int, int]] = runs) -> int:
            return sum(max(0, min(end, b) - max(start, a)) for a, b in runs) * S

        def whose(count: Row) -> str | None:
            """Parts of an instant were made before it, and where nothing was on then, for what begins."""
            t = count["ts"]
            on = next((name for a, b, name, *_ in orders if a < t <= b), None)
            begins = next((name for a, _, name, *_ in orders if a == t), None)
            return count.get("order") or on or begins

        product_of = {name: product for _, _, name, product, _ in orders}
        for start, end, name, product, quantity in orders:
            made = [e for e in counts if whose(e) == name]
            good, scrap = sum(e["good"] for e in made), sum(e.get("scrap", 0) for e in made)
            ideal = (good + scrap) * IDEAL_S[product] * S
            found[station, "order", start] = {
                "end": end, "order": name, "quantity": quantity, "good": good, "scrap": scrap, "ideal_ns": ideal,
                "running_ns": running(start, end),
            }  # fmt: skip
        for start, end in pairwise(cuts):
            made = [e for e in counts if start <= e["ts"] < end]
            ideals = [(e["good"] + e.get("scrap", 0)) * IDEAL_S[product_of.get(whose(e) or "")] for e in made]
            found[station, "shift", start] = {
                "end": end, "good": sum(e["good"] for e in made), "scrap": sum(e.get("scrap", 0) for e in made),
                "ideal_ns": sum(ideals) * S, "running_ns": running(start, end),
            }  # fmt: skip
    assert len(ends) == len(orders)
    return found


def repeated(events: list[Row], chance: random.Random) -> list[Row]:
    """As an MES sends it that lost its connection: what it sent last comes again, with its numbers."""
    found = list(events)
    for _ in range(12):
        k = chance.randrange(30, len(found))
        found[k:k] = found[k - 25 : k]
    return found


def delayed(events: list[Row], chance: random.Random) -> list[Row]:
    """Of twenty events one comes up to eight hours late; the last ones of the log come in time."""
    keys = [
        e["ts"]
        + (chance.randrange(8 * 3600) if chance.random() < 0.05 and e["ts"] < events[-1]["ts"] - 9 * 3600 else 0)
        for e in events
    ]
    return [events[k] for k in sorted(range(len(events)), key=lambda k: keys[k])]


def stands(plant: Plant, events: list[Row]) -> dict[Any, Row]:
    """The rows that count at the end."""
    last = max(e["ts"] for e in events)
    ends: list[Row] = [{"type": "heartbeat", "ts": last + 3600 * k} for k in (20, 21)]
    values = [json.dumps({**e, "ts": e["ts"] * S, "line": "L"}).encode() for e in [*events, *ends]]
    twin, decoder = PartitionTwin(plant, 0), Decoder(plant)
    found: dict[Any, Row] = {}
    for begin in range(0, len(values), 500):
        block, refused = decoder.decode(values[begin : begin + 500], range(begin, begin + 500))
        assert not refused
        tables = twin.fold(block).tables
        for row in tables["kpis"].to_pylist() if "kpis" in tables else []:
            if row["station"] and row["window"] in ("order", "shift"):
                found[row["station"], row["window"], int(row["start"].timestamp())] = row
        twin = PartitionTwin.restore(plant, 0, twin.snapshot())
    return {key: row for key, row in found.items() if not row["retracted"]}


@pytest.mark.parametrize("seed", range(3))
def test_forty_orders_in_a_week_of_three_shifts(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311  repeatable
    plant = loads(PLANT)
    events, orders = sent(chance)
    right = expected(events, orders)
    for log in (events, repeated(events, chance), delayed(events, chance)):
        rows = stands(plant, log)
        until = max(e["ts"] for e in events)
        for key, wanted in right.items():
            if wanted["end"] <= until and (key[1] == "order" or key[2] > MONDAY + 6 * 3600):
                row = rows[key]
                got = {name: row[name] for name in wanted} | {"end": int(row["end"].timestamp())}
                assert got == wanted, key
        assert len([key for key in rows if key[1] == "order"]) == 3 * len(orders)
