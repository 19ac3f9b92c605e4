"""An audit root by its name on the command line: a folder, or a prefix in object storage (`s3://BUCKET/PREFIX`)."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import argparse

    from twin.audit.fetch import Cache
    from twin.audit.mirror import Mirror
    from twin.store import Store

_FRESH_NS: Final = 60 * 10**9


@contextmanager
def readable(place: str, *, proof: bool = False, state: str | None = None) -> Iterator[str]:
    """A folder that holds what the root holds now; of object storage a copy, for as long as it is open.

    Objects that were copied before come from the cache (TAKTWIN_CACHE); for a `proof` all are copied anew, and with
    them what the snapshots name (of the folder `state`, else those in the root).
    """
    from twin.store import is_url

    if not is_url(place):
        yield place
        return
    from twin import store
    from twin.audit import AuditError, fetch

    source = store.opened(place)
    with _inside("root-") as (folder, cache):
        root = folder / "root"
        root.mkdir()
        try:
            if proof:
                _copy_for_proof(source, root, state)
            else:
                fetch.copy(source, root, cache)
            yield str(root)
        except AuditError as error:
            raise AuditError(str(error).replace(str(root), place)) from error


@contextmanager
def _kept() -> Iterator[Path]:
    """The folder of objects that were copied before; where nobody may write it (an image), one below TMPDIR."""
    from streams.settings import cache_folder

    for folder in (cache_folder() / "objects", Path(tempfile.gettempdir()) / f"taktwin-objects-{os.getuid()}"):
        with contextlib.suppress(OSError):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if os.access(folder, os.W_OK) and folder.stat().st_uid == os.getuid():
                yield folder
                return
    with tempfile.TemporaryDirectory(prefix="taktwin-objects-") as name:
        yield Path(name)


@contextmanager
def _inside(prefix: str) -> Iterator[tuple[Path, "Cache"]]:
    """A new folder beside what was copied before, for as long as it is open. What the killed have left goes."""
    import fcntl
    import shutil

    from streams import clock
    from twin.audit.fetch import Cache

    with _kept() as kept:
        for left in kept.glob("*.copy"):
            with contextlib.suppress(OSError), _descriptor(left) as lock:
                if clock.now_ns() - left.stat().st_mtime_ns < _FRESH_NS:
                    continue  # perhaps not locked yet
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left, ignore_errors=True)
        made = tempfile.TemporaryDirectory(prefix=prefix, suffix=".copy", dir=kept, ignore_cleanup_errors=True)
        with made as name, _descriptor(Path(name)) as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)
            yield Path(name), Cache(kept)


@contextmanager
def _descriptor(folder: Path) -> Iterator[int]:
    number = os.open(folder, os.O_RDONLY)
    try:
        yield number
    finally:
        os.close(number)


def _copy_for_proof(source: "Store", root: Path, state: str | None) -> None:
    """Snapshots first: a worker may be at work, and the rows never fall behind what is said of them."""
    from streams.state.anchors import anchors
    from twin.audit import fetch, layout

    fetch.copy_state(source, root, layout.STATE)
    found, _ = anchors(Path(state) if state else root / layout.STATE)
    fetch.copy(source, root)
    fetch.copy_staged(source, root, [file for anchor in found for file in anchor.files])


@contextmanager
def followed(place: str, existing: bool) -> "Iterator[Mirror]":
    """A folder that follows a root in object storage for as long as it is open; nothing is in it yet. Raises
    AuditError where there is none, if it has to be there."""
    from streams import clock
    from twin import store
    from twin.audit import store_changes
    from twin.audit.mirror import Mirror

    source = store.opened(place)
    if existing:
        store_changes.partitions(source)
    with _inside("follow-") as (folder, cache):
        yield Mirror(source, folder, cache, clock.monotonic_s)


@contextmanager
def local_logs(args: "argparse.Namespace") -> "Iterator[None]":
    """The logs of the command line (`args.logs`) as paths: those in object storage are copied, for as long as this is
    open, and come from the cache where they were copied before. `shown` gives their names back."""
    from twin.store import is_url

    args.named, args.copied = list(args.logs), ""
    if not any(map(is_url, args.logs)):
        yield
        return
    from twin.audit import AuditError
    from twin.sources import SourceError
    from twin.sources.stored import local

    with _inside("logs-") as (folder, cache):
        args.copied = str(folder)
        try:
            args.logs = local(args.logs, folder, cache)
            yield
        except (AuditError, SourceError) as error:
            raise type(error)(shown(args, str(error))) from error


def shown(args: "argparse.Namespace", text: str) -> str:
    """A text with the names of logs as they were given."""
    return text.replace(f"{args.copied}/", "s3://") if getattr(args, "copied", "") else text


@contextmanager
def written(place: str, plan: bytes, *, force: bool) -> Iterator[str]:
    """A new folder for a replay of this plan; what is there when all has gone well is put into object storage."""
    from twin import store
    from twin.audit import objects

    target = store.opened(place)
    objects.check_way(target, plan, force)  # before the work, not behind it
    with tempfile.TemporaryDirectory(prefix="taktwin-replay-") as name:
        yield name
        objects.upload(Path(name), target, force)


@contextmanager
def snapshots(place: str | None) -> Iterator[str | None]:
    """A folder of snapshots; of object storage a copy, for as long as it is open."""
    from twin.store import is_url

    if place is None or not is_url(place):
        yield place
        return
    from twin import store
    from twin.audit import fetch

    with tempfile.TemporaryDirectory(prefix="taktwin-state-") as name:
        fetch.copy_state(store.opened(place), Path(name))
        yield name


def needed(root: str, state: str | None) -> dict[int, int]:
    """Partition -> first offset of the files that workers may look for by name, by their snapshots in the folder
    `state`, else in the root. Raises AuditError."""
    from streams.state.anchors import needed_from
    from twin.audit import layout

    with snapshots(state or f"{root}/{layout.STATE}") as folder:
        return needed_from(Path(folder or ""))
