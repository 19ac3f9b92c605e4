"""A proof taken elsewhere: complete by itself, safe to open, and damaged ones found."""

import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.audit import flip
from tests.support.generated import START_NS, plant_text, values
from tests.support.proof import by_partition, chain, check, example, live, name
from twin.audit import AuditError, bundle
from twin.audit.bundle import MANIFEST, Manifest, opened
from twin.audit.export import export
from twin.audit.layout import published, sha256_of
from twin.audit.recompute import recompute
from twin.audit.report import Report
from twin.audit.verify import verify
from twin.plant import loads

HOUR_NS = 3_600 * 10**9


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "audit"
    example(folder)
    return folder


def checked(path: Path) -> tuple[Report, Report]:
    with opened(path) as place:
        return verify(place.root, anchors=place.anchors, starts=place.starts), recompute(place.root)


@pytest.mark.parametrize("out", ["proof.zip", "proof"])
def test_an_export_proves_itself_alone(root: Path, tmp_path: Path, out: str) -> None:
    made = export(root, "line-1", START_NS, START_NS + HOUR_NS // 2, tmp_path / "new" / out)
    lone = tmp_path / "elsewhere"
    lone.mkdir()
    moved = (tmp_path / "new" / out).rename(lone / out)
    report, again = checked(moved)
    assert report.differences == again.differences == []
    assert again.checked["kpis rows compared"] > 0
    (part,) = made.manifest.partitions
    assert part.partition == 1
    assert part.first_offset == 0
    assert part.after, "the whole partition was taken: the test cannot fail"
    names = [name(root, file) for file in chain(root, 1)]
    assert [file.path for file in (*part.files, *part.after)] == names
    assert report.heads[0].sha256 == part.head == sha256_of(root / part.files[-1].path)
    assert made.files == len(part.files) + 2  # and the plant model, and what says all columns
    with opened(moved) as place:
        assert recompute(place.root, line="line-1").sound


def test_every_row_of_the_period_is_in_it(root: Path, tmp_path: Path) -> None:
    from twin.audit.query import query

    pytest.importorskip("duckdb")
    end_ns = START_NS + HOUR_NS
    export(root, "line-0", START_NS, end_ns, tmp_path / "proof")
    for set_name in ("states", "kpis", "bottlenecks"):
        mine = f"line = 'line-0' AND epoch_ns(\"end\") <= {end_ns}"
        sql = f"SELECT * EXCLUDE (date) FROM {set_name} WHERE {mine} ORDER BY ALL"  # noqa: S608 -- our own names
        assert query(tmp_path / "proof", sql).equals(query(root, sql))


def test_the_same_export_twice_is_the_same_file(root: Path, tmp_path: Path) -> None:
    for out in ("a.zip", "b.zip"):
        export(root, "line-0", START_NS, START_NS + HOUR_NS, tmp_path / out)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_it_begins_where_the_plant_was_changed(tmp_path: Path) -> None:
    first, second = (loads(plant_text(2, 3).replace('"20s"', cycle), "p.toml") for cycle in ('"20s"', '"21s"'))
    log = by_partition(values(2, 3, 300), ["line-0", "line-1"])[0]
    live(tmp_path / "audit", first, {0: log[:400]}, each=200)
    live(tmp_path / "audit", second, {0: log[400:]}, each=200, begin=400)
    made = export(tmp_path / "audit", "line-0", START_NS + 2 * HOUR_NS, START_NS + 9 * HOUR_NS, tmp_path / "proof.zip")
    (part,) = made.manifest.partitions
    before = [file for file in chain(tmp_path / "audit", 0) if file.first_offset < 400][-1]
    assert (part.first_offset, part.previous_sha256) == (400, sha256_of(before.path))
    assert made.manifest.models == (second.hash,)
    report, again = checked(tmp_path / "proof.zip")
    assert report.sound
    assert again.sound


def test_days_that_are_moved_away_break_the_root_and_not_the_copy(tmp_path: Path) -> None:
    """What docs/operating.md says of removing published files."""
    root, copy = tmp_path / "audit", tmp_path / "copy"
    plant = loads(plant_text(1, 2), "p.toml")
    live(root, plant, {0: by_partition(values(1, 2, 3600), ["line-0"])[0]}, each=2000)
    export(root, "line-0", START_NS, START_NS + HOUR_NS, tmp_path / "proof.zip")
    shutil.copytree(root, copy)
    for folder in root.glob("*/date=2026-01-01"):
        shutil.rmtree(folder)
    assert published(root, "kpis"), "every day was taken: the test cannot fail"
    report = check(root)
    assert "the files of offsets 0 to" in str(report.differences[0])
    assert not recompute(root).sound
    assert all(one.sound for one in (*checked(tmp_path / "proof.zip"), check(copy), recompute(copy)))
    shutil.copytree(copy, root, dirs_exist_ok=True)
    assert check(root).sound
    assert recompute(root).sound


@pytest.mark.parametrize(
    "change", [{"line": "line-7"}, {"start": "1999-01-01T00:00:00Z"}, {"made_by": "x"}, {"after": "0" * 64}]
)
def test_a_manifest_describes_what_nothing_in_the_export_can_prove(
    root: Path, tmp_path: Path, change: dict[str, str]
) -> None:
    """What docs/proof.md says that `verify` does not find: should it ever, the sentence is to be changed."""
    export(root, "line-0", START_NS, START_NS + HOUR_NS // 2, tmp_path / "proof")
    path = tmp_path / "proof" / MANIFEST
    manifest = msgspec.json.decode(path.read_bytes())
    if "after" in change:
        manifest["partitions"][0]["after"][0]["sha256"] = change["after"]
    else:
        manifest.update(change)
    path.write_bytes(msgspec.json.encode(manifest))
    assert checked(tmp_path / "proof")[0].sound


def test_what_cannot_be_exported(root: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(AuditError, match="exists"):
        export(root, "line-0", START_NS, START_NS + 1, tmp_path / "there")
    with pytest.raises(AuditError, match="no row of line 'line-7'"):
        export(root, "line-7", START_NS, START_NS + HOUR_NS, tmp_path / "x.zip")
    with pytest.raises(AuditError, match="no row of line 'line-0' from 1970"):
        export(root, "line-0", 0, 1, tmp_path / "x.zip")
    with pytest.raises(AuditError, match="not after its start"):
        export(root, "line-0", 1, 1, tmp_path / "x.zip")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["there"]


def test_nothing_is_left_of_an_export_that_failed(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    monkeypatch.setattr(shutil, "copyfile", full)
    for out in ("x.zip", "x"):
        with pytest.raises(AuditError, match="No space left"):
            export(root, "line-0", START_NS, START_NS + HOUR_NS, tmp_path / out)
    assert list(tmp_path.iterdir()) == []


def test_damage_to_an_exported_folder(root: Path, tmp_path: Path) -> None:
    export(root, "line-0", START_NS, START_NS + HOUR_NS, tmp_path / "proof")
    proof = tmp_path / "proof"
    files = chain(proof, 0)
    flip(files[1].path, 40)
    assert checked(proof)[0].differences[0].file == name(proof, files[1])
    flip(files[1].path, 40)
    files[-1].path.unlink()
    assert f"{MANIFEST} names" in str(checked(proof)[0].differences[0])


def test_a_manifest_changed(root: Path, tmp_path: Path) -> None:
    export(root, "line-0", START_NS, START_NS + HOUR_NS, tmp_path / "proof")
    path = tmp_path / "proof" / MANIFEST
    text = path.read_text()
    manifest = msgspec.json.decode(text, type=Manifest)
    (part,) = manifest.partitions
    path.write_text(text.replace(f'"head": "{part.head}"', f'"head": "{"0" * 64}"'))
    assert "it was changed, or another of that interval was taken away" in str(
        checked(tmp_path / "proof")[0].differences[0]
    )
    path.write_text(text.replace('"previous_sha256": ""', f'"previous_sha256": "{"0" * 64}"'))
    assert "as the first of its partition" in str(checked(tmp_path / "proof")[0].differences[0])
    path.write_text(text.replace('"format": 2', '"format": 3'))
    with pytest.raises(AuditError, match="has format 3, this code reads 1 to 2"):
        checked(tmp_path / "proof")
    for partitions in ([], [part, part]):
        path.write_bytes(msgspec.json.encode(msgspec.structs.replace(manifest, partitions=partitions)))
        with pytest.raises(AuditError, match="names no partition, or one twice"):
            checked(tmp_path / "proof")
    path.write_text(text[:-20])
    with pytest.raises(AuditError, match="cannot be read"):
        checked(tmp_path / "proof")


Change = Callable[[dict[str, Any]], object]  # of the manifest's only partition


@pytest.mark.parametrize(
    ("change", "file", "what"),
    [
        (lambda part: part["files"][2].update(sha256="0" * 64), 2, rf"{MANIFEST} names it with SHA-256 0{{64}} and"),
        (
            lambda part: part["files"][2].update(bytes=7),
            2,
            rf"{MANIFEST} names it with SHA-256 \w{{64}} and 7 bytes, it",
        ),
        (
            lambda part: part["files"][2].update(path="events/x.parquet"),
            None,
            f"{MANIFEST} names it, but it is not there",
        ),
        (lambda part: part["files"].pop(2), 2, f"is there, but {MANIFEST} does not name it"),
        (lambda part: part["files"].append(part["files"][0]), None, "names a file twice, or not in the order"),
        (lambda part: part["files"].reverse(), None, "names a file twice, or not in the order"),
        (lambda part: part.update(topic="other"), 0, f"is of topic twin.events, {MANIFEST} says other"),
        (lambda part: part.update(first_offset=400), 0, "begins at offset 0, but the start already reaches to 400"),
        (lambda part: part.update(partition=1), None, f"{MANIFEST} stands at"),
    ],
)
def test_what_a_manifest_says_of_its_files_is_compared(
    root: Path, tmp_path: Path, change: Change, file: int | None, what: str
) -> None:
    export(root, "line-0", START_NS, START_NS + HOUR_NS, tmp_path / "proof")
    path = tmp_path / "proof" / MANIFEST
    manifest = msgspec.json.decode(path.read_bytes())
    files = [one["path"] for one in manifest["partitions"][0]["files"]]
    change(manifest["partitions"][0])
    path.write_bytes(msgspec.json.encode(manifest))
    with opened(tmp_path / "proof") as place:
        report = verify(place.root, anchors=place.anchors, starts=place.starts, every=True)
    found = [one for one in report.differences if re.search(what, one.what)]
    assert found, report.differences
    assert file is None or found[0].file == files[file]


def test_a_partition_that_the_manifest_does_not_name(root: Path, tmp_path: Path) -> None:
    export(root, "line-0", START_NS, START_NS + HOUR_NS, tmp_path / "proof")
    added = chain(root, 1)[0]
    shutil.copyfile(added.path, tmp_path / "proof" / name(root, added))
    difference = checked(tmp_path / "proof")[0].differences[0]
    assert (difference.file, difference.what) == (name(root, added), f"is there, but {MANIFEST} does not name it")


def _evil(*members: tuple[str, bytes], compression: int = zipfile.ZIP_STORED) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w", compression) as archive:
            for one, data in members:
                archive.writestr(one, data)

    return write


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("write", "what"),
    [
        (_evil(("../../outside.json", b"x")), r"holds '../../outside.json', which no export does"),
        (_evil(("/etc/passwd", b"x")), "holds '/etc/passwd'"),
        (_evil(("events/date=2026-01-01/../../../x.parquet", b"x")), "which no export does"),
        (_evil(("_models/../../x.json", b"x")), "which no export does"),
        (_evil((f"_models/{'a' * 16}.json\n", b"x")), "which no export does"),
        (_evil((MANIFEST, b"{}"), (MANIFEST, b"{}")), "twice"),
        (_evil((MANIFEST, b"0" * 10_000_000), compression=zipfile.ZIP_DEFLATED), "is compressed or encrypted"),
        (_evil((f"_models/{'a' * 16}.json", b"x")), f"holds no {MANIFEST}"),
        (lambda path: path.write_bytes(b"PK\x03\x04 nothing"), "is no whole ZIP file"),
        (lambda path: path.write_bytes(b""), "is no whole ZIP file"),
    ],
)
def test_a_zip_file_of_somebody_else(tmp_path: Path, write: Callable[[Path], None], what: str) -> None:
    write(tmp_path / "evil.zip")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(AuditError, match=what), opened(tmp_path / "evil.zip"):
        pass
    assert sorted(tmp_path.rglob("*")) == before


def test_a_zip_file_cut_or_flipped(root: Path, tmp_path: Path) -> None:
    export(root, "line-0", START_NS, START_NS + HOUR_NS, tmp_path / "proof.zip")
    whole = (tmp_path / "proof.zip").read_bytes()
    (tmp_path / "cut.zip").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(AuditError, match="is no whole ZIP file"):
        checked(tmp_path / "cut.zip")
    flip(tmp_path / "proof.zip", len(whole) // 2)
    with pytest.raises(AuditError, match="is no whole ZIP file"):
        checked(tmp_path / "proof.zip")


def test_too_many_files(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export(root, "line-0", START_NS, START_NS + HOUR_NS, tmp_path / "proof.zip")
    monkeypatch.setattr(bundle, "MAX_FILES", 3)
    with pytest.raises(AuditError, match="files, at most 3 are taken"):
        checked(tmp_path / "proof.zip")
    monkeypatch.setattr(bundle, "MAX_FILES", 1000)
    monkeypatch.setattr(bundle, "MAX_MANIFEST_BYTES", 3)
    with pytest.raises(AuditError, match="over 3 bytes"):
        checked(tmp_path / "proof.zip")


def test_an_export_opens_like_any_audit_root(root: Path, tmp_path: Path) -> None:
    export(root, "line-0", START_NS, START_NS + HOUR_NS, tmp_path / "proof")
    assert published(tmp_path / "proof", "events")
    with opened(root) as place:
        assert (place.root, place.manifest, place.starts, place.anchors) == (root, None, {}, ())
    with pytest.raises(AuditError, match="no such audit root"), opened(tmp_path / "nowhere"):
        pass
