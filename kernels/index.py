"""What the compiler cannot see of an index."""

from typing import Any

from numba.extending import intrinsic


def _natural(_context: Any, i: Any) -> Any:
    """i, of which the machine code takes for granted that it is not negative. Only for compiled code.

    A negative index counts from the end, so every index that was read from an array is tested and corrected first: a
    tenth of the instructions of the critical path. Rejected: unsigned indices, which with signed numbers make floats.
    """

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        (value,) = arguments
        builder.assume(builder.icmp_signed(">=", value, value.type(0)))
        return value

    return i(i), generate


# Seen as a function of two arguments, of which numba passes the first itself.
natural: Any = intrinsic(_natural)
