"""What a gauge comes to over time: kWh of kW, litres of litres a minute. Exact until a row is written.

Between two readings a gauge shows the earlier one (`hold`, of a source that sends changes) or goes straight from one to
the other (`straight`, of one that is polled). That counts where the later reading lies, divided among the time classes
in between by time, as of a meter. Readings farther apart than `gap` are not joined.

Nothing is rounded on the way. A row is cut to its last decimal, and what is left over goes to the next row of the
measure: so a sum of rows is never off by as much as one last decimal.
"""

from collections.abc import Iterator
from fractions import Fraction
from typing import Final

from twin.measures.meter import Reading
from twin.plant.model import Measure

# As kernels.fold.layout DOUBT_*, of what no kernel tells: a gauge was not read for longer than its `gap`.
DOUBT_GAP: Final = 100


def unit_of(measure: Measure, gauge: Measure) -> Fraction:
    """What half of the gauge's last decimal place comes to in 1 ns, in last decimal places of the integral."""
    return Fraction(10**measure.decimals, 2 * 10**gauge.decimals * (measure.per_ns or 1))


def between(measure: Measure, since: Reading, now: Reading, during: int) -> Iterator[tuple[int, int]]:
    """Class (-1 of a line) and twice the value x ns between two readings, to each class by its part of the time."""
    height = 2 * since.value if measure.between == "hold" else since.value + now.value
    if not now.times:
        yield -1, height * (now.ts - since.ts)
        return
    spent = [(klass, b - a) for klass, (a, b) in enumerate(zip(since.times, now.times, strict=True)) if b > a]
    for klass, ns in spent or [(during, 0)]:
        yield klass, height * ns
