"""Which plant model is the newer one, and the models that states were made with.

Of two models of one root that with the higher `revision` counts. A worker with another one ends: two plants for one
topic would write two histories, and whoever takes a partition last would decide which.
"""

import logging
import threading
from pathlib import Path
from typing import Final

from streams import clock
from streams.state.shared import SharedAudit
from twin.audit import AuditError, models
from twin.plant.model import Plant

_LOOKED_AGAIN_S: Final = 60.0
log = logging.getLogger(__name__)
_UNSAID: Final = (
    "; the file has no `revision`, so a worker that still has the other file would take it back: stop all workers "
    "before the file is changed, or write revision = 1 into it"
)


class OtherPlantError(AuditError):
    """The root has a newer model, or another one of the same revision."""


class Plants:
    """The models of a root, read once each. Methods may be called by several threads."""

    def __init__(self, root: Path, plant: Plant, shared: SharedAudit | None = None) -> None:
        """`shared`: the store of which `root` is this process's folder."""
        self._root, self._plant, self._shared = root, plant, shared
        self._revisions: dict[str, int | None] = {}
        self._known: dict[str, Plant] = {}
        self._reading = threading.Lock()
        self._looked_s = 0.0

    def hold(self) -> None:
        """Make the root hold our model, if it is no older than those that are there. Raises AuditError."""
        self._check()
        models.store(self._root, self._plant)
        if self._shared is not None:
            self._shared.put_models()
        self._looked_s = clock.monotonic_s()
        self._check()  # of two workers that store theirs at once, the later one at least sees the other's

    def look(self) -> None:
        """Whether the root has a newer model by now: two workers that load at the same time may not see each other's.

        Asked behind each commit; of object storage once a minute. Raises AuditError.
        """
        if self._shared is not None and clock.monotonic_s() - self._looked_s < _LOOKED_AGAIN_S:
            return
        self._looked_s = clock.monotonic_s()
        self._check()

    def before(self, where: str, offset: int, digest: str, plant: Plant) -> Plant:
        """The model with which a state was made that goes over to `plant`, which is said. Raises OtherPlantError."""
        before = self.of(where, offset, digest)
        log.warning(
            "%s: plant model %s replaces %s at offset %d: lines that did not change go on as they are; of the others "
            "what still has a place goes on, and alerts plant_changed say what does not%s",
            where,
            plant.hash,
            digest,
            offset,
            "" if plant.revision is not None else _UNSAID,
        )
        return before

    def of(self, where: str, offset: int, digest: str) -> Plant:
        """The model with which a state was made, or the files behind it. The same object for all partitions: what is
        made of a plant once is made once. Raises OtherPlantError.
        """
        if digest == self._plant.hash:
            return self._plant
        with self._reading:
            if digest not in self._known:
                try:
                    self._known[digest] = models.load(self._root, digest)
                except AuditError as error:
                    raise OtherPlantError(
                        f"{where}: the state at offset {offset} was made with plant model {digest}, from which it "
                        f"cannot go over to {self._plant.hash}: {error}"
                    ) from error
            return self._known[digest]

    def _check(self) -> None:
        if self._shared is not None:
            self._shared.take_models()
        with self._reading:
            for digest in models.stored(self._root):
                if digest not in self._revisions:
                    self._revisions[digest] = models.revision_of(self._root, digest)
            others = {d: r for d, r in self._revisions.items() if r is not None and d != self._plant.hash}
        if not others:
            return
        newest = max(others, key=lambda digest: (others[digest] or 0, digest))
        revision, mine = others[newest] or 0, self._plant.revision
        source = self._plant.source or "the plant file"
        if mine is None:
            raise OtherPlantError(
                f"{source} has no `revision`, and {self._root} holds plant model {newest} of revision {revision}: "
                "this worker would go back behind it. Give it the newer file, or write "
                f"revision = {revision + 1} into this one"
            )
        if mine < revision:
            raise OtherPlantError(
                f"{source} is revision {mine}, and {self._root} holds plant model {newest} of revision {revision}: "
                "this worker has the older file. Give it the newer one"
            )
        if mine == revision:
            raise OtherPlantError(
                f"{source} is revision {mine} with model {self._plant.hash}, and {self._root} holds model {newest} of "
                "the same revision: one number, two contents. Give all workers one file; if this one is right, write "
                f"revision = {revision + 1} into it"
            )
