"""The events topic is deleted and made anew under workers: each ends with 73, the audit stays that of the old one."""

import asyncio
import itertools
import time
from pathlib import Path

from aiokafka import AIOKafkaProducer

from streams import exits
from streams.kafka.topics import admin_client, ensure
from streams.settings import Settings
from tests.faults.inputs import Input, Record
from tests.faults.plan import Plan
from tests.faults.site import Crew
from twin.audit import marker
from twin.audit.read import open_set
from twin.audit.recompute import recompute
from twin.audit.verify import verify

KIND = "topic-anew"
# No event of any log; refused, so whoever takes it into an audit can be seen.
_STRANGE = b"of the other topic"
_LIMIT_S = 120.0


def part_of(given: Input, plan: Plan) -> list[Record]:
    """What is fed before it happens; all of it where it does not."""
    fed = next((fault.fed for fault in plan.faults if fault.what == KIND), None)
    if fed is None:
        return given.records
    ends = itertools.accumulate(record.events for record in given.records)
    return given.records[: next((n for n, end in enumerate(ends, 1) if end >= fed), len(given.records))]


async def make_anew(settings: Settings, ends: dict[int, int]) -> None:
    """The new one is longer than the old: no offset tells them apart."""
    topic = settings.topic("events")
    async with admin_client(settings) as admin:
        await admin.delete_topics([topic])
        for _ in range(600):
            if topic not in await admin.list_topics():
                break
            await asyncio.sleep(0.1)
    await ensure(settings)
    producer = AIOKafkaProducer(bootstrap_servers=settings.bootstrap, linger_ms=5)
    await producer.start()
    try:
        sent = [
            await producer.send(topic, _STRANGE, partition=partition)
            for partition in range(settings.partitions)
            for _ in range(ends.get(partition, 0) + 200)
        ]
        await asyncio.gather(*sent)
    finally:
        await producer.stop()


async def all_refused(crew: Crew) -> None:
    """Wait until every worker has said that it is another topic. Raises RuntimeError."""
    limit = time.monotonic() + _LIMIT_S
    while time.monotonic() < limit:
        if all(slot.refused for slot in crew.slots if slot.wanted):
            return
        await asyncio.sleep(0.2)
    raise RuntimeError(f"after {_LIMIT_S} s with another topic workers ended with {[s.exits for s in crew.slots]}")


def problems(settings: Settings, crew: Crew) -> list[str]:
    """What is wrong with the audit of the topic that is gone."""
    root = Path(settings.audit)
    found = [] if len(marker.read(root).topic_id) == 32 else ["the root is bound to no topic"]
    # Without the snapshots: a worker that was fenced has removed the files that its newest one names, and after this no
    # commit passes it by.
    for report in (verify(root, every=True), recompute(root, every=True)):
        found += [str(one) for one in report.differences[:3]]
    rejected = open_set(root, "rejected").to_table(columns=["value"]).column("value").to_pylist()
    if _STRANGE in rejected:
        found.append("records of the new topic are in the audit")
    ended = [slot.exits for slot in crew.slots if slot.wanted]
    if any(codes[-1:] != [exits.STATE] for codes in ended):
        found.append(f"workers ended with {ended}, the last of each should be {exits.STATE}")
    return found
