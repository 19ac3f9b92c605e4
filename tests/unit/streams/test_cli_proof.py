"""`twin audit verify`, `recompute`, `export` and `query --as-of` as they are typed."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from streams.cli import main
from tests.support.audit import flip
from tests.support.generated import START_NS, plant_text, values
from tests.support.proof import by_partition, chain, live, name, rewrite, with_cell
from twin.plant import loads

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*words: str) -> tuple[int, str, str]:
        try:
            code = main(["audit", *words])
        except SystemExit as ended:
            code = int(str(ended.code))
        out, error = capsys.readouterr()
        return code, out, error

    return call


@pytest.fixture
def root(tmp_path: Path) -> Path:
    plant = loads(plant_text(2, 2), "plant.toml")
    live(tmp_path / "audit", plant, by_partition(values(2, 2, 150), ["line-0", "line-1"]), each=150)
    return tmp_path / "audit"


def test_verify(run: Run, root: Path) -> None:
    code, out, _ = run("verify", str(root))
    assert code == 0
    assert out.endswith("sound\n")
    assert "partition 0 ends at offset " in out
    assert "(named by _state/g/p00000-" in out
    code, out, _ = run("verify", str(root), "--json")
    found = json.loads(out)
    assert (code, found["sound"], found["differences"]) == (0, True, [])
    head, other = found["heads"][1], found["heads"][0]
    both = ("--tail", f"0:{other['sha256']}", "--tail", f"1:{head['sha256']}")
    assert run("verify", str(root), *both)[0] == 0
    assert run("verify", str(root), *both, "--tail", f"0:{head['sha256']}")[0] == 1  # none of them is passed over
    assert run("verify", str(root), "--tail", f"1:{head['sha256']}")[0] == 1
    assert run("note", str(root))[1] == "".join(f"{k}:{one['sha256']}\n" for k, one in enumerate((other, head)))
    ends = [
        {"partition": k, "next_offset": one["next_offset"], "sha256": one["sha256"]}
        for k, one in enumerate((other, head))
    ]
    assert json.loads(run("note", str(root), "--json")[1]) == ends
    assert run("verify", str(root), "--state", str(root / "_nowhere"))[1].count("cannot be proven") == 2


def test_verify_says_what_differs(run: Run, root: Path) -> None:
    files = chain(root, 0)
    flip(files[2].path, 40)
    flip(files[5].path, 40)
    code, out, _ = run("verify", str(root))
    assert code == 1
    (line,) = [line for line in out.splitlines() if line.startswith("DIFFERENCE: ")]
    assert line.startswith(f"DIFFERENCE: {name(root, files[2])}: row group 0, column ")
    code, out, _ = run("verify", str(root), "--all")
    assert code == 1
    assert all(f"DIFFERENCE: {name(root, files[k])}: row group 0" in out for k in (2, 5))
    code, out, _ = run("verify", str(root), "--json")
    assert (code, json.loads(out)["differences"][0]["file"]) == (1, name(root, files[2]))


def test_a_snapshot_that_is_damaged(run: Run, root: Path) -> None:
    snapshot = sorted((root / "_state" / "g").iterdir())[0]
    flip(snapshot, 100)
    code, out, _ = run("verify", str(root))
    assert code == 1
    assert f"DIFFERENCE: _state/g/{snapshot.name}: checksum does not match" in out


def test_recompute(run: Run, root: Path) -> None:
    code, out, _ = run("recompute", str(root))
    assert code == 0
    assert "kpis rows compared" in out
    assert out.endswith("sound\n")
    file = next(file for file in chain(root, 1) if file.set == "kpis")
    rewrite(file.path, lambda table: with_cell(table, "good", 3, 12_345))
    code, out, _ = run("recompute", str(root), "--line", "line-1")
    assert code == 1
    assert f"DIFFERENCE: {name(root, file)}, row 3: column good: stored 12345, recomputed " in out
    assert run("recompute", str(root), "--line", "line-0")[0] == 0


def test_export_and_check_it_elsewhere(run: Run, root: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "p.zip")
    period = ("--from", "2026-01-01T00:00:00Z", "--to", "2026-01-01T00:30:00+00:00")
    code, text, error = run("export", str(root), "--line", "line-1", *period, "--out", out)
    assert (code, error) == (0, "")
    assert "partition 1: offsets 0 to " in text
    root.rename(tmp_path / "gone")
    for words in (("verify", out), ("recompute", out, "--line", "line-1")):
        code, text, _ = run(*words)
        assert code == 0, text
    assert "named by _export.json" in run("verify", out)[1]
    code, text, _ = run("export", str(tmp_path / "gone"), "--line", "line-0", *period, "--out", f"{out}2", "--json")
    assert json.loads(text)["manifest"]["line"] == "line-0"


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("verify", "nowhere"), "no such audit root"),
        (("recompute", "nowhere"), "no such audit root"),
        (("verify", "nowhere", "--tail", "0:xyz"), "write PARTITION:SHA256"),
        (("export", "nowhere", "--line", "x", "--from", "1", "--to", "2", "--out", "y"), "not RFC 3339"),
        (("query", "nowhere", "SELECT 1", "--as-of", "yesterday"), "not RFC 3339"),
    ],
)
def test_a_wrong_command_line(run: Run, words: tuple[str, ...], what: str) -> None:
    code, _, error = run(*words)
    assert code == 2
    assert what in error


def test_query_as_of(run: Run, root: Path) -> None:
    pytest.importorskip("duckdb")
    counts = []
    for extra in ((), ("--as-of", "2026-01-01T00:30:00Z"), ("--as-of", "2025-01-01T00:00:00Z")):
        code, out, _ = run("query", str(root), "SELECT count(*) AS n FROM events", "--json", *extra)
        assert code == 0
        counts.append(json.loads(out)[0]["n"])
    assert counts[0] > counts[1] > counts[2] == 0
    assert START_NS == 1_767_225_600_000_000_000  # 2026
