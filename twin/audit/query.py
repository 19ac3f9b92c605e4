"""SQL over the published rows, through DuckDB (extra `query`). Reads only."""

from pathlib import Path
from typing import cast

import pyarrow as pa

from twin.audit import AuditError
from twin.audit.layout import existing_root, published
from twin.results import SETS


def query(root: Path | str, sql: str) -> pa.Table:
    """Run one SELECT over the views events, states, kpis, bottlenecks, alerts and rejected.

    Every view has `date` from the folder, by which DuckDB skips files. The statement can neither write nor reach files
    outside `root`, the network or extensions. Raises AuditError.
    """
    try:
        import duckdb  # an optional extra: only a query needs it
    except ModuleNotFoundError as error:
        raise AuditError(
            "a query needs DuckDB, which is not installed; install it by: pip install 'taktwin[query]'"
        ) from error
    base = existing_root(root).resolve()
    settings: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "allow_community_extensions": False,
    }
    with duckdb.connect(":memory:", config=settings) as connection:
        connection.execute("SET TimeZone = 'UTC'")  # days are those of the folders, wherever this runs
        for set_name in SETS:
            connection.execute(_view(base, set_name))
        # From here on: no file outside the root, and no way back.
        connection.execute(f"SET allowed_directories = [{_text(f'{base}/')}]")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        try:
            statements = connection.extract_statements(sql)
            if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
                raise AuditError(
                    "an audit is only read: give exactly one SELECT (or WITH, DESCRIBE, SUMMARIZE) statement"
                )
            return cast(pa.Table, connection.sql(statements[0]).to_arrow_table())
        except duckdb.Error as error:
            raise AuditError(f"query over {base}: {error}") from error


def _view(root: Path, set_name: str) -> str:
    """A set without files is an empty view with the set's columns, so that a query need not know what there is yet."""
    files = ", ".join(_text(str(file.path)) for file in published(root, set_name))
    if files:
        return f"CREATE VIEW {set_name} AS SELECT * FROM read_parquet([{files}], hive_partitioning = true)"  # noqa: S608 -- names from `layout`, quoted
    columns = [f'NULL::{_sql_type(field.type)} AS "{field.name}"' for field in SETS[set_name]]
    return f"CREATE VIEW {set_name} AS SELECT {', '.join(columns)}, NULL::DATE AS date WHERE false"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _sql_type(kind: pa.DataType) -> str:
    if pa.types.is_timestamp(kind):
        return "TIMESTAMPTZ"
    if pa.types.is_boolean(kind):
        return "BOOLEAN"
    if pa.types.is_floating(kind):
        return "DOUBLE"
    if pa.types.is_binary(kind):
        return "BLOB"
    if pa.types.is_integer(kind):
        return "INTEGER" if kind.bit_width == 32 else "BIGINT"
    return "VARCHAR"
