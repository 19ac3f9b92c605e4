"""Mappings: what the columns of a CSV file, or the items of an SHDR stream, mean as events. Data, never code."""

import re
from pathlib import Path
from typing import Any, Final

from kernels.codes import HEARTBEAT, MEASURE, STATE
from twin.events.declare import NEEDS_STATION
from twin.plant.locate import Path as KeyPath
from twin.plant.model import Plant
from twin.plant.problem import PlantError, Report, hint
from twin.plant.toml_file import parsed, text_of
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
from twin.sources.mapping_shape import CSV, FIELDS, SHDR
from twin.sources.section import Section
from twin.sources.template import Template
from twin.sources.values import Numbers

__all__ = ["CsvMapping", "EventRule", "Mapping", "MappingError", "OrderRule", "ShdrMapping", "check", "load", "loads"]

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
    root = Section(data, (), report, SHDR if data.get("format") == "shdr" else CSV)
    kind = root.choice("format")
    mapping = _csv(root, document) if kind == "csv" else _shdr(root, document)
    root.finish()
    document.raise_if_any(report)
    return mapping


def _csv(root: Section, document: Document) -> CsvMapping:
    line = root.template("line") or Template("")
    station = root.template("station")
    heartbeat = root.duration("heartbeat_every")
    form = _form(root.section("csv"))
    part = root.section("time")
    time, sort = part.time_rule(form.numbers), part.boolean("sort")
    part.finish()
    hold: int | None = None
    tolerance: int | None = 0
    if "sample" in root.data:
        sample = root.section("sample")
        hold, tolerance = sample.duration("hold"), sample.duration("tolerance")
        sample.finish()
    order = None
    if "order" in root.data:
        part = root.section("order")
        quantity = part.template("quantity")
        ident, product = part.template("id") or Template(""), part.template("product")
        of_station = part.choice("of") == "station"
        begin, until = _event_time(part, "time", form.numbers, time), _event_time(part, "until", form.numbers, time)
        if until is not None and begin is None:
            part.problem("until", "needs `time`: when the order's work of a row began")
        wide = "{station}" in str(part.data)
        if wide and not of_station:
            part.problem("of", 'columns of single stations hold orders of theirs; write of = "station"')
        if wide and begin is not None:
            part.problem("time", "orders in columns of single stations are those of the rows; remove this")
        if of_station and station is None and not wide:
            part.problem("of", "missing: which station a row is of (`station`)")
        paces = part.paces()
        if paces and product is None:
            part.problem("product", f"missing: {next(iter(paces))} is that of a product")
        order = OrderRule(ident, product, quantity, of_station, begin, until, paces)
        part.finish()
    rules = root.sections("event")
    wide_rules = ["{station}" in str(part.data) for part in rules]
    events = tuple(_event(part, form.numbers, time) for part in rules)
    for rule, wide in zip(events, wide_rules, strict=True):
        if station is None and rule.station is None and NEEDS_STATION[rule.type] and not wide:
            root.problem("station", "missing: states, counts, cycles and buffers belong to a station")
            break
    if not events and order is None:
        root.problem("event", "missing: without a rule ([[event]]) the file gives no events")
    states = [rule for rule in events if rule.type == STATE]
    if len({(rule.until is None, rule.otherwise) for rule in states}) > 1:
        root.problem("event", "either all states have `until`, with one `otherwise`, or none has")
    seq = root.template("seq")
    if seq is not None and seq.column is None:
        root.problem("seq", "must be { column = ... }: the number that the source gave the row")
    row = _row_names(root)
    if row and seq is not None:
        root.problem("row", "`seq` tells the rows apart already; remove one")
    if hold is not None:
        timed = any(rule.time or rule.until for rule in events) or (order is not None and order.time is not None)
        for key, used in (("seq", seq is not None), ("row", bool(row)), ("event", timed)):
            if used:
                what = "`time` and `until` are" if key == "event" else "it is"
                root.problem(key, f"{what} for rows that are events; samples are told apart by their time")
    file = root.text("file") or None
    keep, ignore = root.conditions("keep"), root.conditions("ignore")
    stations = root.lookup("stations") or {}
    return CsvMapping(
        document,
        time,
        line,
        station,
        events,
        order,
        hold,
        tolerance or 0,
        heartbeat or 0,
        form,
        sort,
        seq,
        row,
        keep,
        ignore,
        file,
        stations,
    )


def _row_names(root: Section) -> tuple[str, ...]:
    """The columns that name a row at its source: `row = { column = ... }`, or `columns`."""
    part = root.section("row")
    if "row" not in root.data:
        return ()
    names = part.texts("columns")
    if "columns" not in part.data:
        names = (part.text("column", required=True),)
    elif not names:
        part.problem("columns", "must not be empty")
    part.finish()
    return tuple(filter(None, names))


def _form(part: Section) -> TableForm:
    spaces = part.data.get("delimiter") == "spaces"
    if spaces:
        part.data = part.data | {"delimiter": " "}
    delimiter, quote = part.character("delimiter"), part.character("quote")
    encoding, header = part.encoding("encoding"), part.boolean("header")
    names, sheets = part.texts("columns"), part.texts("sheets")
    if not header and not names:
        part.problem("columns", "missing: without a header the columns need names, in the file's order")
    if header and names:
        part.problem("columns", "the header names the columns; remove this, or set header = false")
    widths = part.whole_numbers("widths")
    if widths and names and len(widths) != len(names):
        part.problem("widths", f"{len(widths)} widths for {len(names)} columns")
    skip, comment = part.whole_number("skip"), part.text("comment")
    numbers, blank = part.number_form(), frozenset(part.texts("blank"))
    part.finish()
    return TableForm(
        "spaces" if spaces else delimiter,
        quote,
        encoding,
        header,
        names,
        skip,
        comment,
        widths,
        sheets,
        numbers,
        blank,
    )


def _event(part: Section, numbers: Numbers, time: TimeRule) -> EventRule:
    kind = part.choice("type")
    when, station = part.conditions("when"), part.template("station")
    own, until = _event_time(part, "time", numbers, time), None
    otherwise = "unknown"
    if kind == "state":
        until = _event_time(part, "until", numbers, time)
        otherwise = part.text("otherwise") or "unknown"
        if "otherwise" in part.data and until is None:
            part.problem("otherwise", "needs `until`: it is the state outside of the intervals")
    code, declared = FIELDS.get(kind, (HEARTBEAT, {}))
    if kind not in FIELDS:
        part.data.clear()  # its fields cannot be judged
    fields = {}
    for name, (required, _) in declared.items():
        template = part.template(name, required)
        if template is not None:
            fields[name] = template
    of_line = False
    if kind in ("order", "product"):
        paces = part.paces()
        fields |= paces
        if kind == "product":
            of_line = part.choice("of") == "line"
        if of_line and station is not None:
            part.problem("of", "a `station` of its own says where it holds; remove one")
        if kind == "product" and not paces:
            part.problem("", "a product has an ideal_cycle, a rate or a factor (at least one)")
        elif paces and "product" not in fields:
            part.problem("product", f"missing: {next(iter(paces))} is that of a product")
    if kind == "count":
        running = {"counter", "value"} & fields.keys()
        parts = {"good", "scrap", "rework"} & fields.keys()
        if len(running) == 1 or bool(running) == bool(parts):
            part.problem("", "a count has either counter and value, or good, scrap, rework (at least one)")
        for name in sorted({"unit", "defect"} & fields.keys() if running else ()):
            part.problem(name, "is of parts, and a running counter does not say which; remove it")
    for name, allowed in (("phase", ("start", "end")), ("action", ("start", "end"))):
        if name in fields:
            part.among(name, fields[name], allowed)
    part.finish()
    return EventRule(code, when, fields, station, own, until, otherwise, of_line)


def _event_time(part: Section, key: str, numbers: Numbers, base: TimeRule) -> TimeRule | None:
    section = part.section(key)
    if key not in part.data:
        return None
    rule = section.time_rule(numbers, base)
    section.finish()
    return rule


def _shdr(root: Section, document: Document) -> ShdrMapping:
    line, station, file = root.text("line"), root.text("station"), root.text("file") or None
    heartbeat, zone = root.duration("heartbeat_every"), root.zone("zone")
    state = root.section("state")
    item, states = state.text("item"), state.lookup("words") or {}
    state.finish()
    mode = reasons = None
    if "mode" in root.data:
        part = root.section("mode")
        mode = part.text("item")
        part.finish()
    if "reason" in root.data:
        part = root.section("reason")
        reasons = part.texts("items")
        part.finish()
    counts = []
    for part in root.sections("count"):
        name, counter = part.text("item"), part.text("counter")
        parts = part.choice("parts")
        if counter and "parts" in part.data:
            part.problem("parts", "a running counter's quality stands in the plant; remove this or `counter`")
        part.finish()
        counts.append(CountRule(name, counter or None, parts))  # type: ignore[arg-type] # checked by choice
    measures = []
    for part in root.sections("measure"):
        measures.append(MeasureRule(part.text("item"), part.text("measure"), part.scale()))
        part.finish()
    product = None
    if "product" in root.data:
        part = root.section("product")
        product = ProductRule(part.text("item"), part.paces("item"), part.choice("of") == "line")
        if not product.paces:
            part.problem("", "a product has an ideal_cycle, a rate or a factor (at least one)")
        part.finish()
    return ShdrMapping(
        document,
        line,
        station,
        item,
        states,
        mode,
        reasons or (),
        tuple(counts),
        heartbeat or 0,
        zone,
        file,
        tuple(measures),
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
