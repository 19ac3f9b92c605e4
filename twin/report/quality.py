"""Quality in a report: what characteristics are capable of, their control charts, defects and yields.

Sums are those of the rows of `measures`, to the last decimal; limits and signals those of `samples`. A measure with the
quantity `defect` counts defects; units are the parts of its station.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from twin.figures.capability import NONE, Capability, capability, cpk_interval
from twin.figures.exact import root
from twin.figures.yields import MILLION, SHIFT, pareto, rolled_yield, sigma_level, unit_yield
from twin.measures.distribution import limits_of, quantile, read
from twin.plant.model import Measure, Specification
from twin.report.rows import dicts, select
from twin.report.svg import cut, frame, label
from twin.report.words import significant, word
from twin.time.rfc3339 import rfc3339

if TYPE_CHECKING:
    from twin.report.build import Sheet

Rows = list[dict[str, Any]]
DEFECT: Final = "defect"
PASSED_AT_ONCE: Final = "first_pass"
T1_SHARE: Final = Fraction(25, 1_000)  # of packs may be below nominal - TNE
MOST_POINTS: Final = 2_000  # of all charts of a span
MOST_DRAWN: Final = 120  # of one chart: the last ones
MOST_CHARTS: Final = 12
_FIRST: Final = ("xbar", "i")


def _declared(sheet: Sheet) -> dict[tuple[str | None, str], Measure]:
    """By station (None: the line) and id."""
    owners = [(None, sheet.line.measures), *((one.id, one.measures) for one in sheet.line.stations)]
    return {(place, one.id): one for place, measures in owners for one in measures}


def _within(sheet: Sheet, row: dict[str, Any], *, start: str) -> bool:
    """Whether a row is of the span: by its own shift or order, or by its end, which is part of its interval."""
    span = sheet.span
    if span.kind in ("order", "shift"):
        return bool(row[span.kind] == span.label)
    if start == "start":  # what came behind the start
        return bool(span.start_ns < row["end"] <= span.end_ns)
    return bool(span.start_ns <= row["end"] < span.end_ns)


def _rows(sheet: Sheet, set_name: str) -> Rows:
    span = sheet.span
    beyond = span.end_ns + sheet.line.publish_every_ns
    return dicts(select(sheet.root, set_name, span.start_ns, beyond, line=sheet.line.id, as_of_ns=sheet.as_of_ns))


def _summed(sheet: Sheet) -> list[tuple[dict[str, Any], Measure]]:
    """Rows of `measures` of the span, with what the plant says of them."""
    declared = _declared(sheet)
    if not declared:
        return []
    found = (row for row in _rows(sheet, "measures") if _within(sheet, row, start="start"))
    return [
        (row, declared[row["station"], row["measure"]])
        for row in found
        if (row["station"], row["measure"]) in declared
        and row["decimals"] == declared[row["station"], row["measure"]].decimals
    ]


def samples(sheet: Sheet) -> Rows:
    """Points of the span, in order; the last MOST_POINTS of them."""
    if not any(one.chart for one in _declared(sheet).values()):
        return []
    found = [row for row in _rows(sheet, "samples") if _within(sheet, row, start="end")]
    found.sort(key=lambda row: (row["end"], row["station"] or "", row["measure"], row["product"] or "", row["point"]))
    return [
        {
            **{key: row[key] for key in ("station", "measure", "chart", "product", "order", "point", "unit")},
            **{key: row[key] for key in ("figure", "center", "lower", "upper", "sigma", "phase", "signals", "cause")},
            "version": row["limits_version"],
            "end": rfc3339(row["end"]),
        }
        for row in found[-MOST_POINTS:]
    ]


def characteristics(sheet: Sheet) -> Rows:
    """Each characteristic by product: number, mean, deviation, capability and what is given away.

    Cp, Cpk and Cpm rest on sigma within, which the limits of its chart are made of; Pp and Ppk on that of all values.
    """
    groups: dict[tuple[str | None, str, str | None], list[int]] = {}
    measures: dict[tuple[str | None, str, str | None], Measure] = {}
    spread: dict[tuple[str | None, str, str | None], dict[int, int]] = {}
    for row, measure in _summed(sheet):
        if measure.kind != "characteristic" or row["total"] is None:
            continue
        key = row["station"], row["measure"], row["product"]
        squares = row["squares_high"] * 10**18 + row["squares_low"]
        sums = groups.setdefault(key, [0, 0, 0, row["least"], row["most"]])
        measures[key] = measure
        sums[0], sums[1], sums[2] = sums[0] + row["n"], sums[1] + row["total"], sums[2] + squares
        sums[3], sums[4] = min(sums[3], row["least"]), max(sums[4], row["most"])
        if row["histogram"] is not None:
            mine = spread.setdefault(key, defaultdict(int))
            for bucket, n in read(row["histogram"]).items():
                mine[bucket] += n
    sigmas = {
        (row["station"], row["measure"], row["product"]): row["sigma"]
        for row in samples(sheet)
        if row["chart"] in _FIRST and row["sigma"] is not None
    }
    return [
        _characteristic(key, sums, measures[key], sigmas.get(key)) | _quantiles(spread.get(key), measures[key])
        for key, sums in sorted(groups.items(), key=lambda one: tuple(part or "" for part in one[0]))
    ]


def _characteristic(
    key: tuple[str | None, str, str | None], sums: list[int], measure: Measure, sigma: float | None
) -> dict[str, Any]:
    n, total, squares, least, most = sums
    unit = 10**measure.decimals
    mean = Fraction(total, n * unit)
    deviation = root(Fraction(n * squares - total * total, n * (n - 1) * unit * unit)) if n > 1 else None
    asked = measure.specified(key[2])
    within, overall = _capable(mean, sigma, asked, unit, n), _capable(mean, deviation, asked, unit, n)
    interval = cpk_interval(None if within.cpk is None else float(within.cpk), n)
    given = None if asked.nominal is None else mean - Fraction(asked.nominal, unit)
    return {
        "station": key[0],
        "measure": key[1],
        "product": key[2],
        "unit": measure.unit,
        "n": n,
        "mean": float(mean),
        "least": least / unit,
        "most": most / unit,
        "deviation": _plain(deviation),
        "cp": _plain(within.cp),
        "cpk": _plain(within.cpk),
        "cpk_low": None if interval is None else interval[0],
        "cpk_high": None if interval is None else interval[1],
        "cpm": _plain(within.cpm),
        "pp": _plain(overall.cp),
        "ppk": _plain(overall.cpk),
        "giveaway": _plain(given),
        "giveaway_total": None if given is None else float(given * n),
    }


def _quantiles(counts: dict[int, int] | None, measure: Measure) -> dict[str, float | None]:
    """Off by less than 1/128 of what they are; None where no histogram was asked for."""
    found = {name: quantile(counts or {}, Fraction(p, 100)) for name, p in (("p05", 5), ("median", 50), ("p95", 95))}
    return {name: None if value is None else float(value / 10**measure.decimals) for name, value in found.items()}


def average_weight(sheet: Sheet) -> Rows:
    """Packs of the span by product, all that were measured, against the average weight rule: on average not below the
    nominal quantity, at most 2.5 % of them below it by more than the tolerable negative error, none by more than twice.
    """
    groups: dict[tuple[str | None, str, str | None], list[int]] = {}
    measures: dict[tuple[str | None, str, str | None], Measure] = {}
    for row, measure in _summed(sheet):
        if row["t1_errors"] is not None and row["total"] is not None:
            key = row["station"], row["measure"], row["product"]
            sums = groups.setdefault(key, [0, 0, 0, 0])
            measures[key] = measure
            for k, name in enumerate(("n", "total", "t1_errors", "t2_errors")):
                sums[k] += row[name]
    found: Rows = []
    for key, (n, total, t1, t2) in sorted(groups.items(), key=lambda one: tuple(part or "" for part in one[0])):
        measure, asked = measures[key], measures[key].specified(key[2])
        limits = limits_of(measure, asked)
        if asked.nominal is None or limits is None:
            continue
        mean, unit = Fraction(total, n), 10**measure.decimals
        kept = mean >= asked.nominal and t1 <= T1_SHARE * n and not t2
        found.append(
            {
                **dict(zip(("station", "measure", "product"), key, strict=True)),
                "unit": measure.unit,
                "n": n,
                "nominal": asked.nominal / unit,
                "mean": float(mean / unit),
                "t1": limits[0] / unit,
                "t1_errors": t1,
                "t1_share": t1 / n,
                "t2": limits[1] / unit,
                "t2_errors": t2,
                "kept": "kept" if kept else "not_kept",
            }
        )
    return found


def _capable(mean: Fraction, sigma: Fraction | float | None, asked: Specification, unit: int, n: int) -> Capability:
    if sigma is None:
        return NONE
    lsl, usl, target = (None if one is None else Fraction(one, unit) for one in (asked.lsl, asked.usl, asked.target))
    return capability(mean, sigma, lsl, usl, target, n)


def _plain(value: Fraction | float | None) -> float | None:
    return None if value is None else float(value)


def defects(sheet: Sheet) -> Rows:
    """Defects of the span by falling number: per unit, per million chances, and as sigma levels."""
    counts: dict[tuple[str | None, str], int] = defaultdict(int)
    measures: dict[tuple[str | None, str], Measure] = {}
    for row, measure in _summed(sheet):
        if measure.quantity == DEFECT and measure.kind == "amount" and row["amount"] is not None:
            key = row["station"], row["measure"]
            counts[key] += row["amount"]
            measures[key] = measure
    # More were taken back than found: a share of that is nothing, and the number stands as it is.
    names = {f"{place or ''}\0{name}": (place, name) for place, name in counts}
    below = sorted(text for text, key in names.items() if counts[key] < 0)
    order, shares = pareto({text: counts[key] for text, key in names.items() if counts[key] >= 0})
    ranked: list[tuple[str, Fraction | None]] = [*zip(order, shares, strict=True), *((text, None) for text in below)]
    found = []
    for text, share in ranked:
        place, name = names[text]
        units = max(sheet.figures(place).made, 0) if share is not None else 0
        chances = measures[place, name].opportunities or 1
        one = unit_yield(units, max(counts[place, name], 0), chances)
        dpmo = None if one.dpmo is None else min(one.dpmo, Fraction(MILLION))
        found.append(
            {
                "station": place,
                "defect": name,
                "count": counts[place, name],
                "cumulative": _plain(share),
                "units": units if share is not None else None,
                "dpu": _plain(one.dpu),
                "dpmo": _plain(one.dpmo),
                "sigma_level": None if dpmo is None else sigma_level(dpmo, 0),
                "sigma_level_shifted": None if dpmo is None else sigma_level(dpmo, SHIFT),
            }
        )
    return found


def defects_of_products(sheet: Sheet) -> Rows:
    """Defects of each product by falling number, of all stations; those taken back again stand as they are, last."""
    counts: dict[str, dict[tuple[str, str], int]] = defaultdict(lambda: defaultdict(int))
    for row, measure in _summed(sheet):
        if measure.quantity == DEFECT and measure.kind == "amount" and row["amount"] is not None and row["product"]:
            counts[row["product"]][row["station"] or "", row["measure"]] += row["amount"]
    found: Rows = []
    for product in sorted(counts):
        mine = sorted(counts[product].items(), key=lambda one: (-one[1], one[0]))
        whole, running = sum(n for _, n in mine if n > 0), 0
        for (station, name), n in mine:
            running += max(n, 0)
            share = running / whole if n > 0 else None
            about = {"product": product, "station": station or None, "defect": name}
            found.append({**about, "count": n, "cumulative": share})
    return found


def yields(sheet: Sheet) -> Rows:
    """First pass yield of each station, good parts of all: what is reworked has not passed. The line's: their product.

    Of a station whose counts name units it is that of the units: those that passed when they came for the first time.
    Nothing where neither defects nor units are counted.
    """
    quantities = {one.quantity for one in _declared(sheet).values()}
    if not quantities & {DEFECT, PASSED_AT_ONCE}:
        return []
    units: dict[str | None, list[int]] = {}
    for row, measure in _summed(sheet) if PASSED_AT_ONCE in quantities else ():
        if measure.quantity == PASSED_AT_ONCE and row["amount"] is not None:
            sums = units.setdefault(row["station"], [0, 0])
            sums[0], sums[1] = sums[0] + row["n"], sums[1] + row["amount"]
    counted: dict[str | None, int] = defaultdict(int)
    for row in defects(sheet):
        counted[row["station"]] += row["count"]
    found: Rows = []
    passed: list[Fraction | None] = []
    for station in sheet.line.stations:
        one, by_unit = sheet.figures(station.id), station.id in units
        made, good = units[station.id] if by_unit else (one.made, one.good)
        share = Fraction(good, made) if made > 0 and 0 <= good <= made else None
        passed.append(share)
        dpu = Fraction(counted[station.id], one.made) if one.made > 0 else None
        about = {"station": station.id, "counted": "by_unit" if by_unit else "parts", "units": made}
        found.append({**about, "fpy": _plain(share), "dpu": _plain(dpu), "rty": None})
    nothing = dict.fromkeys(("station", "counted", "units", "fpy", "dpu"))
    found.append({**nothing, "rty": _plain(rolled_yield(passed))})
    return found


def draw_charts(report: dict[str, Any], language: str) -> list[str]:
    """A chart for each series: its points, centre and limits, and what signals."""
    series: dict[tuple[str, ...], Rows] = {}
    for row in report["control_charts"]:
        key = tuple(row[name] or "" for name in ("station", "measure", "product", "chart"))
        series.setdefault(key, []).append(row)
    return [_drawn(rows[-MOST_DRAWN:], language) for _, rows in sorted(series.items())[:MOST_CHARTS]]


def _drawn(rows: Rows, language: str) -> str:
    every: list[float] = [
        row[key] for row in rows for key in ("figure", "center", "lower", "upper") if row[key] is not None
    ]
    low, high = min(every), max(every)
    reach = (high - low) or 1.0
    step = 780 / max(len(rows) - 1, 1)

    def y(value: float) -> float:
        return 190.0 - 150 * (value - low) / reach

    first = rows[0]
    about = " ".join(str(first[key]) for key in ("station", "measure", "product") if first[key])
    body = [label(0, 20, cut(f"{first['chart']}: {about}, {first['unit']}", 70))]
    for name in ("upper", "center", "lower"):
        body += _line(rows, name, step, y, language)
    path = " ".join(f"{'L' if k else 'M'}{100 + k * step:.1f} {y(row['figure']):.1f}" for k, row in enumerate(rows))
    body.append(f'<path class="k-line" d="{path}"/>')
    for k, row in enumerate(rows):
        kind = "c-down" if row["signals"] else "c-unknown" if row["cause"] else "c-running"
        size = 5 if row["signals"] else 3
        at = f'cx="{100 + k * step:.1f}" cy="{y(row["figure"]):.1f}"'
        body.append(f'<circle class="{kind}" data-value="{row["figure"]!r}" {at} r="{size}"/>')
    signals = sum(bool(row["signals"]) for row in rows)
    body.append(label(880, 20, f"{word('signals', language)}: {signals}", anchor="end", soft=True))
    return frame(214, f"{word('control_charts', language)}: {first['chart']} {about}", body)


def _line(rows: Rows, name: str, step: float, y: Any, language: str) -> Iterator[str]:
    """Centre or a limit, where there is one, with its last value beside it."""
    known = [(k, row[name]) for k, row in enumerate(rows) if row[name] is not None]
    if not known:
        return
    path = "".join(f"M{100 + (k - 0.5) * step:.1f} {y(value):.1f}h{step:.1f}" for k, value in known)
    yield f'<path class="grid" d="{path}"/>'
    yield label(890, y(known[-1][1]) + 5, significant(known[-1][1], language), soft=True)


def draw_defects(report: dict[str, Any], language: str) -> str:
    """Bars by falling number."""
    rows: Sequence[dict[str, Any]] = report["defects"][:12]
    most = max([row["count"] for row in rows if row["count"] > 0], default=1)
    body = []
    for k, row in enumerate(rows):
        top = 4 + 28 * k
        said = row["defect"] if row["station"] is None else f"{row['station']}: {row['defect']}"
        body.append(label(0, top + 16, cut(said, 48)))
        wide = 440 * max(row["count"], 0) / most
        kind = f'class="c-down" data-value="{row["count"]}"'
        body.append(f'<rect {kind} x="360" y="{top}" width="{wide:.3f}" height="21"/>')
        body.append(label(900, top + 16, str(row["count"]), anchor="end"))
        if row["cumulative"] is not None:
            body.append(label(1000, top + 16, f"{100 * row['cumulative']:.0f} %", anchor="end", soft=True))
    return frame(28 * len(rows) + 6, word("defects", language), body)
