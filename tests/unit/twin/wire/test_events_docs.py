"""What docs/events.md shows is what the decoder takes."""

import json
import re
from pathlib import Path
from typing import get_args

import pytest

from kernels.codes import EVENT_NAMES, RUNNING, STOPPED
from twin.events.declare import (
    MAX_ARROW_BYTES,
    MAX_ARROW_DECODED_BYTES,
    MAX_EVENTS_PER_RECORD,
    MAX_NESTING,
    MAX_RECORD_BYTES,
    MAX_TEXT,
)
from twin.events.reasons import NOT_FROM_RECORD, REASONS, Name
from twin.line.admission import FOLD_REASONS
from twin.plant.model import Buffer, Counter, Line, Measure, Plant, Station
from twin.wire.decode import Decoder

HOME = Path(__file__).parents[4]
PAGE = (HOME / "docs" / "events.md").read_text("utf-8")
STATES = {"RUNNING": RUNNING, "STOPPED": STOPPED}
PLANT = Plant(
    "s",
    (
        Line(
            "filling-1",
            "a",
            "flow",
            (
                Station(
                    "filler",
                    states=STATES,
                    counters=(Counter("bottles", "good", modulus=65536),),
                    measures=(Measure("electricity", "meter", "kWh", decimals=3),),
                ),
                Station("capper", measures=(Measure("no cap", "amount", "defect", "defect"),)),
            ),
            buffers=(Buffer("table", 20),),
        ),
    ),
    "0" * 16,
)


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("example", blocks("json"))
def test_json_examples_are_taken(example: str) -> None:
    block, refused = Decoder(PLANT).decode([example.encode()], [0])
    assert refused == []
    expected = json.loads(example)
    assert len(block) == (len(expected) if isinstance(expected, list) else 1)


def test_every_type_has_an_example() -> None:
    found = {json.loads(e)["type"] for e in blocks("json") if e.startswith("{")}
    assert found == set(EVENT_NAMES)


def test_the_arrow_producer_works() -> None:
    (code,) = blocks("python")
    names: dict[str, object] = {}
    exec(code, names)  # noqa: S102  # the page's own example is what is tested
    value = names["value"]
    assert isinstance(value, bytes)
    block, refused = Decoder(PLANT).decode([value], [0])
    assert refused == []
    assert (block.code[0], block.a.tolist()) == (RUNNING, [0, 4, 5])


def test_the_limits_are_those_of_the_code() -> None:
    assert (MAX_TEXT, MAX_NESTING, MAX_EVENTS_PER_RECORD) == (256, 128, 65_536)
    assert (MAX_RECORD_BYTES, MAX_ARROW_BYTES, MAX_ARROW_DECODED_BYTES) == (1 << 20, 16 << 20, 64 << 20)
    for shown in ("256 characters", "128 deep", "65,536", "1 MiB", "16 MiB", "64 MiB"):
        assert shown in PAGE


def test_every_reason_is_registered_and_used() -> None:
    """mypy refuses a reason that is none of `Name`; what is in the register is given somewhere."""
    assert get_args(Name) == tuple(REASONS)
    sources = [path for folder in ("kernels", "twin", "streams") for path in (HOME / folder).rglob("*.py")]
    code = "".join(path.read_text() for path in sources if path.name != "reasons.py")
    assert [name for name in REASONS if f'"{name}"' not in code and name not in NOT_FROM_RECORD] == []
    assert FOLD_REASONS - {"impossible_value"} == {name for name, reason in REASONS.items() if reason.by == "line"}
