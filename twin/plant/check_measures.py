"""Measures and their charts: what belongs to which kind, and what contradicts itself."""

from typing import Final

from twin.decimals import scaled
from twin.plant.check_integrals import check_integral
from twin.plant.problem import Report, hint
from twin.plant.read import Node

# Keys in the unit of the measure that are held with its decimals.
SPECIFIED: Final = ("lsl", "usl", "target", "nominal")
_OF_METERS: Final = ("modulus", "most_per_hour")
_USES: Final = ("meter", "amount", "integral")
PASSED_AT_ONCE: Final = "first_pass"  # as twin.measures.catalogue, which is above the plant
GRAMS: Final = {"g": 1, "kg": 1_000, "ml": 1, "cl": 10, "l": 1_000}  # or millilitres
_SUBGROUPS: Final = ("xbar_s", "xbar_r")
_COUNTS: Final = ("p", "np", "c", "u")
# Chart key -> the types that it belongs to.
_OF_TYPES: Final = {
    "n": (*_SUBGROUPS, "p", "np", "u"),
    "rules": (*_SUBGROUPS, "i_mr", *_COUNTS),
    "baseline": (*_SUBGROUPS, "i_mr", "ewma", *_COUNTS),
    "limits": (*_SUBGROUPS, "i_mr", "ewma", *_COUNTS),
    "weight": ("ewma",),
    "width": ("ewma",),
    "k": ("cusum",),
    "h": ("cusum",),
}


def check_measures(line: Node, report: Report) -> None:
    for owner in (line, *line["station"]):
        for measure in owner["measure"]:
            _measure(measure, report)
            known = [product["id"] for product in line["product"]]
            for one in measure["product"]:
                if one["id"] is not None and one["id"] not in known and None not in known:
                    where = f'there is no product in this line with the id "{one["id"]}"{hint(one["id"], known)}'
                    report.add(one.at("id"), where)
            check_integral(measure, owner, report)
            _budget(measure, report, of_station=owner is not line)
            _distributed(measure, report)
    for station in line["station"]:
        _first_pass(station, report, cycles=(station["parts_from"] or line["parts_from"]) == "cycle")


def _measure(measure: Node, report: Report) -> None:
    kind, decimals = measure["kind"], measure["decimals"]
    for key in _OF_METERS:
        if measure[key] is not None and kind not in ("meter", None):
            report.add(measure.at(key), f"belongs to a meter, and this is a {kind}; take it out")
    for key in (*SPECIFIED, "chart"):
        for one in (measure, *measure["product"]):
            if key in one.given and kind in ("meter", PASSED_AT_ONCE):
                report.add(one.at(key), f"is of single values, and this is a {kind}; take it out")
    if measure["opportunities"] is not None and (kind != "amount" or measure["quantity"] != "defect"):
        report.add(measure.at("opportunities"), 'is of defects: kind = "amount", quantity = "defect"; take it out')
    if measure["quantity"] == PASSED_AT_ONCE and kind is not None:
        report.add(measure.at("quantity"), f'is what a measure of kind = "{PASSED_AT_ONCE}" has; name another quantity')
    if measure["quantity"] == "defect" and kind == "amount" and decimals not in (0, None):
        report.add(measure.at("decimals"), "defects are counted: take `decimals` out, or name another quantity")
    for key in _OF_METERS:
        _scaled(measure, key, decimals, report)
    for one in (measure, *measure["product"]):
        for key in SPECIFIED:
            _scaled(one, key, decimals, report)
        if one["lsl"] is not None and one["usl"] is not None and float(one["lsl"]) >= float(one["usl"]):
            report.add(one.at("usl"), "is not above lsl; correct one of them", see=one.at("lsl"))
    if measure["chart"] is not None:
        _chart(measure, measure["chart"], report)


def _budget(measure: Node, report: Report, *, of_station: bool) -> None:
    """What is used is held against the good parts of a station, and against what it was doing."""
    kind = measure["kind"]
    used = kind in _USES and measure["quantity"] != "defect"
    for one in (measure, *measure["product"]):
        for key in ("budget", "idle_for"):
            if key not in one.given or kind is None:
                continue
            if not used:
                report.add(one.at(key), f"is of what is used ({', '.join(_USES)}), and this is a {kind}; take it out")
            elif not of_station:
                report.add(one.at(key), "is of one station, and this is a measure of the line; take it out")
    budgets = any("budget" in one.given for one in (measure, *measure["product"]))
    if "budget_over" in measure.given and not budgets:
        report.add(measure.at("budget_over"), "there is no budget; add budget = ..., or take it out")
    if "idle_draw" in measure.given and "idle_for" not in measure.given:
        report.add(measure.at("idle_draw"), 'there is no `idle_for`; add idle_for = "10min", or take it out')


def _distributed(measure: Node, report: Report) -> None:
    """Histograms, and packs that hold too little."""
    kind = measure["kind"]
    if measure["histogram"] and kind not in ("gauge", "characteristic", None):
        report.add(
            measure.at("histogram"), f"is of single values (gauge, characteristic), and this is a {kind}; take it out"
        )
    if not measure["average_weight"]:
        return
    where = measure.at("average_weight")
    if kind not in ("characteristic", None):
        report.add(where, f"is of packs (a characteristic), and this is a {kind}; take it out")
    if measure["unit"] not in (*GRAMS, None):
        report.add(measure.at("unit"), f"packs are weighed or filled in {', '.join(GRAMS)}; correct the unit")
        return
    for one in (measure, *measure["product"]):
        if one["nominal"] is None:
            report.add(one.at("id"), "needs `nominal`, what a pack says that it holds")
        elif measure["unit"] and not 5 <= float(one["nominal"]) * GRAMS[measure["unit"]] <= 50_000:
            report.add(one.at("nominal"), "the rule is for packs from 5 g or ml to 50 kg or l")


def _first_pass(station: Node, report: Report, *, cycles: bool) -> None:
    """At most one, where counts say which parts are good."""
    mine = [one for one in station["measure"] if one["kind"] == PASSED_AT_ONCE]
    for one in mine[1:]:
        report.add(one.at("kind"), "there is one already at this station; take one out", see=mine[0].at("kind"))
    for one in mine:
        for key in ("decimals", "quantity", "round"):
            if key in one.given:
                report.add(one.at(key), f"units are counted: take `{key}` out")
        if cycles or any(counter["quality"] == "total" for counter in station["counter"]):
            report.add(one.at("kind"), "needs counts that say which parts are good, and here all parts are counted")


def _scaled(node: Node, key: str, decimals: int | None, report: Report) -> None:
    if node[key] is None or decimals is None:
        return
    try:
        scaled(node[key], decimals)
    except ValueError as error:
        report.add(node.at(key), f"{node[key]} {error}")


def _chart(measure: Node, chart: Node, report: Report) -> None:
    kind = chart["type"]
    if kind is None:
        return
    for key, types in _OF_TYPES.items():
        if key in chart.given and kind not in types:
            report.add(chart.at(key), f"is not of a chart of type {kind}; take it out")
    for key in ("k", "h"):
        _scaled(chart, key, measure["decimals"], report)
    if kind == "cusum":
        if any("target" not in one.given for one in (measure, *measure["product"])):
            report.add(
                chart.at("type"), "a cusum is about the target; add target = ... to the measure (and its products)"
            )
        for key in ("k", "h"):
            if key not in chart.given:
                report.add(chart.at("type"), f"a cusum needs {key}; add it in the unit of the measure")
        if chart["k"] is not None and float(chart["k"]) < 0:
            report.add(chart.at("k"), "the slack is at least 0")
    elif ("baseline" in chart.given) == ("limits" in chart.given):
        report.add(chart.at("type"), "needs its limits: write one of `baseline` and `limits`")
    if kind in _SUBGROUPS and chart["n"] == 1:
        report.add(chart.at("n"), "a subgroup has at least 2 values; of single values take i_mr")
    if kind == "np" and "n" not in chart.given:
        report.add(chart.at("type"), "an np chart needs n, the units that every value is of; of others take p")
    if chart["weight"] is not None and float(chart["weight"]) > 1:
        report.add(chart.at("weight"), "lambda is at most 1")
    if kind in _COUNTS and measure["decimals"] not in (0, None):
        report.add(chart.at("type"), "counts have no decimals; take `decimals` out of the measure")
    _limits(kind, chart, report)
    for one in chart["exclude"]:
        if one["from"] is not None and one["to"] is not None and one["to"] <= one["from"]:
            report.add(one.at("to"), "is not after `from`; correct one of them", see=one.at("from"))


def _limits(kind: str, chart: Node, report: Report) -> None:
    limits = chart["limits"]
    if limits is None:
        return
    if kind not in _COUNTS and "sigma" not in limits.given:
        report.add(limits.at("version"), "limits of values need sigma, the standard deviation of single values")
    if kind in _COUNTS and "sigma" in limits.given:
        report.add(limits.at("sigma"), "the spread of counts follows from their centre; take it out")
    if kind in _COUNTS and limits["center"] is not None and float(limits["center"]) < 0:
        report.add(limits.at("center"), "the centre of counts is at least 0")
    if kind in ("p", "np") and limits["center"] is not None and float(limits["center"]) > 1:
        report.add(limits.at("center"), "is the share of defective units, at most 1")
