"""A start that cannot succeed says so in one line."""

import os
import subprocess
import sys
from pathlib import Path

import numba
import pytest

from streams import exits
from streams.local.broker import free_port
from streams.worker import warm
from tests.support.streams import PLANT


def test_an_audit_folder_that_cannot_be_written_ends_the_start(tmp_path: Path) -> None:
    (tmp_path / "plant.toml").write_text(PLANT)
    (tmp_path / "file").write_text("")
    command = [sys.executable, "-m", "streams.cli", "worker", "--plant", str(tmp_path / "plant.toml")]
    ran = subprocess.run(  # noqa: S603  own command
        [*command, "--audit", str(tmp_path / "file" / "audit")], capture_output=True, text=True, check=False, timeout=60
    )
    assert ran.returncode == exits.STORAGE
    told = ran.stderr.strip().splitlines()
    assert len(told) == 1
    assert f"cannot start: TAKTWIN_AUDIT {tmp_path}/file/audit cannot be written (Not a directory)" in told[0]


def test_a_start_before_kafka_is_there_says_so_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "plant.toml").write_text(PLANT)
    server = f"127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "streams.cli", "worker", "--plant", str(tmp_path / "plant.toml")]
    ran = subprocess.run(  # noqa: S603  own command
        [*command, "--audit", str(tmp_path / "audit"), "--bootstrap", server],
        env={**os.environ, "TAKTWIN_HEALTH_PORT": "-1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert ran.returncode == exits.NO_KAFKA
    told = [line for line in ran.stderr.splitlines() if "kernels" not in line]  # where they have to be compiled first
    assert len(told) == 1
    assert f"cannot start before Kafka is there: no answer from {server}" in told[0]
    assert "start it again" in told[0]


def test_a_cold_start_says_once_that_kernels_are_compiled(caplog: pytest.LogCaptureFixture) -> None:
    def twice(n: int) -> int:
        return 2 * n

    twice.__module__ = "kernels.figures.made"  # only ours are told of
    other = numba.njit(lambda n: 3 * n)
    with warm.told():
        assert other(1) == 3
    assert not caplog.messages
    with warm.told():
        dispatcher = numba.njit(twice)
        assert dispatcher(1) == 2
        assert dispatcher(1.0) == 2.0
    first, last = caplog.messages
    assert first.startswith(f"{warm.COMPILING}, ")
    assert "figures-" in first
    assert last.startswith(f"{warm.COMPILED} (")
