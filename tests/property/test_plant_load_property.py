"""Whatever stands in a plant file: a plant, or problems that point into the file. Never another exception."""

import re
import tomllib
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from twin.plant import PlantError, load, loads
from twin.plant.tree import tree
from twin.time.duration import MAX_DURATION_NS, cycle_ns, duration_ns, duration_text

DOCS = (Path(__file__).parents[2] / "docs/plant.md").read_text(encoding="utf-8")
EXAMPLE = re.findall(r"```toml\n(.*?)```", DOCS, re.DOTALL)[0]
LINES = EXAMPLE.split("\n")
VALUES = st.sampled_from(
    [
        *("0", "-1", "1", "1.5", "nan", "inf", "true", '""', "[]", "{}", "[[]]", "[{}]", "10:00:00", "2026-01-01"),
        *(
            "99999999999999999999",
            "2026-01-01T10:00:00Z",
            '"\\u0000"',
            '"é"',
            '"filler"',
            '"B1"',
            '"1s"',
            '"9/h"',
            '"0s"',
        ),
        *(
            '["1min/1s", 3, ""]',
            "[1, 'filler', 'press']",
            "{ filler = 1, x = '1s' }",
            "[{ id = 1 }, { id = 'a' }]",
            "'-'",
        ),
        *(
            "'Mon-'",
            "'24:00 - 24:00'",
            "'99:99 - 1:1'",
            "'Mon 24:00 - Tue 00:00'",
            "'/'",
            "'1s/'",
            "'never'",
            "'Mon,,Tue'",
        ),
    ]
)


@st.composite
def changed(draw: st.DrawFn) -> str:
    """The documented example with some lines dropped, doubled, swapped or given another value."""
    lines = list(LINES)
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(lines) - 1))
        kind = draw(st.sampled_from(["drop", "double", "swap", "value", "value", "value", "rename"]))
        if kind == "drop":
            lines[at] = ""
        elif kind == "double":
            lines.insert(at, lines[at])
        elif kind == "swap":
            other = draw(st.integers(0, len(lines) - 1))
            lines[at], lines[other] = lines[other], lines[at]
        elif " = " in lines[at]:
            key, _, value = lines[at].partition(" = ")
            lines[at] = f"{key} = {draw(VALUES)}" if kind == "value" else f"{key}x = {value}"
    return "\n".join(lines)


@given(changed())
@settings(max_examples=300, deadline=None)
def test_a_plant_or_problems(text: str) -> None:
    try:
        plant = loads(text, "p.toml")
    except PlantError as error:
        assert error.problems
        numbers = [problem.line for problem in error.problems]
        assert numbers == sorted(numbers)
        assert all(1 <= number <= text.count("\n") + 1 for number in numbers)
    else:
        assert plant.hash == loads(text, "again").hash
        assert plant.site in tree(plant)


@given(data=st.binary(max_size=200), at=st.integers(0, 2000))
@settings(deadline=None)
def test_any_bytes(tmp_path_factory: Any, data: bytes, at: int) -> None:
    file = tmp_path_factory.getbasetemp() / "any.toml"
    file.write_bytes(EXAMPLE.encode()[:at] + data)
    try:
        load(file)
    except PlantError as error:
        assert str(file) in str(error)


@given(changed())
@settings(max_examples=100, deadline=None)
def test_a_wrong_plain_value_is_named_on_its_own_line(text: str) -> None:
    """Every problem with a plain key stands on a line with this key, or on the header of the table that lacks it."""
    try:
        tomllib.loads(text)
        loads(text)
    except tomllib.TOMLDecodeError:
        return
    except PlantError as error:
        rows = ["", *text.split("\n")]
        for problem in error.problems:
            last = re.sub(r"\[[^\]]*\]$", "", problem.key).rpartition(".")[2].strip('"')
            row = rows[problem.line]
            assert last in row or row.startswith("[") or problem.line == 1 or "{" in row, (str(problem), row)


@given(st.integers(0, MAX_DURATION_NS))
def test_duration_text_is_read_back(ns: int) -> None:
    assert duration_ns(duration_text(ns)) == ns


@given(
    st.integers(1, 10**9),
    st.sampled_from([("s", 10**9), ("min", 60 * 10**9), ("h", 3600 * 10**9), ("d", 86400 * 10**9)]),
)
def test_a_rate_is_off_by_half_a_nanosecond_at_most(parts: int, unit: tuple[str, int]) -> None:
    assert abs(2 * (cycle_ns(f"{parts}/{unit[0]}") * parts - unit[1])) <= parts
