"""Roots that earlier versions wrote are read for ever: verified, digested, queried, recomputed and exported.

`tests/data/roots/a193fe3-*`: schema version 2, no rules in the footers; the demo plant's tablet press 3 and five
stations, by `twin replay` and by a worker on Kafka.
"""

import tarfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from twin import rules
from twin.audit import layout, models
from twin.audit.digest import digest, oldest_version
from twin.audit.export import export
from twin.audit.query import query
from twin.audit.read import footer
from twin.audit.recompute import recompute
from twin.audit.verify import verify
from twin.line import result_rows as line_rows
from twin.results import SETS
from twin.rules import Rule
from twin.sources.parquet import EventsParquet
from twin.time.rfc3339 import parse_rfc3339

DATA = Path(__file__).parents[3] / "data" / "roots"
NAMES = ("a193fe3-replay", "a193fe3-worker")
# The first digits of what `twin audit digest` of that version printed.
DIGESTS = {
    "events": "b4783831",
    "states": "35ff8670",
    "kpis": "de3c13d1",
    "bottlenecks": "b5755299",
    "alerts": "90c9ad03",
    "rejected": "1668f142",
    "measures": "082e06d1",  # came later: it has no rows
    "samples": "f332189d",  # likewise
}
LINE = "tablet-press"


@pytest.fixture(scope="module", params=NAMES)
def root(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("old")
    with tarfile.open(DATA / f"{request.param}.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return folder / str(request.param)


def test_is_as_it_was_written(root: Path) -> None:
    report = verify(root, every=True)
    assert report.sound, report.differences
    assert report.checked["files"] > 50


def test_has_the_digest_it_had(root: Path) -> None:
    assert oldest_version(root) == 2
    assert {name: one.sha256[:8] for name, one in digest(root).items()} == DIGESTS


def test_follows_from_its_events_but_for_rules_that_are_named(root: Path) -> None:
    report = recompute(root, every=True)
    assert report.sound, report.differences
    assert report.checked["events folded"] > 20_000
    if report.checked["rows that differ under other rules"]:
        assert any("made under rules 1" in note for note in report.notes)


def test_is_queried_in_all_columns_of_today(root: Path) -> None:
    found = query(root, "SELECT * FROM kpis WHERE \"window\" = 'order' AND station IS NULL")
    assert found.schema.names == [*SETS["kpis"].names, "date"]
    assert found.num_rows


def test_gives_its_events_to_a_replay(root: Path) -> None:
    (name,) = models.stored(root)
    source = EventsParquet(root, models.load(root, name))
    events = sum(len(block) for block, _ in source)
    assert events == digest(root)["events"].rows
    assert not source.summary.problems


def test_is_exported(root: Path, tmp_path: Path) -> None:
    times = query(root, f"SELECT min(start)::VARCHAR, max(\"end\")::VARCHAR FROM kpis WHERE line = '{LINE}'")  # noqa: S608
    start, end = (parse_rfc3339(str(column[0]).replace(" ", "T").replace("+00", "Z")) for column in times.columns)
    made = export(root, LINE, start, end, tmp_path / "part")
    assert made.files > 50
    assert verify(tmp_path / "part", every=True, starts=_starts(tmp_path / "part")).sound


def _starts(folder: Path) -> Any:
    from twin.audit.bundle import opened

    with opened(folder) as place:
        return place.starts


@pytest.mark.parametrize("said", ["", "kpis"])
def test_a_changed_rule_is_named_and_not_called_a_difference(
    root: Path, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rule that halves the quality: rows of kpis differ. Where HISTORY says so, they may; else they must not."""
    before = line_rows.ratios

    def halved(vectors: Any, roles: Any) -> Any:
        factors, suspect = before(vectors, roles)
        factors[:, 2] /= 2
        return factors, suspect

    monkeypatch.setattr(line_rows, "ratios", halved)
    history = (rules.HISTORY[0], Rule("half_quality", (said,) if said else (), "half of the good parts count"))
    monkeypatch.setattr(rules, "HISTORY", history)
    monkeypatch.setattr(rules, "RULES", len(history))
    report = recompute(root, line=LINE, every=True)
    wrong = [one for one in report.differences if one.file.startswith("kpis/")]
    assert bool(wrong) == (not said)
    named = [note for note in report.notes if "half_quality (half of the good parts count)" in note]
    assert bool(named) == bool(said)
    assert (report.checked["rows that differ under other rules"] > 100) == bool(said)


def test_rules_of_a_newer_version_are_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "RULES", 0)
    report = recompute(root)
    assert "made under rules 1, this code knows rules 1 to 0; use the version" in report.differences[0].what


def test_files_without_rules_are_of_the_first(root: Path) -> None:
    file = layout.published(root, "kpis")[0]
    with pq.ParquetFile(file.path) as parquet:
        assert "rules" not in footer(parquet)
        assert rules.version(footer(parquet)) == 1
