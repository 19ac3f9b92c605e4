"""Where commands write: results on stdout, everything about them on stderr."""

import json
import sys
from collections.abc import Sequence
from typing import Any


def line(text: str = "") -> None:
    sys.stdout.write(text + "\n")


def note(text: str) -> None:
    sys.stderr.write(text + "\n")


def as_json(value: Any) -> None:
    json.dump(value, sys.stdout, indent=2, default=str, allow_nan=False)
    sys.stdout.write("\n")


def columns(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A plain table: what a person reads and `awk` splits."""
    texts = [list(head), *[["" if cell is None else str(cell) for cell in row] for row in rows]]
    widths = [max(len(row[i]) for row in texts) for i in range(len(head))]
    for row in texts:
        line("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
