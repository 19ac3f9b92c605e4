"""The plant model as the twin uses it: frozen, validated, times in integer nanoseconds."""

from dataclasses import dataclass, field
from typing import Any, Final, Literal

from twin.plant.shared import once_a_plant

LineType = Literal["assembly", "flow", "batch", "cell"]
Quality = Literal["good", "scrap", "rework", "total"]
ChartType = Literal["xbar_s", "xbar_r", "i_mr", "ewma", "cusum", "p", "np", "c", "u"]
MeasureKind = Literal["meter", "amount", "gauge", "characteristic", "integral", "first_pass"]
ABSENT: Final = "absent"  # in a field's metadata: see `later`


def later(absent: Any) -> Any:
    """A field that form 1 of the model did not have: `absent` is what it means, for ever, where a stored model does not
    hold it, and the model's hash leaves it out where it has this value. For a value that may be None, or empty, a plain
    default does the same.
    """
    return field(default=absent, metadata={ABSENT: absent})


@dataclass(frozen=True, slots=True)
class Counter:
    """A running counter of a station: `scale` parts per step, wrapping at `modulus` (None: never)."""

    id: str
    quality: Quality
    scale: int = 1
    modulus: int | None = None
    counts: Literal["parts", "cycles"] | None = None  # "cycles": a step is what a cycle makes; None: parts


@dataclass(frozen=True, slots=True)
class FrozenLimits:
    """Limits that stand whatever comes: a centre and the sigma of single values, as decimals of any places."""

    version: str
    center: str
    sigma: str | None = None  # None: of counts, whose spread follows from the centre


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Points whose last value lies in [from, to) make no limits and break no rule; ns since 1970 UTC."""

    from_ns: int
    to_ns: int
    cause: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A control chart of a measure. Each product has its own."""

    type: ChartType
    n: int | None = None  # values in a point; of p, np and u: units that each value looks at
    rules: tuple[str, ...] = ()  # of RULE_SETS; none: only what lies beyond the limits
    baseline: int | None = None  # points of phase I, which make the limits
    limits: FrozenLimits | None = None  # instead of a baseline
    exclude: tuple[Exclusion, ...] = ()
    weight: str | None = None  # of ewma: lambda
    width: str | None = None  # of ewma: sigmas from centre to limit; None: 3
    k: int | None = None  # of cusum: slack and limit, in the last decimal place
    h: int | None = None


def says_n(chart: Chart | None) -> bool:
    """Whether each value says of how many units it is: their share is charted, and the plant gives no number."""
    return chart is not None and chart.type in ("p", "u") and chart.n is None


@dataclass(frozen=True, slots=True)
class Specification:
    """What the values of a measure should be, in its last decimal place. `nominal`: what a pack says it holds."""

    product: str | None = None  # id; None: every product that has none of its own
    lsl: int | None = None
    usl: int | None = None
    target: int | None = None
    nominal: int | None = None
    budget: str | None = None  # what may be used for one good part: a decimal in the measure's unit, of any places


@dataclass(frozen=True, slots=True)
class Measure:
    """What is measured at a station or of a line. `modulus` and `most_per_hour` are in the last decimal place."""

    id: str
    kind: MeasureKind
    unit: str
    quantity: str | None = None  # energy, water, ...: what is summed over machines
    decimals: int = 0
    rounds: bool | None = None  # further decimals of a source are rounded; None: they are refused
    modulus: int | None = None  # of a meter: it wraps to 0 here; None: never
    most_per_hour: int | None = None  # of a meter: no reading that rises faster is believed at once; None: all are
    lsl: int | None = None  # of a characteristic: its specification, in the last decimal place, and what it aims at
    usl: int | None = None
    target: int | None = None
    nominal: int | None = None  # what a pack says it holds: what is more is given away
    chart: Chart | None = None
    opportunities: int | None = None  # of defects: chances of one in a part; None: 1
    products: tuple[Specification, ...] = ()  # those that have a specification of their own
    # Of an integral: the gauge beside it whose values are summed over time, what it shows between two readings, the
    # time that its unit is of (kW: an hour of kWh), and for how long nothing may be read.
    of: str | None = None
    between: Literal["hold", "straight"] | None = None
    per_ns: int | None = None
    gap_ns: int | None = None
    budget: str | None = None  # as of a specification
    budget_over_ns: int | None = None  # so long is looked at; None: an hour
    idle_for_ns: int | None = None  # idle for longer, the station should draw nothing
    idle_draw: str | None = None  # but this much in an hour; None: 0
    histogram: bool | None = None  # rows say how values are distributed; None: they do not
    average_weight: bool | None = None  # of packs: rows say how many hold too little

    def specified(self, product: str | None) -> Specification:
        """What values of a product should be: its own specification, whole, or that of the measure."""
        for one in self.products:
            if one.product == product and product is not None:
                return one
        return Specification(None, self.lsl, self.usl, self.target, self.nominal, self.budget)

    def plain(self, value: int | None) -> float | None:
        """A value in the last decimal place as the number that it is."""
        return None if value is None else value / 10**self.decimals


@dataclass(frozen=True, slots=True)
class Buffer:
    """Places between stations. `capacity` None is unlimited."""

    id: str
    capacity: int | None
    initial: int = 0


@dataclass(frozen=True, slots=True)
class Station:
    id: str
    ideal_cycle_ns: int | None = None  # where the product has none of its own
    inputs: tuple[str, ...] = ()  # buffer ids; several: assembly, all are needed
    output: str | None = None  # buffer id
    counters: tuple[Counter, ...] = ()
    states: dict[str, int] = field(default_factory=dict)  # the source's word -> time class (kernels.codes), complete
    parts_from: Literal["count", "cycle"] = "count"  # "cycle": every completed cycle is one good part
    minor_stop_ns: int = 300_000_000_000  # a stop shorter than this is a minor stop
    staleness_ns: int = 900_000_000_000  # silent for longer: unknown
    cycle_parts: int | None = None  # parts that a cycle makes; None: 1
    fastest_cycle_ns: int | None = None  # no part takes less; None: half the shortest ideal cycle
    places: int | None = None  # parts it holds at once; None: one, unless cycles of several units overlap
    unit: str | None = None  # what its parts are: g, pack
    factor: tuple[int, int] | None = None  # units of the line in one of its parts; None: not declared
    measures: tuple[Measure, ...] = ()

    @property
    def parts_per_cycle(self) -> int:
        return self.cycle_parts or 1


@dataclass(frozen=True, slots=True)
class Product:
    id: str
    ideal_cycle_ns: dict[str, int] = field(default_factory=dict)  # by station id; key "*": every other station
    factor: dict[str, tuple[int, int]] = field(default_factory=dict)  # by station id: instead of the station's
    parts_per_cycle: int | None = None  # None: as the station


@dataclass(frozen=True, slots=True)
class Window:
    """A rolling window: `length_ns` is a multiple of `step_ns`."""

    id: str
    length_ns: int
    step_ns: int


@dataclass(frozen=True, slots=True)
class Shift:
    """Weekly recurring shift in local wall time; `end` <= `start` runs into the next day."""

    id: str
    days: tuple[int, ...]  # 0 = Monday
    start_s: int  # seconds of the local day
    end_s: int


@dataclass(frozen=True, slots=True)
class PlannedStop:
    """Weekly (day and time to day and time) or dated (two local instants) planned stop."""

    id: str
    weekly: tuple[int, int] | None = None  # seconds of the local week, start and end (end < start wraps)
    dated: tuple[str, str] | None = None  # ISO local date-times


@dataclass(frozen=True, slots=True)
class CalendarException:
    """What is otherwise on one local date. No part of what a line is: its hash leaves it out."""

    on: str  # ISO date on which the shift or the stop begins
    off: bool = False  # it does not take place; without a shift and a stop: no shift does
    shift: str | None = None  # id
    stop: str | None = None  # id of a weekly planned stop
    hours: tuple[int, int] | None = None  # seconds of the local day, start and end, instead of its own


@dataclass(frozen=True, slots=True)
class Calendar:
    zone: str = "UTC"
    shifts: tuple[Shift, ...] = ()  # none: always on shift, one shift row per local day is not made
    planned_stops: tuple[PlannedStop, ...] = ()
    day_start_s: int = 0
    exceptions: tuple[CalendarException, ...] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """When the line raises an alert. None: never."""

    down_ns: int | None = 1_800_000_000_000
    oee_below: float | None = None
    oee_window: str | None = None  # window id the OEE limit looks at (None: the longest)


@dataclass(frozen=True, slots=True)
class Line:
    id: str
    area: str
    type: LineType
    stations: tuple[Station, ...]
    buffers: tuple[Buffer, ...] = ()
    products: tuple[Product, ...] = ()
    calendar: Calendar = Calendar()
    policy: str = "iso22400"
    windows: tuple[Window, ...] = ()
    publish_every_ns: int = 60_000_000_000
    lateness_ns: int = 5_000_000_000
    max_jump_ns: int = 86_400_000_000_000
    revise_ns: int | None = None  # so long a late event may still revise rows; None: it is refused
    pane_ns: int = 600_000_000_000  # bottleneck pane
    panes: int = 12  # panes in the bottleneck window
    constraint: str | None = None  # station id; None: the one with the longest ideal cycle
    requires_order: bool = False  # time without an order is no_order
    limits: Limits = Limits()
    unit: str | None = None  # in which its stations' parts are compared; each of them then has a factor
    seq_modulus: int | None = None  # sequence numbers of its sources wrap to 0 here; None: they do not
    measures: tuple[Measure, ...] = ()  # of the line as a whole


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a station stood, as people may say it. An id is never used again for something else."""

    id: str
    parent: str | None = None  # id of the reason it is one of
    label: dict[str, str] = field(default_factory=dict)  # by language
    stations: tuple[str, ...] = ()  # station ids, in whichever line; none: any
    time_class: str | None = None  # such time is of this class; None: as the machine said
    retired: str | None = None  # ISO date from which on it is not offered


@dataclass(frozen=True, slots=True)
class Target:
    """What a line is held against; changes no figure, so it is no part of the line. None: no colour, no verdict."""

    line: str
    oee: float | None = None
    changeover_ns: int | None = None
    parts_per_hour: dict[str, int] = field(default_factory=dict)  # by product id; "*": every other, and without one


@dataclass(frozen=True, slots=True)
class Plant:
    site: str
    lines: tuple[Line, ...]
    hash: str  # SHA-256 of the canonical model, 16 hex digits
    source: str = ""  # file name it was read from
    earliest_ns: int | None = None  # no event is older; None: the year 2000
    reasons: tuple[Reason, ...] = ()
    targets: tuple[Target, ...] = ()  # of the lines that have one
    revision: int | None = None  # of two models of this plant the higher one is the newer; None: not said

    @property
    @once_a_plant
    def stations(self) -> tuple[Station, ...]:
        """All stations, line by line: the plant-wide station index counts along this."""
        return tuple(s for line in self.lines for s in line.stations)
