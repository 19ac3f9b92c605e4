"""Random but lawful rows of every audited set, and damage done to files."""

import random
from pathlib import Path
from typing import Any

import pyarrow as pa

from twin.audit.writer import AuditWriter, Manifest
from twin.results import CLASS_COLUMNS, INDEX, ORIGIN, SETS

DAY_NS = 86_400_000_000_000
NOON_NS = 1_750_075_200_123_456_789  # 2025-06-16T12:00:00.123456789Z
NAMES = ("", "a", "b", "Ofen Süd", "../../etc/passwd", "x" * 40)


def rows(set_name: str, count: int, seed: int = 0, *, days: int = 1) -> list[dict[str, Any]]:
    """`count` rows over `days` dates, source_offset rising."""
    rng = random.Random(seed)  # noqa: S311 -- test data, nothing secret
    made = []
    for number in range(count):
        row = {field.name: _cell(rng, field, days) for field in SETS[set_name]}
        row |= {"source_topic": "twin.events", "source_partition": 3, "source_offset": number // 2}
        if INDEX in row:
            row[INDEX] = number % 2
        if "revised" in row:
            row |= {"revision": 0, "revised": None, "retracted": False}
        if "end" in row:
            row["start"] = row["end"] - rng.randrange(1, 3_600_000_000_000)
        if set_name == "kpis":
            left = row["end"] - row["start"]
            for name in CLASS_COLUMNS[:-1]:
                row[name] = rng.randrange(left + 1)
                left -= row[name]
            row[CLASS_COLUMNS[-1]] = left
        made.append(row)
    return made


def _cell(rng: random.Random, field: "pa.Field[Any]", days: int) -> Any:
    if field.nullable and rng.random() < 0.3:
        return None
    kind = field.type
    if pa.types.is_timestamp(kind):
        return NOON_NS + rng.randrange(days) * DAY_NS + rng.randrange(10_000_000_000_000)
    if pa.types.is_date32(kind):
        return rng.randrange(20_000)
    if pa.types.is_boolean(kind):
        return rng.random() < 0.5
    if pa.types.is_floating(kind):
        return rng.choice([0.0, -0.0, 1.0, rng.random()])
    if pa.types.is_integer(kind):
        return rng.randrange(-5, 1000)
    if pa.types.is_binary(kind):
        return rng.randbytes(rng.randrange(20))
    return rng.choice(NAMES)


def table(set_name: str, made: list[dict[str, Any]], *, origin: bool = True) -> pa.Table:
    fields = [field for field in SETS[set_name] if origin or field.name not in ORIGIN]
    columns = []
    for field in fields:
        values = [row[field.name] for row in made]
        if isinstance(field.type, pa.DictionaryType):
            columns.append(pa.array(values, pa.string()).dictionary_encode().cast(field.type))
        elif pa.types.is_timestamp(field.type):
            columns.append(pa.array(values, pa.int64()).cast(field.type))
        elif pa.types.is_date32(field.type):
            columns.append(pa.array(values, pa.int32()).cast(field.type))
        else:
            columns.append(pa.array(values, field.type))
    return pa.Table.from_arrays(columns, schema=pa.schema(fields))


def plain(found: pa.Table) -> list[tuple[Any, ...]]:
    """Rows as tuples of plain values, times as integers."""
    columns = []
    for column in found.columns:
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.int64())
        elif pa.types.is_date32(column.type):
            column = column.cast(pa.int32())
        columns.append(column.to_pylist())
    return list(zip(*columns, strict=True))


def writer(root: Path, partition: int = 3, **changed: Any) -> AuditWriter:
    settings = {
        "topic": "twin.events",
        "plant_hash": "00ff00ff00ff00ff",
        "policies": "iso22400",
        "code_version": "0.1.0",
    }
    return AuditWriter(root, partition, **{**settings, **changed})


def write(root: Path, sets: dict[str, pa.Table], first: int = 0, following: int = 100, partition: int = 3) -> Manifest:
    audit = writer(root, partition)
    for set_name, one in sets.items():
        audit.add(set_name, one)
    manifest = audit.stage(first, following)
    audit.publish(manifest)
    return manifest


def flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 0x10
    path.write_bytes(data)
