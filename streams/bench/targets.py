"""What was to be reached on two cores with the broker on the same machine, and the figure that shows it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from streams.bench.figures import Figure


@dataclass(frozen=True, slots=True)
class Target:
    """A figure, or with `over` its ratio to the best of others, and what it should be at least (`most`: at most)."""

    what: str
    figure: str
    least: float
    aim: float
    unit: str
    over: tuple[str, ...] = ()  # names of rates; those that were measured count
    most: bool = False

    def value(self, figures: Mapping[str, Figure]) -> float | None:
        """The median, or the ratio of two; None: not measured."""
        if self.figure not in figures:
            return None
        own = figures[self.figure].median
        if not self.over:
            return own
        best = max((figures[name].median for name in self.over if name in figures), default=0.0)
        return own / best if best else None

    def reached(self, value: float) -> str:
        """`aim`, `least` or `no`."""
        for name, limit in (("aim", self.aim), ("least", self.least)):
            if value <= limit if self.most else value >= limit:
                return name
        return "no"


_RATE: Final = "events/s"
_TIMES: Final = "times"

# Of a peer its best form counts.
_POLARS: Final = ("polars-memory", "polars-streaming")
_FAUST: Final = ("faust-codec", "faust-json", "faust-msgspec")
_QUIX: Final = ("quix-dict", "quix-state", "quix-changelog")
_STREAMS: Final = tuple(f"kafka-streams-1-{form}" for form in ("plain", "cached", "logged", "cached-logged"))

TARGETS: Final = (
    Target("fold kernel, 1,000 stations", "fold", 30e6, 60e6, _RATE),
    Target("critical-path kernel, 20 stations", "critical-path", 50e6, 100e6, _RATE),
    Target("plain CSV, read and not folded, one core", "read-csv", 300e3, 500e3, "rows/s"),
    Target("replay of Parquet", "replay-parquet", 8e6, 20e6, _RATE),
    Target("replay beside Polars", "peers-replay-parquet", 4, 4, _TIMES, over=_POLARS),
    Target("worker, Arrow", "worker-arrow", 3e6, 8e6, _RATE),
    Target("worker, JSON", "worker-json", 250e3, 500e3, _RATE),
    Target("worker, JSON, beside a stock Faust agent", "peers-worker-json", 20, 40, _TIMES, over=_FAUST),
    Target("worker, JSON, beside Quix Streams", "peers-worker-json", 1.5, 1.5, _TIMES, over=_QUIX),
    Target("worker, JSON, beside Kafka Streams, one thread", "peers-worker-json", 0, 1, _TIMES, over=_STREAMS),
    Target("worker, Arrow, beside Kafka Streams, one thread", "peers-worker-arrow", 6, 15, _TIMES, over=_STREAMS),
    Target("send to row, p99, 100,000 events/s", "latency-100k-p99", 0.3, 0.1, "s", most=True),
    Target("resident memory, 1,000 stations", "memory-1000-resident", 400, 250, "MB", most=True),
    Target("the same, the most in a backlog", "memory-1000-peak", 400, 250, "MB", most=True),
    Target("resident memory, 10,000 stations", "memory-10000-resident", 1000, 600, "MB", most=True),
    Target("the same, the most in a backlog", "memory-10000-peak", 1000, 600, "MB", most=True),
    Target(
        "cost per event, 10,000 stations over 10",
        "line-twin-10",
        3,
        1,
        _TIMES,
        over=("line-twin-10000",),
        most=True,
    ),
    Target("start of a worker until ready", "worker-start", 5, 2, "s", most=True),
    Target("`twin --help`", "help", 0.3, 0.15, "s", most=True),
)
