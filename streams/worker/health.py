"""The worker's pages: /alive and /ready, /metrics, and what else it is given. They change nothing.

aiohttp (Faust brings it along) reads the requests; what it leaves open is bounded here: how many connections there are,
and how long each may take. One request per connection: a probe asks every few seconds.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

log = logging.getLogger(__name__)
_AIOHTTP_LOG: Final = logging.getLogger(f"{__name__}.aiohttp")
# A trace for each request that is none: whoever reaches the port could fill the log.
_AIOHTTP_LOG.addFilter(lambda record: not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError)))

MOST_CONNECTIONS: Final = 64
CONNECTION_LIMIT_S: Final = 10.0
_MOST_LINE_BYTES: Final = 2_048
_MOST_HEADER_BYTES: Final = 8_192
_MOST_HEADERS: Final = 64

Report = Callable[[], tuple[bool, dict[str, Any]]]
Page = Callable[[], Awaitable[tuple[str, bytes]]]  # content type and body


def schema_pages() -> dict[str, Page]:
    """/schemas: what the topics hold, for programs; the list of names, and each under its own."""
    from streams.schemas import documents, text_of

    def fixed(body: bytes) -> Page:
        async def page() -> tuple[str, bytes]:
            return "application/json", body

        return page

    found = documents()
    pages = {f"/schemas/{name}": fixed(text_of(document).encode()) for name, document in found.items()}
    return {"/schemas": fixed(msgspec.json.encode(sorted(found))), **pages}


class HealthServer:
    """`report` gives (ready, body); it and the pages are called per request, in the worker's loop."""

    def __init__(
        self, port: int, report: Report, host: str = "127.0.0.1", pages: Mapping[str, Page] | None = None
    ) -> None:
        self._host = host
        self.port = port
        self._report = report
        self._pages = pages or {}
        self._server: asyncio.Server | None = None
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen; port 0 takes a free one, a negative port none at all. Raises OSError where the port is taken."""
        if self.port < 0:
            return
        app = web.Application()
        app.router.add_get("/alive", self._alive, allow_head=False)
        app.router.add_get("/ready", self._ready, allow_head=False)
        for path, page in self._pages.items():
            app.router.add_get(path, _handler(page), allow_head=False)
        app.router.add_route("*", "/{path:.*}", self._other)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            logger=_AIOHTTP_LOG,
            max_line_size=_MOST_LINE_BYTES,
            max_field_size=_MOST_HEADER_BYTES,
            max_headers=_MOST_HEADERS,
            lingering_time=0.0,
        )
        await self._runner.setup()
        self._server = await asyncio.get_running_loop().create_server(self._accept, self._host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        log.info("health on http://%s:%d/ready, metrics on /metrics", self._host, self.port)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        if self._runner is not None:
            for connection in self._connections():
                connection.force_close()  # else a reader that takes nothing would hold up the stop
            await self._runner.cleanup()

    def _connections(self) -> list[Any]:
        server = self._runner.server if self._runner is not None else None
        return server.connections if server is not None else []

    def _accept(self) -> asyncio.Protocol:
        assert self._runner is not None
        server = self._runner.server
        assert server is not None
        if len(server.connections) >= MOST_CONNECTIONS:
            return _Refuse()
        protocol = server()
        # Also of one that sends its request byte by byte, or reads its answer so.
        asyncio.get_running_loop().call_later(CONNECTION_LIMIT_S, _end, protocol)
        return protocol

    async def _alive(self, _: web.Request) -> web.Response:
        return _answer(200, b'{"alive":true}')

    async def _ready(self, _: web.Request) -> web.Response:
        ready, body = self._report()
        return _answer(200 if ready else 503, msgspec.json.encode({"ready": ready, **body}))

    async def _other(self, request: web.Request) -> web.Response:
        names = ", ".join(f"GET {path}" for path in ("/alive", "/ready", *self._pages) if path.count("/") == 1)
        known = {"/alive", "/ready", *self._pages}
        return _answer(405 if request.path in known else 404, msgspec.json.encode({"error": names}))


class _Refuse(asyncio.Protocol):
    """One connection too many: closed at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.abort()


def _end(protocol: web.RequestHandler) -> None:
    transport = protocol.transport
    if transport is not None:
        transport.abort()  # closing it would wait for the reader to take what is in the buffer


def _handler(page: Page) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_: web.Request) -> web.Response:
        kind, body = await page()
        return _answer(200, body, kind)

    return answer


def _answer(status: int, body: bytes, kind: str = "application/json") -> web.Response:
    response = web.Response(status=status, body=body, headers={"Content-Type": kind})
    response.force_close()
    return response
