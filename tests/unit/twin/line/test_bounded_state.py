"""State, memory and snapshot of a line do not grow with time, whatever it sends: a leak shows after months only."""

import random

import msgspec
import pytest

from kernels import codes
from tests.random_logs import START, _event, small_plant
from tests.support.fold import Ev, S, block, heartbeat
from twin.line import PartitionTwin

EACH = 2_500
# Bounded by a number of their own: orders that ended, of which the last thousand are remembered.
BY_NUMBER = ("ended",)
KINDS = ("state", "count", "counter", "cycle", "order", "buffer", "beat", "all")


def log(kind: str, links: bool) -> list[Ev]:
    """One kind of event, or all of them, a few seconds apart, at all stations, for ever the same mixture."""
    chance = random.Random(kind)  # noqa: S311  repeatable
    events, ts = [], START
    for number in range(4 * EACH):
        ts += chance.choice((S, 2 * S, 3 * S))
        one = chance.choice(KINDS) if kind == "mixed" else kind
        one = "beat" if one == "buffer" and not links else one
        station = -1 if one in ("order", "buffer", "all") else chance.randrange(3)
        event = _event(one, chance.randrange(14), ts, station, 0)
        if event.type == codes.ORDER:
            event = event._replace(x=f"order-{number}")  # names that never come again
        events.append(event)
    return [*events, heartbeat(ts + S)]


def remembered(twin: PartitionTwin) -> dict[str, int]:
    memory = twin.engine.memory.get(0)
    fields = {} if memory is None else msgspec.structs.asdict(memory)
    sizes = {name: len(value) for name, value in fields.items() if isinstance(value, list)}
    return sizes | {"waiting": len(twin.waiting.rows())}


@pytest.mark.parametrize("kind", ["mixed", *KINDS])
@pytest.mark.parametrize(("links", "revise_ns"), [(False, None), (True, None), (False, 300 * S)])
def test_after_four_times_as_much_it_is_as_large_as_after_twice(kind: str, links: bool, revise_ns: int | None) -> None:
    twin = PartitionTwin(small_plant(links, True, False, revise_ns=revise_ns), 0)
    sizes, snapshots = [], []
    for number, part in enumerate(parts(log(kind, links))):
        twin.fold(block(part, number * EACH))
        sizes.append(remembered(twin))
        snapshots.append(len(twin.snapshot()))
    for name, size in sizes[3].items():
        assert name in BY_NUMBER or size <= 1.5 * sizes[1].get(name, 0) + 64, (name, [one.get(name) for one in sizes])
    assert snapshots[3] <= 1.5 * snapshots[1] + 4096, snapshots


def parts(events: list[Ev]) -> list[list[Ev]]:
    return [events[k : k + EACH] for k in range(0, 4 * EACH, EACH)]
