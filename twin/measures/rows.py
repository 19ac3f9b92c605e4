"""Rows of the set `measures` on their way to a table: one by one, or many as columns."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from kernels.figures import measured as tables
from kernels.figures import measured_rows as leaving
from kernels.figures.wide import LIMB

I64 = npt.NDArray[np.int64]
I32 = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]

# Of a `Row`.
N_OF, USED, AMOUNT, LEAST, MOST, TOTAL, SQUARES, T1_ERRORS, T2_ERRORS = range(9)
N_SUMS: Final = 9
_WIDE: Final = {AMOUNT: tables.R_AMOUNT, TOTAL: tables.R_TOTAL, SQUARES: tables.R_SQUARES}
_MASK: Final = (1 << LIMB) - 1


class Key(NamedTuple):
    """What a row is about; `measure` is the plant's number, `shift` the calendar's, `during` a class or -1."""

    end: int
    measure: int
    day: int
    shift: int
    order: str | None
    product: str | None
    during: int


class Row(NamedTuple):
    key: Key
    sums: list[int]  # by N_OF, ...; USED counts the amounts that are known
    buckets: dict[int, int] | None = None  # counts by bucket (twin.measures.distribution)


class Block(NamedTuple):
    """Many rows of one line, or of several."""

    sums: I64  # (rows, N_R) as the kernel keeps them (kernels.figures.measured), order and product as places in `texts`
    texts: Sequence[str]
    buckets: Sequence[dict[int, int] | None] | None  # None: no row has any


class Laid(NamedTuple):
    """A `Block` as columns."""

    cells: I64  # (N_X, rows) whole numbers (kernels.figures.measured_rows)
    absent: Flags  # which of them have no value, or none that 64 bits hold
    named: I32  # (.., rows) what the measures have in `codes`, and behind that the classes
    alike: bool  # all have one day and shift


def laid_out(block: Block, told: Flags, every: I64, codes: I32) -> Laid:
    """`told` (measures, N_X): which columns a measure has; `every` (measures,): its publishing interval, ns; `codes`
    (measures, ..). Squares are given as whole 10^18 and what is left."""
    rows = block.sums
    cells, absent = np.empty((leaving.N_X, len(rows)), np.int64), np.empty((leaving.N_X, len(rows)), np.bool_)
    named = np.empty((codes.shape[1] + 1, len(rows)), np.int32)
    alike, larger = leaving.lay_out(rows, told, every, codes, cells, absent, named)
    if larger:
        for row in np.flatnonzero(rows[:, tables.R_SQUARES]).tolist():
            whole, left = divmod(wide(rows[row].tolist(), tables.R_SQUARES), leaving.HIGH_STEP)
            absent[leaving.X_HIGH, row] |= whole >= 1 << 63
            cells[[leaving.X_HIGH, leaving.X_LOW], row] = min(whole, (1 << 63) - 1), left
    return Laid(cells, absent, named, bool(alike))


def wide(row: Sequence[int], column: int) -> int:
    """The integer in two columns."""
    return (row[column] << LIMB) + row[column + 1]


def limbs(value: int) -> tuple[int, int]:
    """The other way; of what is larger than any sum, one that no 64 bits hold either."""
    high = min(max(value >> LIMB, -(1 << 63)), (1 << 63) - 1)
    return high, value & _MASK


def sums_of(row: Sequence[int]) -> list[int]:
    """The sums of a row as the kernel keeps it, as of `Row`."""
    n, used, least, most, t1, t2 = (
        row[k] for k in (tables.R_N, tables.R_USED, tables.R_LEAST, tables.R_MOST, tables.R_T1, tables.R_T2)
    )
    amount, total, squares = (wide(row, column) for column in _WIDE.values())
    return [n, used, amount, least, most, total, squares, t1, t2]


def kept(sums: Sequence[int]) -> list[int]:
    """The other way: columns R_N and those behind it. Raises ValueError where one is larger than any can be."""
    found = []
    for place, value in enumerate(sums):
        parts = [value >> LIMB, value & _MASK] if place in _WIDE else [value]
        if not -(1 << 63) <= parts[0] < 1 << 63:
            raise ValueError(f"holds a sum of {value}, which is more than there can be")
        found += parts
    return found


def joined(pieces: Iterable[Row | Block]) -> Block:
    """All rows, in their order."""
    blocks: list[Block] = []
    for _, some in groupby(pieces, type):
        found = list(some)
        blocks += [one for one in found if isinstance(one, Block)]
        if rows := [one for one in found if isinstance(one, Row)]:
            blocks.append(_of_rows(rows))
    if len(blocks) == 1:
        return blocks[0]
    sums, texts = np.concatenate([block.sums for block in blocks]), list[str]()
    end = 0
    for block in blocks:
        begin, end = end, end + len(block.sums)
        if block.texts:
            named = sums[begin:end, tables.R_ORDER : tables.R_PRODUCT + 1]
            named[named >= 0] += len(texts)
            texts += block.texts
    if all(block.buckets is None for block in blocks):
        return Block(sums, texts, None)
    return Block(sums, texts, [one for block in blocks for one in block.buckets or [None] * len(block.sums)])


def by_end(block: Block, line: I64) -> Block:
    """A line's rows by their end, at one end as they are: in one sequence, wherever runs were cut. `line`: of each."""
    end = block.sums[:, tables.R_END]
    later = (line[1:] > line[:-1]) | ((line[1:] == line[:-1]) & (end[1:] >= end[:-1]))
    if later.all():  # of one family they are
        return block
    order = np.lexsort((end, line))
    buckets = None if block.buckets is None else [block.buckets[k] for k in order.tolist()]
    return Block(block.sums[order], block.texts, buckets)


def _of_rows(rows: Sequence[Row]) -> Block:
    texts = list(dict.fromkeys(text for row in rows for text in (row.key.order, row.key.product) if text is not None))
    place: dict[str | None, int] = {None: -1} | {text: k for k, text in enumerate(texts)}
    sums = np.array(
        [(0, *key[:4], place[key.order], place[key.product], key.during, *kept(sums)) for key, sums, _ in rows],
        np.int64,
    )
    return Block(sums, texts, [row.buckets for row in rows])


def in_order(key: Key) -> tuple[object, ...]:
    """As the rows of a line follow each other."""
    return (*key[:4], key.order is not None, key.order or "", key.product is not None, key.product or "", key.during)
