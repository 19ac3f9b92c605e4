"""`twin worker`: events in, results to topics and Parquet, until it is told to stop."""

import asyncio
import contextlib
import faulthandler
import gc
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa
from aiokafka import codec
from aiokafka.errors import KafkaConnectionError, KafkaError
from faust.types import TP

import twin.plant
from streams import clock, exits, umask
from streams.kafka import unpacking
from streams.kafka.access import AccessError, check_access
from streams.kafka.records import Records
from streams.kafka.topics import EVENTS
from streams.kafka.transport import Assigned, Token
from streams.kafka.unpacking import Run
from streams.settings import Settings, unknown_variables
from streams.state.checkpoint import Checkpointer, FencedError
from streams.state.fits import StateError
from streams.state.partition import PartitionState, Twin, step_over
from streams.state.patience import GivenUpError, Patience, StorageError
from streams.state.snapshot_files import SnapshotError
from streams.state.store import PartitionStore
from streams.worker import logs, runtime, warm
from streams.worker.app import TwinApp
from streams.worker.app import run as run_app
from streams.worker.health import HealthServer, schema_pages
from streams.worker.metrics import Metrics
from streams.worker.poison import Notes
from streams.worker.processor import Folded, Processor, RunKind, kind_of, records_at_once
from streams.worker.publish import Publisher, PublishError
from streams.worker.start import Places, check_folders, claim_root, hold_instance, places
from twin.audit import AuditError, models
from twin.line.untouched import spare_memory
from twin.plant.model import Plant
from twin.version import code_version

log = logging.getLogger(__name__)

_WATCH_INTERVAL_S: Final = 1.0
# Checkpoints of an interval, each of its part of the partitions.
_PARTS: Final = 4
_MOST_PAUSE_S: Final = 10.0
# Partitions named in a sentence.
_SHOWN: Final = 10
_LAST_VIEWS_LIMIT_S: Final = 1.0
_VIEW_FAILURE_PAUSE_S: Final = 60.0


def run(settings: Settings, twin_type: type[Twin] | None = None) -> int:
    """Run one worker until SIGTERM or SIGINT; returns the exit code.

    Raises PlantError and SettingsError before anything is started. Once it runs, a fault ends the process itself
    (`streams.exits`). `twin_type` stands in for `twin.line.PartitionTwin` in tests.
    """
    faulthandler.enable()  # a fault in machine code would otherwise end the process without a word
    # Until plant and kernels are there. All of it stays: to look through it again and again was a third of what reading
    # 10,000 lines took.
    gc.disable()
    umask.tighten()
    logs.configure(settings.log_level, settings.log_format)
    for name in unknown_variables():
        log.warning("%s is set but means nothing; see docs/operating.md for the settings", name)
    where = places(settings)
    plant, former = twin.plant.kept(settings.plant, models.stored(where.audit))
    for key in former:
        log.warning(
            "the default of %s is another one in this version; the plant goes on with the former one, as it began: to "
            "change that, write the key into %s",
            key,
            settings.plant,
        )
    spare_memory()
    check_folders(settings)
    lock = hold_instance(settings)
    present = claim_root(settings, where)
    if twin_type is None:
        from twin.line import PartitionTwin

        twin_type = PartitionTwin
    worker = TwinWorker(settings, plant, twin_type, where, present)
    unpacking.install(settings.poll_records)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    worker.app = TwinApp(settings, worker, loop)
    try:
        return run_app(worker.app, loop)
    finally:
        if lock is not None:
            lock.close()


class TwinWorker:
    """What the application drives: the states of this worker's partitions and all that happens to them."""

    app: TwinApp

    def __init__(
        self,
        settings: Settings,
        plant: Plant,
        twin_type: type[Twin],
        where: Places | None = None,
        present: Callable[[], None] | None = None,
    ) -> None:
        """`present`: says whether the audit root is there, see `start.claim_root`."""
        self.settings = settings
        self._where = where = where or places(settings)
        self._events = settings.topic(EVENTS)
        self._processor = Processor(plant, self._events)
        self._publisher = Publisher(settings)
        self._patience = Patience(settings.storage_limit_s, present=present)
        store = PartitionStore(
            partitioner=settings.partitioner,
            plant=plant,
            twin=twin_type,
            snapshots=where.snapshots,
            audit=where.audit,
            shared=where.shared,
            keep=settings.snapshots,
            code_version=code_version(),
            patience=self._patience,
            publish_bytes=settings.publish_bytes,
            publish_after_s=settings.publish_after_s,
            group=settings.group_id,
        )
        with warm.told():
            store.warm()
            self._processor.warm()
        # What numba and Faust have made by now lives as long as the process: looked through again and again, its some
        # million objects held up every line for half a second each time.
        gc.collect()
        gc.freeze()
        gc.enable()
        self.checkpoints = Checkpointer(store, self._publisher)
        self._metrics = Metrics([line.id for line in plant.lines], plant.hash, self.report, self._views_now)
        pages = {"/metrics": self._metrics.page, **schema_pages()}
        self._health = HealthServer(settings.health_port, self.report, settings.health_host, pages)
        self._port_left: Path | None = None
        names = ("records", "events", "rejected", "set_aside", "duplicates", "late", "views_failed")
        self.counts = dict.fromkeys(names, 0)
        self.runs = {kind.value: 0 for kind in RunKind} | {"stateless": 0}
        self._due = asyncio.Event()
        self._reseeking: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._writing: asyncio.Task[None] | None = None
        self._views: dict[str, bytes] = {}
        self._shown: dict[TP, dict[str, Any]] = {}
        self._view_failure_said_s = -_VIEW_FAILURE_PAUSE_S
        self._notes: dict[TP, tuple[PartitionState, Notes]] = {}

    @property
    def tasks(self) -> Sequence[Callable[[], Coroutine[Any, Any, None]]]:
        """What runs beside the agent."""
        return self.checkpoint_now_and_then, self.send_views

    async def start(self) -> None:
        if not codec.has_lz4():
            log.warning("the package cramjam is missing: events compressed with lz4, snappy or zstd cannot be read")
        try:
            await check_access(self.settings)
            await self._publisher.start()
        except AccessError as error:
            exits.end_now(exits.REFUSED, str(error))
        except KafkaConnectionError as error:
            exits.end_now(
                exits.NO_KAFKA,
                f"cannot start before Kafka is there: {error.args[0] if error.args else error}; nothing is lost, start "
                "it again (Docker, systemd and Kubernetes do)",
            )
        except (KafkaError, PublishError) as error:
            exits.end_now(exits.NO_KAFKA, f"cannot start: Kafka at {self.settings.bootstrap}: {error}")
        try:
            await self._health.start()
        except OSError as error:
            exits.end_now(
                exits.USAGE,
                f"TAKTWIN_HEALTH_PORT {self.settings.health_port}: {error.strerror or error}; give each worker on one "
                "machine its own, or --health-port 0 for any that is free",
            )
        self._port_left = runtime.leave_port(self._health.port) if self._health.port > 0 else None
        # Not one of `tasks`: Faust starts those after the first seek, and it may be that one which never ends.
        self._watching = asyncio.create_task(self.watch())

    async def stop(self) -> None:
        self._publish_views()  # otherwise what came in the last moments would not be shown until the next start
        self.release()  # a run or a view that still comes finds no state, so nothing to publish
        with contextlib.suppress(PublishError):  # provisional: worth a moment, not the stop
            await self._publisher.flush(_LAST_VIEWS_LIMIT_S)
        await self._health.stop()
        if self._port_left is not None:
            self._port_left.unlink(missing_ok=True)
        await self.checkpoints.tidied(_LAST_VIEWS_LIMIT_S)
        await self._publisher.stop()
        log.log(*self._taken())

    def _taken(self) -> tuple[int, str]:
        """What became of all that was read, and how loud to say it: for who ends a worker after feeding it."""
        counts = self.counts
        gone = counts["rejected"] + counts["duplicates"]
        told = (
            f"read {counts['records']:,} records, {counts['events']:,} events: {counts['rejected']:,} refused "
            f"({counts['late']:,} of them late), {counts['duplicates']:,} taken as repeats"
        )
        level = logging.WARNING if gone else logging.INFO
        return level, told + ("; `twin doctor --audit` says why and where" if gone else "")

    async def on_seek(self, assigned: Mapping[TP, Assigned], token: Token) -> Mapping[TP, int] | None:
        # Staying alive without a state would keep the partitions from everybody else.
        try:
            return await self.checkpoints.install(assigned, token, self.app.twin_consumer)
        except GivenUpError:
            return None  # the partitions went while the disk was waited for; a newer membership asks again
        except StorageError as error:
            exits.end_now(exits.STORAGE, f"loading the state: {error}")
        except (StateError, SnapshotError, AuditError) as error:
            # A disk that is full or broken is no reason for a person to decide about the state.
            of_disk = isinstance(error.__cause__, OSError)
            exits.end_now(exits.INTERNAL if of_disk else exits.STATE, str(error))
        except Exception as error:
            exits.end_now(exits.INTERNAL, f"loading the state: {error!r}", error)

    def loading(self) -> tuple[int, int]:
        """States that are loaded, of how many."""
        return self.checkpoints.loading

    def release(self) -> None:
        self.checkpoints.release()
        self._notes.clear()
        self._shown.clear()
        self._patience.give_up()

    async def on_run(self, tp: TP, run: Run) -> None:
        """Fold one run, or say why not."""
        consumer = self.app.twin_consumer
        consumer.done(run)
        state = self.checkpoints.states.get(tp)
        if state is None:  # revoked or fenced while the run was on its way; perform_seek follows
            self.runs["stateless"] += 1
            return
        kind = kind_of(run.first, run.offset, run.base, state.next)
        self.runs[kind.value] += 1
        if kind is RunKind.OLD:
            return
        if kind is RunKind.LOST:
            log.warning("%s: due %d, but records begin at %d: reading again", tp, state.next, run.first)
            self._reseek()
            return
        if kind is RunKind.HOLE and not await self._step_over_deleted(state, run.first):
            return
        for part in state.parts(run.records):
            while part and part.offsets[-1] >= state.next:
                self._fold(state, part)
                await self._hold_back()
                if self.checkpoints.states.get(tp) is not state:  # lost while waiting
                    return
            await self._compare(state)
            if self.checkpoints.states.get(tp) is not state:  # lost while comparing
                return

    async def _step_over_deleted(self, state: PartitionState, first: int) -> bool:
        """Before a run behind a hole, whose first offset is `first`: aiokafka goes on at the log's start when its
        position was deleted, and says so to nobody. False: the run is not to be folded.
        """
        try:
            start = await self.app.twin_consumer.log_start(state.tp)
        except KafkaError as error:
            log.warning("%s: where the log begins is not known (%s): reading again", state.tp, error)
            self._reseek()
            return False
        if self.checkpoints.states.get(state.tp) is not state:
            return False
        if start > state.next:
            step_over(state, min(start, first))  # what is in hand was read, though retention may have gone on since
        return True

    async def _hold_back(self) -> None:
        """Wait while the disk or the broker is slower than the fold; what they have not taken yet is in memory."""
        limit_bytes = self.settings.staging_bytes
        if self.checkpoints.ready(2 * limit_bytes):
            # Until enough rows are given over, behind what is being written: folding goes on meanwhile.
            self._writing = writing = asyncio.create_task(self.stage_ahead())
            while not writing.done() and self.checkpoints.ready_bytes >= 2 * limit_bytes:
                self.checkpoints.handed_over.clear()
                handed_over = asyncio.create_task(self.checkpoints.handed_over.wait())
                await asyncio.wait((writing, handed_over), return_when=asyncio.FIRST_COMPLETED)
                handed_over.cancel()
        elif self.checkpoints.ready(limit_bytes):
            self._due.set()
        await self._publisher.room()
        # A stream with messages in it never waits by itself; health, views and the timer want their turn.
        await asyncio.sleep(0)

    async def _compare(self, state: PartitionState) -> None:
        if state.catching_up is not None:
            try:
                await self.checkpoints.compare(state)
            except (StateError, AuditError) as error:
                exits.end_now(exits.STATE, str(error))

    def _fold(self, state: PartitionState, part: Records) -> None:
        # No await in here: a checkpoint sees the state, the rows and the records to publish of the same offset.
        notes, held = self._notes_of(state), state.bytes
        begin = part.first_at(state.next)
        for piece in notes.pieces(part[begin : begin + min(state.records_at_once, self.settings.poll_records)]):
            if piece.aside is not None:
                folded = self._processor.set_aside(state, piece.records, piece.aside)
                self.counts["set_aside"] += 1
                self._send(state, folded)
                self._metrics.folded(folded, 0.0)
            else:
                known, begun_s = len(state.rows) if notes.stuck else 0, clock.monotonic_s()
                with notes.folding(piece):
                    folded = self._processor.fold(state, piece.records)
                    self._metrics.folded(folded, clock.monotonic_s() - begun_s)
                    self._send(state, folded)
                    if notes.ahead:
                        state.make_rows()  # a fault of theirs is of this piece
                    if notes.stuck:
                        state.rehearse(known)
                state.records_at_once = records_at_once(state.records_at_once, folded)
            if folded.records < len(piece.records):  # too much for one go
                break
            if notes.ahead or piece.aside is not None:  # a note is a write to the disk: others want their turn between
                break
        self.checkpoints.grown(state.bytes - held)
        notes.folded()

    def _notes_of(self, state: PartitionState) -> Notes:
        """Read with the first run of a state, not when it is loaded: a start with nothing to fold proves nothing."""
        known = self._notes.get(state.tp)
        if known is None or known[0] is not state:
            notes = Notes(self._where.state, state.tp, state.next, self._where.objects)
            known = self._notes[state.tp] = state, notes
            if state.catching_up is not None:
                known[1].set_aside_again(state.catching_up.set_aside)
        return known[1]

    def _send(self, state: PartitionState, folded: Folded) -> None:
        self._publisher.results(folded.tables)
        self._publisher.rejected(folded.rejected, state.tp.topic, state.tp.partition)
        for name, number in (
            ("records", folded.records),
            ("events", folded.events),
            ("rejected", len(folded.rejected)),
            ("duplicates", folded.duplicates),
            ("late", folded.late),
        ):
            self.counts[name] += number

    def _reseek(self) -> None:
        if self._reseeking is None or self._reseeking.done():
            self._reseeking = asyncio.create_task(self._go_back())

    async def _go_back(self) -> None:
        try:
            await self.app.twin_consumer.reseek(
                lambda: {tp: state.next for tp, state in self.checkpoints.states.items()}
            )
        except Exception as error:
            exits.end_now(exits.INTERNAL, f"cannot seek: {error!r}", error)

    async def stage_ahead(self) -> None:
        await self._written(self.checkpoints.stage_ahead(self.app.twin_consumer))

    async def last_checkpoint(self) -> None:
        """Before an orderly end: what is folded is committed, then what waits becomes files.

        Not one after which nothing happens here for a while may have rows that only `twin audit` shows: the root may
        be read, moved or archived then. Not at a revocation: the next owner goes on with what waits.
        """
        await self.checkpoint()
        for _ in range(_PARTS):
            await self.checkpoint(_PARTS, publish=True)

    async def checkpoint(self, parts: int = 1, *, publish: bool = False) -> None:
        """Of all partitions, or of a part of them."""
        await self._written(self.checkpoints.checkpoint(self.app.twin_consumer, parts, publish=publish))
        for state, notes in self._notes.values():
            notes.passed(state.committed[0])

    async def _written(self, writing: Awaitable[Any]) -> None:
        try:
            await writing
        except FencedError as error:
            exits.end_now(exits.FENCED, str(error))
        except GivenUpError as error:
            log.warning("a checkpoint is left out, the next owner replays: %s", error)
        except StorageError as error:
            exits.end_now(exits.STORAGE, f"checkpoint: {error}")
        except StateError as error:
            exits.end_now(exits.STATE, str(error))
        except Exception as error:
            exits.end_now(exits.INTERNAL, f"checkpoint: {error}", error)

    async def checkpoint_now_and_then(self) -> None:
        calm, begun_s, took_s = 0, clock.monotonic_s(), 0.0
        while not self.app.should_stop:
            # A part of the partitions after the other: all at once held up what came meanwhile.
            parts = max(min(len(self.checkpoints.states), _PARTS), 1)
            # At least as long as the last one took is left to the fold: of 1,000 partitions all the time would go.
            next_s = begun_s + max(self.settings.checkpoint_interval_s / parts, min(took_s, _MOST_PAUSE_S))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._due.wait(), max(next_s - clock.monotonic_s(), 0))
            timely = not self._due.is_set() or clock.monotonic_s() >= next_s
            calm = 0 if self._due.is_set() else calm + 1
            at_s = clock.monotonic_s()
            if not self.app.rebalancing:
                await (self.checkpoint(parts) if timely else self.stage_ahead())
            took_s = clock.monotonic_s() - at_s if timely else took_s
            # Not before it: while it hands rows over, each run finds once more that too much waits.
            self._due.clear()
            if timely:
                begun_s = clock.monotonic_s()
            if calm >= parts:
                # After a backlog a worker would hold its memory for good. In the midst of one it would only be fetched
                # again, page by page, and every thread that takes memory waits meanwhile.
                await asyncio.to_thread(pa.default_memory_pool().release_unused)
                calm = 0

    async def send_views(self) -> None:
        """The provisional view of each line that has changed. Never audited."""
        interval_s = self.settings.view_interval_s
        while interval_s and not self.app.should_stop:
            await asyncio.sleep(interval_s)
            if not self._publisher.behind:
                self._publish_views()

    def _publish_views(self) -> None:
        for tp, state in list(self.checkpoints.states.items()):
            # Without a record nothing has changed: to find that out of its lines was two fifths of a worker of 500
            # partitions.
            if state.viewed == state.next:
                continue
            try:
                shown = state.twin.view(changed=True)
                views = [(view.line, msgspec.json.encode(view)) for view in shown]
            except Exception as error:  # provisional: a view that cannot be made must not end what is audited
                self._say_view_failed(tp, error)
                continue
            state.viewed = state.next
            self._shown.setdefault(tp, {}).update((view.line, view) for view in shown)
            for line, value in views:
                if self._views.get(line) != value:
                    self._views[line] = value
                    self._publisher.view(line, value)

    def _say_view_failed(self, tp: TP, error: Exception) -> None:
        """Once a minute: views are made several times a second."""
        self.counts["views_failed"] += 1
        now_s = clock.monotonic_s()
        if now_s - self._view_failure_said_s >= _VIEW_FAILURE_PAUSE_S:
            self._view_failure_said_s = now_s
            log.error("%s: no view can be made, the audit goes on: %r; report this fault", tp, error, exc_info=error)

    def _views_now(self) -> list[Any]:
        """For /metrics: of every line, as it was shown last. Made anew, those of 10,000 lines would take a second."""
        states = self.checkpoints.states
        if not self.settings.view_interval_s:
            return [view for state in states.values() for view in state.twin.view()]
        return [view for tp in states for view in self._shown.get(tp, {}).values()]

    async def watch(self) -> None:
        """End a worker that holds partitions without a state: Faust may lose a rebalance without a word.

        Not one that is loading them, however many they are: each that is loaded begins the time anew.
        """
        limit_s = 2 * self.settings.request_timeout_s
        since_s: float | None = None
        loading = self.checkpoints.loading
        while not self.app.should_stop:
            await asyncio.sleep(_WATCH_INTERVAL_S)
            self._metrics.delays.sample(self.report()[1]["partitions"])
            try:
                idle = self.app.consumer.assignment() - set(self.checkpoints.states)
            except Exception:  # before the consumer runs, or while it changes hands
                idle = set()
            moved, loading = loading != self.checkpoints.loading, self.checkpoints.loading
            if not idle:
                since_s = None
            elif since_s is None or moved:
                since_s = clock.monotonic_s()
            elif clock.monotonic_s() - since_s > limit_s:
                exits.end_now(exits.WATCHDOG, self._stuck(sorted(tp.partition for tp in idle), limit_s))

    def _stuck(self, idle: Sequence[int], limit_s: float) -> str:
        loaded, of = self.checkpoints.loading
        waiting = self._patience.waiting
        if waiting is not None:
            cause = f"the disk has taken nothing for {waiting[0]:.0f} s: {waiting[1]}"
        elif loaded < of:
            cause = f"{loaded} of {of} states are loaded, the next one takes too long: is the disk of them slow?"
        else:
            cause = "the group gave them and nobody asked for their states: does Kafka answer?"
        shown = ", ".join(map(str, idle[:_SHOWN])) + (f" and {len(idle) - _SHOWN} more" if len(idle) > _SHOWN else "")
        return f"no state for partition {shown}, and no progress for {limit_s:g} s: {cause}"

    def report(self) -> tuple[bool, dict[str, Any]]:
        """(ready, body) of /ready."""
        states = self.checkpoints.states
        try:
            consumer = self.app.twin_consumer
            assigned = consumer.assignment()
            ends = {tp: consumer.highwater(tp) for tp in states}
            member = consumer.token()[0] >= 0
        except Exception:  # before the consumer runs, or while it changes hands: not ready, and no reason to fail
            assigned, ends, member = set(), {}, False
        waiting = self._patience.waiting
        ready = member and not self.app.rebalancing and assigned <= set(states) and waiting is None
        partitions = {
            str(tp.partition): {
                "next": state.next,
                "committed": state.committed[0],
                "deleted_by_retention": state.deleted,
                "snapshot_bytes": state.snapshot_bytes,
                "lag": max(ends[tp] - state.next, 0) if ends.get(tp) is not None else None,
            }
            for tp, state in sorted(states.items(), key=lambda item: item[0].partition)
        }
        commits = {outcome.value: number for outcome, number in self.checkpoints.commits.items()}
        return ready, {
            "topic": self._events,
            "partitions": partitions,
            "commits": commits,
            "runs": self.runs,
            "storage": None if waiting is None else {"waiting_s": round(waiting[0], 1), "error": waiting[1]},
            "suspected": {
                str(tp.partition): [(s.first, s.last, s.failures) for s in notes.suspects]
                for tp, (_, notes) in self._notes.items()
                if notes.suspects
            },
            **self.counts,
        }
