"""The same rows whatever way a log takes: two workers that are stopped and started again, one worker, a replay."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import pytest

from streams import exits
from streams.kafka.topics import ensure
from streams.local.broker import LocalBroker, free_port
from streams.settings import Settings
from streams.tools.feed import feed
from tests.support import generated
from tests.support.streams import Worker, own_settings, settled, wait_for, workers
from twin.audit.digest import SetDigest, digest
from twin.events.block import pick
from twin.plant import load
from twin.replay import replay
from twin.sources import open_logs
from twin.sources.source import Batch

pytestmark = pytest.mark.kafka

EXAMPLES = Path(__file__).parents[2] / "examples"


@dataclass(frozen=True)
class Case:
    """A log, and what it must at least give."""

    plant: Path
    logs: Sequence[Path]
    replayed: dict[str, SetDigest]

    def halves(self) -> tuple[list[Batch], list[Batch]]:
        pieces: list[Batch] = []
        for block, refused in open_logs(self.logs, load(self.plant)):
            cuts = range(0, len(block), 1000)
            pieces += [(pick(block, slice(at, at + 1000)), [] if at else refused) for at in cuts]
        return pieces[: len(pieces) // 2], pieces[len(pieces) // 2 :]


@pytest.fixture(scope="module")
def case_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Case]:
    @cache
    def make(name: str) -> Case:
        folder = tmp_path_factory.mktemp(name)
        if name == "generated":
            plant, log = generated.write(folder, lines=50, stations=20, each=100)
            logs: Sequence[Path] = [log]
        else:
            plant = EXAMPLES / name / "plant.toml"
            logs = sorted(path for path in (EXAMPLES / name).glob("*.gz"))
        report = replay(load(plant), open_logs(logs, load(plant)), folder / "audit")
        assert report.rows["kpis"] > 0
        if name == "generated":
            assert report.events > 100_000
            assert report.duplicates > 1_500
            assert 0 < report.late < 200
        return Case(plant, logs, digest(folder / "audit"))

    return make


@pytest.mark.parametrize(
    ("name", "arrow"),
    [
        ("tablet-press", False),
        ("mazak", False),
        ("five-stations", False),
        ("generated", False),
        ("generated", True),
    ],
)
async def test_every_way_gives_the_same_rows(
    broker: LocalBroker, prefix: str, tmp_path: Path, case_of: Callable[[str], Case], name: str, arrow: bool
) -> None:
    case = await asyncio.to_thread(case_of, name)
    settings = []
    for ways in ("two", "one"):
        folder = tmp_path / ways
        folder.mkdir()
        own = replace(own_settings(broker, f"{prefix}-{ways}", folder), plant=str(case.plant))
        # Views of a thousand stations four times a second would take most of the test's time.
        own = replace(own, partitions=4 if ways == "two" else 1, view_interval_s=2.0, checkpoint_interval_s=1.0)
        await ensure(own)
        settings.append(own)
    two, one = settings
    await asyncio.gather(_two_workers(two, tmp_path, case, arrow), _one_worker(one, tmp_path, case, arrow))
    assert digest(one.audit) == case.replayed
    assert digest(two.audit) == case.replayed


async def _one_worker(settings: Settings, folder: Path, case: Case, arrow: bool) -> None:
    with workers() as started:
        worker = Worker(settings, folder / "one.log", real=True)
        started.append(worker)
        await asyncio.to_thread(worker.wait_ready, 1, 60.0)
        for half in case.halves():
            await _feed(settings, half, case, arrow)
        await settled(settings, limit_s=60.0)
        assert await asyncio.to_thread(worker.end) == exits.OK, worker.log()


async def _two_workers(settings: Settings, folder: Path, case: Case, arrow: bool) -> None:
    """Stopped between the halves of the log, with a state that holds half of it, and started again."""
    with workers() as started:

        def start() -> list[Worker]:
            pair = [
                Worker(replace(settings, health_port=free_port()), folder / f"two-{len(started) + n}.log", real=True)
                for n in range(2)
            ]
            started.extend(pair)
            return pair

        for half in case.halves():
            pair = start()
            for worker in pair:
                await asyncio.to_thread(worker.wait_ready, 2, 60.0)
            feeding = asyncio.create_task(_feed(settings, half, case, arrow))
            # In the midst of the half one of the two goes: by SIGTERM, and another one takes its place.
            await asyncio.to_thread(wait_for, lambda pair=pair: any(w.report().get("records") for w in pair))
            leaving = pair.pop()
            assert await asyncio.to_thread(leaving.end) == exits.OK, leaving.log()
            await feeding
            await settled(settings, limit_s=60.0)
            for worker in pair:
                assert await asyncio.to_thread(worker.end) == exits.OK, worker.log()


async def _feed(settings: Settings, batches: Sequence[Batch], case: Case, arrow: bool) -> None:
    await feed(batches, load(case.plant), settings=settings, arrow=arrow)
