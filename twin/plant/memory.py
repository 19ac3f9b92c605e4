"""What the windows of a line need in memory, computed before anything is allocated."""

from typing import Final

from kernels.codes import N_COLUMNS
from twin.plant.model import Line, Window

_CELL_BYTES: Final = 8  # int64


def ring_slots(window: Window) -> int:
    """Slots of one station's ring of cumulative vectors for a window: one more than steps, for both ends."""
    return window.length_ns // window.step_ns + 1


def tick_slots(line: Line) -> int:
    """Publishing ticks whose rows may wait at one time for stops that are not known yet to be minor or down."""
    return -(-max(station.minor_stop_ns for station in line.stations) // line.publish_every_ns) + 3


def window_bytes(line: Line) -> int:
    """Bytes that the windows of a line take: their rings, and the rows that wait."""
    cells = sum(ring_slots(window) * N_COLUMNS + tick_slots(line) * (N_COLUMNS + 1) for window in line.windows)
    return cells * len(line.stations) * _CELL_BYTES
