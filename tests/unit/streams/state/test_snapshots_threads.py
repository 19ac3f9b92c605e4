"""Partitions load at the same time, each in a thread: the first use of a decoder must not be a race."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys, tempfile, threading
from streams.state import snapshot_files as snapshots
from twin.audit import models
from twin.line import PartitionTwin
from twin.plant import loads

sys.setswitchinterval(1e-6)
text = 'site = "s"\\n[[area]]\\nid = "a"\\n[[line]]\\nid = "l"\\narea = "a"\\ntype = "flow"\\n'
text += '[[line.station]]\\nid = "m"'
plant = loads(text)
state = PartitionTwin(plant, 0).snapshot()
head = snapshots.Head("t", 1, 7, "h", "c", (snapshots.Manifest(1, 0, 7, "c"),))
data = snapshots.encode(snapshots.Snapshot(head, state))
root = tempfile.mkdtemp()
models.store(root, plant)
ready = threading.Barrier(8)

def load():
    ready.wait()
    if sys.argv[1] == "model":
        models.load(root, plant.hash)
    else:
        PartitionTwin.restore(plant, 1, snapshots.decode(data, "x").state)

threads = [threading.Thread(target=load) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""


@pytest.mark.parametrize("what", ["snapshot", "model"])
def test_many_threads_may_be_the_first_to_decode(what: str) -> None:
    """About every second of these processes ended with a segmentation fault."""
    root = Path(__file__).parents[4]
    for _ in range(5):
        command = [sys.executable, "-c", SCRIPT, what]
        ended = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)  # noqa: S603  own script
        assert (ended.returncode, ended.stderr) == (0, "")
