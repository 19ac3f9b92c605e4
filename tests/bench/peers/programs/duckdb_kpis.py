"""The rolling key figures of every station with DuckDB, from the twin's events to one Parquet file.

Usage: duckdb_kpis.py EVENTS_FOLDER OUTPUT WINDOWS LATENESS_NS IDEAL_NS; WINDOWS is name=ns, comma between; the shortest
is the tick. The same way as polars_kpis.py: running sums at every tick, and the difference of two of them.
"""

import json
import sys
import time

import duckdb

FOLDER, OUTPUT = sys.argv[1], sys.argv[2]
WINDOWS = [(name, int(ns)) for name, ns in (pair.split("=") for pair in sys.argv[3].split(","))]
TICK_NS = min(ns for _, ns in WINDOWS)
LATENESS_NS, IDEAL_NS = int(sys.argv[4]), int(sys.argv[5])

SUMS = """
create temp table events as
    select line, station, type, state, epoch_ns(ts) as ts, good from read_parquet($folder || '/**/*.parquet');
create temp table sums as
with lines as (
    select line, min(ts) as first, max(ts) as newest from events group by line
), grid as (
    select s.line, s.station, l.first,
        unnest(range((l.first // $tick + 1) * $tick, l.newest - $lateness + 1, $tick)) as tick
    from (select distinct line, station from events) s join lines l using (line)
), parts as (
    select line, station, (ts // $tick + 1) * $tick as tick, sum(good)::bigint as good from events group by all
), lasting as (
    select line, station, ts, state,
        coalesce(lead(ts) over (partition by line, station order by ts) - ts, 0) as lasted
    from events where type = 'state'
), states as (
    select line, station, ts, state,
        (sum(if(state = 'running', lasted, 0)) over before)::bigint as running,
        (sum(if(state = 'setup', lasted, 0)) over before)::bigint as setup
    from lasting
    window before as (partition by line, station order by ts rows between unbounded preceding and 1 preceding)
)
select g.line, g.station, g.first, g.tick,
    (sum(coalesce(p.good, 0)) over (partition by g.line, g.station order by g.tick))::bigint as good,
    coalesce(s.running, 0) + if(s.state = 'running', g.tick - s.ts, 0) as running,
    coalesce(s.setup, 0) + if(s.state = 'setup', g.tick - s.ts, 0) as setup
from grid g
left join parts p using (line, station, tick)
asof left join states s on g.line = s.line and g.station = s.station and g.tick >= s.ts;
"""
WINDOW = """
select line, station, $name as "window", greatest(tick - $length, first) as start, tick as "end",
    good - lag(good, $back, 0) over w as good,
    running - lag(running, $back, 0) over w as running_ns,
    setup - lag(setup, $back, 0) over w as setup_ns
from sums window w as (partition by line, station order by tick)
"""
RATIOS = """
select *, availability * performance * quality as oee from (
    select *, "end" - start - running_ns - setup_ns as unknown_ns, good * $ideal as ideal_ns,
        running_ns / nullif(running_ns + setup_ns, 0) as availability,
        good * $ideal / nullif(running_ns, 0) as performance,
        good / nullif(good, 0) as quality
    from ({windows})
) order by line, station, "window", "end"
"""


def bound(text: str, **values: object) -> str:
    """COPY and CREATE take no parameters: numbers and names of our own, in their places."""
    for name, value in values.items():
        text = text.replace(f"${name}", f"'{value}'" if isinstance(value, str) else str(value))
    return text


def main() -> None:
    begun = time.perf_counter()
    connection = duckdb.connect()
    connection.execute(bound(SUMS, folder=FOLDER, tick=TICK_NS, lateness=LATENESS_NS))
    windows = " union all ".join(bound(WINDOW, name=name, length=ns, back=ns // TICK_NS) for name, ns in WINDOWS)
    rows = bound(RATIOS.format(windows=windows), ideal=IDEAL_NS)
    connection.execute(f"copy ({rows}) to '{OUTPUT}' (format parquet, compression zstd)")
    sys.stdout.write(json.dumps({"seconds": time.perf_counter() - begun}) + "\n")


if __name__ == "__main__":
    main()
