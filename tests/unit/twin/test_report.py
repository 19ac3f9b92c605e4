"""Page, API and report are made of `twin.report`; here its figures are held against SQL written independently of it."""

import datetime
import itertools
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tests.support.biscuit import HOSTILE, audited
from twin import plant as plants
from twin.audit import read
from twin.audit.query import query
from twin.audit.rows import integers
from twin.replay import replay
from twin.report import ReportError, build, files, sections, svg
from twin.report import html as html_file
from twin.report.build import Sheet, report
from twin.report.cover import cover
from twin.report.files import as_file
from twin.report.rows import select
from twin.report.sections import Section
from twin.report.spans import between, hours, site_of
from twin.report.tables import NAMES, defused
from twin.report.words import LANGUAGES, WORDS, number, significant, word
from twin.sources import open_logs
from twin.time.rfc3339 import parse_rfc3339, rfc3339

pytest.importorskip("duckdb")
SHIFT = "2026-03-16 early"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return audited(tmp_path_factory.mktemp("biscuit"), days=2)


def sql(root: Path, text: str) -> list[dict[str, Any]]:
    return query(root, text).to_pylist()


SUMS = ", ".join(f"sum({name})::BIGINT AS {name}" for name in ("good", "scrap", "ideal_ns", "running_ns", "down_ns"))
PLANNED = "running_ns + setup_ns + starved_ns + blocked_ns + minor_stop_ns + down_ns + maintenance_ns + waiting_ns"
OEE = (
    f"(sum(running_ns) / sum({PLANNED})) * (sum(ideal_ns) / sum(running_ns)) * (sum(good) / sum(good + scrap + rework))"
)


@pytest.mark.parametrize(
    ("kind", "value", "where"),
    [
        ("shift", SHIFT, f"\"window\" = 'shift' AND shift = '{SHIFT}'"),
        ("day", "2026-03-16", "\"window\" = 'day' AND production_date = '2026-03-16'"),
        ("order", "-00", "\"window\" = 'order' AND \"order\" = '-00'"),
        (
            "span",
            "2026-03-16T07:00:00Z/2026-03-16T09:34:00Z",
            # A minute without an event has no row of its own, so sums of minutes would lack it.
            "\"window\" = '1h' AND \"end\" IN ('2026-03-16T08:00:00Z', '2026-03-16T09:00:00Z') OR "
            "\"window\" = '1min' AND start >= '2026-03-16T09:00:00Z' AND \"end\" <= '2026-03-16T09:34:00Z'",
        ),
    ],
)
def test_totals_are_those_of_independent_sql(root: Path, kind: str, value: str, where: str) -> None:
    found = report(root, "oven-1", kind, value)
    stations = {None: found["total"]} | {row["station"]: row for row in found["stations"]}
    rows = sql(
        root, f"SELECT station, {SUMS}, {OEE} AS oee FROM kpis WHERE line = 'oven-1' AND ({where}) GROUP BY station"
    )
    assert {row["station"] for row in rows} == set(stations)
    for row in rows:
        mine = stations[row["station"]]
        assert {name: mine[name] for name in row if name not in ("station", "oee")} == {
            name: row[name] for name in row if name not in ("station", "oee")
        }
        assert mine["oee"] == row["oee"]  # to the last digit


def test_a_single_row_keeps_its_own_ratios(root: Path) -> None:
    total = report(root, "oven-1", "shift", SHIFT)["total"]
    row = sql(
        root,
        f"SELECT * FROM kpis WHERE \"window\" = 'shift' AND shift = '{SHIFT}' AND station IS NULL AND line = 'oven-1'",
    )[0]
    assert {name: total[name] for name in ("availability", "performance", "quality", "oee")} == {
        name: row[name] for name in ("availability", "performance", "quality", "oee")
    }


def test_losses_by_reason_are_those_of_independent_sql(root: Path) -> None:
    found = report(root, "oven-1", "shift", SHIFT)
    start, end = (f"TIMESTAMPTZ '{found['span'][name]}'" for name in ("start", "end"))
    rows = sql(
        root,
        f"""SELECT station, class, reason,
            sum(epoch_ns(least("end", {end})) - epoch_ns(greatest(start, {start})))::BIGINT AS ns,
            count(*) FILTER (start >= {start}) AS count
            FROM states WHERE line = 'oven-1' AND "end" > {start} AND start < {end}
            AND class IN ('unknown', 'setup', 'starved', 'blocked', 'minor_stop', 'down', 'maintenance', 'waiting')
            GROUP BY ALL""".replace("epoch_ns(least", "epoch_us(least").replace("epoch_ns(great", "epoch_us(great"),
    )
    expected = {(row["station"], row["class"], row["reason"]): (1000 * row["ns"], row["count"]) for row in rows}
    assert {
        (one["station"], one["class"], one["reason"]): (one["ns"], one["count"]) for one in found["pareto"]
    } == expected
    assert [one["ns"] for one in found["pareto"]] == sorted((ns for ns, _ in expected.values()), reverse=True)


@pytest.mark.parametrize(("kind", "value"), [("shift", SHIFT), ("day", "2026-03-17"), ("week", "2026-W12")])
def test_the_waterfall_sums_to_the_calendar(root: Path, kind: str, value: str) -> None:
    for line in ("oven-1", HOSTILE):
        if kind == "shift" and line == HOSTILE:
            continue
        found = report(root, line, kind, value)
        assert sum(step["ns"] for step in found["waterfall"]) == found["span"]["ns"]
        assert found["waterfall"][-1]["step"] == "good"


def test_hours_sum_to_the_shift(root: Path) -> None:
    found = report(root, "oven-1", "shift", SHIFT)
    assert sum(row["good"] for row in found["hours"]) == found["total"]["good"]
    assert sum(row["planned_ns"] for row in found["hours"]) == found["total"]["planned_ns"]
    assert len(found["hours"]) == 8


@pytest.mark.parametrize("name", ["timeline", "waterfall", "pareto"])
def test_what_is_drawn_sums_to_the_rows(root: Path, name: str) -> None:
    found = report(root, "oven-1", "shift", SHIFT)
    text = as_file(found, "html", "", "en")
    drawn = re.findall(r'data-ns="(-?\d+)"', text)
    stations = sum(sum(row["totals_ns"].values()) for row in found["timeline"])
    steps = sum(step["ns"] for step in found["waterfall"])
    losses = sum(one["ns"] for name in ("pareto", "charged") for one in found[name][:12])
    boxes = sum(one[key] for one in found["flow"]["stations"] for key in one if key.endswith("_ns"))
    losses += sum([one["ns"] for one in found["lost"] if one["ns"] > 0][:10])
    assert sum(map(int, drawn)) == stations + 2 * steps + losses + boxes  # calendar time is drawn once itself
    paths = re.findall(r'<path class="c-\w+" data-ns="(\d+)" d="([^"]*)"', text)
    scale = 632 / found["span"]["ns"]
    for ns, path in paths:
        lengths = [float(length) for length in re.findall(r"h([\d.]+)v", path)]
        assert sum(lengths) == pytest.approx(int(ns) * scale, abs=0.001 * (1 + len(lengths)))


def test_the_views_people_ask_for_say_the_same(root: Path) -> None:
    found = report(root, "oven-1", "day", "2026-03-16")
    rows = sql(
        root,
        "SELECT * FROM changeovers WHERE line = 'oven-1' AND production_date = '2026-03-16' ORDER BY start, station",
    )
    assert rows and [
        (row["station"], row["from_product"], row["to_product"], row["order_id"], row["ns"]) for row in rows
    ] == [(one["station"], one["from"], one["to"], one["order"], one["ns"]) for one in found["changeovers"]]
    rows = sql(root, f"SELECT * FROM oee_by_shift WHERE line = 'oven-1' AND shift = '{SHIFT}'")
    assert [row["oee"] for row in rows] == [report(root, "oven-1", "shift", SHIFT)["total"]["oee"]]
    rows = sql(
        root,
        "SELECT order_id, good FROM orders WHERE line = 'oven-1' AND production_date = '2026-03-16' ORDER BY start",
    )
    assert [(row["order_id"], row["good"]) for row in rows] == [(one["order"], one["good"]) for one in found["orders"]]
    stops = sql(root, "SELECT sum(ns)::BIGINT AS ns, count(*) AS n FROM stops WHERE line = 'oven-1'")[0]
    losses = sql(
        root,
        """SELECT sum(ns)::BIGINT AS ns, sum(count)::BIGINT AS n FROM pareto
           WHERE line = 'oven-1' AND class IN ('minor_stop', 'down', 'maintenance')""",
    )[0]
    assert stops == losses and stops["n"] > 10
    # Also where the statement makes DuckDB cut times down.
    assert sql(root, "SELECT max(end_ts - start) AS long FROM stops")[0]["long"].nanoseconds > 60 * 10**9


def test_the_same_bytes_each_time(root: Path) -> None:
    for form in ("html", "json", "csv", "csv-de"):
        first, second = (as_file(report(root, "oven-1", "day", "2026-03-16"), form, "orders", "de") for _ in range(2))
        assert first == second


def test_hostile_names_are_text_everywhere(root: Path) -> None:
    found = report(root, HOSTILE, "day", "2026-03-16")
    page = as_file(found, "html", "", "en")
    assert "<img" not in page and "<script" not in page and "onerror=" in page  # there, and escaped
    for name in NAMES:
        for form in ("csv", "csv-de"):
            assert not re.search(r'(^|[,;\r\n"])=cmd', as_file(found, form, name, "en"))
    assert "'=cmd" in as_file(found, "csv", "pareto", "en")
    oven = as_file(report(root, "oven-1", "shift", SHIFT), "html", "", "en")
    assert "<b>glaze" not in oven and "&lt;b&gt;glaze" in oven
    assert "oven-1 --from" in found["proof"]["commands"][1] or "'=cmd" in found["proof"]["commands"][1]


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@a", "\t=1", "\r=1", "\n=1", "＝1"])  # noqa: RUF001
def test_formulas_are_defused(text: str) -> None:
    assert defused(text) == f"'{text}"
    assert defused("a=1") == "a=1"


def test_german_csv_has_semicolons_and_decimal_commas(root: Path) -> None:
    text = as_file(report(root, "oven-1", "shift", SHIFT), "csv-de", "hours", "de")
    assert text.startswith("\ufeffstart;end;planned_s")
    assert "2026-03-16 06:00:00;2026-03-16 07:00:00;" in text and ",000000000;" in text


def test_as_known_then(root: Path) -> None:
    """The late count of 7 parts came more than an hour after it was made: before that nobody knew it."""
    day = report(root, "oven-1", "day", "2026-03-16")
    revised = sql(root, "SELECT max(revised)::VARCHAR AS at FROM kpis_revisions WHERE revision > 0")[0]["at"]
    assert revised is not None and day["health"]["revised_rows"] > 0
    at = parse_rfc3339(revised.replace(" ", "T").replace("+00", "Z"))
    span = f"{day['span']['start']}/{revised.split('.')[0].replace(' ', 'T')[:17]}00Z"
    before, after = (report(root, "oven-1", "span", span, as_of_ns=ns) for ns in (at - 1, at + 10**12))
    assert before["health"]["revised_rows"] == 0 < after["health"]["revised_rows"]
    text = f"SELECT count(*) AS n FROM kpis WHERE line = 'oven-1' AND \"end\" > '{day['span']['start']}'"
    for ns in (at - 1, at + 10**12):
        from twin.report.rows import select

        expected = query(root, text, as_of_ns=ns).to_pylist()[0]["n"]
        assert (
            select(root, "kpis", parse_rfc3339(day["span"]["start"]), line="oven-1", as_of_ns=ns).num_rows == expected
        )


def test_a_line_that_made_nothing_has_no_oee(root: Path) -> None:
    found = report(root, "oven-1", "span", "2026-03-16T22:00:00Z/2026-03-16T23:00:00Z")
    assert found["total"]["oee"] is None
    page = as_file(found, "html", "", "en")
    assert "OEE: no planned time" in page


def test_what_there_is_not_is_said(root: Path) -> None:
    for kind, value, said in (
        ("shift", "2026-03-16 night", "its shifts are early, late"),
        ("shift", "2026-03-21 early", "no shift early on 2026-03-21"),
        ("week", "2026-13", "write it as 2026-W13"),
        ("week", "2026-W99", "write it as 2026-W13"),
        ("day", "16.3.2026", "write it as 2026-03-28"),
        ("order", "none", "no order 'none' has ended"),
        ("span", "2026-03-16T22:00:00Z/2026-03-16T21:00:00Z", "ends before it begins"),
        ("day", "2020-01-01", "no row between"),
    ):
        with pytest.raises(ReportError, match=re.escape(said)):
            report(root, "oven-1", kind, value)
    with pytest.raises(ReportError, match="there is no line 'x'"):
        report(root, "x", "day", "2026-03-16")


def test_hours_of_a_night_the_clock_changes(root: Path) -> None:
    line = site_of(root).line("oven-1")
    found = list(hours(line, between("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z")))
    assert len(found) == 23 and found[0][0] == parse_rfc3339("2026-03-28T23:00:00Z")
    assert all(a[1] == b[0] for a, b in itertools.pairwise(found))


def test_the_best_cover_never_counts_time_twice(root: Path) -> None:
    start, end = parse_rfc3339("2026-03-16T06:05:00Z"), parse_rfc3339("2026-03-16T09:50:00Z")
    rows = select(root, "kpis", start, end, line="oven-1")

    line = rows.filter(pc.is_null(rows.column("station")))
    found = cover(line, start, end)
    assert not found.gaps
    chosen = line.take(list(found.rows)).to_pylist()
    assert sum(round((row["end"] - row["start"]).total_seconds()) for row in chosen) == (end - start) // 10**9
    hourly = line.filter(pc.equal(line.column("window").cast("string"), "1h"))
    alone = cover(hourly, start, end)
    assert alone.gap_ns == 45 * 60 * 10**9 and len(alone.rows) == 3 and not alone.minus


def test_any_span_of_minutes_has_the_parts_of_its_events(root: Path) -> None:
    """Rows laid, added and taken away, against the events themselves."""
    random = np.random.default_rng(3)
    first = parse_rfc3339("2026-03-16T05:30:00Z")
    bridged = 0
    for _ in range(25):
        a, length = int(random.integers(0, 800)), int(random.integers(1, 150))
        start, end = (first + minutes * 60 * 10**9 for minutes in (a, a + length))
        span = f"{rfc3339(start)}/{rfc3339(end)}"
        line = site_of(root).line("oven-1")
        sheet = Sheet(root, line, between(*span.split("/")))
        bridged += len(sheet.cover_of("packer").minus)
        figures = sheet.figures("packer")
        found = sql(
            root,
            f"""SELECT coalesce(sum(good), 0)::BIGINT AS good, coalesce(sum(scrap), 0)::BIGINT AS scrap FROM events
            WHERE line = 'oven-1' AND station = 'packer' AND ts >= '{rfc3339(start)}' AND ts < '{rfc3339(end)}'""",
        )[0]
        assert (figures.good, figures.made) == (found["good"], found["good"] + found["scrap"]), span
        assert figures.ns + sheet.cover_of("packer").gap_ns == end - start
    assert bridged


def test_a_long_silence_within_an_hour_is_bridged(tmp_path: Path) -> None:
    """A station that stands for nine minutes sends nothing: minutes have no rows, the hours behind them know."""
    plant = plants.loads(
        'site = "s"\n[[area]]\nid = "a"\n[[line]]\nid = "l"\narea = "a"\ntype = "cell"\nlateness = "0s"\n'
        'windows = ["1min/1min", "1h/1min"]\n[[line.station]]\nid = "s"\nideal_cycle = "1s"\n[line.states]\n'
        'R = "running"\nS = "stopped"\n'
    )
    begin = 1_773_640_800  # 2026-03-16T06:00:00Z
    made = [{"ts": (begin + 60 * k) * 10**9, "type": "count", "good": 50} for k in range(1, 121)]
    made.append({"ts": begin * 10**9, "type": "state", "state": "R"})
    made.append({"ts": (begin + 7_230) * 10**9, "type": "state", "state": "S"})
    made.append({"ts": (begin + 7_800) * 10**9, "type": "state", "state": "R"})
    made.append({"ts": (begin + 7_830) * 10**9, "type": "count", "good": 20})
    made.append({"ts": (begin + 7_861) * 10**9, "type": "count", "good": 1})
    made.sort(key=lambda one: int(str(one["ts"])))
    log = tmp_path / "log.jsonl"
    log.write_text("".join(json.dumps({"line": "l", "station": "s", **one}) + "\n" for one in made))
    replay(plant, open_logs([log], plant), tmp_path / "audit")
    found = report(tmp_path / "audit", "l", "span", f"{rfc3339(begin * 10**9)}/{rfc3339((begin + 7_860) * 10**9)}")
    assert found["total"]["no_rows_ns"] == 0 and found["total"]["ahead_ns"] == 0
    assert found["total"]["down_ns"] == 570 * 10**9 and found["total"]["good"] == 50 * 120 + 20
    # A shift that goes on ends where no row reaches: what is known until now is known all the same. The last minutes
    # stand in an hour's row only, and the hour before the first one in none.
    kpis = select(tmp_path / "audit", "kpis", 0, line="l")
    late = (begin + 7_800) * 10**9
    ends, windows = integers(kpis.column("end")), kpis.column("window").cast("string").to_pylist()
    where = (ends < late) | np.array([one == "1h" for one in windows])
    kept = kpis.filter(pa.array(where & np.array([one is None for one in kpis.column("station").to_pylist()])))
    last = int(integers(kept.column("end")).max())
    assert last > late
    for after in (0, 1, 30, 600):
        for first in range(begin + 7_020, late // 10**9, 60):
            laid = cover(kept, first * 10**9, last + after * 60 * 10**9)
            assert laid.gaps == (((last, last + after * 60 * 10**9),) if after else ())
    laid = cover(kept, (begin - 3_600) * 10**9, last)
    assert laid.gaps == (((begin - 3_600) * 10**9, begin * 10**9),)
    day = report(tmp_path / "audit", "l", "day", "2026-03-16")
    for key in ("planned_ns", "good"):
        assert sum(hour[key] or 0 for hour in day["hours"]) == day["total"][key], key


def test_every_word_has_both_languages() -> None:
    assert all(len(pair) == len(LANGUAGES) and all(pair) for pair in WORDS.values())
    assert number(1234567.25, 1, "de") == "1.234.567,2" and number(1234567.25, 1, "en") == "1,234,567.2"


def test_json_is_plain(root: Path) -> None:
    found = json.loads(as_file(report(root, "oven-1", "shift", SHIFT), "json", "", "en"))
    assert found["span"]["start_local"] == "2026-03-16 06:00"
    assert datetime.datetime.fromisoformat(found["span"]["end"][:19]) == datetime.datetime(2026, 3, 16, 13)  # noqa: DTZ001


def test_a_section_that_is_added_is_everywhere(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One entry of the register: rows, charts, sentence and note come to JSON, HTML and CSV."""
    columns = (("station", "text", "station"), ("mean", "value", "difference"))
    one = Section(
        "tried",
        "stations",
        columns,
        rows=lambda sheet: [{"station": station.id, "mean": 1 / 3} for station in sheet.line.stations],
        draw=lambda report, language: (
            [svg.frame(20, word("stations", language), [svg.label(0, 9, report["line"])])] * 2
        ),
        texts=lambda report, _: [f"{len(report['tried'])} tried"],
        note="count_note",
    )
    longer = (*sections.SECTIONS, one)
    for module in (build, html_file):
        monkeypatch.setattr(module, "SECTIONS", longer)
    monkeypatch.setitem(sections.BY_ID, "tried", one)
    monkeypatch.setattr(files, "NAMES", (*NAMES, "tried"))
    found = report(root, "oven-1", "shift", SHIFT)
    assert [row["mean"] for row in found["tried"]] == [1 / 3] * len(found["stations"])
    page = as_file(found, "html", "", "de")
    assert page.count(f"{len(found['stations'])} tried") == 1 and page.count(">0,3333<") == len(found["stations"])
    assert page.count("</svg>") == as_file({**found, "tried": []}, "html", "", "de").count("</svg>") + 2
    assert as_file(found, "csv", "tried", "en").splitlines()[1].endswith(f",{1 / 3!r}")


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0"), (1 / 3, "0.3333"), (12345.6, "12,346"), (-0.00012345, "-0.0001234"), (9.9999, "10.000")],
)
def test_a_measured_value_has_four_digits(value: float, shown: str) -> None:
    assert significant(value, "en") == shown


def test_a_report_is_of_one_listing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sets that are read one after the other belong together, though workers publish in between."""
    counted = []
    known = read.contents
    monkeypatch.setattr(read, "contents", lambda base: counted.append(base) or known(base))
    report(root, "oven-1", "shift", SHIFT)
    assert len(counted) == 1
    with read.one_listing():
        select(root, "kpis", 0, 1)
        report(root, "oven-1", "shift", SHIFT)
    select(root, "kpis", 0, 1)
    assert len(counted) == 3  # and nothing is kept beyond it
