"""Alerts to people: what they read, and what happens where nobody takes it."""

import asyncio
import email
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from aiokafka import TopicPartition

from streams.cli import main
from streams.cli.errors import USAGE
from streams.settings import Settings
from streams.tools import notify
from streams.tools.notify import Mail, Notice, Notifier, NotifyError, RefusedError, Webhook, notice_of

ROW: dict[str, Any] = {
    "id": "00000000000000aa",
    "set": "alerts",
    "line": "press",
    "station": "s1",
    "kind": "oee_low",
    "action": "raised",
    "ts": "2026-03-02T06:00:00.000000000Z",
    "since": None,
    "value": 0.41,
    "limit": 0.6,
    "detail": "window 1h",
    "revision": 0,
    "retracted": False,
}
PLACE = TopicPartition("twin.alerts", 0)


class Kept:
    """A way that keeps what it gets, after failing as often as told."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.sent: list[Notice] = []

    async def send(self, notice: Notice) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.sent.append(notice)


def record(offset: int, **changes: Any) -> Any:
    import json

    return SimpleNamespace(offset=offset, value=json.dumps({**ROW, **changes}).encode())


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "_MOST_PAUSE_S", 0.0)
    sleep = asyncio.sleep
    monkeypatch.setattr(asyncio, "sleep", lambda _s: sleep(0))


def test_a_notice_reads_as_a_sentence() -> None:
    assert (
        notice_of(ROW).text
        == "press/s1: OEE low raised at 2026-03-02 06:00:00 UTC, OEE 41.0 % (limit 60.0 %), window 1h"
    )
    line = notice_of({**ROW, "station": None, "value": None, "since": "2026-03-02T05:00:00Z", "revision": 2})
    assert line.text.startswith("press: OEE low raised at")
    assert line.text.endswith("since 2026-03-02 05:00:00 UTC, window 1h, by late news")
    down = {**ROW, "kind": "down", "value": 754.2, "limit": 600.0, "detail": "seconds"}
    assert notice_of(down).text.endswith("06:00:00 UTC, stands for 12 min 34 s (limit 10 min)")
    assert notice_of({**ROW, "retracted": True}).text.endswith("it was not so")
    assert notice_of(ROW).advice == "the line's report shows which loss it is"
    assert notice_of({**ROW, "kind": "of_a_later_version"}).advice == ""


async def test_each_once_the_old_ones_never_and_only_what_is_wanted() -> None:
    way = Kept()
    notifier = Notifier(Settings(), [way], ["oee_low"], cleared=False)
    notifier._first_new[PLACE] = 10
    for one in (
        record(8, id="0a"),  # before the place where it goes on: known from then on
        record(10, id="0a"),
        record(11, id="0b"),
        record(12, id="0b"),  # published again by a worker that was killed
        record(13, id="0c", kind="down"),
        record(14, id="0d", action="cleared"),
        SimpleNamespace(offset=15, value=b"{"),
        record(16, id="0e"),
    ):
        await notifier._take(PLACE, one)
    assert [notice.id for notice in way.sent] == ["0b", "0e"]


async def test_a_way_that_is_away_is_waited_for_one_that_refuses_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    away = Kept(OSError("away"), TimeoutError(), *[OSError()] * 20)
    refusing = Kept(*[RefusedError("no such hook")] * 50)
    notifier = Notifier(Settings(), [refusing, away])
    await notifier._take(PLACE, record(1))
    await notifier._take(PLACE, record(2, id="0b"))
    assert [notice.id for notice in away.sent] == ["00000000000000aa", "0b"]
    assert not refusing.sent
    assert len([r for r in caplog.records if "given up: no such hook" in r.getMessage()]) == 2
    with pytest.raises(NotifyError, match="nowhere"):
        Notifier(Settings(), [])


@asynccontextmanager
async def hook(statuses: list[int], got: list[Any]) -> AsyncIterator[str]:
    async def take(request: web.Request) -> web.Response:
        got.append((request.headers["Idempotency-Key"], await request.json()))
        return web.Response(status=statuses.pop(0))

    app = web.Application()
    app.router.add_post("/hook", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    finally:
        await runner.cleanup()


async def test_webhook() -> None:
    got: list[Any] = []
    async with hook([200, 500, 404, 429, 302], got) as url:
        way, notice = Webhook(url), notice_of(ROW)
        await way.send(notice)
        assert got == [(ROW["id"], {"text": notice.text, "alert": ROW, "advice": notice.advice})]
        with pytest.raises(Exception, match="500") as later:
            await way.send(notice)
        assert not isinstance(later.value, RefusedError)
        with pytest.raises(RefusedError, match="404"):
            await way.send(notice)
        with pytest.raises(Exception, match="429") as busy:
            await way.send(notice)
        assert not isinstance(busy.value, RefusedError)
        with pytest.raises(RefusedError, match="302"):  # the key would go to who knows whom
            await way.send(notice)


async def smtp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, refuse: bool, got: list[str]) -> None:
    """As much of a mail server as a message needs."""
    writer.write(b"220 test\r\n")
    body = ""
    while line := (await reader.readline()).decode():
        word = line.strip().upper()[:4]
        if word == "DATA":
            writer.write(b"354 go on\r\n")
            while (text := (await reader.readline()).decode()) != ".\r\n":
                body += text
            got.append(body)
        answer = {"EHLO": b"250 test", "QUIT": b"221 bye", "RCPT": b"550 unknown" if refuse else b"250 ok"}
        writer.write(answer.get(word, b"250 ok") + b"\r\n")
        if word == "QUIT":
            break
    writer.close()


async def test_mail() -> None:
    for refuse in (False, True):
        got: list[str] = []
        server = await asyncio.start_server(lambda r, w, f=refuse, g=got: smtp(r, w, f, g), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        way = Mail("127.0.0.1", port, "twin@example.com", ["a@example.com", "b@example.com"], "none")
        if refuse:
            with pytest.raises(RefusedError):
                await way.send(notice_of(ROW))
        else:
            await way.send(notice_of(ROW))
            message = email.message_from_string(got[0])
            assert message["Subject"] == "press/s1: OEE low raised at 2026-03-02 06:00:00 UTC"
            assert message["Message-ID"] == f"<{ROW['id']}@taktwin>"
            assert message["To"] == "a@example.com, b@example.com"
            assert "limit 60.0 %" in message.get_payload(decode=True).decode()
        with pytest.raises(RefusedError):  # never in the open where it was to be hidden
            await Mail("127.0.0.1", port, "t@example.com", ["a@example.com"]).send(notice_of(ROW))
        server.close()


@pytest.mark.parametrize(
    "arguments", [["--webhook", "ftp://x"], ["--smtp", "mail"], ["--smtp", "mail:25", "--sender", "a@example.com"]]
)
def test_what_cannot_be_used_is_a_usage_error(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["notify", *arguments]) == USAGE
    assert "--" in capsys.readouterr().err
