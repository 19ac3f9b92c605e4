"""The digest says "equal" exactly when plain Python says that the sorted rows are."""

import copy
import struct
from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from tests.support.audit import rows, table
from twin.audit.digest import columns_of, digest_tables
from twin.results import SETS

SET_NAMES = st.sampled_from(list(SETS))


def sorted_rows(set_name: str, made: list[dict[str, Any]]) -> list[str]:
    """Rows as text; floats as bits, so that -0.0 is not 0.0."""
    names = columns_of(set_name)
    cells = [[row[name] for name in names] for row in made]
    return sorted(repr([struct.pack("<d", c) if isinstance(c, float) else c for c in row]) for row in cells)


def undictionary(made: pa.Table) -> pa.Table:
    for index, field in enumerate(made.schema):
        if isinstance(field.type, pa.DictionaryType):
            made = made.set_column(index, field.name, made.column(index).cast(pa.string()))
    return made


@given(SET_NAMES, st.integers(0, 40), st.integers(0, 5), st.data())
def test_invariant_under_permutation_splitting_and_encoding(
    set_name: str, count: int, seed: int, data: st.DataObject
) -> None:
    made = rows(set_name, count, seed)
    whole = digest_tables(set_name, [table(set_name, made)])
    shuffled = data.draw(st.permutations(made))
    bounds = sorted(data.draw(st.lists(st.integers(0, count), max_size=4)))
    parts = [table(set_name, shuffled[a:b]) for a, b in zip([0, *bounds], [*bounds, count], strict=True)]
    plain = [data.draw(st.booleans()) for _ in parts]
    split = [undictionary(part) if flat else part for part, flat in zip(parts, plain, strict=True)]
    assert digest_tables(set_name, split) == whole
    assert digest_tables(set_name, [pa.concat_tables(parts)]) == whole


@given(SET_NAMES, st.integers(1, 12), st.integers(0, 3), st.data())
def test_same_verdict_as_sorted_rows(set_name: str, count: int, seed: int, data: st.DataObject) -> None:
    """One row of the second log takes some cells of any row of the first: often a change, at times none."""
    made = rows(set_name, count, seed)
    other = copy.deepcopy(made)
    target, source = (data.draw(st.integers(0, count - 1)) for _ in range(2))
    names = data.draw(st.lists(st.sampled_from(SETS[set_name].names), max_size=3))
    other[target] |= {name: made[source][name] for name in names}
    same = sorted_rows(set_name, made) == sorted_rows(set_name, other)
    equal = digest_tables(set_name, [table(set_name, made)]) == digest_tables(set_name, [table(set_name, other)])
    assert equal == same


@given(st.lists(st.tuples(*[st.one_of(st.none(), st.text(max_size=4))] * 3), max_size=4), st.data())
def test_text_cells_are_told_apart(cells: list[tuple[str | None, ...]], data: st.DataObject) -> None:
    base = rows("states", 1)[0]
    names = ("state", "reason", "order")
    made = [base | dict(zip(names, cell, strict=True)) for cell in cells]
    other = [row | {name: data.draw(st.sampled_from([row[n] for n in names])) for name in names} for row in made]
    same = sorted_rows("states", made) == sorted_rows("states", other)
    equal = digest_tables("states", [table("states", made)]) == digest_tables("states", [table("states", other)])
    assert equal == same
