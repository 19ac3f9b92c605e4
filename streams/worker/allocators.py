"""How a worker's memory is taken. numpy and Arrow look once, when they are imported: this comes before."""

import contextlib
import ctypes
import os
from typing import Final

# Given by the person who starts the worker, any of these stays as it is.
_SPARING: Final = {
    # Arrow's own allocator keeps what each thread has freed apart; of the system's, `release_unused` gives the whole
    # process's back. After a backlog a worker of 1,000 stations stood at 490 MB instead of 640.
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    # In pages of 2 MiB the state of one line brings the empty rows of its neighbours into memory: 40 MB of 1,000
    # stations, with no difference in the rate of the fold.
    "NUMPY_MADVISE_HUGEPAGE": "0",
}
# glibc's own, as a person may give it; its number for `mallopt`; our value.
_GLIBC: Final = (
    # One heap for all threads: what one has freed is another's to take, and given back to the system as one. With a
    # heap for each a worker of 1,000 stations stood at 390 MB instead of 340, one of 10,000 at 820 instead of 630.
    ("MALLOC_ARENA_MAX", -8, 1),
    # Blocks of so many bytes are taken from the heap too, and so many free ones stay at its end. Left to itself glibc
    # learns both from the largest block that was freed so far, so that one worker fetched each run's arrays anew from
    # the system, page by page, and another did not: 120,000 or 80,000 faults for two million events. What is free when
    # nothing is behind is given back anyway (`release_unused`).
    ("MALLOC_MMAP_THRESHOLD_", -3, 32 << 20),
    ("MALLOC_TRIM_THRESHOLD_", -1, 64 << 20),
)


def spare() -> None:
    """Choose for this process."""
    for name, value in _SPARING.items():
        os.environ.setdefault(name, value)
    # The C library read its environment before Python began; another library than glibc has no such setting.
    with contextlib.suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        for variable, number, chosen in _GLIBC:
            if variable not in os.environ:
                mallopt(number, chosen)
