"""A store in memory that fails as object stores do, and the life of one partition's worker in front of it."""

import hashlib
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from faust.types import TP

from streams.kafka.records import Records
from streams.kafka.transport import Assigned
from streams.state.shared import SharedAudit
from streams.state.shared_snapshots import SharedSnapshots
from streams.state.store import PartitionStore
from streams.worker.processor import Processor
from tests.faults.steps import TOPIC, TP0, Life
from twin.line import PartitionTwin
from twin.plant.model import Plant
from twin.store import Found, Store, missing


class Killed(BaseException):
    """The process is gone: nothing that it would do next is done."""


class MemoryStore:
    """See `twin.store.Store`."""

    failures = 0

    def __init__(self, url: str = "s3://memory/root", objects: dict[str, bytes] | None = None, below: str = "") -> None:
        self.url = url
        self.objects = {} if objects is None else objects
        self._below = below
        self._lock = threading.Lock()

    def under(self, name: str) -> "MemoryStore":
        return MemoryStore(f"{self.url}/{name}", self.objects, f"{self._below}{name}/")

    def get(self, key: str) -> tuple[bytes, str]:
        try:
            data = self.objects[self._below + key]
        except KeyError:
            raise missing(self, key) from None
        return data, _version(data)

    def get_into(self, key: str, file: BinaryIO) -> str:
        data, version = self.get(key)
        file.write(data)
        return version

    def put_new(self, key: str, data: bytes) -> bool:
        with self._lock:
            if self._below + key in self.objects:
                return False
            self.objects[self._below + key] = data
            return True

    def replace(self, key: str, data: bytes, version: str) -> bool:
        with self._lock:
            there = self.objects.get(self._below + key)
            if there is None or _version(there) != version:
                return False
            self.objects[self._below + key] = data
            return True

    def put(self, key: str, data: bytes) -> None:
        self.objects[self._below + key] = data

    def size(self, key: str) -> int | None:
        there = self.objects.get(self._below + key)
        return None if there is None else len(there)

    def listed(self, prefix: str, after: str = "") -> list[Found]:
        begin = f"{self._below}{prefix}/" if prefix else self._below
        keys = [key.removeprefix(self._below) for key in sorted(self.objects) if key.startswith(begin)]
        data = {key: self.objects[self._below + key] for key in keys if key > after}
        return [Found(key, len(one), _version(one), 10**18) for key, one in data.items()]

    def delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            self.objects.pop(self._below + key, None)


def _version(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


WRITES = ("put_new", "replace", "put", "delete")


class Wire:
    """Between a worker and a store: counts its calls, and may end it before or behind one of them.

    `late`: what it was just writing is on its way still, and arrives when `arrive` is called. `asleep`: the worker does
    not end, but all that this does happens before the call goes on.
    """

    def __init__(
        self, at: int = -1, *, behind: bool = False, late: bool = False, asleep: Callable[[], None] | None = None
    ) -> None:
        self.calls: list[tuple[str, str]] = []
        self.fired = ""
        self._at, self._behind, self._late, self._asleep = at, behind, late, asleep
        self._under_way: list[Callable[[], object]] = []
        self._lock = threading.Lock()

    def call(self, name: str, key: str, act: Callable[[], object]) -> object:
        with self._lock:
            if self.fired and self._asleep is None:
                raise Killed
            number = len(self.calls)
            self.calls.append((name, key))
            if number == self._at:
                self.fired = f"{name} {key}"
                if self._asleep is not None:
                    self._asleep()
                    return act()
                if self._late and name in WRITES:
                    self._under_way.append(act)
                elif self._behind:
                    act()
                raise Killed
        return act()

    def arrive(self) -> None:
        for act in self._under_way:
            act()
        self._under_way = []


class Faulty:
    """A store at the end of a wire."""

    def __init__(self, store: Store, wire: Wire) -> None:
        self.url, self._store, self._wire = store.url, store, wire

    @property
    def failures(self) -> int:
        return self._store.failures

    def get(self, key: str) -> tuple[bytes, str]:
        return self._wire.call("get", key, lambda: self._store.get(key))  # type: ignore[return-value]

    def get_into(self, key: str, file: BinaryIO) -> str:
        return self._wire.call("get_into", key, lambda: self._store.get_into(key, file))  # type: ignore[return-value]

    def put_new(self, key: str, data: bytes) -> bool:
        return self._wire.call("put_new", key, lambda: self._store.put_new(key, data))  # type: ignore[return-value]

    def replace(self, key: str, data: bytes, version: str) -> bool:
        return self._wire.call("replace", key, lambda: self._store.replace(key, data, version))  # type: ignore[return-value]

    def put(self, key: str, data: bytes) -> None:
        self._wire.call("put", key, lambda: self._store.put(key, data))

    def size(self, key: str) -> int | None:
        return self._wire.call("size", key, lambda: self._store.size(key))  # type: ignore[return-value]

    def listed(self, prefix: str, after: str = "") -> list[Found]:
        return self._wire.call("listed", prefix, lambda: self._store.listed(prefix, after))  # type: ignore[return-value]

    def delete(self, keys: Sequence[str]) -> None:
        self._wire.call("delete", ",".join(keys), lambda: self._store.delete(keys))


class SharedLife(Life):
    """One process with a folder of its own, which goes with it. `commits`: what the group's broker knows."""

    def __init__(
        self,
        audit: Store,
        state: Store,
        plant: Plant,
        records: Records,
        checkpoints: int,
        commits: dict[TP, tuple[int, str]],
        *,
        waits: bool = False,
    ) -> None:
        self.place = tempfile.TemporaryDirectory(prefix="taktwin-test-")
        super().__init__(Path(self.place.name), plant, records, checkpoints, waits)
        self.commits = commits
        self.notes = self.folder
        self.before_commit: list[Callable[[], None]] = []
        self.fenced: Callable[[], bool] = lambda: False
        self._store = PartitionStore(
            plant=plant,
            twin=PartitionTwin,
            snapshots=SharedSnapshots(state),
            audit=self.folder,
            keep=1,
            code_version="test",
            publish_after_s=1e9 if waits else 0.0,
            shared=SharedAudit(audit, self.folder),
        )
        self._processor = Processor(plant, TOPIC)

    def assigned(self) -> Assigned:
        committed, metadata = self.commits.get(TP0, (None, ""))
        return Assigned(committed, metadata, 0, len(self._records), 1)

    def commit(self, saved: tuple[int, str]) -> None:
        if self.fenced():
            raise Killed
        for arrive in self.before_commit:
            arrive()
        self.commits[TP0] = saved
