"""The logs that plans run on, and what an undisturbed run makes of them."""

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from tests.faults.plan import EVENTS
from tests.support import generated
from tests.support.proof import live
from twin.audit.digest import SetDigest, digest
from twin.plant import load
from twin.plant.model import Plant
from twin.replay import replay
from twin.sources import Summary
from twin.wire.decode import Decoder
from twin.wire.encode import arrow_record

LINES, STATIONS = 8, 4
LOGS = 4
REVISING = ("line-0",)  # each revision folds minutes of a line again: one of them is load enough
_ONE_WORKER_RECORDS = 5_000  # between two checkpoints of the undisturbed run

# What no worker can read or place, by the reason it must be refused for.
REFUSED: dict[str, bytes] = {
    "not_json": b'{"type":"count","ts":17',
    "bad_utf8": b'{"type":"count","line":"\xff\xfe"}',
    "not_arrow": b"\xff\xff\xff\xff no stream",
    "missing_field": b'{"type":"count","line":"line-0"}',
    "unknown_line": b'{"type":"heartbeat","ts":1767225600000000000,"line":"nowhere"}',
    "unknown_station": b'{"type":"count","ts":1767225600000000000,"line":"line-0","station":"s99","good":1}',
    "unknown_state": b'{"type":"state","ts":1767225600000000000,"line":"line-0","station":"s0","state":"dancing"}',
    "impossible_value": b'{"type":"count","ts":1767225600000000000,"line":"line-0","station":"s0","good":-1}',
}


class Record(NamedTuple):
    """What a source sends; `events` says how many lie in it."""

    key: bytes
    value: bytes
    events: int


@dataclass(frozen=True)
class Input:
    """plant: its file. records: in order of arrival. undisturbed: digests of what one worker makes of them."""

    plant: Path
    records: list[Record]
    undisturbed: dict[str, SetDigest]

    @property
    def events(self) -> int:
        return sum(record.events for record in self.records)


class Inputs:
    """Makes each log once, in `folder`.

    All hold late and repeated events, orders and refused records. In logs 1 and 3 one line revises: with corrections,
    and events that come after their rows. In 2 and 3 half of the lines send many events in a record.
    """

    def __init__(self, folder: Path, *, events: int = EVENTS) -> None:
        self._folder = folder
        self._events = events
        self.get = cache(self._make)

    def _make(self, number: int) -> Input:
        folder = self._folder / f"log-{number}-{self._events}"
        folder.mkdir(parents=True)
        chance = random.Random(number)  # noqa: S311  repeatable
        revises, packs = number % 2 == 1, number >= 2
        text = generated.plant_text(LINES, STATIONS)
        plant_file = folder / "plant.toml"
        if revises:
            text = text.replace("lateness =", 'revise = "10min"\nlateness =', len(REVISING))
        plant_file.write_text(text)
        plant = load(plant_file)
        each = self._events // (LINES * STATIONS)
        events = generated.values(LINES, STATIONS, each, seed=100 + number)
        events = list(ended(spiced(events, chance, revises)))
        sound = [Record(line.encode(), value, 1) for line, value in events]
        records = list(with_refused(packed(sound, plant, chance) if packs else sound, chance))
        # One partition, one process, no broker. A replay, which knows neither records nor keys, must agree on all else.
        live(folder / "audit", plant, {0: [(r.key, r.value) for r in records]}, each=_ONE_WORKER_RECORDS)
        undisturbed = digest(folder / "audit")
        log: Any = _Decoded(plant, [value for _, value in events])
        report = replay(plant, log, folder / "replayed")
        assert {**digest(folder / "replayed"), "rejected": undisturbed["rejected"]} == undisturbed
        assert report.duplicates > 0
        assert report.rows["kpis"] > 0
        return Input(plant_file, records, undisturbed)


class _Decoded:
    """Records as `twin.sources.Logs` would give them, without the heartbeats that those add."""

    def __init__(self, plant: Plant, values: Sequence[bytes]) -> None:
        self.summary = Summary()
        self._batch = Decoder(plant).decode(values, range(len(values)))

    def __iter__(self) -> Iterator[Any]:
        yield self._batch


def spiced(events: Sequence[tuple[str, bytes]], chance: random.Random, revises: bool) -> Iterator[tuple[str, bytes]]:
    """The events with orders between them; on lines that revise some come late, and some are corrected."""
    delayed: list[tuple[int, str, bytes]] = []
    recent: dict[str, list[dict[str, Any]]] = {}
    for number, (line, value) in enumerate(events):
        while delayed and delayed[0][0] <= number:
            yield delayed.pop(0)[1:]
        revising = revises and line in REVISING
        if revising and chance.random() < 0.01:
            # 60 s of lateness are some 64 events, the 10 min to revise some 640: a few are beyond both.
            delayed.append((number + chance.randrange(100, 750), line, value))
            delayed.sort(key=lambda one: one[0])
            continue
        yield line, value
        event = json.loads(value)
        mine = recent.setdefault(line, [])
        mine.append(event)
        del mine[:-40]
        newest = max(one["ts"] for one in mine)
        if chance.random() < 0.01:
            order = {"type": "order", "ts": newest, "line": line, "action": chance.choice(("start", "start", "end"))}
            yield line, json.dumps({**order, "order": f"o{chance.randrange(30)}"}).encode()
        about = chance.choice(mine)
        if revising and about["type"] in ("state", "count") and chance.random() < 0.03:
            named = str(about["ts"]) if chance.random() < 0.5 else str(about["seq"])
            correction = {"type": "correction", "ts": newest, "line": line, "station": about["station"]}
            what: dict[str, Any] = {"reason": "operator"} if about["type"] == "state" else {"good": chance.randrange(4)}
            yield line, json.dumps({**correction, "corrects": named, **what}).encode()
    for _, line, value in delayed:
        yield line, value


def ended(events: Iterable[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
    """The log with heartbeats that close what is open; the second one confirms the jump of the first."""
    newest: dict[str, int] = {}
    for line, value in events:
        newest[line] = max(newest.get(line, 0), json.loads(value)["ts"])
        yield line, value
    for after_s in (100, 101):
        for line, ts in newest.items():
            beat = {"type": "heartbeat", "ts": ts + after_s * 1_000_000_000, "line": line}
            yield line, json.dumps(beat).encode()


def packed(records: Sequence[Record], plant: Plant, chance: random.Random) -> Iterator[Record]:
    """Of every four lines one sends Arrow records and one JSON arrays, each line in its order."""
    decoder = Decoder(plant)
    open_: dict[bytes, list[bytes]] = {}

    def pack(key: bytes) -> Record:
        values = open_.pop(key)
        if int(key[-1:]) % 4 == 3:
            return Record(key, b"[" + b",".join(values) + b"]", len(values))
        block, _ = decoder.decode(values, range(len(values)))
        return Record(key, arrow_record(block, plant), len(values))

    for record in records:
        if int(record.key[-1:]) % 2 == 0:
            yield record
            continue
        mine = open_.setdefault(record.key, [])
        mine.append(record.value)
        if chance.random() < 0.08:
            yield pack(record.key)
    for key in list(open_):
        yield pack(key)


def with_refused(records: Iterable[Record], chance: random.Random) -> Iterator[Record]:
    """The records with some in between that are refused, each kind in turn, and some whose key is another line's."""
    kinds = list(REFUSED.values())
    number = 0
    for record in records:
        if chance.random() < 0.01:
            key = b"line-%d" % chance.randrange(LINES)
            yield Record(key, kinds[number % len(kinds)], 1)
            number += 1
        if chance.random() < 0.002:
            yield record._replace(key=b"line-%d" % ((int(record.key[-1:]) + 1) % LINES))
        yield record
