"""Measures out of tables and SHDR: exact decimals, and a word about every cell that is none."""

import json
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.cli import main
from tests.support.sources import PLANT, mapping, read, run, short, write
from twin.decimals import MAX_SCALED, fitted, scaled
from twin.plant import loads
from twin.sources import Logs, MappingError, open_logs
from twin.sources.mapping import check

MEASURES = """
[[line.station.measure]]
id = "electricity"
kind = "meter"
unit = "kWh"
decimals = 3
modulus = 1000
[[line.station.measure]]
id = "heat"
kind = "gauge"
unit = "C"
decimals = 2
[[line.station.measure]]
id = "rough"
kind = "gauge"
unit = "C"
decimals = 1
round = true
"""
PLANT_OF = PLANT.replace('[[line.station]]\nid = "B"', MEASURES + '[[line.station]]\nid = "B"').replace(
    "[line.states]", '[[line.measure]]\nid = "water"\nkind = "amount"\nunit = "m3"\n[line.states]', 1
)
TIME = """
[time]
column = "t"
unit = "s"
origin = "2026-01-01T00:00:00Z"
"""
TAGS = """
line = "L1"
[csv]
decimal = ","
delimiter = ";"
"""
RULES = """
[[event]]
type = "measure"
station = { column = "tag", pattern = "Hall.{}.kWh" }
measure = "electricity"
value = { column = "value", scale = "1/1000" }
[[event]]
type = "measure"
station = { column = "tag", pattern = "Hall.{}.T" }
measure = "heat"
value = { column = "value" }
[[event]]
type = "measure"
when = { column = "tag", equals = "Hall.Water" }
measure = "water"
value = { column = "value", unit = { m3 = 1, l = "1/1000" } }
"""
WIDE = (
    """
line = "L1"
station = "A"
"""
    + TIME
)
HEAT = """
[[event]]
type = "measure"
measure = "heat"
value = { column = "T" }
"""


def measured(path: Path, rules: str) -> tuple[list[tuple[Any, ...]], Logs]:
    events, logs = read(path, rules, loads(PLANT_OF))
    return short([e for e in events if e["type"] == "measure"], "at", "station", "measure", "value"), logs


def test_a_long_table_of_tags(tmp_path: Path) -> None:
    rows = "t;tag;value\n0;Hall.A.kWh;18211\n1;Hall.A.T;-3,25\n2;Hall.Water;2000 l\n3;Hall.A.kWh;18211,0\n"
    found, logs = measured(write(tmp_path, "a.csv", rows), TAGS + TIME + RULES)
    assert found == [
        (0, "A", "electricity", "18.211"),
        (1, "A", "heat", "-3.25"),
        (2, None, "water", "2"),
        (3, "A", "electricity", "18.211"),
    ]
    assert not logs.summary.problems
    assert logs.summary.told == 4


@pytest.mark.parametrize(
    ("cell", "csv", "value", "problem"),
    [
        ("1,5", 'decimal = ","', "1.50", None),
        ("-3.25", "", "-3.25", None),
        ("3,25-", 'decimal = ","', "-3.25", None),
        ("1.234,5", 'decimal = ","\nthousands = "."', "1234.50", None),
        ("1.2E-01", "", "0.12", None),
        ("1.20000", "", "1.20", None),
        ("", "", None, None),
        ("N/A", "", None, None),
        ("####", "", None, None),
        ("1.000", "", None, "unsure_number"),
        ("1.000", 'decimal = "."', "1.00", None),
        ("1,5", "", None, "unreadable_number"),
        ("about 5", "", None, "unreadable_number"),
        ("1.255", 'decimal = "."', None, "impossible_value"),
        ("1E30", "", None, "impossible_value"),
    ],
)
def test_one_cell(tmp_path: Path, cell: str, csv: str, value: str | None, problem: str | None) -> None:
    rules = WIDE.replace("[time]", f"[csv]\ndelimiter = ';'\n{csv}\n[time]") + HEAT
    found, logs = measured(write(tmp_path, "a.csv", f"t;T\n0;{cell}\n"), rules)
    assert [one[3] for one in found] == ([] if value is None else [value])
    assert list(logs.summary.problems) == ([] if problem is None else [problem])


def test_what_is_wrong_is_named_with_its_place(tmp_path: Path) -> None:
    rules = WIDE + '[[event]]\ntype = "measure"\nmeasure = { column = "m" }\nvalue = { column = "v" }\n'
    rows = "t,m,v\n0,electricity,1000\n1,heat,0.125\n2,heaf,1\n3,electricity,-1\n"
    path = write(tmp_path, "a.csv", rows)
    found, logs = measured(path, rules)
    assert found == []
    first = {reason: tally.first for reason, tally in logs.summary.problems.items()}
    assert first["unknown_measure"] == f"{path}:4: measure not declared there: heaf"
    assert "'1000' of measure electricity is not below 1000.000" in first["impossible_value"]
    assert {reason: tally.count for reason, tally in logs.summary.problems.items()} == {
        "impossible_value": 3,
        "unknown_measure": 1,
    }


def test_a_sampled_row_that_says_the_same_is_sent(tmp_path: Path) -> None:
    rules = WIDE + '[sample]\nhold = "10s"\n' + HEAT
    found, _ = measured(write(tmp_path, "a.csv", "t,T\n0,5\n10,5\n20,6\n"), rules)
    assert [(at, value) for at, _, _, value in found] == [(0, "5.00"), (10, "5.00"), (20, "6.00")]


def test_parquet_floats_are_taken_by_their_shortest_text(tmp_path: Path) -> None:
    table = pa.table({"t": [0, 1, 2], "T": pa.array([12.3, None, 1.25], pa.float64())})
    pq.write_table(table, tmp_path / "a.parquet")
    found, logs = measured(tmp_path / "a.parquet", WIDE + HEAT)
    assert [value for *_, value in found] == ["12.30", "1.25"]
    assert not logs.summary.problems


def test_shdr(tmp_path: Path) -> None:
    rules = """
format = "shdr"
line = "L1"
station = "A"
[state]
item = "exec"
words = { ACTIVE = "on" }
[[measure]]
item = "Zload"
measure = "rough"
[[measure]]
item = "energy"
measure = "electricity"
scale = "1/1000"
"""
    rows = ["exec|ACTIVE", "Zload|-1.25|energy|500", "Zload|UNAVAILABLE", "Zload|1.000", "Zload|x", "energy|0.5"]
    text = "\n".join(f"2026-01-01T00:00:0{i}Z|{row}" for i, row in enumerate(rows))
    found, logs = measured(write(tmp_path, "a.txt", text), rules)
    assert found == [
        (1, "A", "rough", "-1.2"),
        (1, "A", "electricity", "0.500"),
        (3, "A", "rough", "1.0"),
    ]
    assert {reason: tally.count for reason, tally in logs.summary.problems.items()} == {
        "unreadable_number": 1,
        "impossible_value": 1,
    }


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        (WIDE + HEAT.replace('"heat"', '"heaf"'), r'event\[1\].measure: measure "heaf" is not declared at station "A"'),
        (WIDE.replace('station = "A"', "") + HEAT, r'measure "heat" is not declared at line "L1"'),
        (WIDE + HEAT.replace('value = { column = "T" }', ""), r"event\[1\].value: is missing; add value = "),
        (
            'format = "shdr"\nline = "L1"\nstation = "A"\n[state]\nitem = "x"\n'
            '[[measure]]\nitem = "i"\nmeasure = "no"\n',
            r'measure\[1\].measure: measure "no" is not declared',
        ),
    ],
)
def test_names_that_the_plant_does_not_have(rules: str, told: str) -> None:
    with pytest.raises(MappingError, match=told):
        check(mapping(rules), loads(PLANT_OF))


def test_source_check_says_what_it_has_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "plant.toml").write_text(PLANT_OF)
    (tmp_path / "map.toml").write_text(WIDE + HEAT.replace("heat", "electricity"))
    log = str(write(tmp_path, "a.csv", "t,T\n0,10\n60,10.25\n120,9.5\n180,9.75\n"))
    command = ["source", "check", log, "--plant", str(tmp_path / "plant.toml"), "--mapping", str(tmp_path / "map.toml")]
    assert main(command) == 0
    text = capsys.readouterr().out
    assert "A measure electricity = 10.250" in text
    assert (
        "measure electricity: 4 values from 9.500 to 10.250 kWh, 10.000 at first and 9.750 at last, "
        "1 falls (first 2026-01-01T00:02:00Z: 10.250 to 9.500)" in text
    )
    assert main([*command, "--json"]) == 0
    station = json.loads(capsys.readouterr().out)["stations"][0]
    assert station["measures"]["electricity"]["last"] == "9.750"


@given(st.decimals(-10_000, 10_000, allow_nan=False, allow_infinity=False), st.integers(0, 9), st.booleans())
def test_a_number_fits_as_its_text_does(number: Decimal, decimals: int, rounds: bool) -> None:
    text = format(number, "f")

    def of(make: Any, value: Any) -> int | str:
        try:
            return int(make(value, decimals, rounds=rounds))
        except ValueError as error:
            return str(error)

    if len(text) <= 60:
        assert of(fitted, Fraction(number)) == of(scaled, text)
    whole = number.scaleb(decimals).quantize(Decimal(1), rounding=ROUND_HALF_EVEN)
    if abs(whole) <= MAX_SCALED:
        assert fitted(Fraction(number), decimals, rounds=True) == int(whole)


def test_the_rows_come_out_of_every_piece(tmp_path: Path) -> None:
    rows = "t,T\n" + "".join(f"{i},{i / 4}\n" for i in range(10_000))
    logs = open_logs([write(tmp_path, "a.csv", rows)], loads(PLANT_OF), mapping(WIDE + HEAT))
    blocks, refused = run(logs)
    values = [int(a) for block in blocks for a, kind in zip(block.a, block.type, strict=True) if kind == 7]
    assert values == [25 * i for i in range(10_000)]
    assert not refused


COUNTED = """
[[line.station.measure]]
id = "leak"
kind = "amount"
unit = "defect"
quantity = "defect"
[[line.station.measure]]
id = "holes"
kind = "amount"
unit = "defect"
chart = { type = "p", baseline = 5 }
"""
PARTS = """
[[event]]
type = "count"
good = { column = "ok" }
scrap = { column = "bad" }
unit = { column = "serial" }
defect = { column = "why" }
[[event]]
type = "measure"
when = { column = "n", blank = false }
measure = "holes"
value = { column = "holes" }
n = { column = "n" }
"""


def test_defects_units_and_samples(tmp_path: Path) -> None:
    """What the wire would refuse is told and left out: a defect of nobody's, or of no part; a share above one."""
    rows = "\n".join(
        [
            "t,ok,bad,serial,why,holes,n",
            "0,1,0,A,,,",
            "1,0,1,B,leak,3,50",
            "2,0,1,C,rust,,",
            "3,1,0,D,leak,,",
            "4,1,0,,,9,8",
        ]
    )
    plant = loads(PLANT.replace('[[line.station]]\nid = "B"', COUNTED + '[[line.station]]\nid = "B"'))
    events, logs = read(write(tmp_path, "a.csv", rows + "\n"), WIDE + PARTS, plant)
    counts = short([e for e in events if e["type"] == "count"], "at", "parts", "unit", "defect")
    assert counts == [(0, (1, 0, 0), "A", None), (1, (0, 1, 0), "B", "leak"), (4, (1, 0, 0), None, None)]
    holes = short([e for e in events if e["type"] == "measure"], "at", "measure", "value", "n")
    assert holes == [(1, "holes", "3", 50)]
    told = {reason: tally.count for reason, tally in logs.summary.problems.items()}
    assert told == {"unknown_measure": 1, "impossible_value": 2}


def test_a_running_counter_has_no_defect(tmp_path: Path) -> None:
    rules = WIDE + '[[event]]\ntype = "count"\ncounter = "n"\nvalue = { column = "c" }\ndefect = { column = "why" }\n'
    with pytest.raises(MappingError, match="is of parts, and a running counter does not say which"):
        mapping(rules)
