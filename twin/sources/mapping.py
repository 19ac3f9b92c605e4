"""Mappings: what the columns of a CSV file, or the items of an SHDR stream, mean as events. Data, never code."""

import re
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from kernels.codes import HEARTBEAT, MEASURE, STATE
from twin.events.declare import NEEDS_STATION
from twin.plant.locate import Path as KeyPath
from twin.plant.model import Plant
from twin.plant.problem import PlantError, Report, hint
from twin.plant.read import Node, how, read
from twin.plant.toml_file import parsed, text_of
from twin.sources import mapping_parts as parts
from twin.sources.mapping_model import (
    CountRule,
    CsvMapping,
    Document,
    EventRule,
    Mapping,
    MappingError,
    MeasureRule,
    OrderRule,
    ProductRule,
    ShdrMapping,
    TableForm,
    TimeRule,
)
from twin.sources.mapping_shape import CSV, EVENT, FIELDS, SHDR, TABLE_FORM
from twin.sources.paces import PACES
from twin.sources.template import Template
from twin.sources.time_format import TimeFormat
from twin.sources.values import Numbers

__all__ = ["CsvMapping", "EventRule", "Mapping", "MappingError", "OrderRule", "ShdrMapping", "check", "load", "loads"]

_EVENT_KEYS: Final = {key.name: key for key in EVENT.keys}
_EVERY_TYPE: Final = ("type", "when", "station", "time")
# Keys of a rule that are no fields of its event.
_MORE: Final = {"state": ("until", "otherwise"), "order": PACES, "product": (*PACES, "of")}
# What a constant may hold, filled in when a file is opened.
_LATER: Final = re.compile(r"\{(file(\.\w+)?|folder|sheet|station)\}")


def load(path: Path | str, plant: Plant | None = None) -> Mapping:
    """Read a mapping, and compare its constants with the plant when one is given. Raises MappingError."""
    path = Path(path)
    try:
        text = text_of(path, "mapping")
    except PlantError as error:
        raise MappingError(error.problems) from error
    mapping = loads(text, str(path))
    if plant is not None:
        check(mapping, plant)
    return mapping


def loads(text: str, name: str = "mapping") -> Mapping:
    """Read a mapping from its text. Raises MappingError."""
    try:
        data = parsed(text, name)
    except PlantError as error:
        raise MappingError(error.problems) from error
    document = Document(name, text, data)
    report = Report()
    shdr = data.get("format") == "shdr"
    root = read(SHDR if shdr else CSV, data, (), report)
    mapping = _shdr(root, document) if shdr else _csv(root, document)
    document.raise_if_any(report)
    return mapping


def _csv(root: Node, document: Document) -> CsvMapping:
    station, seq = parts.text(root["station"]), parts.number(root["seq"])
    form = _form(root["csv"] or read(TABLE_FORM, {}, ("csv",), root.report))
    when = root["time"]
    time = TimeRule((), TimeFormat()) if when is None else parts.time_rule(when, form.numbers)
    hold = root["sample"] and root["sample"]["hold"]
    order = root["order"] and _order(root["order"], document, form.numbers, time, station)
    events = tuple(_event(node, form.numbers, time) for node in root["event"])
    for node, rule in zip(root["event"], events, strict=True):
        if station is None and rule.station is None and NEEDS_STATION[rule.type] and not _wide(node, document):
            root.problem("station", "is missing: states, counts, cycles and buffers belong to a station; add it")
            break
    if not events and order is None:
        root.problem("event", "is missing: without a rule ([[event]]) the file gives no events")
    states = [rule for rule in events if rule.type == STATE]
    if len({(rule.until is None, rule.otherwise) for rule in states}) > 1:
        root.problem("event", "either all states have `until`, with one `otherwise`, or none has")
    if seq is not None and seq.column is None:
        root.problem("seq", "must be { column = ... }: the number that the source gave the row")
    row = () if root["row"] is None else parts.columns(root["row"])
    if row and seq is not None:
        root.problem("row", "`seq` tells the rows apart already; remove one")
    if hold is not None:
        timed = any(rule.time or rule.until for rule in events) or (order is not None and order.time is not None)
        for key, used in (("seq", seq is not None), ("row", bool(row)), ("event", timed)):
            if used:
                what = "`time` and `until` are" if key == "event" else "it is"
                root.problem(key, f"{what} for rows that are events; samples are told apart by their time")
    return CsvMapping(
        document,
        time,
        parts.text(root["line"]) or Template(""),
        station,
        events,
        order,
        hold,
        (root["sample"] and root["sample"]["tolerance"]) or 0,
        root["heartbeat_every"] or 0,
        form,
        bool(when and when["sort"]),
        seq,
        row,
        parts.conditions(root["keep"]),
        parts.conditions(root["ignore"]),
        root["file"],
        root["stations"],
    )


def _wide(node: Node, document: Document) -> bool:
    """Whether a table names columns of single stations."""
    data: Any = document.data
    for step in node.path:
        data = data[step]
    return "{station}" in str(data)


def _order(node: Node, document: Document, numbers: Numbers, time: TimeRule, station: Template | None) -> OrderRule:
    of_station, wide = node["of"] == "station", _wide(node, document)
    product, paces = parts.text(node["product"]), parts.paces(node)
    begin, until = _event_time(node["time"], numbers, time), _event_time(node["until"], numbers, time)
    if until is not None and begin is None:
        node.problem("until", "needs `time`: when the order's work of a row began")
    if wide and not of_station:
        node.problem("of", 'columns of single stations hold orders of theirs; write of = "station"')
    if wide and begin is not None:
        node.problem("time", "orders in columns of single stations are those of the rows; remove this")
    if of_station and station is None and not wide:
        node.problem("of", "needs to know which station a row is of; add `station`")
    if paces and product is None:
        node.problem("product", f"is missing: {next(iter(paces))} is that of a product")
    ident = parts.text(node["id"]) or Template("")
    return OrderRule(ident, product, parts.number(node["quantity"]), of_station, begin, until, paces)


def _form(node: Node) -> TableForm:
    header, names, widths = node["header"] is not False, node["columns"] or (), node["widths"] or ()
    if not header and not names:
        node.problem("columns", "is missing: without a header the columns need names, in the file's order")
    if header and names:
        node.problem("columns", "the header names the columns; remove this, or set header = false")
    if widths and names and len(widths) != len(names):
        node.problem("widths", f"{len(widths)} widths for {len(names)} columns; write one for each")
    return TableForm(
        node["delimiter"] or ",",
        node["quote"] or '"',
        node["encoding"] or "utf-8",
        header,
        names,
        node["skip"],
        node["comment"] or "",
        widths,
        node["sheets"] or (),
        parts.numbers(node),
        frozenset(node["blank"] or ()),
    )


def _event(node: Node, numbers: Numbers, time: TimeRule) -> EventRule:
    kind, station = node["type"], parts.text(node["station"])
    own, until = _event_time(node["time"], numbers, time), None
    if kind is None:  # its fields cannot be judged
        return EventRule(HEARTBEAT, (), {}, station)
    code, declared = FIELDS[kind]
    allowed = {*_EVERY_TYPE, *declared, *_MORE.get(kind, ())}
    for name in sorted(node.given & _EVENT_KEYS.keys() - allowed):
        node.problem(name, f"belongs to no {kind}; remove it")
    fields = {}
    for name, (required, number) in declared.items():
        template = parts.number(node[name]) if number else parts.text(node[name])
        if template is not None:
            fields[name] = template
        elif required and name not in node.given:
            node.problem(name, f"is missing; add {how(_EVENT_KEYS[name])}")
    if kind == "state":
        until = _event_time(node["until"], numbers, time)
        if "otherwise" in node.given and "until" not in node.given:
            node.problem("otherwise", "needs `until`: it is the state outside of the intervals")
    paces = parts.paces(node) if kind in ("order", "product") else {}
    fields |= paces
    of_line = kind == "product" and node["of"] == "line"
    if of_line and station is not None:
        node.problem("of", "a `station` of its own says where it holds; remove one")
    if kind == "product":
        _has_pace(node)
    elif paces and "product" not in node.given:
        node.problem("product", f"is missing: {next(iter(paces))} is that of a product")
    if kind == "count":
        running = {"counter", "value"} & fields.keys()
        made = {"good", "scrap", "rework"} & fields.keys()
        if len(running) == 1 or bool(running) == bool(made):
            node.problem("", "a count has either counter and value, or good, scrap, rework (at least one)")
        for name in sorted({"unit", "defect"} & fields.keys() if running else ()):
            node.problem(name, "is of parts, and a running counter does not say which; remove it")
    for name in ("phase", "action"):
        if name in fields:
            parts.among(node, name, fields[name], ("start", "end"))
    return EventRule(
        code, parts.conditions(node["when"]), fields, station, own, until, node["otherwise"] or "unknown", of_line
    )


def _has_pace(node: Node) -> None:
    if not node.given & set(PACES):
        node.problem("", "a product has an ideal_cycle, a rate or a factor (at least one)")


def _event_time(node: Node | None, numbers: Numbers, base: TimeRule) -> TimeRule | None:
    return None if node is None else parts.time_rule(node, numbers, base)


def _shdr(root: Node, document: Document) -> ShdrMapping:
    counts = []
    for node in root["count"]:
        if "counter" in node.given and "parts" in node.given:
            node.problem("parts", "a running counter's quality stands in the plant; remove this or `counter`")
        counts.append(CountRule(node["item"] or "", node["counter"], node["parts"] or "good"))
    product, node = None, root["product"]
    if node is not None:
        _has_pace(node)
        product = ProductRule(node["item"] or "", parts.paces(node, "item"), node["of"] == "line")
    state = root["state"]
    return ShdrMapping(
        document,
        root["line"] or "",
        root["station"] or "",
        (state and state["item"]) or "",
        (state and state["words"]) or {},
        root["mode"] and root["mode"]["item"],
        (root["reason"] and root["reason"]["items"]) or (),
        tuple(counts),
        root["heartbeat_every"] or 0,
        root["zone"],
        root["file"],
        tuple(MeasureRule(m["item"] or "", m["measure"] or "", m["scale"] or Fraction(1)) for m in root["measure"]),
        product,
    )


def check(mapping: Mapping, plant: Plant) -> None:
    """Compare what a mapping names outright with the plant. Raises MappingError.

    What it takes from the log itself can only be judged row by row, what it takes from the file's name file by file.
    """
    report = Report()
    lines = {line.id: line for line in plant.lines}
    name = mapping.line if isinstance(mapping, ShdrMapping) else mapping.line.constant
    if name is not None and not _LATER.search(str(name)):
        if name not in lines:
            report.add(("line",), f'line "{name}" is not in the plant{hint(str(name), list(lines))}')
        else:
            stations = {station.id: station for station in lines[str(name)].stations}
            for path, station in _stations(mapping):
                if station in stations:
                    _check_station(mapping, stations[station], path, report)
                elif not _LATER.search(station):
                    why = f'station "{station}" is not in line "{name}"{hint(station, list(stations))}'
                    report.add((*path, "station"), why)
            if isinstance(mapping, CsvMapping) and mapping.station is None:
                measures = [measure.id for measure in lines[str(name)].measures]
                for i, rule in enumerate(mapping.events):
                    if rule.station is None:
                        _check_measure(("event", i, "measure"), rule, measures, f'line "{name}"', report)
    mapping.document.raise_if_any(report)


def _stations(mapping: Mapping) -> list[tuple[KeyPath, str]]:
    """The stations named outright, and where: the mapping's own at (), an event's at its path."""
    if isinstance(mapping, ShdrMapping):
        return [((), mapping.station)]
    named: list[tuple[KeyPath, Template | None]] = [((), mapping.station)]
    named += [(("event", i), rule.station) for i, rule in enumerate(mapping.events)]
    return [(place, str(one.constant)) for place, one in named if one is not None and one.constant is not None]


def _check_station(mapping: Mapping, station: Any, place: KeyPath, report: Report) -> None:
    """What the rules of this station name: those of the event at `place`, or of all without a station of their own."""
    counters = [counter.id for counter in station.counters]
    measures = [measure.id for measure in station.measures]
    named: list[tuple[KeyPath, str]] = []
    words: list[tuple[KeyPath, str]] = []
    if isinstance(mapping, ShdrMapping):
        named = [(("count", i, "counter"), rule.counter) for i, rule in enumerate(mapping.counts) if rule.counter]
        words = [(("state", "words", source), word) for source, word in mapping.states.items()]
        for i, one in enumerate(mapping.measures):
            if one.measure not in measures:
                _no_measure(("measure", i, "measure"), one.measure, measures, f'station "{station.id}"', report)
    else:
        for i, rule in enumerate(mapping.events):
            if (place != ("event", i)) if place else (rule.station is not None):
                continue
            _check_measure(("event", i, "measure"), rule, measures, f'station "{station.id}"', report)
            for key, found in (("counter", named), ("state", words)):
                template = rule.fields.get(key)
                if template is not None and template.constant is not None:
                    found.append((("event", i, key), str(template.constant)))
            if rule.until is not None:
                words.append((("event", i, "otherwise"), rule.otherwise))
    for path, counter in named:
        if counter not in counters:
            report.add(path, f'counter "{counter}" is not declared at station "{station.id}"{hint(counter, counters)}')
    for path, word in words:
        if word not in station.states and word != "unknown":
            report.add(path, f'state "{word}" is not known at station "{station.id}"{hint(word, list(station.states))}')


def _check_measure(path: KeyPath, rule: EventRule, known: list[str], where: str, report: Report) -> None:
    template = rule.fields.get("measure") if rule.type == MEASURE else None
    name = None if template is None or template.constant is None else str(template.constant)
    if name is not None and not _LATER.search(name) and name not in known:
        _no_measure(path, name, known, where, report)


def _no_measure(path: KeyPath, name: str, known: list[str], where: str, report: Report) -> None:
    report.add(path, f'measure "{name}" is not declared at {where}{hint(name, known)}')
