"""A log in several files is the log in one: what is open at a file's end goes on where the next one begins with it."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.sources import EPOCH, SAMPLED, S, mapping, plain, plant, run, write
from twin.plant import SourceRule
from twin.sources import files, open_logs, sorting

ROWS = """
line = "L1"
station = { column = "who" }
[time]
column = "t"
unit = "s"
origin = "2026-01-01T00:00:00Z"
[[event]]
type = "state"
state = { column = "st" }
[[event]]
type = "count"
good = { column = "n" }
[order]
id = { column = "o" }
product = { column = "p" }
"""
OF_STATION = ROWS.replace("[order]", '[order]\nof = "station"')
SPANS = OF_STATION.replace('column = "t"', 'column = "to"') + 'time = { column = "t" }\n'
HEADS = {ROWS: "t,who,st,n,o,p", OF_STATION: "t,who,st,n,o,p", SPANS: "t,to,who,st,n,o,p"}


def events(paths: list[Path], rules: str) -> list[dict[str, Any]]:
    """All but heartbeats, and states that say again what holds; the summary must count what comes."""
    logs = open_logs(paths, plant(), mapping(rules))
    blocks, _ = run(logs)
    assert logs.summary.n_events == sum(map(len, blocks))
    found, known = [], {}
    for one in plain(blocks, plant()):
        told = one["type"], one["station"], one.get("state")
        if one["type"] == "heartbeat" or (one["type"] == "state" and known.get(one["station"]) == told):
            continue
        if one["type"] == "state":
            known[one["station"]] = told
        found.append({key: value for key, value in one.items() if key != "seq"})
    return found


def in_files(folder: Path, head: str, rows: list[str], cuts: list[int], names: str = "abcdefgh") -> list[Path]:
    edges = [0, *cuts, len(rows)]
    parts = [rows[a:b] for a, b in pairwise(edges)]
    return [
        write(folder, f"{name}.csv", "\n".join([head, *part, ""])) for name, part in zip(names, parts, strict=False)
    ]


def some_rows(random: np.random.Generator, rules: str) -> list[str]:
    made, t, order = [], 0, "x"
    for k in range(24):
        begun, t = t, t + int(random.integers(1, 40))
        order = order if random.random() < 0.7 else ("x", "y", "z", "")[int(random.integers(4))]
        who = "A" if rules is SPANS else "AB"[int(random.integers(2))]
        cells = [t, who, ("on", "off")[int(random.integers(2))], k, order, f"p{order}"]
        made.append(",".join(map(str, [begun, *cells] if rules is SPANS else cells)))
    return made


@pytest.mark.parametrize("rules", [ROWS, OF_STATION, SPANS], ids=["of the line", "of stations", "spans"])
def test_cut_anywhere_it_gives_the_events_of_the_whole(tmp_path: Path, rules: str) -> None:
    for seed in range(20):
        random = np.random.default_rng(seed)
        rows = some_rows(random, rules)
        whole = events([write(tmp_path, "whole.csv", "\n".join([HEADS[rules], *rows, ""]))], rules)
        cuts = sorted({int(cut) for cut in random.integers(1, len(rows), int(random.integers(1, 4)))})
        found = events(in_files(tmp_path, HEADS[rules], rows, cuts), rules)
        if rules is SPANS:  # what has a time of its own is sorted by it alone
            found, whole = (sorted(some, key=lambda one: (one["at"], str(one))) for some in (found, whole))
        assert found == whole, (seed, cuts)


def test_samples_go_on_without_a_gap(tmp_path: Path) -> None:
    head, rows = "t,speed,made,batch,product", [f"{10 * k + k % 2 * 3},1,{k},x,red" for k in range(9)]
    whole = events([write(tmp_path, "whole.csv", "\n".join([head, *rows, ""]))], SAMPLED)
    assert [one for one in whole if one.get("state") == "unknown"] == [whole[-2]]
    for cut in range(1, 9):
        assert events(in_files(tmp_path, head, rows, [cut]), SAMPLED) == whole, cut
    # A gap between the files is one, and the order goes on over it as within a file.
    late = [*rows[:4], *(f"{100 + 10 * k},1,{k},x,red" for k in range(4, 9))]
    whole = events([write(tmp_path, "whole.csv", "\n".join([head, *late, ""]))], SAMPLED)
    assert events(in_files(tmp_path, head, late, [4]), SAMPLED) == whole
    assert sum(one.get("state") == "unknown" for one in whole) == 2


SPEEDS = SAMPLED.replace('station = "A"', 'station = { column = "who" }').split("[order]")[0] + "".join(
    f"[[event]]{rule}" for rule in SAMPLED.split("[[event]]")[1:]
)


def states_of(paths: list[Path]) -> list[tuple[Any, ...]]:
    """The states of stations that nothing says again."""
    return sorted((e["station"], e["at"], e["state"]) for e in events(paths, SPEEDS) if e["type"] == "state")


@pytest.mark.parametrize("piece", [64, files.PIECE_BYTES])
def test_samples_of_exports_that_overlap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int) -> None:
    """Each station's rows are cut by themselves, and some stand in both files: as if they stood in one."""
    pieces = files.LogFile.pieces
    monkeypatch.setattr(files.LogFile, "pieces", lambda self: pieces(self, piece))
    head = "t,who,speed,made"
    for seed in range(40):
        random = np.random.default_rng(seed)
        t = np.cumsum(random.choice([10, 10, 12, 15, 40], 24))
        rows = [(int(at), who, int(random.integers(2)), k) for k, at in enumerate(t) for who in "AB"]
        cuts = {who: sorted(random.integers(1, 23, 2).tolist()) for who in "AB"}
        ends = {who: cut + int(random.integers(0, 5)) for who, (cut, _) in cuts.items()}
        parts = [
            [row for row in rows if row[3] < ends[row[1]]],
            [row for row in rows if cuts[row[1]][0] <= row[3] < cuts[row[1]][1] + 1],
            [row for row in rows if cuts[row[1]][1] <= row[3]],
        ]
        whole, *logs = (
            write(tmp_path, f"{name}.csv", "\n".join([head, *(",".join(map(str, row)) for row in some), ""]))
            for name, some in zip("wabc", [rows, *parts], strict=True)
            if some
        )
        random.shuffle(logs)  # type: ignore[arg-type]
        assert states_of(logs) == states_of([whole]), (seed, logs)


def test_a_file_with_rows_before_and_after_a_gap_does_not_fill_it(tmp_path: Path) -> None:
    head = "t,who,speed,made"
    early = [f"{t},A,1,1" for t in range(0, 30, 10)]
    one = write(tmp_path, "a.csv", "\n".join([head, *early, *(f"{t},A,0,1" for t in range(30, 80, 10)), ""]))
    for begin in (0, -500):
        rows = [f"{t + begin},A,1,1" for t in range(0, 30, 10)] + [f"{t},A,1,1" for t in range(500, 530, 10)]
        two = write(tmp_path, "b.csv", "\n".join([head, *rows, ""]))
        for paths in ([one, two], [two, one]):
            *_, last = (state for _, at, state in states_of(paths) if at < 500)
            assert last == "unknown"


def test_samples_that_overlap_are_told(tmp_path: Path) -> None:
    """Not a single row that stands at the end of one file and at the beginning of the next."""
    head, rows = "t,who,speed", [f"{10 * k},A,1" for k in range(9)]
    rules = SPEEDS.rsplit("[[event]]", 1)[0]  # the same reading of a counter in both files is told by itself
    for begin, told in ((5, False), (4, False), (3, True), (0, True)):
        one = write(tmp_path, "a.csv", "\n".join([head, *rows[:5], ""]))
        two = write(tmp_path, "b.csv", "\n".join([head, *rows[begin:], ""]))
        for paths in ([one, two], [two, one]):
            logs = open_logs(paths, plant(), mapping(rules))
            run(logs)
            assert ("has samples of a station from" in str(logs.summary.problems.get("overlap"))) == told
            assert told or not logs.summary.problems


def test_a_folder_of_days_has_no_hole_at_midnight(tmp_path: Path) -> None:
    """What it was for: between the last row of a file and the first of the next one there was no order."""
    rows = [f"{60 * k},A,on,1,x,red" for k in range(6)]
    found = events(in_files(tmp_path, HEADS[ROWS], rows, [3]), ROWS)
    assert [(one["at"], one["phase"]) for one in found if one["type"] == "order"] == [(0, "start"), (300, "end")]


def test_files_named_backwards(tmp_path: Path) -> None:
    """The newest first: another order begins where it says, never before the first has ended."""
    rows = [f"{60 * k},A,on,1,{'xxxyyy'[k]},red" for k in range(6)]
    for rules in (ROWS, OF_STATION):
        for cut in (2, 3, 4):
            paths = in_files(tmp_path, HEADS[rules], rows, [cut], "ba")
            made = [one for one in events(sorted(paths), rules) if one["type"] == "order"]
            assert [(one["order"], one["phase"]) for one in made] == [
                ("x", "start"),
                ("x", "end"),
                ("y", "start"),
                ("y", "end"),
            ]


def test_an_order_that_another_file_has_begun_already_is_not_taken_for_it(tmp_path: Path) -> None:
    """Station A of the first file is silent before the second one begins with it, while B of the first goes on."""
    one = write(tmp_path, "a.csv", HEADS[OF_STATION] + "\n0,A,on,1,x,\n0,B,on,1,w,\n200,B,on,1,w,\n")
    rest = "150,A,on,1,x,\n180,A,on,1,y,\n250,A,on,1,y,\n300,B,on,1,w,\n"
    two = write(tmp_path, "b.csv", HEADS[OF_STATION] + "\n" + rest)
    made = [e for e in events([one, two], OF_STATION) if e["type"] == "order" and e["station"] == "A"]
    assert [(e["at"], e["phase"], e["order"]) for e in made if e["order"] == "y"] == [
        (180, "start", "y"),
        (250 + 50, "end", "y"),
    ]


def test_two_files_that_end_with_one_order_and_one_that_begins(tmp_path: Path) -> None:
    one = write(tmp_path, "a.csv", HEADS[ROWS] + "\n0,A,on,1,x,\n60,A,on,1,x,\n")
    two = write(tmp_path, "b.csv", HEADS[ROWS] + "\n0,B,on,1,x,\n60,B,on,1,x,\n")
    three = write(tmp_path, "c.csv", HEADS[ROWS] + "\n120,A,on,1,x,\n180,A,on,1,y,\n")
    made = [(e["at"], e["phase"], e["order"]) for e in events([one, two, three], ROWS) if e["type"] == "order"]
    assert made == [(0, "start", "x"), (0, "start", "x"), (120, "end", "x"), (180, "start", "y"), (180, "end", "y")]


LISTS = """
line = "L1"
station = { column = "who" }
[time]
column = "from"
unit = "s"
origin = "2026-01-01T00:00:00Z"
[[event]]
type = "state"
state = { column = "st" }
reason = { column = "why" }
until = { column = "to" }
otherwise = "on"
[[event]]
type = "count"
good = { column = "n" }
"""


@pytest.mark.parametrize("size", [3, sorting._BATCH])
def test_lists_of_stops_however_their_rows_are_dealt_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """Stops that lie within each other, overlap and stay open, in files of any rows, read in small pieces."""
    monkeypatch.setattr(sorting, "_BATCH", size)
    head = "from,to,who,st,why,n"
    for seed in range(40):
        random = np.random.default_rng(seed)
        begins = np.cumsum(random.integers(int(size == 3), 40, 24)).tolist()
        ends = [begin + int(random.choice([0, 5, 20, 90, 400])) if random.random() < 0.9 else "" for begin in begins]
        who = random.choice(["A", "B"], 24).tolist()
        rows = [f"{t},{to},{who[k]},off,{k},{k}" for k, (t, to) in enumerate(zip(begins, ends, strict=True))]
        whole = listed([write(tmp_path, "whole.csv", "\n".join([head, *rows, ""]))])
        # What begins together goes by the order of the rows, so it stays in one file.
        files_of = dict(zip(begins, random.integers(0, 3, 24).tolist(), strict=True))
        parts = [[row for t, row in zip(begins, rows, strict=True) if files_of[t] == part] for part in range(3)]
        logs = [write(tmp_path, f"{k}.csv", "\n".join([head, *part, ""])) for k, part in enumerate(parts) if part]
        assert listed(logs) == whole, seed


def listed(paths: list[Path]) -> list[tuple[Any, ...]]:
    logs = open_logs(paths, plant(), mapping(LISTS))
    blocks, _ = run(logs)
    assert logs.summary.n_events == sum(map(len, blocks))
    return sorted(
        (e["at"], e["station"], e["type"], str(e.get("state")), str({**e, "seq": 0})) for e in plain(blocks, plant())
    )


def test_a_list_of_stops_beside_a_log_of_other_rows(tmp_path: Path) -> None:
    """A stop's end comes before what is later in another log, though its own file says nothing meanwhile."""
    one = write(tmp_path, "a.csv", "from,to,who,st,why,n\n10,30,A,off,a,0\n")
    two = write(tmp_path, "b.csv", "from,to,who,st,why,n\n12,14,A,off,b,0\n100,110,A,off,c,0\n")
    beside = write(tmp_path, "c.jsonl", "".join(_count(at) for at in range(5, 120, 5)))
    rules = [SourceRule("*.csv", write(tmp_path, "m.toml", LISTS))]
    logs = open_logs([one, two, beside], plant(), rules=rules)
    found = plain(run(logs)[0], plant())[:-1]
    assert [e["at"] for e in found] == sorted(e["at"] for e in found)
    assert [(e["at"], e["state"]) for e in found if e["type"] == "state"] == [
        (10, "off"),
        (12, "off"),
        (14, "off"),
        (30, "on"),
        (100, "off"),
        (110, "on"),
    ]


def _count(at: int) -> str:
    return json.dumps({"type": "count", "ts": EPOCH + at * S, "line": "L1", "station": "B", "good": 1}) + "\n"
