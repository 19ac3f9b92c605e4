"""For the tests of streams/: a small plant, a twin of a few lines with the real one's interface, worker processes."""

import asyncio
import contextlib
import errno
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.dataset as ds
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import GroupCoordinatorNotAvailableError

from streams import exits
from streams.local.broker import LocalBroker, free_port
from streams.local.guard import die_with_parent
from streams.settings import Settings, process_environment
from streams.state.snapshot_files import SnapshotStore
from twin.events.block import EventBlock
from twin.plant import loads
from twin.plant.model import Plant
from twin.results import ALERTS, ORIGIN

LINES = tuple(f"line-{n}" for n in range(8))
START_NS = 1_700_000_000_000_000_000
PLANT = 'site = "test"\n[[area]]\nid = "a"\n' + "".join(
    f'[[line]]\nid = "{line}"\narea = "a"\ntype = "flow"\nlateness = "0s"\n[[line.station]]\nid = "st"\n'
    for line in LINES
)
_ALERTS = pa.schema([f for f in ALERTS if f.name not in ORIGIN])
_PRIME = (1 << 61) - 1
_FAULT_AT_SEQ = int(os.environ.get("FAKE_FAULT_AT_SEQ", "-1"))
_FAULT_LINE = os.environ.get("FAKE_FAULT_LINE")  # of this line only
_FAULT_KILLS = "FAKE_FAULT_KILLS" in os.environ  # as a crash in machine code: no exception, no last word


@dataclass
class FakeResults:
    tables: dict[str, pa.Table]
    events: int
    duplicates: int = 0
    late: int = 0


@dataclass
class FakeView:
    line: str
    events: int


@dataclass(frozen=True)
class FakeFrozen:
    state: bytes

    def encode(self) -> bytes:
        return self.state


@dataclass
class FakeTwin:
    """Per line a count and a hash over the order of its events; an alert per hundredth event."""

    plant: Plant
    partition: int
    lines: dict[str, list[int]] = field(default_factory=dict)

    @classmethod
    def restore(cls, plant: Plant, partition: int, data: bytes) -> "FakeTwin":
        return cls(plant, partition, json.loads(data))

    @classmethod
    def carried(cls, before: Plant, plant: Plant, partition: int, data: bytes) -> "FakeTwin":
        there = {line.id for line in plant.lines}
        return cls(plant, partition, {line: of for line, of in json.loads(data).items() if line in there})

    def freeze(self) -> "FakeFrozen":
        return FakeFrozen(json.dumps(self.lines, sort_keys=True).encode())

    @property
    def event_time_ns(self) -> int:
        return START_NS if self.lines else 0

    def warm(self) -> None:
        """Nothing is compiled."""

    def view(self, *, changed: bool = False) -> list[FakeView]:
        return [FakeView(line, entry[0]) for line, entry in self.lines.items()]

    def fold(self, block: EventBlock) -> FakeResults:
        alerts = []
        for index, ts, seq in zip(block.line.tolist(), block.ts.tolist(), block.seq.tolist(), strict=True):
            line = self.plant.lines[index].id
            if seq == _FAULT_AT_SEQ and _FAULT_LINE in (None, line):
                if _FAULT_KILLS:
                    os.kill(os.getpid(), signal.SIGKILL)
                raise RuntimeError("fault on purpose")
            entry = self.lines.setdefault(line, [0, 0])
            entry[0] += 1
            entry[1] = (entry[1] * 1_000_003 + seq) % _PRIME
            if entry[0] % 100 == 0:
                alerts.append({"line": line, "kind": "down", "action": "raised", "ts": ts, "detail": str(entry[1])})
        rows = [{"model": self.plant.hash, "revision": 0, "retracted": False, **alert} for alert in alerts]
        return FakeResults({"alerts": pa.Table.from_pylist(rows, schema=_ALERTS)}, len(block))


class DailyTwin(FakeTwin):
    """Half a day to an event of a line: a base in nearly every checkpoint."""

    @property
    def event_time_ns(self) -> int:
        newest = max((entry[0] for entry in self.lines.values()), default=0)
        return START_NS + newest * 43_200_000_000_000 if newest else 0


def own_settings(broker: LocalBroker, prefix: str, folder: Path) -> Settings:
    """Settings for a test's own topics, with the plant written and short times."""
    (folder / "plant.toml").write_text(PLANT)
    return Settings(
        bootstrap=broker.bootstrap,
        prefix=prefix,
        plant=str(folder / "plant.toml"),
        audit=str(folder / "audit"),
        session_timeout_s=3.0,
        heartbeat_interval_s=0.5,
        checkpoint_interval_s=0.5,
        publish_after_s=0.0,  # tests look at the files
        health_port=free_port(),
    )


def event(line: str, seq: int) -> bytes:
    ts = START_NS + seq * 1_000_000_000
    return b'{"type":"count","ts":%d,"line":"%s","station":"st","good":1,"seq":%d}' % (ts, line.encode(), seq)


async def produce(settings: Settings, first: int, number: int, pause_s: float = 0.0, **options: Any) -> None:
    """Events `first` to `first + number` of every line, each line in its order."""
    producer = AIOKafkaProducer(bootstrap_servers=settings.bootstrap, linger_ms=5, enable_idempotence=True, **options)
    await producer.start()
    try:
        sent: list[Any] = []
        for seq in range(first, first + number):
            sent += [
                await producer.send(settings.topic("events"), event(line, seq), key=line.encode()) for line in LINES
            ]
            if pause_s:
                await asyncio.sleep(pause_s)
        await asyncio.gather(*sent)
    finally:
        await producer.stop()


async def read_all(settings: Settings, name: str) -> dict[int, list[Any]]:
    """Every record of a topic, by partition."""
    topic = settings.topic(name)
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        parts = [TopicPartition(topic, p) for p in sorted(await consumer._client._wait_on_metadata(topic))]
        consumer.assign(parts)
        await consumer.seek_to_beginning(*parts)
        ends = await consumer.end_offsets(parts)
        found: dict[int, list[Any]] = {tp.partition: [] for tp in parts}
        while any([await consumer.position(tp) < ends[tp] for tp in parts]):
            for tp, records in (await consumer.getmany(timeout_ms=200)).items():
                found[tp.partition] += records
        return found
    finally:
        await consumer.stop()


def expected_state(records: Sequence[Any]) -> dict[str, list[int]]:
    """What FakeTwin must hold after these records: computed from the log alone."""
    lines: dict[str, list[int]] = {}
    for record in records:
        found = json.loads(record.value)
        entry = lines.setdefault(found["line"], [0, 0])
        entry[0] += 1
        entry[1] = (entry[1] * 1_000_003 + found["seq"]) % _PRIME
    return lines


async def committed(settings: Settings) -> dict[int, tuple[int, str]]:
    """(offset, metadata) of the group, by partition."""
    from aiokafka.admin import AIOKafkaAdminClient

    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap)
    await admin.start()
    try:
        found = await admin.list_consumer_group_offsets(settings.group_id)
    except GroupCoordinatorNotAvailableError:  # a broker that has just begun: nobody has committed yet
        return {}
    else:
        return {tp.partition: (entry.offset, entry.metadata) for tp, entry in found.items()}
    finally:
        await admin.close()


class Worker:
    """A worker process. `real`: with the real twin through the command line, else with FakeTwin."""

    def __init__(self, settings: Settings, log_file: Path, *, real: bool = False) -> None:
        command = ["-m", "streams.cli", "worker"] if real else ["-m", "tests.support.streams"]
        self.settings = settings
        self.log_file = log_file
        with log_file.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603  own command
                [sys.executable, *command],
                env=process_environment(settings) | {"PYTHONPATH": str(Path(__file__).parents[2])},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=die_with_parent,
            )

    def report(self) -> dict[str, Any]:
        """Body of /ready, ready or not; empty where nobody listens."""
        url = f"http://127.0.0.1:{self.settings.health_port}/ready"
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                return dict(msgspec.json.decode(answer.read()))
        except urllib.error.HTTPError as error:
            return dict(msgspec.json.decode(error.read()))
        except OSError:
            return {}

    def wait_ready(self, partitions: int | None = None, limit_s: float = 40.0) -> None:
        def ready() -> bool:
            assert self.process.poll() is None, f"worker ended:\n{self.log()}"
            report = self.report()
            return bool(report.get("ready")) and (partitions is None or len(report["partitions"]) == partitions)

        wait_for(ready, limit_s, self.log)

    def end(self, number: int = signal.SIGTERM, limit_s: float = 15.0) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(limit_s)

    def log(self) -> str:
        return self.log_file.read_text(errors="replace")[-6000:]


async def settled(settings: Settings, limit_s: float = 60.0) -> dict[int, list[Any]]:
    """Wait until all events are committed; returns them."""
    log = await read_all(settings, "events")
    for _ in range(int(limit_s * 10)):
        at = await committed(settings)
        if all(at.get(p, (0, ""))[0] == (records[-1].offset + 1 if records else 0) for p, records in log.items()):
            return log
        await asyncio.sleep(0.1)
    raise AssertionError(f"committed {at}, ends { {p: len(r) for p, r in log.items()} }")


async def check(settings: Settings) -> None:
    """State, audit and outputs hold every event exactly once (outputs: at least once, by id once)."""
    log = await settled(settings)
    at = await committed(settings)
    staging = Path(settings.audit) / ".staging"
    for _ in range(200):  # publishing follows the commit
        if not list(staging.iterdir()):
            break
        await asyncio.sleep(0.05)
    store = SnapshotStore(settings.state_folder / settings.group_id)
    plant = loads(PLANT, "plant.toml")
    for partition, records in log.items():
        if records:
            snapshot = store.load(at[partition][1])
            assert FakeTwin.restore(plant, partition, snapshot.state).lines == expected_state(records)
    events = ds.dataset(Path(settings.audit) / "events", partitioning="hive").to_table()
    audited = sorted(zip(events["source_partition"].to_pylist(), events["source_offset"].to_pylist(), strict=True))
    assert audited == sorted((p, record.offset) for p, records in log.items() for record in records)
    alerts = ds.dataset(Path(settings.audit) / "alerts", partitioning="hive").to_table()
    per_line = [entry[0] // 100 for records in log.values() for entry in expected_state(records).values()]
    assert alerts.num_rows == sum(per_line)
    sent = [json.loads(r.value) for records in (await read_all(settings, "alerts")).values() for r in records]
    assert len({alert["id"] for alert in sent}) == sum(per_line), f"{sum(per_line)} alerts, in the topic: {sent}"
    for _ in range(200):  # what waited too long becomes a file at a time of its own
        if not list(staging.iterdir()):
            break
        await asyncio.sleep(0.05)
    assert not list(staging.iterdir())


@contextlib.contextmanager
def workers() -> Iterator[list[Worker]]:
    """A list to put workers into; none of them outlives it."""
    started: list[Worker] = []
    try:
        yield started
    finally:
        for worker in started:
            if worker.process.poll() is None:
                worker.process.kill()
            worker.process.wait()


async def send_values(settings: Settings, values: Sequence[bytes]) -> None:
    """Keyed by line L, in this order."""
    producer = AIOKafkaProducer(bootstrap_servers=settings.bootstrap, enable_idempotence=True)
    await producer.start()
    try:
        for value in values:
            await producer.send(settings.topic("events"), value, key=b"L")
        await producer.flush()
    finally:
        await producer.stop()


async def has_committed(settings: Settings, least: int) -> None:
    for _ in range(1_200):
        if max((offset for offset, _ in (await committed(settings)).values()), default=0) >= least:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"{least} records were not committed within two minutes")


async def over_a_kill(settings: Settings, folder: Path, before: Sequence[bytes], after: Sequence[bytes]) -> None:
    """Give the real worker some values of line L, kill it at work, give the rest, and let another one finish."""
    with workers() as started:
        started.append(Worker(settings, folder / "0.log", real=True))
        await asyncio.to_thread(started[0].wait_ready, 1, 300.0)
        await send_values(settings, before)
        await has_committed(settings, 2)
        await asyncio.to_thread(started[0].end, signal.SIGKILL)
        await send_values(settings, after)
        again = Worker(replace(settings, health_port=free_port()), folder / "1.log", real=True)
        started.append(again)
        await settled(settings, limit_s=300.0)
        assert await asyncio.to_thread(again.end) == exits.OK, again.log()


def wait_for(condition: Any, limit_s: float = 30.0, explain: Any = str) -> None:
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, f"not within {limit_s} s\n{explain()}"
        time.sleep(0.1)


def harm_the_disk() -> None:
    """As the environment says: no new audit file while FAKE_DISK_FULL exists, every fsync FAKE_FSYNC_S slow."""
    full, slow_s = os.environ.get("FAKE_DISK_FULL"), float(os.environ.get("FAKE_FSYNC_S", "0"))
    opened, synced = os.open, os.fsync

    def open_(path: Any, flags: int, *more: Any, **named: Any) -> int:
        if full and flags & os.O_CREAT and ".staging" in str(path) and os.path.exists(full):  # noqa: PTH110  Path may use os.open
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return opened(path, flags, *more, **named)

    def fsync(descriptor: int) -> None:
        time.sleep(slow_s)
        synced(descriptor)

    os.open, os.fsync = open_, fsync


if __name__ == "__main__":
    harm_the_disk()
    from streams.worker.worker import run

    sys.exit(run(Settings.from_env(os.environ), FakeTwin))
