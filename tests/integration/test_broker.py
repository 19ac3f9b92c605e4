"""A local broker starts, keeps its data when asked, and never outlives its owner."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from streams.local.broker import BrokerError, LocalBroker, answers_metadata, free_port
from streams.local.java import resolve_jars, tools

pytestmark = pytest.mark.kafka

_OWNER = """
import sys, time
from streams.local.broker import LocalBroker
with LocalBroker() as broker:
    print(broker.pid, broker.log_file.parent, flush=True)
    time.sleep(600)
"""
_SLOW_OWNER = """
import streams.local.broker as b
b.answers_metadata = lambda *a: False
print("starting", flush=True)
b.LocalBroker().start()
"""


def _run(program: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", program]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)  # noqa: S603  own text


def _family(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def _gone(processes: list[psutil.Process], limit_s: float = 15.0) -> bool:
    return not psutil.wait_procs(processes, timeout=limit_s)[1]


def test_start_answers_and_stop_leaves_nothing() -> None:
    broker = LocalBroker()
    with broker:
        assert broker.running
        assert answers_metadata("127.0.0.1", broker.port)
        assert broker.pid is not None
        family = _family(broker.pid)
        assert any("java" in p.name() for p in family)
        assert broker.log_file is not None
        folder = broker.log_file.parent
        listening = {c.laddr.ip for p in family for c in p.net_connections("tcp") if c.status == psutil.CONN_LISTEN}
        assert {ip.removeprefix("::ffff:") for ip in listening} == {"127.0.0.1"}
    assert _gone(family)
    assert not folder.exists()
    broker.stop()


def test_kept_data_survive_kill_and_a_new_start(tmp_path: Path) -> None:
    first = LocalBroker(tmp_path / "kafka").start()
    identity = (tmp_path / "kafka/data/meta.properties").read_text()
    port = first.port
    first.kill()
    assert not answers_metadata("127.0.0.1", port)
    first.start()
    assert first.port == port
    first.stop()
    with LocalBroker(tmp_path / "kafka") as second:
        assert answers_metadata("127.0.0.1", second.port)
    assert (tmp_path / "kafka/data/meta.properties").read_text() == identity


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_dies_with_its_owner(number: signal.Signals) -> None:
    owner = _run(_OWNER)
    assert owner.stdout is not None
    guard, folder = owner.stdout.readline().split()
    family = _family(int(guard))
    owner.send_signal(number)
    owner.wait(20)
    assert _gone(family)
    assert not Path(folder).exists()


def test_dies_with_its_guard() -> None:
    with LocalBroker() as broker:
        assert broker.pid is not None
        family = _family(broker.pid)
        os.kill(broker.pid, signal.SIGKILL)
        assert _gone(family)
        assert not broker.running


def test_interrupt_during_start_leaves_nothing() -> None:
    owner = _run(_SLOW_OWNER)
    assert owner.stdout is not None
    owner.stdout.readline()
    family: list[psutil.Process] = []
    end = time.monotonic() + 30
    while len(family) < 3 and time.monotonic() < end:  # owner, guard, java
        family = [p for p in _family(owner.pid) if p.is_running()]
        time.sleep(0.05)
    assert len(family) >= 3
    owner.send_signal(signal.SIGINT)
    owner.wait(20)
    assert _gone(family)


def test_taken_port_is_an_error_with_the_log() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(BrokerError, match="did not get ready"):
            LocalBroker(port=taken.getsockname()[1]).start(limit_s=30)


def test_two_free_ports_differ_from_a_bound_one() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        assert free_port() != taken.getsockname()[1]


def test_tools_are_resolved_once() -> None:
    found = tools()
    assert found.java_version >= 17
    marker = found.jars / "resolved.json"
    before = marker.stat().st_mtime_ns
    assert resolve_jars(found.java) == (found.jars, found.resolver)
    assert marker.stat().st_mtime_ns == before
    assert list(found.jars.glob("kafka-clients-*.jar"))
