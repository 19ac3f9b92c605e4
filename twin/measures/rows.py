"""Rows of the set `measures` on their way to a table: one by one, or many as columns."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from kernels.figures import measured as tables
from kernels.figures.wide import LIMB

I64 = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

# Of a `Row`.
N_OF, USED, AMOUNT, LEAST, MOST, TOTAL, SQUARES, T1_ERRORS, T2_ERRORS = range(9)
N_SUMS: Final = 9
# Of a `Block`: the squares take two columns, whole 10^18 and what is left.
_NARROW: Final = (
    tables.R_N,
    tables.R_USED,
    tables.R_AMOUNT,
    tables.R_LEAST,
    tables.R_MOST,
    tables.R_TOTAL,
    tables.R_SQUARES,
    tables.R_SQUARES,
    tables.R_T1,
    tables.R_T2,
)
HIGH, LOW, T1, T2 = 6, 7, 8, 9
_WIDE: Final = {AMOUNT: tables.R_AMOUNT, TOTAL: tables.R_TOTAL, SQUARES: tables.R_SQUARES}
_HIGH_STEP: Final = 10**18
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

    keys: I64  # (rows, 7) as of `Key`, order and product as places in `texts`, -1 none
    texts: Sequence[str]
    values: I64  # (rows, 10) by N_OF, USED, AMOUNT, LEAST, MOST, TOTAL, HIGH, LOW, T1, T2
    fits: Flags  # of each, whether 64 bits hold it
    buckets: Sequence[dict[int, int] | None]

    @classmethod
    def of_sums(cls, sums: I64, texts: Sequence[str], buckets: Sequence[dict[int, int] | None]) -> "Block":
        """`sums`: as the kernel keeps them (kernels.figures.measured R)."""
        values, fits = sums[:, _NARROW], np.ones((len(sums), len(_NARROW)), np.bool_)
        for place, column in ((AMOUNT, tables.R_AMOUNT), (TOTAL, tables.R_TOTAL)):
            high = sums[:, column]
            fits[:, place] = (high >= -8) & (high < 8)
            values[:, place] = (high << LIMB) + sums[:, column + 1]
        values[:, HIGH], values[:, LOW] = np.divmod(sums[:, tables.R_SQUARES + 1], _HIGH_STEP)
        for row in np.flatnonzero(sums[:, tables.R_SQUARES]).tolist():
            whole, left = divmod(wide(sums[row].tolist(), tables.R_SQUARES), _HIGH_STEP)
            fits[row, HIGH] = whole < 1 << 63
            values[row, HIGH], values[row, LOW] = (whole if fits[row, HIGH] else 0), left
        return cls(sums[:, tables.R_END : tables.R_DURING + 1], texts, values, fits, buckets)


def wide(row: Sequence[int], column: int) -> int:
    """The integer in two columns."""
    return (row[column] << LIMB) + row[column + 1]


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
    keys, texts = [], list[str]()
    for block in blocks:
        mine = block.keys
        if block.texts:
            mine = mine.copy()
            named = mine[:, 4:6]
            named[named >= 0] += len(texts)
            texts += block.texts
        keys.append(mine)
    return Block(
        np.concatenate(keys),
        texts,
        np.concatenate([block.values for block in blocks]),
        np.concatenate([block.fits for block in blocks]),
        [one for block in blocks for one in block.buckets],
    )


def by_end(block: Block, line: I64) -> Block:
    """A line's rows by their end, at one end as they are: in one sequence, wherever runs were cut. `line`: of each."""
    order = np.lexsort((block.keys[:, 0], line))
    return block._replace(
        keys=block.keys[order],
        values=block.values[order],
        fits=block.fits[order],
        buckets=[block.buckets[k] for k in order.tolist()],
    )


def _of_rows(rows: Sequence[Row]) -> Block:
    texts = list(dict.fromkeys(text for row in rows for text in (row.key.order, row.key.product) if text is not None))
    place: dict[str | None, int] = {None: -1} | {text: k for k, text in enumerate(texts)}
    sums = np.array(
        [(0, *key[:4], place[key.order], place[key.product], key.during, *kept(sums)) for key, sums, _ in rows],
        np.int64,
    )
    return Block.of_sums(sums, texts, [row.buckets for row in rows])


def in_order(key: Key) -> tuple[object, ...]:
    """As the rows of a line follow each other."""
    return (*key[:4], key.order is not None, key.order or "", key.product is not None, key.product or "", key.during)
