"""Events on their way out of a table of rows: where in the log they belong, before they are put in order."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from twin.events.block import DTYPES, INTEGER_COLUMNS, EventBlock, pick
from twin.sources.blocks import ABSENT, compact, join

I64 = npt.NDArray[np.int64]
Index = npt.NDArray[np.intp]
END = 2**62  # behind the last row
_OF_A_ROW = 2**63 - 1

# Order of what stands at one row. Between rows: the end of a sample's time, then the end of an order.
UNKNOWN, ORDER_END, ORDER_START, RULE = 0, 1, 2, 10


@dataclass(slots=True)
class Draft:
    """Events, each before the row `at` (`between` is its time) or of that row (`between` is the largest int64)."""

    at: I64
    between: I64
    rank: I64
    block: EventBlock

    def rows(self, index: Index) -> "Draft":
        return Draft(self.at[index], self.between[index], self.rank[index], pick(self.block, index.astype(np.int64)))


def draft(words: Sequence[str], at: I64, ts: I64, line: npt.ArrayLike, rank: int, **columns: npt.ArrayLike) -> Draft:
    """Events of the rows `at`; the columns not named are absent."""
    n = len(at)
    given: dict[str, npt.ArrayLike] = {"ts": ts, "line": line, "offset": at, **columns}
    filled = {
        name: np.array(np.broadcast_to(given.get(name, ABSENT.get(name, 0)), n), DTYPES[name])
        for name in INTEGER_COLUMNS
    }
    block = EventBlock(**filled, words=words)
    return Draft(at, np.full(n, _OF_A_ROW, np.int64), np.full(n, rank, np.int64), block)


def draft_between(
    words: Sequence[str], at: I64, ts: I64, line: npt.ArrayLike, rank: int, **columns: npt.ArrayLike
) -> Draft:
    """Events that stand before the rows `at`, in the order of their times."""
    made = draft(words, at, ts, line, rank, **columns)
    made.between = ts.astype(np.int64)
    return made


def ordered(drafts: Sequence[Draft]) -> Draft | None:
    """All of them as they follow each other in the log."""
    if not drafts:
        return None
    whole = Draft(
        np.concatenate([one.at for one in drafts]),
        np.concatenate([one.between for one in drafts]),
        np.concatenate([one.rank for one in drafts]),
        join([one.block for one in drafts]),
    )
    return whole.rows(np.lexsort((whole.rank, whole.between, whole.at)))


def split(whole: Draft, held_from: int) -> tuple[EventBlock, Draft | None]:
    """The events before the row `held_from`, and the rest."""
    cut = int(np.searchsorted(whole.at, held_from))
    index = np.arange(len(whole.at))
    rest = whole.rows(index[cut:]) if cut < len(index) else None
    if rest is not None:
        rest.block = compact(rest.block)
    return compact(whole.rows(index[:cut]).block), rest
