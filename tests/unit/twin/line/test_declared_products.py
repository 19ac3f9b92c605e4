"""Products that come with the data: declared by an order or by an event of their own."""

import itertools

import pytest

from kernels import codes
from kernels.fold import layout as at
from tests.support.fold import Ev, S, block, dicts, fold_once, heartbeat, multisets, one_line
from twin.line import PartitionTwin, declared
from twin.plant.model import Plant, Product, Station, Window

T0 = 1_700_000_000 * S // (60 * S) * 60 * S
MIN = 60 * S


def plant(products: tuple[Product, ...] = (), *, revise_ns: int | None = None, **station: object) -> Plant:
    stations = (
        Station("A", ideal_cycle_ns=10 * S, states={"RUN": codes.RUNNING}, **station),  # type: ignore[arg-type]
        Station("B", ideal_cycle_ns=10 * S, states={"RUN": codes.RUNNING}, **station),  # type: ignore[arg-type]
    )
    return one_line(
        stations,
        products=products,
        windows=(Window("1min", MIN, MIN),),
        publish_every_ns=MIN,
        lateness_ns=0,
        revise_ns=revise_ns,
    )


def run(t: int, station: int = 0) -> Ev:
    return Ev(T0 + t * S, codes.STATE, station, codes.RUNNING, x="RUN")


def order(t: int, product: str | None, pace: str | None = None, name: str = "o", station: int = -1) -> Ev:
    said = None if pace is None else (pace, None, None)
    return Ev(T0 + t * S, codes.ORDER, station, codes.START, -1, x=name, y=product, pace=said)


def end(t: int, name: str = "o", station: int = -1) -> Ev:
    return Ev(T0 + t * S, codes.ORDER, station, codes.END, -1, x=name)


def product(t: int, name: str, pace: str | None, factor: str | None = None, station: int = -1) -> Ev:
    return Ev(T0 + t * S, codes.PRODUCT, station, y=name, pace=(pace, None, factor))


def count(t: int, n: int, station: int = 0) -> Ev:
    return Ev(T0 + t * S, codes.COUNT, station, codes.PARTS, n)


def orders(results: object, station: str | None = "A") -> list[tuple[object, ...]]:
    rows = [r for r in dicts(results, "kpis") if r["window"] == "order" and r["station"] == station]  # type: ignore[arg-type]
    return [(r["order"], r["product"], r["good"], r["ideal_ns"] // S) for r in rows if not r["retracted"]]


def doubts(twin: PartitionTwin) -> set[tuple[int, str]]:
    found = [key.split("\0") for key in twin.engine.memory[0].doubts]
    return {(int(kind), subject) for kind, _, subject in found}


def log(*events: Ev) -> list[Ev]:
    first = [run(0), run(0, 1)]
    return [*first, *events, heartbeat(T0 + 1_300 * S), heartbeat(T0 + 1_400 * S)]


def test_an_order_brings_the_ideal_cycle_of_its_product() -> None:
    twin, results = fold_once(plant(), log(order(1, "new", "4s"), count(30, 5), end(60)))
    assert orders([results]) == [("o", "new", 5, 20)]
    assert doubts(twin) == set()
    assert dicts([results], "states")[0]["product"] in (None, "new")


def test_what_is_declared_of_one_station_holds_there() -> None:
    events = [product(1, "new", "4s"), product(1, "new", "6s", station=1), order(2, "new"), count(30, 5)]
    _, results = fold_once(plant(), log(*events, count(30, 5, 1), end(60)))
    assert orders([results]) == [("o", "new", 5, 20)]
    assert orders([results], "B") == [("o", "new", 5, 30)]
    row = next(r for r in dicts([results], "kpis") if r["window"] == "order" and r["station"] is None)
    assert row["constraint"] == "B"  # by what was declared, both are alike in the plant file


def test_an_order_keeps_what_it_began_with() -> None:
    events = [order(1, "new", "4s"), count(30, 5), product(40, "new", "1s"), count(50, 5), end(60)]
    events += [order(70, "new", name="next"), count(80, 5), end(90, "next")]
    _, results = fold_once(plant(), log(*events))
    assert orders([results]) == [("o", "new", 10, 40), ("next", "new", 5, 5)]


def test_a_start_with_another_ideal_cycle_begins_another_row() -> None:
    events = [order(1, "new", "4s"), count(30, 5), order(40, "new", "1s"), count(50, 5), end(60)]
    twin, results = fold_once(plant(), log(*events))
    assert orders([results]) == [("o", "new", 5, 20), ("o", "new", 5, 5)]
    assert (at.NOTE_ORDER_STARTED, "o") in doubts(twin)
    _, results = fold_once(plant(), log(order(1, "new", "4s"), order(40, "new", "4s"), count(50, 5), end(60)))
    assert orders([results]) == [("o", "new", 5, 20)]


def test_the_plant_file_counts_where_it_names_the_product() -> None:
    of_file = plant((Product("p", {"*": 3 * S}),))
    twin, results = fold_once(of_file, log(order(1, "p", "4s"), count(30, 5), end(60)))
    assert orders([results]) == [("o", "p", 5, 15)]
    assert doubts(twin) == {(at.DOUBT_DECLARED, "p")}
    twin, results = fold_once(of_file, log(product(1, "p", "3s"), order(1, "p"), count(30, 5), end(60)))
    assert (orders([results]), doubts(twin)) == ([("o", "p", 5, 15)], set())


def test_an_unknown_product_is_told_where_products_are_declared() -> None:
    events = [product(1, "new", "4s"), order(2, "nobody"), count(30, 5), end(60)]
    twin, results = fold_once(plant(), log(*events))
    assert orders([results]) == [("o", "nobody", 5, 50)]
    assert doubts(twin) == {(at.DOUBT_PRODUCT, "nobody")}


def test_a_cycle_names_a_declared_product() -> None:
    events = [
        product(1, "new", "4s"),
        order(2, "other", "2s"),
        Ev(T0 + 10 * S, codes.CYCLE, 0, codes.START, y="new"),
        Ev(T0 + 16 * S, codes.CYCLE, 0, codes.END),
        end(60),
    ]
    _, results = fold_once(plant(parts_from="cycle"), log(*events))
    assert orders([results]) == [("o", "other", 1, 4)]


def test_a_late_declaration_revises() -> None:
    events = [order(1, "new"), count(30, 5), end(60), heartbeat(T0 + 100 * S), product(1, "new", "4s")]
    _, results = fold_once(plant(revise_ns=3_600 * S), log(*events))
    assert orders([results]) == [("o", "new", 5, 50), ("o", "new", 5, 20)]
    _, results = fold_once(plant(), log(*events))
    assert orders([results]) == [("o", "new", 5, 50)]
    assert [r["reason"] for r in dicts([results], "rejected")] == ["late"]


def test_a_declaration_is_corrected_by_a_later_one_and_undone() -> None:
    begun = [product(1, "new", "4s")._replace(seq=7), order(2, "new"), count(30, 5), end(60)]
    undo = Ev(T0 + 100 * S, codes.CORRECTION, 0, 1, -1, -1, -1, x=str(T0 + S))
    _, results = fold_once(plant(revise_ns=3_600 * S), log(*begun, undo))
    assert orders([results]) == [("o", "new", 5, 20), ("o", "new", 5, 50)]


def test_a_factor_needs_units() -> None:
    twin, results = fold_once(plant(), log(product(1, "new", "4s", "1/2"), order(2, "new"), count(30, 5), end(60)))
    assert (orders([results]), doubts(twin)) == ([("o", "new", 5, 20)], {(at.DOUBT_FACTOR, "new")})


def test_a_factor_is_of_the_product() -> None:
    stations = (
        Station("A", ideal_cycle_ns=10 * S, unit="piece", factor=(1, 1), states={"RUN": codes.RUNNING}),
        Station("B", ideal_cycle_ns=60 * S, unit="pack", factor=(10, 1), states={"RUN": codes.RUNNING}),
    )
    of_units = one_line(
        stations, unit="piece", windows=(Window("1min", MIN, MIN),), publish_every_ns=MIN, lateness_ns=0
    )
    for factor, constraint in (("20", "A"), ("5", "B")):  # 60 s a pack of 20 is 3 s a piece, of 5 it is 12 s
        events = [product(1, "new", None, factor, station=1), order(2, "new"), count(30, 5), count(40, 1, 1), end(60)]
        _, results = fold_once(of_units, log(*events))
        row = next(r for r in dicts([results], "kpis") if r["window"] == "order" and r["station"] is None)
        assert row["constraint"] == constraint


def test_a_million_products_do_not_grow_the_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(declared, "MAX_DECLARED", 16)
    monkeypatch.setattr(declared, "MAX_SLOTS", 8)
    twin = PartitionTwin(plant(), 0)
    twin.fold(block(log()[:2]))
    sizes = []
    for turn in range(6):
        many = [product(10 * turn + 1, f"product {turn} {k:04}", "4s") for k in range(300)]
        many += [order(10 * turn + 2, f"product {turn} {k:04}", name=f"order {k}") for k in range(280, 300)]
        twin.fold(block([*many, count(10 * turn + 3, 2)]))
        sizes.append(len(twin.snapshot()))
    memory = twin.engine.memory[0]
    assert len(memory.declared) == 16
    assert len(memory.slots) <= 8
    assert sizes[-1] < 1.2 * sizes[1]
    assert {kind for kind, _ in doubts(twin)} >= {at.DOUBT_FORGOTTEN}
    assert len(twin.engine.numbers.ideal) < 200


def test_slots_that_nothing_is_made_of_are_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(declared, "MAX_SLOTS", 2)
    events = []
    for k in range(9):
        t = 100 * k
        events += [order(t, f"p{k}", f"{k + 1}s", name=f"o{k}"), count(t + 50, 5)]
    _, results = fold_once(plant(), log(*events, end(950, "o8")))
    assert orders([results]) == [(f"o{k}", f"p{k}", 5, 5 * (k + 1)) for k in range(9)]


@pytest.mark.parametrize("cut", [1, 2, 3, 7])
def test_any_cut_and_a_snapshot_between_give_the_same(cut: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(declared, "MAX_SLOTS", 2)
    events = []
    for k in range(9):
        t = 100 * k
        events += [
            order(t, f"p{k % 4}", f"{k % 3 + 1}s", name=f"o{k}"),
            count(t + 50, 5),
            order(t + 60, "p", "1s", "s", 1),
        ]
    whole = log(*events, end(950, "o8"))
    once, results = fold_once(plant(), whole)
    twin, found = PartitionTwin(plant(), 0), []
    for some in itertools.batched(whole, cut) if hasattr(itertools, "batched") else _batched(whole, cut):
        found.append(twin.fold(block(list(some))))
        twin = PartitionTwin.restore(plant(), 0, twin.snapshot())
    assert multisets(found) == multisets([results])
    assert twin.snapshot() == once.snapshot()


def _batched(events: list[Ev], n: int) -> list[list[Ev]]:
    return [events[k : k + n] for k in range(0, len(events), n)]


def test_texts_of_sources_are_what_they_are() -> None:
    odd = 'a\x1f{"*":[1,0,0]}'
    _, results = fold_once(plant(), log(order(1, odd), count(30, 5), end(60)))
    assert orders([results]) == [("o", odd, 5, 50)]
    _, results = fold_once(plant(), log(order(1, odd, "4s"), count(30, 5), end(60)))
    assert orders([results]) == [("o", odd, 5, 20)]


def test_parts_of_a_slow_product_do_not_wrap() -> None:
    events = [order(1, "new", "24h"), count(30, 1_000_000), count(31, 1_000_000), end(60)]
    _, results = fold_once(plant(), log(*events))
    assert orders([results]) == [("o", "new", 2_000_000, 2 * 366 * 86_400)]


def test_a_counter_may_be_as_fast_as_what_is_declared() -> None:
    from twin.plant.model import Counter

    counting = plant(counters=(Counter("n", "good"),))
    readings = [(10, 0), (20, 100), (30, 200), (40, 300)]
    shown = [Ev(T0 + t * S, codes.COUNT, 0, codes.COUNTER, value, x="n") for t, value in readings]
    twin, results = fold_once(counting, log(order(1, "new", "100ms"), *shown, end(60)))
    assert orders([results]) == [("o", "new", 300, 30)]
    assert doubts(twin) == set()
