"""The tables of a report: columns with a kind each, so that HTML, CSV and the page show the same cells."""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from twin.report.spans import local
from twin.report.words import minutes_of, number, percent, word
from twin.time.rfc3339 import parse_rfc3339

DIALECTS: Final = ("csv", "csv-de")
# What a spreadsheet takes for a formula, wherever a text of the plant or of a source begins so; also in full width.
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


@dataclass(frozen=True, slots=True)
class Column:
    """kind: text, word, time (an instant), clock (of a day), ns (a duration), parts, count, percent, loss."""

    key: str
    kind: str
    title: str


@dataclass(frozen=True, slots=True)
class Table:
    id: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]


_KPI: Final = (
    ("start", "time", "start"),
    ("end", "time", "end"),
    ("good", "count", "good"),
    ("scrap", "count", "scrap"),
    ("oee", "percent", "oee"),
    ("availability", "percent", "availability"),
    ("performance", "percent", "performance"),
    ("quality", "percent", "quality_ratio"),
    ("down_ns", "ns", "down"),
    ("minor_stop_ns", "ns", "minor_stop"),
    ("setup_ns", "ns", "setup"),
    ("unknown_ns", "ns", "unknown"),
)
_SHAPES: Final[dict[str, tuple[str, tuple[tuple[str, str, str], ...]]]] = {
    "waterfall": ("waterfall", (("step", "word", "step"), ("ns", "ns", "minutes"), ("parts", "parts", "parts"))),
    "stations": ("stations", (("station", "text", "station"), *_KPI[2:])),
    "pareto": (
        "pareto",
        (
            ("station", "text", "station"),
            ("class", "word", "class"),
            ("reason", "text", "reason"),
            ("ns", "ns", "minutes"),
            ("count", "count", "count"),
            ("longest_ns", "ns", "longest"),
            ("longest_start", "time", "start"),
        ),
    ),
    "charged": (
        "charged",
        (
            ("station", "text", "station"),
            ("class", "word", "class"),
            ("reason", "text", "reason"),
            ("ns", "ns", "minutes"),
            ("count", "count", "count"),
        ),
    ),
    "hours": (
        "hours_title",
        (
            ("start", "clock", "start"),
            ("end", "clock", "end"),
            ("planned_ns", "ns", "planned"),
            ("ideal_parts", "parts", "ideal"),
            ("plan_parts", "parts", "target"),
            ("good", "count", "good"),
            ("plan_difference", "parts", "difference"),
            ("plan_so_far", "parts", "summed_plan"),
            ("lost_parts", "parts", "lost_parts"),
            ("lost_so_far", "parts", "summed"),
            ("scrap", "count", "scrap"),
            ("unknown_ns", "ns", "unknown"),
            ("no_rows_ns", "ns", "no_rows"),
            ("biggest", "loss", "biggest"),
        ),
    ),
    "shifts": ("shifts", (("shift", "text", "shift"), *_KPI)),
    "days": ("days", (("production_date", "text", "day"), *_KPI)),
    "orders": ("orders", (("order", "text", "order"), ("product", "text", "product"), *_KPI)),
    "changeovers": (
        "changeovers",
        (
            ("station", "text", "station"),
            ("start", "time", "start"),
            ("ns", "ns", "minutes"),
            ("target_ns", "ns", "target"),
            ("from", "text", "from"),
            ("to", "text", "to"),
            ("order", "text", "order"),
        ),
    ),
    "bottleneck": (
        "bottleneck",
        (
            ("station", "text", "station"),
            ("share", "percent", "share"),
            ("share_low", "percent", "from"),
            ("share_high", "percent", "to"),
            ("running_ns", "ns", "running"),
            ("starved_ns", "ns", "starved"),
            ("blocked_ns", "ns", "blocked"),
        ),
    ),
    "alerts": (
        "alerts",
        (
            ("ts", "time", "time"),
            ("station", "text", "station"),
            ("kind", "text", "kind"),
            ("action", "text", "step"),
            ("detail", "text", "detail"),
        ),
    ),
    "refused": (
        "refused",
        (
            ("ts", "time", "time"),
            ("reason", "text", "reason"),
            ("detail", "text", "detail"),
            ("place", "text", "offset"),
        ),
    ),
}
NAMES: Final = tuple(_SHAPES)
# Of the evidence under a figure (`twin.report.why`).
_EVIDENCE: Final[dict[str, tuple[str, tuple[tuple[str, str, str], ...]]]] = {
    "classes": ("step", (("class", "word", "class"), ("ns", "ns", "minutes"), ("role", "text", "counts_as"))),
    "policies": (
        "policy",
        (
            ("policy", "text", "policy"),
            ("oee", "percent", "oee"),
            ("availability", "percent", "availability"),
            ("performance", "percent", "performance"),
            ("quality", "percent", "quality_ratio"),
            ("source", "text", "detail"),
        ),
    ),
    "revisions": (
        "revisions",
        (
            ("revision", "count", "revision"),
            ("revised", "time", "known_since"),
            ("retracted", "text", "retracted"),
            ("good", "count", "good"),
            ("oee", "percent", "oee"),
            ("source_offset", "text", "offset"),
            ("model", "text", "models"),
        ),
    ),
    "states": (
        "timeline",
        (
            ("start", "time", "start"),
            ("end", "time", "end"),
            ("class", "word", "class"),
            ("state", "text", "state"),
            ("reason", "text", "reason"),
            ("source_offset", "text", "offset"),
        ),
    ),
    "events": (
        "events",
        (
            ("ts", "time", "time"),
            ("type", "text", "kind"),
            ("station", "text", "station"),
            ("what", "text", "detail"),
            ("source_offset", "text", "offset"),
            ("file", "text", "file"),
        ),
    ),
    "refused": _SHAPES["refused"],
}
EVIDENCE: Final = tuple(_EVIDENCE)
# What every event has, or what stands in a column of its own.
_NOT_TOLD: Final = ("line", "station", "type", "ts", "epoch", "file", "line_model")


def table(report: dict[str, Any], name: str, language: str) -> Table:
    """One of NAMES."""
    return shaped(
        name, (report["bottleneck"] or {"rows": []})["rows"] if name == "bottleneck" else report[name], language
    )


def shaped(name: str, found: Iterable[dict[str, Any]], language: str) -> Table:
    """Rows of one of NAMES or EVIDENCE."""
    title, shape = {**_SHAPES, **_EVIDENCE}[name]
    rows = [dict(row) for row in found]
    for row in rows if name == "refused" else ():
        row["place"] = f"{row['source_topic']} {row['source_partition']}/{row['source_offset']}"
    for row in rows if name == "events" else ():
        told = (key for key in row if key not in _NOT_TOLD and not key.startswith("source_"))
        row["what"] = " ".join(f"{key}={row[key]}" for key in told)
    columns = tuple(Column(key, kind, word(said, language)) for key, kind, said in shape)
    return Table(
        name, word(title, language), columns, tuple(tuple(row.get(column.key) for column in columns) for row in rows)
    )


def for_people(found: Table, zone: str, language: str) -> dict[str, Any]:
    """A table of texts, for the page."""
    return {
        "title": found.title,
        "columns": [{"key": one.key, "title": one.title, "kind": one.kind} for one in found.columns],
        "rows": [
            [shown(value, column.kind, zone, language) for value, column in zip(row, found.columns, strict=True)]
            for row in found.rows
        ],
    }


def shown(value: Any, kind: str, zone: str, language: str) -> str:
    """A cell for people."""
    if value is None:
        return "–"
    match kind:
        case "time":
            return local(zone, parse_rfc3339(value))
        case "clock":
            return local(zone, parse_rfc3339(value), "%H:%M")
        case "ns":
            return minutes_of(value, language)
        case "percent":
            return percent(value, language)
        case "parts" | "count":
            return number(value, 0, language)
        case "word":
            return word(value, language)
        case "loss":
            said = word(value["class"], language) + (f" ({value['reason']})" if value["reason"] else "")
            return f"{minutes_of(value['ns'], language)} min {said}"
    return str(value)


def to_csv(found: Table, zone: str, dialect: str = "csv") -> str:
    """RFC 4180 (csv), or what a German Excel opens as columns (csv-de: semicolon, decimal comma, byte order mark).

    Durations are seconds with nine digits, ratios as the rows have them, times local and without an offset. A text that
    a spreadsheet would take for a formula gets an apostrophe before it.
    """
    german = dialect == "csv-de"
    out = io.StringIO()
    writer = csv.writer(out, delimiter=";" if german else ",", lineterminator="\r\n")
    writer.writerow([_title(column) for column in found.columns])
    for row in found.rows:
        writer.writerow(
            [_plain(value, column.kind, zone, german) for value, column in zip(row, found.columns, strict=True)]
        )
    return ("\ufeff" if german else "") + out.getvalue()


def _title(column: Column) -> str:
    return f"{column.key.removesuffix('_ns')}_s" if column.kind == "ns" else column.key


def _plain(value: Any, kind: str, zone: str, german: bool) -> str:
    if value is None:
        return ""
    match kind:
        case "time" | "clock":
            return local(zone, parse_rfc3339(value), "%Y-%m-%d %H:%M:%S")
        case "ns":
            return _decimal(f"{'-' if value < 0 else ''}{abs(value) // 10**9}.{abs(value) % 10**9:09d}", german)
        case "percent" | "parts" | "count":
            return _decimal(repr(value), german)
        case "loss":
            return defused(": ".join(filter(None, [value["class"], value["reason"]])))
    return defused(str(value))


def _decimal(text: str, german: bool) -> str:
    return text.replace(".", ",") if german else text


def defused(text: str) -> str:
    """Text of somebody else's making, harmless in a spreadsheet."""
    return f"'{text}" if text.startswith(FORMULA) else text
