"""Logs to an audit root without a broker: the same decoder, the same twin, the same rows as live."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from copy import copy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import pyarrow as pa

from twin.audit import AuditError, bases, filelist, layout, models, read, replayed
from twin.audit.replayed import Done, Plan
from twin.audit.rows import events_with_origin, refused_with_origin, rejected_table, with_origin
from twin.audit.writer import AuditWriter
from twin.events.block import EventBlock, Rejected, pick
from twin.line import PartitionTwin
from twin.line.engine import Held
from twin.line.snapshot import Frozen
from twin.line.still_open import StillOpen
from twin.pace import Pace
from twin.plant.model import Plant
from twin.replay_report import ReplayReport
from twin.results import SETS
from twin.sources import Logs
from twin.sources.source import BLOCK_EVENTS
from twin.threads import Behind, ahead
from twin.version import code_version
from twin.wire.encode import EventRows

TOPIC: Final = "replay"
# Published this often: files as large as a worker's, and memory that does not grow with the log. The last interval is
# written with nothing beside it: of a million rows that took a ninth of the time of four million events.
INTERVAL_ROWS: Final = 524_288
INTERVAL_BYTES: Final = 256 * 1024 * 1024
# And at the end of a day of event time that has so many, with a base: what follows can be computed from there.
DAY_ROWS: Final = 65_536
_HELD_BYTES: Final = 512  # of a row of key figures that is not made yet


def replay(
    plant: Plant,
    logs: Logs,
    audit_root: Path | str,
    *,
    progress: Callable[[int], None] | None = None,
    force: bool = False,
    plan: Plan | None = None,
    share: int = 0,
    where: Sequence[str] = (),
) -> ReplayReport:
    """Compute `logs` into `audit_root`, which must be new or empty, or hold the same replay, not finished.

    `plan`: what of (default: all sets, one share); `share` is the number of that which `logs` give, and the partition
    it is written to. One that was killed is run again: its files come out as they were and are compared. A share that
    was done before is not run again; its report is that of then. `where`: how the logs are named, for people.
    `force` removes an earlier replay first, never anything else. `progress` is called with the events read so far.
    Raises AuditError and what the logs raise; what was published until then stays.
    """
    root = layout.root_path(audit_root)
    plan = plan or replayed.plan_of(plant)
    before = make_way(root, plan, share, force)
    if before is not None:
        return before
    begun = time.perf_counter()  # a duration for the report; no row depends on it
    # Reading, folding and writing side by side: Arrow and the kernels do without Python's lock most of the time.
    with _kept_memory(), ThreadPoolExecutor(1, "rows") as making, Behind() as writing:
        replaying = _Replay(plant, root, writing, making, plan, share)
        for block, rejected in ahead(logs):
            replaying.take(block, rejected)
            if progress is not None:
                progress(replaying.report.events)
        replaying.end_of_log()
    report = replaying.report
    report.doubtful, report.doubts = replaying.doubts()
    report.open = replaying.still_open()
    report.summary = logs.summary
    report.shared = logs.shared if plan.shares > 1 else None
    report.seconds = time.perf_counter() - begun
    next_offset, chain = replaying.end()
    try:
        replayed.finish(
            root, Done(replayed.FORMAT, plan.sha256, share, next_offset, chain, tuple(map(str, where)), report)
        )
    except OSError as error:
        raise _record_error(root, error) from error
    return report


@contextmanager
def _kept_memory() -> Iterator[None]:
    """Arrow's own allocator gives memory back as soon as it can; the system clears it before it gives it out again.

    In a replay each interval takes what the one before has just given up: a tenth of the time went into clearing.
    """
    before = pa.default_memory_pool()
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        yield
    finally:
        pa.set_memory_pool(before)


def policies(plant: Plant) -> str:
    return ",".join(sorted({line.policy for line in plant.lines}))


class _Replay:
    """One partition that holds all lines, and the writer behind it, which only the thread of `writing` calls."""

    def __init__(
        self, plant: Plant, root: Path, writing: Behind, making: ThreadPoolExecutor, plan: Plan, share: int
    ) -> None:
        self.report = ReplayReport()
        self._writing, self._making = writing, making
        self._plant = plant
        self._sets = frozenset(plan.sets)
        self._partition = share
        self._where = f" of partition {share}" if plan.shares > 1 else ""
        models.store(root, plant)
        self._rows = EventRows(plant)
        self._twin = PartitionTwin(plant, share)
        if "events" not in self._sets:  # with them come bases, which hold the state
            self._twin.leave_out(SETS.keys() - self._sets)
        self._writer = AuditWriter(
            root,
            share,
            topic=TOPIC,
            plant_hash=plant.hash,
            policies=policies(plant),
            code_version=code_version(),
            again=True,
            replay=plan.sha256,
        )
        self._writer.discard_foreign(None)  # of one that was killed
        self._tables: list[tuple[str, Callable[[], pa.Table]]] = []  # of this interval
        self._rows_held = self._bytes_held = 0
        self._interval_rows = INTERVAL_ROWS if "events" in self._sets else INTERVAL_ROWS // 4
        self._staged = 0  # offset up to which rows are given to the writer
        self._next = 0  # offset after the newest record
        self._day = ""  # of event time, when the last base was written
        self._refused = 0
        self._pace = Pace(BLOCK_EVENTS)

    def take(self, block: EventBlock, rejected: list[Rejected]) -> None:
        """Fold a block and keep its rows, what was refused before it first; publish when there are enough."""
        if rejected:
            # Each refused input gets a number of its own, so that an interval may end behind it.
            numbered = [replace(one, offset=self._next + i) for i, one in enumerate(rejected)]
            self._next += len(rejected)
            self._refused += len(rejected)
            if "rejected" in self._sets:
                self._add("rejected", rejected_table(numbered, TOPIC, self._partition))
        if len(block):
            block = copy(block)
            block.offset = block.offset + self._refused
            begin = 0
            while begin < len(block):
                some = pick(block, slice(begin, begin + self._pace.at_once))
                if block.rows is not None:  # of audited events: made anew, they were a fifth of a replay's time
                    some.rows = block.rows.slice(begin, len(some))
                begin += len(some)
                self._next = int(some.offset[-1]) + 1
                self._fold(some)
                self._publish_enough()
        else:
            self._publish_enough()

    def _publish_enough(self) -> None:
        now_ns = self._twin.event_time_ns
        day = bases.day_of(now_ns) if now_ns else ""
        self._day = self._day or day
        enough = self._rows_held >= self._interval_rows or self._bytes_held >= INTERVAL_BYTES
        if enough or (day > self._day and self._rows_held >= DAY_ROWS):
            self.publish()
            if day > self._day:
                self._day = day
                if "events" not in self._sets:
                    return  # nobody computes from a base without the events behind it
                self._writing.call(partial(self._write_base, self._twin.freeze(), self._next, day))

    def _fold(self, block: EventBlock) -> None:
        if "events" in self._sets:
            events = self._rows.table(block)
            self._add("events", events_with_origin(events, TOPIC, self._partition, block.offset))
        results = self._twin.fold(block)
        self._pace.gave(len(block), sum(table.num_rows for table in results.tables.values()))
        for set_name, table in results.tables.items():
            if set_name not in self._sets:
                continue
            if set_name == "rejected":
                self._add(set_name, refused_with_origin(table, TOPIC, self._partition))
            else:
                self._add(set_name, with_origin(table, TOPIC, self._partition, int(block.offset[-1])))
        self._take_held(results.held, int(block.offset[-1]))
        self.report.events += len(block)
        self.report.duplicates += results.duplicates
        self.report.late += results.late
        self.report.folded += results.events
        self.report.revising += results.revising
        if "rejected" in results.tables:
            for reason, count in Counter(results.tables["rejected"].column("reason").to_pylist()).items():
                self.report.refused[str(reason)] = self.report.refused.get(str(reason), 0) + count

    def _take_held(self, held: Sequence[Held], offset: int) -> None:
        """Rows that are made beside what follows."""
        for one in held:

            def table(one: Held = one) -> pa.Table:
                return with_origin(one.table(), TOPIC, self._partition, offset)

            self._tables.append(("kpis", self._making.submit(table).result))
            self._rows_held += one.rows
            self._bytes_held += one.rows * _HELD_BYTES

    def _add(self, set_name: str, table: pa.Table) -> None:
        self._tables.append((set_name, lambda: table))
        self._rows_held += table.num_rows
        self._bytes_held += table.nbytes

    def doubts(self) -> tuple[list[str], list[str]]:
        """Of each doubt its line, and the sentence."""
        found = self._twin.doubts_by_line(self._where)
        return [self._plant.lines[number].id for number, _ in found], [text for _, text in found]

    def still_open(self) -> list[StillOpen]:
        return self._twin.still_open()

    def end(self) -> tuple[int, str]:
        """Next offset and hash of the chain, when all is published."""
        return self._staged, self._writer.chain

    def end_of_log(self) -> None:
        self._take_held(self._twin.held(), self._next - 1)
        self.publish()

    def publish(self) -> None:
        if self._rows_held:
            self._writing.call(partial(self._write, self._tables, self._staged, self._next))
            self._tables, self._rows_held, self._bytes_held = [], 0, 0
            self._staged = self._next

    def _write_base(self, state: Frozen, offset: int, day: str) -> None:
        """Daily by event time, at the end of an interval; the end of the logs needs none."""
        self._writer.publish(self._writer.stage_base(offset, day, bases.table(state.encode())))

    def _write(self, tables: list[tuple[str, Callable[[], pa.Table]]], first: int, following: int) -> None:
        for set_name, made in tables:
            table = made()
            self.report.rows[set_name] += table.num_rows
            self._writer.add(set_name, table)
        self._writer.publish(self._writer.stage(first, following))


def make_way(root: Path, plan: Plan, share: int, force: bool) -> ReplayReport | None:
    """The report of the share if it was done before; only where there are several.

    Raises AuditError unless `root` is new or empty, holds this very replay, or (with `force`) nothing but a replay,
    which is removed.
    """
    if root.exists() and not root.is_dir():
        raise AuditError(f"{root}: is a file; name a new or empty folder for the replay")
    if force:
        _clear(root)
    try:
        if not force and replayed.read(root) is None and not _is_empty(root):
            raise AuditError(
                f"{root}: is not empty, and a replay never mixes with other rows; name a new folder, or force it"
            )
        replayed.begin(root, plan, share)
    except OSError as error:
        raise _record_error(root, error) from error
    before = next((one for one in replayed.done(root) if one.share == share), None)
    if before is not None and plan.shares == 1:
        raise AuditError(f"{root}: is not empty: it holds this replay, finished; name a new folder, or force it")
    return None if before is None else before.report


def _is_empty(root: Path) -> bool:
    """But for a plan that another share is just about to write."""
    if not root.exists():
        return True
    staging = root / layout.STAGING
    return not any(
        path.name != layout.REPLAY and (path != staging or any(staging.iterdir())) for path in root.iterdir()
    )


def _record_error(root: Path, error: OSError) -> AuditError:
    return AuditError(
        f"{error.filename or root / layout.REPLAY}: {error.strerror}; make room or give this user the right to write "
        "there, and run it again"
    )


def _clear(root: Path) -> None:
    """Remove an earlier replay, and nothing else. Raises AuditError."""
    if not root.exists():
        return
    known = {*layout.KINDS, layout.STAGING, layout.MODELS, layout.FILES, layout.REPLAY}
    strange = sorted(path.name for path in root.iterdir() if path.name not in known)
    topics = sorted({topic for listing in read.ls(root).values() for topic in listing.topics} - {TOPIC})
    if strange or topics:
        what = f"rows of topic {', '.join(topics)}" if topics else f"{strange[0]}, which is no audited set"
        raise AuditError(f"{root}: holds {what}; force removes an earlier replay only: name a new folder")
    replayed.remove(root, plan=False)
    partitions = {0}
    filelist.remove(root)
    for set_name in layout.KINDS:
        for file in layout.published(root, set_name):
            partitions.add(file.partition)
            file.path.unlink()
    for digest in models.stored(root):
        (root / layout.model_name(digest)).unlink()
    for partition in sorted(partitions):
        AuditWriter(root, partition, topic=TOPIC, plant_hash="", policies="", code_version="").discard_foreign(None)
    replayed.remove(root, plan=True)
