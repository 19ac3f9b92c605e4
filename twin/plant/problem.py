"""What is wrong with a file, in the form in which a person is told."""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from twin.plant.locate import Path, line_of, locate

_NEAR = 0.65  # as difflib has it; below, a guess misleads more often than it helps
_BARE = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake. `line` counts from 1; 0 is the file as a whole."""

    file: str
    line: int
    key: str  # such as line[filling].station[press].ideal_cycle; empty: the file as a whole
    message: str  # what is wrong and what to do

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.key}: {self.message}" if self.key else f"{place}: {self.message}"


class PlantError(ValueError):
    """A plant file that cannot be used. `problems` holds every mistake found, sorted by line."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class Report:
    """Collects mistakes by key path; lines are looked up only when there is a mistake to show."""

    def __init__(self) -> None:
        self._found: list[tuple[Path, str, Path | None]] = []

    def add(self, path: Path, message: str, see: Path | None = None) -> None:
        """`see`: the place of the other half of a contradiction; its line is put behind the message."""
        self._found.append((path, message, see))

    def raise_if_any(self, text: str, data: dict[str, Any], name: str) -> None:
        """PlantError when anything was found. `text` and `data` are the file and what tomllib made of it."""
        if not self._found:
            return
        lines = locate(text)
        problems = []
        for path, message, see in self._found:
            other = f" (see line {line_of(lines, see)})" if see is not None else ""
            problems.append(Problem(name, line_of(lines, path), key_text(path, data), message + other))
        raise PlantError(tuple(sorted(problems, key=lambda problem: problem.line)))


def key_text(path: Path, data: Any) -> str:
    """A key path for people: an element of an array is named by its id where it has one, else counted from 1."""
    text = ""
    for step in path:
        if isinstance(step, int):
            data = data[step] if isinstance(data, list) and step < len(data) else None
            name = data.get("id") if isinstance(data, dict) else None
            text += f"[{name if isinstance(name, str) else step + 1}]"
        else:
            data = data.get(step) if isinstance(data, dict) else None
            bare = step if _BARE.fullmatch(step) else json.dumps(step, ensure_ascii=False)
            text += f".{bare}" if text else bare
    return text


def near(word: str, known: Collection[str]) -> str:
    """ "; did you mean ...?" to be put behind a message about an unknown word; "" where none is near it."""
    close = get_close_matches(word, known, n=1, cutoff=_NEAR) or [k for k in known if k.lower() == word.lower()][:1]
    return f'; did you mean "{close[0]}"?' if close else ""


def hint(word: str, known: Collection[str], most: int = 12) -> str:
    """The same, or the list of what is known."""
    if close := near(word, known):
        return close
    if not known:
        return "; none is declared"
    shown = ", ".join(sorted(known)[:most])
    return f"; known: {shown}{', ...' if len(known) > most else ''}"
