"""Zeros that take no memory until they are written."""

from pathlib import Path

import numpy as np
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


def test_reading_a_state_writes_no_zeros(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a young state the rings are all but empty: they would be most of the memory of a worker after a kill."""
    monkeypatch.setattr(module, "_large_pages", False)
    plant = inputs.plant(300, 20)
    twin = PartitionTwin(plant, 0)
    for block in inputs.blocks(plant, 12_000, 6_000):
        twin.fold(block)
    state = twin.snapshot()
    before = resident_kb()
    again = PartitionTwin.restore(plant, 0, state)
    took_kb = resident_kb() - before
    assert took_kb * 1024 < 0.6 * again.engine.state.rings.nbytes
    assert again.snapshot() == state
