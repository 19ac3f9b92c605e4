"""A parsed TOML table against its declaration: unknown keys, missing keys, wrong types, bad values, repeated ids.

Of plant files and of mappings: the one place that says what is wrong with a key by itself, and what to write instead.
"""

from dataclasses import dataclass, field
from typing import Any

from twin.plant.kinds import ID, Scalar, type_name
from twin.plant.locate import Path
from twin.plant.problem import Report, hint
from twin.plant.shape import Either, Key, Kind, List, Map, Table, Tables


@dataclass(slots=True)
class Node:
    """One table of the file. `values` holds every declared key: read, by default, or None (absent or wrong)."""

    path: Path
    report: Report
    values: dict[str, Any] = field(default_factory=dict)
    given: frozenset[str] = frozenset()  # keys that stand in the file

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def at(self, *steps: str | int) -> Path:
        return (*self.path, *steps)

    def problem(self, key: str, message: str) -> None:
        """A mistake at one of the keys; "" is the table itself."""
        self.report.add(self.at(key) if key else self.path, message)


def read(table: Table, raw: dict[str, Any], path: Path, report: Report) -> Node:
    """Every mistake goes to `report`; a wrong value is read as absent, so that it causes no second message."""
    node = Node(path, report, given=frozenset(raw))
    names = [key.name for key in table.keys]
    for name in raw:
        if name not in names:
            why = table.elsewhere.get(name) or f'unknown key "{name}"{hint(name, names, most=30)}'
            report.add((*path, name), why)
    for key in table.keys:
        if key.name in raw:
            node.values[key.name] = _value(key.kind, raw[key.name], (*path, key.name), report)
            if key.required and raw[key.name] == []:
                report.add((*path, key.name), f"is empty; add {how(key)}")
            continue
        if key.required:
            report.add((*path, key.name), f"is missing; add {how(key)}")
        node.values[key.name] = _absent(key, (*path, key.name), report)
    return node


def how(key: Key) -> str:
    """How to write a key that is missing."""
    match key.kind:
        case Tables():
            return f"at least one [[...{key.name}]] table"
        case Table():
            return f"a table [{key.name}]"
        case Either(table=Table() as table):
            return f'{key.name} = {{ {table.keys[0].name} = "..." }}, or {key.kind.label}'
        case Scalar() as kind:
            examples = kind.schema.get("examples") or kind.schema.get("enum")
            if kind is ID or (not examples and kind.schema.get("type") == "string"):
                return f'{key.name} = "..."'
            return f'a line such as {key.name} = "{examples[0]}"' if examples else f"the key ({kind.label})"
        case _:
            return f"{key.name} = [...]"


def _absent(key: Key, path: Path, report: Report) -> Any:
    if isinstance(key.kind, List | Tables | Map) and key.default is None:
        return {} if isinstance(key.kind, Map) else []
    return None if key.default is None else _value(key.kind, key.default, path, report)


def _value(kind: Kind, raw: Any, path: Path, report: Report) -> Any:
    match kind:
        case Scalar():
            return _scalar(kind, raw, path, report)
        case Either():
            return _value(kind.table if isinstance(raw, dict) else kind.plain, raw, path, report)
        case List():
            items = raw if isinstance(raw, list) else [raw]
            _count(len(items), kind.most, path, report)
            # A wrong element stays as None: the others keep their index, by which their line is found.
            return [
                _scalar(kind.item, item, (*path, index) if items is raw else path, report)
                for index, item in enumerate(items[: kind.most])
            ]
        case Map():
            if not isinstance(raw, dict):
                report.add(path, f"this is {type_name(raw)}; write a table of {kind.key} = {kind.item.label}")
                return {}
            _count(len(raw), kind.most, path, report)
            pairs = {word: _scalar(kind.item, item, (*path, word), report) for word, item in raw.items()}
            return {word: item for word, item in pairs.items() if item is not None}
        case Table():
            if not isinstance(raw, dict):
                report.add(path, f"this is {type_name(raw)}; write a table with single brackets, [...{path[-1]}]")
                return None
            return read(kind, raw, path, report)
        case Tables():
            return _tables(kind, raw, path, report)


def _scalar(kind: Scalar, raw: Any, path: Path, report: Report) -> Any:
    try:
        return kind.parse(raw)
    except ValueError as error:
        report.add(path, str(error))
        return None


def _count(found: int, most: int, path: Path, report: Report) -> None:
    if found > most:
        report.add(path, f"{found:,} entries; at most {most:,} are allowed here, remove some")


def _tables(kind: Tables, raw: Any, path: Path, report: Report) -> list[Node]:
    if kind.inline and isinstance(raw, dict):
        return [read(kind.item, raw, path, report)]
    example = f'{{ {kind.item.keys[0].name} = "...", ... }}' if kind.inline else f"[[...{path[-1]}]]"
    form = (
        f"a {kind.inline} or a list of them, {example}"
        if kind.inline
        else f"each entry with double brackets, {example}"
    )
    if not isinstance(raw, list):
        report.add(path, f"this is {type_name(raw)}; write {form}")
        return []
    _count(len(raw), kind.most, path, report)
    nodes = []
    for index, item in enumerate(raw[: kind.most]):
        if isinstance(item, dict):
            nodes.append(read(kind.item, item, (*path, index), report))
        else:
            report.add((*path, index), f"this is {type_name(item)}; write {form}")
    if kind.unique:
        first: dict[str, Node] = {}
        for node in nodes:
            name = node["id"]
            if name is not None and first.setdefault(name, node) is not node:
                report.add(node.at("id"), f'the id "{name}" is taken; choose another', see=first[name].at("id"))
    return nodes
