"""The state of a partition as bytes: rows of the lines that were seen, nothing of the others."""

from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa

from kernels import layout as at
from kernels.arrays import State
from twin.line.memory import LineMemory
from twin.line.numbers import Numbers
from twin.plant.model import Plant

VERSION: Final = 1
# Decompressed size that is believed before anything is unpacked.
MAX_BYTES: Final = 4 << 30


class SnapshotError(Exception):
    """A snapshot that cannot be read; says why."""


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
    waiting: bytes
    sequences: dict[str, bytes]
    memory: dict[int, LineMemory]


def spans(n: Numbers, plant: Plant, line: int) -> dict[str, slice]:
    """Rows of a line in every state array."""
    row = n.lines[line]
    lo, count = int(row[at.LC_STATION]), int(row[at.LC_STATIONS])
    first, windows = int(row[at.LC_WINDOW]), int(row[at.LC_WINDOWS])
    rings = slice(0, 0)
    if windows:
        last = n.windows[first + windows - 1]
        rings = slice(int(n.windows[first, at.WC_RING]), int(last[at.WC_RING] + last[at.WC_SLOTS] * count))
    buffers = sum(len(one.buffers) for one in plant.lines[:line])
    counters = sum(len(s.counters) for one in plant.lines[:line] for s in one.stations)
    mine = plant.lines[line]
    stations = slice(lo, lo + count)
    return {
        "lines": slice(line, line + 1),
        "stations": stations,
        "total": stations,
        "rings": rings,
        "steps": slice(first, first + windows),
        "base": stations,
        "closings": slice(line, line + 1),
        "deltas": stations,
        "ticks": slice(int(row[at.LC_TICKS]), int(row[at.LC_TICKS] + row[at.LC_TICK_SLOTS])),
        "vectors": slice(int(row[at.LC_VECTOR]), int(row[at.LC_VECTOR]) + count * count),
        "pane_base": stations,
        "buffers": slice(buffers, buffers + len(mine.buffers)),
        "counters": slice(counters, counters + sum(len(s.counters) for s in mine.stations)),
    }


def _part(name: str, array: "np.typing.NDArray[np.int64]", where: slice) -> "np.typing.NDArray[np.int64]":
    return array[:, where] if name == "vectors" else array[where]


def pack_arrays(x: State, n: Numbers, plant: Plant, lines: list[int]) -> dict[str, bytes]:
    pieces: dict[str, list[bytes]] = {name: [] for name in State._fields}
    for line in lines:
        for name, where in spans(n, plant, line).items():
            pieces[name].append(np.ascontiguousarray(_part(name, getattr(x, name), where)).tobytes())
    return {name: b"".join(parts) for name, parts in pieces.items()}


def unpack_arrays(x: State, n: Numbers, plant: Plant, lines: list[int], arrays: dict[str, bytes]) -> None:
    position = dict.fromkeys(State._fields, 0)
    for line in lines:
        for name, where in spans(n, plant, line).items():
            target = _part(name, getattr(x, name), where)
            size = target.size * 8
            begin = position[name]
            data = arrays[name][begin : begin + size]
            if len(data) != size:
                raise SnapshotError(f"array {name} ends at {begin + len(data)} of {begin + size} bytes")
            target[...] = np.frombuffer(data, np.int64).reshape(target.shape)
            position[name] = begin + size
    for name, end in position.items():
        if end != len(arrays[name]):
            raise SnapshotError(f"array {name} has {len(arrays[name])} bytes, {end} belong to its lines")


def encode(snapshot: Snapshot) -> bytes:
    raw = msgspec.msgpack.encode(snapshot)
    packed: Any = pa.compress(raw, codec="zstd", asbytes=True)
    return len(raw).to_bytes(8, "big") + bytes(packed)


def decode(data: bytes) -> Snapshot:
    size = int.from_bytes(data[:8], "big")
    if len(data) < 8 or size > MAX_BYTES:
        raise SnapshotError(f"claims {size} bytes unpacked, the limit is {MAX_BYTES}")
    try:
        raw: Any = pa.decompress(data[8:], size, codec="zstd", asbytes=True)
        snapshot = msgspec.msgpack.decode(raw, type=Snapshot)
    except (pa.ArrowException, OSError, msgspec.MsgspecError, ValueError) as fault:
        raise SnapshotError(f"does not unpack: {fault}") from fault
    if snapshot.version != VERSION:
        raise SnapshotError(f"has version {snapshot.version}, this code reads {VERSION}; run the version that wrote it")
    return snapshot
