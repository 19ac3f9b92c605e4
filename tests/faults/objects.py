"""Dies at every call to an object store in turn, starts again elsewhere, and compares: the protocol without Kafka.

    python -m tests.faults.objects [--every N] [--waits] [--plans N --seed S]

A worker in front of a store has nothing but a folder that goes with it, so an exception that ends all it does is as
good as a kill. Three ways to die at each call: before it, behind it, or with the call still on its way, which then
arrives when the next owner has gone on. And one not to die: asleep before it, while the next owner goes on to the end;
then it wakes, knows nothing of that, and goes on until its next commit is refused. After each, what a reader sees ends
at or below what is committed, and is sound; at the end the digest is that of an undisturbed run. Prints JSON; the exit
code is 1 where anything differed.
"""

import argparse
import contextlib
import json
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, Final

from faust.types import TP

from streams.kafka.records import Records
from streams.state.anchors import anchors
from streams.state.fits import StateError
from streams.state.snapshot_files import SnapshotError
from tests.faults.steps import TP0, given
from tests.faults.versions import SHORT_DAY_NS
from tests.support.objects import WRITES, Faulty, Killed, MemoryStore, SharedLife, Wire
from twin.audit import AuditError, bases, fetch, layout
from twin.audit.digest import SetDigest, digest
from twin.audit.intervals import contents
from twin.audit.recompute import recompute
from twin.audit.verify import verify
from twin.line import PartitionTwin
from twin.plant.model import Plant

CHECKPOINTS: Final = 4
WAYS: Final = ("before", "behind", "late", "asleep")
# What a worker that was overtaken may end with.
_ENDED: Final = (AuditError, StateError, SnapshotError)


class World:
    """A log, and one store with what the group's broker knows, as workers come and go."""

    def __init__(self, plant: Plant, records: Records, *, waits: bool) -> None:
        self.plant, self.records, self.waits = plant, records, waits
        self.store = MemoryStore()
        self.commits: dict[TP, tuple[int, str]] = {}

    def life(self, wire: Wire | None = None) -> SharedLife:
        wire = wire or Wire()
        audit, state = Faulty(self.store, wire), Faulty(self.store.under("_state/group"), wire)
        return SharedLife(audit, state, self.plant, self.records, CHECKPOINTS, self.commits, waits=self.waits)

    def die(self, wire: Wire) -> bool:
        """One life that ends at the wire's call. False: it came to its end before."""
        try:
            self.life(wire).run(None)
        except Killed:
            return True
        return False

    def sleep(self, at: int) -> tuple[str, list[str]]:
        """One life that sleeps at a call while another one goes on to the end. What was hit, and what is wrong."""
        wrong: list[str] = []

        def other() -> None:
            self.life().run(None)
            wrong.extend(visible(self, "while it sleeps"))

        wire = Wire(at, asleep=other)
        life = self.life(wire)
        life.fenced = lambda: bool(wire.fired)
        with contextlib.suppress(Killed, *_ENDED):
            life.run(None)
        return wire.fired, wrong

    def seen(self) -> tuple[int, bool]:
        """Up to which offset a reader sees rows, and whether all of them are sound."""
        with tempfile.TemporaryDirectory() as name:
            root = Path(name)
            try:
                fetch.copy_state(self.store, root, layout.STATE)
                named, damaged = anchors(root / layout.STATE)
                fetch.copy(self.store, root)
                fetch.copy_staged(self.store, root, [file for anchor in named for file in anchor.files])
            except AuditError as error:
                if "no such audit root" in str(error):
                    return 0, True
                raise
            found = contents(root)
            ends = [one.next_offset for group in (found.published, found.waiting) for one in group.get(0, ())]
            return max(ends, default=0), not damaged and verify(root, anchors=named).sound

    def digests(self) -> dict[str, SetDigest]:
        with tempfile.TemporaryDirectory() as name:
            fetch.copy(self.store, Path(name))
            assert recompute(Path(name)).sound
            return digest(Path(name))


def whole(plant: Plant, records: Records, *, waits: bool) -> tuple[dict[str, SetDigest], list[tuple[str, str]]]:
    """The digest of an undisturbed run, and its calls."""
    world, wire = World(plant, records, waits=waits), Wire()
    world.life(wire).run(None)
    end, sound = world.seen()
    assert sound and end == len(records)
    return world.digests(), wire.calls


def fault(world: World, at: int, way: str, expected: dict[str, SetDigest], second: int = -1) -> tuple[str, list[str]]:
    """What was hit ("": nothing), and what is wrong afterwards. `second`: the next worker dies as well, there."""
    wire = Wire(at, behind=way == "behind", late=way == "late")
    if way == "asleep":
        fired, wrong = world.sleep(at)
        if not fired:
            return "", []
        wrong += visible(world, "when it has woken")
    else:
        if not world.die(wire):
            return "", []
        fired, wrong = wire.fired, visible(world, "after the death")
    if second >= 0:
        world.die(Wire(second, behind=True))
        wrong += visible(world, "after the second death")
    life = world.life()
    life.before_commit = [wire.arrive]  # the next owner has read all it needs, and put what it will commit
    life.run(None)
    wire.arrive()
    wrong += visible(world, "at the end")
    world.life().run(None)  # one more takes over, with nothing to do
    if world.seen() != (len(world.records), True):
        wrong.append("not all is visible, or not sound")
    if world.digests() != expected:
        wrong.append("another digest")
    return fired, wrong


def visible(world: World, when: str) -> list[str]:
    end, sound = world.seen()
    committed = world.commits.get(TP0, (0, ""))[0]
    return (
        [f"{when}: visible to {end}, committed to {committed}, sound: {sound}"] if end > committed or not sound else []
    )


def everywhere(*, every: int, waits: bool, plans: int = 0, seed: int = 0, only: str | None = None) -> dict[str, Any]:
    """Every `every`-th call in each way; or so many plans of one or two deaths, drawn from a seed."""
    with tempfile.TemporaryDirectory() as name:
        plant, records = given(Path(name))
    PartitionTwin(plant, 0).warm()
    expected, calls = whole(plant, records, waits=waits)
    chance = random.Random(seed)  # noqa: S311  repeatable
    hits = list(range(0, len(calls), every))
    todo = [(at, way, -1) for at in hits if calls[at][0] not in WRITES for way in ("before", "asleep")]
    # Taken by themselves: of all calls those that are hit may nearly all be readings.
    writes = [at for at, call in enumerate(calls) if call[0] in WRITES]
    for number, at in enumerate(writes[::every]):
        todo += [(at, way, -1) for way in (WAYS if every == 1 else (WAYS[number % 4],))]
    if plans:
        todo = [(chance.randrange(len(calls)), chance.choice(WAYS), chance.randrange(len(calls))) for _ in range(plans)]
    todo = [one for one in todo if only in (None, one[1])]
    hit: Counter[str] = Counter()
    wrong: list[dict[str, Any]] = []
    for at, way, second in todo:
        world = World(plant, records, waits=waits)
        fired, found = fault(world, at, way, expected, second)
        if fired:
            name, _, key = fired.partition(" ")
            hit[f"{way} {name} {key.split('/')[0]}"] += 1
        if found:
            wrong.append({"at": at, "way": way, "second": second, "fired": fired, "wrong": found})
    return {
        "calls": len(calls),
        "plans": len(todo),
        "hit": sum(hit.values()),
        "kinds": dict(sorted(hit.items())),
        "wrong": wrong,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--waits", action="store_true")
    parser.add_argument("--way", choices=WAYS, help="only this one")
    parser.add_argument("--plans", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    bases.DAY_NS = SHORT_DAY_NS
    found = everywhere(every=asked.every, waits=asked.waits, plans=asked.plans, seed=asked.seed, only=asked.way)
    print(json.dumps(found, indent=1))  # noqa: T201  the command's output
    return 1 if found["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
