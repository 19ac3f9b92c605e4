"""Zeros that take no memory until they are written."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from streams.bench import inputs
from twin.line import PartitionTwin
from twin.line import untouched as module
from twin.line.untouched import untouched


def resident_kb() -> int:
    with Path("/proc/self/status").open(encoding="ascii") as status:
        return int(next(row for row in status if row.startswith("VmRSS")).split()[1])


@pytest.mark.parametrize("rows", [0, 3, 20_000, 300_000])
def test_zeros_of_their_shape_that_can_be_written(rows: int) -> None:
    array = untouched((rows, 3), 1)
    assert (array.shape, array.dtype) == ((rows, 3), np.int64)
    assert not array.any()
    array[...] = 7
    assert (array == 7).all()
    assert array.flags.c_contiguous
    assert array.flags.writeable


def test_no_memory_is_taken_before_it_is_written() -> None:
    before = resident_kb()
    kept = [untouched((10_000, 20), 1) for _ in range(200)]  # 320 MB
    assert not any(array.any() for array in kept)
    assert resident_kb() - before < 32_000


def test_a_state_that_is_read_takes_no_more_than_the_one_that_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that nothing was written to are not written zeros to."""
    monkeypatch.setattr(module, "_large_pages", False)
    plant = inputs.plant(300, 20)
    PartitionTwin(plant, 0).warm()
    pool = pa.default_memory_pool()

    def took(before: int) -> int:
        pool.release_unused()
        return resident_kb() - before

    before = resident_kb()
    twin = PartitionTwin(plant, 0)
    for block in inputs.blocks(plant, 12_000, 6_000):
        twin.fold(block)
    first = took(before)
    state = twin.snapshot()
    before = resident_kb()
    again = PartitionTwin.restore(plant, 0, state)
    assert took(before) < 1.25 * first + 8_000
    assert again.snapshot() == state
