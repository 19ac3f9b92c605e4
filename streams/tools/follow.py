"""Following a folder: the files that a gateway writes, as they appear and grow, each event sent once.

Where it was stands in a small file, written before events are sent and again after the broker has them. After a kill
the events that were on their way are read and sent again under the same numbers, which the twin takes as repeats. So
the place in a file is a number of events, not of bytes: reading a file again from its beginning gives the same events
(twin.sources), whatever was remembered between its rows.
"""

import hashlib
import itertools
import logging
import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Protocol

import msgspec
import numpy as np

from streams import clock
from streams.state import files
from twin.events.block import EventBlock, Rejected, pick
from twin.plant import PlantError
from twin.plant.model import Plant
from twin.sources import LogPath, Mapping, SourceError, open_log
from twin.sources.blocks import compact, empty, join
from twin.sources.chain import Chain, begun_before
from twin.sources.mapping import CsvMapping
from twin.sources.merge import Numbers
from twin.sources.source import Batch, Source, Stage
from twin.sources.summary import Summary, merged

log: Final = logging.getLogger(__name__)
STATE_NAME: Final = ".twin-feed.json"
_HEAD_BYTES: Final = 1024  # of a file's beginning, to know it again
_UNFINISHED: Final = (".tmp", ".part", ".partial", ".crdownload", ".lock", "~")  # names that others write under
_PACKED: Final = (".gz", ".zst", ".zip", ".xlsx", ".xlsm", ".xlsb", ".xls", ".ods", ".parquet")
_LEAST_CHUNK: Final = 1024
_MOST_CHUNKS: Final = 4096
_REST: Final = 10  # times as long as a file took to read, before it is read again


@dataclass(slots=True)
class Content:
    """What a file held: CRC-32 of each `chunk` bytes and of the rest, at most some thousands."""

    size: int
    chunk: int
    sums: bytes

    @classmethod
    def of(cls, path: Path, size: int, chunk: int | None = None) -> "Content":
        if chunk is None:
            chunk = _LEAST_CHUNK
            while size > _MOST_CHUNKS * chunk:
                chunk *= 2
        sums, left = bytearray(), size
        with path.open("rb") as file:
            while left > 0 and (data := file.read(min(chunk, left))):
                sums += zlib.crc32(data).to_bytes(4, "little")
                left -= len(data)
        return cls(size - left, chunk, bytes(sums))

    def shared(self, path: Path, size: int) -> int:
        """How many bytes a file of this size has in common with it, in whole chunks; all of it: its size."""
        other = Content.of(path, min(size, self.size), self.chunk)
        if other == self:
            return self.size
        whole = min(size, self.size) // self.chunk
        pairs = ((self.sums[4 * k : 4 * k + 4], other.sums[4 * k : 4 * k + 4]) for k in range(whole))
        return self.chunk * sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


@dataclass(slots=True)
class Followed:
    """One file: who it is, and how many of its events and refused records the broker has."""

    name: str
    inode: int
    head: bytes = b""  # its first bytes
    mark: str = ""  # of states written by earlier versions: hash of its first `marked` bytes
    marked: int = 0
    events: int = 0
    refused: int = 0
    size: int = -1  # when it was last read
    stations: list[int] = field(default_factory=list)
    done: bool = False
    content: Content | None = None  # as it was last read
    cut_from: int = 0  # bytes that it had before it was cut to a part of them


@dataclass(slots=True)
class Pending:
    """What was about to be sent: events and refusals of a file from its counts on, and the numbers they got."""

    file: int
    events: int
    refused: int
    stage: str
    next_seq: dict[str, int]
    epoch: int = 0  # 0: that of the state
    then: int = -1  # the file that continues it; -1: none


@dataclass(slots=True)
class State:
    key: str  # of plant and mapping: under others a number of events means something else
    epoch: int
    next_seq: dict[str, int] = field(default_factory=dict)  # by station (or line) index of the plant
    files: list[Followed] = field(default_factory=list)
    pending: Pending | None = None


class Fed(Protocol):
    """What all feeders know of each other (streams.tools.ledger)."""

    def numbers(self) -> Numbers:
        """Epoch and next number of each station, as of now."""

    def sent_before(self, path: Path) -> str | None:
        """When and by whom a file of this content was sent."""

    def sent_now(self, path: Path, size: int) -> None:
        """So much of a file was sent."""


class Follower:
    """Batches of the files of a folder, without an end; `sent` says that the broker has the last one.

    A file that another one continues (it speaks of a station of it) is read to its end first, with what its end closes.
    Files that are packed, or whose events are sorted, are taken when they have not changed between two looks.
    """

    def __init__(
        self,
        folder: Path,
        plant: Plant,
        choose: Callable[[Path], Mapping | None],
        *,
        key: str,
        state: Path | None = None,
        pattern: str = "*",
        pause_s: float = 1.0,
        ends: bool = False,
        fed: Fed | None = None,
    ) -> None:
        self._folder, self._pattern = folder, pattern
        self._plant = plant
        self._choose = choose
        self._path = state or folder / STATE_NAME
        self._pause_s = pause_s
        self._ends = ends  # when nothing is new: for tests, and to take what is there
        self._fed = fed
        self._stop = threading.Event()
        self._state = self._load(key)
        self._sizes: dict[int, int] = {}
        self._next_look_s: dict[int, float] = {}
        self._done: list[Summary] = []
        self._current: dict[int, Summary] = {}

    @property
    def summary(self) -> Summary:
        """What has become of the files so far (of those that grow: as last read, from their beginning)."""
        return merged([*self._done, *self._current.values()])

    def stop(self) -> None:
        self._stop.set()

    def __iter__(self) -> Iterator[Batch]:
        if self._state.pending is not None:
            yield from self._again(self._state.pending)
        while not self._stop.is_set():
            any_new = False
            for batch in self._look():
                any_new = True
                yield batch
            if self._ends and not any_new:
                return
            if not any_new:
                self._stop.wait(self._pause_s)

    def sent(self) -> None:
        """The broker has the last batch."""
        pending = self._state.pending
        if pending is None:
            return
        file = self._state.files[pending.file]
        file.events, file.refused = file.events + pending.events, file.refused + pending.refused
        self._state.pending = None
        self._save()

    def _look(self) -> Iterator[Batch]:
        for index, path, size in self._identified():
            if self._stop.is_set():
                return
            file = self._state.files[index]
            settled = self._sizes.get(index) == size
            self._sizes[index] = size
            if file.done:
                if size != file.size:
                    log.warning("%s: grew after another file continued it; what was added is not read", path)
                    file.size = size
                continue
            if size == file.size or clock.monotonic_s() < self._next_look_s.get(index, 0.0):
                continue
            if file.cut_from and self._still_cut(path, size, file):
                continue
            stage: Stage = None if self._whole(path) else "growing"
            if stage is None and not settled and not self._ends:
                continue
            begun = clock.monotonic_s()
            try:
                before = file.events
                yield from self._read(index, path, stage)
                file.done = stage is None
                if self._fed is not None and file.events > before:
                    self._fed.sent_now(path, size)
            except (SourceError, PlantError) as error:
                # One file that cannot be read does not end the others.
                log.warning("%s", error)
            file.size = size
            file.content = Content.of(path, size)
            self._save()
            self._next_look_s[index] = clock.monotonic_s() + _REST * (clock.monotonic_s() - begun)

    def _identified(self) -> list[tuple[int, Path, int]]:
        """(file of the state, path, size) in the order of reading; who was renamed is known before who is new."""
        paths, found = self._paths(), []
        sizes = {}
        for path in paths:
            try:
                status = path.stat()
            except OSError:
                continue  # renamed meanwhile: the next look finds it under its new name
            sizes[path] = (status.st_size, status.st_ino)
        left = []
        for path, (size, inode) in sizes.items():
            index = self._same(path, size, inode=inode)
            if index is None:
                left.append(path)
            else:
                self._state.files[index].name = path.name
                found.append((index, path, size))
        taken = {index for index, *_ in found}
        for path in left:
            size, inode = sizes[path]
            index = self._same(path, size, name=path.name)
            if index is None or index in taken:
                self._state.files.append(Followed(path.name, inode, _head(path)))
                index = len(self._state.files) - 1
                self._known(path, self._state.files[index])
            self._state.files[index].inode = inode
            found.append((index, path, size))
        return sorted(found)

    def _paths(self) -> list[Path]:
        found = [path for path in self._folder.glob(self._pattern) if path.is_file()]
        found = [path for path in found if not path.name.startswith(".") and not path.name.endswith(_UNFINISHED)]
        order = {file.name: i for i, file in enumerate(self._state.files)}
        return sorted(found, key=lambda path: (order.get(path.name, len(order)), path.name))

    def _whole(self, path: Path) -> bool:
        mapping = self._choose(path)
        sorts = isinstance(mapping, CsvMapping) and (mapping.sort or mapping.own_times)
        return sorts or path.name.lower().endswith(_PACKED)

    def _same(self, path: Path, size: int, inode: int | None = None, name: str | None = None) -> int | None:
        """The newest file of the state with this inode or name, where it begins as this one does."""
        for i, file in reversed(list(enumerate(self._state.files))):
            if file.inode != inode and file.name != name:
                continue
            head = _head(path)
            same = head.startswith(file.head[: len(head)]) and (file.head or _hash(head[: file.marked]) == file.mark)
            if not same or (size < file.size and not self._is_cut(path, size, file)):
                log.warning("%s: was cut or replaced; it is read as a new file", path)
                file.inode, file.name, file.done = -1, "", True
                return None
            if not file.cut_from:  # else what it was before shows whether it is that again
                file.head = head
            return i
        return None

    def _is_cut(self, path: Path, size: int, file: Followed) -> bool:
        """Whether a shorter file that begins alike is a part of what was read: none of that is sent again."""
        if path.name.lower().endswith(_PACKED):
            return False
        if file.done:
            log.warning("%s: was cut; all of it was sent before, and nothing is sent again", path)
            file.size = size
            return True
        if file.content is None or size // file.content.chunk * file.content.chunk > file.content.shared(path, size):
            return False
        log.warning(
            "%s: was cut; what it holds was sent before and is not sent again, nor is what is gone taken back", path
        )
        file.cut_from, file.size = file.size, size
        self._save()
        return True

    def _still_cut(self, path: Path, size: int, file: Followed) -> bool:
        """Of a file that was cut: whether it is a part of what was read still. Else what is new in it is to be read."""
        assert file.content is not None
        shared = file.content.shared(path, size)
        if size < file.cut_from and shared == size // file.content.chunk * file.content.chunk:
            file.size = size
            return True
        if shared < file.content.size:
            file.events, file.refused = self._count(path, shared)
            log.warning("%s: is no longer what it was before it was cut; from byte %d on it is sent", path, shared)
        file.cut_from = 0
        return False

    def _known(self, path: Path, file: Followed) -> None:
        """A file that another feed has sent is not sent again, but what is added to it is."""
        by = self._fed.sent_before(path) if self._fed is not None else None
        if by is None:
            return
        log.warning("%s: was sent before, %s; it is not sent again, what is added to it is", path, by)
        if self._whole(path):
            file.done, file.size = True, path.stat().st_size
            return
        file.events, file.refused = self._count(path)
        file.size = path.stat().st_size
        file.content = Content.of(path, file.size)
        self._save()

    def _count(self, path: Path, size: int | None = None) -> tuple[int, int]:
        """Events and refused records of a file as it is, or of its first bytes."""
        if size is not None:
            with TemporaryDirectory() as folder:
                part = Path(folder) / path.parent.name / path.name  # a mapping may speak of these names
                part.parent.mkdir(exist_ok=True)
                with path.open("rb") as whole:
                    part.write_bytes(whole.read(size))
                return self._count(part)
        events = refused = 0
        for block, bad in open_log(LogPath(path), self._plant, self._choose(path), "growing"):
            events, refused = events + len(block), refused + len(bad)
        return events, refused

    def _go_on(self) -> None:
        """Under numbers that no other feed has used meanwhile."""
        if self._fed is None:
            return
        state, known = self._state, self._fed.numbers()
        newest = int(known.epoch.max(initial=0))
        if newest > state.epoch:
            state.epoch, state.next_seq = newest, {}
        for slot in np.flatnonzero((known.epoch == state.epoch) & (known.next > 0)).tolist():
            state.next_seq[str(slot)] = max(state.next_seq.get(str(slot), 0), int(known.next[slot]))

    def _read(self, index: int, path: Path, stage: Stage) -> Iterator[Batch]:
        """What a file holds beyond what was sent; first the rest of the files it continues."""
        file = self._state.files[index]
        chain = Chain(hands_over=False)
        link = chain.link()
        source = open_log(LogPath(path), self._plant, self._choose(path), stage, link=link)
        self._current[index] = source.summary
        for block, refused in _beyond(source, file.events, file.refused):
            mine = set(np.unique(block.station[block.station >= 0]).tolist())
            for other, older in enumerate(self._state.files[:index]):
                if not older.done and other != index and mine & set(older.stations):
                    yield from self._finish(other, chain, index)
            block = begun_before(block, link)
            file.stations = sorted(mine | set(file.stations))
            yield self._numbered(index, source, block, refused, stage)
        if stage is None:
            self._done.append(self._current.pop(index))

    def _finish(self, index: int, chain: Chain, then: int) -> Iterator[Batch]:
        """The rest of a file that another one (`then`) continues, and what its end closes: what is open goes on."""
        file = self._state.files[index]
        path = self._folder / file.name
        if path.exists() and not self._whole(path):
            source = open_log(LogPath(path), self._plant, self._choose(path), "complete", link=chain.link())
            self._current.pop(index, None)
            for block, refused in _beyond(source, file.events, file.refused):
                yield self._numbered(index, source, block, refused, "complete", then)
            self._done.append(source.summary)
            file.size = path.stat().st_size
        file.done = True
        self._save()

    def _numbered(
        self, index: int, source: Source, block: EventBlock, refused: list[Rejected], stage: Stage, then: int = -1
    ) -> Batch:
        """Give a batch its numbers, and write down that it is on its way."""
        self._go_on()
        before, epoch = dict(self._state.next_seq), self._state.epoch
        if not source.numbered and len(block):
            block = self._number(block, epoch)
        self._state.pending = Pending(index, len(block), len(refused), stage or "", before, epoch, then)
        self._save()
        return block, refused

    def _number(self, block: EventBlock, epoch: int) -> EventBlock:
        block = pick(block, slice(None))
        slots = Numbers.slots(block, len(self._plant.stations))
        block.seq, block.epoch = block.seq.copy(), np.full(len(block), epoch, np.int64)
        for slot in np.unique(slots).tolist():
            rows = np.flatnonzero(slots == slot)
            first = self._state.next_seq.get(str(slot), 0)
            block.seq[rows] = np.arange(first, first + len(rows))
            self._state.next_seq[str(slot)] = first + len(rows)
        return block

    def _again(self, pending: Pending) -> Iterator[Batch]:
        """Send what was on its way when this process ended, under the same numbers."""
        file = self._state.files[pending.file]
        path = self._folder / file.name
        if not path.exists():
            raise SourceError(
                f"{path}: is gone, and {pending.events:,} of its events may not have been sent; bring it back, or "
                f"remove {self._path} to begin anew"
            )
        stage: Stage = "growing" if pending.stage == "growing" else "complete" if pending.stage else None
        chain = Chain(hands_over=False)
        if pending.then >= 0 and (after := self._folder / self._state.files[pending.then].name).exists():
            # How it goes on decides what this one's end closes.
            next(iter(open_log(LogPath(after), self._plant, self._choose(after), "growing", link=chain.link())), None)
        source = open_log(LogPath(path), self._plant, self._choose(path), stage, link=chain.link())
        now = dict(self._state.next_seq)
        self._state.next_seq = dict(pending.next_seq)
        parts: list[EventBlock] = []
        refusals: list[Rejected] = []
        left = pending.events
        for block, refused in _beyond(source, file.events, file.refused):
            parts.append(pick(block, slice(0, left)))
            left -= len(parts[-1])
            refusals += refused
            if left <= 0 and len(refusals) >= pending.refused:
                break
        # As one batch, as they went: what confirms it confirms all of it.
        whole = compact(join(parts)) if parts else empty()
        if not source.numbered and len(whole):
            whole = self._number(whole, pending.epoch or self._state.epoch)
        if pending.epoch and pending.epoch != self._state.epoch:
            self._state.next_seq = now
        yield whole, refusals[: pending.refused]

    def _load(self, key: str) -> State:
        try:
            state = msgspec.json.decode(self._path.read_bytes(), type=State)
        except FileNotFoundError:
            return State(key, clock.now_ns() // 1_000_000_000)
        except (msgspec.DecodeError, OSError) as error:
            raise SourceError(
                f"{self._path}: cannot be read ({error}); restore it, or remove it to begin anew"
            ) from None
        if state.key != key:
            raise SourceError(
                f"{self._path}: was written under another plant or mapping; go on under that, or name a new --state "
                "(then every file is sent from its beginning)"
            )
        return state

    def _save(self) -> None:
        files.replace(self._path, msgspec.json.encode(asdict(self._state)))


def _beyond(source: Source, events: int, refused: int) -> Iterator[Batch]:
    """The batches of a log behind its first events and refusals."""
    for block, bad in source:
        skip, skip_bad = min(events, len(block)), min(refused, len(bad))
        events, refused = events - skip, refused - skip_bad
        block, bad = compact(pick(block, slice(skip, None))) if skip else block, bad[skip_bad:]
        if len(block) or bad:
            yield block, bad


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD_BYTES)


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def key_of(plant: Plant, mappings: list[str]) -> str:
    """What the numbers of events in a state depend on."""
    return hashlib.sha256("\0".join([plant.hash, *mappings]).encode()).hexdigest()[:16]
