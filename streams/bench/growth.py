"""How the cost of a worker grows with partitions and with lines: a start, memory, and what standing idle takes."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Final

from streams import clock
from streams.bench import inputs
from streams.bench.declare import Benchmark, Count, Repeat, Room
from streams.bench.on_kafka import anew, settings_for
from streams.bench.process import Worker, is_ready
from streams.settings import Settings

# (partitions, lines) of the steps; a line has two stations.
PARTITIONS: Final = ((4, 1_000), (64, 1_000), (256, 1_000), (1_000, 1_000))
LINES: Final = ((4, 10), (4, 100), (4, 1_000), (4, 10_000))
_IDLE_S: Final = 10.0


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """p of cost = a + b * (size - first) ** p, a being the cost at the first size: least squares over the logarithms.

    From the first size on: over the sizes themselves, what grows in proportion came out above 1, the more so the nearer
    the second size is to the first.

    0 where fewer than two costs are above the first: nothing grows.
    """
    points = [
        (math.log(size - sizes[0]), math.log(cost - costs[0]))
        for size, cost in zip(sizes[1:], costs[1:], strict=True)
        if cost > costs[0]
    ]
    if len(points) < 2:
        return 0.0
    mean_x, mean_y = (sum(point[k] for point in points) / len(points) for k in (0, 1))
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread


def start(room: Room, settings: Settings) -> tuple[float, float, float, float]:
    """Seconds until ready, by the clock and of the processor; resident MB; percent of a core while nothing comes."""
    begun_s = clock.monotonic_s()
    with Worker(anew(room, settings), room.folder() / "worker.log") as worker:
        worker.wait(is_ready(settings.partitions))
        ready_s, resident = clock.monotonic_s() - begun_s, worker.resident_bytes / 1e6
        before_s = worker.cpu_s
        time.sleep(_IDLE_S)
        return ready_s, before_s, resident, 100 * (worker.cpu_s - before_s) / _IDLE_S


def steps(which: Sequence[tuple[int, int]], grows: int) -> Callable[[Room, int], AbstractContextManager[Repeat]]:
    """Each step once. `grows`: the place in a step of what grows."""

    @contextmanager
    def prepare(room: Room, _size: int) -> Iterator[Repeat]:
        several = [
            settings_for(room, inputs.text(lines, 2), f"growth-{partitions}-{lines}", partitions=partitions)
            for partitions, lines in which
        ]

        def once() -> Sequence[float]:
            found = [start(room, settings) for settings in several]
            sizes = [float(step[grows]) for step in which]
            fits = [exponent(sizes, [one[k] for one in found]) for k in (1, 2)]
            return [*(value for one in found for value in one), *fits]

        yield once

    return prepare


def _counts(which: Sequence[tuple[int, int]], grows: int, what: str) -> tuple[Count, ...]:
    counts = []
    for step in which:
        counts += [
            Count(f"start of the process until ready, {step[grows]:,} {what}", "s", f"{step[grows]}-ready"),
            Count("processor time of it", "s", f"{step[grows]}-cpu"),
            Count("resident memory then", "MB", f"{step[grows]}-resident"),
            Count("processor time while nothing comes, of a core", "%", f"{step[grows]}-idle"),
        ]
    counts += [
        Count(f"p of a + b x {what}^p, a being the first step's: of the processor time", "p", "cpu-exponent"),
        Count("the same of the memory", "p", "resident-exponent"),
    ]
    return tuple(counts)


BENCHMARKS: Final = tuple(
    Benchmark(
        f"growth-{what}",
        "growth",
        "plant, tables, states, joining the group",
        said,
        _counts(which, grows, what),
        steps(which, grows),
        (1, 1),
        (0, 1),
    )
    for what, which, grows, said in (
        ("partitions", PARTITIONS, 0, "4 to 1,000 partitions of one worker; 1,000 lines of two stations, a new group"),
        ("lines", LINES, 1, "10 to 10,000 lines of two stations; 4 partitions of one worker, a new group"),
    )
)
