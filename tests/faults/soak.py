"""A steady load for a long time, with a worker that is restarted every minute: nothing lost, nothing grows.

    python -m tests.faults.soak --minutes 30 --rate 50000       make soak
    python -m tests.faults.soak --minutes 60 --cycles           make soak CYCLES=1
    python -m tests.faults.soak --minutes 20 --rate 2000 --partitions 100 --lines 300 --kill

Two workers share the load: the first stays, so that its memory can be watched; the second gets SIGTERM and kill -9 in
turn (`--kill`: always kill -9). Prints the figures after 5 minutes and at the end, and what is wrong with them
(`judged`); the exit code says the same. At the end the audit must have the digest of a replay of the same events.
"""

import argparse
import asyncio
import json
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from streams.local.broker import LocalBroker, free_port
from streams.settings import Settings
from tests.faults import cycles
from tests.faults import load as steady
from tests.support.streams import Worker
from twin.audit import layout
from twin.audit.digest import digest
from twin.plant import load
from twin.replay import replay
from twin.results import SETS
from twin.sources.source import Batch

LEAST_OF_RATE = 0.95
MOST_DRAIN_S = 30.0
MOST_GROWTH = 0.10  # of resident memory, over the tail of the run; the allocators' own ups and downs are some 5 %
WARM_S = 300.0  # kernels are compiled, windows and caches full; of a short run its first third
SAMPLE_S = 10.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--rate", type=int, default=50_000, help="events a second")
    parser.add_argument("--restart-s", type=float, default=60.0)
    parser.add_argument(
        "--cycles", action="store_true", help="a line without buffers, 100,000 units in 1,000 orders an hour"
    )
    parser.add_argument("--partitions", type=int, default=Settings().partitions)
    parser.add_argument("--lines", type=int, default=steady.LINES, help="of the plant that is made, ten stations each")
    parser.add_argument("--kill", action="store_true", help="every restart is a kill -9")
    parser.add_argument("--json", action="store_true", help="JSON, one event a record; default Arrow")
    parser.add_argument("--folder", type=Path, help="default: a temporary one, removed when all is well")
    asked = parser.parse_args()
    folder = asked.folder or Path(tempfile.mkdtemp(prefix="taktwin-soak-"))
    folder.mkdir(parents=True, exist_ok=True)
    seconds = int(asked.minutes * 60)
    rate_hz = cycles.RATE_HZ if asked.cycles else asked.rate
    own = cycles.write_plant(folder) if asked.cycles else steady.plant_file(folder, "60s", asked.lines)
    made = cycles.blocks if asked.cycles else partial(steady.blocks, rate_hz=rate_hz)
    load_of = Load(own, made, rate_hz, seconds, asked.partitions)
    told = asyncio.run(soak(folder, load_of, Restarts(asked.restart_s, asked.kill), arrow=not asked.json))
    told["wrong"] = judged(told)
    print(json.dumps(told))  # noqa: T201  the command's output
    if not told["wrong"] and asked.folder is None:
        shutil.rmtree(folder)
    return 1 if told["wrong"] else 0


def judged(told: dict[str, Any]) -> list[str]:
    """What is not as it must be."""
    wrong = [] if told["equal"] else [f"another digest than a replay's: {told['different']}"]

    def must(holds: bool, what: str) -> None:
        if not holds:
            wrong.append(what)

    least_hz = LEAST_OF_RATE * told["asked_hz"]
    must(told["fed_hz"] >= least_hz, f"{told['fed_hz']} events/s were fed, less than {least_hz:.0f}")
    must(told["drained_s"] <= MOST_DRAIN_S, f"{told['drained_s']} s after the last event not all was committed")
    # -9: as it was asked to. Everybody else ends in order, whatever the other one is doing at that moment.
    must(
        set(told["exits"]) == {0} and set(told["restarted"]) <= {0, -9},
        f"the workers ended with {told['exits']}, those that were restarted with {sorted(set(told['restarted']))}",
    )
    samples = told["samples"]
    tail = [one for one in samples if one["s"] >= told["warm_s"]]
    must(len(tail) >= 4, f"only {len(tail)} samples after {told['warm_s']} s: make it longer")
    if len(tail) >= 4:
        growth = grown([one["stays_mb"] for one in tail])
        must(growth <= MOST_GROWTH, f"the worker that stays grew by {growth:.0%} after {told['warm_s']} s")
        # One that is restarted is as large at the end of its life as those before it were at the end of theirs.
        lives: dict[float, float] = {}
        for one in tail:
            lives[one["life"]] = max(lives.get(one["life"], 0.0), one["restarted_mb"])
        growth = grown(list(lives.values()))
        must(growth <= MOST_GROWTH, f"the largest size of a life grew by {growth:.0%} over {len(lives)} lives")
        # A snapshot does not grow with what has passed.
        sizes_of = [1_000 * one["snapshots_mb"] / one["snapshots"] for one in tail if one.get("snapshots")]
        if sizes_of:
            growth = grown(sizes_of)
            must(growth <= MOST_GROWTH, f"snapshots grew by {growth:.0%} after {told['warm_s']} s")
    end = told["files"]
    must(end["staged"] == 0, f"{end['staged']} files are left in the staging folder")
    must(end["snapshots"] <= told["most_snapshots"], f"{end['snapshots']} snapshots, over {told['most_snapshots']}")
    must(end["published"] <= told["most_published"], f"{end['published']} audit files, over {told['most_published']}")
    return wrong


def grown(sizes: Sequence[float]) -> float:
    """By how much the median of the last third is over that of the first: one sample more or less does not matter."""
    third = max(1, len(sizes) // 3)
    return statistics.median(sizes[-third:]) / max(1.0, statistics.median(sizes[:third])) - 1


@dataclass(frozen=True, slots=True)
class Load:
    """What is fed: `blocks(plant, seconds=...)` gives the events of a plant."""

    plant: Path
    blocks: Callable[..., Iterator[Batch]]
    rate_hz: int
    seconds: int
    partitions: int


@dataclass(frozen=True, slots=True)
class Restarts:
    every_s: float
    kill_only: bool


async def soak(folder: Path, of: Load, restarts: Restarts, *, arrow: bool) -> dict[str, Any]:
    def batches() -> Iterator[Batch]:
        return of.blocks(load(of.plant), seconds=of.seconds)

    rate_hz, seconds = of.rate_hz, of.seconds
    with LocalBroker(folder / "kafka", heap_mb=768) as broker:
        settings = await steady.settings_for(broker, folder, of.plant, session_timeout_s=6.0, partitions=of.partitions)
        stays = Worker(settings, folder / "stays.log", real=True)
        restarted = Restarted(settings, folder, kill_only=restarts.kill_only)
        samples: list[dict[str, float]] = []
        begun = time.monotonic()
        feeding = asyncio.create_task(steady.send_all(settings, batches(), arrow=arrow))
        watching = asyncio.create_task(watch(settings, folder, stays, restarted, samples))
        restarting = asyncio.create_task(restarted.now_and_then(restarts.every_s))
        try:
            await feeding
            fed_s = time.monotonic() - begun
            restarting.cancel()
            await steady.settled(settings, 120.0)
            drained_s = time.monotonic() - begun - fed_s
            watching.cancel()
            if restarted.worker.process.poll() is None:  # one that has just been started hears no signal yet
                await asyncio.to_thread(restarted.worker.wait_ready, None, 120.0)
            codes = [await asyncio.to_thread(worker.end) for worker in (stays, restarted.worker)]
        finally:
            for task in (feeding, watching, restarting):
                task.cancel()
            await asyncio.gather(feeding, watching, restarting, return_exceptions=True)
            for worker in (stays, restarted.worker):
                worker.process.kill()
    plant = load(Path(settings.plant))
    log: Any = steady.Log(batches)
    await asyncio.to_thread(replay, plant, log, folder / "replayed")
    expected, found = digest(folder / "replayed"), digest(folder / "audit")
    # A checkpoint gives each partition at most a file per set, and one more set of them on a new date.
    checkpoints = settings.partitions * (fed_s / settings.checkpoint_interval_s + 4 * restarted.count + 4)
    return {
        "equal": found == expected,
        "different": [name for name in SETS if found[name] != expected[name]],
        "events": found["events"].rows,
        "rows": {name: found[name].rows for name in SETS},
        "seconds": seconds,
        "asked_hz": rate_hz,
        "fed_hz": round(found["events"].rows / fed_s),
        "drained_s": round(drained_s, 1),
        "restarts": restarted.count,
        "exits": codes,
        "restarted": restarted.codes,
        "files": await asyncio.to_thread(sizes, folder / "audit", settings),
        "most_snapshots": settings.partitions * (settings.snapshots + 1),
        "most_published": int(checkpoints * len(SETS)),
        "warm_s": min(WARM_S, seconds / 3),
        "samples": samples,
    }


class Restarted:
    """The worker that goes and comes."""

    def __init__(self, settings: Settings, folder: Path, *, kill_only: bool) -> None:
        self._settings = settings
        self._log = folder / "restarted.log"
        self._kill_only = kill_only
        self.codes: list[int] = []  # exit codes, by restart
        self.worker = self._start()

    def _start(self) -> Worker:
        return Worker(replace(self._settings, health_port=free_port()), self._log, real=True)

    async def now_and_then(self, every_s: float) -> None:
        while True:
            await asyncio.sleep(every_s)
            number = signal.SIGKILL if self._kill_only or self.count % 2 else signal.SIGTERM
            self.codes.append(await asyncio.to_thread(self.worker.end, number))
            self.worker = self._start()

    @property
    def count(self) -> int:
        return len(self.codes)


async def watch(
    settings: Settings, folder: Path, stays: Worker, restarted: Restarted, samples: list[dict[str, float]]
) -> None:
    begin = time.monotonic()
    while True:
        await asyncio.sleep(SAMPLE_S)
        report = await asyncio.to_thread(stays.report)
        files = await asyncio.to_thread(sizes, folder / "audit", settings)
        lags = [one["lag"] or 0 for one in report.get("partitions", {}).values()]
        samples.append(
            {
                "s": round(time.monotonic() - begin),
                "stays_mb": round(steady.resident_mb(stays.process.pid)),
                "restarted_mb": round(steady.resident_mb(restarted.worker.process.pid)),
                "lag_records": max(lags, default=-1),
                "life": restarted.count,
                **files,
            }
        )
        print(json.dumps(samples[-1]), file=sys.stderr, flush=True)  # noqa: T201  progress
        if samples[-1]["s"] >= WARM_S > samples[-1]["s"] - SAMPLE_S:
            print(json.dumps({"after_5_min": samples[-1]}), flush=True)  # noqa: T201  the command's output


def sizes(audit: Path, settings: Settings) -> dict[str, float]:
    staging = audit / layout.STAGING
    snapshots = settings.state_folder / settings.group_id

    def held(folder: Path, pattern: str = "*") -> tuple[int, float]:
        found = []
        for path in folder.glob(pattern):
            try:
                found.append(path.stat().st_size)
            except FileNotFoundError:  # published or collected meanwhile
                continue
        return len(found), round(sum(found) / 1e6, 4)

    published = [file.path for set_name in SETS for file in layout.published(audit, set_name)]
    count, size = held(snapshots, "*.snapshot")
    return {
        "snapshots": count,
        "snapshots_mb": size,
        "staged": held(staging)[0],
        "published": len(published),
    }


if __name__ == "__main__":
    sys.exit(main())
