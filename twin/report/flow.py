"""The flow of a line as SVG: stations in their order, what stands between them, who waited for whom."""

from collections.abc import Sequence
from typing import Any, Final

from twin.plant.model import Line
from twin.plant.topology import flow_order, links
from twin.report.said import lasting, reason_said
from twin.report.svg import GROUP, cut, frame, label
from twin.report.words import minutes_of, number, percent, word

MOST_CHAINS: Final = 8
_WIDE: Final = 150
_GAP: Final = 60
_ROW: Final = 150
_EACH: Final = 5
_CLASSES: Final = ("running", "minor_stop", "down", "setup", "starved", "blocked")


def flow_of(line: Line, stations: Sequence[dict[str, Any]], shares: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Plain values. `stations`: figures by station; `shares`: rows of the newest statement on the bottleneck."""
    by = {one["station"]: one for one in stations}
    share = {one["station"]: one for one in shares}
    made = []
    for place in flow_order(line):
        name = line.stations[place].id
        row, path = by[name], share.get(name, {})
        known = {f"{klass}_ns": row[f"{klass}_ns"] for klass in _CLASSES}
        path_of = {key: path.get(key) for key in ("share", "share_low", "share_high")}
        made.append({"station": name, "ns": row["covered_ns"], **known, **path_of})
    return {
        "stations": made,
        "buffers": [
            {"buffer": one.id, "after": list(one.after), "before": list(one.before), "capacity": one.capacity}
            for one in links(line)
        ],
    }


def flow(report: dict[str, Any], language: str) -> str:
    """A box per station: its time by class as a bar, its share of the critical path with the interval; between them
    the buffers with their places."""
    stations = report["flow"]["stations"]
    body: list[str] = []
    for k, one in enumerate(stations):
        x, y = (k % _EACH) * (_WIDE + _GAP - 10), 8 + k // _EACH * _ROW
        body += _box(one, x, y, language)
        if k + 1 < len(stations):
            body += _between(report, one["station"], stations[k + 1]["station"], x, y, k)
    rows = (len(stations) + _EACH - 1) // _EACH
    return frame(rows * _ROW + 10, word("flow", language), body)


def _box(one: dict[str, Any], x: int, y: int, language: str) -> list[str]:
    body = [f'<rect class="k-box" x="{x}" y="{y}" width="{_WIDE}" height="118" rx="5"/>']
    body.append(label(x + 8, y + 20, cut(one["station"], 16)))
    at, total = float(x + 8), max(one["ns"], 1)
    for klass in _CLASSES:
        wide = (_WIDE - 16) * one[f"{klass}_ns"] / total
        if wide > 0:
            body.append(
                f'<rect class="c-{GROUP[klass]}" data-ns="{one[f"{klass}_ns"]}" x="{at:.2f}" y="{y + 28}" '
                f'width="{wide:.2f}" height="16"/>'
            )
            at += wide
    starved, blocked = (minutes_of(one[f"{klass}_ns"], language) for klass in ("starved", "blocked"))
    body.append(label(x + 8, y + 62, f"{word('starved', language)} {starved}", soft=True))
    body.append(label(x + 8, y + 79, f"{word('blocked', language)} {blocked}", soft=True))
    if one["share"] is not None:
        said = f"{word('path', language)} {percent(one['share'], language, 0)}"
        body.append(label(x + 8, y + 96, said))
        if one["share_low"] is not None:
            low, high = (number(100 * one[key], 0, language) for key in ("share_low", "share_high"))
            body.append(label(x + 8, y + 112, f"({low} – {high} %)", soft=True))
    return body


def _between(report: dict[str, Any], one: str, other: str, x: int, y: int, k: int) -> list[str]:
    """The buffer from one station into the next, where the plant file has one."""
    found = next((b for b in report["flow"]["buffers"] if one in b["after"] and other in b["before"]), None)
    if found is None or k % _EACH == _EACH - 1:
        return []
    a, b = x + _WIDE + 4, x + _WIDE + _GAP - 14
    places = "∞" if found["capacity"] is None else str(found["capacity"])
    return [
        f'<path class="k-line" d="M{a} {y + 36}H{b}M{b - 7} {y + 31}L{b} {y + 36}L{b - 7} {y + 41}"/>',
        label((a + b) / 2, y + 24, cut(found["buffer"], 6), anchor="middle", soft=True),
        label((a + b) / 2, y + 56, places, anchor="middle", soft=True),
    ]


def chain_texts(report: dict[str, Any], language: str) -> list[str]:
    """`filler: starved 14 min <- capper: down (jam)`; a wait without one that stood says so."""
    found = []
    for one in report["chains"][:MOST_CHAINS]:
        head = f"{one['station']}: {word(one['class'], language)} {lasting(one['ns'], language)}"
        if one["by"] is None:
            found.append(f"{head} ← {word('nobody_stood', language)}")
        else:
            reason = reason_said(one["by_reason"], report["labels"], language)
            why = f" ({reason})" if reason else ""
            found.append(f"{head} ← {one['by']}: {word(one['by_class'], language)}{why}")
    return found
