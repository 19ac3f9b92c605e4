"""An audit root in object storage: the same files and the same list, but nothing is renamed.

    PREFIX/_objects/p{partition}/{first}-{next}-{set}-{date}-{sha256}.parquet   rows, put before the commit
    PREFIX/_pieces/p{partition}/p{partition}-{first}-{next}-{sha}.rows          rows that wait, likewise
    PREFIX/_files/p{partition}/{first}.json     the entry that makes rows visible: put after the commit, if absent
    PREFIX/_waiting/p{partition}/....rows       empty: the rows of this name are committed
    PREFIX/_root.json, _models/                 as in a folder

What the list does not name is seen by nobody. Names of rows hold their SHA-256, so whoever puts late, or twice, puts
the same, and a worker that lost its partition never touches what another one's commit names. For the same reason nobody
takes back what he put: another owner may have put the same. It goes when it lies below a committed offset and is not
listed (`sweep`): a rule of offsets, never of what a listing happens to show above.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
import pyarrow as pa

from twin.audit import AlreadyPublishedError, AuditError, filelist, layout, models, replayed
from twin.audit.filelist import Entry, ListedFile
from twin.audit.waiting import Piece
from twin.audit.writer import AuditWriter, Manifest, StagedFile, entry_of
from twin.store import FILES_TOGETHER, Store, check_conditions, each, put_same

_WHOLE: Final = msgspec.json.encode({"format": filelist.FORMAT})


def object_key(file: ListedFile | StagedFile) -> str:
    """Where the bytes of a file lie."""
    return layout.object_name(layout.published_file(Path(), file.path), file.sha256)


def piece_key(piece: Piece) -> str:
    """Where the bytes of rows that wait lie; `piece.path` is the key that makes them visible."""
    return rows_key(piece.path)


def rows_key(path: str) -> str:
    return path.replace(layout.WAITING, layout.PIECES, 1)


def encoded(entry: Entry) -> bytes:
    """As it lies in a folder."""
    return msgspec.json.format(msgspec.json.encode(entry), indent=1)


def begin(store: Store) -> bool:
    """Before the first entry: the root has had a list since it was begun. False: it was begun before."""
    return store.put_new(filelist.WHOLE, _WHOLE)


def put_entry(store: Store, entry: Entry) -> None:
    """Publish an interval whose objects are all there. May be repeated. Raises AuditError, StoreError."""
    if not put_same(store, entry.name, encoded(entry)):
        raise AuditError(
            f"{store.url}/{entry.name}: lists other files than the committed manifest: two twins share this root, or "
            "a group began anew: keep both and find out which"
        )


def put_models(store: Store, root: Path) -> None:
    """The plant models of a folder. Raises AuditError, StoreError."""
    there = {one.key for one in store.listed(layout.MODELS)}
    for digest in models.stored(root):
        name = layout.model_name(digest)
        if name not in there and not put_same(store, name, (root / name).read_bytes()):
            raise AuditError(f"{store.url}/{name}: is another model than its name says; restore it")


class ObjectWriter(AuditWriter):
    """An `AuditWriter` whose files are objects: its folder holds a file only while that is made."""

    def __init__(
        self,
        store: Store,
        root: Path,
        partition: int,
        *,
        topic: str,
        plant_hash: str,
        policies: str,
        code_version: str,
        chain: str,
    ) -> None:
        super().__init__(
            root,
            partition,
            topic=topic,
            plant_hash=plant_hash,
            policies=policies,
            code_version=code_version,
            chain=chain,
        )
        self._store = store
        self._begun = False

    def _staged(
        self,
        first_offset: int,
        next_offset: int,
        tables: Iterable[tuple[str, str, pa.Table]],
        keys: Mapping[str, str],
    ) -> Manifest:
        """Put what is staged: durable before anything names it, and seen by nobody."""
        before = self.chain
        manifest = super()._staged(first_offset, next_offset, tables, keys)
        try:
            if manifest.files:
                self._check_new(entry_of(manifest))
                each(self._put, manifest.files, FILES_TOGETHER)
        except (OSError, AuditError) as error:
            self.chain = before
            if isinstance(error, AuditError):
                raise
            raise _store_error(error) from error
        finally:
            for file in manifest.files:
                (self.root / file.staged).unlink(missing_ok=True)
        return manifest

    def _check_new(self, entry: Entry) -> None:
        if self._store.size(entry.name) is not None:
            raise AlreadyPublishedError(
                f"{self._store.url}/{entry.name}: already published: these offsets were audited before. Was the topic "
                "made anew, or the group's offset set back? Take another prefix or continue after its last offset"
            )

    def _put(self, file: StagedFile) -> None:
        data = (self.root / file.staged).read_bytes()
        if not self._store.put_new(object_key(file), data):
            self._check_object(file)

    def publish(self, *manifests: Manifest) -> None:
        """List what was put. May be repeated; lists nothing unless all objects are there."""
        for manifest in manifests:
            if manifest.partition != self.partition:
                raise AuditError(f"manifest of partition {manifest.partition} given to the writer of {self.partition}")
        todo = [manifest for manifest in manifests if manifest.files]
        try:
            each(self._check_object, (file for manifest in todo for file in manifest.files))
            if todo and not self._begun:
                begin(self._store)
                self._note(filelist.WHOLE, _WHOLE)
                self._begun = True
            for manifest in todo:
                entry = entry_of(manifest)
                put_entry(self._store, entry)
                self._note(entry.name, encoded(entry))
        except OSError as error:
            raise _store_error(error) from error

    def _note(self, name: str, data: bytes) -> None:
        """In the folder, which goes with this process, what the store has by now."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def check(self, manifest: Manifest) -> bool:
        """True when it is not listed yet, and all its objects are there. Raises AuditError."""
        try:
            each(self._check_object, manifest.files)
            return bool(manifest.files) and self._store.size(entry_of(manifest).name) is None
        except OSError as error:
            raise _store_error(error) from error

    def _check_object(self, file: StagedFile) -> None:
        if not layout.is_final(file.path):
            raise AuditError(f"manifest names {file.path!r}, which no writer made; discard the snapshot")
        key = object_key(file)
        size = self._store.size(key)
        if size is None:
            raise AuditError(
                f"{self._store.url}/{key}: committed, but not there; were objects deleted? Restore it, or set the "
                "group's offset back before this interval and replay it"
            )
        if size != file.bytes:
            raise AuditError(f"{self._store.url}/{key}: {size} bytes, but {file.bytes} were put: it was changed")


def _store_error(error: OSError) -> AuditError:
    return AuditError(f"{error.filename}: {error.strerror}")


def put_piece(store: Store, piece: Piece, data: bytes) -> None:
    """Rows that wait, before the commit: seen by nobody. May be repeated. Raises AuditError, StoreError."""
    key = piece_key(piece)
    if not put_same(store, key, data):
        raise AuditError(f"{store.url}/{key}: holds other rows than its name says: it was changed")


def show_pieces(store: Store, pieces: Iterable[Piece]) -> None:
    """Make committed rows that wait visible. May be repeated. Raises StoreError."""
    each(lambda piece: store.put_new(piece.path, b""), pieces)


def discard_pieces(store: Store, paths: Iterable[str]) -> None:
    """Take away rows that wait, by their visible names: they are in files by now. Raises StoreError.

    First what makes them visible: who has listed that and finds nothing behind it looks again.
    """
    names = list(paths)
    if names:
        store.delete(names)
        store.delete([rows_key(name) for name in names])


def sweep(store: Store, partition: int, listed: Sequence[Entry], published: int, committed: int) -> int:
    """Take away what nobody can need: of a partition what lies below its committed offset and is not listed, and rows
    that wait no more. Returns how many. Raises StoreError.

    Everything committed must be listed. `listed`: the newest entries, in order; objects before them are left alone. A
    base at the committed offset itself may be another owner's that is not committed yet.
    """
    folder = layout.partition_folder(layout.OBJECTS, partition)
    begin = listed[0].first_offset if listed else 0
    known = {object_key(file) for entry in listed for file in entry.files}
    gone = []
    for one in store.listed(folder, f"{folder}/{layout.offset_name(begin)}"):
        first, end = layout.object_offsets(one.key)
        if one.key not in known and (end < committed or (end == committed and first < end)):
            gone.append(one.key)
    gone = _unlisted_still(store, partition, gone)
    for place in (layout.WAITING, layout.PIECES):
        for one in store.listed(layout.partition_folder(place, partition)):
            piece = layout.piece_of(one.key.rpartition("/")[2])
            if piece is not None and piece[2] <= published:
                gone.append(one.key)
    if gone:
        store.delete(gone)
    return len(gone)


def _unlisted_still(store: Store, partition: int, keys: Sequence[str]) -> list[str]:
    """Those of objects that no entry names now: who slept since he read the list has not seen what was merged."""
    if not keys:
        return []
    begin = min(layout.object_offsets(key)[0] for key in keys)
    there = known(store, [one.key for one in store.listed(layout.partition_folder(layout.FILES, partition))])
    try:
        entries = each(lambda key: read_entry(store, key), [key for key in there if first_of(key) >= begin])
    except FileNotFoundError:
        return []  # files are being merged: another time
    named = {object_key(file) for entry in entries for file in entry.files}
    return [key for key in keys if key not in named]


def first_of(key: str) -> int:
    """First offset of an entry, by its key."""
    first = layout.entry_offset(key.rpartition("/")[2])
    assert first is not None
    return first


def known(store: Store, keys: Iterable[str]) -> list[str]:
    """The entries among what lies in the list. Raises AuditError where something else does."""
    found = [key for key in keys if key != filelist.WHOLE and not key.endswith(f"/{filelist.PRUNED}")]
    for key in found:
        if not filelist.is_entry(key):
            raise AuditError(
                f"{store.url}/{key}: is no entry of the list: another version's, or not a twin's; use the version that "
                "wrote it, or move it away"
            )
    return found


def read_entry(store: Store, key: str) -> Entry:
    """Raises AuditError, StoreError, FileNotFoundError."""
    partition = int(key.split("/")[1].removeprefix("p"))
    return filelist.decoded(key, store.get(key)[0], partition, f"{store.url}/{key}")


def upload(root: Path, store: Store, force: bool = False) -> None:
    """Put a replay's root, or one of its shares, under a prefix that is empty or holds shares of the same replay.

    The list comes last, in order, and then that the share is done; so what was cut off is put again, and compared with
    what is there. `force` removes an earlier replay first, never a worker's root. Raises AuditError, StoreError.
    """
    plan = (root / replayed.PLAN).read_bytes()
    keys = check_way(store, plan, force)
    if keys and force:
        _remove(store, keys)
    if not put_same(store, replayed.PLAN, plan):
        raise _other_replay(store)
    begin(store)
    check_conditions(store, filelist.WHOLE)
    put_models(store, root)
    listed = [entry for mine in filelist.entries(root).values() for entry in mine]

    def put(file: ListedFile) -> None:
        key = object_key(file)
        if not put_same(store, key, (root / file.path).read_bytes()):
            raise AuditError(f"{store.url}/{key}: holds other bytes than its name says; name a new prefix")

    each(put, [file for entry in listed for file in entry.files], FILES_TOGETHER)
    for entry in listed:
        put_entry(store, entry)
    for one in replayed.done(root):
        store.put(one.name, (root / one.name).read_bytes())  # of two runs of one share only the times differ


def check_way(store: Store, plan: bytes, force: bool) -> list[str]:
    """The keys that are there: none, those of the same replay, or (with `force`) of any. Raises AuditError,
    StoreError.
    """
    keys = [one.key for one in store.listed("")]
    if keys and not force and (replayed.PLAN not in keys or store.get(replayed.PLAN)[0] != plan):
        raise _other_replay(store)
    known = tuple(
        f"{folder}/" for folder in (layout.OBJECTS, layout.FILES, layout.MODELS, layout.REPLAY, layout.CHANGES)
    )
    if strange := [key for key in keys if not key.startswith(known)]:
        raise AuditError(
            f"{store.url}: holds {strange[0]}, which no replay makes; force removes an earlier replay only: name a new "
            "prefix"
        )
    return keys


def _other_replay(store: Store) -> AuditError:
    return AuditError(
        f"{store.url}: is not empty, and a replay never mixes with other rows; name a new prefix, or force it"
    )


def _remove(store: Store, keys: Sequence[str]) -> None:
    """What says that a share is done goes first, the list next, and last what says that there is one."""
    listed = [key for key in keys if key.startswith(f"{layout.FILES}/") and key != filelist.WHOLE]
    told = [key for key in keys if key.startswith(f"{layout.REPLAY}/") and key != replayed.PLAN]
    last = (filelist.WHOLE, replayed.PLAN)
    store.delete(told)
    store.delete(listed)
    store.delete([key for key in keys if key not in (*listed, *told, *last)])
    store.delete(last)
