"""Drafts of mappings and plants: what `twin source check --suggest` writes reads its log without a problem."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.sources import write
from twin import plant as plants
from twin.sources import SourceError, load_mapping, open_sources
from twin.sources.examine import Findings, examine
from twin.sources.suggest import suggest
from twin.sources.suggest import write as write_draft

EXAMPLES = Path(__file__).parents[4] / "examples"


def drafted(path: Path, folder: Path, zone: str | None = None, **edits: str) -> tuple[Findings, str, str]:
    """What the drafts make of their own log, and their texts."""
    plant, mapping = write_draft(suggest([path], zone), folder)
    model = plants.load(plant)
    found = examine(open_sources([path], model, load_mapping(mapping, model)), model, rows=2)
    return found, mapping.read_text(), plant.read_text()


def rows(form: str, *values: tuple[object, ...]) -> str:
    return "".join(form % one + "\n" for one in values)


WINCC = '"VarName";"TimeString";"VarValue";"Validity";"Time_ms"\r\n' + "".join(
    f'"P1.{name}";"02.03.2026 06:{i:02}:00";{value};1;46083{i:03}000,0000\r\n'
    for i in range(30)
    for name, value in (("State", 1 if i % 7 else 2), ("GoodCount", 12_000 + 3 * i), ("ScrapCount", 40 + i // 9))
)
WIDE = "Date,Time,Press1 State,Press1 Good,Press2 State,Press2 Good\n" + "".join(
    f"03/{2 + i // 24:02}/2026,{i % 24:02}:00:00,{'RUN' if i % 5 else 'STOP'},{5000 + 7 * i},RUN,{90 + 100 * i}\n"
    for i in range(40)
)
SAP = "Auftrag;Arbeitsplatz;Startdatum;Startzeit;Enddatum;Endzeit;Gutmenge;Ausschuss\r\n" + "".join(
    f"1000{i};P{i % 2};02.03.2026;{i:02}:10:00;02.03.2026;{i:02}:55:00;1.{i:03};{i}\r\n" for i in range(12)
)
STOPS = "Stillstände Linie 7\n\nMaschine\tBeginn\tEnde\tGrund\n" + "".join(
    f"P1\t02.03.2026 {i:02}:10\t02.03.2026 {i:02}:25\tStörung {i % 3}\n" for i in range(12)
)
GATEWAY = "timestamp,machine,status,parts\n" + "".join(
    f"{1772431200000 + 10_000 * i},M{i % 2},{'run' if i % 11 else 'stop'},{i % 4}\n" for i in range(60)
)

# Two machines take turns in the rows: their counters together rise and fall with every row.
TURNS = "Zeit;Maschine;Status;Gutteile;Energie kWh\n" + "".join(
    f"02.03.2026 {6 + i // 60:02}:{i % 60:02};Presse {m};{'Lauf' if i % 9 else 'Halt'};{total + i * m};{4711 + i},5\n"
    for i in range(90)
    for m, total in ((1, 12_354), (2, 889))
)


def test_a_draft_names_the_columns_that_it_leaves_out(tmp_path: Path) -> None:
    _, mapping, _ = drafted(write(tmp_path, "turns.csv", TURNS.encode()), tmp_path / "draft")
    assert mapping.endswith("# no rule reads: Energie kWh\n")


def by_minute(head: str, row: Callable[[int], str], n: int = 40) -> str:
    return f"{head}\n" + "".join(f"2026-03-02 {6 + i // 60:02}:{i % 60:02}:00;{row(i)}\n" for i in range(n))


@pytest.mark.parametrize(
    ("text", "written", "asked"),
    [
        # What was asked for is no part that was made; of two columns that may be it, one is a guess.
        (
            by_minute("t;Planned Qty;Target Count;Produced Qty;Scrap", lambda i: f"1000;900;{40 + i * 7 % 5};0"),
            ['good = { column = "Produced Qty" }'],
            [],
        ),
        (
            by_minute("t;Qty;Produced", lambda i: f"{40 + i * 7 % 5};{30 + i * 7 % 5}"),
            ['good = { column = "Qty" }'],
            ["mapping.toml: which of the columns Qty, Produced has the good parts; Qty is a guess"],
        ),
        # All parts, where scrap is counted beside them; good ones, where they have a column.
        (
            by_minute("t;state;TotalCount;RejectCount", lambda i: f"RUN;{1000 + 10 * i};{50 + i}"),
            ['id = "TotalCount"\nquality = "total"  # look', 'id = "RejectCount"\nquality = "scrap"'],
            ["plant.toml: whether TotalCount counts all parts"],
        ),
        (
            by_minute("t;TotalCount;RejectCount;GoodCount", lambda i: f"{1000 + 10 * i};{50 + i};{950 + 9 * i}"),
            ['id = "GoodCount"\n', 'id = "RejectCount"\nquality = "scrap"', "# no rule reads: TotalCount"],
            [],
        ),
        # What rises and begins anew is no sum of rows.
        (
            by_minute("t;produced", lambda i: f"{1000 * (i % 8 + 1) + i}"),
            ['good = { column = "produced" }  # look'],
            ["mapping.toml: whether produced are parts of the row or a running counter: it rises nearly always"],
        ),
        (
            by_minute("t;produced", lambda i: f"{100 + i}", 8),
            ['counter = "produced"  # look'],
            ["mapping.toml: whether produced are parts of the row or a running counter: few rows tell"],
        ),
        # Without a unit lengths are in the one that fits the time between rows.
        (
            by_minute("t;duration;result", lambda i: f"0.{90 + i % 5};OK"),
            ['unit = "min" } }  # look'],
            ["mapping.toml [[event]]: the unit of duration, of which min is a guess"],
        ),
        (by_minute("t;duration s;result", lambda i: f"5.{i % 5};OK"), ['unit = "s" } }\n'], []),
        # A total is no row.
        (
            "Hour;Good\n" + "".join(f"2026-03-02 {6 + i:02}:00;{100 - i % 3}\n" for i in range(8)) + "Total;793\n",
            ['column = "Hour"', 'ignore = [{ column = "Hour", in = ["Total"] }]'],
            [],
        ),
    ],
)
def test_a_guess_that_may_be_wrong_is_marked(tmp_path: Path, text: str, written: list[str], asked: list[str]) -> None:
    log = write(tmp_path, "log.csv", text)
    drafts = "\n".join(drafted(log, tmp_path / "draft", "Europe/Berlin")[1:])
    assert [one for one in written if one not in drafts] == []
    edit = suggest([log], "Europe/Berlin").edit
    assert [one for one in asked if not any(said.startswith(one) for said in edit)] == []


def test_files_side_by_side_are_of_machines_of_their_own(tmp_path: Path) -> None:
    logs = [
        write(tmp_path, f"press-{k}.csv", by_minute("t;state", lambda i: "RUN" if i % 7 else "STOP")) for k in (1, 2)
    ]
    draft = suggest(logs, "Europe/Berlin")
    assert 'station = "{file}"  # look' in draft.mapping
    assert 'id = "press-2"' in draft.plant
    logs[1].write_text(logs[1].read_text().replace("-03-02", "-03-03"))
    assert 'station = "press-1"' in suggest(logs, "Europe/Berlin").mapping


@pytest.mark.parametrize(
    ("name", "text", "parts"),
    [
        ("turns.csv", TURNS.encode(), {"good": 89 + 178}),
        ("wincc.csv", WINCC.encode(), {"good": 87, "scrap": 3}),
        ("wide.csv", WIDE.encode(), {"good": 273 + 3900}),
        ("sap.csv", SAP.encode("cp1252"), {"good": 12_066, "scrap": 66}),
        ("gateway.csv", GATEWAY.encode(), {"good": 90}),
        ("stops.txt", STOPS.encode("utf-16"), {}),
    ],
)
def test_a_draft_reads_its_log(tmp_path: Path, name: str, text: bytes, parts: dict[str, int]) -> None:
    found, mapping, plant = drafted(write(tmp_path, name, text), tmp_path / "draft", "Europe/Berlin")
    assert found.summary.problems == {}
    assert found.unknown_products == {}
    made: dict[str, int] = {}
    for one in found.stations.values():
        for quality, count in one.parts.items():
            made[quality] = made.get(quality, 0) + count
        for counter, facts in one.counters.items():
            quality = "scrap" if "scrap" in counter.lower() else "good"
            made[quality] = made.get(quality, 0) + facts.rises
    assert made == parts
    words = {word for one in found.stations.values() for word in one.words}
    assert words
    assert "ideal_cycle" in plant or name in ("wincc.csv", "stops.txt", "sap.csv")
    assert ("Europe/Berlin" in mapping) == (name != "gateway.csv")


def test_dates_go_with_their_own_times(tmp_path: Path) -> None:
    _, mapping, _ = drafted(write(tmp_path, "sap.csv", SAP), tmp_path / "draft")
    assert 'until = { columns = ["Enddatum", "Endzeit"]' in mapping
    assert 'time = { columns = ["Startdatum", "Startzeit"]' in mapping


@pytest.mark.parametrize(
    ("log", "events", "edits"),
    [
        ("tablet-press/3.csv.gz", {"count": 20_184, "order": 32, "state": 424}, 1),
        ("five-stations/events.csv.gz", {"cycle": 21_335}, 1),
        ("mazak/Mazak01-20190522.txt.gz", {"state": 226}, 1),
    ],
)
def test_the_examples(tmp_path: Path, log: str, events: dict[str, int], edits: int) -> None:
    draft = suggest([EXAMPLES / log])
    assert len(draft.edit) == edits
    found, _, _ = drafted(EXAMPLES / log, tmp_path / "draft")
    assert found.summary.problems == {}
    assert {name: count for name, count in found.summary.events.items() if name != "heartbeat"} == events


def german(head: str, *cells: str) -> str:
    return head + "\n" + "".join(cells)


def shift_rows(count: Callable[[int], str], n: int = 40) -> str:
    return german(
        "Datum;Uhrzeit;Anlage;Zustand;Gutmenge;Dauer",
        *(
            f"05.03.2026;{6 + i // 12:02}:{i % 12 * 5:02};P1;{'Lauf' if i % 7 else 'Halt'};{count(i)};00:0{i % 5}\n"
            for i in range(n)
        ),
    )


def dotted(number: int) -> str:
    return f"{number:,}".replace(",", ".")


@pytest.mark.parametrize(
    ("count", "rises", "asks"),
    [
        (lambda i: dotted(12_007 + 13 * i), 13 * 39, True),  # one or a thousand: nothing in the file tells
        (lambda i: dotted(900 + 13 * i), 13 * 39, False),  # 992 and 1.005: a counter that rises
        (lambda i: dotted(12_007 * (60 + i)), 12_007 * 39, False),  # 1.020.595 tells
    ],
)
def test_a_count_beside_a_date_is_no_date(tmp_path: Path, count: Callable[[int], str], rises: int, asks: bool) -> None:
    log = write(tmp_path, "a.csv", shift_rows(count))
    assert any("1.000" in text for text in suggest([log]).edit) == asks
    found, mapping, _ = drafted(log, tmp_path / "draft", "Europe/Berlin")
    assert 'columns = ["Datum", "Uhrzeit"]' in mapping and "every" not in mapping
    facts = found.stations["line-1", "P1"]
    assert facts.counters["Gutmenge"].rises == rises and facts.first == 1_772_686_800 * 10**9


def test_a_number_with_a_point_is_no_time_of_day(tmp_path: Path) -> None:
    text = "Date,Time,Machine,State,Weight\n" + rows(
        "2026-03-05,%02d:00:00,P1,%s,12.%02d", *((i, "RUN" if i % 3 else "STOP", 7 + i) for i in range(20))
    )
    log = write(tmp_path, "a.csv", text)
    assert suggest([log], "UTC").edit == []
    assert 'columns = ["Date", "Time"]' in drafted(log, tmp_path / "draft")[1]


def test_dates_and_times_without_a_mark_between(tmp_path: Path) -> None:
    """As SAP writes them to files."""
    text = "MACHINE;DATE;TIME;STATUS;QTY\n" + rows(
        "P1;202603%02d;%02d%02d00;%s;%d",
        *((5 + i // 24, i % 24, i % 60, "RUN" if i % 3 else "STOP", i) for i in range(30)),
    )
    found, mapping, _ = drafted(write(tmp_path, "a.csv", text), tmp_path / "draft", "UTC")
    assert 'columns = ["DATE", "TIME"]\nformat = "%Y%m%d %H%M%S"' in mapping
    assert found.stations["line-1", "P1"].first == 1_772_668_800 * 10**9


def test_a_date_alone_is_midnight_and_asked(tmp_path: Path) -> None:
    text = german(
        "Datum;Anlage;Menge", *(f"{1 + i // 2:02}.03.2026;P1;{dotted(12_007 + i * 7 % 50)}\n" for i in range(20))
    )
    log = write(tmp_path, "a.csv", text)
    assert any("no time of day" in said for said in suggest([log]).edit)
    found, _, _ = drafted(log, tmp_path / "draft", "Europe/Berlin")
    facts = found.stations["line-1", "P1"]
    assert facts.parts == {"good": sum(12_007 + i * 7 % 50 for i in range(20))} and facts.first == 1_772_319_600 * 10**9


def test_an_energy_counter_counts_no_parts(tmp_path: Path) -> None:
    text = "t,machine,state,Energy Counter\n" + rows(
        "2026-03-05T%02d:00:00Z,P1,%s,%d", *((i, "RUN" if i % 3 else "STOP", 100 + 7 * i) for i in range(20))
    )
    found, mapping, _ = drafted(write(tmp_path, "a.csv", text), tmp_path / "draft")
    assert "# no rule reads: Energy Counter" in mapping and not found.stations["line-1", "P1"].counters


def test_what_cannot_be_drafted_says_so(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is empty"):
        suggest([write(tmp_path, "a.csv", "\n\n")])
    with pytest.raises(SourceError, match="no item looks like a state"):
        suggest([write(tmp_path, "a.txt", "2026-01-01T00:00:00Z|x|1\n2026-01-01T00:00:00Z|y|1\n")])
    draft = suggest([write(tmp_path, "b.csv", "a,b\n1,2\n3,4\n")])
    write_draft(draft, tmp_path / "draft")
    assert any("rows have no time" in text for text in draft.edit)
    with pytest.raises(SourceError, match="is there already"):
        write_draft(draft, tmp_path / "draft")


def test_an_examination_shows_what_stands_against_a_mapping(tmp_path: Path) -> None:
    folder = tmp_path / "draft"
    _, mapping, plant = drafted(write(tmp_path, "g.csv", GATEWAY), folder)
    (folder / "plant.toml").write_text(plant.replace('"stop" = "stopped"', ""))
    text = GATEWAY + "1772431200000,M1,run,1\n1772432000000,M9,run,1\n1772432000000,M1,run,x\n"
    model = plants.load(folder / "plant.toml")
    path = write(tmp_path, "h.csv", text)
    found = examine(open_sources([path], model, load_mapping(folder / "mapping.toml", model)), model, rows=3)
    assert [row.line for row in found.rows] == [2, 3, 4]
    assert found.rows[0].cells["status"] == "stop"
    assert any("count 1 good" in event for event in found.rows[1].events)
    assert found.summary.words == {"unknown_state": {"stop": 6}, "unknown_station": {"M9": 1}}
    facts = found.stations["line-1", "M1"]
    assert facts.words["run"][0] == "running"
    assert facts.late > 0
    assert found.as_dict()["stations"][1]["late"] == facts.late
    assert mapping
