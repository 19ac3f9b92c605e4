"""First figures: the fold in process, replay from Parquet, the whole worker on a real Kafka beside a stock Faust agent.

Each figure says what is counted. Rates are events a second of wall time in one process; the machine is named, and only
ratios within one run mean something elsewhere. Usage: python -m tests.bench.main [--events N] [--worker-events N]
"""

import argparse
import asyncio
import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from kernels.fold import fold
from streams import topics
from streams.bench import inputs
from streams.broker import LocalBroker, free_port
from streams.feed import feed
from streams.fleet import Fleet
from streams.settings import Settings
from twin.events.block import EventBlock, Rejected
from twin.line import PartitionTwin
from twin.line import engine as module
from twin.plant.model import Plant
from twin.replay import replay
from twin.sources import open_logs

REPEATS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--worker-events", type=int, default=600_000)
    parser.add_argument("--stock-events", type=int, default=100_000)
    asked = parser.parse_args()
    rows: list[tuple[str, str, list[float]]] = []
    plant = inputs.plant(50, 20)
    rows.append(
        ("fold kernel", "sorted rows into state and result rows, 1,000 stations", kernel_rates(plant, asked.events))
    )
    rows.append(("line twin", "admit, order, fold, tables", twin_rates(plant, asked.events)))
    with tempfile.TemporaryDirectory() as folder:
        rows.append(
            ("replay", "events Parquet to all sets in Parquet", replay_rates(plant, asked.events, Path(folder)))
        )
    rows += asyncio.run(worker_rates(plant, asked.worker_events, asked.stock_events))
    show(rows)


def repeated(once: Callable[[], float]) -> list[float]:
    return [once() for _ in range(REPEATS)]


def kernel_rates(plant: Plant, events: int) -> list[float]:
    blocks = list(inputs.blocks(plant, events, 100_000))
    PartitionTwin(plant, 0).view()

    def once() -> float:
        spent = 0.0
        folded = 0

        def timed(m: Any, x: Any, o: Any, rows: Any, begin: int) -> int:
            nonlocal spent, folded
            start = time.perf_counter()
            end = int(fold(m, x, o, rows, begin))
            spent += time.perf_counter() - start
            folded += end - begin
            return end

        twin = PartitionTwin(plant, 0)
        module.fold = timed  # type: ignore[assignment]  # the one call to be timed
        try:
            for block in blocks:
                twin.fold(block)
        finally:
            module.fold = fold
        return folded / spent

    return repeated(once)


def twin_rates(plant: Plant, events: int) -> list[float]:
    blocks = list(inputs.blocks(plant, events, 100_000))

    def once() -> float:
        twin = PartitionTwin(plant, 0)
        start = time.perf_counter()
        for block in blocks:
            twin.fold(block)
        return events / (time.perf_counter() - start)

    return repeated(once)


class Given:
    """Blocks as `twin.sources.Logs` gives them."""

    def __init__(self, blocks: list[EventBlock]) -> None:
        self._blocks = blocks
        self.summary: Any = None

    def __iter__(self) -> Iterator[tuple[EventBlock, list[Rejected]]]:
        return iter([(block, []) for block in self._blocks])


def replay_rates(plant: Plant, events: int, folder: Path) -> list[float]:
    replay(plant, Given(list(inputs.blocks(plant, events, 100_000))), folder / "given")  # type: ignore[arg-type]
    count = iter(range(REPEATS))

    def once() -> float:
        logs = open_logs([folder / "given"], plant)
        return replay(plant, logs, folder / f"again-{next(count)}").events_per_s

    return repeated(once)


async def worker_rates(plant: Plant, events: int, stock_events: int) -> list[tuple[str, str, list[float]]]:
    """Topics are filled first; a rate is from the first folded record to the last."""
    found: list[tuple[str, str, list[float]]] = []
    with tempfile.TemporaryDirectory() as folder, LocalBroker() as broker:
        file = Path(folder) / "plant.toml"
        file.write_text(plant_text())
        for name, arrow, size in (("json", False, events), ("arrow", True, 4 * events)):
            settings = Settings(
                bootstrap=broker.bootstrap, prefix=f"bench-{name}", plant=str(file), audit=f"{folder}/{name}"
            )
            await topics.ensure(settings)
            blocks = list(inputs.blocks(plant, size, 100_000))
            await feed(Given(blocks), plant, settings=settings, arrow=arrow)
            rates = []
            for repeat in range(REPEATS):
                one = replace(
                    settings, group=f"{name}-{repeat}", audit=f"{folder}/{name}-{repeat}", health_port=free_port()
                )
                rates.append(await asyncio.to_thread(worker_rate, one, size, Path(folder)))
            found.append((f"worker, {name}", "decode, fold, results, all sets in Parquet, commits", rates))
        stock = [
            await asyncio.to_thread(stock_rate, broker.bootstrap, "bench-json.events", stock_events)
            for _ in range(REPEATS)
        ]
        found.append(("stock Faust agent, json", "decode and a dict per event", stock))
    return found


def plant_text() -> str:
    return inputs.text(50, 20)


def worker_rate(settings: Settings, events: int, logs: Path) -> float:
    first = 0.0
    with Fleet([settings], logs) as fleet:
        while True:
            fleet.check()
            seen = events_seen(settings)
            now = time.perf_counter()
            if seen and not first:
                first, before = now, seen
            if seen >= events:
                return (seen - before) / max(now - first, 1e-9)
            time.sleep(0.02)


def events_seen(settings: Settings) -> int:
    with contextlib.suppress(OSError, ValueError):
        url = f"http://127.0.0.1:{settings.health_port}/ready"
        try:
            answer = urllib.request.urlopen(url, timeout=2).read()
        except urllib.error.HTTPError as error:
            answer = error.read()
        return int(json.loads(answer).get("events", 0))
    return 0


def stock_rate(bootstrap: str, topic: str, events: int) -> float:
    script = str(Path(__file__).parent / "peers" / "programs" / "faust_agent.py")
    done = subprocess.run(  # noqa: S603  our own script
        [sys.executable, script, bootstrap, topic, str(events), "msgspec"],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith('{"events"')]
    if not lines:
        raise RuntimeError(f"the stock agent ended with {done.returncode}: {done.stdout[-500:]} {done.stderr[-2000:]}")
    told = json.loads(lines[-1])
    return float(told["events"] / told["seconds"])


def show(rows: list[tuple[str, str, list[float]]]) -> None:
    table = Table(title=f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    for name in ("what", "counted", "median events/s", "min", "max"):
        table.add_column(name, justify="left" if name in ("what", "counted") else "right")
    for what, counted, rates in rows:
        table.add_row(what, counted, *(f"{r:,.0f}" for r in (statistics.median(rates), min(rates), max(rates))))
    Console(width=120).print(table)
    figures = {what: {"median": statistics.median(rates), "rates": rates} for what, _, rates in rows}
    print(json.dumps({"numpy": np.__version__, "figures": figures}))  # noqa: T201  for programs


if __name__ == "__main__":
    main()
