"""What a line remembers beside its numbers: panes of the bottleneck, active periods, what is alarmed.

Snapshots hold these as arrays: a field is appended, with a default that means nothing is remembered. A snapshot with
more fields than there are here is one of a later version, and refused.
"""

import msgspec


class Pane(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """A closed bottleneck pane: per station path, blocked, starved, running, causal, sole, shifting (ns), cycles."""

    start: int
    end: int
    cells: list[list[int]]


class PathFrom(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """Since when the critical path of the running order counts, where that is not since its start: the plant has
    changed. And per station what the order has of blocked, starved, running and causal from before (ns)."""

    start: int
    before: list[list[int]]


class LineMemory(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    periods: list[tuple[int, int, int]] = []  # closed active periods (start, end, station) that no pane has used up
    panes: list[Pane] = []  # of the bottleneck window
    order_panes: list[Pane] = []  # full panes of the running order; merged two by two beyond a limit
    verdict: str | None = None  # last decided bottleneck
    leader: tuple[str, float] | None = None  # station with the highest share of the last window, and the share
    shown: str | None = None  # verdict of the last window, "undecided" included
    oee_low: bool = False
    suspects: list[str] = []  # stations whose ideal cycle time is suspect
    stops: list[list[int]] = []  # parts of stops whose length does not yet say what they are
    ended: list[str] = []  # orders that have ended, the last ones
    doubts: dict[str, tuple[int, int]] = {}  # by what casts doubt (twin.line.doubts): how often, and first when
    path_from: PathFrom | None = None
    families: dict[str, bytes] = {}  # in what is saved only: states of families (twin.measures.families)
    # What was declared of products (twin.line.declared), that used last at the end; and their texts by slot.
    declared: dict[str, dict[str, tuple[int, int, int]]] = {}
    slots: list[str] = []


class SavedHistory(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """What a line keeps to fold late events in (twin.line.revision)."""

    bases: list[tuple[int, bytes]]
    events: bytes
    late: list[tuple[int, bytes, bytes, int]]  # due, row, JSON, offset
    corrections: list[tuple[int, bytes, bytes, int]]  # likewise
    # Events that were corrected: as they came (rows), and of each the corrections that stand (JSON, offset, arrival).
    amended: bytes = b""
    told: list[list[tuple[bytes, int, int]]] = []


def doubts_in_order(met: dict[str, tuple[int, int]]) -> list[tuple[str, tuple[int, int]]]:
    """What a line remembers of doubts (`LineMemory.doubts`), by the time of the first."""
    return sorted(met.items(), key=lambda one: (one[1][1], one[0]))
