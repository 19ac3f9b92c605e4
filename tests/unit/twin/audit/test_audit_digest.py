import hashlib
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.audit import NOON_NS, plain, rows, table, write
from twin.audit import AuditError, filelist, layout
from twin.audit.digest import SetDigest, columns_of, digest, digest_tables
from twin.results import ORIGIN, SETS


def naive(set_name: str, made: list[dict[str, Any]]) -> SetDigest:
    """The definition in docs/formats.md, cell by cell."""
    names = [name for name in SETS[set_name].names if name not in ORIGIN]
    hashes = sorted(hashlib.sha256(_row_bytes(set_name, names, row)).digest() for row in made)
    head = "".join(f"{line}\n" for line in [set_name, *(f"{name} {_kind(set_name, name)}" for name in names)])
    return SetDigest(len(made), hashlib.sha256(head.encode() + b"".join(hashes)).hexdigest())


def _kind(set_name: str, name: str) -> str:
    text = str(SETS[set_name].field(name).type)
    known = {
        "timestamp": "time ns",
        "date32": "date",
        "int": "int",
        "bool": "int",
        "double": "float",
        "binary": "binary",
    }
    return next((kind for start, kind in known.items() if text.startswith(start)), "text")


def _row_bytes(set_name: str, names: list[str], row: dict[str, Any]) -> bytes:
    out = bytes(row[name] is None for name in names)
    for name in names:
        value, kind = row[name], _kind(set_name, name)
        if kind in ("text", "binary"):
            data = value.encode() if isinstance(value, str) else value
            out += bytes(32) if value is None else hashlib.sha256(data).digest()
        elif value is None:
            out += bytes(8)
        elif kind == "float":
            out += bytes.fromhex("000000000000f87f") if math.isnan(value) else struct.pack("<d", value)
        else:
            out += struct.pack("<q", value)
    return out


@pytest.mark.parametrize("set_name", SETS)
def test_equals_the_definition_cell_by_cell(set_name: str) -> None:
    made = rows(set_name, 300, seed=11, days=4)
    assert digest_tables(set_name, [table(set_name, made)]) == naive(set_name, made)
    assert digest_tables(set_name, []) == naive(set_name, [])


@pytest.mark.parametrize("set_name", SETS)
def test_any_changed_cell_changes_it_but_the_origin_does_not(set_name: str) -> None:
    made = rows(set_name, 20, seed=12)
    before = digest_tables(set_name, [table(set_name, made)])
    for field in SETS[set_name]:
        changed = [dict(row) for row in made]
        value = changed[13][field.name]
        if pa.types.is_integer(field.type) or pa.types.is_temporal(field.type):
            changed[13][field.name] = (value or 0) + 1
        elif pa.types.is_boolean(field.type):
            changed[13][field.name] = not value
        elif pa.types.is_floating(field.type):
            changed[13][field.name] = float(np.nextafter(value or 0.0, 2))
        else:
            changed[13][field.name] = (value or "") + "!" if not pa.types.is_binary(field.type) else value + b"!"
        after = digest_tables(set_name, [table(set_name, changed)])
        assert (after == before) == (field.name in ORIGIN), field.name


def test_a_row_more_or_twice_changes_it() -> None:
    made = rows("alerts", 20, seed=13)
    several = [made, made[:-1], [*made, made[3]], [*made, made[4]]]
    digests = {digest_tables("alerts", [table("alerts", one)]) for one in several}
    assert len(digests) == len(several)


def test_null_empty_and_zero_are_three_things() -> None:
    row = rows("alerts", 1)[0]
    values: list[dict[str, Any]] = [{"value": None}, {"value": 0.0}, {"value": -0.0}, {"value": math.nan}]
    values += [{"value": 1.0, "detail": text} for text in (None, "", "\0", "nan")]
    assert len({digest_tables("alerts", [table("alerts", [row | value])]) for value in values}) == len(values)


def test_every_nan_is_one_nan() -> None:
    made = table("alerts", rows("alerts", 2))
    bits = np.array([[0x7FF8_0000_0000_0000, -1], [0x7FF8_0000_0000_0001, 0x7FF0_0000_0000_0001]], np.int64)
    index = made.schema.get_field_index("value")
    columns = [made.set_column(index, made.schema.field("value"), pa.array(one.view(np.float64))) for one in bits]
    assert digest_tables("alerts", columns[:1]) == digest_tables("alerts", columns[1:])


def test_cells_do_not_run_into_each_other() -> None:
    row = rows("states", 1)[0]
    pairs = [("ab", "c"), ("a", "bc"), ("", "abc"), ("abc", "")]
    made = [[row | {"state": state, "reason": reason}] for state, reason in pairs]
    assert len({digest_tables("states", [table("states", one)]).sha256 for one in made}) == len(pairs)


def test_a_null_within_a_dictionary_is_a_null() -> None:
    made = table("states", [row | {"reason": None} for row in rows("states", 3)])
    index = made.schema.get_field_index("reason")
    hidden = pa.DictionaryArray.from_arrays(np.zeros(3, np.int32), pa.array([None], pa.string()))
    other = made.set_column(index, made.schema.field("reason"), hidden)
    assert digest_tables("states", [other]) == digest_tables("states", [made])


def test_a_long_dictionary_of_which_little_is_used() -> None:
    made = rows("states", 5, seed=14)
    whole = table("states", [*made, *[made[0] | {"reason": f"r{n}"} for n in range(3000)]])
    assert digest_tables("states", [whole.slice(0, 5)]) == naive("states", made)


def test_files_partitions_dates_and_encodings_do_not_matter(tmp_path: Path) -> None:
    made = {name: rows(name, 200, seed=15, days=2) for name in SETS}
    write(tmp_path / "one", {name: table(name, some) for name, some in made.items()})
    for number in range(4):
        part = {name: table(name, some[number::4][::-1]) for name, some in made.items()}
        write(tmp_path / "four", part, first=number * 10, following=number * 10 + 10, partition=number)
    assert digest(tmp_path / "one") == digest(tmp_path / "four")
    filelist.remove(tmp_path / "four")  # read by its folders, as the roots of versions before
    for number, file in enumerate(layout.published(tmp_path / "four", "kpis")):
        decoded = pq.read_table(file.path, partitioning=None)
        for index, field in enumerate(decoded.schema):
            if isinstance(field.type, pa.DictionaryType):
                decoded = decoded.set_column(index, field.name, decoded.column(index).cast(pa.large_string()))
        pq.write_table(decoded, file.path, row_group_size=7, compression="none", store_schema=False)
        folder = file.path.parent.parent / f"date=1999-01-{number + 1:02d}"
        folder.mkdir()
        file.path.rename(folder / file.path.name)
    assert {file.date[:4] for file in layout.published(tmp_path / "four", "kpis")} == {"1999"}
    assert digest(tmp_path / "one") == digest(tmp_path / "four")


def test_an_empty_root_has_the_digest_of_nothing(tmp_path: Path) -> None:
    assert digest(tmp_path) == {name: naive(name, []) for name in SETS}
    with pytest.raises(AuditError, match="no such audit root"):
        digest(tmp_path / "absent")


def test_missing_or_foreign_columns_are_refused() -> None:
    made = table("alerts", rows("alerts", 3))
    with pytest.raises(AuditError, match="column detail is missing"):
        digest_tables("alerts", [made.drop_columns(["detail"])])
    text = made.set_column(made.schema.get_field_index("value"), "value", pa.array(["1"] * 3))
    with pytest.raises(AuditError, match="column value is of type string"):
        digest_tables("alerts", [text])
    in_us = made.set_column(4, "ts", made.column("ts").cast(pa.timestamp("us", "UTC"), safe=False))
    with pytest.raises(AuditError, match="column ts"):
        digest_tables("alerts", [in_us])
    with pytest.raises(AuditError, match="no such set"):
        columns_of("quality")


def test_helper_rows_are_what_they_say() -> None:
    made = rows("events", 10)
    assert [row[0] for row in plain(table("events", made).select(["ts"]))] == [row["ts"] for row in made]
    assert min(row["ts"] for row in made) >= NOON_NS
