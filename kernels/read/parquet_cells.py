"""Columns of the audited set `events` to event columns: checked and placed in one pass each.

Values and validity as Arrow has them: a bitmap, the lowest bit first, that begins at bit `shift`; an empty one says
that every cell has a value. What returns a bool is False at the first cell that is not as encoding would have put it.
"""

import numpy as np
import numpy.typing as npt

from kernels.jit import bare, hot

I8 = npt.NDArray[np.int8]
U8 = npt.NDArray[np.uint8]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]

# Whether an event of a kind has a field.
NEVER = 0
MAYBE = 1
ALWAYS = 2


@hot
def has(bitmap: U8, bit: int) -> bool:
    return bool(bitmap.size == 0 or (bitmap[bit >> 3] >> (bit & 7)) & 1)


@bare
def heads(
    line: I32, station: I32, there: U8, shift: int, kind: I32, places: I32, types: I8, needs: I8, place: I32, to: I8
) -> bool:
    """Place and type of every event, from the indices of three dictionaries.

    `places` (lines, stations + 1): the number of a place, the last column the whole line's, negative where there is
    none. `types`: the code of a word, negative where it has none. `needs` (types): whether it must name a station.
    """
    for i in range(kind.size):
        if not (0 <= kind[i] < types.size and 0 <= line[i] < places.shape[0]):
            return False
        code = types[kind[i]]
        at = places.shape[1] - 1
        if has(there, shift + i):
            at = station[i]
            if not 0 <= at < places.shape[1] - 1:
                return False
        elif code >= 0 and needs[code]:
            return False
        if code < 0 or places[line[i], at] < 0:
            return False
        to[i] = code
        place[i] = places[line[i], at]
    return True


@bare
def named(kinds: I8, wanted: I8, there: U8, shift: int, index: I32, numbers: I32, to: I32) -> bool:
    """numbers[index] into `to` where an event has the field; `wanted` (kinds) says which have. `to` else stays."""
    for i in range(kinds.size):
        want = wanted[kinds[i]]
        if has(there, shift + i):
            k = index[i]
            if want == NEVER or not 0 <= k < numbers.size or numbers[k] < 0:
                return False
            to[i] = numbers[k]
        elif want == ALWAYS:
            return False
    return True


@bare
def counted(kinds: I8, wanted: I8, there: U8, shift: int, values: I64, absent: int, to: I64) -> bool:
    """As `named`, for integers from 0 on; `absent` where an event may have the field and has not."""
    for i in range(kinds.size):
        want = wanted[kinds[i]]
        if has(there, shift + i):
            if want == NEVER or values[i] < 0:
                return False
            to[i] = values[i]
        elif want == ALWAYS:
            return False
        elif want == MAYBE:
            to[i] = absent
    return True


@bare
def mark(kinds: I8, there: U8, shift: int, old: int, new: int) -> None:
    """Events of kind `old` that have this field are of kind `new`."""
    for i in range(kinds.size):
        if kinds[i] == old and has(there, shift + i):
            kinds[i] = new


@bare
def tally(codes: I8, to: I64) -> None:
    """Add to to[code] how often each code is there. (numpy's bincount first makes int64 of them: 7 ns an event.)"""
    for i in range(codes.size):
        to[codes[i]] += 1


@bare
def least_step(values: I64) -> int:
    """The least difference between a value and the one before it, 1 at most: below 0 where the values fall."""
    least = 1
    for i in range(1, values.size):
        # Not the difference itself, which may wrap.
        step = 1 if values[i] > values[i - 1] else 0 if values[i] == values[i - 1] else -1
        least = min(least, step)
    return least
