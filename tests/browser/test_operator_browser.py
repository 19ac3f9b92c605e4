"""An operator's tablet in a real Chromium: two taps, seen as a revision; what is too late cannot be tapped."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import Floor
from tests.browser.test_page_browser import all_lines, go, known, send, until
from twin.audit.query import query

pytestmark = [pytest.mark.kafka, pytest.mark.slow]
NAME = "Anna Meier-Nowhere"
STATIONS = ("main", "feed", "form", "check")
LINES = ("oven-1", "choc-1", "wrap-1", "case-1", "pallet", "choc-2")


def ask(tab: Any, floor: Floor, path: str, **parameters: str) -> Any:
    return tab.request.get(f"{floor.url}api/v1/{path}", params=parameters).json()


def bare(tab: Any, floor: Floor) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Stops without a reason."""
    return (one for one in ended(tab, floor) if one[2]["reason"] is None)


def ended(tab: Any, floor: Floor) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Stops that have ended, of one part."""
    for line in LINES:
        for station in STATIONS:
            for stop in stops_of(tab, floor, line, station):
                if stop["end"] and len(stop["parts"]) == 1:
                    yield line, station, stop


def stops_of(tab: Any, floor: Floor, line: str, station: str, limit_s: float = 60.0) -> list[dict[str, Any]]:
    """Once the line has rows."""
    end = time.monotonic() + limit_s
    while "stops" not in (answer := ask(tab, floor, "stops", line=line, station=station)):
        assert time.monotonic() < end, answer
        time.sleep(0.5)
    return list(answer["stops"])


def pass_time(floor: Floor, line: str) -> None:
    """A late event and a correction wait for the line's next publishing tick."""
    send(floor, {"type": "heartbeat", "ts": time.time_ns(), "line": line})


def seen(tab: Any, floor: Floor, line: str, text: str, limit_s: float = 150.0) -> None:
    end = time.monotonic() + limit_s
    while not tab.evaluate("(t) => document.querySelector('.op-entries')?.textContent.includes(t)", text):
        assert time.monotonic() < end, tab.locator("#main").inner_text()
        pass_time(floor, line)
        time.sleep(1)


def button(tab: Any, stop: dict[str, Any]) -> Any:
    return tab.locator(f'button.stop[data-start="{stop["start"]}"]')


def state_at(floor: Floor, line: str, station: str, stop: dict[str, Any]) -> list[dict[str, Any]]:
    text = f"""SELECT reason, revision, epoch_ns(start) AS a FROM states WHERE line = '{line}'
               AND station = '{station}' AND start >= '{stop["start"]}' AND "end" <= '{stop["end"]}' ORDER BY start"""
    return query(floor.settings.audit, text).to_pylist()


def test_two_taps_and_their_undo(floor: Floor, tab: Any) -> None:
    all_lines(tab, floor)
    known(tab, floor)
    line, station, stop = next(bare(tab, floor))
    go(tab, floor, f"?view=operator&line={line}&station={station}")
    before = int(tab.locator("#main h2").first.inner_text().split(":")[1].split()[0])
    button(tab, stop).click()
    assert f"can be corrected until {stop['until_local']}" in tab.locator(".op-panel").inner_text()
    tab.locator(".op-six button.reason", has_text="No film").first.click()
    seen(tab, floor, line, "seen as revision")
    (row,) = state_at(floor, line, station, stop)
    assert row["reason"] == "no film" and row["revision"] >= 1
    until(tab, f"document.querySelector('#main h2').textContent.includes(': {before - 1} ')")
    tab.locator(".op-entries button.undo").first.click()
    seen(tab, floor, line, "(undone)")
    end = time.monotonic() + 120
    while state_at(floor, line, station, stop)[0]["reason"] is not None:
        assert time.monotonic() < end
        pass_time(floor, line)
        time.sleep(1)


def test_a_split(floor: Floor, tab: Any) -> None:
    all_lines(tab, floor)
    known(tab, floor)
    line, station, stop = list(bare(tab, floor))[-1]
    go(tab, floor, f"?view=operator&line={line}&station={station}")
    button(tab, stop).click()
    split = tab.locator(".op-split:not(.op-beside)")  # that one looks alike
    split.locator("summary").click()
    split.locator("select").nth(0).select_option("jam")
    split.locator("select").nth(1).select_option("no people")
    split.locator("button.go").click()
    seen(tab, floor, line, "seen as revision")
    rows = state_at(floor, line, station, stop)
    assert [row["reason"] for row in rows] == ["jam", "no people"]
    assert (rows[1]["a"] - rows[0]["a"]) == stop["ns"] // 2 // 10**9 * 10**9


def test_several_stops_get_one_reason_and_the_keyboard_is_enough(floor: Floor, tab: Any) -> None:
    all_lines(tab, floor)
    known(tab, floor)
    line, station, now = "pallet", "check", time.time_ns() // 10**9
    for ago in (9_000, 7_500, 6_000, 4_500):  # late events: stops of ten minutes without a reason
        for ts, word in ((now - ago, "STOP"), (now - ago + 600, "RUN")):
            send(floor, {"type": "state", "ts": ts * 10**9, "line": line, "station": station, "state": word})
    end = time.monotonic() + 120
    while True:
        found = ask(tab, floor, "stops", line=line, station=station)["stops"]
        stops = [one for one in found if one["end"] and len(one["parts"]) == 1 and one["reason"] is None]
        if len(stops) > 1:
            break
        assert time.monotonic() < end, found
        pass_time(floor, line)
        time.sleep(1)
    go(tab, floor, f"?view=operator&line={line}&station={station}")
    tab.locator("button.mark").first.wait_for()

    def press(selector: str, most: int = 60) -> None:
        """By Tab from where the keyboard is, then Enter; what is drawn anew meanwhile keeps it."""
        for _ in range(most):
            tab.keyboard.press("Tab")
            if tab.evaluate("(selector) => document.activeElement.matches(selector)", selector):
                return tab.keyboard.press("Enter")
        raise AssertionError(f"{selector} is not reached by Tab")

    for stop in stops[:2]:
        press(f'button.mark[data-mark="{stop["start"]}"]')
    tab.wait_for_timeout(6_000)  # the list is read again each 5 s
    assert tab.evaluate("document.activeElement.dataset.mark") == stops[1]["start"]
    press("button.together")
    press(".op-six:not([hidden]) button.reason")
    said = "document.querySelectorAll('.op-entries li[data-state=sent], .op-entries li[data-state=seen]').length >= 2"
    until(tab, said)
    end = time.monotonic() + 60
    while True:  # one of the two that are listed may be that of an earlier test
        listed = ask(tab, floor, "entries", line=line)["entries"][:2]
        if {one["start"] for one in listed} == {stop["start"] for stop in stops[:2]}:
            break
        assert time.monotonic() < end, listed
        time.sleep(0.2)
    assert len({one["reason"] for one in listed}) == 1
    for one in listed:  # other tests look for stops without a reason
        undo = {"verb": "undo", "line": line, "station": station, "start": one["start"], "of": one["seq"]}
        answer = tab.request.post(
            floor.url + "api/v1/entries", data={**undo, "entered": one["start"], "seq": time.time_ns() // 10**6}
        )
        assert answer.status == 200, answer.text()


def test_what_is_too_late_cannot_be_tapped(floor: Floor, tab: Any) -> None:
    all_lines(tab, floor)
    known(tab, floor)
    go(tab, floor, "?view=operator&line=wrap-2&station=feed")
    found = ask(tab, floor, "stops", line="wrap-2", station="feed")["stops"]
    late = [stop for stop in found if not stop["correctable"]]
    assert late
    for stop in late:
        if button(tab, stop).count():
            assert button(tab, stop).first.is_disabled()
    assert "too late; could be corrected until" in tab.locator(".op-right").inner_text()
    said = {"verb": "reason", "line": "wrap-2", "station": "feed", "start": late[0]["start"], "end": late[0]["end"]}
    entry = {**said, "reason": "jam", "seq": 1, "entered": late[0]["start"]}
    answer = tab.request.post(floor.url + "api/v1/entries", data=entry)
    assert answer.status == 409 and "too late" in answer.json()["error"]


def test_a_device_that_is_not_known_looks(floor: Floor, tab: Any) -> None:
    go(tab, floor, "?view=operator&line=oven-1")
    assert not tab.locator("button.stop:not([disabled])").count()
    go(tab, floor, "?view=device")
    tab.locator("input.token").fill(NAME)
    tab.locator("form button").click()
    until(tab, "document.querySelector('#main').textContent.includes('No device has this token')")
    assert NAME not in tab.url
    tab.wrong.clear()  # the refusal is an error in the console
    answer = tab.request.post(floor.url + "api/v1/entries", data={"seq": 1})
    assert answer.status == 401


def test_offline_it_waits_and_is_sent_once(floor: Floor, tab: Any) -> None:
    all_lines(tab, floor)
    known(tab, floor)
    line, station, stop = next(ended(tab, floor))
    go(tab, floor, f"?view=operator&line={line}&station={station}")
    tab.context.set_offline(True)
    button(tab, stop).click()
    tab.locator(".op-six button.reason", has_text="Roll change").first.click()
    until(tab, "document.querySelector('.op-entries').textContent.includes('waits to be sent')")
    assert tab.evaluate("JSON.parse(Object.entries(localStorage)[0][1]).waiting.length") == 1
    tab.context.set_offline(False)
    until(tab, "document.querySelector('.op-entries').textContent.includes('sent, in the log at')")
    assert tab.evaluate("JSON.parse(Object.entries(localStorage)[0][1]).waiting.length") == 0
    # The same entry once more, as after an answer that was lost.
    listed = ask(tab, floor, "entries", line=line)["entries"][0]
    again = {
        key: listed[key] for key in ("seq", "line", "verb", "station", "start", "end", "at", "reason", "first", "of")
    }
    text = (
        f"SELECT epoch_ns(entered) AS e, source_offset AS o FROM events WHERE line = '{line}' AND \"by\" = 'tablet-4'"
    )
    end = time.monotonic() + 60
    while not (sent := [one for one in query(floor.settings.audit, text).to_pylist() if one["o"] == listed["offset"]]):
        assert time.monotonic() < end
        pass_time(floor, line)
        time.sleep(1)
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(sent[0]["e"] // 10**9))
    entered = f"{stamp}.{sent[0]['e'] % 10**9 // 10**6:03d}Z"
    answer = tab.request.post(floor.url + "api/v1/entries", data={**again, "entered": entered}).json()
    assert answer["offset"] == listed["offset"]
    seen(tab, floor, line, "seen as revision")
    tab.wrong.clear()  # requests that failed offline


def test_sizes_for_gloves(floor: Floor, tab: Any) -> None:
    all_lines(tab, floor)
    known(tab, floor)
    line, station, stop = next(ended(tab, floor))
    go(tab, floor, f"?view=operator&line={line}&station={station}")
    assert button(tab, stop).bounding_box()["height"] >= 118
    assert tab.locator(".op-timer").evaluate("one => parseFloat(getComputedStyle(one).fontSize)") >= 80
    button(tab, stop).click()
    boxes = [one.bounding_box() for one in tab.locator(".op-six:visible button.reason").all()]
    assert len(boxes) == 8 and min(box["height"] for box in boxes) >= 118 and min(box["width"] for box in boxes) >= 560
    assert max(box["y"] + box["height"] for box in boxes) <= 800
    tab.locator("button.reason", has_text="later").first.click()
    assert not tab.locator("dialog[open]").count()


def test_a_name_is_nowhere_under_the_audit_root(floor: Floor, tab: Any) -> None:
    all_lines(tab, floor)
    known(tab, floor)
    line, station, stop = next(ended(tab, floor))
    said = {"verb": "reason", "line": line, "station": station, "start": stop["start"], "end": stop["end"]}
    entry = {**said, "reason": "jam", "entered": stop["start"], "seq": time.time_ns() // 10**6}
    for field in ("reason", "first", "station", "line", "cause", "at", "start", "entered"):
        answer = tab.request.post(floor.url + "api/v1/entries", data={**entry, "verb": "split", field: NAME})
        assert answer.status == 409, field
    # Typed into every field that there is.
    go(tab, floor, f"?view=operator&line={line}&station={station}")
    button(tab, stop).click()
    tab.locator(".op-beside summary").click()
    tab.locator(".op-beside input.note").fill(NAME)
    tab.locator(".op-beside select").select_option(next(one for one in STATIONS if one != station))
    tab.locator(".op-six:visible button.reason", has_text="Roll change").first.click()
    # A stop that has this reason already has it seen at once.
    until(tab, "/sent, in the log at|seen as revision/.test(document.querySelector('.op-entries li')?.textContent)")
    until(tab, "document.querySelector('.op-entries li[data-state=waiting]') === null")
    listed = ask(tab, floor, "entries", line=line)["entries"][0]
    offset = listed["offset"]
    assert NAME not in json.dumps(listed) and NAME not in tab.content()
    end = time.monotonic() + 60
    text = f"SELECT note, cause FROM events WHERE line = '{line}' AND source_offset = {offset}"
    while not (found := query(floor.settings.audit, text).to_pylist()):
        assert time.monotonic() < end
        pass_time(floor, line)
        time.sleep(1)
    assert len(found[0]["note"]) == 64 and found[0]["cause"] in STATIONS
    assert NAME.encode() in (floor.folder / "kept" / "page.sqlite").read_bytes()  # where it can be erased
    for name in ("events", "states", "alerts", "rejected"):
        assert NAME not in json.dumps(
            query(floor.settings.audit, f"SELECT COLUMNS(*)::VARCHAR FROM {name}").to_pylist()
        )
    for path in Path(floor.settings.audit).rglob("*"):
        assert not path.is_file() or NAME.encode() not in path.read_bytes(), path
