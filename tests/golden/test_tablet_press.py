"""The tablet press by replay, batch by batch, against the figures its authors published."""

import csv
import gzip
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from twin.audit.read import open_set
from twin.plant import load
from twin.replay import ReplayReport, replay
from twin.results import CLASS_COLUMNS
from twin.sources import open_logs

EXAMPLE = Path(__file__).parents[2] / "examples" / "tablet-press"
S = 1_000_000_000
SAMPLE_NS = 10 * S
WEEKEND_NS = 48 * 3600 * S

with (EXAMPLE / "expected_batches.csv").open() as file:
    BATCHES = {row["batch"]: row for row in csv.DictReader(file)}


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ReplayReport]:
    root = tmp_path_factory.mktemp("tablets") / "audit"
    plant = load(EXAMPLE / "plant.toml")
    return root, replay(plant, open_logs(sorted(EXAMPLE.glob("*.csv.gz")), plant), root)


@pytest.fixture(scope="module")
def orders(replayed: tuple[Path, ReplayReport]) -> dict[str, dict[str, Any]]:
    """The press's order rows by batch; times as integers."""
    table = open_set(replayed[0], "kpis").to_table()
    for name in ("start", "end"):
        place = table.schema.get_field_index(name)
        table = table.set_column(place, name, table.column(name).cast(pa.int64()))
    rows = [r for r in table.to_pylist() if r["window"] == "order" and r["station"] == "press"]
    assert len(rows) == len(BATCHES) == 19
    return {row["order"]: row for row in rows}


def stopped_ns(row: dict[str, Any]) -> int:
    return int(row["minor_stop_ns"] + row["down_ns"])


@pytest.mark.parametrize("batch", BATCHES)
def test_batch(batch: str, orders: dict[str, dict[str, Any]]) -> None:
    row, published = orders[batch], BATCHES[batch]
    assert row["product"] == published["code"]
    assert row["scrap"] == float(published["pub_waste"])
    assert row["good"] == 1000 * float(published["raw_produced_k_max"])
    assert stopped_ns(row) == SAMPLE_NS * float(published["pub_zero_rows"])
    # The authors leave the weekend out of batch 365; here it is planned.
    assert row["planned_stop_ns"] == (WEEKEND_NS if batch == "365" else 0)
    assert stopped_ns(row) + row["planned_stop_ns"] == SAMPLE_NS * float(published["raw_zero_rows"])


@pytest.mark.parametrize("batch", BATCHES)
def test_every_nanosecond_of_a_batch_has_one_class(batch: str, orders: dict[str, dict[str, Any]]) -> None:
    row, published = orders[batch], BATCHES[batch]
    length_ns = row["end"] - row["start"]
    assert sum(row[name] for name in CLASS_COLUMNS) == length_ns
    # From the first row to the last, which holds for a sample more.
    assert round((length_ns - SAMPLE_NS) / 60 / S, 2) == float(published["elapsed_min"])


def test_gaps_are_unknown_and_reported(replayed: tuple[Path, ReplayReport], orders: dict[str, dict[str, Any]]) -> None:
    """A row stands for ten seconds. What no row stands for is a gap; a row without a speed says nothing."""
    blank: Counter[str] = Counter()
    for log in EXAMPLE.glob("*.csv.gz"):
        with gzip.open(log, "rt") as file:
            blank.update(row["batch"] for row in csv.DictReader(file, delimiter=";") if row["tbl_speed"] == "")
    for batch, row in orders.items():
        gap_ns = row["end"] - row["start"] - SAMPLE_NS * int(BATCHES[batch]["rows"])
        assert row["unknown_ns"] == gap_ns + SAMPLE_NS * blank[batch], batch
        assert (gap_ns, blank[batch]) == ((270 * S, 57) if batch == "117" else (0, 0))
    # Three gaps within batch 117; the others lie between two batches of one file.
    summary = replayed[1].summary
    assert summary.gaps.count == 3 + len(BATCHES) - 2
    assert f"{summary.gaps.count} gaps between samples" in summary.report()


def test_the_line_is_its_only_station(replayed: tuple[Path, ReplayReport], orders: dict[str, dict[str, Any]]) -> None:
    rows = open_set(replayed[0], "kpis").to_table().to_pylist()
    lines = {r["order"]: r for r in rows if r["window"] == "order" and r["station"] is None}
    assert set(lines) == set(orders)
    for batch, row in orders.items():
        assert lines[batch]["constraint"] == "press"
        for name in (*CLASS_COLUMNS, "good", "scrap", "ideal_ns", "oee"):
            assert lines[batch][name] == row[name]
