"""Seeded plans against real workers, a real Kafka and a real S3 server that throttles, loses answers, lets puts arrive
late, is slow, or is gone; and in each plan workers that are killed, or sleep for longer than their session.

    python -m tests.faults.stored [--count 20] [--first 0]

Prints a line of JSON per plan. One fails when rows, proofs or topics are not those of an undisturbed run, when a
process ended in a way that the plan does not explain, or when nothing of it happened; the exit code is 1 when one
failed.
"""

import argparse
import asyncio
import contextlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec

from streams.kafka.topics import ensure
from streams.local.broker import LocalBroker
from streams.settings import Settings
from streams.state.anchors import anchors
from streams.tools import chain
from tests.faults.inputs import Input, Inputs
from tests.faults.judge import unexplained
from tests.faults.outputs import missing_or_strange
from tests.faults.site import Crew, committed, feed
from tests.support.s3 import S3Server
from tests.support.s3_proxy import S3Proxy
from twin.audit import AuditError, fetch, layout
from twin.audit.claims import Claim
from twin.audit.digest import digest
from twin.audit.intervals import contents
from twin.audit.recompute import recompute
from twin.audit.verify import verify
from twin.results import SETS
from twin.store import StoreError, opened

KINDS: Final = ("throttled", "lost", "late", "slow", "gone")
RATE_HZ: Final = 2_000.0
EVENTS: Final = 12_000
_LATE_S: Final = 4.0  # longer than the proxy holds a put back
_FIRE_LIMIT_S: Final = 60.0
_SETTLE_LIMIT_S: Final = 180.0


class Plan(msgspec.Struct, frozen=True):
    """The store is disturbed while events `begin` to `end` are fed; a worker is hit at each of `hits` of them."""

    seed: int
    kind: str
    share: float
    begin: int
    end: int
    workers: int
    hits: tuple[tuple[int, str], ...]
    log: int
    publish_after_s: float


class Outcome(msgspec.Struct):
    seed: int
    kind: str
    problem: str = ""
    seconds: float = 0.0
    done: dict[str, int] = {}
    hits: list[str] = []
    exits: list[int] = []

    def fired(self, plan: Plan) -> bool:
        """Whether the store was disturbed, and a worker hit; by a late put: of a worker that was dead by then."""
        return self.done.get("late-of-dead" if plan.kind == "late" else plan.kind, 0) > 0 and bool(self.hits)


def draw(seed: int) -> Plan:
    chance = random.Random(f"stored {seed}")  # noqa: S311  repeatable
    begin = chance.randrange(500, EVENTS // 2)
    end = begin + chance.randrange(EVENTS // 6, EVENTS // 3)
    hits = tuple(
        (chance.randrange(begin, end + 1_000), chance.choice(("kill", "kill", "sleep")))
        for _ in range(chance.choice((1, 1, 2)))
    )
    kind = KINDS[seed % len(KINDS)]
    share = chance.choice((0.1, 0.3, 0.6))
    if kind == "late":  # of a worker that is dead by then; puts are few
        hits, share = tuple((number, "kill") for number, _ in hits), 0.9
    return Plan(
        seed, kind, share, begin, end, chance.choice((2, 2, 3)), hits,
        chance.randrange(4), (0.0, 1.5, 900.0)[seed // len(KINDS) % 3],
    )  # fmt: skip


class Site:
    """One broker, and one store behind a proxy, for all plans."""

    def __init__(self, broker: LocalBroker, server: S3Server, proxy: S3Proxy) -> None:
        self.broker, self.server, self.proxy = broker, server, proxy

    async def disturb(self, plan: Plan) -> None:
        match plan.kind:
            case "throttled":
                self.proxy.throttle = plan.share
            case "lost":
                self.proxy.lose = plan.share
            case "late":
                self.proxy.late = plan.share
            case "slow":
                self.proxy.pause_s = plan.share
            case "gone":
                await asyncio.to_thread(self.server.kill)

    async def calm(self, plan: Plan) -> None:
        self.proxy.throttle = self.proxy.lose = self.proxy.late = self.proxy.pause_s = 0.0
        if plan.kind == "gone":
            await asyncio.to_thread(self.server.kill)
            await asyncio.to_thread(self.server.start)


async def run(plan: Plan, site: Site, given: Input, folder: Path) -> Outcome:
    begun, outcome = time.monotonic(), Outcome(plan.seed, plan.kind)
    settings = Settings(
        bootstrap=site.broker.bootstrap,
        prefix=f"stored-{plan.seed}-{time.time_ns() // 1_000_000}",
        replication=1,
        plant=str(given.plant),
        audit=f"s3://test/plan-{plan.seed}",
        session_timeout_s=3.0,
        heartbeat_interval_s=0.5,
        rebalance_timeout_s=5.0,
        request_timeout_s=10.0,
        checkpoint_interval_s=0.4,
        publish_after_s=plan.publish_after_s,
        publish_bytes=1 << 20,
        poll_records=500,
        view_interval_s=1.0,
        stop_limit_s=6.0,
        storage_limit_s=15.0,
    )
    await asyncio.to_thread(folder.mkdir, parents=True)
    await ensure(settings)
    crew = Crew(settings, folder, static=False)
    try:
        await _disturbed(plan, site, given, settings, crew, outcome)
        told = await chain.read(settings)
        problems = await asyncio.to_thread(_compare, settings, given, folder / "copy", told)
        own = replace(settings, audit=str(folder / "copy"))
        problems += [await missing_or_strange(own)]
        problems += [str(one) for one in chain.strange(own, folder / "copy", told)[:3]]
        # A store that does not answer explains what a root that has gone would.
        happened = [*outcome.hits, "root-gone", *(["stop"] if "sleep" in outcome.hits else [])]
        ends = (end for slot in crew.slots for end in slot.ends)
        problems += [f"nothing in the plan explains {end}" for end in unexplained(ends, happened, static=False)]
        if not outcome.fired(plan):
            problems.append(f"nothing of the plan happened: {outcome.done}, {outcome.hits}")
        outcome.problem = "; ".join(filter(None, problems))
    except Exception as error:
        outcome.problem = f"{type(error).__name__}: {error}"
    finally:
        crew.kill()
        outcome.seconds = round(time.monotonic() - begun, 1)
        outcome.exits = [code for slot in crew.slots for code in slot.exits]
    return outcome


async def _disturbed(plan: Plan, site: Site, given: Input, settings: Settings, crew: Crew, outcome: Outcome) -> None:
    for _ in range(plan.workers):
        crew.add()
    supervising = asyncio.create_task(crew.supervise())
    doing: list[asyncio.Task[None]] = []
    disturbed = asyncio.Event()
    due = sorted([(plan.begin, "disturb"), (plan.end, "calm"), *plan.hits])
    before = dict(site.proxy.done)

    def count() -> None:
        outcome.done |= {name: n - before.get(name, 0) for name, n in site.proxy.done.items()}
        outcome.done["slow"] = outcome.done.get("requests", 0) if plan.kind == "slow" else 0

    async def until(fired: Callable[[], bool]) -> None:
        limit = time.monotonic() + _FIRE_LIMIT_S
        while not fired() and time.monotonic() < limit:
            count()
            await asyncio.sleep(0.05)

    async def happen(what: str) -> None:
        if what == "disturb":
            before.update(site.proxy.done)
            await site.disturb(plan)
            disturbed.set()
        elif what == "calm":
            # Whoever waits with its files asks the store seldom.
            await until(lambda: outcome.fired(plan))
            count()
            await site.calm(plan)
        elif plan.kind == "late":
            # Whose the put is that has not arrived yet, nobody can tell from outside: all of them die.
            await disturbed.wait()
            await until(lambda: site.proxy.held > 0)
            held = site.proxy.held
            if [slot.number for slot in crew.slots if slot.signal(signal.SIGKILL)]:
                outcome.done["late-of-dead"] = outcome.done.get("late-of-dead", 0) + held
                outcome.hits.append(what)
        elif (slot := await crew.living(plan.seed)) is not None and slot.process is not None:
            if what == "sleep":
                crew.sleep(slot, slot.process.pid, settings.session_timeout_s + 2.5)
            if slot.signal(signal.SIGSTOP if what == "sleep" else signal.SIGKILL):
                outcome.hits.append(what)

    def fed(number: int) -> None:
        while due and due[0][0] <= number:
            doing.append(asyncio.create_task(happen(due.pop(0)[1])))

    try:
        with contextlib.suppress(RuntimeError):
            await crew.whole(limit_s=30.0)
        ends = await feed(settings.bootstrap, settings.topic("events"), given.records, RATE_HZ, fed)
        fed(1 << 62)
        await asyncio.gather(*doing)
        await asyncio.sleep(_LATE_S)
        crew.calm()
        await _settled(settings, ends, supervising)
        await crew.whole()
    finally:
        supervising.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await supervising
        for task in doing:
            task.cancel()
    if not await crew.end():
        raise RuntimeError(f"no orderly end: {[slot.exits for slot in crew.slots]}")


async def _settled(settings: Settings, ends: dict[int, int], supervising: "asyncio.Task[None]") -> None:
    limit, at, there = time.monotonic() + _SETTLE_LIMIT_S, dict[int, int](), dict[int, int]()
    while time.monotonic() < limit:
        if supervising.done():
            supervising.result()
        at, there = await committed(settings), await asyncio.to_thread(_visible, settings)
        if all(at.get(number) == there.get(number, 0) == end for number, end in ends.items()):
            return
        await asyncio.sleep(0.5)
    raise RuntimeError(f"not settled in {_SETTLE_LIMIT_S} s: committed {at}, visible {there}, ends {ends}")


def _visible(settings: Settings) -> dict[int, int]:
    with tempfile.TemporaryDirectory() as name, contextlib.suppress(AuditError, StoreError):
        fetch.copy(opened(settings.audit), Path(name))
        found = contents(Path(name))
        return {number: found.of(number)[-1].next_offset for number in found.partitions}
    return {}


def _compare(settings: Settings, given: Input, copy: Path, told: dict[int, list[Claim]]) -> list[str]:
    """What is wrong with the root, which is copied for it; nothing when all is well."""
    copy.mkdir()
    store = opened(settings.audit)
    fetch.copy_state(store, copy, layout.STATE)
    named, damaged = anchors(copy / layout.STATE)
    fetch.copy(store, copy)
    fetch.copy_staged(store, copy, [file for one in named for file in one.files])
    found = digest(copy)
    problems = [
        f"{name}: {found[name].rows} rows for {given.undisturbed[name].rows}, another digest"
        for name in SETS
        if found[name] != given.undisturbed[name]
    ]
    problems += [str(one) for one in damaged]
    for report in (verify(copy, anchors=named, claims=told, every=True), recompute(copy, every=True)):
        problems += [str(one) for one in report.differences[:3]]
    return problems


async def all_of(plans: list[Plan], folder: Path) -> int:
    inputs = Inputs(folder / "inputs", events=EVENTS)
    failed: list[int] = []
    with (
        LocalBroker(folder / "kafka") as broker,
        S3Server(folder / "s3") as server,
        S3Proxy(server.port) as proxy,
    ):
        os.environ.update(server.environment | {"AWS_ENDPOINT_URL": proxy.endpoint})
        site = Site(broker, server, proxy)
        for plan in plans:
            outcome = await run(plan, site, inputs.get(plan.log), folder / f"plan-{plan.seed}")
            await site.calm(plan)
            print(msgspec.json.encode([plan, outcome]).decode(), flush=True)  # noqa: T201  the command's output
            if outcome.problem:
                failed.append(plan.seed)
            else:
                shutil.rmtree(folder / f"plan-{plan.seed}")
    print(f"{len(plans) - len(failed)} of {len(plans)} plans equal; failed seeds: {failed}")  # noqa: T201  as above
    return 1 if failed else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, help="seed of the first plan")
    parser.add_argument("--folder", type=Path, help="where to work; default a temporary folder")
    asked = parser.parse_args()
    folder = asked.folder or Path(tempfile.mkdtemp(prefix="taktwin-stored-"))
    plans = [draw(seed) for seed in range(asked.first, asked.first + asked.count)]
    return asyncio.run(all_of(plans, folder))


if __name__ == "__main__":
    sys.exit(main())
