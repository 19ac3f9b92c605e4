"""What an audit root says against its own figures: what was refused, and the alerts of data quality."""

from pathlib import Path
from typing import Final

import pyarrow.compute as pc

from twin.audit.read import open_set

KIND: Final = "data_quality"


def findings(root: Path | str) -> list[str]:
    """A sentence each, with count, first place and what to do. Raises AuditError."""
    return [*_alerts(root), *_refused(root)]


def _alerts(root: Path | str) -> list[str]:
    """Of every subject the newest alert, which has the highest count."""
    columns = ["line", "station", "ts", "since", "value", "detail", "retracted"]
    table = open_set(root, "alerts").to_table(columns=columns, filter=pc.field("kind") == KIND)
    newest: dict[tuple[str, str | None, str], str] = {}
    for row in table.sort_by("ts").to_pylist():
        line, station, detail = row["line"], row["station"], row["detail"] or ""
        if row["retracted"]:
            newest.pop((line, station, detail), None)
            continue
        count, first = int(row["value"] or 1), (row["since"] or row["ts"]).strftime("%Y-%m-%dT%H:%M:%SZ")
        times = "first" if count == 1 else f"{count:,} times or more, first"
        place = line if station is None else f"{line}/{station}"
        newest[line, station, detail] = f"{place}: {detail} ({times} at {first})"
    return list(newest.values())


def _refused(root: Path | str) -> list[str]:
    columns = ["reason", "detail", "line", "source_topic", "source_partition", "source_offset"]
    table = open_set(root, "rejected").to_table(columns=columns)
    found: dict[tuple[str, str], list[dict[str, object]]] = {}
    for row in table.sort_by([("source_partition", "ascending"), ("source_offset", "ascending")]).to_pylist():
        found.setdefault((row["reason"], row["line"] or "no line"), []).append(row)
    return [
        f"{line}: {len(rows):,} refused as {reason}, first at {rows[0]['source_topic']}/{rows[0]['source_partition']} "
        f"offset {rows[0]['source_offset']}: {rows[0]['detail']}"
        for (reason, line), rows in sorted(found.items())
    ]
