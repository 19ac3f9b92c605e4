"""docs/quality.md: its example is a plant, and gives the figures that stand there."""

import re
from pathlib import Path

import pytest

from tests.support.families import Row, fold
from twin.line import PartitionTwin
from twin.plant import loads

DOCS = (Path(__file__).parents[3] / "docs/quality.md").read_text(encoding="utf-8")
S = 1_000_000_000
T0 = 1_772_409_600 * S


def test_the_example() -> None:
    example = re.search(r"```toml\n(.*?)```", DOCS, re.DOTALL)
    assert example is not None
    head = 'site = "x"\narea = [{ id = "a" }]\n[[line]]\nid = "L"\narea = "a"\ntype = "flow"\n'
    plant = loads(head + '[[line.station]]\nid = "s"\nideal_cycle = "1s"\n' + example[1])
    points = re.findall(r"^\| (\d) \| ([\d., ]+) \| ([\d.]+) \| ([\d.]+) \|$", DOCS, re.MULTILINE)
    values = [value for _, values, _, _ in points for value in values.split(", ")]
    assert len(values) == 15
    head_of = {"type": "measure", "line": "L", "station": "s", "measure": "weight"}
    events: list[Row] = [head_of | {"ts": T0 + k * S, "value": value} for k, value in enumerate(values)]
    events += [{"type": "heartbeat", "ts": T0 + more * S, "line": "L"} for more in (600, 660)]
    rows = fold(PartitionTwin(plant, 0), plant, events)
    means = [row for name, row in rows if name == "samples" and row["chart"] == "xbar"]
    ranges = [row for name, row in rows if name == "samples" and row["chart"] == "r"]
    for (point, _, mean, spread), one, other in zip(points, means, ranges, strict=True):
        assert one["point"] == other["point"] == int(point)
        assert one["figure"] == pytest.approx(float(mean), abs=5e-5) and other["figure"] == pytest.approx(float(spread))
    last = means[-1]
    for figure, name in (
        ("500.141667", "center"),
        ("0.236327", "sigma"),
        ("499.732336", "lower"),
        ("500.550997", "upper"),
    ):
        assert figure in DOCS and last[name] == pytest.approx(float(figure), abs=5e-7)
    assert ranges[-1]["upper"] == pytest.approx(1.02984, abs=5e-6) and ranges[-1]["lower"] == 0
    assert last["signals"] == "WE1" and ranges[-1]["signals"] is None
    (told,) = [row for name, row in rows if name == "alerts" and row["kind"] == "chart"]
    assert told["subject"] == "weight xbar 4" and told["limit"] == last["upper"]
