"""Each alert once, over repeats of the workers and restarts of the notifier."""

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from streams.kafka.topics import ensure
from streams.local.broker import LocalBroker
from streams.tools.notify import Notice, Notifier
from tests.support.streams import own_settings

pytestmark = pytest.mark.kafka


class Kept:
    def __init__(self) -> None:
        self.ids: list[str] = []
        self.came = asyncio.Event()

    async def send(self, notice: Notice) -> None:
        self.ids.append(notice.id)
        self.came.set()


async def publish(settings: Any, *ids: str) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=settings.bootstrap)
    await producer.start()
    for identity in ids:
        row = {"id": identity, "set": "alerts", "line": "l", "station": None, "kind": "down", "action": "raised"}
        value = json.dumps({**row, "ts": "2026-03-02T06:00:00.000000000Z"}).encode()
        await producer.send_and_wait(settings.topic("alerts"), value, key=b"l")
    await producer.stop()


@contextlib.asynccontextmanager
async def notifying(settings: Any, way: Kept) -> Any:
    notifier = Notifier(settings, [way])
    task = asyncio.create_task(notifier.run())
    try:
        while not notifier._first_new:
            assert not task.done(), task
            await asyncio.sleep(0.05)
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def delivered(way: Kept, number: int) -> None:
    async with asyncio.timeout(20):
        while len(way.ids) < number:
            await way.came.wait()
            way.came.clear()


async def test_each_alert_once(broker: LocalBroker, prefix: str, tmp_path: Path) -> None:
    settings = own_settings(broker, prefix, tmp_path)
    await ensure(settings)
    await publish(settings, "01", "02")  # before the first start: of yesterday
    first, second, third = Kept(), Kept(), Kept()
    async with notifying(settings, first):
        await publish(settings, "03", "04", "03", "05")
        await delivered(first, 3)
    assert first.ids == ["03", "04", "05"]
    await publish(settings, "06", "05")  # while it is away; one of them again
    async with notifying(settings, second):
        await publish(settings, "04", "07")
        await delivered(second, 2)
    assert second.ids == ["06", "07"]
    async with notifying(settings, third):  # nothing new: nothing is told again
        await publish(settings, "08")
        await delivered(third, 1)
    assert third.ids == ["08"]
