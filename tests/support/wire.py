"""A small plant and block comparisons for the tests of the wire formats."""

from kernels import codes
from twin.events.block import INTEGER_COLUMNS, EventBlock
from twin.plant.model import Buffer, Counter, Line, Measure, Plant, Station

STATES = {"RUN": codes.RUNNING, "STOP": codes.STOPPED, "WAIT": codes.WAITING}
COUNTERS = (Counter("parts", "good", modulus=1000), Counter("bad", "scrap"))
MEASURES = (
    Measure("kwh", "meter", "kWh", decimals=3, modulus=10**9),
    Measure("t", "gauge", "C", decimals=1, rounds=True),
    Measure("w", "characteristic", "g", decimals=0),
    Measure("scratch", "amount", "defect", "defect"),
)
PLANT = Plant(
    site="s",
    lines=(
        Line(
            "L1",
            "a",
            "flow",
            (
                Station("M1", states=STATES, counters=COUNTERS, measures=MEASURES),
                Station("M2", states={"RUN": codes.RUNNING, "P": codes.SETUP}),
            ),
            buffers=(Buffer("B1", 10), Buffer("B2", None)),
            measures=(Measure("w", "amount", "l", decimals=9),),
        ),
        # The second line names its station like the first.
        Line("L2", "a", "cell", (Station("M1", states={"RUN": codes.DOWN, "Störung": codes.DOWN}),)),
    ),
    hash="0" * 16,
    earliest_ns=0,  # most tests are not about the bound; those that are have a plant without one
)
TS = 1_700_000_000_000_000_000


def events_of(block: EventBlock) -> list[tuple[object, ...]]:
    """The events as tuples, with words for indices: what a round trip must keep."""
    columns: list[list[object]] = []
    for name in INTEGER_COLUMNS:
        values = getattr(block, name).tolist()
        columns.append(
            [block.words[v] if v >= 0 else None for v in values] if name in ("x", "y", "z", "entry") else values
        )
    return list(zip(*columns, strict=True))
