"""A world for tests of the checkpoints: real files, a broker that only remembers commits, workers that come and go."""

from collections.abc import Mapping
from pathlib import Path

import pyarrow.dataset as ds
from faust.types import TP

from streams.kafka.identity import TopicNow
from streams.kafka.records import Record, Records
from streams.kafka.transport import Assigned, Committed, Token
from streams.state.checkpoint import Checkpointer
from streams.state.partition import PartitionState
from streams.state.snapshot_files import SnapshotStore
from streams.state.store import PartitionStore
from streams.worker.processor import Processor
from tests.support.streams import LINES, PLANT, FakeTwin, event
from twin.audit.claims import Claim
from twin.plant import loads
from twin.plant.model import Plant

TOPIC = "twin.events"
TP0 = TP(TOPIC, 0)


class Group:
    """A consumer group: its committed offsets and the answers it gives."""

    def __init__(self) -> None:
        self.now: Token = (1, "a")
        self.offsets: dict[TP, tuple[int, str]] = {}
        self.answers: list[Committed] = []
        self.end = 10_000
        self.divided = 4  # partitions of the topic; 0: no broker answers
        self.topic_id = ""

    def token(self) -> Token:
        return self.now

    async def commit_fenced(
        self, offsets: Mapping[TP, tuple[int, str]], token: Token, limit_s: float = 5.0
    ) -> Committed:
        answer = self.answers.pop(0) if self.answers else Committed.OK
        if token != self.now:
            answer = Committed.FENCED
        if answer is Committed.OK:
            self.offsets.update(offsets)
        return answer

    async def topic(self, topic: str, limit_s: float = 5.0) -> TopicNow:
        return TopicNow(self.divided, self.topic_id)

    def assigned(self, tp: TP = TP0, start: int = 0, partitions: int = 0) -> dict[TP, Assigned]:
        offset, metadata = self.offsets.get(tp, (None, ""))
        return {tp: Assigned(offset, metadata, start, self.end, partitions, self.topic_id)}


class Outputs:
    acknowledged = True
    flushed = 0

    def __init__(self) -> None:
        self.claims: list[Claim] = []

    def claim(self, claim: Claim) -> None:
        self.claims.append(claim)

    async def flush(self, limit_s: float, *, patient: bool = False) -> bool:
        self.flushed += 1
        return self.acknowledged


class World:
    """Audit root, snapshots, group; workers come and go."""

    twin: type[FakeTwin] = FakeTwin

    def __init__(self, folder: Path, plant_text: str = PLANT) -> None:
        self.audit = folder / "audit"
        self.snapshots = SnapshotStore(folder / "state")
        self.plant: Plant = loads(plant_text, "plant.toml")
        self.group = Group()
        self.outputs = Outputs()
        self.changed = -1  # the offset of a record that is another than it was

    def store(self, keep: int = 3, partitioner: str = "") -> PartitionStore:
        return PartitionStore(
            plant=self.plant,
            twin=self.twin,
            snapshots=self.snapshots,
            audit=self.audit,
            keep=keep,
            code_version="1",
            partitioner=partitioner,
        )

    async def worker(self, partitions: int = 0, partitioner: str = "") -> Checkpointer:
        checkpointer = Checkpointer(self.store(partitioner=partitioner), self.outputs)
        await checkpointer.install(self.group.assigned(partitions=partitions), self.group.now, self.group)
        return checkpointer

    def records(self, first: int, number: int) -> Records:
        return Records.of(
            Record(o, None, event(LINES[(o + (o == self.changed)) % 8], o), []) for o in range(first, first + number)
        )

    def feed(self, state: PartitionState, number: int) -> None:
        Processor(self.plant, TOPIC).fold(state, self.records(state.next, number))

    async def lose_snapshot(self, number: int) -> None:
        """A worker folds so many records and commits; then the snapshot that the commit names is gone."""
        worker = await self.worker()
        self.feed(worker.states[TP0], number)
        await worker.checkpoint(self.group)
        (self.snapshots.folder / f"{self.group.offsets[TP0][1]}.snapshot").unlink()

    def audited(self) -> list[int]:
        folder = self.audit / "events"
        if not folder.exists():
            return []
        return sorted(ds.dataset(folder, partitioning="hive").to_table()["source_offset"].to_pylist())

    def staged(self) -> list[Path]:
        folder = self.audit / ".staging"
        return sorted(folder.iterdir()) if folder.exists() else []
