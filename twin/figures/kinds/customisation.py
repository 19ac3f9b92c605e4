"""Cases of mixed models and changeovers."""

import math
from typing import Any

from twin.figures.exact import exact, mean
from twin.figures.kinds.given import Given, Kind, need, rows
from twin.figures.levelling import (
    changeover_matrix,
    find_changeovers,
    goal_chasing,
    mix_rate,
    setup_sequence,
    variety,
)


def _changeover_matrix(given: Given) -> Any:
    events = [(row["from"], row["to"], row["seconds"]) for row in rows(given, "events")]
    return {f"{before}>{after}": one for (before, after), one in changeover_matrix(events).items()}


def _changeover_stream(given: Given) -> Any:
    pieces = [(row["t"], row["product"], row["result"] in ("good", "ok", "pass")) for row in rows(given, "events")]
    return find_changeovers(pieces)


def _setup_sequence(given: Given) -> Any:
    return setup_sequence(need(given, "matrix"))


def _goal_chasing(given: Given) -> Any:
    quantity, use = need(given, "quantity"), need(given, "use")
    one = goal_chasing(quantity, use)
    names = given.get("products") or [chr(ord("A") + i) for i in range(len(quantity))]
    sequence = [names[i] for i in one.sequence]
    return {
        "part_totals": [
            sum(exact(n) * exact(row[j]) for n, row in zip(quantity, use, strict=True)) for j in range(len(use[0]))
        ],
        "sequence": "".join(sequence) if all(len(name) == 1 for name in names) else sequence,
        "distance_squared": one.distance_squared,
        "first_step_distance": [math.sqrt(square) for square in one.first_step],
        "total_deviation": one.total,
        "optimal_total_deviation": one.optimal_total,
    }


def _mix(given: Given) -> Any:
    return variety(need(given, "pieces"))


def _mix_rate(given: Given) -> Any:
    pieces, times = need(given, "pieces"), need(given, "ideal_ct_s")
    rates = [3600 / exact(times[name]) for name in pieces]
    return {"ideal_rate_per_h": mix_rate(pieces, times), "arithmetic_mean_is_wrong": mean(rates)}


KINDS: dict[str, Kind] = {
    "changeover_matrix": _changeover_matrix,
    "changeover_stream": _changeover_stream,
    "setup_sequence": _setup_sequence,
    "goal_chasing": _goal_chasing,
    "mix": _mix,
    "mix_rate": _mix_rate,
}
