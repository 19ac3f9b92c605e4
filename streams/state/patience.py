"""A disk that is full, broken or gone is treated as one that is very slow: what it refused is tried again.

A checkpoint that waits holds the records back (the worker stops folding at twice `staging_bytes`), so memory stays
bounded and nothing is lost. Rejected: to end at once, as before; every restart would load the state from the same disk.
"""

import errno
import logging
import threading
from collections.abc import Callable
from typing import Final, TypeVar

from streams import clock
from streams.state.snapshot_files import SnapshotError
from twin.audit import AuditError

log = logging.getLogger(__name__)

FIRST_DELAY_S: Final = 0.5
MOST_DELAY_S: Final = 10.0
# A person has to change something; waiting does not help.
_HOPELESS: Final = (errno.EACCES, errno.EPERM, errno.EINVAL, errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR)
T = TypeVar("T")


class StorageError(RuntimeError):
    """The disk refused for too long."""


class GivenUpError(RuntimeError):
    """The partitions went while their checkpoint waited for the disk: nobody needs it any more."""


class Patience:
    """Calls that write to the disk, from several threads; knows what they wait for. A limit of 0: no patience."""

    def __init__(
        self, limit_s: float, first_delay_s: float = FIRST_DELAY_S, present: Callable[[], None] | None = None
    ) -> None:
        """`present`: asked before each attempt; an OSError says that the disk is not there."""
        self._present = present
        self._limit_s = limit_s
        self._first_delay_s = first_delay_s
        self._given_up = threading.Event()
        self._waiting: dict[int, tuple[float, str]] = {}  # thread -> since when, and what the disk says

    @property
    def waiting(self) -> tuple[float, str] | None:
        """For how long (s) the oldest call has been waiting, and why; None: the disk takes everything."""
        oldest = min(list(self._waiting.values()), default=None)
        return None if oldest is None else (clock.monotonic_s() - oldest[0], oldest[1])

    @property
    def there(self) -> bool:
        """Whether the disk is."""
        try:
            if self._present is not None:
                self._present()
        except OSError:
            return False
        return True

    def give_up(self) -> None:
        """Calls that wait now raise GivenUpError; later ones are as patient as ever."""
        given_up, self._given_up = self._given_up, threading.Event()
        given_up.set()

    def __call__(self, write: Callable[[], T]) -> T:
        """The result of `write`, which must bear to be called again after an error. Raises StorageError, GivenUpError,
        and what `write` raises when it is not of the disk.
        """
        given_up, delay_s, thread = self._given_up, self._first_delay_s, threading.get_ident()
        begun_s = clock.monotonic_s()
        try:
            while True:
                try:
                    if self._present is not None:
                        self._present()
                    result = write()
                except (AuditError, SnapshotError, OSError) as error:
                    if not self._limit_s or not _of_disk(error):
                        raise
                    waited_s = clock.monotonic_s() - begun_s
                    if waited_s + delay_s > self._limit_s:
                        raise StorageError(f"{error}; the disk refused for {waited_s:.0f} s") from error
                    self._waiting[thread] = begun_s, str(error)
                    log.warning("%s; trying again in %.1f s; until then no checkpoint", error, delay_s)
                    if given_up.wait(delay_s):
                        raise GivenUpError(str(error)) from error
                    delay_s = min(2 * delay_s, MOST_DELAY_S)
                else:
                    if thread in self._waiting:
                        log.warning("the disk takes data again, after %.1f s", clock.monotonic_s() - begun_s)
                    return result
        finally:
            self._waiting.pop(thread, None)


def _of_disk(error: Exception) -> bool:
    cause = error if isinstance(error, OSError) else error.__cause__
    return isinstance(cause, OSError) and cause.errno not in _HOPELESS
