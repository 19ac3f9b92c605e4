"""An audit root by its name on the command line: a folder, or a prefix in object storage (`s3://BUCKET/PREFIX`)."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def readable(place: str, *, proof: bool = False) -> Iterator[str]:
    """A folder that holds what the root holds now; of object storage a copy, for as long as it is open.

    Objects that were copied before come from the cache (TAKTWIN_CACHE); for a `proof` all are copied anew, with the
    snapshots beside them.
    """
    from twin.store import is_url

    if not is_url(place):
        yield place
        return
    from streams.settings import cache_folder
    from twin import store
    from twin.audit import AuditError, fetch

    source = store.opened(place)
    kept = cache_folder() / "objects"
    kept.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="copy-", dir=kept) as name:
        root = Path(name) / "root"
        root.mkdir()
        try:
            fetch.copy(source, root, None if proof else fetch.Cache(kept))
            if proof:
                fetch.copy_state(source, root)
            yield str(root)
        except AuditError as error:
            raise AuditError(str(error).replace(str(root), place)) from error


@contextmanager
def written(place: str, *, force: bool) -> Iterator[tuple[str, bool]]:
    """A folder for a replay, and whether an earlier one may be removed from it; what is there when all has gone well is
    put into object storage."""
    from twin.store import is_url

    if not is_url(place):
        yield place, force
        return
    from twin import store
    from twin.audit import objects

    target = store.opened(place)
    objects.check_way(target, force)  # before the work, not behind it
    with tempfile.TemporaryDirectory(prefix="taktwin-replay-") as name:
        yield name, False
        objects.upload(Path(name), target, force)
