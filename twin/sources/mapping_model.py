"""What a mapping says, as data."""

from collections.abc import Mapping as Dict
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final, Literal

from twin.plant.problem import PlantError, Report
from twin.sources.template import Condition, Template
from twin.sources.time_format import NS, TimeFormat
from twin.sources.values import PLAIN, Numbers

HEARTBEAT_EVERY_NS: Final = 10 * NS


class MappingError(PlantError):
    """A mapping that cannot be used; every mistake as `file:line: key: message`."""


@dataclass(frozen=True, slots=True)
class Document:
    """The text a mapping was read from, kept so that a later mistake still names its line."""

    name: str
    text: str
    data: dict[str, Any]

    def raise_if_any(self, report: Report) -> None:
        try:
            report.raise_if_any(self.text, self.data, self.name)
        except PlantError as error:
            raise MappingError(error.problems) from None


@dataclass(frozen=True, slots=True)
class TimeRule:
    """Where a time stands: the columns that make its text (joined by a blank), its format, and a length from it.

    Without columns the rows have no times: one comes `every_ns` after the other, from the format's origin on.
    `shift` is a column with a length of `shift_unit`, added (`shift_sign` 1) or taken off (-1). `over_midnight`: a time
    of an event that lies before the beginning (an `until`: before its `time`) is one of the next day.
    """

    columns: tuple[str, ...]
    form: TimeFormat
    shift: str | None = None
    shift_unit: str = "s"
    shift_sign: int = 1
    every_ns: int = 0
    over_midnight: bool = False

    @property
    def every_column(self) -> tuple[str, ...]:
        return self.columns if self.shift is None else (*self.columns, self.shift)


@dataclass(frozen=True, slots=True)
class EventRule:
    """One event of `type` per row for which every condition holds.

    `station` and `time` are the event's own where they are not the row's. A state with `until` holds between `time`
    and that; outside of all such intervals of its station the state is `otherwise`.
    """

    type: int
    when: tuple[Condition, ...]
    fields: Dict[str, Template]
    station: Template | None = None
    time: TimeRule | None = None
    until: TimeRule | None = None
    otherwise: str = "unknown"
    of_line: bool = False  # a product's: it holds at all stations of the line, whatever the row's


@dataclass(frozen=True, slots=True)
class OrderRule:
    """An order starts at the first row with a new id and ends one `hold` after its last row.

    It is the line's, or with `of_station` that of the row's station alone. With `time` (and `until`; without it the
    row's time) each row is an interval of its order instead: it starts with the first of them and ends with the last.
    `paces` is what is said of the product, by name (twin.sources.paces).
    """

    id: Template
    product: Template | None = None
    quantity: Template | None = None
    of_station: bool = False
    time: TimeRule | None = None
    until: TimeRule | None = None
    paces: Dict[str, Template] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TableForm:
    """How a file holds its table, and how its cells are written."""

    delimiter: str = ","  # one character, or "spaces": any run of blanks
    quote: str = '"'
    encoding: str = "utf-8"
    header: bool = True
    columns: tuple[str, ...] = ()  # names where there is no header
    skip: int | None = None  # lines before the header; None: it is looked for
    comment: str = ""  # lines that begin so are none of the table
    widths: tuple[int, ...] = ()  # of columns of fixed width; then there is no delimiter
    sheets: tuple[str, ...] = ()  # of a workbook; empty: those that have the columns
    numbers: Numbers = PLAIN
    blank: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class CsvMapping:
    """A table's columns. `seq` numbers a station's rows at their source; the columns `row` name each of them."""

    document: Document
    time: TimeRule
    line: Template
    station: Template | None  # None: events of the whole line
    events: tuple[EventRule, ...]
    order: OrderRule | None = None
    hold_ns: int | None = None  # None: rows are events; otherwise samples, each true for this long
    tolerance_ns: int = 0
    heartbeat_every_ns: int = HEARTBEAT_EVERY_NS
    form: TableForm = TableForm()
    sort: bool = False
    seq: Template | None = None
    row: tuple[str, ...] = ()
    keep: tuple[Condition, ...] = ()  # rows for which all hold are used
    ignore: tuple[Condition, ...] = ()  # and of those the ones for which none of these does
    file: str | None = None  # pattern of the file's name; its parts are {file.NAME}
    stations: Dict[str, str] = field(default_factory=dict)  # what stands for {station} in a column's name -> id

    @property
    def own_times(self) -> bool:
        """Whether events have times of their own, so that rows in order do not make events in order."""
        timed = self.order is not None and self.order.time is not None
        return timed or any(rule.time is not None or rule.until is not None for rule in self.events)


@dataclass(frozen=True, slots=True)
class CountRule:
    """An item that counts: a running counter, or parts made since the last value."""

    item: str
    counter: str | None = None
    quality: Literal["good", "scrap", "rework"] = "good"


@dataclass(frozen=True, slots=True)
class MeasureRule:
    """An item that measures; `scale` makes the plant's unit of the item's."""

    item: str
    measure: str
    scale: Fraction = Fraction(1)


@dataclass(frozen=True, slots=True)
class ProductRule:
    """An item that names the product, and items (the `column` of a template) that say what a part of it takes."""

    item: str
    paces: Dict[str, Template]
    of_line: bool = False


@dataclass(frozen=True, slots=True)
class ShdrMapping:
    document: Document
    line: str
    station: str
    state_item: str
    states: Dict[str, str] = field(default_factory=dict)  # the source's word -> the plant's; others stay as they are
    mode_item: str | None = None
    reason_items: tuple[str, ...] = ()
    counts: tuple[CountRule, ...] = ()
    heartbeat_every_ns: int = HEARTBEAT_EVERY_NS
    zone: str | None = None
    file: str | None = None
    measures: tuple[MeasureRule, ...] = ()
    product: ProductRule | None = None


Mapping = CsvMapping | ShdrMapping
Fractions = Dict[str, Fraction]
