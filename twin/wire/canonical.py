"""One event as canonical JSON: the declared order of keys, absent fields left out, times in integer ns."""

import json
from collections.abc import Mapping
from typing import Final

import msgspec

from twin.events.declare import WIRE

_ENCODER: Final = msgspec.json.Encoder()


def canonical_json(event: Mapping[str, object]) -> bytes:
    """The bytes of one event given by field name; None is absent, unknown names are left out."""
    known = {name: value for name in WIRE if (value := event.get(name)) is not None}
    try:
        return _ENCODER.encode(known)
    except OverflowError:  # an integer beyond 64 bits: only a refused event has one, and it is shown as it came
        return json.dumps(known, ensure_ascii=False, separators=(",", ":")).encode()
