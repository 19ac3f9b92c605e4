"""A worker's memory is taken as it should be; what a person has set stays."""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest

# Each of twenty threads takes memory; how many heaps there are stands in the C library's own report.
_CHILD = """
import ctypes, os, sys, threading
from streams.worker import allocators
allocators.spare()
c = ctypes.CDLL(None)
c.malloc.restype = c.fopen.restype = ctypes.c_void_p
all_there = threading.Barrier(20)
def take():
    c.malloc(100_000)
    all_there.wait()
threads = [threading.Thread(target=take) for _ in range(20)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
report = ctypes.c_void_p(c.fopen(sys.argv[1].encode(), b"w"))
c.malloc_info(0, report)
c.fclose(report)
print(os.environ["ARROW_DEFAULT_MEMORY_POOL"], os.environ["NUMPY_MADVISE_HUGEPAGE"])
"""


def heaps_and_settings(folder: Path, **environment: str) -> tuple[int, str]:
    report = folder / "report.xml"
    child = subprocess.run(  # noqa: S603  our own command
        [sys.executable, "-c", _CHILD, str(report)],
        env={**os.environ, **environment},
        check=True,
        capture_output=True,
        text=True,
    )
    return report.read_text().count("<heap "), child.stdout.strip()


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_info"), reason="another C library than glibc")
def test_one_heap_for_all_threads_unless_told(tmp_path: Path) -> None:
    assert heaps_and_settings(tmp_path) == (1, "system 0")
    heaps, settings = heaps_and_settings(tmp_path, MALLOC_ARENA_MAX="8", ARROW_DEFAULT_MEMORY_POOL="mimalloc")
    assert heaps > 1
    assert settings == "mimalloc 0"
