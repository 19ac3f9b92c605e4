"""Runs one command and never outlives, or is outlived by, the process that asked for it.

    python -I -S broker_guard.py [--remove=FOLDER] PARENT_PID LIMIT_S COMMAND...

FOLDER is removed when the parent died first and so cannot do it.

A process of its own because each simpler way leaves a broker behind somewhere: `atexit` does not run after kill -9, a
parent-death signal set on the broker itself fires when the *thread* that started it ends, and code run between fork and
exec (preexec_fn) may deadlock in a process with threads. This one has a single thread, watches its parent's pid, and
sets the parent-death signal (Linux) on the command, so that kill -9 of the guard ends the command as well.
Standard library only: it starts in about 20 ms.
"""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time


def die_with_parent() -> None:
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def main(parent: int, limit_s: float, command: list[str], folder: str | None = None) -> int:
    asked_to_stop = False

    def ask(_number: int, _frame: object) -> None:
        nonlocal asked_to_stop
        asked_to_stop = True

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, ask)
    child = subprocess.Popen(command, preexec_fn=die_with_parent)  # noqa: S603  own command; single thread here
    while child.poll() is None and not asked_to_stop and os.getppid() == parent:
        time.sleep(0.1)
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(limit_s)
        except subprocess.TimeoutExpired:
            child.kill()
    code = child.wait()
    if folder is not None and os.getppid() != parent:
        shutil.rmtree(folder, ignore_errors=True)
    return code


if __name__ == "__main__":
    arguments = sys.argv[1:]
    to_remove = arguments.pop(0).removeprefix("--remove=") if arguments[0].startswith("--remove=") else None
    sys.exit(abs(main(int(arguments[0]), float(arguments[1]), arguments[2:], to_remove)))
