"""What a log's end leaves open is named with its figures so far."""

import json
from pathlib import Path

import pytest

from streams.cli import main
from tests.unit.twin.line.test_whole_stops import T0, at

S = 1_000_000_000
PLANT = """
site = "works"
[[area]]
id = "hall"
[[line]]
id = "L"
area = "hall"
type = "cell"
windows = ["1min/1min"]
lateness = "0s"
[line.states]
RUN = "running"
STOP = "stopped"
[[line.calendar.shift]]
id = "early"
hours = "06:00 - 14:00"
[[line.station]]
id = "m"
ideal_cycle = "10s"
"""


def test_the_summary_names_what_stays_open(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "plant.toml").write_text(PLANT)
    head = {"line": "L", "station": "m"}
    events = [
        {"ts": (T0 + at("06:00")) * S, "type": "state", "state": "RUN", **head},
        {"ts": (T0 + at("06:00")) * S, "type": "order", "action": "start", "order": "PO-1", "line": "L"},
        {"ts": (T0 + at("06:10")) * S, "type": "count", "good": 30, "scrap": 6, **head},
        {"ts": (T0 + at("06:11:30")) * S, "type": "state", "state": "STOP", **head},
    ]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    args = ["replay", "--plant", str(tmp_path / "plant.toml"), str(tmp_path / "log.jsonl"), "--audit"]
    assert main([*args, str(tmp_path / "a"), "--json"]) == 0
    found = {one["kind"]: one for one in json.loads(capsys.readouterr().out)["open"]}
    assert set(found) == {"day", "shift", "order", "state"}
    assert all(one["open"] for one in found.values())
    assert (found["order"]["name"], found["shift"]["name"]) == ("PO-1", "2026-03-02 early")
    for kind in ("day", "shift", "order"):
        assert (found[kind]["good"], found[kind]["scrap"]) == (30, 6)
        # 36 parts of 10 s in 17 min, 690 s of them running: the stop is decided 5 min behind the tick.
        assert found[kind]["oee"] == pytest.approx(300 / 1020)
    assert (found["state"]["station"], found["state"]["name"]) == ("m", "down")
    assert main([*args, str(tmp_path / "b")]) == 0
    said = capsys.readouterr().out
    assert "open: L order PO-1 since 2026-03-02T06:00:00Z: 30 good, 6 scrap, OEE 0.294 so far\n" in said
    assert "open: L m: down since 2026-03-02T06:11:30Z\n" in said
