"""What was committed, as something outside the root says: the ends of the chains, by the topic `twin.chain`.

A claim is made when an offset is committed and what it names is published, and holds for good: whatever the root holds
later, its chain goes through the file that the claim names. So a claim that comes too late, twice, or out of order says
nothing wrong; a claim that is missing leaves the end to an older one.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from twin.audit.report import Head, Report
from twin.audit.waiting import Piece


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """Of one partition. JSON by msgspec; more fields may come."""

    group: str
    root: str  # id of the root, as in its marker
    topic: str
    topic_id: str  # Kafka's own, "": it gave none
    partition: int
    next_offset: int  # that was committed
    files_to: int  # up to here its rows are files
    sha256: str  # of the last of these; "": there is none yet
    waiting: Piece | None  # the last of the rows behind them, which names those before it


# Made here, not at the first use: two threads that make msgspec learn a type at the same time end the process.
_DECODER: Final = msgspec.json.Decoder(Claim)


def decode(data: bytes) -> Claim:
    """Raises msgspec.MsgspecError."""
    return _DECODER.decode(data)


class ClaimCheck:
    """Checks claims of a root into a report. `claims`: partition -> in the order in which they were made."""

    def __init__(self, report: Report, claims: Mapping[int, Sequence[Claim]]) -> None:
        self._report = report
        self._claims = claims

    @property
    def partitions(self) -> set[int]:
        return set(self._claims)

    def files(self, head: Head, begin: int, ends: Mapping[int, str], seen: Mapping[str, str]) -> None:
        """That the chain, which begins at offset `begin`, goes through every claim.

        `ends`: offset -> SHA-256 of the last file up to it. `seen`: by SHA-256 all files, and those that were merged.
        """
        for claim in self._claims.get(head.partition, ()):
            self._report.checked["ends in the topic"] += 1
            if claim.files_to < begin:
                continue  # pruned since
            if claim.files_to > head.next_offset:
                self._differs(head, f"its files end there at offset {head.next_offset}: files were taken away", claim)
            elif claim.sha256 not in seen and claim.sha256 != ends.get(claim.files_to):
                self._differs(head, "its chain does not hold it: files were changed or replaced", claim)
            elif claim.sha256 == head.sha256:
                head.proven_by = f"the topic, at offset {claim.next_offset}"

    def waiting(self, head: Head, pieces: set[Piece]) -> None:
        """That what waited at the newest claim waits still, or is a file. `pieces`: all that wait."""
        mine = self._claims.get(head.partition, ())
        newest = max(reversed(mine), key=lambda claim: claim.next_offset, default=None)
        if newest is None or newest.waiting is None:
            return
        piece = newest.waiting
        end = max(head.next_offset, head.waiting_to)
        if piece.next_offset > end:
            self._report.differs(
                piece.path, f"is missing: the topic says that it was committed, but what is there ends at offset {end}"
            )
        elif piece.begin < head.next_offset < piece.next_offset or (
            head.next_offset <= piece.begin and piece not in pieces
        ):
            self._report.differs(piece.path, "was committed, as the topic says, but other rows stand there")

    def missing(self, partitions: set[int]) -> None:
        """Every partition of the root must be named: else it could be any."""
        for partition in sorted(partitions - set(self._claims)):
            self._report.differs(
                f"partition {partition}",
                "the topic names no end of it: it was slipped in, or no worker has taken it since the topic is there. "
                "Start a worker once, which says where it stands, and check again",
            )

    def _differs(self, head: Head, what: str, claim: Claim) -> None:
        self._report.differs(
            f"partition {head.partition}",
            f"the topic names {claim.sha256 or 'no file'} as the last file up to offset {claim.files_to}, but {what}",
        )
