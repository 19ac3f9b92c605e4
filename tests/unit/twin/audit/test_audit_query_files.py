"""A query opens the files that it needs and no other, by what the list says of them."""

import json
from pathlib import Path
from typing import Any

import pytest

from streams.cli import main
from tests.support.audit import DAY_NS, NOON_NS, rows, table, write, writer
from twin.audit import AuditError, filelist
from twin.audit.query import Reading, query
from twin.audit.read import listed_as, published_files
from twin.audit.verify import verify

pytest.importorskip("duckdb")
DAYS = 8
SETS = ("kpis", "states", "alerts", "bottlenecks", "events")
TIME = {"kpis": "end", "states": "end", "bottlenecks": "end", "alerts": "ts", "events": "ts"}


def day(number: int) -> str:
    return f"2025-06-{16 + number}"


def of_day(number: int, view: str = "kpis") -> str:
    return f"SELECT * FROM {view} WHERE date = '{day(number)}'"  # noqa: S608 -- our own names


def rows_of(name: str, number: int) -> list[dict[str, Any]]:
    some = rows(name, 3, seed=number)
    for k, one in enumerate(some):
        length = one.get("end", 0) - one.get("start", 0)
        one |= {TIME[name]: NOON_NS + number * DAY_NS + k, "source_offset": 100 * number}
        if "start" in one:
            one["start"] = one["end"] - length
    return some


def made(root: Path, *, revise: int | None = None) -> None:
    """A file a set and day; `revise`: the day of which a last interval takes a row of key figures back."""
    audit = writer(root)
    for number in range(DAYS):
        for name in SETS:
            audit.add(name, table(name, rows_of(name, number)))
        audit.publish(audit.stage(100 * number, 100 * (number + 1)))
    if revise is not None:
        back = rows_of("kpis", revise)[0]
        back |= {"revision": 1, "revised": NOON_NS, "retracted": True, "source_offset": 100 * DAYS}
        audit.add("kpis", table("kpis", [back]))
        audit.publish(audit.stage(100 * DAYS, 100 * (DAYS + 1)))


def damage(root: Path, but: str) -> int:
    """Cut every file of another day, so that nobody can open it."""
    cut = [file.path for file in published_files(root) if file.date != but]
    for path in cut:
        path.write_bytes(path.read_bytes()[:20])
    return len(cut)


@pytest.mark.parametrize("name", SETS)
def test_a_condition_on_the_date_opens_the_files_of_that_date(tmp_path: Path, name: str) -> None:
    made(tmp_path)
    reading = Reading()
    sql = f"SELECT count(*) AS n FROM {name}"  # noqa: S608 -- our own names
    assert query(tmp_path, sql, reading=reading)["n"].to_pylist() == [3 * DAYS]
    assert (reading.opened, reading.published) == (DAYS, DAYS)
    found = query(tmp_path, f"SELECT count(line) AS n FROM {name} WHERE date = DATE '{day(5)}'", reading=reading)  # noqa: S608 -- our own names
    assert (reading.opened, reading.published) == (1, DAYS)
    assert found["n"].to_pylist()[0] <= 3
    query(tmp_path, f"SELECT line FROM {name} WHERE date BETWEEN '{day(2)}' AND '{day(4)}'", reading=reading)  # noqa: S608 -- our own names
    assert reading.opened == 3


def test_what_is_not_needed_is_not_even_touched(tmp_path: Path) -> None:
    """But the first file of each set, which tells the columns."""
    made(tmp_path)
    assert damage(tmp_path, day(0)) == len(SETS) * (DAYS - 1)
    assert query(tmp_path, of_day(0)).num_rows == 3
    with pytest.raises(AuditError, match="query over"):
        query(tmp_path, of_day(1))


def test_revisions_of_one_day_do_not_open_the_others(tmp_path: Path) -> None:
    made(tmp_path, revise=3)
    reading = Reading()
    assert query(tmp_path, "SELECT * FROM kpis").num_rows == 3 * DAYS - 1
    for number, expected, files in ((2, 3, 1), (3, 2, 2)):
        sql = of_day(number)
        assert query(tmp_path, sql, reading=reading).num_rows == expected
        assert (reading.opened, reading.published) == (files, DAYS + 1)
    assert query(tmp_path, of_day(3), as_of_ns=NOON_NS - 1).num_rows == 0
    assert query(tmp_path, of_day(3, "kpis_revisions")).num_rows == 4


def test_views_of_people_and_names_that_are_not_there(tmp_path: Path) -> None:
    made(tmp_path)
    reading = Reading()
    query(tmp_path, "SELECT * FROM orders", reading=reading)
    assert reading.published == DAYS
    query(tmp_path, "SELECT * FROM changeovers", reading=reading)
    assert reading.published == 2 * DAYS
    with pytest.raises(AuditError, match=r"(?s)kpi_s.*kpis"):
        query(tmp_path, "SELECT * FROM kpi_s, states")
    names = query(tmp_path, "SELECT view_name FROM duckdb_views() WHERE NOT internal")["view_name"].to_pylist()
    assert {*SETS, "stops", "kpis_plain"} <= set(names)


def test_the_list_says_what_the_files_hold(tmp_path: Path) -> None:
    made(tmp_path, revise=3)
    listed = [file for entry in filelist.entries(tmp_path)[3] for file in entry.files]
    assert [file.path for file in listed if file.revised] == [listed[-1].path]
    for file, there in zip(listed, filelist.published_files(filelist.entries(tmp_path)[3], tmp_path), strict=True):
        assert listed_as(tmp_path, there) == file


def without(root: Path, **changed: object) -> None:
    """The list as a version wrote it that did not say so, or as a liar would."""
    for entry in filelist.entries(root)[3]:
        path = root / entry.name
        told = json.loads(path.read_text())
        for file in told["files"]:
            for key in ("schema", "revised"):
                file.pop(key)
            file.update(changed)
        path.write_text(json.dumps(told))


def test_a_list_that_does_not_say_so_is_read_as_before(tmp_path: Path) -> None:
    made(tmp_path, revise=3)
    asked = 'SELECT * FROM kpis ORDER BY line, station, "window", start'
    expected = query(tmp_path, asked)
    without(tmp_path)
    assert query(tmp_path, asked).equals(expected)
    assert not [one for one in verify(tmp_path, every=True).differences if "listed" in one.what]


@pytest.mark.parametrize("lie", [{"schema": 3, "revised": False}, {"schema": 2, "revised": True}])
def test_a_list_that_lies_is_not_sound(tmp_path: Path, lie: dict[str, object]) -> None:
    made(tmp_path, revise=3)
    without(tmp_path, **lie)
    differences = [one.what for one in verify(tmp_path, every=True).differences]
    assert any("listed with another version, other columns or without its revisions" in what for what in differences)


def test_the_command_says_how_many(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, {"kpis": table("kpis", rows("kpis", 5))})
    assert main(["audit", "query", str(tmp_path), "SELECT line FROM kpis"]) == 0
    assert "files were opened" not in capsys.readouterr().err
    assert main(["audit", "query", str(tmp_path), "SELECT line FROM kpis WHERE date = '2001-01-01'"]) == 0
    assert "twin: 0 of 1 files were opened" in capsys.readouterr().err
