"""An order that was put aside and taken up again: a span in parts, between which other things were made."""

from collections.abc import Iterable, Sequence
from typing import Final

from twin.report.rows import Row

CUT: Final = "cut"  # of a row of states: it began before the part that it is in

Interval = tuple[int, int]  # [start, end) in ns since 1970 UTC


def merged(intervals: Iterable[Interval]) -> tuple[Interval, ...]:
    """In order of time, those that meet as one."""
    found: list[Interval] = []
    for start, end in sorted(intervals):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return tuple(found)


def within(intervals: Iterable[Interval], parts: Sequence[Interval]) -> list[Interval]:
    """What of intervals lies in the parts."""
    cuts = ((max(a, start), min(b, end)) for a, b in intervals for start, end in parts)
    return [(a, b) for a, b in cuts if a < b]


def cut(states: Sequence[Row], parts: Sequence[Interval]) -> list[Row]:
    """Rows of states, cut where a part ends and the next one begins; the span's own edges stay to whoever sums."""
    if len(parts) < 2:
        return list(states)
    first, last = parts[0][0], parts[-1][1]
    found = []
    for row in states:
        for start, end in parts:
            a = int(row["start"]) if start == first else max(int(row["start"]), start)
            b = int(row["end"]) if end == last else min(int(row["end"]), end)
            if a < b and a < end and b > start:
                found.append({**row, "start": a, "end": b, CUT: a != row["start"]})
    return found
