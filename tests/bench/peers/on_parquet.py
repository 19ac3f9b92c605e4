"""Peers of the replay: the same key figures of every station, from the same events in Parquet, to Parquet."""

import contextlib
import itertools
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from streams.bench import inputs
from tests.bench.peers.peer import DisagreementError, Group, Peer, python
from twin.events.block import EventBlock, Rejected
from twin.plant.model import Plant
from twin.replay import replay
from twin.sources import open_logs

# Not a multiple of ten: in `inputs.blocks` every tenth event is a state, and with 1,000 stations one station in ten
# would get all the states and the others all the counts, so no station would have key figures of both.
LINES: Final = 51
STATIONS: Final = 19
RATE_HZ: Final = 1000  # about an event per station and second: an hour is 3.6 M events
PLACE: Final = ("line", "station", "window", "start", "end")
SUMS: Final = ("good", "running_ns", "setup_ns", "unknown_ns", "ideal_ns")
RATIOS: Final = ("availability", "performance", "quality", "oee")


@dataclass(frozen=True, slots=True)
class Stage:
    """The events in Parquet, and the rows of the twin."""

    plant: Plant
    folder: Path
    events: int
    rows: pa.Table
    count: Iterator[int] = field(default_factory=itertools.count)


class Given:
    """Blocks as `twin.sources.Logs` gives them."""

    summary: Any = None

    def __init__(self, blocks: Iterator[EventBlock]) -> None:
        self._blocks = blocks

    def __iter__(self) -> Iterator[tuple[EventBlock, list[Rejected]]]:
        return ((block, []) for block in self._blocks)


@contextlib.contextmanager
def stage(events: int) -> Iterator[Stage]:
    plant = inputs.plant(LINES, STATIONS)
    with tempfile.TemporaryDirectory(prefix="taktwin-peers-") as name:
        given = Path(name) / "given"
        replay(plant, Given(inputs.blocks(plant, events, RATE_HZ)), given)  # type: ignore[arg-type]  # as Logs
        yield Stage(plant, Path(name), events, rows_of(given / "kpis"))


def rows_of(path: Path) -> pa.Table:
    """Rows of stations and windows, in the order of their identity, as plain columns."""
    table = ds.dataset(path, format="parquet").to_table()
    table = table.filter(pc.and_(pc.is_valid(table["station"]), pc.is_in(table["window"], pa.array(["1min", "1h"]))))
    types = {name: pa.string() for name in PLACE[:3]} | dict.fromkeys(RATIOS, pa.float64())
    columns = {name: table[name].cast(types.get(name, pa.int64())) for name in (*PLACE, *SUMS, *RATIOS)}
    return pa.table(columns).sort_by([(name, "ascending") for name in PLACE])


def compare(name: str, own: pa.Table, rows: pa.Table) -> None:
    """Equal rows, to the nanosecond, the part, and the last bit of a ratio. Raises DisagreementError."""
    if len(own) != len(rows):
        raise DisagreementError(f"{name}: the twin has {len(rows):,} rows, this has {len(own):,}")
    for column in rows.column_names:
        if own[column].combine_chunks() != rows[column].combine_chunks():
            raise DisagreementError(f"{name}: differs from the twin's rows in the column {column}")


def twin(name: str) -> Callable[[Stage], float]:
    def once(s: Stage) -> float:
        root = s.folder / f"again-{next(s.count)}"
        report = replay(s.plant, open_logs([s.folder / "given"], s.plant), root)
        compare(name, rows_of(root / "kpis"), s.rows)
        return report.events_per_s

    return once


def program(name: str, file: str, *form: str) -> Callable[[Stage], float]:
    def once(s: Stage) -> float:
        if not len(s.rows):
            raise DisagreementError(f"{name}: no rows, because the events end within a minute: take more")
        output = s.folder / f"{name}.parquet"
        line = s.plant.lines[0]
        windows = ",".join(f"{w.id}={w.length_ns}" for w in line.windows)
        ideal_ns = line.stations[0].ideal_cycle_ns
        told = python(file, *form, s.folder / "given" / "events", output, windows, line.lateness_ns, ideal_ns)
        compare(name, rows_of(output), s.rows)
        return float(s.events / told["seconds"])

    return once


OWN: Final = "peers-replay-parquet"
KPIS: Final = "events Parquet to the rolling key figures of every station in one Parquet file, nothing else"
GROUP: Final = Group(
    "peers-replay",
    f"events Parquet of {LINES * STATIONS} stations on {LINES} lines, {RATE_HZ:,} events a second of event time, "
    "windows 1 h and 1 min at every minute",
    (
        Peer(OWN, "events Parquet to all sets in Parquet: events, states, kpis, bottlenecks, alerts", twin(OWN)),
        Peer("polars-memory", f"{KPIS}; in-memory engine", program("polars-memory", "polars_kpis.py", "memory"), OWN),
        Peer("polars-streaming", f"{KPIS}; streaming", program("polars-streaming", "polars_kpis.py", "streaming"), OWN),
        Peer("duckdb", KPIS, program("duckdb", "duckdb_kpis.py"), OWN),
    ),
    stage,
)
