"""CSV logs: every key of the mapping, and every kind of row that cannot be used."""

from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from tests.support.sources import EPOCH, PLANT, SAMPLED, S, mapping, plain, plant, read, run, short, write
from twin.plant import loads
from twin.sources import MappingError, SourceError, open_log, open_logs

HEAD = "t,speed,made,batch,product\n"
STATE = "type", "at", "state"


def states(events: list[dict[str, object]]) -> list[tuple[object, ...]]:
    return short([e for e in events if e["type"] == "state"], "at", "state")


def test_a_state_is_told_when_it_changes(tmp_path: Path) -> None:
    log = write(tmp_path, "a.csv", HEAD + "0,0,,,\n10,5,,,\n20,6,,,\n30,0,,,\n")
    events, logs = read(log)
    assert states(events) == [(0, "off"), (10, "on"), (30, "off"), (40, "unknown")]
    assert logs.summary.rows == 4
    assert not logs.summary.problems


def test_a_gap_is_unknown_from_the_end_of_the_sample(tmp_path: Path) -> None:
    log = write(tmp_path, "a.csv", HEAD + "0,5,,,\n15,5,,,\n31,5,,,\n41,5,,,\n")
    events, logs = read(log)
    # 15 s apart is within hold and tolerance, 16 s is not.
    assert states(events) == [(0, "on"), (25, "unknown"), (31, "on"), (51, "unknown")]
    assert logs.summary.gaps.count == 1
    assert logs.summary.gap_ns == 6 * S
    assert logs.summary.gaps.first == f"{log}:4: 6 s without a sample"


def test_a_blank_value_is_unknown_and_counts_nothing(tmp_path: Path) -> None:
    log = write(tmp_path, "a.csv", HEAD + "0,5,7,,\n10,,,,\n20,5,7,,\n")
    events, _ = read(log)
    assert states(events) == [(0, "on"), (10, "unknown"), (20, "on"), (30, "unknown")]
    assert short([e for e in events if e["type"] == "count"], "at", "counter", "value") == [(0, "made", 7)]


def test_a_counter_is_told_when_it_changes_and_after_a_gap(tmp_path: Path) -> None:
    log = write(tmp_path, "a.csv", HEAD + "0,5,1,,\n10,5,1,,\n20,5,2,,\n90,5,2,,\n100,5,2,,\n")
    events, _ = read(log)
    assert short([e for e in events if e["type"] == "count"], "at", "value") == [(0, 1), (20, 2), (90, 2)]


def test_a_quiet_source_is_seen_alive(tmp_path: Path) -> None:
    log = write(tmp_path, "a.csv", HEAD + "".join(f"{t},5,1,,\n" for t in range(0, 200, 10)))
    events, logs = read(log)
    assert [e["at"] for e in events if e["type"] == "heartbeat"] == [60, 120, 180]
    assert logs.summary.ignored == 20 - 1 - 3


def test_no_heartbeat_while_the_state_is_unknown(tmp_path: Path) -> None:
    log = write(tmp_path, "a.csv", HEAD + "".join(f"{t},,,,\n" for t in range(0, 200, 10)))
    events, logs = read(log, end=True)
    assert events == []
    assert logs.summary.ignored == 20


def test_an_order_runs_from_its_first_row_to_one_sample_after_its_last(tmp_path: Path) -> None:
    rows = "0,5,,b1,p\n10,5,,b1,p\n20,5,,b2,q\n30,5,,b2,q\n100,5,,,\n110,5,,b3,q\n"
    events, _ = read(write(tmp_path, "a.csv", HEAD + rows))
    orders = short([e for e in events if e["type"] == "order"], "at", "phase", "order", "product", "station")
    assert orders == [
        (0, "start", "b1", "p", None),
        (20, "end", "b1", "p", None),
        (20, "start", "b2", "q", None),
        (40, "end", "b2", "q", None),
        (110, "start", "b3", "q", None),
        (120, "end", "b3", "q", None),
    ]
    at_40 = [(e["type"], e.get("state", e.get("order"))) for e in events if e["at"] == 40]
    assert at_40 == [("state", "unknown"), ("order", "b2")]


def test_events_without_samples_one_order_per_file(tmp_path: Path) -> None:
    rules = """
    line = "L1"
    station = { column = "n", format = "{}", lookup = { "0" = "A", "1" = "B" } }
    [time]
    column = "t"
    unit = "s"
    origin = "2026-01-01T00:00:00Z"
    [order]
    id = "run-{file}"
    quantity = 3
    [[event]]
    type = "cycle"
    phase = { column = "what", lookup = { go = "start", done = "end" } }
    unit = { column = "unit", format = "#{}" }
    product = "p"
    """
    log = write(tmp_path, "x.csv.gz", "t,n,what,unit\n0,0,go,1\n2.409,0,done,1\n2.409,1,go,1\n9998.616,1,done,1\n")
    events, logs = read(log, rules)
    assert short(events, "at", "station", "type", "phase", "unit", "order", "quantity") == [
        (0, None, "order", "start", None, "run-x", 3),
        (0, "A", "cycle", "start", "#1", None, None),
        (2.409, "A", "cycle", "end", "#1", None, None),
        (2.409, "B", "cycle", "start", "#1", None, None),
        (9998.616, "B", "cycle", "end", "#1", None, None),
        (9998.616, None, "order", "end", None, "run-x", None),
    ]
    assert logs.summary.events == {"cycle": 4, "order": 2, "heartbeat": 1}


def test_decimals_are_exact_to_the_nanosecond(tmp_path: Path) -> None:
    log = write(tmp_path, "a.csv", HEAD + "0.1,1,,,\n0.3,0,,,\n1.000000001,1,,,\n")
    logs = open_logs([log], plant(), mapping())
    blocks, _ = run(logs)
    assert blocks[0].ts.tolist() == [EPOCH + 100_000_000, EPOCH + 300_000_000, EPOCH + S + 1]


@pytest.mark.parametrize("zone_text", ["", 'zone = "Europe/Ljubljana"'])
def test_offsets_in_the_text_win_over_the_zone(tmp_path: Path, zone_text: str) -> None:
    rules = f'line = "L1"\nstation = "A"\n[time]\ncolumn = "t"\n{zone_text}\n[[event]]\ntype = "heartbeat"\n'
    log = write(tmp_path, "a.csv", "t\n2026-01-01T01:00:00+01:00\n2026-01-01 00:00:01.5Z\n2026-01-01T00:00:02\n")
    events, logs = read(log, rules)
    local = [] if not zone_text else [-3598]
    assert sorted(e["at"] for e in events) == sorted([0, 1.5, *local])
    assert logs.summary.problems.keys() >= ({"bad_time"} if not zone_text else {"jump_back"})


def test_the_repeated_hour_of_autumn_and_the_missing_one_of_spring(tmp_path: Path) -> None:
    rules = (
        'line = "L1"\nstation = "A"\nheartbeat_every = "0s"\n[time]\ncolumn = "t"\nformat = "%d.%m.%Y %H:%M:%S"\n'
        'zone = "Europe/Ljubljana"\n[[event]]\ntype = "heartbeat"\n'
    )
    times = ["25.10.2026 02:59:50", "25.10.2026 02:00:00", "25.10.2026 02:59:59", "25.10.2026 03:00:00"]
    events, logs = read(write(tmp_path, "a.csv", "t\n" + "\n".join(times)), rules)
    assert [b["at"] - a["at"] for a, b in pairwise(events)] == [10, 3599, 1]
    events, logs = read(write(tmp_path, "b.csv", "t\n29.03.2026 02:30:00\n29.03.2026 03:30:00\n"), rules)
    assert len(events) == 1
    assert logs.summary.problems["bad_time"].first.startswith(f"{tmp_path}/b.csv:2: ")


@pytest.mark.parametrize(
    ("local", "utc", "lateness"),
    [
        # Each row of the repeated hour that lies back is of the second pass, and so are those behind it.
        ("01:30 02:00 02:30 02:00 02:30 03:00", "23:30 00:00 00:30 01:00 01:30 02:00", "1s"),
        ("02:50 02:25 03:00", "00:50 01:25 02:00", "5s"),
        ("02:50 02:05 02:55 03:10", "00:50 01:05 01:55 02:10", "5s"),
        ("02:10 02:50 02:45 02:50 03:00", "00:10 00:50 01:45 01:50 02:00", "0s"),
        # A little back, and rows are out of order: it stays in its pass, the first or the second.
        ("02:10:30 02:10:00 02:11:00 03:00", "00:10:30 00:10:00 00:11:00 02:00", "0s"),
        ("02:50 02:20:30 02:20:00 02:20:40", "00:50 01:20:30 01:20:00 01:20:40", "0s"),
        ("02:10 02:02 02:12 03:00", "00:10 00:02 00:12 02:00", "8min"),
        ("02:40 02:29 03:00", "00:40 01:29 02:00", "2h"),
        # By the hour the second pass shows the clock of the first; more rows than usual are of both.
        ("01:00 02:00 02:00 03:00", "23:00 00:00 01:00 02:00", "1s"),
        ("00:59 01:59 02:59 02:59 03:59", "22:59 23:59 00:59 01:59 02:59", "5s"),
        ("01:30 01:30 02:30 02:30 02:30 02:30 03:30", "23:30 23:30 00:30 00:30 01:30 01:30 02:30", "5s"),
        # Two rows of one time are no second pass: not where rows come at any time, nor where there are always two.
        ("01:20 02:30 02:30 03:00", "23:20 00:30 00:30 02:00", "5s"),
        ("01:00 01:00 02:00 02:00 03:00", "23:00 23:00 00:00 00:00 02:00", "5s"),
    ],
)
@pytest.mark.parametrize("piece", [1, 1 << 20])
def test_rows_of_the_repeated_hour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int, local: str, utc: str, lateness: str
) -> None:
    monkeypatch.setattr("twin.sources.files.LogFile.pieces.__defaults__", (piece,))
    rules = (
        'line = "L1"\nstation = "A"\nheartbeat_every = "0s"\n[time]\ncolumn = "t"\nformat = "%Y-%m-%d %H:%M:%S"\n'
        'zone = "Europe/Berlin"\n[[event]]\ntype = "heartbeat"\n'
    )
    whole = [clock if clock.count(":") == 2 else f"{clock}:00" for clock in local.split()]
    log = write(tmp_path, "a.csv", "\n".join(["t", *(f"2026-10-25 {clock}" for clock in whole)]) + "\n")
    model = loads(PLANT.replace('lateness = "2s"', f'lateness = "{lateness}"'), "plant.toml")
    ts = [time for block, _ in open_log(log, model, mapping(rules)) for time in block.ts.tolist()]
    clocks = [f"{datetime.fromtimestamp(time // S, UTC):%H:%M:%S}" for time in ts]
    assert clocks == [clock if clock.count(":") == 2 else f"{clock}:00" for clock in utc.split()]


def test_counts_scale_reasons_buffers_and_explicit_orders(tmp_path: Path) -> None:
    rules = """
    line = { column = "line" }
    station = { column = "station" }
    [csv]
    delimiter = ";"
    [time]
    column = "t"
    unit = "ms"
    origin = "2026-01-01T00:00:00Z"
    [[event]]
    type = "count"
    when = { column = "kind", equals = "parts" }
    good = { column = "v", scale = "1/2" }
    scrap = 1
    [[event]]
    type = "state"
    when = [{ column = "kind", in = ["state", "status"] }, { column = "v", at_least = 1, below = 3 }]
    state = "off"
    reason = { column = "v", lookup = { "1" = "jam" }, default = "other" }
    mode = "auto"
    [[event]]
    type = "buffer"
    when = { column = "kind", equals = "buffer" }
    buffer = "AB"
    level = { column = "v" }
    [[event]]
    type = "order"
    when = { column = "kind", equals = "order" }
    action = "start"
    order = { column = "v", format = "o-{}" }
    """
    text = "line;station;t;kind;v\n" + "".join(
        f"{row}\n"
        for row in (
            "L1;A;0;parts;8",
            "L1;A;1;state;1",
            "L1;A;2;status;2.5",
            "L1;A;3;state;3",
            "L1;B;4;buffer;4",
            "L1;B;5;order;77",
            "L1;A;6;parts;3",  # not a whole number of parts
            "L1;B;7;buffer;5",  # above its capacity
            "L2;A;8;parts;2",  # no such station there
            "LX;A;9;parts;2",
        )
    )
    events, logs = read(write(tmp_path, "a.csv", text), rules)
    assert short(
        [e for e in events if e["type"] != "heartbeat"], "type", "station", "parts", "reason", "level", "order"
    ) == [
        ("count", "A", (4, 1, 0), None, None, None),
        ("state", "A", None, "jam", None, None),
        ("state", "A", None, "other", None, None),
        ("buffer", "B", None, None, 4, None),
        ("order", None, None, None, None, "o-77"),
        ("count", "A", (0, 1, 0), None, None, None),
    ]
    assert {reason: tally.count for reason, tally in logs.summary.problems.items()} == {
        "unreadable_number": 1,
        "impossible_value": 1,
        "unknown_station": 1,
        "unknown_line": 1,
    }
    first = logs.summary.problems["unreadable_number"].first
    assert first == f"{tmp_path}/a.csv:8: good (column v) is not a whole number"


def test_rows_that_cannot_be_used_are_counted_and_the_rest_goes_on(tmp_path: Path) -> None:
    lines = [
        b"0,5,1,,",
        b"10,5,1",  # 3: fields
        b"x,5,1,,",  # 4: time
        b"20,fast,x,,",  # 5: two unreadable numbers
        b"30,5,1000,,",  # 6: at the modulus
        b'40,"5,1,,',  # 7: a quote that never closes
        b"50,5\xff,1,,",  # 8: not UTF-8
        b"",
        b"60,0,2,,",
    ]
    log = write(tmp_path, "a.csv", HEAD.encode() + b"\r\n".join(lines) + b"\r\n")
    events, logs = read(log)
    assert states(events)[-2:] == [(60, "off"), (70, "unknown")]
    assert short([e for e in events if e["type"] == "count"], "at", "value") == [(0, 1), (60, 2)]
    assert logs.summary.rows == 8
    firsts = {
        reason: tally.first.removeprefix(f"{log}:").partition(":")[0] for reason, tally in logs.summary.problems.items()
    }
    assert firsts == {
        "wrong_fields": "3",
        "bad_time": "4",
        "unreadable_number": "5",
        "impossible_value": "6",
        "open_quote": "7",
        "bad_encoding": "8",
    }
    report = logs.summary.report()
    assert f"problem bad_time: 1; first: {log}:4: t is not a time of the mapping's format: 'x'" in report
    assert logs.summary.as_dict()["problems"]["wrong_fields"]["count"] == 1


def test_clock_jumps_are_reported_and_still_go_out(tmp_path: Path) -> None:
    log = write(tmp_path, "a.csv", HEAD + "0,5,1,,\n10,5,2,,\n5,5,3,,\n9000,5,4,,\n")
    events, logs = read(log)
    assert [e["value"] for e in events if e["type"] == "count"] == [1, 2, 3, 4]
    assert (
        logs.summary.problems["jump_back"].first == f"{log}:4: the clock jumps back by 5.000 s to 2026-01-01T00:00:05Z"
    )
    assert logs.summary.problems["jump_ahead"].count == 1


def test_a_silent_station_closes_while_its_line_goes_on(tmp_path: Path) -> None:
    rules = SAMPLED.replace('station = "A"', 'station = { column = "batch" }').split("[order]")[0] + (
        "[[event]]" + SAMPLED.split("[[event]]", 1)[1].split('[[event]]\ntype = "count"')[0]
    )
    rows = "".join(f"{t},5,,A,\n" + (f"{t},5,,B,\n" if t < 20 or t > 90 else "") for t in range(0, 120, 10))
    events, _ = read(write(tmp_path, "a.csv", HEAD + rows), rules)
    of_b = [(e["at"], e["state"]) for e in events if e["type"] == "state" and e["station"] == "B"]
    assert of_b == [(0, "on"), (20, "unknown"), (100, "on"), (120, "unknown")]
    times = [e["at"] for e in events]
    assert times == sorted(times)


def test_the_events_do_not_depend_on_how_the_file_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = []
    for i in range(400):
        t = i * 10 + (37 if i % 50 == 0 else 0) + (400 if i > 200 else 0)
        rows.append(f"{t},{0 if i % 7 == 3 else 5},{i // 3 if i % 11 else ''},b{i // 90},p")
    log = write(tmp_path, "a.csv", HEAD + "\n".join(rows))
    whole, logs = read(log, end=True)
    for size in (1, 100, 1000):
        monkeypatch.setattr("twin.sources.files._RAW_BYTES", size)
        monkeypatch.setattr("twin.sources.files.LogFile.pieces.__defaults__", (size,))
        parts, other = read(log, end=True)
        assert parts == whole
        assert other.summary.as_dict() == logs.summary.as_dict()


def test_other_encodings_quotes_and_no_header(tmp_path: Path) -> None:
    rules = """
    line = "L1"
    station = "A"
    [csv]
    encoding = "cp1252"
    header = false
    columns = ["t", "word"]
    quote = "'"
    [time]
    column = "t"
    unit = "s"
    [[event]]
    type = "state"
    state = { column = "word", lookup = { "läuft, gut" = "on" } }
    """
    events, logs = read(write(tmp_path, "a.csv", "1700000000,'läuft, gut'\n1700000001,halt\n".encode("cp1252")), rules)
    assert short(events, "type", "state")[0] == ("state", "on")
    assert logs.summary.problems["unknown_field_value"].first.endswith("a.csv:2: state has no use for word 'halt'")


def test_a_file_cut_off_in_the_middle_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    log = write(tmp_path, "a.csv.gz", HEAD + "".join(f"{t},5,{t},,\n" for t in range(0, 900, 10)))
    log.write_bytes(log.read_bytes()[:-40])
    events, logs = read(log)
    assert events
    assert logs.summary.problems["damaged_file"].count == 1
    log.write_bytes(b"no gzip at all")
    assert read(log, end=True)[1].summary.problems["damaged_file"].first.startswith(f"{log}: ")


def test_an_empty_file_and_one_of_a_header_only_give_nothing(tmp_path: Path) -> None:
    for text in ("", HEAD, HEAD + "\n\n"):
        events, logs = read(write(tmp_path, "a.csv", text), end=True)
        assert events == []
        assert logs.summary.rows == 0


def test_a_missing_column_or_file_says_what_to_do(tmp_path: Path) -> None:
    log = write(tmp_path, "a.csv", "t;speed\n0;1\n")
    with pytest.raises(SourceError, match=r'a\.csv:1: column "t" of mapping\.toml is not in the file \(t;speed\)'):
        read(log)
    with pytest.raises(SourceError, match="there is no such file"):
        open_log(tmp_path / "b.csv", plant())
    with pytest.raises(SourceError, match="needs a mapping"):
        open_log(log, plant())


def test_position_ends_at_the_size(tmp_path: Path) -> None:
    log = write(tmp_path, "a.csv.gz", HEAD + "0,5,,,\n")
    logs = open_logs([log], plant(), mapping())
    assert (logs.position, logs.size) == (0, log.stat().st_size)
    assert plain(run(logs)[0], plant())
    assert logs.position == logs.size


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (('line = "L1"', 'line = "L9"'), 'm.toml:2: line: line "L9" is not in the plant; known: L1, L2'),
        (('station = "A"', 'station = "C"'), 'm.toml:3: station: station "C" is not in line "L1"'),
        (('counter = "made"', 'counter = "mad"'), 'counter "mad" is not declared at station "A"; did you mean "made"?'),
        (('state = "off"', 'state = "of"'), 'state "of" is not known at station "A"; did you mean "off"?'),
        (('unit = "s"', 'unit = "sec"'), 'm.toml:7: time.unit: "sec" is not one of ns, us, ms, s, min, h'),
        (('hold = "10s"', 'hold = "10"'), 'sample.hold: "10" is not a duration'),
        (('column = "t"', 'colum = "t"'), 'm.toml:6: time.colum: unknown key "colum"; did you mean "column"?'),
        (("above = 0", 'above = "0"'), "above: this is text; write a number"),
        (("above = 0", "above = inf"), "above: this is inf; write a number"),
        (("above = 0", "abov = 0"), 'unknown key "abov"; did you mean "above"?'),
        (('type = "count"', 'type = "cout"'), 'type: "cout" is not one of'),
        (('value = { column = "made" }', ""), "a count has either counter and value, or good, scrap, rework"),
        (('origin = "2026-01-01T00:00:00Z"', 'origin = "2026"'), "is not a time like 2026-01-01T00:00:00Z"),
        (('[sample]\nhold = "10s"', "[sample]"), 'sample.hold: is missing; add a line such as hold = "5min"'),
        (('station = "A"', ""), "station: is missing: states, counts, cycles and buffers belong to a station"),
        (('line = "L1"', "line = 1"), 'line: this is a number; write a text in quotes, or { column = "..." }'),
        (('id = { column = "batch" }', 'id = { column = "batch", format = "x" }'), "must hold {} once"),
        (("[order]", "[orders]"), 'm.toml:12: orders: unknown key "orders"'),
        (('line = "L1"', 'line = "L1'), "m.toml:2: not valid TOML"),
    ],
)
def test_a_mistake_in_a_mapping_names_file_line_and_key(tmp_path: Path, change: tuple[str, str], expected: str) -> None:
    from twin.sources import load_mapping

    assert change[0] in SAMPLED
    path = tmp_path / "m.toml"
    path.write_text(SAMPLED.replace(*change, 1))
    with pytest.raises(MappingError) as caught:
        load_mapping(path, plant())
    assert expected in str(caught.value)


def test_every_mistake_of_a_mapping_is_named_at_once() -> None:
    with pytest.raises(MappingError) as caught:
        mapping('line = ""\n[time]\nzone = "Mars"\nformat = "%q"\n[csv]\ndelimiter = ";;"\nencoding = "utf-32"\n')
    text = str(caught.value)
    for part in (
        "line: must not be empty",
        "time.column: is missing",
        "Mars",
        "%q is not known",
        "one ASCII character",
    ):
        assert part in text
    assert "does not write ASCII as ASCII" in text
    assert "without a rule" in text
