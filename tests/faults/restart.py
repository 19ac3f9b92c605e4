"""kill -9 of the only worker under load: how long until the first new result, and what of it is the session's.

    python -m tests.faults.restart --rate 100000

The worker is started again at once. A new result is a row of `kpis` that ends later than every row seen before. What is
ours: importing, compiling from the cache, joining, loading the snapshot, reading again what was not committed. What is
not: a dynamic member's partitions are kept for the dead one until its session ends; a static one takes them back.
So of a dynamic member's time is taken away what its session still lasts when it is ready to join, and no more: the
session began with the last heartbeat, at most one interval before the kill, so our part is rather told too long.
The exit code is 1 when our part is over 5 s in one of the runs.
"""

import argparse
import asyncio
import contextlib
import datetime
import json
import signal
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer

from streams.local.broker import LocalBroker, free_port
from streams.settings import Settings
from tests.faults import load as steady
from tests.support.streams import Worker

_WARM_S = 20.0
_LIMIT_S = 60.0
MOST_OURS_S = 5.0


class Results:
    """The newest end of a row in the topic of KPIs, and when it came."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.newest = ""

    async def follow(self) -> None:
        consumer = AIOKafkaConsumer(
            self._settings.topic("kpis"), bootstrap_servers=self._settings.bootstrap, auto_offset_reset="latest"
        )
        await consumer.start()
        try:
            async for record in consumer:
                self.newest = max(self.newest, msgspec.json.decode(record.value)["end"])
        finally:
            await consumer.stop()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=100_000, help="events a second")
    parser.add_argument("--json", action="store_true", help="JSON, one event a record; default Arrow")
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    slow = False
    for instance, session_s in (("", 6.0), ("", 10.0), ("slot-0", 30.0)):
        with tempfile.TemporaryDirectory(prefix="taktwin-restart-") as name:
            told = asyncio.run(measure(Path(name), asked.rate, instance, session_s, asked.repeats, not asked.json))
        slow |= any(run["ours_s"] > MOST_OURS_S for run in told["runs"])
        print(json.dumps(told), flush=True)  # noqa: T201  the command's output
    return 1 if slow else 0


async def measure(
    folder: Path, rate_hz: int, instance: str, session_s: float, repeats: int, arrow: bool
) -> dict[str, Any]:
    with LocalBroker(folder / "kafka") as broker:
        settings = await steady.settings_for(
            broker,
            folder,
            steady.plant_file(folder, "1s"),
            instance=instance,
            session_timeout_s=session_s,
            checkpoint_interval_s=5.0,
        )
        worker = Worker(settings, folder / "w0.log", real=True)
        results = Results(settings)
        following = asyncio.create_task(results.follow())
        seconds = int(_WARM_S + repeats * (2 * session_s + 25))
        feeding = asyncio.create_task(steady.send(settings, rate_hz, seconds, arrow=arrow))
        found = []
        try:
            await asyncio.to_thread(worker.wait_ready, settings.partitions)
            await asyncio.sleep(_WARM_S)
            for number in range(repeats):
                await asyncio.to_thread(worker.end, signal.SIGKILL)
                before, killed = results.newest, time.time()
                own = replace(settings, health_port=free_port())
                worker = Worker(own, folder / f"w{number + 1}.log", real=True)
                found.append(with_parts(await once(worker, results, before, killed), settings))
                await asyncio.sleep(session_s + 8.0)
        finally:
            following.cancel()
            feeding.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await following
            await asyncio.gather(feeding, return_exceptions=True)
            worker.process.kill()
    return {"membership": "static" if instance else "dynamic", "session_s": session_s, "rate": rate_hz, "runs": found}


def with_parts(run: dict[str, float], settings: Settings) -> dict[str, float]:
    """What the session contributes to the first new result, and what is left for us."""
    session_s = 0.0
    if not settings.instance:
        session_s = max(0.0, settings.session_timeout_s - settings.heartbeat_interval_s - run["ready_to_join_s"])
    return {**run, "session_s": round(session_s, 2), "ours_s": round(run["first_new_result_s"] - session_s, 2)}


async def once(worker: Worker, results: Results, before: str, begun: float) -> dict[str, float]:
    """Seconds from the restart: until it joins (the health page is up), has its state, gives the first new result."""
    while results.newest <= before:
        if time.time() - begun > _LIMIT_S:
            raise RuntimeError(f"no new result within {_LIMIT_S} s:\n{worker.log()}")
        await asyncio.sleep(0.01)
    first_new_s = time.time() - begun
    joins_s, state_s = (at - begun for at in stages(worker.log_file.read_text()))
    return {
        "ready_to_join_s": round(joins_s, 2),
        "joined_with_state_s": round(state_s, 2),
        "first_new_result_s": round(first_new_s, 2),
    }


def stages(text: str) -> tuple[float, float]:
    """Wall clock (s) of two lines in a worker's log: before it joins, and with the state of its partitions."""
    found = []
    for words in ("health on", ": from offset"):
        line = next(line for line in text.splitlines() if words in line)
        stamp = datetime.datetime.strptime(line[:23], "%Y-%m-%d %H:%M:%S,%f")  # noqa: DTZ007  local, as logged
        found.append(stamp.timestamp())
    return found[0], found[1]


if __name__ == "__main__":
    sys.exit(main())
