"""What is happening now: the views of all lines and the alerts of the last day, kept for every browser that asks.

Kafka away or not yet there: it is tried again for ever, and the page says so. A browser that reads slowly is never
queued for: it gets the newest view of what has changed since it last took something.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from aiokafka.errors import KafkaError

from streams import clock
from streams.client import AccessError, Client, ClientError, Settings
from streams.client.records import Alert, Line

log = logging.getLogger(__name__)

RETRY_S: Final = 2.0
BEAT_S: Final = 5.0
# No browser draws faster, and what comes between is seen in the next.
TICK_S: Final = 0.25
MOST_ALERTS: Final = 500
MOST_SUBSCRIBERS: Final = 256
_ALERTS_FROM_NS: Final = 86_400 * 10**9


@dataclass(slots=True)
class Seen:
    """The newest view of a line, and since when (event time) its stations are in their states, where it was seen."""

    view: Line
    since_ns: dict[str, int] = field(default_factory=dict)
    heard_ns: int = 0  # wall clock at which the view came


@dataclass(slots=True, eq=False)
class Subscriber:
    changed: set[str] = field(default_factory=set)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self, key: str) -> None:
        self.changed.add(key)
        self.news.set()


class Live:
    """`settings` None: there is no Kafka, and nothing live."""

    def __init__(self, settings: Settings | None) -> None:
        self._settings = settings
        self.lines: dict[str, Seen] = {}
        self.alerts: dict[tuple[str, str | None, str], Alert] = {}  # raised and not cleared
        self.state = "off" if settings is None else "connecting"
        self.problem = ""
        self._subscribers: set[Subscriber] = set()

    async def run(self) -> None:
        """Until cancelled."""
        if self._settings is None:
            await asyncio.Event().wait()
        while True:
            try:
                async with Client(self._settings) as client, asyncio.TaskGroup() as group:
                    group.create_task(self._lines(client))
                    group.create_task(self._alerts(client))
            except* (KafkaError, AccessError, ClientError, OSError) as errors:
                self.problem = str(errors.exceptions[0])
                log.warning("page: %s; trying again", self.problem)
            except* Exception as errors:
                # Nobody waits for this task: an error that nobody has thought of must not end it in silence.
                self.problem = f"{type(errors.exceptions[0]).__name__}: {errors.exceptions[0]}"
                log.warning("page: %s; trying again", self.problem, exc_info=errors)
            self._set_state("away")
            await asyncio.sleep(RETRY_S)

    def _set_state(self, state: str) -> None:
        if state != self.state:
            self.state = state
            self.tell("")

    async def _lines(self, client: Client) -> None:
        async for view in client.lines():
            self._set_state("live")
            self.take(view)
        raise ClientError("the reader of lines ended")

    async def _alerts(self, client: Client) -> None:
        async for alert in client.alerts(start=clock.now_ns() - _ALERTS_FROM_NS, latest=True):
            self.take_alert(alert)
        raise ClientError("the reader of alerts ended")

    def take(self, view: Line) -> None:
        """A view that came. A state that changed began at the view's own time, as near as views tell."""
        before = self.lines.get(view.line)
        since = {} if before is None else dict(before.since_ns)
        for station, state in view.stations.items():
            was = None if before is None else before.view.stations.get(station)
            if was is not None and was != state:
                since[station] = view.ts_ns
        self.lines[view.line] = Seen(view, since, clock.now_ns())
        self.tell(view.line)

    def take_alert(self, alert: Alert) -> None:
        key = (alert.line, alert.station, alert.kind)
        known = self.alerts.get(key)
        if alert.action == "raised" and not alert.retracted:
            if known is None or known.ts_ns <= alert.ts_ns:
                self.alerts.pop(key, None)
                self.alerts[key] = alert
        elif known is not None and known.ts_ns <= alert.ts_ns:
            del self.alerts[key]
        while len(self.alerts) > MOST_ALERTS:
            del self.alerts[next(iter(self.alerts))]
        self.tell(alert.line)

    def tell(self, line: str) -> None:
        for one in self._subscribers:
            one.tell(line)

    def status(self) -> dict[str, Any]:
        return {"kafka": self.state, "problem": self.problem, "now_ms": clock.now_ns() // 10**6}

    @property
    def full(self) -> bool:
        return len(self._subscribers) >= MOST_SUBSCRIBERS

    @contextlib.contextmanager
    def _subscribed(self) -> Iterator[Subscriber]:
        one = Subscriber()
        self._subscribers.add(one)
        try:
            yield one
        finally:
            self._subscribers.discard(one)

    async def messages(self, describe: Callable[[str], dict[str, Any] | None]) -> AsyncIterator[bytes]:
        """Server-sent events: all lines first, then what changes; a beat every few seconds, so that silence means loss.

        `describe` makes what the page shows of a line; None: nothing.
        """
        with self._subscribed() as me:
            me.changed.update(self.lines)
            me.changed.add("")
            me.news.set()
            sent: dict[str, dict[str, Any]] = {}
            while True:
                try:
                    async with asyncio.timeout(BEAT_S):
                        await me.news.wait()
                except TimeoutError:
                    yield message("beat", self.status())
                    continue
                me.news.clear()
                changed, me.changed = me.changed, set()
                if "" in changed:
                    yield message("beat", self.status())
                told = []
                for name in sorted(changed - {""}):
                    one = describe(name)
                    if one is not None and (news := difference(sent.get(name), one)):
                        told.append(news)
                        sent[name] = one
                if told:
                    yield message("lines", told)
                await asyncio.sleep(TICK_S)


def difference(before: dict[str, Any] | None, now: dict[str, Any]) -> dict[str, Any] | None:
    """What of a line's tile has changed; all of it the first time, None: nothing.

    Of stations only those that changed, as `changed`: [number, state, since_ms] each.
    """
    if before is None:
        return now
    news = {key: value for key, value in now.items() if before.get(key) != value}
    was, is_now = before["stations"], now["stations"]
    if "stations" in news and [one["station"] for one in was] == [one["station"] for one in is_now]:
        del news["stations"]
        pairs = zip(was, is_now, strict=True)
        news["changed"] = [[k, b["state"], b["since_ms"]] for k, (a, b) in enumerate(pairs) if a != b]
    return {"line": now["line"], **news} if news else None


def message(kind: str, data: Any) -> bytes:
    """One event of a stream; JSON has no line ends of its own."""
    return b"event: " + kind.encode() + b"\ndata: " + msgspec.json.encode(data) + b"\n\n"
