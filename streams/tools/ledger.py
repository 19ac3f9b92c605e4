"""What was fed: the compacted topic `twin.fed`, by which a feed goes on where the last one ended.

A record per station holds its next number, one per line where its last log closed it, one per run which files it sent
and how far it has come. All are written before the events they speak of: after a kill the events that were on their way
are sent again under the same numbers, which the twin takes as repeats. Whoever numbers events asks here first, so that
feeds one after the other, and one that follows a folder beside them, do not use a number twice.
"""

import asyncio
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec
import numpy as np
import numpy.typing as npt
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from msgspec.structs import replace

from kernels.codes import HEARTBEAT
from streams import clock
from streams.kafka.access import connection
from streams.kafka.reading import to_the_end
from streams.kafka.topics import FED
from streams.settings import Settings
from streams.tools.follow import Follower
from twin.events.block import EventBlock, pick
from twin.events.declare import END_OF_LOG
from twin.plant.model import Plant
from twin.sources.blocks import compact, empty
from twin.sources.merge import Logs, Numbers
from twin.sources.source import Batch
from twin.time.rfc3339 import parse_rfc3339, rfc3339

I64 = npt.NDArray[np.int64]

_STATION: Final = "station "
_LINE: Final = "line "
_RUN: Final = "run "
_PIECE_BYTES: Final = 1 << 20


class LedgerError(RuntimeError):
    """The ledger cannot be read, or says that this must not be sent: what, and what to do."""


class StationFed(msgspec.Struct, frozen=True, kw_only=True):
    """The next number of a station, or (`station` None) of the line's own events."""

    line: str
    station: str | None
    epoch: int
    next: int


class LineFed(msgspec.Struct, frozen=True, kw_only=True):
    """Where the feeds of a line stand. Times as RFC 3339, as text: JavaScript rounds the integers."""

    line: str
    newest: str | None = None  # the newest event that was sent
    closed: str | None = None  # the heartbeat that ended its last log
    by: str = ""  # the log that closed it


class FileFed(msgspec.Struct):
    name: str
    bytes: int
    sha256: str


class RunFed(msgspec.Struct, frozen=True, kw_only=True):
    """One `twin feed` of some files: `events` and `refused` the broker has; up to `claimed` they were on their way."""

    files: list[FileFed]
    done: bool = False
    events: int = 0
    refused: int = 0
    claimed: int = 0
    claimed_refused: int = 0
    next: list[StationFed] = []  # of the stations of those on their way, before they got their numbers
    first: str | None = None  # time of the oldest event, and of the newest
    last: str | None = None
    offsets: dict[str, tuple[int, int]] = {}  # by partition of the events topic: the first, and the one behind the last
    at: str = ""  # when it was last written, by the feeder's clock

    @property
    def names(self) -> str:
        return ", ".join(file.name for file in self.files)


class Ledger:
    """The topic's content, kept up with while it is open, for one plant."""

    def __init__(self, settings: Settings, plant: Plant) -> None:
        self._settings, self._plant = settings, plant
        self.topic: Final = settings.topic(FED)
        self.lines: dict[str, LineFed] = {}
        self.runs: dict[str, RunFed] = {}
        self._next: dict[tuple[str, str | None], StationFed] = {}
        # As Numbers has them: stations in the order of the plant, then the lines' own events.
        self._owner: list[tuple[str, str | None]] = [
            *((line.id, station.id) for line in plant.lines for station in line.stations),
            *((line.id, None) for line in plant.lines),
        ]
        self._reading = asyncio.Lock()

    async def __aenter__(self) -> Self:
        """Raises LedgerError where the topic is missing, KafkaError."""
        self._loop = asyncio.get_running_loop()
        self._consumer = AIOKafkaConsumer(**connection(self._settings), enable_auto_commit=False)
        self._producer = AIOKafkaProducer(**connection(self._settings), enable_idempotence=True, acks="all")
        await self._consumer.start()
        try:
            await self._producer.start()
            found = (await self._producer.client.fetch_all_metadata()).partitions_for_topic(self.topic)
            if not found:
                raise LedgerError(
                    f"topic {self.topic}, which remembers what was fed, is missing at {self._settings.bootstrap}: run "
                    "`twin topics apply`"
                )
            places = [TopicPartition(self.topic, partition) for partition in found]
            self._consumer.assign(places)
            await self._consumer.seek_to_beginning(*places)
            await self.refresh()
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._consumer.stop()
        await self._producer.stop()

    async def refresh(self) -> None:
        """Read what has come meanwhile."""
        async with self._reading:
            async for record in to_the_end(self._consumer):
                self.take(record.key, record.value)

    def refresh_from_thread(self) -> None:
        asyncio.run_coroutine_threadsafe(self.refresh(), self._loop).result()

    def record_from_thread(self, run_id: str, run: RunFed) -> None:
        asyncio.run_coroutine_threadsafe(self.claim(empty(), "", (run_id, run)), self._loop).result()

    def take(self, key: bytes | None, value: bytes | None) -> None:
        """One record of the topic. Raises LedgerError for one that is none of ours."""
        name = (key or b"").decode("utf-8", "replace")
        if value is None:  # forgotten by hand
            self._next = {of: one for of, one in self._next.items() if _key(one) != name}
            self.lines.pop(name.removeprefix(_LINE), None)
            self.runs.pop(name.removeprefix(_RUN), None)
            return
        try:
            if name.startswith(_STATION):
                self._take_next(msgspec.json.decode(value, type=StationFed))
            elif name.startswith(_LINE):
                self.lines[name.removeprefix(_LINE)] = msgspec.json.decode(value, type=LineFed)
            elif name.startswith(_RUN):
                self.runs[name.removeprefix(_RUN)] = msgspec.json.decode(value, type=RunFed)
        except msgspec.MsgspecError as error:
            raise LedgerError(
                f"{self.topic}: the record of {name!r} cannot be read ({error}); send one without a value under this "
                "key, and feeds forget it (the numbers of a station then begin at 0 again)"
            ) from None

    def _take_next(self, one: StationFed) -> None:
        known = self._next.get((one.line, one.station))
        if known is None or (known.epoch, known.next) < (one.epoch, one.next):
            self._next[one.line, one.station] = one

    def numbers(self) -> Numbers:
        """Epoch and next number of each station of the plant, and of each line's own events."""
        found = Numbers(len(self._owner))
        self.set(found, self._next.values())
        return found

    def set(self, numbers: Numbers, of: Iterable[StationFed]) -> None:
        slots = {owner: slot for slot, owner in enumerate(self._owner)}
        for one in of:
            slot = slots.get((one.line, one.station))
            if slot is not None:
                numbers.epoch[slot], numbers.next[slot] = one.epoch, one.next

    def named(self, numbers: Numbers, block: EventBlock) -> list[StationFed]:
        """The numbers of the stations that these events are of."""
        slots = np.unique(numbers.slots(block, len(self._plant.stations))).tolist()
        return [
            StationFed(line=line, station=station, epoch=int(numbers.epoch[slot]), next=int(numbers.next[slot]))
            for slot in slots
            for line, station in [self._owner[slot]]
        ]

    def known(self, files: Iterable[FileFed]) -> dict[str, RunFed]:
        """Of files that were in a run before, by their hash, the newest run."""
        wanted = {file.sha256 for file in files}
        runs = sorted(self.runs.values(), key=lambda run: run.at)
        return {file.sha256: run for run in runs for file in run.files if file.sha256 in wanted}

    def closed_ns(self) -> I64:
        """Per line: what is older is late, because a log of the line has ended behind it; 0 where none has."""
        found = np.zeros(len(self._plant.lines), np.int64)
        for number, line in enumerate(self._plant.lines):
            fed = self.lines.get(line.id)
            if fed is not None and fed.closed is not None:
                found[number] = parse_rfc3339(fed.closed) - line.lateness_ns
        return found

    async def claim(self, block: EventBlock, by: str, run: tuple[str, RunFed] | None = None) -> None:
        """Say that these events of the log `by` go out now; with a run, also how far it has come."""
        told: list[StationFed | LineFed] = [*self._next_of(block), *self._lines_of(block, by)]
        records = [(_key(one), msgspec.json.encode(one)) for one in told]
        if run is not None:
            records.append((_RUN + run[0], msgspec.json.encode(run[1])))
        acknowledged = [await self._producer.send(self.topic, value, key=key.encode()) for key, value in records]
        await asyncio.gather(*acknowledged)
        for key, value in records:
            self.take(key.encode(), value)

    def _next_of(self, block: EventBlock) -> Iterator[StationFed]:
        slots = Numbers.slots(block, len(self._plant.stations))
        for slot in np.unique(slots[block.seq >= 0]).tolist():
            rows = (slots == slot) & (block.seq >= 0)
            epoch = int(block.epoch[rows].max())
            following = int(block.seq[rows & (block.epoch == epoch)].max()) + 1
            line, station = self._owner[slot]
            known = self._next.get((line, station))
            if known is None or (known.epoch, known.next) < (epoch, following):
                yield StationFed(line=line, station=station, epoch=epoch, next=following)

    def _lines_of(self, block: EventBlock, by: str) -> Iterator[LineFed]:
        end = block.words.index(END_OF_LOG) if END_OF_LOG in block.words else -2
        ended = (block.type == HEARTBEAT) & (block.y == end)
        for number in np.unique(block.line).tolist():
            mine, line = block.line == number, self._plant.lines[number].id
            known = self.lines.get(line, LineFed(line=line))
            closed = _latest(known.closed, block.ts[mine & ended])
            by_now = by if closed != known.closed else known.by
            yield LineFed(line=line, newest=_latest(known.newest, block.ts[mine & ~ended]), closed=closed, by=by_now)


def without_offsets(key: bytes, value: bytes) -> bytes:
    """A record of the topic for the topic of another prefix, whose events lie at other offsets."""
    if not key.startswith(_RUN.encode()):
        return value
    return msgspec.json.encode(replace(msgspec.json.decode(value, type=RunFed), offsets={}))


class Run:
    """The batches of logs as one run: behind what the broker has of it, under numbers that nobody has used."""

    def __init__(self, logs: Logs, ledger: Ledger, files: list[FileFed], run_id: str) -> None:
        self._logs, self._ledger = logs, ledger
        self.id: Final = run_id
        known = ledger.runs.get(run_id)
        self.fed = known if known is not None and not known.done else RunFed(files=files)
        self.resumed: Final = self.fed is known
        self._before = Numbers(0)
        self._on_its_way = (0, 0)

    def __iter__(self) -> Iterator[Batch]:
        begun = self.fed
        skip, skip_refused = begun.events, begun.refused
        done = 0
        batches = iter(self._logs)
        while True:
            self._ledger.refresh_from_thread()
            numbers = self._ledger.numbers()
            if done < begun.claimed:
                # Those that were on their way go again as they went.
                self._ledger.set(numbers, begun.next)
            self._before = numbers.copy()
            self._logs.numbers = numbers
            batch = next(batches, None)
            if batch is None:
                return
            block, refused = batch
            done += len(block)
            there, there_refused = min(skip, len(block)), min(skip_refused, len(refused))
            skip, skip_refused = skip - there, skip_refused - there_refused
            block = compact(pick(block, slice(there, None))) if there else block
            if len(block) or len(refused) > there_refused:
                yield block, refused[there_refused:]

    async def claim(self, block: EventBlock, refused: int) -> None:
        """Before a batch goes out, when all before it is there."""
        fed = self.fed
        self._on_its_way = len(block), refused
        self.fed = replace(
            fed,
            claimed=fed.events + len(block),
            claimed_refused=fed.refused + refused,
            next=self._ledger.named(self._before, block) if len(block) else [],
            first=_earliest(fed.first, block.ts),
            last=_latest(fed.last, block.ts),
            at=now(),
        )
        await self._ledger.claim(block, fed.names, (self.id, self.fed))

    def sent(self) -> None:
        """The broker has the batch."""
        events, refused = self._on_its_way
        self.fed = replace(self.fed, events=self.fed.events + events, refused=self.fed.refused + refused)

    async def end(self, spans: dict[int, tuple[int, int]]) -> None:
        """All of it is there, at these offsets."""
        known = {str(partition): span for partition, span in sorted(spans.items())}
        self.fed = replace(self.fed, done=True, next=[], offsets=known, at=now())
        await self._ledger.claim(empty(), "", (self.id, self.fed))


class Following:
    """What a feed that follows a folder and all others know of each other; the journal of its batches."""

    def __init__(self, ledger: Ledger, folder: Path) -> None:
        self._ledger, self._folder = ledger, folder
        self._follower: Follower | None = None

    def follow(self, follower: Follower) -> None:
        self._follower = follower

    def numbers(self) -> Numbers:
        self._ledger.refresh_from_thread()
        return self._ledger.numbers()

    def sent_before(self, path: Path) -> str | None:
        file = fingerprint(path)
        run = self._ledger.known([file]).get(file.sha256)
        return f"as {run.names} at {run.at}" if run is not None and run.done else None

    def sent_now(self, path: Path, size: int) -> None:
        run = RunFed(files=[fingerprint(path, size)], done=True, at=now())
        self._ledger.record_from_thread(f"follow {self._folder / path.name}", run)

    async def claim(self, block: EventBlock, refused: int) -> None:
        await self._ledger.claim(block, str(self._folder))

    def sent(self) -> None:
        if self._follower is not None:
            self._follower.sent()

    async def end(self, spans: dict[int, tuple[int, int]]) -> None: ...


def fingerprint(path: Path, most: int | None = None) -> FileFed:
    """Name, size and SHA-256 of a file, or of its first `most` bytes; of a folder, of all files in it."""
    hashed, size = hashlib.sha256(), 0
    for file in sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]:
        with file.open("rb") as opened:
            while piece := opened.read(_PIECE_BYTES if most is None else min(_PIECE_BYTES, most - size)):
                hashed.update(piece)
                size += len(piece)
    return FileFed(path.name, size, hashed.hexdigest())


def run_key(files: Sequence[FileFed], key: str) -> str:
    """Of these files in this order, read under this plant and mapping: else a number of events means something else."""
    return hashlib.sha256("\0".join([key, *(file.sha256 for file in files)]).encode()).hexdigest()[:32]


def _key(one: StationFed | LineFed) -> str:
    if isinstance(one, LineFed):
        return _LINE + one.line
    return _STATION + msgspec.json.encode([one.line, one.station]).decode()


def now() -> str:
    return rfc3339(clock.now_ns() // 1_000_000_000 * 1_000_000_000)


def _latest(known: str | None, ts: I64) -> str | None:
    if not len(ts):
        return known
    newest = int(ts.max())
    return known if known is not None and parse_rfc3339(known) >= newest else rfc3339(newest)


def _earliest(known: str | None, ts: I64) -> str | None:
    if not len(ts):
        return known
    oldest = int(ts.min())
    return known if known is not None and parse_rfc3339(known) <= oldest else rfc3339(oldest)
