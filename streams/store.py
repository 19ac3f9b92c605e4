"""One partition's state and the files behind it: the half of the checkpoints that blocks on the disk."""

import logging
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol, Self

import pyarrow as pa
from faust.types import TP

from streams import recovery
from streams.patience import Patience
from streams.records import Records
from streams.snapshots import Head, NewerSnapshotError, Snapshot, SnapshotError, SnapshotStore, is_id
from streams.transport import Assigned
from twin.audit import AuditError, layout, models
from twin.audit.intervals import Interval
from twin.audit.rows import by_date, check_rows, rejected_table
from twin.audit.writer import GENESIS, AuditWriter, Manifest, rehearse, unstage
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
# A table of fewer rows is joined with its like before it is written.
_LARGE_ROWS: Final = 4_096
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
    rows: list[tuple[str, pa.Table]] = field(default_factory=list)
    bytes: int = 0  # of the rows since the last cut
    turn: int = 0  # of its last checkpoint, counted by the worker
    writing: threading.Lock = field(default_factory=threading.Lock)  # the writer is one thread's at a time
    partitions: int = 0  # of the topic
    deleted: int = 0  # offsets that retention took before they were read
    snapshot_bytes: int = 0  # of the newest snapshot's state
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
        rows = Rows(self, self.first, self.next, self.rows)
        self.first, self.rows, self.bytes = self.next, [], 0
        return rows

    def cut(self) -> "Cut | None":
        """Take rows and state. In one step of the loop: state, offset and rows belong together."""
        return Cut(self.cut_rows(), self.twin.freeze()) if self.moved else None

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
class Rows:
    """The rows of one partition's offsets [first, next)."""

    state: PartitionState
    first: int
    next: int
    tables: list[tuple[str, pa.Table]]


@dataclass(frozen=True, slots=True)
class Cut:
    """What one checkpoint writes of one partition."""

    rows: Rows
    frozen: Frozen  # its `encode` takes it apart


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
        patience: Patience = _NO_PATIENCE,
    ) -> None:
        self.plant = plant
        self.snapshots = snapshots
        self._twin = twin
        self._audit = audit
        self._keep = keep
        self._code_version = code_version
        self._patience = patience

    def warm(self) -> None:
        """Compile what a fold needs, before the worker joins: compiling later would stall its partitions."""
        self._twin(self.plant, 0).warm()

    def load(self, tp: TP, assigned: Assigned) -> PartitionState:
        """The state the committed offset names, its files published. Raises StateError, SnapshotError, AuditError."""
        where = f"{tp.topic}/{tp.partition}"
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
        if not state.manifests:
            discard_staged(self._audit, tp.partition, state.first)
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
            self._publish_named(state)
        except AuditError as error:
            if isinstance(error.__cause__, OSError):
                raise  # the disk, not the files
            log.warning("%s: committed at %d, but: %s", where, named.head.next_offset, error)
            return None
        return state

    def _publish_named(self, state: PartitionState) -> None:
        state.writer.publish(*state.manifests)  # finishes what was cut off between commit and publishing
        state.manifests = ()

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
        if committed and is_id(assigned.metadata) and not published and not known:
            raise StateError(
                f"{where}: the group stands at {committed}, but neither {self._audit} nor {self.snapshots.folder} "
                "holds anything of this partition: is this the right audit root, and is it mounted? To begin anew, "
                "take a new group"
            )
        ours = bool(known) if committed is None else is_id(assigned.metadata) and end <= committed
        self._check_neighbours(where, tp, assigned)
        if ours and published and recovery.finish(self._audit, tp.partition, published[-1]):
            published = recovery.intervals(self._audit, tp.partition)
        highest = committed
        if highest is None:
            # A snapshot ahead of what is published may never have been committed: what follows from its offsets may not
            # have reached the topics. It is good enough only where the log does not reach back any more.
            highest = end if end >= assigned.log_start else assigned.log_end
        for identity, snapshot in (*self.snapshots.newest_first(tp.partition, highest), ("", None)):
            at = snapshot.head.next_offset if snapshot else 0
            if at >= end:
                state = self._behind(where, tp, identity, snapshot, end)
            else:
                state = self._replaying(where, tp, snapshot, published, assigned) if ours else None
            if state is None:
                continue
            if committed or known:
                told = "the group has no offset: expired?" if committed is None else f"the group stands at {committed}"
                log.warning("%s: %s; going on from offset %d instead", where, told, at)
            if state.catching_up is not None:
                log.warning("%s: what is published up to %d is replayed and compared", where, end)
            return state
        raise StateError(
            f"{where}: the group stands at {committed}, and no snapshot leads to offset {end}, up to which rows are "
            "already published. Restore the state folder or the group's offset, or start over with a new group and a "
            "new audit root"
        )

    def _behind(self, where: str, tp: TP, identity: str, snapshot: Snapshot | None, end: int) -> PartitionState | None:
        """The state of a snapshot (None: the empty state) at or behind the end of what is published.

        None unless the files it names close the gap. They are published after the next commit, never before: a worker
        that only believes it owns the partition may come this far.
        """
        if snapshot is None:
            return self._fresh(tp)
        state = self._restore(where, tp, snapshot)
        try:
            waiting = tuple(manifest for manifest in state.manifests if state.writer.check(manifest))
        except AuditError as error:
            if isinstance(error.__cause__, OSError):
                raise
            return None
        bounds = [end, *(bound for m in waiting for bound in (m.first_offset, m.next_offset)), state.next]
        if any(left != right for left, right in zip(bounds[::2], bounds[1::2], strict=True)):
            return None
        state.manifests = waiting
        if waiting:
            state.saved = (state.next, identity)
        return state

    def _replaying(
        self, where: str, tp: TP, snapshot: Snapshot | None, published: list[Interval], assigned: Assigned
    ) -> PartitionState | None:
        """A state before the end of what is published; None when what follows cannot be replayed and compared."""
        at = snapshot.head.next_offset if snapshot else 0
        due = recovery.from_offset(published, at)
        if due is None or at < assigned.log_start or (snapshot and snapshot.head.model != self.plant.hash):
            return None
        state = self._restore(where, tp, snapshot) if snapshot else self._fresh(tp)
        state.manifests = ()  # published, as others follow them
        state.writer = self._writer(tp, recovery.last_sha256(published))
        state.catching_up = recovery.CatchUp(where, due)
        return state

    def _fresh(self, tp: TP) -> PartitionState:
        twin = self._twin(self.plant, tp.partition)
        return PartitionState(tp, twin, self._writer(tp, GENESIS), 0, 0, (0, ""), (0, ""))

    def _restore(self, where: str, tp: TP, snapshot: Snapshot) -> PartitionState:
        head = snapshot.head
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

    def stage_rows(self, rows: Rows) -> Manifest:
        """Step 1: audit files that nothing names yet."""
        writer = rows.state.writer
        tables: dict[str, list[pa.Table]] = {}
        for set_name, table in rows.tables:
            tables.setdefault(set_name, []).append(table)
        # A checkpoint that was given up may still be at it: nobody will see what it writes, or what follows.
        with rows.state.writing:
            for set_name, several in tables.items():
                writer.add(set_name, _joined(several))
            rows.tables.clear()  # the writer has them, and lets go of them once they are written
            return self._patience(lambda: writer.stage(rows.first, rows.next))

    def stage(self, cut: Cut, encoded: bytes) -> tuple[Manifest, str]:
        """Steps 1 and 2: audit files, then the snapshot that names them and all that were staged ahead of it, of the
        state as `cut.frozen` encodes it.

        Returns the manifest and the snapshot's id.
        """
        state, behind = cut.rows.state, cut.rows.next
        manifest = self.stage_rows(cut.rows)
        named = tuple(m for m in (*state.manifests, manifest) if m.files)
        head = Head(
            state.tp.topic, state.tp.partition, behind, self.plant.hash, manifest.chain, named, state.partitions
        )
        snapshot = Snapshot(head, encoded)
        return manifest, self._patience(lambda: self.snapshots.save(snapshot))

    def unstage(self, manifests: Sequence[Manifest]) -> None:
        """Remove files that nobody will commit."""
        for manifest in manifests:
            unstage(self._audit, manifest.files)

    def publish(self, state: PartitionState, manifests: Sequence[Manifest], committed: tuple[int, str]) -> None:
        """Step 4, and cleaning up below the committed offset."""
        self._patience(lambda: self._publish(state, manifests, committed))

    def _publish(self, state: PartitionState, manifests: Sequence[Manifest], committed: tuple[int, str]) -> None:
        state.writer.publish(*manifests)
        next_offset, identity = committed
        self.snapshots.collect(state.tp.partition, identity, self._keep)
        discard_staged(self._audit, state.tp.partition, next_offset)


def _joined(tables: Sequence[pa.Table]) -> pa.Table:
    """One table of one set. Hundreds of small ones, as a source gives them that is not far behind, took the checks half
    a second, and writing column by column of each a third of a checkpoint's time. Large ones are not copied.
    """
    table = pa.concat_tables(tables)
    return table if table.num_rows >= _LARGE_ROWS * len(tables) else table.unify_dictionaries().combine_chunks()


def check_partitions(where: str, before: int, now: int) -> None:
    """Raises StateError when the topic has another number of partitions than its state was made with (0: unknown)."""
    if before and now and before != now:
        raise StateError(
            f"{where}: the topic has {now} partitions, but had {before}: lines now go to other partitions than the "
            "ones that hold their state. Copy the events to topics with a new prefix, with a new audit root"
        )


def step_over(state: PartitionState, log_start: int) -> None:
    """Offsets that retention has taken: said in the log, counted for /ready, and in the audit for good."""
    topic, partition = state.tp
    detail = f"offsets {state.next} to {log_start - 1} were deleted by retention before they were read"
    log.error("%s/%d: %s; keep the topic longer than a worker may be away", topic, partition, detail)
    state.take("rejected", rejected_table([Rejected(DELETED, detail, log_start - 1, b"", None)], topic, partition))
    state.deleted += log_start - state.next
    state.next = log_start


def discard_staged(audit: Path, partition: int, next_offset: int) -> None:
    """Remove staged files that end at or below a committed offset whose own files are published.

    Not simply every file the snapshot does not name: a worker that slept through the loss of its partition would take
    away what the new owner has just staged. Files that end above are the new owner's, or are removed later.
    """
    for name in layout.staged(audit, partition):
        if int(name.rpartition("/")[2].split("-")[2]) <= next_offset:
            (audit / name).unlink(missing_ok=True)
