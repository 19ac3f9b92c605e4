"""From a producer's send to the result that a consumer sees.

Events carry the wall clock at which they are due; what is sent late counts as late. An event's result is the first row
of `kpis` of its line that ends behind it, or the first view of its line that knows it. Producer and consumer are this
process; a row's arrival is when its fetch comes back to it.
"""

import asyncio
import bisect
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.partitioner import DefaultPartitioner

from streams import clock
from streams.bench import inputs
from streams.bench.declare import BenchError, Benchmark, Count, Repeat, Room
from streams.bench.on_kafka import anew, settings_for
from streams.bench.process import Worker, is_ready
from streams.kafka.access import connection
from streams.kafka.topics import EVENTS, KPIS, LINES
from streams.settings import Settings
from twin.events.block import EventBlock
from twin.plant.model import Plant
from twin.wire.encode import json_records

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

PLANT_LINES: Final = 10
STATIONS: Final = 10
SEND_EVERY_S: Final = 0.005  # as a producer with that linger would
VIEW_EVERY_S: Final = 0.1
_WARM_S: Final = 10.0  # of the events, whose latency is not counted
_LIMIT_S: Final = 60.0  # for the results of the last events: a worker that is slower than the load shows as latency
_SLACK_S: Final = 1.0  # at the end: their results may need an event that does not come any more


class _Row(msgspec.Struct):
    line: str
    end: str


class _View(msgspec.Struct):
    line: str
    newest_ns: int


_ROW: Final = msgspec.json.Decoder(_Row)
_VIEW: Final = msgspec.json.Decoder(_View)


class Seen:
    """By line: up to which event time results were known, and when (both ns); only what is news."""

    def __init__(self) -> None:
        self.known: dict[str, list[int]] = {}
        self.at: dict[str, list[int]] = {}

    def note(self, line: str, until_ns: int, now_ns: int) -> None:
        known = self.known.setdefault(line, [])
        if not known or until_ns > known[-1]:
            known.append(until_ns)
            self.at.setdefault(line, []).append(now_ns)

    def latencies_s(self, line: str, ts: I64) -> F64:
        """Of events at `ts`; those without a result are left out."""
        place = np.searchsorted(np.array(self.known.get(line, []), np.int64), ts, side="right")
        at = np.array(self.at.get(line, []), np.int64)
        found = place < len(at)
        return np.asarray((at[place[found]] - ts[found]) / 1e9)


class Events:
    """Records of `seconds` at `rate_hz`, encoded before the first one is due; `start(ns)` gives them their time."""

    def __init__(self, plant: Plant, rate_hz: int, seconds: float) -> None:
        self.plant = plant
        blocks = list(inputs.blocks(plant, int(rate_hz * seconds), rate_hz, block=1 << 30))
        self._block: EventBlock = blocks[0]
        self._steps = self._block.ts - inputs.START_NS

    def at(self, start_ns: int) -> tuple[I64, list[bytes]]:
        """Times and values with the first event at `start_ns`."""
        # An epoch of its own: numbers that begin anew would make a second repeat's events repeats of the first's.
        epoch = np.full(len(self._steps), start_ns // 1_000_000_000)
        block = replace(self._block, ts=self._steps + start_ns, epoch=epoch)
        return block.ts, json_records(block, self.plant)

    @property
    def line(self) -> npt.NDArray[np.int32]:
        return self._block.line


def latency(rate_hz: int) -> Callable[[Room, int], AbstractContextManager[Repeat]]:
    @contextmanager
    def prepare(room: Room, size: int) -> Iterator[Repeat]:
        more = 'lateness = "0s"\npublish_every = "100ms"\nwindows = ["10s/100ms"]\n'
        text = inputs.text(PLANT_LINES, STATIONS).replace('lateness = "1s"\n', more)
        settings = settings_for(room, text, f"latency-{rate_hz}", view_interval_s=VIEW_EVERY_S)
        events = Events(inputs.plant(PLANT_LINES, STATIONS), rate_hz, size)

        def once() -> Sequence[float]:
            # From the topic's end on: what earlier repeats sent is folded before this one begins.
            with Worker(anew(room, settings), room.folder() / "worker.log") as worker:
                worker.wait(is_ready(settings.partitions))
                worker.wait(lambda r: all(not p["lag"] for p in r["partitions"].values()))
                return asyncio.run(measured(settings, events))

        yield once

    return prepare


async def measured(settings: Settings, events: Events) -> Sequence[float]:
    """p50 and p99 of rows, p50 and p99 of views, p99 of the sender's own lag (s)."""
    begun = clock.monotonic_s()
    events.at(0)
    start_ns = clock.now_ns() + int((2 * (clock.monotonic_s() - begun) + 2.0) * 1e9)
    ts, values = events.at(start_ns)
    rows, views = Seen(), Seen()
    following = asyncio.create_task(follow(settings, rows, views))
    try:
        lag_s = await send(settings, events, ts, values)
        await all_known(rows, views, events.plant, int(ts[-1]) - int(_SLACK_S * 1e9))
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    counted = (ts >= start_ns + int(_WARM_S * 1e9)) & (ts < ts[-1] - int(_SLACK_S * 1e9))
    found = []
    for seen in (rows, views):
        each = [
            seen.latencies_s(line.id, ts[counted & (events.line == number)])
            for number, line in enumerate(events.plant.lines)
        ]
        found += [float(v) for v in np.quantile(np.concatenate(each), (0.5, 0.99))]
    return *found, lag_s


async def all_known(rows: Seen, views: Seen, plant: Plant, until_ns: int) -> None:
    """Wait until every line has a row and a view that cover `until_ns`. Raises BenchError."""
    end = clock.monotonic_s() + _LIMIT_S
    while not all(seen.known.get(line.id, [0])[-1] > until_ns for seen in (rows, views) for line in plant.lines):
        if clock.monotonic_s() > end:
            raise BenchError(f"events without a result {_LIMIT_S} s after the last one was sent")
        await asyncio.sleep(0.1)


async def send(settings: Settings, events: Events, ts: I64, values: Sequence[bytes]) -> float:
    """Send each event when it is due; returns the 99th percentile of how late it was (s)."""
    topic = settings.topic(EVENTS)
    everywhere = list(range(settings.partitions))
    keys = [line.id.encode() for line in events.plant.lines]
    choose = DefaultPartitioner()
    partition = [choose(key, everywhere, everywhere) for key in keys]
    lines = events.line.tolist()
    late: list[float] = []
    sent = []
    producer = AIOKafkaProducer(**connection(settings), enable_idempotence=True, max_batch_size=1 << 20)
    async with producer:
        position = 0
        while position < len(ts):
            now_ns = clock.now_ns()
            ready = bisect.bisect_right(ts, now_ns)
            builders: dict[int, Any] = {}
            for i in range(position, ready):
                to = partition[lines[i]]
                if to not in builders:
                    builders[to] = producer.create_batch()
                if builders[to].append(timestamp=None, key=keys[lines[i]], value=values[i], headers=[]) is None:
                    raise BenchError("the producer fell so far behind that a batch is full; the machine is too busy")
            for to, builder in builders.items():
                builder.close()
                sent.append(await producer.send_batch(builder, topic, partition=to))
            if ready > position:
                late.append((clock.now_ns() - int(ts[position])) / 1e9)
            position = ready
            await asyncio.sleep(SEND_EVERY_S)
        await asyncio.gather(*sent)
    return float(np.quantile(late, 0.99))


async def follow(settings: Settings, rows: Seen, views: Seen) -> None:
    """Note every row and view that comes, until cancelled."""
    kpis, lines = settings.topic(KPIS), settings.topic(LINES)
    places = [TopicPartition(kpis, p) for p in range(settings.partitions)] + [TopicPartition(lines, 0)]
    async with AIOKafkaConsumer(**connection(settings), enable_auto_commit=False) as consumer:
        consumer.assign(places)
        await consumer.seek_to_end(*places)
        while True:
            for place, records in (await consumer.getmany(timeout_ms=1000)).items():
                now_ns = clock.now_ns()
                for record in records:
                    if place.topic == kpis:
                        row = _ROW.decode(record.value)
                        rows.note(row.line, nanoseconds(row.end), now_ns)
                    else:
                        view = _VIEW.decode(record.value)
                        # It knows the newest event itself.
                        views.note(view.line, view.newest_ns + 1, now_ns)


def nanoseconds(text: str) -> int:
    """Of a time as the topics have it (2026-01-01T00:00:00.100000000Z)."""
    return int(np.datetime64(text.removesuffix("Z"), "ns").astype(np.int64))


_LATENCY: Final = "producer, broker, decode, fold, tick, row as JSON, broker, consumer"
_INPUT: Final = (
    "JSON, one event a record, {rate} a second for {{size}} s, the first 10 s (the JVM still compiles) not counted; "
    "{stations} stations in {lines} lines; per line publish_every 100 ms, lateness 0, window 10 s/100 ms; "
    "view_interval_s 0.1, else default settings"
)

BENCHMARKS: Final = tuple(
    Benchmark(
        f"latency-{rate // 1000}k",
        "latency",
        _LATENCY,
        _INPUT.format(rate=f"{rate:,}", stations=PLANT_LINES * STATIONS, lines=PLANT_LINES),
        (
            Count("from when an event is due to the first kpi row that covers it; half are quicker", "s", "p50"),
            Count("the same: 99 of 100 are quicker. Up to 0.1 s of it is the wait for the tick", "s", "p99"),
            Count("from when an event is due to the first view of its line that knows it", "s", "view-p50"),
            Count("the same, 99 of 100", "s", "view-p99"),
            Count("how late the producer itself was, 99 of 100 batches: part of all of the above", "s", "sender-p99"),
        ),
        latency(rate),
        (16, 30),
        (int(rate == 10_000), 3),
    )
    for rate in (1_000, 10_000, 100_000)
)
