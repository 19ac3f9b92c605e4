"""Snapshot files: what is written is read again, and anything else is refused with a reason."""

import hashlib
import os
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from streams.state.snapshot_files import (
    MAGIC,
    VERSION,
    Head,
    NewerSnapshotError,
    Snapshot,
    SnapshotError,
    SnapshotStore,
    decode,
    encode,
    offset_of,
)
from streams.worker.poison import Notes
from twin.audit.writer import Manifest, StagedFile

MANIFEST = Manifest(
    3, 10, 20, "c" * 64, (StagedFile("kpis", "kpis/x.parquet", ".staging/x.parquet", 7, 900, "d" * 64),)
)


def snapshot(next_offset: int = 20, state: bytes = b"state", partition: int = 3) -> Snapshot:
    return Snapshot(Head("twin.events", partition, next_offset, "0123456789abcdef", "c" * 64, (MANIFEST,)), state)


@given(st.binary(max_size=300), st.integers(0, 2**63 - 1), st.integers(0, 99_999))
def test_round_trip(state: bytes, offset: int, partition: int) -> None:
    made = snapshot(offset, state, partition)
    assert decode(encode(made), "x") == made


def test_store_round_trip_and_same_content_is_the_same_file(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path / "state")
    identity = store.save(snapshot())
    assert store.load(identity) == snapshot()
    assert store.save(snapshot()) == identity
    other = store.save(snapshot(state=b"another owner's"))
    assert other != identity
    assert offset_of(other) == 20
    assert [p.suffix for p in store.folder.iterdir()] == [".snapshot"] * 2


@pytest.mark.parametrize("at", [0, 9, 15, 40, 200, -1, -33])
def test_every_flipped_bit_is_noticed(at: int) -> None:
    data = bytearray(encode(snapshot()))
    data[at] ^= 1
    with pytest.raises(SnapshotError):
        decode(bytes(data), "x")


def test_every_cut_is_noticed() -> None:
    data = encode(snapshot())
    for size in range(len(data)):
        with pytest.raises(SnapshotError):
            decode(data[:size], "x")
    with pytest.raises(SnapshotError, match="another length"):
        decode(data + b"x", "x")


@pytest.mark.parametrize(("version", "word"), [(VERSION + 1, "newer"), (0, "older")])
def test_another_version_says_so(version: int, word: str) -> None:
    data = encode(snapshot())
    with pytest.raises(SnapshotError, match=f"written by {word} software"):
        decode(MAGIC + struct.pack("<H", version) + data[10:], "x")


def test_version_1_is_still_read() -> None:
    """As version 1 wrote it: the head has no number of partitions."""
    manifest = (
        b'{"partition":3,"first_offset":10,"next_offset":20,"chain":"c1","files":[{"set":"kpis","path":"kpis/x.parquet",'
        b'"staged":".staging/x.parquet","rows":7,"bytes":900,"sha256":"d1"}]}'
    )
    head = (
        b'{"topic":"twin.events","partition":3,"next_offset":20,"model":"0123","chain":"c1","manifests":['
        + manifest
        + b"]}"
    )
    body = struct.pack("<8sHIQ", MAGIC, 1, len(head), 5) + head + b"state"
    found = decode(body + hashlib.sha256(body).digest(), "x")
    assert found.head.partitions == 0
    assert found.head.next_offset == 20
    assert found.head.manifests[0].files[0].bytes == 900
    assert found.state == b"state"


def test_half_written_files_of_killed_writers_go(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    first, second = store.save(snapshot(10)), store.save(snapshot(20))
    below, above, other = (f"{name}.4711.tmp" for name in (first, snapshot_name(30), snapshot_name(10, partition=4)))
    for name in (below, above, other, "notes.tmp"):
        (tmp_path / name).write_bytes(b"half")
    store.collect(3, committed=second, keep=5)
    left = {path.name for path in tmp_path.iterdir() if path.suffix == ".tmp"}
    assert left == {above, other, "notes.tmp"}  # above the commit: perhaps another owner's, at work


def snapshot_name(next_offset: int, partition: int = 3) -> str:
    return f"p{partition:05d}-{next_offset:020d}-{'a' * 16}"


def test_half_written_notes_of_killed_writers_go(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    killed, own, other = (f"note-p{partition:05d}.{pid}.tmp" for partition, pid in ((3, 0), (3, os.getpid()), (4, 0)))
    for name in (killed, own, other, "note-p00003.json"):
        (tmp_path / name).write_bytes(b"half")
    store.collect(3, store.save(snapshot(20)), 5)
    # Our own may be just being written by another thread.
    assert {path.name for path in tmp_path.iterdir() if path.suffix != ".snapshot"} == {own, other, "note-p00003.json"}


def test_the_name_of_a_half_written_note_is_what_notes_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        Notes(tmp_path, TP("twin.events", 3), 0)
    monkeypatch.undo()
    assert len(list(tmp_path.iterdir())) == 1
    monkeypatch.setattr(os, "getpid", lambda: 0)
    store = SnapshotStore(tmp_path)
    store.remove_temporary(4, 20)
    assert len(list(tmp_path.iterdir())) == 1
    store.remove_temporary(3, 20)
    assert list(tmp_path.iterdir()) == []


def test_missing_renamed_and_foreign_ids(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    identity = store.save(snapshot())
    with pytest.raises(SnapshotError, match="missing"):
        store.load(identity.replace("-0000", "-0001"))
    with pytest.raises(SnapshotError, match="another program"):
        store.load("")
    with pytest.raises(SnapshotError, match="another program"):
        store.load("../../etc/passwd")
    renamed = identity.replace("p00003", "p00004")
    (tmp_path / f"{identity}.snapshot").rename(tmp_path / f"{renamed}.snapshot")
    with pytest.raises(SnapshotError, match="renamed"):
        store.load(renamed)


def test_newest_valid_steps_over_damage_and_later_offsets(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    store.save(snapshot(10))
    damaged = store.save(snapshot(20))
    store.save(snapshot(30))
    store.save(snapshot(15, partition=4))
    (tmp_path / f"{damaged}.snapshot").write_bytes(b"TWINSNAP")
    identity, found = next(store.newest_first(3, 25))
    assert found == store.load(identity)
    assert found.head.next_offset == 10
    assert list(store.newest_first(3, 9)) == []
    assert list(SnapshotStore(tmp_path / "none").newest_first(3, 9)) == []


def test_collect_keeps_the_committed_one_and_all_above(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    ids = [store.save(snapshot(offset)) for offset in range(10, 100, 10)]
    other = store.save(snapshot(10, partition=4))
    deleted = store.collect(3, committed=ids[5], keep=2)
    assert deleted == ids[:3]
    assert store.ids(3) == ids[3:]
    assert store.ids(4) == [other]
    assert store.collect(3, committed=ids[5], keep=2) == []


def test_unwritable_folder_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SnapshotError, match="cannot be written"):
        SnapshotStore(tmp_path / "file" / "state").save(snapshot())


def test_a_newer_snapshot_is_never_stepped_over(tmp_path: Path) -> None:
    """An older one would go on from before rows that the later version has published."""
    store = SnapshotStore(tmp_path)
    store.save(snapshot(10))
    newer = tmp_path / f"{store.save(snapshot(20))}.snapshot"
    newer.write_bytes(MAGIC + struct.pack("<H", VERSION + 1) + newer.read_bytes()[10:])
    with pytest.raises(NewerSnapshotError, match="start the version that wrote it"):
        list(store.newest_first(3, 25))


def test_collecting_lists_the_folder_once_for_all_partitions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listing for each commit of each of 1,000 partitions took 55 s a round."""
    store, partitions = SnapshotStore(tmp_path), range(40)
    first = [store.save(snapshot(10, partition=p)) for p in partitions]
    left = tmp_path / f"{snapshot_name(5, partition=7)}.4711.tmp"
    left.write_bytes(b"half")
    listed = 0
    listing = Path.iterdir

    def counted(path: Path) -> Iterator[Path]:
        nonlocal listed
        listed += 1
        return listing(path)

    monkeypatch.setattr(Path, "iterdir", counted)
    store.look()
    for offset in (20, 30, 40):
        ids = [store.save(snapshot(offset, partition=p)) for p in partitions]
        deleted = [store.collect(p, identity, keep=2) for p, identity in zip(partitions, ids, strict=True)]
    assert listed == 1
    assert deleted == [[identity] for identity in first]  # at 40 are kept: 40, 30 and 20
    assert not left.exists()
    assert all(len(store.ids(p)) == 3 for p in partitions)
