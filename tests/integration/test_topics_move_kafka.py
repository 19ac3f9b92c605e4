"""Events that move to more partitions: the same rows, however often the copying was cut off."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from streams import exits
from streams.kafka import partitioner
from streams.kafka.topics import EVENTS, TopicsError, admin_client, ensure, partition_counts
from streams.local.broker import LocalBroker
from streams.tools import move as moving
from streams.tools.move import move
from tests.support.streams import Worker, event, own_settings, produce, read_all, settled, workers
from twin.audit.digest import digest
from twin.audit.read import open_set
from twin.audit.verify import verify
from twin.results import SETS

pytestmark = pytest.mark.kafka

EACH = 60


async def test_more_partitions_give_the_same_rows(
    broker: LocalBroker, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = replace(own_settings(broker, prefix, tmp_path), partitions=2)
    await ensure(old)
    with workers() as started:
        worker = Worker(old, tmp_path / "old.log", real=True)
        started.append(worker)
        await asyncio.to_thread(worker.wait_ready, 2, 180.0)
        await produce(old, 0, EACH)
        async with AIOKafkaProducer(bootstrap_servers=old.bootstrap) as producer:
            right = partitioner.choose(old.partitioner, b"line-1", 2)
            await producer.send_and_wait(
                old.topic(EVENTS), event("line-1", EACH), key=b"line-1", partition=1 - right, headers=[("by", b"us")]
            )
            await producer.send_and_wait(old.topic(EVENTS), event("line-1", EACH), key=b"line-2")
        await settled(old)
        with pytest.raises(TopicsError, match="stop all workers"):
            await move(old, f"{prefix}-more", 5)
        assert await asyncio.to_thread(worker.end) == exits.OK, worker.log()
    before = [record for records in (await read_all(old, EVENTS)).values() for record in records]

    dry = await move(old, f"{prefix}-more", 5, dry_run=True)
    assert (dry.copied.total(), dry.there, dry.misplaced) == (len(before), 0, 1)
    async with admin_client(old) as admin:
        assert f"{prefix}-more.events" not in await partition_counts(admin)

    send = moving.partitioner.choose
    calls = iter(range(100))

    def cut_off(name: str, key: bytes, partitions: int) -> int:
        next(calls)
        return send(name, key, partitions)

    with monkeypatch.context() as patch, pytest.raises(RuntimeError):  # StopIteration within a coroutine
        patch.setattr(moving.partitioner, "choose", cut_off)
        await move(old, f"{prefix}-more", 5)
    moved = await move(old, f"{prefix}-more", 5)
    assert 0 < moved.there < len(before)
    assert moved.there + moved.copied.total() == moved.into.total() == len(before)
    again = await move(old, f"{prefix}-more", 5)
    assert (again.there, again.copied.total()) == (len(before), 0)

    new = replace(old, prefix=f"{prefix}-more", partitions=5, audit=str(tmp_path / "more"))
    copies = [record for records in (await read_all(new, EVENTS)).values() for record in records]
    key = [(r.key, r.value, r.timestamp) for r in before]
    assert sorted(key) == sorted((r.key, r.value, r.timestamp) for r in copies)
    (told,) = [r.headers for r in copies if ("by", b"us") in r.headers]
    assert told[-1][0] == moving.HEADER
    with workers() as started:
        worker = Worker(new, tmp_path / "new.log", real=True)
        started.append(worker)
        await asyncio.to_thread(worker.wait_ready, 5, 180.0)
        await settled(new)
        assert await asyncio.to_thread(worker.end) == exits.OK, worker.log()
    was, now = digest(old.audit), digest(new.audit)
    assert {name: now[name] for name in SETS if name != "rejected"} == {
        name: was[name] for name in SETS if name != "rejected"
    }
    # The sentence of a refusal names the partition.
    refused = [
        open_set(Path(root), "rejected")
        .to_table(columns=["reason", "line", "ts", "value"])
        .sort_by("value")
        .to_pylist()
        for root in (old.audit, new.audit)
    ]
    assert refused[0] == refused[1]
    assert [row["reason"] for row in refused[0]] == ["wrong_line_key"] * 2
    assert verify(Path(new.audit)).sound
    async with AIOKafkaProducer(bootstrap_servers=old.bootstrap) as producer:
        await producer.send_and_wait(new.topic(EVENTS), event("line-1", EACH + 1), key=b"line-1")
    with pytest.raises(TopicsError, match="is no copy"):
        await move(old, f"{prefix}-more", 5)
