"""Cases of reliability and maintenance."""

import math
from fractions import Fraction
from typing import Any

from twin.figures import tables
from twin.figures.exact import deviation, exact, exacts, mean, percentile_linear, ratio
from twin.figures.kinds.given import Given, Kind, need
from twin.figures.maintenance import (
    change_point,
    coverage,
    crow_amsaa,
    life_score,
    mtbf,
    mtbf_bounds,
    page_hinkley,
    pf_chances,
    pf_miss,
    pinball,
)
from twin.figures.sequential import cusum
from twin.figures.weibull import Weibull, fit


def _mtbf(given: Given) -> Any:
    if "T_h" in given:
        confidence = given.get("confidence", "0.9")
        ended = given.get("termination", "time") == "failure"
        bounds = [mtbf_bounds(t, r, confidence, ended) for t, r in zip(given["T_h"], need(given, "r"), strict=True)]
        return {
            "two_sided": [two for two, _ in bounds],
            f"lower_one_sided_{float(exact(confidence) * 100):g}": [one for _, one in bounds],
        }
    one = mtbf([(t, state) for t, state in need(given, "states_h")])
    return {
        "failures": one.failures,
        "up_h": one.up,
        "down_h": one.down,
        "mtbf_classic": one.mtbf,
        "mtbf_iso_fe_plus_1": one.mtbf_iso,
        "mttr": one.mttr,
        "availability_inherent": one.availability,
        "mean_time_between_starts_of_failures": one.between_starts_of_failures,
        "open_repair_h": one.open_repair,
    }


def _weibull(failures: Any, censored: Any) -> Any:
    one = fit(failures, censored)
    return one and {
        "beta": one.beta,
        "eta": one.eta,
        "loglik": one.loglik,
        "mttf": one.mttf,
        "b10": one.life("1/10"),
    }


def _weibull_mle(given: Given) -> Any:
    if "cases" in given:
        fits = [_weibull(need(case, "failures"), case.get("right_censored", [])) for case in given["cases"]]
        return {"fit": fits}
    found = _weibull(need(given, "failures"), given.get("right_censored", []))
    return found or dict.fromkeys(("beta", "eta", "loglik", "mttf", "b10"))


def _hazard(given: Given) -> Any:
    life = Weibull(float(need(given, "beta")), float(need(given, "eta")))
    ages = need(given, "t")
    return {
        "hazard": [life.hazard(t) for t in ages],
        "R": [life.reliability(t) for t in ages],
        "R_cond": [life.conditional(t, given["mission"]) for t in ages] if "mission" in given else None,
        "rul_median": [life.remaining(t) for t in ages],
        "rul_p10": [life.remaining(t, "1/10") for t in ages],
    }


def _crow(given: Given) -> Any:
    failed = need(given, "failures")
    one = crow_amsaa(failed, given.get("T", max(failed, default=1)), given.get("termination", "time") == "failure")
    names = {"lambda": "lam", "intensity_at_T": "intensity"}
    names |= {name: name for name in ("beta", "beta_unbiased", "mtbf_instantaneous", "mtbf_cumulative", "laplace_u")}
    return {name: None if one is None else getattr(one, field) for name, field in names.items()}


def _pf(given: Given) -> Any:
    interval, response = need(given, "pf_interval_h"), given.get("response_h", 0)
    chances = [pf_chances(interval, every, response) for every in need(given, "inspection_h")]
    return {
        "usable_h": exact(interval) - exact(response),
        "chances": chances,
        "miss_probability": [pf_miss(n, need(given, "detect_probability")) for n in chances],
    }


def _rul_score(given: Given) -> Any:
    if "files" in given:
        return _cmapss(given)
    return life_score(need(given, "estimated"), need(given, "true"))


def _baseline(estimated: list[Any], true: list[int]) -> Any:
    one = life_score(estimated, true)
    return {"rmse": one.rmse, "score": one.score, "mae": one.mae}


def _cmapss(given: Given) -> Any:
    """Three estimates that any model must beat. A test engine is censored at its last cycle."""

    def last_cycle(name: str) -> tuple[list[int], int]:
        cycles: dict[str, int] = {}
        lines = tables.numbers(name)
        for line in lines:
            cycles[line[0]] = max(cycles.get(line[0], 0), int(line[1]))
        return list(cycles.values()), len(lines)

    train, test, left = given["files"]
    (lives, _), (ages, rows) = last_cycle(train), last_cycle(test)
    true = [int(line[0]) for line in tables.numbers(left)]
    average = mean(exacts(lives))
    assert average is not None
    beyond = [[life - age for life in lives if life > age] for age in ages]
    average_true = mean(exacts(true))
    return {
        "train_life": {
            "n": len(lives),
            "mean": average,
            "min": min(lives),
            "max": max(lives),
            "median": percentile_linear(lives, "1/2"),
        },
        "test_rows": rows,
        "true_rul": {"sum": sum(true), "min": min(true), "max": max(true)},
        "weibull_life": _weibull(lives, []),
        "baseline_mean_life_minus_age": _baseline([max(average - age, Fraction()) for age in ages], true),
        "baseline_median_residual_life": _baseline([percentile_linear(one or [0], "1/2") for one in beyond], true),
        "baseline_constant_mean_of_test_rul": _baseline([average_true] * len(true), true),
    }


def _rul_backtest(given: Given) -> Any:
    true, median = need(given, "true"), need(given, "q50")
    mae, base = life_score(median, true).mae, life_score(need(given, "persistence"), true).mae
    share = None if mae is None or base is None else ratio(mae, base)
    found = {
        "pinball_q50": pinball(true, median, "1/2"),
        "mae_q50": mae,
        "mae_persistence": base,
        "skill": None if share is None else 1 - share,
    }
    if "q10" in given and "q90" in given:
        found["coverage_80"] = coverage(true, given["q10"], given["q90"])
        found["pinball_q10"] = pinball(true, given["q10"], "1/10")
        found["pinball_q90"] = pinball(true, given["q90"], "9/10")
    return found


def _page_hinkley(given: Given) -> Any:
    limits = given["thresholds"] if "thresholds" in given else [need(given, "threshold")]
    mode, least = given.get("mode", "both"), given.get("min_instances", 30)
    found = [page_hinkley(need(given, "series"), need(given, "delta"), limit, least, mode) for limit in limits]
    sides = {one.side for one in found if one.first_signal is not None}
    return {
        "first_signal_0based": [one.first_signal for one in found],
        "change_point_0based": change_point(given["series"]) if sides else None,
        "behind_extreme_0based": [one.behind_extreme for one in found],
        "side": sides.pop() if len(sides) == 1 else [one.side for one in found],
    }


def _drift_cusum(given: Given) -> Any:
    series, n = exacts(need(given, "series")), need(given, "phase1")
    target, sigma = mean(series[:n]), deviation(series[:n])
    if target is None or not sigma:
        raise ValueError(f"phase I of {n} values has no deviation: no CUSUM")
    k, h = exact(need(given, "k_sigma")) * exact(sigma), exact(need(given, "h_sigma")) * exact(sigma)
    chart = cusum(series[n:], target, k, h)
    first = chart.first_signal
    return {
        "target": target,
        "sigma": sigma,
        "first_signal_phase2_0based": first,
        "first_signal_overall_0based": None if first is None else first + n,
        "lower_sum_at_signal": None if first is None else float(chart.lower[first]),
        "upper_sum_at_signal": None if first is None else float(chart.upper[first]),
    }


def _rule_model(given: Given) -> Any:
    """The rules of AI4I 2020, in binary floats as published and in exact tenths: 12 rows differ by rounding."""
    lines = tables.table(need(given, "file"))
    wear_limits = {"L": 11_000, "M": 12_000, "H": 13_000}
    modes = ("HDF", "PWF", "OSF")
    hits = {way: dict.fromkeys(modes, 0) for way in ("binary_float", "exact_decimal")}
    misses = {way: dict.fromkeys(modes, 0) for way in ("binary_float", "exact_decimal")}
    at_most = 0
    for line in lines:
        process, air = line["Process temperature [K]"], line["Air temperature [K]"]
        slow = exact(line["Rotational speed [rpm]"]) < 1380
        power = float(line["Torque [Nm]"]) * float(line["Rotational speed [rpm]"]) * 2 * math.pi / 60
        worn = exact(line["Tool wear [min]"]) * exact(line["Torque [Nm]"]) > wear_limits[line["Type"]]
        warmer = exact(process) - exact(air)
        at_most += slow and warmer <= exact("8.6")
        cool = {"binary_float": float(process) - float(air) < 8.6, "exact_decimal": warmer < exact("8.6")}
        for way, is_cool in cool.items():
            said = {"HDF": slow and is_cool, "PWF": power < 3500 or power > 9000, "OSF": worn}
            for mode, says in said.items():
                hits[way][mode] += says
                misses[way][mode] += says != (line[mode] == "1")
    names = {"Machine_failure": "machine_failure"}
    flags = ("TWF", *modes, "RNF", "Machine_failure")
    return {
        **{f"rule_hits_{way}": found for way, found in hits.items()},
        **{f"flag_mismatches_{way}": found for way, found in misses.items()},
        "HDF_hits_exact_decimal_with_le": at_most,
        "flags": {names.get(flag, flag): sum(line[flag] == "1" for line in lines) for flag in flags},
    }


KINDS: dict[str, Kind] = {
    "mtbf": _mtbf,
    "weibull_mle": _weibull_mle,
    "hazard": _hazard,
    "crow_amsaa": _crow,
    "pf_interval": _pf,
    "rul_score": _rul_score,
    "rul_backtest": _rul_backtest,
    "drift_page_hinkley": _page_hinkley,
    "drift_cusum": _drift_cusum,
    "rule_model": _rule_model,
}
