"""The audit's disk is full, gone or slow: the records wait, nothing is lost, and it is said."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from streams import exits
from streams.kafka.topics import ensure
from streams.local.broker import LocalBroker
from streams.settings import Settings
from tests.faults.load import resident_mb
from tests.support.streams import Worker, check, free_port, own_settings, produce, wait_for, workers

pytestmark = pytest.mark.kafka

EVENTS = 3000 * 8
# 20,000 events in some 10,000 runs: their rows take some 5 MB. The rest is what allocators keep.
MOST_TRICKLE_MB = 64.0


@pytest.fixture
async def settings(broker: LocalBroker, prefix: str, tmp_path: Path) -> Settings:
    own = replace(
        own_settings(broker, prefix, tmp_path),
        instance="w0",
        session_timeout_s=10.0,
        # About a thousand events: the fold must stop long before the log's end.
        staging_bytes=100_000,
        poll_records=200,
    )
    await ensure(own)
    await produce(own, 0, 3000)
    return own


async def test_a_full_disk_holds_the_records_back(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = tmp_path / "full"
    full.touch()
    monkeypatch.setenv("FAKE_DISK_FULL", str(full))
    with workers() as started:
        worker = Worker(settings, tmp_path / "w.log")
        started.append(worker)
        await asyncio.to_thread(wait_for, lambda: worker.report().get("storage"), 40, worker.log)
        await asyncio.sleep(2.0)
        first = worker.report()
        await asyncio.sleep(1.0)
        second = worker.report()
        assert not second["ready"]
        assert "ENOSPC" in second["storage"]["error"]
        assert second["storage"]["waiting_s"] > first["storage"]["waiting_s"] > 1.5
        assert 0 < first["events"] == second["events"] < EVENTS / 2  # folding has stopped, and not at the end
        full.unlink()
        await check(settings)
        assert worker.report()["storage"] is None
        assert "the disk takes data again" in worker.log_file.read_text()
        assert await asyncio.to_thread(worker.end) == exits.OK, worker.log()


@pytest.mark.slow
async def test_memory_under_a_trickle_without_a_disk(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Live records come a few at a time: what each run costs beside its rows must count, or nothing holds it back."""
    full = tmp_path / "full"
    monkeypatch.setenv("FAKE_DISK_FULL", str(full))
    # The default of a worker, far above what the rows of this log take.
    own = replace(settings, staging_bytes=Settings().staging_bytes)
    with workers() as started:
        worker = Worker(own, tmp_path / "w.log")
        started.append(worker)
        await check(own)
        full.touch()
        warm = resident_mb(worker.process.pid)
        await produce(own, 3000, 2500, pause_s=0.01)
        grown = resident_mb(worker.process.pid) - warm
        assert grown < MOST_TRICKLE_MB, f"{grown:.0f} MB for 20,000 events"
        full.unlink()
        await check(own)


@pytest.mark.slow
async def test_a_disk_that_stays_full_ends_the_worker(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = tmp_path / "full"
    full.touch()
    monkeypatch.setenv("FAKE_DISK_FULL", str(full))
    with workers() as started:
        worker = Worker(replace(settings, storage_limit_s=2.0), tmp_path / "w.log")
        started.append(worker)
        assert await asyncio.to_thread(worker.process.wait, 40) == exits.STORAGE, worker.log()
        assert "the disk refused for" in worker.log()
        # Told to stop while it waits: it does, within its limit, and what it had not saved is replayed.
        second = Worker(replace(settings, stop_limit_s=4.0), tmp_path / "second.log")
        started.append(second)
        await asyncio.to_thread(wait_for, lambda: second.report().get("storage"), 40, second.log)
        assert await asyncio.to_thread(second.end) in (exits.OK, exits.HARD_STOP), second.log()
        full.unlink()
        started.append(Worker(settings, tmp_path / "third.log"))
        await check(settings)


async def test_a_slow_disk_is_waited_for(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_FSYNC_S", "0.03")
    with workers() as started:
        worker = Worker(settings, tmp_path / "w.log")
        started.append(worker)
        await check(settings)
        assert worker.report()["storage"] is None
        assert await asyncio.to_thread(worker.end) == exits.OK, worker.log()


async def test_a_root_that_goes_away_is_waited_for(settings: Settings, tmp_path: Path) -> None:
    """It was silently made anew, and commits went on in it."""
    root, away = Path(settings.audit), tmp_path / "away"
    with workers() as started:
        worker = Worker(settings, tmp_path / "w.log")
        started.append(worker)
        await check(settings)
        _move(root, away)
        await produce(settings, 3000, 1000)
        await asyncio.to_thread(wait_for, lambda: worker.report().get("storage"), 40, worker.log)
        report = worker.report()
        assert not report["ready"]
        assert "the marker of the audit root is not there" in report["storage"]["error"]
        # The place where it was mounted.
        _make(root)
        attempts = worker.log_file.read_text().count("trying again")
        await asyncio.to_thread(
            wait_for, lambda: worker.log_file.read_text().count("trying again") > attempts + 1, 40, worker.log
        )
        assert _content(root) == []
        _move(away, root)
        await check(settings)
        assert worker.report()["storage"] is None
        assert await asyncio.to_thread(worker.end) == exits.OK, worker.log()


async def test_a_second_plant_does_not_begin_in_the_root_of_the_first(settings: Settings, tmp_path: Path) -> None:
    """Started while it was empty they removed each other's files."""
    other = replace(settings, prefix=f"{settings.prefix}-other", instance="w1", health_port=free_port())
    await ensure(other)
    with workers() as started:
        both = [Worker(settings, tmp_path / "a.log"), Worker(other, tmp_path / "b.log")]
        started += both
        await asyncio.to_thread(wait_for, lambda: any(one.process.poll() is not None for one in both), 60, both[0].log)
        (refused,) = [one for one in both if one.process.poll() is not None]
        assert refused.process.returncode == exits.STATE, refused.log()
        assert "give each plant and group a TAKTWIN_AUDIT of its own" in refused.log()
        if refused is both[1]:
            await check(settings)


async def test_an_empty_folder_in_the_place_of_the_root_is_not_begun(settings: Settings, tmp_path: Path) -> None:
    """The state lies elsewhere, the root's disk is not mounted when the worker starts again."""
    own = replace(settings, state=str(tmp_path / "state"))
    root = Path(own.audit)
    with workers() as started:
        worker = Worker(own, tmp_path / "w.log")
        started.append(worker)
        await check(own)
        assert await asyncio.to_thread(worker.end) == exits.OK, worker.log()
        _move(root, tmp_path / "away")
        _make(root)
        second = Worker(own, tmp_path / "second.log")
        started.append(second)
        assert await asyncio.to_thread(second.process.wait, 40) == exits.STATE, second.log()
        assert f"{root} is empty, but {tmp_path / 'state'}" in second.log()
        assert _content(root) == []


def _move(source: Path, target: Path) -> None:
    """Over an empty folder, too."""
    source.rename(target)


def _make(folder: Path) -> None:
    folder.mkdir()


def _content(folder: Path) -> list[Path]:
    return list(folder.iterdir())
