"""Columns that files of events leave out, as the documented readers see them (docs/formats.md)."""

from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from streams.cli import main
from tests.support.audit import rows, table, writer
from twin.audit import digest, layout
from twin.audit.query import query
from twin.results import SETS

NOBODY = "defect"  # of which no row says anything


def root_of(tmp_path: Path) -> pa.Table:
    """Two intervals, of which one alone has notes."""
    audit, made = writer(tmp_path), []
    for interval in range(2):
        some = [
            row | {NOBODY: None, **({"note": None} if interval else {})} for row in rows("events", 30, seed=interval)
        ]
        made.append(table("events", some))
        audit.add("events", made[-1])
        audit.publish(audit.stage(30 * interval, 30 * interval + 30))
    return pa.concat_tables(made)


def listed(capsys: pytest.CaptureFixture[str], tmp_path: Path, *options: str) -> str:
    assert main(["audit", "files", str(tmp_path), "--set", "events", *options]) == 0
    return capsys.readouterr().out


def test_our_own_query_and_digest(tmp_path: Path) -> None:
    made = root_of(tmp_path)
    found = query(tmp_path, "SELECT count(*) AS n, count(note) AS notes, count(defect) AS none FROM events")
    assert found.to_pylist() == [{"n": 60, "notes": 60 - made.column("note").null_count, "none": 0}]
    assert digest.digest(tmp_path)["events"] == digest.digest_tables("events", [made])


def test_duckdb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    duckdb = pytest.importorskip("duckdb")
    made = root_of(tmp_path)
    sql = listed(capsys, tmp_path, "--sql").strip()
    asked = (
        f"SELECT count(*), count(note), count({NOBODY}), count(DISTINCT date) "  # noqa: S608 -- our own names
        f"FROM read_parquet([{sql}], hive_partitioning = true, union_by_name = true)"
    )
    with duckdb.connect() as connection:
        n, notes, none, dates = connection.execute(asked).fetchone()
    assert (n, notes, none) == (60, 60 - made.column("note").null_count, 0)
    assert dates == len({file.date for file in layout.published(tmp_path, "events")})


def test_pyarrow(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its schema is that of the first file."""
    made = root_of(tmp_path)
    for read in (ds.dataset(listed(capsys, tmp_path).split()), ds.dataset(tmp_path / "events")):
        found = read.to_table()
        assert found.column_names == SETS["events"].names
        assert found.num_rows == 60
        assert found.column("note").null_count == made.column("note").null_count
        assert found.column(NOBODY).null_count == 60


def test_polars(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pl = pytest.importorskip("polars")
    made = root_of(tmp_path)
    events = pl.scan_parquet(listed(capsys, tmp_path).split(), hive_partitioning=True, missing_columns="insert")
    found = events.select(pl.len(), pl.col("note").is_null().sum(), pl.col(NOBODY).is_null().sum()).collect()
    assert found.row(0) == (60, made.column("note").null_count, 60)
