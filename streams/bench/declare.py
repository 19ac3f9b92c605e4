"""How a benchmark is declared, and what it is given to run in."""

import contextlib
import itertools
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from streams.local.broker import LocalBroker

# Given back by a benchmark's set-up: does the work once, and returns one value per declared count.
Repeat = Callable[[], Sequence[float]]

EVENTS_PER_S: Final = "events/s"


class BenchError(RuntimeError):
    """A benchmark that could not measure what it says: names what went wrong."""


@dataclass(frozen=True, slots=True)
class Count:
    """One value of a repeat: what is counted and why that, in which unit. `part` is added to the benchmark's name."""

    counted: str
    unit: str
    part: str = ""


class Room:
    """Where benchmarks run: a folder that is removed at the end, and one local Kafka, started when first asked for."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._numbers = itertools.count()
        self._broker: LocalBroker | None = None

    def __enter__(self) -> Self:
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="taktwin-bench-")))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def folder(self) -> Path:
        """A new, empty folder."""
        path = self._folder / str(next(self._numbers))
        path.mkdir()
        return path

    def broker(self) -> LocalBroker:
        """Raises BrokerError where there is no Java, or no Kafka to be had."""
        if self._broker is None:
            self._broker = self._stack.enter_context(LocalBroker(self.folder(), heap_mb=1024))
        return self._broker


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One benchmark. `size` (events, rows or whatever `input` names as `{size}`) in the short and in the long form.

    `prepare(room, size)` is everything that is not timed: it sets up, gives the repeat, and cleans up.
    `repeats` in the short and in the long form; 0: not part of it unless named.
    """

    name: str
    group: str
    hot_path: str
    input: str
    counts: tuple[Count, ...]
    prepare: Callable[[Room, int], AbstractContextManager[Repeat]]
    size: tuple[int, int]
    repeats: tuple[int, int] = (3, 5)

    def figure_name(self, count: Count) -> str:
        return f"{self.name}-{count.part}" if count.part else self.name


def given(repeat: Callable[[], float]) -> AbstractContextManager[Repeat]:
    """The repeat of a benchmark with one count and nothing to clean up."""
    return contextlib.nullcontext(lambda: (repeat(),))
