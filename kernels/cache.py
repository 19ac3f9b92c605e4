"""Where compiled kernels are kept: a folder per state of the sources.

numba looks only at the file a kernel stands in, so after an edit of `counters.py` it would go on using the old code
that was compiled into the fold. Hence one folder per hash of all sources here.

The one place in `kernels/` that looks at the environment and at files: numba settles the folder when a kernel is
declared, which is before any caller could pass one. No number depends on it.
"""

import hashlib
import os
import stat
import tempfile
from pathlib import Path
from typing import Any

import numba.core.config

config: Any = numba.core.config  # makes its settings at run time


def sources_hash(folder: Path) -> str:
    """Of the names and bytes of all Python files of a folder."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        data = path.read_bytes()
        digest.update(f"{path.name}\0{len(data)}\0".encode() + data)
    return digest.hexdigest()[:16]


def usable() -> bool:
    """Point numba to our folder, unless the user named one. False: compile without a cache, because the folder cannot
    be written, or by others too: the cache is pickled code, and whoever can write it can run his own here. For the same
    reason there is no falling back to a shared temporary folder.
    """
    try:
        if not config.CACHE_DIR:
            config.CACHE_DIR = str(_user_cache() / f"numba-{sources_hash(Path(__file__).parent)}")
        folder = Path(config.CACHE_DIR)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _ours_alone(folder):
            return False
        with tempfile.TemporaryFile(dir=config.CACHE_DIR):
            return True
    except (OSError, RuntimeError):  # RuntimeError: no home folder
        return False


def _ours_alone(folder: Path) -> bool:
    """Nobody else can put a file there."""
    found = folder.stat()
    return found.st_uid == os.geteuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _user_cache() -> Path:
    if own := os.environ.get("TAKTWIN_CACHE"):
        return Path(own).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "taktwin"
