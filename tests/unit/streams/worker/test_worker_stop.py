"""What still runs while a worker stops must not make an orderly end look like a failure."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
from faust.types import TP

from streams.settings import Settings
from streams.worker.worker import TwinWorker
from tests.support.streams import PLANT, FakeTwin
from twin.plant import loads


async def test_after_the_stop_nothing_is_published(tmp_path: Path) -> None:
    """The publisher is closed before Faust ends the tasks: a view made in between ended the worker with code 70."""
    plant = loads(PLANT, "plant.toml")
    worker = TwinWorker(Settings(audit=str(tmp_path), view_interval_s=0.01), plant, FakeTwin)
    app: Any = SimpleNamespace(should_stop=False)
    worker.app = app
    state: Any = SimpleNamespace(twin=FakeTwin(plant, 0, {"line-0": [1, 1]}), ahead=(), next=2, viewed=1)
    worker.checkpoints.states = {TP("twin.events", 0): state}
    # As after a last look: the stop itself has nothing new to show, what comes behind it would have.
    worker._views = {view.line: msgspec.json.encode(view) for view in state.twin.view()}
    await worker.stop()
    state.twin.lines["line-0"] = [2, 2]
    views = asyncio.create_task(worker.send_views())
    await asyncio.sleep(0.05)
    app.should_stop = True
    await views


def test_what_keeps_a_start_is_named(tmp_path: Path) -> None:
    """A start of 1,000 partitions ended with "Kafka or the disk does not answer", which was not true."""
    worker = TwinWorker(Settings(audit=str(tmp_path)), loads(PLANT, "plant.toml"), FakeTwin)
    assert "nobody asked for their states" in worker._stuck([3], 20.0)
    worker.checkpoints.loading = (7, 1_000)
    said = worker._stuck(list(range(7, 1_000)), 20.0)
    assert "7, 8, 9, 10, 11, 12, 13, 14, 15, 16 and 983 more" in said
    assert "7 of 1000 states are loaded" in said


def test_a_partition_without_a_record_is_not_looked_at(tmp_path: Path) -> None:
    """Of 500 partitions to find out that nothing has changed took two fifths of a worker's time."""
    plant = loads(PLANT, "plant.toml")
    worker = TwinWorker(Settings(audit=str(tmp_path)), plant, FakeTwin)
    looked: list[bool] = []

    class Looked(FakeTwin):
        def view(self, *, changed: bool = False) -> Any:
            looked.append(changed)
            return super().view(changed=changed)

    state: Any = SimpleNamespace(twin=Looked(plant, 0, {"line-0": [1, 1]}), next=5, viewed=-1)
    worker.checkpoints.states = {TP("twin.events", 0): state}
    worker._views = {view.line: msgspec.json.encode(view) for view in FakeTwin(plant, 0, {"line-0": [1, 1]}).view()}
    for after in (5, 5, 6, 6):
        state.next = after
        worker._publish_views()
    assert looked == [True, True]
