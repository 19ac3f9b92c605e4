"""The demo's comparison finds differences, and picks the right rows."""

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from streams.tools.demo import EXAMPLES, LOGS, PLANT
from streams.tools.demo_report import batches, bottleneck, program, show
from tests.support.audit import NOON_NS, rows, table, writer
from twin import plant as plants
from twin.results import CLASS_COLUMNS

S = 1_000_000_000


def kpi(order: str | None, **changed: Any) -> dict[str, Any]:
    row = rows("kpis", 1)[0] | {
        "line": "tablet-press",
        "station": "press",
        "window": "order",
        "order": order,
        "good": 953_000,
        "scrap": 4475,
        "down_ns": 3000 * S,
        "minor_stop_ns": 700 * S,
        "planned_stop_ns": 0,
        "oee": 0.9,
        **changed,
    }
    row["start"] = row["end"] - sum(row[name] for name in CLASS_COLUMNS)
    return row


def share(station: str, window: str, length_s: int, value: float) -> dict[str, Any]:
    row = rows("bottlenecks", 1)[0]
    return row | {
        "line": "five-stations",
        "station": station,
        "window": window,
        "start": NOON_NS,
        "end": NOON_NS + length_s * S,
        "share": value,
        "share_low": None,
        "share_high": None,
        "verdict": "undecided",
    }


def audit(root: Path, kpis: list[dict[str, Any]], bottlenecks: list[dict[str, Any]]) -> Path:
    made = writer(root)
    made.add("kpis", table("kpis", kpis))
    made.add("bottlenecks", table("bottlenecks", bottlenecks))
    made.publish(made.stage(0, 10))
    return root


def test_a_batch_agrees_to_the_last_tablet_and_second(tmp_path: Path) -> None:
    root = audit(tmp_path, [kpi("19"), kpi("19", station=None, scrap=1), kpi("19", window="day", scrap=2)], [])
    (batch,) = batches(root, EXAMPLES)
    assert (batch.id, batch.scrap, batch.stopped_s, batch.good_k, batch.agrees) == ("19", 4475, 3700.0, 953, True)


def test_a_difference_is_found(tmp_path: Path) -> None:
    for number, changed in enumerate(({"scrap": 4476}, {"down_ns": 3001 * S}, {"good": 952_000})):
        root = audit(tmp_path / str(number), [kpi("19", **changed)], [])
        assert not batches(root, EXAMPLES)[0].agrees


def test_the_bottleneck_is_that_of_the_longest_interval(tmp_path: Path) -> None:
    found = [share(s, w, n, v) for w, n, v in (("1h", 3600, 0.1), ("order", 9998, 0.5)) for s in ("S1", "S0")]
    root = audit(tmp_path, [kpi("19")], found)
    assert [(row["station"], row["window"], row["share"]) for row in bottleneck(root)] == [
        ("S0", "order", 0.5),
        ("S1", "order", 0.5),
    ]


def test_the_result_is_printed_with_what_to_type_next(tmp_path: Path) -> None:
    root = audit(tmp_path, [kpi("19"), kpi("20", scrap=0)], [share("S1", "order", 100, 0.5)])
    console = Console(file=io.StringIO(), width=120, record=True)
    show(console, root, EXAMPLES)
    text = console.export_text()
    assert "1 of 19 batches agree" in text
    assert f"twin audit query {root} " in text
    assert "undecided" in text


def test_an_audit_without_rows_is_no_crash(tmp_path: Path) -> None:
    root = audit(tmp_path, [kpi(None)], [])
    console = Console(file=io.StringIO(), width=120, record=True)
    assert not show(console, root, EXAMPLES)
    assert "0 of 19 batches" in console.export_text()


def test_the_demo_has_the_lines_of_both_examples_unchanged() -> None:
    demo = {line.id: line for line in plants.load(PLANT).lines}
    for name in ("tablet-press", "five-stations"):
        (line,) = plants.load(EXAMPLES / name / "plant.toml").lines
        assert demo[name] == line
    assert all(path.is_file() for path in LOGS)


def test_the_printed_command_is_found_where_it_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "twin").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.executable", str(tmp_path / ".venv" / "python"))
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert program() == ".venv/twin"
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    assert program() == "twin"
