"""Table files that a case names: CSV, perhaps compressed by gzip.

A name is looked for as it is, then below `FOLDERS` and the folders right in them, with `.gz` too. A caller may put
folders in front.
"""

import csv
import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

_HOME = Path(__file__).resolve().parents[2]  # of a checkout: its own tables, and those that lie beside it
FOLDERS: list[Path] = [
    Path("data"),
    Path("../data"),
    Path("shared/data"),
    Path("../shared/data"),
    _HOME / "tests/data/mass-production",
    _HOME.parent / "shared/data",
]


def find(name: str) -> Path:
    """The file of that name. FileNotFoundError says where it was looked for."""
    for wanted in (name, f"{name}.gz"):
        if Path(wanted).is_file():
            return Path(wanted)
        for folder in FOLDERS:
            for path in (folder / wanted, *sorted(folder.glob(f"*/{wanted}"))):
                if path.is_file():
                    return path
    raise FileNotFoundError(f"no table {name!r} here or below {', '.join(map(str, FOLDERS))}")


@contextmanager
def _open(name: str) -> Iterator[TextIO]:
    path = find(name)
    with (
        gzip.open(path, "rt", encoding="utf-8-sig") if path.suffix == ".gz" else path.open(encoding="utf-8-sig") as file
    ):
        yield file


def table(name: str) -> list[dict[str, str]]:
    """The rows of a CSV file by the names in its first line."""
    with _open(name) as file:
        return list(csv.DictReader(file))


def numbers(name: str) -> list[list[str]]:
    """The rows of a file of numbers between blanks or commas, without names."""
    with _open(name) as file:
        return [line.replace(",", " ").split() for line in file if line.strip()]
