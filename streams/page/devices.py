"""Who may look and who may enter: devices with a token each, out of a file that is read again when it changes.

    store = "/var/lib/taktwin/page.sqlite"   # what may be erased; never under the audit root
    keep_days = 90                           # then notes and entries are erased there
    look = "open"                            # or "token": nobody looks without one

    [[device]]
    id = "tablet-4"                          # opaque: stands as `by` in every event; never a name
    token_sha256 = "9f86d0..."               # of a long random token
    rights = "enter"                         # or "look"
    lines = ["filling-1"]                    # where it may enter; absent: everywhere

The file holds hashes, so that who reads it can enter nothing. A lost tablet is a table that is taken out.
"""

import hashlib
import logging
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

log = logging.getLogger(__name__)

_HASH: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_KEYS: Final = {"store", "keep_days", "look", "device"}
_DEVICE_KEYS: Final = {"id", "token_sha256", "rights", "lines"}
MOST_KEEP_DAYS: Final = 3_660


class DevicesError(ValueError):
    """The file of devices cannot be used: says where and what to write."""


@dataclass(frozen=True, slots=True)
class Device:
    id: str
    enter: bool
    lines: frozenset[str] | None  # None: all

    def may_enter(self, line: str) -> bool:
        return self.enter and (self.lines is None or line in self.lines)


@dataclass(frozen=True, slots=True)
class Known:
    """The file as it was read. `devices`: by the SHA-256 of their tokens."""

    store: Path
    keep_days: int
    open_look: bool
    devices: dict[str, Device]


class Devices:
    """Raises DevicesError where the file cannot be used at the start; later nobody is let in until it can be."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = self._stat()
        self.known = read(path)

    def of(self, token: str | None) -> Device | None:
        """Whose token it is. None: nobody's."""
        self._read_again()
        digest = hashlib.sha256((token or "").encode()).hexdigest()
        return self.known.devices.get(digest) if token else None

    @property
    def open_look(self) -> bool:
        return self.known.open_look

    def _stat(self) -> tuple[int, int, int]:
        try:
            found = self._path.stat()
        except OSError:
            return 0, 0, 0
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _read_again(self) -> None:
        stamp = self._stat()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        before = self.known
        try:
            self.known = read(self._path)
        except DevicesError as error:
            log.error("page: %s; no device is let in until the file is mended", error)
            self.known = Known(before.store, before.keep_days, before.open_look, {})


def read(path: Path) -> Known:
    """Raises DevicesError."""
    try:
        made = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DevicesError(f"{path}: cannot be read: {error}") from error
    _only(path, "", made, _KEYS)
    store, look, keep = made.get("store"), made.get("look", "open"), made.get("keep_days", 90)
    if not isinstance(store, str) or not Path(store).is_absolute():
        raise DevicesError(f'{path}: store: write the full path of a file that may be erased, as "/var/page.sqlite"')
    if look not in ("open", "token"):
        raise DevicesError(f'{path}: look = {look!r}: write "open" or "token"')
    if not isinstance(keep, int) or isinstance(keep, bool) or not 1 <= keep <= MOST_KEEP_DAYS:
        raise DevicesError(f"{path}: keep_days = {keep!r}: write whole days from 1 to {MOST_KEEP_DAYS}")
    tables = made.get("device", [])
    if not isinstance(tables, list) or not all(isinstance(one, dict) for one in tables):
        raise DevicesError(f"{path}: device: write each with double brackets, [[device]]")
    devices: dict[str, Device] = {}
    for number, table in enumerate(tables):
        digest, device = _device(path, number, table)
        if digest in devices or device.id in {one.id for one in devices.values()}:
            raise DevicesError(f"{path}: device[{number}]: its id or token is another's; give each its own")
        devices[digest] = device
    return Known(Path(store), keep, look == "open", devices)


def _device(path: Path, number: int, table: dict[str, Any]) -> tuple[str, Device]:
    where = f"device[{number}]"
    _only(path, f"{where}.", table, _DEVICE_KEYS)
    name, digest, rights, lines = (table.get(key) for key in ("id", "token_sha256", "rights", "lines"))
    if not isinstance(name, str) or not _ID.fullmatch(name):
        raise DevicesError(f"{path}: {where}.id: up to 64 letters, digits, dots or dashes; never a name")
    if not isinstance(digest, str) or not _HASH.fullmatch(digest):
        raise DevicesError(f"{path}: {where}.token_sha256: 64 hexadecimal digits: printf %s TOKEN | sha256sum")
    if rights not in ("look", "enter"):
        raise DevicesError(f'{path}: {where}.rights = {rights!r}: write "look" or "enter"')
    if lines is not None and not (isinstance(lines, list) and all(isinstance(one, str) for one in lines)):
        raise DevicesError(f'{path}: {where}.lines: write line ids, as ["filling-1"]')
    return digest, Device(name, rights == "enter", None if lines is None else frozenset(lines))


def _only(path: Path, where: str, table: dict[str, Any], known: set[str]) -> None:
    if unknown := sorted(set(table) - known):
        raise DevicesError(f"{path}: {where}{unknown[0]}: no such key; there are {', '.join(sorted(known))}")
