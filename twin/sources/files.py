"""Reading a log's bytes: plain or gzip, in pieces that end at a line's end, knowing how far it is."""

import zlib
from collections.abc import Iterator
from pathlib import Path

from twin.sources.source import SourceError
from twin.sources.summary import Summary

PIECE_BYTES = 4 << 20
_RAW_BYTES = 1 << 18
_GZIP = 16 + zlib.MAX_WBITS


class LogFile:
    """A file of lines. SourceError when it cannot be opened; one that is cut off is a problem of the summary."""

    def __init__(self, path: Path, summary: Summary) -> None:
        self.path = path
        self.position = 0
        self._summary = summary
        try:
            self._raw = path.open("rb")
            self.size = path.stat().st_size
        except OSError as error:
            raise SourceError(
                f"{path}: cannot be read ({error.strerror}); check the path and its permissions"
            ) from error

    def pieces(self, size: int = PIECE_BYTES) -> Iterator[bytes]:
        """About `size` bytes at a time, each cut after a line's end (the file's last line may have none)."""
        parts: list[bytes] = []
        length = 0
        for data in self._inflated() if self.path.suffix == ".gz" else self._plain():
            parts.append(data)
            length += len(data)
            if length < size:
                continue
            cut = data.rfind(b"\n") + 1
            if cut:
                parts[-1] = data[:cut]
                yield b"".join(parts)
                parts = [data[cut:]]
                length = len(data) - cut
        if length:
            yield b"".join(parts)

    def _plain(self) -> Iterator[bytes]:
        with self._raw:
            while data := self._raw.read(_RAW_BYTES):
                self.position += len(data)
                yield data

    def _inflated(self) -> Iterator[bytes]:
        # Not the gzip module: at a damaged place it also throws away what it had read well before it.
        inflate = zlib.decompressobj(_GZIP)
        try:
            for data in self._plain():
                rest = data
                while rest:
                    if inflate.eof:
                        inflate = zlib.decompressobj(_GZIP)
                    yield inflate.decompress(rest)
                    rest = inflate.unused_data
        except zlib.error as error:
            self._damaged(str(error))
            return
        if self.size and not inflate.eof:
            self._damaged("it ends in the middle")

    def _damaged(self, why: str) -> None:
        self._summary.problem("damaged_file", f"{self.path}: {why}; what stands before that place was read")
