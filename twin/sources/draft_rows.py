"""The rows a draft is made from: their cells by column, what the columns may mean, and what the times say."""

from collections.abc import Collection
from typing import Final

import numpy as np
import numpy.typing as npt

from twin.sources.roles import WORDS, role_of, tokens, whole_numbers
from twin.sources.sniff import Sniffed
from twin.sources.values import to_number

I64 = npt.NDArray[np.int64]
MANY: Final = 40  # different texts: more are no stations, and no states


class DraftRows:
    """The rows a draft is made from: cells by column, and their times."""

    def __init__(self, found: Sniffed, names: list[str], ts: I64, ok: npt.NDArray[np.bool_]) -> None:
        self.found, self.names = found, names
        self.n = len(ts)
        self.ts, self.ok = ts, ok
        self._cells: dict[str, list[str]] = {}
        self.used: set[str] = set()

    def cells(self, name: str) -> list[str]:
        if name not in self._cells:
            self._cells[name] = [cell for cell, ok in zip(self.found.cells(name)[: self.n], self.ok, strict=True) if ok]
        return self._cells[name]

    def times(self) -> I64:
        return self.ts[self.ok]

    def role(self, *roles: str, fits: str = "") -> str | None:
        """The column that tells the first of these roles, and was given none yet."""
        for role in roles:
            named = [name for name in self.names if name not in self.used and role_of(name, (role,)) == role]
            named.sort(key=lambda name: "".join(tokens(name)) not in WORDS[role])
            for name in named:
                kinds = len(set(self.cells(name)))
                if fits == "few" and not 1 <= kinds <= MANY:
                    continue
                if fits == "text" and all(to_number(cell) is not None for cell in self.cells(name)):
                    continue
                return name
        return None

    def whole(self, name: str) -> I64 | None:
        return whole_numbers(self.cells(name), self.found.form.numbers)

    def numbers(self, name: str) -> bool:
        """Whether all that stands in a column are numbers, and some of them above 0."""
        found = [self.found.form.numbers.read(cell) for cell in self.cells(name) if cell]
        return bool(found) and all(one is not None and one >= 0 for one in found)

    def lateness_s(self) -> float:
        ts = self.times()
        if len(ts) < 2 or float((np.diff(ts) < 0).mean()) > 0.8:
            return 0.0
        return float((np.maximum.accumulate(ts) - ts).max()) / 1e9

    def jump_days(self) -> int:
        ts = self.times()
        return max(1, int(np.diff(np.sort(ts)).max(initial=0) // (86_400 * 10**9)) + 1)

    def cycle_s(self, begins: I64, ends: I64) -> float | None:
        """The time of a part where it goes fast, from times of starts and of ends at one station."""
        before = np.searchsorted(begins, ends) - 1  # the start before each end
        fine = before >= 0
        lengths = ends[fine] - begins[before[fine]]
        lengths = lengths[lengths > 0]
        return float(f"{np.quantile(lengths, 0.1) / 1e9:.3g}") if len(lengths) >= 5 else None

    def silence_s(self) -> float:
        """A third more than what the source usually waits: longer is silence."""
        steps = np.diff(np.sort(self.times()))
        return float(np.quantile(steps, 0.99)) / 1e9 * 4 / 3 if len(steps) else 0.0

    def longest_s(self, key: str | None = None) -> float:
        """A third more than the longest time between two rows of one word of this column."""
        words = np.array(self.cells(key)) if key is not None else np.zeros(len(self.times()), int)
        ts = self.times()
        steps = [np.diff(np.sort(ts[words == word])).max(initial=0) for word in np.unique(words)]
        return float(max(steps, default=0)) / 1e9 * 4 / 3

    def regular(self, key: str, among: Collection[str] = ()) -> bool:
        """Whether most words of this column (`among`: only these) come at a step of their own: samples, not changes."""
        words, ts = np.array(self.cells(key)), self.times()
        even = []
        for word in [word for word in np.unique(words) if not among or word in among]:
            steps = np.abs(np.diff(ts[words == word]))
            steps = steps[steps > 0]
            even.append(
                len(steps) >= 8 and float((np.abs(steps - np.median(steps)) <= 0.2 * np.median(steps)).mean()) > 0.85
            )
        return float(np.mean(even)) > 0.5 if even else False

    def hold_s(self, key: str | None = None) -> float | None:
        """The step of a log that is sampled; None where rows come when something happens. `key`: the column of the
        stations, each of which has steps of its own."""
        words, ts = np.array(self.cells(key) if key is not None else [""] * len(self.times())), self.times()
        steps = np.concatenate([np.abs(np.diff(ts[words == word])) for word in np.unique(words)] or [ts[:0]])
        steps = steps[steps > 0]
        if len(steps) < 8:
            return None
        usual = float(np.median(steps))
        regular = float((np.abs(steps - usual) <= 0.2 * usual).mean())
        return usual / 1e9 if regular > 0.85 else None
