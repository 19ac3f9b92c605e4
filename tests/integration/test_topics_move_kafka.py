"""Events that move to more partitions: the same rows, however often the copying was cut off, and where the first of
them are gone."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import RecordsToDelete

from streams import exits
from streams.kafka import partitioner
from streams.kafka.topics import EVENTS, FED, TopicsError, admin_client, ensure, partition_counts
from streams.local.broker import LocalBroker
from streams.settings import Settings
from streams.tools import move as moving
from streams.tools.ledger import RunFed
from streams.tools.move import move
from tests.support.fold import rows as cells
from tests.support.streams import PLANT, Worker, committed, event, own_settings, produce, read_all, settled, workers
from twin.audit.digest import digest
from twin.audit.read import open_set
from twin.audit.recompute import recompute
from twin.audit.verify import verify
from twin.line import PartitionTwin
from twin.plant import loads
from twin.results import ORIGIN, SETS
from twin.sources.parquet import EventsParquet
from twin.wire.decode import Decoder

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


MORE = PLANT.replace("lateness", 'publish_every = "10s"\nwindows = ["1min/10s"]\nrevise = "2min"\nlateness')


@pytest.mark.slow
async def test_where_the_first_records_are_gone_the_states_go_along(
    broker: LocalBroker, prefix: str, tmp_path: Path
) -> None:
    """The open order, the windows and the shift go on in another topic's partitions, from a state that is a base."""
    old = replace(own_settings(broker, prefix, tmp_path), partitions=2)
    new = replace(old, prefix=f"{prefix}-more", partitions=4, audit=str(tmp_path / "more"))
    (tmp_path / "plant.toml").write_text(MORE)
    await ensure(old)
    await _send(old, EVENTS, [_order(line, "start", 0) for line in (b"line-0", b"line-3")])
    await produce(old, 0, EACH)
    await _work(old, tmp_path / "old.log")
    stand = {number: offset for number, (offset, _) in (await committed(old)).items()}
    everything = await read_all(old, EVENTS)
    await produce(old, EACH, 5)  # nobody has read these
    run = RunFed(files=[], done=True, offsets={"0": (0, 9)})
    await _send(old, FED, [(b"run 1", msgspec.json.encode(run)), (b"line line-1", b'{"line":"line-1"}')])
    async with admin_client(old) as admin:
        topic = old.topic(EVENTS)
        await admin.delete_records(
            {TopicPartition(topic, number): RecordsToDelete(before_offset=at - 7) for number, at in stand.items()}
        )

    with pytest.raises(TopicsError, match="the first records of partition 0"):
        await move(old, new.prefix, 4)
    with pytest.raises(TopicsError, match="a multiple of 2"):
        await move(old, new.prefix, 5, audit=new.audit)
    dry = await move(old, new.prefix, 4, audit=new.audit, dry_run=True)
    assert (sum(dry.states.values()), dry.begins, dry.copied.total(), dry.fed) == (8, stand, 40, 2)
    assert not (tmp_path / "more").exists()
    moved = await move(old, new.prefix, 4, audit=new.audit)
    assert (moved.states, moved.copied.total()) == (dry.states, 40)
    again = await move(old, new.prefix, 4, audit=new.audit)
    assert (again.there, again.copied.total(), again.fed) == (40, 0, 0)
    (fed,) = (await read_all(new, FED)).values()
    assert {r.key: r.value for r in fed}[b"run 1"] == msgspec.json.encode(msgspec.structs.replace(run, offsets={}))

    await produce(new, EACH + 5, EACH)
    last = [_order(line, "end", 2 * EACH) for line in (b"line-0", b"line-3")]
    late = [(b"line-3", event("line-3", 10_000).replace(b'"seq":10000', b'"good":4').replace(b'"good":1,', b""))]
    late = [(key, value.replace(_ns(10_000), _ns(EACH - 20))) for key, value in late]
    beats = [
        (f"line-{k}".encode(), json.dumps({"type": "heartbeat", "line": f"line-{k}", "ts": int(_ns(at))}).encode())
        for k in range(8)
        for at in (3 * EACH, 3 * EACH + 1)
    ]
    await _send(new, EVENTS, [*last, *late, *beats])
    await _work(new, tmp_path / "new.log")
    after = await read_all(new, EVENTS)
    with pytest.raises(TopicsError, match="is no copy"):
        await move(old, new.prefix, 4, audit=new.audit)

    plant = loads(MORE, old.plant)
    whole = PartitionTwin(plant, 0)
    records = [record for some in (everything, after) for one in some.values() for record in one]
    block, refused = Decoder(plant).decode([record.value for record in records], list(range(len(records))))
    assert not refused
    made = {name: [table] for name, table in whole.fold(block).tables.items()}
    for name in ("states", "kpis", "bottlenecks", "alerts"):
        there = [open_set(Path(root), name).to_table() for root in (old.audit, new.audit)]
        assert _rows(there) == _rows(made.get(name, [])), name
        assert name != "kpis" or min(table.num_rows for table in there) > 50
    report = recompute(Path(new.audit), every=True)
    assert report.differences == []
    assert report.checked["bases begun from"] == 4
    assert verify(Path(new.audit)).sound
    assert verify(Path(old.audit)).sound
    assert sum("with a state whose events" in note for note in EventsParquet(Path(new.audit), plant).summary.notes) == 4


def _rows(tables: Iterable[pa.Table]) -> Counter[tuple[Any, ...]]:
    found: Counter[tuple[Any, ...]] = Counter()
    for table in tables:
        names = sorted(name for name in table.column_names if name not in (*ORIGIN, "date"))
        found.update(cells(table.select(names)))
    return found


def _ns(seq: int) -> bytes:
    return event("", seq).split(b'"ts":')[1].split(b",")[0]


def _order(line: bytes, action: str, seq: int) -> tuple[bytes, bytes]:
    said = {"type": "order", "ts": int(_ns(seq)), "line": line.decode(), "action": action, "order": "o"}
    return line, json.dumps(said).encode()


async def _send(settings: Settings, name: str, records: list[tuple[bytes, bytes]]) -> None:
    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap) as producer:
        for key, value in records:
            await producer.send_and_wait(settings.topic(name), value, key=key)


async def _work(settings: Settings, log: Path) -> None:
    """A worker reads all, and is stopped."""
    with workers() as started:
        worker = Worker(settings, log, real=True)
        started.append(worker)
        await asyncio.to_thread(worker.wait_ready, settings.partitions, 180.0)
        await settled(settings)
        assert await asyncio.to_thread(worker.end) == exits.OK, worker.log()
