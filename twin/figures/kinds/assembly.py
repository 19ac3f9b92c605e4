"""Cases of line balancing, takt and andon."""

from typing import Any

from twin.figures.balancing import (
    Tasks,
    efficiency,
    least_stations,
    optimum,
    smoothness,
    smoothness_squared,
    station_oriented,
    task_oriented,
)
from twin.figures.exact import exact, exacts, positive, ratio
from twin.figures.kinds.given import Given, Kind, need
from twin.figures.takt import andon, cycle_adherence, takt

MOST_LISTED = 30  # tasks up to which the assignment itself is written out


def _salbp1(given: Given) -> Any:
    tasks = Tasks(need(given, "time"), need(given, "precedence"))
    if given.get("tasks", len(tasks.time)) != len(tasks.time):
        raise ValueError(f"{given['tasks']} tasks, but {len(tasks.time)} times")
    by_cycle = []
    for c in need(given, "cycle_times"):
        stations = station_oriented(tasks, c)
        loads = [sum(tasks.time[task - 1] for task in station) for station in stations]
        share = efficiency(tasks.total, len(stations), c)
        by_cycle.append(
            {
                "c": c,
                "lower_bound": least_stations(tasks.total, c),
                "optimum": optimum(tasks, c),
                "rpw_stations": len(stations),
                "rpw_assignment": stations if len(tasks.time) <= MOST_LISTED else None,
                "rpw_loads": loads,
                "rpw_task_oriented_stations": len(task_oriented(tasks, c)),
                "efficiency": share,
                "balance_delay": None if share is None else 1 - share,
                "smoothness_max_squared": smoothness_squared(loads),
            }
        )
    return {"sum": tasks.total, "rpw_weight": tasks.weights(), "by_cycle": by_cycle}


def _balance(given: Given) -> Any:
    cycle = need(given, "cycle")
    if "loads" in given:
        loads = exacts(given["loads"])
        share = efficiency(sum(loads), len(loads), cycle)
        return {
            "efficiency": share,
            "efficiency_at_max": efficiency(sum(loads), len(loads), max(loads, default=0)),
            "balance_delay": None if share is None else 1 - share,
            "min_stations": least_stations(sum(loads), cycle),
            "smoothness_max_squared": smoothness_squared(loads),
            "smoothness_max": smoothness(loads),
            "smoothness_cycle_squared": smoothness_squared(loads, cycle),
            "smoothness_cycle": smoothness(loads, cycle),
        }
    total = need(given, "task_sum")
    share = efficiency(total, given["stations"], cycle) if "stations" in given else None
    return {
        "min_stations": least_stations(total, cycle),
        "min_stations_exact": ratio(total, cycle),
        "efficiency": share,
        "balance_delay": None if share is None else 1 - share,
    }


def _takt(given: Given) -> Any:
    if "cycle_ends" in given:
        one = cycle_adherence(
            given["cycle_ends"], need(given, "takt_s"), given.get("tolerance_s", 0), given.get("pause", [])
        )
        return {"cycle_s": one.cycle_s, "within": one.within, "adherence": one.adherence}
    shifts = positive(given.get("shifts", 1), "shifts")
    if "demand_per_month" in given:
        demand = exact(given["demand_per_month"]) / (positive(need(given, "days"), "days") * shifts)
    elif "demand_per_day" in given:
        demand = exact(given["demand_per_day"]) / shifts
    else:
        demand = exact(need(given, "demand_per_shift"))
    beat = takt(need(given, "available_s_per_shift"), demand)
    return {
        "demand_per_shift": demand,
        "takt_s": beat,
        "pitch_s": None if beat is None else beat * exact(given.get("pack", 1)),
    }


def _andon(given: Given) -> Any:
    return andon(
        [(t, s, what) for t, s, what in need(given, "events")], need(given, "fixed_position_s"), need(given, "window")
    )


KINDS: dict[str, Kind] = {"salbp1": _salbp1, "balance": _balance, "takt": _takt, "andon": _andon}
