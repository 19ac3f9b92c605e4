"""Alerts, each by event time: raised once, cleared once."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kernels.fold import layout as at
from twin import alert_kinds
from twin.columns import listed
from twin.line.bottlenecks import UNDECIDED, PathRows
from twin.line.cells import own
from twin.line.doubts import FACTS, Doubts
from twin.line.remembered import LineMemory
from twin.measures.protocol import Told
from twin.plant.canonical import line_hashes
from twin.plant.model import Plant
from twin.plant.shared import once_a_plant
from twin.results import ALERTS

I64 = npt.NDArray[np.int64]

_KIND: Final = {at.ALERT_DOWN: alert_kinds.DOWN, at.ALERT_STALE: alert_kinds.STALE}
_ACTION: Final = {at.RAISED: "raised", at.CLEARED: "cleared"}
_ALERTS: Final = own(ALERTS)
_NONE: Final = _ALERTS.empty_table()
_S: Final = 1e9
_FIRST: Final = {"revision": 0, "revised": None, "retracted": False}


class _Named:
    """What alerts look up of a plant by the names in rows."""

    def __init__(self, plant: Plant) -> None:
        self.line_models = line_hashes(plant)
        self.number = {line.id: k for k, line in enumerate(plant.lines)}
        self.longest = [max(line.windows, key=lambda w: w.length_ns).id if line.windows else "" for line in plant.lines]
        # Parts that one step of the coarsest counter stands for: so many may be counted after the time they took.
        self.step = {
            (line.id, station.id): max((counter.scale for counter in station.counters), default=1)
            for line in plant.lines
            for station in line.stations
        }
        self.least_step = min(self.step.values(), default=1)
        self.limited = {line.id for line in plant.lines if line.limits.oee_below is not None}
        self.windows = {line.limits.oee_window for line in plant.lines if line.limits.oee_window}
        self.windows |= {self.longest[k] for k in range(len(plant.lines))}


_named: Final = once_a_plant(_Named)


class Alerts:
    """Collects the alerts of one call of the fold."""

    def __init__(self, plant: Plant, doubts: Doubts) -> None:
        self._plant = plant
        self._named = _named(plant)
        self._doubts = doubts
        self._rows: list[dict[str, Any]] = []

    def table(self) -> pa.Table:
        rows, self._rows = self._rows, []
        return pa.Table.from_pylist(rows, schema=_ALERTS) if rows else _NONE

    def _add(self, line: str, kind: str, action: str, ts: int, **more: Any) -> None:
        model = {"model": self._plant.hash, "line_model": self._named.line_models[self._named.number[line]]}
        self._rows.append({"line": line, "kind": kind, "action": action, "ts": ts, **_FIRST, **model, **more})

    def from_fold(self, rows: Any, memory: dict[int, LineMemory]) -> None:
        """A stop longer than its limit, a source that went silent; what casts doubt on the figures."""
        doubtful = rows[:, at.AO_KIND] >= at.DOUBT_READING
        if doubtful.any():
            self._from_doubts(rows[doubtful], memory)
            rows = rows[~doubtful]
        stations = self._plant.stations
        for row in rows.tolist():
            line = self._plant.lines[row[at.AO_LINE]]
            station = stations[row[at.AO_STATION]]
            kind = row[at.AO_KIND]
            limit_ns = line.limits.down_ns if kind == at.ALERT_DOWN else station.staleness_ns
            self._add(
                line.id,
                _KIND[kind],
                _ACTION[row[at.AO_ACTION]],
                row[at.AO_TS],
                station=station.id,
                since=row[at.AO_SINCE],
                value=(row[at.AO_TS] - row[at.AO_SINCE]) / _S,
                limit=None if limit_ns is None else limit_ns / _S,
                detail="seconds",
            )

    def of_plant(self, line: int, ts: int, detail: str) -> pa.Table:
        """Another plant model has taken the line over, or has it no more."""
        before, self._rows = self._rows, []
        self._add(self._plant.lines[line].id, alert_kinds.PLANT_CHANGED, "raised", ts, detail=detail)
        table, self._rows = self.table(), before
        return table

    def of_admission(self, told: I64) -> pa.Table:
        """Of rows (n, N_TOLD): facts of admission, which are never folded again. At the instant of the event."""
        before, self._rows = self._rows, []
        for line, station, ts, what, count in told.tolist():
            value = count / _S if what == at.TOLD_SKEW else float(count)
            self._doubt(line, station, ts, value=value, detail=FACTS[what][1], subject=FACTS[what][0])
        table, self._rows = self.table(), before
        return table

    def from_families(self, told: Iterable[Told]) -> None:
        """Alerts that families raise (twin.measures.protocol)."""
        for one in told:
            place = self._plant.stations[one.station].id if one.station >= 0 else None
            more = {"since": one.since, "value": one.value, "limit": one.limit, "detail": one.detail}
            self._add(
                self._plant.lines[one.line].id, one.kind, one.action, one.ts, station=place, subject=one.subject, **more
            )

    def _doubt(self, line: int, station: int, ts: int, **more: Any) -> None:
        """By the plant's numbers; station -1: the line itself."""
        place = self._plant.stations[station].id if station >= 0 else None
        self._add(self._plant.lines[line].id, alert_kinds.DATA_QUALITY, "raised", ts, station=place, **more)

    def _from_doubts(self, rows: Any, memory: dict[int, LineMemory]) -> None:
        """One alert of a station and instant, whatever was met there."""
        for line, station, ts, doubts in self._doubts.met(rows, memory):
            self._doubt(
                line,
                station,
                ts,
                since=min(one.first_ns for one in doubts),
                value=float(max(one.count for one in doubts)),
                detail="; ".join(one.what for one in doubts),
            )

    def from_kpis(self, kpis: pa.Table, memory: dict[int, LineMemory]) -> None:
        """OEE under its limit; performance over 100 %: the ideal cycle time is too long, or parts are miscounted."""
        known = any(mine.suspects for mine in memory.values())
        if not (known or self._named.limited or pc.any(kpis.column("suspect")).as_py()):
            return
        telling = self._telling(kpis, memory)
        if not len(telling):
            return
        columns = ["line", "station", "window", "end", "good", "scrap", "rework", "performance", "oee"]
        table = kpis.select(columns).take(telling)
        cells = {name: listed(table.column(name)) for name in columns}
        # Most rows say what was known before: only of the others a dictionary is made.
        for k, (line, station, window) in enumerate(zip(*(cells[name] for name in columns[:3]), strict=True)):
            number = self._named.number[line]
            mine = memory.setdefault(number, LineMemory())
            limits = self._plant.lines[number].limits
            if station is not None:
                # Good parts below zero are suspect, too, but not the ideal cycle's fault.
                over = (cells["performance"][k] or 0.0) > 1.0
                if window == self._named.longest[number] and over != (station in mine.suspects):
                    self._suspect({name: values[k] for name, values in cells.items()}, mine)
            elif limits.oee_below is not None and window == (limits.oee_window or self._named.longest[number]):
                self._oee({name: values[k] for name, values in cells.items()}, limits.oee_below, mine)

    def _telling(self, kpis: pa.Table, memory: dict[int, LineMemory]) -> I64:
        """Places of rows that may change an alert. Most change none, and to look at each in Python took longer than the
        fold; by their names, a tenth of a replay of key figures alone."""
        lines, line = _coded(kpis.column("line"))
        stations, station = _coded(kpis.column("station"))
        windows, window = _coded(kpis.column("window"))
        of_station = station >= 0
        named = line * len(stations) + station
        line_of, station_of = ({text: k for k, text in enumerate(texts)} for texts in (lines, stations))
        known = np.zeros(len(lines) * len(stations), np.bool_)
        for number, mine in memory.items():
            of = line_of.get(self._plant.lines[number].id)
            if of is not None:
                known[[of * len(stations) + station_of[one] for one in mine.suspects if one in station_of]] = True
        judged = _among(windows, self._named.windows)[window]
        ours = np.flatnonzero(judged & of_station)
        turning = np.zeros_like(known)
        turning[named[ours[self._turning(kpis, ours, known[named[ours]])]]] = True
        telling = judged & ~of_station & _among(lines, self._named.limited)[line]
        telling[ours] = turning[named[ours]]
        return np.flatnonzero(telling)

    def _turning(self, kpis: pa.Table, rows: I64, known: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Of these rows of stations, those that `_suspect` raises or clears, going by the least step of all counters.
        `known`: of each its station's state."""
        performance = kpis.column("performance").to_numpy()[rows]
        parts = sum(kpis.column(name).to_numpy()[rows] for name in ("good", "scrap", "rework"))
        over = performance > 1.0
        with np.errstate(divide="ignore", invalid="ignore"):
            told = np.rint(parts - parts / performance) > self._named.least_step
        turning: npt.NDArray[np.bool_] = np.where(known, performance <= 1.0, over & told)
        return turning

    def _suspect(self, row: dict[str, Any], mine: LineMemory) -> None:
        """Raised when more parts than one step of the counter are over 100 %; cleared at 100 % or less.

        Without the step, a press counted in thousands is suspect in every second window of a perfect hour.
        """
        known = row["station"] in mine.suspects
        if row["performance"] is None:
            return
        if not known:
            parts = row["good"] + row["scrap"] + row["rework"]
            if round(parts - parts / row["performance"]) <= self._named.step[row["line"], row["station"]]:
                return
        if known:
            mine.suspects.remove(row["station"])
        else:
            mine.suspects.append(row["station"])
        action = "cleared" if known else "raised"
        more = {"station": row["station"], "value": row["performance"], "limit": 1.0, "detail": "performance"}
        self._add(row["line"], alert_kinds.IDEAL_CYCLE_SUSPECT, action, row["end"], **more)

    def _oee(self, row: dict[str, Any], limit: float, mine: LineMemory) -> None:
        low = row["oee"] is not None and row["oee"] < limit
        if row["oee"] is None or low == mine.oee_low:
            return
        mine.oee_low = low
        more = {"value": row["oee"], "limit": limit, "detail": f"window {row['window']}"}
        self._add(row["line"], alert_kinds.OEE_LOW, "raised" if low else "cleared", row["end"], **more)

    def from_bottlenecks(self, intervals: Sequence[PathRows], memory: dict[int, LineMemory]) -> None:
        """The decided bottleneck of the window is another one than the last decided."""
        for one in intervals:
            if one.window != "panes":
                continue
            mine = memory.setdefault(one.line, LineMemory())
            line = self._plant.lines[one.line]
            best = int(one.cells[:, 0].argmax())
            share = float(one.cells[best, 0]) / one.elapsed
            mine.leader, mine.shown = (line.stations[best].id, share), one.verdict
            if one.verdict == UNDECIDED or one.verdict == mine.verdict:
                continue
            if mine.verdict is not None:
                more = {"station": one.verdict, "since": one.start, "value": share, "detail": f"from {mine.verdict}"}
                self._add(line.id, alert_kinds.BOTTLENECK_MOVED, "raised", one.end, **more)
            mine.verdict = one.verdict


def _coded(column: "pa.ChunkedArray[Any]") -> tuple[list[str], I64]:
    """The texts of a column of names, and of each row the place of its own; -1: none."""
    whole: Any = column.unify_dictionaries().combine_chunks()
    return whole.dictionary.to_pylist(), whole.indices.fill_null(-1).to_numpy().astype(np.int64)


def _among(texts: Sequence[str], wanted: Collection[str]) -> npt.NDArray[np.bool_]:
    return np.array([text in wanted for text in texts], np.bool_)
