"""Bases as workers write them: each day, at every change, whole whenever a worker is killed."""

import contextlib
import json
import random
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from faust.types import TP

from streams.kafka.records import Record, Records
from streams.kafka.transport import Assigned, Committed
from streams.state import staging
from streams.state.anchors import anchors
from streams.state.checkpoint import Checkpointer
from streams.state.partition import PartitionState
from streams.state.snapshot_files import SnapshotStore
from streams.state.staging import Staging
from streams.state.store import PartitionStore
from streams.worker.processor import Processor
from tests.support.checkpoint import TP0, World
from tests.support.proof import check
from tests.support.streams import LINES, PLANT, START_NS, DailyTwin
from twin.audit import bases, filelist, layout, models, waiting
from twin.audit.digest import digest
from twin.audit.intervals import intervals
from twin.audit.layout import BASES, published
from twin.audit.recompute import recompute
from twin.audit.report import Report
from twin.audit.verify import verify
from twin.line import PartitionTwin
from twin.plant import loads

DAY_NS = 86_400_000_000_000
ROOTS = Path(__file__).parents[3] / "data" / "roots"


class Daily(World):
    """A base in nearly every checkpoint; `waits_s`: rows wait for a file where none comes."""

    twin = DailyTwin
    waits_s = 0.0

    def store(self, keep: int = 3, partitioner: str = "") -> PartitionStore:
        store = super().store(keep, partitioner)
        store.staging = Staging(self.audit, store._patience, 60_000, self.waits_s)
        return store

    def bases(self) -> list[int]:
        return [file.first_offset for file in published(self.audit, BASES)]

    def verified(self) -> Report:
        found, damaged = anchors(self.snapshots.folder.parent)
        report = verify(self.audit, anchors=found, every=True)
        report.differences += damaged
        return report


@pytest.fixture(params=[0.0, 900.0], ids=["files at once", "rows wait"])
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Daily:
    made = Daily(tmp_path)
    made.waits_s = request.param
    return made


async def fed(world: Daily, worker: Checkpointer, *numbers: int) -> PartitionState:
    state = worker.states[TP0]
    for number in numbers:
        world.feed(state, number)
        assert await worker.checkpoint(world.group) is Committed.OK
    return state


async def test_a_base_of_each_day_at_the_end_of_published_rows(world: Daily) -> None:
    worker = await world.worker()
    await fed(world, worker, 8, 1, 15, 160, 2, 60)
    # The first is the beginning; a day is two events of a line, of which there are eight.
    assert world.bases() == [24, 184, 246]
    found = intervals(world.audit)[0]
    assert [one.base is not None for one in found][-1]
    stored = bases.read(published(world.audit, BASES)[-1])
    assert DailyTwin.restore(world.plant, 0, stored).lines == worker.states[TP0].twin.lines  # type: ignore[attr-defined]
    assert world.verified().sound
    assert world.staged() == []


async def test_a_restart_is_no_new_day(world: Daily) -> None:
    await fed(world, await world.worker(), 16, 40)
    world.group.now = (2, "b")
    second = await world.worker()
    assert second.states[TP0].opening is None
    await fed(world, second, 2)
    assert world.bases() == [56]


CUTS = ["stage", "snapshot", "commit", "publish", "rename"]


@pytest.mark.parametrize("cut_off_after", CUTS)
async def test_a_crash_between_the_steps(
    world: Daily, monkeypatch: pytest.MonkeyPatch, cut_off_after: str, tmp_path: Path
) -> None:
    worker = await world.worker()
    await fed(world, worker, 16, 24)
    world.feed(worker.states[TP0], 40)

    def crash(*_: Any, **__: Any) -> None:
        raise RuntimeError("power cut")

    renamed = 0

    def one_rename(self: Path, target: Path) -> Path:
        nonlocal renamed
        renamed += 1
        if renamed > 1:
            raise RuntimeError("power cut")
        return Path(self.rename(target))

    where: dict[str, tuple[Any, str, Any]] = {
        "stage": (SnapshotStore, "save", crash),
        "snapshot": (world.group, "commit_fenced", crash),
        "commit": (PartitionStore, "publish", crash),
        "publish": (Staging, "tidy", crash),
        "rename": (Path, "replace", one_rename),
    }
    if cut_off_after == "rename":  # only those of publishing
        publish = Staging.publish

        def cut_short(self: Staging, *given: Any) -> None:
            with monkeypatch.context() as patch:
                patch.setattr(*where["rename"])
                publish(self, *given)

        monkeypatch.setattr(Staging, "publish", cut_short)
    else:
        monkeypatch.setattr(*where[cut_off_after])
    with pytest.raises(RuntimeError, match="power cut"):
        await worker.checkpoint(world.group)
    monkeypatch.undo()
    assert not any(bases_.name.startswith(".") for bases_ in world.audit.rglob("_bases/*/*"))
    world.group.now = (2, "b")
    second = await world.worker()
    committed = 40 if cut_off_after in ("stage", "snapshot") else 80
    state = await fed(world, second, 40)
    assert state.next == committed + 40
    assert world.bases()[-1] == committed + 40
    assert (80 in world.bases()) == (committed == 80 or state.next == 80)
    assert world.staged() == []
    report = world.verified()
    assert report.sound, report.differences
    assert report.checked["bases"] == len(world.bases())


@pytest.mark.parametrize("change", ["plant", "rules", "state"])
async def test_a_change_begins_with_a_base_before_its_rows(
    world: Daily, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fed(world, await world.worker(), 8, 5)  # the second of the same day: where rows wait, some do
    assert world.bases() == []
    if change == "plant":
        world.plant = loads(PLANT.replace('"st"', '"st"\nideal_cycle = "7s"', 1))
        assert world.plant.hash != loads(PLANT).hash
    elif change == "rules":
        monkeypatch.setattr("twin.rules.RULES", 99)
    else:
        monkeypatch.setattr("twin.line.snapshot.VERSION", 99)
    world.group.now = (2, "b")
    second = await world.worker()
    assert second.states[TP0].opening is not None
    await fed(world, second, 3)
    assert world.bases() == [13]
    found = {(one.first_offset, one.next_offset) for one in intervals(world.audit)[0]}
    assert (13, 13) in found
    assert not any(first < 13 < following for first, following in found)
    await second.checkpoint(world.group, publish=True)
    report = world.verified()
    assert report.sound, report.differences
    world.group.now = (3, "c")
    third = await world.worker()
    assert third.states[TP0].opening is None  # once


async def test_what_an_owner_that_lost_its_partition_staged_is_no_base(world: Daily) -> None:
    worker = await world.worker()
    await fed(world, worker, 16)
    world.feed(worker.states[TP0], 40)
    world.group.now = (2, "b")
    assert await worker.checkpoint(world.group) is Committed.FENCED
    assert (world.bases(), world.staged()) == ([], [])


# With the real twin.


class Days(Daily):
    """Eight lines, an event of one of them every 100 s: 864 a day."""

    twin = cast("type[Any]", PartitionTwin)

    def records(self, first: int, number: int) -> Records:
        return Records.of(Record(o, None, _event(o), []) for o in range(first, first + number))


def _event(offset: int) -> bytes:
    line = LINES[offset % 8]
    row = {"type": "count", "ts": START_NS + offset * 100_000_000_000, "line": line, "station": "st", "good": 1}
    if offset % 40 < 8:
        row = {**row, "type": "state", "state": ("running", "stopped")[offset // 40 % 2]}
        del row["good"]
    return json.dumps({**row, "seq": offset}).encode()


def real(folder: Path, waits_s: float) -> Days:
    world = Days(folder)
    world.waits_s = waits_s
    return world


EVENTS = 4_000
FAULTS = ("none", "save", "commit", "publish", "tidy", "fenced", "snapshot lost", "all snapshots lost")


@pytest.mark.parametrize("publish", [False, True])
async def test_verify_is_right_while_a_fenced_worker_removes_what_it_made(
    world: Daily, monkeypatch: pytest.MonkeyPatch, publish: bool
) -> None:
    """Its snapshot goes before the files that it names."""
    slept = await world.worker()
    world.feed(slept.states[TP0], 60)
    assert await slept.checkpoint(world.group) is Committed.OK
    found = []

    def looked_at(real: Callable[..., None]) -> Callable[..., None]:
        def call(*args: object) -> None:
            found.append(world.verified())
            real(*args)
            found.append(world.verified())

        return call

    for owner, name in ((SnapshotStore, "remove"), (waiting, "unstage"), (staging, "unstage")):
        monkeypatch.setattr(owner, name, looked_at(getattr(owner, name)))
    world.feed(slept.states[TP0], 70)
    world.group.now = (2, "b")
    assert await slept.checkpoint(world.group, publish=publish) is Committed.FENCED
    assert len(found) >= 4
    assert [report.differences for report in found] == [[]] * len(found)
    assert (world.verified().differences, world.staged()) == ([], [])
    assert [world.snapshots.load(one).head.next_offset for one in world.snapshots.ids(0)] == [60]


async def _plan(world: Days, chance: random.Random, faults: Counter[str]) -> None:
    """Feed all events with a checkpoint now and then, most of which a fault cuts off; then another worker goes on."""
    worker, turn = await world.worker(), 1
    while (state := worker.states[TP0]).next < EVENTS or state.catching_up is not None:
        number = min(chance.randrange(1, 600), max(EVENTS, state.next) - state.next)
        for part in state.parts(world.records(state.next, number)):
            if part:
                Processor(world.plant, TP0.topic).fold(state, part)
            await worker.compare(state)
        # A replay that is compared commits nothing: cut off again and again, it would never come to its end.
        fault = chance.choice(FAULTS[1:]) if state.catching_up is None and chance.random() < 0.5 else "none"
        before = len(published(world.audit, BASES))
        with pytest.MonkeyPatch.context() as patch:
            if fault in ("save", "commit", "publish", "tidy"):
                where = {
                    "save": (SnapshotStore, "save"),
                    "commit": (world.group, "commit_fenced"),
                    "publish": (PartitionStore, "publish"),
                    "tidy": (Staging, "tidy"),
                }
                patch.setattr(*where[fault], _power_cut)
            if fault == "fenced":
                world.group.now = (turn + 1, "x")
            with contextlib.suppress(PowerCutError):
                await worker.checkpoint(world.group)
        faults["base written"] += len(published(world.audit, BASES)) > before
        if fault == "none":
            continue
        if "lost" in fault and world.group.offsets:
            named = f"{world.group.offsets[TP0][1]}.snapshot"
            for path in world.snapshots.folder.glob("p*.snapshot"):
                if fault.startswith("all") or path.name == named:
                    path.unlink()
        faults[fault] += 1
        turn += 2
        world.group.now = (turn, f"worker-{turn}")
        worker = await world.worker()
    while await worker.checkpoint(world.group, publish=True) is not None:
        pass


class PowerCutError(RuntimeError):
    pass


def _power_cut(*_: object, **__: object) -> None:
    raise PowerCutError


@pytest.mark.parametrize("seed", range(6))
async def test_however_workers_are_killed_the_bases_follow_from_the_events(
    tmp_path: Path, seed: int, faults: Counter[str]
) -> None:
    chance = random.Random(seed)  # noqa: S311  a seeded plan
    world = real(tmp_path / "killed", chance.choice((0.0, 900.0)))
    await _plan(world, chance, faults)
    whole = real(tmp_path / "whole", 0.0)
    worker = await whole.worker()
    for _ in range(8):
        await fed(whole, worker, EVENTS // 8)
    assert digest(world.audit) == digest(whole.audit)
    report = world.verified()
    assert report.sound, report.differences
    assert world.staged() == []
    again = recompute(world.audit, every=True)
    assert again.differences == []
    assert again.checked["bases that follow from the events"] == len(world.bases()) >= 2
    begin = START_NS + 3 * DAY_NS
    part = recompute(world.audit, period=(begin, begin + DAY_NS // 2), every=True)
    assert (part.differences, part.checked["bases begun from"]) == ([], 1)
    assert part.checked["events folded"] < again.checked["events folded"] / 2


@pytest.fixture(scope="module")
def faults() -> Iterator[Counter[str]]:
    """How often each fault was met; all of them by the plans together."""
    counted: Counter[str] = Counter()
    yield counted
    if counted:
        assert set(counted) >= {*FAULTS[1:], "base written"}, counted


async def test_a_root_of_the_first_format_goes_on_with_a_base(tmp_path: Path) -> None:
    """Its snapshot names no base: the state becomes one, and what follows can be computed from there alone."""
    with tarfile.open(ROOTS / "a193fe3-worker.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    root = tmp_path / "a193fe3-worker"
    snapshots = SnapshotStore(root / "_state" / "twin")
    (identity,) = snapshots.ids(3)
    head = snapshots.load(identity).head
    plant = models.load(root, head.model)
    store = PartitionStore(plant=plant, twin=PartitionTwin, snapshots=snapshots, audit=root, keep=3, code_version="1")
    where = TP("twin.events", 3)
    state = store.load(where, Assigned(head.next_offset, identity, 0, 1 << 40, 4))
    newest = state.twin.event_time_ns
    later = [
        json.dumps({"type": "heartbeat", "ts": newest + k * 600_000_000_000, "line": line.id}).encode()
        for k in (1, 2)
        for line in plant.lines
    ]
    records = Records.of(Record(head.next_offset + k, None, value, []) for k, value in enumerate(later))
    Processor(plant, where.topic).fold(state, records)
    cut = state.cut()
    assert cut is not None
    made, named = store.stage(cut, cut.frozen.encode())
    state.staged(made, named)
    store.publish(state, made.manifests, (cut.rows.next, named))
    (base,) = published(root, BASES)
    assert base.first_offset == head.next_offset
    report = check(root, every=True)
    assert report.sound, report.differences
    part = recompute(root, period=(newest + 1, newest + 10_000_000_000_000), every=True)
    assert part.sound, part.differences
    assert (part.checked["bases begun from"], part.checked["events folded"]) == (1, len(later))


def test_a_list_that_was_cut_off_at_its_beginning_is_begun_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by a kill at every operation: the root was never whole, and half of its word was left."""
    monkeypatch.setattr(Path, "replace", _power_cut)
    with pytest.raises(PowerCutError):
        filelist.begin(tmp_path)
    monkeypatch.undo()
    assert not filelist.is_whole(tmp_path)
    filelist.begin(tmp_path)
    assert filelist.is_whole(tmp_path)
    assert list((tmp_path / layout.STAGING).iterdir()) == []
