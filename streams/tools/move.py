"""`twin topics move`: the events of a topic copied to another prefix with more partitions.

A key decides the partition, so a topic that grows would move lines away from their state. Instead all of its records
are copied to a topic of a new prefix, each to the partition that the partitioner chooses for its key among more.
Workers of the new prefix read it from its beginning into a root of their own: their rows are those of the old one,
which `twin audit digest` shows. Records keep key, value, headers and time, and those of a line their order; what was
refused for the partition that it lay in lies wrong again, so it is refused again.

Each copy names in a header the record that it is of. So a move that was cut off goes on: of the records of one old
partition that belong to one new one, the copies are the first so many, for an idempotent producer leaves none out.

A topic whose first records are gone is moved by its states (streams/tools/handover.py). Rejected: to do so always. It
would spare reading all again, but what a whole copy gives is proved by the new root alone.

What feeds remember of the topic (`twin.fed`) goes along: else the next one would use numbers that were used.
"""

import asyncio
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import OffsetAndMetadata

from streams.kafka import partitioner
from streams.kafka.access import connection
from streams.kafka.identity import ask
from streams.kafka.reading import to_the_end
from streams.kafka.topics import EVENTS, FED, Topic, TopicsError, admin_client, apply, compare, desired, existing
from streams.kafka.transport import Assigned
from streams.settings import Settings
from streams.tools import handover, ledger
from streams.tools.handover import Handover
from twin import plant as plants
from twin.plant.model import Plant

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
    states: dict[int, int] = field(default_factory=dict)  # handed over: by new partition, how many lines
    begins: dict[int, int] = field(default_factory=dict)  # where these stand: by old partition the offset
    fed: int = 0  # what feeds remember: records that went along


async def move(
    settings: Settings, to: str, partitions: int, *, audit: str = "", state: str = "", dry_run: bool = False
) -> Moved:
    """Copy the events of `settings.prefix` to prefix `to`, whose topics are made where they are missing.

    `audit`, `state`: of the new prefix, into which states are handed over where the first records are gone.
    Raises TopicsError where that would not give the same rows, AccessError, and KafkaError where the broker refuses.
    """
    target = replace(
        settings, prefix=to, partitions=partitions, audit=audit or settings.audit, state=state or settings.state
    )
    old, new = settings.topic(EVENTS), target.topic(EVENTS)
    if old == new:
        raise TopicsError(f"{old} cannot be copied to itself: name another prefix with --to")
    async with admin_client(settings) as admin:
        found = await existing(admin, {topic.name for topic in desired(target)} | {old, settings.topic(FED)})
        if old not in found:
            raise TopicsError(f"topic {old} is missing at {settings.bootstrap}: is TAKTWIN_PREFIX the old one?")
        moved = Moved(old, new, (found[old].partitions, partitions))
        if partitions <= moved.partitions[0]:
            raise TopicsError(f"{old} has {moved.partitions[0]} partitions; give more with --partitions")
        await _check_nobody_reads(admin, settings, old)
        assigned = await _old(settings, moved)
        plant, handed = None, None
        if any(one.log_start for one in assigned.values()):
            if not audit:
                raise TopicsError(_DELETED.format(old=old, begins=_first(assigned)))
            await _check_nobody_reads(admin, target, new)
            plant = await asyncio.to_thread(plants.load, settings.plant)
            handed = await asyncio.to_thread(handover.prepare, settings, target, plant, assigned)
            moved.states, moved.begins = handed.lines, handed.begins
        changes = compare(_like(desired(target), new, found[old].own), found)
        refused = [change for change in changes if change.kind == "refused"]
        if refused:
            raise TopicsError("\n".join(map(str, refused)))
        if not dry_run:
            await apply(admin, changes)
    made = new in found or not dry_run
    await _copy(settings, target, moved, assigned, plant, handed, made=made, dry_run=dry_run)
    if settings.topic(FED) in found:
        await _fed(settings, target, moved, dry_run=dry_run)
    return moved


_DELETED: Final = (
    "{old}: the first records of {begins} are deleted, and a copy of what is left would give other rows. To hand over "
    "what the twin knows of its lines, name a new audit root with --audit (docs/operating.md, more partitions)"
)


def _first(assigned: Mapping[int, Assigned]) -> str:
    gone = {number: one.log_start for number, one in assigned.items() if one.log_start}
    return ", ".join(f"partition {number} (it begins at offset {begin})" for number, begin in sorted(gone.items()))


async def _old(settings: Settings, moved: Moved) -> dict[int, Assigned]:
    """What the broker says of the old partitions and their group."""
    async with _of_group(settings) as consumer:
        await consumer._client.fetch_all_metadata()
        now = await ask(consumer._client, moved.topic, _ID_LIMIT_S)
        olds = [TopicPartition(moved.topic, number) for number in range(moved.partitions[0])]
        consumer.assign(olds)
        committed = await consumer._coordinator.fetch_committed_offsets(olds)
        begins, ends = await consumer.beginning_offsets(olds), await consumer.end_offsets(olds)
        found = {}
        for place in olds:
            entry = committed.get(place)
            offset, metadata = (entry.offset, entry.metadata or "") if entry is not None else (None, "")
            found[place.partition] = Assigned(offset, metadata, begins[place], ends[place], moved.partitions[0], now.id)
        return found


def _of_group(settings: Settings) -> AIOKafkaConsumer:
    """It joins nothing: partitions are given to it by hand."""
    return AIOKafkaConsumer(**connection(settings), group_id=settings.group_id, enable_auto_commit=False)


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


async def _copy(
    settings: Settings,
    target: Settings,
    moved: Moved,
    old: Mapping[int, Assigned],
    plant: Plant | None,
    handed: Handover | None,
    *,
    made: bool,
    dry_run: bool,
) -> None:
    async with AIOKafkaConsumer(
        **connection(settings), enable_auto_commit=False, fetch_max_bytes=_FETCH_BYTES, max_poll_records=10_000
    ) as consumer:
        topic_id = old[0].topic_id
        begins = handed.begins if handed is not None else dict.fromkeys(old, 0)
        done = await _there(consumer, moved, topic_id, begins) if made else {}
        if handed is not None and not dry_run:
            assert plant is not None
            await _hand_over(consumer, target, plant, handed)
        olds = [TopicPartition(moved.topic, number) for number in old]
        consumer.assign(olds)
        for place in olds:
            consumer.seek(place, begins[place.partition])
        if dry_run:
            await _send(consumer, None, moved, topic_id, done, settings.partitioner)
            return
        async with AIOKafkaProducer(
            **connection(settings), enable_idempotence=True, acks="all", linger_ms=20, max_request_size=_FETCH_BYTES
        ) as producer:
            await _send(consumer, producer, moved, topic_id, done, settings.partitioner)


async def _hand_over(consumer: AIOKafkaConsumer, target: Settings, plant: Plant, handed: Handover) -> None:
    """The states as snapshots at offset 0, and commits that name them: before a record is there that follows them."""
    topic = target.topic(EVENTS)
    await consumer._client.fetch_all_metadata()
    now = await ask(consumer._client, topic, _ID_LIMIT_S)
    async with _of_group(target) as group:
        places = [TopicPartition(topic, number) for number in range(target.partitions)]
        group.assign(places)
        committed = await group._coordinator.fetch_committed_offsets(places)
        if any(entry.offset for entry in committed.values()):
            raise TopicsError(f"group {target.group_id} has read {topic} already: name another prefix with --to")
        ids = await asyncio.to_thread(handover.put, target, plant, handed, now.id, uuid.uuid4().hex)
        await group.commit({TopicPartition(topic, number): OffsetAndMetadata(0, ids[number]) for number in ids})


async def _there(consumer: AIOKafkaConsumer, moved: Moved, topic_id: str, begins: Mapping[int, int]) -> Copied:
    """How far an earlier move has come. `begins`: offsets at which copying starts. Raises TopicsError where anything
    else lies there."""
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
        if int(told[2]) < begins[int(told[1])]:
            raise TopicsError(
                f"{moved.to}/{record.partition} has a copy of {moved.topic}/{told[1]} offset {told[2]}, which the "
                "state that is handed over knows already: the old group has read on since, or the topic was whole "
                "then. Name another prefix with --to"
            )
        done[int(told[1]), record.partition] = int(told[2]) + 1
        moved.there += 1
        moved.into[record.partition] += 1
    return done


async def _fed(settings: Settings, target: Settings, moved: Moved, *, dry_run: bool) -> None:
    """What feeds remember of the old topic and not yet of the new one. Offsets are those of the old one: they stay."""
    before = await _compacted(settings, settings.topic(FED))
    known = {} if dry_run else await _compacted(settings, target.topic(FED))
    fresh = {key: value for key, value in before.items() if key not in known}
    moved.fed = len(fresh)
    if dry_run or not fresh:
        return
    async with AIOKafkaProducer(**connection(settings), enable_idempotence=True, acks="all") as producer:
        for key, value in fresh.items():
            await producer.send(target.topic(FED), ledger.without_offsets(key, value), key=key)
        await producer.flush()


async def _compacted(settings: Settings, topic: str) -> dict[bytes, bytes]:
    """The last record of each key."""
    found: dict[bytes, bytes] = {}
    async with AIOKafkaConsumer(**connection(settings), enable_auto_commit=False) as consumer:
        numbers = (await consumer._client.fetch_all_metadata()).partitions_for_topic(topic) or ()
        consumer.assign(places := [TopicPartition(topic, number) for number in numbers])
        await consumer.seek_to_beginning(*places)
        async for record in to_the_end(consumer):
            found.pop(record.key, None)
            if record.value is not None:
                found[record.key] = record.value
    return found


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
