"""The sections of a report and of a line's page, in their order. Whoever adds one adds it here, and only here.

A section is a title, and what it has of rows, charts and sentences. All readers take it from its entry in `SECTIONS`:
the HTML file, the workbook (a sheet), CSV (`--table ID`), JSON and API (`report[ID]`), and the page. To add one:

1. a function of a `Sheet` that gives the rows as plain values (instants as RFC 3339, durations as ns, ratios as
   floats); `sheet.root`, `.line`, `.span` and `.as_of_ns` say of what. No row: the section is left out;
2. if it has charts, a function of report and language that gives SVG, one or several, made of `svg.frame`, `svg.label`
   and the classes of `svg.COLOURS`; what is drawn has its figure as `data-ns` or `data-value`, the table beside it;
3. a `Section` at its place below, its words in `twin.report.words` in both languages, a row in docs/page.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from twin.report import lost, trend
from twin.report.flow import chain_texts, flow
from twin.report.losses import changeover_texts
from twin.report.quality import (
    average_weight,
    characteristics,
    defects,
    defects_of_products,
    draw_charts,
    draw_defects,
    samples,
    yields,
)
from twin.report.svg import charged, pareto, timeline, waterfall
from twin.report.usage import by_factor
from twin.report.usage import section as usage

if TYPE_CHECKING:
    from twin.report.build import Sheet

Report = dict[str, Any]
Rows = list[dict[str, Any]]
Shape = tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class Section:
    id: str  # key of the report, name of the table, anchor on the page
    title: str  # a word
    columns: Shape = ()  # (key, kind of `tables.Column`, word) each; none: no table
    rows: Callable[[Sheet], Rows] | None = None  # None: `build` has them
    draw: Callable[[Report, str], str | list[str]] | None = None  # SVG; the page folds the table beside it
    texts: Callable[[Report, str], list[str]] | None = None  # sentences under it
    note: str = ""  # a word: how it is to be read


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
SECTIONS: Final = (
    Section(
        "waterfall",
        "waterfall",
        (
            ("step", "word", "step"),
            ("ns", "ns", "minutes"),
            ("parts", "parts", "parts"),
        ),
        draw=waterfall,
    ),
    Section(
        "lost",
        "lost",
        (
            ("station", "text", "station"),
            ("class", "word", "class"),
            ("reason", "reason", "reason"),
            ("parts", "parts", "parts"),
            ("share", "percent", "of_the_loss"),
            ("ns", "ns", "minutes"),
            ("goes_on", "yes", "goes_on"),
        ),
        rows=lost.lost,
        draw=lost.draw,
        note="lost_note",
    ),
    Section(
        "pareto",
        "pareto",
        (
            ("station", "text", "station"),
            ("class", "word", "class"),
            ("reason", "reason", "reason"),
            ("ns", "ns", "minutes"),
            ("count", "count", "count"),
            ("longest_ns", "ns", "longest"),
            ("longest_start", "time", "longest_at"),
        ),
        draw=pareto,
        note="count_note",
    ),
    Section(
        "charged",
        "charged",
        (
            ("station", "text", "station"),
            ("class", "word", "class"),
            ("reason", "reason", "reason"),
            ("ns", "ns", "minutes"),
            ("count", "count", "count"),
        ),
        draw=charged,
        note="charged_note",
    ),
    Section(
        "trend",
        "trend",
        (
            ("label", "text", "span"),
            ("planned_ns", "ns", "planned"),
            ("good", "count", "good"),
            ("scrap", "count", "scrap"),
            ("oee", "percent", "oee"),
            ("target_oee", "percent", "target"),
            ("unknown_ns", "ns", "unknown"),
            ("changed", "text", "model"),
        ),
        rows=trend.trend,
        draw=trend.draw,
        note="trend_note",
    ),
    Section("flow", "flow", draw=flow, texts=chain_texts),
    Section(
        "timeline",
        "timeline",
        (
            ("station", "text", "station"),
            ("class", "word", "class"),
            ("ns", "ns", "minutes"),
            ("share", "percent", "of_the_span"),
        ),
        draw=timeline,
    ),
    Section(
        "hours",
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
        note="ideal_note",
    ),
    Section(
        "shifts",
        "shifts",
        (("shift", "text", "shift"), *_KPI),
    ),
    Section(
        "days",
        "days",
        (("production_date", "text", "day"), *_KPI),
    ),
    Section(
        "orders",
        "orders",
        (
            ("order", "text", "order"),
            ("product", "text", "product"),
            *_KPI,
        ),
    ),
    Section(
        "changeovers",
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
        texts=changeover_texts,
    ),
    Section(
        "stations",
        "stations",
        (("station", "text", "station"), *_KPI[2:]),
    ),
    Section(
        "usage",
        "usage",
        (
            ("station", "text", "station"),
            ("measure", "text", "measure"),
            ("unit", "text", "unit"),
            ("amount", "value", "amount"),
            ("running", "value", "running"),
            ("setup", "value", "setup"),
            ("idle", "value", "idle"),
            ("stopped", "value", "stopped"),
            ("off", "value", "off"),
            ("unknown", "value", "unknown"),
            ("per_good", "value", "per_good"),
            ("per_produced", "value", "per_produced"),
            ("idle_share", "percent", "idle_share"),
            ("base_load", "value", "base_load"),
            ("peak", "value", "peak"),
        ),
        rows=usage,
        note="usage_note",
    ),
    Section(
        "by_factor",
        "by_factor",
        (
            ("station", "text", "station"),
            ("measure", "text", "measure"),
            ("gives", "text", "gives"),
            ("value", "value", "amount"),
            ("in_unit", "text", "unit"),
            ("per_good", "value", "per_good"),
            ("factors", "text", "factors"),
        ),
        rows=by_factor,
        note="by_factor_note",
    ),
    Section(
        "bottleneck",
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
    Section(
        "characteristics",
        "characteristics",
        (
            ("station", "text", "station"),
            ("measure", "text", "measure"),
            ("product", "text", "product"),
            ("unit", "text", "unit"),
            ("n", "count", "count"),
            ("mean", "value", "mean"),
            ("deviation", "value", "deviation"),
            ("least", "value", "least"),
            ("most", "value", "greatest"),
            ("p05", "value", "p05"),
            ("median", "value", "median"),
            ("p95", "value", "p95"),
            ("cp", "value", "cp"),
            ("cpk", "value", "cpk"),
            ("cpk_low", "value", "cpk_low"),
            ("cpk_high", "value", "cpk_high"),
            ("cpm", "value", "cpm"),
            ("pp", "value", "pp"),
            ("ppk", "value", "ppk"),
            ("giveaway", "value", "giveaway"),
            ("giveaway_total", "value", "giveaway_total"),
        ),
        rows=characteristics,
        note="characteristics_note",
    ),
    Section(
        "average_weight",
        "average_weight",
        (
            ("station", "text", "station"),
            ("measure", "text", "measure"),
            ("product", "text", "product"),
            ("unit", "text", "unit"),
            ("n", "count", "count"),
            ("nominal", "value", "nominal"),
            ("mean", "value", "mean"),
            ("t1", "value", "t1"),
            ("t1_errors", "count", "below"),
            ("t1_share", "percent", "of_packs"),
            ("t2", "value", "t2"),
            ("t2_errors", "count", "below"),
            ("kept", "word", "rule"),
        ),
        rows=average_weight,
        note="average_weight_note",
    ),
    Section(
        "control_charts",
        "control_charts",
        (
            ("end", "time", "time"),
            ("station", "text", "station"),
            ("measure", "text", "measure"),
            ("product", "text", "product"),
            ("chart", "text", "chart"),
            ("point", "count", "point"),
            ("figure", "value", "value"),
            ("center", "value", "center"),
            ("lower", "value", "from"),
            ("upper", "value", "to"),
            ("signals", "text", "signals"),
            ("cause", "text", "reason"),
        ),
        rows=samples,
        draw=draw_charts,
        note="charts_note",
    ),
    Section(
        "defects",
        "defects",
        (
            ("station", "text", "station"),
            ("defect", "text", "defect"),
            ("count", "count", "count"),
            ("cumulative", "percent", "cumulative"),
            ("units", "count", "units"),
            ("dpu", "value", "dpu"),
            ("dpmo", "value", "dpmo"),
            ("sigma_level", "value", "sigma_level"),
            ("sigma_level_shifted", "value", "sigma_level_shifted"),
        ),
        rows=defects,
        draw=draw_defects,
        note="defects_note",
    ),
    Section(
        "defects_of_products",
        "defects_of_products",
        (
            ("product", "text", "product"),
            ("station", "text", "station"),
            ("defect", "text", "defect"),
            ("count", "count", "count"),
            ("cumulative", "percent", "cumulative"),
        ),
        rows=defects_of_products,
    ),
    Section(
        "yields",
        "yields",
        (
            ("station", "text", "station"),
            ("counted", "word", "counted"),
            ("units", "count", "units"),
            ("fpy", "percent", "fpy"),
            ("dpu", "value", "dpu"),
            ("rty", "percent", "rty"),
        ),
        rows=yields,
        note="yields_note",
    ),
    Section(
        "alerts",
        "alerts",
        (
            ("ts", "time", "time"),
            ("station", "text", "station"),
            ("kind", "alert", "kind"),
            ("action", "action", "step"),
            ("detail", "text", "detail"),
        ),
    ),
    Section(
        "refused",
        "refused",
        (
            ("ts", "time", "time"),
            ("reason", "refused", "reason"),
            ("detail", "text", "detail"),
            ("place", "text", "offset"),
            ("value", "text", "bytes"),
        ),
    ),
)
BY_ID: Final = {one.id: one for one in SECTIONS}


def has(section: Section, report: Report) -> bool:
    """Whether there is anything to show: a section without a table is always there."""
    if section.id == "changeovers" and report["other_setup"]["intervals"]:  # a sentence says that there is setup
        return True
    return not section.columns or bool(rows_of(section, report))


def rows_of(section: Section, report: Report) -> Sequence[dict[str, Any]]:
    found = report[section.id]
    if section.id == "bottleneck":  # a statement with rows
        return found["rows"] if found else []
    if section.id == "timeline":  # what is drawn, summed
        return [
            {"station": row["station"], "class": klass, "ns": ns, "share": ns / report["span"]["ns"]}
            for row in found
            for klass, ns in sorted(row["totals_ns"].items(), key=lambda one: -one[1])
        ]
    return list(found)


def charts(section: Section, report: Report, language: str) -> list[str]:
    drawn = section.draw(report, language) if section.draw else []
    return [drawn] if isinstance(drawn, str) else drawn
