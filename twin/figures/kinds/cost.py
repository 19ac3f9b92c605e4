"""Cases of cost."""

import itertools
from typing import Any

from twin.figures.cost import (
    break_even,
    cheapest,
    fit_learning,
    indifference,
    learning,
    learning_exponent,
    loss_of_stop,
    process,
    quality_cost,
    scale_exponent,
    scaled_cost,
    unit_cost,
    whole_pieces,
)
from twin.figures.exact import exact
from twin.figures.kinds.given import Given, Kind, need


def _unit_cost(given: Given) -> Any:
    def of(*keys: str) -> Any:
        """The product of what is given; 0 where any of it is not."""
        product = exact(1)
        for key in keys:
            product *= exact(given.get(key, 0))
        return product

    operators = "operators" if "operators" in given else None
    labour = of("labour_per_h", "labour_hours", *([operators] if operators else []))
    costs = [
        of("fixed_per_h", "hours"),
        labour,
        of("material_per_started", "started"),
        of("energy_kwh", "energy_price"),
        -of("scrap_value", "scrap"),
    ]
    total, each = unit_cost(costs, need(given, "good"))
    return {"total": total, "unit_cost": each}


def _break_even(given: Given) -> Any:
    options = {name: process(need(one, "fixed"), need(one, "variable")) for name, one in need(given, "options").items()}
    points = {name: break_even(one, need(given, "price")) for name, one in options.items()}
    return {
        "break_even": points,
        "break_even_pieces": {name: whole_pieces(point) for name, point in points.items()},
        "indifference": {
            f"{one}-{other}": indifference(options[one], options[other])
            for one, other in itertools.combinations(options, 2)
        },
        "cheapest": cheapest(options),
        "unit_cost_at": {
            str(n): [one.unit_cost(n) for one in options.values()] for n in given.get("quantities", [1000, 100_000])
        },
    }


def _scale(given: Given) -> Any:
    c1, q1 = need(given, "c1"), need(given, "q1")
    if "exponent" not in given and "c2" in given:
        return {"exponent": scale_exponent(c1, q1, given["c2"], need(given, "q2"))}
    exponent = given.get("exponent", "0.6")
    sizes = need(given, "q2")
    many = sizes if isinstance(sizes, list) else [sizes]
    costs = [scaled_cost(c1, q1, size, exponent) for size in many]
    ratios = [scaled_cost(1, q1, size, exact(exponent) - 1) for size in many]
    return {
        "c2": costs if isinstance(sizes, list) else costs[0],
        "unit_cost_ratio": ratios if isinstance(sizes, list) else ratios[0],
        "doubling_cost": scaled_cost(1, 1, 2, exponent),
    }


def _learning_table(given: Given) -> Any:
    found = learning(need(given, "rate"), need(given, "n"))
    return {
        "b": learning_exponent(given["rate"]),
        "crawford_unit": [one.crawford_unit for one in found],
        "crawford_cumulative_total": [one.crawford_total for one in found],
        "wright_cumulative_average": [one.wright_average for one in found],
        "wright_cumulative_total": [one.wright_total for one in found],
        "wright_unit": [one.wright_unit for one in found],
    }


def _learning_fit(given: Given) -> Any:
    x = given["unit"] if "unit" in given else need(given, "q")
    y = given["hours"] if "hours" in given else need(given, "c")
    one = fit_learning(x, y)
    if one is None:
        return dict.fromkeys(("b", "first_unit", "rate", "se_b", "r2"))
    return one


def _cost_of_quality(given: Given) -> Any:
    one = quality_cost(
        need(given, "prevention"),
        need(given, "appraisal"),
        need(given, "internal"),
        need(given, "external"),
        given.get("sales", 0),
        given.get("good_units", 0),
    )
    return {
        "coq": one.total,
        "share_of_sales": one.share_of_sales,
        "per_good_unit": one.per_good_unit,
        "failure_share": one.failure_share,
    }


def _loss_money(given: Given) -> Any:
    """Only the station named `bottleneck` loses all that the line loses, unless its share is given."""
    return {
        "loss": [
            loss_of_stop(
                need(one, "h"),
                one.get("direct_per_h", 0),
                need(given, "contribution_per_piece"),
                need(given, "bottleneck_rate_per_h"),
                one.get("critical_share", int(one.get("station") == "bottleneck")),
            )
            for one in need(given, "losses")
        ]
    }


KINDS: dict[str, Kind] = {
    "unit_cost": _unit_cost,
    "break_even": _break_even,
    "scale": _scale,
    "learning_table": _learning_table,
    "learning_fit": _learning_fit,
    "cost_of_quality": _cost_of_quality,
    "loss_money": _loss_money,
}
