"""Is an audit root as it was written? Chain, checksums, footers, offsets, sums: everything but the computation itself.

That the rows follow from the events is another question, which `twin.audit.recompute` answers.
"""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow.parquet as pq

from twin.audit import AuditError, filelist, layout, left_out, models, replayed, waiting
from twin.audit.claims import Claim, ClaimCheck
from twin.audit.compactcheck import CompactCheck
from twin.audit.filecheck import Checked, FileCheck, note_lines
from twin.audit.identity import check_identities
from twin.audit.intervals import Contents, Interval, contents, intervals, kept
from twin.audit.listcheck import check_list
from twin.audit.read import footer
from twin.audit.report import EnoughError, Head, Report
from twin.audit.waitcheck import WaitCheck
from twin.audit.waiting import Piece
from twin.audit.writer import GENESIS, StagedFile
from twin.results import SETS


@dataclass(frozen=True, slots=True)
class Anchor:
    """What something outside the files says of a partition's chain: a worker's snapshot."""

    partition: int
    next_offset: int
    chain: str  # SHA-256 of the partition's last file at that offset
    where: str
    files: tuple[StagedFile, ...] = ()  # staged with it, and perhaps not yet published
    waiting: Piece | None = None  # the last of the rows behind that offset that are no file yet


@dataclass(frozen=True, slots=True)
class Start:
    """Where the chain of a partition begins: a whole audit root at offset 0, an export perhaps later.

    An export's manifest also says what it holds of the partition.
    """

    first_offset: int = 0
    previous_sha256: str = GENESIS
    manifest: str = ""  # name of the manifest; empty: nothing is said of topic and files
    topic: str = ""
    files: tuple[tuple[str, str, int], ...] = ()  # (name, SHA-256, bytes) in the order of the chain


def verify(
    root: Path | str,
    *,
    anchors: Sequence[Anchor] = (),
    tails: Mapping[int, str | Sequence[str]] | None = None,
    starts: Mapping[int, Start] | None = None,
    claims: Mapping[int, Sequence[Claim]] | None = None,
    every: bool = False,
) -> Report:
    """Check a root; stops at the first difference unless `every`. Raises AuditError where there is no root.

    `tails`: partition -> SHA-256 of files that its chain must hold, as an earlier check printed them. Given one, of
    each partition. `claims`: what was committed, by partition; given them, of each.
    Memory: the largest file's rows, what `check_identities` keeps of a date's rows, and some 500 bytes per file.
    """
    base = layout.existing_root(root)
    report = Report(every)
    noted = {partition: (one,) if isinstance(one, str) else tuple(one) for partition, one in (tails or {}).items()}
    with contextlib.suppress(EnoughError):
        _Verification(base, report, starts or {}, claims).run(anchors, noted)
    return report


class _Verification:
    def __init__(
        self,
        root: Path,
        report: Report,
        starts: Mapping[int, Start],
        claims: Mapping[int, Sequence[Claim]] | None = None,
    ) -> None:
        self._claims = ClaimCheck(report, claims) if claims is not None else None
        self._root = root
        self._report = report
        self._starts = starts
        self._files = FileCheck(root, report)
        self._models: set[str] = set()
        self._pruned: dict[int, Start] = {}
        self._compactions = CompactCheck(root, report, is_export=bool(starts))

    def run(self, anchors: Sequence[Anchor], tails: Mapping[int, Sequence[str]]) -> None:
        for path in layout.strange(self._root):
            what = "a twin makes no links" if path.is_symlink() else "no twin gives a file such a name"
            self._report.differs(
                path.relative_to(self._root).as_posix(),
                f"{what}, but other readers of this folder read it; move it out of the root",
            )
        for set_name in SETS:
            for path, version in layout.columns_files(self._root, set_name).items():
                if not path.is_symlink() and (wrong := left_out.problem(path, set_name, version)):
                    self._report.differs(path.relative_to(self._root).as_posix(), wrong)
        for digest in models.stored(self._root):
            self._model(digest)
        pieces = waiting.visible(self._root)
        both = self._contents()
        # As the folders have them: a file that is not listed, or no longer what it was, is looked at all the same.
        every = self._compactions.without_replaced(intervals(self._root))
        found = {partition: kept(self._root, partition, mine) for partition, mine in every.items()}
        self._prunings(every, found)
        if not found and not both.waiting:
            self._report.notes.append("no file is published here: there is nothing to check")
        waits = WaitCheck(self._root, self._report, pieces)
        claimed = self._claims.partitions if self._claims is not None else set()
        anchors = [*anchors, *self._done()]
        for partition in sorted({*found, *both.waiting, *tails, *(anchor.partition for anchor in anchors), *claimed}):
            mine = [anchor for anchor in anchors if anchor.partition == partition]
            behind = both.waiting.get(partition, [])
            waits_to = behind[-1].next_offset if behind else 0
            if found.get(partition) and waits_to <= found[partition][-1].next_offset:
                behind, waits_to = [], 0  # its files are there, and not listed yet
            self._partition(partition, found.get(partition, []), mine, tails.get(partition, ()), waits_to)
            for digest in waits.check(self._report.heads[-1], behind, [one.waiting for one in mine if one.waiting]):
                if digest not in self._models:
                    self._model(digest)
            if self._claims is not None:
                self._claims.waiting(self._report.heads[-1], {one.rows.piece for one in behind if one.rows is not None})
        if self._claims is not None:
            self._claims.missing({*found, *both.waiting})
        for partition in sorted({*found, *both.waiting} - set(tails)) if tails else ():
            self._report.differs(
                f"partition {partition}",
                "no end was noted of it, but of others: it was slipped in, or has begun since. Find out which, and "
                "note all ends anew",
            )
        self._lines(both)
        if not self._starts:  # an export has no plan, and need not be whole
            replayed.check(self._root, self._files.replays, self._report)
        named = {file.path for anchor in anchors for file in anchor.files} if anchors else None
        check_list(self._root, found, self._files, named, self._report)
        check_identities(self._root, self._readable(found), self._report)

    def _done(self) -> list[Anchor]:
        """Where shares of a replay ended that are done."""
        with contextlib.suppress(AuditError):  # told with the rest of the replay
            return [Anchor(one.share, one.next_offset, one.chain, one.name) for one in replayed.done(self._root)]
        return []

    def _lines(self, both: Contents) -> None:
        """A line has one twin. In two partitions it has two, of which each knows half of it; or one was slipped in."""
        where = self._files.lines
        for one in (one for group in both.waiting.values() for one in group):
            for set_name in SETS if one.rows is not None else ():
                table = one.rows.table(set_name) if set_name != "rejected" and one.rows is not None else None
                if table is not None:
                    note_lines(where, one.partition, one.name(self._root), table)
        for line, places in sorted(where.items()):
            self._report.checked["lines"] += 1
            if len(places) > 1:
                told = ", ".join(f"partition {partition} ({name})" for partition, name in sorted(places.items()))
                self._report.differs(f"line {line}", f"has rows in more than one partition: {told}")

    def _prunings(self, every: Mapping[int, list[Interval]], found: Mapping[int, list[Interval]]) -> None:
        """What was taken away on purpose is said, and where the chain begins since."""
        for partition, record in filelist.pruned(self._root).items():
            self._pruned[partition] = Start(record.first_offset, record.previous_sha256)
            self._report.checked["prunings"] += 1
            self._report.notes.append(
                f"partition {partition}: rows up to offset {record.first_offset}, all before {record.before}, were "
                f"pruned by {record.by} at {record.at}"
            )
            if left := len(every.get(partition, ())) - len(found.get(partition, ())):
                self._report.notes.append(
                    f"partition {partition}: files of {left} pruned intervals are there yet: call prune again"
                )

    def _contents(self) -> Contents:
        try:
            return contents(self._root, partly=True)
        except AuditError as error:  # of the list or of rows that wait: files are looked at one by one
            name = layout.FILES if layout.FILES in str(error) else layout.WAITING
            self._report.differs(name, str(error).removeprefix(f"{self._root / name}/"))
            return Contents()

    def _readable(self, found: Mapping[int, list[Interval]]) -> dict[int, list[Interval]]:
        readable = {}
        for partition, group in found.items():
            sound = [
                replace(one, files=tuple(file for file in one.files if file.path not in self._files.unreadable))
                for one in group
            ]
            readable[partition] = [one for one in sound if one.files]
        return readable

    def _partition(
        self, partition: int, found: list[Interval], anchors: list[Anchor], tails: Sequence[str], waits_to: int
    ) -> None:
        manifest = next((one.manifest for one in self._starts.values()), "")
        start = self._starts.get(partition, self._pruned.get(partition, Start(manifest=manifest)))
        due, last = start.first_offset, Checked("", start.previous_sha256, {})
        seen: dict[str, str] = {}  # SHA-256 -> file
        listed: list[tuple[str, str, int]] = []  # as in Start.files
        ends: dict[int, str] = {due: last.sha256}  # offset -> SHA-256 of the last file up to it
        for interval in found:
            self._report.checked["intervals"] += interval.base is None
            self._continues(interval, due, last)
            for file in interval.files:
                now = self._files.check(file, layout.sha256_of(file.path))
                self._link(last, now, seen)
                self._model_of(now)
                seen[now.sha256] = now.name
                if start.manifest:
                    self._of_topic(start, now)
                    listed.append((now.name, now.sha256, file.path.stat().st_size))
                last = now
            if interval.files and "replaces" in last.footer:
                last = self._compactions.stands_for(interval, last, seen)
            due = max(due, interval.next_offset)
            ends[due] = last.sha256
        self._compactions.note(partition, seen)
        head = Head(partition, due, last.sha256, waiting_to=waits_to)
        self._report.heads.append(head)
        self._anchored(head, anchors, ends)
        if self._claims is not None:
            self._claims.files(head, start.first_offset, ends, seen)
        if start.manifest:
            self._as_exported(start, listed)
        for tail in tails:
            self._report.checked["noted chain ends"] += 1
            if tail not in seen:
                self._report.differs(
                    f"partition {partition}",
                    f"no file has the SHA-256 {tail} that was noted: files were changed or taken away since",
                )
            elif tail == head.sha256:
                head.proven_by = "the end that was noted"
        if not head.proven_by:
            self._report.notes.append(
                f"partition {partition}: nothing outside the files names the chain's end at offset {due}; that no "
                "later file was taken away, and that the last one is whole, cannot be proven"
            )

    def _continues(self, interval: Interval, due: int, last: Checked) -> None:
        """Every offset is in exactly one interval."""
        self._report.checked["offsets"] += interval.next_offset - interval.first_offset
        name = interval.files[0].path.relative_to(self._root).as_posix()
        if interval.first_offset > due:
            after = f"after {last.name} " if last.name else ""
            self._report.differs(
                name,
                f"begins at offset {interval.first_offset}: the files of offsets {due} to {interval.first_offset} "
                f"of partition {interval.partition} are missing {after}".rstrip(),
            )
        elif interval.first_offset < due:
            self._report.differs(
                name,
                f"begins at offset {interval.first_offset}, but {last.name or 'the start'} already reaches to {due}: "
                "two histories are mixed, or a file was renamed",
            )

    def _link(self, last: Checked, now: Checked, seen: Mapping[str, str]) -> None:
        self._report.checked["links of the chain"] += 1
        named = now.footer.get("previous_sha256")
        if named is None or named == last.sha256:
            return
        if named in seen:
            self._report.differs(
                now.name,
                f"its chain says that it follows {seen[named]}, but {last.name} stands between: it was slipped in, "
                "renamed or is of another history",
            )
        elif last.name and named:
            self._report.differs(
                last.name,
                f"has SHA-256 {last.sha256}, but the next file ({now.name}) was written after one with {named}: it was "
                "changed or replaced, or a file between the two was taken away",
            )
        else:
            what = f"after a file with SHA-256 {named}" if named else "as the first of its partition"
            self._report.differs(
                now.name,
                f"was written {what}, "
                + (f"but stands after {last.name}" if last.name else "but nothing stands before it: it is missing"),
            )

    def _model_of(self, now: Checked) -> None:
        if now.footer and now.footer.get("model", "") not in self._models:
            self._model(now.footer.get("model", ""))

    def _model(self, digest: str) -> None:
        self._models.add(digest)
        self._report.checked["plant models"] += 1
        try:
            models.load(self._root, digest)
        except AuditError as error:
            self._report.differs(
                layout.model_name(digest), str(error).removeprefix(f"{self._root / layout.model_name(digest)}: ")
            )

    def _of_topic(self, start: Start, now: Checked) -> None:
        topic = now.footer.get("topic")
        if start.topic and topic is not None and topic != start.topic:
            self._report.differs(now.name, f"is of topic {topic}, {start.manifest} says {start.topic}")

    def _as_exported(self, start: Start, listed: Sequence[tuple[str, str, int]]) -> None:
        """What the manifest names is what there is."""
        self._report.checked["files named by a manifest"] += len(start.files)
        there = {name: (sha256, size) for name, sha256, size in listed}
        for name, sha256, size in start.files:
            if name not in there:
                self._report.differs(name, f"{start.manifest} names it, but it is not there")
            elif there[name] != (sha256, size):
                self._report.differs(
                    name,
                    f"{start.manifest} names it with SHA-256 {sha256} and {size} bytes, it has {there[name][0]} and "
                    f"{there[name][1]}: one of the two was changed",
                )
        named = [name for name, _, _ in start.files]
        for name in sorted(there.keys() - set(named)):
            self._report.differs(name, f"is there, but {start.manifest} does not name it")
        if named != list(there) and there.keys() == set(named):
            self._report.differs(start.manifest, "names a file twice, or not in the order of the chain")

    def _anchored(self, head: Head, anchors: list[Anchor], ends: Mapping[int, str]) -> None:
        """Compare with the snapshots. Of one that was never committed nothing may follow but its staged files."""
        at_end = [anchor for anchor in anchors if anchor.next_offset == head.next_offset]
        for anchor in anchors:
            self._report.checked["named ends"] += 1
            if anchor.next_offset > max(head.next_offset, head.waiting_to):
                self._beyond(head, anchor)
            elif anchor.chain == ends.get(anchor.next_offset) and anchor.next_offset == head.next_offset:
                head.proven_by = anchor.where
        if at_end and not head.proven_by and not any(self._half_published(head, anchor) for anchor in at_end):
            self._report.differs(
                f"partition {head.partition}",
                f"{at_end[-1].where} names {at_end[-1].chain} as the last file at offset {head.next_offset}, but the "
                f"last file has SHA-256 {head.sha256}: it was changed, or another of that interval was taken away",
            )

    def _half_published(self, head: Head, anchor: Anchor) -> bool:
        """Whether a worker was killed between two of the renames that publish an interval: the rest is staged."""
        staged = self._staged(anchor)
        if not staged or not all(self._is_there(file) for file in anchor.files) or not self._follows(head, staged[0]):
            return False
        head.proven_by = anchor.where
        self._report.notes.append(
            f"partition {head.partition}: {len(staged)} files that {anchor.where} names are staged, those before them "
            "are published: the partition's next owner publishes the rest"
        )
        return True

    def _beyond(self, head: Head, anchor: Anchor) -> None:
        missing = [file for file in anchor.files if not self._is_there(file)]
        if missing or not anchor.files:
            name = missing[0].path if missing else f"partition {head.partition}"
            self._report.differs(
                name,
                f"is missing: the published files end at offset {head.next_offset}, {anchor.where} stands at "
                f"{anchor.next_offset} and what it names is neither published nor staged",
            )
            return
        self._report.notes.append(
            f"partition {head.partition}: {anchor.where} stands at {anchor.next_offset}, and its files are staged: "
            "a worker publishes them when their offset is committed"
        )
        staged = self._staged(anchor)
        if staged and self._follows(head, staged[0]):
            head.proven_by = anchor.where

    def _staged(self, anchor: Anchor) -> list[StagedFile]:
        """Those of its files that are not published, in the order of the chain."""
        return [file for file in anchor.files if not (self._root / file.path).is_file()]

    def _follows(self, head: Head, file: StagedFile) -> bool:
        """Whether a staged file was written straight after the last one that is published."""
        path = self._root / file.staged
        return path.is_file() and footer(pq.ParquetFile(path)).get("previous_sha256") == head.sha256

    def _is_there(self, file: StagedFile) -> bool:
        if not layout.is_final(file.path) or not layout.is_staged(file.staged):
            return False
        for path in (self._root / file.path, self._root / file.staged):
            if path.is_file() and layout.sha256_of(path) == file.sha256:
                return True
        return False
