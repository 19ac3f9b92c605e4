"""The marker of a root in object storage (`twin.audit.marker`): put if absent, changed only where nobody else has."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from twin.audit import layout, marker
from twin.audit.marker import Marker, NotOursError
from twin.store import Store, StoreError, check_conditions

_ATTEMPTS: Final = 20


def is_bare(store: Store) -> bool:
    """Whether nothing was ever written there. Raises StoreError."""
    return store.size(marker.NAME) is None and not store.listed(layout.FILES) and not store.listed(layout.WAITING)


def claim(store: Store, root: Path, prefix: str, group: str, identity: str) -> Marker:
    """The marker, which is put if there is none and nothing else: of two that begin at once one is first. `root` gets
    a copy. Raises NotOursError, AuditError, StoreError.
    """
    if store.size(marker.NAME) is None:
        if store.listed(layout.FILES):
            raise NotOursError(
                f"{store.url}: holds rows and no {marker.NAME}: those of a replay, or a copy; name another prefix as "
                "TAKTWIN_AUDIT"
            )
        store.put_new(marker.NAME, marker.encoded(Marker(marker.FORMAT, identity, prefix, group)))
    found = read(store)[0]
    marker.check_owner(f"{store.url}/{marker.NAME}", found, prefix, group)
    check_conditions(store, marker.NAME)
    (root / marker.NAME).write_bytes(marker.encoded(found))
    return found


def read(store: Store) -> tuple[Marker, str]:
    """The marker and its version. Raises FileNotFoundError, StoreError, AuditError."""
    data, version = store.get(marker.NAME)
    return marker.decoded(data, f"{store.url}/{marker.NAME}"), version


def bind(store: Store, topic: str, topic_id: str) -> None:
    """As `marker.bind`: the first id that is given stays. Raises NotOursError, AuditError, StoreError."""
    for _ in range(_ATTEMPTS):
        found, version = read(store)
        if found.topic_id:
            break
        store.replace(marker.NAME, marker.encoded(msgspec.structs.replace(found, topic_id=topic_id)), version)
    if found.topic_id != topic_id:
        place = f"{store.url}/{marker.NAME}"
        raise NotOursError(marker.anew(topic, found.topic_id, topic_id, f"when {place} was bound to it"))


class Presence:
    """Says whether the root is there still: asked for now and then, and after every failure. Called by threads."""

    def __init__(self, store: Store, identity: str, monotonic_s: Callable[[], float], every_s: float = 60.0) -> None:
        self._store, self._identity = store, identity
        self._monotonic_s, self._every_s = monotonic_s, every_s
        self._seen, self._asked_s = store.failures, monotonic_s()

    def __call__(self) -> None:
        """Raises StoreError, FileNotFoundError, NotOursError."""
        failures, now_s = self._store.failures, self._monotonic_s()
        if failures == self._seen and now_s - self._asked_s < self._every_s:
            return
        try:
            found = read(self._store)[0]
        except FileNotFoundError as error:
            raise StoreError(
                error.errno or 0, "the marker of the audit root is not there: was the prefix emptied?", error.filename
            ) from error
        if found.id != self._identity:
            raise NotOursError(
                f"{self._store.url}/{marker.NAME}: the root is another one than when this worker started ({found.id}, "
                f"it was {self._identity}): restore the former one, or start the worker again"
            )
        self._seen, self._asked_s = failures, now_s
