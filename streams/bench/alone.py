"""What is measured in a process with memory of its own: `python -m streams.bench.alone KIND SIZE`."""

import gc
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import pyarrow as pa

from streams import clock
from streams.bench import inputs
from streams.bench.declare import BenchError
from streams.bench.in_process import Given
from twin.audit.recompute import recompute
from twin.events.block import EventBlock
from twin.line import PartitionTwin
from twin.line.untouched import spare_memory
from twin.plant.model import Plant
from twin.replay import replay
from twin.wire.decode import Decoder

_EVENTS_A_STATION: Final = 30
_SLOW_S: Final = 10  # event time between two events of a station
_AT_ONCE: Final = 16_384
_DAY_S: Final = 86_400
_YEAR_S: Final = 30  # event time between two events of the line


def measured(kind: str, size: int) -> Mapping[str, float]:
    """The figures of one kind at one size, from a process of its own. Raises BenchError."""
    done = subprocess.run(  # noqa: S603  our own command
        [sys.executable, "-P", "-m", "streams.bench.alone", kind, str(size)],
        capture_output=True,
        check=False,
        env={**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "1"},
    )
    if done.returncode:
        raise BenchError(f"{kind} {size}: {done.stderr.decode(errors='replace')[-2_000:]}")
    return dict(json.loads(done.stdout))


def _resident_mb(what: str = "VmRSS") -> float:
    """Of this process, when it has given back what it can. `VmHWM`: the most so far."""
    gc.collect()
    pa.default_memory_pool().release_unused()
    with Path("/proc/self/status").open(encoding="ascii") as status:
        return next(int(row.split()[1]) for row in status if row.startswith(what)) / 1024


def _folded(plant: Plant, blocks: Iterator[EventBlock]) -> Mapping[str, float]:
    """Of a state that folds these blocks: time of an event, memory it takes, time and size of its snapshot."""
    spare_memory()
    PartitionTwin(plant, 0).warm()
    before = _resident_mb()
    twin = PartitionTwin(plant, 0)
    events, spent_s = 0, 0.0
    for block in blocks:
        begun_s = clock.processor_s()
        twin.fold(block)
        spent_s += clock.processor_s() - begun_s
        events += len(block)
    resident = _resident_mb() - before
    begun_s = clock.processor_s()
    size = len(twin.freeze().encode())
    return {
        "event": spent_s / events * 1e6,
        "resident": max(resident, 0.0),
        "snapshot": size / 1e6,
        "checkpoint": clock.processor_s() - begun_s,
    }


def stations(size: int) -> Mapping[str, float]:
    plant = inputs.plant(max(size // 20, 1), min(size, 20))
    rate_hz = max(size // _SLOW_S, 1)
    return _folded(plant, inputs.blocks(plant, max(size * _EVENTS_A_STATION, 20_000), rate_hz, _AT_ONCE))


def distinct(what: str) -> Callable[[int], Mapping[str, float]]:
    """So many different orders, products, units or reasons of one line, each in an event or two; the last are open."""

    def texts(number: int) -> list[dict[str, object]]:
        name = f"{what}-{number:07d}"
        if what == "units":
            return [{"type": "cycle", "station": "s0", "phase": phase, "unit": name} for phase in ("start", "end")]
        if what == "reasons":
            word = "running" if number % 2 else "down"
            return [{"type": "state", "station": "s0", "state": word, "reason": name}]
        order = name if what == "orders" else f"order-{number % 2}"
        product = "p" if what == "orders" else name
        return [
            {"type": "order", "action": "start", "order": order, "product": product},
            {"type": "order", "action": "end", "order": order},
        ]

    def events(size: int, plant: Plant) -> Iterator[EventBlock]:
        decoder, values, at = Decoder(plant), list[bytes](), 0
        for number in range(size):
            for one in texts(number):
                ts = inputs.START_NS + at * 10**9
                values.append(msgspec.json.encode({**one, "line": "line-0", "ts": ts}))
                at += 1
            if len(values) >= _AT_ONCE or number + 1 == size:
                block, refused = decoder.decode(values, np.arange(at - len(values), at))
                if refused:
                    raise BenchError(f"{what}: {refused[0].detail}")
                values = []
                yield block

    def of(size: int) -> Mapping[str, float]:
        plant = inputs.quiet_plant()
        return _folded(plant, events(size, plant))

    return of


def year(size: int) -> Mapping[str, float]:
    """`size` days of one line, an event every 30 s: a replay, then a recomputation of all of it."""
    plant = inputs.plant(1, 5)
    events = size * _DAY_S // _YEAR_S

    blocks = inputs.slowed(inputs.blocks(plant, events, 1), _YEAR_S)
    folder = Path(tempfile.mkdtemp(prefix="taktwin-year-"))
    try:
        if os.fork() == 0:  # the replay's memory is not the recomputation's
            try:
                replay(plant, Given(blocks), folder / "audit")  # type: ignore[arg-type]
                (folder / "peak").write_text(str(_resident_mb("VmHWM")))
                os._exit(0)
            finally:
                os._exit(1)
        if os.wait()[1]:
            raise BenchError(f"the replay of {size} days failed")
        begun_s = clock.processor_s()
        report = recompute(folder / "audit")
        spent_s = clock.processor_s() - begun_s
        if not report.sound:
            raise BenchError(str(report.differences[0]))
        rows = sum(n for what, n in report.checked.items() if what.endswith("rows compared"))
        replayed = float((folder / "peak").read_text())
        return {"recompute": spent_s, "rows": rows, "peak": _resident_mb("VmHWM"), "replay-peak": replayed}
    finally:
        shutil.rmtree(folder)


KINDS: Final[dict[str, Callable[[int], Mapping[str, float]]]] = {
    "stations": stations,
    "year": year,
    **{what: distinct(what) for what in ("orders", "products", "units", "reasons")},
}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(KINDS[sys.argv[1]](int(sys.argv[2]))))
