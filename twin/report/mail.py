"""A report as a mail in a file (.eml), for the plant's own mailer: a plain text, a table that desktop mail programs
show (no style sheet, no picture), and the workbook and the whole report attached.

No sender, no receiver, no date: the mailer knows them. The same report gives the same bytes.
"""

import hashlib
import re
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any, Final

from twin.report.html import against_target, bottleneck, doubts, page, ratios, sentence, text
from twin.report.lost import greatest
from twin.report.tables import LEFT, Table, cells, table
from twin.report.words import number, percent, word
from twin.report.xlsx import workbook
from twin.time.rfc3339 import parse_rfc3339

_TABLES: Final = ("lost", "trend", "orders", "hours")
_ROWS: Final = 12
_CELL: Final = 'style="padding:3px 8px;border-bottom:1px solid #c9cfd4;text-align:{}"'


def mail(report: dict[str, Any], language: str = "en") -> bytes:
    """Raises ReportError where the writer of workbooks is missing."""
    span = report["span"]
    title = f"{report['site']}: {report['line']}, {word(span['kind'], language)} {span['label']}"
    open_still = "" if report["settled"]["final"] else f" ({word('provisional', language)})"
    said = [
        sentence(report, language),
        against_target(report, language),
        ratios(report["total"], language) + open_still,
        _one_before(report, language),
        *(f"{word('lost_most', language)}: {one}" for one in greatest(report, language)[:1]),
        *doubts(report, language),
        bottleneck(report, language),
    ]
    lines = [line for line in said if line is not None]
    commands = report["proof"]["commands"]
    name = re.sub(r"[^A-Za-z0-9_-]", "-", f"{report['line']}-{span['label']}")
    message = EmailMessage(policy=SMTP)
    message["Subject"] = "".join(c if c.isprintable() else "\ufffd" for c in title)
    message["X-Unsent"] = "1"  # opened as a draft
    message.set_content("\n".join([title, "", *lines, "", f"{word('recompute', language)}:", *commands, ""]))
    tables = [_table(table(report, one, language), report["zone"], language) for one in _TABLES]
    body = "".join(f"<p>{text(line)}</p>" for line in lines)
    proof = "".join(f"<p><code>{text(one)}</code></p>" for one in commands)
    message.add_alternative(
        f'<html><body style="font-family:sans-serif"><h2>{text(title)}</h2>{body}{"".join(tables)}'
        f"<p>{text(word('recompute', language))}:</p>{proof}</body></html>",
        subtype="html",
    )
    message.add_attachment(
        workbook(report, language),
        maintype="application",
        subtype="vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        filename=f"{name}.xlsx",
    )
    whole = page(report, language).encode()
    message.add_attachment(whole, maintype="text", subtype="html", filename=f"{name}.html")
    digest = hashlib.sha256(whole).hexdigest()[:24]
    for nth, part in enumerate(part for part in message.walk() if part.is_multipart()):
        part.set_boundary(f"taktwin-{nth}-{digest}")
    return message.as_bytes()


def _one_before(report: dict[str, Any], language: str) -> str | None:
    """What to hold it against: the last week, day or shift that had ended when the span began."""
    begin = parse_rfc3339(report["span"]["start"])
    one = next((row for row in reversed(report["trend"]) if parse_rfc3339(row["end"]) <= begin), None)
    if one is None or one["oee"] is None:
        return None
    return word("one_before", language).format(
        one["label"], percent(one["oee"], language), number(one["good"], 0, language)
    )


def _table(found: Table, zone: str, language: str) -> str:
    if not found.rows:
        return ""
    kinds = ["left" if column.kind in LEFT else "right" for column in found.columns]
    titles = [f"{one.title} (min)" if one.kind == "ns" and one.key != "ns" else one.title for one in found.columns]
    head = "".join(f"<th {_CELL.format(side)}>{text(one)}</th>" for side, one in zip(kinds, titles, strict=True))
    rows = [
        "".join(
            f"<td {_CELL.format(side)}>{text(cell)}</td>"
            for side, cell in zip(kinds, cells(found, row, zone, language), strict=True)
        )
        for row in found.rows[:_ROWS]
    ]
    left = len(found.rows) - _ROWS
    more = f"<p>+ {left} {text(word('left_out', language))}</p>" if left > 0 else ""
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f'<h3>{text(found.title)}</h3><table cellspacing="0"><tr>{head}</tr>{body}</table>{more}'
