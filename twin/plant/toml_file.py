"""A TOML file that a person writes, plant or mapping: its text and what it says, or a mistake with its line."""

import os
import re
import tomllib
from pathlib import Path
from typing import Any

from twin.plant.problem import PlantError, Problem
from twin.plant.shape import MAX_FILE_BYTES

_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


def parsed(text: str, name: str) -> dict[str, Any]:
    """`name` stands for the file in messages. PlantError: it is no TOML."""
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


def text_of(path: str | os.PathLike[str], what: str) -> str:
    """The text of a file, `what` it should be. PlantError: it cannot be read, or is none."""
    name = os.fspath(path)
    try:
        with Path(path).open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        why = error.strerror or str(error)
        raise PlantError((Problem(name, 0, "", f"cannot be read: {why}; check the path and its rights"),)) from error
    if len(data) > MAX_FILE_BYTES:
        message = f"is larger than {MAX_FILE_BYTES // 2**20} MiB; a {what} holds no events, is this the right file?"
        raise PlantError((Problem(name, 0, "", message),))
    try:
        return data.decode("utf-8-sig")  # an editor on Windows may write a byte order mark
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise PlantError((Problem(name, line, "", "is not UTF-8; save the file in that encoding"),)) from None
