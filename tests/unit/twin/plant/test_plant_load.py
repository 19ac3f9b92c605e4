"""The plant file: what is read, what is refused, and on which line."""

import json
from dataclasses import fields
from pathlib import Path

import pytest

from kernels.codes import CLASS_NAMES, RUNNING, STOPPED
from kernels.figures import oee
from tests.support.plant import HEAD, SMALL, one_problem, text
from twin.plant import PlantError, load, loads, sources
from twin.plant import shape as declared
from twin.plant.model import Counter, Limits, Line, PlannedStop, Shift, Station, Window
from twin.plant.schema import schema
from twin.time.duration import cycle_ns, duration_ns, duration_text

FULL = text(
    """
    site = "Ravensburg"
    [[area]]
    id = "packaging"
    [calendar]
    zone = "Europe/Berlin"
    day_start = "06:00"
    [[calendar.shift]]
    id = "early"
    days = "Mon-Fri"
    hours = "06:00 - 14:00"
    [[calendar.shift]]
    id = "night"
    days = "Sun-Mon, Wed"
    hours = "22:00-06:00"
    [[calendar.planned_stop]]
    id = "weekend"
    weekly = "Fri 22:00 - Sun 24:00"
    [[calendar.planned_stop]]
    id = "break"
    days = "Mon, Sun"
    hours = "23:50 - 00:10"
    [[calendar.planned_stop]]
    id = "holiday"
    from = 2026-12-24T06:00:00
    to = "2027-01-02 06:00"
    [[line]]
    id = "press"
    area = "packaging"
    type = "batch"
    policy = "nakajima"
    windows = ["60min/1min", "1min/1s", "8h/1min"]
    lateness = "300ms"
    max_jump = "2d"
    publish_every = "2min"
    pane = "5min"
    panes = 6
    constraint = "fill"
    requires_order = true
    minor_stop = "2min"
    parts_from = "cycle"
    states = { ACTIVE = "running", "FEED HOLD" = "stopped" }
    [[line.station]]
    id = "fill"
    ideal_cycle = "6.5s"
    [line.station.states]
    ACTIVE = "setup"
    [[line.station.counter]]
    id = "produced"
    scale = 1000
    modulus = 65536
    [[line.station.counter]]
    id = "waste"
    quality = "scrap"
    [[line.station]]
    id = "side"
    minor_stop = "0s"
    staleness = "1h"
    parts_from = "count"
    [[line.station]]
    id = "close"
    rate = "99/h"
    [[line.buffer]]
    id = "in"
    before = "fill"
    initial = 1
    [[line.buffer]]
    id = "B1"
    after = ["fill"]
    before = ["close"]
    capacity = 5
    initial = 5
    [[line.buffer]]
    id = "B2"
    after = "side"
    before = "close"
    capacity = 0
    [[line.product]]
    id = "P1"
    rate = "120000/h"
    at = { close = "36ms", side = "1/s" }
    [[line.product]]
    id = "P2"
    [line.limits]
    down = "never"
    oee_below = 0.6
    oee_window = "60min"
    """
)


def test_every_key_reaches_the_model() -> None:
    plant = loads(FULL, "full.toml")
    assert (plant.site, plant.source, len(plant.lines)) == ("Ravensburg", "full.toml", 1)
    line = plant.lines[0]
    assert (line.id, line.area, line.type, line.policy) == ("press", "packaging", "batch", "nakajima")
    assert [(w.id, w.length_ns, w.step_ns) for w in line.windows] == [
        ("1min", 60 * 10**9, 10**9),
        ("1h", 3600 * 10**9, 60 * 10**9),
        ("8h", 8 * 3600 * 10**9, 60 * 10**9),
    ]
    assert (line.lateness_ns, line.max_jump_ns, line.publish_every_ns) == (3 * 10**8, 172_800 * 10**9, 120 * 10**9)
    assert (line.pane_ns, line.panes, line.constraint, line.requires_order) == (300 * 10**9, 6, "fill", True)
    fill, side, close = line.stations
    assert (fill.ideal_cycle_ns, side.ideal_cycle_ns, close.ideal_cycle_ns) == (6_500_000_000, None, 36_363_636_364)
    assert (fill.inputs, fill.output) == (("in",), "B1")
    assert (side.inputs, side.output) == ((), "B2")
    assert (close.inputs, close.output) == (("B1", "B2"), None)
    assert fill.counters == (Counter("produced", "good", 1000, 65536), Counter("waste", "scrap", 1, None))
    assert (fill.minor_stop_ns, side.minor_stop_ns) == (120 * 10**9, 0)
    assert (fill.staleness_ns, side.staleness_ns) == (900 * 10**9, 3600 * 10**9)
    assert (fill.parts_from, side.parts_from) == ("cycle", "count")
    assert [(b.id, b.capacity, b.initial) for b in line.buffers] == [("in", None, 1), ("B1", 5, 5), ("B2", 0, 0)]
    assert line.products[0].ideal_cycle_ns == {"*": 30_000_000, "close": 36_000_000, "side": 10**9}
    assert line.products[1].ideal_cycle_ns == {}
    assert line.limits == Limits(None, 0.6, "1h")


def test_the_calendar_reaches_the_model() -> None:
    calendar = loads(FULL).lines[0].calendar
    day = 86_400
    assert (calendar.zone, calendar.day_start_s) == ("Europe/Berlin", 6 * 3600)
    assert calendar.shifts == (
        Shift("early", (0, 1, 2, 3, 4), 6 * 3600, 14 * 3600),
        Shift("night", (0, 2, 6), 22 * 3600, 6 * 3600),
    )
    assert calendar.planned_stops == (
        PlannedStop("weekend", weekly=(4 * day + 22 * 3600, 0)),
        PlannedStop("break", weekly=(0 * day + 85_800, 1 * day + 600)),
        PlannedStop("break", weekly=(6 * day + 85_800, 600)),
        PlannedStop("holiday", dated=("2026-12-24T06:00:00", "2027-01-02T06:00:00")),
    )


def test_states_hold_every_class_name_and_the_station_goes_before_the_line() -> None:
    fill, side, _ = loads(FULL).lines[0].stations
    assert {name: fill.states[name] for name in CLASS_NAMES} == {name: i for i, name in enumerate(CLASS_NAMES)}
    assert (fill.states["ACTIVE"], side.states["ACTIVE"]) == (CLASS_NAMES.index("setup"), RUNNING)
    assert fill.states["FEED HOLD"] == STOPPED


def test_a_class_name_may_be_given_another_meaning() -> None:
    plant = loads(SMALL + '[line.station.states]\nwaiting = "starved"\n')
    assert plant.stations[0].states["waiting"] == CLASS_NAMES.index("starved")


def test_defaults_are_those_of_the_model() -> None:
    line = loads(SMALL).lines[0]
    by_model = Line("L", "hall", "flow", (Station("A", states=dict(line.stations[0].states)),))
    for field in fields(Line):
        if field.name != "windows":
            assert getattr(line, field.name) == getattr(by_model, field.name), field.name
    assert line.windows == (Window("1min", 60 * 10**9, 10**9), Window("1h", 3600 * 10**9, 60 * 10**9))


def test_a_line_calendar_replaces_the_plants() -> None:
    plant = loads(SMALL.replace("[[line]]", '[calendar]\nzone = "Asia/Tokyo"\n[[line]]') + "[line.calendar]\n")
    assert plant.lines[0].calendar.zone == "UTC"


def test_policies_are_those_of_the_kernels() -> None:
    assert tuple(oee.POLICIES) == declared.POLICIES


# --- the hash


def test_hash_is_16_hex_digits_and_does_not_move() -> None:
    # A change here means that every plant in the field starts a new epoch of results: never by accident.
    assert loads(SMALL).hash == "217cc4c74056606e"
    assert loads(FULL).hash == "81fd3ffbf623c5f5"


def test_hash_ignores_order_of_keys_comments_spelling_and_file_name() -> None:
    other = text(
        """
        # the same plant
        area = [{ id = "hall" }]
        site = "Works"
        [[line]]
        "type" = "flow"  # flow
        windows = ["60min/60s", "60s/1000ms"]
        station = [{ id = "A", minor_stop = "300s" }]
        area = "hall"
        id = "L"
        [[source]]
        files = "*.csv"
        """
    )
    assert loads(other, "elsewhere.toml").hash == loads(SMALL, "here.toml").hash


@pytest.mark.parametrize(
    "change",
    [
        ('"Works"', '"Work"'),
        ('"flow"', '"cell"'),
        ('id = "A"', 'id = "A"\nstaleness = "14min"'),
        ('id = "A"', 'id = "A"\nideal_cycle = "1ns"'),
        ('type = "flow"', 'type = "flow"\nlimits.down = "never"'),
        ('id = "A"', 'id = "A"\nstates.X = "down"'),
    ],
)
def test_hash_sees_every_change(change: tuple[str, str]) -> None:
    assert loads(SMALL.replace(*change)).hash != loads(SMALL).hash


# --- durations and rates


@pytest.mark.parametrize(
    ("written", "ns"),
    [
        ("10s", 10_000_000_000),
        ("6.5s", 6_500_000_000),
        ("300ms", 300_000_000),
        ("0.000000001s", 1),
        ("1h 30min", 5_400_000_000_000),
        ("1_000us", 1_000_000),
        ("2 d", 172_800_000_000_000),
        ("0.1h", 360_000_000_000),
    ],
)
def test_duration(written: str, ns: int) -> None:
    assert duration_ns(written) == ns
    assert duration_ns(duration_text(ns)) == ns


@pytest.mark.parametrize(
    "written", ["", "5", "5m", "s", "-1s", "1e3s", "0.5ns", "5 apples", "11_000d", "\u0665s", "1s,2s"]
)
def test_not_a_duration(written: str) -> None:
    with pytest.raises(ValueError, match=r"duration|nanosecond|ten years"):
        duration_ns(written)


@pytest.mark.parametrize(
    ("written", "ns"),
    [
        ("120000/h", 30_000_000),
        ("99/h", 36_363_636_364),  # 36,363,636,363.6
        ("0.4/ms", 2_500_000),
        ("2_000_000_000/s", 0),  # half even of 0.5
        ("400000000/s", 2),  # half even of 2.5
        ("1_000_000_000/s", 1),
        ("30ms", 30_000_000),
    ],
)
def test_rate_rounds_half_even(written: str, ns: int) -> None:
    if ns:
        assert cycle_ns(written) == ns
    else:
        with pytest.raises(ValueError, match="at least 1 ns"):
            cycle_ns(written)


@pytest.mark.parametrize("written", ["0/h", "5/week", "/h", "5/", "-5/h", "0s", "0.00001/d"])
def test_not_a_cycle(written: str) -> None:
    with pytest.raises(ValueError, match=r"rate|1 ns|ten years"):
        cycle_ns(written)


def test_duration_text_is_short() -> None:
    texts = [duration_text(ns) for ns in (0, 1, 1_500, 6_500_000_000, 90 * 10**9, 5_400 * 10**9, 86_400 * 10**9)]
    assert texts == ["0s", "1ns", "1.5us", "6.5s", "90s", "90min", "1d"]


# --- files


def test_broken_toml_names_the_line() -> None:
    line, key, message = one_problem(HEAD + "[[line]\n")
    assert (line, key) == (4, "")
    assert "not valid TOML" in message
    assert one_problem('site = "a\n')[0] == 1
    assert one_problem("a = [[" * 2)[0] == 1
    assert "nested too deeply" in one_problem("a = " + "[" * 50_000)[2]


def test_load_says_why_a_file_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(PlantError, match=r"nowhere\.toml: cannot be read: No such file"):
        load(tmp_path / "nowhere.toml")
    latin = tmp_path / "latin.toml"
    latin.write_bytes("# one\nsite = 'Köln'\n".encode("latin-1"))
    with pytest.raises(PlantError, match=r"latin\.toml:2: is not UTF-8"):
        load(latin)


def test_load_takes_windows_files(tmp_path: Path) -> None:
    file = tmp_path / "p.toml"
    file.write_bytes(b"\xef\xbb\xbf" + SMALL.replace("\n", "\r\n").encode())
    assert load(file).hash == loads(SMALL).hash
    file.write_bytes(b"\xef\xbb\xbf" + (SMALL + "bad = 1\n").replace("\n", "\r\n").encode())
    with pytest.raises(PlantError, match=r"p\.toml:10: line\[L\]\.station\[A\]\.bad"):
        load(file)


def test_sources(tmp_path: Path) -> None:
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps/press.toml").write_text("", encoding="utf-8")
    file = tmp_path / "p.toml"
    file.write_text(
        SMALL + '[[source]]\nfiles = "press-*.csv"\nmapping = "maps/press.toml"\n[[source]]\nfiles = "*.jsonl"\n',
        encoding="utf-8",
    )
    first, second = sources(file)
    assert (first.files, first.mapping, second.mapping) == ("press-*.csv", tmp_path / "maps/press.toml", None)
    assert first.matches("logs/press-1.csv")
    assert not first.matches("logs/press-1.jsonl")
    assert load(file).hash == loads(SMALL).hash
    file.write_text(SMALL + '[[source]]\nfiles = "*.csv"\nmapping = "gone.toml"\n', encoding="utf-8")
    with pytest.raises(PlantError, match=r"p\.toml:12: source\[1\]\.mapping: there is no file"):
        sources(file)


# --- the schema


def test_schema_names_every_key_once_and_refuses_others() -> None:
    form = schema()
    assert form["$schema"].endswith("2020-12/schema")
    json.dumps(form)
    line = form["properties"]["line"]["items"]
    assert line["additionalProperties"] is False
    assert set(line["properties"]) == {key.name for key in declared.LINE.keys}
    assert line["required"] == ["id", "area", "type", "station"]
    assert line["properties"]["policy"]["enum"] == list(oee.POLICIES)
    assert line["properties"]["lateness"]["default"] == "5s"
