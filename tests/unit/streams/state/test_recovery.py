"""Without the snapshot of the commit: an older one and a replay that must agree with what is published."""

import dataclasses
import functools
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from faust.types import TP

from streams.kafka.records import Records
from streams.kafka.transport import Committed
from streams.state.checkpoint import Checkpointer
from streams.state.fits import StateError
from streams.state.snapshot_files import SnapshotStore, offset_of
from streams.state.store import PartitionStore
from streams.worker.poison import Notes
from streams.worker.processor import Processor
from tests.support.checkpoint import TOPIC, TP0, World
from tests.support.streams import DailyTwin, FakeTwin
from twin.audit.rows import rejected_table
from twin.events.block import Rejected


@pytest.fixture(params=[FakeTwin, DailyTwin], ids=["without bases", "with bases"])
def world(tmp_path: Path, request: pytest.FixtureRequest) -> World:
    made = World(tmp_path)
    made.twin = request.param
    return made


async def replay(world: World, worker: Checkpointer, number: int, *, step: int = 7) -> None:
    """Feed what the log holds from the state's offset on, in runs, as the worker does."""
    state = worker.states[TP0]
    end = state.next + number
    while state.next < end:
        first = state.next
        for part in state.parts(world.records(first, min(step, end - first))):
            if part:
                Processor(world.plant, TOPIC).fold(state, part)
            await worker.compare(state)


@pytest.mark.parametrize("lost", ["newest", "all", "damaged", "no file staged", "staged file damaged"])
async def test_without_the_snapshot_the_same_state_is_made_again(
    world: World, lost: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    worker = await world.worker()
    for _ in range(3):
        world.feed(worker.states[TP0], 100)
        if lost.startswith(("no", "staged")) and worker.states[TP0].next == 300:
            monkeypatch.setattr(PartitionStore, "publish", lambda *_: None)  # cut off right behind the commit
        await worker.checkpoint(world.group)
    monkeypatch.undo()
    whole = worker.states[TP0].twin.lines  # type: ignore[attr-defined]  # FakeTwin
    newest = world.snapshots.folder / f"{world.group.offsets[TP0][1]}.snapshot"
    if lost == "all":
        for path in world.snapshots.folder.iterdir():
            path.unlink()
    elif lost == "newest":
        newest.unlink()
    elif lost == "damaged":
        newest.write_bytes(newest.read_bytes()[:-40])
    elif lost == "no file staged":
        world.staged()[-1].unlink()
    else:
        data = bytearray(world.staged()[0].read_bytes())
        data[len(data) // 2] ^= 1
        world.staged()[0].write_bytes(data)
    world.group.now = (2, "b")
    second = await world.worker()
    state = second.states[TP0]
    assert state.next == (0 if lost == "all" else 200)
    assert "going on from offset" in caplog.text
    await replay(world, second, 300 - state.next)
    assert state.catching_up is None
    assert state.twin.lines == whole  # type: ignore[attr-defined]  # FakeTwin
    if world.audited() == list(range(300)):
        assert (
            await second.checkpoint(world.group) is Committed.OK
        )  # of the state alone, for the next one to go on from
        assert world.audited() == list(range(300))
    await replay(world, second, 50)
    assert await second.checkpoint(world.group) is Committed.OK
    assert world.audited() == list(range(350))
    assert alerts(world) == 350 // 8 // 100 * 8
    assert world.staged() == []


def alerts(world: World) -> int:
    folder = world.audit / "alerts"
    return ds.dataset(folder, partitioning="hive").count_rows() if folder.exists() else 0


async def test_no_checkpoint_before_the_replay_has_agreed(world: World) -> None:
    await world.lose_snapshot(100)
    committed = dict(world.group.offsets)
    second = await world.worker()
    await replay(world, second, 60)
    assert await second.checkpoint(world.group) is None
    assert world.group.offsets == committed


async def test_a_replay_that_disagrees_ends_the_worker(world: World) -> None:
    await world.lose_snapshot(100)
    second = await world.worker()
    world.changed = 40  # one event is another than it was
    with pytest.raises(StateError, match=r"twin\.events/0: offsets 0 to 100 give 100 rows of events .* they differ"):
        await replay(world, second, 100)


async def test_a_replay_sets_aside_what_was_set_aside_and_lets_sentences_be_reworded(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The fault was mended and a refusal put better since: neither is a reason to end."""
    worker = await world.worker()
    state, processor = worker.states[TP0], Processor(world.plant, TOPIC)
    world.feed(state, 40)
    processor.set_aside(state, world.records(40, 1), "the fold failed")
    refused = world.records(41, 1)[0]
    processor.fold(state, Records.of([refused._replace(value=b"no event")]))
    world.feed(state, 60)
    await worker.checkpoint(world.group)
    whole = state.twin.lines  # type: ignore[attr-defined]  # FakeTwin
    (world.snapshots.folder / f"{world.group.offsets[TP0][1]}.snapshot").unlink()
    monkeypatch.setattr("streams.worker.processor.rejected_table", reworded)
    second = await world.worker()
    state = second.states[TP0]
    assert state.catching_up is not None
    notes = Notes(tmp_path, TP0, state.next)
    notes.set_aside_again(state.catching_up.set_aside)
    log = [one._replace(value=b"no event") if one.offset == 41 else one for one in world.records(0, 102)]
    for part in state.parts(Records.of(log)):
        for piece in notes.pieces(part):
            if piece.aside is not None:
                assert [one.offset for one in piece.records] == [40]
                processor.set_aside(state, piece.records, piece.aside)
            else:
                processor.fold(state, piece.records)
        await second.compare(state)
    assert state.catching_up is None
    assert state.twin.lines == whole  # type: ignore[attr-defined]  # FakeTwin


def reworded(rejected: list[Rejected], topic: str, partition: int) -> pa.Table:
    return rejected_table([dataclasses.replace(one, detail="put better") for one in rejected], topic, partition)


async def test_a_published_file_that_is_gone_ends_the_replay(world: World) -> None:
    worker = await world.worker()
    for number in (100, 900):
        world.feed(worker.states[TP0], number)
        await worker.checkpoint(world.group)
    (world.snapshots.folder / f"{world.group.offsets[TP0][1]}.snapshot").unlink()
    next((world.audit / "events").glob("*/*-00000000000000001000.parquet")).unlink()
    second = await world.worker()
    with pytest.raises(StateError, match=r"give 900 rows of events .*, 0 are published"):
        await replay(world, second, 900)


async def test_what_was_cut_off_while_publishing_is_finished_without_the_snapshot(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = await world.worker()
    world.feed(worker.states[TP0], 100)
    await worker.checkpoint(world.group)
    world.feed(worker.states[TP0], 900)  # events and alerts: two files at least
    real = Path.replace

    def once(self: Path, target: Path) -> Path:
        if self.suffix == ".parquet":
            monkeypatch.setattr(Path, "replace", crash)
        return real(self, target)

    def crash(*_: Any) -> None:
        raise RuntimeError("power cut")

    monkeypatch.setattr(PartitionStore, "publish", functools.partialmethod(_publish_cut_off, once, monkeypatch))
    with pytest.raises(RuntimeError, match="power cut"):
        await worker.checkpoint(world.group)
    monkeypatch.undo()
    assert len(world.staged()) >= 1
    assert alerts(world) == 0
    (world.snapshots.folder / f"{world.group.offsets[TP0][1]}.snapshot").unlink()
    world.group.now = (2, "b")
    second = await world.worker()
    assert second.states[TP0].next == 100
    await replay(world, second, 900)
    assert second.states[TP0].catching_up is None
    assert alerts(world) == 1000 // 8 // 100 * 8
    assert world.audited() == list(range(1000))


def _publish_cut_off(store: PartitionStore, once: Any, monkeypatch: pytest.MonkeyPatch, *args: Any) -> None:
    monkeypatch.setattr(Path, "replace", once)
    PublishStore.publish(store, *args)  # type: ignore[arg-type]  # the method as it was


class PublishStore(PartitionStore):
    """Keeps the method that a test replaces."""

    publish = PartitionStore.publish


async def test_an_offset_set_back_is_no_reason_to_count_twice(world: World) -> None:
    worker = await world.worker()
    world.feed(worker.states[TP0], 10)
    await worker.checkpoint(world.group)
    world.group.offsets[TP0] = (3, "")
    with pytest.raises(StateError, match=r"the group stands at 3.*already published"):
        await world.worker()


async def test_expired_offsets_go_on_from_the_newest_snapshot(world: World, caplog: pytest.LogCaptureFixture) -> None:
    worker = await world.worker()
    for _ in range(2):
        world.feed(worker.states[TP0], 10)
        await worker.checkpoint(world.group)
    world.group.offsets.clear()
    second = await world.worker()
    assert second.states[TP0].next == 20
    assert "the group has no offset: expired?; going on from offset 20" in caplog.text
    world.feed(second.states[TP0], 10)
    await second.checkpoint(world.group)
    assert world.audited() == list(range(30))


async def test_expired_offsets_and_a_snapshot_of_a_sleeper(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sleeper's last snapshot reaches over what the owner has published: it must not be taken."""
    # As a version left it that removed the files alone.
    monkeypatch.setattr(PartitionStore, "discard", lambda store, _identities, staged: store.staging.unstage(staged))
    sleeper = await world.worker()
    world.feed(sleeper.states[TP0], 10)
    await sleeper.checkpoint(world.group)
    world.feed(sleeper.states[TP0], 25)
    world.group.now = (2, "b")
    owner = await world.worker()
    world.feed(owner.states[TP0], 10)
    await owner.checkpoint(world.group)
    await sleeper.checkpoint(world.group)
    assert [offset_of(i) for i in world.snapshots.ids(0)] == [10, 20, 35]
    world.group.offsets.clear()
    third = await world.worker()
    assert third.states[TP0].next == 20
    world.feed(third.states[TP0], 30)
    assert await third.checkpoint(world.group) is Committed.OK
    assert world.audited() == list(range(50))


async def test_no_offset_and_no_snapshot_but_rows(world: World) -> None:
    """Another group's root, or all that could tell is gone: nothing shows that going on would be right."""
    worker = await world.worker()
    world.feed(worker.states[TP0], 10)
    await worker.checkpoint(world.group)
    world.group.offsets.clear()
    world.snapshots = SnapshotStore(world.snapshots.folder.with_name("other"))
    with pytest.raises(StateError, match="the group stands at None"):
        await world.worker()


async def test_with_a_new_audit_root_an_offset_set_back_replays(world: World) -> None:
    worker = await world.worker()
    for _ in range(2):
        world.feed(worker.states[TP0], 10)
        await worker.checkpoint(world.group)
    world.audit = world.audit.with_name("audit2")
    world.group.offsets[TP0] = (15, "")
    second = await world.worker()  # not from the snapshot at 10: what is before it is not in the new root
    assert second.states[TP0].next == 0
    world.feed(second.states[TP0], 30)
    await second.checkpoint(world.group)
    assert world.audited() == list(range(30))


async def test_an_empty_audit_root_of_a_group_that_stands_somewhere_is_the_wrong_one(world: World) -> None:
    """A typing error or a mount that is missing: the group would be set back, and the true root be lost to it."""
    worker = await world.worker()
    world.feed(worker.states[TP0], 10)
    await worker.checkpoint(world.group)
    world.audit = world.audit.with_name("audit2")
    world.snapshots = SnapshotStore(world.audit / "_state")
    for start in (0, 5):
        with pytest.raises(StateError, match="right audit root"):
            await Checkpointer(world.store(), world.outputs).install(
                world.group.assigned(start=start), world.group.now, world.group
            )


async def test_a_partition_that_a_restored_backup_does_not_know_is_made_again_from_a_whole_log(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Its first event came after the backup. The others' snapshots show that this is the right root."""
    worker = await world.worker()
    world.feed(worker.states[TP0], 10)
    await worker.checkpoint(world.group)
    other = TP(TOPIC, 1)
    world.group.offsets[other] = (7, f"p00001-{7:020d}-{'a' * 16}")
    with pytest.raises(StateError, match="right audit root"):  # retention has taken its beginning
        await Checkpointer(world.store(), world.outputs).install(
            world.group.assigned(other, start=5), world.group.now, world.group
        )
    again = Checkpointer(world.store(), world.outputs)
    await again.install(world.group.assigned(other), world.group.now, world.group)
    assert again.states[other].next == 0
    assert "the group stands at 7; going on from offset 0 instead" in caplog.text


@pytest.mark.parametrize("partition", [0, 5])
async def test_a_topic_that_has_grown_is_refused(world: World, partition: int) -> None:
    """Partition 5 is new and has no state: it must not begin one for lines whose state is elsewhere."""
    worker = Checkpointer(world.store(), world.outputs)
    await worker.install(world.group.assigned(partitions=4), world.group.now, world.group)
    world.feed(worker.states[TP0], 10)
    await worker.checkpoint(world.group)
    assigned = world.group.assigned(TP(TOPIC, partition), partitions=6)
    world.group.now = (2, "b")
    with pytest.raises(StateError, match="the topic has 6 partitions, but had 4"):
        await Checkpointer(world.store(), world.outputs).install(assigned, (2, "b"), world.group)
