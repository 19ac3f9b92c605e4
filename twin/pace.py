"""How many events to fold in one go, by the rows they give."""

from typing import Final

# Of a source with an event every 10 s, a window that moves on every second gives ten rows an event and station: those
# of 65,536 events at once are gigabytes.
MOST_ROWS: Final = 1 << 15
_FIRST: Final = 1_024


class Pace:
    """Begins with few and doubles while their rows are few, up to `most`. No row depends on it."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.at_once = min(_FIRST, most)

    def gave(self, events: int, rows: int) -> None:
        """So many events, folded in one go, gave so many rows."""
        if rows > MOST_ROWS:
            self.at_once = max(events * MOST_ROWS // rows, 1)
        elif events >= self.at_once and rows <= MOST_ROWS // 2:
            self.at_once = min(2 * self.at_once, self.most)
