"""What was measured, in plain Python: every row summed from the values and the class intervals of the naive twin."""

from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from math import floor
from typing import Any

from kernels import codes
from kernels.fold import layout as at
from tests.naive_twin import STOPS, Measured, NaiveTwin, named_by
from twin.measures.integral import DOUBT_GAP
from twin.plant.model import Measure

# end, shift, production day, order, product, class
Context = tuple[int, str | None, str, str | None, str | None, str | None]
HOUR_NS = 3_600 * 10**9


def name_of(klass: int) -> str:
    return "stopped" if klass in STOPS else codes.CLASS_NAMES[klass]


def measure_of(twin: NaiveTwin, one: Measured) -> Measure:
    owner = twin.line if one.event.station < 0 else twin.line.stations[one.event.station]
    return next(measure for measure in owner.measures if measure.id == one.event.y)


def spent(twin: NaiveTwin, station: int, start: int, end: int) -> dict[int, int]:
    """ns by class in between, a stop's length known or not."""
    found: Counter[int] = Counter()
    for segment in twin.stations[station].segments:
        until = twin.until if segment.end is None else segment.end
        ns = min(until, end) - max(segment.start, start)
        if ns > 0:
            found[codes.STOPPED if segment.klass in STOPS else segment.klass] += ns
    return dict(found)


def divided(amount: int, times: dict[int, int], here: int) -> dict[int, int]:
    """By time; what is left of whole steps to the largest rests, of equal ones to the lower class."""
    whole = sum(times.values())
    if not whole:
        return {here: amount}
    exact = {klass: Fraction(abs(amount) * ns, whole) for klass, ns in times.items()}
    parts = {klass: int(share) for klass, share in exact.items()}
    rest = sorted(exact, key=lambda klass: (parts[klass] - exact[klass], klass))
    for klass in rest[: abs(amount) - sum(parts.values())]:
        parts[klass] += 1
    return {klass: part if amount >= 0 else -part for klass, part in parts.items()}


def follows(rule: Measure, readings: list[Measured], before: Measured, now: Measured) -> int | None:
    """What was used from one reading of a meter to another; None: it cannot be."""
    step = now.event.a - before.event.a
    if step < 0:
        if rule.modulus is None or before.event.epoch != now.event.epoch or -step < Fraction(rule.modulus, 2):
            return None
        step += rule.modulus
    # Since when it has shown what it showed.
    since = before.ts
    for one in reversed(readings[: readings.index(before)]):
        if one.event.a != before.event.a:
            break
        since = one.ts
    if rule.most_per_hour is not None and Fraction(step * HOUR_NS, 2) > rule.most_per_hour * (now.ts - since):
        return None
    return step


def uses(twin: NaiveTwin, rule: Measure, values: list[Measured]) -> list[tuple[Measured, Measured, int]]:
    """(since, value, amount) of one measure, in order."""
    if rule.kind == "amount":
        return [(values[max(k - 1, 0)], one, one.event.a) for k, one in enumerate(values)]
    found, believed, held = [], list[Measured](), None
    for one in values:
        if not believed:
            believed = [one]
        elif (step := follows(rule, believed, believed[-1], one)) is not None:
            found.append((believed[-1], one, step))
            if held is not None:
                doubt(twin, at.DOUBT_METER, one)
            believed, held = [*believed, one], None
        elif held is not None and (step := follows(rule, [held], held, one)) is not None:
            found.append((held, one, step))
            doubt(twin, at.DOUBT_METER_LEFT, one)
            believed, held = [held, one], None
        elif one.event.epoch != believed[-1].event.epoch and one.event.a < believed[-1].event.a:
            doubt(twin, at.DOUBT_METER_LEFT, one)
            believed, held = [one], None
        else:
            if held is not None:
                doubt(twin, at.DOUBT_METER, one)
            held = one
    return found


def integral_parts(twin: NaiveTwin, station: int, rule: Measure) -> Iterator[tuple[Context, Fraction]]:
    """(end, shift, day, order, product, class) and exact amount between each two readings of a gauge."""
    owner = twin.line if station < 0 else twin.line.stations[station]
    gauge = next(one for one in owner.measures if one.id == rule.of)
    assert rule.per_ns is not None and rule.gap_ns is not None
    unit = Fraction(10**rule.decimals, 10**gauge.decimals * rule.per_ns)
    readings = [one for one in twin.measured if one.event.station == station and one.event.y == gauge.id]
    every = twin.line.publish_every_ns
    for before, now in pairwise(readings):
        if now.ts - before.ts > rule.gap_ns:
            doubt(twin, DOUBT_GAP, now, rule.id)
            continue
        height = Fraction(before.event.a)
        if rule.between == "straight":
            height = (height + now.event.a) / 2
        _, shift, day = twin.calendar(now.ts - 1)
        about = (-(-now.ts // every) * every, shift, day, now.order, now.product)
        if station < 0:
            yield (*about, None), height * unit * (now.ts - before.ts)
            continue
        assert now.segment is not None
        for klass, ns in (spent(twin, station, before.ts, now.ts) or {now.segment.klass: 0}).items():
            yield (*about, name_of(klass)), height * unit * ns


def integral_rows(twin: NaiveTwin) -> list[dict[str, Any]]:
    """Rows of integrals: each cut to its last decimal, what is left over in the next one of the measure."""
    found = []
    for station, owner in [(-1, twin.line), *enumerate(twin.line.stations)]:
        for rule in owner.measures:
            if rule.kind != "integral":
                continue
            sums: dict[Context, Fraction] = {}
            for key, amount in integral_parts(twin, station, rule):
                sums[key] = sums.get(key, Fraction(0)) + amount
            left = Fraction(0)
            for key in sorted(sums, key=lambda key: in_order(twin, key)):
                end, shift, _, order, product, during = key
                left += sums[key]
                whole = floor(left)
                left -= whole
                found.append(
                    {
                        "station": None if station < 0 else twin.line.stations[station].id,
                        "measure": rule.id,
                        "start": end - twin.line.publish_every_ns,
                        "end": end,
                        "shift": shift,
                        "order": order,
                        "product": product,
                        "during": during,
                        "quantity": rule.quantity,
                        "unit": rule.unit,
                        "decimals": rule.decimals,
                        "window": "publish",
                        "n": 0,
                        "amount": whole,
                        **dict.fromkeys(("least", "most", "total", "squares_high", "squares_low")),
                    }
                )
    return found


def in_order(twin: NaiveTwin, key: Context) -> tuple[Any, ...]:
    """As rows follow each other; the calendar gives shifts and days the order of their first instants."""
    end, shift, day, order, product, during = key
    classes = [None, *codes.CLASS_NAMES[: codes.N_CLASSES], "stopped"]
    turn = min(
        t for t in range(end - twin.line.publish_every_ns, end, 10**9 // 2) if twin.calendar(t)[1:] == (shift, day)
    )
    return end, turn, order is not None, order or "", product is not None, product or "", classes.index(during)


def doubt(twin: NaiveTwin, kind: int, one: Measured, name: str | None = None) -> None:
    twin.doubt(kind, one.event.station, name or str(one.event.y))


def measure_rows(twin: NaiveTwin) -> list[dict[str, Any]]:
    """Rows of every interval that ended before the line's time, without dates. Doubts go to the twin."""
    every = twin.line.publish_every_ns
    groups: dict[tuple[Any, ...], dict[str, Any]] = {}

    def row(one: Measured, klass: int | None) -> dict[str, Any]:
        end = -(-one.ts // every) * every
        _, shift, day = twin.calendar(one.ts - 1)
        during = None if klass is None else name_of(klass)
        key = (one.event.station, one.event.y, end, shift, day, one.order, named_by(one.product), during)
        if key not in groups:
            station = None if one.event.station < 0 else twin.line.stations[one.event.station].id
            groups[key] = {
                "station": station,
                "measure": one.event.y,
                "start": end - every,
                "end": end,
                "shift": shift,
                "order": one.order,
                "product": named_by(one.product),
                "during": during,
                "values": [],
                "used": [],
            }
        return groups[key]

    by_measure: dict[tuple[int, str | None], list[Measured]] = {}
    for one in twin.measured:
        row(one, None if one.segment is None else one.segment.klass)["values"].append(one.event.a)
        by_measure.setdefault((one.event.station, one.event.y), []).append(one)
    for (station, _), values in by_measure.items():
        rule = measure_of(twin, values[0])
        for since, one, amount in uses(twin, rule, values) if rule.kind in ("meter", "amount") else ():
            if station < 0:
                row(one, None)["used"].append(amount)
                continue
            assert one.segment is not None
            times = spent(twin, station, since.ts, one.ts)
            for klass, part in divided(amount, times, one.segment.klass).items():
                row(one, klass)["used"].append(part)
    kinds = {key: measure_of(twin, values[0]) for key, values in by_measure.items()}
    found = []
    for key, about in groups.items():
        values, used = about.pop("values"), about.pop("used")
        rule = kinds[key[0], key[1]]
        valued, summed = rule.kind != "meter" and values, rule.kind in ("gauge", "characteristic")
        squares = divmod(sum(value**2 for value in values), 10**18)
        about |= {
            "quantity": rule.quantity,
            "unit": rule.unit,
            "decimals": rule.decimals,
            "window": "publish",
            "n": len(values),
            "amount": sum(used) if used else None,
            "least": min(values) if valued else None,
            "most": max(values) if valued else None,
            "total": sum(values) if summed else None,
            "squares_high": squares[0] if summed else None,
            "squares_low": squares[1] if summed else None,
        }
        found.append(about)
    return [about for about in [*found, *integral_rows(twin)] if about["end"] < twin.until]
