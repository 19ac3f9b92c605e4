"""Cases of exact answers for simulations."""

from typing import Any

from twin.figures.exact import exacts, mean
from twin.figures.kinds.given import Given, Kind, need, same_length
from twin.figures.simulation import (
    Machine,
    assembly,
    conwip,
    coverage_band,
    machine_repair,
    mean_interval,
    mg1_wait,
    mmc,
    mmck,
    trace,
    two_machines,
    welch_interval,
    zero_and_infinite_buffer,
)


def machines(given: Given) -> tuple[Machine, Machine]:
    """Both machines of a line of two, from mu1, p1, r1, mu2, p2, r2."""
    first, second = (Machine(need(given, f"mu{i}"), given.get(f"p{i}", 0), given.get(f"r{i}", 1)) for i in (1, 2))
    return first, second


def _two_machines(given: Given) -> Any:
    return two_machines(*machines(given), need(given, "N"))


def _assembly(given: Given) -> Any:
    return assembly(*(need(given, key) for key in ("mu_a", "mu_b", "mu_c", "N_a", "N_b")))


def _buffers(given: Given) -> Any:
    zero, infinite = zero_and_infinite_buffer(need(given, "p"), need(given, "r"))
    return {"E_zero": zero, "E_infinite": infinite}


def _queue(given: Given) -> Any:
    rate = need(given, "lambda")
    if "scv" in given:
        scvs = given["scv"]
        waits = [mg1_wait(rate, need(given, "mean"), scv) for scv in (scvs if isinstance(scvs, list) else [scvs])]
        return {"wq": waits if isinstance(scvs, list) else waits[0]}
    if "K" in given:
        return mmck(rate, need(given, "mu"), given["K"], given.get("servers", 1))
    return mmc(given.get("servers", 1), rate, need(given, "mu"))


def _machine_repair(given: Given) -> Any:
    return machine_repair(
        need(given, "machines"), given.get("repairers", 1), need(given, "failure_rate"), need(given, "repair_rate")
    )


def _parallel(given: Given) -> Any:
    """Station 1 never starved into N places and c machines: M/M/c/(N + c)."""
    c, places = need(given, "c"), need(given, "N")
    one = mmck(need(given, "mu1"), need(given, "mu2_each"), places + c, c)
    return {
        "throughput": one.throughput,
        "blocked_1": one.p_loss,
        "mean_in_stage_2": one.l,
        "utilisation_2": one.utilisation,
    }


def _conwip(given: Given) -> Any:
    key = next((key for key in given if key.startswith("mean")), "mean_h")
    found = [conwip(need(given, key), pieces) for pieces in need(given, "wip")]
    return {"TH": [throughput for throughput, _ in found], "CT": [cycle for _, cycle in found]}


def _trace(given: Given) -> Any:
    start, complete, depart = trace(need(given, "service"), need(given, "buffers"), given.get("arrivals", ()))
    return {"start": start, "complete": complete, "depart": depart}


def _interval(given: Given) -> Any:
    confidence = given.get("confidence", "0.95")
    if "x" in given:
        one = mean_interval(given["x"], confidence)
        if one is None:
            return dict.fromkeys(("mean", "s", "half_width", "ci", "relative_half_width"))
        return {
            "mean": one.mean,
            "s": one.s,
            "half_width": one.half_width,
            "ci": one.interval,
            "relative_half_width": one.relative_half_width,
        }
    base, variant = exacts(need(given, "base")), exacts(need(given, "variant"))
    same_length(base=base, variant=variant)
    paired = mean_interval([b - a for a, b in zip(base, variant, strict=True)], confidence)
    welch = welch_interval(base, variant, confidence)
    pair = None if paired is None else paired.interval
    return {
        "difference": mean([b - a for a, b in zip(base, variant, strict=True)]),
        "paired_ci": pair,
        "welch_ci": welch,
        "paired_significant": None if pair is None else not pair[0] <= 0 <= pair[1],
        "welch_significant": None if welch is None else not welch[0] <= 0 <= welch[1],
    }


def _coverage(given: Given) -> Any:
    confidence = given.get("confidence", "0.999")
    return {"accept": [coverage_band(n, need(given, "nominal"), confidence) for n in need(given, "R")]}


KINDS: dict[str, Kind] = {
    "two_machine_exponential": _two_machines,
    "assembly": _assembly,
    "zero_infinite_buffer": _buffers,
    "queue": _queue,
    "machine_repair": _machine_repair,
    "parallel": _parallel,
    "conwip": _conwip,
    "trace": _trace,
    "interval": _interval,
    "coverage": _coverage,
}
