"""The demo as a user starts it: its result, and that nothing of it is left, however it ends."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from streams.tools.demo import LOGS, PLANT
from streams.tools.demo_report import batches, bottleneck
from twin import plant as plants
from twin.audit.digest import digest
from twin.audit.read import ls
from twin.replay import replay
from twin.sources import open_logs

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc"),
]

EXAMPLES = PLANT.parents[1]
MARK = "DEMO_TEST_MARK"


class Demo:
    """A demo in a process of its own; every process it starts inherits the mark."""

    def __init__(self, audit: Path, *options: str) -> None:
        self.audit = audit
        self._mark = uuid.uuid4().hex
        self.process = subprocess.Popen(  # noqa: S603  our own command
            [sys.executable, "-m", "streams.cli", "demo", "--audit", str(audit), *options],
            env={**os.environ, MARK: self._mark},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def processes(self) -> set[int]:
        """Every living process of this demo."""
        found = set()
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                try:
                    marked = f"{MARK}={self._mark}".encode() in (folder / "environ").read_bytes()
                except OSError:
                    continue
                if marked:
                    found.add(int(folder.name))
        return found

    def listening(self) -> set[tuple[str, int]]:
        """(address, port) of every socket on which this demo waits for somebody."""
        found = set()
        for pid in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                sockets = psutil.Process(pid).net_connections("tcp")
                found |= {(s.laddr.ip, s.laddr.port) for s in sockets if s.status == psutil.CONN_LISTEN}
        return {(ip.removeprefix("::ffff:"), port) for ip, port in found}

    def wait_gone(self, limit_s: float) -> set[int]:
        """The processes that are still there after `limit_s`."""
        end = time.monotonic() + limit_s
        while (left := self.processes()) and time.monotonic() < end:
            time.sleep(0.1)
        return left

    def wait_for(self, count: int, limit_s: float = 60) -> None:
        """Wait until at least so many processes run."""
        end = time.monotonic() + limit_s
        while len(self.processes()) < count and self.process.poll() is None and time.monotonic() < end:
            time.sleep(0.05)


@pytest.fixture
def demos() -> Iterator[list[Demo]]:
    started: list[Demo] = []
    yield started
    for demo in started:
        for pid in demo.processes():
            os.kill(pid, signal.SIGKILL)
        demo.process.wait()


def test_the_demo_shows_the_published_figures_and_equals_the_replay(demos: list[Demo], tmp_path: Path) -> None:
    demos.append(demo := Demo(tmp_path / "audit"))
    output, _ = demo.process.communicate(timeout=300)
    assert demo.process.returncode == 0, output
    assert "19 of 19 batches agree" in output
    assert f"twin audit query {tmp_path / 'audit'}" in output
    assert demo.processes() == set()
    assert all(batch.agrees for batch in batches(demo.audit, EXAMPLES))
    highest = max(bottleneck(demo.audit), key=lambda row: row["share"])
    assert highest["station"] in ("S1", "S3")
    plant = plants.load(PLANT)
    replay(plant, open_logs(LOGS, plant), tmp_path / "replayed")
    assert digest(demo.audit) == digest(tmp_path / "replayed")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(("processes", "then_s"), [(1, 0.3), (2, 0.0), (4, 0.0), (7, 2.0)])
def test_an_interrupt_leaves_nothing(
    demos: list[Demo], tmp_path: Path, number: int, processes: int, then_s: float
) -> None:
    """1: only the command; 2 to 3: Kafka starts; 4 and more: workers start, then feeding and folding."""
    demos.append(demo := Demo(tmp_path / "audit", "--stay"))
    demo.wait_for(processes)
    time.sleep(then_s)
    demo.process.send_signal(number)
    output, _ = demo.process.communicate(timeout=60)
    assert demo.process.returncode in (130, -number), output
    assert "Traceback" not in output
    assert demo.wait_gone(2) == set()
    if demo.audit.exists():
        ls(demo.audit)  # raises where a published file cannot be read


def test_even_kill_9_leaves_no_process(demos: list[Demo], tmp_path: Path) -> None:
    demos.append(demo := Demo(tmp_path / "audit", "--stay"))
    demo.wait_for(7)
    end = time.monotonic() + 60
    while len(listening := demo.listening()) < 4 and time.monotonic() < end:  # Kafka's two, the workers' health
        time.sleep(0.1)
    assert len(listening) >= 4
    assert {address for address, _ in listening} == {"127.0.0.1"}
    demo.process.kill()
    demo.process.wait()
    assert demo.wait_gone(15) == set()


def test_a_folder_that_is_not_empty_is_refused(demos: list[Demo], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    demos.append(demo := Demo(tmp_path))
    output, _ = demo.process.communicate(timeout=60)
    assert demo.process.returncode == 1
    assert re.search(r"not empty.*--audit", output)
