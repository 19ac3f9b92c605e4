"""A stop is as long as it is by the clock, whatever hides a part of it; and what is silent."""

from typing import Any

import pytest

from tests.unit.twin.line.test_line_stops import Row, beat, fold, state
from twin.plant import loads
from twin.plant.model import Plant

S = 1_000_000_000
MIN = 60
T0 = 1_772_409_600  # 2026-03-02T00:00:00Z, from which the rows below count


def plant(minor_stop: str = "5min", break_: str = "09:10 - 09:30", **line: str) -> Plant:
    keys = {"staleness": "5h", "lateness": "0s", "publish_every": "1h", "minor_stop": minor_stop} | line
    return loads(f"""
site = "test"
area = [{{ id = "a" }}]
[calendar]
[[calendar.planned_stop]]
id = "break"
hours = "{break_}"
[[line]]
id = "L"
area = "a"
type = "flow"
windows = ["1h/1h"]
{"".join(f'{key} = "{value}"' + chr(10) for key, value in keys.items())}
[line.states]
RUN = "running"
STOP = "stopped"
FAIL = "down"
SETUP = "setup"
GONE = "unknown"
[line.limits]
down = "20min"
[[line.station]]
id = "s"
ideal_cycle = "1s"
""")


def at(clock: str) -> int:
    hours, minutes, seconds = (int(part) for part in f"{clock}:00".split(":")[:3])
    return hours * 3600 + minutes * MIN + seconds


def log(*events: tuple[str, str]) -> list[Row]:
    return [state(at(clock), word) for clock, word in events] + [beat(at("12:00")), beat(at("12:00:01"))]


def hour(where: Plant, events: list[Row], end: str = "10:00") -> tuple[int, int, int, int, int]:
    """Seconds down and downs, seconds of minor stops and their number, seconds planned, of the hour to `end`."""
    rows = [r for r in fold(where, events, "kpis", 1) if r["window"] == "1h" and r["station"] == "s"]
    (row,) = [r for r in rows if int(r["end"].timestamp()) - T0 == at(end)]
    assert sum(v for k, v in row.items() if k.endswith("_ns") and k not in ("ideal_ns", "cycle_ns")) == 3600 * S
    names = ("down_ns", "downs", "minor_stop_ns", "minor_stops", "planned_stop_ns")
    down, downs, minor, minors, planned = (row[name] for name in names)
    return down // S, downs, minor // S, minors, planned // S


@pytest.mark.parametrize(
    ("where", "events", "expected"),
    [
        # 126 + 87 s are under 5 min, but the film was torn for 23 min.
        (plant(), log(("08:00", "RUN"), ("09:07:54", "STOP"), ("09:31:27", "RUN")), (213, 1, 0, 0, 1200)),
        # A minute of standing, then the source says what it is: one stop, and down; also behind a break.
        (plant(), log(("08:00", "RUN"), ("09:00", "STOP"), ("09:01", "FAIL"), ("09:03", "RUN")), (180, 1, 0, 0, 0)),
        (
            plant("40min"),
            log(("08:00", "RUN"), ("09:09", "STOP"), ("09:31", "FAIL"), ("09:33", "RUN")),
            (240, 1, 0, 0, 1200),
        ),
        (
            plant("10min", "09:30 - 09:40"),
            log(("08:00", "RUN"), ("09:24", "STOP"), ("09:46", "RUN")),
            (720, 1, 0, 0, 600),
        ),
        (plant(), log(("08:00", "RUN"), ("09:08", "STOP"), ("09:09", "RUN")), (0, 0, 60, 1, 0)),
        # Ends within the break: that it is over is known then, and it is short.
        (plant(), log(("08:00", "RUN"), ("09:08", "STOP"), ("09:12", "SETUP"), ("09:31", "RUN")), (0, 0, 120, 1, 1200)),
        # Begins within the break: counts from its end.
        (plant(), log(("08:00", "RUN"), ("09:15", "STOP"), ("09:33", "RUN")), (0, 0, 180, 1, 900)),
        (plant(), log(("08:00", "RUN"), ("09:15", "STOP"), ("09:35", "RUN")), (300, 1, 0, 0, 900)),
        # At the very instant at which the break begins, and at which it ends: nothing of it is seen before.
        (plant(), log(("08:00", "RUN"), ("09:10", "STOP"), ("09:31", "RUN")), (0, 0, 60, 1, 1200)),
        (plant(), log(("08:00", "RUN"), ("09:09", "STOP"), ("09:30", "RUN")), (60, 1, 0, 0, 1200)),
        # A reported breakdown is one, too.
        (plant(), log(("08:00", "RUN"), ("09:05", "FAIL"), ("09:40", "RUN")), (900, 1, 0, 0, 1200)),
        # The source does not know for 10 s; it is the same stop. Afterwards it knows better: another one.
        (
            plant(),
            log(("08:00", "RUN"), ("09:40", "STOP"), ("09:44", "GONE"), ("09:44:10", "STOP"), ("09:46", "RUN")),
            (350, 1, 0, 0, 0),
        ),
        (
            plant(),
            log(("08:00", "RUN"), ("09:40", "STOP"), ("09:44", "SETUP"), ("09:44:10", "STOP"), ("09:46", "RUN")),
            (0, 0, 350, 2, 0),
        ),
    ],
)  # fmt: skip
def test_the_length_of_a_stop_is_that_of_the_whole(where: Plant, events: list[Row], expected: Any) -> None:
    assert hour(where, events) == expected


def test_the_parts_of_a_stop_have_one_class() -> None:
    events = log(("08:00", "RUN"), ("09:07:54", "STOP"), ("09:31:27", "RUN"))
    for cut in (1, 2, 100):
        rows = fold(plant(), events, "states", cut, restored=cut == 1)
        found = sorted((r["start"], r["end"], r["class"]) for r in rows)
        lengths = [(int((end - start).total_seconds()), klass) for start, end, klass in found]
        assert lengths == [(4074, "running"), (126, "down"), (1200, "planned_stop"), (87, "down")]


def test_nobody_is_called_during_a_break() -> None:
    """The limit of 20 min is passed at 09:25; the break ends at 09:30."""
    events = log(("08:00", "RUN"), ("09:05", "STOP"), ("09:40", "RUN"))
    alerts = [r for r in fold(plant(), events, "alerts", 1) if r["kind"] == "down"]
    told = [(r["action"], int(r["ts"].timestamp()) - T0, int(r["since"].timestamp()) - T0) for r in alerts]
    assert told == [("raised", at("09:30"), at("09:05")), ("cleared", at("09:40"), at("09:05"))]
    assert [r["value"] for r in alerts] == [25 * MIN, 35 * MIN]


@pytest.mark.parametrize("every", [119, 120, 121])
@pytest.mark.parametrize("source", ["line", "station", "state"])
def test_what_is_heard_every_staleness_is_not_silent(every: int, source: str) -> None:
    """One breakdown of 20 min; longer than the staleness, the moments unknown are no new stops."""
    events = [state(at("07:59"), "RUN")]
    for second in range(at("08:00"), at("08:20"), every):
        again = beat(second) | ({"station": "s"} if source == "station" else {})
        events.append(again if events[-1].get("state") != "RUN" and source != "state" else state(second, "STOP"))
    events += [state(at("08:20"), "RUN"), beat(at("08:21")), beat(at("09:00:01")), beat(at("09:01"))]
    where = plant(staleness="2min")
    stale = [r for r in fold(where, events, "alerts", 1) if r["kind"] == "stale" and r["ts"].hour == 8]
    unknown = 0 if every <= 120 else 9  # 1 s after each of nine intervals of 121 s
    assert len([r for r in stale if r["ts"].minute < 20]) == 2 * unknown
    assert hour(where, events, "09:00")[:4] == (1200 - unknown, 1, 0, 0)
