"""The folder of compiled kernels: it changes with the sources, can be shared, and can be missing."""

import os
import subprocess
import sys
from pathlib import Path

from kernels.cache import sources_hash

ROOT = Path(__file__).parents[2]
SHOW = "from numba.core import config; from kernels.jit import _CACHE; print(_CACHE, config.CACHE_DIR)"


def _start(code: str, **environment: str) -> "subprocess.Popen[str]":
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("NUMBA_", "TAKTWIN_", "XDG_"))}
    return subprocess.Popen(  # noqa: S603  own command
        [sys.executable, "-c", code], env=kept | environment, cwd=ROOT, stdout=subprocess.PIPE, text=True
    )


def _shown(**environment: str) -> tuple[str, str]:
    process = _start(SHOW, **environment)
    answer, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    writable, folder = answer.strip().split(" ", 1)
    return writable, folder


def test_every_source_counts(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1")
    (tmp_path / "b.py").write_text("y = 1")
    first = sources_hash(tmp_path)
    (tmp_path / "b.py").write_text("y = 2")
    second = sources_hash(tmp_path)
    (tmp_path / "b.py").rename(tmp_path / "c.py")
    assert len({first, second, sources_hash(tmp_path)}) == 3


def test_it_lies_in_the_users_cache_unless_named(tmp_path: Path) -> None:
    name = f"numba-{sources_hash(ROOT / 'kernels')}"
    assert _shown(HOME=str(tmp_path)) == ("True", str(tmp_path / ".cache" / "taktwin" / name))
    assert _shown(XDG_CACHE_HOME=str(tmp_path)) == ("True", str(tmp_path / "taktwin" / name))
    assert _shown(TAKTWIN_CACHE=str(tmp_path)) == ("True", str(tmp_path / name))
    assert _shown(NUMBA_CACHE_DIR=str(tmp_path), TAKTWIN_CACHE="/nowhere") == ("True", str(tmp_path))


def test_without_a_place_to_write_kernels_work_uncached(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    writable, folder = _shown(TAKTWIN_CACHE=str(tmp_path / "file"))
    assert writable == "False"
    assert str(tmp_path / "file") in folder
    use = "from tests.generators import deterministic_line_log as f; print(len(f([5, 5], [1], 9)[0]))"
    process = _start(use, TAKTWIN_CACHE=str(tmp_path / "file"))
    answer, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    assert int(answer) > 0


def test_a_folder_that_others_can_write_is_not_used(tmp_path: Path) -> None:
    shared = tmp_path / f"numba-{sources_hash(ROOT / 'kernels')}"
    for mode in (0o777, 0o770, 0o1777):
        shared.mkdir(exist_ok=True)
        shared.chmod(mode)
        assert _shown(TAKTWIN_CACHE=str(tmp_path))[0] == "False"
    shared.rmdir()
    assert _shown(TAKTWIN_CACHE=str(tmp_path))[0] == "True"
    assert shared.stat().st_mode & 0o777 == 0o700


def test_processes_that_start_together_share_it(tmp_path: Path) -> None:
    use = "from tests.generators import deterministic_line_log as f; print(f([5, 7], [1], 99)[0].sum())"
    processes = [_start(use, TAKTWIN_CACHE=str(tmp_path)) for _ in range(3)]
    answers = {process.communicate(timeout=120)[0] for process in processes}
    processes.append(_start(use, TAKTWIN_CACHE=str(tmp_path)))  # reads what they left
    answers.add(processes[-1].communicate(timeout=120)[0])
    assert len(answers) == 1
    assert {process.returncode for process in processes} == {0}
    assert list(tmp_path.rglob("*.nbi"))
