"""/alive and /ready, as JSON. By hand: two fixed answers need no web framework and no second port."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

import msgspec

log = logging.getLogger(__name__)

_READ_LIMIT_S: Final = 5.0
_MOST_REQUEST_BYTES: Final = 8192


class HealthServer:
    """`report` gives (ready, body); it is called per request, in the worker's loop."""

    def __init__(self, port: int, report: Callable[[], tuple[bool, dict[str, Any]]], host: str = "127.0.0.1") -> None:
        self._host = host
        self.port = port
        self._report = report
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen; port 0 takes a free one, a negative port none at all. Raises OSError where the port is taken."""
        if self.port < 0:
            return
        self._server = await asyncio.start_server(self._answer, self._host, self.port, limit=_MOST_REQUEST_BYTES)
        self.port = self._server.sockets[0].getsockname()[1]
        log.info("health on http://%s:%d/ready", self._host, self.port)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_READ_LIMIT_S):
                request = await reader.readuntil(b"\r\n\r\n")
            status, body = self._respond(request.split(b"\r\n", 1)[0])
            head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            writer.write(head.encode() + b"Connection: close\r\n\r\n" + body)
            await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # a caller that breaks off is no concern of the twin
        finally:
            writer.close()

    def _respond(self, request_line: bytes) -> tuple[str, bytes]:
        words = request_line.split()
        if len(words) != 3 or words[0] != b"GET":
            return "405 Method Not Allowed", b'{"error":"GET /alive or GET /ready"}'
        path = words[1].partition(b"?")[0]
        if path == b"/alive":
            return "200 OK", b'{"alive":true}'
        if path == b"/ready":
            ready, body = self._report()
            return "200 OK" if ready else "503 Service Unavailable", msgspec.json.encode({"ready": ready, **body})
        return "404 Not Found", b'{"error":"GET /alive or GET /ready"}'
