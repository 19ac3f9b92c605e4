"""The checkpoint protocol on real files, with a broker that only remembers commits."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pytest
from faust.types import TP

from streams.kafka.transport import Assigned, Committed
from streams.state import checkpoint
from streams.state.checkpoint import MOST_FENCED, Checkpointer, FencedError
from streams.state.fits import StateError
from streams.state.store import PartitionStore
from tests.support.checkpoint import TP0, World
from tests.support.streams import PLANT, DailyTwin, FakeFrozen, FakeTwin
from twin.audit import AlreadyPublishedError, AuditError, layout, models
from twin.line.snapshot import SnapshotError as LineSnapshotError
from twin.plant import loads
from twin.plant.model import Plant


@pytest.fixture(params=[FakeTwin, DailyTwin], ids=["without bases", "with bases"])
def world(tmp_path: Path, request: pytest.FixtureRequest) -> World:
    made = World(tmp_path)
    made.twin = request.param
    return made


async def test_commit_names_the_snapshot_and_publishes(world: World) -> None:
    worker = await world.worker()
    world.feed(worker.states[TP0], 250)
    assert world.audited() == []
    assert await worker.checkpoint(world.group) is Committed.OK
    offset, identity = world.group.offsets[TP0]
    assert offset == 250
    assert json.loads(world.snapshots.load(identity).state) == worker.states[TP0].twin.lines  # type: ignore[attr-defined]  # FakeTwin
    assert world.audited() == list(range(250))
    assert world.staged() == []
    assert await worker.checkpoint(world.group) is None  # nothing has moved


async def test_the_next_owner_goes_on(world: World) -> None:
    first = await world.worker()
    world.feed(first.states[TP0], 100)
    await first.checkpoint(world.group)
    world.feed(first.states[TP0], 50)  # lost with the worker
    world.group.now = (2, "b")
    second = await world.worker()
    assert second.states[TP0].next == 100
    world.feed(second.states[TP0], 70)
    assert await second.checkpoint(world.group) is Committed.OK
    assert world.audited() == list(range(170))


async def test_what_is_lost_before_its_turn_is_not_cut(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large ones are cut one by one, and the first one's state takes so long that the group has moved on."""
    monkeypatch.setattr(checkpoint, "_SMALL_BYTES", 0)
    worker = await world.worker()
    other = TP(TP0.topic, 1)
    world.group.now = (2, "b")
    await worker.install(world.group.assigned() | world.group.assigned(other), (2, "b"), world.group)
    first, second = worker.states[TP0], worker.states[other]
    world.feed(first, 100)  # more rows, so its turn is before the other's
    world.feed(second, 50)
    encode = FakeFrozen.encode

    def slow(frozen: FakeFrozen) -> bytes:
        worker.release()
        return encode(frozen)

    monkeypatch.setattr(FakeFrozen, "encode", slow)
    assert await worker.checkpoint(world.group) is Committed.FENCED
    assert (first.first, second.first) == (100, 0)
    assert (world.group.offsets, world.audited(), world.staged()) == ({}, [], [])


async def test_small_partitions_are_staged_together(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """By few threads, and one that cannot be written ends nothing of the others."""
    worker = await world.worker()
    several = [TP(TP0.topic, k) for k in range(40)]
    world.group.now = (2, "b")
    await worker.install({tp: world.group.assigned(tp)[tp] for tp in several}, (2, "b"), world.group)
    for tp in several:
        world.feed(worker.states[tp], 10)
    listed = 0
    all_staged = layout.all_staged

    def counted(root: Path) -> dict[int, list[str]]:
        nonlocal listed
        listed += 1
        return all_staged(root)

    monkeypatch.setattr(layout, "all_staged", counted)
    assert await worker.checkpoint(world.group) is Committed.OK
    assert {tp: offset for tp, (offset, _) in world.group.offsets.items()} == dict.fromkeys(several, 10)
    assert listed <= 4
    assert world.staged() == []


async def test_a_worker_that_lost_its_partition_leaves_no_trace(world: World) -> None:
    slept = await world.worker()
    world.feed(slept.states[TP0], 100)
    world.group.now = (2, "b")
    owner = await world.worker()
    world.feed(owner.states[TP0], 60)
    assert await slept.checkpoint(world.group) is Committed.FENCED
    assert slept.states == {}
    assert world.staged() == []  # also where the owner has nothing more to publish
    assert await owner.checkpoint(world.group) is Committed.OK
    assert world.audited() == list(range(60))
    world.feed(owner.states[TP0], 60)
    await owner.checkpoint(world.group)
    assert world.audited() == list(range(120))
    assert world.staged() == []


@pytest.mark.parametrize("sent", [False, True])
async def test_a_commit_that_is_put_off_and_then_refused(world: World, sent: bool) -> None:
    """What no commit has named goes. What one has named that nobody answered stays: it may be what the group has."""
    worker = await world.worker()
    world.feed(worker.states[TP0], 100)
    world.outputs.acknowledged = sent
    world.group.answers = [Committed.RETRY] if sent else []
    assert await worker.checkpoint(world.group) is Committed.RETRY
    saved = worker.states[TP0].saved
    staged, world.outputs.acknowledged = world.staged(), True
    assert staged
    world.group.answers = [Committed.FENCED]
    assert await worker.checkpoint(world.group) is Committed.FENCED
    assert world.staged() == (staged if sent else [])
    assert world.snapshots.ids(0) == ([saved[1]] if sent else [])
    if sent:
        world.group.offsets[TP0] = saved
    owner = await world.worker()
    assert (owner.states[TP0].next, world.staged()) == (100 if sent else 0, [])
    assert world.audited() == list(range(100 if sent else 0))


@pytest.mark.parametrize("heard", [True, False])
async def test_an_owner_overtaken_by_its_own_cut_is_fenced(world: World, heard: bool) -> None:
    """The next owner has published the very same offsets before this one heard that it is none any more."""
    slept = await world.worker()
    world.feed(slept.states[TP0], 40)
    await slept.checkpoint(world.group)
    world.feed(slept.states[TP0], 60)
    before, world.group.now = world.group.now, (2, "b")
    owner = await world.worker()
    world.feed(owner.states[TP0], 60)
    assert await owner.checkpoint(world.group) is Committed.OK
    if not heard:
        world.group.now = before
        world.group.answers = [Committed.FENCED]
    assert await slept.checkpoint(world.group) is Committed.FENCED
    assert slept.states == {}
    assert (world.group.offsets[TP0], world.staged()) == (owner.states[TP0].committed, [])
    assert world.audited() == list(range(100))


async def test_files_of_another_life_of_the_topic_are_no_other_owner(world: World) -> None:
    """The group takes the commit, so nobody else has the partition: the worker must end, and say which file."""
    worker = await world.worker()
    world.feed(worker.states[TP0], 40)
    await worker.checkpoint(world.group)
    state = worker.states[TP0]
    world.feed(state, 60)
    older = next((world.audit / "events").rglob("*.parquet"))
    shutil.copy(older, world.audit / layout.final_name("events", "2023-11-14", 0, 40, 100))
    with pytest.raises(AlreadyPublishedError, match="already published"):
        await worker.checkpoint(world.group)
    assert world.group.offsets[TP0] == state.committed


async def test_a_sleeper_does_not_take_what_the_owner_has_staged(world: World) -> None:
    slept = await world.worker()
    world.feed(slept.states[TP0], 10)
    await slept.checkpoint(world.group)
    state = slept.states[TP0]
    world.group.now = (2, "b")
    owner = await world.worker()
    world.feed(owner.states[TP0], 20)
    cut = owner.states[TP0].cut()
    assert cut is not None
    world.store().stage(cut, cut.frozen.encode())
    staged = world.staged()
    assert staged
    world.store().publish(state, (), state.committed)  # the sleeper wakes up in the middle of its own publishing
    assert world.staged() == staged


async def test_partitions_take_turns(world: World) -> None:
    """Each comes once in so many checkpoints as there are parts, whoever has moved; a last one takes all."""
    tps = [TP(TP0.topic, number) for number in range(5)]
    worker = await world.worker()
    assigned = {tp: Assigned(None, "", 0, 1 << 40) for tp in tps}
    world.group.now = (2, "a")
    await worker.install(assigned, (2, "a"), world.group)
    states = [worker.states[tp] for tp in tps]
    committed: list[list[int]] = []
    for _ in range(3):
        for state in states[1:]:
            world.feed(state, 10)
        before = [state.committed[0] for state in states]
        await worker.checkpoint(world.group, parts=3)
        committed.append([n for n, state in enumerate(states) if state.committed[0] != before[n]])
    assert sorted(map(len, committed)) == [1, 1, 2]
    assert sorted(n for some in committed for n in some) == [1, 2, 3, 4]
    assert await worker.checkpoint(world.group) is Committed.OK
    assert [state.committed[0] for state in states] == [0, 30, 30, 30, 30]


async def test_rows_staged_ahead_are_published_by_the_next_checkpoint(world: World) -> None:
    worker = await world.worker()
    state = worker.states[TP0]
    for _ in range(3):
        world.feed(state, 20)
        await worker.stage_ahead(world.group)
    assert (state.bytes, state.next, len(state.manifests)) == (0, 60, 3)
    assert (world.audited(), world.group.offsets) == ([], {})  # nothing points to them yet
    assert len(world.staged()) == 3
    assert await worker.checkpoint(world.group) is Committed.OK  # of the state alone: every row is there already
    assert world.audited() == list(range(60))
    world.feed(state, 20)
    await worker.stage_ahead(world.group)
    world.feed(state, 20)
    assert await worker.checkpoint(world.group) is Committed.OK
    assert world.audited() == list(range(100))
    assert (world.staged(), state.manifests, state.ahead) == ([], (), ())
    assert await worker.checkpoint(world.group) is None


async def test_what_a_worker_staged_ahead_before_it_died_is_written_anew(world: World) -> None:
    dead = await world.worker()
    world.feed(dead.states[TP0], 20)
    await dead.checkpoint(world.group)
    world.feed(dead.states[TP0], 20)
    await dead.stage_ahead(world.group)
    second = await world.worker()
    state = second.states[TP0]
    assert state.next == 20
    world.feed(state, 10)  # cut at other places than before
    await second.stage_ahead(world.group)
    world.feed(state, 30)
    assert await second.checkpoint(world.group) is Committed.OK
    assert world.audited() == list(range(60))
    assert world.staged() == []


async def test_what_was_staged_ahead_of_a_commit_that_may_have_come_through_stays(world: World) -> None:
    worker = await world.worker()
    world.feed(worker.states[TP0], 20)
    await worker.stage_ahead(world.group)
    world.group.answers = [Committed.RETRY]
    assert await worker.checkpoint(world.group) is Committed.RETRY
    world.feed(worker.states[TP0], 20)
    await worker.stage_ahead(world.group)
    assert len(world.staged()) == 2
    worker.release()
    await worker.tidied(5)
    assert len(world.staged()) == 1  # the commit may name this one


@pytest.mark.parametrize("by", ["commit", "rebalance", "release"])
async def test_nothing_that_was_staged_ahead_is_left_when_the_partition_is_lost(world: World, by: str) -> None:
    worker = await world.worker()
    world.feed(worker.states[TP0], 20)
    await worker.stage_ahead(world.group)
    world.feed(worker.states[TP0], 20)
    assert len(world.staged()) == 1
    if by == "commit":
        world.group.now = (2, "b")
        assert await worker.checkpoint(world.group) is Committed.FENCED
    elif by == "rebalance":
        world.group.now = (2, "b")
        await worker.install({}, world.group.now, world.group)
    else:
        worker.release()
    await worker.tidied(5)
    assert (world.staged(), world.audited(), worker.states) == ([], [], {})


async def test_a_loading_that_comes_too_late_forgets_nothing(world: World) -> None:
    """The files of a state that stays must not be removed: another owner may have staged under the same name since."""
    worker = await world.worker()
    world.feed(worker.states[TP0], 20)
    await worker.stage_ahead(world.group)
    assert await worker.install({}, (2, "b"), world.group) is None  # the group's token is another by then
    await worker.tidied(5)
    assert len(world.staged()) == 1
    assert await worker.checkpoint(world.group) is Committed.OK
    assert world.audited() == list(range(20))


async def test_of_many_partitions_those_with_most_rows_are_staged_ahead(world: World) -> None:
    worker = await world.worker()
    tps = [TP(TP0.topic, number) for number in range(4)]
    world.group.now = (2, "a")
    await worker.install({tp: Assigned(None, "", 0, 1 << 40) for tp in tps}, (2, "a"), world.group)
    for tp, number in zip(tps, (10, 6_000, 20, 2_000), strict=True):
        world.feed(worker.states[tp], number)
    await worker.stage_ahead(world.group)
    assert [len(worker.states[tp].manifests) for tp in tps] == [0, 1, 0, 0]
    await worker.stage_ahead(world.group)
    assert [len(worker.states[tp].manifests) for tp in tps] == [0, 1, 0, 1]


async def test_a_replay_that_is_compared_stages_nothing_ahead(world: World) -> None:
    await world.lose_snapshot(40)
    second = await world.worker()
    state = second.states[TP0]
    assert state.catching_up is not None
    world.feed(state, 10)
    await second.stage_ahead(world.group)
    assert (world.staged(), state.first) == ([], 0)
    assert state.bytes > 0


async def test_a_commit_put_off_keeps_everything(world: World) -> None:
    worker = await world.worker()
    world.group.answers = [Committed.RETRY, Committed.RETRY]
    world.feed(worker.states[TP0], 30)
    assert await worker.checkpoint(world.group) is Committed.RETRY
    world.feed(worker.states[TP0], 30)
    assert await worker.checkpoint(world.group) is Committed.RETRY
    assert world.audited() == []
    assert await worker.checkpoint(world.group) is Committed.OK  # without anything new
    assert world.audited() == list(range(60))
    assert world.staged() == []


async def test_a_commit_put_off_and_then_lost_is_replayed(world: World) -> None:
    worker = await world.worker()
    world.group.answers = [Committed.RETRY]
    world.feed(worker.states[TP0], 30)
    await worker.checkpoint(world.group)
    world.group.now = (2, "b")
    second = await world.worker()
    # Nobody committed the snapshot at 30: what follows from its offsets may not have reached the topics.
    assert second.states[TP0].next == 0
    assert world.audited() == []
    world.feed(second.states[TP0], 30)
    assert await second.checkpoint(world.group) is Committed.OK
    assert world.audited() == list(range(30))
    assert world.group.offsets[TP0][0] == 30
    assert world.staged() == []


async def test_an_uncommitted_snapshot_is_better_than_a_hole(world: World) -> None:
    """Retention has taken the events that it holds, and the group never committed."""
    worker = await world.worker()
    world.group.answers = [Committed.RETRY]
    world.feed(worker.states[TP0], 30)
    await worker.checkpoint(world.group)
    second = Checkpointer(world.store(), world.outputs)
    await second.install(world.group.assigned(start=10), world.group.now, world.group)
    assert second.states[TP0].next == 30
    assert world.audited() == []  # only a commit makes its files visible
    assert await second.checkpoint(world.group) is Committed.OK
    assert world.audited() == list(range(30))


async def test_no_commit_before_the_outputs_are_acknowledged(world: World) -> None:
    worker = await world.worker()
    world.feed(worker.states[TP0], 30)
    world.outputs.acknowledged = False
    assert await worker.checkpoint(world.group) is Committed.RETRY
    assert world.group.offsets == {}
    world.outputs.acknowledged = True
    assert await worker.checkpoint(world.group) is Committed.OK
    assert world.group.offsets[TP0][0] == 30


@pytest.mark.parametrize("cut_off_after", ["stage", "commit"])
async def test_a_crash_between_the_steps(world: World, monkeypatch: pytest.MonkeyPatch, cut_off_after: str) -> None:
    worker = await world.worker()
    world.feed(worker.states[TP0], 40)

    def crash(*_: Any) -> None:
        raise RuntimeError("power cut")

    if cut_off_after == "commit":
        monkeypatch.setattr(PartitionStore, "publish", crash)
    else:
        monkeypatch.setattr(world.group, "commit_fenced", crash)
    with pytest.raises(RuntimeError, match="power cut"):
        await worker.checkpoint(world.group)
    monkeypatch.undo()
    assert world.audited() == []
    world.group.now = (2, "b")
    second = await world.worker()
    assert second.states[TP0].next == (40 if cut_off_after == "commit" else 0)
    assert world.audited() == (list(range(40)) if cut_off_after == "commit" else [])
    world.feed(second.states[TP0], 40)
    await second.checkpoint(world.group)
    assert world.audited() == list(range(second.states[TP0].next))
    assert world.staged() == []


async def test_the_same_membership_keeps_its_state(world: World) -> None:
    worker = await world.worker()
    world.feed(worker.states[TP0], 5)
    assert await worker.install(world.group.assigned(), world.group.now, world.group) == {TP0: 5}
    world.group.now = (2, "b")
    assert await worker.install(world.group.assigned(), world.group.now, world.group) == {TP0: 0}


async def test_a_membership_that_ends_while_loading_installs_nothing(world: World) -> None:
    worker = Checkpointer(world.store(), world.outputs)
    outdated, world.group.now = world.group.now, (2, "b")
    assert await worker.install(world.group.assigned(), outdated, world.group) is None
    assert worker.states == {}


async def test_six_fenced_commits_end_the_worker(world: World) -> None:
    worker = await world.worker()
    for number in range(MOST_FENCED):
        world.group.now = (number + 2, "x")
        await worker.install(world.group.assigned(), world.group.now, world.group)
        world.feed(worker.states[TP0], 1)
        world.group.answers = [Committed.FENCED]
        if number < MOST_FENCED - 1:
            assert await worker.checkpoint(world.group) is Committed.FENCED
    with pytest.raises(FencedError, match="instance id"):
        await worker.checkpoint(world.group)


async def test_old_snapshots_go_the_committed_one_stays(world: World) -> None:
    worker = await world.worker()
    for _ in range(8):
        world.feed(worker.states[TP0], 10)
        await worker.checkpoint(world.group)
    kept = world.snapshots.ids(0)
    assert len(kept) == 4
    assert kept[-1] == world.group.offsets[TP0][1]


async def test_a_topic_made_anew_is_refused(world: World) -> None:
    worker = await world.worker()
    world.feed(worker.states[TP0], 10)
    await worker.checkpoint(world.group)
    world.group.end = 4
    with pytest.raises(StateError, match="deleted and made anew"):
        await world.worker()


async def test_state_of_another_topic_is_refused(world: World) -> None:
    worker = await world.worker()
    world.feed(worker.states[TP0], 10)
    await worker.checkpoint(world.group)
    other = TP("other.events", 0)
    world.group.offsets[other] = world.group.offsets[TP0]
    with pytest.raises(StateError, match=r"holds the state of twin\.events"):
        await Checkpointer(world.store(), world.outputs).install(world.group.assigned(other), (1, "a"), world.group)


async def test_another_model_goes_on_at_the_same_offset(world: World, caplog: pytest.LogCaptureFixture) -> None:
    worker = await world.worker()
    world.feed(worker.states[TP0], 10)
    await worker.checkpoint(world.group)
    before = dict(worker.states[TP0].twin.lines)  # type: ignore[attr-defined]  # FakeTwin
    world.plant = loads(PLANT.replace('site = "test"', 'site = "other"'), "plant.toml")
    second = await world.worker()
    assert second.states[TP0].next == 10
    assert second.states[TP0].twin.lines == before  # type: ignore[attr-defined]  # FakeTwin
    assert "replaces" in caplog.text
    assert "the file has no `revision`" in caplog.text


def revised(revision: int | None, site: str = "test") -> Plant:
    head = "" if revision is None else f"revision = {revision}\n"
    return loads(head + PLANT.replace('site = "test"', f'site = "{site}"'), "plant.toml")


@pytest.mark.parametrize(
    ("before", "now", "why"),
    [
        (2, revised(1, "other"), "plant.toml is revision 1, and .* revision 2: this worker has the older file"),
        (2, revised(2, "other"), "of the same revision: one number, two contents.* write revision = 3 into it"),
        (2, revised(None, "other"), "plant.toml has no `revision`, and .* of revision 2: this worker would go back"),
    ],
)
async def test_an_older_or_another_plant_of_one_revision_is_for_a_person(
    world: World, before: int, now: Plant, why: str
) -> None:
    world.plant = revised(before)
    worker = await world.worker()
    world.feed(worker.states[TP0], 10)
    await worker.checkpoint(world.group)
    world.plant, right = now, world.plant
    with pytest.raises(AuditError, match=why):
        await world.worker()
    assert models.stored(world.audit) == [right.hash]  # nothing of the wrong one is left behind
    world.plant = right
    assert (await world.worker()).states[TP0].next == 10


async def test_a_newer_revision_takes_over_and_the_older_worker_ends(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.plant = older = revised(1)
    worker = await world.worker()
    world.feed(worker.states[TP0], 10)
    await worker.checkpoint(world.group)
    world.plant = revised(2, "other")
    second = await world.worker()
    assert second.states[TP0].next == 10
    assert "replaces" in caplog.text
    assert "no `revision`" not in caplog.text
    world.plant = older
    with pytest.raises(AuditError, match="has the older file"):
        await world.worker()


async def test_a_worker_with_the_older_file_ends_at_its_next_commit(world: World) -> None:
    """Both may load at the same time, and the older one before the newer model is there."""
    world.plant = revised(1)
    worker = await world.worker()
    world.feed(worker.states[TP0], 10)
    await worker.checkpoint(world.group)
    models.store(world.audit, revised(2, "other"))
    world.feed(worker.states[TP0], 10)
    with pytest.raises(StateError, match="this worker has the older file"):
        await worker.checkpoint(world.group)
    assert world.group.offsets[TP0][0] == 20
    world.plant = revised(2, "other")
    world.group.now = (2, "b")
    second = await world.worker()
    world.feed(second.states[TP0], 10)
    await second.checkpoint(world.group)
    assert (world.group.offsets[TP0][0], world.audited()) == (30, list(range(30)))


async def test_a_state_whose_plant_model_is_lost_is_for_a_person(world: World) -> None:
    worker = await world.worker()
    world.feed(worker.states[TP0], 10)
    await worker.checkpoint(world.group)
    (world.audit / layout.model_name(world.plant.hash)).unlink()
    world.plant = revised(1, "other")
    with pytest.raises(
        StateError, match=r"was made with plant model .* cannot go over to .*: the plant model is missing"
    ):
        await world.worker()


async def test_retention_is_reported(world: World, caplog: pytest.LogCaptureFixture) -> None:
    worker = Checkpointer(world.store(), world.outputs)
    await worker.install(world.group.assigned(start=5), (1, "a"), world.group)
    assert "offsets 0 to 4 were deleted by retention" in caplog.text
    assert worker.states[TP0].deleted == 5
    assert worker.states[TP0].next == 5
    assert await worker.checkpoint(world.group) is Committed.OK
    row = ds.dataset(world.audit / "rejected", partitioning="hive").to_table().to_pylist()[0]
    assert (row["reason"], row["source_offset"]) == ("deleted_by_retention", 4)
    assert "offsets 0 to 4" in row["detail"]
    again = Checkpointer(world.store(), world.outputs)
    await again.install(world.group.assigned(start=5), world.group.now, world.group)
    assert again.states[TP0].deleted == 0  # said once


async def test_checkpoints_wait_for_each_other(world: World) -> None:
    worker = await world.worker()
    world.feed(worker.states[TP0], 10)
    outcomes = await asyncio.gather(*(worker.checkpoint(world.group) for _ in range(3)))
    assert outcomes == [Committed.OK, None, None]
    assert world.audited() == list(range(10))


@pytest.mark.parametrize("fault", ["has version 2, this code reads 1", "does not unpack: cut off"])
async def test_a_state_the_twin_refuses_is_for_a_person(
    world: World, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """Neither an older state nor an empty one may stand in for it: its rows would be audited twice."""
    worker = await world.worker()
    world.feed(worker.states[TP0], 10)
    assert await worker.checkpoint(world.group) is Committed.OK

    def restore(plant: Plant, partition: int, data: bytes) -> FakeTwin:
        raise LineSnapshotError(fault)

    monkeypatch.setattr(FakeTwin, "restore", restore)
    world.group.now = (2, "b")
    with pytest.raises(StateError, match=rf"twin.events/0: the state at offset 10 {fault}\. Start the version"):
        await world.worker()


async def test_what_was_folded_of_a_topic_that_has_grown_is_not_committed(world: World) -> None:
    worker = await world.worker(partitions=4)
    world.feed(worker.states[TP0], 10)
    world.group.divided = 0
    assert await worker.checkpoint(world.group) is Committed.RETRY
    world.group.divided = 6
    with pytest.raises(StateError, match="has 6 partitions, but had 4"):
        await worker.checkpoint(world.group)
    assert world.group.offsets == {}
    assert world.audited() == []


async def test_the_partitioner_stays_that_of_the_state(world: World) -> None:
    """Another setting would refuse other records: what follows would not be what one worker gives."""
    worker = await world.worker(partitions=1, partitioner="crc32")
    world.feed(worker.states[TP0], 5)
    world.group.divided = 1
    assert await worker.checkpoint(world.group) is Committed.OK
    assert (await world.worker(partitions=1, partitioner="crc32")).states[TP0].partitioner == "crc32"
    with pytest.raises(StateError, match="TAKTWIN_PARTITIONER=crc32, now it is murmur2"):
        await world.worker(partitions=1, partitioner="murmur2")


async def test_a_state_older_than_the_check_goes_on_unchecked_and_says_so(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.group.divided = 1
    old = await world.worker(partitions=1)
    world.feed(old.states[TP0], 5)
    await old.checkpoint(world.group)
    for _ in range(2):  # and the states it writes are no newer in this
        worker = await world.worker(partitions=1, partitioner="murmur2")
        assert worker.states[TP0].partitioner == ""
        assert "they go on unchecked" in caplog.text
        caplog.clear()
        world.feed(worker.states[TP0], 5)
        assert await worker.checkpoint(world.group) is Committed.OK
