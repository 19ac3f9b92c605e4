"""A topic that is deleted and made anew is another one: its records are not those that the state was made from."""

from pathlib import Path

import pytest

from streams.state.fits import StateError
from tests.support.checkpoint import TOPIC, TP0, World
from twin.audit import AuditError, marker

OLD_ID, NEW_ID = "0" * 31 + "1", "0" * 31 + "2"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.mark.parametrize("end", [10_000, 3])
async def test_a_topic_that_was_made_anew_is_refused_at_the_takeover(world: World, end: int) -> None:
    """The state went on at its offset: the new topic's records before it were skipped without a word."""
    world.group.topic_id = OLD_ID
    worker = await world.worker()
    world.feed(worker.states[TP0], 10)
    await worker.checkpoint(world.group)
    assert world.snapshots.load(world.group.offsets[TP0][1]).head.topic_id == OLD_ID
    world.group.topic_id, world.group.end = NEW_ID, end
    for _ in range(2):  # Kafka forgets a deleted topic's offsets when it comes to it
        with pytest.raises(StateError, match="was deleted and made anew"):
            await world.worker()
        world.group.offsets.clear()
    world.group.topic_id = ""  # a broker that gives none: as before
    if end > 10:
        assert (await world.worker()).states[TP0].next == 10


async def test_what_was_folded_of_a_topic_made_anew_under_a_worker_is_not_committed(world: World) -> None:
    world.group.topic_id = OLD_ID
    worker = await world.worker()
    world.feed(worker.states[TP0], 10)
    world.group.topic_id = NEW_ID
    with pytest.raises(StateError, match="deleted and made anew"):
        await worker.checkpoint(world.group)
    assert world.group.offsets == {}
    assert world.audited() == []


async def test_the_root_is_bound_to_its_topic_where_no_snapshot_is(world: World) -> None:
    """A partition that had no event yet has no snapshot; its files would mix two topics in one root."""
    marker.claim(world.audit, "twin", "twin", TOPIC, "1")
    world.group.topic_id = OLD_ID
    await world.worker()
    assert marker.read(world.audit).topic_id == OLD_ID
    await world.worker()
    world.group.topic_id = NEW_ID
    with pytest.raises(AuditError, match=rf"its id was {OLD_ID} when .*_root.json was bound to it"):
        await world.worker()
    assert marker.read(world.audit).topic_id == OLD_ID
