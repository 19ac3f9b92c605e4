"""Zeros that take no memory until they are written."""

import math
import mmap
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

# Below, a page each would cost more than the zeros.
_SMALL_BYTES: Final = 64 << 10
# From here on numpy asks for large pages, too, which the fold of a plant that is heard everywhere is faster with.
_LARGE_BYTES: Final = 4 << 20


def untouched(shape: Sequence[int]) -> npt.NDArray[np.int64]:
    """int64 zeros of a shape, pages of which the operating system gives when they are first written.

    `numpy.zeros` promises no such thing: in a process that has freed arrays before, it takes memory that was used and
    clears it. Of 1,000 lines that was 1.4 MB for each partition that had heard nothing.
    """
    size = 8 * math.prod(shape)
    if size < _SMALL_BYTES:
        return np.zeros(shape, np.int64)
    pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if size >= _LARGE_BYTES and hasattr(mmap, "MADV_HUGEPAGE"):
        pages.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(pages, np.int64).reshape(shape)
