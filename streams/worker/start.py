"""What a worker makes sure of before it starts anything."""

import fcntl
import os
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import IO

from streams import exits
from streams.kafka.topics import EVENTS
from streams.settings import Settings, SettingsError
from streams.state.fits import StateError
from twin.audit import AuditError, layout, marker


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


def claim_root(settings: Settings) -> Callable[[], None]:
    """Make sure that the audit root is this plant's, and hold it. Returns what says whether it is there still.

    Ends at once where the root is another's. What is returned raises OSError and StateError.
    """
    root, state = Path(settings.audit), settings.state_folder / settings.group_id
    try:
        if marker.is_bare(root) and any(state.glob("*.snapshot")):
            exits.end_now(
                exits.STATE,
                f"cannot start: {root} is empty, but {state} holds the state of a group that has written there: is it "
                "the right folder, and is it mounted? To begin anew, take a new group",
            )
        mine = marker.claim(root, settings.prefix, settings.group_id, settings.topic(EVENTS), uuid.uuid4().hex)
        layout.make_folder(state)
    except AuditError as error:
        exits.end_now(exits.STATE, f"cannot start: {error}")
    except OSError as error:
        exits.end_now(exits.STORAGE, f"cannot start: {error.filename or root}: {error.strerror}")
    layout.hold(root)
    layout.hold(settings.state_folder)

    def present() -> None:
        try:
            marker.check(root, mine.id)
        except AuditError as error:
            raise StateError(str(error)) from error

    return present


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
