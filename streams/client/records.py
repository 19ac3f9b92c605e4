"""What a consumer is given: one type per kind of record, with the fields of the audited sets (`twin.results`).

A field this version does not know is left out, so that a newer twin can be read; one that came after the first release
has a default, so that an older twin can be. Times are integers, nanoseconds since
1970 UTC: a datetime holds microseconds only.
"""

import datetime
import re
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from aiokafka.structs import ConsumerRecord

from twin.line.view import Progress
from twin.time.rfc3339 import parse_rfc3339

# Of the forms of RFC 3339 the one that the twin writes.
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z", re.ASCII)


class Nanoseconds(int):
    """Nanoseconds since 1970 UTC."""


def parse_time(text: str) -> Nanoseconds:
    """Of RFC 3339 in UTC, as the twin writes it. Raises ValueError."""
    if _TIME.fullmatch(text) is None:
        raise ValueError(f"{text!r} is not a time such as 2024-05-06T07:08:09.123456789Z")
    return Nanoseconds(parse_rfc3339(text))


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What every audited row says of itself.

    id: the same whenever and by whomever the row is sent. revision: 0 for the first; a row that late news changed comes
    again with a higher one, and a new id. retracted: nothing stands there any more. source_*: the record of the events
    topic with which the row was complete.
    """

    id: str
    line: str
    revision: int
    revised_ns: Nanoseconds | None = msgspec.field(name="revised")
    retracted: bool
    model: str
    line_model: str | None = None
    source_topic: str | None
    source_partition: int
    source_offset: int


class Interval(Row, frozen=True, kw_only=True):
    """A row over [start, end). window: a window's id, or `shift`, `day` or `order`."""

    window: str
    start_ns: Nanoseconds = msgspec.field(name="start")
    end_ns: Nanoseconds = msgspec.field(name="end")
    production_date: datetime.date | None = None
    shift: str | None
    order: str | None
    product: str | None
    policy: str


class Kpi(Interval, frozen=True, kw_only=True):
    """Times by class, counts and OEE of a station; of the line where `station` is None (docs/kpis.md)."""

    station: str | None
    quantity: int | None = None  # parts ordered: rows of orders
    unit: str | None = None  # what the parts are, where the plant says it
    unknown_ns: int
    off_shift_ns: int
    planned_stop_ns: int
    no_order_ns: int
    running_ns: int
    setup_ns: int
    starved_ns: int
    blocked_ns: int
    minor_stop_ns: int
    down_ns: int
    maintenance_ns: int
    waiting_ns: int
    good: int
    scrap: int
    rework: int
    ideal_ns: int
    cycles: int
    cycle_ns: int
    minor_stops: int
    downs: int
    availability: float | None
    performance: float | None
    quality: float | None
    oee: float | None
    suspect: bool
    constraint: str | None
    ote: float | None


class Bottleneck(Interval, frozen=True, kw_only=True):
    """A station's share of the critical path, and what else speaks for or against it (docs/kpis.md)."""

    station: str
    critical_path_ns: int
    elapsed_ns: int
    share: float | None
    share_low: float | None
    share_high: float | None
    panes: int
    verdict: str
    blocked_ns: int
    starved_ns: int
    running_ns: int
    utilization: float | None
    turning_point: bool
    arrow: bool
    active_sole_ns: int
    active_shifting_ns: int
    active_causal_ns: int


class Measured(Row, frozen=True, kw_only=True):
    """What was measured in (start, end], by time class, order and shift (docs/events.md).

    The figures are integers of the last of `decimals` places.
    """

    station: str | None  # None: of the line
    window: str
    start_ns: Nanoseconds = msgspec.field(name="start")
    end_ns: Nanoseconds = msgspec.field(name="end")
    production_date: datetime.date | None
    shift: str | None
    order: str | None
    product: str | None
    measure: str
    quantity: str | None
    unit: str
    during: str | None
    decimals: int
    n: int
    amount: int | None
    least: int | None
    most: int | None
    total: int | None
    squares_high: int | None
    squares_low: int | None
    t1_errors: int | None = None
    t2_errors: int | None = None
    histogram: str | None = None


class Sample(Row, frozen=True, kw_only=True):
    """A point of a control chart (docs/quality.md): what it shows, its limits and the rules that are broken there.

    `total` is an integer of the last of `decimals` places, the figures are in `unit`.
    """

    station: str | None  # None: of the line
    measure: str
    chart: str
    point: int
    start_ns: Nanoseconds = msgspec.field(name="start")
    end_ns: Nanoseconds = msgspec.field(name="end")
    production_date: datetime.date | None
    shift: str | None
    order: str | None
    product: str | None
    unit: str
    decimals: int
    n: int
    total: int | None
    figure: float | None
    center: float | None
    lower: float | None
    upper: float | None
    sigma: float | None
    lsl: float | None
    usl: float | None
    aim: float | None
    phase: int | None
    limits_version: str | None
    signals: str | None
    cause: str | None


class Alert(Row, frozen=True, kw_only=True):
    """Raised or cleared (`action`) at `ts_ns`."""

    station: str | None
    kind: str
    action: str
    ts_ns: Nanoseconds = msgspec.field(name="ts")
    since_ns: Nanoseconds | None = msgspec.field(name="since")
    value: float | None
    limit: float | None
    detail: str | None
    subject: str | None = None


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """The provisional view of a line: what is known now, not audited. Times in ns since 1970 UTC."""

    line: str
    ts_ns: int
    state: str
    stations: dict[str, str]
    availability: float | None
    performance: float | None
    quality: float | None
    oee: float | None
    good: int
    scrap: int
    order: str | None
    product: str | None = None  # of the order
    quantity: int | None = None  # parts ordered
    orders: tuple[Progress, ...] = ()  # open ones, the line's and those of stations
    bottleneck: str | None
    share: float | None
    verdict: str | None
    newest_ns: int
    ts: str = ""  # RFC 3339, of the two times; empty: from a twin of the first release
    newest: str = ""
    duplicates: int
    late: int
    contradictions: int
    provisional: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """Input that the twin refused: its bytes, why, and where it lies in Kafka."""

    id: str
    reason: str
    detail: str
    line: str | None
    value: bytes
    source_topic: str
    source_partition: int
    source_offset: int
    truncated_from_bytes: int | None  # None: `value` is all of it


class Head(msgspec.Struct, frozen=True):
    """As much of a row as decides whether it is wanted; the rest is decoded only then."""

    id: str
    set: str
    line: str
    model: str
    revision: int
    retracted: bool
    station: str | None = None
    window: str | None = None
    start: str | None = None
    end: str | None = None
    policy: str | None = None
    kind: str | None = None
    action: str | None = None
    ts: str | None = None
    subject: str | None = None
    line_model: str | None = None
    measure: str | None = None
    production_date: str | None = None
    shift: str | None = None
    order: str | None = None
    product: str | None = None
    during: str | None = None
    chart: str | None = None
    point: int | None = None


def _time_or_error(kind: type, value: Any) -> Any:
    if kind is Nanoseconds and isinstance(value, str):
        return parse_time(value)
    raise ValueError(f"{value!r} is not a time")


def decoder(kind: Any) -> "msgspec.json.Decoder[Any]":
    """Of one of the types above. Its `decode` raises msgspec.DecodeError."""
    return msgspec.json.Decoder(kind, dec_hook=_time_or_error)


def number_of(identity: str) -> int:
    """An id as a number, which takes half the memory of its text. Raises ValueError."""
    try:
        return int(identity, 16)
    except ValueError:
        raise ValueError(f"id {identity!r} is not of hexadecimal digits") from None


def refused(record: ConsumerRecord[Any, Any]) -> Refused:
    """Of a record of the topic of refusals. Raises KeyError or ValueError where its headers are not the twin's."""
    headers = {}
    for name, value in record.headers:
        if value is None:
            raise ValueError(f"header {name} is null")
        headers[name] = value.decode("utf-8", "replace")
    truncated = headers.get("truncated_from_bytes")
    return Refused(
        id=headers["id"],
        reason=headers["reason"],
        detail=headers["detail"],
        line=None if record.key is None else record.key.decode("utf-8", "replace"),
        value=record.value or b"",
        source_topic=headers["source_topic"],
        source_partition=int(headers["source_partition"]),
        source_offset=int(headers["source_offset"]),
        truncated_from_bytes=None if truncated is None else int(truncated),
    )
