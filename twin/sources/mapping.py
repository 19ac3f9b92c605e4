"""Mappings: what the columns of a CSV file, or the items of an SHDR stream, mean as events. Data, never code."""

import re
import tomllib
from collections.abc import Mapping as Dict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from kernels.codes import BUFFER as BUFFER_EVENT
from kernels.codes import COUNT, CYCLE, HEARTBEAT, ORDER, STATE
from twin.events.declare import NEEDS_STATION
from twin.plant.model import Plant
from twin.plant.problem import PlantError, Problem, Report, hint
from twin.sources.section import Section
from twin.sources.template import Condition, Template
from twin.sources.times import TimeFormat

NS: Final = 1_000_000_000
HEARTBEAT_EVERY_NS: Final = 10 * NS
# Every field of an event type: whether it must be there, whether it is a whole number.
FIELDS: Final[dict[str, tuple[int, dict[str, tuple[bool, bool]]]]] = {
    "state": (STATE, {"state": (True, False), "reason": (False, False), "mode": (False, False)}),
    "count": (
        COUNT,
        {
            "counter": (False, False),
            "value": (False, True),
            "good": (False, True),
            "scrap": (False, True),
            "rework": (False, True),
        },
    ),
    "cycle": (CYCLE, {"phase": (True, False), "unit": (False, False), "product": (False, False)}),
    "order": (
        ORDER,
        {"action": (True, False), "order": (True, False), "product": (False, False), "quantity": (False, True)},
    ),
    "buffer": (BUFFER_EVENT, {"buffer": (True, False), "level": (True, True)}),
    "heartbeat": (HEARTBEAT, {}),
}


class MappingError(PlantError):
    """A mapping that cannot be used; every mistake as `file:line: key: message`."""


@dataclass(frozen=True, slots=True)
class Document:
    """The text a mapping was read from, kept so that a later mistake still names its line."""

    name: str
    text: str
    data: dict[str, Any]

    def raise_if_any(self, report: Report) -> None:
        try:
            report.raise_if_any(self.text, self.data, self.name)
        except PlantError as error:
            raise MappingError(error.problems) from None


@dataclass(frozen=True, slots=True)
class EventRule:
    """One event of `type` per row for which every condition holds."""

    type: int
    when: tuple[Condition, ...]
    fields: Dict[str, Template]


@dataclass(frozen=True, slots=True)
class OrderRule:
    """The line's order starts at the first row with a new id and ends one `hold` after its last row."""

    id: Template
    product: Template | None = None
    quantity: Template | None = None


@dataclass(frozen=True, slots=True)
class CsvMapping:
    document: Document
    time_column: str
    time: TimeFormat
    line: Template
    station: Template | None  # None: events of the whole line
    events: tuple[EventRule, ...]
    order: OrderRule | None = None
    hold_ns: int | None = None  # None: rows are events; otherwise samples, each true for this long
    tolerance_ns: int = 0
    heartbeat_every_ns: int = HEARTBEAT_EVERY_NS
    delimiter: str = ","
    quote: str = '"'
    encoding: str = "utf-8"
    header: bool = True
    columns: tuple[str, ...] = ()  # names where there is no header


@dataclass(frozen=True, slots=True)
class CountRule:
    """An item that counts: a running counter, or parts made since the last value."""

    item: str
    counter: str | None = None
    quality: Literal["good", "scrap", "rework"] = "good"


@dataclass(frozen=True, slots=True)
class ShdrMapping:
    document: Document
    line: str
    station: str
    state_item: str
    states: Dict[str, str] = field(default_factory=dict)  # the source's word -> the plant's; others stay as they are
    mode_item: str | None = None
    reason_items: tuple[str, ...] = ()
    counts: tuple[CountRule, ...] = ()
    heartbeat_every_ns: int = HEARTBEAT_EVERY_NS
    zone: str | None = None


Mapping = CsvMapping | ShdrMapping


def load(path: Path | str, plant: Plant | None = None) -> Mapping:
    """Read a mapping, and compare its constants with the plant when one is given. Raises MappingError."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        why = f"cannot be read ({error.strerror}); check the path and its permissions"
        raise MappingError((Problem(str(path), 0, "", why),)) from error
    except UnicodeDecodeError as error:
        raise MappingError((Problem(str(path), 0, "", "is not UTF-8; save it in that encoding"),)) from error
    mapping = loads(text, str(path))
    if plant is not None:
        check(mapping, plant)
    return mapping


def loads(text: str, name: str = "mapping") -> Mapping:
    """Read a mapping from its text. Raises MappingError."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r" \(at line (\d+), column \d+\)$", str(error))
        line = int(place[1]) if place else text.count("\n") + 1
        what = str(error)[: place.start()] if place else str(error)
        raise MappingError((Problem(name, line, "", f"is not valid TOML: {what}"),)) from error
    document = Document(name, text, data)
    report = Report()
    root = Section(data, (), report)
    kind = root.choice("format", ("csv", "shdr"), "csv")
    mapping = _csv(root, document) if kind == "csv" else _shdr(root, document)
    root.finish()
    document.raise_if_any(report)
    return mapping


def _csv(root: Section, document: Document) -> CsvMapping:
    line = root.template("line") or Template("")
    station = root.template("station", required=False)
    heartbeat = root.duration("heartbeat_every", HEARTBEAT_EVERY_NS)
    form = root.section("csv")
    delimiter, quote = form.character("delimiter", ","), form.character("quote", '"')
    encoding, header = form.encoding("encoding"), form.boolean("header", True)
    names = form.texts("columns")
    if not header and not names:
        form.problem("columns", "missing: without a header the columns need names, in the file's order")
    if header and names:
        form.problem("columns", "the header names the columns; remove this, or set header = false")
    form.finish()
    time = root.section("time", required=True)
    time_column, time_format = time.text("column"), time.time_format()
    time.finish()
    hold: int | None = None
    tolerance: int | None = 0
    if "sample" in root.data:
        sample = root.section("sample")
        hold, tolerance = sample.duration("hold", None), sample.duration("tolerance", 0)
        sample.finish()
    order = None
    if "order" in root.data:
        part = root.section("order")
        quantity = part.template("quantity", required=False, number=True)
        order = OrderRule(part.template("id") or Template(""), part.template("product", required=False), quantity)
        part.finish()
    events = tuple(_event(part) for part in root.sections("event"))
    if station is None and any(NEEDS_STATION[rule.type] for rule in events):
        root.problem("station", "missing: states, counts, cycles and buffers belong to a station")
    if not events and order is None:
        root.problem("event", "missing: without a rule ([[event]]) the file gives no events")
    return CsvMapping(
        document,
        time_column,
        time_format,
        line,
        station,
        events,
        order,
        hold,
        tolerance or 0,
        heartbeat or 0,
        delimiter,
        quote,
        encoding,
        header,
        names,
    )


def _event(part: Section) -> EventRule:
    kind = part.choice("type", tuple(FIELDS), None)
    when = part.conditions("when")
    code, declared = FIELDS.get(kind, (HEARTBEAT, {}))
    if kind not in FIELDS:
        part.data.clear()  # its fields cannot be judged
    fields = {}
    for name, (required, number) in declared.items():
        template = part.template(name, required=required, number=number)
        if template is not None:
            fields[name] = template
    if kind == "count":
        running = {"counter", "value"} & fields.keys()
        parts = {"good", "scrap", "rework"} & fields.keys()
        if len(running) == 1 or bool(running) == bool(parts):
            part.problem("", "a count has either counter and value, or good, scrap, rework (at least one)")
    for name, allowed in (("phase", ("start", "end")), ("action", ("start", "end"))):
        if name in fields:
            part.among(name, fields[name], allowed)
    part.finish()
    return EventRule(code, when, fields)


def _shdr(root: Section, document: Document) -> ShdrMapping:
    line, station = root.text("line"), root.text("station")
    heartbeat, zone = root.duration("heartbeat_every", HEARTBEAT_EVERY_NS), root.zone("zone")
    state = root.section("state", required=True)
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
        name, counter = part.text("item"), part.text("counter", None)
        parts = part.choice("parts", ("good", "scrap", "rework"), "good")
        if counter and "parts" in part.data:
            part.problem("parts", "a running counter's quality stands in the plant; remove this or `counter`")
        part.finish()
        counts.append(CountRule(name, counter or None, parts))  # type: ignore[arg-type] # checked by choice
    return ShdrMapping(document, line, station, item, states, mode, reasons or (), tuple(counts), heartbeat or 0, zone)


def check(mapping: Mapping, plant: Plant) -> None:
    """Compare what a mapping names outright with the plant. Raises MappingError.

    What it takes from the log itself can only be judged row by row.
    """
    report = Report()
    lines = {line.id: line for line in plant.lines}
    name = mapping.line if isinstance(mapping, ShdrMapping) else mapping.line.constant
    station_name = mapping.station if isinstance(mapping, ShdrMapping) else None
    if isinstance(mapping, CsvMapping) and mapping.station is not None:
        station_name = str(mapping.station.constant) if mapping.station.constant is not None else None
    if name is not None:
        if name not in lines:
            report.add(("line",), f'line "{name}" is not in the plant{hint(str(name), list(lines))}')
        elif station_name is not None:
            stations = {station.id: station for station in lines[str(name)].stations}
            if station_name not in stations:
                report.add(
                    ("station",),
                    f'station "{station_name}" is not in line "{name}"{hint(station_name, list(stations))}',
                )
            else:
                _check_station(mapping, stations[station_name], report)
    mapping.document.raise_if_any(report)


def _check_station(mapping: Mapping, station: Any, report: Report) -> None:
    counters = [counter.id for counter in station.counters]
    named: list[tuple[tuple[str | int, ...], str]] = []
    words: list[tuple[tuple[str | int, ...], str]] = []
    if isinstance(mapping, ShdrMapping):
        named = [(("count", i, "counter"), rule.counter) for i, rule in enumerate(mapping.counts) if rule.counter]
        words = [(("state", "words", source), word) for source, word in mapping.states.items()]
    else:
        for i, rule in enumerate(mapping.events):
            for key, found in (("counter", named), ("state", words)):
                template = rule.fields.get(key)
                if template is not None and template.constant is not None:
                    found.append((("event", i, key), str(template.constant)))
    for path, counter in named:
        if counter not in counters:
            report.add(path, f'counter "{counter}" is not declared at station "{station.id}"{hint(counter, counters)}')
    for path, word in words:
        if word not in station.states and word != "unknown":
            report.add(path, f'state "{word}" is not known at station "{station.id}"{hint(word, list(station.states))}')
