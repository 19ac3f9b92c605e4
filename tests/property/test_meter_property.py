"""The meter of the fold is that of the figures, where there are neither bounds nor other epochs."""

from hypothesis import given
from hypothesis import strategies as st

from twin.figures.usage import meter
from twin.measures.meter import LEFT, Meter, Reading


@given(st.lists(st.integers(0, 99), min_size=1, max_size=30), st.sampled_from((None, 100)))
def test_as_the_figures_have_it(values: list[int], modulus: int | None) -> None:
    one, steps, suspect = Meter(), list[int | None](), list[int]()
    for k, value in enumerate(values):
        verdict, step, since = one.take(Reading(value, 0, k, []), modulus, None)
        # Who goes on from the one that was held does not say what was used before.
        steps.append(None if since is None else step)
        if one.held is not None and one.held.ts == k:
            suspect.append(k)
        assert verdict != LEFT or since is not None
    expected = meter([("m", value) for value in values], modulus)
    assert steps[1:] == expected.increments
    assert suspect == expected.suspect
