"""Cases of batch processes."""

from fractions import Fraction
from typing import Any

from twin.figures import tables
from twin.figures.batch import (
    Genealogy,
    batch_yield,
    cleaning,
    envelope,
    heating_time,
    isa88_times,
    resample,
    right_first_time,
)
from twin.figures.exact import exact, exacts, percentile, ratio
from twin.figures.kinds.given import Given, Kind, need, rows


def _isa88(given: Given) -> Any:
    by_batch: dict[str, list[Any]] = {}
    for row in rows(given, "events"):
        by_batch.setdefault(str(row.get("batch", "")), []).append((row["path"], row["event"], row["t_s"]))
    found = {}
    for batch, events in by_batch.items():
        one = isa88_times(events)
        times = {name: getattr(one, name) for name in one.__slots__ if name != "sum_of_phases_s"}
        sums = {f"sum_of_phases_{path}_s": time for path, time in one.sum_of_phases_s.items()}
        found[batch] = {**times, **sums}
    return found.popitem()[1] if len(found) == 1 else found


def _batch_yield(given: Given) -> Any:
    limiting = need(given, "limiting")
    one = batch_yield(
        need(given, "charged_kg"),
        need(given, "product_kg"),
        limiting,
        need(given, f"stoich_product_per_{limiting}"),
        given.get("samples_kg", 0),
        given.get("waste_kg", 0),
        given.get("wip_hold_kg", 0),
    )
    return {
        "mass_yield": one.mass_yield,
        "yield_of_theory": one.yield_of_theory,
        "accountability": one.accountability,
        "unaccounted_kg": one.unaccounted,
    }


def _right_first_time(given: Given) -> Any:
    one = right_first_time([(row["disposition"], row["flags"]) for row in rows(given, "batches")])
    return {
        "completed": one.completed,
        "rft": one.right_first_time,
        "rft_ratio": one.rft_ratio,
        "release_ratio": one.release_ratio,
        "pending": one.pending,
    }


def _golden_batch(given: Given) -> Any:
    if "reference" in given:
        one = envelope(given["reference"], given.get("k", 3), given.get("floor", 0))
        found: dict[str, Any] = {"mean": one.mean, "s": one.s, "lower": one.lower, "upper": one.upper}
        if "test" in given:
            found["outside"] = one.outside(given["test"])
            found["deviation_rms"] = one.deviation_rms(given["test"])
        return found
    at, x = resample(need(given, "t_s"), need(given, "x"), need(given, "progress"), given.get("how", "linear"))
    return {"t_at": at, "x": x}


def _genealogy(given: Given) -> Any:
    lots = Genealogy([(row["into"], row["from"], row["kg"]) for row in rows(given, "consume")])
    found: dict[str, Any] = {}
    for raw in (*lots.raw, *sorted(lots.into)):
        holders = lots.contains(raw)
        found[f"contains_{raw}"] = holders
        found[f"share_{raw}"] = {product: lots.share(product, raw) for product in holders}
    return {**found, **{f"sources_of_{product}": lots.sources(product) for product in lots.into}}


def _batch_limits(given: Given) -> Any:
    ideal = heating_time(need(given, "mass_kg"), need(given, "cp_kj_kgk"), need(given, "dT_k"), need(given, "power_kw"))
    actual = exact(need(given, "actual_s"))
    return {"ideal_s": ideal, "ratio": ratio(ideal, actual), "loss_s": actual - ideal}


def _cip_share(given: Given) -> Any:
    return cleaning(need(given, "unit_window_s"), need(given, "cip"), given.get("processing", []))


def _real_batches(given: Given) -> Any:
    """Samples count as time only because their interval is fixed. `Tag01` is the phase."""
    lengths: dict[int, dict[int, int]] = {}
    lines = tables.table(need(given, "file"))
    for line in lines:
        phases = lengths.setdefault(int(line["batch_id"]), {})
        phase = int(float(line["Tag01"]))
        phases[phase] = phases.get(phase, 0) + 1
    totals = {batch: sum(phases.values()) for batch, phases in lengths.items()}
    values = list(totals.values())
    first, last = given.get("reference_batches", [min(totals), max(totals)])
    names = sorted({phase for phases in lengths.values() for phase in phases})
    reference = [[lengths[batch].get(phase, 0) for phase in names] for batch in totals if first <= batch <= last]
    usual = envelope(reference, 3, 1)
    outside = [
        [batch, names[i]]
        for batch, phases in sorted(lengths.items())
        for i in usual.outside([phases.get(phase, 0) for phase in names])
    ]
    longest = sorted(totals, key=lambda batch: (-totals[batch], batch))
    return {
        "rows": len(lines),
        "batches": len(totals),
        "length": {
            "min": min(values),
            "median": percentile(values, "1/2"),
            "max": max(values),
            "p95": percentile(values, "19/20"),
            "sum": sum(values),
        },
        "phase_mean_reference": usual.mean,
        "phase_sd_reference": usual.s,
        "outside": outside,
        "longest": longest[:2],
        "mean_length": Fraction(sum(exacts(values)), len(values)),
    }


KINDS: dict[str, Kind] = {
    "isa88_times": _isa88,
    "batch_yield": _batch_yield,
    "right_first_time": _right_first_time,
    "golden_batch": _golden_batch,
    "batch_genealogy": _genealogy,
    "batch_limits": _batch_limits,
    "cip_share": _cip_share,
    "real_batches": _real_batches,
}
