"""The one door to the wall clock. Audited rows never use it: it drives schedules, the provisional view and logs."""

import time


def now_ns() -> int:
    """Wall clock, ns since 1970 UTC: for the provisional view and for people."""
    return time.time_ns()


def monotonic_s() -> float:
    """Seconds that never go back: for intervals and limits."""
    return time.monotonic()


def processor_s() -> float:
    """Processor time of this process, all threads: of measurements on a machine that others use, too."""
    return time.process_time()
