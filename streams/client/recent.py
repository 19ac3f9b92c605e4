"""What was seen lately, in bounded memory."""


class Recent:
    """Remembers at least the last `window` keys and at most twice as many, each with its highest rank.

    Two generations rather than a queue of keys: half the memory, and no bookkeeping per key.
    """

    def __init__(self, window: int) -> None:
        self._window = window
        self._young: dict[int, int] = {}
        self._old: dict[int, int] = {}

    def is_news(self, key: int, rank: int = 0) -> bool:
        """True when `key` was not seen lately, or only with a lower rank. Seen again, it counts as young."""
        known = self._young.get(key)
        if known is None:
            known = self._old.get(key, -1)
        self._young[key] = max(known, rank)
        if len(self._young) >= self._window:
            self._old, self._young = self._young, {}
        return rank > known

    def __len__(self) -> int:
        return len(self._young.keys() | self._old.keys())
