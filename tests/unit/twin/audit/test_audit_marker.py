"""The marker of a root: whose it is, that it is there, and that nobody makes it anew elsewhere."""

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from streams.state.fits import StateError
from streams.state.patience import Patience, StorageError
from streams.state.snapshot_files import SnapshotStore
from streams.state.staging import Staging
from streams.state.store import PartitionStore
from tests.support.audit import rows, table, writer
from tests.support.checkpoint import TP0, World
from twin.audit import AuditError, durable, filelist, layout, marker
from twin.audit.marker import NotOursError, check, claim
from twin.audit.verify import verify
from twin.audit.writer import Manifest

OURS = ("twin", "twin", "twin.events")


def test_an_empty_root_is_given_one_and_keeps_it(tmp_path: Path) -> None:
    root = tmp_path / "audit"
    first = claim(root, *OURS, "1")
    assert (first.id, first.prefix, first.group) == ("1", "twin", "twin")
    assert claim(root, *OURS, "2") == first
    check(root, "1")
    assert verify(root).sound
    assert [path.name for path in root.iterdir()] == [marker.NAME]  # readers of a set's folder find files there


def test_a_file_system_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    assert claim(tmp_path, *OURS, "1").id == "1"
    assert claim(tmp_path, *OURS, "2").id == "1"
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [marker.NAME]


@pytest.mark.parametrize("theirs", [("other", "twin", "other.events"), ("twin", "second", "twin.events")])
def test_the_root_of_another_plant_or_group_is_refused(tmp_path: Path, theirs: tuple[str, str, str]) -> None:
    claim(tmp_path, *OURS, "1")
    with pytest.raises(NotOursError, match=r"is that of prefix twin and group twin, this worker is of prefix .*: give"):
        claim(tmp_path, *theirs, "2")


def test_of_two_that_begin_at_once_one_is_first(tmp_path: Path) -> None:
    found: list[Any] = []
    begin = threading.Barrier(8)

    def run(k: int) -> None:
        begin.wait()
        try:
            found.append(claim(tmp_path, f"plant{k % 2}", "g", f"plant{k % 2}.events", str(k)).prefix)
        except NotOursError:
            found.append(None)

    threads = [threading.Thread(target=run, args=(k,)) for k in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(set(found) - {None}) == 1
    assert found.count(None) == 4


def test_a_root_of_a_version_before_is_given_one_where_its_rows_are_ours(tmp_path: Path) -> None:
    audit = writer(tmp_path)
    audit.add("kpis", table("kpis", rows("kpis", 5)))
    audit.publish(audit.stage(0, 5))
    topic = audit.footer["taktwin.topic"]
    with pytest.raises(NotOursError, match=rf"is of topic {topic}, this worker reads other\.events"):
        claim(tmp_path, "other", "other", "other.events", "1")
    assert not (tmp_path / marker.NAME).exists()
    assert claim(tmp_path, "twin", "twin", topic, "1").id == "1"


def test_a_marker_that_is_gone_is_a_disk_that_is_gone(tmp_path: Path) -> None:
    claim(tmp_path, *OURS, "1")
    (tmp_path / marker.NAME).rename(tmp_path / "away")
    with pytest.raises(FileNotFoundError, match="the marker of the audit root is not there: is it mounted"):
        check(tmp_path, "1")
    written = []
    with pytest.raises(StorageError, match="is it mounted"):
        Patience(0.2, 0.1, lambda: check(tmp_path, "1"))(lambda: written.append(1))
    assert not written
    (tmp_path / "away").rename(tmp_path / marker.NAME)
    Patience(0.2, 0.1, lambda: check(tmp_path, "1"))(lambda: written.append(1))
    assert written == [1]
    with pytest.raises(NotOursError, match="the root is another one than when this worker started"):
        check(tmp_path, "2")
    (tmp_path / marker.NAME).write_bytes(b"{")
    with pytest.raises(AuditError, match="cannot be read"):
        check(tmp_path, "1")
    (tmp_path / marker.NAME).write_text('{"format":9,"id":"1","prefix":"a","group":"b"}')
    with pytest.raises(AuditError, match="of format 9"):
        check(tmp_path, "1")


def test_what_is_held_is_never_made_anew(tmp_path: Path) -> None:
    root = tmp_path / "audit"
    claim(root, *OURS, "1")
    durable.hold(root)
    try:
        durable.make_folder(root / "kpis" / "date=2026-01-01")
        root.rename(tmp_path / "away")
        for path in (root, root / "kpis", root / "kpis" / "date=2026-01-01", root / layout.STAGING):
            with pytest.raises(FileNotFoundError, match="is it mounted"):
                durable.make_folder(path)
        root.mkdir()  # the place where it was mounted
        with pytest.raises(FileNotFoundError, match="is it mounted"):
            durable.make_folder(root / "kpis" / "date=2026-01-01")
        assert not list(root.iterdir())
    finally:
        durable.release(root)


class Waits(World):
    """Rows wait for a file."""

    def store(self, keep: int = 3, partitioner: str = "") -> PartitionStore:
        store = super().store(keep, partitioner)
        store.staging = Staging(self.audit, store._patience, 1 << 30, 3600.0)
        return store


async def test_a_load_compares_the_end_of_the_chain_with_the_state(tmp_path: Path) -> None:
    """The list was put back to an earlier state: rows that came later went on behind a hole."""
    world = Waits(tmp_path)
    worker = await world.worker()
    for publish in (True, False, True, False):
        world.feed(worker.states[TP0], 100)
        await worker.checkpoint(world.group, publish=publish)
    entries = filelist.entries(world.audit)[0]
    assert [entry.next_offset for entry in entries] == [100, 300]
    assert filelist.ends_with(world.audit, 0, 300, entries[-1].files[-1].sha256)
    assert not filelist.ends_with(world.audit, 0, 300, entries[-2].files[-1].sha256)
    assert not filelist.ends_with(world.audit, 0, 100, entries[-1].files[-1].sha256)
    assert (await world.worker()).states[TP0].next == 400
    (world.audit / entries[-1].name).unlink()
    for file in entries[-1].files:
        (world.audit / file.path).unlink()
    with pytest.raises(StateError, match=r"which is not the last up to offset 300 in the list of .*: the folder is an"):
        await world.worker()


def test_a_root_is_bare_until_something_was_written(tmp_path: Path) -> None:
    (tmp_path / "kpis").mkdir()
    assert marker.is_bare(tmp_path)
    audit = writer(tmp_path)
    audit.add("kpis", table("kpis", rows("kpis", 5)))
    audit.publish(audit.stage(0, 5))
    assert not marker.is_bare(tmp_path)
    claim(tmp_path / "other", *OURS, "1")
    assert not marker.is_bare(tmp_path / "other")


def test_what_is_said_of_roots_without_a_list(tmp_path: Path) -> None:
    assert filelist.ends_with(tmp_path, 3, 0, "")
    assert not filelist.ends_with(tmp_path, 3, 5, "0" * 64)
    audit = writer(tmp_path)
    audit.add("kpis", table("kpis", rows("kpis", 5)))
    staged: Manifest = audit.stage(0, 5)
    audit.publish(staged)
    filelist.remove(tmp_path)
    assert filelist.ends_with(tmp_path, 3, 5, staged.chain)  # its files are there: more cannot be said


def test_a_root_is_bound_to_one_topic_for_good(tmp_path: Path) -> None:
    marker.bind(tmp_path, "twin.events", "a", "x")  # a root without a marker is nobody's
    assert list(tmp_path.iterdir()) == []
    claim(tmp_path, *OURS, "1")
    (tmp_path / ".x.tmp").touch()  # a worker was killed in the midst of it
    for attempt in ("y", "z"):
        marker.bind(tmp_path, "twin.events", "a", attempt)
    assert claim(tmp_path, *OURS, "2") == marker.Marker(marker.FORMAT, "1", "twin", "twin", "a")
    with pytest.raises(NotOursError, match=r"twin\.events was deleted and made anew.*take a new group"):
        marker.bind(tmp_path, "twin.events", "b", "w")
    assert marker.read(tmp_path).topic_id == "a"
    check(tmp_path, "1")


async def test_a_root_that_goes_while_a_state_is_loaded_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not found then says nothing: the worker ended with 73, as if a person had to decide."""
    world = World(tmp_path)
    world.snapshots = SnapshotStore(world.audit / "_state" / "g")
    claim(world.audit, *OURS, "1")
    worker = await world.worker()
    world.feed(worker.states[TP0], 10)
    await worker.checkpoint(world.group)
    store, away = world.store(), tmp_path / "away"
    store._patience = Patience(20.0, 0.05, lambda: check(world.audit, "1"))
    load, back = store._load, threading.Timer(0.5, lambda: away.rename(world.audit))

    def lose(*given: Any) -> Any:
        if not back.is_alive() and not back.finished.is_set():
            world.audit.rename(away)
            back.start()
        return load(*given)

    monkeypatch.setattr(store, "_load", lose)
    durable.hold(world.audit)
    try:
        assert store.load(TP0, world.group.assigned()[TP0]).next == 10
    finally:
        durable.release(world.audit)
        back.join()
