"""Feeding a real Kafka: what was sent can be read back, once, and in the order of each line."""

import asyncio
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from kernels.codes import COUNT, NONE
from streams.kafka.topics import ensure
from streams.local.broker import LocalBroker
from streams.settings import Settings
from streams.tools.feed import FeedError, feed
from streams.tools.watch import watching
from twin.events.block import DTYPES, EventBlock, Rejected
from twin.plant.model import Line, Plant, Station
from twin.wire.decode import Decoder

pytestmark = pytest.mark.kafka

N_LINES = 9
N_EVENTS = 20_000
PLANT = Plant("site", tuple(Line(f"line-{i}", "a", "flow", (Station("s"),)) for i in range(N_LINES)), "hash")


class Log:
    """Blocks of counts, spread over the lines by chance."""

    def __init__(self, refused: Sequence[Rejected] = ()) -> None:
        self._refused = list(refused)
        random = np.random.default_rng(7)
        self.lines = random.integers(0, N_LINES, N_EVENTS).astype(np.int32)
        self.ts = 1_600_000_000_000_000_000 + np.arange(N_EVENTS) * 1_000_000

    def __iter__(self) -> Iterator[tuple[EventBlock, list[Rejected]]]:
        for start in range(0, N_EVENTS, 4096):
            part = slice(start, min(start + 4096, N_EVENTS))
            n = part.stop - part.start
            columns = {name: np.zeros(n, dtype) for name, dtype in DTYPES.items()}
            for name in ("x", "y", "z", "entry"):
                columns[name][:] = NONE
            columns["line"] = columns["station"] = self.lines[part]
            columns["type"][:] = COUNT
            columns["ts"] = self.ts[part]
            columns["seq"] = columns["a"] = np.arange(part.start, part.stop)
            yield EventBlock(**columns), self._refused if start == 0 else []  # type: ignore[arg-type]  # by column name


async def read_all(settings: Settings) -> dict[int, list[tuple[bytes | None, bytes, dict[str, bytes]]]]:
    """Every record of the events topic, by partition."""
    topic = settings.topic("events")
    async with AIOKafkaConsumer(bootstrap_servers=settings.bootstrap) as consumer:
        partitions = [TopicPartition(topic, p) for p in range(settings.partitions)]
        consumer.assign(partitions)
        await consumer.seek_to_beginning()
        ends = await consumer.end_offsets(partitions)
        found: dict[int, list[tuple[bytes | None, bytes, dict[str, bytes]]]] = {p.partition: [] for p in partitions}
        while any([await consumer.position(p) < ends[p] for p in partitions]):
            for p, records in (await consumer.getmany(timeout_ms=500)).items():
                found[p.partition] += [(r.key, r.value, dict(r.headers)) for r in records]
        return found


@pytest.fixture
async def settings(broker: LocalBroker, prefix: str) -> Settings:
    made = Settings(bootstrap=broker.bootstrap, prefix=prefix)
    await ensure(made)
    return made


@pytest.mark.parametrize("arrow", [False, True])
async def test_what_was_sent_can_be_read_back(settings: Settings, arrow: bool) -> None:
    log = Log()
    summary = await feed(log, PLANT, settings=settings, arrow=arrow)
    assert summary.events == N_EVENTS
    decoder = Decoder(PLANT)
    seen: dict[int, int] = {}
    for partition, records in (await read_all(settings)).items():
        block, rejected = decoder.decode([value for _, value, _ in records], range(len(records)))
        assert not rejected
        for line in np.unique(block.line).tolist():
            assert seen.setdefault(line, partition) == partition
            mine = block.line == line
            assert block.seq[mine].tolist() == np.flatnonzero(log.lines == line).tolist()
            assert block.ts[mine].tolist() == log.ts[log.lines == line].tolist()
        assert all(key is not None and key.startswith(b"line-") for key, _, _ in records)
        types = {headers.get("content-type") for key, _, headers in records}
        assert types <= ({b"application/vnd.apache.arrow.stream"} if arrow else {None})
    assert len(set(seen.values())) > 1


async def test_refused_input_is_sent_as_it_stood_in_the_log(settings: Settings) -> None:
    log = Log([Rejected("not_json", "", 0, b"{broken", "line-3"), Rejected("unknown_line", "", 1, b"\xff\xfe")])
    await feed(log, PLANT, settings=settings)
    values = [value for records in (await read_all(settings)).values() for _, value, _ in records]
    assert values.count(b"{broken") == 1
    assert values.count(b"\xff\xfe") == 1
    assert len(values) == N_EVENTS + 2


async def test_a_missing_topic_is_said_before_anything_is_read(broker: LocalBroker) -> None:
    with pytest.raises(FeedError, match="twin topics apply"):
        await asyncio.wait_for(feed([], PLANT, settings=Settings(bootstrap=broker.bootstrap, prefix="no-such")), 30)


async def test_lag_counts_what_no_group_has_committed(settings: Settings) -> None:
    async with watching(settings) as watcher:
        assert all(committed == end == 0 for committed, end in (await watcher.offsets()).values())
        await feed(Log(), PLANT, settings=settings)
        offsets = await watcher.offsets()
        assert len(offsets) == settings.partitions
        assert sum(end - committed for committed, end in offsets.values()) == N_EVENTS
        await watcher.read_all()
        assert watcher.lines.rows() == []
