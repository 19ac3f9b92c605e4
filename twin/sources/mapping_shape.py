"""What a mapping may hold: the one declaration, in the words of the plant file's (`twin.plant.shape`).

The reader, its messages, the JSON Schema and the reference in docs/sources.md are made from it. What depends on more
than one value is in `twin.sources.mapping` and `mapping_parts`.
"""

from typing import Any, Final

from twin.events.declare import JSON_NAME, PAYLOAD, TYPE_CODE, WIRE, meaning
from twin.plant import schema
from twin.plant.kinds import (
    BOOLEAN,
    FACTOR,
    IDEAL_CYCLE,
    RATE,
    ZONE,
    Scalar,
    choice,
    duration,
    integer,
)
from twin.plant.shape import Either, Key, Map, Table, Tables
from twin.sources.mapping_kinds import (
    ANY_TEXT,
    CHARACTER,
    CONSTANT,
    DELIMITER,
    ENCODING,
    FORMATS,
    FRACTION,
    MAX_WORDS,
    NUMBER,
    ORIGIN,
    TEXT,
    TEXT_OR_NUMBER,
    TEXTS,
    TEXTS_OR_NUMBERS,
    UNIT,
    WHOLE,
    WHOLE_CONSTANT,
    WIDTHS,
)
from twin.sources.time_format import DAY_NUMBERS, FILETIME, SECONDS_NS, UNITS

MAX_RULES: Final = 10_000
TIME_UNIT: Final = choice(*UNITS)
LINE_OR_STATION: Final = choice("line", "station")
_LOOKUP: Final = Map("the column's text", ANY_TEXT, MAX_WORDS)


def _text_keys(source: str) -> tuple[Key, ...]:
    return (
        Key(source, TEXT, f"The {source} that it comes from."),
        Key("text", TEXT, f"Instead: a constant, such as {{file}}, for `lookup`. Not beside `{source}`."),
        Key(
            "pattern", TEXT, 'Such as "Plant/{}/State": the part that counts; * is anything. Another text is no field.'
        ),
        Key("lookup", _LOOKUP, "The column's text = the field's text."),
        Key("default", ANY_TEXT, 'For what is not in the table ("": no field). Absent: that is a problem.'),
        Key("format", TEXT, 'Text around it: "S{}".'),
    )


TEXT_OF: Final = Table("A text from a column", _text_keys("column"))
NUMBER_OF: Final = Table(
    "A whole number, or a measure's decimal, from a column",
    (
        Key("column", TEXT, "The column that it comes from.", required=True),
        Key("scale", FRACTION, "The number is multiplied by it, exactly.", default=1),
        Key("unit", UNIT, 'What may stand after it: "kg"; or what each is worth: { kg = 1000, g = 1 }.'),
        Key("lookup", Map("a word", integer(0, 2**63 - 1), MAX_WORDS), "Words that stand for a number: { OK = 1 }."),
    ),
)
FIELD: Final = Either("field", CONSTANT, TEXT_OF)
NUMBER_FIELD: Final = Either("field, a number", WHOLE_CONSTANT, NUMBER_OF)

CONDITION: Final = Table(
    "A condition: all that it says must hold",
    (
        Key("column", TEXT, "The column that is tested.", required=True),
        Key("equals", TEXT_OR_NUMBER, "A number is compared as one (0 equals 0.0), a text as a text."),
        Key("in", TEXTS_OR_NUMBERS, "It is one of these."),
        Key("like", TEXT, "It looks like this; * is anything."),
        Key("blank", BOOLEAN, "There is nothing, or there is something."),
        Key("above", NUMBER, "It is above this."),
        Key("at_least", NUMBER, "It is this, or above it."),
        Key("below", NUMBER, "It is below this."),
        Key("at_most", NUMBER, "It is this, or below it."),
        Key("unit", UNIT, "Of the number, as in a field."),
    ),
)
CONDITIONS: Final = Tables(CONDITION, MAX_RULES, unique=False, inline="condition")


def _pace(name: str, kind: Scalar, source: str) -> Either:
    """A text as in the plant file; for a number what it counts is said. A factor is a number or a fraction."""
    keys: tuple[Key, ...] = (Key(source, TEXT, f"The {source} that it comes from.", required=True),)
    if per := {"ideal_cycle": "unit", "rate": "per"}.get(name):
        counts = Key(per, TIME_UNIT, "What a number counts; without it, the cell is a text as in the plant file.")
        keys = (*_text_keys(source), counts)
    of = Table(f"{name} from a {source}", (*keys, Key("scale", FRACTION, "A number is multiplied by it, exactly.")))

    def sound(value: Any) -> str:
        kind.parse(value)
        return str(value)

    return Either(f"{kind.label}, or a {source}", Scalar(kind.label, sound, kind.schema), of)


def _pace_keys(source: str) -> tuple[Key, ...]:
    return (
        Key("ideal_cycle", _pace("ideal_cycle", IDEAL_CYCLE, source), "Ideal time per part of the product."),
        Key("rate", _pace("rate", RATE, source), "The same as a rate, instead."),
        Key("factor", _pace("factor", FACTOR, source), "Units of the line in one part of the product."),
    )


_FORMAT_KEYS: Final = (
    Key(
        "format",
        FORMATS,
        "One or several: `%Y` (`%y`), `%m` (`%b`, `%B`: names), `%d`, `%H` (`%I` and `%p`), `%M`, `%S`, `%f` (1 to 9 "
        "digits of a second), `%L` (milliseconds), `%z` (`Z`, `+01:00`, `+01`), `%Z` (`CET`, `UTC`), `%a %A` (weekday, "
        "not looked at), `%%`; a blank is any blanks. Absent: ISO 8601.",
    ),
    Key(
        "zone",
        ZONE,
        "Zone of times without an offset. In the repeated hour of autumn a row that lies back by more than the lines' "
        "`lateness` (but 1 to 10 min) begins the second pass; one that lies back less is out of order and stays in its "
        "pass. A time that the clocks jump over is a problem.",
    ),
    Key(
        "unit",
        choice(*UNITS, *DAY_NUMBERS, FILETIME, SECONDS_NS),
        "Instead of a format: the column is a number of these.",
    ),
    Key("origin", ORIGIN, 'What that number counts from. Absent: "1970-01-01T00:00:00Z".'),
)
_COLUMN_KEYS: Final = (
    Key("column", TEXT, "The column of the time."),
    Key("columns", TEXTS, "Instead: several, joined by a blank."),
)
LENGTH: Final = Table(
    "A length from a column",
    (
        Key("column", TEXT, "The column of the length.", required=True),
        Key("unit", TIME_UNIT, "What its numbers count.", default="s"),
    ),
)
TIME: Final = Table(
    "When a row is",
    (
        *_COLUMN_KEYS,
        Key("every", duration(), "Instead of a column: rows have no time, one comes so much after the other."),
        *_FORMAT_KEYS,
        Key("sort", BOOLEAN, "Sort the rows by time first.", default=False),
    ),
    dict.fromkeys(
        ("plus", "minus", "over_midnight"),
        "belongs to an event's own time; the rows' time is what their column says, remove this",
    ),
)
EVENT_TIME: Final = Table(
    "When an event is, where not at the row's time; without columns and format these are the row's",
    (
        *_COLUMN_KEYS,
        *_FORMAT_KEYS,
        Key("plus", LENGTH, "A length that is added."),
        Key("minus", LENGTH, "A length that is taken off."),
        Key("over_midnight", BOOLEAN, "One that lies before the beginning is one of the next day.", default=False),
    ),
)
TABLE_FORM: Final = Table(
    "How the file holds its table; also of sheets and Parquet, as far as it applies",
    (
        Key("delimiter", DELIMITER, "Between cells; spaces: any run of blanks.", default=","),
        Key("quote", CHARACTER, "Around a cell; a line break within is read as a blank.", default='"'),
        Key("widths", WIDTHS, "Columns of fixed width, in characters, instead of a delimiter."),
        Key("encoding", ENCODING, "Of the text.", default="utf-8"),
        Key("header", BOOLEAN, "A line names the columns.", default=True),
        Key("skip", WHOLE, "Lines before the header (without one: before the rows). Absent: the header is looked for."),
        Key("columns", TEXTS, "The names, where there is no header."),
        Key("comment", TEXT, "How lines begin that are left out."),
        Key("sheets", TEXTS, "Sheets of a workbook. Absent: those that have the columns."),
        Key("decimal", choice(".", ","), "The decimal mark. Absent: a point, and 1.234 is not sure."),
        Key("thousands", choice(".", ",", " ", "'", "_"), "The mark of thousands; a blank is also a narrow one."),
        Key("blank", TEXTS, "Texts that stand for nothing, in every column."),
    ),
)
SAMPLE: Final = Table(
    "Rows are samples; without this table they are events",
    (
        Key("hold", duration(0), "How long a row is true.", required=True),
        Key("tolerance", duration(0), "How much later the next one may come.", default="0s"),
    ),
)
ORDER: Final = Table(
    "Orders by a column: one starts with each new id",
    (
        Key("id", FIELD, "Order id; {file} in a constant is the file's name without extensions.", required=True),
        Key("product", FIELD, "Its product, from the order's first row."),
        Key("quantity", NUMBER_FIELD, "Parts ordered, likewise."),
        *_pace_keys("column"),
        Key(
            "of",
            LINE_OR_STATION,
            "station: the order of the row's station alone. It ends where the station's next one begins, the last one "
            "where the line's log ends.",
            default="line",
        ),
        Key("time", EVENT_TIME, "When the row's work on the order began. Absent: at the row's time."),
        Key("until", EVENT_TIME, "When it ended; the order begins with the first of its rows and ends with the last."),
    ),
)
ROW: Final = Table(
    "How the source names a row, in any order of rows",
    (Key("column", TEXT, "The column of its name."), Key("columns", TEXTS, "Instead: several, together.")),
)
# Types of events that a rule can make.
TYPES: Final = ("state", "count", "cycle", "order", "buffer", "heartbeat", "measure", "product")
# Their fields as declared: whether it must be there, whether it is a number (whole, but for a measure's value).
FIELDS: Final[dict[str, tuple[int, dict[str, tuple[bool, bool]]]]] = {
    name: (
        TYPE_CODE[name],
        {
            JSON_NAME.get(field.name, field.name): (field.required, field.kind in ("integer", "decimal"))
            for field in PAYLOAD[TYPE_CODE[name]]
            if field.mapped
        },
    )
    for name in TYPES
}
_NUMBERS: Final = {name for _, fields in FIELDS.values() for name, (_, number) in fields.items() if number}


def _said(name: str) -> str:
    """What a field says in the events that a rule can make, by the name that JSON gives it."""
    types = [kind for kind, (_, fields) in FIELDS.items() if name in fields]
    said = (meaning(field, types) for field in WIRE if JSON_NAME.get(field, field) == name)
    return "; ".join(filter(None, said))


EVENT: Final = Table(
    "A rule: an event of every row for which `when` holds; of several rules of type `state` the first one counts",
    (
        Key(
            "type",
            choice(*TYPES),
            "Type of the event.",
            required=True,
        ),
        Key("when", CONDITIONS, "All of these must hold."),
        Key("station", FIELD, "Its station, where not the row's."),
        Key("time", EVENT_TIME, "Its time, where not the row's."),
        Key("until", EVENT_TIME, "Of a state: until when it holds."),
        Key("otherwise", TEXT, "Of states with `until`: the state outside of them. Absent: unknown."),
        Key("of", LINE_OR_STATION, "Of a product: line: at all stations, whatever the row's.", default="station"),
        *(
            Key(name, NUMBER_FIELD if name in _NUMBERS else FIELD, f"{_said(name)}.")
            for name in dict.fromkeys(name for _, fields in FIELDS.values() for name in fields)
        ),
        *_pace_keys("column"),
    ),
)
_EVERY: Final = Key("heartbeat_every", duration(0), "Least time between an event and a heartbeat.", default="10s")
_FILE: Final = Key("file", TEXT, "Form of the file's name, for {file.NAME}.")

CSV: Final = Table(
    "A table: CSV, columns of fixed width, workbooks, Parquet",
    (
        Key("format", choice("csv", "shdr"), "csv: a table. shdr: a stream of items, below.", default="csv"),
        Key("line", FIELD, "Line id of the plant.", required=True),
        Key("station", FIELD, "Station id; needed for states, counts, cycles and buffers. Absent: the whole line."),
        _EVERY,
        Key("csv", TABLE_FORM, "How the file holds its table."),
        Key("time", TIME, "When a row is.", required=True),
        Key("sample", SAMPLE, "Rows are samples."),
        Key("order", ORDER, "Orders by a column."),
        Key("event", Tables(EVENT, MAX_RULES, unique=False), "The rules."),
        Key("seq", NUMBER_FIELD, "The source's own number of the row: { column = ... }; not with `[sample]`."),
        Key("row", ROW, "The source's own name of the row; not with `[sample]` or `seq`."),
        Key("keep", CONDITIONS, "Rows for which all of these hold are used."),
        Key("ignore", CONDITIONS, "And of those the ones for which none of these does."),
        _FILE,
        Key(
            "stations",
            Map("what stands for {station} in a column's name", ANY_TEXT, MAX_WORDS),
            'The station\'s id, "" for none.',
        ),
    ),
)

_ITEM: Final = Key("item", TEXT, "The item.", required=True)
SHDR: Final = Table(
    "A stream of items: MTConnect SHDR",
    (
        Key("format", choice("csv", "shdr"), '"shdr".', required=True),
        Key("line", TEXT, "Line id of the plant.", required=True),
        Key("station", TEXT, "Station id of the plant.", required=True),
        _EVERY,
        Key("zone", ZONE, "Of times without an offset (MTConnect has none such)."),
        Key(
            "state",
            Table(
                "The state",
                (
                    Key("item", TEXT, "The item whose value is the state.", required=True),
                    Key(
                        "words",
                        Map("the item's value", ANY_TEXT, MAX_WORDS),
                        "The plant's word; others stay as they are.",
                    ),
                ),
            ),
            "The state.",
            required=True,
        ),
        Key("mode", Table("The mode", (_ITEM,)), "The item whose value is the mode."),
        Key(
            "reason",
            Table(
                "The reason",
                (Key("items", TEXTS, "Conditions that are the reason while they are `Fault` or `Warning`."),),
            ),
            "The reason of the state.",
        ),
        Key(
            "count",
            Tables(
                Table(
                    "An item that counts",
                    (
                        _ITEM,
                        Key("counter", TEXT, "A running counter of the plant."),
                        Key("parts", choice("good", "scrap", "rework"), "Instead: parts made.", default="good"),
                    ),
                ),
                MAX_RULES,
                unique=False,
            ),
            "Items that count.",
        ),
        Key(
            "measure",
            Tables(
                Table(
                    "An item that measures",
                    (
                        _ITEM,
                        Key("measure", TEXT, "A measure of the plant.", required=True),
                        Key("scale", FRACTION, "Makes its unit of the item's.", default=1),
                    ),
                ),
                MAX_RULES,
                unique=False,
            ),
            "Items that measure.",
        ),
        Key(
            "product",
            Table(
                "What a part of a product takes. A value counts for the product that was there when it came; one that "
                "came before the product may be that of the last one, and is not taken. To be sure, name the product's "
                "own item and a `lookup`",
                (
                    Key("item", TEXT, "The item whose value is the product.", required=True),
                    *_pace_keys("item"),
                    Key("of", LINE_OR_STATION, "line: at all stations of the line.", default="station"),
                ),
            ),
            "What a part of a product takes.",
        ),
        _FILE,
    ),
)


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a mapping, for editors. What depends on more than one value only the reader finds."""
    return {
        "$schema": schema.DIALECT,
        "title": "taktwin mapping",
        "if": {"properties": {"format": {"const": "shdr"}}, "required": ["format"]},
        "then": schema.of_table(SHDR),
        "else": schema.of_table(CSV),
    }


def reference() -> str:
    """Markdown: the end of docs/sources.md."""
    return "\n".join(
        [
            *schema.sections(CSV, "A table"),
            *schema.sections(SHDR, "SHDR"),
            *(part for table in (TEXT_OF, NUMBER_OF, CONDITION) for part in schema.sections(table, table.title)),
        ]
    )
