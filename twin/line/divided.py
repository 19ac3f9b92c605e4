"""The state of a partition divided among others: each line goes on as it is, in the partition that has it from then on.

What a line is, is in its own rows of every array and in what is kept under its number, so nothing is computed: each new
state is the old one without the other lines. Only what names a place in the old topic is left behind: the offsets at
which admission counted something first. An event that is held, or waits to revise rows, may yet be refused, and the
refusal would name a record that the new topic does not have: there nothing is divided.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from kernels.fold import layout as at
from twin.line.partition import PartitionTwin
from twin.plant.model import Plant

_PLACES: Final = [at.Q_REPEAT_AT, at.Q_LATE_AT, at.Q_GAP_AT]


class UnsettledError(ValueError):
    """What has come is not decided yet: says of which lines, and what decides it."""


def lines_of(plant: Plant, data: bytes) -> list[str]:
    """Ids of the lines of which a state knows something. Raises SnapshotError."""
    twin = PartitionTwin.restore(plant, 0, data)
    return [plant.lines[line].id for line in _known(twin).tolist()]


def divided(plant: Plant, data: bytes, of: Sequence[int]) -> dict[int, bytes]:
    """By new partition, its state. `of`: per line of the plant, its new partition.

    Raises SnapshotError for a state that cannot be read, UnsettledError.
    """
    _check(PartitionTwin.restore(plant, 0, data))
    return {partition: _part(plant, data, np.array(of) == partition, partition) for partition in sorted(set(of))}


def _known(twin: PartitionTwin) -> "np.typing.NDArray[np.int64]":
    twin.freeze()  # which looks for them
    assert twin._told is not None
    return np.flatnonzero(twin._told)


def _check(twin: PartitionTwin) -> None:
    """Raises UnsettledError."""
    lines = twin.plant.lines
    held = {lines[line].id for line in twin.admission.held[:, at.E_LINE].tolist()}
    histories = twin.revisions.histories
    late = {lines[line].id for line, history in histories.items() if history.late or history.corrections}
    for found, what in ((held, "held until a later one confirms or refutes it"), (late, "late, or corrects another")):
        if found:
            raise UnsettledError(
                f"{len(found)} lines, the first of them {min(found)}, have an event that is {what}, and is folded or "
                "refused with the line's next ones: start a worker of the old prefix again, send each of these lines "
                "a later event (a heartbeat), and stop it"
            )
    if twin.parting:
        raise UnsettledError(
            "a change of the plant file has made rows that leave with the next event: start a worker of the old prefix "
            "again, send an event, and stop it"
        )


def _part(plant: Plant, data: bytes, mine: "np.typing.NDArray[np.bool_]", partition: int) -> bytes:
    twin = PartitionTwin.restore(plant, partition, data)
    engine, admission = twin.engine, twin.admission
    known = _known(twin)
    twin._told = np.zeros(len(mine), np.bool_)
    twin._told[known[mine[known]]] = True
    waiting = twin.waiting.rows()
    twin.waiting.replace(waiting[mine[waiting[:, at.E_LINE]]])
    engine.memory = {line: memory for line, memory in engine.memory.items() if mine[line]}
    twin.revisions.histories = {line: kept for line, kept in twin.revisions.histories.items() if mine[line]}
    admission.sequences[:, _PLACES] = 0
    for line in known[~mine[known]].tolist():
        row = engine.numbers.lines[line]
        stations, modulus = int(row[at.LC_STATIONS]), int(row[at.LC_SEQ_MODULUS])
        first = int(row[at.LC_WRAPPED])
        admission.wrapped[first : first + (stations + 1) * modulus] = 0
    return twin.snapshot()
