"""An audit root by its name on the command line: a folder, or a prefix in object storage (`s3://BUCKET/PREFIX`)."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twin.store import Store


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
            if proof:
                _copy_for_proof(source, root, state)
            else:
                fetch.copy(source, root, fetch.Cache(kept))
            yield str(root)
        except AuditError as error:
            raise AuditError(str(error).replace(str(root), place)) from error


def _copy_for_proof(source: "Store", root: Path, state: str | None) -> None:
    """Snapshots first: a worker may be at work, and the rows never fall behind what is said of them."""
    from streams.state.anchors import anchors
    from twin.audit import fetch, layout

    fetch.copy_state(source, root, layout.STATE)
    found, _ = anchors(Path(state) if state else root / layout.STATE)
    fetch.copy(source, root)
    fetch.copy_staged(source, root, [file for anchor in found for file in anchor.files])


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
