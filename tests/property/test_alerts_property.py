"""Alerts from key figures: only rows that may change one are looked at, and nothing is missed by that."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.sources import plant
from twin.line.alerts import Alerts
from twin.line.doubts import Doubts
from twin.line.remembered import LineMemory
from twin.line.texts import Texts
from twin.results import KPIS

PLANT = plant()
WINDOW = max(PLANT.lines[0].windows, key=lambda w: w.length_ns).id
_NAMES = ("line", "station", "window", "end", "good", "scrap", "rework", "performance", "oee", "suspect")
_SCHEMA = pa.schema([KPIS.field(name) for name in _NAMES])

row = st.tuples(
    st.sampled_from([("L1", "A"), ("L1", "B"), ("L2", "C"), ("L1", None)]),
    st.sampled_from([WINDOW, "shift"]),
    st.integers(0, 5),
    st.sampled_from([None, 0.5, 1.0, 1.005, 1.02, 1.5]),
)
tables = st.lists(st.lists(row, max_size=8), max_size=4)


def _kpis(rows: list[Any]) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {
                "line": line, "station": station, "window": window, "end": end, "good": 100, "scrap": 0, "rework": 0,
                "performance": performance, "oee": performance and 0.5, "suspect": (performance or 0) > 1,
            }
            for (line, station), window, end, performance in rows
        ],
        schema=_SCHEMA,
    )  # fmt: skip


def _found(given_tables: list[list[Any]]) -> tuple[list[Any], dict[int, list[str]]]:
    alerts = Alerts(PLANT, Doubts(PLANT, Texts()))
    memory: dict[int, LineMemory] = {}
    raised = []
    for rows in given_tables:
        alerts.from_kpis(_kpis(rows), memory)
        raised.append(alerts.table())
    return raised, {number: mine.suspects for number, mine in memory.items() if mine.suspects}


@given(tables)
@example([[(("L1", "A"), WINDOW, 0, 1.005)], [(("L1", "A"), WINDOW, 1, 1.5)], [(("L1", "A"), WINDOW, 2, 1.0)]])
def test_rows_that_are_not_looked_at_change_nothing(given_tables: list[list[Any]]) -> None:
    quick = _found(given_tables)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Alerts, "_telling", lambda _self, kpis, _memory: np.arange(len(kpis)))
        assert _found(given_tables) == quick
