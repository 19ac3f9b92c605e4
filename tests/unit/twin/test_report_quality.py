"""Characteristics, charts, defects and yields of the example plant: what a reader counts in its log."""

import importlib.util
import json
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import pytest

from twin.audit.query import query
from twin.audit.recompute import recompute
from twin.plant import loads
from twin.replay import replay
from twin.report.build import report
from twin.report.html import page as html
from twin.sources import open_logs

HERE = Path(__file__).parents[3] / "examples/quality"
EVENTS: list[dict[str, Any]] = [json.loads(line) for line in (HERE / "log.jsonl").read_text().splitlines()]
S = 10**9
BERRY = 1_772_431_200 + 4 * 3_600


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    found = tmp_path_factory.mktemp("cups") / "audit"
    plant = loads((HERE / "plant.toml").read_text(), "plant.toml")
    replay(plant, open_logs([HERE / "log.jsonl"], plant), found)
    yield found


@pytest.fixture(scope="module")
def made(root: Path) -> dict[str, Any]:
    return report(root, "cups-1", "shift", "2026-03-02 early")


def test_the_log_is_what_its_program_makes() -> None:
    spec = importlib.util.spec_from_file_location("make", HERE / "make.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.text() == (HERE / "log.jsonl").read_text()


def test_characteristics(made: dict[str, Any]) -> None:
    for row, late in zip(made["characteristics"], (True, False), strict=True):
        assert row["product"] == ("berry" if late else "natural")
        weights = [float(e["value"]) for e in EVENTS if e.get("measure") == "weight" and (e["ts"] > BERRY * S) == late]
        assert row["n"] == len(weights) and (row["least"], row["most"]) == (min(weights), max(weights))
        assert row["mean"] == pytest.approx(mean(weights)) and row["deviation"] == pytest.approx(stdev(weights))
        assert row["pp"] == pytest.approx(6.0 / (6 * stdev(weights)))
        sides = 504.0 - mean(weights), mean(weights) - 498.0
        assert row["ppk"] == pytest.approx(min(sides) / (3 * stdev(weights)))
        assert row["giveaway"] == pytest.approx(mean(weights) - 500)
        assert row["giveaway_total"] == pytest.approx(sum(weights) - 500 * len(weights))
        # Sigma within: mean of the subgroups' s over c4(5), of the first twelve.
        groups = [weights[k : k + 5] for k in range(0, 60, 5)]
        sigma = mean(map(stdev, groups)) / 0.9399856029866254
        assert row["cp"] == pytest.approx(1 / sigma)
        assert row["cpk"] == pytest.approx(min(sides) / (3 * sigma))
        assert row["cpk_low"] < row["cpk"] < row["cpk_high"]
        off = (sigma**2 + (mean(weights) - 500.5) ** 2) ** 0.5
        assert row["cpm"] == pytest.approx(1 / off)


def test_quantiles_and_packs(made: dict[str, Any], root: Path) -> None:
    """TNE of 500 g is 15 g: no cup holds so little."""
    for row, late in zip(made["characteristics"], (True, False), strict=True):
        weights = sorted(
            float(e["value"]) for e in EVENTS if e.get("measure") == "weight" and (e["ts"] > BERRY * S) == late
        )
        for name, p in (("p05", 5), ("median", 50), ("p95", 95)):
            assert row[name] == pytest.approx(weights[-(-p * len(weights) // 100) - 1], rel=1 / 128)
        (packs,) = [one for one in made["average_weight"] if one["product"] == row["product"]]
        assert (packs["n"], packs["mean"]) == (len(weights), pytest.approx(mean(weights)))
        assert (packs["t1"], packs["t2"], packs["t1_errors"], packs["t2_errors"]) == (485, 470, 0, 0)
        assert packs["kept"] == "kept"


def test_packs_that_hold_too_little(tmp_path: Path) -> None:
    """docs/quality.md: 38 of 501 g, one just below nominal - TNE, one just below nominal - 2 TNE."""
    weights = ["501", "484.9", *["501"] * 37, "469.9"]
    head = {"line": "cups-1", "station": "filler", "type": "measure", "measure": "weight"}
    log = [head | {"ts": (1_772_431_200 + 60 + k) * S, "value": value} for k, value in enumerate(weights)]
    log += [{"line": "cups-1", "type": "heartbeat", "ts": (1_772_431_200 + 8 * 3_600 + k) * S} for k in (0, 600)]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(event) + "\n" for event in log))
    plant = loads((HERE / "plant.toml").read_text(), "plant.toml")
    replay(plant, open_logs([tmp_path / "log.jsonl"], plant), tmp_path / "audit")
    (packs,) = report(tmp_path / "audit", "cups-1", "shift", "2026-03-02 early")["average_weight"]
    assert packs["mean"] == pytest.approx(499.82)
    assert (packs["t1_errors"], packs["t1_share"], packs["t2_errors"], packs["kept"]) == (2, 0.05, 1, "not_kept")


def test_charts_show_where_it_went_wrong(made: dict[str, Any]) -> None:
    points = [row for row in made["control_charts"] if row["chart"] == "xbar" and row["product"] == "berry"]
    assert [row["point"] for row in points] == list(range(len(points)))
    assert [row["phase"] for row in points[:13]] == [1] * 12 + [2]
    assert not any(row["signals"] for row in points[:15]) and all("WE1" in row["signals"] for row in points[15:])
    told = [row["detail"] for row in made["alerts"] if row["kind"] == "chart" and "xbar chart" in row["detail"]]
    assert told[0] == "xbar chart of weight, product berry: one point beyond 3 sigma (WE1) at point 15"


def test_defects_and_yields(made: dict[str, Any], root: Path) -> None:
    counted = Counter(dict.fromkeys(("leak", "skewed lid"), 0))
    for event in EVENTS:
        if event.get("measure") in counted:
            counted[event["measure"]] += event["value"]
    assert [(row["defect"], row["count"]) for row in made["defects"]] == counted.most_common()
    sealed = [e for e in EVENTS if e["type"] == "count" and e["station"] == "sealer"]
    good = sum(e["good"] for e in sealed)
    units = good + sum(e["scrap"] + e["rework"] for e in sealed)
    leak = made["defects"][0]
    assert leak["units"] == units and leak["dpu"] == pytest.approx(counted["leak"] / units)
    assert leak["dpmo"] == pytest.approx(1e6 * counted["leak"] / (2 * units))  # two chances a cup
    assert leak["sigma_level_shifted"] == pytest.approx(leak["sigma_level"] + 1.5)
    assert made["defects"][-1]["cumulative"] == 1.0
    filler, sealer, line = made["yields"]
    assert (filler["fpy"], sealer["fpy"]) == (1.0, pytest.approx(float(Fraction(good, units))))
    assert line["station"] is None and line["rty"] == pytest.approx(sealer["fpy"])
    asked = "SELECT defect, sum(count)::BIGINT AS n FROM defects GROUP BY defect ORDER BY n DESC"
    assert [(row["defect"], row["n"]) for row in query(str(root), asked).to_pylist()] == counted.most_common()


def test_an_order_has_its_own(root: Path) -> None:
    """4711 ended with the beginning of 4712: what lies after that is none of it."""
    made = report(root, "cups-1", "order", "4711")
    assert {row["product"] for row in made["control_charts"]} == {"natural"}
    assert [row["product"] for row in made["characteristics"]] == ["natural"]
    early = [e for e in EVENTS if e.get("measure") in ("leak", "skewed lid") and e["ts"] <= BERRY * S]
    assert sum(row["count"] for row in made["defects"]) == sum(e["value"] for e in early)


def test_shown(made: dict[str, Any], root: Path) -> None:
    page = html(made, "de")
    for what in ("Merkmale", "Regelkarten", "Fehler", "Ausbeuten"):
        assert f"<h2>{what}</h2>" in page
    assert page.count('class="c-down" data-value="50') == sum(
        bool(row["signals"]) and row["figure"] > 10 for row in made["control_charts"]
    )
    assert recompute(root).differences == []


def test_more_taken_back_than_found_and_none_at_all(tmp_path: Path) -> None:
    plant = loads((HERE / "plant.toml").read_text(), "plant.toml")
    start = 1_772_431_200
    events: list[dict[str, Any]] = [
        {"type": "count", "ts": (start + k) * S, "line": "cups-1", "station": "sealer", "good": 10} for k in (10, 20)
    ]
    for name, value in (("leak", 2), ("leak", -5), ("skewed lid", 4)):
        head = {"type": "measure", "ts": (start + 30) * S, "line": "cups-1", "station": "sealer"}
        events.append(head | {"measure": name, "value": value})
    events += [{"type": "heartbeat", "ts": (start + s) * S, "line": "cups-1"} for s in (28_800, 29_400, 30_000)]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    replay(plant, open_logs([tmp_path / "log.jsonl"], plant), tmp_path / "root")
    made = report(tmp_path / "root", "cups-1", "shift", "2026-03-02 early")
    assert [(row["defect"], row["count"], row["cumulative"]) for row in made["defects"]] == [
        ("skewed lid", 4, 1.0),
        ("leak", -3, None),
    ]
    assert made["defects"][0]["dpu"] == 0.2 and made["defects"][1]["dpu"] is None
    assert made["characteristics"] == [] and "<h2>Characteristics</h2>" not in html(made, "en")
