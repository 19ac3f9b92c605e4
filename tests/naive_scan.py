"""Slow, obvious twin of `kernels.read.plain_json`: what a plain record is, as regular expressions, and what it says."""

import re
from typing import Any

from twin.events.declare import FIELDS, INT64_MAX, TYPE_CODE, WIRE, YEAR_2200_NS
from twin.time.rfc3339 import parse_rfc3339

_S = r"[ \t\r\n]*"
_TEXT = r'"[^"\\\[{\x00-\x1f]*"'
_WHOLE = r"0|[1-9][0-9]*"
_VALUE = rf"{_TEXT}|-?(?:{_WHOLE})(?:\.[0-9]{{1,19}})?|true|false|null"
_PAIR = re.compile(rf"{_S}({_TEXT}){_S}:{_S}({_VALUE}){_S}")
_OBJECT = re.compile(rf"{_S}\{{((?:{_PAIR.pattern},)*{_PAIR.pattern})\}}{_S}")


def naive_scan(record: bytes) -> dict[str, Any] | None:
    """The fields of a plain event by name, without those that are null or of another type; None: not plain."""
    try:
        found = _OBJECT.fullmatch(record.decode())
    except UnicodeDecodeError:
        return None
    if found is None:
        return None
    fields: dict[str, str] = {}
    for name, value in _PAIR.findall(found[1]):
        if value[0] in "-0123456789" and int(value.lstrip("-").partition(".")[0]) > INT64_MAX:
            return None
        if name[1:-1] in WIRE and name[1:-1] in fields:
            return None
        fields[name[1:-1]] = value
    code = TYPE_CODE.get(fields.pop("type", "null")[1:-1])
    if code is None:
        return None
    event: dict[str, Any] = {"type": code}
    for field in FIELDS[code]:
        value = fields.get(field.name, "null")
        if value == "null":
            if field.required:
                return None
            continue
        is_text, is_whole = value[0] == '"', re.fullmatch(_WHOLE, value) is not None
        match field.kind:
            case "text" if is_text and field.minimum <= len(value[1:-1].encode()) <= field.maximum:
                event[field.name] = value[1:-1]
            case "choice" if is_text and value[1:-1] in field.choices:
                event[field.name] = field.choices.index(value[1:-1])
            case "integer" | "time" if is_whole and int(value) <= field.maximum:
                event[field.name] = int(value)
            case "time" if is_text and (ns := _instant(value[1:-1])) is not None:
                event[field.name] = ns
            case _:
                return None
    return event


def _instant(text: str) -> int | None:
    try:
        ns = parse_rfc3339(text)
    except ValueError:
        return None
    return ns if "1970" <= text[:4] < "2200" and 0 <= ns < YEAR_2200_NS else None
