"""Faust's aiokafka driver, changed in three places; for faust-streaming 0.15.3 and aiokafka 0.14.0 (contract-tested).

* One Faust message is a run (`streams.kafka.unpacking`): records of one partition that one fetch brought. Faust spends
  four asyncio tasks per message; per record that caps a worker at some 15,000 records a second.
* `perform_seek` installs the state that the committed offset names and seeks to the state's own next offset. That is
  the only place where a seek survives a rebalance.
* `commit_fenced` is one OffsetCommit, bound to the membership under which the state was loaded. Faust's own commit
  retries without end while the broker is away, and a retry after a rebalance would be sent under the new membership.

The consumer runs in a thread of its own; names that start with an underscore belong to Faust or aiokafka.
"""

import asyncio
import enum
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka import errors as kafka_errors
from aiokafka.consumer.fetcher import FetchResult
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.transport.consumer import ensure_TP
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

from streams import exits
from streams.kafka import identity
from streams.kafka.identity import TopicNow
from streams.kafka.unpacking import Run

# Else Faust's talk of starting and stopping would be logged as ours.
_FAUST_LOG: Final = logging.getLogger("faust.transport")
log = logging.getLogger(__name__)
_TOPIC_LIMIT_S: Final = 10.0

# An answer to a fetch is in memory three times until it is taken apart: it holds no more partitions than these, full.
PARTITIONS_AT_ONCE: Final = 2

# Runs of several partitions that are handed over together hold no more than this, and one run.
SMALL_BYTES: Final = 1 << 20

# How long Faust waits for a seek: for ever. A thousand states take their time, and after it Faust says nothing.
FAUST_LIMIT_S: Final = 86_400.0

# Generation and member id. The generation alone is not enough: a static member that is replaced keeps it.
Token = tuple[int, str]

_FENCED: Final = (
    kafka_errors.UnknownMemberIdError,
    kafka_errors.IllegalGenerationError,
    kafka_errors.RebalanceInProgressError,
)


class Committed(enum.Enum):
    """Outcome of a commit."""

    OK = "ok"
    FENCED = "fenced"  # the partition is no longer ours under this token: drop the state, `perform_seek` loads it again
    RETRY = "retry"  # the broker is away: keep the state, try at the next checkpoint


@dataclass(frozen=True, slots=True)
class Assigned:
    """What the broker says of one assigned partition."""

    committed: int | None
    metadata: str
    log_start: int
    log_end: int
    partitions: int = 0  # of the topic; 0: unknown
    topic_id: str = ""  # Kafka's own; "": this broker gives none


# Installs the state of every assigned partition for this token and returns the offsets to seek to; None: the token was
# outdated before it was done.
SeekHook = Callable[[Mapping[TP, Assigned], Token], Awaitable[Mapping[TP, int] | None]]


class NullOffsets(defaultdict[TP, int | None]):
    """Remembers nothing. With Faust's own, a record below the last one read is dropped without a word after a seek."""

    def __init__(self) -> None:
        super().__init__(lambda: None)

    def __getitem__(self, key: TP) -> None:
        return None

    def __setitem__(self, key: TP, value: int | None) -> None:
        pass


@dataclass(slots=True)
class TransportConfig:
    """Set by the worker before Faust makes its consumer."""

    on_seek: SeekHook
    fetch_min_bytes: int = 1
    fetch_wait_ms: int = 100
    request_timeout_s: float = 30.0
    loading: Callable[[], tuple[int, int]] = lambda: (0, 0)  # states loaded, of how many
    runs_ahead: int = 4  # enough that the fold never waits for the next fetch


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """Owns the aiokafka consumer, its loop and thread."""

    logger = _FAUST_LOG
    config: TransportConfig

    def __post_init__(self) -> None:
        super().__post_init__()
        # Fetch position per partition, kept in the same step of the loop as every seek and every drain.
        self._base: dict[TP, int] = {}
        self._base_of: object | None = None
        self._held: tuple[set[Any], frozenset[TP]] = (set(), frozenset())  # as aiokafka has them, and as Faust

    def _create_consumer(self, loop: asyncio.AbstractEventLoop) -> AIOKafkaConsumer:
        consumer = super()._create_consumer(loop)
        # Faust's own is FAUST_LIMIT_S, which is for seeks.
        consumer._request_timeout_ms = int(self.config.request_timeout_s * 1_000)
        consumer._client._request_timeout_ms = consumer._request_timeout_ms
        # All are read by AIOKafkaConsumer.start(). Faust hard-codes 1500 ms, which stalls busy partitions behind idle
        # ones, and reads uncommitted records, so that what a gateway's transaction took back would be counted.
        consumer._fetch_min_bytes = self.config.fetch_min_bytes
        consumer._fetch_max_bytes = PARTITIONS_AT_ONCE * consumer._max_partition_fetch_bytes
        consumer._fetch_max_wait_ms = self.config.fetch_wait_ms
        consumer._isolation_level = "read_committed"
        return consumer

    def assignment(self) -> set[TP]:
        """As Faust's, which makes each of them anew: of 1,000 partitions that was a fifth of a worker's time."""
        held = self._ensure_consumer().assignment()
        if held != self._held[0]:
            self._held = held, frozenset(map(ensure_TP, held))
        return set(self._held[1])

    def _assignment(self) -> Any:
        subscription = self._ensure_consumer()._subscription.subscription
        return subscription.assignment if subscription is not None else None

    def _forget_old_bases(self) -> None:
        assignment = self._assignment()
        if assignment is not self._base_of:  # a new assignment: aiokafka has reset the positions
            self._base.clear()
            self._base_of = assignment

    async def _seek_wait(self, consumer: AIOKafkaConsumer, partitions: Mapping[TP, int]) -> None:
        self._forget_old_bases()
        self._base.update(partitions)
        await super()._seek_wait(consumer, partitions)

    async def _fetch_records(
        self,
        consumer: AIOKafkaConsumer,
        active_partitions: set[TP],
        timeout: float | None = None,  # noqa: ASYNC109  the driver's signature
        max_records: int | None = None,
    ) -> Any:
        self._forget_old_bases()
        # One record, as Faust sees it: a run.
        fetched: dict[Any, list[Any]] = dict(await super()._fetch_records(consumer, active_partitions, timeout, 1))
        if fetched:
            _take_small(consumer._fetcher, active_partitions, fetched)
        self._forget_old_bases()
        found: dict[TP, Sequence[Any]] = {}
        for key, runs in fetched.items():  # no await before the end: positions still are what these runs left
            tp = ensure_TP(key)
            for run in runs:
                run.base = self._base.get(tp)
                self._base[tp] = run.offset + 1
            found[tp] = runs
        return found

    def token(self) -> Token:
        coordinator = self._ensure_consumer()._coordinator
        return (coordinator.generation, coordinator.member_id)

    async def assigned(self) -> dict[TP, Assigned]:
        """Committed offset and metadata, first and end offset of each assigned partition. Moves no position."""
        return await self.call_thread(self._assigned)  # type: ignore[no-any-return]  # call_thread returns Any

    async def _assigned(self) -> dict[TP, Assigned]:
        consumer = self._ensure_consumer()
        partitions = list(consumer.assignment())
        # `consumer.committed()` would drop the metadata.
        committed = await consumer._coordinator.fetch_committed_offsets(partitions)
        starts = await consumer.beginning_offsets(partitions)
        ends = await consumer.end_offsets(partitions)
        # What is refused depends on it, and whose records these are: until it is known nothing is folded.
        topics = {}
        for topic in sorted({tp.topic for tp in partitions}):
            while not (now := await self._topic(topic, _TOPIC_LIMIT_S)).partitions:
                log.warning("%s: nobody says yet how many partitions it has; asking", topic)
                await asyncio.sleep(1.0)
            topics[topic] = now
        found = {}
        for tp in partitions:
            entry = committed.get(tp)
            offset, metadata = (entry.offset, entry.metadata or "") if entry is not None else (None, "")
            found[ensure_TP(tp)] = Assigned(offset, metadata, starts[tp], ends[tp], *topics[tp.topic])
        return found

    async def topic(self, topic: str, limit_s: float) -> TopicNow:
        return await self.call_thread(self._topic, topic, limit_s)  # type: ignore[no-any-return]  # as above

    async def _topic(self, topic: str, limit_s: float) -> TopicNow:
        # Not the consumer's own metadata, which may be seconds old.
        return await identity.ask(self._ensure_consumer()._client, topic, limit_s)

    async def log_start(self, tp: TP) -> int:
        return await self.call_thread(self._log_start, tp)  # type: ignore[no-any-return]  # as above

    async def _log_start(self, tp: TP) -> int:
        where = TopicPartition(tp.topic, tp.partition)
        return int((await self._ensure_consumer().beginning_offsets([where]))[where])

    async def commit_fenced(self, offsets: Mapping[TP, tuple[int, str]], token: Token, limit_s: float) -> Committed:
        return await self.call_thread(self._commit_fenced, offsets, token, limit_s)  # type: ignore[no-any-return]  # Any

    async def _commit_fenced(self, offsets: Mapping[TP, tuple[int, str]], token: Token, limit_s: float) -> Committed:
        coordinator = self._ensure_consumer()._coordinator
        wanted = {TopicPartition(tp.topic, tp.partition): OffsetAndMetadata(*value) for tp, value in offsets.items()}

        def owned() -> Any:
            assignment = self._assignment()
            if assignment is None or not assignment.active or self.token() != token or token[0] < 0:
                return None
            # The broker checks the member, not what it owns: it would take a commit for anybody's partition.
            return assignment if set(wanted) <= set(assignment.tps) else None

        async def once() -> None:
            async with coordinator._commit_lock:
                assignment = owned()  # again: the lock may have waited over a rebalance
                if assignment is None:
                    raise kafka_errors.IllegalGenerationError
                # Builds its request from the coordinator's generation and member before it first awaits.
                await coordinator._do_commit_offsets(assignment, wanted)

        if owned() is None:
            return Committed.FENCED
        if coordinator.coordinator_id is None:
            return Committed.RETRY  # a commit that waits for the broker would meet another membership
        try:
            await asyncio.wait_for(once(), limit_s)
        except _FENCED:
            return Committed.FENCED
        except TimeoutError:
            return Committed.RETRY
        except kafka_errors.KafkaError as error:
            if error.retriable:
                return Committed.RETRY
            raise
        return Committed.OK


def _take_small(fetcher: Any, active: set[TP], fetched: dict[Any, list[Any]]) -> None:
    """Of other partitions, too, what is there already, a run of each, while together it is little.

    Each call into this thread brought one run, and looks through all partitions: with an event a second in each of
    1,000 it took longer than the events did. No await: no membership ends meanwhile.
    """
    size = sum(len(run.records.data) for runs in fetched.values() for run in runs)
    for key in [key for key, there in fetcher._records.items() if type(there) is FetchResult]:
        if size >= SMALL_BYTES:
            return
        if key in fetched or ensure_TP(key) not in active:
            continue
        there = fetcher._records[key]
        runs = there.getall(1)
        if not there.has_more():
            del fetcher._records[key]
            fetcher._notify(fetcher._wait_consume_future)  # as `fetched_records` does
        if runs:
            fetched[key] = runs
            size += sum(len(run.records.data) for run in runs)


class Consumer(driver.Consumer):
    """The consumer as Faust sees it, in the worker's own loop."""

    config: TransportConfig
    _thread: ConsumerThread

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._seek_lock = asyncio.Lock()
        self._read_offset = NullOffsets()
        self._ahead = 0
        self._room = asyncio.Event()
        self._room.set()

    def _new_consumer_thread(self) -> ConsumerThread:
        thread = ConsumerThread(self, loop=self.loop, beacon=self.beacon)
        thread.config = self.config
        return thread

    def token(self) -> Token:
        return self._thread.token()

    async def commit_fenced(
        self, offsets: Mapping[TP, tuple[int, str]], token: Token, limit_s: float = 5.0
    ) -> Committed:
        """Commit {partition: (offset, metadata)} once, or not at all."""
        return await self._thread.commit_fenced(offsets, token, limit_s)

    async def topic(self, topic: str, limit_s: float = 5.0) -> TopicNow:
        """What a topic is, asked of a broker now."""
        return await self._thread.topic(topic, limit_s)

    async def log_start(self, tp: TP) -> int:
        """The first offset that the broker still has. Raises KafkaError."""
        return await self._thread.log_start(tp)

    async def perform_seek(self) -> None:
        """Called by Faust once or more per rebalance, also while it stops and beside a running checkpoint.

        Ends the process when nothing moves for as long as a request may take: Faust would take a timeout for its own
        stop, end the task that handles rebalances and say nothing. The worker would keep its partitions for ever
        without doing anything. It has no limit on all of them together: a thousand states take their time.
        """
        limit_s = self.config.request_timeout_s
        seeking = asyncio.ensure_future(self._load_and_seek())
        try:
            while True:
                loaded = self.config.loading()
                done, _ = await asyncio.wait((seeking,), timeout=limit_s)
                if done:
                    return await seeking
                if self.config.loading() == loaded:
                    exits.end_now(
                        exits.WATCHDOG,
                        f"no progress for {limit_s:g} s ({loaded[0]} of {loaded[1]} states are loaded): Kafka or the "
                        "disk does not answer",
                    )
        finally:
            seeking.cancel()

    async def _load_and_seek(self) -> None:
        async with self._seek_lock:
            token = self.token()
            assigned = await self._thread.assigned()
            if token != self.token():
                return  # a newer rebalance began meanwhile; its own perform_seek follows
            positions = await self.config.on_seek(assigned, token)
            if positions is None:
                return
            self.forget_runs()
            # Explicitly, also to 0: Faust's own does not seek where nothing was committed.
            await self.seek_wait(positions)

    async def reseek(self, positions: Callable[[], Mapping[TP, int]]) -> None:
        """Go back to the states' next offsets after a run was lost; `positions` is asked under the lock."""
        async with self._seek_lock:
            self.forget_runs()
            await self.seek_wait(positions())

    def done(self, run: Run) -> None:
        """The worker has taken a run off the stream."""
        self._ahead = max(0, self._ahead - 1)
        if self._ahead < self.config.runs_ahead:
            self._room.set()

    def forget_runs(self) -> None:
        """Runs that a rebalance cleared from the stream are never done."""
        self._ahead = 0
        self._room.set()

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:  # noqa: ASYNC109  as above
        # Held back here, because Faust answers a full stream buffer with a sleep of a whole second. The limit on the
        # wait keeps Faust's fetcher able to stop.
        try:
            await asyncio.wait_for(self._room.wait(), timeout)
        except TimeoutError:
            return {}
        fetched = await self._thread.getmany(active_partitions, timeout)
        self._ahead += sum(map(len, fetched.values()))
        if self._ahead >= self.config.runs_ahead:
            self._room.clear()
        return fetched

    def _to_message(self, tp: TP, record: Run) -> ConsumerMessage:
        tp = ensure_TP(tp)
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            record.offset,
            0.0,  # Faust measures with it
            0,
            [],
            b"",
            record,  # type: ignore[arg-type, unused-ignore]  # the agent's value: the whole run
            None,
            0,
            0,
            tp,
            generation_id=self.app.consumer_generation_id,
        )


def transport_of(config: TransportConfig) -> type[driver.Transport]:
    """A transport class for one worker: Faust instantiates the classes itself, so the configuration rides on them."""
    consumer = type("Consumer", (Consumer,), {"config": config, "logger": _FAUST_LOG})
    return type("Transport", (driver.Transport,), {"Consumer": consumer})
