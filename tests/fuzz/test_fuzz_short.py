"""A short share of `make fuzz`, and bytes that hypothesis makes up, for which a failure is made small."""

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.main import MOST_GROWTH_BYTES, fuzz
from tests.fuzz.mutate import arrow_mutated, json_mutated, mutated
from tests.fuzz.targets import says_nothing
from tests.fuzz.worlds import World, worlds
from twin.events.declare import WIRE
from twin.line import PartitionTwin
from twin.wire.decode import Decoder
from twin.wire.framing import CONTINUATION

SEED = 20_261_129
INPUTS = 4_000


def test_a_short_share_of_the_fuzzing(tmp_path: Path) -> None:
    # So many inputs of one seed, however long they take: the same in every run.
    report = fuzz(600.0, SEED, tmp_path, INPUTS)
    assert not report.breaches, f"seed {SEED}: {report.breaches}"
    assert report.inputs == INPUTS
    assert report.found["records"]["events"] > 0
    assert 0 < report.warm_bytes < report.end_bytes + MOST_GROWTH_BYTES
    assert report.end_bytes < report.warm_bytes + MOST_GROWTH_BYTES


@pytest.mark.parametrize("world", worlds(), ids=lambda world: world.name)
def test_unharmed_records_are_events(world: World) -> None:
    """Else the fuzzing would only ever see refusals."""
    block, refused = Decoder(world.plant).decode(world.records, range(len(world.records)))
    assert len(block) > 100
    assert not refused


@settings(max_examples=200)
@given(st.integers(0, 2**32), st.lists(st.binary(max_size=40), max_size=2), st.integers(0, 4))
def test_whatever_comes_is_counted_or_refused(seed: int, made_up: list[bytes], number: int) -> None:
    world, chance = worlds()[number], random.Random(seed)  # noqa: S311  repeatable
    values = list(made_up)
    for value in chance.choices(world.records, k=3):
        change = arrow_mutated if value.startswith(CONTINUATION) else json_mutated
        values += [change(value, list(WIRE), chance), mutated(value, world.records, chance)]
    block, refused = Decoder(world.plant).decode(values, range(len(values)))
    results = PartitionTwin(world.plant, 0).fold(block)
    said_nothing = set(range(len(values))) - {*block.offset.tolist(), *(one.offset for one in refused)}
    assert all(says_nothing(values[k]) for k in said_nothing)
    assert results.events + results.duplicates + results.revising <= len(block)
