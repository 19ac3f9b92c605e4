"""Where commands write: results on stdout, everything about them on stderr."""

import json
import sys
from collections.abc import Sequence
from math import isfinite
from typing import Any


def line(text: str = "") -> None:
    sys.stdout.write(text + "\n")


def text(whole: str) -> None:
    """A whole file, as it is."""
    sys.stdout.write(whole)


def note(text: str) -> None:
    sys.stderr.write(text + "\n")


def as_json(value: Any) -> None:
    json.dump(_finite(value), sys.stdout, indent=2, default=str, allow_nan=False)
    sys.stdout.write("\n")


def _finite(value: Any) -> Any:
    """JSON has neither NaN nor infinity: null stands there, wherever they are."""
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, list | tuple) else value


def columns(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A plain table: what a person reads and `awk` splits."""
    texts = [list(head), *[["" if cell is None else str(cell) for cell in row] for row in rows]]
    widths = [max(len(row[i]) for row in texts) for i in range(len(head))]
    for row in texts:
        line("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
