"""Rows that carry a name of their own: exports that overlap count each of them once."""

import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.support.sources import mapping, plain, plant, run, write
from twin.sources import MappingError, SourceError, open_log, open_logs
from twin.sources.repeats import RowNames
from twin.sources.template import Column

RULES = """
line = "L1"
station = { column = "who" }
row = { column = "id" }
[time]
column = "t"
unit = "s"
origin = "2026-01-01T00:00:00Z"
[[event]]
type = "count"
good = { column = "n" }
"""
HEAD = "t,id,who,n\n"


def good(paths: list[Path], rules: str = RULES) -> tuple[int, dict[str, object]]:
    logs = open_logs(paths, plant(), mapping(rules))
    events = plain(run(logs)[0], plant())
    summary = logs.summary
    assert summary.told + summary.ignored + summary.left_out + summary.unusable == summary.rows
    return sum(e["parts"][0] for e in events if e["type"] == "count"), summary.as_dict()


def test_exports_that_overlap_count_once(tmp_path: Path) -> None:
    one = write(tmp_path, "one.csv", HEAD + "0,a7-f,A,1\n1,b2-e,A,2\n2,c9-d,A,4\n")
    two = write(tmp_path, "two.csv", HEAD + "1,b2-e,A,2\n2,c9-d,A,4\n3,d1-c,A,8\n")
    made, told = good([one, two])
    assert made == 15
    assert told["repeats"] == {"count": 2, "first": f"{two}:2: b2-e"}
    assert told["problems"] == {}
    assert told["left_out"] == 2


def test_each_machine_has_names_of_its_own(tmp_path: Path) -> None:
    text = HEAD + "0,1,A,1\n0,1,B,2\n1,1,A,1\n0,1,B,2\n"
    made, told = good([write(tmp_path, "a.csv", text)])
    assert made == 3
    # The row at 1 s has the name of the one before and another time.
    assert told["problems"]["changed_row"]["count"] == 1  # type: ignore[index]
    assert ":4: " in told["problems"]["changed_row"]["first"]  # type: ignore[index]


def test_a_row_without_a_name_is_one_of_its_own(tmp_path: Path) -> None:
    assert good([write(tmp_path, "a.csv", HEAD + "0,,A,5\n0,,A,5\n")])[0] == 10


def test_a_name_of_several_columns(tmp_path: Path) -> None:
    rules = RULES.replace('row = { column = "id" }', 'row = { columns = ["id", "n"] }')
    made, told = good([write(tmp_path, "a.csv", HEAD + "0,x,A,1\n0,x,A,2\n0,x,A,2\n")], rules)
    assert made == 3
    assert told["repeats"]["count"] == 1  # type: ignore[index]


def test_what_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match="tells the rows apart already"):
        mapping('seq = { column = "n" }\n' + RULES)
    with pytest.raises(MappingError, match="row: it is for rows that are events"):
        mapping(RULES + '[sample]\nhold = "10s"\n')
    path = write(tmp_path, "a.csv", HEAD + "0,x,A,1\n")
    with pytest.raises(SourceError, match="remembered within one reading only"):
        open_log(path, plant(), mapping(RULES), "growing")


def test_names_against_a_set() -> None:
    chance = random.Random(3)  # noqa: S311  repeatable
    names, naive = RowNames(), dict[tuple[int, str], str]()
    for _ in range(300):
        n = chance.randrange(1, 40)
        texts = [chance.choice(("", *(f"r{i}" for i in range(600)))) for _ in range(n)]
        cells = [chance.choice("xxxxy") for _ in range(n)]
        scope = np.array([chance.randrange(-2, 2) for _ in range(n)])
        rows = np.array([chance.random() < 0.9 for _ in range(n)])
        repeated, changed = names.look(
            [Column.of(pa.array(texts))], [Column.of(pa.array(cells))], scope.astype(np.int64), rows
        )
        for i in range(n):
            key = (int(scope[i]), texts[i])
            known = bool(rows[i] and texts[i] and key in naive)
            assert repeated[i] == known
            assert changed[i] == (known and naive[key] != cells[i])
            if rows[i] and texts[i]:
                naive.setdefault(key, cells[i])
