"""A fault plan: what goes wrong, where, and when. Drawn from a seed, so that a failing one can be repeated."""

import random
from typing import Final

import msgspec

# Where a worker can be hit: every file operation of a checkpoint by its place, and the commit. With each, how often it
# comes at most before a fault: a few checkpoints of two partitions, each with some ten files.
STEPS: Final = {
    "stage.open": 60,
    "stage.write": 120,
    "stage.fsync": 60,
    "stage.folder": 12,
    "snapshot.open": 12,
    "snapshot.write": 12,
    "snapshot.fsync": 12,
    "snapshot.rename": 12,
    "snapshot.folder": 12,
    "commit.before": 7,
    "commit.after": 7,
    "publish.mkdir": 6,
    "publish.rename": 60,
    "publish.folder": 30,
    "discard.unlink": 8,
}
_WRITES: Final = ("stage.write", "snapshot.write")
_SYNCED: Final = ("stage.fsync", "snapshot.fsync")


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One fault.

    what: kill | term | stop (SIGSTOP, SIGCONT after `for_s`) | enospc | eio | short (half of a write, then ENOSPC) |
        cut (the file just written loses its second half, then kill -9) | flip (one bit of it turns, work goes on) |
        add, remove (a worker) | broker-kill, broker-stop (back after `for_s`) | leader (moved).
    who: number of the worker, or of the broker on a cluster.
    step, nth: at the nth occurrence of a protocol step in the process that is worker `who` then.
    records: after so many records consumed by that process. fed: after so many events fed, by the harness.
    """

    what: str
    who: int = 0
    step: str = ""
    nth: int = 0
    records: int = 0
    fed: int = 0
    for_s: float = 0.0

    @property
    def inside(self) -> bool:
        """True when the worker's own process does it, not the harness."""
        return bool(self.step or self.records)


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """static: each worker has an instance id. session_s: of the group. brokers: 1 or 3. log: which of the logs."""

    seed: int
    workers: int
    static: bool
    session_s: float
    brokers: int
    log: int
    faults: tuple[Fault, ...]


def draw(seed: int, *, brokers: int | None = None, longest_s: float = 20.0) -> Plan:
    """The plan of a seed. `brokers`: draw for that many; None: every sixth plan is for three.

    longest_s: how long a broker may stay away.
    """
    chance = random.Random(f"taktwin {seed}")  # noqa: S311  repeatable
    count = brokers if brokers is not None else (3 if seed % 6 == 5 else 1)
    workers = chance.choice((2, 2, 3))
    static = chance.random() < 0.35
    # A dead member's partitions wait for the session.
    session_s = 4.0 if static else 3.0
    faults = [_one(chance, workers, count, session_s) for _ in range(chance.choice((1, 2, 2, 3, 3, 4)))]
    if chance.random() < 0.06:
        faults.append(Fault("broker-stop", who=chance.randrange(count), fed=_fed(chance), for_s=longest_s))
    return Plan(seed, workers, static, session_s, count, seed % 4, tuple(faults))


def _fed(chance: random.Random) -> int:
    return chance.randrange(1_000, EVENTS * 3 // 4)


EVENTS: Final = 20_000


def _one(chance: random.Random, workers: int, brokers: int, session_s: float) -> Fault:
    who = chance.randrange(workers)
    kind = chance.random()
    if kind < 0.55:
        return _at_step(chance, who)
    if kind < 0.65:
        what = chance.choice(("kill", "term", "stop"))
        return Fault(what, who, records=chance.randrange(200, 5_000), for_s=_sleep(chance, what, session_s))
    if kind < 0.80 and brokers == 1:
        what = chance.choice(("kill", "term", "stop", "add", "remove"))
        return Fault(what, who, fed=_fed(chance), for_s=_sleep(chance, what, session_s))
    if brokers == 1:
        if kind < 0.90:
            return Fault("broker-kill", fed=_fed(chance), for_s=chance.choice((0.0, 1.0, 3.0)))
        return Fault("broker-stop", fed=_fed(chance), for_s=chance.choice((0.0, 2.0)))
    what = chance.choice(("leader", "leader", "broker-kill", "broker-kill", "broker-stop", "stop"))
    if what == "stop":
        return Fault("stop", who, fed=_fed(chance), for_s=_sleep(chance, what, session_s))
    return Fault(what, chance.randrange(brokers), fed=_fed(chance), for_s=chance.choice((0.0, 2.0, 5.0)))


def _at_step(chance: random.Random, who: int) -> Fault:
    what = chance.choice(("kill", "kill", "kill", "enospc", "eio", "short", "cut", "flip", "flip", "stop"))
    if what == "enospc":
        step = chance.choice(("stage.open", "stage.write", "snapshot.open", "snapshot.write", "publish.mkdir"))
    elif what == "eio":
        step = chance.choice([step for step in STEPS if step.endswith(("write", "fsync", "folder", "rename"))])
    elif what == "short":
        step = chance.choice(_WRITES)
    elif what in ("cut", "flip"):
        step = chance.choice(_SYNCED)
    else:
        step = chance.choice(list(STEPS))
    # Rather early: a worker that is hit starts to count again.
    nth = 1 + int(STEPS[step] * chance.random() ** 1.5)
    return Fault(what, who, step=step, nth=nth, for_s=4.5 if what == "stop" else 0.0)


def _sleep(chance: random.Random, what: str, session_s: float) -> float:
    # Shorter than the session: it stays the owner. Longer: a zombie.
    return chance.choice((session_s / 2, session_s + 2.0, session_s + 3.5)) if what == "stop" else 0.0
