"""The declarations agree with the block, with the audited set, with the codes and with each other."""

import msgspec
import pyarrow as pa

from kernels.codes import COUNTER, END, EVENT_NAMES, PARTS, START
from twin.events.block import INTEGER_COLUMNS
from twin.events.declare import (
    ENTRY_FIELDS,
    EVENTS,
    FIELDS,
    INT64_MAX,
    JSON_NAME,
    MAX_TEXT,
    NEEDS_STATION,
    PAYLOAD,
    TYPE_CODE,
    WIRE,
    YEAR_2200_NS,
)
from twin.results import EVENTS as EVENTS_SET
from twin.results import ORIGIN
from twin.wire.schema import arrow_schema, json_schema


def test_declarations_stand_in_the_order_of_the_codes() -> None:
    assert tuple(msgspec.inspect.type_info(e).tag for e in EVENTS) == EVENT_NAMES


def test_mapping_to_block_columns() -> None:
    found = {
        EVENT_NAMES[code]: {f.name: (f.column, f.absent, f.form) for f in fields} for code, fields in enumerate(PAYLOAD)
    }
    said = dict.fromkeys(ENTRY_FIELDS[:4], ("entry", -1, None))
    pace = dict.fromkeys(ENTRY_FIELDS[4:7], ("entry", -1, None))
    assert found == {
        "state": {"state": ("x", -1, None), "reason": ("y", -1, None), "mode": ("z", -1, None), **said},
        "count": {
            "good": ("a", 0, PARTS),
            "scrap": ("b", 0, PARTS),
            "rework": ("c", 0, PARTS),
            "counter": ("x", -1, COUNTER),
            "value": ("a", -1, COUNTER),
            "order": ("z", -1, None),
            "corrects": ("y", -1, None),
            "unit": ("x", -1, PARTS),
            "defect": ("entry", -1, None),
            **said,
        },
        "cycle": {
            "phase": ("code", -1, None),
            "unit": ("x", -1, None),
            "product": ("y", -1, None),
            "order": ("z", -1, None),
        },
        "order": {
            "action": ("code", -1, None),
            "order": ("x", -1, None),
            "product": ("y", -1, None),
            "quantity": ("a", -1, None),
            "due": ("b", -1, None),
            "corrects": ("z", -1, None),
            **said,
            **pace,
        },
        "buffer": {"buffer": ("x", -1, None), "level": ("a", -1, None)},
        "heartbeat": {"reason": ("y", -1, None)},
        "correction": {
            "corrects": ("x", -1, None),
            "verb": ("code", -1, None),
            "reason": ("y", -1, None),
            "state": ("z", -1, None),
            "good": ("a", -1, None),
            "scrap": ("b", -1, None),
            "rework": ("c", -1, None),
            **said,
        },
        "measure": {
            "measured": ("a", -1, None),
            "measure": ("y", -1, None),
            "unit": ("x", -1, None),
            "order": ("z", -1, None),
            "n": ("b", -1, None),
        },
        "product": {
            "product": ("y", -1, None),
            **pace,
            **{name: place for name, place in said.items() if name != "cause"},
        },
    }


def test_limits_are_read_from_the_declarations() -> None:
    assert (WIRE["ts"].kind, WIRE["ts"].minimum, WIRE["ts"].maximum) == ("time", 0, YEAR_2200_NS - 1)
    assert (WIRE["good"].kind, WIRE["good"].minimum, WIRE["good"].maximum) == ("integer", 0, INT64_MAX)
    assert (WIRE["line"].kind, WIRE["line"].maximum) == ("text", MAX_TEXT)
    assert WIRE["order"].minimum == 1
    assert WIRE["phase"].choices[START] == "start"
    assert WIRE["phase"].choices[END] == "end"
    optional = {EVENT_NAMES[i] for i, needed in enumerate(NEEDS_STATION) if not needed}
    assert optional == {"order", "heartbeat", "measure", "product"}


def test_a_name_means_the_same_in_every_type() -> None:
    for fields in FIELDS:
        for f in fields:
            one = WIRE[f.name]
            # The Arrow decoder reads a column once for all types.
            assert (f.kind, f.minimum, f.maximum, f.choices, f.unique) == (
                one.kind,
                one.minimum,
                one.maximum,
                one.choices,
                one.unique,
            )


def test_every_column_is_a_block_column() -> None:
    for fields in PAYLOAD:
        for f in fields:
            assert f.column in INTEGER_COLUMNS
            if f.column == "entry":  # all of them in one word
                assert f.name in ENTRY_FIELDS
                continue
            assert (f.kind == "text") == (f.column in ("x", "y", "z"))
            assert (f.kind == "choice") == (f.column == "code")


def test_wire_and_audited_set_have_the_same_columns() -> None:
    audited = {f.name: f.type for f in EVENTS_SET if f.name not in ORIGIN}
    wire = arrow_schema()
    assert {f.name: f.type for f in wire} == audited
    assert [f.name for f in wire if not f.nullable] == ["type", "ts", "line"]
    assert wire.field("unit").type == pa.string()


def test_json_schema_names_every_type_and_field() -> None:
    schema = json_schema()
    definitions = schema["$defs"]
    titles = {EVENTS[code].__name__ for code in TYPE_CODE.values()}
    assert titles <= set(definitions)
    for code, event in enumerate(EVENTS):
        definition = definitions[event.__name__]
        assert definition["description"]
        assert set(definition["properties"]) == {"type", *(JSON_NAME.get(f.name, f.name) for f in FIELDS[code])}
        needed = {JSON_NAME.get(f.name, f.name) for f in FIELDS[code] if f.required}
        assert set(definition["required"]) == {"type", *needed}
        for name, field in definition["properties"].items():
            assert name == "type" or field["description"]
    assert definitions["AnyEvent"]["discriminator"]["mapping"]["state"] == "#/$defs/State"
    assert {"$ref": "#/$defs/AnyEvent"} in schema["anyOf"]
