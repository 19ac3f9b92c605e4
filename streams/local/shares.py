"""The shares of a replay as processes of this machine, each under a guard, so that none outlives its command."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from streams.local import guard

# A replay that is told to end writes the interval it is at; then nobody waits any more.
STOP_LIMIT_S: Final = 10.0
_POLL_S: Final = 0.05
_SHOWN_LINES: Final = 20


class SharesError(RuntimeError):
    """A share ended before it was done: says which and how, and what to do."""


class _Running:
    """One share. What it tells of its progress comes as lines of JSON on its standard output."""

    def __init__(self, command: Sequence[str], log: Path) -> None:
        self.position = self.events = 0
        self.log = log
        guarded = [sys.executable, "-I", "-S", guard.__file__, str(os.getpid()), str(STOP_LIMIT_S)]
        with log.open("wb") as errors:
            self.process = subprocess.Popen(  # noqa: S603  our own command
                [*guarded, *command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                # A terminal's Ctrl-C must reach us, not the shares: they are stopped by us.
                start_new_session=True,
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith(b"["):
                self.position, self.events = json.loads(line)

    def ended(self) -> int | None:
        code = self.process.poll()
        if code is not None:
            self._reader.join(1.0)
        return code

    def stop(self, end_s: float) -> None:
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(max(end_s - time.monotonic(), 0.1))
        finally:
            # The group (a session of its own) holds the guard and the share.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def run(commands: Mapping[str, Sequence[str]], update: Callable[[int, int], None]) -> None:
    """Run these commands, by the names of their shares, all at once. `update` is told bytes read and events so far.

    Raises SharesError when one ends with an error, after the others were ended.
    """
    with tempfile.TemporaryDirectory(prefix="taktwin-shares-") as folder:
        running: dict[str, _Running] = {}
        try:
            for number, (name, command) in enumerate(commands.items()):
                running[name] = _Running(command, Path(folder) / f"{number}.log")
            left = dict(running)
            while left:
                time.sleep(_POLL_S)
                for name, one in list(left.items()):
                    code = one.ended()
                    if code:
                        raise SharesError(_ended(name, code, one.log))
                    if code == 0:
                        del left[name]
                update(
                    sum(one.position for one in running.values()) // len(running),
                    sum(one.events for one in running.values()),
                )
        finally:  # also Ctrl-C: nothing may stay behind
            for one in running.values():
                if one.process.poll() is None:
                    one.process.terminate()
            end_s = time.monotonic() + STOP_LIMIT_S
            for one in running.values():
                one.stop(end_s)


def _ended(name: str, code: int, log: Path) -> str:
    """The guard gives the number of a signal as exit code."""
    said = log.read_text(errors="replace").strip().splitlines()
    if said:
        how, more = f"with exit code {code}", ": " + "\n".join(said[-_SHOWN_LINES:]).removeprefix("twin: ")
    else:
        killed = code if 0 < code < signal.NSIG else -code
        why = "; was there too little memory?" if killed == signal.SIGKILL else ""
        how, more = f"by {_signal(killed)}{why}" if killed < signal.NSIG else f"with exit code {code}", ""
    return f"share {name} was ended {how}, and the others with it; run the same command again: what is done stays{more}"


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
