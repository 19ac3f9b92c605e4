"""The one decorator of every kernel."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])


def bare(function: F) -> F:
    """As `kernel`, for functions that allocate nothing: without numba's reference counts.

    The fold hands some thirty arrays from function to function. Counting their references atomically at every call
    took nine tenths of its time.
    """
    compiled = numba.njit(cache=True, nogil=True, fastmath=False, _nrt=False)  # type: ignore[call-overload]  # private
    return cast(F, compiled(function))


def kernel(function: F) -> F:
    """Compile to machine code: cached on disk, GIL released, exact integers.

    No fastmath (it would reorder sums), no parallel (a partition is folded in order).
    """
    return cast(F, numba.njit(cache=True, nogil=True, fastmath=False)(function))
