"""The one door to the wall clock. Audited rows never use it: it drives schedules, the provisional view and logs."""

import time


def now_ns() -> int:
    """Wall clock, ns since 1970 UTC: for the provisional view and for people."""
    return time.time_ns()


def monotonic_s() -> float:
    """Seconds that never go back: for intervals and limits."""
    return time.monotonic()
