"""The runtime folder, where a worker leaves the port of its health pages, and how to ask there.

For health checks, which are a process each: nothing heavy is imported.
"""

import contextlib
import json
import os
import stat
import tempfile
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from streams.settings import Settings, runtime_folder

_LIMIT_S: Final = 2.5
_EVERYWHERE: Final = ("0.0.0.0", "::", "")  # noqa: S104  what is listened on, not where we connect to


@dataclass(frozen=True, slots=True)
class Answer:
    """What a worker said, or why it said nothing, in one line."""

    good: bool
    said: str
    body: dict[str, Any] = field(default_factory=dict)


def leave_port(port: int) -> Path | None:
    """Write down that this process listens there. None: there is no folder for it, which is no reason to end."""
    try:
        folder = _own_folder()
        path = folder / f"health-{os.getpid()}"
        path.write_text(f"{port}\n")
    except OSError:
        return None
    return path


def ask(settings: Settings, page: str) -> Answer:
    """GET a health page of this machine's worker."""
    if settings.health_port < 0:
        return Answer(False, "TAKTWIN_HEALTH_PORT is -1: the worker has no health pages")
    ports = [settings.health_port] if settings.health_port else _left_ports()
    if not ports:
        return Answer(False, "not alive: no worker has left a health port; it has not begun to listen, or has ended")
    if len(ports) > 1:
        return Answer(False, f"several workers listen (ports {', '.join(map(str, ports))}): name one with --port")
    host = "127.0.0.1" if settings.health_host in _EVERYWHERE else settings.health_host
    return _asked(host, ports[0], page)


def _asked(host: str, port: int, page: str) -> Answer:
    where = f"http://{f'[{host}]' if ':' in host else host}:{port}{page}"
    # Never by a proxy that the environment names: the worker is on this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(where, timeout=_LIMIT_S) as answer:
            body = json.load(answer)
    except urllib.error.HTTPError as error:
        with contextlib.suppress(ValueError):
            body = json.load(error)
            if isinstance(body, dict):
                return Answer(False, f"not ready: {_waits_for(body)}", body)
        return Answer(False, f"{where} answers {error.code}: is it a worker?")
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        return Answer(False, f"not alive: {where}: {reason}")
    if not isinstance(body, dict):
        return Answer(False, f"{where} does not answer as a worker")
    return Answer(True, _summary(body), body)


def _waits_for(body: dict[str, Any]) -> str:
    if body.get("waiting_for"):
        return f"waits for {body['waiting_for']}"
    storage = body.get("storage")
    return f"waits for the disk: {storage['error']}" if storage else "waits for the group"


def _summary(body: dict[str, Any]) -> str:
    if "partitions" not in body:
        return "alive"
    lags = [p["lag"] for p in body["partitions"].values() if p.get("lag") is not None]
    return f"ready: partitions {', '.join(body['partitions']) or 'none'}; lag {sum(lags)} records"


def _left_ports() -> list[int]:
    """Of the workers that still live."""
    ports = []
    try:
        for path in sorted(_own_folder().glob("health-*")):
            pid = path.name.removeprefix("health-")
            if Path("/proc").is_dir() and not Path(f"/proc/{pid}").exists():
                path.unlink(missing_ok=True)  # killed: it had no time to
                continue
            with contextlib.suppress(ValueError):
                ports.append(int(path.read_text()))
    except OSError:
        return []
    return ports


def _own_folder() -> Path:
    """Made for this account alone; PermissionError where somebody else was quicker in a shared temporary folder."""
    folder = runtime_folder() or Path(tempfile.gettempdir()) / f"taktwin-{os.geteuid()}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError(f"{folder} is not this account's alone")
    return folder
