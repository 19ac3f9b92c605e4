"""From the bytes on the wire to event columns. No bytes whatever raise: what is not an event is `Rejected`."""

import sys
from collections.abc import Sequence
from operator import attrgetter
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kernels.codes import ORDER
from twin.events.block import EventBlock, Rejected, pick
from twin.events.declare import MAX_DECODED_BYTES, MAX_ORDERS_PER_RECORD
from twin.plant.model import Plant
from twin.wire.arrow import ArrowReader, ArrowRun, layout, part
from twin.wire.encode import ROWS, is_encoded
from twin.wire.forms import Forms
from twin.wire.framing import CONTINUATION, UnreadableError
from twin.wire.json import JsonRun
from twin.wire.lookup import Lookup, Words
from twin.wire.part import Offsets, join
from twin.wire.plain import PlainReader, nothing_plain
from twin.wire.plain_arrow import PlainArrowReader, nothing_plain_arrow
from twin.wire.stored import StoredReader
from twin.wire.values import Values

ARROW: Final = "application/vnd.apache.arrow.stream"


class Decoder:
    """Decodes the records of one plant. It keeps no state that changes a result."""

    def __init__(self, plant: Plant, plain_arrow: bool = True) -> None:
        """`plain_arrow`: whether Arrow records of forms that were read before take a shorter way, to the same end."""
        forms = Forms()
        self._lookup = Lookup(plant)
        self._reader = ArrowReader(forms)
        self._plain = PlainReader(self._lookup)
        self._stored = StoredReader(self._lookup, ROWS)
        self._plain_arrow = PlainArrowReader(forms) if plain_arrow else None

    def warm(self) -> None:
        """Compile what decoding needs: records of both kinds, refused at once."""
        self.decode((b"", CONTINUATION), (0, 1))
        if self._plain_arrow:
            self._plain_arrow.warm()

    def decode(
        self,
        values: Sequence[bytes],
        offsets: Offsets,
        encodings: Sequence[str | None] | None = None,
    ) -> tuple[EventBlock, list[Rejected]]:
        """Records (JSON or Arrow, mixed as they came) to one block and the refusals, both in the order of arrival.

        `offsets` and `encodings` (the `content-type` header, or None) go with `values` one by one. An event's
        offset is that of its record.
        """
        block, rejected, _ = self.decode_some(values, offsets, encodings, most_bytes=sys.maxsize)
        return block, rejected

    def decode_some(
        self,
        values: Sequence[bytes],
        offsets: Offsets,
        encodings: Sequence[str | None] | None = None,
        most_bytes: int = MAX_DECODED_BYTES,
    ) -> tuple[EventBlock, list[Rejected], int]:
        """As `decode`, but only so many records that about `most_bytes` hold them: at least one, and how many."""
        values = values if isinstance(values, Values) else Values.of(values)
        words = Words()
        json_run = JsonRun(self._lookup, words)
        plain = self._plain.read(values, most_bytes) if _mostly_json(values) else nothing_plain(len(values))
        most_bytes -= plain.decoded_bytes
        rest = plain.rest
        arrow = {i for i in rest if _is_arrow(values[i], encodings[i] if encodings is not None else None)}
        arrow_run = ArrowRun(self._lookup, words, self._reader, offsets)
        known = nothing_plain_arrow()
        if arrow and self._plain_arrow:
            known = self._plain_arrow.read([i for i in rest if i in arrow], values, most_bytes)
        arrow_bytes = done = 0
        if arrow:
            for i in rest:
                if arrow_bytes + json_run.decoded_bytes > most_bytes:
                    break
                if i in arrow:
                    arrow_bytes += known.sizes.get(i) or arrow_run.add(i, values[i])
                else:
                    json_run.add((i,), values, offsets, sys.maxsize)
                done += 1
        elif rest:
            done = json_run.add(rest, values, offsets, most_bytes)
        taken = plain.records
        if done and arrow_bytes + json_run.decoded_bytes > most_bytes:
            # What is not plain may be many events: what follows the last of these does not fit any more.
            taken = rest[done - 1] + 1
            plain, known = plain.before(taken), known.before(taken)
        known_part, left = known.part(self._lookup, words)
        for i in left:
            arrow_run.add(i, values[i])
        parts = [known_part, *arrow_run.parts(), plain.part(values, offsets, self._lookup, words)]
        if json_run.decoded_bytes:
            parts.append(json_run.part(values, offsets))
        return *_few_orders(*join(parts, offsets, words), values, offsets), taken

    def decode_rows(self, rows: pa.Table, offsets: npt.NDArray[np.int64]) -> tuple[EventBlock, list[Rejected]]:
        """As `decode_table`; the block has `rows` with it where encoding it would give them again, cell by cell."""
        block = self._stored.read(rows, offsets)
        if block is not None:
            return block, []
        block, refused = self.decode_table(rows, offsets)
        if not refused and is_encoded(rows, block):
            block.rows = rows
        return block, refused

    def decode_table(self, table: pa.Table, offsets: Offsets) -> tuple[EventBlock, list[Rejected]]:
        """Rows of an events table (as `twin.wire.encode.events_table` makes it) back to a block.

        `offsets` has one entry per row; columns that are no event fields are ignored. Raises `ValueError` when a
        column cannot hold its field: such a table is no events table.
        """
        if len(offsets) != table.num_rows:
            raise ValueError(f"{len(offsets)} offsets for {table.num_rows} rows")
        try:
            columns = layout(table.schema)
            # A damaged Parquet file may give indices beyond its dictionary, whatever its page checksums say.
            table.validate(full=True)
        except UnreadableError as fault:
            raise ValueError(f"not an events table: {fault.detail}") from fault
        except pa.ArrowException as fault:
            raise ValueError(f"damaged: {fault}") from fault
        words = Words()
        # Most fields belong to some types of events only; a column without a value is as good as not there.
        full = {name: i for name, i in columns.items() if table.column(i).null_count < table.num_rows}
        chunks = {name: [c for c in table.column(i).chunks if len(c)] for name, i in full.items()}
        record = np.arange(table.num_rows, dtype=np.int64)
        at = np.asarray(offsets, np.int64)
        return join([part(chunks, record, at, self._lookup, words)], at, words)


def _mostly_json(values: Sequence[bytes]) -> bool:
    """A guess that costs nothing: a run begins with what it is full of, and a single record is as quick without."""
    return len(values) > 1 and values[0][:4] != CONTINUATION


def _few_orders(
    block: EventBlock, rejected: list[Rejected], values: Sequence[bytes], offsets: Offsets
) -> tuple[EventBlock, list[Rejected]]:
    """Refuse records that hold too many order events, as a whole."""
    orders = block.offset[block.type == ORDER]
    if len(orders) <= MAX_ORDERS_PER_RECORD:
        return block, rejected
    places, numbers = np.unique(orders, return_counts=True)
    over = {int(at): int(n) for at, n in zip(places, numbers, strict=True) if n > MAX_ORDERS_PER_RECORD}
    if not over:
        return block, rejected
    rejected = [one for one in rejected if one.offset not in over]
    for i, offset in enumerate(map(int, offsets)):
        if number := over.get(offset):
            detail = f"{number} order events in one record, at most {MAX_ORDERS_PER_RECORD}: send smaller records"
            rejected.append(Rejected("too_large", detail, offset, values[i]))
    rejected.sort(key=attrgetter("offset"))
    return pick(block, np.flatnonzero(~np.isin(block.offset, list(over)))), rejected


def _is_arrow(value: bytes, content_type: str | None) -> bool:
    """Content decides where it can: only what is neither an Arrow stream nor looks like JSON is as the header says."""
    if value[:4] == CONTINUATION:
        return True
    if not content_type or content_type.partition(";")[0].strip().lower() != ARROW:
        return False
    return value.lstrip()[:1] not in (b"{", b"[")
