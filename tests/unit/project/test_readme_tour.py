"""The tour of the README: its commands run, and give the figures that stand there."""

import re
import shlex
from pathlib import Path

import pytest

from streams.cli import main

HOME = Path(__file__).parents[3]
README = (HOME / "README.md").read_text()
pytest.importorskip("duckdb")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Step 5: the same logs without a broker; steps 1 and 6 (the demo gives the same rows) are tests of their own."""
    found = tmp_path_factory.mktemp("tour") / "audit"
    (command,) = re.findall(r"^twin (replay .*?) +# 5", README, re.MULTILINE)
    args = []
    for word in shlex.split(command.replace("audit/replayed", str(found))):
        args += [str(path) for path in sorted(HOME.glob(word))] if "*" in word else [word]
    args = [str(HOME / arg) if arg.startswith("examples/") else arg for arg in args]
    assert main(args) == 0
    return found


def test_digests(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "digest", str(root)]) == 0
    got = re.findall(r"^([0-9a-f]{8})[0-9a-f]{56}  (\w+) \(([\d,]+) rows\)", capsys.readouterr().out, re.MULTILINE)
    said = re.findall(r"^([0-9a-f]{8})\.\.\.  (\w+) \(([\d,]+) rows\)  same", README, re.MULTILINE)
    assert got == said


def test_the_query(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (command,) = re.findall(r'^twin audit query audit/tour (".*")$', README, re.MULTILINE)
    (table,) = re.findall(r"The last one begins with:\n```\n(.*?)```", README, re.DOTALL)
    assert main(["audit", "query", str(root), *shlex.split(command)]) == 0
    got = [line.split() for line in capsys.readouterr().out.splitlines()]
    said = [line.split() for line in table.splitlines()]
    assert got[: len(said)] == said


def test_the_proof(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("verify", "recompute"):
        assert f"twin audit {command} audit/tour" in README
        assert main(["audit", command, str(root)]) == 0, capsys.readouterr().err
    assert main(["plant", "check", str(HOME / "examples" / "demo" / "plant.toml")]) == 0
