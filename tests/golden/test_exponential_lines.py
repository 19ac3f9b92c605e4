"""Serial lines with exact answers (Markov chains): simulated logs through the twin, one order over the whole run."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kernels import codes
from tests.generators import recursion, serial_line_log
from tests.support.fold import FOREVER, Ev, dicts, heartbeat, one_line
from tests.support.fold import block as block_of
from twin.events.block import DTYPES, INTEGER_COLUMNS, EventBlock
from twin.line import PartitionTwin
from twin.plant.model import Buffer, Plant, Station

LINES = json.loads((Path(__file__).parents[1] / "data/golden/serial_lines.json").read_text())
EXPONENTIAL = [line for line in LINES if line["model"] == "exponential_bas"]
START = 1_700_000_000_000_000_000


def name(line: dict[str, Any]) -> str:
    return f"{line['mu']}-{line['B']}"


def plant_of(capacities: list[int]) -> Plant:
    n = len(capacities) + 1
    stations = [
        Station(
            f"S{i}",
            inputs=(f"B{i - 1}",) if i else (),
            output=f"B{i}" if i < n - 1 else None,
            staleness_ns=FOREVER,
        )
        for i in range(n)
    ]
    return one_line(stations, [Buffer(f"B{i}", c) for i, c in enumerate(capacities)], pane_ns=3_600_000_000_000)


def blocks(line: dict[str, Any], parts: int, seed: int) -> tuple[list[EventBlock], int]:
    """The log in blocks of 65,536 events, with the order around it; and its length in ns."""
    ts, station, code = serial_line_log(line["mu"], line["B"], parts, seed)
    found = [block_of([Ev(START, codes.ORDER, code=codes.START, x="run")])]
    for begin in range(0, len(ts), 65_536):
        part = slice(begin, begin + 65_536)
        n = len(ts[part])
        columns: dict[str, Any] = {column: np.zeros(n, DTYPES[column]) for column in INTEGER_COLUMNS}
        columns["type"][:] = codes.CYCLE
        columns["ts"][:] = ts[part] + START
        columns["station"][:] = station[part]
        columns["code"][:] = code[part]
        for absent in ("seq", "x", "y", "z", "entry"):
            columns[absent][:] = -1
        found.append(EventBlock(**columns))
    end = START + int(ts[-1])
    found.append(block_of([Ev(end, codes.ORDER, code=codes.END, x="run"), heartbeat(end + 10**10)]))
    return found, int(ts[-1])


def figures(line: dict[str, Any], parts: int, seed: int) -> dict[str, Any]:
    """Shares, blocked and starved per station, and throughput per second."""
    twin = PartitionTwin(plant_of(line["B"]), 0)
    log, elapsed = blocks(line, parts, seed)
    results = [twin.fold(one) for one in log]
    assert sum(r.late + r.duplicates for r in results) == 0
    order = [r for r in dicts(results, "bottlenecks") if r["window"] == "order"]
    order.sort(key=lambda r: int(r["station"][1:]))
    made = {r["station"]: r for r in dicts(results, "kpis") if r["window"] == "order" and r["station"] is not None}
    assert [r["elapsed_ns"] for r in order] == [elapsed] * len(line["mu"])
    assert sum(r["critical_path_ns"] for r in order) == elapsed
    assert twin.view()[0].contradictions == 0
    return {
        "elasticity": [r["share"] for r in order],
        "blocked": [r["blocked_ns"] / elapsed for r in order],
        "starved": [r["starved_ns"] / elapsed for r in order],
        "TH": made[order[-1]["station"]]["cycles"] * 1e9 / elapsed,
    }


@pytest.mark.slow
@pytest.mark.parametrize("line", EXPONENTIAL, ids=name)
def test_long_run(line: dict[str, Any]) -> None:
    got = figures(line, 200_000, 1)
    for key in ("elasticity", "blocked", "starved"):
        assert got[key] == pytest.approx(line[key], abs=0.01), key
    assert got["TH"] == pytest.approx(line["TH"], rel=0.01)


@pytest.mark.parametrize("line", EXPONENTIAL, ids=name)
def test_short_run(line: dict[str, Any]) -> None:
    """A tenth of the parts: root of ten wider, 0.03."""
    got = figures(line, 20_000, 1)
    for key in ("elasticity", "blocked", "starved"):
        assert got[key] == pytest.approx(line[key], abs=0.03), key
    assert got["TH"] == pytest.approx(line["TH"], rel=0.03)


def test_twelve_stations_against_finite_differences() -> None:
    """A station's share is by how many per cent the run gets longer when all its work does by one per cent: each of
    twelve is made slower and faster, with the same parts, in the plain recursion of the line."""
    mu = [1.0, 1.3, 0.9, 1.1, 1.0, 0.95, 1.2, 1.0, 0.85, 1.1, 1.05, 1.0]
    line = {"mu": mu, "B": [2, 4, 1, 3, 0, 5, 2, 1, 3, 2, 4]}
    parts, seed, step = 20_000, 12, 0.004
    got = figures(line, parts, seed)["elasticity"]
    random = np.random.default_rng(seed)
    service = np.maximum(1, np.rint(random.exponential(1e9 / np.array(mu), (parts, len(mu))))).astype(np.int64)
    capacity = np.array(line["B"], np.int64)

    def length(station: int, factor: float) -> int:
        other = service.copy()
        other[:, station] = np.rint(other[:, station] * factor)
        return int(recursion(other, capacity)[1][-1, 0])

    whole = length(0, 1.0)
    expected = [(length(k, 1 + step) - length(k, 1 - step)) / (2 * step * whole) for k in range(len(mu))]
    assert sum(expected) == pytest.approx(1, abs=0.002)
    assert got == pytest.approx(expected, abs=0.002)
