"""Without Kafka: decoding, the line twin, replay of Parquet and CSV."""

import contextlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final, Literal

import numpy as np
import pyarrow as pa

from streams import clock
from streams.bench import inputs
from streams.bench.declare import EVENTS_PER_S, Benchmark, Count, Repeat, Room, given
from streams.tools.feed import by_line
from twin.events.block import EventBlock
from twin.line import PartitionTwin
from twin.plant.model import Plant
from twin.replay import replay
from twin.sources import Logs, load_mapping, open_logs
from twin.sources.blocks import join
from twin.sources.source import BLOCK_EVENTS, Batch
from twin.sources.summary import Summary
from twin.wire.decode import Decoder
from twin.wire.encode import arrow_record, json_records

Compression = Literal["lz4", "zstd"]

RUN_RECORDS: Final = 10_000  # as `poll_records` has it: the most records a worker folds in one go
RUN_EVENTS: Final = 65_536  # of an Arrow run: some megabytes, as a fetch brings them
STATION_HZ: Final = 10  # events a second of event time
PLANT: Final = "1,000 stations in 50 lines, 10 events a second and station"
_CSV_MAPPING: Final = """
format = "csv"
line = { column = "line" }
station = { column = "station" }

[time]
column = "ts"
unit = "us"

[[event]]
type = "state"
when = { column = "state", blank = false }
state = { column = "state" }

[[event]]
type = "count"
good = { column = "good" }
"""


class Given:
    """Blocks as `twin.sources.Logs` would give them."""

    def __init__(self, blocks: Iterable[EventBlock]) -> None:
        self.summary = Summary()  # a replay keeps it with the root
        self._blocks = blocks

    def __iter__(self) -> Iterator[Batch]:
        return ((block, []) for block in self._blocks)


def events_of(plant: Plant, events: int, block: int = BLOCK_EVENTS) -> list[EventBlock]:
    return list(inputs.blocks(plant, events, STATION_HZ * len(plant.stations), block))


def decode_json(_room: Room, size: int) -> AbstractContextManager[Repeat]:
    plant = inputs.plant(50, 20)
    values = [value for block in events_of(plant, size) for value in json_records(block, plant)]
    return given(_decoding(plant, values, RUN_RECORDS, size))


def decode_arrow(events: int, compression: Compression | None) -> Callable[[Room, int], AbstractContextManager[Repeat]]:
    """`events` of one line in each record."""

    def prepare(_room: Room, size: int) -> AbstractContextManager[Repeat]:
        plant = inputs.plant(50, 20)
        # Whole records only: every line gets the same number of events, a multiple of `events`.
        each = max(size // (len(plant.lines) * events), 1) * events
        block = join(events_of(plant, each * len(plant.lines)))
        values = [arrow_record(part, plant) for _, part in by_line(block, events) if len(part) == events]
        if compression:
            values = [_compressed(value, compression) for value in values]
        return given(_decoding(plant, values, max(RUN_EVENTS // events, 1), len(values) * events))

    return prepare


def _compressed(value: bytes, compression: Compression) -> bytes:
    table = pa.ipc.open_stream(value).read_all()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def _decoding(plant: Plant, values: Sequence[bytes], run: int, events: int) -> Callable[[], float]:
    decoder = Decoder(plant)
    runs = [values[i : i + run] for i in range(0, len(values), run)]

    def once() -> float:
        seen = 0
        begun = clock.monotonic_s()
        for records in runs:
            block, _ = decoder.decode(records, range(len(records)))
            seen += len(block)
        spent = clock.monotonic_s() - begun
        assert seen == events, f"decoded {seen} of {events} events"
        return events / spent

    return once


def line_twin(stations: int) -> Callable[[Room, int], AbstractContextManager[Repeat]]:
    def prepare(_room: Room, size: int) -> AbstractContextManager[Repeat]:
        plant = inputs.plant(max(stations // 20, 1), min(stations, 20))
        blocks = events_of(plant, size)
        return given(_folding(plant, blocks))

    return prepare


def line_twin_cycles(_room: Room, size: int) -> AbstractContextManager[Repeat]:
    plant = inputs.plant(1, 20)
    blocks = list(inputs.cycle_blocks(plant, size, BLOCK_EVENTS))
    return given(_folding(plant, blocks))


def line_twin_measures(_room: Room, size: int) -> AbstractContextManager[Repeat]:
    """Folds in turn: of a plant without measures, of one that has them, and with one event in ten a reading."""
    none, metered, gauged = inputs.plant(5, 20), inputs.metered(5, 20), inputs.metered(5, 20, "gauge")
    events = events_of(none, size)
    read = [inputs.with_readings(block) for block in events]
    # By processor time: they are compared with each other, whatever else the machine does.
    folds = [
        _folding(plant, blocks, clock.processor_s)
        for plant, blocks in ((none, events), (metered, events), (metered, read), (gauged, read))
    ]

    def once() -> Sequence[float]:
        plain, *others = (fold() for fold in folds)
        return plain, *(100 * (plain / other - 1) for other in others)

    return contextlib.nullcontext(once)


def _folding(
    plant: Plant, blocks: Sequence[EventBlock], now_s: Callable[[], float] = clock.monotonic_s
) -> Callable[[], float]:
    def once() -> float:
        twin = PartitionTwin(plant, 0)
        begun = now_s()
        for block in blocks:
            twin.fold(block)
        return sum(map(len, blocks)) / (now_s() - begun)

    once()  # loads what is compiled; rows come late, so part of the events would not reach all of it
    return once


def replay_parquet(room: Room, size: int) -> AbstractContextManager[Repeat]:
    plant = inputs.plant(50, 20)
    log = room.folder() / "given"
    replay(plant, Given(events_of(plant, size)), log)  # type: ignore[arg-type]  # all that replay asks of Logs
    return given(_replaying(plant, room, size, lambda: open_logs([log], plant)))


def replay_csv(room: Room, size: int) -> AbstractContextManager[Repeat]:
    plant = inputs.plant(50, 20)
    folder = room.folder()
    write_csv(folder / "log.csv", plant, events_of(plant, size))
    (folder / "mapping.toml").write_text(_CSV_MAPPING)
    mapping = load_mapping(folder / "mapping.toml", plant)
    return given(_replaying(plant, room, size, lambda: open_logs([folder / "log.csv"], plant, mapping)))


def _replaying(plant: Plant, room: Room, events: int, logs: Callable[[], Logs]) -> Callable[[], float]:
    def once() -> float:
        audit = room.folder() / "audit"
        report = replay(plant, logs(), audit)
        shutil.rmtree(audit)
        # A log with an end of its own gives each line a heartbeat more.
        assert report.events >= events, f"{report.events} of {events} events: {report.summary.report()}"
        return report.events_per_s

    once()
    return once


def write_csv(path: Path, plant: Plant, blocks: Iterable[EventBlock]) -> None:
    """Rows of ts (us), line, station, and a state or a count."""
    lines = np.array([line.id for line in plant.lines])
    stations = np.array([station.id for station in plant.stations])
    with path.open("w") as file:
        file.write("ts,line,station,state,good\n")
        for block in blocks:
            words = np.array([*block.words, ""])[block.x]
            good = np.where(block.x < 0, block.a.astype(str), "")
            columns = ((block.ts // 1_000).astype(str), lines[block.line], stations[block.station], words, good)
            file.writelines(",".join(row) + "\n" for row in zip(*(c.tolist() for c in columns), strict=True))


_COMPRESSIONS: Final[tuple[Compression | None, ...]] = (None, "lz4", "zstd")
_DECODE: Final = "records to event columns"
_DECODED: Final = "all that happens to the bytes before the twin: look-up, checks, refusals"
_TWIN: Final = "admission, order, fold, result tables"
_TWIN_WHY: Final = "events in, rows out, in one process: what a core can do without Kafka and Parquet"
_REPLAY_WHY: Final = "reading, folding, and writing every set, events included: from file to audit"

BENCHMARKS: Final = (
    Benchmark(
        "decode-json",
        "wire",
        _DECODE,
        f"{{size:,}} JSON records of one event, {RUN_RECORDS:,} in one go; {PLANT}",
        (Count(_DECODED, EVENTS_PER_S),),
        decode_json,
        (200_000, 1_000_000),
    ),
    *(
        Benchmark(
            f"decode-arrow-{events}" + (f"-{compression}" if compression else ""),
            "wire",
            _DECODE,
            f"about {{size:,}} events in Arrow streams of {events:,}, {compression or 'not compressed'}; {PLANT}",
            (Count(_DECODED, EVENTS_PER_S),),
            decode_arrow(events, compression),
            (400_000, 2_000_000),
            (0 if compression else 3, 5),
        )
        for compression in _COMPRESSIONS
        for events in (64, 512, 4096)
    ),
    *(
        Benchmark(
            f"line-twin-{stations}",
            "line twin",
            _TWIN,
            f"{{size:,}} events, {STATION_HZ} a second and station, {stations:,} stations in lines of at most 20",
            (Count(_TWIN_WHY, EVENTS_PER_S),),
            line_twin(stations),
            (500_000, 2_000_000),
        )
        for stations in (10, 100, 1_000, 10_000)
    ),
    Benchmark(
        "line-twin-measures",
        "line twin",
        _TWIN
        + "; without measures, with a meter at each station, with one event in ten its reading or a gauge's: in turn",
        f"{{size:,}} events, {STATION_HZ} a second and station, 100 stations in lines of 20",
        (
            Count(_TWIN_WHY, EVENTS_PER_S, "none"),
            Count("what meters cost of which nothing comes: at most 2", "% more time", "declared"),
            Count("what readings of meters cost, each tenth event being one: at most 15", "% more time", "tenth"),
            Count("the same, of gauges: at most 15", "% more time", "gauges"),
        ),
        line_twin_measures,
        (500_000, 2_000_000),
        (5, 15),
    ),
    Benchmark(
        "line-twin-cycles",
        "line twin",
        _TWIN + "; cycles with material flow and critical path",
        "{size:,} cycle events of a serial line of 20 stations with buffers of 10, simulated",
        (Count(_TWIN_WHY, EVENTS_PER_S),),
        line_twin_cycles,
        (200_000, 1_000_000),
    ),
    Benchmark(
        "replay-parquet",
        "replay",
        "`events` Parquet to all sets in Parquet",
        f"{{size:,}} events; {PLANT}",
        (Count(_REPLAY_WHY, EVENTS_PER_S),),
        replay_parquet,
        (500_000, 4_000_000),
    ),
    Benchmark(
        "replay-csv",
        "replay",
        "CSV with a mapping to all sets in Parquet",
        f"{{size:,}} rows, an event each; {PLANT}",
        (Count(_REPLAY_WHY, EVENTS_PER_S),),
        replay_csv,
        (200_000, 1_000_000),
    ),
)
