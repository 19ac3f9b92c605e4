"""What a killed worker had sent and not committed is said otherwise where the plant has changed meanwhile."""

from dataclasses import replace
from typing import Any

import msgspec

from kernels import codes
from streams.client import _news
from streams.client.recent import Recent
from streams.client.records import parse_time
from streams.worker.publish import json_rows
from tests.property.test_plant_change_property import hashed
from tests.support.client import Sent
from tests.support.fold import Ev, S, block, one_line
from twin.line import PartitionTwin
from twin.line.change import carried
from twin.plant.model import Line, Plant, Station, Window

MIN = 60 * S
T0 = 1_700_000_000 * S // MIN * MIN
ORIGIN = {"source_topic": "twin.events", "source_partition": 0, "source_offset": 7}
Row = dict[str, Any]


def line(name: str) -> Line:
    station = Station(f"{name}1", ideal_cycle_ns=10 * S, states={"RUN": codes.RUNNING}, staleness_ns=3_600 * S)
    made = one_line([station], windows=(Window("1min", MIN, MIN),), publish_every_ns=MIN, lateness_ns=MIN)
    return replace(made.lines[0], id=name)


BOTH = hashed(Plant("works", (), ""), (line("L"), line("M")))
WITHOUT = hashed(BOTH, (line("L"),))


def event(t: int, k: int, parts: int = 0) -> Ev:
    if parts:
        return Ev(T0 + t * S, codes.COUNT, k, codes.PARTS, parts, line=k)
    return Ev(T0 + t * S, codes.STATE, k, codes.RUNNING, x="RUN", line=k)


def sent(twin: PartitionTwin, events: list[Ev]) -> list[tuple[str, bytes]]:
    """Records of line M, as its topic has them."""
    kpis = twin.fold(block(events, 5)).tables["kpis"]
    found = []
    for name, value in json_rows("kpis", kpis):
        if name == "M":
            found.append((name, msgspec.json.encode({**msgspec.json.decode(value), **ORIGIN})))
    return found


def test_the_last_rows_of_a_removed_line_do_not_pass_for_repeats() -> None:
    """The worker that is killed has heard of the line what the one that ends it at the commit never will: of one window
    both have a row."""
    twin = PartitionTwin(BOTH, 0)
    twin.fold(block([event(0, 0), event(0, 1), event(5, 1, 5), event(100, 0), event(115, 1)]))
    committed = twin.snapshot()
    late = [event(58, 1, 3), event(200, 0), event(200, 1)]  # not too late: the line's time stands at 55 s
    before, again = (sent(PartitionTwin.restore(BOTH, 0, committed), late) for _ in range(2))
    ended = sent(carried(BOTH, WITHOUT, 0, committed), [event(200, 0)])
    topic: list[Any] = [Sent(k, *one) for k, one in enumerate([*before, *again, *ended, *ended])]

    def first(rows: list[Any]) -> list[tuple[str | None, int]]:
        read = [msgspec.json.decode(one.value) for one in rows]
        mine = [row for row in read if row["window"] == "1min" and parse_time(row["end"]) == T0 + MIN]
        return [(row["station"], row["good"]) for row in mine]

    every, latest = Recent(1_000), Recent(1_000)
    assert first(_news(every, topic, "kpis", "M", False)) == [("M1", 8), (None, 8), ("M1", 5), (None, 5)]
    one_by_one = [one for record in topic for one in _news(latest, [record], "kpis", "M", True)]
    assert first(one_by_one) == [("M1", 8), (None, 8), ("M1", 5), (None, 5)]
    assert first(_news(Recent(1_000), topic, "kpis", "M", True)) == [("M1", 5), (None, 5)]
    # Repeats are none the less.
    assert len(_news(Recent(1_000), topic, "kpis", "M", False)) == len(before) + len(ended)
