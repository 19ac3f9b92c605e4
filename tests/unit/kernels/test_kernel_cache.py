"""The folder of compiled kernels: it changes with the sources, can be shared, and can be missing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kernels.cache import WINGS, missing_features, sources_hash

ROOT = Path(__file__).parents[3]
# As of a disk that is mounted read-only: root can write to any other.
READ_ONLY = (
    "import tempfile\ndef none(**_): raise OSError(30, 'Read-only file system')\ntempfile.TemporaryFile = none\n"
)
COUNT = (
    "from numba.core import event; seen = []; "
    "L = type('L', (event.Listener,), {'on_start': lambda s, e: seen.append(1), 'on_end': lambda s, e: None}); "
    "event.register('numba:compile', L()); "
    "from tests.generators import deterministic_line_log as f; print(f([5, 7], [1], 99)[0].sum(), len(seen))"
)
SHOW = "from kernels.cache import of_wing; cache = of_wing('fold'); print(cache.used, cache.folder)"


def _name(wing: str) -> str:
    return f"{wing}-{sources_hash(ROOT / 'kernels', ROOT / 'kernels' / wing)}"


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


def test_every_wing_has_a_folder_of_its_own_and_every_kernel_a_wing() -> None:
    """An edit of a statistic must not compile the fold; a wing that is not listed would be kept under nobody's hash."""
    assert len({_name(wing) for wing in WINGS}) == len(WINGS)
    folders = {path.parent.name for path in (ROOT / "kernels").rglob("*.py")} - {"kernels"}
    assert folders == set(WINGS)
    shared = {path.stem for path in (ROOT / "kernels").glob("*.py")}
    assert shared == {"__init__", "cache", "codes", "index", "jit"}


def test_it_lies_in_the_users_cache_unless_named(tmp_path: Path) -> None:
    name = _name("fold")
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
    shared = tmp_path / _name("fold")
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


def test_the_same_sources_elsewhere_find_what_is_compiled(tmp_path: Path) -> None:
    """A second checkout, an installed wheel, a build stage of an image: 80 s each that nobody should wait."""
    twin = tmp_path / "other"
    for path in (ROOT / "kernels").rglob("*.py"):
        copy = twin / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    count = COUNT.split("from tests")[0] + ("from kernels.figures.stats import t975 as f; print(f(7), len(seen))")
    answers = []
    for root in (ROOT, twin):
        process = _start(
            f"import sys; sys.path.insert(0, {str(root)!r}); {count}", TAKTWIN_CACHE=str(tmp_path / "cache")
        )
        answers.append(process.communicate(timeout=120)[0].split())
    assert int(answers[0][1]) > 0
    assert answers[1] == [answers[0][0], "0"]


def test_what_is_loaded_is_all_that_an_image_needs(tmp_path: Path) -> None:
    """Kernels that others call are compiled into these; their own files are read by nobody."""
    use = (
        "import numpy as np; from kernels.figures.stats import batch_means as f; from streams.worker.warm import *; "
        "print(f(np.eye(2, dtype=np.int64), np.full(2, 2))); print(counts()); copy_loaded(Path({!r}))"
    )
    made, image = tmp_path / "made", tmp_path / "image"
    answers = []
    for own, into in ((made, tmp_path / "nothing"), (made, image), (image, image / "again")):
        process = _start(use.format(str(into)), TAKTWIN_CACHE=str(own))
        answers.append(process.communicate(timeout=120)[0].splitlines())
        assert process.returncode == 0
    assert len({answer[0] for answer in answers}) == 1
    assert [answer[1] for answer in answers[1:]] == ["(1, 0)", "(1, 0)"]
    assert not (tmp_path / "nothing").exists()  # what was compiled just now was not loaded
    assert 0 < len(list(image.glob("figures-*/*/*.nbc"))) < len(list(made.rglob("*.nbc")))


def test_kernels_in_a_folder_that_cannot_be_written_are_read_without_a_miss(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    made, _ = _start(COUNT, TAKTWIN_CACHE=str(tmp_path)).communicate(timeout=120)
    (folder,) = tmp_path.iterdir()  # the kernel stands in a test: in no wing
    assert int(made.split()[1]) > 0
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    for path in (folder, *before):
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        process = _start(READ_ONLY + COUNT, TAKTWIN_CACHE=str(tmp_path))
        read, _ = process.communicate(timeout=120)
        assert (process.returncode, read.split()) == (0, [made.split()[0], "0"])
        # What is not there is compiled for the process alone, and nothing is written.
        for path in before:
            if path.suffix == ".nbi":
                folder.chmod(0o755)
                path.parent.chmod(0o755)
                path.unlink()
                path.parent.chmod(0o555)
        process = _start(READ_ONLY + COUNT, TAKTWIN_CACHE=str(tmp_path))
        anew, _ = process.communicate(timeout=120)
        assert (process.returncode, anew.split()) == (0, made.split())
        assert set(folder.rglob("*")) <= before.keys()
    finally:
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o755)


def test_another_accounts_folder_is_not_even_read(tmp_path: Path) -> None:
    if os.geteuid():
        pytest.skip("needs root, to give a folder away")
    tmp_path.chmod(0o755)
    folder = tmp_path / _name("fold")
    folder.mkdir(mode=0o755)
    os.chown(folder, 12345, 12345)
    why = "from kernels.cache import of_wing; cache = of_wing('fold'); print(cache.used, cache.problem)"
    answer, _ = _start(why, TAKTWIN_CACHE=str(tmp_path)).communicate(timeout=60)
    assert answer.startswith("False")
    assert "belongs to another account" in answer


def test_a_level_that_the_processor_has_not_is_named_and_not_used() -> None:
    v2 = dict.fromkeys(("cx16", "sahf", "popcnt", "sse3", "ssse3", "sse4.1", "sse4.2"), True)
    assert missing_features("x86-64-v2", v2) == []
    assert "avx2" in missing_features("x86-64-v3", v2)
    assert missing_features("x86-64-v3", v2 | {"avx2": False})[:2] == ["avx", "avx2"]
    assert missing_features("", {}) == missing_features("skylake", {}) == []
    # A processor without them: what LLVM says of this one, less AVX.
    code = (
        "import llvmlite.binding as b; found = dict(b.get_host_cpu_features()); "
        "b.get_host_cpu_features = lambda: found | {'avx': False, 'avx2': False}; "
        "from kernels.cache import of_wing, config; cache = of_wing('fold'); "
        "of_wing('read'); print(cache.used, config.CPU_NAME, cache.problem)"
    )
    answer, _ = _start(code, NUMBA_CPU_NAME="x86-64-v3", NUMBA_CPU_FEATURES="").communicate(timeout=60)
    assert answer.startswith("False None this processor has no avx, avx2")
    assert answer.strip().endswith("which kernels compiled for x86-64-v3 use")
