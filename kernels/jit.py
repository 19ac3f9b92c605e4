"""The one decorator of every kernel."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """Compile to machine code: cached on disk, GIL released, exact integers.

    No fastmath (it would reorder sums), no parallel (a partition is folded in order).
    """
    return cast(F, numba.njit(cache=True, nogil=True, fastmath=False)(function))
