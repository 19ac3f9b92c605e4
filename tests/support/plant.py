"""Small plant files, and the mistakes found in one."""

import textwrap

import pytest

from twin.plant import PlantError, loads

HEAD = 'site = "Works"\n[[area]]\nid = "hall"\n'
LINE = HEAD + '[[line]]\nid = "L"\narea = "hall"\ntype = "flow"\n'
SMALL = LINE + '[[line.station]]\nid = "A"\n'  # 9 lines


def text(body: str) -> str:
    return textwrap.dedent(body).strip() + "\n"


def problems(source: str) -> list[tuple[int, str, str]]:
    with pytest.raises(PlantError) as caught:
        loads(source, "p.toml")
    assert str(caught.value).splitlines() == [str(problem) for problem in caught.value.problems]
    return [(p.line, p.key, p.message) for p in caught.value.problems]


def one_problem(source: str) -> tuple[int, str, str]:
    found = problems(source)
    assert len(found) == 1, found
    return found[0]
