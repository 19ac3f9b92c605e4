"""A worker that meets faults: patches the operating system's calls, then runs `twin worker` as it is.

    python -m tests.faults.sabotage FILE        FILE: JSON with the faults of this worker

Every file operation of a checkpoint and the commit are counted by place (`tests.faults.plan.STEPS`). A fault that is
due leaves a mark beside FILE first, so that it happens once and not again after the restart. When the harness has
written `calm` there, nothing happens any more.
"""

import errno
import io
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tests.faults import versions
from tests.faults.plan import Fault


class Saboteur:
    """Counts steps and does what is due. `hit(step, path)` is called before a step, `after(step, path)` behind it."""

    def __init__(self, faults: Sequence[Fault], marks: Path | None, do: Callable[[Fault], None] | None = None) -> None:
        self.steps: Counter[str] = Counter()
        self.records = 0
        self.total = 0
        self._faults = list(enumerate(faults))
        self._marks = marks
        self._lock = threading.Lock()
        self._do = do or self._signal
        self.trace: list[str] = []

    def hit(self, step: str, path: str) -> Fault | None:
        """Count a step. Returns the fault that is due and needs the caller: short, cut or flip."""
        with self._lock:
            self.steps[step] += 1
            self.total += 1
            self.trace.append(step)
            due = self._due(
                lambda f: (f.step == step and f.nth == self.steps[step]) or (f.step == "any" and f.nth == self.total)
            )
        return self._act(due, path)

    def consumed(self, number: int) -> None:
        with self._lock:
            self.records += number
            due = self._due(lambda f: 0 < f.records <= self.records)
        self._act(due, "")

    def _due(self, matches: Callable[[Fault], bool]) -> Fault | None:
        for number, fault in self._faults:
            if not matches(fault):
                continue
            if self._marks is not None:
                mark = self._marks / f"fired-{number}"
                if mark.exists() or (self._marks / "calm").exists():
                    continue
                mark.write_text(str(os.getpid()))
            else:
                self._faults.remove((number, fault))
            return fault
        return None

    def _act(self, fault: Fault | None, path: str) -> Fault | None:
        if fault is None:
            return None
        if fault.what == "enospc":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        if fault.what == "eio":
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)
        if fault.what in ("short", "cut", "flip"):
            return fault
        self._do(fault)
        return None

    def _signal(self, fault: Fault) -> None:
        number = {"kill": signal.SIGKILL, "term": signal.SIGTERM, "stop": signal.SIGSTOP}[fault.what]
        os.kill(os.getpid(), number)


def step_of(path: str, operation: str) -> str | None:
    """The place of a path in the protocol; None: no business of ours."""
    if path.endswith(".lock"):
        return None
    name = Path(path).name
    if name == ".staging":
        return f"stage.{operation}"
    if "/.staging/" in path:
        return f"stage.{operation}" if operation != "unlink" else "discard.unlink"
    if "/_files/" in path or path.endswith("/_files"):
        return f"list.{operation}" if operation != "unlink" else "discard.unlink"
    if "/_waiting/" in path or path.endswith("/_waiting"):
        return f"waiting.{operation}" if operation != "unlink" else "discard.unlink"
    if "/_models/" in path or path.endswith("/_models"):
        return f"model.{operation}"
    if "/_state/" in path and name.startswith("note-"):
        return f"note.{operation}"
    if "/_state/" in path or path.endswith("/_state"):
        return f"snapshot.{operation}" if operation != "unlink" else "discard.unlink"
    if "/date=" in path:
        return f"publish.{operation}"
    return None


def damage(fault: Fault, path: str) -> None:
    """cut: the second half is gone, as after a power cut on a disk that lied, and the process too. flip: one bit."""
    data = bytearray(Path(path).read_bytes())
    if fault.what == "cut":
        os.truncate(path, len(data) // 2)
        os.kill(os.getpid(), signal.SIGKILL)
    data[len(data) * 2 // 3] ^= 0x10
    with io.open(path, "r+b") as file:  # noqa: UP020  `open` may be patched
        file.write(data)


def patch(saboteur: Saboteur) -> None:
    """Put the saboteur before every file operation of the audit writer and the snapshot store."""
    names: dict[int, str] = {}
    real_open, real_write, real_fsync = os.open, os.write, os.fsync
    real_replace, real_unlink, real_mkdir, real_path_open = os.replace, os.unlink, os.mkdir, Path.open

    def hit(path: Any, operation: str) -> Fault | None:
        step = step_of(os.fspath(path), operation)
        return saboteur.hit(step, os.fspath(path)) if step is not None else None

    def open_(path: Any, flags: int, *rest: Any, **named: Any) -> int:
        if flags & os.O_CREAT:
            hit(path, "open")
        descriptor = real_open(path, flags, *rest, **named)
        names[descriptor] = os.fspath(path)
        return descriptor

    def write(descriptor: int, data: Any) -> int:
        fault = hit(names.get(descriptor, ""), "write")
        if fault is not None and fault.what == "short":
            real_write(descriptor, memoryview(data).cast("B")[: len(data) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), names[descriptor])
        return real_write(descriptor, data)

    def fsync(descriptor: int) -> None:
        path = names.get(descriptor, "")
        folder = bool(path) and os.path.isdir(path)  # noqa: PTH112  the patched calls stay out of pathlib
        fault = hit(path, "folder" if folder else "fsync")
        real_fsync(descriptor)
        if fault is not None:
            damage(fault, path)

    def replace(source: Any, target: Any, **named: Any) -> None:
        hit(target, "rename")
        real_replace(source, target, **named)

    def unlink(path: Any, **named: Any) -> None:
        hit(path, "unlink")
        real_unlink(path, **named)

    def mkdir(path: Any, *rest: Any, **named: Any) -> None:
        hit(path, "mkdir")
        real_mkdir(path, *rest, **named)

    def path_open(self: Path, mode: str = "r", *rest: Any, **named: Any) -> Any:
        if not {"w", "x"} & set(mode) or step_of(str(self), "open") is None:
            return real_path_open(self, mode, *rest, **named)
        hit(self, "open")
        file = real_path_open(self, mode, *rest, **named)
        names[file.fileno()] = str(self)
        return _Watched(file, str(self), hit)

    os.open, os.write, os.fsync = open_, write, fsync
    os.replace, os.unlink, os.mkdir = replace, unlink, mkdir
    Path.open = path_open  # type: ignore[method-assign]


class _Watched:
    """A file opened for writing through pathlib."""

    def __init__(self, file: Any, path: str, hit: Callable[[Any, str], Fault | None]) -> None:
        self._file, self._path, self._hit = file, path, hit

    def __enter__(self) -> "_Watched":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, data: Any) -> int:
        fault = self._hit(self._path, "write")
        if fault is not None and fault.what == "short":
            self._file.write(data[: len(data) // 2])
            self._file.flush()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self._path)
        return int(self._file.write(data))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def patch_worker(saboteur: Saboteur) -> None:
    """The commit, the records a worker takes, and the states it loads where something was committed."""
    from streams.kafka.transport import Consumer
    from streams.state.store import PartitionStore
    from streams.worker.worker import TwinWorker

    real_commit, real_run, real_load = Consumer.commit_fenced, TwinWorker.on_run, PartitionStore.load

    async def commit_fenced(self: Any, *rest: Any, **named: Any) -> Any:
        saboteur.hit("commit.before", "")
        outcome = await real_commit(self, *rest, **named)
        saboteur.hit("commit.after", "")
        return outcome

    async def on_run(self: Any, tp: Any, run: Any) -> None:
        saboteur.consumed(len(run.records))
        await real_run(self, tp, run)

    def load(self: Any, tp: Any, assigned: Any) -> Any:
        if assigned.committed is not None:
            saboteur.hit("load", "")
        return real_load(self, tp, assigned)

    PartitionStore.load = load  # type: ignore[method-assign]
    Consumer.commit_fenced = commit_fenced  # type: ignore[method-assign]
    TwinWorker.on_run = on_run  # type: ignore[method-assign]


def main() -> int:
    file = Path(sys.argv[1])
    versions.become(versions.of(file.parent.parent))
    saboteur = Saboteur(msgspec.json.decode(file.read_bytes(), type=list[Fault]), file.parent)
    from streams.cli import main as cli

    patch_worker(saboteur)
    patch(saboteur)
    return int(cli(["worker"]) or 0)


if __name__ == "__main__":
    sys.exit(main())
