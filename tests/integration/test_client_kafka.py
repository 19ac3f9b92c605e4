"""The client on a real Kafka: each row once, whatever happens to workers and broker; typed, filtered, revised."""

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import NewPartitions

import streams.client.reader
from streams import clock
from streams.client import Client, ClientError, Line
from streams.kafka.topics import admin_client, ensure
from streams.local.broker import LocalBroker
from streams.settings import Settings, process_environment
from tests.support.client import publish, rows
from tests.support.streams import LINES, Worker, check, own_settings, produce, read_all, workers

pytestmark = pytest.mark.kafka

LIMIT_S = 60.0  # against a test that hangs; nothing is measured
T = TypeVar("T")


@pytest.fixture
async def settings(broker: LocalBroker, prefix: str, tmp_path: Path) -> Settings:
    own = own_settings(broker, prefix, tmp_path)
    await ensure(own)
    return own


async def take(number: int, source: AsyncIterator[T]) -> list[T]:
    found: list[T] = []
    async with asyncio.timeout(LIMIT_S):
        while len(found) < number:
            found.append(await anext(source))
    return found


async def test_a_worker_killed_between_publishing_and_commit_repeats_and_nobody_sees_it(
    settings: Settings, tmp_path: Path
) -> None:
    never = replace(settings, checkpoint_interval_s=3600.0)
    with workers() as started:
        async with Client(settings) as client:
            live = client.alerts(start="beginning")
            # FakeTwin raises an alert per hundredth event of a line. Nothing is committed, so all comes again.
            await produce(settings, 0, 500)
            for _ in range(2):
                worker = Worker(never, tmp_path / "w.log")
                started.append(worker)
                seen = 0
                while seen < 5 * len(LINES) * len(started):
                    assert worker.process.poll() is None, worker.log()
                    seen = sum(len(records) for records in (await read_all(settings, "alerts")).values())
                    await asyncio.sleep(0.1)
                await asyncio.to_thread(worker.end, signal.SIGKILL)
            started.append(Worker(settings, tmp_path / "w.log"))
            await check(settings)
            await produce(settings, 500, 100)  # behind all repeats, in the same partition: the last ones to come
            await check(settings)
            alerts = await take(6 * len(LINES), live)
            again = await take(6 * len(LINES), client.alerts(start="beginning"))
            of_one = await take(6, client.alerts(LINES[3], start="beginning"))
    raw = [json.loads(r.value)["id"] for records in (await read_all(settings, "alerts")).values() for r in records]
    assert len(raw) >= 16 * len(LINES), "no repeats in the topic: this test would pass without the client"
    ids = [alert.id for alert in alerts]
    assert len(set(ids)) == len(ids)
    assert set(ids) == set(raw)
    assert [alert.id for alert in again] == ids
    assert [alert.id for alert in of_one] == [alert.id for alert in alerts if alert.line == LINES[3]]
    assert {(alert.kind, alert.action, alert.revision) for alert in alerts} == {("down", "raised", 0)}


async def test_rows_are_typed_filtered_and_revised(settings: Settings) -> None:
    first = rows("kpis", {"line": "l1", "window": "1h", "good": 7}, {"line": "l2", "window": "1h"})
    shares = rows("bottlenecks", {"line": "l1", "share": 0.5})
    revised = rows("kpis", {"line": "l1", "window": "1h", "good": 9, "revision": 1, "retracted": True})
    await publish(settings, first, shares)
    producer = AIOKafkaProducer(bootstrap_servers=settings.bootstrap)
    await producer.start()
    await producer.send_and_wait(settings.topic("kpis"), b"{", key=b"l1")  # somebody else's
    await producer.stop()
    await asyncio.sleep(0.01)  # Kafka's times are milliseconds
    between_ns = clock.now_ns()
    await publish(settings, first, revised)  # a replay, then news
    async with Client(settings) as client:
        every = await take(2, client.kpis("l1", start="beginning"))
        assert [(row.good, row.revision, row.retracted) for row in every] == [(7, 0, False), (9, 1, True)]
        assert every[0].end_ns == every[0].start_ns > 10**18
        (latest,) = await take(1, client.kpis("l1", start="beginning", latest=True))
        assert (latest.good, latest.retracted) == (9, True)
        since = await take(2, client.kpis("l1", start=between_ns))
        assert [row.revision for row in since] == [0, 1]
        (share,) = await take(1, client.bottlenecks("l1", start="beginning"))
        assert share.share == 0.5
        now = asyncio.create_task(take(1, client.kpis(start="now")))
        while not now.done():  # it sees only what comes after it stands at the end, whenever that is
            await publish(settings, rows("kpis", {"line": "l9", "window": str(clock.now_ns())}))
        assert (await now)[0].line == "l9"


async def test_lines_are_given_as_they_are_and_at_every_change(settings: Settings) -> None:
    def view(line: str, good: int) -> bytes:
        # What came later has a default, and may be absent.
        fields = dict.fromkeys((f.name for f in msgspec.structs.fields(Line) if f.required), None)
        numbers = dict.fromkeys(("ts_ns", "scrap", "newest_ns", "duplicates", "late", "contradictions"), 1)
        view = fields | numbers | {"line": line, "good": good, "state": "running", "stations": {}, "provisional": True}
        return msgspec.json.encode(view)

    shown = [("l1", 1), ("l2", 5), ("l1", 1), ("l1", 2), ("l2", 5), ("l2", 6)]
    await publish(settings, views=[(line, view(line, good)) for line, good in shown])
    async with Client(settings) as client:
        found = await take(4, client.lines())
        assert [(one.line, one.good) for one in found] == [("l1", 1), ("l2", 5), ("l1", 2), ("l2", 6)]
        assert [one.good for one in await take(2, client.lines("l2"))] == [5, 6]


async def test_refused_input_comes_with_its_reason_once(settings: Settings) -> None:
    from streams.worker.publish import Publisher
    from twin.events.block import Rejected

    publisher = Publisher(settings)
    await publisher.start()
    for offset in (5, 5, 6):
        publisher.rejected([Rejected("not_json", "why", offset, b"{", "l1")], "t.events", 3)
    assert await publisher.flush(30)
    await publisher.stop()
    async with Client(settings) as client:
        first, second = await take(2, client.refused(start="beginning"))
    assert (first.reason, first.detail, first.line, first.value) == ("not_json", "why", "l1", b"{")
    assert (first.source_topic, first.source_partition, first.source_offset) == ("t.events", 3, 5)
    assert (second.source_offset, second.truncated_from_bytes) == (6, None)


async def test_a_partition_that_is_added_is_read(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams.client.reader, "_METADATA_AGE_MS", 300)
    await publish(settings, rows("alerts", {"line": "l1"}))
    async with Client(settings) as client:
        alerts = client.alerts(start="beginning")
        await take(1, alerts)
        async with admin_client(settings) as admin:
            await admin.create_partitions({settings.topic("alerts"): NewPartitions(8)})
        many = [f"l{n}" for n in range(20)]
        while len({p for p, found in (await read_all(settings, "alerts")).items() if found}) < 3:
            await publish(settings, rows("alerts", *[{"line": line, "kind": "oee_low"} for line in many]))
        assert {alert.line for alert in await take(20, alerts)} == set(many)


async def test_leaving_or_cancelling_ends_what_waits(settings: Settings) -> None:
    async with Client(settings) as client:
        waiting = asyncio.create_task(anext(client.alerts(), None))
        cancelled = asyncio.create_task(anext(client.alerts()))
        while len(client._readers) < 2:  # noqa: ASYNC110  the client has no event for a test to wait for
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.5)  # both are open and wait for records; cancelled earlier, it must end as well
        cancelled.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await cancelled
        assert len(client._readers) == 1
    assert await asyncio.wait_for(waiting, LIMIT_S) is None
    with pytest.raises(ClientError, match="async with"):
        await anext(client.alerts())


async def test_a_topic_that_is_missing_is_said(broker: LocalBroker) -> None:
    async with Client(bootstrap=broker.bootstrap, prefix="nobody") as client:
        with pytest.raises(ClientError, match="twin topics apply"):
            await anext(client.kpis())


@pytest.mark.slow
async def test_it_goes_on_when_the_broker_comes_back(own_broker: LocalBroker) -> None:
    settings = Settings(bootstrap=own_broker.bootstrap)
    await ensure(settings)
    await publish(settings, rows("alerts", {"line": "before"}))
    async with Client(settings) as client:
        alerts = client.alerts(start="beginning")
        assert (await take(1, alerts))[0].line == "before"
        after = asyncio.create_task(take(1, alerts))
        await asyncio.to_thread(own_broker.kill)
        await asyncio.sleep(1)
        assert not after.done()
        await asyncio.to_thread(own_broker.start)
        await publish(settings, rows("alerts", {"line": "after"}))
        assert (await after)[0].line == "after"


async def test_the_example_of_the_documentation_runs(settings: Settings) -> None:
    page = (Path(__file__).parents[2] / "docs" / "client.md").read_text()
    example = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    assert example is not None
    await publish(settings, rows("kpis", {"line": "five-stations", "window": "1h", "station": None}, {"line": "other"}))
    shown = subprocess.Popen(  # noqa: S603, ASYNC220  own text; starting it takes a moment
        [sys.executable, "-c", example[1]],
        env=process_environment(settings) | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert shown.stdout is not None
        line = await asyncio.wait_for(asyncio.to_thread(shown.stdout.readline), LIMIT_S)
        assert line == "1h line 1700000000123456789 25.0%\n"
        assert shown.poll() is None
    finally:
        shown.kill()
        shown.wait()
