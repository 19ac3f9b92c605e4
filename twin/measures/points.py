"""A point of a series: what a row of the set `samples` says. Any family may make them: one row per thing in order."""

from typing import NamedTuple


class Point(NamedTuple):
    """`measure` is the plant's number. A series is the points of one measure, chart and product; `point` counts them.

    `total` is the sum of its values in the last decimal place, None where it has none of its own; the figures are in
    the unit of the measure.
    """

    measure: int
    chart: str
    point: int
    start: int  # ts of its first value, and of its last: it is certain with that one
    end: int
    day: int
    shift: int
    order: str | None
    product: str | None
    n: int
    total: int | None
    figure: float | None
    center: float | None = None
    lower: float | None = None
    upper: float | None = None
    sigma: float | None = None
    phase: int | None = None  # 1: before its limits, or one that makes them; 2: judged by limits that stand
    version: str | None = None  # of the limits
    signals: tuple[str, ...] = ()  # rules broken at this point
    cause: str | None = None  # why it is excluded


def in_order(point: Point) -> tuple[object, ...]:
    """Points of a line, as they leave."""
    return point.end, point.measure, point.product is not None, point.product or "", point.chart, point.point
