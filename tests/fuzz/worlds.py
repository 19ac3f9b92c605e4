"""Plants with the records that real and generated logs of them give: what the mutations start from."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path

import msgspec
import numpy as np

from twin.events.block import EventBlock, pick
from twin.plant import load, loads
from twin.plant.model import Plant
from twin.sources import open_logs
from twin.wire.encode import arrow_record, json_records

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
_EVENTS = 3_000  # of each log
_CHUNKS = (1, 3, 16, 100)  # events in one record

OWN = """
site = "fuzz"
[[area]]
id = "a"
[[line]]
id = "L1"
area = "a"
type = "flow"
lateness = "2s"
max_jump = "10min"
windows = ["10s/1s", "1min/5s"]
publish_every = "10s"
minor_stop = "5s"
staleness = "30s"
REVISE
[line.states]
on = "running"
off = "stopped"
"Störung" = "down"
[[line.station]]
id = "A"
ideal_cycle = "1s"
[[line.station.counter]]
id = "made"
modulus = 1000
[[line.station.measure]]
id = "energy"
kind = "meter"
unit = "kWh"
decimals = 2
[[line.station]]
id = "B"
ideal_cycle = "2s"
[[line.buffer]]
id = "AB"
after = "A"
before = "B"
capacity = 4
[[line.product]]
id = "p"
ideal_cycle = "1s"
[[line]]
id = "L2"
area = "a"
type = "cell"
lateness = "0s"
[[line.station]]
id = "A"
"""


@dataclass(frozen=True)
class World:
    """`records` in order of time, JSON and Arrow by turns."""

    name: str
    plant: Plant
    plant_text: str
    records: list[bytes]


@cache
def worlds() -> tuple[World, ...]:
    return (
        _example("five-stations", "events.csv.gz"),
        _example("tablet-press", "3.csv.gz"),
        _example("mazak", "Hurco01-20170518.txt.gz"),
        _own("own", ""),
        _own("revising", 'revise = "1min"'),
    )


def _example(name: str, log: str) -> World:
    folder = EXAMPLES / name
    plant = load(folder / "plant.toml")
    blocks = (block for block, _ in open_logs([folder / log], plant))
    found: list[bytes] = []
    number = 0
    for block in blocks:
        found += _records(block, plant, random.Random(len(found)))  # noqa: S311  repeatable
        number += len(block)
        if number >= _EVENTS:
            break
    return World(name, plant, (folder / "plant.toml").read_text(), found[:_EVENTS])


def _records(block: EventBlock, plant: Plant, chance: random.Random) -> Iterator[bytes]:
    at = 0
    while at < len(block):
        size = chance.choice(_CHUNKS)
        piece = pick(block, slice(at, at + size))
        at += size
        for line in np.unique(piece.line).tolist():
            mine = pick(piece, np.flatnonzero(piece.line == line))
            if chance.random() < 0.4:
                yield arrow_record(mine, plant)
            elif chance.random() < 0.5 and len(mine) > 1:
                yield b"[" + b",".join(json_records(mine, plant)) + b"]"
            else:
                yield from json_records(mine, plant)


def _own(name: str, revise: str) -> World:
    text = OWN.replace("REVISE", revise)
    plant = loads(text, f"{name}.toml")
    chance = random.Random(7)  # noqa: S311  repeatable
    return World(name, plant, text, [msgspec.json.encode(event) for event in islice(events(chance), _EVENTS)])


def events(chance: random.Random) -> Iterator[dict[str, object]]:
    """Sound events of the own plant, of every type, somewhat out of order."""
    now = 1_767_254_400_000_000_000
    while True:
        now += chance.choice((0, 1, 10**8, 10**9, 3 * 10**9, 40 * 10**9))
        line = chance.choice(("L1", "L1", "L1", "L2"))
        head: dict[str, object] = {
            "type": chance.choice(
                ("state", "count", "count", "cycle", "order", "buffer", "heartbeat", "correction", "measure", "product")
                if line == "L1"
                else ("count", "cycle", "heartbeat")
            ),
            "ts": now - chance.choice((0, 0, 0, 10**9, 5 * 10**9, 50 * 10**9)),
            "line": line,
            "station": "A" if line == "L2" else chance.choice("AB"),
        }
        if chance.random() < 0.2:
            head |= {
                "seq": chance.choice((now // 10**9, chance.randrange(2_000))),
                "epoch": chance.choice((0, 0, 0, 1)),
            }
        yield head | _payload(str(head["type"]), head, chance)


def _payload(kind: str, head: dict[str, object], chance: random.Random) -> dict[str, object]:
    match kind:
        case "state":
            return {"state": chance.choice(("on", "off", "Störung")), "reason": chance.choice((None, "r", "ü" * 9))}
        case "count" if chance.random() < 0.5 and head["line"] == "L1" and head["station"] == "A":
            return {"counter": "made", "value": chance.randrange(1000)}
        case "count":
            return {chance.choice(("good", "scrap", "rework")): chance.choice((0, 1, 5, 1000))}
        case "cycle":
            return {"phase": chance.choice(("start", "end")), "unit": str(chance.random()), "product": "p"}
        case "order":
            return {"action": chance.choice(("start", "end")), "order": f"o{chance.randrange(50)}", "product": "p"}
        case "buffer":
            return {"buffer": "AB", "level": chance.randrange(5)}
        case "correction":
            return {"corrects": str(chance.choice((head["ts"], 17, "x"))), "reason": "why", "good": chance.randrange(9)}
        case "measure":
            return {"station": "A", "measure": "energy", "value": f"{chance.randrange(10**6) / 100}"}
        case "product":
            return {"product": f"q{chance.randrange(5)}", "ideal_cycle": chance.choice(("1s", "2.5s", "80ms"))}
    return {}
