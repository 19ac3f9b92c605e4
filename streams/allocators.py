"""How numpy and Arrow take a worker's memory. They look once, when they are imported: this comes before."""

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


def spare() -> None:
    """Choose for this process."""
    for name, value in _SPARING.items():
        os.environ.setdefault(name, value)
