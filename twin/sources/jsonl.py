"""JSON lines: each line is one record as it would stand on the topic."""

from collections.abc import Iterator
from pathlib import Path

from twin.plant.model import Plant
from twin.sources.blocks import distinct, empty, slices
from twin.sources.clock import Clock
from twin.sources.files import LogFile, OfFile
from twin.sources.source import BLOCK_EVENTS, Batch, Stage
from twin.sources.summary import Summary
from twin.wire.decode import Decoder


class JsonLines(OfFile):
    """One file of JSON lines, plain or gzip. What is refused comes with the block beside it, as from a topic.

    An event's `offset` is its line in the file, from 1.
    """

    numbered = True
    named = False
    closes = True

    def __init__(self, path: Path, plant: Plant, stage: Stage = None) -> None:
        self.name = str(path)
        self.summary = Summary()
        self._file = LogFile(path, self.summary, encoding=None, whole=stage == "growing")
        self._decoder = Decoder(plant)
        self._clock = Clock(plant, self.summary)
        self._line = 0

    def __iter__(self) -> Iterator[Batch]:
        for piece in self._file.pieces():
            lines = piece.split(b"\n")
            if piece.endswith(b"\n"):
                lines.pop()
            numbered = [(self._line + i, line.rstrip(b"\r")) for i, line in enumerate(lines, 1)]
            self._line += len(lines)
            records = [(at, line) for at, line in numbered if line.strip()]
            for i in range(0, len(records), BLOCK_EVENTS):
                yield from self._decoded(records[i : i + BLOCK_EVENTS])

    def _decoded(self, records: list[tuple[int, bytes]]) -> Iterator[Batch]:
        self.summary.rows += len(records)
        block, refused = self._decoder.decode([line for _, line in records], [at for at, _ in records])
        # A record of several events (an array) counts as one; what it is refused for likewise.
        unusable = len({one.offset for one in refused})
        self.summary.unusable += unusable
        self.summary.told += len(records) - unusable
        for one in refused:
            self.summary.reject(one.reason, f"{self.name}:{one.offset}: {one.detail}")
        for line in distinct(block.line).tolist():
            own = block.line == line
            self._clock.check(line, block.ts[own], self.name, block.offset[own])
        for part in slices(block, BLOCK_EVENTS) or [empty()]:
            self.summary.count_events(part)
            if len(part) or refused:
                yield part, refused
            refused = []
