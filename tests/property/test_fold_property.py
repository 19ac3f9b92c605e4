"""The whole fold against the plain Python twin of a line: every figure of every row."""

from collections import Counter
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import codes
from tests.naive_measures import measure_rows, usage_alerts
from tests.naive_twin import NaiveTwin
from tests.random_logs import ALL_DAYS, MEASURED, SIX, START, ended, logs, small_plant
from tests.support.alerts import check_alert
from tests.support.fold import Ev, S, dicts, fold_once, rows
from twin.line import Results
from twin.plant.calendar import SCHEDULED
from twin.plant.model import Plant

DAY = 86_400
assert tuple(range(7)) == ALL_DAYS


def calendar_at(t: int) -> tuple[int, str | None, str]:
    """tests.random_logs.CALENDAR, written a second time: UTC, so a local day has 86,400 s."""
    days, second = divmod(t // S, DAY)
    date = f"1970+{(t // S - SIX - 120) // DAY}"
    tuesday = days % 7 == 5  # 1970-01-01 was a Thursday
    name = "a" if SIX + 20 <= second < SIX + 90 else "b" if SIX + 90 <= second < SIX + 300 else None
    # Only the first day is ever compared.
    shift = None if name is None else f"2023-11-{14 + days - START // S // DAY} {name}"
    if tuesday and SIX + 50 <= second < SIX + 60:
        return (codes.OFF_SHIFT if name is None else codes.PLANNED_STOP), shift, date
    return (codes.OFF_SHIFT if name is None else SCHEDULED), shift, date


def no_calendar(t: int) -> tuple[int, str | None, str]:
    return SCHEDULED, None, str(t // S // DAY)


EDGES = (20, 50, 60, 90, 120, 300)


def naive(plant: Plant, calendar: bool, log: Sequence[Ev]) -> NaiveTwin:
    first_day = START // S // DAY * DAY
    turns = [(first_day + d * DAY + SIX + e) * S for d in range(-1, 3) for e in EDGES]
    midnights = [(first_day + d * DAY) * S for d in range(-1, 3)]
    twin = NaiveTwin(plant.lines[0], calendar_at if calendar else no_calendar, turns if calendar else midnights)
    twin.run(log)
    return twin


def same_measures(expected: NaiveTwin, results: Sequence[Results]) -> None:
    """Every row of what was measured; `expected` then has its doubts, too."""
    wanted, got = measure_rows(expected), dicts(results, "measures")
    columns = list(wanted[0]) if wanted else []
    assert len(got) == len(wanted)
    assert Counter(tuple(r[c] for c in columns) for r in got) == Counter(tuple(r[c] for c in columns) for r in wanted)


def same_alerts(expected: NaiveTwin, results: Results) -> None:
    """Every alert of what is used."""
    kinds = ("over_budget", "idle_usage")
    stations = [station.id for station in expected.line.stations]
    got = [row for row in dicts([results], "alerts") if row["kind"] in kinds]
    columns = ("kind", "action", "ts", "station", "subject", "since", "value", "limit")
    wanted = [(*one[:3], stations[one[3]], *one[4:]) for one in usage_alerts(expected)]
    assert Counter(tuple(row[c] for c in columns) for row in got) == Counter(wanted)


@settings(max_examples=300)
@given(st.data(), st.booleans(), st.booleans(), st.booleans(), st.sampled_from((9, 40, 80)))
def test_every_row_of_what_was_measured(
    data: st.DataObject, links: bool, cycles: bool, calendar: bool, size: int
) -> None:
    plant = small_plant(links, calendar, False)
    log = ended(data.draw(logs(links, cycles, size=size, topics=MEASURED)))
    expected = naive(plant, calendar, log)
    twin, results = fold_once(plant, log)
    same_measures(expected, [results])
    same_alerts(expected, results)
    assert {key: n for key, (n, _) in twin.engine.memory[0].doubts.items()} == expected.doubts


@settings(max_examples=200)
@given(st.data(), st.booleans(), st.booleans(), st.booleans(), st.booleans())
def test_every_row(data: st.DataObject, links: bool, cycles: bool, calendar: bool, requires_order: bool) -> None:
    plant = small_plant(links, calendar, requires_order)
    events = data.draw(logs(links, cycles))
    newest = max(e.ts for e in events)
    log = ended(events)
    expected = naive(plant, calendar, log)
    twin, results = fold_once(plant, log)
    same_measures(expected, [results])

    before = min(newest, expected.until) + 50 * S if expected.until > newest else expected.until - 50 * S
    assert results.duplicates == expected.admission.duplicates
    assert Counter((r["reason"], r["ts"]) for r in dicts([results], "rejected")) == Counter(expected.admission.rejected)
    assert {key: n for key, (n, _) in twin.engine.memory[0].doubts.items()} == expected.doubts
    got_states = results.tables.get("states")
    columns = ["station", "start", "end", "class", "state", "reason", "order", "product"]
    states = [] if got_states is None else [r for r in rows(got_states, columns) if r[2] <= before]
    assert Counter(states) == Counter(expected.state_rows(before))

    for alert in dicts([results], "alerts"):
        check_alert(alert)
    told = Counter(
        (r["kind"], r["action"], r["ts"], r["station"])
        for r in dicts([results], "alerts")
        if r["kind"] in ("down", "stale") and r["ts"] <= before
    )
    stations = plant.lines[0].stations
    assert told == Counter((k, a, ts, stations[i].id) for k, a, ts, i in expected.alerts if ts <= before)

    wanted = {(r["station"], r["window"], r["start"], r["end"]): r for r in expected.kpis(before)}
    got = {}
    for row in dicts([results], "kpis"):
        if row["station"] is not None and row["end"] <= before:
            key = row["station"], row["window"], row["start"], row["end"]
            assert key not in got
            got[key] = row
    assert set(got) == set(wanted)
    for key, row in wanted.items():
        assert {column: got[key][column] for column in row} == row, key
        assert sum(row[f"{name}_ns"] for name in codes.CLASS_NAMES[: codes.N_CLASSES]) == row["end"] - row["start"]
    lines = [r for r in dicts([results], "kpis") if r["station"] is None and r["window"] == "order"]
    found = {(r["start"], r["end"]): r for r in lines if r["end"] <= before}
    of_line = expected.line_orders(before)
    assert len(found) == len(of_line)
    for about, work in of_line:
        row = found[about["start"], about["end"]]
        constraint = [s.id for s in plant.lines[0].stations].index(row["constraint"])
        wanted_row = about | expected.vector(constraint, about["start"], about["end"], work.number)
        assert {column: row[column] for column in wanted_row} == wanted_row
