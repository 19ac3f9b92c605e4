"""The example logs against what their authors published, by naive sums over the events."""

import csv
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.support.sources import plain, run
from twin.events.block import INTEGER_COLUMNS
from twin.plant import load
from twin.sources import Logs, open_logs
from twin.wire.decode import Decoder
from twin.wire.encode import json_records

EXAMPLES = Path(__file__).parents[2] / "examples"
NS = 1_000_000_000


def events(example: str, *names: str) -> tuple[list[dict[str, Any]], Logs]:
    plant = load(EXAMPLES / example / "plant.toml")
    logs = open_logs([EXAMPLES / example / name for name in names], plant)
    found = []
    for block in run(logs)[0]:
        # Exact times beside the readable ones.
        found += [one | {"ts": int(ts)} for one, ts in zip(plain([block], plant), block.ts, strict=True)]
    return found, logs


@pytest.fixture(scope="module")
def tablets() -> tuple[list[dict[str, Any]], Logs]:
    return events("tablet-press", "3.csv.gz", "5.csv.gz")


@pytest.fixture(scope="module")
def batches() -> dict[str, dict[str, str]]:
    with (EXAMPLES / "tablet-press" / "expected_batches.csv").open() as file:
        return {row["batch"]: row for row in csv.DictReader(file)}


def test_stopped_time_per_batch(tablets: tuple[list[dict[str, Any]], Logs], batches: dict[str, dict[str, str]]) -> None:
    stopped: dict[str, int] = defaultdict(int)
    batch, state, since = None, None, 0
    for event in tablets[0]:
        if batch is not None and state == "stopped":
            stopped[batch] += event["ts"] - since
        since = event["ts"]
        if event["type"] == "order":
            batch = event["order"] if event["phase"] == "start" else None
        elif event["type"] == "state":
            state = event["state"]
    for name, row in batches.items():
        # The authors leave a weekend out of batch 365; that is for the calendar, not for the reader.
        rows = row["raw_zero_rows"] if name == "365" else row["pub_zero_rows"]
        assert stopped[name] == 10 * NS * float(rows), name


def test_every_batch_is_an_order_of_its_length(
    tablets: tuple[list[dict[str, Any]], Logs], batches: dict[str, dict[str, str]]
) -> None:
    orders = [event for event in tablets[0] if event["type"] == "order"]
    starts = {e["order"]: e for e in orders if e["phase"] == "start"}
    ends = {e["order"]: e for e in orders if e["phase"] == "end"}
    assert len(orders) == 2 * len(batches)
    for name, row in batches.items():
        assert starts[name]["product"] == row["code"]
        # Between the first and the last row; the last one holds for ten seconds more.
        minutes = (ends[name]["ts"] - starts[name]["ts"] - 10 * NS) / 60 / NS
        assert round(minutes, 2) == float(row["elapsed_min"]), name


def test_counters_per_batch(tablets: tuple[list[dict[str, Any]], Logs], batches: dict[str, dict[str, str]]) -> None:
    batch = None
    last: dict[tuple[str, str], int] = {}
    made: Counter[tuple[str, str]] = Counter()
    before: dict[str, int] = {}
    for event in tablets[0]:
        if event["type"] == "order" and event["phase"] == "start":
            batch = event["order"]
        elif event["type"] == "count" and batch is not None:
            counter, value = event["counter"], event["value"]
            step = value - before.get(counter, value)
            made[batch, counter] += step if step >= 0 else value
            before[counter] = last[batch, counter] = value
    for name, row in batches.items():
        assert made[name, "waste"] == float(row["raw_waste"])
        assert made[name, "produced"] == float(row["raw_produced_k_max"])
        assert last[name, "produced"] == float(row["raw_produced_k_last"])


def test_rows_and_gaps(tablets: tuple[list[dict[str, Any]], Logs], batches: dict[str, dict[str, str]]) -> None:
    summary = tablets[1].summary
    assert summary.rows == sum(int(row["rows"]) for row in batches.values())
    assert not summary.problems
    # Three inside batch 117, and between the batches of each file.
    assert summary.gaps.count == 3 + len(batches) - 2
    of_117 = [e for e in tablets[0] if e["type"] == "state" and e["state"] == "unknown"]
    assert len(of_117) >= 3


def test_five_stations() -> None:
    found, logs = events("five-stations", "events.csv.gz")
    orders = [e["ts"] for e in found if e["type"] == "order"]
    assert orders[1] - orders[0] == 9_998_616_000_000
    ends = Counter(e["station"] for e in found if e["type"] == "cycle" and e["phase"] == "end")
    assert ends == {"S0": 2139, "S1": 2135, "S2": 2132, "S3": 2130, "S4": 2129}
    assert logs.summary.rows == logs.summary.events["cycle"] == 21_335


def test_mazak_states_against_the_machine_s_own_clock() -> None:
    found, logs = events("mazak", "Mazak01-20190522.txt.gz")
    states = sorted((e["ts"], e["state"]) for e in found if e["type"] == "state")
    spent: dict[str, int] = defaultdict(int)
    for (start, state), (end, _) in pairwise(states):
        spent[state] += end - start
    # The controller's own counter auto_time says 9,786 s.
    assert round((spent["ACTIVE"] + spent["FEED_HOLD"] + spent["INTERRUPTED"]) / NS) == 9_788
    assert {e["reason"] for e in found if e.get("reason")} >= {"148 CHUCK BARRIER", "807 ILLEGAL FORMAT"}
    assert not logs.summary.problems.keys() - {"jump_back"}


def test_every_row_of_the_hurco_is_read() -> None:
    found, logs = events("mazak", "Hurco01-20170518.txt.gz")
    summary = logs.summary
    assert summary.rows == 2_211
    assert summary.n_events - 1 + summary.ignored == summary.rows  # one heartbeat more ends the log
    states = Counter(e["state"] for e in found if e["type"] == "state")
    assert states == {"unknown": 2, "READY": 1, "ACTIVE": 12, "FEED_HOLD": 11}
    assert [e["value"] for e in found if e["type"] == "count"] == [3226]


@pytest.mark.parametrize(
    ("example", "pattern"), [("tablet-press", "*.csv.gz"), ("five-stations", "*.csv.gz"), ("mazak", "*.txt.gz")]
)
def test_the_events_of_a_log_are_the_same_after_the_wire(example: str, pattern: str) -> None:
    plant = load(EXAMPLES / example / "plant.toml")
    decoder = Decoder(plant)
    for block, _ in open_logs(sorted((EXAMPLES / example).glob(pattern)), plant):
        records = json_records(block, plant)
        back, refused = decoder.decode(records, block.offset.tolist())
        assert not refused
        for name in INTEGER_COLUMNS:
            mine, theirs = getattr(block, name), getattr(back, name)
            if name in ("x", "y", "z", "entry"):
                mine, theirs = texts(block.words, mine), texts(back.words, theirs)
            assert (mine == theirs).all(), name


def texts(words: Sequence[str], index: npt.NDArray[np.int32]) -> npt.NDArray[np.object_]:
    return np.array([*words, None], object)[index]
