"""Cases of planning a line."""

import json
from importlib.resources import files
from typing import Any

from twin.figures.balancing import Tasks, efficiency, least_stations, optimum
from twin.figures.kinds.given import Given, Kind, need
from twin.figures.kinds.simulation import machines
from twin.figures.transition import Step, machines_needed, ramp_up, smallest_buffer


def _machines_needed(given: Given) -> Any:
    steps = [
        Step(need(one, "cycle_s"), need(one, "yield"), one.get("availability_x_performance", 1))
        for one in need(given, "steps")
    ]
    found = machines_needed(need(given, "good_per_shift"), need(given, "net_s"), steps)
    return {
        "start": [one.start for one in found],
        "machines_exact": [one.machines_exact for one in found],
        "machines": [one.machines for one in found],
        "utilisation": [one.utilisation for one in found],
    }


def instance(name: str) -> Tasks:
    """A benchmark of line balancing that comes with the package. ValueError for another name."""
    known = json.loads(files("twin.figures").joinpath("data/salbp.json").read_text(encoding="utf-8"))
    short = name.removeprefix("salbp-")
    if short not in known:
        raise ValueError(f"no benchmark {name!r}: expected one of {', '.join(sorted(known))}")
    return Tasks(known[short]["time"], known[short]["precedence"])


def _takt_to_stations(given: Given) -> Any:
    tasks = Tasks(given["time"], need(given, "precedence")) if "time" in given else instance(need(given, "instance"))
    stations = [optimum(tasks, takt) for takt in need(given, "takt")]
    return {
        "stations": stations,
        "lower_bound": [least_stations(tasks.total, takt) for takt in given["takt"]],
        "people_efficiency": [
            None if m is None else efficiency(tasks.total, m, takt)
            for m, takt in zip(stations, given["takt"], strict=True)
        ],
    }


def _ramp_up(given: Given) -> Any:
    return ramp_up(need(given, "plan_per_day"), need(given, "good_per_day"), given.get("hours_per_piece"))


def _buffer_plan(given: Given) -> Any:
    one = smallest_buffer(*machines(given), need(given, "target"))
    return {
        "smallest_buffer": one.smallest_buffer,
        "throughput_at_it": one.throughput_at_it,
        "throughput_one_less": one.throughput_one_less,
        "infinite_limit": one.infinite_limit,
    }


KINDS: dict[str, Kind] = {
    "machines_needed": _machines_needed,
    "takt_to_stations": _takt_to_stations,
    "ramp_up": _ramp_up,
    "buffer_plan": _buffer_plan,
}
