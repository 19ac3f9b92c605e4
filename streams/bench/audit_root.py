"""Audit roots: what a day of a partition leaves on the disk, and how long it takes to ask and to prove."""

import contextlib
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from faust.types import TP

from streams import clock
from streams.bench import inputs
from streams.bench.declare import Benchmark, Count, Repeat, Room
from streams.bench.in_process import Given
from streams.kafka.transport import Assigned
from streams.state.partition import PartitionState
from streams.state.snapshot_files import SnapshotStore
from streams.state.store import PartitionStore
from twin.audit import filelist, layout
from twin.audit.query import query
from twin.audit.recompute import recompute
from twin.audit.rows import events_with_origin, refused_with_origin, with_origin
from twin.audit.verify import verify
from twin.events.block import EventBlock, pick
from twin.line import PartitionTwin
from twin.plant.model import Plant
from twin.replay import replay
from twin.version import code_version
from twin.wire.encode import EventRows

_TP: Final = TP("twin.events", 0)
_CHECKPOINT_S: Final = 5  # as TAKTWIN_CHECKPOINT_INTERVAL_S has it
_PUBLISH_AFTER_S: Final = 900  # likewise
_DAY_NS: Final = 86_400_000_000_000
_SHIFT_NS: Final = _DAY_NS // 3


class Written:
    """A root as a worker writes it that reads `rate_hz` events a second and keeps up: a checkpoint every 5 s of event
    time, each with its commit, without a broker."""

    def __init__(self, plant: Plant, root: Path, publish_after_s: int) -> None:
        self._plant = plant
        self._publish_every = publish_after_s // _CHECKPOINT_S
        snapshots = SnapshotStore(root / layout.STATE)
        self._store = PartitionStore(
            plant=plant,
            twin=PartitionTwin,
            snapshots=snapshots,
            audit=root,
            keep=3,
            code_version=code_version(),
            publish_after_s=publish_after_s,
        )
        self._state: PartitionState = self._store.load(_TP, Assigned(None, "", 0, 1 << 62, 1))
        self._rows = EventRows(plant)
        self._checkpoints = 0
        self.snapshot_bytes = 0
        self.files = 0

    def take(self, block: EventBlock) -> None:
        state, topic, partition = self._state, _TP.topic, _TP.partition
        state.take("events", events_with_origin(self._rows.table(block), topic, partition, block.offset))
        last = int(block.offset[-1])
        for set_name, table in state.twin.fold(block).tables.items():
            if set_name == "rejected":
                state.take(set_name, refused_with_origin(table, topic, partition))
            else:
                state.take(set_name, with_origin(table, topic, partition, last))
        state.next = last + 1

    def checkpoint(self, *, end: bool = False) -> None:
        state = self._state
        self._checkpoints += 1
        cut = state.cut(publish=end or (self._publish_every > 0 and self._checkpoints % self._publish_every == 0))
        if cut is None:
            return
        encoded = cut.frozen.encode()
        made, identity = self._store.stage(cut, encoded)
        state.saved = state.committed = (cut.rows.next, identity)
        state.staged(made, identity)
        manifests, state.manifests = state.manifests, ()
        self.files += sum(len(manifest.files) for manifest in manifests)
        self._store.publish(state, manifests, state.committed)
        self.snapshot_bytes = max(self.snapshot_bytes, len(encoded))


def _pieces(blocks: Iterable[EventBlock], events: int) -> Iterator[EventBlock]:
    for block in blocks:
        for begin in range(0, len(block), events):
            yield pick(block, slice(begin, begin + events))


def day(
    plant: Callable[[], Plant], rate_hz: int, publish_after_s: int
) -> Callable[[Room, int], AbstractContextManager[Repeat]]:
    def prepare(room: Room, size: int) -> AbstractContextManager[Repeat]:
        model = plant()

        def repeat() -> list[float]:
            root = room.folder()
            written = Written(model, root, publish_after_s)
            each = rate_hz * _CHECKPOINT_S
            begun = clock.monotonic_s()
            for block in _pieces(inputs.blocks(model, size, rate_hz, 1_000 * each), each):
                written.take(block)
                written.checkpoint()
            written.checkpoint(end=True)
            writing = clock.monotonic_s() - begun
            files = [path for name in layout.KINDS for path in (root / name).rglob("*.parquet")]
            found = [len(files), sum(path.stat().st_size for path in files) / 1e6, written.snapshot_bytes / 1e6]
            asked = _timed(lambda: query(root, "SELECT line, sum(good) FROM kpis GROUP BY line"))
            proven = _timed(lambda: verify(root))
            shutil.rmtree(root)
            return [*found, asked, proven, writing]

        return contextlib.nullcontext(repeat)

    return prepare


def _timed(what: Callable[[], object]) -> float:
    begun = clock.monotonic_s()
    what()
    return clock.monotonic_s() - begun


def shift(room: Room, size: int) -> AbstractContextManager[Repeat]:
    """`size` events, one a second."""
    model = inputs.plant(1, 5)
    root = room.folder()
    replay(model, Given(inputs.blocks(model, size, 1)), root)  # type: ignore[arg-type]
    without = room.folder() / "root"
    shutil.copytree(root, without)
    for mine in filelist.entries(without).values():
        for entry in mine:
            if entry.first_offset == entry.next_offset:
                (without / entry.name).unlink()
    shutil.rmtree(without / layout.BASES)
    end = inputs.START_NS + (size - 3600) * 1_000_000_000
    period = end - _SHIFT_NS, end

    def repeat() -> list[float]:
        return [
            _timed(lambda: recompute(root, period=period)),
            _timed(lambda: recompute(without, period=period)),
            _timed(lambda: recompute(root)),
        ]

    return contextlib.nullcontext(repeat)


_COUNTS: Final = (
    Count("Parquet files of all sets", "files", "files"),
    Count("bytes of these files", "MB", "size"),
    Count("the largest snapshot of the state", "MB", "snapshot"),
    Count("twin audit query: parts made per line, of all kpis", "s", "query"),
    Count("twin audit verify: every page, sum and link", "s", "verify"),
    Count("writing all of it as fast as the disk lets", "s", "write"),
)


def _one_line() -> Plant:
    return inputs.plant(1, 5)


def _many_stations() -> Plant:
    return inputs.plant(50, 20)


BENCHMARKS: Final = (
    Benchmark(
        "recompute-shift",
        "audit root",
        "`twin audit recompute --from --to`: 8 h of the last day",
        "{size:,} events of a line of 5 stations, one a second, a base a day",
        (
            Count("from the nearest base", "s"),
            Count("without bases, from offset 0", "s", "from-0"),
            Count("all of it, every row compared", "s", "whole"),
        ),
        shift,
        (864_000, 2_592_000),
        (0, 3),
    ),
    *(
        Benchmark(
            f"root-{name}-{kind}",
            "audit root",
            "what a worker's day leaves on the disk; the checkpoints of a worker, without Kafka",
            f"{{size:,}} events, {rate_hz} a second, {what}; {how}",
            _COUNTS,
            day(plant, rate_hz, after_s),
            size,
            (0, 1),
        )
        for name, what, plant, rate_hz, sizes in (
            ("line", "one line of 5 stations", _one_line, 60, (216_000, 5_184_000)),
            ("stations", "1,000 stations in 50 lines", _many_stations, 20, (72_000, 432_000)),
        )
        for kind, how, after_s, size in (
            ("waiting", "rows wait for a file 15 min", _PUBLISH_AFTER_S, sizes),
            # An hour is enough: files come with the checkpoints, whatever is in them.
            ("each", "a file for each checkpoint", 0, (sizes[0], sizes[0])),
        )
    ),
)
