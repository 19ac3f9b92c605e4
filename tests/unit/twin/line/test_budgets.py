"""Alerts of what is used: by hand on the example, and over late events, kills and a change of the plant."""

import random
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.families import Row, check_kills, counting, fold
from twin.audit.query import query
from twin.line import PartitionTwin
from twin.line.change import carried
from twin.plant import load as load_plant
from twin.plant import loads
from twin.replay import replay
from twin.sources import load_mapping, open_logs

S: Final = 1_000_000_000
T0: Final = 1_772_409_600 * S
KINDS: Final = ("over_budget", "idle_usage")
EXAMPLE: Final = Path(__file__).parents[4] / "examples" / "usage"
TEXT: Final = """
site = "test"
area = [{ id = "a" }]
[[line]]
id = "L"
area = "a"
type = "flow"
publish_every = "1min"
lateness = "0s"
revise = "1h"
windows = ["10min/1min"]
states = { RUN = "running", WAIT = "waiting" }
product = [{ id = "p" }, { id = "q" }]
[[line.station]]
id = "s"
ideal_cycle = "1s"
staleness = "1h"
[[line.station.measure]]
id = "m"
kind = "meter"
unit = "kWh"
decimals = 1
budget = "0.5"
budget_over = "60s"
idle_for = "30s"
product = [{ id = "q", budget = "0.1" }]
[[line.station.measure]]
id = "kW"
kind = "gauge"
unit = "kW"
[[line.station.measure]]
id = "e"
kind = "integral"
of = "kW"
between = "straight"
per = "second"
gap = "30s"
unit = "kWs"
budget = "50"
budget_over = "45s"
idle_for = "20s"
idle_draw = "7200"
"""


def told(rows: list[tuple[str, Row]]) -> list[tuple[Any, ...]]:
    """Alerts of what is used that stand, by time: kind, action, seconds, subject, value."""
    newest: dict[Any, Row] = {}
    for name, row in rows:
        if name == "alerts" and row["kind"] in KINDS:
            newest[row["kind"], row["action"], row["ts"], row["subject"]] = row
    found = sorted((row for row in newest.values() if not row["retracted"]), key=lambda row: str(row["ts"]))
    return [(row["kind"], row["action"], str(row["ts"]), row["subject"], row["value"]) for row in found]


def log(late: float = 0.0, seed: int = 1) -> list[Row]:
    """Forty minutes of a station that runs and waits, of two products; a meter, a gauge and counts at odd times."""
    drawn = random.Random(seed)  # noqa: S311 -- a log, no secret
    events: list[tuple[int, Row]] = []
    head = {"line": "L", "station": "s"}
    meter = 0
    for k in range(240):
        t = 10 * k
        busy = (k // 12) % 3 != 2
        found: list[Row] = []
        if k % 12 == 0:
            found.append(head | {"type": "state", "state": "RUN" if busy else "WAIT"})
        if k % 60 == 0:
            name = "pq"[k // 60 % 2]
            found.append({"line": "L", "type": "order", "action": "start", "order": f"o{k}", "product": name})
        if busy:
            found.append(head | {"type": "count", "good": drawn.randrange(4), "scrap": int(drawn.random() < 0.2)})
        meter += drawn.randrange(20) if busy else drawn.randrange(3)
        found.append(head | {"type": "measure", "measure": "m", "value": f"{meter / 10:.1f}"})
        found.append(
            head | {"type": "measure", "measure": "kW", "value": drawn.randrange(5, 12) if busy else 3 - (k % 7 == 0)}
        )
        for one in found:
            delay = drawn.randrange(60, 600) if drawn.random() < late else 0
            events.append((t + delay, {"ts": T0 + (t + (one["type"] == "count")) * S, **one}))
    events.sort(key=lambda pair: pair[0])
    ends = [{"type": "heartbeat", "ts": T0 + s * S, "line": "L"} for s in (3_600, 3_660)]
    return [event for _, event in events] + ends


def test_the_example_by_hand(tmp_path: Path) -> None:
    """docs/usage.md."""
    plant = load_plant(EXAMPLE / "plant.toml")
    logs = open_logs([EXAMPLE / "tags.csv"], plant, load_mapping(EXAMPLE / "mapping.toml", plant))
    replay(plant, logs, tmp_path / "audit")
    asked = (
        "SELECT kind, action, strftime(ts, '%H:%M') AS at, value, \"limit\", subject FROM alerts "
        "WHERE kind IN ('over_budget', 'idle_usage') ORDER BY ts"
    )
    rows = query(str(tmp_path / "audit"), asked).to_pylist()
    assert [tuple(row.values()) for row in rows] == [
        ("idle_usage", "raised", "06:51", 660.0, 600.0, "electricity"),
        ("idle_usage", "cleared", "06:56", 900.0, 600.0, "electricity"),
        ("over_budget", "raised", "07:00", 0.3, 0.255, "electricity"),
        ("over_budget", "cleared", "07:30", 0.25, 0.255, "electricity"),
        ("over_budget", "raised", "08:00", 0.26, 0.255, "electricity"),
    ]


@pytest.mark.parametrize("seed", range(2))
def test_late_events_end_where_they_belong(seed: int) -> None:
    plant = loads(TEXT)
    events = log(late=0.1, seed=seed)
    got = fold(PartitionTwin(plant, 0), plant, events)
    assert any(row["revision"] for name, row in got if name == "alerts")
    ordered = fold(PartitionTwin(plant, 0), plant, sorted(events, key=lambda event: event["ts"]))
    assert counting(got) == counting(ordered)
    kinds = {(row["kind"], row["action"], row["subject"]) for name, row in ordered if name == "alerts"}
    for subject in ("m", "e"):
        assert {(kind, action, subject) for kind in KINDS for action in ("raised", "cleared")} <= kinds


def test_a_kill_at_any_place() -> None:
    check_kills(loads(TEXT), log(late=0.1), 37)


def test_the_plant_changes() -> None:
    """What is looked at goes on with another policy, and the alerts are those of one plant."""
    other = TEXT.replace('type = "flow"', 'type = "flow"\npolicy = "nakajima"')
    first, second = loads(TEXT), loads("revision = 2\n" + other)
    events = log()
    wanted = told(fold(PartitionTwin(first, 0), first, events))
    twin = PartitionTwin(first, 0)
    got = fold(twin, first, events[:300])
    twin = carried(first, second, 0, twin.snapshot())
    assert told(got + fold(twin, second, events[300:], 300)) == wanted
