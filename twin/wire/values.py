"""The values of some records, one buffer for all: what the kernels read as it is, and others as bytes."""

from collections.abc import Sequence
from typing import Final, Self, overload

import numpy as np
import numpy.typing as npt

U8 = npt.NDArray[np.uint8]
I64 = npt.NDArray[np.int64]


class Values(Sequence[bytes]):
    """Value i is data[starts[i]:ends[i]], and a NUL stands at ends[i]. Bytes are made of it when they are asked for."""

    __slots__ = ("_made", "data", "ends", "starts")

    def __init__(self, data: U8, starts: I64, ends: I64) -> None:
        """`data`: one dimension, contiguous, writable (of another kind the kernels would be compiled once more)."""
        self.data: Final = data
        self.starts: Final = starts
        self.ends: Final = ends
        self._made: Final[dict[int, bytes]] = {}

    @classmethod
    def of(cls, values: Sequence[bytes]) -> Self:
        sizes = np.fromiter(map(len, values), np.int64, len(values))
        ends = np.cumsum(sizes + 1) - 1
        return cls(np.frombuffer(bytearray(b"\0").join([*values, b""]), np.uint8), ends - sizes, ends)

    def __len__(self) -> int:
        return len(self.starts)

    @overload
    def __getitem__(self, i: int) -> bytes: ...
    @overload
    def __getitem__(self, i: slice) -> "Values": ...
    def __getitem__(self, i: "int | slice") -> "bytes | Values":
        if isinstance(i, slice):
            return Values(self.data, self.starts[i], self.ends[i])
        made = self._made.get(i)
        if made is None:  # kept: what is not plain is looked at several times
            made = self._made[i] = self.data[self.starts[i] : self.ends[i]].tobytes()
        return made

    @property
    def sizes(self) -> I64:
        """Bytes of each."""
        return self.ends - self.starts
