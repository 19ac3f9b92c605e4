"""Kinds of values in a mapping: how each is read, and its JSON Schema; beside those of the plant file
(`twin.plant.kinds`).
"""

import codecs
import math
from fractions import Fraction
from typing import Any, Final

from twin.plant.kinds import Scalar, as_text, integer, type_name
from twin.plant.shape import Either, Map
from twin.sources.time_format import pattern
from twin.sources.times import instant
from twin.sources.values import to_number

MAX_WORDS: Final = 100_000
_ONE: Final[dict[str, Any]] = {"type": "string", "minLength": 1}


def _filled(value: Any) -> str:
    if not as_text(value, "..."):
        raise ValueError("must not be empty; write a text, or remove the key")
    return str(value)


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError(f'this is {type_name(value)}; write a list of texts, such as ["a", "b"]')
    texts = tuple(map(_filled, value))
    if twice := [one for one in dict.fromkeys(texts) if texts.count(one) > 1]:
        raise ValueError(f'"{twice[0]}" stands twice; remove one')
    return texts


def _widths(value: Any) -> tuple[int, ...]:
    if not isinstance(value, list) or not all(type(one) is int and 0 < one < 10_000 for one in value):
        raise ValueError("is no list of whole numbers from 1 to 9999; write one for each column, such as [10, 8]")
    return tuple(value)


def _character(value: Any) -> str:
    if len(as_text(value, ";")) != 1 or not value.isascii() or value in "\r\n":
        raise ValueError(f'"{value}" is not one ASCII character; write one, such as ";"')
    return str(value)


def _encoding(value: Any) -> str:
    """As Python names it."""
    try:
        name = codecs.lookup(as_text(value, "cp1252")).name
        plain = "\n;".encode(name) == b"\n;"
    except LookupError:  # also of hex, zip and the like, which encode no text
        raise ValueError(f'encoding "{value}" is not known; write "utf-8", "cp1252", "iso8859-1", ...') from None
    if not name.startswith("utf-16") and not plain:
        raise ValueError(f'encoding "{value}" does not write ASCII as ASCII; convert the file to UTF-8 first')
    return name


def _formats(value: Any) -> tuple[str, ...]:
    """Their regular expressions. Of several formats the later ones may be what is left of the first at midnight."""
    forms = value if isinstance(value, list) else [value]
    return tuple(pattern(as_text(one, "%Y-%m-%d %H:%M:%S"), date_only=i > 0) for i, one in enumerate(forms))


def _fraction(value: Any) -> Fraction:
    numbers: list[Fraction | None] = []
    if isinstance(value, str) or type(value) is int:
        above, _, below = str(value).partition("/")
        numbers = [to_number(above.strip()), to_number(below.strip() or "1")]
    top, bottom = numbers or (None, None)
    if top is None or bottom is None or top <= 0 or bottom <= 0:
        raise ValueError(f'"{value}" is not a number above 0 or a fraction; write such as 1000, "0.1" or "1/3"')
    return top / bottom


def _number(value: Any) -> Fraction:
    # TOML has inf and nan. repr gives the shortest decimal that is the number in the file: 0.1 stays one tenth.
    if type(value) not in (int, float) or not math.isfinite(value):
        what = value if isinstance(value, float) else type_name(value)
        raise ValueError(f"this is {what}; write a number such as 0.5, without quotes")
    return Fraction(repr(value))


def _text_or_number(value: Any) -> str | Fraction:
    if type(value) not in (str, int, float):
        raise ValueError(f"this is {type_name(value)}; write a text or a number")
    return value if isinstance(value, str) else _number(value)


def _texts_or_numbers(value: Any) -> tuple[str | Fraction, ...]:
    if not isinstance(value, list):
        raise ValueError(f"this is {type_name(value)}; write a list of texts or numbers")
    return tuple(map(_text_or_number, value))


def _unit(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError('is no unit; write one such as "kg", or a table such as { kg = 1000, g = 1 }')
    return value


def _constant(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f'this is {type_name(value)}; write a text in quotes, or {{ column = "..." }}')
    return _filled(value)


def _whole_constant(value: Any) -> int:
    if type(value) is not int or not -(2**63) <= value < 2**63:
        raise ValueError('is no whole number of 64 bits; write one without quotes, or { column = "..." }')
    return value


TEXT: Final = Scalar("text", _filled, _ONE)
ANY_TEXT: Final = Scalar("text", lambda value: as_text(value, "..."), {"type": "string"})
CONSTANT: Final = Scalar("text", _constant, _ONE)  # where a column could stand, too
TEXTS: Final = Scalar("list of texts", _texts, {"type": "array", "items": _ONE, "uniqueItems": True})
WHOLE: Final = integer(0, 2**31 - 1)
WHOLE_CONSTANT: Final = Scalar("number", _whole_constant, {"type": "integer"})
WIDTHS: Final = Scalar(
    "list of whole numbers", _widths, {"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 9_999}}
)
CHARACTER: Final = Scalar("one character", _character, {"type": "string", "minLength": 1, "maxLength": 1})
DELIMITER: Final = Scalar(
    'one character, or "spaces"',
    lambda value: value if value == "spaces" else _character(value),
    {"anyOf": [CHARACTER.schema, {"const": "spaces"}]},
)
ENCODING: Final = Scalar("encoding", _encoding, {**_ONE, "examples": ["utf-8", "cp1252", "iso8859-1", "utf-16"]})
FORMATS: Final = Scalar(
    "text, or a list of them", _formats, {"anyOf": [{"type": "string"}, {"type": "array", "items": _ONE}]}
)
ORIGIN: Final = Scalar("text", lambda value: instant(as_text(value, "1970-01-01T00:00:00Z")), _ONE)
FRACTION: Final = Scalar(
    "number or fraction", _fraction, {"anyOf": [{"type": "integer"}, {"type": "string", "examples": ["1/3", "0.1"]}]}
)
UNIT: Final = Either("unit, or a table of units", Scalar("unit", _unit, _ONE), Map("a unit", FRACTION, MAX_WORDS))
NUMBER: Final = Scalar("number", _number, {"type": "number"})
TEXT_OR_NUMBER: Final = Scalar("text or number", _text_or_number, {"type": ["string", "number"]})
TEXTS_OR_NUMBERS: Final = Scalar(
    "list of texts or numbers", _texts_or_numbers, {"type": "array", "items": {"type": ["string", "number"]}}
)
