"""`twin health`: it finds its own worker, and says in one line what is wrong."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from streams.cli import main
from streams.settings import Settings
from streams.worker import runtime
from streams.worker.health import HealthServer


@pytest.fixture(autouse=True)
def own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "run"))
    return tmp_path / "run"


async def asked(settings: Settings, page: str = "/ready") -> runtime.Answer:
    return await asyncio.to_thread(runtime.ask, settings, page)


async def test_a_worker_is_found_by_the_port_it_left(own_folder: Path) -> None:
    body: dict[str, Any] = {"partitions": {"0": {"lag": 3}, "2": {"lag": None}}, "storage": None}
    ready = True
    server = HealthServer(0, lambda: (ready, body))
    settings = Settings(health_port=0)
    assert (await asked(settings)).said.startswith("not alive: no worker has left a health port")
    await server.start()
    try:
        left = runtime.leave_port(server.port)
        assert left is not None
        assert (await asyncio.to_thread(own_folder.stat)).st_mode & 0o777 == 0o700
        assert await asked(settings) == runtime.Answer(
            True, "ready: partitions 0, 2; lag 3 records", {"ready": True, **body}
        )
        assert (await asked(settings, "/alive")).said == "alive"
        assert (await asked(Settings(health_port=server.port))).good
        ready, body["storage"] = False, {"error": "no space"}
        assert (await asked(settings)).said == "not ready: waits for the disk: no space"
        body["storage"] = None
        assert (await asked(settings)).said == "not ready: waits for the group"
        (own_folder / "health-999999999").write_text("1\n")  # of a worker that was killed
        assert not (await asked(settings)).good
        assert not (own_folder / "health-999999999").exists()
        (own_folder / f"health-{os.getppid()}").write_text("2\n")
        assert "several workers" in (await asked(settings)).said
        left.unlink()
    finally:
        await server.stop()
    assert (await asked(Settings(health_port=server.port))).said.startswith("not alive: http://127.0.0.1:")
    assert "-1" in (await asked(Settings(health_port=-1))).said


def test_a_folder_of_somebody_else_is_not_believed(own_folder: Path) -> None:
    own_folder.mkdir()
    own_folder.chmod(0o777)
    assert runtime.leave_port(1) is None
    assert not runtime.ask(Settings(health_port=0), "/ready").good


def test_the_command_ends_with_1_where_nobody_answers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TAKTWIN_HEALTH_PORT", "0")
    assert main(["health"]) == 1
    assert capsys.readouterr().out.startswith("not alive")
