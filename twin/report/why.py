"""Where a figure comes from: its row and the row's revisions, states and events under it, what was refused, files."""

from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kernels.codes import CLASS_NAMES, N_CLASSES
from kernels.figures.oee import POLICIES, ROLE_NAMES
from twin.audit import AuditError, models
from twin.audit.layout import existing_root
from twin.audit.read import listed
from twin.audit.rows import integers
from twin.line.numbers import ideal_ns
from twin.plant.model import Line
from twin.report import ReportError
from twin.report.build import Sheet, quoted, refusal, settled, texts
from twin.report.figures import Figures, ratios_of
from twin.report.otherwise import otherwise
from twin.report.rows import Row, any_row, dicts, newest, select
from twin.report.spans import Span, site_of
from twin.time.rfc3339 import rfc3339

MOST_EVENTS: Final = 500
MOST_STATES: Final = 200


def why(
    root: Path | str, line_name: str, station: str | None, window: str, start_ns: int, end_ns: int
) -> dict[str, Any]:
    """The row of kpis of this identity, and what lies under it. `window` empty: what lies in this span, of the line
    with the sums of its rows, and `row` is None. Raises ReportError where there is no such row, AuditError."""
    line = site_of(root).line(line_name)
    if not window:
        sheet = Sheet(root, line, Span("span", "", start_ns, end_ns))
        made: dict[str, Any] = {"row": None, "line": line.id}
        if station is None and (sums := sheet.figures(None)).rows:
            made |= {"ratios": sums.ratios(), "known_until": settled(sheet)["known_until"], **_sums(sums)}
        return {**made, **_evidence(root, line.id, station or sheet.constraint(), start_ns, end_ns, None)}
    where = (pc.field("window") == window) & (pc.field("end") == _instant(end_ns))
    where &= pc.field("station").is_null() if station is None else pc.field("station") == station
    where &= pc.field("start") == _instant(start_ns)
    every = select(root, "kpis", start_ns, end_ns, line=line.id, where=where, revisions=True)
    current = newest("kpis", every)
    if not every.num_rows:
        raise ReportError(f"line {line.id}: there is no row of {window} from {rfc3339(start_ns)} to {rfc3339(end_ns)}")
    history = sorted(dicts(every), key=lambda row: (row["revision"], not row["retracted"]))
    shown = current if current.num_rows else every.slice(every.num_rows - 1)
    row = dicts(shown)[0]
    figures = Figures.of(shown, shown.slice(0, 0), row["policy"])
    return {
        "row": texts(row),
        "line": line.id,
        "ratios": figures.ratios(),
        "standing": current.num_rows > 0,
        **_sums(figures),
        "ideal": _ideal(root, row, figures),
        "revisions": [_revision(root, line, one) for one in history],
        **_settled(root, line, end_ns),
        **_evidence(root, line.id, station or row["constraint"], start_ns, end_ns, row),
    }


def _sums(figures: Figures) -> dict[str, Any]:
    """What is divided, how every policy divides it, and what it would be if others counted it otherwise."""
    return {
        "planned_ns": figures.planned_ns,
        "operating_ns": figures.operating_ns,
        "ideal_ns": figures.ideal_ns,
        "good": figures.good,
        "parts": figures.made,
        "no_ideal": figures.no_ideal,
        "classes": _classes(list(figures.vector), figures.policy),
        "policies": [
            {"policy": name, "source": one.source, **ratios_of(figures.vector, name)} for name, one in POLICIES.items()
        ],
        "otherwise": otherwise(figures),
    }


def _evidence(
    root: Path | str, line: str, station: str | None, start_ns: int, end_ns: int, row: Row | None
) -> dict[str, Any]:
    """States, events and refusals of a station (None: of all) in [start, end), with offset and file."""
    at = (start_ns, end_ns)
    mine = None if station is None else pc.field("station") == station
    states = dicts(select(root, "states", *at, line=line, where=mine))
    events = dicts(
        select(root, "events", *at, line=line, where=None if mine is None else mine | pc.field("station").is_null())
    )
    refused = dicts(select(root, "rejected", *at, line=line))
    places = {
        (one["source_partition"], one["source_offset"]) for one in [*events[:MOST_EVENTS], *([row] if row else [])]
    }
    files = _files(root, places)
    file = None if row is None else files.get((row["source_partition"], row["source_offset"]), {}).get("kpis")
    return {
        "station": station,
        "states": [texts(one) for one in sorted(states, key=lambda one: int(one["start"]))[:MOST_STATES]],
        "states_left_out": max(0, len(states) - MOST_STATES),
        "events": [_event(one, files) for one in events[:MOST_EVENTS]],
        "events_left_out": max(0, len(events) - MOST_EVENTS),
        "refused": [refusal(one) for one in refused[:MOST_STATES]],
        "file": file,
        "commands": [
            f"twin audit recompute AUDIT --line {quoted(line)} --from {rfc3339(start_ns)} --to {rfc3339(end_ns)}",
            "twin audit verify AUDIT",
        ],
    }


def _revision(root: Path | str, line: Line, row: Row) -> dict[str, Any]:
    """One revision of a row, since when it was known in the line's time, and what people said in the tick before it."""
    if row["revised"] is None:
        return {**texts(row), "revised": rfc3339(row["end"]), "said": None}
    begin = row["revised"] - line.publish_every_ns
    told = select(root, "events", begin, row["revised"] + 1, line=line.id, where=pc.field("type") == "correction")
    said = [{name: one[name] for name in ("by", "station", "verb", "reason", "state")} for one in dicts(told)]
    return {**texts(row), "said": said}


def _settled(root: Path | str, line: Line, end_ns: int) -> dict[str, Any]:
    """Until when late events and corrections may change a row, and whether the line has gone on beyond that."""
    until = end_ns + line.lateness_ns + (line.revise_ns or 0)
    return {"revisable_until": rfc3339(until), "final": any_row(root, line.id, until)}


def _ideal(root: Path | str, row: Row, figures: Figures) -> dict[str, Any] | None:
    """The ideal cycle that the row was measured by, since when the line has that model, and what a part really took."""
    try:
        line = next(one for one in models.load(root, row["model"]).lines if one.id == row["line"])
    except (AuditError, StopIteration):
        return None
    name = row["station"] or row["constraint"]
    station = next((one for one in line.stations if one.id == name), None)
    if station is None:
        return None
    products = [one.id for one in line.products]
    place = products.index(row["product"]) + 1 if row["product"] in products else 0
    scopes = pc.field("window").isin(["shift", "day"]) & pc.field("station").is_null()
    past = select(root, "kpis", 0, row["end"], line=row["line"], where=scopes)
    ours = integers(past.column("start"))[
        np.asarray(pc.equal(past.column("line_model").cast(pa.string()), row["line_model"]))
    ]
    running = figures.vector[CLASS_NAMES.index("running")]
    return {
        "station": name,
        "product": row["product"],
        "cycle_ns": ideal_ns(line, station)[place],
        "since": rfc3339(min([row["start"], *ours.tolist()])),
        "model": row["model"],
        "mean_ns": figures.ideal_ns // figures.made if figures.made else None,  # of all products of the row
        "took_ns": running // figures.made if figures.made else None,
    }


def _instant(ns: int) -> "pa.Scalar[Any]":
    return pa.scalar(ns, pa.timestamp("ns", tz="UTC"))


def _classes(vector: list[int], policy: str) -> list[dict[str, Any]]:
    """Every class with time in it, and what the policy takes it for: what is not counted stands there, too."""
    roles = POLICIES[policy].roles
    return [
        {"class": CLASS_NAMES[c], "ns": vector[c], "role": ROLE_NAMES[roles[c]]} for c in range(N_CLASSES) if vector[c]
    ]


def _event(row: dict[str, Any], files: dict[tuple[int, int], dict[str, str]]) -> dict[str, Any]:
    """Without the fields that it does not have, and with the file in which it lies."""
    made = {key: value for key, value in texts(row).items() if value is not None}
    found = files.get((row["source_partition"], row["source_offset"]), {})
    return {**made, "file": found.get("events")}


def _files(root: Path | str, places: set[tuple[int, int]]) -> dict[tuple[int, int], dict[str, str]]:
    """Of each record (partition, offset) the names of the files of events and kpis of its interval; none: it waits."""
    base = existing_root(root)
    found: dict[tuple[int, int], dict[str, str]] = {}
    every = listed(base).published
    for partition, offset in places:
        for one in every.get(partition, ()):
            if one.first_offset <= offset < one.next_offset:
                names = {file.set: file.path.relative_to(base).as_posix() for file in one.files}
                found[partition, offset] = names
                break
    return found
