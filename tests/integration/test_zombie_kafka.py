"""A worker that is stopped and continued after its partitions have moved makes no row visible, wherever it stood."""

import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from streams.kafka.topics import ensure
from streams.local.broker import LocalBroker
from streams.settings import Settings
from tests.faults.harness import overlapping
from tests.faults.inputs import Inputs
from tests.faults.plan import Fault
from tests.faults.site import Crew, Slot, committed, feed
from tests.support.streams import own_settings, wait_for
from twin.audit import layout
from twin.audit.digest import digest
from twin.results import SETS

pytestmark = pytest.mark.kafka
slow = pytest.mark.slow


def visible(settings: Settings) -> set[Path]:
    return {file.path for set_name in SETS for file in layout.published(Path(settings.audit), set_name)}


def stopped(slot: Slot) -> bool:
    mark = slot.folder / "fired-0"
    return mark.exists() and bool(mark.read_text())


def reach(slot: Slot, number: int) -> None:
    assert slot.process is not None
    os.kill(slot.process.pid, number)


@pytest.mark.parametrize(
    ("step", "nth"),
    [
        pytest.param("stage.write", 200, marks=slow),
        pytest.param("snapshot.rename", 9, marks=slow),
        ("commit.before", 3),
        pytest.param("publish.rename", 25, marks=slow),
    ],
)
async def test_a_zombie_makes_nothing_visible(
    broker: LocalBroker, prefix: str, tmp_path: Path, step: str, nth: int
) -> None:
    given = await asyncio.to_thread(Inputs(tmp_path / "inputs", events=12_000).get, 1)
    settings = replace(own_settings(broker, prefix, tmp_path), plant=str(given.plant), checkpoint_interval_s=0.4)
    await ensure(settings)
    crew = Crew(settings, tmp_path, static=False)
    try:
        zombie = crew.add([Fault("stop", step=step, nth=nth)])
        await crew.whole()
        feeding = asyncio.create_task(
            feed(settings.bootstrap, settings.topic("events"), given.records, 1_000.0, lambda _: None)
        )
        await asyncio.to_thread(wait_for, lambda: stopped(zombie), 20.0)
        heir = crew.add()
        await asyncio.to_thread(wait_for, lambda: heir.partitions == settings.partitions, 30.0)
        at_takeover = visible(settings)
        await asyncio.to_thread(wait_for, lambda: visible(settings) > at_takeover, 20.0)
        # While the heir stands still (for less than its session), whatever appears would be the zombie's.
        reach(heir, signal.SIGSTOP)
        await asyncio.sleep(0.2)
        before = visible(settings)
        reach(zombie, signal.SIGCONT)
        for _ in range(18):
            await asyncio.sleep(0.1)
            assert visible(settings) == before
        reach(heir, signal.SIGCONT)
        ends = await feeding
        await asyncio.to_thread(wait_for, lambda: asyncio.run(committed(settings)) == ends, 40.0)
        await crew.whole()
        assert await crew.end()
        assert "commit fenced" in zombie.log_file.read_text() or step == "publish.rename"
        assert overlapping(Path(settings.audit)) == []
        assert digest(settings.audit) == given.undisturbed
    finally:
        crew.kill()


@slow
async def test_who_slept_while_it_loaded_goes_on_with_what_it_is_given(
    broker: LocalBroker, prefix: str, tmp_path: Path
) -> None:
    """What its commit names is gone when it wakes up: no reason to end, and none to say that files were taken away."""
    given = await asyncio.to_thread(Inputs(tmp_path / "inputs", events=12_000).get, 1)
    settings = replace(
        own_settings(broker, prefix, tmp_path), plant=str(given.plant), checkpoint_interval_s=0.4, snapshots=1
    )
    await ensure(settings)
    crew = Crew(settings, tmp_path, static=False)
    third = len(given.records) // 3
    ends: dict[int, int] = {}

    async def follow(first: int, end: int | None) -> None:
        """Feed these, and wait until they are committed."""
        ends.update(
            await feed(settings.bootstrap, settings.topic("events"), given.records[first:end], 2_000.0, lambda _: None)
        )
        await asyncio.to_thread(wait_for, lambda: asyncio.run(committed(settings)) == ends, 60.0)

    try:
        heir = crew.add()
        await crew.whole()
        await follow(0, third)
        zombie = crew.add([Fault("stop", step="load", nth=1)])
        await asyncio.to_thread(wait_for, lambda: stopped(zombie), 60.0)
        await asyncio.to_thread(wait_for, lambda: heir.partitions == settings.partitions, 60.0)
        await follow(third, 2 * third)
        reach(zombie, signal.SIGCONT)
        await asyncio.to_thread(wait_for, lambda: not zombie.alive or zombie.partitions, 60.0)
        await follow(2 * third, None)
        await crew.whole()
        assert zombie.alive, zombie.log_file.read_text()[-2000:]
        assert await crew.end()
        assert overlapping(Path(settings.audit)) == []
        assert digest(settings.audit) == given.undisturbed
    finally:
        crew.kill()
