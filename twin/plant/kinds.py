"""Kinds of values in a plant file: how each is read, and its JSON Schema.

A parser takes what tomllib gives and returns what the model holds, or raises ValueError with a sentence that says what
is wrong and what to write instead.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any, Final

from kernels.codes import CLASS_NAMES
from twin.decimals import MAX_DIGITS, written
from twin.plant.problem import hint, near
from twin.time import zone as zones
from twin.time.duration import DURATION_PATTERN, RATE_PATTERN, cycle_ns, duration_ns

MAX_ID_LENGTH: Final = 128
MAX_TEXT_LENGTH: Final = 1_024
MAX_FACTOR: Final = 10**9
MAX_INTEGER: Final = 2**62  # sums of two stay inside int64
WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
DAY_S: Final = 86_400
WEEK_S: Final = 7 * DAY_S

_TYPES: Final = {
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "text",
    list: "an array",
    dict: "a table",
}


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value. `label` names it in messages and in the reference."""

    label: str
    parse: Callable[[Any], Any]
    schema: dict[str, Any] = field(default_factory=dict)


def type_name(value: object) -> str:
    return _TYPES.get(type(value), "a date or time")


def as_text(value: Any, example: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f'this is {type_name(value)}; write text in quotes, such as "{example}"')
    return value


def text_like(label: str, example: str, parse: Callable[[str], Any], pattern: str | None = None) -> Scalar:
    schema: dict[str, Any] = {"type": "string", "examples": [example]}
    if pattern:
        schema["pattern"] = pattern
    return Scalar(label, lambda value: parse(as_text(value, example)), schema)


def _id(text: str) -> str:
    if not text or text != text.strip() or not text.isprintable() or len(text) > MAX_ID_LENGTH:
        raise ValueError(f"an id has 1 to {MAX_ID_LENGTH} printable characters and no space at its ends")
    return text


def _line_of_text(text: str) -> str:
    if not text.strip() or not text.isprintable() or len(text) > MAX_TEXT_LENGTH:
        raise ValueError(f"write 1 to {MAX_TEXT_LENGTH:,} printable characters on one line")
    return text


def _seconds(text: str) -> int:
    """Seconds of the day, from 0 to 86,400."""
    match = _CLOCK.fullmatch(text.strip())
    hour, minute, second = (int(part or 0) for part in match.groups()) if match else (99, 0, 0)
    seconds = hour * 3600 + minute * 60 + second
    if minute > 59 or second > 59 or seconds > DAY_S:
        raise ValueError(f'"{text.strip()}" is not a time of day; write it from "00:00" to "24:00"')
    return seconds


def _clock(text: str) -> int:
    return _seconds(text) % DAY_S  # 24:00 is the next day's 00:00, which is how a period that crosses midnight ends


def _hours(text: str) -> tuple[int, int]:
    parts = re.split(r"\s*[-–]\s*", text.strip())  # noqa: RUF001 (the en dash a word processor makes of "-")
    if len(parts) != 2:
        raise ValueError(f'"{text}" is not a span of hours; write it as "22:00 - 06:00"')
    return _clock(parts[0]), _clock(parts[1])


def _weekday(text: str) -> int:
    for index, name in enumerate(WEEKDAYS):
        if text.strip().lower() in (name.lower(), _FULL_WEEKDAYS[index]):
            return index
    raise ValueError(f'"{text.strip()}" is not a day of the week; write one of {", ".join(WEEKDAYS)}')


def _days(text: str) -> tuple[int, ...]:
    days: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        start = _weekday(first)
        days.update((start + i) % 7 for i in range((_weekday(last) - start) % 7 + 1 if dash else 1))
    return tuple(sorted(days))


def _weekly(text: str) -> tuple[int, int]:
    match = _WEEKLY.fullmatch(text.strip())
    if not match:
        raise ValueError(f'"{text}" is not a weekly period; write it as "Fri 22:00 - Sun 22:00"')
    start = (_weekday(match[1]) * DAY_S + _seconds(match[2])) % WEEK_S
    end = (_weekday(match[3]) * DAY_S + _seconds(match[4])) % WEEK_S
    if start == end:
        raise ValueError(f'"{text}" is empty or the whole week; write two different times')
    return start, end


def _local(value: Any) -> str:
    example = "2026-12-24 06:00"
    if isinstance(value, str):
        if not _LOCAL.fullmatch(value.strip()):
            raise ValueError(f'"{value}" is not a local date and time; write it as "{example}"')
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError as error:
            raise ValueError(f'"{value}" is not a date and time that exists ({error}); correct it') from None
    if not isinstance(value, datetime):
        raise ValueError(f'this is {type_name(value)}; write a date and a time of day, as "{example}"')
    if value.tzinfo is not None:
        raise ValueError("a time with an offset; leave the offset out, the calendar's zone applies")
    if value.year < 1971 or value.year > 2200:
        raise ValueError("the year must be from 1971 to 2200; correct it")
    return value.isoformat(timespec="seconds")


def _earliest(value: Any) -> int:
    """ns since 1970 of a date (its beginning in UTC) or of a time with its offset."""
    example = "1995-01-01"
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            raise ValueError(f'"{value}" is not a date; write it as "{example}"') from None
    if not isinstance(value, date):
        raise ValueError(f'this is {type_name(value)}; write a date, as "{example}"')
    if not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)  # noqa: DTZ001 # UTC is put on next
    elif value.tzinfo is None and value.time() != value.min.time():
        raise ValueError("a time of day without an offset is no instant; write the date alone, or add the offset")
    at = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    if not 1970 <= at.year < 2200:
        raise ValueError("the year must be from 1970 to 2199; correct it")
    return int((at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)) * 1000


def _date(value: Any) -> str:
    if isinstance(value, str):
        try:
            value = date.fromisoformat(value.strip())
        except ValueError:
            raise ValueError(f'"{value}" is not a date; write it as "2027-01-01"') from None
    if not isinstance(value, date) or isinstance(value, datetime):
        raise ValueError(f'this is {type_name(value)}; write a date alone, as "2027-01-01"')
    return value.isoformat()


def _zone(text: str) -> str:
    try:
        return zones.zone(text).key
    except KeyError:
        advice = near(text, zones.names()) or '; write an IANA name, such as "Europe/Berlin"'
        raise ValueError(f'there is no time zone "{text}"{advice}') from None


def _window(text: str) -> tuple[int, int]:
    length, slash, step = text.partition("/")
    if not slash:
        raise ValueError(f'"{text}" is not a window; write length/step, such as "1h/1min"')
    length_ns, step_ns = duration_ns(length), duration_ns(step)
    if step_ns < 1 or length_ns < 1 or length_ns % step_ns:
        raise ValueError(f'"{text}": the length must be a multiple of the step, as in "1h/1min"')
    return length_ns, step_ns


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"this is {type_name(value)}; write a number such as 0.6")
    if not 0 < value <= 1:
        raise ValueError(f"{value} is not a share; write a number above 0 and up to 1, such as 0.6 for 60 %")
    return float(value)


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"this is {type_name(value)}; write true or false, without quotes")
    return value


def integer(least: int, most: int = MAX_INTEGER) -> Scalar:
    def parse(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"this is {type_name(value)}; write a whole number, without quotes")
        if not least <= value <= most:
            raise ValueError(f"{value} is out of range; write a whole number from {least} to {most}")
        return value

    return Scalar("whole number", parse, {"type": "integer", "minimum": least, "maximum": most})


def choice(*names: str) -> Scalar:
    def parse(value: str) -> str:
        if value not in names:
            raise ValueError(f'"{value}" is not one of {", ".join(names)}{near(value, names)}')
        return value

    label = " \\| ".join(f'"{name}"' for name in names)
    return Scalar(label, lambda value: parse(as_text(value, names[0])), {"enum": list(names)})


def _duration(text: str, least: int) -> int:
    ns = duration_ns(text)
    if ns < least:
        raise ValueError(f'"{text}" is too short; write a duration greater than 0')
    return ns


def duration(least: int = 1) -> Scalar:
    return text_like("duration", "5min", lambda text: _duration(text, least), DURATION_PATTERN)


def _or_never(text: str) -> int | str:
    return text if text == NEVER else _duration(text, 1)


def _ideal_cycle(text: str) -> int:
    if "/" in text:
        raise ValueError(f'"{text}" is a rate; write it as rate = "{text}"')
    return cycle_ns(text)


def _rate(text: str) -> int:
    if "/" not in text:
        raise ValueError(f'"{text}" is not a rate; write parts per time, such as "120000/h", or ideal_cycle = "{text}"')
    return cycle_ns(text)


def _factor(value: Any) -> tuple[int, int]:
    """A fraction above 0 in lowest terms."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else as_text(value, "1/8")
    match = _FRACTION.fullmatch(text.strip())
    if not match:
        raise ValueError(f'"{text}" is not a factor; write a whole number such as 20, or a fraction such as "1/8"')
    top, bottom = int(match[1]), int(match[2] or 1)
    if not 1 <= top <= MAX_FACTOR or not 1 <= bottom <= MAX_FACTOR:
        raise ValueError(f'"{text}" is out of range; write numbers from 1 to {MAX_FACTOR:,}')
    found = Fraction(top, bottom)
    return found.numerator, found.denominator


def _decimal(value: Any) -> str:
    """The text of a number above 0; its places are looked at beside the decimals that are declared."""
    text = written(value)
    if text is None or not _DECIMAL.fullmatch(text) or len(text) > MAX_DIGITS or not float(text):
        raise ValueError(f'"{value}" is not a decimal above 0; write it as "999999.999"')
    return text


def _signed(value: Any) -> str:
    """The text of a number; its places are looked at beside the decimals that are declared."""
    text = written(value)
    if text is None or not _SIGNED.fullmatch(text) or len(text) > MAX_DIGITS:
        raise ValueError(f'"{value}" is not a decimal; write it as "-12.5"')
    return text


def _instant(value: Any) -> int:
    """ns since 1970 UTC of a time with its offset."""
    example = "2026-03-01T06:00:00Z"
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            raise ValueError(f'"{value}" is not a time; write it as {example}') from None
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ValueError(f"a time needs its date and its offset; write it as {example}")
    if not 1971 <= value.year <= 2199:
        raise ValueError("the year must be from 1971 to 2199; correct it")
    since = value - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1_000


def _class(text: str) -> int:
    if text not in CLASS_NAMES:
        raise ValueError(f'there is no time class "{text}"{hint(text, CLASS_NAMES, most=20)}')
    return CLASS_NAMES.index(text)


NEVER: Final = "never"
_FULL_WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_DECIMAL = re.compile(r"[0-9]+(\.[0-9]+)?", re.ASCII)
_SIGNED = re.compile(r"-?[0-9]+(\.[0-9]+)?", re.ASCII)
_FRACTION = re.compile(r"([0-9]{1,12})\s*(?:/\s*([0-9]{1,12}))?")
_CLOCK = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?")
_TIME: Final = r"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?"
_WEEKLY = re.compile(rf"([A-Za-z]+)\s+({_TIME})\s*[-–]\s*([A-Za-z]+)\s+({_TIME})")  # noqa: RUF001 (en dash, as above)
_LOCAL = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}(:[0-9]{2})?")
_RATE_OR_CYCLE: Final = f"{DURATION_PATTERN}|{RATE_PATTERN}"

ID: Final = text_like("id", "S1", _id)
TEXT: Final = text_like("text", "logs/press-*.csv", _line_of_text)
BOOLEAN: Final = Scalar("true or false", _boolean, {"type": "boolean"})
SHARE: Final = Scalar("share 0..1", _number, {"type": "number", "exclusiveMinimum": 0, "maximum": 1})
IDEAL_CYCLE: Final = text_like("duration", "6.5s", _ideal_cycle, DURATION_PATTERN)
RATE: Final = text_like("rate", "120000/h", _rate, RATE_PATTERN)
CYCLE_OR_RATE: Final = text_like("duration or rate", "6.5s", cycle_ns, _RATE_OR_CYCLE)
FACTOR: Final = Scalar(
    "whole number or fraction",
    _factor,
    {
        "anyOf": [
            {"type": "integer", "minimum": 1, "maximum": MAX_FACTOR},
            {"type": "string", "pattern": "^[0-9]{1,12} *(/ *[0-9]{1,12})?$", "examples": ["1/8"]},
        ]
    },
)
DECIMAL: Final = Scalar(
    "decimal",
    _decimal,
    {
        "anyOf": [
            {"type": "number", "exclusiveMinimum": 0},
            {"type": "string", "pattern": "^[0-9]+([.][0-9]+)?$", "examples": ["999999.999"]},
        ]
    },
)
DURATION_OR_NEVER: Final = text_like('duration or "never"', "30min", _or_never, f"{DURATION_PATTERN}|^{NEVER}$")
ZONE: Final = text_like("IANA time zone", "Europe/Berlin", _zone)
CLOCK: Final = text_like("time of day", "06:00", _clock)
HOURS: Final = text_like("hours", "22:00 - 06:00", _hours)
DAYS: Final = text_like("days", "Mon-Fri", _days)
WEEKLY: Final = text_like("weekly period", "Fri 22:00 - Sun 22:00", _weekly)
SIGNED: Final = Scalar(
    "decimal, with sign",
    _signed,
    {"anyOf": [{"type": "number"}, {"type": "string", "pattern": "^-?[0-9]+([.][0-9]+)?$", "examples": ["-12.5"]}]},
)
INSTANT: Final = Scalar(
    "time with offset", _instant, {"type": "string", "format": "date-time", "examples": ["2026-03-01T06:00:00Z"]}
)
# A TOML local date-time is read too; an editor shows it to the schema as text.
LOCAL_TIME: Final = Scalar("local date and time", _local, {"type": "string", "examples": ["2026-12-24 06:00"]})
EARLIEST: Final = Scalar("date", _earliest, {"type": "string", "examples": ["1995-01-01"]})
DATE: Final = Scalar("date", _date, {"type": "string", "examples": ["2027-01-01"]})
WINDOW: Final = text_like("length/step", "1h/1min", _window)
CLASS: Final = Scalar("time class", lambda value: _class(as_text(value, "running")), {"enum": list(CLASS_NAMES)})
