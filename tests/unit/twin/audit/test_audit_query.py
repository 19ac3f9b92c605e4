import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from streams.cli import main
from tests.support.audit import plain, rows, table, write, writer
from twin.audit import AuditError
from twin.audit.query import UNQUOTED, query
from twin.results import SETS

pytest.importorskip("duckdb")
DOCS = Path(__file__).parents[4] / "docs" / "formats.md"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root whose own name must be quoted in SQL."""
    made = {name: table(name, rows(name, 50, seed=21, days=2)) for name in SETS}
    write(tmp_path / "it's audit", made)
    return tmp_path / "it's audit"


def test_every_set_is_a_view_of_published_rows(root: Path) -> None:
    audit = writer(root, 4)
    audit.add("events", table("events", rows("events", 10)))
    audit.stage(0, 5)
    for set_name in SETS:
        found = query(root, f"SELECT * FROM {set_name}")  # noqa: S608 -- our own names
        assert found.num_rows == 50
        assert found.schema.names == [*SETS[set_name].names, "date"]


def test_integers_come_back_whole(root: Path) -> None:
    found = query(root, "SELECT line, sum(good)::BIGINT AS good FROM kpis GROUP BY line ORDER BY line")
    expected: dict[str, int] = {}
    for row in rows("kpis", 50, seed=21, days=2):
        expected[row["line"]] = expected.get(row["line"], 0) + row["good"]
    assert plain(found) == sorted(expected.items())


def test_views_of_an_empty_root_have_their_columns(tmp_path: Path) -> None:
    for set_name in SETS:
        found = query(tmp_path, f"SELECT * FROM {set_name}")  # noqa: S608 -- our own names
        assert found.schema.names == [*SETS[set_name].names, "date"]
    with pytest.raises(AuditError, match="no such audit root"):
        query(tmp_path / "no", "SELECT 1")


@pytest.mark.parametrize(
    "sql",
    [
        "COPY (SELECT 1) TO '{root}/x.csv'",
        "SELECT 1; SELECT 2",
        "",
        "DROP VIEW events",
        "INSTALL httpfs",
        "SET enable_external_access = true",
        "ATTACH '{root}/x.db'",
        "EXPLAIN ANALYZE SELECT 1",
    ],
)
def test_only_one_select_is_run(root: Path, sql: str) -> None:
    before = sorted(root.rglob("*"))
    with pytest.raises(AuditError, match="exactly one SELECT"):
        query(root, sql.format(root=str(root).replace("'", "''")))
    assert sorted(root.rglob("*")) == before


@pytest.mark.parametrize(
    "sql", ["SELECT * FROM read_text('{out}')", "SELECT * FROM '{out}'", "SELECT * FROM glob('{out}')"]
)
def test_nothing_outside_the_root_is_read(root: Path, tmp_path: Path, sql: str) -> None:
    out = tmp_path / "secret.csv"
    out.write_text("a\n1\n")
    with pytest.raises(AuditError, match="query over"):
        query(root, sql.format(out=out))


def test_mistakes_are_explained(root: Path) -> None:
    with pytest.raises(AuditError, match="nonsense"):
        query(root, "SELECT nonsense FROM events")


def test_without_duckdb_the_error_says_how_to_install_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(AuditError, match="install the package duckdb"):
        query(root, "SELECT 1")


def test_the_documented_queries_run(root: Path) -> None:
    queries = re.findall(r"```sql\n(.*?)```", DOCS.read_text(), re.DOTALL)
    assert len(queries) >= 3
    for sql in queries:
        query(root, sql)


def test_the_documented_polars_and_duckdb_read_what_a_query_reads(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The blocks of the page as they stand there, against `twin audit query` of the same."""
    import subprocess

    import duckdb

    shutil.copytree(root, tmp_path / "ROOT")
    monkeypatch.chdir(tmp_path)
    # `twin audit files audit ...` in a process of its own would only be slower.
    monkeypatch.setattr(
        subprocess, "check_output", lambda command, **_: _told(capsys, [*command[1:3], "ROOT", *command[4:]])
    )
    page = DOCS.read_text()
    found: dict[str, Any] = {}
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        exec(block, found)  # noqa: S102  our own page
    assert found["paths"] == _told(capsys, ["audit", "files", "ROOT", "--set", "kpis"]).split("\n")[:-1]
    daily = query(
        tmp_path / "ROOT",
        "SELECT line, production_date, sum(good)::BIGINT AS good, sum(running_ns)::BIGINT AS running_ns FROM kpis "
        "WHERE \"window\" = 'day' AND station IS NOT NULL GROUP BY ALL ORDER BY line, production_date NULLS FIRST",
    ).to_pylist()
    mine = found["daily"].select("line", "production_date", "good", "running_ns").cast({"line": str}).to_dicts()
    assert daily == sorted(
        mine, key=lambda row: (row["line"], row["production_date"] is not None, row["production_date"])
    )
    asked = "class IN ('down', 'minor_stop', 'maintenance')"
    stops = query("ROOT", f"SELECT count(*) AS n FROM states_revisions WHERE {asked}")  # noqa: S608  our own words
    assert len(found["stops"]) == min(20, stops["n"][0].as_py())
    assert found["kpis"].collect().height == 50
    (shell,) = re.findall(r"```sh\nduckdb -c \"(.*?)\"\n```", page, re.DOTALL)
    listed = _told(capsys, ["audit", "files", "ROOT", "--set", "kpis", "--sql"]).strip()
    sql = shell.replace("$(twin audit files audit --set kpis --sql)", listed).replace('\\"', '"')
    assert sorted(duckdb.sql(sql).fetchall()) == sorted(
        (row["line"], row["good"])
        for row in query(
            "ROOT", "SELECT line, sum(good)::BIGINT AS good FROM kpis WHERE \"window\" = 'day' GROUP BY line"
        ).to_pylist()
    )


def _told(capsys: pytest.CaptureFixture[str], command: list[str]) -> str:
    capsys.readouterr()
    assert main(command) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(
    "asked",
    [
        '"end" - start > INTERVAL 1 SECOND',
        "date_trunc('hour', start) <= start",
        "start > TIMESTAMPTZ '1970-03-02 06:59:00Z'",
        "extract(hour FROM start) < 24",
        "time_bucket(INTERVAL '2 minutes', start) <= start",
        "start < now() + INTERVAL 36500 DAY",
        "start + INTERVAL 1 HOUR > '1970-03-02T07:59:30Z'",
        "epoch(start) > 0",
        "start >= '1970-03-02T07:00:00Z'",
        "start BETWEEN now() - INTERVAL 36500 DAY AND now() + INTERVAL 36500 DAY",
        "hour(start) = extract(hour FROM start)",
        "date_diff('second', start, \"end\") >= 0",
    ],
)
def test_times_are_asked_for_as_people_do(root: Path, asked: str) -> None:
    assert query(root, f"SELECT start, count(*) FROM states WHERE {asked} GROUP BY start").num_rows  # noqa: S608
    as_of = query(root, f"SELECT count(*) FROM states WHERE {asked}", as_of_ns=2**62)  # noqa: S608 -- our own
    assert as_of.num_rows == 1


def test_nanoseconds_are_whole_or_it_is_said_that_they_are_not(root: Path) -> None:
    exact = {row["ts"] for row in rows("events", 50, seed=21, days=2)}
    assert {ns for (ns,) in plain(query(root, "SELECT epoch_ns(ts) FROM events"))} == exact
    with pytest.raises(AuditError, match="microseconds only, and epoch_ns wants nanoseconds"):
        query(root, "SELECT epoch_ns(ts) FROM events WHERE ts < now()")


def test_plain_views_need_no_quotes(root: Path) -> None:
    import duckdb

    reserved = "SELECT keyword_name FROM duckdb_keywords() WHERE keyword_category = 'reserved'"
    words = {word for (word,) in duckdb.sql(reserved).fetchall()}
    for set_name in ("events", "states", "kpis", "bottlenecks", "alerts"):
        found = query(root, f"SELECT * FROM {set_name}_plain")  # noqa: S608 -- our own names
        assert found.num_rows == 50
        assert not words & set(found.schema.names)
    assert query(root, "SELECT window_id, order_id, max(end_ts) FROM kpis_plain GROUP BY window_id, order_id").num_rows


def test_the_page_names_every_column_that_is_an_sql_word() -> None:
    import duckdb

    kept = "SELECT keyword_name FROM duckdb_keywords() WHERE keyword_category <> 'unreserved'"
    words = {word for (word,) in duckdb.sql(kept).fetchall()}
    assert words & {name for schema in SETS.values() for name in schema.names} == set(UNQUOTED)
    page = DOCS.read_text()
    for name, plainly in UNQUOTED.items():
        where = ", ".join(set_name for set_name, schema in SETS.items() if name in schema.names)
        assert f"| `{name}` | {where} | `{plainly}` |" in page


def test_times_that_are_cut_down_are_told(tmp_path: Path) -> None:
    """Only where there is something to cut."""
    asked = 'SELECT max("end" - start) FROM states'
    for root, odd in ((tmp_path / "whole", False), (tmp_path / "odd", True)):
        made = [row | {"start": k * 10**9 + odd, "end": (k + 1) * 10**9} for k, row in enumerate(rows("states", 5))]
        write(root, {"states": table("states", made)})
        notes: list[str] = []
        query(root, asked, notes=notes)
        assert [("states are cut down to microseconds" in note) for note in notes] == [True] * odd
        query(root, "SELECT start FROM states", notes=notes)
        assert len(notes) == odd
