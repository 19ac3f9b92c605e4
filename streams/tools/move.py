"""`twin topics move`: the events of a topic copied to another prefix with more partitions.

A key decides the partition, so a topic that grows would move lines away from their state. Instead all of its records
are copied to a topic of a new prefix, each to the partition that the partitioner chooses for its key among more.
Workers of the new prefix read it from its beginning into a root of their own: their rows are those of the old one,
which `twin audit digest` shows. Records keep key, value, headers and time, and those of a line their order; what was
refused for the partition that it lay in lies wrong again, so it is refused again.

Each copy names in a header the record that it is of. So a move that was cut off goes on: of the records of one old
partition that belong to one new one, the copies are the first so many, for an idempotent producer leaves none out.

Rejected: handing over the states. It would spare reading all again, but the new root would begin with a state that
nothing in it proves, and a topic whose first records are gone would look whole.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from streams.kafka import partitioner
from streams.kafka.access import connection
from streams.kafka.identity import ask
from streams.kafka.reading import to_the_end
from streams.kafka.topics import EVENTS, Topic, TopicsError, admin_client, apply, compare, desired, existing
from streams.settings import Settings

HEADER: Final = "moved_from"  # id of the old topic / partition / offset
_ID_LIMIT_S: Final = 10.0
_EMPTY: Final = frozenset({"Empty", "Dead"})
_FETCH_BYTES: Final = 32 << 20

Copied = dict[tuple[int, int], int]  # (old partition, new partition) -> offset behind the last record copied


@dataclass(slots=True)
class Moved:
    """What was copied, or would be."""

    topic: str
    to: str
    partitions: tuple[int, int]  # before and after
    there: int = 0  # copies that were there already
    copied: Counter[int] = field(default_factory=Counter)  # by old partition
    into: Counter[int] = field(default_factory=Counter)  # by new partition, those that were there included
    misplaced: int = 0  # that lay in another partition than their key's, and do so again


async def move(settings: Settings, to: str, partitions: int, *, dry_run: bool = False) -> Moved:
    """Copy the events of `settings.prefix` to prefix `to`, whose topics are made where they are missing.

    Raises TopicsError where that would not give the same rows, AccessError, and KafkaError where the broker refuses.
    """
    target = replace(settings, prefix=to, partitions=partitions)
    old, new = settings.topic(EVENTS), target.topic(EVENTS)
    if old == new:
        raise TopicsError(f"{old} cannot be copied to itself: name another prefix with --to")
    async with admin_client(settings) as admin:
        found = await existing(admin, {topic.name for topic in desired(target)} | {old})
        if old not in found:
            raise TopicsError(f"topic {old} is missing at {settings.bootstrap}: is TAKTWIN_PREFIX the old one?")
        moved = Moved(old, new, (found[old].partitions, partitions))
        if partitions <= moved.partitions[0]:
            raise TopicsError(f"{old} has {moved.partitions[0]} partitions; give more with --partitions")
        await _check_nobody_reads(admin, settings, old)
        changes = compare(_like(desired(target), new, found[old].own), found)
        refused = [change for change in changes if change.kind == "refused"]
        if refused:
            raise TopicsError("\n".join(map(str, refused)))
        if not dry_run:
            await apply(admin, changes)
    await _copy(settings, moved, made=new in found or not dry_run, dry_run=dry_run)
    return moved


def _like(topics: list[Topic], events: str, own: Mapping[str, str]) -> list[Topic]:
    """The topics of the new prefix; records are kept as long as those of the old one."""
    return [
        replace(topic, config={**own, **topic.config}, kept_days=None if "retention.ms" in own else topic.kept_days)
        if topic.name == events
        else topic
        for topic in topics
    ]


async def _check_nobody_reads(admin: AIOKafkaAdminClient, settings: Settings, topic: str) -> None:
    """A worker that is at work would go on with the old topic, and lines would have two twins."""
    for answer in await admin.describe_consumer_groups([settings.group_id]):
        for _error, name, state, _kind, _protocol, members, *_ in answer.groups:
            if members or state not in _EMPTY:
                raise TopicsError(
                    f"group {name} is {state} with {len(members)} members: stop all workers of {topic} first (each "
                    "commits what it has), and wait for the session timeout of those that were killed"
                )


async def _copy(settings: Settings, moved: Moved, *, made: bool, dry_run: bool) -> None:
    async with AIOKafkaConsumer(
        **connection(settings), enable_auto_commit=False, fetch_max_bytes=_FETCH_BYTES, max_poll_records=10_000
    ) as consumer:
        await consumer._client.fetch_all_metadata()
        topic_id = (await ask(consumer._client, moved.topic, _ID_LIMIT_S)).id
        olds = [TopicPartition(moved.topic, number) for number in range(moved.partitions[0])]
        for place, begin in (await consumer.beginning_offsets(olds)).items():
            if begin:
                raise TopicsError(
                    f"{moved.topic}/{place.partition} begins at offset {begin}: older records are deleted, and rows "
                    "of a copy would not be those of the whole. Begin a new prefix with new events: the old root stays "
                    "as it is, and provable"
                )
        done = await _there(consumer, moved, topic_id) if made else {}
        consumer.assign(olds)
        await consumer.seek_to_beginning(*olds)
        if dry_run:
            await _send(consumer, None, moved, topic_id, done, settings.partitioner)
            return
        async with AIOKafkaProducer(
            **connection(settings), enable_idempotence=True, acks="all", linger_ms=20, max_request_size=_FETCH_BYTES
        ) as producer:
            await _send(consumer, producer, moved, topic_id, done, settings.partitioner)


async def _there(consumer: AIOKafkaConsumer, moved: Moved, topic_id: str) -> Copied:
    """How far an earlier move has come. Raises TopicsError where anything else lies there."""
    done: Copied = {}
    news = [TopicPartition(moved.to, number) for number in range(moved.partitions[1])]
    consumer.assign(news)
    await consumer.seek_to_beginning(*news)
    async for record in to_the_end(consumer):
        told = dict(record.headers).get(HEADER, b"").decode("ascii", "replace").split("/")
        if len(told) != 3 or told[0] != topic_id or not (told[1].isdecimal() and told[2].isdecimal()):
            raise TopicsError(
                f"{moved.to}/{record.partition} offset {record.offset} is no copy of a record of {moved.topic}: a "
                "topic that others write to, or have written to, cannot take it in; name another prefix with --to"
            )
        done[int(told[1]), record.partition] = int(told[2]) + 1
        moved.there += 1
        moved.into[record.partition] += 1
    return done


async def _send(
    consumer: AIOKafkaConsumer,
    producer: AIOKafkaProducer | None,
    moved: Moved,
    topic_id: str,
    done: Copied,
    chooser: str,
) -> None:
    """Copy what is not there yet; without a producer only count it."""
    before, after = moved.partitions
    async for record in to_the_end(consumer):
        key = record.key or b""
        place = partitioner.choose(chooser, key, after)
        wrong = (
            chooser != partitioner.ANY and before > 1 and partitioner.choose(chooser, key, before) != record.partition
        )
        if wrong:
            place = (place + 1) % after
            moved.misplaced += 1
        if record.offset < done.get((record.partition, place), 0):
            continue
        moved.copied[record.partition] += 1
        moved.into[place] += 1
        if producer is not None:
            told = (HEADER, f"{topic_id}/{record.partition}/{record.offset}".encode())
            await producer.send(
                moved.to,
                record.value,
                key=record.key,
                partition=place,
                timestamp_ms=record.timestamp,
                headers=[*record.headers, told],
            )
    if producer is not None:
        await producer.flush()
