"""Cases of material and stock."""

from typing import Any

from twin.figures.exact import exact, ratio
from twin.figures.kinds.given import Given, Kind, need
from twin.figures.supply import (
    days_of_supply,
    eoq,
    inventory_turns,
    newsvendor,
    project_stock,
    reorder,
    reorder_varying,
    starvation_causes,
    trace_lots,
)


def _reorder(given: Given) -> Any:
    service = need(given, "service")
    if "mean_lead_demand" in given:
        return reorder(given["mean_lead_demand"], exact(need(given, "sd_lead_demand")) ** 2, service)
    return reorder_varying(
        need(given, "demand_per_day"),
        given.get("sd_demand", 0),
        need(given, "lead_days"),
        given.get("sd_lead", 0),
        service,
    )


def _eoq(given: Given) -> Any:
    return eoq(
        need(given, "annual_demand"),
        need(given, "order_cost"),
        need(given, "holding_per_unit_year"),
        given.get("working_days", 365),
    )


def _days_of_supply(given: Given) -> Any:
    return days_of_supply(
        need(given, "stock"),
        need(given, "daily_plan"),
        given.get("blocked", 0),
        given.get("reserved", 0),
        given.get("unit_factor", 1),
    )


def _stock_out(given: Given) -> Any:
    changes = {exact(at): later for at, later in given.get("late_receipt_change", {}).items()}
    receipts = [(t, amount) for t, amount in given.get("receipts", [])]
    moved = [(changes.get(exact(t), t), amount) for t, amount in receipts]

    def of(arriving: Any) -> dict[str, Any]:
        one = project_stock(need(given, "t0_stock"), need(given, "rate_per_h"), arriving, need(given, "horizon_h"))
        return {"stock_out_h": one.stock_out, "shortage_h": one.shortage, "stock_end": one.stock_end}

    return {**of(receipts), **({"after_change": of(moved)} if changes else {})}


def _traceability(given: Given) -> Any:
    columns = given.get("columns_consume", ["t", "serial", "qty"])
    order = [columns.index(name) for name in ("t", "serial", "qty")]
    takes = [(row[order[0]], row[order[1]], row[order[2]]) for row in need(given, "consume")]
    one = trace_lots([(t, lot, qty) for t, lot, qty in need(given, "bin_loads")], takes)
    lots = {lot for taken in one.by_serial.values() for lot in taken if lot is not None}
    return {
        "by_serial": {
            serial: {"unknown" if lot is None else lot: qty for lot, qty in taken.items()}
            for serial, taken in one.by_serial.items()
        },
        "contains": {lot: one.contains(lot) for lot in sorted(lots)},
        "remaining": one.remaining,
    }


def _starvation(given: Given) -> Any:
    causes, total = starvation_causes(
        need(given, "starved"), given.get("material_empty", {}), given.get("upstream_empty", [])
    )
    return {"by_cause_s": causes, "total_starved_s": total}


def _turns(given: Given) -> Any:
    made, stock = exact(need(given, "throughput_per_year")), need(given, "mean_inventory")
    wip, finished = stock.get("wip", 0), stock.get("fgi", 0)
    return {
        "turns_wip": inventory_turns(made, [wip]),
        "turns_wip_fgi": inventory_turns(made, [wip, finished]),
        "days_wip": ratio(365 * exact(wip), made),
    }


def _newsvendor(given: Given) -> Any:
    return newsvendor(need(given, "h"), need(given, "p"), need(given, "mean"), need(given, "sd"))


KINDS: dict[str, Kind] = {
    "reorder": _reorder,
    "eoq": _eoq,
    "days_of_supply": _days_of_supply,
    "stock_out": _stock_out,
    "traceability": _traceability,
    "starvation_cause": _starvation,
    "inventory_turns": _turns,
    "newsvendor": _newsvendor,
}
