"""Files and folders of an audit root that are there after a power cut: the only place that makes them durable."""

import errno
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from twin.audit.layout import MARKER

# Readable by an analyst's account, writable by the worker's alone, whatever the umask.
FILE_MODE: Final = 0o644
FOLDER_MODE: Final = 0o755


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable: a renamed file may otherwise be gone after a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folders(root: Path, folders: Iterable[Path]) -> None:
    """Make the names in these folders of a root durable, and the folders' own, also where nothing seems to be new.

    Whoever made or renamed something before may have died, or had an error, before it was durable; that cannot be seen.
    """
    todo = {root}
    for folder in folders:
        while folder != root:
            todo.add(folder)
            folder = folder.parent
    for folder in sorted(todo):
        sync_folder(folder)


def write(path: Path, data: bytes) -> None:
    """A new file with these bytes, fsynced; the caller renames it and syncs the folder. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def stage(root: Path, data: bytes, name: Callable[[int], str]) -> Path:
    """A file of its own, fsynced, where it has this name by attempt: relative to the root. Raises OSError.

    What lies there already may be half of it: a writer died, or another one is at it.
    """
    attempt = 0
    while True:
        path = root / name(attempt)
        try:
            write(path, data)
        except FileExistsError:
            attempt += 1
        except OSError:
            path.unlink(missing_ok=True)
            raise
        else:
            return path


def create(path: Path, data: bytes, staged: Path) -> None:
    """The file with these bytes, fsynced: whole, or not there; never over another, which then stays. Raises OSError.

    `staged`: a name on the same file system that nobody else uses at the same time.
    """
    staged.unlink(missing_ok=True)  # of one that was killed right here
    write(staged, data)
    try:
        os.link(staged, path)
    except FileExistsError:
        pass
    except OSError:  # a file system without links
        if not path.exists():
            staged.replace(path)
    finally:
        staged.unlink(missing_ok=True)
    sync_folder(path.parent)


# Folders that were there when this process began to work in them.
_held: set[Path] = set()


def hold(folder: Path) -> None:
    """From now on this process does not make this folder, nor anything in it while its marker is missing: a disk is
    gone."""
    _held.add(folder)


def release(folder: Path) -> None:
    _held.discard(folder)


def make_folder(path: Path) -> None:
    """Make a folder and its parents, each made durable in its parent. Raises OSError.

    Raises FileNotFoundError instead of making one that is held, or anything in it while its marker is missing.
    """
    missing = []
    while not path.is_dir():
        if path in _held or (path.parent in _held and not (path.parent / MARKER).exists()):
            raise FileNotFoundError(errno.ENOENT, "is not there any more: is it mounted, or was it moved?", str(path))
        missing.append(path)
        path = path.parent
    for folder in reversed(missing):
        folder.mkdir(FOLDER_MODE, exist_ok=True)
        sync_folder(folder.parent)
