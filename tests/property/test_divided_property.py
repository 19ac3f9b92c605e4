"""A state that is divided among partitions goes on as if each had had its lines from the beginning."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.random_logs import ended, late, logs, small_plant
from tests.support.fold import Ev, S, block, dicts
from twin.line import PartitionTwin, Results
from twin.line.divided import UnsettledError, divided, lines_of
from twin.plant.canonical import model_hash
from twin.results import SETS


def rows(results: Iterable[Results]) -> dict[str, Counter[tuple[str, ...]]]:
    """But for the offsets: each partition has its own."""
    found = {}
    results = list(results)
    for name in SETS:
        some = (tuple(str(v) for k, v in row.items() if k != "source_offset") for row in dicts(results, name))
        found[name] = Counter(some)
    return found


@settings(deadline=None, max_examples=25)
@given(st.data())
def test_each_part_goes_on_as_the_whole_does(data: st.DataObject) -> None:
    draw = data.draw
    links, revise_ns = draw(st.booleans()), draw(st.sampled_from((None, 30 * S)))
    plant = small_plant(links, draw(st.booleans()), draw(st.booleans()), 3, revise_ns)
    plant = replace(plant, hash=model_hash(plant))
    events = ended(draw(late(draw(logs(links, cycles=True, lines=3, size=40)))))
    of = draw(st.lists(st.integers(0, 2), min_size=3, max_size=3))
    place = draw(st.integers(1, len(events)))
    whole = PartitionTwin(plant, 0)
    whole.fold(block(events[:place]))
    parts: dict[int, bytes] | None = None
    while parts is None:
        state = whole.snapshot()
        try:
            parts = divided(plant, state, of)
        except UnsettledError:
            # What is late or held is decided by what follows.
            assume(place < len(events))
            whole.fold(block(events[place : place + 1], place))
            place += 1
    assert sorted(lines_of(plant, state)) == sorted(line for data in parts.values() for line in lines_of(plant, data))
    rest = events[place:]
    twins = {k: PartitionTwin.restore(plant, k, data) for k, data in parts.items()}
    made = [twin.fold(block([e for e in rest if of[e.line] == k], 1)) for k, twin in twins.items()]
    assert rows(made) == rows([whole.fold(block(rest, place))])
    # And once more: a part is a state like any other.
    ends = {k: twin.snapshot() for k, twin in twins.items()}
    assert ends == {k: PartitionTwin.restore(plant, k, data).snapshot() for k, data in ends.items()}


def facts(twin: PartitionTwin) -> list[Any]:
    return [(one.line, one.station, one.events, one.late, one.repeats, one.gaps, one.missing) for one in twin.facts()]


def test_what_was_counted_goes_on_and_names_no_offset_of_before() -> None:
    plant = small_plant(False, False, False, 2, None)
    plant = replace(plant, hash=model_hash(plant))
    ts = 1_700_000_000 * S
    events = [Ev(ts + k * S, 0, 3 * line, 1, x="RUN", seq=k, line=line) for k in range(5) for line in (0, 1)]
    events += [events[2], events[0]._replace(seq=-1)]
    whole = PartitionTwin(plant, 0)
    whole.fold(block(events, 1_000))
    assert any("first at offset" in text for text in whole.doubts())
    parts = divided(plant, whole.snapshot(), [1, 0])
    twins = [PartitionTwin.restore(plant, k, data) for k, data in sorted(parts.items())]
    assert sorted(one for twin in twins for one in facts(twin)) == sorted(facts(whole))
    told = [text for twin in twins for text in twin.doubts()]
    assert sorted(told) == sorted(re.sub(r", first at offset \d+", "", text) for text in whole.doubts())
