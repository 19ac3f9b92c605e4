"""Logging of a worker: one line per record on standard error, with a limit on what repeats."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final

from streams import clock

WINDOW_S: Final = 10.0
MOST_PER_WINDOW: Final = 5
MOST_TEXTS: Final = 1_000  # remembered at once
# aiokafka alone writes about a thousand lines while a broker is away for 13 s.
_CHATTY: Final = ("aiokafka", "faust", "mode")


class RateLimit(logging.Filter):
    """Lets the first few records of each message text through per window, then says how many it held back."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.name.startswith(_CHATTY):
            return True
        key = (record.name, str(record.msg))
        now = clock.monotonic_s()
        if key not in self._seen and len(self._seen) >= MOST_TEXTS:
            self._forget(now)
        start, count = self._seen.get(key, (now, 0))
        if now - start >= WINDOW_S:
            if count > MOST_PER_WINDOW:
                record.msg = f"{record.msg} (and {count - MOST_PER_WINDOW} more like it in {now - start:.0f} s)"
            start, count = now, 0
        self._seen[key] = (start, count + 1)
        return count < MOST_PER_WINDOW

    def _forget(self, now: float) -> None:
        """Texts whose window is over; where too many are left, the half that began first."""
        began = sorted(start for start, _ in self._seen.values())
        oldest = max(now - WINDOW_S, began[len(began) // 2])
        self._seen = {key: seen for key, seen in self._seen.items() if seen[0] > oldest}


class JsonLines(logging.Formatter):
    """One JSON object per record, a trace within it: for collectors that read line by line."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        fields = {"ts": time, "level": record.levelname, "logger": record.name, "message": record.getMessage()}
        if record.exc_info:
            fields["trace"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False)


def configure(level: str, form: str = "text") -> None:
    """Set up the root logger; Faust's own chatter only with DEBUG. form: text or json."""
    handler = logging.StreamHandler(sys.stderr)
    text = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    handler.setFormatter(JsonLines() if form == "json" else text)
    handler.addFilter(RateLimit())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    quiet = logging.DEBUG if level == "DEBUG" else logging.WARNING
    for name in ("faust", "mode", "aiokafka", "asyncio"):
        logging.getLogger(name).setLevel(quiet)
