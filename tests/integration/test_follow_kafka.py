"""`twin feed --follow` as a process: killed while files grow, started again, and the topic holds each event."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from streams.kafka.topics import ensure
from streams.local.broker import LocalBroker
from streams.settings import Settings
from tests.integration.test_feed_kafka import read_all
from tests.support.sources import PLANT
from tests.support.streams import die_with_parent, process_environment, wait_for
from twin.plant import loads
from twin.wire.decode import Decoder

pytestmark = pytest.mark.kafka

RULES = """
line = "L1"
station = "{file}"
[time]
column = "t"
unit = "s"
origin = "2026-01-01T00:00:00Z"
[[event]]
type = "count"
good = { column = "n" }
"""
HEAD, ROWS = "t,n\n", 400


@pytest.fixture
async def settings(broker: LocalBroker, prefix: str) -> Settings:
    made = Settings(bootstrap=broker.bootstrap, prefix=prefix)
    await ensure(made)
    return made


async def test_killed_and_started_again(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "plant.toml").write_text(PLANT)
    (tmp_path / "mapping.toml").write_text(RULES)
    folder = tmp_path / "logs"
    folder.mkdir()
    said = tmp_path / "said.txt"

    def start() -> "subprocess.Popen[bytes]":
        command = ["feed", "--plant", "plant.toml", "--mapping", "mapping.toml", "--follow", str(folder)]
        with said.open("ab") as out:
            return subprocess.Popen(  # noqa: S603  own command
                [sys.executable, "-m", "streams.cli", *command],
                cwd=tmp_path,
                env=process_environment(settings) | {"PYTHONPATH": str(Path(__file__).parents[2])},
                stdout=out,
                stderr=subprocess.STDOUT,
                preexec_fn=die_with_parent,
            )

    def grow(first: int, following: int) -> None:
        for name in "AB":
            path = folder / f"{name}.csv"
            rows = "".join(f"{i},{i % 5 + 1}\n" for i in range(first, following))
            with path.open("a") as file:
                file.write(("" if first else HEAD) + rows[:-3] if following < ROWS else rows)
                file.write(rows[-3:] if following < ROWS else "")

    state = folder / ".twin-feed.json"

    def confirmed(events: int) -> bool:
        return (
            state.exists()
            and state.read_text().count(f'"events":{events},') >= 2
            and '"pending":null' in state.read_text()
        )

    process = start()
    try:
        grow(0, 100)
        wait_for(lambda: confirmed(100), 60, said.read_text)
        grow(100, 250)
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        grow(250, ROWS)
        process = start()
        wait_for(lambda: confirmed(ROWS), 60, said.read_text)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
    finally:
        process.kill()
    decoder = Decoder(loads(PLANT))
    seen: dict[tuple[int, int, int], tuple[int, int]] = {}
    for records in (await read_all(settings)).values():
        block, refused = decoder.decode([value for _, value, _ in records], range(len(records)))
        assert not refused
        keys = zip(block.station.tolist(), block.epoch.tolist(), block.seq.tolist(), strict=True)
        for key, ts, good in zip(keys, block.ts.tolist(), block.a.tolist(), strict=True):
            assert seen.setdefault(key, (ts, good)) == (ts, good), "one number, one event"
    for station in (0, 1):
        mine = sorted(value for key, value in seen.items() if key[0] == station)
        assert [good for _, good in mine] == [i % 5 + 1 for i in range(ROWS)]
