"""A report as the text of a file."""

import json
from typing import Any

from twin.report import ReportError
from twin.report.html import page
from twin.report.tables import DIALECTS, NAMES, table, to_csv


def as_file(report: dict[str, Any], form: str, name: str, language: str) -> str:
    """form: html, json, csv or csv-de, the last two of the table `name`. Raises ReportError: no such form or table."""
    if form == "html":
        return page(report, language)
    if form == "json":
        return json.dumps(report, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    if form not in DIALECTS:
        raise ReportError(f"{form!r}: a report is html, json, {' or '.join(DIALECTS)}")
    if name not in NAMES:
        raise ReportError(f"{name!r}: the tables of a report are {', '.join(NAMES)}")
    return to_csv(table(report, name, language), report["zone"], form)
