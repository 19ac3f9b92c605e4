"""What one value of a plant file alone cannot tell: references, contradictions, loops, overlaps."""

from datetime import date
from typing import Final

from kernels.codes import CLASS_NAMES
from twin.plant import topology
from twin.plant.check_measures import check_measures
from twin.plant.kinds import DAY_S, WEEK_S, WEEKDAYS
from twin.plant.locate import Path
from twin.plant.problem import Report, hint
from twin.plant.read import Node
from twin.plant.shape import MAX_WINDOW_STEPS
from twin.time.duration import duration_text

# Of a stop nobody can say that it ran, or was not there.
_NOT_SAID: Final = ("unknown", "off_shift", "no_order", "running")


def check(plant: Node, report: Report) -> None:
    """Every mistake goes to `report`. Values that were already reported are None here and are passed over."""
    if plant["calendar"]:
        _calendar(plant["calendar"], report)
    for line in plant["line"]:
        if line["area"] is not None:
            _reference(line["area"], plant["area"], "area in this plant", line.at("area"), report)
        for part in (_stations, _units, check_measures, _buffers, _products, _windows, _limits, _target):
            part(line, report)
        if line["calendar"]:
            _calendar(line["calendar"], report)
    _reasons(plant, report)


def _reference(name: str, nodes: list[Node], what: str, path: Path, report: Report) -> bool:
    known = [node["id"] for node in nodes]
    if name in known:
        return True
    # A table whose own id is wrong may be the one that is meant: one message is enough.
    if None not in known:
        report.add(path, f'there is no {what} with the id "{name}"{hint(name, tuple(dict.fromkeys(known)))}')
    return False


def _either(node: Node, report: Report) -> None:
    if {"ideal_cycle", "rate"} <= node.given:
        report.add(node.at("rate"), "says the same as ideal_cycle; keep one of them", see=node.at("ideal_cycle"))


def _stations(line: Node, report: Report) -> None:
    for station in line["station"]:
        _either(station, report)
        # "*" stands for every station of a product, "undecided" is a verdict beside the stations' names.
        if station["id"] in ("*", "undecided"):
            report.add(station.at("id"), f'the id "{station["id"]}" has a meaning of its own; choose another')
    if line["constraint"] is not None:
        _reference(line["constraint"], line["station"], "station in this line", line.at("constraint"), report)


def _units(line: Node, report: Report) -> None:
    """Either all stations can be compared in the line's unit, or nothing is said of units at all."""
    own = line["unit"]
    factors = [(product.at("factor", name), name) for product in line["product"] for name in product["factor"]]
    if "unit" not in line.given:
        for station in line["station"]:
            for key in ("unit", "factor"):
                if key in station.given:
                    report.add(station.at(key), 'needs the unit of the line; add unit = "..." to the line')
        for path, _ in factors:
            report.add(path, 'needs the unit of the line; add unit = "..." to the line')
        return
    for path, name in factors:
        _reference(name, line["station"], "station in this line", path, report)
    if own is None:
        return
    for station in line["station"]:
        unit, factor = station["unit"], station["factor"]
        if "unit" in station.given and unit not in (None, own) and "factor" not in station.given:
            message = f'counts "{unit}" and the line "{own}"; add factor = ..., the {own} in one {unit}'
            report.add(station.at("unit"), message)
        if "factor" in station.given and "unit" not in station.given:
            report.add(station.at("factor"), 'of which unit? Add unit = "..." to the station')
        if unit == own and factor not in (None, (1, 1)):
            report.add(station.at("factor"), f"one {unit} is one {own}; leave the factor out, or correct the unit")


def _products(line: Node, report: Report) -> None:
    for product in line["product"]:
        _either(product, report)
        for station in product["at"]:
            _reference(station, line["station"], "station in this line", product.at("at", station), report)


def _buffers(line: Node, report: Report) -> None:
    output: dict[str, Node] = {}
    for buffer in line["buffer"]:
        for side in ("after", "before"):
            names = buffer[side]
            for index, name in enumerate(names):
                path = buffer.at(side, index)
                if name is None:
                    continue
                if _reference(name, line["station"], "station in this line", path, report) and name in names[:index]:
                    report.add(path, f'the station "{name}" is named twice; remove one')
        for index, name in enumerate(buffer["after"]):
            if name is None:
                continue
            other = output.setdefault(name, buffer)
            if other is not buffer:
                advice = "a station has one output: let the stations behind it take from one shared buffer"
                report.add(
                    buffer.at("after", index),
                    f'the station "{name}" already puts its parts into the buffer "{other["id"]}"; {advice}',
                    see=other.at("id"),
                )
        if not {"after", "before"} & buffer.given:
            report.add(buffer.path, 'joins nothing; add after = ["..."], before = ["..."] or both')
        capacity, initial = buffer["capacity"], buffer["initial"]
        if capacity is not None and initial is not None and initial > capacity:
            report.add(
                buffer.at("initial"),
                f"{initial} parts do not fit into {capacity} places; lower initial or raise capacity",
                see=buffer.at("capacity"),
            )
    _loops(line, report)


def _loops(line: Node, report: Report) -> None:
    buffers: list[Node] = line["buffer"]
    joints = [
        topology.Link(
            buffer["id"] or "?",
            tuple(buffer["after"]),
            tuple(buffer["before"]),
            buffer["capacity"],
            buffer["initial"] or 0,
        )
        for buffer in buffers
    ]

    def tell(loops: list[list[int]], what: str) -> None:
        for loop in loops:
            names = " -> ".join(f'"{joints[i].id}"' for i in [*loop, loop[0]])
            report.add(buffers[min(loop)].at("id"), f"the loop of buffers {names} can never move: {what}")

    starved = topology.starved_loops(joints)
    tell(starved, "it holds no part and none can enter; give one of its buffers a place and an initial part")
    known = {frozenset(loop) for loop in starved}
    full = [loop for loop in topology.full_loops(joints) if frozenset(loop) not in known]
    tell(full, "no buffer in it has a free place and no part can leave; lower an initial or raise a capacity")


def _windows(line: Node, report: Report) -> None:
    windows: list[tuple[int, int] | None] = line["windows"]
    seen: set[int] = set()
    for index, window in enumerate(windows):
        if window is None:
            continue
        length, step = window
        path, name = line.at("windows", index), f'"{duration_text(length)}/{duration_text(step)}"'
        if length in seen:
            report.add(path, f"there are two windows of {duration_text(length)}; keep one")
        seen.add(length)
        if length // step > MAX_WINDOW_STEPS:
            advice = "take a longer step"
            report.add(path, f"the window {name} has {length // step:,} steps, at most {MAX_WINDOW_STEPS:,}; {advice}")
        every = line["publish_every"]
        if every is not None and every % step:
            report.add(
                line.at("publish_every") if "publish_every" in line.given else path,
                f"publish_every {duration_text(every)} is no multiple of the step of the window {name}; change one",
            )


def _limits(line: Node, report: Report) -> None:
    limits = line["limits"]
    if not limits or limits["oee_window"] is None:
        return
    window, path = limits["oee_window"], limits.at("oee_window")
    lengths = [one[0] for one in line["windows"] if one]
    if window not in lengths and None not in line["windows"]:
        known = ", ".join(duration_text(length) for length in lengths)
        report.add(path, f"the line has no window of {duration_text(window)}; windows: {known}")


def _target(line: Node, report: Report) -> None:
    target = line["target"]
    for product in target["parts_per_hour"] if target else ():
        if product != "*":
            path = target.at("parts_per_hour", product)
            _reference(product, line["product"], "product in this line", path, report)


def _reasons(plant: Node, report: Report) -> None:
    by_id = {reason["id"]: reason for reason in plant["reason"]}
    stations = [station for line in plant["line"] for station in line["station"]]
    for reason in plant["reason"]:
        for index, name in enumerate(reason["stations"]):
            if name is not None:
                _reference(name, stations, "station in this plant", reason.at("stations", index), report)
        for language in reason["label"]:
            if len(language) != 2 or not language.isascii() or not language.islower():
                advice = "write two small letters, such as en or de"
                report.add(reason.at("label", language), f'"{language}" is no language; {advice}')
        if reason["class"] is not None and CLASS_NAMES[reason["class"]] in _NOT_SAID:
            advice = f"not {', '.join(_NOT_SAID)}: those are not a person's to say; leave class out, or take another"
            report.add(reason.at("class"), advice)
        parent = reason["parent"]
        if parent is None or not _reference(
            parent, plant["reason"], "reason in this plant", reason.at("parent"), report
        ):
            continue
        if by_id[parent]["parent"] is not None:
            report.add(reason.at("parent"), "is the third level; a tablet shows two: name the upper one")


def _calendar(calendar: Node, report: Report) -> None:
    _overlaps(calendar, report)
    for stop in calendar["planned_stop"]:
        _planned_stop(stop, report)
    for one in calendar["exception"]:
        _exception(one, calendar, report)


def _exception(one: Node, calendar: Node, report: Report) -> None:
    """What it names is there, and is told apart from what it is on other days."""
    if one["shift"] is not None and one["stop"] is not None:
        report.add(one.at("stop"), "is of a shift and of a stop; make it two exceptions")
        return
    if one["shift"] is not None:
        _reference(one["shift"], calendar["shift"], "shift in this calendar", one.at("shift"), report)
    if one["stop"] is not None:
        weekly = [stop for stop in calendar["planned_stop"] if not stop["from"]]
        _reference(one["stop"], weekly, "weekly planned stop in this calendar", one.at("stop"), report)
    if one["off"] and "hours" in one.given:
        report.add(one.at("hours"), "does not take place and has hours; keep off = true or hours")
    if not one["off"] and one["shift"] is None and one["stop"] is None:
        report.add(one.path, "says nothing; add off = true, or shift = ... or stop = ... with hours = ...")
    elif not one["off"] and "hours" not in one.given:
        report.add(one.path, "says no hours; add hours = ..., or off = true")
    same = [
        other
        for other in calendar["exception"]
        if (other["on"], other["shift"], other["stop"]) == (one["on"], one["shift"], one["stop"])
    ]
    if one["on"] is not None and one is not same[0]:
        report.add(one.at("on"), "is an exception already; keep one of them", see=same[0].at("on"))
    if one["shift"] is not None and one["hours"] and one["on"] is not None:
        _exceptional_overlap(one, calendar, report)


def _exceptional_overlap(one: Node, calendar: Node, report: Report) -> None:
    """Of two shifts at once nobody could say which a part belongs to."""
    day = date.fromisoformat(one["on"]).toordinal()
    begin, end = _span(day, one["hours"])
    others = [other for other in calendar["exception"] if other["on"] is not None]
    for number in range(day - 1, day + 2):
        told = [other for other in others if date.fromisoformat(other["on"]).toordinal() == number]
        closed = any(other["off"] and other["shift"] is None and other["stop"] is None for other in told)
        for shift in calendar["shift"]:
            own = [other for other in told if other["shift"] is not None and other["shift"] == shift["id"]]
            if one in own or any(other["off"] for other in own):
                continue
            hours = own[0]["hours"] if own else shift["hours"]
            if not hours or not shift["days"] or (not own and (closed or (number - 1) % 7 not in shift["days"])):
                continue
            first, last = _span(number, hours)
            if first < end and begin < last:
                report.add(one.at("hours"), f'overlaps the shift "{shift["id"]}" on that day; change the hours of one')
                return


def _span(day: int, hours: tuple[int, int]) -> tuple[int, int]:
    begin = day * DAY_S + hours[0]
    return begin, begin + ((hours[1] - hours[0]) % DAY_S or DAY_S)


def _overlaps(calendar: Node, report: Report) -> None:
    spans: list[tuple[int, int, Node]] = []
    for shift in calendar["shift"]:
        if shift["hours"] and shift["days"]:
            start, end = shift["hours"]
            length = (end - start) % DAY_S or DAY_S
            spans += [(day * DAY_S + start, day * DAY_S + start + length, shift) for day in shift["days"]]
    spans.sort(key=lambda span: span[0])
    # After Sunday comes Monday: the week is looked at twice.
    twice = spans + [(start + WEEK_S, end + WEEK_S, shift) for start, end, shift in spans]
    told: set[tuple[Path, Path]] = set()
    for i, (_, end, shift) in enumerate(spans):
        for later, _, other in twice[i + 1 : i + len(spans)]:
            first, second = sorted((shift, other), key=lambda node: node.path)
            if later >= end or (first.path, second.path) in told:
                continue
            told.add((first.path, second.path))
            when = f"{WEEKDAYS[later // DAY_S % 7]} {later % DAY_S // 3600:02d}:{later % 3600 // 60:02d}"
            names = "itself" if first is second else f'the shift "{first["id"]}"'
            see = None if first is second else first.at("hours")
            report.add(second.at("hours"), f"overlaps {names} on {when}; change their days or hours", see=see)


def _planned_stop(stop: Node, report: Report) -> None:
    def add(key: str, message: str) -> None:
        report.add(stop.at(key), message)

    # A lone `to` is a try at from and to.
    dated = "from" if "from" in stop.given else "to"
    ways = [name for name in ("weekly", "hours", dated) if name in stop.given]
    if not ways:
        report.add(stop.path, "says no time; add weekly = ..., hours = ... or from = ... and to = ...")
    for name in ways[1:]:
        add(name, f"{ways[0]} already says when; keep one of them, or make it a stop of its own")
    if "days" in stop.given and "hours" not in stop.given:
        add("days", "needs hours beside it; add hours, or use weekly")
    if "from" in stop.given and "to" not in stop.given:
        add("to", "is missing; add the end of the stop")
    if "to" in stop.given and "from" not in stop.given:
        add("from", "is missing; add the start of the stop")
    if stop["hours"] is not None and stop["hours"][0] == stop["hours"][1]:
        add("hours", "the stop is empty; write two different times")
    if stop["from"] and stop["to"] and stop["from"] >= stop["to"]:
        add("to", "is not after from; correct one of them")
