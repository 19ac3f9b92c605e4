"""All records of one topic from a start on, without a group: nothing is committed, nobody else is disturbed."""

import logging
from collections.abc import AsyncIterator
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import ConsumerStoppedError
from aiokafka.structs import ConsumerRecord

from streams.kafka.access import connection
from streams.kafka.topics import admin_client, partition_counts
from streams.settings import Settings

log = logging.getLogger(__name__)

Records = list[ConsumerRecord[Any, Any]]

_POLL_MS: Final = 1000
_MOST_RECORDS: Final = 1000  # at once; what waits beyond them stays with the broker
# How soon a partition that was added is noticed.
_METADATA_AGE_MS: Final = 30_000


class ClientError(RuntimeError):
    """The client cannot be used like this: says what to do instead."""


class Reader:
    """One consumer. start: `beginning`, `now`, or nanoseconds since 1970 UTC (published then or later).

    whole: offsets follow each other, so that a jump means that records are gone (not so on a compacted topic).
    """

    def __init__(self, settings: Settings, topic: str, start: str | int, *, whole: bool = True) -> None:
        if start not in ("beginning", "now") and not isinstance(start, int):
            raise ClientError(f"start: {start!r} is not 'beginning', 'now' or nanoseconds since 1970 UTC")
        self._settings = settings
        self._topic = topic
        self._start = start
        self._whole = whole
        self._next: dict[TopicPartition, int] = {}
        self._consumer = AIOKafkaConsumer(
            **connection(settings),
            enable_auto_commit=False,
            # Reached only where retention has overtaken us.
            auto_offset_reset="earliest",
            metadata_max_age_ms=_METADATA_AGE_MS,
        )

    async def open(self) -> None:
        """Raises ClientError where the topic is missing, and what `admin_client` raises."""
        async with admin_client(self._settings) as admin:
            topics = await partition_counts(admin)
        if not topics.get(self._topic):
            raise ClientError(
                f"topic {self._topic} is missing at {self._settings.bootstrap}: is the prefix right, and were the "
                "topics made (`twin topics apply`)?"
            )
        await self._consumer.start()
        places = [TopicPartition(self._topic, number) for number in range(topics[self._topic])]
        self._assign(await self._first_offsets(places))

    async def close(self) -> None:
        await self._consumer.stop()

    async def _first_offsets(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        self._consumer.assign(places)  # asking for offsets needs it
        if self._start == "beginning":
            return dict(await self._consumer.beginning_offsets(places))
        ends = dict(await self._consumer.end_offsets(places))
        if self._start == "now":
            return ends
        found = await self._consumer.offsets_for_times(dict.fromkeys(places, int(self._start) // 1_000_000))
        return {place: found[place].offset if found[place] is not None else ends[place] for place in places}

    def _assign(self, positions: dict[TopicPartition, int]) -> None:
        self._consumer.assign(list(positions))
        for place, offset in positions.items():
            self._consumer.seek(place, offset)
        self._next = dict(positions)

    def _follow_growth(self) -> None:
        """A topic may get partitions; what is in them came after our start."""
        known = self._consumer.partitions_for_topic(self._topic) or set()
        added = {TopicPartition(self._topic, number) for number in known} - self._next.keys()
        if added:
            log.info("%s has %d partitions more", self._topic, len(added))
            self._assign(self._next | dict.fromkeys(added, 0))

    async def chunks(self) -> AsyncIterator[tuple[TopicPartition, Records]]:
        """What has come, partition by partition, until `close`. While Kafka is away nothing comes."""
        while True:
            self._follow_growth()
            try:
                runs = await self._consumer.getmany(timeout_ms=_POLL_MS, max_records=_MOST_RECORDS)
            except ConsumerStoppedError:  # closed, while another task was waiting here
                return
            for place, records in runs.items():
                missed = records[0].offset - self._next[place]
                if missed > 0 and self._whole:
                    log.warning(
                        "%s/%d: offsets %d to %d are gone: retention deleted them before they were read",
                        place.topic,
                        place.partition,
                        self._next[place],
                        records[0].offset - 1,
                    )
                self._next[place] = records[-1].offset + 1
                yield place, records
