"""Checkpoints: the commit of an offset is the only pointer to the truth, and everything it points to is there first.

Per partition: stage the interval's Parquet files, some of them ahead where memory demands it, or, where they would be
small ones, its rows as a piece that waits; write one immutable snapshot that names them; commit the next offset with
the snapshot's id as metadata; publish what is staged. On assignment: read offset and metadata, load that snapshot,
publish what it names, seek to its next offset. A worker that lost its partition cannot commit, so what it staged is
never seen by anybody.
"""

import asyncio
import logging
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

import pyarrow as pa
from faust.types import TP

from streams import clock
from streams.kafka.identity import TopicNow
from streams.kafka.transport import Assigned, Committed, Token
from streams.state import catch_up
from streams.state.fits import StateError, check_partitions, check_topic
from streams.state.partition import Cut, PartitionState
from streams.state.snapshot_files import SnapshotError
from streams.state.staging import Staged
from streams.state.store import PartitionStore
from twin.audit import AlreadyPublishedError, AuditError, GoneError
from twin.audit.claims import Claim
from twin.audit.waiting import Piece
from twin.audit.writer import Manifest

log = logging.getLogger(__name__)

MOST_FENCED: Final = 6
# One computes while another waits for its disk. More take the processor from the fold, and memory each.
_STAGED_AT_ONCE: Final = 2
# Small ones are little work and mostly wait for the disk, which takes many as quickly as one: so many by a thread, one
# after the other, by so many threads. 1,000 partitions that were staged two at a time took half a minute.
_SMALL_BYTES: Final = 256 << 10  # rows and state
_SMALL_TOGETHER: Final = 16
_SMALL_AT_ONCE: Final = 4
_PUBLISHED_AT_ONCE: Final = 4
_ASKED_AGAIN_S: Final = 0.2
_LOADED_AT_ONCE: Final = 2  # likewise: of each the packed state, the unpacked one and what it becomes


class FencedError(RuntimeError):
    """Commits were refused again and again: most likely two workers use one instance id."""


class Committer(Protocol):
    """What a checkpoint needs of `streams.kafka.transport.Consumer`."""

    def token(self) -> Token: ...

    async def commit_fenced(
        self, offsets: Mapping[TP, tuple[int, str]], token: Token, limit_s: float = ...
    ) -> Committed: ...

    async def topic(self, topic: str, limit_s: float = ...) -> TopicNow:
        """What the topic is now, as a broker says."""


class Outputs(Protocol):
    """What a checkpoint needs of `streams.worker.publish.Publisher`."""

    async def flush(self, limit_s: float, *, patient: bool = False) -> bool:
        """True when the broker has acknowledged all that was sent before the call. `patient`: the limit is of each
        pause.
        """

    def claim(self, claim: Claim) -> None:
        """Say outside the root what is committed."""


class _Made(NamedTuple):
    """A snapshot, and all that it is the first to name."""

    identity: str
    named: tuple[Manifest | Piece, ...]


_Outcome = _Made | Exception  # of staging one partition


class Checkpointer:
    """The asynchronous half: who owns what, and when it is safe to say so."""

    def __init__(self, store: PartitionStore, outputs: Outputs, *, commit_limit_s: float = 5.0) -> None:
        self.states: dict[TP, PartitionState] = {}
        self.token: Token | None = None
        self.loading = (0, 0)  # states loaded, of how many, for the newest membership
        self.commits = dict.fromkeys(Committed, 0)
        self.handed_over = asyncio.Event()  # set when rows that waited are on their way to the disk
        self._store = store
        self._outputs = outputs
        self._commit_limit_s = commit_limit_s
        self._lock = asyncio.Lock()
        self._packing = asyncio.Lock()
        self._staging = asyncio.Semaphore(_STAGED_AT_ONCE)
        self._small = asyncio.Semaphore(_SMALL_AT_ONCE)
        self._most_ready = 0  # bytes of rows that may wait: never less than `ready_bytes`
        self._fenced_in_a_row = 0
        self._turn = 0
        self._removing: set[asyncio.Future[None]] = set()
        self._unsent = list[_Made]()  # what no commit has named yet, since one was put off

    async def install(
        self, assigned: Mapping[TP, Assigned], token: Token, committer: Committer
    ) -> dict[TP, int] | None:
        """The transport's seek hook: states for this token, and where to seek. None: outdated while loading."""
        if self.token == token and set(self.states) == set(assigned):
            return {tp: state.next for tp, state in self.states.items()}  # called again for the same membership
        await asyncio.to_thread(self._store.bind, assigned)
        await asyncio.to_thread(self._store.look)
        self.loading = (0, len(assigned))

        loading = asyncio.Semaphore(_LOADED_AT_ONCE)

        async def load(tp: TP, info: Assigned) -> PartitionState:
            async with loading:
                state = await asyncio.to_thread(self._store.load, tp, info)
            self.loading = (self.loading[0] + 1, len(assigned))
            return state

        try:
            loaded = await asyncio.gather(*(load(tp, info) for tp, info in assigned.items()))
        except (AuditError, SnapshotError, StateError):
            # Who was overtaken while it loaded finds neither the rows that waited nor the snapshots of its commit.
            known = {tp: (at.committed, at.metadata) for tp, at in assigned.items() if at.committed is not None}
            if await self._lost(known, committer, token):
                return None
            raise
        # What unpacking took goes back to the system; of a quiet worker no checkpoint would give it back for long.
        await asyncio.to_thread(pa.default_memory_pool().release_unused)
        if committer.token() != token:
            return None
        lost, self.states = self.states, {state.tp: state for state in loaded}
        self._most_ready = self.ready_bytes
        self.token, self._unsent = token, []
        self._unstage_ahead(lost.values())
        for state in loaded:
            if state.known_committed:  # its last owner may have died before it said so
                self._outputs.claim(self._store.claim(state))
            log.info("%s/%d: from offset %d", state.tp.topic, state.tp.partition, state.next)
        return {state.tp: state.next for state in loaded}

    async def compare(self, state: PartitionState) -> None:
        """After each part of a run: at the end of a published interval, hold the replayed rows against it.

        Raises StateError when they differ: neither can be trusted more than the other.
        """
        while (replay := state.catching_up) is not None and state.next >= replay.boundary:
            state.first, rows = replay.boundary, state.taken_rows()
            frozen = state.twin.freeze() if replay.models else None
            try:
                done = await asyncio.to_thread(self._store.compare, state, rows, frozen)
            except catch_up.DisagreementError as error:
                raise StateError(
                    f"{error}. The files were changed, or another version or plant wrote them; keep both, and replay "
                    "the events with a new group into a new audit root"
                ) from error
            if done:
                log.warning("%s/%d: up to %d the replay agrees", state.tp.topic, state.tp.partition, state.first)

    @property
    def ready_bytes(self) -> int:
        """Of the rows of all partitions that could be staged now."""
        return sum(state.ready_bytes for state in self.states.values())

    def grown(self, size: int) -> None:
        """A partition has so many bytes of rows more."""
        self._most_ready += size

    def ready(self, limit_bytes: int) -> bool:
        """Whether rows of so many bytes could be staged. Asked behind each run: to add up 1,000 partitions each time
        was a fifth of what their events took.
        """
        if self._most_ready >= limit_bytes:
            self._most_ready = self.ready_bytes
        return self._most_ready >= limit_bytes

    def release(self) -> None:
        """The partitions are gone: records that are still on their way find no state."""
        lost, self.states = self.states, {}
        self.token, self._unsent = None, []
        self._unstage_ahead(lost.values())

    async def stage_ahead(self, committer: Committer) -> None:
        """Write the rows of the partitions that have most of them. They wait for a checkpoint like those it stages.

        Without the states, which memory does not grow by: copying, packing and committing these for each 24 MiB of rows
        was a fourth of what a worker did.
        """
        async with self._lock:
            token = self.token
            left = total = self.ready_bytes
            some = []
            for state in sorted(self.states.values(), key=lambda state: state.ready_bytes, reverse=True):
                if 2 * left <= total:  # the others' files would be small ones
                    break
                some.append(state)
                left -= state.ready_bytes
            if token is None or not some:
                return
            results = await asyncio.gather(*map(self._stage_rows, some), return_exceptions=True)
            errors = [one for one in results if isinstance(one, BaseException)]
            if await self._overtaken(errors, committer, token):
                if self.token == token:
                    self.release()
                self._count(Committed.FENCED)

    async def _stage_rows(self, state: PartitionState) -> None:
        async with self._staging:
            if self.states.get(state.tp) is not state or not state.ready_bytes:
                return
            rows = state.cut_rows()
            self.handed_over.set()
            made = await asyncio.to_thread(self._store.stage_rows, rows)
        if self.states.get(state.tp) is state:
            state.staged(made)
        else:
            await asyncio.to_thread(self._store.staging.unstage, made.manifests)

    def _unstage_ahead(self, states: Iterable[PartitionState]) -> None:
        """Remove what no snapshot names: the group goes on from before it, and at the end of a log nobody else would.

        Once, by a thread: a disk that does not answer must not hold up a revocation.
        """
        foreign = [manifest for state in states for manifest in state.ahead]
        for state in states:
            state.ahead = ()
        if foreign:
            removing = asyncio.ensure_future(asyncio.to_thread(self._store.staging.unstage, foreign))
            self._removing.add(removing)
            removing.add_done_callback(self._removing.discard)

    async def tidied(self, limit_s: float) -> None:
        """Wait until what was staged ahead of lost partitions is removed."""
        if self._removing:
            await asyncio.wait(self._removing, timeout=limit_s)

    async def checkpoint(self, committer: Committer, parts: int = 1, *, publish: bool = False) -> Committed | None:
        """One checkpoint of every partition that has moved, or of a part of them: those whose turn was longest ago.

        `publish`: afterwards no committed row waits for a file. None: nothing to do. Raises FencedError.
        """
        async with self._lock:  # of the timer, of a revocation, of the stop: one after the other
            token = self.token
            turn = sorted(self.states.values(), key=lambda state: state.turn)[: -(-len(self.states) // parts)]
            self._turn += 1
            for state in turn:
                state.turn = self._turn
            due = {state.tp for state in turn if state.due(0.0 if publish else self._store.staging.publish_after_s)}
            cut = [state for state in turn if state.moved or state.tp in due]
            todo = [state for state in turn if state.moved or state.tp in due or state.saved != state.committed]
            if not todo or token is None:
                return None
            cut.sort(key=lambda state: state.bytes, reverse=True)  # who waits for room waits for the most of it
            due = {state.tp for state in cut} if publish else due
            small, large = list[PartitionState](), list[PartitionState]()
            for state in cut:
                (small if state.bytes + state.snapshot_bytes < _SMALL_BYTES else large).append(state)
            groups = [small[at : at + _SMALL_TOGETHER] for at in range(0, len(small), _SMALL_TOGETHER)]
            staging = [self._stage(state, publish=state.tp in due) for state in large]
            results = await asyncio.gather(*staging, *(self._stage_small(group, due) for group in groups))
            outcomes = [one for several in results for one in several]
            made = [*self._unsent, *(one for one in outcomes if isinstance(one, _Made))]
            self._unsent, sent = [], False
            overtaken = await self._overtaken([one for one in outcomes if isinstance(one, Exception)], committer, token)
            # Outputs first: what was concluded from an offset must be out before the offset counts as done.
            flushed = overtaken or await self._outputs.flush(self._commit_limit_s, patient=True)
            if not flushed:
                outcome = Committed.RETRY
            elif overtaken or self.token != token:
                outcome = Committed.FENCED
            else:
                todo = [state for state in todo if self.states.get(state.tp) is state]
                sent = await self._same_topic(committer, todo)
                outcome = await self._commit(committer, todo, token) if sent else Committed.RETRY
            if outcome is Committed.RETRY and not sent and self.token == token:
                self._unsent = made  # of a commit that was sent, nobody knows whether it was taken
            if outcome is Committed.FENCED:
                if self.token == token:
                    self.release()  # perform_seek follows with the new membership and loads what the broker has
                # Nobody will commit these files. Where the group has nothing more to publish, nobody else removes them.
                identities = [one.identity for one in made]
                await asyncio.to_thread(self._store.discard, identities, [file for one in made for file in one.named])
            return self._count(outcome)

    async def _stage(self, state: PartitionState, *, publish: bool) -> list[_Outcome]:
        """The new snapshot; nothing when the partition was lost before its turn came.

        States are copied and packed one at a time: those of 10,000 stations are 240 MB, twice that while packed.
        """
        try:
            async with self._packing:
                cut = state.cut(publish=publish) if self.states.get(state.tp) is state else None
                if cut is None:
                    return []
                self.handed_over.set()
                encoded = await asyncio.to_thread(cut.frozen.encode)
            async with self._staging:
                made, identity = await asyncio.to_thread(self._store.stage, cut, encoded)
        except Exception as error:
            return [error]
        return [self._staged(cut, made, identity, len(encoded))]

    async def _stage_small(self, states: Sequence[PartitionState], due: Container[TP]) -> list[_Outcome]:
        """The same of several, by one thread. `due`: those whose rows become files."""
        async with self._small:
            try:
                mine = [state for state in states if self.states.get(state.tp) is state]
                cuts = [cut for state in mine if (cut := state.cut(publish=state.tp in due)) is not None]
            except Exception as error:
                return [error]
            if not cuts:
                return []
            self.handed_over.set()
            found = await asyncio.to_thread(lambda: [self._made(cut) for cut in cuts])
        return [
            one if isinstance(one, Exception) else self._staged(cut, *one) for cut, one in zip(cuts, found, strict=True)
        ]

    def _made(self, cut: Cut) -> tuple[Staged, str, int] | Exception:
        """What one checkpoint has put on the disk, the snapshot's id, and how long its state is."""
        try:
            encoded = cut.frozen.encode()
            return *self._store.stage(cut, encoded), len(encoded)
        except Exception as error:
            return error

    def _staged(self, cut: Cut, made: Staged, identity: str, size: int) -> _Made:
        state = cut.rows.state
        state.saved = (cut.rows.next, identity)
        state.snapshot_bytes = size
        return _Made(identity, state.staged(made, identity))

    async def _overtaken(self, errors: Sequence[BaseException], committer: Committer, token: Token) -> bool:
        """False without errors; True when another owner has published what this one was about to; raises otherwise."""
        for error in errors:
            if not isinstance(error, AlreadyPublishedError | GoneError):
                raise error
        if not errors:
            return False
        if self.token == token:
            known = {tp: state.committed for tp, state in self.states.items() if state.committed[1]}
            if not await self._lost(known, committer, token):
                raise errors[0]
        return True

    async def _lost(self, known: Mapping[TP, tuple[int, str]], committer: Committer, token: Token) -> bool:
        """Whether the group has gone on without us. `known`: what it has committed.

        A worker hears from the group seconds later that it is no member any more. It is asked by committing once more
        what is committed: that changes nothing, and is refused to anybody else.
        """
        if committer.token() != token:
            return True
        end_s = clock.monotonic_s() + self._commit_limit_s
        # Who wakes up may have to look for the group's broker first.
        while known and clock.monotonic_s() < end_s:
            answer = await committer.commit_fenced(known, token, self._commit_limit_s)
            if answer is not Committed.RETRY:
                return answer is Committed.FENCED
            await asyncio.sleep(_ASKED_AGAIN_S)
        return False

    async def _commit(self, committer: Committer, states: list[PartitionState], token: Token) -> Committed:
        saved = {state.tp: state.saved for state in states}
        outcome = await committer.commit_fenced(saved, token, self._commit_limit_s)
        if outcome is Committed.OK:
            committed = []
            for state in states:
                state.committed = saved[state.tp]
                manifests, state.manifests = state.manifests, ()
                committed.append((state, manifests, state.committed))
            # Few threads, each of neighbours in the list: what is staged is listed once by each.
            step = max(-(-len(committed) // _PUBLISHED_AT_ONCE), 1)
            parts = [committed[begin : begin + step] for begin in range(0, len(committed), step)]
            await asyncio.gather(*(asyncio.to_thread(self._store.publish_all, part) for part in parts))
            # Not before: what is said there must hold for good. Acknowledged before the next commit.
            for state in states:
                self._outputs.claim(self._store.claim(state))
            # Behind it: what was sent of a changed line and not committed would come again under another hash.
            await asyncio.to_thread(self._store.check_plant)
        return outcome

    async def _same_topic(self, committer: Committer, states: list[PartitionState]) -> bool:
        """Whether the topic is still the one it was, and divided so; False: nobody says. Raises StateError when not.

        Asked between the cut and the commit: what was folded of lines that now belong elsewhere, or of another topic's
        records, is never committed. The client hears of new partitions seconds later, and of a new topic not at all.
        """
        for topic in {state.tp.topic for state in states}:
            now = await committer.topic(topic, self._commit_limit_s)
            if not now.partitions:
                return False
            for state in states:
                where = f"{topic}/{state.tp.partition}"
                check_topic(where, topic, state.topic_id, now.id)
                check_partitions(where, state.partitions, now.partitions)
        return True

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
