"""Rows that wait for a file: committed as any other, seen by every reader, merged by size, time or an orderly end."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pytest
from faust.types import TP

from streams import clock
from streams.kafka.transport import Committed
from streams.state.anchors import anchors
from streams.state.checkpoint import Checkpointer
from streams.state.fits import StateError
from streams.state.staging import Staging
from streams.state.store import PartitionStore
from streams.worker.processor import Processor
from tests.support import audit as rows_of
from tests.support.checkpoint import TP0, World
from tests.support.generated import plant_text, values
from tests.support.proof import by_partition, check, live, with_cell
from tests.support.streams import PLANT
from twin.audit import AuditError, layout, waiting
from twin.audit.digest import digest
from twin.audit.export import export
from twin.audit.intervals import contents
from twin.audit.query import query
from twin.audit.read import ls, open_set
from twin.audit.recompute import recompute
from twin.audit.report import Report
from twin.audit.verify import verify
from twin.audit.waitcheck import WaitCheck
from twin.audit.waiting import Piece
from twin.plant import loads
from twin.results import SETS
from twin.sources import open_logs

FOOTER = {"taktwin.schema_version": "3", "taktwin.topic": "twin.events", "taktwin.model": "00ff00ff00ff00ff"}


class Waits(World):
    """Rows wait for a quarter of an hour, or for 60 kB: some 400 events."""

    def store(self, keep: int = 3, partitioner: str = "") -> PartitionStore:
        store = super().store(keep, partitioner)
        store.staging = Staging(self.audit, store._patience, 60_000, 900.0)
        return store

    def seen(self) -> list[int]:
        """Offsets of the events that a reader sees, each as often as he sees it."""
        if not self.audit.exists():
            return []
        return sorted(open_set(self.audit, "events").to_table()["source_offset"].to_pylist())

    def pieces(self) -> list[tuple[int, int]]:
        return [waiting.offsets_of(path)[1:] for path in waiting.visible(self.audit)]

    def files(self) -> list[tuple[int, int]]:
        return [(file.first_offset, file.next_offset) for file in layout.published(self.audit, "events")]

    def verified(self) -> Report:
        """FakeTwin's rows name no model that is stored for another plant, and its alerts repeat."""
        found, damaged = anchors(self.snapshots.folder.parent)
        report = verify(self.audit, anchors=found, every=True)
        report.differences += damaged
        return report


@pytest.fixture
def world(tmp_path: Path) -> Waits:
    return Waits(tmp_path)


async def some(world: Waits, *numbers: int) -> Checkpointer:
    """A worker with a checkpoint after each of these numbers of events."""
    worker = await world.worker()
    for number in numbers:
        world.feed(worker.states[TP0], number)
        assert await worker.checkpoint(world.group) is Committed.OK
    return worker


def tables(count: int = 20) -> dict[str, pa.Table]:
    return {name: rows_of.table(name, rows_of.rows(name, count)) for name in ("events", "kpis", "rejected")}


def test_a_piece_holds_the_rows_it_was_given(tmp_path: Path) -> None:
    given = tables()
    first, data = waiting.encode(3, (0, 10), None, FOOTER, given)
    second, more = waiting.encode(3, (10, 30), first, FOOTER, {"events": given["events"]})
    empty, nothing = waiting.encode(3, (30, 31), second, FOOTER, {})
    for piece, bytes_ in ((first, data), (second, more), (empty, nothing)):
        waiting.stage(tmp_path, piece, bytes_)
    assert waiting.visible(tmp_path) == []
    waiting.publish(tmp_path, (first, second))
    waiting.publish(tmp_path, (first, second))
    read = waiting.back_from(tmp_path, empty)  # the last is staged only
    assert [one.piece for one in read] == [first, second, empty]
    assert [one.piece.begin for one in read] == [0, 0, 0]
    for name, table in given.items():
        assert read[0].table(name) == table
    assert read[1].table("kpis") is None
    assert read[2].table("events") is None
    assert [one.piece for one in waiting.following(waiting.visible(tmp_path, 3), 0)] == [first, second]
    assert waiting.visible(tmp_path, 4) == []
    waiting.discard(tmp_path, 3, 10)
    assert [one.piece for one in waiting.following(waiting.visible(tmp_path, 3), 10)] == []  # its link leads nowhere
    with pytest.raises(AuditError, match="wait nowhere"):
        waiting.back_from(tmp_path, empty)


def test_a_damaged_piece_is_never_read(tmp_path: Path) -> None:
    piece, data = waiting.encode(3, (0, 10), None, FOOTER, tables(3))
    where = tmp_path / piece.path
    where.parent.mkdir(parents=True)
    for position in range(0, len(data), 97):
        where.write_bytes(data[:position])
        with pytest.raises(AuditError, match=r"cut off|checksum|fit together|of format"):
            waiting.read(where)
        flipped = bytearray(data)
        flipped[position] ^= 0x10
        where.write_bytes(flipped)
        with pytest.raises(AuditError):
            waiting.read(where)
    where.write_bytes(data.replace(b"TWINROWS\x01", b"TWINROWS\x02", 1))
    with pytest.raises(AuditError, match="format 2, this version reads 1"):
        waiting.read(where)
    renamed = where.with_name(where.name.replace("p00003", "p00004"))
    where.write_bytes(data)
    where.rename(renamed)
    with pytest.raises(AuditError, match="renamed or changed"):
        waiting.read(renamed)


def test_half_a_piece_that_was_left_is_no_reason_to_fail(tmp_path: Path) -> None:
    piece, data = waiting.encode(3, (0, 10), None, FOOTER, tables(3))
    waiting.stage(tmp_path, piece, data[:40])
    waiting.stage(tmp_path, piece, data)
    assert len(layout.staged(tmp_path, 3)) == 2
    assert waiting.place_of(tmp_path, piece).read_bytes() == data
    waiting.unstage(tmp_path, piece)
    with pytest.raises(AuditError, match="neither staged nor there"):
        waiting.place_of(tmp_path, piece)


async def test_what_waits_is_committed_and_seen_and_becomes_one_file(world: Waits) -> None:
    worker = await some(world, 50, 60, 70)
    assert (world.files(), world.staged()) == ([], [])
    assert world.pieces() == [(0, 50), (50, 110), (110, 180)]
    assert world.seen() == list(range(180))
    found = ls(world.audit)["events"]
    assert (found.files, found.rows, found.waiting, found.offsets) == (0, 180, 180, {0: ((0, 180),)})
    assert found.topics == (TP0.topic,)
    before = digest(world.audit)
    assert before["events"].rows == 180
    table = query(world.audit, "SELECT date, count(*) AS n, min(source_offset) AS least FROM events GROUP BY date")
    assert table.to_pylist() == [{"date": table["date"][0].as_py(), "n": 180, "least": 0}]
    report = world.verified()
    assert report.sound, report.differences
    assert (report.checked["rows that wait"], report.heads[0].waiting_to) == (180, 180)
    world.feed(worker.states[TP0], 300)
    assert await worker.checkpoint(world.group) is Committed.OK  # enough for a file, with what waits
    assert (world.files(), world.pieces(), world.staged()) == ([(0, 480)], [], [])
    assert world.seen() == list(range(480))
    report = world.verified()
    assert report.sound, report.differences
    assert report.heads[0].proven_by


async def test_live_or_in_one_go_the_digest_is_one(world: Waits, tmp_path: Path) -> None:
    await some(world, 50, 60, 370, 30, 40)
    assert world.files() == [(0, 480)]
    assert world.pieces() == [(480, 510), (510, 550)]
    other = World(tmp_path / "other")
    worker = await other.worker()
    other.feed(worker.states[TP0], 550)
    await worker.checkpoint(other.group)
    assert digest(world.audit) == digest(other.audit)


async def test_many_rows_become_a_file_without_waiting(world: Waits) -> None:
    await some(world, 50, 1_000)
    assert (world.files(), world.pieces()) == ([(0, 1_050)], [])


async def test_after_its_time_what_waits_becomes_a_file_though_nothing_comes(
    world: Waits, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = await some(world, 50)
    later_s = clock.monotonic_s() + 899.0
    monkeypatch.setattr(clock, "monotonic_s", lambda: later_s)
    world.feed(worker.states[TP0], 60)
    await worker.checkpoint(world.group)
    assert (world.files(), world.pieces()) == ([], [(0, 50), (50, 110)])  # the time is that of the first
    later_s += 2.0
    identity = world.group.offsets[TP0]
    assert await worker.checkpoint(world.group) is Committed.OK
    assert (world.files(), world.pieces()) == ([(0, 110)], [])
    assert world.group.offsets[TP0][0] == identity[0]
    assert world.group.offsets[TP0][1] != identity[1]  # the same offset, another snapshot
    assert await worker.checkpoint(world.group) is None
    second = await world.worker()
    assert second.states[TP0].next == 110
    assert world.verified().sound


async def test_the_time_goes_on_over_a_change_of_owner(world: Waits, monkeypatch: pytest.MonkeyPatch) -> None:
    await some(world, 50)
    now_ns = clock.now_ns() + 600 * 10**9
    monkeypatch.setattr(clock, "now_ns", lambda: now_ns)
    world.group.now = (2, "b")
    second = await world.worker()
    assert not second.states[TP0].due(900.0)
    assert second.states[TP0].due(599.0)


async def test_an_orderly_end_leaves_nothing_waiting(world: Waits) -> None:
    worker = await some(world, 50, 60)
    assert await worker.checkpoint(world.group, publish=True) is Committed.OK
    assert (world.files(), world.pieces(), world.staged()) == ([(0, 110)], [], [])
    assert await worker.checkpoint(world.group, publish=True) is None
    world.feed(worker.states[TP0], 10)
    assert await worker.checkpoint(world.group, publish=True) is Committed.OK
    assert world.files() == [(0, 110), (110, 120)]


async def test_the_next_owner_goes_on_with_what_waits(world: Waits) -> None:
    first = await some(world, 50, 60)
    world.feed(first.states[TP0], 40)  # lost with the worker
    world.group.now = (2, "b")
    second = await world.worker()
    state = second.states[TP0]
    assert (state.next, [piece.next_offset for piece in state.waits.pieces]) == (110, [50, 110])
    world.feed(state, 20)
    assert await second.checkpoint(world.group) is Committed.OK
    assert world.pieces() == [(0, 50), (50, 110), (110, 130)]
    world.feed(state, 400)
    assert await second.checkpoint(world.group) is Committed.OK
    assert (world.files(), world.pieces(), world.seen()) == ([(0, 530)], [], list(range(530)))


async def test_rows_staged_ahead_take_up_what_waits(world: Waits) -> None:
    worker = await some(world, 50)
    state = worker.states[TP0]
    world.feed(state, 20)
    await worker.stage_ahead(world.group)
    world.feed(state, 30)
    assert world.seen() == list(range(50))
    assert await worker.checkpoint(world.group) is Committed.OK
    assert (world.files(), world.pieces(), world.seen()) == ([(0, 70)], [(70, 100)], list(range(100)))


async def test_what_waits_outlives_rows_staged_ahead_of_it_in_vain(world: Waits) -> None:
    worker = await some(world, 50)
    world.feed(worker.states[TP0], 20)
    await worker.stage_ahead(world.group)
    worker.release()
    await worker.tidied(5)
    assert (world.pieces(), world.staged()) == ([(0, 50)], [])
    second = await world.worker()
    world.feed(second.states[TP0], 30)
    await second.checkpoint(world.group)
    assert world.seen() == list(range(80))


@pytest.mark.parametrize("publish", [False, True])
async def test_a_worker_that_lost_its_partition_leaves_no_trace(world: Waits, publish: bool) -> None:
    slept = await some(world, 50)
    world.feed(slept.states[TP0], 100)
    world.group.now = (2, "b")
    owner = await world.worker()
    world.feed(owner.states[TP0], 60)
    assert await slept.checkpoint(world.group, publish=publish) is Committed.FENCED
    assert (slept.states, world.staged(), world.pieces()) == ({}, [], [(0, 50)])
    assert await owner.checkpoint(world.group) is Committed.OK
    assert world.seen() == list(range(110))
    assert await owner.checkpoint(world.group, publish=True) is Committed.OK
    assert (world.files(), world.pieces(), world.seen()) == ([(0, 110)], [], list(range(110)))


@pytest.mark.parametrize("ahead", [False, True])
async def test_a_sleeper_whose_waiting_rows_became_a_file_is_fenced(world: Waits, ahead: bool) -> None:
    """It finds them nowhere before it has heard that it is no member any more; of what the group still gives it, that
    is a loss."""
    slept = await some(world, 50)
    world.feed(slept.states[TP0], 100)
    before, world.group.now = world.group.now, (2, "b")
    owner = await world.worker()
    world.feed(owner.states[TP0], 60)
    assert await owner.checkpoint(world.group, publish=True) is Committed.OK
    world.group.now = before
    state = slept.states[TP0]
    world.group.answers = [Committed.RETRY, Committed.FENCED]  # it looks for the group's broker first
    if ahead:
        await slept.stage_ahead(world.group)
    else:
        assert await slept.checkpoint(world.group, publish=True) is Committed.FENCED
    assert (slept.states, world.staged(), world.files()) == ({}, [], [(0, 110)])
    slept.states, slept.token = {TP0: state}, before
    world.feed(state, 10)
    with pytest.raises(AuditError, match="neither staged nor there"):
        await slept.checkpoint(world.group, publish=True)


@pytest.mark.parametrize("publish", [False, True])
async def test_overtaken_while_it_loaded_a_worker_is_fenced(world: Waits, publish: bool) -> None:
    """Neither the rows that waited nor the snapshot of the commit that it was told of are there any more."""
    await some(world, 50, 60)
    told, before, world.group.now = world.group.assigned(), world.group.now, (2, "b")
    owner = await world.worker()
    for _ in range(6):
        world.feed(owner.states[TP0], 60)
        await owner.checkpoint(world.group, publish=publish)
    slept = Checkpointer(world.store(), world.outputs)
    assert await slept.install(told, before, world.group) is None  # it has heard
    world.group.now = before
    world.group.answers = [Committed.FENCED]  # it has not
    assert await slept.install(told, before, world.group) is None
    with pytest.raises(StateError, match="no snapshot leads to offset 470"):
        await slept.install(told, before, world.group)


async def test_a_sleeper_wakes_up_in_the_midst_of_its_own_publishing(world: Waits) -> None:
    """Its pieces are another's file by now: it finds nothing to do, and takes nothing away."""
    slept = await some(world, 50)
    state = slept.states[TP0]
    world.feed(state, 30)
    cut = state.cut()
    assert cut is not None
    made, identity = world.store().stage(cut, cut.frozen.encode())
    state.staged(made, identity)
    world.group.offsets[TP0] = (80, identity)  # committed, and then it sleeps
    world.group.now = (2, "b")
    owner = await world.worker()
    assert world.pieces() == [(0, 50), (50, 80)]
    world.feed(owner.states[TP0], 500)
    await owner.checkpoint(world.group)
    world.feed(owner.states[TP0], 20)
    await owner.checkpoint(world.group)
    assert (world.files(), world.pieces()) == ([(0, 580)], [(580, 600)])
    world.store().publish(state, (), (80, identity))
    assert (world.files(), world.pieces(), world.seen()) == ([(0, 580)], [(580, 600)], list(range(600)))


async def test_a_commit_put_off_keeps_everything(world: Waits) -> None:
    worker = await world.worker()
    world.group.answers = [Committed.RETRY, Committed.RETRY, Committed.RETRY]
    for _ in range(2):
        world.feed(worker.states[TP0], 30)
        assert await worker.checkpoint(world.group) is Committed.RETRY
    assert (world.seen(), len(world.staged())) == ([], 2)
    world.feed(worker.states[TP0], 500)
    assert await worker.checkpoint(world.group) is Committed.RETRY  # files of all of it
    world.feed(worker.states[TP0], 10)
    assert await worker.checkpoint(world.group) is Committed.OK
    assert (world.files(), world.pieces(), world.seen()) == ([(0, 560)], [(560, 570)], list(range(570)))
    assert world.staged() == []
    assert world.verified().sound


@pytest.mark.parametrize("publish", [False, True])
@pytest.mark.parametrize("cut_off_after", ["stage", "commit"])
async def test_a_crash_between_the_steps(
    world: Waits, monkeypatch: pytest.MonkeyPatch, cut_off_after: str, publish: bool
) -> None:
    worker = await some(world, 40)
    world.feed(worker.states[TP0], 40)

    def crash(*_: Any) -> None:
        raise RuntimeError("power cut")

    if cut_off_after == "commit":
        monkeypatch.setattr(PartitionStore, "publish", crash)
    else:
        monkeypatch.setattr(world.group, "commit_fenced", crash)
    with pytest.raises(RuntimeError, match="power cut"):
        await worker.checkpoint(world.group, publish=publish)
    monkeypatch.undo()
    assert world.seen() == list(range(40))
    world.group.now = (2, "b")
    second = await world.worker()
    committed = 80 if cut_off_after == "commit" else 40
    assert (second.states[TP0].next, world.seen()) == (committed, list(range(committed)))
    world.feed(second.states[TP0], 40)
    await second.checkpoint(world.group)
    assert world.seen() == list(range(committed + 40))
    assert world.staged() == []
    assert world.verified().sound


async def test_a_crash_within_publishing_shows_no_row_twice(world: Waits, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files are there, the pieces of their rows as well."""
    worker = await some(world, 40)
    world.feed(worker.states[TP0], 40)

    def crash(*_: Any) -> None:
        raise RuntimeError("power cut")

    monkeypatch.setattr(Staging, "tidy", crash)
    with pytest.raises(RuntimeError, match="power cut"):
        await worker.checkpoint(world.group, publish=True)
    monkeypatch.undo()
    assert (world.files(), world.pieces()) == ([(0, 80)], [(0, 40)])
    assert world.seen() == list(range(80))
    assert world.verified().sound
    world.group.now = (2, "b")
    await world.worker()
    assert world.pieces() == []


@pytest.mark.parametrize("lost", ["snapshot", "every snapshot", "piece", "damaged piece", "first piece"])
async def test_without_what_the_commit_names_the_same_state_is_made_again(
    world: Waits, lost: str, caplog: pytest.LogCaptureFixture
) -> None:
    worker = await some(world, 480, 50, 60, 70)
    assert (world.files(), world.pieces()) == ([(0, 480)], [(480, 530), (530, 590), (590, 660)])
    whole = worker.states[TP0].twin.lines  # type: ignore[attr-defined]  # FakeTwin
    snapshots = sorted(world.snapshots.folder.iterdir())
    pieces = waiting.visible(world.audit)
    if lost.endswith("snapshot"):
        for path in snapshots if lost.startswith("every") else snapshots[-1:]:
            path.unlink()
    elif lost == "damaged piece":
        pieces[-1].write_bytes(pieces[-1].read_bytes()[:-40])
    else:
        pieces[0 if lost.startswith("first") else -1].unlink()
    world.group.now = (2, "b")
    second = await world.worker()
    state = second.states[TP0]
    expected = {"snapshot": 590, "every snapshot": 0, "piece": 590, "damaged piece": 590, "first piece": 480}
    assert state.next == expected[lost]
    while state.next < 660:
        for part in state.parts(world.records(state.next, min(7, 660 - state.next))):
            if part:
                Processor(world.plant, TP0.topic).fold(state, part)
            await second.compare(state)
    assert state.catching_up is None
    assert state.twin.lines == whole  # type: ignore[attr-defined]  # FakeTwin
    world.feed(state, 40)
    assert await second.checkpoint(world.group) is Committed.OK
    assert world.seen() == list(range(700))
    await second.checkpoint(world.group, publish=True)
    assert (world.seen(), world.pieces(), world.staged()) == (list(range(700)), [], [])
    assert len(list(world.audit.glob("_waiting/*/*.damaged"))) == (lost == "damaged piece")
    report = world.verified()
    assert report.sound, report.differences


async def test_rows_of_another_plant_become_files_of_their_own(world: Waits) -> None:
    await some(world, 50, 60)
    before = world.plant.hash
    world.plant = loads(PLANT.replace('site = "test"', 'site = "other"'), "plant.toml")
    world.group.now = (2, "b")
    second = await world.worker()
    world.feed(second.states[TP0], 20)
    await second.checkpoint(world.group)
    assert (world.files(), world.pieces()) == ([(0, 110)], [(110, 130)])
    world.feed(second.states[TP0], 30)
    await second.checkpoint(world.group, publish=True)
    assert (world.files(), world.pieces()) == ([(0, 110), (110, 160)], [])
    assert set(ls(world.audit)["events"].models) == {before, world.plant.hash}
    report = world.verified()
    assert report.sound, report.differences


async def test_a_snapshot_does_not_grow_with_what_waits(world: Waits) -> None:
    worker = await some(world, *[5] * 10)
    sizes = [path.stat().st_size for path in sorted(world.snapshots.folder.iterdir())]
    assert len(worker.states[TP0].waits.pieces) == 10
    assert max(sizes) < min(sizes) + 60


async def test_verify_finds_what_was_done_to_rows_that_wait(world: Waits) -> None:
    await some(world, 50, 60, 70)
    pieces = waiting.visible(world.audit)
    whole = [path.read_bytes() for path in pieces]

    def found() -> str:
        told = "; ".join(map(str, world.verified().differences))
        for path, data in zip(pieces, whole, strict=True):
            path.write_bytes(data)
        return told

    assert found() == ""
    pieces[-1].unlink()
    assert "a snapshot names it" in found()
    pieces[1].unlink()
    assert "holds rows from offset 110, but" in found()
    pieces[1].write_bytes(whole[1][:-1])
    assert "checksum does not match" in found()
    # Written anew by somebody who knows how: the snapshot names others.
    last = waiting.read(pieces[-1])
    before = waiting.read(pieces[-2]).piece
    forged, data = waiting.encode(0, (110, 180), before, last.head.footer, {})
    pieces[-1].unlink()
    (world.audit / forged.path).write_bytes(data)
    assert "but others stand there" in found()


async def test_verify_beside_a_worker_that_commits_meanwhile(world: Waits, monkeypatch: pytest.MonkeyPatch) -> None:
    """The snapshot is read, the root is listed, and only then the piece gets its name."""
    await some(world, 50, 60, 70)
    last = waiting.visible(world.audit)[-1]
    data = last.read_bytes()
    last.unlink()
    compare = WaitCheck._named

    def named(self: WaitCheck, *args: Any) -> None:
        last.write_bytes(data)
        compare(self, *args)

    monkeypatch.setattr(WaitCheck, "_named", named)
    assert [str(one) for one in world.verified().differences] == []


async def test_a_reader_beside_a_worker_sees_each_row_once(world: Waits, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows become files between the listing of what waits and the reading of it."""
    worker = await some(world, 50, 60)
    following = waiting.following
    done = []

    def slowly(paths: Any, end: int) -> Any:
        if not done:
            done.append(True)
            asyncio.run_coroutine_threadsafe(worker.checkpoint(world.group, publish=True), loop).result(10)
        return following(paths, end)

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(waiting, "following", slowly)
    found = await asyncio.to_thread(contents, world.audit)
    assert world.files() == [(0, 110)]
    assert [(one.first_offset, one.next_offset) for one in found.of(0)] == [(0, 110)]


async def test_partitions_do_not_mix(world: Waits) -> None:
    other = TP(TP0.topic, 1)
    worker = await world.worker()
    world.group.now = (2, "b")
    await worker.install(world.group.assigned() | world.group.assigned(other), (2, "b"), world.group)
    for number in (20, 30):
        for state in worker.states.values():
            world.feed(state, number)
        await worker.checkpoint(world.group)
    assert [waiting.offsets_of(path)[0] for path in waiting.visible(world.audit)] == [0, 0, 1, 1]
    assert world.seen() == sorted([*range(50), *range(50)])
    assert isinstance(worker.states[other].waits.pieces[-1], Piece)


def test_rows_that_wait_are_recomputed_and_not_exported(tmp_path: Path) -> None:
    plant = loads(plant_text(4, 3), "plant.toml")
    logs = by_partition(values(4, 3, 300), [line.id for line in plant.lines])
    live(tmp_path / "waits", plant, logs, waits=True)
    live(tmp_path / "files", plant, logs)
    assert not any(layout.published(tmp_path / "waits", name) for name in SETS)
    assert digest(tmp_path / "waits") == digest(tmp_path / "files")
    report = recompute(tmp_path / "waits", every=True)
    assert report.sound, report.differences
    other = recompute(tmp_path / "files").checked
    assert Counter(other) - Counter(files=other["files"]) == report.checked
    assert check(tmp_path / "waits", every=True).sound
    day_ns = 86_400_000_000_000
    with pytest.raises(AuditError, match=r"wait for a file \(offsets 0 to 400 of partition 0\)"):
        export(tmp_path / "waits", "line-0", 0, 1 << 62, tmp_path / "proof")
    with pytest.raises(AuditError, match="no row of line"):
        export(tmp_path / "waits", "line-0", 0, day_ns, tmp_path / "proof")
    piece = waiting.read(waiting.visible(tmp_path / "waits", 1)[1])
    kpis = piece.table("kpis")
    assert kpis is not None
    before = waiting.read(waiting.visible(tmp_path / "waits", 1)[0]).piece
    changed = {s.set: piece.table(s.set) for s in piece.head.sections} | {"kpis": with_cell(kpis, "good", 1, 7777)}
    forged, data = waiting.encode(1, (400, 800), before, piece.head.footer, cast(Any, changed))
    for path in waiting.visible(tmp_path / "waits", 1)[1:]:
        path.unlink()
    (tmp_path / "waits" / forged.path).write_bytes(data)
    (found,) = recompute(tmp_path / "waits", every=True).differences
    assert found.file == forged.path
    assert "column good: stored 7777, recomputed" in found.what


def test_a_replay_of_a_root_says_which_rows_it_does_not_read(tmp_path: Path) -> None:
    """They are in no file yet: what a replay makes of the others would look like all."""
    plant = loads(plant_text(4, 3), "plant.toml")
    logs = by_partition(values(4, 3, 300), [line.id for line in plant.lines])
    live(tmp_path / "waits", plant, logs, waits=True)
    live(tmp_path / "files", plant, logs)
    assert not open_logs([tmp_path / "files"], plant).summary.notes
    for path in layout.published(tmp_path / "files", "events"):
        if path.partition == 0:
            copy = tmp_path / "waits" / path.path.relative_to(tmp_path / "files")
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.path.read_bytes())
    (told,) = open_logs([tmp_path / "waits"], plant).summary.notes
    assert "partition 1 wait for a file and are not read; wait for TAKTWIN_PUBLISH_AFTER_S" in told
