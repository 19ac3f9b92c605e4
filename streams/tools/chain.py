"""The compacted topic `twin.chain`: what workers said of the ends of their chains, outside the root."""

import asyncio
from pathlib import Path
from typing import Final

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.kafka.access import connection
from streams.kafka.reading import to_the_end
from streams.kafka.topics import CHAIN, admin_client, partition_counts
from streams.settings import Settings
from twin.audit import claims, marker
from twin.audit.claims import Claim
from twin.audit.report import Difference

# A compacted topic of 1,000 partitions is some megabytes.
_LIMIT_S: Final = 300.0


class ChainError(RuntimeError):
    """The topic cannot be read, or holds what no worker sends."""


async def read(settings: Settings) -> dict[int, list[Claim]]:
    """Partition of the events topic -> what this group's workers said of it, in the order of the log.

    Raises ChainError, TopicsError, AccessError, KafkaError.
    """
    topic = settings.topic(CHAIN)
    async with admin_client(settings) as admin:
        number = (await partition_counts(admin)).get(topic, 0)
    if not number:
        raise ChainError(
            f"topic {topic} is missing at {settings.bootstrap}: make it with `twin topics apply` and start the workers "
            "again; what they commit from then on is said there"
        )
    try:
        return await asyncio.wait_for(_read(settings, topic, number), _LIMIT_S)
    except TimeoutError:
        raise ChainError(f"topic {topic} was not read to its end within {_LIMIT_S:g} s") from None


async def _read(settings: Settings, topic: str, partitions: int) -> dict[int, list[Claim]]:
    found: dict[int, list[Claim]] = {}
    async with AIOKafkaConsumer(
        **connection(settings), enable_auto_commit=False, request_timeout_ms=int(settings.request_timeout_s * 1000)
    ) as consumer:
        places = [TopicPartition(topic, partition) for partition in range(partitions)]
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        async for record in to_the_end(consumer):
            if record.value is None:  # forgotten by hand: the root was restored from a copy
                group, _, partition = (record.key or b"").decode("utf-8", "replace").rpartition("/")
                if group == settings.group_id and partition.isdecimal():
                    found.pop(int(partition), None)
                continue
            try:
                claim = claims.decode(record.value)
            except msgspec.MsgspecError as error:
                raise ChainError(
                    f"{topic}: the record at offset {record.offset} is none of a worker ({error}): who else may write "
                    "there?"
                ) from error
            if claim.group == settings.group_id:
                found.setdefault(claim.partition, []).append(claim)
    return found


def strange(settings: Settings, root: Path, told: dict[int, list[Claim]]) -> list[Difference]:
    """Where the root is not the one that the topic speaks of. Raises AuditError, OSError."""
    try:
        own = marker.read(root)
    except FileNotFoundError:
        return [Difference(marker.NAME, "is missing: a root of workers has one, which says whose it is")]
    found = []
    if (own.prefix, own.group) != (settings.prefix, settings.group_id):
        found.append(
            f"is of prefix {own.prefix} and group {own.group}, the topic is of prefix {settings.prefix} and group "
            f"{settings.group_id} (TAKTWIN_PREFIX, TAKTWIN_GROUP)"
        )
    for partition, mine in sorted(told.items()):
        for root_id, topic_id in sorted({(claim.root, claim.topic_id) for claim in mine}):
            if root_id == own.id and (topic_id == own.topic_id or not (topic_id and own.topic_id)):
                continue
            found.append(
                f"says root {own.id} and topic {own.topic_id or 'unknown'}, the workers of partition {partition} wrote "
                f"in root {root_id} from topic {topic_id or 'unknown'}: it is another root, or its marker was changed"
            )
    return [Difference(marker.NAME, what) for what in found]
