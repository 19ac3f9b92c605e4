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
    "model.rename": 1,
    "note.rename": 3,
}
_WRITES: Final = ("stage.write", "snapshot.write")
_SYNCED: Final = ("stage.fsync", "snapshot.fsync")
EVENTS: Final = 20_000
LONG_S: Final = 20.0  # a broker's long absence
# Kinds that the harness does. stop: for less than the session; zombie: for longer. broker-gone: for LONG_S.
_ANYWHERE: Final = ("kill", "term", "stop", "zombie", "add", "remove", "move", "upgrade")
_BROKER: Final = ("broker-kill", "broker-stop", "broker-gone")
# The audit root is moved away, and back after `for_s`; the events topic is deleted and made anew, which ends the plan.
# plant-changed: all workers are started anew with another plant file.
_ROOT, ANEW, CHANGED = "root-gone", "topic-anew", "plant-changed"
OUTSIDE: Final = {1: (*_ANYWHERE, *_BROKER, _ROOT, ANEW, CHANGED), 3: (*_ANYWHERE, *_BROKER, "leader")}
LENGTHY: Final = ("move", "broker-gone", CHANGED)
# Kinds that a worker does to itself at a step; kill is the one that finds most.
AT_STEP: Final = ("kill", "enospc", "flip", "eio", "kill", "short", "cut", "flip", "kill", "stop", "cut")


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One fault.

    what: kill | term | stop (SIGSTOP, SIGCONT after `for_s`) | enospc | eio | short (half of a write, then ENOSPC) |
        cut (the file just written loses its second half, then kill -9) | flip (one bit of it turns, work goes on) |
        add, remove (a worker) | move (one more worker comes and goes, twice, so that partitions change hands) |
        upgrade (from now on every worker that starts is of the next version: killed or asked, one starts anew at once,
        the others run on until they end for another reason or meet what the new one wrote) |
        broker-kill, broker-stop (back after `for_s`) | leader (moved) | root-gone (back after `for_s`) | topic-anew |
        plant-changed (and one worker more, with a wrong file).
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

    @property
    def lengthy(self) -> bool:
        """True when it takes longer than a log that is fed at full speed."""
        return self.what in ("move", CHANGED) or self.for_s >= LONG_S


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """static: each worker has an instance id. session_s: of the group. brokers: 1 or 3. log: which of the logs."""

    seed: int
    workers: int
    static: bool
    session_s: float
    brokers: int
    log: int
    faults: tuple[Fault, ...]


def draw(seed: int, *, brokers: int | None = None, longest_s: float = LONG_S, kind: str | None = None) -> Plan:
    """The plan of a seed. `brokers`: draw for that many; None: every fifth plan is for three.

    Each plan has one fault from outside and one at a step, their kinds by turns, so that 200 plans have every kind many
    times on one broker and on three; the first can hardly miss, so no plan passes undisturbed. The rest is chance.
    longest_s: how long a broker may stay away. kind: of the fault from outside; None: by turns.
    """
    chance = random.Random(f"taktwin {seed}")  # noqa: S311  repeatable
    count = brokers if brokers is not None else (3 if seed % 5 == 4 else 1)
    turn = seed // 5 if count == 3 else seed - seed // 5  # its place among those of its kind
    workers = chance.choice((2, 2, 3))
    static = chance.random() < 0.35
    # A dead member's partitions wait for the session.
    session_s = 4.0 if static else 3.0
    kinds = OUTSIDE[count]

    def outside(kind: str) -> Fault:
        return _outside(chance, kind, workers, count, session_s, longest_s)

    faults = [
        outside(kind or kinds[turn % len(kinds)]),
        _at_step(chance, chance.randrange(workers), AT_STEP[turn % len(AT_STEP)]),
    ]
    for _ in range(chance.choice((0, 0, 1, 1, 2))):
        draw = chance.random()
        if draw < 0.6:
            faults.append(_at_step(chance, chance.randrange(workers), chance.choice(AT_STEP)))
        elif draw < 0.8:
            what = chance.choice(("kill", "term", "stop"))
            for_s = _sleep(chance, session_s) if what == "stop" else 0.0
            faults.append(Fault(what, chance.randrange(workers), records=chance.randrange(200, 3_000), for_s=for_s))
        else:
            faults.append(outside(chance.choice([kind for kind in kinds if kind not in (*LENGTHY, ANEW)])))
    return Plan(seed, workers, static, session_s, count, (turn + turn // len(kinds)) % 4, tuple(faults))


def _outside(chance: random.Random, kind: str, workers: int, brokers: int, session_s: float, longest_s: float) -> Fault:
    # Who joins or goes needs the log to last some time after it.
    fed = chance.randrange(1_000, EVENTS // 4 if kind in ("add", "remove", *LENGTHY) else EVENTS * 3 // 4)
    who = chance.randrange(brokers if kind.startswith("broker") or kind == "leader" else workers)
    match kind:
        case "stop":
            return Fault("stop", who, fed=fed, for_s=session_s / 2)
        case "zombie":
            return Fault("stop", who, fed=fed, for_s=session_s + chance.choice((2.0, 3.5)))
        case "root-gone":
            return Fault("root-gone", fed=fed, for_s=chance.choice((1.0, 3.0, 6.0)))
        case "broker-gone":
            return Fault("broker-stop", who, fed=fed, for_s=longest_s)
        case "broker-kill" | "broker-stop":
            return Fault(kind, who, fed=fed, for_s=chance.choice((0.0, 1.0, 3.0)))
        case _:
            return Fault(kind, who, fed=fed)


def _at_step(chance: random.Random, who: int, what: str) -> Fault:
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


def _sleep(chance: random.Random, session_s: float) -> float:
    # Shorter than the session: it stays the owner. Longer: a zombie.
    return chance.choice((session_s / 2, session_s + 2.0, session_s + 3.5))
