"""Read a plant file. Every mistake in it is reported at once, each with file, line, key and what to do."""

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path, PurePath

from twin.plant.build import build
from twin.plant.check import check
from twin.plant.model import Plant
from twin.plant.problem import Report
from twin.plant.read import Node, read
from twin.plant.shape import FORMER, PLANT, Table, with_former
from twin.plant.toml_file import parsed, text_of


@dataclass(frozen=True, slots=True)
class SourceRule:
    """Which log files (a pattern) are read with which mapping file (None: they need none)."""

    files: str
    mapping: Path | None

    def matches(self, path: str | PurePath) -> bool:
        """Does this rule hold for a log? The pattern is compared with the end of the path."""
        return PurePath(path).match(self.files)


def load(path: str | os.PathLike[str]) -> Plant:
    """The plant of a TOML file. PlantError: it cannot be read or has mistakes."""
    return loads(text_of(path, "plant file"), os.fspath(path))


def loads(text: str, name: str = "plant.toml") -> Plant:
    """The plant of a TOML text; `name` stands for the file in messages. PlantError: it has mistakes."""
    return build(_root(text, name), name)


def kept(path: str | os.PathLike[str], known: Collection[str]) -> tuple[Plant, tuple[str, ...]]:
    """The plant as `load` reads it; but if its model is not among the `known` hashes, and under former defaults it is,
    then that one: a default that changes with the version must not start anybody's lines anew. Also the keys of which
    it keeps a former default. PlantError: as `load`.
    """
    text, name = text_of(path, "plant file"), os.fspath(path)
    table, former = PLANT, list[str]()
    plant = loads(text, name)
    if not known or plant.hash in known:  # each other reading of a large plant takes seconds
        return plant, ()
    for change in reversed(FORMER):
        table = with_former(table, change)
        former.append(change.key)
        other = build(_root(text, name, table), name)
        if other.hash in known:
            return other, tuple(former)
    return plant, ()


def sources(path: str | os.PathLike[str]) -> tuple[SourceRule, ...]:
    """The [[source]] rules of a plant file, in their order; mapping paths resolved against the plant file's folder.

    Apart from `load`, so that where the logs lie has no part in the model and its hash. PlantError: as `load`, or a
    mapping file that is not there.
    """
    text, name = text_of(path, "plant file"), os.fspath(path)
    report, folder = Report(), Path(path).parent
    rules = []
    for node in _root(text, name)["source"]:
        mapping = folder / node["mapping"] if node["mapping"] is not None else None
        if mapping is not None and not mapping.is_file():
            report.add(node.at("mapping"), f"there is no file {mapping}; correct the path, it is relative to {folder}")
        rules.append(SourceRule(node["files"], mapping))
    report.raise_if_any(text, parsed(text, name), name)
    return tuple(rules)


def _root(text: str, name: str, table: Table = PLANT) -> Node:
    data = parsed(text, name)
    report = Report()
    root = read(table, data, (), report)
    check(root, report)
    report.raise_if_any(text, data, name)
    return root
