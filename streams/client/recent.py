"""What was seen lately, in bounded memory."""


class Recent:
    """Remembers at least the last `window` keys and at most twice as many, each with its highest rank.

    Two generations rather than a queue of keys: half the memory, and no bookkeeping per key.
    """

    def __init__(self, window: int) -> None:
        self._window = window
        self._young: dict[int, int] = {}
        self._old: dict[int, int] = {}

    def is_news(self, key: int, rank: int = 0, number: int = 0) -> bool:
        """True when `key` was not seen lately, or only with a lower rank, or last with this rank and another `number`
        (below 2^64). Seen again, it counts as young.
        """
        known = self._young.get(key)
        if known is None:
            known = self._old.get(key, -1)
        told = rank << 64 | number  # one integer: half the memory of a pair
        news = rank > known >> 64 or (rank == known >> 64 and told != known)
        self._young[key] = told if news else known
        if len(self._young) >= self._window:
            self._old, self._young = self._young, {}
        return news

    def __len__(self) -> int:
        return len(self._young.keys() | self._old.keys())
