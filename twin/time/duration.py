"""Durations and rates as people write them, exact in integer nanoseconds."""

import re
from fractions import Fraction
from functools import lru_cache
from typing import Final

UNITS_NS: Final = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "min": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
}
MAX_DURATION_NS: Final = 3_660 * UNITS_NS["d"]  # ten years; far inside int64, so that sums stay inside too

_NUMBER: Final = r"[0-9][0-9_]*(\.[0-9]+)?"
_PART = re.compile(rf"({_NUMBER})\s*([A-Za-zµ]+)\s*")
# The patterns of the JSON Schema; the parsers accept nothing else.
DURATION_PATTERN: Final = rf"^({_NUMBER}\s*(ns|us|ms|s|min|h|d)\s*)+$"
RATE_PATTERN: Final = rf"^{_NUMBER}\s*/\s*(ms|s|min|h|d)$"
_DURATION = re.compile(DURATION_PATTERN)
_RATE = re.compile(RATE_PATTERN)
_HINTS: Final = {"m": "min", "sec": "s", "secs": "s", "mins": "min", "hr": "h", "hour": "h", "hours": "h", "day": "d"}


@lru_cache(maxsize=1024)  # a plant of thousands of lines writes the same few
def duration_ns(text: str) -> int:
    """Nanoseconds of "300ms", "6.5s", "1h 30min". ValueError: not a duration, or finer than a nanosecond."""
    text = text.strip()
    if not _DURATION.match(text):
        raise ValueError(f'"{text}" is not a duration; {_advice(text)}')
    total = sum((Fraction(m[1].replace("_", "")) * UNITS_NS[m[3]] for m in _PART.finditer(text)), Fraction(0))
    if total.denominator != 1:
        raise ValueError(f'"{text}" is finer than one nanosecond; round it')
    if total > MAX_DURATION_NS:
        raise ValueError(f'"{text}" is longer than ten years; shorten it')
    return int(total)


def cycle_ns(text: str) -> int:
    """Nanoseconds per part of a rate ("120000/h") or of a duration ("30ms"); at least 1.

    A rate that does not divide to whole nanoseconds is rounded half to even: an error below 0.5 ns per part.
    """
    text = text.strip()
    if "/" not in text:
        cycle = duration_ns(text)
    elif not _RATE.match(text):
        raise ValueError(f'"{text}" is not a rate; write parts per time, such as "120000/h" or "2/s"')
    else:
        parts, _, unit = text.partition("/")
        number = Fraction(parts.strip().replace("_", ""))
        if number == 0:
            raise ValueError(f'"{text}": a rate must be greater than 0')
        cycle = round(UNITS_NS[unit.strip()] / number)
        if cycle > MAX_DURATION_NS:
            raise ValueError(f'"{text}" is less than one part in ten years; check the unit')
    if cycle < 1:
        raise ValueError(f'"{text}": the ideal cycle must be at least 1 ns; check the unit')
    return cycle


def duration_text(ns: int) -> str:
    """The shortest way to write a duration exactly, in one unit: "1h", "90s", "6.5s", "36.363636ms"."""
    whole = ns % UNITS_NS["s"] == 0
    for unit in reversed(UNITS_NS):
        size = UNITS_NS[unit]
        if ns >= size and (ns % size == 0 or (not whole and size <= UNITS_NS["s"])):
            number, rest = divmod(ns, size)
            digits = f"{rest:0{len(str(size)) - 1}d}".rstrip("0") if rest else ""
            return f"{number}.{digits}{unit}" if digits else f"{number}{unit}"
    return "0s"


def _advice(text: str) -> str:
    match = _PART.match(text)
    if match and (unit := match[3]) not in UNITS_NS:
        better = _HINTS.get(unit.lower()) or (unit.lower() if unit.lower() in UNITS_NS else None)
        return f'"{unit}" is no unit' + (f', write "{better}"' if better else f"; known: {', '.join(UNITS_NS)}")
    return 'write a number and a unit, such as "300ms", "6.5s", "5min" or "1h 30min"'
