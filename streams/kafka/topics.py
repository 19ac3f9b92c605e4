"""The topics the twin reads and writes: what they should be, what differs, and how to get there."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from streams import clock
from streams.kafka.access import AccessError, check_access, connection
from streams.settings import Settings
from twin.events.declare import MAX_ARROW_BYTES

EVENTS: Final = "events"
LINES: Final = "lines"
KPIS: Final = "kpis"
MEASURES: Final = "measures"
ALERTS: Final = "alerts"
REJECTED: Final = "events.rejected"
FED: Final = "fed"
CHAIN: Final = "chain"

_RECORD_BYTES: Final = "max.message.bytes"  # Kafka's name: of a batch, so of each record in it
_FRAME_BYTES: Final = 64 << 10

_LEADERS_LIMIT_S: Final = 30.0
_TOPIC_OWN: Final = 1  # Kafka protocol, config source: set on the topic itself


class TopicsError(RuntimeError):
    """Topics that cannot be brought to what the settings ask for."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it should be; `config` holds only what matters to the twin."""

    name: str
    partitions: int
    replication: int
    config: Mapping[str, str]
    kept_days: int | None = None  # set when it is made, and never again: it is yours to change, and shorter deletes
    kept_why: str = ""


@dataclass(frozen=True, slots=True)
class Existing:
    """A topic as it is. `config`: every value; `own`: those set on the topic itself."""

    partitions: int
    config: Mapping[str, str]
    own: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """One step of a plan. kind: create | partitions | config | refused."""

    kind: str
    topic: str
    detail: str
    target: Topic
    config: Mapping[str, str] = field(default_factory=dict)  # complete own config afterwards

    def __str__(self) -> str:
        return f"{self.kind} {self.topic}: {self.detail}"


def desired(settings: Settings) -> list[Topic]:
    """Every topic with its settings. Results are keyed by line; alerts and refusals are few."""
    # Two of three replicas must have a record before it counts: one broker may be lost.
    safe = {"min.insync.replicas": "2"} if settings.replication >= 3 else {}
    keep = {"cleanup.policy": "delete", **safe}
    # The largest record that is taken, and its frame. Kafka's own limit is 1 MB: a larger one is lost at the source.
    large = {_RECORD_BYTES: str(MAX_ARROW_BYTES + _FRAME_BYTES)}
    # A new consumer reads one view per line, so compaction should run early.
    compact = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.1", "segment.ms": "3600000", **safe}
    shape: dict[str, tuple[int, dict[str, str], int | None, str]] = {
        EVENTS: (
            settings.partitions,
            keep | large,
            30,
            "workers may be away, and a state that is lost is made from them",
        ),
        LINES: (1, compact, None, ""),
        KPIS: (settings.partitions, keep, 7, "readers may be away; the audit keeps them for good"),
        MEASURES: (settings.partitions, keep, 7, "as the key figures: the audit keeps them for good"),
        ALERTS: (1, keep, 30, "few, and people look back"),
        REJECTED: (1, keep, 30, "time to mend the source and send them again"),
        FED: (1, compact, None, ""),
        CHAIN: (1, compact, None, ""),
    }
    return [
        Topic(settings.topic(name), n, settings.replication, config, days, why)
        for name, (n, config, days, why) in shape.items()
    ]


def compare(wanted: Iterable[Topic], existing: Mapping[str, Existing]) -> list[Change]:
    """What has to change, in order. Pure: `plan` and the tests share it."""
    changes = []
    for topic in wanted:
        now = existing.get(topic.name)
        if now is None:
            kept = f", kept {topic.kept_days} days: {topic.kept_why}" if topic.kept_days else ""
            changes.append(Change("create", topic.name, f"{topic.partitions} partitions{kept}", topic))
            continue
        if topic.partitions < now.partitions:
            detail = f"has {now.partitions} partitions, {topic.partitions} wanted; Kafka cannot take partitions away"
            changes.append(Change("refused", topic.name, detail, topic))
        elif topic.partitions > now.partitions:
            changes.append(_grow(topic, now))
        different = {key: value for key, value in topic.config.items() if not _fits(key, now.config.get(key), value)}
        if different:
            detail = ", ".join(f"{key} {now.config.get(key)} -> {value}" for key, value in different.items())
            changes.append(Change("config", topic.name, detail, topic, {**now.own, **different}))
    return changes


def _fits(key: str, now: str | None, wanted: str) -> bool:
    # More is as good.
    return now == wanted or (key == _RECORD_BYTES and now is not None and int(now) >= int(wanted))


def _grow(topic: Topic, now: Existing) -> Change:
    detail = f"{now.partitions} -> {topic.partitions} partitions"
    if topic.name.endswith(f".{EVENTS}"):
        # The key decides the partition: lines would move away from the state that a worker keeps of them.
        detail += " would move lines away from their state; use a new prefix and replay the events into it"
        return Change("refused", topic.name, detail, topic)
    return Change("partitions", topic.name, detail, topic)


@asynccontextmanager
async def admin_client(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    """A started admin client. Raises TopicsError when no broker answers, AccessError when it refuses."""
    client = AIOKafkaAdminClient(**connection(settings), request_timeout_ms=int(settings.request_timeout_s * 1000))
    try:
        await check_access(settings)
        await client.start()
    except (KafkaError, AccessError) as error:
        await client.close()
        if isinstance(error, AccessError):
            raise
        raise TopicsError(f"Kafka at {settings.bootstrap} does not answer ({error}); is it running?") from error
    try:
        yield client
    finally:
        await client.close()


async def plan(admin: AIOKafkaAdminClient, settings: Settings) -> list[Change]:
    """Compare with the broker; empty when nothing has to change."""
    wanted = desired(settings)
    return compare(wanted, await existing(admin, {topic.name for topic in wanted}))


async def apply(admin: AIOKafkaAdminClient, changes: Sequence[Change]) -> None:
    """Carry a plan out and wait until every partition has a leader. Raises TopicsError; refused changes come first."""
    refused = [str(change) for change in changes if change.kind == "refused"]
    if refused:
        raise TopicsError("\n".join(refused))
    for change in changes:
        await _apply_one(admin, change)
    await _wait_leaders(admin, {change.topic for change in changes if change.kind != "config"})


async def ensure(settings: Settings) -> list[Change]:
    """Plan and apply; returns what was changed."""
    async with admin_client(settings) as admin:
        changes = await plan(admin, settings)
        await apply(admin, changes)
        return changes


async def partition_counts(admin: AIOKafkaAdminClient) -> dict[str, int]:
    """Of all topics: asked for one by name, a broker may create it."""
    return {topic["topic"]: len(topic["partitions"]) for topic in await admin.describe_topics()}


async def existing(admin: AIOKafkaAdminClient, names: set[str]) -> dict[str, Existing]:
    """Those of these topics that are there."""
    partitions = {name: n for name, n in (await partition_counts(admin)).items() if name in names}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in sorted(partitions)]
    found = {}
    for answer in await admin.describe_configs(resources) if resources else []:
        for code, message, _kind, name, entries in answer.resources:
            _check(code, f"config of {name}", message)
            values = {entry[0]: entry[1] for entry in entries}
            own = {entry[0]: entry[1] for entry in entries if entry[3] == _TOPIC_OWN}
            found[name] = Existing(partitions[name], values, own)
    return found


async def _apply_one(admin: AIOKafkaAdminClient, change: Change) -> None:
    target = change.target
    if change.kind == "create":
        kept = {"retention.ms": str(target.kept_days * 86_400_000)} if target.kept_days else {}
        configs = {**target.config, **kept}
        topic = NewTopic(target.name, target.partitions, target.replication, topic_configs=configs)
        answer = await admin.create_topics([topic])
        for entry in answer.topic_errors:
            if entry[1] != TopicAlreadyExistsError.errno:  # another process was quicker
                _check(entry[1], str(change), entry[2])
    elif change.kind == "partitions":
        try:
            await admin.create_partitions({target.name: NewPartitions(target.partitions)})
        except KafkaError as error:
            raise TopicsError(f"{change}: {error}") from error
    else:
        resource = ConfigResource(ConfigResourceType.TOPIC, target.name, configs=dict(change.config))
        for answer in await admin.alter_configs([resource]):
            for code, message, *_ in answer.resources:
                _check(code, str(change), message)


def _check(code: int, what: str, message: str | None) -> None:
    if code:
        raise TopicsError(f"{what}: {for_code(code).__name__}: {message or 'refused by the broker'}")


async def _wait_leaders(admin: AIOKafkaAdminClient, names: set[str]) -> None:
    """Raises TopicsError when no further partition gets a leader for a while: of thousands each takes its time."""
    end, most = clock.monotonic_s() + _LEADERS_LIMIT_S, 0
    while True:
        found = {t["topic"]: t["partitions"] for t in await admin.describe_topics() if t["topic"] in names}
        led = {name: sum(p["leader"] >= 0 for p in parts) for name, parts in found.items()}
        waiting = names - {name for name, parts in found.items() if parts and led[name] == len(parts)}
        if not waiting:
            return
        if (now := sum(led.values())) > most:
            end, most = clock.monotonic_s() + _LEADERS_LIMIT_S, now
        if clock.monotonic_s() > end:
            raise TopicsError(
                f"no further leader for {_LEADERS_LIMIT_S} s: {', '.join(sorted(waiting))}; see the broker's log"
            )
        await asyncio.sleep(0.1)
