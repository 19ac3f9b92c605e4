"""A line without buffers, 100,000 units in 1,000 orders an hour: of what may leave something behind, the most.

python -m tests.faults.cycles --hours 1        that hour of event time as fast as it folds: what state and memory do
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from streams.bench import inputs
from tests.faults.load import resident_mb
from twin.line import PartitionTwin
from twin.plant import loads
from twin.plant.model import Plant
from twin.sources.source import Batch
from twin.wire.decode import Decoder

UNITS_PER_H, ORDERS_PER_H = 100_000, 1_000
STATIONS = 2
SAMPLES = 24
MOST_GROWTH = 0.10
# Of state: its texts are looked through now and then, so it goes up and down.
_UNIT_NS = 3_600 * 10**9 // UNITS_PER_H
_ORDER_UNITS = UNITS_PER_H // ORDERS_PER_H
RATE_HZ = round((2 * STATIONS * UNITS_PER_H + 2 * ORDERS_PER_H) / 3_600)


def plant_text() -> str:
    return "\n".join(
        [
            'site = "soak"\n[[area]]\nid = "a"',
            '[[line]]\nid = "line-0"\narea = "a"\ntype = "flow"\nlateness = "1s"',
            'publish_every = "60s"\nwindows = ["1min/1s"]',
            *(f'[[line.station]]\nid = "s{s}"\nideal_cycle = "30ms"' for s in range(STATIONS)),
        ]
    )


def values(seconds: int) -> Iterator[tuple[int, list[bytes]]]:
    """Number of the first, and the events of each second, by time."""
    at, units = 0, 0
    for second in range(seconds):
        some: list[tuple[int, dict[str, Any]]] = []
        while units * _UNIT_NS < (second + 1) * 10**9:
            begin = units * _UNIT_NS
            if units % _ORDER_UNITS == 0:
                order = f"o-{units // _ORDER_UNITS:06d}"
                if units:
                    some.append(
                        (begin, {"type": "order", "action": "end", "order": f"o-{units // _ORDER_UNITS - 1:06d}"})
                    )
                some.append((begin, {"type": "order", "action": "start", "order": order, "quantity": _ORDER_UNITS}))
            for s in range(STATIONS):
                unit = {"type": "cycle", "station": f"s{s}", "unit": f"u-{units:08d}"}
                some.append((begin + s * _UNIT_NS // 4, {**unit, "phase": "start"}))
                some.append((begin + s * _UNIT_NS // 4 + _UNIT_NS // 2, {**unit, "phase": "end"}))
            units += 1
        some.sort(key=lambda one: one[0])
        yield at, [msgspec.json.encode({**one, "line": "line-0", "ts": inputs.START_NS + ts}) for ts, one in some]
        at += len(some)


def blocks(plant: Plant, seconds: int) -> Iterator[Batch]:
    decoder = Decoder(plant)
    for at, some in values(seconds):
        block, refused = decoder.decode(some, np.arange(at, at + len(some)))
        assert not refused, refused[0]
        yield block, []


def compressed(seconds: int) -> list[dict[str, float]]:
    """Samples of a state over so much event time: bytes of its snapshot, resident memory (MB)."""
    plant = loads(plant_text(), "soak.toml")
    twin = PartitionTwin(plant, 0)
    samples = []
    for second, (block, _) in enumerate(blocks(plant, seconds), 1):
        twin.fold(block)
        if second % max(seconds // SAMPLES, 1) == 0:
            size = len(twin.snapshot())
            samples.append({"s": second, "bytes": size, "resident_mb": resident_mb("self")})
    return samples


def grown(values_: Sequence[float]) -> float:
    """By how much the largest of the last quarter is over that of the quarter before: both in the second half."""
    quarter = max(len(values_) // 4, 1)
    return max(values_[-quarter:]) / max(max(values_[-2 * quarter : -quarter]), 1.0) - 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=1.0)
    samples = compressed(int(3_600 * parser.parse_args().hours))
    growth = {name: round(grown([one[name] for one in samples]), 3) for name in ("bytes", "resident_mb")}
    print(json.dumps({"growth": growth, "samples": samples}))  # noqa: T201  the command's output
    return 1 if max(growth.values()) > MOST_GROWTH else 0


def write_plant(folder: Path) -> Path:
    path = folder / "plant.toml"
    path.write_text(plant_text())
    return path


if __name__ == "__main__":
    sys.exit(main())
