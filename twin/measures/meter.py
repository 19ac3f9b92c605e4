"""A running meter: from one believed reading to the next, how much was used in between.

The rule is that of counters (docs/events.md); `twin.figures.usage.meter` is the same without time and epochs.
"""

from typing import Final

import msgspec

HOUR_NS: Final = 3_600_000_000_000
# What a reading says beside its amount.
SOUND: Final = 0
HELD: Final = 1  # it waits for the next one
REFUTED: Final = 2  # the one that was held was wrong
LEFT: Final = 3  # the meter went on elsewhere: what it measured in between is not known


class Reading(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    value: int
    epoch: int
    ts: int
    times: list[int]  # ns in each class until then
    moved: int = 0  # since when it has been the value


class Meter(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    base: Reading | None = None  # the last reading that was believed
    held: Reading | None = None

    def take(self, now: Reading, modulus: int | None, most_per_hour: int | None) -> tuple[int, int, Reading | None]:
        """The next reading: what it says (SOUND, ...), and what was used since which one; None: nobody knows.

        A fall waits for the next reading, unless it is a rollover (at least half the modulus); so does a rise that
        would need more than twice `most_per_hour` (a meter moves in steps, and is read at other times than it moves).
        The next reading decides: it goes on from the last believed one, or from the one that was held. A fall of a
        source that has started again (another epoch) is another beginning.
        """
        base, held = self.base, self.held
        now.moved = now.ts
        for since in (base, held):
            step = None if since is None else _step(since, now, modulus, most_per_hour)
            if since is None or step is None:
                continue
            if step == 0:
                now.moved = since.moved
            self.base, self.held = now, None
            return LEFT if since is held else SOUND if held is None else REFUTED, step, since
        if base is None or (now.epoch != base.epoch and now.value < base.value):
            self.base, self.held = now, None
            return SOUND if base is None else LEFT, 0, None
        self.held = now
        return HELD if held is None else REFUTED, 0, None


def _step(since: Reading, now: Reading, modulus: int | None, most_per_hour: int | None) -> int | None:
    """From one reading to another; None: it does not follow."""
    step = now.value - since.value
    if step < 0:
        if modulus is None or now.epoch != since.epoch or 2 * -step < modulus:
            return None
        step += modulus
    if most_per_hour is not None and step * HOUR_NS > 2 * most_per_hour * (now.ts - since.moved):
        return None
    return step
