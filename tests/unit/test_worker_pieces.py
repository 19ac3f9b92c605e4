"""A run that is small on the way and large when decoded is folded in several goes, each with its turn to wait."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from aiokafka.structs import ConsumerRecord
from faust.types import TP

from streams.settings import Settings
from streams.store import PartitionState
from streams.worker import TwinWorker
from tests.support_streams import PLANT, FakeTwin, event
from twin.events.declare import MAX_EVENTS_PER_RECORD
from twin.plant import loads

AT = TP("twin.events", 0)
BOMB = b"[" + b",".join([b"{}"] * MAX_EVENTS_PER_RECORD) + b"]"


class Run(list[Any]):
    base = 0


class Outputs:
    """Takes what is published and counts how much came between two waits."""

    def __init__(self) -> None:
        self.rejected_at: list[int] = []
        self.goes: list[int] = []
        self._since = 0

    def results(self, tables: Any) -> None:
        pass

    def rejected(self, rejected: list[Any], topic: str, partition: int) -> None:
        self.rejected_at += [one.offset for one in rejected]
        self._since += len(rejected)

    async def room(self) -> None:
        self.goes.append(self._since)
        self._since = 0


async def test_every_go_waits_and_no_record_is_left_out(tmp_path: Path) -> None:
    plant = loads(PLANT, "plant.toml")
    worker = TwinWorker(Settings(audit=str(tmp_path), checkpoint_bytes=1 << 40), plant, FakeTwin)
    stands_in: Any = SimpleNamespace(twin_consumer=SimpleNamespace(done=lambda run: None))
    outputs: Any = Outputs()
    worker.app, worker._publisher = stands_in, outputs
    writer: Any = None  # nothing is staged here
    state = PartitionState(AT, FakeTwin(plant, 0), writer, 0, 0, (0, ""), (0, ""))
    worker.checkpoints.states = {AT: state}
    values = [event("line-0", 0), BOMB, event("line-0", 1), BOMB, BOMB, BOMB, BOMB, event("line-0", 2)]
    run: Any = Run(ConsumerRecord(AT.topic, 0, k, 0, 0, None, v, None, 0, len(v), ()) for k, v in enumerate(values))
    await worker.on_run(AT, run)
    assert state.next == len(values)
    assert worker.counts["records"] == len(values)
    assert worker.counts["events"] == 3
    assert outputs.rejected_at == [k for k, value in enumerate(values) if value is BOMB for _ in range(65_536)]
    assert len(outputs.goes) > 1
    assert sum(outputs.goes) == 5 * MAX_EVENTS_PER_RECORD
    assert max(outputs.goes) <= 3 * MAX_EVENTS_PER_RECORD
