"""What a replay did, and what its shares did together."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from twin.line.still_open import StillOpen
from twin.plant.model import Plant
from twin.results import SETS
from twin.sources.summary import Summary, merged


@dataclass(slots=True)
class ReplayReport:
    """What a replay, or a share of one, did; `rows` by set.

    Each of `events` is one of these: `folded`; `revising`, late and folded in by a revision; `duplicates`; `refused` by
    reason (`late` are those refused as late); or `waiting`: for later events, for confirmation, or a correction.
    """

    events: int = 0
    folded: int = 0
    revising: int = 0
    duplicates: int = 0
    late: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SETS, 0))
    seconds: float = 0.0
    doubts: list[str] = field(default_factory=list)  # what casts doubt on the figures
    doubtful: list[str] = field(default_factory=list)  # of each of them, the line
    summary: Summary = field(default_factory=Summary)
    open: list[StillOpen] = field(default_factory=list)  # what the log's end leaves without a row
    # Of a share: what of the summary is its own alone (`twin.sources.Logs.shared`); None: all of it.
    shared: Summary | None = None

    @property
    def waiting(self) -> int:
        return self.events - self.folded - self.revising - self.duplicates - sum(self.refused.values())

    @property
    def events_per_s(self) -> float:
        return self.events / self.seconds if self.seconds else 0.0


_SUMS = ("events", "folded", "revising", "duplicates", "late")


def together(plant: Plant, shares: Sequence[ReplayReport]) -> ReplayReport:
    """The report of all shares of a replay, in the order of their numbers: that of one process, but for the seconds.

    `seconds`: of the share that took longest.
    """
    found = ReplayReport(**{name: sum(getattr(one, name) for one in shares) for name in _SUMS})
    for one in shares:
        for total, own in ((found.refused, one.refused), (found.rows, one.rows)):
            for name, count in own.items():
                total[name] = total.get(name, 0) + count
    found.seconds = max((one.seconds for one in shares), default=0.0)
    place = {line.id: k for k, line in enumerate(plant.lines)}
    doubts = [pair for one in shares for pair in zip(one.doubtful, one.doubts, strict=True)]
    doubts.sort(key=lambda pair: place.get(pair[0], -1))  # of one line they keep their order
    found.doubtful, found.doubts = [line for line, _ in doubts], [text for _, text in doubts]
    found.open = sorted((o for one in shares for o in one.open), key=lambda o: place.get(o.line, -1))
    found.summary = _summary(shares)
    return found


def _summary(shares: Sequence[ReplayReport]) -> Summary:
    """What each share has read for itself is added up; what all of them have read is there once."""
    if not shares:
        return Summary()
    first, *others = shares
    return merged([first.summary, *(one.summary if one.shared is None else one.shared for one in others)])
