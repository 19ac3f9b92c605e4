"""The worked examples as event logs: the integers of the audited rows give the exact fractions."""

import itertools
import json
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from kernels.figures.oee import POLICIES
from tests import naive
from tests.generators import END, deterministic_line_log
from twin.line import PartitionTwin
from twin.plant import loads
from twin.results import CLASS_COLUMNS
from twin.wire.decode import Decoder

GOLDEN = json.loads((Path(__file__).parents[1] / "data/golden/oee.json").read_text())
OEE = {case["id"]: case for case in GOLDEN["oee"]}
COUNTERS = {case["id"]: case for case in GOLDEN["counters"]}
CALENDAR = {case["id"]: case for case in GOLDEN["calendar"]}
PACKAGING = GOLDEN["critical_path"][0]

S = 1_000_000_000
MINUTE, HOUR, DAY = 60 * S, 3_600 * S, 86_400 * S
T0 = 1_772_409_600 * S  # 2026-03-02T00:00:00Z
# The vector of a row, as tests.naive reads it (kernels.codes): nothing is left undecided in a row.
VECTOR = (
    *CLASS_COLUMNS,
    None,
    "good",
    "scrap",
    "rework",
    "ideal_ns",
    "cycles",
    "cycle_ns",
    "minor_stops",
    "downs",
    None,
)
Event = dict[str, Any]
Row = dict[str, Any]


def plant_text(lines: dict[str, str], **line_keys: str) -> str:
    """TOML of lines with one station "s" each; `lines`: its keys by line id."""
    text = ['site = "golden"', "[[area]]", 'id = "a"']
    for line, station in lines.items():
        text += ["[[line]]", f'id = "{line}"', 'area = "a"', 'type = "flow"', 'lateness = "0s"', 'max_jump = "30d"']
        text += [f"{key} = {value}" for key, value in line_keys.items()]
        text += ["[[line.station]]", 'id = "s"', 'staleness = "30d"', station]
        text += ["[line.states]", 'running = "running"', 'down = "down"']
    return "\n".join(text) + "\n"


def fold(text: str, events: list[Event]) -> dict[str, list[Row]]:
    """Rows of every set after the events and two heartbeats two days on (one would be a jump); times as integers."""
    plant = loads(text)
    last = max(event["ts"] for event in events)
    ids = dict.fromkeys(event["line"] for event in events)
    ends = [last + 2 * DAY, last + 2 * DAY + 1]
    events = [*events, *({"type": "heartbeat", "ts": ts, "line": line} for ts in ends for line in ids)]
    records = [json.dumps(event).encode() for event in events]
    block, refused = Decoder(plant).decode(records, range(len(records)))
    assert not refused
    results = PartitionTwin(plant, 0).fold(block)
    assert (results.duplicates, results.late) == (0, 0)
    tables: dict[str, list[Row]] = {}
    for name, table in results.tables.items():
        for column in {"start", "end"} & set(table.column_names):
            at = table.schema.get_field_index(column)
            table = table.set_column(at, column, table.column(column).cast(pa.int64()))
        tables[name] = table.to_pylist()
    for row in tables["kpis"]:
        assert sum(row[name] for name in CLASS_COLUMNS) == row["end"] - row["start"]
    return tables


def the_row(tables: dict[str, list[Row]], line: str, window: str = "order", **more: Any) -> Row:
    wanted = {"line": line, "station": "s", "window": window, **more}
    (row,) = (row for row in tables["kpis"] if wanted.items() <= row.items())
    return row


def state(line: str, ts: int, word: str) -> Event:
    return {"type": "state", "ts": ts, "line": line, "station": "s", "state": word}


def order(line: str, ts: int, action: str) -> Event:
    return {"type": "order", "ts": ts, "line": line, "action": action, "order": "o"}


def one_order(line: str, planned_ns: int, down_ns: int, good: int, scrap: int) -> list[Event]:
    """An order of a planned length: work, one stop in the middle, work; the parts are told shortly before its end."""
    stop = T0 + (planned_ns - down_ns) // 2
    count = {"type": "count", "ts": T0 + planned_ns - 1, "line": line, "station": "s", "good": good, "scrap": scrap}
    events = [order(line, T0, "start"), state(line, T0, "running")]
    if down_ns:
        events += [state(line, stop, "down"), state(line, stop + down_ns, "running")]
    return [*events, count, order(line, T0 + planned_ns, "end")]


def vector(row: Row) -> list[int]:
    return [0 if name is None else row[name] for name in VECTOR]


def check(row: Row, policy: str, *expected: Any) -> None:
    """Availability, performance, quality, OEE: exact from the integers, and the row's own ratios to the last digits.

    Expected: rational text, or a decimal of seven digits.
    """
    exact = naive.factors(vector(row), policy)
    assert row["policy"] == policy
    names = ("availability", "performance", "quality", "oee")
    for name, value in zip(names, expected, strict=True):
        mine = getattr(exact, name)
        if isinstance(value, str):
            assert mine == Fraction(value), name
        else:
            assert float(mine) == pytest.approx(value, abs=5e-8), name
        assert row[name] == pytest.approx(float(mine), rel=1e-15), name


@pytest.mark.parametrize("policy", POLICIES)
def test_shift_vorne(policy: str) -> None:
    c = OEE["shift-vorne"]
    text = plant_text({"l": f'ideal_cycle = "{c["ideal_cycle_s"]}s"'}, policy=f'"{policy}"')
    events = one_order("l", c["planned_min"] * MINUTE, c["stop_min"] * MINUTE, c["total"] - c["reject"], c["reject"])
    row = the_row(fold(text, events), "l")
    assert (row["running_ns"], row["down_ns"]) == (373 * MINUTE, 47 * MINUTE)
    check(row, policy, c["availability"], c["performance"], c["quality"], c["oee"])
    check(row, policy, c["availability"], c["performance"], c["quality"], c["oee_exact"])


@pytest.mark.parametrize("policy", POLICIES)
def test_nakajima(policy: str) -> None:
    c = OEE["nakajima"]
    text = plant_text({"l": f'ideal_cycle = "{c["ideal_cycle_min"] * 60}s"'}, policy=f'"{policy}"')
    events = one_order("l", c["loading_min"] * MINUTE, c["down_min"] * MINUTE, c["good"], c["total"] - c["good"])
    check(the_row(fold(text, events), "l"), policy, c["availability"], c["performance"], c["quality"], c["oee"])


def test_flux_apq() -> None:
    """Running counters over a shift of eight hours; after the data's window the machine stays down."""
    c = OEE["flux-apq"]

    def instant(clock: str) -> int:
        hours, minutes = clock.split(":")
        return T0 + int(hours) * HOUR + int(minutes) * MINUTE

    counters = '[[line.station.counter]]\nid = "{0}"\nquality = "{0}"\n'
    station = f'ideal_cycle = "{c["ideal_cycle_s"]}s"\n' + counters.format("good") + counters.format("scrap")
    shift = f'[line.calendar]\nzone = "UTC"\nshift = [{{ id = "early", hours = "00:00 - {c["planned_h"]:02}:00" }}]\n'
    events = [state("l", instant(clock), word) for clock, word in c["states"]]
    for (clock, parts), (_, bad) in zip(c["parts_cumulative"], c["bad_cumulative"], strict=True):
        for counter, value in (("good", parts - bad), ("scrap", bad)):
            reading = {"type": "count", "ts": instant(clock), "line": "l", "station": "s"}
            events.append(reading | {"counter": counter, "value": value})
    events.append(state("l", instant(c["window"][1]), "down"))
    events.sort(key=lambda event: event["ts"])
    row = the_row(fold(plant_text({"l": station}) + shift, events), "l", "shift", shift="2026-03-02 early")
    assert row["running_ns"] == c["running_s"] * S
    assert row["end"] - row["start"] == c["planned_h"] * HOUR
    check(row, "iso22400", c["availability"], c["performance"], c["quality"], c["oee"])


def test_mixed_lines() -> None:
    """The OEE of two lines comes from the sum of their integers, not from their OEEs."""
    c = OEE["mixed-lines"]
    ids = ("l0", "l1")
    events = []
    for line, one in zip(ids, c["stations"], strict=True):
        stop_ns = (one["planned"] - one["running"]) * MINUTE
        events += one_order(line, one["planned"] * MINUTE, stop_ns, one["good"], one["total"] - one["good"])
    tables = fold(plant_text(dict.fromkeys(ids, f'ideal_cycle = "{c["ideal_cycle"]}min"')), events)
    rows = [the_row(tables, line) for line in ids]
    summed = [sum(cells) for cells in zip(*map(vector, rows), strict=True)]
    assert naive.factors(summed, "iso22400").oee == Fraction(c["oee"])
    assert sum(row["oee"] for row in rows) / 2 == pytest.approx(0.6)


@pytest.mark.parametrize("name", COUNTERS)
def test_counters(name: str) -> None:
    c = COUNTERS[name]
    modulus = f"modulus = {c['modulus']}" if "modulus" in c else ""
    station = f'[[line.station.counter]]\nid = "parts"\nquality = "good"\n{modulus}'
    epochs = c.get("epochs", [0] * len(c["values"]))
    events = [order("l", T0, "start"), state("l", T0, "running")]
    for k, (epoch, value) in enumerate(zip(epochs, c["values"], strict=True), 1):
        reading = {"type": "count", "ts": T0 + k * S, "line": "l", "station": "s", "epoch": epoch}
        events.append(reading | {"counter": "parts", "value": value})
    events.append(order("l", T0 + MINUTE, "end"))
    assert the_row(fold(plant_text({"l": station}), events), "l")["good"] == c["increment"]


@pytest.mark.parametrize("name", CALENDAR)
def test_night_shift_over_a_change_of_the_clock(name: str) -> None:
    c = CALENDAR[name]
    start, end = c["shift"]
    shift = (
        f'[line.calendar]\nzone = "{c["zone"]}"\nday_start = "{end}"\n'
        f'shift = [{{ id = "night", hours = "{start} - {end}" }}]\n'
    )
    noon = datetime.fromisoformat(f"{c['date']}T12:00:00").replace(tzinfo=UTC)
    ts = [int((noon + timedelta(hours=h)).timestamp()) * S for h in (0, 11)]
    events = [state("l", ts[0], "running"), state("l", ts[1], "down")]
    row = the_row(fold(plant_text({"l": ""}) + shift, events), "l", "shift", shift=f"{c['date']} night")
    assert row["end"] - row["start"] == c["hours"] * HOUR
    assert row["running_ns"] == ts[1] - row["start"]
    assert row["down_ns"] == row["end"] - ts[1]


def test_packaging_line() -> None:
    """In the steady state a part takes eight seconds: every pane has the known blocked and starved time, exactly."""
    c = PACKAGING
    n = len(c["service_s"])
    pane_s = 1_600
    text = ['site = "golden"', "[[area]]", 'id = "a"', "[[line]]", 'id = "l"', 'area = "a"', 'type = "flow"']
    text += ['lateness = "0s"', f'pane = "{pane_s}s"', 'parts_from = "cycle"']
    for k in range(n):
        text += ["[[line.station]]", f'id = "{k}"', f'ideal_cycle = "{c["service_s"][k]}s"']
    for k, capacity in enumerate(c["buffers"]):
        text += ["[[line.buffer]]", f'id = "b{k}"', f'after = "{k}"', f'before = "{k + 1}"', f"capacity = {capacity}"]
    ts, station, kind = deterministic_line_log([round(s * S) for s in c["service_s"]], c["buffers"], 1_500)
    base = T0 // (pane_s * S) * pane_s * S
    events = [
        {"type": "cycle", "ts": base + t, "line": "l", "station": str(s), "phase": "end" if k == END else "start"}
        for t, s, k in zip(ts.tolist(), station.tolist(), kind.tolist(), strict=True)
    ]
    found = fold("\n".join(text), events)["bottlenecks"]
    rows = [r for r in found if r["window"] == "pane"]
    panes = [list(group) for _, group in itertools.groupby(rows, key=lambda r: r["start"])]
    full = [p for p in panes if p[0]["start"] > base and p[0]["end"] <= base + int(ts[-1])]
    assert len(full) >= 5
    through_s = sum(c["service_s"])  # what a pane cannot tell: how its first parts came to where they were
    for pane in full:
        pane.sort(key=lambda r: r["station"])
        assert [Fraction(r["blocked_ns"], pane_s * S) for r in pane] == c["blocked"]
        assert [Fraction(r["starved_ns"], pane_s * S) for r in pane] == c["starved"]
        assert sum(r["critical_path_ns"] for r in pane) == pane_s * S
        for row, share in zip(pane, c["share"], strict=True):
            assert abs(row["critical_path_ns"] - share * pane_s * S) <= through_s * S
    together = [r for r in found if r["window"] == "panes" and r["end"] == full[-1][0]["end"]]
    assert {r["verdict"] for r in together} == {str(c["share"].index(1))}
