"""Ids of units as numbers: a state holds no text of a part, only what tells it from the others at its station."""

import numpy as np
import numpy.typing as npt

from kernels.jit import bare

_BASIS = np.int64(-3_750_763_034_362_895_579)  # FNV-1a, 64 bits
_PRIME = np.int64(1_099_511_628_211)
_POSITIVE = np.int64(0x7FFF_FFFF_FFFF_FFFF)
_SHIFT = np.int64(32)


@bare
def unit_numbers(offsets: npt.NDArray[np.int32], data: npt.NDArray[np.uint8], out: npt.NDArray[np.int64]) -> None:
    """A number from 1 to 2^63 - 1 for each text: data[offsets[k] : offsets[k + 1]], UTF-8. Two differ but by chance."""
    for k in range(out.size):
        h = _BASIS
        for i in range(offsets[k], offsets[k + 1]):
            h = (h ^ np.int64(data[i])) * _PRIME
        h = (h ^ (h >> _SHIFT)) & _POSITIVE
        out[k] = h if h > 0 else 1
