"""A self-contained proof for one line and period: everything that is needed to compute its rows again, and no promise.

A row follows from all events of its line since the twin began, and a file's hash holds for the whole file. So an export
holds whole files: every file of the line's partition from the last base before the period (or where its twin began:
offset 0, or another plant model by whose rules lines began anew) up to the last interval that says something of the
period. What is left out is what comes later, and what led to the base: `whole` takes that, too. Taking just the events
and the rows of the period would be smaller, but its chain would have holes, and what stood in the holes would be a
matter of trust.
"""

import contextlib
import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import msgspec
import numpy as np

from twin.audit import AuditError, durable, layout, left_out, models, replayed
from twin.audit.bundle import FORMAT, MANIFEST, ExportedFile, ExportedPartition, Manifest
from twin.audit.intervals import Interval, contents
from twin.audit.layout import PublishedFile
from twin.audit.period import beginning, says
from twin.audit.read import chain_end, footer_of
from twin.version import code_version

# The same files give the same ZIP file, byte by byte.
_ZIP_TIME: Final = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export holds."""

    manifest: Manifest
    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class _Part:
    """The intervals of one partition that are exported, and those that come after."""

    intervals: list[Interval]
    after: list[Interval]


def export(root: Path | str, line: str, start_ns: int, end_ns: int, out: Path, *, whole: bool = False) -> Exported:
    """Write the proof of `line` for event times [start_ns, end_ns) to `out`: a ZIP file, or else a new folder.

    `whole`: from where the line's twin began, not from the nearest base.

    Raises AuditError: nothing there for that line and period, files that cannot be read, or `out` exists.
    """
    base = layout.existing_root(root)
    if start_ns >= end_ns:
        raise AuditError(f"the period ends at {_time(end_ns)}, not after its start {_time(start_ns)}")
    if out.exists():
        raise AuditError(f"{out}: exists; an export never writes over anything: name a new file or folder")
    replayed.check_events(base)
    found = contents(base)
    for one in (one for group in found.waiting.values() for one in group):
        if says(one, line, start_ns, end_ns):
            raise AuditError(
                f"{base}: rows of line {line!r} in this period wait for a file (offsets {one.first_offset} to "
                f"{one.next_offset} of partition {one.partition}), and an export holds files: end the period earlier, "
                "wait for TAKTWIN_PUBLISH_AFTER_S, or stop the worker"
            )
    parts = [part for group in found.published.values() if (part := _part(group, line, start_ns, end_ns, whole))]
    if not parts:
        raise AuditError(
            f"{base}: no row of line {line!r} from {_time(start_ns)} to {_time(end_ns)}; `twin audit ls` shows what "
            "there is"
        )
    partitions = tuple(_partition(base, part) for part in parts)
    used = tuple(sorted({_keys(one.files[0])["model"] for part in parts for one in part.intervals}))
    for digest in used:
        models.load(base, digest)
    manifest = Manifest(
        FORMAT, line, _time(start_ns), _time(end_ns), code_version(), used, partitions, _how(line, partitions)
    )
    names = [file.path for one in partitions for file in one.files] + [layout.model_name(digest) for digest in used]
    columns = left_out.columns_file(base, "events")
    names += [columns.relative_to(base).as_posix()] if columns is not None else []
    with _target(out) as target:
        target.add(MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=2))
        for name in names:
            target.copy(name, base / name)
    return Exported(manifest, len(names), sum((base / name).stat().st_size for name in names))


def _how(line: str, partitions: tuple[ExportedPartition, ...]) -> tuple[str, ...]:
    return (
        "twin audit verify FILE: every file is as it was written, and none between the first and the last is missing",
        f"twin audit recompute FILE --line {line}: the rows follow from the events",
        *(
            f"compare the head of partition {one.partition} ({one.head}) with what was noted elsewhere when "
            f"the audit had reached offset {one.next_offset}, or with the original's: twin audit verify --tail"
            for one in partitions
        ),
    )


def _part(group: list[Interval], line: str, start_ns: int, end_ns: int, whole: bool) -> _Part | None:
    said = [k for k, one in enumerate(group) if says(one, line, start_ns, end_ns)]
    if not said:
        return None
    first = beginning(group, said[0], whole=whole)
    return _Part(group[first : said[-1] + 1], group[said[-1] + 1 :])


def _keys(file: PublishedFile) -> dict[str, str]:
    keys = footer_of(file)
    if missing := {"model", "topic", "previous_sha256"} - keys.keys():
        raise AuditError(f"{file.path}: no {missing.pop()} in its footer; `twin audit verify` says what happened to it")
    return keys


def _partition(base: Path, part: _Part) -> ExportedPartition:
    first, last = part.intervals[0], part.intervals[-1]
    keys = _keys(first.files[0])
    files = tuple(_named(base, file) for one in part.intervals for file in one.files)
    return ExportedPartition(
        partition=first.partition,
        topic=keys["topic"],
        first_offset=first.first_offset,
        previous_sha256=keys["previous_sha256"],
        next_offset=last.next_offset,
        head=chain_end(last.files[-1]),
        files=files,
        after=tuple(_named(base, file) for one in part.after for file in one.files),
    )


def _named(base: Path, file: PublishedFile) -> ExportedFile:
    name = file.path.relative_to(base).as_posix()
    return ExportedFile(name, layout.sha256_of(file.path), file.path.stat().st_size)


def _time(ns: int) -> str:
    return f"{np.datetime64(ns, 'ns')}Z"


class _Target(Protocol):
    def add(self, name: str, data: bytes) -> None: ...

    def copy(self, name: str, source: Path) -> None: ...


class _Folder:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, name: str, data: bytes) -> None:
        durable.write(self._folder / name, data)

    def copy(self, name: str, source: Path) -> None:
        durable.make_folder((self._folder / name).parent)
        shutil.copyfile(source, self._folder / name)
        (self._folder / name).chmod(durable.FILE_MODE)


class _Zip:
    def __init__(self, opened: zipfile.ZipFile) -> None:
        self._zip = opened

    def add(self, name: str, data: bytes) -> None:
        self._zip.writestr(self._member(name), data)

    def copy(self, name: str, source: Path) -> None:
        with source.open("rb") as file, self._zip.open(self._member(name), "w", force_zip64=True) as member:
            shutil.copyfileobj(file, member)

    def _member(self, name: str) -> zipfile.ZipInfo:
        member = zipfile.ZipInfo(name, _ZIP_TIME)
        member.external_attr = durable.FILE_MODE << 16
        return member


@contextlib.contextmanager
def _target(out: Path) -> Iterator[_Target]:
    """A ZIP file or folder that is there under its name only when it is whole."""
    partial = out.with_name(f".{out.name}.partial")
    try:
        durable.make_folder(out.parent.resolve())
        with contextlib.ExitStack() as stack:
            target: _Target
            if out.suffix.lower() == ".zip":
                opened = stack.enter_context(zipfile.ZipFile(partial, "x", zipfile.ZIP_STORED, allowZip64=True))
                target = _Zip(opened)
            else:
                partial.mkdir(durable.FOLDER_MODE)
                target = _Folder(partial)
            stack.push(_removal(partial))
            yield target
        if partial.is_file():
            partial.chmod(durable.FILE_MODE)
        partial.rename(out)
    except OSError as error:
        raise AuditError(
            f"{error.filename or out}: cannot be written ({error.strerror}); make room, or name another place"
        ) from error


def _removal(partial: Path) -> Callable[..., None]:
    """An exit that takes away what was begun and not finished."""

    def leave(kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and partial.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
        elif kind is not None:
            partial.unlink(missing_ok=True)

    return leave
