"""What other services need to read the twin's topics in any language: JSON Schemas and an AsyncAPI document.

Made from the declarations, so they cannot differ from what is sent. docs/schemas holds them as files, the worker serves
them at /schemas. They may only grow: `breaking` says what would break a reader or a producer.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec
import pyarrow as pa

from streams.kafka import topics
from streams.settings import Settings
from streams.worker.publish import TOPIC_OF
from twin.alert_kinds import KINDS
from twin.audit.claims import Claim
from twin.events.reasons import REASONS
from twin.line.view import LineView
from twin.results import IDENTITY, OLDEST_SCHEMA, SETS, SINCE
from twin.wire.schema import json_schema

Document = dict[str, Any]

# The fields of a view that the first release had. The topic may hold the last view of a line that says nothing more.
_FIRST_OF_LINES: Final = (
    *("line", "ts_ns", "state", "stations", "availability", "performance", "quality", "oee", "good", "scrap", "order"),
    *("bottleneck", "share", "verdict", "newest_ns", "duplicates", "late", "contradictions", "provisional"),
)
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_LINES: Final = "lines"
# What a column says that its type does not.
_SAID: Final = {("alerts", "kind"): f"One of {', '.join(KINDS)}; more may come."}
_EVENT: Final = "event"
_REJECTED: Final = "rejected-headers"
_CHAIN: Final = "chain"
_TIME: Final[Document] = {
    "type": "string",
    "format": "date-time",
    "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$",
    "description": "RFC 3339 in UTC, up to nanoseconds: text, because JavaScript rounds such integers.",
}


def documents() -> dict[str, Document]:
    """File name to document: every schema, and asyncapi.json, which refers to them by name."""
    schemas = {f"{name}.schema.json": schema for name, schema in _schemas()}
    return {**schemas, "asyncapi.json": asyncapi()}


def results() -> dict[str, Document]:
    """Set name to the schema of its records in Kafka, and `lines` for the provisional views."""
    return {**{name: _of_set(name) for name in TOPIC_OF}, _LINES: _of_lines()}


def text_of(document: Document) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _schemas() -> Iterator[tuple[str, Document]]:
    yield _EVENT, json_schema()
    yield from results().items()
    yield _REJECTED, _of_rejected()
    yield _CHAIN, _of_chain()


def _of_set(name: str) -> Document:
    """A result record: `id` and `set`, then the columns. Those that came after the first release are not required: a
    topic may hold records from before.
    """
    properties: dict[str, Any] = {
        "id": {
            "type": "string",
            "pattern": "^[0-9a-f]{16}$",
            "description": "Of what the row says, whenever and by whomever it is sent: leave out what you have seen.",
        },
        "set": {"const": name},
    }
    required = ["id", "set"]
    for field in SETS[name]:
        if field.name == "source_index":
            continue
        said = {"description": _SAID[name, field.name]} if (name, field.name) in _SAID else {}
        properties[field.name] = _nullable(_of_type(field.type), field.nullable) | said
        if SINCE.get(name, {}).get(field.name, OLDEST_SCHEMA) == OLDEST_SCHEMA:
            required.append(field.name)
    identity = ", ".join(IDENTITY[name])
    return {
        "$schema": DIALECT,
        "title": f"taktwin {name}",
        "description": f"A row of {name}, at least once. Of one identity ({identity}) the highest revision counts, "
        "of equal ones the row that is not retracted, and of several of these the last. More properties may come.",
        "type": "object",
        "properties": properties,
        "required": required,
    }


def _of_type(kind: Any) -> Document:
    if pa.types.is_dictionary(kind):
        return _of_type(kind.value_type)
    if pa.types.is_timestamp(kind):
        return dict(_TIME)
    if pa.types.is_date(kind):
        return {"type": "string", "format": "date"}
    if pa.types.is_boolean(kind):
        return {"type": "boolean"}
    if pa.types.is_integer(kind):
        return {"type": "integer"}
    if pa.types.is_floating(kind):
        return {"type": "number"}
    if pa.types.is_string(kind):
        return {"type": "string"}
    raise TypeError(f"{kind} has no place in a JSON record yet: say here how it is written")


def _nullable(schema: Document, nullable: bool) -> Document:
    return {**schema, "type": [schema["type"], "null"]} if nullable else schema


def _of_lines() -> Document:
    (schema,), parts = msgspec.json.schema_components([LineView], ref_template="#/$defs/{name}")
    view = parts.pop("LineView")
    assert schema == {"$ref": "#/$defs/LineView"}
    for name in ("ts", "newest"):
        view["properties"][name] = {**view["properties"][name], **_TIME}
    for name in ("ts_ns", "newest_ns"):
        view["properties"][name]["description"] = "ns since 1970 UTC; JavaScript rounds it: take the text beside it."
    return {
        "$schema": DIALECT,
        **view,
        "title": "taktwin line",
        "description": "The newest view of a line: provisional, not audited. The topic is compacted by line.",
        "properties": {name: _without_default(one) for name, one in view["properties"].items()},
        "required": list(_FIRST_OF_LINES),
        "$defs": parts,
    }


def _without_default(schema: Document) -> Document:
    """Readers are given every field: what a decoder would put in its place is no concern of theirs."""
    return {key: value for key, value in schema.items() if key != "default"}


def _of_rejected() -> Document:
    text = {"type": "string"}
    number = {"type": "string", "pattern": "^[0-9]+$"}
    properties = {
        "id": {**text, "description": "The same at each repeat."},
        "reason": {**text, "description": f"One of {', '.join(REASONS)} (docs/events.md); more may come."},
        "detail": {**text, "description": "A sentence: what is wrong and what to do."},
        "source_topic": text,
        "source_partition": number,
        "source_offset": number,
        "truncated_from_bytes": {**number, "description": "Only where the value is not the whole record."},
    }
    return {
        "$schema": DIALECT,
        "title": "taktwin refused input: headers",
        "description": "The value is the refused record's bytes as they came; headers are UTF-8 text.",
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name != "truncated_from_bytes"],
    }


def _of_chain() -> Document:
    (schema,), parts = msgspec.json.schema_components([Claim], ref_template="#/$defs/{name}")
    claim = parts.pop("Claim")
    assert schema == {"$ref": "#/$defs/Claim"}
    return {
        "$schema": DIALECT,
        **claim,
        "title": "taktwin chain",
        "description": "What is committed of a partition of the events topic: up to which offset, and the end of its "
        "chain of files in the audit root. It holds for good. The topic is compacted by group/partition.",
        "$defs": parts,
    }


def asyncapi(settings: Settings | None = None) -> Document:
    """AsyncAPI 3 of all topics, as the twin sees them: it receives events and sends the rest."""
    settings = settings or Settings()
    wanted = {topic.name: topic for topic in topics.desired(settings)}
    messages = {
        topics.EVENTS: {
            "event": _message("event", _EVENT, "One event or an array of them, as JSON; or an Arrow IPC stream.")
        },
        topics.LINES: {"line": _message("line", _LINES, "The newest view of a line.")},
        topics.CHAIN: {"chain": _message("chain", _CHAIN, "What is committed, and its end.", "group/partition")},
        topics.REJECTED: {
            "rejected": {
                "name": "rejected",
                "contentType": "application/octet-stream",
                "summary": "Refused input: its bytes, the reason in the headers.",
                "headers": {"$ref": f"./{_REJECTED}.schema.json"},
                "payload": {"type": "string", "format": "binary"},
            }
        },
    }
    for set_name, short in TOPIC_OF.items():
        messages.setdefault(short, {})[set_name] = _message(set_name, set_name, f"A row of {set_name}.")
    channels, operations = {}, {}
    for short, known in messages.items():
        topic = wanted[settings.topic(short)]
        name = short.replace(".", "_")
        channels[name] = {
            "address": topic.name,
            "messages": known,
            "bindings": {
                "kafka": {
                    "topic": topic.name,
                    "partitions": topic.partitions,
                    "replicas": topic.replication,
                    "bindingVersion": "0.5.0",
                }
            },
        }
        action = "receive" if short == topics.EVENTS else "send"
        operations[f"{action}_{name}"] = {"action": action, "channel": {"$ref": f"#/channels/{name}"}}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "taktwin",
            "version": "0.1.0",
            "description": "A live digital twin of production lines: what it reads from and writes to Kafka. Results "
            "come at least once; a record's id is the same at each repeat.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "kafka": {
                "host": "{bootstrap}",
                "protocol": "kafka",
                "variables": {"bootstrap": {"default": settings.bootstrap, "description": "TAKTWIN_BOOTSTRAP"}},
            }
        },
        "channels": channels,
        "operations": operations,
    }


def _message(name: str, schema: str, summary: str, key: str = "the line's id") -> Document:
    return {
        "name": name,
        "contentType": "application/json",
        "summary": summary,
        "payload": {
            "schemaFormat": "application/schema+json;version=draft-07",
            "schema": {"$ref": f"./{schema}.schema.json"},
        },
        "bindings": {"kafka": {"key": {"type": "string", "description": key}, "bindingVersion": "0.5.0"}},
    }


def breaking(old: Mapping[str, Any], new: Mapping[str, Any], where: str = "") -> list[str]:
    """What of `new` would break a reader of records that `old` describes, or a producer of them.

    No property, message or topic taken away, no type or constant changed, nothing newly required.
    """
    found = []
    for name in _names(old, "properties", "$defs", "channels", "messages", "operations"):
        group, _, key = name.partition("/")
        if key not in new.get(group, {}):
            found.append(f"{where}{name} is gone")
        elif isinstance(old[group][key], dict):
            found += breaking(old[group][key], new[group][key], f"{where}{name}: ")
    for key in (
        "type",
        "const",
        "pattern",
        "format",
        "address",
        "action",
        "$ref",
        "contentType",
        "schemaFormat",
        "enum",
    ):
        before, after = old.get(key), new.get(key)
        if before != after and not (key == "enum" and set(before or ()) < set(after or ())):
            found.append(f"{where}{key} was {before!r}, is {after!r}")
    newly = sorted(set(new.get("required", ())) - set(old.get("required", ())))
    if newly and old:
        found.append(f"{where}newly required: {', '.join(newly)}")
    for key in ("anyOf", "oneOf"):
        gone = [one for one in old.get(key, ()) if one not in new.get(key, ())]
        found += [f"{where}{key} has no {one!r} any more" for one in gone]
    for key in ("items", "payload", "schema", "headers"):
        if isinstance(old.get(key), dict):
            found += (
                breaking(old[key], new[key], f"{where}{key}: ")
                if isinstance(new.get(key), dict)
                else [f"{where}{key} is gone"]
            )
    return found


def _names(schema: Mapping[str, Any], *groups: str) -> Iterator[str]:
    for group in groups:
        for key in schema.get(group, {}) if isinstance(schema.get(group), dict) else ():
            yield f"{group}/{key}"
