"""What `export` writes, and how it is opened again: a folder or a ZIP file that is an audit root of its own."""

import contextlib
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from twin.audit import AuditError, durable, layout, models
from twin.audit.verify import Anchor, Start

MANIFEST: Final = "_export.json"  # the underscore hides it from readers of data sets
FORMAT: Final = 2
# Version 1 had no bases: it began where its twin began.
READABLE: Final = (1, 2)
# Somebody else's file is opened here: none of these is ever reached by a real export.
MAX_FILES: Final = 1_000_000
MAX_MANIFEST_BYTES: Final = 512 << 20


class ExportedFile(msgspec.Struct, frozen=True):
    path: str
    sha256: str
    bytes: int


class ExportedPartition(msgspec.Struct, frozen=True):
    """One partition's part of the chain: from `first_offset` up to, not including, `next_offset`."""

    partition: int
    topic: str
    first_offset: int
    previous_sha256: str  # of the file before the first; empty: it is the partition's first
    next_offset: int
    head: str  # SHA-256 of the last file, or of that which it replaces
    files: tuple[ExportedFile, ...]
    after: tuple[ExportedFile, ...] = ()  # the rest of the chain when this was made: named, not included


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """JSON by msgspec."""

    format: int
    line: str
    start: str  # of the period, RFC 3339
    end: str
    made_by: str
    models: tuple[str, ...]
    partitions: tuple[ExportedPartition, ...]
    how_to_check: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Opened:
    """A root that can be checked: an audit root as it is (no manifest), or an export."""

    root: Path
    manifest: Manifest | None = None
    starts: dict[int, Start] = field(default_factory=dict)
    anchors: tuple[Anchor, ...] = ()


@contextlib.contextmanager
def opened(path: Path | str) -> Iterator[Opened]:
    """An audit root, an exported folder, or an exported ZIP file (unpacked for as long as it is open).

    Raises AuditError.
    """
    place = layout.root_path(path)
    if not place.is_file():
        yield _described(layout.existing_root(place))
        return
    with tempfile.TemporaryDirectory(prefix="taktwin-export-") as folder:
        _unpack(place, Path(folder))
        yield _described(Path(folder))


def _described(root: Path) -> Opened:
    path = root / MANIFEST
    if not path.exists():
        return Opened(root)
    if path.stat().st_size > MAX_MANIFEST_BYTES:
        raise AuditError(f"{path}: over {MAX_MANIFEST_BYTES} bytes: no export makes such a manifest")
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise AuditError(f"{path}: cannot be read ({error}); ask for the export again") from error
    if manifest.format not in READABLE:
        raise AuditError(
            f"{path}: has format {manifest.format}, this code reads {READABLE[0]} to {FORMAT}; use the version that "
            "made it"
        )
    starts = {one.partition: _start(one) for one in manifest.partitions}
    if not 0 < len(starts) == len(manifest.partitions):
        raise AuditError(f"{path}: names no partition, or one twice, which no export does; ask for the export again")
    anchors = tuple(Anchor(one.partition, one.next_offset, one.head, MANIFEST) for one in manifest.partitions)
    return Opened(root, manifest, starts, anchors)


def _start(one: ExportedPartition) -> Start:
    files = tuple((file.path, file.sha256, file.bytes) for file in one.files)
    return Start(one.first_offset, one.previous_sha256, MANIFEST, one.topic, files)


def _unpack(archive: Path, folder: Path) -> None:
    """Write the members out. Names are taken from a list of shapes, so none can lead out of the folder.

    Members are stored, not compressed (Parquet is compressed already), so that a small file cannot unpack to a large
    one: what comes out is at most as long as what was given.
    """
    try:
        with zipfile.ZipFile(archive) as opened_zip:
            members = opened_zip.infolist()
            _check_members(archive, members)
            for member in members:
                target = folder / member.filename
                target.parent.mkdir(durable.FOLDER_MODE, parents=True, exist_ok=True)
                with opened_zip.open(member) as source, target.open("xb") as file:
                    shutil.copyfileobj(source, file)
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise AuditError(f"{archive}: is no whole ZIP file ({error}); ask for the export again") from error
    except OSError as error:
        raise AuditError(
            f"{archive}: cannot be unpacked into {folder} ({error.strerror}); TMPDIR names another"
        ) from error


def _check_members(archive: Path, members: list[zipfile.ZipInfo]) -> None:
    if len(members) > MAX_FILES:
        raise AuditError(f"{archive}: {len(members)} files, at most {MAX_FILES} are taken")
    names = set()
    for member in members:
        name = member.filename
        known = layout.is_final(name) or models.is_model(name) or layout.columns_of(name) is not None
        if not (name == MANIFEST or known):
            raise AuditError(f"{archive}: holds {name!r}, which no export does; nothing was unpacked")
        if name in names:
            raise AuditError(f"{archive}: holds {name!r} twice; nothing was unpacked")
        if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1:
            raise AuditError(
                f"{archive}: {name!r} is compressed or encrypted, which no export is; nothing was unpacked"
            )
        names.add(name)
    size = archive.stat().st_size
    if (total := sum(member.file_size for member in members)) > size:
        raise AuditError(f"{archive}: claims {total} bytes in a file of {size}; nothing was unpacked")
    if MANIFEST not in names:
        raise AuditError(f"{archive}: holds no {MANIFEST}: it is no export of an audit root")
