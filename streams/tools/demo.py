"""`twin demo`: a local Kafka, two workers, two real logs, a live table, and the result beside the published figures."""

import asyncio
import contextlib
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from aiokafka.errors import KafkaError
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from streams import clock, interrupt
from streams.kafka.topics import TopicsError, admin_client, desired, ensure
from streams.local.broker import LocalBroker
from streams.settings import Settings
from streams.tools import demo_report
from streams.tools.feed import FeedSummary, feed
from streams.tools.fleet import Fleet
from streams.tools.watch import WIDE, Watcher, watching
from twin import plant as plants
from twin.plant.model import Plant
from twin.sources import open_logs

_HOME: Final = Path(__file__).resolve().parents[2]
# In a checkout; a wheel brings what the demo needs under a name of its own.
EXAMPLES: Final = _HOME / ("examples" if (_HOME / "examples" / "demo").exists() else "taktwin_examples")
PLANT: Final = EXAMPLES / "demo" / "plant.toml"
LOGS: Final = tuple(
    EXAMPLES / name for name in ("tablet-press/3.csv.gz", "tablet-press/5.csv.gz", "five-stations/events.csv.gz")
)
WORKERS: Final = 2
# Nothing here takes more than seconds, but for the kernels, which are compiled on the first run of all: as long as that
# takes does not count.
LIMIT_S: Final = 240.0
_COMPILING: Final = "waiting for the workers: their kernels are compiled, which takes a minute or two the first time"
_LOOK_S: Final = 0.25


class DemoError(RuntimeError):
    """The demo cannot run or did not come to its end: says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    bootstrap: str | None = None  # None: a local Kafka of its own
    audit: Path | None = None  # None: a new folder under ./audit
    stay: bool = False


def run(options: Options, console: Console) -> bool:
    """Run the demo and print its result; True when every batch agrees with the published figures.

    Raises DemoError, FleetError, BrokerError. Whatever ends it, all it started is stopped.
    """
    plant = plants.load(PLANT)
    settings = _settings(options)
    begun = clock.monotonic_s()
    with contextlib.ExitStack() as stack:
        work = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="taktwin-demo-", ignore_cleanup_errors=True))
        )
        if options.bootstrap is None:
            console.print("starting a local Kafka (the very first time it is downloaded, about 55 MB) ...")
            broker = stack.enter_context(LocalBroker(work / "kafka"))
            settings = replace(settings, bootstrap=broker.bootstrap)
        settings = replace(settings, state=str(work / "state"))
        interrupt.run(ensure(settings))
        if options.bootstrap is not None:
            stack.callback(lambda: asyncio.run(_remove_topics(settings, console)))
        console.print(
            f"Kafka at {settings.bootstrap}, topics {settings.prefix}.*, audit root {settings.audit}", soft_wrap=True
        )
        fleet = stack.enter_context(Fleet([settings] * WORKERS, work))
        console.print(f"{WORKERS} workers started in the group {settings.group_id}; feeding two logs")
        interrupt.run(_session(settings, plant, fleet, console))
        console.print()
        agrees = demo_report.show(console, Path(settings.audit), EXAMPLES)
        if options.stay:
            # Spelled out: the prefix of the topics is not always the default.
            console.print("everything keeps running until Ctrl-C; look at it from another terminal:")
            console.print(
                f"  TAKTWIN_PREFIX={settings.prefix} {demo_report.program()} watch --bootstrap {settings.bootstrap}",
                style="bold",
            )
            while True:
                fleet.check()
                time.sleep(_LOOK_S)
    console.print(f"done in {clock.monotonic_s() - begun:.0f} s, and everything that was started is stopped")
    return agrees


def _settings(options: Options) -> Settings:
    stamp = time.strftime("%Y%m%d-%H%M%S")
    audit = options.audit or Path("audit") / f"demo-{stamp}"
    if audit.exists() and any(audit.iterdir()):
        raise DemoError(f"{audit} is not empty, and the demo begins a new log: name a new folder with --audit")
    return Settings.from_env(
        bootstrap=options.bootstrap,
        # On somebody's Kafka nothing of theirs may be touched, and an earlier demo's events must not count again.
        prefix="twin" if options.bootstrap is None else f"twin-demo-{stamp}",
        group="",
        # The two lines hash to different partitions of five, and those go to different workers.
        partitions=5,
        plant=str(PLANT),
        audit=str(audit.absolute()),
        checkpoint_interval_s=2.0,
        health_port=0,
    )


async def _session(settings: Settings, plant: Plant, fleet: Fleet, console: Console) -> None:
    """Feed, show, and wait until all is consumed and audited."""
    progress = Progress(
        TextColumn("{task.description:<8}"), BarColumn(), TextColumn("{task.percentage:>3.0f} % {task.fields[note]}")
    )
    fed = progress.add_task("fed", total=1.0, note="")
    audited = progress.add_task("audited", total=1.0, note="")
    async with watching(settings) as watcher:
        with Live(console=console, auto_refresh=False) as live:
            feeder = asyncio.create_task(_feed(settings, plant, progress, fed))
            try:
                loop, told = asyncio.get_running_loop(), False
                async with asyncio.timeout(LIMIT_S) as limit:
                    while not (feeder.done() and await _is_audited(watcher)):
                        if feeder.done():
                            feeder.result()
                        fleet.check()
                        if fleet.compiling:
                            limit.reschedule(loop.time() + LIMIT_S)
                            if not told:
                                live.console.print(_COMPILING)
                            told = True
                        await watcher.read(_LOOK_S)
                        _show_audited(progress, audited, watcher, feeder.done())
                        live.update(Group(progress, watcher.lines.table(wide=console.width >= WIDE)), refresh=True)
                feeder.result()
            except TimeoutError:
                ends = [line for number in range(1, WORKERS + 1) for line in fleet.log_end(number, 5)]
                raise DemoError(
                    "\n".join([f"not all was audited within {LIMIT_S:.0f} s; the workers said last:", *ends])
                ) from None
            finally:
                feeder.cancel()
                await asyncio.wait([feeder])
            # The last view of a line is published a little after the commit.
            await watcher.read(4 * _LOOK_S)
            _show_audited(progress, audited, watcher, True)
            live.update(Group(progress, watcher.lines.table(wide=console.width >= WIDE)), refresh=True)


async def _is_audited(watcher: Watcher) -> bool:
    offsets = watcher.lines.offsets = await watcher.offsets()
    return all(committed == end for committed, end in offsets.values())


def _show_audited(progress: Progress, task: TaskID, watcher: Watcher, complete: bool) -> None:
    committed = sum(done for done, _ in watcher.lines.offsets.values())
    end = sum(end for _, end in watcher.lines.offsets.values())
    # Until all is fed nobody knows the end: a bar that is full and then falls back would say nothing.
    progress.update(task, completed=committed, total=max(end, 1) if complete else None, note=f"{committed:,} records")


async def _feed(settings: Settings, plant: Plant, progress: Progress, task: TaskID) -> FeedSummary:
    logs = open_logs(LOGS, plant)

    def on_block(summary: FeedSummary) -> None:
        progress.update(task, completed=logs.position, total=logs.size, note=f"{summary.events:,} events")

    return await feed(logs, plant, settings=settings, on_block=on_block)


async def _remove_topics(settings: Settings, console: Console) -> None:
    """On somebody else's Kafka the demo leaves nothing behind."""
    names = [topic.name for topic in desired(settings)]
    try:
        async with admin_client(settings) as admin:
            await admin.delete_topics(names)
    except (KafkaError, TopicsError) as error:
        console.print(f"the demo's topics could not be removed ({error}): {', '.join(names)}")
