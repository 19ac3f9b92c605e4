"""JSON lines: the way of the wire, with what is refused beside the events."""

import json
from pathlib import Path

import pytest

from tests.support.sources import EPOCH, S, plain, plant, run, short, write
from twin.sources import BLOCK_EVENTS, open_log, open_logs


def state(at: int, word: str = "on", **more: object) -> str:
    return json.dumps({"type": "state", "ts": EPOCH + at * S, "line": "L1", "station": "A", "state": word, **more})


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson.gz"])
def test_lines_become_events_and_refusals(tmp_path: Path, name: str) -> None:
    text = "\n".join(
        [state(0, seq=7), "not json", "", state(1, "dancing"), f"[{state(2)}, {state(3)}]\r", '{"a"', state(4)]
    )
    logs = open_logs([write(tmp_path, name, text)], plant())
    blocks, refused = run(logs)
    events = plain(blocks, plant())
    assert short(events, "type", "at", "seq") == [
        ("state", 0, 7),
        ("state", 2, -1),
        ("state", 3, -1),
        ("state", 4, -1),
        ("heartbeat", 60 + 2, -1),  # the next publishing tick, and the lateness
    ]
    assert [one.reason for one in refused] == ["not_json", "unknown_state", "not_json"]
    assert refused[0].value == b"not json"
    assert {reason: (tally.count, tally.first.split(": ")[0]) for reason, tally in logs.summary.rejected.items()} == {
        "not_json": (2, f"{tmp_path}/{name}:2"),
        "unknown_state": (1, f"{tmp_path}/{name}:4"),
    }
    assert logs.summary.rows == 6
    assert [n for block in blocks for n in block.offset.tolist()] == [0, 1, 2, 3, 4]


def test_only_refusals_still_come_out(tmp_path: Path) -> None:
    logs = open_logs([write(tmp_path, "a.jsonl", b"\xff\xfe\n[]\n5\n")], plant())
    blocks, refused = run(logs)
    assert sum(map(len, blocks)) == 0
    assert [(one.reason, one.value) for one in refused] == [("bad_utf8", b"\xff\xfe"), ("wrong_type", b"5")]
    assert logs.summary.rows == 3


def test_blocks_stay_small_whatever_a_line_holds(tmp_path: Path) -> None:
    line = "[" + ",".join(state(t) for t in range(5000)) + "]\n"
    source = open_log(write(tmp_path, "a.jsonl", line * 30), plant())
    sizes = [len(block) for block, _ in source]
    assert sum(sizes) == 150_000
    assert max(sizes) <= BLOCK_EVENTS


def test_an_empty_log(tmp_path: Path) -> None:
    logs = open_logs([write(tmp_path, "a.jsonl", "")], plant())
    assert run(logs) == ([], [])


def test_events_without_a_number_in_two_files_are_told(tmp_path: Path) -> None:
    def count(at: int, **more: object) -> str:
        told = {"type": "count", "ts": EPOCH + at * S, "line": "L1", "station": "A", "good": 1, **more}
        return json.dumps(told) + "\n"

    def overlap(one: str, two: str) -> int:
        logs = open_logs([write(tmp_path, "a.jsonl", one), write(tmp_path, "b.jsonl", two)], plant())
        run(logs)
        found = logs.summary.problems.get("overlap")
        return found.count if found is not None else 0

    bare = [count(at) for at in range(15)]
    assert overlap("".join(bare[:10]), "".join(bare[5:])) == 5
    numbered = [count(at, seq=at) for at in range(15)]
    assert overlap("".join(numbered[:10]), "".join(numbered[5:])) == 0
    assert overlap("".join(bare[:10]), "".join(numbered[5:])) == 0  # nobody can tell that it is the same
    assert overlap("".join([bare[0], *numbered[1:9], bare[9]]), "".join([*numbered[5:9], bare[9]])) == 1
    assert overlap(bare[1] + bare[1] + bare[2], bare[3] + bare[4]) == 0
