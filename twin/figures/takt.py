"""Takt and andon.

Source: Rother and Shook, Learning to See; Ohno, Toyota Production System (fixed-position stop). Times in seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from twin.figures.exact import Number, Span, exact, exacts, length, mean, not_negative, ratio, spans, union


def takt(available_s: Number, demand: Number) -> Fraction | None:
    """Net available time (of breaks, not of breakdowns) / demand. None without demand."""
    return ratio(not_negative(available_s, "the available time"), not_negative(demand, "demand"))


@dataclass(frozen=True, slots=True)
class CycleAdherence:
    """None for the first cycle of a run and for one that spans a pause: they have no cycle time."""

    cycle_s: list[Fraction | None]
    within: list[bool | None]
    adherence: Fraction | None


def cycle_adherence(
    ends: Sequence[Number],
    takt_s: Sequence[tuple[Number, Number]],
    tolerance_s: Number = 0,
    pauses: Sequence[Sequence[Number]] = (),
) -> CycleAdherence:
    """Each cycle against the takt valid at its end: within if cycle <= takt + tolerance. `takt_s` are (from, takt).

    ValueError for ends that are not in order. Before the first takt nothing is judged.
    """
    times, tolerance, stops = exacts(ends), exact(tolerance_s), spans(pauses)
    changes = sorted((exact(t), exact(value)) for t, value in takt_s)
    cycles: list[Fraction | None] = []
    within: list[bool | None] = []
    for i, end in enumerate(times):
        cycle: Fraction | None = None
        if i:
            if end < times[i - 1]:
                raise ValueError(f"cycle {i} ends at {ends[i]}, before the one in front of it")
            if not any(start < end and stop > times[i - 1] for start, stop in stops):
                cycle = end - times[i - 1]
        valid = [value for t, value in changes if t <= end]
        cycles.append(cycle)
        within.append(None if cycle is None or not valid else cycle <= valid[-1] + tolerance)
    judged = [one for one in within if one is not None]
    return CycleAdherence(cycles, within, ratio(sum(judged), len(judged)))


@dataclass(frozen=True, slots=True)
class Andon:
    """The line stops only where a pull is not released within the fixed-position time; overlapping stops are one."""

    pulls: int
    released_in_time: int
    line_stops: list[Span]
    line_stop_s: Fraction
    response_s: dict[str, list[Fraction]]  # pull to acknowledgement by station
    mean_response_s: Fraction | None
    open: list[tuple[str, Fraction]]
    unacknowledged: int
    suspect: list[int]  # releases and acknowledgements without a pull, pulls while one is open


def andon(events: Sequence[tuple[Number, str, str]], fixed_position_s: Number, window: Sequence[Number]) -> Andon:
    """Events (time, station, pull | ack | release) in order of time, inside the window [start, end)."""
    start, end = exacts(window)
    fixed = not_negative(fixed_position_s, "the fixed-position time")
    pulled: dict[str, tuple[Fraction, bool]] = {}
    stops: list[Span] = []
    response: dict[str, list[Fraction]] = {}
    pulls = in_time = unacknowledged = 0
    suspect = []
    ordered = sorted(((exact(t), station, what, i) for i, (t, station, what) in enumerate(events)), key=lambda e: e[0])
    for t, station, what, i in ordered:
        if not start <= t < end:
            continue
        if what not in ("pull", "ack", "release"):
            raise ValueError(f"event {i} is {what!r}: expected pull, ack or release")
        if what == "pull" and station not in pulled:
            pulls += 1
            pulled[station] = (t, False)
        elif what == "ack" and station in pulled and not pulled[station][1]:
            response.setdefault(station, []).append(t - pulled[station][0])
            pulled[station] = (pulled[station][0], True)
        elif what == "release" and station in pulled:
            since, acknowledged = pulled.pop(station)
            unacknowledged += not acknowledged
            in_time += t - since <= fixed
            stops.append((since + fixed, max(t, since + fixed)))
        else:
            suspect.append(i)
    for since, acknowledged in pulled.values():
        unacknowledged += not acknowledged
        stops.append((since + fixed, max(end, since + fixed)))
    joined = union(stops)
    return Andon(
        pulls,
        in_time,
        joined,
        length(joined),
        response,
        mean([one for all_of in response.values() for one in all_of]),
        [(station, since) for station, (since, _) in pulled.items()],
        unacknowledged,
        suspect,
    )
