"""What a worker makes sure of before it starts anything."""

import fcntl
import os
import tempfile
from pathlib import Path
from typing import IO

from streams import exits
from streams.settings import Settings, SettingsError


def check_folders(settings: Settings) -> None:
    """End at once, in one line, where nothing can be written: later it would be said of a file nobody has heard of."""
    for name, folder in (("TAKTWIN_AUDIT", settings.audit), ("TAKTWIN_STATE", str(settings.state_folder))):
        if "://" in folder:
            continue
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            exits.end_now(
                exits.STORAGE,
                f"cannot start: {name} {folder} cannot be written ({error.strerror}); mount it writable for user "
                f"{os.geteuid()}, or name another folder",
            )


def hold_instance(settings: Settings) -> IO[str] | None:
    """Lock a static id in the state folder: a second worker with it would make both fence each other for ever.

    None without a static id. Raises SettingsError when another process holds it. The lock goes with the process.
    """
    if not settings.instance:
        return None
    folder = settings.state_folder
    folder.mkdir(parents=True, exist_ok=True)
    handle = (folder / f"instance-{settings.instance}.lock").open("w")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        raise SettingsError(
            f"TAKTWIN_INSTANCE: {settings.instance!r} is in use by another worker; give each its own"
        ) from None
    return handle
