"""JSON Schema and reference table of the plant file, both from the declaration in `twin.plant.shape`."""

from collections.abc import Collection
from typing import Any, Final

from twin.plant.kinds import ID, MAX_ID_LENGTH, Scalar
from twin.plant.shape import PLANT, Either, Key, Kind, List, Map, Table, Tables

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of the plant file, for editors: completion, and most mistakes while typing.

    What depends on more than one value (references, overlaps, loops) only the loader finds.
    """
    return {
        "$schema": DIALECT,
        "title": "taktwin plant file",
        **of_table(PLANT),
    }


def of_table(table: Table) -> dict[str, Any]:
    """JSON Schema of one table."""
    form: dict[str, Any] = {
        "type": "object",
        "description": table.title,
        "properties": {key.name: _key(key) for key in table.keys},
        "additionalProperties": False,
    }
    if required := [key.name for key in table.keys if key.required]:
        form["required"] = required
    if {"ideal_cycle", "rate"} <= {key.name for key in table.keys}:
        form["not"] = {"required": ["ideal_cycle", "rate"]}
    return form


def _key(key: Key) -> dict[str, Any]:
    form = {**of_kind(key.kind), "description": key.doc}
    if key.default is not None:
        form["default"] = key.default
    if isinstance(key.kind, Tables) and key.required:
        form["minItems"] = 1
    return form


def of_kind(kind: Kind) -> dict[str, Any]:
    match kind:
        case Scalar():
            limits = {"minLength": 1, "maxLength": MAX_ID_LENGTH} if kind is ID else {}
            return {**kind.schema, **limits}
        case List():
            item = of_kind(kind.item)
            return {"anyOf": [item, {"type": "array", "items": item, "maxItems": kind.most}]}
        case Map():
            return {"type": "object", "additionalProperties": of_kind(kind.item), "maxProperties": kind.most}
        case Table():
            return of_table(kind)
        case Tables():
            several = {"type": "array", "items": of_table(kind.item), "maxItems": kind.most}
            return {"anyOf": [of_table(kind.item), several]} if kind.inline else several
        case Either():
            return {"anyOf": [of_kind(kind.plain), of_kind(kind.table)]}


def reference() -> str:
    """Markdown: one section per table of the file, one row per key. docs/plant.md holds this text."""
    # Of two places of a table the more usual one shows it.
    elsewhere = frozenset({"line.calendar", "line.measure.chart"})
    return "\n".join(sections(PLANT, "Top of the file", elsewhere))


def sections(table: Table, heading: str, elsewhere: Collection[str] = ()) -> list[str]:
    """Lines of Markdown: a table with all tables in it, each once but for those with double brackets."""
    parts: list[str] = []
    _section(table, heading, "", parts, set(), elsewhere)
    return parts


def _section(
    table: Table, heading: str, name: str, parts: list[str], seen: set[int], elsewhere: Collection[str]
) -> None:
    parts.append(f"### {f'`{name}`' if name else heading}")
    parts += [f"{table.title}.", "", "| key | value | default | meaning |", "|---|---|---|---|"]
    parts += [_row(key, name.strip("[]")) for key in table.keys]
    parts.append("")
    for key in table.keys:
        path = f"{name.strip('[]')}.{key.name}".strip(".")
        if isinstance(key.kind, Tables) and not key.kind.inline:
            _section(key.kind.item, heading, f"[[{path}]]", parts, seen, elsewhere)
        elif isinstance(key.kind, Table) and id(key.kind) not in seen and path not in elsewhere:
            seen.add(id(key.kind))
            _section(key.kind, heading, f"[{path}]", parts, seen, elsewhere)


def _row(key: Key, outer: str) -> str:
    path = f"{outer}.{key.name}".strip(".")
    match key.kind:
        case Scalar():
            value = key.kind.label
        case List():
            value = f"{key.kind.item.label}, one or an array"
        case Map():
            value = f"table: {key.kind.key} = {key.kind.item.label}"
        case Table():
            value = f"table `[{path}]`"
        case Tables():
            several = f"tables `[[{path}]]`, up to {key.kind.most:,}"
            value = f"{key.kind.inline}, or a list" if key.kind.inline else several
        case Either():
            value = key.kind.label
    default = "required" if key.required else (f"`{key.default_text}`" if key.default is not None else "")
    return f"| `{key.name}` | {value} | {default} | {key.doc} |"
