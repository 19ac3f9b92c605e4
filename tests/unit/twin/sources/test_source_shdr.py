"""SHDR logs: states with reason and mode, counts, heartbeats, and rows that cannot be read."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.sources import mapping, plant, read, short, write
from twin.sources import Logs, MappingError

RULES = """
format = "shdr"
line = "L1"
station = "A"
heartbeat_every = "10s"
[state]
item = "exec"
words = { ACTIVE = "on", STOPPED = "off" }
[mode]
item = "mode"
[reason]
items = ["logic", "motion"]
[[count]]
item = "counter"
counter = "made"
[[count]]
item = "bad"
parts = "scrap"
"""
DAY = "2026-01-01T00:"


def shdr(folder: Path, *rows: str) -> tuple[list[dict[str, Any]], Logs]:
    return read(write(folder, "a.txt", "\n".join(DAY + row if row[:1] == "0" else row for row in rows)), RULES)


def accounted(logs: Logs) -> bool:
    """Every observation is one event, ignored, or a problem; one event more is the heartbeat at the end."""
    summary = logs.summary
    jumps = sum(tally.count for reason, tally in summary.problems.items() if reason.startswith("jump"))
    problems = sum(tally.count for tally in summary.problems.values()) - jumps
    return summary.rows == summary.n_events - 1 + summary.ignored + problems


def test_states_change_and_unavailable_is_unknown(tmp_path: Path) -> None:
    rows = "00:00Z|exec|ACTIVE", "00:01Z|exec|ACTIVE", "00:02Z|exec|STOPPED", "00:03Z|exec|UNAVAILABLE"
    events, logs = shdr(tmp_path, *rows, "00:04.123456789Z|exec|ACTIVE")
    assert short(events, "at", "state") == [(0, "on"), (2, "off"), (3, "unknown"), (4.123456789, "on")]
    assert accounted(logs)


def test_reason_and_mode_belong_to_the_state(tmp_path: Path) -> None:
    events, logs = shdr(
        tmp_path,
        "00:00Z|mode|AUTO",
        "00:01Z|logic|Warning|361||| SET UP",
        "00:02Z|exec|STOPPED",
        "00:03Z|motion|Fault|148||HIGH|BARRIER",
        "00:04Z|motion|Fault|149|||AXIS",
        "00:05Z|motion|Normal|148|||",
        "00:06Z|motion|Normal||||",
        "00:07Z|logic|Unavailable||||",
        "00:08Z|mode|UNAVAILABLE",
    )
    assert short([e for e in events if e["type"] == "state"], "at", "reason", "mode") == [
        (2, "361 SET UP", "AUTO"),
        (3, "148 BARRIER", "AUTO"),
        (5, "149 AXIS", "AUTO"),
        (6, "361 SET UP", "AUTO"),
        (7, None, "AUTO"),
        (8, None, None),
    ]
    assert accounted(logs)


def test_a_mode_stamped_before_its_state_does_not_move_the_state(tmp_path: Path) -> None:
    events, _ = shdr(tmp_path, "00:10.5Z|exec|ACTIVE", "00:10.2Z|mode|AUTO")
    assert short(events, "at", "state", "mode") == [(10.5, "on", None), (10.5, "on", "AUTO")]


def test_a_state_that_arrives_late_says_what_was_then(tmp_path: Path) -> None:
    events, _ = shdr(tmp_path, "00:10Z|exec|ACTIVE", "00:09Z|exec|STOPPED", "00:11Z|exec|ACTIVE", "00:12Z|exec|STOPPED")
    assert short(events, "at", "state") == [(10, "on"), (9, "off"), (12, "off")]


def test_counts(tmp_path: Path) -> None:
    events, logs = shdr(
        tmp_path,
        "00:00Z|counter|41|bad|0",
        "00:01Z|counter|41|bad|2",
        "00:02Z|counter|UNAVAILABLE",
        "00:03Z|counter|1000",
        "00:04Z|counter|4.5",
        "00:05Z|counter|42.0",
    )
    assert short([e for e in events if e["type"] == "count"], "at", "counter", "value", "parts") == [
        (0, "made", 41, None),
        (1, None, None, (0, 2, 0)),
        (5, "made", 42, None),
    ]
    assert {reason: tally.first for reason, tally in logs.summary.problems.items()} == {
        "impossible_value": f"{tmp_path}/a.txt:4: counter is below 0 or above what it can show: 1000",
        "unreadable_number": f"{tmp_path}/a.txt:5: counter is not a whole number: 4.5",
    }
    assert logs.summary.rows == 8
    assert accounted(logs)


def test_what_is_not_mapped_shows_that_the_source_lives(tmp_path: Path) -> None:
    rows = [f"00:{s:02d}Z|load|{s}" for s in range(30)] + ["00:31Z|load|UNAVAILABLE", "00:45Z|other|Unavailable||||"]
    events, logs = shdr(tmp_path, *rows)
    assert short(events, "type", "at", "station") == [("heartbeat", t, "A") for t in (0, 10, 20)]
    assert logs.summary.ignored == 29
    assert accounted(logs)


def test_rows_that_cannot_be_read_are_counted(tmp_path: Path) -> None:
    events, logs = shdr(
        tmp_path,
        "* PONG 10000",
        "nonsense",
        "|exec|ACTIVE",
        "00:00Z|exec",
        "00:01Z|exec|DANCING",
        "00:02Z|note|17|a message",
        "",
        "00:03Z@2.5|exec|ACTIVE\r",
        "00:04Z|@ASSET@|7|Tool|x",
    )
    assert short([e for e in events if e["type"] == "state"], "at", "state") == [(3, "on")]
    assert {reason: (tally.count, tally.first.split(":")[1]) for reason, tally in logs.summary.problems.items()} == {
        "bad_time": (2, "2"),
        "wrong_fields": (1, "4"),
        "unknown_state": (1, "5"),
    }
    assert logs.summary.rows == 8
    assert accounted(logs)


def test_the_row_numbers_go_on_over_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twin.sources.files._RAW_BYTES", 7)
    monkeypatch.setattr("twin.sources.files.LogFile.pieces.__defaults__", (7,))
    _, logs = shdr(tmp_path, "00:00Z|exec|ACTIVE", "00:01Z|x|1", "bad|x|1")
    assert logs.summary.problems["bad_time"].first.startswith(f"{tmp_path}/a.txt:3: ")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (('station = "A"', 'station = "Z"'), 'm: station: station "Z" is not in line "L1"'),
        (('counter = "made"', 'counter = "mode"'), 'counter "mode" is not declared at station "A"'),
        (('STOPPED = "off"', 'STOPPED = "oof"'), 'state.words.STOPPED: state "oof" is not known'),
        (('parts = "scrap"', 'parts = "bin"'), 'parts: "bin" is not one of good, scrap, rework'),
        (('item = "exec"', "item = 1"), "state.item: this is a number; write text in quotes"),
        (("[state]", "[stat]"), "state: is missing; add a table [state]"),
        (('["logic", "motion"]', '["logic", "logic"]'), '"logic" stands twice'),
    ],
)
def test_mistakes_in_a_mapping(tmp_path: Path, change: tuple[str, str], expected: str) -> None:
    assert change[0] in RULES
    with pytest.raises(MappingError) as caught:
        read(write(tmp_path, "a.txt", ""), RULES.replace(*change))
    assert expected.removeprefix("m: ") in str(caught.value)
    assert plant()
    assert mapping(RULES)
