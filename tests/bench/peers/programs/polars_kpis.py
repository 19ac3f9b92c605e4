"""The rolling key figures of every station with Polars, from the twin's events to one Parquet file.

Usage: polars_kpis.py FORM EVENTS_FOLDER OUTPUT WINDOWS LATENESS_NS IDEAL_NS; FORM is memory or streaming (the engine);
WINDOWS is name=ns, comma between, the shortest is the tick.

At a tick, a window reaches back its length, at most to the line's first event: parts are the difference of two running
sums over the ticks, running and setup time that of two running sums over the states (an as-of join at each tick).
"""

import json
import sys
import time
from pathlib import Path

import polars as pl

FORM, FOLDER, OUTPUT = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
WINDOWS = [(name, int(ns)) for name, ns in (pair.split("=") for pair in sys.argv[4].split(","))]
TICK_NS = min(ns for _, ns in WINDOWS)
LATENESS_NS, IDEAL_NS = int(sys.argv[5]), int(sys.argv[6])
PLACE = ["line", "station"]
CLASSES = ["running", "setup"]


def tick_after(ts: pl.Expr) -> pl.Expr:
    """The end of the tick an event belongs to; an event at a tick belongs to the next."""
    return (ts // TICK_NS + 1) * TICK_NS


def grid(events: pl.LazyFrame) -> pl.LazyFrame:
    """Every station at every tick that its line's watermark has passed."""
    lines = events.group_by("line").agg(first=pl.col("ts").min(), newest=pl.col("ts").max())
    ticks = pl.int_ranges(tick_after(pl.col("first")), pl.col("newest") - LATENESS_NS + 1, TICK_NS)
    lines = lines.select("line", "first", tick=ticks).explode("tick")
    return events.select(PLACE).unique().join(lines, on="line")


def time_in(name: str) -> pl.Expr:
    """Time that the station spent in a state until the row's own state began."""
    lasted = pl.when(pl.col("state") == name).then(pl.col("lasted")).otherwise(0)
    return (lasted.cum_sum().over(PLACE) - lasted).alias(name)


def running_sums(events: pl.LazyFrame) -> pl.LazyFrame:
    """Parts, running and setup time (ns) since the beginning, at every tick of the grid."""
    parts = events.group_by([*PLACE, tick_after(pl.col("ts")).alias("tick")]).agg(good=pl.col("good").sum())
    states = (
        events.filter(pl.col("type") == "state")
        .sort("ts")
        .with_columns(lasted=(pl.col("ts").shift(-1) - pl.col("ts")).over(PLACE).fill_null(0))
        .select(*PLACE, "ts", "state", *map(time_in, CLASSES))
    )
    still = pl.col("tick") - pl.col("ts")
    return (
        grid(events)
        .join(parts, on=[*PLACE, "tick"], how="left")
        .sort("tick")
        .join_asof(states, left_on="tick", right_on="ts", by=PLACE, strategy="backward", check_sortedness=False)
        .sort(*PLACE, "tick")
        .with_columns(
            pl.col("good").fill_null(0).cum_sum().over(PLACE),
            *((pl.col(c) + pl.when(pl.col("state") == c).then(still).otherwise(0)).fill_null(0) for c in CLASSES),
        )
    )


def ratio(column: str, denominator: pl.Expr) -> pl.Expr:
    return pl.when(denominator != 0).then(pl.col(column) / denominator)


def window(sums: pl.LazyFrame, name: str, length_ns: int) -> pl.LazyFrame:
    start = pl.max_horizontal(pl.col("tick") - length_ns, pl.col("first"))
    within = {
        out: pl.col(column) - pl.col(column).shift(length_ns // TICK_NS, fill_value=0).over(PLACE)
        for out, column in (("good", "good"), ("running_ns", "running"), ("setup_ns", "setup"))
    }
    return (
        sums.select(*PLACE, window=pl.lit(name), start=start, end=pl.col("tick"), **within)
        .with_columns(
            unknown_ns=pl.col("end") - pl.col("start") - pl.col("running_ns") - pl.col("setup_ns"),
            ideal_ns=pl.col("good") * IDEAL_NS,
        )
        .with_columns(
            availability=ratio("running_ns", pl.col("running_ns") + pl.col("setup_ns")),
            performance=ratio("ideal_ns", pl.col("running_ns")),
            quality=ratio("good", pl.col("good")),
        )
        .with_columns(oee=pl.col("availability") * pl.col("performance") * pl.col("quality"))
    )


def main() -> None:
    begun = time.perf_counter()
    events = pl.scan_parquet(FOLDER / "**/*.parquet").select(
        *PLACE, "type", "state", pl.col("ts").cast(pl.Int64), "good"
    )
    sums = running_sums(events)
    rows = pl.concat(window(sums, name, length_ns) for name, length_ns in WINDOWS).sort(*PLACE, "window", "end")
    if FORM == "streaming":
        rows.sink_parquet(OUTPUT, compression="zstd")
    else:
        rows.collect().write_parquet(OUTPUT, compression="zstd")
    sys.stdout.write(json.dumps({"seconds": time.perf_counter() - begun}) + "\n")


if __name__ == "__main__":
    main()
