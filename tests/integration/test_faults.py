"""What happens when the broker goes, and when two workers are given one name."""

import asyncio
import random
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from streams import exits
from streams.kafka.topics import ensure
from streams.local.broker import LocalBroker, free_port
from streams.settings import Settings
from tests.support.streams import Worker, check, own_settings, produce, workers
from twin.audit import marker

pytestmark = pytest.mark.kafka


@pytest.mark.parametrize("session_s", [3.0, 25.0])
async def test_a_broker_that_is_killed_and_comes_back(
    own_broker: LocalBroker, tmp_path: Path, session_s: float
) -> None:
    settings = replace(own_settings(own_broker, "outage", tmp_path), session_timeout_s=session_s)
    await ensure(settings)
    with workers() as started:
        worker = Worker(settings, tmp_path / "w.log")
        started.append(worker)
        await asyncio.to_thread(worker.wait_ready, 4)
        await produce(settings, 0, 500)
        own_broker.kill()
        await asyncio.sleep(2)
        await asyncio.to_thread(own_broker.start)
        await produce(settings, 500, 500)
        await check(settings)
        assert worker.process.poll() is None, worker.log()
        assert await asyncio.to_thread(worker.end) == exits.OK, worker.log()


async def test_a_stop_without_broker_has_an_end(own_broker: LocalBroker, tmp_path: Path) -> None:
    settings = replace(own_settings(own_broker, "gone", tmp_path), stop_limit_s=4.0)
    await ensure(settings)
    with workers() as started:
        worker = Worker(settings, tmp_path / "w.log")
        started.append(worker)
        await asyncio.to_thread(worker.wait_ready, 4)
        await produce(settings, 0, 500)
        own_broker.kill()
        await asyncio.sleep(1)
        begun = time.monotonic()
        assert await asyncio.to_thread(worker.end) in (exits.OK, exits.HARD_STOP), worker.log()
        assert time.monotonic() - begun < settings.stop_limit_s + 2
        # Without a broker a start fails at once and says so.
        second = Worker(settings, tmp_path / "w2.log")
        started.append(second)
        assert await asyncio.to_thread(second.process.wait, 20) == exits.NO_KAFKA, second.log()
        await asyncio.to_thread(own_broker.start)
        third = Worker(settings, tmp_path / "w3.log")
        started.append(third)
        await check(settings)


@pytest.fixture
async def settings(broker: LocalBroker, prefix: str, tmp_path: Path) -> Settings:
    own = own_settings(broker, prefix, tmp_path)
    await ensure(own)
    return own


async def test_one_name_for_two_workers_on_two_hosts(settings: Settings, tmp_path: Path) -> None:
    """On one host the lock of the name stops the second; over two, one of them ends by itself."""
    first = replace(settings, instance="slot-0", session_timeout_s=20.0, state=str(tmp_path / "state"))
    second = replace(first, health_port=free_port())
    with workers() as started:
        a = Worker(first, tmp_path / "a.log")
        started.append(a)
        await asyncio.to_thread(a.wait_ready, 4)
        same_host = Worker(second, tmp_path / "same.log")
        started.append(same_host)
        assert await asyncio.to_thread(same_host.process.wait, 20) not in (exits.OK, None)
        assert "in use by another worker" in same_host.log()
        (tmp_path / "state" / "instance-slot-0.lock").unlink()  # as if on a host that does not share locks
        feeding = asyncio.create_task(produce(first, 0, 6000, pause_s=0.002))
        b = Worker(second, tmp_path / "b.log")
        started.append(b)
        for _ in range(400):
            codes = [w.process.poll() for w in (a, b)]
            if exits.FENCED in codes:
                break
            await asyncio.sleep(0.1)
        assert exits.FENCED in codes, a.log() + b.log()
        await feeding
        await check(first)


async def test_a_static_member_that_is_killed_goes_on_without_a_rebalance(settings: Settings, tmp_path: Path) -> None:
    own = replace(settings, instance="slot-1", session_timeout_s=20.0)
    with workers() as started:
        feeding = asyncio.create_task(produce(own, 0, 2000, pause_s=0.002))
        for number in (signal.SIGKILL, signal.SIGTERM):
            worker = Worker(own, tmp_path / "w.log")
            started.append(worker)
            await asyncio.to_thread(worker.wait_ready, 4, 12.0)  # far below the session
            await asyncio.sleep(1)
            await asyncio.to_thread(worker.end, number)
        worker = Worker(own, tmp_path / "w.log")
        started.append(worker)
        await asyncio.to_thread(worker.wait_ready, 4, 12.0)
        await feeding
        await check(own)


async def test_an_audit_root_that_is_ahead_ends_the_worker(settings: Settings, tmp_path: Path) -> None:
    with workers() as started:
        worker = Worker(settings, tmp_path / "w.log")
        started.append(worker)
        await asyncio.to_thread(worker.wait_ready, 4)
        await produce(settings, 0, 100)
        await check(settings)
        await asyncio.to_thread(worker.end)
        other_group = replace(settings, group="another-group")
        for said in ("give each plant and group a TAKTWIN_AUDIT of its own", "already published"):
            second = Worker(other_group, tmp_path / "w2.log")
            started.append(second)
            assert await asyncio.to_thread(second.process.wait, 30) == exits.STATE, second.log()
            assert said in second.log()
            await asyncio.to_thread((Path(settings.audit) / marker.NAME).unlink)  # as in a root of a version before it


async def test_a_fault_in_the_fold_ends_the_worker_and_nothing_is_lost(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await produce(settings, 0, 300)
    with workers() as started:
        monkeypatch.setenv("FAKE_FAULT_AT_SEQ", "200")
        worker = Worker(settings, tmp_path / "w.log")
        started.append(worker)
        assert await asyncio.to_thread(worker.process.wait, 30) == exits.INTERNAL, worker.log()
        assert "fault on purpose" in worker.log()
        assert "Traceback" in worker.log()
        monkeypatch.delenv("FAKE_FAULT_AT_SEQ")
        second = Worker(settings, tmp_path / "w.log")
        started.append(second)
        await check(settings)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
async def test_workers_that_come_and_go(settings: Settings, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311  repeatable
    with workers() as started:
        feeding = asyncio.create_task(produce(settings, 0, 12000, pause_s=0.002))
        alive: list[Worker] = []
        for number in range(9):
            if len(alive) == 2:
                leaving = alive.pop(chance.randrange(2))
                if leaving.process.poll() is None:
                    await asyncio.to_thread(leaving.end, chance.choice([signal.SIGKILL, signal.SIGTERM]))
                await asyncio.sleep(chance.uniform(0.1, 2))
            alive.append(Worker(replace(settings, health_port=free_port()), tmp_path / f"{number}.log"))
            started.append(alive[-1])
            await asyncio.sleep(chance.uniform(0.5, 4))
        await feeding
        await check(settings)
