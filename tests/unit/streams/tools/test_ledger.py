"""What a feed knows of those before it: numbers, files, and how far an interrupted one had come."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streams.settings import Settings
from streams.tools.ledger import Ledger, LedgerError, Run, fingerprint, run_key
from tests.support.sources import PLANT, mapping, plain
from twin.plant import loads
from twin.sources import open_logs
from twin.sources.source import Batch

MODEL = loads(PLANT)
RULES = """
line = "L1"
station = { column = "who" }
[time]
column = "t"
unit = "s"
origin = "2026-01-01T00:00:00.000000000Z"
[[event]]
type = "count"
good = { column = "n" }
"""


class Topic:
    """A compacted topic, and the producer and consumer of one ledger on it."""

    def __init__(self) -> None:
        self.records: dict[bytes, bytes] = {}

    def ledger(self) -> Ledger:
        one = Ledger(Settings(), MODEL)
        one._loop = asyncio.get_running_loop()
        one._producer = self  # type: ignore[assignment]  # only what is used of it

        async def refresh() -> None:
            for key, value in self.records.items():
                one.take(key, value)

        one.refresh = refresh  # type: ignore[method-assign]
        return one

    async def send(self, topic: str, value: bytes, *, key: bytes) -> "asyncio.Future[None]":
        assert topic == "twin.fed"
        self.records[key] = value
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done


class Killed(Exception):  # noqa: N818  what a signal would do
    pass


async def feed(topic: Topic, events: list[Any], path: Path, kill_at: int | None = None) -> Run:
    """As streams.tools.feed does; killed before or behind a batch. `events`: what the broker has."""
    ledger = topic.ledger()
    await ledger.refresh()
    files = [fingerprint(path)]
    run = Run(open_logs([path], MODEL, mapping(RULES)), ledger, files, run_key(files, "k"))
    batches: Iterator[Batch] = iter(run)
    number = 0
    while (batch := await asyncio.to_thread(next, batches, None)) is not None:
        await run.claim(batch[0], len(batch[1]))
        if kill_at == 2 * number:
            events.extend(plain([batch[0]], MODEL)[: len(batch[0]) // 2])
            raise Killed
        epochs = batch[0].epoch.tolist()
        events.extend(one | {"epoch": epoch} for one, epoch in zip(plain([batch[0]], MODEL), epochs, strict=True))
        if kill_at == 2 * number + 1:
            raise Killed
        run.sent()
        number += 1
    await run.end({0: (0, len(events))})
    return run


def taken(events: list[Any]) -> list[Any]:
    """As the twin does: a number seen is a repeat. The end of a log, which has none, may come twice."""
    seen, found = set(), []
    for event in events:
        key = event["station"], event["seq"]
        if key not in seen:
            found.append({name: value for name, value in event.items() if name not in ("seq", "epoch")})
        seen.add(key)
    return found


def log(path: Path, begin: int, rows: int) -> Path:
    path.write_text("t,who,n\n" + "".join(f"{begin + k},{'AB'[k % 3 % 2]},{k % 7}\n" for k in range(rows)))
    return path


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twin.sources.merge.BLOCK_EVENTS", 16)


async def test_the_next_file_goes_on_behind_the_one_before(tmp_path: Path) -> None:
    topic, events = Topic(), list[Any]()
    one, two = log(tmp_path / "1.csv", 0, 50), log(tmp_path / "2.csv", 2_000, 50)
    await feed(topic, events, one)
    await feed(topic, events, two)
    numbers = [event["seq"] for event in events if event["station"] == "A"]
    assert numbers == list(range(len(numbers)))
    whole = [event for block, _ in open_logs([one, two], MODEL, mapping(RULES)) for event in plain([block], MODEL)]
    counts = [event for event in whole if event["type"] == "count"]
    assert [e for e in taken(events) if e["type"] == "count"] == taken(counts)


@pytest.mark.parametrize("kill_at", range(8))
async def test_an_interrupted_feed_goes_on_and_no_event_counts_twice(tmp_path: Path, kill_at: int) -> None:
    """Also where another feed of the same stations came between."""
    topic, events = Topic(), list[Any]()
    one, two = log(tmp_path / "1.csv", 0, 50), log(tmp_path / "2.csv", 2_000, 20)
    with pytest.raises(Killed):
        await feed(topic, events, one, kill_at)
    between: list[Any] = []
    await feed(topic, between, two)
    first = len(events)
    run = await feed(topic, events, one)
    assert run.resumed
    assert run.fed.done
    assert run.fed.events == sum(1 for _ in taken(events))
    right = [event for block, _ in open_logs([one], MODEL, mapping(RULES)) for event in plain([block], MODEL)]
    assert sorted(map(str, taken(events))) == sorted(map(str, taken(right)))
    assert len(events) - first < len(right) or kill_at < 2
    # No number is that of another event.
    used = {(e["station"], e["seq"]) for e in between if e["seq"] >= 0}
    assert not used & {(e["station"], e["seq"]) for e in events}


async def test_what_is_known_afterwards(tmp_path: Path) -> None:
    topic, events = Topic(), list[Any]()
    path = log(tmp_path / "1.csv", 0, 50)
    run = await feed(topic, events, path)
    ledger = topic.ledger()
    await ledger.refresh()
    known = ledger.known([fingerprint(path)])[fingerprint(path).sha256]
    assert known.done
    assert (known.events, known.offsets) == (len(events), {"0": (0, len(events))})
    assert (known.first, known.last) == ("2026-01-01T00:00:00.000000000Z", ledger.lines["L1"].closed)
    line = ledger.lines["L1"]
    assert line.by == "1.csv"
    last = max(event["at"] for event in events if event["seq"] >= 0)
    assert line.newest == f"2026-01-01T00:00:{last:.0f}.000000000Z"
    assert line.closed is not None
    closed = ledger.closed_ns()
    assert closed[0] > 0
    assert closed[1] == 0
    numbers = ledger.numbers()
    assert numbers.next[:2].tolist() == [sum(e["station"] == who for e in events) for who in "AB"]
    ledger.take(b"run " + run.id.encode(), None)
    ledger.take(b'station ["L1","A"]', None)
    ledger.take(b"line L1", None)
    assert not ledger.runs
    assert not ledger.lines
    assert ledger.numbers().next[0] == 0
    ledger.take(b"other", b"{}")
    with pytest.raises(LedgerError, match=r"twin\.fed: the record of 'line L1' cannot be read"):
        ledger.take(b"line L1", b"[]")


async def test_an_older_record_of_a_station_sets_nothing_back() -> None:
    """Two feeds that write at the same time."""
    ledger = Topic().ledger()
    for epoch, following in ((0, 7), (1, 3), (0, 9), (1, 2)):
        value = f'{{"line":"L1","station":"A","epoch":{epoch},"next":{following}}}'
        ledger.take(b'station ["L1","A"]', value.encode())
    numbers = ledger.numbers()
    assert (numbers.epoch[0], numbers.next[0]) == (1, 3)
    assert not np.any(numbers.next[1:])
