"""The formats of the wire as schemas, made from the declarations."""

from typing import Any

import msgspec
import pyarrow as pa

from twin.events.declare import WIRE, AnyEvent


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of one JSON record: an event, or an array of events.

    What one schema cannot say (the plant's own words, parts or counter) is in the descriptions and in docs/events.md.
    """
    (event,), components = msgspec.json.schema_components([AnyEvent], ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "taktwin event record",
        "description": "A record of the events topic: one event of a production line, or an array of them.",
        "anyOf": [{"$ref": "#/$defs/AnyEvent"}, {"type": "array", "items": {"$ref": "#/$defs/AnyEvent"}}],
        "$defs": {"AnyEvent": {"title": "Event", **event}, **components},
    }


def arrow_schema() -> pa.Schema:
    """Schema of the Arrow form with every column. All but type, ts and line may be left out or null."""
    needed = ("type", "ts", "line")
    return pa.schema([pa.field(f.name, f.arrow_type, nullable=f.name not in needed) for f in WIRE.values()])
