"""Acceptance sampling: plans of MIL-STD-105E (ANSI/ASQ Z1.4), operating characteristic, switching rules, lots.

Sources: MIL-STD-105E (tables I and II, in the public domain; `data/mil-std-105e.json`); ISO 2859-1:1999, clause 9;
ANSI/ASQ Z1.4-2003. Two switching policies exist by name. The plans of ISO's reduced inspection could not be read: those
of 105E are in the table, with their gap between Ac and Re.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from twin.figures.exact import Number, exact, whole
from twin.figures.special import binomial_cdf

Severity = Literal["normal", "tightened", "reduced", "stopped"]
POLICIES = ("iso2859-1:1999", "z1.4-2003")


@dataclass(frozen=True, slots=True)
class Plan:
    """Accept up to `ac`, do not accept from `re` on. An arrow in the table has been followed: it changes n too."""

    letter: str
    n: int
    ac: int
    re: int
    inspect_all: bool  # n is not below the lot: all pieces, Ac as it is


@cache
def _tables() -> dict[str, Any]:
    text = files("twin.figures").joinpath("data/mil-std-105e.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def code_letter(lot: Number, level: str = "II") -> str | None:
    """Table I. None for a lot of 1: it is outside the table. Levels I, II, III, S-1 to S-4."""
    size, letters = whole(lot, "the lot", 1), _tables()["code_letters"]
    if level == "lots" or level not in letters:
        raise ValueError(
            f"no inspection level {level!r}: expected one of {', '.join(k for k in letters if k != 'lots')}"
        )
    for (least, most), letter in zip(letters["lots"], letters[level], strict=True):
        if least <= size and (most is None or size <= most):
            return str(letter)
    return None


def plan(lot: Number, level: str, aql: Number, severity: Severity = "normal") -> Plan | None:
    """The single sampling plan. None for a lot of 1. ValueError for an AQL that is no column of the table."""
    letter = code_letter(lot, level)
    if severity not in ("normal", "tightened", "reduced"):
        raise ValueError(f"no plan for {severity!r} inspection: expected normal, tightened or reduced")
    columns = [exact(one) for one in _tables()["aql"]]
    if exact(aql) not in columns:
        raise ValueError(f"no AQL {aql}: expected one of {', '.join(_tables()['aql'])}")
    if letter is None:
        return None
    n, ac, re = _tables()[severity][letter][columns.index(exact(aql))]
    return Plan(letter, n, ac, re, n >= whole(lot, "the lot"))


def accept_probability(n: Number, ac: Number, p: Number) -> Fraction:
    """The operating characteristic of a single plan: P(at most Ac of n) at a share p of nonconforming, binomial."""
    return binomial_cdf(whole(ac, "Ac"), whole(n, "n", 1, 100_000), p)


@dataclass(frozen=True, slots=True)
class Judged:
    """One original lot, in order of closing."""

    severity: Severity
    accepted: bool | None  # None: inspection is stopped
    score_after: int | None  # of ISO's switching score, on normal inspection
    severity_next: Severity


@dataclass(frozen=True, slots=True)
class Numbers:
    """n is not needed to judge; in `reduced` d between ac and re is the gap."""

    ac: int
    re: int


class Switching:
    """A state machine over original lots; resubmitted lots do not count.

    To tightened: 2 of 5 or fewer successive lots on normal not accepted. Back: 5 accepted in a row. Stop: 5 in all not
    accepted while on tightened. To reduced, `iso2859-1:1999`: a switching score of 30 (Ac of 2 or more earns 3 if the
    lot passes one AQL step tighter, Ac 0 or 1 earns 2 if accepted, else back to 0); `z1.4-2003`: 10 accepted in a row
    on normal, without limit numbers. From reduced: a lot not accepted; in Z1.4 also one accepted in the gap.
    """

    def __init__(self, policy: str, plans: Mapping[str, Numbers], tighter_ac: int) -> None:
        if policy not in POLICIES:
            raise ValueError(f"no switching policy {policy!r}: expected one of {', '.join(POLICIES)}")
        if missing := {"normal", "tightened", "reduced"} - set(plans):
            raise ValueError(f"no plan for {', '.join(sorted(missing))} inspection")
        self.policy, self.plans, self.tighter_ac = policy, plans, tighter_ac
        self.severity: Severity = "normal"
        self._begin()

    def _begin(self) -> None:
        self._last: list[bool] = []  # results since this severity began
        self._score = 0

    def lot(self, nonconforming: Number) -> Judged:
        """Judge the next lot and say how the one after it is inspected."""
        d = whole(nonconforming, "nonconforming")
        at = self.severity
        if at == "stopped":
            return Judged(at, None, None, at)
        numbers = self.plans[at]
        gap = at == "reduced" and self.policy == "z1.4-2003" and numbers.ac < d < numbers.re
        accepted = d <= numbers.ac or gap
        self._last.append(accepted)
        score: int | None = None
        if at == "normal":
            score = self._add_score(d, accepted, numbers.ac) if self.policy == "iso2859-1:1999" else None
        after = self._next(accepted, gap)
        if after != at:
            self.severity = after
            self._begin()
        return Judged(at, accepted, score, after)

    def _add_score(self, d: int, accepted: bool, ac: int) -> int:
        earns = (3 if d <= self.tighter_ac else 0) if ac >= 2 else (2 if accepted else 0)
        self._score = self._score + earns if accepted and earns else 0
        return self._score

    def _next(self, accepted: bool, gap: bool) -> Severity:
        if self.severity == "normal":
            if self._last[-5:].count(False) >= 2:
                return "tightened"
            enough = (
                self._score >= 30
                if self.policy == "iso2859-1:1999"
                else len(self._last) >= 10 and all(self._last[-10:])
            )
            return "reduced" if enough else "normal"
        if self.severity == "tightened":
            if self._last.count(False) >= 5:
                return "stopped"
            return "normal" if len(self._last) >= 5 and all(self._last[-5:]) else "tightened"
        return "reduced" if accepted and not gap else "normal"


@dataclass(frozen=True, slots=True)
class Lot:
    inspected: int
    nonconforming: int
    decision: Literal["accept", "reject", "reject_early", "open"]


def judge_lots(
    events: Iterable[tuple[Number, str, bool]],
    n: Number,
    ac: Number,
    closes: Mapping[str, Number] | None = None,
    end: Number | None = None,
) -> dict[str, Lot]:
    """Results (time, lot, conforming): facts of the lot, whatever minute they arrive in.

    Rejected as soon as d is above Ac (`reject_early` where the sample is not complete), accepted only after n results,
    else open. A result at or after the lot's close or the window's end does not count.
    """
    size, most = whole(n, "n", 1), whole(ac, "Ac")
    counts: dict[str, list[int]] = {}
    for t, lot, conforming in events:
        at, close = exact(t), (closes or {}).get(lot)
        if (end is not None and at >= exact(end)) or (close is not None and at >= exact(close)):
            continue
        seen = counts.setdefault(lot, [0, 0])
        seen[0] += 1
        seen[1] += not conforming
    return {lot: Lot(seen, bad, _decision(seen, bad, size, most)) for lot, (seen, bad) in counts.items()}


def _decision(seen: int, bad: int, n: int, ac: int) -> Literal["accept", "reject", "reject_early", "open"]:
    if bad > ac:
        return "reject" if seen >= n else "reject_early"
    return "accept" if seen >= n else "open"


def switch(policy: str, plans: Mapping[str, Numbers], tighter_ac: int, nonconforming: Sequence[Number]) -> list[Judged]:
    """All lots in order of closing: a late lot runs the machine again."""
    machine = Switching(policy, plans, tighter_ac)
    return [machine.lot(d) for d in nonconforming]
