"""The live table survives whatever stands in the topic."""

import io
import json

from rich.console import Console

from streams.watch import Lines, bottleneck

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


def shown(lines: Lines) -> str:
    console = Console(width=220, record=True, file=io.StringIO())
    console.print(lines.table())
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
