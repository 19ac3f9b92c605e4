"""Retention: the oldest days go, never more than asked; what stays says so and is as sound as before."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from streams import clock
from streams.cli import main
from streams.state import catch_up
from tests.support.audit import DAY_NS, NOON_NS, rows, table, writer
from twin.audit import AuditError, durable, filelist
from twin.audit.digest import digest
from twin.audit.intervals import contents
from twin.audit.prune import plan, prune
from twin.audit.query import query
from twin.audit.read import ls
from twin.audit.verify import verify

SETS = ("events", "kpis", "states", "rejected")
WHO: dict[str, Any] = {"by": "the works council", "at": "2025-07-01T00:00:00Z"}
DATES = [f"2025-06-{16 + day}" for day in range(6)]
# Of the last moments of a day, so that no row leaves it.
_FROM_NS = NOON_NS - NOON_NS % DAY_NS + DAY_NS // 4


def made(root: Path, *, bases: tuple[int, ...] = (20, 40), intervals: int = 6) -> Path:
    """A day in each interval of 10 offsets, refused rows without a time; `bases`: offsets of intervals without one."""
    audit = writer(root)
    for number in range(intervals):
        first = 10 * number
        for name in SETS:
            audit.add(name, _of_day(table(name, rows(name, 20, seed=number)), first, number))
        audit.publish(audit.stage(first, first + 10))
        if first + 10 in bases:
            audit.add("alerts", _of_day(table("alerts", rows("alerts", 1, seed=number)), first + 9, number))
            audit.publish(audit.stage(first + 10, first + 10))
    return root


def _of_day(one: pa.Table, first: int, day: int) -> pa.Table:
    for name, by in (("source_offset", first), ("ts", day * DAY_NS), ("end", day * DAY_NS), ("start", day * DAY_NS)):
        at = one.schema.get_field_index(name)
        if at >= 0:
            column = pc.add(one.column(at).cast(pa.int64()), pa.scalar(by, pa.int64()))
            one = one.set_column(at, one.schema.field(at), column.cast(one.schema.field(at).type))
    return one


def offsets(root: Path) -> list[tuple[int, int]]:
    return [(one.first_offset, one.next_offset) for one in contents(root).published[3]]


def files_to(root: Path, offset: int) -> int:
    found = contents(root).published[3]
    return sum(len(one.files) for one in found if one.next_offset <= offset and one.first_offset < offset)


def told(root: Path) -> list[str]:
    """What `verify` says of chain, offsets and list: the random rows are of no twin."""
    words = ("chain", "SHA-256", "missing", "listed", "begins at", "written")
    found = [str(one) for one in verify(root, every=True).differences if not one.file.startswith("_models")]
    return [one for one in found if any(word in one for word in words)]


def test_the_oldest_days_go_up_to_a_base_and_verify_says_so(tmp_path: Path) -> None:
    root = made(tmp_path)
    assert offsets(root) == [(0, 10), (10, 20), (20, 20), (20, 30), (30, 40), (40, 40), (40, 50), (50, 60)]
    files = files_to(root, 20)
    (cut,) = prune(root, DATES[3], **WHO)  # three days are older: two of them are before a base
    assert (cut.offset, cut.files, cut.first_date, cut.last_date, cut.left) == (20, files, DATES[0], DATES[1], "")
    assert offsets(root) == [(20, 20), (20, 30), (30, 40), (40, 40), (40, 50), (50, 60)]
    assert sorted(query(root, "SELECT DISTINCT source_offset // 10 AS n FROM kpis")["n"].to_pylist()) == [2, 3, 4, 5]
    assert {name: one.rows for name, one in digest(root).items() if name in SETS} == dict.fromkeys(SETS, 80)
    assert sorted(path.name for path in (root / "kpis").iterdir()) == [f"date={date}" for date in DATES[2:]]
    assert told(root) == []
    notes = " ".join(verify(root, every=True).notes)
    assert (
        f"partition 3: rows up to offset 20, all before {DATES[3]}, were pruned by the works council at {WHO['at']}"
        in notes
    )
    assert catch_up.intervals(root, 3)[0].first_offset == 20
    assert catch_up.from_offset(catch_up.intervals(root, 3), 0) is None  # nothing could be compared
    (again,) = prune(root, DATES[3], **WHO)
    assert (again.offset, again.files) == (20, 0)
    files += files_to(root, 40)
    prune(root, DATES[5], by="b", at=WHO["at"])
    record = filelist.pruned(root)[3]
    assert (record.first_offset, record.by, record.files) == (40, "b", files)
    assert told(root) == []


def test_what_a_worker_may_need_stays(tmp_path: Path) -> None:
    """A plant that stood still for longer than what is kept: its worker looks for the files of its last checkpoint."""
    root = made(tmp_path, bases=(20, 40, 60))
    (cut,) = prune(root, DATES[5], keep_from={3: 30}, **WHO)
    assert cut.offset == 20
    assert plan(root, DATES[5], keep_from={3: 60})[0].offset == 40


@pytest.mark.parametrize("before", ["2025-06-16", "2024-01-01"])
def test_never_more_than_asked(tmp_path: Path, before: str) -> None:
    root = made(tmp_path)
    whole = digest(root)
    assert [cut.files for cut in prune(root, before, **WHO)] == [0]
    assert digest(root) == whole
    assert filelist.pruned(root) == {}


def test_the_newest_interval_always_stays(tmp_path: Path) -> None:
    root = made(tmp_path, bases=())
    prune(root, "2099-01-01", without_base=True, **WHO)
    assert offsets(root) == [(50, 60)]
    assert told(root) == []


def test_without_a_base_only_who_asks_for_it(tmp_path: Path) -> None:
    root = made(tmp_path, bases=())
    (cut,) = prune(root, DATES[3], **WHO)
    assert (cut.files, cut.left) == (0, "there is no base, so nothing that stays could be computed again")
    (cut,) = plan(root, DATES[3], without_base=True)
    assert (cut.offset, cut.files) == (30, files_to(root, 30))
    assert offsets(root)[0] == (0, 10)
    prune(root, DATES[3], without_base=True, **WHO)
    assert offsets(root) == [(30, 40), (40, 50), (50, 60)]
    assert told(root) == []


def test_a_later_row_of_an_old_day_keeps_its_interval_and_those_behind(tmp_path: Path) -> None:
    root = tmp_path
    audit = writer(root)
    for number, day in enumerate((0, 3, 1, 2)):
        audit.add("events", _of_day(table("events", rows("events", 20, seed=number)), 10 * number, day))
        audit.publish(audit.stage(10 * number, 10 * number + 10))
    prune(root, DATES[3], without_base=True, **WHO)
    assert offsets(root) == [(10, 20), (20, 30), (30, 40)]


def test_a_root_without_a_list(tmp_path: Path) -> None:
    root = made(tmp_path, bases=())
    filelist.remove(root)
    shutil.rmtree(root / "_files")
    prune(root, DATES[3], without_base=True, **WHO)
    assert offsets(root) == [(30, 40), (40, 50), (50, 60)]
    assert told(root) == []


def test_files_taken_away_by_hand_are_missing_and_not_pruned(tmp_path: Path) -> None:
    root = made(tmp_path)
    prune(root, DATES[3], **WHO)
    for one in contents(root).published[3][:2]:
        for file in one.files:
            file.path.unlink()
    assert any("is listed as published, but is not there" in one for one in told(root))
    with pytest.raises(AuditError, match="is not there"):
        ls(root)


def test_a_record_that_somebody_made_up_does_not_fit(tmp_path: Path) -> None:
    root = made(tmp_path)
    for entry in filelist.entries(root)[3][:5]:
        (root / entry.name).unlink()
        for file in entry.files:
            (root / file.path).unlink()
    record = filelist.Pruned(1, 3, 40, "ab" * 32, DATES[5], "nobody", WHO["at"], 17, 1)
    filelist.put_pruned(root, record)
    assert any("was written after a file with SHA-256" in one for one in told(root))


def test_a_chain_that_is_broken_is_not_pruned(tmp_path: Path) -> None:
    root = made(tmp_path)
    path = contents(root).published[3][1].files[-1].path
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(AuditError, match=r"does not name .* as the file before it"):
        prune(root, DATES[3], **WHO)
    assert len(offsets(root)) == 8


class KilledError(BaseException):
    """As a kill: no clean-up of the program's own runs."""


@contextmanager
def killed_at(monkeypatch: pytest.MonkeyPatch, number: int) -> Iterator[list[str]]:
    """Dies before the nth operation on a file; the list holds those that were done."""
    done: list[str] = []

    def before(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*rest: Any, **named: Any) -> Any:
            if len(done) == number:
                raise KilledError(name)
            done.append(name)
            return real(*rest, **named)

        return call

    with monkeypatch.context() as patched:
        for where, names in (
            (Path, ("unlink", "replace", "mkdir", "rmdir")),
            (durable, ("write", "sync_folder")),
        ):
            for name in names:
                patched.setattr(where, name, before(name, getattr(where, name)))
        yield done


def test_killed_at_every_operation_it_is_done_or_not_and_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = made(tmp_path / "whole", intervals=4)
    before = digest(whole)
    shutil.copytree(whole, tmp_path / "pruned")
    with killed_at(monkeypatch, 1_000) as done:
        prune(tmp_path / "pruned", DATES[3], **WHO)
    after = digest(tmp_path / "pruned")
    assert len(done) > 12
    seen = set()
    for number in range(len(done)):
        root = tmp_path / f"at-{number}"
        shutil.copytree(whole, root)
        with killed_at(monkeypatch, number), pytest.raises(KilledError):
            prune(root, DATES[3], **WHO)
        found = digest(root)
        assert found in (before, after), number
        seen.add(found == after)
        assert told(root) == [], number
        prune(root, DATES[3], **WHO)
        assert digest(root) == after
        left = {path.relative_to(root) for path in root.rglob("*") if path.is_file() and ".staging" not in path.parts}
        assert left == {
            path.relative_to(tmp_path / "pruned") for path in (tmp_path / "pruned").rglob("*") if path.is_file()
        }
        shutil.rmtree(root)
    assert seen == {True, False}


def test_a_worker_goes_on_beside_it(tmp_path: Path) -> None:
    root = made(tmp_path)
    audit = writer(root, chain=filelist.entries(root)[3][-1].files[-1].sha256)
    audit.add("events", _of_day(table("events", rows("events", 20, seed=9)), 60, 6))
    manifest = audit.stage(60, 70)
    prune(root, DATES[3], **WHO)
    audit.publish(manifest)
    assert offsets(root)[-1] == (60, 70)
    assert told(root) == []


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    root = made(tmp_path)
    monkeypatch.setattr(clock, "now_ns", lambda: NOON_NS + 13 * DAY_NS)  # 2025-06-29
    assert main(["audit", "prune", str(root), "--keep", "10d", "--dry-run", "--json"]) == 0
    (cut,) = json.loads(capsys.readouterr().out)
    files = files_to(root, 20)
    assert (cut["offset"], cut["files"]) == (20, files)
    assert offsets(root)[0] == (0, 10)
    assert main(["audit", "prune", str(root), "--keep", "10d", "--by", "me"]) == 0
    assert f"partition 3: {files} files, {cut['bytes']:,} bytes, {DATES[0]} to {DATES[1]}" in capsys.readouterr().out
    assert filelist.pruned(root)[3].before == DATES[3]
    for wrong in ("400", "12h", "0d"):
        with pytest.raises(SystemExit):
            main(["audit", "prune", str(root), "--keep", wrong])
