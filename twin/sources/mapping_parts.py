"""What several keys of a mapping's table come to together: times, templates, conditions.

Each key alone has been read by its declaration (`twin.plant.read`): here it is its value, or None.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Final

from twin.plant.kinds import FACTOR, IDEAL_CYCLE, RATE, Scalar
from twin.plant.read import Node
from twin.sources.mapping_model import TimeRule
from twin.sources.paces import UNIT_KEY
from twin.sources.template import Condition, Template
from twin.sources.time_format import DAY_NUMBERS, FILETIME, TimeFormat
from twin.sources.values import Numbers

_ONE: Final = Fraction(1)
_PACES: Final[dict[str, Scalar]] = {"ideal_cycle": IDEAL_CYCLE, "rate": RATE, "factor": FACTOR}


def numbers(node: Node) -> Numbers:
    """The keys `decimal` and `thousands`."""
    decimal, thousands = node["decimal"] or "", node["thousands"] or ""
    if decimal and decimal == thousands:
        node.problem("thousands", f'"{thousands}" is the decimal mark already; remove this')
        thousands = ""
    return Numbers(decimal, thousands)


def columns(node: Node) -> tuple[str, ...]:
    """The keys `column` or `columns`, one of which is there."""
    if "columns" not in node.given:
        if "column" not in node.given:
            node.problem("column", 'is missing; add column = "..."')
        return (node["column"] or "",)
    if "column" in node.given:
        node.problem("column", "`columns` names them already; remove one")
    elif node["columns"] == ():
        node.problem("columns", "must not be empty; name the columns")
    return node["columns"] or ()


def time_rule(node: Node, form: Numbers, base: TimeRule | None = None) -> TimeRule:
    """When a row is; with `base`, the row's, when an event is: as the row where it says nothing."""
    given = node.given
    if base is None and "every" in given:
        return _every(node)
    named = columns(node) if base is None or "column" in given or node["columns"] else ()
    if base is None:
        return TimeRule(named, _time_format(node, form))
    own = {"format", "zone", "unit", "origin"} & given
    time = _time_format(node, form) if own else base.form
    shift, unit, sign = None, "s", 1
    for key, way in (("plus", 1), ("minus", -1)):
        if node[key] is not None:
            if shift is not None:
                node.problem(key, "`plus` and `minus` exclude each other; remove one")
            shift, unit, sign = node[key]["column"], node[key]["unit"] or "s", way
    over = bool(node["over_midnight"])
    if over and not time.patterns:
        node.problem("over_midnight", "belongs to an event's own time that has a date; remove this")
    return TimeRule(named or base.columns, time, shift, unit, sign, over_midnight=over)


def _every(node: Node) -> TimeRule:
    """Rows without a time: `every` and `origin`."""
    for key in sorted({"column", "columns", "format", "zone", "unit"} & node.given):
        node.problem(key, "rows with `every` have no time to be read; remove this or `every`")
    if "origin" not in node.given:
        node.problem("origin", 'is missing; add the time of the first row, such as origin = "2026-01-01T00:00:00Z"')
    return TimeRule((), TimeFormat((), None, "ns", node["origin"] or 0), every_ns=node["every"] or 1)


def _time_format(node: Node, form: Numbers) -> TimeFormat:
    """The keys `format` and `zone`, or `unit` and `origin`."""
    given, zone, unit, origin = node.given, node["zone"], node["unit"] or "s", node["origin"]
    if "unit" not in given:
        if "origin" in given:
            node.problem("origin", 'needs `unit`: what the numbers count, such as "s"')
        return TimeFormat(node["format"], zone) if node["format"] else TimeFormat(zone=zone)
    if "format" in given:
        node.problem("format", "a number of `unit` has none; remove this or `unit`")
    if unit in (*DAY_NUMBERS, FILETIME) and "origin" in given:
        node.problem("origin", f'"{unit}" has its own; remove this')
    if unit in DAY_NUMBERS:
        if "zone" not in given:
            node.problem("zone", f'is missing: day numbers of "{unit}" are those of a wall clock; add its time zone')
        return TimeFormat((), zone, unit, 0, form.decimal or ".")
    if "zone" in given:
        node.problem("zone", "a number of `unit` since `origin` has none; remove this or `unit`")
    return TimeFormat((), None, unit, 0 if unit == FILETIME else origin or 0, form.decimal or ".")


def text(value: Any) -> Template | None:
    """A field that is a text: a constant, or from a column."""
    return _from_text(value) if isinstance(value, Node) else None if value is None else Template(value)


def number(value: Any) -> Template | None:
    """A field that is a number, likewise."""
    if not isinstance(value, Node):
        return None if value is None else Template(value)
    words = value["lookup"] if "lookup" in value.given else None
    return Template(column=value["column"], scale=value["scale"] or _ONE, units=units(value), words=words)


def _from_text(node: Node, source: str = "column") -> Template:
    given = node.given
    if source not in given and "text" not in given:
        node.problem(source, f'is missing; add {source} = "..."')
    if source in given and "text" in given:
        node.problem("text", f"stands in the place of `{source}`; remove one")
    for key, why, example in (
        ("format", "where the text goes", "S{}"),
        ("pattern", "for the part that counts", "{}.State"),
    ):
        if node[key] and node[key].count("{}") != 1:
            node.problem(key, f'must hold {{}} once, {why}, such as "{example}"')
    if "default" in given and "lookup" not in given:
        node.problem("default", "needs `lookup`: it is for texts that are not in the table")
    lookup = node["lookup"] if "lookup" in given else None
    return Template(node["text"], node[source], node["format"], lookup, node["default"], pattern=node["pattern"])


def paces(node: Node, source: str = "column") -> dict[str, Template]:
    """The keys `ideal_cycle`, `rate` and `factor`: texts as in the plant file, or `{ column = ... }`."""
    found = {key: _pace(key, node[key], source) for key in _PACES if node[key] is not None}
    if {"ideal_cycle", "rate"} <= node.given:
        node.problem("rate", "`ideal_cycle` says it already; remove one")
    return found


def _pace(name: str, value: Any, source: str) -> Template:
    if not isinstance(value, Node):
        return Template(value)
    scale, unit = value["scale"] or _ONE, UNIT_KEY.get(name)
    if unit is None:
        return Template(column=value[source], scale=scale)
    if unit in value.given:
        for key in sorted(value.given & {"text", "pattern", "lookup", "default", "format"}):
            value.problem(key, f"is for texts, and with `{unit}` the {source} holds numbers; remove one")
        if source not in value.given:
            value.problem(source, f'is missing; add {source} = "..."')
        return Template(column=value[source], scale=scale, time_unit=value[unit])
    if "scale" in value.given:
        value.problem("scale", f"is for numbers; add `{unit}`: what they count")
    template = _from_text(value, source)
    said = [(value.at("lookup", word), text) for word, text in (template.lookup or {}).items()]
    for place, one in [*said, (value.at("default"), template.default)]:
        if one and template.format is None:
            try:
                _PACES[name].parse(one)
            except ValueError as error:
                value.report.add(place, str(error))
    return template


def units(node: Node) -> dict[str, Fraction] | None:
    """`unit`: one that may stand behind the number, or a table of units and what one of each is worth."""
    unit = node["unit"]
    return {unit: _ONE, "": _ONE} if isinstance(unit, str) else unit


def condition(node: Node) -> Condition:
    if node.given <= {"column", "unit"}:
        node.problem("", "tests nothing; add equals, in, like, blank, above, at_least, below or at_most")
    return Condition(
        node["column"] or "",
        node["equals"],
        node["in"],
        node["blank"],
        **{name: node[name] for name in ("above", "at_least", "below", "at_most")},
        like=node["like"],
        units=units(node),
    )


def conditions(nodes: Sequence[Node]) -> tuple[Condition, ...]:
    return tuple(map(condition, nodes))


def among(node: Node, key: str, template: Template, allowed: Sequence[str]) -> None:
    """A template that can only give certain words: a constant, or a lookup."""
    given = [template.constant] if template.column is None else [*(template.lookup or {}).values()]
    if template.default:
        given.append(template.default)
    for word in given:
        if word not in (*allowed, "") and word is not None:
            node.problem(key, f'"{word}" is not one of {", ".join(allowed)}')
