"""From checked tables to the frozen model."""

from dataclasses import replace
from typing import Any, Final

from kernels.codes import CLASS_NAMES
from twin.decimals import scaled
from twin.plant.canonical import model_hash
from twin.plant.check_measures import SPECIFIED
from twin.plant.kinds import DAY_S, NEVER, WEEK_S
from twin.plant.model import (
    Buffer,
    Calendar,
    CalendarException,
    Chart,
    Counter,
    Exclusion,
    FrozenLimits,
    Limits,
    Line,
    Measure,
    PlannedStop,
    Plant,
    Product,
    Reason,
    Shift,
    Specification,
    Station,
    Target,
    Window,
)
from twin.plant.read import Node
from twin.time.duration import duration_text

_OWN_NAMES: Final = {name: code for code, name in enumerate(CLASS_NAMES)}


def build(root: Node, source: str) -> Plant:
    """The model of tables without mistakes; `source` is the file's name, which the hash leaves out."""
    shared = _calendar(root["calendar"]) if root["calendar"] else Calendar()
    lines = tuple(_line(node, shared) for node in root["line"])
    plant = Plant(
        root["site"],
        lines,
        hash="",
        source=source,
        earliest_ns=root["earliest"],
        revision=root["revision"],
        reasons=tuple(_reason(node) for node in root["reason"]),
        targets=tuple(_target(node["id"], node["target"]) for node in root["line"] if node["target"]),
    )
    return replace(plant, hash=model_hash(plant))


def _reason(node: Node) -> Reason:
    return Reason(
        id=node["id"],
        parent=node["parent"],
        label=dict(sorted(node["label"].items())),
        stations=tuple(node["stations"]),
        time_class=None if node["class"] is None else CLASS_NAMES[node["class"]],
        retired=node["retired"],
    )


def _target(line: str, node: Node) -> Target:
    rates = dict(sorted(node["parts_per_hour"].items()))
    return Target(line, oee=node["oee"], changeover_ns=node["changeover"], parts_per_hour=rates)


def _line(node: Node, shared: Calendar) -> Line:
    words = {**_OWN_NAMES, **node["states"]}
    stations = tuple(_station(station, node, words) for station in node["station"])
    windows = sorted(node["windows"])  # by length: the order in the file means nothing
    return Line(
        id=node["id"],
        area=node["area"],
        type=node["type"],
        stations=stations,
        buffers=tuple(Buffer(b["id"], b["capacity"], b["initial"]) for b in node["buffer"]),
        products=tuple(_product(product) for product in node["product"]),
        calendar=_calendar(node["calendar"]) if node["calendar"] else shared,
        policy=node["policy"],
        windows=tuple(Window(duration_text(length), length, step) for length, step in windows),
        publish_every_ns=node["publish_every"],
        lateness_ns=node["lateness"],
        max_jump_ns=node["max_jump"],
        revise_ns=node["revise"],
        pane_ns=node["pane"],
        panes=node["panes"],
        constraint=node["constraint"],
        requires_order=node["requires_order"],
        limits=_limits(node["limits"]) if node["limits"] else Limits(),
        unit=node["unit"],
        seq_modulus=node["seq_modulus"],
        measures=tuple(map(_measure, node["measure"])),
    )


def _station(node: Node, line: Node, words: dict[str, int]) -> Station:
    name = node["id"]
    outputs = [b["id"] for b in line["buffer"] if name in b["after"]]

    def own_or_line(key: str) -> Any:
        return line[key] if node[key] is None else node[key]

    return Station(
        id=name,
        ideal_cycle_ns=node["ideal_cycle"] or node["rate"],
        inputs=tuple(b["id"] for b in line["buffer"] if name in b["before"]),
        output=outputs[0] if outputs else None,
        counters=tuple(Counter(c["id"], c["quality"], c["scale"], c["modulus"], c["counts"]) for c in node["counter"]),
        states=words | node["states"] if node["states"] else words,
        parts_from=own_or_line("parts_from"),
        minor_stop_ns=own_or_line("minor_stop"),
        staleness_ns=own_or_line("staleness"),
        fastest_cycle_ns=node["fastest_cycle"],
        places=node["places"],
        unit=node["unit"] or line["unit"],
        factor=None if line["unit"] is None else node["factor"] or (1, 1),
        cycle_parts=node["parts_per_cycle"],
        measures=tuple(map(_measure, node["measure"])),
    )


_PER: Final = {"hour": 3_600 * 10**9, "minute": 60 * 10**9, "second": 10**9}


def _measure(node: Node) -> Measure:
    decimals = node["decimals"]
    modulus, most = node["modulus"], node["most_per_hour"]
    return Measure(
        id=node["id"],
        kind=node["kind"],
        unit=node["unit"],
        quantity="first_pass" if node["kind"] == "first_pass" else node["quantity"],
        decimals=decimals,
        rounds=node["round"] or None,
        modulus=None if modulus is None else scaled(modulus, decimals),
        most_per_hour=None if most is None else scaled(most, decimals),
        **{key: _scaled(node, key, decimals) for key in SPECIFIED},
        chart=None if node["chart"] is None else _chart(node["chart"], decimals),
        opportunities=node["opportunities"],
        products=tuple(
            Specification(one["id"], **{key: _scaled(one, key, decimals) for key in SPECIFIED}, budget=one["budget"])
            for one in node["product"]
        ),
        of=node["of"],
        between=node["between"],
        per_ns=_PER[node["per"] or "hour"] if node["kind"] == "integral" else None,
        gap_ns=node["gap"],
        budget=node["budget"],
        budget_over_ns=node["budget_over"],
        idle_for_ns=node["idle_for"],
        idle_draw=node["idle_draw"],
        histogram=node["histogram"] or None,
        average_weight=node["average_weight"] or None,
    )


def _chart(node: Node, decimals: int) -> Chart:
    limits = node["limits"]
    return Chart(
        type=node["type"],
        n=node["n"],
        rules=tuple(node["rules"]),
        baseline=node["baseline"],
        limits=limits and FrozenLimits(limits["version"], limits["center"], limits["sigma"]),
        exclude=tuple(Exclusion(one["from"], one["to"], one["cause"]) for one in node["exclude"]),
        weight=node["weight"],
        width=node["width"],
        k=_scaled(node, "k", decimals),
        h=_scaled(node, "h", decimals),
    )


def _scaled(node: Node, key: str, decimals: int) -> int | None:
    return None if node[key] is None else scaled(node[key], decimals)


def _product(node: Node) -> Product:
    everywhere = node["ideal_cycle"] or node["rate"]
    cycles = dict(sorted(node["at"].items()))
    factor = dict(sorted(node["factor"].items()))
    return Product(node["id"], {"*": everywhere, **cycles} if everywhere else cycles, factor, node["parts_per_cycle"])


def _limits(node: Node) -> Limits:
    window = node["oee_window"]
    return Limits(
        down_ns=None if node["down"] == NEVER else node["down"],
        oee_below=node["oee_below"],
        oee_window=None if window is None else duration_text(window),
    )


def _calendar(node: Node) -> Calendar:
    return Calendar(
        zone=node["zone"],
        shifts=tuple(Shift(s["id"], s["days"], *s["hours"]) for s in node["shift"]),
        planned_stops=tuple(stop for s in node["planned_stop"] for stop in _planned_stops(s)),
        day_start_s=node["day_start"],
        exceptions=tuple(
            CalendarException(*(one[key] for key in ("on", "off", "shift", "stop", "hours")))
            for one in node["exception"]
        ),
    )


def _planned_stops(node: Node) -> list[PlannedStop]:
    """A stop by `hours` is one weekly stop for each of its days; all bear the same id."""
    if node["weekly"]:
        return [PlannedStop(node["id"], weekly=node["weekly"])]
    if node["from"]:
        return [PlannedStop(node["id"], dated=(node["from"], node["to"]))]
    start, end = node["hours"]
    length = (end - start) % DAY_S
    days = node["days"] or range(7)
    return [PlannedStop(node["id"], weekly=(d * DAY_S + start, (d * DAY_S + start + length) % WEEK_S)) for d in days]
