"""Control charts of what is measured: sequential, in the order of events, in fixed point.

Each measure with a `chart` has a series for each product. A point is `n` values of it in a row, or one. An open
subgroup is carried on, neither closed early nor dropped. Phase I makes the limits (`baseline` points), or they are
declared; from then on they stand. Rules are told at every point at which they hold; an alert says when one begins to.
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from kernels.fold import layout as at
from twin.alert_kinds import CHART
from twin.measures.catalogue import Declared
from twin.measures.fixed import of_text, plain
from twin.measures.judged import SAYS
from twin.measures.limits import COUNTS, Shown, size_of, units_of
from twin.measures.points import Point, in_order
from twin.measures.protocol import Observed, Rows, Taken, Told
from twin.measures.series import Series, advance, judge
from twin.plant.model import Chart, says_n

I64 = npt.NDArray[np.int64]
BASELINE: Final = "baseline"
# Products of a measure that have a series; of more the one that was longest unused begins anew.
MOST_PRODUCTS: Final = 1_000
_MOST_NAMED: Final = 10  # points that an alert names one by one


class _About(NamedTuple):
    """The context of a value."""

    line: int
    station: int
    ts: int
    day: int
    shift: int
    order: str | None
    product: str | None


class _Saved(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """A line's state; measures by their number within the line. As JSON, which holds integers of any size."""

    series: list[tuple[int, str | None, Series]] = []
    points: list[Point] = []


_DECODER: Final = msgspec.json.Decoder(_Saved)


class _Line:
    def __init__(self) -> None:
        self.series: dict[tuple[int, str | None], Series] = {}  # the last used stands last
        self.points: list[Point] = []


class Charts:
    """The charts of a partition's lines."""

    def __init__(self, measures: Sequence[Declared]) -> None:
        self._measures = measures
        self._charts: dict[int, Chart] = {k: one.measure.chart for k, one in enumerate(measures) if one.measure.chart}
        self._numbers = np.array(sorted(self._charts), np.int64)
        self._first: dict[int, int] = {}
        for number, one in enumerate(measures):
            self._first.setdefault(one.line, number)
        self._lines: dict[int, _Line] = {}

    @classmethod
    def of(cls, measures: Sequence[Declared], publish_ns: I64) -> "Charts | None":
        return cls(measures) if any(one.measure.chart for one in measures) else None

    def take(self, observed: Observed, text: Callable[[int], str | None]) -> Taken:
        told: list[Told] = []
        mine = np.flatnonzero(np.isin(observed.rows[:, at.MO_MEASURE], self._numbers))
        rows, shifts, days = (part.tolist() for part in observed.some(mine))
        for row, shift, day in zip(rows, shifts, days, strict=True):
            order, product = text(row[at.MO_ORDER]), text(row[at.MO_PRODUCT])
            about = _About(row[at.MO_LINE], row[at.MO_STATION], row[at.MO_TS], day, shift, order, product)
            self._value(row[at.MO_MEASURE], row[at.MO_VALUE], row[at.MO_N], about, told)
        return Taken([], told)

    def rows(self, line: int, until: int) -> Rows:
        mine = self._lines.get(line)
        if mine is None:
            return {}
        done = sorted((one for one in mine.points if one.end < until), key=in_order)
        mine.points = [one for one in mine.points if one.end >= until]
        return {"samples": done}

    def go_on(self, other: "Charts", measures: dict[int, int]) -> None:
        """Series of another plant's lines go on here; `measures`: their numbers there and here."""
        for theirs in other._lines.values():
            for (number, product), series in theirs.series.items():
                if number in measures:
                    now = measures[number]
                    self._line(self._measures[now].line).series[now, product] = series

    def save(self, line: int) -> bytes:
        mine, first = self._lines.get(line), self._first.get(line, 0)
        if mine is None:
            return b""
        series = [(number - first, product, one) for (number, product), one in mine.series.items()]
        points = [one._replace(measure=one.measure - first) for one in mine.points]
        return msgspec.json.encode(_Saved(series, points))

    def load(self, line: int, data: bytes) -> None:
        """Set a line back to what `save` gave. Raises msgspec.MsgspecError."""
        self._lines.pop(line, None)
        if not data:
            return
        mine, first, saved = _Line(), self._first.get(line, 0), _DECODER.decode(data)
        mine.series = {(number + first, product): one for number, product, one in saved.series}
        mine.points = [one._replace(measure=one.measure + first) for one in saved.points]
        self._lines[line] = mine

    def _line(self, line: int) -> _Line:
        return self._lines.setdefault(line, _Line())

    def _series(self, number: int, product: str | None, line: int) -> Series:
        every, key = self._line(line).series, (number, product)
        found = every.pop(key, None)
        if found is None:
            found = _begun(self._charts[number], self._measures[number].measure.decimals)
            same = [other for other in every if other[0] == number]
            if len(same) >= MOST_PRODUCTS:
                del every[same[0]]
        every[key] = found
        return found

    def _value(self, number: int, value: int, said: int, about: _About, told: list[Told]) -> None:
        """One value of a measure with a chart, of `said` units; where it completes a point, its rows and what is told
        of them."""
        chart, measure = self._charts[number], self._measures[number].measure
        if says_n(chart) and said < 1:
            return  # of nothing that was looked at, there is no share
        n = units_of(chart, said)
        one = self._series(number, about.product, about.line)
        if not one.values:
            one.since = about.ts
        one.values.append(value)
        if len(one.values) < size_of(chart):
            return
        values, one.values = one.values, []
        cause = next((e.cause for e in chart.exclude if e.from_ns <= about.ts < e.to_ns), None)
        standing = one.frozen or chart.type == "cusum"
        for k, shown in enumerate(
            advance(chart, measure.specified(about.product).target, one, values, n, cause is not None)
        ):
            rules: tuple[str, ...] = ()
            if standing and cause is None:
                rules = judge(chart, one, shown, first=k == 0)
                if new := [rule for rule in rules if rule not in one.held.get(shown.chart, ())]:
                    told.append(self._alert(number, one, shown, new, about))
                one.held[shown.chart] = rules
            self._line(about.line).points.append(self._point(number, one, shown, values, n, rules, cause, about))
        if not standing and cause is None and len(one.first) >= (chart.baseline or 1):
            names = [one.first[0].point, one.first[-1].point]
            if out := one.freeze(chart):
                told.append(self._of_baseline(number, names, out, about))
        one.point += 1

    def _point(
        self,
        number: int,
        one: Series,
        shown: Shown,
        values: list[int],
        n: int,
        rules: tuple[str, ...],
        cause: str | None,
        about: _About,
    ) -> Point:
        chart, decimals = self._charts[number], self._measures[number].measure.decimals
        stands = one.frozen or chart.type == "cusum"
        return Point(
            number,
            shown.chart,
            one.point,
            one.since,
            about.ts,
            about.day,
            about.shift,
            about.order,
            about.product,
            n if chart.type in ("p", "np", "u") else len(values),
            sum(values),
            plain(shown.value, decimals),
            *_limits(shown, decimals),
            None if one.sigma is None or chart.type in COUNTS else plain(one.sigma, decimals),
            phase=2 if stands else 1,
            version=_version(chart) if stands else None,
            signals=rules,
            cause=cause,
        )

    def _alert(self, number: int, one: Series, shown: Shown, rules: list[str], about: _About) -> Told:
        """Rules begin to hold."""
        decimals = self._measures[number].measure.decimals
        points = [point for point, _ in one.recent] or [one.point]
        said = []
        for rule in rules:
            n, what = SAYS[rule]
            begin = points[-n:][0] if n > 1 else one.point
            where = f"point {one.point}" if begin == one.point else f"points {begin} to {one.point}"
            said.append(f"{what} ({rule}) at {where}")
        crossed = shown.center
        if shown.upper is not None and shown.value > shown.upper:
            crossed = shown.upper
        elif shown.lower is not None and shown.value < shown.lower:
            crossed = shown.lower
        return Told(
            about.line,
            about.station,
            CHART,
            about.ts,
            one.since,
            self._subject(number, f"{shown.chart} {one.point}", about.product),
            f"{shown.chart} chart of {self._name(number, about.product)}: {'; '.join(said)}",
            plain(shown.value, decimals),
            None if crossed is None else plain(crossed, decimals),
        )

    def _of_baseline(self, number: int, points: list[int], out: list[int], about: _About) -> Told:
        """Phase I was not in control: its limits stand all the same, and are told to be doubtful."""
        more = f" and {len(out) - _MOST_NAMED} more" if len(out) > _MOST_NAMED else ""
        named = f"points {', '.join(map(str, out[:_MOST_NAMED]))}{more} lie" if out[1:] else f"point {out[0]} lies"
        detail = (
            f"limits of {self._name(number, about.product)} were made of points {points[0]} to {points[1]}, "
            f"and of these {named} beyond them: look for the cause, and exclude what has one or declare limits in the "
            "plant file"
        )
        subject = self._subject(number, BASELINE, about.product)
        return Told(about.line, about.station, CHART, about.ts, about.ts, subject, detail, float(len(out)))

    def _name(self, number: int, product: str | None) -> str:
        name = self._measures[number].measure.id
        return name if product is None else f"{name}, product {product}"

    def _subject(self, number: int, what: str, product: str | None) -> str:
        name = f"{self._measures[number].measure.id} {what}"
        return name if product is None else f"{name} {product}"


def _limits(shown: Shown, decimals: int) -> tuple[float | None, float | None, float | None]:
    """Centre, lower and upper limit in the unit of the measure."""
    center, lower, upper = (
        None if value is None else plain(value, decimals) for value in (shown.center, shown.lower, shown.upper)
    )
    return center, lower, upper


def _version(chart: Chart) -> str | None:
    if chart.limits is not None:
        return chart.limits.version
    return BASELINE if chart.baseline else None  # a CUSUM has its own


def _begun(chart: Chart, decimals: int) -> Series:
    """A series without a point: with its limits, where the plant declares them."""
    if chart.limits is None:
        return Series()
    sigma = None if chart.limits.sigma is None else of_text(chart.limits.sigma, decimals)
    return Series(center=of_text(chart.limits.center, decimals), sigma=0 if chart.type in COUNTS else sigma)
