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


def uses(
    twin: NaiveTwin, rule: Measure, values: list[Measured], begins: list[Measured] | None = None
) -> list[tuple[Measured, Measured, int]]:
    """(since, value, amount) of one measure, in order. `begins`: takes the readings that a meter begins with."""
    begins = [] if begins is None else begins
    if rule.kind == "amount":
        return [(values[max(k - 1, 0)], one, one.event.a) for k, one in enumerate(values)]
    found, believed, held = [], list[Measured](), None
    for one in values:
        if not believed:
            believed = [one]
            begins.append(one)
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
            begins.append(one)
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
                        **dict.fromkeys(("t1_errors", "t2_errors", "histogram")),
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


def histogram(values: list[int]) -> str:
    """Values halved until they are below 256, and how often: one bucket for all that come to the same."""
    counts: Counter[int] = Counter()
    for value in values:
        size, halved = abs(value), 0
        while size >= 256:
            size, halved = size // 2, halved + 1
        counts[(size + 128 * halved) * (-1 if value < 0 else 1)] += 1
    return " ".join(f"{bucket}:{n}" for bucket, n in sorted(counts.items()))


def doubt(twin: NaiveTwin, kind: int, one: Measured, name: str | None = None) -> None:
    twin.doubt(kind, one.event.station, name or str(one.event.y))


def measure_rows(twin: NaiveTwin) -> list[dict[str, Any]]:
    """Rows of every interval that ended before the line's time, without dates. Doubts go to the twin."""
    every = twin.line.publish_every_ns
    groups: dict[tuple[Any, ...], dict[str, Any]] = {}

    def row(one: Measured, klass: int | None) -> dict[str, Any]:
        end = -(-(one.ts + one.counted) // every) * every
        _, shift, day = twin.calendar(one.ts - 1 + one.counted)
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
    passing: list[Measured] = []
    for one in twin.measured:
        if measure_of(twin, one).kind == "first_pass":
            passing.append(one)
            continue
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
    for k, one in enumerate(passing):
        if not any((o.event.station, o.event.x) == (one.event.station, one.event.x) for o in passing[:k]):
            about = row(one, None if one.segment is None else one.segment.klass)
            about["values"].append(0)
            about["used"].append(one.event.a)
            by_measure[one.event.station, one.event.y] = [one]
    kinds = {key: measure_of(twin, values[0]) for key, values in by_measure.items()}
    found = []
    for key, about in groups.items():
        values, used = about.pop("values"), about.pop("used")
        rule = kinds[key[0], key[1]]
        valued, summed = rule.kind not in ("meter", "first_pass") and values, rule.kind in ("gauge", "characteristic")
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
            # TNE of 3,000.5 g: 1.5 %, rounded up to 46 g.
            "t1_errors": sum(value < 2_954_500 for value in values) if rule.average_weight and values else None,
            "t2_errors": sum(value < 2_908_500 for value in values) if rule.average_weight and values else None,
            "histogram": histogram(values) if rule.histogram and values else None,
        }
        found.append(about)
    return [about for about in [*found, *integral_rows(twin)] if about["end"] < twin.until]


# kind, action, ts, station, subject, since, value, limit
Alert = tuple[str, str, int, int, str | None, int, float | None, float]
Span = tuple[Measured, Fraction] | None  # since which reading, and how much; None: nobody knows


def spans(twin: NaiveTwin, station: int, rule: Measure) -> list[tuple[Measured, Span]]:
    """The readings that count for what is used of a measure, and what was used until each."""
    name = rule.of if rule.kind == "integral" else rule.id
    values = [one for one in twin.measured if (one.event.station, one.event.y) == (station, name)]
    if rule.kind == "meter":
        begins: list[Measured] = []
        doubts = twin.doubts.copy()
        known = {id(now): (since, Fraction(amount)) for since, now, amount in uses(twin, rule, values, begins)}
        twin.doubts = doubts
        return [(one, known.get(id(one))) for one in values if id(one) in known or one in begins]
    found: list[tuple[Measured, Span]] = [(one, None) for one in values[:1]]
    for before, now in pairwise(values):
        if rule.kind == "amount":
            found.append((now, (before, Fraction(now.event.a))))
            continue
        assert rule.per_ns and rule.gap_ns is not None
        gauge = next(one for one in twin.line.stations[station].measures if one.id == rule.of)
        height = Fraction(before.event.a + (before if rule.between == "hold" else now).event.a, 2)
        amount = height * (now.ts - before.ts) * Fraction(10**rule.decimals, 10**gauge.decimals * rule.per_ns)
        found.append((now, (before, amount) if now.ts - before.ts <= rule.gap_ns else None))
    return found


def budget_alerts(station: int, rule: Measure, readings: list[tuple[Measured, Span]]) -> Iterator[Alert]:
    """Looks from a reading to the first one that comes long enough behind it, of parts of one budget."""
    begin, over = 0, False
    for k, (now, span) in enumerate(readings):
        budgets = {rule.specified(one.product).budget for one, _ in readings[begin : k + 1]}
        if k == 0 or span is None or span[0] is not readings[k - 1][0] or len(budgets) > 1 or None in budgets:
            begin = k
            continue
        first = readings[begin][0]
        if now.ts - first.ts < (rule.budget_over_ns or HOUR_NS):
            continue
        used = sum((one[1] for _, one in readings[begin + 1 : k + 1] if one), Fraction(0)) / 10**rule.decimals
        good, made = now.good - first.good, now.made - first.made
        budget = Fraction(budgets.pop() or 0)
        begin = k
        if made > 0 and (used > budget * max(good, 0)) != over:
            over = not over
            value = float(used / good) if good > 0 else None
            action = "raised" if over else "cleared"
            yield "over_budget", action, now.ts, station, rule.id, first.ts, value, float(budget)


def idle_alerts(twin: NaiveTwin, station: int, rule: Measure, readings: list[tuple[Measured, Span]]) -> Iterator[Alert]:
    """Idle from reading to reading, and something is drawn between each two."""
    if rule.idle_for_ns is None:
        return
    limit = rule.idle_for_ns / 10**9
    since, until, told = -1, -1, False
    for now, span in readings:
        idle = span is not None and (since < 0 or span[0].ts == until)
        if span is not None and idle:
            times = spent(twin, station, span[0].ts, now.ts)
            idle = set(times) <= {codes.STARVED, codes.BLOCKED, codes.WAITING}
            ns = now.ts - span[0].ts
            if ns:
                idle &= span[1] * HOUR_NS > Fraction(rule.idle_draw or 0) * 10**rule.decimals * ns
            else:
                idle = since >= 0
        if not idle or span is None:
            if told:
                yield "idle_usage", "cleared", now.ts, station, rule.id, since, (until - since) / 10**9, limit
            since, told = -1, False
            continue
        if since < 0:
            since = span[0].ts
        until = now.ts
        if not told and until - since > rule.idle_for_ns:
            told = True
            yield "idle_usage", "raised", now.ts, station, rule.id, since, (until - since) / 10**9, limit


def usage_alerts(twin: NaiveTwin) -> list[Alert]:
    """Of all that is watched, whatever the order."""
    found: list[Alert] = []
    for station, owner in enumerate(twin.line.stations):
        for rule in owner.measures:
            budgets = (rule.budget, *(one.budget for one in rule.products))
            if any(budgets) or rule.idle_for_ns is not None:
                readings = spans(twin, station, rule)
                found += budget_alerts(station, rule, readings) if any(budgets) else ()
                found += idle_alerts(twin, station, rule, readings)
    return found
