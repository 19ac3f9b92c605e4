"""A value that no station can have made must not make a sum wrap, nor stop the good ones."""

import json
from typing import Any

import pytest

from twin.line import PartitionTwin
from twin.plant import loads
from twin.wire.decode import Decoder

T0 = 1_767_254_400_000_000_000
PLANT = loads(
    """site = "s"
[[area]]
id = "a"
[[line]]
id = "l"
area = "a"
type = "flow"
lateness = "0s"
publish_every = "1min"
[[line.station]]
id = "m"
ideal_cycle = "1s"
fastest_cycle = "100ns"
[[line.station.counter]]
id = "n"
quality = "good"
scale = 1000000
""",
    "limits.toml",
)


def results(*events: dict[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    beats = [{"type": "heartbeat", "ts": T0 + 3_600_000_000_000 + k} for k in range(2)]
    state = {"type": "state", "ts": T0, "station": "m", "state": "running"}
    values = [json.dumps({"line": "l", **event}).encode() for event in (state, *events, *beats)]
    block, refused = Decoder(PLANT).decode(values, range(len(values)))
    assert not refused
    tables = PartitionTwin(PLANT, 0).fold(block).tables
    columns = ["good", "scrap", "rework", "ideal_ns"]
    kpis = tables["kpis"].select(["station", *columns]).to_pylist()
    rejected = tables["rejected"].select(["reason", "value"]).to_pylist() if "rejected" in tables else []
    return [row for row in kpis if row["station"] == "m"], rejected


def count(second: int, **parts: int) -> dict[str, Any]:
    return {"type": "count", "ts": T0 + second * 1_000_000_000, "station": "m", "seq": second, **parts}


@pytest.mark.parametrize("bad", [{"good": 10**10}, {"good": 2**63 - 1, "scrap": 2**63 - 1, "rework": 2**63 - 1}])
def test_an_impossible_count_is_refused_and_the_good_ones_count(bad: dict[str, int]) -> None:
    kpis, rejected = results(count(1, good=3), count(2, **bad), count(3, good=4))
    assert [row["reason"] for row in rejected] == ["impossible_value"]
    assert json.loads(rejected[0]["value"])["good"] == bad["good"]
    assert max(row["good"] for row in kpis) == 7
    assert all(row[name] >= 0 for row in kpis for name in ("good", "scrap", "rework", "ideal_ns"))


def test_a_counter_that_leaps_beyond_reason_is_a_new_baseline() -> None:
    readings = [(1, 0), (2, 5), (3, 10**13), (4, 10**13 + 2)]
    events = [count(second, counter="n", value=value) for second, value in readings]
    kpis, rejected = results(*events)
    assert not rejected
    assert max(row["good"] for row in kpis) == 7_000_000
