"""What the workers made of what was fed: refused, and why; taken as repeats; not read yet."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from streams.kafka.access import connection
from streams.kafka.reading import to_the_end
from streams.kafka.topics import EVENTS, REJECTED
from streams.settings import Settings
from streams.tools.feed import FeedSummary
from streams.tools.watch import Watcher, watching

_LOOK_S: Final = 0.25
_VIEW_S: Final = 1.0  # a line's view follows what was read by less


@dataclass(slots=True)
class Taken:
    """Of the records of one feed. `repeats` are those that its lines have counted meanwhile, whoever sent them."""

    read: bool = False
    waiting: int = 0  # records that no worker has committed yet
    worker: bool = False  # somebody reads
    refused: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)  # by reason: where, and why
    repeats: int = 0

    def report(self, events: int) -> list[str]:
        """Sentences for people."""
        if not self.read:
            why = f"{self.waiting:,} records wait for the worker" if self.worker else "no worker reads"
            return [f"not read yet: {why}; what is refused then goes to the topic {REJECTED} and the audit"]
        gone = self.refused.total() + self.repeats
        lines = [f"read: {max(events - gone, 0):,} of {events:,} taken"]
        lines += [f"refused {reason}: {n:,}; first {self.first[reason]}" for reason, n in self.refused.most_common()]
        if self.repeats:
            lines.append(
                f"repeats: {self.repeats:,}; numbers that these stations had used before, so the twin has left them out"
            )
        return lines


class Outcome:
    """Looks before anything is sent, and again behind it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._rejected: dict[TopicPartition, int] = {}
        self._repeats: dict[str, int] = {}

    async def before(self) -> None:
        """Remember where the topics end."""
        async with watching(self._settings) as watcher:
            await watcher.read_all()
            self._repeats = _repeats(watcher)
        async with AIOKafkaConsumer(**connection(self._settings), enable_auto_commit=False) as consumer:
            found = (await consumer._client.fetch_all_metadata()).partitions_for_topic(self._settings.topic(REJECTED))
            places = [TopicPartition(self._settings.topic(REJECTED), number) for number in found or ()]
            self._rejected = await consumer.end_offsets(places) if places else {}

    async def after(self, sent: FeedSummary, lines: set[str], limit_s: float) -> Taken:
        """Wait until all that was sent is read and audited, at most so long, and no longer where nobody reads."""
        taken = Taken()
        clock = asyncio.get_running_loop().time
        until = clock() + limit_s
        async with watching(self._settings) as watcher:
            while True:
                committed = {number: done for number, (done, _) in (await watcher.offsets()).items()}
                missing = {number: end - committed.get(number, 0) for number, (_, end) in sent.spans.items()}
                taken.waiting = sum(max(0, n) for n in missing.values())
                taken.read = not taken.waiting
                taken.worker = taken.read or await self._members()
                if taken.read or not taken.worker or clock() >= until:
                    break
                await asyncio.sleep(_LOOK_S)
            if not taken.read:
                return taken
            await self._read_refused(taken, sent)
            # What a worker shows of a line follows what it has read.
            shown = clock() + _VIEW_S
            while clock() < shown:
                await watcher.read(_LOOK_S)
            before = self._repeats
            taken.repeats = sum(n - before.get(line, 0) for line, n in _repeats(watcher).items() if line in lines)
            taken.repeats = max(0, taken.repeats)
        return taken

    async def _members(self) -> bool:
        admin = AIOKafkaAdminClient(**connection(self._settings))
        await admin.start()
        try:
            (answer,) = await admin.describe_consumer_groups([self._settings.group_id])
            return any(len(group[5]) > 0 for group in answer.groups)
        finally:
            await admin.close()

    async def _read_refused(self, taken: Taken, sent: FeedSummary) -> None:
        events, seen = self._settings.topic(EVENTS), set()
        async with AIOKafkaConsumer(**connection(self._settings), enable_auto_commit=False) as consumer:
            places = list(self._rejected)
            if not places:
                return
            consumer.assign(places)
            for place, offset in self._rejected.items():
                consumer.seek(place, offset)
            async for record in to_the_end(consumer):
                headers = {name: value.decode("utf-8", "replace") for name, value in record.headers}
                partition, offset = int(headers["source_partition"]), int(headers["source_offset"])
                mine = headers["source_topic"] == events and sent.holds(partition, offset)
                if not mine or headers["id"] in seen:
                    continue
                seen.add(headers["id"])
                reason = headers["reason"]
                taken.refused[reason] += 1
                taken.first.setdefault(reason, f"at {events}/{partition} offset {offset}: {headers['detail']}")


def _repeats(watcher: Watcher) -> dict[str, int]:
    return {line: int(record.get("duplicates") or 0) for line, record in watcher.lines.records.items()}
