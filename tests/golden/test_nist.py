"""Two machine tools of a public test bed, by replay, beside what their controllers and files say."""

import gzip
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from twin.audit.read import open_set
from twin.plant import load
from twin.replay import ReplayReport, replay
from twin.results import CLASS_COLUMNS
from twin.sources import open_logs

EXAMPLE = Path(__file__).parents[2] / "examples" / "mazak"
MAZAK = EXAMPLE / "Mazak01-20190522.txt.gz"
HURCO = EXAMPLE / "Hurco01-20170518.txt.gz"
S = 1_000_000_000
HELD_NS = 1_558_531_211_707_000_000  # 2019-05-22T13:20:11.707Z: FEED_HOLD, a second later STOPPED
CLASS_OF = {"unknown": "unknown", "READY": "waiting", "ACTIVE": "running", "FEED_HOLD": "minor_stop"}
Replayed = tuple[Path, ReplayReport]


@pytest.fixture(scope="module")
def mazak(tmp_path_factory: pytest.TempPathFactory) -> Replayed:
    root = tmp_path_factory.mktemp("mazak") / "audit"
    return root, replay((plant := load(EXAMPLE / "plant.toml")), open_logs([MAZAK], plant), root)


@pytest.fixture(scope="module")
def hurco(tmp_path_factory: pytest.TempPathFactory) -> Replayed:
    root = tmp_path_factory.mktemp("hurco") / "audit"
    return root, replay((plant := load(EXAMPLE / "plant.toml")), open_logs([HURCO], plant), root)


def states(root: Path) -> list[dict[str, Any]]:
    """Rows of the set, times as integers, in the order of time."""
    table = open_set(root, "states").to_table()
    for name in ("start", "end"):
        table = table.set_column(table.schema.get_field_index(name), name, table.column(name).cast(pa.int64()))
    return sorted(table.to_pylist(), key=lambda row: row["start"])


def spent(rows: list[dict[str, Any]], column: str) -> dict[str, int]:
    ns: dict[str, int] = defaultdict(int)
    for row in rows:
        ns[row[column]] += row["end"] - row["start"]
    return ns


def readings(log: Path, item: str) -> list[str]:
    with gzip.open(log, "rt") as file:
        return [fields[2].strip() for line in file if (fields := line.split("|"))[1] == item]


def test_automatic_operation_beside_the_controller_s_own_clock(mazak: Replayed) -> None:
    by_word = spent(states(mazak[0]), "state")
    automatic_ns = by_word["ACTIVE"] + by_word["FEED_HOLD"] + by_word["INTERRUPTED"]
    assert round(automatic_ns / S) == 9_788
    clock = [int(value) for value in readings(MAZAK, "auto_time") if value != "UNAVAILABLE"]
    assert clock[-1] - clock[0] == 9_786


def test_states_follow_each_other_without_a_hole(mazak: Replayed) -> None:
    rows = states(mazak[0])
    assert all(before["end"] == after["start"] for before, after in pairwise(rows))
    assert {row["class"] for row in rows if row["state"] == "ACTIVE"} == {"running"}
    assert {row["class"] for row in rows if row["state"] == "READY"} == {"waiting"}
    stops = {row["class"] for row in rows if row["state"] in ("STOPPED", "FEED_HOLD", "INTERRUPTED")}
    assert stops == {"minor_stop", "down"}
    # A stop in which the controller changes its word is one stop: its parts have one class.
    hold, stop = (next(r for r in rows if r["start"] == HELD_NS + d) for d in (0, 1_061_000_000))
    assert (hold["state"], stop["state"]) == ("FEED_HOLD", "STOPPED")
    assert hold["class"] == stop["class"]


def test_a_lost_link_is_unknown(mazak: Replayed) -> None:
    """UNAVAILABLE is neither running nor stopped; so is the night in which the adapter was silent."""
    rows = states(mazak[0])
    unknown = [row for row in rows if row["class"] == "unknown"]
    # From the evening before; 17:39:01.201 to 17:40:50.404; the third, 19:07:35.859, is open at the end of the log.
    assert readings(MAZAK, "execution").count("UNAVAILABLE") == len(unknown) + 1 == 3
    assert [row["state"] for row in unknown] == ["unknown", "unknown"]
    assert unknown[1]["end"] - unknown[1]["start"] == 109_202_711_000


def test_key_figures_sum_to_the_time(mazak: Replayed) -> None:
    table = open_set(mazak[0], "kpis").to_table()
    starts, ends = (table.column(name).cast(pa.int64()).to_numpy().tolist() for name in ("start", "end"))
    assert table.num_rows > 100
    for row, start, end in zip(table.to_pylist(), starts, ends, strict=True):
        assert sum(row[name] for name in CLASS_COLUMNS) == end - start


def test_every_row_of_the_hurco_is_taken(hurco: Replayed) -> None:
    root, report = hurco
    assert report.summary.rows == len(gzip.decompress(HURCO.read_bytes()).splitlines()) == 2_211
    assert not report.summary.problems
    assert (report.rows["rejected"], report.duplicates, report.late) == (0, 0, 0)
    assert report.rows["events"] == report.events == report.summary.n_events
    rows = states(root)
    # As many stretches as it reported, in its words; the first is the night before.
    words = [word for word in readings(HURCO, "Program_Status") if word != "UNAVAILABLE"]
    assert [row["state"] for row in rows if row["state"] != "unknown"] == words
    assert {row["state"]: row["class"] for row in rows} == CLASS_OF
