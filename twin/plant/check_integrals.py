"""Integrals of gauges: what they need, and what is not theirs."""

from typing import Final

from twin.plant.problem import Report, hint
from twin.plant.read import Node

_GAP: Final = "for how long a reading may be missing, such as twice the period of its source"


def check_integral(measure: Node, owner: Node, report: Report) -> None:
    if measure["kind"] != "integral":
        for key in ("of", "between", "per", "gap"):
            if measure[key] is not None and measure["kind"] is not None:
                report.add(measure.at(key), f"belongs to an integral, and this is a {measure['kind']}; take it out")
        return
    for key, what in (("of", "the gauge that is summed over time"), ("between", '"hold" or "straight"'), ("gap", _GAP)):
        if measure[key] is None:
            report.add(measure.at(key), f"missing; write {what}")
    gauges = [one for one in owner["measure"] if one["kind"] == "gauge"]
    if measure["of"] is not None:
        known = [one["id"] for one in gauges]
        if measure["of"] not in known and None not in known:
            name = measure["of"]
            report.add(measure.at("of"), f'there is no gauge beside it with the id "{name}"{hint(name, tuple(known))}')
    if measure["round"] is not None:
        report.add(measure.at("round"), "belongs to what is sent, and an integral is not; take it out")
