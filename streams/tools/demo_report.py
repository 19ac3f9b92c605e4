"""What the demo concludes, read back from the audited Parquet: each batch beside the published figures."""

import csv
import shutil
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console
from rich.table import Table

from streams.tools.watch import percent, whole
from twin.audit.read import open_set

PRESS: Final = "tablet-press"
SERIAL: Final = "five-stations"
N_BATCHES: Final = 19
SAMPLE_S: Final = 10
_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch as the twin has it, and as its authors published it."""

    id: str
    scrap: int
    stopped_s: float
    planned_s: float
    good_k: int
    oee: float | None
    published_scrap: int
    published_stopped_s: float
    published_good_k: int

    @property
    def agrees(self) -> bool:
        return (self.scrap, self.stopped_s, self.good_k) == (
            self.published_scrap,
            self.published_stopped_s,
            self.published_good_k,
        )


def batches(root: Path, examples: Path) -> list[Batch]:
    """Every published batch that was audited, in the order of their ids."""
    rows = {
        row["order"]: row
        for row in _rows(root, "kpis", PRESS, "order")
        if row["station"] is not None and row["order"] is not None
    }
    with (examples / "tablet-press" / "expected_batches.csv").open() as file:
        published = sorted(csv.DictReader(file), key=lambda row: int(row["batch"]))
    return [_batch(rows[one["batch"]], one) for one in published if one["batch"] in rows]


def _batch(row: dict[str, Any], published: dict[str, str]) -> Batch:
    return Batch(
        id=published["batch"],
        scrap=row["scrap"],
        stopped_s=(row["down_ns"] + row["minor_stop_ns"]) / _NS,
        planned_s=row["planned_stop_ns"] / _NS,
        good_k=row["good"] // 1000,
        oee=row["oee"],
        published_scrap=int(float(published["pub_waste"])),
        published_stopped_s=SAMPLE_S * float(published["pub_zero_rows"]),
        published_good_k=int(float(published["raw_produced_k_max"])),
    )


def bottleneck(root: Path) -> list[dict[str, Any]]:
    """The rows, by station, of the longest interval that was audited of the serial line."""
    rows = _rows(root, "bottlenecks", SERIAL, None)
    length = max((row["end"] - row["start"] for row in rows), default=0)
    newest = max((row["end"] for row in rows if row["end"] - row["start"] == length), default=0)
    chosen = [row for row in rows if row["end"] == newest and row["end"] - row["start"] == length]
    one_window = [row for row in chosen if row["window"] == chosen[0]["window"]]
    return sorted(one_window, key=lambda row: str(row["station"]))


def program() -> str:
    """How `twin` is called from where this runs: `make demo` does not put its folder on the PATH."""
    beside = Path(sys.executable).with_name("twin")
    if shutil.which("twin") is not None or not beside.exists():
        return "twin"
    return str(beside.relative_to(Path.cwd()) if beside.is_relative_to(Path.cwd()) else beside)


def show(console: Console, root: Path, examples: Path) -> bool:
    """Print both results, and where they lie; True when every published batch is there and agrees."""
    found = batches(root, examples)
    console.print()
    console.print(_batch_table(found))
    agreeing = sum(batch.agrees for batch in found)
    console.print(f"{agreeing} of {N_BATCHES} batches agree with the published figures to the last tablet and second")
    console.print()
    console.print(_bottleneck_table(bottleneck(root)))
    console.print()
    console.print(f"audited Parquet: {root}", soft_wrap=True)
    needs = "" if find_spec("duckdb") else " (first install the package duckdb)"
    console.print(f"ask it anything{needs}:")
    sql = r"""SELECT \"order\", good, scrap, oee FROM kpis WHERE \"window\" = 'order' AND station IS NULL"""
    console.print(f'  {program()} audit query {root} "{sql}"', style="bold", soft_wrap=True)
    return agreeing == N_BATCHES


def _batch_table(found: list[Batch]) -> Table:
    table = Table(title="tablet press: the twin, and (in brackets) the published figure", title_justify="left")
    table.add_column("batch", justify="right")
    for name in ("scrap, tablets", "stopped, s", "good, thousands"):
        table.add_column(name, justify="right")
    table.add_column("planned stop, s", justify="right")
    table.add_column("OEE", justify="right")
    table.add_column("")
    for batch in found:
        table.add_row(
            batch.id,
            f"{batch.scrap:,} ({batch.published_scrap:,})",
            f"{batch.stopped_s:,.0f} ({batch.published_stopped_s:,.0f})",
            f"{batch.good_k:,} ({batch.published_good_k:,})",
            f"{batch.planned_s:,.0f}" if batch.planned_s else "",
            percent(batch.oee),
            "[green]agrees[/]" if batch.agrees else "[red]differs[/]",
        )
    return table


def _bottleneck_table(rows: list[dict[str, Any]]) -> Table:
    verdict = str(rows[0]["verdict"]) if rows else "no rows"
    what = "the data do not say which" if verdict == "undecided" else "the bottleneck"
    table = Table(title=f"five stations: {verdict} ({what})", title_justify="left")
    table.add_column("station")
    for name in ("share", "interval", "utilization", "blocked, s", "starved, s"):
        table.add_column(name, justify="right")
    for row in rows:
        low, high = row["share_low"], row["share_high"]
        table.add_row(
            str(row["station"]),
            percent(row["share"]),
            f"{percent(low)} to {percent(high)}" if low is not None else "-",
            percent(row["utilization"]),
            whole(row["blocked_ns"] // _NS),
            whole(row["starved_ns"] // _NS),
        )
    return table


def _rows(root: Path, set_name: str, line: str, window: str | None) -> list[dict[str, Any]]:
    """Rows of one line, times as integers of ns."""
    wanted = pc.field("line") == line
    if window is not None:
        wanted &= pc.field("window") == window
    table = open_set(root, set_name).to_table(filter=wanted)
    rows: list[dict[str, Any]] = table.drop_columns(["start", "end"]).to_pylist()
    for name in ("start", "end"):
        for row, value in zip(rows, table.column(name).cast(pa.int64()).to_pylist(), strict=True):
            row[name] = value
    return rows
