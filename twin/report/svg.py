"""Charts as SVG: shapes with classes, whose colours and patterns stand in `colours`. No script, no inline style.

Lengths are exact shares of the rows' ns: what is drawn sums to what the rows say (`data-ns` has the sums). Hues are
told apart by height and pattern, too, for colour-blind eyes and grey print.
"""

import html
from collections.abc import Iterable, Sequence
from typing import Any, Final

from twin.report.said import reason_said
from twin.report.spans import local
from twin.report.words import clock_of, hours_of, minutes_of, number, word
from twin.time.rfc3339 import parse_rfc3339

# Group of a class (twin.codes) or step: its colour, and how high its bar is in a timeline.
GROUP: Final = {
    "running": "running",
    "good": "running",
    "down": "down",
    "minor_stop": "minor",
    "setup": "setup",
    "maintenance": "upkeep",
    "starved": "starved",
    "blocked": "blocked",
    "waiting": "waiting",
    "planned_stop": "planned",
    "off_shift": "planned",
    "no_order": "planned",
    "unknown": "unknown",
    "no_rows": "unknown",
    "ahead": "planned",
    "speed": "minor",
    "quality": "down",
}
_HEIGHT: Final = {"running": 45, "minor": 80, "starved": 65, "blocked": 65, "waiting": 65, "planned": 25}
# Drawn one over the other: what is lost is never hidden.
_ORDER: Final = ("planned", "running", "waiting", "starved", "blocked", "minor", "setup", "upkeep", "down", "unknown")
_OWES: Final = ("down", "minor_stop")  # classes of which people say a reason
_WIDTH: Final = 1000
_LABEL: Final = 190
_TOTALS: Final = 178  # at the right edge of a timeline

COLOURS: Final = """
:root{--running:#7a998c;--down:#b00020;--minor:#f0a30a;--setup:#1f6fb5;--wait:#c58bd6;--planned:#d5dade;
--unknown:#6b737a;--ink:#16191c;--soft:#4a5258;--paper:#fff;--card:#f4f6f7;--rule:#c9cfd4;--blue:#0b57d0}
svg.chart{width:100%;height:auto;display:block;font:14px system-ui,sans-serif}
svg.chart text{fill:var(--ink)}
svg.chart .soft{fill:var(--soft)}
svg.chart .small{font-size:12px}
svg.chart .grid{stroke:var(--rule);stroke-width:1}
.c-running{fill:var(--running)}.c-down{fill:var(--down)}.c-minor{fill:var(--minor);stroke:#7a5200;stroke-width:.5}
.c-setup{fill:var(--setup)}.c-upkeep{fill:url(#p-upkeep)}.c-starved{fill:url(#p-starved)}
.c-blocked{fill:url(#p-blocked)}.c-waiting{fill:url(#p-waiting)}.c-planned{fill:var(--planned)}
.c-unknown{fill:url(#p-unknown);stroke:var(--unknown);stroke-width:.5}
.k-setup{fill:var(--setup)}.k-wait{fill:var(--wait)}.k-hatch{stroke:var(--unknown);stroke-width:1.5}
.k-line{stroke:var(--ink);stroke-width:1.2;fill:none}.k-box{fill:var(--card);stroke:var(--rule)}.k-dot{fill:var(--paper)}
"""
_PATTERNS: Final = (
    '<defs><pattern id="p-starved" width="6" height="6" patternUnits="userSpaceOnUse">'
    '<rect width="6" height="6" class="k-wait"/><path d="M0 6L6 0" class="k-line"/></pattern>'
    '<pattern id="p-blocked" width="6" height="6" patternUnits="userSpaceOnUse">'
    '<rect width="6" height="6" class="k-wait"/><path d="M0 0L6 6" class="k-line"/></pattern>'
    '<pattern id="p-waiting" width="6" height="6" patternUnits="userSpaceOnUse">'
    '<rect width="6" height="6" class="k-wait"/><circle cx="3" cy="3" r="1.2" class="k-dot"/></pattern>'
    '<pattern id="p-upkeep" width="6" height="6" patternUnits="userSpaceOnUse">'
    '<rect width="6" height="6" class="k-setup"/><circle cx="3" cy="3" r="1.4" class="k-dot"/></pattern>'
    '<pattern id="p-unknown" width="7" height="7" patternUnits="userSpaceOnUse">'
    '<path d="M0 7L7 0" class="k-hatch"/></pattern></defs>'
)


def frame(height: int, title: str, body: Iterable[str]) -> str:
    said = html.escape(title)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'aria-label="{said}"><title>{said}</title>{_PATTERNS}{"".join(body)}</svg>'
    )


def _safe(text: str) -> str:
    """What XML cannot hold becomes a sign for it: a machine's words may be any bytes."""
    return html.escape("".join(c if c.isprintable() else "\ufffd" for c in text))


def label(x: float, y: float, text: str, *, anchor: str = "start", soft: bool = False, small: bool = False) -> str:
    said = " ".join(name for name, wanted in (("soft", soft), ("small", small)) if wanted)
    kind = f' class="{said}"' if said else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{kind}>{_safe(text)}</text>'


def cut(text: str, most: int = 26) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def timeline(report: dict[str, Any], language: str) -> str:
    """A row per station over the span; every interval at its place, none left out, whatever its length."""
    span, zone = report["span"], report["zone"]
    start, ns = parse_rfc3339(span["start"]), span["ns"]
    scale = (_WIDTH - _LABEL - _TOTALS) / ns
    rows, height = report["timeline"], 34
    body = [*_hours_axis(start, ns, zone, scale, 26 + height * len(rows))]
    for k, row in enumerate(rows):
        top = 24 + k * height
        body.append(label(0, top + 20, cut(row["station"])))
        by: dict[str, list[tuple[int, int]]] = {}
        for one in row["intervals"]:
            by.setdefault(GROUP[one["class"]], []).append((parse_rfc3339(one["start"]) - start, one["ns"]))
        for group in (name for name in _ORDER if name in by):
            tall = 28 * _HEIGHT.get(group, 100) / 100
            y = top + 28 - tall
            path = "".join(
                f"M{_LABEL + at * scale:.3f} {y:.1f}h{long * scale:.3f}v{tall:.1f}h{-long * scale:.3f}z"
                for at, long in by[group]
            )
            total = sum(long for _, long in by[group])
            body.append(f'<path class="c-{group}" data-ns="{total}" d="{path}"/>')
        totals = sorted(row["totals_ns"].items(), key=lambda one: (one[0] != "running", -one[1]))[:2]
        known = max(sum(row["totals_ns"].values()), 1)
        for line, (klass, total) in enumerate(totals):
            said = f"{cut(word(klass, language), 14)} {clock_of(total)} {100 * total / known:.0f} %"
            body.append(label(_WIDTH, top + 13 + 14 * line, said, anchor="end", soft=line > 0, small=True))
    tall = 30 + height * len(rows)
    body += _legend({GROUP[klass]: klass for row in rows for klass in row["totals_ns"]}, tall, language)
    return frame(tall + 26, word("timeline", language), body)


def _legend(groups: dict[str, str], top: int, language: str) -> Iterable[str]:
    """Of each group that is drawn a sample and its word: hue alone tells nobody in grey."""
    x = float(_LABEL)
    for group in (name for name in reversed(_ORDER) if name in groups):
        said = word(groups[group], language)
        yield f'<rect class="c-{group}" x="{x:.0f}" y="{top + 4}" width="18" height="14"/>'
        yield label(x + 24, top + 16, said, small=True)
        x += 44 + 7.2 * len(said)


def _hours_axis(start: int, ns: int, zone: str, scale: float, bottom: int) -> Iterable[str]:
    hour = 3_600_000_000_000
    every = next((step for step in (1, 2, 3, 6, 12, 24, 48, 168, 720) if ns / (step * hour) <= 12), 2160) * hour
    first = -start % hour
    form = "%H:%M" if every < 24 * hour else "%m-%d"
    for at in range(first, ns + 1, every):
        x = _LABEL + at * scale
        yield f'<path class="grid" d="M{x:.1f} 18V{bottom}"/>'
        anchor = "end" if at + every > ns and x > _WIDTH - _TOTALS - 40 else "middle"
        yield label(x, 13, local(zone, start + at, form), anchor=anchor, soft=True)


def waterfall(report: dict[str, Any], language: str) -> str:
    """From calendar time down to good parts; each step hangs where the one before ended."""
    steps = report["waterfall"]
    total = max(sum(step["ns"] for step in steps), 1)
    left, right = 210, 790
    scale = (right - left) / total
    body = [_row(0, word("calendar", language), "c-planned", left, right - left, total, None, language)]
    at = float(right)
    for k, step in enumerate(steps, 1):
        wide = step["ns"] * scale
        at -= wide
        kind = f"c-{GROUP[step['step']]}"
        # A step below zero (more parts than the time allows) is drawn to the right, where it is too much.
        body.append(
            _row(
                k,
                word(step["step"], language),
                kind,
                min(at, at + wide),
                abs(wide),
                step["ns"],
                step["parts"],
                language,
            )
        )
    return frame(28 * (len(steps) + 1) + 6, word("waterfall", language), body)


def _row(k: int, name: str, kind: str, x: float, wide: float, ns: int, parts: float | None, language: str) -> str:
    y = 4 + 28 * k
    tail = f"{hours_of(ns, language)} h"
    count = "" if parts is None else f"{number(parts, 0, language)} {word('parts', language)}"
    return (
        label(0, y + 16, cut(name, 28))
        + f'<rect class="{kind}" data-ns="{ns}" x="{x:.3f}" y="{y}" width="{wide:.3f}" height="21"/>'
        + label(870, y + 16, tail, anchor="end")
        + label(1000, y + 16, count, anchor="end", soft=True)
    )


def charged(report: dict[str, Any], language: str) -> str:
    """The same with waits charged to the station that stood."""
    return pareto(report, language, name="charged")


def pareto(report: dict[str, Any], language: str, most: int = 12, name: str = "pareto") -> str:
    """The longest losses; the table beside it has them all."""
    losses: Sequence[dict[str, Any]] = [one for one in report[name] if one["ns"]][:most]
    longest = max((one["ns"] for one in losses), default=1)
    body = []
    for k, one in enumerate(losses):
        y = 4 + 28 * k
        # Who waits owes no reason: of a stop one is missing.
        bare = "no_reason" if one["class"] in _OWES else one["class"]
        reason = reason_said(one["reason"], report["labels"], language)
        said = f"{one['station']}: {reason or word(bare, language)}"
        wide = 320 * one["ns"] / longest
        body.append(label(0, y + 16, cut(said, 48)))
        kind = f'class="c-{GROUP[one["class"]]}" data-ns="{one["ns"]}"'
        body.append(f'<rect {kind} x="360" y="{y}" width="{wide:.3f}" height="21"/>')
        body.append(label(700, y + 16, word(one["class"], language), soft=True))
        body.append(label(935, y + 16, f"{minutes_of(one['ns'], language)} min", anchor="end"))
        body.append(label(1000, y + 16, f"{one['count']}×", anchor="end", soft=True))
    return frame(28 * len(losses) + 6, word(name, language), body)
