"""A snapshot is lost and the plant has changed since: what is published is replayed under its own plants."""

import functools
import json
import random
import shutil
from pathlib import Path

import pytest

from streams.state.checkpoint import Checkpointer
from streams.state.fits import StateError
from streams.state.shared import SharedAudit
from streams.state.store import PartitionStore
from streams.worker.processor import Processor
from tests.support.checkpoint import TOPIC, TP0
from tests.support.objects import MemoryStore
from tests.unit.streams.state.test_plant_week import LINE_REMOVED, PLANTS, STATION_ADDED, S, Week, plant, sent
from twin.audit import store_marker
from twin.audit.digest import SetDigest, digest
from twin.audit.recompute import recompute
from twin.audit.verify import verify
from twin.line import PartitionTwin
from twin.plant.model import Plant

HOUR = 3_600
# A station is added, a line removed; and what is heard around both.
CUTS = PLANTS[1:4]
SINCE, UNTIL = STATION_ADDED - 9 * HOUR, LINE_REMOVED + 4 * HOUR


def log_of(seed: int) -> tuple[list[bytes], list[int]]:
    """Records, and the offsets up to which each plant holds."""
    log = [(at, row) for at, row in sent(random.Random(seed)) if SINCE <= at < UNTIL]  # noqa: S311  a seeded log
    begins = [next(k for k, (at, _) in enumerate(log) if at >= since) for since, _ in CUTS[1:]]
    return [json.dumps({**row, "ts": row["ts"] * S}).encode() for _, row in log], [*begins, len(log)]


async def go_on(world: Week, model: Plant, until: int, every: int) -> Checkpointer:
    """A worker comes, replays if it must, folds up to `until` and commits now and then."""
    world.plant = model
    world.group.now = (world.group.now[0] + 1, "w")
    worker = await world.worker()
    state, processor = worker.states[TP0], Processor(model, TOPIC)
    while state.next < until or state.catching_up is not None:
        run = world.records(state.next, min(every, max(until - state.next, 1)))
        for part in state.parts(run):
            if part:
                processor.fold(state, part)
            await worker.compare(state)
        await worker.checkpoint(world.group)
    await worker.checkpoint(world.group)
    return worker


def lose(world: Week, what: str, chance: random.Random) -> None:
    found = sorted(world.snapshots.folder.iterdir())
    newest = world.snapshots.folder / f"{world.group.offsets[TP0][1]}.snapshot"
    assert newest in found
    if what == "all":
        for path in found:
            path.unlink()
    else:
        data = bytearray(newest.read_bytes())
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        newest.write_bytes(data)


async def published(world: Week) -> dict[str, SetDigest]:
    for _ in range(2):
        worker = await go_on(world, CUTS[-1][1], len(world.log), 300)
        await worker.checkpoint(world.group, publish=True)
    return digest(world.audit)


async def test_what_was_published_is_replayed_under_its_own_plants(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    chance = random.Random(0)  # noqa: S311  a seeded plan
    whole = Week(tmp_path / "whole")
    whole.log, untils = log_of(0)
    for (_, model), until in zip(CUTS, untils, strict=True):
        await go_on(whole, model, until, 1_000)
    expected = await published(whole)
    for what in ("all", "damaged"):
        world = Week(tmp_path / what)
        world.log = whole.log
        caplog.clear()
        for (_, model), until in zip(CUTS, untils, strict=True):
            await go_on(world, model, until, chance.randrange(150, 400))
            lose(world, what, chance)
        assert await published(world) == expected, what
        assert caplog.text.count("the replay agrees") == len(CUTS)
        report = verify(world.audit)
        assert report.sound, report.differences
    again = recompute(world.audit)
    assert again.differences == []
    assert again.checked["changes of the plant"] == len(CUTS) - 1


class Stored(Week):
    """Its audit is in object storage."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.objects = MemoryStore()
        self.audit.mkdir(parents=True)
        store_marker.claim(self.objects, self.audit, "twin", "g", "a" * 32)

    def store(self, keep: int = 3, partitioner: str = "") -> PartitionStore:
        return PartitionStore(
            plant=self.plant,
            twin=PartitionTwin,
            snapshots=self.snapshots,
            audit=self.audit,
            keep=keep,
            code_version="1",
            shared=SharedAudit(self.objects, self.audit),
        )


@pytest.mark.parametrize("world_of", [Week, Stored])
async def test_the_plant_changed_where_the_log_begins(
    tmp_path: Path, world_of: type[Week], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Kafka has deleted all before the older snapshot, behind which the files are of another plant."""
    world = world_of(tmp_path)
    world.log, untils = log_of(0)
    (_, first), (_, second) = CUTS[:2]
    begin, end = untils[0], untils[0] + 200
    await go_on(world, first, begin, 500)
    worker = await go_on(world, second, end, 200)
    whole = worker.states[TP0].twin.freeze().encode()
    (world.snapshots.folder / f"{world.group.offsets[TP0][1]}.snapshot").unlink()
    if world_of is Stored:  # another process has a folder of its own
        world.audit = tmp_path / "another"
        world.audit.mkdir()
    monkeypatch.setattr(world.group, "assigned", functools.partial(world.group.assigned, start=begin))
    worker = await go_on(world, second, end, 200)
    assert f"going on from offset {begin} instead" in caplog.text
    assert "the replay agrees" in caplog.text
    assert worker.states[TP0].twin.freeze().encode() == whole


class Waits(Week):
    """Rows wait for an orderly end before they become files."""

    def store(self, keep: int = 3, partitioner: str = "") -> PartitionStore:
        made = super().store(keep, partitioner)
        made.staging.publish_after_s = 900.0
        return made


@pytest.mark.parametrize("further", [0, 150])
async def test_two_changes_at_one_offset_are_two(
    tmp_path: Path, further: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A line goes, its last rows are committed before another event comes, and then the line comes again."""
    world = Waits(tmp_path)
    world.log, untils = log_of(0)
    begin = untils[0] + 50
    with_all, without, again = CUTS[1][1], CUTS[2][1], plant(9, product=True, station=True)
    await go_on(world, with_all, begin, 400)
    worker = await go_on(world, without, begin, 400)
    await worker.checkpoint(world.group, publish=True)
    worker = await go_on(world, again, begin + further, 400)
    await worker.checkpoint(world.group, publish=True)
    whole = worker.states[TP0].twin.freeze().encode()
    lose(world, "all", random.Random(0))  # noqa: S311  no chance in it
    worker = await go_on(world, again, begin + further, 400)
    assert "the replay agrees" in caplog.text
    assert worker.states[TP0].twin.freeze().encode() == whole


async def test_a_model_that_is_lost_is_named(tmp_path: Path) -> None:
    world = Week(tmp_path)
    world.log, _ = log_of(0)
    await go_on(world, CUTS[0][1], 300, 300)
    shutil.rmtree(world.snapshots.folder)
    (world.audit / "_models" / f"{CUTS[0][1].hash}.json").unlink()
    with pytest.raises(StateError, match=rf"made with plant model {CUTS[0][1].hash}, from which it cannot go over"):
        await go_on(world, CUTS[1][1], 400, 400)
