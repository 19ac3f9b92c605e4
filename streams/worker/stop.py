"""The limit of a stop: counted from the signal, not from when somebody has time to look at it."""

import logging
import os
import signal
import socket
import threading
from typing import Final

from streams import clock, exits

log = logging.getLogger(__name__)

_SIGNALS: Final = frozenset({signal.SIGTERM, signal.SIGINT})
# To say why: whoever holds the log's lock may be what does not end.
_LAST_WORD_S: Final = 1.0


class StopLimit:
    """Ends the process with 75 when a stop takes longer: a consumer whose broker is away never stops."""

    def __init__(self, limit_s: float) -> None:
        self.limit_s: Final = limit_s
        self._begun_s: float | None = None
        self._lock = threading.Lock()

    def watch_signals(self) -> None:
        """Begin with the first SIGTERM or SIGINT. In the main thread, behind the loop's own handlers.

        Python writes the number of a signal into a file at once, whatever runs; the loop reads it when it comes to it,
        which behind a disk or a long fold may be later than the limit. So a thread reads it first, and passes it on.
        """
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        before = signal.set_wakeup_fd(ours.fileno(), warn_on_full_buffer=False)

        def pass_on() -> None:
            with ours, theirs:  # held here: the file is Python's as long as the process lives
                while numbers := theirs.recv(64):
                    if not _SIGNALS.isdisjoint(numbers):
                        self.begin()
                    if before >= 0:
                        os.write(before, numbers)

        threading.Thread(target=pass_on, name="signals", daemon=True).start()

    def begin(self) -> None:
        """From now on, unless it has begun before."""
        with self._lock:
            if self._begun_s is not None:
                return
            self._begun_s = clock.monotonic_s()
        timer = threading.Timer(self.limit_s, self._end)
        timer.daemon = True
        timer.start()

    @property
    def left_s(self) -> float:
        """Of the limit."""
        spent_s = 0.0 if self._begun_s is None else clock.monotonic_s() - self._begun_s
        return max(self.limit_s - spent_s, 0.0)

    def _end(self) -> None:
        told = threading.Thread(target=self._say, daemon=True)
        told.start()
        told.join(_LAST_WORD_S)
        os._exit(exits.HARD_STOP)

    def _say(self) -> None:
        log.critical("the stop took longer than %s s; exit code %d", self.limit_s, exits.HARD_STOP)
        logging.shutdown()
