"""Many slow partitions: one event a second in each, from the first second on."""

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import msgspec
from aiokafka import AIOKafkaProducer

from streams import clock
from streams.bench import inputs
from streams.bench.declare import Benchmark, Count, Repeat, Room
from streams.bench.on_kafka import anew, settings_for
from streams.bench.process import Worker, is_ready
from streams.kafka.access import connection
from streams.kafka.partitioner import DEFAULT, choose
from streams.settings import Settings

STEPS: Final = (4, 64, 256, 1_000)
_LOOK_S: Final = 0.5
# Behind the last event: what a run that keeps up needs at most.
_DRAIN_S: Final = 60.0


def a_line_each(partitions: int) -> list[str]:
    """Ids of lines of which each partition has one, in the order of the partitions."""
    found: dict[int, str] = {}
    number = 0
    while len(found) < partitions:
        line = f"line-{number}"
        found.setdefault(choose(DEFAULT, line.encode(), partitions), line)
        number += 1
    return [found[partition] for partition in range(partitions)]


class Feeder(threading.Thread):
    """Sends one count a second of every line, spread over the second. `sent`: events so far."""

    def __init__(self, settings: Settings, lines: Sequence[str], seconds: int) -> None:
        super().__init__(daemon=True)
        self.sent = 0
        self.error: BaseException | None = None
        self._settings, self._lines, self._seconds = settings, lines, seconds
        self._topic = settings.topic("events")

    def run(self) -> None:
        try:
            asyncio.run(self._feed())
        except BaseException as error:  # a thread's is nobody's: who waits for it asks
            self.error = error

    async def _feed(self) -> None:
        async with AIOKafkaProducer(**connection(self._settings), linger_ms=20) as producer:
            begun_s = clock.monotonic_s()
            for second in range(self._seconds):
                for k, line in enumerate(self._lines):
                    due_s = begun_s + second + k / len(self._lines)
                    if k % 20 == 0 and (early_s := due_s - clock.monotonic_s()) > 0:
                        await asyncio.sleep(early_s)
                    event = {"type": "count", "ts": inputs.START_NS + second * 10**9, "line": line, "station": "s0"}
                    value = msgspec.json.encode({**event, "good": 1, "seq": second})
                    await producer.send(self._topic, value, line.encode(), partition=k)
                    self.sent += 1
            await producer.flush()


def keep_up(room: Room, settings: Settings, lines: Sequence[str], seconds: int) -> tuple[float, float, float]:
    """The most that was ever not folded yet (seconds of the load), processor time of an event (us), and how long after
    the last event all was committed (s; over a limit: never)."""
    with Worker(anew(room, settings), room.folder() / "worker.log") as worker:
        worker.wait(is_ready(settings.partitions))
        feeder = Feeder(settings, lines, seconds)
        cpu_s, worst = worker.cpu_s, 0
        feeder.start()
        while feeder.is_alive():
            time.sleep(_LOOK_S)
            sent = feeder.sent
            worst = max(worst, sent - int(worker.report().get("events", 0)))
        if feeder.error is not None:
            raise feeder.error
        ended_s = clock.monotonic_s()
        total = seconds * len(lines)
        cpu_us = (worker.cpu_s - cpu_s) / total * 1e6
        while clock.monotonic_s() - ended_s < _DRAIN_S:
            report = worker.report()
            places = report.get("partitions", {}).values()
            if report.get("events", 0) >= total and all(one["committed"] == one["next"] for one in places):
                break
            time.sleep(0.1)
        return worst / len(lines), cpu_us, clock.monotonic_s() - ended_s


@contextmanager
def keeping_up(room: Room, size: int) -> Iterator[Repeat]:
    several = []
    for partitions in STEPS:
        lines = a_line_each(partitions)
        text = inputs.text(partitions, 2)
        for k, line in reversed(list(enumerate(lines))):
            text = text.replace(f'id = "line-{k}"', f'id = "{line}."')
        own = settings_for(room, text.replace('."\narea', '"\narea'), f"keep-{partitions}", partitions=partitions)
        several.append((own, lines))

    def once() -> Sequence[float]:
        return [figure for own, lines in several for figure in keep_up(room, own, lines, size)]

    yield once


def _counts() -> Iterator[Count]:
    for partitions in STEPS:
        yield Count(
            f"the most not folded yet, {partitions:,} partitions, looked at twice a second", "s", f"{partitions}-behind"
        )
        yield Count("processor time of the worker for an event", "us", f"{partitions}-cpu")
        yield Count("from the last event until all is committed; checkpoints every 5 s", "s", f"{partitions}-kept")


BENCHMARKS: Final = (
    Benchmark(
        "growth-slow",
        "growth",
        "a run of one event: decoding, folding, views, notes, checkpoints, from the first second on",
        "one event a second in each of 4 to 1,000 partitions of one worker for {size} s; a line of two stations each",
        tuple(_counts()),
        keeping_up,
        (30, 60),
        (0, 1),
    ),
)
