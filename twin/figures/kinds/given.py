"""What the adapters share: reading `given` and writing figures as plain numbers, lists and dictionaries."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

Given = Mapping[str, Any]
Kind = Callable[[Given], Any]


def rows(given: Given, key: str, columns: str = "columns") -> list[dict[str, Any]]:
    """The rows of `given[key]` by the names in `given[columns]`. ValueError for a row of another width."""
    names = list(need(given, columns))
    found = []
    for i, row in enumerate(need(given, key)):
        if len(row) != len(names):
            raise ValueError(f"{key}[{i}] has {len(row)} fields, {columns} names {len(names)}")
        found.append(dict(zip(names, row, strict=True)))
    return found


def need(given: Given, key: str) -> Any:
    """`given[key]`; ValueError where it is missing."""
    if key not in given:
        raise ValueError(f"given has no {key!r}; it has {', '.join(map(repr, given)) or 'nothing'}")
    return given[key]


def same_length(**lists: Sequence[Any]) -> None:
    """ValueError unless all of them have one length."""
    if len({len(one) for one in lists.values()}) > 1:
        raise ValueError(", ".join(f"{len(one)} {name}" for name, one in lists.items()) + ": expected as many of each")


def plain(value: Any) -> Any:
    """Figures as JSON has them, but for exact ratios, which stay `Fraction` (whole ones become integers)."""
    if isinstance(value, Fraction):
        return int(value) if value.denominator == 1 else value
    if isinstance(value, np.generic):
        return plain(value.item())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return value
