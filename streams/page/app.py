"""The server: static files, the API, one stream per browser. It belongs to no group; only devices that are known may
enter anything (`streams.page.enter`), and what they enter are events."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
from aiohttp import web

from streams import clock
from streams.client import Settings
from streams.page.api import Answer, Api, Query, Route, openapi
from streams.page.enter import Doors, add_entering, doors_of
from streams.page.live import Live, message
from streams.page.tiles import Tiles
from twin.audit import AuditError
from twin.audit.mirror import Mirror
from twin.audit.read import one_listing
from twin.report import ReportError
from twin.report.svg import COLOURS
from twin.version import code_version

log = logging.getLogger(__name__)

STATIC: Final = Path(__file__).parent / "static"
RELOAD_S: Final = 5.0
MOST_BODY: Final = 16_384  # of an entry
# Reading Parquet takes a core while it lasts; the loop must go on telling states.
THREADS: Final = 2
MOST_WAITING: Final = 32
ANSWER_LIMIT_S: Final = 60.0
# Nothing of anybody else's, nothing inline, in nobody's frame.
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_REPORT_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
ALIVE: Final = "/alive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    root: Path
    settings: Settings | None  # None: no Kafka, only what is audited
    host: str = "127.0.0.1"
    port: int = 8088
    devices: Path | None = None  # file of the devices that may look and enter; None: everybody looks, nobody enters
    names: tuple[str, ...] = ()  # of the host, as browsers may call it; empty: loopback's own, or any elsewhere
    factors: Path | None = None  # file of factors by which amounts become CO2e and money
    mirror: Mirror | None = None  # of object storage, which `root` follows

    @property
    def place(self) -> str:
        """The root by the name that people know."""
        return str(self.root) if self.mirror is None else self.mirror.store.url

    def told(self, error: Exception) -> str:
        return str(error).replace(str(self.root), self.place)


def make_app(options: Options) -> web.Application:
    """The whole application; its tasks end with it. Raises DevicesError, OSError and sqlite3.Error."""
    live = Live(options.settings)
    doors = doors_of(options.devices, options.root)
    tiles = Tiles(options.root, live)
    api = Api(options.root, tiles, options.settings, doors.devices, options.place, options.factors)
    pool = ThreadPoolExecutor(THREADS, "page")
    app = web.Application(middlewares=[_guard(options, doors)], client_max_size=MOST_BODY)
    routes = api.routes()
    waiting = asyncio.Semaphore(MOST_WAITING)
    for route in routes:
        app.router.add_get(f"/api/v1/{route.path}", _handler(options, route, pool, waiting))
    add_entering(app, doors, options.settings, options.root, live, tiles, pool)
    document = msgspec.json.encode(openapi(routes, code_version()))
    app.router.add_get("/api/v1/openapi.json", _fixed("application/json", document))
    app.router.add_get("/api/v1/stream", _stream(live, tiles))
    app.router.add_get("/static/chart.css", _fixed("text/css", COLOURS.encode()))
    app.router.add_get(ALIVE, _fixed("application/json", b'{"alive":true}'))
    app.router.add_get("/", _fixed("text/html", (STATIC / "index.html").read_bytes()))
    for path in sorted(STATIC.iterdir()):
        kind = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}.get(path.suffix)
        if kind is not None:
            app.router.add_get(f"/static/{path.name}", _fixed(kind, path.read_bytes()))
    app.cleanup_ctx.append(_background(options, live, tiles, pool))
    return app


def _background(
    options: Options, live: Live, tiles: Tiles, pool: ThreadPoolExecutor
) -> Callable[[web.Application], AsyncIterator[None]]:
    async def context(_: web.Application) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(live.run()), asyncio.create_task(_reload(options, live, tiles, pool))]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        pool.shutdown(wait=False, cancel_futures=True)

    return context


async def _reload(options: Options, live: Live, tiles: Tiles, pool: ThreadPoolExecutor) -> None:
    """Audited rows, again and again; an audit root that cannot be read is told and tried again."""
    loop = asyncio.get_running_loop()
    said = ""
    while True:
        begun = clock.monotonic_s()
        try:
            if options.mirror is not None:  # not in the pool: it waits for the network
                await loop.run_in_executor(None, options.mirror.refresh)
            await loop.run_in_executor(pool, tiles.load)
            for name in tiles.names():
                live.tell(name)
            said = ""
        except (AuditError, OSError) as error:
            if options.told(error) != said:  # once, not every few seconds
                said = options.told(error)
                log.warning("page: %s", said)
        except Exception as error:  # nobody waits for this task: it goes on, whatever it was
            log.warning("page: the audit root could not be read", exc_info=error)
        # A large root takes its time: most of it is left to those who ask.
        await asyncio.sleep(max(RELOAD_S, 3 * (clock.monotonic_s() - begun)))


def _guard(options: Options, doors: Doors) -> Any:
    """Headers on every answer; and only names of this host, or a foreign site could read it through a browser."""
    names = options.names or (_LOOPBACK if options.host in _LOOPBACK else ())

    @web.middleware
    async def guard(request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> Any:
        # A probe calls by whatever address it has, and is told nothing.
        if names and request.path != ALIVE and _host_of(request) not in names:
            return _problem(421, f"this page is not known as {request.host}; start it with --name {_host_of(request)}")
        if (refused := doors.refuses(request)) is not None:
            return _problem(*refused)
        try:
            response = await handler(request)
        except web.HTTPException as error:
            response = _problem(error.status, error.reason)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    return guard


def _host_of(request: web.Request) -> str:
    host = request.host
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]


def _problem(status: int, text: str) -> web.Response:
    response = web.json_response({"error": text}, status=status)
    response.headers.update(HEADERS)
    return response


def _fixed(kind: str, body: bytes) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_: web.Request) -> web.Response:
        # Checked each time: after an upgrade nobody sees an old page with a new API.
        return web.Response(body=body, content_type=kind, charset="utf-8", headers={"Cache-Control": "no-cache"})

    return answer


def _handler(
    options: Options, route: Route, pool: ThreadPoolExecutor, waiting: asyncio.Semaphore
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(request: web.Request) -> web.Response:
        known = {one.name for one in route.parameters}
        if unknown := sorted(set(request.query) - known):
            return _problem(400, f"{unknown[0]}: no such parameter; there are {', '.join(sorted(known)) or 'none'}")
        if waiting.locked():
            return _problem(503, "too many questions wait; try again")
        accept = request.headers.get("Accept", "")
        try:
            async with waiting, asyncio.timeout(ANSWER_LIMIT_S):
                run = asyncio.get_running_loop().run_in_executor(
                    pool, _ask, options.mirror, route, request.query, accept
                )
                kind, body = await run
        except ReportError as error:
            return _problem(400, str(error))
        except (AuditError, OSError) as error:
            return _problem(503, options.told(error))
        except TimeoutError:
            return _problem(503, f"not answered within {ANSWER_LIMIT_S:.0f} s; ask for a shorter span")
        response = web.Response(body=body, headers={"Content-Type": kind, "Cache-Control": "no-store"})
        if kind.startswith("text/html"):
            response.headers["Content-Security-Policy"] = _REPORT_POLICY
        response.enable_compression()
        return response

    return answer


def _ask(mirror: Mirror | None, route: Route, query: Query, accept: str) -> Answer:
    """All of an answer out of one listing of the root; once more where a compaction took a file from under it."""
    if mirror is not None and not mirror.whole:
        raise AuditError(f"{mirror.store.url}: is being copied, which takes its time the first time; try again")
    try:
        with one_listing():
            return route.run(query, accept)
    except FileNotFoundError:
        with one_listing():
            return route.run(query, accept)


def _stream(live: Live, tiles: Tiles) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def stream(request: web.Request) -> web.StreamResponse:
        if live.full:
            return _problem(503, "too many browsers look on; try again")
        headers = {
            "Content-Type": "text/event-stream",
            "Cache-Control": "no-store",
            "X-Accel-Buffering": "no",
            **HEADERS,
        }
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        with contextlib.suppress(ConnectionResetError):
            await response.write(message("hello", {"version": code_version(), **live.status()}))
            async for data in live.messages(tiles.tile):
                await response.write(data)
        return response

    return stream
