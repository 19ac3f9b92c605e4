"""A report as a file."""

import json
from typing import Any, Final

from twin.report import ReportError
from twin.report.html import page
from twin.report.tables import DIALECTS, NAMES, table, to_csv

BINARY: Final = {
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "eml": "message/rfc822",
}


def as_bytes(report: dict[str, Any], form: str, name: str, language: str) -> bytes:
    """As `as_file`, and xlsx and eml. Raises ReportError."""
    if form == "xlsx":
        from twin.report.xlsx import workbook

        return workbook(report, language)
    if form == "eml":
        from twin.report.mail import mail

        return mail(report, language)
    return as_file(report, form, name, language).encode()


def as_file(report: dict[str, Any], form: str, name: str, language: str) -> str:
    """form: html, json, csv or csv-de, the last two of the table `name`. Raises ReportError: no such form or table."""
    if form == "html":
        return page(report, language)
    if form == "json":
        return json.dumps(report, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    if form not in DIALECTS:
        raise ReportError(f"{form!r}: a report is html, json, {', '.join(DIALECTS)}, {' or '.join(BINARY)}")
    if name not in NAMES:
        raise ReportError(f"{name!r}: the tables of a report are {', '.join(NAMES)}")
    return to_csv(table(report, name, language), report["zone"], form, language)
