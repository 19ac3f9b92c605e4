"""What every audited column means, and the tables of docs/formats.md made from it."""

from typing import Final

import pyarrow as pa

from kernels.codes import CLASS_NAMES, N_CLASSES
from twin.alert_kinds import KINDS
from twin.events.declare import WIRE, meaning
from twin.events.reasons import REASONS
from twin.results import ORIGIN, SETS, TIME_COLUMN

SET_MEANINGS: Final = {
    "events": "What was read: one row per decoded event, in the order of arrival.",
    "states": "One row per interval in which a station was in one time class.",
    "kpis": "One row per station (and line) and window, shift, day or order: additive integers, then ratios.",
    "bottlenecks": "One row per station and pane or window: its share of the critical path and the signs beside it.",
    "alerts": "One row each time an alert was raised or cleared.",
    "rejected": "What was refused, with the bytes as they came.",
    "samples": "One row per point of a control chart, in order: what it shows, its limits, the rules broken there.",
    "measures": "One row per measure, publishing interval, time class, order and shift: what was measured, exactly.",
}

_REVISION: Final = {
    "revision": "0, or the number of the line's revision that wrote this row again: the highest of a row counts",
    "revised": "the line's event time at that revision; null in revision 0",
    "retracted": "nothing stands here any more since that revision; the figures are those that stood here",
}
_INTERVAL: Final = {
    "window": "a window's id, or `shift`, `day`, `order`",
    "start": "start of the interval (included)",
    "end": "end of the interval (not included)",
    "production_date": "local date of the shift's start; without a shift, and in `day`, the production day at the end",
    "shift": "the shift, or the one at the end of the interval: its date and id",
    "order": "the order, or the one at the end of the interval",
    "product": "its product",
    **_REVISION,
    "policy": "loss policy of the ratios",
    "model": "hash of the plant model",
    "line_model": "hash of the line's part of it: a change of another line leaves it",
}
_COMMON: Final = {
    "line": "line id",
    "station": "station id",
    "source_topic": "topic the row came from (`replay` for a replay)",
    "source_partition": "its partition (0 for a replay)",
    "source_offset": "offset of the record it came from or that closed it (replay: running number of the record)",
}
MEANINGS: Final[dict[str, dict[str, str]]] = {
    "events": {
        **_COMMON,
        **{name: meaning(name) for name in WIRE},
        # What stands here otherwise than on the wire.
        "line": _COMMON["line"],
        "station": "station id; null: the whole line",
        "ts": "event time",
        "epoch": "run of the source, 0 where it sends none",
        "measured": "what was measured, as text with all the decimals that the plant declares",
        "source_index": "place of the event within its record: offset and place are the order of arrival",
    },
    "states": {
        **_COMMON,
        **_INTERVAL,
        "production_date": "local date of the shift's start, or the production day, at `start`",
        "shift": "the shift at `start`: its date and id; a state that goes on into the next shift is one row",
        "order": "the order at `start`",
        "product": "its product",
        "class": "time class: " + ", ".join(CLASS_NAMES[:N_CLASSES]),
        "state": "the source's own state word",
        "reason": "the source's reason",
    },
    "kpis": {
        **_COMMON,
        **_INTERVAL,
        "station": "station id; null: the line",
        **{
            f"{name}_ns": f"time in class {name}; the classes sum to `end` - `start`"
            for name in CLASS_NAMES[:N_CLASSES]
        },
        "quantity": "rows of orders: parts ordered, as last told by a start of the order",
        "unit": "what the parts are, where the plant says it; of a line's row, its constraint's, whose counts it has",
        "good": "good parts",
        "scrap": "scrapped parts",
        "rework": "parts to rework",
        "ideal_ns": "parts made x ideal cycle time of their product",
        "cycles": "completed cycles",
        "cycle_ns": "time within them",
        "minor_stops": "minor stops that began",
        "downs": "downtimes that began",
        "availability": "by the policy; null: nothing to divide by",
        "performance": "by the policy; may pass 1, then `suspect` is set",
        "quality": "good / all parts",
        "oee": "availability x performance x quality",
        "suspect": "performance over 100 %: the ideal cycle time or the counts are wrong",
        "constraint": "line rows: the constraining station, whose OEE is the line's",
        "ote": "line rows: overall throughput effectiveness",
    },
    "bottlenecks": {
        **_COMMON,
        **_INTERVAL,
        "window": "`pane`, `panes` (the last of them together) or `order`",
        "critical_path_ns": "this station's time on the critical path; a line's stations sum to `elapsed_ns`",
        "elapsed_ns": "length of the critical path; panes without an event are left out",
        "share": "`critical_path_ns` / `elapsed_ns`: a station 1 % faster makes the line `share` x 1 % faster",
        "share_low": "lower end of its interval (batch means over panes); null: too few panes",
        "share_high": "upper end",
        "panes": "panes the interval was made from",
        "verdict": "the bottleneck's station, or `undecided`",
        "blocked_ns": "time blocked",
        "starved_ns": "time starved",
        "running_ns": "time running",
        "utilization": "`running_ns` / `elapsed_ns`",
        "turning_point": "named by the turning point of blocked and starved time",
        "arrow": "named by the arrow rule",
        "active_sole_ns": "time as the sole bottleneck by active period, in hindsight",
        "active_shifting_ns": "time as a shifting bottleneck, in hindsight",
        "active_causal_ns": "time as the longest active station so far",
    },
    "alerts": {
        **_COMMON,
        "station": "station id; null: the line",
        "kind": f"{', '.join(KINDS)}: see below",
        "action": "raised or cleared",
        "ts": "event time at which it was raised or cleared",
        "since": "when what it is about began",
        "value": "the value that passed the limit",
        "limit": "the limit",
        "detail": "what the value is, or what changed",
        "subject": "data_quality of admission: late, repeats, gaps or skew; of chart, over_budget and idle_usage what "
        "was measured; null: anything else",
        **_REVISION,
        "model": "hash of the plant model",
        "line_model": "hash of the line's part of it: a change of another line leaves it",
    },
    "rejected": {
        **_COMMON,
        "reason": "stable reason code: " + ", ".join(REASONS),
        "detail": "a sentence for people",
        "line": "line id it claimed, where readable",
        "ts": "event time it claimed, where readable",
        "value": "the bytes as they came; of an event that only the fold refuses, its canonical JSON",
    },
    "measures": {
        **_COMMON,
        **_INTERVAL,
        "station": "station id; null: a measure of the line",
        "window": "`publish`: from one publishing tick to the next; longer times are sums of rows",
        "start": "start of the interval (not included)",
        "end": "end of the interval (included): a reading on the full minute ends a minute",
        "production_date": "that of the value: local date of the shift's start, or the production day",
        "shift": "the shift that the value is of: one of its last instant is its own; of what was used between "
        "two readings (meters, amounts, integrals) that of the later one, also where an end lies between them",
        "order": "the order that the value is of, likewise",
        "measure": "id of the measure",
        "quantity": "what it is of, such as energy",
        "unit": "unit of its values",
        "during": "time class of the station: for `n`, `least` and what follows at the value, for `amount` in between; "
        "`stopped` is minor_stop and down; null: a measure of the line",
        "decimals": "the next columns are in the last of so many decimal places: 1,234 with 3 decimals is 1.234",
        "n": "values, also those that were not believed",
        "amount": "meters and amounts: what was used; null: not known (a first reading), or nothing to use",
        "least": "the least value; null: a meter, or no value",
        "most": "the greatest",
        "total": "gauges and characteristics: sum of the values",
        "squares_high": "and of their squares, high x 10^18 + low, in twice as many decimals",
        "squares_low": "below 10^18",
        "t1_errors": "packs below nominal - TNE; null: `average_weight` is not asked for",
        "t2_errors": "packs below nominal - 2 TNE, likewise",
        "histogram": "values by bucket, as `bucket:count` with spaces between; null: `histogram` is not asked for",
    },
    "samples": {
        **_COMMON,
        "station": "station id; null: a measure of the line",
        "measure": "id of the measure",
        "chart": "what `figure` is: a subgroup's mean `xbar`, its `r` or `s`; `i`, `mr`; `ewma`; `cusum_upper`, "
        "`cusum_lower`; `p`, `np`, `c`, `u`",
        "point": "number of the point within measure, chart and product, from 0",
        "start": "time of its first value",
        "end": "time of its last value: with it the point is there",
        "production_date": "that of its last value, likewise what follows",
        "shift": "the shift",
        "order": "the order",
        "product": "its product: each has charts of its own",
        **_REVISION,
        "model": "hash of the plant model",
        "line_model": "hash of the line's part of it",
        "unit": "unit of the measure",
        "decimals": "`total` is in the last of so many decimal places",
        "n": "values in the point; of `p`, `np` and `u` the units looked at",
        "total": "sum of its values, exactly; null: it does not fit into 64 bits",
        "figure": "what the chart shows, in the unit of the measure",
        "center": "centre line; null: no limits yet",
        "lower": "lower limit: a point is out only strictly below; null: none",
        "upper": "upper limit",
        "sigma": "standard deviation of single values within points, of which the limits are made; null: none",
        "lsl": "lower specification limit of single values, as the plant file says",
        "usl": "upper",
        "aim": "its target",
        "phase": "1: one of the points that make the limits; 2: judged by limits that stand",
        "limits_version": "which limits: as the plant file calls them, or `baseline`",
        "signals": "rules broken at this point, with spaces between: WE1 to WE4, N1 to N8, `beyond`; null: none",
        "cause": "why the point is excluded: it makes no limits and breaks no rule",
    },
}
FOOTER: Final = {
    "schema_version": "version of the set's columns: those of this page that were there by then",
    "set": "name of the set",
    "topic": "source topic (`replay` for a replay)",
    "partition": "source partition",
    "first_offset": "first offset of the interval",
    "next_offset": "offset after the interval",
    "model": "hash of the plant model",
    "policies": "loss policies of its lines",
    "code_version": "version of taktwin that wrote the file",
    "rules": "version of the rules that made the rows (docs/proof.md); none: 1",
    "zone_rules": "release of the time zone database by which local times became instants",
    "previous_sha256": "SHA-256 of the partition's previous file; empty in the first",
    "absent": "columns without a value in this file, with commas between; a file of events does not have them",
    "replay": "of a replay only: SHA-256 of its plan, `_replay/plan.json`",
    "date": "of a base only: date of its folder",
    "replaces": "of a compaction only: SHA-256 of the last file that this interval stands for",
    "replaced": "how many files it stands for",
    "replaced_sha256": "SHA-256 of their SHA-256 (hex) one after the other, in the order of the chain",
}


def markdown() -> str:
    """The tables of every set, of the kinds of alerts and of the footer: the part "Sets" of docs/formats.md."""
    lines: list[str] = []
    for set_name, schema in SETS.items():
        lines += [
            f"### {set_name}",
            "",
            SET_MEANINGS[set_name],
            f"Foldered by the UTC date of `{TIME_COLUMN[set_name]}`.",
            "",
        ]
        lines += ["| column | type | null | meaning |", "|---|---|---|---|"]
        lines += [
            f"| `{field.name}`{' (origin)' if field.name in ORIGIN else ''} | {_type(field.type)} "
            f"| {'may be' if field.nullable else ''} | {MEANINGS[set_name][field.name]} |"
            for field in schema
        ]
        lines.append("")
        if set_name == "alerts":
            lines += _alert_kinds()
    lines += ["### Footer keys", "", "| key | meaning |", "|---|---|"]
    lines += [f"| `taktwin.{key}` | {meaning} |" for key, meaning in FOOTER.items()]
    return "\n".join([*lines, ""])


def _alert_kinds() -> list[str]:
    lines = ["| kind | what it says | what to do | columns | |", "|---|---|---|---|---|"]
    for kind in KINDS.values():
        columns = ", ".join(f"`{name}`{' or null' if name in kind.at_times else ''}" for name in kind.fields)
        action = "raised and cleared" if kind.clears else "raised only"
        lines.append(f"| `{kind.name}` | {kind.means} | {kind.advice} | {columns} | {action} |")
    return [*lines, ""]


def _type(kind: pa.DataType) -> str:
    if isinstance(kind, pa.DictionaryType):
        return "text, dictionary"
    if pa.types.is_timestamp(kind):
        return "timestamp, ns, UTC"
    if pa.types.is_date32(kind):
        return "date"
    return {"string": "text", "double": "float64"}.get(str(kind), str(kind))
