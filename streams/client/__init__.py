"""For other services: lines, key figures and alerts as asynchronous iterators of typed records, repeats removed.

    async with Client(bootstrap="kafka:9092") as client:
        async for kpi in client.kpis(line="press-1"):
            print(kpi.window, kpi.end_ns, kpi.oee)

docs/client.md explains the records, revisions, and how far back repeats are known.
"""

import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import msgspec

from streams.client.reader import ClientError, Reader, Records
from streams.client.recent import Recent
from streams.client.records import (
    Alert,
    Bottleneck,
    Head,
    Kpi,
    Line,
    Measured,
    Nanoseconds,
    Refused,
    Row,
    Sample,
    decoder,
    number_of,
    refused,
)
from streams.kafka import topics
from streams.kafka.access import AccessError, check_access
from streams.settings import Secret, Settings
from streams.worker.publish import record_id
from twin.results import IDENTITY

__all__ = [
    "AccessError",
    "Alert",
    "Bottleneck",
    "Client",
    "ClientError",
    "Kpi",
    "Line",
    "Measured",
    "Nanoseconds",
    "Refused",
    "Sample",
    "Secret",
    "Settings",
]

log = logging.getLogger(__name__)

WINDOW: Final = 50_000
R = TypeVar("R", bound=Row)
T = TypeVar("T")
_HEAD: Final = decoder(Head)


class Client:
    """Reads the twin's topics; changes nothing, and belongs to no group.

    settings: where Kafka is and how to get in; default: the environment (`TAKTWIN_...`) with `overrides`, such as
    bootstrap and prefix. window: ids remembered per partition and iterator, to know repeats by.

    Each iterator has a connection of its own; leaving the client ends them all. None ends by itself: while Kafka is
    away it waits. Raises AccessError and KafkaError on entering where Kafka cannot be reached.
    """

    def __init__(self, settings: Settings | None = None, *, window: int = WINDOW, **overrides: Any) -> None:
        if settings is not None and overrides:
            raise ClientError(f"settings and {', '.join(overrides)}: give one or the other")
        if window < 1:
            raise ClientError(f"window: {window} must be at least 1")
        self._settings = settings or Settings.from_env(**overrides)
        self._window = window
        self._readers: set[Reader] = set()
        self._entered = False

    async def __aenter__(self) -> Self:
        await check_access(self._settings)
        self._entered = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._entered = False
        for reader in list(self._readers):
            await self._close(reader)

    def kpis(self, line: str | None = None, *, start: str | int = "now", latest: bool = False) -> AsyncIterator[Kpi]:
        """Rows of key figures, of one line or all. start: `beginning`, `now` or ns since 1970 UTC (of publishing).

        latest: leave out a row where a higher revision of it is known already, or comes in the same fetch.
        """
        return self._rows(topics.KPIS, "kpis", Kpi, line, start, latest)

    def bottlenecks(
        self, line: str | None = None, *, start: str | int = "now", latest: bool = False
    ) -> AsyncIterator[Bottleneck]:
        """Shares of the critical path, as `kpis`."""
        return self._rows(topics.KPIS, "bottlenecks", Bottleneck, line, start, latest)

    def measures(
        self, line: str | None = None, *, start: str | int = "now", latest: bool = False
    ) -> AsyncIterator[Measured]:
        """What was measured, by publishing interval, as `kpis`."""
        return self._rows(topics.MEASURES, "measures", Measured, line, start, latest)

    def samples(
        self, line: str | None = None, *, start: str | int = "now", latest: bool = False
    ) -> AsyncIterator[Sample]:
        """Points of control charts, as `kpis`."""
        return self._rows(topics.MEASURES, "samples", Sample, line, start, latest)

    def alerts(
        self, line: str | None = None, *, start: str | int = "now", latest: bool = False
    ) -> AsyncIterator[Alert]:
        """Alerts raised and cleared, as `kpis`."""
        return self._rows(topics.ALERTS, "alerts", Alert, line, start, latest)

    async def lines(self, line: str | None = None) -> AsyncIterator[Line]:
        """The provisional view of each line as it is, then every change of it."""
        decode = decoder(Line).decode
        newest: dict[bytes, bytes] = {}  # bounded by the number of lines
        async for _, records in self._read(topics.LINES, "beginning", whole=False):
            for record in records:
                if not _is_of(record, line) or record.value is None or newest.get(record.key) == record.value:
                    continue
                newest[record.key] = record.value
                if (view := _read_as(lambda r: decode(r.value), record)) is not None:
                    yield view

    async def refused(self, *, start: str | int = "now") -> AsyncIterator[Refused]:
        """Refused input with its reason."""
        recent = self._recent()
        async for place, records in self._read(topics.REJECTED, start):
            for record in records:
                found = _read_as(_refused, record)
                if found is not None and recent[place.partition].is_news(found[1]):
                    yield found[0]

    async def _rows(
        self, topic: str, set_name: str, kind: type[R], line: str | None, start: str | int, latest: bool
    ) -> AsyncIterator[R]:
        decode: Callable[[bytes], R] = decoder(kind).decode
        recent = self._recent()
        async for place, records in self._read(topic, start):
            for record in _news(recent[place.partition], records, set_name, line, latest):
                if (row := _read_as(lambda r: decode(r.value), record)) is not None:
                    yield row

    def _recent(self) -> defaultdict[int, Recent]:
        return defaultdict(lambda: Recent(self._window))

    async def _read(self, name: str, start: str | int, *, whole: bool = True) -> AsyncIterator[tuple[Any, Records]]:
        if not self._entered:
            raise ClientError("the client is not open: use it inside `async with Client(...) as client`")
        reader = Reader(self._settings, self._settings.topic(name), start, whole=whole)
        self._readers.add(reader)
        try:
            await reader.open()
            async for chunk in reader.chunks():
                yield chunk
        finally:
            await self._close(reader)

    async def _close(self, reader: Reader) -> None:
        if reader in self._readers:
            self._readers.discard(reader)
            await reader.close()


def _is_of(record: Any, line: str | None) -> bool:
    return line is None or record.key == line.encode()


def _head(record: Any) -> tuple[Head, int]:
    head: Head = _HEAD.decode(record.value or b"")
    return head, number_of(head.id)


def _refused(record: Any) -> tuple[Refused, int]:
    one = refused(record)
    return one, number_of(one.id)


def _news(recent: Recent, records: Records, set_name: str, line: str | None, latest: bool) -> Records:
    """The records of one fetch that were not seen before. In the order in which they came."""
    found: dict[int, Any] = {}
    for record in records:
        if not _is_of(record, line):
            continue
        known = _read_as(_head, record)
        if known is None or known[0].set != set_name:
            continue
        head, number = known
        if latest:
            key = int(record_id(set_name, *_identity(set_name, head)), 16)
            # Of equal revisions the one that stands counts, whichever comes first. Of two that stand the last: what was
            # not committed is said again, and otherwise where the plant has changed meanwhile.
            if recent.is_news(key, 2 * head.revision + (not head.retracted), number):
                found.pop(key, None)  # a revision replaces the row and takes its own place in the order
                found[key] = record
        elif recent.is_news(number):
            found[number] = record
    return list(found.values())


def _identity(set_name: str, head: Any) -> Iterator[Any]:
    """Records of the first release do not say the hash of their line: then it is that of the plant."""
    for name in IDENTITY[set_name]:
        yield head.line_model or head.model if name == "line_model" else getattr(head, name)


def _read_as(read: Callable[[Any], T], record: Any) -> T | None:
    """None, and a warning, for what the twin has not written: it must not stop its readers for ever."""
    try:
        return read(record)
    # RecursionError: JSON nested so deep that msgspec gives up.
    except (msgspec.MsgspecError, KeyError, ValueError, RecursionError) as error:
        log.warning("%s/%d at %d is not a record of the twin: %s", record.topic, record.partition, record.offset, error)
        return None
