"""The logs that plans run on, and what an undisturbed run makes of them."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests import support_generated
from tests.faults.plan import EVENTS
from twin.audit.digest import SetDigest, digest
from twin.plant import load
from twin.replay import replay
from twin.sources import open_logs
from twin.wire.encode import json_records

LINES, STATIONS = 8, 4


@dataclass(frozen=True)
class Input:
    """plant: its file. records: (key, value) in order of arrival. undisturbed: digests of a replay of the same log."""

    plant: Path
    records: list[tuple[bytes, bytes]]
    undisturbed: dict[str, SetDigest]


class Inputs:
    """Makes each log once, in `folder`."""

    def __init__(self, folder: Path, *, events: int = EVENTS) -> None:
        self._folder = folder
        self._events = events
        self.get = cache(self._make)

    def _make(self, number: int) -> Input:
        folder = self._folder / f"log-{number}-{self._events}"
        folder.mkdir(parents=True)
        plant_file, log = folder / "plant.toml", folder / "log.jsonl"
        plant_file.write_text(support_generated.plant_text(LINES, STATIONS))
        each = self._events // (LINES * STATIONS)
        values = support_generated.values(LINES, STATIONS, each, seed=100 + number)
        log.write_bytes(b"".join(value + b"\n" for _, value in values))
        plant = load(plant_file)
        report = replay(plant, open_logs([log], plant), folder / "audit")
        assert report.duplicates > 0
        assert report.rows["kpis"] > 0
        records = [
            (plant.lines[line].id.encode(), value)
            for block, refused in open_logs([log], plant)
            if not refused
            for line, value in zip(block.line.tolist(), json_records(block, plant), strict=True)
        ]
        return Input(plant_file, records, digest(folder / "audit"))
