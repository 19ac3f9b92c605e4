"""How a reason, a duration and an alert are said, to people: the one place for page, report, mail and notices.

Rows keep ids and numbers. Labels of reasons are those of the newest plant file: ids are never used again.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from kernels.fold import layout as at
from twin.alert_kinds import BOTTLENECK_MOVED, DATA_QUALITY, DOWN, IDEAL_CYCLE_SUSPECT, IDLE_USAGE, OEE_LOW, STALE
from twin.line.doubts import FACTS
from twin.plant.model import Reason
from twin.report.german import in_german
from twin.report.words import LANGUAGES, WORDS, number, percent, significant, word

Labels = Mapping[str, Mapping[str, str]]  # id of a reason -> language -> label
_S: Final = 10**9
_MIN: Final = 60 * _S
_HOUR: Final = 60 * _MIN
_DAY: Final = 24 * _HOUR


def labels_of(reasons: Iterable[Reason]) -> dict[str, dict[str, str]]:
    """Of every reason of a plant, those that are retired included: what was said with them is still shown."""
    return {one.id: dict(sorted(one.label.items())) for one in reasons if one.label}


def reason_said(reason: str | None, labels: Labels, language: str) -> str | None:
    """The label in this language, else in another one, else the id: a machine's reason has no label."""
    if reason is None:
        return None
    known = labels.get(reason, {})
    return next((known[name] for name in (language, *LANGUAGES) if name in known), next(iter(known.values()), reason))


def coded(group: str, code: str, language: str) -> str:
    """A code of a closed list (`alert`, `refused`) in words; one of a later version stands as it is."""
    return word(f"{group}_{code}", language) if f"{group}_{code}" in WORDS else code


def lasting(ns: int, language: str) -> str:
    """A duration as people say it, rounded at its last part: "0.4 s", "12 min 05 s", "5 h 06 min", "3 d 4 h"."""
    if ns < 0:
        return f"−{lasting(-ns, language)}"
    if ns < 9_950_000_000:
        text = number(ns / _S, 1, language)
        return f"{text.removesuffix('.0').removesuffix(',0')} s"
    if (s := _rounded(ns, _S)) < 60:
        return f"{s} s"
    if s < 3_600:
        return f"{s // 60} min" + (f" {s % 60:02d} s" if s % 60 else "")
    if (minutes := _rounded(ns, _MIN)) < 48 * 60:
        return f"{minutes // 60} h" + (f" {minutes % 60:02d} min" if minutes % 60 else "")
    hours = _rounded(ns, _HOUR)
    return f"{hours // 24} d" + (f" {hours % 24} h" if hours % 24 else "")


def _rounded(ns: int, unit: int) -> int:
    return (ns + unit // 2) // unit


def alert_said(row: Mapping[str, Any], language: str) -> str:
    """What an alert says beyond its kind, with its value and limit in units: of a row of `alerts`, or of a record of
    the topic."""
    kind, cleared = row["kind"], row["action"] == "cleared"
    value, limit, detail = row.get("value"), row.get("limit"), row.get("detail")
    if kind in (DOWN, STALE) and value is not None:
        said = word(f"said_{kind}{'_cleared' if cleared else ''}", language).format(_seconds(value, language))
        return said if limit is None else f"{said} ({word('limit', language)} {_seconds(limit, language)})"
    if kind in (OEE_LOW, IDEAL_CYCLE_SUSPECT) and value is not None:
        name = "oee" if kind == OEE_LOW else "performance"
        said = f"{word(name, language)} {percent(value, language)}"
        said += "" if limit is None else f" ({word('limit', language)} {percent(limit, language)})"
        window = (detail or "").removeprefix("window ") if kind == OEE_LOW else ""
        return f"{said}, {word('window', language)} {window}" if window else said
    if kind == BOTTLENECK_MOVED:
        before = (detail or "").removeprefix("from ")
        said = f"{before} → {row.get('station') or '–'}"
        return said if value is None else f"{said} ({word('share', language)} {percent(value, language, 0)})"
    said = detail or ""
    said = in_german(said) if language == "de" else said
    if kind == IDLE_USAGE and value is not None and limit is not None:
        return f"{said}; {_seconds(value, language)} ({word('limit', language)} {_seconds(limit, language)})"
    if kind == DATA_QUALITY:
        return _doubt(row, said, language)
    if value is not None:
        said += f"; {significant(value, language)}"
        said += "" if limit is None else f" ({word('limit', language)} {significant(limit, language)})"
    return said


def _seconds(value: float, language: str) -> str:
    return lasting(round(value * _S), language)


def _doubt(row: Mapping[str, Any], said: str, language: str) -> str:
    """A clock that is behind says by how much, anything else how often."""
    value = row.get("value")
    if value is None:
        return said
    if row.get("subject") == FACTS[at.TOLD_SKEW][0]:
        return f"{_seconds(value, language)}: {said}"
    return f"{number(value, 0, language)}×: {said}"


def utc_said(instant: str) -> str:
    """An RFC 3339 text of UTC to the second, for messages that know no zone."""
    return f"{instant[:10]} {instant[11:19]} UTC"
