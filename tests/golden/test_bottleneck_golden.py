"""Lines whose bottleneck is known: from Markov chains, by hand, and simulated by others."""

import bisect
import csv
import gzip
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kernels.figures.bottleneck import arrow_rule, turning_point
from kernels.figures.stats import batch_means, verdict
from tests import naive
from tests.generators import END, deterministic_line_log, serial_line_log

TESTS = Path(__file__).parents[1]
LINES = json.loads((TESTS / "data/golden/serial_lines.json").read_text())
BERNOULLI = [line for line in LINES if line["model"] == "bernoulli_bbs_slotted"]
EXPONENTIAL = [line for line in LINES if line["model"] == "exponential_bas"]
PACKAGING = json.loads((TESTS / "data/golden/oee.json").read_text())["critical_path"][0]


def links(n: int) -> tuple[Any, Any]:
    return np.arange(n - 1), np.arange(1, n)


def name(line: dict[str, Any]) -> str:
    return f"{line.get('p', line.get('mu'))}-{line.get('N', line.get('B'))}"


@pytest.mark.parametrize("line", BERNOULLI, ids=name)
def test_arrow_rule_on_bernoulli_lines(line: dict[str, Any]) -> None:
    n = len(line["p"])
    named, severity, most = arrow_rule(np.array(line["BL"]), np.array(line["ST"]), *links(n))
    got = {str(i + 1): severity[i] for i in range(n) if named[i]}
    assert set(got) == set(line["arrow_severity"])
    assert got == pytest.approx(line["arrow_severity"], abs=5e-7)
    assert str(most + 1) in got


def test_bernoulli_and_exponential_cases_are_all_there() -> None:
    assert (len(BERNOULLI), len(EXPONENTIAL)) == (12, 12)


Event = tuple[int, int, str]


def as_events(log: tuple[Any, Any, Any]) -> list[Event]:
    columns = (column.tolist() for column in log)
    return [(t, s, "end" if kind == END else "start") for t, s, kind in zip(*columns, strict=True)]


REPLICATIONS = 12
PARTS = 4_000


@pytest.mark.parametrize("line", EXPONENTIAL, ids=name)
def test_line_flow_gives_the_elasticities(line: dict[str, Any]) -> None:
    """Critical-path shares, blocked and starved time and throughput of simulated logs against the Markov chain's exact
    answers, within their statistical error: twice the half width over independent replications."""
    n = len(line["mu"])
    flows = []
    ends = []
    for seed in range(REPLICATIONS):
        events = as_events(serial_line_log(line["mu"], line["B"], PARTS, seed))
        ends.append(events[-1][0])
        flows.append(naive.naive_line_flow(events, naive.serial_topology(line["B"]), end=ends[-1]))
    assert all(flow.contradictions == 0 for flow in flows)
    assert all(sum(flow.stations[s].vector) == end for flow, end in zip(flows, ends, strict=True) for s in range(n))
    elapsed = np.array(ends)
    for expected, values in (
        (line["elasticity"], [flow.stations[-1].vector for flow in flows]),
        (line["blocked"], [[s.blocked_ns for s in flow.stations] for flow in flows]),
        (line["starved"], [[s.starved_ns for s in flow.stations] for flow in flows]),
        ([line["TH"]], [[flow.stations[-1].cycles * 10**9] for flow in flows]),
    ):
        share, half, used = batch_means(np.array(values), elapsed)
        assert used == REPLICATIONS
        assert half.max() < 0.02  # else the comparison would say nothing
        # 5e-4: parts still in the line at the end of a log.
        assert np.all(np.abs(share - np.array(expected)) <= 2.0 * half + 5e-4)


def test_packaging_line() -> None:
    """A deterministic line: blocked and starved by hand, the slowest station is the whole critical path."""
    n, parts = len(PACKAGING["service_s"]), 5_000
    service_ns = [round(s * 10**9) for s in PACKAGING["service_s"]]
    events = as_events(deterministic_line_log(service_ns, PACKAGING["buffers"], parts))
    end = events[-1][0]
    flow = naive.naive_line_flow(events, naive.serial_topology(PACKAGING["buffers"]), end=end)
    edge = 3e-3  # filling of the line, 5,000 parts
    assert [s.blocked_ns / end for s in flow.stations] == pytest.approx(PACKAGING["blocked"], abs=edge)
    assert [s.starved_ns / end for s in flow.stations] == pytest.approx(PACKAGING["starved"], abs=edge)
    assert [ns / end for ns in flow.stations[-1].vector] == pytest.approx(PACKAGING["share"], abs=edge)
    assert flow.stations[-1].cycles * 10**9 / end == pytest.approx(PACKAGING["throughput_per_s"], abs=edge)

    blocked = np.array([s.blocked_ns for s in flow.stations])
    starved = np.array([s.starved_ns for s in flow.stations])
    slowest = PACKAGING["share"].index(1)
    named, _, most = arrow_rule(blocked, starved, *links(n))
    assert np.flatnonzero(named).tolist() == [slowest] == [most]
    assert np.flatnonzero(turning_point(blocked, starved, *links(n))).tolist() == [slowest]


# The five stations of West and Deuse: times in whole ms.
STATIONS = 5
END_MS = 9_998_616


def five_stations() -> list[Event]:
    for path in sorted((TESTS.parent / "examples/five-stations").glob("*.csv*")):
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
            rows = csv.DictReader(file)
            if rows.fieldnames and "num_station" in rows.fieldnames:
                kinds = {"job start": "start", "job finish": "end"}
                return [
                    (round(float(row["t"]) * 1000), int(row["num_station"]), kinds[row["event_type"]]) for row in rows
                ]
    raise AssertionError("examples/five-stations holds no event file with the columns t, num_station, event_type")


TOPOLOGY = naive.serial_topology([5] * (STATIONS - 1), initial=1)


def test_five_stations_flow() -> None:
    events = five_stations()
    flow = naive.naive_line_flow(events, TOPOLOGY, start=0)
    last = flow.stations[-1].vector
    assert [round(ns / sum(last), 3) for ns in last] == [0.034, 0.296, 0.118, 0.512, 0.040]
    assert [s.cycles for s in flow.stations] == [2139, 2135, 2132, 2130, 2129]

    flow = naive.naive_line_flow(events, TOPOLOGY, start=0, end=END_MS)
    assert flow.contradictions == 0
    assert events[-1][0] == END_MS

    def shares(field: str) -> list[float]:
        return [round(getattr(s, field) / END_MS, 4) for s in flow.stations]

    assert shares("cycle_ns") == [0.8709, 0.9483, 0.8619, 0.9661, 0.8513]
    assert shares("blocked_ns") == [0.1289, 0.0458, 0.0710, 0.0043, 0]
    assert shares("starved_ns") == [0, 0.0057, 0.0668, 0.0296, 0.1484]
    for s in flow.stations:
        assert s.running_ns + s.blocked_ns + s.starved_ns + s.waiting_ns == END_MS == sum(s.vector)


def test_five_stations_buffer_levels() -> None:
    """The levels after each unit of time, as the simulation itself recorded them."""
    events = sorted(five_stations())
    line = naive.LineFlow(TOPOLOGY, 0)
    history = {0: tuple(line.levels)}
    for t, group in itertools.groupby(events, key=lambda event: event[0]):
        now = list(group)
        line.instant(t, [s for _, s, kind in now if kind == "end"], [s for _, s, kind in now if kind == "start"])
        history[t] = tuple(line.levels)
    instants = sorted(history)

    with gzip.open(TESTS / "data/five-stations/buffers.csv.gz", "rt") as file:
        recorded = [
            (int(row["t"]) * 1000, tuple(int(row[f"B{b}"]) for b in range(1, STATIONS))) for row in csv.DictReader(file)
        ]
    assert len(recorded) == 9_999
    differ = [t for t, expected in recorded if history[instants[bisect.bisect_right(instants, t) - 1]] != expected]
    # Twice an event lies just behind the whole unit and is rounded into it: there the record is what was before.
    assert len(differ) == 2
    for t, expected in recorded:
        if t in differ:
            assert t in history
            assert history[instants[bisect.bisect_left(instants, t) - 1]] == expected


def test_verdict_on_panes_of_the_line_is_undecided_between_equal_stations() -> None:
    """Two equal stations cannot be told apart; a slow one can."""
    for mu, expected in (([1.0, 1.0], -1), ([2.0, 1.0], 1)):
        vectors, elapsed = [], []
        for seed in range(10):
            events = as_events(serial_line_log(mu, [2], 2_000, seed))
            flow = naive.naive_line_flow(events, naive.serial_topology([2]), end=events[-1][0])
            vectors.append(flow.stations[-1].vector)
            elapsed.append(events[-1][0])
        share, half, panes = batch_means(np.array(vectors), np.array(elapsed))
        assert verdict(share, share - half, share + half, panes) == expected
