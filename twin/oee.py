"""KPIs of ISO 22400-2 as exact fractions, and the subsystems of a line for its throughput effectiveness.

`kernels.figures.oee` serves the stream: four ratios, float64, millions of rows. This serves reports and checks: every
KPI of the standard that its elements allow, and no rounding.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from kernels.codes import NONE
from twin.plant.model import Line

I64 = npt.NDArray[np.int64]
Exact = int | Fraction


def ratio(numerator: Exact, denominator: Exact) -> Fraction | None:
    """None where the denominator is zero."""
    return Fraction(numerator) / Fraction(denominator) if denominator else None


@dataclass(frozen=True, slots=True)
class Elements:
    """Elements of one work unit, named by their symbols in ISO 22400-2: times in one unit, quantities in parts."""

    pbt: Exact = 0  # planned busy time
    aubt: Exact = 0  # actual unit busy time
    aupt: Exact = 0  # actual unit processing time: production and setup
    apt: Exact = 0  # actual production time
    aust: Exact = 0  # actual unit setup time
    adet: Exact = 0  # actual unit delay time
    aoet: Exact = 0  # actual order execution time
    pri: Exact = 0  # planned run time per item
    pq: Exact = 0  # produced quantity
    gq: Exact = 0  # good quantity
    rq: Exact = 0  # rework quantity
    sq: Exact = 0  # scrap quantity

    @property
    def availability(self) -> Fraction | None:
        return ratio(self.apt, self.pbt)

    @property
    def effectiveness(self) -> Fraction | None:
        """Called performance elsewhere. May exceed 1: the planned run time per item is then too long."""
        return ratio(self.pri * self.pq, self.apt)

    @property
    def quality_ratio(self) -> Fraction | None:
        return ratio(self.gq, self.pq)

    @property
    def oee(self) -> Fraction | None:
        return product(self.availability, self.effectiveness, self.quality_ratio)

    @property
    def nee(self) -> Fraction | None:
        """Net equipment effectiveness: as OEE, but setup is not held against the work unit."""
        return product(ratio(self.aupt, self.pbt), self.effectiveness, self.quality_ratio)

    @property
    def utilization_efficiency(self) -> Fraction | None:
        return ratio(self.apt, self.aubt)

    @property
    def allocation_efficiency(self) -> Fraction | None:
        return ratio(self.aubt, self.pbt)

    @property
    def allocation_ratio(self) -> Fraction | None:
        return ratio(self.aubt, self.aoet)

    @property
    def technical_efficiency(self) -> Fraction | None:
        return ratio(self.apt, self.apt + self.adet)

    @property
    def setup_ratio(self) -> Fraction | None:
        return ratio(self.aust, self.aupt)

    @property
    def production_process_ratio(self) -> Fraction | None:
        return ratio(self.apt, self.aoet)

    @property
    def throughput_rate(self) -> Fraction | None:
        """Parts per unit of time."""
        return ratio(self.pq, self.aoet)

    @property
    def scrap_ratio(self) -> Fraction | None:
        return ratio(self.sq, self.pq)

    @property
    def rework_ratio(self) -> Fraction | None:
        return ratio(self.rq, self.pq)


def product(*factors: Fraction | None) -> Fraction | None:
    """None where a factor is None: what cannot be said of a part cannot be said of the whole."""
    result = Fraction(1)
    for factor in factors:
        if factor is None:
            return None
        result *= factor
    return result


@dataclass(frozen=True, slots=True)
class Subsystems:
    """A line as `kernels.figures.throughput.ote_network` takes it: `stage` (stations,), `inputs` (stages, most inputs),
    `output` (stages,), -1 where there is none."""

    stage: I64
    inputs: I64
    output: I64
    n_buffers: int


def subsystems(line: Line) -> Subsystems | None:
    """Stations with the same inputs and output work in parallel and are one stage; stages in the order of flow.

    None where a buffer feeds more than one stage (Muthiah and Huang's expansion needs the split, which a plant model
    does not give), where buffers make a circle, and for stations without any buffer, which are not a line.
    """
    number = {buffer.id: i for i, buffer in enumerate(line.buffers)}
    # A buffer that nobody fills never runs short, one that nobody empties is the end of the line.
    filled = {station.output for station in line.stations}
    emptied = {b for station in line.stations for b in station.inputs}
    keys = [
        (tuple(sorted(number[b] for b in s.inputs if b in filled)), s.output if s.output in emptied else None)
        for s in line.stations
    ]
    if len(line.stations) > 1 and any(not s.inputs and s.output is None for s in line.stations):
        return None
    waiting = list(dict.fromkeys(keys))
    needed = [b for inputs, _ in waiting for b in inputs]
    if len(needed) != len(set(needed)):
        return None
    ordered: list[tuple[tuple[int, ...], str | None]] = []
    while waiting:
        open_buffers = {number[output] for _, output in waiting if output is not None}
        ready = [key for key in waiting if not open_buffers.intersection(key[0])]
        if not ready:
            return None
        ordered += ready
        waiting = [key for key in waiting if key not in ready]
    inputs = np.full((len(ordered), max(1, *(len(key[0]) for key in ordered))), NONE, dtype=np.int64)
    for row, key in zip(inputs, ordered, strict=True):
        row[: len(key[0])] = key[0]
    return Subsystems(
        stage=np.array([ordered.index(key) for key in keys], dtype=np.int64),
        inputs=inputs,
        output=np.array([NONE if out is None else number[out] for _, out in ordered], dtype=np.int64),
        n_buffers=len(line.buffers),
    )
