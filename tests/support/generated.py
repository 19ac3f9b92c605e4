"""A generated plant and its log: many lines, events out of order within the lateness, repeated and late ones."""

import json
from pathlib import Path

import numpy as np

START_NS = 1_767_225_600_000_000_000  # 2026-01-01
LATENESS_S = 60
STATES = ("running", "stopped", "blocked", "starved", "setup", "maintenance")


def plant_text(lines: int, stations: int) -> str:
    """Every second line gets its parts from cycles, the others from counts."""
    rows = ['site = "generated"', '[[area]]\nid = "a"']
    for line in range(lines):
        parts = "cycle" if line % 2 else "count"
        rows.append(
            f'[[line]]\nid = "line-{line}"\narea = "a"\ntype = "flow"\nlateness = "{LATENESS_S}s"\n'
            f'parts_from = "{parts}"\npane = "10min"\nwindows = ["10min/1min"]\npublish_every = "5min"'
        )
        rows += [f'[[line.station]]\nid = "s{s}"\nideal_cycle = "20s"' for s in range(stations)]
        rows += [
            f'[[line.buffer]]\nid = "b{s}"\nafter = ["s{s}"]\nbefore = ["s{s + 1}"]\ncapacity = 5'
            for s in range(stations - 1)
        ]
    return "\n".join(rows) + "\n"


def values(lines: int, stations: int, each: int, seed: int = 1) -> list[tuple[str, bytes]]:
    """(line, JSON event) in the order of arrival: about `each` events of every station, one in 30 s.

    Late by up to 50 s, so another order than that of their times; 2 of 100 come twice, 1 of 1,000 too late.
    """
    random = np.random.default_rng(seed)
    made: list[tuple[int, str, bytes]] = []
    for line in range(lines):
        name = f"line-{line}"
        for station in range(stations):
            ts = START_NS + np.sort(random.integers(0, each * 30_000_000_000, each))
            arrival = ts + random.integers(0, 50_000_000_000, each)
            arrival[random.random(each) < 0.001] += 600_000_000_000
            for seq, (at, arrives) in enumerate(zip(ts.tolist(), arrival.tolist(), strict=True)):
                event = {"ts": at, "line": name, "station": f"s{station}", "seq": seq, **_what(random, line, seq)}
                value = json.dumps(event).encode()
                made.append((arrives, name, value))
                if random.random() < 0.02:
                    made.append((arrives + int(random.integers(0, 5_000_000_000)), name, value))
    made.sort(key=lambda one: one[0])
    return [(name, value) for _, name, value in made]


def write(folder: Path, lines: int, stations: int, each: int) -> tuple[Path, Path]:
    """(plant file, log of JSON lines)."""
    plant, log = folder / "plant.toml", folder / "log.jsonl"
    plant.write_text(plant_text(lines, stations))
    log.write_bytes(b"".join(value + b"\n" for _, value in values(lines, stations, each)))
    return plant, log


def _what(random: np.random.Generator, line: int, seq: int) -> dict[str, object]:
    if seq % 10 == 0:
        return {"type": "state", "state": STATES[int(random.integers(len(STATES)))]}
    if line % 2:
        return {"type": "cycle", "phase": ("start", "end")[seq % 2], "unit": str(seq // 2)}
    return {"type": "count", "good": int(random.integers(0, 4)), "scrap": int(random.random() < 0.1)}
