"""What a plan runs on: brokers that can be hurt, a feeder that waits for acknowledgements, supervised workers."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from streams.broker import LocalBroker, free_port
from streams.broker_guard import die_with_parent
from streams.cluster import LocalCluster
from streams.settings import Settings, process_environment
from tests.faults.plan import Fault

ROOT = Path(__file__).parents[2]
_RESTART_AFTER_S = 0.3


class Brokers:
    """One broker or a cluster, one fault at a time."""

    def __init__(self, kafka: LocalBroker | LocalCluster) -> None:
        self.kafka = kafka
        self._lock = asyncio.Lock()

    @property
    def nodes(self) -> Sequence[LocalBroker]:
        return self.kafka.nodes if isinstance(self.kafka, LocalCluster) else [self.kafka]

    async def hurt(self, fault: Fault, topic: str) -> None:
        async with self._lock:
            node = self.nodes[fault.who % len(self.nodes)]
            if fault.what == "leader":
                assert isinstance(self.kafka, LocalCluster)
                for partition in (0, 2):
                    await asyncio.to_thread(self.kafka.move_leader, topic, partition)
                return
            if fault.what == "broker-kill":
                await asyncio.to_thread(node.kill)
            else:
                await asyncio.to_thread(node.pause)
            await asyncio.sleep(fault.for_s)
            await asyncio.to_thread(node.start)

    async def whole(self) -> None:
        """Wait until nothing is being done to them any more."""
        async with self._lock:
            for node in self.nodes:
                await asyncio.to_thread(node.start)


async def feed(
    bootstrap: str, topic: str, records: Sequence[tuple[bytes, bytes]], rate_hz: float, fed: Callable[[int], None]
) -> dict[int, int]:
    """Send all records at a rate; each must be acknowledged. Returns the end offset of each partition."""
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, linger_ms=5, enable_idempotence=True, request_timeout_ms=90_000
    )
    await producer.start()
    try:
        sent = []
        begin = time.monotonic()
        for number, (key, value) in enumerate(records):
            if number % 50 == 0:
                fed(number)
                ahead_s = number / rate_hz - (time.monotonic() - begin)
                if ahead_s > 0:
                    await asyncio.sleep(ahead_s)
            sent.append(await producer.send(topic, value, key=key))
        ends: dict[int, int] = {}
        for done in await asyncio.gather(*sent):
            ends[done.partition] = max(ends.get(done.partition, 0), done.offset + 1)
        fed(len(records))
    finally:
        await producer.stop()
    return ends


async def committed(settings: Settings) -> dict[int, int]:
    """Committed offset by partition; empty while the broker is away."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap, request_timeout_ms=5_000)
    try:
        await admin.start()
        found = await admin.list_consumer_group_offsets(settings.group_id)
        return {tp.partition: entry.offset for tp, entry in found.items()}
    except (KafkaError, OSError, AssertionError):
        return {}
    finally:
        with contextlib.suppress(Exception):
            await admin.close()


@dataclass
class Slot:
    """One place for a worker, and the process that fills it now."""

    number: int
    settings: Settings
    folder: Path
    wanted: bool = True
    process: "subprocess.Popen[bytes] | None" = None
    exits: list[int] = field(default_factory=list)
    ended_s: float = 0.0

    @property
    def log_file(self) -> Path:
        return self.folder / "worker.log"

    def start(self) -> None:
        settings = self.settings = replace(self.settings, health_port=free_port())
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603  own command
                [sys.executable, "-m", "tests.faults.sabotage", str(self.folder / "faults.json")],
                env=process_environment(settings) | {"PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                preexec_fn=die_with_parent,
            )

    @property
    def partitions(self) -> int:
        """Of how many it holds the state and is ready; 0 while it starts."""
        with contextlib.suppress(OSError, ValueError):
            url = f"http://127.0.0.1:{self.settings.health_port}/ready"
            with urllib.request.urlopen(url, timeout=2) as answer:  # an answer that is not "ready" is an OSError
                return len(json.loads(answer.read())["partitions"])
        return 0

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def signal(self, number: int) -> None:
        if self.alive:
            assert self.process is not None
            self.process.send_signal(number)

    def kill(self) -> None:
        if self.process is not None:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGKILL)
            self.process.wait()


class Crew:
    """The workers of a plan. Each one that ends is started again, as a supervisor would."""

    def __init__(self, settings: Settings, folder: Path, static: bool) -> None:
        self._settings = settings
        self._folder = folder
        self._static = static
        self.slots: list[Slot] = []
        self._waking: set[asyncio.Task[None]] = set()
        self._seen: set[Path] = set()

    def add(self, faults: Sequence[Fault] = ()) -> Slot:
        number = len(self.slots)
        folder = self._folder / f"worker-{number}"
        folder.mkdir()
        (folder / "faults.json").write_bytes(msgspec.json.encode(list(faults)))
        instance = f"slot-{number}" if self._static else ""
        slot = Slot(number, replace(self._settings, instance=instance), folder)
        self.slots.append(slot)
        slot.start()
        return slot

    def remove(self, number: int) -> None:
        """Ask one to go for good, unless it is the last."""
        staying = [slot for slot in self.slots if slot.wanted]
        if len(staying) > 1:
            slot = self.slots[number % len(self.slots)]
            slot.wanted = False
            slot.signal(signal.SIGCONT)
            slot.signal(signal.SIGTERM)

    def sleep(self, slot: Slot, pid: int, for_s: float) -> None:
        """Wake a stopped process after a while."""

        async def wake() -> None:
            await asyncio.sleep(for_s)
            if slot.process is not None and slot.process.pid == pid and slot.alive:
                os.kill(pid, signal.SIGCONT)

        task = asyncio.create_task(wake())
        self._waking.add(task)
        task.add_done_callback(self._waking.discard)

    async def supervise(self) -> None:
        """Until cancelled. Raises RuntimeError when a worker says that a person must decide, or never stays up."""
        while True:
            for slot in self.slots:
                self._wake_those_that_stopped_themselves(slot)
                process = slot.process
                if process is None or process.poll() is None:
                    continue
                slot.exits.append(process.returncode)
                slot.process = None
                slot.ended_s = time.monotonic()
                if process.returncode == 73 or len(slot.exits) > 40:
                    raise RuntimeError(f"worker {slot.number} ended with {slot.exits}")
            for slot in self.slots:
                if slot.wanted and slot.process is None and time.monotonic() - slot.ended_s > _RESTART_AFTER_S:
                    slot.start()
            await asyncio.sleep(0.1)

    def _wake_those_that_stopped_themselves(self, slot: Slot) -> None:
        faults = msgspec.json.decode((slot.folder / "faults.json").read_bytes(), type=list[Fault])
        for number, fault in enumerate(faults):
            mark = slot.folder / f"fired-{number}"
            if fault.what == "stop" and mark not in self._seen and mark.exists() and (text := mark.read_text()):
                self._seen.add(mark)
                self.sleep(slot, int(text), fault.for_s)

    def calm(self) -> None:
        for slot in self.slots:
            (slot.folder / "calm").touch()

    async def whole(self, limit_s: float = 60.0) -> None:
        """Wait until the workers together hold every partition, so that what was committed is published."""
        limit = time.monotonic() + limit_s
        while sum([await asyncio.to_thread(lambda s=slot: s.partitions) for slot in self.slots]) < (
            self._settings.partitions
        ):
            if time.monotonic() > limit:
                raise RuntimeError(f"the workers do not hold all partitions after {limit_s} s")
            await asyncio.sleep(0.2)

    async def end(self) -> bool:
        """SIGTERM to all; True when every one ended well."""
        for slot in self.slots:
            slot.signal(signal.SIGCONT)
            slot.signal(signal.SIGTERM)
        good = True
        for slot in self.slots:
            if slot.process is not None:
                code = await asyncio.to_thread(slot.process.wait)
                slot.exits.append(code)
                good &= code in (0, -signal.SIGTERM)  # the latter: it had not begun
                slot.process = None
        return good

    def kill(self) -> None:
        for task in self._waking:
            task.cancel()
        for slot in self.slots:
            slot.kill()

    def fired(self) -> int:
        return sum(len(list(slot.folder.glob("fired-*"))) for slot in self.slots)
