"""Integer codes and column numbers shared by every kernel.

Append, never renumber. A time class is put before STOPPED, which moves the numbers behind it: snapshots name them.
"""

from typing import Final

# Time classes: every station is at every instant in exactly one of them (ISO 22400-2, SEMI E10).
UNKNOWN: Final = 0
OFF_SHIFT: Final = 1
PLANNED_STOP: Final = 2
NO_ORDER: Final = 3
RUNNING: Final = 4
SETUP: Final = 5
STARVED: Final = 6
BLOCKED: Final = 7
MINOR_STOP: Final = 8
DOWN: Final = 9
MAINTENANCE: Final = 10
WAITING: Final = 11
N_CLASSES: Final = 12
# A stop whose length does not yet say whether it is a minor stop or a downtime. Never in a result row.
STOPPED: Final = 12

CLASS_NAMES: Final = (
    "unknown",
    "off_shift",
    "planned_stop",
    "no_order",
    "running",
    "setup",
    "starved",
    "blocked",
    "minor_stop",
    "down",
    "maintenance",
    "waiting",
    "stopped",
)

# Columns of a station's cumulative vector: ns per class (0..12), then these. All int64, all additive.
GOOD: Final = 13
SCRAP: Final = 14
REWORK: Final = 15
IDEAL_NS: Final = 16  # parts x ideal cycle time of the product made
CYCLES: Final = 17  # completed cycles
CYCLE_NS: Final = 18  # time inside completed cycles
MINOR_STOPS: Final = 19
DOWNS: Final = 20
CAUSAL_NS: Final = 21  # time as the longest active station of its line (causal active period)
N_COLUMNS: Final = 22
# As snapshots name them.
COLUMN_NAMES: Final = (
    *CLASS_NAMES,
    "good",
    "scrap",
    "rework",
    "ideal_ns",
    "cycles",
    "cycle_ns",
    "minor_stops",
    "downs",
    "causal_ns",
)

# Event types.
STATE: Final = 0
COUNT: Final = 1
CYCLE: Final = 2
ORDER: Final = 3
BUFFER: Final = 4
HEARTBEAT: Final = 5
CORRECTION: Final = 6
MEASURE: Final = 7
PRODUCT: Final = 8
EVENT_NAMES: Final = ("state", "count", "cycle", "order", "buffer", "heartbeat", "correction", "measure", "product")

# `code` of a cycle, an order, a count.
START: Final = 0
END: Final = 1
PARTS: Final = 0  # count: parts since the last count
COUNTER: Final = 1  # count: value of a running counter

# An event further ahead of its line's newest one is held until another one confirms it, whatever `max_jump` allows.
BELIEVED_JUMP_NS: Final = 1_800_000_000_000
# A line begins with two events this near to each other.
BEGIN_WITHIN_NS: Final = 86_400_000_000_000
# Of a line that says nothing the schedule is followed so long; a broken clock may leave out 200 years.
FOLLOWED_NS: Final = 92 * 86_400_000_000_000

NONE: Final = -1
INVALID: Final = -2  # there, but not an allowed value
