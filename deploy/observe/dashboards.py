"""The Grafana dashboards, as code: writes grafana/dashboards/*.json.

    make observe        (generates, compares, and runs every query against a real Prometheus with live workers)

Needs grafana-foundation-sdk, which only this file uses (group `observe` of pyproject.toml).
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from grafana_foundation_sdk.builders.common import ReduceDataOptions
from grafana_foundation_sdk.builders.dashboard import Dashboard, DatasourceVariable, QueryVariable, Row
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.builders.stat import Panel as Stat
from grafana_foundation_sdk.builders.timeseries import Panel as TimeSeries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import DataSourceRef, GridPos

SOURCE = DataSourceRef(type_val="prometheus", uid="${source}")


@dataclass(frozen=True)
class Panel:
    title: str
    expr: str
    legend: str = ""
    unit: str = "short"
    width: int = 8
    stat: bool = False  # one number, not a curve
    what: str = ""


RATE = "[$__rate_interval]"

WORKERS = {
    "Now": [
        Panel("Workers that are ready", "sum(twin_ready)", stat=True, width=4),
        Panel("Lines seen", "count(twin_line_behind_seconds)", stat=True, width=4),
        Panel("Records waiting", "sum(twin_lag_records)", stat=True, width=4),
        Panel("Longest wait", "max(twin_lag_seconds)", unit="s", stat=True, width=4),
        Panel("Oldest without a commit", "max(twin_commit_age_seconds)", unit="s", stat=True, width=4),
        Panel("Refused so far", 'sum(twin_rows_total{set="rejected"})', stat=True, width=4),
    ],
    "Work": [
        Panel("Events folded", f"sum by (instance) (rate(twin_events_total{RATE}))", "{{instance}}", "ops"),
        Panel("Rows for the audit", f"sum by (set) (rate(twin_rows_total{RATE}))", "{{set}}", "ops"),
        Panel(
            "Time of a fold, 99 of 100 below",
            f"histogram_quantile(0.99, sum by (le) (rate(twin_fold_seconds_bucket{RATE})))",
            "p99",
            "s",
        ),
    ],
    "Behind": [
        Panel("Records waiting, by partition", "sum by (partition) (twin_lag_records)", "partition {{partition}}"),
        Panel("How long they wait", "max by (partition) (twin_lag_seconds)", "partition {{partition}}", "s"),
        Panel("Since the last commit", "max by (partition) (twin_commit_age_seconds)", "partition {{partition}}", "s"),
        Panel("Committed offset", "max by (partition) (twin_committed_offset)", "partition {{partition}}"),
        Panel("Size of the state", "max by (partition) (twin_snapshot_bytes)", "partition {{partition}}", "bytes"),
        Panel("Commits", f"sum by (outcome) (rate(twin_commits_total{RATE}))", "{{outcome}}", "ops"),
    ],
    "What should not be": [
        Panel("Refused, by reason", "sum by (reason) (twin_refused_total)", "{{reason}}"),
        Panel("Repeats and late events", "sum(twin_duplicates_total) + sum(twin_late_total)", "both"),
        Panel(
            "Set aside, deleted, views that failed",
            "sum(twin_set_aside_total) + sum(twin_deleted_by_retention_total) + sum(twin_views_failed_total)",
            "all",
        ),
        Panel("Waiting for the disk", "max by (instance) (twin_storage_waiting_seconds)", "{{instance}}", "s"),
        Panel(
            "Starts in an hour",
            'sum by (instance) (changes(process_start_time_seconds{job="taktwin"}[1h])) + 1',
            "{{instance}}",
        ),
        Panel("Memory", 'process_resident_memory_bytes{job="taktwin"}', "{{instance}}", "bytes"),
    ],
}

LINES = {
    "Lines": [
        Panel("OEE (provisional)", 'twin_line_oee_ratio{line=~"$line"}', "{{line}}", "percentunit", 12),
        Panel("Availability", 'twin_line_availability_ratio{line=~"$line"}', "{{line}}", "percentunit", 12),
        Panel("Performance", 'twin_line_performance_ratio{line=~"$line"}', "{{line}}", "percentunit", 12),
        Panel("Quality", 'twin_line_quality_ratio{line=~"$line"}', "{{line}}", "percentunit", 12),
        Panel("Newest event is how old", 'twin_line_behind_seconds{line=~"$line"}', "{{line}}", "s", 12),
        Panel("Events", f'sum by (line) (rate(twin_events_total{{line=~"$line"}}{RATE}))', "{{line}}", "ops", 12),
    ],
    "Alerts of the twin": [
        Panel(
            "Raised and cleared so far", "sum by (kind, action) (twin_alerts_total)", "{{kind}} {{action}}", width=24
        ),
    ],
}


def built(title: str, uid: str, rows: dict[str, list[Panel]], by_line: bool) -> str:
    board = (
        Dashboard(title)
        .uid(uid)
        .tags(["taktwin"])
        .refresh("30s")
        .time("now-1h", "now")
        .timezone("browser")
        .readonly()
        .with_variable(DatasourceVariable("source").label("Prometheus").type("prometheus"))
    )
    if by_line:
        board = board.with_variable(
            QueryVariable("line")
            .label("Line")
            .query("label_values(twin_line_behind_seconds, line)")
            .datasource(SOURCE)
            .multi(True)
            .include_all(True)
            .all_value(".*")
        )
    y = number = 0
    for name, panels in rows.items():
        board = board.with_row(Row(name).id(number := number + 1).grid_pos(GridPos(h=1, w=24, x=0, y=y)))
        x, y, height = 0, y + 1, 0
        for panel in panels:
            height = 4 if panel.stat else 8
            if x + panel.width > 24:
                x, y = 0, y + height
            one = (
                Stat().reduce_options(ReduceDataOptions().calcs(["lastNotNull"])) if panel.stat else TimeSeries().min(0)
            )
            query = Dataquery().expr(panel.expr).legend_format(panel.legend).ref_id("A")
            board = board.with_panel(
                one.id(number := number + 1)
                .title(panel.title)
                .unit(panel.unit)
                .datasource(SOURCE)
                .grid_pos(GridPos(h=height, w=panel.width, x=x, y=y))
                .with_target(query.instant() if panel.stat else query)
            )
            x += panel.width
        y += height
    return JSONEncoder(sort_keys=True, indent=1).encode(board.build()) + "\n"


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "taktwin.json").write_text(built("taktwin: workers", "taktwin-workers", WORKERS, by_line=False))
    (folder / "taktwin-lines.json").write_text(built("taktwin: lines", "taktwin-lines", LINES, by_line=True))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "grafana" / "dashboards")
