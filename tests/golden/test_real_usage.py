"""Published logs as station events: a year of a steel works' energy (UCI 851), 57 batches of nylon; sums as published.

The public copy of the first has times that are wrong; what they are is found without knowing the right ones.
"""

import csv
import gzip
import json
from collections import defaultdict
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from twin.audit.query import query
from twin.plant import loads
from twin.plant.model import Plant
from twin.replay import replay
from twin.report.build import Sheet
from twin.report.spans import between
from twin.report.usage import usage
from twin.sources import open_logs, open_sources
from twin.sources.examine import examine
from twin.sources.mapping import loads as mapping_loads

pytest.importorskip("duckdb")
DATA = Path(__file__).parents[1] / "data"
STEEL = DATA / "mass-production/steel-energy/steel_15min.csv.gz"
NYLON = DATA / "mass-production/batch-nylon/nylon.csv.gz"
HEAD = """
site = "test"
area = [{ id = "a" }]
[[line]]
id = "L"
area = "a"
type = "batch"
lateness = "0s"
staleness = "1d"
"""


def measures(kind: str, *names: str, unit: str, decimals: int) -> str:
    return "".join(
        f'[[line.station.measure]]\nid = "{name}"\nkind = "{kind}"\nunit = "{unit}"\ndecimals = {decimals}\n'
        for name in names
    )


def rules(*columns: tuple[str, str], order: str = "") -> str:
    named = f'order = {{ column = "{order}" }}\n' if order else ""
    return "".join(
        f'[[event]]\ntype = "measure"\nmeasure = "{name}"\nvalue = {{ column = "{column}" }}\n{named}'
        for name, column in columns
    )


STEEL_PLANT = (
    HEAD
    + 'publish_every = "15min"\nwindows = ["1d/15min"]\n[[line.station]]\nid = "works"\n'
    + measures("amount", "electricity", unit="kWh", decimals=2)
    + measures("amount", "co2", unit="t", decimals=2)
)


def steel(column: str, form: str) -> str:
    return (
        'line = "L"\nstation = "works"\n[csv]\ndecimal = "."\n'
        f'[time]\ncolumn = "{column}"\nformat = {form}\nzone = "UTC"\n'
        + rules(("electricity", "kwh"), order="load_type")
        + rules(("co2", "co2_t"))
    )


def replayed(plant: Plant, log: Path, mapping: str, root: Path) -> Path:
    logs = open_logs([log], plant, mapping_loads(mapping, "mapping.toml"))
    replay(plant, logs, root)
    assert not logs.summary.problems
    return root


def test_a_year_of_steel(tmp_path: Path) -> None:
    cases = json.loads((DATA / "golden/mass-production/environment.json").read_text())
    expect = next(case["expect"] for case in cases if case["id"] == "steel-totals")
    plant = loads(STEEL_PLANT)
    root = replayed(plant, STEEL, steel("true_time", '"%Y-%m-%dT%H:%M"'), tmp_path / "audit")
    asked = "SELECT measure, order_id, sum(amount_scaled)::BIGINT AS n FROM usage GROUP BY ALL"
    found = {(row["measure"], row["order_id"]): Fraction(row["n"], 100) for row in query(root, asked).to_pylist()}
    by_load = {order: amount for (measure, order), amount in found.items() if measure == "electricity"}
    assert by_load == {load: Fraction(amount) for load, amount in expect["kwh_by_load_type"].items()}
    assert sum(by_load.values()) == Fraction(expect["kwh"]) == Fraction("959636.71")
    assert by_load["Light_Load"] / sum(by_load.values()) == Fraction(expect["light_load_share"])
    assert found["co2", None] == Fraction(expect["co2_t_sum_of_rounded_column"])
    asked = (
        "SELECT date_trunc('day', \"end\" - INTERVAL 1 SECOND) AS day, sum(amount)::BIGINT AS n FROM measures "
        "WHERE measure = 'electricity' GROUP BY ALL ORDER BY ALL"
    )
    days = [Fraction(row["n"], 100) for row in query(root, asked).to_pylist()]
    assert (len(days), max(days), min(days)) == (365, Fraction(expect["max_day_kwh"]), Fraction(expect["min_day_kwh"]))
    assert days.index(max(days)) == expect["max_day_index"]
    sheet = Sheet(root, plant.lines[0], between("2018-01-01T00:00:00Z", "2018-12-31T00:00:00Z"))
    electricity = next(row for row in usage(sheet) if row["measure"] == "electricity")
    assert (electricity["peak"], electricity["base_load"]) == (Fraction(expect["peak_quarter_kw"]), 0)
    # Of the very first nobody knows when it began.
    assert electricity["quarters"] == 364 * 96 - 1


def test_the_times_of_the_public_copy_are_found_wrong() -> None:
    plant = loads(STEEL_PLANT)

    def found(column: str, form: str) -> Any:
        return examine(open_sources([STEEL], plant, mapping_loads(steel(column, form), "mapping.toml")), plant, rows=0)

    assert found("true_time", '"%Y-%m-%dT%H:%M"').stamps == []
    printed = found("printed_time", '["%Y-%m-%d %H:%M:%S", "%d/%m/%Y %H:%M"]').stamps
    assert [text.partition(": ")[2].partition("; ")[0] for text in printed] == [
        "day and month are turned around in 12,672 rows, the first on line 98: read the other way 176 of 176 breaks in "
        "the rhythm of 900 s vanish",
        "365 rows, the first on line 97, lie 24 h before their place between their neighbours: midnight under the date "
        "of the day that ends",
    ]


def test_batches_of_nylon(tmp_path: Path) -> None:
    tags = [f"Tag{k:02d}" for k in range(2, 11)]
    text = HEAD + 'publish_every = "1min"\nwindows = ["1h/1min"]\n[[line.station]]\nid = "reactor"\n'
    plant = loads(text + measures("gauge", *tags, unit="raw", decimals=3))
    mapping = (
        'line = "L"\nstation = "reactor"\n[csv]\ndecimal = "."\n'
        '[time]\nevery = "1min"\norigin = "2026-01-01T00:00:00Z"\n'
        + rules(*((tag, tag) for tag in tags), order="batch_id")
    )
    root = replayed(plant, NYLON, mapping, tmp_path / "audit")
    wanted: dict[tuple[str, str], list[Fraction]] = defaultdict(list)
    with gzip.open(NYLON, "rt") as file:
        for row in csv.DictReader(file):
            for tag in tags:
                if row[tag]:
                    wanted[tag, row["batch_id"]].append(Fraction(row[tag]))
    asked = (
        'SELECT measure, "order" AS batch, sum(n)::BIGINT AS n, sum(total)::BIGINT AS total, min(least) AS least, '
        "max(most) AS most, sum(squares_high)::HUGEINT * 1000000000000000000 + sum(squares_low) AS squares "
        "FROM measures GROUP BY ALL"
    )
    found = {(row["measure"], row["batch"]): row for row in query(root, asked).to_pylist()}
    # The last row of the log ends no interval that is over: its values are still open.
    assert set(found) == set(wanted)
    assert len({batch for _, batch in found}) == 57
    for key, values in wanted.items():
        row = found[key]
        assert row["n"] == len(values), key
        assert Fraction(row["total"], 1000) == sum(values)
        assert (Fraction(row["least"], 1000), Fraction(row["most"], 1000)) == (min(values), max(values))
        assert Fraction(int(row["squares"]), 10**6) == sum(value**2 for value in values)
    assert sum(row["n"] for (tag, _), row in found.items() if tag == "Tag02") == 6641
