"""A parsed TOML table against its declaration: unknown keys, missing keys, wrong types, bad values, repeated ids."""

from dataclasses import dataclass, field
from typing import Any

from twin.plant.kinds import ID, Scalar, type_name
from twin.plant.locate import Path
from twin.plant.problem import Report, hint
from twin.plant.shape import Key, List, Map, Table, Tables


@dataclass(slots=True)
class Node:
    """One table of the file. `values` holds every declared key: read, by default, or None (absent or wrong)."""

    path: Path
    values: dict[str, Any] = field(default_factory=dict)
    given: frozenset[str] = frozenset()  # keys that stand in the file

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def at(self, *steps: str | int) -> Path:
        return (*self.path, *steps)


def read(table: Table, raw: dict[str, Any], path: Path, report: Report) -> Node:
    """Every mistake goes to `report`; a wrong value is read as absent, so that it causes no second message."""
    node = Node(path, given=frozenset(raw))
    names = [key.name for key in table.keys]
    for name in raw:
        if name not in names:
            report.add((*path, name), f'unknown key "{name}"{hint(name, names, most=30)}')
    for key in table.keys:
        if key.name in raw:
            node.values[key.name] = _value(key.kind, raw[key.name], (*path, key.name), report)
            if key.required and raw[key.name] == []:
                report.add((*path, key.name), f"is empty; add {_how(key)}")
            continue
        if key.required:
            report.add((*path, key.name), f"is missing; add {_how(key)}")
        node.values[key.name] = _absent(key, (*path, key.name), report)
    return node


def _how(key: Key) -> str:
    if isinstance(key.kind, Tables):
        return f"at least one [[...{key.name}]] table"
    assert isinstance(key.kind, Scalar)
    if key.kind is ID:
        return f'{key.name} = "..."'
    examples = key.kind.schema.get("examples") or key.kind.schema.get("enum")
    return f'a line such as {key.name} = "{examples[0]}"' if examples else f"the key ({key.kind.label})"


def _absent(key: Key, path: Path, report: Report) -> Any:
    if isinstance(key.kind, List | Tables | Map) and key.default is None:
        return {} if isinstance(key.kind, Map) else []
    return None if key.default is None else _value(key.kind, key.default, path, report)


def _value(kind: Scalar | List | Map | Table | Tables, raw: Any, path: Path, report: Report) -> Any:
    match kind:
        case Scalar():
            return _scalar(kind, raw, path, report)
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
    if not isinstance(raw, list) or not all(isinstance(item, dict) for item in raw):
        report.add(path, f"this is {type_name(raw)}; write each entry with double brackets, [[...{path[-1]}]]")
        return []
    _count(len(raw), kind.most, path, report)
    nodes = [read(kind.item, item, (*path, index), report) for index, item in enumerate(raw[: kind.most])]
    if kind.unique:
        first: dict[str, Node] = {}
        for node in nodes:
            name = node["id"]
            if name is not None and first.setdefault(name, node) is not node:
                report.add(node.at("id"), f'the id "{name}" is taken; choose another', see=first[name].at("id"))
    return nodes
