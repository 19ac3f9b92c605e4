"""Two workers of two versions in one group: the first release's, from its own checkout, and today's."""

import asyncio
import shutil
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from streams import exits
from streams.kafka.topics import ensure
from streams.local.broker import LocalBroker, free_port
from streams.settings import Settings, process_environment
from tests.support import generated
from tests.support.proof import check as verified
from tests.support.streams import Worker, settled, workers
from twin.audit.query import query
from twin.audit.recompute import recompute

pytestmark = [pytest.mark.kafka, pytest.mark.slow]
OLD = "a193fe3"
REPOSITORY = Path(__file__).parents[2]
COMPILED_S = 900.0  # the old version compiles its kernels first


class OldWorker(Worker):
    """Of another checkout."""

    def __init__(self, settings: Settings, log_file: Path, checkout: Path) -> None:
        self.settings, self.log_file = settings, log_file
        with log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "streams.cli", "worker"],
                env=process_environment(settings) | {"PYTHONPATH": str(checkout)},
                cwd=checkout,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """In a place that stays: its kernels take minutes to compile, and are found by where they lie."""
    folder = REPOSITORY / ".cache" / f"checkout-{OLD}"
    if (folder / "pyproject.toml").exists():
        return folder
    packed = tmp_path_factory.mktemp(OLD) / "old.tar"
    archive = ["git", "archive", "--output", str(packed), OLD]
    made = subprocess.run(archive, cwd=REPOSITORY, capture_output=True, check=False)  # noqa: S603  own command
    if made.returncode:
        pytest.skip(f"the repository has no {OLD}: a shallow clone")
    fresh = folder.with_suffix(".tmp")
    shutil.rmtree(fresh, ignore_errors=True)
    with tarfile.open(packed) as files:
        files.extractall(fresh, filter="data")
    fresh.rename(folder)
    return folder


@pytest.fixture
def settings(own_broker: LocalBroker, tmp_path: Path) -> Settings:
    plant = tmp_path / "plant.toml"
    plant.write_text(generated.plant_text(8, 2))
    return Settings(
        bootstrap=own_broker.bootstrap,
        prefix="rolling",
        plant=str(plant),
        audit=str(tmp_path / "audit"),
        partitions=4,
        checkpoint_interval_s=0.5,
        session_timeout_s=6.0,
        heartbeat_interval_s=0.5,
        health_port=free_port(),
    )


async def test_the_older_one_ends_where_it_is_given_what_a_newer_one_has_committed(
    settings: Settings, tmp_path: Path, checkout: Path
) -> None:
    await ensure(settings)
    values = generated.values(8, 2, 600, seed=7)
    thirds = [values[begin : begin + len(values) // 3 + 1] for begin in range(0, len(values), len(values) // 3 + 1)]
    with workers() as started:
        old = OldWorker(settings, tmp_path / "old.log", checkout)
        started.append(old)
        await asyncio.to_thread(old.wait_ready, 4, COMPILED_S)
        await send(settings, thirds[0])
        await settled(settings, limit_s=120.0)
        new = Worker(replace(settings, health_port=free_port()), tmp_path / "new.log", real=True)
        started.append(new)
        await asyncio.to_thread(new.wait_ready, 2, 180.0)
        await asyncio.to_thread(old.wait_ready, 2, 60.0)
        await send(settings, thirds[1])
        await settled(settings, limit_s=120.0)
        assert old.process.poll() is None  # both run while partitions stay where they are
        assert await asyncio.to_thread(new.end) == exits.OK, new.log()
        # That one knows no later snapshot, takes an older one of its own, replays, and meets columns it does not know.
        assert await asyncio.to_thread(old.process.wait, 120.0) in (exits.STATE, exits.INTERNAL), old.log()
        again = Worker(replace(settings, health_port=free_port()), tmp_path / "again.log", real=True)
        started.append(again)
        await asyncio.to_thread(again.wait_ready, 4, 180.0)
        await send(settings, thirds[2])
        await settled(settings, limit_s=120.0)
        assert await asyncio.to_thread(again.end) == exits.OK, again.log()
    root = Path(settings.audit)
    (rows, different) = (
        query(root, "SELECT count(*), count(DISTINCT (source_partition, source_offset)) FROM events")
        .to_pylist()[0]
        .values()
    )
    assert rows == different == len(values)
    for report in (verified(root, every=True), recompute(root, every=True)):
        assert report.sound, report.differences


async def send(settings: Settings, values: list[tuple[str, bytes]]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=settings.bootstrap, linger_ms=5, enable_idempotence=True)
    await producer.start()
    try:
        sent = [await producer.send(settings.topic("events"), value, line.encode()) for line, value in values]
        await asyncio.gather(*sent)
    finally:
        await producer.stop()
