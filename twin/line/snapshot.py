"""The state of a partition as bytes: rows of the lines that were seen, nothing of the others."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import msgspec
import numpy as np
import pyarrow as pa

from kernels import layout as at
from kernels.arrays import State
from twin.line.memory import LineMemory, SavedHistory
from twin.line.numbers import CLOSINGS, Numbers

# Version 2 held every cut of rings that were five times as long: 80 MB for 1,000 stations.
VERSION: Final = 3
T = TypeVar("T")
# Decompressed size that is believed before anything is unpacked.
MAX_BYTES: Final = 4 << 30


class SnapshotError(Exception):
    """A snapshot that cannot be read; says why."""


class _Version(msgspec.Struct):
    version: int


class Snapshot(msgspec.Struct):
    version: int
    plant: str
    lines: list[int]
    arrays: dict[str, bytes]
    closings: int
    texts: list[str]
    arrival: int
    held: bytes
    held_values: list[bytes]
    held_offsets: bytes
    waiting: bytes
    sequences: dict[str, bytes]
    memory: dict[int, LineMemory]
    histories: dict[int, SavedHistory]


def spans(n: Numbers, line: int) -> dict[str, slice]:
    """Rows of a line in every state array."""
    row = n.lines[line]
    lo, count = int(row[at.LC_STATION]), int(row[at.LC_STATIONS])
    first, windows = int(row[at.LC_WINDOW]), int(row[at.LC_WINDOWS])
    rings = tick_deltas = slice(0, 0)
    if windows:
        begin, last = n.windows[first], n.windows[first + windows - 1]
        rings = slice(int(begin[at.WC_RING]), int(last[at.WC_RING] + last[at.WC_SLOTS] * count))
        waiting = int(row[at.LC_TICK_SLOTS]) * count
        tick_deltas = slice(int(begin[at.WC_TICKS]), int(last[at.WC_TICKS]) + waiting)
    stations = slice(lo, lo + count)
    return {
        "lines": slice(line, line + 1),
        "stations": stations,
        "total": stations,
        "steps": slice(first, first + windows),
        "base": stations,
        "closings": slice(line, line + 1),
        "deltas": stations,
        "ticks": slice(int(row[at.LC_TICKS]), int(row[at.LC_TICKS] + row[at.LC_TICK_SLOTS])),
        "vectors": slice(int(row[at.LC_VECTOR]), int(row[at.LC_VECTOR]) + count * count),
        "pane_base": stations,
        "buffers": slice(*n.buffer_bounds[line : line + 2]),
        "counters": slice(*n.counter_bounds[line : line + 2]),
        # Last: which of their rows there are follows from the others.
        "rings": rings,
        "tick_deltas": tick_deltas,
    }


def _part(name: str, array: "np.typing.NDArray[np.int64]", where: slice) -> "np.typing.NDArray[np.int64]":
    return array[:, where] if name == "vectors" else array[where]


Pieces = dict[str, list["np.typing.NDArray[np.int64]"]]


def pack_arrays(x: State, n: Numbers, lines: Sequence[int], width: int) -> Pieces:
    """Copies of the rows of these lines, array by array, without what no later row can need (see `_needed`)."""
    pieces: Pieces = {name: [] for name in State._fields}
    for line in lines:
        for name, where in spans(n, line).items():
            some = _needed(name, x, n, line)
            part = _part(name, getattr(x, name), where)
            if name in ("closings", "deltas"):
                part = part[:, :width].copy()
                part[:, int(x.lines[line, at.L_CLOSINGS]) :] = 0
            elif some is not None:
                part = part[some]
            elif name == "ticks":
                part = np.where(_needed_ticks(x, n, line)[:, None], part, 0)
            else:
                part = part.copy()
            pieces[name].append(part)
    return pieces


def joined(pieces: Pieces) -> dict[str, bytes]:
    """Takes `pieces` apart, so that never more than one array is there twice."""
    return {name: b"".join([part.data for part in pieces.pop(name)]) for name in tuple(pieces)}


def closings_width(x: State, lines: Sequence[int]) -> int:
    """Room for closings that these lines need; what there is may be more, depending on how the log was cut."""
    width = CLOSINGS
    while width < int(x.lines[list(lines), at.L_CLOSINGS].max(initial=0)):
        width *= 2
    return width


def _needed_ticks(x: State, n: Numbers, line: int) -> "np.typing.NDArray[np.bool_]":
    """Of the line's tick contexts, those whose rows are not out yet."""
    row = n.lines[line]
    every, slots = int(row[at.LC_PUBLISH_NS]), int(row[at.LC_TICK_SLOTS])
    needed = np.zeros(slots, np.bool_)
    waiting = np.arange(x.lines[line, at.L_EMIT_TICK], x.lines[line, at.L_NEXT_TICK], every)
    needed[waiting // every % slots] = True
    return needed


def _needed_cuts(x: State, n: Numbers, line: int) -> "np.typing.NDArray[np.bool_]":
    """Of the line's ring rows, those that a later row of results or the view reads: a window back from the last step.

    Which others hold something depends on how the log was cut: a silence is left out in one piece or in several.
    """
    row = n.lines[line]
    count, first = int(row[at.LC_STATIONS]), int(row[at.LC_WINDOW])
    needed = [np.zeros(0, np.bool_)]
    for w in range(first, first + int(row[at.LC_WINDOWS])):
        length, step, slots = (int(n.windows[w, k]) for k in (at.WC_LENGTH, at.WC_STEP, at.WC_SLOTS))
        newest = int(x.steps[w]) - step
        mine = np.zeros(slots, np.bool_)
        since = max(newest - length, int(x.lines[line, at.L_T0]) + 1)  # nothing was cut before
        mine[np.arange(-(-since // step) * step, newest + 1, step) // step % slots] = True
        needed.append(np.tile(mine, count))
    return np.concatenate(needed)


def _needed(name: str, x: State, n: Numbers, line: int) -> "np.typing.NDArray[np.bool_] | None":
    """The rows of an array of which only some are kept; they follow from the line and its steps. None: all."""
    if name == "rings":
        return _needed_cuts(x, n, line)
    if name == "tick_deltas":
        row = n.lines[line]
        return np.tile(_needed_ticks(x, n, line), int(row[at.LC_STATIONS] * row[at.LC_WINDOWS]))
    return None


def unpack_arrays(x: State, n: Numbers, lines: Sequence[int], arrays: dict[str, bytes], width: int) -> None:
    """`width`: closings per line that were packed; there is room for at least so many."""
    position = dict.fromkeys(State._fields, 0)
    for line in lines:
        for name, where in spans(n, line).items():
            target = _part(name, getattr(x, name), where)
            if name in ("closings", "deltas"):
                target[:, width:] = 0
                target = target[:, :width]
            some = _needed(name, x, n, line)
            shape = target.shape if some is None else (int(some.sum()), *target.shape[1:])
            size = math.prod(shape) * 8
            begin = position[name]
            data = memoryview(arrays[name])[begin : begin + size]
            if len(data) != size:
                raise SnapshotError(f"array {name} ends at {begin + len(data)} of {begin + size} bytes")
            values = np.frombuffer(data, np.int64).reshape(shape)
            if some is None:
                target[...] = values
            else:
                target[...] = 0
                target[some] = values
            position[name] = begin + size
    for name, end in position.items():
        if end != len(arrays[name]):
            raise SnapshotError(f"array {name} has {len(arrays[name])} bytes, {end} belong to its lines")


def squeeze(value: Any) -> bytes:
    """Raises SnapshotError for what `unsqueeze` would refuse: what cannot be read again must not be committed."""
    raw = msgspec.msgpack.encode(value)
    del value  # a caller that kept none of it has its memory back before what is packed takes some
    if len(raw) > MAX_BYTES:
        advice = "lower the lines' `revise`, or use more partitions"
        raise SnapshotError(f"would take {len(raw)} bytes, the limit is {MAX_BYTES}: {advice}")
    packed: Any = pa.compress(raw, codec="zstd", asbytes=True)
    return len(raw).to_bytes(8, "big") + bytes(packed)


# As in `streams.snapshots`: a type that threads decode at once must be known to msgspec before.
_VERSION_DECODER: Final = msgspec.msgpack.Decoder(_Version)
_DECODER: Final = msgspec.msgpack.Decoder(Snapshot)


def unsqueeze(data: bytes, decoder: msgspec.msgpack.Decoder[T]) -> T:
    """Raises SnapshotError."""
    size = int.from_bytes(data[:8], "big")
    if len(data) < 8 or size > MAX_BYTES:
        raise SnapshotError(f"claims {size} bytes unpacked, the limit is {MAX_BYTES}")
    try:
        raw: Any = pa.decompress(data[8:], size, codec="zstd", asbytes=True)
        return decoder.decode(raw)
    except (pa.ArrowException, OSError, msgspec.MsgspecError, ValueError) as fault:
        raise SnapshotError(f"does not unpack: {fault}") from fault


@dataclass(frozen=True, slots=True)
class Frozen:
    """A state as it was at one instant, copied: the twin goes on while a thread encodes it.

    To encode 1,000 stations where they are folded held up every line for a tenth of a second at each checkpoint.
    """

    snapshot: Snapshot  # but for its arrays
    pieces: Pieces

    def encode(self) -> bytes:
        """Equal states give equal bytes. To be called once: takes the copies apart. Raises SnapshotError."""
        return squeeze(msgspec.structs.replace(self.snapshot, arrays=joined(self.pieces)))


def decode(data: bytes) -> Snapshot:
    # First the version alone: a later one may have other fields.
    found = unsqueeze(data, _VERSION_DECODER).version
    if found != VERSION:
        raise SnapshotError(f"has version {found}, this code reads {VERSION}; run the version that wrote it")
    snapshot = unsqueeze(data, _DECODER)
    # Room for closings is made before they are read; each takes at least its own row.
    if snapshot.closings > max(CLOSINGS, 2 * len(snapshot.arrays.get("closings", b""))):
        raise SnapshotError(f"claims room for {snapshot.closings} closings and holds fewer")
    return snapshot
