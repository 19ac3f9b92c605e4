"""Small files that are replaced as a whole, and objects that stand for them."""

import contextlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, Protocol

from twin.audit.durable import make_folder, sync_folder
from twin.store import Store

# Notes that nobody waits for, one after the other.
_WRITING: Final = ThreadPoolExecutor(1, thread_name_prefix="notes")


class Place(Protocol):
    """Where a small file lies; `str` says it to a person. Methods raise OSError."""

    def read(self) -> bytes:
        """Raises FileNotFoundError."""

    def write(self, data: bytes, *, durable: bool) -> None: ...

    def remove(self) -> None: ...


class File:
    """See `Place`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __str__(self) -> str:
        return str(self._path)

    def read(self) -> bytes:
        return self._path.read_bytes()

    def write(self, data: bytes, *, durable: bool) -> None:
        replace(self._path, data, durable=durable)

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)


class Object:
    """See `Place`. What need not be durable, and what is removed, is so a little later: the loop does not wait."""

    def __init__(self, store: Store, key: str) -> None:
        self._store, self._key = store, key

    def __str__(self) -> str:
        return f"{self._store.url}/{self._key}"

    def read(self) -> bytes:
        return self._store.get(self._key)[0]

    def write(self, data: bytes, *, durable: bool) -> None:
        done = _WRITING.submit(self._store.put, self._key, data)
        if durable:
            done.result()

    def remove(self) -> None:
        _WRITING.submit(self._store.delete, [self._key])


def replace(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Write beside, fsync, rename, fsync the folder: after a crash the old file is there or the new one, whole.

    Without `durable` that holds of a crash of the process; when power fails the file may be cut off. Raises OSError;
    what is half-written is taken away.
    """
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        make_folder(path.parent)
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        temporary.replace(path)
        if durable:
            sync_folder(path.parent)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
