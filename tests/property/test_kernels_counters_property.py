import itertools

from hypothesis import example, given, settings
from hypothesis import strategies as st

from kernels.fold import counters
from tests import naive

UNTIMED = settings(deadline=None)  # the first call compiles
MAX = 2**63 - 1
KINDS = {
    counters.REPEAT: "repeat",
    counters.RISE: "rise",
    counters.ROLLOVER: "rollover",
    counters.RESET: "reset",
    counters.BASELINE: "baseline",
}
readings = st.integers(0, MAX) | st.integers(0, 10) | st.integers(MAX - 10, MAX)


@st.composite
def steps(draw: st.DrawFn) -> tuple[int, int, int]:
    """Two readings within a modulus, or without any."""
    modulus = draw(st.just(0) | st.integers(1, MAX) | st.integers(1, 10) | st.just(65_536))
    within = st.integers(0, modulus - 1) if modulus else readings
    return draw(within), draw(within), modulus


@UNTIMED
@given(steps())
@example((MAX, 0, 0))
@example((0, MAX, 0))
@example((MAX - 1, 0, MAX))
@example((0, MAX - 1, MAX))
@example((5, 0, 10))  # as far forward as back: still a rollover
@example((4, 0, 10))
@example((0, 0, 1))
def test_step_is_that_of_the_twin(step: tuple[int, int, int]) -> None:
    increment, kind = counters.increment(*step)
    assert (increment, KINDS[kind]) == naive.increment(*step)
    assert 0 <= increment <= MAX


@UNTIMED
@given(readings, st.integers(0, MAX))
def test_first_reading_counts_nothing(value: int, modulus: int) -> None:
    assert counters.increment(-1, value, modulus) == (0, counters.BASELINE)


@UNTIMED
@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=30), st.integers(2, 2**20), st.integers(0, 2**40))
def test_a_wrapping_counter_loses_nothing_while_steps_stay_below_half(
    made: list[int], modulus: int, first: int
) -> None:
    """Whatever a counter shows, the increments add up to what was made."""
    previous = first % modulus
    total, counted = first, 0
    for parts in (n % (modulus // 2 + 1) for n in made):
        total += parts
        step, kind = counters.increment(previous, total % modulus, modulus)
        previous = total % modulus
        counted += step
        assert kind in (counters.REPEAT, counters.RISE, counters.ROLLOVER)
    assert counted == total - first


@UNTIMED
@given(st.lists(readings, min_size=1, max_size=30), st.booleans())
def test_repeated_readings_count_once(values: list[int], twice: bool) -> None:
    """A reading that comes again changes no sum."""

    def total(sequence: list[int]) -> int:
        return sum(counters.increment(a, b, 0)[0] for a, b in itertools.pairwise(sequence))

    doubled = [value for value in values for _ in range(1 + twice)]
    assert total(doubled) == total(values)
