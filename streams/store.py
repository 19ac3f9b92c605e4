"""One partition's state and the files behind it: the half of the checkpoints that blocks on the disk."""

import logging
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol, Self

import pyarrow as pa
from faust.types import TP

from streams import clock, recovery
from streams.patience import Patience
from streams.records import Records
from streams.snapshots import Head, NewerSnapshotError, Snapshot, SnapshotError, SnapshotStore, is_id
from streams.staging import NOTHING_WAITS, Base, Staged, Staging, Waits, waits_of
from streams.transport import Assigned
from twin.audit import AuditError, bases, filelist, models, waiting
from twin.audit.intervals import Interval
from twin.audit.rows import NO_DATE, by_date, check_rows, rejected_table
from twin.audit.waiting import Piece
from twin.audit.writer import GENESIS, AuditWriter, Manifest, rehearse
from twin.events.block import EventBlock, Rejected
from twin.line import snapshot as line_snapshot
from twin.plant.model import Plant
from twin.replay import policies

log = logging.getLogger(__name__)

# The reason of the one row in `rejected` that stands for offsets nobody can read any more.
DELETED: Final = "deleted_by_retention"
# Records folded in one go before it is known how many rows they give.
FIRST_RECORDS: Final = 64
# What Arrow needs for a column of a table, whatever is in it (1.3 KB, measured). Of a table with one row, which a slow
# line gives with every run, that is all but a hundredth.
COLUMN_BYTES: Final = 1_400
# Rows in memory that make a file worth having: of events some 200,000.
PUBLISH_BYTES: Final = 32 << 20
_NO_PATIENCE: Final = Patience(0.0)


class StateError(RuntimeError):
    """Group, snapshots and audit root do not fit together. Going on would mix two histories, so the worker ends."""


class Frozen(Protocol):
    """A state as it was when it was frozen."""

    def encode(self) -> bytes: ...


class Twin(Protocol):
    """What a checkpoint needs of `twin.line.PartitionTwin`."""

    def __init__(self, plant: Plant, partition: int) -> None: ...

    @classmethod
    def restore(cls, plant: Plant, partition: int, data: bytes) -> Self: ...

    def warm(self) -> None: ...

    def fold(self, block: EventBlock) -> Any: ...

    def freeze(self) -> Frozen: ...

    def view(self, *, changed: bool = False) -> Sequence[Any]: ...

    @property
    def event_time_ns(self) -> int:
        """Where its lines stand; 0: nowhere yet."""


@dataclass(slots=True)
class PartitionState:
    """One partition's state and what has happened since its last checkpoint."""

    tp: TP
    twin: Twin
    writer: AuditWriter
    next: int  # offset of the next record to fold: the only authority
    first: int  # where the interval since the last cut begins
    saved: tuple[int, str]  # offset and id of the newest snapshot; ("" before the first)
    committed: tuple[int, str]  # the newest that the broker has
    manifests: tuple[Manifest, ...] = ()  # staged, not yet published
    ahead: tuple[Manifest, ...] = ()  # those of them that no snapshot names yet
    waits: Waits = NOTHING_WAITS  # rows that are no file yet, but for those since the last cut
    pieces: tuple[Piece, ...] = ()  # those of them that nobody sees yet
    waits_since_s: float = 0.0  # monotonic
    rows: list[tuple[str, pa.Table]] = field(default_factory=list)
    bytes: int = 0  # of the rows since the last cut
    turn: int = 0  # of its last checkpoint, counted by the worker
    writing: threading.Lock = field(default_factory=threading.Lock)  # the writer is one thread's at a time
    partitions: int = 0  # of the topic
    partitioner: str = ""  # by which records are checked; "": not at all, the state is older than the check
    deleted: int = 0  # offsets that retention took before they were read
    snapshot_bytes: int = 0  # of the newest snapshot's state
    opening: "Opening | None" = (
        None  # the state before the rows since the last cut: of another kind than what came before
    )
    base_day: str = ""  # of event time, of the last daily base
    based: bool = False  # a base stands at the end of what is replayed
    records_at_once: int = FIRST_RECORDS  # folded in one go: as many as give a bearable number of rows
    catching_up: recovery.CatchUp | None = None  # replaying what is published already: nothing is written or committed

    def take(self, set_name: str, table: pa.Table) -> None:
        """Keep rows for the audit. The writer itself is used by the checkpoint's thread only."""
        if table.num_rows:
            check_rows(set_name, table)  # here a fault still belongs to the record that was folded
            self.rows.append((set_name, table))
            self.bytes += table.nbytes + COLUMN_BYTES * table.num_columns

    @property
    def moved(self) -> bool:
        """Whether a checkpoint has something to say: the newest snapshot is of another offset."""
        return self.next != self.saved[0] and self.catching_up is None

    @property
    def ready_bytes(self) -> int:
        """Of the rows that could be staged now."""
        return self.bytes if self.catching_up is None else 0

    def cut_rows(self) -> "Rows":
        """Take the rows since the last cut."""
        assert self.catching_up is None
        rows = Rows(self, self.first, self.next, self.rows, self.opening)
        self.first, self.rows, self.bytes, self.opening = self.next, [], 0, None
        return rows

    @property
    def day(self) -> str:
        """The date (UTC) of event time where its lines stand; "": nowhere yet."""
        now_ns = self.twin.event_time_ns
        return bases.day_of(now_ns) if now_ns else ""

    def open_with_base(self) -> None:
        """What follows is of another kind than what is published: the state is kept before it."""
        self.opening = Opening(self.day or self.base_day or NO_DATE, self.twin.freeze())

    def due(self, after_s: float) -> bool:
        """Whether its oldest row has waited that long for a file."""
        waits = bool(self.waits.pieces) and self.catching_up is None
        return waits and clock.monotonic_s() - self.waits_since_s >= after_s

    def cut(self, *, publish: bool = False) -> "Cut | None":
        """Take rows and state. In one step of the loop: state, offset and rows belong together.

        `publish`: all that waits becomes a file, also where nothing has moved.
        """
        if not self.moved and not (publish and self.waits.pieces and self.catching_up is None):
            return None
        # The first cut of a day, but not of all days: it is the beginning.
        begun, self.base_day = self.base_day, max(self.day, self.base_day)
        base_day = self.base_day if begun < self.base_day and begun else ""
        return Cut(self.cut_rows(), self.twin.freeze(), publish or bool(base_day), base_day)

    def staged(self, made: Staged, identity: str = "") -> tuple[Manifest | Piece, ...]:
        """Note what is on the disk, and the snapshot's id where one names it (and all that was staged ahead of it).

        Returns what nothing has named before.
        """
        manifests = tuple(manifest for manifest in made.manifests if manifest.files)
        self.manifests += manifests
        if manifests:
            self.pieces = ()  # their rows are in the files
        if made.piece is not None:
            if not self.waits.pieces or manifests:
                self.waits_since_s = clock.monotonic_s()
            self.pieces += (made.piece,)
        self.waits = self.waits.behind(made)
        self.ahead += manifests
        if not identity:
            return manifests
        named, self.ahead = self.ahead, ()
        return named if made.piece is None else (*named, made.piece)

    def rehearse(self, known: int) -> None:
        """What the next checkpoint makes of this state and of its rows behind the first `known`, on no disk: so that a
        record after which it cannot be made is found like one that cannot be folded, instead of ending every start at
        its first checkpoint.
        """
        self.twin.freeze().encode()
        fresh = self.rows[known:]
        for set_name in {name for name, _ in fresh}:
            tables = [table for name, table in fresh if name == set_name]
            for _, table in by_date(set_name, tables):
                rehearse(table)

    def parts(self, records: Records) -> Iterator[Records]:
        """A run as it must be folded: in one go, but cut where a replay is compared. After each, `Checkpointer.compare`
        must be asked; an empty part means that the log holds nothing before the next comparison."""
        while self.catching_up is not None and records:
            boundary = self.catching_up.boundary
            inside = records[: records.first_at(boundary)]
            if inside:
                yield inside
            records = records[len(inside) :]
            if records and self.catching_up is not None and self.catching_up.boundary == boundary:
                self.next = boundary
                yield records[:0]
        if records:
            yield records


@dataclass(frozen=True, slots=True)
class Opening:
    """A state that becomes a base before the rows that follow from it."""

    day: str
    frozen: Frozen


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of one partition's offsets [first, next)."""

    state: PartitionState
    first: int
    next: int
    tables: list[tuple[str, pa.Table]]
    opening: "Opening | None" = None


@dataclass(frozen=True, slots=True)
class Cut:
    """What one checkpoint writes of one partition."""

    rows: Rows
    frozen: Frozen  # its `encode` takes it apart
    publish: bool = False  # whatever the size
    base_day: str = ""  # the state is kept as the base of this day


class PartitionStore:
    """The synchronous half: files of state and audit. Every method blocks on the disk and runs in a thread."""

    def __init__(
        self,
        *,
        plant: Plant,
        twin: type[Twin],
        snapshots: SnapshotStore,
        audit: Path,
        keep: int,
        code_version: str,
        partitioner: str = "",
        patience: Patience = _NO_PATIENCE,
        publish_bytes: int = PUBLISH_BYTES,
        publish_after_s: float = 0.0,
    ) -> None:
        self.plant = plant
        self.snapshots = snapshots
        self._twin = twin
        self._audit = audit
        self._keep = keep
        self._code_version = code_version
        self._partitioner = partitioner
        self._patience = patience
        self.staging = Staging(audit, patience, publish_bytes, publish_after_s)
        self._kind = bases.kind_of(plant.hash, line_snapshot.VERSION)

    def warm(self) -> None:
        """Compile what a fold needs, before the worker joins: compiling later would stall its partitions."""
        self._twin(self.plant, 0).warm()

    def load(self, tp: TP, assigned: Assigned) -> PartitionState:
        """The state the committed offset names, its files published. Raises StateError, SnapshotError, AuditError."""
        where = f"{tp.topic}/{tp.partition}"
        self._patience(lambda: None)  # the root may have gone
        models.store(self._audit, self.plant)  # before any file names it
        try:
            named = self._named(where, tp, assigned)
            state = self._of_commit(where, tp, named) if named is not None else None
            if state is None:
                state = self._fall_back(where, tp, assigned)
        except NewerSnapshotError as error:
            raise StateError(f"{where}: {error}") from error
        if state.next > assigned.log_end:
            raise StateError(
                f"{where}: the state stands at offset {state.next} but the topic ends at {assigned.log_end}: it was "
                "deleted and made anew. Use a new group, state folder and audit root for a new topic"
            )
        if state.next < assigned.log_start:
            step_over(state, assigned.log_start)
        state.partitions = assigned.partitions
        if state.waits.pieces:
            state.waits_since_s = clock.monotonic_s() - self._age_s(state.waits.pieces[0])
        if not state.manifests and not state.pieces:
            self.staging.tidy(tp.partition, _published(state), state.first)
        if self._partitioner and not state.partitioner:
            log.warning(
                "%s: the state was made before records were checked for their key and partition: they go on unchecked. "
                "A line in two partitions has two twins; to check, begin with a new prefix and replay",
                where,
            )
        # Here too, not only behind a checkpoint: at the end of a log none follows.
        self.snapshots.remove_temporary(tp.partition, state.first)
        return state

    def _named(self, where: str, tp: TP, assigned: Assigned) -> Snapshot | None:
        """The snapshot the commit names; None, said loudly, when there is none to be used."""
        committed = assigned.committed
        if committed is None:
            return None
        try:
            named = self.snapshots.load(assigned.metadata)
        except NewerSnapshotError:
            raise
        except SnapshotError as error:
            log.warning("%s: committed at %d, but: %s", where, committed, error)
            return None
        if named.head.next_offset != committed or named.head.topic != tp.topic:
            log.warning("%s: committed at %d with a snapshot of %s", where, committed, named.head)
            return None
        check_partitions(where, named.head.partitions, assigned.partitions)
        return named

    def _of_commit(self, where: str, tp: TP, named: Snapshot) -> PartitionState | None:
        """The state of the commit, its files published; None when one of them is lost or damaged."""
        state = self._restore(where, tp, named)
        try:
            state.waits = self.staging.waits(named.head.waiting, state.writer)
            # Finishes what was cut off between commit and publishing.
            self.staging.publish(state.writer, state.manifests, state.waits.pieces)
        except AuditError as error:
            if isinstance(error.__cause__, OSError):
                raise  # the disk, not the files
            log.warning("%s: committed at %d, but: %s", where, named.head.next_offset, error)
            return None
        state.manifests = ()
        if not filelist.ends_with(self._audit, tp.partition, _published(state), state.writer.chain):
            raise StateError(
                f"{where}: the state at offset {named.head.next_offset} follows a file with SHA-256 "
                f"{state.writer.chain}, which is not the last up to offset {_published(state)} in the list of "
                f"{self._audit}: the folder is another one, or was put back to an earlier state. Mount or restore the "
                "right one, or begin anew with a new group and a new audit root"
            )
        return state

    def _age_s(self, piece: Piece) -> float:
        """How long its rows have waited: its owners come and go, and none is to begin the time anew."""
        written_ns = waiting.place_of(self._audit, piece).stat().st_mtime_ns
        return min(max((clock.now_ns() - written_ns) / 1e9, 0.0), self.staging.publish_after_s)

    def _check_neighbours(self, where: str, tp: TP, assigned: Assigned) -> None:
        """Snapshots of this topic made with another number of partitions, or of another topic."""
        own = next((found for _, found in self.snapshots.newest_first(tp.partition, assigned.log_end)), None)
        found = own or self.snapshots.of_another(tp.partition)
        if found is None:
            return
        if found.head.topic != tp.topic:
            raise StateError(f"{where}: {self.snapshots.folder} holds the state of {found.head.topic}; name another")
        check_partitions(where, found.head.partitions, assigned.partitions)

    def _fall_back(self, where: str, tp: TP, assigned: Assigned) -> PartitionState:
        """Without the snapshot of the commit: the newest other one from which the published rows follow.

        A commit of ours, or snapshots beside no commit at all (the group's offsets have expired), show that what is
        published is ours. Any other commit, or none, does not: then nothing may be published beyond the state.
        """
        committed = assigned.committed
        published = recovery.intervals(self._audit, tp.partition)
        end = published[-1].next_offset if published else 0
        known = self.snapshots.ids(tp.partition)
        nothing = committed and is_id(assigned.metadata) and not published and not known
        # Unless others are at home here (a backup of before this partition's first event) and the log is whole: then it
        # can be made again from its beginning.
        if nothing and (assigned.log_start or self.snapshots.of_another(tp.partition) is None):
            raise StateError(
                f"{where}: the group stands at {committed}, but neither {self._audit} nor {self.snapshots.folder} "
                "holds anything of this partition: is this the right audit root, and is it mounted? To begin anew, "
                "take a new group"
            )
        ours = bool(known) if committed is None else is_id(assigned.metadata) and end <= committed
        self._check_neighbours(where, tp, assigned)
        if ours and published and recovery.finish(self._audit, tp.partition, published[-1]):
            published = recovery.intervals(self._audit, tp.partition)
        published, visible = recovery.with_waiting(self._audit, tp.partition, published)
        end = published[-1].next_offset if published else 0
        highest = committed
        if highest is None:
            # A snapshot ahead of what is published may never have been committed: what follows from its offsets may not
            # have reached the topics. It is good enough only where the log does not reach back any more.
            highest = end if end >= assigned.log_start else assigned.log_end
        for identity, snapshot in (*self.snapshots.newest_first(tp.partition, highest), ("", None)):
            at = snapshot.head.next_offset if snapshot else 0
            if at >= end:
                state = self._behind(where, tp, identity, snapshot, end, visible)
            else:
                state = self._replaying(where, tp, snapshot, published, visible, assigned) if ours else None
            if state is None:
                continue
            if committed or known:
                told = "the group has no offset: expired?" if committed is None else f"the group stands at {committed}"
                log.warning("%s: %s; going on from offset %d instead", where, told, at)
            if state.catching_up is not None:
                log.warning("%s: what is published up to %d is replayed and compared", where, end)
            elif ours:
                self.caught_up(state)
            return state
        raise StateError(
            f"{where}: the group stands at {committed}, and no snapshot leads to offset {end}, up to which rows are "
            "already published. Restore the state folder or the group's offset, or start over with a new group and a "
            "new audit root"
        )

    def _behind(
        self, where: str, tp: TP, identity: str, snapshot: Snapshot | None, end: int, visible: list[waiting.Rows]
    ) -> PartitionState | None:
        """The state of a snapshot (None: the empty state) at or behind the end of what is visible.

        None unless the files it names close the gap. They are published after the next commit, never before: a worker
        that only believes it owns the partition may come this far.
        """
        if snapshot is None:
            return self._fresh(tp)
        state = self._restore(where, tp, snapshot)
        files_end = visible[0].piece.first_offset if visible else end
        try:
            state.manifests = tuple(manifest for manifest in state.manifests if state.writer.check(manifest))
            last = snapshot.head.waiting
            if last is not None and last.next_offset <= files_end:  # what waited then is in the files by now
                state.writer = self._writer(tp, recovery.last_sha256(recovery.intervals(self._audit, tp.partition)))
            else:
                state.waits = self.staging.waits(last, state.writer)
        except AuditError as error:
            if isinstance(error.__cause__, OSError):
                raise
            return None
        known = {rows.piece for rows in visible}
        state.pieces = tuple(piece for piece in state.waits.pieces if piece not in known)
        if not state.manifests and not known <= {*state.waits.pieces}:
            return None  # nothing would make a file of what is seen to wait
        unseen: tuple[Manifest | Piece, ...] = (*state.manifests, *state.pieces)
        begin = files_end if state.manifests else end  # files take up what is seen to wait
        bounds = [begin, *(bound for one in unseen for bound in (one.first_offset, one.next_offset)), state.next]
        if any(left != right for left, right in zip(bounds[::2], bounds[1::2], strict=True)):
            return None
        if unseen:
            state.saved = (state.next, identity)
        return state

    def _replaying(
        self,
        where: str,
        tp: TP,
        snapshot: Snapshot | None,
        published: list[Interval],
        visible: list[waiting.Rows],
        assigned: Assigned,
    ) -> PartitionState | None:
        """A state before the end of what is visible; None when what follows cannot be replayed and compared."""
        at = snapshot.head.next_offset if snapshot else 0
        due = recovery.from_offset(published, at)
        if due is None or at < assigned.log_start or (snapshot and snapshot.head.model != self.plant.hash):
            return None
        state = self._restore(where, tp, snapshot) if snapshot else self._fresh(tp)
        state.manifests = ()  # published, as others follow them
        state.writer = self._writer(tp, recovery.last_sha256(published))
        state.waits = waits_of(visible, state.writer)
        state.catching_up = recovery.CatchUp(where, due)
        state.opening = None  # not here, where files follow: where the replay has come to their end
        state.based = published[-1].base is not None
        state.base_day = max((base.date for one in published if (base := one.base)), default=state.base_day)
        return state

    def _fresh(self, tp: TP) -> PartitionState:
        twin = self._twin(self.plant, tp.partition)
        state = PartitionState(tp, twin, self._writer(tp, GENESIS), 0, 0, (0, ""), (0, ""))
        state.partitioner = self._partitioner
        return state

    def _restore(self, where: str, tp: TP, snapshot: Snapshot) -> PartitionState:
        head = snapshot.head
        check_partitioner(where, head.partitioner, self._partitioner)
        if head.model == self.plant.hash:
            try:
                twin = self._twin.restore(self.plant, tp.partition, snapshot.state)
            except line_snapshot.SnapshotError as error:
                # Never an older snapshot instead: what was published since would be audited a second time.
                raise StateError(
                    f"{where}: the state at offset {head.next_offset} {error}. Start the version that wrote it (or a "
                    "later one), or begin anew with a new group and a new audit root"
                ) from error
        else:
            # A state belongs to one model. The offset goes on; windows that were open under the old model stay open.
            log.warning("%s: plant model %s replaces %s: a new epoch begins", where, self.plant.hash, head.model)
            twin = self._twin(self.plant, tp.partition)
        at = head.next_offset
        saved = (at, "")  # the next checkpoint writes its own
        state = PartitionState(tp, twin, self._writer(tp, head.chain), at, at, saved, saved, head.manifests)
        state.snapshot_bytes = len(snapshot.state)
        state.base_day = head.base_day
        if head.base != self._kind and not any(manifest.is_base for manifest in head.manifests[-1:]):
            state.open_with_base()
        state.partitioner = head.partitioner
        return state

    def _writer(self, tp: TP, chain: str) -> AuditWriter:
        return AuditWriter(
            self._audit,
            tp.partition,
            topic=tp.topic,
            plant_hash=self.plant.hash,
            policies=policies(self.plant),
            code_version=self._code_version,
            chain=chain,
        )

    def caught_up(self, state: PartitionState) -> None:
        """All that is published is known to be what this state goes on from."""
        self._patience(lambda: recovery.list_behind(self._audit, state.tp.partition))
        if state.catching_up is None:
            return
        state.catching_up = None
        if not state.based:
            state.open_with_base()

    def stage_rows(self, rows: Rows) -> Staged:
        """Step 1 alone: audit files that nothing names yet, of all rows that wait."""
        return self.staging.stage(rows, publish=True)

    def stage(self, cut: Cut, encoded: bytes) -> tuple[Staged, str]:
        """Steps 1 and 2: audit files or rows that wait, then the snapshot that names them and all that were staged
        ahead of it, of the state as `cut.frozen` encodes it.

        Returns what was made and the snapshot's id.
        """
        state, behind = cut.rows.state, cut.rows.next
        base = Base(cut.base_day, encoded) if cut.base_day else None
        made = self.staging.stage(cut.rows, publish=cut.publish, base=base)
        named = tuple(m for m in (*state.manifests, *made.manifests) if m.files)
        waits = state.waits.behind(made).pieces
        head = Head(
            state.tp.topic,
            state.tp.partition,
            behind,
            self.plant.hash,
            state.writer.chain,
            named,
            state.partitions,
            waits[-1] if waits else None,
            self._kind,
            state.base_day,
            state.partitioner,
        )
        snapshot = Snapshot(head, encoded)
        return made, self._patience(lambda: self.snapshots.save(snapshot))

    def publish(self, state: PartitionState, manifests: Sequence[Manifest], committed: tuple[int, str]) -> None:
        """Step 4, and cleaning up below the committed offset."""
        pieces, state.pieces = state.pieces, ()
        self._patience(lambda: self._publish(state, manifests, pieces, committed))

    def _publish(
        self, state: PartitionState, manifests: Sequence[Manifest], pieces: Sequence[Piece], committed: tuple[int, str]
    ) -> None:
        self.staging.publish(state.writer, manifests, pieces)
        next_offset, identity = committed
        self.snapshots.collect(state.tp.partition, identity, self._keep)
        self.staging.tidy(state.tp.partition, min(_published(state), next_offset), next_offset)


def _published(state: PartitionState) -> int:
    """Up to where its rows are files, once what is staged is published."""
    return state.waits.pieces[0].first_offset if state.waits.pieces else state.first


def check_partitions(where: str, before: int, now: int) -> None:
    """Raises StateError when the topic has another number of partitions than its state was made with (0: unknown)."""
    if before and now and before != now:
        raise StateError(
            f"{where}: the topic has {now} partitions, but had {before}: lines now go to other partitions than the "
            "ones that hold their state. Copy the events to topics with a new prefix, with a new audit root"
        )


def check_partitioner(where: str, before: str, now: str) -> None:
    """Raises StateError when records were checked by another partitioner ("": not at all, nothing is said)."""
    if before and now and before != now:
        raise StateError(
            f"{where}: its records were checked with TAKTWIN_PARTITIONER={before}, now it is {now}: other records "
            "would be refused. Set it back, or begin anew with a new prefix and a new audit root"
        )


def step_over(state: PartitionState, log_start: int) -> None:
    """Offsets that retention has taken: said in the log, counted for /ready, and in the audit for good."""
    topic, partition = state.tp
    detail = f"offsets {state.next} to {log_start - 1} were deleted by retention before they were read"
    log.error("%s/%d: %s; keep the topic longer than a worker may be away", topic, partition, detail)
    state.take("rejected", rejected_table([Rejected(DELETED, detail, log_start - 1, b"", None)], topic, partition))
    state.deleted += log_start - state.next
    state.next = log_start
