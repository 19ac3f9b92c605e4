"""Bases: the state in the audit root, from which what follows can be computed without what came before."""

import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import twin.replay
from tests.support.generated import START_NS, write
from tests.support.proof import check, forge, name, rewrite, with_cell
from twin.audit import bases, digest, filelist
from twin.audit.bundle import opened
from twin.audit.export import export
from twin.audit.intervals import Interval, intervals
from twin.audit.layout import BASES, published
from twin.audit.prune import prune
from twin.audit.recompute import recompute
from twin.audit.verify import verify
from twin.line import PartitionTwin
from twin.plant import load
from twin.replay import replay
from twin.sources import open_logs

DAY_NS = 86_400_000_000_000


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three days of two lines, some ten intervals, a base at the first end of an interval of each day but the first."""
    folder = tmp_path_factory.mktemp("bases")
    plant, log = write(folder, 2, 2, 8_000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(twin.replay, "INTERVAL_ROWS", 4_000)
        patch.setattr(twin.sources.jsonl, "BLOCK_EVENTS", 2_000)
        patch.setattr(twin.sources.merge, "BLOCK_EVENTS", 2_000)
        model = load(plant)
        replay(model, open_logs([log], model), folder / "audit")
    return folder / "audit"


@pytest.fixture
def root(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "audit"))


def chain(root: Path) -> list[Interval]:
    return intervals(root)[0]


def based(root: Path) -> list[Interval]:
    return [one for one in chain(root) if one.base is not None]


def test_one_a_day_behind_the_rows_up_to_its_offset(root: Path) -> None:
    found = based(root)
    assert [one.base.date for one in found if one.base] == ["2026-01-02", "2026-01-03"]
    assert all(one.first_offset == one.next_offset and len(one.files) == 1 for one in found)
    bounds = [bound for one in chain(root) for bound in (one.first_offset, one.next_offset)]
    assert bounds == sorted(bounds)
    assert bounds[1:-1:2] == bounds[2::2]
    report = check(root)
    assert (report.differences, report.checked["bases"]) == ([], 2)
    assert report.checked["intervals"] == len(chain(root)) - 2


def test_a_base_follows_from_the_events_before_it(root: Path) -> None:
    for line in (None, "line-1"):
        report = recompute(root, line=line, every=True)
        assert report.differences == []
        assert report.checked["bases that follow from the events"] == 2
        assert (report.checked["fresh starts"], report.checked["bases begun from"]) == (1, 0)


def test_a_period_is_computed_from_the_nearest_base(root: Path) -> None:
    begin = START_NS + 2 * DAY_NS
    report = recompute(root, period=(begin + DAY_NS // 4, begin + DAY_NS // 2), every=True)
    assert report.differences == []
    assert (report.checked["bases begun from"], report.checked["fresh starts"]) == (1, 0)
    whole = recompute(root)
    assert 0 < report.checked["events folded"] < whole.checked["events folded"] / 2
    assert 0 < report.checked["kpis rows compared"] < whole.checked["kpis rows compared"] / 2
    first = recompute(root, period=(START_NS, START_NS + DAY_NS // 8), line="line-0")
    assert (first.checked["bases begun from"], first.checked["fresh starts"], first.differences) == (0, 1, [])
    nothing = recompute(root, period=(begin + 30 * DAY_NS, begin + 31 * DAY_NS))
    assert nothing.notes == ["no file holds a row of this period: there is nothing to compute"]


def test_a_row_that_was_changed_is_found_from_a_base(root: Path) -> None:
    last = [file for one in chain(root) for file in one.of("kpis")][-1]
    rewrite(last.path, lambda table: with_cell(table, "good", 3, 7777))
    forge(root, 0)
    assert verify(root).differences == []
    end = START_NS + 3 * DAY_NS
    report = recompute(root, period=(end - DAY_NS // 2, end))
    assert f"{name(root, last)}, row 3: column good: stored 7777" in str(report.differences[0])


def test_a_state_that_does_not_follow_is_found(root: Path) -> None:
    """Everything hashed again: verify has nothing to say."""
    second = based(root)[0].base
    assert second is not None
    (model,) = {path.stem for path in (root / "_models").iterdir()}
    plant = twin.audit.models.load(root, model)
    other = PartitionTwin.restore(plant, 0, bases.read(second))
    other.engine.state.total[0, 0] += 1
    rewrite(second.path, lambda _: bases.table(other.snapshot()))
    forge(root, 0)
    assert verify(root).differences == []
    (found,) = recompute(root, every=True).differences
    assert str(found) == f"{name(root, second)}: the state it holds does not follow from the events before it"
    assert not recompute(root, line="line-1", every=True).differences
    assert recompute(root, line="line-0", every=True).differences


@pytest.mark.parametrize("what", ["gone", "cut", "flipped", "moved"])
def test_a_base_that_is_missing_or_damaged_is_found(root: Path, what: str) -> None:
    base = based(root)[0].base
    assert base is not None
    data = base.path.read_bytes()
    if what == "gone":
        base.path.unlink()
    elif what == "cut":
        base.path.write_bytes(data[:-5])
    elif what == "flipped":
        place = data.index(bases.read(base)[100:140])
        base.path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    else:
        target = base.path.parent.parent / "date=2026-01-09" / base.path.name
        target.parent.mkdir()
        base.path.rename(target)
    report = verify(root, every=True)
    assert report.differences
    if what in ("cut", "flipped"):
        assert any(name(root, base) in str(one) for one in report.differences)
    if what == "flipped":
        assert "is no base any more" in str(recompute(root).differences[0])


def test_other_names_in_the_folder_of_bases_are_told(root: Path) -> None:
    folder = root / BASES / "date=2026-01-01"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mine.parquet").write_bytes(b"x")
    assert "no twin gives a file such a name" in str(verify(root).differences[0])


def test_without_bases_all_is_computed_from_the_beginning(root: Path, tmp_path: Path) -> None:
    """As roots were written before there were any."""
    for file in published(root, BASES):
        file.path.unlink()
    shutil.rmtree(root / BASES)
    forge(root, 0)
    assert (verify(root).differences, recompute(root).differences) == ([], [])
    begin = START_NS + 2 * DAY_NS
    report = recompute(root, period=(begin, begin + DAY_NS // 2))
    assert (report.differences, report.checked["fresh starts"]) == ([], 1)


@pytest.mark.parametrize("whole", [False, True])
def test_an_export_begins_at_the_nearest_base(root: Path, tmp_path: Path, whole: bool) -> None:
    begin, out = START_NS + 2 * DAY_NS, tmp_path / "part.zip"
    made = export(root, "line-0", begin + DAY_NS // 4, begin + DAY_NS // 2, out, whole=whole)
    (one,) = made.manifest.partitions
    bases_before = [part.first_offset for part in based(root)]
    assert one.first_offset == (0 if whole else bases_before[1])
    with opened(out) as place:
        report = verify(place.root, anchors=place.anchors, starts=place.starts)
        assert report.differences == []
        again = recompute(place.root, line="line-0")
        assert again.differences == []
        assert again.checked["bases begun from"] == (not whole)
        assert again.checked["kpis rows compared"] > 50
    out.unlink()
    before = START_NS + DAY_NS // 8
    assert export(root, "line-0", START_NS, before, out).manifest.partitions[0].first_offset == 0


def test_bases_are_no_part_of_digest_or_sets(root: Path, tmp_path: Path) -> None:
    whole = digest.digest(root)
    filelist.remove(root)  # a list that names what is gone is refused
    shutil.rmtree(root / BASES)
    assert digest.digest(root) == whole


def test_rows_of_other_rules_are_passed_by_a_base(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was folded under other rules cannot be expected to come out, but what follows its base can."""
    later = replace(twin.rules.HISTORY[0], name="later", sets=("kpis",), what="another figure")
    monkeypatch.setattr(twin.rules, "HISTORY", (*twin.rules.HISTORY, later))
    monkeypatch.setattr(twin.rules, "RULES", twin.rules.RULES + 1)
    for interval in chain(root)[-3:]:
        for file in interval.files:
            rewrite(file.path, lambda table: table, rules=str(twin.rules.RULES))
    forge(root, 0)
    report = recompute(root, every=True)
    assert report.differences == []
    assert report.checked["bases begun from"] >= 1


def test_a_base_round_trip(tmp_path: Path) -> None:
    for size in (0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3_000_000):
        state = bytes(k % 251 for k in range(size))
        path = tmp_path / f"{size}.parquet"
        pq.write_table(bases.table(state), path, write_page_checksum=True)
        assert bases.read(replace_path(path)) == state


def replace_path(path: Path) -> "twin.audit.layout.PublishedFile":
    return twin.audit.layout.PublishedFile(BASES, "2026-01-01", 0, 0, 0, path)


def test_what_pruning_leaves_is_computed_from_the_base_at_the_cut(root: Path) -> None:
    whole = digest.digest(root)
    (cut,) = prune(root, "2026-01-03", by="twin audit prune", at="2026-03-01T00:00:00Z")
    first = chain(root)[0]
    assert first.base is not None
    assert (first.base.date, first.first_offset) == ("2026-01-02", cut.offset)
    assert cut.last_date < "2026-01-03"
    report = check(root)
    assert report.differences == []
    assert any("all before 2026-01-03, were pruned by twin audit prune" in note for note in report.notes)
    report = recompute(root, every=True)
    assert report.differences == []
    assert (report.checked["fresh starts"], report.checked["bases begun from"]) == (0, 1)
    assert 0 < digest.digest(root)["events"].rows < whole["events"].rows
