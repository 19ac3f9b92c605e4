"""What a peer is, and how its program is run."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[3]
PROGRAMS: Final = Path(__file__).with_name("programs")
# Of `make peers`: what the peers need stays out of the product's own environment.
PYTHON: Final = ROOT / ".cache" / "bench-venv" / "bin" / "python"
LIMIT_S: Final = 900


class PeerError(RuntimeError):
    """A peer that cannot be made to run: says why."""


class DisagreementError(RuntimeError):
    """A peer whose answer is not that of the events: its figure would mean nothing."""


@dataclass(frozen=True, slots=True)
class Peer:
    """One subject of a group. `once` runs it on the group's stage, checks its answer, returns the figure in `unit`."""

    name: str
    counted: str
    once: Callable[[Any], float]
    beside: str = ""  # the product's figure for the same work
    unit: str = "events/s"


@dataclass(frozen=True, slots=True)
class Group:
    """Peers on one input. `stage` makes it from a number of events; `input` says what it is."""

    name: str
    input: str
    peers: Sequence[Peer]
    stage: Callable[[int], AbstractContextManager[Any]]


def python(program: str, *arguments: object) -> dict[str, Any]:
    """Run a program of the peers in their own environment. Returns its answer; raises PeerError."""
    if not PYTHON.exists():
        raise PeerError(f"{PYTHON} is missing: run `make peers` once, which makes the environment of the peers")
    return answer([str(PYTHON), str(PROGRAMS / program), *map(str, arguments)])


def answer(command: list[str]) -> dict[str, Any]:
    """The last line of JSON a command prints. Raises PeerError with the end of what it printed when there is none."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S)  # noqa: S603  our own command
    except subprocess.TimeoutExpired:
        raise PeerError(f"{Path(command[1]).name} gave no answer within {LIMIT_S} s") from None
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
        raise PeerError(f"{' '.join(command[:2])} ended with {done.returncode}:\n{said}")
    told: dict[str, Any] = json.loads(lines[-1])
    return told


def check(name: str, what: str, told: object, expected: object) -> None:
    """Raise DisagreementError unless both are equal."""
    if told != expected:
        raise DisagreementError(f"{name}: {what} should be {expected}, and is {told}")


def note(text: str) -> None:
    """A word to whoever waits."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201  for people
