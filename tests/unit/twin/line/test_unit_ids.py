"""Ids of units that never come again leave nothing behind."""

import resource
from pathlib import Path

from tests.support.generated import START_NS, plant_text
from twin.line import PartitionTwin
from twin.plant import loads
from twin.wire.decode import Decoder

PLANT = loads(plant_text(2, 1), "plant.toml")
RECORDS, ROUNDS = 5_000, 8
# Half a kilobyte kept of each id would show.
MOST_GROWTH_BYTES = RECORDS * (ROUNDS - 2) * 512


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _cycles(first: int, *, alike: bool = False) -> list[bytes]:
    return [
        b'{"type":"cycle","ts":%d,"line":"line-1","station":"s0","phase":"%s","unit":"%s-%d","seq":%d}'
        % (START_NS + k * 1_000_000_000, (b"start", b"end")[k % 2], b"u" * 200, 0 if alike else k, k)
        for k in range(first, first + RECORDS)
    ]


def test_memory_does_not_grow_with_unit_ids() -> None:
    twin, other, decoder = PartitionTwin(PLANT, 0), PartitionTwin(PLANT, 0), Decoder(PLANT)
    sizes, folded = [], 0
    for number in range(ROUNDS):
        values = _cycles(number * RECORDS)
        block, refused = decoder.decode(values, range(len(values)))
        assert not refused
        folded += twin.fold(block).events
        sizes.append(_resident())
        other.fold(decoder.decode(_cycles(number * RECORDS, alike=True), range(RECORDS))[0])
    assert folded > (ROUNDS - 1) * RECORDS
    # Of the first two rounds kernels and caches remain.
    assert sizes[-1] - sizes[1] < MOST_GROWTH_BYTES, sizes
    # The state is that of a line whose parts all have one id.
    assert len(twin.snapshot()) < len(other.snapshot()) + 4_096
    assert len(twin.engine.texts.all) < 2 * RECORDS
