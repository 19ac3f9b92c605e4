"""Following a folder of growing files, with a process that is killed at any step and a broker that only remembers."""

import random
from pathlib import Path
from typing import Any

import pytest

from streams.tools.follow import Follower
from tests.support.sources import PLANT, mapping, plain
from twin.events.block import EventBlock
from twin.plant import loads
from twin.sources import SourceError, open_log
from twin.sources.merge import Numbers

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


def follower(folder: Path, by: Any = MAPPING, **more: Any) -> Follower:
    return Follower(folder, MODEL, lambda path: by, key="k", ends=True, pattern="*.csv*", **more)


def run(folder: Path, broker: Broker, chance: random.Random | None = None, by: Any = MAPPING) -> None:
    """Look until nothing is new; with a chance, killed before or after the broker has a batch."""
    one = follower(folder, by)
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


@pytest.mark.parametrize("of", ["", 'of = "station"\n'], ids=["of the line", "of stations"])
@pytest.mark.parametrize("sampled", [True, False])
def test_an_order_goes_on_in_the_file_that_follows(tmp_path: Path, of: str, sampled: bool) -> None:
    """A gateway that begins a file each minute, killed at any step: an order begins once, and ends where it does."""
    rules = RULES.replace("[order]\n", f"[order]\n{of}")
    rules = rules if sampled else rules.replace('[sample]\nhold = "10s"\ntolerance = "5s"\n', "")
    text = mapping(rules)
    batches = ["b1"] * 14 + ["b2"] * 10
    for seed in range(6):
        chance, broker, folder = random.Random(seed), Broker(), tmp_path / str(seed)  # noqa: S311  repeatable
        folder.mkdir()
        for hour in range(4):
            rows = [f"{10 * k},A,on,1,{batches[k]}" for k in range(6 * hour, 6 * hour + 6)]
            (folder / f"{hour}.csv").write_text("\n".join(["t,who,s,n,batch", *rows, ""]))
            for _ in range(50):
                try:
                    run(folder, broker, chance if seed else None, text)
                    break
                except Killed:
                    continue
        got = broker.events()
        orders = [(e["at"], e["phase"], e["order"]) for e in got if e["type"] == "order"]
        end = 140 if of or sampled else 130  # without a hold a line's order ends with its last row, as within a file
        begun = [(0, "start", "b1"), (end, "end", "b1"), (140, "start", "b2")]
        # After a kill its start may come again, which is the same order's; it never ends before it does.
        assert orders == begun if seed == 0 else [one for one in orders if one in begun] == begun, (seed, orders)
        assert {one for one in orders if one[1] == "end"} == {(end, "end", "b1")}, (seed, orders)
        assert [e["at"] for e in got if e["type"] == "count"] == [10 * k for k in range(24)]
        assert not [e for e in got if e.get("state") == "unknown"]


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
    path.write_text("t,who,s,n,batch\n9,A,on,1,b1\n19,A,on,1,b1\n29,A,off,1,b1\n")
    run(folder, broker)
    assert "was cut or replaced" in caplog.text
    assert len(broker.events()) > sent
    with pytest.raises(SourceError, match="under another plant or mapping"):
        Follower(folder, MODEL, lambda path: MAPPING, key="other")
    with path.open("a") as file:
        file.write("39,A,on,2,b1\n49,A,off,2,b1\n")
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


@pytest.mark.parametrize("seed", range(8))
def test_a_file_that_is_cut_to_a_part_is_not_counted_twice(tmp_path: Path, seed: int) -> None:
    """A copy that is written over in pieces; one that goes on otherwise from somewhere; one that is begun anew."""
    chance = random.Random(seed)  # noqa: S311  repeatable
    folder, broker = tmp_path / "logs", Broker()
    folder.mkdir()
    path = folder / "a.csv"
    text, end = written(chance, "A", 0, 300)
    path.write_text(text)
    run(folder, broker)
    sent = broker.events()
    cut = chance.randrange(200, len(text))
    for size in (cut, (cut + len(text)) // 2, len(text)):
        path.write_text(text[:size])
        run(folder, broker)
        assert broker.events() == sent
    path.write_text(text[:cut])
    run(folder, broker)
    more, _ = written(chance, "A", end + 1_000, 100)
    rows = text[:cut].rsplit("\n", 1)[0] + "\n" + more.split("\n", 1)[1]
    path.write_text(rows)
    run(folder, broker)
    fresh = [event for event in broker.events() if event["at"] > end + 500]
    other = tmp_path / "right.csv"
    other.write_text(rows)
    right = [event for block, _ in open_log(other, MODEL, MAPPING, "growing") for event in plain([block], MODEL)]
    assert bare(fresh) == bare([event for event in right if event["at"] > end + 500])


def test_a_file_begun_anew_under_its_name_is_sent_however_short_it_is(tmp_path: Path) -> None:
    folder, broker = tmp_path / "logs", Broker()
    folder.mkdir()
    path = folder / "a.csv"
    text, end = written(random.Random(3), "A", 0, 50)  # noqa: S311  repeatable
    path.write_text(text)
    run(folder, broker)
    sent = len(broker.events())
    path.write_text("t,who,s,n,batch\n")
    run(folder, broker)
    assert len(broker.events()) == sent
    path.write_text(f"t,who,s,n,batch\n{end + 900},A,on,1,\n{end + 910},A,on,2,\n{end + 920},A,on,2,\n")
    run(folder, broker)
    assert len(broker.events()) > sent


class Others:
    """What other feeds have sent."""

    def __init__(self, slots: int) -> None:
        self.known = Numbers(slots)
        self.files: set[bytes] = set()

    def numbers(self) -> Numbers:
        return self.known

    def sent_before(self, path: Path) -> str | None:
        return "by hand" if path.read_bytes() in self.files else None

    def sent_now(self, path: Path, size: int) -> None:
        self.files.add(path.read_bytes()[:size])


def test_numbers_and_files_of_other_feeds_are_known(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    others, broker = Others(len(MODEL.stations) + len(MODEL.lines)), Broker()
    folder = tmp_path / "logs"
    folder.mkdir()
    first, end = written(random.Random(1), "A", 0, 20)  # noqa: S311  repeatable
    second, _ = written(random.Random(2), "A", end + 100, 20)  # noqa: S311  repeatable

    def look() -> None:
        one = follower(folder, fed=others)
        one._next_look_s = type("Never", (dict,), {"get": lambda *_: 0.0})()
        for block, _ in one:
            broker.blocks.append(block)
            one.sent()

    (folder / "a.csv").write_text(first)
    look()
    used = max(int(block.seq.max()) for block in broker.blocks)
    epoch = int(broker.blocks[0].epoch.max())
    # Another feed goes on after it; then one under a newer epoch.
    others.known.epoch[:], others.known.next[:] = epoch, used + 500
    (folder / "b.csv").write_text(second)
    sent = len(broker.blocks)
    look()
    assert min(int(block.seq[block.seq >= 0].min()) for block in broker.blocks[sent:]) >= used + 500
    others.known.epoch[:], others.known.next[:] = epoch + 1, 7
    with (folder / "b.csv").open("a") as file:
        file.write("90000,A,on,1,\n90010,A,off,2,\n90020,A,on,2,\n")
    sent = len(broker.blocks)
    look()
    assert {int(block.epoch.max()) for block in broker.blocks[sent:]} == {epoch + 1}
    assert min(int(block.seq.min()) for block in broker.blocks[sent:]) == 7
    # A file that another feed has sent; what is added to it is.
    third, last = written(random.Random(4), "B", end + 90_000, 20)  # noqa: S311  repeatable
    others.files.add(third.encode())
    (folder / "c.csv").write_text(third)
    sent = len(broker.blocks)
    look()
    assert len(broker.blocks) == sent
    assert "was sent before, by hand" in caplog.text
    with (folder / "c.csv").open("a") as file:
        file.write(f"{last + 1_000},B,on,1,\n{last + 1_010},B,off,2,\n{last + 1_020},B,on,2,\n")
    look()
    assert len(broker.blocks) > sent
    assert min(event["at"] for event in plain(broker.blocks[sent:], MODEL)) >= last - 60
