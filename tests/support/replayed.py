"""A log of one line, as events of JSON, replayed into an audit root."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from twin import plant as plants
from twin.replay import replay
from twin.replay_report import ReplayReport
from twin.sources import open_logs


def replayed(folder: Path, events: Iterable[Mapping[str, Any]], plant_text: str) -> ReplayReport:
    """Of the line L, by their times, into FOLDER/audit."""
    rows = sorted(events, key=lambda one: int(one["ts"]))
    folder.mkdir(exist_ok=True)
    (folder / "log.jsonl").write_text("".join(json.dumps({"line": "L", **one}) + "\n" for one in rows))
    (folder / "plant.toml").write_text(plant_text)
    plant = plants.load(folder / "plant.toml")
    return replay(plant, open_logs([folder / "log.jsonl"], plant), folder / "audit")
