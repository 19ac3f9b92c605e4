"""Logs named by a URL: what is copied, and by which name it is read."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.audit import rows, table, write
from tests.support.objects import MemoryStore
from twin import store
from twin.audit import AuditError, filelist, objects
from twin.audit.fetch import Cache
from twin.sources import SourceError
from twin.sources.parquet import event_files
from twin.sources.stored import local

Read = Callable[..., list[str]]


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    """The bucket `plant`; prefixes of it are opened by their URL."""
    made = MemoryStore("s3://plant")
    monkeypatch.setattr(
        store, "opened", lambda url: made.under(url.removeprefix("s3://plant").strip("/")) if url != made.url else made
    )
    for name in ("3.csv", "5.csv", "old/1.csv", ".hidden.csv", "press 7.csv.gz"):
        made.put(f"logs/2026/{name}", name.encode())
    return made


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def read(*places: str) -> list[str]:
        (tmp_path / "copy").mkdir(exist_ok=True)
        return local(places, tmp_path / "copy", Cache(tmp_path / "cache"))

    return read


def test_an_object_a_pattern_and_a_prefix(bucket: MemoryStore, read: Read, tmp_path: Path) -> None:
    folder = tmp_path / "copy" / "plant" / "logs" / "2026"
    assert read("s3://plant/logs/2026/3.csv", "beside.csv") == [str(folder / "3.csv"), "beside.csv"]
    assert sorted(path.name for path in folder.iterdir()) == ["3.csv"]
    assert read("s3://plant/logs/2026/*.csv") == [str(folder / "3.csv"), str(folder / "5.csv")]
    assert read("s3://plant/logs/2026/") == read("s3://plant/logs/2026") == [str(folder)]
    assert sorted(path.name for path in folder.iterdir()) == ["3.csv", "5.csv", "press 7.csv.gz"]
    assert (folder / "press 7.csv.gz").read_bytes() == b"press 7.csv.gz"
    for url, words in (
        ("s3://plant/logs/2027/", "there are no objects"),
        ("s3://plant/logs/2026/*.txt", "no object fits"),
    ):
        with pytest.raises(SourceError, match=words):
            read(url)


def test_a_folder_of_parquet_files_has_those_below(bucket: MemoryStore, read: Read) -> None:
    for name in ("events/date=2026-01-01/a.parquet", "events/date=2026-01-02/a.parquet", "readme.txt"):
        bucket.put(f"lake/{name}", b"x")
    (folder,) = read("s3://plant/lake")
    assert sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*.*")) == [
        "events/date=2026-01-01/a.parquet",
        "events/date=2026-01-02/a.parquet",
    ]


def test_an_object_is_copied_once_and_again_when_it_changes(bucket: MemoryStore, read: Read, tmp_path: Path) -> None:
    url = "s3://plant/logs/2026/3.csv"
    (first,) = read(url)
    Path(first).unlink()
    bucket.get_into = None  # type: ignore[assignment]  a second copy comes from the cache
    assert Path(read(url)[0]).read_bytes() == b"3.csv"
    del bucket.get_into
    Path(first).unlink()
    bucket.put("logs/2026/3.csv", b"more")
    assert Path(read(url)[0]).read_bytes() == b"more"


def test_of_an_audit_root_the_events_and_no_fewer(bucket: MemoryStore, read: Read, tmp_path: Path) -> None:
    root = tmp_path / "root"
    for begin in (0, 100, 200):
        names = ("events", "kpis") if begin < 200 else ("kpis",)
        write(root, {name: table(name, rows(name, 40, seed=begin)) for name in names}, begin, begin + 100)
    there = bucket.under("audit")
    objects.begin(there)
    for entry in filelist.entries(root)[3]:
        for file in entry.files:
            there.put(objects.object_key(file), (root / file.path).read_bytes())
        objects.put_entry(there, entry)
    (copy,) = read("s3://plant/audit")
    assert [path.relative_to(copy) for path in event_files(Path(copy))] == [
        path.relative_to(root) for path in sorted(root.glob("events/*/*"))
    ]
    assert not list(Path(copy).glob("kpis/*/*"))
    next(iter(root.glob("events/*/*"))).unlink()
    with pytest.raises(AuditError, match="is listed in"):  # a replay would leave its events out
        event_files(root)
