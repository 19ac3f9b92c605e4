"""Rows of the audited set `events` read column by column: what is read so, and what is left to the general decoder."""

import itertools

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels.codes import COUNT, COUNTER, CYCLE, END, HEARTBEAT, PARTS, STATE
from kernels.read import parquet_cells
from tests.support.sources import EPOCH, S, plant
from twin.events.block import INTEGER_COLUMNS, EventBlock
from twin.events.declare import YEAR_2200_NS
from twin.sources.drafts import draft
from twin.wire.decode import Decoder
from twin.wire.encode import ROWS, EventRows
from twin.wire.lookup import Lookup
from twin.wire.stored import StoredReader

I64 = npt.NDArray[np.int64]


def block(n: int = 40) -> EventBlock:
    """States, counts of parts, cycles and heartbeats of the line, of two stations in turn."""
    k = np.arange(n)
    kind = np.array([STATE, COUNT, CYCLE, HEARTBEAT])[k % 4]
    return draft(
        ["on", "p"],
        k,
        EPOCH + k * S,
        0,
        0,
        station=np.where(kind == HEARTBEAT, -1, 0),
        type=kind,
        code=np.select([kind == STATE, kind == CYCLE], [4, END], PARTS),
        a=np.where(kind == COUNT, k, 0),
        x=np.where(kind == STATE, 0, -1),
        y=np.where((kind == CYCLE) & (k % 8 == 2), 1, -1),
        seq=np.where(k % 3 == 0, -1, k),
    ).block


def rows(n: int = 40) -> pa.Table:
    return EventRows(plant()).table(block(n))


def read(table: pa.Table) -> EventBlock | None:
    return StoredReader(Lookup(plant()), ROWS).read(table, np.arange(len(table)))


def changed(name: str, array: "pa.Array[pa.Scalar[pa.DataType]]") -> pa.Table:
    table = rows()
    return table.set_column(table.schema.get_field_index(name), table.schema.field(name), array)


@pytest.mark.parametrize(("begin", "n"), [(0, 40), (3, 29), (8, 8), (39, 1)])
def test_read_as_the_general_decoder_reads_it(begin: int, n: int) -> None:
    table = rows().slice(begin, n)
    quick = read(table)
    assert quick is not None
    assert quick.rows is table
    general, refused = Decoder(plant()).decode_table(table, np.arange(n))
    assert not refused
    for name in INTEGER_COLUMNS:
        assert getattr(quick, name).tolist() == getattr(general, name).tolist(), name
    assert list(quick.words) == list(general.words)


def test_indices_beyond_the_dictionary_are_left_to_the_general_decoder() -> None:
    for name in ("line", "station", "type", "state", "product", "phase"):
        column = rows().column(name).chunk(0)
        indices = column.indices.to_numpy(zero_copy_only=False)
        broken = np.where(np.isnan(indices), 0, indices).astype(np.int32)
        for index in (99, -99):
            broken[np.flatnonzero(np.asarray(column.is_valid()))[0]] = index
            array = pa.DictionaryArray.from_arrays(
                pa.array(broken, mask=~np.asarray(column.is_valid())), column.dictionary, safe=False
            )
            assert read(changed(name, array)) is None
            with pytest.raises(ValueError, match="damaged"):
                Decoder(plant()).decode_rows(changed(name, array), np.arange(40))


def test_what_encoding_would_not_give_is_left_to_the_general_decoder() -> None:
    n, kind = 40, pa.int64()
    assert read(rows()) is not None
    assert read(rows().slice(0, 0)) is None
    assert read(rows().drop_columns(["mode"])) is None
    assert read(changed("epoch", pa.array([-1] * n, kind))) is None
    assert read(changed("seq", pa.array([-1] * n, kind))) is None
    assert read(changed("seq", pa.array([None, -1] * (n // 2), kind))) is None
    assert read(changed("good", pa.array([None] * n, kind))) is None
    assert read(changed("good", pa.array([1] * n, kind))) is None
    assert read(changed("ts", pa.array([YEAR_2200_NS] * n, kind).view(ROWS.field("ts").type))) is None
    assert read(changed("corrects", pa.array(["e"] * n))) is None
    words = pa.array(["on", None] * (n // 2)).dictionary_encode()
    assert read(changed("state", words)) is None
    null_behind_an_index = pa.DictionaryArray.from_arrays(pa.array([0] * n, pa.int32()), pa.array(["L1", None]))
    assert read(changed("line", null_behind_an_index)) is None
    half = n // 2
    assert read(pa.concat_tables([rows().slice(0, half), rows().slice(half)])) is None  # chunks: rare, and slower so


def test_a_text_that_is_no_utf8_is_damage() -> None:
    table = rows()
    state = table.column("state").chunk(0)
    letters = pa.py_buffer(b"\xff\xfe")
    broken = pa.StringArray.from_buffers(1, pa.py_buffer(np.array([0, 2], np.int32)), letters)
    array = pa.DictionaryArray.from_arrays(state.indices, broken)
    assert read(changed("state", array)) is None
    with pytest.raises(ValueError, match="damaged"):
        Decoder(plant()).decode_rows(changed("state", array), np.arange(40))


def test_a_counter_is_read_by_what_it_shows() -> None:
    model = plant()
    owner = next(k for k, s in enumerate(model.stations) if s.counters)
    k = np.arange(6)
    one = draft(
        [model.stations[owner].counters[0].id], k, EPOCH + k * S, 0, 0,
        station=owner, type=COUNT, code=COUNTER, a=k, x=0, seq=k,
    ).block  # fmt: skip
    again = read(EventRows(model).table(one))
    assert again is not None
    for name in ("code", "a", "x"):
        assert getattr(again, name).tolist() == getattr(one, name).tolist()


NUMBERS = st.lists(st.integers(-2, 2) | st.sampled_from([-(2**63), 2**63 - 1]), max_size=12)


@given(NUMBERS)
def test_least_step(numbers: list[int]) -> None:
    signs = [(b > a) - (b < a) for a, b in itertools.pairwise(numbers)]
    assert parquet_cells.least_step(np.array(numbers, np.int64)) == min([1, *signs])


@given(st.lists(st.integers(0, 6), max_size=30))
def test_tally(codes: list[int]) -> None:
    found = np.zeros(7, np.int64)
    parquet_cells.tally(np.array(codes, np.int8), found)
    assert found.tolist() == [codes.count(code) for code in range(7)]
