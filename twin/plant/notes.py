"""What is no mistake in a plant file and yet most likely gives wrong figures: shown with it, with what to do."""

from fractions import Fraction
from typing import Final

from twin.plant.model import Line, Plant, Station
from twin.plant.topology import peers
from twin.time.duration import duration_text

# Stations of one line are seldom further apart, and grams and packs always are.
FAR_APART: Final = 10


# The morning meeting about the shift of the day before.
LEAST_REVISE_NS: Final = 36 * 3_600 * 10**9


def notes(plant: Plant) -> tuple[str, ...]:
    found = [(line, (*units(line), *_meters(line), *entries(plant, line))) for line in plant.lines]
    return tuple(f"line {line.id}: {note}" for line, notes_of in found for note in notes_of)


def entries(plant: Plant, line: Line) -> list[str]:
    """Where operators give reasons, and what they know the next morning comes too late."""
    if not plant.reasons or (line.revise_ns is not None and line.revise_ns >= LEAST_REVISE_NS):
        return []
    has = "no `revise`" if line.revise_ns is None else f"revise = {duration_text(line.revise_ns)}"
    what = "nothing that they enter changes a row" if line.revise_ns is None else "what they enter later is refused"
    return [f'operators may enter reasons, and it has {has}: {what}; write revise = "36h" (80h over a weekend)']


def _meters(line: Line) -> list[str]:
    """Meters without a bound: one wrong reading far above the others is believed."""
    owners = [(f"station {one.id}: ", one.measures) for one in line.stations]
    return [
        f"{owner}meter {one.id} has no `most_per_hour`: a wrong reading that is too high is believed"
        for owner, measures in [("", line.measures), *owners]
        for one in measures
        if one.kind == "meter" and one.most_per_hour is None
    ]


def units(line: Line) -> list[str]:
    """Stages whose ideal cycles lie further apart than machines of one line do."""
    for number, product in enumerate([None, *line.products], start=-1):
        paces = {s.id: pace for s in line.stations if (pace := _pace(line, s, number))}
        if len(paces) < 2:
            continue
        beside = peers(line)
        # Machines in parallel share the work of their stage. Of stations alike the first says it: fractions are slow.
        alike: dict[tuple[Fraction, int], str] = {}
        for k, s in enumerate(line.stations):
            if s.id in paces:
                alike.setdefault((paces[s.id], len(beside[k])), s.id)
        stage = {name: pace / (1 + shared) for (pace, shared), name in alike.items()}
        slow, fast = max(stage, key=lambda name: stage[name]), min(stage, key=lambda name: stage[name])
        times = stage[slow] / stage[fast]
        if times > FAR_APART:
            about = f" (product {product.id})" if product else ""
            if line.unit is None:
                return [
                    f"a part of {slow} takes {_text(times)} times as long as one of {fast}{about}: do both count the "
                    "same? If not, constraint and OTE compare different things: give the line a unit and each "
                    "station its unit and factor"
                ]
            return [
                f"one {line.unit} takes {_text(times)} times as long at {slow} as at {fast}{about}: check their ideal "
                "cycles, units and factors"
            ]
    return []


def _pace(line: Line, station: Station, product: int) -> Fraction:
    """Ideal ns for a unit of the line, as `twin.line` takes it; 0 where there is no ideal cycle."""
    ideal, factor = station.ideal_cycle_ns or 0, station.factor or (1, 1)
    if product >= 0:
        made = line.products[product]
        ideal = made.ideal_cycle_ns.get(station.id, made.ideal_cycle_ns.get("*", ideal))
        factor = made.factor.get(station.id, factor)
    return Fraction(ideal * factor[1], factor[0])


def _text(times: Fraction) -> str:
    return f"{float(times):,.0f}"
