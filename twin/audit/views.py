"""Views that people ask for, over the sets' own: stops, pareto, oee_by_shift, orders, changeovers, defects, first_pass,
usage.

They are made of the newest revision of each row and have no SQL words as names. Dates are local: `production_date` is
that of the row. Durations are integers of ns, to the nanosecond where the statement allows it (`twin.audit.query`).
"""

from collections.abc import Collection, Iterator
from typing import Final

# What planned time may be lost to, by ISO 22400; unknown time beside it.
_LOST: Final = "('unknown', 'setup', 'starved', 'blocked', 'minor_stop', 'down', 'maintenance', 'waiting')"
_STOPS: Final = "('minor_stop', 'down', 'maintenance')"
# What ends no stop: what lies behind it is of the same one (docs/concepts.md).
THROUGH: Final = ("unknown", "off_shift", "planned_stop", "no_order")
# Rows of states with the number of their stop, and whether they are the first of their reason in it. The rule is that
# of `twin.report.losses.joined`.
_JOINED: Final = (
    'WITH beside AS (SELECT *, lag("end") OVER w IS DISTINCT FROM start AS apart, '  # noqa: S608 -- our own names
    f"CASE WHEN class NOT IN {THROUGH} THEN class END AS own FROM states "
    "WINDOW w AS (PARTITION BY line, station ORDER BY start)), "
    "stretches AS (SELECT *, count(*) FILTER (apart) OVER w AS stretch FROM beside "
    "WINDOW w AS (PARTITION BY line, station ORDER BY start)), "
    "behind AS (SELECT *, last_value(own IGNORE NULLS) OVER (PARTITION BY line, station, stretch ORDER BY start "
    "ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS own_before FROM stretches), "
    "numbered AS (SELECT *, CASE WHEN own IS NULL THEN -row_number() OVER w "
    "ELSE count(*) FILTER (own IS NOT NULL AND own IS DISTINCT FROM own_before) OVER w END AS stop FROM behind "
    "WINDOW w AS (PARTITION BY line, station ORDER BY start)), "
    "joined AS (SELECT *, row_number() OVER (PARTITION BY line, station, stop, reason ORDER BY start) = 1 AS begins "
    "FROM numbered)"
)
# View -> the sets it is made of.
OF: Final = {
    "stops": ("states",),
    "pareto": ("states",),
    "oee_by_shift": ("kpis",),
    "orders": ("kpis",),
    "changeovers": ("states", "kpis"),
    "defects": ("measures",),
    "first_pass": ("measures",),
    "usage": ("measures",),
}
NAMES: Final = tuple(OF)
# A station that has run for less of an order has not begun it: what it is set up for is a changeover.
BEGUN_NS: Final = 60 * 10**9


def statements(sets: Collection[str], *, exact: bool) -> Iterator[str]:
    """Those of which there are all sets. `exact`: times are of nanoseconds; else of microseconds."""
    for name, statement in zip(NAMES, _statements(exact=exact), strict=True):
        if set(OF[name]) <= set(sets):
            yield statement


def _statements(*, exact: bool) -> Iterator[str]:
    """In the order of `NAMES`."""
    end = 'epoch_ns("end")' if exact else '1000 * epoch_us("end")'
    start = "epoch_ns(start)" if exact else "1000 * epoch_us(start)"
    length = f"({end} - {start})"
    # A stop belongs to the production date and shift in which it begins.
    firsts = (("state", "state"), ("production_date", "production_date"), ("shift", "shift"), ('"order"', "order_id"))
    state, *place = (f"first({column} ORDER BY s.start) AS {name}, " for column, name in firsts)
    yield (
        f"CREATE VIEW stops AS {_JOINED} SELECT line, station, class, {state}reason, {''.join(place)}"  # noqa: S608 -- our own names
        f'min(s.start) AS start, max(s."end") AS end_ts, sum({length})::BIGINT AS ns, max(revision) AS revision '
        f"FROM joined s WHERE class IN {_STOPS} GROUP BY line, station, class, reason, stop"
    )
    about = "line, station, class, reason, production_date, shift"
    yield (
        f"CREATE VIEW pareto AS {_JOINED}, parts AS (SELECT {about}, stop, sum({length})::BIGINT AS ns, "  # noqa: S608 -- our own names
        f"count(*) FILTER (begins) AS n FROM joined WHERE class IN {_LOST} GROUP BY {about}, stop) "
        f"SELECT {about}, sum(ns)::BIGINT AS ns, sum(n)::BIGINT AS count, max(ns) AS longest_ns FROM parts "
        f"GROUP BY {about}"
    )
    figures = (
        "good, scrap, rework, availability, performance, quality, oee, suspect, unknown_ns, "
        '"constraint" AS constraint_station, revision'
    )
    yield (
        'CREATE VIEW oee_by_shift AS SELECT line, production_date, shift, start, "end" AS end_ts, '  # noqa: S608 -- our own names
        f"{figures} FROM kpis WHERE \"window\" = 'shift' AND station IS NULL"
    )
    yield (
        'CREATE VIEW orders AS SELECT line, "order" AS order_id, product, production_date, start, "end" AS end_ts, '  # noqa: S608 -- our own names
        f"{length} AS ns, {figures} FROM kpis WHERE \"window\" = 'order' AND station IS NULL"
    )
    yield _changeovers(start, end)
    about = 'line, station, measure, production_date, shift, "order", product'
    yield (
        "CREATE VIEW defects AS SELECT line, station, measure AS defect, production_date, shift, "  # noqa: S608 -- our own names
        '"order" AS order_id, product, sum(amount)::BIGINT AS count FROM measures '
        f"WHERE quantity = 'defect' AND amount IS NOT NULL GROUP BY {about}"
    )
    yield (
        "CREATE VIEW first_pass AS SELECT line, station, production_date, shift, "  # noqa: S608 -- our own names
        '"order" AS order_id, product, sum(n)::BIGINT AS units, sum(amount)::BIGINT AS passed FROM measures '
        f"WHERE quantity = 'first_pass' GROUP BY {about}"
    )
    # Exact as long as it is an integer; `amount` is the one division of it.
    yield (
        "CREATE VIEW usage AS SELECT line, station, measure, quantity, unit, production_date, shift, "
        '"order" AS order_id, product, during, sum(amount)::BIGINT AS amount_scaled, decimals, '
        "sum(amount)::DOUBLE / power(10, decimals)::DOUBLE AS amount FROM measures WHERE amount IS NOT NULL AND "
        "(quantity IS NULL OR quantity NOT IN ('defect', 'first_pass')) "
        "GROUP BY line, station, measure, quantity, unit, production_date, shift, order_id, product, during, decimals"
    )


def _changeovers(start: str, end: str) -> str:
    """`start`, `end`: SQL for the ends of a state, in ns. The rule is that of twin.report.losses.changeovers."""

    def ran(since: str, until: str) -> str:
        """How long the station of setup p ran."""
        return (
            f"(SELECT coalesce(sum(least(r.end_ns, {until}) - greatest(r.start_ns, {since})), 0) FROM moves r "  # noqa: S608 -- our own names
            "WHERE r.line = p.line AND r.station = p.station AND r.class = 'running' "
            f"AND r.start_ns < {until} AND r.end_ns > {since})"
        )

    return (
        'CREATE VIEW changeovers AS WITH sequence AS (SELECT line, station, "order" AS order_id, product, '  # noqa: S608 -- our own names
        f"production_date, {start} AS start_ns, {end} AS end_ns, "
        "row_number() OVER in_turn AS n, lag(product) OVER in_turn AS before FROM kpis "
        "WHERE \"window\" = 'order' AND station IS NOT NULL "
        'WINDOW in_turn AS (PARTITION BY line, station ORDER BY start, "end")), '
        'moves AS (SELECT line, station, class, start, "end" AS end_ts, '
        f"{start} AS start_ns, {end} AS end_ns FROM states WHERE class IN ('setup', 'running')), "
        "placed AS (SELECT s.*, o.n, o.start_ns AS order_start, o.end_ns AS order_end FROM moves s "
        "JOIN sequence o ON o.line = s.line AND o.station = s.station AND o.n = (SELECT min(q.n) FROM sequence q "
        "WHERE q.line = s.line AND q.station = s.station AND q.end_ns > s.start_ns) "
        "WHERE s.class = 'setup'), "
        f"beside AS (SELECT p.*, {ran('p.order_start', 'p.start_ns')} AS ran_before, "
        f"{ran('p.start_ns', 'p.order_end')} AS ran_after FROM placed p), "
        f"of_orders AS (SELECT *, CASE WHEN ran_before < {BEGUN_NS} THEN n WHEN ran_after < {BEGUN_NS} THEN n + 1 END "
        "AS following FROM beside) "
        "SELECT s.line, s.station, o.production_date, min(s.start) AS start, max(s.end_ts) AS end_ts, "
        "sum(s.end_ns - s.start_ns)::BIGINT AS ns, o.before AS from_product, o.product AS to_product, o.order_id "
        "FROM of_orders s JOIN sequence o ON o.line = s.line AND o.station = s.station AND o.n = s.following "
        "GROUP BY s.line, s.station, o.n, o.production_date, o.before, o.product, o.order_id"
    )
