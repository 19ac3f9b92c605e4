"""Prunings and compactions in object storage: killed at every call, asleep at every call while others go on, beside a
worker that slept, and under those who read."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from streams.cli import main
from tests.support.audit import plain, rows, table, writer
from tests.support.objects import Faulty, Killed, MemoryStore, Wire
from tests.unit.twin.audit.test_audit_compact import ALWAYS, told
from tests.unit.twin.audit.test_audit_prune import DATES, WHO, _of_day, offsets
from twin.audit import (
    AuditError,
    fetch,
    filelist,
    layout,
    mirror,
    objects,
    replayed,
    store_changes,
    store_compact,
    store_prune,
    waiting,
)
from twin.audit import compact as compacting
from twin.audit import prune as pruning
from twin.audit.mirror import Mirror
from twin.audit.read import open_set
from twin.audit.verify import verify
from twin.store import Store

Run = Callable[[Store], Any]
SETS = ("events", "kpis")
# Of the calls at which something happens in turn: all of them in `make store`.
EVERY = [pytest.param(41), pytest.param(1, marks=pytest.mark.slow)]


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "NEWEST", 2)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Four days of two intervals, bases behind the first and the second."""
    path = tmp_path / "root"
    audit = writer(path)
    for number in range(8):
        first = 10 * number
        for name in SETS:
            audit.add(name, _of_day(table(name, rows(name, 6, seed=number)), first, number // 2))
        audit.publish(audit.stage(first, first + 10))
        if first + 10 in (20, 40):
            audit.add("alerts", _of_day(table("alerts", rows("alerts", 1, seed=number)), first + 9, number // 2))
            audit.publish(audit.stage(first + 10, first + 10))
    return path


@pytest.fixture
def store(root: Path) -> MemoryStore:
    """As a worker puts it."""
    there = MemoryStore()
    objects.begin(there)
    for entry in filelist.entries(root)[3]:
        for file in entry.files:
            there.put(objects.object_key(file), (root / file.path).read_bytes())
        objects.put_entry(there, entry)
    return there


def content(root: Path) -> Any:
    """All rows that a reader sees."""
    found = {name: open_set(root, name).to_table().drop_columns(["date"]) for name in (*SETS, "alerts")}
    return {name: sorted(map(repr, plain(one))) for name, one in found.items()}


def again(store: MemoryStore) -> MemoryStore:
    return MemoryStore(store.url, dict(store.objects))


def compact(store: Store, before: str = ALWAYS) -> Any:
    return store_compact.run(store, before, **WHO)


def prune(store: Store, before: str = DATES[2]) -> Any:
    return store_prune.prune(store, before, **WHO)


def compact_some(store: Store) -> Any:
    return compact(store, DATES[2])


def several(store: Store) -> None:
    prune(store, DATES[1])
    compact(store)
    store_prune.prune(store, DATES[3], without_base=True, **WHO)


class Reader:
    """Sees what a reader sees, each time in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._number = folder, 0
        self._cache = fetch.Cache(folder / "cache")

    def copy(self, store: Store, *, proof: bool = False) -> Path:
        self._number += 1
        path = self._folder / f"{self._number}"
        path.mkdir()
        fetch.copy(store, path, None if proof else self._cache)
        return path

    def content(self, store: Store) -> Any:
        return content(self.copy(store))


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    return Reader(tmp_path)


def left(store: MemoryStore) -> list[str]:
    """Objects that no entry names; all that are named are there."""
    entries = [objects.read_entry(store, key) for key in sorted(store.objects) if filelist.is_entry(key)]
    named = {objects.object_key(file) for entry in entries for file in entry.files}
    assert named <= store.objects.keys()
    return [key for key in store.objects if key.startswith(f"{layout.OBJECTS}/") and key not in named]


def test_as_in_a_folder(root: Path, store: MemoryStore, reader: Reader) -> None:
    before, tail = reader.content(store), verify(root, every=True).heads[0].sha256
    compacting.compact(root, DATES[3], **WHO)
    (done,) = compact(store, DATES[3])
    copy = reader.copy(store, proof=True)
    assert offsets(copy) == offsets(root) == [(0, 20), (20, 20), (20, 40), (40, 40), (40, 60), (60, 70), (70, 80)]
    for path in filter(Path.is_file, root.rglob("*.*")):
        name = path.relative_to(root).as_posix()
        if layout.columns_of(name) is None:  # a copy has it where a file leaves columns out still
            assert (copy / name).read_bytes() == path.read_bytes()
    assert (done.first_date, done.last_date) == (DATES[0], DATES[2])
    assert content(copy) == before
    assert told(copy) == []
    assert verify(copy, every=True).heads[0].sha256 == tail
    assert left(store) == []
    assert compact(store)[0].files == 0  # nothing is left to do but with the newest entries
    cuts = pruning.prune(root, DATES[2], **WHO)
    assert store_prune.plan(store, DATES[2]) == cuts == prune(store)
    copy = reader.copy(store, proof=True)
    assert offsets(copy) == offsets(root) == [(40, 40), (40, 60), (60, 70), (70, 80)]
    assert content(copy) == content(root)
    assert told(copy) == []
    assert left(store) == []
    assert prune(store)[0].files == prune(store, DATES[3])[0].files == 0
    # Later days, and a record over the former one.
    assert store_prune.prune(store, DATES[3], without_base=True, **WHO)[0].offset == 60
    assert offsets(reader.copy(store)) == [(60, 70), (70, 80)]
    assert len([key for key in store.objects if key.startswith(layout.CHANGES)]) == 5


def test_what_a_worker_may_need_stays(store: MemoryStore, reader: Reader) -> None:
    store_compact.run(store, ALWAYS, keep_from={3: 30}, **WHO)
    assert offsets(reader.copy(store))[:4] == [(0, 20), (20, 20), (20, 30), (30, 40)]
    assert store_prune.prune(store, DATES[3], keep_from={3: 30}, **WHO)[0].offset == 20


def test_the_newest_entries_are_left_to_workers(
    store: MemoryStore, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "NEWEST", 6)
    compact(store)
    assert offsets(reader.copy(store))[:4] == [(0, 20), (20, 20), (20, 30), (30, 40)]


@pytest.mark.parametrize("every", EVERY)
@pytest.mark.parametrize("run", [compact, prune])
@pytest.mark.parametrize("way", ["before", "behind", "late"])
def test_killed_at_every_call(store: MemoryStore, reader: Reader, run: Run, way: str, every: int) -> None:
    before = reader.content(store)
    whole, wire = again(store), Wire()
    run(Faulty(whole, wire))
    after = reader.content(whole)
    assert run is prune or before == after
    for at in range(0, len(wire.calls), every):
        there, killer = again(store), Wire(at, behind=way == "behind", late=way == "late")
        with pytest.raises(Killed):
            run(Faulty(there, killer))
        assert reader.content(there) in (before, after)
        run(there)
        killer.arrive()
        assert reader.content(there) == after
        run(there)
        assert left(there) == [] or way == "late"


@pytest.mark.parametrize("every", EVERY)
@pytest.mark.parametrize(
    ("run", "other"),
    [
        (compact, compact),
        (compact, prune),
        (prune, compact),
        (prune, prune),
        pytest.param(compact, compact_some, marks=pytest.mark.slow),
        pytest.param(compact, several, marks=pytest.mark.slow),
    ],
)
def test_asleep_at_every_call_while_another_goes_on(
    store: MemoryStore, reader: Reader, run: Run, other: Run, every: int
) -> None:
    wire = Wire()
    run(Faulty(again(store), wire))
    for at in range(0, len(wire.calls), every):
        there, expected = again(store), list[Any]()

        def goes_on(there: MemoryStore = there, expected: list[Any] = expected) -> None:
            other(there)
            alone = again(there)
            run(alone)
            expected.append(reader.content(alone))

        run(Faulty(there, Wire(at, asleep=goes_on)))
        assert [reader.content(there)] == expected
        assert left(there) == []
        assert told(reader.copy(there, proof=True)) == []


@pytest.mark.parametrize("every", EVERY)
@pytest.mark.parametrize("change", [compact, prune, several])
def test_a_reader_asleep_at_every_call(store: MemoryStore, reader: Reader, change: Run, every: int) -> None:
    """What he sees is what was there before, or what is there behind: never half of it, and no file is missing."""
    wire, changed = Wire(), again(store)
    change(changed)
    both = reader.content(store), reader.content(changed)
    reader.copy(Faulty(again(store), wire), proof=True)
    for at in range(0, len(wire.calls), every):
        there = again(store)
        copy = reader.copy(Faulty(there, Wire(at, asleep=lambda there=there: change(there))), proof=True)  # type: ignore[misc]
        assert content(copy) in both
        assert told(copy) == []


def test_a_worker_that_slept_takes_nothing_away(store: MemoryStore) -> None:
    """He has read the list before files were merged, and looks for what is not listed after that."""
    listed = [objects.read_entry(store, key) for key in sorted(store.objects) if filelist.is_entry(key)]
    compact(store)
    stray = f"_objects/p00003/{10:020d}-{30:020d}-events-2025-06-16-{'a' * 64}.parquet"
    store.objects[stray] = b""
    before = set(store.objects)
    assert objects.sweep(store, 3, listed, 80, 80) == 1
    assert set(store.objects) == before - {stray}


def test_what_was_written_down_and_does_not_fit_is_told(store: MemoryStore) -> None:
    class Full(MemoryStore):
        def replace(self, key: str, data: bytes, version: str) -> bool:
            if filelist.is_entry(key):
                raise Killed
            return super().replace(key, data, version)

    there = Full(store.url, dict(store.objects))
    with pytest.raises(Killed):
        compact(there)
    (name,) = (key for key in there.objects if key.startswith(layout.CHANGES))
    new, *_ = left(there)
    damages = (
        ({new: b""}, "is not what was put to stand for"),
        ({name: b"?"}, "cannot be read"),
        (
            {name: there.objects[name].replace(b'"partition": 3,\n "number": 0', b'"partition": 3,\n "number": 7')},
            "renamed",
        ),
    )
    for damage, words in damages:
        with pytest.raises(AuditError, match=words):
            store_changes.settle(MemoryStore(there.url, there.objects | damage), 3)
    with pytest.raises(AuditError, match="no such audit root"):
        compact(MemoryStore())


class Partition:
    """A worker that adds to one partition: rows that wait, and every third time a file of them."""

    def __init__(self, store: MemoryStore, root: Path) -> None:
        self._store, self._root = store, root
        self._offset, self._pieces = 80, list[waiting.Piece]()
        self._waits: dict[str, list[Any]] = {name: [] for name in SETS}
        self._audit = writer(root)
        self._audit.chain = verify(root, every=True).heads[0].sha256

    def step(self, seed: int) -> None:
        first, self._offset = self._offset, self._offset + 10
        made = {name: _of_day(table(name, rows(name, 4, seed=seed)), first, 3) for name in SETS}
        for name in SETS:
            self._waits[name].append(made[name])
        if len(self._pieces) < 2:
            before = self._pieces[-1] if self._pieces else None
            piece, data = waiting.encode(3, (first, self._offset), before, {}, made)
            objects.put_piece(self._store, piece, data)
            objects.show_pieces(self._store, [piece])
            self._pieces.append(piece)
            return
        for name in SETS:
            for one in self._waits[name]:
                self._audit.add(name, one)
        staged = self._audit.stage(self._pieces[0].first_offset, self._offset)
        for file in staged.files:
            self._store.put(objects.object_key(file), (self._root / file.staged).read_bytes())
        self._audit.publish(staged)
        objects.put_entry(self._store, filelist.entries(self._root)[3][-1])
        objects.discard_pieces(self._store, [piece.path for piece in self._pieces])
        self._pieces, self._waits = [], {name: [] for name in SETS}


def followed(store: Store, folder: Path, now: list[float]) -> Mirror:
    folder.mkdir()
    return Mirror(store, folder, fetch.Cache(folder.parent / "cache"), lambda: now[0])


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 10))])
def test_a_folder_that_follows(root: Path, store: MemoryStore, reader: Reader, tmp_path: Path, seed: int) -> None:
    """It shows what a copy shows: new rows at once, what was pruned when all of the list is read again."""
    rng, now, pruned = random.Random(seed), [0.0], False  # noqa: S311  a test's
    follows, worker = followed(store, tmp_path / "follows", now), Partition(store, root)
    for number in range(12):
        what = rng.choice(["step"] * 4 + ["compact", "prune", "late"])
        if what == "step":
            worker.step(100 * seed + number)
        elif what == "late":
            now[0], pruned = now[0] + mirror.ALL_S, False
        else:
            {"compact": compact, "prune": prune}[what](store)
            pruned |= what == "prune"
        follows.refresh()
        assert pruned or content(follows.folder) == reader.content(store)
    now[0] += mirror.ALL_S
    follows.refresh()
    copy = reader.copy(store)
    assert content(follows.folder) == content(copy)
    there = {path.relative_to(copy) for path in copy.rglob("*") if path.is_file()}
    assert {path.relative_to(follows.folder) for path in follows.folder.rglob("*") if path.is_file()} == there


def test_another_replay_in_the_place_of_one_is_another_root(
    root: Path, store: MemoryStore, reader: Reader, tmp_path: Path
) -> None:
    """The same names with other bytes: neither its folder nor a copy under way mixes the two."""
    other = MemoryStore(store.url)
    moved = tmp_path / "other"
    audit = writer(moved)
    for first in (0, 10):
        for name in SETS:
            audit.add(name, _of_day(table(name, rows(name, 5, seed=first + 7)), first, first // 20))
        audit.publish(audit.stage(first, first + 10))
    objects.begin(other)
    for entry in filelist.entries(moved)[3]:
        for file in entry.files:
            other.put(objects.object_key(file), (moved / file.path).read_bytes())
        objects.put_entry(other, entry)
    now = [0.0]
    follows = followed(again(store), tmp_path / "follows", now)
    follows.refresh()
    follows.store = other
    now[0] += mirror.ALL_S
    follows.refresh()
    assert content(follows.folder) == content(moved) == reader.content(other)
    # One that only adds behind what was there: by its plan.
    short, planned = MemoryStore(store.url), again(store)
    short.objects = {key: data for key, data in other.objects.items() if not key.endswith("00010.json")}
    short.put(replayed.PLAN, b"1")
    planned.put(replayed.PLAN, b"2")
    follows = followed(short, tmp_path / "plans", [0.0])
    follows.refresh()
    follows.store = planned
    follows.refresh()
    assert content(follows.folder) == reader.content(store)
    wire = Wire()
    reader.copy(Faulty(again(store), wire), proof=True)
    both = content(moved), reader.content(store)
    for at in range(1, len(wire.calls), 6):
        there = again(store)
        late = Wire(at, asleep=lambda there=there: setattr(there, "objects", dict(other.objects)))  # type: ignore[misc]
        assert content(reader.copy(Faulty(there, late), proof=True)) in both


@pytest.mark.parametrize("all_of_it", [False, True])
def test_a_folder_follows_while_workers_go_on(
    root: Path, store: MemoryStore, reader: Reader, tmp_path: Path, all_of_it: bool
) -> None:
    """Whatever happens between two of its calls: it shows what was there before, or behind."""
    worker, states = Partition(store, root), [dict(store.objects)]
    for number in range(3):  # at the end rows that wait become a file, and files are merged
        worker.step(number)
        if number == 1:
            states.append(dict(store.objects))
    compact(store)
    states.append(dict(store.objects))
    before, after = (reader.content(MemoryStore(store.url, one)) for one in states[1:])
    assert before != after
    for at in range(1_000):
        there, now = MemoryStore(store.url, dict(states[0])), [0.0]
        follows = followed(there, tmp_path / f"follows-{at}", now)
        follows.refresh()
        there.objects = dict(states[1])
        wire = Wire(at, asleep=lambda there=there: setattr(there, "objects", dict(states[2])))  # type: ignore[misc]
        follows.store = Faulty(there, wire)
        now[0] += all_of_it * mirror.ALL_S
        follows.refresh()
        if not wire.fired:
            break
        assert content(follows.folder) in (before, after)
        now[0] += mirror.ALL_S
        follows.refresh()
        assert content(follows.folder) == after
    assert at > 3


def test_by_the_command_line(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def opened(url: str) -> MemoryStore:
        return store.under("_state") if url.endswith("/_state") else store

    monkeypatch.setattr("twin.store.opened", opened)
    assert main(["audit", "compact", "s3://memory/root", "--before", DATES[2], "--by", "me"]) == 0
    assert "2025-06-16 to 2025-06-17, merged into" in capsys.readouterr().out
    assert main(["audit", "prune", "s3://memory/root", "--keep", "1d", "--dry-run"]) == 0
    assert "up to offset 40" in capsys.readouterr().out
    store.objects["_state/g/p00003-40-x.snapshot"] = b"?"
    assert main(["audit", "prune", "s3://memory/root", "--keep", "1d"]) == 2
    assert "mend or remove it first" in capsys.readouterr().err
    assert not [key for key in store.objects if key.endswith(filelist.PRUNED)]
