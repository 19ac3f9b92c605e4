"""What one decoder found in a run, and how the parts of a run become one block in the order of arrival."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from twin.events.block import DTYPES, EventBlock, Rejected
from twin.wire.lookup import I64, Words
from twin.wire.sound import Bools, Columns

# Of records, one by one.
Offsets = Sequence[int] | I64
# About what an event or a refusal takes in memory beside its texts.
EVENT_BYTES: Final = 512
# Record of the run, element within the record, and the refusal: sorted by the first two, they stand as they came.
Refusal = tuple[int, int, Rejected]


@dataclass(slots=True)
class Part:
    """Columns of events, the record of the run each came in, and what was refused."""

    columns: Columns
    record: I64
    refused: list[Refusal]

    @classmethod
    def of_refusals(cls, refused: list[Refusal]) -> "Part":
        columns: Columns = {name: np.empty(0, dtype) for name, dtype in DTYPES.items() if name != "offset"}
        return cls(columns, np.empty(0, np.int64), refused)

    def keep(self, ok: Bools) -> "Part":
        if ok.all():
            return self
        return Part({name: values[ok] for name, values in self.columns.items()}, self.record[ok], self.refused)


def join(parts: Sequence[Part], offsets: Offsets, words: Words) -> tuple[EventBlock, list[Rejected]]:
    """All parts as one block in the order of their records."""
    filled = [p for p in parts if len(p.record)] or parts[:1]
    columns, record = filled[0].columns, filled[0].record
    if len(filled) > 1:
        record = np.concatenate([p.record for p in filled])
        order = np.argsort(record, kind="stable")
        record = record[order]
        columns = {name: np.concatenate([p.columns[name] for p in filled])[order] for name in columns}
    columns["offset"] = np.asarray(offsets, np.int64)[record]
    refused = sorted((r for p in parts for r in p.refused), key=lambda r: r[:2])
    typed = {name: np.ascontiguousarray(columns[name], dtype) for name, dtype in DTYPES.items()}
    block = EventBlock(**typed, words=tuple(words.texts))
    return block, [r[2] for r in refused]
