"""Results to Kafka, at least once: packed into whole batches, acknowledged before an offset is committed.

A record's `id` is made of what the row says, never of when or by whom it was sent, so a consumer that saw a row before
a crash knows it again after the replay. Where the replay says something else of the same thing (another plant file, a
later version's rules), that is another record: under an id made of what the row is about alone it would pass for a
repeat, and what no audit has would stand.
"""

import asyncio
import functools
import hashlib
import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import repeat
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from aiokafka import AIOKafkaProducer

from streams.kafka import topics
from streams.kafka.access import connection
from streams.kafka.partitioner import choose
from streams.settings import Settings
from twin.audit.claims import Claim
from twin.events.block import Rejected
from twin.results import ORIGIN

log = logging.getLogger(__name__)

MOST_BATCH_BYTES: Final = 1_000_000  # a broker takes 1,048,588 unless told otherwise
LINGER_S: Final = 0.05
MOST_PENDING_BYTES: Final = 8 * MOST_BATCH_BYTES  # on their way; more hold the sender back
# As Python objects a row takes over 1 KB: after an hour read in one go they would be the most of a worker's memory.
_ROWS_AT_ONCE: Final = 1_024
# A refused record may be as long as the broker allows, and then does not fit with its headers.
MOST_REJECTED_BYTES: Final = 900_000
# How long the producer tries before a batch is lost and the worker must end: longer than a broker's restart.
_DELIVERY_LIMIT_S: Final = 120.0

_ENCODER: Final = msgspec.json.Encoder()
_PACKER: Final = msgspec.msgpack.Encoder()  # of what an `id` is made of: quicker than JSON, and nobody reads it
TOPIC_OF: Final = {
    "kpis": topics.KPIS,
    "bottlenecks": topics.KPIS,
    "measures": topics.MEASURES,
    "samples": topics.MEASURES,
    "alerts": topics.ALERTS,
}
# Where a row came from is the cut's, and the plant's hash that of whoever sends it again.
_NOT_SAID: Final = {*ORIGIN, "model"}
Headers = list[tuple[str, bytes]]  # a list: aiokafka takes no other sequence
TopicPartition = tuple[str, int]  # topic, partition


class PublishError(RuntimeError):
    """The broker did not take a result; its offset must not be committed."""


def record_id(*parts: object) -> str:
    """16 hex digits of what identifies a record. Not for security: SHA-1 is short and quick."""
    text = "\x1f".join("" if part is None else str(part) for part in parts)
    return _id_of(text.encode("utf-8", "replace"))


def _id_of(data: bytes) -> str:
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()[:16]


def json_rows(set_name: str, table: pa.Table) -> Iterator[tuple[str, bytes]]:
    """(line, JSON) of each row: its columns, times as RFC 3339 with nanoseconds, `id` and `set` first.

    Column by column, and a record type with fixed fields for the rows: a third of the time that dicts take.
    """
    columns = {name: _values(table.column(name)) for name in table.column_names}
    own = [name for name in columns if name not in _NOT_SAID]
    said = map(_said_type(tuple(own)), repeat(set_name), *(columns[name] for name in own))
    ids = map(_id_of, map(_PACKER.encode, said))
    rows = map(_row_type(tuple(columns)), ids, repeat(set_name), *columns.values())
    return zip(columns["line"], map(_ENCODER.encode, rows), strict=True)


@functools.cache
def _row_type(names: tuple[str, ...]) -> type[msgspec.Struct]:
    # Fields have names of their own: columns may be called `class` or `order`.
    fields = [f"f{k}" for k in range(len(names) + 2)]
    return msgspec.defstruct("Row", fields, rename=dict(zip(fields, ("id", "set", *names), strict=True)))


@functools.cache
def _said_type(names: tuple[str, ...]) -> type[msgspec.Struct]:
    """What an `id` is made of. Without nulls: a column that came later leaves the ids of rows that do not use it."""
    fields = [f"f{k}" for k in range(len(names) + 1)]
    renamed = dict(zip(fields, ("set", *names), strict=True))
    columns = [(field, Any, None) for field in fields[1:]]
    return msgspec.defstruct("Said", [fields[0], *columns], rename=renamed, omit_defaults=True)


def _values(column: "pa.ChunkedArray[Any]") -> list[Any]:
    """As `to_pylist`, which makes a scalar of each value; times as text: JavaScript has no 64-bit nanoseconds."""
    if column.null_count == len(column):
        return [None] * len(column)
    if pa.types.is_temporal(column.type):
        # Rows of one tick share their times, nearly all of them their day.
        column = column.dictionary_encode()
    if pa.types.is_dictionary(column.type):
        return [value for chunk in column.chunks for value in _named(chunk)]
    if column.null_count or not pa.types.is_integer(column.type):
        return column.to_pylist()
    return column.to_numpy().tolist()  # type: ignore[no-any-return]  # of integers


def _named(chunk: Any) -> list[Any]:
    names = chunk.dictionary
    if pa.types.is_date32(names.type):
        names = pc.strftime(names, format="%Y-%m-%d")
    elif pa.types.is_timestamp(names.type):
        names = pc.strftime(names, format="%Y-%m-%dT%H:%M:%SZ")
    texts = [*names.to_pylist(), None]
    return list(map(texts.__getitem__, chunk.indices.fill_null(len(names)).to_numpy().tolist()))


class Publisher:
    """Sends results; one per worker. `start` and `stop` belong to the worker's loop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None
        self._place_of: dict[tuple[str, str], TopicPartition] = {}
        self._partitions: dict[str, list[int]] = {}
        self._missing: set[str] = set()
        self._open: dict[TopicPartition, Any] = {}
        self._ready: asyncio.Queue[tuple[TopicPartition, Any, asyncio.Future[None]]] = asyncio.Queue()
        self._unacknowledged: dict[asyncio.Future[None], int] = {}  # with the bytes of the batch
        self._pending_bytes = 0
        self._tasks: list[asyncio.Task[None]] = []
        self.sent = 0

    async def start(self) -> None:
        """Connect. Raises KafkaError, or PublishError when a topic is missing."""
        settings = self._settings
        self._producer = AIOKafkaProducer(
            **connection(settings),
            enable_idempotence=True,
            max_batch_size=MOST_BATCH_BYTES,
            max_request_size=4 * MOST_BATCH_BYTES,
            request_timeout_ms=int(_DELIVERY_LIMIT_S * 1000),
            # Not every client unpacks everything; gzip, which all do, costs more time than it saves on the way.
            compression_type=None if settings.results_compression == "none" else settings.results_compression,
        )
        await self._producer.start()
        # Not `partitions_for`, which tries for 40 s to find a topic that is not there, and logs each time.
        there = await self._producer.client.fetch_all_metadata()
        names = (topics.EVENTS, topics.LINES, topics.KPIS, topics.ALERTS, topics.REJECTED)
        chain, measures = settings.topic(topics.CHAIN), settings.topic(topics.MEASURES)
        found = {topic: there.partitions_for_topic(topic) for topic in map(settings.topic, names)}
        if missing := [topic for topic, partitions in found.items() if not partitions]:
            raise PublishError(f"there is no topic {', '.join(missing)}; make them with `twin topics apply`")
        found[chain], found[measures] = there.partitions_for_topic(chain), there.partitions_for_topic(measures)
        if not found[chain]:  # an earlier version's topics: no reason to stop a plant
            log.warning(
                "there is no topic %s: the ends of the audit's chains are kept nowhere but in its root; make it with "
                "`twin topics apply` and start the workers again",
                chain,
            )
        self._partitions = {topic: sorted(partitions) for topic, partitions in found.items() if partitions}
        self._tasks = [asyncio.create_task(self._send_ready()), asyncio.create_task(self._pack_now_and_then())]

    async def stop(self) -> None:
        """Give up what is not acknowledged; `flush` comes first."""
        for task in self._tasks:
            task.cancel()
        if self._producer is not None:
            producer, self._producer = self._producer, None
            await producer.stop()

    def results(self, tables: Iterable[tuple[str, pa.Table]]) -> None:
        """Take rows of the sets that have a topic. Nothing waits here, so that a checkpoint never comes between the
        fold and its results: `room` is asked afterwards.
        """
        for set_name, table in tables:
            name = TOPIC_OF.get(set_name)
            if name is not None and table.num_rows:
                topic = self._settings.topic(name)
                if topic not in self._partitions:  # an earlier version's topics: the audit has the rows
                    self._say_missing(topic)
                    continue
                for start in range(0, table.num_rows, _ROWS_AT_ONCE):
                    for line, value in json_rows(set_name, table.slice(start, _ROWS_AT_ONCE)):
                        self._append(self._place_of_line(topic, line), line.encode(), value)

    def _say_missing(self, topic: str) -> None:
        if topic not in self._missing:
            self._missing.add(topic)
            log.warning(
                "there is no topic %s: its rows go into the audit alone; make it with `twin topics apply` and start "
                "the workers again",
                topic,
            )

    def rejected(self, rejected: Iterable[Rejected], topic: str, partition: int) -> None:
        """Refused records: the bytes as they came, and in the headers why and from where."""
        own = self._settings.topic(topics.REJECTED)
        alike: Counter[tuple[int, str, str, bytes]] = Counter()  # a record may hold the same refused event twice
        for one in rejected:
            value = one.value[:MOST_REJECTED_BYTES]
            what = one.offset, one.reason, one.detail, hashlib.sha1(one.value, usedforsecurity=False).digest()
            alike[what] += 1
            headers: Headers = [
                ("id", record_id("rejected", topic, partition, *what, alike[what]).encode()),
                ("reason", one.reason.encode()),
                ("detail", one.detail.encode("utf-8", "replace")[:4096]),
                ("source_topic", topic.encode()),
                ("source_partition", str(partition).encode()),
                ("source_offset", str(one.offset).encode()),
            ]
            if len(value) < len(one.value):
                headers.append(("truncated_from_bytes", str(len(one.value)).encode()))
            key = None if one.line is None else one.line.encode("utf-8", "replace")
            self._append(self._place(own, key), key, value, headers)

    def view(self, line: str, value: bytes) -> None:
        """Take the provisional view of a line; the newest replaces those before it."""
        self._append(self._place_of_line(self._settings.topic(topics.LINES), line), line.encode(), value)

    def claim(self, claim: Claim) -> None:
        """Take what was committed and published; the newest replaces those before it."""
        topic = self._settings.topic(topics.CHAIN)
        if topic in self._partitions:
            key = f"{claim.group}/{claim.partition}".encode()
            self._append(self._place(topic, key), key, _ENCODER.encode(claim))

    @property
    def behind(self) -> bool:
        """True while so much is on its way that what can be left out should be."""
        return self._pending_bytes >= MOST_PENDING_BYTES // 2

    async def room(self) -> None:
        """Wait until not too much is on its way. Raises PublishError."""
        self._raise_failed()
        while self._pending_bytes >= MOST_PENDING_BYTES:
            await asyncio.wait(self._unacknowledged, return_when=asyncio.FIRST_COMPLETED)
            self._raise_failed()

    async def flush(self, limit_s: float, *, patient: bool = False) -> bool:
        """Send what is packed; True when the broker has acknowledged all of it. Raises PublishError.

        `patient`: the limit counts anew with each batch that the broker takes. What is on its way is bounded, what
        follows meanwhile is not waited for: a broker that takes less than that much within one limit would else never
        let anything be committed.
        """
        self._pack_open()
        begun = waiting = set(self._unacknowledged)
        while waiting:
            # `wait`, which cancels nothing when its time is up.
            done, waiting = await asyncio.wait(waiting, timeout=limit_s)
            if not (done and patient):
                break
        self._raise_failed()
        return all(future.done() for future in begun)

    def _place(self, topic: str, key: bytes | None) -> TopicPartition:
        partitions = self._partitions[topic]
        # As the events of a line: its results are found by the same key.
        return topic, partitions[choose(self._settings.partitioner, key or b"", len(partitions))]

    def _place_of_line(self, topic: str, line: str) -> TopicPartition:
        """Remembered: the plant has so many lines, and the partitioner is slow Python."""
        place = self._place_of.get((topic, line))
        if place is None:
            place = self._place_of[topic, line] = self._place(topic, line.encode())
        return place

    def _append(self, place: TopicPartition, key: bytes | None, value: bytes, headers: Headers | None = None) -> None:
        headers = headers or []
        builder = self._open.get(place)
        if builder is not None and builder.append(timestamp=None, key=key, value=value, headers=headers) is not None:
            return
        if builder is not None:
            self._enqueue(place, builder)
        assert self._producer is not None
        fresh = self._open[place] = self._producer.create_batch()
        if fresh.append(timestamp=None, key=key, value=value, headers=headers) is None:
            raise PublishError(f"{place[0]}: a result of {len(value)} bytes does not fit a batch of {MOST_BATCH_BYTES}")

    def _pack_open(self) -> None:
        packed, self._open = self._open, {}
        for place, builder in packed.items():
            self._enqueue(place, builder)

    def _enqueue(self, place: TopicPartition, builder: Any) -> None:
        builder.close()
        self.sent += builder.record_count()
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        size = builder.size()
        self._unacknowledged[done] = size
        self._pending_bytes += size
        self._ready.put_nowait((place, builder, done))

    def _raise_failed(self) -> None:
        for future in [future for future in self._unacknowledged if future.done()]:
            self._pending_bytes -= self._unacknowledged.pop(future)
            error = future.exception()
            if error is not None:
                raise PublishError(f"a batch of results was not taken: {error!r}") from error

    async def _send_ready(self) -> None:
        """The only sender, so that batches leave in the order in which they were filled."""
        assert self._producer is not None
        while True:
            (topic, partition), builder, done = await self._ready.get()
            try:
                sent = await self._producer.send_batch(builder, topic, partition=partition)
            except Exception as error:  # whatever has ended the producer: a sender that ends with it would say nothing
                done.set_exception(error)
            else:
                sent.add_done_callback(functools.partial(_pass_on, done))

    async def _pack_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(LINGER_S)
            self._pack_open()


def _pass_on(done: "asyncio.Future[None]", sent: "asyncio.Future[Any]") -> None:
    if done.done():
        return
    # Cancelled is not acknowledged: the producer was closed with the batch in hand.
    error = PublishError("the producer gave the batch up") if sent.cancelled() else sent.exception()
    if error is not None:
        done.set_exception(error)
    else:
        done.set_result(None)
