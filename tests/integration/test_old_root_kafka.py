"""A root that an earlier version wrote goes on with today's workers: same topic, same offsets, killed on the way."""

import asyncio
import json
import signal
import tarfile
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.structs import OffsetAndMetadata

from streams import exits
from streams.kafka.topics import EVENTS, ensure
from streams.local.broker import LocalBroker, free_port
from streams.settings import Settings
from streams.state.snapshot_files import SnapshotStore
from tests.support.proof import check as verified
from tests.support.streams import Worker, settled, workers
from twin.audit import marker
from twin.audit.layout import BASES, published
from twin.audit.query import query
from twin.audit.recompute import recompute
from twin.plant import load
from twin.sources.parquet import EventsParquet
from twin.wire.encode import json_records

pytestmark = pytest.mark.kafka
PLANT = "examples/demo/plant.toml"
ROOT = Path(__file__).parents[1] / "data" / "roots" / "a193fe3-worker.tar.gz"
PARTITION, END = 3, 43_497  # of the root, as its version left it
MIN_NS = 60_000_000_000


def later(newest_ns: int) -> list[tuple[str, bytes]]:
    """(line, event) behind the log: an order with a plan that is corrected, and time that goes on."""
    press = {"line": "tablet-press", "type": "order", "order": "next"}
    told: list[dict[str, object]] = [
        {**press, "action": "start", "quantity": 500, "ts": newest_ns + 10 * MIN_NS},
        *({"line": "tablet-press", "type": "heartbeat", "ts": newest_ns + k * MIN_NS} for k in range(11, 30)),
        {**press, "action": "start", "quantity": 480, "ts": newest_ns + 30 * MIN_NS},
        *({"line": "tablet-press", "type": "heartbeat", "ts": newest_ns + k * MIN_NS} for k in range(31, 50)),
        {**press, "action": "end", "ts": newest_ns + 50 * MIN_NS},
        *({"line": "tablet-press", "type": "heartbeat", "ts": newest_ns + k * MIN_NS} for k in range(60, 90)),
    ]
    return [(str(one["line"]), json.dumps(one).encode()) for one in told]


async def send(settings: Settings, records: list[tuple[str, bytes]]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=settings.bootstrap, linger_ms=5, enable_idempotence=True)
    await producer.start()
    try:
        sent = [await producer.send(settings.topic(EVENTS), value, line.encode(), PARTITION) for line, value in records]
        await asyncio.gather(*sent)
    finally:
        await producer.stop()


async def commit(settings: Settings, identity: str) -> None:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.bootstrap, group_id=settings.group_id, enable_auto_commit=False
    )
    await consumer.start()
    try:
        where = TopicPartition(settings.topic(EVENTS), PARTITION)
        consumer.assign([where])
        await consumer.commit({where: OffsetAndMetadata(END, identity)})
    finally:
        await consumer.stop()


async def test_todays_workers_go_on_with_it(own_broker: LocalBroker, tmp_path: Path) -> None:
    with tarfile.open(ROOT) as archive:
        archive.extractall(tmp_path, filter="data")
    root = tmp_path / "a193fe3-worker"
    plant = load(PLANT)
    settings = Settings(
        bootstrap=own_broker.bootstrap,
        prefix="twin",  # as its files say
        plant=PLANT,
        audit=str(root),
        partitions=4,
        checkpoint_interval_s=0.3,
        session_timeout_s=3.0,
        heartbeat_interval_s=0.5,
        publish_after_s=0.0,
        health_port=free_port(),
    )
    await ensure(settings)
    before: list[tuple[str, bytes]] = []
    for block, _ in EventsParquet(root, plant):
        lines = [plant.lines[k].id for k in block.line.tolist()]
        before += zip(lines, json_records(block, plant), strict=True)
    assert len(before) == END
    await send(settings, before)
    (identity,) = SnapshotStore(root / "_state" / "twin").ids(PARTITION)
    await commit(settings, identity)
    (newest,) = query(root, "SELECT max(epoch_ns(ts)) FROM events WHERE line = 'tablet-press'").column(0).to_pylist()
    events = later(int(newest))
    with workers() as started:
        first = Worker(settings, tmp_path / "w.log", real=True)
        started.append(first)
        await asyncio.to_thread(first.wait_ready, 4, 180.0)
        await send(settings, events[:40])
        await settled(settings, limit_s=120.0)
        await send(settings, events[40:45])
        await asyncio.to_thread(first.end, signal.SIGKILL)
        await send(settings, events[45:])
        second = Worker(settings, tmp_path / "again.log", real=True)
        started.append(second)
        await asyncio.to_thread(second.wait_ready, 4, 180.0)
        await settled(settings, limit_s=120.0)
        assert await asyncio.to_thread(second.end) == exits.OK, second.log()
    assert marker.read(root).group == "twin"
    there = query(root, f"SELECT source_offset AS o FROM events WHERE source_offset >= {END} ORDER BY o")  # noqa: S608
    assert there.column("o").to_pylist() == list(range(END, END + len(events)))
    rows = query(
        root,
        "SELECT station, quantity, date_diff('minute', start, \"end\") AS minutes FROM kpis "
        "WHERE \"order\" = 'next' AND \"window\" = 'order' ORDER BY station NULLS FIRST",
    ).to_pylist()
    assert rows
    assert {(row["quantity"], row["minutes"]) for row in rows} == {(480, 40)}
    report = verified(root, every=True)
    assert report.sound, report.differences
    assert min(file.first_offset for file in published(root, BASES)) == END
    part = recompute(root, period=(int(newest) + 1, int(newest) + 100 * MIN_NS), every=True)
    assert part.sound, part.differences
    assert part.checked["events folded"] == len(events)
    whole = recompute(root, every=True)
    assert whole.sound, whole.differences
    assert any("made under rules 1" in note for note in whole.notes)
