"""Waits charged to the station that stood: against a naive twin that asks at every single instant."""

import random
from typing import Any

import pytest

from twin.plant import loads
from twin.plant.model import Line
from twin.report.causes import STANDS, WAITS, chains, charged
from twin.report.losses import joined, loss_classes, pareto

CLASSES = (
    "running",
    "running",
    "starved",
    "blocked",
    "down",
    "minor_stop",
    "setup",
    "unknown",
    "maintenance",
    "planned_stop",
)
NAMES = ("a", "b", "c", "d", "e")


def a_line(buffers: list[tuple[str, list[str], list[str]]]) -> Line:
    rows = ['site = "S"\n[[area]]\nid = "h"\n[[line]]\nid = "L"\narea = "h"\ntype = "flow"']
    rows += [f'[[line.station]]\nid = "{name}"' for name in NAMES]
    for name, after, before in buffers:
        rows.append(
            f'[[line.buffer]]\nid = "{name}"\nafter = {after}\nbefore = {before}\ninitial = 1'.replace("'", '"')
        )
    return loads("\n".join(rows)).lines[0]


LINES = {
    "path": a_line([(f"B{k}", [NAMES[k]], [NAMES[k + 1]]) for k in range(4)]),
    "parallel": a_line([("B1", ["a"], ["b", "c"]), ("B2", ["b", "c"], ["d"]), ("B3", ["d"], ["e"])]),
    "assembly": a_line([("B1", ["a"], ["c"]), ("B2", ["b"], ["c"]), ("B3", ["c"], ["d"]), ("B4", ["d"], ["e"])]),
    "loop": a_line([("B1", ["a"], ["b"]), ("B2", ["b"], ["c"]), ("B3", ["c"], ["a"]), ("B4", ["d"], ["e"])]),
    "no buffers": a_line([]),
}


def some_states(seed: int, length: int) -> list[dict[str, Any]]:
    dice, found = random.Random(seed), []  # noqa: S311
    for name in NAMES:
        at = dice.randrange(4)
        while at < length:
            end = at + dice.randrange(1, 9)
            klass = dice.choice(CLASSES)
            reason = dice.choice((None, "jam", "film"))
            found.append({"station": name, "class": klass, "reason": reason, "start": at, "end": end})
            at = end + (dice.randrange(3) if dice.random() < 0.2 else 0)  # a gap now and then
    dice.shuffle(found)
    return joined(found)


def naive(line: Line, states: list[dict[str, Any]], start: int, end: int) -> dict[tuple[str, str, str | None], int]:
    def at(name: str, ns: int) -> dict[str, Any] | None:
        return next((one for one in states if one["station"] == name and one["start"] <= ns < one["end"]), None)

    def near(name: str, klass: str) -> list[str]:
        mine = next(one for one in line.stations if one.id == name)
        if klass == "starved":
            return [one.id for buffer in mine.inputs for one in line.stations if one.output == buffer]
        return [one.id for one in line.stations if mine.output is not None and mine.output in one.inputs]

    def cause(name: str, klass: str, ns: int, seen: list[str]) -> dict[str, Any] | None:
        rows = [at(one, ns) for one in near(name, klass) if one not in seen]
        for row in rows:
            if row is not None and row["class"] in STANDS:
                return row
        for row in rows:
            if row is not None and row["class"] == klass:
                return cause(row["station"], klass, ns, [*seen, row["station"]])
        return None

    sums: dict[tuple[str, str, str | None], int] = {}
    for ns in range(start, end):
        for name in NAMES:
            row = at(name, ns)
            if row is None or row["class"] not in loss_classes("iso22400"):
                continue
            if row["class"] in WAITS:
                row = cause(name, row["class"], ns, [name]) or row
            key = (row["station"], row["class"], row["reason"])
            sums[key] = sums.get(key, 0) + 1
    return sums


@pytest.mark.parametrize("name", LINES)
def test_every_instant_has_the_cause_that_the_naive_twin_finds(name: str) -> None:
    line = LINES[name]
    for seed in range(60):
        states = some_states(seed, 60)
        start, end = random.Random(seed).choice(((0, 60), (7, 41), (59, 60)))  # noqa: S311
        found = charged(line, states, start, end, "iso22400")
        sums = {(one.station, one.klass, one.reason): one.ns for one in found if one.ns}
        assert sums == naive(line, states, start, end), seed
        assert sum(sums.values()) == sum(one.ns for one in pareto(states, start, end, "iso22400"))
        for station in NAMES:
            waited = sum(
                max(0, min(one["end"], end) - max(one["start"], start))
                for one in states
                if one["station"] == station and one["class"] in WAITS
            )
            assert sum(one["ns"] for one in chains(line, states, station, start, end)) == waited


def test_a_filler_that_starves_names_the_capper_that_jammed() -> None:
    line = LINES["path"]
    states: list[dict[str, Any]] = [
        {"station": "a", "class": "down", "reason": "jam", "start": 0, "end": 10},
        {"station": "b", "class": "starved", "reason": None, "start": 2, "end": 12},
        {"station": "c", "class": "starved", "reason": None, "start": 4, "end": 11},
    ]
    found = chains(line, states, "c", 0, 20)
    assert [(one["ns"], one["by"], one["by_reason"]) for one in found] == [(6, "a", "jam"), (1, None, None)]
    # Six of b's and eight of c's nanoseconds are a's, beside its own ten.
    sums = {(one.station, one.reason): (one.ns, one.count) for one in charged(line, joined(states), 0, 20, "iso22400")}
    assert sums == {("a", "jam"): (10 + 8 + 6, 1), ("b", None): (2, 0), ("c", None): (1, 0)}
