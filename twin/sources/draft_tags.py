"""Drafts of tables in which a name says whose value it is: a column per tag, or a row per value."""

import itertools
import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from twin.sources.draft_plant import Drafter
from twin.sources.draft_rows import MANY, DraftRows
from twin.sources.roles import counts_on, may_count_on, role_of, whole_numbers
from twin.sources.sniff import quoted

_RUNS = ("running", "isrunning", "inmotion", "runstatus")  # a tag that is true while the machine runs
_ROLES = ("state", "good", "scrap", "rework", "speed")
_ENOUGH = 20  # rows that rise are a counter; of fewer each may have more parts than the one before
Mask = npt.NDArray[np.bool_]


def parts_of(name: str) -> tuple[str, str, str] | None:
    """A name as (text before the role, role, text behind it): `Line/Press1_Good Count` is of Line/Press1."""
    pieces = list(re.finditer(r"[^\W_]+", name))
    for k in range(len(pieces) - 1, -1, -1):
        first = pieces[k - 1] if k else None
        # Two words for one thing, with nothing but a blank or an underscore between them: Good Count, Reject_Total.
        if first is not None and name[first.end() : pieces[k].start()] in (" ", "_") and role_of(first[0], _ROLES):
            role = role_of(f"{first[0]} {pieces[k][0]}", _ROLES)
            if role and role_of(pieces[k][0], _ROLES) and role != "state":
                return name[: first.start()], role, name[pieces[k].end() :]
        role = "state" if pieces[k][0].lower() in _RUNS else role_of(pieces[k][0], _ROLES)
        if role:
            return name[: pieces[k].start()], role, name[pieces[k].end() :]
    return None


def wide_columns(rows: DraftRows) -> dict[str, dict[str, str]]:
    """Station -> role -> column, where columns of several stations are called alike."""
    found: dict[str, dict[str, str]] = {}
    for name in rows.names:
        parts = parts_of(name)
        if parts is None:
            continue
        station = (parts[0] + parts[2]).strip(" _.:-/")
        if station:
            found.setdefault(station, {}).setdefault(parts[1], name)
    alike = {station: own for station, own in found.items() if "state" in own or "speed" in own or len(own) > 1}
    return alike if len(alike) > 1 else {}


def wide_rules(drafter: Drafter, rows: DraftRows, wide: dict[str, dict[str, str]]) -> None:
    # What stands before the last slash is where all of them are.
    paths = {name.rpartition("/")[0] for name in wide}
    lead = f"{paths.pop()}/" if len(paths) == 1 else ""
    for name, columns in wide.items():
        station = name.removeprefix(lead)
        own = f"station = {quoted(station)}"
        if "state" in columns:
            drafter.station(station).words.update(filter(None, rows.cells(columns["state"])))
            drafter.event("state", own, f"state = {{ column = {quoted(columns['state'])} }}")
        for quality in ("good", "scrap", "rework"):
            if quality in columns and rows.whole(columns[quality]) is not None:
                count(drafter, rows, station, columns[quality], quality, quality, own)
    sampled(drafter, rows)


def count(
    drafter: Drafter,
    rows: DraftRows,
    station: str,
    column: str,
    name: str,
    quality: str,
    *more: str,
    running: bool = True,
    stations: Sequence[tuple[str, Mask]] = (),
) -> None:
    """A count rule for a column of whole numbers: a counter, or parts of the row. `stations`: whose the rows are, where
    they are of several; machines that take turns have a counter each, and one column of all of them rises and falls.
    """
    cells, numbers = rows.cells(column), rows.found.form.numbers
    owned = stations or [(station, np.ones(len(cells), bool))]
    series = [whole_numbers(list(itertools.compress(cells, own)), numbers) for _, own in owned]
    judged = [counts_on(one) for one in series if one is not None and (len(one) >= 3 or len(series) == 1)]
    counter = running and bool(judged) and all(judged)
    if counter:
        drafter.station(station).counters.setdefault(name, quality)
        few = max(len(one) for one in series if one is not None) < _ENOUGH
        mark = "  # look: a running counter, or parts of the row?" if few else ""
        drafter.event("count", *more, f"counter = {quoted(name)}{mark}", f"value = {{ column = {quoted(column)} }}")
        if few:
            drafter.edit.append(
                f"mapping.toml: whether {column} are parts of the row or a running counter: few rows tell"
            )
        if quality == "total":
            drafter.edit.append(f"plant.toml: whether {column} counts all parts, with the scrap and rework beside it")
    else:
        unsure = ""
        if running and any(judged):
            unsure = ": it counts on at some stations only"
        elif running and any(one is not None and may_count_on(one) for one in series):
            unsure = ": it rises nearly always, as a counter does that begins anew each shift"
        parts = "good" if quality == "total" else quality
        mark = "  # look: parts of the row, or a running counter?" if unsure else ""
        drafter.event("count", *more, f"{parts} = {{ column = {quoted(column)} }}{mark}")
        if unsure:
            drafter.edit.append(f"mapping.toml: whether {column} are parts of the row or a running counter{unsure}")
        if quality == "total":
            drafter.edit.append(f"mapping.toml: whether the scrap is among {column}: all of them count as good here")
    if quality in ("good", "total"):
        for name_of, own in owned:
            one = drafter.station(name_of)
            one.cycle_s = _pace(rows, column, own, counter) or one.cycle_s


def _pace(rows: DraftRows, column: str, own: Mask, counter: bool) -> float | None:
    cells = list(itertools.compress(rows.cells(column), own))
    numbers = rows.found.form.numbers
    values = np.array([float(n) if (n := numbers.read(cell)) is not None else np.nan for cell in cells])
    times = rows.times()[: len(own)][own].astype(float) / 1e9
    if counter:
        moved = np.flatnonzero(np.diff(values, prepend=np.nan) != 0)
        values, times = values[moved], times[moved]
        made = np.diff(values)
    else:
        made = values[1:]
    steps = np.diff(times)
    fine = (made > 0) & (steps > 0)
    return float(f"{np.quantile(steps[fine] / made[fine], 0.1):.3g}") if fine.sum() >= 5 else None


def sampled(drafter: Drafter, rows: DraftRows, stations: str | None = None) -> None:
    hold = rows.hold_s(stations)
    if hold is not None:
        drafter.rules.insert(0, f'\n[sample]\nhold = "{hold:.9g}s"\ntolerance = "{hold / 2:.9g}s"')


def tag_columns(rows: DraftRows) -> tuple[str, str] | None:
    """The columns of the tag and of its value, by their names, else by what they hold."""
    tag, value = rows.role("tag"), rows.role("value")
    if tag and value:
        return (tag, value) if len(set(rows.cells(tag))) > 1 else None
    tags = [name for name in rows.names if _are_tags(set(rows.cells(name)))]
    if len(tags) != 1:
        return None
    kinds = {
        name: len(set(rows.cells(name))) for name in rows.names if name != tags[0] and rows.whole(name) is not None
    }
    return (tags[0], max(kinds, key=lambda name: kinds[name])) if kinds else None


def _are_tags(cells: set[str]) -> bool:
    parted = [parts for cell in cells if re.search(r"\w[._/:\\]\w", cell) and (parts := parts_of(cell)) and parts[0]]
    return 1 < len(cells) <= 20 * MANY and len(parted) > len(cells) / 2


def quality_of(rows: DraftRows, value: str) -> tuple[str, str] | None:
    """The column that says whether a value is good, and the word that does."""
    for name in rows.names:
        if name == value or name in rows.used:
            continue
        kinds = sorted(set(rows.cells(name)) - {""})
        named = role_of(name, ("quality",)) == "quality"
        for good in ("192", "1", "GOOD", "Good", "good", "True", "true"):
            if good in kinds and (named or good == "192") and len(kinds) <= 12:
                return name, good
    return None


def draft_tags(drafter: Drafter, rows: DraftRows, tag: str, value: str) -> None:
    rows.used |= {tag, value}
    quality = quality_of(rows, value)
    if quality is not None and len(set(rows.cells(quality[0]))) > 1:
        good = quality[1] if quality[1].isdigit() else quoted(quality[1])
        drafter.head.append(f"keep = {{ column = {quoted(quality[0])}, equals = {good} }}")
    good_rows = np.array(rows.cells(quality[0])) == quality[1] if quality is not None else None
    cells, values = rows.cells(tag), rows.cells(value)
    if good_rows is not None:
        cells = [cell for cell, ok in zip(cells, good_rows, strict=True) if ok]
        values = [cell for cell, ok in zip(values, good_rows, strict=True) if ok]
    series: dict[str, list[str]] = {}
    for name, cell in zip(cells, values, strict=True):
        series.setdefault(name, []).append(cell)
    shapes: dict[tuple[str, str, str], list[str]] = {}
    left: dict[str, list[str]] = {}
    for name in sorted(series):
        pieces = list(re.finditer(r"[^\W_]+", name))
        parts = parts_of(name)
        if parts is None or len(pieces) < 2:
            left.setdefault(re.split(r"[./:\\_]", name)[-1], []).append(name)
            continue
        before = parts[0].rstrip("._/ -:[]")
        split = max(before.rfind(mark) for mark in "./:\\]") + 1
        shapes.setdefault((name[:split], parts[1], name[len(before) :]), []).append(before[split:])
    if not any(role == "good" for _, role, _ in shapes):
        _good_of_left(shapes, left, series, rows)
    for (lead, role, tail), stations in shapes.items():
        form = f"station = {{ column = {quoted(tag)}, pattern = {quoted(lead + '{}' + tail)} }}"
        own = {one: series[f"{lead}{one}{tail}"] for one in stations}
        for station in stations:
            drafter.station(station)
            if role == "state":
                drafter.station(station).words.update(filter(None, own[station]))
        if role == "state":
            drafter.event("state", form, f"state = {{ column = {quoted(value)} }}")
            continue
        numbers = [whole_numbers(one, rows.found.form.numbers) for one in own.values()]
        if role == "speed" or any(one is None for one in numbers):
            continue
        if all(one is not None and _runs_on(one) for one in numbers):
            for station in stations:
                drafter.station(station).counters.setdefault(role, role)
            drafter.event("count", form, f"counter = {quoted(role)}", f"value = {{ column = {quoted(value)} }}")
        else:
            drafter.event("count", form, f"{role} = {{ column = {quoted(value)} }}")
            drafter.edit.append(f"mapping.toml: whether {lead}*{tail} are parts of the row or a running counter")
    # A count that is told each minute makes no sample of a state that is told when it changes.
    states = {f"{lead}{one}{tail}" for (lead, role, tail), some in shapes.items() if role == "state" for one in some}
    if rows.regular(tag, states):
        sampled(drafter, rows)
    else:
        # Values come when they change: a station may be still for as long as the log has it.
        drafter.staleness_s = rows.longest_s(tag)
    used = {f"{lead}{one}{tail}" for (lead, _, tail), stations in shapes.items() for one in stations}
    drafter.left_out(sorted(set(series) - used))


def _runs_on(values: npt.NDArray[np.int64]) -> bool:
    """Whether they are readings of a counter, told by every sample or only when it has moved."""
    return counts_on(values) or (len(values) >= 4 and bool((np.diff(values) > 0).all()))


def _good_of_left(
    shapes: dict[tuple[str, str, str], list[str]],
    left: dict[str, list[str]],
    series: dict[str, list[str]],
    rows: DraftRows,
) -> None:
    """Tags of no known word that count on, one for each station: most likely the good parts."""
    for tail, names in left.items():
        numbers = [whole_numbers(series[name], rows.found.form.numbers) for name in names]
        if all(one is not None and _runs_on(one) for one in numbers):
            for name in names:
                before = name[: -len(tail)].rstrip("._/:\\")
                split = max(before.rfind(mark) for mark in "./:\\]") + 1
                shapes.setdefault((name[:split], "good", name[len(before) :]), []).append(before[split:])
            return
