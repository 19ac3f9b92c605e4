"""The state of a partition as bytes: rows of the lines that were seen, nothing of the others.

A snapshot says what its numbers are called (`twin.line.shape`), under which rules it was made and by which version. An
older one is read; one of a later version or under later rules is refused: what it holds more would be lost in silence.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import msgspec
import numpy as np
import pyarrow as pa

from kernels.fold import layout as at
from kernels.fold.arrays import State
from twin import rules
from twin.line.former import NAMES_3
from twin.line.numbers import Numbers
from twin.line.remembered import LineMemory, SavedHistory
from twin.line.shape import ARRAYS, CLOSINGS, NAMES, NEUTRAL, ROOM, ROWS, Translation
from twin.line.shape import SnapshotError as SnapshotError
from twin.version import code_version

# Version 2 held every cut of rings that were five times as long: 80 MB for 1,000 stations. Version 3 had no names, and
# said neither under which rules nor by which version it was made.
VERSION: Final = 4
READABLE: Final = (3, 4)
T = TypeVar("T")
# Decompressed size that is believed before anything is unpacked.
MAX_BYTES: Final = 4 << 30


class _Made(msgspec.Struct):
    """What is looked at before all else: a later version may have other fields."""

    version: int
    rules: int = 1
    code: str = ""


class SavedState(msgspec.Struct, forbid_unknown_fields=True):
    """Fields are only added, with defaults."""

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
    names: dict[str, tuple[str, ...]] = {}  # of every axis (twin.line.shape); none: those of version 3
    rules: int = 1  # twin.rules.RULES
    code: str = ""  # version of taktwin
    # Rows by set that a change of the plant model has made (Arrow streams): they leave with the next events.
    parting: dict[str, bytes] = {}


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
    of = {
        "line": slice(line, line + 1),
        "station": slice(lo, lo + count),
        "window": slice(first, first + windows),
        "cut": rings,
        "tick": slice(int(row[at.LC_TICKS]), int(row[at.LC_TICKS] + row[at.LC_TICK_SLOTS])),
        "tick of window": tick_deltas,
        "tick of station": slice(int(row[at.LC_OWN_TICKS]), int(row[at.LC_OWN_TICKS] + row[at.LC_TICK_SLOTS] * count)),
        "pair of stations": slice(int(row[at.LC_VECTOR]), int(row[at.LC_VECTOR] + row[at.LC_CELLS])),
        "buffer": slice(*n.buffer_bounds[line : line + 2]),
        "counter": slice(*n.counter_bounds[line : line + 2]),
        "place": slice(*n.place_bounds[line : line + 2]),
    }
    return {name: of[ARRAYS[name].of] for name in _IN_ORDER}


# Last those of whose rows only some are kept: which these are follows from the others.
_CHOSEN: Final = ("rings", "tick_deltas", "tick_orders", "places")
_IN_ORDER: Final = (*(name for name in ARRAYS if name not in _CHOSEN), *_CHOSEN)


def part(name: str, array: "np.typing.NDArray[np.int64]", where: slice) -> "np.typing.NDArray[np.int64]":
    """The rows of an array of the state (a view), as `spans` says where they are."""
    return array[tuple(where if axis == ROWS else slice(None) for axis in ARRAYS[name].axes)]


Pieces = dict[str, list["np.typing.NDArray[np.int64]"]]


def pack_arrays(x: State, n: Numbers, lines: Sequence[int], width: int) -> Pieces:
    """Copies of the rows of these lines, array by array, without what no later row can need (see `_needed`)."""
    pieces: Pieces = {name: [] for name in ARRAYS}
    for line in lines:
        for name, where in spans(n, line).items():
            some = _needed(name, x, n, line)
            piece = part(name, getattr(x, name), where)
            if ROOM in ARRAYS[name].axes:
                piece = piece[:, :width].copy()
                piece[:, int(x.lines[line, at.L_CLOSINGS]) :] = 0
            elif some is not None:
                piece = piece[some]
            elif name == "ticks":
                piece = np.where(_needed_ticks(x, n, line)[:, None], piece, 0)
            else:
                piece = piece.copy()
            pieces[name].append(piece)
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


def _needed_places(x: State, n: Numbers, line: int) -> "np.typing.NDArray[np.bool_]":
    """Of the line's further places, those that are in use."""
    lo, count = int(n.lines[line, at.LC_STATION]), int(n.lines[line, at.LC_STATIONS])
    used = [np.arange(int(n.stations[s, at.SC_ROWS])) < int(x.stations[s, at.S_EXTRA]) for s in range(lo, lo + count)]
    return np.concatenate(used) if used else np.zeros(0, np.bool_)


def _needed(name: str, x: State, n: Numbers, line: int) -> "np.typing.NDArray[np.bool_] | None":
    """The rows of an array of which only some are kept; they follow from the line and its steps. None: all."""
    if name == "rings":
        return _needed_cuts(x, n, line)
    if name == "places":
        return _needed_places(x, n, line)
    if name == "tick_orders":
        return np.tile(_needed_ticks(x, n, line), int(n.lines[line, at.LC_STATIONS]))
    if name == "tick_deltas":
        row = n.lines[line]
        return np.tile(_needed_ticks(x, n, line), int(row[at.LC_STATIONS] * row[at.LC_WINDOWS]))
    return None


def unpack_arrays(
    x: State,
    n: Numbers,
    lines: Sequence[int],
    arrays: Mapping[str, bytes],
    width: int,
    written: Translation | None = None,
    *,
    fresh: bool = True,
) -> None:
    """`width`: closings per line that were packed; there is room for at least so many. `written`: in the names of
    another version. `fresh`: `x` is an empty state, and zeros are left out: writing them takes memory."""
    position = dict.fromkeys(ARRAYS, 0)
    for line in lines:
        parts = {}
        for name, where in spans(n, line).items():
            target = part(name, getattr(x, name), where)
            if ROOM in ARRAYS[name].axes:
                if not fresh:
                    target[:, width:] = 0
                target = target[:, :width]
            parts[name] = target
            some = _needed(name, x, n, line)
            rows = where.stop - where.start if some is None else int(some.sum())
            if written is not None and name not in arrays:
                neutral = NEUTRAL.get(("array", name), 0)
                target[...] = 0 if callable(neutral) else neutral
                continue
            shape = tuple({ROWS: rows, ROOM: width}.get(axis, len(NAMES.get(axis, ()))) for axis in ARRAYS[name].axes)
            size = 8 * (math.prod(shape) if written is None else written.size(name, rows, width))
            begin = position[name]
            data = memoryview(arrays[name])[begin : begin + size]
            if len(data) != size:
                raise SnapshotError(f"array {name} ends at {begin + len(data)} of {begin + size} bytes")
            values = np.frombuffer(data, np.int64)
            values = values.reshape(shape) if written is None else written.array(name, values, rows, width)
            if fresh and name != "buffers":  # which begin with their levels
                there = values.any(axis=tuple(range(1, values.ndim)))
                target[np.flatnonzero(there if some is None else some)[... if some is None else there]] = values[there]
            elif some is None:
                target[...] = values
            else:
                target[...] = 0
                target[some] = values
            position[name] = begin + size
        if written is not None:
            written.complete(x, n, line, parts, arrays)
    for name, end in position.items():
        if name in arrays and end != len(arrays[name]):
            raise SnapshotError(f"array {name} has {len(arrays[name])} bytes, {end} belong to its lines")


def translated_stops(stops: list[list[int]], written: Translation) -> list[list[int]]:
    """Of `LineMemory.stops`. Raises SnapshotError and ValueError."""
    return written.rows("interval", np.array(stops, np.int64)).tolist() if stops else []


def squeeze(value: Any) -> bytes:
    """Raises SnapshotError for what `unsqueeze` would refuse: what cannot be read again must not be committed."""
    raw = msgspec.msgpack.encode(value)
    del value  # a caller that kept none of it has its memory back before what is packed takes some
    if len(raw) > MAX_BYTES:
        advice = "lower the lines' `revise`, or use more partitions"
        raise SnapshotError(f"would take {len(raw)} bytes, the limit is {MAX_BYTES}: {advice}")
    packed: Any = pa.compress(raw, codec="zstd", asbytes=True)
    return len(raw).to_bytes(8, "big") + bytes(packed)


# As in `streams.state.snapshot_files`: a type that threads decode at once must be known to msgspec before.
_MADE_DECODER: Final = msgspec.msgpack.Decoder(_Made)
_DECODER: Final = msgspec.msgpack.Decoder(SavedState)


def unsqueeze(data: bytes, decoder: msgspec.msgpack.Decoder[T]) -> T:
    """Raises SnapshotError."""
    return _unpacked(_raw(data), decoder)


def _unpacked(raw: bytes, decoder: msgspec.msgpack.Decoder[T]) -> T:
    try:
        return decoder.decode(raw)
    except (msgspec.MsgspecError, ValueError) as fault:
        raise SnapshotError(f"does not unpack: {fault}") from fault


def _raw(data: bytes) -> bytes:
    size = int.from_bytes(data[:8], "big")
    if len(data) < 8 or size > MAX_BYTES:
        raise SnapshotError(f"claims {size} bytes unpacked, the limit is {MAX_BYTES}")
    try:
        raw: Any = pa.decompress(memoryview(data)[8:], size, codec="zstd", asbytes=True)
    except (pa.ArrowException, OSError, ValueError) as fault:
        raise SnapshotError(f"does not unpack: {fault}") from fault
    return bytes(raw)


@dataclass(frozen=True, slots=True)
class Frozen:
    """A state as it was at one instant, copied: the twin goes on while a thread encodes it.

    To encode 1,000 stations where they are folded held up every line for a tenth of a second at each checkpoint.
    """

    snapshot: SavedState  # but for its arrays
    pieces: Pieces

    def encode(self) -> bytes:
        """Equal states give equal bytes. To be called once: takes the copies apart. Raises SnapshotError."""
        return squeeze(msgspec.structs.replace(self.snapshot, arrays=joined(self.pieces)))


def decode(data: bytes) -> SavedState:
    """Raises SnapshotError: damaged, of a version that is not read, or of a later one."""
    raw = _raw(data)
    made = _unpacked(raw, _MADE_DECODER)
    if made.version not in READABLE or made.rules > rules.RULES:
        raise SnapshotError(_refused(made))
    try:
        snapshot = _unpacked(raw, _DECODER)
    except SnapshotError as fault:
        raise SnapshotError(
            f"{fault} (written by taktwin {made.code or 'unknown'}; this is {code_version()})"
        ) from fault
    if not snapshot.names:
        snapshot.names = dict(NAMES_3)
    # Room for closings is made before they are read; each takes at least its own row.
    if snapshot.closings > max(CLOSINGS, 2 * len(snapshot.arrays.get("closings", b""))):
        raise SnapshotError(f"claims room for {snapshot.closings} closings and holds fewer")
    return snapshot


def _refused(made: _Made) -> str:
    by = f"was written by taktwin {made.code or 'of another version'}"
    if made.version in READABLE:
        what = f"was folded under rules {made.rules}, this one ({code_version()}) knows rules up to {rules.RULES}"
    else:
        what = f"has format {made.version}, this one ({code_version()}) reads {READABLE[0]} to {VERSION}"
    return f"{by} and {what}"
