"""Logs to Kafka: the feeder of `twin feed` and of the demo.

Records of one partition are packed into whole batches (aiokafka's batch API) and sent while the next one fills;
`send()` per record costs a future and a task switch each, about ten times the time of the packing itself.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
import numpy.typing as npt
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from kernels.codes import ORDER
from streams.kafka.access import check_access, connection
from streams.kafka.partitioner import DEFAULT, choose
from streams.kafka.topics import EVENTS
from streams.settings import Settings
from twin.events.block import EventBlock, Rejected, pick
from twin.events.declare import MAX_ORDERS_PER_RECORD
from twin.plant.model import Plant
from twin.sources.source import Batch
from twin.wire.encode import arrow_record, json_records

if TYPE_CHECKING:
    from aiokafka.producer.message_accumulator import BatchBuilder

BATCH_BYTES: Final = 512 * 1024
ARROW_EVENTS: Final = 1024
# No type for one JSON event: it is what a reader assumes, and a header on each would be a third of its bytes.
ARROW_HEADERS: Final = [("content-type", b"application/vnd.apache.arrow.stream")]
SKIPPED_GAP_NS: Final = 3_600_000_000_000
TICK_S: Final = 0.05  # with a speed: how often what has become due is sent
PENDING_BATCHES: Final = 64

Headers = list[tuple[str, bytes]]


class FeedError(RuntimeError):
    """Something that cannot be sent: says what, and what to do."""


@dataclass(slots=True)
class FeedSummary:
    """What was sent."""

    events: int = 0
    records: int = 0
    bytes: int = 0
    seconds: float = 0.0
    # Where the records are, by partition: offsets from the first up to one behind the last, in pieces between which
    # others have sent.
    places: dict[int, list[tuple[int, int]]] = field(default_factory=dict)

    @property
    def spans(self) -> dict[int, tuple[int, int]]:
        return {partition: (pieces[0][0], pieces[-1][1]) for partition, pieces in self.places.items()}

    def holds(self, partition: int, offset: int) -> bool:
        return any(begin <= offset < end for begin, end in self.places.get(partition, ()))


class Journal(Protocol):
    """Who writes down what is sent: before a batch goes out, when the broker has it, and at the end."""

    async def claim(self, block: EventBlock, refused: int) -> None: ...

    def sent(self) -> None: ...

    async def end(self, spans: dict[int, tuple[int, int]]) -> None: ...


class Batches:
    """Records on their way to one topic, packed per partition; the order per partition is the order of `append`."""

    def __init__(self, producer: AIOKafkaProducer, topic: str, partitions: Iterable[int]) -> None:
        self._producer = producer
        self._topic = topic
        self._open: dict[int, BatchBuilder] = {p: producer.create_batch() for p in partitions}
        self._pending: dict[asyncio.Future[Any], tuple[int, int]] = {}  # partition, records
        self.places: dict[int, list[tuple[int, int]]] = {}

    async def append(
        self, partition: int, keys: Iterable[bytes], values: Iterable[bytes], headers: Headers | None = None
    ) -> None:
        """Pack records of one partition; wait where the broker is behind. Raises FeedError."""
        headers = headers or []
        builder = self._open[partition]
        for key, value in zip(keys, values, strict=True):
            if builder.append(timestamp=None, key=key, value=value, headers=headers) is None:
                builder = await self._send(partition)
                if builder.append(timestamp=None, key=key, value=value, headers=headers) is None:
                    raise FeedError(f"a record of {len(value):,} bytes does not fit; the broker takes at most 1 MiB")

    async def flush(self) -> None:
        """Send what is packed, and return when the broker has all of it."""
        for partition in self._open:
            await self._send(partition)
        await self._settle(0)

    async def _send(self, partition: int) -> "BatchBuilder":
        builder = self._open[partition]
        if builder.record_count():
            builder.close()
            sent = await self._producer.send_batch(builder, self._topic, partition=partition)
            self._pending[sent] = partition, builder.record_count()
            await self._settle(PENDING_BATCHES)
        self._open[partition] = self._producer.create_batch()
        return self._open[partition]

    async def _settle(self, most: int) -> None:
        """Wait until at most `most` batches are unacknowledged; raise what the broker refused."""
        while len(self._pending) > most:
            await asyncio.wait(self._pending, return_when=asyncio.FIRST_COMPLETED)
            self._take_done()
        self._take_done()

    def _take_done(self) -> None:
        # In the order in which they were sent, which is that of their offsets.
        for future in [future for future in self._pending if future.done()]:
            partition, records = self._pending.pop(future)
            acknowledged = future.result()
            if acknowledged is None or acknowledged.offset < 0:
                continue  # sent twice, and known to the broker: it does not say where
            begin, pieces = acknowledged.offset, self.places.setdefault(partition, [])
            if pieces and pieces[-1][1] == begin:
                begin = pieces.pop()[0]
            pieces.append((begin, acknowledged.offset + records))


class Feeder:
    """Sends event blocks to the events topic, one line always to the same partition (key = line id)."""

    def __init__(
        self,
        producer: AIOKafkaProducer,
        topic: str,
        partitions: set[int],
        plant: Plant,
        arrow: bool,
        partitioner: str = DEFAULT,
    ) -> None:
        self.summary = FeedSummary()
        self._plant = plant
        self._arrow = arrow
        self._batches = Batches(producer, topic, partitions)
        # As the setting says all producers of this topic choose.
        self._keys = [line.id.encode() for line in plant.lines]
        self._index = {line.id: i for i, line in enumerate(plant.lines)}
        self._partition = np.array([choose(partitioner, key, len(partitions)) for key in self._keys], np.int64)

    async def send(self, block: EventBlock) -> None:
        """Send all events of `block` in their order per line."""
        if self._arrow:
            for line, part in by_line(block, ARROW_EVENTS):
                value = arrow_record(part, self._plant)
                await self._batches.append(int(self._partition[line]), [self._keys[line]], [value], ARROW_HEADERS)
                self._count(1, len(value))
        else:
            values = json_records(block, self._plant)
            partitions = self._partition[block.line]
            for partition in np.unique(partitions).tolist():
                index = np.flatnonzero(partitions == partition)
                keys = [self._keys[line] for line in block.line[index].tolist()]
                await self._batches.append(partition, keys, [values[i] for i in index.tolist()])
            self._count(len(values), sum(map(len, values)))
        self.summary.events += len(block)

    async def send_refused(self, refused: Sequence[Rejected]) -> None:
        """Send what a log held and no one can read as it is: the worker refuses it with the same reason."""
        for one in refused:
            index = self._index.get(one.line or "", 0)
            await self._batches.append(int(self._partition[index]), [self._keys[index]], [one.value])
            self._count(1, len(one.value))

    async def flush(self) -> None:
        await self._batches.flush()
        self.summary.places = self._batches.places

    def _count(self, records: int, size: int) -> None:
        self.summary.records += records
        self.summary.bytes += size


def by_line(block: EventBlock, most: int) -> Iterator[tuple[int, EventBlock]]:
    """(index of line, at most `most` of its events, which may make one record) in their order."""
    for line in np.unique(block.line).tolist():
        index = np.flatnonzero(block.line == line)
        orders = np.count_nonzero(block.type[index] == ORDER)
        step = most if orders <= MAX_ORDERS_PER_RECORD else min(most, MAX_ORDERS_PER_RECORD)
        for start in range(0, len(index), step):
            yield line, pick(block, index[start : start + step])


class Pace:
    """When each event is due, at `speed` x event time from `start_s` on (loop time); gaps over an hour are skipped."""

    def __init__(self, speed: float, start_s: float) -> None:
        self._ns_per_s = speed * 1e9
        self._due_s = start_s
        self._newest: int | None = None

    def due_s(self, ts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Loop times of the next events; one that goes back in time is due with the one before it."""
        first = int(ts[0]) if self._newest is None else self._newest
        newest = np.maximum.accumulate(np.concatenate([[first], ts]))
        steps = np.diff(newest)
        steps[steps > SKIPPED_GAP_NS] = 0
        due = self._due_s + np.cumsum(steps) / self._ns_per_s
        self._newest, self._due_s = int(newest[-1]), float(due[-1])
        return due


async def send_paced(feeder: Feeder, block: EventBlock, pace: Pace) -> None:
    """Send each event of `block` when it is due."""
    clock = asyncio.get_running_loop().time
    due_s = pace.due_s(block.ts)
    position = 0
    while position < len(block):
        ready = int(np.searchsorted(due_s, clock(), "right"))
        if ready > position:
            await feeder.send(pick(block, slice(position, ready)))
            await feeder.flush()
            position = ready
        else:
            await asyncio.sleep(max(TICK_S, min(float(due_s[position]) - clock(), 1.0)))


async def records_there(settings: Settings) -> int:
    """Records that the events topic has ever had; 0 where the topic is missing. Raises AccessError, KafkaError."""
    await check_access(settings)
    async with AIOKafkaConsumer(**connection(settings), enable_auto_commit=False) as consumer:
        # Asked for by name, a broker may create it.
        found = (await consumer._client.fetch_all_metadata()).partitions_for_topic(settings.topic(EVENTS))
        places = [TopicPartition(settings.topic(EVENTS), number) for number in found or ()]
        return sum((await consumer.end_offsets(places)).values()) if places else 0


async def feed(
    logs: Iterable[Batch],
    plant: Plant,
    *,
    settings: Settings,
    speed: float | None = None,
    arrow: bool = False,
    on_block: Callable[[FeedSummary], None] | None = None,
    journal: Journal | None = None,
) -> FeedSummary:
    """Send every event of `logs` (`twin.sources.open_logs`, which ends each line with a heartbeat).

    `speed` is a multiple of event time; None is as fast as it goes. With a `journal` a batch goes out when the broker
    has the one before. Raises FeedError, what the logs raise, AccessError, and KafkaError where the broker refuses a
    record or is away; what was acknowledged until then stays sent.
    """
    topic = settings.topic(EVENTS)
    loop = asyncio.get_running_loop()
    begun = loop.time()
    await check_access(settings)
    async with AIOKafkaProducer(
        **connection(settings), enable_idempotence=True, acks="all", max_batch_size=BATCH_BYTES
    ) as producer:
        # Not `partitions_for`, which tries for 40 s to find a topic that is not there.
        partitions = (await producer.client.fetch_all_metadata()).partitions_for_topic(topic)
        if not partitions:
            raise FeedError(f"topic {topic} is missing at {settings.bootstrap}: run `twin topics apply`")
        feeder = Feeder(producer, topic, set(partitions), plant, arrow, settings.partitioner)
        pace = None if speed is None else Pace(speed, loop.time())
        # Read in a thread: parsing the next piece and sending the last one overlap.
        batches = iter(logs)
        while (batch := await asyncio.to_thread(next, batches, None)) is not None:
            block, refused = batch
            if journal is not None:
                await journal.claim(block, len(refused))
            await feeder.send_refused(refused)
            if len(block) and pace is None:
                await feeder.send(block)
            elif len(block) and pace is not None:
                await send_paced(feeder, block, pace)
            if journal is not None:
                await feeder.flush()
                await asyncio.to_thread(journal.sent)
            if on_block:
                on_block(feeder.summary)
        await feeder.flush()
        if journal is not None:
            await journal.end(feeder.summary.spans)
    feeder.summary.seconds = loop.time() - begun
    return feeder.summary
