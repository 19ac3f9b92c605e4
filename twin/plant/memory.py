"""What the windows of a line need in memory, computed before anything is allocated."""

from typing import Final

from kernels.codes import N_COLUMNS
from twin.plant.model import Line, Window

_CELL_BYTES: Final = 8  # int64


def ring_slots(window: Window, minor_stop_ns: int) -> int:
    """Slots of one station's ring of cumulative vectors for a window.

    length / step, one for either end, and as many steps as a stop may last before it is known to be minor or down:
    until then the slots since its start can still change.
    """
    return window.length_ns // window.step_ns + 2 + -(-minor_stop_ns // window.step_ns)


def ring_bytes(line: Line) -> int:
    """Bytes of all window rings of a line."""
    slots = sum(ring_slots(window, station.minor_stop_ns) for window in line.windows for station in line.stations)
    return slots * N_COLUMNS * _CELL_BYTES
