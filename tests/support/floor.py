"""A shop floor that runs until now: ten lines in three areas, each in a state of its own, one with a hostile name."""

import json
from pathlib import Path

import numpy as np

from tests.support.biscuit import HOSTILE

HOURS = 10
_LINES = {
    "baking": ("oven-1", "oven-2", HOSTILE),
    "enrobing": ("choc-1", "choc-2", "glaze-1"),
    "packing": ("wrap-1", "wrap-2", "case-1", "pallet"),
}
_STATIONS = ("feed", "form", "main", "check")
_REASONS = ("jam", "no film", None, "sensor dirty", "roll change", "<b>glaze</b>")
# What each line does at the end: the rest runs.
_REVISE = {"wrap-2": "1h"}
_LAST = {"oven-2": "STOP", "choc-2": "RIG", "case-1": "WAIT", "glaze-1": "NONE", "wrap-2": "FULL"}


def plant_text() -> str:
    rows = ['site = "biscuit works"', *(f'[[area]]\nid = "{area}"' for area in _LINES)]
    rows += ['[[reason]]\nid = "mechanical"\nlabel = { en = "Mechanical", de = "Mechanik" }']
    rows += [f'[[reason]]\nid = "{name}"\nparent = "mechanical"' for name in ("jam", "sensor dirty", "belt torn")]
    rows += [
        '[[reason]]\nid = "no film"\nlabel = { en = "No film", de = "Keine Folie" }',
        '[[reason]]\nid = "roll change"\nlabel = { en = "Roll change", de = "Rollenwechsel" }',
        '[[reason]]\nid = "cleaning"\nlabel = { en = "Cleaning", de = "Reinigung" }\nclass = "maintenance"',
        '[[reason]]\nid = "no people"\nlabel = { en = "Nobody there", de = "Niemand da" }',
        '[[reason]]\nid = "old one"\nretired = 2020-01-01',
    ]
    for area, lines in _LINES.items():
        for line in lines:
            rows.append(
                f'[[line]]\nid = \'{line}\'\narea = "{area}"\ntype = "flow"\nlateness = "0s"\n'
                f'revise = "{_REVISE.get(line, "36h")}"\n'
                'requires_order = true\nwindows = ["1min/1min", "1h/1min"]\npublish_every = "1min"\npane = "10min"'
            )
            for k, station in enumerate(_STATIONS):
                rows.append(f'[[line.station]]\nid = "{station}"\nideal_cycle = "{1200 if k == 2 else 1000}ms"')
            for k in range(3):
                ends = f'after = "{_STATIONS[k]}"\nbefore = "{_STATIONS[k + 1]}"'
                rows.append(f'[[line.buffer]]\nid = "b{k}"\n{ends}\ncapacity = 100')
            rows.append(
                '[[line.product]]\nid = "butter"\n[[line.product]]\nid = "choc"\n'
                '[line.target]\noee = 0.75\nchangeover = "10min"\nparts_per_hour = { butter = 2500, choc = 2400 }\n'
                '[line.states]\nRUN = "running"\nSTOP = "stopped"\nRIG = "setup"\nWAIT = "starved"\nFULL = "blocked"\n'
                '[line.calendar]\nzone = "Europe/Berlin"\nday_start = "06:00"'
            )
            rows += [
                f'[[line.calendar.shift]]\nid = "{name}"\nhours = "{hours}"'
                for name, hours in (("early", "06:00-14:00"), ("late", "14:00-22:00"), ("night", "22:00-06:00"))
            ]
    return "\n".join(rows) + "\n"


def events(end_s: int, seed: int = 11) -> list[dict[str, object]]:
    """Of all lines, in the order of their times, up to `end_s` (s since 1970)."""
    random = np.random.default_rng(seed)
    made: list[dict[str, object]] = []
    for number, line in enumerate(name for lines in _LINES.values() for name in lines):
        _line(made, random, line, end_s, number)
    made.sort(key=lambda one: int(str(one["ts"])))
    return made


def _line(made: list[dict[str, object]], random: np.random.Generator, line: str, end_s: int, number: int) -> None:
    def add(at: float, kind: str, **rest: object) -> None:
        made.append({"ts": round(at * 1000) * 10**6, "line": line, "type": kind, **rest})

    at, end, order = end_s - HOURS * 3_600.0, float(end_s), 0
    last = _LAST.get(line, "RUN")
    while at < end:
        until = min(at + float(random.integers(9_000, 15_000)), end)
        for station in _STATIONS:
            add(at, "state", station=station, state="RIG")
        add(
            at + 1,
            "order",
            action="start",
            order=f"PO-{4711 + 10 * number + order}",
            product=("butter", "choc")[order % 2],
        )
        for station in _STATIONS:
            _station(add, random, station, at + float(random.integers(200, 900)), until)
        if until < end or last == "NONE":
            add(until - 1, "order", action="end", order=f"PO-{4711 + 10 * number + order}")
        at, order = until + 30, order + 1
    for station in _STATIONS:
        state = last if station == "main" else "WAIT" if last in ("STOP", "RIG") and station == "check" else "RUN"
        if last == "RIG":
            state = "RIG"
        if state != "NONE":
            reason = {"reason": "jam"} if state == "STOP" else {}
            add(end - 600 + 60 * (number % 7), "state", station=station, state=state, **reason)
        else:
            add(end - 1, "state", station=station, state="STOP")
    add(end, "heartbeat")


def _station(add, random: np.random.Generator, station: str, start: float, until: float) -> None:  # type: ignore[no-untyped-def]
    at = start
    while at < until - 700:
        add(at, "state", station=station, state="RUN")
        run = min(float(random.exponential(2_000)) + 60, until - 700 - at)
        for tick in np.arange(at + 60, at + run, 60.0).tolist():
            good = int((50 if station == "main" else 55) * random.uniform(0.8, 1.0))
            add(tick, "count", station=station, good=good, scrap=int(random.random() < 0.3))
        at += run
        word = ("STOP", "STOP", "WAIT", "FULL")[int(random.integers(4))]
        reason = _REASONS[int(random.integers(len(_REASONS)))] if word == "STOP" else None
        add(at, "state", station=station, state=word, **({"reason": reason} if reason else {}))
        at += float(random.exponential(220)) + 8
    add(min(max(at, start), until - 610), "state", station=station, state="RUN")


def write(folder: Path, end_s: int) -> tuple[Path, Path]:
    """(plant file, log of JSON lines)."""
    plant, log = folder / "plant.toml", folder / "log.jsonl"
    plant.write_text(plant_text())
    log.write_text("".join(json.dumps(one) + "\n" for one in events(end_s)))
    return plant, log
