"""The page's server without a browser and without Kafka: its API, its headers, its stream."""

import asyncio
import csv
import io
import json
import re
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from aiohttp import ClientTimeout
from aiohttp.test_utils import TestClient, TestServer

from streams import clock
from streams.client.records import Line
from streams.page import rows
from streams.page.app import STATIC, Options, make_app
from streams.page.live import Live
from streams.page.tiles import Tiles
from streams.settings import Settings
from streams.worker import runtime
from tests.support.biscuit import HOSTILE, audited
from tests.support.objects import MemoryStore
from twin.audit import filelist, objects
from twin.audit.fetch import Cache
from twin.audit.mirror import Mirror
from twin.audit.query import query
from twin.report.build import report
from twin.report.html import ideal_said
from twin.report.words import WORDS
from twin.store import Found

pytest.importorskip("duckdb")
SHIFT = "2026-03-16 early"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return audited(tmp_path_factory.mktemp("page"), days=1)


@pytest.fixture
async def client(root: Path) -> AsyncIterator[TestClient[Any, Any]]:
    async with TestClient(TestServer(make_app(Options(root=root, settings=None)))) as made:
        yield made


async def test_a_root_in_object_storage_is_followed(root: Path, tmp_path: Path) -> None:
    """Nothing is answered by half of it: first it says that it copies, then it answers as the root itself."""
    store, arrives = MemoryStore("s3://plant/audit"), threading.Event()

    class Slow(MemoryStore):
        def listed(self, prefix: str, after: str = "") -> list[Found]:
            arrives.wait(30)
            return super().listed(prefix, after)

    objects.begin(store)
    for partition in filelist.entries(root).values():
        for entry in partition:
            for file in entry.files:
                store.put(objects.object_key(file), (root / file.path).read_bytes())
            objects.put_entry(store, entry)
    objects.put_models(store, root)
    (tmp_path / "follows").mkdir()
    slow = Slow(store.url, store.objects)
    mirror = Mirror(slow, tmp_path / "follows", Cache(tmp_path / "cache"), clock.monotonic_s)
    options = Options(root=mirror.folder, settings=None, mirror=mirror)
    async with TestClient(TestServer(make_app(options))) as client:
        status, found = await get(client, "spans", line="oven-1")
        assert (status, found["error"]) == (
            503,
            "s3://plant/audit: is being copied, which takes its time the first time; try again",
        )
        arrives.set()
        async with asyncio.timeout(30):
            while status == 503:
                status, _ = await get(client, "spans", line="oven-1")
        status, found = await get(client, "report", line="oven-1", shift=SHIFT)
        assert status == 200 and found == json.loads(json.dumps(report(root, "oven-1", "shift", SHIFT)))
        _, found = await get(client, "privacy")
        assert "s3://plant/audit" in json.dumps(found) and str(tmp_path) not in json.dumps(found)


async def get(client: TestClient[Any, Any], path: str, accept: str = "application/json", **asked: str) -> Any:
    async with client.get(f"/api/v1/{path}", params=asked, headers={"Accept": accept}) as answer:
        return answer.status, await (answer.json() if "json" in answer.content_type else answer.read())


async def tiles_of(client: TestClient[Any, Any]) -> dict[str, dict[str, Any]]:
    """Once the audit root has been read for the first time."""
    async with asyncio.timeout(30):
        while True:
            _, found = await get(client, "lines")
            if found["lines"]:
                return {tile["line"]: tile for tile in found["lines"]}
            await asyncio.sleep(0.05)


async def test_the_api_gives_what_the_report_gives(client: TestClient[Any, Any], root: Path) -> None:
    for line, kind, value in (("oven-1", "shift", SHIFT), (HOSTILE, "day", "2026-03-16")):
        status, found = await get(client, "report", line=line, **{kind: value})
        assert status == 200 and found == json.loads(json.dumps(report(root, line, kind, value)))


async def test_tiles_are_those_of_independent_sql(client: TestClient[Any, Any], root: Path) -> None:
    tile = (await tiles_of(client))["oven-1"]
    # The log ends at midnight, off shift: then the production day is what goes on.
    assert tile["shift"]["label"] == "2026-03-16" and tile["shift"]["constraint"] == "oven"
    text = f"""SELECT sum(good)::BIGINT AS good FROM events WHERE line = 'oven-1' AND station = 'oven'
               AND ts >= '{tile["shift"]["start"]}' AND ts < '{tile["shift"]["known_until"]}'"""
    assert tile["shift"]["good"] == query(root, text).to_pylist()[0]["good"]
    assert tile["state"] == "not_live" and not tile["live"]


async def test_rows_a_page_at_a_time(client: TestClient[Any, Any], root: Path) -> None:
    every = query(root, "SELECT count(*) AS n FROM events WHERE line = 'oven-1'").to_pylist()[0]["n"]
    seen: list[tuple[int, int]] = []
    skip: int | None = 0
    while skip is not None:
        _, found = await get(client, "rows", set="events", line="oven-1", limit="997", skip=str(skip))
        assert found["total"] == every
        seen += [(row["source_offset"], row["source_index"]) for row in found["rows"]]
        skip = found["next"]
    assert len(seen) == len(set(seen)) == every
    _, table = await get(client, "rows", rows.ARROW, set="kpis", window="shift", limit="3")
    assert pa.ipc.open_stream(table).read_all().num_rows == 3
    _, text = await get(client, "rows", rows.CSV, set="states", line=HOSTILE, limit="3")
    cells = list(csv.reader(io.StringIO(text.decode())))
    assert cells[0][0] == "line" and all(row[0] == f"'{HOSTILE}" for row in cells[1:])


async def test_why_leads_from_a_row_to_its_events(client: TestClient[Any, Any], root: Path) -> None:
    _, spans = await get(client, "spans", line="oven-1")
    shift = next(one for one in spans["shift"] if one["label"] == SHIFT)
    status, found = await get(client, "why", line="oven-1", window="shift", start=shift["start"], end=shift["end"])
    assert status == 200
    assert found["row"]["oee"] == next(one["oee"] for one in found["policies"] if one["policy"] == "iso22400")
    assert sum(one["ns"] for one in found["classes"]) == found["row"]["running_ns"] + sum(
        one["ns"] for one in found["classes"] if one["class"] != "running"
    )
    assert all((root / event["file"]).exists() for event in found["events"])
    assert {event["station"] for event in found["events"] if "station" in event} <= {found["station"]}
    assert (root / found["file"]).exists()
    # What late news changed has both revisions, and says when it was known.
    text = """SELECT start::VARCHAR AS a, "end"::VARCHAR AS b, "window" AS w, station FROM kpis_revisions
              WHERE revision > 0 AND station = 'oven' AND "window" = '1min' LIMIT 1"""
    row = query(root, text).to_pylist()[0]
    start, end = (row[name].replace(" ", "T").replace("+00", "Z") for name in "ab")
    _, found = await get(client, "why", line="oven-1", station="oven", window=row["w"], start=start, end=end)
    assert [one["revision"] for one in found["revisions"]] == [0, 1] and found["revisions"][1]["revised"]
    assert found["revisions"][0]["revised"] == found["row"]["end"] and found["revisions"][1]["said"] == []
    because = [one["key"] for one in found["tables"]["revisions"]["columns"]].index("because")
    assert [one[because] for one in found["tables"]["revisions"]["rows"]] == ["\u2013", "late events"]


async def test_why_says_what_was_divided_and_by_which_ideal(client: TestClient[Any, Any], root: Path) -> None:
    _, spans = await get(client, "spans", line="oven-1")
    shift = next(one for one in spans["shift"] if one["label"] == SHIFT)
    at = {"line": "oven-1", "start": shift["start"], "end": shift["end"]}
    _, found = await get(client, "why", window="shift", **at)
    row = found["row"]
    assert found["good"] / found["parts"] == row["quality"]
    assert found["operating_ns"] / found["planned_ns"] == row["availability"]
    assert found["ideal_ns"] / found["operating_ns"] == row["performance"]
    assert f"{found['good']:,} / {found['parts']:,} parts" in found["formula"]
    ideal = found["ideal"]
    text = f"""SELECT sum(epoch_ns(least("end", '{at["end"]}')) - epoch_ns(greatest(start, '{at["start"]}'))) AS ns
               FROM states WHERE line = 'oven-1' AND station = '{ideal["station"]}' AND "class" = 'running'
               AND start < '{at["end"]}' AND "end" > '{at["start"]}'"""
    assert ideal["took_ns"] == int(query(root, text).to_pylist()[0]["ns"]) // found["parts"]
    assert ideal["mean_ns"] == found["ideal_ns"] // found["parts"] and ideal["since"] <= shift["start"]
    assert f"{ideal['cycle_ns'] / 1e9:.3f} s" in found["ideal_said"] and "on average" in found["ideal_said"]
    assert "ideal cycle of" in found["ideal_said"] and found["settled_said"]
    # Counted otherwise: written out, with what the line lost while it waited and what was planned.
    good_ns = found["ideal_ns"] * found["good"] / found["parts"]
    named = {(one["what"], one["as"]): one for one in found["otherwise"]}
    waits = row["starved_ns"] + row["blocked_ns"]
    assert row["starved_ns"] and row["blocked_ns"] and named["waits", "no_planned_time"]["ns"] == waits
    for what, as_what, planned in (
        ("waits", "no_planned_time", found["planned_ns"] - waits),
        ("starved", "no_planned_time", found["planned_ns"] - row["starved_ns"]),
        ("down", "no_planned_time", found["planned_ns"] - row["down_ns"]),
        ("no_order", "planned_time", found["planned_ns"] + row["no_order_ns"]),
    ):
        assert named[what, as_what]["oee"] == pytest.approx(good_ns / planned, rel=1e-12), what
    assert named["parts_not_good", "good"]["oee"] == pytest.approx(found["ideal_ns"] / found["planned_ns"], rel=1e-12)
    assert {as_what for _, as_what in named} == {"no_planned_time", "planned_time", "good"}
    # A soft ideal is said.
    assert "too long" in ideal_said({**ideal, "took_ns": ideal["mean_ns"] - 1}, "UTC", "en")  # type: ignore[operator]
    # A span without a row of its own: the same sums, laid of rows, as of a shift that goes on.
    _, summed = await get(client, "why", **at)
    for key in ("planned_ns", "operating_ns", "ideal_ns", "good", "parts", "ratios", "classes", "policies", "said"):
        assert summed[key] == found[key], key
    assert summed["row"] is None and summed["formula"] == found["formula"]
    # What lies under it: the events of a stop.
    _, view = await get(client, "view", line="oven-1", shift=SHIFT, by="count", station="oven")
    rows = view["tables"]["pareto"]["rows"]
    assert {row[0] for row in rows} == {"oven"} and [int(row[4]) for row in rows] == sorted(
        (int(row[4]) for row in rows), reverse=True
    )
    longest = view["losses"][0]
    status, under = await get(client, "why", line="oven-1", station="oven", start=longest["start"], end=longest["end"])
    # Minutes within a stop are not the stop: there are no sums.
    assert status == 200 and under["row"] is None and "planned_ns" not in under and under["said"] is None
    assert [one["start"] for one in under["states"]] == [longest["start"]]
    assert under["events"][0]["ts"] == longest["start"] and (root / under["events"][0]["file"]).exists()


async def test_a_figure_is_computed_again_here(client: TestClient[Any, Any]) -> None:
    _, spans = await get(client, "spans", line="oven-1")
    shift = next(one for one in spans["shift"] if one["label"] == SHIFT)
    at = {"line": "oven-1", "start": shift["start"], "end": shift["end"]}
    status, found = await get(client, "recompute", **at)
    assert status == 200 and found["sound"] and found["rows"] > 100 and found["events"] > 100
    assert not found["differences"]
    status, found = await get(client, "recompute", **{**at, "end": "2027-03-16T00:00:00Z"})
    assert status == 400 and "take the command" in found["error"]


@pytest.mark.parametrize(
    ("path", "asked", "said"),
    [
        ("report", {"line": "x"}, "there is no line 'x'"),
        ("report", {"line": "oven-1", "day": "x"}, "2026-03-28"),
        ("report", {"line": "oven-1", "day": "2026-03-16", "week": "2026-W12"}, "give one of them"),
        ("report", {"line": "oven-1", "day": "2026-03-16", "format": "pdf"}, "a report is"),
        ("report", {"line": "oven-1", "day": "2026-03-16", "format": "csv", "table": "x"}, "the tables of a report"),
        ("report", {"line": "oven-1", "day": "2026-03-16", "as_of": "x"}, "not RFC 3339"),
        ("report", {}, "line: is missing"),
        ("view", {"line": "oven-1", "lang": "fr"}, "lang=fr"),
        ("rows", {"set": "../etc"}, "the sets are"),
        ("rows", {"set": "events", "limit": "10001"}, "limit=10001"),
        ("rows", {"set": "events", "skip": "-1"}, "skip=-1"),
        ("rows", {"set": "events", "sql": "1"}, "sql: no such parameter"),
        ("view", {"line": "oven-1", "day": "2026-03-16", "by": "x"}, "count or minutes"),
        ("why", {"line": "oven-1", "window": "shift", "start": "1", "end": "2"}, "start=1"),
    ],
)
async def test_a_wrong_question_is_told_what_is_wrong(
    client: TestClient[Any, Any], path: str, asked: dict[str, str], said: str
) -> None:
    status, found = await get(client, path, **asked)
    assert status == 400 and said in found["error"]


async def test_every_answer_is_closed_in(client: TestClient[Any, Any]) -> None:
    for path in ("/", "/static/main.js", "/api/v1/lines", "/api/v1/report", "/nothing", "/static/../app.py"):
        async with client.get(path) as answer:
            assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
            assert "unsafe" not in answer.headers["Content-Security-Policy"]
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
    for method in ("POST", "PUT", "DELETE"):
        async with client.request(method, "/api/v1/lines") as answer:
            assert answer.status == 405
    async with client.get("/api/v1/lines", headers={"Host": "evil.example"}) as answer:
        assert answer.status == 421  # a foreign name that was made to point here


async def test_a_name_for_a_proxy(root: Path) -> None:
    app = make_app(Options(root=root, settings=None, names=("plant.example",)))
    async with TestClient(TestServer(app)) as client:
        for host, status in (("plant.example", 200), ("plant.example:443", 200), ("127.0.0.1", 421)):
            async with client.get("/", headers={"Host": host}) as answer:
                assert answer.status == status


async def test_a_probe_needs_no_name(root: Path) -> None:
    server = TestServer(make_app(Options(root=root, settings=None, names=("plant.example",))))
    async with TestClient(server) as client:
        async with client.get("/alive", headers={"Host": "10.0.0.7:8088"}) as answer:
            assert answer.status == 200
        assert server.port is not None
        known = Settings(health_port=server.port)
        assert (await asyncio.to_thread(runtime.ask, known, "/alive")).said == "alive"


async def test_hostile_names_stay_text(client: TestClient[Any, Any]) -> None:
    _, found = await get(client, "view", line=HOSTILE, day="2026-03-16")
    drawn = [one for section in found["sections"] for one in section["charts"]]
    assert len(drawn) >= 4 and not any("<img" in one for one in drawn)
    status, page = await get(client, "report", line=HOSTILE, day="2026-03-16", format="html")
    assert status == 200 and b"<img" not in page
    for name in STATIC.glob("*.js"):
        text = name.read_text()
        assert "innerHTML" not in text and "insertAdjacentHTML" not in text and "eval(" not in text


async def test_the_document_names_every_path(client: TestClient[Any, Any]) -> None:
    _, document = await get(client, "openapi.json")
    assert document["openapi"].startswith("3.1")
    for path, one in document["paths"].items():
        needed = [p for p in one["get"].get("parameters", []) if p["required"]]
        if path.endswith("stream"):
            continue
        async with client.get(path) as answer:
            assert answer.status == (400 if needed else 200), path
    names = [one["get"]["operationId"] for one in document["paths"].values()]
    assert len(names) == len(set(names))


def test_the_page_loads_nothing_from_elsewhere() -> None:
    for path in STATIC.iterdir():
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|//[a-z]+\.", text), path
    assert sum(path.stat().st_size for path in STATIC.iterdir()) < 200_000
    html = (STATIC / "index.html").read_text()
    assert " style=" not in html and " on" not in re.sub(r"[^<]*<(?=html)", "", html).replace("content", "")


# What came later than Chromium 100, Firefox 115 or Safari 15.4 (docs/page.md), and stops a page that uses it.
TOO_NEW = {
    r"\.(toSorted|toReversed|toSpliced)\(": "Safari 16",
    r"\.(groupBy|withResolvers|fromAsync|canParse)\(": "2023 and later",
    r"\.(union|intersection|difference|isSubsetOf)\(": "2024",
    r"\(\?<[=!]": "a look behind: Safari 16.4",
    r"\bstatic\s*\{": "Safari 16.4",
    r"AbortSignal\.(timeout|any)|showPicker\(|CompressionStream": "Safari 16 and later",
    r"\b(inert|popover)\b": "Chromium 102 and 114",
    r":has\(|@container|container-type|@property|@scope|subgrid|color-mix\(|text-wrap": "2022 and later",
    r"[{;]\s*&|^\s*&": "nested rules: 2023",
    r"\d[dsl]v[hw]\b": "Chromium 108",
}


def test_the_page_uses_nothing_newer_than_its_browsers() -> None:
    """`make page OLD=1` opens it in a Chromium of 2022; of the other two there is none to be had."""
    for path in [*STATIC.glob("*.js"), *STATIC.glob("*.css")]:
        for form, since in TOO_NEW.items():
            if path.suffix == ".js" and form.startswith("[{;]"):
                continue
            assert not (found := re.search(form, path.read_text(), re.M)), (path.name, found, since)


def test_every_word_of_the_page_is_in_the_table() -> None:
    for path in STATIC.glob("*.js"):
        for key in re.findall(r'\bw\("(\w+)"\)', path.read_text()):
            assert key in WORDS, f"{path.name}: {key}"


def view(ts_ns: int, state: str) -> Line:
    return Line(
        line="oven-1",
        ts_ns=ts_ns,
        state=state,
        stations={"mixer": "running", "oven": state, "packer": "running"},
        availability=None,
        performance=None,
        quality=None,
        oee=None,
        good=1,
        scrap=0,
        order="-00",
        bottleneck=None,
        share=None,
        verdict=None,
        newest_ns=ts_ns,
        duplicates=0,
        late=0,
        contradictions=0,
        provisional=True,
    )


def test_a_line_that_stands_loses_everything(root: Path) -> None:
    live = Live(None)
    tiles = Tiles(root, live)
    tiles.load()
    newest = tiles.so_far["oven-1"].newest_ns
    live.take(view(newest, "running"))
    running = tiles.tile("oven-1")
    live.take(view(newest + 10**9, "stopped"))
    stands = tiles.tile("oven-1")
    assert running is not None and stands is not None
    assert stands["lost_per_hour"] == 3600 / 1.25  # all that the ideal time allows
    assert running["lost_per_hour"] is None or running["lost_per_hour"] < stands["lost_per_hour"]
    # It stands before others only when it is no minor stop any more.
    assert stands["urgency"] == running["urgency"] == running["lost_per_hour"]
    oven = next(one for one in stands["stations"] if one["station"] == "oven")
    assert oven["since_ms"] == (newest + 10**9) // 10**6
    live.take(view(newest + 400 * 10**9, "stopped"))
    later = tiles.tile("oven-1")
    assert later is not None and later["urgency"] == later["lost_per_hour"] == 3600 / 1.25
    live.take(view(newest + 401 * 10**9, "running"))
    assert not running["nothing_counted"]
    live.take(view(newest + 402 * 10**9, "no_order"))
    calm = tiles.tile("oven-1")
    assert calm is not None and calm["calm"] and calm["lost_per_hour"] == 0


def test_a_line_that_waits_names_who_stands(root: Path) -> None:
    live = Live(None)
    tiles = Tiles(root, live)
    tiles.load()
    newest = tiles.so_far["oven-1"].newest_ns
    for k, (state, mixer, expected) in enumerate(
        (
            ("starved", "stopped", ("mixer", "stopped")),
            ("starved", "running", (None, None)),
            ("blocked", "stopped", (None, None)),  # the mixer is not behind it
            ("running", "down", (None, None)),
        )
    ):
        live.take(msgspec.structs.replace(view(newest + k, state), stations={"mixer": mixer, "oven": state}))
        tile = tiles.tile("oven-1")
        assert tile is not None and (tile["cause_station"], tile["cause_state"]) == expected


async def test_the_stream_tells_all_lines_then_what_changes(root: Path) -> None:
    live = Live(None)
    tiles = Tiles(root, live)
    tiles.load()
    live.take(view(10**18, "running"))
    told = live.messages(tiles.tile)
    kinds = [await anext(told), await anext(told)]
    assert kinds[0].startswith(b"event: beat\n") and kinds[1].startswith(b"event: lines\n")
    for number in range(50):  # a reader who is slow gets the newest, and once
        live.take(view(10**18 + number, "blocked" if number == 49 else "running"))
    newest = json.loads((await anext(told)).partition(b"data: ")[2])
    assert [one["state"] for one in newest] == ["blocked"]
    # Only what has changed: the oven's state, not the shift, the order or the other stations.
    assert [station[:2] for station in newest[0]["changed"]] == [[1, "blocked"]]
    assert not {"shift", "order", "stations", "area"} & newest[0].keys()
    await told.aclose()
    assert not live._subscribers


async def test_a_browser_that_goes_leaves_nothing(client: TestClient[Any, Any]) -> None:
    await tiles_of(client)
    async with client.get("/api/v1/stream", timeout=ClientTimeout(total=20)) as answer:
        assert answer.content_type == "text/event-stream" and answer.headers["X-Accel-Buffering"] == "no"
        first = await answer.content.readuntil(b"\n\n")
        assert first.startswith(b"event: hello\n")


def test_the_negotiated_type() -> None:
    assert rows.negotiate("") == rows.JSON
    assert rows.negotiate("text/html, text/csv;q=0.5") == rows.CSV
    assert rows.negotiate("application/vnd.apache.arrow.stream") == rows.ARROW


def test_lines_of_other_days_have_tiles_too(root: Path) -> None:
    """The log is years away from this clock; a second look reads only what is near, and finds the same."""
    tiles = Tiles(root, Live(None))
    tiles.load()
    first = {name: (one.newest_ns, one.figures) for name, one in tiles.so_far.items()}
    assert set(first) == {"oven-1", HOSTILE}
    tiles.load()
    assert {name: (one.newest_ns, one.figures) for name, one in tiles.so_far.items()} == first


async def test_an_error_that_nobody_thought_of_is_told_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It ended the task that keeps what is live, and the page went on showing it as it had been."""

    def broken(_: Any) -> Any:
        raise AttributeError("no such thing")

    monkeypatch.setattr("streams.page.live.Client", broken)
    monkeypatch.setattr("streams.page.live.RETRY_S", 0.01)
    live = Live(Settings())
    task = asyncio.create_task(live.run())
    for _ in range(1000):
        await asyncio.sleep(0.01)
        if live.state == "away":
            break
    assert "no such thing" in live.problem and not task.done()
    task.cancel()
