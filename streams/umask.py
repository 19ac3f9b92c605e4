"""What this process writes is never writable for everybody, whatever the umask it was started with."""

import os
from typing import Final

_OTHERS_WRITE: Final = 0o002


def tighten() -> None:
    """Add to the umask, never take away. Here, once per process, because Arrow's C++ opens files of its own."""
    os.umask(os.umask(_OTHERS_WRITE) | _OTHERS_WRITE)
