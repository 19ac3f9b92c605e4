"""Committed rows that are no file yet: whole, in order, behind what is published, and those that a snapshot names."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from twin.audit import AuditError, filelist, waiting
from twin.audit.intervals import Interval
from twin.audit.read import completed
from twin.audit.report import Head, Report
from twin.audit.rows import check_rows, integers
from twin.audit.waiting import Piece
from twin.results import ORIGIN

_PARTITION, _OFFSET = ORIGIN[1:3]


class WaitCheck:
    """Checks the pieces of a root into a report. `pieces`: all that were there before its files were listed."""

    def __init__(self, root: Path, report: Report, pieces: Sequence[Path]) -> None:
        self._root = root
        self._report = report
        self._pieces = pieces

    def check(self, head: Head, behind: Sequence[Interval], named: Sequence[Piece]) -> Iterator[str]:
        """One partition's, whose published files end at `head`. Gives the plant models that they name.

        Their sums and columns are looked at here, that no row is said twice when they are a file.
        """
        end = head.next_offset
        for interval in behind:
            assert interval.rows is not None
            self._report.checked["pieces of rows that wait"] += 1
            self._rows(interval, interval.rows)
            yield interval.rows.head.footer.get("taktwin.model", "")
            end = interval.next_offset
        for path in self._pieces:
            partition, first, following = waiting.offsets_of(path)
            if partition == head.partition and following > end and path.exists():
                self._report.differs(
                    path.relative_to(self._root).as_posix(),
                    f"holds rows from offset {first}, but what is published or waits before them ends at {end}: rows "
                    "between were taken away, or the files that hold them",
                )
        self._named(head, behind, named)

    def _rows(self, interval: Interval, rows: waiting.Rows) -> None:
        name = interval.name(self._root)
        for section in rows.head.sections:
            try:
                table = rows.table(section.set)
                assert table is not None
                check_rows(section.set, completed(section.set, table))
            except AuditError as error:
                self._report.differs(name, str(error))
                continue
            self._report.checked["rows that wait"] += table.num_rows
            offset = integers(table.column(_OFFSET))
            # As in a file: what was held may be refused in a later interval than it came in.
            first = 0 if section.set == "rejected" else interval.first_offset
            if ((offset < first) | (offset >= interval.next_offset)).any():
                self._report.differs(name, f"rows of {section.set} came from other offsets than its own")
            if (integers(table.column(_PARTITION)) != interval.partition).any():
                self._report.differs(name, f"rows of {section.set} are of another partition")

    def _named(self, head: Head, behind: Sequence[Interval], named: Sequence[Piece]) -> None:
        """Compare with the snapshots. One that was never committed may name other rows, of which none is to be seen."""
        end = max(head.next_offset, head.waiting_to)
        there = {interval.rows.piece for interval in behind if interval.rows is not None}
        for piece in named:
            if piece.next_offset > end and piece.staged(self._root) is None and not self._came_since(piece):
                self._report.differs(
                    piece.path, f"is missing: a snapshot names it, but what is published or waits ends at offset {end}"
                )
        at_end = [piece for piece in named if piece.next_offset == end] if head.waiting_to else []
        if at_end and not there & set(at_end):
            self._report.differs(
                at_end[-1].path, "is named by a snapshot as the last of the rows that wait, but others stand there"
            )

    def _came_since(self, piece: Piece) -> bool:
        """Whether it waits, or is published, by now: a worker at work committed it after the root was listed."""
        ends = [entry.next_offset for entry in filelist.entries(self._root, piece.partition).get(piece.partition, ())]
        ends += [waiting.offsets_of(path)[2] for path in waiting.visible(self._root, piece.partition)]
        return max(ends, default=0) >= piece.next_offset
