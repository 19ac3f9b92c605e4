"""Measures and their charts: what belongs to which kind, and what contradicts itself."""

from typing import Final

from twin.decimals import scaled
from twin.plant.check_integrals import check_integral
from twin.plant.problem import Report, hint
from twin.plant.read import Node

# Keys in the unit of the measure that are held with its decimals.
SPECIFIED: Final = ("lsl", "usl", "target", "nominal")
_OF_METERS: Final = ("modulus", "most_per_hour")
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


def _measure(measure: Node, report: Report) -> None:
    kind, decimals = measure["kind"], measure["decimals"]
    for key in _OF_METERS:
        if measure[key] is not None and kind not in ("meter", None):
            report.add(measure.at(key), f"belongs to a meter, and this is a {kind}; take it out")
    for key in (*SPECIFIED, "chart", "product"):
        if key in measure.given and kind == "meter":
            report.add(measure.at(key), "is of single values, and this is a meter; take it out")
    if measure["opportunities"] is not None and (kind != "amount" or measure["quantity"] != "defect"):
        report.add(measure.at("opportunities"), 'is of defects: kind = "amount", quantity = "defect"; take it out')
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
    if kind in ("p", "np", "u") and "n" not in chart.given:
        report.add(chart.at("type"), f"a {kind} chart needs n, the units that a value is of")
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
