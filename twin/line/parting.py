"""Rows that a change of the plant model has made, as bytes of the state: they leave with the next events."""

import io
from collections.abc import Mapping, Sequence
from typing import Final

import pyarrow as pa

from twin.columns import filled
from twin.line.cells import own
from twin.line.engine import Tables
from twin.line.shape import SnapshotError
from twin.results import REFUSED, SETS

_SCHEMAS: Final = {name: REFUSED if name == "rejected" else own(SETS[name]) for name in SETS if name != "events"}


def packed(found: Mapping[str, Sequence[pa.Table]]) -> dict[str, bytes]:
    """Tables by set as Arrow streams. Equal rows give equal bytes: no dictionary tells what else was named."""
    packed_ = {}
    for name, parts in sorted(found.items()):
        table = pa.concat_tables([part.cast(_plain(part.schema)) for part in parts]).combine_chunks()
        sink = io.BytesIO()
        with pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
        packed_[name] = sink.getvalue()
    return packed_


def tables(parting: Mapping[str, bytes]) -> Tables:
    """Raises SnapshotError: these are no rows of this version."""
    try:
        return {name: _read(data, _SCHEMAS[name]) for name, data in parting.items()}
    except (pa.ArrowException, KeyError, OSError) as fault:
        raise SnapshotError(f"holds rows of a plant change that cannot be read ({fault})") from fault


def _read(data: bytes, schema: pa.Schema) -> pa.Table:
    """A column that came later is null."""
    with pa.ipc.open_stream(data) as stream:
        table = stream.read_all()
    if strange := sorted(set(table.column_names) - set(schema.names)):
        raise KeyError(strange[0])
    return filled(table, _plain(schema)).cast(schema)


def _plain(schema: pa.Schema) -> pa.Schema:
    return pa.schema(
        [
            pa.field(f.name, f.type.value_type, f.nullable) if isinstance(f.type, pa.DictionaryType) else f
            for f in schema
        ]
    )
