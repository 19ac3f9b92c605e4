"""Worker processes of one machine, each under a guard, so that none outlives the command that started it."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

from streams.local import guard
from streams.settings import Settings, process_environment
from streams.worker.warm import COMPILED, COMPILING

_STOP_MARGIN_S: Final = 4.0


class FleetError(RuntimeError):
    """A worker ended by itself: says which, how, and the end of its log."""


def start(settings: Settings, log: BinaryIO) -> "subprocess.Popen[bytes]":
    """`twin worker`, under a guard."""
    guarded = [sys.executable, "-I", "-S", guard.__file__, str(os.getpid()), str(settings.stop_limit_s + 2)]
    return subprocess.Popen(  # noqa: S603  our own command
        [*guarded, sys.executable, "-P", "-m", "streams.cli", "worker"],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env=process_environment(settings),
        # A terminal's Ctrl-C must reach us, not the workers: they are stopped in order.
        start_new_session=True,
    )


class Fleet:
    """`count` workers of one group; a context manager. Their logs are `worker-N.log` in `logs`."""

    def __init__(self, settings: Sequence[Settings], logs: Path) -> None:
        self._settings = settings
        self._logs = logs
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        try:
            for number, settings in enumerate(self._settings, 1):
                with self.log_file(number).open("wb") as log:
                    self._processes.append(start(settings, log))
        except BaseException:  # also Ctrl-C: nothing may stay behind
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def check(self) -> None:
        """Raise FleetError when a worker has ended."""
        for number, process in enumerate(self._processes, 1):
            if process.poll() is not None:
                tail = "\n".join(self.log_end(number))
                raise FleetError(
                    f"worker {number} ended with exit code {process.returncode}; its log ends with:\n{tail}"
                )

    @property
    def compiling(self) -> bool:
        """Whether a worker waits for its kernels to be compiled."""
        logs = ["\n".join(self.log_end(number, 200)) for number in range(1, len(self._processes) + 1)]
        return any(log.count(COMPILING) > log.count(COMPILED) for log in logs)

    def log_end(self, number: int, lines: int = 20) -> list[str]:
        with contextlib.suppress(OSError):
            return self.log_file(number).read_text(errors="replace").splitlines()[-lines:]
        return []

    def log_file(self, number: int) -> Path:
        return self._logs / f"worker-{number}.log"

    def stop(self) -> None:
        """SIGTERM to all at once (each makes its last checkpoint), SIGKILL to what is left after the stop limit."""
        limit_s = max((s.stop_limit_s for s in self._settings), default=0.0) + _STOP_MARGIN_S
        processes, self._processes = self._processes, []
        for process in processes:
            process.terminate()
        end = time.monotonic() + limit_s
        try:
            for process in processes:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(max(end - time.monotonic(), 0.1))
        finally:
            for process in processes:
                # The group (a session of its own) holds the guard and the worker.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
