"""Dies at every operation of the checkpoints in turn, starts again, and compares: the protocol without Kafka.

    python -m tests.faults.steps FOLDER [--what kill] [--brief] [--twice SEED]

What a worker does between two records (load, fold, stage, commit, publish) runs in forked children of this process, so
that a death costs milliseconds. The commit is a file that only the children's unpatched calls write. Prints JSON: how
many operations there are, and at which of them the end differed.
"""

import argparse
import json
import os
import random
import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from faust.types import TP

from streams.kafka.records import Record, Records
from streams.kafka.transport import Assigned
from streams.state.partition import PartitionState
from streams.state.snapshot_files import SnapshotStore
from streams.state.store import PartitionStore
from streams.worker.poison import Notes
from streams.worker.processor import Processor
from tests.faults.plan import Fault
from tests.faults.sabotage import Saboteur, patch
from tests.faults.versions import SHORT_DAY_NS
from tests.support import generated
from twin.audit import bases
from twin.audit.digest import SetDigest, digest
from twin.audit.layout import BASES, published
from twin.audit.recompute import recompute
from twin.audit.verify import verify
from twin.line import PartitionTwin
from twin.plant import load
from twin.plant.model import Plant

TOPIC = "twin.events"
TP0 = TP(TOPIC, 0)
_DIED = 70


class Life:
    """One partition's files in a folder, and what one process does with them."""

    def __init__(self, folder: Path, plant: Plant, records: Records, checkpoints: int, waits: bool = False) -> None:
        self._size = -(-len(records) // checkpoints)
        self.folder = folder
        self.audit = folder / "audit"
        self._commit = folder / "commit.json"
        self._plant = plant
        self._records = records
        self._processor = Processor(plant, TOPIC)
        self._store = PartitionStore(
            plant=plant,
            twin=PartitionTwin,
            snapshots=SnapshotStore(self.audit / "_state" / "group"),
            audit=self.audit,
            keep=1,
            code_version="test",
            publish_after_s=1e9 if waits else 0.0,
        )
        self._waits = waits
        self.notes = self._store.snapshots.folder

    def run(self, saboteur: Saboteur | None) -> None:
        """From the commit to the end of the log."""
        state = self._store.load(TP0, self.assigned())
        notes = Notes(self.notes, TP0, state.next)
        while True:
            number = state.next // self._size + 1
            end = min(number * self._size, len(self._records))
            self._fold(state, notes, (state.next + end) // 2)
            if not self._waits or number % 4 == 0:
                self._stage_ahead(state)
            self._fold(state, notes, end)
            # Of rows that wait: two pieces and a file of them, one more and a file staged ahead, and the last waits.
            self._checkpoint(state, saboteur, publish=self._waits and number % 4 == 3)
            notes.passed(state.next)
            if state.next == len(self._records):
                return

    def assigned(self) -> Assigned:
        """As a broker would say."""
        committed, metadata = json.loads(self._commit.read_text()) if self._commit.exists() else (None, "")
        return Assigned(committed, metadata, 0, len(self._records), 1)

    def commit(self, saved: tuple[int, str]) -> None:
        temporary = self.folder / "commit.tmp"
        temporary.write_text(json.dumps(saved))
        temporary.rename(self._commit)

    def _fold(self, state: PartitionState, notes: Notes, end: int) -> None:
        for part in state.parts(self._records[state.next : end]):
            for piece in notes.pieces(part) if part else ():
                with notes.folding(piece):
                    self._processor.fold(state, piece.records)
            notes.folded()
            replay = state.catching_up
            if replay is not None and state.next >= replay.boundary:
                state.first = replay.boundary
                self._store.compare(state, state.taken_rows(), None)

    def _stage_ahead(self, state: PartitionState) -> None:
        if state.ready_bytes:
            state.staged(self._store.stage_rows(state.cut_rows()))

    def _checkpoint(self, state: PartitionState, saboteur: Saboteur | None, *, publish: bool) -> None:
        """The steps of `streams.state.checkpoint.Checkpointer`, one after the other."""
        cut = state.cut(publish=publish)
        if cut is not None:
            made, identity = self._store.stage(cut, cut.frozen.encode())
            state.saved = (cut.rows.next, identity)
            state.staged(made, identity)
        if state.saved == state.committed:
            return
        if saboteur is not None:
            saboteur.hit("commit.before", "")
        self.commit(state.saved)
        if saboteur is not None:
            saboteur.hit("commit.after", "")
        state.committed = state.saved
        manifests, state.manifests = state.manifests, ()
        self._store.publish(state, manifests, state.committed)


def child(life: Life, faults: Sequence[Fault], trace: Path | None = None) -> int:
    """Run one life in a forked process. Returns how it ended: 0, 70 after an error, or minus a signal."""
    pid = os.fork()
    if pid == 0:
        code = _DIED
        try:
            saboteur = Saboteur(faults, None)
            patch(saboteur)
            life.run(saboteur)
            if trace is not None:
                trace.write_text(json.dumps(saboteur.trace))
            code = 0
        except Exception as error:
            sys.stderr.write(f"{faults}: {error!r}\n")
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--what", default="kill", choices=("kill", "enospc", "eio", "short", "cut", "flip"))
    parser.add_argument("--brief", action="store_true", help="of the many writes of a file only the first and the last")
    parser.add_argument("--every", type=int, default=1, help="only every nth of them")
    parser.add_argument("--checkpoints", type=int, default=3)
    parser.add_argument("--waits", action="store_true", help="rows wait for a file over several checkpoints")
    parser.add_argument("--twice", type=int, metavar="SEED", help="the restarted one dies as well, somewhere")
    asked = parser.parse_args()
    found = everywhere(
        asked.folder, asked.what, asked.brief, asked.twice, asked.checkpoints, asked.every, waits=asked.waits
    )
    print(json.dumps(found))  # noqa: T201  the command's output
    return 1 if found["wrong"] else 0


def everywhere(
    folder: Path, what: str, brief: bool, twice: int | None, checkpoints: int, every: int, *, waits: bool = False
) -> dict[str, Any]:
    plant, records = given(folder)
    bases.DAY_NS = SHORT_DAY_NS
    PartitionTwin(plant, 0).warm()  # once, for all children
    whole = Life(folder / "whole", plant, records, checkpoints, waits)
    assert child(whole, (), folder / "trace.json") == 0
    expected = digest(whole.audit)
    assert expected["kpis"].rows > 0
    assert checkpoints == 1 or published(whole.audit, BASES)  # the first cut of a log is its beginning
    trace = _named(json.loads((folder / "trace.json").read_text()))
    chance = random.Random(twice)  # noqa: S311  repeatable
    wrong, lived = [], []
    hit = _operations(trace, what, brief)[::every]
    for at in hit:
        work = folder / f"at-{at}"
        life = Life(work, plant, records, checkpoints, waits)
        work.mkdir()
        ends = [child(life, [Fault(what, step="any", nth=at)])]
        if twice is not None:
            ends.append(child(life, [Fault("kill", step="any", nth=chance.randint(1, len(trace)))]))
        if ends[0] == 0:
            lived.append(trace[at - 1])
        if child(life, ()) != 0 or not _same(work, expected, checkpoints > 1):
            wrong.append({"operation": at, "step": trace[at - 1], "ends": ends})
        else:
            shutil.rmtree(work)
    return {
        "what": what,
        "operations": len(trace),
        "hit": len(hit),
        "steps": Counter(trace),
        "died": len(hit) - len(lived),
        "lived": sorted(set(lived)),
        "wrong": wrong,
    }


def _named(trace: list[str]) -> list[str]:
    """What is done to the folder for a note is the note's: notes and snapshots lie in one folder."""
    named = list(trace)
    for index in reversed(range(len(trace) - 1)):
        # Several in a row: a folder, the one above it, the folder again.
        if trace[index] == "snapshot.mkdir" and named[index + 1] in ("note.open", "note.mkdir"):
            named[index] = "note.mkdir"
        elif trace[index + 1] == "snapshot.folder" and trace[index] == "note.rename":
            named[index + 1] = "note.folder"
    return named


def _operations(trace: list[str], what: str, brief: bool) -> list[int]:
    """Numbers (from 1) of the operations at which the fault can happen."""
    # A model that lies is for a person to mend, and a note that lies counts as none: those are unit tests.
    lied_about = ("stage.fsync", "snapshot.fsync")
    writes = ("stage.write", "snapshot.write", "model.write", "note.write")
    possible = {"short": writes, "cut": lied_about, "flip": lied_about}
    numbers = []
    for index, step in enumerate(trace):
        between = step == "stage.write" == trace[index - 1] == trace[index + 1]
        if step in possible.get(what, (step,)) and not (brief and between):
            numbers.append(index + 1)
    return numbers


def given(folder: Path) -> tuple[Plant, Records]:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "plant.toml"
    file.write_text(generated.plant_text(2, 2))
    plant = load(file)
    values = generated.values(2, 2, 120, seed=5)
    values.insert(40, ("line-0", b"{"))  # a row in every set
    return plant, Records.of(Record(offset, line.encode(), value, []) for offset, (line, value) in enumerate(values))


def _same(work: Path, expected: dict[str, SetDigest], based: bool) -> bool:
    audit = work / "audit"
    left = [path for path in audit.rglob("*") if path.suffix == ".tmp" or ".staging/" in str(path)]
    sound = verify(audit).sound and recompute(audit).sound
    return digest(audit) == expected and not left and sound and bool(published(audit, BASES)) == based


if __name__ == "__main__":
    sys.exit(main())
