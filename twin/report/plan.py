"""What the target asks of a span: good parts by its rate for the product on the line, over planned time only.

Planned time is that of the rows themselves, so the plan is as provable as what was made. A row counts for the product
that it names, that at its end: the shortest windows are taken, so that a change of product is dated to one of them.
"""

from bisect import bisect_left, bisect_right, insort_right
from dataclasses import dataclass
from fractions import Fraction
from operator import itemgetter
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kernels.codes import CLASS_NAMES, N_CLASSES
from kernels.figures.oee import AVAILABILITY_LOSS, POLICIES
from twin.audit.rows import integers
from twin.plant.calendar import SCHEDULED, table
from twin.plant.model import Line, Target
from twin.report.cover import SCOPES, cover

I64 = npt.NDArray[np.int64]
HOUR_NS: Final = 3_600 * 10**9
EVERY: Final = "*"
UNCLEAR: Final = "\0"  # one of several products, nobody can tell which
_END: Final = itemgetter(0)
# So far an order's end is looked for.
MOST_AHEAD_NS: Final = 60 * 86_400 * 10**9


@dataclass(frozen=True, slots=True)
class Plan:
    """`parts`: None where the plant file names no rate, or none for a product that was on the line. `rate`: parts per
    hour of the last product; None: no target for it."""

    parts: Fraction | None
    rate: int | None
    planned_ns: int

    def minutes(self, difference: Fraction) -> Fraction | None:
        """How long the difference takes at the target's rate."""
        return None if not self.rate else difference * 60 / self.rate


def plan_of(line: Line, target: Target, rows: pa.Table, start_ns: int, end_ns: int) -> Plan:
    """Of the line's rows of windows (kpis) over [start_ns, end_ns). What has no row is not planned: it is told."""
    if not target.parts_per_hour or not rows.num_rows:
        return Plan(None, None, 0)
    planned = planned_by_product(line, rows, start_ns, end_ns)
    missing = [name for name, ns in planned if ns and (name == UNCLEAR or rate_of(target, name) is None)]
    parts = sum((Fraction(ns * (rate_of(target, name) or 0), HOUR_NS) for name, ns in planned), Fraction())
    last = next((name for name, _ in reversed(planned) if name not in (None, UNCLEAR)), None)
    total = sum(ns for _, ns in planned)
    return Plan(None if missing else parts, rate_of(target, last), total)


def rate_of(target: Target, product: str | None) -> int | None:
    """Parts per hour. Without a product there is nothing to make: 0, unless `*` says otherwise. None: not named."""
    rates = target.parts_per_hour
    return rates.get(product or EVERY, rates.get(EVERY, None if product else 0))


def planned_by_product(line: Line, rows: pa.Table, start_ns: int, end_ns: int) -> list[tuple[str | None, int]]:
    """(product, planned ns) of rows laid end to end, by time; where no short row lies, of longer ones."""
    planned, ends = _planned_ns(rows), integers(rows.column("end"))
    names = rows.column("product").to_pylist()
    short = np.arange(rows.num_rows)
    if line.windows:
        windows = rows.column("window").cast(pa.string())
        short = np.flatnonzero(np.asarray(pc.equal(windows, pa.scalar(line.windows[0].id)), np.bool_))
    laid = cover(rows.take(pa.array(short, pa.int64())), start_ns, end_ns)
    found = [
        (int(ends[row]), names[row], sign * int(planned[row]))
        for chosen, sign in ((laid.rows, 1), (laid.minus, -1))
        for row in short[list(chosen)].tolist()
    ]
    found.sort(key=_END)
    past = np.flatnonzero(ends <= start_ns)
    last = int(past[np.argmax(ends[past])]) if past.size else None
    earlier = None if last is None else (int(ends[last]), names[last], 0)  # what was on the line before the span
    lacking = set[str | None]()
    for begin, end in laid.gaps:
        wider = cover(rows, begin, end)
        ns = int(planned[list(wider.rows)].sum() - planned[list(wider.minus)].sum())
        at = bisect_right(found, begin, key=_END)
        before = found[bisect_left(found, found[at - 1][0], key=_END)] if at else earlier
        after = found[at] if at < len(found) else None
        beside = before or after
        insort_right(found, (end, beside[1] if beside else None, ns), key=_END)
        if wider.gaps:
            lacking |= {one[1] for one in (before, after) if one}
    # Longer rows over all of it may know of time that no row within a gap does.
    over = cover(rows, start_ns, end_ns)
    rest = int(planned[list(over.rows)].sum() - planned[list(over.minus)].sum()) - sum(ns for _, _, ns in found)
    if rest > 0:
        insort_right(found, (end_ns, lacking.pop() if len(lacking) == 1 else UNCLEAR, rest), key=_END)
    return [(name, ns) for _, name, ns in found]


def _planned_ns(rows: pa.Table) -> I64:
    """Planned time of each row, by its own policy."""
    made = np.zeros(rows.num_rows, np.int64)
    policies = np.array(rows.column("policy").to_pylist())
    for policy in set(policies.tolist()):
        mine = policies == policy
        for c, role in enumerate(POLICIES[str(policy)].roles):
            if c < N_CLASSES and role >= AVAILABILITY_LOSS:
                made[mine] += integers(rows.column(f"{CLASS_NAMES[c]}_ns"))[mine]
    return made


def rolling(rows: pa.Table) -> pa.Table:
    """Rows of windows: those of a shift, day or order name one product for all of it."""
    return rows.filter(pc.invert(pc.is_in(rows.column("window").cast(pa.string()), pa.array(SCOPES))))


def done_at(line: Line, rest: int, good: int, planned_ns: int, from_ns: int) -> int | None:
    """When `rest` more good parts are made, at the pace of `good` in `planned_ns`, in the line's planned time from an
    instant on. None: nothing was made, or not within 60 days."""
    if rest <= 0:
        return from_ns
    if good <= 0 or planned_ns <= 0:
        return None
    needed = Fraction(rest * planned_ns, good)
    calendar = table(line.calendar, from_ns, from_ns + MOST_AHEAD_NS)
    edges = [*calendar.ts.tolist(), from_ns + MOST_AHEAD_NS]
    for klass, begin, end in zip(calendar.klass.tolist(), edges, edges[1:], strict=False):
        begin = max(begin, from_ns)
        if klass != SCHEDULED or end <= begin:
            continue
        if needed <= end - begin:
            return int(begin + needed)
        needed -= end - begin
    return None


def as_dict(plan: Plan, target: Target, good: int) -> dict[str, Any]:
    difference = None if plan.parts is None else good - plan.parts
    minutes = None if difference is None else plan.minutes(difference)
    return {
        "plan_parts": None if plan.parts is None else float(plan.parts),
        "plan_difference": None if difference is None else float(difference),
        "plan_minutes": None if minutes is None else float(minutes),
        "target_oee": target.oee,
    }
