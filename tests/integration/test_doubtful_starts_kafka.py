"""Starts at which group, snapshots, topic and audit do not simply agree: each is mended with proof, or refused."""

import asyncio
import json
import signal
from dataclasses import replace
from pathlib import Path

import pyarrow.dataset as ds
import pytest
from aiokafka import TopicPartition
from aiokafka.admin import NewPartitions
from aiokafka.admin.records_to_delete import RecordsToDelete

from streams import exits
from streams.kafka.topics import admin_client, ensure
from streams.local.broker import LocalBroker, java_command, tools
from streams.settings import Settings
from tests.support.streams import (
    LINES,
    PLANT,
    Worker,
    check,
    committed,
    own_settings,
    produce,
    read_all,
    settled,
    wait_for,
    workers,
)
from twin.audit import marker
from twin.audit.digest import digest

pytestmark = pytest.mark.kafka
slow = pytest.mark.slow


@pytest.fixture
async def settings(broker: LocalBroker, prefix: str, tmp_path: Path) -> Settings:
    """Half a log is read and audited, and nobody is at work."""
    own = own_settings(broker, prefix, tmp_path)
    await ensure(own)
    await produce(own, 0, 400)
    await _work(own, tmp_path)
    return own


async def _work(settings: Settings, folder: Path) -> str:
    """One worker until all is committed; returns its log."""
    with workers() as started:
        worker = Worker(settings, folder / "w.log")
        started.append(worker)
        await asyncio.to_thread(worker.wait_ready, 4)
        await settled(settings)
        assert await asyncio.to_thread(worker.end) == exits.OK, worker.log()
        return worker.log()


async def _refused(settings: Settings, folder: Path) -> str:
    with workers() as started:
        worker = Worker(settings, folder / "refused.log")
        started.append(worker)
        assert await asyncio.to_thread(worker.process.wait, 30) == exits.STATE, worker.log()
        return worker.log()


async def _expire(settings: Settings) -> None:
    """Delete the group, as a broker does with one that nobody has been in for `offsets.retention.minutes`."""
    command = ["--bootstrap-server", settings.bootstrap, "--delete", "--group", settings.group_id]
    tool = java_command(tools(), 128, "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", *command)
    process = await asyncio.create_subprocess_exec(*tool, stdout=asyncio.subprocess.PIPE)
    told, _ = await process.communicate()
    assert process.returncode == 0, told
    assert await committed(settings) == {}


async def test_offsets_expired(settings: Settings, tmp_path: Path) -> None:
    await _expire(settings)
    await produce(settings, 400, 100)
    log = await _work(settings, tmp_path)
    assert "the group has no offset: expired?; going on from offset" in log
    await check(settings)


@slow
async def test_offsets_expired_and_the_newest_snapshots_lost(settings: Settings, tmp_path: Path) -> None:
    """What is published beyond the snapshots that are left is replayed and compared, not written again."""
    folder = settings.state_folder / settings.group_id
    await produce(settings, 400, 100)
    await _work(settings, tmp_path)
    for offset, metadata in (await committed(settings)).values():
        assert offset > 0
        (folder / f"{metadata}.snapshot").unlink()
    await _expire(settings)
    await produce(settings, 500, 100)
    log = await _work(settings, tmp_path)
    assert "is replayed and compared" in log
    assert "the replay agrees" in log
    await check(settings)


@slow
async def test_snapshot_folder_empty(settings: Settings, tmp_path: Path) -> None:
    for path in (settings.state_folder / settings.group_id).glob("*.snapshot"):
        path.unlink()
    await produce(settings, 400, 100)
    log = await _work(settings, tmp_path)
    assert "going on from offset 0 instead" in log
    assert "the replay agrees" in log
    await check(settings)


@slow
async def test_snapshot_folder_empty_and_the_topic_shortened(settings: Settings, tmp_path: Path) -> None:
    """The state cannot be made again: a person must decide."""
    for path in (settings.state_folder / settings.group_id).glob("*.snapshot"):
        path.unlink()
    await _delete_before(settings, dict.fromkeys(range(4), 10))
    assert "no snapshot leads to offset" in await _refused(settings, tmp_path)


async def _delete_before(settings: Settings, offsets: dict[int, int]) -> None:
    topic = settings.topic("events")
    async with admin_client(settings) as admin:
        await admin.delete_records(
            {TopicPartition(topic, p): RecordsToDelete(before_offset=offset) for p, offset in offsets.items()}
        )


@slow
async def test_topic_truncated_below_the_committed_offset(settings: Settings, tmp_path: Path) -> None:
    """A hole: counted, said, in the audit, and what follows is not lost."""
    before = {p: offset for p, (offset, _) in (await committed(settings)).items()}
    await produce(settings, 400, 100)
    ends = {p: len(records) for p, records in (await read_all(settings, "events")).items()}
    cut = {p: offset + (ends[p] - offset) // 2 for p, offset in before.items()}
    await _delete_before(settings, cut)
    with workers() as started:
        worker = Worker(settings, tmp_path / "w.log")
        started.append(worker)
        await asyncio.to_thread(worker.wait_ready, 4)
        deleted = {int(p): one["deleted_by_retention"] for p, one in worker.report()["partitions"].items()}
        assert deleted == {p: cut[p] - before[p] for p in before}
        assert sum(deleted.values()) > 100
        at = {p: end for p, end in ends.items() if end}
        await asyncio.to_thread(
            wait_for,
            lambda: {int(p): one["committed"] for p, one in worker.report()["partitions"].items()} == at,
            30,
            worker.log,
        )
        assert await asyncio.to_thread(worker.end) == exits.OK, worker.log()
    assert "were deleted by retention before they were read" in worker.log()
    rejected = ds.dataset(Path(settings.audit) / "rejected", partitioning="hive").to_table().to_pylist()
    told = {row["source_partition"]: row["detail"] for row in rejected if row["reason"] == "deleted_by_retention"}
    assert {p: f"offsets {before[p]} to {cut[p] - 1}" in detail for p, detail in told.items()} == dict.fromkeys(
        (p for p in before if cut[p] > before[p]), True
    )
    events = ds.dataset(Path(settings.audit) / "events", partitioning="hive").to_table()
    audited = sorted(zip(events["source_partition"].to_pylist(), events["source_offset"].to_pylist(), strict=True))
    expected = [(p, o) for p in ends for o in (*range(before.get(p, 0)), *range(cut.get(p, 0), ends[p]))]
    assert audited == sorted(expected)


@slow
async def test_retention_that_is_quicker_than_a_running_worker(settings: Settings, tmp_path: Path) -> None:
    before = {p: offset for p, (offset, _) in (await committed(settings)).items()}
    with workers() as started:
        worker = Worker(settings, tmp_path / "w.log")
        started.append(worker)
        await asyncio.to_thread(worker.wait_ready, 4)
        worker.process.send_signal(signal.SIGSTOP)
        await produce(settings, 400, 400)
        ends = {p: len(records) for p, records in (await read_all(settings, "events")).items()}
        cut = {p: offset + (ends[p] - offset) // 2 for p, offset in before.items()}
        await _delete_before(settings, cut)
        worker.process.send_signal(signal.SIGCONT)
        await settled(settings)
        deleted = {int(p): one["deleted_by_retention"] for p, one in worker.report()["partitions"].items()}
        assert sum(deleted.values()) > 100
        assert await asyncio.to_thread(worker.end) == exits.OK, worker.log()
    # What one fetch had brought already, it has read.
    assert all(number <= cut[p] - before[p] for p, number in deleted.items())
    events = ds.dataset(Path(settings.audit) / "events", partitioning="hive").to_table()
    audited = sorted(zip(events["source_partition"].to_pylist(), events["source_offset"].to_pylist(), strict=True))
    lost = {(p, o) for p, number in deleted.items() for o in range(cut[p] - number, cut[p])}
    assert audited == sorted({(p, o) for p in ends for o in range(ends[p])} - lost)


async def _made_anew(settings: Settings) -> None:
    """The events topic, deleted and made again under its name."""
    topic = settings.topic("events")
    async with admin_client(settings) as admin:
        await admin.delete_topics([topic])
        for _ in range(300):  # the brokers take their time
            if topic not in await admin.list_topics():
                break
            await asyncio.sleep(0.1)
    await ensure(settings)


async def test_topic_made_anew_between_two_workers(settings: Settings, tmp_path: Path) -> None:
    """The new one is longer by now, so no offset shows it: its first records were skipped, and the audit was sound."""
    root = Path(settings.audit)
    bound = marker.read(root).topic_id
    assert len(bound) == 32
    await _made_anew(settings)
    await produce(settings, 10_000, 800)
    for _ in range(2):
        assert f"was deleted and made anew, or is that of another Kafka: its id was {bound}" in await _refused(
            settings, tmp_path
        )
    assert marker.read(root).topic_id == bound
    # What it says to do: the old root stays as it is.
    fresh = replace(settings, group=f"{settings.prefix}-2", audit=str(tmp_path / "audit-2"))
    await _work(fresh, tmp_path)
    assert ds.dataset(Path(fresh.audit) / "events", partitioning="hive").count_rows() == 800 * len(LINES)
    assert marker.read(Path(fresh.audit)).topic_id not in ("", bound)


@slow
async def test_topic_made_anew_under_a_worker(settings: Settings, tmp_path: Path) -> None:
    before = await asyncio.to_thread(digest, Path(settings.audit))
    with workers() as started:
        worker = Worker(settings, tmp_path / "w.log")
        started.append(worker)
        await asyncio.to_thread(worker.wait_ready, 4)
        await _made_anew(settings)
        await produce(settings, 10_000, 800)
        assert await asyncio.to_thread(worker.process.wait, 60) == exits.STATE, worker.log()
        assert "was deleted and made anew" in worker.log()
    assert await asyncio.to_thread(digest, Path(settings.audit)) == before


async def test_topic_with_more_partitions(settings: Settings, tmp_path: Path) -> None:
    topic = settings.topic("events")
    async with admin_client(settings) as admin:
        await admin.create_partitions({topic: NewPartitions(6)})
    log = await _refused(settings, tmp_path)
    assert "the topic has 6 partitions, but had 4" in log


@slow
async def test_topic_that_grows_under_a_worker(settings: Settings, tmp_path: Path) -> None:
    """What is sent to a line's new partition before the worker hears of it must not begin a second state."""
    with workers() as started:
        worker = Worker(settings, tmp_path / "w.log")
        started.append(worker)
        await asyncio.to_thread(worker.wait_ready, 4)
        home = {r.key: p for p, records in (await read_all(settings, "events")).items() for r in records}
        async with admin_client(settings) as admin:
            await admin.create_partitions({settings.topic("events"): NewPartitions(6)})
        await produce(settings, 400, 200, metadata_max_age_ms=500)
        everything = await read_all(settings, "events")
        moved = {r.key for p, records in everything.items() for r in records if home[r.key] != p}
        assert moved, "no line has moved: the test shows nothing"
        assert await asyncio.to_thread(worker.process.wait, 30) == exits.STATE, worker.log()
        assert "the topic has 6 partitions, but had 4" in worker.log()
    for set_name in ("events", "alerts"):
        rows = ds.dataset(Path(settings.audit) / set_name, partitioning="hive").to_table().to_pylist()
        strange = [row for row in rows if home[row["line"].encode()] != row["source_partition"]]
        assert strange == [], f"{len(strange)} rows of {set_name} from a partition that was not the line's"
    sent = [r for records in (await read_all(settings, "alerts")).values() for r in records]
    told = [(a["line"], a["ts"]) for a in map(json.loads, {r.value for r in sent})]
    assert len(told) == len(set(told)), "one event has raised two alerts"


@slow
async def test_plant_changed_between_runs(settings: Settings, tmp_path: Path) -> None:
    """Lines go on at the same offset: every row says of which model it is, and no event is read twice."""
    other = replace(settings, plant=str(tmp_path / "other.toml"))
    (tmp_path / "other.toml").write_text(PLANT.replace('site = "test"', 'site = "other"'))
    await produce(settings, 400, 400)
    log = await _work(other, tmp_path)
    assert "replaces" in log
    events = ds.dataset(Path(settings.audit) / "events", partitioning="hive").to_table()
    audited = sorted(zip(events["source_partition"].to_pylist(), events["source_offset"].to_pylist(), strict=True))
    everything = await read_all(settings, "events")
    assert audited == sorted((p, r.offset) for p, records in everything.items() for r in records)
    models = ds.dataset(Path(settings.audit) / "alerts", partitioning="hive").to_table()["model"].to_pylist()
    assert len(set(models)) == 2
