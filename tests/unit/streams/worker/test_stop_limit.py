"""A stop ends within its limit, whatever the process was at when the signal came."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from streams import exits

ROOT = Path(__file__).parents[4]

# A loop as Faust sets it up, and what it is at.
PROGRAM = """
import asyncio, signal, sys, threading, time
from streams.worker.stop import StopLimit

async def main():
    loop, told, limit = asyncio.get_running_loop(), asyncio.Event(), StopLimit(0.5)
    loop.add_signal_handler(signal.SIGTERM, told.set)
    limit.watch_signals()
    print("ready", flush=True)
    {at}
    await asyncio.wait_for(told.wait(), 20)
    {then}

asyncio.run(main())
"""


def _ended(at: str, then: str = "") -> tuple[int, float, str]:
    process = subprocess.Popen(  # noqa: S603  own program
        [sys.executable, "-c", PROGRAM.format(at=at, then=then)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    begun_s = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=40)
    return process.returncode, time.monotonic() - begun_s, said


def test_a_signal_reaches_the_loop() -> None:
    code, _, said = _ended("pass", "sys.exit(3)")
    assert code == 3, said


@pytest.mark.parametrize(
    "at",
    [
        "time.sleep(30)",  # a disk that does not answer, in the loop itself
        "threading.Thread(target=time.sleep, args=(30,)).start()",  # the loop ends, and a thread does not
        "import logging; h = logging.StreamHandler(); logging.getLogger().addHandler(h); h.acquire(); time.sleep(30)",
    ],
    ids=["the loop hangs", "a thread hangs", "the log hangs"],
)
def test_what_does_not_end_is_ended(at: str) -> None:
    """It was counted from when the loop came to it: with a loop that hangs, from never."""
    code, took_s, said = _ended(at)
    assert code == exits.HARD_STOP, said
    assert took_s < 15
    assert "h.acquire" in at or "the stop took longer than 0.5 s; exit code 75" in said
