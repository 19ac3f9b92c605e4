"""Rows that do not follow from the events are found, however well the files were forged."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import twin.replay
from streams.state.snapshot_files import decode
from tests.support.generated import START_NS, plant_text, values
from tests.support.proof import by_partition, chain, check, example, forge, live, name, rewrite, with_cell, without
from twin import rules
from twin.audit import bases, layout, models
from twin.audit.layout import BASES, PublishedFile, published
from twin.audit.recompute import recompute
from twin.plant import loads
from twin.plant.model import Plant
from twin.replay import replay
from twin.results import INDEX
from twin.sources import open_logs
from twin.wire.decode import Decoder
from twin.wire.encode import arrow_record


@pytest.fixture(scope="session")
def computed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Plant]:
    root = tmp_path_factory.mktemp("recompute") / "audit"
    return root, example(root)


@pytest.fixture
def root(computed: tuple[Path, Plant], tmp_path: Path) -> Path:
    return Path(shutil.copytree(computed[0], tmp_path / "audit"))


def of(root: Path, set_name: str, partition: int = 0) -> PublishedFile:
    files = [file for file in chain(root, partition) if file.set == set_name]
    return files[len(files) // 2]


def forged(root: Path, partition: int = 0) -> str:
    """Everything re-hashed, so that verify has nothing to say; what recompute then says."""
    forge(root, partition)
    shutil.rmtree(root / "_state")
    assert check(root).differences == []
    report = recompute(root)
    assert len(report.differences) == 1
    return str(report.differences[0])


def test_a_root_as_it_was_written(root: Path) -> None:
    report = recompute(root, every=True)
    assert report.differences == []
    rows = {one: sum(pq.read_metadata(f.path).num_rows for f in published(root, one)) for one in ("events", "kpis")}
    assert report.checked["events folded"] == rows["events"]
    assert report.checked["kpis rows compared"] == rows["kpis"] > 100
    assert report.checked["refusals decoded again"] == 4
    assert report.checked["refusals not recomputable"] == 1  # of the record with another line's key
    assert report.checked["rejected rows compared"] > 5
    assert report.checked["fresh starts"] == 2


@pytest.mark.parametrize(
    ("set_name", "column", "value"),
    [
        ("kpis", "good", 7777),
        ("kpis", "oee", 0.12345),
        ("states", "reason", "never said"),
        ("alerts", "value", -0.0),
    ],
)
def test_a_cell_changed_and_everything_hashed_again(root: Path, set_name: str, column: str, value: object) -> None:
    file = of(root, set_name)
    before = pq.read_table(file.path, partitioning=None).column(column)[1].as_py()
    rewrite(file.path, lambda table: with_cell(table, column, 1, value))
    expected = f"{name(root, file)}, row 1: column {column}: stored {value!r}, recomputed {before!r}"
    assert forged(root) == expected.replace("None", "null")


def test_the_last_bit_of_a_float_counts(root: Path) -> None:
    file = of(root, "kpis")
    column = pq.read_table(file.path, partitioning=None).column("availability").to_pylist()
    row = next(k for k, value in enumerate(column) if value)
    rewrite(file.path, lambda table: with_cell(table, "availability", row, float(np.nextafter(column[row], 2.0))))
    assert forged(root).startswith(f"{name(root, file)}, row {row}: column availability: stored ")


def test_a_row_changed_with_its_sums_kept(root: Path) -> None:
    file = of(root, "kpis")
    table = pq.read_table(file.path, partitioning=None)
    running, unknown = (table.column(one).to_pylist() for one in ("running_ns", "unknown_ns"))
    row = next(k for k, value in enumerate(running) if value > 1000)
    rewrite(file.path, lambda t: with_cell(t, "running_ns", row, running[row] - 1000))
    rewrite(file.path, lambda t: with_cell(t, "unknown_ns", row, unknown[row] + 1000))
    text = forged(root)
    assert text.startswith(f"{name(root, file)}, row {row}: column unknown_ns: stored {unknown[row] + 1000}")
    assert f"column running_ns: stored {running[row] - 1000}, recomputed {running[row]}" in text


@pytest.mark.parametrize("set_name", ["states", "kpis", "alerts"])
def test_a_row_of_results_deleted(root: Path, set_name: str) -> None:
    file = of(root, set_name)
    rewrite(file.path, lambda table: without(table, 2))
    text = forged(root)
    assert text.startswith(f"{name(root, file)}: a row that follows from the events is missing: line line-")


def test_a_row_of_results_invented(root: Path) -> None:
    file = of(root, "alerts")
    rewrite(file.path, lambda table: with_cell(table, "kind", table.num_rows - 1, "z_invented"))
    last = pq.read_metadata(file.path).num_rows - 1
    assert forged(root).startswith(f"{name(root, file)}, row {last}: does not follow from the events: line line-")


def test_an_event_changed(root: Path) -> None:
    file = of(root, "events")
    table = pq.read_table(file.path, partitioning=None)
    kinds, good = table.column("type").to_pylist(), table.column("good").to_pylist()
    row = next(k for k, kind in enumerate(kinds) if kind == "count")
    rewrite(file.path, lambda t: with_cell(t, "good", row, good[row] + 1))
    assert "column good: stored " in forged(root)


def test_an_event_deleted(root: Path) -> None:
    file = of(root, "events")
    table = pq.read_table(file.path, partitioning=None)
    rows = [k for k, good in enumerate(table.column("good").to_pylist()) if good]
    rewrite(file.path, lambda t: without(t, rows[0]))
    assert "column good: stored " in forged(root)


def test_an_event_deleted_that_changed_nothing_leaves_a_hole(root: Path) -> None:
    holes = [note for note in recompute(root).notes if "neither event nor refusal" in note]
    assert [note.partition(":")[0] for note in holes] == ["partition 1"]  # of the record without events
    file = of(root, "events")
    table = pq.read_table(file.path, partitioning=None)
    columns = [table.column(one).to_pylist() for one in ("type", "good", "scrap")]
    row = next(k for k, values in enumerate(zip(*columns, strict=True)) if values == ("count", 0, 0))
    rewrite(file.path, lambda t: without(t, row))
    assert "partition 0: 1 offsets have neither event nor refusal" in recompute(root).notes[0]


def test_an_event_that_is_none_of_the_plant(root: Path, computed: tuple[Path, Plant]) -> None:
    file = of(root, "events")
    rewrite(file.path, lambda t: with_cell(t, "station", 3, "s9"))
    assert forged(root).startswith(f"{name(root, file)}, row 3: is no event of model {computed[1].hash}: ")


@pytest.mark.parametrize(
    ("reason", "changed", "what"),
    [
        ("not_json", "unknown_line", "does not follow from the events: reason unknown_line"),
        ("late", "stale_epoch", "column reason: stored 'stale_epoch', recomputed 'late'"),
    ],
)
def test_the_reason_of_a_refusal_changed(root: Path, reason: str, changed: str, what: str) -> None:
    for file in published(root, "rejected"):
        reasons = pq.read_table(file.path, partitioning=None).column("reason").to_pylist()
        if file.partition == 0 and reason in reasons:
            row = reasons.index(reason)
            rewrite(file.path, lambda table, row=row: with_cell(table, "reason", row, changed))
            break
    text = forged(root)
    assert text.startswith(f"{name(root, file)}, row {row}: ")
    assert what in text


def test_a_model_changed(root: Path, computed: tuple[Path, Plant]) -> None:
    """Under its old name its hash tells; under a name of its own the rows do."""
    plant = computed[1]
    line = replace(
        plant.lines[0], stations=(replace(plant.lines[0].stations[0], ideal_cycle_ns=1), *plant.lines[0].stations[1:])
    )
    other = loads(plant_text(4, 3).replace('"20s"', '"21s"'), "plant.toml")
    assert other.hash != plant.hash
    assert line != plant.lines[0]
    models.store(root, other)
    path = root / layout.model_name(plant.hash)
    path.write_bytes((root / layout.model_name(other.hash)).read_bytes())
    text = str(recompute(root).differences[0])
    assert text.startswith(f"{layout.model_name(plant.hash)}: its SHA-256 begins with {other.hash}, not with its name")


def test_one_line_of_several(root: Path) -> None:
    report = recompute(root, line="line-2")
    assert report.sound
    assert report.checked["events folded"] > 800
    file = of(root, "kpis")
    lines = pq.read_table(file.path, partitioning=None).column("line").to_pylist()
    row = lines.index("line-2")
    rewrite(file.path, lambda table: with_cell(table, "good", row, 7777))
    assert recompute(root, line="line-0").sound
    assert str(recompute(root, line="line-2").differences[0]).startswith(f"{name(root, file)}, row {row}: column good")
    assert any("has no line nowhere" in note for note in recompute(root, line="nowhere").notes)


def test_a_killed_worker_leaves_rows_that_follow(tmp_path: Path) -> None:
    """Killed before its last commit: what it staged does not count, and the next worker goes on from there."""
    plant = loads(plant_text(2, 3), "plant.toml")
    log = by_partition(values(2, 3, 300), ["line-0", "line-1"])[0]
    root = tmp_path / "audit"
    live(root, plant, {0: log[:700]}, each=350, stop=False)
    for report in (check(root), recompute(root)):
        assert report.sound
    assert recompute(root).checked["intervals"] == 1
    staged = list((root / ".staging").iterdir())
    assert staged
    assert any("its files are staged" in note for note in check(root).notes)
    for path in staged:
        path.unlink()
    assert "is missing: the published files end at offset 350" in str(check(root).differences[0])


def test_a_worker_killed_while_it_publishes_leaves_a_sound_root(tmp_path: Path) -> None:
    """Renames are one by one: whatever part of an interval is there, the rest is staged, and the snapshot names it."""
    plant = loads(plant_text(2, 3), "plant.toml")
    log = by_partition(values(2, 3, 300), ["line-0", "line-1"])[0]
    root = tmp_path / "audit"
    live(root, plant, {0: log[:700]}, each=350, stop=False)
    head = decode(next((root / "_state").glob("*/*700-*.snapshot")).read_bytes(), "").head
    files = [file for manifest in head.manifests for file in manifest.files]
    assert len(files) >= 4
    for file in files:
        (root / file.path).parent.mkdir(parents=True, exist_ok=True)
        (root / file.staged).rename(root / file.path)
        report = check(root)
        assert report.sound, (file, report.differences)
        assert report.heads[0].proven_by
        assert recompute(root).sound
    (root / files[-1].path).rename(tmp_path / "away")
    assert "was changed, or another of that interval was taken away" in str(check(root).differences[0])


def test_a_changed_plant_goes_on(tmp_path: Path) -> None:
    first = loads(plant_text(2, 3), "plant.toml")
    second = loads(plant_text(2, 3).replace('"20s"', '"21s"'), "plant.toml")
    log = by_partition(values(2, 3, 300), ["line-0", "line-1"])[0]
    root = tmp_path / "audit"
    live(root, first, {0: log[:400]})
    live(root, second, {0: log[400:]}, begin=400)
    assert check(root).sound
    report = recompute(root)
    assert report.sound
    assert (report.checked["fresh starts"], report.checked["changes of the plant"]) == (1, 1)
    assert report.checked["bases that follow from the events"] == 1
    assert models.stored(root) == sorted([first.hash, second.hash])


def test_a_plant_that_changes_where_a_base_stands_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The day's base and that of the change would have one name: the first is enough for both."""
    monkeypatch.setattr(bases, "DAY_NS", 1_000_000_000_000)  # one in each checkpoint
    first = loads(plant_text(2, 3), "plant.toml")
    second = loads(plant_text(2, 3).replace('"20s"', '"21s"'), "plant.toml")
    log = by_partition(values(2, 3, 300), ["line-0", "line-1"])[0]
    root = tmp_path / "audit"
    live(root, first, {0: log[:400]}, each=200)
    live(root, second, {0: log[400:]}, begin=400)
    at = [file.first_offset for file in published(root, BASES)]
    assert at.count(400) == 1
    assert check(root).sound
    for report in (recompute(root), recompute(root, every=True)):
        assert report.sound, report.differences[:3]
        assert (report.checked["fresh starts"], report.checked["changes of the plant"]) == (1, 1)
    # From the base of the model before on, too.
    ts = [int(json.loads(value)["ts"]) for _, value in log]
    report = recompute(root, period=(ts[450], ts[700]))
    assert report.sound, report.differences[:3]
    assert (report.checked["bases begun from"], report.checked["changes of the plant"]) == (1, 1)
    # A later version, of which no rule touches a set, has no base behind the change to go on from either.
    monkeypatch.setattr(rules, "HISTORY", (*rules.HISTORY, rules.Rule("later", (), "nothing")))
    monkeypatch.setattr(rules, "RULES", rules.RULES + 1)
    for report in (recompute(root), recompute(root, every=True), recompute(root, period=(ts[450], ts[700]))):
        assert report.sound, report.differences[:3]
        assert report.checked["rows that differ under other rules"] == 0


@pytest.mark.parametrize("each", [150, 5000])
def test_revised_rows_follow_too(tmp_path: Path, each: int) -> None:
    """Late events and what they changed; critical paths still sum over the newest rows, in any cut of the log."""
    plant = loads(plant_text(4, 3).replace("lateness =", 'revise = "20min"\nlateness ='), "plant.toml")
    root = tmp_path / "audit"
    live(root, plant, by_partition(values(4, 3, 300, seed=2), [line.id for line in plant.lines]), each=each)
    tables = [pq.read_table(file.path, partitioning=None) for file in published(root, "bottlenecks")]
    assert sum(revision > 0 for table in tables for revision in table.column("revision").to_pylist()) > 50
    assert check(root, every=True).differences == []
    assert recompute(root, every=True).differences == []


def test_a_record_across_midnight(tmp_path: Path) -> None:
    """The events of one record lie in the files of two dates; place by place they come back in their order."""
    plant = loads(plant_text(1, 2), "plant.toml")
    midnight = START_NS + 86_400 * 10**9
    rows = [
        {
            "type": "count",
            "line": "line-0",
            "station": "s0",
            "ts": midnight + (-1) ** k * k * 10**9,
            "seq": k,
            "good": 1,
        }
        for k in range(40)
    ]
    block, refused = Decoder(plant).decode([json.dumps(rows).encode()], [0])
    assert not refused
    # Two, or it would be a jump that nothing confirms.
    later = [{"type": "heartbeat", "line": "line-0", "ts": midnight + 7200 * 10**9 + k} for k in range(2)]
    root = tmp_path / "audit"
    live(root, plant, {0: [(b"line-0", arrow_record(block, plant)), (b"line-0", json.dumps(later).encode())]})
    files = published(root, "events")
    assert [file.date for file in files] == ["2026-01-01", "2026-01-02"]
    places = [pq.read_table(file.path, partitioning=None).column(INDEX).to_pylist() for file in files]
    assert sorted(places[0] + places[1][:-2]) == list(range(40))
    assert recompute(root).sound
    assert recompute(root).checked["kpis rows compared"] > 0
    rewrite(files[0].path, lambda table: without(table, 5))
    forge(root, 0)
    assert "has place " in str(recompute(root).differences[0])


def test_a_replay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant = loads(plant_text(2, 3), "plant.toml")
    log = tmp_path / "log.jsonl"
    log.write_bytes(b"".join(value + b"\n" for _, value in values(2, 3, 200)) + b"{\nnonsense\n")
    monkeypatch.setattr(twin.replay, "INTERVAL_ROWS", 500)
    replay(plant, open_logs([log], plant, rules=()), tmp_path / "audit")
    assert check(tmp_path / "audit").sound
    report = recompute(tmp_path / "audit", every=True)
    assert report.differences == []
    assert report.checked["intervals"] == 2


def test_events_that_break_the_fold_are_a_difference(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> pa.Table:
        raise AssertionError("critical path does not sum")

    monkeypatch.setattr("twin.line.partition.PartitionTwin.fold", broken)
    text = str(recompute(root).differences[0])
    assert "the events of its interval cannot be folded: AssertionError('critical path does not sum')" in text
