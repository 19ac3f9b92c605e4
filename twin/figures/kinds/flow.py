"""Cases of flow."""

from typing import Any

from twin.figures.exact import exact, percentile, percentile_linear
from twin.figures.flow import (
    Station,
    bottleneck,
    epei,
    kanbans,
    line_cases,
    sample_path,
    sequence_adherence,
    value_stream,
    vut,
    vut_breakdowns,
)
from twin.figures.kinds.given import Given, Kind, need
from twin.figures.levelling import level_schedule


def _factory_physics(given: Given) -> Any:
    one = line_cases(need(given, "bottleneck_rate"), need(given, "raw_process_time"), need(given, "wip"))
    cases = {
        name: [{"TH": case.throughput, "CT": case.cycle_time} for case in getattr(one, name)]
        for name in ("best", "worst", "practical_worst")
    }
    return {"critical_wip": one.critical_wip, **cases}


def _bottleneck_rate(given: Given) -> Any:
    stations = [
        Station(
            one.get("machines", 1),
            one["time_h"] if "time_h" in one else need(one, "time"),
            one.get("availability", 1),
            one.get("yield", 1),
            one.get("visits", 1),
        )
        for one in need(given, "stations")
    ]
    capacity, least = bottleneck(stations)
    return {"capacity_in_finished_good": capacity, "bottleneck": least, "rb": capacity[least]}


def _vut(given: Given) -> Any:
    ca, machines = given.get("ca_sq", 1), given.get("machines", 1)
    if "te" in given:
        scvs = need(given, "ce_sq")
        rate = need(given, "lambda")
        many = isinstance(scvs, list)
        found = [vut(given["te"], scv, rate, ca, machines) for scv in (scvs if many else [scvs])]
        ctq = [one.ct_queue for one in found]
        ct = [one.ct for one in found]
        return {"u": found[0].u, "ctq": ctq if many else ctq[0], "ct": ct if many else ct[0]}
    one = vut_breakdowns(
        need(given, "t0_min"),
        need(given, "c0_sq"),
        need(given, "mttf_min"),
        need(given, "mttr_min"),
        given.get("cr_sq", 1),
        exact(need(given, "arrivals_per_h")) / 60,
        ca,
        machines,
    )
    return {
        "availability": one.availability,
        "te": one.te,
        "ce_sq": one.ce_sq,
        "u": one.u,
        "V": one.v,
        "U": one.u_factor,
        "ctq_min": one.ct_queue,
        "ct_min": one.ct,
        "wip_queue": one.wip_queue,
        "cd_sq": one.cd_sq,
    }


def _little(given: Given) -> Any:
    columns = given.get("columns", ["enter", "leave"])
    enter, leave = columns.index("enter"), columns.index("leave")
    return sample_path([(job[enter], job[leave]) for job in need(given, "jobs")], need(given, "window"))


def _percentile(given: Given) -> Any:
    values, shares = need(given, "values"), need(given, "p")
    return {
        "nearest_rank": [percentile(values, p) for p in shares],
        "type7": [percentile_linear(values, p) for p in shares],
        "n": len(values),
    }


def _kanban(given: Given) -> Any:
    sized = [
        kanbans(
            need(case, "demand_per_day"),
            need(case, "lead_time_days"),
            need(case, "box"),
            case.get("safety", 0),
            case.get("safety_pieces", 0),
        )
        for case in given.get("cases", [given])
    ]
    return {"raw": [raw for raw, _ in sized], "kanbans": [cards for _, cards in sized]}


def _epei(given: Given) -> Any:
    variants = [
        (need(one, "demand_per_day"), need(one, "cycle_s"), need(one, "changeover_s"))
        for one in need(given, "variants")
    ]
    return epei(need(given, "available_s_per_day"), variants)


def _lead_time(given: Given) -> Any:
    one = value_stream(
        need(given, "inventories"), need(given, "demand_per_day"), given.get("process_s", []), given.get("raw_days", 0)
    )
    return {
        "days": one.days,
        "lead_time_days": one.lead_time_days,
        "value_added_s": one.value_added_s,
        "value_added_share_of_24h_days": one.value_added_share,
    }


def _heijunka(given: Given) -> Any:
    if "plan" in given:
        return sequence_adherence(given["plan"], need(given, "made"))
    quantity = need(given, "quantity")
    names = given.get("products") or [chr(ord("A") + i) for i in range(len(quantity))]
    one = level_schedule(quantity)
    sequence = [names[i] for i in one.sequence]
    return {
        "greedy": "".join(sequence) if all(len(name) == 1 for name in names) else sequence,
        "greedy_deviation": one.total,
        "optimal_deviation": one.optimal_total,
    }


KINDS: dict[str, Kind] = {
    "factory_physics": _factory_physics,
    "bottleneck_rate": _bottleneck_rate,
    "vut": _vut,
    "little": _little,
    "percentile": _percentile,
    "kanban": _kanban,
    "epei": _epei,
    "lead_time": _lead_time,
    "heijunka": _heijunka,
}
