"""What an event says of a product: how long a part takes, and what it is worth in the line's unit.

Texts as in the plant file, so that a value can be copied from one to the other; exact integers from here on.
"""

from functools import lru_cache
from typing import Final

from kernels.fold.layout import LONGEST_DECLARED_NS
from twin.plant.kinds import FACTOR, IDEAL_CYCLE, RATE
from twin.time.duration import duration_text

Pace = tuple[int, int, int]  # ideal ns per part, and the factor's numerator and denominator; 0: not said
NOTHING: Final[Pace] = (0, 0, 0)


@lru_cache(maxsize=4_096)
def pace_of(ideal_cycle: str | None, rate: str | None, factor: str | None) -> Pace:
    """Raises ValueError with a sentence that says what is wrong and what to write instead."""
    if ideal_cycle is not None and rate is not None:
        raise ValueError("ideal_cycle and rate: say one of them")
    ideal = 0
    if ideal_cycle is not None:
        ideal = int(IDEAL_CYCLE.parse(ideal_cycle))
    elif rate is not None:
        ideal = int(RATE.parse(rate))
    if ideal > LONGEST_DECLARED_NS:
        raise ValueError(
            f"an ideal cycle of {duration_text(ideal)} is longer than a day; check the unit, or put the product into "
            "the plant file"
        )
    top, bottom = (0, 0) if factor is None else FACTOR.parse(factor)
    return ideal, top, bottom
