"""A week of a biscuit plant: every figure of report, page and API against SQL written for itself, to the last digit."""

import email
import io
import json
import random
from email.policy import default
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import pytest

from streams.page.api import Api
from streams.page.live import Live
from streams.page.tiles import Tiles
from tests.support.biscuit import HOSTILE, audited
from twin.audit.query import query
from twin.audit.views import statements
from twin.report.build import Sheet, report
from twin.report.files import as_bytes
from twin.report.html import doubts
from twin.report.losses import changeover_texts, changeovers, other_setup
from twin.report.said import lasting
from twin.report.spans import Span, site_of
from twin.report.tables import NAMES, for_people, table
from twin.report.words import LANGUAGES
from twin.time.rfc3339 import parse_rfc3339, rfc3339

pytest.importorskip("duckdb")
WEEK = "2026-W12"
S = 10**9
LINE = "oven-1"
STATIONS = ("mixer", "oven", "packer")
CLASSES = ("unknown", "off_shift", "planned_stop", "no_order", "running", "setup", "starved", "blocked", "minor_stop",
           "down", "maintenance", "waiting")  # fmt: skip
LOST = "('unknown', 'setup', 'starved', 'blocked', 'minor_stop', 'down', 'maintenance', 'waiting')"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return audited(tmp_path_factory.mktemp("week"), days=8)  # so that the week is over


@pytest.fixture(scope="module")
def found(root: Path) -> dict[str, Any]:
    return report(root, "oven-1", "week", WEEK)


def sql(root: Path, text: str) -> list[dict[str, Any]]:
    return query(root, text).to_pylist()


def test_parts_are_those_of_the_events(root: Path, found: dict[str, Any]) -> None:
    rows = sql(
        root,
        f"""SELECT station, sum(good)::BIGINT AS good, sum(scrap)::BIGINT AS scrap FROM events
            WHERE line = 'oven-1' AND "type" = 'count' AND ts >= '{found["span"]["start"]}'
            AND ts < '{found["span"]["end"]}' GROUP BY station""",
    )
    assert {row["station"] for row in rows} == set(STATIONS)
    mine = {row["station"]: (row["good"], row["scrap"]) for row in found["stations"]}
    assert mine == {row["station"]: (row["good"], row["scrap"]) for row in rows}
    assert (found["total"]["good"], found["total"]["scrap"]) == mine["oven"]


def test_times_are_those_of_the_states(root: Path, found: dict[str, Any]) -> None:
    first, last = (parse_rfc3339(found["span"][name]) for name in ("start", "end"))
    rows = sql(
        root,
        f"""SELECT station, "class" AS c,
            sum(least(epoch_ns("end"), {last}) - greatest(epoch_ns(start), {first}))::BIGINT AS ns FROM states
            WHERE line = 'oven-1' AND epoch_ns("end") > {first} AND epoch_ns(start) < {last} GROUP BY ALL""",
    )
    whole = {(row["station"], row["c"]): row["ns"] for row in rows}
    for one in found["stations"]:
        for name in CLASSES:
            if name not in ("off_shift", "unknown"):  # before a station's first event there is no state
                assert one[f"{name}_ns"] == whole.get((one["station"], name), 0), (one["station"], name)
        assert sum(one[f"{name}_ns"] for name in CLASSES) == one["covered_ns"]


def test_days_and_ratios(root: Path, found: dict[str, Any]) -> None:
    planned = "(running_ns + setup_ns + starved_ns + blocked_ns + minor_stop_ns + down_ns + waiting_ns)"
    (row,) = sql(
        root,
        f"""SELECT sum(ideal_ns)::BIGINT AS i, sum({planned})::BIGINT AS p, sum(running_ns)::BIGINT AS r,
            sum(good)::BIGINT AS g, sum(good + scrap + rework)::BIGINT AS n FROM kpis
            WHERE "window" = 'day' AND station IS NULL AND line = 'oven-1'
            AND production_date BETWEEN '2026-03-16' AND '2026-03-22'""",
    )
    total = found["total"]
    assert (total["ideal_ns"], total["planned_ns"], total["running_ns"]) == (row["i"], row["p"], row["r"])
    assert total["availability"] == row["r"] / row["p"] and total["performance"] == row["i"] / row["r"]
    assert total["quality"] == row["g"] / row["n"]
    assert total["oee"] == (row["r"] / row["p"]) * (row["i"] / row["r"]) * (row["g"] / row["n"])
    count = "SELECT count(*) AS n FROM kpis WHERE \"window\" = '{}' AND station IS NULL AND line = 'oven-1' "
    count += f"AND start < '{found['span']['end']}'"
    for window, name in (("shift", "shifts"), ("day", "days"), ("order", "orders")):
        assert len(found[name]) == sql(root, count.format(window))[0]["n"]


def test_losses_as_victims_and_charged(root: Path, found: dict[str, Any]) -> None:
    rows = sql(
        root,
        f"""SELECT station, "class" AS c, reason, sum(epoch_ns("end") - epoch_ns(start))::BIGINT AS ns, count(*) AS n
            FROM states WHERE line = 'oven-1' AND "class" IN {LOST} AND start >= '{found["span"]["start"]}'
            AND "end" <= '{found["span"]["end"]}' GROUP BY ALL""",
    )
    expected = {(row["station"], row["c"], row["reason"]): (row["ns"], row["n"]) for row in rows}
    assert found["pareto_left_out"] == 0
    assert {
        (one["station"], one["class"], one["reason"]): (one["ns"], one["count"]) for one in found["pareto"]
    } == expected
    # Charged by an interval join: the oven's waits overlap with stops of the mixer before it and the packer behind it.
    last = parse_rfc3339(found["span"]["end"])
    (row,) = sql(
        root,
        f"""WITH s AS (SELECT station, "class" AS c, epoch_ns(start) AS a, epoch_ns("end") AS b FROM states
                      WHERE line = 'oven-1')
           SELECT sum(least(w.b, d.b) - greatest(w.a, d.a))::BIGINT AS ns FROM s w JOIN s d ON w.a < d.b AND d.a < w.b
           WHERE d.c IN ('down', 'minor_stop', 'setup', 'maintenance') AND w.station = 'oven'
           AND w.a < {last}
           AND (w.c = 'starved' AND d.station = 'mixer' OR w.c = 'blocked' AND d.station = 'packer')""",
    )
    by = [one for one in found["chains"] if one["by"] in ("mixer", "packer")]
    assert sum(one["ns"] for one in by) == row["ns"] > 0
    assert sum(one["ns"] for one in found["charged"]) == sum(ns for ns, _ in expected.values())


def test_parts_lost_by_cause_are_those_of_the_headline(root: Path, found: dict[str, Any]) -> None:
    # The oven's own time by class, and its waits while the mixer or the packer stood, as SQL joins them.
    start, end = found["span"]["start"], found["span"]["end"]
    own = sql(
        root,
        f"""SELECT "class" AS c, reason, sum(epoch_ns("end") - epoch_ns(start))::BIGINT AS ns FROM states
            WHERE line = 'oven-1' AND station = 'oven' AND start >= '{start}' AND "end" <= '{end}'
            AND "class" IN ('setup', 'minor_stop', 'down') GROUP BY ALL""",
    )
    made = {(one["station"], one["class"], one["reason"]): one["ns"] for one in found["lost"]}
    assert {
        key[1:]: ns for key, ns in made.items() if key[0] == "oven" and key[1] in ("setup", "minor_stop", "down")
    } == {(row["c"], row["reason"]): row["ns"] for row in own}
    others = sum(one["ns"] for one in found["chains"] if one["by"] is not None)
    assert sum(ns for key, ns in made.items() if key[0] in ("mixer", "packer")) == others > 0
    for kind, label in (("week", WEEK), *(("shift", row["shift"]) for row in found["shifts"])):
        one = report(root, "oven-1", kind, label)
        steps = [step for step in one["waterfall"] if step["kind"] in ("availability", "performance", "quality")]
        assert sum(row["ns"] for row in one["lost"]) == sum(step["ns"] for step in steps), label
        assert sum(row["parts"] for row in one["lost"]) == pytest.approx(one["total"]["lost_parts"], rel=1e-12), label
        assert sum(row["share"] for row in one["lost"]) == pytest.approx(1, rel=1e-12)
        assert not any(row["goes_on"] for row in one["lost"])


def test_every_hour_of_every_shift(root: Path, found: dict[str, Any]) -> None:
    for shift in (row["shift"] for row in found["shifts"]):
        for hour in report(root, "oven-1", "shift", shift)["hours"]:
            (row,) = sql(
                root,
                f"""SELECT coalesce(sum(good), 0)::BIGINT AS good, coalesce(sum(scrap), 0)::BIGINT AS scrap FROM events
                    WHERE line = 'oven-1' AND station = 'oven' AND "type" = 'count' AND ts >= '{hour["start"]}'
                    AND ts < '{hour["end"]}'""",
            )
            assert (hour["good"], hour["scrap"]) == (row["good"], row["scrap"]), hour["start"]


def test_changeovers_are_those_of_the_view(root: Path, found: dict[str, Any]) -> None:
    rows = sql(
        root,
        """SELECT station, epoch_ns(start) AS start, ns, from_product, to_product, order_id FROM changeovers
           WHERE line = 'oven-1' AND start < '2026-03-23' ORDER BY start, station""",
    )
    assert len(rows) > 20
    assert [tuple(row.values()) for row in rows] == [
        (one["station"], parse_rfc3339(one["start"]), one["ns"], one["from"], one["to"], one["order"])
        for one in found["changeovers"]
    ]


def test_a_span_that_cuts_orders_knows_what_their_stations_did_before(root: Path, found: dict[str, Any]) -> None:
    begin = parse_rfc3339(found["span"]["start"])
    ends = [begin + (8 * 3_600 + k * 600) * S for k in range(40)]
    told = []
    for start, end in pairwise(ends):
        sheet = Sheet(root, site_of(root).line(LINE), Span("span", "", start, end))
        known = changeovers(sheet.states_of_orders(), sheet.orders)
        told += [(one.station, one.start_ns, one.ns, one.after) for one in known if start <= one.start_ns < end]
    of_week = [
        (one["station"], parse_rfc3339(one["start"]), one["ns"], one["to"])
        for one in found["changeovers"]
        if ends[0] <= parse_rfc3339(one["start"]) < ends[-1]
    ]
    assert told == of_week != []


def test_the_view_and_the_report_have_one_rule() -> None:
    duckdb = pytest.importorskip("duckdb")
    drawn = random.Random(20)  # noqa: S311 -- worlds, no secrets
    found = 0
    for _ in range(150):
        states, orders = [], []
        for station in ("s", "t"):  # each with orders of its own
            classes = [(drawn.choice(["running", "setup", "starved"]), drawn.choice([1, 30, 59, 60, 61, 200]))
                       for _ in range(drawn.randint(1, 12))]  # fmt: skip
            mine = states_of(*classes)
            cuts = sorted(
                drawn.sample(range(mine[-1]["end"] // S + 1), min(drawn.choice([2, 4, 6]), mine[-1]["end"] // S))
            )
            own = orders_of(*((f"o{k}", *cut) for k, cut in enumerate(pairwise(cuts)) if drawn.random() < 0.8))
            states += [{**row, "station": station} for row in mine]
            orders += [{**row, "station": station} for row in own]
        with duckdb.connect() as connection:
            connection.execute(
                "CREATE TABLE states (line VARCHAR, station VARCHAR, class VARCHAR, "
                'start TIMESTAMP_NS, "end" TIMESTAMP_NS)'
            )
            connection.execute(
                'CREATE TABLE kpis (line VARCHAR, station VARCHAR, "window" VARCHAR, "order" VARCHAR, '
                'product VARCHAR, production_date DATE, start TIMESTAMP_NS, "end" TIMESTAMP_NS)'
            )
            for row in states:
                connection.execute(
                    "INSERT INTO states VALUES ('l', ?, ?, make_timestamp_ns(?), make_timestamp_ns(?))",
                    [row["station"], row["class"], row["start"], row["end"]],
                )
            for row in orders:
                connection.execute(
                    "INSERT INTO kpis VALUES ('l', ?, 'order', ?, ?, NULL, make_timestamp_ns(?), make_timestamp_ns(?))",
                    [row["station"], row["order"], row["product"], row["start"], row["end"]],
                )
            (statement,) = (one for one in statements({"states", "kpis"}, exact=True) if "VIEW changeovers" in one)
            connection.execute(statement)
            rows = connection.execute(
                "SELECT station, from_product, to_product, epoch_ns(start), epoch_ns(end_ts), ns FROM changeovers "
                "ORDER BY 4, 1"
            ).fetchall()
        known = changeovers(states, orders)
        told = [(one.station, one.before, one.after, one.start_ns, one.end_ns, one.ns) for one in known]
        assert rows == told, (states, orders)
        found += len(told)
    assert found > 100


def test_the_page_and_its_api_say_the_same(root: Path, found: dict[str, Any]) -> None:
    api = Api(root, Tiles(root, Live(None)))
    asked = {"line": "oven-1", "week": WEEK}
    assert json.loads(api.report(asked, "")[1]) == json.loads(json.dumps(found))
    for language in LANGUAGES:
        view = json.loads(api.view({**asked, "lang": language}, "")[1])
        for name in NAMES:
            assert view["tables"][name] == for_people(table(found, name, language), "Europe/Berlin", language)
        assert view["total"] == json.loads(json.dumps(found["total"]))
    for name in ("events", "states", "kpis", "alerts"):
        body = json.loads(api.rows({"set": name, "line": "oven-1", "limit": "1"}, "application/json")[1])
        assert body["total"] == sql(root, f"SELECT count(*) AS n FROM {name} WHERE line = 'oven-1'")[0]["n"]


def test_a_workbook_has_the_same_figures_and_bytes(root: Path, found: dict[str, Any]) -> None:
    calamine, _ = pytest.importorskip("python_calamine"), pytest.importorskip("xlsxwriter")
    made = as_bytes(found, "xlsx", "", "en")
    assert made == as_bytes(report(root, "oven-1", "week", WEEK), "xlsx", "", "en")
    book = calamine.CalamineWorkbook.from_filelike(io.BytesIO(made))
    for name in NAMES:
        data = table(found, name, "en")
        if not data.rows:
            continue
        head, *rows = book.get_sheet_by_name(name).to_python()
        at = [k for k, title in enumerate(head) if not title.endswith(("(UTC)", "(id)"))]
        assert len(rows) == len(data.rows) and len(at) == len(data.columns)
        for row, expected in zip(rows, data.rows, strict=True):
            for k, value, column in zip(at, expected, data.columns, strict=True):
                if value is None:
                    assert row[k] == ""
                elif column.kind == "ns":
                    assert row[k] == pytest.approx(value / 60_000_000_000, rel=1e-15)
                elif column.kind in ("percent", "parts", "count"):
                    assert row[k] == pytest.approx(value, rel=1e-15)  # a workbook's numbers have 16 digits
                elif column.kind == "text":
                    assert row[k] == str(value)


def test_a_workbook_runs_nothing(root: Path) -> None:
    pytest.importorskip("xlsxwriter")
    import zipfile

    made = as_bytes(report(root, HOSTILE, "day", "2026-03-16"), "xlsx", "", "en")
    with zipfile.ZipFile(io.BytesIO(made)) as book:
        sheets = [book.read(name).decode() for name in book.namelist() if name.startswith("xl/worksheets/")]
        texts = book.read("xl/sharedStrings.xml").decode()
        assert {one.date_time for one in book.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert sheets and not any("<f>" in sheet or "hyperlink" in sheet for sheet in sheets)
    assert "=cmd|" in texts and "<img" not in texts


def test_a_mail_is_a_table_and_its_attachments(root: Path, found: dict[str, Any]) -> None:
    pytest.importorskip("xlsxwriter")
    made = as_bytes(found, "eml", "", "de")
    assert made == as_bytes(report(root, "oven-1", "week", WEEK), "eml", "", "de")
    message = email.message_from_bytes(made, policy=default)
    assert message["Subject"] == f"biscuits: oven-1, Woche {WEEK}" and message["Date"] is None
    body = message.get_body(("html",))
    assert body is not None and "<table" in body.get_content() and "<svg" not in body.get_content()
    assert "<style" not in body.get_content() and "<b>glaze" not in body.get_content()
    names = [part.get_filename() for part in message.iter_attachments()]
    assert names == [f"oven-1-{WEEK}.xlsx", f"oven-1-{WEEK}.html"]
    sheet = next(part for part in message.iter_attachments() if part.get_filename().endswith("xlsx"))
    assert sheet.get_content() == as_bytes(found, "xlsx", "", "de")
    hostile = email.message_from_bytes(as_bytes(report(root, HOSTILE, "week", WEEK), "eml", "", "en"), policy=default)
    assert HOSTILE in hostile["Subject"] and "<img" not in hostile.get_body(("html",)).get_content()


@pytest.mark.parametrize(("kind", "value"), [("day", "2026-03-18"), ("shift", "2026-03-18 early")])
def test_what_was_before_is_that_of_independent_sql(root: Path, kind: str, value: str) -> None:
    found = report(root, LINE, kind, value)
    column = "production_date::VARCHAR" if kind == "day" else "shift"
    text = f"""SELECT {column} AS label, sum(good)::BIGINT AS good, sum(unknown_ns)::BIGINT AS unknown_ns,
               max(oee) AS oee FROM kpis WHERE line = '{LINE}' AND station IS NULL AND "window" = '{kind}'
               AND "end" <= '{found["span"]["end"]}' GROUP BY 1, start ORDER BY max("end")"""
    rows = query(root, text).to_pylist()[-14:]
    assert [{name: one[name] for name in rows[0]} for one in found["trend"]] == rows and len(rows) > 1
    assert found["trend"][-1]["label"] == value
    assert found["trend"][-1]["planned_ns"] == found["total"]["planned_ns"]


def test_a_week_among_weeks(root: Path, found: dict[str, Any]) -> None:
    for one in found["trend"]:
        if one["label"] == found["span"]["label"]:
            assert (one["good"], one["oee"]) == (found["total"]["good"], found["total"]["oee"])


def test_changeovers_best_and_usual(root: Path, found: dict[str, Any]) -> None:
    told = changeover_texts(found, "en")
    one = next(one for one in found["changeovers"] if one["from"] and one["to"])
    station, before, after = (one[name] for name in ("station", "from", "to"))
    mine = sorted(
        one["ns"]
        for one in found["changeovers"]
        if [one[k] for k in ("station", "from", "to")] == [station, before, after]
    )
    best, usual = (lasting(ns, "en") for ns in (mine[0], mine[(len(mine) - 1) // 2]))
    said = next(one for one in told if one.startswith(f"{station}: {before} → {after}"))
    assert said.endswith(f"{len(mine)}\u00d7, best {best}, usual {usual}")


def states_of(*classes: tuple[str, int]) -> list[dict[str, Any]]:
    """States of one station, one behind the other; (class, seconds)."""
    ends = list(accumulate(seconds for _, seconds in classes))
    return [
        {"station": "s", "class": name, "start": (end - seconds) * S, "end": end * S}
        for (name, seconds), end in zip(classes, ends, strict=True)
    ]


def orders_of(*orders: tuple[str, int, int]) -> list[dict[str, Any]]:
    return [
        {"station": "s", "product": name, "order": name, "start": start * S, "end": end * S}
        for name, start, end in orders
    ]


CHANGEOVERS = {
    "before the first run of the order": (
        [("running", 100), ("setup", 50), ("running", 100)],
        [("a", 0, 100), ("b", 100, 250)],
        [("a", "b", 100, 150, 50)],
    ),
    "the order came while the station was set up": (
        [("running", 100), ("setup", 50), ("running", 100)],
        [("a", 0, 120), ("b", 120, 250)],
        [("a", "b", 100, 150, 50)],
    ),
    "the order came when setup was over": (
        [("running", 100), ("setup", 50), ("running", 100)],
        [("a", 0, 150), ("b", 150, 250)],
        [("a", "b", 100, 150, 50)],
    ),
    "the station ran on for a moment": (
        [("running", 102), ("setup", 50), ("running", 100)],
        [("a", 0, 100), ("b", 100, 250)],
        [("a", "b", 102, 152, 50)],
    ),
    "a trial piece": (
        [("running", 100), ("setup", 50), ("running", 20), ("setup", 10), ("running", 100)],
        [("a", 0, 100), ("b", 100, 280)],
        [("a", "b", 100, 180, 60)],
    ),
    "in the midst of an order": (
        [("running", 100), ("setup", 50), ("running", 60), ("setup", 7), ("running", 60)],
        [("a", 0, 100), ("b", 100, 277)],
        [("a", "b", 100, 150, 50)],
    ),
    "behind the last order": ([("running", 100), ("setup", 50)], [("a", 0, 120)], []),
    "before the order has a row": ([("running", 100), ("setup", 50), ("running", 100)], [("a", 0, 100)], []),
    "of an order that the station does nothing for": (
        [("running", 100), ("setup", 50), ("starved", 100), ("setup", 5), ("running", 100)],
        [("a", 0, 100), ("b", 100, 250), ("c", 250, 355)],
        [("a", "b", 100, 150, 50), ("b", "c", 250, 255, 5)],
    ),
    "orders with time between them": (
        [("running", 100), ("no_order", 50), ("setup", 30), ("no_order", 20), ("setup", 9), ("running", 91)],
        [("a", 0, 100), ("b", 200, 300)],
        [("a", "b", 150, 209, 39)],
    ),
}


@pytest.mark.parametrize("name", CHANGEOVERS)
def test_which_setup_is_a_changeover(name: str) -> None:
    classes, orders, right = CHANGEOVERS[name]
    states = states_of(*classes)
    known = changeovers(states, orders_of(*orders))
    assert [(one.before, one.after, one.start_ns // S, one.end_ns // S, one.ns // S) for one in known] == right
    setup = sum(row["end"] - row["start"] for row in states if row["class"] == "setup")
    assert other_setup(states, known, 0, states[-1]["end"])[1] == setup - sum(one.ns for one in known)


def test_setup_that_is_no_changeover_is_said(root: Path, found: dict[str, Any]) -> None:
    rows = sql(
        root,
        f"""SELECT count(*) AS n, sum(epoch_ns("end") - epoch_ns("start"))::BIGINT AS ns FROM states
            WHERE line = 'oven-1' AND class = 'setup' AND "start" >= '{found["span"]["start"]}'
            AND "start" < '{found["span"]["end"]}'""",
    )
    other = found["other_setup"]
    assert sum(one["ns"] for one in found["changeovers"]) + other["ns"] == rows[0]["ns"]
    mine, theirs = (
        changeover_texts(found, "en"),
        changeover_texts({**found, "other_setup": {"intervals": 2, "ns": 1}}, "en"),
    )
    assert len(theirs) - len(mine) == (other["intervals"] == 0) and "no changeover: 2\u00d7" in theirs[-1]


def test_of_a_span_that_is_still_open_it_is_said_up_to_when_it_is_final(root: Path) -> None:
    newest = sql(root, "SELECT max(epoch_ns(\"end\")) AS ns FROM kpis WHERE line = 'oven-1' AND station IS NULL")[0][
        "ns"
    ]
    span = report(root, LINE, "span", f"2026-03-16T05:00:00Z/{rfc3339(newest)}")
    # What is older than `lateness` and `revise` (2 h 5 s) before the newest row can change no more.
    assert not span["settled"]["final"] and parse_rfc3339(span["settled"]["final_until"]) == newest - 7_205 * S
    (said,) = (one for one in doubts(span, "en") if "final" in one)
    assert said.startswith("figures up to ") and "can still be revised until" in said
    assert report(root, LINE, "day", "2026-03-17")["settled"]["final_until"] is None  # all of it is
