"""States of a topic's partitions handed over to more partitions of another topic: where the first records are gone.

Then a copy of what is left would give other rows. Instead each line's state goes into the new partition of its line
(`twin.line.divided`), as a snapshot at offset 0 that the new group's commit names; only what was not folded yet is
copied. The new root begins with these states as bases, from which its rows are computed again; what led to them is in
the old root.

It is done where nothing is left undone: all workers of the old group stopped in order, nothing waits for a file, each
state is of the plant file that is given. And where each new partition has lines of one old partition: with a multiple
of their number, for a partitioner takes the rest of a division. Rejected: states merged out of several (texts, sources
and kept events of each are numbered on their own), and offsets of the old topic in the new one's rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from streams.kafka import partitioner
from streams.kafka.topics import EVENTS, TopicsError
from streams.kafka.transport import Assigned
from streams.settings import Settings
from streams.state.fits import StateError, check_partitioner, check_partitions, check_topic
from streams.state.shared import SharedAudit
from streams.state.snapshot_files import Head, Snapshot, SnapshotError, is_id, offset_of
from streams.worker.start import Places, opened
from twin import store
from twin.audit import AuditError, durable, filelist, layout, marker, models, store_marker
from twin.audit.writer import GENESIS
from twin.line import PartitionTwin
from twin.line import snapshot as line_snapshot
from twin.line.divided import UnsettledError, divided, lines_of
from twin.plant.model import Plant
from twin.store import StoreError

_FAULTS = (SnapshotError, StateError, line_snapshot.SnapshotError, UnsettledError, AuditError, OSError)


@dataclass(slots=True)
class Handover:
    """Where copying begins, and the states that stand there."""

    begins: dict[int, int]  # old partition -> offset behind what its state has folded
    states: dict[int, bytes] = field(default_factory=dict)  # by new partition
    days: dict[int, str] = field(default_factory=dict)  # of the last daily base
    lines: dict[int, int] = field(default_factory=dict)  # how many it has


def prepare(settings: Settings, target: Settings, plant: Plant, old: Mapping[int, Assigned]) -> Handover:
    """Read the states of the old group and divide them; changes nothing. Raises TopicsError."""
    before, after = len(old), target.partitions
    if after % before:
        raise TopicsError(
            f"the first records of {settings.topic(EVENTS)} are deleted, so its states are handed over, each line's to "
            f"its new partition: give a multiple of {before} with --partitions, not {after}"
        )
    if settings.partitioner == partitioner.ANY:
        raise TopicsError(
            "TAKTWIN_PARTITIONER=any: which partition has a line is not known, so no state is handed over"
        )
    if _same(target.audit, settings.audit):
        raise TopicsError(f"--audit {target.audit} is the old root: name a place of its own")
    found = Handover({number: one.log_start for number, one in old.items()})
    try:
        places = opened(settings)
    except StoreError as error:
        raise TopicsError(str(error)) from error
    for number, one in sorted(old.items()):
        where = f"{settings.topic(EVENTS)}/{number}"
        try:
            snapshot = _last(where, settings, plant, places, number, one)
            if snapshot is None:
                continue
            of = [partitioner.choose(settings.partitioner, line.id.encode(), after) for line in plant.lines]
            mine = [new for new in range(after) if new % before == number]
            there = {line.id: new for line, new in zip(plant.lines, of, strict=True) if new in mine}
            strange = [line for line in lines_of(plant, snapshot.state) if line not in there]
            if strange:
                raise StateError(f"the state knows line {strange[0]}, which belongs to another partition")
            parts = divided(plant, snapshot.state, of)
        except _FAULTS as error:
            raise TopicsError(f"{where}: {error}") from error
        found.begins[number] = snapshot.head.next_offset
        empty = PartitionTwin(plant, number).snapshot()
        for new in mine:
            found.states[new] = parts.get(new, empty)
            found.days[new] = snapshot.head.base_day
            found.lines[new] = len(lines_of(plant, found.states[new]))
    return found


def _last(where: str, settings: Settings, plant: Plant, places: Places, number: int, one: Assigned) -> Snapshot | None:
    """What the group's commit names, if that is all there is of the partition; None: it has nothing, and its log is
    whole. Raises one of _FAULTS."""
    again = "start a worker of the old prefix once more and stop it (SIGTERM)"
    if one.committed is None and not one.log_start and not places.snapshots.ids(number):
        return None
    if one.committed is None or not is_id(one.metadata):
        raise StateError(f"the group {settings.group_id} has committed no state of it: {again}")
    snapshot = places.snapshots.load(one.metadata)
    head = snapshot.head
    if (head.next_offset, head.topic) != (one.committed, settings.topic(EVENTS)):
        raise StateError(f"committed at {one.committed} with a snapshot of {head.topic} at {head.next_offset}")
    check_topic(where, head.topic, head.topic_id, one.topic_id)
    check_partitions(where, head.partitions, one.partitions)
    if not head.partitioner:
        raise StateError("its state is older than the check of partitions: a line may have states in several")
    check_partitioner(where, head.partitioner, settings.partitioner)
    if not one.log_start <= one.committed <= one.log_end:
        raise StateError(
            f"its state stands at {one.committed}, the topic has {one.log_start} to {one.log_end}: records were "
            f"deleted before they were read; {again}, which says so in the audit"
        )
    if head.model != plant.hash:
        raise StateError(
            f"its state is of plant model {head.model}, {settings.plant} is {plant.hash}: give the file of then, or "
            + again
        )
    if places.shared is not None:
        places.shared.take(number)
    if head.waiting is not None or not filelist.ends_with(places.audit, number, one.committed, head.chain):
        raise StateError(f"rows of it are not in files yet: its last worker was killed; {again}")
    return snapshot


def put(target: Settings, plant: Plant, found: Handover, topic_id: str, identity: str) -> dict[int, str]:
    """Write root marker and snapshots of the new prefix. By new partition the id for the commit. Raises TopicsError.

    Called again it writes the same files. `identity`: of the root, where it has none.
    """
    try:
        places = opened(target)
        root, snapshots, shared = places.audit, places.snapshots, places.shared
        begun = [one for number in range(target.partitions) for one in snapshots.ids(number) if offset_of(one)]
        written = any(layout.published(root, kind) for kind in layout.KINDS) if shared is None else _written(shared)
        if begun or written:
            raise TopicsError(f"{target.audit} or {snapshots.where} is in use already: name another with --audit")
        if shared is None:
            marker.claim(root, target.prefix, target.group_id, target.topic(EVENTS), identity)
            if topic_id:
                marker.bind(root, target.topic(EVENTS), topic_id, identity)
        else:
            store_marker.claim(shared.store, root, target.prefix, target.group_id, identity)
            if topic_id:
                shared.bind(target.topic(EVENTS), topic_id)
        models.store(root, plant)
        if shared is not None:
            shared.put_models()
        if places.objects is None:
            durable.make_folder(places.state)
        return {
            number: snapshots.save(Snapshot(_head(target, plant, found, number, topic_id), state))
            for number, state in found.states.items()
        }
    except _FAULTS as error:
        raise TopicsError(f"{target.audit}: {error}") from error


def _same(one: str, other: str) -> bool:
    if store.is_url(one) or store.is_url(other):
        return one.rstrip("/") == other.rstrip("/")
    return Path(one).resolve() == Path(other).resolve()


def _written(shared: SharedAudit) -> bool:
    return bool(shared.store.listed(layout.FILES) or shared.store.listed(layout.WAITING))


def _head(target: Settings, plant: Plant, found: Handover, number: int, topic_id: str) -> Head:
    """Without the kind of a base: so whoever goes on from it writes the state as one before its first rows."""
    return Head(
        target.topic(EVENTS),
        number,
        0,
        plant.hash,
        GENESIS,
        partitions=target.partitions,
        base_day=found.days[number],
        partitioner=target.partitioner,
        topic_id=topic_id,
    )
