"""What is made of a plant once and used by every partition of a process.

Of 1,000 lines the tables of names and numbers were 46 ms and 11 MB for each partition.
"""

import threading
from collections.abc import Callable
from functools import wraps
from typing import Final, TypeVar

Plant = TypeVar("Plant")  # or what was made of one in this way
Made = TypeVar("Made")

# A process works with one plant. Tests and replays of a root's history go through many: those before are let go.
_PLANTS: Final = 2


def once_a_plant(make: Callable[[Plant], Made]) -> Callable[[Plant], Made]:
    """`make`, called once for each plant (the object, which never changes). What it returns must not be changed."""
    # Replaced, never changed: it is read without the lock, for it is asked in loops.
    known: tuple[tuple[Plant, Made], ...] = ()
    # Partitions load in threads: each of them would make its own at a start, all at once.
    making = threading.Lock()

    @wraps(make)
    def of(plant: Plant) -> Made:
        nonlocal known
        for one, made in known:
            if one is plant:
                return made
        with making:
            for one, made in known:  # another thread may have made it meanwhile
                if one is plant:
                    return made
            made = make(plant)
            known = (*known, (plant, made))[-_PLANTS:]
            return made

    return of
