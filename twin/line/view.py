"""The provisional view of a line: what is known now, not yet audited."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kernels.codes import CLASS_NAMES, GOOD, N_COLUMNS, SCRAP
from kernels.figures.oee import policy_matrix, ratios
from kernels.fold import layout as at
from kernels.fold.arrays import State
from twin.line.numbers import Numbers
from twin.line.texts import Texts
from twin.plant.model import Line
from twin.time.rfc3339 import rfc3339

I64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Progress:
    """An order that is open, and how far it is: of the line (`station` null), or a station's own."""

    station: str | None
    order: str
    product: str | None
    quantity: int | None  # parts ordered
    due: str | None  # RFC 3339
    good: int  # so far; of the line's order at its constraint


@dataclass(frozen=True, slots=True)
class LineView:
    """One line as `twin.lines` shows it. Times in ns since 1970 UTC, ratios of the last hour or the longest window."""

    line: str
    ts_ns: int  # event time up to which the line is known
    state: str  # of the constraint station
    stations: dict[str, str]
    availability: float | None
    performance: float | None
    quality: float | None
    oee: float | None
    good: int
    scrap: int
    order: str | None
    product: str | None  # of the order
    quantity: int | None  # parts ordered
    orders: tuple[Progress, ...]
    bottleneck: str | None
    share: float | None
    verdict: str | None
    newest_ns: int
    # As text besides: JavaScript rounds integers of that size.
    ts: str
    newest: str
    duplicates: int
    late: int
    contradictions: int
    provisional: bool = True


def line_view(
    number: int,
    line: Line,
    constraint: int,
    n: Numbers,
    x: State,
    texts: Texts,
    verdict: str | None,
    leader: tuple[str, float] | None,
) -> LineView:
    """`constraint`: local number of the station whose OEE stands for the line."""
    row = x.lines[number].tolist()
    lo = int(n.lines[number, at.LC_STATION])
    classes = x.stations[lo : lo + len(line.stations), at.S_CLASS].tolist()
    names = {s.id: CLASS_NAMES[of] for s, of in zip(line.stations, classes, strict=True)}
    vector = x.total[lo + constraint] - _window_start(number, constraint, n, x)
    factors, _ = ratios(vector.reshape(1, N_COLUMNS), policy_matrix((line.policy,))[0])
    a, p, q, oee = (None if np.isnan(f) else float(f) for f in factors[0])
    return LineView(
        line=line.id,
        ts_ns=row[at.L_LAST],
        state=names[line.stations[constraint].id],
        stations=names,
        availability=a,
        performance=p,
        quality=q,
        oee=oee,
        good=int(vector[GOOD]),
        scrap=int(vector[SCRAP]),
        order=texts.text(row[at.L_ORDER]),
        product=texts.text(row[at.L_PRODUCT_TEXT]),
        quantity=None if row[at.L_QUANTITY] < 0 else row[at.L_QUANTITY],
        orders=tuple(_progress(line, constraint, lo, x, row, texts)),
        bottleneck=leader[0] if leader else None,
        share=leader[1] if leader else None,
        verdict=verdict,
        newest_ns=row[at.L_NEWEST],
        ts=rfc3339(row[at.L_LAST]),
        newest=rfc3339(row[at.L_NEWEST]),
        duplicates=row[at.L_DUPLICATES],
        late=row[at.L_LATE],
        contradictions=row[at.L_CONTRADICTIONS],
    )


def _progress(line: Line, constraint: int, lo: int, x: State, row: Sequence[int], texts: Texts) -> Iterator[Progress]:
    """Of the line's order, and of those that stations have as their own. `row`: the line's."""
    if row[at.L_ORDER] >= 0:
        s = lo + constraint
        good = int(x.total[s, GOOD] - x.base[s, at.SCOPE_ORDER, GOOD])
        yield _of_order(None, [row[k] for k in (at.L_ORDER, at.L_PRODUCT_TEXT, at.L_QUANTITY, at.L_DUE)], good, texts)
    own = x.stations[lo : lo + len(line.stations), at.S_STRETCH] == at.STRETCH_OWN
    for k in np.flatnonzero(own).tolist():
        good = int(x.total[lo + k, GOOD] - x.base[lo + k, at.SCOPE_STRETCH, GOOD])
        columns = [at.S_OWN_ORDER, at.S_OWN_PRODUCT_TEXT, at.S_OWN_QUANTITY, at.S_OWN_DUE]
        yield _of_order(line.stations[k].id, x.stations[lo + k, columns].tolist(), good, texts)


def _of_order(station: str | None, said: Sequence[int], good: int, texts: Texts) -> Progress:
    order, product, quantity, due = said
    return Progress(
        station,
        texts.text(order) or "",
        texts.text(product),
        None if quantity < 0 else quantity,
        rfc3339(due) if due else None,
        good,
    )


def _window_start(number: int, station: int, n: Numbers, x: State) -> I64:
    """Cumulative vector a longest window before the newest step (zero: the line is younger)."""
    count = int(n.lines[number, at.LC_WINDOWS])
    zero = np.zeros(N_COLUMNS, np.int64)
    if not count:
        return zero
    w = int(n.lines[number, at.LC_WINDOW]) + count - 1
    length, step, ring, slots = (int(n.windows[w, k]) for k in (at.WC_LENGTH, at.WC_STEP, at.WC_RING, at.WC_SLOTS))
    cut = int(x.steps[w]) - step - length
    if cut <= int(x.lines[number, at.L_T0]):
        return zero
    return np.asarray(x.rings[ring + station * slots + (cut // step) % slots])
