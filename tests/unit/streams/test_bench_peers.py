"""The peers of the benchmarks: a wrong answer is refused, and what another implementation found is what we find."""

import contextlib
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from streams.bench import inputs
from streams.settings import Settings
from tests.bench.peers import on_kafka, on_parquet, on_states
from tests.bench.peers.main import GROUPS, run, wanted
from tests.bench.peers.peer import DisagreementError, Group, Peer, PeerError, answer
from tests.bench.peers.programs.answer import digest

# What active-period-method 0.9.0 answers for the states of the example log, in ns.
FIVE_STATIONS = {
    "sole": {
        "S0": 120_609_000_000,
        "S1": 2_254_810_000_000,
        "S2": 249_292_000_000,
        "S3": 3_853_901_000_000,
        "S4": 283_728_000_000,
    },
    "shifting": {
        "S0": 226_648_000_000,
        "S1": 2_702_563_000_000,
        "S2": 772_838_000_000,
        "S3": 2_622_607_000_000,
        "S4": 139_822_000_000,
    },
}


def filled() -> tuple[on_kafka.Filled, dict[tuple[str, str], tuple[int, int]]]:
    plant = inputs.plant(2, 3)
    totals = on_kafka.expected(plant, list(inputs.blocks(plant, 100, 1000, block=7)))
    good = sum(one for _, one in totals.values())
    return on_kafka.Filled(Settings(), "topic", 100, good, len(totals), digest(totals)), totals


def test_the_expected_answer_counts_every_event_and_the_good_parts() -> None:
    found, totals = filled()
    assert sum(events for events, _ in totals.values()) == 100
    assert found.good == 91  # about every tenth event of a station is a state
    assert found.stations == 6


def test_a_peer_that_counted_right_has_a_rate() -> None:
    found, totals = filled()
    told = {"events": 100, "seconds": 0.5, "good": 91, "stations": 6, "digest": digest(totals)}
    assert on_kafka.rate("peer", found, told) == 200.0
    assert on_kafka.rate("peer", found, told | {"timed": 50}) == 100.0


def test_a_part_at_the_wrong_station_is_refused() -> None:
    found, totals = filled()
    first, second = list(totals)[:2]
    wrong = totals | {first: totals[second], second: totals[first]}
    assert wrong != totals
    told = {"events": 100, "seconds": 0.5, "good": 91, "stations": 6, "digest": digest(wrong)}
    with pytest.raises(DisagreementError, match="digest"):
        on_kafka.rate("peer", found, told)


def test_a_key_figure_a_nanosecond_off_is_refused() -> None:
    rows = pa.table({"station": ["a", "b"], "running_ns": [1, 2]})
    on_parquet.compare("peer", rows, rows)
    with pytest.raises(DisagreementError, match="running_ns"):
        on_parquet.compare("peer", pa.table({"station": ["a", "b"], "running_ns": [1, 3]}), rows)
    with pytest.raises(DisagreementError, match="2 rows"):
        on_parquet.compare("peer", rows.slice(1), rows)


def test_active_periods_are_what_the_other_implementation_found() -> None:
    with on_states.stage(0) as stage:
        assert stage.answer() == FIVE_STATIONS


def test_a_peer_that_fails_once_has_no_figure_and_the_others_go_on() -> None:
    answers = iter([1.0, 2.0])

    def missing(_: object) -> float:
        raise PeerError("no such program")

    def second_time_wrong(_: object) -> float:
        if (value := next(answers)) > 1.0:
            raise DisagreementError("another answer")
        return value

    peers = [Peer("a", "", missing), Peer("b", "", lambda _: 5.0), Peer("c", "", second_time_wrong)]
    group = Group("group", "input", peers, contextlib.nullcontext)
    figures, failed = run([(group, peers)], events=1, repeats=2)
    assert [(figure.name, list(figure.values)) for figure in figures] == [("b", [5.0, 5.0])]
    assert failed == {"a": "no such program", "c": "another answer"}


def test_a_program_that_gives_no_answer_says_what_it_printed(tmp_path: Path) -> None:
    script = tmp_path / "peer.py"
    script.write_text("import sys; print('hello'); sys.exit(3)")
    with pytest.raises(PeerError, match=r"ended with 3:\nhello"):
        answer([sys.executable, str(script)])


def test_names_choose_peers_and_groups() -> None:
    kafka = GROUPS[0]
    assert wanted(kafka, []) == list(kafka.peers)
    assert wanted(kafka, ["peers-kafka"]) == list(kafka.peers)
    assert {p.name for p in wanted(kafka, ["quix"])} == {"quix-dict", "quix-state", "quix-changelog"}
    assert wanted(kafka, ["polars"]) == []


def test_every_peer_stands_beside_a_figure_of_its_own_group() -> None:
    for group in GROUPS:
        names = [peer.name for peer in group.peers]
        assert len(set(names)) == len(names)
        assert {peer.beside for peer in group.peers} - {""} <= set(names)


def test_every_program_named_exists() -> None:
    programs = Path(on_kafka.__file__).with_name("programs")
    assert all((programs / file).is_file() for _, _, file, _, _ in on_kafka.PROGRAM_PEERS)
