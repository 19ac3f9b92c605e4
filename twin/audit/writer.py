"""Parquet sets in which only committed rows can be seen: stage, then (after the commit) publish."""

import contextlib
import errno
import hashlib
import io
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, cast

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from twin.audit import AlreadyPublishedError, AuditError, durable, filelist, layout, left_out
from twin.audit.filelist import Entry, ListedFile
from twin.audit.left_out import absent
from twin.audit.rows import BY_ARRIVAL, NO_DATE, by_date, check_rows, has_revisions
from twin.results import INDEX, NAME, REJECTED, SCHEMA_VERSION, SETS
from twin.rules import RULES
from twin.time import zone

ROW_GROUP_ROWS: Final = 131_072
_BUFFER_BYTES: Final = 1 << 20
# Columns that a query engine leaves out row groups by. Statistics of the others took a third of the time of writing.
_PRUNED_BY: Final = ("window", "start", "end", "ts", "source_partition", "source_offset")
# These, too, where rows stand by line: in order of arrival every row group has all of them.
_SORTED_BY: Final = ("line", "station")
# Nearly always one number, which compresses to nothing as it is.
_EVEN: Final = ("epoch", "source_partition", INDEX)
# The hash before the first file of a partition.
GENESIS: Final = ""


class StagedFile(msgspec.Struct, frozen=True, omit_defaults=True):
    set: str
    path: str  # published, relative to the root
    staged: str  # relative to the root
    rows: int
    bytes: int
    sha256: str
    schema: int = 0  # as `twin.audit.filelist.ListedFile` has them
    revised: bool | None = None
    left_out: tuple[str, ...] = ()


class Manifest(msgspec.Struct, frozen=True):
    """The files of one interval of a partition's offsets, [first_offset, next_offset); JSON by msgspec."""

    partition: int
    first_offset: int
    next_offset: int
    chain: str  # SHA-256 of the partition's last file, this manifest's included
    files: tuple[StagedFile, ...] = ()

    @property
    def is_base(self) -> bool:
        return any(file.set == layout.BASES for file in self.files)


class _HashedFile(io.RawIOBase):
    """A new file that knows the SHA-256 of what was written. After an error it takes no more bytes."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, durable.FILE_MODE)
        self._hash = hashlib.sha256()
        self.size = 0
        self.error: OSError | None = None

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.size

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        length = len(view)
        if self.error is not None:
            return length  # Parquet's writer writes a footer when it is closed: after an error that goes nowhere
        self._hash.update(view)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError as error:
            self.error = error
            raise
        self.size += length
        return length

    def finish(self) -> str:
        """Make the bytes durable. Returns their SHA-256."""
        os.fsync(self._descriptor)
        return self._hash.hexdigest()

    def close(self) -> None:
        if not self.closed:
            os.close(self._descriptor)
        super().close()


class AuditWriter:
    """Collects rows of one partition and writes them as immutable, chained Parquet files.

    `chain` is the last manifest's after a restart. `again`: files that are published already come once more, and are
    compared. `replay`: SHA-256 of the plan (`twin.audit.replayed`). Every public method raises AuditError.
    """

    def __init__(
        self,
        root: Path | str,
        partition: int,
        *,
        topic: str,
        plant_hash: str,
        policies: str,
        code_version: str,
        chain: str = GENESIS,
        apart: bool = False,
        again: bool = False,
        replay: str = "",
    ) -> None:
        self.root = layout.root_path(root)
        self.partition = partition
        self.chain = chain
        self.mended: list[str] = []  # damaged entries of the list that were put anew
        self._apart = apart  # see layout.staged_name
        self._again = again
        self.footer = {
            "taktwin.schema_version": str(SCHEMA_VERSION),
            "taktwin.topic": topic,
            "taktwin.partition": str(partition),
            "taktwin.model": plant_hash,
            "taktwin.policies": policies,
            "taktwin.code_version": code_version,
            "taktwin.rules": str(RULES),
            "taktwin.zone_rules": zone.RULES,
        }
        if replay:
            self.footer["taktwin.replay"] = replay
        self._tables: dict[str, list[pa.Table]] = {}
        self._rows = 0
        self._bytes = 0

    @property
    def rows(self) -> int:
        """Rows added since the last stage."""
        return self._rows

    @property
    def bytes(self) -> int:
        """Their size in memory."""
        return self._bytes

    def add(self, set_name: str, table: pa.Table, *, checked: bool = False) -> None:
        """Take rows of the set's full schema (`twin.results.SETS`). A row that breaks an invariant is refused here.

        `checked`: not again, and its schema may be that of another version.
        """
        layout.check_set(set_name)
        if not table.num_rows:
            return
        if not checked:
            check_rows(set_name, table)
        self._tables.setdefault(set_name, []).append(table)
        self._rows += table.num_rows
        self._bytes += table.nbytes

    def stage(self, first_offset: int, next_offset: int, footer: Mapping[str, str] | None = None) -> Manifest:
        """Write and fsync all rows taken so far, visible to nobody. After an error it may be tried again.

        `footer`: what stands in for `self.footer` where rows of another version or plant were added.
        """
        if not 0 <= first_offset <= next_offset:
            raise AuditError(f"partition {self.partition}: offsets [{first_offset}, {next_offset}) are not a range")
        keys = self.footer if footer is None else footer
        manifest = self._staged(first_offset, next_offset, self._sorted(first_offset < next_offset), keys)
        self._tables, self._rows, self._bytes = {}, 0, 0
        return manifest

    def stage_base(self, offset: int, date: str, state: pa.Table) -> Manifest:
        """Write and fsync a base (`twin.audit.bases.table`) as the next link of the chain, visible to nobody."""
        return self._staged(offset, offset, [(layout.BASES, date, state)], self.footer)

    def _staged(
        self,
        first_offset: int,
        next_offset: int,
        tables: Iterable[tuple[str, str, pa.Table]],
        keys: Mapping[str, str],
    ) -> Manifest:
        files: list[StagedFile] = []
        chain = self.chain
        try:
            for set_name, date, table in tables:
                if not files:
                    durable.make_folder(self.root / layout.STAGING)
                files.append(self._write(set_name, date, table, (first_offset, next_offset), keys, chain))
                chain = files[-1].sha256
            if files:
                durable.sync_folders(self.root, [self.root / layout.STAGING])
        except (OSError, AuditError) as error:
            unstage(self.root, files)
            if isinstance(error, AuditError):
                raise
            raise _write_error(error, self.root) from error
        self.chain = chain
        return Manifest(self.partition, first_offset, next_offset, chain, tuple(files))

    def _sorted(self, moved: bool) -> Iterator[tuple[str, str, pa.Table]]:
        """What an interval's files hold, in the order of the chain."""
        if not self._tables and moved:
            # Records without a single event: a file without a row says that they were read. If it did not, nobody
            # could tell an interval without rows from one whose files were taken away.
            yield "rejected", NO_DATE, REJECTED.empty_table()
        for set_name in SETS:
            for date, table in by_date(set_name, self._tables.get(set_name, [])):
                yield set_name, date, table

    def _write(
        self,
        set_name: str,
        date: str,
        table: pa.Table,
        offsets: tuple[int, int],
        keys: Mapping[str, str],
        previous: str,
    ) -> StagedFile:
        name = layout.final_name(set_name, date, self.partition, *offsets)
        if not self._again and (self.root / name).exists():
            raise AlreadyPublishedError(
                f"{self.root / name}: already published: these offsets were audited before. Was the topic made anew, "
                "or the group's offset set back? Move the old audit root away or continue after its last offset"
            )
        staged, sink = self._create(set_name, date, offsets)
        path = self.root / staged
        empty = absent(table)
        footer = {
            **keys,
            "taktwin.set": set_name,
            "taktwin.first_offset": str(offsets[0]),
            "taktwin.next_offset": str(offsets[1]),
            "taktwin.previous_sha256": previous,
            "taktwin.absent": ",".join(empty),
        }
        without = left_out.leaves_out(set_name, table, empty)
        if without:
            table = table.drop_columns(list(without))
        if set_name == layout.BASES:
            footer["taktwin.date"] = date  # of no row of it
        try:
            # Unbuffered, every page would be a call into Python, and wait for its lock while another thread computes.
            with sink, pa.output_stream(sink, buffer_size=_BUFFER_BYTES) as buffered:
                _write_parquet(buffered, table, footer, by_arrival=set_name in BY_ARRIVAL)
                digest = sink.finish()
        except (OSError, pa.ArrowException) as error:
            with contextlib.suppress(OSError):
                path.unlink()
            if isinstance(failed := sink.error or error, OSError):
                raise _write_error(failed, path) from error
            raise AuditError(f"{path}: Parquet cannot hold these rows of set {set_name}: {error}") from error
        schema = int(keys["taktwin.schema_version"])
        return StagedFile(
            set_name, name, staged, table.num_rows, sink.size, digest, schema, has_revisions(table), without
        )

    def _create(self, set_name: str, date: str, offsets: tuple[int, int]) -> tuple[str, _HashedFile]:
        """A new staged file. An owner that lost the partition may still write: its files are never reopened."""
        attempt = 0
        while True:
            staged = layout.staged_name(set_name, date, self.partition, *offsets, attempt, apart=self._apart)
            try:
                return staged, _HashedFile(self.root / staged)
            except FileExistsError:
                attempt += 1

    def publish(self, *manifests: Manifest) -> None:
        """Rename the staged files to their final names, and list them. May be repeated; renames nothing unless all
        files are there."""
        for manifest in manifests:
            if manifest.partition != self.partition:
                raise AuditError(f"manifest of partition {manifest.partition} given to the writer of {self.partition}")
        files = [file for manifest in manifests for file in manifest.files]
        try:
            if files:
                filelist.begin(self.root)
            for set_name in {file.set for file in files if file.left_out}:
                left_out.place(self.root, set_name)
            moves = [move for file in files if (move := self._check(file)) is not None]
            for source, target in moves:
                durable.make_folder(target.parent)
                source.replace(target)
            if files:
                durable.sync_folders(self.root, {(self.root / file.path).parent for file in files})
            for manifest in manifests:
                if filelist.put(self.root, entry := entry_of(manifest)):
                    self.mended.append(entry.name)
            if moves:
                durable.sync_folder(self.root / layout.STAGING)
        except OSError as error:
            raise _write_error(error, self.root) from error

    def check(self, manifest: Manifest) -> bool:
        """True when a file waits to be published, and all are as they were staged. Raises AuditError."""
        return any([self._check(file) is not None for file in manifest.files])  # noqa: C419  every file is to be checked

    def _check(self, file: StagedFile) -> tuple[Path, Path] | None:
        """What to rename to what; None when it is done already."""
        if not layout.is_final(file.path) or not layout.is_staged(file.staged):
            raise AuditError(
                f"manifest names {file.staged!r} and {file.path!r}, which no writer made; discard the snapshot"
            )
        source, target = self.root / file.staged, self.root / file.path
        if target.exists():
            if target.stat().st_size != file.bytes or layout.sha256_of(target) != file.sha256:
                raise AuditError(
                    f"{target}: published with other bytes than the committed manifest names (SHA-256 {file.sha256}); "
                    "it was changed, or two twins share this root: keep both files and find out which"
                )
            source.unlink(missing_ok=True)
            return None
        if not source.exists():
            raise AuditError(
                f"{source}: committed but neither staged nor published as {target}; was the staging folder cleaned, or "
                "the root moved? Restore it, or set the group's offset back before this interval and replay it"
            )
        if source.stat().st_size != file.bytes:
            raise AuditError(
                f"{source}: {source.stat().st_size} bytes, but {file.bytes} were staged: the file is damaged"
            )
        if layout.sha256_of(source) != file.sha256:
            raise AuditError(f"{source}: its SHA-256 is not {file.sha256}, as it was staged: the file is damaged")
        return source, target

    def discard_foreign(self, keep: Manifest | None) -> None:
        """Remove staged files of this partition that `keep` does not name: they were never committed."""
        kept = {file.staged for file in keep.files} if keep is not None else set()
        try:
            foreign = [name for name in layout.staged(self.root, self.partition) if name not in kept]
            for name in foreign:
                (self.root / name).unlink(missing_ok=True)
            if foreign:
                durable.sync_folder(self.root / layout.STAGING)
        except OSError as error:
            raise _write_error(error, self.root / layout.STAGING) from error


def entry_of(manifest: Manifest) -> Entry:
    """What the list says of a manifest's files."""
    files = tuple(
        ListedFile(file.path, file.rows, file.bytes, file.sha256, file.schema, file.revised, file.left_out)
        for file in manifest.files
    )
    return Entry(filelist.FORMAT, manifest.partition, manifest.first_offset, manifest.next_offset, files)


def unstage(root: Path, files: Iterable[StagedFile]) -> None:
    """Remove staged files that nobody will publish: no other writer's, as each stages under names of its own."""
    for file in files:
        with contextlib.suppress(OSError):
            (root / file.staged).unlink()


def rehearse(table: pa.Table) -> None:
    """Make a file of these rows in memory: raises what writing them would, but for the disk's errors."""
    _write_parquet(pa.BufferOutputStream(), table, {}, by_arrival=False)


def _write_parquet(sink: pa.NativeFile, table: pa.Table, footer: dict[str, str], *, by_arrival: bool) -> None:
    integral = [
        field.name
        for field in table.schema
        if field.name not in _EVEN and (pa.types.is_temporal(field.type) or pa.types.is_integer(field.type))
    ]
    packed: dict[str, Any] = dict.fromkeys(table.schema.names, "zstd")
    # Nothing is left to compress of a column without a value.
    packed |= dict.fromkeys(absent(table), "none")
    pruned = _PRUNED_BY if by_arrival else (*_SORTED_BY, *_PRUNED_BY)
    writer = pq.ParquetWriter(
        sink,
        table.schema,
        compression=packed,
        use_dictionary=cast(
            Any, [field.name for field in table.schema if field.type == NAME]
        ),  # the stubs know bool only
        column_encoding=dict.fromkeys(integral, "DELTA_BINARY_PACKED"),
        write_statistics=cast(Any, [name for name in pruned if name in table.schema.names]),  # as above
        write_page_checksum=True,
        # Arrow's own 1,024 values in one go and 20,000 rows in a page cost a sixth of the time; a page ends at 1 MiB.
        write_batch_size=ROW_GROUP_ROWS,
        max_rows_per_page=ROW_GROUP_ROWS,
    )
    try:
        for begin in range(0, max(table.num_rows, 1), ROW_GROUP_ROWS):
            # One dictionary for a row group is enough: rows that were read in row groups mostly have it already.
            group = table.slice(begin, ROW_GROUP_ROWS).unify_dictionaries()
            writer.write_table(group, row_group_size=ROW_GROUP_ROWS)
        writer.add_key_value_metadata(footer)
    finally:
        writer.close()
    sink.flush()


def _write_error(error: OSError, path: Path) -> AuditError:
    """Says the file, the errno and what to do."""
    number = error.errno or errno.EIO
    if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        advice = "make room (or raise the limit) and start again; nothing of this interval was published"
    elif number in (errno.EACCES, errno.EPERM, errno.EROFS):
        advice = "give this user the right to write there and start again; nothing of this interval was published"
    else:
        advice = "check the disk and start again; nothing of this interval was published"
    name = errno.errorcode.get(number, str(number))
    return AuditError(f"{error.filename or path}: {name}: {os.strerror(number)}; {advice}")
