"""`twin feed` of one file after the other, on a real Kafka with a real worker: the same rows as all files at once."""

import asyncio
import sys
from pathlib import Path

import pytest

from streams import exits
from streams.kafka.topics import ensure
from streams.local.broker import LocalBroker
from streams.settings import Settings
from tests.support.streams import Worker, own_settings, process_environment, workers
from twin.audit.query import query

pytestmark = pytest.mark.kafka

PLANT = """
site = "works"
[[area]]
id = "hall"
[[line]]
id = "L"
area = "hall"
type = "cell"
windows = ["1min/1min"]
publish_every = "1min"
lateness = "0s"
staleness = "2h"
[[line.station]]
id = "m"
"""
RULES = """
format = "csv"
line = "L"
station = "m"
[time]
column = "t"
[[event]]
type = "count"
good = { column = "good" }
"""


def day(folder: Path, name: str, first: int, date: str = "02") -> str:
    """Twenty minutes of one part each."""
    rows = "".join(f"2026-03-{date}T{first:02d}:{k:02d}:00Z,1\n" for k in range(20))
    (folder / name).write_text("t,good\n" + rows)
    return str(folder / name)


class Feeding:
    """The command, against the settings of the test."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self._environment = process_environment(settings) | {"PYTHONPATH": str(Path(__file__).parents[2])}
        (folder / "plant.toml").write_text(PLANT)
        (folder / "rules.toml").write_text(RULES)
        self._named = ["--plant", str(folder / "plant.toml"), "--mapping", str(folder / "rules.toml")]

    async def __call__(self, *args: str) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "streams.cli", "feed", *self._named, *args),
            env=self._environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        return process.returncode or 0, said.decode()


@pytest.fixture
async def settings(broker: LocalBroker, prefix: str, tmp_path: Path) -> Settings:
    made = own_settings(broker, prefix, tmp_path)
    await ensure(made)
    return made


async def test_the_next_day_the_same_day_again_and_a_day_too_late(settings: Settings, tmp_path: Path) -> None:
    feed = Feeding(tmp_path, settings)
    one, two = day(tmp_path, "1.csv", 23), day(tmp_path, "2.csv", 0, "03")
    with workers() as started:
        worker = Worker(settings, tmp_path / "w.log", real=True)
        started.append(worker)
        await asyncio.to_thread(worker.wait_ready, 4, 240.0)
        for path in (one, two):
            code, said = await feed(path, "--wait", "60")
            assert (code, "read: 21 of 21 taken" in said) == (0, True), said
        code, said = await feed(two)
        assert code == 0
        assert "2.csv: was sent before (2.csv, " in said
        early = day(tmp_path, "early.csv", 22)
        code, said = await feed(early)
        assert code == 1
        assert "L: 20 of 20 events lie before 2026-03-03T00:20:00.000000000Z, and are late: 2.csv has ended" in said
        code, said = await feed(early, "--late", "--wait", "60")
        assert code == 1
        assert "refused late: 21; first at " in said or "refused late: 20; first at " in said, said
        assert "most of the events were late, repeated or refused" in said
        code, said = await feed(two, "--again", "--late", "--wait", "60")
        assert "refused late: 20" in said or "refused late: 19" in said, said
        assert await asyncio.to_thread(worker.end) == exits.OK, worker.log()
    rows = query(
        settings.audit, "SELECT sum(good)::INT AS n FROM kpis_plain WHERE station = 'm' AND window_id = '1min'"
    )
    assert rows.to_pylist() == [{"n": 40}]


async def test_without_a_worker_and_in_pieces(settings: Settings, tmp_path: Path) -> None:
    feed = Feeding(tmp_path, settings)
    one, two = day(tmp_path, "1.csv", 21), day(tmp_path, "2.csv", 22)
    code, said = await feed(one, "--open")
    assert code == 0
    assert "20 events sent" in said
    assert "not read yet: no worker reads" in said
    code, said = await feed(one, two)
    assert code == 0
    assert "1.csv: was sent before" in said
    assert "21 events sent" in said
