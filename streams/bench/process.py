"""A worker process to be measured: what it says of itself, and what the system says of it (Linux)."""

import contextlib
import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from streams import clock
from streams.bench.declare import BenchError
from streams.settings import Settings
from streams.tools import fleet

_TICKS_HZ: Final = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
LIMIT_S: Final = 300.0


class Worker:
    """`twin worker` under a guard, so that it never outlives the benchmark; a context manager.

    Not a `Fleet`, which hides the processes: here they are killed, and their time and memory are read.
    """

    def __init__(self, settings: Settings, log_file: Path) -> None:
        self.settings = settings
        self.log_file = log_file
        with log_file.open("ab") as log:
            self._guard = fleet.start(settings, log)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The worker itself, the guard's only child. Raises BenchError when it has ended."""
        try:
            children = Path(f"/proc/{self._guard.pid}/task/{self._guard.pid}/children").read_text().split()
            return int(children[0])
        except (OSError, IndexError):
            raise BenchError(f"the worker has ended:\n{self.log_end()}") from None

    @property
    def cpu_s(self) -> float:
        """Processor time of the process so far, all threads."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_HZ

    @property
    def resident_bytes(self) -> int:
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * _PAGE_BYTES

    @property
    def peak_bytes(self) -> int:
        """The most that was ever resident."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))

    def report(self) -> dict[str, Any]:
        """Body of /ready, ready or not; empty while nobody listens."""
        url = f"http://127.0.0.1:{self.settings.health_port}/ready"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return dict(json.loads(answer.read()))
        except urllib.error.HTTPError as error:  # not ready, but there
            return dict(json.loads(error.read()))
        except OSError:
            return {}

    def wait(self, holds: Callable[[dict[str, Any]], bool], every_s: float = 0.01) -> None:
        """Until it holds of the report. Raises BenchError when the worker ends, or after a limit."""
        end = clock.monotonic_s() + LIMIT_S
        while not holds(self.report()):
            self.check()
            if clock.monotonic_s() > end:
                raise BenchError(f"the worker did not get so far within {LIMIT_S} s:\n{self.log_end()}")
            time.sleep(every_s)

    def check(self) -> None:
        """Raises BenchError when it has ended."""
        if self._guard.poll() is not None:
            raise BenchError(f"the worker ended with exit code {self._guard.returncode}:\n{self.log_end()}")

    def kill(self) -> None:
        """kill -9 of the worker; returns when it is gone."""
        os.kill(self.pid, signal.SIGKILL)
        self._guard.wait()

    def stop(self) -> None:
        """SIGTERM, and SIGKILL where that is not enough."""
        self._guard.terminate()
        try:
            self._guard.wait(self.settings.stop_limit_s + 5)
        except subprocess.TimeoutExpired:
            pass
        finally:
            # A session of its own: guard and worker.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._guard.pid, signal.SIGKILL)
            self._guard.wait()

    def log_end(self, lines: int = 20) -> str:
        return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-lines:])


def is_ready(partitions: int) -> Callable[[dict[str, Any]], bool]:
    """Whether a report says: ready, with so many partitions."""
    return lambda report: bool(report.get("ready")) and len(report["partitions"]) == partitions
