"""A biscuit plant for some days: shifts, breaks, orders, setups, stops with reasons, scrap, hostile names."""

import json
from pathlib import Path

import numpy as np

from twin import plant as plants
from twin.replay import replay
from twin.sources import open_logs

START_S = 1_773_615_600  # Mon 2026-03-16 00:00 in Berlin
DAY_S = 86_400
HOSTILE = '=cmd|"<img src=x onerror=alert(1)>'
PLANT = f"""
site = "biscuits"
[[reason]]
id = "jam"
label = {{ en = "Jam at the infeed", de = "Stau am Einlauf" }}
[[reason]]
id = "no film"
label = {{ de = "Keine Folie" }}
retired = 2026-01-01
[[area]]
id = "baking"
[[line]]
id = "oven-1"
area = "baking"
type = "flow"
requires_order = true
lateness = "5s"
revise = "2h"
windows = ["1min/1min", "1h/1min"]
publish_every = "1min"
pane = "10min"
minor_stop = "5min"
[[line.station]]
id = "mixer"
ideal_cycle = "1s"
[[line.station]]
id = 'oven'
ideal_cycle = "1250ms"
[[line.station]]
id = "packer"
ideal_cycle = "1s"
[[line.buffer]]
id = "b1"
after = "mixer"
before = "oven"
capacity = 200
[[line.buffer]]
id = "b2"
after = "oven"
before = "packer"
capacity = 200
[[line.product]]
id = "butter"
[[line.product]]
id = 'choc"late'
[line.product.at]
oven = "1500ms"
[line.states]
RUN = "running"
STOP = "stopped"
RIG = "setup"
WAIT = "starved"
FULL = "blocked"
[line.calendar]
zone = "Europe/Berlin"
day_start = "06:00"
[[line.calendar.shift]]
id = "early"
days = "Mon-Fri"
hours = "06:00-14:00"
[[line.calendar.shift]]
id = "late"
days = "Mon-Fri"
hours = "14:00-22:00"
[[line.calendar.planned_stop]]
id = "lunch"
days = "Mon-Fri"
hours = "10:00-10:30"
[[line]]
id = '{HOSTILE}'
area = "baking"
type = "cell"
lateness = "5s"
[[line.station]]
id = '{HOSTILE}'
ideal_cycle = "10s"
[line.states]
RUN = "running"
STOP = "down"
"""
_REASONS = ("jam", "no film", None, "+1+1", "<b>glaze</b>")


def events(days: int, seed: int = 5) -> list[dict[str, object]]:
    """In the order of their times."""
    random = np.random.default_rng(seed)
    made: list[dict[str, object]] = []
    for day in range(days):
        _day(made, random, START_S + day * DAY_S, day)
    last = START_S + days * DAY_S
    made += [{"ts": last * 10**9, "line": line, "type": "heartbeat"} for line in ("oven-1", HOSTILE)]
    made.sort(key=lambda one: int(str(one["ts"])))
    return made


def _day(made: list[dict[str, object]], random: np.random.Generator, midnight: int, day: int) -> None:
    def add(at: float, line: str, kind: str, **rest: object) -> None:
        made.append({"ts": round(at * 1000) * 10**6, "line": line, "type": kind, **rest})

    six, ten = midnight + 6 * 3_600, midnight + 22 * 3_600
    at = six + 120.0
    number = 0
    while at < ten - 3_600:
        product = ("butter", 'choc"late')[number % 2]
        order = f"-{day}{number}"
        end = min(at + float(random.integers(7_000, 16_000)), ten - 600.0)
        for station in ("mixer", "oven", "packer"):
            add(at - 100, "oven-1", "state", station=station, state="RIG")
        add(at, "oven-1", "order", action="start", order=order, product=product)
        for station, step in (("mixer", 1.0), ("oven", 1.25 if number % 2 == 0 else 1.5), ("packer", 1.0)):
            _run(add, random, station, at + 1, end - 1, step, number)
        add(end, "oven-1", "order", action="end", order=order)
        at, number = end + 300, number + 1
    for hour in range(6, 22):
        add(midnight + hour * 3_600 + 7, HOSTILE, "state", station=HOSTILE, state="RUN")
        add(midnight + hour * 3_600 + 607, HOSTILE, "count", station=HOSTILE, good=50, scrap=1)
        add(midnight + hour * 3_600 + 700, HOSTILE, "state", station=HOSTILE, state="STOP", reason=HOSTILE)


def _run(add, random, station: str, start: float, end: float, step: float, number: int) -> None:  # type: ignore[no-untyped-def]
    at = start
    while at < end:
        add(at, "oven-1", "state", station=station, state="RUN")
        run = min(float(random.exponential(1_500)) + 30, end - at)
        tick = at + 60
        while tick < at + run:
            good = int(60 / step * random.uniform(0.8, 1.0))
            scrap = int(random.random() < 0.3)
            add(tick, "oven-1", "count", station=station, good=good, scrap=scrap)
            tick += 60
        at += run
        if at + 20 > end:
            break
        stop = min(float(random.exponential(200)) + 5, end - at)
        word = ("STOP", "STOP", "WAIT", "FULL")[int(random.integers(4))]
        if word == "FULL" and number % 2:
            word = "RIG"  # set up anew in the midst of an order: no changeover
        reason = _REASONS[int(random.integers(len(_REASONS)))] if word == "STOP" else None
        add(at, "oven-1", "state", station=station, state=word, **({"reason": reason} if reason else {}))
        at += stop


def write(folder: Path, days: int = 2) -> tuple[Path, Path]:
    """(plant file, log of JSON lines); some of the events are late, some are no events."""
    plant, log = folder / "plant.toml", folder / "log.jsonl"
    plant.write_text(PLANT)
    made = events(days)
    lines = [json.dumps(one) for one in made]
    late = dict(made[len(made) // 3])
    lines.insert(
        len(lines) // 3 + 60, json.dumps({**late, "type": "count", "station": "oven", "good": 7, "line": "oven-1"})
    )
    lines.insert(len(lines) // 2, '{"ts": 1, "line": "oven-1", "type": "nonsense"}')
    log.write_text("\n".join(lines) + "\n")
    return plant, log


def audited(folder: Path, days: int = 2) -> Path:
    """The same as an audit root, by replay."""
    plant_file, log = write(folder, days)
    plant = plants.load(plant_file)
    replay(plant, open_logs([log], plant), folder / "audit")
    return folder / "audit"
