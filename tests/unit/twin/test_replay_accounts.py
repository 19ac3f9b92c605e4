"""What a replay says of its events adds up, with the real twin."""

import json
import random
from argparse import ArgumentTypeError
from pathlib import Path
from typing import Any

import pytest

from streams.cli.logs import share
from tests.support.sources import PLANT, mapping
from twin.plant import loads
from twin.replay import replay
from twin.sources import open_logs
from twin.time.rfc3339 import parse_rfc3339

RULES = """
line = "L1"
station = "A"
seq = { column = "no" }
[time]
column = "t"
unit = "s"
origin = "2026-03-01T00:00:00Z"
[[event]]
type = "count"
good = { column = "n" }
"""


def test_every_event_is_accounted_for(tmp_path: Path) -> None:
    """Read = folded + late and folded in + repeats + refused + waiting, whatever the log holds."""
    chance = random.Random(3)  # noqa: S311  repeatable
    lines = ["t,no,n"]
    for i in range(400):
        at = i - chance.choice((0, 0, 0, 1, 5, 400)) + chance.choice((0,) * 30 + (1_000_000,))
        lines.append(f"{at},{i - chance.choice((0, 0, 1))},1")
    path = tmp_path / "a.csv"
    path.write_text("\n".join([*lines, "no,event,x"]) + "\n")
    for revise in ("", 'revise = "1min"\n'):
        plant = loads(PLANT.replace('lateness = "2s"\n', f'lateness = "2s"\n{revise}', 1))
        report = replay(plant, open_logs([path], plant, mapping(RULES)), tmp_path / f"audit{len(revise)}")
        assert report.folded > 0
        assert report.duplicates > 0
        assert report.refused["late"] == report.late > 0
        assert bool(report.revising) == bool(revise)
        assert 0 <= report.waiting <= 3
        assert (report.summary.rows, report.summary.told, report.summary.unusable) == (401, 400, 1)


def test_corrections_in_vain_are_accounted_for_once(tmp_path: Path) -> None:
    """Some correct what was never said or is forgotten, some come late themselves, and some events are too old."""
    chance = random.Random(8)  # noqa: S311  repeatable
    begin = parse_rfc3339("2026-03-01T00:00:00Z")
    rows: list[dict[str, Any]] = []
    for i in range(400):
        ts = begin + (i - chance.choice((0, 0, 0, 1, 5, 70, 400))) * 10**9
        corrects = str(begin + (i - chance.choice((0, 1, 3, 300))) * 10**9 + chance.choice((0, 0, 1)))
        correction = {"type": "correction", "corrects": corrects, "ts": ts, "reason": "r"}
        state = {"type": "state", "state": chance.choice(("on", "off")), "ts": begin + i * 10**9}
        rows.append({"line": "L1", "station": "A", **(correction if chance.random() < 0.3 else state)})
    rows.append({"line": "L1", "type": "heartbeat", "ts": begin + 900 * 10**9})
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    text = PLANT.replace('lateness = "2s"\n', 'lateness = "2s"\nrevise = "1min"\n', 1)
    report = replay(loads(text), open_logs([path], loads(text)), tmp_path / "audit")
    assert report.refused["nothing_to_correct"] > 10 and report.refused["late"] > 1 and report.revising > 1
    assert report.waiting == 0


def test_a_share_of_problems() -> None:
    assert [share(text) for text in ("0", "0.01", "1%", "100%")] == [0, 0.01, 0.01, 1]
    for text in ("x", "2", "-1%", "200%"):
        with pytest.raises(ArgumentTypeError, match="neither a share"):
            share(text)
