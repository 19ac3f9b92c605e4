"""What a line's state says against its own figures, in a sentence each: read at the end of a log, never folded."""

from collections.abc import Iterable, Iterator

from kernels.fold import layout as at
from kernels.fold.admit import LEAST_SKEW_NS
from kernels.fold.arrays import State
from twin.line.admission import Fact
from twin.line.doubts import FACTS
from twin.line.numbers import Numbers
from twin.line.remembered import LineMemory
from twin.plant.model import Line, Plant, Station
from twin.plant.notes import units


def against(plant: Plant, n: Numbers, x: State, memory: dict[int, LineMemory]) -> list[tuple[int, str]]:
    """Stations never heard of, suspect ideal cycles with their likely cause, and stations that most likely count
    different things: of the lines that were seen, with their numbers."""
    seen = [k for k in range(len(plant.lines)) if x.lines[k, at.L_SEEN]]
    found = [(k, sentence) for k in seen for sentence in _line(plant.lines[k], k, n, x, memory.get(k, LineMemory()))]
    return found + [(k, f"line {plant.lines[k].id}: {note}") for k in seen for note in units(plant.lines[k])]


def of_admission(plant: Plant, facts: Iterable[Fact], where: str = "") -> Iterator[tuple[int, str]]:
    """What admission counted of each source, with the offset of the first record and what to do; and its line."""
    for fact in facts:
        line = plant.lines[fact.line].id
        place = line if fact.station is None else f"{line}/{plant.stations[fact.station].id}"
        most = " (most of its events)" if 2 * fact.late > fact.events + fact.late else ""
        # At the end of a log what has not come yet will not.
        gaps = fact.gaps + fact.missing
        counted = (
            (at.TOLD_LATE, f"{fact.late:,} late{most}", fact.late, fact.late_at),
            (at.TOLD_REPEATS, f"{fact.repeats:,} repeats", fact.repeats, fact.repeat_at),
            (at.TOLD_GAPS, f"{gaps:,} gaps", gaps, fact.gap_at),
        )
        for what, times, count, first in counted:
            if count:
                began = "" if first is None else f", first at offset {first}{where}"  # not in a topic it was moved to
                yield fact.line, f"{place}: {times}{began}: {FACTS[what][1]}"
        if fact.lag_ns > max(plant.lines[fact.line].lateness_ns // 2, LEAST_SKEW_NS):
            yield fact.line, f"{place}: {fact.lag_ns / 1e9:g} s behind: {FACTS[at.TOLD_SKEW][1]}"


def _line(line: Line, number: int, n: Numbers, x: State, mine: LineMemory) -> Iterator[str]:
    lo = int(n.lines[number, at.LC_STATION])
    for k, station in enumerate(line.stations):
        if not x.stations[lo + k, at.S_OWN]:
            yield (
                f"{line.id}/{station.id}: never heard of, so it is unknown all the time; check how its source names "
                "it, or take it out of the plant file"
            )
    for station in line.stations:
        if station.id in mine.suspects:
            yield f"{line.id}/{station.id}: performance over 100 %: {_cause(station)}"


def _cause(station: Station) -> str:
    ideal = "no product may take less than its ideal cycle"
    if station.parts_from == "cycle":
        return f"the ideal cycle is too long ({ideal}), or a cycle ends more often than a part is made"
    return f"the ideal cycle is too long ({ideal}), or parts are counted twice or outside running time"
