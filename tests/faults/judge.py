"""Whether every end of a worker's process is explained by what the plan did to it."""

import signal
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from streams import exits

DISK: Final = frozenset({"enospc", "eio", "short", "cut", "flip"})


@dataclass(frozen=True)
class Ended:
    """code: of the process. told: signals the harness gave it. fired: what of the plan it did to itself.

    An outdated worker that is given what a later version wrote must say so and end.
    """

    worker: int
    code: int
    told: frozenset[int] = frozenset()
    fired: frozenset[str] = frozenset()
    outdated: bool = False  # a later version was at work beside it


def unexplained(ends: Iterable[Ended], happened: Iterable[str], *, static: bool) -> list[Ended]:
    """The ends that nothing accounts for, a crash in machine code among them.

    `happened`: every fault of the plan that fired, wherever. A broker that is away and a damaged file reach workers
    that nothing was done to; a signal reaches only the one it is for.
    """
    happened = frozenset(happened)
    return [one for one in ends if not _explained(one, happened, static)]


def _explained(one: Ended, happened: frozenset[str], static: bool) -> bool:
    broker = any(what.startswith("broker") or what == "leader" for what in happened)
    root = "root-gone" in happened
    asked = signal.SIGTERM in one.told or "term" in one.fired
    match one.code:
        case exits.OK | exits.HARD_STOP:
            return asked
        case -15:  # before it had begun to listen
            return asked
        case -9:
            return signal.SIGKILL in one.told or bool({"kill", "cut"} & one.fired)
        case exits.INTERNAL | exits.STORAGE:
            return bool(DISK & happened) or root
        case exits.NO_KAFKA:
            return broker
        case exits.WATCHDOG:
            return broker or root or "stop" in happened
        case exits.STATE:
            return one.outdated or "topic-anew" in happened
        case exits.FENCED:
            return static and "stop" in happened
    return False
