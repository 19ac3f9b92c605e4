"""A steady load for a long time, with a worker that is restarted every minute: nothing lost, nothing grows.

    python -m tests.faults.soak --minutes 30 --rate 50000       make soak

Two workers share the load: the first stays, so that its memory can be watched; the second gets SIGTERM and kill -9 in
turn. At the end the audit must have the digest of a replay of the same events. Prints a line per minute and a summary.
"""

import argparse
import asyncio
import json
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from streams.broker import LocalBroker, free_port
from streams.settings import Settings
from tests.faults import load as steady
from tests.support_streams import Worker
from twin.audit import layout
from twin.audit.digest import digest
from twin.plant import load
from twin.replay import replay
from twin.results import SETS


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--rate", type=int, default=50_000, help="events a second")
    parser.add_argument("--restart-s", type=float, default=60.0)
    parser.add_argument("--json", action="store_true", help="JSON, one event a record; default Arrow")
    parser.add_argument("--folder", type=Path, help="default: a temporary one, removed when all is well")
    asked = parser.parse_args()
    folder = asked.folder or Path(tempfile.mkdtemp(prefix="taktwin-soak-"))
    folder.mkdir(parents=True, exist_ok=True)
    seconds = int(asked.minutes * 60)
    told = asyncio.run(soak(folder, asked.rate, seconds, asked.restart_s, arrow=not asked.json))
    print(json.dumps(told))  # noqa: T201  the command's output
    if told["equal"] and asked.folder is None:
        shutil.rmtree(folder)
    return 0 if told["equal"] else 1


async def soak(folder: Path, rate_hz: int, seconds: int, restart_s: float, *, arrow: bool) -> dict[str, Any]:
    with LocalBroker(folder / "kafka", heap_mb=768) as broker:
        settings = await steady.settings_for(broker, folder, "60s", session_timeout_s=6.0)
        stays = Worker(settings, folder / "stays.log", real=True)
        restarted = Restarted(settings, folder)
        samples: list[dict[str, float]] = []
        feeding = asyncio.create_task(steady.send(settings, rate_hz, seconds, arrow=arrow))
        watching = asyncio.create_task(watch(settings, folder, stays, restarted, samples))
        restarting = asyncio.create_task(restarted.now_and_then(restart_s))
        try:
            await feeding
            restarting.cancel()
            await steady.settled(settings, 120.0)
            watching.cancel()
            codes = [await asyncio.to_thread(worker.end) for worker in (stays, restarted.worker)]
        finally:
            for task in (feeding, watching, restarting):
                task.cancel()
            await asyncio.gather(feeding, watching, restarting, return_exceptions=True)
            for worker in (stays, restarted.worker):
                worker.process.kill()
    plant = load(Path(settings.plant))
    log: Any = steady.Log(plant, rate_hz, seconds)
    await asyncio.to_thread(replay, plant, log, folder / "replayed")
    expected, found = digest(folder / "replayed"), digest(folder / "audit")
    return {
        "equal": found == expected,
        "different": [name for name in SETS if found[name] != expected[name]],
        "events": found["events"].rows,
        "rows": {name: found[name].rows for name in SETS},
        "seconds": seconds,
        "restarts": restarted.count,
        "exits": codes,
        "samples": thin(samples),
    }


class Restarted:
    """The worker that goes and comes."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._settings = settings
        self._log = folder / "restarted.log"
        self.count = 0
        self.worker = self._start()

    def _start(self) -> Worker:
        return Worker(replace(self._settings, health_port=free_port()), self._log, real=True)

    async def now_and_then(self, every_s: float) -> None:
        while True:
            await asyncio.sleep(every_s)
            number = signal.SIGKILL if self.count % 2 else signal.SIGTERM
            await asyncio.to_thread(self.worker.end, number)
            self.worker = self._start()
            self.count += 1


async def watch(
    settings: Settings, folder: Path, stays: Worker, restarted: Restarted, samples: list[dict[str, float]]
) -> None:
    begin = time.monotonic()
    while True:
        await asyncio.sleep(10.0)
        report = await asyncio.to_thread(stays.report)
        files = await asyncio.to_thread(sizes, folder / "audit", settings)
        lags = [one["lag"] or 0 for one in report.get("partitions", {}).values()]
        samples.append(
            {
                "s": round(time.monotonic() - begin),
                "stays_mb": round(steady.resident_mb(stays.process.pid)),
                "restarted_mb": round(steady.resident_mb(restarted.worker.process.pid)),
                "lag_records": max(lags, default=-1),
                **files,
            }
        )
        print(json.dumps(samples[-1]), file=sys.stderr, flush=True)  # noqa: T201  progress


def sizes(audit: Path, settings: Settings) -> dict[str, float]:
    staging = audit / layout.STAGING
    snapshots = settings.state_folder / settings.group_id

    def held(folder: Path) -> tuple[int, float]:
        found = []
        for path in folder.iterdir() if folder.exists() else ():
            try:
                found.append(path.stat().st_size)
            except FileNotFoundError:  # published or collected meanwhile
                continue
        return len(found), round(sum(found) / 1e6, 1)

    published = [file.path for set_name in SETS for file in layout.published(audit, set_name)]
    count, size = held(snapshots)
    return {
        "snapshots": count,
        "snapshots_mb": size,
        "staged": held(staging)[0],
        "published": len(published),
    }


def thin(samples: Sequence[dict[str, float]]) -> list[dict[str, float]]:
    """At most some thirty, the last one included."""
    step = max(1, len(samples) // 30)
    return [*samples[::step], *samples[-1:]]


if __name__ == "__main__":
    sys.exit(main())
