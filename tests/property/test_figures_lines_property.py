"""Figures of lines and stocks against enumeration and steps in time."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.figures.balancing import Tasks, least_stations, optimum, station_oriented, task_oriented
from twin.figures.cost import cheapest, process
from twin.figures.flow import sample_path
from twin.figures.levelling import goal_chasing, setup_sequence
from twin.figures.simulation import (
    Machine,
    assembly,
    conwip,
    mmc,
    mmck,
    trace,
    two_machines,
)
from twin.figures.supply import project_stock, trace_lots

SMALL = settings(max_examples=60)
seconds = st.integers(0, 40)


tasks = st.integers(1, 7).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(0, 9), min_size=n, max_size=n),
        st.lists(st.tuples(st.integers(1, n), st.integers(1, n)).filter(lambda p: p[0] < p[1]), max_size=8)
        if n > 1
        else st.just([]),
    )
)


@settings(max_examples=200)
@given(tasks, st.integers(0, 8))
def test_least_stations_by_all_subsets(instance: tuple[list[int], list[tuple[int, int]]], slack: int) -> None:
    time, precedence = instance
    cycle = max(1, *time) + slack
    line = Tasks(time, precedence)
    n = len(time)
    before = [{a - 1 for a, b in precedence if b == i + 1} for i in range(n)]
    least: dict[frozenset[int], tuple[int, int]] = {frozenset(): (1, 0)}
    for size in range(1, n + 1):
        for subset in itertools.combinations(range(n), size):
            whole = frozenset(subset)
            choices = []
            for last in subset:
                rest = whole - {last}
                if rest in least and before[last] <= rest:
                    stations, load = least[rest]
                    fits = load + time[last] <= cycle
                    choices.append((stations, load + time[last]) if fits else (stations + 1, time[last]))
            if choices:
                least[whole] = min(choices)
    assert optimum(line, cycle) == least[frozenset(range(n))][0]
    for assigned in (station_oriented(line, cycle), task_oriented(line, cycle)):
        order = [task for station in assigned for task in station]
        place = {task: i for i, station in enumerate(assigned) for task in station}
        assert sorted(order) == list(range(1, n + 1))
        assert all(place[a] <= place[b] for a, b in precedence)
        assert all(sum(time[task - 1] for task in station) <= cycle for station in assigned)
        assert len(assigned) >= least_stations(sum(time), cycle)


@SMALL
@given(
    st.integers(1, 5).flatmap(
        lambda n: st.lists(st.lists(st.integers(0, 9), min_size=n, max_size=n), min_size=n, max_size=n)
    )
)
def test_setup_sequence_by_all_orders(matrix: list[list[int]]) -> None:
    n = len(matrix)
    orders = [[0, *rest] for rest in itertools.permutations(range(1, n))]

    def path(order: list[int]) -> int:
        return sum(matrix[a][b] for a, b in itertools.pairwise(order))

    def cycle(order: list[int]) -> int:
        return path([*order, 0]) if n > 1 else 0

    found = setup_sequence(matrix)
    assert (found.best_cycle, found.best_cycle_order) == min((cycle(order), order) for order in orders)
    assert (found.best_path, found.best_path_order) == min((path(order), order) for order in orders)


@SMALL
@given(st.lists(st.integers(0, 2), min_size=1, max_size=3), st.lists(st.integers(0, 2), min_size=3, max_size=3))
def test_goal_chasing_by_all_sequences(quantity: list[int], extra: list[int]) -> None:
    use = [[i + 1, extra[i]] for i in range(len(quantity))]
    found = goal_chasing(quantity, use)
    pieces = [i for i, n in enumerate(quantity) for _ in range(n)]
    totals = [sum(use[i][j] for i in pieces) for j in range(2)]

    def cost(sequence: tuple[int, ...]) -> Fraction:
        made, total = [0, 0], Fraction()
        for k, i in enumerate(sequence, 1):
            made = [made[j] + use[i][j] for j in range(2)]
            total += sum((Fraction(k * totals[j], len(pieces)) - made[j]) ** 2 for j in range(2))
        return total

    assert cost(tuple(found.sequence)) == found.total
    assert found.optimal_total == min((cost(order) for order in set(itertools.permutations(pieces))), default=0)


@SMALL
@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 9)), min_size=1, max_size=5))
def test_cheapest_process(options: list[tuple[int, int]]) -> None:
    processes = {str(i): process(fixed, variable) for i, (fixed, variable) in enumerate(options)}
    regions = cheapest(processes)
    for pieces in range(0, 120, 3):
        name = [name for point, name in regions if point <= pieces][-1]
        assert processes[name].cost(pieces) == min(one.cost(pieces) for one in processes.values())


@SMALL
@given(st.integers(1, 6), st.integers(1, 59), st.integers(1, 8))
def test_queues_by_a_long_chain(servers: int, tenths: int, places: int) -> None:
    lam, mu = Fraction(tenths, 10), Fraction(1)
    finite = mmck(lam, mu, places, servers)
    weights = [1.0]
    for k in range(1, 3000):
        weights.append(weights[-1] * float(lam) / min(k, servers))
    share = np.array(weights[: places + 1]) / sum(weights[: places + 1])
    assert float(finite.p_loss) == pytest.approx(share[-1], rel=1e-9)
    assert float(finite.l) == pytest.approx(float(np.arange(places + 1) @ share), rel=1e-9)
    endless = mmc(servers, lam, mu)
    if lam >= servers:
        assert endless.wq is None
    elif lam < Fraction(19, 20) * servers:
        share = np.array(weights) / sum(weights)
        assert float(endless.l) == pytest.approx(float(np.arange(3000) @ share), rel=1e-6)
        assert float(endless.p_wait) == pytest.approx(share[servers:].sum(), rel=1e-6)


def test_machines_and_buffers_hold_together() -> None:
    """Throughput is that of both machines, rises with every place and ends at the slower machine's own."""
    first, second = Machine(1, "0.02", "0.1"), Machine("1.3", "0.05", "0.15")
    before = 0.0
    for places in (1, 2, 4, 8, 16, 64, 200):
        line = two_machines(first, second, places)
        busy = 1 - line.blocked_1 - line.down_1
        assert line.throughput == pytest.approx(busy, rel=1e-9)
        assert line.throughput == pytest.approx(1.3 * (1 - line.starved_2 - line.down_2), rel=1e-9)
        assert before < line.throughput < line.infinite_buffer_limit
        before = line.throughput
    assert before == pytest.approx(min(first.alone, second.alone), rel=5e-3)
    never = two_machines(Machine(1, 0, 1), Machine(1, 0, 1), 5)
    assert never.throughput == pytest.approx(float(1 - mmck(1, 1, 5).p_loss), rel=1e-9)
    merged = assembly(1, 1000, 2, 3, 3)  # b is always there: M/M/1/3 from a
    assert merged.throughput == pytest.approx(float(mmck(1, 2, 3).throughput), rel=2e-3)
    assert conwip([2, 2, 2], 5)[0] == Fraction(5, 2 * (3 + 5 - 1))


@SMALL
@given(
    st.integers(1, 4).flatmap(
        lambda m: st.tuples(
            st.integers(1, 6).flatmap(
                lambda n: st.lists(st.lists(st.integers(1, 9), min_size=n, max_size=n), min_size=m, max_size=m)
            ),
            st.lists(st.integers(0, 2), min_size=m - 1, max_size=m - 1),
        )
    )
)
def test_trace_by_a_clock(line: tuple[list[list[int]], list[int]]) -> None:
    """Blocking after service, tick by tick, the last station first."""
    service, buffers = line
    m, n = len(service), len(service[0])
    room = [*buffers, 10**9]
    waiting: list[list[int]] = [list(range(n)), *([] for _ in range(m - 1))]
    on: list[tuple[int, int] | None] = [None] * m
    start, done, leave = ([[-1] * n for _ in range(m)] for _ in range(3))
    for now in range(sum(map(sum, service)) + 2):
        moved = True
        while moved:
            moved = False
            for i in reversed(range(m)):
                piece = on[i]
                if piece is not None and piece[1] <= now:
                    done[i][piece[0]] = piece[1]
                    # A buffer's place, or the station itself when it is free and nothing waits.
                    free = i + 1 == m or len(waiting[i + 1]) < room[i] or (on[i + 1] is None and not waiting[i + 1])
                    if free:
                        leave[i][piece[0]] = now
                        on[i] = None
                        if i + 1 < m:
                            waiting[i + 1].append(piece[0])
                        moved = True
                if on[i] is None and waiting[i]:
                    k = waiting[i].pop(0)
                    start[i][k], on[i] = now, (k, now + service[i][k])
                    moved = True
    assert trace(service, buffers) == (start, done, leave)


@SMALL
@given(
    st.integers(0, 40),
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 5)), max_size=4, unique_by=lambda one: one[0]),
    st.lists(st.tuples(st.integers(1, 20), st.integers(0, 30)), max_size=4),
)
def test_stock_in_small_steps(stock: int, rate: list[tuple[int, int]], receipts: list[tuple[int, int]]) -> None:
    found = project_stock(stock, rate, receipts, 20)
    left, short, out, fine = Fraction(stock), Fraction(), None, 60
    for step in range(20 * fine):
        if step % fine == 0:
            left += sum(amount for t, amount in receipts if t * fine == step)
        speed = next((v for t, v in sorted(rate, reverse=True) if t * fine <= step), 0)
        need = Fraction(speed, fine)
        if need > left:
            empty = Fraction(step, fine) + left / speed
            out = empty if out is None else out
            short += Fraction(step + 1, fine) - empty
        left = max(Fraction(), left - need)
    left += sum(amount for t, amount in receipts if t == 20)
    assert (found.stock_end, found.shortage, found.stock_out) == (left, short, out)


@SMALL
@given(
    st.lists(st.tuples(seconds, st.sampled_from("AB"), st.integers(0, 5)), max_size=4),
    st.lists(st.tuples(seconds, st.integers(0, 5)), max_size=4),
)
def test_lots_piece_by_piece(loads: list[tuple[int, str, int]], takes: list[tuple[int, int]]) -> None:
    named = [(t, f"P{i}", n) for i, (t, n) in enumerate(takes)]
    found = trace_lots(loads, named)
    queue: list[str] = []
    expected: dict[str, dict[str | None, int]] = {}
    events = [(t, 0, i, lot, n) for i, (t, lot, n) in enumerate(loads)]
    events += [(t, 1, i, serial, n) for i, (t, serial, n) in enumerate(named)]
    for _, kind, _, name, n in sorted(events):
        if kind == 0:
            queue += [name] * n
            continue
        lots = expected.setdefault(name, {})
        for _ in range(n):
            lot = queue.pop(0) if queue else None
            lots[lot] = lots.get(lot, 0) + 1
    assert found.by_serial == expected
    assert found.remaining == {lot: queue.count(lot) for lot in queue}


@SMALL
@given(st.lists(st.tuples(seconds, st.none() | seconds), max_size=7), seconds, seconds)
def test_little_second_by_second(jobs: list[tuple[int, int | None]], one: int, other: int) -> None:
    start, end = sorted((one, other))
    paths = [(enter, None if stay is None else enter + stay) for enter, stay in jobs]
    found = sample_path(paths, (start, end))
    inside = sum(enter <= t and (leave is None or t < leave) for t in range(start, end) for enter, leave in paths)
    assert found.wip_time_integral == inside
