"""Sampled CSV against the slow obvious reading of it, row by row, wherever the file is cut."""

import tempfile
from pathlib import Path
from unittest.mock import patch

import pyarrow as pa
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pyarrow import csv

from tests.support.sources import mapping, plain, plant, run, write
from twin.sources import open_logs
from twin.sources.records import joined

HOLD, LIMIT, EVERY = 10, 15, 20
RULES = """
line = "L1"
station = { column = "s" }
heartbeat_every = "20s"
[time]
column = "t"
unit = "s"
origin = "2026-01-01T00:00:00Z"
[sample]
hold = "10s"
tolerance = "5s"
[[event]]
type = "state"
when = { column = "v", above = 0 }
state = "on"
[[event]]
type = "state"
when = { column = "v", equals = 0 }
state = "off"
[[event]]
type = "state"
when = { column = "v", blank = true }
state = "unknown"
[[event]]
type = "count"
when = { column = "s", equals = "A" }
counter = "made"
value = { column = "n" }
"""

Row = tuple[int, str, str, str]
Event = tuple[float, str, str, object]  # time, station, type, state or value


class Naive:
    """One row after another, with a list of the stations that may still turn out to be silent."""

    def __init__(self) -> None:
        self.events: list[tuple[int, int, int, Event]] = []  # before which row, 0 or 1, time there
        self.newest: list[int] = []
        self.last: dict[str, int] = {}
        self.at: dict[str, int] = {}  # of its last row
        self.state: dict[str, str] = {}
        self.counter: str | None = None
        self.reread = False
        self.told: dict[str, int] = {}

    def row(self, at: int, t: int, s: str, v: str, n: str) -> None:
        self.newest.append(max([t, *self.newest[-1:]]))
        for station in list(self.last):
            if self.newest[-1] - self.last[station] > LIMIT:
                self.close(station)
                if station == s == "A":
                    self.reread = True
        self.last[s] = max(t, self.last.get(s, t))
        self.at[s] = at
        state = "unknown" if not v else "off" if int(v) == 0 else "on"
        told = False
        if state != self.state.get(s, "unknown"):
            self.state[s], told = state, True
            self.events.append((at, 1, 0, (t, s, "state", state)))
        if s == "A" and n and (n != self.counter or self.reread):
            self.counter, self.reread, told = n, False, True
            self.events.append((at, 1, 1, (t, s, "count", int(n))))
        if not told and state != "unknown" and t - self.told.get(s, -(10**9)) >= EVERY:
            told = True
            self.events.append((at, 1, 0, (t, s, "heartbeat", None)))
        if told:
            self.told[s] = max(t, self.told.get(s, t))

    def close(self, station: str) -> None:
        end = self.last[station] + HOLD
        if self.state.get(station, "unknown") != "unknown":
            at = next((i for i, newest in enumerate(self.newest) if newest > end), len(self.newest))
            at = max(at, self.at[station] + 1)  # never before the row that is held
            self.events.append((at, 0, end, (end, station, "state", "unknown")))
        self.state[station] = "unknown"


def naive(rows: list[Row]) -> list[Event]:
    model = Naive()
    for at, row in enumerate(rows):
        model.row(at, *row)
    for station in sorted(model.last):
        model.close(station)
    return [event for *_, event in sorted(model.events, key=lambda one: one[:3])]


steps = st.tuples(
    st.sampled_from([10, 10, 10, 0, 15, 16, 40, 70, -3, -3, -9]),
    st.sampled_from("AAB"),
    st.sampled_from(["", "0", "5", "5", "7"]),
    st.sampled_from(["", "1", "2"]),
)


@example([(10, "A", "", ""), *[(-3, "A", "", "")] * 2, (-3, "A", "", "1"), (-3, "B", "0", "")], 1)
@given(st.lists(steps, max_size=40), st.sampled_from([1, 30, 200, 4096]))
def test_the_same_events_as_row_by_row(made: list[tuple[int, str, str, str]], piece: int) -> None:
    t, rows = 1000, []
    for step, *rest in made:
        t += step
        rows.append((t, *rest))
    text = "t,s,v,n\n" + "".join(f"{t},{s},{v},{n}\n" for t, s, v, n in rows)
    with (
        tempfile.TemporaryDirectory() as folder,
        patch("twin.sources.files._RAW_BYTES", piece),
        patch("twin.sources.files.LogFile.pieces.__defaults__", (piece,)),
    ):
        path = write(Path(folder), "a.csv", text)
        found = plain(run(open_logs([path], plant(), mapping(RULES)))[0], plant())
    events = [
        (e["at"], e["station"], e["type"], e.get("state", e.get("value"))) for e in found if e["station"] is not None
    ]
    # What ends at one instant at two stations has no order of its own.
    assert _settled(events) == _settled(naive(rows))


def _settled(events: list[Event]) -> list[Event]:
    settled: list[Event] = []
    for event in events:
        place = len(settled)
        while place and event[3] == "unknown" == settled[place - 1][3] and settled[place - 1][:2] > event[:2]:
            place -= 1
        settled.insert(place, event)
    return settled


@settings(max_examples=400)
@given(st.lists(st.text('ab;" ', max_size=12), min_size=1, max_size=6), st.integers(1, 3))
def test_lines_that_are_joined_are_one_row_each_to_the_reader(lines: list[str], cells: int) -> None:
    """Whatever quotes stand in them: else rows and the lines they stand in would no longer belong together."""
    found = joined([line.encode() for line in lines], ";", '"', cells, True)
    piece = b"".join(line + b"\n" for line in found.lines)
    bad = []

    def keep(row: csv.InvalidRow) -> str:
        bad.append(row)
        return "skip"

    table = csv.read_csv(
        pa.BufferReader(piece),
        read_options=csv.ReadOptions(
            column_names=[str(k) for k in range(cells)], use_threads=False, block_size=len(piece) + 1
        ),
        parse_options=csv.ParseOptions(delimiter=";", ignore_empty_lines=False, invalid_row_handler=keep),
    )
    assert table.num_rows + len(bad) == len(found.starts)
