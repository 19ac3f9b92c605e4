"""Two workers that share nothing but Kafka and a real S3 server, which throttles, loses answers, is slow and dies."""

import asyncio
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from streams import exits
from streams.kafka.topics import ensure
from streams.local.broker import LocalBroker
from streams.settings import Settings
from tests.support.s3 import S3Server
from tests.support.s3_proxy import S3Proxy
from tests.support.streams import LINES, Worker, own_settings, produce, wait_for, workers
from twin.audit import AuditError, fetch
from twin.audit.read import ls
from twin.audit.recompute import recompute
from twin.audit.verify import verify
from twin.store import StoreError, opened

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[S3Server]:
    with S3Server(tmp_path / "s3") as server:
        yield server


@pytest.fixture
def proxy(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Proxy]:
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    with S3Proxy(s3.port) as between:
        monkeypatch.setenv("AWS_ENDPOINT_URL", between.endpoint)
        yield between


@pytest.fixture
async def settings(broker: LocalBroker, prefix: str, tmp_path: Path, proxy: S3Proxy) -> Settings:
    own = replace(own_settings(broker, prefix, tmp_path), audit="s3://test/audit", publish_after_s=4.0)
    await ensure(own)
    return own


def seen(settings: Settings) -> int:
    """Events that a reader sees, all of them sound; -1: the store does not answer."""
    with tempfile.TemporaryDirectory() as name:
        try:
            fetch.copy(opened(settings.audit), Path(name))
        except AuditError:
            return 0
        except StoreError:
            return -1
        assert verify(Path(name)).sound
        return ls(name)["events"].rows


async def until(settings: Settings, number: int, log: Callable[[], str], limit_s: float = 90) -> None:
    await asyncio.to_thread(wait_for, lambda: seen(settings) == number * len(LINES), limit_s, log)


def proven(settings: Settings) -> None:
    with tempfile.TemporaryDirectory() as name:
        fetch.copy(opened(settings.audit), Path(name))
        assert recompute(Path(name)).sound


async def test_a_server_that_throttles_loses_answers_and_is_slow(
    settings: Settings, proxy: S3Proxy, tmp_path: Path
) -> None:
    with workers() as started:
        for number in range(2):
            own = replace(settings, health_port=settings.health_port + number)
            started.append(Worker(own, tmp_path / f"w{number}.log", real=True))
        await produce(settings, 0, 200)
        await until(settings, 200, started[0].log)
        proxy.throttle, proxy.lose, proxy.late, proxy.pause_s = 0.2, 0.1, 0.1, 0.02
        await produce(settings, 200, 800, pause_s=0.01)
        started[1].process.kill()
        await asyncio.sleep(8)  # longer than a put is late
        proxy.throttle = proxy.lose = proxy.late = proxy.pause_s = 0.0
        await until(settings, 1000, started[0].log)
        assert min(proxy.done[what] for what in ("throttled", "lost", "late")) >= 5, proxy.done
        assert await asyncio.to_thread(started[0].end) == exits.OK, started[0].log()
    await until(settings, 1000, started[0].log)
    proven(settings)


async def test_a_server_that_dies_and_comes_back(
    settings: Settings, s3: S3Server, proxy: S3Proxy, tmp_path: Path
) -> None:
    with workers() as started:
        started.append(Worker(settings, tmp_path / "w.log", real=True))
        await produce(settings, 0, 200)
        await until(settings, 200, started[0].log)
        s3.kill()
        await produce(settings, 200, 300)
        await asyncio.to_thread(wait_for, lambda: started[0].report().get("storage"), 60, started[0].log)
        assert "cannot be" in started[0].report()["storage"]["error"]
        assert not started[0].report()["ready"]
        s3.start()
        await until(settings, 500, started[0].log, 120)
        started[0].process.kill()
        s3.kill()
        # Starts while the store is away, in one sentence; once it is there all goes on.
        second = Worker(settings, tmp_path / "second.log", real=True)
        started.append(second)
        assert await asyncio.to_thread(second.process.wait, 90) == exits.STORAGE
        assert "cannot start: s3://test/audit" in second.log()
        s3.start()
        started.append(Worker(settings, tmp_path / "third.log", real=True))
        await produce(settings, 500, 100)
        await until(settings, 600, started[2].log)
        assert await asyncio.to_thread(started[2].end) == exits.OK, started[2].log()
    proven(settings)
