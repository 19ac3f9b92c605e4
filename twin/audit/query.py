"""SQL over the published rows, through DuckDB (extra `query`). Reads only."""

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import pyarrow as pa

from twin.audit import AuditError, models, views
from twin.audit.intervals import contents
from twin.audit.layout import PublishedFile, existing_root
from twin.audit.read import has_revisions, open_set, waiting_table
from twin.audit.rows import has_revisions as rows_have_revisions
from twin.audit.rows import integers
from twin.results import IDENTITY, SETS, SINCE, TIME_COLUMN

_LINE_MODELS: Final = "line_models_"
_MOST_KINDS: Final = 16  # of files by their columns, each of which is a part of a view
# What the columns that are SQL words are called in the views `*_plain`.
UNQUOTED: Final = {
    "order": "order_id",
    "window": "window_id",
    "end": "end_ts",
    "constraint": "constraint_station",
    "limit": "limit_value",
    "by": "said_by",
}
# Files in which a sentence about cut times is looked up; of more it says "may be".
_MOST_LOOKED_AT: Final = 256


@dataclass(slots=True)
class Reading:
    """What a statement took: files opened for their rows, of so many that the sets it names have."""

    opened: int = 0
    published: int = 0


def query(
    root: Path | str,
    sql: str,
    *,
    as_of_ns: int | None = None,
    notes: list[str] | None = None,
    reading: Reading | None = None,
) -> pa.Table:
    """Run one SELECT over the views events, states, kpis, bottlenecks, alerts, rejected and measures.

    Of a row of results that was revised, the views show the newest revision, and nothing where it was retracted; all
    of them are in the views states_revisions, kpis_revisions, bottlenecks_revisions and alerts_revisions. `as_of_ns`
    goes back to what was believed when the lines stood at that event time. Committed rows that wait for a file are
    there, too.

    Times can be asked for as DuckDB users do (`"end" - start`, `date_trunc`, `start > now() - INTERVAL 1 DAY`). They
    are of nanoseconds where the statement allows it; DuckDB has most operations for microseconds only, and then all
    times of the statement are cut down to those, which `notes` gets to say where a time has more. The views
    states_plain, kpis_plain and so on have no SQL words as names (UNQUOTED). Of what people ask for there are views,
    too: stops, pareto, oee_by_shift, orders, changeovers and usage.

    Every view has `date` from the folder, by which DuckDB skips files: `reading` gets to say how many it opened. The
    statement can neither write nor reach files outside `root`, the network or extensions. Raises AuditError.
    """
    try:
        import duckdb  # an optional extra: only a query needs it
    except ModuleNotFoundError as error:
        raise AuditError(
            "a query needs DuckDB, which is not installed; install the package duckdb "
            "(in a checkout: uv sync --locked --extra query; the image is built without: docs/deploying.md)"
        ) from error
    base = existing_root(root).resolve()
    reading = reading or Reading()
    names = _mentioned(sql)
    try:
        try:
            return _run(base, sql, as_of_ns, reading, names, exact=True)
        except duckdb.CatalogException:
            names = list(SETS)  # the message says what there is
            return _run(base, sql, as_of_ns, reading, names, exact=True)
    except duckdb.BinderException as mismatch:
        if "_NS" not in str(mismatch):
            raise AuditError(f"query over {base}: {mismatch}") from mismatch
        if "epoch_ns" in sql.lower():
            raise AuditError(
                f"query over {base}: {mismatch}\nDuckDB does this to microseconds only, and epoch_ns wants "
                "nanoseconds: ask for the one without the other, or take epoch_us"
            ) from mismatch
    except duckdb.Error as error:
        raise AuditError(f"query over {base}: {error}") from error
    try:
        found = _run(base, sql, as_of_ns, reading, names, exact=False)
    except duckdb.Error as error:
        raise AuditError(f"query over {base}: {error}") from error
    many = reading.published > _MOST_LOOKED_AT
    if notes is not None and (finer := names if many else _finer(base, sql)):
        notes.append(
            f"times of {', '.join(finer)} {'may be' if many else 'are'} cut down to microseconds for this statement, "
            "because DuckDB has its operations on times for those only; sums of lengths and comparisons may differ by "
            "less than one each"
        )
    return found


def _finer(base: Path, sql: str) -> list[str]:
    """The sets a statement speaks of in which a time has nanoseconds that microseconds do not hold."""
    said = sql.lower()
    times = {name: [field.name for field in SETS[name] if pa.types.is_timestamp(field.type)] for name in SETS}
    return [
        name
        for name in SETS
        if name in said and any(_has_finer(batch) for batch in open_set(base, name).to_batches(columns=times[name]))
    ]


def _has_finer(batch: pa.RecordBatch) -> bool:
    return any((integers(pa.chunked_array([column])) % 1_000).any() for column in batch.columns)


def _run(
    base: Path, sql: str, as_of_ns: int | None, reading: Reading, names: Collection[str], *, exact: bool
) -> pa.Table:
    """`names`: of the sets that get views. `exact`: times of nanoseconds, for which DuckDB has few operations; else of
    microseconds. Raises duckdb.Error.
    """
    import duckdb

    settings: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "allow_community_extensions": False,
    }
    with duckdb.connect(":memory:", config=settings) as connection:
        connection.execute("SET TimeZone = 'UTC'")  # days are those of the folders, wherever this runs
        found = contents(base)
        reading.published = sum(len(found.files(set_name)) for set_name in names)
        known = [(model, line, made) for (model, line), made in models.line_models(base).items()]
        schema = pa.schema([(name, pa.string()) for name in ("model_", "line_", "line_model_")])
        connection.register(
            _LINE_MODELS, pa.table([list(c) for c in zip(*known, strict=True)] or [[]] * 3, schema=schema)
        )
        for set_name in names:
            waits = waiting_table(found, set_name)
            if waits is not None:
                connection.register(_waiting(set_name), _plain(waits))
            for statement in _views(found.files(set_name), waits, set_name, as_of_ns, exact):
                connection.execute(statement)
        for statement in views.statements(names, exact=exact):
            connection.execute(statement)
        connection.execute("PRAGMA enable_profiling = 'no_output'")
        # From here on: no file outside the root, and no way back.
        connection.execute(f"SET allowed_directories = [{_text(f'{base}/')}]")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        statements = connection.extract_statements(sql)
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise AuditError("an audit is only read: give exactly one SELECT (or WITH, DESCRIBE, SUMMARIZE) statement")
        table = cast(pa.Table, connection.sql(statements[0]).to_arrow_table())
        reading.opened = _opened(json.loads(connection.get_profiling_information(format="json")))
        return table


def _opened(profile: object) -> int:
    """Files that were opened for their rows, by DuckDB's own account of a statement."""
    if isinstance(profile, list):
        return sum(map(_opened, profile))
    if not isinstance(profile, dict):
        return 0
    below = sum(_opened(value) for value in profile.values() if isinstance(value, dict | list))
    return below + int(profile.get("Total Files Read", 0))


def _mentioned(sql: str) -> list[str]:
    """The sets a statement may read; all of them where it names none. A view costs the opening of a file, and each
    file's name."""
    said = sql.lower()
    found = [name for name in SETS if name in said or any(v in said for v, of in views.OF.items() if name in of)]
    return found or list(SETS)


def _views(
    files: Sequence[PublishedFile], waits: pa.Table | None, set_name: str, as_of_ns: int | None, exact: bool
) -> Iterator[str]:
    """The statements that make a set's views: the rows as they lie there, and those that count."""
    yield from _counting(files, waits, set_name, as_of_ns, exact)
    renamed = [f'"{name}" AS {UNQUOTED[name]}' for name in SETS[set_name].names if name in UNQUOTED]
    if renamed:
        yield f"CREATE VIEW {set_name}_plain AS SELECT * RENAME ({', '.join(renamed)}) FROM {set_name}"  # noqa: S608 -- our own names


def _counting(
    files: Sequence[PublishedFile], waits: pa.Table | None, set_name: str, as_of_ns: int | None, exact: bool
) -> Iterator[str]:
    every = _as_they_lie(files, set_name)
    if waits is not None:
        every = f"{every} UNION ALL BY NAME SELECT * FROM {_waiting(set_name)}"  # noqa: S608 -- our own names
    if not exact:
        times = [field.name for field in SETS[set_name] if pa.types.is_timestamp(field.type)]
        casts = ", ".join(f'"{name}"::TIMESTAMPTZ AS "{name}"' for name in times)
        every = f"SELECT * REPLACE ({casts}) FROM ({every})"  # noqa: S608 -- our own names
    if set_name not in IDENTITY:
        yield f"CREATE VIEW {set_name} AS SELECT * FROM ({every}){_until(set_name, as_of_ns)}"  # noqa: S608 -- our own names
        return
    yield f"CREATE VIEW {set_name}_revisions AS {every}"
    known = _until(set_name, as_of_ns)
    if not any(map(has_revisions, files)) and (waits is None or not rows_have_revisions(waits)):
        yield f"CREATE VIEW {set_name} AS SELECT * FROM {set_name}_revisions{known}"  # noqa: S608 -- our own names
        return
    named = ["line_ident_" if name == "line_model" else name for name in IDENTITY[set_name]]
    if TIME_COLUMN[set_name] in named:
        named.append("date")  # follows from that time: only so a condition on the date is one on the files
    identity = ", ".join(f'"{name}"' for name in named)
    # Rows of version 2 say no hash of their line.
    lies = (
        f"(SELECT lie.*, coalesce(line_model, line_model_, model) AS line_ident_ FROM {set_name}_revisions AS lie "  # noqa: S608 -- our own names
        f'LEFT JOIN {_LINE_MODELS} ON line_model IS NULL AND model_ = model AND line_ = "line")'
    )
    rows = f"SELECT *, NULL AS since_ FROM {lies}"  # noqa: S608 -- our own names
    if as_of_ns is not None:
        # A row that comes out again after its retraction is the first to stand there since, so `revised` is null: it
        # was not believed before that retraction, made by its own revision or by an earlier one.
        rows = (
            f"SELECT *, coalesce(revised, max(revised) OVER (PARTITION BY {identity} ORDER BY revision)) AS since_ "  # noqa: S608 -- our own names
            f"FROM {lies}"
        )
        known += f" AND (since_ IS NULL OR epoch_ns(since_) <= {as_of_ns})"
    # A row may become certain again after its retraction and before the next revision: then it stands. Retracted is
    # asked only of the newest: an older revision must not come back where the newest says that nothing is.
    yield (
        f"CREATE VIEW {set_name} AS SELECT * EXCLUDE (since_, newest_, line_ident_) FROM (SELECT *, row_number() OVER "  # noqa: S608 -- our own names
        f"(PARTITION BY {identity} ORDER BY revision DESC, retracted) AS newest_ FROM ({rows}){known}) "
        "WHERE newest_ = 1 AND NOT retracted"
    )


def _waiting(set_name: str) -> str:
    return f"{set_name}_waiting_"


def _plain(table: pa.Table) -> pa.Table:
    """Text as text, as in the files: a dictionary would be another type in SQL."""
    fields = [
        pa.field(f.name, f.type.value_type, f.nullable) if isinstance(f.type, pa.DictionaryType) else f
        for f in table.schema
    ]
    return table.cast(pa.schema(fields))


def _until(set_name: str, as_of_ns: int | None) -> str:
    if as_of_ns is None:
        return ""
    column = f'"{TIME_COLUMN[set_name]}"'
    return f" WHERE ({column} IS NULL OR epoch_ns({column}) <= {as_of_ns})"


def _as_they_lie(files: Sequence[PublishedFile], set_name: str) -> str:
    """A set without files is an empty view with the set's columns, so that a query need not know what there is yet.

    Files of one version have the same columns, but for those that they leave out, as the list says, so that DuckDB
    opens one of them to know them all. Of those of which the list does not say the version, and where there are too
    many kinds to name them apart, it opens each.
    """
    columns = [f'NULL::{_sql_type(field.type)} AS "{field.name}"' for field in SETS[set_name]]
    none = f"SELECT {', '.join(columns)}, NULL::DATE AS date WHERE false"
    parts = []
    kinds: dict[tuple[int, tuple[str, ...]], list[PublishedFile]] = {}
    for file in files:
        kinds.setdefault((file.schema, file.left_out), []).append(file)
    if len(kinds) > _MOST_KINDS:
        kinds = {(0, ()): list(files)}
    for (schema, _), alike in sorted(kinds.items(), reverse=True):
        names = ", ".join(_text(str(file.path)) for file in alike)
        union = "" if schema else ", union_by_name = true"
        parts.append(f"SELECT * FROM read_parquet([{names}], hive_partitioning = true{union})")  # noqa: S608 -- names from `layout`, quoted
    if len(parts) == 1 and not SINCE.get(set_name):
        return parts[0]
    # Files of older versions lack columns: null there, also where all files are old.
    return f"SELECT * FROM ({' UNION ALL BY NAME '.join((none, *parts))})"  # noqa: S608 -- our own names


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _sql_type(kind: pa.DataType) -> str:
    if pa.types.is_timestamp(kind):
        return "TIMESTAMPTZ_NS"
    if pa.types.is_date32(kind):
        return "DATE"
    if pa.types.is_boolean(kind):
        return "BOOLEAN"
    if pa.types.is_floating(kind):
        return "DOUBLE"
    if pa.types.is_binary(kind):
        return "BLOB"
    if pa.types.is_integer(kind):
        return "INTEGER" if kind.bit_width == 32 else "BIGINT"
    return "VARCHAR"
