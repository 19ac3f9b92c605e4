"""Running counters: from one reading to the next, how many parts were made in between."""

from typing import Final

from kernels.jit import kernel

# Kinds of step. REPEAT is 0, so that a caller may test for it.
REPEAT: Final = 0
RISE: Final = 1
ROLLOVER: Final = 2
RESET: Final = 3
BASELINE: Final = 4


@kernel
def increment(previous: int, value: int, modulus: int) -> tuple[int, int]:
    """Steps made since the last reading, and the kind of step.

    `previous` -1: there is no reading yet; `value` becomes the baseline and nothing is counted, because nobody knows
    when those parts were made. `modulus` 0: the counter never wraps. Both readings lie in [0, modulus) (the caller has
    rejected others) and in the range of int64; the increment is then never negative and cannot overflow.

    A fall is a rollover when the counter wraps and the way over the top is at most half the modulus; any other fall is
    a reset: the counter began again at 0, and what it shows now was made since. (A shorter way back than forward would
    otherwise turn every reset of a 16-bit counter into tens of thousands of parts nobody made.)

    After a new epoch (the source restarted) pass `modulus` 0: a restarted counter does not roll over, so a fall is a
    reset; a higher value goes on counting, because controllers keep their counters over a restart.
    """
    if previous < 0:
        return 0, BASELINE
    if value == previous:
        return 0, REPEAT
    if value > previous:
        return value - previous, RISE
    if previous < modulus:
        wrapped = (modulus - previous) + value
        # Not `2 * wrapped <= modulus`: that overflows for a modulus near the int64 limit.
        if wrapped <= modulus - wrapped:
            return wrapped, ROLLOVER
    return value, RESET
