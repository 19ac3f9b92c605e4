"""The events: one declaration per type, from which everything else derives.

The JSON decoder, the JSON Schema, the Arrow schema of the wire, the places in `EventBlock`, the audited set `events`
with its page and the fields of mappings are all read from the Structs below: `into(...)` names the block column a field
goes to and what stands there when it is absent.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Final, Literal

import msgspec
import pyarrow as pa
from msgspec import Meta, inspect

from kernels.codes import COUNTER, EVENT_NAMES, NONE, PARTS
from twin.decimals import MAX_DIGITS

INT64_MAX: Final = 2**63 - 1
YEAR_2200_NS: Final = 7_258_118_400 * 10**9
# No event is older unless the plant's `earliest` says so: the time of a clock that was not set, or another unit.
YEAR_2000_NS: Final = 946_684_800 * 10**9
MAX_TEXT: Final = 256
MAX_RECORD_BYTES: Final = 1 << 20  # one JSON record
MAX_ARROW_BYTES: Final = 16 << 20  # one Arrow record as it came
MAX_ARROW_DECODED_BYTES: Final = 64 << 20  # the same with its buffers decompressed
MAX_EVENTS_PER_RECORD: Final = 65_536
# Order events in a record: each that ends an order gives rows for all stations of its line.
MAX_ORDERS_PER_RECORD: Final = 256
MAX_NESTING: Final = 128  # of brackets in a JSON record
MAX_ARROW_COLUMNS: Final = 256
MAX_ARROW_MESSAGES: Final = 4_096  # batches and dictionaries in one record
# What is decoded in one go, however many records come together: a record that compresses well is small on the way.
MAX_DECODED_BYTES: Final = 64 << 20

# What a heartbeat gives as its `reason` where a log ends: it moves the line's time on, and is no sign of life.
END_OF_LOG: Final = "end of log"
START_END: Final = ("start", "end")  # in the order of their codes: START, END
VERBS: Final = ("stop", "undo")  # of a correction, in the order of their codes
STOP: Final = 0
UNDO: Final = 1
# What a person adds to an event, what is declared of a product, and the defect of parts: few events have any of it, so
# it is one word of a block (twin.wire.entries).
ENTRY_FIELDS: Final = ("by", "entered", "note", "cause", "ideal_cycle", "rate", "factor", "defect")

Text = Annotated[str, Meta(max_length=MAX_TEXT)]
Id = Annotated[str, Meta(min_length=1, max_length=MAX_TEXT)]
Whole = Annotated[int, Meta(ge=0, le=INT64_MAX)]
Time = Annotated[int, Meta(ge=0, lt=YEAR_2200_NS)] | Annotated[str, Meta(max_length=MAX_TEXT)]
CORRECTS: Final = "What is corrected: `seq`, `epoch/seq` or the time of the earlier event"


def into(
    column: str,
    description: str,
    *,
    absent: int = NONE,
    form: int | None = None,
    unique: bool = False,
    choices: tuple[str, ...] = (),
    mapped: bool | None = None,
) -> Meta:
    """Say which `EventBlock` column a field fills.

    `absent` stands there when the field is missing. A field with a `form` belongs only to events of that `code`
    (a count is parts or a counter). `unique`: nearly every event has another value, so a dictionary does not pay.
    `choices`: the words of a Literal in the order of their codes (msgspec gives them sorted). `mapped`: a mapping of
    logs can fill it; absent: all but what a person enters.
    """
    extra = {
        "column": column,
        "absent": absent,
        "form": form,
        "unique": unique,
        "choices": choices,
        "mapped": column != "entry" if mapped is None else mapped,
    }
    return Meta(description=description, extra=extra)


Decimal = Annotated[
    msgspec.Raw,
    Meta(
        extra_json_schema={
            "anyOf": [
                {"type": "number"},
                {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?$"},
            ]
        }
    ),
]
By = Annotated[Id | None, into("entry", "Who entered it: an opaque id, never a name, for the audit forgets nothing")]
Entered = Annotated[Time | None, into("entry", "When it was entered, where that is not `ts`")]
Note = Annotated[Text | None, into("entry", "SHA-256 of a salt and a note, as 64 hexadecimal digits: never the note")]
Cause = Annotated[Text | None, into("entry", "Station of the line that caused it")]
IdealCycle = Annotated[Text | None, into("entry", 'Ideal time per part of the product, as in the plant file: "6.5s"')]
Rate = Annotated[Text | None, into("entry", 'The same as a rate, instead of `ideal_cycle`: "120000/h"')]
_DEFECT: Final = 'What is wrong with `scrap` and `rework`: a measure of the station of `quantity = "defect"`'
Defect = Annotated[Id | None, into("entry", _DEFECT, mapped=True)]
Factor = Annotated[Text | None, into("entry", 'Units of the line in one part of the product: "20" or "1/8"')]


class Event(msgspec.Struct, kw_only=True, gc=False, tag_field="type"):
    """What every event carries."""

    ts: Annotated[Time, Meta(description="When it happened: integer ns since 1970 UTC, or RFC 3339 text")]
    line: Annotated[Text, Meta(description="Line id of the plant model")]
    epoch: Annotated[Whole | None, Meta(description="Rises when the source starts its `seq` again")] = None
    seq: Annotated[Whole | None, Meta(description="Rises by one per station and epoch: repeats and gaps show")] = None


class StationEvent(Event, kw_only=True, gc=False):
    """An event of one station."""

    station: Annotated[Text, Meta(description="Station id, unique within its line")]


class LineEvent(Event, kw_only=True, gc=False):
    """An event of one station or of the whole line."""

    station: Annotated[Text | None, Meta(description="Station id; absent: the whole line")] = None


class State(StationEvent, kw_only=True, gc=False, tag="state"):
    """From now on the station is in this state."""

    state: Annotated[Text, into("x", "State word of the station, as its `states` in the plant model name it")]
    reason: Annotated[Text | None, into("y", "Why, in the source's own words")] = None
    mode: Annotated[Text | None, into("z", "Operating mode, such as automatic or manual")] = None
    by: By = None
    entered: Entered = None
    note: Note = None
    cause: Cause = None


class Count(StationEvent, kw_only=True, gc=False, tag="count"):
    """Parts made since the last count (any of good, scrap, rework), or a running counter (counter and value)."""

    good: Annotated[Whole | None, into("a", "Good parts since the last count", absent=0, form=PARTS)] = None
    scrap: Annotated[Whole | None, into("b", "Scrapped parts since the last count", absent=0, form=PARTS)] = None
    rework: Annotated[Whole | None, into("c", "Parts to rework since the last count", absent=0, form=PARTS)] = None
    counter: Annotated[Text | None, into("x", "Counter id of the station", form=COUNTER)] = None
    value: Annotated[Whole | None, into("a", "What the running counter shows", form=COUNTER)] = None
    order: Annotated[Id | None, into("z", "Order id: whose parts they are. Absent: of the order that is open")] = None
    corrects: Annotated[Id | None, into("y", CORRECTS, unique=True, mapped=False)] = None
    unit: Annotated[Text | None, into("x", "Id of the part or batch", form=PARTS, unique=True)] = None
    defect: Defect = None
    by: By = None
    entered: Entered = None
    note: Note = None
    cause: Cause = None


class Cycle(StationEvent, kw_only=True, gc=False, tag="cycle"):
    """One part's work at one station begins or ends."""

    phase: Annotated[Literal["start", "end"], into("code", "Whether the work begins or ends", choices=START_END)]
    unit: Annotated[Text | None, into("x", "Id of the part or batch", unique=True)] = None
    product: Annotated[Text | None, into("y", "Product id: its ideal cycle counts")] = None
    order: Annotated[Id | None, into("z", "Order id: whose part it is, at the end. Absent: of the open order")] = None


class Order(LineEvent, kw_only=True, gc=False, tag="order"):
    """What is being made: an order begins or ends."""

    action: Annotated[Literal["start", "end"], into("code", "Whether the order begins or ends", choices=START_END)]
    order: Annotated[Id, into("x", "Order id")]
    product: Annotated[Text | None, into("y", "Product id")] = None
    quantity: Annotated[Whole | None, into("a", "Parts ordered")] = None
    due: Annotated[Time | None, into("b", "When the order is to be done", mapped=False)] = None
    corrects: Annotated[Id | None, into("z", CORRECTS, unique=True, mapped=False)] = None
    by: By = None
    entered: Entered = None
    note: Note = None
    cause: Cause = None
    ideal_cycle: IdealCycle = None
    rate: Rate = None
    factor: Factor = None


class Buffer(StationEvent, kw_only=True, gc=False, tag="buffer"):
    """Parts waiting in a buffer."""

    buffer: Annotated[Text, into("x", "Buffer id of the line")]
    level: Annotated[Whole, into("a", "Parts in it, at most its capacity")]


class Heartbeat(LineEvent, kw_only=True, gc=False, tag="heartbeat"):
    """Alive, nothing changed. It moves the line's time on, so a log ends with one."""

    reason: Annotated[
        Text | None, into("y", '"end of log": the log ends here; no sign of life of a station', mapped=False)
    ] = None


class Correction(StationEvent, kw_only=True, gc=False, tag="correction"):
    """An operator's later word on an earlier event: at least one of reason, state, good, scrap, rework; or undo."""

    corrects: Annotated[Id, into("x", CORRECTS, unique=True)]
    verb: Annotated[
        Literal["stop", "undo"] | None,
        into("code", "stop: all of the stop that the event lies in; undo: the event never was", choices=VERBS),
    ] = None
    reason: Annotated[Text | None, into("y", "The reason it should have had")] = None
    state: Annotated[Text | None, into("z", "The state word it should have had")] = None
    good: Annotated[Whole | None, into("a", "The good parts it should have had")] = None
    scrap: Annotated[Whole | None, into("b", "The scrapped parts it should have had")] = None
    rework: Annotated[Whole | None, into("c", "The parts to rework it should have had")] = None
    by: By = None
    entered: Entered = None
    note: Note = None
    cause: Cause = None


class Measure(LineEvent, kw_only=True, gc=False, tag="measure"):
    """Something was measured, as a measure of the plant declares it: a meter's reading, an amount, a level, a weight.

    The value is a decimal, read digit by digit. In JSON it is called `value`, in Arrow and in the audit `measured`.
    """

    measured: Annotated[Decimal, into("a", "What was measured: a number, or the text of one")] = msgspec.field(
        name="value"
    )
    measure: Annotated[Text, into("y", "Measure id of the station, or of the line where no station is named")]
    unit: Annotated[Text | None, into("x", "Id of the part or batch", unique=True)] = None
    order: Annotated[Id | None, into("z", "Order id that it belongs to. Absent: the order that is open")] = None
    n: Annotated[Whole | None, into("b", "Units that were looked at for it, such as the parts of a sample")] = None


class Product(LineEvent, kw_only=True, gc=False, tag="product"):
    """What a part of a product takes, at all stations of the line or at one: at least one of ideal cycle or rate, and
    factor. From its `ts` on it holds for orders and cycles that begin; of a product of the plant file that file counts.
    """

    product: Annotated[Text, into("y", "Product id")]
    ideal_cycle: IdealCycle = None
    rate: Rate = None
    factor: Factor = None
    by: By = None
    entered: Entered = None
    note: Note = None


# In the order of the codes: EVENTS[code] is the declaration of EVENT_NAMES[code].
EVENTS: Final[tuple[type[Event], ...]] = (State, Count, Cycle, Order, Buffer, Heartbeat, Correction, Measure, Product)
AnyEvent = State | Count | Cycle | Order | Buffer | Heartbeat | Correction | Measure | Product
TYPE_CODE: Final[dict[str, int]] = {name: code for code, name in enumerate(EVENT_NAMES)}

Kind = Literal["time", "text", "integer", "choice", "decimal"]


@dataclass(frozen=True, slots=True)
class Field:
    """One field as declared: what is allowed on the wire, and where it stands in an `EventBlock`.

    `minimum` and `maximum` bound the value of a time or an integer and the length of a text. A decimal is a text until
    its measure is known. `column` is the block column (None for what every event carries), `absent` its value when the
    field is missing, and `form` the `code` of the events the field belongs to (None: all of its type).
    """

    name: str
    kind: Kind
    required: bool
    minimum: int
    maximum: int
    choices: tuple[str, ...] = ()
    column: str | None = None
    absent: int = NONE
    form: int | None = None
    unique: bool = False
    mapped: bool = False
    description: str = ""

    @property
    def arrow_type(self) -> pa.DataType:
        """The column's type on the wire and in the audited set `events`."""
        match self.kind:
            case "time":
                return pa.timestamp("ns", tz="UTC")
            case "integer":
                return pa.int64()
            case _:
                return pa.string() if self.unique or self.kind == "decimal" else pa.dictionary(pa.int32(), pa.string())


def _field(declared: inspect.Field) -> Field:
    kind = declared.type
    extra: dict[str, object] = {}
    if isinstance(kind, inspect.Metadata):
        said = (kind.extra_json_schema or {}).get("description", "")
        extra, kind = {**(kind.extra or {}), "description": said}, kind.type
    if isinstance(kind, inspect.RawType):
        return msgspec.convert(
            {"name": declared.name, "required": declared.required, **extra}
            | {"kind": "decimal", "minimum": 1, "maximum": MAX_DIGITS},
            Field,
        )
    options = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    texts = [t for t in options if isinstance(t, inspect.StrType)]
    integers = [t for t in options if isinstance(t, inspect.IntType)]
    literals = [t for t in options if isinstance(t, inspect.LiteralType)]
    common = {"name": declared.name, "required": declared.required, **extra}
    if literals:
        field = msgspec.convert({**common, "kind": "choice", "minimum": 0, "maximum": 0}, Field)
        assert set(field.choices) == set(literals[0].values), f"{declared.name}: choices and Literal differ"
        return field
    if integers:
        limit = integers[0]
        top = limit.lt - 1 if limit.lt is not None else limit.le
        # Only the time may be an integer or a text.
        return msgspec.convert(
            {**common, "kind": "time" if texts else "integer", "minimum": limit.ge, "maximum": top}, Field
        )
    longest = texts[0].max_length
    return msgspec.convert({**common, "kind": "text", "minimum": texts[0].min_length or 0, "maximum": longest}, Field)


def _fields(declaration: type[Event]) -> tuple[Field, ...]:
    info = inspect.type_info(declaration)
    assert isinstance(info, inspect.StructType)
    return tuple(_field(f) for f in info.fields)


# By type code, in the order of declaration.
FIELDS: Final = tuple(_fields(event) for event in EVENTS)
PAYLOAD: Final = tuple(tuple(f for f in fields if f.column) for fields in FIELDS)
NEEDS_STATION: Final = tuple(any(f.name == "station" and f.required for f in fields) for fields in FIELDS)

_TYPE_FIELD: Final = Field("type", "choice", True, 0, 0, EVENT_NAMES)
_COMMON: Final = ("ts", "line", "station", "epoch", "seq")


def _wire() -> dict[str, Field]:
    heads = {f.name: f for f in FIELDS[TYPE_CODE["state"]] if not f.column}
    wire = {"type": _TYPE_FIELD} | {name: heads[name] for name in _COMMON}
    for payload in PAYLOAD:
        for field in payload:
            # Parts may name their order and unit, and counts and orders correct one; each stands where it came first.
            if (field.name not in ("order", "corrects") or field.required) and (field.name, field.form) != (
                "unit",
                PARTS,
            ):
                wire.setdefault(field.name, field)
    # What came later stands last.
    later = (*ENTRY_FIELDS[:4], "due", "verb", "measure", "measured", *ENTRY_FIELDS[4:], "n")
    return {name: field for name, field in wire.items() if name not in later} | {name: wire[name] for name in later}


# Every field of the wire by name, in the canonical order: what all events carry, then the rest as declared.
WIRE: Final = _wire()
# Fields that JSON calls by another name.
JSON_NAME: Final = {"measured": "value"}


def meaning(name: str, types: Collection[str] = EVENT_NAMES) -> str:
    """What a field of the wire says, of each of these types that has it, as declared."""
    if name == "type":
        return ", ".join(EVENT_NAMES)
    said: dict[str, list[str]] = {}
    for event, fields in zip(EVENT_NAMES, FIELDS, strict=True):
        for field in fields:
            if field.name == name and event in types:
                said.setdefault(field.description, []).append(event)
    if len(said) == 1:
        return next(iter(said))
    return "; ".join(f"{', '.join(events)}: {description}" for description, events in said.items())
