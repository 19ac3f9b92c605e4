"""A worker on a real Kafka: every record counts once, however it is stopped."""

import asyncio
import signal
import socket
import urllib.request
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow.dataset as ds
import pytest
from aiokafka import AIOKafkaProducer

from streams import exits
from streams.kafka.topics import ensure
from streams.local.broker import LocalBroker, free_port
from streams.settings import Settings
from streams.worker import runtime
from tests.support.streams import Worker, check, event, own_settings, produce, read_all, settled, wait_for, workers

pytestmark = pytest.mark.kafka

Make = Callable[[], Settings]


@pytest.fixture
async def settings(broker: LocalBroker, prefix: str, tmp_path: Path) -> Make:
    """Settings of one more worker: same topics, group and folders, a health port of its own."""
    base = own_settings(broker, prefix, tmp_path)
    await ensure(base)
    return lambda: replace(base, health_port=free_port())


async def test_consumes_commits_and_stops_clean(settings: Make, tmp_path: Path) -> None:
    own = settings()
    with workers() as started:
        await produce(own, 0, 1000)
        worker = Worker(own, tmp_path / "w.log")
        started.append(worker)
        await asyncio.to_thread(worker.wait_ready, 4)
        await produce(own, 1000, 500)
        await asyncio.to_thread(wait_for, lambda: worker.report()["events"] == 12000, 30, worker.log)
        assert await asyncio.to_thread(worker.end) == exits.OK, worker.log()
        await check(own)
    views = [r for records in (await read_all(own, "lines")).values() for r in records]
    assert {r.key for r in views} == {f"line-{n}".encode() for n in range(8)}


async def test_a_health_port_that_is_taken_is_said(settings: Make, tmp_path: Path) -> None:
    own = settings()
    with socket.create_server(("127.0.0.1", own.health_port)):
        worker = Worker(own, tmp_path / "w.log")
        assert await asyncio.to_thread(worker.process.wait, 40) == exits.USAGE, worker.log()
    assert "give each worker on one machine its own" in worker.log()


async def test_restart_goes_on_where_it_stopped(settings: Make, tmp_path: Path) -> None:
    own = settings()
    with workers() as started:
        for first in (0, 300, 600):
            await produce(own, first, 300)
            worker = Worker(own, tmp_path / "w.log")
            started.append(worker)
            await asyncio.to_thread(worker.wait_ready, 4)
            assert await asyncio.to_thread(worker.end) == exits.OK, worker.log()
        worker = Worker(own, tmp_path / "w.log")
        started.append(worker)
        await asyncio.to_thread(worker.wait_ready, 4)
        await check(own)


async def test_kill_replays_from_the_snapshot(settings: Make, tmp_path: Path) -> None:
    own = settings()
    with workers() as started:
        feeding = asyncio.create_task(produce(own, 0, 4000, pause_s=0.002))
        for _ in range(3):
            worker = Worker(own, tmp_path / "w.log")
            started.append(worker)
            await asyncio.to_thread(worker.wait_ready, 4)
            await asyncio.sleep(1.3)
            await asyncio.to_thread(worker.end, signal.SIGKILL)
        await feeding
        worker = Worker(own, tmp_path / "w.log")
        started.append(worker)
        await check(own)


async def test_two_workers_share_and_take_over(settings: Make, tmp_path: Path) -> None:
    first, second = settings(), settings()
    with workers() as started:
        feeding = asyncio.create_task(produce(first, 0, 3000, pause_s=0.002))
        a = Worker(first, tmp_path / "a.log")
        started.append(a)
        await asyncio.to_thread(a.wait_ready, 4)
        b = Worker(second, tmp_path / "b.log")
        started.append(b)
        await asyncio.to_thread(b.wait_ready, 2)
        await asyncio.to_thread(a.wait_ready, 2)
        await asyncio.to_thread(b.end, signal.SIGKILL)
        await asyncio.to_thread(a.wait_ready, 4)
        await feeding
        await check(first)


@pytest.mark.parametrize("heir_dies", [False, True])
async def test_an_owner_that_slept_is_fenced(settings: Make, tmp_path: Path, heir_dies: bool) -> None:
    """When the heir dies too, the sleeper gets back exactly the partitions of which it holds an outdated state."""
    first, second = settings(), settings()
    with workers() as started:
        a = Worker(first, tmp_path / "a.log")
        started.append(a)
        await asyncio.to_thread(a.wait_ready, 4)
        feeding = asyncio.create_task(produce(first, 0, 4000, pause_s=0.002))
        await asyncio.sleep(1)
        a.process.send_signal(signal.SIGSTOP)
        b = Worker(second, tmp_path / "b.log")
        started.append(b)
        await asyncio.to_thread(b.wait_ready, 4)
        await asyncio.sleep(1.5)
        if heir_dies:
            await asyncio.to_thread(b.end, signal.SIGKILL)
        a.process.send_signal(signal.SIGCONT)
        await feeding
        await check(first)
        assert await asyncio.to_thread(a.end) == exits.OK, a.log()


async def test_refused_records_are_kept_and_counted(settings: Make, tmp_path: Path) -> None:
    own = settings()
    producer = AIOKafkaProducer(bootstrap_servers=own.bootstrap)
    await producer.start()
    bad = [b"{", b"\xff\xfe", b'{"type":"count","ts":1700000000000000000,"line":"nowhere","station":"st","good":1}']
    for value in bad:
        await producer.send_and_wait(own.topic("events"), value, key=b"line-1")
    misplaced = b'{"type":"count","ts":1700000000000000000,"line":"line-2","station":"st","good":1,"seq":1}'
    await producer.send_and_wait(own.topic("events"), misplaced, key=b"line-1")
    await producer.send_and_wait(own.topic("events"), None, key=b"line-1")
    await producer.stop()
    with workers() as started:
        worker = Worker(own, tmp_path / "w.log")
        started.append(worker)
        await asyncio.to_thread(worker.wait_ready, 4)
        await settled(own)
        assert await asyncio.to_thread(worker.end) == exits.OK, worker.log()
    sent = [r for records in (await read_all(own, "events.rejected")).values() for r in records]
    assert [r.value for r in sent] == [*bad, misplaced, b""] or {r.value for r in sent} == {*bad, misplaced, b""}
    reasons = {r.value: dict(r.headers)["reason"] for r in sent}
    assert reasons[misplaced] == b"wrong_line_key"
    assert reasons[bad[2]] == b"unknown_line"
    kept = ds.dataset(Path(own.audit) / "rejected", partitioning="hive").to_table()
    assert sorted(kept["value"].to_pylist()) == sorted([*bad, misplaced, b""])
    assert set(kept["source_offset"].to_pylist()) == set(range(5))


async def test_what_a_transaction_took_back_is_not_counted(settings: Make, tmp_path: Path) -> None:
    own = settings()
    producer = AIOKafkaProducer(bootstrap_servers=own.bootstrap, transactional_id=own.prefix)
    await producer.start()
    for number in range(12):
        await producer.begin_transaction()
        for seq in range(10):
            await producer.send(own.topic("events"), event("line-0", number * 10 + seq), key=b"line-0")
        await (producer.abort_transaction() if number % 3 == 1 else producer.commit_transaction())
    await producer.stop()
    await produce(own, 1000, 1)  # committed offsets then stand behind the last marker
    with workers() as started:
        worker = Worker(own, tmp_path / "w.log")
        started.append(worker)
        await asyncio.to_thread(worker.wait_ready, 4)
        await asyncio.to_thread(wait_for, lambda: worker.report()["events"] >= 88, 30, worker.log)
        report = worker.report()
        assert await asyncio.to_thread(worker.end) == exits.OK, worker.log()
    assert report["events"] == 88
    assert report["runs"]["lost"] == 0
    events = ds.dataset(Path(own.audit) / "events", partitioning="hive").to_table()
    aborted = {number * 10 + seq for number in range(12) if number % 3 == 1 for seq in range(10)}
    assert not aborted & set(events["seq"].to_pylist())


async def test_metrics_agree_with_the_audit_and_with_kafka(settings: Make, tmp_path: Path) -> None:
    own = replace(settings(), health_port=0)
    run = str(tmp_path / "run")
    with workers() as started, pytest.MonkeyPatch.context() as environment:
        environment.setenv("RUNTIME_DIRECTORY", run)
        await produce(own, 0, 500)
        worker = Worker(own, tmp_path / "w.log")
        started.append(worker)
        await asyncio.to_thread(wait_for, lambda: runtime.ask(own, "/ready").good, 40, worker.log)
        producer = AIOKafkaProducer(bootstrap_servers=own.bootstrap)
        await producer.start()
        await producer.send_and_wait(own.topic("events"), b"{", key=b"line-0")
        await producer.stop()
        await asyncio.to_thread(wait_for, lambda: runtime.ask(own, "/ready").body.get("rejected") == 1, 30, worker.log)
        await settled(own)

        def lines() -> set[str]:
            port = int(next(Path(run).glob("health-*")).read_text())
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                return set(answer.read().decode().splitlines())

        def calm() -> bool:
            return all(f'twin_commit_age_seconds{{partition="{p}"}} 0.0' in lines() for p in range(4))

        await asyncio.to_thread(wait_for, calm, 20, worker.log)
        found = await asyncio.to_thread(lines)
        assert await asyncio.to_thread(worker.end) == exits.OK, worker.log()
        assert not await asyncio.to_thread(lambda: list(Path(run).iterdir()))
    events = ds.dataset(Path(own.audit) / "events", partitioning="hive").to_table()
    per_line = Counter(events["line"].to_pylist())
    assert {f'twin_events_total{{line="{line}"}} {number}.0' for line, number in per_line.items()} <= found
    alerts = ds.dataset(Path(own.audit) / "alerts", partitioning="hive").count_rows()
    ends = {p: len(records) for p, records in (await read_all(own, "events")).items()}
    assert {
        f'twin_alerts_total{{action="raised",kind="down"}} {alerts}.0',
        'twin_refused_total{reason="not_json"} 1.0',
        "twin_ready 1.0",
        *(f'twin_committed_offset{{partition="{p}"}} {end}.0' for p, end in ends.items()),
        *(f'twin_lag_records{{partition="{p}"}} 0.0' for p in ends),
    } <= found
