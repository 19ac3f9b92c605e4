"""The ends of the chains in a topic, which whoever can write the root cannot write: over kills, against forgers."""

import asyncio
import json
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from streams.cli import main
from streams.kafka.topics import ensure
from streams.local.broker import LocalBroker
from streams.settings import Settings
from tests.support.streams import Worker, free_port, own_settings, produce, read_all, settled, workers
from twin.audit import filelist, marker
from twin.audit.intervals import intervals

pytestmark = pytest.mark.kafka


@pytest.fixture
async def settings(broker: LocalBroker, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    own = own_settings(broker, prefix, tmp_path)
    await ensure(own)
    monkeypatch.setenv("TAKTWIN_PREFIX", prefix)
    monkeypatch.setenv("TAKTWIN_BOOTSTRAP", own.bootstrap)
    return own


async def _verify(settings: Settings, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    capsys.readouterr()
    code = await asyncio.to_thread(main, ["audit", "verify", settings.audit, "--against-topic"])
    said = capsys.readouterr()
    return code, said.out + said.err


@pytest.mark.parametrize("publish_after_s", [0.0, 900.0])
async def test_the_topic_names_the_end_through_kills(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str], publish_after_s: float
) -> None:
    settings = replace(settings, publish_after_s=publish_after_s, checkpoint_interval_s=0.2)
    with workers() as started:
        feeding = asyncio.create_task(produce(settings, 0, 600, pause_s=0.02))
        for number in range(3):
            worker = Worker(replace(settings, health_port=free_port()), tmp_path / f"{number}.log")
            started.append(worker)
            await asyncio.to_thread(worker.wait_ready, 4)
            await asyncio.sleep(0.5)
            code, said = await _verify(settings, capsys)  # beside a worker at work
            assert code == 0, said
            worker.process.send_signal(signal.SIGKILL)
            await asyncio.to_thread(worker.process.wait)
            code, said = await _verify(settings, capsys)  # the topic may lag by the commit that the kill cut off
            assert code == 0, said
        await feeding
        last = Worker(replace(settings, health_port=free_port()), tmp_path / "last.log")
        started.append(last)
        await asyncio.to_thread(last.wait_ready, 4)
        log = await settled(settings)
        assert await asyncio.to_thread(last.end) == 0, last.log()
    code, said = await _verify(settings, capsys)
    assert code == 0, said
    assert said.count("(named by the topic, at offset") == sum(bool(records) for records in log.values()) == 4
    claims = [
        json.loads(record.value) for records in (await read_all(settings, "chain")).values() for record in records
    ]
    assert {(claim["group"], claim["root"]) for claim in claims} == {
        (settings.group_id, marker.read(Path(settings.audit)).id)
    }
    ends = {claim["partition"]: claim["next_offset"] for claim in claims}
    assert ends == {partition: len(records) for partition, records in log.items()}


async def test_what_only_the_topic_finds(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = Path(settings.audit)
    await produce(settings, 0, 200)
    with workers() as started:
        worker = Worker(settings, tmp_path / "w.log")
        started.append(worker)
        await settled(settings)
        await produce(settings, 200, 200)
        await settled(settings)
        assert await asyncio.to_thread(worker.end) == 0, worker.log()
    shutil.rmtree(settings.state_folder)
    assert (await _verify(settings, capsys))[0] == 0
    last = intervals(root)[0][-1]
    for file in last.files:
        file.path.unlink()
    (root / filelist.entries(root, 0)[0][-1].name).unlink()
    assert await asyncio.to_thread(main, ["audit", "verify", str(root)]) == 0  # nothing in the root tells
    code, said = await _verify(settings, capsys)
    assert code == 1
    assert "files were taken away" in said
    (root / marker.NAME).write_text((root / marker.NAME).read_text().replace('"id": "', '"id": "0'))
    code, said = await _verify(settings, capsys)
    assert code == 1
    assert "it is another root, or its marker was changed" in said or "files were taken away" in said


async def test_a_plant_whose_topics_are_of_an_earlier_version(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It goes on, and says what is missing."""
    from streams.kafka.topics import admin_client

    async with admin_client(settings) as admin:
        await admin.delete_topics([settings.topic("chain")])
        for _ in range(300):  # the brokers take their time
            if settings.topic("chain") not in await admin.list_topics():
                break
            await asyncio.sleep(0.1)
    await produce(settings, 0, 50)
    with workers() as started:
        worker = Worker(settings, tmp_path / "w.log")
        started.append(worker)
        await settled(settings)
        assert await asyncio.to_thread(worker.end) == 0, worker.log()
    assert f"there is no topic {settings.topic('chain')}" in worker.log_file.read_text()
    code, said = await _verify(settings, capsys)
    assert code == 1
    assert "make it with `twin topics apply`" in said
    await ensure(settings)
    code, said = await _verify(settings, capsys)
    assert code == 1
    assert "the topic names no end of it" in said
    with workers() as started:  # which says where it stands
        worker = Worker(settings, tmp_path / "w.log")
        started.append(worker)
        await asyncio.to_thread(worker.wait_ready, 4)
        assert await asyncio.to_thread(worker.end) == 0, worker.log()
    assert (await _verify(settings, capsys))[0] == 0
