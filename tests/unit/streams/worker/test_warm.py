"""What is warmed before a worker takes partitions is all that a fold needs: to load a kernel takes up to a second."""

import subprocess
import sys
from pathlib import Path

HOME = Path(__file__).parents[4]
LOADED_LATER = """
import gc
from numba.core.dispatcher import Dispatcher
from streams.worker.processor import Processor
from tests.support.generated import plant_text, values
from twin.line import PartitionTwin
from twin.plant import loads
from twin.wire.decode import Decoder

def loaded():
    found = [one for one in gc.get_objects() if isinstance(one, Dispatcher)]
    return {f"{one.py_func.__module__}.{one.py_func.__name__}": len(one.signatures) for one in found}

plant = loads(plant_text(4, 3).replace("lateness =", 'revise = "20min"\\nlateness ='), "plant.toml")
PartitionTwin(plant, 0).warm()
Processor(plant, "").warm()
before = loaded()
twin, decoder = PartitionTwin(plant, 0), Decoder(plant)
log = [value for _, value in values(4, 3, 600)]
for at in range(0, len(log), 500):
    block, _ = decoder.decode(log[at : at + 500], range(at, at + len(log[at : at + 500])))
    twin.fold(block)
    twin.view()
twin.snapshot()
later = {name for name, count in loaded().items() if name.startswith("kernels.") and count != before.get(name)}
print("loaded later:", sorted(later))
"""


def test_after_warming_a_fold_loads_nothing() -> None:
    ended = subprocess.run(  # noqa: S603  own script
        [sys.executable, "-c", LOADED_LATER], cwd=HOME, capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip() == "loaded later: []"
