"""Following a folder of growing files, with a process that is killed at any step and a broker that only remembers."""

import random
from pathlib import Path
from typing import Any

import pytest

from streams.follow import Follower
from tests.support_sources import PLANT, mapping, plain
from twin.events.block import EventBlock
from twin.plant import loads
from twin.sources import SourceError, open_log

RULES = """
line = "L1"
station = { column = "who" }
heartbeat_every = "20s"
[time]
column = "t"
unit = "s"
origin = "2026-01-01T00:00:00Z"
[sample]
hold = "10s"
tolerance = "5s"
[order]
id = { column = "batch" }
[[event]]
type = "state"
state = { column = "s" }
[[event]]
type = "count"
good = { column = "n" }
"""
MODEL = loads(PLANT)
MAPPING = mapping(RULES)


class Killed(Exception):  # noqa: N818  what a signal would do
    pass


class Broker:
    """Keeps what it was sent; the twin behind it takes a number it has seen as a repeat."""

    def __init__(self) -> None:
        self.blocks: list[EventBlock] = []

    def events(self) -> list[dict[str, Any]]:
        seen: set[Any] = set()
        found = []
        for block in self.blocks:
            for event, epoch in zip(plain([block], MODEL), block.epoch.tolist(), strict=True):
                key = event["line"], event["station"], epoch, event["seq"]
                if key not in seen:
                    seen.add(key)
                    found.append(event)
        return found


def follower(folder: Path, **more: Any) -> Follower:
    return Follower(folder, MODEL, lambda path: MAPPING, key="k", ends=True, pattern="*.csv*", **more)


def run(folder: Path, broker: Broker, chance: random.Random | None = None) -> None:
    """Look until nothing is new; with a chance, killed before or after the broker has a batch."""
    one = follower(folder)
    one._next_look_s = type("Never", (dict,), {"get": lambda *_: 0.0})()
    for block, _ in one:
        if chance and chance.random() < 0.3:
            raise Killed
        broker.blocks.append(block)
        if chance and chance.random() < 0.3:
            raise Killed
        one.sent()


def written(chance: random.Random, who: str, at: int, rows: int) -> tuple[str, int]:
    """A file's text, and the time it ends at."""
    text = "t,who,s,n,batch\n"
    for _ in range(rows):
        at += chance.choice((5, 10, 10, 10, 40))
        state, batch = chance.choice(("on", "off")), chance.choice(("b1", "b1", "b2", ""))
        text += f"{at},{who},{state},{chance.randint(0, 3)},{batch}\n"
    return text, at


def bare(events: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [tuple(sorted((k, v) for k, v in event.items() if k != "seq")) for event in events]


@pytest.mark.parametrize("seed", range(12))
def test_every_event_once_whatever_happens(tmp_path: Path, seed: int) -> None:
    """Two machines, two files each, one after the other: they grow in pieces, are renamed, and the feed is killed."""
    chance = random.Random(seed)  # noqa: S311  repeatable
    texts, at = {}, 0
    for day in (1, 2):
        end = at
        for who in "AB":
            texts[f"{who}{day}"], last = written(chance, who, at, 40)
            end = max(end, last)
        at = end + 1000
    broker, folder = Broker(), tmp_path / "logs"
    folder.mkdir()
    for day in (1, 2):
        done = dict.fromkeys("AB", 0)
        while any(done[who] < len(texts[f"{who}{day}"]) for who in "AB"):
            for who in "AB":
                text = texts[f"{who}{day}"]
                more = chance.randint(0, 400)
                with (folder / f"{who}.csv").open("a") as file:
                    file.write(text[done[who] : done[who] + more])
                done[who] = min(len(text), done[who] + more)
            for _ in range(50):
                try:
                    run(folder, broker, chance)
                    break
                except Killed:
                    continue
        if day == 1:
            for who in "AB":
                (folder / f"{who}.csv").rename(folder / f"{who}-old.csv.1")
    run(folder, broker)
    got = broker.events()
    for who in "AB":
        right: list[dict[str, Any]] = []
        for day, stage in ((1, "complete"), (2, "growing")):
            path = tmp_path / f"{who}{day}.csv"
            path.write_text(texts[f"{who}{day}"])
            for block, _ in open_log(path, MODEL, MAPPING, stage):  # type: ignore[arg-type]
                right += plain([block], MODEL)
        own = [event for event in got if event["station"] == who]
        assert bare(own) == bare([event for event in right if event["station"] == who])


def test_a_cut_file_another_mapping_and_a_file_that_is_gone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder, broker = tmp_path / "logs", Broker()
    folder.mkdir()
    text, _ = written(random.Random(1), "A", 0, 20)  # noqa: S311  repeatable
    path = folder / "a.csv"
    path.write_text(text)
    (folder / "b.csv.tmp").write_text(text)
    (folder / "c.csv").write_text("no,such,columns\n1,2,3\n")
    run(folder, broker)
    assert "is not in the file" in caplog.text
    sent = len(broker.events())
    assert sent
    run(folder, broker)
    assert len(broker.events()) == sent
    path.write_text(text[: len(text) // 2])
    run(folder, broker)
    assert "was cut or replaced" in caplog.text
    with pytest.raises(SourceError, match="under another plant or mapping"):
        Follower(folder, MODEL, lambda path: MAPPING, key="other")
    with path.open("a") as file:
        file.write(text[len(text) // 2 :])
    with pytest.raises(Killed):
        run(folder, broker, type("Always", (random.Random,), {"random": lambda _: 0.0})())
    path.unlink()
    with pytest.raises(SourceError, match="may not have been sent"):
        run(folder, broker)


def test_whole_files_and_logs_that_are_sorted(tmp_path: Path) -> None:
    sorting = mapping(
        RULES.split("[sample]")[0].replace("[time]", "[time]\nsort = true") + "[[event]]" + RULES.split("[[event]]")[2]
    )
    path = tmp_path / "a.csv"
    path.write_text("t,who,n\n5,A,1\n1,A,2\n")
    with pytest.raises(SourceError, match="before it is complete"):
        open_log(path, MODEL, sorting, "growing")
    one = Follower(tmp_path, MODEL, lambda path: sorting, key="k", ends=True, pattern="*.csv")
    events = []
    for block, _ in one:
        events += plain([block], MODEL)
        one.sent()
    assert [event["at"] for event in events if event["type"] == "count"] == [1.0, 5.0]
