"""/alive and /ready, and a log that does not drown."""

import asyncio
import contextlib
import json
import logging
import sys
from typing import Any

import pytest

from streams import clock
from streams.worker import health
from streams.worker.health import MOST_CONNECTIONS, HealthServer
from streams.worker.logs import MOST_PER_WINDOW, MOST_TEXTS, WINDOW_S, JsonLines, RateLimit


async def ask(port: int, request: bytes) -> tuple[str, bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    await writer.drain()
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return head.split(b"\r\n")[0].decode(), body


async def test_answers(caplog: pytest.LogCaptureFixture) -> None:
    ready = False

    async def more() -> tuple[str, bytes]:
        return "text/plain", b"text"

    server = HealthServer(0, lambda: (ready, {"partitions": {"0": {"next": 5}}}), pages={"/more": more})
    await server.start()
    try:
        assert await ask(server.port, b"GET /alive HTTP/1.1\r\nHost: x\r\n\r\n") == (
            "HTTP/1.1 200 OK",
            b'{"alive":true}',
        )
        status, body = await ask(server.port, b"GET /ready HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (status, body) == (
            "HTTP/1.1 503 Service Unavailable",
            b'{"ready":false,"partitions":{"0":{"next":5}}}',
        )
        ready = True
        assert (await ask(server.port, b"GET /ready?x=1 HTTP/1.1\r\nHost: x\r\n\r\n"))[0] == "HTTP/1.1 200 OK"
        assert await ask(server.port, b"GET /more HTTP/1.1\r\nHost: x\r\n\r\n") == ("HTTP/1.1 200 OK", b"text")
        assert await ask(server.port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n") == (
            "HTTP/1.1 404 Not Found",
            b'{"error":"GET /alive, GET /ready, GET /more"}',
        )
        assert (await ask(server.port, b"POST /ready HTTP/1.1\r\nHost: x\r\n\r\n"))[
            0
        ] == "HTTP/1.1 405 Method Not Allowed"
        assert (await ask(server.port, b"\x00 / HTTP/1.1\r\n\r\n"))[0].endswith("400 Bad Request")
        assert (await ask(server.port, b"\r\n\r\nGET\r\n\r\n"))[0].endswith("400 Bad Request")
        for large in (
            b"GET /" + b"x" * 3_000,
            b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 9_000,
            b"GET / HTTP/1.1\r\nHost: x" + b"\r\nA: b" * 65,
        ):
            assert (await ask(server.port, large + b"\r\n\r\n"))[0].endswith("400 Bad Request")
        assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    finally:
        await server.stop()


async def test_only_this_machine_and_only_when_asked_for() -> None:
    server = HealthServer(0, lambda: (True, {}))
    await server.start()
    assert server._server is not None
    assert {s.getsockname()[0] for s in server._server.sockets} == {"127.0.0.1"}
    await server.stop()
    told = HealthServer(0, lambda: (True, {}), "0.0.0.0")  # noqa: S104  what a container needs
    await told.start()
    assert told._server is not None
    assert {s.getsockname()[0] for s in told._server.sockets} == {"0.0.0.0"}  # noqa: S104  as above
    await told.stop()
    none = HealthServer(-1, lambda: (True, {}))
    await none.start()
    assert none._server is None
    await none.stop()


async def test_neither_many_connections_nor_slow_ones_take_the_worker_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "CONNECTION_LIMIT_S", 1.0)
    server = HealthServer(0, lambda: (True, {}))
    await server.start()
    try:
        begun_s = asyncio.get_running_loop().time()
        idle = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(MOST_CONNECTIONS)]
        idle[0][1].write(b"GET /al")  # and nothing more

        async def refused() -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            with pytest.raises(OSError):  # a reset, at once or with the first byte
                writer.write(b"GET /alive HTTP/1.1\r\nHost: x\r\n\r\n")
                if not await asyncio.wait_for(reader.read(), 5):
                    raise ConnectionResetError
            writer.close()

        await refused()
        for reader, writer in idle:
            with contextlib.suppress(OSError):
                assert await asyncio.wait_for(reader.read(), 5) == b""
            writer.close()
        assert asyncio.get_running_loop().time() - begun_s >= 1.0
        assert (await ask(server.port, b"GET /alive HTTP/1.1\r\nHost: x\r\n\r\n"))[0] == "HTTP/1.1 200 OK"
    finally:
        await server.stop()


def test_a_log_of_json_is_one_object_per_line() -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError:
        record = logging.LogRecord("a.b", logging.ERROR, "", 0, "it %s", ("failed\nhere",), sys.exc_info())
    text = JsonLines().format(record)
    assert "\n" not in text
    found = json.loads(text)
    assert (found["level"], found["logger"], found["message"]) == ("ERROR", "a.b", "it failed\nhere")
    assert "ValueError: two\nlines" in found["trace"]
    assert found["ts"].endswith("Z")


def test_repeated_lines_of_clients_are_held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(clock, "monotonic_s", lambda: now)
    limit = RateLimit()

    def record(name: str, text: str) -> logging.LogRecord:
        return logging.LogRecord(name, logging.ERROR, "", 0, text, (), None)

    def passed(name: str, text: str, times: int) -> int:
        return sum(bool(limit.filter(record(name, text))) for _ in range(times))

    assert passed("aiokafka.conn", "unable to connect", 100) == MOST_PER_WINDOW
    assert passed("aiokafka.conn", "another", 1) == 1
    assert passed("streams.worker.worker", "ours", 100) == 100
    now = WINDOW_S + 1
    again: Any = record("aiokafka.conn", "unable to connect")
    assert limit.filter(again)
    assert again.getMessage() == f"unable to connect (and {100 - MOST_PER_WINDOW} more like it in 11 s)"


def test_texts_that_never_repeat_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that puts an offset into the text itself must not fill the memory of a worker that runs for months."""
    now = 0.0
    monkeypatch.setattr(clock, "monotonic_s", lambda: now)
    limit = RateLimit()

    def passes(text: str) -> bool:
        return bool(limit.filter(logging.LogRecord("aiokafka", logging.ERROR, "", 0, text, (), None)))

    for k in range(3 * MOST_TEXTS):
        assert passes(f"offset {k}")
        now += 3 * WINDOW_S / MOST_TEXTS
        assert len(limit._seen) <= MOST_TEXTS
    for k in range(3 * MOST_TEXTS):  # all within one window
        assert passes(f"more {k}")
        assert len(limit._seen) <= MOST_TEXTS
    for _ in range(MOST_PER_WINDOW):
        passes("the same")
    now += WINDOW_S / 2
    for k in range(MOST_TEXTS // 2):
        passes(f"between {k}")
    assert not passes("the same")
