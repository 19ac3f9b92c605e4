"""One shift of one press as seven programs export it: each mapped without a script, each giving the same figures.

The files are made after the formats that the vendors' own manuals describe; no one exported them. What is right comes
from the states and counters they were made from, not from the readers.
"""

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.sources import mapping, plain, run, workbook
from twin.plant import loads
from twin.sources import open_logs

PLANT = """
site = "works"
[[area]]
id = "hall"
[[line]]
id = "L"
area = "hall"
type = "cell"
lateness = "2h"
[[line.station]]
id = "Press1"
[[line.station.counter]]
id = "good"
[[line.station.counter]]
id = "scrap"
quality = "scrap"
[line.states]
RUN = "running"
STOP = "stopped"
SETUP = "setup"
"""
BEGIN = datetime(2026, 3, 2, 6, 0, 0)  # noqa: DTZ001 # the wall clock of the works
N, STEP_S = 720, 10
WORDS = {1: "RUN", 2: "STOP", 3: "SETUP"}
LOOKUP = 'lookup = { "1" = "RUN", "2" = "STOP", "3" = "SETUP" }'
ZONE = 'zone = "Europe/Berlin"'


class Shift:
    """What the press did: a sample every ten seconds."""

    def __init__(self) -> None:
        chance = random.Random(7)  # noqa: S311  repeatable
        self.states, self.good, self.scrap = [], [], []
        state, good, scrap = 1, 999_990, 40
        for _ in range(N):
            state = chance.choice((1, 1, 2, 3)) if chance.random() < 0.03 else state
            if state == 1:
                good, scrap = good + chance.randint(2, 4), scrap + (chance.random() < 0.05)
            self.states.append(state)
            self.good.append(good)
            self.scrap.append(scrap)

    def time(self, i: int) -> datetime:
        return BEGIN + timedelta(seconds=STEP_S * i)

    def spans(self) -> list[tuple[int, int, int]]:
        """(first sample, sample behind the last, state)"""
        changes = [i for i in range(N) if i == 0 or self.states[i] != self.states[i - 1]]
        return [(a, b, self.states[a]) for a, b in zip(changes, [*changes[1:], N - 1], strict=True)]

    def seconds(self, state: int) -> int:
        return sum((b - a) * STEP_S for a, b, s in self.spans() if s == state)


SHIFT = Shift()
CELLS = [(SHIFT.time(i), SHIFT.states[i], SHIFT.good[i], SHIFT.scrap[i]) for i in range(N)]
TAGS = ("State", "GoodCount", "ScrapCount")


def wincc(path: Path) -> str:
    """Siemens WinCC Comfort: a data log with names, local times, day numbers, and marks of its own runtime."""
    lines = ['"VarName";"TimeString";"VarValue";"Validity";"Time_ms"']
    for time, *values in CELLS:
        days = f"{(time - datetime(1899, 12, 30)) / timedelta(days=1) * 1e6:.4f}".replace(".", ",")  # noqa: DTZ001
        lines += [
            f'"Press1_{tag}";"{time:%d.%m.%Y %H:%M:%S}";{v};1;{days}' for tag, v in zip(TAGS, values, strict=True)
        ]
    lines += [f'"$RT_OFF$";"{SHIFT.time(N):%d.%m.%Y %H:%M:%S}";0;2;{days}', '"$RT_COUNT$";2161']
    path.write_text("\r\n".join(lines) + "\r\n", encoding="utf-8-sig")
    return (
        'line = "L"\n[csv]\ndelimiter = ";"\ndecimal = ","\ncomment = \'"$RT_\'\n'
        f'[time]\ncolumn = "Time_ms"\nunit = "wincc"\n{ZONE}\n' + tag_rules("VarName", "VarValue", "{}_")
    )


def aveva(path: Path) -> str:
    """AVEVA Historian: one row per tag, seven digits of a second, a quality."""
    lines = ["DateTime,TagName,Value,QualityDetail"]
    for time, *values in CELLS:
        lines += [f"{time:%Y-%m-%d %H:%M:%S}.0000000,Press1.{tag},{v},192" for tag, v in zip(TAGS, values, strict=True)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-16")
    keep = 'keep = { column = "QualityDetail", equals = 192 }\n'
    return f'line = "L"\n{keep}[time]\ncolumn = "DateTime"\n{ZONE}\n' + tag_rules("TagName", "Value", "{}.")


def tag_rules(tag: str, value: str, form: str) -> str:
    state = f'station = {{ column = "{tag}", pattern = "{form}State" }}\nstate = {{ column = "{value}", {LOOKUP} }}\n'
    rules = f'[[event]]\ntype = "state"\n{state}'
    for counter, name in (("good", "GoodCount"), ("scrap", "ScrapCount")):
        station = f'station = {{ column = "{tag}", pattern = "{form}{name}" }}'
        rules += f'[[event]]\ntype = "count"\n{station}\ncounter = "{counter}"\nvalue = {{ column = "{value}" }}\n'
    return rules


def ignition(path: Path) -> str:
    """Ignition: a wide table of tags by path, a clock of twelve hours, newest first as its table shows it."""
    lines = [f'"{t:%b %d, %Y %I:%M:%S %p}","{s}","{g:,}","{x}"' for t, s, g, x in reversed(CELLS)]
    head = '"t_stamp","Line1/Press1/State","Line1/Press1/GoodCount","Line1/Press1/RejectCount"'
    path.write_text("\n".join([head, *lines]) + "\n")
    return (
        f'line = "L"\n[csv]\nthousands = ","\n[time]\ncolumn = "t_stamp"\nformat = "%b %d, %Y %I:%M:%S %p"\n{ZONE}\n'
        f'[[event]]\ntype = "state"\nstate = {{ column = "Line1/{{station}}/State", {LOOKUP} }}\n'
        '[[event]]\ntype = "count"\ncounter = "good"\nvalue = { column = "Line1/{station}/GoodCount" }\n'
        '[[event]]\ntype = "count"\ncounter = "scrap"\nvalue = { column = "Line1/{station}/RejectCount" }\n'
    )


def factorytalk(path: Path) -> str:
    """FactoryTalk View: a file of a data log, with date, time and milliseconds apart."""
    lines = [f"{t:%m/%d/%Y},{t:%H:%M:%S},0,{WORDS[s]},{g},{x}" for t, s, g, x in CELLS]
    path.write_text("\n".join(["Date,Time,Millitm,Press1 State,Press1 Good,Press1 Scrap", *lines]) + "\n")
    return (
        f'line = "L"\n[time]\ncolumns = ["Date", "Time", "Millitm"]\nformat = "%m/%d/%Y %H:%M:%S %L"\n{ZONE}\n'
        '[[event]]\ntype = "state"\nstate = { column = "{station} State" }\n'
        '[[event]]\ntype = "count"\ncounter = "good"\nvalue = { column = "{station} Good" }\n'
        '[[event]]\ntype = "count"\ncounter = "scrap"\nvalue = { column = "{station} Scrap" }\n'
    )


def sap(path: Path) -> str:
    """SAP: confirmations of what ran, quantities in German, a total below."""
    lines = ["Bestätigungen;;;;;;;", ""]
    lines.append("Arbeitsplatz;Startdatum;Startzeit;Enddatum;Endzeit;Gutmenge;Ausschuss;ME")
    good = scrap = 0
    for a, b, state in SHIFT.spans():
        last, before = N - 1 if b == N - 1 else b - 1, max(a - 1, 0)
        made, bad = SHIFT.good[last] - SHIFT.good[before], SHIFT.scrap[last] - SHIFT.scrap[before]
        good, scrap = good + made, scrap + bad
        if state == 1:
            times = f"{SHIFT.time(a):%d.%m.%Y;%H:%M:%S};{SHIFT.time(b):%d.%m.%Y;%H:%M:%S}"
            lines.append(f"PRESS1;{times};{made:,} ST;{bad};ST".replace(",", "."))
    lines.append(f"Summe;;;;;{good:,} ST;{scrap};".replace(",", "."))
    path.write_bytes(("\r\n".join(lines) + "\r\n").encode("cp1252"))
    end = f'columns = ["Enddatum", "Endzeit"]\nformat = "%d.%m.%Y %H:%M:%S"\n{ZONE}\n'
    return (
        'line = "L"\nstation = { column = "Arbeitsplatz", lookup = { PRESS1 = "Press1" } }\n'
        'ignore = { column = "Arbeitsplatz", equals = "Summe" }\n'
        f'[csv]\ndelimiter = ";"\nencoding = "cp1252"\nthousands = "."\n[time]\n{end}'
        '[[event]]\ntype = "state"\nstate = "RUN"\ntime = { columns = ["Startdatum", "Startzeit"] }\n'
        'until = { columns = ["Enddatum", "Endzeit"] }\notherwise = "STOP"\n'
        '[[event]]\ntype = "count"\ngood = { column = "Gutmenge", unit = "ST" }\nscrap = { column = "Ausschuss" }\n'
    )


def excel(path: Path) -> str:
    """A workbook that somebody keeps: a title, true dates, one sheet per machine, a sheet of notes."""
    rows = [[t, WORDS[s], float(g), x] for t, s, g, x in CELLS]
    workbook(path, {"Press1": [["Shift book"], [], ["when", "state", "good", "scrap"], *rows], "Notes": [["none"]]})
    return (
        f'line = "L"\nstation = "{{sheet}}"\n[time]\ncolumn = "when"\n{ZONE}\n'
        '[[event]]\ntype = "state"\nstate = { column = "state" }\n'
        '[[event]]\ntype = "count"\ncounter = "good"\nvalue = { column = "good" }\n'
        '[[event]]\ntype = "count"\ncounter = "scrap"\nvalue = { column = "scrap" }\n'
    )


def gateway(path: Path) -> str:
    """A gateway: milliseconds since 1970, parts since the last row."""
    lines = ["ts,machine,status,parts,bad"]
    for i, (time, state, good, scrap) in enumerate(CELLS):
        ms = int((time - timedelta(hours=1) - datetime(1970, 1, 1)) / timedelta(milliseconds=1))  # noqa: DTZ001
        more, bad = (good - SHIFT.good[i - 1], scrap - SHIFT.scrap[i - 1]) if i else (0, 0)
        lines.append(f"{ms},Press1,{WORDS[state].lower()},{more},{bad}")
    path.write_text("\n".join(lines) + "\n")
    return (
        'line = "L"\nstation = { column = "machine" }\n[time]\ncolumn = "ts"\nunit = "ms"\n[[event]]\ntype = "state"\n'
        'state = { column = "status", lookup = { run = "RUN", stop = "STOP", setup = "SETUP" } }\n'
        '[[event]]\ntype = "count"\ngood = { column = "parts" }\nscrap = { column = "bad" }\n'
    )


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (wincc, "Daten_log0.csv"),
        (aveva, "history.csv"),
        (ignition, "ignition.csv"),
        (factorytalk, "log.csv"),
        (sap, "sap.csv"),
        (excel, "book.xlsx"),
        (gateway, "gateway.csv"),
    ],
)
def test_an_export_gives_the_figures_of_the_shift(tmp_path: Path, make: Callable[[Path], str], name: str) -> None:
    path = tmp_path / name
    rules = make(path)
    model = loads(PLANT)
    logs = open_logs([path], model, mapping(rules))
    events = plain(run(logs)[0], model)
    assert logs.summary.problems == {}
    states = [(e["at"], e["state"]) for e in events if e["type"] == "state"]
    end = (SHIFT.time(N - 1) - timedelta(hours=1) - datetime(2026, 1, 1)).total_seconds()  # noqa: DTZ001
    seconds: dict[str, float] = {}
    for (at, word), (following, _) in zip(states, [*states[1:], (end, "")], strict=True):
        seconds[word] = seconds.get(word, 0) + min(following, end) - at
    stopped = SHIFT.seconds(2) + (SHIFT.seconds(3) if make is sap else 0)
    assert seconds.get("RUN") == pytest.approx(SHIFT.seconds(1), abs=0.01)
    assert seconds.get("STOP", 0) == pytest.approx(stopped, abs=0.01)
    assert make is sap or seconds.get("SETUP", 0) == pytest.approx(SHIFT.seconds(3), abs=0.01)
    assert made(events) == (SHIFT.good[-1] - SHIFT.good[0], SHIFT.scrap[-1] - SHIFT.scrap[0])


def made(events: list[dict[str, Any]]) -> tuple[int, int]:
    """Good and scrap of the events, whether counted up or part by part."""
    counts = [event for event in events if event["type"] == "count"]
    if any("counter" in event for event in counts):
        shown = {name: [e["value"] for e in counts if e.get("counter") == name] for name in ("good", "scrap")}
        return shown["good"][-1] - shown["good"][0], shown["scrap"][-1] - shown["scrap"][0]
    return sum(e["parts"][0] for e in counts), sum(e["parts"][1] for e in counts)
