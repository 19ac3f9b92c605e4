"""Single dates on which the calendar is otherwise: against the shifts and stops of that day, one by one."""

import random
from datetime import date, timedelta
from typing import Final

import pytest

from kernels.codes import OFF_SHIFT, PLANNED_STOP
from twin.plant import PlantError, loads
from twin.plant.calendar import NO_SHIFT, SCHEDULED, table
from twin.plant.canonical import line_hash
from twin.plant.model import Calendar, Plant

Told = dict[tuple[date, str], tuple[int, int] | None]
MIN: Final = 60_000_000_000
MONDAY: Final = date(2026, 1, 5)
HEAD: Final = """site = "t"
area = [{ id = "h" }]
[[line]]
id = "L"
area = "h"
type = "flow"
[[line.station]]
id = "s"
[line.calendar]
zone = "UTC"
"""
WEEK: Final = (
    HEAD
    + """shift = [
  { id = "early", days = "Mon-Fri", hours = "06:00-14:00" },
  { id = "late", days = "Mon-Fri", hours = "14:00-22:00" },
]
planned_stop = [{ id = "lunch", days = "Mon-Sat", hours = "12:00-12:30" }]
"""
)


def plant(*exceptions: str) -> Plant:
    return loads(WEEK + "exception = [" + ", ".join(f"{{ {one} }}" for one in exceptions) + "]\n")


def calendar(*exceptions: str) -> Calendar:
    return plant(*exceptions).lines[0].calendar


def minutes(found: Calendar, first: date, days: int) -> list[tuple[str | None, int]]:
    """Shift and class of every minute."""
    start = (first - date(1970, 1, 1)).days * 1_440
    said = table(found, start * MIN, (start + days * 1_440) * MIN)
    rows = [said.row((start + k) * MIN) for k in range(days * 1_440)]
    return [(said.shift_name(int(said.shift[row])), int(said.klass[row])) for row in rows]


def slow(first: date, days: int, exceptions: Told) -> list[tuple[str | None, int]]:
    """`exceptions`: hours in minutes by date and name; None: not on that day. For days within midnights."""
    found: list[tuple[str | None, int]] = []
    for number in range(days):
        day = first + timedelta(number)
        hours: dict[str, tuple[int, int] | None] = {}
        if day.weekday() < 5:
            hours |= {"early": (360, 840), "late": (840, 1_320)}
        if day.weekday() < 6:
            hours["lunch"] = (720, 750)
        hours |= {name: told for (when, name), told in exceptions.items() if when == day}
        for minute in range(1_440):
            inside = {name for name, told in hours.items() if told is not None and told[0] <= minute < told[1]}
            shift = next(iter(inside - {"lunch"}), None)
            klass = OFF_SHIFT if shift is None else PLANNED_STOP if "lunch" in inside else SCHEDULED
            found.append((None if shift is None else f"{day.isoformat()} {shift}", klass))
    return found


def test_overtime_a_holiday_and_a_break_at_another_time() -> None:
    found = calendar(
        'on = "2026-01-10", shift = "early", hours = "07:00-13:00"',
        'on = "2026-01-06", off = true',
        'on = "2026-01-07", stop = "lunch", hours = "13:15-13:45"',
        'on = "2026-01-08", stop = "lunch", off = true',
        'on = "2026-01-09", shift = "late", off = true',
    )
    at = {MONDAY + timedelta(k): k for k in range(7)}
    told: Told = {
        (MONDAY + timedelta(5), "early"): (420, 780),
        (MONDAY + timedelta(1), "early"): None,
        (MONDAY + timedelta(1), "late"): None,
        (MONDAY + timedelta(2), "lunch"): (795, 825),
        (MONDAY + timedelta(3), "lunch"): None,
        (MONDAY + timedelta(4), "late"): None,
    }
    assert len(at) == 7
    assert minutes(found, MONDAY, 7) == slow(MONDAY, 7, told)
    # Whatever range is asked for.
    assert minutes(found, MONDAY + timedelta(4), 2) == slow(MONDAY + timedelta(4), 2, told)
    assert minutes(found, MONDAY + timedelta(40), 1) == slow(MONDAY + timedelta(40), 1, told)


@pytest.mark.parametrize("seed", range(8))
def test_exceptions_drawn_at_random(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311  repeatable
    said: dict[tuple[date, str], str] = {}
    told: Told = {}
    for _ in range(12):
        day, name = MONDAY + timedelta(chance.randrange(14)), chance.choice(("early", "late", "lunch"))
        own = {"early": (300, 840), "late": (840, 1_400), "lunch": (0, 1_439)}[name]
        begin, end = sorted(chance.sample(range(*own), 2))
        hours = f'hours = "{begin // 60:02d}:{begin % 60:02d}-{end // 60:02d}:{end % 60:02d}"'
        off = chance.random() < 0.3
        kind = "stop" if name == "lunch" else "shift"
        said[day, name] = f'on = "{day}", {kind} = "{name}", {"off = true" if off else hours}'
        told[day, name] = None if off else (begin, end)
    assert minutes(calendar(*said.values()), MONDAY, 14) == slow(MONDAY, 14, told)


def test_a_shift_over_midnight_belongs_to_the_date_on_which_it_begins() -> None:
    text = (
        HEAD
        + """shift = [{ id = "night", days = "Mon-Thu", hours = "22:00-06:00" }]
exception = [{ on = "2026-01-06", off = true }, { on = "2026-01-09", shift = "night", hours = "20:00-04:00" }]
"""
    )
    found = minutes(loads(text).lines[0].calendar, MONDAY, 6)
    assert [name for name, _ in found[1_440 : 1_440 + 360]] == ["2026-01-05 night"] * 360
    assert {name for name, _ in found[1_440 + 360 : 3 * 1_440 - 120]} == {None}  # that of Tuesday is off
    assert {name for name, _ in found[4 * 1_440 + 1_200 : 5 * 1_440 + 240]} == {"2026-01-09 night"}
    assert found[5 * 1_440 + 240] == (None, OFF_SHIFT)


def test_an_exception_is_no_change_of_the_line_but_one_of_the_plant() -> None:
    without, with_one = loads(WEEK), plant('on = "2026-01-06", off = true')
    assert line_hash(without.lines[0]) == line_hash(with_one.lines[0])
    assert without.hash != with_one.hash
    assert NO_SHIFT == -1


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ('on = "2026-01-06"', "says nothing; add off = true"),
        ('on = "2026-01-06", shift = "early"', "says no hours"),
        ('on = "2026-01-06", shift = "erly", off = true', 'no shift in this calendar with the id "erly"'),
        ('on = "2026-01-06", stop = "tea", off = true', "no weekly planned stop in this calendar"),
        ('on = "2026-01-06", shift = "early", stop = "lunch", off = true', "of a shift and of a stop"),
        ('on = "2026-01-06", shift = "early", off = true, hours = "06:00-07:00"', "keep off = true or hours"),
        ('on = "2026-01-06", shift = "early", hours = "08:00-15:00"', 'overlaps the shift "late" on that day'),
        ('on = "2026-01-06", off = true }, { on = "2026-01-06", off = true', "is an exception already"),
    ],
)
def test_mistakes(said: str, why: str) -> None:
    with pytest.raises(PlantError) as found:
        plant(said)
    assert why in str(found.value)
