"""How cost grows with stations, with different names, with files and with time: without Kafka."""

import contextlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

from streams import clock
from streams.bench import inputs
from streams.bench.alone import measured
from streams.bench.audit_root import Written
from streams.bench.declare import Benchmark, Count, Repeat, Room
from streams.bench.growth import exponent
from twin.audit.intervals import contents
from twin.audit.query import Reading, query
from twin.audit.verify import verify
from twin.events.block import pick

STATIONS: Final = (10, 100, 1_000, 10_000, 20_000)
NAMES: Final = (1_000, 10_000, 100_000, 1_000_000)
FILES: Final = (300, 3_000, 30_000)
DAYS: Final = (30, 91, 182, 365)
# Of the root whose files are counted: a checkpoint in ten minutes of event time.
_EVERY_S: Final = 600
_DAY: Final = "2026-01-01"


def steps(
    kind: str, sizes: Sequence[int], figures: Sequence[str], grows: Sequence[str]
) -> Callable[[Room, int], AbstractContextManager[Repeat]]:
    """Each size once, in a process of its own. `grows`: the figures whose exponent is said behind them."""

    def prepare(_room: Room, _size: int) -> AbstractContextManager[Repeat]:
        def once() -> Sequence[float]:
            found = [measured(kind, size) for size in sizes]
            fits = [exponent(list(map(float, sizes)), [one[name] for one in found]) for name in grows]
            return [*(one[name] for one in found for name in figures), *fits]

        return contextlib.nullcontext(once)

    return prepare


def _timed(what: Callable[[], object]) -> float:
    """Processor time: of minutes beside other work, the clock said that a file takes the longer, the more there are."""
    begun_s = clock.processor_s()
    what()
    return clock.processor_s() - begun_s


@contextmanager
def files(room: Room, _size: int) -> Iterator[Repeat]:
    """A root that grows by a few files at a time; asked when it has so many."""
    plant = inputs.quiet_plant()

    def once() -> Sequence[float]:
        root = room.folder()
        written = Written(plant, root, 0)
        asked: list[list[float]] = []
        for block in inputs.slowed(inputs.blocks(plant, FILES[-1], 1, 1_000), _EVERY_S):
            for k in range(len(block)):
                written.take(pick(block, slice(k, k + 1)))
                written.checkpoint()
                if written.files >= FILES[len(asked)]:
                    asked.append(_asked(root))
                if len(asked) == len(FILES):
                    break
            if len(asked) == len(FILES):
                break
        shutil.rmtree(root)
        sizes = list(map(float, FILES))
        return [*(value for one in asked for value in one), *(exponent(sizes, [a[k] for a in asked]) for k in range(4))]

    yield once


def _asked(path: Path) -> list[float]:
    reading = Reading()
    day = _timed(lambda: query(path, f"SELECT sum(good) FROM kpis WHERE date = '{_DAY}'", reading=reading))  # noqa: S608
    every = _timed(lambda: query(path, "SELECT sum(good) FROM kpis"))
    sound = _timed(lambda: verify(path))
    listing = _timed(lambda: contents(path))
    return [day, every, sound, listing, float(reading.opened)]


def _counts(
    sizes: Sequence[int], what: str, figures: Sequence[tuple[str, str, str]], grows: Sequence[str]
) -> tuple[Count, ...]:
    """`figures`: (part, what is counted, unit)."""
    counts = [
        Count(f"{said}, {size:,} {what}", unit, f"{size}-{part}") for size in sizes for part, said, unit in figures
    ]
    named = {part: said for part, said, _ in figures}
    counts += [Count(f"p of a + b x {what}^p: {named[part]}", "p", f"{part}-exponent") for part in grows]
    return tuple(counts)


_STATE: Final = (
    ("event", "processor time of an event in the fold", "us"),
    ("resident", "memory that the state takes", "MB"),
    ("snapshot", "its snapshot", "MB"),
    ("checkpoint", "processor time of freezing and packing it", "s"),
)
_YEAR: Final = (
    ("recompute", "processor time of twin audit recompute, every row compared", "s"),
    ("rows", "rows of results", "rows"),
    ("peak", "the most memory of the recomputation", "MB"),
    ("replay-peak", "the most memory of the replay", "MB"),
)
_GROW: Final = frozenset({"resident", "snapshot", "checkpoint", "recompute", "peak", "replay-peak"})
_FILES: Final = (
    ("day", "processor time of a query of one date", "s"),
    ("query", "the same of all dates", "s"),
    ("verify", "twin audit verify", "s"),
    ("listing", "reading the list", "s"),
    ("opened", "files that the query of one date opened", "files"),
)


def _of(name: str, said: str, sizes: Sequence[int], figures: Sequence[tuple[str, str, str]], what: str) -> Benchmark:
    """Of a kind of `streams.bench.alone`; what is counted in seconds or MB has an exponent."""
    grows = [part for part, _, _ in figures if part in _GROW]
    return Benchmark(
        f"growth-{name}",
        "growth",
        "without Kafka, each size in a process of its own",
        said,
        _counts(sizes, what, figures, grows),
        steps(name, sizes, [part for part, _, _ in figures], grows),
        (1, 1),
        (0, 1),
    )


_BY_NAMES: Final = "one line of two stations, so many different {kind}, one after the other"
BENCHMARKS: Final = (
    _of("stations", "lines of 20 stations, 30 events of each, 10 s apart; one partition", STATIONS, _STATE, "stations"),
    *(
        _of(kind, _BY_NAMES.replace("{kind}", kind), NAMES, _STATE, kind)
        for kind in ("orders", "products", "units", "reasons")
    ),
    _of("year", "a line of 5 stations, an event every 30 s, windows of 1 h/1 min and 1 min/1 s", DAYS, _YEAR, "days"),
    Benchmark(
        "growth-files",
        "growth",
        "the list of files, DuckDB, pages and sums",
        "a line of two stations, a file of each set with rows for each checkpoint, ten minutes of event time apart",
        _counts(FILES, "files", _FILES, ("day", "query", "verify", "listing")),
        files,
        (1, 1),
        (0, 1),
    ),
)
