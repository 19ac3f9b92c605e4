"""Cases of acceptance sampling."""

from typing import Any, cast

from twin.figures.inspection import Numbers, Severity, accept_probability, judge_lots, plan, switch
from twin.figures.kinds.given import Given, Kind, need, rows


def _aql_lookup(given: Given) -> Any:
    found: dict[str, list[Any]] = {"normal": [], "tightened": [], "reduced": []}
    for row in rows(given, "lots"):
        for severity, plans in found.items():
            one = plan(row["lot"], row["level"], row["aql"], cast(Severity, severity))
            if one is None:
                plans.append({"letter": None, "n": None, "Ac": None, "Re": None})
                continue
            numbers = {"letter": one.letter, "n": one.n, "Ac": one.ac, "Re": one.re}
            plans.append({**numbers, "inspect_all": one.inspect_all})
    return found


def _oc_curve(given: Given) -> Any:
    return [
        [float(accept_probability(need(one, "n"), need(one, "Ac"), p)) for p in need(one, "p")]
        for one in need(given, "plans")
    ]


def _switching(given: Given) -> Any:
    policy = need(given, "policy")
    plans = {name: Numbers(need(one, "Ac"), need(one, "Re")) for name, one in need(given, "plans").items()}
    tighter = given.get("one_step_tighter_Ac", plans["tightened"].ac if "tightened" in plans else 0)
    judged = switch(policy, plans, tighter, need(given, "nonconforming"))
    if policy == "iso2859-1:1999":
        return {
            "columns": ["severity", "accepted", "score_after", "severity_next"],
            "rows": [[one.severity, one.accepted, one.score_after, one.severity_next] for one in judged],
        }
    return {
        "columns": ["severity", "accepted", "severity_next"],
        "rows": [[one.severity, one.accepted, one.severity_next] for one in judged],
    }


def _lot_stream(given: Given) -> Any:
    events = [(row["t"], row["lot"], row["result"] in ("ok", "pass", "good")) for row in rows(given, "events")]
    lots = judge_lots(events, need(given, "n"), need(given, "Ac"), given.get("lot_close"), given.get("window_end"))
    found: dict[str, dict[str, Any]] = {}
    for name, lot in lots.items():
        found[name] = {"inspected": lot.inspected, "nok": lot.nonconforming, "decision": lot.decision}
        if lot.decision == "reject_early":
            found[name]["note"] = "d already above Ac: curtailed"
    return found


KINDS: dict[str, Kind] = {
    "aql_lookup": _aql_lookup,
    "oc_curve": _oc_curve,
    "switching": _switching,
    "lot_stream": _lot_stream,
}
