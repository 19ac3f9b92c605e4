"""Reading one table of a mapping by its declaration, collecting every mistake instead of stopping at the first."""

import codecs
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from twin.plant.kinds import FACTOR, IDEAL_CYCLE, RATE, Scalar
from twin.plant.problem import Report, hint
from twin.plant.shape import Key, Table, Tables
from twin.sources.mapping_model import TimeRule
from twin.sources.mapping_shape import CONDITION, FRACTION, NUMBER_FIELD, Field
from twin.sources.paces import UNIT_KEY
from twin.sources.template import Condition, Template
from twin.sources.time_format import DAY_NUMBERS, FILETIME, SECONDS_NS, UNITS, TimeFormat, pattern
from twin.sources.times import instant
from twin.sources.values import Numbers, to_number
from twin.time.duration import duration_ns
from twin.time.zone import names as zone_names

Path = tuple[str | int, ...]


class Section:
    """A table, its path in the document, its declaration, and the keys that were asked for."""

    def __init__(self, data: dict[str, Any], path: Path, report: Report, table: Table) -> None:
        self.data = data
        self._keys = {key.name: key for key in table.keys}
        self.path = path
        self._report = report
        self._known: list[str] = []

    def problem(self, key: str, message: str) -> None:
        self._report.add((*self.path, key) if key else self.path, message)

    def finish(self) -> None:
        """Report the keys nobody asked for."""
        for key in self.data:
            if key not in self._known:
                self.problem(key, f'unknown key "{key}"{hint(key, self._known)}')

    def _get(self, key: str, kind: type | tuple[type, ...], what: str, required: bool | None = None) -> Any:
        """`required`: as declared, unless it depends on other keys."""
        self._known.append(key)
        value = self.data.get(key)
        if value is None:
            if self._keys[key].required if required is None else required:
                self.problem(key, f"missing; write {what}")
            return None
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool) or _endless(value):
            self.problem(key, f"must be {what}")
            return None
        return value

    def text(self, key: str, required: bool | None = None) -> str:
        """A text; "" where there is none."""
        value = self._get(key, str, "a text", required)
        if value == "":
            self.problem(key, "must not be empty")
        return value or ""

    def texts(self, key: str) -> tuple[str, ...]:
        value = self._get(key, list, "a list of texts") or []
        if not all(isinstance(one, str) and one for one in value):
            self.problem(key, "must be a list of texts")
            return ()
        for one in {one for one in value if value.count(one) > 1}:
            self.problem(key, f'"{one}" stands twice')
        return tuple(value)

    def whole_number(self, key: str) -> int | None:
        value = self._get(key, int, "a whole number of at least 0")
        if value is not None and not 0 <= value < 2**31:
            self.problem(key, "must be a whole number of at least 0")
            return None
        return value if value is None else int(value)

    def whole_numbers(self, key: str) -> tuple[int, ...]:
        value = self._get(key, list, "a list of whole numbers") or []
        if not all(isinstance(one, int) and not isinstance(one, bool) and 0 < one < 10_000 for one in value):
            self.problem(key, "must be a list of whole numbers above 0")
            return ()
        return tuple(value)

    def boolean(self, key: str) -> bool:
        value = self._get(key, bool, "true or false")
        return bool(self._keys[key].default if value is None else value)

    def character(self, key: str) -> str:
        value, default = self._get(key, str, "one character"), str(self._keys[key].default)
        if value is not None and (len(value) != 1 or not value.isascii() or value in "\r\n"):
            self.problem(key, "must be one ASCII character")
            return default
        return value or default

    def choice(self, key: str) -> str:
        """One of the declared words; "" where there is none, and no default."""
        declared = self._keys[key]
        assert isinstance(declared.kind, Scalar)
        allowed, default = declared.kind.schema["enum"], str(declared.default or "")
        value = self._get(key, str, f"one of {', '.join(allowed)}")
        if value is not None and value not in allowed:
            self.problem(key, f'"{value}" is not one of {", ".join(allowed)}{hint(value, list(allowed))}')
            return default
        return value or default

    def encoding(self, key: str) -> str:
        value = self._get(key, str, 'the name of an encoding, such as "utf-8" or "cp1252"') or self._keys[key].default
        try:
            name = codecs.lookup(value).name
        except LookupError:
            self.problem(key, f'encoding "{value}" is not known; write "utf-8", "cp1252", "iso8859-1", ...')
            return "utf-8"
        if not name.startswith("utf-16") and "\n;".encode(name) != b"\n;":
            self.problem(key, f'encoding "{value}" does not write ASCII as ASCII; convert the file to UTF-8 first')
        return name

    def duration(self, key: str, required: bool | None = None) -> int | None:
        """Nanoseconds."""
        declared = self._keys[key].default
        default = None if declared is None else duration_ns(declared)
        value = self._get(key, str, 'a duration such as "10s"', required)
        if value is None:
            return default
        try:
            return duration_ns(value)
        except ValueError as error:
            self.problem(key, str(error))
            return default

    def zone(self, key: str) -> str | None:
        value = self._get(key, str, 'a time zone such as "Europe/Ljubljana"')
        if value is not None and value not in zone_names():
            self.problem(key, f'time zone "{value}" is not known{hint(value, zone_names(), most=3)}')
            return None
        return str(value) if value is not None else None

    def number_form(self) -> Numbers:
        """The keys `decimal` and `thousands`."""
        decimal, thousands = self.choice("decimal"), self.choice("thousands")
        if decimal and decimal == thousands:
            self.problem("thousands", f'"{thousands}" is the decimal mark already')
            thousands = ""
        return Numbers(decimal, thousands)

    def time_rule(self, numbers: Numbers, base: TimeRule | None = None) -> TimeRule:
        """The keys `column` or `columns`, those of the format (`base`: its format where none is given), a shift."""
        if base is None and "every" in self.data:
            return self._every()
        columns = self.texts("columns")
        if "columns" not in self.data and (base is None or "column" in self.data):
            columns = (self.text("column", required=True),)
        elif "column" in self.data:
            self.problem("column", "`columns` names them already; remove one")
        elif not columns:
            if base is None:
                self.problem("columns", "must not be empty")
            else:
                columns = base.columns
        own = any(key in self.data for key in ("format", "zone", "unit", "origin"))
        form = self.time_format(numbers) if own or base is None else base.form
        if base is None:
            self._of_events("plus", "minus", "over_midnight")
            return TimeRule(columns, form)
        shift, unit, sign = None, "s", 1
        for key, way in (("plus", 1), ("minus", -1)):
            if key in self.data:
                part = self.section(key)
                if shift is not None:
                    self.problem(key, "`plus` and `minus` exclude each other; remove one")
                shift, unit, sign = part.text("column"), part.choice("unit"), way
                part.finish()
        over = self.boolean("over_midnight")
        if over and not form.patterns:
            self.problem("over_midnight", "belongs to an event's own time that has a date; remove this")
        return TimeRule(columns, form, shift, unit, sign, over_midnight=over)

    def _of_events(self, *keys: str) -> None:
        """Keys that the time of a row has not."""
        self.hints(*keys)
        for key in keys:
            if key in self.data:
                self.problem(key, "belongs to an event's own time; the rows' time is what their column says")

    def _every(self) -> TimeRule:
        """Rows without a time: `every` and `origin`."""
        every = self.duration("every")
        origin = self.text("origin", required=True)
        try:
            form = TimeFormat((), None, "ns", instant(origin) if origin else 0)
        except ValueError as error:
            self.problem("origin", str(error))
            form = TimeFormat((), None, "ns", 0)
        return TimeRule((), form, every_ns=every or 1)

    def time_format(self, numbers: Numbers) -> TimeFormat:
        """The keys `format` (one or several) and `zone`, or `unit` and `origin`."""
        form = self._get("format", (str, list), 'a format such as "%Y-%m-%d %H:%M:%S", or a list of them')
        forms = [form] if isinstance(form, str) else form or []
        if not all(isinstance(one, str) for one in forms):
            self.problem("format", "must be a list of texts")
            forms = []
        units = (*UNITS, *DAY_NUMBERS, FILETIME, SECONDS_NS)
        zone, unit = self.zone("zone"), self._get("unit", str, f"one of {', '.join(units)}")
        origin = self._get("origin", str, 'a time such as "1970-01-01T00:00:00Z"')
        if unit is None:
            if origin is not None:
                self.problem("origin", 'needs `unit`: what the numbers count, such as "s"')
            try:
                # Of several formats the later ones may be what is left of the first at midnight.
                patterns = tuple(pattern(one, date_only=i > 0) for i, one in enumerate(forms))
                return TimeFormat(patterns, zone) if patterns else TimeFormat(zone=zone)
            except ValueError as error:
                self.problem("format", str(error))
                return TimeFormat(zone=zone)
        if unit not in units:
            self.problem("unit", f'"{unit}" is not one of {", ".join(units)}')
            unit = "s"
        if "format" in self.data:
            self.problem("format", "a number of `unit` has none; remove this or `unit`")
        if unit in DAY_NUMBERS:
            if zone is None:
                self.problem("zone", f'missing: day numbers of "{unit}" are those of a wall clock; write its time zone')
            if origin is not None:
                self.problem("origin", f'"{unit}" has its own; remove this')
            return TimeFormat((), zone, unit, 0, numbers.decimal or ".")
        if zone is not None:
            self.problem("zone", "a number of `unit` since `origin` has none; remove this or `unit`")
        if unit == FILETIME and origin is not None:
            self.problem("origin", f'"{unit}" has its own; remove this')
            origin = None
        try:
            return TimeFormat((), None, unit, instant(origin) if origin is not None else 0, numbers.decimal or ".")
        except ValueError as error:
            self.problem("origin", str(error))
            return TimeFormat((), None, unit)

    def section(self, key: str) -> "Section":
        value, kind = self._get(key, dict, f"a table [{key}]"), self._keys[key].kind
        assert isinstance(kind, Table)
        return Section(value or {}, (*self.path, key), self._report, kind)

    def sections(self, key: str) -> list["Section"]:
        value = self._get(key, list, f"tables [[{key}]]") or []
        if not all(isinstance(one, dict) for one in value):
            self.problem(key, f"must be tables [[{key}]]")
            return []
        kind = self._keys[key].kind
        assert isinstance(kind, Tables)
        return [Section(one, (*self.path, key, i), self._report, kind.item) for i, one in enumerate(value)]

    def lookup(self, key: str) -> dict[str, str] | None:
        value = self._get(key, dict, "a table of texts")
        if value is None:
            return None
        for source, word in value.items():
            if not isinstance(word, str):
                self._report.add((*self.path, key, source), "must be a text")
                return None
        return dict(value)

    def template(self, key: str, required: bool | None = None) -> Template | None:
        """A constant, or `{ column = ... }` with what is done to it (of a text also `{ text = ... }`)."""
        kind = self._keys[key].kind
        assert isinstance(kind, Field)
        number = kind is NUMBER_FIELD
        what = "a whole number" if number else "a text"
        value = self._get(key, (int if number else str, dict), f"{what} or {{ column = ... }}", required)
        if value is None:
            return None
        if not isinstance(value, dict):
            if value == "":
                self.problem(key, "must not be empty")
            if isinstance(value, int) and not -(2**63) <= value < 2**63:
                self.problem(key, "does not fit in 64 bits")
                return Template(0)
            return Template(value)
        part = Section(value, (*self.path, key), self._report, kind.table)
        if number:
            template = Template(column=part.text("column"), scale=part.scale(), units=part.units(), words=part.words())
        else:
            template = part.text_template()
        part.finish()
        return template

    def text_template(self, source: str = "column") -> Template:
        column, constant = "", None
        if "text" in self.data and source not in self.data:
            constant = self.text("text")
        else:
            column = self.text(source, required=True)
        form, cut, table = self.text("format"), self.text("pattern"), self.lookup("lookup")
        default = self._get("default", str, "a text")
        if form and form.count("{}") != 1:
            self.problem("format", 'must hold {} once, where the text goes, such as "S{}"')
        if cut and cut.count("{}") != 1:
            self.problem("pattern", 'must hold {} once, for the part that counts, such as "{}.State"')
        if default is not None and table is None:
            self.problem("default", "needs `lookup`: it is for texts that are not in the table")
        return Template(constant, column or None, form or None, table, default, pattern=cut or None)

    def paces(self, source: str = "column") -> dict[str, Template]:
        """The keys `ideal_cycle`, `rate` and `factor`: texts as in the plant file, or `{ column = ... }`."""
        found = {}
        for key, kind in (("ideal_cycle", IDEAL_CYCLE), ("rate", RATE), ("factor", FACTOR)):
            template = self._pace(key, kind, source)
            if template is not None:
                found[key] = template
        if "ideal_cycle" in found and "rate" in found:
            self.problem("rate", "`ideal_cycle` says it already; remove one")
        return found

    def _pace(self, key: str, kind: Scalar, source: str) -> Template | None:
        def sound(text: Any) -> bool:
            try:
                kind.parse(text)
            except ValueError as error:
                self.problem(key, str(error))
                return False
            return True

        value = self._get(key, (str, dict, int) if key == "factor" else (str, dict), f"a {kind.label}, or a {source}")
        if value is None:
            return None
        if not isinstance(value, dict):
            return Template(str(value)) if sound(value) else None
        declared = self._keys[key].kind
        assert isinstance(declared, Field)
        part = Section(value, (*self.path, key), self._report, declared.table)
        unit = UNIT_KEY.get(key, "")
        if key == "factor":
            template = Template(column=part.text(source, required=True), scale=part.scale())
        elif unit in value:
            counts = part.choice(unit)
            template = Template(column=part.text(source, required=True), scale=part.scale(), time_unit=counts)
        else:
            template = part.text_template(source)
            if template.lookup is not None:
                texts = [*template.lookup.values(), template.default]
                if not all(sound(text) for text in texts if text and template.format is None):
                    return None
            part.hints(unit)
        part.finish()
        return template

    def hints(self, *keys: str) -> None:
        """Keys that are not there and might have been meant."""
        self._known += keys

    def units(self) -> dict[str, Fraction] | None:
        """`unit`: one that may stand behind the number, or a table of units and what one of each is worth."""
        value = self._get("unit", (str, dict), 'a unit such as "kg", or a table such as { kg = 1000, g = 1 }')
        if value is None:
            return None
        if isinstance(value, str):
            if not value.strip():
                self.problem("unit", "must not be empty")
            return {value: Fraction(1), "": Fraction(1)}
        worth = Table("What a unit is worth", tuple(Key(unit, FRACTION, "") for unit in value))
        part = Section(value, (*self.path, "unit"), self._report, worth)
        return {unit: part.fraction(unit) for unit in value}

    def words(self) -> dict[str, int] | None:
        """`lookup` of a number: words that stand for one."""
        value = self._get("lookup", dict, "a table of whole numbers")
        if value is None:
            return None
        for word, number in value.items():
            if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < 2**63:
                self._report.add((*self.path, "lookup", word), "must be a whole number of at least 0")
                return None
        return dict(value)

    def scale(self) -> Fraction:
        return self.fraction("scale")

    def fraction(self, key: str) -> Fraction:
        value = self._get(key, (str, int), 'a number or a fraction such as 1000 or "1/3"')
        if value is None:
            return Fraction(1)
        above, _, below = str(value).partition("/")
        numbers = to_number(above.strip()), to_number(below.strip() or "1")
        if numbers[0] is None or numbers[1] is None or numbers[0] <= 0 or numbers[1] <= 0:
            self.problem(key, f'"{value}" is not a number above 0 or a fraction such as "1/3"')
            return Fraction(1)
        return numbers[0] / numbers[1]

    def conditions(self, key: str) -> tuple[Condition, ...]:
        value = self._get(key, (dict, list), "a condition { column = ..., ... } or a list of them")
        parts = [value] if isinstance(value, dict) else value or []
        found = []
        for i, one in enumerate(parts):
            path: Path = (*self.path, key) if isinstance(value, dict) else (*self.path, key, i)
            if not isinstance(one, dict):
                self._report.add(path, "must be a condition { column = ..., ... }")
                continue
            found.append(Section(one, path, self._report, CONDITION).condition())
        return tuple(found)

    def condition(self) -> Condition:
        column = self.text("column")
        equals = self._get("equals", (str, int, float), "a text or a number")
        among = self._get("in", list, "a list of texts or numbers")
        if among is not None and not all(type(one) in (str, int, float) and not _endless(one) for one in among):
            self.problem("in", "must be a list of texts or numbers")
            among = None
        blank = self._get("blank", bool, "true or false")
        limits = {name: self._get(name, (int, float), "a number") for name in ("above", "at_least", "below", "at_most")}
        like = self.text("like") or None
        units = self.units()
        if equals is None is among and blank is None is like and all(one is None for one in limits.values()):
            self.problem("", "tests nothing; add equals, in, like, blank, above, at_least, below or at_most")
        self.finish()
        return Condition(
            column,
            _wanted(equals) if equals is not None else None,
            tuple(map(_wanted, among)) if among is not None else None,
            blank,
            **{name: Fraction(repr(value)) if value is not None else None for name, value in limits.items()},
            like=like,
            units=units,
        )

    def among(self, key: str, template: Template, allowed: Sequence[str]) -> None:
        """A template that can only give certain words: a constant, or a lookup."""
        given = [template.constant] if template.column is None else [*(template.lookup or {}).values()]
        if template.default:
            given.append(template.default)
        for word in given:
            if word not in (*allowed, "") and word is not None:
                self.problem(key, f'"{word}" is not one of {", ".join(allowed)}')


def _endless(value: object) -> bool:
    """TOML has inf and nan."""
    return isinstance(value, float) and not math.isfinite(value)


def _wanted(value: str | int | float) -> str | Fraction:
    # repr gives the shortest decimal that is the number in the file: 0.1 stays one tenth.
    return value if isinstance(value, str) else Fraction(repr(value))
