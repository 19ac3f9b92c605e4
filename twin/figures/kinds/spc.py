"""Cases of statistical process control: charts, run rules, capability, yield."""

from fractions import Fraction
from typing import Any

from twin.figures.attribute_charts import CountChart, c_chart, np_chart, p_chart, u_chart
from twin.figures.capability import Capability, capability, cp_interval, cpk_interval, intervals
from twin.figures.charts import SubgroupChart, i_mr, within_sigma, xbar_r, xbar_s
from twin.figures.constants import constants
from twin.figures.exact import deviation, exact, exacts, mean, ratio, whole
from twin.figures.kinds.given import Given, Kind, need, rows, same_length
from twin.figures.run_rules import RULES, run_rules, run_rules_by_product, subgroups
from twin.figures.sequential import cusum, cusum_arl, ewma, ewma_arl, shewhart_arl
from twin.figures.yields import (
    dpmo_upper_bound,
    first_pass_yields,
    pareto,
    rolled_yield,
    rolled_yield_dpmo,
    sigma_level,
    unit_yield,
)


def _constants(given: Given) -> Any:
    found: dict[int, Any] = {}
    for n in need(given, "n"):
        of = constants(n)
        found[n] = of and {
            **{name: getattr(of, name) for name in ("d2", "d3", "c4")},
            **{name: getattr(of, name.lower()) for name in ("A", "A2", "A3", "B3", "B4", "B5", "B6", "D1", "D4", "E2")},
            "D2": of.d2_upper,
            "D3": of.d3_lower,
        }
    return found


def _phases(given: Given) -> tuple[list[list[Any]], list[list[Any]]]:
    """Subgroups of both phases: as such or as values in order with a size."""
    size = whole(given["subgroup_size"], "subgroup_size", 2) if given.get("subgroup_size") is not None else None

    def of(key: str) -> list[list[Any]]:
        values = given.get(key, [])
        if not values or isinstance(values[0], list):
            return list(values)
        n = size if size is not None else need(given, "subgroup_size")
        if len(values) % n:
            raise ValueError(f"{len(values)} values do not fill subgroups of {n}")
        return [values[i : i + n] for i in range(0, len(values), n)]

    phase1 = of("phase1") or of("subgroups") or of("values")
    phase2 = of("phase2")
    if size is not None and any(len(group) != size for group in [*phase1, *phase2]):
        raise ValueError(f"a subgroup has not the size {size} that is given")
    return phase1, phase2


def _subgroup_chart(chart: SubgroupChart, spread: str, letter: str) -> dict[str, Any]:
    return {
        "xbarbar": chart.center,
        spread: chart.spread,
        "sigma": chart.sigma,
        "x_limits": chart.mean_limits,
        f"{letter}_limits": chart.spread_limits,
        "out": chart.phase1_out,
        f"out_{letter}": chart.phase1_spread_out,
        "phase1_out_x": chart.phase1_out,
        f"phase1_out_{letter}": chart.phase1_spread_out,
        "phase2_out_x": chart.phase2_out,
        f"phase2_out_{letter}": chart.phase2_spread_out,
    }


def _xbar(given: Given, make: Any, spread: str, letter: str) -> Any:
    phase1, phase2 = _phases(given)
    chart = make(phase1, phase2)
    found = _subgroup_chart(chart, spread, letter)
    if chart.phase1_out and len(chart.phase1_out) < len(phase1):
        kept = [group for i, group in enumerate(phase1) if i not in chart.phase1_out]
        again = make(kept, phase2)
        out = [i for i, _ in enumerate(phase1) if i not in chart.phase1_out]
        found[f"after_removing_{'_'.join(map(str, chart.phase1_out))}"] = {
            **_subgroup_chart(again, spread, letter),
            "out": [out[i] for i in again.phase1_out],
        }
    return found


def _i_mr(given: Given) -> Any:
    chart = i_mr(given.get("phase1") or need(given, "values"), given.get("phase2", []))
    return {
        "center": chart.center,
        "mr_bar": chart.mr_bar,
        "sigma": chart.sigma,
        "limits": chart.limits,
        "mr_ucl": chart.mr_ucl,
        "phase1_out": chart.phase1_out,
        "out": chart.phase1_out,
        "phase1_mr_out": chart.phase1_mr_out,
        "phase2_out": chart.phase2_out,
        "phase2_mr_out": chart.phase2_mr_out,
        "sigma_if_overall_s_used": chart.overall_sigma,
    }


def _one_or_all(chart: CountChart) -> Any:
    """The one pair of limits where all points have it."""
    kinds = {limits for limits in chart.limits if limits is not None}
    return kinds.pop() if len(kinds) == 1 else chart.limits


def _sizes(n: Any, points: list[Any]) -> list[Any]:
    sizes = n if isinstance(n, list) else [n] * len(points)
    same_length(points=points, sizes=sizes)
    return sizes


def _p(given: Given) -> Any:
    first = given.get("phase1_defectives") or given.get("phase1") or need(given, "defectives")
    later = given.get("phase2_defectives") or given.get("phase2") or []
    n = need(given, "n")
    chart = p_chart(first, _sizes(n, first))
    found: dict[str, Any] = {"pbar": chart.center, "limits": _one_or_all(chart), "phase1_out": chart.out}
    found["out"] = chart.out
    excluded = given.get("excluded_by_engineer_0based", [])
    if excluded:
        chart = p_chart(first, _sizes(n, first), skip=excluded)
        found["revised_pbar"] = chart.center
        found["revised_limits"] = _one_or_all(chart)
        found["revised_phase1_out_0based_original"] = chart.out
    if later:
        sizes = given.get("phase2_n", n)
        found["phase2_out"] = p_chart(later, _sizes(sizes, later), center=chart.center).out
    return found


def _p_variable(given: Given) -> Any:
    d, n = need(given, "defectives"), need(given, "n")
    chart = p_chart(d, n)
    shares = [share for share in map(ratio, d, n) if share is not None]
    return {
        "pbar": chart.center,
        "limits": chart.limits,
        "out": chart.out,
        "mean_of_fractions_is_wrong": mean(shares),
    }


def _np(given: Given) -> Any:
    first = given.get("phase1_defectives") or given.get("phase1") or need(given, "defectives")
    later = given.get("phase2_defectives") or given.get("phase2") or []
    chart = np_chart(first, need(given, "n"))
    found = {"center": chart.center, "limits": _one_or_all(chart), "out": chart.out, "phase1_out": chart.out}
    if later:
        found["phase2_out"] = np_chart(later, need(given, "n"), center=chart.center).out
    return found


def _c(given: Given) -> Any:
    first = given.get("phase1") or need(given, "defects")
    excluded = given.get("excluded_by_engineer_0based", [])
    chart = c_chart(first)
    limits = _one_or_all(chart)
    on = [i for i, count in enumerate(exacts(first)) if chart.center is not None and count in limits]
    found = {"cbar": chart.center, "limits": limits, "out": chart.out, "phase1_out": chart.out, "on_limit_not_out": on}
    if excluded:
        chart = c_chart(first, skip=excluded)
        found |= {"revised_cbar": chart.center, "revised_limits": _one_or_all(chart)}
        found["revised_phase1_out_0based_original"] = chart.out
    if given.get("phase2"):
        found["phase2_out"] = c_chart(given["phase2"], center=chart.center).out
    return found


def _u(given: Given) -> Any:
    defects = given.get("defects") or need(given, "phase1")
    chart = u_chart(defects, _sizes(given["units"] if "units" in given else need(given, "n"), defects))
    return {"ubar": chart.center, "limits": _one_or_all(chart), "out": chart.out}


def _ewma(given: Given) -> Any:
    chart = ewma(need(given, "x"), need(given, "start"), need(given, "sigma"), need(given, "lambda"), given.get("L", 3))
    return {
        "ewma": chart.ewma,
        "sigma_i_squared": chart.variance,
        "exact_limits": chart.limits,
        "asymptotic_limits": chart.asymptotic_limits,
        "out": chart.out,
        "out_exact": chart.out,
        "out_asymptotic": chart.out_asymptotic,
    }


def _cusum(given: Given) -> Any:
    chart = cusum(
        need(given, "x"),
        need(given, "target"),
        need(given, "K"),
        need(given, "H"),
        given.get("head_start", 0),
        bool(given.get("reset_after_signal", False)),
    )
    return {
        "upper": chart.upper,
        "lower": chart.lower,
        "upper_signals": chart.upper_signals,
        "lower_signals": chart.lower_signals,
        "signals": chart.signals,
        "first_signal": chart.first_signal,
    }


def _arl(given: Given) -> Any:
    both = bool(given.get("two_sided", True))
    return {
        "cusum": [cusum_arl(k, h, shift, both) for k, h, shift in given.get("cusum", [])],
        "ewma": [ewma_arl(lam, width, shift, both) for lam, width, shift in given.get("ewma_lambda_L_shift", [])],
        "shewhart_3s": [shewhart_arl(shift, 3, both) for shift in given.get("shewhart_3s", [])],
    }


def _run_rules(given: Given) -> Any:
    values = given["z"] if "z" in given else need(given, "x")
    return run_rules(values, given.get("center", 0), given.get("sigma", 1), given.get("rules", RULES))


def _run_rules_stream(given: Given) -> Any:
    events = [(row["product"], row["z"] if "z" in row else row["x"]) for row in rows(given, "events")]
    return run_rules_by_product(events, given.get("center", 0), given.get("sigma", 1))


def _subgroup_stream(given: Given) -> Any:
    columns = need(given, "columns")
    order = [columns.index(name) for name in ("t", "product", "x")]
    events = [tuple(row[i] for i in order) for row in need(given, "events")]
    late = given.get("late") or []
    batches = late if late and isinstance(late[0], list) else [late] if late else []
    extra = [tuple(row[i] for i in order) for row in batches]
    n, end = need(given, "n"), given.get("window_end")
    found: dict[str, Any] = {}
    for name, of in (("before", events), ("after", events + extra)):
        complete, still_open = subgroups(of, n, end)
        found[f"complete_{name}_late"] = complete
        found[f"open_{name}_late"] = still_open
        found[f"ranges_{name}"] = [max(group) - min(group) for groups in complete.values() for group in groups]
    found["revision"] = int(
        found["complete_before_late"] != found["complete_after_late"]
        or found["open_before_late"] != found["open_after_late"]
    )
    return found


def _names(of: Any, letter: str) -> dict[str, Any]:
    """Fields cp, cpl, ... as Cp, Cpl, ... or Pp, Ppl, ..."""
    return {letter + name[1:]: getattr(of, name) for name in ("cp", "cpl", "cpu", "cpk", "cpm")}


def _capability(given: Given) -> Any:
    lsl, usl, target = given.get("lsl"), given.get("usl"), given.get("target")
    confidence = given.get("confidence", "0.95")
    if "subgroups" not in given:
        sigma = given["sigma"] if "sigma" in given else need(given, "s")
        one = capability(need(given, "mean"), sigma, lsl, usl, target, given.get("n"))
        found = _names(one, "C")
        if given.get("n") is not None:
            bias = 0 if target is None or not exact(sigma) else (exact(given["mean"]) - exact(target)) / exact(sigma)
            found["ci"] = _names(intervals(one, given["n"], confidence, bias), "C")
        return found
    values = exacts(value for group in given["subgroups"] for value in group)
    middle, overall = mean(values), deviation(values)
    if middle is None or overall is None:
        return {**_names(capability(0, 0, lsl, usl), "C"), **_names(capability(0, 0, lsl, usl), "P")}
    both: dict[str, Any] = {}
    bounds: dict[str, Any] = {}
    within = within_sigma(given["subgroups"], given.get("sigma_within", "rbar/d2"))
    for letter, sigma in (("C", within), ("P", overall)):
        one = capability(middle, sigma, lsl, usl, target)
        names = _names(one, letter)
        if isinstance(sigma, float):  # a root that is not rational: its ratios are no exact figures either
            names = {name: None if value is None else float(value) for name, value in names.items()}
        both |= names
        bias = 0 if target is None or not sigma else (middle - exact(target)) / exact(sigma)
        bounds |= _names(intervals(one, len(values), confidence, bias), letter)
    return {**both, "mean": middle, "sigma_within": within, "sigma_overall": overall, "ci": bounds}


def _capability_ci(given: Given) -> Any:
    n, confidence = need(given, "n"), given.get("confidence", "0.95")
    for name, interval in (("Cpk", cpk_interval), ("Ppk", cpk_interval), ("Cp", cp_interval), ("Pp", cp_interval)):
        if name in given:
            return {
                name: given[name] if given[name] is None else exact(given[name]),
                "ci": interval(given[name], n, confidence),
            }
    s = given["s"] if "s" in given else need(given, "sigma")
    one = capability(given.get("mean", 0), s, need(given, "lsl"), need(given, "usl"), n=n)
    found = {"Cp": one.cp, "ci": cp_interval(one.cp, n, confidence)}
    if "mean" in given:
        found |= {"Cpk": one.cpk, "ci_Cpk": cpk_interval(one.cpk, n, confidence)}
    return found


def _capability_edge(given: Given) -> Any:
    found = []
    for case in need(given, "cases"):
        sigma = case["s"] if "s" in case else need(case, "sigma")
        one: Capability = capability(
            need(case, "mean"), sigma, case.get("lsl"), case.get("usl"), case.get("target"), case.get("n")
        )
        found.append(_names(one, "C"))
    return found


def _yield(given: Given) -> Any:
    found: dict[str, Any] = {}
    if "dpmo" in given:
        found["rty"], found["rty_poisson"] = rolled_yield_dpmo(given["dpmo"])
    if "units" in given:
        one = unit_yield(
            given["units"],
            given.get("defects", 0),
            given.get("opportunities_per_unit"),
            given.get("defective_units"),
            given.get("scrap"),
        )
        found |= {name: getattr(one, name) for name in one.__slots__}
    if "steps" in given:
        passes = [ratio(need(step, "first_pass_good"), need(step, "in")) for step in given["steps"]]
        found["fpy_by_step"] = passes
        found.setdefault("rty", rolled_yield(passes))
        if found.get("fpy") is None and len(passes) == 1:
            found["fpy"] = passes[0]
    if "events" in given:
        visits = [
            (
                str(row["serial"]),
                str(row["step"] if "step" in row else row["station"]),
                row["result"] in ("pass", "ok", True),
            )
            for row in rows(given, "events")
        ]
        passed = first_pass_yields(visits)
        found |= {"fpy_by_step": passed, "rty": rolled_yield(passed.values())}
    if not found:
        raise ValueError("a yield needs dpmo, units, steps or events")
    return found


def _sigma_level(given: Given) -> Any:
    dpmo = need(given, "dpmo")
    found: dict[str, Any] = {
        "sigma_with_shift": [sigma_level(one) for one in dpmo],
        "sigma_without_shift": [sigma_level(one, 0) for one in dpmo],
    }
    if "opportunities" in given:
        chances = given["opportunities"]
        many = _sizes(chances, dpmo)
        found["dpmo_upper_bound"] = [
            None if exact(one) else dpmo_upper_bound(n) for one, n in zip(dpmo, many, strict=True)
        ]
    return found


def _pareto(given: Given) -> Any:
    order, cumulative = pareto(need(given, "counts"))
    return {"order": order, "cumulative": cumulative}


def _numeric_accuracy(given: Given) -> Any:
    if "values" in given:
        values = exacts(given["values"])
    else:
        turn: list[Fraction] = exacts(need(given, "then_alternating"))
        if not turn:
            raise ValueError("then_alternating is empty")
        values = [exact(need(given, "first"))] + [turn[i % len(turn)] for i in range(need(given, "n") - 1)]
    return {"mean": mean(values), "sd": deviation(values), "n": len(values)}


KINDS: dict[str, Kind] = {
    "constants": _constants,
    "xbar_r": lambda given: _xbar(given, xbar_r, "rbar", "r"),
    "xbar_s": lambda given: _xbar(given, xbar_s, "sbar", "s"),
    "i_mr": _i_mr,
    "p": _p,
    "np": _np,
    "p_variable_n": _p_variable,
    "c": _c,
    "u": _u,
    "ewma": _ewma,
    "cusum_tabular": _cusum,
    "arl": _arl,
    "run_rules": _run_rules,
    "run_rules_stream": _run_rules_stream,
    "subgroup_stream": _subgroup_stream,
    "capability": _capability,
    "capability_ci": _capability_ci,
    "capability_edge": _capability_edge,
    "yield": _yield,
    "sigma_level": _sigma_level,
    "pareto": _pareto,
    "numeric_accuracy": _numeric_accuracy,
}
