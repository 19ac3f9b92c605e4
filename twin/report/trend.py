"""What was before: shifts, days or weeks up to the span, with the target and changes of the plant model."""

import datetime
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from twin.report.figures import Figures
from twin.report.rows import Row, dicts, select
from twin.report.spans import week_before
from twin.report.svg import cut, frame, label
from twin.report.words import percent, word
from twin.time.rfc3339 import rfc3339

if TYPE_CHECKING:
    from twin.report.build import Sheet

MOST: Final = 14
_DAY_NS: Final = 86_400 * 10**9
WEEKS: Final = 8
_BACK_NS: Final = {"day": 15 * _DAY_NS, "shift": 6 * _DAY_NS}
_HIGH: Final = 110


def trend(sheet: "Sheet") -> list[dict[str, Any]]:
    """By time, the newest last; sums are divided, so a week is none of its days' mean. Fewer than two are none.
    The last one is the shift, day or week itself, as far as it is known."""
    span = sheet.span
    kind = span.kind if span.kind in ("week", "day") else "shift"
    window, own = "shift" if kind == "shift" else "day", kind == span.kind
    until = span.start_ns if own else span.end_ns
    back = week_before(sheet.line, span.label, WEEKS - 1).start_ns if kind == "week" else span.end_ns - _BACK_NS[kind]
    mine = (pc.field("window") == window) & pc.field("station").is_null()
    table = select(sheet.root, "kpis", back, until, line=sheet.line.id, where=mine, as_of_ns=sheet.as_of_ns)
    rows = dicts(table.select(["end", "shift", "production_date", "line_model", "policy"]))
    groups: dict[str, list[int]] = {}
    for k in sorted(range(len(rows)), key=lambda k: int(rows[k]["end"])):
        if rows[k]["end"] <= until:
            groups.setdefault(_label(kind, rows[k]), []).append(k)
    found = []
    for name, some in groups.items():
        last = rows[some[-1]]
        one = Figures.of(table.take(pa.array(some, pa.int64())), table.slice(0, 0), last["policy"])
        found.append((name, int(last["end"]), last["line_model"], one))
    if own and (laid := sheet.cover_of(None)).rows:
        model = sheet.rows_of(None).column("line_model")[laid.rows[-1]].as_py()
        found.append((span.label, span.end_ns, model, sheet.figures(None)))
    made, before = [], None
    for name, end, model, one in found:
        made.append(
            {
                "label": name,
                "end": rfc3339(end),
                "planned_ns": one.planned_ns,
                "unknown_ns": one.unknown_ns,
                "good": one.good,
                "scrap": one.made - one.good,
                "oee": one.ratios()["oee"],
                "target_oee": sheet.target.oee,
                "changed": model[:12] if before not in (None, model) else None,
            }
        )
        before = model
    return made[-MOST:] if len(made) > 1 else []


def _label(kind: str, row: Row) -> str:
    if kind == "shift":
        return str(row["shift"])
    date: datetime.date = row["production_date"]
    if kind == "day":
        return date.isoformat()
    year, week, _ = date.isocalendar()
    return f"{year}-W{week:02d}"


def draw(report: dict[str, Any], language: str) -> str:
    """A bar each: as wide as its planned time, as high as its OEE."""
    rows = report["trend"]
    gap, total = 6, max(sum(row["planned_ns"] for row in rows), 1)
    scale = (1000 - 40 - gap * len(rows)) / total
    top = max([1.0, *(row["oee"] or 0.0 for row in rows)])
    body, x = [], 40.0
    for row in rows:
        wide = row["planned_ns"] * scale
        high = _HIGH * (row["oee"] or 0.0) / top
        body.append(
            f'<rect class="c-running" data-ns="{row["planned_ns"]}" x="{x:.2f}" y="{20 + _HIGH - high:.2f}" '
            f'width="{wide:.2f}" height="{high:.2f}"/>'
        )
        if wide > 40:
            body.append(
                label(
                    x + wide / 2,
                    min(36 + _HIGH - high, 16 + _HIGH),
                    percent(row["oee"], language, 0),
                    anchor="middle",
                    small=True,
                )
            )
            said = cut(row["label"].removeprefix("20"), max(3, int(wide / 7)))
            body.append(label(x + wide / 2, 36 + _HIGH, said, anchor="middle", soft=True, small=True))
        if row["changed"]:
            body.append(f'<path class="k-line" d="M{x - gap / 2:.2f} 8V{_HIGH + 24}"/>')
            body.append(label(x, 12, f"▲ {row['changed']}", small=True))
        x += wide + gap
    if (target := rows[-1]["target_oee"]) is not None:
        y = 20 + _HIGH * (1 - target / top)
        body.append(f'<path class="k-line" d="M40 {y:.2f}H1000"/>')
        body.append(label(36, y + 4, percent(target, language, 0), anchor="end", small=True))
    body.append(f'<path class="grid" d="M40 {20 + _HIGH}H1000"/>')
    return frame(_HIGH + 46, word("trend", language), body)
