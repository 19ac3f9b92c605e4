"""A mapping bound to one file: its name put where a constant asks for it, its columns where a rule stands for many."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from twin.sources.mapping_model import CsvMapping, EventRule, OrderRule, ShdrMapping, TimeRule
from twin.sources.source import SourceError, stem
from twin.sources.template import Condition, Template, shape

STATION = "{station}"


@dataclass(frozen=True, slots=True)
class LogPath:
    """One log: a file, or a member of a zip archive, or a sheet of a workbook."""

    path: Path
    member: str | None = None
    sheet: str | None = None

    @property
    def name(self) -> str:
        part = self.member or self.sheet
        return str(self.path) if part is None else f"{self.path}/{part}"

    @property
    def file(self) -> Path:
        """What the log's own name is taken from."""
        return Path(self.member) if self.member is not None else self.path


def names_of(log: LogPath, form: str | None) -> dict[str, str]:
    """What `{file}`, its parts by the pattern `form`, `{folder}` and `{sheet}` stand for. SourceError."""
    file = stem(log.file)
    names = {"{file}": file, "{folder}": log.path.resolve().parent.name}
    if log.sheet is not None:
        names["{sheet}"] = log.sheet
    if form is not None:
        keys, plain = _parts(form)
        found = shape(plain).fullmatch(file)
        if found is None:
            raise SourceError(
                f'{log.name}: the name is not of the form "{form}" (`file` in the mapping); correct one of them'
            )
        names |= {f"{{file.{key}}}": text for key, text in zip(keys, found.groups(), strict=True)}
    return names


def _parts(form: str) -> tuple[list[str], str]:
    """The names in a form such as "{line}_{station}_*", and the form with bare {}."""
    keys, plain, rest = [], "", form
    while "{" in rest and "}" in rest:
        before, _, rest = rest.partition("{")
        key, _, rest = rest.partition("}")
        keys.append(key)
        plain += before + "{}"
    return keys, plain + rest


def to_file(mapping: CsvMapping, log: LogPath) -> CsvMapping:
    """The mapping with the names of this log in its constants. SourceError."""
    names = names_of(log, mapping.file)

    def named(template: Template) -> Template:
        return _filled(template, names)

    order = mapping.order
    if order is not None:
        paces = {name: named(template) for name, template in order.paces.items()}
        order = replace(order, id=named(order.id), product=named(order.product) if order.product else None, paces=paces)
    return replace(
        mapping,
        line=named(mapping.line),
        station=named(mapping.station) if mapping.station is not None else None,
        order=order,
        events=tuple(_in_constants(rule, named) for rule in mapping.events),
    )


def shdr_to_file(mapping: ShdrMapping, log: LogPath) -> ShdrMapping:
    names = names_of(log, mapping.file)
    product = mapping.product
    if product is not None:
        product = replace(product, paces={name: _filled(one, names) for name, one in product.paces.items()})
    return replace(mapping, line=_put(mapping.line, names), station=_put(mapping.station, names), product=product)


def _put(text: str, names: dict[str, str]) -> str:
    for name, value in names.items():
        text = text.replace(name, value)
    return text


def _filled(template: Template, names: dict[str, str]) -> Template:
    """A constant with its names filled in, and looked up where a table stands beside it."""
    constant = template.constant
    if not isinstance(constant, str):
        return template
    text = _put(constant, names)
    if template.pattern or template.lookup is not None or template.format:
        found = template.text(text)
        if not found:
            raise SourceError(f'"{text}" is not in the table of the mapping; add it')
        return Template(found)
    return replace(template, constant=text)


def _in_constants(rule: EventRule, named: Callable[[Template], Template]) -> EventRule:
    return replace(
        rule,
        fields={name: named(template) for name, template in rule.fields.items()},
        station=named(rule.station) if rule.station is not None else None,
    )


@dataclass(frozen=True, slots=True)
class Expanded:
    """The rules of a table with these columns; `unknown` are (column, station) that the plant does not know."""

    mapping: CsvMapping
    unknown: tuple[tuple[str, str], ...] = ()
    orders: tuple[tuple[str, OrderRule], ...] = ()  # of single stations, where their columns hold `{station}`


def to_columns(mapping: CsvMapping, names: Sequence[str], known: Callable[[str], bool]) -> Expanded:
    """Every rule whose columns hold `{station}` once for each station whose columns are there.

    A rule for which there is none stays as it is: its column is then missing.
    """
    events: list[EventRule] = []
    unknown: list[tuple[str, str]] = []

    def stations(patterns: Sequence[str]) -> Iterator[tuple[str, str]]:
        """What stands for `{station}` where all these columns are there, and the id ("": no station of the plant)."""
        form = shape(patterns[0].replace(STATION, "{}"))
        for name in names:
            found = form.fullmatch(name)
            if found is None or not all(column.replace(STATION, found[1]) in names for column in patterns):
                continue
            station = mapping.stations.get(found[1], found[1])
            if station and not known(station):
                unknown.append((name, station))
                station = ""
            yield found[1], station

    for rule in mapping.events:
        patterns = [column for column in columns_of(rule) if STATION in column]
        found = list(stations(patterns)) if patterns else []
        events += [_of_station(rule, text, station) for text, station in found if station]
        if not found:
            events.append(rule)
    orders: list[tuple[str, OrderRule]] = []
    order = mapping.order
    patterns = [column for column in _columns_of_order(order) if STATION in column] if order is not None else []
    if order is not None and patterns:
        orders = [(station, _order_of(order, text, station)) for text, station in stations(patterns) if station]
        mapping = replace(mapping, order=None) if orders else mapping
    return Expanded(replace(mapping, events=tuple(events)), tuple(dict.fromkeys(unknown)), tuple(orders))


def columns_of(rule: EventRule) -> list[str]:
    """Every column a rule reads."""
    templates = [rule.station, *rule.fields.values()]
    found = [template.column for template in templates if template is not None and template.column is not None]
    found += [condition.column for condition in rule.when]
    for time in (rule.time, rule.until):
        found += time.every_column if time is not None else ()
    return list(dict.fromkeys(found))


def columns(mapping: CsvMapping) -> list[str]:
    """Every column a mapping reads."""
    templates = [mapping.line, mapping.station, mapping.seq]
    found = [*mapping.time.every_column, *mapping.row]
    if mapping.order is not None:
        found += _columns_of_order(mapping.order)
    found += [template.column for template in templates if template is not None and template.column is not None]
    found += [condition.column for condition in (*mapping.keep, *mapping.ignore)]
    for rule in mapping.events:
        found += columns_of(rule)
    return list(dict.fromkeys(found))


def _columns_of_order(order: OrderRule) -> list[str]:
    templates = [order.id, order.product, order.quantity, *order.paces.values()]
    found = [template.column for template in templates if template is not None and template.column is not None]
    for time in (order.time, order.until):
        found += time.every_column if time is not None else ()
    return found


def to_read(mapping: CsvMapping, names: Sequence[str]) -> list[str]:
    """The columns of a table with these names to read; where the mapping asks for none, one that shows the rows."""
    bound = to_columns(mapping, names, lambda station: True)
    wanted = columns(bound.mapping)
    for _, order in bound.orders:
        wanted += [name for name in _columns_of_order(order) if name not in wanted]
    return wanted or [name for name in names if names.count(name) == 1][:1]


def _template_of(one: Template, text: str, station: str) -> Template:
    constant = one.constant.replace(STATION, station) if isinstance(one.constant, str) else one.constant
    return replace(one, column=one.column.replace(STATION, text) if one.column is not None else None, constant=constant)


def _order_of(rule: OrderRule, text: str, station: str) -> OrderRule:
    """The order of one station: `text` stands for it in the names of columns."""
    return replace(
        rule,
        id=_template_of(rule.id, text, station),
        product=_template_of(rule.product, text, station) if rule.product is not None else None,
        quantity=_template_of(rule.quantity, text, station) if rule.quantity is not None else None,
        paces={name: _template_of(one, text, station) for name, one in rule.paces.items()},
    )


def _of_station(rule: EventRule, text: str, station: str) -> EventRule:
    """The rule for one station: `text` stands for it in the names of columns."""

    def column(name: Any) -> Any:
        return name.replace(STATION, text) if isinstance(name, str) else name

    def template(one: Template) -> Template:
        return _template_of(one, text, station)

    def time(one: TimeRule | None) -> TimeRule | None:
        return replace(one, columns=tuple(map(column, one.columns)), shift=column(one.shift)) if one else None

    def condition(one: Condition) -> Condition:
        return replace(one, column=column(one.column))

    return replace(
        rule,
        when=tuple(map(condition, rule.when)),
        fields={name: template(one) for name, one in rule.fields.items()},
        station=template(rule.station) if rule.station is not None else Template(station),
        time=time(rule.time),
        until=time(rule.until),
    )
