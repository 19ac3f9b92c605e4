"""States that are handed over to more partitions: only where nothing is left undone, and never begun without."""

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from faust.types import TP

from streams.kafka.records import Record, Records
from streams.kafka.topics import TopicsError
from streams.kafka.transport import Assigned
from streams.settings import Settings
from streams.state.fits import StateError
from streams.state.shared import SharedAudit
from streams.state.shared_snapshots import SharedSnapshots
from streams.state.snapshot_files import SnapshotStore
from streams.state.store import PartitionStore
from streams.tools.handover import prepare, put
from streams.tools.ledger import RunFed, without_offsets
from tests.support.checkpoint import TP0, World
from tests.support.objects import MemoryStore
from tests.support.streams import LINES, PLANT, event
from twin.audit import store_marker
from twin.line import PartitionTwin
from twin.line.divided import lines_of
from twin.plant import loads


class Real(World):
    """The real twin, and records with the keys of their lines; some rows may wait."""

    twin = cast("type[Any]", PartitionTwin)
    odd = -1  # the offset of an event two days ahead

    def records(self, first: int, number: int) -> Records:
        def record(o: int) -> Record:
            line = LINES[o % 8]
            return Record(o, line.encode(), event(line, o + (172_800 if o == self.odd else 0)), [])

        return Records.of(map(record, range(first, first + number)))

    def store(self, keep: int = 3, partitioner: str = "murmur2") -> PartitionStore:
        made = super().store(keep, "murmur2")
        made.staging.publish_after_s = 900.0  # so rows wait until an orderly end
        return made


@pytest.fixture
def world(tmp_path: Path) -> Real:
    made = Real(tmp_path)
    made.group.divided = 1
    return made


def settings(world: Real, **more: Any) -> Settings:
    return Settings(prefix="twin", group="state", audit=str(world.audit), state=str(world.audit.parent), **more)


def target(world: Real, partitions: int = 2) -> Settings:
    folder = world.audit.parent
    return replace(
        settings(world), prefix="more", group="", partitions=partitions, audit=str(folder / "new"), state=str(folder)
    )


async def worked(world: Real, number: int = 40, *, orderly: bool = True) -> Assigned:
    worker = await world.worker(partitions=1)
    world.feed(worker.states[TP0], number)
    await worker.checkpoint(world.group)
    if orderly:
        await worker.checkpoint(world.group, publish=True)
    world.group.end = worker.states[TP0].next
    return world.group.assigned(start=5, partitions=1)[TP0]


async def test_each_line_goes_where_it_belongs(world: Real) -> None:
    old = await worked(world)
    found = prepare(settings(world), target(world), world.plant, {0: old})
    assert found.begins == {0: 40}
    assert sum(found.lines.values()) == 8
    assert min(found.lines.values()) > 0
    names = [line for state in found.states.values() for line in lines_of(world.plant, state)]
    assert sorted(names) == sorted(LINES)
    assert not (world.audit.parent / "new").exists()
    ids = put(target(world), world.plant, found, "", "a" * 32)
    assert put(target(world), world.plant, found, "", "b" * 32) == ids
    store = PartitionStore(
        plant=world.plant,
        twin=PartitionTwin,
        snapshots=SnapshotStore(world.audit.parent / "more"),
        audit=world.audit.parent / "new",
        keep=3,
        code_version="1",
        partitioner="murmur2",
        group="more",
    )
    for number in (0, 1):
        tp = TP("more.events", number)
        state = store.load(tp, Assigned(0, ids[number], 0, 0, 2))
        assert (state.next, state.known_committed, state.opening is not None) == (0, True, True)
        assert state.twin.freeze().encode() == found.states[number]
        # The group's offset has expired: the snapshot says the same.
        assert store.load(tp, Assigned(None, "", 0, 0, 2)).twin.freeze().encode() == found.states[number]
        (world.audit.parent / "more" / f"{ids[number]}.snapshot").unlink()
        with pytest.raises(StateError, match="begins with a state of the topic that it was moved from"):
            store.load(tp, Assigned(0, ids[number], 0, 0, 2))


async def test_a_state_of_more_lines_than_its_partition_has(world: Real) -> None:
    old = await worked(world)
    with pytest.raises(TopicsError, match=r"twin.events/0: the state knows line line-\d, which belongs to another"):
        prepare(settings(world), target(world, 4), world.plant, {0: old, 1: replace(old, committed=None, log_start=0)})


async def test_what_is_left_undone_is_refused(world: Real) -> None:
    waits = await worked(world, orderly=False)

    def refused(why: str, old: Assigned, own: Settings | None = None, new: Settings | None = None) -> None:
        with pytest.raises(TopicsError, match=why):
            prepare(own or settings(world), new or target(world), world.plant, {0: old})

    refused("rows of it are not in files yet", waits)
    world.group.now = (2, "b")
    old = await worked(world, 8)
    refused("TAKTWIN_PARTITIONER=any", old, settings(world, partitioner="any"))
    refused("checked with TAKTWIN_PARTITIONER=murmur2", old, settings(world, partitioner="crc32"))
    refused("is the old root", old, new=replace(target(world), audit=str(world.audit)))
    refused("has committed no state", replace(old, committed=None, metadata=""))
    refused("records were deleted before they were read", replace(old, log_start=49))
    with pytest.raises(TopicsError, match="a multiple of 2 with --partitions, not 3"):
        prepare(settings(world), target(world, 3), world.plant, {0: old, 1: old})
    world.plant = loads(PLANT.replace('site = "test"', 'site = "other"'), "plant.toml")
    refused("its state is of plant model", old)


async def test_an_event_that_is_held_is_not_taken_along(world: Real) -> None:
    world.odd = 39
    old = await worked(world)
    with pytest.raises(TopicsError, match="1 lines, the first of them line-7, have an event that is held"):
        prepare(settings(world), target(world), world.plant, {0: old})


class Stored(Real):
    """Audit and snapshots are in object storage."""

    objects: MemoryStore

    def store(self, keep: int = 3, partitioner: str = "murmur2") -> PartitionStore:
        root = self.objects.under("old")
        self.audit.mkdir(exist_ok=True)
        store_marker.claim(root, self.audit, "twin", "state", "c" * 32)
        made = PartitionStore(
            plant=self.plant,
            twin=PartitionTwin,
            snapshots=SharedSnapshots(self.objects.under("snapshots").under("state")),
            audit=self.audit,
            keep=keep,
            code_version="1",
            partitioner="murmur2",
            shared=SharedAudit(root, self.audit),
        )
        made.staging.publish_after_s = 900.0
        return made


async def test_states_go_from_object_storage_to_object_storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world, folders = Stored(tmp_path / "a"), Real(tmp_path / "b")
    url, world.objects = "s3://bucket", MemoryStore("s3://bucket")
    monkeypatch.setattr("twin.store.opened", lambda place: world.objects.under(place.removeprefix(f"{url}/")))
    for one in (world, folders):
        one.audit.parent.mkdir()
        one.group.divided = 1
    own = replace(settings(world), audit=f"{url}/old", state=f"{url}/snapshots")
    to = replace(target(world), audit=f"{url}/new", state=f"{url}/snapshots")
    waits = await worked(world, orderly=False)
    with pytest.raises(TopicsError, match="rows of it are not in files yet"):
        prepare(own, to, world.plant, {0: waits})
    world.group.now = (2, "b")
    old = await worked(world, 8)
    found = prepare(own, to, world.plant, {0: old})
    # The same as out of folders.
    await worked(folders, orderly=False)
    folders.group.now = (2, "b")
    other = await worked(folders, 8)
    assert found == prepare(settings(folders), target(folders), folders.plant, {0: other})
    assert not [name for name in world.objects.objects if name.startswith("new/")]
    ids = put(to, world.plant, found, "topic-id", "a" * 32)
    assert put(to, world.plant, found, "topic-id", "b" * 32) == ids
    with pytest.raises(TopicsError, match="is the old root"):
        prepare(own, replace(to, audit=f"{url}/old/"), world.plant, {0: old})
    with pytest.raises(TopicsError, match="is in use already"):
        put(replace(to, audit=f"{url}/old"), world.plant, found, "", "a" * 32)
    folder = tmp_path / "worker"
    folder.mkdir()
    shared = SharedAudit(world.objects.under("new"), folder)
    assert shared.id() == "a" * 32
    store = PartitionStore(
        plant=world.plant,
        twin=PartitionTwin,
        snapshots=SharedSnapshots(world.objects.under("snapshots").under("more")),
        audit=folder,
        keep=3,
        code_version="1",
        partitioner="murmur2",
        group="more",
        shared=shared,
    )
    for number in (0, 1):
        state = store.load(TP("more.events", number), Assigned(0, ids[number], 0, 0, 2, "topic-id"))
        assert (state.next, state.known_committed, state.opening is not None) == (0, True, True)
        assert state.twin.freeze().encode() == found.states[number]


async def test_a_folder_that_is_in_use(world: Real) -> None:
    old = await worked(world)
    found = prepare(settings(world), target(world), world.plant, {0: old})
    with pytest.raises(TopicsError, match="is in use already"):
        put(replace(target(world), audit=str(world.audit)), world.plant, found, "", "a" * 32)
    other = replace(target(world), prefix="other")
    put(other, world.plant, found, "", "a" * 32)
    with pytest.raises(TopicsError, match="the root is that of prefix other"):
        put(target(world), world.plant, found, "", "a" * 32)


def test_what_feeds_remember_has_no_offsets_of_another_topic() -> None:
    run = RunFed(files=[], events=4, offsets={"0": (3, 7)})
    moved = msgspec.json.decode(without_offsets(b"run x", msgspec.json.encode(run)), type=RunFed)
    assert (moved.events, moved.offsets) == (4, {})
    assert without_offsets(b"station a b", b"{}") == b"{}"
