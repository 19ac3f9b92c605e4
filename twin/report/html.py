"""A report as one HTML file: nothing is loaded, nothing runs, prints on A4 in grey. Same report, same bytes."""

import html
from typing import Any, Final

from twin.alert_kinds import DATA_QUALITY
from twin.report.lost import greatest
from twin.report.said import alert_said, lasting
from twin.report.sections import SECTIONS, Section, charts, has
from twin.report.spans import local
from twin.report.svg import COLOURS
from twin.report.tables import LEFT, Table, cells, table
from twin.report.words import minutes_of, number, percent, significant, word
from twin.time.rfc3339 import parse_rfc3339

# Of downtime without a reason; beyond it reasons say little.
MOST_BARE: Final = 0.04
NEAR_HUNDRED: Final = 0.005
BUSY_NS: Final = 4 * 3_600 * 10**9
_STYLE: Final = (
    COLOURS
    + """
body{font:15px/1.4 system-ui,sans-serif;color:var(--ink);background:var(--paper);margin:2rem auto;max-width:62rem;
padding:0 1rem}
h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:1.6rem 0 .4rem}
p{margin:.3rem 0}.soft{color:var(--soft)}.big{font-size:1.3rem;font-weight:600}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:.85rem}
th,td{padding:.15rem .5rem;text-align:right;border-bottom:1px solid var(--rule);vertical-align:top}
th{font-weight:600;color:var(--soft)}.t{text-align:left}.n{white-space:nowrap}
.warn{border-left:4px solid var(--ink);padding-left:.6rem}code{overflow-wrap:anywhere}
section{break-inside:avoid}
@media print{body{margin:0;max-width:none;font-size:10pt}@page{size:A4;margin:14mm}}
"""
)


def text(value: object) -> str:
    """Escaped, wherever it came from."""
    return html.escape(str(value), quote=True)


def page(report: dict[str, Any], language: str = "en") -> str:
    """The whole file."""
    span = report["span"]
    title = f"{report['line']}, {word(span['kind'], language)} {span['label']}"
    parts = [
        '<!doctype html>\n<html lang="' + language + '"><head><meta charset="utf-8">',
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{text(title)}</title><style>{_STYLE}</style></head><body>",
        *_head(report, title, language),
        *(_section(one, report, language) for one in SECTIONS if has(one, report)),
        *_health(report, language),
        *_proof(report, language),
        "</body></html>\n",
    ]
    return "".join(parts)


def _head(report: dict[str, Any], title: str, language: str) -> list[str]:
    span, total = report["span"], report["total"]
    times = f"{span['start_local']} – {span['end_local']} ({span['ns'] / 3.6e12:g} h), {report['zone']}"
    found = [f"<h1>{text(title)}</h1>", f'<p class="soft">{text(report["site"])}, {text(times)}</p>']
    if report["as_of"]:
        found.append(f'<p class="warn">{text(word("as_of", language))} {text(report["as_of"])}</p>')
    found.append(f'<p class="big">{text(sentence(report, language))}</p>')
    if (said := against_target(report, language)) is not None:
        found.append(f"<p>{text(said)}</p>")
    found.append(f"<p>{text(ratios(total, language))}</p>")
    if most := "".join(f"<li>{text(one)}</li>" for one in greatest(report, language)):
        found.append(f"<p>{text(word('lost_most', language))}:</p><ol>{most}</ol>")
    found += [f'<p class="warn">{text(line)}</p>' for line in doubts(report, language)]
    return [*found, f"<p>{text(bottleneck(report, language))}</p>"]


def sentence(report: dict[str, Any], language: str) -> str:
    """What was made, and what was lost against ideal speed."""
    total = report["total"]
    if not total["rows"]:
        return word("no_rows", language)
    said = f"{number(total['good'], 0, language)} {word('made_good', language)}"
    if total["lost_parts"] is not None:
        said += f", {number(total['lost_parts'], 0, language)} {word('lost_parts', language)}"
    return f"{said} ({lasting(total['planned_ns'], language)} {word('planned', language)})"


def against_target(report: dict[str, Any], language: str) -> str | None:
    """Ahead or behind, in parts and minutes. None: the plant file names no target for what was made."""
    total = report["total"]
    parts, minutes = total.get("plan_difference"), total.get("plan_minutes")
    if parts is None:  # the plan in parts is not known: a time of which no row tells the product
        goal = total.get("target_oee")
        return None if goal is None else f"{word('oee', language)} {word('target', language)} {percent(goal, language)}"
    said = f"{word('target_so_far', language)} {number(total['plan_parts'], 0, language)}: "
    said += f"{number(abs(parts), 0, language)} {word('parts', language)}"
    if minutes is not None:
        said += f" = {lasting(round(abs(minutes) * 6e10), language)}"
    said += f" {word('behind_plan' if parts < 0 else 'ahead_of_plan', language)}"
    if total["target_oee"] is not None and total["oee"] is not None:
        said += f"; {word('oee', language)} {word('target', language)} {percent(total['target_oee'], language)}"
    return said


def ratios(total: dict[str, Any], language: str) -> str:
    """OEE and its factors; where there is none, why."""
    if total["oee"] is None:
        made = "no_ideal_short" if total["no_ideal"] else "nothing_made"
        missing = made if total["planned_ns"] else "nothing_planned"
        return f"{word('oee', language)}: {word(missing, language)}"
    return (
        f"{word('oee', language)} {percent(total['oee'], language)} = "
        f"{word('availability', language)} {percent(total['availability'], language)} × "
        f"{word('performance', language)} {percent(total['performance'], language)} × "
        f"{word('quality_ratio', language)} {percent(total['quality'], language)}"
    )


def formula(found: dict[str, Any], language: str) -> str | None:
    """The factors with what was divided, of what `twin.report.why` gives. None: nothing to divide by."""
    if found["ratios"]["oee"] is None:
        return None
    planned, operating, ideal = (
        minutes_of(found[f"{name}_ns"], language) for name in ("planned", "operating", "ideal")
    )
    good, parts = (number(found[name], 0, language) for name in ("good", "parts"))
    return (
        f"{word('availability', language)} = {operating} min / {planned} min {word('planned', language)}; "
        f"{word('performance', language)} = {ideal} min {word('ideal_time', language)} / {operating} min; "
        f"{word('quality_ratio', language)} = {good} / {parts} {word('parts', language)}"
    )


def ideal_said(found: dict[str, Any] | None, zone: str, language: str) -> str | None:
    """The ideal cycle that was used, since when, and what a part took: a soft one shows here."""
    if found is None or not found["cycle_ns"]:
        return None
    since = local(zone, parse_rfc3339(found["since"]), "%Y-%m-%d")
    said = f"{word('ideal_cycle', language)} {found['station']}"
    said += f", {found['product']}" if found["product"] else ""
    said += f": {significant(found['cycle_ns'] / 1e9, language)} s"
    said += f" ({word('since', language)} {since}, {word('model', language)} {found['model'][:12]})"
    if found["took_ns"] is None:
        return said
    if found["mean_ns"] != found["cycle_ns"]:
        said += f"; {word('ideal_mean', language)} {significant(found['mean_ns'] / 1e9, language)} s"
    said += f"; {word('took', language)} {significant(found['took_ns'] / 1e9, language)} s"
    return said + (f". {word('too_long', language)}" if found["took_ns"] < found["mean_ns"] else "")


def doubts(report: dict[str, Any], language: str) -> list[str]:
    """What a reader must know before the figures are believed."""
    total, settled = report["total"], report["settled"]
    found = []
    if not settled["complete"]:
        found.append(f"{word('incomplete', language)}: {word('known_until', language)} {_at(report, 'known_until')}")
    elif not settled["final"]:
        until = _at(report, "revisable_until")
        some = settled.get("final_until") and word("final_until", language).format(_at(report, "final_until"), until)
        found.append(some or f"{word('revisable', language)} {until}")
    if pauses := report["span"]["pauses"]:
        times = ((local(report["zone"], parse_rfc3339(one[end])) for end in ("start", "end")) for one in pauses)
        said = "; ".join(" – ".join(pair) for pair in times)
        found.append(f"{report['span']['label']} {word('pauses', language)}: {said}")
    missing = total["unknown_ns"] + total["no_rows_ns"]
    if missing:
        found.append(f"{word('unknown_share', language)}: {lasting(missing, language)}")
    if total["suspect"]:
        found.append(word("suspect", language))
    if total["no_ideal"]:
        found.append(word("no_ideal", language))
    return found


def _at(report: dict[str, Any], name: str) -> str:
    at = report["settled"][name]
    return "–" if at is None else local(report["zone"], parse_rfc3339(at))


def bottleneck(report: dict[str, Any], language: str) -> str:
    """The verdict and its interval in a sentence."""
    said = report["bottleneck"]
    if said is None:
        return f"{word('bottleneck', language)}: {word('not_measured', language)}"
    leader = max(said["rows"], key=lambda row: row["share"] or 0)
    interval = word("interval", language)
    if leader["share_low"] is None:
        interval += ": –"
    else:
        interval += f" {percent(leader['share_low'], language, 0)} – {percent(leader['share_high'], language, 0)}"
    name = word("undecided", language) if said["verdict"] == "undecided" else said["verdict"]
    share = f"{leader['station']} {percent(leader['share'], language, 0)}"
    told = f"{word('bottleneck', language)}: {name} ({share}, {word('share', language)}, {interval})"
    if said["verdict"] == "undecided":
        return f"{told}; {word('more_hours', language)}"
    return f"{told}; {word('one_percent', language).format(number(leader['share'], 2, language))}"


def _section(one: Section, report: dict[str, Any], language: str) -> str:
    said = f'<p class="soft">{text(word(one.note, language))}</p>' if one.note else ""
    left = report.get(f"{one.id}_left_out", 0)
    more = f'<p class="soft">+ {left} {text(word("left_out", language))}</p>' if left else ""
    rows = table_html(table(report, one.id, language), report["zone"], language) if one.columns else ""
    told = "".join(f"<p>{text(line)}</p>" for line in (one.texts(report, language) if one.texts else ()))
    drawn = "".join(charts(one, report, language))
    return f"<section><h2>{text(word(one.title, language))}</h2>{said}{drawn}{rows}{more}{told}</section>"


def table_html(found: Table, zone: str, language: str) -> str:
    """Numbers stand right, texts left; durations are minutes."""
    classes = dict.fromkeys(LEFT, "t") | {"time": "t n", "clock": "t n"}
    kinds = [f' class="{classes.get(column.kind, "n")}"' for column in found.columns]
    titles = [
        column.title + (" (min)" if column.kind == "ns" and column.key != "ns" else "") for column in found.columns
    ]
    head = "".join(f'<th scope="col"{kind}>{text(title)}</th>' for kind, title in zip(kinds, titles, strict=True))
    body = "".join(
        "<tr>"
        + "".join(
            f"<td{kind}>{text(cell)}</td>" for kind, cell in zip(kinds, cells(found, row, zone, language), strict=True)
        )
        + "</tr>"
        for row in found.rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def health(report: dict[str, Any], language: str) -> list[str]:
    """What speaks against the figures, in a sentence each; that nothing does is said, too."""
    found, total = report["health"], report["total"]
    performance, said = total["performance"], []

    def add(key: str, value: str = "") -> None:
        said.append(word(key, language).format(value))

    if found["unknown_share"]:
        add("said_unknown", percent(found["unknown_share"], language))
    if (bare := found["down_without_reason_share"]) is not None and bare > MOST_BARE:
        add("said_reasons", percent(bare, language))
    if total["running_ns"] >= BUSY_NS and not total["minor_stops"]:
        add("said_no_minor")
    if total["running_ns"] >= BUSY_NS and performance is not None and abs(performance - 1) <= NEAR_HUNDRED:
        add("said_hundred", percent(performance, language))
    for key in ("refused", "revised_rows"):
        if found[key]:
            add("said_revised" if key == "revised_rows" else "said_refused", number(found[key], 0, language))
    if len(found["models"]) > 1:
        add("said_models", str(len(found["models"])))
    return said or [word("said_well", language)]


def _health(report: dict[str, Any], language: str) -> list[str]:
    found = report["health"]
    lines = [
        (word("unknown_share", language), percent(found["unknown_share"], language)),
        (word("without_reason", language), percent(found["down_without_reason_share"], language)),
        (word("refused", language), number(found["refused"], 0, language)),
        (word("revised_rows", language), number(found["revised_rows"], 0, language)),
        (word("models", language), ", ".join(found["models"])),
    ]
    rows = "".join(f'<tr><td class="t">{text(a)}</td><td>{text(b)}</td></tr>' for a, b in lines)
    rows += "".join(f'<tr><td class="t" colspan="2">{text(said)}</td></tr>' for said in health(report, language))
    told = "".join(f"<p>{text(alert_said(row, language))}</p>" for row in found[DATA_QUALITY])
    return [f"<section><h2>{text(word('health', language))}</h2><table>{rows}</table>{told}</section>"]


def _proof(report: dict[str, Any], language: str) -> list[str]:
    proof = report["proof"]
    commands = "".join(f"<p><code>{text(one)}</code></p>" for one in proof["commands"])
    said = f"{proof['rows']} {word('rows_used', language)}, {word('policy', language)} {report['policy']}"
    return [
        f"<section><h2>{text(word('definitions', language))}</h2><p>{text(word('oee_note', language))}</p></section>",
        f"<section><h2>{text(word('proof', language))}</h2><p>{text(said)}; {text(word('recompute', language))}:</p>",
        f"{commands}</section>",
    ]
