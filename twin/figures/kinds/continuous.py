"""Cases of continuous processes, average weight and process monitoring."""

import re
from typing import Any

import numpy as np

from twin.figures import tables
from twin.figures.average_weight import counts_test, double_sampling, mean_factor, reference_test, tne
from twin.figures.continuous import giveaway, mass_balance, rate_performance, reconcile, run_lengths, totalise
from twin.figures.exact import exact
from twin.figures.kinds.given import Given, Kind, need, rows
from twin.figures.monitoring import beyond, cusum_signals, first_run, hotelling, z_scores
from twin.figures.usage import hold


def _reconciliation(given: Given) -> Any:
    one = reconcile(
        need(given, "measured"), need(given, "sd"), need(given, "balances"), given.get("confidence", "0.95")
    )
    return {
        "reconciled": one.reconciled,
        "sd_after": one.sd_after,
        "residuals": one.residuals,
        "global_test": one.global_test,
        "dof": one.dof,
        "chi2_95": one.chi2_critical,
        "gross_error": one.gross_error,
        "node_test_z": one.node_test_z,
    }


def _mass_balance(given: Given) -> Any:
    names = ("in", "product", "waste", "inventory_start", "inventory_end")
    sd = given.get("sd")
    one = mass_balance(
        need(given, "in"),
        need(given, "product"),
        given.get("waste", 0),
        given.get("inventory_start", 0),
        given.get("inventory_end", 0),
        None if sd is None else [sd.get(name, 0) for name in names],
    )
    found = {name: getattr(one, name) for name in one.__slots__}
    return {**found, "residual_share_of_in": one.unexplained_ratio}


def _totaliser(given: Given) -> Any:
    factors: dict[str, Any] = {"kg": 1, "g": "1/1000", "t": 1000}
    factors |= {key.removesuffix("_in_kg"): value for key, value in given.items() if key.endswith("_in_kg")}
    readings = [(str(row.get("epoch", "")), row.get("unit", "kg"), row["value"]) for row in rows(given, "events")]
    one = totalise(readings, factors, given.get("modulus"))
    return {"increments_kg": one.increments, "total_kg_known": one.known, "suspect": one.suspect}


def _rate_performance(given: Given) -> Any:
    segments = [(row["product"], row["seconds"], row["state"], row["kg_per_s"]) for row in rows(given, "segments")]
    one = rate_performance(segments, need(given, "rated"))
    return {
        "made_kg": one.made,
        "run_s": one.run_s,
        "performance": one.performance,
        "performance_all": one.performance_all,
        "availability": one.availability,
    }


def _run_length(given: Given) -> Any:
    one = run_lengths([(t, state) for t, state in need(given, "states")], given.get("min_stop_s", 0))
    return {
        "runs_s": one.runs_s,
        "open_run_s": one.open_run_s,
        "censored": one.censored,
        "mean_run_completed_s": one.mean_completed_s,
        "stops_counted": one.stops_counted,
        "stops_ignored": one.stops_ignored,
    }


def _tne(given: Given) -> Any:
    nominal = [exact(one) for one in need(given, "nominal_g")]
    errors = [tne(one) for one in nominal]
    pairs = list(zip(nominal, errors, strict=True))
    return {
        "tne": errors,
        "T1": [None if error is None else one - error for one, error in pairs],
        "T2": [None if error is None else one - 2 * error for one, error in pairs],
    }


def _reference(given: Given) -> Any:
    if "weights_g" in given:
        weights = given["weights_g"]
        if given.get("n", len(weights)) != len(weights):
            raise ValueError(f"{len(weights)} weights for a sample of {given['n']}")
        one = reference_test(weights, need(given, "nominal_g"), given.get("Ac"), given.get("k"))
        return {
            "mean": one.mean,
            "s": one.s,
            "below_T1": one.below_t1,
            "below_T2": one.below_t2,
            "mean_limit": one.mean_limit,
            "mean_ok": one.mean_ok,
            "count_ok": one.count_ok,
            "t2_ok": one.t2_ok,
            "accepted": one.accepted,
            "giveaway_g_per_pack": one.giveaway_per_pack,
            "giveaway_share": one.giveaway_share,
        }
    if "rows" in given:
        return {
            "pass": [
                counts_test(
                    row["lot"], row["n"], row["mean"], row["nominal"], row["inadequate_T1"], row["inadequate_T2"]
                )
                for row in rows(given, "rows")
            ]
        }
    return {"k": [mean_factor(n) for n in need(given, "n")]}


def _double_sampling(given: Given) -> Any:
    plans, order = need(given, "plans"), need(given, "columns")
    at = [order.index(name) for name in ("aggregate_n", "accept", "reject")]
    found = []
    for row in rows(given, "rows", "row_columns"):
        plan = [[step[i] for i in at] for step in need(plans, row["batch"])]
        found.append(double_sampling(plan, [value for name, value in row.items() if re.fullmatch(r"d\d+", name)]))
    return {"verdict": found}


def _giveaway(given: Given) -> Any:
    packs = [(row["product"], row["gross_g"], row["tare_g"]) for row in rows(given, "events")]
    found = giveaway(packs, need(given, "nominal"))
    return {
        "net_g": {product: one.net for product, one in found.items()},
        "giveaway_total_g": {product: one.total for product, one in found.items()},
        "giveaway_share": {product: one.share for product, one in found.items()},
        "missing": {product: one.missing for product, one in found.items() if one.missing},
        "below_nominal": {product: one.below_nominal for product, one in found.items()},
    }


def _flow_integral(given: Given) -> Any:
    unit = str(given.get("unit", "kg/s"))
    per_s = {"kg/s": "1", "kg/min": "1/60", "kg/h": "1/3600", "t/h": "5/18"}
    if unit not in per_s:
        raise ValueError(f"a flow in {unit!r}: expected {', '.join(per_s)}")
    one = hold(need(given, "samples"), need(given, "gap_limit_s"), need(given, "window"))
    return {
        "mass_kg_known": one.amount * exact(per_s[unit]),
        "known_s": one.known_s,
        "gap_s": one.gap_s,
        "coverage": one.coverage,
    }


def _matrix(name: str) -> Any:
    values = np.array(tables.numbers(name), np.float64)
    return values.T if values.shape[0] < values.shape[1] else values


FAULT = 160  # samples before the fault in every test file of the Tennessee Eastman set


def _process_monitoring(given: Given) -> Any:
    train, test = _matrix(need(given, "train")), _matrix(need(given, "test"))
    fault = int(given.get("fault_after", FAULT))
    shewhart: dict[str, Any] = {}
    cusum: dict[str, Any] = {}
    rule = given.get("cusum", {})
    for column in need(given, "columns_0based"):
        z = z_scores(train[:, column], test[:, column])
        hits = beyond(z, float(given.get("z_limit", 3)))
        shewhart[str(column)] = {
            f"hits_before_{fault}": sum(i < fault for i in hits),
            "first_hit": next((i for i in hits if i >= fault), None),
            "hits_after": sum(i >= fault for i in hits),
            "mean_before": float(np.mean(test[:fault, column])),
            "mean_after": float(np.mean(test[fault:, column])),
        }
        reset = bool(rule.get("reset_after_signal", True))
        signals = cusum_signals(z, float(rule.get("k", 0.5)), float(rule.get("h", 5)), reset)
        cusum[str(column)] = {
            "false_alarms": sum(i < fault for i in signals),
            "first": next((i for i in signals if i >= fault), None),
        }
    t2 = hotelling(train, test)
    hits = t2.hits()
    return {
        "shewhart": shewhart,
        "cusum": cusum,
        "T2_limit": t2.limit,
        f"T2_hits_before_{fault}": sum(i < fault for i in hits),
        f"T2_first_three_in_a_row_after_{fault}": first_run(hits, 3, fault),
        "T2_hits_after": sum(i >= fault for i in hits),
    }


KINDS: dict[str, Kind] = {
    "reconciliation": _reconciliation,
    "mass_balance": _mass_balance,
    "totaliser": _totaliser,
    "rate_performance": _rate_performance,
    "run_length": _run_length,
    "average_weight_tne": _tne,
    "average_weight_reference_test": _reference,
    "average_weight_double_sampling": _double_sampling,
    "giveaway": _giveaway,
    "flow_integral": _flow_integral,
    "process_monitoring": _process_monitoring,
}
