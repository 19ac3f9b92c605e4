"""Rows that their source names: what was read under its name before, also in another log, counts once."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

import numpy as np
import numpy.typing as npt

from twin.sources.template import Column

U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Run = tuple[U64, U64, U64]  # sorted by the first: half a name, the other half, what the row held

_SPREAD: Final = np.uint64(0x9E3779B97F4A7C15)  # odd, so that multiplying loses nothing


class RowNames:
    """The names of all rows read so far, as 128-bit hashes: 24 bytes a row.

    Names are told apart within their `scope` only, for each machine may number its rows itself.
    """

    def __init__(self) -> None:
        self._runs: list[Run] = []

    def look(self, name: Sequence[Column], others: Sequence[Column], scope: I64, rows: Mask) -> tuple[Mask, Mask]:
        """The rows (of those marked) that were read before, and those of them that then held something else.

        A row without a name is never a repeat.
        """
        named = rows & np.logical_or.reduce([one.spread(lambda text: bool(text)).astype(bool) for one in name])
        at = np.flatnonzero(named)
        repeated, changed = np.zeros(len(rows), bool), np.zeros(len(rows), bool)
        if not len(at):
            return repeated, changed
        first, second = (_mixed([_hashes(one, half) for one in name], scope)[at] for half in (0, 1))
        held = _mixed([_hashes(one, 0) for one in others], np.zeros(len(rows), np.int64))[at]
        order = np.lexsort((second, first))  # stable: of equal names the one that was read first
        first, second, held, at = first[order], second[order], held[order], at[order]
        again = np.zeros(len(at), bool)
        again[1:] = (first[1:] == first[:-1]) & (second[1:] == second[:-1])
        began = np.maximum.accumulate(np.where(again, 0, np.arange(len(at))))
        differs = again & (held != held[began])
        for run in self._runs:
            known, was = _found(run, first, second)
            differs = np.where(known, held != was, differs)
            again |= known
        repeated[at], changed[at] = again, differs
        fresh = ~again
        self._add((first[fresh], second[fresh], held[fresh]))
        return repeated, changed

    def _add(self, run: Run) -> None:
        """Runs double in size, so that there are few of them and each name is moved a few times only."""
        while self._runs and len(self._runs[-1][0]) <= 2 * len(run[0]):
            before = self._runs.pop()
            order = np.argsort(np.concatenate([before[0], run[0]]), kind="stable")
            joined = [np.concatenate([old, new])[order] for old, new in zip(before, run, strict=True)]
            run = (joined[0], joined[1], joined[2])
        self._runs.append(run)


def _found(run: Run, first: U64, second: U64) -> tuple[Mask, U64]:
    """Which names are in a run, and what their rows held. Two names of one half: one in 2**64."""
    place = np.minimum(np.searchsorted(run[0], first), max(len(run[0]) - 1, 0))
    if not len(run[0]):
        return np.zeros(len(first), bool), np.zeros(len(first), np.uint64)
    return (run[0][place] == first) & (run[1][place] == second), run[2][place]


def _hashes(column: Column, half: int) -> U64:
    """64 bits of every row's text."""
    return column.spread(
        lambda text: int.from_bytes(
            blake2b(text.encode(), digest_size=16).digest()[8 * half : 8 * half + 8], "little", signed=True
        )
    ).view(np.uint64)


def _mixed(parts: Sequence[U64], scope: I64) -> U64:
    mixed = (scope + 2).astype(np.uint64) * _SPREAD
    for part in parts:
        mixed = (mixed ^ (mixed >> np.uint64(29))) * _SPREAD + part
    return mixed
