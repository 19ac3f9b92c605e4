"""What a worker holds of one partition: the twin, the rows that wait for a checkpoint, and what is staged."""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, Self

import pyarrow as pa
from faust.types import TP

from streams import clock
from streams.kafka.records import Records
from streams.state import catch_up
from streams.state.staging import NOTHING_WAITS, Staged, Waits
from twin.audit import bases
from twin.audit.rows import NO_DATE, by_date, check_rows, rejected_table
from twin.audit.waiting import Piece
from twin.audit.writer import AuditWriter, Manifest, rehearse
from twin.events.block import EventBlock, Rejected
from twin.events.packed import Packed, unpacked
from twin.events.reasons import DELETED_BY_RETENTION
from twin.plant.model import Plant

log = logging.getLogger(__name__)

# Records folded in one go before it is known how many rows they give.
FIRST_RECORDS: Final = 64
# What Arrow needs for a column of a table, whatever is in it (1.3 KB, measured): of a table with one row nearly all.
COLUMN_BYTES: Final = 1_400
# Of so few events, as a slow line gives with every run, no rows are made before there are more: made one by one they
# were half of the fold's time, and so much memory that 1,000 partitions wrote files ahead of their checkpoints.
FEW_EVENTS: Final = 64


class Frozen(Protocol):
    """A state as it was when it was frozen."""

    def encode(self) -> bytes: ...


class Twin(Protocol):
    """What a checkpoint needs of `twin.line.PartitionTwin`."""

    def __init__(self, plant: Plant, partition: int) -> None: ...

    @classmethod
    def restore(cls, plant: Plant, partition: int, data: bytes) -> Self: ...

    @classmethod
    def carried(cls, before: Plant, plant: Plant, partition: int, data: bytes) -> Self:
        """From a state that was made under another plant model."""

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
    tables: list[tuple[str, pa.Table]] = field(default_factory=list)  # rows since the last cut, as far as they are made
    few: list[Packed] = field(default_factory=list)  # events behind those, of which no rows are made yet
    few_rows: Callable[[EventBlock], pa.Table] | None = None  # makes them
    few_bytes: int = 0
    bytes: int = 0  # of all of these
    turn: int = 0  # of its last checkpoint, counted by the worker
    writing: threading.Lock = field(default_factory=threading.Lock)  # the writer is one thread's at a time
    partitions: int = 0  # of the topic
    topic_id: str = ""  # as Kafka gave it; "": it gave none
    # Loaded from the commit itself, and all that it names is published; or nothing was ever committed.
    known_committed: bool = False
    partitioner: str = ""  # by which records are checked; "": not at all, the state is older than the check
    deleted: int = 0  # offsets that retention took before they were read
    snapshot_bytes: int = 0  # of the newest snapshot's state
    viewed: int = -1  # `next` when its views were made last
    opening: "Opening | None" = (
        None  # the state before the rows since the last cut: of another kind than what came before
    )
    base_day: str = ""  # of event time, of the last daily base
    based: bool = False  # a base stands at the end of what is replayed
    records_at_once: int = FIRST_RECORDS  # folded in one go: as many as give a bearable number of rows
    catching_up: catch_up.CatchUp | None = None  # replaying what is published already: nothing is written or committed
    plant: Plant | None = None  # a former one, under which that was made; None: the worker's

    def take(self, set_name: str, table: pa.Table) -> None:
        """Keep rows for the audit. The writer itself is used by the checkpoint's thread only."""
        if table.num_rows:
            self._keep(set_name, table)  # here a fault still belongs to the record that was folded
            self.bytes += table.nbytes + COLUMN_BYTES * table.num_columns

    def _keep(self, set_name: str, table: pa.Table) -> None:
        check_rows(set_name, table)
        self.tables.append((set_name, table))

    def take_events(self, block: EventBlock, rows: Callable[[EventBlock], pa.Table]) -> None:
        """Keep events for the audit; `rows` makes rows of the set `events` of them."""
        if len(block) > FEW_EVENTS or block.rows is not None:
            self.make_rows()
            self.take("events", rows(block))
            return
        packed = Packed.of(block)
        self.few.append(packed)
        self.few_rows = rows
        self.few_bytes += packed.size
        self.bytes += packed.size

    def make_rows(self) -> None:
        """Of events of which none are made yet. Whoever needs to know of which record a fault is asks after each."""
        if self.few:
            self.take("events", self._rows_of_few())
            self.bytes -= self.few_bytes
            self.few_bytes = 0

    def _rows_of_few(self) -> pa.Table:
        assert self.few_rows is not None
        few, self.few = self.few, []
        return self.few_rows(unpacked(few))

    @property
    def rows(self) -> list[tuple[str, pa.Table]]:
        """Since the last cut."""
        self.make_rows()
        return self.tables

    def taken_rows(self) -> list[tuple[str, pa.Table]]:
        """Since the last cut; it has none then."""
        if self.few:
            self._keep("events", self._rows_of_few())
        rows, self.tables, self.bytes, self.few_bytes = self.tables, [], 0, 0
        return rows

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
        rows = Rows(self, self.first, self.next, self.taken_rows(), self.opening)
        self.first, self.opening = self.next, None
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


def step_over(state: PartitionState, log_start: int) -> None:
    """Offsets that retention has taken: said in the log, counted for /ready, and in the audit for good."""
    topic, partition = state.tp
    detail = f"offsets {state.next} to {log_start - 1} were deleted by retention before they were read"
    log.error("%s/%d: %s; keep the topic longer than a worker may be away", topic, partition, detail)
    state.take(
        "rejected", rejected_table([Rejected(DELETED_BY_RETENTION, detail, log_start - 1, b"", None)], topic, partition)
    )
    state.deleted += log_start - state.next
    state.next = log_start
