"""Files that go on in another one: what is open at the end of one is not ended where the next one begins with it.

Several logs of one mapping are read together as if their rows stood in one file. Each says how it begins, place by
place, before any of them says how it ends.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from kernels.codes import HEARTBEAT, ORDER, START
from twin.events.block import EventBlock, pick
from twin.sources.blocks import ABSENT, compact

I64 = npt.NDArray[np.int64]
Place = tuple[int, int]  # line, station; -1: of the line


@dataclass(slots=True)
class Begin:
    """When the rows of a place begin in a log (ns), and with which order (None: with none)."""

    link: "Link"
    ts_ns: int
    order: str | None = None


class Chain:
    """The logs of one mapping that are read together. `hands_over`: a log may end what another one has left open."""

    def __init__(self, *, hands_over: bool = True) -> None:
        self.hands_over = hands_over
        self._links: list[Link] = []

    def link(self) -> "Link":
        """Of one more log; logs are linked in the order in which they are merged."""
        made = Link(self, len(self._links))
        self._links.append(made)
        return made

    @property
    def several(self) -> bool:
        return len(self._links) > 1

    def others(self, link: "Link") -> Iterator["Link"]:
        return (one for one in self._links if one is not link)


@dataclass(slots=True)
class Open:
    """The order of a place between two pieces of a log, and what came before it."""

    order: str | None = None
    product: str | None = None
    newest: int | None = None
    before: str | None = None  # the order that this one took the place of
    flips: int = 0  # how often in turn the two have taken each other's place


@dataclass(slots=True)
class Spans:
    """When there are rows of a place: from gap to gap, in order of time (ns)."""

    first: list[int] = field(default_factory=list)
    last: list[int] = field(default_factory=list)

    def add(self, first_ns: int, last_ns: int) -> None:
        """The next rows; they go on with the last span where that is what `first_ns` says."""
        if self.first and first_ns <= self.last[-1]:
            self.last[-1] = max(self.last[-1], last_ns)
        else:
            self.first.append(first_ns)
            self.last.append(last_ns)


@dataclass(slots=True, eq=False)
class Link:
    """How one log begins. `goes_on`: places whose first order is that of the log before it, so it is begun already.
    `open`: orders of places of which it has no row yet, but of whose line it has the next. `begun`: it is known how the
    others begin. `closes`: places of which it will say how they end."""

    chain: Chain = field(repr=False)
    number: int
    name: str = ""
    begun: bool = False
    rows: dict[Place, "Spans"] = field(default_factory=dict)
    closes: set[Place] = field(default_factory=set)
    orders: dict[Place, Begin] = field(default_factory=dict)
    lines: dict[int, Begin] = field(default_factory=dict)
    goes_on: set[Place] = field(default_factory=set)
    open: dict[Place, Open] = field(default_factory=dict)

    def see_rows(self, place: Place, spans: Iterable[tuple[int, int]]) -> None:
        """The next rows of a place, from gap to gap."""
        known = self.rows.setdefault(place, Spans())
        for first_ns, last_ns in spans:
            known.add(first_ns, last_ns)

    def begin_line(self, line: int, ts_ns: int) -> None:
        self.lines.setdefault(line, Begin(self, ts_ns))

    def begin_order(self, place: Place, ts_ns: int, order: str | None) -> None:
        self.orders.setdefault(place, Begin(self, ts_ns, order))

    def goes_on_by(self, place: Place, last_ns: int, limit_ns: int) -> bool:
        """Whether another log has the next row of a place no later than `limit_ns` after its last one here.

        One that is read no further than here yet, and has not closed it, takes it over.
        """
        for one in self.chain.others(self):
            rows = one.rows.get(place)
            k = bisect_right(rows.first, last_ns + limit_ns) - 1 if rows is not None else -1
            if rows is None or k < 0:
                continue
            if rows.last[k] > last_ns:
                return True
            if k == len(rows.last) - 1 and place in one.closes and last_ns - rows.last[k] <= limit_ns:
                rows.last[k] = last_ns
                return True
        return False

    def overlapping(self, place: Place) -> Iterator[tuple["Link", int, int]]:
        """The other logs that have rows of the place among those of this one, and from when to when; of two that have
        each other's one is told by the other."""
        mine = self.rows[place]
        for one in self.chain.others(self):
            for first_ns in one.rows[place].first if place in one.rows else ():
                k = bisect_right(mine.first, first_ns) - 1
                if k >= 0 and first_ns < mine.last[k] and (mine.first[k], self.number) < (first_ns, one.number):
                    yield one, first_ns, mine.last[k]
                    break

    def end_of_order(self, place: Place, one: Open, newest_ns: int, end_ns: int) -> int | None:
        """When an order that is open at this log's end has ended; None: it goes on in another one.

        As within a file: that of a line ends at `end_ns`, or where its next one begins before that; that of a station
        where its next one begins, or its line ends. `newest_ns`: the line's newest row.
        """
        assert one.order is not None and one.newest is not None, "it is open"
        found = self._next_order(place, one.order, one.newest)
        if found is None:
            after = _nearest((other.lines.get(place[0]) for other in self.chain.others(self)), newest_ns)
            if place[1] < 0 or after is None or place in after.link.open or not self.chain.hands_over:
                return end_ns
            after.link.open[place] = one
            return None
        if found.order == one.order:
            return None
        if place[1] < 0 or found.ts_ns < newest_ns:
            return min(end_ns, max(found.ts_ns, newest_ns))
        # At equal times a log that was named before this one goes first: its start would come before the end.
        return found.ts_ns if found.link.number > self.number else end_ns

    def order_goes_on(self, place: Place, order: str, last_ns: int) -> bool:
        """Whether an order whose rows are intervals, the last one until `last_ns`, is the next one of another log."""
        found = self._next_order(place, order, last_ns)
        return found is not None and found.order == order

    def _next_order(self, place: Place, order: str, last_ns: int) -> Begin | None:
        found = _nearest((one.orders.get(place) for one in self.chain.others(self)), last_ns)
        if found is not None and found.order == order:
            found.link.goes_on.add(place)  # for one log or for several that end with it
        return found


def begun_before(block: EventBlock, link: Link) -> EventBlock:
    """Events of a file that goes on with orders of the one before it: their starts are signs of life, nothing more, so
    that there are as many events as the file has."""
    begins = {place: link.orders[place].ts_ns for place in link.goes_on}
    starts = np.flatnonzero((block.type == ORDER) & (block.code == START)).tolist() if begins else []
    known = [k for k in starts if begins.get((int(block.line[k]), int(block.station[k]))) == int(block.ts[k])]
    if not known:
        return block
    made = pick(block, slice(None))
    for name, absent in {**dict.fromkeys(("code", "a"), 0), **ABSENT}.items():
        if name in ("code", "a", "x", "y", "z", "entry"):
            column = getattr(made, name).copy()
            column[known] = absent
            setattr(made, name, column)
    made.type = made.type.copy()
    made.type[known] = HEARTBEAT
    link.goes_on.clear()
    return made


def _nearest(begins: Iterable[Begin | None], ts_ns: int) -> Begin | None:
    """The first at or after an instant."""
    found = [one for one in begins if one is not None and one.ts_ns >= ts_ns]
    return min(found, key=lambda one: (one.ts_ns, one.link.number), default=None)


def without_begun(block: EventBlock, own: I64, links: Sequence[Link | None]) -> tuple[EventBlock, I64, I64]:
    """A merged block without the starts of orders that go on, `own` (of each event its log), and the logs of those."""
    keep = np.ones(len(block), bool)
    for k in np.flatnonzero((block.type == ORDER) & (block.code == START)).tolist():
        link, place = links[int(own[k])], (int(block.line[k]), int(block.station[k]))
        if link is None:
            continue
        # What has begun is on its way: nothing can go on with it any more, and the next start is one of its own.
        link.orders.pop(place, None)
        keep[k] = place not in link.goes_on
        link.goes_on.discard(place)
    if keep.all():
        return block, own, np.empty(0, np.int64)
    return compact(pick(block, np.flatnonzero(keep))), own[keep], own[~keep]
