"""The five-station line by replay, against its authors' counts, its buffers' record and a reference in integer time."""

import csv
import gzip
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kernels.fold import layout as at
from twin.audit.read import open_set
from twin.events.block import INTEGER_COLUMNS, EventBlock
from twin.line import PartitionTwin
from twin.plant import load
from twin.plant.model import Plant
from twin.replay import replay
from twin.results import CLASS_COLUMNS
from twin.sources import open_logs

EXAMPLE = Path(__file__).parents[2] / "examples" / "five-stations"
RECORD = Path(__file__).parents[1] / "data" / "five-stations" / "buffers.csv.gz"
S = 1_000_000_000
ORIGIN_NS = 1_767_225_600 * S  # 2026-01-01T00:00:00Z
ELAPSED_NS = 9_998_616_000_000
STATIONS = ("S0", "S1", "S2", "S3", "S4")


@pytest.fixture(scope="module")
def plant() -> Plant:
    return load(EXAMPLE / "plant.toml")


@pytest.fixture(scope="module")
def audit(plant: Plant, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("stations") / "audit"
    replay(plant, open_logs([EXAMPLE / "events.csv.gz"], plant), root)
    return root


def whole_run(audit: Path, name: str) -> list[dict[str, Any]]:
    """Rows of the order, which is the whole log, in the order of the stations."""
    rows = [r for r in open_set(audit, name).to_table().to_pylist() if r["window"] == "order" and r["station"]]
    rows.sort(key=lambda r: r["station"])
    assert tuple(r["station"] for r in rows) == STATIONS
    return rows


def shares(values: list[int]) -> list[float]:
    return [round(value / ELAPSED_NS, 4) for value in values]


def test_jobs_and_time(audit: Path) -> None:
    rows = whole_run(audit, "kpis")
    assert [r["cycles"] for r in rows] == [r["good"] for r in rows] == [2139, 2135, 2132, 2130, 2129]
    assert shares([r["cycle_ns"] for r in rows]) == [0.8709, 0.9483, 0.8619, 0.9661, 0.8513]
    assert shares([r["blocked_ns"] for r in rows]) == [0.1289, 0.0458, 0.0710, 0.0043, 0]
    assert shares([r["starved_ns"] for r in rows]) == [0, 0.0057, 0.0668, 0.0296, 0.1484]
    for row in rows:
        assert sum(row[name] for name in CLASS_COLUMNS) == ELAPSED_NS
        # What runs beyond completed cycles is the job that the end of the log cuts off.
        assert row["running_ns"] >= row["cycle_ns"]
        assert row["running_ns"] + row["blocked_ns"] + row["starved_ns"] == ELAPSED_NS


def test_critical_path(audit: Path) -> None:
    rows = whole_run(audit, "bottlenecks")
    assert {r["elapsed_ns"] for r in rows} == {ELAPSED_NS}
    assert sum(r["critical_path_ns"] for r in rows) == ELAPSED_NS
    assert [round(r["share"], 3) for r in rows] == [0.034, 0.296, 0.118, 0.512, 0.040]
    # The line's true elasticities (a million parts of the same model) are .416 for S1 and .426 for S3: from this log
    # alone nobody can tell the two apart, and none of the others may be named.
    assert {r["verdict"] for r in rows} <= {"undecided", "S3"}
    for row, truth in zip(rows, (0.033, 0.416, 0.092, 0.426, 0.033), strict=True):
        assert row["share_low"] <= truth <= row["share_high"], row["station"]


def test_every_pane_sums_to_its_time(audit: Path) -> None:
    table = open_set(audit, "bottlenecks").to_table()
    table = table.filter(np.array([w in ("pane", "panes") for w in table.column("window").to_pylist()]))
    sums = table.group_by(["window", "start", "end", "elapsed_ns"]).aggregate([("critical_path_ns", "sum")])
    assert sums.num_rows == 2 * 17  # ten-minute panes, the last one begun
    assert sums.column("critical_path_ns_sum").to_pylist() == sums.column("elapsed_ns").to_pylist()


def cut(block: EventBlock, chosen: slice) -> EventBlock:
    return replace(block, **{name: getattr(block, name)[chosen] for name in INTEGER_COLUMNS})


def test_buffers_follow_the_record_without_a_contradiction(plant: Plant) -> None:
    """The derived levels at every full unit of time equal those the simulation recorded.

    The event log is rounded to milliseconds, the levels were taken from the unrounded run. Two events were rounded
    back onto a full unit, a start of S4 and one of S3: the record does not know of them yet.
    """
    with gzip.open(RECORD, "rt") as file:
        record = [{name: int(value) for name, value in row.items()} for row in csv.DictReader(file)]
    full_units_ns = [ORIGIN_NS + row["t"] * S for row in record]
    twin = PartitionTwin(plant, 0)
    levels: list[list[int]] = []
    for block, _ in open_logs([EXAMPLE / "events.csv.gz"], plant):
        begin = 0
        # An instant is folded once a later event shows that it is complete: the first event behind the full unit.
        behind = np.searchsorted(block.ts, full_units_ns, side="right")
        for end in (behind[len(levels) :] + 1).tolist():
            if end > len(block):
                break
            twin.fold(cut(block, slice(begin, end)))
            begin = end
            levels.append(twin.engine.state.buffers[:, at.B_LEVEL].tolist())
        twin.fold(cut(block, slice(begin, len(block))))
    (view,) = twin.view()
    assert view.contradictions == 0
    assert len(levels) == len(record)
    recorded = [[row[name] for name in ("B1", "B2", "B3", "B4")] for row in record]
    pairs = zip(record, levels, recorded, strict=True)
    different = {row["t"]: (mine, theirs) for row, mine, theirs in pairs if mine != theirs}
    assert different == {2879: ([5, 0, 1, 4], [5, 0, 1, 5]), 8037: ([2, 3, 4, 0], [2, 3, 5, 0])}
