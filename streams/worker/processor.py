"""One run of records into one partition's state. No I/O, no await: offset, state and rows change in one step."""

from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kernels.codes import ORDER
from kernels.read.parquet_cells import least_step
from streams.kafka import partitioner, unpacking
from streams.kafka.records import Keys, Records
from streams.state.partition import PartitionState
from twin.audit.rows import events_with_origin, refused_with_origin, rejected_table, with_origin
from twin.events import reasons
from twin.events.block import EventBlock, Rejected, pick
from twin.plant.model import Plant
from twin.wire.decode import Decoder
from twin.wire.encode import EventRows, json_records

# Rows that orders may give in one go, and one record beyond: an order that is over gives one for the line and each
# station, and where there are buffers another one of each station's bottleneck.
MOST_ORDER_ROWS: Final = 1 << 17
# Result rows in one go. Of a source with an event every 10 s, a minute's window that moves on every second gives ten
# rows an event: those of 65,000 events at once were 150 MB as arrays, tables and text.
MOST_RESULT_ROWS: Final = 1 << 15
_CONTENT_TYPE: Final = "content-type"
_SHOWN: Final = 60  # bytes of a key


class RunKind(Enum):
    """Where a run stands to the offset that is due."""

    DUE = "due"
    OLD = "old"  # folded before: an earlier seek went back further than needed
    HOLE = "hole"  # the log has nothing in between: markers of a transaction, or retention was quicker than we
    LOST = "lost"  # a run went missing between fetch and here: go back, never skip


def kind_of(first: int, last: int, base: int | None, due: int) -> RunKind:
    """`base` is the fetch position before the run: the log holds nothing in [base, first)."""
    if last < due:
        return RunKind.OLD
    if first <= due:
        return RunKind.DUE
    return RunKind.HOLE if base is not None and base <= due else RunKind.LOST


@dataclass(frozen=True, slots=True)
class Folded:
    """What one run gave."""

    records: int
    events: int
    duplicates: int
    late: int
    tables: list[tuple[str, pa.Table]]  # results with their origin, every set but events and rejected
    rejected: list[Rejected]
    per_line: npt.NDArray[np.int64] | None = None  # events of each line of the plant


class Processor:
    """Decodes and folds the records of one topic."""

    def __init__(self, plant: Plant, topic: str) -> None:
        self._plant = plant
        self._topic = topic
        self._decoder = Decoder(plant)
        self._rows = EventRows(plant)
        self._rows_of_order = np.array([1 + len(line.stations) * (1 + bool(line.buffers)) for line in plant.lines])
        self._most_rows = int(self._rows_of_order.max(initial=1))
        self._keys = Keys([line.id for line in plant.lines])
        self._homes: dict[tuple[str, int], npt.NDArray[np.int64]] = {}
        self._former: dict[str, Processor] = {}  # by the plant's hash

    def warm(self) -> None:
        """Compile what unpacking and decoding need."""
        unpacking.warm()
        self._decoder.warm()
        self._keys.of(Records.of([]))
        least_step(np.zeros(1, np.int64))  # of the rows' origin

    def fold(self, state: PartitionState, records: Records) -> Folded:
        """Fold the records that are due, or as many of them as memory bears in one go (see `Folded.records`).

        Refused ones become rows; any other exception is a fault of ours.
        """
        if (former := self._of(state)) is not self:
            return replace(former.fold(state, records), per_line=None)  # by its lines, not ours
        partition = state.tp.partition
        due = records[records.first_at(state.next) :]
        block, rejected, taken = self._decoder.decode_some(due.values, due.offsets, _encodings(due))
        block, rejected, taken = self._bounded(block, rejected, due.offsets, taken)
        due = due[:taken]
        last = int(due.offsets[-1])
        block, misplaced = self._misplaced(block, due, self._home(state), state)
        rejected += misplaced
        results = state.twin.fold(block)
        origin = (self._topic, partition)
        tables = [
            (name, with_origin(table, *origin, last))
            for name, table in results.tables.items()
            if table.num_rows and name != "rejected"
        ]
        late = results.tables.get("rejected")
        if len(block):
            state.take_events(block, partial(self._event_rows, *origin))
        if rejected:
            state.take("rejected", rejected_table(rejected, *origin))
        if late is not None and late.num_rows:
            state.take("rejected", refused_with_origin(late, *origin))
            rejected += _as_rejected(late)
        for name, table in tables:
            state.take(name, table)
        state.next = last + 1
        per_line = np.bincount(block.line, minlength=len(self._plant.lines)) if len(block) else None
        return Folded(len(due), len(block), results.duplicates, results.late, tables, rejected, per_line)

    def _event_rows(self, topic: str, partition: int, block: EventBlock) -> pa.Table:
        return events_with_origin(self._rows.table(block), topic, partition, block.offset)

    def set_aside(self, state: PartitionState, records: Records, detail: str) -> Folded:
        """Refuse the first of these records unseen: the fold has failed on it before (`streams.worker.poison`)."""
        if (former := self._of(state)) is not self:
            return former.set_aside(state, records, detail)
        record, index = records[0], int(self._keys.of(records[:1])[0])
        line = None if index < 0 else self._plant.lines[index].id
        rejected = [Rejected(reasons.INTERNAL_ERROR, detail, record.offset, record.value, line)]
        state.take("rejected", rejected_table(rejected, self._topic, state.tp.partition))
        state.next = record.offset + 1
        return Folded(1, 0, 0, 0, [], rejected)

    def _of(self, state: PartitionState) -> "Processor":
        """Of the plant under which what is replayed was made."""
        plant = state.plant
        if plant is None or plant.hash == self._plant.hash:
            return self
        if plant.hash not in self._former:
            self._former[plant.hash] = Processor(plant, self._topic)
        return self._former[plant.hash]

    def _bounded(
        self, block: EventBlock, rejected: list[Rejected], offsets: npt.NDArray[np.int64], taken: int
    ) -> tuple[EventBlock, list[Rejected], int]:
        """What was decoded, or so many of its records (at least one) that their orders do not give too many rows."""
        orders = np.flatnonzero(block.type == ORDER)
        if len(orders) * self._most_rows <= MOST_ORDER_ROWS:  # nearly always
            return block, rejected, taken
        rows = np.cumsum(self._rows_of_order[block.line[orders]])
        fitting = int(np.searchsorted(rows, MOST_ORDER_ROWS, "right"))
        if fitting == len(orders):
            return block, rejected, taken
        fewer = max(int(np.searchsorted(offsets[:taken], block.offset[orders[fitting]])), 1)
        if fewer == taken:
            return block, rejected, taken
        end = int(offsets[fewer])
        kept = np.arange(np.searchsorted(block.offset, end))
        return pick(block, kept), [one for one in rejected if one.offset < end], fewer

    def _home(self, state: PartitionState) -> "Home | None":
        """Where each line belongs; None: nobody checks, or there is but one partition."""
        name, n = state.partitioner, state.partitions
        if name not in partitioner.CHOICES or n < 2:
            return None
        if (name, n) not in self._homes:
            homes = [partitioner.choose(name, line.id.encode(), n) for line in self._plant.lines]
            self._homes[name, n] = np.array(homes, np.int64)
        return Home(name, n, self._homes[name, n])

    def _misplaced(
        self, block: EventBlock, due: Records, home: "Home | None", state: PartitionState
    ) -> tuple[EventBlock, list[Rejected]]:
        """Refuse events of which another partition holds the line's state, or would: of one line there is one twin.

        With a partitioner that is the one it chooses for the line, and the key is the line's id. Without, a key that
        names no line of the plant (or none at all) says nothing.
        """
        partition = state.tp.partition
        keyed = self._keys.of(due)
        if not len(block) or (home is None and (keyed < 0).all()):
            return block, []
        # Mostly each record holds one event.
        single = len(block) == len(due) and bool((block.offset == due.offsets).all())
        position = np.arange(len(due)) if single else np.searchsorted(due.offsets, block.offset)
        expected = keyed if single else keyed[position]
        other = expected != block.line
        if home is None:
            wrong = np.flatnonzero(other & (expected >= 0))
        else:
            wrong = np.flatnonzero(other | (home.partition[block.line] != partition))
        if not wrong.size:
            return block, []
        # Of a record with one event its bytes as they came. Of one with many each event's own: the whole record once
        # per event would make 100 MB of 100 KB.
        alone = np.bincount(position) == 1
        rejected = []
        for i, own in zip(wrong.tolist(), json_records(pick(block, wrong), self._plant), strict=True):
            at = int(position[i])
            line = self._plant.lines[int(block.line[i])].id
            if other[i]:
                detail = f"event of line {line} in a record {_keyed(due[at].key)}; key each record by its line"
            else:
                assert home is not None
                detail = home.why(line, partition)
            value = due[at].value if alone[at] else own
            rejected.append(
                Rejected(reasons.WRONG_LINE_KEY, detail, int(block.offset[i]), value, line, int(block.ts[i]))
            )
        return pick(block, np.delete(np.arange(len(block)), wrong)), rejected


@dataclass(frozen=True, slots=True)
class Home:
    """The partition of each line of the plant, by a partitioner."""

    name: str
    partitions: int
    partition: npt.NDArray[np.int64]

    def why(self, line: str, found: int) -> str:
        """What is wrong with a record of this line that lies in partition `found`, and what to change."""
        right = partitioner.choose(self.name, line.encode(), self.partitions)
        others = partitioner.would_choose(line.encode(), self.partitions, found)
        fits = f", or, if all producers choose by {others[0]}, TAKTWIN_PARTITIONER={others[0]}" if others else ""
        return (
            f"event of line {line} in partition {found} of {self.partitions}, {self.name} of the key chooses {right}; "
            f"set the producer's partitioner to {self.name}{fits} (docs/producers.md)"
        )


def _keyed(key: bytes | None) -> str:
    return "without a key" if key is None else f"keyed {key[:_SHOWN].decode('utf-8', 'replace')!r}"


def records_at_once(before: int, folded: Folded) -> int:
    """How many records to fold in the next go, by the rows of this one, for which `before` were allowed.

    No row depends on it.
    """
    rows = sum(table.num_rows for _, table in folded.tables)
    if rows > MOST_RESULT_ROWS:
        return max(folded.records * MOST_RESULT_ROWS // rows, 1)
    return 2 * before if folded.records == before and rows <= MOST_RESULT_ROWS // 2 else before


def _encodings(records: Records) -> list[str | None] | None:
    some = records.with_headers
    if not some:
        return None
    found: list[str | None] = [None] * len(records)
    for i in some:
        kind = next((value for name, value in records.headers(i) if name.lower() == _CONTENT_TYPE), None)
        found[i] = None if kind is None else kind.decode("ascii", "replace")
    return found


def _as_rejected(table: pa.Table) -> list[Rejected]:
    times = table.column("ts").cast(pa.int64()).to_pylist()
    rows = table.select(["reason", "detail", "source_offset", "value", "line"]).to_pylist()
    return [
        Rejected(row["reason"], row["detail"] or "", row["source_offset"], row["value"], row["line"], ts)
        for row, ts in zip(rows, times, strict=True)
    ]
