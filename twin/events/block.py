"""Event columns: the one shape in which events travel between decoding, folding and the audit."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twin.events.reasons import Name

I8 = npt.NDArray[np.int8]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]


@dataclass(slots=True)
class EventBlock:
    """Events in the order of their arrival, as columns of one length.

    What `code`, `a`, `b`, `c`, `x`, `y`, `z` hold depends on `type` and is declared in
    `twin.events.declare`:

    ========== ============== ======== ====== ====== ============ ======== =====
    type       code           a        b      c      x            y        z
    ========== ============== ======== ====== ====== ============ ======== =====
    state      time class                            state word   reason   mode
    count      PARTS          good     scrap  rework              corrects order
    count      COUNTER        value                  counter      corrects order
    cycle      START | END                           unit         product  order
    order      START | END    quantity due           order        product  corrects
    buffer                    level                  buffer
    heartbeat                                                     reason
    correction verb or -1     good     scrap  rework corrects     reason   state
    measure                   value                  unit         measure  order
    ========== ============== ======== ====== ====== ============ ======== =====

    The value of a measure is in the last decimal place that the plant declares of it.

    `x`, `y`, `z` are indices into `words`, the block's own dictionary; -1 is absent. An absent integer of
    `a`, `b`, `c` is 0 (a count) or -1 (quantity, due, and every count of a correction). `entry` is an index
    into `words`, too: what a person adds to any of them (`twin.wire.entries`).
    """

    line: I32  # index into plant.lines
    station: I32  # index into plant.stations (plant-wide); -1: the whole line
    type: I8  # kernels.codes
    ts: I64  # ns since 1970 UTC
    epoch: I64  # 0 where the source sends none
    seq: I64  # -1 where the source sends none
    code: I32
    a: I64
    b: I64
    c: I64
    x: I32
    y: I32
    z: I32
    entry: I32
    offset: I64  # offset of the record the event came in (replay: running number of the record)
    words: Sequence[str] = field(default_factory=tuple)
    # The same events as rows of the audited set `events`, where they were read from it: they need no encoding again.
    # Whoever makes another block of this one leaves it behind, unless the events are the same.
    rows: pa.Table | None = field(default=None, init=False, compare=False)

    def __len__(self) -> int:
        return len(self.ts)


INTEGER_COLUMNS = tuple(f.name for f in fields(EventBlock) if f.name not in ("words", "rows"))
_NARROW = ("line", "station", "code", "x", "y", "z", "entry")
DTYPES: dict[str, np.dtype[np.generic]] = {
    name: np.dtype(np.int8 if name == "type" else np.int32 if name in _NARROW else np.int64) for name in INTEGER_COLUMNS
}


def pick(block: EventBlock, rows: I64 | slice) -> EventBlock:
    """The events at these places, in the order given; of a slice, not copied. The dictionary is kept as it is."""
    return replace(block, **{name: getattr(block, name)[rows] for name in INTEGER_COLUMNS})


@dataclass(frozen=True, slots=True)
class Rejected:
    """One refused input: a stable reason code, a sentence for people, where it stood, the bytes as they came."""

    reason: Name
    detail: str
    offset: int
    value: bytes
    line: str | None = None  # the line id it claimed, where readable
    ts: int | None = None  # its event time (ns), where readable
