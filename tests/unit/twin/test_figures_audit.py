"""Charts of an audit root against SQL and the obvious computation; `twin figures` from the command line."""

import io
import itertools
import json
import math
import statistics
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streams.cli import main
from tests.support.biscuit import audited
from twin.audit.query import query
from twin.figures.of_audit import chart

pytest.importorskip("duckdb")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return audited(tmp_path_factory.mktemp("biscuit"), days=2)


def rows(root: Path, where: str) -> list[dict[str, Any]]:
    return query(root, f'SELECT * FROM kpis WHERE {where} ORDER BY "end", start').to_pylist()  # noqa: S608 our own


def test_p_chart_of_shifts(root: Path) -> None:
    made = chart(root, "oven-1", "p", station="oven")
    known = rows(root, "\"window\" = 'shift' AND station = 'oven'")
    assert len(made.points) == len(known) > 2
    parts = [row["good"] + row["scrap"] + row["rework"] for row in known]
    bad = [row["scrap"] + row["rework"] for row in known]
    assert sum(bad) and made.center == Fraction(sum(bad), sum(parts))
    middle = sum(bad) / sum(parts)
    for point, n, d in zip(made.points, parts, bad, strict=True):
        if not n:
            assert point.value is None and point.limits is None and not point.signals
            continue
        width = 3 * math.sqrt(middle * (1 - middle) / n)
        assert point.value == Fraction(d, n) and point.limits is not None
        assert point.limits == pytest.approx((max(0, middle - width), min(1, middle + width)))
        assert ("limit" in point.signals) == (abs(d / n - middle) > width)


def test_phase_two_does_not_move_the_limits(root: Path) -> None:
    every, frozen = chart(root, "oven-1", "p", per="1h"), chart(root, "oven-1", "p", per="1h", phase1=5)
    first = [point for point in every.points if point.value is not None][:5]
    count, size = sum(point.count or 0 for point in first), sum(point.size or 0 for point in first)
    assert frozen.center == Fraction(count) / size
    assert [point.value for point in frozen.points] == [point.value for point in every.points]
    assert sum(point.phase == 1 and point.value is not None for point in frozen.points) == 5
    spans = [(point.start_ns, point.end_ns) for point in every.points]
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))


def test_stops_per_hour(root: Path) -> None:
    made = chart(root, "oven-1", "u", station="mixer", per="day")
    known = rows(root, "\"window\" = 'day' AND station = 'mixer'")
    hours = [Fraction(row["running_ns"] + row["minor_stop_ns"] + row["down_ns"], 3_600_000_000_000) for row in known]
    stops = [row["minor_stops"] + row["downs"] for row in known]
    assert sum(stops) and made.center == Fraction(sum(stops)) / sum(hours)
    assert [point.value for point in made.points] == [s / h if h else None for s, h in zip(stops, hours, strict=True)]


def test_single_values(root: Path) -> None:
    made = chart(root, "oven-1", "i_mr", of="performance", station="oven", per="1h")
    values = [None if point.value is None else float(point.value) for point in made.points]
    known = {row["end"]: row["performance"] for row in rows(root, "\"window\" = '1h' AND station = 'oven'")}
    assert set(values) <= set(known.values()) | {None}
    steps = [abs(a - b) for a, b in itertools.pairwise(values) if a is not None and b is not None]
    assert made.sigma == pytest.approx(np.mean(steps) * math.sqrt(math.pi) / 2)
    assert float(made.center or 0) == pytest.approx(statistics.fmean(v for v in values if v is not None))


def test_what_is_not_there_is_said(root: Path) -> None:
    for wrong, message in (
        ({"per": "week"}, "no rows of 'week'"),
        ({"station": "none"}, "oven-1/none"),
        ({"of": "oee"}, "expected one of not_good"),
        ({"phase1": 1}, "at least 2"),
    ):
        with pytest.raises(ValueError, match=message):
            chart(root, "oven-1", "p", **wrong)  # type: ignore[arg-type]


def test_chart_from_the_command_line(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["figures", "chart", str(root), "--line", "oven-1", "--station", "oven"]
    assert main([*arguments, "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["chart"] == "p" and "/" in made["center"]
    assert main(arguments) == 0
    table = capsys.readouterr()
    assert table.out.splitlines()[0].split() == [
        "end",
        "name",
        "phase",
        "size",
        "not_good",
        "lower",
        "upper",
        "signals",
    ]
    assert len(table.out.splitlines()) == len(made["points"]) + 1 and "centre" in table.err
    start = made["points"][1]["start"]
    assert main([*arguments, "--json", "--from", start]) == 0
    assert len(json.loads(capsys.readouterr().out)["points"]) == len(made["points"]) - 1
    assert main([*arguments, "--per", "week"]) == 2
    assert "there is: " in capsys.readouterr().err


def test_any_kind_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "data.json"
    file.write_text('{"n": 100, "defectives": [4, 3, 14]}')
    assert main(["figures", "run", "p", str(file)]) == 0
    assert json.loads(capsys.readouterr().out)["pbar"] == "7/100"
    monkeypatch.setattr("sys.stdin", io.StringIO('{"pieces": {"A": 1}, "ideal_ct_s": {"A": 10}}'))
    assert main(["figures", "run", "mix_rate", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["ideal_rate_per_h"] == 360
    assert main(["figures", "list"]) == 0
    assert "xbar_r" in capsys.readouterr().out
    for kind, text, message in (
        ("none", "{}", "twin figures list"),
        ("p", "{", "no JSON"),
        ("p", "[]", "expected an object"),
        ("p", '{"n": 5}', "given has no 'defectives'"),
        ("real_steel", '{"file": "none.csv"}', "no table 'none.csv'"),
    ):
        file.write_text(text)
        assert main(["figures", "run", kind, str(file)]) == 2
        assert message in capsys.readouterr().err
