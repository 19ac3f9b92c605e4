"""The plant as a text tree: what the twin understood of a plant file, and the memory it will take."""

from typing import Final

from kernels.codes import N_COLUMNS
from twin.plant.memory import ring_slots, window_bytes
from twin.plant.model import Calendar, Line, Plant, Product, Station
from twin.plant.topology import Link, flow_order, links
from twin.time.duration import duration_text

# Areas of a summary; the others together in one row.
MOST_AREAS: Final = 50


def tree(plant: Plant) -> str:
    """Site, areas, lines; stations in the order of flow, each with the buffer behind it; windows and their memory."""
    areas: dict[str, list[Line]] = {}
    for line in plant.lines:
        areas.setdefault(line.area, []).append(line)
    blocks = [_under(area, [_line(line) for line in lines]) for area, lines in areas.items()]
    return "\n".join(_under(_head(plant), blocks)) + "\n"


def summary(plant: Plant) -> str:
    """Site and areas with what they hold, a row each: what a plant of thousands of lines can show at once."""
    areas: dict[str, list[Line]] = {}
    for line in plant.lines:
        areas.setdefault(line.area, []).append(line)
    shown = [*areas][:MOST_AREAS]
    blocks = [[_area(area, areas[area])] for area in shown]
    if len(areas) > len(shown):
        left = [line for area in [*areas][MOST_AREAS:] for line in areas[area]]
        blocks.append([_area(_count(len(areas) - len(shown), "more area"), left)])
    return "\n".join(_under(_head(plant), blocks)) + "\n"


def _area(name: str, lines: list[Line]) -> str:
    kinds = ", ".join(sorted({line.type for line in lines}))
    stations = _count(sum(len(line.stations) for line in lines), "station")
    size = _size(sum(window_bytes(line) for line in lines))
    return f"{name}  {_count(len(lines), 'line')} ({kinds}), {stations}, windows {size}"


def _head(plant: Plant) -> str:
    total = sum(window_bytes(line) for line in plant.lines)
    return (
        f"{plant.site}  model {plant.hash}, {_count(len(plant.lines), 'line')}, "
        f"{_count(len(plant.stations), 'station')}, windows {_size(total)}"
    )


def _under(head: str, blocks: list[list[str]]) -> list[str]:
    """`head` with the blocks hung under it; the first row of a block names it."""
    return [head, *(row for i, block in enumerate(blocks) for row in _hang(block, last=i + 1 == len(blocks)))]


def _hang(rows: list[str], *, last: bool) -> list[str]:
    first, rest = ("└─ ", "   ") if last else ("├─ ", "│  ")
    return [(rest if i else first) + row for i, row in enumerate(rows)]


def _line(line: Line) -> list[str]:
    joints = links(line)
    blocks: list[list[str]] = [[f"{_link(link)} -> {', '.join(link.before)}"] for link in joints if not link.after]
    for index in flow_order(line):
        station = line.stations[index]
        rows = [_station(station, line)]
        rows += [f"  {_link(link)} -> {_targets(link)}" for link in joints if link.id == station.output]
        blocks.append(rows)
    blocks += [[_product(product)] for product in line.products]
    blocks.append([_calendar(line.calendar)])
    if line.buffers:
        blocks.append([f"bottleneck: {line.panes} panes of {duration_text(line.pane_ns)}"])
    else:
        blocks.append(["bottleneck: none, the line has no buffers"])
    blocks.append(_windows(line))
    head = f"{line.id}  {line.type}, policy {line.policy}, rows every {duration_text(line.publish_every_ns)}"
    return _under(head, blocks)


def _station(station: Station, line: Line) -> str:
    parts = [station.id]
    if station.ideal_cycle_ns:
        parts.append(f"ideal {duration_text(station.ideal_cycle_ns)}")
    if station.fastest_cycle_ns:
        parts.append(f"fastest {duration_text(station.fastest_cycle_ns)}")
    elif station.counters and not (station.ideal_cycle_ns or any(p.ideal_cycle_ns for p in line.products)):
        parts.append("counters without a limit: add ideal_cycle or fastest_cycle")
    if station.places:
        parts.append(_count(station.places, "place"))
    if station.factor:
        of = "" if station.unit == line.unit else f" of {_fraction(station.factor)} {line.unit}"
        parts.append(f"counts {station.unit}{of}")
    if len(station.inputs) > 1:
        parts.append(f"assembles {' + '.join(station.inputs)} (each part takes one from every input)")
    if line.constraint == station.id:
        parts.append("constraint")
    return "  ".join(parts)


def _link(link: Link) -> str:
    if link.capacity is None:
        return f"{link.id} (unlimited, {link.initial} at first)"
    if link.capacity == 0:
        return f"{link.id} (direct)"
    return f"{link.id} ({_count(link.capacity, 'place')}, {link.initial} at first)"


def _targets(link: Link) -> str:
    return ", ".join(link.before) or "out of the line"


def _product(product: Product) -> str:
    cycles = [f"ideal {duration_text(ns)}" for key, ns in product.ideal_cycle_ns.items() if key == "*"]
    cycles += [f"at {key} {duration_text(ns)}" for key, ns in product.ideal_cycle_ns.items() if key != "*"]
    cycles += [f"at {key} a part is {_fraction(factor)}" for key, factor in product.factor.items()]
    return f"product {product.id}  {', '.join(cycles)}".rstrip()


def _fraction(factor: tuple[int, int]) -> str:
    return f"{factor[0]}/{factor[1]}" if factor[1] > 1 else str(factor[0])


def _calendar(calendar: Calendar) -> str:
    shifts = ", ".join(shift.id for shift in calendar.shifts) or "always in shift"
    stops = len(dict.fromkeys(stop.id for stop in calendar.planned_stops))
    planned = f"; {_count(stops, 'planned stop')}" if stops else ""
    return f"calendar {calendar.zone}: {shifts}{planned}"


def _windows(line: Line) -> list[str]:
    rows = [f"windows: {_size(window_bytes(line))} of memory"]
    for window in line.windows:
        slots = ring_slots(window) * len(line.stations)
        size = f"{slots:,} slots x {N_COLUMNS} columns x 8 bytes"
        rows.append(f"  {window.id} in steps of {duration_text(window.step_ns)}: {size}")
    return rows


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _size(size: int) -> str:
    for unit, scale in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size} bytes"
