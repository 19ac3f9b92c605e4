"""The doors: which device asks, what it may, and the three addresses by which something is entered."""

import asyncio
import logging
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from aiohttp import web
from aiokafka.errors import KafkaError

from streams import clock
from streams.client import AccessError, Settings
from streams.page.devices import Device, Devices, DevicesError
from streams.page.entries import Entries, EntryError, NotLiveError, TakenError, entry_of
from streams.page.live import Live
from streams.page.store import Store
from streams.page.tiles import Tiles
from twin.audit import AuditError

log = logging.getLogger(__name__)

COOKIE: Final = "taktwin_device"
COOKIE_S: Final = 400 * 86_400  # a tablet that logs out is a tablet nobody uses
WRONG_TOKEN_S: Final = 0.5
ERASE_S: Final = 3_600.0
_PREFIX: Final = "/api/v1/"
# What a device needs before it is known.
_OPEN: Final = ("device", "words")
_WRITTEN: Final = ("device", "entries")


class Doors:
    """`devices` None: nobody enters, and everybody who reaches the page looks."""

    def __init__(self, devices: Devices | None, store: Store | None) -> None:
        self.devices, self.store = devices, store

    def device(self, request: web.Request) -> Device | None:
        if self.devices is None:
            return None
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        return self.devices.of(token if kind == "Bearer" else request.cookies.get(COOKIE))

    def refuses(self, request: web.Request) -> tuple[int, str] | None:
        """Status and sentence; None: it may go on. A path behind a proxy begins elsewhere: only its end counts."""
        _, found, name = request.path.rpartition(_PREFIX)
        if request.method not in ("GET", "HEAD") and name in _WRITTEN and (wrong := _foreign(request)):
            return 403, wrong
        if not found or self.devices is None or self.devices.open_look or name in _OPEN:
            return None
        return None if self.device(request) else (401, "this page shows nothing to a device that it does not know")


def _foreign(request: web.Request) -> str | None:
    """A form or a script of another site can send a POST, but not of this type and not from here."""
    if request.content_type != "application/json":
        return "send application/json"
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc != request.host:
        return f"{origin} is another site"
    return None


def doors_of(path: Path | None, root: Path) -> Doors:
    """Raises DevicesError; OSError and sqlite3.Error where the store cannot be used."""
    if path is None:
        return Doors(None, None)
    devices = Devices(path)
    store = devices.known.store.resolve()
    if store.is_relative_to(root.resolve()):
        raise DevicesError(f"{path}: store: {store} lies under the audit root, which forgets nothing; put it elsewhere")
    return Doors(devices, Store(store))


def add_entering(
    app: web.Application,
    doors: Doors,
    settings: Settings | None,
    root: Path,
    live: Live,
    tiles: Tiles,
    pool: ThreadPoolExecutor,
) -> None:
    """Routes `device` and `entries`. Without Kafka or devices they say so."""
    entries = None
    if doors.store is not None and settings is not None:
        entries = Entries(root, settings, live, tiles, doors.store)
    handlers = _Handlers(doors, entries, pool)
    app.router.add_get(f"{_PREFIX}device", handlers.device)
    app.router.add_post(f"{_PREFIX}device", handlers.know)
    app.router.add_delete(f"{_PREFIX}device", handlers.forget)
    app.router.add_get(f"{_PREFIX}entries", handlers.list)
    app.router.add_post(f"{_PREFIX}entries", handlers.enter)
    app.cleanup_ctx.append(handlers.background)


class _Handlers:
    def __init__(self, doors: Doors, entries: Entries | None, pool: ThreadPoolExecutor) -> None:
        self._doors, self._entries, self._pool = doors, entries, pool

    async def background(self, _: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(self._erase())
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        if self._entries is not None:
            await self._entries.reset()

    async def _erase(self) -> None:
        devices, store = self._doors.devices, self._doors.store
        while devices is not None and store is not None:
            erased = await asyncio.to_thread(store.erase_old, devices.known.keep_days, clock.now_ns())
            if erased:
                log.info("page: %d notes erased that were older than %d days", erased, devices.known.keep_days)
            await asyncio.sleep(ERASE_S)

    def _about(self, device: Device | None) -> dict[str, Any]:
        lines = None if device is None or device.lines is None else sorted(device.lines)
        return {
            "entering": self._entries is not None,
            "id": device.id if device else None,
            "enter": bool(device and device.enter and self._entries is not None),
            "lines": lines,
        }

    async def device(self, request: web.Request) -> web.Response:
        return _json(self._about(self._doors.device(request)))

    async def know(self, request: web.Request) -> web.Response:
        """A token, once: from then on a cookie has it that no script can read."""
        try:
            token = msgspec.json.decode(await request.read(), type=dict[str, str]).get("token", "")
        except msgspec.DecodeError:
            token = ""
        device = self._doors.devices.of(token) if self._doors.devices else None
        if device is None:
            await asyncio.sleep(WRONG_TOKEN_S)
            return _json({"error": "no device has this token"}, 403)
        answer = _json(self._about(device))
        # Without a path it holds for the API's own folder, wherever a proxy has put it.
        secure = "; Secure" if request.headers.get("X-Forwarded-Proto", request.scheme) == "https" else ""
        answer.headers["Set-Cookie"] = f"{COOKIE}={token}; Max-Age={COOKIE_S}; HttpOnly; SameSite=Strict{secure}"
        return answer

    async def forget(self, _: web.Request) -> web.Response:
        answer = _json(self._about(None))
        answer.headers["Set-Cookie"] = f"{COOKIE}=; Max-Age=0; HttpOnly; SameSite=Strict"
        return answer

    async def list(self, request: web.Request) -> web.Response:
        device = self._doors.device(request)
        if self._entries is None or device is None:
            return _json({"entries": []})
        try:
            found = await self._run(self._entries.entries, device, request.query.get("line", ""))
        except (AuditError, OSError) as error:
            return _json({"error": str(error)}, 503)
        return _json({"entries": found})

    async def enter(self, request: web.Request) -> web.Response:
        """409: this entry will never be taken, and why. 503: not yet; send it again."""
        device = self._doors.device(request)
        if self._entries is None:
            return _json({"error": "nothing can be entered here: start the page with --devices, and with Kafka"}, 403)
        if device is None or not device.enter:
            return _json({"error": "this device may not enter anything"}, 401 if device is None else 403)
        try:
            entry = entry_of(await request.read())
            kept = await self._run(self._entries.make, device, entry)
            kept = await self._entries.send(kept)
            return _json(await self._run(self._entries.answer, kept))
        except EntryError as error:
            return _json({"error": str(error), "refused": True, "taken": isinstance(error, TakenError)}, 409)
        except (NotLiveError, AuditError) as error:
            return _json({"error": str(error)}, 503)
        except (KafkaError, AccessError, OSError, TimeoutError) as error:
            log.warning("page: an entry waits: %s", error)
            await self._entries.reset()
            return _json({"error": f"Kafka does not take it now: {error}"}, 503)

    async def _run(self, what: Any, *with_these: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._pool, what, *with_these)


def _json(value: Any, status: int = 200) -> web.Response:
    answer = web.Response(body=msgspec.json.encode(value), status=status, content_type="application/json")
    answer.headers["Cache-Control"] = "no-store"
    return answer
