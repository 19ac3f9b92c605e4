"""The live table: what `twin.lines` says of every line, and how far the workers are behind. Reading only."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError, NotCoordinatorForGroupError
from rich import box
from rich.table import Table
from rich.text import Text

from streams.kafka.access import check_access, connection
from streams.kafka.partitioner import DEFAULT, choose
from streams.settings import Settings
from twin.alert_kinds import DATA_QUALITY

OFFSETS_EVERY_S: Final = 1.0
WIDE: Final = 120  # terminal columns from which the wide table fits

MANY: Final = 200  # lines from which a table is laid out without the help of rich

MOST_DOUBTS: Final = 6

_NARROW: Final = ("line", "state", "OEE %", "avail", "perf", "qual", "bottleneck", "lag")
_COLUMNS: Final = (*_NARROW, "good", "scrap", "order", "event time (UTC)")
_NUMBERS: Final = frozenset({"OEE %", "avail", "perf", "qual", "lag", "good", "scrap"})
_GOOD: Final = "green"
_STATE_STYLES: Final = {
    "running": _GOOD,
    "down": "bold red",
    "minor_stop": "red",
    "setup": "cyan",
    "maintenance": "cyan",
    "starved": "yellow",
    "blocked": "yellow",
    "waiting": "yellow",
}


@dataclass(slots=True)
class Lines:
    """The newest record per line, and per partition of the events topic how far the workers are and how far it goes.

    Committed is audited: workers commit only what is in Parquet.
    """

    records: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    offsets: dict[int, tuple[int, int]] = field(default_factory=dict)  # committed, end
    partitioner: str = DEFAULT
    # What casts doubt on the figures, by line, station and sentence: how often by the newest alert, and since when.
    doubts: dict[tuple[str, str, str], tuple[float, str]] = field(default_factory=dict)
    refused: int = 0  # records of the topic of refusals

    def alert(self, value: bytes | None) -> None:
        """Take one record of the alerts topic; all but those of data quality are left out."""
        try:
            record = msgspec.json.decode(value or b"null")
        except msgspec.DecodeError:
            return
        if not isinstance(record, dict) or record.get("kind") != DATA_QUALITY:
            return
        about = str(record.get("line")), str(record.get("station") or ""), str(record.get("detail") or "")
        if record.get("retracted"):
            self.doubts.pop(about, None)
            return
        count, first = float(record.get("value") or 1), str(record.get("since") or record.get("ts"))
        known = self.doubts.get(about, (count, first))
        self.doubts[about] = max(count, known[0]), min(first, known[1])

    def told(self, most: int = MOST_DOUBTS) -> list[str]:
        """What casts doubt on the figures, a sentence each; the rest is in `twin doctor --audit`."""
        sentences = [
            f"{line}{'/' if station else ''}{station}: {detail} "
            f"({'' if count == 1 else f'{count:,.0f} or more, '}first at {first[:19]}Z)"
            for (line, station, detail), (count, first) in sorted(self.doubts.items())
        ]
        found = sentences[:most]
        if len(sentences) > most:
            found.append(f"and {len(sentences) - most:,} more; `twin doctor --audit` names all")
        if self.refused:
            found.append(f"{self.refused:,} records were refused: `twin doctor --audit` says why and where")
        return found

    def update(self, key: bytes | None, value: bytes | None) -> None:
        """Take one record of the compacted topic; an empty value deletes, an unreadable one is left out."""
        if key is None:
            return
        line = key.decode(errors="replace")
        if value is None:
            self.records.pop(line, None)
            return
        try:
            record = msgspec.json.decode(value)
        except msgspec.DecodeError:
            return
        if isinstance(record, dict):
            self.records[line] = record

    def lag_of(self, line: str) -> int | None:
        """Records waiting in the partition of `line`; None while not known."""
        if not self.offsets:
            return None
        committed, end = self.offsets[choose(self.partitioner, line.encode(), len(self.offsets))]
        return end - committed

    def rows(self, most: int | None = None) -> list[dict[str, Any]]:
        """One row per line, by name, for a program to read; of the first ones, if so many are enough."""
        doubts: dict[str, list[dict[str, Any]]] = {}
        for (line, station, detail), (count, first) in sorted(self.doubts.items()):
            doubts.setdefault(line, []).append(
                {"station": station or None, "detail": detail, "count": count, "first": first}
            )
        return [
            {**self.records[line], "line": line, "lag": self.lag_of(line), "doubts": doubts.get(line, [])}
            for line in sorted(self.records)[:most]
        ]

    def table(self, title: str = "lines", *, wide: bool = True, most: int | None = None) -> Table:
        """The lines for people: 80 columns hold it, `wide` adds event time, counts and order (about 120).

        `most`: no more rows than these; one takes 2 ms to lay out.
        """
        table = Table(
            title=title,
            title_justify="left",
            box=box.SIMPLE_HEAD,
            padding=(0, 1, 0, 0),
            pad_edge=False,
            show_edge=False,
        )
        for name in _COLUMNS if wide else _NARROW:
            table.add_column(name, justify="right" if name in _NUMBERS else "left", no_wrap=True)
        for row in self.rows(most):
            state, *rest = _cells(row, wide=wide)[1:]
            oee, *more = rest
            styled = Text(state, style=_STATE_STYLES.get(state, "dim")), Text(oee, style="bold")
            table.add_row(str(row["line"]), *styled, *more)
        return table

    def text(self, *, wide: bool = True) -> Iterator[str]:
        """As `table`, line by line and without colours: 10,000 lines take it a third of a second."""
        names = _COLUMNS if wide else _NARROW
        rows = [list(names), *(_cells(row, wide=wide) for row in self.rows())]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            cells = zip(names, row, widths, strict=True)
            aligned = (cell.rjust(width) if name in _NUMBERS else cell.ljust(width) for name, cell, width in cells)
            yield " ".join(aligned).rstrip()


def _cells(row: Mapping[str, Any], *, wide: bool) -> list[str]:
    """In the order of `_COLUMNS`."""
    cells = [
        str(row["line"]),
        str(row.get("state") or "-"),
        *(percent(row.get(name), "") for name in ("oee", "availability", "performance", "quality")),
        bottleneck(row),
        whole(row.get("lag")),
    ]
    if wide:
        cells += [whole(row.get("good")), whole(row.get("scrap")), str(row.get("order") or "-")]
        cells.append(moment(row.get("ts_ns")))
    return cells


def bottleneck(row: Mapping[str, Any]) -> str:
    """`S3 51.2 %` where the verdict names it, else what is said instead and the station with the highest share."""
    station, verdict = row.get("bottleneck"), row.get("verdict")
    if not station:
        return str(verdict or "-")
    highest = f"{station} {percent(row.get('share'))}"
    return highest if verdict in (None, station) else f"{verdict} ({highest})"


def percent(value: object, unit: str = " %") -> str:
    return f"{100 * value:.1f}{unit}" if isinstance(value, int | float) else "-"


def whole(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else "-"


def moment(ts_ns: object) -> str:
    """UTC, to the second."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(ts_ns // 1_000_000_000)) if isinstance(ts_ns, int) else "-"


class Watcher:
    """Reads the lines topic from its start and asks for the lag of the workers' group now and then."""

    def __init__(self, consumer: AIOKafkaConsumer, admin: AIOKafkaAdminClient, settings: Settings) -> None:
        self.lines = Lines(partitioner=settings.partitioner)
        self._consumer = consumer
        self._admin = admin
        self._events, self._alerts = settings.topic("events"), settings.topic("alerts")
        self._rejected = settings.topic("events.rejected")
        self._group = settings.group_id
        self._committed: dict[TopicPartition, int] = {}
        self._asked_at = float("-inf")

    async def read(self, timeout_s: float) -> int:
        """Take what has come within `timeout_s`; returns how many records that was."""
        runs = await self._consumer.getmany(timeout_ms=int(timeout_s * 1000))
        count = 0
        for place, records in runs.items():
            for record in records:
                if place.topic == self._alerts:
                    self.lines.alert(record.value)
                else:
                    self.lines.update(record.key, record.value)
            count += len(records)
        now = asyncio.get_running_loop().time()
        if now - self._asked_at >= OFFSETS_EVERY_S:
            self._asked_at = now
            self.lines.offsets = await self.offsets()
            self.lines.refused = await self._refused()
        return count

    async def read_all(self) -> None:
        """Read to the present end of the topic, so that one table is complete."""
        views = list(self._consumer.assignment())
        ends = await self._consumer.end_offsets(views)
        while any([await self._consumer.position(p) < ends[p] for p in views]):
            await self.read(0.2)
        self.lines.offsets = await self.offsets()
        self.lines.refused = await self._refused()

    async def _refused(self) -> int:
        """Records that the topic of refusals still has."""
        places = await partitions(self._admin, self._rejected)
        if not places:
            return 0
        ends, begins = await self._consumer.end_offsets(places), await self._consumer.beginning_offsets(places)
        return sum(ends[place] - begins[place] for place in places)

    async def offsets(self) -> dict[int, tuple[int, int]]:
        """(committed, end) of the events topic by partition; a group that never committed is at the beginning."""
        events = await partitions(self._admin, self._events)
        if not events:
            return {}
        ends = await self._consumer.end_offsets(events)
        begins = await self._consumer.beginning_offsets(events)
        # A broker that never had a group, or is moving the group, has no coordinator at the moment.
        with contextlib.suppress(GroupCoordinatorNotAvailableError, NotCoordinatorForGroupError):
            committed = await self._admin.list_consumer_group_offsets(self._group, partitions=events)
            self._committed = {p: entry.offset for p, entry in committed.items()}
        found = {}
        for p in events:
            done = max(self._committed.get(p, 0), begins[p])
            found[p.partition] = (min(done, ends[p]), ends[p])
        return found


@contextlib.asynccontextmanager
async def watching(settings: Settings) -> AsyncIterator[Watcher]:
    """A Watcher on the settings' Kafka; closes its connections at the end.

    Raises KafkaError where nothing answers, AccessError where it refuses.
    """
    await check_access(settings)
    topic = settings.topic("lines")
    async with contextlib.AsyncExitStack() as stack:
        consumer = AIOKafkaConsumer(**connection(settings), enable_auto_commit=False, auto_offset_reset="earliest")
        stack.push_async_callback(consumer.stop)
        await consumer.start()
        admin = AIOKafkaAdminClient(**connection(settings))
        stack.push_async_callback(admin.close)
        await admin.start()
        views = await partitions(admin, topic, settings.topic("alerts"))
        consumer.assign(views)
        if views:
            await consumer.seek_to_beginning(*views)
        yield Watcher(consumer, admin, settings)


async def partitions(admin: AIOKafkaAdminClient, *topics: str) -> list[TopicPartition]:
    """Every partition of these topics; none of a topic that is not there."""
    # All topics, not these by name: a broker may create a topic because somebody asked for it.
    found = {t["topic"]: len(t["partitions"]) for t in await admin.describe_topics() if t["topic"] in topics}
    return [TopicPartition(topic, number) for topic in topics for number in range(found.get(topic, 0))]
