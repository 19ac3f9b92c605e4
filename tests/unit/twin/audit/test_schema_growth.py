"""Sets and the client's types only grow: what a reader of an earlier version was told stays true.

`tests/data/schemas/N.json`: columns (name, type, may be null) and the client's fields as released with version N.
"""

import json
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest

from streams.client.records import Alert, Bottleneck, Kpi, Line
from twin.audit.query import UNQUOTED
from twin.results import IDENTITY, OLDEST_SCHEMA, SCHEMA_VERSION, SETS, SINCE, schema_of

DATA = Path(__file__).parents[3] / "data" / "schemas"
CLIENT = {kind.__name__: kind for kind in (Kpi, Bottleneck, Alert, Line)}
RELEASED = [(int(path.stem), json.loads(path.read_text())) for path in sorted(DATA.glob("*.json"))]


@pytest.mark.parametrize("version,released", RELEASED)
def test_the_schema_of_a_released_version_is_what_was_released(version: int, released: dict[str, Any]) -> None:
    for set_name, columns in released["sets"].items():
        assert [[f.name, str(f.type), f.nullable] for f in schema_of(set_name, version)] == columns
        # What makes two rows the same one may get a column that is null in all older rows.
        later = {name for name, since in SINCE.get(set_name, {}).items() if since > version}
        assert set(IDENTITY.get(set_name, ())) - later <= {name for name, *_ in columns}


def test_every_version_is_read() -> None:
    assert min(version for version, _ in RELEASED) == OLDEST_SCHEMA


@pytest.mark.parametrize("set_name", SETS)
def test_a_new_column_may_be_null_and_is_no_sql_word(set_name: str) -> None:
    for name, since in SINCE.get(set_name, {}).items():
        assert OLDEST_SCHEMA < since <= SCHEMA_VERSION
        assert SETS[set_name].field(name).nullable
        if name in UNQUOTED:  # it is what the wire calls it, and the plain view has another name
            continue
        assert not duckdb.sql(
            f"SELECT * FROM duckdb_keywords() WHERE keyword_name = '{name}' AND keyword_category <> 'unreserved'"  # noqa: S608
        ).fetchall()
    assert schema_of(set_name) == SETS[set_name]


@pytest.mark.parametrize("name,kind", CLIENT.items())
def test_the_client_reads_what_the_first_release_sends(name: str, kind: type[msgspec.Struct]) -> None:
    """Of fields that came later each has a default; none of the first is gone."""
    first = set(RELEASED[0][1]["client"][name])
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    assert first <= fields.keys()
    assert all(not field.required for name, field in fields.items() if name not in first)
