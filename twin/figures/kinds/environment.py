"""Cases of energy, carriers, emissions and demand."""

import re
from fractions import Fraction
from typing import Any

from twin.figures import tables
from twin.figures.exact import exact, mean, ratio
from twin.figures.kinds.given import Given, Kind, need, rows
from twin.figures.usage import (
    co2e_by_period,
    co2e_of_gases,
    comprehensive_energy,
    demand,
    embedded_in_scrap,
    energy_by_state,
    hold,
    meter,
    trapezoid,
)


def _power_integral(given: Given) -> Any:
    key = next((key for key in ("samples_t_kw", "samples") if key in given), "samples_t_kw")
    samples, limit, window = need(given, key), need(given, "gap_limit_s"), need(given, "window")
    found: dict[str, Any] = {}
    for name, integral in (("zoh", hold), ("trapezoid", trapezoid)):
        one = integral(samples, limit, window)
        found |= {
            f"{name}_kj": one.amount,
            f"{name}_kwh": one.amount / 3600,
            f"{name}_known_s": one.known_s,
            f"{name}_gap_s": one.gap_s,
            f"coverage_{name}": one.coverage,
        }
    return found


def _energy_counter(given: Given) -> Any:
    readings = [(str(row.get("meter", "")), row["kwh"]) for row in rows(given, "readings")]
    one = meter(readings, given.get("modulus_kwh"))
    return {"increments": one.increments, "known_kwh": one.known, "suspect": one.suspect}


def _idle_energy(given: Given) -> Any:
    segments = [(row["state"], row["s"], row["kw"]) for row in rows(given, "segments")]
    return energy_by_state(segments, given.get("good"), given.get("scrap", 0))


def _iso22400_energy(given: Given) -> Any:
    carriers = [(row["amount"], row["kgce_per_unit"]) for row in rows(given, "carriers")]
    one = comprehensive_energy(carriers, given.get("exchanged_kgce", 0), need(given, "PQ"), given.get("GQ"))
    return {"E_kgce": one.total, "e_per_piece": one.per_produced, "per_good": one.per_good}


def _co2e(given: Given) -> Any:
    if "gwp" in given:
        return {"co2e_kg": {name: co2e_of_gases(need(given, "kg"), of) for name, of in given["gwp"].items()}}
    one = co2e_by_period(need(given, "kwh_by_hour"), need(given, "g_per_kwh_by_hour"))
    return {
        "kg": one.kg,
        "kg_known": one.kg_known,
        "kg_by_hour": one.kg_by_period,
        "kg_with_mean_factor": one.kg_with_mean_factor,
        "effective_g_per_kwh": one.effective_g_per_kwh,
        "coverage": one.coverage,
    }


def _scrap_embedded(given: Given) -> Any:
    one = embedded_in_scrap(
        [(need(step, "kwh"), step.get("material_kg_co2e", 0)) for step in need(given, "steps")],
        need(given, "grid_kg_per_kwh"),
        need(given, "scrap"),
        need(given, "good"),
        given.get("recycling_credit_kg_per_piece", 0),
    )
    return {
        "embedded_per_piece": one.per_piece,
        "scrap_kg_co2e": one.scrap,
        "net_of_credit": one.net_of_credit,
        "per_good": one.per_good,
    }


def _peak_demand(given: Given) -> Any:
    key = next((key for key in given if re.fullmatch(r"kw_by_\d+min", key)), "kw_by_5min")
    values = need(given, key)
    minutes, block = int(re.findall(r"\d+", key)[0]), int(given.get("block_min", 15))
    if block % minutes:
        raise ValueError(f"a block of {block} min is not made of periods of {minutes} min")
    one = demand(values, block // minutes, int(given.get("start_min", 0)) % block // minutes)
    return {
        f"fixed_{block}min_kw": one.blocks_kw,
        "open_block": one.open_block,
        "peak_kw": one.peak_kw,
        "sliding_max_kw": one.sliding_max_kw,
    }


def _real_steel(given: Given) -> Any:
    """Row k is the quarter hour that ends at (k + 1) x 15 min: days by rows, not by the printed times."""
    lines = tables.table(need(given, "file"))
    kwh = [exact(line["kwh"]) for line in lines]
    total = sum(kwh, Fraction())
    by_load: dict[str, Fraction] = {}
    for line, energy in zip(lines, kwh, strict=True):
        by_load[line["load_type"]] = by_load.get(line["load_type"], Fraction()) + energy
    days = [sum(kwh[i : i + 96], Fraction()) for i in range(0, len(kwh), 96)]
    peak = max(range(len(kwh)), key=kwh.__getitem__)
    return {
        "rows": len(lines),
        "kwh": total,
        "kwh_by_load_type": by_load,
        "light_load_share": ratio(by_load.get("Light_Load", 0), total),
        "peak_quarter_kw": kwh[peak] * 4,
        "peak_row": peak,
        "max_day_kwh": max(days),
        "max_day_index": days.index(max(days)),
        "min_day_kwh": min(days),
        "min_day_index": days.index(min(days)),
        "mean_day_kwh": mean(days),
        "zero_rows": sum(not one for one in kwh),
        "co2_t_sum_of_rounded_column": sum((exact(line["co2_t"]) for line in lines), Fraction()),
    }


KINDS: dict[str, Kind] = {
    "power_integral": _power_integral,
    "energy_counter": _energy_counter,
    "idle_energy": _idle_energy,
    "iso22400_energy": _iso22400_energy,
    "co2e": _co2e,
    "scrap_embedded": _scrap_embedded,
    "peak_demand": _peak_demand,
    "real_steel": _real_steel,
}
