"""Sums of what was measured by kernels, against plain Python: the largest values, rollovers, gaps, any cut."""

import random
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, Final

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels import codes
from kernels.figures.measured import R_AMOUNT, R_DURING, R_END, R_MEASURE, R_USED
from kernels.figures.measured_rows import N_X, X_AMOUNT, X_HIGH, X_LOW, X_N, X_TOTAL
from kernels.figures.wide import LIMB, product, share
from kernels.fold import layout as at
from kernels.jit import kernel
from tests.naive_measures import divided
from twin.decimals import MAX_SCALED
from twin.measures import meter
from twin.measures.catalogue import Declared
from twin.measures.integral import DOUBT_GAP, between, unit_of
from twin.measures.meter import HOUR_NS, Meter, Reading
from twin.measures.protocol import Observed, Span
from twin.measures.rows import AMOUNT, N_SUMS, Block, Key, Laid, Row, in_order, joined, laid_out
from twin.measures.rows import wide as wide_
from twin.measures.totals import Totals
from twin.plant.model import Measure

S: Final = 1_000_000_000
PUBLISH: Final = 60 * S
MODULUS: Final = 10**12
CHANGE: Final = 1_700_000_000 * S + 10 * HOUR_NS  # of shifts
FAR: Final = at.FAR
GAUGES: Final = {4: (5, 6), 9: (10,)}  # integrals by gauge, as numbered below
INTEGRALS: Final = (5, 6, 10)
MEASURES: Final = (
    Declared(0, 0, Measure("m", "meter", "kWh", modulus=MODULUS)),
    Declared(0, 0, Measure("b", "meter", "kWh", most_per_hour=7 * 10**9)),
    Declared(0, 0, Measure("a", "amount", "l")),
    Declared(0, 0, Measure("c", "characteristic", "g", histogram=True)),
    Declared(0, 0, Measure("g", "gauge", "kW", decimals=1)),
    Declared(0, 0, Measure("h", "integral", "kWh", of="g", between="hold", per_ns=HOUR_NS, gap_ns=3 * HOUR_NS)),
    Declared(0, 0, Measure("s", "integral", "kWs", 0, of="g", between="straight", per_ns=S, gap_ns=FAR)),  # type: ignore[arg-type]
    Declared(0, 0, Measure("f", "first_pass", "unit")),
    Declared(0, -1, Measure("m", "meter", "kWh")),
    Declared(0, -1, Measure("g", "gauge", "kW")),
    Declared(0, -1, Measure("i", "integral", "kWh", of="g", between="hold", per_ns=HOUR_NS, gap_ns=HOUR_NS)),
)
OBSERVED: Final = (0, 0, 1, 1, 2, 3, 4, 7, 8, 9)
TEXTS: Final = ("x", "", "y", "x")  # two numbers of one name


@kernel
def wide(a: int, b: int) -> tuple[int, int]:
    return product(a, b)


@kernel
def shared(size: int, part: int, whole: int) -> tuple[int, int]:
    return share(size, part, whole)


LARGE: Final = st.integers(0, 2**60 - 1) | st.integers(0, 2**31) | st.sampled_from((0, 1, 2**30, 2**60 - 1))
LONG: Final = st.integers(0, 2**63 - 1) | st.integers(0, HOUR_NS) | st.sampled_from((0, 1, 2**60, 2**63 - 1))


@given(LARGE, LONG)
def test_products(a: int, b: int) -> None:
    high, low = wide(a, b)
    assert 0 <= low < 1 << LIMB
    assert (high << LIMB) + low == a * b


@given(LARGE, LONG, LONG)
def test_shares(size: int, one: int, other: int) -> None:
    part, whole = min(one, other), max(one, other, 1)
    assert tuple(shared(size, part, whole)) == divmod(size * part, whole)


def observations(drawn: random.Random) -> list[list[int]]:
    """Rows of MO, in order; times only rise, and some classes stand still."""
    ts, times, rows, last = 1_700_000_000 * S, [0] * (codes.N_CLASSES + 1), list[list[int]](), dict[int, int]()
    for _ in range(drawn.randrange(1, 31)):
        number = drawn.choice(OBSERVED)
        station, kind = MEASURES[number].station, MEASURES[number].measure.kind
        step = drawn.choice((0, 1, S, 7 * S, 59 * S, HOUR_NS, 5 * HOUR_NS, 20_000 * HOUR_NS))
        ts += step
        cuts = sorted(drawn.randrange(step + 1) for _ in range(drawn.randrange(4)))
        for low, high in zip([0, *cuts], [*cuts, step], strict=True):
            here = drawn.randrange(codes.N_CLASSES + 1)
            times[here] += high - low
        least, near = 0 if kind in ("meter", "first_pass") else -MAX_SCALED, last.get(number, 0)
        likely = (
            0,
            1,
            near,
            near + 1,
            near + 10**6,
            MAX_SCALED,
            least,
            MODULUS - 1,
            near + 10**11,
            max(near - MODULUS // 2, least),
        )
        value = drawn.choice((*likely, drawn.randrange(least, MAX_SCALED)))
        last[number] = value = min(value, MAX_SCALED)
        row = [0] * at.N_MO
        row[at.MO_STATION], row[at.MO_MEASURE], row[at.MO_TS], row[at.MO_VALUE] = station, number, ts, value
        row[at.MO_EPOCH] = drawn.choice((0, 0, 0, 1))
        row[at.MO_ORDER], row[at.MO_PRODUCT] = (drawn.randrange(-1, len(TEXTS)) for _ in range(2))
        row[at.MO_CLASS] = here if station >= 0 else -1
        row[at.MO_TIMES :] = times if station >= 0 else [0] * len(times)
        rows.append(row)
    return rows


def text(number: int) -> str | None:
    return TEXTS[number] if number >= 0 else None


def shift_of(ts: int) -> int:
    """Of a value, which ends the time that it is of."""
    return 2 if ts <= CHANGE else 3


def merged(klass: int) -> int:
    return codes.STOPPED if klass in (codes.MINOR_STOP, codes.DOWN) else klass


class Plain:
    """The same, value by value."""

    def __init__(self) -> None:
        self.meters: dict[int, Meter] = {}
        self.sums: dict[Key, list[int]] = {}
        self.doubts: list[list[int]] = []
        self.rests: dict[int, Fraction] = {}

    def cut(self, number: int, amount: int) -> int:
        """What an integral comes to in its last decimal place; what is left over goes on."""
        gauge = next(k for k, made in GAUGES.items() if number in made)
        exact = amount * unit_of(MEASURES[number].measure, MEASURES[gauge].measure) + self.rests.get(number, 0)
        self.rests[number] = exact % 1
        return exact // 1

    def take(self, row: list[int]) -> None:
        number, station, ts, value = row[at.MO_MEASURE], row[at.MO_STATION], row[at.MO_TS], row[at.MO_VALUE]
        measure = MEASURES[number].measure
        if measure.kind == "first_pass":
            return
        here = merged(row[at.MO_CLASS])
        sums = self._sums(row, number, here)
        shown = 0 if measure.kind == "meter" else value
        sums[0], sums[3], sums[4] = sums[0] + 1, min(sums[3], value), max(sums[4], value)
        sums[5], sums[6] = sums[5] + shown, sums[6] + shown**2
        times = [0] * (codes.N_CLASSES + 1)
        for klass, ns in enumerate(row[at.MO_TIMES :]):
            times[merged(klass)] += ns
        now = Reading(value, row[at.MO_EPOCH], ts, times if station >= 0 else [])
        if measure.kind in ("meter", "amount"):
            self._use(row, number, now, here)
        for made in GAUGES.get(number, ()):
            self._integrate(row, made, msgspec.structs.replace(now, moved=ts), here)

    def _sums(self, row: list[int], number: int, klass: int) -> list[int]:
        end = -(-row[at.MO_TS] // PUBLISH) * PUBLISH
        key = Key(end, number, 1, shift_of(row[at.MO_TS]), text(row[at.MO_ORDER]), text(row[at.MO_PRODUCT]), klass)
        return self.sums.setdefault(key, [0, 0, 0, FAR, -FAR, 0, 0, 0, 0])

    def _use(self, row: list[int], number: int, now: Reading, here: int) -> None:
        measure, one = MEASURES[number].measure, self.meters.setdefault(number, Meter())
        if measure.kind == "amount":
            amount, since, one.base = now.value, one.base or now, now
        else:
            verdict, amount, found = one.take(now, measure.modulus, measure.most_per_hour)
            kinds = {meter.REFUTED: at.DOUBT_METER, meter.LEFT: at.DOUBT_METER_LEFT}
            if verdict in kinds:
                self.doubts.append([0, row[at.MO_STATION], kinds[verdict], at.RAISED, now.ts, number])
            if found is None:
                return
            since = found
        spent = {k: b - a for k, (a, b) in enumerate(zip(since.times, now.times, strict=True)) if b > a}
        for klass, part in divided(amount, spent, here).items():
            sums = self._sums(row, number, klass)
            sums[1], sums[2] = sums[1] + 1, sums[2] + part

    def _integrate(self, row: list[int], number: int, now: Reading, here: int) -> None:
        before = self.meters.get(number, Meter()).base
        self.meters[number] = Meter(now)
        if before is None:
            return
        if now.ts - before.ts > (MEASURES[number].measure.gap_ns or 0):
            self.doubts.append([0, row[at.MO_STATION], DOUBT_GAP, at.RAISED, now.ts, number])
            return
        for klass, exact in between(MEASURES[number].measure, before, now, here):
            sums = self._sums(row, number, klass)
            sums[1], sums[2] = sums[1] + 1, sums[2] + exact

    def saved(self) -> list[Any]:
        raw = msgspec.msgpack.decode(msgspec.msgpack.encode(sorted(self.meters.items())))
        keys = sorted(self.sums, key=in_order)
        return [raw, [[*key, [f"{n:x}" for n in self.sums[key]]] for key in keys]]


def take(totals: Totals, rows: Sequence[list[int]], span: Span | None = None) -> list[list[int]]:
    """`span`: what is said of the shift is right for a part of the observations, at first."""
    each = np.array(rows, np.int64).reshape(-1, at.N_MO)
    shifts = np.array([shift_of(row[at.MO_TS]) for row in rows], np.int64)
    return totals.take(Observed(each, lambda _: (shifts, np.full(len(rows), 1)), span), text).doubts


def made() -> Totals:
    return Totals.of(MEASURES, np.array([PUBLISH]))


@pytest.mark.parametrize("seed", range(300))
def test_every_sum(seed: int) -> None:
    drawn = random.Random(seed)  # noqa: S311 -- a log, no secret
    rows = observations(drawn)
    plain, totals, doubts = Plain(), made(), list[list[int]]()
    for row in rows:
        plain.take(row)
    done = 0
    while done < len(rows):
        size = drawn.randrange(1, len(rows) + 1)
        low = drawn.choice(rows)[at.MO_TS] - drawn.randrange(2)
        spans = (None, Span(low, CHANGE, 2, 1), Span(CHANGE, max(low, CHANGE), 3, 1), Span(CHANGE, FAR, 3, 1))
        doubts += take(totals, rows[done : done + size], drawn.choice(spans))
        done += size
        other = made()
        other.load(0, totals.save(0))
        assert other.save(0) == totals.save(0)
        totals = other
    seen = any(MEASURES[row[at.MO_MEASURE]].measure.kind != "first_pass" for row in rows)
    assert (msgspec.msgpack.decode(totals.save(0))[:2] if seen else totals.save(0)) == (plain.saved() if seen else b"")
    assert sorted(doubts) == sorted(plain.doubts)
    until = drawn.choice((0, rows[len(rows) // 2][at.MO_TS], FAR))
    check_rows(totals, plain, until)
    other = made()
    other.load(0, totals.save(0))
    check_rows(other, plain, FAR)


def check_rows(totals: Totals, plain: Plain, until: int) -> None:
    """What is written is what was summed, as columns and one by one; integrals cut, with what was left over."""
    keys = sorted((key for key in plain.sums if key.end < until), key=in_order)
    pieces = totals.rows(0, until).get("measures", [])
    assert bool(pieces) == bool(keys)
    if not keys:
        return
    sums = [plain.sums.pop(key) for key in keys]
    for key, one in zip(keys, sums, strict=True):
        if key.measure in INTEGRALS:
            one[AMOUNT] = plain.cut(key.measure, one[AMOUNT])
    found, wanted = joined(pieces), joined([Row(key, one) for key, one in zip(keys, sums, strict=True)])
    assert isinstance(found, Block)
    assert [key_of(found, k) for k in range(len(keys))] == keys
    assert (found.sums[:, R_USED] == wanted.sums[:, R_USED]).all()
    shown, expected = laid(found), laid(wanted)
    for column in range(N_X):
        assert (shown.absent[column] == expected.absent[column]).all()
        told = ~shown.absent[column]
        assert (shown.cells[column, told] == expected.cells[column, told]).all()


def laid(block: Block) -> Laid:
    """All columns of any measure."""
    n = len(MEASURES)
    return laid_out(block, np.ones((n, N_X), np.bool_), np.full(n, PUBLISH), np.empty((n, 0), np.int32))


def key_of(block: Block, row: int) -> Key:
    *about, order, product_, klass = block.sums[row, R_END : R_DURING + 1].tolist()
    return Key(*about, *(block.texts[k] if k >= 0 else None for k in (order, product_)), klass)


@given(
    st.lists(st.integers(-MAX_SCALED, MAX_SCALED), min_size=1, max_size=6),
    st.sampled_from((1, 10**5, 10**9, 10**12, 10**18)),
)
def test_sums_of_more_than_64_bits(values: list[int], times: int) -> None:
    """As rows show them: those that fit, and none that do not."""
    total, squares = times * sum(values), times * sum(value**2 for value in values)
    if squares >= 2**122:
        return
    key = Key(PUBLISH, 3, 1, 2, None, None, 4)
    block = joined([Row(key, [1, 1, total, min(values), max(values), total, squares, 0, 0])])
    shown = laid(block)
    assert shown.cells.shape == (N_X, 1) and N_SUMS == 9 and shown.cells[X_N, 0] == 1
    for column, wanted in ((X_AMOUNT, total), (X_TOTAL, total), (X_HIGH, squares // 10**18), (X_LOW, squares % 10**18)):
        assert shown.absent[column, 0] != (-(2**63) <= wanted < 2**63)
        assert shown.absent[column, 0] or shown.cells[column, 0] == wanted


@given(st.lists(st.integers(-MAX_SCALED, MAX_SCALED), min_size=2, max_size=12))
def test_integrals_lose_nothing(values: list[int]) -> None:
    """The rows of any time, and what is left over, are the exact sum."""
    totals, rows = made(), []
    for k, value in enumerate(values):
        row = [0] * at.N_MO
        row[at.MO_STATION], row[at.MO_MEASURE], row[at.MO_TS], row[at.MO_VALUE] = -1, 9, (k + 1) * 37 * S, value
        row[at.MO_ORDER] = row[at.MO_PRODUCT] = row[at.MO_CLASS] = -1
        rows.append(row)
    take(totals, rows)
    block = joined(totals.rows(0, FAR)["measures"])
    written = sum(wide_(row, R_AMOUNT) for row in block.sums.tolist() if row[R_MEASURE] == 10)
    exact = Fraction(sum(value * 37 * S for value in values[:-1]), HOUR_NS)
    assert 0 <= exact - written < 1
    assert Fraction(msgspec.msgpack.decode(totals.save(0))[2][0][1]) == exact - written


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda state: state[0].append([99, [[1, 0, 0, [], 0], None]]), "measure 99"),
        (lambda state: state[1].append([PUBLISH, -1, 1, 2, None, None, 4, ["0"] * 9]), "measure -1"),
        (lambda state: state[1].append([PUBLISH, 3, 1, 2, None, None, 4, ["f" * 40] * 9]), "more than there can be"),
        (lambda state: state[1].append([2**64 - 1, 3, 1, 2, None, None, 4, ["0"] * 9]), "64 bits"),
        (lambda state: state[1].append([PUBLISH, 3, 1, 2, None, None, 4, ["0"] * 10]), "10 sums"),
        (lambda state: state[0].append([0, [[1, 0, 0, [7], 0], None]]), "time classes"),
    ],
)
def test_a_damaged_state_is_refused(damage: Callable[[list[Any]], None], says: str) -> None:
    """No kernel sees a number that lies outside its tables."""
    state: list[Any] = [[], [], [], []]
    damage(state)
    with pytest.raises(ValueError, match=says):
        made().load(0, msgspec.msgpack.encode(state))


@pytest.mark.parametrize("rest", ["1/7", "7199999999999/7200000000000", "0", "3/2", "-1/2"])
def test_what_was_left_over_goes_on_whatever_its_parts(rest: str) -> None:
    """Of a gauge that had other decimals it is not in parts of what it is now."""
    totals = made()
    totals.load(0, msgspec.msgpack.encode([[], [], [[10, rest]], []]))
    assert msgspec.msgpack.decode(totals.save(0))[2] == [[10, rest]]
    row = [0] * at.N_MO
    row[at.MO_STATION], row[at.MO_MEASURE], row[at.MO_TS], row[at.MO_VALUE] = -1, 9, PUBLISH, 1_000
    row[at.MO_ORDER] = row[at.MO_PRODUCT] = row[at.MO_CLASS] = -1
    again = row.copy()
    again[at.MO_TS] += HOUR_NS - 1
    take(totals, [row, again])
    block = joined(totals.rows(0, FAR)["measures"])
    written = sum(wide_(row, R_AMOUNT) for row in block.sums.tolist() if row[R_MEASURE] == 10)
    exact = Fraction(1_000 * (HOUR_NS - 1), HOUR_NS) + Fraction(rest)
    assert written == exact // 1
    assert msgspec.msgpack.decode(totals.save(0))[2] == [[10, str(exact % 1)]]
