"""Stations of one line that count different things: constraint and OTE in the line's unit."""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import codes
from tests import naive
from tests.support.fold import FOREVER, Ev, S, dicts, fold_once, heartbeat, one_line
from twin.plant import loads
from twin.plant.model import Buffer, Plant, Product, Station, Window
from twin.plant.notes import notes
from twin.plant.tree import tree

START = 1_767_254_400 * S
HOUR = 3_600 * S

BISCUITS = """
site = "bakery"
[[area]]
id = "hall"
[[line]]
id = "L"
area = "hall"
type = "flow"
unit = "biscuit"
windows = ["1h/1h"]
publish_every = "1h"
lateness = "0s"
staleness = "2d"
[line.states]
RUN = "running"
STOP = "down"
[[line.station]]
id = "oven"
unit = "g"
factor = "1/8"
rate = "1200000/h"
[[line.station]]
id = "packer"
unit = "pack"
factor = 20
rate = "7200/h"
[[line.station]]
id = "caser"
unit = "case"
factor = 240
rate = "700/h"
[[line.station]]
id = "palletizer"
unit = "pallet"
factor = 9600
rate = "18/h"
[[line.buffer]]
id = "a"
after = "oven"
before = "packer"
[[line.buffer]]
id = "b"
after = "packer"
before = "caser"
[[line.buffer]]
id = "c"
after = "caser"
before = "palletizer"
[[line.product]]
id = "twenty"
[[line.product]]
id = "thirty"
factor = { packer = 30, caser = 360, palletizer = 14400 }
at = { packer = "5400/h" }
"""
SIZES = {"twenty": (Fraction(1, 8), 20, 240, 9_600), "thirty": (Fraction(1, 8), 30, 360, 14_400)}
RATES = {"twenty": (1_200_000, 7_200, 700, 18), "thirty": (1_200_000, 5_400, 700, 18)}
NAMES = ("oven", "packer", "caser", "palletizer")


@dataclass
class Hour:
    """What four machines did in an hour, written down where it happened."""

    product: str
    running_s: list[int] = field(default_factory=lambda: [0] * 4)
    good: list[int] = field(default_factory=lambda: [0] * 4)
    scrap: list[int] = field(default_factory=lambda: [0] * 4)


def baked(seed: int, hours: int) -> tuple[list[Ev], list[Hour]]:
    """Minute by minute: each machine runs or stands, and makes what its speed allows; some of it is waste."""
    chance = np.random.default_rng(seed)
    events, record = [], []
    running = [False] * 4
    for hour in range(hours):
        product = ("twenty", "thirty")[chance.integers(2)]
        now = Hour(product)
        record.append(now)
        begin = START + hour * HOUR
        events.append(Ev(begin, codes.ORDER, -1, codes.START, -1, x=f"order {hour}", y=product))
        carried = [0.0] * 4
        for minute in range(60):
            t = begin + minute * 60 * S
            for k in range(4):
                runs = chance.random() < 0.8
                if runs != running[k] or (hour, minute) == (0, 0):
                    word, klass = ("RUN", codes.RUNNING) if runs else ("STOP", codes.DOWN)
                    events.append(Ev(t, codes.STATE, k, klass, x=word))
                    running[k] = runs
                if runs:
                    now.running_s[k] += 60
                    carried[k] += RATES[product][k] / 60 * chance.uniform(0.6, 0.95)
                    made, waste = int(carried[k]), 0
                    carried[k] -= made
                    waste = sum(chance.random() < 0.02 for _ in range(min(made, 200)))
                    now.good[k] += made - waste
                    now.scrap[k] += waste
                    events.append(Ev(t + 59 * S, codes.COUNT, k, codes.PARTS, made - waste, waste))
    end = START + hours * HOUR
    events = sorted(events, key=lambda e: e.ts)
    return [*events, Ev(end, codes.ORDER, -1, codes.END, -1, x=f"order {hours - 1}"), heartbeat(end + S)], record


@pytest.mark.parametrize("seed", range(4))
def test_a_biscuit_line_from_grams_to_pallets(seed: int) -> None:
    plant = loads(BISCUITS)
    events, record = baked(seed, 6)
    _, results = fold_once(plant, events)
    lines = [r for r in dicts([results], "kpis") if r["station"] is None and r["window"] == "order"]
    assert len(lines) == len(record)
    for hour, row in zip(record, sorted(lines, key=lambda r: r["start"]), strict=True):
        rate = [Fraction(RATES[hour.product][k], 3_600) * SIZES[hour.product][k] for k in range(4)]
        quality = [Fraction(hour.good[k], hour.good[k] + hour.scrap[k]) for k in range(4)]
        # Good parts against what the whole hour could have made: all of it is planned time.
        oee = [Fraction(hour.good[k], RATES[hour.product][k]) for k in range(4)]
        ote, _ = naive.ote_series(rate, oee, quality)
        slowest = rate.index(min(rate))
        assert row["constraint"] == NAMES[slowest]
        assert row["unit"] == ("g", "pack", "case", "pallet")[slowest]
        assert (row["good"], row["scrap"]) == (hour.good[slowest], hour.scrap[slowest])
        assert row["running_ns"] == hour.running_s[slowest] * S
        assert row["oee"] == pytest.approx(float(oee[slowest]), rel=1e-9)
        assert row["ote"] == pytest.approx(float(ote), rel=1e-9)
    units = {r["station"]: r["unit"] for r in dicts([results], "kpis") if r["station"]}
    assert units == dict(zip(NAMES, ("g", "pack", "case", "pallet"), strict=True))
    # By the ideal cycle alone it would always be the palletizer.
    assert "palletizer" not in {r["constraint"] for r in lines}


@st.composite
def lines_of_units(draw: st.DrawFn) -> tuple[Plant, list[Ev], int]:
    n = draw(st.integers(1, 4))
    number = st.integers(1, 1_000)
    products = [
        Product(
            f"p{k}",
            {f"S{i}": draw(number) * 1_000_000 for i in range(n) if draw(st.booleans())},
            {f"S{i}": (draw(number), draw(number)) for i in range(n) if draw(st.booleans())},
        )
        for k in range(2)
    ]
    stations = [
        Station(
            f"S{i}",
            ideal_cycle_ns=draw(number) * 1_000_000,
            inputs=(f"B{i - 1}",) if i else (),
            output=f"B{i}" if i < n - 1 else None,
            staleness_ns=FOREVER,
            unit=f"u{i}",
            factor=(draw(number), draw(number)),
        )
        for i in range(n)
    ]
    events = []
    product = draw(st.sampled_from(["p0", "p1", None, "other"]))
    events.append(Ev(START, codes.ORDER, -1, codes.START, -1, x="o", y=product))
    for i in range(n):
        events.append(Ev(START, codes.STATE, i, codes.RUNNING, x="RUN"))
        events.append(Ev(START + S, codes.COUNT, i, codes.PARTS, draw(number), draw(st.integers(0, 9))))
        if draw(st.booleans()):
            events.append(Ev(START + draw(st.integers(2, 3_000)) * S, codes.STATE, i, codes.DOWN, x="STOP"))
    events.sort(key=lambda e: e.ts)
    plant = one_line(
        stations,
        [Buffer(f"B{i}", None) for i in range(n - 1)],
        products=tuple(products),
        windows=(Window("1h", HOUR, HOUR),),
        publish_every_ns=HOUR,
        lateness_ns=0,
        unit="u",
    )
    return (
        plant,
        [*events, heartbeat(START + HOUR + S), heartbeat(START + HOUR + 2 * S)],
        ("p0", "p1").index(product) if product in ("p0", "p1") else -1,
    )


@settings(max_examples=100)
@given(lines_of_units())
def test_constraint_and_ote_are_of_the_lines_unit(case: tuple[Plant, list[Ev], int]) -> None:
    plant, events, number = case
    line = plant.lines[0]
    rows = [r for r in dicts([fold_once(plant, events)[1]], "kpis") if r["window"] == "1h"]
    of = {r["station"]: r for r in rows}
    ideal, factor = [], []
    for one in line.stations:
        made = line.products[number] if number >= 0 else Product("none")
        ideal.append(made.ideal_cycle_ns.get(one.id, one.ideal_cycle_ns))
        factor.append(Fraction(*made.factor.get(one.id, one.factor)))  # type: ignore[misc]
    rate = [f / Fraction(ns or 0) for f, ns in zip(factor, ideal, strict=True)]
    assert of[None]["constraint"] == line.stations[rate.index(min(rate))].id
    oee = [Fraction(of[s.id]["good"] * (ns or 0), HOUR) for s, ns in zip(line.stations, ideal, strict=True)]
    quality = [Fraction(of[s.id]["good"], of[s.id]["good"] + of[s.id]["scrap"]) for s in line.stations]
    assert of[None]["ote"] == pytest.approx(float(naive.ote_series(rate, oee, quality)[0]), rel=1e-9)


def plain(ideal: dict[str, int], **more: Any) -> Plant:
    return one_line([Station(name, ideal_cycle_ns=ns) for name, ns in ideal.items()], **more)


def test_what_most_likely_counts_different_things_is_noted() -> None:
    assert notes(plain({"a": 10, "b": 100})) == ()
    (note,) = notes(plain({"a": 10, "b": 101}))
    assert "b takes 10 times as long as one of a" in note
    assert "give the line a unit" in note
    # By product, and without those that have no ideal cycle.
    (note,) = notes(plain({"a": 10, "b": 20}, products=(Product("p", {"a": 1_000}),)))
    assert "(product p)" in note
    assert notes(plain({"a": 0, "b": 101})) == ()
    assert notes(loads(BISCUITS)) == ()
    (note,) = notes(loads(BISCUITS.replace("factor = 9600", "factor = 96")))
    assert "one biscuit takes" in note


def test_the_tree_says_what_stations_count() -> None:
    shown = tree(loads(BISCUITS))
    assert "counts g of 1/8 biscuit" in shown
    assert "counts pack of 20 biscuit" in shown
    assert "at caser a part is 360" in shown


def test_without_units_the_hash_is_what_it_was() -> None:
    text = BISCUITS
    for line in ('unit = "biscuit"', 'unit = "g"', 'factor = "1/8"', 'unit = "pack"', "factor = 20", 'unit = "case"'):
        text = text.replace(line + "\n", "")
    for line in ("factor = 240", 'unit = "pallet"', "factor = 9600"):
        text = text.replace(line + "\n", "")
    text = text.replace("factor = { packer = 30, caser = 360, palletizer = 14400 }\n", "")
    assert loads(text).hash == "2a58b8fceff28835"
