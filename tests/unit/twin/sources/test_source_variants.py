# ruff: noqa: E501 # tables of small files
"""The kinds of exports that a new plant stumbles over, each in several forms: separators, encodings, languages, units, times.

Every form says the same: 3, 0, 5 and 2 good parts at 06:00:00, 06:00:20, 06:01:00 and 13:05:00 UTC on 2 March 2026, unless it says otherwise.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.sources import EPOCH, S, mapping, plain, plant, read, run, write
from twin.sources import open_logs

PARTS = {6 * 3600: 3, 6 * 3600 + 60: 5, 13 * 3600 + 300: 2}
DAY = int(datetime(2026, 3, 2, tzinfo=UTC).timestamp()) - EPOCH // S
HEAD = 'line = "L1"\nstation = "A"\n'
COUNT = '[[event]]\ntype = "count"\ngood = { column = "n" }\n'


def found(path: Path, rules: str) -> dict[int, int]:
    events, logs = read(path, rules)
    assert logs.summary.problems.keys() <= {"jump_ahead"}, logs.summary.report()
    return {int(e["at"]) - DAY: e["parts"][0] for e in events if e["type"] == "count"}


def time(*keys: str) -> str:
    return "[time]\n" + "\n".join(keys) + "\n"


LOCAL = 'format = "%d.%m.%Y %H:%M:%S"'
ISO = 'column = "t"'
NUMBERS = [
    ('t;n\n{};3\n{};0\n{};5\n{};2\n', '[csv]\ndelimiter = ";"\n'),
    ("t\tn\n{}\t3,0\n{}\t0,0\n{}\t5,00\n{}\t2\n", '[csv]\ndelimiter = "\\t"\ndecimal = ","\n'),
    ("t|n\n{}|3.000 g\n{}|0 g\n{}|5.000 g\n{}|2.000 g\n", '[csv]\ndelimiter = "|"\nthousands = "."\n'),
    ("t;n\n{};3 000 g\n{};0 g\n{};5\u00a0000 g\n{};2\u202f000 g\n", '[csv]\ndelimiter = ";"\nthousands = " "\n'),
    ("t;n\n{};3'000 g\n{};-\n{};5\u2019000 g\n{};2'000 g\n", '[csv]\ndelimiter = ";"\nthousands = "\'"\n'),
    ('t,n\n{},"3,000 g"\n{},N/A\n{},"5,000.0 g"\n{},"2,000 g"\n', '[csv]\nthousands = ","\n'),
    ("t;n\n{};3,0 kg\n{};####\n{};5 kg\n{};2000 g\n", '[csv]\ndelimiter = ";"\ndecimal = ","\n'),
]  # fmt: skip


@pytest.mark.parametrize(("text", "form"), NUMBERS)
def test_numbers(tmp_path: Path, text: str, form: str) -> None:
    stamps = ("2026-03-02T06:00:00Z", "2026-03-02T06:00:20Z", "2026-03-02T06:01:00Z", "2026-03-02T13:05:00Z")
    unit = ', unit = { kg = 1, g = "1/1000", "" = 1 }'
    rules = HEAD + time(ISO) + COUNT.replace('"n"', f'"n"{unit}') + form
    assert found(write(tmp_path, "a.csv", text.format(*stamps)), rules) == PARTS


TIMES = [
    # Date and time in two columns.
    ('d;u;n\n02.03.2026;07:00:00;3\n02.03.2026;07:01:00;5\n02.03.2026;14:05:00;2\n',
     time('columns = ["d", "u"]', LOCAL, 'zone = "Europe/Berlin"') + '[csv]\ndelimiter = ";"\n'),
    ("u,d,n\n6:00,3/2/26,3\n6:01,3/2/26,5\n13:05,3/2/26,2\n",
     time('columns = ["d", "u"]', 'format = "%m/%d/%y %H:%M"', 'zone = "UTC"')),
    ("d n u\n2026-03-02 3 060000\n2026-03-02 5 060100\n2026-03-02 2 130500\n",
     time('columns = ["d", "u"]', 'format = "%Y-%m-%d %H%M%S"', 'zone = "UTC"') + '[csv]\ndelimiter = "spaces"\n'),
    ("d;u;ms;n\n02-MAR-2026;06:00:00;0;3\n02-MAR-2026;06:01:00;0;5\n02-MAR-2026;13:05:00;0;2\n",
     time('columns = ["d", "u", "ms"]', 'format = "%d-%b-%Y %H:%M:%S %L"', 'zone = "UTC"') + '[csv]\ndelimiter = ";"\n'),
    ("d;u;n\nLundi 2 mars 2026;06h00;3\nLundi 2 mars 2026;06h01;5\nLundi 2 mars 2026;13h05;2\n",
     time('columns = ["d", "u"]', 'format = "%A %d %B %Y %Hh%M"', 'zone = "UTC"') + '[csv]\ndelimiter = ";"\n'),
    # Clocks of twelve hours, in their spellings.
    ("t,n\n03/02/2026 6:00:00 AM,3\n03/02/2026 6:01:00 am,5\n03/02/2026 1:05:00 p.m.,2\n",
     time(ISO, 'format = "%m/%d/%Y %I:%M:%S %p"', 'zone = "UTC"')),
    ("t,n\n2-Mar-26 06:00AM,3\n2-Mar-26 06:01AM,5\n2-Mar-26 01:05PM,2\n", time(ISO, 'format = "%d-%b-%y %I:%M%p"', 'zone = "UTC"')),
    ('t,n\n"Mar 2, 2026 6:00:00.000 AM",3\n"Mar 2, 2026 6:01:00.000 AM",5\n"Mar 2, 2026 1:05:00.000 PM",2\n',
     time(ISO, 'format = "%b %d, %Y %I:%M:%S.%f %p"', 'zone = "UTC"')),
    ("t;n\nlun. 2 marzo 2026 6:00:00 a. m.;3\nlun. 2 marzo 2026 6:01:00 a. m.;5\nlun. 2 marzo 2026 1:05:00 p. m.;2\n",
     time(ISO, 'format = "%a %d %B %Y %I:%M:%S %p"', 'zone = "UTC"') + '[csv]\ndelimiter = ";"\n'),
    ("t,n\n2026/03/02 06:00:00\u202fAM,3\n2026/03/02 06:01:00\u202fAM,5\n2026/03/02 01:05:00\u202fPM,2\n",
     time(ISO, 'format = "%Y/%m/%d %I:%M:%S %p"', 'zone = "UTC"')),
    # Numbers.
    ("t,n\n1772431200,3\n1772431260.0,5\n1772456700,2\n", time(ISO, 'unit = "s"')),
    ("t,n\n1772431200000000,3\n1772431260000000,5\n1772456700000000,2\n", time(ISO, 'unit = "us"')),
    ("t;n\n46083,25;3\n46083,2506944444;5\n46083,5451388889;2\n",
     time(ISO, 'unit = "excel"', 'zone = "UTC"') + '[csv]\ndelimiter = ";"\ndecimal = ","\n'),
    ("t,n\n134169048000000000,3\n134169048600000000,5\n134169303000000000,2\n", time(ISO, 'unit = "filetime"')),
    ("t,n\n20260302T060000Z,3\n20260302T060100Z,5\n20260302T130500Z,2\n", time(ISO)),
    ("t,n\n2026-03-02 06:00,3\n2026-03-02 06:01,5\n2026-03-02 13:05,2\n", time(ISO, 'zone = "UTC"')),
    ("t,n\n20260302060000,3\n20260302060100,5\n20260302130500,2\n", time(ISO, 'format = "%Y%m%d%H%M%S"', 'zone = "UTC"')),
]  # fmt: skip


@pytest.mark.parametrize(("text", "rules"), TIMES)
def test_times(tmp_path: Path, text: str, rules: str) -> None:
    assert found(write(tmp_path, "a.csv", text), HEAD + rules + COUNT) == PARTS


BODY = "t{0}n\r\n2026-03-02T06:00:00Z{0}3\r\n2026-03-02T06:01:00Z{0}5\r\n2026-03-02T13:05:00Z{0}2\r\n"
FILES = [
    (BODY.format(",").encode("utf-16"), ""),
    (BODY.format("\t").encode("utf-16-be"), '[csv]\ndelimiter = "\\t"\n'),
    (("Rüstzeiten\r\n\r\n" + BODY.format(";")).encode("cp1252"), '[csv]\ndelimiter = ";"\nencoding = "cp1252"\n'),
    (("\ufeffReport;;\r\nBy: X;;\r\n;;\r\n" + BODY.format(";") + ";;\r\nTotal;10\r\n").encode(),
     'ignore = { column = "t", like = "Total*" }\n[csv]\ndelimiter = ";"\n'),
    ((BODY.format(",") + "Sum,10\r\n").encode("iso8859-15"), 'ignore = { column = "t", equals = "Sum" }\n[csv]\nencoding = "iso8859-15"\n'),
    (("# made by X\r\n" + BODY.format(",") + "# end\r\n").encode(), '[csv]\ncomment = "#"\n'),
    (("sep=;\r\n" + BODY.format(";")).encode(), '[csv]\ndelimiter = ";"\n'),
    ((BODY.format(",") + BODY.format(",").split("\r\n", 1)[0] + "\r\n").encode(), ""),
    (BODY.format(",").replace("\r\n", "\r\r\n").encode(), ""),
    (b"t n\n" + "\n".join(BODY.format(" ").split("\r\n")[1:]).encode(), '[csv]\ndelimiter = "spaces"\n'),
]  # fmt: skip


@pytest.mark.parametrize(("data", "form"), FILES)
def test_files(tmp_path: Path, data: bytes, form: str) -> None:
    lead, _, table = form.partition("[csv]")
    rules = HEAD + lead + time(ISO) + COUNT + (f"[csv]{table}" if table else "")
    assert found(write(tmp_path, "a.csv", data), rules) == PARTS


QUOTED = [
    ('t,m,n\n2026-03-02T06:00:00Z,"a\nb",3\n2026-03-02T06:01:00Z,"a ""q"", b",5\n2026-03-02T13:05:00Z,c,2\n', ""),
    ('t;m;n\n2026-03-02T06:00:00Z;"a\r\n\r\nb;c";3\n2026-03-02T06:01:00Z;x;5\n2026-03-02T13:05:00Z;"";2\n', '[csv]\ndelimiter = ";"\n'),
    ('"t","m","n"\n"2026-03-02T06:00:00Z","1\n2\n3","3"\n"2026-03-02T06:01:00Z","","5"\n"2026-03-02T13:05:00Z","x","2"\n', ""),
    ("t,m,n\n2026-03-02T06:00:00Z,'a\nb',3\n2026-03-02T06:01:00Z,it''s,5\n2026-03-02T13:05:00Z,c,2\n", '[csv]\nquote = "\'"\n'),
    ('n,t,m\n3,2026-03-02T06:00:00Z,"a\nb"\n5,2026-03-02T06:01:00Z,"ends ""so""\n"\n2,2026-03-02T13:05:00Z,c\n', ""),
]  # fmt: skip


@pytest.mark.parametrize(("text", "form"), QUOTED)
def test_line_breaks_in_quotes(tmp_path: Path, text: str, form: str) -> None:
    assert found(write(tmp_path, "a.csv", text), HEAD + time(ISO) + COUNT + form) == PARTS


def cycles(path: Path, rules: str) -> list[tuple[int, str, str | None]]:
    events, logs = read(path, rules)
    assert logs.summary.problems.keys() <= {"jump_ahead"}, logs.summary.report()
    return [(int(e["at"]) - DAY - 6 * 3600, e["phase"], e.get("unit")) for e in events if e["type"] == "cycle"]


CYCLE = '[[event]]\ntype = "cycle"\nphase = "start"\n{}\nunit = {{ column = "u" }}\n[[event]]\ntype = "cycle"\nphase = "end"\n{}\nunit = {{ column = "u" }}\n'
SPANS = [
    ("b,e,u\n2026-03-02T06:00:00Z,2026-03-02T06:10:00Z,1\n2026-03-02T06:10:00Z,2026-03-02T06:25:00Z,2\n", time('column = "e"'), 'time = { column = "b" }', ""),
    ("b,d,u\n2026-03-02T06:00:00Z,600,1\n2026-03-02T06:10:00Z,900,2\n", time('column = "b"'), "", 'time = { plus = { column = "d" } }'),
    ("e;d;u\n02.03.2026 07:10:00;10,0;1\n02.03.2026 07:25:00;15,0;2\n", time('column = "e"', LOCAL, 'zone = "Europe/Berlin"') + '[csv]\ndelimiter = ";"\ndecimal = ","\n',
     'time = { minus = { column = "d", unit = "min" } }', ""),
    ("b,d,u\n1772431200,0:10:00,1\n1772431800,00:15:00,2\n", time('column = "b"', 'unit = "s"'), "", 'time = { plus = { column = "d" } }'),
    ("d,b,e,u\n2026-03-02,06:00,06:10,1\n2026-03-02,06:10,06:25,2\n", time('columns = ["d", "e"]', 'format = "%Y-%m-%d %H:%M"', 'zone = "UTC"'),
     'time = { columns = ["d", "b"] }', ""),
    ("b,ms,u\n2026-03-02T06:00:00Z,600000,1\n2026-03-02T06:10:00Z,900000,2\n", time('column = "b"'), "", 'time = { plus = { column = "ms", unit = "ms" } }'),
]  # fmt: skip


@pytest.mark.parametrize(("text", "rules", "start", "end"), SPANS)
def test_a_start_and_an_end_in_a_row(tmp_path: Path, text: str, rules: str, start: str, end: str) -> None:
    rows = cycles(write(tmp_path, "a.csv", text), HEAD + rules + CYCLE.format(start, end))
    assert sorted(rows) == sorted([(0, "start", "1"), (600, "end", "1"), (600, "start", "2"), (1500, "end", "2")])


BOTH = 'line = "L1"\n'
WIDE = [
    ("t,A n,B n\n{0},3,1\n{1},5,0\n", 'good = { column = "{station} n" }'),
    ("t,Plant/A/Parts,Plant/B/Parts\n{0},3,1\n{1},5,\n", 'good = { column = "Plant/{station}/Parts" }'),
    ("t,n_A,n_B,x\n{0},3,1,9\n{1},5,0,9\n", 'good = { column = "n_{station}" }'),
    ("B [pcs],A [pcs],t\n1 pcs,3 pcs,{0}\n-,5 pcs,{1}\n", 'good = { column = "{station} [pcs]", unit = "pcs" }'),
    ("t,m1.n,m2.n\n{0},3,1\n{1},5,0\n", 'good = { column = "{station}.n" }\n[stations]\nm1 = "A"\nm2 = "B"'),
    ("t,tag,v\n{0},A/n,3\n{0},B/n,1\n{1},A/n,5\n{1},A/temp,70\n", 'station = { column = "tag", pattern = "{}/n" }\ngood = { column = "v" }'),
]  # fmt: skip


@pytest.mark.parametrize(("text", "rule"), WIDE)
def test_several_stations(tmp_path: Path, text: str, rule: str) -> None:
    stamps = "2026-03-02T06:00:00Z", "2026-03-02T06:01:00Z"
    path = write(tmp_path, "a.csv", text.replace("{0}", stamps[0]).replace("{1}", stamps[1]))
    events, logs = read(path, BOTH + time(ISO) + '[[event]]\ntype = "count"\n' + rule + "\n")
    assert not logs.summary.problems
    made = [(e["station"], e["parts"][0]) for e in events if e["type"] == "count"]
    assert sorted(made) == [("A", 3), ("A", 5), ("B", 1)]


NAMES: list[tuple[tuple[str, str], str]] = [
    (("A.csv", "B.csv"), 'line = "L1"\nstation = "{file}"\n'),
    (("press_A_0302.csv", "press_B_0302.csv"), 'line = "L1"\nfile = "press_{s}_*"\nstation = "{file.s}"\n'),
    (("L1-A.csv", "L1-B.csv"), 'file = "{l}-{s}"\nline = "{file.l}"\nstation = "{file.s}"\n'),
    (("m-1.csv", "m-2.csv"), 'line = "L1"\nstation = { text = "{file}", lookup = { "m-1" = "A", "m-2" = "B" } }\n'),
    (("A.csv.gz", "B.csv.gz"), 'line = "L1"\nstation = "{file}"\n'),
]


@pytest.mark.parametrize(("names", "head"), NAMES)
def test_the_file_s_name_is_the_station(tmp_path: Path, names: tuple[str, str], head: str) -> None:
    for name, good in zip(names, (3, 30), strict=True):
        write(tmp_path, name, f"t,n\n2026-03-02T06:00:00Z,{good}\n")
    model = plant()
    logs = open_logs([tmp_path / name for name in names], model, mapping(head + time(ISO) + COUNT))
    events: list[dict[str, Any]] = plain(run(logs)[0], model)
    assert sorted((e["station"], e["parts"][0]) for e in events if e["type"] == "count") == [("A", 3), ("B", 30)]


OVERLAPS = [
    ("t,no,n\n{0},501,3\n{1},502,5\n", "t,no,n\n{1},502,5\n{2},503,2\n", 'seq = { column = "no" }\n'),
    ("t,id,n\n{0},9f-a,3\n{1},03-b,5\n", "t,id,n\n{1},03-b,5\n{2},77-c,2\n", 'row = { column = "id" }\n'),
    ("t,o,k,n\n{0},7,1,3\n{1},7,2,5\n", "t,o,k,n\n{1},7,2,5\n{2},8,1,2\n", 'row = { columns = ["o", "k"] }\n'),
    ("t,id,n\n{0},1,3\n{1},2,5\n", "t,id,n\n{2},3,2\n{1},2,5\n{0},1,3\n", 'row = { column = "id" }\n'),
    ("t,id,n\n{0},1,3\n{0},1,3\n{1},2,5\n", "t,id,n\n{2},3,2\n", 'row = { column = "id" }\n'),
]


@pytest.mark.parametrize(("one", "two", "key"), OVERLAPS)
def test_exports_that_overlap(tmp_path: Path, one: str, two: str, key: str) -> None:
    stamps = ("2026-03-02T06:00:00Z", "2026-03-02T06:01:00Z", "2026-03-02T06:02:00Z")
    paths = [write(tmp_path, f"{k}.csv", text.format(*stamps)) for k, text in enumerate((one, two))]
    model = plant()
    blocks, _ = run(open_logs(paths, model, mapping(key + HEAD + time(ISO) + COUNT)))
    made = {
        (e["at"], e["seq"] if "seq" in key else e["at"]): e["parts"][0] for e in plain(blocks, model) if "parts" in e
    }
    assert sum(made.values()) == 10
    if "row" in key:
        assert sum(e["parts"][0] for e in plain(blocks, model) if "parts" in e) == 10
