"""Checkpoints: the commit of an offset is the only pointer to the truth, and everything it points to is there first.

Per partition: stage the interval's Parquet files; write one immutable snapshot that names them; commit the next offset
with the snapshot's id as metadata; publish the staged files. On assignment: read offset and metadata, load that
snapshot, publish what it names, seek to its next offset. A worker that lost its partition cannot commit, so what it
staged is never seen by anybody.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol, Self

import pyarrow as pa
from faust.types import TP

from streams.snapshots import Head, Snapshot, SnapshotError, SnapshotStore
from streams.transport import Assigned, Committed, Token
from twin.audit import layout
from twin.audit.writer import GENESIS, AuditWriter, Manifest
from twin.events.block import EventBlock
from twin.line import snapshot as line_snapshot
from twin.plant.model import Plant
from twin.replay import policies
from twin.results import SETS

log = logging.getLogger(__name__)

MOST_FENCED: Final = 6


class StateError(RuntimeError):
    """Group, snapshots and audit root do not fit together. Going on would mix two histories, so the worker ends."""


class FencedError(RuntimeError):
    """Commits were refused again and again: most likely two workers use one instance id."""


class Twin(Protocol):
    """What a checkpoint needs of `twin.line.PartitionTwin`."""

    def __init__(self, plant: Plant, partition: int) -> None: ...

    @classmethod
    def restore(cls, plant: Plant, partition: int, data: bytes) -> Self: ...

    def fold(self, block: EventBlock) -> Any: ...

    def snapshot(self) -> bytes: ...

    def view(self, now_ns: int | None) -> Sequence[Any]: ...


class Committer(Protocol):
    """What a checkpoint needs of `streams.transport.Consumer`."""

    def token(self) -> Token: ...

    async def commit_fenced(
        self, offsets: Mapping[TP, tuple[int, str]], token: Token, limit_s: float = ...
    ) -> Committed: ...


class Outputs(Protocol):
    """What a checkpoint needs of `streams.publish.Publisher`."""

    async def flush(self, limit_s: float) -> bool:
        """True when the broker has acknowledged everything sent before the call."""


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
    rows: list[tuple[str, pa.Table]] = field(default_factory=list)
    bytes: int = 0  # of the rows since the last cut

    def take(self, set_name: str, table: pa.Table) -> None:
        """Keep rows for the audit. The writer itself is used by the checkpoint's thread only."""
        if table.num_rows:
            self.rows.append((set_name, table))
            self.bytes += table.nbytes

    def cut(self) -> "Cut | None":
        """Take the interval since the last cut. In one step of the loop: state, offset and rows belong together."""
        if self.next == self.first:
            return None
        cut = Cut(self, self.first, self.next, self.rows, self.twin.snapshot())
        self.first, self.rows, self.bytes = self.next, [], 0
        return cut


@dataclass(frozen=True, slots=True)
class Cut:
    """What one checkpoint writes of one partition."""

    state: PartitionState
    first: int
    next: int
    rows: list[tuple[str, pa.Table]]
    snapshot: bytes


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
    ) -> None:
        self.plant = plant
        self.snapshots = snapshots
        self._twin = twin
        self._audit = audit
        self._keep = keep
        self._code_version = code_version

    def warm(self) -> None:
        """Compile what a fold needs, before the worker joins: compiling later would stall its partitions."""
        self._twin(self.plant, 0).view(None)

    def load(self, tp: TP, assigned: Assigned) -> PartitionState:
        """The state the committed offset names, its files published. Raises StateError, SnapshotError, AuditError."""
        where = f"{tp.topic}/{tp.partition}"
        snapshot = self._find(where, tp, assigned)
        state = self._fresh(tp) if snapshot is None else self._restore(where, tp, snapshot)
        if state.next > assigned.log_end:
            raise StateError(
                f"{where}: the state stands at offset {state.next} but the topic ends at {assigned.log_end}: it was "
                "deleted and made anew. Use a new group, state folder and audit root for a new topic"
            )
        if state.next < assigned.log_start:
            log.warning(
                "%s: offsets %d to %d were deleted by retention before they were read",
                where,
                state.next,
                assigned.log_start - 1,
            )
        for manifest in state.manifests:  # finishes what was cut off between commit and publishing
            state.writer.publish(manifest)
        state.manifests = ()
        return state

    def _find(self, where: str, tp: TP, assigned: Assigned) -> Snapshot | None:
        committed = assigned.committed
        if committed is not None:
            try:
                named = self.snapshots.load(assigned.metadata)
            except SnapshotError as error:
                log.warning("%s: committed at %d, but: %s", where, committed, error)
            else:
                if named.head.next_offset == committed and named.head.topic == tp.topic:
                    return named
                log.warning("%s: committed at %d with a snapshot of %s", where, committed, named.head)
        # Nothing committed, or not by a checkpoint of ours: an older state and a replay do as well, as long as nothing
        # has been published from it on. Otherwise the same events would be audited twice.
        snapshot = self.snapshots.newest_valid(tp.partition, committed) if committed else None
        if snapshot is not None and snapshot.head.topic != tp.topic:
            raise StateError(f"{where}: {self.snapshots.folder} holds the state of {snapshot.head.topic}; name another")
        next_offset = snapshot.head.next_offset if snapshot else 0
        beyond = self._published_beyond(tp.partition, next_offset)
        if beyond is not None:
            raise StateError(
                f"{where}: the group stands at {committed}, the newest usable snapshot at {next_offset}, but {beyond} "
                "is already published. Restore the state folder or the group's offset, or start over with a new group "
                "and a new audit root"
            )
        if committed:
            log.warning("%s: going on from offset %d instead of %d", where, next_offset, committed)
        return snapshot

    def _published_beyond(self, partition: int, next_offset: int) -> Path | None:
        for set_name in SETS:
            for file in layout.published(self._audit, set_name):
                if file.partition == partition and file.next_offset > next_offset:
                    return file.path
        return None

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
                    f"{where}: the state at offset {head.next_offset} {error}. Start the version that wrote it, or "
                    "begin anew with a new group and a new audit root"
                ) from error
        else:
            # A state belongs to one model. The offset goes on; windows that were open under the old model stay open.
            log.warning("%s: plant model %s replaces %s: a new epoch begins", where, self.plant.hash, head.model)
            twin = self._twin(self.plant, tp.partition)
        at = head.next_offset
        saved = (at, "")  # the next checkpoint writes its own
        return PartitionState(tp, twin, self._writer(tp, head.chain), at, at, saved, saved, head.manifests)

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

    def stage(self, cut: Cut) -> tuple[Manifest, str]:
        """Steps 1 and 2: audit files, then the snapshot that names them. Returns the manifest and the snapshot's id."""
        state = cut.state
        for set_name, table in cut.rows:
            state.writer.add(set_name, table)
        manifest = state.writer.stage(cut.first, cut.next)
        named = tuple(m for m in (*state.manifests, manifest) if m.files)
        head = Head(state.tp.topic, state.tp.partition, cut.next, self.plant.hash, manifest.chain, named)
        return manifest, self.snapshots.save(Snapshot(head, cut.snapshot))

    def publish(self, state: PartitionState, manifests: Sequence[Manifest], committed: tuple[int, str]) -> None:
        """Step 4, and cleaning up below the committed offset."""
        for manifest in manifests:
            state.writer.publish(manifest)
        next_offset, identity = committed
        self.snapshots.collect(state.tp.partition, identity, self._keep)
        discard_staged(self._audit, state.tp.partition, next_offset)


def discard_staged(audit: Path, partition: int, next_offset: int) -> None:
    """Remove staged files that end at or below a committed offset whose own files are published.

    Not simply every file the snapshot does not name: a worker that slept through the loss of its partition would take
    away what the new owner has just staged. Files that end above are the new owner's, or are removed later.
    """
    for name in layout.staged(audit, partition):
        if int(name.rpartition("/")[2].split("-")[2]) <= next_offset:
            (audit / name).unlink(missing_ok=True)


class Checkpointer:
    """The asynchronous half: who owns what, and when it is safe to say so."""

    def __init__(self, store: PartitionStore, outputs: Outputs, *, commit_limit_s: float = 5.0) -> None:
        self.states: dict[TP, PartitionState] = {}
        self.token: Token | None = None
        self.commits = dict.fromkeys(Committed, 0)
        self._store = store
        self._outputs = outputs
        self._commit_limit_s = commit_limit_s
        self._lock = asyncio.Lock()
        self._fenced_in_a_row = 0

    async def install(
        self, assigned: Mapping[TP, Assigned], token: Token, committer: Committer
    ) -> dict[TP, int] | None:
        """The transport's seek hook: states for this token, and where to seek. None: outdated while loading."""
        if self.token == token and set(self.states) == set(assigned):
            return {tp: state.next for tp, state in self.states.items()}  # called again for the same membership
        loading = [asyncio.to_thread(self._store.load, tp, info) for tp, info in assigned.items()]
        loaded = await asyncio.gather(*loading)
        if committer.token() != token:
            return None
        self.states = {state.tp: state for state in loaded}
        self.token = token
        for state in loaded:
            log.info("%s/%d: from offset %d", state.tp.topic, state.tp.partition, state.next)
        return {state.tp: state.next for state in loaded}

    def release(self) -> None:
        """The partitions are gone: records that are still on their way find no state."""
        self.states = {}
        self.token = None

    async def checkpoint(self, committer: Committer) -> Committed | None:
        """One checkpoint of every partition that has moved. None: nothing to do. Raises FencedError."""
        async with self._lock:  # of the timer, of a revocation, of the stop: one after the other
            token = self.token
            cuts = [cut for state in self.states.values() if (cut := state.cut()) is not None]
            todo = [state for state in self.states.values() if state.saved != state.committed]
            todo += [cut.state for cut in cuts if cut.state not in todo]
            if not todo or token is None:
                return None
            # Outputs first: what was concluded from an offset must be out before the offset counts as done.
            staging = [asyncio.create_task(asyncio.to_thread(self._store.stage, cut)) for cut in cuts]
            flushed = await self._outputs.flush(self._commit_limit_s)
            staged = await asyncio.gather(*staging)
            for cut, (manifest, identity) in zip(cuts, staged, strict=True):
                cut.state.saved = (cut.next, identity)
                if manifest.files:
                    cut.state.manifests += (manifest,)
            if not flushed:
                return self._count(Committed.RETRY)
            if self.token != token:
                return self._count(Committed.FENCED)
            return await self._commit(committer, [s for s in todo if self.states.get(s.tp) is s], token)

    async def _commit(self, committer: Committer, states: list[PartitionState], token: Token) -> Committed:
        saved = {state.tp: state.saved for state in states}
        outcome = await committer.commit_fenced(saved, token, self._commit_limit_s)
        if outcome is Committed.OK:
            publishing = []
            for state in states:
                state.committed = saved[state.tp]
                manifests, state.manifests = state.manifests, ()
                publishing.append(asyncio.to_thread(self._store.publish, state, manifests, state.committed))
            await asyncio.gather(*publishing)
        elif outcome is Committed.FENCED and self.token == token:
            self.release()  # perform_seek follows with the new membership and loads what the broker has
        return self._count(outcome)

    def _count(self, outcome: Committed) -> Committed:
        self.commits[outcome] += 1
        if outcome is Committed.OK:
            self._fenced_in_a_row = 0
        elif outcome is Committed.FENCED:
            self._fenced_in_a_row += 1
            log.warning("commit fenced (%d in a row): the group has moved on", self._fenced_in_a_row)
            if self._fenced_in_a_row >= MOST_FENCED:
                raise FencedError(f"{MOST_FENCED} commits fenced in a row: does another worker use this instance id?")
        else:
            log.warning("commit put off: the broker does not answer; the state is kept")
        return outcome
