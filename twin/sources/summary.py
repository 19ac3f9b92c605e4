"""What became of a log: counted, and for everything that went wrong the first place where it did."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kernels.codes import EVENT_NAMES
from kernels.read import parquet_cells
from twin.events.block import EventBlock

NS = 1_000_000_000
MOST_WORDS = 100  # of a kind that are remembered; more are no words
_SHOWN_WORDS = 8


@dataclass(slots=True)
class Tally:
    """How often, and the first time as `file:line: message`."""

    count: int = 0
    first: str = ""
    at: int = 0  # where that was, where shares of a log are counted apart; 0: what is added first is first

    def add(self, count: int, first: str, at: int = 0) -> None:
        if count and (not self.count or at < self.at):
            self.first, self.at = first, at
        self.count += count


@dataclass(slots=True)
class Summary:
    """Counts of one log or of several.

    `rows` are records read: rows of a CSV or Parquet file, observations of an SHDR file, lines of JSON lines.
    Each of them is one of four: `told` gave an event, `ignored` gave none because nothing asks for one, `left_out` the
    mapping or the file's own form leaves out (a filter, a header that comes again, a row read before), `unusable` gave
    none because of a problem. `notes` say what was done with a file as a whole.
    `problems` are rows or values that could not be used (or look wrong, as a clock that jumps), by reason;
    `rejected` are records refused as events, by reason.
    """

    rows: int = 0
    ignored: int = 0
    told: int = 0
    left_out: int = 0
    unusable: int = 0
    events: dict[str, int] = field(default_factory=dict)
    rejected: dict[str, Tally] = field(default_factory=dict)
    problems: dict[str, Tally] = field(default_factory=dict)
    repeats: Tally = field(default_factory=Tally)  # rows that were read before under their own name (`row`)
    gaps: Tally = field(default_factory=Tally)
    gap_ns: int = 0
    notes: list[str] = field(default_factory=list)
    # Of words the plant does not know, by the reason of the problem: how often each.
    words: dict[str, dict[str, int]] = field(default_factory=dict)

    def word(self, reason: str, word: str, count: int) -> None:
        known = self.words.setdefault(reason, {})
        if word in known or len(known) < MOST_WORDS:
            known[word] = known.get(word, 0) + count

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def problem(self, reason: str, first: str, count: int = 1) -> None:
        self.problems.setdefault(reason, Tally()).add(count, first)

    def reject(self, reason: str, first: str, at: int = 0) -> None:
        self.rejected.setdefault(reason, Tally()).add(1, first, at)

    def gap(self, duration_ns: int, first: str) -> None:
        self.gaps.add(1, first)
        self.gap_ns += duration_ns

    def count_events(self, block: EventBlock) -> None:
        counts = np.zeros(len(EVENT_NAMES), np.int64)
        parquet_cells.tally(block.type, counts)
        for code, count in enumerate(counts):
            if count:
                name = EVENT_NAMES[code]
                self.events[name] = self.events.get(name, 0) + int(count)

    @property
    def n_events(self) -> int:
        return sum(self.events.values())

    def as_dict(self) -> dict[str, Any]:
        """Plain values only, for JSON."""
        return {
            "rows": self.rows,
            "told": self.told,
            "ignored": self.ignored,
            "left_out": self.left_out,
            "unusable": self.unusable,
            "events": dict(sorted(self.events.items())),
            "rejected": _plain(self.rejected),
            "problems": _plain(self.problems),
            "repeats": {"count": self.repeats.count, "first": self.repeats.first or None},
            "gaps": {"count": self.gaps.count, "ns": self.gap_ns, "first": self.gaps.first or None},
            "notes": list(self.notes),
            "words": {reason: dict(words) for reason, words in sorted(self.words.items())},
        }

    def report(self) -> str:
        """A few lines for people."""
        events = ", ".join(f"{count:,} {name}" for name, count in sorted(self.events.items()))
        lines = [f"{self.rows:,} rows read: {self.n_events:,} events" + (f" ({events})" if events else "")]
        if self.ignored or self.left_out or self.unusable:
            parts = {
                "gave events": self.told,
                "gave none": self.ignored,
                "were left out": self.left_out,
                "could not be used": self.unusable,
            }
            lines.append("rows: " + ", ".join(f"{count:,} {what}" for what, count in parts.items() if count))
        lines += self.notes
        if self.repeats.count:
            lines.append(
                f"{self.repeats.count:,} rows had been read before under the same name, and count once; first: "
                f"{self.repeats.first}"
            )
        if self.gaps.count:
            lines.append(
                f"{self.gaps.count:,} gaps between samples, {self.gap_ns / NS:,.3f} s in all, taken as unknown; "
                f"first: {self.gaps.first}"
            )
        for title, tallies in (("problem", self.problems), ("rejected", self.rejected)):
            lines += [
                f"{title} {reason}: {tally.count:,}; first: {tally.first}{self._words(reason)}"
                for reason, tally in sorted(tallies.items())
            ]
        return "\n".join(lines)

    def _words(self, reason: str) -> str:
        """Which words they were, where there is more than the one that is shown."""
        words = self.words.get(reason, {})
        if len(words) < 2:
            return ""
        shown = sorted(words.items(), key=lambda one: (-one[1], one[0]))[:_SHOWN_WORDS]
        more = ", ..." if len(words) > len(shown) else ""
        return "; in all: " + ", ".join(f"{word} ({count:,})" for word, count in shown) + more


def merged(summaries: Iterable[Summary]) -> Summary:
    """The sum of several logs' summaries, their order deciding which place is the first."""
    total = Summary()
    for one in summaries:
        total.rows += one.rows
        total.ignored += one.ignored
        total.told += one.told
        total.left_out += one.left_out
        total.unusable += one.unusable
        for note in one.notes:
            total.note(note)
        for reason, words in one.words.items():
            for word, count in words.items():
                total.word(reason, word, count)
        total.repeats.add(one.repeats.count, one.repeats.first)
        total.gaps.add(one.gaps.count, one.gaps.first)
        total.gap_ns += one.gap_ns
        for name, count in one.events.items():
            total.events[name] = total.events.get(name, 0) + count
        for reason, tally in one.problems.items():
            total.problem(reason, tally.first, tally.count)
        for reason, tally in one.rejected.items():
            total.rejected.setdefault(reason, Tally()).add(tally.count, tally.first, tally.at)
    return total


def _plain(tallies: dict[str, Tally]) -> dict[str, dict[str, Any]]:
    return {reason: {"count": tally.count, "first": tally.first} for reason, tally in sorted(tallies.items())}
