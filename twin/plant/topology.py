"""Stations joined by buffers: the order of flow, and loops in which nothing can ever move."""

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass

from twin.plant.model import Line


@dataclass(frozen=True, slots=True)
class Link:
    """A buffer with the stations around it. `capacity` None is unlimited."""

    id: str
    after: tuple[str, ...]
    before: tuple[str, ...]
    capacity: int | None
    initial: int


def links(line: Line) -> tuple[Link, ...]:
    return tuple(
        Link(
            buffer.id,
            tuple(s.id for s in line.stations if s.output == buffer.id),
            tuple(s.id for s in line.stations if buffer.id in s.inputs),
            buffer.capacity,
            buffer.initial,
        )
        for buffer in line.buffers
    )


def same_flow(one: Line, other: Line) -> bool:
    """Whether parts flow through both the same way, and their critical path is cut into the same panes."""
    return _flow(one) == _flow(other)


def _flow(line: Line) -> tuple[object, ...]:
    stations = tuple((s.id, s.inputs, s.output, s.places) for s in line.stations)
    return stations, tuple(buffer.id for buffer in line.buffers), line.pane_ns


def peers(line: Line) -> list[list[int]]:
    """Per station the indices of those that work in parallel with it: with the same inputs and the same output."""
    linked = [(frozenset(s.inputs), s.output) for s in line.stations]
    alone: tuple[frozenset[str], str | None] = (frozenset(), None)
    return [[k for k, other in enumerate(linked) if k != i and other == mine != alone] for i, mine in enumerate(linked)]


def at_the_end(line: Line) -> set[str]:
    """Ids of the stations by which parts leave the line: the last, and those that put their parts where it does."""
    last = line.stations[-1]
    found = {last.id, *(line.stations[k].id for k in peers(line)[-1])}
    if last.output is not None:
        found |= {s.id for s in line.stations if s.output == last.output}
    return found


def flow_order(line: Line) -> list[int]:
    """Indices of the line's stations, each behind those it gets parts from; else in the order of the file.

    A loop is cut where the file names its first station.
    """
    index = {station.id: i for i, station in enumerate(line.stations)}
    sources: dict[int, set[int]] = {i: set() for i in index.values()}
    for link in links(line):
        for station in link.before:
            sources[index[station]].update(index[other] for other in link.after if other != station)
    order: list[int] = []
    waiting = sorted(sources)
    while waiting:
        done = set(order)
        chosen = next((i for i in waiting if sources[i] <= done), waiting[0])
        order.append(chosen)
        waiting.remove(chosen)
    return order


def starved_loops(joints: Sequence[Link]) -> list[list[int]]:
    """Loops (indices of links) without a part in them that no part can ever enter.

    A station needs a part from each of its inputs. A loop that some station outside can feed is sound without a part.
    """
    shut = {i for i, link in enumerate(joints) if link.initial == 0 and link.after}
    return _loops(joints, shut)


def full_loops(joints: Sequence[Link]) -> list[list[int]]:
    """Loops (indices of links) without a free place in any buffer that no part can ever leave."""
    shut = {i for i, link in enumerate(joints) if link.capacity == link.initial and link.before}
    backward = [Link(link.id, link.before, link.after, link.capacity, link.initial) for link in joints]
    return [loop[::-1] for loop in _loops(backward, shut)]


def _loops(joints: Sequence[Link], shut: set[int]) -> list[list[int]]:
    """One loop at a time; each is then taken as open, so that what lies behind it is not blamed as well."""
    found = []
    while stuck := _stuck(joints, shut):
        loop = _loop(joints, stuck)
        found.append(loop)
        shut = stuck - set(loop)
    return found


def _stuck(joints: Sequence[Link], shut: set[int]) -> set[int]:
    """Links that stay shut: a station opens its outputs once none of its inputs is shut."""
    stuck = set(shut)
    waiting = Counter(station for i in stuck for station in joints[i].before)
    outputs: dict[str, list[int]] = {}
    for i, link in enumerate(joints):
        for station in link.after:
            outputs.setdefault(station, []).append(i)
    ready = deque(station for station in outputs if not waiting[station])
    while ready:
        for i in outputs[ready.popleft()]:
            if i not in stuck:
                continue
            stuck.remove(i)
            for station in joints[i].before:
                waiting[station] -= 1
                if not waiting[station] and station in outputs:
                    ready.append(station)
    return stuck


def _loop(joints: Sequence[Link], stuck: set[int]) -> list[int]:
    """Go upstream through stuck links until one comes again: every one of them has a stuck one before it."""
    into: dict[str, int] = {station: i for i in sorted(stuck) for station in joints[i].before}
    way = [min(stuck)]
    while (upstream := into[joints[way[-1]].after[0]]) not in way:
        way.append(upstream)
    return way[way.index(upstream) :][::-1]
