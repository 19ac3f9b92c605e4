"""The declaration of mappings and their reader: neither knows a key that the other does not."""

import copy
import datetime
import random
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from twin.plant.read import Node
from twin.plant.shape import Either, Table, Tables
from twin.sources import mapping
from twin.sources.mapping_model import MappingError
from twin.sources.mapping_shape import CSV, SHDR, TYPES, json_schema

HOME = Path(__file__).parents[4]
EXAMPLES = sorted((HOME / "examples").rglob("mapping*.toml"))
PAGE = (HOME / "docs" / "sources.md").read_text("utf-8")
SCHEMA = jsonschema.Draft202012Validator(json_schema())
TEXTS = [path.read_text("utf-8") for path in EXAMPLES]
TEXTS += [text for text in re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL) if text.startswith("format")]


def accepted(data: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the reader takes it, as if it had been parsed from a text."""
    monkeypatch.setattr(mapping, "parsed", lambda *_: data)
    try:
        mapping.loads("")
    except MappingError:
        return False
    return True


def test_the_schema_is_one_and_takes_every_mapping_there_is() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())
    assert len(TEXTS) > 10
    for text in TEXTS:
        mapping.loads(text)
        assert list(SCHEMA.iter_errors(tomllib.loads(text))) == []


def test_the_schema_refuses_nothing_that_the_reader_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mappings with keys taken away, moved, and of other types."""
    chance = random.Random(3)  # noqa: S311  repeatable
    parsed = [tomllib.loads(text) for text in TEXTS]
    taken = 0
    for _ in range(600):
        data = copy.deepcopy(chance.choice(parsed))
        _change(data, chance)
        if accepted(data, monkeypatch):
            taken += 1
            assert list(SCHEMA.iter_errors(data)) == [], data
    assert taken > 50


def _change(data: dict[str, Any], chance: random.Random) -> None:
    tables = list(_tables(data))
    table, other = chance.choice(tables), chance.choice(tables)
    if not table or not other:
        return
    key = chance.choice(sorted(table))
    match chance.randrange(3):
        case 0:
            del table[key]
        case 1:
            name = chance.choice(sorted(other))
            table[name] = copy.deepcopy(other[name])
        case _:
            table[key] = chance.choice(["", "text", "1min", 0, 7, -1, 0.5, True, [], ["a"], {}, {"column": "c"}])


def _tables(data: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield data
    for value in data.values():
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, dict):
                yield from _tables(one)


def declared(table: Table, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key in table.keys:
        yield (*path, key.name)
        match key.kind:
            case Tables():
                yield from declared(key.kind.item, (*path, key.name))
            case Table():
                yield from declared(key.kind, (*path, key.name))
            case Either(table=Table() as inner):
                yield from declared(inner, (*path, key.name))
            case _:
                pass


@pytest.mark.parametrize("table", [CSV, SHDR], ids=["csv", "shdr"])
def test_the_reader_asks_for_every_declared_key(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """With values that hardly any key takes: what is said of them is not what is looked at."""
    asked: set[tuple[str, ...]] = set()
    own = Node.__getitem__

    def get(node: Node, key: str) -> Any:
        asked.add((*(step for step in node.path if isinstance(step, str)), key))
        return own(node, key)

    monkeypatch.setattr(Node, "__getitem__", get)
    for path in declared(table):
        for kind in TYPES if path[0] == "event" else ("",):
            for value in (datetime.date(2026, 1, 1), {"column": "c"}):
                mapping_of(table, path, kind, value, monkeypatch)
    # Which of the two declarations holds is asked before there is one.
    assert sorted(set(declared(table)) - asked) == [("format",)]


def mapping_of(table: Table, path: tuple[str, ...], kind: str, value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mapping with this value at this path, in tables of their form."""
    data: dict[str, Any] = {"format": "shdr"} if table is SHDR else {}
    at, form = data, table
    for step in path[:-1]:
        child = next(key.kind for key in form.keys if key.name == step)
        inner: dict[str, Any] = {"type": kind} if step == "event" else {}
        at[step] = [inner] if isinstance(child, Tables) else inner
        form = child.item if isinstance(child, Tables) else child.table if isinstance(child, Either) else child
        at = inner
    if path != ("format",) and path[-1] != "type":
        at[path[-1]] = value
    accepted(data, monkeypatch)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (
            b'\xef\xbb\xbfline = "a"',
            "time: is missing; add a table .time.",
        ),  # with the mark that editors on Windows write
        (b"a = " + b"[" * 3_000, "nested too deeply"),
        (b"a = 1\nb = ", ":2: not valid TOML"),
        (b'line = "\xe4"', ":1: is not UTF-8"),
    ],
)
def test_a_mapping_is_read_as_a_plant_file_is(tmp_path: Path, data: bytes, what: str) -> None:
    (tmp_path / "m.toml").write_bytes(data)
    with pytest.raises(MappingError, match=what):
        mapping.load(tmp_path / "m.toml")
