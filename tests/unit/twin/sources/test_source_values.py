"""How cells write numbers and times: decimal marks, thousands, units, words, clocks of twelve hours, day numbers."""

from datetime import UTC, datetime
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pytest

from tests.support.sources import EPOCH, S, mapping, read, short, write
from twin.sources import MappingError
from twin.sources.event_times import length_ns
from twin.sources.time_format import _MONTH_WORDS, MONTHS, TimeFormat, pattern
from twin.sources.times import TimeReader
from twin.sources.values import Numbers, stands_for_nothing

HEAD = 'line = "L1"\nstation = "A"\n[time]\ncolumn = "t"\nunit = "s"\norigin = "2026-01-01T00:00:00Z"\n'
COUNT = '[[event]]\ntype = "count"\ngood = { column = "n"%s }\n'


@pytest.mark.parametrize(
    ("decimal", "thousands", "text", "number"),
    [
        ("", "", "12.5", Fraction(25, 2)),
        ("", "", "1,5", None),
        (",", "", "12,5", Fraction(25, 2)),
        (",", "", "1.000", None),
        (",", ".", "1.000.012", 1_000_012),
        (",", ".", "1.000.012,5", Fraction(2_000_025, 2)),
        (",", ".", "12.5", None),
        (",", ".", "1.00.000", None),
        (",", ".", "1000.000", None),
        (",", ".", "1.000,000", 1000),
        (".", ",", "1,234.50", Fraction(2469, 2)),
        (".", ",", "1,23", None),
        (".", "'", "1\u2019234", 1234),
        (".", " ", "1\u00a0234\u202f567", None),  # one mark throughout
        (".", " ", "1\u202f234\u202f567", 1_234_567),
        ("", "", "12-", -12),
        (",", ".", "1.234,5-", Fraction(-2469, 2)),
        ("", "", "\u22125", -5),
        ("", "", "1e5", None),
        ("", "", "\u0661\u0662", None),  # digits, but none of ours
    ],
)
def test_a_number_is_read_as_the_file_writes_it(
    decimal: str, thousands: str, text: str, number: Fraction | int | None
) -> None:
    assert Numbers(decimal, thousands).read(text) == number


def test_what_may_be_two_numbers_is_unsure_until_its_point_is_declared() -> None:
    for text in ("1.000", "12.345", "-999.000"):
        assert Numbers().unsure(text)
        assert not Numbers(".").unsure(text)
        assert not Numbers(",", ".").unsure(text)
    for text in ("0.500", "1.00", "1000.000", "1.0000", "1,000"):
        assert not Numbers().unsure(text)


def test_a_count_that_may_be_two_numbers_is_a_problem_and_one_or_a_thousand_when_declared(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "t,n\n1,1.000\n2,7\n")
    events, logs = read(path, HEAD + COUNT % "")
    assert short(events, "type", "parts") == [("heartbeat", None), ("count", (7, 0, 0))]
    assert list(logs.summary.problems) == ["unsure_number"]
    events, _ = read(path, HEAD + COUNT % "" + '[csv]\ndecimal = "."\n')
    assert short(events, "parts") == [((1, 0, 0),), ((7, 0, 0),)]
    events, _ = read(path, HEAD + COUNT % "" + '[csv]\nthousands = "."\n')
    assert short(events, "parts") == [((1000, 0, 0),), ((7, 0, 0),)]


def test_a_comparison_that_both_readings_answer_alike_is_one(tmp_path: Path) -> None:
    rule = '[[event]]\ntype = "state"\nwhen = { column = "v", above = %s }\nstate = "on"\n'
    path = write(tmp_path, "a.csv", "t,v\n1,2.500\n2,1e-05\n3,###\n")
    events, logs = read(path, HEAD + rule % 0)
    assert (len(events), logs.summary.problems) == (2, {})
    events, logs = read(path, HEAD + rule % 100)
    assert short(events, "type") == [("heartbeat",)]
    assert logs.summary.problems["unreadable_number"].count == 1


@pytest.mark.parametrize(
    ("keys", "cells", "parts"),
    [
        (', unit = "pcs"', ["5 pcs", "6pcs", "7", "8 kg"], [5, 6, 7]),
        (", unit = { kg = 1000, g = 1 }", ["5 kg", "12 g", "7"], [5000, 12]),
        (", lookup = { TRUE = 1, yes = 2 }", ["TRUE", "yes", "no", "4"], [1, 2, 4]),
        (', scale = "1/3"', ["3", "N/A", "-", "####", "9", "4"], [1, 3]),
    ],
)
def test_units_words_and_what_stands_for_nothing(tmp_path: Path, keys: str, cells: list[str], parts: list[int]) -> None:
    path = write(tmp_path, "a.csv", "t,n\n" + "".join(f"{i},{cell}\n" for i, cell in enumerate(cells)))
    events, logs = read(path, HEAD + COUNT % keys)
    assert [event["parts"][0] for event in events] == parts
    assert [tally.count for tally in logs.summary.problems.values()] == [1]
    assert logs.summary.rows == logs.summary.told + logs.summary.ignored + logs.summary.unusable


def test_blank_words_of_the_file_hold_for_texts_too(tmp_path: Path) -> None:
    rule = '[[event]]\ntype = "state"\nstate = { column = "s" }\n'
    path = write(tmp_path, "a.csv", "t,s\n1,on\n2,none\n3,off\n")
    events, logs = read(path, HEAD + rule + '[csv]\nblank = ["none"]\n')
    assert short(events, "state") == [("on",), ("off",)]
    assert logs.summary.problems == {}
    assert read(path, HEAD + rule)[1].summary.problems["unknown_state"].count == 1


def test_nothing_is_nothing() -> None:
    assert all(map(stands_for_nothing, ("", "-", "N/A", "n/a", "NaN", "null", "##", "#######", "#DIV/0!")))
    assert not any(map(stands_for_nothing, ("0", "#", "x", "RUN")))


def _read(form: TimeFormat, *texts: str) -> list[str | None]:
    ts, ok = TimeReader(form).read(pa.array(texts))
    return [
        datetime.fromtimestamp(t / 1e9, UTC).isoformat(timespec="milliseconds")[:-6] if good else None
        for t, good in zip(ts.tolist(), ok.tolist(), strict=True)
    ]


@pytest.mark.parametrize(
    ("form", "text", "time"),
    [
        ("%m/%d/%Y %I:%M:%S %p", "03/02/2026 12:00:05 AM", "2026-03-02T00:00:05.000"),
        ("%m/%d/%Y %I:%M:%S %p", "03/02/2026 12:00:05 PM", "2026-03-02T12:00:05.000"),
        ("%m/%d/%Y %I:%M:%S %p", "3/2/2026 1:05:00\u202fpm", "2026-03-02T13:05:00.000"),
        ("%m/%d/%Y %I:%M:%S %p", "03/02/2026 13:05:00 PM", None),
        ("%m/%d/%Y %I:%M:%S %p", "03/02/2026 0:05:00 AM", None),
        ("%d.%m.%y %H:%M", "02.03.26 06:00", "2026-03-02T06:00:00.000"),
        ("%d.%m.%y %H:%M", "02.03.69 06:00", "1969-03-02T06:00:00.000"),
        ("%d-%b-%y %H:%M:%S", "02-M\u00e4r-26 06:00:01", "2026-03-02T06:00:01.000"),
        ("%d %B %Y %H:%M", "2 ao\u00fbt 2026 06:00", "2026-08-02T06:00:00.000"),
        ("%d %b. %Y %H:%M", "2 sept. 2026 06:00", "2026-09-02T06:00:00.000"),
        ("%d %b %Y %H:%M", "2 Foo 2026 06:00", None),
        ("%a %b %d %H:%M:%S %Y", "Mon Mar  2 06:00:00 2026", "2026-03-02T06:00:00.000"),
        ("%d.%m.%Y %H:%M:%S %L", "02.03.2026 06:00:00 5", "2026-03-02T06:00:00.005"),
        ("%d.%m.%Y %H:%M:%S.%f", "02.03.2026 06:00:00.5", "2026-03-02T06:00:00.500"),
    ],
)
def test_formats(form: str, text: str, time: str | None) -> None:
    found = _read(TimeFormat((pattern(form),), "UTC"), text)
    assert found == [time]


@pytest.mark.parametrize(
    "text",
    ["2026-03-02T06:00Z", "2026-03-02 06:00:00.000+00", "2026-03-02T07:00:00 +01:00", "20260302T060000Z"],
)
def test_iso_in_its_shapes(text: str) -> None:
    assert _read(TimeFormat(), text) == ["2026-03-02T06:00:00.000"]


def test_of_several_formats_the_first_that_fits(tmp_path: Path) -> None:
    rules = HEAD.replace('unit = "s"\norigin = "2026-01-01T00:00:00Z"', 'format = ["%d.%m.%Y %H:%M:%S", "%d.%m.%Y"]')
    rules = rules.replace('column = "t"', 'column = "t"\nzone = "UTC"')
    path = write(tmp_path, "a.csv", "t,n\n31.12.2025 23:59:59,1\n01.01.2026,2\n01.01.2026 00:00:01,3\n")
    events, _ = read(path, rules + COUNT % "")
    assert short(events, "at") == [(-1.0,), (0.0,), (1.0,)]


@pytest.mark.parametrize(
    ("unit", "zone", "text", "time"),
    [
        ("excel", "UTC", "46083.25", "2026-03-02T06:00:00.000"),
        ("excel", "Europe/Berlin", "46083.25", "2026-03-02T05:00:00.000"),
        ("excel", "UTC", "46083.2501157407", "2026-03-02T06:00:10.000"),
        ("excel1904", "UTC", "44621.25", "2026-03-02T06:00:00.000"),
        ("wincc", "UTC", "46083250115,7407", "2026-03-02T06:00:10.000"),
        ("excel", "UTC", "999999", None),
        ("excel", "UTC", "-1", None),
        ("filetime", None, "134169048000000000", "2026-03-02T06:00:00.000"),
        ("day", None, "20514.25", "2026-03-02T06:00:00.000"),
        ("ms", None, "1772431200000", "2026-03-02T06:00:00.000"),
    ],
)
def test_numbers_of_a_unit(unit: str, zone: str | None, text: str, time: str | None) -> None:
    assert _read(TimeFormat((), zone, unit, 0, "," if "," in text else "."), text) == [time]


def test_no_word_means_two_months() -> None:
    assert len(MONTHS) == sum(len(set(words.split())) for words in _MONTH_WORDS)


@pytest.mark.parametrize(
    ("form", "why"),
    [
        ("%d.%m.%Y %I:%M", "%I .hours to 12. and %p"),
        ("%d.%m.%Y %H:%M %p", "%I .hours to 12. and %p"),
        ("%d.%m.%Y %y %H:%M", "say the same"),
        ("%d.%m %H:%M", "%Y missing"),
    ],
)
def test_a_format_that_would_guess_is_refused(form: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        pattern(form)


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ('[csv]\ndecimal = ","\nthousands = ","\n', "is the decimal mark already"),
        ('[csv]\ndecimal = ";"\n', 'csv.decimal: ";" is not one of'),
        ("[csv]\nwidths = [3, 0]\n", "csv.widths: is no list of whole numbers from 1 to 9999"),
        ("seq = 5\n", "seq: must be { column"),
        ('[csv]\nencoding = "hex"\n', 'encoding "hex" is not known'),
    ],
)
def test_mistakes_of_the_new_keys_are_named(keys: str, why: str) -> None:
    text = (keys + HEAD if keys.startswith("seq") else HEAD + keys) + COUNT % ""
    with pytest.raises(MappingError, match=why):
        mapping(text)


def test_an_end_before_its_beginning_is_of_the_next_day(tmp_path: Path) -> None:
    rules = """
line = "L1"
station = "A"
[time]
columns = ["d", "from"]
format = "%d.%m.%Y %H:%M"
zone = "Europe/Berlin"
[[event]]
type = "state"
state = "on"
until = { columns = ["d", "to"], over_midnight = true }
"""
    # The clocks go on in the second night: it has one hour less.
    text = "d,from,to\n27.03.2026,22:00,06:00\n28.03.2026,22:00,06:00\n29.03.2026,06:00,14:00\n"
    events, logs = read(write(tmp_path, "a.csv", text), rules)
    at = [e["at"] for e in events if e["type"] == "state"]
    assert [(after - before) / 3600 for before, after in pairwise(at)] == [8, 16, 7, 8]
    assert logs.summary.problems.keys() <= {"jump_ahead"}
    with pytest.raises(MappingError, match="over_midnight: belongs to an event's own time"):
        mapping(rules.replace('zone = "Europe/Berlin"', 'zone = "Europe/Berlin"\nover_midnight = true'))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 5400),
        ("0:01:30", 90),
        ("5 min", 300),
        ("1,5 Std.", 5400),
        ("1h 30min", 5400),
        ("1.200 sek", 1200),
        ("", None),
        ("5 m", None),
        ("5 pcs", None),
        ("-5 min", None),
        ("00:10", None),
        ("min", None),
    ],
)
def test_lengths_say_their_units(text: str, seconds: int | None) -> None:
    found = length_ns(text, "min", Numbers(",", "."))
    assert found == seconds * S if seconds is not None else found < 0


AUTUMN = """
line = "L1"
station = "A"
[time]
columns = ["d", "from"]
format = ["%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M"]
zone = "Europe/Berlin"
[[event]]
type = "state"
state = "on"
until = { columns = ["d", "to"], over_midnight = true }
"""


@pytest.mark.parametrize(
    ("rows", "utc"),
    [
        # The first time with that clock behind the beginning, whatever ends before and behind it.
        ("24.10.2026,22:00,02:30 26.10.2026,08:00,09:00", "20:00 00:30 07:00 08:00"),
        ("25.10.2026,01:00,02:55 25.10.2026,01:30,02:20", "23:00 00:55"),
        ("25.10.2026,01:00,01:10 25.10.2026,02:50,02:10", "23:00 23:10 00:50 01:10"),
        ("25.10.2026,02:50,02:10 25.10.2026,02:20,02:40", "00:50 01:10 01:20 01:40"),
        # Formats that take turns: the rows keep their order.
        (
            "25.10.2026,01:30:05,01:31 25.10.2026,02:30,02:31 25.10.2026,02:32:00,02:33",
            "23:30 23:31 00:30 00:31 00:32 00:33",
        ),
    ],
)
def test_ends_in_the_repeated_hour_follow_their_beginnings(tmp_path: Path, rows: str, utc: str) -> None:
    events, logs = read(write(tmp_path, "a.csv", "d,from,to\n" + rows.replace(" ", "\n") + "\n"), AUTUMN)
    states = [e for e in events if e["type"] == "state"]
    assert [f"{datetime.fromtimestamp(EPOCH // S + e['at'], UTC):%H:%M}" for e in states] == utc.split()
    assert logs.summary.problems.keys() <= {"jump_ahead"}


def test_an_interval_over_midnight_without_length_is_told(tmp_path: Path) -> None:
    # 06:00 to 06:00 is a day, or nothing: nobody can tell.
    text = "d,from,to\n10.02.2026,22:00,22:30\n11.02.2026,06:00,06:00\n12.02.2026,22:00,22:10\n"
    log = write(tmp_path, "a.csv", text)
    problem = read(log, AUTUMN)[1].summary.problems["no_length"]
    assert (problem.count, problem.first.startswith(f"{log}:3: ")) == (1, True)
    assert "no_length" not in read(log, AUTUMN.replace(", over_midnight = true", ""))[1].summary.problems


def test_a_pass_of_the_repeated_hour_that_nobody_can_tell_is_told(tmp_path: Path) -> None:
    rules = AUTUMN.replace("until =", "# until =")
    rows = {
        "begins": "25.10.2026,02:30,\n25.10.2026,02:40,\n",
        "both": "25.10.2026,02:30,\n25.10.2026,02:10,\n",
        "before": "25.10.2026,01:30,\n25.10.2026,02:40,\n",
    }
    told = {name: read(write(tmp_path, f"{name}.csv", "d,from,to\n" + text), rules)[1] for name, text in rows.items()}
    assert [name for name, logs in told.items() if "repeated_hour" in logs.summary.problems] == ["begins"]
    assert told["begins"].summary.problems["repeated_hour"].first.startswith(f"{tmp_path}/begins.csv:2: ")
    # By the hour nothing but the step of the rows tells it.
    text = "d,from,to\n" + "".join(f"25.10.2026,{hour:02}:00,\n" for hour in (1, 2, 2, 3))
    problem = read(write(tmp_path, "hour.csv", text), rules)[1].summary.problems["repeated_hour"]
    assert (problem.count, problem.first.startswith(f"{tmp_path}/hour.csv:4: ")) == (1, True)
    text = "d,from,to\n25.10.2026,01:30,\n25.10.2026,02:40,\n25.10.2026,01:40,\n25.10.2026,02:10,\n"
    rules = rules.replace("zone =", "sort = true\nzone =")
    assert read(write(tmp_path, "sort.csv", text), rules)[1].summary.problems["repeated_hour"].count == 2


def test_short_names_of_zones(tmp_path: Path) -> None:
    rules = """
line = "L1"
station = "A"
[time]
column = "t"
format = "%a %b %d %H:%M:%S %Z %Y"
zone = "Europe/Berlin"
[[event]]
type = "count"
good = { column = "n" }
"""
    rows = ("Sun Oct 25 02:30:00 CEST 2026", "Sun Oct 25 02:30:00 CET 2026", "Sun Oct 25 02:00:00 UTC 2026")
    text = "t,n\n" + "".join(f"{row},1\n" for row in (*rows, "Sun Oct 25 02:30:00 PST 2026"))
    events, logs = read(write(tmp_path, "a.csv", text), rules)
    first = events[0]["at"]
    assert [e["at"] - first for e in events] == [0, 3600, 5400]
    assert logs.summary.problems["bad_time"].count == 1
