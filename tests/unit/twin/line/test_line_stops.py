"""Stops in which the source changes its word, and the alert of a suspect ideal cycle time."""

import json
from typing import Any

import pytest

from twin.line import PartitionTwin
from twin.plant import loads
from twin.plant.model import Plant
from twin.wire.decode import Decoder

S = 1_000_000_000
T0 = 1_772_409_600 * S
Row = dict[str, Any]

PLANT = """
site = "test"
area = [{{ id = "a" }}]
[[line]]
id = "L"
area = "a"
type = "flow"
lateness = "0s"
minor_stop = "1min"
publish_every = "10min"
windows = ["10min/1min"]
[[line.station]]
id = "s"
ideal_cycle = "1s"
[[line.station.counter]]
id = "made"
quality = "good"
scale = {scale}
[line.states]
run = "running"
hold = "stopped"
stop = "stopped"
"""


def plant(scale: int = 1) -> Plant:
    return loads(PLANT.format(scale=scale))


def state(second: int, word: str, reason: str | None = None) -> Row:
    return {"type": "state", "ts": T0 + second * S, "line": "L", "station": "s", "state": word, "reason": reason}


def beat(second: int) -> Row:
    return {"type": "heartbeat", "ts": T0 + second * S, "line": "L"}


def fold(where: Plant, events: list[Row], set_name: str, cut: int, *, restored: bool = False) -> list[Row]:
    """Rows of a set, the events given `cut` at a time; `restored`: through a snapshot after every call."""
    twin, decoder = PartitionTwin(where, 0), Decoder(where)
    rows: list[Row] = []
    for begin in range(0, len(events), cut):
        records = [json.dumps(event).encode() for event in events[begin : begin + cut]]
        block, refused = decoder.decode(records, range(begin, begin + len(records)))
        assert not refused
        table = twin.fold(block).tables.get(set_name)
        rows += [] if table is None else table.to_pylist()
        if restored:
            twin = PartitionTwin.restore(where, 0, twin.snapshot())
    return rows


def told(rows: list[Row]) -> list[tuple[int, int, str, str, str | None]]:
    return [
        (
            int(r["start"].timestamp()) - T0 // S,
            int(r["end"].timestamp()) - T0 // S,
            r["class"],
            r["state"],
            r["reason"],
        )
        for r in rows
    ]


@pytest.mark.parametrize(("cut", "restored"), [(100, False), (1, False), (1, True), (2, True)])
def test_another_word_is_another_row_of_the_same_stop(cut: int, restored: bool) -> None:
    events = [
        state(0, "run"),
        state(100, "hold"),
        state(110, "stop"),
        state(115, "stop", "jam"),  # a reason told later belongs to the whole row
        state(130, "run"),  # 30 s: a minor stop in two parts
        state(200, "hold"),
        state(210, "stop"),
        state(290, "hold"),  # by now it is down
        state(300, "run"),
        beat(400),
    ]
    assert told(fold(plant(), events, "states", cut, restored=restored)) == [
        (0, 100, "running", "run", None),
        (100, 110, "minor_stop", "hold", None),
        (110, 130, "minor_stop", "stop", "jam"),
        (130, 200, "running", "run", None),
        (200, 210, "down", "hold", None),
        (210, 290, "down", "stop", None),
        (290, 300, "down", "hold", None),
    ]


def test_each_part_of_a_stop_keeps_its_reason() -> None:
    events = [
        state(0, "run"),
        state(100, "stop"),
        state(110, "stop", "a"),  # the first reason reaches back
        state(150, "stop"),  # acknowledged before the restart
        state(160, "stop", "b"),
        state(170, "hold"),
        state(180, "hold", "c"),  # not the first of this stop
        state(185, "hold", "c"),
        state(190, "run"),
        state(200, "stop"),
        state(205, "stop", "d"),  # another stop
        state(210, "run"),
        beat(400),
    ]
    assert [row for row in told(fold(plant(), events, "states", 1, restored=True)) if row[2] != "running"] == [
        (100, 150, "down", "stop", "a"),
        (150, 160, "down", "stop", None),
        (160, 170, "down", "stop", "b"),
        (170, 180, "down", "hold", None),
        (180, 190, "down", "hold", "c"),
        (200, 210, "minor_stop", "stop", "d"),
    ]


def test_a_word_changed_is_no_second_stop() -> None:
    events = [state(0, "run"), state(100, "hold"), state(110, "stop"), state(130, "run"), beat(599), beat(601)]
    (row,) = (r for r in fold(plant(), events, "kpis", 1) if r["window"] == "10min" and r["station"] == "s")
    assert (row["minor_stops"], row["downs"], row["minor_stop_ns"]) == (1, 0, 30 * S)


@pytest.mark.parametrize(
    ("scale", "readings", "expected"),
    [
        (1, [0, 600, 1200], []),  # at 100 %
        (1, [0, 602, 1200], ["raised", "cleared"]),
        (100, [0, 7, 12], []),  # 100 parts over: one step, which may belong to the window before
        (100, [0, 8, 13], ["raised", "cleared"]),
    ],
)
def test_ideal_cycle_is_suspect_beyond_a_step_of_the_counter(
    scale: int, readings: list[int], expected: list[str]
) -> None:
    """Two windows of 600 s at one part a second, each with a reading at its end, none in a third."""
    events = [state(0, "run")]
    for k, value in enumerate(readings):
        reading = {"type": "count", "line": "L", "station": "s", "counter": "made", "value": value}
        events.append(reading | {"ts": T0 + max(600 * k - 1, 0) * S})
    events.append(beat(1800))
    events.append(beat(1801))
    alerts = fold(plant(scale), events, "alerts", 1)
    assert [a["action"] for a in alerts if a["kind"] == "ideal_cycle_suspect"] == expected
