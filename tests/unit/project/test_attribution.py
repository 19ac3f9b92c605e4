"""Every row of the example logs that is not what the first rules made of it is owed to one named rule."""

from pathlib import Path
from typing import Any

import pytest

from tests.attribution import Attribution, Row, lines_of, rows_of
from twin.plant import load
from twin.replay import replay
from twin.sources import open_logs

PROJECT = Path(__file__).parents[3]
FORMER = PROJECT / "tests" / "data" / "attribution"
LOGS = {
    "tablet-press": ("tablet-press", "*.csv.gz"),
    "five-stations": ("five-stations", "*.csv.gz"),
    "mazak01": ("mazak", "Mazak01-*.gz"),
    "hurco01": ("mazak", "Hurco01-*.gz"),
}
# Rows gone and new by set and rule. A change that moves them belongs into CHANGELOG.md with its counts.
COUNTS: dict[str, dict[tuple[str, str], tuple[int, int]]] = {
    "tablet-press": {
        ("states", "whole_stops"): (21, 21),
        ("states", "schedule_in_silence"): (5, 1),
        ("kpis", "whole_stops"): (386, 386),
        ("kpis", "schedule_in_silence"): (2, 2),
        ("kpis", "end_of_log"): (0, 2),
        ("alerts", "whole_stops"): (2, 18),
    },
    "five-stations": {},
    "mazak01": {("states", "reason_of_each_part"): (6, 12)},
    "hurco01": {("kpis", "end_of_log"): (8, 0)},
}


# Cells of new rows, and how little is too much.
NUDGES: list[tuple[str, str, Any]] = [
    ("states", "end", 1),
    ("kpis", "down_ns", 1),
    ("kpis", "minor_stops", 1),
    ("kpis", "good", 1),
    ("kpis", "oee", 1e-9),
    ("alerts", "ts", 1),
    ("alerts", "value", 1.0),
]
Made = tuple[str, dict[str, list[Row]], list[dict[str, Any]]]


@pytest.fixture(scope="module", params=LOGS)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A log's name, today's rows of it and its lines."""
    folder, logs = LOGS[request.param]
    example, root = PROJECT / "examples" / folder, tmp_path_factory.mktemp("attribution") / "audit"
    plant = load(example / "plant.toml")
    replay(plant, open_logs(sorted(example.glob(logs)), plant), root)
    return request.param, rows_of(root), lines_of(root)


def test_every_row_that_changed_has_its_rule(made: Made) -> None:
    log, rows, lines = made
    found = Attribution(rows_of(FORMER / log), rows, lines)
    assert not found.unexplained, str(found)
    counts: dict[tuple[str, str], list[int]] = {}
    for (set_name, rule, side), count in found.counts.items():
        counts.setdefault((set_name, rule), [0, 0])[side == "new"] += count
    assert {key: tuple(sides) for key, sides in counts.items()} == COUNTS[log]
    news = (PROJECT / "CHANGELOG.md").read_text()
    for (set_name, rule), (gone, new) in COUNTS[log].items():
        assert f"| {log} | {set_name} | `{rule}` | {gone} | {new} |" in news


@pytest.mark.parametrize("made", ["tablet-press"], indirect=True)
def test_what_no_rule_says_is_told(made: Made) -> None:
    """A row that differs ever so little from what its rule makes of the old one is not explained by it."""
    log, rows, lines = made
    former = rows_of(FORMER / log)
    right = Attribution(former, rows, lines)
    for set_name, name, by in NUDGES:
        row = next(row for row in right.diff[set_name][1] if row[name])
        k = next(k for k, each in enumerate(rows[set_name]) if all(each[key] == row[key] for key in row))
        damaged = [*rows[set_name]]
        damaged[k] = damaged[k] | {name: damaged[k][name] + by}
        found = Attribution(former, rows | {set_name: damaged}, lines)
        assert found.unexplained, (set_name, name)
