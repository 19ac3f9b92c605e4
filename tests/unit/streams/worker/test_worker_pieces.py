"""A run that is small on the way and large when decoded is folded in several goes, each with its turn to wait."""

import asyncio
import dataclasses
import resource
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn
from unittest.mock import AsyncMock

import pytest
from faust.types import TP

from streams import exits
from streams.kafka.records import Record, Records
from streams.kafka.unpacking import Run
from streams.settings import Settings
from streams.state.partition import PartitionState
from streams.worker.poison import Suspect
from streams.worker.worker import TwinWorker
from tests.support.streams import PLANT, FakeFrozen, FakeTwin, event
from twin.events.declare import MAX_EVENTS_PER_RECORD
from twin.plant import loads

AT = TP("twin.events", 0)
BOMB = b"[" + b",".join([b"{}"] * MAX_EVENTS_PER_RECORD) + b"]"


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


def worker_at(folder: Path, due: int) -> tuple[TwinWorker, PartitionState]:
    """A worker without Kafka that owns one partition."""
    plant = loads(PLANT, "plant.toml")
    worker = TwinWorker(Settings(audit=str(folder), staging_bytes=1 << 40), plant, FakeTwin)
    stands_in: Any = SimpleNamespace(twin_consumer=SimpleNamespace(done=lambda run: None))
    outputs: Any = Outputs()
    worker.app, worker._publisher = stands_in, outputs
    writer: Any = None  # nothing is staged here
    state = PartitionState(AT, FakeTwin(plant, 0), writer, due, due, (due, ""), (due, ""))
    worker.checkpoints.states = {AT: state}
    return worker, state


def run_of(values: list[bytes], first: int = 0) -> Run:
    return Run(Records.of(Record(first + k, None, value, []) for k, value in enumerate(values)), 0)


async def test_what_retention_deletes_behind_our_back_was_read_all_the_same(tmp_path: Path) -> None:
    """Records 10 to 14 are in hand, 0 to 9 were deleted, and so was all up to 13 since they were fetched."""
    worker, state = worker_at(tmp_path, 0)
    consumer: Any = worker.app.twin_consumer
    consumer.log_start = AsyncMock(return_value=13)
    await worker.on_run(AT, run_of([event("line-0", seq) for seq in range(5)], 10))
    assert (state.next, state.deleted, worker.counts["events"]) == (15, 10, 5)
    told = dict(state.rows)["rejected"].to_pylist()[0]["detail"]
    assert told.startswith("offsets 0 to 9 were deleted")


class Ended(BaseException):
    """Instead of the end of the process."""


async def test_a_state_of_which_no_snapshot_can_be_made_is_traced_to_its_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checkpoints fail, the worker starts again, and again: from the third start on the record is looked for."""

    def end_now(code: int, message: str, error: BaseException | None = None) -> NoReturn:
        raise Ended(message)

    def freeze(twin: FakeTwin) -> FakeFrozen:
        if (line := twin.lines.get("line-6")) is not None:
            raise RuntimeError(f"no snapshot of {line}")
        return FakeFrozen(b"")

    monkeypatch.setattr(exits, "end_now", end_now)
    monkeypatch.setattr(FakeTwin, "freeze", freeze)
    values = [event("line-6" if seq == 7 else "line-1", seq) for seq in range(12)]
    starts = 0
    while starts < 9:
        starts += 1
        worker, state = worker_at(tmp_path, 0)
        try:
            await worker.on_run(AT, run_of(values))
            state.cut()  # what a checkpoint does first
        except (Ended, RuntimeError):
            continue
        break
    assert starts == 6  # two that know nothing, three that find it, and one that sets it aside
    assert (worker.counts["set_aside"], worker.counts["events"], state.next) == (1, 11, 12)


async def test_notes_leave_the_loop_its_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each suspected record costs a write to the disk: health and heartbeats must not wait for all of them."""
    worker, state = worker_at(tmp_path, 0)
    worker._notes_of(state).note.suspects.append(Suspect(0, 49, 1, "one of them"))
    worker._notes_of(state).ahead = True
    turns: list[int] = []

    async def others() -> None:
        while True:
            turns.append(state.next)
            await asyncio.sleep(0)

    beside = asyncio.create_task(others())
    await worker.on_run(AT, run_of([event("line-0", seq) for seq in range(60)]))
    beside.cancel()
    assert state.next == 60
    assert set(range(1, 51)) <= set(turns)


async def test_a_view_that_cannot_be_made_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    worker, _ = worker_at(tmp_path, 0)
    monkeypatch.setattr(FakeTwin, "view", lambda *_: 1 // 0)
    for _ in range(3):
        worker._publish_views()
    assert worker.report()[1]["views_failed"] == 3
    assert caplog.text.count("no view can be made") == 1  # not four times a second


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def test_what_a_slow_line_holds_back_counts_as_what_it_weighs(tmp_path: Path) -> None:
    """One event per run: a table of one row weighs a hundred times what its cells do."""
    worker, state = worker_at(tmp_path, 0)
    for seq in range(200):
        worker._processor.fold(state, run_of([event("line-0", seq)], seq).records)
    before, counted = resident_bytes(), state.bytes
    for seq in range(200, 2_200):
        worker._processor.fold(state, run_of([event("line-0", seq)], seq).records)
    assert resident_bytes() - before < 2 * (state.bytes - counted)


async def test_every_go_waits_and_no_record_is_left_out(tmp_path: Path) -> None:
    worker, state = worker_at(tmp_path, 0)
    outputs: Any = worker._publisher
    values = [event("line-0", 0), BOMB, event("line-0", 1), BOMB, BOMB, BOMB, BOMB, event("line-0", 2)]
    await worker.on_run(AT, run_of(values))
    assert state.next == len(values)
    assert worker.counts["records"] == len(values)
    assert worker.counts["events"] == 3
    assert outputs.rejected_at == [k for k, value in enumerate(values) if value is BOMB for _ in range(65_536)]
    assert len(outputs.goes) > 1
    assert sum(outputs.goes) == 5 * MAX_EVENTS_PER_RECORD
    assert max(outputs.goes) <= 3 * MAX_EVENTS_PER_RECORD


async def test_rows_of_all_partitions_together_are_staged_ahead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each partition stays below the limit: it is the worker's memory that it bounds, not a partition's."""
    worker, state = worker_at(tmp_path, 0)
    worker.settings = dataclasses.replace(worker.settings, staging_bytes=1_000)
    other = PartitionState(TP(AT.topic, 1), state.twin, state.writer, 0, 0, (0, ""), (0, ""))
    worker.checkpoints.states[other.tp] = other
    staging = AsyncMock()
    monkeypatch.setattr(worker, "stage_ahead", staging)

    async def asked(mine: int, others: int) -> tuple[bool, int]:
        state.bytes, other.bytes = mine, others
        worker.checkpoints.grown(mine + others)
        worker._due.clear()
        await worker._hold_back()
        return worker._due.is_set(), staging.await_count

    assert await asked(900, 0) == (False, 0)
    assert await asked(600, 600) == (True, 0)
    assert await asked(1_400, 600) == (False, 1)
