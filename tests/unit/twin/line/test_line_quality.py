"""What the summary of a replay says against its own figures."""

from kernels import codes
from tests.support.fold import FOREVER, Ev, S, fold_once, heartbeat, one_line
from twin.plant.model import Buffer, Station, Window

START = 1_767_254_400 * S


def doubts(events: list[Ev], **station: int) -> list[str]:
    stations = [
        Station("A", ideal_cycle_ns=10 * S, output="b", staleness_ns=FOREVER, parts_from="cycle"),
        Station("B", ideal_cycle_ns=10 * S, inputs=("b",), staleness_ns=FOREVER),
        Station("C", ideal_cycle_ns=station.get("ideal_ns", 10 * S), staleness_ns=FOREVER),
    ]
    windows = (Window("60s", 60 * S, 60 * S),)
    plant = one_line(stations, [Buffer("b", 1)], lateness_ns=0, windows=windows, publish_every_ns=60 * S)
    twin, _ = fold_once(plant, [*events, heartbeat(START + 120 * S), heartbeat(START + 121 * S)])
    return twin.doubts()


def cycle(t: int, station: int, code: int) -> Ev:
    return Ev(START + t * S, codes.CYCLE, station, code)


def test_a_sound_log_has_none() -> None:
    events = [cycle(0, 0, codes.START), cycle(20, 0, codes.END), cycle(20, 1, codes.START), cycle(40, 1, codes.END)]
    assert doubts([*events, Ev(START + 50 * S, codes.STATE, 2, codes.RUNNING, x="RUN")]) == []


def test_a_station_never_heard_of_is_named() -> None:
    events = [cycle(0, 0, codes.START), cycle(20, 0, codes.END), cycle(20, 1, codes.START)]
    (said,) = doubts(events)
    assert said.startswith("L/C: never heard of")


def test_cycles_that_contradict_the_buffers_are_counted() -> None:
    events = [cycle(0, 1, codes.START), cycle(1, 2, codes.END), cycle(2, 0, codes.END)]
    said = doubts(events)
    assert [one.split(":", 1)[0] for one in said] == ["L/B", "L/C", "L/A"]
    assert all(
        "cycle events contradict the buffers" in one and "check capacities and initial levels" in one for one in said
    )
    assert all("(once at " in one for one in said)


def test_a_suspect_ideal_cycle_has_its_likely_cause_and_units_are_noted() -> None:
    events = [cycle(t, 0, code) for k in range(20) for t, code in ((2 * k, codes.START), (2 * k + 2, codes.END))]
    events = sorted([*events, cycle(41, 1, codes.START)], key=lambda e: (e.ts, e.code == codes.START))
    said = doubts([*events, Ev(START + 50 * S, codes.STATE, 2, codes.RUNNING, x="RUN")], ideal_ns=101 * S)
    assert any(s.startswith("L/A: performance over 100 %: the ideal cycle is too long") for s in said)
    assert any("C takes 10 times as long as one of A" in s for s in said)
