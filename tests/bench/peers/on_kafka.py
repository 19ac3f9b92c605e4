"""Peers that read the twin's events topic: JSON, one event a record, and the same answer per station."""

import asyncio
import contextlib
import itertools
import json
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from kernels.codes import COUNT
from streams.bench import inputs
from streams.kafka import topics
from streams.local.broker import LocalBroker, free_port
from streams.settings import Settings
from streams.tools.feed import feed
from streams.tools.fleet import Fleet
from tests.bench.peers.java import kafka_streams
from tests.bench.peers.peer import Group, Peer, check, python
from tests.bench.peers.programs.answer import digest
from twin.events.block import EventBlock
from twin.plant.model import Plant

LINES: Final = 50
STATIONS: Final = 20
RATE_HZ: Final = 100_000
SLOW: Final = 10  # Faust gets a tenth of the events, on a topic of its own
ARROW: Final = 4  # Arrow gets four times as many: with as many as JSON it would be over in a blink
PROBE_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class Filled:
    """A topic with its events, and what every peer should find in it."""

    settings: Settings
    topic: str
    events: int
    good: int
    stations: int
    digest: str


@dataclass(frozen=True, slots=True)
class Stage:
    """A broker with the events on it: `topics` by form."""

    bootstrap: str
    folder: Path
    topics: dict[str, Filled]
    count: Iterator[int] = field(default_factory=itertools.count)

    def new_folder(self) -> Path:
        folder = self.folder / f"run-{next(self.count)}"
        folder.mkdir()
        return folder


@contextlib.contextmanager
def stage(events: int) -> Iterator[Stage]:
    plant = inputs.plant(LINES, STATIONS)
    with tempfile.TemporaryDirectory(prefix="taktwin-peers-") as name, LocalBroker() as broker:
        folder = Path(name)
        (folder / "plant.toml").write_text(inputs.text(LINES, STATIONS))
        sizes = {"json": events, "slow": max(events // SLOW, 1), "arrow": ARROW * events}
        filled = {form: asyncio.run(fill(broker.bootstrap, folder, plant, form, n)) for form, n in sizes.items()}
        yield Stage(broker.bootstrap, folder, filled)


async def fill(bootstrap: str, folder: Path, plant: Plant, form: str, events: int) -> Filled:
    settings = Settings(
        bootstrap=bootstrap, prefix=f"peers-{form}", plant=str(folder / "plant.toml"), audit=str(folder / form)
    )
    await topics.ensure(settings)
    blocks = list(inputs.blocks(plant, events, RATE_HZ))
    await feed(((block, []) for block in blocks), plant, settings=settings, arrow=form == "arrow")
    totals = expected(plant, blocks)
    good = sum(one for _, one in totals.values())
    return Filled(settings, settings.topic(topics.EVENTS), events, good, len(totals), digest(totals))


def expected(plant: Plant, blocks: list[EventBlock]) -> dict[tuple[str, str], tuple[int, int]]:
    """(events, good parts) by (line, station), from the columns the topic was filled with."""
    n = len(plant.stations)
    events = np.sum([np.bincount(b.station, minlength=n) for b in blocks], axis=0)
    good = np.sum([np.bincount(b.station, np.where(b.type == COUNT, b.a, 0), n) for b in blocks], axis=0)
    places = [(line.id, station.id) for line in plant.lines for station in line.stations]
    return {place: (int(e), int(g)) for place, e, g in zip(places, events, good, strict=True) if e}


def rate(name: str, filled: Filled, told: dict[str, Any]) -> float:
    """Events a second of a peer whose answer is right; one that only received has no more to answer than how many.

    `timed`: events within its seconds, where these do not begin with the first.
    """
    check(name, "events", told["events"], filled.events)
    if "digest" in told:
        for what in ("good", "stations", "digest"):
            check(name, what, told[what], getattr(filled, what))
    return float(told.get("timed", told["events"]) / told["seconds"])


def program(name: str, file: str, form: str, *, on: str = "json") -> Callable[[Stage], float]:
    def once(s: Stage) -> float:
        filled = s.topics[on]
        # Where a program keeps nothing on disk it leaves the folder alone.
        told = python(file, s.bootstrap, filled.topic, filled.events, form, s.new_folder())
        return rate(name, filled, told)

    return once


def streams(name: str, threads: int, form: str) -> Callable[[Stage], float]:
    def once(s: Stage) -> float:
        filled = s.topics["json"]
        told = kafka_streams(s.bootstrap, filled.topic, filled.events, threads, form, s.new_folder())
        return rate(name, filled, told)

    return once


def worker(name: str, form: str) -> Callable[[Stage], float]:
    """The product itself, all of it, on the same topic; its answer is read from its audited events."""

    def once(s: Stage) -> float:
        filled = s.topics[form]
        folder = s.new_folder()
        audit = folder / "audit"
        settings = replace(filled.settings, group=folder.name, audit=str(audit), health_port=free_port())
        with Fleet([settings], folder) as fleet:
            found = measured(fleet, settings, filled.events)
        told = audited(audit)
        return rate(name, filled, {"seconds": filled.events / found, **told})

    return once


def measured(fleet: Fleet, settings: Settings, events: int) -> float:
    """Events a second from the first folded record to the last."""
    first = 0.0
    before = 0
    while True:
        fleet.check()
        seen = events_seen(settings)
        now = time.perf_counter()
        if seen and not first:
            first, before = now, seen
        if seen >= events:
            return (seen - before) / max(now - first, PROBE_S)
        time.sleep(PROBE_S)


def events_seen(settings: Settings) -> int:
    """What a worker has folded, 0 as long as it does not answer."""
    url = f"http://127.0.0.1:{settings.health_port}/ready"
    with contextlib.suppress(OSError, ValueError):
        try:
            answer = urllib.request.urlopen(url, timeout=2).read()
        except urllib.error.HTTPError as error:  # not ready is an answer, too
            answer = error.read()
        return int(json.loads(answer).get("events", 0))
    return 0


def audited(root: Path) -> dict[str, Any]:
    """The answer in the worker's own audited events."""
    # Any: the stubs of pyarrow know less than it can.
    table: Any = ds.dataset(root / "events", format="parquet").to_table(columns=["line", "station", "good"])
    # Files have dictionaries of their own, and grouping wants one.
    columns = {name: table[name].cast(pa.string()) for name in ("line", "station")}
    table = pa.table({**columns, "good": pc.fill_null(table["good"], 0)})
    sums = table.group_by(["line", "station"]).aggregate([("good", "count"), ("good", "sum")]).to_pylist()
    totals = {(row["line"], row["station"]): (row["good_count"], row["good_sum"]) for row in sums}
    good = sum(one for _, one in totals.values())
    return {"events": len(table), "good": good, "stations": len(totals), "digest": digest(totals)}


DICT: Final = "JSON decoded, events and good parts per station in a dict"
STORE: Final = "JSON decoded, events and good parts per station in its state store"
RECEIVED: Final = "records received, not looked into: the client's ceiling"
PANES: Final = "JSON decoded, totals and 1-min panes per station in in-memory stores; second half, JVM warm"
ALL: Final = "decode, fold, results, all sets in Parquet, commits"
JSON: Final = "peers-worker-json"
ARROW_WORKER: Final = "peers-worker-arrow"
PROGRAM_PEERS: Final = (
    ("faust-codec", f"{DICT}; Faust's own JSON codec", "faust_agent.py", "codec", "slow"),
    ("faust-json", f"{DICT}; json", "faust_agent.py", "json", "slow"),
    ("faust-msgspec", f"{DICT}; msgspec", "faust_agent.py", "msgspec", "slow"),
    ("quix-dict", f"{DICT}; orjson", "quix.py", "dict", "json"),
    ("quix-state", f"{STORE}, without changelog; orjson", "quix.py", "state", "json"),
    ("quix-changelog", f"{STORE}, with changelog; orjson", "quix.py", "changelog", "json"),
    ("aiokafka-receive", RECEIVED, "aiokafka_consumer.py", "receive", "json"),
    ("aiokafka-count", f"{DICT}; msgspec", "aiokafka_consumer.py", "count", "json"),
    ("confluent-receive", RECEIVED, "confluent_consumer.py", "receive", "json"),
    ("confluent-count", f"{DICT}; msgspec", "confluent_consumer.py", "count", "json"),
)
STREAMS_PEERS: Final = ((1, "plain"), (1, "cached"), (1, "logged"), (1, "cached-logged"), (2, "plain"), (2, "logged"))


def _peers() -> Iterator[Peer]:
    yield Peer(JSON, f"{ALL}; JSON, one event a record", worker(JSON, "json"))
    yield Peer(ARROW_WORKER, f"{ALL}; Arrow, 1,024 events a record", worker(ARROW_WORKER, "arrow"))
    for name, counted, file, form, on in PROGRAM_PEERS:
        # A ceiling is not the same work: nothing of ours stands beside it.
        yield Peer(name, counted, program(name, file, form, on=on), "" if counted == RECEIVED else JSON)
    for threads, form in STREAMS_PEERS:
        name = f"kafka-streams-{threads}-{form}"
        counted = f"{PANES}; {threads} stream thread{'s' if threads > 1 else ''}, stores {form}"
        yield Peer(name, counted, streams(name, threads, form), JSON)


GROUP: Final = Group(
    "peers-kafka",
    f"a topic filled before, 4 partitions, one event a record in JSON, {LINES * STATIONS:,} stations on {LINES} lines",
    tuple(_peers()),
    stage,
)
