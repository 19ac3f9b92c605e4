"""The live table survives whatever stands in the topic."""

import io
import json
import time

from rich.console import Console

from streams.tools.watch import Lines, bottleneck

VIEW = {
    "line": "press",
    "ts_ns": 1_550_000_000_000_000_000,
    "state": "running",
    "availability": 0.9,
    "performance": 0.95,
    "quality": 1.0,
    "oee": 0.855,
    "good": 12345,
    "scrap": 7,
    "order": "19",
    "bottleneck": "S3",
    "share": 0.51,
    "verdict": "undecided",
    "provisional": True,
}


def shown(lines: Lines, most: int | None = None) -> str:
    console = Console(width=220, record=True, file=io.StringIO())
    console.print(lines.table(most=most))
    return console.export_text()


def test_a_view_is_shown_whole() -> None:
    lines = Lines()
    lines.update(b"press", json.dumps(VIEW).encode())
    lines.offsets = {0: (90, 100)}
    text = shown(lines)
    for part in ("press", "running", "2019-02-12 19:33:20", "85.5", "12,345", "undecided (S3 51.0 %)", "10"):
        assert part in text
    assert lines.rows()[0]["lag"] == 10


def test_missing_keys_and_wrong_kinds_are_dashes() -> None:
    lines = Lines()
    lines.update(b"a", b"{}")
    lines.update(b"b", json.dumps({"oee": None, "good": "many", "ts_ns": None, "state": None}).encode())
    assert shown(lines).count("-") > 10
    assert [row["line"] for row in lines.rows()] == ["a", "b"]


def test_what_cannot_be_read_leaves_the_last_view() -> None:
    lines = Lines()
    lines.update(b"press", json.dumps(VIEW).encode())
    for value in (b"{", b"[]", b"\xff\xfe"):
        lines.update(b"press", value)
    lines.update(None, b"{}")
    assert lines.rows()[0]["state"] == "running"


def test_an_empty_value_removes_the_line() -> None:
    lines = Lines()
    lines.update(b"press", b"{}")
    lines.update(b"press", None)
    assert lines.rows() == []


def test_the_narrow_table_fits_eighty_columns() -> None:
    lines = Lines()
    lines.update(b"tablet-press", json.dumps(VIEW).encode())
    lines.offsets = {0: (0, 54321)}
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(lines.table(wide=False))
    text = console.export_text()
    assert "…" not in text
    for part in ("tablet-press", "running", "85.5", "undecided (S3 51.0 %)", "54,321"):
        assert part in text


def test_a_verdict_that_names_the_station_is_not_said_twice() -> None:
    assert bottleneck(VIEW | {"verdict": "S3"}) == "S3 51.0 %"
    assert bottleneck({}) == "-"


def test_what_casts_doubt_stands_below_and_in_json() -> None:
    lines = Lines()
    lines.update(b"press", json.dumps(VIEW).encode())
    alert = {"line": "press", "station": "m", "kind": "data_quality", "detail": "late", "retracted": False}
    for count, ts in ((1.0, "2026-03-02T06:00:00Z"), (10.0, "2026-03-02T07:00:00Z")):
        lines.alert(json.dumps(alert | {"value": count, "ts": ts}).encode())
    lines.alert(json.dumps(alert | {"kind": "down", "ts": "2026-03-02T07:00:00Z"}).encode())
    for value in (None, b"{", b"[]"):
        lines.alert(value)
    assert lines.told() == ["press/m: late (10 or more, first at 2026-03-02T06:00:00Z)"]
    assert lines.rows()[0]["doubts"] == [
        {"station": "m", "detail": "late", "count": 10.0, "first": "2026-03-02T06:00:00Z"}
    ]
    for k in range(9):
        lines.alert(json.dumps(alert | {"detail": f"d{k}", "ts": "2026-03-02T07:00:00Z"}).encode())
    lines.refused = 1_200
    assert lines.told()[-2:] == [
        "and 4 more; `twin doctor --audit` names all",
        "1,200 records were refused: `twin doctor --audit` says why and where",
    ]
    lines.alert(json.dumps(alert | {"retracted": True, "ts": "2026-03-02T08:00:00Z"}).encode())
    assert len(lines.doubts) == 9


def test_ten_thousand_lines_are_quick_and_say_the_same() -> None:
    lines = Lines()
    for k in range(10_000):
        lines.update(f"line-{k:05d}".encode(), json.dumps(VIEW).encode())
    lines.offsets = dict.fromkeys(range(4), (90, 100))
    begun = time.process_time()
    text = list(lines.text())
    spent = time.process_time() - begun
    assert len(text) == 10_001
    assert spent < 3, f"{spent:.1f} s"
    few = shown(lines, most=2).splitlines()
    assert [one.split() for one in few if "line-" in one] == [one.split() for one in text[1:3]]
    assert len({len(one) for one in text[1:]}) == 1
