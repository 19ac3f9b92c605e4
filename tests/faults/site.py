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

from streams import exits
from streams.local.broker import LocalBroker, free_port
from streams.local.guard import die_with_parent
from streams.settings import Settings, process_environment
from tests.faults import versions
from tests.faults.inputs import Record
from tests.faults.judge import Ended
from tests.faults.plan import Fault
from tests.support.cluster import LocalCluster

ROOT = Path(__file__).parents[2]
_RESTART_AFTER_S = 0.3
_GONE = b"the marker of the audit root is not there"


class Brokers:
    """One broker or a cluster, one fault at a time."""

    def __init__(self, kafka: LocalBroker | LocalCluster) -> None:
        self.kafka = kafka
        self._lock = asyncio.Lock()

    @property
    def nodes(self) -> Sequence[LocalBroker]:
        return self.kafka.nodes if isinstance(self.kafka, LocalCluster) else [self.kafka]

    async def hurt(self, fault: Fault, topic: str) -> bool:
        """True when it did something."""
        async with self._lock:
            node = self.nodes[fault.who % len(self.nodes)]
            if fault.what == "leader":
                return await self._move_leaders(topic)
            if fault.what == "broker-kill":
                await asyncio.to_thread(node.kill)
            else:
                await asyncio.to_thread(node.pause)
            await asyncio.sleep(fault.for_s)
            await asyncio.to_thread(node.start)
            return True

    async def _move_leaders(self, topic: str) -> bool:
        """To the node behind the present one; True when at least one of two partitions has another leader then."""
        assert isinstance(self.kafka, LocalCluster)
        moved = False
        for partition in (0, 2):
            before = (await leaders(self.kafka.bootstrap, topic)).get(partition, 0)
            await asyncio.to_thread(self.kafka.move_leader, topic, partition, before % len(self.nodes) + 1)
            for _ in range(20):
                now = (await leaders(self.kafka.bootstrap, topic)).get(partition, before)
                if now != before:
                    moved = True
                    break
                await asyncio.sleep(0.25)
        return moved

    async def whole(self) -> None:
        """Wait until nothing is being done to them any more."""
        async with self._lock:
            for node in self.nodes:
                await asyncio.to_thread(node.start)


async def leaders(bootstrap: str, topic: str) -> dict[int, int]:
    """Node id of each partition's leader."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        (found,) = await admin.describe_topics([topic])
        return {one["partition"]: one["leader"] for one in found["partitions"]}
    finally:
        await admin.close()


async def feed(
    bootstrap: str, topic: str, records: Sequence[Record], rate_hz: float, fed: Callable[[int], None]
) -> dict[int, int]:
    """Send all records at a rate of events; each must be acknowledged. Returns the end offset of each partition.

    `fed` is told of the events sent so far.
    """
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, linger_ms=5, enable_idempotence=True, request_timeout_ms=90_000
    )
    await producer.start()
    try:
        sent = []
        begin = time.monotonic()
        number = 0
        for index, record in enumerate(records):
            if index % 50 == 0:
                fed(number)
                ahead_s = number / rate_hz - (time.monotonic() - begin)
                if ahead_s > 0:
                    await asyncio.sleep(ahead_s)
            sent.append(await producer.send(topic, record.value, key=record.key))
            number += record.events
        ends: dict[int, int] = {}
        for done in await asyncio.gather(*sent):
            ends[done.partition] = max(ends.get(done.partition, 0), done.offset + 1)
        fed(number)
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
    ends: list[Ended] = field(default_factory=list)
    told: set[int] = field(default_factory=set)
    ended_s: float = 0.0
    version: int = 0  # of the process: how often the crew was upgraded before it started
    plant: bytes = b""  # of the process: the file that it started with
    stranger: bool = False  # its file is a wrong one: it has to say so and end

    @property
    def exits(self) -> list[int]:
        return [one.code for one in self.ends]

    def fired(self) -> list[tuple[int, Fault]]:
        """(process, fault) of those that its processes did to themselves."""
        faults = msgspec.json.decode((self.folder / "faults.json").read_bytes(), type=list[Fault])
        marks = [(self.folder / f"fired-{number}", fault) for number, fault in enumerate(faults)]
        return [(int(text), fault) for mark, fault in marks if mark.exists() and (text := mark.read_text())]

    def ended(self) -> None:
        """Note how its process ended."""
        assert self.process is not None
        own = frozenset(fault.what for pid, fault in self.fired() if pid == self.process.pid)
        self.ends.append(Ended(self.number, self.process.returncode, frozenset(self.told), own, self.outdated))
        self.process = None
        self.ended_s = time.monotonic()

    @property
    def refused(self) -> bool:
        """Whether its last process ended because a person must decide."""
        return self.exits[-1:] == [exits.STATE]

    @property
    def outdated(self) -> bool:
        old = self.version < versions.of(self.folder.parent) or self.plant != Path(self.settings.plant).read_bytes()
        return old or self.stranger

    @property
    def log_file(self) -> Path:
        return self.folder / "worker.log"

    def start(self) -> None:
        settings = self.settings = replace(self.settings, health_port=free_port())
        self.told.clear()
        self.version = versions.of(self.folder.parent)
        self.plant = Path(settings.plant).read_bytes()
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

    def signal(self, number: int) -> bool:
        """True when there was a process to tell."""
        if not self.alive:
            return False
        assert self.process is not None
        self.told.add(number)
        self.process.send_signal(number)
        return True

    def kill(self) -> None:
        if self.process is not None:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGKILL)
            self.process.wait()


def _move(source: Path, target: Path) -> None:
    """Raises RuntimeError where something was made in the place of what is away."""
    if target.exists():
        raise RuntimeError(f"{target} was made anew: {[path.name for path in target.iterdir()]}")
    source.rename(target)


class Crew:
    """The workers of a plan. Each one that ends is started again, as a supervisor would."""

    def __init__(self, settings: Settings, folder: Path, static: bool) -> None:
        self._settings = settings
        self._folder = folder
        self._static = static
        self.slots: list[Slot] = []
        self._waking: set[asyncio.Task[None]] = set()
        self._seen: set[tuple[int, Fault]] = set()
        self.starting = True  # a supervisor that knows of mounts starts nobody without the root
        self.doomed = False  # another topic: each worker says so and is not started again

    def add(self, faults: Sequence[Fault] = (), plant: Path | None = None) -> Slot:
        """`plant`: a wrong file."""
        number = len(self.slots)
        folder = self._folder / f"worker-{number}"
        folder.mkdir()
        (folder / "faults.json").write_bytes(msgspec.json.encode(list(faults)))
        instance = f"slot-{number}" if self._static else ""
        slot = Slot(number, replace(self._settings, instance=instance), folder)
        if plant is not None:
            slot.settings, slot.stranger = replace(slot.settings, plant=str(plant)), True
        self.slots.append(slot)
        slot.start()
        return slot

    def upgrade(self) -> None:
        """Every worker that starts from now on is of the next version."""
        versions.set_of(self._folder, versions.of(self._folder) + 1)

    @property
    def upgraded(self) -> bool:
        """Whether a worker of the newest version holds a partition."""
        newest = versions.of(self._folder)
        return any(slot.version == newest and slot.alive and slot.partitions for slot in self.slots)

    def remove(self, number: int) -> bool:
        """Ask one to go for good, unless it is the last; True when there was one to ask."""
        staying = [slot for slot in self.slots if slot.wanted]
        return len(staying) > 1 and self._send_away(staying[number % len(staying)])

    def _send_away(self, slot: Slot) -> bool:
        slot.wanted = False
        slot.signal(signal.SIGCONT)
        return slot.signal(signal.SIGTERM)

    async def living(self, number: int, limit_s: float = 10.0) -> Slot | None:
        """Worker `number` or the next one that runs, so that a fault from outside finds somebody."""
        limit = time.monotonic() + limit_s
        while time.monotonic() < limit:
            for shift in range(len(self.slots)):
                slot = self.slots[(number + shift) % len(self.slots)]
                if slot.wanted and slot.alive:
                    return slot
            await asyncio.sleep(0.1)
        return None

    async def started_anew(self, slot: Slot, *, kill: bool, limit_s: float) -> bool:
        """Let a worker end, and wait until all partitions are held again."""
        before = len(slot.ends)
        slot.signal(signal.SIGCONT)
        slot.signal(signal.SIGKILL if kill else signal.SIGTERM)
        return await self.until(lambda: len(slot.ends) > before and slot.alive and self.all_held(), limit_s)

    def all_held(self) -> bool:
        return sum(slot.partitions for slot in self.slots) == self._settings.partitions

    async def visit(self, times: int = 2, limit_s: float = 90.0) -> bool:
        """One more worker comes, takes partitions and goes, so often; True when it held some each time."""
        guest = self.add()
        for _ in range(times):
            guest.wanted = True  # so `supervise` starts it again
            if not await self.until(lambda: guest.partitions, limit_s):
                self._send_away(guest)
                return False
            await asyncio.sleep(1.0)  # some records of its own
            self._send_away(guest)
            if not await self.until(lambda: guest.process is None, limit_s):
                return False
        return True

    async def until(self, condition: Callable[[], object], limit_s: float) -> bool:
        limit = time.monotonic() + limit_s
        while time.monotonic() < limit:
            if await asyncio.to_thread(condition):
                return True
            await asyncio.sleep(0.2)
        return False

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
                outdated = slot.outdated
                slot.ended()
                if (process.returncode == exits.STATE and not outdated and not self.doomed) or len(slot.exits) > 40:
                    raise RuntimeError(f"worker {slot.number} ended with {slot.exits}")
            for slot in self.slots:
                due = self.starting and not (self.doomed and slot.refused)
                if due and slot.wanted and slot.process is None and time.monotonic() - slot.ended_s > _RESTART_AFTER_S:
                    slot.start()
            await asyncio.sleep(0.1)

    def _wake_those_that_stopped_themselves(self, slot: Slot) -> None:
        for pid, fault in slot.fired():
            if fault.what == "stop" and (slot.number, fault) not in self._seen:
                self._seen.add((slot.number, fault))
                self.sleep(slot, pid, fault.for_s)

    async def lose_root(self, for_s: float) -> bool:
        """Move the audit root away and back, as a mount that goes and comes; True when a worker has said so. Nobody
        starts meanwhile."""
        root = Path(self._settings.audit)
        away = root.with_name("audit-away")
        self.starting = False
        try:
            with contextlib.suppress(RuntimeError):
                await self.whole(limit_s=15.0)  # one that is just starting would begin another root in its place
            if not any(slot.partitions for slot in self.slots):
                return False
            before = self.said(_GONE)
            _move(root, away)
            await asyncio.sleep(for_s)
            _move(away, root)
            return self.said(_GONE) > before
        finally:
            self.starting = True

    def said(self, what: bytes) -> int:
        """How often it stands in the workers' logs."""
        return sum(slot.log_file.read_bytes().count(what) for slot in self.slots)

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
                slot.ended()
                good &= code in (0, -signal.SIGTERM)  # the latter: it had not begun
        return good

    def kill(self) -> None:
        for task in self._waking:
            task.cancel()
        for slot in self.slots:
            slot.kill()

    def fired(self) -> list[Fault]:
        """What the workers did to themselves."""
        return [fault for slot in self.slots for _, fault in slot.fired()]
