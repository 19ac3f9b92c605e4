"""kill -9 of the only worker under load: how long until the first new result.

The worker is started again at once. A new result is a row of `kpis` that ends later than every row seen before. What is
ours: imports, compiled kernels from the cache, joining, loading the snapshot, reading again what was not committed.
What is not: a dynamic member's partitions are kept for the dead one until its session ends; a static one takes them
back.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final, Self

import msgspec
from aiokafka import AIOKafkaConsumer

from streams import clock
from streams.bench import inputs
from streams.bench.declare import BenchError, Benchmark, Count, Repeat, Room
from streams.bench.in_process import Given
from streams.bench.on_kafka import settings_for
from streams.bench.process import Worker, is_ready
from streams.kafka.access import connection
from streams.kafka.topics import KPIS
from streams.local.broker import free_port
from streams.settings import Settings
from streams.tools.feed import feed
from twin.plant import load

_WARM_S: Final = 10.0
_PAUSE_S: Final = 8.0
_LIMIT_S: Final = 60.0
_DAY_S: Final = 86_400


class Load:
    """A steady feed and a consumer of its results, in a thread with an event loop of its own; a context manager."""

    def __init__(self, settings: Settings, rate_hz: int) -> None:
        self._settings = settings
        self._rate_hz = rate_hz
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._begun = threading.Event()
        self._failed: BaseException | None = None
        self.newest = ""  # end of a row

    def __enter__(self) -> Self:
        self._thread.start()
        self._begun.wait()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(RuntimeError):  # the loop has ended by itself: `check` says why
            self._loop.call_soon_threadsafe(self._enough.set)
        self._thread.join()

    def check(self) -> None:
        """Raises BenchError when the feed or the consumer has ended."""
        if self._failed is not None:
            raise BenchError(f"the load ended: {self._failed!r}") from self._failed

    async def _run(self) -> None:
        self._loop, self._enough = asyncio.get_running_loop(), asyncio.Event()
        self._begun.set()
        tasks = [asyncio.create_task(work()) for work in (self._enough.wait, self._feed, self._follow)]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        self._failed = next((task.exception() for task in done), None)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _feed(self) -> None:
        plant = load(Path(self._settings.plant))
        blocks = inputs.blocks(plant, self._rate_hz * _DAY_S, self._rate_hz, block=self._rate_hz // 2)
        await feed(Given(blocks), plant, settings=self._settings, speed=1.0, arrow=True)

    async def _follow(self) -> None:
        topic = self._settings.topic(KPIS)
        async with AIOKafkaConsumer(topic, **connection(self._settings), auto_offset_reset="latest") as consumer:
            async for record in consumer:
                self.newest = max(self.newest, msgspec.json.decode(record.value)["end"])


def recovery(instance: str, session_s: float, rate_hz: int) -> Callable[[Room, int], AbstractContextManager[Repeat]]:
    @contextmanager
    def prepare(room: Room, _size: int) -> Iterator[Repeat]:
        text = inputs.text(10, 10).replace(
            'type = "flow"\n', 'type = "flow"\npublish_every = "1s"\nwindows = ["1min/1s"]\n'
        )
        prefix = f"recovery-{instance or 'dynamic'}"
        settings = settings_for(room, text, prefix, instance=instance, session_timeout_s=session_s)
        current = Worker(settings, room.folder() / "worker.log")
        try:
            current.wait(is_ready(settings.partitions))
            with Load(settings, rate_hz) as load_:
                time.sleep(_WARM_S)

                def once() -> Sequence[float]:
                    nonlocal current
                    current.kill()
                    before, begun = load_.newest, clock.monotonic_s()
                    current = Worker(replace(settings, health_port=free_port()), room.folder() / "worker.log")
                    told = until_new(current, load_, before, begun, settings.partitions)
                    # Until all is committed again, and no session of a dead member is left.
                    time.sleep(_PAUSE_S if instance else session_s + _PAUSE_S)
                    return told

                yield once
        finally:
            current.stop()

    return prepare


def until_new(worker: Worker, load_: Load, before: str, begun: float, partitions: int) -> Sequence[float]:
    """Seconds since `begun` until the first new result, until the worker has its partitions, until it answers."""
    answers_s = ready_s = 0.0
    ready = is_ready(partitions)
    while load_.newest <= before:
        report = worker.report()
        now_s = clock.monotonic_s() - begun
        answers_s = answers_s or (now_s if report else 0.0)
        ready_s = ready_s or (now_s if ready(report) else 0.0)
        load_.check()
        worker.check()
        if now_s > _LIMIT_S:
            raise BenchError(f"no new result within {_LIMIT_S} s:\n{worker.log_end()}")
        time.sleep(0.01)
    now_s = clock.monotonic_s() - begun
    return now_s, ready_s or now_s, answers_s or now_s


_COUNTS: Final = (
    Count("kill -9 and start to the first kpi row that is new at a consumer: what a reader misses", "s"),
    Count("until the new worker has the state of its partitions", "s", "ready"),
    Count("until it answers at all: interpreter, imports, compiled kernels from the cache", "s", "answers"),
)

BENCHMARKS: Final = tuple(
    Benchmark(
        f"recovery-{'static' if instance else 'dynamic'}",
        "recovery",
        "start, join, snapshot, reading again what was not committed, fold, row",
        f"Arrow, 100,000 events a second, 100 stations in 10 lines, publish_every 1 s; "
        f"{'static' if instance else 'dynamic'} membership, session {session_s:.0f} s",
        _COUNTS,
        recovery(instance, session_s, 100_000),
        (1, 1),
        (0, 3),
    )
    for instance, session_s in (("", 10.0), ("slot-0", 30.0))
)
