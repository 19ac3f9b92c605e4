"""`twin replay` in shares and with some of the sets: what it says, what it leaves, what can be proven of it."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from streams.cli import main
from streams.cli.errors import INTERRUPTED, OK, PROBLEM, USAGE
from streams.local import shares
from streams.local.shares import SharesError
from tests.support.generated import write
from twin.audit import AuditError, layout, replayed
from twin.audit.compact import compact
from twin.audit.digest import digest
from twin.audit.read import open_set
from twin.audit.recompute import recompute
from twin.audit.verify import verify
from twin.results import SETS

LINES = 5


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plant, a log, and the root of one process."""
    folder = tmp_path_factory.mktemp("shares")
    write(folder, lines=LINES, stations=2, each=120)
    assert main(command(folder, folder / "one")) == OK
    return folder


def command(folder: Path, root: Path, *more: str, log: str = "log.jsonl") -> list[str]:
    return ["replay", "--plant", str(folder / "plant.toml"), str(folder / log), "--audit", str(root), *more]


def told(text: str) -> Any:
    found = json.loads(text)
    for name in ("seconds", "events_per_s", "jobs"):
        found.pop(name, None)
    return found


def test_processes_give_the_root_and_the_report_of_one(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(made, tmp_path / "two", "--jobs", "2", "--json", "--max-problems", "0")) == PROBLEM
    two = told(capsys.readouterr().out)
    assert main(command(made, tmp_path / "again", "--json")) == OK
    one = told(capsys.readouterr().out)
    for found in (one, two):
        found["doubts"] = [doubt.split(", first at offset")[0] for doubt in found["doubts"]]
    assert two == one
    assert any("repeats" in doubt for doubt in one["doubts"])
    assert digest(tmp_path / "two") == digest(made / "one")
    assert set(open_set(tmp_path / "two", "kpis").to_table().column("source_partition").to_pylist()) == {0, 1}
    report = verify(tmp_path / "two", every=True)
    assert report.sound
    assert [head.proven_by for head in report.heads] == [layout.share_name(0), layout.share_name(1)]
    assert recompute(tmp_path / "two", every=True).differences == []
    assert main(command(made, tmp_path / "two", "--jobs", "2")) == USAGE
    assert "finished" in capsys.readouterr().err


def test_shares_of_audited_events_in_any_order(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "three"
    for share in ("2/3", "0/3", "1/3"):
        assert main(command(made, root, "--share", share, log="one")) == OK
        out = capsys.readouterr().out
        assert ("is whole" in out) == (share == "1/3")
    assert digest(root)["kpis"] == digest(made / "one")["kpis"]
    assert main(command(made, root, "--share", "1/3", log="one")) == OK  # as a Job may do
    assert main(command(made, root, "--share", "1/4", log="one")) == USAGE
    assert "the number of shares" in capsys.readouterr().err
    assert main(command(made, root, "--share", "1/3", "--force", log="one")) == USAGE
    assert main(command(made, root, "--share", "1/3", "--jobs", "3", log="one")) == USAGE


def test_an_unfinished_root_says_so(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "half"
    assert main(command(made, root, "--share", "0/2")) == OK
    capsys.readouterr()
    assert main(["audit", "verify", str(root)]) == PROBLEM
    assert "shares 1/2 of its replay are not finished" in capsys.readouterr().out
    for reader in (["digest", str(root)], ["query", str(root), "select count(*) from kpis"]):
        assert main(["audit", *reader]) == OK
        assert "shares 1/2 of its replay are not finished" in capsys.readouterr().err
    assert any("not finished" in note for note in recompute(root).notes)
    plan = root / replayed.PLAN
    plan.rename(tmp_path / "plan.json")
    assert "is missing" in verify(root).differences[0].what
    shutil.copy(tmp_path / "plan.json", plan)
    plan.write_text(plan.read_text().replace('"shares": 2', '"shares": 1'))
    assert "is of another replay" in verify(root).differences[0].what
    plan.write_text("{")
    assert "cannot be read" in verify(root).differences[0].what


def test_only_the_sets_that_are_asked_for(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "kpis"
    assert main(command(made, root, "--sets", "kpis,states", "--jobs", "2", log="one")) == OK
    capsys.readouterr()
    whole, some = digest(made / "one"), digest(root)
    assert {name for name in SETS if some[name].rows} == {"kpis", "states"}
    assert [some[name] for name in ("kpis", "states")] == [whole[name] for name in ("kpis", "states")]
    plan = replayed.read(root)
    assert plan is not None
    assert plan.audited
    (events,) = plan.logs
    assert events.name.startswith("events/date=")
    assert events.sha256 in (made / "one" / "_files" / "p00000" / "00000000000000000000.json").read_text()
    report = verify(root, every=True)
    assert report.sound
    assert any("holds no events" in note for note in report.notes)
    with pytest.raises(AuditError, match=r"holds no events, so nothing can be computed from it alone.*1 files"):
        recompute(root)
    assert main(["audit", "query", str(root), "select count(*) from alerts"]) == OK
    assert "has no rows of events, bottlenecks, alerts" in capsys.readouterr().err


def test_events_with_some_of_their_rows_can_be_computed_again(made: Path, tmp_path: Path) -> None:
    root = tmp_path / "some"
    assert main(command(made, root, "--sets", "events,kpis")) == OK
    report = recompute(root, every=True)
    assert report.differences == []
    assert report.checked["kpis rows compared"] > 0
    assert "states rows compared" not in report.checked


def test_a_compacted_share_is_still_of_its_replay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, lines=3, stations=2, each=1_500)
    monkeypatch.setattr("twin.replay.INTERVAL_ROWS", 500)
    root = tmp_path / "root"
    for share in ("0/2", "1/2"):
        assert main(command(tmp_path, root, "--share", share)) == OK
    before = digest(root)
    done = compact(root, "2100-01-01", by="me", at="2100-01-01T00:00:00Z", keep_from={})
    assert any(one.into for one in done)
    report = verify(root, every=True)
    assert report.differences == []
    assert [head.proven_by for head in report.heads] == [layout.share_name(0), layout.share_name(1)]
    assert digest(root) == before


def test_what_is_asked_for_must_be_there(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for option, value, said in (
        ("--sets", "kpi", 'did you mean "kpis"?'),
        ("--share", "3/3", "of four write 0/4"),
        ("--jobs", "0", "no number of processes"),
    ):
        with pytest.raises(SystemExit):
            main(command(made, tmp_path / "none", option, value))
        assert said in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def cmdline(pid: str) -> str:
    with contextlib.suppress(OSError):
        return Path("/proc", pid, "cmdline").read_text(errors="replace")
    return ""


SLEEPS = "import time\nprint('[0, 0]', flush=True)\ntime.sleep(600)"


def test_a_killed_share_ends_the_others_with_a_word() -> None:
    kills = python("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(
        SharesError, match=r"share 1/2 was ended by SIGKILL; was there too little memory\?.*run the same"
    ):
        shares.run({"0/2": python(SLEEPS), "1/2": kills}, lambda *_: None)
    fails = python("import sys; sys.stderr.write('twin: log.csv: no such file\\n'); sys.exit(2)")
    with pytest.raises(SharesError, match=r"share 0/1 was ended with exit code 2,.*log.csv: no such file"):
        shares.run({"0/1": fails}, lambda *_: None)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_replay_ends_its_shares_and_says_how_to_go_on(number: int, made: Path, tmp_path: Path) -> None:
    code = (
        "import os, sys\n"
        "import streams.local.shares as shares\n"
        "from streams.cli import main\n"
        "def run(commands, update):\n"
        f"    sleeps = [sys.executable, '-c', {SLEEPS!r} + '  # ' + str(os.getpid())]\n"
        "    told(dict.fromkeys(commands, sleeps), lambda *_: print('begun', flush=True))\n"
        "told, shares.run = shares.run, run\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    ran = subprocess.Popen(  # noqa: S603  our own command
        [*python(code), *command(made, tmp_path / "root", "--jobs", "2")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert ran.stdout is not None
    assert ran.stdout.readline() == "begun\n"
    os.kill(ran.pid, number)
    _, said = ran.communicate(timeout=60)
    assert ran.returncode == INTERRUPTED, said
    assert "interrupted, so the replay is not finished; run the same command again to go on" in said
    assert [pid for pid in map(str, range(ran.pid, ran.pid + 10_000)) if f"# {ran.pid}\0" in cmdline(pid)] == []
    assert main(command(made, tmp_path / "root", "--jobs", "2")) == OK
    assert digest(tmp_path / "root") == digest(made / "one")
