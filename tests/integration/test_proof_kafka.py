"""What killed and rescaled workers leave behind can be proven: verify and recompute on the root of a real group."""

import asyncio
import json
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from streams import exits
from streams.cli import main
from streams.kafka.topics import ensure
from streams.local.broker import LocalBroker, free_port
from streams.settings import Settings
from streams.tools.feed import feed
from tests.support.generated import plant_text, values
from tests.support.streams import Worker, own_settings, settled, wait_for, workers
from twin.plant import loads
from twin.sources import open_logs

pytestmark = pytest.mark.kafka

TEXT = plant_text(4, 3).replace("lateness =", 'revise = "20min"\nlateness =')


@pytest.fixture
async def settings(broker: LocalBroker, prefix: str, tmp_path: Path) -> Settings:
    (tmp_path / "own.toml").write_text(TEXT)
    own = replace(own_settings(broker, prefix, tmp_path), plant=str(tmp_path / "own.toml"), partitions=2)
    await ensure(own)
    return own


def _proven(root: str, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main(["audit", *words, root, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert found["differences"] == []
    return found


def _committed(worker: Worker) -> int:
    return sum(one["committed"] for one in worker.report().get("partitions", {}).values())


async def test_workers_killed_at_work(settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "log.jsonl"
    log.write_bytes(b"".join(value + b"\n" for _, value in values(4, 3, 600)))
    plant = loads(TEXT, "own.toml")
    slow = replace(settings, poll_records=100, checkpoint_interval_s=0.2)
    with workers() as started:
        started.append(Worker(slow, tmp_path / "0.log", real=True))
        await asyncio.to_thread(started[0].wait_ready, 2, 180.0)
        feeding = asyncio.create_task(feed(open_logs([log], plant, rules=()), plant, settings=settings, arrow=False))
        first = started[0]
        await asyncio.to_thread(wait_for, lambda: _committed(first) > 0, 60.0, first.log)  # at work, and not done yet
        await asyncio.to_thread(first.end, signal.SIGKILL)
        # As it lies there after a kill -9: what is published is provable, what is staged is told apart.
        _proven(settings.audit, capsys, "verify")
        _proven(settings.audit, capsys, "recompute")
        again = Worker(replace(slow, health_port=free_port()), tmp_path / "1.log", real=True)
        started.append(again)
        await feeding
        await settled(settings, limit_s=120.0)
        assert await asyncio.to_thread(again.end) == exits.OK, again.log()
    found = _proven(settings.audit, capsys, "verify")
    assert all(head["proven_by"].startswith(f"_state/{settings.prefix}/p0000") for head in found["heads"])
    assert len(found["heads"]) == 2
    found = _proven(settings.audit, capsys, "recompute")
    assert found["checked"]["events folded"] > 7_000
    assert found["checked"]["intervals"] > 2
