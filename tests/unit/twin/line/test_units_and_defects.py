"""Defects and units that counts name: Pareto, first pass by unit, RTY; late counts, corrections, kills, recomputing."""

import json
import random
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.families import Row, check_kills, counting, fold
from twin.audit.query import query
from twin.audit.recompute import recompute
from twin.figures.yields import first_pass_yields
from twin.line import PartitionTwin
from twin.measures import units
from twin.plant import loads
from twin.replay import replay
from twin.report.build import report
from twin.sources import open_logs
from twin.wire.decode import Decoder

S: Final = 1_000_000_000
T0: Final = 1_772_431_200 * S  # 06:00
STATION: Final = """
[[line.station]]
id = "{}"
ideal_cycle = "10s"
staleness = "1h"
[[line.station.measure]]
id = "leak"
kind = "amount"
unit = "defect"
quantity = "defect"
opportunities = 2
[[line.station.measure]]
id = "dent"
kind = "amount"
unit = "defect"
quantity = "defect"
[[line.station.measure]]
id = "first pass"
kind = "first_pass"
unit = "unit"
"""
TEXT: Final = """
site = "test"
area = [{ id = "a" }]
[calendar]
shift = [{ id = "early", hours = "06:00-07:00" }]
[[line]]
id = "L"
area = "a"
type = "flow"
publish_every = "1min"
lateness = "0s"
revise = "1h"
windows = ["10min/1min"]
product = [{ id = "p" }, { id = "q" }]
""" + "".join(STATION.format(name) for name in "ab")


def count(at_s: float, station: str, **said: Any) -> Row:
    return {"type": "count", "ts": T0 + int(at_s * S), "line": "L", "station": station, **said}


def ends(at_s: int = 3_700) -> list[Row]:
    return [{"type": "heartbeat", "ts": T0 + s * S, "line": "L"} for s in (at_s, at_s + 60)]


def log(late: float = 0.0, seed: int = 1) -> list[Row]:
    """Parts of two products through two stations; some come again, repaired."""
    drawn, delays = random.Random(seed), random.Random(seed)  # noqa: S311 -- a log, no secret
    events: list[tuple[float, Row]] = []
    for k, name in ((0, "p"), (150, "q")):
        order = {"type": "order", "ts": T0 + 20 * k * S, "line": "L", "action": "start", "order": name, "product": name}
        events.append((20 * k, order))
    for k in range(300):
        t = 10 * k
        station = "ab"[k % 2]
        unit = f"u{drawn.randrange(k // 3 + 1)}"
        bad = drawn.choice(("scrap", "rework", None, None))
        said = {"good": 1} if bad is None else {bad: 1, "defect": drawn.choice(("leak", "dent"))}
        delay = delays.randrange(60, 600) if delays.random() < late else 0
        events.append((t + delay, count(t, station, unit=unit, **said)))
    events.sort(key=lambda pair: pair[0])
    return [event for _, event in events] + ends()


def replayed(folder: Path, events: list[Row]) -> tuple[Path, dict[str, Any]]:
    folder.mkdir(exist_ok=True)
    (folder / "log.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    plant = loads(TEXT)
    replay(plant, open_logs([folder / "log.jsonl"], plant), folder / "audit")
    return folder / "audit", report(folder / "audit", "L", "shift", "2026-03-02 early")


def test_the_example_by_hand(tmp_path: Path) -> None:
    """docs/quality.md: of units A to E, B is reworked and comes again, D is scrapped; four of them go on."""
    events = [
        count(10, "a", good=1, unit="A"),
        count(20, "a", rework=1, unit="B", defect="dent"),
        count(30, "a", good=1, unit="C"),
        count(40, "a", scrap=1, unit="D", defect="leak"),
        count(50, "a", good=1, unit="B"),
        count(60, "a", good=1, unit="E"),
        *(count(70 + k, "b", good=1, unit=unit) for k, unit in enumerate("ABCE")),
        *ends(),
    ]
    _, made = replayed(tmp_path, events)
    first, second, line = made["yields"]
    assert (first["counted"], first["units"], first["fpy"]) == ("by_unit", 5, 0.6)
    assert (second["units"], second["fpy"], line["rty"]) == (4, 1.0, 0.6)
    assert [(row["defect"], row["count"], row["units"]) for row in made["defects"]] == [("dent", 1, 6), ("leak", 1, 6)]
    assert [row["dpmo"] for row in made["defects"]] == [pytest.approx(1e6 / 6), pytest.approx(1e6 / 12)]
    assert first["dpu"] == pytest.approx(2 / 6)


def test_figures_are_those_of_plain_python(tmp_path: Path) -> None:
    events = log()
    root, made = replayed(tmp_path, log(late=0.1))
    counts = [event for event in events if event["type"] == "count"]
    found = Counter((event["station"], event["defect"]) for event in counts if "defect" in event)
    assert {(row["station"], row["defect"]): row["count"] for row in made["defects"]} == found
    of_products = Counter(
        ("p" if event["ts"] <= T0 + 3_000 * S else "q", event["station"], event["defect"])
        for event in counts
        if "defect" in event
    )
    shown = {(row["product"], row["station"], row["defect"]): row["count"] for row in made["defects_of_products"]}
    assert shown == of_products
    visits = [(event["unit"], event["station"], "good" in event) for event in counts]
    wanted = first_pass_yields(visits)
    assert {row["station"]: row["fpy"] for row in made["yields"][:2]} == {k: float(v) for k, v in wanted.items()}
    assert made["yields"][2]["rty"] == pytest.approx(float(wanted["a"] * wanted["b"]))
    asked = "SELECT station, sum(units)::BIGINT AS n, sum(passed)::BIGINT AS ok FROM first_pass GROUP BY station"
    for row in query(str(root), asked).to_pylist():
        assert Fraction(row["ok"], row["n"]) == wanted[row["station"]]
        assert row["n"] == len({unit for unit, station, _ in visits if station == row["station"]})
    assert not made["usage"]
    assert recompute(root).differences == []


@pytest.mark.parametrize("seed", range(2))
def test_late_counts_and_a_kill_at_any_place(seed: int) -> None:
    plant = loads(TEXT)
    events = log(late=0.1, seed=seed)
    ordered = fold(PartitionTwin(plant, 0), plant, sorted(events, key=lambda event: event["ts"]))
    assert counting(fold(PartitionTwin(plant, 0), plant, events)) == counting(ordered)
    check_kills(plant, events, 41)


def test_corrections(tmp_path: Path) -> None:
    """Parts, defect and unit of a count that stands in another's place; scrap that was none; one that never was."""
    by_ts = [str(T0 + s * S) for s in (10, 20, 30)]
    events = [
        count(10, "a", scrap=1, unit="A", defect="leak"),
        count(20, "a", scrap=1, unit="B", defect="leak"),
        count(30, "a", scrap=1, unit="C", defect="leak"),
        count(100, "b", good=1),
        count(101, "a", rework=2, unit="D", defect="dent", corrects=by_ts[0]) | {"ts": T0 + 10 * S},
        {**count(102, "a", corrects=by_ts[1], good=1, scrap=0), "type": "correction"},
        {**count(103, "a", corrects=by_ts[2], verb="undo"), "type": "correction"},
        *ends(),
    ]
    root, made = replayed(tmp_path, events)
    assert [(row["defect"], row["count"]) for row in made["defects"] if row["count"]] == [("dent", 2)]
    assert (made["yields"][0]["units"], made["yields"][0]["fpy"]) == (2, 0.5)  # B passed, D did not
    assert recompute(root).differences == []


def test_parts_of_a_shifts_last_instant_are_the_next_ones(tmp_path: Path) -> None:
    """A count at its end is of the next shift, and so is its defect."""
    events = [count(3_600, "a", scrap=1, defect="leak", unit="A"), *ends(7_300)]
    early = 'hours = "06:00-07:00" }'
    plant = loads(TEXT.replace(early, early + ', { id = "late", hours = "07:00-08:00" }'))
    rows = fold(PartitionTwin(plant, 0), plant, [count(10, "a", good=1), *events])
    mine = [row for name, row in rows if name == "measures" and row["shift"] is not None]
    assert {(row["measure"], row["shift"]) for row in mine} == {
        ("leak", "2026-03-02 late"),
        ("first pass", "2026-03-02 late"),
    }


def test_of_many_units_the_oldest_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(units, "REMEMBERED", 2)
    plant = loads(TEXT)
    names = "ABACAB"  # B is seen before C and A, and forgotten for C
    events = [count(10 * k, "a", good=1, unit=name) for k, name in enumerate(names)]
    rows = fold(PartitionTwin(plant, 0), plant, [*events, *ends()])
    assert sum(row["n"] for name, row in rows if name == "measures" and row["measure"] == "first pass") == 4


@pytest.mark.parametrize(
    "said,reason,detail",
    [
        ({"scrap": 1, "defect": "rust"}, "unknown_measure", "has no defect 'rust': 'leak', 'dent'"),
        ({"scrap": 1, "defect": "first pass"}, "unknown_measure", "has no defect"),
        ({"good": 1, "defect": "leak"}, "missing_field", "has scrap or rework"),
        ({"scrap": 0, "defect": "leak"}, "missing_field", "has scrap or rework"),
        ({"scrap": 1, "defect": ""}, "impossible_value", "defect is empty"),
    ],
)
def test_what_is_refused(said: Row, reason: str, detail: str) -> None:
    _, (one,) = Decoder(loads(TEXT)).decode([json.dumps(count(0, "a", **said)).encode()], [0])
    assert one.reason == reason and detail in one.detail
