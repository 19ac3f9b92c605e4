"""Compiling every kernel that a worker, a replay and a proof need, and how often it had to be done."""

import gc
import logging
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from numba.core import event
from numba.core.dispatcher import Dispatcher

from kernels.cache import of_kernel, settled
from streams import clock

log = logging.getLogger(__name__)

# What a worker's log says.
COMPILING: Final = "waiting for the kernels to be compiled"
COMPILED: Final = "the kernels are compiled"

_PLANT: Final = """
site = "warm"
[[area]]
id = "a"
[[line]]
id = "line"
area = "a"
type = "flow"
lateness = "1s"
[[line.station]]
id = "s0"
ideal_cycle = "1s"
[[line.station]]
id = "s1"
ideal_cycle = "1s"
measure = [{ id = "kWh", kind = "meter", unit = "kWh" }]
[[line.buffer]]
id = "b0"
after = ["s0"]
before = ["s1"]
capacity = 10
"""
_STATE: Final = '{{"type":"state","ts":"2026-03-02T06:{:02d}:00Z","line":"line","station":"s{}","state":"running"}}\n'


@dataclass(frozen=True, slots=True)
class Warmth:
    """hits: kernels that were there; misses: kernels that were compiled now."""

    hits: int
    misses: int
    seconds: float
    folders: list[str]
    problem: str


def warm() -> Warmth:
    """Compile, or load, all kernels, by using each once on a plant and a log of a few events."""
    from streams.worker.processor import Processor
    from twin import plant as plants
    from twin.line import PartitionTwin

    begun_s = clock.monotonic_s()
    plant = plants.loads(_PLANT, "warm.toml")
    PartitionTwin(plant, 0).warm()
    Processor(plant, "").warm()
    with tempfile.TemporaryDirectory(prefix="taktwin-warm-") as folder:
        _replay_and_prove(Path(folder))
    hits, misses = counts()
    caches = settled()
    folders = sorted({str(one.folder) for one in caches if one.folder is not None})
    problem = next((one.problem for one in caches if one.problem), "")
    return Warmth(hits, misses, clock.monotonic_s() - begun_s, folders, problem)


def counts() -> tuple[int, int]:
    """(kernels that were there, kernels that were compiled) of this process so far."""
    hits = misses = 0
    for one in _kernels():
        hits += sum(one.stats.cache_hits.values())
        misses += sum(one.stats.cache_misses.values())
    return hits, misses


def copy_loaded(into: Path) -> int:
    """The files of all kernels that were loaded, under the same names; how many bytes. After `warm`.

    A fifth of what compiling leaves: code that is called from other kernels only is in theirs.
    """
    size = 0
    for one in _kernels():
        if not one.stats.cache_hits:
            continue
        found = Path(one.stats.cache_path)
        to = into / found.parent.name / found.name  # the wing's folder, and the module's in it
        to.mkdir(parents=True, exist_ok=True)
        for path in found.glob(f"{one._cache._impl.filename_base}.*"):
            size += shutil.copyfile(path, to / path.name).stat().st_size
    return size


def _kernels() -> Iterator[Any]:
    """Dispatchers: numba has no types."""
    for one in gc.get_objects():
        if isinstance(one, Dispatcher) and one.py_func.__module__.startswith("kernels."):
            yield one


def _replay_and_prove(folder: Path) -> None:
    """The commands of a person: their kernels are not all a worker's."""
    import contextlib
    import io

    from streams.cli import main

    (folder / "plant.toml").write_text(_PLANT)
    (folder / "log.jsonl").write_text("".join(_STATE.format(k, k % 2) for k in range(60)))
    root = str(folder / "audit")
    for command in (
        ["replay", "--plant", str(folder / "plant.toml"), str(folder / "log.jsonl"), "--audit", root],
        ["audit", "digest", root],
        ["audit", "verify", root],
        ["audit", "recompute", root],
    ):
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            code = main(command)
        if code:
            raise RuntimeError(f"twin {' '.join(command)} ended with {code}: {said.getvalue().strip()}")


class _First(event.Listener):
    def __init__(self) -> None:
        self.said = False

    def on_start(self, event: Any) -> None:
        function = event.data["dispatcher"].py_func
        if not self.said and function.__module__.startswith("kernels."):
            self.said = True
            wing = of_kernel(function)
            why = wing.problem or f"{wing.folder} holds none of this version for this processor"
            log.warning("%s, a minute or two: %s", COMPILING, why)

    def on_end(self, event: Any) -> None:
        pass


@contextmanager
def told() -> Iterator[None]:
    """Say once, in one line, when kernels have to be compiled in here: else a cold start looks like one that hangs."""
    begun_s, first = clock.monotonic_s(), _First()
    with event.install_listener("numba:compile", first):
        yield
    if first.said:
        log.warning("%s (%.0f s)", COMPILED, clock.monotonic_s() - begun_s)
