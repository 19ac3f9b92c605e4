"""Products out of tables and SHDR: what a part takes, exactly, and a word about every cell that does not say it."""

import json
from pathlib import Path
from typing import Any

import pytest

from streams.cli import main
from tests.support.fold import dicts
from tests.support.sources import PLANT, mapping, plant, read, run, short, write
from twin.line import PartitionTwin
from twin.sources import MappingError, open_logs
from twin.wire.encode import json_records

HEAD = """
line = "L1"
station = { column = "who" }
[csv]
delimiter = ";"
decimal = "."
[time]
column = "t"
unit = "s"
origin = "2026-01-01T00:00:00Z"
"""
PRODUCT = """
[[event]]
type = "product"
product = { column = "p" }
"""
IDEAL = 'ideal_cycle = { column = "c", unit = "s" }\n'
ORDER = '[order]\nid = { column = "o" }\nproduct = { column = "p" }\n'


def declared(path: Path, rules: str) -> tuple[list[tuple[Any, ...]], Any]:
    events, logs = read(path, rules)
    found = [e for e in events if e["type"] == "product"]
    return short(found, "at", "station", "product", "ideal_cycle", "rate", "factor"), logs


def test_a_row_declares_at_its_station_or_for_the_line(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "t;who;p;c\n0;A;cola;0.3\n1;B;cola;6.50\n2;A;;1\n3;A;lime;\n")
    found, logs = declared(path, HEAD + PRODUCT + IDEAL)
    assert found == [(0, "A", "cola", "300ms", None, None), (1, "B", "cola", "6.5s", None, None)]
    assert logs.summary.problems["missing_field"].first == f"{path}:4: what is said of a product needs the product"
    # The row without a value sends a heartbeat or nothing: it is no problem.
    assert logs.summary.unusable == 1
    found, _ = declared(path, HEAD + PRODUCT + IDEAL + 'of = "line"\n')
    assert [one[1] for one in found] == [None, None]
    found, _ = declared(path, HEAD + PRODUCT + IDEAL + 'station = "B"\n')
    assert [one[1] for one in found] == ["B", "B"]


@pytest.mark.parametrize(
    ("rule", "cell", "said"),
    [
        ('ideal_cycle = { column = "c" }', "6.5s", {"ideal_cycle": "6.5s"}),
        ('ideal_cycle = { column = "c", format = "{}min" }', "1.5", {"ideal_cycle": "1.5min"}),
        ('ideal_cycle = { column = "c", lookup = { fast = "300ms" } }', "fast", {"ideal_cycle": "300ms"}),
        ('ideal_cycle = { column = "c", unit = "min", scale = "1/1000" }', "12.5", {"ideal_cycle": "750ms"}),
        ('ideal_cycle = { column = "c", unit = "s" }', "0:01:30", {"ideal_cycle": "90s"}),
        ('ideal_cycle = { column = "c", unit = "s" }', "0.0000000015", {"ideal_cycle": "2ns"}),
        ('ideal_cycle = "4s"', "", {"ideal_cycle": "4s"}),
        ('rate = { column = "c" }', "120000/h", {"rate": "120000/h"}),
        ('rate = { column = "c", per = "h" }', "1.2e4", {"ideal_cycle": "300ms"}),
        ('rate = { column = "c", per = "min", scale = 10 }', "3", {"ideal_cycle": "2s"}),
        ('factor = { column = "c" }', "1/8", {"factor": "1/8"}),
        ('factor = { column = "c", scale = "1/10" }', "2.5", {"factor": "1/4"}),
        ('factor = 20\nrate = "2/s"', "", {"factor": "20", "rate": "2/s"}),
    ],
)
def test_one_cell(tmp_path: Path, rule: str, cell: str, said: dict[str, str]) -> None:
    found, logs = read(write(tmp_path, "a.csv", f"t;who;p;c\n0;A;cola;{cell}\n"), HEAD + PRODUCT + rule + "\n")
    (event,) = [e for e in found if e["type"] == "product"]
    assert {name: event[name] for name in ("ideal_cycle", "rate", "factor") if name in event} == said
    assert not logs.summary.problems


@pytest.mark.parametrize(
    ("rule", "cell", "reason", "why"),
    [
        (IDEAL, "about 5", "unreadable_number", "ideal_cycle 'about 5' is not a number"),
        (IDEAL, "0", "impossible_value", "ideal_cycle '0' is not above 0"),
        (IDEAL, "-3", "impossible_value", "is not above 0"),
        (IDEAL, "0.0000000001", "impossible_value", "is no length of at least 1 ns"),
        (IDEAL, "90000", "impossible_value", "an ideal cycle of 25h is longer than a day"),
        ('ideal_cycle = { column = "c" }', "6,5s", "impossible_value", '"6,5s" is not a duration'),
        ('ideal_cycle = { column = "c" }', "12000/h", "impossible_value", "is a rate; write it as rate"),
        (
            'ideal_cycle = { column = "c", lookup = { fast = "1s" } }',
            "slow",
            "unknown_field_value",
            "no use for 'slow'",
        ),
        ('rate = { column = "c" }', "30ms", "impossible_value", "is not a rate"),
        ('factor = { column = "c" }', "1/0", "impossible_value", "out of range"),
    ],
)
def test_a_cell_that_says_nothing(tmp_path: Path, rule: str, cell: str, reason: str, why: str) -> None:
    path = write(tmp_path, "a.csv", f"t;who;p;c\n0;A;cola;{cell}\n1;A;cola;{cell}\n2;A;cola;\n")
    found, logs = declared(path, HEAD + PRODUCT + rule + "\n")
    assert found == []
    problem = logs.summary.problems[reason]
    assert problem.count == 2
    assert problem.first.startswith(f"{path}:2: ")
    assert why in problem.first


def test_a_point_that_may_be_thousands(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "t;who;p;c\n0;A;cola;1.250\n")
    found, logs = declared(path, HEAD.replace('decimal = "."\n', "") + PRODUCT + IDEAL)
    assert (found, list(logs.summary.problems)) == ([], ["unsure_number"])
    found, _ = declared(path, HEAD.replace('decimal = "."', 'decimal = ","\nthousands = "."') + PRODUCT + IDEAL)
    assert found[0][3] == "1250s"


def test_an_order_brings_what_its_first_row_says(tmp_path: Path) -> None:
    rows = "t;who;o;p;c\n0;A;x;cola;0.3\n5;A;x;cola;0.4\n9;A;y;lime;\n12;A;z;;2\n"
    events, logs = read(write(tmp_path, "a.csv", rows), HEAD + ORDER + IDEAL)
    found = [e for e in events if e["type"] == "order" and e["phase"] == "start"]
    assert short(found, "order", "product", "ideal_cycle") == [
        ("x", "cola", "300ms"),
        ("y", "lime", None),
        ("z", None, None),
    ]
    assert logs.summary.problems["missing_field"].count == 1
    assert all("ideal_cycle" not in e for e in events if e["type"] == "order" and e["phase"] == "end")


def test_orders_of_events_and_of_intervals(tmp_path: Path) -> None:
    rule = (
        '[[event]]\ntype = "order"\naction = { column = "a", lookup = { start = "start", end = "end" } }\n'
        'order = { column = "o" }\nproduct = { column = "p" }\nrate = { column = "r", per = "h" }\n'
    )
    text = "t;who;a;o;p;r\n0;A;start;x;cola;3600\n9;A;end;x;cola;3600\n"
    events, _ = read(write(tmp_path, "a.csv", text), HEAD + rule)
    assert short([e for e in events if e["type"] == "order"], "phase", "ideal_cycle") == [
        ("start", "1s"),
        ("end", None),
    ]
    spans = HEAD + ORDER.replace("[order]", '[order]\nof = "station"\ntime = { column = "from" }') + IDEAL
    text = "from;t;who;o;p;c\n0;10;A;x;cola;0.3\n12;20;A;x;cola;0.3\n5;25;B;y;lime;2\n"
    events, _ = read(write(tmp_path, "b.csv", text), spans)
    assert short([e for e in events if e["type"] == "order"], "station", "order", "phase", "ideal_cycle") == [
        ("A", "x", "start", "300ms"),
        ("B", "y", "start", "2s"),
        ("A", "x", "end", None),
        ("B", "y", "end", None),
    ]


def test_columns_of_each_station(tmp_path: Path) -> None:
    rules = HEAD.replace('station = { column = "who" }\n', "") + (
        '[[event]]\ntype = "product"\nproduct = { column = "p" }\n'
        'ideal_cycle = { column = "{station} s", unit = "s" }\n'
    )
    found, logs = declared(write(tmp_path, "a.csv", "t;p;A s;B s\n0;cola;1;2\n1;lime;;3\n"), rules)
    assert [one[:4] for one in found] == [(0, "A", "cola", "1s"), (0, "B", "cola", "2s"), (1, "B", "lime", "3s")]
    assert not logs.summary.problems


def test_numbered_rows_do_not_number_what_may_be_the_lines(tmp_path: Path) -> None:
    """Rows of two stations have one number: the twin would take the second declaration of the line for a repeat."""
    rules = 'seq = { column = "no" }\n' + HEAD + PRODUCT + IDEAL + 'of = "line"\n'
    events, _ = read(write(tmp_path, "a.csv", "t;who;no;p;c\n0;A;1;cola;1\n0;B;1;lime;2\n"), rules)
    assert short([e for e in events if e["type"] == "product"], "product", "seq") == [("cola", -1), ("lime", -1)]


SHDR = """
format = "shdr"
line = "L1"
station = "A"
[state]
item = "exec"
words = { ACTIVE = "on" }
[product]
item = "part"
ideal_cycle = { item = "std", unit = "s" }
"""


def shdr(folder: Path, rows: list[str], rules: str = SHDR) -> tuple[list[tuple[Any, ...]], Any]:
    text = "\n".join(f"2026-01-01T00:00:0{i}Z|{row}" for i, row in enumerate(rows))
    found, logs = declared(write(folder, "a.txt", text), rules)
    return [one[:4] for one in found], logs


def test_shdr_tells_a_product_and_its_value_together(tmp_path: Path) -> None:
    rows = ["exec|ACTIVE", "std|5", "part|cola", "std|6", "std|6", "part|lime", "part|cola|std|7", "std|UNAVAILABLE"]
    found, _ = shdr(tmp_path, rows)
    # The 5 was there before cola was, and the 6 before lime: they may be those of the product before.
    assert found == [(3, "A", "cola", "6s"), (6, "A", "cola", "7s")]
    found, _ = shdr(tmp_path, ["std|3|part|cola", "part|UNAVAILABLE", "std|4"])
    assert found == [(0, "A", "cola", "3s")]


def test_shdr_texts_of_the_product_itself(tmp_path: Path) -> None:
    rules = SHDR.replace(
        '{ item = "std", unit = "s" }', '{ item = "part", lookup = { cola = "5s" } }\nof = "line"\nfactor = 20'
    )
    found, logs = shdr(tmp_path, ["part|cola", "part|cola", "part|lime"], rules)
    assert found == [(0, None, "cola", "5s"), (2, None, "lime", None)]
    assert list(logs.summary.problems) == ["unknown_field_value"]
    found, logs = shdr(tmp_path, ["part|cola", "std|x", "std|0", "std|2"])
    assert found == [(3, "A", "cola", "2s")]
    assert sorted(logs.summary.problems) == ["impossible_value", "unreadable_number"]


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        (HEAD + PRODUCT, "a product has an ideal_cycle, a rate or a factor"),
        (HEAD + PRODUCT + IDEAL + 'rate = "2/s"\n', "`ideal_cycle` says it already"),
        (HEAD + PRODUCT + 'ideal_cycle = "6.5"\n', '"6.5" is not a duration'),
        (HEAD + PRODUCT + 'ideal_cycle = { column = "c", per = "h" }\n', 'unknown key "per"'),
        (HEAD + PRODUCT + 'rate = { column = "c", unit = "h" }\n', 'unknown key "unit"'),
        (HEAD + PRODUCT + 'ideal_cycle = { column = "c", lookup = { a = "fast" } }\n', '"fast" is not a duration'),
        (HEAD + PRODUCT + IDEAL + 'of = "station"\nwho = 1\n', 'unknown key "who"'),
        (HEAD + '[order]\nid = { column = "o" }\n' + IDEAL, "ideal_cycle is that of a product"),
        (HEAD + PRODUCT + IDEAL + 'of = "line"\nstation = "A"\n', "says where it holds"),
        (SHDR.replace('ideal_cycle = { item = "std", unit = "s" }\n', ""), "a product has an ideal_cycle"),
        (SHDR.replace('item = "std"', 'column = "std"'), 'unknown key "column"'),
    ],
)
def test_mappings_that_cannot_be_used(rules: str, told: str) -> None:
    with pytest.raises(MappingError, match=told):
        mapping(rules)


def test_what_is_declared_by_a_table_is_what_an_order_is_made_at(tmp_path: Path) -> None:
    """Replayed, and fed: the records that go out, read back."""
    rules = HEAD + PRODUCT + IDEAL + '[[event]]\ntype = "count"\ngood = { column = "n" }\n' + ORDER
    rows = "t;who;p;c;o;n\n0;A;cola;0.5;x;0\n10;A;cola;0.5;x;6\n20;A;lime;2;y;0\n30;A;lime;;y;4\n400;A;;;;0\n"
    model = plant()
    blocks, _ = run(open_logs([write(tmp_path, "a.csv", rows)], model, mapping(rules)))
    records = [record for block in blocks for record in json_records(block, model)]
    lines = write(tmp_path, "fed.jsonl", b"\n".join(records))
    again, refused = run(open_logs([lines], model))
    assert not refused
    for made in (blocks, again):
        twin = PartitionTwin(model, 0)
        results = [twin.fold(block) for block in made]
        found = [r for r in dicts(results, "kpis") if r["window"] == "order" and r["station"] == "A"]
        assert {r["order"]: r["ideal_ns"] for r in found} == {"x": 6 * 500_000_000, "y": 4 * 2_000_000_000}


def test_source_check_says_what_is_declared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "plant.toml").write_text(PLANT)
    (tmp_path / "map.toml").write_text(HEAD + PRODUCT + IDEAL + ORDER)
    rows = "t;who;o;p;c\n0;A;x;cola;0.3\n60;A;y;lime;\n90;A;y;lime;2\n120;A;z;tea;\n"
    log = str(write(tmp_path, "a.csv", rows))
    command = ["source", "check", log, "--plant", str(tmp_path / "plant.toml"), "--mapping", str(tmp_path / "map.toml")]
    assert main(command) == 1
    text = capsys.readouterr().out
    assert "A product cola ideal cycle 300ms" in text
    assert "L1: product cola declared from 2026-01-01T00:00:00Z on: A: ideal cycle 300ms" in text
    assert "L1: product lime is made from 2026-01-01T00:01:00Z on, and first declared at 2026-01-01T00:01:30Z" in text
    assert "L1: products that neither the plant nor the log declares: tea (2)" in text
    assert main([*command, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["unknown_products"] == {"L1": {"tea": 2}}
    assert found["declared_products"]["L1"]["lime"]["made_before"] == "2026-01-01T00:01:00Z"
