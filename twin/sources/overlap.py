"""Exports that overlap: the same event in two logs. Told, not mended: only the source knows whether it was one."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from kernels.codes import HEARTBEAT
from twin.events.block import EventBlock
from twin.sources.summary import Summary
from twin.sources.times import iso

I64 = npt.NDArray[np.int64]
_SAME = ("ts", "line", "station", "type", "code", "a", "b", "c", "x", "y", "z", "entry")


class Overlap:
    """Looks at merged blocks of several logs. Equal events of one log are events of their own."""

    def __init__(self, names: Sequence[str], named: Sequence[bool], summary: Summary) -> None:
        self._names = names
        self._bare = np.array([not one for one in named], bool)  # logs whose rows nothing but a number tells apart
        self._summary = summary

    def look(self, block: EventBlock, own: I64) -> None:
        """A block that holds all events of its span of time; `own` is the log of each."""
        together = np.flatnonzero((np.diff(block.ts) == 0) & (own[1:] != own[:-1]))
        if not len(together):
            return
        bare = (block.seq < 0) & self._bare[own] & (block.type != HEARTBEAT)
        if not bare.any():
            return
        at = np.unique(block.ts[together])
        rows = np.flatnonzero(bare & np.isin(block.ts, at))
        columns = [own[rows], *(getattr(block, name)[rows].astype(np.int64) for name in reversed(_SAME))]
        order = np.lexsort(columns)
        keys = np.stack(columns[1:])[:, order]
        from_log = own[rows][order]
        same = (keys[:, 1:] == keys[:, :-1]).all(axis=0) & (from_log[1:] != from_log[:-1])
        count = int(same.sum())
        if not count:
            return
        first = int(np.argmax(same))
        one, two = self._names[from_log[first]], self._names[from_log[first + 1]]
        self._summary.problem(
            "overlap",
            f"{two}: holds the same events as {one}, such as that of {iso(int(keys[-1, first]))}; both count. If the "
            "exports overlap, events need numbers (seq); in a mapping name the column that numbers the rows (seq = { "
            "column = ... }) or names them (row = { column = ... })",
            count,
        )
