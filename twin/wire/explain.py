"""Why an input is refused: the slow, exact reading that the fast decoders fall back on.

The fast decoders only know *that* something is wrong. Here one event is read field by field against the
declarations and the plant, until the first fault is found.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from twin.decimals import written
from twin.events.block import Rejected
from twin.events.declare import FIELDS, JSON_NAME, MAX_TEXT, TYPE_CODE, YEAR_2200_NS, Field
from twin.events.pace import pace_of
from twin.events.reasons import Name
from twin.measures.catalogue import defects
from twin.time.rfc3339 import out_of_range, parse_rfc3339
from twin.wire.entries import is_note
from twin.wire.lookup import Lookup
from twin.wire.measured import problem_of_n, value_of

Fault = tuple[Name, str]
_HUGE_DIGITS: Final = 30


class _Written(float):
    """A number with a fraction or an exponent, and how it was written."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


class _NotJsonError(ValueError):
    pass


def _no_constant(name: str) -> object:
    raise _NotJsonError(f"{name} is not JSON")


def _integer(digits: str) -> int:
    # Python refuses to convert thousands of digits; anything this long is out of range anyway.
    return int(digits[:_HUGE_DIGITS])


_DECODER: Final = json.JSONDecoder(parse_constant=_no_constant, parse_int=_integer, parse_float=_Written)
_SPACE: Final = " \t\r\n"
_HALF_PAIR: Final = re.compile(rb"\\u[dD][89a-fA-F]")


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise UnicodeError(f"invalid UTF-8 at byte {error.start}") from error


def elements(value: bytes) -> list[bytes]:
    """The elements of a JSON array, each as its bytes.

    For an array the fast splitter refuses although its syntax is sound (a lone surrogate in one element).
    Raises what `json` raises.
    """
    text = _text(value)
    found: list[bytes] = []
    at = _skip(text, 0)
    if text[at : at + 1] != "[":
        raise _NotJsonError("not an array")
    at = _skip(text, at + 1)
    while True:
        _, end = _DECODER.raw_decode(text, at)
        found.append(text[at:end].encode())
        at = _skip(text, end)
        mark = text[at : at + 1]
        if mark == "]" and _skip(text, at + 1) == len(text):
            return found
        if mark != ",":
            raise _NotJsonError(f"expected , or ] at character {at}")
        at = _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at


def json_event(value: bytes, offset: int, lookup: Lookup) -> Rejected:
    """Refuse the JSON of one event, with the first reason found."""
    event: Any = None
    try:
        event = _DECODER.decode(_text(value))
    except UnicodeError as error:
        return Rejected("bad_utf8", str(error), offset, value)
    except RecursionError:
        return Rejected("too_large", "nested too deep", offset, value)
    except ValueError as error:
        detail = f"not JSON: {error}" if value.strip() else "empty record"
        return Rejected("not_json", detail, offset, value)
    reason, detail = fault(named_alike(event), lookup) or _strict_fault(value)
    return Rejected(reason, detail, offset, value, *claim(event, lookup))


def named_alike(event: object) -> object:
    """With the fields of a measure called as everywhere but in JSON."""
    if not isinstance(event, dict) or event.get("type") != "measure":
        return event
    return {**event, **{name: event.get(of_json) for name, of_json in JSON_NAME.items()}}


def _strict_fault(value: bytes) -> Fault:
    """What the strict decoder refuses and the lenient one here reads."""
    if _HALF_PAIR.search(value):
        return "bad_utf8", "a text holds half a surrogate pair, which is no text"
    return "not_json", "not JSON as an event has it; a key given twice?"


def claim(event: object, lookup: Lookup) -> tuple[str | None, int | None]:
    """The line and the time (ns) an event claims, where they can be read and believed."""
    if not isinstance(event, Mapping):
        return None, None
    line, ts = event.get("line"), event.get("ts")
    if isinstance(ts, str):
        try:
            ts = parse_rfc3339(ts)
        except ValueError:
            ts = None
    known_line = isinstance(line, str) and len(line) <= MAX_TEXT and not _surrogates(line)
    known_ts = type(ts) is int and lookup.earliest_ns <= ts < YEAR_2200_NS
    return line if known_line else None, ts if known_ts else None


def fault(event: object, lookup: Lookup) -> Fault | None:
    """The first fault of a decoded event (reason code and a sentence), or None."""
    if not isinstance(event, Mapping):
        return "wrong_type", f"an event is a JSON object, this is {_kind(event)}"
    name = event.get("type")
    if name is None:
        return "missing_field", f"type is missing: one of {_some(TYPE_CODE)}"
    if not isinstance(name, str):
        return "wrong_type", f"type is {_kind(name)}, not a text"
    if name not in TYPE_CODE:
        return "unknown_type", f"type {_show(name)} is unknown: one of {_some(TYPE_CODE)}"
    for field in FIELDS[TYPE_CODE[name]]:
        if found := _field_fault(field, event.get(field.name), lookup.earliest_ns):
            return found
    return _form_fault(name, event) or _plant_fault(name, event, lookup)


def _surrogates(text: str) -> bool:
    return any("\ud800" <= c <= "\udfff" for c in text)


def _field_fault(field: Field, value: object, earliest_ns: int) -> Fault | None:
    name = field.name
    if value is None:
        shown = JSON_NAME.get(name, name)
        return ("missing_field", f"{shown} is missing") if field.required else None
    if field.kind == "decimal":
        return None if _decimal_text(value) is not None else ("wrong_type", f"value is {_kind(value)}, not a number")
    if field.kind == "time" and isinstance(value, str):
        try:
            value = parse_rfc3339(value)
        except ValueError as error:
            return "bad_time", f"{name} {_show(value)}: {error}"
    if field.kind in ("time", "integer"):
        if type(value) is not int:
            wanted = "an integer (ns since 1970) or RFC 3339 text" if field.kind == "time" else "an integer"
            return "wrong_type", f"{name} is {_kind(value)}, not {wanted}"
        if field.kind == "time" and (why := out_of_range(value, earliest_ns)):
            return "bad_time", f"{name} {why}"
        if not field.minimum <= value <= field.maximum:
            return "impossible_value", f"{name} {_show(value)} is not in {field.minimum}..{field.maximum}"
        return None
    if not isinstance(value, str):
        return "wrong_type", f"{name} is {_kind(value)}, not a text"
    if _surrogates(value):
        return "bad_utf8", f"{name} {_show(value)} holds half a surrogate pair, which is no text"
    if field.kind == "choice":
        if value not in field.choices:
            return "unknown_field_value", f"{name} {_show(value)} is unknown: one of {_some(field.choices)}"
        return None
    if len(value) > field.maximum:
        return "too_large", f"{name} has {len(value)} characters, at most {field.maximum} are taken"
    if len(value) < field.minimum:
        return "impossible_value", f"{name} is empty"
    return None


def _decimal_text(value: object) -> str | None:
    return value.text if isinstance(value, _Written) else str(value) if isinstance(value, Decimal) else written(value)


def _form_fault(name: str, event: Mapping[str, object]) -> Fault | None:
    def given(*names: str) -> list[str]:
        return [n for n in names if event.get(n) is not None]

    if name == "count":
        parts, counter = given("good", "scrap", "rework"), given("counter", "value")
        if parts and counter:
            return "impossible_value", f"{parts[0]} and {counter[0]}: a count is parts or a counter, not both"
        if not parts and not counter:
            return "missing_field", "a count has good, scrap or rework, or counter and value"
        if len(counter) == 1:
            return "missing_field", f"{counter[0]} is given alone: a counter has counter and value"
        if event.get("defect") is not None and not any(event.get(n) for n in ("scrap", "rework")):
            return "missing_field", "a count with a defect has scrap or rework: the parts that have it"
    if event.get("note") is not None and not is_note(str(event["note"])):
        return (
            "wrong_type",
            "note is no SHA-256 as 64 hexadecimal digits: hash the note with a salt, and keep both apart",
        )
    if name in ("order", "product"):
        return _pace_fault(name, event, given)
    return _correction_fault(event, given) if name == "correction" else None


def _pace_fault(name: str, event: Mapping[str, Any], given: Callable[..., list[str]]) -> Fault | None:
    if name == "product" and not given("ideal_cycle", "rate", "factor"):
        return "missing_field", "a product has an ideal_cycle or a rate, or a factor"
    if event.get("product") is None and (told := given("ideal_cycle", "rate", "factor")):
        return "missing_field", f"product is missing, of which {told[0]} is said"
    try:
        pace_of(event.get("ideal_cycle"), event.get("rate"), event.get("factor"))
    except ValueError as error:
        return "impossible_value", f"of product {_show(event.get('product'))}: {error}"
    return None


def _correction_fault(event: Mapping[str, object], given: Callable[..., list[str]]) -> Fault | None:
    verb, told, parts = event.get("verb"), given("reason", "state"), given("good", "scrap", "rework")
    if verb == "undo":
        if told or parts:
            return "impossible_value", f"{(told + parts)[0]} of what never was: an undo says nothing else of the event"
        return None
    if verb == "stop":
        if parts:
            return "impossible_value", f"{parts[0]} of a stop: a stop has a reason and a state"
        return None if told else ("missing_field", "a correction of a stop has a reason or a state")
    if not told and not parts:
        return "missing_field", "a correction has at least one of reason, state, good, scrap, rework"
    return None


def _plant_fault(name: str, event: Mapping[str, Any], lookup: Lookup) -> Fault | None:
    line, station = event["line"], event.get("station")
    if (line, None) not in lookup.places:
        return "unknown_line", f"line {_show(line)} is not in the plant: {_some(x.id for x in lookup.plant.lines)}"
    index = int(lookup.line_of[lookup.places[line, None]])
    if (line, station) not in lookup.places:
        known = _some(s.id for s in lookup.plant.lines[index].stations)
        return "unknown_station", f"line {_show(line)} has no station {_show(station)}: {known}"
    at = int(lookup.station_of[lookup.places[line, station]])
    if name == "measure":
        return _measure_fault(event, at, index, lookup)
    if name == "buffer":
        return _bounded(lookup.buffer_max[index], event, "buffer", "level", f"line {_show(line)}")
    where = f"station {_show(station)} of line {_show(line)}"
    if name == "count" and event.get("counter") is not None:
        return _bounded(lookup.counter_max[at], event, "counter", "value", where)
    cause = event.get("cause")
    if cause is not None and (line, cause) not in lookup.places:
        known = _some(s.id for s in lookup.plant.lines[index].stations)
        return "unknown_station", f"cause {_show(cause)}: line {_show(line)} has no such station: {known}"
    defect = event.get("defect")
    if name == "count" and defect is not None and defect not in (known_defects := defects(lookup.plant)[at]):
        return "unknown_measure", f"{where} has no defect {_show(defect)}: {_some(known_defects)}"
    state = event.get("state")
    if name in ("state", "correction") and state is not None and state not in lookup.states[at]:
        return "unknown_state", f"{where} has no state {_show(state)}: {_some(lookup.states[at])}"
    return None


def _measure_fault(event: Mapping[str, Any], station: int, line: int, lookup: Lookup) -> Fault | None:
    plant = lookup.plant
    measures = plant.stations[station].measures if station >= 0 else plant.lines[line].measures
    known = {one.id: one for one in measures}
    named = event["measure"]
    if named not in known:
        where = f"line {_show(event['line'])}" if station < 0 else f"station {_show(event['station'])}"
        return "unknown_measure", f"{where} has no measure {_show(named)}: {_some(known)}"
    text = _decimal_text(event["measured"]) or ""
    try:
        value = value_of(known[named], text)
    except ValueError as error:
        return "impossible_value", f"value {_show(text)} of measure {_show(named)} {error}"
    if why := problem_of_n(known[named], value, -1 if event.get("n") is None else event["n"]):
        return "impossible_value", f"measure {_show(named)} {why}"
    return None


def _bounded(limits: dict[str, int], event: Mapping[str, Any], what: str, amount: str, where: str) -> Fault | None:
    named, value = event[what], event[amount]
    if named not in limits:
        reason: Name = "unknown_buffer" if what == "buffer" else "unknown_counter"
        return reason, f"{where} has no {what} {_show(named)}: {_some(limits)}"
    if value > limits[named]:
        return "impossible_value", f"{amount} {value} of {what} {_show(named)} is over {limits[named]}"
    return None


def _kind(value: object) -> str:
    names = {dict: "an object", list: "an array", str: "a text", bool: "true or false", int: "an integer"}
    if value is None:
        return "null"
    if isinstance(value, float):
        return f"{value!r}, not a whole number written as one" if value.is_integer() else "a number with a fraction"
    return names.get(type(value), type(value).__name__)


def _show(value: object, longest: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= longest else f"{text[:longest]}..."


def _some(names: Iterable[str], most: int = 8) -> str:
    known = list(names)
    shown = ", ".join(_show(name) for name in known[:most]) or "none"
    return f"{shown}, ... ({len(known)})" if len(known) > most else shown
