"""Peer of the bottleneck: sole and shifting bottleneck time by active periods, from the same states."""

import contextlib
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from kernels.figures.bottleneck import hindsight
from tests.bench.peers.peer import ROOT, Group, Peer, check, python
from twin.plant import load
from twin.replay import replay
from twin.sources import open_logs

I64 = npt.NDArray[np.int64]
LOG: Final = ROOT / "examples" / "five-stations"
# As `kernels.fold.classes.is_active`: at work, or down for a reason of its own.
ACTIVE: Final = ("running", "setup", "minor_stop", "down", "maintenance")
CALLS: Final = 100  # the kernel alone would be over too soon to be timed


@dataclass(frozen=True, slots=True)
class Stage:
    """Changes between active and not, a row each, by time; stations are numbers into `names`."""

    file: Path
    names: list[str]
    station: I64
    ts: I64
    active: npt.NDArray[np.bool_]

    def answer(self) -> dict[str, dict[str, int]]:
        sole, shifting, _ = periods(self)
        return {
            kind: {name: ns for name, ns in zip(self.names, found.tolist(), strict=True) if ns}
            for kind, found in (("sole", sole), ("shifting", shifting))
        }


@contextlib.contextmanager
def stage(events: int) -> Iterator[Stage]:
    """The log of the example, whatever the number of events: a real line with two near-equal stations."""
    plant = load(LOG / "plant.toml")
    with tempfile.TemporaryDirectory(prefix="taktwin-peers-") as name:
        folder = Path(name)
        replay(plant, open_logs([LOG / "events.csv.gz"], plant), folder / "audit")
        rows = ds.dataset(folder / "audit" / "states", format="parquet").to_table()
        yield changes(rows, folder / "states.parquet")


def changes(states: Any, file: Path) -> Stage:
    """What the package asks for, written to `file`: the rows at which a station becomes active or ceases to be, and one
    at the end of its last row, behind which nothing is known."""
    names, station = np.unique(states["station"].to_pylist(), return_inverse=True)
    start, end = (states[name].cast(pa.int64()).to_numpy() for name in ("start", "end"))
    active = np.isin(states["class"].to_pylist(), ACTIVE)
    order = np.lexsort((start, station))
    station, start, end, active = station[order], start[order], end[order], active[order]
    first = np.r_[True, station[1:] != station[:-1]]
    last = np.r_[first[1:], True]
    changed = first | np.r_[True, active[1:] != active[:-1]]
    ts = np.r_[start[changed], end[last]]
    station, active = np.r_[station[changed], station[last]], np.r_[active[changed], ~active[last]]
    order = np.lexsort((station, ts))
    found = Stage(file, names.tolist(), station[order], ts[order], active[order])
    table = {
        "station": names[found.station],
        "timestamp": pa.array(found.ts, pa.timestamp("ns")),
        "status": found.active,
    }
    pq.write_table(pa.table(table), file)
    return found


def periods(s: Stage) -> tuple[I64, I64, I64]:
    """The twin's way from the same rows: active periods first, then the kernel."""
    order = np.argsort(s.station, kind="stable")
    station, ts, active = s.station[order], s.ts[order], s.active[order]
    begins = np.flatnonzero(active[:-1] & (station[:-1] == station[1:]))
    return hindsight(ts[begins], ts[begins + 1], station[begins], len(s.names), int(ts.min()), int(ts.max()))


def twin(s: Stage) -> float:
    periods(s)  # compiled, or loaded from the cache
    begun = time.perf_counter()
    for _ in range(CALLS):
        periods(s)
    return CALLS * len(s.ts) / (time.perf_counter() - begun)


def package(s: Stage) -> float:
    told = python("active_periods.py", s.file)
    for kind, expected in s.answer().items():
        check("active-period-method", f"{kind} time in ns", told[kind], expected)
    return float(len(s.ts) / told["seconds"])


OWN: Final = "peers-active-periods"
COUNTED: Final = "changes of state to sole and shifting bottleneck time per station"
GROUP: Final = Group(
    "peers-bottleneck",
    "states of the example log five-stations: 4,221 changes between active and not",
    (
        Peer(OWN, f"{COUNTED}; arrays in, arrays out", twin, unit="changes/s"),
        Peer("active-period-method", f"{COUNTED}; pandas in, pandas out", package, OWN, unit="changes/s"),
    ),
    stage,
)
