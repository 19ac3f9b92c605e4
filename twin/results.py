"""The audited sets: their Arrow schemas, in one place.

Additive integers come first; every ratio beside them can be made again from them. `ORIGIN` names where a row came from;
a digest leaves it out, so that the same log gives the same digest over any topic, partition or file.

Sets grow and never shrink: a column is only ever added, with the version in `SINCE`, and may be null (older files do
not have it). Whoever reads a file takes the schema of the file's own version: `schema_of`.
"""

from functools import cache
from typing import Any, Final

import pyarrow as pa

from kernels.codes import CLASS_NAMES, N_CLASSES
from twin.events.declare import WIRE

# Released is 2 (`tests/data/schemas`): until a release has 3, a root of a state between releases may not be readable.
SCHEMA_VERSION: Final = 3
# The oldest files that are read: those of the first release.
OLDEST_SCHEMA: Final = 2

TS = pa.timestamp("ns", tz="UTC")
DATE = pa.date32()
TEXT = pa.string()
NAME = pa.dictionary(pa.int32(), pa.string())

INDEX: Final = "source_index"
ORIGIN: Final = ("source_topic", "source_partition", "source_offset", INDEX)
_ORIGIN_FIELDS: Final = [
    pa.field("source_topic", NAME),
    pa.field("source_partition", pa.int32(), nullable=False),
    pa.field("source_offset", pa.int64(), nullable=False),
]

# As declared (twin.events.declare), but for the order of the first.
_FIRST_OF_EVENTS: Final = ("line", "station", "type", "ts")
_NEVER_NULL: Final = ("line", "type", "ts", "epoch")

EVENTS: Final = pa.schema(
    [
        *[
            pa.field(name, WIRE[name].arrow_type, nullable=name not in _NEVER_NULL)
            for name in (*_FIRST_OF_EVENTS, *(name for name in WIRE if name not in _FIRST_OF_EVENTS))
        ],
        *_ORIGIN_FIELDS,
        pa.field(INDEX, pa.int32(), nullable=False),  # of the event within its record
    ]
)

# A row that late news has changed is written again with a higher revision; the newest one of a row's identity counts.
_REVISION: Final["list[pa.Field[Any]]"] = [
    pa.field("revision", pa.int32(), nullable=False),
    pa.field("revised", TS),  # the line's event time at which it replaced what stood there; null: the first
    pa.field("retracted", pa.bool_(), nullable=False),  # nothing stands there any more
]

STATES: Final = pa.schema(
    [
        pa.field("line", NAME, nullable=False),
        pa.field("station", NAME, nullable=False),
        pa.field("start", TS, nullable=False),
        pa.field("end", TS, nullable=False),
        pa.field("class", NAME, nullable=False),
        pa.field("state", NAME),  # the source's own word
        pa.field("reason", NAME),
        pa.field("order", NAME),
        pa.field("product", NAME),
        pa.field("production_date", DATE),
        pa.field("shift", NAME),
        *_REVISION,
        pa.field("model", NAME, nullable=False),
        pa.field("line_model", NAME),
        *_ORIGIN_FIELDS,
    ]
)

CLASS_COLUMNS: Final = tuple(f"{name}_ns" for name in CLASS_NAMES[:N_CLASSES])

_INTERVAL: Final["list[pa.Field[Any]]"] = [
    pa.field("line", NAME, nullable=False),
    pa.field("station", NAME),  # null: the line
    pa.field("window", NAME, nullable=False),  # a window's id, or shift, day, order
    pa.field("start", TS, nullable=False),
    pa.field("end", TS, nullable=False),
    pa.field("production_date", DATE),
    pa.field("shift", NAME),
    pa.field("order", NAME),
    pa.field("product", NAME),
    *_REVISION,
    pa.field("policy", NAME, nullable=False),
    pa.field("model", NAME, nullable=False),
    pa.field("line_model", NAME),
]

KPIS: Final = pa.schema(
    [
        *_INTERVAL,
        pa.field("quantity", pa.int64()),  # parts ordered: rows of orders only
        pa.field("unit", NAME),  # what its parts are, where the plant says it; of a line's row, its constraint's
        *[pa.field(name, pa.int64(), nullable=False) for name in CLASS_COLUMNS],
        pa.field("good", pa.int64(), nullable=False),
        pa.field("scrap", pa.int64(), nullable=False),
        pa.field("rework", pa.int64(), nullable=False),
        pa.field("ideal_ns", pa.int64(), nullable=False),
        pa.field("cycles", pa.int64(), nullable=False),
        pa.field("cycle_ns", pa.int64(), nullable=False),
        pa.field("minor_stops", pa.int64(), nullable=False),
        pa.field("downs", pa.int64(), nullable=False),
        pa.field("availability", pa.float64()),
        pa.field("performance", pa.float64()),
        pa.field("quality", pa.float64()),
        pa.field("oee", pa.float64()),
        pa.field("suspect", pa.bool_(), nullable=False),  # performance over 100 %
        pa.field("constraint", NAME),  # line rows only
        pa.field("ote", pa.float64()),  # line rows only: overall throughput effectiveness
        *_ORIGIN_FIELDS,
    ]
)

BOTTLENECKS: Final = pa.schema(
    [
        *_INTERVAL[:1],
        pa.field("station", NAME, nullable=False),
        *_INTERVAL[2:],
        pa.field("critical_path_ns", pa.int64(), nullable=False),
        pa.field("elapsed_ns", pa.int64(), nullable=False),
        pa.field("share", pa.float64()),
        pa.field("share_low", pa.float64()),  # null: too few panes for an interval
        pa.field("share_high", pa.float64()),
        pa.field("panes", pa.int32(), nullable=False),
        pa.field("verdict", NAME, nullable=False),  # the bottleneck's station, or "undecided"
        pa.field("blocked_ns", pa.int64(), nullable=False),
        pa.field("starved_ns", pa.int64(), nullable=False),
        pa.field("running_ns", pa.int64(), nullable=False),
        pa.field("utilization", pa.float64()),
        pa.field("turning_point", pa.bool_(), nullable=False),
        pa.field("arrow", pa.bool_(), nullable=False),  # named a bottleneck by the arrow rule
        pa.field("active_sole_ns", pa.int64(), nullable=False),  # hindsight, within the pane; 0 outside panes' windows
        pa.field("active_shifting_ns", pa.int64(), nullable=False),
        pa.field("active_causal_ns", pa.int64(), nullable=False),
        *_ORIGIN_FIELDS,
    ]
)

# What was measured, between two publishing ticks: longer times are sums of these rows. An interval has a row for each
# order, shift and time class that its values belong to, so no value stands in two rows.
MEASURES: Final = pa.schema(
    [
        *[field for field in _INTERVAL if field.name != "policy"],
        pa.field("measure", NAME, nullable=False),
        pa.field("quantity", NAME),
        pa.field("unit", NAME, nullable=False),
        pa.field("during", NAME),  # what the station did meanwhile, a time class; null: a measure of the line
        pa.field("decimals", pa.int32(), nullable=False),  # what follows is in the last of so many decimal places
        pa.field("n", pa.int64(), nullable=False),  # values, also those that were not believed
        pa.field("amount", pa.int64()),  # meters and amounts: what was used
        pa.field("least", pa.int64()),  # of the values; not of meters
        pa.field("most", pa.int64()),
        pa.field("total", pa.int64()),  # gauges and characteristics: sum of the values
        pa.field("squares_high", pa.int64()),  # and of their squares: high x 10^18 + low
        pa.field("squares_low", pa.int64()),
        pa.field("t1_errors", pa.int64()),  # packs below nominal - TNE, where the average weight rule is asked for
        pa.field("t2_errors", pa.int64()),  # and below nominal - 2 TNE
        pa.field("histogram", TEXT),  # of the values, where it is asked for (twin.measures.distribution)
        *_ORIGIN_FIELDS,
    ]
)

# What comes one by one and in order: a point of a control chart, with its limits and the rules that are broken there.
SAMPLES: Final = pa.schema(
    [
        pa.field("line", NAME, nullable=False),
        pa.field("station", NAME),  # null: a measure of the line
        pa.field("measure", NAME, nullable=False),
        pa.field("chart", NAME, nullable=False),
        pa.field("point", pa.int64(), nullable=False),  # number within measure, chart and product, from 0
        pa.field("start", TS, nullable=False),
        pa.field("end", TS, nullable=False),
        pa.field("production_date", DATE),
        pa.field("shift", NAME),
        pa.field("order", NAME),
        pa.field("product", NAME),
        *_REVISION,
        pa.field("model", NAME, nullable=False),
        pa.field("line_model", NAME),
        pa.field("unit", NAME, nullable=False),
        pa.field("decimals", pa.int32(), nullable=False),
        pa.field("n", pa.int64(), nullable=False),  # values in it
        pa.field("total", pa.int64()),  # their sum, in the last of so many decimal places
        pa.field("figure", pa.float64()),  # what the chart shows, in the unit of the measure
        pa.field("center", pa.float64()),  # null: no limits yet
        pa.field("lower", pa.float64()),
        pa.field("upper", pa.float64()),
        pa.field("sigma", pa.float64()),  # of single values, that the limits are made of
        pa.field("lsl", pa.float64()),  # what the plant asks of single values
        pa.field("usl", pa.float64()),
        pa.field("aim", pa.float64()),
        pa.field("phase", pa.int32()),  # 1: it makes limits; 2: it is judged by limits that stand
        pa.field("limits_version", NAME),
        pa.field("signals", NAME),  # rules broken at this point, with spaces between; null: none
        pa.field("cause", NAME),  # why it is excluded
        *_ORIGIN_FIELDS,
    ]
)

ALERTS: Final = pa.schema(
    [
        pa.field("line", NAME, nullable=False),
        pa.field("station", NAME),
        pa.field("kind", NAME, nullable=False),  # twin.alert_kinds
        pa.field("action", NAME, nullable=False),  # raised, cleared
        pa.field("ts", TS, nullable=False),
        pa.field("since", TS),
        pa.field("value", pa.float64()),
        pa.field("limit", pa.float64()),
        pa.field("detail", TEXT),
        pa.field("subject", NAME),  # of data_quality, what is counted of the source: late, repeats, gaps, skew
        *_REVISION,
        pa.field("model", NAME, nullable=False),
        pa.field("line_model", NAME),
        *_ORIGIN_FIELDS,
    ]
)

REJECTED: Final = pa.schema(
    [
        pa.field("reason", NAME, nullable=False),
        pa.field("detail", TEXT),
        pa.field("line", TEXT),
        pa.field("ts", TS),
        pa.field("value", pa.binary(), nullable=False),
        *_ORIGIN_FIELDS,
    ]
)

# What a fold refuses, on its way to `rejected`: each with the offset of its own record, which may have come long ago.
REFUSED: Final = pa.schema([*(field for field in REJECTED if field.name not in ORIGIN), REJECTED.field(ORIGIN[2])])

# What makes a row of results itself; of several with one identity the highest revision counts. By the hash of the line:
# a change of the plant that leaves the line as it is leaves its rows theirs. Rows of version 2 have none: it is the one
# that the line has in their `model` (`twin.audit.models.line_models`).
IDENTITY: Final = {
    "states": ("line", "station", "start", "line_model"),
    "kpis": ("line", "station", "window", "start", "end", "policy", "line_model"),
    "bottlenecks": ("line", "station", "window", "start", "end", "policy", "line_model"),
    "alerts": ("line", "station", "kind", "action", "ts", "subject", "line_model"),
    "measures": (
        *("line", "station", "measure", "window", "start", "end"),
        *("production_date", "shift", "order", "product", "during", "line_model"),
    ),
    "samples": ("line", "station", "measure", "chart", "product", "end", "point", "line_model"),
}

SETS: Final[dict[str, pa.Schema]] = {
    "events": EVENTS,
    "states": STATES,
    "kpis": KPIS,
    "bottlenecks": BOTTLENECKS,
    "alerts": ALERTS,
    "rejected": REJECTED,
    "measures": MEASURES,
    "samples": SAMPLES,
}
# The column a set is foldered (UTC date) and sorted by.
TIME_COLUMN: Final = {
    "events": "ts",
    "states": "end",
    "kpis": "end",
    "bottlenecks": "end",
    "alerts": "ts",
    "rejected": "ts",
    "measures": "end",
    "samples": "end",
}
# Version that brought a column, of those that version 2 had not. New names are no SQL words. The sets `measures`
# and `samples` came with version 3: there is no older file of them.
SINCE: Final[dict[str, dict[str, int]]] = {
    "states": {"product": 3, "production_date": 3, "shift": 3, "line_model": 3},
    "kpis": {"production_date": 3, "line_model": 3, "quantity": 3, "unit": 3},
    "events": dict.fromkeys(
        (
            *("by", "entered", "note", "cause", "due", "verb"),
            *("measure", "measured", "ideal_cycle", "rate", "factor", "defect", "n"),
        ),
        3,
    ),
    "bottlenecks": {"production_date": 3, "line_model": 3},
    "alerts": {"subject": 3, "line_model": 3},
    "measures": {"t1_errors": 3, "t2_errors": 3, "histogram": 3},
}


@cache
def schema_of(set_name: str, version: int = SCHEMA_VERSION) -> pa.Schema:
    """The schema that files of this version have: the columns that were there by then, in today's order."""
    since = SINCE.get(set_name, {})
    return pa.schema([field for field in SETS[set_name] if since.get(field.name, OLDEST_SCHEMA) <= version])
