"""What every reader of a log offers: events in the log's order, what went wrong with them, how far it has read."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, Protocol

from twin.events.block import EventBlock, Rejected
from twin.sources.summary import Summary

# Making the rows of results costs by the call more than by the row: with half as many a replay takes a tenth longer.
BLOCK_EVENTS = 131_072
Batch = tuple[EventBlock, list[Rejected]]
Stage = Literal["growing", "complete"] | None  # of a file that is followed while it is written; None: it is not


class SourceError(Exception):
    """A log that cannot be read at all. The text says which file, why, and what to do."""


class Source(Protocol):
    """One log. Can be iterated once; `summary` is complete when the iteration is.

    `numbered` tells whether the events already carry what recognises duplicates (`epoch`, `seq`), or get their `seq`
    when logs are merged; `named` whether what two exports both hold is known in any way (else of events with a `seq`
    alone). `closes` tells whether the log's end closes what is open.
    """

    name: str
    summary: Summary
    numbered: bool
    named: bool
    closes: bool

    @property
    def position(self) -> int:
        """Bytes read so far (of a compressed file: compressed bytes)."""

    @property
    def size(self) -> int:
        """Bytes in all."""

    def __iter__(self) -> Iterator[Batch]:
        """Blocks of at most `BLOCK_EVENTS` events, each with the inputs refused beside them."""


_PACKED = (".gz", ".zst")
_SUFFIXES = (".csv", ".txt", ".log", ".tsv", ".dat", ".prn", ".xlsx", ".xlsm", ".xlsb", ".xls", ".ods", ".parquet")


def stem(path: Path) -> str:
    """The file's name without its extensions: what `{file}` stands for in a mapping."""
    name = path.name
    for suffix in (*_PACKED, *_SUFFIXES):
        if name.lower().endswith(suffix):
            name = name[: -len(suffix)]
    return name
