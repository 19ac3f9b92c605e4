"""The drill of docs/operating.md: a root and its snapshots are copied, lost, and put back."""

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from streams import exits
from streams.cli import main
from streams.kafka.topics import ensure
from streams.local.broker import LocalBroker
from streams.settings import Settings
from tests.support.streams import Worker, check, own_settings, produce, settled, wait_for, workers
from twin.audit.digest import digest

pytestmark = pytest.mark.kafka


async def _work(settings: Settings, log: Path) -> str:
    with workers() as started:
        worker = Worker(settings, log)
        started.append(worker)
        await asyncio.to_thread(worker.wait_ready, 4)
        ends = {str(p): len(records) for p, records in (await settled(settings)).items()}

        def read() -> bool:  # the group's offset is ahead of a root that was put back
            return {p: one["committed"] for p, one in worker.report().get("partitions", {}).items()} == ends

        await asyncio.to_thread(wait_for, read, 40, worker.log)
        assert await asyncio.to_thread(worker.end) == exits.OK, worker.log()
    return await asyncio.to_thread(log.read_text)


async def _forget(settings: Settings) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=settings.bootstrap)
    await producer.start()
    try:
        for partition in range(4):
            await producer.send_and_wait(settings.topic("chain"), None, key=f"{settings.group_id}/{partition}".encode())
    finally:
        await producer.stop()


@pytest.mark.parametrize("apart", [False, True], ids=["state in the root", "state elsewhere"])
async def test_a_root_is_lost_and_put_back(
    broker: LocalBroker,
    prefix: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    apart: bool,
) -> None:
    settings = own_settings(broker, prefix, tmp_path)
    if apart:
        settings = replace(settings, state=str(tmp_path / "state"))
    monkeypatch.setenv("TAKTWIN_PREFIX", prefix)
    monkeypatch.setenv("TAKTWIN_BOOTSTRAP", settings.bootstrap)
    root, copy = Path(settings.audit), tmp_path / "copy"
    places = [(root, copy / "audit")] + ([(settings.state_folder, copy / "state")] if apart else [])

    async def verified() -> tuple[int, str]:
        capsys.readouterr()
        options = ["--against-topic", "--all", "--state", str(settings.state_folder)]
        code = await asyncio.to_thread(main, ["audit", "verify", str(root), *options])
        return code, capsys.readouterr().out

    await ensure(settings)
    await produce(settings, 0, 200)
    await _work(settings, tmp_path / "1.log")
    for place, saved in places:  # nobody is at work: the records wait in Kafka
        shutil.copytree(place, saved)
    await produce(settings, 200, 200)
    await _work(settings, tmp_path / "2.log")
    assert (await verified())[0] == 0
    before = await asyncio.to_thread(digest, root)

    for place, saved in places:
        shutil.rmtree(place)
        shutil.copytree(saved, place)
    code, said = await verified()
    assert code == 1
    assert said.count("files were taken away") >= 4  # how much is to be made again
    await _forget(settings)
    assert "going on from offset" in await _work(settings, tmp_path / "3.log")
    assert await asyncio.to_thread(digest, root) == before
    code, said = await verified()
    assert code == 0, said
    await produce(settings, 400, 100)
    await _work(settings, tmp_path / "4.log")
    await check(settings)
    assert (await verified())[0] == 0
