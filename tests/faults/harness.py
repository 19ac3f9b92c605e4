"""Runs one plan and says whether the audit is what an undisturbed run would have made."""

import asyncio
import collections
import contextlib
import itertools
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from streams.kafka.topics import ensure
from streams.settings import Settings
from streams.state.anchors import anchors
from streams.state.snapshot_files import SnapshotStore
from streams.tools import chain
from tests.faults import anew, changed, versions
from tests.faults.inputs import Input
from tests.faults.judge import unexplained
from tests.faults.outputs import missing_or_strange
from tests.faults.plan import Fault, Plan
from tests.faults.site import Brokers, Crew, committed, feed
from twin.audit import layout
from twin.audit.digest import digest
from twin.audit.intervals import contents
from twin.audit.read import keys_of
from twin.audit.recompute import recompute
from twin.audit.verify import verify
from twin.results import SETS

RATE_HZ = 3_000.0
_SETTLE_LIMIT_S = 180.0  # a plan that hangs, not one that is slow: several may share the machine
_KEEP = 5


@dataclass
class Outcome:
    """problem: empty when all is well."""

    seed: int
    problem: str = ""
    seconds: float = 0.0
    fired: list[str] = field(default_factory=list)  # the kinds of the faults that did something
    starts: int = 0
    exits: dict[int, int] = field(default_factory=dict)
    checked_s: float = 0.0
    staged: int = 0
    snapshots: int = 0
    bases: int = 0
    rules: dict[str, int] = field(default_factory=dict)  # intervals made under each version of the rules


async def run(plan: Plan, brokers: Brokers, given: Input, folder: Path, *, rate_hz: float = RATE_HZ) -> Outcome:
    """Feed the log, let happen what the plan says, wait until all is committed, stop, compare."""
    begin = time.monotonic()
    await asyncio.to_thread(folder.mkdir, parents=True)
    settings = _settings(plan, brokers, given, folder)
    await brokers.whole()
    await ensure(settings)
    outcome = Outcome(plan.seed)
    crew = Crew(settings, folder, plan.static)
    try:
        await _disturbed(plan, brokers, given, settings, crew, outcome, rate_hz)
        ended = time.monotonic()
        versions.become(versions.of(folder))
        if anew.KIND in outcome.fired:
            problems = await asyncio.to_thread(anew.problems, settings, crew)
        else:
            if not await asyncio.to_thread(changed.seen, settings):  # all was committed before it
                outcome.fired = [what for what in outcome.fired if what != changed.KIND]
            problems = await asyncio.to_thread(_compare, settings, given, outcome, crew.fired())
            # What was sent and not committed comes again from a worker that has the other file by then.
            # Of a line that is another one now it comes under another id: its hash is part of that.
            other = changed.KIND in outcome.fired
            killed = any(end.code == -signal.SIGKILL for slot in crew.slots for end in slot.ends)
            cut_short = other and (killed or crew.said(b"the next owner replays"))
            apart, lines = frozenset({"model"} if other else ()), frozenset(changed.OTHERS if cut_short else ())
            problems.append(await missing_or_strange(settings, apart, lines))
            problems.append(await _against_topic(settings))
            if len(outcome.rules) < 2:  # of a later version that wrote nothing, nothing is seen
                outcome.fired = [what for what in outcome.fired if what != "upgrade"]
        strange = unexplained((end for slot in crew.slots for end in slot.ends), outcome.fired, static=plan.static)
        problems += [f"nothing in the plan explains {end}" for end in strange]
        if not outcome.fired:
            problems.append("nothing of the plan happened")
        outcome.problem = "; ".join(filter(None, problems))
        outcome.checked_s = time.monotonic() - ended
    except Exception as error:
        outcome.problem = outcome.problem or f"{type(error).__name__}: {error}"
    finally:
        crew.kill()
        outcome.seconds = time.monotonic() - begin
        outcome.starts = sum(len(slot.exits) for slot in crew.slots)
        outcome.exits = dict(collections.Counter(code for slot in crew.slots for code in slot.exits))
    return outcome


def _settings(plan: Plan, brokers: Brokers, given: Input, folder: Path) -> Settings:
    return Settings(
        bootstrap=brokers.kafka.bootstrap,
        prefix=f"plan-{plan.seed}-{time.time_ns() // 1_000_000}",
        replication=plan.brokers,
        plant=str(changed.own_plant(given, folder)),
        audit=str(folder / "audit"),
        session_timeout_s=plan.session_s,
        heartbeat_interval_s=0.5,
        rebalance_timeout_s=5.0,
        request_timeout_s=10.0,
        checkpoint_interval_s=0.4,
        publish_after_s=(0.0, 1.5, 900.0)[plan.seed % 3],
        publish_bytes=1 << 20,
        snapshots=_KEEP,
        poll_records=500,
        view_interval_s=1.0,
        stop_limit_s=6.0,
    )


async def _disturbed(
    plan: Plan, brokers: Brokers, given: Input, settings: Settings, crew: Crew, outcome: Outcome, rate_hz: float
) -> None:
    for who in range(plan.workers):
        crew.add([fault for fault in plan.faults if fault.inside and fault.who == who])
    outside = sorted((fault for fault in plan.faults if not fault.inside), key=lambda fault: fault.fed)
    doing: list[asyncio.Task[None]] = []
    done_to: list[str] = []
    if any(fault.lengthy for fault in plan.faults):
        rate_hz /= 3

    async def happen(fault: Fault) -> None:
        if await _do(fault, brokers, settings, crew):
            done_to.append(fault.what)

    def fed(number: int) -> None:
        while outside and outside[0].fed <= number:
            doing.append(asyncio.create_task(happen(outside.pop(0))))

    async def all_of_it() -> None:
        # Otherwise half of the log would be there before a worker is, and be folded in one go.
        with contextlib.suppress(RuntimeError):
            await crew.whole(limit_s=60.0)
        records = anew.part_of(given, plan)
        # The later version must have something to write.
        upgraded = any(fault.what == "upgrade" for fault in plan.faults)
        most = len(records) * 9 // 10 if upgraded else len(records)
        ends = await feed(settings.bootstrap, settings.topic("events"), records[:most], rate_hz, fed)
        if upgraded:
            await asyncio.gather(*doing)
            ends |= await feed(settings.bootstrap, settings.topic("events"), records[most:], rate_hz, lambda _: None)
        if sum(ends.values()) != len(records):
            raise RuntimeError(f"the feeder sent {len(records)} records, the topic holds {ends}")
        await asyncio.gather(*doing)
        await brokers.whole()
        if any(fault.what == anew.KIND for fault in plan.faults):
            await crew.whole()
            crew.doomed = True
            await anew.make_anew(settings, ends)
            done_to.append(anew.KIND)
            await anew.all_refused(crew)
            return
        crew.calm()
        await _settled(settings, ends)
        await crew.whole()

    supervising = asyncio.create_task(crew.supervise())
    feeding = asyncio.create_task(all_of_it())
    try:
        for _ in range(3):
            done, _pending = await asyncio.wait({supervising, feeding}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            supervising.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await supervising
            outcome.fired = done_to + [fault.what for fault in crew.fired()]
            if crew.doomed or await crew.end():
                return
            # A worker that did not end well may have left its last files unpublished: the next one does that.
            supervising = asyncio.create_task(crew.supervise())
            feeding = asyncio.create_task(crew.whole())
        raise RuntimeError("no orderly end in three attempts")
    finally:
        for task in (supervising, feeding, *doing):
            task.cancel()
        await asyncio.gather(supervising, feeding, *doing, return_exceptions=True)


async def _do(fault: Fault, brokers: Brokers, settings: Settings, crew: Crew) -> bool:
    """True when it did something: a fault that finds nobody is none."""
    match fault.what:
        case "leader" | "broker-kill" | "broker-stop":
            return await brokers.hurt(fault, settings.topic("events"))
        case "root-gone":
            return await crew.lose_root(fault.for_s)
        case changed.KIND:
            return await changed.change(settings, crew, kill=bool(fault.fed % 2))
        case anew.KIND:
            return False  # when all that comes before it is fed
        case "add":
            crew.add()
            return True
        case "remove":
            return crew.remove(fault.who)
        case "move":
            return await crew.visit()
        case "upgrade":
            crew.upgrade()
    slot = await crew.living(fault.who)
    if slot is None or slot.process is None:
        return False
    if fault.what == "stop":
        crew.sleep(slot, slot.process.pid, fault.for_s)
        return slot.signal(signal.SIGSTOP)
    # A new version is started after a stop, or after a crash: by turns.
    killed = fault.what == "kill" or (fault.what == "upgrade" and fault.fed % 2)
    told = slot.signal(signal.SIGKILL if killed else signal.SIGTERM)
    return await crew.until(lambda: crew.upgraded, _SETTLE_LIMIT_S) if fault.what == "upgrade" else told


async def _against_topic(settings: Settings) -> str:
    """What the workers said outside the root is what it holds, to its end; empty when all is well."""
    told = await chain.read(settings)
    root = Path(settings.audit)
    report = await asyncio.to_thread(verify, root, claims=told, every=True)
    found = [str(one) for one in (*report.differences, *chain.strange(settings, root, told))]
    found += [f"the topic does not name the end of partition {h.partition}" for h in report.heads if not h.proven_by]
    return "; ".join(found[:3])


async def _settled(settings: Settings, ends: dict[int, int]) -> None:
    """All committed and all published: a commit whose files were found damaged stands while they are made again."""
    limit = time.monotonic() + _SETTLE_LIMIT_S
    at: dict[int, int] = {}
    there: dict[int, int] = {}
    while time.monotonic() < limit:
        at = await committed(settings)
        found = await asyncio.to_thread(contents, Path(settings.audit))
        there = {number: found.of(number)[-1].next_offset for number in found.partitions}
        if all(at.get(number) == there.get(number, 0) == end for number, end in ends.items()):
            return
        await asyncio.sleep(0.2)
    raise RuntimeError(f"not settled in {_SETTLE_LIMIT_S} s: committed {at}, published {there}, ends {ends}")


def _compare(settings: Settings, given: Input, outcome: Outcome, fired: Sequence[Fault]) -> list[str]:
    """What is wrong with the files; nothing when all is well."""
    root = Path(settings.audit)
    problems = []
    found = digest(root)
    different = [name for name in SETS if found[name] != given.undisturbed[name]]
    if changed.KIND in outcome.fired:
        problems += changed.problems(settings, given)
    elif different:
        told = ", ".join(f"{n}: {found[n].rows} rows for {given.undisturbed[n].rows}" for n in different)
        problems.append(f"another digest: {told}")
    overlaps = overlapping(root)
    if overlaps:
        problems.append(f"published ranges overlap: {overlaps[:3]}")
    named, damaged = anchors(settings.state_folder)
    # A snapshot that the plan has damaged may lie there still; a newer one is what counts.
    hit = sum(fault.what in ("flip", "cut", "short") and fault.step.startswith("snapshot") for fault in fired)
    if len(damaged) > hit:
        problems.append(f"damaged snapshots: {[str(one) for one in damaged]}")
    for report in (verify(root, anchors=named, every=True), recompute(root, every=True)):
        problems += [str(one) for one in report.differences[:3]]
    store = SnapshotStore(settings.state_folder / settings.group_id)
    outcome.staged = sum(len(layout.staged(root, partition)) for partition in range(settings.partitions))
    outcome.bases = len(layout.published(root, layout.BASES))
    held = contents(root)
    outcome.rules = dict(collections.Counter(keys_of(one)["rules"] for n in held.partitions for one in held.of(n)))
    # The short plans of the tests (seed -1) may end before the first base is due.
    if not outcome.bases and outcome.seed >= 0:
        problems.append("no base was written")
    if outcome.staged:
        problems.append(f"{outcome.staged} files are left in the staging folder")
    outcome.snapshots = sum(1 for _ in store.folder.iterdir())
    # What was saved above the committed offset and never committed is passed by and collected later.
    if outcome.snapshots > settings.partitions * (2 * _KEEP + 2):
        problems.append(f"{outcome.snapshots} files in the snapshot folder")
    return problems


def overlapping(root: Path) -> list[str]:
    """Published intervals of a partition that share offsets without being the same: rows that are there twice."""
    ranges: dict[int, set[tuple[int, int]]] = collections.defaultdict(set)
    for set_name in SETS:
        for file in layout.published(root, set_name):
            ranges[file.partition].add((file.first_offset, file.next_offset))
    found = []
    for partition, mine in ranges.items():
        ordered = sorted(mine)
        for (_, end), (first, next_) in itertools.pairwise(ordered):
            if first < end:
                found.append(f"partition {partition}: [{first}, {next_}) begins before {end}")
    return found
