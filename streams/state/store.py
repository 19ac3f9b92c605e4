"""One partition's state and the files behind it: the half of the checkpoints that blocks on the disk."""

import functools
import logging
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
from faust.types import TP

from streams import clock
from streams.kafka.transport import Assigned
from streams.state import catch_up
from streams.state.fits import StateError, check_partitioner, check_partitions, check_topic
from streams.state.partition import Cut, Frozen, PartitionState, Rows, Twin, step_over
from streams.state.patience import Patience
from streams.state.plants import OtherPlantError, Plants
from streams.state.shared import SharedAudit, SharedStaging
from streams.state.snapshot_files import Head, NewerSnapshotError, Snapshot, SnapshotError, SnapshotStore, is_id
from streams.state.staging import Base, Staged, Staging, waits_of
from twin.audit import AuditError, bases, filelist, layout, marker, waiting
from twin.audit.claims import Claim
from twin.audit.intervals import Interval
from twin.audit.waiting import Piece
from twin.audit.writer import GENESIS, AuditWriter, Manifest
from twin.line import snapshot as line_snapshot
from twin.plant.model import Plant
from twin.replay import policies

log = logging.getLogger(__name__)

Listed = Mapping[int, Sequence[str]]  # of layout.all_staged
Committed = tuple[PartitionState, Sequence[Manifest], tuple[int, str]]  # what was staged, offset and id

# Rows in memory that make a file worth having: of events some 200,000.
PUBLISH_BYTES: Final = 32 << 20
_NO_PATIENCE: Final = Patience(0.0)


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
        group: str = "",
        shared: SharedAudit | None = None,
    ) -> None:
        """`shared`: the audit is in object storage, and `audit` is this process's own folder before it."""
        self.plant = plant
        self.snapshots = snapshots
        self._twin = twin
        self._audit = audit
        self._keep = keep
        self._group = group
        self._root = ""  # its id
        self._id = uuid.uuid4().hex
        self._code_version = code_version
        self._partitioner = partitioner
        self._patience = patience
        self._shared = shared
        self.staging = (
            Staging(audit, patience, publish_bytes, publish_after_s)
            if shared is None
            else SharedStaging(shared, patience, publish_bytes, publish_after_s)
        )
        self._plants = Plants(audit, plant, shared)
        self._kind = bases.kind_of(plant.hash, line_snapshot.VERSION)

    def warm(self) -> None:
        """Compile what a fold needs, before the worker joins: compiling later would stall its partitions."""
        self._twin(self.plant, 0).warm()

    def bind(self, assigned: Mapping[TP, Assigned]) -> None:
        """The audit root is of one topic for good. Raises AuditError when that was made anew."""
        shared = self._shared
        identity = functools.partial(marker.id_of, self._audit) if shared is None else shared.id
        self._root = self._patience(identity)
        for topic, topic_id in sorted({(tp.topic, one.topic_id) for tp, one in assigned.items()}):
            if topic_id and shared is not None:
                self._patience(functools.partial(shared.bind, topic, topic_id))
            elif topic_id:
                self._patience(functools.partial(marker.bind, self._audit, topic, topic_id, uuid.uuid4().hex))
            else:
                log.info("%s: this Kafka gives no ids of topics: whether it was made anew is not known", topic)

    def check_plant(self) -> None:
        """Raises StateError when another worker has brought a newer plant file, or another one of the same number."""
        try:
            self._patience(self._plants.look)
        except AuditError as error:
            raise StateError(str(error)) from error

    def look(self) -> None:
        """What snapshots there are, once for all partitions that are taken over together."""
        self._patience(self.snapshots.look)

    def load(self, tp: TP, assigned: Assigned) -> PartitionState:
        """The state the committed offset names, its files published. Raises StateError, SnapshotError, AuditError,
        StorageError, GivenUpError.
        """
        while True:
            self._patience(lambda: None)  # the root may have gone
            try:
                if self._shared is not None:  # each step of it may fail, and may be repeated
                    return self._patience(functools.partial(self._load, tp, assigned))
                return self._load(tp, assigned)
            except (StateError, SnapshotError, AuditError, OSError) as error:
                if self._patience.there:
                    raise
                # It went meanwhile, and what was not found there says nothing.
                log.warning("%s/%d: %s; the root went away meanwhile", *tp, error)

    def _load(self, tp: TP, assigned: Assigned) -> PartitionState:
        where = f"{tp.topic}/{tp.partition}"
        if self._shared is not None:
            self._shared.take(tp.partition)
        self._plants.hold()  # before any file names it
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
        state.partitions, state.topic_id = assigned.partitions, assigned.topic_id
        if state.waits.pieces:
            state.waits_since_s = clock.monotonic_s() - self._age_s(state.waits.pieces[0])
        if not state.manifests and not state.pieces:
            self.staging.forget(tp.partition)
            self.staging.tidy(tp.partition, _published(state), state.first)
            if self._shared is not None:
                self._shared.sweep(tp.partition, _published(state), state.first)
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
        check_topic(where, tp.topic, named.head.topic_id, assigned.topic_id)
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
        state.manifests, state.known_committed = (), True
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
            raise StateError(f"{where}: {self.snapshots.where} holds the state of {found.head.topic}; name another")
        check_topic(where, tp.topic, found.head.topic_id, assigned.topic_id)
        check_partitions(where, found.head.partitions, assigned.partitions)

    def _fall_back(self, where: str, tp: TP, assigned: Assigned) -> PartitionState:
        """Without the snapshot of the commit: the newest other one from which the published rows follow.

        A commit of ours, or snapshots beside no commit at all (the group's offsets have expired), show that what is
        published is ours. Any other commit, or none, does not: then nothing may be published beyond the state.
        """
        committed = assigned.committed
        if committed == 0 and is_id(assigned.metadata):
            raise StateError(
                f"{where}: the topic begins with a state of the topic that it was moved from, which "
                f"{self.snapshots.where} does not hold ({assigned.metadata}): are these the folders that `twin topics "
                "move` was given with --audit and --state? Mount or restore them, or move once more, to another prefix"
            )
        if self._shared is not None:
            self._shared.take_files(tp.partition, assigned.log_start)
        published = catch_up.intervals(self._audit, tp.partition)
        end = published[-1].next_offset if published else 0
        known = self.snapshots.ids(tp.partition)
        nothing = committed and is_id(assigned.metadata) and not published and not known
        # Unless others are at home here (a backup of before this partition's first event) and the log is whole: then it
        # can be made again from its beginning.
        if nothing and (assigned.log_start or self.snapshots.of_another(tp.partition) is None):
            raise StateError(
                f"{where}: the group stands at {committed}, but neither {self._audit} nor {self.snapshots.where} "
                "holds anything of this partition: is this the right audit root, and is it mounted? To begin anew, "
                "take a new group"
            )
        ours = bool(known) if committed is None else is_id(assigned.metadata) and end <= committed
        self._check_neighbours(where, tp, assigned)
        if ours and published and catch_up.finish(self._audit, tp.partition, published[-1]):
            published = catch_up.intervals(self._audit, tp.partition)
        published, visible = catch_up.with_waiting(self._audit, tp.partition, published)
        if self._shared is not None:
            self._shared.set_aside(tp.partition)
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
            state.known_committed = not (committed or known or end)
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
                state.writer = self._writer(tp, catch_up.last_sha256(catch_up.intervals(self._audit, tp.partition)))
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
        due = catch_up.from_offset(published, at)
        if due is None or at < assigned.log_start:
            return None
        changes = catch_up.changes(published, at, snapshot.head.model if snapshot else "")
        begin = snapshot.head.model if snapshot else changes.pop(0)[1] if changes else self.plant.hash
        if (changes[-1][1] if changes else begin) != self.plant.hash:
            changes.append((due[-1].next_offset, self.plant.hash))
        plant = self._of(tp, at, begin)
        state = self._restore(where, tp, snapshot, plant) if snapshot else self._fresh(tp, plant)
        state.plant = None if plant is self.plant else plant
        if models := [model for offset, model in changes if offset == at]:
            self._go_over(state, at, models, state.twin.freeze())
        state.manifests = ()  # published, as others follow them
        state.writer = self._writer(tp, catch_up.last_sha256(published))
        state.waits = waits_of(visible, state.writer)
        state.catching_up = catch_up.CatchUp(where, due, changes)
        state.opening = None  # not here, where files follow: where the replay has come to their end
        state.based = published[-1].base is not None
        state.base_day = max((base.date for one in published if (base := one.base)), default=state.base_day)
        return state

    def _fresh(self, tp: TP, plant: Plant | None = None) -> PartitionState:
        twin = self._twin(plant or self.plant, tp.partition)
        state = PartitionState(tp, twin, self._writer(tp, GENESIS), 0, 0, (0, ""), (0, ""))
        state.partitioner = self._partitioner
        return state

    def _restore(self, where: str, tp: TP, snapshot: Snapshot, plant: Plant | None = None) -> PartitionState:
        """`plant`: under which it goes on; ours unless a former one is replayed."""
        head = snapshot.head
        check_partitioner(where, head.partitioner, self._partitioner)
        twin = self._under(plant or self.plant, tp, head.next_offset, head.model, snapshot.state)
        at = head.next_offset
        saved = (at, "")  # the next checkpoint writes its own
        state = PartitionState(tp, twin, self._writer(tp, head.chain), at, at, saved, saved, head.manifests)
        state.snapshot_bytes = len(snapshot.state)
        state.base_day = head.base_day
        if head.base != self._kind and not any(manifest.is_base for manifest in head.manifests[-1:]):
            state.open_with_base()
        state.partitioner = head.partitioner
        return state

    def _under(self, plant: Plant, tp: TP, at: int, model: str, state: bytes) -> Twin:
        """The twin of `plant` that goes on from a state that was made under `model` up to offset `at`."""
        where = f"{tp.topic}/{tp.partition}"
        try:
            if model == plant.hash:
                return self._twin.restore(plant, tp.partition, state)
            return self._twin.carried(self._plants.before(where, at, model, plant), plant, tp.partition, state)
        except OtherPlantError as error:
            raise StateError(str(error)) from error
        except line_snapshot.SnapshotError as error:
            # Never an older snapshot instead: what was published since would be audited a second time.
            raise StateError(
                f"{where}: the state at offset {at} {error}. Start the version that wrote it (or a later one), or "
                "begin anew with a new group and a new audit root"
            ) from error

    def _writer(self, tp: TP, chain: str) -> AuditWriter:
        make = AuditWriter if self._shared is None else self._shared.writer
        return make(
            self._audit,
            tp.partition,
            topic=tp.topic,
            plant_hash=self.plant.hash,
            policies=policies(self.plant),
            code_version=self._code_version,
            chain=chain,
        )

    def compare(self, state: PartitionState, rows: list[tuple[str, pa.Table]], frozen: Frozen | None) -> bool:
        """Hold rows that were replayed up to the next boundary against what is published. True: up to its end.

        `frozen`: the state, where another plant model follows. Raises DisagreementError, AuditError, StateError.
        """
        replay = state.catching_up
        assert replay is not None
        at, models = replay.boundary, replay.models
        done = replay.compare(rows)
        if models:
            assert frozen is not None
            self._go_over(state, at, models, frozen)
        if done:
            self.caught_up(state)
        return done

    def _go_over(self, state: PartitionState, at: int, models: Sequence[str], frozen: Frozen) -> None:
        """Let what is replayed go on under other plants, each of which a worker had taken up."""
        for model in models:
            before, plant = state.plant or self.plant, self._of(state.tp, at, model)
            state.twin = self._under(plant, state.tp, at, before.hash, frozen.encode())
            state.plant, frozen = None if plant is self.plant else plant, state.twin.freeze()

    def _of(self, tp: TP, at: int, model: str) -> Plant:
        try:
            return self._plants.of(f"{tp.topic}/{tp.partition}", at, model)
        except OtherPlantError as error:
            raise StateError(str(error)) from error

    def caught_up(self, state: PartitionState) -> None:
        """All that is published is known to be what this state goes on from."""
        self._patience(lambda: catch_up.list_behind(self._audit, state.tp.partition))
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
            state.topic_id,
            self._id,
        )
        snapshot = Snapshot(head, encoded)
        return made, self._patience(lambda: self.snapshots.save(snapshot))

    def discard(self, identities: Sequence[str], staged: Sequence[Manifest | Piece]) -> None:
        """Remove snapshots whose commit was refused, and then what they were the first to name: a snapshot never names
        what is not there."""
        for identity in identities:
            self.snapshots.remove(identity)
        self.staging.unstage(staged)

    def claim(self, state: PartitionState) -> Claim:
        """What is committed and published of a partition, before anything more is staged."""
        return Claim(
            group=self._group,
            root=self._root,
            topic=state.tp.topic,
            topic_id=state.topic_id,
            partition=state.tp.partition,
            next_offset=state.committed[0],
            files_to=_published(state),
            sha256=state.writer.chain,
            waiting=state.waits.pieces[-1] if state.waits.pieces else None,
        )

    def publish(
        self,
        state: PartitionState,
        manifests: Sequence[Manifest],
        committed: tuple[int, str],
        staged: Listed | None = None,
    ) -> None:
        """Step 4, and cleaning up below the committed offset. `staged`: what is staged, where that was listed."""
        pieces, state.pieces = state.pieces, ()
        self._patience(lambda: self._publish(state, manifests, pieces, committed, staged))

    def publish_all(self, several: Sequence[Committed]) -> None:
        """The same of several partitions: the folder of what is staged is listed once, not for each of them."""
        staged = self._patience(lambda: layout.all_staged(self._audit))
        for state, manifests, committed in several:
            self.publish(state, manifests, committed, staged)

    def _publish(
        self,
        state: PartitionState,
        manifests: Sequence[Manifest],
        pieces: Sequence[Piece],
        committed: tuple[int, str],
        staged: Listed | None,
    ) -> None:
        self.staging.publish(state.writer, manifests, pieces)
        next_offset, identity = committed
        self.snapshots.collect(state.tp.partition, identity, self._keep)
        self.staging.tidy(state.tp.partition, min(_published(state), next_offset), next_offset, staged)


def _published(state: PartitionState) -> int:
    """Up to where its rows are files, once what is staged is published."""
    return state.waits.pieces[0].first_offset if state.waits.pieces else state.first
