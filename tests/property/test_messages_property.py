"""The walk through the messages of an Arrow stream: the kernel against the slow reading of `twin.wire.framing`."""

import random
from struct import pack_into
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.read.arrow_frames import walk
from tests.fuzz.mutate import mutated
from tests.property.test_wire_property import block_of, events
from tests.support.wire import PLANT
from twin.events.declare import MAX_ARROW_DECODED_BYTES, MAX_ARROW_MESSAGES
from twin.wire.encode import arrow_record
from twin.wire.framing import Frame, UnreadableError, check, read_slowly


def walked(value: bytes, most_bytes: int = MAX_ARROW_DECODED_BYTES) -> Frame | None:
    sizes = np.empty((2, 64), np.int64)
    first, last, decoded, shared = walk(np.frombuffer(value, np.uint8), MAX_ARROW_MESSAGES, most_bytes, sizes)
    return Frame(value[first:last], decoded, shared) if last else None


def slowly(value: bytes) -> Frame | None:
    try:
        return read_slowly(value)
    except UnreadableError:
        return None


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    table = pa.ipc.open_stream(
        arrow_record(block_of(draw(st.lists(events(lines=("L1",)), min_size=1, max_size=6))), PLANT)
    ).read_all()
    compression: Any = draw(st.sampled_from([None, "zstd", "lz4"]))
    options = pa.ipc.IpcWriteOptions(compression=compression, emit_dictionary_deltas=draw(st.booleans()))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        for _ in range(draw(st.integers(1, 3))):
            writer.write_table(table, max_chunksize=draw(st.integers(1, 7)))
            # Longer dictionaries: they replace those before or are deltas to them.
            table = pa.concat_tables([table, table]).unify_dictionaries()
    return sink.getvalue().to_pybytes()


@given(streams())
def test_a_sound_stream_is_walked(value: bytes) -> None:
    frame = walked(value)
    assert frame is not None
    assert frame == read_slowly(value) == check(value)
    assert walked(value, frame.decoded_bytes) == frame
    assert walked(value, frame.decoded_bytes - 1) is None


@settings(max_examples=300)
@given(streams(), st.randoms(use_true_random=False))
def test_a_damaged_stream_is_no_more_sound_than_it_is(value: bytes, chance: random.Random) -> None:
    for _ in range(20):
        damaged = mutated(value, [value], chance)
        frame = walked(damaged)
        assert frame is None or frame == slowly(damaged)


@given(st.binary(max_size=64).map(lambda b: b"\xff\xff\xff\xff" + b), st.integers(0, 2**32 - 1), st.integers(0, 63))
def test_any_bytes(value: bytes, number: int, at: int) -> None:
    changed = bytearray(value + b"\0" * 16)
    pack_into("<I", changed, min(at, len(changed) - 4), number)
    frame = walked(bytes(changed))
    assert frame is None or frame == slowly(bytes(changed))


def test_buffers_that_are_not_the_message_s_own_are_refused() -> None:
    """Thousands of messages with one long list of empty buffers would take hours."""
    batch = pa.record_batch({"ts": pa.array([1, 2, 3])})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_batch(batch)
    value = bytearray(sink.getvalue().to_pybytes())
    # The list of the two buffers (validity and values): its length, then where they stand and how long they are.
    at = value.index(b"\2\0\0\0" + b"\0" * 16, value.index(b"\xff\xff\xff\xff", 4))
    pack_into("<I", value, at, 8)
    assert walked(bytes(value)) is None
    with pytest.raises(UnreadableError, match="outside"):
        read_slowly(bytes(value))
