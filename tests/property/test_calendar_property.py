"""The calendar against a slow obvious one that looks at the clock minute by minute."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.codes import OFF_SHIFT, PLANNED_STOP
from twin.plant.calendar import NO_SHIFT, SCHEDULED, table
from twin.plant.model import Calendar, PlannedStop, Shift
from twin.time.zone import zone

MINUTE = timedelta(minutes=1)
DAY_S, WEEK_S = 86_400, 604_800
EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 (local on purpose)
# Around the change of the clock, and one ordinary time: zone and first UTC day of the range looked at.
PLACES = [
    ("Europe/Berlin", datetime(2026, 3, 28, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2026, 10, 24, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 11, 1, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 4, 4, tzinfo=UTC)),  # by half an hour
    ("Asia/Beirut", datetime(2026, 3, 28, tzinfo=UTC)),  # midnight does not exist
    ("Pacific/Apia", datetime(2011, 12, 29, tzinfo=UTC)),  # a whole day does not exist
    ("Asia/Kolkata", datetime(2026, 6, 1, tzinfo=UTC)),
]
RANGE_MIN = 2 * 24 * 60


class Clock:
    """Local wall time of every minute around the range."""

    def __init__(self, name: str, start: datetime) -> None:
        self.first = start - timedelta(days=17)
        local = zone(name)
        count = (17 + 17) * 24 * 60
        self.wall = [(self.first + i * MINUTE).astimezone(local).replace(tzinfo=None) for i in range(count)]
        # The rule, said once more in a slow way: the first minute that shows a time, or a later one.
        self.first_shown: dict[datetime, datetime] = {}
        newest = self.wall[0] - MINUTE
        for i, shown in enumerate(self.wall):
            while newest < shown:
                newest += MINUTE
                self.first_shown[newest] = self.first + i * MINUTE

    def instant(self, local: datetime) -> datetime | None:
        return self.first_shown.get(local)


CLOCKS = [(name, start, Clock(name, start)) for name, start in PLACES]


def naive(calendar: Calendar, clock: Clock, start: datetime) -> list[tuple[int, int, int]]:
    """(class, shift number, production day) of every minute of the range."""
    midnight = clock.wall[0].replace(hour=0, minute=0)
    days = [midnight + timedelta(days=i) for i in range(40)]
    shifts, stops, starts = [], [], []
    for day in days:
        starts.append((clock.instant(day + timedelta(seconds=calendar.day_start_s)), (day - EPOCH).days))
        for index, shift in enumerate(calendar.shifts):
            if day.weekday() in shift.days:
                end = shift.end_s + (DAY_S if shift.end_s <= shift.start_s else 0)
                number = day.toordinal() * len(calendar.shifts) + index
                shifts.append((*span(clock, day, shift.start_s, end), number))
        for stop in calendar.planned_stops:
            if stop.weekly and day.weekday() == 0:
                begin, end = stop.weekly
                stops.append(span(clock, day, begin, end + (WEEK_S if end < begin else 0)))
    dated = [stop.dated for stop in calendar.planned_stops if stop.dated]
    stops += [(clock.instant(datetime.fromisoformat(a)), clock.instant(datetime.fromisoformat(b))) for a, b in dated]
    found = []
    for i in range(RANGE_MIN):
        now = start + i * MINUTE
        inside = [number for begin, end, number in shifts if begin and end and begin <= now < end]
        stopped = any(begin and end and begin <= now < end for begin, end in stops)
        klass = PLANNED_STOP if stopped else SCHEDULED
        if calendar.shifts and not inside:
            klass = OFF_SHIFT
        day = max(number for begin, number in starts if begin and begin <= now)
        found.append((klass, inside[0] if inside else NO_SHIFT, day))
    return found


def span(clock: Clock, day: datetime, start_s: int, end_s: int) -> tuple[datetime | None, datetime | None]:
    return clock.instant(day + timedelta(seconds=start_s)), clock.instant(day + timedelta(seconds=end_s))


@st.composite
def calendars(draw: st.DrawFn, name: str, start: datetime) -> Calendar:
    """Shifts that do not overlap: the day is cut at some minutes, and some of the pieces are shifts."""
    cuts = sorted(draw(st.sets(st.integers(0, 1439), max_size=4)))
    pieces = [(a * 60, b * 60) for a, b in zip(cuts, cuts[1:] + cuts[:1], strict=True)]
    days = st.sets(st.integers(0, 6), min_size=1).map(lambda d: tuple(sorted(d)))
    shifts = tuple(Shift(f"s{i}", draw(days), a, b) for i, (a, b) in enumerate(pieces) if draw(st.booleans()))
    minute = st.integers(0, 7 * 1440 - 1).map(lambda m: m * 60)
    weekly = draw(st.lists(st.tuples(minute, minute).filter(lambda p: p[0] != p[1]), max_size=2))
    local = st.integers(-1000, 4 * 1440).map(lambda m: (start + m * MINUTE).replace(tzinfo=None).isoformat())
    dated = draw(st.lists(st.tuples(local, local).filter(lambda p: p[0] < p[1]), max_size=1))
    stops = tuple(PlannedStop("w", weekly=w) for w in weekly) + tuple(PlannedStop("d", dated=d) for d in dated)
    return Calendar(name, shifts, stops, draw(st.integers(0, 1439)) * 60)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_every_minute_as_the_slow_one_says(data: st.DataObject) -> None:
    name, start, clock = data.draw(st.sampled_from(CLOCKS))
    calendar = data.draw(calendars(name, start))
    first_ns = int(start.timestamp()) * 10**9
    got = table(calendar, first_ns, first_ns + RANGE_MIN * 60 * 10**9)
    assert got.ts[0] <= first_ns
    assert (got.ts[1:] > got.ts[:-1]).all()
    expected = naive(calendar, clock, start)
    for i in range(RANGE_MIN):
        row = got.row(first_ns + i * 60 * 10**9)
        assert (int(got.klass[row]), int(got.shift[row]), int(got.day[row])) == expected[i], start + i * MINUTE


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_neighbouring_rows_differ_and_no_range_changes_a_row(data: st.DataObject) -> None:
    name, start, _ = data.draw(st.sampled_from(CLOCKS))
    calendar = data.draw(calendars(name, start))
    first_ns = int(start.timestamp()) * 10**9
    wide = table(calendar, first_ns, first_ns + 4 * DAY_S * 10**9)
    columns = ("ts", "klass", "shift", "day")
    rows = list(zip(*(getattr(wide, c).tolist() for c in columns), strict=True))
    assert all(a[1:] != b[1:] for a, b in pairwise(rows))
    begin = first_ns + data.draw(st.integers(0, 3 * DAY_S)) * 10**9
    end = begin + data.draw(st.integers(1, DAY_S)) * 10**9
    narrow = table(calendar, begin, end)
    got = list(zip(*(getattr(narrow, c).tolist() for c in columns), strict=True))
    assert got == [row for row in rows if row[0] < end][wide.row(begin) :]
