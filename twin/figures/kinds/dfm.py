"""Cases of defects by feature and of design for assembly."""

from typing import Any

from twin.figures import tables
from twin.figures.defects import chi_square, dfa_index, dfa_worksheet, features, mantel_haenszel, odds_ratio
from twin.figures.exact import exacts, mean
from twin.figures.kinds.given import Given, Kind, need, rows, same_length
from twin.figures.yields import pareto


def _chi_square(given: Given) -> Any:
    bad, n = need(given, "nonconforming"), need(given, "n")
    sizes = n if isinstance(n, list) else [n] * len(bad)
    same_length(nonconforming=bad, n=sizes)
    for i, (one, size) in enumerate(zip(bad, sizes, strict=True)):
        if one > size:
            raise ValueError(f"lot {i} has {one} nonconforming of {size}")
    test = chi_square(
        [bad, [size - one for one, size in zip(bad, sizes, strict=True)]], given.get("confidence", "0.95")
    )
    if test is None:
        return {"chi2": None, "dof": None, "p": None, "critical_95": None, "expected_nc": None}
    expected = test.expected[0]
    return {
        "chi2": test.chi2,
        "dof": test.dof,
        "p": test.p,
        "critical_95": test.critical,
        "expected_nc": expected[0] if len(set(expected)) == 1 else expected,
        "least_expected": test.least_expected,
    }


def _dfa_index(given: Given) -> Any:
    basic = given.get("basic_time_s", 3)
    if "rows" not in given:
        return {"dfa_index": dfa_index(need(given, "n_min"), need(given, "total_time_s"), basic)}
    items = [
        (row["item"], row["count"], row["handling_s"], row["insertion_s"], row["essential_per_item_type"])
        for row in rows(given, "rows")
    ]
    one = dfa_worksheet(items, basic)
    return {
        "parts": one.parts,
        "part_types": one.part_types,
        "total_time_s": one.total_time_s,
        "n_min": one.least_parts,
        "dfa_index": one.dfa_index,
        "candidates_for_removal": one.candidates_for_removal,
        "time_share_of_candidates": one.time_share_of_candidates,
    }


def _pair(cells: Any) -> tuple[Any, Any]:
    """(defect, ok) of a pair or of a dictionary."""
    return (need(cells, "defect"), need(cells, "ok")) if isinstance(cells, dict) else (cells[0], cells[1])


def _odds_ratio(given: Given) -> Any:
    one = odds_ratio(_pair(need(given, "with")), _pair(need(given, "without")), given.get("confidence", "0.95"))
    return {
        "odds_ratio": one.odds_ratio,
        "log_or_se": one.log_se,
        "ci95": one.interval,
        "haldane_anscombe": one.haldane_anscombe,
        "risk_ratio": one.risk_ratio,
        "risk_difference": one.risk_difference,
        "chi2": one.chi2,
        "p_chi2": one.p_chi2,
        "p_fisher": one.p_fisher,
    }


def _stratified(given: Given) -> Any:
    strata = [(_pair(need(one, "with")), _pair(need(one, "without"))) for one in need(given, "strata")]
    exposed, other = ([sum(one[side][i] for one in strata) for i in (0, 1)] for side in (0, 1))
    return {
        "crude_odds_ratio": odds_ratio(_pair(exposed), _pair(other)).odds_ratio,
        "stratum_odds_ratio": [odds_ratio(*one).odds_ratio for one in strata],
        "mantel_haenszel": mantel_haenszel(strata),
    }


def _feature_table(given: Given) -> Any:
    found = features([(row["features"], row["made"], row["defects"]) for row in rows(given, "pieces")])
    return {
        "by_feature": {
            name: {"made": one.made, "defects": one.defects, "rate": one.rate} for name, one in found.items()
        },
        "rest_rate": {name: one.rest_rate for name, one in found.items()},
        "lift": {name: one.lift for name, one in found.items()},
        "tests": len(found),
    }


_CLASSES = (
    "Pastry_Fault",
    "Z_Scratch_Fault",
    "K_Scatch_Fault",
    "Stains_Fault",
    "Dirtiness_Fault",
    "Bumps_Fault",
    "Other_Faults",
)


def _real_defects(given: Given) -> Any:
    """Every row is a defect: shares are among defects, not defect rates."""
    lines = tables.table(need(given, "file"))
    feature = str(given.get("feature", "TypeOfSteel_A300 = 1")).split("=")[0].strip()
    counts = {name: [0, 0] for name in _CLASSES}
    for line in lines:
        for name in _CLASSES:
            if float(line[name]):
                counts[name][0 if float(line[feature]) else 1] += 1
    if "classes" in given:
        both = [sum(of[i] for of in counts.values()) for i in (0, 1)]
        found: dict[str, Any] = {}
        for name in given["classes"]:
            a, c = need(counts, name)
            one = odds_ratio((a, both[0] - a), (c, both[1] - c))
            table = [a, both[0] - a, c, both[1] - c]
            found[name] = {"table": table, "odds_ratio": one.odds_ratio, "ci95": one.interval}
        return found
    order, cumulative = pareto({name: sum(of) for name, of in counts.items()})
    test = chi_square(list(counts.values()))
    assert test is not None
    return {
        "rows": len(lines),
        "count": {name: sum(of) for name, of in counts.items()},
        "order": order,
        "cumulative": cumulative,
        "by_steel_A300_A400": counts,
        "chi2_class_by_steel": test.chi2,
        "dof": test.dof,
        "log10_p": test.log10_p,
        "log10_p_below": -100 * int(-test.log10_p // 100),
        "mean_of_class": mean(exacts(sum(of) for of in counts.values())),
    }


KINDS: dict[str, Kind] = {
    "chi_square": _chi_square,
    "dfa_index": _dfa_index,
    "odds_ratio": _odds_ratio,
    "stratified": _stratified,
    "feature_table": _feature_table,
    "real_defects": _real_defects,
}
