"""The measures of a plant, numbered: what the numbers in event rows and observations mean."""

from dataclasses import dataclass
from typing import Final

from twin.plant.model import Measure, Plant
from twin.plant.shared import once_a_plant


@dataclass(frozen=True, slots=True)
class Declared:
    """A measure and where it is: `line` and `station` are the plant's numbers, station -1 for a measure of the line."""

    line: int
    station: int
    measure: Measure


@once_a_plant
def declared(plant: Plant) -> tuple[Declared, ...]:
    """Every measure by its number: line by line, a line's own before those of its stations."""
    found: list[Declared] = []
    station = 0
    for number, line in enumerate(plant.lines):
        found += [Declared(number, -1, measure) for measure in line.measures]
        for one in line.stations:
            found += [Declared(number, station, measure) for measure in one.measures]
            station += 1
    return tuple(found)


@once_a_plant
def numbers(plant: Plant) -> tuple[dict[str, int], ...]:
    """Number by id of the measures of each station, then of each line (see `owner`)."""
    tables: list[dict[str, int]] = [{} for _ in range(len(plant.stations) + len(plant.lines))]
    for number, one in enumerate(declared(plant)):
        tables[owner(plant, one.line, one.station)][one.measure.id] = number
    return tuple(tables)


DEFECT: Final = "defect"  # a quantity that is counted
PASSED_AT_ONCE: Final = "first_pass"  # the kind of a measure that counts name by their units


@once_a_plant
def defects(plant: Plant) -> tuple[dict[str, int], ...]:
    """Number by id of what a count of each station may name as its `defect`."""
    measures = declared(plant)
    return tuple(
        {name: k for name, k in numbers(plant)[s].items() if is_defect(measures[k].measure)}
        for s in range(len(plant.stations))
    )


def is_defect(measure: Measure) -> bool:
    return measure.kind == "amount" and measure.quantity == DEFECT


@once_a_plant
def first_pass(plant: Plant) -> tuple[int, ...]:
    """Number of the measure by which each station says which units passed at once, -1 none."""
    measures = declared(plant)
    return tuple(
        next((k for k in numbers(plant)[s].values() if measures[k].measure.kind == PASSED_AT_ONCE), -1)
        for s in range(len(plant.stations))
    )


def owner(plant: Plant, line: int, station: int) -> int:
    """The place in `numbers` of a station, or of a line's own measures (station -1)."""
    return station if station >= 0 else len(plant.stations) + line


def same(old: Plant, new: Plant) -> dict[int, int]:
    """New numbers, by old ones, of the measures that both plants declare alike: by line, station and id."""

    def named(plant: Plant) -> dict[tuple[str, str | None, Measure], int]:
        stations = plant.stations
        return {
            (plant.lines[one.line].id, stations[one.station].id if one.station >= 0 else None, one.measure): number
            for number, one in enumerate(declared(plant))
        }

    ours = named(new)
    return {number: ours[name] for name, number in named(old).items() if name in ours}
