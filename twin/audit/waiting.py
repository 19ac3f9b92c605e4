"""Rows that wait until they make a file worth having: one small durable piece per checkpoint, visible once committed.

    ROOT/_waiting/p{partition}/p{partition}-{first_offset}-{next_offset}-{sha}.rows   committed
    ROOT/.staging/p{partition}-{first_offset}-{next_offset}-{sha}-{attempt}.rows      not yet

    "TWINROWS" | version u16 | length of head u32 | head (JSON) | rows of each set | SHA-256 of all before

Numbers are little-endian; the rows of a set are an Arrow IPC stream, zstd. The name holds the first 16 digits of the
file's SHA-256, and each piece that of the piece before it: who names the last one has named them all, so a snapshot
does not grow with what waits. Pieces go when their rows are published. Each partition has a folder of its own: of 1,000
partitions up to 180,000 pieces wait, and none looks through those of the others.

Rejected: rows in the snapshot itself (every checkpoint would write all of them again: 180 times in 15 minutes), and a
journal to append to (one fsync less of some 6 ms, but nothing that an object store could hold, and a file that two
owners might write to).
"""

import functools
import hashlib
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import pyarrow as pa

from twin.audit import AuditError, GoneError, durable, layout
from twin.results import SETS

MAGIC: Final = b"TWINROWS"
VERSION: Final = 1
_FIXED: Final = struct.Struct("<8sHI")
_SHA_BYTES: Final = 32
# No checkpoint's rows of one set take more: a file that claims so is not believed.
_MOST_BYTES: Final = 1 << 30


class Piece(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One checkpoint's rows that wait: of offsets [first_offset, next_offset). JSON by msgspec, in snapshots."""

    partition: int
    begin: int  # offset of the first row that waits: of the first piece before this one
    first_offset: int
    next_offset: int
    sha256: str
    bytes: int

    @property
    def path(self) -> str:
        """Once committed, relative to the root."""
        return layout.piece_name(self.partition, self._stem)

    @property
    def _stem(self) -> str:
        return layout.piece_stem(self.partition, self.first_offset, self.next_offset, self.sha256)

    def staged(self, root: Path) -> Path | None:
        """Where it lies until then; None: nowhere."""
        first = root / layout.staged_piece_name(self._stem)  # nearly always, and the folder may be a long one
        if first.exists() and layout.sha256_of(first) == self.sha256:
            return first
        begin = f"{layout.STAGING}/{self._stem}-"
        names = (name for name in layout.staged(root, self.partition) if name.startswith(begin))
        return next((root / name for name in names if layout.sha256_of(root / name) == self.sha256), None)


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The rows of one set within a piece."""

    set: str
    rows: int
    size: int  # bytes of the Arrow stream
    packed: int  # bytes here


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a piece says of itself."""

    partition: int
    begin: int
    first_offset: int
    next_offset: int
    previous: str  # SHA-256 of the piece before; empty in the first
    footer: dict[str, str]  # what the footer of their file will say of topic, plant and version
    sections: tuple[Section, ...] = ()


# Made here, not at the first use: two threads that make msgspec learn a type at the same time end the process.
_HEAD: Final = msgspec.json.Decoder(Head)


@dataclass(frozen=True, slots=True)
class Rows:
    """A piece that was read: packed as it lies in the file."""

    piece: Piece
    head: Head
    where: Path
    data: bytes

    @property
    def size(self) -> int:
        """Bytes of its rows, unpacked."""
        return sum(section.size for section in self.head.sections)

    def table(self, set_name: str) -> pa.Table | None:
        """Its rows of a set; None: it has none. Raises AuditError."""
        at = len(self.data) - _SHA_BYTES - sum(section.packed for section in self.head.sections)
        for section in self.head.sections:
            if section.set == set_name:
                try:
                    packed = pa.py_buffer(memoryview(self.data)[at : at + section.packed])
                    stream = pa.Codec("zstd").decompress(packed, section.size)
                    table = pa.ipc.open_stream(stream).read_all()
                except (pa.ArrowException, OSError, ValueError) as error:
                    raise AuditError(f"{self.where}: its rows of {set_name} cannot be read ({error})") from error
                if table.num_rows != section.rows:
                    raise AuditError(f"{self.where}: {table.num_rows} rows of {set_name}, its head says {section.rows}")
                return table
            at += section.packed
        return None


def encode(
    partition: int,
    offsets: tuple[int, int],
    before: Piece | None,
    footer: Mapping[str, str],
    tables: Mapping[str, pa.Table],
) -> tuple[Piece, bytes]:
    """The piece of these rows behind the one before, and its bytes."""
    codec, sections, parts = pa.Codec("zstd", 1), [], []
    for set_name, table in tables.items():
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table.unify_dictionaries().combine_chunks())
        rows = sink.getvalue()
        parts.append(codec.compress(rows, asbytes=True))
        sections.append(Section(set_name, table.num_rows, rows.size, len(parts[-1])))
    first, following = offsets
    begin, previous = (before.begin, before.sha256) if before is not None else (first, "")
    head = msgspec.json.encode(Head(partition, begin, first, following, previous, dict(footer), tuple(sections)))
    body = b"".join([_FIXED.pack(MAGIC, VERSION, len(head)), head, *parts])
    data = body + hashlib.sha256(body).digest()
    return Piece(partition, begin, first, following, hashlib.sha256(data).hexdigest(), len(data)), data


def decode(data: bytes, where: Path) -> Rows:
    """Raises AuditError: not a piece, of another version, cut off, or damaged."""
    if len(data) < _FIXED.size + _SHA_BYTES or not data.startswith(MAGIC):
        raise AuditError(f"{where}: holds no waiting rows, or is cut off within its first bytes")
    _, version, size = _FIXED.unpack_from(data)
    if version != VERSION:
        raise AuditError(
            f"{where}: waiting rows of format {version}, this version reads {VERSION}; use the one that wrote them"
        )
    if hashlib.sha256(data[:-_SHA_BYTES]).digest() != data[-_SHA_BYTES:]:
        raise AuditError(f"{where}: checksum does not match: the file is damaged")
    try:
        head = _HEAD.decode(data[_FIXED.size : _FIXED.size + size])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise AuditError(f"{where}: head cannot be read: {error}") from error
    packed = sum(section.packed for section in head.sections)
    if (
        _FIXED.size + size + packed + _SHA_BYTES != len(data)
        or any(not 0 <= section.size < _MOST_BYTES or section.packed < 0 for section in head.sections)
        or any(section.set not in SETS for section in head.sections)
        or not 0 <= head.begin <= head.first_offset <= head.next_offset
    ):
        raise AuditError(f"{where}: its head and its length do not fit together")
    sha256 = hashlib.sha256(data).hexdigest()
    piece = Piece(head.partition, head.begin, head.first_offset, head.next_offset, sha256, len(data))
    return Rows(piece, head, where, data)


def read(path: Path) -> Rows:
    """Raises AuditError, and FileNotFoundError: its rows may have been published since it was listed."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise AuditError(f"{path}: cannot be read ({error.strerror})") from error
    found = decode(data, path)
    if layout.piece_of(path.name) is not None and path.name != Path(found.piece.path).name:
        raise AuditError(f"{path}: holds other rows than its name says: it was renamed or changed")
    return found


def stage(root: Path, piece: Piece, data: bytes) -> None:
    """Write and fsync a piece, visible to nobody. Raises OSError; may be tried again."""
    folder = root / layout.STAGING
    durable.make_folder(folder)
    durable.stage(root, data, functools.partial(layout.staged_piece_name, Path(piece.path).stem))
    durable.sync_folder(folder)


def unstage(root: Path, piece: Piece) -> None:
    """Remove a staged piece that nobody will commit."""
    staged = piece.staged(root)
    if staged is not None:
        staged.unlink(missing_ok=True)


def publish(root: Path, pieces: Iterable[Piece]) -> None:
    """Make committed pieces visible. May be repeated. Raises OSError.

    Nothing is said of one that is nowhere: its rows may be in a file already, if another owner was quicker. Who needs
    it reads it. The folders are not synced: after a power cut the piece has one of its two names.
    """
    for piece in pieces:
        target = root / piece.path
        if not target.exists() and (source := piece.staged(root)) is not None:
            durable.make_folder(target.parent)
            source.replace(target)


def place_of(root: Path, piece: Piece) -> Path:
    """Where a piece lies. Raises GoneError."""
    target = root / piece.path
    found = target if target.exists() else piece.staged(root)
    if found is None:
        raise GoneError(
            f"{target}: committed but neither staged nor there; were files taken away, or the root moved? Restore it"
        )
    return found


def back_from(root: Path, last: Piece) -> list[Rows]:
    """All pieces up to the last, by the links between them, each as it was written. Raises AuditError."""
    try:
        found = [read(place_of(root, last))]
        if found[0].piece != last:
            raise AuditError(f"{found[0].where}: its SHA-256 is {found[0].piece.sha256}, not {last.sha256}: changed")
        if found[0].head.previous:
            there = [*visible(root, last.partition), *_staged(root, last.partition)]
            while found[-1].head.previous:
                found.append(_before(there, found[-1]))
    except FileNotFoundError as error:
        raise AuditError(f"{error.filename}: is gone; restore it") from None
    return found[::-1]


def _before(there: Sequence[Path], rows: Rows) -> Rows:
    """The piece before one, of which only the hash and the end are known."""
    previous = rows.head.previous
    ends = layout.follows_on(rows.head.first_offset, previous)
    for path in there:
        if ends in path.name and (found := read(path)).piece.sha256 == previous:
            return found
    raise AuditError(
        f"{rows.where}: follows rows with SHA-256 {previous}, which wait nowhere; restore that file of its folder"
    )


def _staged(root: Path, partition: int) -> list[Path]:
    return [root / name for name in layout.staged(root, partition) if name.endswith(".rows")]


def visible(root: Path, partition: int | None = None) -> list[Path]:
    """Committed pieces by partition and offset, those of published rows included that nobody has removed yet."""
    try:
        folders = _listed(root / layout.WAITING) if partition is None else [folder_of(root, partition)]
        paths = [path for folder in folders for path in _listed(folder)]
    except OSError as error:
        raise AuditError(f"{error.filename}: cannot be listed ({error.strerror}); check its permissions") from error
    return sorted((path for path in paths if _is_piece(path)), key=offsets_of)


def _is_piece(path: Path) -> bool:
    piece = layout.piece_of(path.name)
    return piece is not None and path.parent.name == layout.partition_name(piece[0])


def folder_of(root: Path, partition: int) -> Path:
    """The folder of a partition's committed pieces."""
    return root / layout.partition_folder(layout.WAITING, partition)


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def is_visible(name: str) -> bool:
    """Whether a path relative to the root is that of a visible piece."""
    folder, _, file = name.rpartition("/")
    piece = layout.piece_of(file)
    return piece is not None and folder == layout.partition_folder(layout.WAITING, piece[0])


def offsets_of(path: Path) -> tuple[int, int, int]:
    """Partition, first and next offset in a visible piece's name."""
    piece = layout.piece_of(path.name)
    assert piece is not None
    return piece


def following(paths: Sequence[Path], end: int) -> list[Rows]:
    """Of one partition's visible pieces those that go on from the end of what is published, read.

    Raises AuditError, and FileNotFoundError where one has gone since it was listed.
    """
    found: list[Rows] = []
    last = ""
    for path in paths:
        _, first, following_ = offsets_of(path)
        if first < end or following_ == first:
            continue
        if first > end:
            break
        rows = read(path)
        if rows.head.previous != last:
            continue
        found.append(rows)
        last, end = rows.piece.sha256, following_
    return found


def set_aside(path: Path) -> None:
    """Take a damaged piece out of every reader's way, and keep it."""
    path.replace(path.with_name(f"{path.name}.damaged"))


def discard(root: Path, partition: int, end: int) -> None:
    """Remove pieces whose rows are published: up to this offset. The oldest go first, for those who are reading."""
    for path in visible(root, partition):
        if offsets_of(path)[2] <= end:
            path.unlink(missing_ok=True)
