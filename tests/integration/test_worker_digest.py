"""The promise of the project on a real log: live on one or two workers, killed or not, equals a replay, row for row."""

import asyncio
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from streams import exits
from streams.kafka.topics import ensure
from streams.local.broker import LocalBroker, free_port
from streams.settings import Settings
from streams.tools.feed import feed
from tests.support.streams import Worker, own_settings, settled, workers
from twin.audit.digest import digest
from twin.plant import load
from twin.sources import open_logs

pytestmark = pytest.mark.kafka

EXAMPLES = Path(__file__).parents[2] / "examples"
PLANT = EXAMPLES / "demo" / "plant.toml"
LOGS = [EXAMPLES / name for name in ("tablet-press/3.csv.gz", "five-stations/events.csv.gz")]


@pytest.fixture
async def settings(broker: LocalBroker, prefix: str, tmp_path: Path) -> Settings:
    own = replace(own_settings(broker, prefix, tmp_path), plant=str(PLANT))
    await ensure(own)
    return own


async def _feed(settings: Settings, arrow: bool) -> None:
    plant = load(PLANT)
    await feed(open_logs(LOGS, plant), plant, settings=settings, arrow=arrow)


@pytest.fixture(scope="session")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    from twin.replay import replay

    root = tmp_path_factory.mktemp("replayed") / "audit"
    plant = load(PLANT)
    replay(plant, open_logs(LOGS, plant), root)
    return dict(digest(root))


@pytest.mark.parametrize("arrow", [False, True])
async def test_live_equals_replay(settings: Settings, tmp_path: Path, replayed: dict[str, object], arrow: bool) -> None:
    with workers() as started:
        worker = Worker(settings, tmp_path / "w.log", real=True)
        started.append(worker)
        await asyncio.to_thread(worker.wait_ready, 4, 180.0)
        await _feed(settings, arrow)
        await settled(settings, limit_s=120.0)
        assert await asyncio.to_thread(worker.end) == exits.OK, worker.log()
    assert dict(digest(settings.audit)) == replayed


async def test_killed_workers_equal_replay(settings: Settings, tmp_path: Path, replayed: dict[str, object]) -> None:
    slow = replace(settings, poll_records=200, checkpoint_interval_s=0.2)
    with workers() as started:
        for number in range(2):
            worker = Worker(replace(slow, health_port=free_port()), tmp_path / f"{number}.log", real=True)
            started.append(worker)
        for worker in started:
            await asyncio.to_thread(worker.wait_ready, 2, 180.0)
        feeding = asyncio.create_task(_feed(settings, arrow=False))
        await asyncio.sleep(0.7)
        await asyncio.to_thread(started[0].end, signal.SIGKILL)
        again = Worker(replace(slow, health_port=free_port()), tmp_path / "again.log", real=True)
        started.append(again)
        await asyncio.to_thread(again.wait_ready, 2, 60.0)
        await asyncio.to_thread(started[1].end, signal.SIGKILL)
        await feeding
        await settled(settings, limit_s=120.0)
        assert await asyncio.to_thread(again.end) == exits.OK, again.log()
    assert dict(digest(settings.audit)) == replayed
