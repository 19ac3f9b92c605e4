"""What a plant file may hold: the one declaration.

The loader, its messages, the JSON Schema and the reference in docs/plant.md are made from it. What depends on more
than one value is in `twin.plant.check`. Mappings are declared in the same words (`twin.sources.mapping_shape`), and
read by the same reader.
"""

import json
from dataclasses import dataclass, field, replace
from typing import Any, Final

from twin.decimals import MAX_DECIMALS
from twin.plant import kinds
from twin.plant.kinds import Scalar, choice, duration, integer

MAX_FILE_BYTES: Final = 64 * 2**20
MAX_LINES: Final = 10_000
MAX_AREAS: Final = 1_000
MAX_STATIONS_PER_LINE: Final = 512
MAX_BUFFERS_PER_LINE: Final = 2_048
MAX_PRODUCTS_PER_LINE: Final = 10_000
MAX_COUNTERS_PER_STATION: Final = 64
MAX_MEASURES: Final = 256  # of a station, and of a line itself
MAX_PLACES: Final = 1_024
MAX_WORDS: Final = 4_096
MAX_WINDOWS_PER_LINE: Final = 8
MAX_WINDOW_STEPS: Final = 100_000  # 24 h in seconds is 86,400
MAX_PANES: Final = 10_000
MAX_SHIFTS: Final = 64
MAX_PLANNED_STOPS: Final = 4_096
MAX_EXCEPTIONS: Final = 4_096
MAX_SOURCES: Final = 1_000
MAX_REASONS: Final = 2_000
MAX_SEQ_MODULUS: Final = 65_536

# The names in kernels.figures.oee.POLICIES (a test compares them). To import that module would load numba, half a
# second for a command that only looks at a plant file.
POLICIES: Final = ("iso22400", "nakajima", "semi_e10", "changeover_performance")


@dataclass(frozen=True, slots=True)
class List:
    """An array of values; one value alone may stand without the brackets."""

    item: Scalar
    most: int


@dataclass(frozen=True, slots=True)
class Map:
    """A table whose keys are the plant's own words."""

    key: str  # what the keys are
    item: Scalar
    most: int


@dataclass(frozen=True, slots=True)
class Table:
    title: str
    keys: "tuple[Key, ...]"
    elsewhere: dict[str, str] = field(default_factory=dict)  # keys of other tables -> what to say of them here


@dataclass(frozen=True, slots=True)
class Tables:
    """An array of tables, written with double brackets."""

    item: Table
    most: int
    unique: bool = True  # no two with the same id
    inline: str = ""  # what one is called, of those that stand in braces; one alone may stand without the list


@dataclass(frozen=True, slots=True)
class Either:
    """A value, or in its place a table that says where it comes from, or what it is made of."""

    label: str
    plain: Scalar
    table: Table | Map


@dataclass(frozen=True, slots=True)
class Key:
    name: str
    kind: "Kind"
    doc: str
    required: bool = False
    default: Any = None  # as it would stand in the file

    @property
    def default_text(self) -> str:
        return "" if self.default is None else json.dumps(self.default)  # also valid TOML for what stands here


Kind = Scalar | List | Map | Table | Tables | Either


@dataclass(frozen=True, slots=True)
class Former:
    """A default as it was before it was changed."""

    table: str  # title of the table
    key: str
    default: Any


# Changes of defaults, the oldest first. A plant that began under a former default keeps it (`twin.plant.load.kept`):
# whoever changes a default writes the former one down here.
FORMER: Final[tuple[Former, ...]] = ()


def with_former(table: Table, former: Former) -> Table:
    """The declaration with one default set back."""
    return replace(table, keys=tuple(_set_back(key, table, former) for key in table.keys))


def _set_back(key: Key, table: Table, former: Former) -> Key:
    if (table.title, key.name) == (former.table, former.key):
        return replace(key, default=former.default)
    match key.kind:
        case Table():
            return replace(key, kind=with_former(key.kind, former))
        case Tables():
            return replace(key, kind=replace(key.kind, item=with_former(key.kind.item, former)))
    return key


def _id(doc: str) -> Key:
    return Key("id", kinds.ID, doc, required=True)


_STATES: Final = Map("the source's word", kinds.CLASS, MAX_WORDS)

SHIFT: Final = Table(
    "A shift",
    (
        _id("Name of the shift, as it shall stand in the results."),
        Key("days", kinds.DAYS, "Days on which it starts: a range, a list or both.", default="Mon-Sun"),
        Key("hours", kinds.HOURS, "Local start and end. An end not after the start is on the next day.", required=True),
    ),
)

PLANNED_STOP: Final = Table(
    "A planned stop: `weekly`, or `hours` (with `days`), or `from` and `to`",
    (
        _id("Name of the stop."),
        Key("weekly", kinds.WEEKLY, "Every week from one day and time to another."),
        Key("hours", kinds.HOURS, "On each of `days` from one time to another: a break."),
        Key("days", kinds.DAYS, "Days of `hours`; all where absent."),
        Key("from", kinds.LOCAL_TIME, "Once: local start."),
        Key("to", kinds.LOCAL_TIME, "Once: local end."),
    ),
)

EXCEPTION: Final = Table(
    "An exception on one date: overtime, a holiday, a break at another time",
    (
        Key("on", kinds.DATE, "Local date on which the shift, or the stop, begins.", required=True),
        Key("off", kinds.BOOLEAN, "It does not take place; without `shift` and `stop`: no shift does.", default=False),
        Key("shift", kinds.ID, "Name of the shift that is otherwise: with `hours` it takes place then, on any day."),
        Key("stop", kinds.ID, "Name of the weekly planned stop that is otherwise."),
        Key("hours", kinds.HOURS, "Local start and end on that date, instead of its own."),
    ),
)

CALENDAR: Final = Table(
    "A shift calendar. Without shifts the line is always in shift",
    (
        Key("zone", kinds.ZONE, "Time zone of every local time of the calendar.", default="UTC"),
        Key("day_start", kinds.CLOCK, "Local time at which the production day starts.", default="00:00"),
        Key("shift", Tables(SHIFT, MAX_SHIFTS), "The shifts of the week."),
        Key("planned_stop", Tables(PLANNED_STOP, MAX_PLANNED_STOPS), "Stops that are planned, inside shifts."),
        Key(
            "exception",
            Tables(EXCEPTION, MAX_EXCEPTIONS, unique=False),
            "What is otherwise on single dates. Lines go on with them as they are.",
        ),
    ),
)

LIMITS: Final = Table(
    "When the line raises an alert",
    (
        Key("down", kinds.DURATION_OR_NEVER, "A station is down for longer than this.", default="30min"),
        Key("oee_below", kinds.SHARE, "The OEE of the line falls below this."),
        Key("oee_window", duration(), "Length of the window whose OEE is looked at; the longest where absent."),
    ),
)

COUNTER: Final = Table(
    "A running counter of a station",
    (
        _id("Name of the counter in the events."),
        Key(
            "quality",
            choice("good", "scrap", "rework", "total"),
            "What it counts; total: all parts, of which scrap and rework are some.",
            default="good",
        ),
        Key("scale", integer(1, 10**9), "Parts per step of the counter.", default=1),
        Key("counts", choice("parts", "cycles"), "A step is a part, or a cycle of `parts_per_cycle`. Absent: parts."),
        Key("modulus", integer(1), "The counter wraps to 0 here, such as 65536; absent: it never wraps."),
    ),
)

EXCLUDE: Final = Table(
    "Points of a chart that are excluded: they make no limits and break no rule",
    (
        Key("from", kinds.INSTANT, "From this instant on, with its offset.", required=True),
        Key("to", kinds.INSTANT, "Up to this one; a point lies where its last value does.", required=True),
        Key("cause", kinds.TEXT, "Why: what was found, and what was done.", required=True),
    ),
)

FROZEN: Final = Table(
    "Limits that stand, such as those of a study that is done",
    (
        Key("version", kinds.ID, "Their name; it stands in every row. New figures need a new one.", required=True),
        Key("center", kinds.SIGNED, "The centre line; of p, np and u of one unit.", required=True),
        Key("sigma", kinds.DECIMAL, "Standard deviation of single values; not of counts."),
    ),
)

CHART: Final = Table(
    "A control chart of a measure; each product has its own",
    (
        Key(
            "type",
            choice("xbar_s", "xbar_r", "i_mr", "ewma", "cusum", "p", "np", "c", "u"),
            "xbar_s, xbar_r: subgroups; i_mr, ewma, cusum: single values; p, np: defective units, c, u: defects.",
            required=True,
        ),
        Key(
            "n",
            integer(1, 1_000),
            "Values in a subgroup (absent: 5); of p, np and u the units that a value is of. Absent, of p and u: each "
            "value says it (`n` of the event).",
        ),
        Key(
            "rules",
            List(choice("western_electric", "nelson"), 2),
            "Run rules that are judged. Absent: only what lies beyond the limits.",
        ),
        Key("baseline", integer(2, 1_000), "So many points make the limits (phase I), which then stand."),
        Key("limits", FROZEN, "Limits that stand from the first point on, instead of a baseline."),
        Key("exclude", Tables(EXCLUDE, 100, unique=False), "Points that are excluded, with the cause."),
        Key("weight", kinds.DECIMAL, "Of ewma: lambda, above 0 and at most 1. Absent: 0.2."),
        Key("width", kinds.DECIMAL, "Of ewma: sigmas from the centre to the limits. Absent: 3."),
        Key("k", kinds.SIGNED, "Of cusum: slack beside the target, in the unit of the measure."),
        Key("h", kinds.DECIMAL, "Of cusum: the limit of both sums, in the unit of the measure."),
    ),
)

SPECIFIED: Final = Table(
    "What values of one product should be: all of it, nothing is taken from the measure",
    (
        _id("Id of the product."),
        Key("lsl", kinds.SIGNED, "Its lower specification limit."),
        Key("usl", kinds.SIGNED, "Its upper specification limit."),
        Key("target", kinds.SIGNED, "What a value of it should be."),
        Key("nominal", kinds.SIGNED, "What a pack of it says that it holds."),
        Key("budget", kinds.DECIMAL, "What may be used for one good part of it."),
    ),
)

MEASURE: Final = Table(
    "What is measured, beside parts",
    (
        _id("Name of the measure in the events; unique at its station, or among the line's own."),
        Key(
            "kind",
            choice("meter", "amount", "gauge", "characteristic", "integral", "first_pass"),
            "meter: a running total; amount: what was used since the last one; gauge: a level, such as a temperature; "
            "characteristic: of a part, such as its weight; integral: made of a gauge, such as kWh of kW; first_pass: "
            "which units passed at once, made of counts that name a `unit`.",
            required=True,
        ),
        Key("unit", kinds.ID, "Unit of its values, such as kWh, m3, g.", required=True),
        Key("quantity", kinds.ID, "What it is of, such as energy or water: what is summed over machines."),
        Key("decimals", integer(0, MAX_DECIMALS), "Decimal places of its values; inside they are integers.", default=0),
        Key(
            "round",
            kinds.BOOLEAN,
            "Further places are rounded, half to even, as for sources that send binary fractions. Absent: such a value "
            "is refused.",
        ),
        Key("modulus", kinds.DECIMAL, "A meter wraps to 0 here, such as 1000000; absent: it never wraps."),
        Key(
            "most_per_hour",
            kinds.DECIMAL,
            "A meter cannot measure more in an hour: a reading that needs it waits for the next one to confirm it. "
            "Absent: every rise is believed.",
        ),
        Key("lsl", kinds.SIGNED, "Lower specification limit of a value."),
        Key("usl", kinds.SIGNED, "Upper specification limit of a value."),
        Key("target", kinds.SIGNED, "What a value should be; a cusum is about it."),
        Key("nominal", kinds.SIGNED, "What a pack says that it holds: what is more is given away."),
        Key("chart", CHART, "A control chart of its values."),
        Key("product", Tables(SPECIFIED, MAX_PRODUCTS_PER_LINE), "Products with a specification of their own."),
        Key("opportunities", integer(1, 10**6), "Of an amount of defects: chances of one in a part. Absent: 1."),
        Key("of", kinds.ID, "Of an integral: the gauge beside it that is summed over time."),
        Key(
            "between",
            choice("hold", "straight"),
            "What the gauge shows between two readings. hold: the earlier one, as of a source that sends changes; "
            "straight: it goes straight from one to the other, as of one that is polled.",
        ),
        Key("per", choice("hour", "minute", "second"), "The time that the gauge's unit is of. Absent: hour."),
        Key(
            "gap",
            duration(),
            "Readings farther apart are not joined: nothing is known of the time between them, and that is reported.",
        ),
        Key("budget", kinds.DECIMAL, "Of a station: what may be used for one good part, in its unit; more is told."),
        Key("budget_over", duration(), "So long is looked at for the budget. Absent: 1h."),
        Key("idle_for", duration(), "Of a station: idle for longer, it should draw nothing; if it does, that is told."),
        Key("histogram", kinds.BOOLEAN, "Of single values: rows say how they are distributed, for quantiles."),
        Key(
            "average_weight",
            kinds.BOOLEAN,
            "Of packs with a `nominal`, in g, kg, ml, cl or l: rows say how many hold too little (e-mark).",
        ),
        Key("idle_draw", kinds.DECIMAL, "With `idle_for`: what may be used in an hour, as by its controls. Absent: 0."),
    ),
)

_STATION_DEFAULTS: Final = (
    ("minor_stop", duration(0), "A stop shorter than this is a minor stop, a longer one is down.", "5min"),
    ("staleness", duration(), "Silent for longer than this, a station is unknown.", "15min"),
    (
        "parts_from",
        choice("count", "cycle"),
        "Parts come from count events, or every completed cycle makes good parts.",
        "count",
    ),
)

STATION: Final = Table(
    "A station, in the order of the line",
    (
        _id("Name of the station in the events; unique in its line."),
        Key("ideal_cycle", kinds.IDEAL_CYCLE, "Ideal time per part, where the product has none of its own."),
        Key("rate", kinds.RATE, "The same as a rate; instead of `ideal_cycle`."),
        Key("parts_per_cycle", integer(1, 10**6), "Parts that one cycle makes, such as cavities. Absent: 1."),
        Key(
            "fastest_cycle",
            duration(),
            "No part takes less: a counter's reading that would need it is not believed. Absent: half the ideal time.",
        ),
        Key("places", integer(1, MAX_PLACES), "Parts it holds at once: an oven, a carousel; absent: one."),
        Key("unit", kinds.ID, "What its parts are, such as g or pack; absent: the line's unit."),
        Key("factor", kinds.FACTOR, 'Units of the line in one of its parts: 250, or a fraction such as "1/8".'),
        *(Key(name, kind, f"{doc} Absent: as the line says.") for name, kind, doc, _ in _STATION_DEFAULTS),
        Key("counter", Tables(COUNTER, MAX_COUNTERS_PER_STATION), "Running counters."),
        Key("measure", Tables(MEASURE, MAX_MEASURES), "What is measured at the station."),
        Key("states", _STATES, "The station's own state words; they go before the line's."),
    ),
)

BUFFER: Final = Table(
    "A buffer or, with capacity 0, a direct link",
    (
        _id("Name of the buffer in the events; unique in its line."),
        Key(
            "after", List(kinds.ID, MAX_STATIONS_PER_LINE), "Stations that put parts in. Absent: supplied from outside."
        ),
        Key(
            "before", List(kinds.ID, MAX_STATIONS_PER_LINE), "Stations that take parts out. Absent: it leaves the line."
        ),
        Key("capacity", integer(0, 10**9), "Places; absent: unlimited."),
        Key("initial", integer(0, 10**9), "Parts in it before the first event.", default=0),
    ),
)

PRODUCT: Final = Table(
    "A product made on the line",
    (
        _id("Name of the product in the events; unique in its line."),
        Key("ideal_cycle", kinds.IDEAL_CYCLE, "Ideal time per part at every station that `at` does not name."),
        Key("rate", kinds.RATE, "The same as a rate; instead of `ideal_cycle`."),
        Key("parts_per_cycle", integer(1, 10**6), "Parts that one cycle makes of it. Absent: as the station says."),
        Key("at", Map("station id", kinds.CYCLE_OR_RATE, MAX_STATIONS_PER_LINE), "Ideal time or rate at one station."),
        Key("factor", Map("station id", kinds.FACTOR, MAX_STATIONS_PER_LINE), "Its own factor at one station."),
    ),
)

TARGET: Final = Table(
    "What the line is held against: no figure of the twin depends on it. Without one there is no colour and no verdict",
    (
        Key("oee", kinds.SHARE, "The OEE it should have."),
        Key("changeover", duration(), "How long a changeover may take."),
        Key(
            "parts_per_hour",
            Map("product id", integer(1, 10**9), MAX_PRODUCTS_PER_LINE),
            'Good parts per planned hour, by product; "*": of every other product and where none is known.',
        ),
    ),
)

LINE: Final = Table(
    "A line",
    (
        _id("Name of the line: the key of its events on the topic; unique in the plant."),
        Key("area", kinds.ID, "Area it stands in.", required=True),
        Key("type", choice("assembly", "flow", "batch", "cell"), "Type of the line.", required=True),
        Key("policy", choice(*POLICIES), "Loss policy: which time counts as which loss.", default="iso22400"),
        Key(
            "windows",
            List(kinds.WINDOW, MAX_WINDOWS_PER_LINE),
            "Rolling windows: length/step.",
            default=["1min/1s", "1h/1min"],
        ),
        Key("publish_every", duration(), "Event time between two published rows of a window.", default="1min"),
        Key("lateness", duration(0), "How late an event may arrive and still be sorted in.", default="5s"),
        Key(
            "revise", duration(), "Beyond `lateness`, so long a late event or a correction revises rows; absent: never."
        ),
        Key(
            "max_jump",
            duration(),
            "An event ahead of its line by more than 30 min, or by more than this if it is less, is held until a later "
            "one confirms it. Ahead of the held one by more than this, the later one is held in its turn.",
            default="1d",
        ),
        Key(
            "seq_modulus",
            integer(2, MAX_SEQ_MODULUS),
            "The `seq` of its sources wraps to 0 here, such as 256 for Sparkplug; absent: it never wraps.",
        ),
        Key("pane", duration(), "Length of a pane of the bottleneck analysis.", default="10min"),
        Key("panes", integer(1, MAX_PANES), "Panes in the window of the bottleneck analysis.", default=12),
        Key(
            "constraint",
            kinds.ID,
            "Station whose OEE is the line's; absent: the slowest, the one with the longest ideal cycle by `factor`.",
        ),
        Key("unit", kinds.ID, "Unit in which stations are compared that count different things: g, biscuit."),
        Key(
            "requires_order",
            kinds.BOOLEAN,
            "Time without an order counts as no_order, unless the station runs or, after an order, reports setup, "
            "maintenance or down.",
            default=False,
        ),
        *(Key(name, kind, doc, default=default) for name, kind, doc, default in _STATION_DEFAULTS),
        Key("station", Tables(STATION, MAX_STATIONS_PER_LINE), "The stations in their order.", required=True),
        Key("buffer", Tables(BUFFER, MAX_BUFFERS_PER_LINE), "What joins the stations."),
        Key("product", Tables(PRODUCT, MAX_PRODUCTS_PER_LINE), "What the line makes."),
        Key("measure", Tables(MEASURE, MAX_MEASURES), "What is measured of the line as a whole."),
        Key("states", _STATES, "Time class of each state word of the sources."),
        Key("calendar", CALENDAR, "The line's own calendar, instead of the plant's."),
        Key("limits", LIMITS, "When the line raises an alert."),
        Key("target", TARGET, "What the line is held against. A change starts nothing anew."),
    ),
)

AREA: Final = Table("An area of the site", (_id("Name of the area."),))

REASON: Final = Table(
    "A reason that operators may give for a stop. A change starts no line anew",
    (
        _id("The reason as it stands in events and results. Never use an id again for something else."),
        Key("parent", kinds.ID, "The reason that it is one of. Two levels, no more."),
        Key("label", Map("language (en, de)", kinds.TEXT, 32), "What people read; absent: the id."),
        Key("stations", List(kinds.ID, MAX_STATIONS_PER_LINE), "Stations, of whichever line. Absent: all."),
        Key("class", kinds.CLASS, "Time class of such a stop, such as maintenance. Absent: as the machine said."),
        Key("retired", kinds.DATE, "From this date on it is not offered; what was said with it stays."),
    ),
)

SOURCE: Final = Table(
    "A log to read. Not part of the model: a change here leaves the model hash as it is",
    (
        Key("files", kinds.TEXT, 'Which files: a pattern such as "logs/press-*.csv".', required=True),
        Key("mapping", kinds.TEXT, "Mapping file for them, relative to the plant file."),
    ),
)

PLANT: Final = Table(
    "The plant",
    (
        Key("site", kinds.ID, "Name of the site.", required=True),
        Key("area", Tables(AREA, MAX_AREAS), "The areas of the site.", required=True),
        Key("line", Tables(LINE, MAX_LINES), "The lines.", required=True),
        Key("calendar", CALENDAR, "Calendar of every line that has none of its own."),
        Key(
            "earliest",
            kinds.EARLIEST,
            "No event is older: an earlier `ts` is refused as `bad_time`. Absent: 2000-01-01.",
        ),
        Key("reason", Tables(REASON, MAX_REASONS), "The reasons that operators may give."),
        Key(
            "revision",
            integer(1, 10**9),
            "Raise it with every change of the file: of two models the higher one counts, and a worker with the lower "
            "one ends. Absent: whichever file is loaded.",
        ),
        Key("source", Tables(SOURCE, MAX_SOURCES, unique=False), "Logs to read."),
    ),
)
