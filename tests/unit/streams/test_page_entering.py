"""Who may look and enter, what becomes an event, and what never leaves the page's own store."""

import hashlib
import json
import os
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from streams.client.records import Line
from streams.page.app import Options, make_app
from streams.page.devices import Devices, DevicesError, read
from streams.page.entries import Entries, EntryError, NotLiveError, TakenError, entry_of
from streams.page.live import Live
from streams.page.privacy import privacy
from streams.page.stops import Now, stops, whole
from streams.page.store import Store
from streams.page.tiles import Tiles
from streams.settings import Settings
from streams.tools.correct import salted
from tests.support import floor
from twin import plant as plants
from twin.replay import replay
from twin.report.rows import dicts, select
from twin.report.spans import site_of
from twin.sources import open_logs
from twin.time.rfc3339 import rfc3339

TOKEN = "b8f5c2d0a1e34f56"  # noqa: S105
END_S = 1_773_700_800
LINE = "oven-1"


def devices_file(folder: Path, look: str = "open", more: str = "") -> Path:
    path = folder / "devices.toml"
    rows = [f"store = {json.dumps(str(folder / 'kept' / 'page.sqlite'))}", f'look = "{look}"']
    for name, rights, token in (("tablet-4", "enter", TOKEN), ("wall-1", "look", TOKEN + "w")):
        digest = hashlib.sha256(token.encode()).hexdigest()
        rows.append(f'[[device]]\nid = "{name}"\nrights = "{rights}"\ntoken_sha256 = "{digest}"{more}')
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("entering")
    plant_file, log = floor.write(folder, END_S)
    plant = plants.load(plant_file)
    replay(plant, open_logs([log], plant), folder / "audit")
    return folder / "audit"


def view(newest_ns: int, state: str = "running", since: str = "main") -> Line:
    return Line(
        line=LINE, ts_ns=newest_ns, state=state, stations={since: state}, availability=None, performance=None,
        quality=None, oee=None, good=0, scrap=0, order=None, bottleneck=None, share=None, verdict=None,
        newest_ns=newest_ns, duplicates=0, late=0, contradictions=0, provisional=True,
    )  # fmt: skip


@pytest.fixture
def entries(root: Path, tmp_path: Path) -> Entries:
    live = Live(None)
    live.take(view(END_S * 10**9))
    tiles = Tiles(root, live)
    tiles.load()
    return Entries(root, Settings(), live, tiles, Store(tmp_path / "page.sqlite"))


def tablet(folder: Path) -> Any:
    return next(one for one in read(devices_file(folder)).devices.values() if one.enter)


def a_stop(root: Path) -> dict[str, Any]:
    """The newest stop of the line's main station that has an event of its own."""
    found = stops(root, site_of(root).line(LINE), "main", Now(END_S * 10**9, "running", None))
    return next(one for one in found["stops"] if len(one["parts"]) == 1 and one["correctable"])


def entry(stop: dict[str, Any], **more: Any) -> Any:
    said = {
        "seq": 1, "entered": rfc3339(END_S * 10**9), "verb": "reason", "line": LINE, "station": "main",
        "start": stop["start"], "end": stop["end"], "reason": "belt torn",
    }  # fmt: skip
    return entry_of(json.dumps({**said, **more}).encode())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('store = "here.sqlite"', "full path"),
        ('store = "/x"\nlook = "all"', "look"),
        ('store = "/x"\nkeep_days = 0', "keep_days"),
        ('store = "/x"\n[[device]]\nid = "Anna Meier"', "never a name"),
        ('store = "/x"\n[[device]]\nid = "t"\ntoken_sha256 = "secret"', "sha256sum"),
        ('store = "/x"\ntoken = 3', "no such key"),
        ("store = [", "cannot be read"),
    ],
)
def test_mistakes_in_the_file_of_devices(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "devices.toml"
    path.write_text(text)
    with pytest.raises(DevicesError, match=says):
        read(path)


def test_the_store_is_not_under_the_audit_root(root: Path) -> None:
    path = devices_file(root)
    try:
        with pytest.raises(DevicesError, match="forgets nothing"):
            make_app(Options(root=root, settings=None, devices=path))
    finally:
        path.unlink()


@pytest.fixture(params=["open", "token"])
async def client(
    request: pytest.FixtureRequest, root: Path, tmp_path: Path
) -> AsyncIterator[tuple[str, TestClient[Any, Any]]]:
    path = devices_file(tmp_path, request.param)
    async with TestClient(TestServer(make_app(Options(root=root, settings=None, devices=path)))) as made:
        yield request.param, made


async def test_the_doors(client: tuple[str, TestClient[Any, Any]], tmp_path: Path) -> None:
    look, http = client
    path = tmp_path / "devices.toml"
    expected = 200 if look == "open" else 401
    for name in ("lines", "spans?line=oven-1", "openapi.json"):
        assert (await http.get(f"/api/v1/{name}")).status == expected
    assert (await http.get("/")).status == 200
    wrong = await http.post("/api/v1/device", json={"token": "guess"})
    assert wrong.status == 403 and "Set-Cookie" not in wrong.headers
    # A form of another site can send no JSON; a script of one says where it comes from.
    assert (await http.post("/api/v1/device", data=json.dumps({"token": TOKEN}))).status == 403
    foreign = {"Origin": "http://evil.example"}
    assert (await http.post("/api/v1/device", json={"token": TOKEN}, headers=foreign)).status == 403
    known = await http.post("/api/v1/device", json={"token": TOKEN})
    cookie = known.headers["Set-Cookie"]
    assert known.status == 200 and (await known.json())["id"] == "tablet-4"
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and "Path" not in cookie
    assert (await http.get("/api/v1/lines")).status == 200
    # Nobody enters where there is no Kafka, and a device that may look may not.
    assert (await http.post("/api/v1/entries", json={})).status == 403
    # A lost tablet is taken out of the file, and a file with a mistake lets nobody in.
    text = path.read_text()
    for left in (text[: text.index("[[device]]")], "store = ["):
        path.write_text(left)
        assert (await (await http.get("/api/v1/device")).json())["id"] is None
        assert (await http.get("/api/v1/lines")).status == expected
    path.write_text(text)
    assert (await (await http.get("/api/v1/device")).json())["id"] == "tablet-4"
    assert (await http.delete("/api/v1/device", json={})).status == 200


async def test_a_page_without_devices_takes_nothing(root: Path) -> None:
    async with TestClient(TestServer(make_app(Options(root=root, settings=None)))) as http:
        assert (await http.post("/api/v1/entries", json={"seq": 1})).status == 403
        assert (await http.post("/api/v1/device", json={"token": TOKEN})).status == 403
        about = await (await http.get("/api/v1/device")).json()
        assert about == {"entering": False, "id": None, "enter": False, "lines": None}


def test_an_entry_becomes_a_correction_of_its_event(entries: Entries, root: Path, tmp_path: Path) -> None:
    device, stop = tablet(tmp_path), a_stop(root)
    kept = entries.make(device, entry(stop))
    rows = dicts(select(root, "states", line=LINE))
    row = next(one for one in rows if rfc3339(one["start"]) == stop["start"] and one["station"] == "main")
    assert kept.events == [
        {
            "ts": END_S * 10**9, "type": "correction", "station": "main", "reason": "belt torn",
            "corrects": str(row["start"]), "line": LINE, "by": "tablet-4", "entered": END_S * 10**9,
        }
    ]  # fmt: skip
    # The same again is the same; another under its number is not taken; the next says another instant.
    assert entries.make(device, entry(stop)) == kept
    with pytest.raises(TakenError):
        entries.make(device, entry(stop, reason="jam"))
    assert entries.make(device, entry(stop, seq=2)).events[0]["ts"] == END_S * 10**9 + 1


def test_a_reason_with_a_class_says_the_class(entries: Entries, root: Path, tmp_path: Path) -> None:
    made = entries.make(tablet(tmp_path), entry(a_stop(root), reason="cleaning")).events
    assert made[0]["state"] == "maintenance"


def test_a_stop_that_was_called_maintenance_is_still_a_stop() -> None:
    """By a reason with a class: it can be called something else. What the machine calls so is none."""
    row = {"start": 0, "end": 10, "class": "maintenance", "reason": "cleaning", "revision": 1}
    machine = {**row, "start": 20, "end": 30, "revision": 0}
    assert whole([row, machine, {**row, "start": 10, "end": 20, "class": "down"}]) == [
        [row, {**row, "start": 10, "end": 20, "class": "down"}]
    ]


def test_a_split_and_its_undo(entries: Entries, root: Path, tmp_path: Path) -> None:
    device, stop = tablet(tmp_path), a_stop(root)
    start = int(stop["start_ms"]) * 10**6
    at = rfc3339(start + stop["ns"] // 2)
    split = entries.make(device, entry(stop, verb="split", at=at, first="jam", reason="no film"))
    first, second = split.events
    assert (first["reason"], first["type"]) == ("jam", "correction")
    assert second["type"] == "state" and rfc3339(second["ts"]) == at and second["state"] == "STOP"
    undo = entries.make(device, entry(stop, seq=2, verb="undo", of=1))
    assert [one["corrects"] for one in undo.events] == [str(second["ts"]), str(first["ts"])]
    assert all(one["verb"] == "undo" for one in undo.events)
    # The rows say what they said before the split: an undo is seen only in rows that were made behind it.
    entries._store.sent(device.id, 1, [(0, 1 << 40), (0, (1 << 40) + 1)])
    for offset, state in ((1 << 41, "sent"), (1, "seen")):
        entries._store.sent(device.id, 2, [(0, offset - 1), (0, offset)])
        kept = entries._store.entry(device.id, 2)
        assert kept is not None and entries.answer(kept)["state"] == state
    for wrong in (stop["start"], rfc3339(start - 1), stop["end"]):
        with pytest.raises(EntryError, match="within the stop"):
            entries.make(device, entry(stop, seq=9, verb="split", at=wrong))


def test_what_revise_no_longer_reaches_is_refused(entries: Entries, root: Path, tmp_path: Path) -> None:
    device, stop, line = tablet(tmp_path), a_stop(root), site_of(root).line(LINE)
    start = int(stop["start_ms"]) * 10**6
    last = start + line.lateness_ns + (line.revise_ns or 0)
    at_last = stops(root, line, "main", Now(last + 999_999, "running", None))["stops"]
    assert all(one["correctable"] == (one["until"] >= rfc3339(last + 999_999)) for one in at_last)
    entries._live.take(view(last + 2 * 10**9))
    with pytest.raises(EntryError, match="too late"):
        entries.make(device, entry(stop))
    assert entries._store.entry("tablet-4", 1) is None


def test_nothing_that_is_typed_becomes_an_event(entries: Entries, root: Path, tmp_path: Path) -> None:
    device, stop, name = tablet(tmp_path), a_stop(root), "Anna Meier"
    for field in ("reason", "station", "cause", "line"):
        with pytest.raises(EntryError):
            entries.make(device, entry(stop, **{field: name}))
    with pytest.raises(EntryError):
        entries.make(device, entry(stop, verb="split", at=stop["start"], first=name))
    kept = entries.make(device, entry(stop, note=name))
    assert name not in json.dumps(kept.events) and name not in json.dumps(kept.body)
    ((digest, salt, text),) = entries._store.notes()
    assert text == name and kept.events[0]["note"] == digest == salted(name, salt).note
    # Erased, nothing of it is left in the file.
    path = entries._store._path
    assert name.encode() in path.read_bytes()
    assert entries._store.erase(kept.taken_ns + 1) == 1
    assert name.encode() not in path.read_bytes() and entries._store.notes() == []
    assert entries._store.entry("tablet-4", 1) is None


def test_minor_stops_are_bundles_and_stops_add_up(root: Path) -> None:
    line = site_of(root).line(LINE)
    found = stops(root, line, "main", Now(END_S * 10**9, "running", None))
    rows = [one for one in dicts(select(root, "states", line=LINE)) if one["station"] == "main"]
    groups = whole(rows)
    assert sum(len(one) for one in groups) == sum(row["class"] in ("minor_stop", "down") for row in rows)
    down = [one for one in groups if any(row["class"] == "down" for row in one)]
    assert len(found["stops"]) == len(down)
    bare = sum(len(one["stops"]) for one in found["bundles"])
    assert bare == sum(one[0]["reason"] is None for one in groups if one not in down)


def test_the_store_is_private_and_whole(tmp_path: Path) -> None:
    store = Store(tmp_path / "a" / "page.sqlite")
    assert os.stat(tmp_path / "a" / "page.sqlite").st_mode & 0o077 == 0  # noqa: PTH116
    assert store.times("L", 100, 3) == [100, 101, 102] and store.times("L", 50, 1) == [103]
    (tmp_path / "b").write_bytes(b"no database at all, but long enough to be looked at" * 40)
    with pytest.raises(sqlite3.DatabaseError):
        Store(tmp_path / "b")


def test_a_stop_that_goes_on_has_the_reason_of_its_event(root: Path) -> None:
    line = site_of(root).line("oven-2")
    rows = [one for one in dicts(select(root, "states", line="oven-2")) if one["station"] == "main"]
    since = max(int(one["end"]) for one in rows)
    (stop,) = [one for one in stops(root, line, "main", Now(END_S * 10**9, "down", since))["stops"] if not one["end"]]
    assert stop["parts"][-1]["reason"] == "jam" and stop["correctable"]


async def test_privacy_is_that_of_the_running_page(client: tuple[str, TestClient[Any, Any]], tmp_path: Path) -> None:
    _, http = client
    headers = {"Authorization": f"Bearer {TOKEN}"}
    for language in ("en", "de"):
        found = await (await http.get("/api/v1/privacy", params={"lang": language}, headers=headers)).json()
        assert found["rows"] and all(len(row) == len(found["columns"]) for row in found["rows"])
    # Without Kafka nothing is entered, so only what machines send is told of.
    assert len(found["rows"]) == 1 and "root" not in found["said"]


def test_privacy_names_the_store_and_its_days(tmp_path: Path) -> None:
    found = privacy(str(tmp_path / "audit"), Settings(), Devices(devices_file(tmp_path, "token")), "en")
    text = json.dumps(found)
    assert (
        "page.sqlite" in text and "90 days" in text and "the 2 devices of the file" in text and "of 1 devices" in text
    )


def test_a_stop_that_is_not_audited_yet_waits(entries: Entries, root: Path, tmp_path: Path) -> None:
    """Named as a whole, a split that is entered before the next tick would be part of it, and lost."""
    stop = {"start": rfc3339(END_S * 10**9 - 5 * 10**9), "end": None}
    with pytest.raises(NotLiveError):
        entries.make(tablet(tmp_path), entry(stop))
    assert entries._store.entry("tablet-4", 1) is None
