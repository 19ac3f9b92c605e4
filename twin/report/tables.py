"""The tables of a report: columns with a kind each, so that HTML, CSV and the page show the same cells."""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from twin.report.german_refusals import refusal_in_german
from twin.report.said import Labels, alert_said, coded, lasting, reason_said
from twin.report.sections import BY_ID, SECTIONS, rows_of
from twin.report.spans import local
from twin.report.words import minutes_of, number, percent, significant, word
from twin.time.rfc3339 import parse_rfc3339

DIALECTS: Final = ("csv", "csv-de")
# What a spreadsheet takes for a formula, wherever a text of the plant or of a source begins so; also in full width.
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


@dataclass(frozen=True, slots=True)
class Column:
    """kind: text, word, time (an instant), clock (of a day), ns (a duration), parts, count, percent, value (a measured
    float, four digits for people, all in files), loss, reason (an id, with its label for people), and codes of a closed
    list (CODES), in words for people."""

    key: str
    kind: str
    title: str


@dataclass(frozen=True, slots=True)
class Table:
    id: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]
    labels: Labels = field(default_factory=dict)  # of reasons


# Kinds of columns whose values are codes: those of `twin.report.said.coded`.
CODES: Final = ("alert", "action", "refused", "yes")
LEFT: Final = ("text", "word", "time", "clock", "loss", "reason", *CODES)  # stand left, as texts do
NAMES: Final = tuple(one.id for one in SECTIONS if one.columns)
# Of the evidence under a figure (`twin.report.why`).
_EVIDENCE: Final[dict[str, tuple[str, tuple[tuple[str, str, str], ...]]]] = {
    "classes": ("step", (("class", "word", "class"), ("ns", "ns", "minutes"), ("role", "word", "counts_as"))),
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
    "otherwise": (
        "otherwise",
        (
            ("what", "word", "this_time"),
            ("as", "word", "counted_as"),
            ("ns", "ns", "minutes"),
            ("oee", "percent", "oee"),
        ),
    ),
    "revisions": (
        "revisions",
        (
            ("revision", "count", "revision"),
            ("revised", "time", "known_since"),
            ("because", "text", "because"),
            ("retracted", "yes", "retracted"),
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
            ("reason", "reason", "reason"),
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
    "refused": ("refused", BY_ID["refused"].columns),
}
EVIDENCE: Final = tuple(_EVIDENCE)
# What every event has, or what stands in a column of its own.
_NOT_TOLD: Final = ("line", "station", "type", "ts", "epoch", "file", "line_model")


def table(report: dict[str, Any], name: str, language: str) -> Table:
    """One of NAMES."""
    return shaped(name, rows_of(BY_ID[name], report), language, report["labels"])


def shaped(name: str, found: Iterable[dict[str, Any]], language: str, labels: Labels) -> Table:
    """Rows of one of NAMES or EVIDENCE. `labels`: of the plant's reasons."""
    title, shape = _EVIDENCE[name] if name in _EVIDENCE else (BY_ID[name].title, BY_ID[name].columns)
    rows = [dict(row) for row in found]
    for row in rows if name == "refused" else ():
        row["place"] = f"{row['source_topic']} {row['source_partition']}/{row['source_offset']}"
        row["detail"] = refusal_in_german(row["detail"] or "") if language == "de" else row["detail"]
    for row in rows if name == "alerts" else ():
        row["detail"] = alert_said(row, language)
    for row in rows if name == "revisions" else ():
        row["because"] = _because(row["said"], language)
    for row in rows if name == "events" else ():
        told = (key for key in row if key not in _NOT_TOLD and not key.startswith("source_"))
        row["what"] = " ".join(f"{key}={row[key]}" for key in told)
    columns = tuple(Column(key, kind, word(said, language)) for key, kind, said in shape)
    cells = tuple(tuple(row.get(column.key) for column in columns) for row in rows)
    return Table(name, word(title, language), columns, cells, labels)


def _because(said: list[dict[str, Any]] | None, language: str) -> str | None:
    """What made a revision: corrections, with the device that sent them; else events that came late."""
    if said is None:
        return None
    told = []
    for one in said:
        rest = " ".join(one[key] for key in ("by", "station", "verb", "reason", "state") if one[key] is not None)
        told.append(f"{word('correction', language)} {rest}")
    return "; ".join(told) or word("late_events", language)


def for_people(found: Table, zone: str, language: str) -> dict[str, Any]:
    """A table of texts, for the page."""
    return {
        "title": found.title,
        "columns": [{"key": one.key, "title": one.title, "kind": one.kind} for one in found.columns],
        "rows": [cells(found, row, zone, language) for row in found.rows],
    }


def cells(found: Table, row: tuple[Any, ...], zone: str, language: str) -> list[str]:
    """A row for people."""
    return [
        shown(value, column.kind, zone, language, found.labels)
        for value, column in zip(row, found.columns, strict=True)
    ]


def shown(value: Any, kind: str, zone: str, language: str, labels: Labels) -> str:
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
        case "value":
            return significant(value, language)
        case "word":
            return word(value, language)
        case "reason":
            return str(reason_said(value, labels, language))
        case "loss":
            reason = reason_said(value["reason"], labels, language)
            said = word(value["class"], language) + (f" ({reason})" if reason else "")
            return f"{lasting(value['ns'], language)} {said}"
    return coded(kind, str(value).lower(), language) if kind in CODES else str(value)


def to_csv(found: Table, zone: str, dialect: str, language: str) -> str:
    """RFC 4180 (csv), or what a German Excel opens as columns (csv-de: semicolon, decimal comma, byte order mark).

    Durations are seconds with nine digits, ratios as the rows have them, times local and without an offset; classes and
    reasons are ids, a reason's label stands beside it. A text that a spreadsheet would take for a formula gets an
    apostrophe before it.
    """
    german = dialect == "csv-de"
    out = io.StringIO()
    writer = csv.writer(out, delimiter=";" if german else ",", lineterminator="\r\n")
    writer.writerow([title for column in found.columns for title in _titles(column)])
    for row in found.rows:
        made: list[str] = []
        for value, column in zip(row, found.columns, strict=True):
            made.append(_plain(value, column.kind, zone, german))
            if column.kind == "reason":
                made.append(defused(reason_said(value, found.labels, language) or ""))
        writer.writerow(made)
    return ("\ufeff" if german else "") + out.getvalue()


def _titles(column: Column) -> tuple[str, ...]:
    if column.kind == "reason":
        return column.key, f"{column.key}_label"
    return (f"{column.key.removesuffix('_ns')}_s" if column.kind == "ns" else column.key,)


def _plain(value: Any, kind: str, zone: str, german: bool) -> str:
    if value is None:
        return ""
    match kind:
        case "time" | "clock":
            return local(zone, parse_rfc3339(value), "%Y-%m-%d %H:%M:%S")
        case "ns":
            return _decimal(f"{'-' if value < 0 else ''}{abs(value) // 10**9}.{abs(value) % 10**9:09d}", german)
        case "percent" | "parts" | "count" | "value":
            return _decimal(repr(value), german)
        case "loss":
            return defused(": ".join(filter(None, [value["class"], value["reason"]])))
    return defused(str(value))


def _decimal(text: str, german: bool) -> str:
    return text.replace(".", ",") if german else text


def defused(text: str) -> str:
    """Text of somebody else's making, harmless in a spreadsheet."""
    return f"'{text}" if text.startswith(FORMULA) else text
