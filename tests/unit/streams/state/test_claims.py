"""What workers say outside the root of what they have committed: only what is, and for good; and what it finds."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from streams.kafka.transport import Committed
from streams.settings import Settings
from streams.state.anchors import anchors
from streams.state.checkpoint import Checkpointer
from streams.state.store import PartitionStore
from streams.tools.chain import strange
from tests.support.checkpoint import TOPIC, TP0, World
from tests.support.proof import chain, forge, rewrite
from twin.audit import claims as claims_of
from twin.audit import marker
from twin.audit.claims import Claim
from twin.audit.compact import compact
from twin.audit.intervals import intervals
from twin.audit.prune import prune
from twin.audit.report import Report
from twin.audit.verify import verify


class Waiting(World):
    """Rows wait until they are asked for."""

    def store(self, keep: int = 3, partitioner: str = "") -> PartitionStore:
        return PartitionStore(
            plant=self.plant,
            twin=self.twin,
            snapshots=self.snapshots,
            audit=self.audit,
            keep=keep,
            code_version="1",
            publish_after_s=1e9,
            group="g",
        )


@pytest.fixture(params=[World, Waiting], ids=["files", "rows that wait"])
def world(tmp_path: Path, request: pytest.FixtureRequest) -> World:
    made: World = request.param(tmp_path)
    marker.claim(made.audit, "twin", "g", TOPIC, "root-1")
    return made


def checked(world: World, claims: list[Claim] | None = None) -> Report:
    """As the command does, with all that was said."""
    told = world.outputs.claims if claims is None else claims
    # What is sent is what is read.
    again = [claims_of.decode(msgspec.json.encode(claim)) for claim in told]
    assert again == told
    found, damaged = anchors(world.snapshots.folder.parent)
    assert not damaged
    return verify(world.audit, anchors=found, claims={0: again} if again else {}, every=True)


def told(report: Report) -> str:
    return "\n".join(map(str, report.differences))


async def work(world: World, *numbers: int, publish_last: bool = False) -> Checkpointer:
    worker = await world.worker()
    for place, number in enumerate(numbers, 1):
        world.feed(worker.states[TP0], number)
        assert await worker.checkpoint(world.group, publish=publish_last and place == len(numbers)) is Committed.OK
    return worker


async def test_each_commit_is_said_once_it_is_published(world: World) -> None:
    await work(world, 10, 20, 30)
    # Before its first row is committed a partition is named: else a forged one would pass for a new one.
    assert [claim.next_offset for claim in world.outputs.claims] == [0, 10, 30, 60]
    newest = world.outputs.claims[-1]
    assert (newest.root, newest.topic, newest.partition) == ("root-1", TOPIC, 0)
    if isinstance(world, Waiting):
        assert (newest.files_to, newest.sha256) == (0, "")
        assert newest.waiting is not None
        assert newest.waiting.next_offset == 60
    else:
        assert (newest.files_to, newest.waiting) == (60, None)
    report = checked(world)
    assert report.sound, told(report)
    assert report.checked["ends in the topic"] == 4
    for first in range(4):  # compaction takes any of them but the last
        assert checked(world, world.outputs.claims[first:]).sound


async def test_what_is_not_committed_is_not_said(world: World) -> None:
    worker = await world.worker()
    world.feed(worker.states[TP0], 10)
    world.group.answers = [Committed.RETRY]
    assert await worker.checkpoint(world.group) is Committed.RETRY
    world.group.now = (2, "b")
    assert await worker.checkpoint(world.group) is Committed.FENCED
    assert [claim.next_offset for claim in world.outputs.claims] == [0]


async def test_what_the_last_owner_could_not_say_any_more_the_next_one_says(world: World) -> None:
    """Killed between the commit and the broker's word of it; before or after publishing."""
    worker = await world.worker()
    world.feed(worker.states[TP0], 10)

    def killed(*_: object) -> None:
        raise RuntimeError("killed")

    worker._store.publish = killed  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="killed"):
        await worker.checkpoint(world.group)
    assert [claim.next_offset for claim in world.outputs.claims] == [0]
    assert world.group.offsets[TP0][0] == 10
    await world.worker()
    assert [claim.next_offset for claim in world.outputs.claims] == [0, 10]
    assert checked(world).sound
    await work(world, 5)
    assert [claim.next_offset for claim in world.outputs.claims] == [0, 10, 10, 15]
    assert checked(world).sound


async def test_a_state_that_is_not_that_of_the_commit_says_nothing(world: World) -> None:
    await work(world, 50)
    await world.lose_snapshot(50)
    before = list(world.outputs.claims)
    await world.worker()
    assert world.outputs.claims == before


@pytest.mark.parametrize("publish", [False, True])
async def test_taking_away_the_end_is_found_though_the_snapshots_go_too(world: World, publish: bool) -> None:
    """Nothing in the root names the end any more: without the topic it is sound."""
    await work(world, 10)
    copy = world.audit.with_name("copy")
    shutil.copytree(world.audit, copy)
    await work(world, 20, publish_last=publish)
    shutil.rmtree(world.audit)
    copy.rename(world.audit)
    for path in world.snapshots.folder.iterdir():
        path.unlink()
    assert verify(world.audit, every=True).sound
    report = checked(world)
    assert "files were taken away" in told(report) or "was committed" in told(report)


async def test_a_whole_chain_forged_is_found(tmp_path: Path) -> None:
    world = World(tmp_path)
    marker.claim(world.audit, "twin", "g", TOPIC, "root-1")
    await work(world, 10, 20)
    for path in world.snapshots.folder.iterdir():
        path.unlink()
    rewrite(chain(world.audit, 0)[0].path, lambda table: table)
    forge(world.audit, 0)
    assert verify(world.audit, every=True).sound
    assert "its chain does not hold it: files were changed or replaced" in told(checked(world))
    # Behind the newest that was said, the topic knows nothing: it lags by the commit that a kill cut off.
    assert checked(world, world.outputs.claims[:1]).sound


async def test_rows_that_wait_are_not_to_be_exchanged(tmp_path: Path) -> None:
    world, other = Waiting(tmp_path / "a"), Waiting(tmp_path / "b")
    for one in (world, other):
        marker.claim(one.audit, "twin", "g", TOPIC, "root-1")
    other.changed = 4
    await work(world, 10)
    await work(other, 10)
    shutil.rmtree(world.audit / "_waiting")
    shutil.copytree(other.audit / "_waiting", world.audit / "_waiting")
    for path in world.snapshots.folder.iterdir():
        path.unlink()
    assert verify(world.audit, every=True).sound
    assert "was committed, as the topic says, but other rows stand there" in told(checked(world))


async def test_what_became_files_goes_through_what_waited(tmp_path: Path) -> None:
    world = Waiting(tmp_path)
    marker.claim(world.audit, "twin", "g", TOPIC, "root-1")
    await work(world, 10, 20, publish_last=True)
    assert [claim.files_to for claim in world.outputs.claims] == [0, 0, 30]
    assert checked(world, world.outputs.claims[:2]).sound  # the topic lags
    assert checked(world).sound


async def test_a_partition_that_the_topic_does_not_name(world: World) -> None:
    await work(world, 10)
    assert "the topic names no end of it: it was slipped in, or no worker has taken it" in told(checked(world, []))


async def test_a_partition_that_the_root_does_not_have(world: World) -> None:
    await work(world, 10)
    gone = msgspec.structs.replace(world.outputs.claims[0], partition=3, files_to=7, sha256="a" * 64)
    report = verify(world.audit, claims={0: world.outputs.claims, 3: [gone]}, every=True)
    assert "partition 3: the topic names aaaa" in told(report)


@pytest.mark.parametrize("act", [compact, prune])
async def test_what_is_merged_or_pruned_on_purpose_stands(tmp_path: Path, act: Callable[..., Any]) -> None:
    world = World(tmp_path)
    marker.claim(world.audit, "twin", "g", TOPIC, "root-1")
    world.group.end = 20_000
    await work(world, 3000, 3000, 1000)  # the third goes beyond midnight
    options = {"without_base": True} if act is prune else {}
    assert act(world.audit, "2023-11-15", by="me", at="2026-01-01T00:00:00Z", **options)
    ends = [one.next_offset for one in intervals(world.audit)[0]]
    assert ends == ([7000] if act is prune else [6000, 7000]), "it did something"
    report = checked(world)
    assert report.sound, told(report)


async def test_a_root_that_is_not_the_one_the_topic_speaks_of(tmp_path: Path) -> None:
    world = World(tmp_path)
    marker.claim(world.audit, "twin", "twin", TOPIC, "root-1")
    world.group.topic_id = "a" * 32
    await work(world, 10)
    ours, claims = Settings(), {0: world.outputs.claims}
    assert strange(ours, world.audit, claims) == []
    place = world.audit / marker.NAME
    sound = place.read_text()
    for old, new, said in (
        ("root-1", "root-2", "the workers of partition 0 wrote in root root-1 .*: it is another root, or its marker"),
        ("a" * 32, "b" * 32, "says root root-1 and topic bbbb.* from topic aaaa"),
        ('"group": "twin"', '"group": "other"', "is of prefix twin and group other, the topic is of prefix twin and"),
    ):
        place.write_text(sound.replace(old, new))
        assert re.search(said, "\n".join(map(str, strange(ours, world.audit, claims))))
    place.unlink()
    assert "is missing: a root of workers has one" in str(strange(ours, world.audit, claims)[0])
