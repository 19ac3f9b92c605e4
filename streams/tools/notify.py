"""Alerts to people: each alert of `twin.alerts` once, to a webhook or by mail, from a process of its own.

Its place is an offset of a consumer group, committed after each delivery; the ids that were delivered before are read
back from the topic itself, so a restart repeats nothing, and neither does a worker that publishes an alert again. Only
a crash between a delivery and its commit can repeat that one, under the same key (`Idempotency-Key`, `Message-ID`).
"""

import asyncio
import json
import logging
import smtplib
import ssl
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any, Final, Protocol

import aiohttp
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener

from streams.client.recent import Recent
from streams.kafka import topics
from streams.kafka.access import check_access, connection
from streams.settings import Settings
from twin.alert_kinds import KINDS
from twin.report.said import alert_said, coded, utc_said

log = logging.getLogger(__name__)

# Read back before the place where it goes on; a repeat comes within seconds of its first.
_KNOWN: Final = 10_000
_LIMIT_S: Final = 15.0
_STOP_LIMIT_S: Final = 5.0
_MOST_PAUSE_S: Final = 60.0
# Of an answer that will not change (a wrong address, a body it does not take): then it is said and passed over.
_MOST_REFUSALS: Final = 5
_RETRY_LATER: Final = frozenset({408, 425, 429})


class NotifyError(RuntimeError):
    """The command cannot be used like this: says what to do instead."""


class RefusedError(RuntimeError):
    """The other side does not take this one, and would not later."""


@dataclass(frozen=True, slots=True)
class Notice:
    """An alert as people read it. id: the same at each try."""

    id: str
    text: str
    row: Mapping[str, Any]
    advice: str = ""  # what to do, where this version knows the kind


class Way(Protocol):
    """Where notices go. `send` raises RefusedError, or any other exception where trying again makes sense."""

    async def send(self, notice: Notice) -> None: ...


def notice_of(row: Mapping[str, Any]) -> Notice:
    """Of a record of `twin.alerts`."""
    where = f"{row['line']}/{row['station']}" if row.get("station") else str(row["line"])
    parts = [f"{where}: {coded('alert', row['kind'], 'en')} {row['action']} at {utc_said(row['ts'])}"]
    if row.get("since"):
        parts.append(f"since {utc_said(row['since'])}")
    if said := alert_said(row, "en"):
        parts.append(said)
    if row.get("retracted"):
        parts.append("taken back: late news shows that it was not so")
    elif row.get("revision"):
        parts.append("by late news")
    kind = KINDS.get(str(row["kind"]))
    return Notice(str(row["id"]), ", ".join(parts), row, kind.advice if kind else "")


class Webhook:
    """POST of JSON: `text` for chat programs, `alert` with all fields for others, `advice` says what to do."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def send(self, notice: Notice) -> None:
        body = {"text": notice.text, "alert": dict(notice.row), "advice": notice.advice}
        timeout = aiohttp.ClientTimeout(total=_LIMIT_S)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(self._url, json=body, headers={"Idempotency-Key": notice.id}, allow_redirects=False) as answer,
        ):
            if 300 <= answer.status < 500 and answer.status not in _RETRY_LATER:
                raise RefusedError(f"the webhook answers {answer.status}")
            answer.raise_for_status()


@dataclass(frozen=True, slots=True)
class Mail:
    """One message for each notice. security: starttls, tls or none."""

    host: str
    port: int
    sender: str
    recipients: Sequence[str]
    security: str = "starttls"
    user: str = ""
    password: str = ""

    async def send(self, notice: Notice) -> None:
        await asyncio.to_thread(self._send, notice)

    def _send(self, notice: Notice) -> None:
        message = EmailMessage()
        message["Subject"] = notice.text.partition(",")[0]
        message["From"] = self.sender
        message["To"] = ", ".join(self.recipients)
        message["Message-ID"] = f"<{notice.id}@taktwin>"
        advice = f"What to do: {notice.advice}\n\n" if notice.advice else ""
        message.set_content(f"{notice.text}\n\n{advice}{json.dumps(dict(notice.row), indent=1)}\n")
        kind = smtplib.SMTP_SSL if self.security == "tls" else smtplib.SMTP
        try:
            with kind(self.host, self.port, timeout=_LIMIT_S) as server:
                if self.security == "starttls":
                    server.starttls(context=ssl.create_default_context())
                if self.user:
                    server.login(self.user, self.password)
                server.send_message(message)
        except (smtplib.SMTPRecipientsRefused, smtplib.SMTPSenderRefused, smtplib.SMTPNotSupportedError) as error:
            raise RefusedError(str(error)) from error
        except smtplib.SMTPResponseException as error:
            if error.smtp_code < 500:  # try again later, says the server
                raise
            raise RefusedError(f"{error.smtp_code} {error.smtp_error!r}") from error


class Notifier:
    """Reads, leaves out what was delivered, delivers. kinds: only these; empty: all."""

    def __init__(
        self, settings: Settings, ways: Sequence[Way], kinds: Sequence[str] = (), *, cleared: bool = True
    ) -> None:
        if not ways:
            raise NotifyError("nowhere to send to: name a webhook or a mail server")
        self._settings = settings
        self._ways = ways
        self._kinds = frozenset(kinds)
        self._cleared = cleared
        self._recent = Recent(_KNOWN)
        self._first_new: dict[TopicPartition, int] = {}
        self.sent = 0

    async def run(self) -> None:
        """Until cancelled. Raises AccessError, KafkaError, NotifyError."""
        await check_access(self._settings)
        topic = self._settings.topic(topics.ALERTS)
        consumer = AIOKafkaConsumer(
            **connection(self._settings),
            group_id=f"{self._settings.group_id}-notify",
            enable_auto_commit=False,
            # The very first start: what is told from then on, not the alerts of years.
            auto_offset_reset="latest",
        )
        await consumer.start()
        try:
            if topic not in await consumer.topics():
                raise NotifyError(f"topic {topic} is missing at {self._settings.bootstrap}: run `twin topics apply`")
            consumer.subscribe([topic], listener=_Back(self, consumer))
            while True:
                for place, records in (await consumer.getmany(timeout_ms=500)).items():
                    for record in records:
                        await _to_its_end(self._take_and_commit(consumer, place, record))
        finally:
            await consumer.stop()

    async def went_back(self, consumer: AIOKafkaConsumer, places: Sequence[TopicPartition]) -> None:
        """On assignment: where news begin, and far enough before it that repeats are known."""
        for place in places:
            first = await consumer.committed(place)
            if first is None:
                first = (await consumer.end_offsets([place]))[place]
                await consumer.commit({place: first})
            begin = (await consumer.beginning_offsets([place]))[place]
            self._first_new[place] = first
            consumer.seek(place, max(begin, first - _KNOWN))
            log.info("%s/%d: from offset %d", place.topic, place.partition, first)

    async def _take_and_commit(self, consumer: AIOKafkaConsumer, place: TopicPartition, record: Any) -> None:
        await self._take(place, record)
        if record.offset >= self._first_new.get(place, 0):
            await consumer.commit({place: record.offset + 1})

    async def _take(self, place: TopicPartition, record: Any) -> None:
        try:
            row = json.loads(record.value or b"")
            notice = notice_of(row)
            number = int(notice.id, 16)
        except (ValueError, KeyError, TypeError) as error:
            log.warning("%s/%d at %d is no alert: %r", place.topic, place.partition, record.offset, error)
            return
        news = self._recent.is_news(number)
        wanted = (not self._kinds or row["kind"] in self._kinds) and (self._cleared or row["action"] == "raised")
        if news and wanted and record.offset >= self._first_new.get(place, 0):
            for way in self._ways:
                await self._deliver(way, notice)
            self.sent += 1

    async def _deliver(self, way: Way, notice: Notice) -> None:
        """Until it is taken: alerts behind it wait, and none is lost."""
        pause_s, refusals = 1.0, 0
        while True:
            try:
                await way.send(notice)
            except RefusedError as error:
                refusals += 1
                if refusals >= _MOST_REFUSALS:
                    log.error("%s: given up: %s (%s)", type(way).__name__, error, notice.text)
                    return
                told: Exception = error
            except (OSError, TimeoutError, aiohttp.ClientError, smtplib.SMTPException) as error:
                told = error
            else:
                log.info("sent: %s", notice.text)
                return
            log.warning("%s: %s; tried again in %.0f s", type(way).__name__, told or type(told).__name__, pause_s)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _MOST_PAUSE_S)


async def _to_its_end(work: Coroutine[Any, Any, None]) -> None:
    """A stop in the midst of it waits a little: cut between delivery and commit, the next start would deliver again."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task], timeout=_STOP_LIMIT_S)
        task.cancel()
        raise


class _Back(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    def __init__(self, notifier: Notifier, consumer: AIOKafkaConsumer) -> None:
        self._notifier = notifier
        self._consumer = consumer

    async def on_partitions_revoked(self, revoked: Any) -> None:
        pass

    async def on_partitions_assigned(self, assigned: Any) -> None:
        await self._notifier.went_back(self._consumer, list(assigned))
