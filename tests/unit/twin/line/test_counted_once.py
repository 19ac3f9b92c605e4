"""What one source says in two ways, or in one message, counts as often as it happened."""

import pytest

from kernels import codes
from tests.support.fold import FOREVER, Ev, S, block, dicts, fold_once, heartbeat, one_line
from twin.line import PartitionTwin
from twin.plant.model import Buffer, Counter, Measure, Product, Station, Window

T = 1_700_000_000 * S
HOUR = (Window("60s", 60 * S, 60 * S),)
M = Station("m", ideal_cycle_ns=10 * S, staleness_ns=FOREVER, minor_stop_ns=300 * S)


def station(**more: object) -> Station:
    return Station("m", **{"ideal_cycle_ns": 10 * S, "staleness_ns": FOREVER, **more})  # type: ignore[arg-type]


def cycle(second: int, code: int, **more: object) -> Ev:
    return Ev(T + second * S, codes.CYCLE, 0, code, **more)  # type: ignore[arg-type]


def parts(events: list[Ev], one: Station, products: tuple[Product, ...] = ()) -> tuple[int, int, PartitionTwin]:
    """Good parts and their ideal time (s) so far."""
    plant = one_line((one,), products=products, windows=HOUR, publish_every_ns=60 * S, lateness_ns=0)
    twin, _ = fold_once(plant, [heartbeat(T - 2 * S), heartbeat(T - S), *events, heartbeat(events[-1].ts + S)])
    total = twin.engine.state.total[0]
    return int(total[codes.GOOD]), int(total[codes.IDEAL_NS]) // S, twin


def test_a_counter_of_all_parts_beside_cycles_is_left_out_and_told() -> None:
    events = [Ev(T, codes.COUNT, 0, codes.COUNTER, 0, x="t"), cycle(0, codes.START)]
    for k in (1, 2):
        events += [cycle(20 * k, codes.END), Ev(T + 20 * k * S, codes.COUNT, 0, codes.COUNTER, k, x="t")]
        events.append(cycle(20 * k, codes.START))
    good, ideal_s, twin = parts(events, station(parts_from="cycle", counters=(Counter("t", "total", 1, None),)))
    assert (good, ideal_s) == (2, 20)
    assert any("count them already" in text for text in twin.doubts())


def test_the_end_of_no_open_cycle_is_of_the_orders_product() -> None:
    products = (Product("P", {"m": 3 * S}), Product("Q", {}, parts_per_cycle=4))
    events = [
        cycle(0, codes.START, x="a", y="Q"),
        cycle(10, codes.END, x="a"),
        Ev(T + 240 * S, codes.ORDER, -1, codes.START, x="A", y="P"),
        cycle(320, codes.END, x="c"),
    ]
    good, ideal_s, _ = parts(events, station(parts_from="cycle"), products)
    assert (good, ideal_s) == (4 + 1, 4 * 10 + 3)


def test_one_message_tells_a_counter_a_meter_a_buffer_and_two_defects() -> None:
    measures = (
        Measure("e", "meter", "kWh", "energy"),
        *(Measure(name, "amount", "defect", "defect") for name in ("leak", "dent")),
    )
    one = station(counters=(Counter("c", "good", 1, None),), measures=measures, output="b")
    plant = one_line(
        (one, Station("n", ideal_cycle_ns=10 * S, staleness_ns=FOREVER, inputs=("b",))),
        (Buffer("b", 100),),
        windows=HOUR,
        publish_every_ns=60 * S,
        lateness_ns=0,
        seq_modulus=256,
    )
    events = [heartbeat(T - 2 * S), heartbeat(T - S)]
    for k in (0, 1):
        at = T + 20 * k * S
        events += [
            Ev(at, codes.COUNT, 0, codes.COUNTER, 2 * k, x="c", seq=k),
            Ev(at, codes.MEASURE, 0, 0, 100 + 20 * k, -1, y="e", seq=k),
            Ev(at, codes.COUNT, 0, codes.PARTS, 0, 1, defect="leak", seq=k),
            Ev(at, codes.COUNT, 0, codes.PARTS, 0, 1, defect="dent", seq=k),
            Ev(at, codes.COUNT, 0, codes.PARTS, 0, 1, defect="dent", seq=k),
        ]
    twin = PartitionTwin(plant, 0)
    results = twin.fold(block([*events, heartbeat(T + 120 * S), heartbeat(T + 121 * S)]))
    assert twin.engine.state.total[0, [codes.GOOD, codes.SCRAP]].tolist() == [2, 4]
    assert results.duplicates == 2
    used = {row["measure"]: row["amount"] for row in dicts([results], "measures") if row["window"] == "publish"}
    assert {name: used[name] for name in ("e", "leak", "dent")} == {"e": 20, "leak": 2, "dent": 2}


@pytest.mark.parametrize("last", [6, 2_000])
def test_missing_numbers_are_told_at_the_end_of_a_log(last: int) -> None:
    numbers = [1, 5, *range(6, last + 1)]
    events = [Ev(T + k * S, codes.COUNT, 0, codes.PARTS, 1, seq=seq) for k, seq in enumerate(numbers)]
    _, _, twin = parts(events, M)
    assert any("3 gaps" in text for text in twin.doubts())
