"""Small files that are replaced as a whole."""

import contextlib
import os
from pathlib import Path

from twin.audit.layout import make_folder, sync_folder


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
