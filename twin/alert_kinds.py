"""The kinds of alerts, in one place: fold, docs, schemas, page and `twin notify` take them from here.

A name is the `kind` of a row of the set `alerts`; it is part of the row's identity and is never renamed.
"""

from dataclasses import dataclass
from typing import Final

DOWN: Final = "down"
STALE: Final = "stale"
OEE_LOW: Final = "oee_low"
BOTTLENECK_MOVED: Final = "bottleneck_moved"
IDEAL_CYCLE_SUSPECT: Final = "ideal_cycle_suspect"
DATA_QUALITY: Final = "data_quality"
PLANT_CHANGED: Final = "plant_changed"
CHART: Final = "chart"
OVER_BUDGET: Final = "over_budget"
IDLE_USAGE: Final = "idle_usage"


@dataclass(frozen=True, slots=True)
class Kind:
    """`fields`: which of the columns STATED its rows have; those in `at_times` may be null there, too. `clears`: it is
    raised and cleared; others are raised only."""

    name: str
    title: tuple[str, str]  # English and German, for page and mail
    means: str
    advice: str  # what to do
    fields: tuple[str, ...]
    at_times: tuple[str, ...] = ()
    clears: bool = False


# Beside line, kind, action and ts, which every alert has.
STATED: Final = ("station", "since", "value", "limit", "detail", "subject")

KINDS: Final = {
    kind.name: kind
    for kind in (
        Kind(
            DOWN,
            ("down", "Störung"),
            "a station stands for longer than `limits.down`; `value` is how long, in seconds",
            "go to the station; its row of `states` has the reason, once one is given",
            ("station", "since", "value", "limit", "detail"),
            clears=True,
        ),
        Kind(
            STALE,
            ("silent", "still"),
            "a station was not heard for its `staleness` and is `unknown`; `value` is how long, in seconds",
            "look at its gateway and network; in a planned stop let it send heartbeats",
            ("station", "since", "value", "limit", "detail"),
            clears=True,
        ),
        Kind(
            OEE_LOW,
            ("OEE low", "OEE niedrig"),
            "the OEE of the line, `value`, is below `limits.oee_below` in the window that `detail` names",
            "the line's report shows which loss it is",
            ("value", "limit", "detail"),
            clears=True,
        ),
        Kind(
            BOTTLENECK_MOVED,
            ("bottleneck moved", "Engpass gewandert"),
            "the decided bottleneck is another station than before; `value` is its share of the critical path",
            "what makes this station faster makes the line faster",
            ("station", "since", "value", "detail"),
        ),
        Kind(
            IDEAL_CYCLE_SUSPECT,
            ("ideal cycle suspect", "Vorgabezeit fraglich"),
            "performance, `value`, is over 100 % by more than one step of the station's counter",
            "correct `ideal_cycle`, or find what counts parts twice",
            ("station", "value", "limit", "detail"),
            clears=True,
        ),
        Kind(
            DATA_QUALITY,
            ("data quality", "Datenqualität"),
            "something casts doubt on the figures, at the first, tenth, hundredth time; `value` is how often, of a "
            "slow clock (`skew`) how many seconds it is late",
            "`detail` says what to do",
            ("station", "since", "value", "detail", "subject"),
            ("station", "since", "subject"),
        ),
        Kind(
            PLANT_CHANGED,
            ("plant changed", "Werksmodell geändert"),
            "another plant model has taken the line over, or has it no more; `detail` says what did not go on",
            "nothing, where the change was meant; else give the workers the right plant file",
            ("detail",),
        ),
        Kind(
            CHART,
            ("control chart", "Regelkarte"),
            "a rule begins to hold at a control chart; `value` is the point, `subject` measure, chart and point; "
            "of a baseline `value` is how many of its points lie beyond the limits",
            "find the cause; exclude the points in the plant file where it is known and removed",
            ("station", "since", "value", "limit", "detail", "subject"),
            ("station", "limit"),
        ),
        Kind(
            OVER_BUDGET,
            ("over budget", "über dem Budget"),
            "between two readings more was used for a good part than its `budget`; `value` is what one took (null: "
            "there was no good part), `subject` the measure, `since` the first of the readings",
            "the report's section of usage shows during what; a product that needs more may have a budget of its own",
            ("station", "since", "value", "limit", "detail", "subject"),
            ("value",),
            clears=True,
        ),
        Kind(
            IDLE_USAGE,
            ("idle and drawing", "Verbrauch im Leerlauf"),
            "a station was starved, blocked or waiting for longer than `idle_for` and used something all the while; "
            "`value` is how long, in seconds, `subject` the measure",
            "switch it off, or let it go to standby by itself; what its controls need is `idle_draw`",
            ("station", "since", "value", "limit", "detail", "subject"),
            clears=True,
        ),
    )
}
