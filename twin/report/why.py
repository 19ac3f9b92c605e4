"""Where a figure comes from: its row and the row's revisions, states and events under it, what was refused, files."""

from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from kernels.codes import CLASS_NAMES, N_CLASSES
from kernels.figures.oee import AVAILABILITY_LOSS, POLICIES, ROLE_NAMES
from twin.audit.intervals import contents
from twin.audit.layout import existing_root
from twin.report import ReportError
from twin.report.build import quoted, texts
from twin.report.figures import ratios_of, vectors
from twin.report.rows import dicts, newest, select
from twin.report.spans import site_of
from twin.time.rfc3339 import rfc3339

MOST_EVENTS: Final = 500
MOST_STATES: Final = 200


def why(
    root: Path | str, line_name: str, station: str | None, window: str, start_ns: int, end_ns: int
) -> dict[str, Any]:
    """The row of kpis of this identity. Raises ReportError where there is none, AuditError over the root."""
    line = site_of(root).line(line_name)
    where = (pc.field("window") == window) & (pc.field("end") == _instant(end_ns))
    where &= pc.field("station").is_null() if station is None else pc.field("station") == station
    where &= pc.field("start") == _instant(start_ns)
    every = select(root, "kpis", start_ns, end_ns, line=line.id, where=where, revisions=True)
    current = newest("kpis", every)
    if not every.num_rows:
        raise ReportError(f"line {line.id}: there is no row of {window} from {rfc3339(start_ns)} to {rfc3339(end_ns)}")
    history = sorted(dicts(every), key=lambda row: (row["revision"], not row["retracted"]))
    shown = current if current.num_rows else every.slice(every.num_rows - 1)
    vector = vectors(shown)[0].tolist()
    row = dicts(shown)[0]
    measured = station or row["constraint"]
    at = (start_ns, end_ns)
    states = dicts(select(root, "states", *at, line=line.id, where=pc.field("station") == measured))
    mine = pc.field("station").is_null() | (pc.field("station") == measured)
    events = dicts(select(root, "events", *at, line=line.id, where=mine))
    refused = dicts(select(root, "rejected", *at, line=line.id).drop_columns(["value"]))
    files = _files(root, {(one["source_partition"], one["source_offset"]) for one in [*events[:MOST_EVENTS], row]})
    return {
        "row": texts(row),
        "standing": current.num_rows > 0,
        "station": measured,
        "planned_ns": sum(
            ns for ns, role in zip(vector, POLICIES[row["policy"]].roles, strict=False) if role >= AVAILABILITY_LOSS
        ),
        "classes": _classes(vector, row["policy"]),
        "policies": [
            {"policy": name, "source": one.source, **ratios_of(vector, name)} for name, one in POLICIES.items()
        ],
        "revisions": [texts(one) for one in history],
        "states": [texts(one) for one in sorted(states, key=lambda one: int(one["start"]))[:MOST_STATES]],
        "states_left_out": max(0, len(states) - MOST_STATES),
        "events": [_event(one, files) for one in events[:MOST_EVENTS]],
        "events_left_out": max(0, len(events) - MOST_EVENTS),
        "refused": [texts(one) for one in refused[:MOST_STATES]],
        "file": files.get((row["source_partition"], row["source_offset"]), {}).get("kpis"),
        "commands": [
            f"twin audit recompute AUDIT --line {quoted(line.id)} --from {rfc3339(start_ns)} --to {rfc3339(end_ns)}",
            "twin audit verify AUDIT",
        ],
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
    every = contents(base).published
    for partition, offset in places:
        for one in every.get(partition, ()):
            if one.first_offset <= offset < one.next_offset:
                names = {file.set: file.path.relative_to(base).as_posix() for file in one.files}
                found[partition, offset] = names
                break
    return found
