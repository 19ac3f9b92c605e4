"""How rows come to the disk: as files where there are enough of them or they have waited long enough, else as pieces
that wait (`twin.audit.waiting`). Blocks on the disk.

The choice is one of size and of the wall clock; no row, and no digest, depends on it.
"""

import itertools
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from streams.state.patience import Patience
from twin.audit import bases, layout, waiting
from twin.audit.waiting import Piece
from twin.audit.writer import AuditWriter, Manifest, unstage

if TYPE_CHECKING:
    from streams.state.partition import PartitionState, Rows

log = logging.getLogger(__name__)

# A table of fewer rows is joined with its like before it is written.
_LARGE_ROWS: Final = 4_096
# Rows that make this part of a file by themselves are not written twice to make it whole.
_WORTH_A_FILE: Final = 0.5


@dataclass(frozen=True, slots=True)
class Base:
    """A state to be kept in the root (`twin.audit.bases`)."""

    day: str  # the folder it goes to
    state: bytes


@dataclass(frozen=True, slots=True)
class Staged:
    """What one checkpoint has put on the disk, and nobody sees yet."""

    manifests: tuple[Manifest, ...] = ()  # of the rows, and of all that waited before them
    piece: Piece | None = None  # the rows wait
    size: int = 0  # bytes of the rows that wait, in memory


@dataclass(frozen=True, slots=True)
class Waits:
    """The pieces of one partition that wait, in their order."""

    pieces: tuple[Piece, ...] = ()
    size: int = 0  # bytes of their rows in memory
    foreign: bool = False  # made by another version or under another plant: they become files of their own

    def behind(self, made: Staged) -> "Waits":
        """After a checkpoint."""
        left = NOTHING_WAITS if made.manifests else self
        if made.piece is None:
            return left
        return Waits((*left.pieces, made.piece), left.size + made.size)


NOTHING_WAITS: Final = Waits()


class Staging:
    """Of one audit root. Rows become a file when `publish_bytes` of them are there (as in memory), or after
    `publish_after_s`; 0: at every checkpoint."""

    def __init__(self, audit: Path, patience: Patience, publish_bytes: int, publish_after_s: float) -> None:
        self._audit = audit
        self._patience = patience
        self._publish_bytes = publish_bytes
        self.publish_after_s = publish_after_s
        self._discarded: dict[int, int] = {}  # up to where pieces were, by partition

    def stage(self, rows: "Rows", *, publish: bool, base: Base | None = None) -> Staged:
        """The rows and what waits before them as files, or the rows as one more piece that waits.

        A base that the rows begin with is staged before them, `base` behind them.
        """
        state = rows.state
        # A checkpoint that was given up may still be at it: nobody will see what it writes, or what follows.
        with state.writing:
            tables: dict[str, list[pa.Table]] = {}
            for set_name, table in rows.tables:
                tables.setdefault(set_name, []).append(table)
            joined = {set_name: _joined(several) for set_name, several in tables.items()}
            rows.tables.clear()  # two copies are enough
            size = sum(table.nbytes for table in joined.values())
            waits, manifests = state.waits, tuple[Manifest, ...]()
            if waits.foreign or (rows.opening is not None and waits.pieces):
                manifests, waits = tuple(self._files(state, waits, {}, rows.first, rows.first)), NOTHING_WAITS
            if rows.opening is not None:
                opening = Base(rows.opening.day, rows.opening.frozen.encode())
                manifests += (self._base(state, opening, rows.first),)
            if publish or self._worth_a_file(size, waits):
                manifests += tuple(self._files(state, waits, joined, rows.first, rows.next))
                return Staged((*manifests, self._base(state, base, rows.next)) if base is not None else manifests)
            if rows.first == rows.next:
                return Staged(manifests)
            before = waits.pieces[-1] if waits.pieces else None
            offsets = rows.first, rows.next
            piece, data = waiting.encode(state.tp.partition, offsets, before, state.writer.footer, joined)
            self._patience(partial(self._put, piece, data))
            return Staged(manifests, piece, size)

    def _put(self, piece: Piece, data: bytes) -> None:
        waiting.stage(self._audit, piece, data)

    def _worth_a_file(self, size: int, waits: Waits) -> bool:
        enough = self._publish_bytes
        return not self.publish_after_s or size >= _WORTH_A_FILE * enough or size + waits.size >= enough

    def _base(self, state: "PartitionState", base: Base, offset: int) -> Manifest:
        rows = bases.table(base.state)
        return self._patience(partial(state.writer.stage_base, offset, base.day, rows))

    def _files(
        self, state: "PartitionState", waits: Waits, tables: Mapping[str, pa.Table], first: int, end: int
    ) -> Iterator[Manifest]:
        """What waits, and these rows of offsets [first, end): a file for each plant and version, as its footer says."""
        writer, pieces = state.writer, waits.pieces
        begin = pieces[0].first_offset if pieces else first
        read = (self._patience(partial(_read, self._audit, piece)) for piece in pieces)
        for footer, group in itertools.groupby(read, key=lambda one: one.head.footer):
            for one in group:
                _add(writer, one)
                first = one.piece.next_offset
            if footer != writer.footer:
                yield self._patience(partial(writer.stage, begin, first, footer))
                begin = first
        for set_name, table in tables.items():
            writer.add(set_name, table)
        # Without an offset and a row there is nothing to say.
        if begin < end or not pieces:
            yield self._patience(partial(writer.stage, begin, end))

    def unstage(self, staged: Sequence[Manifest | Piece]) -> None:
        """Remove what nobody will commit."""
        for one in staged:
            if isinstance(one, Piece):
                waiting.unstage(self._audit, one)
            else:
                unstage(self._audit, one.files)

    def publish(self, writer: AuditWriter, manifests: Sequence[Manifest], pieces: Sequence[Piece]) -> None:
        """Make visible what is committed. May be repeated."""
        writer.publish(*manifests)
        while writer.mended:
            log.warning(
                "%s/%s: was damaged, and is written anew as the commit names it", self._audit, writer.mended.pop()
            )
        waiting.publish(self._audit, pieces)

    def tidy(
        self, partition: int, published: int, committed: int, staged: Mapping[int, Sequence[str]] | None = None
    ) -> None:
        """Remove pieces whose rows are published up to an offset, and staged files that end at or below a committed
        one whose own files are published. `staged`: as `layout.all_staged` says, if it was asked before.

        Not simply every file the snapshot does not name: a worker that slept through the loss of its partition would
        take away what the new owner has just staged. Files that end above are the new owner's, or are removed later.
        """
        if self._discarded.get(partition) != published:  # else the pieces of a quarter of an hour are listed in vain
            waiting.discard(self._audit, partition, published)
            self._discarded[partition] = published
        mine = layout.staged(self._audit, partition) if staged is None else staged.get(partition, ())
        for name in mine:
            if int(name.rpartition("/")[2].split("-")[2]) <= committed:
                (self._audit / name).unlink(missing_ok=True)

    def forget(self, partition: int) -> None:
        """Whose partition it is may have changed: what others have left is looked for again."""
        self._discarded.pop(partition, None)

    def waits(self, last: Piece | None, writer: AuditWriter) -> Waits:
        """The pieces up to the last, as a snapshot names it. Raises AuditError where one is missing or damaged."""
        if last is None:
            return NOTHING_WAITS
        return waits_of(waiting.back_from(self._audit, last), writer)


def waits_of(read: Sequence[waiting.Rows], writer: AuditWriter) -> Waits:
    """What these pieces are to a writer that goes on behind them."""
    foreign = any(one.head.footer != writer.footer for one in read)
    return Waits(tuple(one.piece for one in read), sum(one.size for one in read), foreign)


def _read(audit: Path, piece: Piece) -> waiting.Rows:
    return waiting.read(waiting.place_of(audit, piece))


def _add(writer: AuditWriter, rows: waiting.Rows) -> None:
    for section in rows.head.sections:
        table = rows.table(section.set)
        assert table is not None
        writer.add(section.set, table, checked=True)  # when they were folded, by the rules of then


def _joined(tables: Sequence[pa.Table]) -> pa.Table:
    """One table of one set. Hundreds of small ones, as a source gives them that is not far behind, took the checks half
    a second, and writing column by column of each a third of a checkpoint's time. Large ones are not copied.
    """
    table = pa.concat_tables(tables)
    return table if table.num_rows >= _LARGE_ROWS * len(tables) else table.unify_dictionaries().combine_chunks()
