"""Do the rows follow from the events? The stored events are folded again and every row of results is compared.

Partition by partition and interval by interval: what the twin concludes from the events up to an offset does not depend
on how they were cut, so the rows of each interval must be found again in its own files: a difference is told in its
place. In memory are an interval's events, a hash of each of its rows, and what differs (`twin.audit.matching`): not its
rows, which of a slow line with windows of a second are a hundred times its events.

An interval is compared in the columns of its own version of the schemas. What was made under other rules or with
another release of the time zones cannot be expected to come out again: such rows are counted and the rules are named
(`twin.rules`); in sets that no rule between has touched every row must be found.
"""

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from twin import rules
from twin.audit import AuditError, bases, layout, models, replayed
from twin.audit.compare import Stored, cell, hashes_of, mismatches, names_of, unmatched
from twin.audit.digest import columns_of
from twin.audit.intervals import Interval, contents
from twin.audit.layout import PublishedFile
from twin.audit.matching import Matching
from twin.audit.period import beginning, says
from twin.audit.read import footer_of, keys_of, schema_version
from twin.audit.report import EnoughError, Report
from twin.audit.rows import integers
from twin.audit.written import Written, whole
from twin.events.reasons import NOT_FROM_RECORD
from twin.line import PartitionTwin, parting
from twin.line.admission import FOLD_REASONS
from twin.line.shape import SnapshotError
from twin.pace import Pace
from twin.plant.model import Plant
from twin.replay import TOPIC as REPLAY
from twin.results import IDENTITY, INDEX, ORIGIN, SCHEMA_VERSION, SETS
from twin.time import zone
from twin.version import code_version
from twin.wire.decode import ARROW, Decoder

_OFFSET: Final = ORIGIN[2]
# Folded at a time at most; the rows do not depend on it.
FOLD_EVENTS: Final = 65_536
_BY_ZONE: Final = frozenset({"states", "kpis", "bottlenecks", "alerts"})  # where local times decide


def recompute(
    root: Path | str, *, line: str | None = None, every: bool = False, period: tuple[int, int] | None = None
) -> Report:
    """Compute every row of results again, or those of one line. Stops at the first difference unless `every`.

    `period` (ns, [start, end)): only the intervals that hold rows of these event times, from the nearest base on.
    Raises AuditError where there is no root. A root that `verify` finds unsound may end with an error of the same kind.
    """
    base = layout.existing_root(root)
    replayed.check_events(base)
    report = Report(every)
    report.notes += replayed.words(base)
    plan = replayed.read(base)
    sets = tuple(SETS) if plan is None else plan.sets
    with contextlib.suppress(EnoughError):
        found = contents(base, partly=True)
        for partition in found.partitions:
            mine = found.of(partition)
            some, first = _of_period(mine, line, period) if period is not None else (mine, 0)
            _Partition(base, partition, line, report, sets).run(some, first)
    if not report.checked["intervals"]:
        what = "no file is published here" if period is None else "no file holds a row of this period"
        report.notes.append(f"{what}: there is nothing to compute")
    return report


def _of_period(found: list[Interval], line: str | None, period: tuple[int, int]) -> tuple[list[Interval], int]:
    """The intervals to fold, and the place of the first of them whose rows are compared."""
    said = [k for k, one in enumerate(found) if says(one, line, *period)]
    if not said:
        return [], 0
    begin = beginning(found, said[0])
    return found[begin : said[-1] + 1], said[0] - begin


class _Partition:
    """One partition from its first event on."""

    def __init__(self, root: Path, partition: int, line: str | None, report: Report, sets: Sequence[str]) -> None:
        self._sets = sets  # that are there to be compared
        self._root = root
        self._partition = partition
        self._line = line
        self._report = report
        self._plant: Plant | None = None
        self._strayed = False  # events were folded by other rules than the worker's of then
        self._versions: set[str] = set()
        self._schema = SCHEMA_VERSION  # of the interval's files
        self._rules = rules.RULES  # its rows were made under these
        self._touched: frozenset[str] = frozenset()  # sets whose rows may differ for that
        # (rules, zone rules, set) -> rows that differ, and may
        self._attributed: Counter[tuple[int, str, str]] = Counter()
        self._offsets = np.empty(0, np.int64)  # of the interval's events
        self._holes = 0
        self._pace = Pace(FOLD_EVENTS)
        self._written = Written(root, line, report)

    def run(self, found: list[Interval], first: int = 0) -> None:
        """Fold the intervals; compare those from the place `first` on."""
        for k, interval in enumerate(found):
            if interval.base is not None:
                if not self._base(interval.base):
                    return
                continue
            self._report.checked["intervals"] += 1
            plant = self._begin(interval)
            if plant is None:
                return
            matchings = (
                {name: self._matching(name, interval) for name in IDENTITY if name in self._sets} if k >= first else {}
            )
            refused: list[pa.Table] = []
            try:
                for set_name, table in self._fold(interval, plant):
                    if set_name in matchings:
                        matchings[set_name].take(self._written.of_line(table))
                    elif set_name == "rejected":
                        refused.append(table)
            except EnoughError:
                raise
            except Exception as error:  # events that no twin wrote may break any of its rules
                name = interval.name(self._root)
                self._report.differs(name, f"the events of its interval cannot be folded: {error!r}")
                return
            if k >= first:
                for set_name, matching in matchings.items():
                    self._matched(set_name, interval, matching)
                if "rejected" in self._sets:
                    self._compare_refused(interval, refused)
        self._note_rules()
        if self._holes:
            self._report.notes.append(
                f"partition {self._partition}: {self._holes:,} offsets have neither event nor refusal: records without "
                "an event, what Kafka itself writes into a topic, or a record that was taken out and changed no row"
            )

    def _begin(self, interval: Interval) -> Plant | None:
        """The interval's plant model; None: the lines cannot be followed to it."""
        keys = keys_of(interval)
        self._note_version(keys)
        try:
            self._schema, self._rules = schema_version(keys), rules.version(keys)
        except (AuditError, ValueError) as error:
            self._report.differs(interval.name(self._root), str(error))
            return None
        self._touched = rules.touched(self._rules)
        self._zones = keys.get("zone_rules", "")
        if self._zones not in ("", zone.RULES):
            self._touched |= _BY_ZONE
        self._topic = keys.get("topic", "")
        self._strayed |= self._rules != rules.RULES or self._zones not in ("", zone.RULES)
        digest = keys.get("model", "")
        before = self._plant
        if before is not None and before.hash == digest:
            return before
        plant = self._load(digest)
        if plant is None:
            return None
        if before is not None and not rules.begins_anew(self._rules):
            # No base stands here but perhaps that of the model before: two of one offset would have one name. So also
            # with a state by other rules: what they do not touch follows from it, and of an empty one nothing does.
            return plant if self._carried(before, plant, interval.name(self._root)) else None
        self._twin = PartitionTwin(plant, self._partition)
        self._report.checked["fresh starts"] += 1
        return plant

    def _carried(self, before: Plant, plant: Plant, name: str) -> bool:
        """The lines go over to another plant model, as they do in a worker."""
        try:
            self._twin = PartitionTwin.carried(before, plant, self._partition, self._twin.snapshot())
        except (SnapshotError, ValueError) as error:
            self._report.differs(name, f"from what is before it no state of plant model {plant.hash} follows: {error}")
            return False
        self._report.checked["changes of the plant"] += 1
        return True

    def _load(self, digest: str) -> Plant | None:
        """Go on with another plant model; None: it cannot be read."""
        try:
            plant = self._plant = models.load(self._root, digest)
        except AuditError as error:
            self._report.differs(
                layout.model_name(digest), str(error).removeprefix(f"{self._root / layout.model_name(digest)}: ")
            )
            return None
        if self._line is not None and self._line not in {one.id for one in plant.lines}:
            self._report.notes.append(f"partition {self._partition}: model {digest} has no line {self._line}")
        self._decoder = Decoder(plant)
        return plant

    def _base(self, file: PublishedFile) -> bool:
        """A base: the state must follow from the events before it. Where nothing, or nothing that holds, was folded
        before it, go on from there. False: it cannot be read.
        """
        name = file.path.relative_to(self._root).as_posix()
        keys = footer_of(file)
        digest = keys.get("model", "")
        known = self._plant if self._plant is not None and self._plant.hash == digest else None
        begin = known is None or self._strayed
        before = self._plant
        plant = known or self._load(digest)
        if plant is None:
            return False
        try:
            twin = PartitionTwin.restore(plant, self._partition, bases.read(file))
        except (AuditError, SnapshotError) as error:
            self._report.differs(name, f"is no base any more: {str(error).removeprefix(f'{file.path}: ')}")
            return False
        if begin and before is not None and not self._strayed and not rules.begins_anew(rules.version(keys)):
            if not self._carried(before, plant, name):
                return False
            begin = False
        if begin:
            self._twin, self._strayed = twin, False
            self._report.checked["bases begun from"] += 1
        elif self._same(twin):
            self._report.checked["bases that follow from the events"] += 1
        else:
            self._report.differs(name, "the state it holds does not follow from the events before it")
        return True

    def _same(self, other: PartitionTwin) -> bool:
        """Whether the state, or that of the line that is asked for, is the same."""
        if self._line is None:
            return self._twin.snapshot() == other.snapshot()
        lines = [k for k, one in enumerate(other.plant.lines) if one.id == self._line]
        return all(self._twin.engine.save_line(k) == other.engine.save_line(k) for k in lines)

    def _note_version(self, keys: Mapping[str, str]) -> None:
        version = keys.get("code_version", "unknown")
        if version != code_version() and version not in self._versions:
            self._versions.add(version)
            self._report.notes.append(
                f"partition {self._partition}: written by version {version}, computed with {code_version()}"
            )

    def _note_rules(self) -> None:
        """Name the rules to which differences are put down, and how many rows of which set."""
        for made, zones in sorted({(made, zones) for made, zones, _ in self._attributed}):
            rows = {name: n for (r, z, name), n in self._attributed.items() if (r, z) == (made, zones)}
            counts = ", ".join(f"{rows[name]:,} of {name}" for name in SETS if name in rows)
            causes = [f"{rule.name} ({rule.what})" for rule in rules.since(made) if rows.keys() & set(rule.sets)]
            if zones not in ("", zone.RULES):
                causes.append(f"time zones of release {zones}, here {zone.RULES}")
            self._report.notes.append(
                f"partition {self._partition}: made under rules {made}, computed under {rules.RULES}: rows that differ "
                f"and may: {counts}. What has changed since: {'; '.join(causes)}"
            )

    def _fold(self, interval: Interval, plant: Plant) -> Iterator[tuple[str, pa.Table]]:
        """The rows that follow from the interval's events, by set."""
        stored = self._written.stored("events", interval)
        self._offsets = np.empty(0, np.int64)
        yield from self._parting(interval)
        if not stored:
            return
        events = pa.concat_tables([one.table for one in stored], promote_options="default").unify_dictionaries()
        file = np.repeat(np.arange(len(stored)), [one.table.num_rows for one in stored])
        row = np.concatenate([one.rows for one in stored])
        offset, index = integers(events.column(_OFFSET)), integers(events.column(INDEX))
        self._offsets = offset
        order = np.lexsort((index, offset))
        self._dense(stored, file[order], row[order], offset[order], index[order])
        begin = 0
        while begin < len(order):
            rows = order[begin : begin + self._pace.at_once]
            begin += len(rows)
            block, refused = self._decoder.decode_table(whole(events.take(rows)), offset[rows])
            if refused and "events" in self._touched:
                self._attribute("events", len(refused))
            elif refused:
                k = int(rows[np.searchsorted(offset[rows], refused[0].offset)])
                self._report.differs(
                    stored[file[k]].name, f"is no event of model {plant.hash}: {refused[0].detail}", int(row[k])
                )
            tables = self._twin.fold(block).tables
            self._pace.gave(len(rows), sum(table.num_rows for table in tables.values()))
            yield from tables.items()
            self._report.checked["events folded"] += len(block)

    def _parting(self, interval: Interval) -> Iterator[tuple[str, pa.Table]]:
        """The rows that a change of the plant made leave with the first events behind it, of whatever line."""
        waits = interval.rows.table("events") if interval.rows is not None else None
        if self._twin.parting and (interval.of("events") or (waits is not None and waits.num_rows)):
            found, self._twin.parting = parting.tables(self._twin.parting), {}
            yield from found.items()

    def _attribute(self, set_name: str, rows: int) -> None:
        self._attributed[self._rules, self._zones, set_name] += rows
        self._report.checked["rows that differ under other rules"] += rows

    def _dense(
        self,
        stored: Sequence[Stored],
        file: "np.typing.NDArray[np.int64]",
        row: "np.typing.NDArray[np.int64]",
        offset: "np.typing.NDArray[np.int64]",
        index: "np.typing.NDArray[np.int64]",
    ) -> None:
        """The events of a record are numbered without a gap: one that was taken out of its middle shows."""
        if self._line is not None:
            return  # a record may hold several lines
        begins = np.concatenate([[True], np.diff(offset) != 0])
        expected = np.where(begins, 0, np.concatenate([[0], index[:-1] + 1]))
        for k in np.flatnonzero(index != expected)[:1].tolist():
            self._report.differs(
                stored[file[k]].name,
                f"has place {index[k]} in the record of offset {offset[k]}, place {expected[k]} is missing or taken",
                int(row[k]),
            )

    def _matching(self, set_name: str, interval: Interval) -> Matching:
        found = self._written.pieces(set_name, interval, said=True)
        written = (self._written.of_line(piece) for _, pieces in found for piece in pieces)
        return Matching(set_name, self._schema, written, keep=set_name not in self._touched)

    def _matched(self, set_name: str, interval: Interval, matching: Matching) -> None:
        """Tell what is written and does not follow, and the other way round."""
        self._report.checked[f"{set_name} rows compared"] += matching.rows
        left = matching.left()
        if set_name in self._touched:
            if len(left) or matching.lost_rows:
                self._attribute(set_name, max(len(left), matching.lost_rows))
            return
        if not len(left) and not matching.lost_rows:
            return
        columns = columns_of(set_name)
        lost = pa.concat_tables(
            [SETS[set_name].empty_table().select(columns), *(one.select(columns) for one in matching.lost)]
        )
        stored = self._written.again(set_name, interval, left)
        extra = list(range(len(left)))
        again, rows = lost.unify_dictionaries(), list(range(lost.num_rows))
        for one in mismatches(names_of(set_name, self._schema), set_name, stored, extra, again, rows):
            name = one.file or (interval.of(set_name) and self._first_file(set_name, interval))
            self._report.differs(name or self._interval_name(set_name, interval), one.what, one.row)
        if more := matching.lost_rows - matching.kept_rows:
            name = self._interval_name(set_name, interval)
            self._report.differs(name, f"{more:,} more rows that follow from the events are missing")

    def _first_file(self, set_name: str, interval: Interval) -> str:
        return interval.of(set_name)[0].path.relative_to(self._root).as_posix()

    def _compare_refused(self, interval: Interval, computed: list[pa.Table]) -> None:
        stored = self._written.stored("rejected", interval)
        columns = columns_of("rejected")
        schema = pa.schema([SETS["rejected"].field(name) for name in columns])
        again = pa.concat_tables([schema.empty_table(), *(one.select(columns) for one in computed)])
        again = self._written.of_line(again.unify_dictionaries())
        written = pa.concat_tables([schema.empty_table(), *(one.table.select(columns) for one in stored)])
        hashes = hashes_of("rejected", written, self._schema), hashes_of("rejected", again, self._schema)
        extra, lost = unmatched(*hashes)
        extra = [index for index in extra if not self._refused_by_itself(written, index)]
        if self._line is None:
            known = np.concatenate([self._offsets, *(integers(one.table.column(_OFFSET)) for one in stored)])
            known = known[known >= interval.first_offset]  # a refusal may be of an earlier record
            self._holes += interval.next_offset - interval.first_offset - len(np.unique(known))
        self._report.checked["rejected rows compared"] += written.num_rows
        if "rejected" in self._touched:
            if extra or lost:
                self._attribute("rejected", max(len(extra), len(lost)))
            return
        for one in mismatches(names_of("rejected", self._schema), "rejected", stored, extra, again, lost):
            name = one.file or (stored[0].name if stored else self._interval_name("rejected", interval))
            self._report.differs(name, one.what, one.row)

    def _interval_name(self, set_name: str, interval: Interval) -> str:
        return f"{set_name} of partition {self._partition}, offsets {interval.first_offset} to {interval.next_offset}"

    def _refused_by_itself(self, table: pa.Table, row: int) -> bool:
        """Whether a refusal that no fold made stands: decoded again, or not decidable from what is stored."""
        reason, value = cell(table, "reason", row), cell(table, "value", row)
        if any(reason == found for found in self._reasons(value)):
            self._report.checked["refusals decoded again"] += 1
            return True
        # A log has rules of its own, by which a row of it is no event; they are not part of the audit.
        own_rules = self._topic == REPLAY and reason not in FOLD_REASONS
        if reason in NOT_FROM_RECORD or own_rules:
            self._report.checked["refusals not recomputable"] += 1
            return True
        return False

    def _reasons(self, value: bytes) -> Iterator[str]:
        """As it came, and as a header may have declared it."""
        for kind in (None, ARROW):
            _, refused = self._decoder.decode([value], [0], [kind])
            yield from (one.reason for one in refused)
