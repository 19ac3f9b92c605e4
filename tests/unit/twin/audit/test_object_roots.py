"""Roots in object storage: what a replay puts there, what readers copy, and what they refuse."""

from pathlib import Path

import pyarrow as pa
import pytest

from tests.support.audit import rows, table, write
from tests.support.objects import Faulty, Killed, MemoryStore, Wire
from twin.audit import (
    AlreadyPublishedError,
    AuditError,
    fetch,
    filelist,
    layout,
    marker,
    objects,
    replayed,
    store_marker,
)
from twin.audit.digest import digest
from twin.audit.intervals import contents
from twin.audit.marker import NotOursError
from twin.audit.objects import ObjectWriter
from twin.audit.verify import verify
from twin.store import Found, StoreError

SETS = ("events", "kpis", "states")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "root"
    for partition in (1, 2):
        for begin in (0, 100):
            sets = {name: table(name, rows(name, 40, seed=begin + partition)) for name in SETS}
            moved = {name: _moved(one, partition, begin) for name, one in sets.items()}
            write(made, moved, begin, begin + 100, partition)
    _planned(made, b"{}")
    return made


def _planned(root: Path, plan: bytes) -> None:
    """A replay says first what it is of."""
    (root / layout.REPLAY).mkdir(exist_ok=True)
    (root / replayed.PLAN).write_bytes(plan)


def _moved(one: pa.Table, partition: int, begin: int) -> pa.Table:
    offsets = [int(value) + begin for value in one.column("source_offset").to_pylist()]
    for name, values in (("source_partition", [partition] * len(one)), ("source_offset", offsets)):
        at = one.schema.get_field_index(name)
        one = one.set_column(at, one.schema.field(at), pa.array(values, one.schema.field(at).type))
    return one


@pytest.fixture
def store(root: Path) -> MemoryStore:
    made = MemoryStore()
    objects.upload(root, made)
    return made


def copied(store: MemoryStore, place: Path, cache: fetch.Cache | None = None) -> Path:
    fetch.copy(store, place, cache)
    return place


def test_a_copy_is_the_root(root: Path, store: MemoryStore, tmp_path: Path) -> None:
    copy = copied(store, tmp_path / "copy")
    assert digest(copy) == digest(root)
    assert contents(copy).partitions == [1, 2]
    for path in root.rglob("*.*"):
        if path.is_file():
            assert (copy / path.relative_to(root)).read_bytes() == path.read_bytes()


def test_seen_only_when_it_is_whole(root: Path, tmp_path: Path) -> None:
    """The list comes last, in order: however far it got, a reader sees a beginning."""
    keys = list[str]()

    class Watched(MemoryStore):
        def put_new(self, key: str, data: bytes) -> bool:
            keys.append(key)
            return super().put_new(key, data)

    objects.upload(root, Watched())
    entries = [key for key in keys if filelist.is_entry(key)]
    assert keys[:2] == [replayed.PLAN, filelist.WHOLE]
    assert keys[-len(entries) :] == entries == sorted(entries)


def test_what_is_not_listed_is_seen_by_nobody(root: Path, store: MemoryStore, tmp_path: Path) -> None:
    store.objects["_objects/p00001/stray.parquet"] = b"x"
    store.objects["events/date=2025-06-16/p00001-00000000000000000900-00000000000000000901.parquet"] = b"x"
    store.objects["_waiting/p00001/p00001-00000000000000000000-00000000000000000050-0123456789abcdef.rows"] = b""
    assert digest(copied(store, tmp_path / "copy")) == digest(root)


def test_changed_and_missing_objects_are_told(store: MemoryStore, tmp_path: Path) -> None:
    key = next(key for key in store.objects if "-kpis-" in key)
    whole = store.objects[key]
    store.objects[key] = whole[:-1] + b"?"
    with pytest.raises(AuditError, match=r"its SHA-256 is not the one that is listed: it was changed"):
        copied(store, tmp_path / "cached", fetch.Cache(tmp_path / "cache"))
    told = " ".join(map(str, verify(copied(store, tmp_path / "changed"), every=True).differences))
    assert "was published with SHA-256" in told
    del store.objects[key]
    found = verify(copied(store, tmp_path / "missing"), every=True)
    assert "is listed as published, but is not there" in " ".join(map(str, found.differences))
    store.objects[key] = whole
    entry = next(key for key in store.objects if filelist.is_entry(key))
    store.objects[entry] = store.objects[entry].replace(b'"partition": 1', b'"partition": 7')
    with pytest.raises(AuditError, match=r"^s3://memory/root/_files/p00001/.*lists files that are not those"):
        copied(store, tmp_path / "entry")


def test_the_cache_is_asked_first_and_is_no_proof(store: MemoryStore, tmp_path: Path) -> None:
    asked = list[str]()

    class Watched(MemoryStore):
        def get(self, key: str) -> tuple[bytes, str]:
            asked.append(key)
            return super().get(key)

    watched, cache = Watched(store.url, store.objects), fetch.Cache(tmp_path / "cache")
    copied(watched, tmp_path / "first", cache)
    assert sum(key.startswith("_objects/") for key in asked) == 12
    asked.clear()
    copied(watched, tmp_path / "second", cache)
    assert not [key for key in asked if key.startswith(("_objects/", "_files/p"))]
    assert digest(tmp_path / "first") == digest(tmp_path / "second")
    asked.clear()
    copied(watched, tmp_path / "proof")
    assert sum(key.startswith("_objects/") for key in asked) == 12


def test_a_replay_never_mixes(root: Path, store: MemoryStore) -> None:
    before = dict(store.objects)
    objects.upload(root, store)  # the same again: compared, as after a kill
    assert store.objects == before
    _planned(root, b'{"another": 1}')
    with pytest.raises(AuditError, match="s3://memory/root: is not empty"):
        objects.upload(root, store)
    assert store.objects == before
    objects.upload(root, store, force=True)
    assert store.objects == before | {replayed.PLAN: b'{"another": 1}'}
    store.objects[marker.NAME] = b"{}"
    with pytest.raises(AuditError, match=r"holds _root.json, which no replay makes"):
        objects.upload(root, store, force=True)
    assert store.objects.keys() == {*before, marker.NAME}


@pytest.mark.parametrize("behind", [False, True])
def test_a_replay_that_is_killed_at_any_call_is_put_again(root: Path, tmp_path: Path, behind: bool) -> None:
    wire = Wire()
    objects.upload(root, Faulty(MemoryStore(), wire))
    for at in range(len(wire.calls)):
        store = MemoryStore()
        with pytest.raises(Killed):
            objects.upload(root, Faulty(store, Wire(at, behind=behind)))
        objects.upload(root, store)
        assert digest(copied(store, tmp_path / f"{at}")) == digest(root)


def test_no_root_and_what_this_version_does_not_do(store: MemoryStore, tmp_path: Path) -> None:
    with pytest.raises(AuditError, match="s3://memory/root: no such audit root"):
        copied(MemoryStore(), tmp_path / "none")
    store.objects["_files/p00001/another.json"] = b"{}"
    with pytest.raises(AuditError, match=r"another.json: is no entry of the list: another version's"):
        copied(store, tmp_path / "another")


def test_rows_become_files_while_they_are_read(store: MemoryStore, tmp_path: Path) -> None:
    """Their name was listed, and what is behind it has gone meanwhile: looked for again, not left out."""
    name = "p00001/p00001-00000000000000000200-00000000000000000300-0123456789abcdef.rows"
    times = []

    class Moving(MemoryStore):
        def listed(self, prefix: str, after: str = "") -> list[Found]:
            if prefix == "_waiting":
                times.append(1)
                if len(times) < 3:
                    return [Found(f"_waiting/{name}", 0, "", 0)]
            return super().listed(prefix, after)

    copied(Moving(store.url, store.objects), tmp_path / "copy")
    assert len(times) == 3
    store.objects[f"_waiting/{name}"] = b""
    with pytest.raises(AuditError, match="what is listed goes each time it is to be read"):
        copied(store, tmp_path / "gone")


def object_writer(store: MemoryStore, folder: Path) -> ObjectWriter:
    model = "00ff00ff00ff00ff"
    return ObjectWriter(
        store, folder, 3, topic="twin.events", plant_hash=model, policies="iso22400", code_version="1", chain=""
    )


def test_put_then_listed_and_nothing_left_behind(tmp_path: Path) -> None:
    store, folder = MemoryStore(), tmp_path / "own"
    audit = object_writer(store, folder)
    audit.add("events", table("events", rows("events", 100)))
    staged = audit.stage(0, 100)
    assert len(store.objects) == 1
    assert not list(folder.rglob("*.parquet"))
    assert audit.check(staged)
    audit.publish(staged)
    audit.publish(staged)  # may be repeated
    assert not audit.check(staged)
    (key,) = (key for key in store.objects if filelist.is_entry(key))
    assert key == "_files/p00003/00000000000000000000.json"
    late = object_writer(store, tmp_path / "late")
    late.publish(staged)  # of an owner that was slow to say so
    late.add("events", table("events", rows("events", 90)))
    with pytest.raises(AlreadyPublishedError, match=rf"{key}: already published"):
        late.stage(0, 100)
    assert late.chain == ""


def test_two_owners_that_commit_differently_are_found(tmp_path: Path) -> None:
    store = MemoryStore()
    manifests = []
    for number in (100, 90):
        audit = object_writer(store, tmp_path / str(number))
        audit.add("events", table("events", rows("events", number)))
        manifests.append((audit, audit.stage(0, 100)))
    manifests[0][0].publish(manifests[0][1])
    before = dict(store.objects)
    with pytest.raises(AuditError, match="lists other files than the committed manifest"):
        manifests[1][0].publish(manifests[1][1])
    assert store.objects == before


def test_listed_only_when_all_is_there(tmp_path: Path) -> None:
    store = MemoryStore()
    audit = object_writer(store, tmp_path)
    audit.add("events", table("events", rows("events", 100)))
    staged = audit.stage(0, 100)
    (key,) = store.objects
    whole = store.objects.pop(key)
    with pytest.raises(AuditError, match="committed, but not there; were objects deleted"):
        audit.publish(staged)
    store.objects[key] = whole[1:]
    with pytest.raises(AuditError, match="it was changed"):
        audit.publish(staged)
    assert not [key for key in store.objects if filelist.is_entry(key)]


def test_sweeping_goes_by_offsets(tmp_path: Path) -> None:
    store = MemoryStore()
    audit = object_writer(store, tmp_path / "a")
    for begin in (0, 100):
        audit.add("events", table("events", rows("events", 100)))
        audit.publish(audit.stage(begin, begin + 100))
    listed = filelist.entries(tmp_path / "a")[3]
    before = set(store.objects)
    strays = {
        "below": f"_objects/p00003/{50:020d}-{90:020d}-events-2025-06-16-{'a' * 64}.parquet",
        "at": f"_objects/p00003/{100:020d}-{200:020d}-events-2025-06-16-{'b' * 64}.parquet",
        "above": f"_objects/p00003/{150:020d}-{250:020d}-events-2025-06-16-{'c' * 64}.parquet",
        "base": f"_objects/p00003/{200:020d}-{200:020d}-_bases-2025-06-16-{'d' * 64}.parquet",
        "other": f"_objects/p00004/{50:020d}-{90:020d}-events-2025-06-16-{'e' * 64}.parquet",
    }
    for key in strays.values():
        store.objects[key] = b""
    assert objects.sweep(store, 3, listed, 200, 200) == 2
    assert set(store.objects) == before | {strays[name] for name in ("above", "base", "other")}


def test_whose_root_it_is(tmp_path: Path) -> None:
    store = MemoryStore()
    assert store_marker.is_bare(store)
    mine = store_marker.claim(store, tmp_path, "twin", "g", "id-1")
    assert store_marker.claim(store, tmp_path, "twin", "g", "id-2") == mine
    assert not store_marker.is_bare(store)
    with pytest.raises(NotOursError, match="is that of prefix twin and group g"):
        store_marker.claim(store, tmp_path, "other", "g", "id-3")
    store_marker.bind(store, "twin.events", "a" * 32)
    store_marker.bind(store, "twin.events", "a" * 32)
    with pytest.raises(NotOursError, match="was deleted and made anew"):
        store_marker.bind(store, "twin.events", "b" * 32)
    assert store_marker.read(store)[0].topic_id == "a" * 32
    now = [0.0]
    present = store_marker.Presence(store, "id-1", lambda: now[0])
    del store.objects[marker.NAME]
    present()
    now[0] = 61.0
    with pytest.raises(OSError, match="was the prefix emptied"):
        present()


@pytest.mark.parametrize("ignored", ["put_new", "replace"])
def test_a_store_that_ignores_conditions_is_refused(root: Path, tmp_path: Path, ignored: str) -> None:
    class Careless(MemoryStore):
        pass

    def put(self: MemoryStore, key: str, data: bytes, version: str = "") -> bool:
        self.put(key, data)
        return True

    setattr(Careless, ignored, put)
    store = Careless()
    with pytest.raises(StoreError, match="ignores If-None-Match or If-Match"):
        objects.upload(root, store)
    assert not [key for key in store.objects if filelist.is_entry(key)]
    with pytest.raises(StoreError, match=r"s3://memory/root/_root\.json: was put over another"):
        store_marker.claim(Careless(), tmp_path, "twin", "g", "id")


def test_a_replays_root_is_no_workers(store: MemoryStore, tmp_path: Path) -> None:
    with pytest.raises(NotOursError, match="those of a replay, or a copy"):
        store_marker.claim(store, tmp_path, "twin", "g", "id")
