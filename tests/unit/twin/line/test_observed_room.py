"""Observations stay in the output of the fold for a run, and are put aside where it is full: the rows are the same."""

import pytest

from streams.bench import inputs
from twin.line import engine
from twin.line.partition import PartitionTwin


def test_rows_do_not_depend_on_the_room(monkeypatch: pytest.MonkeyPatch) -> None:
    plant = inputs.metered(2, 3, "gauge")
    blocks = [inputs.with_readings(block) for block in inputs.blocks(plant, 6_000, 20, 3_000)]
    twin = PartitionTwin(plant, 0)
    whole = [twin.fold(block).tables for block in blocks]
    monkeypatch.setattr(engine, "_OUT_ROWS", 48)
    put_aside = 0

    def count(self: engine.Engine, moved: bool, *, all_done: bool) -> None:
        nonlocal put_aside
        put_aside += not all_done and bool(self._out.n[-1])
        original(self, moved, all_done=all_done)

    original = engine.Engine._put_aside
    monkeypatch.setattr(engine.Engine, "_put_aside", count)
    twin = PartitionTwin(plant, 0)
    narrow = [twin.fold(block).tables for block in blocks]
    assert put_aside
    assert any(tables["measures"].num_rows for tables in whole if "measures" in tables)
    for one, other in zip(whole, narrow, strict=True):
        assert {name: table.to_pylist() for name, table in one.items()} == {
            name: table.to_pylist() for name, table in other.items()
        }
