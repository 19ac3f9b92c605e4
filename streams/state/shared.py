"""A partition's audit in object storage (`twin.audit.objects`): what differs from a folder that all workers see.

This process works in a folder of its own, which holds nothing that is not in the store as well: files while they are
made, the end of the list, rows that wait. It is filled anew for each partition that is taken over.
"""

import contextlib
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path

from streams.state.patience import Patience
from streams.state.staging import Staging
from twin.audit import durable, filelist, layout, models, objects, store_marker, waiting
from twin.audit.fetch import Partition
from twin.audit.objects import ObjectWriter
from twin.audit.waiting import Piece
from twin.audit.writer import AuditWriter, Manifest
from twin.store import Store


class SharedAudit:
    """The store behind the folder of one process. Every method blocks; raises AuditError, StoreError."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store = store
        self.folder = folder
        self.writer = functools.partial(ObjectWriter, store)

    def id(self) -> str:
        """Of the root."""
        return store_marker.read(self.store)[0].id

    def bind(self, topic: str, topic_id: str) -> None:
        store_marker.bind(self.store, topic, topic_id)

    def take(self, partition: int) -> None:
        """The end of a partition's list and its rows that wait, as they are now."""
        Partition(self.store, self.folder, partition).take()

    def take_files(self, partition: int, begin: int) -> None:
        """All of a partition's list, and its files that reach beyond an offset."""
        Partition(self.store, self.folder, partition).take_files(begin)

    def sweep(self, partition: int, published: int, committed: int) -> None:
        """What a load takes away when all that is committed is listed."""
        listed = filelist.entries(self.folder, partition).get(partition, [])
        objects.sweep(self.store, partition, listed, published, committed)

    def set_aside(self, partition: int) -> None:
        """Rows that wait and were found damaged are shown to nobody any more; their bytes stay."""
        folder = waiting.folder_of(self.folder, partition)
        names = [path.name.removesuffix(".damaged") for path in folder.glob("*.damaged")]
        if names:
            self.store.delete([layout.piece_name(partition, name.removesuffix(".rows")) for name in names])

    def take_models(self) -> None:
        """The plant models that the folder does not have yet."""
        for one in self.store.listed(layout.MODELS):
            path = self.folder / one.key
            if models.is_model(one.key) and not path.exists():
                with contextlib.suppress(FileNotFoundError):
                    data = self.store.get(one.key)[0]
                    durable.make_folder(path.parent)
                    path.write_bytes(data)

    def put_models(self) -> None:
        objects.put_models(self.store, self.folder)


class SharedStaging(Staging):
    """Pieces go to the store as well, and are shown and taken away there."""

    def __init__(self, shared: SharedAudit, patience: Patience, publish_bytes: int, publish_after_s: float) -> None:
        super().__init__(shared.folder, patience, publish_bytes, publish_after_s)
        self._shared = shared

    def _put(self, piece: Piece, data: bytes) -> None:
        objects.put_piece(self._shared.store, piece, data)
        super()._put(piece, data)

    def publish(self, writer: AuditWriter, manifests: Sequence[Manifest], pieces: Sequence[Piece]) -> None:
        super().publish(writer, manifests, pieces)
        objects.show_pieces(self._shared.store, pieces)

    def tidy(
        self, partition: int, published: int, committed: int, staged: Mapping[int, Sequence[str]] | None = None
    ) -> None:
        if self._discarded.get(partition) != published:
            shown = [
                path for path in waiting.visible(self._audit, partition) if waiting.offsets_of(path)[2] <= published
            ]
            objects.discard_pieces(self._shared.store, [path.relative_to(self._audit).as_posix() for path in shown])
        super().tidy(partition, published, committed, staged)
