"""Warm is warm: no kernel is compiled, or read from its cache, inside a fold, where every line would wait for it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]

# In a process of its own: here other tests have used every kernel.
PROGRAM = r"""
import gc, json, sys
import pyarrow as pa
from faust.types import TP
from numba.core.dispatcher import Dispatcher
from streams.bench import inputs
from streams.kafka.records import Record, Records
from streams.state.partition import PartitionState
from streams.worker.processor import Processor
from tests.support import floor, generated
from twin.line import PartitionTwin
from twin.plant import loads
from twin.wire.encode import json_records

def loaded():
    found = {}
    for one in gc.get_objects():
        if isinstance(one, Dispatcher) and one.py_func.__module__.startswith("kernels."):
            number = sum(one.stats.cache_hits.values()) + sum(one.stats.cache_misses.values())
            found[f"{one.py_func.__module__}.{one.py_func.__name__}"] = number
    return found

def of_floor():
    floor.HOURS = 3
    plant = loads(floor.plant_text(), "plant.toml")
    events = floor.events(1_767_225_600 + 864_000)
    late = [{**one, "ts": one["ts"] - 5_400_000_000_000} for one in events[::40]]
    newest = events[-1]["ts"]
    head = {"type": "cycle", "line": "wrap-2", "station": "main", "phase": "start"}
    cycles = [{**head, "ts": newest + k * 10**9, "unit": str(k), "epoch": 0} for k in range(4)]
    values = [json.dumps(one).encode() for one in (*events, *late, *cycles)] + [b"{", b"\xff\xff\xff\xff", b"[]"]
    values += [json.dumps(events[:50]).encode()]
    table = pa.table({name: [one[name] for one in cycles] for name in cycles[0]})
    # Compressed buffers are the general decoder's, whose columns are Arrow's own: nobody may write into them.
    for options in (None, pa.ipc.IpcWriteOptions(compression="lz4")):
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
            writer.write_table(table)
        values.append(sink.getvalue().to_pybytes())
    return plant, values

def of_random():
    text = generated.plant_text(4, 3).replace("lateness =", 'revise = "20min"\nlateness =')
    return loads(text, "plant.toml"), [value for _, value in generated.values(4, 3, 600)]

def of_meters():
    plant = inputs.metered(2, 3)
    blocks = inputs.blocks(plant, 20_000, 60, 4_096)
    return plant, [value for block in blocks for value in json_records(inputs.with_readings(block), plant)]

plant, values = {"floor": of_floor, "random": of_random, "meters": of_meters}[sys.argv[1]]()
records = Records.of(Record(offset, None, value, []) for offset, value in enumerate(values))

PartitionTwin(plant, 0).warm()
processor = Processor(plant, "twin.events")
processor.warm()
before = loaded()
state = PartitionState(TP("twin.events", 0), PartitionTwin(plant, 0), None, 0, 0, (0, ""), (0, ""))
last = len(records) - 1  # alone: of several the columns are joined, which is a copy
while state.next <= last:
    processor.fold(state, records[state.next : min(state.next + 2_000, max(last, state.next + 1))])
    state.twin.view(changed=True)
facts = state.twin.facts()
PartitionTwin.restore(plant, 0, state.twin.freeze().encode())
after = loaded()
late_ones = sorted(name for name, number in after.items() if number != before.get(name, 0))
print(json.dumps({"kernels": len(before), "late": late_ones, "sets": sorted({name for name, _ in state.rows})}))
"""


SETS = ["alerts", "bottlenecks", "events", "kpis", "rejected", "states"]


OF_LOGS = [
    ("floor", SETS),
    ("random", [one for one in SETS if one != "rejected"]),
    ("meters", ["alerts", "events", "kpis", "measures", "states"]),
]


@pytest.mark.parametrize(("log", "sets"), OF_LOGS)
def test_no_kernel_is_loaded_in_a_fold(log: str, sets: list[str]) -> None:
    answer = subprocess.run(  # noqa: S603  own program
        [sys.executable, "-c", PROGRAM, log], cwd=ROOT, capture_output=True, text=True, timeout=900
    )
    assert answer.returncode == 0, answer.stderr[-2000:]
    found = json.loads(answer.stdout)
    assert found["late"] == []
    assert found["kernels"] > 40
    assert found["sets"] == sets, "the log says too little"
