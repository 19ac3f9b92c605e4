"""Whole workers on a real Kafka: rate, processor time, start-up, memory."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from streams import clock
from streams.bench import inputs
from streams.bench.declare import EVENTS_PER_S, BenchError, Benchmark, Count, Repeat, Room, given
from streams.bench.in_process import PLANT, STATION_HZ, Given
from streams.bench.process import LIMIT_S, Worker, is_ready
from streams.kafka import topics
from streams.local.broker import free_port
from streams.settings import Settings
from streams.tools.feed import feed
from twin.events.block import EventBlock
from twin.plant import loads

# 50 lines with 20 of 1,000 events each: an Arrow record of a line then holds 1,020 events, and none is nearly empty.
BLOCK: Final = 51_000
ARROW_EVENTS: Final = 1_020
# Shorter than the default of 5 s: some checkpoints fall into every run, however short it is.
CHECKPOINT_S: Final = 1.0
_POLL_S: Final = 0.02
_HOURS: Final = 2
_SLOW_S: Final = 10  # event time between two events of a station, for memory


def settings_for(room: Room, plant: str, prefix: str, **more: Any) -> Settings:
    """A plant file and topics of their own, with the default settings but for `more`."""
    folder = room.folder()
    (folder / "plant.toml").write_text(plant)
    own = Settings(
        bootstrap=room.broker().bootstrap,
        prefix=f"bench-{prefix}-{folder.name}",
        plant=str(folder / "plant.toml"),
        audit=str(folder / "audit"),
        health_port=free_port(),
        **more,
    )
    asyncio.run(topics.ensure(own))
    return own


def fill(settings: Settings, blocks: Iterable[EventBlock], *, arrow: bool) -> None:
    """Put all events into the topic."""
    plant = loads(Path(settings.plant).read_text(), settings.plant)
    asyncio.run(feed(Given(blocks), plant, settings=settings, arrow=arrow))


def anew(room: Room, settings: Settings) -> Settings:
    """The same topics, read from their beginning by another group into another audit."""
    folder = room.folder()
    return replace(settings, group=f"group-{folder.name}", audit=str(folder / "audit"), health_port=free_port())


def from_topic(
    *, arrow: bool, workers: int = 1, partitions: int = 4
) -> Callable[[Room, int], AbstractContextManager[Repeat]]:
    @contextmanager
    def prepare(room: Room, size: int) -> Iterator[Repeat]:
        events = size // BLOCK * BLOCK
        settings = settings_for(
            room,
            inputs.text(50, 20),
            "arrow" if arrow else "json",
            checkpoint_interval_s=CHECKPOINT_S,
            partitions=partitions,
        )
        plant = inputs.plant(50, 20)
        fill(settings, inputs.blocks(plant, events, STATION_HZ * 1_000, BLOCK), arrow=arrow)
        yield lambda: read_all(room, settings, events, workers)

    return prepare


def read_all(room: Room, settings: Settings, events: int, workers: int) -> Sequence[float]:
    """Events a second up to the last one folded; up to the last one committed; processor time (us) of an event."""
    one = anew(room, settings)
    several = [replace(one, health_port=free_port()) for _ in range(workers)]
    with ExitStack() as stack:
        team = [stack.enter_context(Worker(own, room.folder() / "worker.log")) for own in several]
        begun, seen, cpu_s = _when(team, lambda reports: _events(reports) > 0)
        folded, _, _ = _when(team, lambda reports: _events(reports) >= events)
        done, _, all_cpu_s = _when(team, _committed)
    left = events - seen
    if left < events // 4:
        raise BenchError(f"of {events:,} events {seen:,} were folded before the first look: use more")
    return left / (folded - begun), left / (done - begun), (all_cpu_s - cpu_s) / left * 1e6


def _when(team: Sequence[Worker], holds: Callable[[Sequence[dict[str, Any]]], bool]) -> tuple[float, int, float]:
    """(instant, events, processor time) at the first look at which it holds of all reports. Raises BenchError."""
    end = clock.monotonic_s() + LIMIT_S
    while True:
        reports = [worker.report() for worker in team]
        now = clock.monotonic_s()
        if all(reports) and holds(reports):
            return now, _events(reports), sum(worker.cpu_s for worker in team)
        for worker in team:
            worker.check()
        if now > end:
            raise BenchError(f"not so far within {LIMIT_S} s: {reports}; the log ends with\n{team[0].log_end()}")
        time.sleep(_POLL_S)


def _events(reports: Sequence[dict[str, Any]]) -> int:
    return sum(int(report["events"]) for report in reports)


def _committed(reports: Sequence[dict[str, Any]]) -> bool:
    return all(p["committed"] == p["next"] for report in reports for p in report["partitions"].values())


def start_up(room: Room, _size: int) -> AbstractContextManager[Repeat]:
    settings = settings_for(room, inputs.text(50, 20), "start")

    def once() -> float:
        begun = clock.monotonic_s()
        with Worker(anew(room, settings), room.folder() / "worker.log") as worker:
            worker.wait(is_ready(settings.partitions))
            return clock.monotonic_s() - begun

    once()  # fills the cache of compiled kernels
    return given(once)


def show_help(_room: Room, _size: int) -> AbstractContextManager[Repeat]:
    def once() -> float:
        begun = clock.monotonic_s()
        subprocess.run([sys.executable, "-P", "-m", "streams.cli", "--help"], stdout=subprocess.DEVNULL, check=True)
        return clock.monotonic_s() - begun

    once()
    return given(once)


def memory(stations: int) -> Callable[[Room, int], AbstractContextManager[Repeat]]:
    def prepare(room: Room, size: int) -> AbstractContextManager[Repeat]:
        lines, each = max(stations // 20, 1), min(stations, 20)
        settings = settings_for(room, inputs.text(lines, each), f"memory-{stations}")
        fill(settings, inputs.blocks(inputs.plant(lines, each), size, max(stations // _SLOW_S, 1)), arrow=True)

        def once() -> Sequence[float]:
            own = anew(room, settings)
            with Worker(own, room.folder() / "worker.log") as worker:
                _when([worker], lambda reports: _events(reports) >= size)
                _when([worker], _committed)
                time.sleep(2 * own.checkpoint_interval_s)  # it gives back when a checkpoint was due by the clock
                resident, peak = worker.resident_bytes, worker.peak_bytes
            return resident / 1e6, peak / 1e6, newest_snapshots_bytes(own) / 1e6

        return _kept(once)

    return prepare


@contextmanager
def _kept(repeat: Repeat) -> Iterator[Repeat]:
    yield repeat


def newest_snapshots_bytes(settings: Settings) -> int:
    """Of each partition the newest snapshot, added up."""
    newest: dict[str, Path] = {}
    for path in sorted((settings.state_folder / settings.group_id).glob("*.snapshot")):
        newest[path.name.partition("-")[0]] = path
    return sum(path.stat().st_size for path in newest.values())


_FULL: Final = "fetch, decode, fold, results to topics, every set in Parquet, commits: the worker as it is"
_RATE: Final = (
    Count("events from the first look at which some were folded to the last one folded", EVENTS_PER_S),
    Count("the same to the last one committed: Parquet written, results acknowledged", EVENTS_PER_S, "kept"),
    Count("processor time of the worker processes over the same stretch: what is left to others", "us/event", "cpu"),
)
_CHECKPOINTS: Final = f"checkpoints every {CHECKPOINT_S:.0f} s, else default settings; the topic is filled before"

BENCHMARKS: Final = (
    Benchmark(
        "help",
        "start-up",
        "interpreter, parser, text",
        "`twin --help`",
        (Count("start of the process to its end: what a shell's user waits for", "s"),),
        show_help,
        (1, 1),
        (5, 10),
    ),
    Benchmark(
        "worker-start",
        "start-up",
        "imports, compiled kernels from the cache, joining the group, states",
        "a new group on an empty topic with 4 partitions, 1,000 stations",
        (Count("start of the process until /ready says ready, looked at every 10 ms", "s"),),
        start_up,
        (1, 1),
        (2, 5),
    ),
    *(
        Benchmark(
            f"worker-{kind}" + ("-two" if workers == 2 else ""),
            "worker",
            _FULL,
            f"{{size:,}} events, {form}, {workers} worker process{'es' if workers == 2 else ''}, 4 partitions; "
            f"{PLANT}; {_CHECKPOINTS}",
            _RATE,
            from_topic(arrow=kind == "arrow", workers=workers),
            size,
            repeats,
        )
        for kind, form, size in (
            ("json", "JSON, one a record", (300_000, 2_000_000)),
            ("arrow", f"Arrow, {ARROW_EVENTS:,} a record", (2_000_000, 10_000_000)),
        )
        for workers, repeats in ((1, (2, 5)), (2, (0, 3)))
    ),
    *(
        Benchmark(
            f"memory-{stations}",
            "memory",
            "state, rows that wait for a checkpoint, fetched records, libraries",
            f"{{size:,}} events: {_HOURS} hours of event time, one event a station every {_SLOW_S} s, {stations:,} "
            "stations in lines of at most 20; 4 partitions, default settings",
            (
                Count("resident memory of the worker, two checkpoint intervals after the end", "MB", "resident"),
                Count("the most that was ever resident", "MB", "peak"),
                Count("the newest snapshot of every partition, together", "MB", "snapshot"),
            ),
            memory(stations),
            (_HOURS * 3600 * stations // _SLOW_S,) * 2,
            (0, 1),
        )
        for stations in (10, 100, 1_000, 10_000)
    ),
)
