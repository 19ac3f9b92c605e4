"""Rows of a line leave in one sequence, however its runs were cut (tests/property/test_fold_cuts_property.py): what
random logs seldom meet."""

from dataclasses import replace

from kernels import codes
from tests.property.test_fold_cuts_property import COARSE, in_blocks
from tests.random_logs import LATENESS, START, ended, small_plant
from tests.support.fold import Ev, S, heartbeat, sequences
from twin.plant.model import Plant


def checked(plant: Plant, events: list[Ev], name: str) -> list[tuple[object, ...]]:
    """Rows of a set; alike when each event is a run of its own."""
    events = ended(events)
    whole = sequences(in_blocks(plant, events, [], False)[1])
    alone = sequences(in_blocks(plant, events, list(range(1, len(events))), False)[1])
    assert alone == whole
    return whole[name, "L"]


def test_an_order_that_ends_between_two_ticks() -> None:
    """Its rows leave before those of the next tick, at which both are certain if nothing falls due before."""
    plant = small_plant(False, False, False)
    plant = replace(plant, lines=(replace(plant.lines[0], windows=COARSE),))
    order = Ev(START + S, codes.ORDER, code=codes.START, a=-1, x="o")
    events = [order, order._replace(ts=START + 8 * S, code=codes.END), heartbeat(START + 8 * S + LATENESS + 1)]
    rows = checked(plant, events, "kpis")
    assert [row[1] for row in rows[:4]] == ["L0", "L1", "L2", None]
    assert [row[2] for row in rows if row[4] < START + 11 * S] == [*["order"] * 4, *["10s"] * 4, *["60s"] * 4]


def test_measures_of_two_families() -> None:
    """Units that passed at once are counted by one family, what is measured by another."""
    events = []
    for k in range(4):
        ts = START + 11 * k * S
        events.append(Ev(ts, codes.COUNT, 0, codes.PARTS, 1, x=f"u{k}"))
        events.append(Ev(ts + S, codes.MEASURE, 0, 0, 5, x="part", y="m"))
    rows = checked(small_plant(False, False, False), events, "measures")
    ends = [row[4] for row in rows]
    assert ends == sorted(ends)
    assert len({row[14] for row in rows}) > 1
