"""What a worker makes sure of before it starts anything."""

import atexit
import fcntl
import hashlib
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from streams import clock, exits
from streams.kafka.topics import EVENTS
from streams.settings import Settings, SettingsError, cache_folder
from streams.state.fits import StateError
from streams.state.shared import SharedAudit
from streams.state.shared_snapshots import SharedSnapshots
from streams.state.snapshot_files import SnapshotStore
from twin import store
from twin.audit import AuditError, durable, marker, store_marker


@dataclass(frozen=True, slots=True)
class Places:
    """Where a worker's audit and snapshots are."""

    audit: Path  # the root, or this process's own folder before object storage
    shared: SharedAudit | None  # that storage
    snapshots: SnapshotStore
    state: Path  # folder of the snapshots; of no meaning where they are objects
    objects: store.Store | None  # the snapshots, where they are


def places(settings: Settings) -> Places:
    """Of object storage the plant models are there. Ends at once where it does not answer, or the URL is none."""
    try:
        where = opened(settings)
        if where.shared is not None:
            where.shared.take_models()
    except store.StoreError as error:
        exits.end_now(exits.STORAGE, f"cannot start: {error}")
    return where


def opened(settings: Settings) -> Places:
    """Raises StoreError where a URL is none."""
    shared, kept = None, None
    audit, state = Path(settings.audit), settings.state_folder / settings.group_id
    if store.is_url(settings.audit):
        audit = Path(tempfile.mkdtemp(prefix="taktwin-worker-"))
        atexit.register(shutil.rmtree, audit, ignore_errors=True)
        shared = SharedAudit(store.opened(settings.audit), audit)
    if store.is_url(settings.state_place):
        kept = store.opened(f"{settings.state_place.rstrip('/')}/{settings.group_id}")
    return Places(audit, shared, SnapshotStore(state) if kept is None else SharedSnapshots(kept), state, kept)


def check_folders(settings: Settings) -> None:
    """End at once, in one line, where nothing can be written: later it would be said of a file nobody has heard of."""
    for name, folder in (("TAKTWIN_AUDIT", settings.audit), ("TAKTWIN_STATE", settings.state_place)):
        if store.is_url(folder):
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


def claim_root(settings: Settings, where: Places) -> Callable[[], None]:
    """Make sure that the audit root is this plant's, and hold it. Returns what says whether it is there still.

    Ends at once where the root is another's. What is returned raises OSError and StateError.
    """
    place, state = settings.audit, where.snapshots.where
    shared = where.shared
    try:
        bare = marker.is_bare(where.audit) if shared is None else store_marker.is_bare(shared.store)
        if bare and where.snapshots.any():
            exits.end_now(
                exits.STATE,
                f"cannot start: {place} is empty, but {state} holds the state of a group that has written there: is it "
                "the right folder, and is it mounted? To begin anew, take a new group",
            )
        present = _claimed(settings, where)
        if where.objects is None:
            durable.make_folder(where.state)
    except AuditError as error:
        exits.end_now(exits.STATE, f"cannot start: {error}")
    except OSError as error:
        exits.end_now(exits.STORAGE, f"cannot start: {error.filename or place}: {error.strerror}")
    if shared is None:
        durable.hold(where.audit)
    if where.objects is None:
        durable.hold(settings.state_folder)

    def there() -> None:
        try:
            present()
        except AuditError as error:
            raise StateError(str(error)) from error

    return there


def _claimed(settings: Settings, where: Places) -> Callable[[], None]:
    """Raises AuditError, OSError; so does what is returned."""
    identity = uuid.uuid4().hex
    if where.shared is not None:
        mine = store_marker.claim(where.shared.store, where.audit, settings.prefix, settings.group_id, identity)
        return store_marker.Presence(where.shared.store, mine.id, clock.monotonic_s)
    mine = marker.claim(where.audit, settings.prefix, settings.group_id, settings.topic(EVENTS), identity)
    return lambda: marker.check(where.audit, mine.id)


def hold_instance(settings: Settings) -> IO[str] | None:
    """Lock a static id in the state folder: a second worker with it would make both fence each other for ever.

    None without a static id. Raises SettingsError when another process holds it. The lock goes with the process.
    """
    if not settings.instance:
        return None
    folder = settings.state_folder
    if store.is_url(settings.state_place):  # nothing can be locked there; so only those of this machine are found
        folder = cache_folder() / f"instances-{hashlib.sha256(settings.state_place.encode()).hexdigest()[:16]}"
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
