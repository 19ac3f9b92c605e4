"""Which rule each row owes its change to: `python -m tests.attribution OLD_ROOT NEW_ROOT`.

The rows of one log, made by an older version and by this one, are compared as multisets in the columns that both have.
Each row that is gone or new is attributed to the one rule of `twin.rules` whose sentence explains it, cell by cell:
written down here from the docs, not from the kernels. What no rule explains is printed, and the exit code is 1.

An old "root" may also be a folder of `SET.parquet` (tests/data/attribution).
"""

import argparse
import itertools
import json
import math
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from kernels import codes
from tests.naive import factors
from twin.results import IDENTITY, ORIGIN
from twin.rules import HISTORY

Row = dict[str, Any]  # times as integers, ns

COMPARED: Final = ("states", "kpis", "bottlenecks", "alerts", "rejected")
LEFT_OUT: Final = {"model", "line_model", *ORIGIN}
RATIOS: Final = ("availability", "performance", "quality", "oee", "suspect", "ote")
STOPS: Final = ("minor_stop", "down")
HIDING: Final = ("unknown", "off_shift", "planned_stop", "no_order")
SILENCE_NS: Final = 92 * 86_400 * 10**9
S: Final = 10**9


# Reading
def rows_of(root: Path) -> dict[str, list[Row]]:
    """All rows of each set, as they lie there."""
    return {name: _rows_of(root, name) for name in (*COMPARED, "events")}


def _rows_of(root: Path, set_name: str) -> list[Row]:
    rows: list[Row] = []
    for path in sorted([*root.glob(f"{set_name}.parquet"), *root.glob(f"{set_name}/**/*.parquet")]):
        table = pq.ParquetFile(path).read()
        for place, name in enumerate(table.column_names):
            if pa.types.is_timestamp(table.schema.field(name).type):
                table = table.set_column(place, name, table.column(name).cast(pa.int64()))
        rows += table.to_pylist()
    return rows


def lines_of(root: Path) -> list[dict[str, Any]]:
    """The models of the lines, as they lie there."""
    return [line for path in sorted(root.glob("_models/*.json")) for line in json.loads(path.read_text())["lines"]]


def differences(old: list[Row], new: list[Row]) -> tuple[list[Row], list[Row]]:
    """The rows that are gone and those that are new, in the columns that both have."""
    if not old or not new:
        return old, new
    names = [name for name in new[0] if name in old[0] and name not in LEFT_OUT]
    was, now = (Counter(tuple(row[name] for name in names) for row in rows) for rows in (old, new))
    gone, came = was - now, now - was
    return [dict(zip(names, cells, strict=True)) for cells in gone.elements()], [
        dict(zip(names, cells, strict=True)) for cells in came.elements()
    ]


# Stops
@dataclass(frozen=True)
class Stop:
    parts: tuple[Row, ...]  # its rows, with those of the time that something cut out of it

    @property
    def start(self) -> int:
        return int(self.parts[0]["start"])

    @property
    def end(self) -> int:
        return int(self.parts[-1]["end"])

    @property
    def seen(self) -> list[Row]:
        return [part for part in self.parts if part["class"] in STOPS]


def whole_stops(rows: Iterable[Row], words: dict[str, str]) -> Iterator[Stop]:
    """The stops of one station by the rule: until it says something else; what hides a stop ends nothing."""
    parts: list[Row] = []
    for row in rows:
        said = words.get(row["state"], "unknown")
        goes_on = bool(parts) and row["start"] == parts[-1]["end"]
        if goes_on and row["class"] in STOPS:
            goes_on = said == words.get(parts[0]["state"], "unknown")
        elif goes_on:
            goes_on = row["class"] in HIDING and said in ("unknown", words.get(parts[0]["state"], "unknown"))
        if parts and not goes_on:
            yield Stop(tuple(parts))
            parts = []
        if goes_on or row["class"] in STOPS:
            parts.append(row)
    if parts:
        yield Stop(tuple(parts))


def seen_stops(rows: Iterable[Row]) -> Iterator[Stop]:
    """The stops of one station before that rule: whatever cuts one ends it."""
    parts: list[Row] = []
    for row in rows:
        if parts and (row["class"] != parts[-1]["class"] or row["start"] != parts[-1]["end"]):
            yield Stop(tuple(parts))
            parts = []
        if row["class"] in STOPS:
            parts.append(row)
    if parts:
        yield Stop(tuple(parts))


def overlap(row: Row, start: int, end: int) -> int:
    return max(0, min(int(row["end"]), end) - max(int(row["start"]), start))


def same(one: Row, other: Row, *but: str) -> bool:
    return all(one[name] == other[name] for name in one if name not in but)


def groups(gone: list[Row], new: list[Row]) -> Iterator[tuple[list[Row], list[Row]]]:
    """States rows that changed, by the time they share: apart where old and new rows both have a cut."""
    told = sorted(
        [(row, False) for row in gone] + [(row, True) for row in new],
        key=lambda each: (each[0]["line"], each[0]["station"], each[0]["start"]),
    )
    sides: tuple[list[Row], list[Row]] = [], []
    place, until = None, 0
    for row, is_new in told:
        if (row["line"], row["station"]) != place or row["start"] >= until:
            if place is not None:
                yield sides
            sides, place, until = ([], []), (row["line"], row["station"]), 0
        sides[is_new].append(row)
        until = max(until, row["end"])
    if place is not None:
        yield sides


def tiles(rows: Sequence[Row]) -> tuple[int, int] | None:
    """From where to where the rows go without a hole; None: they do not."""
    if not rows or any(one["end"] != other["start"] for one, other in itertools.pairwise(rows)):
        return None
    return rows[0]["start"], rows[-1]["end"]


class Attribution:
    """One log's rows under two versions, and the rule of each row that differs."""

    def __init__(self, old: dict[str, list[Row]], new: dict[str, list[Row]], lines: list[dict[str, Any]]):
        self.rows = {name: (old[name], new[name]) for name in COMPARED}
        self.diff = {name: differences(*rows) for name, rows in self.rows.items()}
        self.events = new["events"]
        self.former_events = old["events"]  # of a reduced root each line's last one
        self.model = {line["id"]: line for line in lines}
        self.counts: Counter[tuple[str, str, str]] = Counter()  # of (set, rule, "gone" or "new")
        self.unexplained: list[tuple[str, str, Row]] = []
        self.moved: list[Row] = []  # states rows that whole_stops made `down`
        self._states()
        self._kpis()
        self._alerts()
        for name in ("bottlenecks", "rejected"):
            for side, rows in zip(("gone", "new"), self.diff[name], strict=True):
                self.unexplained += [(name, side, row) for row in rows]

    def _told(self, set_name: str, rule: str | None, gone: Sequence[Row] = (), new: Sequence[Row] = ()) -> None:
        if rule is None:
            self.unexplained += [(set_name, "gone", row) for row in gone] + [(set_name, "new", row) for row in new]
            return
        assert any(each.name == rule and set_name in each.sets for each in HISTORY), (rule, set_name)
        self.counts[set_name, rule, "gone"] += len(gone)
        self.counts[set_name, rule, "new"] += len(new)

    def _limits(self, line: str, station: str) -> tuple[int, dict[str, str]]:
        """Length from which a stop is down (ns), and what the source's words mean."""
        found = next(each for each in self.model[line]["stations"] if each["id"] == station)
        names = dict(enumerate(codes.CLASS_NAMES))
        return found["minor_stop_ns"], {word: names.get(code, "stopped") for word, code in found["states"].items()}

    @cached_property
    def _stops(self) -> dict[tuple[str, str], tuple[list[Stop], list[Stop]]]:
        """By line and station the stops by the former rule and by today's."""
        sides: list[dict[tuple[str, str], list[Row]]] = [{}, {}]
        for side, rows in zip(sides, self.rows["states"], strict=True):
            for row in sorted(rows, key=lambda each: each["start"]):
                side.setdefault((row["line"], row["station"]), []).append(row)
        return {
            place: (list(seen_stops(sides[0].get(place, []))), list(whole_stops(rows, self._limits(*place)[1])))
            for place, rows in sides[1].items()
        }

    def _whole(self, row: Row) -> Stop | None:
        """The whole stop that this row is a part of."""
        stops = self._stops.get((row["line"], row["station"]), ((), ()))[1]
        return next((stop for stop in stops if any(part["start"] == row["start"] for part in stop.seen)), None)

    # Silence
    @cached_property
    def _silences(self) -> list[tuple[str, int, int]]:
        """Of each line the spans of more than 92 days without an event."""
        heard: dict[str, list[int]] = {}
        for event in self.events:
            heard.setdefault(event["line"], []).append(event["ts"])
        return [
            (line, last, following)
            for line, times in heard.items()
            for last, following in itertools.pairwise(sorted(times))
            if following - last > SILENCE_NS
        ]

    # States
    def _states(self) -> None:
        for gone, new in groups(*self.diff["states"]):
            rule = next((name for name, explains in self._OF_STATES.items() if explains(self, gone, new)), None)
            self._told("states", rule, gone, new)
            if rule == "whole_stops":
                self.moved += new

    def _part_of_a_whole_stop(self, gone: list[Row], new: list[Row]) -> bool:
        """The same row, down instead of minor_stop: short by itself, not as a whole."""
        if len(gone) != 1 or len(new) != 1 or not same(gone[0], new[0], "class"):
            return False
        whole, (limit, words) = self._whole(new[0]), self._limits(new[0]["line"], new[0]["station"])
        return (
            (gone[0]["class"], new[0]["class"], words[new[0]["state"]]) == ("minor_stop", "down", "stopped")
            and whole is not None
            and new[0]["end"] - new[0]["start"] < limit <= whole.end - whole.start
        )

    def _unplanned_silence(self, gone: list[Row], new: list[Row]) -> bool:
        """One row until the next event, where the calendar cut the silence into several from its 92nd day on."""
        span = tiles(gone)
        if span is None or len(new) != 1 or span != (new[0]["start"], new[0]["end"]) or len(gone) < 2:
            return False
        planned = [row for row in gone if row["class"] in ("planned_stop", "off_shift")]
        return bool(planned) and any(
            line == new[0]["line"]
            and following == new[0]["end"]
            and all(row["end"] - last > SILENCE_NS for row in planned)
            and all(same(row, new[0], "start", "end") for row in gone if row not in planned)
            for line, last, following in self._silences
        )

    def _parts_by_reason(self, gone: list[Row], new: list[Row]) -> bool:
        """One row, now cut where the reason changed. The last part has the reason that the whole row had."""
        return (
            len(gone) == 1
            and len(new) > 1
            and tiles(new) == (gone[0]["start"], gone[0]["end"])
            and all(same(gone[0], row, "start", "end", "reason") for row in new)
            and all(one["reason"] != other["reason"] for one, other in itertools.pairwise(new))
            and new[-1]["reason"] == gone[0]["reason"]
        )

    _OF_STATES: Final[dict[str, Callable[["Attribution", list[Row], list[Row]], bool]]] = {
        "whole_stops": _part_of_a_whole_stop,
        "schedule_in_silence": _unplanned_silence,
        "reason_of_each_part": _parts_by_reason,
    }

    # Key figures
    def _kpis(self) -> None:
        names = [name for name in IDENTITY["kpis"] if name not in LEFT_OUT]
        gone, new = ({tuple(row[name] for name in names): row for row in rows} for rows in self.diff["kpis"])
        assert (len(gone), len(new)) == tuple(map(len, self.diff["kpis"])), "two rows of one identity"
        for key in gone.keys() & new.keys():
            was, now = gone.pop(key), new.pop(key)
            self._told("kpis", "whole_stops" if self._of_whole_stops(was, now) else None, [was], [now])
        for was in list(gone.values()):
            found = [row for row in new.values() if self._begins_after_silence(was, row)]
            if len(found) == 1:
                self._told("kpis", "schedule_in_silence", [was], found)
                del gone[tuple(was[name] for name in names)], new[tuple(found[0][name] for name in names)]
        for row in gone.values():
            self._told("kpis", "end_of_log" if self._at_the_end(row, is_new=False) else None, gone=[row])
        for row in new.values():
            self._told("kpis", "end_of_log" if self._at_the_end(row, is_new=True) else None, new=[row])

    def _of_whole_stops(self, was: Row, now: Row) -> bool:
        """Time moved as in the states rows, stops count where the whole one begins, and nothing else is different."""
        place = now["line"], now["station"] or now["constraint"]
        moved = sum(
            overlap(row, now["start"], now["end"]) for row in self.moved if (row["line"], row["station"]) == place
        )
        former, whole = self._stops.get(place, ([], []))
        counted = [
            sum(stop.seen[0]["class"] == klass and now["start"] <= stop.seen[0]["start"] < now["end"] for stop in stops)
            for stops in (former, whole)
            for klass in STOPS
        ]
        cells = ("minor_stop_ns", "down_ns", "minor_stops", "downs")
        return (
            same(was, now, *cells, *RATIOS)
            and now["down_ns"] - was["down_ns"] == was["minor_stop_ns"] - now["minor_stop_ns"] == moved
            and (moved > 0 or counted[:2] != counted[2:])
            and [was["minor_stops"], was["downs"], now["minor_stops"], now["downs"]] == counted
            and self._ratios(was)
            and self._ratios(now)
        )

    def _ratios(self, row: Row) -> bool:
        """The ratios of the row are those of its integers.

        The OTE of a line of one station is its OEE, where the line has a product and so a rate.
        """
        found = factors(_vector(row), row["policy"])
        exact = [found.availability, found.performance, found.quality, found.oee]
        if row["station"] is None and len(self.model[row["line"]]["stations"]) == 1:
            exact.append(found.oee if row["product"] is not None else None)
        elif row["ote"] is not None:
            return False  # of a longer line: no predicate says it
        told = [row[name] for name in ("availability", "performance", "quality", "oee", "ote")]
        over = found.performance is not None and found.performance > 1
        return row["suspect"] == over and all(
            cell is None if value is None else cell is not None and math.isclose(cell, value, rel_tol=1e-12)
            for cell, value in zip(told, [*exact, *[None] * (5 - len(exact))], strict=True)
        )

    def _begins_after_silence(self, was: Row, now: Row) -> bool:
        """A day or shift that begins with the event after the silence; the time before is cut from no_order.

        What the row has else is as before, but for a stop of before the silence, which is a part of a whole one.
        """
        if was["window"] not in ("day", "shift") or not any(
            (line, following) == (now["line"], now["start"]) for line, _, following in self._silences
        ):
            return False
        cut = now["start"] - was["start"]
        as_before = dict(now, start=was["start"], no_order_ns=now["no_order_ns"] + cut)
        before = [row for row in self.rows["states"][0] if overlap(row, was["start"], now["start"])]
        place = now["line"], now["station"] or now["constraint"]
        silent = sum(
            overlap(row, was["start"], now["start"])
            for row in before
            if (row["line"], row["station"]) == place and row["class"] == "no_order"
        )
        return (
            cut == silent
            and as_before["end"] == was["end"]
            and (same(was, as_before) or self._of_whole_stops(was, as_before))
        )

    # The end of a log
    def _closings(self, line: str) -> tuple[int, int]:
        """Where the log ended before and ends now, less the lateness (ns); now it has to be as the rule says."""
        model, times = self.model[line], [event for event in self.events if event["line"] == line]
        now = max(event["ts"] for event in times)
        # A file of events has no column that no row fills.
        newest = max(event["ts"] for event in times if event.get("reason") != "end of log")
        tick = (newest // model["publish_every_ns"] + 1) * model["publish_every_ns"]
        stops = {0, *(station["minor_stop_ns"] for station in model["stations"])}
        assert now - model["lateness_ns"] - tick in stops, f"{line} does not end at a publishing tick"
        former = max(event["ts"] for event in self.former_events if event["line"] == line)
        return former - model["lateness_ns"], now - model["lateness_ns"]

    def _at_the_end(self, row: Row, *, is_new: bool) -> bool:
        """The row ends between the two ends of the log, and all its time has a class."""
        former, now = self._closings(row["line"])
        low, high = (former, now) if is_new else (now, former)
        return bool(low < row["end"] <= high) and sum(_vector(row)[: codes.N_CLASSES]) == row["end"] - row["start"]

    # Alerts
    def _alerts(self) -> None:
        for is_new, rows in enumerate(self.diff["alerts"]):
            for row in rows:
                explained = row["kind"] == "down" and self._alert_of_a_stop(row, is_new=bool(is_new))
                sides = {"new" if is_new else "gone": [row]}
                self._told("alerts", "whole_stops" if explained else None, **sides)

    def _alert_of_a_stop(self, row: Row, *, is_new: bool) -> bool:
        """The alert's instants and its value are those of a stop by the clock; gone: of one that something had cut."""
        former, whole = self._stops[row["line"], row["station"]]
        limit = int(row["limit"] * S)
        stop = next((each for each in whole if each.start == row["since"]), None)
        if stop is None or len(stop.parts) < 2 or row["value"] != (row["ts"] - row["since"]) / S:
            return False
        cut = next((each for each in former if each.start == row["since"]), None)
        if not is_new:
            return cut is not None and row["action"] == "cleared" and row["ts"] == cut.end < stop.end
        if row["action"] == "cleared":
            return bool(row["ts"] == stop.end)
        # While it is seen to stand, not during what hides it.
        due = [at for part in stop.seen if (at := max(stop.start + limit, part["start"])) < part["end"]]
        return bool(due) and row["ts"] == min(due) and (cut is None or cut.end - cut.start < limit)

    def __str__(self) -> str:
        lines = [f"{'set':<12} {'rule':<24} {'gone':>6} {'new':>6}"]
        for set_name, rule in sorted({key[:2] for key in self.counts}):
            gone, new = (self.counts[set_name, rule, side] for side in ("gone", "new"))
            lines.append(f"{set_name:<12} {rule:<24} {gone:>6} {new:>6}")
        lines.append(f"unexplained: {len(self.unexplained)}")
        lines += [f"  {set_name} {side}: {row}" for set_name, side, row in self.unexplained[:20]]
        return "\n".join(lines)


def _vector(row: Row) -> list[int]:
    """The integers of a row of key figures, in the order of the kernels."""
    vector = [0] * codes.N_COLUMNS
    for k, name in enumerate(codes.CLASS_NAMES[: codes.N_CLASSES]):
        vector[k] = row[f"{name}_ns"]
    for k, name in (
        (codes.GOOD, "good"),
        (codes.SCRAP, "scrap"),
        (codes.REWORK, "rework"),
        (codes.IDEAL_NS, "ideal_ns"),
    ):
        vector[k] = row[name]
    return vector


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("old", type=Path, metavar="OLD_ROOT")
    parser.add_argument("new", type=Path, metavar="NEW_ROOT")
    arguments = parser.parse_args()
    attribution = Attribution(rows_of(arguments.old), rows_of(arguments.new), lines_of(arguments.new))
    sys.stdout.write(f"{attribution}\n")
    raise SystemExit(bool(attribution.unexplained))
