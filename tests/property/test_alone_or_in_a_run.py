"""Nothing that is decided about a record depends on what the process has read before: no cache, no learned form.

Every record of the fuzz worlds, and damaged ones made of them, is decoded alone by a new decoder, in order, and in
another order. Live, a replay and a worker that was started again read one log in such different ways.
"""

import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.fuzz.mutate import arrow_mutated, json_mutated, mutated
from tests.fuzz.worlds import World, worlds
from tests.support.wire import PLANT, events_of
from twin.events.block import EventBlock, Rejected, pick
from twin.events.declare import WIRE
from twin.plant.model import Plant
from twin.wire.decode import Decoder
from twin.wire.encode import events_table
from twin.wire.framing import CONTINUATION

DAMAGED = Path(__file__).parents[1] / "data/arrow-negative-first-offset.bin"
OF_EACH = 150  # damaged records of a world


def every_column(world: World) -> list[bytes]:
    """Small records as a client writes them that knows but one schema: most dictionaries are empty."""
    decoder, found = Decoder(world.plant), []
    for value in world.records[:60]:
        block, _ = decoder.decode([value], [0])
        rows = events_table(pick(block, slice(0, 3)), world.plant)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, rows.schema) as writer:
            writer.write_table(rows)
        found.append(sink.getvalue().to_pybytes())
    return found


def number_changed(value: bytes, chance: random.Random) -> bytes:
    """A length, an offset or an index that is out of range."""
    at = chance.randrange(len(value) // 4) * 4
    number = chance.choice((-1, -(2**31), 2**31 - 1, 1, 8))
    return value[:at] + number.to_bytes(4, "little", signed=True) + value[at + 4 :]


def harmed(world: World, seed: int, number: int) -> list[bytes]:
    """Arrow more often than not: it is what forms are learned from."""
    chance = random.Random(seed)  # noqa: S311  repeatable
    arrow = [value for value in world.records if value.startswith(CONTINUATION)] + every_column(world)
    found = []
    for _ in range(number):
        value = chance.choice(arrow if chance.random() < 0.9 else world.records)
        if chance.random() < 0.5:
            found.append(number_changed(value, chance))
        elif chance.random() < 0.7:
            found.append(mutated(value, [value], chance))
        else:
            found.append((arrow_mutated if value in arrow else json_mutated)(value, list(WIRE), chance))
    return found


def by_record(found: tuple[EventBlock, list[Rejected]], n: int) -> list[tuple[list[Any], list[Rejected]]]:
    """What became of each record, whatever its place."""
    block, rejected = found
    told: list[tuple[list[Any], list[Rejected]]] = [([], []) for _ in range(n)]
    for event in events_of(block):
        told[int(str(event[-1]))][0].append(event[:-1])
    for one in rejected:
        told[one.offset][1].append(Rejected(one.reason, one.detail, 0, one.value, one.line, one.ts))
    return told


def same_in_every_way(plant: Plant, values: list[bytes], seed: int) -> None:
    alone = [by_record(Decoder(plant).decode([value], [0]), 1)[0] for value in values]
    knowing = Decoder(plant)
    for _ in range(2):
        assert by_record(knowing.decode(values, range(len(values))), len(values)) == alone
    order = list(range(len(values)))
    random.Random(seed).shuffle(order)  # noqa: S311  repeatable
    other = Decoder(plant)
    shuffled = [by_record(other.decode([values[k]], [0]), 1)[0] for k in order]
    assert shuffled == [alone[k] for k in order]


@pytest.mark.parametrize("world", worlds(), ids=lambda world: world.name)
def test_every_record_of_the_fuzz_worlds(world: World) -> None:
    same_in_every_way(world.plant, world.records[:400], 1)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("world", worlds(), ids=lambda world: world.name)
def test_damaged_records_among_sound_ones(world: World, seed: int) -> None:
    values = harmed(world, seed, OF_EACH) + world.records[:60] + every_column(world)
    random.Random(seed).shuffle(values)  # noqa: S311  repeatable
    same_in_every_way(world.plant, values, seed)


def test_a_text_less_dictionary_with_a_negative_offset() -> None:
    """It was taken by a reader that knew its form and refused by one that did not."""
    damaged = DAMAGED.read_bytes()
    at = damaged.index(b"\xff\xff\xff\xff\x00\x00\x00\x00\xff\xff\xff\xff")  # the offset, and then the next message
    sound = damaged[:at] + bytes(8) + damaged[at + 8 :]
    knowing = Decoder(PLANT)
    (event, other), refused = by_record(knowing.decode([sound], [0]), 1)[0]
    assert (event[2], other[2], refused) == (5, 4, [])
    same_in_every_way(PLANT, [sound, damaged, sound, damaged], 3)
    block, (one,) = knowing.decode([damaged], [0])
    assert (len(block), one.reason) == (0, "not_arrow")
