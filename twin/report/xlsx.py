"""A report as a workbook: numbers as numbers, times as dates, texts as texts, whatever they look like.

Nothing of the machine is in it, neither its clock nor its locale: the same report gives the same bytes.
"""

import datetime
import io
from typing import Any, Final

from twin.report import ReportError
from twin.report.html import against_target, bottleneck, doubts, health, ratios, sentence
from twin.report.said import Labels
from twin.report.spans import NS
from twin.report.tables import FORMULA, NAMES, Column, shown, table
from twin.report.words import word
from twin.time.rfc3339 import parse_rfc3339
from twin.time.zone import zone

_MADE: Final = datetime.datetime(2000, 1, 1)  # noqa: DTZ001  of the file's properties; the clock has no place here
_FORMATS: Final = {
    "time": "yyyy-mm-dd hh:mm:ss",
    "clock": "yyyy-mm-dd hh:mm",
    "ns": "0.0",
    "percent": "0.0%",
    "parts": "#,##0",
    "count": "#,##0",
    "value": "General",
}
_MINUTE_NS: Final = 60 * NS


def workbook(report: dict[str, Any], language: str = "en") -> bytes:
    """One sheet of sentences, then one for each table that has rows. Raises ReportError where the writer is missing."""
    try:
        import xlsxwriter  # an optional extra: only a workbook needs it
    except ModuleNotFoundError as error:
        raise ReportError(
            "a workbook needs XlsxWriter, which is not installed; install the package xlsxwriter "
            "(in a checkout: uv sync --locked --extra excel)"
        ) from error
    out = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    book = xlsxwriter.Workbook(out, options)
    book.set_properties({"title": f"{report['line']} {report['span']['label']}", "created": _MADE})
    formats = {kind: book.add_format({"num_format": text}) for kind, text in _FORMATS.items()}
    formats["head"] = book.add_format({"bold": True, "text_wrap": True, "valign": "top"})
    # Such a text stays one when somebody edits its cell.
    formats["quoted"] = book.add_format({"quote_prefix": True})
    _said(book.add_worksheet(word("report", language)), report, language, formats)
    for name in NAMES:
        found = table(report, name, language)
        if not found.rows:
            continue
        sheet = book.add_worksheet(name)
        sheet.freeze_panes(1, 0)
        at = 0
        for k, column in enumerate(found.columns):
            values = [row[k] for row in found.rows]
            at += _column(sheet, at, column, values, report["zone"], language, formats, found.labels)
    book.close()
    return out.getvalue()


def _said(sheet: Any, report: dict[str, Any], language: str, formats: dict[str, Any]) -> None:
    span = report["span"]
    lines = [
        f"{report['site']}, {report['line']}, {word(span['kind'], language)} {span['label']}",
        f"{span['start_local']} - {span['end_local']}, {report['zone']}",
        sentence(report, language),
        against_target(report, language),
        ratios(report["total"], language),
        *doubts(report, language),
        bottleneck(report, language),
        *health(report, language),
        f"{word('policy', language)} {report['policy']}; {word('models', language)}: {report['proof']['model']}",
        *report["proof"]["commands"],
    ]
    sheet.set_column(0, 0, 110)
    for row, text in enumerate(line for line in lines if line is not None):
        _text(sheet, row, 0, text, formats)


def _column(
    sheet: Any,
    at: int,
    column: Column,
    values: list[Any],
    name: str,
    language: str,
    formats: dict[str, Any],
    labels: Labels,
) -> int:
    """How many columns it takes: a time has two, local and UTC, and so has a reason, its label and its id."""
    title = f"{column.title} (min)" if column.kind == "ns" else column.title
    sheet.write_string(0, at, title, formats["head"])
    sheet.set_column(at, at, 19 if column.kind == "time" else 14)
    instant = column.kind in ("time", "clock")
    if instant:
        sheet.write_string(0, at + 1, f"{column.title} (UTC)", formats["head"])
        sheet.set_column(at + 1, at + 1, 19)
    if column.kind == "reason":
        sheet.write_string(0, at + 1, f"{column.title} (id)", formats["head"])
        sheet.set_column(at, at + 1, 24)
    for row, value in enumerate(values, start=1):
        if value is None:
            continue
        if instant:
            utc = datetime.datetime.fromtimestamp(parse_rfc3339(value) // NS, datetime.UTC)
            sheet.write_datetime(row, at, utc.astimezone(zone(name)).replace(tzinfo=None), formats[column.kind])
            sheet.write_datetime(row, at + 1, utc.replace(tzinfo=None), formats["time"])
        elif column.kind == "ns":
            sheet.write_number(row, at, value / _MINUTE_NS, formats["ns"])
        elif column.kind in ("percent", "parts", "count", "value"):
            sheet.write_number(row, at, value, formats[column.kind])
        else:
            _text(sheet, row, at, shown(value, column.kind, name, language, labels), formats)
            if column.kind == "reason":
                _text(sheet, row, at + 1, value, formats)
    return 2 if instant or column.kind == "reason" else 1


def _text(sheet: Any, row: int, at: int, text: str, formats: dict[str, Any]) -> None:
    # What XML cannot hold becomes a sign for it.
    clean = "".join(c if c.isprintable() else "\ufffd" for c in text)
    sheet.write_string(row, at, clean, formats["quoted"] if text.startswith(FORMULA) else None)
