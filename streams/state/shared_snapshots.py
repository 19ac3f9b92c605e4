"""Snapshots in object storage: the same bytes under the same names, each an object."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from streams.state.snapshot_files import SUFFIX, Listing, SnapshotError, SnapshotStore, is_id, partition_of
from twin.store import Store, put_same


class SharedSnapshots(SnapshotStore):
    """A prefix of snapshots. A half-written one does not exist there."""

    def __init__(self, store: Store) -> None:
        super().__init__(Path())
        self.where = store.url
        self._store = store

    def _look(self) -> defaultdict[int, Listing]:
        found = defaultdict[int, Listing](Listing)
        for one in self._store.listed(""):
            name = one.key.removesuffix(SUFFIX)
            if name != one.key and is_id(name):
                found[partition_of(name)].ids.add(name)
        return found

    def _put(self, identity: str, data: bytes) -> None:
        try:
            same = put_same(self._store, f"{identity}{SUFFIX}", data)
        except OSError as error:
            raise SnapshotError(f"{error.filename}: {error.strerror}") from error
        if not same:
            raise SnapshotError(f"{self.where}/{identity}{SUFFIX}: holds another state than its name says: restore it")

    def _get(self, identity: str) -> bytes:
        return self._store.get(f"{identity}{SUFFIX}")[0]

    def _delete(self, identities: Sequence[str]) -> None:
        self._store.delete([f"{identity}{SUFFIX}" for identity in identities])
