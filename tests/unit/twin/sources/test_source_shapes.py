"""Shapes of files and tables: what stands around the rows, how the file is packed, how a row speaks of its stations."""

import io
import zipfile
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.sources import EPOCH, S, mapping, plain, plant, read, run, short, workbook, write
from twin.sources import MappingError, SourceError, open_logs
from twin.sources.event_times import length_ns
from twin.sources.files import LogFile
from twin.sources.typed_tables import length_text
from twin.sources.values import Numbers

PLAIN = """
line = "L1"
station = "A"
[time]
column = "t"
unit = "s"
origin = "2026-01-01T00:00:00Z"
[[event]]
type = "count"
good = { column = "n" }
"""
BOTH = PLAIN.replace('station = "A"\n', "")
ROWS = "t,n\n1,1\n2,2\n3,4\n"
PARTS = [(1.0, (1, 0, 0)), (2.0, (2, 0, 0)), (3.0, (4, 0, 0))]


def parts(path: Path, rules: str = PLAIN) -> list[tuple[Any, ...]]:
    events, logs = read(path, rules)
    summary = logs.summary
    assert summary.rows == summary.told + summary.ignored + summary.left_out + summary.unusable
    return short(events, "at", "parts")


def zstd(data: bytes) -> bytes:
    return pa.compress(data, codec="zstd", asbytes=True)


def zipped(**files: str) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name.replace("_", "."), text)
    return data.getvalue()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.csv", ROWS.encode("utf-16")),
        ("a.csv", ROWS.encode("utf-16-le")),
        ("a.csv", ROWS.encode("utf-16-be")),
        ("a.csv", b"\xef\xbb\xbf" + ROWS.encode()),
        ("a.csv", ROWS.replace("\n", "\r\n").encode()),
        ("a.csv.gz", ROWS.encode()),
        ("a.csv.zst", zstd(ROWS.encode())),
        ("a.zip", zipped(a_csv=ROWS)),
        ("a.csv", ("Report\n\nmade;2026\n" + ROWS).encode()),
    ],
)
def test_files_in_their_wrappings(tmp_path: Path, name: str, data: bytes) -> None:
    assert parts(write(tmp_path, name, data)) == PARTS


BOOK = """
line = "L1"
station = { column = "who" }
[time]
columns = ["d", "from"]
format = "%d.%m.%Y %H:%M"
zone = "UTC"
[[event]]
type = "state"
state = "off"
until = { columns = ["d", "to"], over_midnight = true }
otherwise = "on"
"""


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        # Half past midnight under the date of the evening; each station has an order of its own.
        ("02,22:00,22:30,A 02,23:50,00:10,A 02,00:30,00:40,A 03,22:00,22:10,A", 4),
        ("02,22:00,22:30,A 02,23:50,00:10,A 02,08:00,08:20,B 03,22:00,22:10,A", 0),
        # What was entered when it was over, a list by another key, and the newest first.
        ("02,10:00,10:10,A 02,11:00,11:05,A 02,08:00,12:00,A 02,13:00,13:05,A", 0),
        ("02,10:00,10:10,A 02,09:00,09:05,A 02,12:00,12:10,A 02,07:00,07:05,A", 0),
        ("05,10:00,10:10,A 04,10:00,10:10,A 03,10:00,10:10,A 02,10:00,10:10,A", 0),
    ],
)
def test_a_row_of_a_list_that_lies_before_the_one_above_it_is_told(tmp_path: Path, rows: str, told: int) -> None:
    lines = [f"{row.split(',', 1)[0]}.01.2026,{row.split(',', 1)[1]}" for row in rows.split()]
    log = write(tmp_path, "a.csv", "d,from,to,who\n" + "\n".join(lines) + "\n")
    problems = read(log, BOOK)[1].summary.problems
    assert ("jump_back" in problems) == bool(told)
    if told:
        assert problems["jump_back"].first.startswith(f"{log}:{told}: the row lies 84,000.000 s before")
    sort = BOOK.replace("[[event]]", "sort = true\n[[event]]", 1)
    assert "jump_back" not in read(log, sort)[1].summary.problems


COUNTED = """
line = "L1"
station = "A"
[csv]
comment = "#"
[time]
every = "10s"
origin = "2026-01-01T00:00:00Z"
[[event]]
type = "count"
good = { column = "n" }
"""


@pytest.mark.parametrize("piece", [1, 1 << 20])
@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("n,x\n1,a\n\n2,b\n# c\n3,c\n", [0, 10, 20]),
        ('n,x\n1,"a\nb"\nn,x\n2,b\n,\n3,c\n', [0, 10, 20]),
        ("n\n1\n\n2\n\n3\n", [0, 10, 20]),
        ("n,x\n\n,a\n1,a\n2,b,c\n3,\n", [10, 30]),  # rows all of them, if only two can be used
    ],
)
def test_rows_without_times_are_counted_and_not_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int, text: str, at: list[int]
) -> None:
    monkeypatch.setattr("twin.sources.files.LogFile.pieces.__defaults__", (piece,))
    events, _ = read(write(tmp_path, "a.csv", text), COUNTED)
    assert [e["at"] for e in events if e["type"] == "count"] == at


def test_files_whose_rows_are_counted_from_one_origin_are_told(tmp_path: Path) -> None:
    for name in ("A", "B"):
        write(tmp_path, f"{name}.csv", "n\n1\n2\n")
    problem = read(tmp_path, COUNTED)[1].summary.problems["one_origin"]
    assert (problem.count, problem.first.startswith(f"{tmp_path}/B.csv: ")) == (1, True)
    assert "one_origin" not in read(tmp_path, COUNTED.replace('"A"', '"{file}"'))[1].summary.problems


def test_a_packed_file_that_is_cut_off_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    data = zstd(("t,n\n" + "".join(f"{i},{i % 97}\n" for i in range(100_000))).encode())
    _, logs = read(write(tmp_path, "a.csv.zst", data[: len(data) // 2]), PLAIN)
    assert logs.summary.problems["damaged_file"].count == 1
    with pytest.raises(SourceError, match="is no zip archive"):
        open_logs([write(tmp_path, "a.zip", b"PK nothing")], plant(), mapping(PLAIN))


def test_what_utf_16_cannot_mean_is_a_problem_of_its_row(tmp_path: Path) -> None:
    data = "t,n\n1,1\n2,".encode("utf-16-le") + b"\x00\xd8" + "\n3,4\n".encode("utf-16-le")
    events, logs = read(write(tmp_path, "a.csv", b"\xff\xfe" + data), PLAIN)
    assert short(events, "at") == [(1.0,), (3.0,)]
    assert logs.summary.problems["bad_encoding"].first.endswith("a.csv:3: not utf-16 (damaged): b'2,\\xef\\xbf\\xbd'")


def test_a_preamble_comments_headers_again_and_totals(tmp_path: Path) -> None:
    text = "Line 7;;\n;;\nt;n;x\n1;1;\n# note\nt;n;x\n2;2;\nSum;3;\n3;4;\n"
    rules = PLAIN + '[csv]\ndelimiter = ";"\ncomment = "#"\n'
    path = write(tmp_path, "a.csv", text)
    events, logs = read(path, rules)
    assert short(events, "at") == [(1.0,), (2.0,), (3.0,)]
    assert (logs.summary.left_out, logs.summary.unusable) == (1, 1)
    assert "the header is line 3" in logs.summary.notes[0]
    ignoring = 'ignore = { column = "t", like = "Sum*" }\n' + rules
    assert read(path, ignoring)[1].summary.problems == {}
    skipping = rules + "skip = 2\n"
    assert parts(path, skipping) == PARTS
    with pytest.raises(SourceError, match=r'a\.csv:1: column "t" of mapping\.toml is not in the file \(Line 7'):
        read(path, rules + "skip = 0\n")


def test_rows_that_are_kept_and_rows_that_are_ignored(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "t,n,m\n1,1,a\n2,2,b\n$RT_OFF$,0,a\n3,4,a\n")
    rules = 'keep = { column = "m", equals = "a" }\nignore = [{ column = "t", equals = "$RT_OFF$" }]\n' + PLAIN
    events, logs = read(path, rules)
    assert short(events, "at") == [(1.0,), (3.0,)]
    assert (logs.summary.rows, logs.summary.left_out, logs.summary.problems) == (4, 2, {})


def test_fixed_width_and_columns_apart_by_blanks(tmp_path: Path) -> None:
    fixed = "t    n    remark\n1    1    a,b\n2    2\n3    4    \u00fc\n"
    assert parts(write(tmp_path, "a.txt", fixed), PLAIN + "[csv]\nwidths = [5, 5, 10]\n") == PARTS
    loose = "  t   n\n 1    1 \n2 2\n\t3\t4\r\n"
    assert parts(write(tmp_path, "b.dat", loose), PLAIN + '[csv]\ndelimiter = "spaces"\n') == PARTS


def test_quoted_line_breaks_wherever_the_file_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = 't,n,x\n1,1,"door open\nclose it"\n2,2,"sheet ""7"", A\n\nsee page 3"\r\n3,4,fine\n'
    path = write(tmp_path, "a.csv", text)
    monkeypatch.setattr("twin.sources.files._RAW_BYTES", 3)
    for size in range(1, len(text) + 1):
        monkeypatch.setattr(LogFile.pieces, "__defaults__", (size,))
        events, logs = read(path, PLAIN)
        assert short(events, "at", "parts") == PARTS, size
        assert logs.summary.problems == {}


def test_a_quote_that_never_closes_costs_its_line_only(tmp_path: Path) -> None:
    events, logs = read(write(tmp_path, "a.csv", 't,n,x\n1,1,"door\n2,2,x\n3,4,"y"\n'), PLAIN)
    assert short(events, "at") == [(2.0,), (3.0,)]
    assert logs.summary.problems["open_quote"].count == 1
    many = 't,n,x\n1,1,"door\n' + "".join(f"{i},1,x\n" for i in range(2, 1000))
    assert len(read(write(tmp_path, "b.csv", many), PLAIN)[0]) == 998


def test_parquet_and_typed_times(tmp_path: Path) -> None:
    table = pa.table(
        {
            "t": pa.array([EPOCH + S, EPOCH + 2 * S, EPOCH + 3 * S], pa.timestamp("ns", "UTC")),
            "n": pa.array([1.0, 2.0, 4.0]),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    rules = PLAIN.replace('unit = "s"\norigin = "2026-01-01T00:00:00Z"\n', "")
    assert parts(tmp_path / "a.parquet", rules) == PARTS
    days = pa.array([EPOCH // (86_400 * S)] * 3, pa.int32()).cast(pa.date32())
    table = pa.table({"d": days, "c": pa.array([1, 2, 3], pa.time32("s")), "n": table["n"]})
    pq.write_table(table, tmp_path / "b.parquet")
    assert parts(tmp_path / "b.parquet", rules.replace('column = "t"', 'columns = ["d", "c"]\nzone = "UTC"')) == PARTS


def lengths(path: Path) -> tuple[list[Any], int]:
    """How long the stops of a table are whose lengths its cells say, and how many cells are no length."""
    rules = BY_LENGTH if path.suffix != ".xlsx" else BY_LENGTH.replace('column = "t"', 'column = "t"\nzone = "UTC"')
    events, logs = read(path, rules)
    told = [(e["at"], e["state"]) for e in events if e["type"] == "state"]
    stops = [on - off for (off, one), (on, two) in pairwise(told) if (one, two) == ("off", "on")]
    return stops, logs.summary.problems["unreadable_number"].count


BY_LENGTH = """
line = "L1"
station = "A"
[time]
column = "t"
[[event]]
type = "state"
state = "off"
until = { plus = { column = "n", unit = "min" } }
otherwise = "on"
"""


def test_lengths_of_time_in_a_workbook_have_all_their_days(tmp_path: Path) -> None:
    told = [timedelta(minutes=20), timedelta(hours=25.5), timedelta(1), timedelta(days=20, milliseconds=250), 5]
    rows = [[datetime(2026, 1 + i, 1), one] for i, one in enumerate(told)]  # noqa: DTZ001
    rows.append([datetime(2026, 8, 1), timedelta(hours=-1)])  # noqa: DTZ001
    book = workbook(tmp_path / "a.xlsx", {"A": [["t", "n"], *rows]})
    found, none = lengths(book)
    assert found == [1_200, 91_800, 86_400, 1_728_000.25, 300]
    assert none == 1  # nothing takes less than no time


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_lengths_of_time_in_parquet_know_their_unit(tmp_path: Path, unit: str) -> None:
    seconds = [1_200, 91_800, 3_456_000, 5, -1]
    step = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    begins = [EPOCH + 60 * 86_400 * S * i for i in range(6)]
    told = pa.array([*(one * step for one in seconds), None], pa.duration(unit))
    pq.write_table(pa.table({"t": pa.array(begins, pa.timestamp("ns", "UTC")), "n": told}), tmp_path / "a.parquet")
    found, none = lengths(tmp_path / "a.parquet")
    assert found == [1_200, 91_800, 3_456_000, 5]
    assert none == 1


@given(st.integers(0, 10**17))
def test_a_length_as_text_is_read_as_it_was(ns: int) -> None:
    for unit in ("s", "h"):
        assert length_ns(length_text(ns), unit, Numbers()) == ns
    assert length_ns(length_text(-ns - 1), "s", Numbers()) < -1  # none


def test_infinity_in_a_parquet_column_is_no_blank(tmp_path: Path) -> None:
    times = pa.array([EPOCH + k * S for k in range(4)], pa.timestamp("ns", "UTC"))
    table = pa.table({"t": times, "n": [1.0, float("inf"), -float("inf"), float("nan")]})
    pq.write_table(table, tmp_path / "a.parquet")
    rules = PLAIN.replace('unit = "s"\norigin = "2026-01-01T00:00:00Z"\n', "")
    events, logs = read(tmp_path / "a.parquet", rules)
    assert short(events, "at", "parts") == [(0.0, (1, 0, 0))]
    assert {name: one.count for name, one in logs.summary.problems.items()} == {"unreadable_number": 2}


def test_workbooks(tmp_path: Path) -> None:
    begin = datetime(2026, 1, 1)  # noqa: DTZ001 # a cell has no zone
    head = ["t", "n", "v"]
    rows = [[begin + timedelta(seconds=i), n, 1.234] for i, n in ((0, 1), (2, 2.0), (3, 4))]
    book = workbook(
        tmp_path / "a.xlsx",
        {"A": [["Report"], [], head, *rows[:2]], "B": [head, rows[2], ["Sum", 7, ""]], "Notes": [["nothing"]]},
    )
    rules = PLAIN.replace('unit = "s"\norigin = "2026-01-01T00:00:00Z"', 'zone = "UTC"').replace('"A"', '"{sheet}"')
    logs = open_logs([book], plant(), mapping(rules))
    events = [e for e in plain(run(logs)[0], plant()) if e["type"] == "count"]
    assert [(e["at"], e["station"], e["parts"][0]) for e in events] == [(0.0, "A", 1), (2.0, "A", 2), (3.0, "B", 4)]
    assert logs.summary.problems["bad_time"].first.startswith(f"{book}/B:3:")
    assert len(logs.summary.problems) == 1
    only = open_logs([book], plant(), mapping(rules + '[csv]\nsheets = ["B"]\n'))
    assert [e["at"] for e in plain(run(only)[0], plant()) if e["type"] == "count"] == [3.0]
    with pytest.raises(SourceError, match='there is no sheet "C"'):
        open_logs([book], plant(), mapping(rules + '[csv]\nsheets = ["C"]\n'))
    with pytest.raises(SourceError, match="is no workbook that can be read"):
        open_logs([write(tmp_path, "b.xlsx", ROWS)], plant(), mapping(rules))


def test_a_folder_and_a_pattern_stand_for_their_files(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    for i, n in enumerate((1, 2, 4), 1):
        write(tmp_path / "logs", f"day{i}.csv", f"t,n\n{i},{n}\n")
    for paths in ([tmp_path / "logs"], [tmp_path / "logs" / "day*.csv"]):
        events = plain(run(open_logs(paths, plant(), mapping(PLAIN)))[0], plant())
        assert short(events[:-1], "at", "parts") == PARTS
    with pytest.raises(SourceError, match="no files in it"):
        open_logs([tmp_path / "*.txt"], plant(), mapping(PLAIN))


def test_the_file_and_parts_of_its_name(tmp_path: Path) -> None:
    for name, rows in (("L1_A_mon.csv", "t,n\n1,1\n"), ("L1_B_mon.csv", "t,n\n2,2\n"), ("L2_C_mon.csv", "t,n\n3,4\n")):
        write(tmp_path, name, rows)
    rules = 'file = "{line}_{machine}_*"\n' + PLAIN.replace('"L1"', '"{file.line}"').replace('"A"', '"{file.machine}"')
    events = plain(run(open_logs([tmp_path], plant(), mapping(rules)))[0], plant())
    assert [e[1:] for e in short([e for e in events if e["type"] == "count"], "at", "line", "station")] == [
        ("L1", "A"),
        ("L1", "B"),
        ("L2", "C"),
    ]
    looked_up = rules.replace('"{file.machine}"', '{ text = "{file.machine}", lookup = { A = "B", B = "A" } }')
    events = plain(run(open_logs([tmp_path / "L1*"], plant(), mapping(looked_up)))[0], plant())
    assert short([e for e in events if e["type"] == "count"], "station") == [("B",), ("A",)]
    with pytest.raises(SourceError, match="is not of the form"):
        open_logs([write(tmp_path, "x.csv", ROWS)], plant(), mapping(rules))
    with pytest.raises(MappingError, match='station "x" is not in line "L1"'):
        open_logs([tmp_path / "x.csv"], plant(), mapping(PLAIN.replace('"A"', '"{file}"')))


WIDE = (
    BOTH.split("[[event]]")[0]
    + """
[[event]]
type = "state"
state = { column = "{station} state" }
[[event]]
type = "count"
good = { column = "{station} good" }
"""
)


def test_columns_of_several_stations(tmp_path: Path) -> None:
    text = "t,A state,A good,B state,Hall state\n1,on,1,off,x\n2,off,0,off,x\n3,on,2,on,y\n"
    path = write(tmp_path, "a.csv", text)
    events, logs = read(path, WIDE)
    told = [(e["at"], e["station"], e.get("state") or e.get("parts")) for e in events]
    assert told == [
        (1.0, "A", "on"),
        (1.0, "B", "off"),
        (1.0, "A", (1, 0, 0)),
        (2.0, "A", "off"),
        (2.0, "B", "off"),
        (3.0, "A", "on"),
        (3.0, "B", "on"),
        (3.0, "A", (2, 0, 0)),
    ]
    assert 'column "Hall state": station "Hall" is not in the plant' in logs.summary.problems["unknown_station"].first
    assert read(path, WIDE + '[stations]\nHall = ""\n')[1].summary.problems == {}
    with pytest.raises(SourceError, match=r'column "\{station\} state" of mapping.toml is not in the file'):
        read(write(tmp_path, "b.csv", "t,x\n1,2\n"), WIDE)


def test_samples_of_several_stations_in_a_row(tmp_path: Path) -> None:
    rules = WIDE.replace("[[event]]", '[sample]\nhold = "10s"\n[[event]]', 1)
    rows = [(0, "on", "on"), (10, "on", "off"), (20, "off", "off"), (100, "on", "off")]
    text = "t,A state,A good,B state,B good\n" + "".join(f"{t},{a},0,{b},0\n" for t, a, b in rows)
    events, logs = read(write(tmp_path, "a.csv", text), rules)
    for station, states in (
        ("A", [(0.0, "on"), (20.0, "off"), (30.0, "unknown"), (100.0, "on"), (110.0, "unknown")]),
        ("B", [(0.0, "on"), (10.0, "off"), (30.0, "unknown"), (100.0, "off"), (110.0, "unknown")]),
    ):
        own = [e for e in events if e["station"] == station and e["type"] == "state"]
        assert short(own, "at", "state") == states
    assert logs.summary.gaps.count == 2


def test_a_table_of_tags(tmp_path: Path) -> None:
    rules = (
        BOTH.split("[[event]]")[0]
        + """
[[event]]
type = "state"
station = { column = "tag", pattern = "Plant/{}/State", lookup = { M1 = "A", M2 = "B" } }
state = { column = "v", lookup = { "1" = "on", "0" = "off" } }
[[event]]
type = "count"
station = { column = "tag", pattern = "Plant/{}/Made", lookup = { M1 = "A" } }
counter = "made"
value = { column = "v" }
"""
    )
    text = "t,tag,v\n1,Plant/M1/State,1\n1,Plant/M1/Made,5\n2,Plant/M2/State,0\n3,Plant/M1/Temp,77\n4,Plant/M1/Made,6\n"
    events, logs = read(write(tmp_path, "a.csv", text), rules)
    told = [(e["at"], e["station"], e.get("state") or e.get("value")) for e in events]
    assert told == [(1.0, "A", "on"), (1.0, "A", 5), (2.0, "B", "off"), (4.0, "A", 6)]
    assert (logs.summary.told, logs.summary.ignored, logs.summary.problems) == (4, 1, {})


CYCLES = """
line = "L1"
station = { column = "who" }
[time]
column = "end"
unit = "s"
origin = "2026-01-01T00:00:00Z"
[[event]]
type = "cycle"
phase = "start"
time = %s
[[event]]
type = "cycle"
phase = "end"
"""


@pytest.mark.parametrize(
    ("time", "begins"),
    [
        ('{ column = "begin" }', ["10", "5", "30"]),
        ('{ minus = { column = "begin", unit = "s" } }', ["10", "15", "0:00:10"]),
        ('{ minus = { column = "begin", unit = "min" } }', ["1/6", "0.25", "0:00:10"]),
    ],
)
def test_start_and_end_in_a_row_come_out_in_order(tmp_path: Path, time: str, begins: list[str]) -> None:
    rows = zip(("A", "B", "A"), begins, ("20", "20", "40"), strict=True)
    text = "who,begin,end\n" + "".join(",".join(row) + "\n" for row in rows)
    events, logs = read(write(tmp_path, "a.csv", text), CYCLES % time)
    told = short(events, "at", "station", "phase")
    if begins[0] == "1/6":
        assert logs.summary.problems["unreadable_number"].count == 1
        told.insert(1, (10.0, "A", "start"))
    assert told == [
        (5.0, "B", "start"),
        (10.0, "A", "start"),
        (20.0, "A", "end"),
        (20.0, "B", "end"),
        (30.0, "A", "start"),
        (40.0, "A", "end"),
    ]


STOPS = """
line = "L1"
station = "A"
[time]
column = "from"
unit = "s"
origin = "2026-01-01T00:00:00Z"
[[event]]
type = "state"
state = { column = "what" }
reason = { column = "why" }
until = { column = "to" }
otherwise = "on"
"""


def test_intervals_nest_overlap_and_stay_open(tmp_path: Path) -> None:
    rows = ["10,20,off,a", "12,15,off,b", "18,25,off,c", "40,,off,d", "50,60,off,e", "70,65,off,f", "80,80,off,g"]
    events, logs = read(write(tmp_path, "a.csv", "from,to,what,why\n" + "\n".join(rows) + "\n"), STOPS)
    told = [event for event in events if event["type"] == "state"]
    assert short(told, "at", "state", "reason") == [
        (10.0, "off", "a"),
        (12.0, "off", "b"),
        (15.0, "off", "a"),
        (18.0, "off", "c"),
        (25.0, "on", None),
        (40.0, "off", "d"),
        (50.0, "off", "e"),
        (60.0, "on", None),
    ]
    assert "ends before it begins" in logs.summary.problems["impossible_value"].first


def test_rows_numbered_at_their_source_count_once(tmp_path: Path) -> None:
    rules = 'seq = { column = "no" }\n' + PLAIN
    one = write(tmp_path, "one.csv", "t,no,n\n1,501,1\n2,502,2\n3,503,4\n")
    two = write(tmp_path, "two.csv", "t,no,n\n2,502,2\n3,503,4\n4,504,8\n5,,16\n")
    events = plain(run(open_logs([one, two], plant(), mapping(rules)))[0], plant())
    counts = [e for e in events if e["type"] == "count"]
    assert short(counts, "at", "seq") == [
        (1.0, 501),
        (2.0, 502),
        (2.0, 502),
        (3.0, 503),
        (3.0, 503),
        (4.0, 504),
        (5.0, -1),
    ]
    with pytest.raises(MappingError, match="samples are told apart by their time"):
        mapping(rules + '[sample]\nhold = "1s"\n')


def test_each_event_of_a_numbered_row_has_a_number(tmp_path: Path) -> None:
    head, count = PLAIN.split("[[event]]")
    state = '\ntype = "state"\nstate = { column = "s" }\n'
    log = write(tmp_path, "one.csv", "t,no,n,s\n1,501,1,on\n2,502,2,off\n")
    for first, second in ((count, state), (state, count)):
        rules = f'seq = {{ column = "no" }}\n{head}[[event]]{first}[[event]]{second}'
        numbers = [e["seq"] for e in plain(run(open_logs([log], plant(), mapping(rules)))[0], plant())]
        assert len(numbers) == len(set(numbers)) and set(numbers) >= {1002, 1003, 1004, 1005}


def test_exports_that_overlap_are_told(tmp_path: Path) -> None:
    one = write(tmp_path, "one.csv", "t,n\n1,1\n2,2\n3,4\n")
    two = write(tmp_path, "two.csv", "t,n\n2,2\n3,5\n3,4\n4,8\n")
    logs = open_logs([one, two], plant(), mapping(PLAIN))
    run(logs)
    assert logs.summary.problems["overlap"].count == 2
    assert "two.csv: holds the same events as" in logs.summary.problems["overlap"].first
    logs = open_logs([write(tmp_path, "three.csv", "t,n\n1,1\n1,1\n")], plant(), mapping(PLAIN))
    run(logs)
    assert logs.summary.problems == {}


def test_a_log_that_is_newest_first_and_one_that_is_not_in_order(tmp_path: Path) -> None:
    turned = write(tmp_path, "a.csv", "t,n\n3,4\n2,2\n1,1\n")
    events, logs = read(turned, PLAIN)
    assert short(events, "at", "parts") == PARTS
    assert "the newest row comes first" in logs.summary.notes[0]
    mixed = write(tmp_path, "b.csv", "t,n\n5,1\n1,1\n9,1\nx,1\n3,2\n20,1\n7,1\n")
    rules = PLAIN.replace("[time]", "[time]\nsort = true")
    events, logs = read(mixed, rules)
    assert short(events, "at") == [(1.0,), (3.0,), (5.0,), (7.0,), (9.0,), (20.0,)]
    assert logs.summary.notes[0].endswith("3 rows stood after a later one; they were sorted")
    assert logs.summary.problems["bad_time"].first.startswith(f"{mixed}:5:")
    assert list(logs.summary.problems) == ["bad_time"]
    assert "jump_back" in read(mixed, PLAIN)[1].summary.problems


def test_one_mapping_for_many_machines_of_shdr(tmp_path: Path) -> None:
    rules = 'format = "shdr"\nline = "L1"\nstation = "{file}"\n[state]\nitem = "e"\nwords = { ACTIVE = "on" }\n'
    for name in "AB":
        write(tmp_path, f"{name}.txt", "2026-01-01T00:00:01Z|e|ACTIVE\n")
    events = plain(run(open_logs([tmp_path], plant(), mapping(rules)))[0], plant())
    assert short(events[:2], "station", "state") == [("A", "on"), ("B", "on")]


def test_a_damaged_sheet_is_told_and_not_left_out(tmp_path: Path) -> None:
    book = workbook(tmp_path / "a.xlsx", {"A": [["t", "n"], [1, 1]], "B": [["t", "n"], [2, 2]]})
    damaged = tmp_path / "b.xlsx"
    with zipfile.ZipFile(book) as whole, zipfile.ZipFile(damaged, "w") as packed:
        for name in whole.namelist():
            text = whole.read(name)
            packed.writestr(name, text.replace(b"<row>", b"<row r=>") if name.endswith("sheet2.xml") else text)
    with pytest.raises(SourceError, match=r"b\.xlsx/B: is no sheet that can be read"):
        open_logs([damaged], plant(), mapping(PLAIN))


def test_a_missing_column_is_told_of_the_line_that_is_most_like_a_header(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "Report,x,y\n\nt,m,o\n1,1,1\n")
    with pytest.raises(SourceError, match=r'a\.csv:3: column "n" .* \(t, m, o\)'):
        read(path, PLAIN)
