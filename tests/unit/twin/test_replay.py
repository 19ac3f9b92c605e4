"""Replay with a small twin in place of the real one: what is written, in which order, under which names."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import twin.replay
from kernels.codes import COUNT, PARTS
from tests.support.audit import rows, table, write
from twin.audit import AuditError, layout
from twin.audit.digest import digest
from twin.audit.read import ls, open_set
from twin.audit.writer import AuditWriter, Manifest
from twin.events.block import DTYPES, EventBlock, Rejected
from twin.line.engine import Held
from twin.line.still_open import StillOpen
from twin.plant.canonical import model_hash
from twin.plant.model import Line, Plant, Station
from twin.replay import replay
from twin.results import ALERTS, ORIGIN
from twin.sources import SourceError, Summary, open_logs
from twin.wire.encode import json_records
from twin.wire.stored import StoredReader

NS = 1_000_000_000
START_NS = 1_750_075_200 * NS
_UNNAMED = Plant(
    site="s",
    lines=(
        Line("L1", "a", "flow", (Station("S1"), Station("S2"))),
        Line("L2", "a", "flow", (Station("S1"),), policy="tpm"),
    ),
    hash="",
)
PLANT = replace(_UNNAMED, hash=model_hash(_UNNAMED))


def counts(first: int, count: int, line: int = 0) -> EventBlock:
    columns: dict[str, Any] = {name: np.zeros(count, dtype) for name, dtype in DTYPES.items()}
    for name in ("x", "y", "z", "entry"):
        columns[name][:] = -1
    columns["line"][:] = line
    columns["station"][:] = 2 * line
    columns["type"][:] = COUNT
    columns["code"][:] = PARTS
    columns["offset"][:] = columns["seq"][:] = np.arange(first, first + count)
    columns["ts"][:] = START_NS + columns["offset"] * NS
    columns["a"][:] = 1
    return EventBlock(**columns)


@dataclass
class FakeLogs:
    batches: list[tuple[EventBlock, list[Rejected]]]
    summary: Summary = field(default_factory=Summary)

    def __iter__(self) -> Iterator[tuple[EventBlock, list[Rejected]]]:
        for block, rejected in self.batches:
            self.summary.rows += len(block) + len(rejected)
            yield block, rejected


@dataclass
class FakeResults:
    tables: dict[str, pa.Table]
    events: int
    duplicates: int = 0
    late: int = 1
    revising: int = 0
    held: list[Held] = field(default_factory=list)


class FakeTwin:
    """One alert per event; remembers the offsets it was given."""

    seen: list[int]
    event_time_ns = 0

    def __init__(self, plant: Plant, partition: int) -> None:
        assert (plant, partition) == (PLANT, 0)
        FakeTwin.seen = []

    def still_open(self) -> list[StillOpen]:
        return []

    def doubts_by_line(self, where: str = "") -> list[tuple[int, str]]:
        return [(0, "L1: a doubt")]

    def held(self) -> list[Held]:
        return []

    def fold(self, block: EventBlock) -> FakeResults:
        FakeTwin.seen += block.offset.tolist()
        alert = rows("alerts", 1)[0]
        made = [alert | {"ts": ts, "value": float(ts)} for ts in block.ts.tolist()]
        return FakeResults({"alerts": table("alerts", made, origin=False)}, len(block))


@pytest.fixture(autouse=True)
def fake_twin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twin.replay, "PartitionTwin", FakeTwin)


def logs(batches: int = 4) -> FakeLogs:
    """Numbered as `twin.sources.Logs` does: events from 0, a refused input as the event it stands before."""
    refused = [Rejected("not_json", "what?", 4, value, None, None) for value in (b"{", b"}")]
    all_batches = [(counts(0, 4), []), (counts(4, 3), refused), (counts(0, 0), refused[:1]), (counts(7, 5, line=1), [])]
    return FakeLogs(all_batches[:batches])


def test_everything_is_written_once_with_rising_offsets(tmp_path: Path) -> None:
    seen: list[int] = []
    report = replay(PLANT, logs(), tmp_path / "audit", progress=seen.append)
    assert report.events == 12
    assert report.rows == {
        "events": 12,
        "states": 0,
        "kpis": 0,
        "bottlenecks": 0,
        "alerts": 12,
        "rejected": 3,
        "measures": 0,
        "samples": 0,
    }
    assert report.summary.rows == 15
    assert report.late == 3  # one per fold
    assert report.seconds > 0
    assert report.events_per_s > 0
    assert seen == [4, 7, 7, 12]
    assert FakeTwin.seen == [0, 1, 2, 3, 6, 7, 8, *range(10, 15)]
    (file,) = layout.published(tmp_path / "audit", "events")
    events = pq.read_table(file.path, partitioning=None)
    assert events.column("source_offset").to_pylist() == FakeTwin.seen
    assert set(events.column("source_topic").to_pylist()) == {"replay"}
    assert (file.partition, file.first_offset, file.next_offset) == (0, 0, 15)
    rejected = open_set(tmp_path / "audit", "rejected").to_table()
    assert rejected.column("value").to_pylist() == [b"{", b"}", b"{"]
    assert rejected.column("source_offset").to_pylist() == [4, 5, 9]
    assert ls(tmp_path / "audit")["events"].models == (PLANT.hash,)
    assert not list((tmp_path / "audit" / ".staging").iterdir())


def test_where_intervals_end_does_not_change_the_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replay(PLANT, logs(), tmp_path / "one")
    monkeypatch.setattr(twin.replay, "INTERVAL_ROWS", 1)
    replay(PLANT, logs(), tmp_path / "many")
    assert digest(tmp_path / "one") == digest(tmp_path / "many")
    assert [f.next_offset for f in layout.published(tmp_path / "many", "events")] == [4, 9, 15]
    assert [f.next_offset for f in layout.published(tmp_path / "many", "rejected")] == [9, 10]
    assert ls(tmp_path / "many")["events"].offsets == {0: ((0, 9), (10, 15))}


def test_an_error_of_the_writer_reaches_the_caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It happens in another thread; what was published before stays, and nothing is published after it."""
    monkeypatch.setattr(twin.replay, "INTERVAL_ROWS", 1)
    stage, calls = AuditWriter.stage, []

    def full(self: AuditWriter, first: int, following: int) -> Manifest:
        calls.append((first, following))
        if len(calls) == 2:
            raise AuditError("the disk is full")
        return stage(self, first, following)

    monkeypatch.setattr(AuditWriter, "stage", full)
    with pytest.raises(AuditError, match="the disk is full"):
        replay(PLANT, logs(), tmp_path / "audit")
    assert calls == [(0, 4), (4, 9)]
    assert [f.next_offset for f in layout.published(tmp_path / "audit", "events")] == [4]


def test_an_error_of_the_logs_leaves_what_was_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twin.replay, "INTERVAL_ROWS", 1)

    class Broken(FakeLogs):
        def __iter__(self) -> Iterator[tuple[EventBlock, list[Rejected]]]:
            yield counts(0, 4), []
            raise SourceError("torn")

    with pytest.raises(SourceError, match="torn"):
        replay(PLANT, Broken([]), tmp_path / "audit")
    assert [f.next_offset for f in layout.published(tmp_path / "audit", "events")] == [4]


def test_no_logs(tmp_path: Path) -> None:
    report = replay(PLANT, FakeLogs([]), tmp_path / "audit")
    assert (report.events, sum(report.rows.values())) == (0, 0)


def test_a_root_that_is_not_empty_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(AuditError, match="is not empty"):
        replay(PLANT, logs(), tmp_path)
    with pytest.raises(AuditError, match=r"notes\.txt"):
        replay(PLANT, logs(), tmp_path, force=True)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    with pytest.raises(AuditError, match="is a file"):
        replay(PLANT, logs(), tmp_path / "notes.txt")


def test_force_replaces_a_replay_but_nothing_live(tmp_path: Path) -> None:
    replay(PLANT, logs(), tmp_path / "audit")
    before = digest(tmp_path / "audit")
    with pytest.raises(AuditError, match="force"):
        replay(PLANT, logs(), tmp_path / "audit")
    replay(PLANT, logs(1), tmp_path / "audit", force=True)
    assert digest(tmp_path / "audit")["events"].rows == 4
    replay(PLANT, logs(), tmp_path / "audit", force=True)
    assert digest(tmp_path / "audit") == before
    write(tmp_path / "live", {"events": table("events", rows("events", 5))})
    live = digest(tmp_path / "live")
    with pytest.raises(AuditError, match=r"rows of topic twin\.events"):
        replay(PLANT, logs(), tmp_path / "live", force=True)
    assert digest(tmp_path / "live") == live


def test_tables_without_origin_fit_the_sets() -> None:
    assert [name for name in ALERTS.names if name not in ORIGIN] == table("alerts", [], origin=False).schema.names


def test_real_logs_and_their_own_audit_give_the_same_rows(tmp_path: Path) -> None:
    """JSON lines with faults in them, then the audited events of that replay as the log."""
    lines = json_records(counts(0, 50), PLANT)
    late_and_wrong = [lines[10], b'{"type":"count","line":"L9","ts":1,"good":1}', b"{", lines[20]]
    log = tmp_path / "day.jsonl"
    log.write_bytes(b"\n".join([*lines, *late_and_wrong]) + b"\n")
    report = replay(PLANT, open_logs([log], PLANT, rules=()), tmp_path / "one")
    assert report.rows["events"] == 53  # a heartbeat ends the line
    assert report.rows["rejected"] == 2
    assert report.summary.rows == 54
    again = replay(PLANT, open_logs([tmp_path / "one"], PLANT, rules=()), tmp_path / "two")
    assert again.rows["events"] == 53
    first, second = digest(tmp_path / "one"), digest(tmp_path / "two")
    assert first["events"] == second["events"]
    assert first["alerts"] == second["alerts"]


def test_rows_read_column_by_column_or_decoded_and_encoded_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replay(PLANT, logs(), tmp_path / "one")
    replay(PLANT, open_logs([tmp_path / "one"], PLANT, rules=()), tmp_path / "quick")
    monkeypatch.setattr(StoredReader, "read", lambda *_: None)
    replay(PLANT, open_logs([tmp_path / "one"], PLANT, rules=()), tmp_path / "general")
    monkeypatch.setattr("twin.wire.decode.is_encoded", lambda *_: False)
    replay(PLANT, open_logs([tmp_path / "one"], PLANT, rules=()), tmp_path / "anew")
    assert digest(tmp_path / "quick") == digest(tmp_path / "general") == digest(tmp_path / "anew")


def test_audited_rows_are_carried_on_and_not_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but a replay's time shows where they are."""
    replay(PLANT, logs(), tmp_path / "one")

    def made(*_: object) -> None:
        pytest.fail("rows of audited events were encoded anew")

    monkeypatch.setattr("twin.wire.encode._table", made)
    replay(PLANT, open_logs([tmp_path / "one"], PLANT, rules=()), tmp_path / "two")
    assert digest(tmp_path / "one")["events"] == digest(tmp_path / "two")["events"]


def test_arrow_allocates_as_before_after_a_replay(tmp_path: Path) -> None:
    before = pa.default_memory_pool().backend_name
    replay(PLANT, logs(), tmp_path / "one")
    with pytest.raises(AuditError):
        replay(PLANT, logs(), tmp_path / "one")
    assert pa.default_memory_pool().backend_name == before
