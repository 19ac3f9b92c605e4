"""Zeros that take no memory until they are written."""

import math
import mmap
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

# Below, a page each would cost more than the zeros.
_SMALL_BYTES: Final = 64 << 10
# From here on numpy asks for large pages, too: the fold is some 5 % faster with them.
_LARGE_BYTES: Final = 4 << 20
# Of a plant with more lines a partition hears few: a page of 2 MiB for each array would be most of its memory (3 MB for
# each of 1,000 partitions that had heard a line).
_DENSE_LINES: Final = 500
_large_pages = True


def spare_memory() -> None:
    """From now on in small pages only. For who holds several partitions of a plant: in large ones each of them fills
    the rows of its neighbours, too. Four partitions of 10,000 stations in 500 lines took 1,260 MB instead of 500.
    """
    global _large_pages
    _large_pages = False


def untouched(shape: Sequence[int], lines: int) -> npt.NDArray[np.int64]:
    """int64 zeros of a shape, for a plant of so many lines. The operating system gives memory when it is written.

    `numpy.zeros` promises no such thing: in a process that has freed arrays before, it takes memory that was used and
    clears it. Of 1,000 lines that was 1.4 MB for each partition that had heard nothing.
    """
    size = 8 * math.prod(shape)
    if size < _SMALL_BYTES:
        return np.zeros(shape, np.int64)
    pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if _large_pages and size >= _LARGE_BYTES and lines <= _DENSE_LINES and hasattr(mmap, "MADV_HUGEPAGE"):
        pages.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(pages, np.int64).reshape(shape)
