"""A steady load for the soak and the restart: generated events at a rate, real workers, what they need in memory."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.bench import inputs
from streams.kafka.topics import ensure
from streams.local.broker import LocalBroker, free_port
from streams.settings import Settings
from streams.tools.feed import feed
from tests.faults.site import committed
from twin.plant import load
from twin.plant.model import Plant
from twin.sources.source import Batch

LINES, STATIONS = 10, 10
# Made as they are needed: a soak is longer than memory.
_BLOCKS_PER_S = 2


def plant_file(folder: Path, publish_every: str, lines: int = LINES) -> Path:
    """A plant whose rows are few beside its events, as `publish_every` (of event time) says."""
    text = inputs.text(lines, STATIONS).replace(
        'type = "flow"\n', f'type = "flow"\npublish_every = "{publish_every}"\nwindows = ["1min/1s"]\n'
    )
    path = folder / "plant.toml"
    path.write_text(text)
    return path


def blocks(plant: Plant, rate_hz: int, seconds: int) -> Iterator[Batch]:
    """`rate_hz` events for each second of event time, made as they are asked for."""
    for block in inputs.blocks(plant, rate_hz * seconds, rate_hz, block=rate_hz // _BLOCKS_PER_S):
        yield block, []


class Log:
    """The same events as `twin.sources.Logs` would give them, for a replay."""

    summary: Any = None

    def __init__(self, made: Callable[[], Iterator[Batch]]) -> None:
        self._made = made

    def __iter__(self) -> Iterator[Batch]:
        return self._made()


async def settings_for(broker: LocalBroker, folder: Path, plant: Path, **other: Any) -> Settings:
    own = Settings(
        bootstrap=broker.bootstrap,
        prefix="load",
        plant=str(plant),
        audit=str(folder / "audit"),
        health_port=free_port(),
        **other,
    )
    await ensure(own)
    return own


async def send(settings: Settings, rate_hz: int, seconds: int, *, arrow: bool) -> None:
    """Feed at the rate of the events' own time."""
    await send_all(settings, blocks(load(Path(settings.plant)), rate_hz, seconds), arrow=arrow)


async def send_all(settings: Settings, batches: Iterator[Batch], *, arrow: bool) -> None:
    """Likewise."""
    await feed(batches, load(Path(settings.plant)), settings=settings, speed=1.0, arrow=arrow)


def resident_mb(pid: int | str) -> float:
    """Resident memory of a process, 0 when it is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * 4096 / 1e6


async def ends_of(settings: Settings) -> dict[int, int]:
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.bootstrap)
    await consumer.start()
    try:
        parts = [TopicPartition(settings.topic("events"), p) for p in range(settings.partitions)]
        ends = await consumer.end_offsets(parts)
        return {tp.partition: end for tp, end in ends.items() if end}
    finally:
        await consumer.stop()


async def settled(settings: Settings, limit_s: float) -> None:
    """Wait until all is committed. Raises RuntimeError."""
    loop = asyncio.get_running_loop()
    limit = loop.time() + limit_s
    ends = await ends_of(settings)
    at: dict[int, int] = {}
    while loop.time() < limit:
        at = await committed(settings)
        if all(at.get(p) == end for p, end in ends.items()):
            return
        await asyncio.sleep(0.5)
    raise RuntimeError(f"not settled in {limit_s} s: committed {at}, ends {ends}")
