"""Reading a log's bytes: plain or packed, as UTF-8, in pieces that end at a line's end, knowing how far it is."""

import codecs
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

import pyarrow as pa

from twin.sources.source import SourceError
from twin.sources.summary import Summary

PIECE_BYTES = 4 << 20
_RAW_BYTES = 1 << 18
_GZIP = 16 + zlib.MAX_WBITS
_UTF16: Final = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
UNREADABLE: Final = "\ufffd".encode()  # what stands in the pieces where bytes were no text of a file's UTF-16


class OfFile:
    """A reader of one file, and how far it is (`twin.sources.source.Source`)."""

    _file: "LogFile"

    @property
    def position(self) -> int:
        return self._file.position

    @property
    def size(self) -> int:
        return self._file.size


class LogFile:
    """A file of lines. SourceError when it cannot be opened; one that is cut off is a problem of the summary.

    Packed by gzip (.gz) or Zstandard (.zst), or the `member` of a zip archive. UTF-16 is given as UTF-8: where a byte
    order mark, or every other byte of the first letters, shows it, or `encoding` says so. `unicode` is then true.
    `encoding` None: the bytes as they are. `whole`: a last line without its end is still being written, and not given.
    """

    def __init__(
        self,
        path: Path,
        summary: Summary,
        member: str | None = None,
        encoding: str | None = "utf-8",
        whole: bool = False,
    ) -> None:
        self.path = path
        self.position = 0
        self.unicode = False
        self.name = str(path) if member is None else f"{path}/{member}"
        self._member = member
        self._encoding = encoding
        self._whole = whole
        self._summary = summary
        self._raw: BinaryIO | None = None
        try:
            with path.open("rb"):
                self.size = path.stat().st_size
        except OSError as error:
            raise SourceError(
                f"{path}: cannot be read ({error.strerror}); check the path and its permissions"
            ) from error

    def pieces(self, size: int = PIECE_BYTES) -> Iterator[bytes]:
        """About `size` bytes at a time, each cut after a line's end (the file's last line may have none)."""
        parts: list[bytes] = []
        length = 0
        for data in self._text():
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
            rest = b"".join(parts)
            if self._whole:
                rest = rest[: rest.rfind(b"\n") + 1]
            if rest:
                yield rest

    def _text(self) -> Iterator[bytes]:
        """The bytes unpacked; of UTF-16 the same text as UTF-8."""
        unpacked = self._unpacked()
        if self._encoding is None:
            yield from unpacked
            return
        first = next(unpacked, b"")
        while len(first) < 4 and (more := next(unpacked, b"")):
            first += more
        wide = self._wide(first)
        self.unicode = wide is not None or first.startswith(codecs.BOM_UTF8)
        if wide is None:
            yield first
            yield from unpacked
            return
        decoder = codecs.getincrementaldecoder(wide)(errors="replace")
        yield decoder.decode(first).removeprefix("\ufeff").encode()
        for data in unpacked:
            yield decoder.decode(data).encode("utf-8", "replace")
        yield decoder.decode(b"", final=True).encode("utf-8", "replace")

    def _wide(self, first: bytes) -> str | None:
        if self._encoding is not None and self._encoding.startswith("utf-16"):
            plain = "utf-16-be" if self._encoding == "utf-16-be" else "utf-16-le"
            return _UTF16.get(first[:2], plain)
        if first[:2] in _UTF16:
            return _UTF16[first[:2]]
        if len(first) >= 4 and first[0] and not first[1] and first[2] and not first[3]:
            return "utf-16-le"
        if len(first) >= 4 and not first[0] and first[1] and not first[2] and first[3]:
            return "utf-16-be"
        return None

    def _unpacked(self) -> Iterator[bytes]:
        if self._member is not None:
            return self._of_zip(self._member)
        if self.path.suffix == ".gz":
            return self._inflated()
        return self._of_zstd() if self.path.suffix == ".zst" else self._plain()

    def _plain(self) -> Iterator[bytes]:
        with self.path.open("rb") as raw:
            while data := raw.read(_RAW_BYTES):
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
                    # In pieces: a few bytes may unpack to gigabytes.
                    yield inflate.decompress(rest, PIECE_BYTES)
                    while inflate.unconsumed_tail:
                        yield inflate.decompress(inflate.unconsumed_tail, PIECE_BYTES)
                    rest = inflate.unused_data
        except zlib.error as error:
            self._damaged(str(error))
            return
        if self.size and not inflate.eof:
            self._damaged("it ends in the middle")

    def _of_zstd(self) -> Iterator[bytes]:
        with self.path.open("rb") as raw:
            try:
                with pa.CompressedInputStream(pa.PythonFile(raw, "r"), "zstd") as stream:
                    while data := stream.read(_RAW_BYTES):
                        self.position = raw.tell()
                        yield data
            except (OSError, pa.ArrowException) as error:
                self._damaged(str(error).splitlines()[0])
        self.position = self.size

    def _of_zip(self, member: str) -> Iterator[bytes]:
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(member) as stream:
                share = self.size / max(archive.getinfo(member).file_size, 1)
                read = 0
                while data := stream.read(_RAW_BYTES):
                    read += len(data)
                    self.position = min(self.size, int(read * share))
                    yield data
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
            self._damaged(str(error))
        except (RuntimeError, NotImplementedError) as error:  # encrypted, or packed in a way of its own
            raise SourceError(f"{self.name}: cannot be unpacked ({error}); unpack it first") from None
        self.position = self.size

    def _damaged(self, why: str) -> None:
        self._summary.problem("damaged_file", f"{self.name}: {why}; what stands before that place was read")


def members(path: Path) -> list[str]:
    """The files in a zip archive, in its order, without folders and what operating systems hide. SourceError."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [info.filename for info in archive.infolist() if not info.is_dir()]
    except Exception as error:  # a damaged directory ends in errors of many classes
        raise SourceError(f"{path}: is no zip archive that can be read ({error}); copy it again") from None
    return [name for name in names if not Path(name).name.startswith((".", "__")) and "__MACOSX" not in name]
