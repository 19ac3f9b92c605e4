"""Several logs as one: order, numbers, the end, and which mapping is taken."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.support.fold import block, heartbeat
from tests.support.sources import EPOCH, PLANT, SAMPLED, S, mapping, plain, plant, run, short, write
from twin.line import PartitionTwin
from twin.plant import load
from twin.sources import BLOCK_EVENTS, Logs, SourceError, open_logs
from twin.sources.ending import Ends, closing_ns

START = 1_700_000_000 * S
HEAD = "t,speed,made,batch,product\n"
EVENTS = """
line = "L1"
station = { column = "s" }
[time]
column = "t"
unit = "s"
origin = "2026-01-01T00:00:00Z"
[[event]]
type = "cycle"
phase = "end"
unit = { column = "u" }
"""


def cycles(folder: Path, name: str, rows: list[tuple[int, str]]) -> Path:
    return write(folder, name, "t,s,u\n" + "".join(f"{t},{s},{name}{i}\n" for i, (t, s) in enumerate(rows)))


def test_logs_are_merged_by_time_and_numbered_per_station(tmp_path: Path) -> None:
    one = cycles(tmp_path, "1", [(0, "A"), (2, "A"), (2, "B"), (6, "A")])
    two = cycles(tmp_path, "2", [(1, "A"), (2, "A"), (7, "B")])
    blocks, _ = run(open_logs([one, two], plant(), mapping(EVENTS)))
    events = plain(blocks, plant())
    assert short(events[:-1], "at", "station", "seq", "unit") == [
        (0, "A", 0, "10"),
        (1, "A", 1, "20"),
        (2, "A", 2, "11"),
        (2, "B", 0, "12"),
        (2, "A", 3, "21"),
        (6, "A", 4, "13"),
        (7, "B", 1, "22"),
    ]
    assert np.concatenate([block.offset for block in blocks]).tolist() == list(range(8))


def test_a_late_row_follows_what_stood_before_it(tmp_path: Path) -> None:
    one = cycles(tmp_path, "1", [(0, "A"), (10, "A"), (3, "A"), (11, "A")])
    two = cycles(tmp_path, "2", [(5, "B"), (10, "B")])
    events = plain(run(open_logs([one, two], plant(), mapping(EVENTS)))[0], plant())
    assert [e["at"] for e in events[:-1]] == [0, 5, 10, 3, 10, 11]


def test_every_line_ends_with_a_heartbeat_that_closes_what_is_open(tmp_path: Path) -> None:
    sampled = write(tmp_path, "a.csv", HEAD + "0,1,,,\n")
    other = json.dumps({"type": "heartbeat", "ts": EPOCH, "line": "L2"})
    lines = write(tmp_path, "b.jsonl", other)
    logs = open_logs([sampled, lines], plant(), mapping())
    blocks, _ = run(logs)
    ends = plain(blocks[-1:], plant())
    # The publishing tick behind the newest event, + lateness, + the minor stop of a station that last said it stands.
    assert short(ends, "line", "at", "seq", "station") == [("L2", 60, -1, None), ("L1", 60 + 2, -1, None)]
    assert [blocks[-1].words[y] for y in blocks[-1].y] == ["end of log", "end of log"]
    assert logs.summary.events == {"state": 2, "heartbeat": 3}


def test_a_clock_that_ran_wild_does_not_set_the_end(tmp_path: Path) -> None:
    log = cycles(tmp_path, "1", [(0, "A"), (10**9, "A"), (5, "A")])
    end = plain(run(open_logs([log], plant(), mapping(EVENTS)))[0], plant())[-1]
    assert end["at"] == 60 + 2


@pytest.mark.parametrize("lateness", ["2s", "27min", "29min", "5h", "3d"])
def test_the_end_is_believed_whatever_it_waits_for(tmp_path: Path, lateness: str) -> None:
    model = plant(PLANT.replace('lateness = "2s"', f'lateness = "{lateness}"'))
    log = cycles(tmp_path, "1", [(0, "A"), (1, "A"), (5, "A")])
    blocks, _ = run(open_logs([log], model, mapping(EVENTS)))
    assert [e["type"] for e in plain(blocks, model)].count("heartbeat") == 1
    twin = PartitionTwin(model, 0)
    results = [twin.fold(block) for block in blocks]
    assert sum(one.events for one in results) == 4
    assert not any("rejected" in one.tables for one in results)


@pytest.mark.parametrize(
    ("times", "newest"),
    [
        ([0, 1, 10_000], 10_000),  # a jump nobody confirms, and nobody refutes: the end of the log confirms it
        ([0, 1, 100_000], 1),  # unless it is too far ahead
        ([0, 1, 10_000, 2], 2),
        ([0, 1, 10_000, 10_000, 2], 2),  # the same instant is no confirmation
        ([0, 1, 10_000, 10_001], 10_001),
        ([0, 1, 10_001, 10_000], 10_001),
        ([0, 1, 10_000, 90_000, 10_001], 10_001),
        ([0, 1, 10_000, 20_000, 10_001, 10_002], 10_002),
        ([0, 5_400, 10_800, 16_200, 21_600], 21_600),  # one event in 90 minutes
        ([0, 10_000, 1, 10_001, 2], 2),
        ([90_000, 0, 1], 1),  # a first event nobody confirms
        ([90_000, 0], 0),  # two: the end of the log confirms the last
        ([5], 5),
        ([0, 3600, 7200], 7200),
    ],
)
def test_the_newest_time_needs_confirmation_after_a_jump(times: list[int], newest: int) -> None:
    events = [heartbeat(START + t * S) for t in times]
    whole, single = Ends(plant()), Ends(plant())
    whole.add(block(events), np.full(len(events), True))
    for one in events:
        single.add(block([one]), np.full(1, True))
    end = closing_ns(plant().lines[0], START + newest * S, [])
    assert whole.ends() == single.ends() == [(end, 0)]


def test_blocks_have_a_limit(tmp_path: Path) -> None:
    rows = [(t // 3, "AB"[t % 2]) for t in range(BLOCK_EVENTS * 2)]
    logs = open_logs([cycles(tmp_path, "1", rows), cycles(tmp_path, "2", rows[:10])], plant(), mapping(EVENTS))
    blocks, _ = run(logs)
    assert max(map(len, blocks)) <= BLOCK_EVENTS
    assert sum(map(len, blocks)) == len(rows) + 10 + 1
    for one in blocks[:3]:
        assert sorted(set(one.x.tolist()) - {-1}) == list(range(len(one.words)))


def test_refusals_come_through_a_merge(tmp_path: Path) -> None:
    one = write(tmp_path, "a.jsonl", "nonsense\n")
    two = cycles(tmp_path, "1", [(0, "A")])
    logs = open_logs([one, two], plant(), mapping(EVENTS))
    blocks, refused = run(logs)
    assert [r.reason for r in refused] == ["not_json"]
    assert refused[0].offset == 0
    assert sum(map(len, blocks)) == 2
    assert logs.summary.rejected["not_json"].first.startswith(f"{tmp_path}/a.jsonl:1: ")


def test_the_rules_of_the_plant_choose_the_mapping(tmp_path: Path) -> None:
    write(tmp_path, "sampled.toml", SAMPLED)
    write(tmp_path, "events.toml", EVENTS)
    source = "".join(
        f'[[source]]\nfiles = "{files}"\nmapping = "{name}.toml"\n'
        for files, name in (("press-*.csv", "sampled"), ("*", "events"))
    )
    path = write(tmp_path, "plant.toml", PLANT + source)
    logs = [write(tmp_path, "press-1.csv", HEAD + "0,1,,,\n"), cycles(tmp_path, "x.csv", [(3, "B")])]
    blocks, _ = run(open_logs(logs, load(path)))
    assert short(plain(blocks, plant())[:-1], "type", "station") == [("state", "A"), ("cycle", "B"), ("state", "A")]
    # A mapping that is named wins.
    with pytest.raises(SourceError, match='column "s" of mapping'):
        run(open_logs(logs, load(path), mapping(EVENTS)))


def test_no_logs_no_events() -> None:
    assert run(Logs([], plant())) == ([], [])
