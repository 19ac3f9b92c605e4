"""The one decorator of every kernel."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

from kernels.cache import keeping

F = TypeVar("F", bound=Callable[..., Any])


def bare(function: F) -> F:
    """As `kernel`, for functions that allocate nothing: without numba's reference counts.

    The fold hands some thirty arrays from function to function. Counting their references atomically at every call
    took nine tenths of its time.
    """
    options: dict[str, Any] = {"_nrt": False}  # private: its stubs do not know it
    return _compiled(function, **options)


def hot(function: F) -> F:
    """As `bare`, inlined into its callers, for what happens at every event.

    A call hands over some 250 words of array descriptions. On the way of every event that was nine tenths of the time:
    2.5 M events/s with calls, 28 M inlined.
    """
    options: dict[str, Any] = {"_nrt": False, "forceinline": True}
    return _compiled(function, **options)


def kernel(function: F) -> F:
    """Compile to machine code: cached on disk where one can write, GIL released, exact integers.

    No fastmath (it would reorder sums), no parallel (a partition is folded in order).
    """
    return _compiled(function)


def plain(function: F) -> F:
    """The Python that a kernel is made of, if it calls no other: for a few numbers, and nothing is compiled."""
    return cast(F, getattr(function, "py_func", function))


def _compiled(function: F, **options: Any) -> F:
    dispatcher = numba.njit(nogil=True, fastmath=False, **options)(function)
    return cast(F, keeping(function, dispatcher))
