"""Read a plant file. Every mistake in it is reported at once, each with file, line, key and what to do."""

import os
import re
import tomllib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from twin.plant.build import build
from twin.plant.check import check
from twin.plant.model import Plant
from twin.plant.problem import PlantError, Problem, Report
from twin.plant.read import Node, read
from twin.plant.shape import FORMER, MAX_FILE_BYTES, PLANT, Table, with_former

_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


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
    return loads(_text(path), os.fspath(path))


def loads(text: str, name: str = "plant.toml") -> Plant:
    """The plant of a TOML text; `name` stands for the file in messages. PlantError: it has mistakes."""
    return build(_root(text, name), name)


def kept(path: str | os.PathLike[str], known: Collection[str]) -> tuple[Plant, tuple[str, ...]]:
    """The plant as `load` reads it; but if its model is not among the `known` hashes, and under former defaults it is,
    then that one: a default that changes with the version must not start anybody's lines anew. Also the keys of which
    it keeps a former default. PlantError: as `load`.
    """
    text, name = _text(path), os.fspath(path)
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
    text, name = _text(path), os.fspath(path)
    report, folder = Report(), Path(path).parent
    rules = []
    for node in _root(text, name)["source"]:
        mapping = folder / node["mapping"] if node["mapping"] is not None else None
        if mapping is not None and not mapping.is_file():
            report.add(node.at("mapping"), f"there is no file {mapping}; correct the path, it is relative to {folder}")
        rules.append(SourceRule(node["files"], mapping))
    report.raise_if_any(text, tomllib.loads(text), name)
    return tuple(rules)


def _root(text: str, name: str, table: Table = PLANT) -> Node:
    data = _toml(text, name)
    report = Report()
    root = read(table, data, (), report)
    check(root, report)
    report.raise_if_any(text, data, name)
    return root


def _toml(text: str, name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        place = _PLACE.search(message)
        line = int(place[1]) if place and place[1] else text.count("\n") + 1
        what = _PLACE.sub("", message)
        advice = "correct this line or the one before it"
        raise PlantError((Problem(name, line, "", f"not valid TOML: {what}; {advice}"),)) from None
    except RecursionError:
        raise PlantError((Problem(name, 0, "", "arrays or tables are nested too deeply; flatten them"),)) from None


def _text(path: str | os.PathLike[str]) -> str:
    name = os.fspath(path)
    try:
        with Path(path).open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        why = error.strerror or str(error)
        raise PlantError((Problem(name, 0, "", f"cannot be read: {why}; check the path and its rights"),)) from error
    if len(data) > MAX_FILE_BYTES:
        message = f"is larger than {MAX_FILE_BYTES // 2**20} MiB; a plant file holds no events, is this the right file?"
        raise PlantError((Problem(name, 0, "", message),))
    try:
        return data.decode("utf-8-sig")  # an editor on Windows may write a byte order mark
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise PlantError((Problem(name, line, "", "is not UTF-8; save the file in that encoding"),)) from None
